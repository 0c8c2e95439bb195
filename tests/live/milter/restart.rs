//! gatepost restarted under load on a socket that outlives it, as systemd hands it over: who connects
//! between two runs waits.

use crate::door::{Door, Port};
use crate::gatepost::edited;
use crate::lab::{Lab, Wiring, marker};
use crate::process::{DEADLINE, Process, program, read, until};
use crate::smtp::Session;
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

const MESSAGES: usize = 600;
/// By each of the senders that try again.
const MESSAGES_AGAIN: usize = 60;
const SENDERS: usize = 4;
const OUTSIDE: &str = "friend@far.test";
const NOT_TRUSTED: &str =
    "Unable to relay for friend@far.test: not logged in and not in a relay network";

/// So many mails arrive between two restarts.
const BETWEEN_RESTARTS: usize = 40;

#[test]
fn a_restart_that_drains_costs_no_client_anything() {
    let mut lab = lab();
    let marker = marker("load");
    let mut source = Command::new(program("smtp-source", "postfix"));
    source.args(["-s", "8", "-m", &MESSAGES.to_string(), "-r", "2", "-N", "-l", "2000"]);
    source.args(["-f", "list@far.test", "-t", &format!("{marker}@local.test")]);
    source.arg(format!("127.0.0.1:{}", lab.ports.mx.number));
    let log = lab.folder.path.join("smtp-source.log");
    let mut source = Process::start("smtp-source", &mut source, log);

    let mx = lab.ports.mx;
    let stranger = || {
        let mut stranger = Session::open_as(mx, "ADDR=203.0.113.45");
        let reply = stranger.send("friend@far.test", OUTSIDE, "stranger");
        reply.assert_refused(550, "5.7.1", NOT_TRUSTED);
        stranger.quit();
        1
    };
    let (restarts, refused) = meanwhile(stranger, || {
        let mut restarts = 0;
        while wait_for_more(&lab, || source.ended().is_some()) {
            lab.gatepost.signal(Signal::TERM);
            assert_eq!(lab.gatepost.wait_for_end(DEADLINE).code(), Some(0));
            let log = read(&lab.gatepost.log());
            assert!(!log.contains("deadline"), "{log}");
            lab.gatepost.run();
            restarts += 1;
        }
        restarts
    });
    let ended = source.wait_for_end(DEADLINE);
    assert!(ended.success(), "{ended}: {}", source.written());
    assert!(restarts >= 5 && refused >= 20, "{restarts} restarts, {refused} refusals");

    lab.settle();
    let arrived = lab.local.with(&marker);
    assert_eq!(arrived.len(), MESSAGES);
    let recipients: Vec<_> = arrived.iter().flat_map(|mail| &mail.recipients).collect();
    let different: BTreeSet<_> = recipients.iter().collect();
    assert_eq!((recipients.len(), different.len()), (2 * MESSAGES, 2 * MESSAGES), "each once");
    assert_eq!(lab.external.count(), 0);
}

#[test]
fn a_restart_by_kill_loses_no_message_and_lets_none_slip() {
    let mut lab = lab();
    let (mx, unanswered) = (lab.ports.mx, AtomicUsize::new(0));
    let stranger = || {
        let reply = Session::open(mx).send("friend@far.test", OUTSIDE, "stranger");
        if reply.code == 550 {
            return 1;
        }
        reply.assert_unanswered();
        0
    };
    let send_all = || -> Vec<String> {
        (0..MESSAGES_AGAIN).map(|_| send_until_taken(mx, &unanswered)).collect()
    };
    let ((sent, kills), refused) = meanwhile(stranger, || {
        thread::scope(|scope| {
            let senders = [(); SENDERS].map(|()| scope.spawn(send_all));
            let are_done = || senders.iter().all(|sender| sender.is_finished());
            let mut kills = 0;
            while wait_for_more(&lab, are_done) {
                lab.gatepost.kill();
                lab.gatepost.run();
                kills += 1;
            }
            (senders.map(|sender| sender.join().expect("all is taken in the end")).concat(), kills)
        })
    });
    let unanswered = unanswered.into_inner();
    assert!(
        kills >= 3 && refused >= 20 && unanswered > 0,
        "{kills} kills, {refused} refusals, {unanswered} unanswered"
    );
    lab.settle();
    assert_eq!(lab.local.count(), sent.len());
    for marker in sent {
        assert_eq!(lab.local.with(&marker).len(), 1, "{marker} arrived once");
    }
    assert_eq!(lab.external.count(), 0);
}

/// Sends a message, in a new session after each 4xx; its marker.
fn send_until_taken(mx: Port, unanswered: &AtomicUsize) -> String {
    let marker = marker("again");
    until("the message is taken", || {
        let reply = Session::open(mx).send("list@far.test", "alice@local.test", &marker);
        if !reply.is_ok() {
            reply.assert_unanswered();
            unanswered.fetch_add(1, Ordering::SeqCst);
        }
        reply.is_ok().then_some(())
    });
    marker
}

/// Whether so much more has arrived before all was sent.
fn wait_for_more(lab: &Lab, mut is_done: impl FnMut() -> bool) -> bool {
    let before = lab.local.count();
    until("mail arrives, or all is sent", || {
        if is_done() {
            return Some(false);
        }
        (lab.local.count() >= before + BETWEEN_RESTARTS).then_some(true)
    })
}

/// What comes of `body`, and the sum of what `again` counts, done over and over meanwhile.
fn meanwhile<T>(again: impl Fn() -> usize + Sync, body: impl FnOnce() -> T) -> (T, usize) {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let counted = scope.spawn(|| {
            let mut sum = 0;
            while !is_over.load(Ordering::SeqCst) {
                sum += again();
            }
            sum
        });
        let over = Over(&is_over);
        let done = body();
        drop(over);
        (done, counted.join().expect("what is done meanwhile goes well"))
    })
}

/// Dropped, also by a panic, it says so.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// One whose `mx` asks at a socket of the test's.
fn lab() -> Lab {
    Lab::start_wired(Door::Milter, |folder, ports, main_cf| {
        let mut wiring = Wiring::of(Door::Milter, folder, ports, main_cf);
        let socket = format!("inet:127.0.0.1:{}", ports.ask_internet);
        wiring.gatepost = edited(&wiring.gatepost, &socket, "systemd:milter");
        let socket = TcpListener::bind(("127.0.0.1", ports.ask_internet)).expect("a free port");
        wiring.handed = Some(OwnedFd::from(socket));
        wiring
    })
}
