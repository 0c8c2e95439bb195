//! Whatever people, thieves, the directory and the time do, in whatever order: what is told of suspensions is what
//! stands in the records, and nothing is told twice.

mod common;

#[path = "suspending_corners/faulty.rs"]
#[allow(dead_code, reason = "shared with suspending_corners")]
mod faulty;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{Ask, Folder, Site, at, config, question, read, word};
use faulty::Flaky;
use gatepost::detector::Spares;
use gatepost::directory::FileDirectory;
use gatepost::engine::{Exempting, Release, Suspending};
use gatepost::mail::{Mode, Stage, Timestamp};
use gatepost::record::{Notice, NoticeKind, Table};
use gatepost::store::Store;
use gatepost::suspension::Verdict;
use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, proptest};
use proptest::sample::select;
use proptest::test_runner::TestCaseError;

const LISTEN: &str = "facing = 'submission'\nmode = 'enforce'\nhold = 'pass'\nmta = 'mx1'";
const PEOPLE: &str = "[[account]]\nid = 'alice'\nlogin = 'alice'\naliases = ['EXAMPLE\\alice']\n\
                      [[account]]\nid = 'bob'\nlogin = 'bob'\n";
const LOGINS: [&str; 3] = ["alice", "EXAMPLE\\alice", "bob"];

#[derive(Clone, Debug)]
enum Step {
    Attack(&'static str),
    Send(&'static str),
    Suspend(&'static str, Option<i64>),
    Release(&'static str, Verdict),
    ReleaseOldest(Verdict),
    Exempt(&'static str, i64),
    EndExemption(&'static str),
    Forget(&'static str),
    Silence(bool),
    Enforce(bool),
    ResetBreakers,
    Wait(i64),
    Tend,
}

fn steps() -> impl Strategy<Value = Step> {
    let login = || select(&LOGINS[..]);
    let verdict = || select(&Verdict::ALL[..]);
    let end = select(&[None, Some(1), Some(3_600), Some(90_000)][..]);
    let wait = select(&[1_i64, 60, 3_700, 90_000, 200_000, -7_200][..]);
    proptest::prop_oneof![
        4 => login().prop_map(Step::Attack),
        3 => login().prop_map(Step::Send),
        2 => (login(), end).prop_map(|(login, end)| Step::Suspend(login, end)),
        3 => (login(), verdict()).prop_map(|(login, verdict)| Step::Release(login, verdict)),
        1 => verdict().prop_map(Step::ReleaseOldest),
        1 => (login(), select(&[30_i64, 100_000][..])).prop_map(|(l, end)| Step::Exempt(l, end)),
        1 => login().prop_map(Step::EndExemption),
        1 => login().prop_map(Step::Forget),
        2 => proptest::bool::ANY.prop_map(Step::Silence),
        2 => proptest::bool::ANY.prop_map(Step::Enforce),
        2 => proptest::strategy::Just(Step::ResetBreakers),
        4 => wait.prop_map(Step::Wait),
        2 => proptest::strategy::Just(Step::Tend),
    ]
}

fn rules(enforces: bool) -> String {
    let mode = if enforces { "enforce" } else { "observe" };
    format!(
        "[relay]\nauthenticated = true\n[detector]\nmode = '{mode}'\n[suspension]\nlasts = '1d'\n\
         [directory]\ntype = 'file'\nfile.path = '/dev/null'\ncache.on-failure = 'pass'\n"
    )
}

struct Play {
    site: Site,
    is_silent: Arc<AtomicBool>,
    /// In seconds; the steps beside it are milliseconds, so that no moment comes twice.
    now: i64,
    steps: i64,
    sent: u32,
}

impl Play {
    fn new() -> Self {
        let folder = Folder::new();
        let file = FileDirectory::open(&folder.write("people.toml", PEOPLE))
            .unwrap_or_else(|faults| panic!("{faults:?}"));
        let is_silent = Arc::new(AtomicBool::new(false));
        let directory = Flaky::new(file, &is_silent);
        let site = Site::with_directory(LISTEN, &rules(true), directory);
        Self { site, is_silent, now: 0, steps: 0, sent: 0 }
    }

    fn at(&self) -> Timestamp {
        Timestamp::from_unix_ms(at().unix_ms() + self.now * 1000 + self.steps)
    }

    fn send(&mut self, login: &str) -> String {
        self.sent += 1;
        let facts = question(Stage::EndOfMessage)
            .login(login)
            .sender("a@here.test")
            .recipient(&format!("stranger{}@far.test", self.sent))
            .instance(&self.sent.to_string())
            .recipients(1);
        word(&self.site.judge_at(facts, self.at()))
    }

    fn go(&mut self, step: &Step) {
        self.steps += 1;
        let at = self.at();
        let site = &self.site;
        let (by, note) = ("carol", "n");
        let later = |seconds: i64| Timestamp::from_unix_ms(at.unix_ms() + seconds * 1000);
        // What cannot be done is no fault here.
        match step {
            Step::Attack(login) => {
                for _ in 0..25 {
                    self.now += 1;
                    if self.send(login) != "pass" {
                        break;
                    }
                }
            }
            Step::Send(login) => drop(self.send(login)),
            Step::Suspend(login, end) => {
                let suspending = Suspending { by, note, until: end.map(later) };
                drop(site.run(async |engine| engine.suspend(login, &suspending, true, at).await));
            }
            Step::Release(login, verdict) => {
                let release = Release { verdict: *verdict, by, note, force: true };
                drop(site.run(async |engine| engine.release(login, &release, true, at).await));
            }
            Step::ReleaseOldest(verdict) => {
                let release = Release { verdict: *verdict, by, note, force: true };
                site.run(async |engine| {
                    let all = engine.incidents(Timestamp::default(), false, at).await;
                    if let Some(oldest) = all.expect("read").last() {
                        drop(engine.release(&oldest.incident.id, &release, true, at).await);
                    }
                });
            }
            Step::Exempt(login, end) => {
                let (spares, until) = (Spares::Everything, later(*end));
                let exempting = Exempting { by, note, spares, recipients: None, until };
                drop(site.run(async |engine| engine.exempt(login, &exempting, true, at).await));
            }
            Step::EndExemption(login) => {
                drop(site.run(async |e| e.end_exemption(login, by, note, true, at).await));
            }
            Step::Forget(login) => {
                drop(site.run(async |engine| engine.forget(login, by, note, true, at).await));
            }
            Step::Silence(is_silent) => self.is_silent.store(*is_silent, Ordering::Relaxed),
            Step::Enforce(enforces) => {
                let config = read(&config(LISTEN, &rules(*enforces)), std::path::Path::new("/"));
                site.run(async |engine| engine.set_rules(config.rules));
            }
            Step::ResetBreakers => site.run(async |engine| {
                for mode in [Mode::Enforce, Mode::Observe] {
                    drop(engine.reset_breaker(mode, by, note, true, at).await);
                }
            }),
            Step::Wait(seconds) => self.now += seconds,
            Step::Tend => drop(self.tend()),
        }
    }

    fn tend(&self) -> gatepost::engine::Census {
        let at = self.at();
        self.site.run(async |engine| engine.tend(at).await).expect("tended")
    }

    /// What is told is what stands.
    fn check(&mut self) -> Result<(), TestCaseError> {
        let census = self.tend();
        prop_assert_eq!(census.fault, None);
        let at = self.at();
        let records = self.site.store().records();
        let standing: BTreeMap<String, String> = records
            .iter()
            .filter_map(|(account, record)| {
                Some((record.suspension.as_ref()?.id.to_string(), account.to_string()))
            })
            .collect();
        let all = self.site.run(async |engine| {
            engine.incidents(Timestamp::default(), false, at).await.expect("read")
        });
        let told: BTreeMap<String, String> = all
            .iter()
            .filter(|told| told.end.is_none())
            .map(|told| (told.incident.id.clone(), told.incident.account.clone()))
            .collect();
        prop_assert_eq!(&standing, &told, "what stands is told, and nothing else");
        let of_note: BTreeSet<String> = records
            .iter()
            .filter(|(_, record)| record.is_of_note())
            .map(|(account, _)| account.to_string())
            .collect();
        let rows = self.site.run(async |_| self.site.store().rows(Table::Accounts, "", 99).await);
        let index: BTreeSet<String> =
            rows.expect("read").into_iter().map(|(account, _)| account.into()).collect();
        prop_assert_eq!(of_note, index, "the index is that of the records");

        let events = self.site.run(async |_| self.site.store().outbox(10_000).await);
        let notices: Vec<Notice> = events
            .expect("read")
            .iter()
            .map(|event| Notice::read(&event.body).expect("a notice"))
            .collect();
        let of = |kinds: &[NoticeKind]| -> Vec<String> {
            let own = notices.iter().filter(|notice| kinds.contains(&notice.event));
            let mut ids: Vec<String> = own.filter_map(|notice| notice.incident.clone()).collect();
            ids.sort();
            ids
        };
        let mut imposed: Vec<String> = all.iter().map(|told| told.incident.id.clone()).collect();
        imposed.sort();
        prop_assert_eq!(of(&[NoticeKind::Suspended]), imposed);
        let ended = all.iter().filter(|told| told.end.is_some());
        let mut ended: Vec<String> = ended.map(|told| told.incident.id.clone()).collect();
        ended.sort();
        prop_assert_eq!(of(&[NoticeKind::Released, NoticeKind::Expired]), ended);
        let ids: BTreeSet<&str> = notices.iter().map(|notice| &*notice.id).collect();
        prop_assert_eq!(ids.len(), notices.len(), "nothing is told twice");
        let deeds = self
            .site
            .run(async |engine| engine.deeds(Timestamp::default(), 10_000).await.expect("read"));
        let suspended = deeds.iter().filter(|deed| deed.what == "suspended").count();
        prop_assert_eq!(suspended, all.len(), "each is in the audit");
        Ok(())
    }

    /// Who is suspended does not send, unless nobody can say who he is.
    fn check_refused(&mut self) -> Result<(), TestCaseError> {
        self.is_silent.store(false, Ordering::Relaxed);
        for login in LOGINS {
            let answered = self.send(login);
            let at = self.at();
            let account = if login == "bob" { "file:bob" } else { "file:alice" };
            let records = self.site.store().records();
            let record = records.iter().find(|(key, _)| key.as_str() == account);
            let is_suspended = record.is_some_and(|(_, record)| record.suspended(at).is_some());
            prop_assert_eq!(is_suspended, answered == "account-suspended", "{}", login);
        }
        let records = self.site.store().records();
        let unresolved = records.iter().filter(|(key, _)| key.as_str().starts_with("login:"));
        for (key, record) in unresolved {
            prop_assert!(record.suspension.is_none(), "{} is nobody's any more", key);
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 100, ..Default::default() })]

    #[test]
    fn what_is_told_is_what_stands(steps in proptest::collection::vec(steps(), 1..40)) {
        let mut play = Play::new();
        for step in &steps {
            play.go(step);
            play.check()?;
        }
        play.check_refused()?;
        play.check()?;
    }
}
