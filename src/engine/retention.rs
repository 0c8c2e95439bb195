//! What is kept too long goes: evidence, deeds, refusals.

use crate::decision::Retention;
use crate::engine::Engine;
use crate::engine::incidents::{bare, is_evident};
use crate::engine::refusals::Refused;
use crate::mail::Timestamp;
use crate::record::{Deed, Incident, IncidentEnd, Row, Table};
use crate::store::{Pages, StoreFault};

/// Rows read, and taken away, at once.
const PAGE: usize = 500;

/// Refusals of so many accounts and reasons are kept; beyond, those that were longest ago go first.
const REFUSALS: usize = 10_000;

impl Engine {
    /// Takes away what is over by `[privacy]`.
    pub async fn forget_old(&self, at: Timestamp) -> Result<(), StoreFault> {
        let Retention { evidence_ms, audit_ms, refusals_ms } = self.rules().privacy;
        let before = |ms: i64| Timestamp::from_unix_ms(at.unix_ms().saturating_sub(ms));
        self.forget_deeds(before(audit_ms)).await?;
        self.forget_evidence(before(evidence_ms), before(audit_ms), at).await?;
        self.forget_refusals(before(refusals_ms)).await
    }

    async fn forget_deeds(&self, before: Timestamp) -> Result<(), StoreFault> {
        let end = Deed::from(before);
        loop {
            let page = self.store.rows(Table::Audit, "", PAGE).await?;
            let old: Vec<Row> = page
                .iter()
                .take_while(|(key, _)| **key < *end)
                .map(|(key, _)| Row::remove(Table::Audit, key))
                .collect();
            let is_all = old.len() < PAGE;
            if !old.is_empty() {
                self.store.put(old).await?;
            }
            if is_all {
                return Ok(());
            }
        }
    }

    /// Of a suspension that has ended: whom it wrote to goes first, the rest with the deeds.
    async fn forget_evidence(
        &self,
        evidence: Timestamp,
        audit: Timestamp,
        at: Timestamp,
    ) -> Result<(), StoreFault> {
        let all = self.incidents(Timestamp::default(), false, at).await?;
        let mut rows = Vec::new();
        for told in all {
            let over = told.end.as_ref().map_or(told.incident.imposed, |end| end.at);
            if told.is_standing(at) || over >= evidence {
                continue;
            }
            let id = told.incident.id.clone();
            if over < audit {
                rows.push(Row::remove(Table::Incidents, &id));
                rows.push(Row::remove(Table::Incidents, &IncidentEnd::key(&id)));
            } else if is_evident(&told.incident) {
                rows.push(Incident::row(&bare(told.incident)));
            }
        }
        if rows.is_empty() { Ok(()) } else { self.store.put(rows).await }
    }

    async fn forget_refusals(&self, before: Timestamp) -> Result<(), StoreFault> {
        let (mut kept, mut rows) = (Vec::new(), Vec::new());
        let mut pages = Pages::of(&*self.store, Table::Refusals);
        while let Some(page) = pages.next().await? {
            for (key, value) in &page {
                match serde_json::from_str::<Refused>(value) {
                    Ok(refused) if refused.last >= before => kept.push((refused.last, key.clone())),
                    _ => rows.push(Row::remove(Table::Refusals, key)),
                }
            }
        }
        kept.sort_unstable();
        let over = kept.len().saturating_sub(REFUSALS);
        rows.extend(kept.drain(..over).map(|(_, key)| Row::remove(Table::Refusals, &key)));
        if rows.is_empty() { Ok(()) } else { self.store.put(rows).await }
    }
}
