//! Releases over the control socket.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::admin::Control;
use crate::engine::{ReleaseFault, ReleaseVerdict};
use crate::mail::Login;

/// What `gatepost release` asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskedRelease {
    pub login: String,
    /// true-positive, false-positive, authorised-bulk
    pub verdict: String,
    pub note: String,
    /// Only tells what it would do.
    pub dry_run: bool,
}

/// What was lifted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Released {
    pub id: String,
    /// RFC 3339.
    pub since: String,
    pub imposed: String,
    /// The sentence of its finding.
    pub because: String,
}

pub(super) async fn ask_release(
    State(control): State<Control>,
    Json(asked): Json<AskedRelease>,
) -> Result<Json<Released>, (StatusCode, String)> {
    let bad = |what: &str| (StatusCode::BAD_REQUEST, what.to_string());
    let login = Login::parse(asked.login.as_bytes()).ok_or_else(|| bad("expected a login"))?;
    let verdict = ReleaseVerdict::parse(&asked.verdict).ok_or_else(|| bad("unknown verdict"))?;
    if asked.note.trim().is_empty() {
        return Err(bad("expected a note that says why"));
    }
    let at = (control.clock)();
    let lifted = control.engine.release(&login, verdict, !asked.dry_run, at).await;
    let lifted = lifted.map_err(|fault| {
        let status = match fault {
            ReleaseFault::NotSuspended => StatusCode::NOT_FOUND,
            ReleaseFault::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, format!("{login} {fault}"))
    })?;
    if !asked.dry_run {
        let (login, verdict) = (login.raw(), verdict.as_str());
        tracing::info!(id = &*lifted.id, login, verdict, note = asked.note, "released");
    }
    Ok(Json(Released {
        id: lifted.id.to_string(),
        since: lifted.since.to_string(),
        imposed: lifted.imposed.to_string(),
        because: lifted.finding.to_string(),
    }))
}
