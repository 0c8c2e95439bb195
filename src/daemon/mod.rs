//! Listeners, signals, reload and drain: what keeps the engine asked.

pub mod clock;
mod connection;
pub mod hash_key;
mod holds;
#[cfg(test)]
mod kit;
mod limited;
mod listen;
pub mod log;
mod milter;
pub mod outbox;
mod policy_delegation;
mod reload;
mod serve;
mod tending;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::action::Limits;
use crate::admin::{Actions, Control, Health, control_router, page_router};
use crate::config::{Config, DirectorySource, Startup, StoreSource};
use crate::daemon::outbox::Outbox;
use crate::daemon::serve::Door;
use crate::directory::meter::Meter;
use crate::directory::{Directory, FileDirectory, LdapDirectory};
use crate::engine::{Engine, Helpers};
use crate::ledger::HashKey;
use crate::mail::AccountKey;
use crate::observe::{Observer, StoreMetrics};
use crate::queue::Helper;
use crate::record::{Change, Record, from_file};
use crate::settings::Fault;
use crate::store::embedded::{OpenFault, Settings};
use crate::store::meter::Meter as StoreMeter;
use crate::store::{Embedded, Memory, Metered, Store, StoreFault};

pub use listen::{Bound, Handed, bind};

/// How often the directory file is looked at for a change.
const REFRESH_EVERY: Duration = Duration::from_secs(2);

/// Why the daemon did not start.
#[derive(Debug)]
pub enum StartFault {
    Directory(Vec<Fault>),
    Store { path: PathBuf, fault: OpenFault },
    Socket { socket: String, fault: io::Error },
    Other(io::Error),
}

impl fmt::Display for StartFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(faults) => {
                let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
                f.write_str(&lines.join("\n"))
            }
            Self::Store { path, fault } => {
                write!(f, "cannot open the store {}: {fault}", path.display())
            }
            Self::Socket { socket, fault } => write!(f, "cannot listen on {socket}: {fault}"),
            Self::Other(fault) => write!(f, "{fault}"),
        }
    }
}

impl std::error::Error for StartFault {}

impl From<io::Error> for StartFault {
    fn from(fault: io::Error) -> Self {
        Self::Other(fault)
    }
}

/// The directory the configuration names, if any. `meter` is told what it does.
pub fn open_directory(
    startup: &Startup,
    meter: Arc<dyn Meter>,
) -> Result<Option<Arc<dyn Directory>>, StartFault> {
    Ok(match &startup.directory {
        None => None,
        Some(DirectorySource::File(path)) => {
            Some(Arc::new(FileDirectory::open(path).map_err(StartFault::Directory)?))
        }
        Some(DirectorySource::Ldap { ldap, cache }) => {
            let opened = LdapDirectory::open((**ldap).clone(), cache.clone(), clock::now, meter);
            Some(Arc::new(opened.map_err(io::Error::other)?))
        }
    })
}

/// The store the configuration names. `metrics` is told what it does.
fn open_store(
    source: &StoreSource,
    key: HashKey,
    metrics: &Arc<StoreMetrics>,
) -> Result<Arc<dyn Store>, StartFault> {
    let store = open_unmetered(source, key, metrics)?;
    metrics.opened();
    Ok(Arc::new(Metered::new(store, Arc::clone(metrics) as Arc<dyn StoreMeter>)))
}

fn open_unmetered(
    source: &StoreSource,
    key: HashKey,
    metrics: &Arc<StoreMetrics>,
) -> Result<Arc<dyn Store>, StartFault> {
    let Some(keep) = &source.keep else { return Ok(Arc::new(Memory::new(source.accounts))) };
    let metrics = Arc::clone(metrics);
    let opened = Embedded::open(Settings {
        path: keep.path.clone(),
        key,
        accounts: source.accounts,
        keep_days: keep.days,
        clock: clock::now,
        on_commit: Box::new(move |landed| metrics.committed(landed)),
    });
    match opened {
        Ok(store) => Ok(Arc::new(store)),
        Err(fault) => Err(StartFault::Store { path: keep.path.clone(), fault }),
    }
}

/// The records `gatepost learn` wrote.
fn learnt(file: &Path, key: HashKey) -> io::Result<Vec<(AccountKey, Record)>> {
    let told = |why: String| io::Error::other(format!("{}: {why}", file.display()));
    let bytes = std::fs::read(file).map_err(|fault| told(fault.to_string()))?;
    from_file(&bytes, key.id()).map_err(|fault| told(fault.to_string()))
}

/// Each where the store knows nothing of its account: what it counted itself is newer.
async fn take_in(store: &dyn Store, records: Vec<(AccountKey, Record)>) -> Result<(), StoreFault> {
    for (account, record) in records {
        let mut put = |known: &Record| Change {
            record: (*known == Record::default()).then(|| record.clone()),
            ..Change::default()
        };
        store.update(&account, &mut put).await?;
    }
    Ok(())
}

/// Runs until SIGTERM or SIGINT. `ready` is called once everything listens.
pub async fn run(
    file: &Path,
    config: Config,
    host: &str,
    ready: impl FnOnce(),
) -> Result<(), StartFault> {
    let Config { startup, rules, settings, .. } = config;
    let observer = Arc::new(Observer::new(startup.log.decisions));
    let directory = open_directory(&startup, observer.metrics.directory.clone())?;
    let key = hash_key::open(startup.store.hash_key_file.as_deref())?;
    let store = open_store(&startup.store, key, &observer.metrics.store)?;
    if let Some(file) = &startup.store.learnt_file {
        take_in(&*store, learnt(file, key)?).await.map_err(io::Error::other)?;
    }
    let engine = Arc::new(Engine::new(directory.clone(), Arc::clone(&store), key, rules));
    engine.take_up().await.map_err(io::Error::other)?;
    let metrics = observer.metrics.actions.clone();
    let outbox =
        Outbox::open(store.clone(), &startup.actions, Limits::default(), metrics, clock::now);
    let outbox = Arc::new(outbox.await.map_err(io::Error::other)?);
    observer.metrics.config_read(true, clock::now());
    observer.metrics.directory_read(true, clock::now());
    let health = Arc::new(Health::default());
    let (connections, stop) = (TaskTracker::new(), CancellationToken::new());
    let helpers = startup.queues.iter();
    let helpers = helpers.map(|queue| (queue.mta.clone(), Helper::new(&queue.helper)));
    let helpers: Arc<Helpers> = Arc::new(helpers.collect());
    let doors = Doors {
        engine: &engine,
        observer: &observer,
        outbox: &outbox,
        helpers: &helpers,
        connections: &connections,
        stop: &stop,
    };
    // Before anyone is told that it runs: until here a signal ends the process where it stands.
    let signals = Signals::receive()?;
    let accepting = doors.open(&startup, &health).await?;
    let marking = Arc::clone(&engine);
    let until_stopped = stop.clone();
    tokio::spawn(async move { marking.keep_marking(until_stopped).await });
    let acting = tokio::spawn(Arc::clone(&outbox).run(stop.clone()));
    let accounts =
        tending::Accounts { engine: Arc::clone(&engine), observer: Arc::clone(&observer) };
    tokio::spawn(accounts.tend(stop.clone()));
    tokio::spawn(tending::reconcile(Arc::clone(&engine), outbox, stop.clone()));
    let tending = directory.as_ref().and_then(|directory| {
        let _ = directory.refresh(&engine.rules().groups, false);
        directory.tend(stop.clone()).map(tokio::spawn)
    });
    if !helpers.is_empty() {
        let timer = holds::Timer::new(&engine, &observer, &helpers, clock::now);
        tokio::spawn(timer.run(stop.clone()));
    }
    health.set_ready(true);
    ready();
    tell_systemd(&[NotifyState::Ready]);

    let reload = reload::Reload {
        file: PathBuf::from(file),
        host: host.into(),
        engine,
        observer: Arc::clone(&observer),
        directory,
        running: settings,
    };
    wait_for_the_end(reload, signals).await;

    tell_systemd(&[NotifyState::Stopping]);
    health.set_ready(false);
    tracing::info!(drain = ?startup.drain, "stopping: answering what was asked");
    stop.cancel();
    accepting.close();
    connections.close();
    let drained = tokio::time::timeout(startup.drain, async {
        accepting.wait().await;
        connections.wait().await;
    });
    // What is under way and does not end in time is done again by the next run.
    let acted = tokio::time::timeout(startup.drain, AbortOnDropHandle::new(acting));
    let (drained, _) = tokio::join!(drained, acted);
    if let Some(tending) = tending {
        // It writes down what it knows; a disk that hangs must not keep the daemon.
        let _ = tokio::time::timeout(startup.drain, tending).await;
    }
    if let Err(fault) = store.flush().await {
        tracing::error!(%fault, "what was counted last is lost");
    }
    match drained {
        Ok(()) => tracing::info!("stopped"),
        Err(_) => tracing::warn!(
            connections = connections.len(),
            "stopped at the drain deadline with connections open"
        ),
    }
    Ok(())
}

/// The signals the daemon lives by.
struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From here on they are kept for whoever waits for them.
    fn receive() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }
}

/// Handles signals until one of them says stop.
async fn wait_for_the_end(mut reload: reload::Reload, mut signals: Signals) {
    let mut refresh = tokio::time::interval(REFRESH_EVERY);
    let mut watchdog = watchdog();
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => return,
            _ = signals.interrupt.recv() => return,
            Some(()) = signals.hangup.recv() => {
                tell_systemd(&[NotifyState::Reloading, clock::monotonic()]);
                reload.config();
                reload.directory(true);
                tell_systemd(&[NotifyState::Ready]);
            }
            _ = refresh.tick() => reload.directory(false),
            _ = watchdog.tick() => tell_systemd(&[NotifyState::Watchdog]),
        }
    }
}

/// systemd wants a sign of life twice within WatchdogSec (sd_watchdog_enabled(3)); where it asks for
/// none, telling it costs nothing.
fn watchdog() -> tokio::time::Interval {
    let every = sd_notify::watchdog_enabled().map_or(Duration::from_secs(3600), |whole| whole / 2);
    tokio::time::interval(every.max(Duration::from_millis(1)))
}

fn tell_systemd(state: &[NotifyState<'_>]) {
    if let Err(fault) = sd_notify::notify(state) {
        tracing::warn!(%fault, "cannot tell systemd of this state");
    }
}

/// What the listeners share.
struct Doors<'a> {
    engine: &'a Arc<Engine>,
    observer: &'a Arc<Observer>,
    outbox: &'a Arc<Outbox>,
    helpers: &'a Arc<Helpers>,
    connections: &'a TaskTracker,
    stop: &'a CancellationToken,
}

impl Doors<'_> {
    /// Binds everything before anything is accepted, so that a start either works or says why not.
    async fn open(
        &self,
        startup: &Startup,
        health: &Arc<Health>,
    ) -> Result<TaskTracker, StartFault> {
        let mut handed = Handed::receive()?;
        let mut bound = Vec::new();
        for listen in &startup.listen {
            let socket = bind(&listen.endpoint, &mut handed).await;
            bound.push(socket.map_err(|fault| at(&listen.endpoint.socket, fault))?);
        }
        let control = bind(&startup.control, &mut handed)
            .await
            .map_err(|fault| at(&startup.control.socket, fault))?;
        let http = match startup.http {
            Some(address) => Some(
                tokio::net::TcpListener::bind(address)
                    .await
                    .map_err(|fault| at(&format_args!("http://{address}"), fault))?,
            ),
            None => None,
        };
        let accepting = TaskTracker::new();
        for (listen, bound) in startup.listen.iter().zip(bound) {
            let door = Door::new(listen, self.engine, self.observer, self.connections, self.stop);
            accepting.spawn(door.accept(bound));
        }
        let listeners = startup.listen.iter().map(|l| Arc::clone(&l.listener)).collect();
        let (engine, observer) = (Arc::clone(self.engine), Arc::clone(self.observer));
        let helpers = Arc::clone(self.helpers);
        let state = Control {
            engine,
            observer,
            listeners,
            helpers,
            clock: clock::now,
            started: clock::now(),
            operators: Arc::new(startup.operators.clone()),
            actions: Arc::clone(self.outbox) as Arc<dyn Actions>,
        };
        accepting.spawn(serve::control(control, control_router(state), self.stop.clone()));
        if let Some(http) = http {
            let (engine, observer) = (Arc::clone(self.engine), Arc::clone(self.observer));
            let router = page_router(engine, observer, Arc::clone(health), clock::now);
            // Not waited for: the pages tell of the drain, and end with the process.
            tokio::spawn(serve::pages(http, router));
        }
        Ok(accepting)
    }
}

fn at(socket: &dyn fmt::Display, fault: io::Error) -> StartFault {
    StartFault::Socket { socket: socket.to_string(), fault }
}
