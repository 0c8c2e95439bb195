//! Suspensions as people look at them: those that stand, those that were, each with its evidence.

use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::mail::{AccountKey, Timestamp};
use crate::record::{Deed, Incident, IncidentEnd, Row, Table};
use crate::store::{Pages, StoreFault};

/// A suspension with its end, if it has one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    #[serde(flatten)]
    pub incident: Incident,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<IncidentEnd>,
}

impl Engine {
    /// Those imposed since, the latest first; `standing`: only those without an end.
    pub async fn incidents(
        &self,
        since: Timestamp,
        standing: bool,
        at: Timestamp,
    ) -> Result<Vec<Told>, StoreFault> {
        let mut told: Vec<Told> = Vec::new();
        let mut pages = Pages::of(&*self.store, Table::Incidents);
        while let Some(page) = pages.next().await? {
            for (key, value) in &page {
                if let Some((id, _)) = key.split_once('/') {
                    // It follows its incident.
                    if let Some(last) = told.last_mut().filter(|last| last.incident.id == id) {
                        last.end = IncidentEnd::read(value);
                    }
                } else if let Some(incident) = Incident::read(value) {
                    told.push(Told { incident, end: None });
                }
            }
        }
        told.retain(|told| told.incident.imposed >= since && (!standing || told.is_standing(at)));
        told.sort_by_key(|told| std::cmp::Reverse(told.incident.imposed));
        Ok(told)
    }

    /// `None`: there is none of this id.
    pub async fn incident(&self, id: &str) -> Result<Option<Told>, StoreFault> {
        let row = self.store.row(Table::Incidents, id).await?;
        let Some(incident) = row.as_deref().and_then(Incident::read) else { return Ok(None) };
        let end = self.store.row(Table::Incidents, &IncidentEnd::key(id)).await?;
        Ok(Some(Told { incident, end: end.as_deref().and_then(IncidentEnd::read) }))
    }

    /// What was done since, the earliest first; at most so much.
    pub async fn deeds(&self, since: Timestamp, most: usize) -> Result<Vec<Deed>, StoreFault> {
        self.deeds_that(since, most, |_| true).await
    }

    /// As [`deeds`](Self::deeds), to the account that a person means, under whichever name it was done; and where no
    /// directory knows the login any more, as it is written.
    pub async fn deeds_to(
        &self,
        name: &str,
        since: Timestamp,
        most: usize,
    ) -> Result<Vec<Deed>, StoreFault> {
        let account = self.subject(name).await.ok().map(|subject| subject.account.to_string());
        let is_to = |deed: &Deed| {
            let login = deed.login.as_deref().unwrap_or_default();
            login.eq_ignore_ascii_case(name) || (account.is_some() && deed.account == account)
        };
        self.deeds_that(since, most, is_to).await
    }

    async fn deeds_that(
        &self,
        since: Timestamp,
        most: usize,
        is_wanted: impl Fn(&Deed) -> bool,
    ) -> Result<Vec<Deed>, StoreFault> {
        let mut deeds = Vec::new();
        let mut pages = Pages::after(&*self.store, Table::Audit, &Deed::from(since));
        while deeds.len() < most
            && let Some(page) = pages.next().await?
        {
            let read = page.iter().filter_map(|(_, value)| Deed::read(value));
            deeds.extend(read.filter(&is_wanted).take(most - deeds.len()));
        }
        Ok(deeds)
    }

    /// Takes the evidence of an account's past suspensions away, and leaves that there were some.
    pub(super) async fn forget_incidents(
        &self,
        account: &AccountKey,
        at: Timestamp,
    ) -> Result<(), StoreFault> {
        let evident = self.evident(account, at).await?;
        let rows: Vec<Row> = evident.into_iter().map(|incident| bare(incident).row()).collect();
        if rows.is_empty() { Ok(()) } else { self.store.put(rows).await }
    }

    /// Past suspensions of an account of which evidence is left.
    pub(super) async fn evident(
        &self,
        account: &AccountKey,
        at: Timestamp,
    ) -> Result<Vec<Incident>, StoreFault> {
        let all = self.incidents(Timestamp::default(), false, at).await?;
        let own = all
            .into_iter()
            .filter(|told| told.incident.account == account.as_str() && !told.is_standing(at));
        Ok(own.map(|told| told.incident).filter(is_evident).collect())
    }
}

impl Told {
    pub(super) fn is_standing(&self, at: Timestamp) -> bool {
        self.end.is_none() && self.incident.until.is_none_or(|end| at < end)
    }
}

/// Without whom it wrote to and whence.
pub(super) fn bare(incident: Incident) -> Incident {
    Incident { addresses: Vec::new(), envelopes: Vec::new(), networks: Vec::new(), ..incident }
}

/// Whether whom it wrote to or whence is left.
pub(super) fn is_evident(incident: &Incident) -> bool {
    let Incident { addresses, envelopes, networks, .. } = incident;
    !(addresses.is_empty() && envelopes.is_empty() && networks.is_empty())
}
