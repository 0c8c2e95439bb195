//! One bound connection to one server, and searches on it. Built around what the ldap3 crate leaves
//! to its user: the driver ends only by abort, results that are no success arrive as Ok, `is_closed`
//! does not see a frozen server, and message ids of searches are never given back.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ldap3::asn1::{PL, parse_tag};
use ldap3::controls::{Control, MakeCritical, PagedResults, RawControl};
use ldap3::exop::WhoAmI;
use ldap3::{
    Ldap, LdapConnAsync, LdapConnSettings, LdapError, Mod, Scope, SearchOptions, StdStream,
};
use tokio::sync::RwLock;
use tokio::task::JoinHandle;

use crate::directory::cache::is_within;
use crate::directory::ldap::credential::Credential;
use crate::directory::ldap::discover::Dns;
use crate::directory::ldap::entry::{Entry, Item};
use crate::directory::ldap::fault::{Fault, What};
#[cfg(feature = "gssapi")]
use crate::directory::ldap::kerberos;
use crate::directory::ldap::settings::{Bind, ServerAddress, Settings};
use crate::directory::ldap::stream::{Stream, connect};
use crate::mail::Timestamp;

/// AD closes what is idle for 900 s (MaxConnIdleTime), and firewalls forget earlier.
const IDLE: Duration = Duration::from_secs(240);

/// A connection lives no longer, so that new addresses, certificates and passwords come into use.
const AGE: Duration = Duration::from_secs(20 * 60);

/// ldap3 0.12 keeps the message id of every search, some 11 bytes each.
const REQUESTS: u64 = 1_000_000;

/// Bytes of all entries of one answer; a group of 50,000 members with long DNs has 6 MB.
const ANSWER_BYTES: usize = 64 << 20;

/// Entries of one page (Windows AD gives no more: MaxPageSize).
const PAGE: i32 = 500;

/// One page; a server that is frozen in the middle of a listing is not waited for to its end.
const PAGE_WAIT: Duration = Duration::from_secs(10);

/// Pages of one search: 10 million entries; a server that goes on beyond it goes on for ever.
const PAGES: usize = 20_000;

/// A search (RFC 4511, 4.5.1).
#[derive(Clone, Debug)]
pub(super) struct Search {
    pub base: String,
    pub scope: Scope,
    /// RFC 4515.
    pub filter: String,
    pub attributes: Vec<String>,
    /// How many entries are wanted: so many and no fault where there are more. `None`: all of them,
    /// by pages.
    pub most: Option<usize>,
}

impl Search {
    /// One object by its DN.
    pub fn object(dn: &str, attributes: &[&str]) -> Self {
        Self {
            base: dn.into(),
            scope: Scope::Base,
            filter: "(objectClass=*)".into(),
            attributes: attributes.iter().map(|name| (*name).into()).collect(),
            most: Some(1),
        }
    }

    /// All objects below a base.
    pub fn below(base: &str, filter: String, attributes: &[&str]) -> Self {
        Self {
            base: base.into(),
            scope: Scope::Subtree,
            filter,
            attributes: attributes.iter().map(|name| (*name).into()).collect(),
            most: None,
        }
    }

    pub fn at_most(mut self, most: usize) -> Self {
        self.most = Some(most);
        self
    }
}

/// A connection that is bound.
pub(super) struct Connection {
    ldap: Ldap,
    driver: JoinHandle<()>,
    server: String,
    certificate: Option<Vec<u8>>,
    /// By GSSAPI. ldap3 0.12 may leave an answer unread that came together with another one, until
    /// more comes; so one request is under way at a time.
    is_sealed: bool,
    /// Why the guard of the stream ended the connection.
    ended: Arc<OnceLock<String>>,
    born: Timestamp,
    /// Unix time in ms.
    used: AtomicI64,
    requests: AtomicU64,
    is_retired: AtomicBool,
    /// Held by searches by pages; by one of more than a page, alone.
    paging: RwLock<()>,
}

impl Drop for Connection {
    /// A driver whose socket is full sees neither dropped handles nor a closed peer.
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    /// Resolves, connects, does TLS and binds. Unbounded in time: the caller bounds it.
    pub async fn open(
        address: &ServerAddress,
        dns: &Dns,
        settings: &Settings,
        credential: &Credential,
        clock: fn() -> Timestamp,
    ) -> Result<Self, Fault> {
        let at = clock();
        let server = address.to_string();
        let failed = |why: String| Fault::new(&server, What::Connection(why));
        let addresses = dns.addresses(address).await.map_err(failed)?;
        let stream = connect(addresses, settings.timeout).await.map_err(failed)?;
        let (connection, ldap, certificate, ended) = match settings.bind {
            #[cfg(feature = "gssapi")]
            Bind::Gssapi => {
                let opened = kerberos::open(address, stream, &settings.tls).await;
                let (connection, ldap) = opened.map_err(failed)?;
                (connection, ldap, None, Arc::default())
            }
            _ => {
                let stream = Stream::open(address, stream, &settings.tls).await;
                let Stream { inner, certificate, ended } = stream.map_err(failed)?;
                let options = LdapConnSettings::new().set_std_stream(StdStream::Unix(inner));
                let opened = LdapConnAsync::with_settings(options, "ldapi:///").await;
                let (connection, ldap) = opened.map_err(|fault| Fault::of(&server, fault))?;
                (connection, ldap, certificate, ended)
            }
        };
        let driver = tokio::spawn(async move {
            // Every request under way is told by itself.
            let _ = connection.drive().await;
        });
        let connection = Self {
            ldap,
            driver,
            server,
            certificate,
            is_sealed: settings.bind == Bind::Gssapi,
            ended,
            born: at,
            used: AtomicI64::new(at.unix_ms()),
            requests: AtomicU64::new(0),
            is_retired: AtomicBool::new(false),
            paging: RwLock::new(()),
        };
        connection.bind(&settings.bind, &address.host, credential, clock).await?;
        Ok(connection)
    }

    async fn bind(
        &self,
        bind: &Bind,
        host: &str,
        credential: &Credential,
        clock: fn() -> Timestamp,
    ) -> Result<(), Fault> {
        let refused = |why: String| Fault::new(&self.server, What::Bind(why));
        let mut ldap = self.ldap.clone();
        let result = match bind {
            Bind::Anonymous => return Ok(()),
            Bind::Simple { dn, .. } => {
                // A silent server must not come by a password of which nobody hears again. Any answer
                // will do: Samba 4.17 does not know the question.
                ldap.extended(WhoAmI).await.map_err(|fault| self.told(fault))?;
                let attempt = credential.attempt(&self.server, clock).await.map_err(refused)?;
                let result = ldap.simple_bind(dn, &attempt.password).await;
                match &result {
                    Ok(result) if result.rc == 0 => attempt.accepted(),
                    Ok(result) if result.rc == 49 => {
                        attempt.refused(Fault::of_result("", result).to_string());
                    }
                    Ok(_) => attempt.unjudged(),
                    Err(_) => drop(attempt),
                }
                result
            }
            Bind::External => ldap.sasl_external_bind().await,
            #[cfg(feature = "gssapi")]
            Bind::Gssapi => kerberos::bind(ldap, host).await,
            #[cfg(not(feature = "gssapi"))]
            Bind::Gssapi => {
                return Err(refused(format!("gatepost was built without GSSAPI for {host}")));
            }
        };
        let result = result.map_err(|fault| self.told(fault))?;
        match result.rc {
            0 => Ok(()),
            // Refused for who we are, not for how the server is.
            7 | 8 | 13 | 14 | 48 | 49 | 50 | 53 => {
                Err(refused(Fault::of_result("", &result).to_string()))
            }
            _ => Err(Fault::of_result(&self.server, &result)),
        }
    }

    /// The server's certificate in DER; `None` without TLS.
    pub fn certificate(&self) -> Option<&[u8]> {
        self.certificate.as_deref()
    }

    fn told(&self, fault: LdapError) -> Fault {
        match (Fault::of(&self.server, fault), self.ended.get()) {
            (Fault { what: What::Connection(_), .. }, Some(why)) => {
                Fault::new(&self.server, What::Connection(why.clone()))
            }
            (fault, _) => fault,
        }
    }

    /// Whether the next request may go out on it.
    pub fn is_usable(&self, at: Timestamp) -> bool {
        let used = Timestamp::from_unix_ms(self.used.load(Ordering::Relaxed));
        !self.is_retired.load(Ordering::Relaxed)
            && !self.driver.is_finished()
            // Another thread may have used it a moment after `at`.
            && at.ms_since(used) < IDLE.as_millis() as u64
            && is_within(self.born, AGE.as_millis() as u64, at)
            && self.requests.load(Ordering::Relaxed) < REQUESTS
    }

    /// No further request goes out on it; those under way may end.
    pub fn retire(&self) {
        self.is_retired.store(true, Ordering::Relaxed);
    }

    /// Whether a request has gone out on it before, so that the server may have closed it since.
    pub fn is_worn(&self) -> bool {
        self.requests.load(Ordering::Relaxed) > 1
    }

    /// All entries of a search. The caller bounds it in time, and retires the connection when it
    /// gives up: ldap3 does not take the request back.
    pub async fn search(&self, search: &Search, at: Timestamp) -> Result<Vec<Entry>, Fault> {
        self.used.store(at.unix_ms(), Ordering::Relaxed);
        if self.is_sealed {
            let _alone = self.paging.write().await;
            return Ok(self.pages(search, PAGES).await?.0);
        }
        if search.most.is_some() {
            return Ok(self.pages(search, 1).await?.0);
        }
        // slapd (OpenLDAP 2.5) keeps one cookie a connection: any other search by pages makes it
        // invalid. Most searches end with their first page; one that does not begins again, alone.
        let first = {
            let _shared = self.paging.read().await;
            self.pages(search, 1).await?
        };
        if let (entries, true) = first {
            return Ok(entries);
        }
        let _alone = self.paging.write().await;
        match self.pages(search, PAGES).await? {
            (entries, true) => Ok(entries),
            _ => Err(Fault::new(&self.server, What::TooMuch(format!("more than {PAGES} pages")))),
        }
    }

    /// Changes one object. The caller bounds it in time.
    pub async fn modify(&self, dn: &str, change: Mod<Vec<u8>>) -> Result<(), Fault> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let result = self.ldap.clone().modify(dn, vec![change]).await;
        let result = result.map_err(|fault| self.told(fault))?;
        match result.rc {
            0 => Ok(()),
            _ => Err(Fault::of_result(&self.server, &result)),
        }
    }

    /// The entries of so many pages from the first one on, and whether those are all.
    async fn pages(&self, search: &Search, most: usize) -> Result<(Vec<Entry>, bool), Fault> {
        let (mut entries, mut bytes, mut cookie) = (Vec::new(), 0, Vec::new());
        for _ in 0..most {
            self.requests.fetch_add(1, Ordering::Relaxed);
            let page = self.page(search, cookie, &mut entries, &mut bytes);
            cookie = tokio::time::timeout(PAGE_WAIT, page)
                .await
                .unwrap_or_else(|_| Err(Fault::new(&self.server, What::Timeout)))?;
            if cookie.is_empty() {
                return Ok((entries, true));
            }
        }
        Ok((entries, false))
    }

    /// One page; the cookie of the next, empty after the last.
    async fn page(
        &self,
        search: &Search,
        cookie: Vec<u8>,
        entries: &mut Vec<Entry>,
        bytes: &mut usize,
    ) -> Result<Vec<u8>, Fault> {
        let told = |fault| self.told(fault);
        let mut ldap = self.ldap.clone();
        match search.most {
            Some(most) => {
                let most = i32::try_from(most).unwrap_or(i32::MAX);
                ldap.with_search_options(SearchOptions::new().sizelimit(most));
            }
            None => {
                ldap.with_controls(PagedResults { size: PAGE, cookie }.critical());
            }
        }
        let mut stream = ldap
            .streaming_search(&search.base, search.scope, &search.filter, &search.attributes)
            .await
            .map_err(told)?;
        while let Some(item) = stream.next().await.map_err(told)? {
            let entry = match Entry::read(item) {
                Item::Entry(entry) => entry,
                // AD names its other partitions in every search from the root (4.5.3).
                Item::Reference(_) | Item::Other => continue,
                Item::Malformed(what) => {
                    return Err(Fault::new(&self.server, What::Answer(what)));
                }
            };
            *bytes += entry.size();
            if *bytes > ANSWER_BYTES {
                let what = format!("an answer of more than {ANSWER_BYTES} bytes");
                return Err(Fault::new(&self.server, What::TooMuch(what)));
            }
            entries.push(entry);
        }
        let result = stream.finish().await;
        match (result.rc, search.most) {
            (0, Some(_)) => Ok(Vec::new()),
            // There are more than asked for.
            (4, Some(most)) if entries.len() >= most => Ok(Vec::new()),
            (0, None) => next_cookie(&result.ctrls)
                .map_err(|what| Fault::new(&self.server, What::Answer(what.into()))),
            _ => Err(Fault::of_result(&self.server, &result)),
        }
    }
}

/// The cookie of the next page (RFC 2696). No control in the answer: the server gave all at once.
fn next_cookie(controls: &[Control]) -> Result<Vec<u8>, &'static str> {
    let paged = |control: &&Control| control.1.ctype == "1.2.840.113556.1.4.319";
    let Some(Control(_, RawControl { val: Some(value), .. })) = controls.iter().find(paged) else {
        return Ok(Vec::new());
    };
    let odd = "a paged results control that cannot be read";
    let Ok((_, tag)) = parse_tag(value) else { return Err(odd) };
    let PL::C(parts) = tag.payload else { return Err(odd) };
    match parts.into_iter().nth(1).map(|part| part.payload) {
        Some(PL::P(cookie)) => Ok(cookie),
        _ => Err(odd),
    }
}
