//! A plain LDAP client, to try the server with.

use std::time::Duration;

use ldap3::asn1::{PL, StructureTag};
use ldap3::controls::{MakeCritical, PagedResults, RawControl};
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError, LdapResult, Scope, SearchOptions};
use tokio::task::JoinHandle;

use crate::ldap_server::people::{BIND_DN, BIND_PASSWORD};
use crate::ldap_server::{Authority, Server};

/// For what has to happen; nothing waits it out.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// One connection, and how it ends.
pub struct Client {
    pub ldap: Ldap,
    pub driver: JoinHandle<Result<(), LdapError>>,
}

/// What a search gave, as the server sent it.
#[derive(Debug, Default)]
pub struct Found {
    pub entries: Vec<Got>,
    /// URLs.
    pub references: Vec<String>,
    pub code: u32,
    pub text: String,
    pub referrals: Vec<String>,
    pub cookie: Option<Vec<u8>>,
}

#[derive(Debug, PartialEq)]
pub struct Got {
    pub dn: String,
    pub attributes: Vec<(String, Vec<Vec<u8>>)>,
}

pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("an end within the deadline")
}

impl Client {
    /// Connected, and not bound.
    pub async fn connect(server: &Server) -> Self {
        Self::try_connect(server, "ldap", LdapConnSettings::new()).await.expect("a connection")
    }

    /// `scheme`: `ldap` or `ldaps`. The name is localhost, the address the server's.
    pub async fn try_connect(
        server: &Server,
        scheme: &str,
        settings: LdapConnSettings,
    ) -> Result<Self, LdapError> {
        let url = format!("{scheme}://{}", server.address);
        let (connection, ldap) = soon(LdapConnAsync::with_settings(settings, &url)).await?;
        Ok(Self { ldap, driver: tokio::spawn(connection.drive()) })
    }

    pub async fn bound(server: &Server) -> Self {
        let mut client = Self::connect(server).await;
        assert_eq!(client.bind(BIND_DN, BIND_PASSWORD).await.rc, 0);
        client
    }

    pub async fn bind(&mut self, name: &str, password: &str) -> LdapResult {
        soon(self.ldap.simple_bind(name, password)).await.expect("an answer to the bind")
    }

    pub async fn search(
        &mut self,
        base: &str,
        scope: Scope,
        filter: &str,
        attributes: &[&str],
    ) -> Result<Found, LdapError> {
        let mut stream = soon(self.ldap.streaming_search(base, scope, filter, attributes)).await?;
        let mut found = Found::default();
        while let Some(item) = soon(stream.next()).await? {
            let (tag, urls) = (item.0.id, item.0.payload);
            match tag {
                4 => found.entries.push(got(urls)),
                _ => found.references.extend(parts(urls).into_iter().map(|url| text(url.payload))),
            }
        }
        let result = stream.finish().await;
        (found.code, found.text, found.referrals) = (result.rc, result.text, result.refs);
        let value = result.ctrls.into_iter().next().and_then(|control| control.1.val);
        found.cookie = value.map(|value| {
            let (_, tag) = ldap3::asn1::parse_tag(&value).expect("a paged results control");
            bytes(parts(tag.payload).remove(1).payload)
        });
        Ok(found)
    }

    /// All below the domain.
    pub async fn below(&mut self, filter: &str, attributes: &[&str]) -> Found {
        let found =
            self.search(super::ldap_server::people::BASE, Scope::Subtree, filter, attributes);
        found.await.expect("an answer to the search")
    }

    pub async fn object(&mut self, dn: &str, attributes: &[&str]) -> Found {
        let found = self.search(dn, Scope::Base, "(objectClass=*)", attributes);
        found.await.expect("an answer to the search")
    }

    /// The next search is limited.
    pub fn limit(&mut self, entries: i32) -> &mut Self {
        self.ldap.with_search_options(SearchOptions::new().sizelimit(entries));
        self
    }

    /// The next search gets one page.
    pub fn page(&mut self, size: i32, cookie: &[u8]) -> &mut Self {
        self.ldap.with_controls(PagedResults { size, cookie: cookie.into() }.critical());
        self
    }

    /// The next search has this critical control.
    pub fn control(&mut self, name: &str) -> &mut Self {
        self.ldap.with_controls(RawControl { ctype: name.into(), crit: true, val: None });
        self
    }
}

impl Found {
    /// The first component of each DN.
    pub fn names(&self) -> Vec<&str> {
        let first = |entry: &'_ Got| -> usize { entry.dn.find(',').unwrap_or(entry.dn.len()) };
        self.entries.iter().map(|entry| &entry.dn[..first(entry)]).collect()
    }

    /// The only entry there is.
    pub fn only(&self) -> &Got {
        assert_eq!((self.code, self.entries.len()), (0, 1), "{self:?}");
        &self.entries[0]
    }
}

impl Got {
    /// The values of an attribute, in their order.
    pub fn texts(&self, name: &str) -> Vec<String> {
        let values = self.values(name).iter();
        values.map(|value| String::from_utf8_lossy(value).into_owned()).collect()
    }

    pub fn values(&self, name: &str) -> &[Vec<u8>] {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map_or(&[], |(_, values)| values)
    }

    pub fn attribute_names(&self) -> Vec<&str> {
        self.attributes.iter().map(|(name, _)| name.as_str()).collect()
    }
}

/// Settings of a client that trusts this authority.
pub fn trusting(authority: &Authority) -> LdapConnSettings {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    let mut roots = rustls::RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(authority.pem.as_bytes());
    roots.add(certificate.expect("a certificate")).expect("a CA certificate");
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_root_certificates(roots)
        .with_no_client_auth();
    LdapConnSettings::new().set_config(config.into())
}

fn got(payload: PL) -> Got {
    let mut fields = parts(payload).into_iter();
    let mut next = || fields.next().expect("a DN and attributes").payload;
    let dn = text(next());
    let attributes = parts(next()).into_iter().map(|attribute| {
        let mut fields = parts(attribute.payload).into_iter();
        let mut next = || fields.next().expect("a name and values").payload;
        (text(next()), parts(next()).into_iter().map(|value| bytes(value.payload)).collect())
    });
    Got { dn, attributes: attributes.collect() }
}

fn parts(payload: PL) -> Vec<StructureTag> {
    match payload {
        PL::C(parts) => parts,
        PL::P(bytes) => panic!("parts, and not {bytes:x?}"),
    }
}

fn bytes(payload: PL) -> Vec<u8> {
    match payload {
        PL::P(bytes) => bytes,
        PL::C(parts) => panic!("bytes, and not {parts:?}"),
    }
}

fn text(payload: PL) -> String {
    String::from_utf8(bytes(payload)).expect("UTF-8")
}
