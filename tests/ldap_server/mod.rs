//! A scripted LDAP server (RFC 4511) on loopback, as Windows AD is by default. It plays what real
//! servers cannot be brought to do: limits of Windows, answers that are late, half, endless or junk.
//!
//! The codec is its own: ldap3_proto is under MPL-2.0, which deny.toml does not take, and one shared
//! with the client (lber) would hide a fault that both sides have.
#![allow(dead_code, unused_imports, reason = "each test takes what it needs")]

pub mod behaviour;
mod ber;
mod connection;
mod directory;
mod dn;
mod entry;
mod filter;
pub mod garbage;
pub mod message;
pub mod people;
mod respond;
pub mod script;
mod tls;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc as blocking};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinSet;
use tokio_rustls::rustls::ServerConfig;

pub use behaviour::{Behaviour, InChain};
pub use directory::Directory;
pub use entry::Entry;
pub use script::{Deviation, Seen, When};
pub use tls::Authority;

use people::{BIND_DN, BIND_PASSWORD};
use respond::State;
use script::Script;

/// Long enough for a busy machine; what is waited for takes milliseconds.
const DEADLINE: Duration = Duration::from_secs(30);

/// A server on a port of its own, until it is dropped. It has a thread and a runtime of its own, so
/// that it goes on whatever the test's runtime does.
pub struct Server {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    commands: mpsc::UnboundedSender<Command>,
    farewell: broadcast::Sender<Deviation>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    security: Mutex<Security>,
    frozen: watch::Sender<bool>,
    /// How many requests have been seen.
    seen: watch::Sender<usize>,
    /// How many connections there are.
    open: watch::Sender<usize>,
}

#[derive(Default)]
struct Security {
    /// `None`: no TLS.
    config: Option<Arc<ServerConfig>>,
    /// TLS from the first byte; else by StartTLS.
    is_ldaps: bool,
}

/// What the server's thread is told; it says when it is done.
struct Command(What, blocking::Sender<()>);

enum What {
    Open,
    Shut,
    CloseAll,
    Stop,
}

impl Server {
    /// A server that has these entries.
    pub fn start(directory: Directory) -> Self {
        let state = State {
            directory,
            behaviour: Behaviour::default(),
            credentials: vec![(BIND_DN.into(), BIND_PASSWORD.into())],
            script: Script::default(),
            seen: Vec::new(),
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            security: Mutex::default(),
            frozen: watch::Sender::new(false),
            seen: watch::Sender::new(0),
            open: watch::Sender::new(0),
        });
        let (commands, to_do) = mpsc::unbounded_channel();
        let farewell = broadcast::Sender::new(4);
        let (ready, address) = blocking::channel();
        let parts = (Arc::clone(&shared), farewell.clone());
        let thread = std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(run(parts.0, parts.1, to_do, ready));
        });
        let address = address.recv().expect("a port");
        Self { address, shared, commands, farewell, thread: Some(thread) }
    }

    /// TLS from the first byte, from now on.
    pub fn ldaps(&self, config: Arc<ServerConfig>) {
        *self.shared.security() = Security { config: Some(config), is_ldaps: true };
    }

    /// StartTLS is offered, from now on.
    pub fn starttls(&self, config: Arc<ServerConfig>) {
        *self.shared.security() = Security { config: Some(config), is_ldaps: false };
    }

    /// Changes entries.
    pub fn directory<T>(&self, change: impl FnOnce(&mut Directory) -> T) -> T {
        change(&mut self.shared.state().directory)
    }

    /// Changes one entry, by its DN or sAMAccountName.
    pub fn change(&self, who: &str, change: impl FnOnce(&mut Entry) -> &mut Entry) {
        change(self.shared.state().directory.change(who));
    }

    pub fn behaviour(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.shared.state().behaviour);
    }

    /// The password of the account that tests bind as; the one before is wrong now.
    pub fn password(&self, password: &str) {
        self.shared.state().credentials = vec![(BIND_DN.into(), password.into())];
    }

    /// From now on this happens to these requests.
    pub fn on(&self, when: When, deviation: Deviation) {
        self.shared.state().script.add(when, deviation);
    }

    /// From now on nothing out of the ordinary happens.
    pub fn behave(&self) {
        self.shared.state().script.clear();
    }

    /// All requests so far, in their order.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.state().seen.clone()
    }

    /// How many requests were of this kind.
    pub fn count(&self, when: &When) -> usize {
        self.shared.state().seen.iter().filter(|seen| when.fits(seen)).count()
    }

    /// Forgets the requests so far.
    pub fn forget(&self) {
        self.shared.state().seen.clear();
    }

    /// Waits until there were so many requests of this kind. Panics with all when there are not.
    pub async fn reaches(&self, when: &When, count: usize) {
        let mut changes = self.shared.seen.subscribe();
        let reached = changes.wait_for(|_| self.count(when) >= count);
        if tokio::time::timeout(DEADLINE, reached).await.is_err() {
            let seen: Vec<String> = self.seen().iter().map(ToString::to_string).collect();
            panic!("fewer than {count} of {when:?}:\n{}", seen.join("\n"));
        }
    }

    /// Waits until no connection is left.
    pub async fn is_alone(&self) {
        let mut open = self.shared.open.subscribe();
        let alone = tokio::time::timeout(DEADLINE, open.wait_for(|open| *open == 0)).await;
        alone.expect("no connection within the deadline").expect("the server's own end");
    }

    /// New connections are refused, from now on; those there are stay.
    pub fn shut(&self) {
        self.command(What::Shut);
    }

    /// Connections are accepted again.
    pub fn open(&self) {
        self.command(What::Open);
    }

    /// Closes every connection there is.
    pub fn close_all(&self) {
        self.command(What::CloseAll);
    }

    /// Gone as by SIGKILL: everything is closed and new connections are refused.
    pub fn kill(&self) {
        self.shut();
        self.close_all();
    }

    /// Every connection gets this, out of the blue, and is closed.
    pub fn farewell(&self, deviation: Deviation) {
        // Nobody is there to get it where there is no connection.
        let _ = self.farewell.send(deviation);
    }

    /// As by SIGSTOP: the kernel still takes connections and bytes, and nothing is read or written.
    pub fn freeze(&self) {
        self.shared.frozen.send_replace(true);
    }

    pub fn thaw(&self) {
        self.shared.frozen.send_replace(false);
    }

    fn command(&self, what: What) {
        let (done, wait) = blocking::channel();
        if self.commands.send(Command(what, done)).is_ok() {
            // An error: the thread is gone, and with it all that was to be done.
            let _ = wait.recv();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.command(What::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn security(&self) -> MutexGuard<'_, Security> {
        self.security.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a request, and says what is to become of it.
    fn remember(&self, seen: Seen) -> Option<Deviation> {
        let (count, deviation) = {
            let mut state = self.state();
            let deviation = state.script.play(&seen);
            state.seen.push(seen);
            (state.seen.len(), deviation)
        };
        self.seen.send_replace(count);
        deviation
    }
}

/// What the server's thread does.
async fn run(
    shared: Arc<Shared>,
    farewell: broadcast::Sender<Deviation>,
    mut commands: mpsc::UnboundedReceiver<Command>,
    ready: blocking::Sender<SocketAddr>,
) {
    // Bound and not listening: it refuses, and keeps the port while the listener is away.
    let keeper = socket(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let address = keeper.local_addr().expect("a port");
    let mut listener = Some(listen(address));
    ready.send(address).expect("whoever started the server");
    let mut connections = JoinSet::new();
    let mut number = 0;
    loop {
        tokio::select! {
            biased;
            command = commands.recv() => {
                let Some(Command(what, done)) = command else { return };
                match what {
                    What::Open => listener = listener.or_else(|| Some(listen(address))),
                    What::Shut => listener = None,
                    What::CloseAll => connections.shutdown().await,
                    What::Stop => return,
                }
                let _ = done.send(());
            }
            stream = accept(listener.as_ref()) => {
                number += 1;
                let shared = Arc::clone(&shared);
                let serving = connection::serve(stream, number, shared, farewell.subscribe());
                connections.spawn(serving);
            }
            Some(_) = connections.join_next() => {}
        }
        shared.open.send_replace(connections.len());
    }
}

/// Several sockets may share the port (SO_REUSEPORT), of which only one listens.
fn socket(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseport(true).expect("a shared port");
    socket.bind(address).expect("a port on loopback");
    socket
}

fn listen(address: SocketAddr) -> TcpListener {
    socket(address).listen(128).expect("a listener")
}

async fn accept(listener: Option<&TcpListener>) -> TcpStream {
    let Some(listener) = listener else { return std::future::pending().await };
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            // Small messages go out at once.
            let _ = stream.set_nodelay(true);
            return stream;
        }
    }
}
