//! Accepting: limits, allowed peers, and one task for each connection.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use ipnet::IpNet;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Listen;
use crate::daemon::limited::Limited;
use crate::daemon::listen::Bound;
use crate::daemon::policy_delegation::{self, Session};
use crate::engine::Engine;
use crate::observe::{Observer, Turned};

/// When accepting fails, as it does without a free descriptor, the next try is this much later.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// One listener at work.
pub struct Door {
    session: Arc<Session>,
    allow_from: Vec<IpNet>,
    max_connections: usize,
    open: Arc<AtomicUsize>,
    connections: TaskTracker,
}

impl Door {
    pub fn new(
        listen: &Listen,
        engine: &Arc<Engine>,
        observer: &Arc<Observer>,
        connections: &TaskTracker,
        stop: &CancellationToken,
    ) -> Self {
        Self {
            session: Arc::new(Session {
                engine: Arc::clone(engine),
                observer: Arc::clone(observer),
                listener: Arc::clone(&listen.listener),
                idle_timeout: listen.idle_timeout,
                stop: stop.clone(),
            }),
            allow_from: listen.allow_from.clone(),
            max_connections: listen.max_connections,
            open: Arc::default(),
            connections: connections.clone(),
        }
    }

    /// Accepts until the daemon stops.
    pub async fn accept(self, bound: Bound) {
        let stop = self.session.stop.clone();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                accepted = self.accept_one(&bound) => if let Err(fault) = accepted {
                    let socket = &*self.session.listener.name;
                    tracing::error!(socket, %fault, "cannot accept a connection");
                    let _ = tokio::time::timeout(ACCEPT_AGAIN, stop.cancelled()).await;
                },
            }
        }
    }

    async fn accept_one(&self, bound: &Bound) -> io::Result<()> {
        match bound {
            Bound::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                if !self.is_allowed(peer.ip()) {
                    self.turn_away(Turned::Peer, &peer.to_string());
                    return Ok(());
                }
                // One answer is one small packet; it must not wait for the next.
                stream.set_nodelay(true)?;
                self.take(stream, peer.to_string());
            }
            Bound::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                self.take(stream, "unix".into());
            }
        }
        Ok(())
    }

    fn is_allowed(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.allow_from.iter().any(|net| net.contains(&peer))
    }

    fn turn_away(&self, why: Turned, peer: &str) {
        self.session.observer.metrics.turned_away(why);
        let socket = &*self.session.listener.name;
        tracing::warn!(socket, peer, ?why, "connection closed at once");
    }

    /// Serves the connection in a task of its own: whatever happens in it ends it alone.
    fn take<S>(&self, stream: S, peer: String)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        if self.open.load(Ordering::Relaxed) >= self.max_connections {
            self.turn_away(Turned::Limit, &peer);
            return;
        }
        let counted = Counted::new(&self.open, &self.session.observer);
        let session = Arc::clone(&self.session);
        self.connections.spawn(async move {
            let _counted = counted;
            let end = policy_delegation::serve(&session, stream).await;
            policy_delegation::report(&session, &peer, end);
        });
    }
}

/// Counts a connection as long as it lives, even when its task panics.
struct Counted {
    open: Arc<AtomicUsize>,
    observer: Arc<Observer>,
}

impl Counted {
    fn new(open: &Arc<AtomicUsize>, observer: &Arc<Observer>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        observer.metrics.connected();
        Self { open: Arc::clone(open), observer: Arc::clone(observer) }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        self.observer.metrics.disconnected();
        if std::thread::panicking() {
            self.observer.metrics.panicked();
        }
    }
}

/// Serves the pages for as long as the process lives.
pub async fn pages(listener: tokio::net::TcpListener, router: Router) {
    if let Err(fault) = axum::serve(Limited::new(listener), router).await {
        tracing::error!(%fault, "the HTTP server ended");
    }
}

/// Serves the control socket until the daemon stops.
pub async fn control(bound: Bound, router: Router, stop: CancellationToken) {
    let stopped = stop.cancelled_owned();
    let served = match bound {
        Bound::Tcp(listener) => {
            axum::serve(Limited::new(listener), router).with_graceful_shutdown(stopped).await
        }
        Bound::Unix(listener, _path) => {
            axum::serve(Limited::new(listener), router).with_graceful_shutdown(stopped).await
        }
    };
    if let Err(fault) = served {
        tracing::error!(%fault, "the HTTP server ended");
    }
}
