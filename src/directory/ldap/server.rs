//! One server: its few connections, and how it has answered of late.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::directory::ldap::breaker::Breaker;
use crate::directory::ldap::connection::Connection;
use crate::directory::ldap::credential::Credential;
use crate::directory::ldap::discover::Dns;
use crate::directory::ldap::fault::{Fault, What};
use crate::directory::ldap::settings::{ServerAddress, Settings};
use crate::directory::meter::{Meter, Operation};
use crate::mail::Timestamp;

/// Dialling goes on for so long after the lookup that began it has gone elsewhere.
const DIAL: Duration = Duration::from_secs(5);

/// A place for one connection. One task dials; the others wait for what comes of it.
#[derive(Default)]
struct Slot {
    held: tokio::sync::Mutex<Option<Arc<Connection>>>,
    /// Diallings that failed so far, and how the last one did.
    failures: AtomicUsize,
    failure: Mutex<Option<Fault>>,
}

pub(super) struct Server {
    pub address: ServerAddress,
    pub name: String,
    slots: Vec<Arc<Slot>>,
    /// For requests that take long, so that lookups do not wait behind them: a Samba connection
    /// answers one request after the other.
    long: Arc<Slot>,
    next: AtomicUsize,
    breaker: Mutex<Breaker>,
}

/// For which kind of request a connection is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// A question waits for it.
    Lookup,
    /// Nobody does: listings, group trees, the watch.
    Long,
}

/// What every dialling needs.
#[derive(Clone)]
pub(super) struct Dial {
    pub settings: Arc<Settings>,
    pub credential: Arc<Credential>,
    pub dns: Arc<Dns>,
    pub clock: fn() -> Timestamp,
    pub meter: Arc<dyn Meter>,
}

impl Server {
    pub fn new(address: ServerAddress, connections: usize) -> Self {
        Self {
            name: address.to_string(),
            address,
            slots: (0..connections.max(1)).map(|_| Arc::default()).collect(),
            long: Arc::default(),
            next: AtomicUsize::new(0),
            breaker: Mutex::new(Breaker::default()),
        }
    }

    /// A usable connection, dialled where there is none. Dialling outlives a caller that gives up.
    pub async fn connection(
        self: &Arc<Self>,
        dial: &Dial,
        patience: Patience,
    ) -> Result<Arc<Connection>, Fault> {
        let slot = match patience {
            Patience::Long => &self.long,
            Patience::Lookup => {
                &self.slots[self.next.fetch_add(1, Ordering::Relaxed) % self.slots.len()]
            }
        };
        if let Ok(held) = slot.held.try_lock()
            && let Some(connection) = held.as_ref()
            && connection.is_usable((dial.clock)())
        {
            return Ok(Arc::clone(connection));
        }
        let (slot, dial, server) = (Arc::clone(slot), dial.clone(), Arc::clone(self));
        let before = slot.failures.load(Ordering::Acquire);
        let dialling = tokio::spawn(async move { server.fill(&slot, before, &dial).await });
        dialling.await.unwrap_or_else(|fault| {
            Err(Fault::new(&self.name, What::Connection(fault.to_string())))
        })
    }

    /// `before`: failures when the caller came. Where one has come since, it is the caller's too, or
    /// a queue of callers would dial a dead server one after the other.
    async fn fill(
        &self,
        slot: &Slot,
        before: usize,
        dial: &Dial,
    ) -> Result<Arc<Connection>, Fault> {
        let mut held = slot.held.lock().await;
        let at = (dial.clock)();
        if let Some(connection) = held.as_ref()
            && connection.is_usable(at)
        {
            return Ok(Arc::clone(connection));
        }
        *held = None;
        if slot.failures.load(Ordering::Acquire) != before
            && let Some(fault) = slot.failure.lock().clone()
        {
            return Err(fault);
        }
        let _running = dial.meter.request(Operation::Connect);
        let opening = Connection::open(
            &self.address,
            &dial.dns,
            &dial.settings,
            &dial.credential,
            dial.clock,
        );
        let opened = tokio::time::timeout(DIAL, opening)
            .await
            .unwrap_or_else(|_| Err(Fault::new(&self.name, What::Timeout)));
        match opened {
            Ok(connection) => {
                let connection = Arc::new(connection);
                *held = Some(Arc::clone(&connection));
                Ok(connection)
            }
            Err(fault) => {
                *slot.failure.lock() = Some(fault.clone());
                slot.failures.fetch_add(1, Ordering::Release);
                Err(fault)
            }
        }
    }

    /// Ends a retired connection once the requests under way on it have ended: a server may send on
    /// and on for one that was given up.
    pub fn let_go(&self, connection: &Arc<Connection>) {
        for slot in self.slots.iter().chain([&self.long]) {
            // Whoever has it locked is about to put another in its place.
            if let Ok(mut held) = slot.held.try_lock()
                && held.as_ref().is_some_and(|held| Arc::ptr_eq(held, connection))
            {
                *held = None;
            }
        }
    }

    pub fn is_well(&self) -> bool {
        self.breaker.lock().is_well()
    }

    pub fn is_tolerated(&self) -> bool {
        self.breaker.lock().is_tolerated()
    }

    pub fn is_due(&self, at: Timestamp) -> bool {
        self.breaker.lock().is_due(at)
    }

    /// What the last failure was.
    pub fn said(&self) -> String {
        self.breaker.lock().said.clone()
    }

    /// How many failures were counted so far.
    pub fn counted(&self) -> u64 {
        self.breaker.lock().counted()
    }

    /// `begun`: [`Self::counted`] when the request began.
    pub fn failed(&self, fault: &Fault, begun: u64, dial: &Dial) {
        let said = fault.to_string();
        if self.breaker.lock().failed(said, begun, (dial.clock)()) {
            tracing::warn!(server = self.name, %fault, "directory server does not answer");
            dial.meter.server_up(&self.name, false);
        }
    }

    pub fn succeeded(&self, dial: &Dial) {
        if self.breaker.lock().succeeded() {
            tracing::info!(server = self.name, "directory server answers again");
            dial.meter.server_up(&self.name, true);
        }
    }
}
