//! The way to a server: TCP, TLS by rustls, and a guard that looks over every message before ldap3
//! reads it.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ldap3::asn1::{PL, parse_tag};
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use crate::directory::ldap::frame::{Head, head, is_message};
use crate::directory::ldap::settings::{ServerAddress, Tls};
use crate::directory::ldap::tls::client_config;

/// The extended operation StartTLS (RFC 4511, 4.14), message 1.
const STARTTLS: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";

/// An answer to it has an explanation at most.
const STARTTLS_ANSWER: usize = 4096;

/// A connected, guarded stream.
pub(super) struct Stream {
    /// For ldap3.
    pub inner: std::os::unix::net::UnixStream,
    /// DER; `None` without TLS.
    pub certificate: Option<Vec<u8>>,
    /// Why the guard ended the connection, if it did.
    pub ended: Arc<OnceLock<String>>,
}

impl Stream {
    /// Begins TLS where the settings say so. What guards the stream ends with it.
    pub async fn open(
        server: &ServerAddress,
        mut stream: TcpStream,
        tls: &Tls,
    ) -> Result<Self, String> {
        if !server.ldaps && !tls.starttls {
            return Self::guarded(stream, None);
        }
        if !server.ldaps {
            start_tls(&mut stream).await.map_err(|fault| format!("StartTLS: {fault}"))?;
        }
        let settings = tls.clone();
        let config = tokio::task::spawn_blocking(move || client_config(&settings)).await;
        let config = config.map_err(|fault| fault.to_string())??;
        let name = ServerName::try_from(server.host.clone()).map_err(|fault| fault.to_string())?;
        let stream = TlsConnector::from(config)
            .connect(name, stream)
            .await
            .map_err(|fault| format!("TLS: {fault}"))?;
        let chain = stream.get_ref().1.peer_certificates();
        let certificate = chain.and_then(|chain| Some(chain.first()?.to_vec()));
        Self::guarded(stream, certificate)
    }

    fn guarded(
        server: impl AsyncRead + AsyncWrite + Send + 'static,
        certificate: Option<Vec<u8>>,
    ) -> Result<Self, String> {
        let (inner, outer) = UnixStream::pair().map_err(|fault| fault.to_string())?;
        let inner = inner.into_std().map_err(|fault| fault.to_string())?;
        let ended = Arc::new(OnceLock::new());
        let why = Arc::clone(&ended);
        // It ends when ldap3 closes its side, as it does when its driver ends.
        tokio::spawn(async move {
            if let Err(fault) = relay(server, outer).await {
                let _ = why.set(fault);
            }
        });
        Ok(Self { inner, certificate, ended })
    }
}

/// Connects to the first address that takes a connection, `each` of them for so long.
pub(super) async fn connect(found: Vec<SocketAddr>, each: Duration) -> Result<TcpStream, String> {
    let mut last = String::from("the name has no address");
    for to in found {
        let fault = match tokio::time::timeout(each, TcpStream::connect(to)).await {
            Ok(Ok(stream)) => match prepare(&stream, each) {
                Ok(()) => return Ok(stream),
                Err(fault) => fault.to_string(),
            },
            Ok(Err(fault)) => fault.to_string(),
            Err(_) => "no answer in time".into(),
        };
        last = format!("{to}: {fault}");
    }
    Err(last)
}

/// Small requests go out at once, and a peer that is gone is noticed.
fn prepare(stream: &TcpStream, each: Duration) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(Duration::from_secs(60)))?;
    socket.set_tcp_user_timeout(Some(each.max(Duration::from_secs(5))))
}

/// Asks for TLS. Nothing is read beyond the answer, so that nothing said before TLS counts after it.
async fn start_tls(stream: &mut TcpStream) -> Result<(), String> {
    let io = |fault: std::io::Error| fault.to_string();
    stream.write_all(STARTTLS).await.map_err(io)?;
    let mut bytes = Vec::new();
    let rest = loop {
        match head(&bytes) {
            Head::Short => bytes.push(stream.read_u8().await.map_err(io)?),
            Head::Message(_, content) if content <= STARTTLS_ANSWER => break content,
            Head::Message(..) => return Err("an answer that is too long".into()),
            Head::Bad(what) => return Err(what.into()),
        }
    };
    let header = bytes.len();
    bytes.resize(header + rest, 0);
    stream.read_exact(&mut bytes[header..]).await.map_err(io)?;
    match (is_message(&bytes[header..]), result_code(&bytes)) {
        (true, Some(0)) => Ok(()),
        (true, Some(code)) => Err(format!("the server answers with result {code}")),
        _ => Err("an answer that cannot be read".into()),
    }
}

/// The result code of an extended response in a message.
fn result_code(message: &[u8]) -> Option<u8> {
    const EXTENDED_RESPONSE: u64 = 24;
    let (_, message) = parse_tag(message).ok()?;
    let PL::C(parts) = message.payload else { return None };
    let response = parts.into_iter().nth(1).filter(|part| part.id == EXTENDED_RESPONSE)?;
    let PL::C(parts) = response.payload else { return None };
    let PL::P(code) = parts.into_iter().next()?.payload else { return None };
    code.last().copied()
}

/// Passes requests on as they are, and answers once they are whole and well formed.
async fn relay(
    server: impl AsyncRead + AsyncWrite + Send,
    client: UnixStream,
) -> Result<(), String> {
    let (from_server, mut to_server) = tokio::io::split(server);
    let (mut from_client, mut to_client) = client.into_split();
    let requests = async {
        let copied = tokio::io::copy(&mut from_client, &mut to_server).await;
        let _ = to_server.shutdown().await;
        copied.map(|_| ()).map_err(|fault| fault.to_string())
    };
    let answers = async {
        let mut from_server = BufReader::with_capacity(16 << 10, from_server);
        let mut message = Vec::new();
        while next_message(&mut from_server, &mut message).await? {
            to_client.write_all(&message).await.map_err(|fault| fault.to_string())?;
        }
        Ok(())
    };
    tokio::select! {
        ended = requests => ended,
        ended = answers => ended,
    }
}

/// Reads one message into `message`, of which no more is kept than has come. `false`: the server
/// closed the connection between two.
async fn next_message(
    from: &mut (impl AsyncBufReadExt + Unpin),
    message: &mut Vec<u8>,
) -> Result<bool, String> {
    let io = |fault: std::io::Error| fault.to_string();
    message.clear();
    let content = loop {
        match head(message) {
            Head::Short => {
                let mut byte = [0];
                if from.read(&mut byte).await.map_err(io)? == 0 {
                    return Ok(false);
                }
                message.extend(byte);
            }
            Head::Message(_, content) => break content,
            Head::Bad(what) => return Err(what.into()),
        }
    };
    let header = message.len();
    // A large message must not stay allocated for all small ones after it.
    message.shrink_to(64 << 10);
    let read = from.take(content as u64).read_to_end(message).await.map_err(io)?;
    if read < content {
        return Err("the server closed the connection in the middle of an answer".into());
    }
    match is_message(&message[header..]) {
        true => Ok(true),
        false => Err("it sends what is no LDAP message".into()),
    }
}
