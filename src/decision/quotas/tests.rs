//! Which limit holds, and what fits into it.

use std::sync::Arc;

use super::*;
use crate::decision::{Gateway, GatewayMatch, Identity, Known, KnownAuthor, Listener, Rules};
use crate::ledger::Windows;
use crate::mail::{AccountKey, Facts, Login, Protocol, Stage, Timestamp};
use crate::rights::{Account, AccountState, Holder, Memberships};

pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const DAY: Duration = Duration::from_secs(86_400);
pub(super) const T0: i64 = 19_000 * 86_400_000;
use Counted::{Messages, Recipients};
use Membership::{No, Unknown, Yes};

pub(super) fn at(ms: i64) -> Timestamp {
    Timestamp::from_unix_ms(ms)
}

pub(super) fn login(name: &str) -> Login {
    Login::parse(name.as_bytes()).expect("a login")
}

pub(super) fn user(name: &str) -> QuotaFor {
    QuotaFor::Who(Who::User(login(name)))
}

pub(super) fn group(index: usize) -> QuotaFor {
    QuotaFor::Who(Who::Group(index))
}

pub(super) fn net(text: &str) -> QuotaFor {
    QuotaFor::Net(text.parse().expect("a network"))
}

/// Recipients in an hour, enforced by deferral.
pub(super) fn quota(whose: QuotaFor, most: u32) -> Quota {
    let rates = vec![Rate { counted: Recipients, most, window: HOUR, line: 2 }];
    Quota { whose, rates, on_exceed: OnExceed::Defer, mode: Mode::Enforce, line: 1 }
}

pub(super) fn found(memberships: &[Membership]) -> Lookup {
    Lookup::Found(Holder {
        account: Arc::new(Account {
            key: AccountKey::unresolved(&login("alice")),
            name: "alice".into(),
            logins: ["alice", "example\\alice"].map(Into::into).into(),
            addresses: ["alice@example.org", "al@xn--bcher-kva.example"]
                .map(|address| address.as_bytes().into())
                .into(),
            state: AccountState::Enabled,
            dn: None,
            password_set: None,
            other_address: None,
        }),
        age_ms: 0,
        memberships: Memberships(memberships.iter().copied().collect()),
    })
}

/// What enforces and what observes of recipients in an hour.
fn most(
    quotas: &[Quota],
    name: Option<&str>,
    lookup: Option<&Lookup>,
    client: Option<&str>,
) -> [Option<u32>; 2] {
    let name = name.map(login);
    let subject = name.as_ref().map(|login| Subject { login, lookup });
    let client = client.map(|client| client.parse().expect("an address"));
    let limits = Quotas::new(quotas.to_vec()).of(subject, client);
    [Mode::Enforce, Mode::Observe].map(|mode| {
        let of_mode: Vec<_> = limits.iter().filter(|limit| limit.mode == mode).collect();
        assert!(of_mode.len() <= 1, "{of_mode:?}");
        of_mode.first().map(|limit| limit.rate.most)
    })
}

#[test]
fn the_most_specific_quota_wins() {
    let all = [
        quota(QuotaFor::Default, 10),
        quota(net("192.0.2.0/24"), 20),
        quota(net("192.0.2.8/29"), 5),
        quota(group(0), 30),
        quota(group(1), 40),
        quota(user("alice"), 1),
    ];
    let (in_both, in_none) = (found(&[Yes, Yes]), found(&[No, No]));
    let rows = [
        (&all[..], &in_both, 1, "the user's, though it is the smallest"),
        (&all[..5], &in_both, 40, "the larger of two groups'"),
        (&all[..4], &in_both, 30, "the only group's"),
        (&all[..5], &in_none, 5, "the longest prefix, though it is smaller"),
        (&all[..2], &in_none, 20, "the only network's"),
        (&all[..1], &in_none, 10, "the default"),
    ];
    for (quotas, lookup, expected, why) in rows {
        let mut quotas = quotas.to_vec();
        for _ in 0..quotas.len() {
            let told = most(&quotas, Some("alice"), Some(lookup), Some("192.0.2.9"));
            assert_eq!(told, [Some(expected), None], "{why}");
            quotas.rotate_left(1);
        }
    }
    let elsewhere = most(&all[..3], Some("alice"), Some(&in_none), Some("198.51.100.1"));
    assert_eq!(elsewhere, [Some(10), None]);
}

#[test]
fn each_window_and_thing_counted_is_settled_by_itself() {
    let rate = |counted, most, window| Rate { counted, most, window, line: 1 };
    let mut default = quota(QuotaFor::Default, 0);
    default.rates = vec![rate(Messages, 10, HOUR), rate(Recipients, 20, HOUR)];
    let mut own = quota(user("alice"), 0);
    own.rates = vec![rate(Recipients, 500, HOUR), rate(Recipients, 900, DAY)];
    let alice = login("alice");
    let limits = Quotas::new(vec![default, own])
        .of(Some(Subject { login: &alice, lookup: Some(&found(&[])) }), None);
    let told: Vec<_> = limits.iter().map(|limit| (kind(limit), limit.rate.most)).collect();
    assert_eq!(told, [((Messages, HOUR), 10), ((Recipients, HOUR), 500), ((Recipients, DAY), 900)]);
}

#[test]
fn a_user_is_known_by_every_spelling_and_address() {
    let lookup = found(&[]);
    let quotas = |name| [quota(QuotaFor::Default, 10), quota(user(name), 77)];
    for name in [
        "alice",
        "ALICE",
        "Example\\Alice",
        "alice@example.org",
        "al@b\u{fc}cher.example",
        "al@xn--bcher-kva.example",
    ] {
        let told = most(&quotas(name), Some("EXAMPLE\\alice"), Some(&lookup), None);
        assert_eq!(told, [Some(77), None], "{name}");
    }
    let told = most(&quotas("malice"), Some("alice"), Some(&lookup), None);
    assert_eq!(told, [Some(10), None]);
    // Without a directory, and unknown to it: that spelling alone.
    for lookup in [None, Some(&Lookup::NotFound)] {
        assert_eq!(most(&quotas("Bob"), Some("bob"), lookup, None), [Some(77), None]);
        assert_eq!(most(&quotas("bob"), Some("bob@x.test"), lookup, None), [Some(10), None]);
    }
}

#[test]
fn a_client_without_a_login_has_the_quotas_of_its_networks_alone() {
    let all = [
        quota(QuotaFor::Default, 10),
        quota(group(0), 30),
        quota(net("2001:db8::/32"), 20),
        quota(user("alice"), 1),
    ];
    assert_eq!(most(&all, None, None, Some("2001:db8::9")), [Some(20), None]);
    assert_eq!(most(&all, None, None, Some("192.0.2.9")), [None, None]);
    assert_eq!(most(&all, None, None, None), [None, None]);
}

#[test]
fn what_the_directory_cannot_say_makes_no_limit_smaller() {
    let unknown = found(&[Unknown, No]);
    let rows = [
        (vec![quota(QuotaFor::Default, 10), quota(group(0), 30)], Some(30)),
        (vec![quota(QuotaFor::Default, 30), quota(group(0), 10)], Some(30)),
        (vec![quota(group(0), 10)], None),
        (vec![quota(user("alice"), 10), quota(group(0), 30)], Some(10)),
        (vec![quota(net("192.0.2.0/24"), 10), quota(group(0), 30)], Some(30)),
        (vec![quota(group(0), 10), quota(group(1), 30)], None),
    ];
    for (quotas, expected) in rows {
        let told = most(&quotas, Some("alice"), Some(&unknown), Some("192.0.2.9"));
        assert_eq!(told, [expected, None], "{quotas:?}");
    }
    let all = [quota(QuotaFor::Default, 10), quota(user("bob"), 50), quota(user("carol"), 70)];
    for lookup in [Lookup::Unavailable, Lookup::Ambiguous] {
        let told = |name| most(&all, Some(name), Some(&lookup), None);
        assert_eq!(told("alice"), [Some(70), None], "may be either's alias");
        assert_eq!(most(&all[..2], Some("bob"), Some(&lookup), None), [Some(50), None]);
    }
}

#[test]
fn an_observing_quota_takes_no_enforcing_ones_place() {
    let mode = |mut quota: Quota, mode| {
        quota.mode = mode;
        quota
    };
    let default = || quota(QuotaFor::Default, 10);
    let told = |own| most(&[default(), own], Some("alice"), Some(&found(&[])), None);
    assert_eq!(told(mode(quota(user("alice"), 5), Mode::Observe)), [Some(10), Some(5)]);
    assert_eq!(told(mode(quota(user("alice"), 50), Mode::Observe)), [Some(10), Some(50)]);
    assert_eq!(told(mode(quota(user("alice"), 50), Mode::Off)), [Some(10), None]);
    let outweighed = [mode(default(), Mode::Observe), quota(user("alice"), 5)];
    assert_eq!(most(&outweighed, Some("alice"), Some(&found(&[])), None), [Some(5), None]);
}

/// The limits of alice, by the quotas; all for her.
pub(super) fn judged(quotas: &Quotas, windows: &Windows, recipients: u32, ms: i64) -> QuotaVerdict {
    let alice = login("alice");
    let limits = quotas.of(Some(Subject { login: &alice, lookup: None }), None);
    judge_quotas(&limits, windows, 1, recipients, at(ms))
}

#[test]
fn a_message_fits_up_to_the_limit_and_not_beyond() {
    let quotas = Quotas::new(vec![quota(QuotaFor::Default, 200)]);
    let mut windows = Windows::default();
    assert_eq!(judged(&quotas, &windows, 200, T0).exceeded, None);
    let first = judged(&quotas, &windows, 500, T0).exceeded.expect("a first message of 500");
    assert_eq!((first.used, first.asked, first.free_at), (0, 500, None));
    windows.charge(quotas.windows(), 1, 198, at(T0));
    assert_eq!(judged(&quotas, &windows, 2, T0).exceeded, None);
    let third = judged(&quotas, &windows, 3, T0).exceeded.expect("one too many");
    let free = T0 + 3_600_000 / 32 + 3_600_000;
    assert_eq!((third.used, third.free_at), (198, Some(at(free))));
    assert!(judged(&quotas, &windows, 3, free - 1).exceeded.is_some());
    assert_eq!(judged(&quotas, &windows, 3, free).exceeded, None, "as was told");
}

#[test]
fn a_limit_that_was_lowered_refuses_only_what_it_counts() {
    let mut messages = quota(QuotaFor::Default, 5);
    messages.rates[0].counted = Messages;
    let quotas = Quotas::new(vec![messages]);
    let mut windows = Windows::default();
    windows.charge(quotas.windows(), 9, 9, at(T0));
    let alice = login("alice");
    let limits = quotas.of(Some(Subject { login: &alice, lookup: None }), None);
    let part = judge_quotas(&limits, &windows, 0, 1, at(T0));
    assert_eq!(part, QuotaVerdict::default(), "a further recipient of a message that was let in");
    assert!(judge_quotas(&limits, &windows, 1, 1, at(T0)).exceeded.is_some());
    assert_eq!(remaining(&limits, &windows, at(T0))[0].left, 0);
}

#[test]
fn the_severest_of_several_settles_it() {
    let with = |most, window, on_exceed, mode| {
        let rate = Rate { counted: Recipients, most, window, line: 1 };
        Limit { rate, on_exceed, mode, quota: 0 }
    };
    let second = Duration::from_secs(1);
    let minute = Duration::from_secs(60);
    let enforced = |most, window, on_exceed| with(most, window, on_exceed, Mode::Enforce);
    let hold = enforced(1, second, OnExceed::Hold);
    let defer = enforced(2, minute, OnExceed::Defer);
    let later = enforced(3, HOUR, OnExceed::Defer);
    let reject = enforced(4, DAY, OnExceed::Reject);
    let observed = with(1, DAY, OnExceed::Reject, Mode::Observe);
    let mut windows = Windows::default();
    windows.charge(&[second, minute, HOUR, DAY], 1, 1, at(T0));
    let settled = |limits: &[Limit], recipients| {
        let mut limits = limits.to_vec();
        let told = [0, 1].map(|_| {
            limits.reverse();
            let limits = Limits(limits.iter().copied().collect());
            judge_quotas(&limits, &windows, 1, recipients, at(T0))
        });
        assert_eq!(told[0].exceeded, told[1].exceeded, "order does not matter");
        told[0].clone()
    };
    let all = [hold, defer, later, reject];
    let limit = |verdict: QuotaVerdict| verdict.exceeded.map(|exceeded| exceeded.limit);
    assert_eq!(limit(settled(&all, 0)), None);
    assert_eq!(limit(settled(&all, 1)), Some(hold));
    assert_eq!(limit(settled(&all, 2)), Some(defer));
    assert_eq!(limit(settled(&[later, enforced(3, minute, OnExceed::Defer)], 3)), Some(later));
    assert_eq!(limit(settled(&all, 4)), Some(reject));
    assert!(!settled(&all, 1).is_refused() && settled(&all, 2).is_refused());
    let seen = settled(&[observed], 5);
    assert_eq!((seen.exceeded, seen.observed.map(|seen| seen.limit)), (None, Some(observed)));
    assert!(!seen.is_refused());
}

#[test]
fn the_reasons_of_what_exceeds() {
    assert_eq!(OnExceed::Hold.reason(), Reason::QuotaExceeded);
    assert_eq!(OnExceed::Defer.reason(), Reason::QuotaExceeded);
    assert_eq!(OnExceed::Reject.reason(), Reason::QuotaRejected);
}

#[test]
fn somebody_is_warned_from_four_fifths_on_once_a_window() {
    let quotas = Quotas::new(vec![quota(QuotaFor::Default, 10)]);
    let mut windows = Windows::default();
    let mut take = |recipients, ms| {
        let verdict = judged(&quotas, &windows, recipients, ms);
        quotas.charge(&verdict, &mut windows, 1, recipients, at(ms));
        verdict.watched.first().map(|watched| (watched.used, watched.is_new))
    };
    assert_eq!(take(7, T0), None);
    assert_eq!(take(1, T0 + 1), Some((8, true)));
    assert_eq!(take(1, T0 + 2), Some((9, false)));
    assert_eq!(take(1, T0 + 3), Some((10, false)));
    let next = T0 + 2 * 3_600_000;
    assert_eq!(take(7, next), None);
    assert_eq!(take(1, next), Some((8, true)), "the next one");
    let refused = judged(&quotas, &windows, 3, next);
    assert!(refused.is_refused() && refused.watched.is_empty());
}

#[test]
fn behind_a_gateway_the_limits_are_those_of_the_author() {
    let quotas = vec![
        quota(QuotaFor::Default, 10),
        quota(net("192.0.2.0/24"), 20),
        quota(user("alice"), 30),
    ];
    let mut rules = Rules { quotas: Quotas::new(quotas), ..Rules::default() };
    rules.gateways.push(Gateway {
        who: GatewayMatch::Net("192.0.2.9/32".parse().expect("a network")),
        identity: Identity::Sender,
        line: 1,
    });
    let listener = Listener::of_no_socket();
    let most = |name: Option<&str>, author: Option<&str>| {
        let mut facts = Facts::at_stage(Protocol::PolicyDelegation, Stage::Rcpt);
        facts.client.address = "192.0.2.9".parse().ok();
        facts.login = name.map(login);
        let author = author.map(login);
        let gateway = author.as_ref().map(|_| 0);
        let author = author.map(|login| KnownAuthor { login, account: Lookup::NotFound });
        let known = Known { gateway, author, ..Known::default() };
        let case = Case { listener: &listener, facts: &facts, known: &known, rules: &rules };
        case.limits().iter().map(|limit| limit.rate.most).collect::<Vec<_>>()
    };
    assert_eq!(most(Some("alice"), None), [30]);
    assert_eq!(most(Some("bob"), None), [20]);
    assert_eq!(most(None, None), [20]);
    assert_eq!(most(None, Some("alice")), [30]);
    assert_eq!(most(None, Some("bob")), [10]);
}
