//! All servers as one: a request goes to the first that is well, and on to the next when that one
//! does not answer.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use ldap3::Scope;
use tokio::sync::Semaphore;

use crate::directory::ldap::connection::{Connection, Search};
use crate::directory::ldap::entry::Entry;
use crate::directory::ldap::fault::{Fault, What};
use crate::directory::ldap::resolver::NO_ATTRIBUTES;
use crate::directory::ldap::server::{Dial, Patience, Server};
use crate::directory::ldap::settings::{ServerAddress, Settings};
use crate::directory::meter::Operation;

/// Lookups at the servers at once; further ones wait their turn. One connection carries 12,000
/// searches a second when 64 are under way, and no more with more.
const UNDER_WAY: usize = 64;

/// A listing of 100,000 accounts from Samba takes half a minute.
const LONG: Duration = Duration::from_secs(120);

pub(crate) struct Pool {
    servers: ArcSwap<Vec<Arc<Server>>>,
    dial: Dial,
    turns: Semaphore,
}

impl Pool {
    pub fn new(addresses: Vec<ServerAddress>, dial: Dial) -> Self {
        let pool = Self {
            servers: ArcSwap::from_pointee(Vec::new()),
            dial,
            turns: Semaphore::new(UNDER_WAY),
        };
        pool.set_servers(addresses);
        pool
    }

    /// Takes up a new list; servers that stay keep their connections.
    pub fn set_servers(&self, addresses: Vec<ServerAddress>) {
        let old = self.servers.load();
        let known = |address: &ServerAddress| old.iter().find(|server| server.address == *address);
        let connections = self.dial.settings.connections;
        let new = addresses.into_iter().map(|address| match known(&address) {
            Some(server) => Arc::clone(server),
            None => {
                let server = Arc::new(Server::new(address, connections));
                self.dial.meter.server_up(&server.name, true);
                server
            }
        });
        self.servers.store(Arc::new(new.collect()));
    }

    pub fn servers(&self) -> Arc<Vec<Arc<Server>>> {
        self.servers.load_full()
    }

    pub fn dial(&self) -> &Dial {
        &self.dial
    }

    /// The server that lookups go to now.
    pub fn preferred(&self) -> Option<Arc<Server>> {
        self.in_order().into_iter().next()
    }

    /// Those that may be asked: the well ones in the order of preference, then those that failed but
    /// once or twice.
    fn in_order(&self) -> Vec<Arc<Server>> {
        let servers = self.servers.load();
        let well = servers.iter().filter(|server| server.is_well());
        let doubtful = servers.iter().filter(|server| !server.is_well() && server.is_tolerated());
        well.chain(doubtful).cloned().collect()
    }

    /// The entries of a search that a question waits for.
    pub async fn lookup(&self, search: &Search) -> Result<Vec<Entry>, Fault> {
        let Ok(_turn) = self.turns.acquire().await else {
            return Err(Fault::new("", What::NoServer("stopping".into())));
        };
        self.search(search, Patience::Lookup).await
    }

    /// The entries of a search that may take long.
    pub async fn list(&self, search: &Search) -> Result<Vec<Entry>, Fault> {
        self.search(search, Patience::Long).await
    }

    async fn search(&self, search: &Search, patience: Patience) -> Result<Vec<Entry>, Fault> {
        let servers = self.in_order();
        let Settings { base, group_base, .. } = &*self.dial.settings;
        let is_base = search.base == *base || search.base == *group_base;
        let is_without_base = |fault: &Fault| is_base && fault.is_no_such_object();
        let mut last = None;
        for server in &servers {
            match self.search_at(server, search, patience).await {
                Err(fault) if fault.is_of_the_server() || is_without_base(&fault) => {
                    last = Some(fault);
                }
                settled => return settled,
            }
        }
        Err(last.unwrap_or_else(|| {
            let said = self.servers.load().last().map(|server| server.said());
            Fault::new("", What::NoServer(said.unwrap_or_default()))
        }))
    }

    /// Asks one server; once more where it had merely closed a connection that was idle.
    pub async fn search_at(
        &self,
        server: &Arc<Server>,
        search: &Search,
        patience: Patience,
    ) -> Result<Vec<Entry>, Fault> {
        let wait = match patience {
            Patience::Lookup => self.dial.settings.timeout,
            Patience::Long => LONG,
        };
        let begun = server.counted();
        let asking = async {
            match self.ask(server, search, patience).await {
                Err((fault, true)) if fault.ends_connection() => {
                    self.ask(server, search, patience).await
                }
                answer => answer,
            }
        };
        let answer = match tokio::time::timeout(wait, asking).await {
            Ok(answer) => answer.map_err(|(fault, _)| fault),
            Err(_) => Err(Fault::new(&server.name, What::Timeout)),
        };
        match &answer {
            Err(fault) if fault.is_of_the_server() || self.is_hollow(search, fault) => {
                // A long request that is too slow says nothing of lookups.
                if patience == Patience::Lookup || !fault.is_timeout() {
                    server.failed(fault, begun, &self.dial);
                }
            }
            // Any answer is a sign of life.
            _ => server.succeeded(&self.dial),
        }
        answer
    }

    /// Whether the server has lost all that it is asked for: a database that is not mounted, or not
    /// replicated yet. Without the groups alone it still knows the accounts.
    fn is_hollow(&self, search: &Search, fault: &Fault) -> bool {
        fault.is_no_such_object() && search.base == self.dial.settings.base
    }

    /// Asks on one connection. With a fault: whether the connection had served before.
    async fn ask(
        &self,
        server: &Arc<Server>,
        search: &Search,
        patience: Patience,
    ) -> Result<Vec<Entry>, (Fault, bool)> {
        let connection =
            server.connection(&self.dial, patience).await.map_err(|fault| (fault, false))?;
        let operation =
            if search.scope == Scope::Base { Operation::Read } else { Operation::Search };
        let _running = self.dial.meter.request(operation);
        // Should the caller give up half way, the connection is of no more use to others.
        let mut guard = RetireUnlessDone { server, connection: &connection, is_done: false };
        let answer = connection.search(search, (self.dial.clock)()).await;
        guard.is_done = !matches!(&answer, Err(fault) if fault.ends_connection());
        drop(guard);
        answer.map_err(|fault| (fault, connection.is_worn()))
    }

    /// Asks those that failed, whether they are back. Called several times a second.
    pub async fn probe(&self) {
        let at = (self.dial.clock)();
        let due = self.servers.load_full();
        let due = due.iter().filter(|server| server.is_due(at));
        let probes = due.map(|server| async move {
            // Not the rootDSE, which a server has whose database is gone.
            let base = Search::object(&self.dial.settings.base, NO_ATTRIBUTES);
            // What it says is kept by the server's breaker.
            let _ = self.search_at(server, &base, Patience::Lookup).await;
        });
        futures_util::future::join_all(probes).await;
    }
}

struct RetireUnlessDone<'a> {
    server: &'a Server,
    connection: &'a Arc<Connection>,
    is_done: bool,
}

impl Drop for RetireUnlessDone<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            self.connection.retire();
            self.server.let_go(self.connection);
        }
    }
}
