//! How long gatepost takes to start on the store of a large site: after a stop in order, and after kill -9 under load.
//! `cargo bench --bench store_start -- [LOGINS]`

#![allow(clippy::disallowed_methods)] // a benchmark reads the clock

#[path = "../common/folder.rs"]
mod folder;

use std::env;
use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::num::NonZeroUsize;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gatepost::ledger::{HashKey, Message};
use gatepost::mail::{AccountKey, Login, Timestamp};
use gatepost::record::{Change, Record};
use gatepost::store::embedded::Settings;
use gatepost::store::{Embedded, Store};

use folder::Folder;

/// So many wait for the disk at most.
const WRITTEN_EACH: usize = 20_000;

/// Mail before the kill.
const MESSAGES: usize = 5_000;

const STARTS: usize = 5;

const KEY: u128 = 7;

const CONFIGURATION: &str = "\
[log]
decisions = 'none'
[[listen]]
protocol = 'policy'
socket = 'unix:policy.sock'
facing = 'submission'
mode = 'enforce'
[control]
socket = 'control.sock'
[http]
listen = 'off'
[domains]
local = ['example.org']
[store]
type = 'embedded'
path = 'store.redb'
[detector]
mode = 'enforce'
";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = env::args().skip(1).filter(|word| word != "--bench").collect();
    let logins: usize = words.first().map_or(Ok(1_000_000), |word| word.parse())?;
    let folder = Folder::create(&env::temp_dir(), "store-start")?;
    let site = folder.child("site")?;
    std::fs::write(site.join("gatepost.toml"), CONFIGURATION)?;
    std::fs::write(site.join("hash.key"), format!("{KEY:032x}\n"))?;
    let begun = Instant::now();
    fill(&site.join("store.redb"), logins).await?;
    let size = std::fs::metadata(site.join("store.redb"))?.len() / 1_000_000;
    println!("{:>8.1} s  to write {logins} logins, {size} MB", begun.elapsed().as_secs_f64());
    for way in [Way::Stop, Way::Kill] {
        let (mut daemon, _) = start(&site)?;
        let mut longest = Duration::ZERO;
        for _ in 0..STARTS {
            send(&site, logins)?;
            end(daemon, way)?;
            let (started, took) = start(&site)?;
            (daemon, longest) = (started, longest.max(took));
        }
        end(daemon, Way::Stop)?;
        let longest = longest.as_secs_f64() * 1e3;
        println!("{longest:>8.1} ms to start after {}, the longest of {STARTS}", way.words());
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Stop,
    Kill,
}

impl Way {
    fn words(self) -> &'static str {
        match self {
            Self::Stop => "a stop in order",
            Self::Kill => "kill -9 under load",
        }
    }
}

fn login(number: usize) -> String {
    format!("login-{number}")
}

/// Each login with one message.
async fn fill(path: &Path, logins: usize) -> Result<(), Box<dyn Error>> {
    let store = Embedded::open(Settings {
        path: PathBuf::from(path),
        key: HashKey::new(KEY.to_be_bytes()),
        accounts: NonZeroUsize::MIN,
        keep_days: 400,
        clock: now,
        on_commit: Box::new(|_| ()),
    })?;
    for number in 0..logins {
        let login = Login::parse(login(number).as_bytes()).ok_or("no login")?;
        let account = AccountKey::unresolved(&login);
        let recipients = [HashKey::default().bytes(&[&number.to_le_bytes()])];
        let mut charge = |record: &Record| {
            let mut record = record.clone();
            let message = Message {
                key: number as u64,
                part: None,
                recipients: &recipients,
                count: 1,
                likeness: None,
                network: None,
            };
            let at = now();
            record.advance(at);
            let weight = record.usage.weigh(&message, at);
            record.usage.count(&weight);
            record.usage.take_in(&message, &weight, 0, at);
            Change::to(record)
        };
        store.update(&account, &mut charge).await?;
        if number % WRITTEN_EACH == 0 {
            store.flush().await?;
        }
    }
    Ok(store.flush().await?)
}

fn now() -> Timestamp {
    Timestamp::from_unix_ms(jiff::Timestamp::now().as_millisecond())
}

/// Until it says that it is ready.
fn start(site: &Path) -> Result<(Child, Duration), Box<dyn Error>> {
    let begun = Instant::now();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
    command.arg("run").arg("-c").arg(site.join("gatepost.toml"));
    command.stdout(File::create(site.join("out"))?).stderr(Stdio::piped());
    let mut daemon = command.spawn()?;
    let mut told = BufReader::new(daemon.stderr.take().ok_or("no pipe")?);
    let mut line = String::new();
    while !line.contains("ready") {
        line.clear();
        if told.read_line(&mut line)? == 0 {
            return Err("gatepost does not start".into());
        }
    }
    let took = begun.elapsed();
    std::thread::spawn(move || std::io::copy(&mut told, &mut std::io::sink()));
    Ok((daemon, took))
}

/// Mail of many logins, so that what was written last is spread over the whole file.
fn send(site: &Path, logins: usize) -> Result<(), Box<dyn Error>> {
    let stream = UnixStream::connect(site.join("policy.sock"))?;
    let mut answers = BufReader::new(&stream);
    for message in 0..MESSAGES {
        let login = login(fastrand::usize(..logins));
        let question = format!(
            "request=smtpd_access_policy\nprotocol_state=END-OF-MESSAGE\ninstance={}.{message}\n\
             sender=a@example.org\nrecipient=b@example.net\nrecipient_count=1\nsasl_method=PLAIN\n\
             sasl_username={login}\n\n",
            fastrand::u64(..)
        );
        (&stream).write_all(question.as_bytes())?;
        let mut answer = String::new();
        answers.read_line(&mut answer)?;
        answers.read_line(&mut answer)?;
    }
    Ok(())
}

fn end(mut daemon: Child, way: Way) -> Result<(), Box<dyn Error>> {
    let signal = match way {
        Way::Stop => rustix::process::Signal::TERM,
        Way::Kill => rustix::process::Signal::KILL,
    };
    rustix::process::kill_process(rustix::process::Pid::from_child(&daemon), signal)?;
    let status = daemon.wait()?;
    if way == Way::Stop && !status.success() {
        return Err("gatepost did not stop in order".into());
    }
    Ok(())
}
