//! The check of quotas: at RCPT for one recipient more, and where a message is charged for the whole of it.

use crate::decision::checks::Judging;
use crate::decision::{
    Because, Case, Check, Exceeded, Outcome, QuotaTold, Reason, judge_quotas, remaining,
};
use crate::mail::{Mode, Stage, Timestamp};
use crate::record::Record;

impl Case<'_> {
    /// At RCPT, where it is not the charging stage itself.
    pub(super) fn asks_quota(&self) -> bool {
        let stage = self.facts.stage;
        stage == Stage::Rcpt && !self.listener.charge_at.is(stage)
    }

    /// What the quotas say of so many messages and recipients more. `None`: none holds.
    pub(super) fn quota(
        &self,
        record: &Record,
        messages: u32,
        recipients: u32,
        at: Timestamp,
    ) -> Option<QuotaTold> {
        let limits = self.limits();
        if limits.is_empty() {
            return None;
        }
        Some(QuotaTold {
            verdict: judge_quotas(&limits, &record.windows, messages, recipients, at),
            remaining: remaining(&limits, &record.windows, at),
        })
    }
}

impl Judging<'_> {
    pub(super) fn check_quota(&mut self, record: &Record, at: Timestamp) -> Result<(), Reason> {
        let Some(quota) = self.case.quota(record, 1, 1, at) else { return Ok(()) };
        let (exceeded, observed) = (quota.verdict.exceeded, quota.verdict.observed);
        self.quota = Some(Box::new(quota));
        if let Some(observed) = observed {
            let reason = observed.limit.on_exceed.reason();
            self.step(Check::Quota, Outcome::WouldObject(reason), Because::QuotaObserved);
        }
        match exceeded.filter(Exceeded::refuses) {
            Some(exceeded) => {
                let reason = exceeded.limit.on_exceed.reason();
                self.object(Check::Quota, Mode::Enforce, reason, Because::QuotaExceeded)
            }
            None => {
                self.step(Check::Quota, Outcome::Pass, Because::QuotaLeft);
                Ok(())
            }
        }
    }
}
