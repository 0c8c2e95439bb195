//! A call of a webhook: the event's JSON by POST, signed as Standard Webhooks 1.0 has it. One connection a call, no
//! redirect, and TLS that is verified.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use ring::hmac;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use crate::action::Told;
use crate::directory::ldap::client_config_for;
use crate::mail::Timestamp;

/// Of which every byte counts (Standard Webhooks 1.0: 24 to 64 bytes).
const SHORTEST_SECRET: usize = 24;

#[derive(Clone, Debug)]
pub struct Settings {
    pub url: Url,
    /// Its first line is the secret; read for each call.
    pub secret_file: PathBuf,
    /// PEM; `None`: the system's certificates.
    pub ca_file: Option<PathBuf>,
    /// A call, from the name to the answer.
    pub timeout: Duration,
}

/// Where to call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    pub is_tls: bool,
    /// Without brackets.
    pub host: String,
    pub port: u16,
    /// As the Host header has it.
    authority: String,
    path: String,
}

impl Url {
    pub fn parse(text: &str) -> Result<Self, String> {
        let such = "expected a URL such as \"https://hooks.example.org/gatepost\"";
        let uri: Uri = text.parse().map_err(|_| such.to_string())?;
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(such.into()),
        };
        let authority = uri.authority().ok_or(such)?;
        if authority.as_str().contains('@') {
            return Err("a name or password in a URL goes nowhere: take it out; the signature says who calls".into());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || ServerName::try_from(host).is_err() {
            return Err(such.into());
        }
        let port = authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        Ok(Self {
            is_tls,
            host: host.into(),
            port,
            authority: authority.as_str().into(),
            path: uri.path_and_query().map_or("/", |path| path.as_str()).into(),
        })
    }

    /// Whether it stays on this machine.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }
}

pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

pub struct Webhook {
    settings: Settings,
}

impl Webhook {
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// Any answer but 2xx is a failure.
    pub async fn call(&self, told: &Told, at: Timestamp) -> Result<(), String> {
        let Settings { timeout, .. } = &self.settings;
        match tokio::time::timeout(*timeout, self.post(told, at)).await {
            Ok(called) => called,
            Err(_) => Err(format!("no answer within {} s", timeout.as_secs_f32())),
        }
    }

    async fn post(&self, told: &Told, at: Timestamp) -> Result<(), String> {
        let Settings { url, secret_file, ca_file, .. } = &self.settings;
        let (file, authorities) = (secret_file.clone(), ca_file.clone());
        let is_tls = url.is_tls;
        let read = tokio::task::spawn_blocking(move || {
            let secret = read_secret(&file)?;
            let config = is_tls.then(|| client_config_for(authorities.as_deref())).transpose()?;
            Ok::<_, String>((secret, config))
        });
        let (secret, config) = read.await.map_err(|fault| fault.to_string())??;
        let request = self.request(told, &secret, at)?;
        let stream = TcpStream::connect((&*url.host, url.port)).await;
        let stream = stream.map_err(|fault| format!("{}:{}: {fault}", url.host, url.port))?;
        match config {
            Some(config) => exchange(self.tls(stream, config).await?, request).await,
            None => exchange(stream, request).await,
        }
    }

    async fn tls(
        &self,
        stream: TcpStream,
        config: Arc<ClientConfig>,
    ) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send + 'static, String> {
        let name = ServerName::try_from(self.settings.url.host.clone());
        let name = name.map_err(|fault| fault.to_string())?;
        let connected = TlsConnector::from(config).connect(name, stream).await;
        connected.map_err(|fault| format!("TLS: {fault}"))
    }

    fn request(
        &self,
        told: &Told,
        secret: &[u8],
        at: Timestamp,
    ) -> Result<Request<Full<Bytes>>, String> {
        let Url { authority, path, .. } = &self.settings.url;
        let id = &*told.id();
        let seconds = at.unix_ms().div_euclid(1000).to_string();
        Request::post(path)
            .header("host", authority)
            .header("user-agent", concat!("gatepost/", env!("CARGO_PKG_VERSION")))
            .header("content-type", "application/json")
            .header("connection", "close")
            .header("webhook-id", id)
            .header("webhook-timestamp", &seconds)
            .header("webhook-signature", signature(secret, id, &seconds, &told.body))
            .body(Full::new(Bytes::copy_from_slice(told.body.as_bytes())))
            .map_err(|fault| fault.to_string())
    }
}

/// One request and the head of one answer; whatever else the server says is not read.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<(), String> {
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|fault| fault.to_string())?;
    let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
    let answer = sender.send_request(request).await.map_err(|fault| fault.to_string())?;
    match answer.status() {
        status if status.is_success() => Ok(()),
        status if status.is_redirection() => {
            Err(format!("it answers {status}, and no redirect is followed"))
        }
        status => Err(format!("it answers {status}")),
    }
}

/// Of id, time and body, so that none of them can be changed or played again later.
fn signature(secret: &[u8], id: &str, seconds: &str, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let signed = hmac::sign(&key, format!("{id}.{seconds}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(signed))
}

/// The first line of the file: `whsec_` and Base64, as services give it out, or the bytes themselves.
pub fn read_secret(file: &Path) -> Result<Vec<u8>, String> {
    let told = |why: &dyn std::fmt::Display| format!("{}: {why}", file.display());
    let text = std::fs::read_to_string(file).map_err(|fault| told(&fault))?;
    let line = text.lines().next().unwrap_or_default().trim();
    let secret = match line.strip_prefix("whsec_") {
        Some(coded) => STANDARD
            .decode(coded)
            .map_err(|_| told(&"what follows whsec_ in its first line is no Base64"))?,
        None => line.into(),
    };
    if secret.len() < SHORTEST_SECRET {
        let found = secret.len();
        return Err(told(&format_args!(
            "its first line is a secret of {found} bytes; expected at least {SHORTEST_SECRET}"
        )));
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_published_example() {
        // Standard Webhooks 1.0, "Signature scheme" in the specification's own libraries.
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("Base64");
        let signed = signature(
            &secret,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            "{\"test\": 2432232314}",
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn urls_are_read() {
        let url = Url::parse("https://hooks.example.org/a?b=c").expect("a URL");
        assert_eq!((url.is_tls, &*url.host, url.port), (true, "hooks.example.org", 443));
        assert_eq!((&*url.path, url.is_loopback()), ("/a?b=c", false));
        let url = Url::parse("http://[::1]:8080").expect("a URL");
        assert_eq!((&*url.host, url.port, &*url.path), ("::1", 8080, "/"));
        assert_eq!((&*url.authority, url.is_loopback()), ("[::1]:8080", true));
        for text in ["", "hooks.example.org", "ftp://x/", "https://", "https:///x", "https://a b/"]
        {
            assert!(Url::parse(text).is_err(), "{text}");
        }
        assert!(
            Url::parse("https://me:secret@x/").expect_err("a password").contains("take it out")
        );
    }
}
