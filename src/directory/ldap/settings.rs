//! What `[directory.ldap]` says, read and checked: servers, TLS, bind, where to look and by what
//! names. No file is opened and no address resolved here.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::directory::ldap::schema::Schema;

/// `[directory.ldap]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub servers: Servers,
    pub tls: Tls,
    pub bind: Bind,
    /// The DN below which accounts and recipients are.
    pub base: String,
    /// The DN below which groups are.
    pub group_base: String,
    pub schema: Schema,
    /// Folded: `alice@REALM` is the login `alice`.
    pub realms: Vec<Box<str>>,
    /// Folded: `NAME\alice` is the login `alice`.
    pub netbios: Vec<Box<str>>,
    /// Connections to one server at once.
    pub connections: usize,
    /// One request, and one dialling; what is slower counts as a server that does not answer.
    pub timeout: Duration,
    /// A question waits no longer before it gets what was known ([`WAIT`]).
    pub wait: Duration,
}

/// Long enough for two servers, and short enough that there is time to serve what is known before the
/// engine gives up (2 s).
pub const WAIT: Duration = Duration::from_millis(1_800);

/// Which servers there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Servers {
    /// In the order of preference.
    Listed(Vec<ServerAddress>),
    /// By DNS SRV records (RFC 2782); `name_servers` empty: those of resolv.conf(5).
    Discovered { domain: String, name_servers: Vec<SocketAddr> },
}

/// One server. Its name is also what its certificate must bear.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerAddress {
    pub host: String,
    pub port: u16,
    /// TLS from the first byte (`ldaps://`).
    pub ldaps: bool,
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.ldaps { "ldaps" } else { "ldap" };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]:{}", self.host, self.port),
            false => write!(f, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}

/// `[directory.ldap.tls]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// StartTLS (RFC 4511, 4.14) on `ldap://`.
    pub starttls: bool,
    /// `ldap://` without StartTLS: everybody on the way can read the password and forge the answers.
    pub insecure_plaintext: bool,
    /// PEM; `None`: the system's certificates.
    pub ca_file: Option<PathBuf>,
    /// PEM of a certificate and of its key.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// `[directory.ldap.bind]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bind {
    Anonymous,
    Simple {
        dn: String,
        /// Holds the password, without its line end; read again when a bind needs it.
        password_file: PathBuf,
    },
    /// SASL EXTERNAL by the client certificate.
    External,
    /// SASL GSSAPI, with the ticket the environment has.
    Gssapi,
}
