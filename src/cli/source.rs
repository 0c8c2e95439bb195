//! Whom a command asks: the running daemon through its control socket, or the configuration file
//! alone.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::http::request::Builder;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::UnixStream;

use crate::cli::{DEFAULT_FILE, Exit, TIMEOUT, host};
use crate::config::{self, Config, Socket, Startup};
use crate::daemon::open_directory;
use crate::directory::meter::NoMeter;
use crate::engine::Engine;
use crate::ledger::HashKey;
use crate::store::Memory;

#[derive(clap::Args)]
pub(super) struct Source {
    /// Configuration file; names the control socket, or the rules with --offline
    #[arg(short, long, default_value = DEFAULT_FILE)]
    pub config: PathBuf,
    /// The daemon's control socket, instead of the configuration's
    #[arg(long, conflicts_with = "offline")]
    pub control: Option<PathBuf>,
    /// Evaluate the configuration file without a daemon
    #[arg(long)]
    pub offline: bool,
}

/// The running daemon alone.
#[derive(clap::Args)]
pub(super) struct Daemon {
    /// Configuration file, which names the control socket
    #[arg(short, long, default_value = DEFAULT_FILE)]
    config: PathBuf,
    /// The daemon's control socket, instead of the configuration's
    #[arg(long)]
    control: Option<PathBuf>,
}

impl Daemon {
    pub fn control(&self) -> Result<Control, Failed> {
        control(&self.config, self.control.as_deref())
    }
}

fn control(config: &Path, socket: Option<&Path>) -> Result<Control, Failed> {
    if let Some(path) = socket {
        return Ok(Control { socket: path.into(), instead: "" });
    }
    match load(config)?.startup.control.socket {
        Socket::Unix(socket) => Ok(Control { socket, instead: "" }),
        other => Err(Failed::unreachable(format!("the control socket {other} is no path"))),
    }
}

/// Why there is no answer.
pub(super) struct Failed {
    pub exit: Exit,
    pub why: String,
}

impl Failed {
    pub fn unreachable(why: String) -> Self {
        Self { exit: Exit::Unreachable, why }
    }

    /// Of a fault and its causes.
    pub fn of(fault: &dyn std::error::Error) -> Self {
        let causes = std::iter::successors(Some(fault), |fault| fault.source());
        let causes: Vec<_> = causes.map(ToString::to_string).collect();
        Self { exit: Exit::No, why: causes.join(": ") }
    }

    /// Of an answer of the daemon other than OK.
    pub fn of_answer(status: StatusCode, body: &[u8]) -> Self {
        let exit = match status {
            StatusCode::NOT_FOUND if body.is_empty() => {
                let why = "the daemon does not know this question: it is older than this gatepost";
                return Self::unreachable(why.into());
            }
            StatusCode::SERVICE_UNAVAILABLE => Exit::Deferred,
            StatusCode::NOT_FOUND => Exit::NotFound,
            StatusCode::FORBIDDEN => Exit::Forbidden,
            StatusCode::CONFLICT => Exit::Conflict,
            _ => Exit::No,
        };
        Self { exit, why: text(body) }
    }
}

impl Source {
    /// The daemon's control socket.
    pub fn control(&self) -> Result<Control, Failed> {
        Ok(Control { instead: OFFLINE, ..control(&self.config, self.control.as_deref())? })
    }

    /// An engine on the configuration file and its directory, without a daemon. Within a runtime.
    pub fn engine(&self) -> Result<(Engine, Startup), Failed> {
        let config = load(&self.config)?;
        let directory = open_directory(&config.startup, Arc::new(NoMeter))
            .map_err(|fault| Failed::unreachable(fault.to_string()))?;
        let store = Arc::new(Memory::new(config.startup.store.accounts));
        Ok((Engine::new(directory, store, HashKey::default(), config.rules), config.startup))
    }
}

/// The configuration of a command that may as well ask the daemon.
pub(super) fn load(file: &Path) -> Result<Config, Failed> {
    config::load(file, &host()).map_err(|faults| {
        if !file.exists() {
            return Failed::unreachable(format!(
                "{}: no such file; name the configuration with --config, or the daemon's socket with --control",
                file.display()
            ));
        }
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        Failed { exit: Exit::No, why: lines.join("\n") }
    })
}

/// The control socket of a running daemon.
pub(super) struct Control {
    socket: PathBuf,
    /// What can be done without the daemon.
    instead: &'static str,
}

const OFFLINE: &str = " (--offline evaluates the file without the daemon)";

impl Control {
    pub async fn post(
        &self,
        path: &str,
        asked: &impl Serialize,
    ) -> Result<(StatusCode, Bytes), Failed> {
        self.ask(json(path), body(asked)?).await
    }

    /// The whole answer, for which nobody waits longer than 10 s.
    pub async fn ask(
        &self,
        request: Builder,
        body: Vec<u8>,
    ) -> Result<(StatusCode, Bytes), Failed> {
        let answer = async {
            let response = self.call(request, body).await?;
            let status = response.status();
            let body = response.into_body().collect().await;
            Ok((status, body.map_err(|fault| self.failed(&fault))?.to_bytes()))
        };
        self.within(TIMEOUT, answer).await
    }

    /// An answer that comes piece by piece and begins after some time.
    pub async fn begin(
        &self,
        path: &str,
        asked: &impl Serialize,
        patience: Duration,
    ) -> Result<Response<Incoming>, Failed> {
        self.within(patience, self.call(json(path), body(asked)?)).await
    }

    /// The next piece; `None`: there are no more.
    pub async fn next(&self, body: &mut Incoming) -> Result<Option<Bytes>, Failed> {
        let piece = async {
            match body.frame().await {
                None => Ok(None),
                Some(Ok(frame)) => Ok(Some(frame.into_data().unwrap_or_default())),
                Some(Err(fault)) => Err(self.failed(&fault)),
            }
        };
        self.within(TIMEOUT, piece).await
    }

    /// A daemon that is frozen takes a question and answers nothing.
    async fn within<T>(
        &self,
        patience: Duration,
        answer: impl Future<Output = Result<T, Failed>>,
    ) -> Result<T, Failed> {
        tokio::time::timeout(patience, answer).await.unwrap_or_else(|_| {
            Err(Failed::unreachable(format!(
                "{}: no answer within {} s{}",
                self.socket.display(),
                patience.as_secs(),
                self.instead
            )))
        })
    }

    async fn call(&self, request: Builder, body: Vec<u8>) -> Result<Response<Incoming>, Failed> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|fault| {
            Failed::unreachable(format!(
                "{}: {fault}; is the daemon running, and may you open its control socket?{}",
                self.socket.display(),
                self.instead
            ))
        })?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|fault| self.failed(&fault))?;
        tokio::spawn(connection);
        let request = request.header("host", "gatepost").body(Full::new(Bytes::from(body)));
        let request = request.map_err(|fault| self.failed(&fault))?;
        sender.send_request(request).await.map_err(|fault| self.failed(&fault))
    }

    fn failed(&self, fault: &dyn std::fmt::Display) -> Failed {
        Failed::unreachable(format!("{}: {fault}", self.socket.display()))
    }
}

fn json(path: &str) -> Builder {
    Request::post(path).header("content-type", "application/json")
}

fn body(asked: &impl Serialize) -> Result<Vec<u8>, Failed> {
    serde_json::to_vec(asked).map_err(|fault| Failed::unreachable(fault.to_string()))
}

fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}
