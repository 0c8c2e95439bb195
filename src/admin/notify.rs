//! Tests of actions over the control socket.

use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::admin::{Control, Peer};

/// What `gatepost notify-test` asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskedTest {
    /// `None`: all of them.
    pub action: Option<String>,
}

/// What came of one action.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tried {
    /// `None`: it worked.
    pub fault: Option<String>,
    #[serde(flatten)]
    pub waits: Waits,
}

/// What is behind one action.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Waits {
    pub action: String,
    /// webhook, mail, command, directory
    pub kind: String,
    /// Events that wait for it, and those that nobody tries to deliver any longer.
    pub waiting: usize,
    pub dead: usize,
    /// Why the last one failed that is not delivered.
    pub last_fault: Option<String>,
}

/// The actions, as far as people look at them.
pub trait Actions: Send + Sync {
    fn waits(&self) -> Vec<Waits>;

    /// Does every action, or the one of this name, once.
    fn try_out(&self, action: Option<String>) -> BoxFuture<'_, Vec<Tried>>;
}

pub(super) async fn ask_test(
    ConnectInfo(peer): ConnectInfo<Peer>,
    State(control): State<Control>,
    Json(asked): Json<AskedTest>,
) -> Result<Json<Vec<Tried>>, (StatusCode, String)> {
    control.operators.admit(peer)?;
    let tried = control.actions.try_out(asked.action.clone()).await;
    match (tried.is_empty(), asked.action) {
        (false, _) => Ok(Json(tried)),
        (true, Some(name)) => {
            Err((StatusCode::NOT_FOUND, format!("no [[action]] has the name {name}")))
        }
        (true, None) => Err((StatusCode::NOT_FOUND, "the configuration has no [[action]]".into())),
    }
}
