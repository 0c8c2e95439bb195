//! What people look at over the control socket: how it stands, suspensions, accounts, the audit.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::admin::deeds::{Fault, bad, told};
use crate::admin::{Control, Waits};
use crate::engine::{DeedFault, FromNetwork, Opened, Refused, ShownAccount, Standing, Told};
use crate::mail::{Mode, Timestamp, rfc_3339};
use crate::record::Deed;
use crate::store::StoreFault;
use crate::suspension::State as Stands;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AskedIncidents {
    #[serde(with = "rfc_3339")]
    pub since: Timestamp,
    /// Only those without an end.
    pub standing: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AskedName {
    /// A login in any form, `client:` and an address, or the id of a suspension.
    pub login: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AskedNetwork {
    pub network: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AskedAudit {
    #[serde(with = "rfc_3339")]
    pub since: Timestamp,
    pub most: usize,
    /// To whom; none: to anybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
}

/// One of those that send most.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TopSender {
    pub account: String,
    pub login: String,
    /// Within about an hour.
    pub recipients: f64,
}

/// How the daemon stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    pub version: String,
    #[serde(with = "rfc_3339")]
    pub started: Timestamp,
    #[serde(with = "rfc_3339")]
    pub at: Timestamp,
    /// Of the detector: off, observe, enforce.
    pub mode: String,
    /// Of findings that hold.
    pub hold: String,
    /// Accounts by state; none: not counted yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accounts: Option<ByState>,
    /// The oldest suspension that waits for a person.
    #[serde(default, with = "rfc_3339::if_any", skip_serializing_if = "Option::is_none")]
    pub oldest: Option<Timestamp>,
    pub exemptions: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaker: Option<Opened>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow_breaker: Option<Opened>,
    /// Events that no action has taken yet.
    pub outbox: usize,
    /// What is behind each action.
    #[serde(default)]
    pub actions: Vec<Waits>,
    /// Why the store cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    pub messages: u64,
    #[serde(default, with = "rfc_3339::if_any", skip_serializing_if = "Option::is_none")]
    pub last_question: Option<Timestamp>,
}

/// How many accounts stand so.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ByState {
    pub suspended: u64,
    pub exempt: u64,
    pub probation: u64,
    pub held: u64,
    pub watched: u64,
    pub normal: u64,
}

pub(super) async fn incidents(
    State(control): State<Control>,
    Json(asked): Json<AskedIncidents>,
) -> Result<Json<Vec<Told>>, Fault> {
    let at = (control.clock)();
    let found = control.engine.incidents(asked.since, asked.standing, at).await;
    let mut found = found.map_err(failed)?;
    // Whom each wrote to is shown one by one: of a thousand suspensions it is 60 MB.
    found.iter_mut().for_each(|told| told.incident.envelopes.clear());
    Ok(Json(found))
}

/// What is kept under an id beyond the memory of recent decisions.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kept {
    Incident(Box<Told>),
    Refusal(Refused),
}

pub(super) async fn kept(
    State(control): State<Control>,
    Path(id): Path<String>,
) -> Result<Json<Kept>, Fault> {
    if let Some(told) = control.engine.incident(&id).await.map_err(failed)? {
        return Ok(Json(Kept::Incident(Box::new(told))));
    }
    let refused = control.engine.refusal(&id).await.map_err(failed)?;
    let none = || (StatusCode::NOT_FOUND, format!("nothing is kept under the id {id}"));
    refused.map(|refused| Json(Kept::Refusal(refused))).ok_or_else(none)
}

/// By its id, or the one that stands against a login.
pub(super) async fn incident(
    State(control): State<Control>,
    Json(asked): Json<AskedName>,
) -> Result<Json<Told>, Fault> {
    let id = asked.login.to_ascii_uppercase();
    if let Some(found) = control.engine.incident(&id).await.map_err(failed)? {
        return Ok(Json(found));
    }
    let account = control.engine.account(&asked.login, (control.clock)()).await;
    let account = account.map_err(|fault| told(&asked.login, fault))?;
    let id = account.standing.suspension;
    let found = match &id {
        Some(id) => control.engine.incident(id).await.map_err(failed)?,
        None => None,
    };
    found.map(Json).ok_or_else(|| {
        let (status, why) = told(&asked.login, DeedFault::NotSuspended);
        (status, format!("{why}; gatepost suspensions list --all has those that have ended"))
    })
}

pub(super) async fn account(
    State(control): State<Control>,
    Json(asked): Json<AskedName>,
) -> Result<Json<ShownAccount>, Fault> {
    let found = control.engine.account(&asked.login, (control.clock)()).await;
    found.map(Json).map_err(|fault| told(&asked.login, fault))
}

pub(super) async fn standings(
    State(control): State<Control>,
) -> Result<Json<Vec<Standing>>, Fault> {
    control.engine.standings((control.clock)()).await.map(Json).map_err(failed)
}

pub(super) async fn top(State(control): State<Control>) -> Json<Vec<TopSender>> {
    let top = control.observer.metrics.detection.top((control.clock)());
    let named = top.into_iter().map(|(account, recipients)| TopSender {
        login: control.engine.login_of(&account),
        account: account.to_string(),
        recipients,
    });
    Json(named.collect())
}

pub(super) async fn from_network(
    State(control): State<Control>,
    Json(asked): Json<AskedNetwork>,
) -> Result<Json<Vec<FromNetwork>>, Fault> {
    let address = || asked.network.parse::<std::net::IpAddr>().ok().map(IpNet::from);
    let network = asked.network.parse().ok().or_else(address);
    let network = network.ok_or_else(|| {
        bad("expected an address or a network such as 192.0.2.0/24 or 2001:db8::/48")
    })?;
    Ok(Json(control.engine.senders_in(&network, (control.clock)())))
}

pub(super) async fn audit(
    State(control): State<Control>,
    Json(asked): Json<AskedAudit>,
) -> Result<Json<Vec<Deed>>, Fault> {
    let AskedAudit { since, most, login } = asked;
    let deeds = match &login {
        Some(login) => control.engine.deeds_to(login, since, most).await,
        None => control.engine.deeds(since, most).await,
    };
    deeds.map(Json).map_err(failed)
}

pub(super) async fn status(State(control): State<Control>) -> Json<Status> {
    let engine = &control.engine;
    let rules = engine.rules();
    let census = engine.census();
    let outbox = engine.outbox_length().await;
    Json(Status {
        version: env!("CARGO_PKG_VERSION").into(),
        started: control.started,
        at: (control.clock)(),
        mode: rules.detector.settings.mode.as_str().into(),
        hold: rules.detector.settings.hold.as_str().into(),
        accounts: census.as_ref().map(|census| by_state(&census.accounts)),
        oldest: census.as_ref().and_then(|census| census.oldest),
        exemptions: census.as_ref().map_or(0, |census| census.exemptions),
        breaker: engine.opened_breaker(Mode::Enforce),
        shadow_breaker: engine.opened_breaker(Mode::Observe),
        store: outbox.as_ref().err().map(ToString::to_string),
        outbox: outbox.unwrap_or_default(),
        actions: control.actions.waits(),
        messages: control.observer.metrics.detection.charged(),
        last_question: control.observer.metrics.last_question(),
    })
}

fn by_state(accounts: &[u64; Stands::ALL.len()]) -> ByState {
    let of = |state: Stands| accounts[state as usize];
    ByState {
        suspended: of(Stands::Suspended),
        exempt: of(Stands::Exempt),
        probation: of(Stands::Probation),
        held: of(Stands::Held),
        watched: of(Stands::Watched),
        normal: of(Stands::Normal),
    }
}

fn failed(fault: StoreFault) -> Fault {
    (StatusCode::SERVICE_UNAVAILABLE, fault.to_string())
}
