//! Messages on hold over the control socket: listed, released, dropped.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::admin::Control;
use crate::engine::{Ended, HOLD_MS, Held, HoldEnd, LetGo};
use crate::mail::{AccountKey, Login, Timestamp};
use crate::store::StoreFault;

/// What `gatepost hold` asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskedHolds {
    pub action: HoldAction,
    /// In any of its forms.
    pub login: Option<String>,
    /// A queue id.
    pub id: Option<String>,
    pub mta: Option<String>,
    /// Why; of a listing nobody asks.
    pub note: String,
    /// Only tells what it would do.
    pub dry_run: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HoldAction {
    List,
    Release,
    Drop,
}

/// One message on hold, or what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldHold {
    pub mta: String,
    pub queue_id: String,
    /// Empty without one.
    pub login: String,
    pub account: String,
    /// RFC 3339.
    pub held_since: String,
    /// When it is released by itself, RFC 3339; `None`: never, a person decides.
    pub released_at: Option<String>,
    /// That of the decision, for `gatepost explain`.
    pub id: String,
    /// hold, suspend, quota
    pub grade: String,
    pub held_by: String,
    /// released, dropped, gone, failed; `None`: it is on hold.
    pub outcome: Option<String>,
    /// Of a failure.
    pub why: Option<String>,
}

type Fault = (StatusCode, String);

pub(super) async fn ask_holds(
    State(control): State<Control>,
    Json(asked): Json<AskedHolds>,
) -> Result<Json<Vec<ToldHold>>, Fault> {
    let how = match asked.action {
        HoldAction::List => None,
        HoldAction::Release => Some(LetGo::Release),
        HoldAction::Drop => Some(LetGo::Drop),
    };
    if how.is_some() {
        check(&asked).map_err(|why| (StatusCode::BAD_REQUEST, why.into()))?;
    }
    let held = find(&control, &asked).await?;
    let Some(how) = how.filter(|_| !asked.dry_run) else {
        return Ok(Json(held.iter().map(|held| ToldHold::of(held, None)).collect()));
    };
    let ended = control.engine.let_go(&control.helpers, held, how).await.map_err(unavailable)?;
    record(&control, &asked, &ended, (control.clock)());
    Ok(Json(ended.iter().map(|ended| ToldHold::of(&ended.held, Some(ended))).collect()))
}

/// A mutation says of what and why.
fn check(asked: &AskedHolds) -> Result<(), &'static str> {
    if asked.login.is_none() && asked.id.is_none() {
        return Err("expected a login or a queue id");
    }
    if asked.note.trim().is_empty() {
        return Err("expected a note that says why");
    }
    Ok(())
}

/// Those asked for; of a listing there may be none.
async fn find(control: &Control, asked: &AskedHolds) -> Result<Vec<Held>, Fault> {
    let bad = |what: &str| (StatusCode::BAD_REQUEST, what.to_string());
    let mut held = control.engine.holds(None).await.map_err(unavailable)?;
    if let Some(text) = &asked.login {
        let login = Login::parse(text.as_bytes()).ok_or_else(|| bad("expected a login"))?;
        // Also what it sent while no directory knew it.
        let keys = [control.engine.account_of(&login).await, Some(AccountKey::unresolved(&login))];
        held.retain(|one| keys.iter().flatten().any(|key| key.as_str() == one.account));
    }
    held.retain(|one| {
        asked.id.as_ref().is_none_or(|id| one.queue_id.as_str() == id)
            && asked.mta.as_ref().is_none_or(|mta| one.mta == *mta)
    });
    let is_listing = asked.action == HoldAction::List;
    if !is_listing && asked.id.is_some() && held.iter().any(|one| one.mta != held[0].mta) {
        return Err(bad("several mail servers have a message of that id on hold; name one (mta)"));
    }
    if held.is_empty() && !is_listing {
        return Err((StatusCode::NOT_FOUND, "no such message is on hold".into()));
    }
    held.sort_by_key(|one| one.at);
    Ok(held)
}

fn unavailable(fault: StoreFault) -> Fault {
    (StatusCode::SERVICE_UNAVAILABLE, fault.to_string())
}

/// The one place through which a release or a drop by a person is told and counted.
fn record(control: &Control, asked: &AskedHolds, ended: &[Ended], at: Timestamp) {
    for one in ended {
        control.observer.metrics.holds.ended(one.end);
        let (mta, queue_id) = (&*one.held.mta, one.held.queue_id.as_str());
        let (id, login, outcome) = (&*one.held.id, &*one.held.login, one.end.as_str());
        let (note, why) = (&*asked.note, &*one.why);
        tracing::info!(id, mta, queue_id, login, outcome, note, why, %at, "a message on hold is settled");
    }
}

impl ToldHold {
    fn of(held: &Held, ended: Option<&Ended>) -> Self {
        let wait = i64::try_from(HOLD_MS).unwrap_or(i64::MAX);
        let due = Timestamp::from_unix_ms(held.at.unix_ms().saturating_add(wait));
        let failed = ended.filter(|ended| ended.end == HoldEnd::Failed);
        Self {
            mta: held.mta.clone(),
            queue_id: held.queue_id.as_str().into(),
            login: held.login.clone(),
            account: held.account.clone(),
            held_since: held.at.to_string(),
            released_at: held.may_be_due().then(|| due.to_string()),
            id: held.id.clone(),
            grade: held.grade.as_str().into(),
            held_by: held.held_by.clone(),
            outcome: ended.map(|ended| ended.end.as_str().into()),
            why: failed.map(|ended| ended.why.clone()),
        }
    }
}
