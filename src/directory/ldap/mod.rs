//! A directory by LDAP (RFC 4511): Active Directory, Samba AD, OpenLDAP, FreeIPA, 389-ds.
//!
//! `connection`, `server` and `pool` ask; `resolver` and what builds on it turn a login, an address or
//! the name of a group into searches; the cache remembers; `tend` looks after all of it.

mod account;
mod breaker;
mod connection;
mod credential;
mod dates;
mod discover;
mod dn;
mod entry;
mod escape;
mod examine;
mod fault;
mod filter;
mod frame;
mod groups;
mod kept;
#[cfg(feature = "gssapi")]
mod kerberos;
mod member_of;
mod membership;
mod names;
mod owners;
mod path;
mod people;
mod pool;
mod reading;
mod recipient;
mod resolver;
mod restricted;
pub mod schema;
mod server;
pub mod settings;
mod sid;
mod state;
mod stream;
mod tend;
mod tls;
mod tree;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::directory::cache::{
    self, Absent, Cache, Clock, Fetch, Known, Limits, Trouble, is_within,
};
use crate::directory::ldap::account::Subject;
use crate::directory::ldap::credential::Credential;
use crate::directory::ldap::discover::Dns;
use crate::directory::ldap::fault::Fault;
use crate::directory::ldap::groups::{Found, GroupSet};
use crate::directory::ldap::owners::Owners;
use crate::directory::ldap::pool::Pool;
use crate::directory::ldap::recipient::Recipient;
use crate::directory::ldap::resolver::Resolver;
use crate::directory::ldap::restricted::Restricted;
use crate::directory::ldap::server::Dial;
use crate::directory::ldap::settings::{Servers, Settings};
use crate::directory::ldap::tree::Lifetime;
use crate::directory::meter::{Kept, Meter, NoMeter};
use crate::directory::{Answer, Author, Directory, Examined, ListedRecipient};
use crate::mail::{AccountKey, Address, Login, Timestamp};
use crate::rights::{Groups, Holder, Lookup, RecipientLookup};

pub(crate) use credential::read_password;
pub(crate) use dn::Dn;
pub(crate) use filter::{is_attribute, is_filter};
pub use membership::{Became, Membership};
pub(crate) use tls::{authorities, certificates, client_config_for, identity, private_key};

/// Answers kept of who may write to recipients with lists.
const RESTRICTIONS: usize = 10_000;

/// The directory, with what it remembers.
pub struct LdapDirectory(Arc<Inner>);

struct Inner {
    settings: Arc<Settings>,
    cache: cache::Settings,
    dns: Arc<Dns>,
    resolver: Resolver,
    accounts: Arc<Cache<Subject>>,
    recipients: Arc<Cache<Recipient>>,
    restrictions: Arc<Cache<Restricted>>,
    owners: Owners,
    groups: ArcSwap<GroupSet>,
    /// The groups of the rules, as they were last named.
    wanted: ArcSwap<Groups>,
    /// Whoever reads the groups holds it.
    reading: tokio::sync::Mutex<()>,
    /// Changes of groups that the watch has told, and how many of them there were when the reading
    /// of the groups began that is the last good one.
    changes_told: AtomicU64,
    changes_read: AtomicU64,
    /// When a question last had old groups read again: not each is to wait for groups that cannot be
    /// read. Unix time in ms.
    reread_at: AtomicI64,
    /// The last snapshot could not be written, and that was told.
    is_snapshot_lost: AtomicBool,
    clock: fn() -> Timestamp,
    meter: Arc<dyn Meter>,
}

impl LdapDirectory {
    /// Takes up what the snapshot has; asks nobody yet. Blocks on files. A fault is one of this
    /// machine, such as a resolv.conf that cannot be read.
    pub fn open(
        settings: Settings,
        cache: cache::Settings,
        clock: fn() -> Timestamp,
        meter: Arc<dyn Meter>,
    ) -> Result<Self, String> {
        let settings = Arc::new(settings);
        let dns = Arc::new(Dns::of(&settings.servers)?);
        let dial = Dial {
            credential: Arc::new(Credential::of(&settings.bind)),
            dns: Arc::clone(&dns),
            settings: Arc::clone(&settings),
            clock,
            meter: Arc::clone(&meter),
        };
        let listed = match &settings.servers {
            Servers::Listed(servers) => servers.clone(),
            Servers::Discovered { .. } => Vec::new(),
        };
        let resolver = Resolver {
            pool: Pool::new(listed, dial),
            settings: Arc::clone(&settings),
            life: Lifetime::of(cache.fresh, cache.serve_stale),
        };
        let limits = |capacity| Limits {
            fresh: cache.fresh,
            serve_stale: cache.serve_stale,
            negative: cache.negative,
            capacity,
        };
        let clocked: Clock = Arc::new(clock);
        let (accounts, recipients, restrictions) = (
            Cache::new(Kept::Accounts, &limits(cache.accounts), clocked.clone(), meter.clone()),
            Cache::new(Kept::Recipients, &limits(cache.recipients), clocked.clone(), meter.clone()),
            // A question for a recipient is counted once, as that.
            Cache::new(Kept::Restrictions, &limits(RESTRICTIONS), clocked, Arc::new(NoMeter)),
        );
        let inner = Inner {
            accounts,
            recipients,
            restrictions,
            owners: Owners::default(),
            groups: ArcSwap::from_pointee(GroupSet::default()),
            wanted: ArcSwap::from_pointee(Groups::default()),
            reading: tokio::sync::Mutex::new(()),
            changes_told: AtomicU64::new(0),
            changes_read: AtomicU64::new(0),
            reread_at: AtomicI64::new(0),
            settings,
            cache,
            dns,
            resolver,
            is_snapshot_lost: AtomicBool::new(false),
            clock,
            meter,
        };
        inner.take_up_snapshot();
        Ok(Self(Arc::new(inner)))
    }
}

impl Directory for LdapDirectory {
    fn lookup<'a>(&'a self, login: &'a Login, groups: &'a Groups) -> Answer<'a, Lookup> {
        let inner = &self.0;
        let set = inner.groups.load();
        if set.is_of(groups) {
            let usable = |subject: &Subject| Arc::ptr_eq(&subject.names, &set.names);
            let fetch = || inner.fetch_account(login);
            if let Some(known) = inner.accounts.at_hand(login.folded(), usable, fetch) {
                return Answer::Now(inner.told(known, groups));
            }
        }
        Answer::Later(Box::pin(inner.ask_account(login, groups)))
    }

    fn look_again(&self, login: &Login) {
        self.0.accounts.expire_one(login.folded());
    }

    fn recipient<'a>(
        &'a self,
        recipient: &'a Address,
        author: Author<'a>,
    ) -> Answer<'a, RecipientLookup> {
        self.0.recipient(recipient, author)
    }

    fn owners<'a>(
        &'a self,
        logins: &'a [Login],
        _: &'a Groups,
    ) -> Answer<'a, Vec<Option<AccountKey>>> {
        Answer::Later(Box::pin(self.0.owners(logins)))
    }

    fn path<'a>(&'a self, account: &'a AccountKey, group: &'a str) -> Answer<'a, Vec<String>> {
        Answer::Later(Box::pin(async move {
            let set = self.0.groups.load_full();
            let Some(Found::Group(group)) = set.find(&group.to_lowercase()) else {
                return Vec::new();
            };
            self.0.resolver.path(account, group).await.unwrap_or_else(|fault| {
                tracing::debug!(%fault, "the path to a group cannot be told");
                Vec::new()
            })
        }))
    }

    fn refresh(&self, groups: &Groups, _: bool) -> Result<bool, String> {
        if **self.0.wanted.load() != *groups {
            self.0.wanted.store(Arc::new(groups.clone()));
        }
        Ok(false)
    }

    fn tend(&self, stop: CancellationToken) -> Option<BoxFuture<'static, ()>> {
        Some(Arc::clone(&self.0).tend(stop).boxed())
    }

    fn examine<'a>(&'a self, groups: &'a Groups) -> Answer<'a, Vec<Examined>> {
        Answer::Later(Box::pin(self.0.examine(groups)))
    }

    fn recipients<'a>(&'a self) -> Answer<'a, Result<Vec<ListedRecipient>, String>> {
        Answer::Later(Box::pin(async move {
            self.0.find_servers().await;
            self.0.resolver.recipients().await.map_err(|fault| fault.to_string())
        }))
    }

    fn people<'a>(&'a self, groups: &'a Groups) -> Answer<'a, Result<Vec<Holder>, String>> {
        Answer::Later(Box::pin(async move {
            let told = |fault: Fault| fault.to_string();
            self.0.find_servers().await;
            self.0.take_up(groups).await.map_err(told)?;
            let set = self.0.groups.load_full();
            self.0.resolver.people(&set, (self.0.clock)()).await.map_err(told)
        }))
    }
}

impl Inner {
    /// Asks for a login, once the groups of the rules are read.
    async fn ask_account(self: &Arc<Self>, login: &Login, groups: &Groups) -> Lookup {
        let asked = async {
            if self.resolver.pool.servers().is_empty() {
                self.find_servers().await;
            }
            // Where no server answers, nobody waits for one more to say so; and the account must have
            // its time beside the groups.
            if !self.has_read(groups) && self.resolver.pool.preferred().is_some() {
                let reading = async {
                    let set = self.groups.load_full();
                    match set.is_read() && set.is_of(groups) {
                        true => self.renew(groups).await,
                        false => self.take_up(groups).await,
                    }
                };
                let reading = tokio::time::timeout(self.settings.wait * 2 / 3, reading);
                if let Ok(Err(fault)) = reading.await {
                    tracing::debug!(%fault, "the groups of the configuration cannot be read");
                }
            }
            self.known_account(login, groups, self.settings.wait).await
        };
        let known = match tokio::time::timeout(self.settings.wait, asked).await {
            Ok(known) => known,
            // The lookup goes on, and what was known before is served.
            Err(_) => self.known_account(login, groups, Duration::ZERO).await,
        };
        self.told(known, groups)
    }

    fn has_read(&self, groups: &Groups) -> bool {
        let set = self.groups.load();
        set.is_of(groups) && set.is_fresh(self.resolver.life, (self.clock)()) && !self.is_outdated()
    }

    /// A group has changed and was not read since.
    fn is_outdated(&self) -> bool {
        self.changes_read.load(Ordering::SeqCst) < self.changes_told.load(Ordering::SeqCst)
    }

    async fn known_account(
        self: &Arc<Self>,
        login: &Login,
        groups: &Groups,
        wait: Duration,
    ) -> Known<Subject> {
        let set = self.groups.load_full();
        let usable =
            |subject: &Subject| set.is_of(groups) && Arc::ptr_eq(&subject.names, &set.names);
        let fetch = || self.fetch_account(login);
        self.accounts.ask(login.folded(), wait, usable, fetch).await
    }

    fn told(&self, known: Known<Subject>, groups: &Groups) -> Lookup {
        match known {
            Known::Found(found) => {
                Lookup::Found(found.value.holder(groups.folded(), found.age_ms, (self.clock)()))
            }
            Known::Absent(Absent::NotFound) => Lookup::NotFound,
            Known::Absent(Absent::Ambiguous) => Lookup::Ambiguous,
            Known::Unknown(_) => Lookup::Unavailable,
        }
    }

    fn fetch_account(self: &Arc<Self>, login: &Login) -> Fetch<Subject> {
        let (inner, login) = (Arc::clone(self), login.clone());
        async move {
            let set = inner.groups.load_full();
            if !set.is_read() {
                // What would be found must not take the place of what is known.
                return Err(Trouble::Fault("the groups of the rules are not read yet".into()));
            }
            let found = inner.resolver.account(&login, &set, (inner.clock)()).await;
            found.map_err(|fault| trouble(&fault, "login", &login.to_string()))
        }
        .boxed()
    }

    /// Reads the groups of the rules, unless somebody else just did.
    async fn take_up(&self, groups: &Groups) -> Result<(), Fault> {
        let _reading = self.reading.lock().await;
        if self.has_read(groups) { Ok(()) } else { self.read_groups(groups).await }
    }

    /// Reads groups that are merely old, unless somebody is at it or was a moment ago: what is known of
    /// them still counts, and whoever asks is not to wait for a directory that does not tell.
    async fn renew(&self, groups: &Groups) -> Result<(), Fault> {
        let Ok(_reading) = self.reading.try_lock() else { return Ok(()) };
        let at = (self.clock)();
        let last = Timestamp::from_unix_ms(self.reread_at.load(Ordering::Relaxed));
        let is_pause = is_within(last, tend::GROUPS_PAUSE.as_millis() as u64, at);
        if is_pause || self.has_read(groups) {
            return Ok(());
        }
        self.reread_at.store(at.unix_ms(), Ordering::Relaxed);
        self.read_groups(groups).await
    }

    /// Reads the groups; answers that rest on others are no longer fresh. Whoever calls it holds
    /// `reading`.
    async fn read_groups(&self, groups: &Groups) -> Result<(), Fault> {
        let before = self.groups.load_full();
        // Those told from here on may be missing in what is read.
        let changes = self.changes_told.load(Ordering::SeqCst);
        let set = self.resolver.group_set(groups.folded(), &before, (self.clock)()).await?;
        let set = Arc::new(set);
        self.groups.store(Arc::clone(&set));
        self.changes_read.fetch_max(changes, Ordering::SeqCst);
        // Until now answers rested on what was known before.
        let at = (self.clock)();
        // Answers for groups of other names are of no use anyhow.
        if Arc::ptr_eq(&set.names, &before.names) && set.overturns(&before, self.resolver.life, at)
        {
            self.accounts.expire_all();
        }
        Ok(())
    }

    /// The servers that DNS names now; those known stay where DNS is silent.
    async fn find_servers(&self) {
        if matches!(self.settings.servers, Servers::Listed(_)) {
            return;
        }
        match self.dns.servers(&self.settings.servers, self.settings.schema.kind).await {
            Ok(servers) => self.resolver.pool.set_servers(servers),
            Err(fault) => tracing::warn!(%fault, "no directory server found by DNS"),
        }
    }
}

fn trouble(fault: &Fault, what: &str, whose: &str) -> Trouble {
    tracing::debug!(%fault, "lookup of {what} {whose:?}");
    if fault.is_timeout() { Trouble::Timeout } else { Trouble::Fault(fault.to_string()) }
}
