//! What people change over the control socket: suspensions, exemptions, the breaker. Each deed has a note, and can be
//! tried without being done.

use std::path::PathBuf;

use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::admin::{Control, Peer};
use crate::detector::Spares;
use crate::engine::{DeedFault, Exempting, Opened, Release, Suspending};
use crate::mail::{Mode, Timestamp};
use crate::store::StoreFault;
use crate::suspension::Verdict;

/// What a deed is about, and why it is done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Deed {
    /// A login in any form, `client:` and an address, or the id of a suspension.
    pub login: String,
    pub note: String,
    /// Only tells what it would do.
    pub dry_run: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AskedRelease {
    #[serde(flatten)]
    pub deed: Deed,
    /// true-positive, false-positive, authorised-bulk
    pub verdict: String,
    #[serde(default)]
    pub force: bool,
}

/// What was lifted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Released {
    pub id: String,
    pub login: String,
    /// RFC 3339.
    pub since: String,
    pub imposed: String,
    /// A sentence.
    pub because: String,
    /// When the account's password was last set, where the directory tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_set: Option<String>,
    /// Its limits are lower until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probation_until: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AskedSuspend {
    #[serde(flatten)]
    pub deed: Deed,
    /// None: until it is released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Suspended {
    pub id: String,
    pub login: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AskedExempt {
    #[serde(flatten)]
    pub deed: Deed,
    pub until: Timestamp,
    /// Only the tests of whom its messages go to are spared.
    #[serde(default)]
    pub novelty: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipients: Option<u32>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Exempted {
    pub login: String,
    pub until: String,
    /// The id of the suspension that it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifted: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExemptionEnded {
    pub login: String,
    pub until: String,
    pub used: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Forgotten {
    pub login: String,
    /// Messages that had been counted.
    pub messages: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AskedReset {
    pub note: String,
    pub dry_run: bool,
    /// That of the shadows.
    pub observe: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AskedBackup {
    pub path: PathBuf,
}

pub(super) type Fault = (StatusCode, String);
type Caller = ConnectInfo<Peer>;

pub(super) async fn release(
    State(control): State<Control>,
    ConnectInfo(peer): Caller,
    Json(asked): Json<AskedRelease>,
) -> Result<Json<Released>, Fault> {
    let by = control.admit(peer, &asked.deed)?;
    let verdict = Verdict::parse(&asked.verdict).ok_or_else(|| bad("unknown verdict"))?;
    let Deed { login, note, dry_run } = &asked.deed;
    let release = Release { verdict, by: &by, note, force: asked.force };
    let done = control.engine.release(login, &release, !dry_run, (control.clock)()).await;
    let done = done.map_err(|fault| told(login, fault))?;
    control.happened(*dry_run, &done.happened);
    let suspension = done.suspension;
    Ok(Json(Released {
        id: suspension.id.to_string(),
        login: done.login,
        since: suspension.since.to_string(),
        imposed: suspension.imposed.to_string(),
        because: match suspension.finding() {
            Some(finding) => format!("it {finding}"),
            None => "a person suspended it".into(),
        },
        password_set: done.password_set.map(|set| set.to_string()),
        probation_until: done.probation_until.map(|until| until.to_string()),
    }))
}

pub(super) async fn suspend(
    State(control): State<Control>,
    ConnectInfo(peer): Caller,
    Json(asked): Json<AskedSuspend>,
) -> Result<Json<Suspended>, Fault> {
    let by = control.admit(peer, &asked.deed)?;
    let at = (control.clock)();
    check_end(asked.until, at)?;
    let Deed { login, note, dry_run } = &asked.deed;
    let suspending = Suspending { by: &by, note, until: asked.until };
    let done = control.engine.suspend(login, &suspending, !dry_run, at).await;
    let (suspension, happened) = done.map_err(|fault| told(login, fault))?;
    control.happened(*dry_run, &happened);
    let until = suspension.until.map(|until| until.to_string());
    Ok(Json(Suspended { id: suspension.id.to_string(), login: login.clone(), until }))
}

pub(super) async fn exempt(
    State(control): State<Control>,
    ConnectInfo(peer): Caller,
    Json(asked): Json<AskedExempt>,
) -> Result<Json<Exempted>, Fault> {
    let by = control.admit(peer, &asked.deed)?;
    let at = (control.clock)();
    check_end(Some(asked.until), at)?;
    if asked.recipients == Some(0) {
        return Err(bad("expected at least one recipient"));
    }
    let Deed { login, note, dry_run } = &asked.deed;
    let spares = if asked.novelty { Spares::Recipients } else { Spares::Everything };
    let (until, recipients) = (asked.until, asked.recipients);
    let exempting = Exempting { by: &by, note, spares, recipients, until };
    let done = control.engine.exempt(login, &exempting, !dry_run, at).await;
    let (lifted, happened) = done.map_err(|fault| told(login, fault))?;
    control.happened(*dry_run, &happened);
    Ok(Json(Exempted {
        login: login.clone(),
        until: until.to_string(),
        lifted: lifted.map(|lifted| lifted.id.to_string()),
    }))
}

pub(super) async fn end_exemption(
    State(control): State<Control>,
    ConnectInfo(peer): Caller,
    Json(deed): Json<Deed>,
) -> Result<Json<ExemptionEnded>, Fault> {
    let by = control.admit(peer, &deed)?;
    let Deed { login, note, dry_run } = &deed;
    let at = (control.clock)();
    let ended = control.engine.end_exemption(login, &by, note, !dry_run, at).await;
    let ended = ended.map_err(|fault| told(login, fault))?;
    let until = ended.until.to_string();
    Ok(Json(ExemptionEnded { login: login.clone(), until, used: ended.used }))
}

pub(super) async fn forget(
    State(control): State<Control>,
    ConnectInfo(peer): Caller,
    Json(deed): Json<Deed>,
) -> Result<Json<Forgotten>, Fault> {
    let by = control.admit(peer, &deed)?;
    let Deed { login, note, dry_run } = &deed;
    let at = (control.clock)();
    let done = control.engine.forget(login, &by, note, !dry_run, at).await;
    let (messages, happened) = done.map_err(|fault| told(login, fault))?;
    control.happened(*dry_run, &happened);
    Ok(Json(Forgotten { login: login.clone(), messages }))
}

pub(super) async fn reset_breaker(
    State(control): State<Control>,
    ConnectInfo(peer): Caller,
    Json(asked): Json<AskedReset>,
) -> Result<Json<Opened>, Fault> {
    let by = control.operators.admit(peer)?;
    check_note(&asked.note)?;
    let mode = if asked.observe { Mode::Observe } else { Mode::Enforce };
    let AskedReset { note, dry_run, .. } = &asked;
    let at = (control.clock)();
    let opened = control.engine.reset_breaker(mode, &by, note, !dry_run, at).await;
    opened.map(Json).map_err(|fault| told("the breaker", fault))
}

pub(super) async fn backup(
    State(control): State<Control>,
    ConnectInfo(peer): Caller,
    Json(asked): Json<AskedBackup>,
) -> Result<Json<AskedBackup>, Fault> {
    let by = control.operators.admit(peer)?;
    if !asked.path.is_absolute() {
        return Err(bad(
            "expected an absolute path: the daemon writes the copy, in its own folder",
        ));
    }
    let done = control.engine.backup(&asked.path, &by, (control.clock)()).await;
    done.map_err(|fault| {
        let why = match fault {
            StoreFault::Unavailable(why) | StoreFault::NotOnDisk(why) => why,
            full @ StoreFault::OutboxFull(_) => full.to_string(),
        };
        (StatusCode::SERVICE_UNAVAILABLE, format!("the store is not copied: {why}"))
    })?;
    Ok(Json(asked))
}

impl Control {
    /// The name of whoever asks, if he may, and says why.
    fn admit(&self, peer: Peer, deed: &Deed) -> Result<String, Fault> {
        let by = self.operators.admit(peer)?;
        check_note(&deed.note)?;
        Ok(by)
    }
}

fn check_note(note: &str) -> Result<(), Fault> {
    if note.trim().is_empty() { Err(bad("expected a note that says why")) } else { Ok(()) }
}

fn check_end(until: Option<Timestamp>, at: Timestamp) -> Result<(), Fault> {
    match until {
        Some(until) if until <= at => Err(bad(&format!("{until} is over; expected a later end"))),
        _ => Ok(()),
    }
}

pub(super) fn bad(what: &str) -> Fault {
    (StatusCode::BAD_REQUEST, what.into())
}

/// Of whom a deed was to be done.
pub(super) fn told(name: &str, fault: DeedFault) -> Fault {
    let status = match &fault {
        DeedFault::NoLogin | DeedFault::Ambiguous => StatusCode::BAD_REQUEST,
        DeedFault::Unknown
        | DeedFault::NotSuspended
        | DeedFault::NotExempt
        | DeedFault::NothingKept
        | DeedFault::BreakerClosed => StatusCode::NOT_FOUND,
        DeedFault::AlreadySuspended(_) | DeedFault::PasswordUnchanged { .. } => {
            StatusCode::CONFLICT
        }
        DeedFault::DirectorySilent | DeedFault::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    // Else the sentence would have no subject.
    let name = if name.is_empty() { "\"\"" } else { name };
    (status, format!("{name} {fault}"))
}
