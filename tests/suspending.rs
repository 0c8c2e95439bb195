//! The life of an account: suspended by the detector or a person, released, on probation, exempt, expired; what is told
//! of it, what is kept, and when nobody is suspended any more.

mod common;

use std::path::Path;
use std::sync::Arc;

use common::{Ask, Folder, Site, at, config, question, read, word};
use gatepost::detector::Spares;
use gatepost::directory::{Answer, Author, Directory, FileDirectory};
use gatepost::engine::{DeedFault, Exempting, Happened, Release, Suspending};
use gatepost::mail::{AccountKey, Address, Facts, Login, Mode, Stage, Timestamp};
use gatepost::record::{Change, Deed, Notice, NoticeKind, Record, Table};
use gatepost::rights::{Account, Groups, Holder, Lookup, RecipientLookup};
use gatepost::store::Store;
use gatepost::suspension::{State, Verdict};

const LISTEN: &str = "facing = 'submission'\nmode = 'enforce'\nhold = 'pass'\nmta = 'mx1'";
const RULES: &str = "[relay]\nauthenticated = true\n[detector]\nmode = 'enforce'\n";
const PEOPLE: &str = "[[account]]\nid = 'alice'\nlogin = 'alice'\naliases = ['EXAMPLE\\alice']\n\
                      addresses = ['alice@here.test', 'a.liddell@here.test']\n";
const HOUR: i64 = 3600;

fn message(login: &str, number: u32, begin: i64) -> Facts {
    question(Stage::EndOfMessage)
        .login(login)
        .sender("alice@here.test")
        .recipient(&format!("stranger{number}@far.test"))
        .instance(&format!("{login}.{begin}.{number}"))
        .recipients(1)
}

fn later(seconds: i64) -> Timestamp {
    Timestamp::from_unix_ms(at().unix_ms() + seconds * 1000)
}

/// A message a second to somebody new, until one is refused; how many passed.
fn attack(site: &Site, login: &str, begin: i64) -> u32 {
    let first = (begin * 100) as u32;
    let passes = |number: &u32| {
        let when = later(begin + i64::from(*number - first));
        word(&site.judge_at(message(login, *number, begin), when)) == "pass"
    };
    (first..first + 60).take_while(passes).count() as u32
}

fn without_directory() -> Site {
    Site::without_directory(LISTEN, RULES)
}

fn with_people() -> Site {
    Site::new(
        LISTEN,
        &format!("{RULES}[domains]\nlocal = ['here.test']\n[standing]\nnot-found = 'enforce'\n"),
        PEOPLE,
    )
}

fn answer(site: &Site, login: &str, seconds: i64) -> String {
    word(&site.judge_at(message(login, 9_999, seconds), later(seconds)))
}

fn account(login: &str) -> AccountKey {
    AccountKey::unresolved(&Login::parse(login.as_bytes()).expect("a login"))
}

fn state(site: &Site, account: &AccountKey, seconds: i64) -> State {
    site.record(account).state(later(seconds))
}

fn events(site: &Site) -> Vec<Notice> {
    let events = site.run(async |_| site.store().outbox(1_000).await).expect("read");
    events.iter().map(|event| Notice::read(&event.body).expect("a notice")).collect()
}

fn kinds(site: &Site) -> Vec<NoticeKind> {
    events(site).iter().map(|notice| notice.event).collect()
}

fn deeds(site: &Site) -> Vec<Deed> {
    site.run(async |engine| engine.deeds(Timestamp::default(), 1_000).await).expect("read")
}

fn suspend(
    site: &Site,
    name: &str,
    until: Option<Timestamp>,
    seconds: i64,
) -> Result<String, DeedFault> {
    let suspending = Suspending { by: "carol", note: "phished", until };
    let done =
        site.run(async |engine| engine.suspend(name, &suspending, true, later(seconds)).await);
    done.map(|(suspension, _)| suspension.id.to_string())
}

fn exempt(
    site: &Site,
    name: &str,
    spares: Spares,
    recipients: Option<u32>,
    until: i64,
    seconds: i64,
) -> Result<Option<String>, DeedFault> {
    let exempting =
        Exempting { by: "carol", note: "announced", spares, recipients, until: later(until) };
    let done = site.run(async |engine| engine.exempt(name, &exempting, true, later(seconds)).await);
    done.map(|(lifted, _)| lifted.map(|lifted| lifted.id.to_string()))
}

fn tend(site: &Site, seconds: i64) -> Vec<Happened> {
    site.run(async |engine| engine.tend(later(seconds)).await).expect("tended").happened
}

#[test]
fn a_suspension_is_told_with_its_evidence() {
    let site = with_people();
    let passed = attack(&site, "EXAMPLE\\alice", 0);
    let told = site.run(async |engine| engine.incidents(at(), true, later(60)).await);
    let [told] = &told.expect("read")[..] else { panic!("one suspension") };
    let incident = &told.incident;
    assert_eq!((&*incident.account, &*incident.login), ("file:alice", "EXAMPLE\\alice"));
    assert_eq!(incident.addresses, ["alice@here.test", "a.liddell@here.test"]);
    assert_eq!((&*incident.by, &*incident.mode, &*incident.mta), ("detector", "enforce", "mx1"));
    assert!(incident.reason.starts_with("EXAMPLE\\alice wrote "), "{}", incident.reason);
    assert_eq!((incident.since, incident.until, incident.step), (at(), None, 0));
    assert_eq!(incident.envelopes.len(), passed as usize);
    assert_eq!(incident.envelopes[0].recipients, ["stranger0@far.test"]);
    assert_eq!(incident.networks, ["203.0.113.0/24"]);
    let test = incident.test.as_deref().expect("a test");
    let reading = incident.readings.iter().find(|reading| reading.test == test);
    let reading = reading.expect("what the test read");
    assert!(reading.value > 5.0 * reading.usual, "{reading:?}");

    let [.., suspended] = &events(&site)[..] else { panic!("an event") };
    assert_eq!(suspended.event, NoticeKind::Suspended);
    assert_eq!(suspended.incident.as_ref(), Some(&incident.id));
    assert_eq!(suspended.reason.as_ref(), Some(&incident.reason));
    let deed = deeds(&site).pop().expect("a deed");
    assert_eq!((&*deed.by, &*deed.what), ("detector", "suspended"));
    assert_eq!(deed.incident.as_ref(), Some(&incident.id));
}

#[test]
fn all_forms_of_a_login_and_open_sessions_are_stopped() {
    let site = with_people();
    attack(&site, "alice", 0);
    for login in ["alice", "ALICE", "EXAMPLE\\alice"] {
        for stage in [Stage::Mail, Stage::Rcpt, Stage::Data, Stage::EndOfMessage] {
            let mut facts = message(login, 7_000, 100);
            facts.stage = stage;
            assert_eq!(word(&site.judge_at(facts, later(100))), "account-suspended", "{login}");
        }
    }
}

#[test]
fn a_person_suspends_a_login_a_client_and_nobody_twice() {
    let site = with_people();
    let id = suspend(&site, "EXAMPLE\\alice", None, 0).expect("suspended");
    assert_eq!(answer(&site, "alice", 1), "account-suspended");
    assert_eq!(suspend(&site, "alice", None, 2), Err(DeedFault::AlreadySuspended(id.clone())));
    assert_eq!(suspend(&site, "nobody-here", None, 2), Err(DeedFault::Unknown));
    assert_eq!(suspend(&site, "", None, 2), Err(DeedFault::NoLogin));
    let released = site.release(&id, Verdict::FalsePositive, true, later(3));
    assert_eq!(released.as_ref(), Ok(&id), "by its id");
    assert_eq!(answer(&site, "alice", 4), "pass");

    let relay = "[relay]\nauthenticated = true\nnetworks = ['203.0.113.0/24']\n[detector]\nmode = 'enforce'\nnetworks = 'enforce'\n";
    let site = Site::without_directory(LISTEN, relay);
    let by_client =
        || question(Stage::Rcpt).sender("printer@here.test").recipient("x@far.test").recipients(1);
    assert_eq!(word(&site.judge_at(by_client(), later(0))), "pass");
    suspend(&site, "client:203.0.113.9", None, 1).expect("suspended");
    assert_eq!(word(&site.judge_at(by_client(), later(2))), "account-suspended");
}

#[test]
fn a_dry_run_and_a_fault_change_nothing() {
    let site = with_people();
    let suspending = Suspending { by: "carol", note: "n", until: None };
    let tried = site.run(async |engine| engine.suspend("alice", &suspending, false, at()).await);
    assert!(tried.is_ok());
    let exempting = Exempting {
        by: "carol",
        note: "n",
        spares: Spares::Everything,
        recipients: None,
        until: later(9),
    };
    let tried = site.run(async |engine| engine.exempt("alice", &exempting, false, at()).await);
    assert!(tried.is_ok());
    let forgotten = site.run(async |engine| engine.forget("alice", "carol", "n", true, at()).await);
    assert_eq!(forgotten.err(), Some(DeedFault::NothingKept));
    let ended =
        site.run(async |engine| engine.end_exemption("alice", "carol", "n", true, at()).await);
    assert_eq!(ended, Err(DeedFault::NotExempt));
    assert_eq!(site.record(&AccountKey::object("file", "alice")), Record::default());
    assert_eq!((events(&site), deeds(&site)), (Vec::new(), Vec::new()));
}

/// A directory file that also tells when passwords were set.
struct Passwords(FileDirectory, std::sync::Mutex<Option<Timestamp>>);

impl Directory for Passwords {
    fn lookup<'a>(&'a self, login: &'a Login, groups: &'a Groups) -> Answer<'a, Lookup> {
        let Answer::Now(Lookup::Found(holder)) = self.0.lookup(login, groups) else {
            return Answer::Now(Lookup::NotFound);
        };
        let password_set = *self.1.lock().expect("whole");
        let account = Account { password_set, ..(*holder.account).clone() };
        Answer::Now(Lookup::Found(Holder { account: Arc::new(account), ..holder }))
    }

    fn recipient<'a>(&'a self, to: &'a Address, author: Author<'a>) -> Answer<'a, RecipientLookup> {
        self.0.recipient(to, author)
    }

    fn path<'a>(&'a self, account: &'a AccountKey, group: &'a str) -> Answer<'a, Vec<String>> {
        self.0.path(account, group)
    }
}

#[test]
fn a_stolen_password_must_have_been_changed_before_a_release() {
    for (set, may) in [(None, true), (Some(-HOUR), false), (Some(30), true)] {
        let folder = Folder::new();
        let file = FileDirectory::open(&folder.write("people.toml", PEOPLE))
            .unwrap_or_else(|faults| panic!("{faults:?}"));
        let passwords = Passwords(file, std::sync::Mutex::new(set.map(later)));
        let site = Site::with_directory(LISTEN, RULES, passwords);
        attack(&site, "alice", 0);
        let release = |verdict, force| {
            let release = Release { verdict, by: "carol", note: "ticket", force };
            site.run(async |engine| engine.release("alice", &release, false, later(60)).await)
        };
        let told = release(Verdict::TruePositive, false);
        match set {
            Some(set) if !may => {
                let fault = DeedFault::PasswordUnchanged { set: later(set), since: at() };
                assert_eq!(told.err(), Some(fault));
            }
            _ => assert_eq!(told.expect("may be released").password_set, set.map(later)),
        }
        assert!(release(Verdict::TruePositive, true).is_ok());
        assert!(release(Verdict::FalsePositive, false).is_ok(), "nothing was stolen");
    }
}

#[test]
fn a_release_begins_a_probation_and_no_immunity() {
    let site = without_directory();
    let before = attack(&site, "alice", 0);
    site.release("alice", Verdict::TruePositive, true, later(60)).expect("released");
    assert_eq!(state(&site, &account("alice"), 61), State::Probation);
    assert_eq!(answer(&site, "alice", 61), "pass");
    let after = attack(&site, "alice", 100);
    assert!(after < before, "{after} of {before}");
    let told = site.run(async |engine| engine.incidents(at(), false, later(200)).await);
    let [second, first] = &told.expect("read")[..] else { panic!("two suspensions") };
    let end = first.end.as_ref().expect("it has ended");
    assert_eq!((&*end.ending, &*end.by), ("true-positive", "carol"));
    assert_eq!((second.incident.step, second.end.as_ref()), (1, None));
    let told: Vec<_> = kinds(&site);
    let expected =
        [NoticeKind::Suspended, NoticeKind::Released, NoticeKind::Suspended, NoticeKind::Escalated];
    let told: Vec<_> = told.into_iter().filter(|kind| *kind != NoticeKind::Watched).collect();
    assert_eq!(told, expected);
    // After 48 hours its limits are as they were.
    site.release("alice", Verdict::TruePositive, true, later(200)).expect("released");
    assert_eq!(state(&site, &account("alice"), 200 + 48 * HOUR - 1), State::Probation);
    assert_eq!(state(&site, &account("alice"), 200 + 48 * HOUR), State::Normal);
}

#[test]
fn an_owner_on_probation_answers_letters() {
    let site = without_directory();
    attack(&site, "alice", 0);
    site.release("alice", Verdict::TruePositive, true, later(60)).expect("released");
    for number in 0..2 {
        let when = 100 + i64::from(number) * 600;
        assert_eq!(word(&site.judge_at(message("alice", number, 7), later(when))), "pass");
    }
}

#[test]
fn a_time_that_is_over_ends_a_suspension_and_repeats_last_longer() {
    let rules = format!("{RULES}[suspension]\nlasts = '1h'\n");
    let site = Site::without_directory(LISTEN, &rules);
    let (mut begin, mut lasts) = (0, HOUR);
    for step in 0..3 {
        attack(&site, "alice", begin);
        let until = site.record(&account("alice")).suspension.expect("suspended").until;
        let until = (until.expect("an end").unix_ms() - at().unix_ms()) / 1000;
        assert!((lasts..lasts + 60).contains(&(until - begin)), "{step}: {}", until - begin);
        assert_eq!(tend(&site, until - 1), []);
        assert_eq!(answer(&site, "alice", until - 1), "account-suspended");
        let happened = tend(&site, until);
        assert!(matches!(&happened[..], [Happened::Ended { .. }]), "{happened:?}");
        assert_eq!(events(&site).last().expect("told").event, NoticeKind::Expired);
        assert_eq!(state(&site, &account("alice"), until), State::Probation);
        assert_eq!(answer(&site, "alice", until), "pass", "what came before is forgiven");
        (begin, lasts) = (until + 3 * 24 * HOUR, lasts * 2);
    }
    attack(&site, "alice", begin);
    assert_eq!(site.record(&account("alice")).suspension.expect("suspended").until, None);
    let what: Vec<_> = deeds(&site).iter().map(|deed| deed.what.clone()).collect();
    assert_eq!(what.iter().filter(|what| **what == "expired").count(), 3);
}

#[test]
fn an_expiry_is_told_once_though_a_message_comes_first() {
    let site = Site::without_directory(LISTEN, &format!("{RULES}[suspension]\nlasts = '1h'\n"));
    attack(&site, "alice", 0);
    assert_eq!(answer(&site, "alice", 2 * HOUR), "pass");
    tend(&site, 2 * HOUR);
    let told = kinds(&site);
    assert_eq!(told.iter().filter(|kind| **kind == NoticeKind::Expired).count(), 1);
}

#[test]
fn an_exemption_lifts_a_suspension_that_stands_and_ends_with_its_time() {
    let site = without_directory();
    attack(&site, "alice", 0);
    let lifted = exempt(&site, "alice", Spares::Everything, None, 10 * HOUR, 60).expect("exempt");
    assert!(lifted.is_some());
    assert_eq!(state(&site, &account("alice"), 61), State::Exempt);
    assert_eq!(attack(&site, "alice", 100), 60, "all pass");
    let census = site.run(async |engine| engine.tend(later(200)).await).expect("tended");
    assert_eq!((census.exemptions, census.oldest), (1, None));
    tend(&site, 10 * HOUR);
    assert_ne!(state(&site, &account("alice"), 10 * HOUR), State::Exempt);
    assert_eq!(exempt(&site, "", Spares::Everything, None, 10, 0), Err(DeedFault::NoLogin));
}

#[test]
fn an_announced_mailing_is_spared_for_so_many_recipients() {
    let site = without_directory();
    exempt(&site, "alice", Spares::Recipients, Some(40), 10 * HOUR, 0).expect("exempt");
    let mailing = |number: u32| {
        let when = later(60 * i64::from(number));
        let facts = message("alice", number, 0).recipients(10);
        word(&site.judge_at(facts, when))
    };
    assert_eq!([0, 1, 2, 3].map(mailing), ["pass"; 4]);
    assert_eq!(state(&site, &account("alice"), 300), State::Normal, "it is used up");
    let answers: Vec<String> = (4..40).map(mailing).collect();
    assert!(answers.iter().any(|answer| answer == "account-suspended"), "{answers:?}");
}

#[test]
fn an_exemption_can_be_taken_back() {
    let site = without_directory();
    exempt(&site, "alice", Spares::Everything, None, 10 * HOUR, 0).expect("exempt");
    let ended = site
        .run(async |engine| engine.end_exemption("alice", "carol", "over", true, later(5)).await);
    assert_eq!(ended.expect("ended").until, later(10 * HOUR));
    assert!(attack(&site, "alice", 10) < 10);
    let what: Vec<_> = deeds(&site).iter().map(|deed| deed.what.clone()).collect();
    assert_eq!(what, ["exempted", "exemption-ended", "suspended"]);
}

/// The number of thieves suspended before one is only stopped, in a site of so many accounts.
fn suspended_of(accounts: usize) -> (Site, usize) {
    let site = without_directory();
    let known = site.record(&account("somebody"));
    assert_eq!(known, Record::default());
    for number in 0..accounts {
        let mut fill = |_: &Record| {
            let mut record = Record::default();
            record.usage.messages = 1;
            Change::to(record)
        };
        let key = account(&format!("user{number}"));
        site.run(async |_| site.store().update(&key, &mut fill).await).expect("filled");
    }
    let is_suspended = |number: &usize| {
        let login = format!("user{number}");
        attack(&site, &login, 10 * *number as i64);
        state(&site, &account(&login), 10_000) == State::Suspended
    };
    let suspended = (0..20).take_while(is_suspended).count();
    (site, suspended)
}

#[test]
fn the_breaker_opens_in_a_small_site_and_in_a_large_one() {
    for (accounts, expected) in [(50, 3), (10_000, 10)] {
        let (site, suspended) = suspended_of(accounts);
        assert_eq!(suspended, expected, "of {accounts}");
        // It is no door: what would have suspended is deferred where it cannot be held.
        let login = format!("user{suspended}");
        assert_eq!(answer(&site, &login, 10 * suspended as i64 + 30), "suspected");
        assert_eq!(
            kinds(&site).iter().filter(|kind| **kind == NoticeKind::BreakerOpened).count(),
            1
        );
        // What it was stands through a restart.
        let row = site.run(async |_| site.store().row(Table::Site, "breaker").await);
        assert!(row.expect("read").is_some());
        let at = later(10 * suspended as i64 + 40);
        let reset = |note: &str| {
            site.run(async |engine| {
                engine.reset_breaker(Mode::Enforce, "carol", note, true, at).await
            })
        };
        let opened = reset("looked into it");
        assert_eq!(opened.expect("it was open").suspensions, expected);
        assert_eq!(reset("again"), Err(DeedFault::BreakerClosed));
        attack(&site, "user15", 10 * suspended as i64 + 50);
        assert_eq!(state(&site, &account("user15"), 10_000), State::Suspended);
    }
}

#[test]
fn observing_imposes_shadows_has_a_breaker_of_its_own_and_changes_no_reply() {
    let site = Site::without_directory(
        LISTEN,
        "[relay]\nauthenticated = true\n[detector]\nmode = 'observe'\n",
    );
    for number in 0..12 {
        assert_eq!(attack(&site, &format!("user{number}"), 10 * number), 60);
    }
    let told = site.run(async |engine| engine.incidents(at(), false, later(200)).await);
    let told = told.expect("read");
    assert_eq!(told.len(), 3, "of a site with a dozen accounts");
    assert!(told.iter().all(|told| told.incident.mode == "observe"));
    site.run(async |engine| {
        assert!(engine.opened_breaker(Mode::Observe).is_some());
        assert!(engine.opened_breaker(Mode::Enforce).is_none());
    });
    assert_eq!(state(&site, &account("user0"), 200), State::Watched);
}

/// The second step of an introduction: what holds enforces, what suspends observes.
#[test]
fn a_shadow_is_imposed_though_mail_is_held() {
    let listen = LISTEN.replace("'pass'", "'defer'");
    let rules = "[relay]\nauthenticated = true\n[detector]\nmode = 'observe'\nhold = 'enforce'\n";
    let site = Site::without_directory(&listen, rules);
    for number in 0..20 {
        let told = word(&site.judge_at(message("alice", number, 0), later(i64::from(number))));
        assert!(told == "pass" || told == "suspected", "{told}");
    }
    let told = site.run(async |engine| engine.incidents(at(), true, later(60)).await);
    let told = told.expect("read");
    assert_eq!((told.len(), &*told[0].incident.mode), (1, "observe"));
}

#[test]
fn a_flood_of_refusals_is_one_row_and_its_ids_are_found() {
    let site = with_people();
    let refuse = |number: u32| {
        let facts = message("mallory", number, 0).client("198.51.100.7");
        let judged = site.judge_at(facts, later(i64::from(number / 100)));
        assert_eq!(word(&judged), "login-not-found");
        judged.case().id().to_string()
    };
    let ids: Vec<String> = (0..5_000).map(refuse).collect();
    tend(&site, 60);
    let rows = site.run(async |_| site.store().rows(Table::Refusals, "", 100).await);
    assert_eq!(rows.expect("read").len(), 1);
    let find = |id: &str| site.run(async |engine| engine.refusal(id).await).expect("read");
    let refused = find(&ids[4_999]).expect("the last ones are kept");
    assert_eq!((&*refused.reason, refused.count), ("login-not-found", 5_000));
    assert_eq!((refused.first, refused.last), (at(), later(49)));
    let told = refused.told.last().expect("one");
    assert_eq!(
        (told.login.as_deref(), told.client.as_deref()),
        (Some("mallory"), Some("198.51.100.7"))
    );
    assert!(told.answer.contains(&ids[4_999]), "{}", told.answer);
    assert_eq!(find(&ids[0]), None);
}

#[test]
fn what_is_kept_goes_when_its_time_is_over() {
    let site = with_people();
    attack(&site, "alice", 0);
    site.release("alice", Verdict::TruePositive, true, later(60)).expect("released");
    assert_eq!(answer(&site, "mallory", 60), "login-not-found");
    tend(&site, 60);
    let day = 24 * HOUR;
    let kept = |days: i64| {
        site.run(async |engine| {
            engine.forget_old(later(days * day)).await.expect("tidied");
            let told = engine.incidents(at(), false, later(days * day)).await.expect("read");
            let evidence = told.first().map(|told| told.incident.envelopes.len());
            let deeds = engine.deeds(at(), 9).await.expect("read").len();
            let refusals = site.store().rows(Table::Refusals, "", 9).await.expect("read").len();
            (evidence, deeds, refusals)
        })
    };
    let whole = kept(29);
    assert!(whole.0.is_some_and(|envelopes| envelopes >= 3));
    assert_eq!((whole.1, whole.2), (2, 1));
    assert_eq!(kept(31), (whole.0, 2, 0));
    assert_eq!(kept(91), (Some(0), 2, 0));
    assert_eq!(kept(366), (None, 0, 0));
}

#[test]
fn a_standing_suspension_outlives_every_retention() {
    let site = without_directory();
    attack(&site, "alice", 0);
    let days = 10 * 365 * 24 * HOUR;
    site.run(async |engine| engine.forget_old(later(days)).await).expect("tidied");
    let told = site.run(async |engine| engine.incidents(at(), true, later(days)).await);
    assert!(!told.expect("read")[0].incident.envelopes.is_empty());
}

#[test]
fn who_is_forgotten_is_new_but_stays_suspended() {
    let site = without_directory();
    attack(&site, "alice", 0);
    let messages = site
        .run(async |engine| engine.forget("alice", "carol", "asked for", true, later(60)).await);
    assert!(messages.expect("forgotten").0 >= 3);
    assert_eq!(answer(&site, "alice", 61), "account-suspended");
    site.release("alice", Verdict::FalsePositive, true, later(62)).expect("released");
    let forget = |seconds| {
        site.run(async |engine| {
            let done = engine.forget("alice", "carol", "again", true, later(seconds)).await;
            done.map(|(messages, _)| messages)
        })
    };
    forget(63).expect("forgotten");
    assert_eq!(site.record(&account("alice")), Record::default());
    assert_eq!(forget(64), Err(DeedFault::NothingKept));
    let told = site.run(async |engine| engine.incidents(at(), false, later(64)).await);
    let told = told.expect("read");
    assert!(told[0].incident.envelopes.is_empty(), "whom it wrote to is gone");
    assert!(told[0].end.is_some(), "that it was suspended is not");
}

/// Enforcement never depends on those who are told of it.
#[test]
fn a_full_outbox_stops_nobody_from_being_suspended() {
    let site = without_directory();
    site.fill_outbox();
    attack(&site, "alice", 0);
    assert_eq!(state(&site, &account("alice"), 60), State::Suspended);
    assert_eq!(answer(&site, "alice", 61), "account-suspended");
    site.release("alice", Verdict::FalsePositive, true, later(62)).expect("released");
    assert_eq!(answer(&site, "alice", 63), "pass");
    assert_eq!(deeds(&site).len(), 2);
}

#[test]
fn what_is_watched_and_held_is_told_once_a_day() {
    let rules = format!("{RULES}hold = 'enforce'\n");
    let listen = LISTEN.replace("'pass'", "'defer'");
    let site = Site::without_directory(&listen, &rules);
    let send = |number: u32, seconds: i64| {
        word(&site.judge_at(message("alice", number, seconds), later(seconds)))
    };
    let mut number = 0;
    let mut until_held = |begin: i64| {
        for second in 0..10 {
            number += 1;
            if send(number, begin + second * 20) == "suspected" {
                return;
            }
        }
        panic!("nothing was held");
    };
    until_held(0);
    assert_eq!(state(&site, &account("alice"), 300), State::Held);
    let held = |site: &Site| kinds(site).iter().filter(|kind| **kind == NoticeKind::Held).count();
    assert_eq!(held(&site), 1);
    until_held(6 * HOUR);
    assert_eq!(held(&site), 1, "told already");
    assert_eq!(state(&site, &account("alice"), 31 * HOUR), State::Normal);
    tend(&site, 31 * HOUR);
    let rows = site.run(async |_| site.store().rows(Table::Accounts, "", 9).await);
    assert_eq!(rows.expect("read"), [], "of no note any more");
}

#[test]
fn the_configuration_of_the_length_is_taken() {
    let text = config(LISTEN, "[suspension]\nlasts = '2d'\nescalate = false\n");
    let settings = read(&text, Path::new("/")).rules.detector.suspension;
    assert_eq!((settings.lasts_ms, settings.escalates), (Some(48 * 3_600_000), false));
    assert!(settings.has_probation && settings.has_breaker);
}
