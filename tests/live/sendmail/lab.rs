//! The laboratory with Sendmail and its SASL in the place of Postfix and Dovecot.

use super::{Ports, Sendmail};
use crate::certificates::{self, LISTED};
use crate::door::{Door, Port};
use crate::folder::Folder;
use crate::gatepost::{Gatepost, configured};
use crate::ports::free_ports;
use crate::process::{read, until};
use crate::sink::{Protocol, Sink};
use crate::smtp::Session;
use std::path::Path;
use std::sync::{Arc, Mutex, Weak};

/// Fields drop in this order: who asks ends before who answers.
pub struct Lab {
    pub sendmail: Sendmail,
    pub gatepost: Gatepost,
    /// Next hop for local mail, by LMTP: knows a recipient by the local part.
    pub local: Sink,
    /// Next hop for everything else, by SMTP.
    pub external: Sink,
    pub ports: Ports,
    pub folder: Folder,
}

/// How Sendmail asks gatepost.
pub struct Wiring {
    pub socket: Socket,
    /// What follows the socket in INPUT_MAIL_FILTER; without it, Sendmail asks nobody.
    pub filter: Option<&'static str>,
    pub mode: &'static str,
    /// Further keys of both listeners.
    pub keys: &'static str,
}

#[derive(Clone, Copy)]
pub enum Socket {
    Unix,
    Inet,
}

/// `F=T`: no milter, no mail for now.
pub const ENFORCING: Wiring = Wiring {
    socket: Socket::Unix,
    filter: Some("F=T, T=C:10s;S:10s;R:10s;E:1m"),
    mode: "enforce",
    keys: "",
};

/// Without `F=`: no milter, no matter.
pub const OBSERVING: Wiring =
    Wiring { filter: Some("T=C:2s;S:2s;R:2s;E:10s"), mode: "observe", ..ENFORCING };

/// Clients that gatepost lists; Sendmail lets all of 127.0.0.0/8 out.
const NETWORKS: &str = r#""127.9.0.0/24", { net = "127.9.0.9/32", relay = "deny" }, "::1/128""#;

impl Lab {
    pub fn start(wiring: &Wiring) -> Lab {
        Lab::start_with(wiring, "")
    }

    /// With further tables of gatepost's configuration.
    pub fn start_with(wiring: &Wiring, tables: &str) -> Lab {
        assert!(
            rustix::process::geteuid().is_root(),
            "the live suite needs root: Sendmail starts as root"
        );
        let folder = Folder::make();
        certificates::make(&folder.path);
        let (local, external) = (Sink::open(Protocol::Lmtp), Sink::open(Protocol::Smtp));
        let [mx, optional, submission, http, milter_mx, milter_submission] = free_ports();
        let (local_port, external_port) = (local.port(), external.port());
        let ports = Ports { mx, optional, submission, local: local_port, external: external_port };
        let services =
            [("mx", "internet", milter_mx), ("submission", "submission", milter_submission)];
        let (mut listeners, mut filters) = (String::new(), String::new());
        for (name, facing, port) in services {
            let (listened, asked) = wiring.socket.addresses(&folder.path, name, port);
            listeners += &listener(&listened, facing, wiring);
            if let Some(filter) = wiring.filter {
                filters += &format!("INPUT_MAIL_FILTER(`{name}', `S={asked}, {filter}')\n");
            }
        }
        let listed = format!("\"{}\"", certificates::fingerprint(&folder.path, LISTED));
        let configuration = configured(&folder.path, http, &listeners, NETWORKS, &listed) + tables;
        let gatepost = Gatepost::start_with(&folder.path, &configuration);
        let sendmail = Sendmail::start(&folder.path, &ports, &filters);
        Lab { sendmail, gatepost, local, external, ports, folder }
    }

    /// One enforcing laboratory for all tests that only ask; it ends with the last of them.
    pub fn shared() -> Arc<Lab> {
        static SHARED: Mutex<Weak<Lab>> = Mutex::new(Weak::new());
        // A test that failed to start the lab poisons the lock and leaves the Weak as it was.
        let mut shared = SHARED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        shared.upgrade().unwrap_or_else(|| {
            let lab = Arc::new(Lab::start(&ENFORCING));
            *shared = Arc::downgrade(&lab);
            lab
        })
    }

    /// A session of a user who has logged in at the submission service.
    pub fn submission(&self, login: &str) -> Session {
        Session::open(self.login_port()).login(login)
    }

    /// The service for the world.
    pub fn mx(&self) -> Port {
        Port { number: self.ports.mx, door: Door::Milter }
    }

    /// Where a login may be had, and Sendmail insists on none.
    pub fn optional(&self) -> Port {
        Port { number: self.ports.optional, door: Door::Milter }
    }

    /// Where Sendmail insists on a login.
    pub fn login_port(&self) -> Port {
        Port { number: self.ports.submission, door: Door::Milter }
    }

    /// Waits until gatepost has logged a decision with all these words; it answers before it logs.
    #[track_caller]
    pub fn wait_for_decision(&self, words: &[&str]) {
        until(&format!("a decision with {words:?} is logged"), || {
            let log = read(&self.gatepost.log());
            let is_it =
                |line: &str| line.contains("decided") && words.iter().all(|w| line.contains(w));
            log.lines().any(is_it).then_some(())
        });
    }

    /// Nothing with this text arrived, and nothing is on its way: the queue is empty.
    #[track_caller]
    pub fn assert_absent(&self, text: &str) {
        self.settle();
        for sink in [&self.local, &self.external] {
            let arrived = sink.with(text);
            assert!(arrived.is_empty(), "{text} arrived: {arrived:?}");
        }
    }

    #[track_caller]
    pub fn settle(&self) {
        until("the queue of Sendmail is empty", || self.sendmail.queue_is_empty().then_some(()));
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for file in [&self.sendmail.log, &self.gatepost.log()] {
                let all = read(file);
                let tail: Vec<&str> = all.lines().rev().take(40).collect();
                eprintln!("--- the end of {}", file.display());
                tail.iter().rev().for_each(|line| eprintln!("{line}"));
            }
        }
    }
}

impl Socket {
    /// In gatepost's words and in Sendmail's.
    fn addresses(self, folder: &Path, name: &str, port: u16) -> (String, String) {
        let path = folder.join(format!("{name}.sock"));
        match self {
            Socket::Unix => {
                (format!("unix:{}", path.display()), format!("local:{}", path.display()))
            }
            Socket::Inet => (format!("inet:127.0.0.1:{port}"), format!("inet:{port}@127.0.0.1")),
        }
    }
}

fn listener(socket: &str, facing: &str, wiring: &Wiring) -> String {
    let Wiring { mode, keys, .. } = wiring;
    format!(
        r#"
[[listen]]
protocol = "milter"
socket = "{socket}"
mta = "sm"
facing = "{facing}"
charge-at = "end-of-message"
mode = "{mode}"
answer-within = "8s"
{keys}
"#
    )
}
