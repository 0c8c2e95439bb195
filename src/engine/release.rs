//! Lifting a suspension: by a person, who says what it was.

use crate::detector::Test;
use crate::engine::Engine;
use crate::engine::suspending::DeedFault;
use crate::engine::telling::{Happened, Said};
use crate::ledger::Meter;
use crate::mail::Timestamp;
use crate::record::{Change, Incident, Record, Table};
use crate::suspension::{Ending, PROBATION_MS, Suspension, Verdict};

/// Who releases, and what he says of it.
#[derive(Clone, Copy, Debug)]
pub struct Release<'a> {
    pub verdict: Verdict,
    pub by: &'a str,
    pub note: &'a str,
    /// Though the stolen password was not changed.
    pub force: bool,
}

/// What was lifted.
#[derive(Clone, Debug)]
pub struct Released {
    pub login: String,
    pub suspension: Suspension,
    /// When the account's password was last set, where the directory tells.
    pub password_set: Option<Timestamp>,
    /// `None`: there is none.
    pub probation_until: Option<Timestamp>,
    pub happened: Vec<Happened>,
}

impl Engine {
    /// Lifts the suspension of the account and forgives what it sent before; tells which it was. Without `commit`
    /// nothing changes.
    pub async fn release(
        &self,
        name: &str,
        release: &Release<'_>,
        commit: bool,
        at: Timestamp,
    ) -> Result<Released, DeedFault> {
        let subject = self.subject(name).await?;
        let has_probation = self.rules().detector.suspension.has_probation;
        let mut standing = None;
        self.look(&subject.account, |record| standing = record.in_force(at).cloned()).await?;
        // The id of one that is over is no ground to lift another.
        let is_meant = |standing: &Suspension| {
            subject.incident.as_deref().is_none_or(|id| *id == *standing.id)
        };
        let suspension = standing.filter(is_meant).ok_or(DeedFault::NotSuspended)?;
        let password_set = subject.holder.as_ref().and_then(|holder| holder.password_set);
        if release.verdict == Verdict::TruePositive && !release.force {
            if subject.is_unsaid {
                return Err(DeedFault::DirectorySilent);
            }
            if let Some(set) = password_set.filter(|set| *set < suspension.since) {
                return Err(DeedFault::PasswordUnchanged { set, since: suspension.since });
            }
        }
        let readings = self.readings(&suspension).await?;
        let said = Said {
            by: release.by,
            note: Some(release.note),
            ending: Ending::Released(release.verdict),
        };
        if commit {
            self.keep_holds_of(&subject.account).await?;
        }
        let about = subject.about(at);
        let (mut lifted, mut happened) = (None, Vec::new());
        let mut lift = |record: &Record| {
            let mut changed = record.clone();
            // Another one by now is not what was looked at.
            let is_same = record.in_force(at).is_some_and(|known| known.id == suspension.id);
            lifted =
                is_same.then(|| changed.lift(said.ending, &readings, has_probation, at)).flatten();
            if lifted.is_none() {
                return Change::default();
            }
            let mut change = Change::to(changed);
            happened = self.tell_change(&about, said, record, None, &mut change);
            change
        };
        self.change(&subject.account, &mut lift, commit).await?;
        let suspension = lifted.ok_or(DeedFault::NotSuspended)?;
        let probation_ends = at.unix_ms().saturating_add(PROBATION_MS);
        Ok(Released {
            login: subject.login.clone(),
            suspension,
            password_set,
            probation_until: has_probation.then(|| Timestamp::from_unix_ms(probation_ends)),
            happened,
        })
    }

    /// What the meters read when it was imposed.
    pub(super) async fn readings(
        &self,
        suspension: &Suspension,
    ) -> Result<Vec<(Meter, f32)>, DeedFault> {
        let row = self.store.row(Table::Incidents, &suspension.id).await?;
        let incident = row.as_deref().and_then(Incident::read);
        let mut readings: Vec<(Meter, f32)> = incident
            .iter()
            .flat_map(|incident| &incident.readings)
            .filter_map(|reading| Some((meter(&reading.test)?, reading.value)))
            .collect();
        // That of the finding, should the incident be lost.
        if let (true, Some(finding)) = (readings.is_empty(), suspension.finding())
            && let Test::Usual(meter) = finding.test
        {
            readings.push((meter, finding.value));
        }
        Ok(readings)
    }
}

fn meter(word: &str) -> Option<Meter> {
    match Test::parse(word)? {
        Test::Usual(meter) => Some(meter),
        _ => None,
    }
}
