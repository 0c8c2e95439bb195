//! One policy delegation connection: question, answer, question, until the peer closes.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_util::codec::Decoder;
use tokio_util::sync::CancellationToken;

use crate::daemon::clock::{self, Stopwatch};
use crate::decision::Listener;
use crate::engine::Engine;
use crate::mail::Protocol;
use crate::observe::Observer;
use crate::wire::policy_delegation::{Codec, Fault, serialise};

/// A peer that takes no answer for this long is gone: Postfix itself waits 100 s
/// (smtpd_policy_service_timeout).
const WRITE_TIMEOUT: Duration = Duration::from_secs(100);

/// A request has 550 to 620 bytes; a few fit without growing.
const BUFFER_BYTES: usize = 4096;

/// What a connection works with.
pub struct Session {
    pub engine: Arc<Engine>,
    pub observer: Arc<Observer>,
    pub listener: Arc<Listener>,
    /// A connection silent for this long is closed, at the latest after twice as long.
    pub idle_timeout: Duration,
    /// Cancelled when the daemon stops: the question under way is answered, then the connection is
    /// closed, which costs Postfix nothing.
    pub stop: CancellationToken,
}

/// Why a connection ended without a fault.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    PeerClosed,
    Idle,
    Stopped,
}

/// Serves one connection to its end.
pub async fn serve<S>(session: &Session, mut stream: S) -> Result<End, Fault>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut codec = Codec::default();
    let mut incoming = BytesMut::with_capacity(BUFFER_BYTES);
    let mut outgoing = BytesMut::with_capacity(BUFFER_BYTES);
    let mut stopped = pin!(session.stop.cancelled());
    // One timer for the connection's whole life: a timer for each read would cost more than judging.
    let mut silence = tokio::time::interval(session.idle_timeout);
    silence.reset();
    let mut is_silent = true;
    loop {
        while let Some(facts) = codec.decode(&mut incoming)? {
            let watch = Stopwatch::start();
            let judged = session.engine.judge(&session.listener, facts, clock::now()).await;
            outgoing.clear();
            serialise(&judged.decision.reply, &mut outgoing);
            write(&mut stream, &outgoing).await?;
            session.observer.decided(judged, watch.took());
            is_silent = false;
        }
        incoming.reserve(BUFFER_BYTES);
        tokio::select! {
            biased;
            read = stream.read_buf(&mut incoming) => if read? == 0 {
                codec.decode_eof(&mut incoming)?;
                return Ok(End::PeerClosed);
            },
            () = &mut stopped, if incoming.is_empty() => return Ok(End::Stopped),
            _ = silence.tick() => if std::mem::replace(&mut is_silent, true) {
                return Ok(End::Idle);
            },
        }
    }
}

async fn write<S: AsyncWrite + Unpin>(stream: &mut S, answer: &[u8]) -> Result<(), Fault> {
    match tokio::time::timeout(WRITE_TIMEOUT, stream.write_all(answer)).await {
        Ok(written) => Ok(written?),
        Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
    }
}

/// Tells of a connection's end in log and metrics.
pub fn report(session: &Session, peer: &str, end: Result<End, Fault>) {
    let socket = &*session.listener.name;
    match end {
        Ok(end) => tracing::debug!(socket, peer, ?end, "connection closed"),
        Err(fault) => {
            session.observer.metrics.protocol_error(Protocol::PolicyDelegation, fault.kind());
            tracing::warn!(socket, peer, %fault, kind = fault.kind(), "connection closed without an answer");
        }
    }
}
