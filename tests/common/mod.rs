//! A small site for tests: a configuration, a directory and an engine, questions to ask of it, and
//! tables of named rows. The clock of every site stands still, so a wait costs no time.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::fmt::Display;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gatepost::config::{Config, parse};
use gatepost::decision::{HoldersLine, Listener, Outcome, Portrait, Reason};
use gatepost::directory::{Directory, FileDirectory};
use gatepost::engine::{DeedFault, Engine, Judged, Release};
use gatepost::ledger::HashKey;
use gatepost::mail::{
    AccountKey, Address, Certificate, Client, Facts, Login, Protocol, Reply, Stage, Timestamp,
};
use gatepost::record::{Change, Notice, NoticeKind, Record};
use gatepost::rights::Right;
use gatepost::store::{Memory, Store};
use gatepost::suspension::Verdict;
use tokio::runtime::{Builder, Runtime};

pub const SUBMISSION: &str = "facing = 'submission'\nmode = 'enforce'\n";
pub const INTERNET: &str = "facing = 'internet'\nmode = 'enforce'\n";
pub const INTERNAL: &str = "facing = 'internal'\nmode = 'enforce'\n";

/// A folder of one test, gone at its end.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("site-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("a file");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// One listener, its rules and what stands behind them.
pub struct Site {
    engine: Engine,
    listener: Arc<Listener>,
    store: Arc<Memory>,
    runtime: Runtime,
}

/// The whole text of a configuration with one listener.
pub fn config(listen: &str, rules: &str) -> String {
    // What is held must be let go by somebody.
    let queue = match listen.contains("hold = 'queue'") {
        true => "[[queue]]\nmta = 'mx1.example.org'\ntype = 'postfix'\n",
        false => "",
    };
    format!(
        "[[listen]]\nprotocol = 'policy'\nsocket = 'inet:127.0.0.1:10031'\n{listen}\n{rules}\n{queue}"
    )
}

/// Reads a configuration without a fault.
pub fn read(text: &str, folder: &Path) -> Config {
    parse("gatepost.toml", text, folder, "mx1.example.org").unwrap_or_else(|faults| {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        panic!("{}\n{text}", faults.join("\n"))
    })
}

impl Site {
    /// A site whose directory is a file with the text `people`.
    pub fn new(listen: &str, rules: &str, people: &str) -> Self {
        let folder = Folder::new();
        let path = folder.write("people.toml", people);
        let rules = format!("{rules}\n[directory]\ntype = 'file'\nfile.path = 'people.toml'\n");
        let config = read(&config(listen, &rules), folder.path());
        let directory = FileDirectory::open(&path).unwrap_or_else(|faults| panic!("{faults:?}"));
        Self::of(config, Some(Arc::new(directory)))
    }

    /// A site without a directory.
    pub fn without_directory(listen: &str, rules: &str) -> Self {
        Self::of(read(&config(listen, rules), Path::new("/")), None)
    }

    /// A site with this directory, whatever the configuration says of one.
    pub fn with_directory(listen: &str, rules: &str, directory: impl Directory + 'static) -> Self {
        Self::of(read(&config(listen, rules), Path::new("/")), Some(Arc::new(directory)))
    }

    pub fn of(config: Config, directory: Option<Arc<dyn Directory>>) -> Self {
        let store = Arc::new(Memory::new(NonZeroUsize::new(20_000).expect("not zero")));
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        let listener = Arc::clone(&config.startup.listen[0].listener);
        let engine = Engine::new(
            directory,
            Arc::clone(&store) as Arc<dyn Store>,
            HashKey::default(),
            config.rules,
        );
        Self { engine, listener, store, runtime: runtime.expect("a runtime") }
    }

    pub fn judge(&self, facts: Facts) -> Judged {
        self.runtime.block_on(self.engine.judge(&self.listener, facts, at()))
    }

    pub fn release(
        &self,
        login: &str,
        verdict: Verdict,
        commit: bool,
        at: Timestamp,
    ) -> Result<String, DeedFault> {
        let release = Release { verdict, by: "carol", note: "ticket", force: false };
        let lifted = self.engine.release(login, &release, commit, at);
        self.runtime.block_on(lifted).map(|released| released.suspension.id.to_string())
    }

    /// What somebody does to the engine.
    pub fn run<T>(&self, deed: impl AsyncFnOnce(&Engine) -> T) -> T {
        self.runtime.block_on(deed(&self.engine))
    }

    pub fn store(&self) -> &Memory {
        &self.store
    }

    /// So many events that nobody takes that there is room for no other.
    pub fn fill_outbox(&self) {
        let test = |n: u32| Notice::new(&n.to_string(), NoticeKind::Test, at()).to_event();
        let mut fill =
            |_: &Record| Change { events: (0..10_000).map(test).collect(), ..Change::default() };
        let filler = AccountKey::stored("filler");
        self.runtime.block_on(self.store.update(&filler, &mut fill)).expect("filled");
    }

    /// As `judge`, at another time.
    pub fn judge_at(&self, facts: Facts, at: Timestamp) -> Judged {
        self.runtime.block_on(self.engine.judge(&self.listener, facts, at))
    }

    /// Each list of questions over a connection of its own, all at once: the word of each answer.
    pub fn ask_in_parallel(&self, connections: Vec<Vec<Facts>>) -> Vec<String> {
        let (engine, listener) = (&self.engine, &self.listener);
        let start = std::sync::Barrier::new(connections.len());
        std::thread::scope(|scope| {
            let ask = |questions: Vec<Facts>| {
                let start = &start;
                scope.spawn(move || {
                    let runtime = Builder::new_current_thread().enable_time().build();
                    let runtime = runtime.expect("a runtime");
                    start.wait();
                    let judge = |facts| runtime.block_on(engine.judge(listener, facts, at()));
                    questions.into_iter().map(|facts| word(&judge(facts))).collect::<Vec<_>>()
                })
            };
            let asked: Vec<_> = connections.into_iter().map(ask).collect();
            let answers = asked.into_iter().map(|one| one.join().expect("no panic"));
            answers.flatten().collect()
        })
    }

    /// As `judge`, and `None` when the answer takes longer than Sendmail waits for a milter.
    pub fn judge_in_time(&self, facts: Facts) -> Option<Judged> {
        let judge = self.engine.judge(&self.listener, facts, at());
        let limit = std::time::Duration::from_secs(10);
        self.runtime.block_on(async { tokio::time::timeout(limit, judge).await.ok() })
    }

    pub fn preview(&self, facts: Facts) -> Judged {
        self.runtime.block_on(self.engine.preview(&self.listener, facts, at()))
    }

    /// What `gatepost rights LOGIN` tells.
    pub fn portray(&self, login: &str) -> Portrait {
        let login = Login::parse(login.as_bytes()).expect("a login");
        self.runtime.block_on(self.engine.portray(&login, at())).expect("a login")
    }

    /// What `gatepost rights --who RIGHT` tells.
    pub fn holders(&self, right: Right) -> Result<Vec<HoldersLine>, String> {
        let holders = self.runtime.block_on(self.engine.holders(right, at()))?;
        Ok(holders.lines().collect())
    }

    /// What [`word`] says of the answer.
    pub fn ask(&self, facts: Facts) -> String {
        word(&self.judge(facts))
    }

    /// Messages and recipients charged to an account of the directory file.
    pub fn charged(&self, id: &str) -> (u64, u64) {
        self.charged_to(&AccountKey::object("file", id))
    }

    pub fn charged_to(&self, account: &AccountKey) -> (u64, u64) {
        let usage = self.record(account).usage;
        (usage.messages, usage.recipients)
    }

    /// What is kept of an account.
    pub fn record(&self, account: &AccountKey) -> Record {
        let mut found = Record::default();
        let mut read = |record: &Record| {
            found = record.clone();
            Change::default()
        };
        self.runtime.block_on(self.store.preview(account, &mut read)).expect("a record");
        found
    }
}

pub fn at() -> Timestamp {
    Timestamp::from_unix_ms(1_700_000_000_000)
}

/// `pass`, `grant`, `hold`, or the word of the reason. A refusal must say its own code and id.
pub fn word(judged: &Judged) -> String {
    let decision = &judged.decision;
    match &decision.reply {
        Reply::NoObjection => "pass".into(),
        Reply::Grant => "grant".into(),
        Reply::Hold(_) => "hold".into(),
        Reply::Refuse(reply) => {
            let reason = decision.reason.expect("a refusal has a reason");
            let mut words = reason.default_reply().splitn(3, ' ');
            let (code, enhanced) = (words.next().expect("a code"), words.next().expect("another"));
            let own = judged.case().id();
            let suspension = decision.suspension.as_ref();
            let id = match suspension.filter(|_| reason == Reason::AccountSuspended) {
                Some(suspension) => suspension.id.as_str(),
                None => own.as_str(),
            };
            let start = format!("{code} {enhanced} [{id}] ");
            assert!(reply.to_string().starts_with(&start), "{reply} does not start with {start}");
            reason.as_str().into()
        }
    }
}

/// What checks and grants that only observe would have done, as `reason` words or `pass`.
pub fn observed(judged: &Judged) -> Vec<&'static str> {
    let outcomes = judged.decision.trail.iter().map(|step| step.outcome);
    outcomes
        .filter_map(|outcome| match outcome {
            Outcome::WouldObject(reason) => Some(Reason::as_str(reason)),
            Outcome::WouldPass => Some("pass"),
            _ => None,
        })
        .collect()
}

/// A question from a client nobody knows, without a login, from the null sender.
pub fn question(stage: Stage) -> Facts {
    let mut facts = Facts::at_stage(Protocol::PolicyDelegation, stage);
    facts.envelope.instance = "1f2e.6561.3a.0".into();
    facts.client("203.0.113.9")
}

/// Such a question at RCPT.
pub fn rcpt(recipient: &str) -> Facts {
    question(Stage::Rcpt).recipient(recipient)
}

/// Adds to a question.
pub trait Ask: Sized {
    fn login(self, login: &str) -> Self;
    fn sender(self, sender: &str) -> Self;
    fn recipient(self, recipient: &str) -> Self;
    fn client(self, address: &str) -> Self;
    fn host(self, name: &str) -> Self;
    /// A TLS client certificate whose public key has this fingerprint, by a name of its own.
    fn certificate(self, fingerprint: &str, subject: &str) -> Self;
    fn instance(self, instance: &str) -> Self;
    /// The number of recipients accepted.
    fn recipients(self, count: u32) -> Self;
}

impl Ask for Facts {
    fn login(mut self, login: &str) -> Self {
        self.login = Login::parse(login.as_bytes());
        self.sasl_method = "PLAIN".into();
        self
    }

    fn sender(mut self, sender: &str) -> Self {
        self.envelope.sender = Address::from_internal(sender.as_bytes());
        self
    }

    fn recipient(mut self, recipient: &str) -> Self {
        self.envelope.recipient = Some(Address::from_internal(recipient.as_bytes()));
        self
    }

    fn client(mut self, address: &str) -> Self {
        self.client.address = Client::parse_address(address.as_bytes());
        self
    }

    fn host(mut self, name: &str) -> Self {
        self.client.name = Client::parse_name(name.as_bytes());
        self
    }

    fn certificate(mut self, fingerprint: &str, subject: &str) -> Self {
        let mut certificate = Certificate::default();
        certificate.fingerprints[1] = Some(fingerprint.into());
        certificate.subject = Some(subject.into());
        self.client.certificate = Some(certificate.into());
        self
    }

    fn instance(mut self, instance: &str) -> Self {
        self.envelope.instance = instance.into();
        self
    }

    fn recipients(mut self, count: u32) -> Self {
        self.envelope.recipient_count = count;
        self
    }
}

/// Named rows, told together: which were wrong, what was expected and what was found.
#[derive(Default)]
pub struct Rows {
    seen: usize,
    wrong: Vec<String>,
}

impl Rows {
    pub fn row(&mut self, name: impl Display, expected: impl Display, found: impl Display) {
        self.seen += 1;
        let (expected, found) = (expected.to_string(), found.to_string());
        if expected != found {
            self.wrong.push(format!("{name}: expected {expected}, found {found}"));
        }
    }

    /// `rows`: how many there must have been, so that no loop runs empty.
    pub fn end(self, rows: usize) {
        assert!(self.wrong.is_empty(), "\n{}", self.wrong.join("\n"));
        assert_eq!(self.seen, rows, "rows");
    }
}
