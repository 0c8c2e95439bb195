//! A folder with a configuration and a store, and the daemon in it.

use std::fs;
use std::num::NonZeroUsize;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicUsize, Ordering};

use gatepost::detector::Test;
use gatepost::ledger::{HashKey, Meter};
use gatepost::mail::Timestamp;
use gatepost::store::Embedded;
use gatepost::store::embedded::Settings;
use socket2::{Domain, Socket, Type};

use crate::process::{DEADLINE, Process, read};

/// What finds a thief: the second of two messages to hundreds.
const THIEF: Test = Test::Usual(Meter::Distant1dRest);

pub struct Site {
    pub folder: PathBuf,
    /// A port where nobody listens, so that every event stays on its way.
    _closed: Socket,
    is_mounted: bool,
}

impl Site {
    pub fn new() -> Self {
        Self::with("pass-rights-only", 16)
    }

    /// With its own `[store] on-failure`, and so many accounts in memory.
    pub fn with(on_failure: &str, accounts: usize) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // Short, since the path of a unix socket is.
        let folder = PathBuf::from(format!("/tmp/gatepost-crash-{}-{number}", std::process::id()));
        fs::create_dir_all(folder.join("store")).expect("a new folder");
        let closed = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let any: std::net::SocketAddr = "127.0.0.1:0".parse().expect("an address");
        closed.bind(&any.into()).expect("a free port");
        let port = closed.local_addr().expect("bound").as_socket().expect("inet").port();
        let tests = Test::ALL.iter().filter(|test| **test != THIEF);
        let off: String = tests.map(|test| format!("{} = 'off'\n", test.as_str())).collect();
        let text = format!(
            "[log]\ndecisions = 'none'\n[[listen]]\nprotocol = 'policy'\nsocket = 'unix:policy.sock'\n\
             facing = 'submission'\nmode = 'enforce'\n[control]\nsocket = 'control.sock'\n\
             [http]\nlisten = 'off'\n[domains]\nlocal = ['example.org']\n\
             [store]\ntype = 'embedded'\npath = 'store/store.redb'\naccounts = {accounts}\non-failure = '{on_failure}'\n\
             hash-key-file = 'hash.key'\n\
             [[action]]\nname = 'pager'\ntype = 'webhook'\nurl = 'http://127.0.0.1:{port}/'\n\
             secret-file = 'hook.secret'\n[detector]\nmode = 'enforce'\n[detector.tests]\n{off}"
        );
        fs::write(folder.join("gatepost.toml"), text).expect("written");
        fs::write(folder.join("hook.secret"), "a secret of more than 24 bytes").expect("written");
        Self { folder, _closed: closed, is_mounted: false }
    }

    /// With the store in a file system of its own.
    pub fn on_tmpfs(on_failure: &str, options: &str) -> Self {
        let mut site = Self::with(on_failure, 100_000);
        site.mount(&["-t", "tmpfs", "-o", options, "tmpfs"]);
        site.is_mounted = true;
        site
    }

    pub fn remount(&self, options: &str) {
        self.mount(&["-o", options]);
    }

    fn mount(&self, arguments: &[&str]) {
        let told = Command::new("mount").args(arguments).arg(self.path("store")).output();
        let told = told.expect("mount(8) is there");
        let why = String::from_utf8_lossy(&told.stderr);
        assert!(told.status.success(), "mount needs root, in a container CAP_SYS_ADMIN: {why}");
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn store(&self) -> PathBuf {
        self.path("store/store.redb")
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
        command.arg("run").arg("-c").arg(self.path("gatepost.toml"));
        command
    }

    /// Begins to start.
    pub fn begin(&self) -> Process {
        Process::start("gatepost", &mut self.command(), self.path("log"))
    }

    /// Until it listens.
    pub fn start(&self) -> Process {
        let mut daemon = self.begin();
        daemon.wait_for_log("ready");
        daemon
    }

    /// Of a daemon that does not start: what it says.
    pub fn refusal(&self) -> String {
        self.refusal_of(&mut self.command())
    }

    pub fn refusal_of(&self, command: &mut Command) -> String {
        let mut daemon = Process::start("gatepost", command, self.path("log"));
        let status = daemon.wait_for_end(DEADLINE);
        assert_eq!(status.code(), Some(3), "{}", daemon.written());
        let told = daemon.written();
        assert!(!told.contains("a new store is begun"), "{told}");
        told
    }

    pub fn open(&self) -> Embedded {
        let digits = fs::read_to_string(self.path("hash.key")).expect("a key");
        let key = u128::from_str_radix(digits.trim(), 16).expect("hexadecimal");
        let settings = Settings {
            path: self.store(),
            key: HashKey::new(key.to_be_bytes()),
            accounts: NonZeroUsize::MIN,
            keep_days: 400,
            clock: Timestamp::default,
            on_commit: Box::new(|_| ()),
        };
        Embedded::open(settings).expect("opened")
    }
}

pub fn kill(mut daemon: Process) {
    daemon.signal(rustix::process::Signal::KILL);
    daemon.wait_for_end(DEADLINE);
}

pub fn stop(mut daemon: Process) -> (ExitStatus, String) {
    daemon.signal(rustix::process::Signal::TERM);
    let status = daemon.wait_for_end(DEADLINE);
    (status, daemon.written())
}

impl Drop for Site {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", read(&self.path("log")));
        }
        let _ = fs::set_permissions(self.path("store"), fs::Permissions::from_mode(0o755));
        if self.is_mounted {
            let _ = Command::new("umount").arg("-l").arg(self.path("store")).status();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}
