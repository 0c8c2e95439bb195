//! Quotas in words: what is used and what is left, and which entry says so.

use std::time::Duration;

use crate::decision::entries::Entries;
use crate::decision::{Exceeded, Limit, Paths, QuotaFor, Remaining, Rules, Watched};
use crate::mail::Mode;
use crate::rights::Who;

impl Limit {
    /// `gatepost.toml:31, group Staff`
    pub fn origin(&self, rules: &Rules, paths: &Paths) -> String {
        let entries = Entries { rules, paths };
        let quota = rules.quotas.entries().get(self.quota).map(|quota| &quota.whose);
        let whose = match quota {
            Some(QuotaFor::Who(Who::User(login))) => format!("user {login}"),
            Some(QuotaFor::Who(Who::Group(group))) => format!("group {}", entries.group(*group)),
            Some(QuotaFor::Net(net)) => format!("network {net}"),
            Some(QuotaFor::Default) | None => "default".into(),
        };
        let observes = if self.mode == Mode::Observe { ", only observed" } else { "" };
        format!("{}, {whose}{observes}", entries.line(self.rate.line))
    }

    /// `200 of 200 recipients in 1 hour used`
    fn used(&self, used: u64) -> String {
        format!("{used} of {} used", self.most())
    }

    /// `200 recipients in 1 hour`
    fn most(&self) -> String {
        let rate = self.rate;
        let window = window_words(rate.window);
        format!("{} {} in {window}", rate.most, rate.counted.as_str())
    }
}

impl Exceeded {
    /// Why the message does not fit, and when it would.
    pub fn told(&self, rules: &Rules, paths: &Paths) -> String {
        let Self { limit, used, asked, free_at } = self;
        let counted = limit.rate.counted.as_str();
        let (used, most, origin) = (limit.used(*used), limit.most(), limit.origin(rules, paths));
        match (free_at, asked) {
            (None, _) => {
                format!("{asked} {counted} at once never fit into {most} ({origin})")
            }
            (Some(free), 1) => format!("{used} ({origin}); free again at {free}"),
            (Some(free), _) => {
                format!("{used}, no room for {asked} more ({origin}); free again at {free}")
            }
        }
    }
}

impl Watched {
    /// For a warning.
    pub fn told(&self, rules: &Rules, paths: &Paths) -> String {
        let Self { limit, used, .. } = self;
        format!("{} ({})", limit.used(*used), limit.origin(rules, paths))
    }
}

impl Remaining {
    pub fn told(&self, rules: &Rules, paths: &Paths) -> String {
        let Self { limit, used, left, free_at } = self;
        let free = free_at.map_or_else(String::new, |free| format!("; all free again at {free}"));
        format!("{}, {left} left ({}){free}", limit.used(*used), limit.origin(rules, paths))
    }
}

/// `1 hour`, `90 seconds`
fn window_words(window: Duration) -> String {
    let ms = window.as_millis();
    let units = [("day", 86_400_000), ("hour", 3_600_000), ("minute", 60_000), ("second", 1000)];
    let (unit, each) =
        units.into_iter().find(|(_, each)| ms.is_multiple_of(*each)).unwrap_or(("ms", 1));
    match ms / each {
        1 => format!("1 {unit}"),
        count if each == 1 => format!("{count} {unit}"),
        count => format!("{count} {unit}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::{OnExceed, Quota, Quotas, Rate, remaining};
    use crate::ledger::{Counted, Windows};
    use crate::mail::{Login, Timestamp};

    fn rules() -> Rules {
        let mut rules = Rules { file: "gatepost.toml".into(), ..Rules::default() };
        let staff = rules.groups.index("Staff");
        let whose = [
            QuotaFor::Who(Who::Group(staff)),
            QuotaFor::Who(Who::User(Login::parse(b"bob").expect("a login"))),
            QuotaFor::Net("192.0.2.0/24".parse().expect("a network")),
            QuotaFor::Default,
        ];
        let rate = |line| Rate {
            counted: Counted::Recipients,
            most: 200,
            window: Duration::from_secs(3600),
            line,
        };
        let quota = |(index, whose)| Quota {
            whose,
            rates: vec![rate(index + 31)],
            on_exceed: OnExceed::Defer,
            mode: Mode::Enforce,
            line: index + 31,
        };
        rules.quotas = Quotas::new(whose.into_iter().enumerate().map(quota).collect());
        rules
    }

    fn limit(rules: &Rules, quota: usize) -> Limit {
        let Quota { rates, on_exceed, mode, .. } = &rules.quotas.entries()[quota];
        Limit { rate: rates[0], on_exceed: *on_exceed, mode: *mode, quota }
    }

    #[test]
    fn what_exceeds_a_quota_is_told_with_its_line_and_the_time_it_fits() {
        let rules = rules();
        let at = Timestamp::from_unix_ms(1_790_000_000_123);
        let paths = Paths::from([(0, vec!["bob".into(), "Tellers".into(), "Staff".into()])]);
        let told = |used, asked, free_at| {
            Exceeded { limit: limit(&rules, 0), used, asked, free_at }.told(&rules, &paths)
        };
        assert_eq!(
            told(200, 1, Some(at)),
            "200 of 200 recipients in 1 hour used (gatepost.toml:31, group Staff (bob -> Tellers -> Staff)); free again at 2026-09-21T14:13:20.123Z"
        );
        assert_eq!(
            told(198, 3, Some(at)),
            "198 of 200 recipients in 1 hour used, no room for 3 more (gatepost.toml:31, group Staff (bob -> Tellers -> Staff)); free again at 2026-09-21T14:13:20.123Z"
        );
        assert_eq!(
            told(0, 500, None),
            "500 recipients at once never fit into 200 recipients in 1 hour (gatepost.toml:31, group Staff (bob -> Tellers -> Staff))"
        );
    }

    #[test]
    fn each_kind_of_quota_is_named() {
        let rules = rules();
        let origins = [0, 1, 2, 3].map(|quota| {
            let mut limit = limit(&rules, quota);
            limit.mode = if quota == 3 { Mode::Observe } else { Mode::Enforce };
            Watched { limit, used: 160, is_new: true }.told(&rules, &Paths::new())
        });
        assert_eq!(
            origins,
            [
                "160 of 200 recipients in 1 hour used (gatepost.toml:31, group Staff)",
                "160 of 200 recipients in 1 hour used (gatepost.toml:32, user bob)",
                "160 of 200 recipients in 1 hour used (gatepost.toml:33, network 192.0.2.0/24)",
                "160 of 200 recipients in 1 hour used (gatepost.toml:34, default, only observed)",
            ]
        );
    }

    #[test]
    fn what_is_left_is_told_with_the_time_it_is_whole_again() {
        let rules = rules();
        let client = "192.0.2.9".parse().ok();
        let limits = rules.quotas.of(None, client);
        let mut windows = Windows::default();
        let told = |windows: &Windows| {
            let at = Timestamp::from_unix_ms(1_790_000_000_000);
            let left = remaining(&limits, windows, at);
            left.iter().map(|left| left.told(&rules, &Paths::new())).collect::<Vec<_>>()
        };
        assert_eq!(
            told(&windows),
            [
                "0 of 200 recipients in 1 hour used, 200 left (gatepost.toml:33, network 192.0.2.0/24)"
            ]
        );
        windows.charge(rules.quotas.windows(), 1, 60, Timestamp::from_unix_ms(1_790_000_000_000));
        assert_eq!(
            told(&windows),
            [
                "60 of 200 recipients in 1 hour used, 140 left (gatepost.toml:33, network 192.0.2.0/24); all free again at 2026-09-21T15:15:00.000Z"
            ]
        );
    }

    #[test]
    fn windows_in_words() {
        for (seconds, words) in [
            (1, "1 second"),
            (90, "90 seconds"),
            (900, "15 minutes"),
            (3600, "1 hour"),
            (86_400, "1 day"),
            (31 * 86_400, "31 days"),
        ] {
            assert_eq!(window_words(Duration::from_secs(seconds)), words);
        }
        assert_eq!(window_words(Duration::from_millis(1500)), "1500 ms");
    }
}
