//! Messages on hold over the control socket: listed, released, dropped.

use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::admin::deeds::{Fault, bad, told};
use crate::admin::{AskedName, Control, Peer, looking};
use crate::engine::{Ended, HOLD_MS, Held, HoldEnd, LetGo, Settler};
use crate::mail::Timestamp;
use crate::queue::Handled;
use crate::store::StoreFault;

/// What `gatepost hold` asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskedHolds {
    pub action: HoldAction,
    /// In any of its forms, `client:` and an address, or the id of a suspension.
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
    /// released, dropped, held, gone, failed; `None`: it is on hold.
    pub outcome: Option<String>,
    /// Of a failure.
    pub why: Option<String>,
}

pub(super) async fn ask_holds(
    State(control): State<Control>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Json(asked): Json<AskedHolds>,
) -> Result<Json<Vec<ToldHold>>, Fault> {
    let how = match asked.action {
        HoldAction::List => None,
        HoldAction::Release => Some(LetGo::Release),
        HoldAction::Drop => Some(LetGo::Drop),
    };
    let by = match how {
        Some(_) => {
            check(&asked)?;
            control.operators.admit(peer)?
        }
        None => String::new(),
    };
    let held = find(&control, &asked).await?;
    let Some(how) = how.filter(|_| !asked.dry_run) else {
        return Ok(Json(held.iter().map(|held| ToldHold::of(held, None)).collect()));
    };
    let settler = Settler { by: &by, note: &asked.note, at: (control.clock)() };
    let ended = control.engine.let_go(&control.helpers, held, how, Some(&settler)).await;
    let ended = ended.map_err(unavailable)?;
    record(&control, &settler, &ended);
    Ok(Json(ended.iter().map(|ended| ToldHold::of(&ended.held, Some(ended))).collect()))
}

/// What `gatepost suspensions queue` asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskedQueue {
    /// The id of a suspension, or a login it stands against.
    pub name: String,
    /// Else it is dropped.
    pub hold: bool,
    pub note: String,
    /// Only tells what may be in the queue.
    pub dry_run: bool,
}

/// Everything of a suspended account that is still in a queue is put on hold, or dropped.
pub(super) async fn ask_queue(
    State(control): State<Control>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Json(asked): Json<AskedQueue>,
) -> Result<Json<Vec<ToldHold>>, Fault> {
    let by = control.operators.admit(peer)?;
    if asked.note.trim().is_empty() {
        return Err(bad("expected a note that says why"));
    }
    let name = AskedName { login: asked.name.clone() };
    let Json(found) = looking::incident(State(control.clone()), Json(name)).await?;
    if control.helpers.is_empty() {
        return Err(bad(
            "no queue can be looked into: the configuration has no [[queue]] (docs/hold.md)",
        ));
    }
    let at = (control.clock)();
    let queued = control.engine.queued(&control.helpers, &found.incident, at).await;
    let settler = Settler { by: &by, note: &asked.note, at };
    if asked.dry_run {
        return Ok(Json(queued.iter().map(|held| ToldHold::of(held, None)).collect()));
    }
    if asked.hold {
        let held = control.engine.hold_back(&control.helpers, queued, &settler).await;
        let held = held.map_err(unavailable)?;
        return Ok(Json(held.iter().map(|(held, done)| ToldHold::held(held, done)).collect()));
    }
    let ended = control.engine.let_go(&control.helpers, queued, LetGo::Drop, Some(&settler)).await;
    let ended = ended.map_err(unavailable)?;
    record(&control, &settler, &ended);
    Ok(Json(ended.iter().map(|ended| ToldHold::of(&ended.held, Some(ended))).collect()))
}

/// A mutation says of what and why.
fn check(asked: &AskedHolds) -> Result<(), Fault> {
    if asked.login.is_none() && asked.id.is_none() {
        return Err(bad("expected a login or a queue id"));
    }
    if asked.note.trim().is_empty() {
        return Err(bad("expected a note that says why"));
    }
    Ok(())
}

/// Those asked for; of a listing there may be none.
async fn find(control: &Control, asked: &AskedHolds) -> Result<Vec<Held>, Fault> {
    let mut held = match &asked.login {
        Some(name) => control.engine.holds_of(name).await.map_err(|fault| told(name, fault))?,
        None => control.engine.holds(None).await.map_err(unavailable)?,
    };
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

fn record(control: &Control, settler: &Settler<'_>, ended: &[Ended]) {
    for one in ended {
        control.observer.metrics.holds.ended(one.end);
        let (mta, queue_id) = (&*one.held.mta, one.held.queue_id.as_str());
        let (id, login, outcome) = (&*one.held.id, &*one.held.login, one.end.as_str());
        let (by, note, why) = (settler.by, settler.note, &*one.why);
        tracing::info!(
            id,
            mta,
            queue_id,
            login,
            outcome,
            by,
            note,
            why,
            "a message on hold is settled"
        );
    }
}

impl ToldHold {
    /// One that was to be put on hold.
    fn held(held: &Held, done: &Handled) -> Self {
        let (outcome, why) = match done {
            Handled::Done => ("held", None),
            Handled::Gone => ("gone", None),
            Handled::Failed(why) => ("failed", Some(why.clone())),
        };
        Self { outcome: Some(outcome.into()), why, ..Self::of(held, None) }
    }

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
