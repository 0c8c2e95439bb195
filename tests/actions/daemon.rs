//! The daemon as a process, with actions and a store that outlives it.

use std::io::{BufRead, BufReader, Write};
use std::num::NonZeroUsize;
use std::os::unix::net::UnixStream;
use std::process::{Command, Output};

use gatepost::ledger::HashKey;
use gatepost::mail::{AccountKey, Timestamp};
use gatepost::record::{Change, Notice};
use gatepost::store::embedded::Settings;
use gatepost::store::{Embedded, Store};

use crate::hook::{FAILS, Hook, OK};
use crate::outbox::Folder;
use crate::process::Process;
use crate::webhooks::webhook;

pub struct Site {
    pub folder: Folder,
}

impl Site {
    pub fn new(actions: &str) -> Self {
        let folder = Folder::new();
        folder.write("hash.key", &format!("{:032x}\n", 7));
        let text = format!(
            "[server]\ndrain = '2s'\n[[listen]]\nprotocol = 'policy'\nsocket = 'unix:policy.sock'\nfacing = 'submission'\n\
             mode = 'enforce'\n[control]\nsocket = 'control.sock'\n[http]\nlisten = 'off'\n\
             [domains]\nlocal = ['example.org']\n[store]\ntype = 'embedded'\npath = 'store.redb'\n{actions}"
        );
        folder.write("gatepost.toml", &text);
        Self { folder }
    }

    /// Commits events while no daemon runs.
    pub fn commit(&self, notices: &[Notice]) {
        let settings = Settings {
            path: self.folder.0.join("store.redb"),
            key: HashKey::new(7_u128.to_be_bytes()),
            accounts: NonZeroUsize::MIN,
            keep_days: 400,
            clock: Timestamp::default,
            on_commit: Box::new(|_| ()),
        };
        let store = Embedded::open(settings).expect("opened");
        let events: Vec<_> = notices.iter().map(Notice::to_event).collect();
        let account = AccountKey::object("file", "alice");
        let mut judge = |_: &_| Change { events: events.clone(), ..Change::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(store.update(&account, &mut judge)).expect("committed");
    }

    pub fn start(&self) -> Process {
        let mut command = self.gatepost(&["run"]);
        let mut daemon = Process::start("gatepost", &mut command, self.folder.0.join("log"));
        daemon.wait_for_log("ready");
        daemon
    }

    pub fn gatepost(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
        command.args(arguments).arg("-c").arg(self.folder.0.join("gatepost.toml"));
        command
    }

    /// A question of a mail server, and the answer.
    pub fn ask(&self) -> String {
        self.send(0)
    }

    /// A message of alice to one of many strangers, and the answer.
    pub fn send(&self, number: usize) -> String {
        let mut stream =
            UnixStream::connect(self.folder.0.join("policy.sock")).expect("it listens");
        let question = format!(
            "request=smtpd_access_policy\nprotocol_state=END-OF-MESSAGE\ninstance={number}\n\
             sender=alice@example.org\nrecipient=stranger{number}@far.test\nrecipient_count=1\n\
             sasl_method=PLAIN\nsasl_username=alice\nclient_address=192.0.2.9\n\n"
        );
        stream.write_all(question.as_bytes()).expect("asked");
        let mut answer = String::new();
        BufReader::new(&stream).read_line(&mut answer).expect("answered");
        answer.trim_end().into()
    }
}

fn told(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn notify_test_tells_of_each_action_whether_it_works() {
    let (well, failing) = (Hook::open(OK), Hook::open(FAILS));
    let site = Site::new(&(webhook("pager", &well) + &webhook("siem", &failing)));
    let daemon = site.start();
    let all = site.gatepost(&["notify-test"]).output().expect("run");
    let expected =
        "pager  webhook  ok\nsiem   webhook  FAULT it answers 500 Internal Server Error\n";
    assert_eq!(told(&all), (Some(1), expected.into()));
    let one = site.gatepost(&["notify-test", "pager"]).output().expect("run");
    assert_eq!(told(&one), (Some(0), "pager  webhook  ok\n".into()));
    let none = site.gatepost(&["notify-test", "nobody"]).output().expect("run");
    assert_eq!(none.status.code(), Some(4));
    assert_eq!(String::from_utf8_lossy(&none.stderr), "no [[action]] has the name nobody\n");
    let call = well.calls().remove(0);
    let notice = Notice::read(&call.body).expect("an event");
    assert_eq!(notice.event.as_str(), "test");
    assert!(call.id().starts_with("test-"));
    drop(daemon);
    let gone = site.gatepost(&["notify-test"]).output().expect("run");
    assert_eq!(gone.status.code(), Some(3));
}

#[test]
fn a_reload_says_that_an_action_needs_a_restart() {
    let hook = Hook::open(OK);
    let site = Site::new(&webhook("pager", &hook));
    let mut daemon = site.start();
    let file = site.folder.0.join("gatepost.toml");
    let text = std::fs::read_to_string(&file).expect("read");
    std::fs::write(&file, text.replace("/hook", "/other")).expect("written");
    daemon.signal(rustix::process::Signal::HUP);
    daemon.wait_for_log("[[action]] url has changed and needs a restart");
}
