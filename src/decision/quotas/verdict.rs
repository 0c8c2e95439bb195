//! Whether a message still fits into its limits, and what is left of them.

use std::time::Duration;

use smallvec::SmallVec;

use crate::decision::quotas::{Limit, Limits, OnExceed, Quotas, Rate};
use crate::ledger::{Counted, Windows};
use crate::mail::{Mode, Timestamp};

/// Above this share of a limit an account is watched, and somebody is warned: four fifths.
const WATCHED: (u64, u64) = (4, 5);

/// What the quotas say of one message.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct QuotaVerdict {
    /// The limit that settles it: of those that enforce and have no room for it the severest. `None`: it fits.
    pub exceeded: Option<Exceeded>,
    /// The same of those that observe.
    pub observed: Option<Exceeded>,
    /// Limits that are nearly used up once the message is taken; none where it is refused.
    pub watched: SmallVec<[Watched; 1]>,
}

impl QuotaVerdict {
    /// Whether the message must not be charged.
    pub fn is_refused(&self) -> bool {
        self.exceeded.is_some_and(|exceeded| exceeded.refuses())
    }
}

/// A limit that has no room for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    pub limit: Limit,
    pub used: u64,
    /// The message's own part.
    pub asked: u32,
    /// When there is room for it, if nothing more is sent. `None`: it is larger than the limit.
    pub free_at: Option<Timestamp>,
}

/// A limit of which more than [four fifths](WATCHED) are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watched {
    pub limit: Limit,
    /// With the message.
    pub used: u64,
    /// Nobody was warned of it within its window yet.
    pub is_new: bool,
}

/// What is left of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remaining {
    pub limit: Limit,
    pub used: u64,
    pub left: u64,
    /// When all of it is left again, if nothing more is sent. `None`: it is now.
    pub free_at: Option<Timestamp>,
}

/// Judges so many messages (0 for a further recipient of one that is charged already) and recipients against
/// the windows of their account as they stand before. Nothing asked for exceeds nothing.
pub fn judge_quotas(
    limits: &Limits,
    windows: &Windows,
    messages: u32,
    recipients: u32,
    at: Timestamp,
) -> QuotaVerdict {
    let mut verdict = QuotaVerdict::default();
    for limit in limits.iter() {
        let Rate { counted, most, window, .. } = limit.rate;
        let asked = match counted {
            Counted::Messages => messages,
            Counted::Recipients => recipients,
        };
        if asked == 0 {
            continue;
        }
        let used = windows.used(window, at).of(counted);
        let after = used + u64::from(asked);
        if after > u64::from(most) {
            let room = most.checked_sub(asked).map(u64::from);
            let free_at = room.map(|room| windows.free_at(window, counted, room, at));
            let exceeded = Exceeded { limit: *limit, used, asked, free_at };
            let settles = match limit.mode {
                Mode::Enforce => &mut verdict.exceeded,
                _ => &mut verdict.observed,
            };
            *settles = settles.iter().copied().chain([exceeded]).max_by_key(Exceeded::severity);
        } else if after * WATCHED.1 >= u64::from(most) * WATCHED.0 {
            let is_new = !windows.is_warned(window, counted, at);
            verdict.watched.push(Watched { limit: *limit, used: after, is_new });
        }
    }
    if verdict.is_refused() {
        verdict.watched.clear();
    }
    verdict
}

impl Quotas {
    /// Charges a message that was taken, and remembers whom it makes somebody warn of. Call it after
    /// [`judge_quotas`], never for a message that is refused; one that is held was taken.
    pub fn charge(
        &self,
        verdict: &QuotaVerdict,
        windows: &mut Windows,
        messages: u32,
        recipients: u32,
        at: Timestamp,
    ) {
        windows.charge(&self.windows, messages, recipients, at);
        for watched in verdict.watched.iter().filter(|watched| watched.is_new) {
            let rate = watched.limit.rate;
            windows.warn(rate.window, rate.counted, at);
        }
    }
}

/// What is left of each limit.
pub fn remaining(limits: &Limits, windows: &Windows, at: Timestamp) -> Vec<Remaining> {
    let left = limits.iter().map(|limit| {
        let Rate { counted, most, window, .. } = limit.rate;
        let used = windows.used(window, at).of(counted);
        let free_at = (used > 0).then(|| windows.free_at(window, counted, 0, at));
        Remaining { limit: *limit, used, left: u64::from(most).saturating_sub(used), free_at }
    });
    left.collect()
}

impl Exceeded {
    /// A quota that holds takes the message.
    pub fn refuses(&self) -> bool {
        self.limit.on_exceed > OnExceed::Hold
    }

    /// Of equally severe ones that which stands longest.
    fn severity(&self) -> (OnExceed, bool, Option<Timestamp>, Duration, Counted) {
        let Limit { rate, on_exceed, .. } = self.limit;
        (on_exceed, self.free_at.is_none(), self.free_at, rate.window, rate.counted)
    }
}
