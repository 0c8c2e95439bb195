//! One milter connection: as long as an SMTP session, for as many messages as it carries.

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio_util::codec::Decoder;

use crate::daemon::clock::{self, Stopwatch};
use crate::daemon::connection::{End, Peer, Service, caught, write};
use crate::decision::{AtEnd, ChargeAt};
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
        quarantine: listener.at_end == AtEnd::Quarantine,
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
        }
        Ok(Err(_panic)) => {
            session.answer(&service.own_fault(), None, outgoing);
            write(stream, outgoing).await?;
        }
        Err(_late) => {
            service.observer.metrics.late();
            tracing::error!(
                socket = &*service.listener.name,
                within = ?service.answer_within,
                "a question could not be judged in time"
            );
            session.answer(&service.own_fault(), None, outgoing);
            write(stream, outgoing).await?;
        }
    }
    Ok(())
}
