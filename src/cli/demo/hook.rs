//! The webhook of a demo: whoever would be told, tells.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::timeout;

use crate::cli::demo::page::Page;
use crate::record::{Notice, NoticeKind};

/// The daemon tells at once; a busy machine takes a little longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Notices that wait to be shown; further calls are answered 503, so that they come again.
const WAITING: usize = 64;

pub(super) struct Hook {
    port: u16,
    notices: Receiver<Notice>,
}

impl Hook {
    /// On a port of loopback, until the runtime ends.
    pub async fn open() -> Result<Self, String> {
        let fault = |fault: std::io::Error| format!("127.0.0.1: {fault}");
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(fault)?;
        let port = listener.local_addr().map_err(fault)?.port();
        let (taken, notices) = channel(WAITING);
        let router = Router::new().route("/notice", post(take)).with_state(taken);
        tokio::spawn(async { axum::serve(listener, router).await });
        Ok(Self { port, notices })
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/notice", self.port)
    }

    /// The next notice, which should be of this kind.
    pub async fn next(&mut self, kind: NoticeKind) -> Result<Notice, String> {
        let what = kind.as_str();
        match timeout(PATIENCE, self.notices.recv()).await {
            Ok(Some(notice)) if notice.event == kind => Ok(notice),
            Ok(Some(other)) => Err(format!("a notice says {}, not {what}", other.event.as_str())),
            Ok(None) | Err(_) => Err(format!("no notice says {what}")),
        }
    }

    /// None has come that was not asked for.
    pub fn is_silent(&self) -> bool {
        self.notices.is_empty()
    }

    /// Shows what comes, as long as it comes.
    pub async fn tell_all(&mut self, page: &Page) {
        while let Some(notice) = self.notices.recv().await {
            page.title("A notice");
            page.notice(&notice);
        }
    }
}

async fn take(State(taken): State<Sender<Notice>>, body: String) -> StatusCode {
    let Ok(notice) = Notice::read(&body) else { return StatusCode::BAD_REQUEST };
    match taken.try_send(notice) {
        Ok(()) => StatusCode::NO_CONTENT,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}
