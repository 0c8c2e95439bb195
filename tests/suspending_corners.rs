//! Corners of a suspension's life that were wrong once: logins that resolve late, names that are no names, ends that
//! nobody heard of, a store that fails in between.

mod common;

#[path = "suspending_corners/faulty.rs"]
mod faulty;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{Ask, Folder, Site, at, question, word};
use faulty::{Faulty, Flaky};
use gatepost::detector::Spares;
use gatepost::directory::FileDirectory;
use gatepost::engine::{DeedFault, Engine, Exempting, Happened, Suspending};
use gatepost::ledger::HashKey;
use gatepost::mail::{AccountKey, Facts, Login, Mode, Stage, Timestamp};
use gatepost::record::{Change, Deed, Notice, NoticeKind, Record, Row, Table};
use gatepost::store::Store;
use gatepost::suspension::{
    Exemption, Grade, Life, Probation, Repeats, State, Suspension, Verdict, Watch,
};

const LISTEN: &str = "facing = 'submission'\nmode = 'enforce'\nhold = 'pass'\nmta = 'mx1'";
const RULES: &str = "[relay]\nauthenticated = true\n[detector]\nmode = 'enforce'\n";
const PEOPLE: &str =
    "[[account]]\nid = 'alice'\nlogin = 'alice'\naddresses = ['alice@here.test']\n";

/// The engine is given another directory than this one.
const SILENT: &str =
    "[directory]\ntype = 'file'\nfile.path = '/dev/null'\ncache.on-failure = 'pass'\n";

fn later(seconds: i64) -> Timestamp {
    Timestamp::from_unix_ms(at().unix_ms() + seconds * 1000)
}

fn message(login: &str, number: u32, begin: i64) -> Facts {
    question(Stage::EndOfMessage)
        .login(login)
        .sender("alice@here.test")
        .recipient(&format!("stranger{number}@far.test"))
        .instance(&format!("{login}.{begin}.{number}"))
        .recipients(1)
}

/// A message a second to somebody new, until one is refused: the id of the suspension.
fn attack(site: &Site, login: &str, begin: i64) -> String {
    let first = (begin * 100) as u32;
    for number in first..first + 60 {
        let when = later(begin + i64::from(number - first));
        let judged = site.judge_at(message(login, number, begin), when);
        if word(&judged) == "account-suspended" {
            let suspension = judged.decision.suspension.as_ref().expect("one that stands");
            return suspension.id.to_string();
        }
    }
    panic!("nobody was suspended");
}

fn answer(site: &Site, login: &str, seconds: i64) -> String {
    word(&site.judge_at(message(login, 9_999, seconds), later(seconds)))
}

fn unresolved(login: &str) -> AccountKey {
    AccountKey::unresolved(&Login::parse(login.as_bytes()).expect("a login"))
}

fn alice() -> AccountKey {
    AccountKey::object("file", "alice")
}

fn state(site: &Site, account: &AccountKey, seconds: i64) -> State {
    site.record(account).state(later(seconds))
}

fn deeds(site: &Site) -> Vec<Deed> {
    site.run(async |engine| engine.deeds(Timestamp::default(), 1_000).await).expect("read")
}

fn kinds(site: &Site) -> Vec<NoticeKind> {
    let events = site.run(async |_| site.store().outbox(1_000).await).expect("read");
    events.iter().map(|event| Notice::read(&event.body).expect("a notice").event).collect()
}

fn suspend(
    site: &Site,
    name: &str,
    until: Option<i64>,
    note: &str,
    seconds: i64,
) -> Result<String, DeedFault> {
    let suspending = Suspending { by: "carol", note, until: until.map(later) };
    let done =
        site.run(async |engine| engine.suspend(name, &suspending, true, later(seconds)).await);
    done.map(|(suspension, _)| suspension.id.to_string())
}

fn tend(site: &Site, seconds: i64) -> Vec<Happened> {
    site.run(async |engine| engine.tend(later(seconds)).await).expect("tended").happened
}

fn put(site: &Site, account: &AccountKey, record: &Record, rows: &[Row]) {
    let mut put = |_: &Record| Change { rows: rows.to_vec(), ..Change::to(record.clone()) };
    site.run(async |_| site.store().update(account, &mut put).await).expect("put");
}

fn without_directory() -> Site {
    Site::without_directory(LISTEN, RULES)
}

/// A site whose directory can be silenced.
fn flaky(listen: &str, rules: &str) -> (Site, Arc<AtomicBool>) {
    let folder = Folder::new();
    let file = FileDirectory::open(&folder.write("people.toml", PEOPLE))
        .unwrap_or_else(|faults| panic!("{faults:?}"));
    let is_silent = Arc::new(AtomicBool::new(false));
    let directory = Flaky::new(file, &is_silent);
    (Site::with_directory(listen, &format!("{rules}{SILENT}"), directory), is_silent)
}

// --- logins that resolve late ----------------------------------------------------------------------

#[test]
fn who_was_suspended_under_a_spelling_is_released_by_the_id_he_was_told() {
    let (site, is_silent) = flaky(LISTEN, RULES);
    is_silent.store(true, Ordering::Relaxed);
    let id = attack(&site, "alice", 0);
    assert_eq!(state(&site, &unresolved("alice"), 60), State::Suspended);
    is_silent.store(false, Ordering::Relaxed);
    assert_eq!(answer(&site, "alice", 61), "account-suspended");
    assert_eq!(state(&site, &alice(), 61), State::Suspended);
    let told = site.run(async |engine| engine.incident(&id).await).expect("read");
    assert_eq!(told.expect("it is told").incident.account, "file:alice");
    assert_eq!(site.release(&id, Verdict::FalsePositive, true, later(62)), Ok(id));
    assert_eq!(answer(&site, "alice", 63), "pass");
}

#[test]
fn a_shadow_of_the_account_is_no_shelter_for_who_was_suspended_under_a_spelling() {
    let (site, is_silent) = flaky(LISTEN, RULES);
    let mut shadow = Suspension::by_person("0123456789AB", "", Some(later(90_000)), at());
    shadow.mode = Mode::Observe;
    let record = Record { suspension: Some(Box::new(shadow)), ..Record::default() };
    put(&site, &alice(), &record, &[Row::put(Table::Accounts, "file:alice", "\"alice\"")]);
    is_silent.store(true, Ordering::Relaxed);
    attack(&site, "alice", 0);
    is_silent.store(false, Ordering::Relaxed);
    assert_eq!(answer(&site, "alice", 61), "account-suspended");
    let ended: Vec<_> = deeds(&site).into_iter().filter(|deed| deed.what == "expired").collect();
    assert_eq!(ended.len(), 1, "{ended:?}");
    assert_eq!(ended[0].incident.as_deref(), Some("0123456789AB"), "the shadow gives way");
}

#[test]
fn of_two_suspensions_of_one_account_one_ends() {
    let (site, is_silent) = flaky(LISTEN, RULES);
    let first = suspend(&site, "alice", None, "phished", 0).expect("suspended");
    is_silent.store(true, Ordering::Relaxed);
    let second = attack(&site, "alice", 10);
    is_silent.store(false, Ordering::Relaxed);
    assert_eq!(answer(&site, "alice", 80), "account-suspended");
    let standing = site.run(async |engine| engine.incidents(at(), true, later(81)).await);
    let standing: Vec<String> =
        standing.expect("read").into_iter().map(|told| told.incident.id).collect();
    assert_eq!(standing, [first]);
    let told = site.run(async |engine| engine.incident(&second).await).expect("read");
    assert_eq!(told.expect("told").end.expect("it has ended").ending, "expired");
}

#[test]
fn an_end_is_told_though_a_login_resolves_in_between() {
    let (site, is_silent) = flaky(LISTEN, RULES);
    suspend(&site, "alice", Some(100), "phished", 0).expect("suspended");
    is_silent.store(true, Ordering::Relaxed);
    assert_eq!(answer(&site, "alice", 50), "pass");
    is_silent.store(false, Ordering::Relaxed);
    assert_eq!(answer(&site, "alice", 200), "pass");
    assert_eq!(kinds(&site).iter().filter(|kind| **kind == NoticeKind::Expired).count(), 1);
    assert_eq!(state(&site, &alice(), 201), State::Probation);
}

#[test]
fn nothing_of_a_life_is_lost_when_two_records_become_one() {
    let watch = Some(Watch { grade: Grade::Watched, until: later(100) });
    let probation = Some(Probation { until: later(200), is_strict: true });
    let exemption = Some(Exemption {
        spares: Spares::Everything,
        until: later(300),
        recipients: None,
        used: 0,
    });
    let repeats = Some(Repeats { count: 2, last: at() });
    let own = Life { watch, ..Life::default() };
    let other = Life { probation, exemption, repeats, watch: None };
    let record = |life| Record { life: Some(Box::new(life)), ..Record::default() };
    for (one, two) in [(own.clone(), other.clone()), (other, own)] {
        let mut merged = record(one);
        merged.merge_standing(&record(two), at());
        let life = merged.life.expect("a life");
        assert_eq!(*life, Life { watch, probation, exemption, repeats });
    }
}

#[test]
fn what_is_on_hold_under_a_spelling_goes_with_the_account() {
    let listen = "facing = 'submission'\nmode = 'enforce'\nhold = 'queue'\nmta = 'mx1.example.org'";
    let (site, is_silent) = flaky(listen, &format!("{RULES}hold = 'enforce'\n"));
    is_silent.store(true, Ordering::Relaxed);
    let held = (0..60).any(|number| {
        let mut facts = message("alice", number, 0);
        facts.envelope.queue_id = format!("BFD51{number:06X}").into();
        word(&site.judge_at(facts, later(i64::from(number)))) == "hold"
    });
    assert!(held, "something is held");
    is_silent.store(false, Ordering::Relaxed);
    answer(&site, "alice", 100);
    let holds = |account: &AccountKey| {
        site.run(async |engine| engine.holds(Some(account)).await).expect("read").len()
    };
    assert_eq!(holds(&unresolved("alice")), 0);
    assert!(holds(&alice()) > 0, "else a suspension would not keep it");
}

#[test]
fn a_store_that_fails_while_a_login_resolves_costs_no_suspension() {
    let config = common::read(
        &common::config(LISTEN, &format!("{RULES}{SILENT}")),
        std::path::Path::new("/"),
    );
    let folder = Folder::new();
    let file = FileDirectory::open(&folder.write("people.toml", PEOPLE))
        .unwrap_or_else(|faults| panic!("{faults:?}"));
    let is_silent = Arc::new(AtomicBool::new(true));
    let store = Arc::new(Faulty::default());
    let listener = Arc::clone(&config.startup.listen[0].listener);
    let directory = Arc::new(Flaky::new(file, &is_silent));
    let engine = Engine::new(Some(directory), store.clone(), HashKey::default(), config.rules);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    let judge = |number: u32| {
        let facts = message("alice", number, 0);
        word(&runtime.block_on(engine.judge(&listener, facts, later(i64::from(number)))))
    };
    assert!((0..60).any(|number| judge(number) == "account-suspended"));
    is_silent.store(false, Ordering::Relaxed);
    store.fail("file:alice");
    judge(100);
    store.fail("");
    assert_eq!(judge(101), "account-suspended");
}

// --- a store that fails ----------------------------------------------------------------------------

#[test]
fn an_account_that_cannot_be_read_keeps_no_other_suspension_from_ending() {
    let config = common::read(&common::config(LISTEN, RULES), std::path::Path::new("/"));
    let store = Arc::new(Faulty::default());
    let engine = Engine::new(None, store.clone(), HashKey::default(), config.rules);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    for login in ["alice", "bob", "carl"] {
        let suspending = Suspending { by: "carol", note: "n", until: Some(later(10)) };
        let done = runtime.block_on(engine.suspend(login, &suspending, true, at()));
        done.expect("suspended");
    }
    store.fail("login:bob");
    let census = runtime.block_on(engine.tend(later(20))).expect("the others are tended");
    let ended: Vec<&str> = census
        .happened
        .iter()
        .filter_map(|what| match what {
            Happened::Ended { login, .. } => Some(&**login),
            _ => None,
        })
        .collect();
    assert_eq!(ended, ["alice", "carl"]);
    assert!(census.fault.is_some());
}

#[test]
fn an_open_breaker_is_kept_though_the_outbox_is_full() {
    let site = without_directory();
    site.fill_outbox();
    for (number, login) in ["alice", "bob", "carl"].iter().enumerate() {
        attack(&site, login, 20 * number as i64);
    }
    site.run(async |engine| {
        assert!(engine.opened_breaker(Mode::Enforce).is_some());
        let row = site.store().row(Table::Site, "breaker").await.expect("read");
        assert!(row.is_some(), "a restart would close it");
    });
    assert!(deeds(&site).iter().any(|deed| deed.what == "breaker-opened"));
}

#[test]
fn an_open_breaker_that_a_later_release_wrote_stays_open() {
    let site = without_directory();
    let row = vec![Row::put(Table::Site, "breaker", "{\"opened\":1}")];
    site.run(async |engine| {
        site.store().put(row).await.expect("put");
        engine.take_up().await.expect("taken up");
        assert!(engine.opened_breaker(Mode::Enforce).is_some());
    });
}

// --- whom a person means ---------------------------------------------------------------------------

#[test]
fn a_client_is_named_by_any_address_it_is_known_by() {
    let relay = "[relay]\nauthenticated = true\nnetworks = ['203.0.113.0/24', '2001:db8::/32']\n[detector]\nmode = 'enforce'\nnetworks = 'enforce'\n";
    let by_client = |client: &str| {
        let facts = question(Stage::Rcpt).client(client).sender("printer@here.test");
        facts.recipient("x@far.test").recipients(1)
    };
    for (name, client) in [
        ("client:2001:db8:1:2::9", "2001:db8:1:2::77"),
        ("client:2001:DB8:1:2::/64", "2001:db8:1:2::77"),
        ("client:203.0.113.9", "203.0.113.9"),
    ] {
        let site = Site::without_directory(LISTEN, relay);
        suspend(&site, name, None, "spams", 1).unwrap_or_else(|fault| panic!("{name} {fault}"));
        let answered = word(&site.judge_at(by_client(client), later(2)));
        assert_eq!(answered, "account-suspended", "{name}");
    }
    let site = Site::without_directory(LISTEN, relay);
    for name in ["client:", "client:printer", "client:203.0.113.0/24", "client:2001:db8::/32"] {
        assert_eq!(suspend(&site, name, None, "spams", 1), Err(DeedFault::NoLogin), "{name}");
    }
    let fingerprint = format!("client:{}", "AB:".repeat(31) + "AB");
    assert!(suspend(&site, &fingerprint, None, "spams", 1).is_ok());
    let key = AccountKey::client(&"ab".repeat(32));
    assert_eq!(state(&site, &key, 2), State::Suspended);
}

#[test]
fn the_id_of_a_suspension_that_is_over_releases_no_other() {
    let site = without_directory();
    let first = attack(&site, "alice", 0);
    site.release(&first, Verdict::TruePositive, true, later(60)).expect("released");
    let second = attack(&site, "alice", 100);
    let again = site.release(&first, Verdict::FalsePositive, true, later(170));
    assert_eq!(again, Err(DeedFault::NotSuspended));
    assert_eq!(state(&site, &unresolved("alice"), 170), State::Suspended);
    assert_eq!(site.release(&second, Verdict::TruePositive, true, later(171)), Ok(second));
}

#[test]
fn a_login_that_spells_the_id_of_a_suspension_is_not_taken_for_it() {
    let site = Site::with_directory(LISTEN, &format!("{RULES}{SILENT}"), faulty::Everybody);
    let id = attack(&site, "alice", 0);
    let login = id.to_lowercase();
    assert_eq!(suspend(&site, &login, None, "phished", 60), Err(DeedFault::Ambiguous));
    let released = site.release(&login, Verdict::FalsePositive, true, later(61));
    assert_eq!(released, Err(DeedFault::Ambiguous));
    assert_eq!(state(&site, &alice(), 62), State::Suspended);
    assert!(site.release("alice", Verdict::FalsePositive, true, later(63)).is_ok());
}

#[test]
fn a_question_without_a_name_suspends_by_a_new_id_each_time() {
    let site = without_directory();
    let attack = |begin: i64| {
        (0..100).find_map(|number| {
            let mut facts = question(Stage::EndOfMessage).login("alice").recipients(300);
            facts.envelope.instance = "".into();
            facts.envelope.size = 1 + number as u64;
            let judged = site.judge_at(facts, later(begin + number));
            let suspension = judged.decision.suspension.as_ref()?;
            Some(suspension.id.to_string())
        })
    };
    let first = attack(0).expect("suspended");
    site.release("alice", Verdict::TruePositive, true, later(200)).expect("released");
    let second = attack(300).expect("suspended again");
    assert_ne!(first, second);
    let told = site.run(async |engine| engine.incident(&second).await).expect("read");
    assert_eq!(told.expect("told").end, None);
}

// --- what is told and forgotten --------------------------------------------------------------------

#[test]
fn an_end_of_time_bears_nobodys_note() {
    let site = without_directory();
    suspend(&site, "alice", Some(100), "first", 0).expect("suspended");
    suspend(&site, "alice", None, "second", 200).expect("suspended again");
    let deeds = deeds(&site);
    let expired = deeds.iter().find(|deed| deed.what == "expired").expect("it is told");
    assert_eq!((&*expired.by, expired.note.as_deref()), ("gatepost", None));
    let events = site.run(async |_| site.store().outbox(9).await).expect("read");
    let notices: Vec<Notice> =
        events.iter().filter_map(|one| Notice::read(&one.body).ok()).collect();
    let expired = notices.iter().find(|one| one.event == NoticeKind::Expired).expect("told");
    assert_eq!(expired.note, None);
}

#[test]
fn a_suspension_whose_time_is_over_ends_before_it_is_forgotten() {
    let site = without_directory();
    let id = suspend(&site, "alice", Some(100), "phished", 0).expect("suspended");
    let forgotten =
        site.run(async |engine| engine.forget("alice", "carol", "n", true, later(200)).await);
    let (_, happened) = forgotten.expect("forgotten");
    assert!(matches!(&happened[..], [Happened::Ended { .. }]), "{happened:?}");
    assert!(kinds(&site).contains(&NoticeKind::Expired));
    let told = site.run(async |engine| engine.incident(&id).await).expect("read");
    assert_eq!(told.expect("told").end.expect("an end").ending, "expired");
    assert_eq!(site.record(&unresolved("alice")), Record::default());
}

#[test]
fn evidence_is_forgotten_though_nothing_else_is_kept_any_more() {
    let site = without_directory();
    let id = attack(&site, "alice", 0);
    site.release("alice", Verdict::TruePositive, true, later(60)).expect("released");
    put(&site, &unresolved("alice"), &Record::default(), &[]);
    let forget =
        || site.run(async |engine| engine.forget("alice", "carol", "n", true, later(70)).await);
    assert!(forget().is_ok());
    let told = site.run(async |engine| engine.incident(&id).await).expect("read");
    assert_eq!(told.expect("told").incident.envelopes, []);
    assert_eq!(forget().map(|done| done.0), Err(DeedFault::NothingKept));
}

#[test]
fn refusals_of_an_account_are_forgotten_with_it() {
    let rules =
        format!("{RULES}[domains]\nlocal = ['here.test']\n[standing]\nnot-found = 'enforce'\n");
    let site = Site::new(LISTEN, &rules, PEOPLE);
    let refuse = |login: &str, seconds: i64| {
        let judged = site.judge_at(message(login, 1, seconds), later(seconds));
        assert_eq!(word(&judged), "login-not-found");
        judged.case().id().to_string()
    };
    let written = refuse("mallory", 0);
    tend(&site, 1);
    let fresh = refuse("mallory", 2);
    let other = refuse("trudy", 3);
    let forgotten =
        site.run(async |engine| engine.forget("mallory", "carol", "n", true, later(4)).await);
    assert!(forgotten.is_ok());
    tend(&site, 5);
    let find = |id: &str| site.run(async |engine| engine.refusal(id).await).expect("read");
    assert_eq!((find(&written), find(&fresh)), (None, None));
    assert!(find(&other).is_some());
}

#[test]
fn a_flood_of_refusals_keeps_no_earlier_one_from_being_written() {
    let rules = format!("{RULES}[standing]\nnot-found = 'enforce'\n");
    let site = Site::new(LISTEN, &rules, PEOPLE);
    let refuse = |login: &str| word(&site.judge_at(message(login, 1, 0), later(0)));
    assert_eq!(refuse("mallory"), "login-not-found");
    for number in 0..600 {
        refuse(&format!("nobody{number}"));
    }
    tend(&site, 10);
    let key = "login-not-found|login:mallory";
    let row = site.run(async |_| site.store().row(Table::Refusals, key).await);
    assert!(row.expect("read").is_some());
}

#[test]
fn what_a_suspension_kept_waits_for_a_person_though_an_exemption_ends_it() {
    let listen = "facing = 'submission'\nmode = 'enforce'\nhold = 'queue'\nmta = 'mx1.example.org'";
    let site = Site::without_directory(listen, &format!("{RULES}hold = 'enforce'\n"));
    let held = (0..60).any(|number| {
        let mut facts = message("alice", number, 0);
        facts.envelope.queue_id = format!("BFD51{number:06X}").into();
        word(&site.judge_at(facts, later(i64::from(number)))) == "hold"
    });
    assert!(held, "something is held");
    suspend(&site, "alice", None, "phished", 100).expect("suspended");
    let exempting = Exempting {
        by: "carol",
        note: "hers",
        spares: Spares::Everything,
        recipients: None,
        until: later(9_000),
    };
    let done = site.run(async |engine| engine.exempt("alice", &exempting, true, later(101)).await);
    assert!(done.expect("exempt").0.is_some());
    let holds = site.run(async |engine| engine.holds(None).await).expect("read");
    assert!(!holds.is_empty() && holds.iter().all(|one| one.kept));
}

#[test]
fn an_exemption_that_ends_by_itself_is_in_the_audit() {
    let site = without_directory();
    let exempt = |login: &str, recipients| {
        let exempting = Exempting {
            by: "carol",
            note: "announced",
            spares: Spares::Recipients,
            recipients,
            until: later(100),
        };
        let done = site.run(async |engine| engine.exempt(login, &exempting, true, at()).await);
        done.expect("exempt");
    };
    exempt("alice", None);
    exempt("bob", Some(2));
    assert_eq!(tend(&site, 99), []);
    assert_eq!(deeds(&site).len(), 2);
    site.judge_at(message("bob", 1, 0).recipients(2), later(50));
    tend(&site, 60);
    tend(&site, 100);
    tend(&site, 110);
    let deeds = deeds(&site);
    let ended: Vec<_> = deeds
        .iter()
        .filter(|deed| deed.what == "exemption-ended")
        .map(|deed| (&*deed.by, deed.login.as_deref(), deed.at, deed.note.as_deref()))
        .collect();
    let expected =
        [("gatepost", Some("bob"), later(60), None), ("gatepost", Some("alice"), later(100), None)];
    assert_eq!(ended, expected);
}
