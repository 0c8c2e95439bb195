//! Lifting a suspension: what is forgiven, forgotten and learnt.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{Ask, Folder, Site, at, question};
use gatepost::directory::{Answer, Author, Directory, FileDirectory};
use gatepost::engine::{DeedFault, Release};
use gatepost::mail::{AccountKey, Address, Facts, Login, Stage, Timestamp};
use gatepost::rights::{Groups, Lookup, RecipientLookup};
use gatepost::suspension::Verdict;

const LISTEN: &str = "facing = 'submission'\nmode = 'enforce'\nhold = 'pass'";
const RULES: &str = "[relay]\nauthenticated = true\n[detector]\nmode = 'enforce'\n";

fn message(number: u32, begin: i64) -> Facts {
    question(Stage::EndOfMessage)
        .login("alice")
        .sender("alice@here.test")
        .recipient(&format!("stranger{number}@far.test"))
        .instance(&format!("{begin}.{number}"))
        .recipients(1)
}

fn later(seconds: i64) -> Timestamp {
    Timestamp::from_unix_ms(at().unix_ms() + seconds * 1000)
}

/// Sends a message a second, each to somebody new; the number that passed before the first refusal.
fn send(site: &Site, first: u32, count: u32, begin: i64) -> u32 {
    let passes = |number: &u32| {
        let when = later(begin + i64::from(*number - first));
        site.judge_at(message(*number, begin), when).decision.action() == "pass"
    };
    (first..first + count).take_while(passes).count() as u32
}

fn suspended() -> (Site, u32) {
    let site = Site::without_directory(LISTEN, RULES);
    let passed = send(&site, 0, 20, 0);
    assert!((4..=6).contains(&passed), "{passed}");
    (site, passed)
}

#[test]
fn a_released_account_sends_at_once() {
    let (site, _) = suspended();
    assert_eq!(send(&site, 100, 1, 60), 0);
    let id = site.release("alice", Verdict::TruePositive, true, later(61)).expect("lifted");
    assert_eq!(id.len(), 12);
    assert_eq!(send(&site, 101, 1, 62), 1);
}

#[test]
fn a_dry_run_changes_nothing() {
    let (site, _) = suspended();
    assert!(site.release("alice", Verdict::TruePositive, false, later(60)).is_ok());
    assert_eq!(send(&site, 100, 1, 61), 0);
}

#[test]
fn a_false_alarm_does_not_come_back_on_the_same_behaviour() {
    let (site, passed) = suspended();
    site.release("alice", Verdict::FalsePositive, true, later(60)).expect("lifted");
    assert!(send(&site, 100, 20, 61) > passed + 5);
}

#[test]
fn a_thief_who_comes_back_is_stopped_sooner_than_before() {
    let (site, passed) = suspended();
    site.release("alice", Verdict::TruePositive, true, later(60)).expect("lifted");
    // The account is on probation.
    assert!(send(&site, 100, 20, 61) < passed);
    // Whom he wrote to the first time is no contact of hers.
    site.release("alice", Verdict::TruePositive, true, later(120)).expect("lifted");
    assert_eq!(send(&site, 0, 20, 200_000), passed);
}

#[test]
fn nobody_else_can_be_released() {
    let (site, _) = suspended();
    for login in ["bob", "alic"] {
        let lifted = site.release(login, Verdict::FalsePositive, true, later(60));
        assert_eq!(lifted, Err(DeedFault::NotSuspended));
    }
    site.release("ALICE", Verdict::FalsePositive, true, later(60)).expect("any spelling");
}

/// A directory file that may fall silent.
struct Falling(FileDirectory, Arc<AtomicBool>);

impl Directory for Falling {
    fn lookup<'a>(&'a self, login: &'a Login, groups: &'a Groups) -> Answer<'a, Lookup> {
        match self.1.load(Ordering::Relaxed) {
            true => Answer::Now(Lookup::Unavailable),
            false => self.0.lookup(login, groups),
        }
    }

    fn recipient<'a>(&'a self, to: &'a Address, author: Author<'a>) -> Answer<'a, RecipientLookup> {
        self.0.recipient(to, author)
    }

    fn path<'a>(&'a self, account: &'a AccountKey, group: &'a str) -> Answer<'a, Vec<String>> {
        self.0.path(account, group)
    }
}

#[test]
fn while_the_directory_is_silent_nobody_knows_whether_the_password_was_changed() {
    let folder = Folder::new();
    let people = "[[account]]\nlogin = 'alice'\naddresses = ['alice@here.test']\n";
    let file = FileDirectory::open(&folder.write("people.toml", people));
    let file = file.unwrap_or_else(|faults| panic!("{faults:?}"));
    let is_silent = Arc::new(AtomicBool::new(false));
    let site = Site::with_directory(LISTEN, RULES, Falling(file, Arc::clone(&is_silent)));
    send(&site, 0, 20, 0);
    let stolen = Verdict::TruePositive;
    let id = site.release("alice", stolen, false, later(60)).expect("it answers");
    is_silent.store(true, Ordering::Relaxed);
    let silent = Err(DeedFault::DirectorySilent);
    assert_eq!(site.release("alice", stolen, false, later(60)), silent);
    assert_eq!(site.release(&id, stolen, false, later(60)), silent);
    // By its id, who does not ask that may be done, and so may who insists.
    assert!(site.release(&id, Verdict::FalsePositive, false, later(60)).is_ok());
    let forced = Release { verdict: stolen, by: "carol", note: "ticket", force: true };
    let done = site.run(async |engine| engine.release(&id, &forced, true, later(60)).await);
    assert!(done.is_ok_and(|released| released.password_set.is_none()));
}
