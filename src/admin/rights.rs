//! Rights over the control socket: who a login is and what it holds, and who holds a right.

use std::convert::Infallible;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::{Deserialize, Serialize};

use crate::admin::Control;
use crate::decision::{Holders, HoldersLine, Portrait};
use crate::engine::Engine;
use crate::mail::{Login, Timestamp};
use crate::rights::Right;

/// Lines that go out at once.
const AT_ONCE: usize = 64;

/// A question of `gatepost rights LOGIN`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskedRights {
    pub login: String,
}

/// A question of `gatepost rights --who RIGHT`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskedHolders {
    /// submit, relay
    pub right: String,
}

/// Why nobody can be named.
#[derive(Debug, PartialEq, Eq)]
pub enum HoldersFault {
    Right(String),
    /// The directory lists nobody now, and why.
    Directory(String),
}

impl std::fmt::Display for HoldersFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Right(word) => {
                write!(f, "unknown right \"{word}\"; expected one of submit, relay")
            }
            Self::Directory(why) => write!(f, "who holds the right is not known now: {why}"),
        }
    }
}

impl std::error::Error for HoldersFault {}

/// Who the login is; `None`: it is empty, which means not logged in.
pub async fn portray(engine: &Engine, login: &str, at: Timestamp) -> Option<Portrait> {
    engine.portray(&Login::parse(login.as_bytes())?, at).await
}

/// Who holds the right.
pub async fn holders(engine: &Engine, right: &str, at: Timestamp) -> Result<Holders, HoldersFault> {
    let known = Right::ALL.into_iter().find(|known| known.as_str() == right);
    let right = known.ok_or_else(|| HoldersFault::Right(right.into()))?;
    engine.holders(right, at).await.map_err(HoldersFault::Directory)
}

pub(super) async fn ask_rights(
    State(control): State<Control>,
    Json(asked): Json<AskedRights>,
) -> Result<Json<Portrait>, (StatusCode, String)> {
    let portrait = portray(&control.engine, &asked.login, (control.clock)()).await;
    portrait.map(Json).ok_or_else(|| (StatusCode::BAD_REQUEST, "expected a login".into()))
}

/// Answers with a line of JSON for each line of the holders.
pub(super) async fn ask_holders(
    State(control): State<Control>,
    Json(asked): Json<AskedHolders>,
) -> Response {
    match holders(&control.engine, &asked.right, (control.clock)()).await {
        Ok(holders) => {
            let mut lines = holders.lines();
            let pieces = std::iter::from_fn(move || piece(&mut lines));
            let body = Body::from_stream(stream::iter(pieces.map(Ok::<Bytes, Infallible>)));
            ([(CONTENT_TYPE, "application/x-ndjson")], body).into_response()
        }
        Err(fault) => {
            let status = match &fault {
                HoldersFault::Right(_) => StatusCode::BAD_REQUEST,
                HoldersFault::Directory(_) => StatusCode::SERVICE_UNAVAILABLE,
            };
            (status, fault.to_string()).into_response()
        }
    }
}

/// The next lines as text; `None`: there are no more.
fn piece(lines: &mut impl Iterator<Item = HoldersLine>) -> Option<Bytes> {
    let mut text = Vec::new();
    for line in lines.take(AT_ONCE) {
        serde_json::to_writer(&mut text, &line).expect("text and numbers are JSON");
        text.push(b'\n');
    }
    (!text.is_empty()).then(|| text.into())
}
