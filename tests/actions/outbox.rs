//! An outbox at work in this process, with pauses that a test can wait for.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gatepost::action::{Limits, Settings};
use gatepost::config::parse;
use gatepost::daemon::clock;
use gatepost::daemon::outbox::Outbox;
use gatepost::mail::{AccountKey, Mode, Timestamp};
use gatepost::observe::Metrics;
use gatepost::record::{Change, Notice, NoticeKind, Table};
use gatepost::store::{Memory, Store};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::process::until;

pub const SECRET: &str = "a secret of more than 24 bytes";

/// A folder of one test, gone at its end.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // Short, since the path of a unix socket is.
        let path = PathBuf::from(format!("/tmp/gatepost-actions-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        let folder = Self(path);
        folder.write("hook.secret", SECRET);
        folder
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("a file");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The actions of a configuration.
pub fn actions(text: &str, folder: &Path) -> Vec<Settings> {
    let config = parse("gatepost.toml", text, folder, "mx1.example.org");
    config.unwrap_or_else(|faults| panic!("{faults:?}")).startup.actions
}

pub struct Site {
    pub store: Arc<Memory>,
    _folder: Folder,
    metrics: Metrics,
    runtime: Runtime,
    stop: CancellationToken,
    running: Option<JoinHandle<()>>,
}

impl Site {
    pub fn new(text: &str) -> Self {
        Self::with(text, short())
    }

    pub fn with(text: &str, limits: Limits) -> Self {
        let folder = Folder::new();
        let actions = actions(text, &folder.0);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let store = Arc::new(Memory::new(NonZeroUsize::MIN));
        let mut site = Self {
            store,
            _folder: folder,
            metrics: Metrics::new(),
            runtime,
            stop: CancellationToken::new(),
            running: None,
        };
        site.run(&actions, limits);
        site
    }

    fn run(&mut self, actions: &[Settings], limits: Limits) {
        let store = Arc::clone(&self.store) as Arc<dyn Store>;
        let metrics = self.metrics.actions.clone();
        let opened = Outbox::open(store, actions, limits, metrics, clock::now);
        let outbox = Arc::new(self.runtime.block_on(opened).expect("opened"));
        self.running = Some(self.runtime.spawn(outbox.run(self.stop.clone())));
    }

    pub fn send(&self, notices: &[Notice]) {
        let account = AccountKey::object("file", "alice");
        let events: Vec<_> = notices.iter().map(Notice::to_event).collect();
        let mut judge = |_: &_| Change { events: events.clone(), ..Change::default() };
        self.runtime.block_on(self.store.update(&account, &mut judge)).expect("committed");
    }

    /// The keys of all deliveries that are kept.
    pub fn kept(&self) -> Vec<String> {
        let rows = self.store.rows(Table::Deliveries, "", 100_000);
        let rows = self.runtime.block_on(rows).expect("read");
        rows.into_iter().map(|(key, _)| key.into()).collect()
    }

    #[track_caller]
    pub fn wait_until_nothing_is_kept(&self) {
        until("nothing is kept", || {
            let outbox = self.runtime.block_on(self.store.outbox(1)).expect("read");
            (self.kept().is_empty() && outbox.is_empty()).then_some(())
        });
    }

    pub fn metric(&self, name: &str) -> i64 {
        let text = String::from_utf8(self.metrics.expose().expect("exposed")).expect("text");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in\n{text}"))
    }

    #[track_caller]
    pub fn wait_for_metric(&self, name: &str, least: i64) {
        until(&format!("{name} is {least}"), || (self.metric(name) >= least).then_some(()));
    }

    /// Stops it, and waits for its end.
    pub fn stop(&mut self) {
        self.stop.cancel();
        if let Some(running) = self.running.take() {
            self.runtime.block_on(running).expect("no panic");
        }
    }
}

/// Pauses of milliseconds in place of seconds.
pub fn short() -> Limits {
    Limits {
        first_pause: Duration::from_millis(10),
        longest_pause: Duration::from_millis(80),
        ..Limits::default()
    }
}

pub fn notice(id: &str, kind: NoticeKind) -> Notice {
    let mut notice = Notice::new(id, kind, Timestamp::from_unix_ms(1_790_000_000_000));
    notice.mode = Some(Mode::Enforce);
    notice.login = Some("alice".into());
    // Of an account of its own, but for a test that says otherwise.
    notice.account = Some(format!("file:{id}"));
    notice.incident = Some("0123456789AB".into());
    notice.reason = Some("wrote to 40 strangers".into());
    notice
}

pub fn suspended(id: &str) -> Notice {
    notice(id, NoticeKind::Suspended)
}
