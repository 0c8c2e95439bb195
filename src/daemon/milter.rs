//! One milter connection: as long as an SMTP session, for as many messages as it carries.

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio_util::codec::Decoder;

use crate::daemon::clock::{self, Stopwatch};
use crate::daemon::connection::{End, Peer, Service, caught, write};
use crate::decision::{AtEnd, ChargeAt, Hold};
use crate::mail::Facts;
use crate::wire::milter::{Codec, Command, Fault, Session, Step, Wants};

/// Macros and command come together, and are a few hundred bytes.
const BUFFER_BYTES: usize = 4096;

/// Serves one connection until the mail server closes it: a stop lets it go on, since one that is
/// closed between two messages costs its SMTP client the next one. `name` is unique among all
/// connections.
pub async fn serve<S: Peer>(service: &Service, mut stream: S, name: &str) -> Result<End, Fault> {
    let mut session = Session::new(name, wants(service));
    let mut incoming = BytesMut::with_capacity(BUFFER_BYTES);
    let mut outgoing = BytesMut::with_capacity(BUFFER_BYTES);
    let mut silence = tokio::time::interval(service.idle_timeout.max(Duration::from_millis(1)));
    silence.reset();
    let mut is_silent = true;
    loop {
        while let Some(frame) = Codec.decode(&mut incoming)? {
            is_silent = false;
            outgoing.clear();
            let command = Command::parse(frame.code, &frame.payload)?;
            match session.step(command, &mut outgoing)? {
                Step::Silent => {}
                Step::Replied => write(&mut stream, &outgoing).await?,
                Step::Judge(facts) => {
                    judge(service, &mut stream, &mut session, *facts, &mut outgoing).await?;
                }
                Step::Quit => return Ok(End::PeerClosed),
            }
        }
        incoming.reserve(BUFFER_BYTES);
        tokio::select! {
            biased;
            read = stream.read_buf(&mut incoming) => {
                if read? == 0 {
                    Codec.decode_eof(&mut incoming)?;
                    return Ok(End::PeerClosed);
                }
                stream.acknowledge();
            }
            _ = silence.tick() => if std::mem::replace(&mut is_silent, true) {
                return Ok(End::Idle);
            },
        }
    }
}

fn wants(service: &Service) -> Wants {
    let listener = &service.listener;
    Wants {
        data: listener.charge_at == ChargeAt::Data,
        id_header: service.id_header,
        quarantine: listener.at_end == AtEnd::Quarantine || listener.hold == Hold::Queue,
    }
}

/// Judges, answers and tells. An answer goes out in time whatever happens: a mail server left waiting
/// would act without us, and Sendmail perhaps let the mail go.
async fn judge<S: Peer>(
    service: &Service,
    stream: &mut S,
    session: &mut Session,
    facts: Facts,
    outgoing: &mut BytesMut,
) -> Result<(), Fault> {
    let watch = Stopwatch::start();
    let judging = caught(service, service.engine.judge(&service.listener, facts, clock::now()));
    match tokio::time::timeout(service.answer_within, judging).await {
        Ok(Ok(judged)) => {
            let id = service.id_header.then(|| judged.case().id());
            let id = id.as_ref().map(|id| id.as_str());
            session.answer(&judged.decision.reply, id, outgoing);
            write(stream, outgoing).await?;
            service.observer.decided(judged, watch.took());
            return Ok(());
        }
        // Counted and logged where it was caught.
        Ok(Err(_panic)) => {}
        Err(_late) => {
            service.observer.metrics.late();
            tracing::error!(
                socket = &*service.listener.name,
                within = ?service.answer_within,
                "a question could not be judged in time"
            );
        }
    }
    session.answer(&service.own_fault(), None, outgoing);
    Ok(write(stream, outgoing).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::kit::{Broken, service};
    use crate::directory::{Answer, Author, Directory};
    use crate::mail::{AccountKey, Address, Login, Protocol};
    use crate::observe::Observer;
    use crate::rights::{Groups, Lookup, Mode, RecipientLookup};
    use std::sync::Arc;
    use tokio::io::{AsyncWriteExt, DuplexStream};
    use tokio::task::JoinHandle;
    use tokio_util::sync::CancellationToken;

    const IDLE: Duration = Duration::from_secs(3 * 3600);
    /// Below what the engine gives to one lookup, so that a silent directory makes a question late.
    const ANSWER_WITHIN: Duration = Duration::from_secs(1);

    const OFFER: &[u8] = b"\0\0\0\x0dO\0\0\0\x06\0\0\0\xff\0\0\0\0";
    const CONNECT: &[u8] = b"\0\0\0\x10Ch.test\x004\0\x1919.0\0";
    const LOGIN: &[u8] = b"\0\0\0\x12DM{auth_authen}\0a\0";
    const NOBODY: &[u8] = b"\0\0\0\x02DM";
    const MAIL: &[u8] = b"\0\0\0\x07M<a@b>\0";
    const RCPT: &[u8] = b"\0\0\0\x07R<c@d>\0";
    const END_OF_MESSAGE: &[u8] = b"\0\0\0\x01E";
    const ABORT: &[u8] = b"\0\0\0\x01A";
    const QUIT: &[u8] = b"\0\0\0\x01Q";

    const CONTINUE: &[u8] = b"\0\0\0\x01c";
    const ACCEPT: &[u8] = b"\0\0\0\x01a";
    const OWN_FAULT: &[u8] = b"\0\0\0\x2cy451 4.3.0 Temporary fault, try again later\0";

    /// The mail server's end of a connection that is served.
    struct Mta {
        stream: DuplexStream,
        stop: CancellationToken,
        observer: Arc<Observer>,
        served: JoinHandle<Result<End, Fault>>,
    }

    impl Mta {
        /// An SMTP session, served by rules that judge nothing.
        async fn connect(mode: Mode, directory: Option<Arc<dyn Directory>>) -> Mta {
            let service = Service {
                answer_within: ANSWER_WITHIN,
                ..service(Protocol::Milter, mode, IDLE, directory)
            };
            let (stop, observer) = (service.stop.clone(), Arc::clone(&service.observer));
            let (stream, ours) = tokio::io::duplex(64 * 1024);
            let served = tokio::spawn(async move { serve(&service, ours, "test").await });
            let mut mta = Mta { stream, stop, observer, served };
            mta.ask(&[OFFER], b"\0\0\0\x0dO\0\0\0\x06\0\0\0\0\0\0\0\0").await;
            mta.ask(&[CONNECT], CONTINUE).await;
            mta
        }

        async fn send(&mut self, packets: &[&[u8]]) {
            self.stream.write_all(&packets.concat()).await.expect("written");
        }

        async fn assert_replied(&mut self, expected: &[u8]) {
            let mut reply = vec![0; expected.len()];
            self.stream.read_exact(&mut reply).await.expect("answered");
            assert_eq!(reply, expected);
        }

        async fn ask(&mut self, packets: &[&[u8]], expected: &[u8]) {
            self.send(packets).await;
            self.assert_replied(expected).await;
        }

        /// A message without a login, which no directory is asked about.
        async fn assert_serves(&mut self) {
            self.ask(&[ABORT, NOBODY, MAIL], CONTINUE).await;
            self.ask(&[RCPT], CONTINUE).await;
            self.ask(&[END_OF_MESSAGE], ACCEPT).await;
        }

        /// How it ended, with not a byte more.
        async fn end(mut self) -> Result<End, Fault> {
            let mut rest = Vec::new();
            self.stream.read_to_end(&mut rest).await.expect("read");
            assert_eq!(rest, b"");
            self.served.await.expect("no panic")
        }

        fn metrics(&self) -> String {
            let text = self.observer.metrics.expose().expect("exposed");
            String::from_utf8(text).expect("text")
        }
    }

    /// Takes every question and never answers.
    struct Silent;

    impl Directory for Silent {
        fn lookup<'a>(&'a self, _: &'a Login, _: &'a Groups) -> Answer<'a, Lookup> {
            Answer::Later(Box::pin(std::future::pending()))
        }

        fn recipient<'a>(&'a self, _: &'a Address, _: Author<'a>) -> Answer<'a, RecipientLookup> {
            Answer::Later(Box::pin(std::future::pending()))
        }

        fn path<'a>(&'a self, _: &'a AccountKey, _: &'a str) -> Answer<'a, Vec<String>> {
            Answer::Later(Box::pin(std::future::pending()))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_as_idle_as_an_smtp_client_may_be_still_serves() {
        let mut mta = Mta::connect(Mode::Enforce, None).await;
        for _ in 0..5 {
            tokio::time::advance(IDLE - Duration::from_secs(1)).await;
            mta.assert_serves().await;
        }
        mta.send(&[QUIT]).await;
        assert_eq!(mta.end().await.expect("no fault"), End::PeerClosed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_is_closed_in_the_end() {
        let mut mta = Mta::connect(Mode::Enforce, None).await;
        mta.assert_serves().await;
        let ended =
            tokio::time::timeout(IDLE * 2 + ANSWER_WITHIN, mta.end()).await.expect("in time");
        assert_eq!(ended.expect("no fault"), End::Idle);
    }

    #[tokio::test(start_paused = true)]
    async fn half_a_packet_does_not_keep_a_connection_open_for_ever() {
        let mut mta = Mta::connect(Mode::Enforce, None).await;
        mta.send(&[&MAIL[..6]]).await;
        assert_eq!(mta.end().await.expect("no fault"), End::Idle);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_asks_now_and_then_is_not_idle() {
        let mut mta = Mta::connect(Mode::Enforce, None).await;
        for _ in 0..20 {
            tokio::time::advance(IDLE / 2).await;
            // Silent commands are signs of life too.
            mta.send(&[ABORT]).await;
        }
        mta.assert_serves().await;
    }

    /// Sendmail waits for 10 s, and lets the mail go where no F= is set.
    #[tokio::test(start_paused = true)]
    async fn a_late_question_is_a_fault_of_our_own_in_time_and_the_connection_serves_on() {
        let mut mta = Mta::connect(Mode::Enforce, Some(Arc::new(Silent))).await;
        for late in 1..=3 {
            mta.send(&[LOGIN, MAIL]).await;
            let just_before = ANSWER_WITHIN - Duration::from_millis(1);
            let early = tokio::time::timeout(just_before, mta.stream.read_u8()).await;
            assert!(early.is_err(), "nothing comes before");
            let after = Duration::from_millis(3);
            tokio::time::timeout(after, mta.assert_replied(OWN_FAULT)).await.expect("in time");
            mta.assert_serves().await;
            let counted = format!("gatepost_late_answers_total {late}");
            assert!(mta.metrics().lines().any(|line| line == counted), "{}", mta.metrics());
        }
        mta.send(&[QUIT]).await;
        assert_eq!(mta.end().await.expect("no fault"), End::PeerClosed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_answer_is_that_of_its_own_question() {
        let mut mta = Mta::connect(Mode::Enforce, Some(Arc::new(Silent))).await;
        mta.ask(&[LOGIN, MAIL, ABORT, NOBODY, MAIL, RCPT], OWN_FAULT).await;
        mta.assert_replied(CONTINUE).await;
        mta.assert_replied(CONTINUE).await;
        mta.ask(&[END_OF_MESSAGE], ACCEPT).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_is_a_fault_of_our_own_and_the_connection_serves_on() {
        let mut mta = Mta::connect(Mode::Enforce, Some(Arc::new(Broken))).await;
        for panics in 1..=3 {
            mta.ask(&[LOGIN, MAIL], OWN_FAULT).await;
            mta.assert_serves().await;
            let counted = format!("gatepost_panics_total {panics}");
            assert!(mta.metrics().lines().any(|line| line == counted), "{}", mta.metrics());
        }
        mta.send(&[QUIT]).await;
        assert_eq!(mta.end().await.expect("no fault"), End::PeerClosed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_listener_that_observes_lets_pass_what_could_not_be_judged() {
        let directories: [Arc<dyn Directory>; 2] = [Arc::new(Silent), Arc::new(Broken)];
        for directory in directories {
            let mut mta = Mta::connect(Mode::Observe, Some(directory)).await;
            for _ in 0..2 {
                mta.ask(&[LOGIN, MAIL], CONTINUE).await;
                mta.ask(&[RCPT], CONTINUE).await;
                mta.ask(&[END_OF_MESSAGE], ACCEPT).await;
            }
            mta.assert_serves().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_closes_no_session() {
        let mut mta = Mta::connect(Mode::Enforce, None).await;
        mta.ask(&[NOBODY, MAIL], CONTINUE).await;
        mta.stop.cancel();
        mta.ask(&[RCPT], CONTINUE).await;
        mta.ask(&[END_OF_MESSAGE], ACCEPT).await;
        tokio::time::advance(IDLE - Duration::from_secs(1)).await;
        mta.assert_serves().await;
        mta.send(&[QUIT]).await;
        assert_eq!(mta.end().await.expect("no fault"), End::PeerClosed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_broken_packet_is_not_answered() {
        for packet in [&b"\0\0\0\0"[..], b"\0\0\0\x01?", OFFER, b"\0\0\0\x01M"] {
            let mut mta = Mta::connect(Mode::Enforce, None).await;
            mta.send(&[packet]).await;
            assert!(mta.end().await.is_err());
        }
    }
}
