//! The control socket: HTTP and JSON on a unix socket, whose file mode says who may ask.

use std::fmt;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use crate::admin::Actions;
use crate::admin::holds;
use crate::admin::notify;
use crate::admin::rights;
use crate::admin::{deeds, looking};
use crate::config::Operators;
use crate::decision::{DecisionId, Facing, Listener, Story};
use crate::engine::{Engine, Happened, Helpers};
use crate::mail::{Address, Certificate, Client, Facts, Login, Protocol, Stage, Timestamp};
use crate::observe::Observer;

/// What the control socket works with.
#[derive(Clone)]
pub struct Control {
    pub engine: Arc<Engine>,
    pub observer: Arc<Observer>,
    pub listeners: Arc<[Arc<Listener>]>,
    pub helpers: Arc<Helpers>,
    pub clock: fn() -> Timestamp,
    pub started: Timestamp,
    pub operators: Arc<Operators>,
    pub actions: Arc<dyn Actions>,
}

impl Control {
    /// Counts and logs what was done.
    pub(super) fn happened(&self, dry_run: bool, happened: &[Happened]) {
        if !dry_run {
            self.observer.happened(happened);
        }
    }
}

/// A question of `gatepost explain`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    pub login: Option<String>,
    /// Network address; unknown when absent.
    pub client: Option<String>,
    /// Forward-confirmed host name.
    pub client_name: Option<String>,
    /// SHA-256 fingerprint of the certificate or its key, in hex.
    pub certificate: Option<String>,
    /// Empty or absent: the null sender.
    pub sender: Option<String>,
    /// Each is a question of its own; none: asked at MAIL.
    #[serde(default)]
    pub recipients: Vec<String>,
    /// The word of a stage; else RCPT or, without a recipient, MAIL.
    pub stage: Option<String>,
    /// Part of a listener's socket; else the first that fits.
    pub listener: Option<String>,
}

/// Why a question cannot be asked.
#[derive(Debug, PartialEq, Eq)]
pub enum ExplainFault {
    Listener(String),
    Stage(String),
    Address(String),
    NoListener,
}

impl fmt::Display for ExplainFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listener(name) => write!(f, "no listener's socket contains \"{name}\""),
            Self::Stage(stage) => {
                let words: Vec<&str> = Stage::ALL.iter().map(|stage| stage.as_str()).collect();
                write!(f, "unknown stage \"{stage}\"; expected one of {}", words.join(", "))
            }
            Self::Address(address) => {
                write!(f, "\"{address}\" is no network address such as 192.0.2.9 or 2001:db8::9")
            }
            Self::NoListener => f.write_str("the configuration has no [[listen]]"),
        }
    }
}

impl std::error::Error for ExplainFault {}

/// The routes of the control socket.
pub fn router(control: Control) -> Router {
    Router::new()
        .route("/explain", post(ask))
        .route("/decision/{id}", get(recall))
        .route("/holds", post(holds::ask_holds))
        .route("/suspensions/queue", post(holds::ask_queue))
        .route("/release", post(deeds::release))
        .route("/suspend", post(deeds::suspend))
        .route("/exempt", post(deeds::exempt))
        .route("/exempt/end", post(deeds::end_exemption))
        .route("/forget", post(deeds::forget))
        .route("/breaker/reset", post(deeds::reset_breaker))
        .route("/backup", post(deeds::backup))
        .route("/incidents", post(looking::incidents))
        .route("/incident", post(looking::incident))
        .route("/kept/{id}", get(looking::kept))
        .route("/account", post(looking::account))
        .route("/accounts", get(looking::standings))
        .route("/accounts/top", get(looking::top))
        .route("/accounts/client", post(looking::from_network))
        .route("/audit", post(looking::audit))
        .route("/status", get(looking::status))
        .route("/notify-test", post(notify::ask_test))
        .route("/rights", post(rights::ask_rights))
        .route("/holders", post(rights::ask_holders))
        .with_state(control)
}

type Answer = Result<Json<Vec<Story>>, (StatusCode, String)>;

async fn ask(State(control): State<Control>, Json(asked): Json<Asked>) -> Answer {
    explain(&control.engine, &control.listeners, &asked, (control.clock)())
        .await
        .map(Json)
        .map_err(|fault| (StatusCode::BAD_REQUEST, fault.to_string()))
}

async fn recall(State(control): State<Control>, Path(id): Path<String>) -> Answer {
    let judged = DecisionId::parse(&id).and_then(|id| control.observer.recent.find(id));
    match judged {
        Some(judged) => Ok(Json(vec![control.engine.tell(&judged).await])),
        None => Err((StatusCode::NOT_FOUND, format!("no recent decision has the id {id}"))),
    }
}

/// Judges the question without leaving a trace and tells the story of each recipient.
pub async fn explain(
    engine: &Engine,
    listeners: &[Arc<Listener>],
    asked: &Asked,
    at: Timestamp,
) -> Result<Vec<Story>, ExplainFault> {
    let listener = choose(listeners, asked)?;
    let mut stories = Vec::new();
    let recipients: Vec<Option<&String>> = match asked.recipients.is_empty() {
        true => vec![None],
        false => asked.recipients.iter().map(Some).collect(),
    };
    for recipient in recipients {
        let facts = facts(asked, recipient, listener.protocol)?;
        let judged = engine.preview(listener, facts, at).await;
        stories.push(engine.tell(&judged).await);
    }
    Ok(stories)
}

fn choose<'a>(
    listeners: &'a [Arc<Listener>],
    asked: &Asked,
) -> Result<&'a Arc<Listener>, ExplainFault> {
    if let Some(name) = &asked.listener {
        let found = listeners.iter().find(|listener| listener.name.contains(name.as_str()));
        return found.ok_or_else(|| ExplainFault::Listener(name.clone()));
    }
    let facing = if asked.login.is_some() { Facing::Submission } else { Facing::Internet };
    let fits = listeners.iter().find(|listener| listener.facing == facing);
    fits.or(listeners.first()).ok_or(ExplainFault::NoListener)
}

fn facts(
    asked: &Asked,
    recipient: Option<&String>,
    protocol: Protocol,
) -> Result<Facts, ExplainFault> {
    let stage = match &asked.stage {
        Some(word) => Stage::parse(word).ok_or_else(|| ExplainFault::Stage(word.clone()))?,
        None if recipient.is_none() => Stage::Mail,
        None => Stage::Rcpt,
    };
    let mut facts = Facts::at_stage(protocol, stage);
    if let Some(client) = &asked.client {
        let address = Client::parse_address(client.as_bytes());
        facts.client.address = Some(address.ok_or_else(|| ExplainFault::Address(client.clone()))?);
    }
    facts.client.name = asked.client_name.as_ref().and_then(|n| Client::parse_name(n.as_bytes()));
    facts.client.certificate = asked.certificate.as_ref().map(|fingerprint| {
        let digits: String = fingerprint.chars().filter(|c| *c != ':').collect();
        let fingerprints = [Some(digits.to_ascii_lowercase().into()), None];
        Box::new(Certificate { fingerprints, subject: None })
    });
    facts.login = asked.login.as_ref().and_then(|login| Login::parse(login.as_bytes()));
    facts.envelope.sender = read_address(asked.sender.as_deref().unwrap_or_default());
    facts.envelope.recipient = recipient.map(|recipient| read_address(recipient));
    facts.envelope.recipient_count =
        u32::from(matches!(stage, Stage::Data | Stage::EndOfMessage) && recipient.is_some());
    Ok(facts)
}

/// As people write it, with brackets and quotes or without.
fn read_address(text: &str) -> Address {
    Address::from_path(text.as_bytes()).unwrap_or_else(|_| Address::from_internal(text.as_bytes()))
}
