//! What is true of all quotas, whatever they are.

use proptest::prelude::*;

use super::tests::{DAY, HOUR, T0, at, found, group, judged, login, net, quota, user};
use super::*;
use crate::ledger::Windows;
use Counted::{Messages, Recipients};
use Membership::{No, Unknown, Yes};

fn some_quota() -> impl Strategy<Value = Quota> {
    let whose = prop_oneof![
        Just(QuotaFor::Default),
        Just(net("192.0.2.0/24")),
        Just(net("192.0.2.0/28")),
        (0_usize..4).prop_map(group),
        prop::sample::select(vec!["alice", "bob", "alice@example.org"]).prop_map(user),
    ];
    let counted = prop::sample::select(Counted::ALL.to_vec());
    let rate = (counted, 1_u32..20, prop::sample::select(vec![HOUR, DAY]))
        .prop_map(|(counted, most, window)| Rate { counted, most, window, line: 1 });
    let on_exceed = prop::sample::select(vec![OnExceed::Hold, OnExceed::Defer, OnExceed::Reject]);
    let mode = prop::sample::select(vec![Mode::Off, Mode::Observe, Mode::Enforce, Mode::Enforce]);
    (whose, prop::collection::vec(rate, 1..4), on_exceed, mode).prop_map(
        |(whose, mut rates, on_exceed, mode)| {
            rates.sort_by_key(|rate| (rate.counted, rate.window));
            rates.dedup_by_key(|rate| (rate.counted, rate.window));
            Quota { whose, rates, on_exceed, mode, line: 1 }
        },
    )
}

/// As the configuration lets them: one for each.
fn some_quotas() -> impl Strategy<Value = Vec<Quota>> {
    prop::collection::vec(some_quota(), 0..8).prop_map(|mut quotas| {
        let mut seen = Vec::new();
        quotas.retain(|quota| {
            let is_new = !seen.contains(&quota.whose);
            seen.push(quota.whose.clone());
            is_new
        });
        quotas
    })
}

fn some_memberships() -> impl Strategy<Value = Vec<Membership>> {
    prop::collection::vec(prop::sample::select(vec![Yes, No, Unknown]), 4)
}

fn limits_of(quotas: &[Quota], lookup: &Lookup) -> Limits {
    let alice = login("alice");
    let subject = Subject { login: &alice, lookup: Some(lookup) };
    Quotas::new(quotas.to_vec()).of(Some(subject), "192.0.2.9".parse().ok())
}

/// Limits without the place of their quota.
fn told(limits: &Limits) -> Vec<(Rate, OnExceed, Mode)> {
    limits.iter().map(|limit| (limit.rate, limit.on_exceed, limit.mode)).collect()
}

fn enforced(limits: &Limits, of: (Counted, Duration)) -> Option<u32> {
    let mut enforced = limits.iter().filter(|limit| limit.mode == Mode::Enforce);
    enforced.find(|limit| kind(limit) == of).map(|limit| limit.rate.most)
}

proptest! {
    #[test]
    fn the_order_of_quotas_never_matters(
        quotas in some_quotas(), memberships in some_memberships(), turn in 0_usize..8,
    ) {
        let lookup = found(&memberships);
        let mut other = quotas.clone();
        other.rotate_left(turn % quotas.len().max(1));
        prop_assert_eq!(told(&limits_of(&quotas, &lookup)), told(&limits_of(&other, &lookup)));
        other.reverse();
        prop_assert_eq!(told(&limits_of(&quotas, &lookup)), told(&limits_of(&other, &lookup)));
    }

    /// The largest limit that any answer of the directory could give.
    #[test]
    fn not_knowing_is_the_most_generous_answer(
        quotas in some_quotas(), memberships in some_memberships(),
    ) {
        let unknown = limits_of(&quotas, &found(&memberships));
        let answers = (0_u32..16).map(|bits| {
            let answer = memberships.iter().enumerate().map(|(index, membership)| match membership {
                Unknown if bits >> index & 1 == 1 => Yes,
                Unknown => No,
                known => *known,
            });
            limits_of(&quotas, &found(&answer.collect::<Vec<_>>()))
        });
        let answers: Vec<Limits> = answers.collect();
        for of in [(Messages, HOUR), (Messages, DAY), (Recipients, HOUR), (Recipients, DAY)] {
            let most = answers.iter().map(|limits| enforced(limits, of).unwrap_or(u32::MAX)).max();
            prop_assert_eq!(Some(enforced(&unknown, of).unwrap_or(u32::MAX)), most);
        }
    }

    /// One that gives no more than what held before; a larger one that is more specific is meant to.
    #[test]
    fn another_quota_lets_no_more_through(
        quotas in some_quotas(), mut another in some_quota(), memberships in some_memberships(),
        used in (0_u32..25, 0_u32..25), asked in (0_u32..8, 0_u32..8),
    ) {
        prop_assume!(quotas.iter().all(|quota| quota.whose != another.whose));
        let lookup = found(&memberships);
        let before = limits_of(&quotas, &lookup);
        for rate in &mut another.rates {
            let smallest = quotas.iter().flat_map(|quota| &quota.rates)
                .filter(|other| (other.counted, other.window) == (rate.counted, rate.window))
                .map(|other| other.most).min();
            rate.most = rate.most.min(smallest.unwrap_or(u32::MAX));
        }
        let mut with = quotas;
        with.push(another.clone());
        let after = limits_of(&with, &lookup);
        let mut windows = Windows::default();
        windows.charge(&[HOUR, DAY], used.0, used.1, at(T0));
        let fits = |limits| judge_quotas(limits, &windows, asked.0, asked.1, at(T0)).exceeded.is_none();
        prop_assert!(fits(&before) || !fits(&after));
        if another.mode != Mode::Enforce {
            prop_assert_eq!(fits(&before), fits(&after), "one that only observes changes nothing");
        }
    }

    /// Whatever comes: in no hour and no day does more get through than the limits say.
    #[test]
    fn no_interval_lets_more_through_than_its_limit(
        rates in prop::collection::vec(
            (prop::sample::select(Counted::ALL.to_vec()), 1_u32..40,
             prop::sample::select(vec![Duration::from_secs(1), Duration::from_secs(7), HOUR])), 1..4),
        mail in prop::collection::vec((0_i64..400_000, 1_u32..12, 1_i64..9), 1..200),
    ) {
        let mut whole = quota(QuotaFor::Default, 1);
        whole.rates = rates.into_iter()
            .map(|(counted, most, window)| Rate { counted, most, window, line: 1 }).collect();
        whole.rates.sort_by_key(|rate| (rate.counted, rate.window));
        whole.rates.dedup_by_key(|rate| (rate.counted, rate.window));
        let rates = whole.rates.clone();
        let quotas = Quotas::new(vec![whole]);
        let mut windows = Windows::default();
        let mut through: Vec<(i64, u32)> = Vec::new();
        let mut now = T0;
        for (pause, recipients, scale) in mail {
            now += pause / scale.pow(5);
            let verdict = judged(&quotas, &windows, recipients, now);
            if verdict.exceeded.is_some() {
                continue;
            }
            quotas.charge(&verdict, &mut windows, 1, recipients, at(now));
            through.push((now, recipients));
            for rate in &rates {
                let length = rate.window.as_millis() as i64;
                let recent = through.iter().filter(|(entry, _)| now - entry < length);
                let sum: u32 = recent.map(|(_, count)| if rate.counted == Messages { 1 } else { *count }).sum();
                prop_assert!(sum <= rate.most);
            }
        }
    }
}
