//! `gatepost.toml`: what is read at start, and the rules, which a reload takes up.

mod action;
mod charging;
mod detector;
mod directory;
mod grants;
mod ldap;
mod listen;
mod load;
mod networks;
mod print;
mod privacy;
mod queue;
mod quotas;
mod replies;
mod rights;
mod store;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::action::Settings as ActionSettings;
use crate::decision::{Listener, Rules};
use crate::directory::{cache, ldap as ldap_directory};
use crate::observe::LoggedDecisions;
use crate::queue::MailServer;
use crate::settings::{Fault, Setting};

pub use listen::parse_socket;
pub use load::{load, parse};
pub use print::{print, restart_needed};

/// A configuration without a fault.
pub struct Config {
    pub startup: Startup,
    pub rules: Rules,
    /// Legal, but perhaps not what was meant.
    pub warnings: Vec<Fault>,
    /// Every effective value with its origin.
    pub settings: Vec<Setting>,
}

/// What needs a restart.
pub struct Startup {
    pub name: Box<str>,
    /// How long a stop waits for questions under way.
    pub drain: Duration,
    pub log: Log,
    pub listen: Vec<Listen>,
    /// `None`: no HTTP.
    pub http: Option<SocketAddr>,
    pub control: Endpoint,
    /// Who of those that may open the control socket may change something.
    pub operators: Operators,
    /// `None`: no directory, so that every login is unknown.
    pub directory: Option<DirectorySource>,
    pub store: StoreSource,
    pub actions: Vec<ActionSettings>,
    pub queues: Vec<QueueSource>,
}

/// One `[[queue]]`.
pub struct QueueSource {
    /// That of its listeners.
    pub mta: Box<str>,
    pub server: MailServer,
    /// The socket of its queue helper.
    pub helper: PathBuf,
    /// Of Postfix.
    pub config_directory: Option<PathBuf>,
}

/// What is remembered of accounts, and where.
pub struct StoreSource {
    /// Records kept in memory.
    pub accounts: NonZeroUsize,
    /// Where the key of all hashed addresses is. `None`: one of this run alone.
    pub hash_key_file: Option<PathBuf>,
    /// Records that `gatepost learn` wrote, taken in at the start where the store knows nothing of the account.
    pub learnt_file: Option<PathBuf>,
    /// `None`: in memory only.
    pub keep: Option<Keep>,
}

/// A store that outlives the process.
pub struct Keep {
    pub path: PathBuf,
    /// Records untouched for longer are removed.
    pub days: u32,
}

/// Where accounts and groups are.
pub enum DirectorySource {
    File(PathBuf),
    Ldap { ldap: Box<ldap_directory::settings::Settings>, cache: cache::Settings },
}

/// `[log]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    pub format: LogFormat,
    pub level: tracing::Level,
    pub decisions: LoggedDecisions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Human,
    Json,
    Journald,
}

/// One `[[listen]]`.
pub struct Listen {
    pub endpoint: Endpoint,
    pub listener: Arc<Listener>,
    /// TCP peers that may ask.
    pub allow_from: Vec<IpNet>,
    pub max_connections: usize,
    /// A connection silent for this long is closed.
    pub idle_timeout: Duration,
    /// By milter: a question not judged within this is answered as a fault of our own.
    pub answer_within: Duration,
    /// By milter: whether what passes gets the header `X-Gatepost: ID`.
    pub id_header: bool,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub socket: Socket,
    pub owner: Option<String>,
    pub group: Option<String>,
    /// Permission bits.
    pub mode: u32,
}

/// `[control] operators`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Operators {
    /// `None`: whoever may open the socket.
    pub names: Option<Vec<Operator>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operator {
    User(String),
    Group(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Socket {
    Inet(SocketAddr),
    Unix(PathBuf),
    /// Handed over by systemd under this name (`FileDescriptorName=`).
    Systemd(String),
}

impl std::fmt::Display for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Inet(address @ SocketAddr::V4(_)) => write!(f, "inet:{address}"),
            Self::Inet(address) => write!(f, "inet6:{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Systemd(name) => write!(f, "systemd:{name}"),
        }
    }
}
