//! One connection: requests are answered in their order, except that a slow answer lets others pass.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::Shared;
use super::ber::length;
use super::message::{
    Answer, Operation, Outcome, Page, Request, START_TLS, notice_of_disconnection,
};
use super::respond::Session;
use super::script::{Deviation, Seen};

/// Longer requests end the connection.
const LONGEST_REQUEST: usize = 10 << 20;

/// Slow answers hold at most so many messages ahead of the client.
const AHEAD: usize = 16;

/// Plain or in TLS.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {
    fn tcp(&self) -> &TcpStream;
    /// To begin TLS on it.
    fn into_tcp(self: Box<Self>) -> Option<TcpStream>;
}

impl Stream for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }

    fn into_tcp(self: Box<Self>) -> Option<TcpStream> {
        Some(*self)
    }
}

impl Stream for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }

    fn into_tcp(self: Box<Self>) -> Option<TcpStream> {
        None
    }
}

pub struct Connection {
    shared: Arc<Shared>,
    session: Session,
    /// `None`: TLS failed.
    stream: Option<Box<dyn Stream>>,
    /// Nothing more is ever written.
    is_mute: bool,
    /// What slow answers have to say.
    said: mpsc::Sender<Vec<u8>>,
    slow: JoinSet<()>,
    /// The slow answers by message id, to be abandoned.
    under_way: HashMap<i32, AbortHandle>,
}

/// Whether the connection goes on.
type Goes = io::Result<bool>;

/// Serves until either side closes. Dropped, the connection is closed.
pub async fn serve(
    stream: TcpStream,
    number: u64,
    shared: Arc<Shared>,
    mut farewell: broadcast::Receiver<Deviation>,
) {
    let (said, mut to_say) = mpsc::channel(AHEAD);
    let session =
        Session { connection: number, is_bound: false, has_tls: false, offers_tls: false };
    let mut connection = Connection {
        shared,
        session,
        stream: Some(Box::new(stream)),
        is_mute: false,
        said,
        slow: JoinSet::new(),
        under_way: HashMap::new(),
    };
    // However it ended, the client has been told all there is to tell.
    let _ = connection.run(&mut to_say, &mut farewell).await;
}

impl Connection {
    async fn run(
        &mut self,
        to_say: &mut mpsc::Receiver<Vec<u8>>,
        farewell: &mut broadcast::Receiver<Deviation>,
    ) -> io::Result<()> {
        let mut frozen = self.shared.frozen.subscribe();
        thawed(&mut frozen).await;
        if !self.begin().await? {
            return Ok(());
        }
        let mut input = Vec::new();
        loop {
            thawed(&mut frozen).await;
            let idle = self.shared.state().behaviour.idle;
            let Some(stream) = &mut self.stream else { return Ok(()) };
            tokio::select! {
                // What was frozen before a request came does not answer it; and what has no end must
                // not keep requests away.
                biased;
                _ = frozen.changed() => {}
                deviation = farewell.recv() => {
                    if let Ok(deviation) = deviation {
                        self.deviate(deviation, None).await?;
                    }
                    return Ok(());
                }
                read = stream.read_buf(&mut input) => {
                    if read? == 0 || !self.requests(&mut input).await? {
                        return Ok(());
                    }
                }
                Some(bytes) = to_say.recv() => self.write(&bytes).await?,
                Some(_) = self.slow.join_next() => {}
                () = passed(idle), if self.slow.is_empty() => return Ok(()),
            }
        }
    }

    /// What comes before the first request.
    async fn begin(&mut self) -> Goes {
        let is_ldaps = {
            let security = self.shared.security();
            self.session.offers_tls = security.config.is_some();
            security.is_ldaps
        };
        if let Some(deviation) = self.remember(Operation::Connect, None) {
            if matches!(deviation, Deviation::Silence) {
                std::future::pending::<()>().await;
            }
            return self.deviate(deviation, None).await;
        }
        if is_ldaps { self.begin_tls().await } else { Ok(true) }
    }

    async fn begin_tls(&mut self) -> Goes {
        let config = self.shared.security().config.clone();
        let plain = self.stream.take().and_then(Stream::into_tcp);
        let (Some(config), Some(plain)) = (config, plain) else { return Ok(false) };
        let stream = TlsAcceptor::from(config).accept(plain).await?;
        self.stream = Some(Box::new(stream));
        self.session.has_tls = true;
        Ok(true)
    }

    fn remember(&self, operation: Operation, page: Option<Page>) -> Option<Deviation> {
        let seen = Seen { connection: self.session.connection, operation, page };
        self.shared.remember(seen)
    }

    /// Answers every request that has come whole.
    async fn requests(&mut self, input: &mut Vec<u8>) -> Goes {
        loop {
            let whole = match length(input) {
                Ok(Some(whole)) => whole,
                Ok(None) => return Ok(input.len() <= LONGEST_REQUEST),
                Err(()) => return Ok(false),
            };
            let message: Vec<u8> = input.drain(..whole).collect();
            let Some(request) = Request::read(&message) else {
                let outcome = Outcome::new(2, "this is no request");
                self.write(&notice_of_disconnection(&outcome, false)).await?;
                return Ok(false);
            };
            if !self.request(request).await? {
                return Ok(false);
            }
        }
    }

    async fn request(&mut self, mut request: Request) -> Goes {
        let deviation = self.remember(request.operation.clone(), request.page.clone());
        match request.operation {
            Operation::Unbind => return Ok(false),
            Operation::Abandon(id) => {
                if let Some(slow) = self.under_way.remove(&id) {
                    slow.abort();
                }
                return Ok(true);
            }
            _ => {}
        }
        if let (Some(Deviation::EndlessPages), Some(page)) = (&deviation, &mut request.page) {
            page.cookie.clear();
        }
        let answer = self.shared.state().answer(&request, &mut self.session);
        let begins_tls = matches!(&request.operation, Operation::Extended(name)
            if name == START_TLS && answer.outcome.code == 0);
        match deviation {
            Some(deviation) => self.deviate(deviation, Some((request, answer))).await,
            None => {
                self.write(&answer.messages(&request).concat()).await?;
                if begins_tls { self.begin_tls().await } else { Ok(true) }
            }
        }
    }

    /// Plays a deviation. `answer`: the request and what it should get; `None` where there is no
    /// request.
    async fn deviate(&mut self, deviation: Deviation, answer: Option<(Request, Answer)>) -> Goes {
        let id = answer.as_ref().map_or(0, |(request, _)| request.id);
        let written = |answer: &Option<(Request, Answer)>| {
            answer.as_ref().map(|(request, answer)| answer.messages(request)).unwrap_or_default()
        };
        match deviation {
            Deviation::Edit(edit) => {
                let Some((request, mut answer)) = answer else { return Ok(true) };
                edit(&mut answer);
                if matches!(request.operation, Operation::Bind { .. }) {
                    self.session.is_bound &= answer.outcome.code == 0;
                }
                self.write(&answer.messages(&request).concat()).await?;
            }
            Deviation::EndlessPages => {
                let Some((request, mut answer)) = answer else { return Ok(true) };
                let nth = self.shared.state().seen.len();
                answer.cookie = Some(format!("{}:{nth}", self.session.connection).into());
                self.write(&answer.messages(&request).concat()).await?;
            }
            Deviation::EndlessEntries => {
                let first = written(&answer).into_iter().next().unwrap_or_default();
                let said = self.said.clone();
                let slow = async move { while said.send(first.clone()).await.is_ok() {} };
                self.under_way.insert(id, self.slow.spawn(slow));
            }
            Deviation::Drip(pause) => {
                let slow = drip(written(&answer), pause, self.said.clone());
                self.under_way.insert(id, self.slow.spawn(slow));
            }
            Deviation::HalfThenClose | Deviation::HalfThenSilence => {
                let whole = written(&answer).concat();
                self.write(&whole[..whole.len() / 2]).await?;
                self.is_mute = matches!(deviation, Deviation::HalfThenSilence);
                return Ok(self.is_mute);
            }
            Deviation::Silence => {}
            Deviation::Close => return Ok(false),
            Deviation::Reset => {
                if let Some(stream) = &self.stream {
                    stream.tcp().set_zero_linger()?;
                }
                return Ok(false);
            }
            Deviation::Notice { code, as_windows } => {
                let outcome = Outcome::new(code, "the server is about to close");
                self.write(&notice_of_disconnection(&outcome, as_windows)).await?;
                return Ok(false);
            }
            Deviation::Bytes(bytes) => self.write(&bytes).await?,
        }
        Ok(true)
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Some(stream) if !self.is_mute => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
            _ => Ok(()),
        }
    }
}

async fn drip(messages: Vec<Vec<u8>>, pause: Duration, said: mpsc::Sender<Vec<u8>>) {
    let mut ticks = tokio::time::interval(pause);
    ticks.tick().await;
    for message in messages {
        ticks.tick().await;
        if said.send(message).await.is_err() {
            return;
        }
    }
}

async fn thawed(frozen: &mut watch::Receiver<bool>) {
    // The sender lives as long as the server.
    let _ = frozen.wait_for(|is_frozen| !is_frozen).await;
}

/// Never, without a limit.
async fn passed(limit: Option<Duration>) {
    match limit {
        Some(limit) => {
            let _ = tokio::time::timeout(limit, std::future::pending::<()>()).await;
        }
        None => std::future::pending().await,
    }
}
