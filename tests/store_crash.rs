//! The embedded store under a daemon that is killed while it works, and files it must not take.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::num::NonZeroUsize;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};
use std::{fs, thread};

use gatepost::detector::Test;
use gatepost::ledger::{HashKey, Meter};
use gatepost::mail::{AccountKey, Login, Timestamp};
use gatepost::record::{Change, Record};
use gatepost::store::embedded::Settings;
use gatepost::store::{Embedded, Store};

/// Kills. With each a start and a look into the file; together within a minute on two cores.
const POINTS: usize = 200;

const CONNECTIONS: usize = 4;
const LOGINS_EACH: usize = 8;

/// What finds a thief: the second of two messages to hundreds.
const THIEF: Test = Test::Usual(Meter::Distant1dRest);

/// As the documents promise.
const BEHIND_AT_MOST: Duration = Duration::from_secs(1);

struct Folder(PathBuf);

impl Folder {
    /// Short, since the path of a unix socket is.
    fn new(name: &str) -> Self {
        let path = PathBuf::from(format!("/tmp/gatepost-store-{}-{name}", std::process::id()));
        fs::create_dir(&path).expect("a new folder");
        let folder = Self(path);
        let tests = Test::ALL.iter().filter(|test| **test != THIEF);
        let off: String = tests.map(|test| format!("{} = 'off'\n", test.as_str())).collect();
        let text = format!(
            "[log]\ndecisions = 'none'\n[[listen]]\nprotocol = 'policy'\nsocket = 'unix:policy.sock'\n\
             facing = 'submission'\nmode = 'enforce'\n[control]\nsocket = 'control.sock'\n\
             [http]\nlisten = 'off'\n[domains]\nlocal = ['example.org']\n\
             [store]\ntype = 'embedded'\npath = 'store.redb'\naccounts = 16\n\
             [detector]\nmode = 'enforce'\n[detector.tests]\n{off}"
        );
        fs::write(folder.0.join("gatepost.toml"), text).expect("written");
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
        command.arg("run").arg("-c").arg(self.path("gatepost.toml")).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// Until it listens.
    fn start(&self) -> Child {
        let mut child = self.command().spawn().expect("started");
        let mut told = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut line = String::new();
        while !line.contains("ready") {
            line.clear();
            assert_ne!(told.read_line(&mut line).expect("told"), 0, "it ended");
        }
        thread::spawn(move || std::io::copy(&mut told, &mut std::io::sink()));
        child
    }

    fn refusal(&self, command: &mut Command) -> String {
        let Output { status, stderr, .. } = command.output().expect("run");
        assert!(!status.success());
        String::from_utf8_lossy(&stderr).into_owned()
    }

    fn open(&self) -> Embedded {
        let digits = fs::read_to_string(self.path("hash.key")).expect("a key");
        let key = u128::from_str_radix(digits.trim(), 16).expect("hexadecimal");
        let settings = Settings {
            path: self.path("store.redb"),
            key: HashKey::new(key.to_be_bytes()),
            accounts: NonZeroUsize::MIN,
            keep_days: 400,
            clock: Timestamp::default,
            on_commit: Box::new(|_| ()),
        };
        Embedded::open(settings).expect("opened after a crash")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::set_permissions(&self.0, fs::Permissions::from_mode(0o755));
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What one login was asked and answered in one run.
#[derive(Default)]
struct Told {
    asked: u64,
    answered: Vec<Instant>,
    giants: u32,
    is_refused: bool,
}

#[derive(Default)]
struct Load {
    logins: Mutex<(usize, HashMap<String, Told>)>,
    changed: Condvar,
}

#[allow(clippy::disallowed_methods)] // what may be lost is a matter of time
fn now() -> Instant {
    Instant::now()
}

/// Asks until the daemon is gone.
fn ask(load: &Load, socket: &Path, connection: usize, run: usize, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let stream = UnixStream::connect(socket).expect("it listens");
    let mut answers = BufReader::new(stream.try_clone().expect("cloned"));
    let mut stream = stream;
    for message in 0_u64.. {
        let login = random.usize(..LOGINS_EACH);
        // Each run has one login that becomes a thief, or not.
        let is_giant = login == 0 && random.u8(..20) == 0;
        let login = if login == 0 {
            format!("t{connection}r{run}")
        } else {
            format!("c{connection}l{login}")
        };
        let recipients = if is_giant {
            "recipient_count=300"
        } else {
            "recipient=b@example.net\nrecipient_count=1"
        };
        {
            let mut logins = load.logins.lock().expect("whole");
            let told = logins.1.entry(login.clone()).or_default();
            if told.is_refused {
                continue;
            }
            told.asked += 1;
            told.giants += u32::from(is_giant);
        }
        let question = format!(
            "request=smtpd_access_policy\nprotocol_state=END-OF-MESSAGE\nprotocol_name=ESMTP\n\
             instance={run}.{connection}.{message}\nsender=a@example.org\n{recipients}\n\
             sasl_method=PLAIN\nsasl_username={login}\nclient_address=192.0.2.1\nsize=0\n\n"
        );
        let mut answer = String::new();
        let mut end = String::new();
        if stream.write_all(question.as_bytes()).is_err()
            || !matches!(answers.read_line(&mut answer), Ok(1..))
            || !matches!(answers.read_line(&mut end), Ok(1..))
        {
            return;
        }
        let mut logins = load.logins.lock().expect("whole");
        logins.0 += 1;
        let told = logins.1.get_mut(&login).expect("asked");
        if answer.contains("suspended") {
            told.is_refused = true;
        } else {
            assert_eq!(answer, "action=DUNNO\n");
            told.answered.push(now());
        }
        load.changed.notify_all();
    }
}

async fn record(store: &Embedded, login: &str) -> Record {
    let mut found = Record::default();
    let mut read = |record: &Record| {
        found = record.clone();
        Change::default()
    };
    let account = AccountKey::unresolved(&Login::parse(login.as_bytes()).expect("a login"));
    store.preview(&account, &mut read).await.expect("read");
    found
}

/// No acknowledged suspension is lost and none is invented; usage is at most a second behind.
#[tokio::test]
async fn what_was_answered_for_outlives_kills() {
    let folder = Folder::new("killed");
    let mut random = fastrand::Rng::with_seed(200);
    let mut before: HashMap<String, u64> = HashMap::new();
    let (mut thieves, mut old) = (0, 0);
    for run in 0..POINTS {
        let mut child = folder.start();
        let load = Arc::new(Load::default());
        let socket = folder.path("policy.sock");
        let askers: Vec<_> = (0..CONNECTIONS)
            .map(|connection| {
                let (load, socket, seed) = (Arc::clone(&load), socket.clone(), random.u64(..));
                thread::spawn(move || ask(&load, &socket, connection, run, seed))
            })
            .collect();
        // A few runs are long enough for usage to be old.
        let answers = if run % 20 == 19 { 20_000 } else { random.usize(1..400) };
        let logins = load.logins.lock().expect("whole");
        drop(load.changed.wait_while(logins, |(count, _)| *count < answers).expect("whole"));
        let killed = now();
        child.kill().expect("killed");
        child.wait().expect("over");
        askers.into_iter().for_each(|asker| asker.join().expect("no fault"));

        let store = folder.open();
        let logins = std::mem::take(&mut load.logins.lock().expect("whole").1);
        for (login, told) in &logins {
            let record = record(&store, login).await;
            let is_suspended = record.suspension.is_some();
            assert!(is_suspended || !told.is_refused, "run {run}: {login} was suspended");
            assert!(!is_suspended || told.giants > 1, "run {run}: {login} was never suspended");
            thieves += usize::from(told.is_refused);
            let base = before.get(login).copied().unwrap_or_default();
            let due = told.answered.iter().filter(|at| killed - **at > BEHIND_AT_MOST).count();
            old += due;
            let kept = record.usage.messages;
            let expected = base + due as u64..=base + told.asked;
            assert!(expected.contains(&kept), "run {run}: {login} has {kept}, not {expected:?}");
            before.insert(login.clone(), kept);
        }
    }
    assert!(thieves > POINTS / 10 && old > 100, "{thieves} thieves, {old} old answers");
}

/// A stop in order loses nothing at all.
#[tokio::test]
async fn a_stop_flushes() {
    let folder = Folder::new("stopped");
    let mut child = folder.start();
    let mut stream = UnixStream::connect(folder.path("policy.sock")).expect("it listens");
    stream
        .write_all(
            b"request=smtpd_access_policy\nprotocol_state=END-OF-MESSAGE\ninstance=1\n\
              sender=a@example.org\nrecipient_count=1\nsasl_method=PLAIN\nsasl_username=alice\n\n",
        )
        .expect("asked");
    let mut answer = String::new();
    BufReader::new(&stream).read_line(&mut answer).expect("answered");
    assert_eq!(answer, "action=DUNNO\n");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("told to stop");
    assert!(child.wait().expect("over").success());
    assert_eq!(record(&folder.open(), "alice").await.usage.messages, 1);
}

#[test]
fn a_daemon_tells_why_it_does_not_take_a_file() {
    let folder = Folder::new("refused");
    let mut child = folder.start();
    let store = folder.path("store.redb");
    let named = format!("cannot open the store {}: ", store.display());
    let told = folder.refusal(&mut folder.command());
    assert!(told.contains(&format!("{named}another process has it open")), "{told}");
    child.kill().expect("killed");
    child.wait().expect("over");
    let whole = fs::read(&store).expect("read");
    fs::write(&store, &whole[..whole.len() / 2]).expect("cut");
    let told = folder.refusal(&mut folder.command());
    assert!(told.contains(&format!("{named}it is damaged or no store: ")), "{told}");
    assert_eq!(fs::read(&store).expect("there").len(), whole.len() / 2, "as it was");
}

#[test]
fn a_folder_that_is_read_only_is_told() {
    let folder = Folder::new("readonly");
    fs::write(folder.path("hash.key"), format!("{:032x}\n", 7)).expect("written");
    fs::set_permissions(folder.path("hash.key"), fs::Permissions::from_mode(0o644)).expect("set");
    fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o555)).expect("set");
    let mut command = folder.command();
    if rustix::process::geteuid().is_root() {
        // Whom the permissions of a folder stop.
        command.uid(65534);
    }
    let told = folder.refusal(&mut command);
    let expected =
        format!("cannot open the store {}: Permission denied", folder.path("store.redb").display());
    assert!(told.contains(&expected), "{told}");
}
