//! Accepting: limits, allowed peers, and one task for each connection.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use ipnet::IpNet;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::unix::UCred;
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin;
use crate::config::Listen;
use crate::daemon::connection::{Peer, Service};
use crate::daemon::limited::Limited;
use crate::daemon::listen::Bound;
use crate::daemon::{milter, policy_delegation};
use crate::engine::Engine;
use crate::mail::Protocol;
use crate::observe::{Observer, Turned};

/// When accepting fails, as it does without a free descriptor, the next try is this much later.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Asked after 5 minutes of silence, every minute.
const KEEPALIVE: TcpKeepalive =
    TcpKeepalive::new().with_time(Duration::from_secs(300)).with_interval(Duration::from_secs(60));

/// A name that no other connection has, of this run or any other: a random number for the run, and
/// the connection's own.
fn connection_name() -> String {
    static RUN: LazyLock<u32> = LazyLock::new(|| RandomState::new().hash_one(()) as u32);
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    format!("{:x}.{:x}", *RUN, NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// One listener at work.
pub struct Door {
    service: Arc<Service>,
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
            service: Arc::new(Service {
                engine: Arc::clone(engine),
                observer: Arc::clone(observer),
                listener: Arc::clone(&listen.listener),
                idle_timeout: listen.idle_timeout,
                answer_within: listen.answer_within,
                id_header: listen.id_header,
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
        let stop = self.service.stop.clone();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                accepted = self.accept_one(&bound) => if let Err(fault) = accepted {
                    let socket = &*self.service.listener.name;
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
                // A peer that vanished without a word would hold its place until it counts as idle.
                SockRef::from(&stream).set_tcp_keepalive(&KEEPALIVE)?;
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
        self.service.observer.metrics.turned_away(self.service.listener.protocol, why);
        let socket = &*self.service.listener.name;
        tracing::warn!(socket, peer, ?why, "connection closed at once");
    }

    /// Serves the connection in a task of its own: whatever happens in it ends it alone.
    fn take<S: Peer + Send + 'static>(&self, stream: S, peer: String) {
        if self.open.load(Ordering::Relaxed) >= self.max_connections {
            self.turn_away(Turned::Limit, &peer);
            return;
        }
        let counted = Counted::new(&self.open, &self.service);
        let service = Arc::clone(&self.service);
        self.connections.spawn(async move {
            let _counted = counted;
            let end = match service.listener.protocol {
                Protocol::PolicyDelegation => {
                    let end = policy_delegation::serve(&service, stream).await;
                    end.map_err(|fault| (fault.kind(), fault.to_string()))
                }
                Protocol::Milter => {
                    let end = milter::serve(&service, stream, &connection_name()).await;
                    end.map_err(|fault| (fault.kind(), fault.to_string()))
                }
            };
            service.report(&peer, end);
        });
    }
}

/// Counts a connection as long as it lives, even when its task panics.
struct Counted {
    open: Arc<AtomicUsize>,
    service: Arc<Service>,
}

impl Counted {
    fn new(open: &Arc<AtomicUsize>, service: &Arc<Service>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        service.observer.metrics.connected(service.listener.protocol);
        Self { open: Arc::clone(open), service: Arc::clone(service) }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        let Service { observer, listener, .. } = &*self.service;
        observer.metrics.disconnected(listener.protocol);
        if std::thread::panicking() {
            observer.metrics.panicked();
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
            let service = router.into_make_service_with_connect_info::<admin::Peer>();
            axum::serve(Limited::new(listener), service).with_graceful_shutdown(stopped).await
        }
        Bound::Unix(listener, _path) => {
            let service = router.into_make_service_with_connect_info::<admin::Peer>();
            axum::serve(Limited::new(listener), service).with_graceful_shutdown(stopped).await
        }
    };
    if let Err(fault) = served {
        tracing::error!(%fault, "the HTTP server ended");
    }
}

impl Connected<IncomingStream<'_, Limited<UnixListener>>> for admin::Peer {
    fn connect_info(stream: IncomingStream<'_, Limited<UnixListener>>) -> Self {
        let known = stream.io().stream().peer_cred().ok();
        Self { uid: known.as_ref().map(UCred::uid), gid: known.as_ref().map(UCred::gid) }
    }
}

/// One that systemd handed over; nobody is known there.
impl Connected<IncomingStream<'_, Limited<TcpListener>>> for admin::Peer {
    fn connect_info(_: IncomingStream<'_, Limited<TcpListener>>) -> Self {
        Self { uid: None, gid: None }
    }
}
