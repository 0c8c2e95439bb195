//! An LDAP directory before scripted servers, with a clock that stands still and a meter that
//! remembers. Each test runs on a thread of its own, and so do all tasks it starts; the clock is the
//! thread's.

use std::any::Any;
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gatepost::directory::cache;
use gatepost::directory::ldap::schema::{Kind, Schema};
use gatepost::directory::ldap::settings::{Bind, ServerAddress, Servers, Settings, Tls};
use gatepost::directory::meter::{Kept, LookupResult, Meter, Operation};
use gatepost::directory::{Answer, Author, Directory, LdapDirectory};
use gatepost::mail::{AccountKey, Address, Login, Timestamp};
use gatepost::rights::{Groups, Holder, Lookup, Membership, RecipientLookup, Restriction};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::client::{DEADLINE, soon};
use crate::ldap_server::people::{BASE, BIND_DN, BIND_PASSWORD};
use crate::ldap_server::{Server, When};

pub const FRESH: Duration = Duration::from_secs(300);
pub const SERVE_STALE: Duration = Duration::from_secs(86_400);
pub const NEGATIVE: Duration = Duration::from_secs(60);

/// As in tests/daemon: alice is in the first, bob in the second, carol in the second and third.
pub const GROUPS: [&str; 3] = ["Mail-Relay", "Mail-Submit", "No-Mail"];

thread_local! {
    static NOW: Cell<i64> = const { Cell::new(0) };
}

fn now() -> Timestamp {
    Timestamp::from_unix_ms(NOW.get())
}

/// What may differ from site to site.
pub struct Plan {
    pub settings: Settings,
    pub cache: cache::Settings,
}

pub struct Site {
    pub directory: Arc<LdapDirectory>,
    pub meter: Arc<Tally>,
    pub groups: Groups,
    pub folder: Folder,
    tending: Option<JoinHandle<()>>,
}

/// A folder of one test, gone at its end.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("ldap-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("a file");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn groups(names: &[&str]) -> Groups {
    let mut groups = Groups::default();
    for name in names {
        groups.index(name);
    }
    groups
}

/// Waits for what tells nobody when it comes.
pub async fn until<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    let waiting = async {
        loop {
            ticks.tick().await;
            if let Some(found) = probe().await {
                return found;
            }
        }
    };
    let found = tokio::time::timeout(DEADLINE, waiting).await;
    found.unwrap_or_else(|_| panic!("{what}: not within {DEADLINE:?}"))
}

impl Site {
    pub fn new(servers: &[&Server]) -> Self {
        Self::with(servers, |_| {})
    }

    pub fn with(servers: &[&Server], change: impl FnOnce(&mut Plan)) -> Self {
        NOW.set(1_790_000_000_000);
        let folder = Folder::new();
        let password_file = folder.write("bind.pw", &format!("{BIND_PASSWORD}\n"));
        let listed = servers.iter().map(|server| ServerAddress {
            host: "127.0.0.1".into(),
            port: server.address.port(),
            ldaps: false,
        });
        let settings = Settings {
            servers: Servers::Listed(listed.collect()),
            tls: Tls { insecure_plaintext: true, ..Tls::default() },
            bind: Bind::Simple { dn: BIND_DN.into(), password_file },
            base: BASE.into(),
            group_base: BASE.into(),
            schema: Schema::of(Kind::ActiveDirectory),
            realms: vec!["example.org".into()],
            netbios: vec!["example".into()],
            connections: 4,
            // Long for a busy machine; what waits it out says so and takes a shorter one.
            // A busy machine must not look like a silent server.
            timeout: Duration::from_secs(10),
            wait: Duration::from_secs(20),
        };
        let cache = cache::Settings {
            fresh: FRESH,
            serve_stale: SERVE_STALE,
            negative: NEGATIVE,
            accounts: 10_000,
            recipients: 10_000,
            snapshot: None,
            watch: None,
        };
        let mut plan = Plan { settings, cache };
        change(&mut plan);
        let meter = Arc::new(Tally::default());
        let opened =
            LdapDirectory::open(plan.settings, plan.cache, now, Arc::clone(&meter) as Arc<_>);
        let directory = Arc::new(opened.expect("a directory"));
        let groups = groups(&GROUPS);
        directory.refresh(&groups, false).expect("other groups");
        Self { directory, meter, groups, folder, tending: None }
    }

    /// With a server that takes its time counted as silent after `timeout`.
    pub fn hasty(servers: &[&Server], timeout: Duration) -> Self {
        Self::with(servers, |plan| plan.settings.timeout = timeout)
    }

    /// From now on it looks after itself.
    pub fn tend(&mut self) {
        let tending = self.directory.tend(CancellationToken::new()).expect("something to do");
        self.tending = Some(tokio::spawn(tending));
    }

    pub fn pass(&self, time: Duration) {
        NOW.set(NOW.get() + i64::try_from(time.as_millis()).expect("it fits"));
    }

    pub fn now(&self) -> Timestamp {
        now()
    }

    pub fn set_back(&self, time: Duration) {
        NOW.set(NOW.get() - i64::try_from(time.as_millis()).expect("it fits"));
    }

    /// So that the next answer is no longer fresh.
    pub fn pass_fresh(&self) {
        self.pass(FRESH + Duration::from_secs(1));
    }

    /// The rules name these groups from now on.
    pub fn rename_groups(&mut self, names: &[&str]) {
        self.groups = groups(names);
        self.directory.refresh(&self.groups, false).expect("other groups");
    }

    pub async fn lookup(&self, login: &str) -> Lookup {
        self.lookup_bytes(login.as_bytes()).await
    }

    pub async fn lookup_bytes(&self, login: &[u8]) -> Lookup {
        let login = Login::parse(login).expect("a login");
        self.settled(self.directory.lookup(&login, &self.groups)).await
    }

    /// Whoever must be there.
    #[track_caller]
    pub fn holder(&self, login: &str) -> impl Future<Output = Holder> {
        let caller = std::panic::Location::caller();
        let login = login.to_owned();
        async move {
            match self.lookup(&login).await {
                Lookup::Found(holder) => holder,
                other => panic!("{login} at {caller}: {other:?}"),
            }
        }
    }

    /// `y`, `n` and `?` for each group.
    pub async fn memberships(&self, login: &str) -> String {
        let holder = self.holder(login).await;
        assert_eq!(holder.memberships.0.len(), self.groups.len(), "one for each group");
        let letter = |membership: &Membership| match membership {
            Membership::Yes => 'y',
            Membership::No => 'n',
            Membership::Unknown => '?',
        };
        holder.memberships.0.iter().map(letter).collect()
    }

    /// Waits for an answer with these memberships: a busy machine may take longer for a large answer
    /// than a question waits.
    pub async fn comes(&self, login: &str, memberships: &str) {
        until(memberships, async || {
            let is_there = matches!(self.lookup(login).await, Lookup::Found(_));
            (is_there && self.memberships(login).await == memberships).then_some(())
        })
        .await;
    }

    /// The same, once the groups that became old have been read again.
    pub async fn settles(&self, login: &str, memberships: &str) {
        until(memberships, async || {
            self.pass(Duration::from_secs(1));
            (self.memberships(login).await == memberships).then_some(())
        })
        .await;
    }

    pub async fn recipient(&self, address: &str, author: Author<'_>) -> RecipientLookup {
        let address = Address::from_internal(address.as_bytes());
        self.settled(self.directory.recipient(&address, author)).await
    }

    pub async fn restriction(&self, address: &str, author: Author<'_>) -> Restriction {
        match self.recipient(address, author).await {
            RecipientLookup::Found(restriction) => restriction,
            other => panic!("{address} for {author:?}: {other:?}"),
        }
    }

    pub async fn key(&self, login: &str) -> AccountKey {
        self.holder(login).await.account.key.clone()
    }

    pub async fn settled<T>(&self, answer: Answer<'_, T>) -> T {
        match answer {
            Answer::Now(found) => found,
            Answer::Later(later) => soon(later).await,
        }
    }

    /// How lookups ended since the last call.
    pub fn results(&self) -> Vec<LookupResult> {
        std::mem::take(&mut self.meter.lookups.lock().expect("no panic"))
    }

    /// All is well again within some time, without anything being done about it.
    pub async fn is_well_again(&self, login: &str) {
        until("all well again", async || {
            self.pass(Duration::from_secs(1));
            self.results();
            self.lookup(login).await;
            matches!(*self.results(), [LookupResult::Fresh | LookupResult::Cached]).then_some(())
        })
        .await;
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(tending) = &self.tending {
            tending.abort();
        }
    }
}

/// Searches for an account by one of its logins.
pub fn locate(login: &str) -> When {
    When::search().filter(&format!("(sAMAccountName={login})"))
}

/// Remembers what it was told.
#[derive(Default)]
pub struct Tally {
    lookups: Mutex<Vec<LookupResult>>,
    servers: Mutex<Vec<(String, bool)>>,
    stale_ages: Mutex<Vec<u64>>,
    pub under_way: Arc<AtomicUsize>,
}

impl Tally {
    /// The last port of each message since the last call: `+` for up, `-` for down, by the place of
    /// its server in `servers`.
    pub fn servers(&self, servers: &[&Server]) -> String {
        let told = std::mem::take(&mut *self.servers.lock().expect("no panic"));
        let place = |name: &str| {
            let port = |server: &&Server| name.ends_with(&format!(":{}", server.address.port()));
            servers.iter().position(port).map_or("?".into(), |place| place.to_string())
        };
        let sign = |up: bool| if up { '+' } else { '-' };
        told.iter().map(|(name, up)| format!("{}{}", sign(*up), place(name))).collect()
    }

    /// Since the last call.
    pub fn stale_ages(&self) -> Vec<u64> {
        std::mem::take(&mut self.stale_ages.lock().expect("no panic"))
    }
}

struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Meter for Tally {
    fn lookup(&self, result: LookupResult) {
        self.lookups.lock().expect("no panic").push(result);
    }

    fn request(&self, _: Operation) -> Box<dyn Any + Send> {
        self.under_way.fetch_add(1, Ordering::SeqCst);
        Box::new(Running(Arc::clone(&self.under_way)))
    }

    fn server_up(&self, server: &str, up: bool) {
        self.servers.lock().expect("no panic").push((server.into(), up));
    }

    fn entries(&self, _: Kept, _: u64) {}

    fn stale_age_ms(&self, age_ms: u64) {
        self.stale_ages.lock().expect("no panic").push(age_ms);
    }
}
