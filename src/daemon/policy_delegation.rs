//! One policy delegation connection: question, answer, question, until the peer closes.

use std::pin::pin;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio_util::codec::Decoder;

use crate::daemon::clock::{self, Stopwatch};
use crate::daemon::connection::{End, Peer, Service, caught, write};
use crate::wire::policy_delegation::{Codec, Fault, serialise};

/// A request has 550 to 620 bytes; a few fit without growing.
const BUFFER_BYTES: usize = 4096;

/// Serves one connection to its end.
pub async fn serve<S: Peer>(service: &Service, mut stream: S) -> Result<End, Fault> {
    let mut codec = Codec::default();
    let mut incoming = BytesMut::with_capacity(BUFFER_BYTES);
    let mut outgoing = BytesMut::with_capacity(BUFFER_BYTES);
    let mut stopped = pin!(service.stop.cancelled());
    // One timer for the connection's whole life: a timer for each read would cost more than judging.
    let mut silence = tokio::time::interval(service.idle_timeout);
    silence.reset();
    let mut is_silent = true;
    loop {
        while let Some(facts) = codec.decode(&mut incoming)? {
            let watch = Stopwatch::start();
            let at = clock::now();
            outgoing.clear();
            let judging = service.engine.judge(&service.listener, facts, at);
            let Ok(judged) = caught(service, judging).await else {
                return own_fault(service, &mut stream, &mut outgoing).await;
            };
            serialise(&judged.decision.reply, &mut outgoing);
            write(&mut stream, &outgoing).await?;
            service.observer.decided(judged, watch.took());
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

/// Says that the fault is ours, and ends the connection: Postfix opens another at no cost.
async fn own_fault<S: AsyncWrite + Unpin>(
    service: &Service,
    stream: &mut S,
    outgoing: &mut BytesMut,
) -> Result<End, Fault> {
    serialise(&service.own_fault(), outgoing);
    write(stream, outgoing).await?;
    Ok(End::OwnFault)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::kit::{Broken, service};
    use crate::directory::Directory;
    use crate::mail::Protocol;
    use crate::rights::Mode;
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::io::{AsyncWriteExt, DuplexStream};
    use tokio::task::JoinHandle;
    use tokio_util::sync::CancellationToken;

    const QUESTION: &[u8] = b"request=smtpd_access_policy\nprotocol_state=RCPT\nrecipient=a@b\n\n";
    const ANSWER: &[u8] = b"action=DUNNO\n\n";
    const IDLE: Duration = Duration::from_secs(1200);

    /// A connection served by rules that judge nothing; the peer's end and how it ended.
    fn connect() -> (DuplexStream, CancellationToken, JoinHandle<Result<End, Fault>>) {
        connect_with(None)
    }

    fn connect_with(
        directory: Option<Arc<dyn Directory>>,
    ) -> (DuplexStream, CancellationToken, JoinHandle<Result<End, Fault>>) {
        let service = service(Protocol::PolicyDelegation, Mode::Enforce, IDLE, directory);
        let stop = service.stop.clone();
        let (peer, ours) = tokio::io::duplex(64 * 1024);
        (peer, stop, tokio::spawn(async move { serve(&service, ours).await }))
    }

    #[tokio::test(start_paused = true)]
    async fn a_fault_of_our_own_is_told_as_one_and_ends_the_connection() {
        let (mut peer, _stop, served) = connect_with(Some(Arc::new(Broken)));
        let question = b"request=smtpd_access_policy\nprotocol_state=MAIL\nsasl_username=a\n\n";
        peer.write_all(question).await.expect("written");
        let mut answer = Vec::new();
        peer.read_to_end(&mut answer).await.expect("answered");
        assert_eq!(answer, b"action=451 4.3.0 Temporary fault, try again later\n\n");
        assert_eq!(served.await.expect("no panic").expect("no fault"), End::OwnFault);
    }

    async fn ask(peer: &mut DuplexStream) {
        peer.write_all(QUESTION).await.expect("written");
        let mut answer = [0; ANSWER.len()];
        peer.read_exact(&mut answer).await.expect("answered");
        assert_eq!(answer, ANSWER);
    }

    async fn assert_nothing_more(peer: &mut DuplexStream) {
        let mut rest = Vec::new();
        peer.read_to_end(&mut rest).await.expect("read");
        assert_eq!(rest, b"");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_as_idle_as_postfix_may_leave_it_still_answers() {
        let (mut peer, _stop, served) = connect();
        for _ in 0..5 {
            // Postfix keeps one for 300 s idle and 1000 s in all.
            tokio::time::advance(Duration::from_secs(1100)).await;
            ask(&mut peer).await;
        }
        drop(peer);
        assert_eq!(served.await.expect("no panic").expect("no fault"), End::PeerClosed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_is_closed_in_the_end() {
        let (mut peer, _stop, served) = connect();
        ask(&mut peer).await;
        assert_eq!(served.await.expect("no panic").expect("no fault"), End::Idle);
        assert_nothing_more(&mut peer).await;
    }

    #[tokio::test(start_paused = true)]
    async fn half_a_request_does_not_keep_a_connection_open_for_ever() {
        let (mut peer, _stop, served) = connect();
        peer.write_all(&QUESTION[..20]).await.expect("written");
        assert_eq!(served.await.expect("no panic").expect("no fault"), End::Idle);
        assert_nothing_more(&mut peer).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_closes_at_rest_and_answers_what_was_begun() {
        let (mut peer, stop, served) = connect();
        ask(&mut peer).await;
        peer.write_all(&QUESTION[..20]).await.expect("written");
        // Let the half request be read before the stop.
        tokio::task::yield_now().await;
        stop.cancel();
        peer.write_all(&QUESTION[20..]).await.expect("written");
        let mut answer = [0; ANSWER.len()];
        peer.read_exact(&mut answer).await.expect("answered");
        assert_eq!(served.await.expect("no panic").expect("no fault"), End::Stopped);
        assert_nothing_more(&mut peer).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_broken_request_is_not_answered() {
        for request in [&b"request=junk\n\n"[..], b"\n", b"no equals sign\n\n"] {
            let (mut peer, _stop, served) = connect();
            peer.write_all(request).await.expect("written");
            assert!(served.await.expect("no panic").is_err());
            assert_nothing_more(&mut peer).await;
        }
    }
}
