//! The laboratory: Postfix, Dovecot, two sinks and gatepost in one throw-away folder on free
//! loopback ports. What was started ends with it, also when a test panics or is interrupted.

use crate::certificates;
use crate::door::{Door, Port};
use crate::dovecot::Dovecot;
use crate::folder::Folder;
use crate::gatepost::{Gatepost, configuration};
use crate::ports::free_ports;
use crate::postfix::{self, Postfix};
use crate::process::{read, until};
use crate::sink::{Protocol, Sink};
use crate::smtp::Session;
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};

/// Fields drop in this order: who asks ends before who answers.
pub struct Lab {
    pub postfix: Postfix,
    dovecot: Dovecot,
    pub gatepost: Gatepost,
    /// Next hop for local mail, by LMTP.
    pub local: Sink,
    /// Next hop for everything else, by SMTP.
    pub external: Sink,
    pub ports: Ports,
    pub folder: Folder,
}

/// The SMTP services of the lab's Postfix, and the listeners of its gatepost at the lab's door.
pub struct Ports {
    /// SMTP for the world, no SASL: asks `ask_internet`.
    pub mx: Port,
    /// Submission in a chroot: asks the unix socket.
    pub submission: Port,
    /// Submission where only an OK lets a mail out: asks `ask_granting`. By policy delegation alone.
    pub granting: Port,
    /// Submission with the snippet for observing: asks `ask_observing`.
    pub observing: Port,
    /// Submission with smtpd_delay_reject=no and every list: asks `ask_submission`.
    pub undelayed: Port,
    pub ask_internet: u16,
    pub ask_submission: u16,
    pub ask_granting: u16,
    pub ask_observing: u16,
    pub http: u16,
}

/// What Postfix and gatepost are started with.
pub struct Wiring {
    pub main_cf: String,
    /// The SMTP services of master.cf.
    pub services: String,
    pub gatepost: String,
    /// The listening socket of gatepost's `systemd:milter`.
    pub handed: Option<OwnedFd>,
}

/// The laboratory that tests share; it ends with the last of them.
pub struct Shared {
    labs: Arc<Labs>,
    door: Door,
}

#[derive(Default)]
struct Labs {
    policy: OnceLock<Lab>,
    milter: OnceLock<Lab>,
}

impl Lab {
    /// For tests that disturb gatepost.
    pub fn start(door: Door) -> Lab {
        Lab::start_wired(door, |folder, ports, main_cf| Wiring::of(door, folder, ports, main_cf))
    }

    /// With another wiring, made from the folder, the ports and the lab's main.cf.
    pub fn start_wired(door: Door, wiring: impl FnOnce(&Path, &Ports, String) -> Wiring) -> Lab {
        assert!(
            rustix::process::geteuid().is_root(),
            "the live suite needs root: Postfix starts as root"
        );
        let folder = Folder::make();
        let ports = Ports::free(door);
        certificates::make(&folder.path);
        let (local, external) = (Sink::open(Protocol::Lmtp), Sink::open(Protocol::Smtp));
        let main_cf = postfix::main_cf(&folder.path, local.port(), external.port());
        let wiring = wiring(&folder.path, &ports, main_cf);
        let postfix = Postfix::start(&folder.path, &wiring.main_cf, &wiring.services);
        let dovecot = Dovecot::start(&folder.path);
        let gatepost = Gatepost::start_handed(&folder.path, &wiring.gatepost, wiring.handed);
        Lab { postfix, dovecot, gatepost, local, external, ports, folder }
    }

    /// One laboratory for all tests that only ask at this door. Those of both doors end together, since
    /// the tests of one file alternate.
    pub fn shared(door: Door) -> Shared {
        static SHARED: Mutex<Weak<Labs>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().expect("nothing panics that holds it");
        let labs = shared.upgrade().unwrap_or_default();
        *shared = Arc::downgrade(&labs);
        Shared { labs, door }
    }

    /// A session of a user who has logged in at the submission service.
    pub fn submission(&self, login: &str) -> Session {
        Session::open(self.ports.submission).login(login)
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
        until("the queue of Postfix is empty", || self.postfix.queue_is_empty().then_some(()));
    }
}

impl Wiring {
    /// The lab's own.
    pub fn of(door: Door, folder: &Path, ports: &Ports, main_cf: String) -> Wiring {
        let (main_cf, services) = match door {
            Door::Policy => (main_cf, postfix::policy_services(folder, ports)),
            Door::Milter => (main_cf + &postfix::milter_main_cf(), postfix::milter_services(ports)),
        };
        Wiring { main_cf, services, gatepost: configuration(door, folder, ports), handed: None }
    }
}

impl Deref for Shared {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        let lab = match self.door {
            Door::Policy => &self.labs.policy,
            Door::Milter => &self.labs.milter,
        };
        lab.get_or_init(|| Lab::start(self.door))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for file in [&self.postfix.log, &self.dovecot.log, &self.gatepost.log()] {
                let all = read(file);
                let tail: Vec<&str> = all.lines().rev().take(40).collect();
                eprintln!("--- the end of {}", file.display());
                tail.iter().rev().for_each(|line| eprintln!("{line}"));
            }
        }
    }
}

impl Ports {
    fn free(door: Door) -> Ports {
        let [mx, submission, granting, observing, undelayed] =
            free_ports().map(|number| Port { number, door });
        let [ask_internet, ask_submission, ask_granting, ask_observing, http] = free_ports();
        Ports {
            mx,
            submission,
            granting,
            observing,
            undelayed,
            ask_internet,
            ask_submission,
            ask_granting,
            ask_observing,
            http,
        }
    }
}

/// A word that no other mail of this run has.
pub fn marker(name: &str) -> String {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    format!("{name}-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::SeqCst))
}
