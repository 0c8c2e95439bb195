//! A private Sendmail (8.17 and newer) with SASL by sasldb in namespaces of its own, and the tests
//! of gatepost as its milter.

mod configuration;
pub mod lab;
mod syslog;

mod clients;
mod content;
mod logins;
mod observing;
mod outage;
mod quarantine;
mod routing;
mod senders;
mod sessions;
mod shipped;
pub mod stolen;
mod suspension;
mod tls;
mod transport;
mod unfiltered;

use crate::door::Door;
use crate::dovecot::{LOGINS, password};
use crate::folder::{make_folder, note_pid};
use crate::process::{Process, output, program, read};
use crate::smtp::Session;
use std::fs::{self, Permissions};
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use syslog::Syslog;

/// A login with all that Sendmail writes in xtext.
pub const ODD: &str = "d+d=e ü";

/// Fields drop in this order: the log outlives who writes it.
pub struct Sendmail {
    process: Process,
    _syslog: Syslog,
    program: PathBuf,
    cf: PathBuf,
    queue: PathBuf,
    pub log: PathBuf,
}

/// The ports of its services and of the two next hops.
pub struct Ports {
    /// SMTP for the world, no SASL; also on ::1.
    pub mx: u16,
    /// Submission where Sendmail itself does not insist on a login.
    pub optional: u16,
    /// Submission with SASL or not at all.
    pub submission: u16,
    /// Next hop for local mail, by LMTP.
    pub local: u16,
    /// Next hop for everything else, by SMTP.
    pub external: u16,
}

impl Sendmail {
    /// With these INPUT_MAIL_FILTER lines: `mx` and `submission` name the filters of the services.
    /// The folder has the certificates.
    pub fn start(folder: &Path, ports: &Ports, filters: &str) -> Sendmail {
        let sendmail = unpacked("usr/libexec/sendmail/sendmail");
        let home = folder.join("sendmail");
        let (devices, queue, log) = (home.join("dev"), home.join("queue"), home.join("mail.log"));
        for part in [&home, &devices, &queue] {
            make_folder(part);
        }
        fs::set_permissions(&queue, Permissions::from_mode(0o700)).expect("an own folder");
        for node in NODES {
            fs::write(devices.join(node), "").expect("a file can be written");
        }
        for (name, text) in configuration::files(&home) {
            fs::write(home.join(name), text).expect("a file can be written");
        }
        make_map(&home.join("access"));
        make_logins(&home.join("sasldb"));
        fs::write(home.join("sendmail.mc"), configuration::mc(folder, ports, filters))
            .expect("a file can be written");
        let text = output(Command::new(program("m4", "m4")).arg(home.join("sendmail.mc")));
        let cf = home.join("sendmail.cf");
        fs::write(&cf, text).expect("a file can be written");

        let syslog = Syslog::open(&devices.join("log"), &log);
        let mut command = Command::new(program("unshare", "util-linux"));
        command.args(["--mount", "--uts", "--pid", "--fork", "--kill-child"]);
        command.args(["/bin/sh", "-c", ENTER, "enter"]);
        command.args([&home, &sendmail]).args(NODES);
        let mut process = Process::start("sendmail", &mut command, home.join("output.log"));
        note_pid(folder, "sendmail", process.pid());
        // Its ports are opened in the order of sendmail.mc.
        process
            .wait_until("listens", || TcpStream::connect(("127.0.0.1", ports.submission)).is_ok());
        Sendmail { process, _syslog: syslog, program: sendmail, cf, queue, log }
    }

    /// A session of `sendmail -bs`, which a program of this machine may run to hand in mail.
    pub fn local_session(&self) -> Session {
        let mut session = Session::over(self.command().arg("-bs"), Door::Milter);
        session.banner();
        session.ehlo();
        session
    }

    /// What `mailq -qQ` prints.
    pub fn quarantined(&self) -> String {
        output(self.command().args(["-bp", "-qQ"]))
    }

    /// The tables of a queue helper, which enters its namespaces.
    pub fn helped(&self, folder: &Path) -> String {
        let script = folder.join("sendmail-inside");
        let command = self.command();
        let words: Vec<_> = std::iter::once(command.get_program())
            .chain(command.get_args())
            .map(|word| word.to_str().expect("an own path"))
            .filter(|word| *word != "-C" && !word.ends_with(".cf"))
            .collect();
        let text = format!("#!/bin/sh\nexec {} \"$@\"\n", words.join(" "));
        fs::write(&script, text).expect("a file can be written");
        fs::set_permissions(&script, Permissions::from_mode(0o755)).expect("an own file");
        format!(
            "[sendmail]\nconfig-file = \"{}\"\nsendmail = \"{}\"\nqueue-directories = [\"{}\"]\n",
            self.cf.display(),
            script.display(),
            self.queue.display()
        )
    }

    /// Tries everything in the queue, and waits until it is done.
    pub fn run_queue(&self) {
        output(self.command().arg("-q"));
    }

    /// Puts a message into the queue that nobody tries to deliver; its queue id.
    pub fn queue_mail(&self) -> String {
        let before = self.queued("qf");
        let mut command = self.command();
        command.args(["-Am", "-odq", "-f", "alice@local.test", "friend@far.test"]);
        output(&mut command);
        let new = self.queued("qf").into_iter().find(|path| !before.contains(path));
        let name = new.expect("one more").file_name().expect("a name").to_owned();
        name.to_str().expect("ASCII")[2..].to_owned()
    }

    /// sendmail(8) in the namespaces of the running one.
    fn command(&self) -> Command {
        let pid = self.process.pid();
        let children = read(Path::new(&format!("/proc/{pid}/task/{pid}/children")));
        let mut command = Command::new(program("nsenter", "util-linux"));
        command.args(["--target", children.trim(), "--mount", "--uts", "--pid"]);
        command.args(["env", "-i", "PATH=/usr/bin:/bin"]).arg(&self.program);
        command.arg("-C").arg(&self.cf);
        command
    }

    pub fn queue_is_empty(&self) -> bool {
        self.queued("").is_empty()
    }

    /// The names in the queue folder that begin so: `qf` is an envelope, `hf` a quarantined one, `df`
    /// a content (sendmail/queue.c).
    pub fn queued(&self, begin: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.queue).into_iter().flatten().flatten();
        let is_it = |entry: &fs::DirEntry| {
            entry.file_name().as_encoded_bytes().starts_with(begin.as_bytes())
        };
        entries.filter(is_it).map(|entry| entry.path()).collect()
    }
}

/// What Sendmail needs of /dev, besides the log.
const NODES: [&str; 4] = ["null", "zero", "random", "urandom"];

/// In its namespaces: a /dev whose `log` is the lab's, names by files alone, and a host name with a
/// dot (else Sendmail waits a minute for one at its start); nscd would answer by other files. Its
/// children end with its pid namespace.
const ENTER: &str = r#"
set -e
home=$1 sendmail=$2
shift 2
for node; do mount --bind "/dev/$node" "$home/dev/$node"; done
mount --rbind "$home/dev" /dev
mount --bind "$home/hosts" /etc/hosts
mount --bind "$home/nsswitch.conf" /etc/nsswitch.conf
[ ! -d /run/nscd ] || mount -t tmpfs none /run/nscd
hostname mx.local.test
exec env -i PATH=/usr/bin:/bin "$sendmail" -C "$home/sendmail.cf" -bD
"#;

/// A file of Sendmail's Debian packages, which conflict with Postfix's.
fn unpacked(file: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/sendmail/root").join(file);
    assert!(
        path.exists(),
        "{} is missing: tests/run.sh unpacks the Debian packages sendmail-bin, sendmail-base and \
         sendmail-cf there",
        path.display()
    );
    path
}

fn make_map(text: &Path) {
    let mut command = Command::new(unpacked("usr/libexec/sendmail/makemap"));
    // Without a sendmail.cf there is no trusted user to look up.
    command.args(["-C", "/dev/null", "hash"]).arg(text);
    command.stdin(fs::File::open(text).expect("an own file can be opened"));
    let done = command.output().unwrap_or_else(|error| panic!("makemap does not run: {error}"));
    assert!(done.status.success(), "makemap: {done:?}");
}

fn make_logins(database: &Path) {
    let mut folders = fs::read_dir("/usr/lib").expect("a Debian").flatten();
    assert!(
        folders.any(|folder| folder.path().join("sasl2/libplain.so").exists()),
        "SASL PLAIN is missing: install the Debian package libsasl2-modules"
    );
    for login in LOGINS.into_iter().chain([ODD]) {
        let mut command = Command::new(program("saslpasswd2", "sasl2-bin"));
        command.args(["-p", "-c", "-u", configuration::REALM, "-f"]).arg(database).arg(login);
        let mut child = command.stdin(Stdio::piped()).spawn().expect("saslpasswd2 starts");
        let mut pipe = child.stdin.take().expect("a pipe was asked for");
        pipe.write_all(password(login).as_bytes()).expect("saslpasswd2 takes a password");
        drop(pipe);
        let status = child.wait().expect("an own child can be waited for");
        assert!(status.success(), "saslpasswd2 {login}: {status}");
    }
    // Sendmail offers no AUTH when others may read it (sendmail/srvrsmtp.c, safesaslfile).
    fs::set_permissions(database, Permissions::from_mode(0o600)).expect("an own file");
}
