//! What is charged to an account, and what is not: the holes by which other programs lose count of a thief.

mod common;

use common::{Ask, Site, at, observed, question, rcpt, word};
use gatepost::decision::Outcome;
use gatepost::engine::Judged;
use gatepost::ledger::Counter;
use gatepost::mail::{AccountKey, Facts, Reply, Stage, Timestamp};
use proptest::prelude::*;

const PEOPLE: &str = "
[[account]]
id = 'A'
login = 'alice'
addresses = ['alice@example.org']
[[account]]
id = 'B'
login = 'bob'
addresses = ['bob@example.org']
state = 'disabled'
";

const RULES: &str = "[domains]\nlocal = ['example.org']\n[relay]\nauthenticated = true\n\
    networks = ['203.0.113.0/24']\n[standing]\ndisabled = 'enforce'\n";

const ENFORCE: &str = "[detector]\nmode = 'enforce'\nhold = 'enforce'\n";

/// Charged at this stage; what is held stays in the mail server's queue.
fn site(charge_at: &str, rules: &str) -> Site {
    let listen = format!(
        "facing = 'submission'\nmode = 'enforce'\nhold = 'queue'\ncharge-at = '{charge_at}'"
    );
    Site::new(&listen, &format!("{RULES}{rules}"), PEOPLE)
}

fn at_end(instance: &str, count: u32) -> Facts {
    question(Stage::EndOfMessage).login("alice").instance(instance).recipients(count)
}

fn to(instance: &str, recipient: &str) -> Facts {
    rcpt(recipient).login("alice").instance(instance)
}

/// RCPT by RCPT, then the end of the message, as Postfix asks it.
fn send(site: &Site, instance: &str, recipients: &[String]) -> Judged {
    send_at(site, instance, recipients, at())
}

fn send_at(site: &Site, instance: &str, recipients: &[String], at: Timestamp) -> Judged {
    for recipient in recipients {
        site.judge_at(to(instance, recipient), at);
    }
    let end = at_end(instance, recipients.len() as u32);
    let end = match recipients {
        [one] => end.recipient(one),
        _ => end,
    };
    site.judge_at(end, at)
}

fn people(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|number| format!("p{number}@far.test")).collect()
}

fn alice() -> AccountKey {
    AccountKey::object("file", "A")
}

#[test]
fn sixteen_connections_of_one_login_lose_no_count() {
    let site = site("end-of-message", "[detector]\nmode = 'off'\n");
    let message = |connection: u32, number: u32| {
        at_end(&format!("{connection}.{number}"), 3).sender("alice@example.org")
    };
    let connections = (0..16).map(|c| (0..100).map(|n| message(c, n)).collect()).collect();
    assert!(site.ask_in_parallel(connections).iter().all(|answer| answer == "pass"));
    assert_eq!(site.charged("A"), (1600, 4800));
}

#[test]
fn a_thief_with_sixteen_connections_gets_out_no_more_than_with_one() {
    let site = site("end-of-message", ENFORCE);
    let message = |connection: u32, number: u32| {
        at_end(&format!("{connection}.{number}"), 1)
            .recipient(&format!("p{connection}.{number}@far.test"))
    };
    let connections = (0..16).map(|c| (0..10).map(|n| message(c, n)).collect()).collect();
    let answers = site.ask_in_parallel(connections);
    let count = |word| answers.iter().filter(|answer| *answer == word).count();
    assert_eq!((count("pass"), count("hold"), count("account-suspended")), (2, 2, 156));
}

#[test]
fn the_first_message_is_judged_however_many_it_goes_to() {
    for (count, expected) in [(5, "pass"), (500, "hold"), (501, "hold")] {
        let site = site("end-of-message", ENFORCE);
        assert_eq!(word(&send(&site, "1", &people(0..count))), expected, "{count}");
        assert_eq!(site.charged("A"), (1, count.into()));
    }
}

#[test]
fn a_postmaster_among_the_recipients_exempts_nothing() {
    for postmaster in ["postmaster@far.test", "postmaster@example.org", "POSTMASTER@p0.test"] {
        let site = site("end-of-message", ENFORCE);
        let answers = (0..5).map(|n| {
            let recipients = [format!("p{n}@far.test"), postmaster.to_string()];
            word(&send(&site, &n.to_string(), &recipients))
        });
        let expected = ["pass", "pass", "hold", "hold", "account-suspended"];
        assert_eq!(answers.collect::<Vec<_>>(), expected, "{postmaster}");
    }
    // Postfix takes a bare one without asking, and counts it at the end.
    let site = site("end-of-message", ENFORCE);
    site.judge(to("1", "p1@far.test"));
    site.judge(at_end("1", 2));
    assert_eq!(site.charged("A"), (1, 2));
}

#[test]
fn a_lone_bare_postmaster_is_no_recipient() {
    let site = site("end-of-message", ENFORCE);
    for number in 0..5 {
        let end = at_end(&number.to_string(), 1).recipient("Postmaster");
        assert_eq!(word(&site.judge(end)), "pass");
    }
    assert_eq!(site.charged("A"), (5, 0));
}

#[test]
fn a_question_asked_again_counts_once_and_is_answered_alike() {
    let site = site("end-of-message", ENFORCE);
    for (number, expected) in
        ["pass", "pass", "hold", "hold", "account-suspended"].iter().enumerate()
    {
        let first = send(&site, &number.to_string(), &people(number as u32..number as u32 + 1));
        let charged = site.charged("A");
        let counters = site.record(&alice()).usage.counters().clone();
        let again = site.judge(first.facts.clone());
        assert_eq!(word(&first), *expected);
        assert_eq!(again.decision.reply, first.decision.reply, "the same words and id");
        assert_eq!(again.case().id(), first.case().id());
        assert_eq!(site.charged("A"), charged);
        assert_eq!(*site.record(&alice()).usage.counters(), counters);
    }
    // The one that suspends is refused, and not charged.
    assert_eq!(site.charged("A"), (4, 4));
}

#[test]
fn a_recipient_asked_about_from_five_lists_counts_once() {
    for charge_at in ["rcpt", "data", "end-of-message"] {
        let site = site(charge_at, ENFORCE);
        for recipient in people(0..3) {
            for _ in 0..5 {
                assert_eq!(site.ask(to("1", &recipient)), "pass");
            }
        }
        site.judge(question(Stage::Data).login("alice").instance("1").recipients(3));
        site.judge(at_end("1", 3));
        assert_eq!(site.charged("A"), (1, 3), "{charge_at}");
    }
}

#[test]
fn an_unknown_recipient_asked_about_from_five_lists_is_one_piece_of_evidence() {
    for existence in ["observe", "enforce"] {
        let site = site("end-of-message", &format!("[recipient]\nexistence = '{existence}'\n"));
        for _ in 0..5 {
            site.judge(to("1", "nobody@example.org"));
        }
        let usage = site.record(&alice()).usage;
        assert_eq!(usage.counters().of(Counter::Unknown15m), 1.0, "{existence}");
    }
}

#[test]
fn a_recipient_refused_is_neither_charged_nor_learnt() {
    for charge_at in ["rcpt", "end-of-message"] {
        let site = site(charge_at, "[recipient]\nexistence = 'enforce'\n");
        assert_eq!(site.ask(to("1", "nobody@example.org")), "recipient-unknown");
        assert_eq!(site.charged("A"), (0, 0));
        site.judge(to("1", "friend@far.test"));
        site.judge(at_end("1", 1).recipient("friend@far.test"));
        assert_eq!(site.charged("A"), (1, 1), "{charge_at}");
        assert_eq!(site.record(&alice()).usage.contacts().len(), 1);
    }
}

#[test]
fn neither_vrfy_nor_etrn_nor_what_is_refused_is_charged() {
    for charge_at in ["rcpt", "data", "end-of-message", "never"] {
        let site = site(charge_at, ENFORCE);
        for stage in [Stage::Connect, Stage::Helo, Stage::Mail, Stage::Vrfy, Stage::Etrn] {
            site.judge(question(stage).login("alice").recipient("p1@far.test"));
        }
        for stage in [Stage::Rcpt, Stage::Data, Stage::EndOfMessage] {
            let refused = question(stage).login("bob").recipient("p1@far.test").recipients(1);
            assert_eq!(site.ask(refused), "account-disabled");
        }
        assert_eq!((site.charged("A"), site.charged("B")), ((0, 0), (0, 0)), "{charge_at}");
    }
}

#[test]
fn after_a_final_question_the_same_instance_carries_another_message() {
    let site = site("data", ENFORCE);
    for round in 0..2 {
        for recipient in people(round * 2..round * 2 + 2) {
            site.judge(to("1", &recipient));
        }
        let data = question(Stage::Data).login("alice").instance("1").recipients(2);
        // Repeated, it is the same round still.
        assert_eq!(site.ask(data.clone()), "pass");
        assert_eq!(site.ask(data), "pass");
        assert_eq!(site.charged("A"), ((round + 1).into(), (2 * round + 2).into()));
    }
    assert_eq!(site.record(&alice()).usage.contacts().len(), 4);
}

#[test]
fn recipients_that_nobody_remembers_are_new_ones() {
    let site = site("data", ENFORCE);
    site.judge(to("1", "p1@far.test"));
    let data = question(Stage::Data).login("alice").instance("1").recipients(40);
    assert_eq!(site.ask(data), "hold");
    assert_eq!(site.charged("A"), (1, 40));
    let usage = site.record(&alice()).usage;
    assert_eq!(usage.counters().of(Counter::Strangers2h), 40.0);
}

#[test]
fn the_null_sender_is_exempt_without_a_login_alone() {
    let site = site("end-of-message", ENFORCE);
    let bounce = || question(Stage::EndOfMessage).sender("").recipient("p1@far.test").recipients(1);
    assert_eq!(site.ask(bounce().login("alice")), "pass");
    assert_eq!(site.charged("A"), (1, 1));
    let client = AccountKey::client("203.0.113.9");
    assert_eq!(site.ask(bounce().instance("2")), "pass");
    assert_eq!(site.charged_to(&client), (0, 0));
    assert_eq!(site.ask(bounce().instance("3").sender("printer@example.org")), "pass");
    assert_eq!(site.charged_to(&client), (1, 1));
}

const DAY_MS: i64 = 86_400_000;

/// Three messages a day to one of ten friends, for thirty days.
fn quiet_alice(site: &Site) -> Timestamp {
    let mut when = at();
    for message in 0..90_u32 {
        when = Timestamp::from_unix_ms(at().unix_ms() + i64::from(message) * DAY_MS / 3);
        let friend = people(message % 10..message % 10 + 1);
        assert_eq!(word(&send_at(site, &format!("q{message}"), &friend, when)), "pass");
    }
    when
}

#[test]
fn a_clock_set_forward_and_back_neither_suspends_nor_forgets() {
    for step in [3_600_000, DAY_MS, 40 * DAY_MS, 4000 * DAY_MS] {
        let site = site("end-of-message", ENFORCE);
        let quiet = quiet_alice(&site);
        let usual = site.record(&alice()).usage;
        let after = |ms: i64| Timestamp::from_unix_ms(quiet.unix_ms() + ms);
        for (place, ms) in [step, 60_000, -step, 120_000, step, 180_000].into_iter().enumerate() {
            let sent = send_at(&site, &format!("s{place}"), &people(0..1), after(ms));
            assert_eq!(word(&sent), "pass", "{step}");
        }
        let known = site.record(&alice()).usage;
        assert_eq!(known.contacts().len(), usual.contacts().len());
        assert!(known.scale().active_days() > 0.9 * usual.scale().active_days(), "{step}");
        // Her friends are friends still, and a thief is one.
        let send = |number: u32, ms: i64| {
            word(&send_at(&site, &format!("t{number}"), &people(number..number + 1), after(ms)))
        };
        let friends: Vec<_> = (1..4).map(|n| send(n, 3 * DAY_MS + i64::from(n) * 1000)).collect();
        assert_eq!(friends, ["pass"; 3], "{step}");
        let thief: Vec<_> = (100..106).map(|n| send(n, 4 * DAY_MS + i64::from(n) * 1000)).collect();
        let expected = ["pass", "pass", "hold", "hold", "hold", "account-suspended"];
        assert_eq!(thief, expected, "{step}");
        // The days go on from there.
        assert!(site.record(&alice()).usage.scale().active_days() > known.scale().active_days());
    }
}

/// What stands in `[detector]` where something observes, and where it is off.
const OBSERVING: [(&str, &str); 5] = [
    ("mode = 'observe'\nhold = 'observe'", "mode = 'off'"),
    ("mode = 'enforce'\nhold = 'observe'", "mode = 'enforce'\nhold = 'off'"),
    (
        "mode = 'enforce'\nhold = 'enforce'\ntests.novel-2m = 'observe'",
        "mode = 'enforce'\nhold = 'enforce'\ntests.novel-2m = 'off'",
    ),
    (
        "mode = 'enforce'\nhold = 'enforce'\ntests.new-7d-rest = 'observe'",
        "mode = 'enforce'\nhold = 'enforce'\ntests.new-7d-rest = 'off'",
    ),
    (
        "mode = 'enforce'\nhold = 'enforce'\ntests.messages-2h = 'observe'",
        "mode = 'enforce'\nhold = 'enforce'\ntests.messages-2h = 'off'",
    ),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// What only observes can never change a reply, now or days later.
    #[test]
    fn what_observes_changes_no_reply(
        messages in prop::collection::vec(
            (0_u32..30, 1_u32..40, prop_oneof![0_i64..60, 60_i64..7200, 50_000_i64..200_000]), 1..40),
        which in 0_usize..OBSERVING.len(),
    ) {
        let (observing, off) = OBSERVING[which];
        let sites = [observing, off]
            .map(|detector| site("end-of-message", &format!("[detector]\n{detector}\n")));
        let (mut seconds, mut from) = (0, 0);
        for (number, (skip, count, pause)) in messages.into_iter().enumerate() {
            (seconds, from) = (seconds + pause, from + skip);
            let when = Timestamp::from_unix_ms(at().unix_ms() + seconds * 1000);
            let replies = sites.each_ref().map(|site| {
                send_at(site, &number.to_string(), &people(from..from + count), when).decision.reply
            });
            prop_assert_eq!(&replies[0], &replies[1], "message {} of {}", number, observing);
        }
    }
}

#[test]
fn the_end_of_a_shadow_forgives_nothing() {
    let site = site("end-of-message", "");
    for number in 0..8 {
        send(&site, &number.to_string(), &people(number..number + 1));
    }
    assert!(site.record(&alice()).suspension.is_some());
    let next_day = Timestamp::from_unix_ms(at().unix_ms() + DAY_MS);
    send_at(&site, "next", &people(0..1), next_day);
    let record = site.record(&alice());
    assert_eq!(record.suspension, None);
    assert_eq!(record.usage.counters().of(Counter::Novel1d), 8.0 * (-1_f32).exp());
}

#[test]
fn a_thief_who_is_observed_is_told_of_and_passes() {
    let site = site("end-of-message", "");
    for number in 0..8 {
        let judged = send(&site, &number.to_string(), &people(number..number + 1));
        assert_eq!(judged.decision.reply, Reply::NoObjection);
        let told = match number {
            0 | 1 => "",
            2 | 3 => "suspected",
            _ => "account-suspended",
        };
        assert_eq!(observed(&judged).join(","), told, "{number}");
        let objects = |step: &gatepost::decision::Step| matches!(step.outcome, Outcome::Objects(_));
        assert!(!judged.decision.trail.iter().any(objects));
    }
}
