//! What the connections of both protocols share: what they work with, how they end, and a panic that
//! ends nothing else.

use std::future::poll_fn;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_util::sync::CancellationToken;

use crate::decision::Listener;
use crate::engine::Engine;
use crate::mail::Reply;
use crate::observe::Observer;
use crate::rights::Mode;

/// A peer that takes no answer for this long is gone: Postfix itself waits 100 s
/// (smtpd_policy_service_timeout).
const WRITE_TIMEOUT: Duration = Duration::from_secs(100);

/// What a connection works with.
pub struct Service {
    pub engine: Arc<Engine>,
    pub observer: Arc<Observer>,
    pub listener: Arc<Listener>,
    /// A connection silent for this long is closed, at the latest after twice as long.
    pub idle_timeout: Duration,
    /// By milter: a question not judged within this is answered as a fault of our own.
    pub answer_within: Duration,
    /// By milter: whether what passes gets the header `X-Gatepost: ID`.
    pub id_header: bool,
    /// Cancelled when the daemon stops.
    pub stop: CancellationToken,
}

impl Service {
    /// The answer to a question that could not be judged.
    pub fn own_fault(&self) -> Reply {
        match self.listener.mode {
            Mode::Enforce => Reply::Refuse(self.engine.rules().replies.own_fault()),
            _ => Reply::NoObjection,
        }
    }

    /// Tells of a connection's end in log and metrics; a fault is its kind and its words.
    pub fn report(&self, peer: &str, end: Result<End, (&'static str, String)>) {
        let socket = &*self.listener.name;
        match end {
            Ok(end) => tracing::debug!(socket, peer, ?end, "connection closed"),
            Err((kind, fault)) => {
                self.observer.metrics.protocol_error(self.listener.protocol, kind);
                tracing::warn!(socket, peer, fault, kind, "connection closed without an answer");
            }
        }
    }
}

/// Why a connection ended without a fault.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    PeerClosed,
    Idle,
    Stopped,
    /// After a fault of our own.
    OwnFault,
}

/// The other end of a connection.
pub trait Peer: AsyncRead + AsyncWrite + Unpin {
    /// Acknowledges at once what was read. Sendmail writes macros and command apart, and holds the
    /// second back until the first is acknowledged, which Linux puts off for 40 ms.
    fn acknowledge(&self) {}
}

impl Peer for TcpStream {
    fn acknowledge(&self) {
        // Where it cannot be had, things are only slower.
        let _ = SockRef::from(self).set_tcp_quickack(true);
    }
}

impl Peer for UnixStream {}

#[cfg(test)]
impl Peer for tokio::io::DuplexStream {}

/// Runs `judging`; a panic in it is this question's fault alone, and is counted and logged.
pub async fn caught<T>(
    service: &Service,
    judging: impl Future<Output = T>,
) -> std::thread::Result<T> {
    let mut judging = pin!(judging);
    let judged = poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| judging.as_mut().poll(context)));
        match polled {
            Ok(Poll::Ready(judged)) => Poll::Ready(Ok(judged)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(panic) => Poll::Ready(Err(panic)),
        }
    })
    .await;
    if judged.is_err() {
        service.observer.metrics.panicked();
        tracing::error!(socket = &*service.listener.name, "a question could not be judged");
    }
    judged
}

/// Sends a whole answer in one write.
pub async fn write<S: AsyncWrite + Unpin>(stream: &mut S, answer: &[u8]) -> io::Result<()> {
    match tokio::time::timeout(WRITE_TIMEOUT, stream.write_all(answer)).await {
        Ok(written) => written,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}
