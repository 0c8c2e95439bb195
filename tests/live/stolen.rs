//! A stolen login, by real SMTP: held from the thief's third message, suspended by the sixth, at the end of
//! the message by policy delegation and by milter, and where only RCPT is asked. What is expected rests on
//! the limits of `detector::tests`; a thief who is faster than one message a second is judged no milder.

use crate::door::{Door, at_both_doors};
use crate::gatepost::{Decision, Gatepost};
use crate::lab::{Lab, Ports, Wiring, marker};
use crate::process::{output, program, until};
use crate::reply::Reply;
use crate::sink::Sink;
use crate::smtp::Session;
use std::path::Path;
use std::process::Command;

/// The detector enforces; what is not set here observes.
pub const ENFORCING: &str = "[detector]\nmode = \"enforce\"\nhold = \"enforce\"\n";

/// The helper that `hold = "queue"` wants.
const QUEUE: &str = "[[queue]]\nmta = \"mx\"\ntype = \"postfix\"\nhelper = \"queue.sock\"\n";

at_both_doors! {
    a_thief_is_held_from_the_third_message_and_suspended_by_the_sixth
    messages_to_a_hundred_people_leak_nothing
    an_announcement_to_all_staff_suspends_nobody
    observed_he_is_told_of_and_nobody_is_hurt
}

fn a_thief_is_held_from_the_third_message_and_suspended_by_the_sixth(door: Door) {
    let lab = lab(door, ENFORCING);
    steal(&lab);
}

/// With the wiring of those who ask at RCPT alone.
#[test]
fn where_only_rcpt_is_asked_it_is_the_same_recipient_by_recipient() {
    let lab = rcpt_lab();
    steal(&lab);
}

fn messages_to_a_hundred_people_leak_nothing(door: Door) {
    let lab = lab(door, ENFORCING);
    hundreds(&lab);
}

#[test]
fn where_only_rcpt_is_asked_a_message_to_a_hundred_people_leaks_nothing() {
    let lab = rcpt_lab();
    hundreds(&lab);
}

fn an_announcement_to_all_staff_suspends_nobody(door: Door) {
    let lab = lab(door, ENFORCING);
    announce(&lab);
}

#[test]
fn where_only_rcpt_is_asked_an_announcement_to_all_staff_suspends_nobody() {
    let lab = rcpt_lab();
    announce(&lab);
}

fn observed_he_is_told_of_and_nobody_is_hurt(door: Door) {
    let lab = lab(door, "");
    live_quietly(
        &lab.gatepost,
        lab.ports.mx,
        || lab.submission("alice"),
        &lab.local,
        &lab.external,
    );
    let mut thief = lab.submission("alice");
    for message in 1..=8 {
        let marker = marker("observed");
        thief.send("alice@local.test", &format!("{marker}@far.test"), &marker).assert_ok();
        lab.external.wait_for(&marker);
        let decided = lab.gatepost.end_of_message(&format!("{marker}@far.test"));
        let expected: &[&str] = match message {
            1 | 2 => &[""],
            3 | 4 => &["suspected"],
            5 => &["suspected", "account-suspended"],
            _ => &["account-suspended"],
        };
        assert_eq!(decided.field("action"), "pass");
        assert!(expected.contains(&decided.field("observed")), "message {message}: {decided:?}");
    }
    assert!(lab.postfix.held().is_empty());
}

fn steal(lab: &Lab) {
    let alice = || lab.submission("alice");
    live_quietly(&lab.gatepost, lab.ports.mx, alice, &lab.local, &lab.external);
    let mut others = [alice(), alice()];
    let told = play(alice(), &lab.external);
    until("they lie in the queue", || (lab.postfix.held().len() == told.held).then_some(()));
    let mut postqueue = Command::new(program("postqueue", "postfix"));
    let listed = output(postqueue.arg("-c").arg(lab.folder.path.join("conf")).arg("-p"));
    assert_eq!(listed.matches("! ").count(), told.held, "{listed}");
    for session in &mut others {
        let refused = session.send("alice@local.test", "friend@far.test", "none");
        assert_is_suspended(&refused, &told);
        assert_eq!(refused.to, lab.ports.submission.door.sender_refused_at());
    }
    assert_explained(&lab.gatepost, &told);
}

/// What became of a thief.
pub struct Told {
    /// The suspension's, which every refusal bears.
    pub id: String,
    /// Of all his messages, in their order.
    pub markers: Vec<String>,
    /// So many of his messages lie in the queue.
    pub held: usize,
}

/// A login with a contact: he has written to it, and was answered. So nobody is new to it.
#[track_caller]
pub fn live_quietly(
    gatepost: &Gatepost,
    mx: crate::door::Port,
    login: impl Fn() -> Session,
    local: &Sink,
    external: &Sink,
) {
    let marker_of_friend = marker("friend");
    Session::open(mx).send("friend@far.test", "alice@local.test", &marker_of_friend).assert_ok();
    local.wait_for(&marker_of_friend);
    until("the friend is known", || knows_somebody(gatepost, "alice").then_some(()));
    for _ in 0..2 {
        let marker = marker("quiet");
        login().send("alice@local.test", "friend@far.test", &marker).assert_ok();
        external.wait_for(&marker);
    }
}

/// Whether somebody is no stranger to the login; marks come some time after the answer.
fn knows_somebody(gatepost: &Gatepost, login: &str) -> bool {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
    let control = gatepost.people().with_file_name("control.sock");
    command.args(["accounts", "show", login, "--output", "json", "--control"]).arg(control);
    let done = command.output().expect("gatepost runs");
    let shown: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap_or_default();
    shown["contacts"].as_u64().is_some_and(|contacts| contacts > 0)
}

/// A thief writes to people new to the login, one by one: two messages go out, the next are held, and the sixth
/// at the latest is refused with the suspension it brings. Nothing of it but the first two arrives.
#[track_caller]
pub fn play(mut thief: Session, external: &Sink) -> Told {
    let markers: Vec<String> = (0..6).map(|_| marker("stolen")).collect();
    let replies: Vec<Reply> = markers
        .iter()
        .map(|marker| thief.send("alice@local.test", &format!("{marker}@far.test"), marker))
        .collect();
    // The fifth, unless this machine needs seconds for a message: counters decay.
    let taken = replies.iter().take_while(|reply| reply.is_ok()).count();
    assert!([4, 5].contains(&taken), "{replies:?}");
    let id = id_of(&replies[taken]).to_owned();
    let told = Told { id, markers: markers.clone(), held: taken - 2 };
    replies[taken..].iter().for_each(|reply| assert_is_suspended(reply, &told));
    markers[..2].iter().for_each(|marker| {
        external.wait_for(marker);
    });
    for marker in &markers[2..] {
        assert!(external.with(marker).is_empty(), "{marker} arrived");
    }
    // That no further one is on its way, the caller sees in the queue.
    told
}

#[track_caller]
pub fn assert_is_suspended(reply: &Reply, told: &Told) {
    assert_eq!(reply.refusal(550, "5.7.13"), SUSPENDED, "{reply}");
    assert_eq!(id_of(reply), told.id, "{reply}");
}

const SUSPENDED: &str = "Sending is suspended for this account";

fn id_of(reply: &Reply) -> &str {
    let (_, rest) = reply.text.split_once('[').expect("an id in brackets");
    rest.split_once(']').expect("an id in brackets").0
}

#[track_caller]
pub fn assert_explained(gatepost: &Gatepost, told: &Told) {
    let seen = format!("alice wrote {} messages to somebody new within 2 minutes", told.held + 3);
    let text = explain(gatepost, &told.id);
    for words in [seen.as_str(), "usual for it are at most 1", "  first      20"] {
        assert!(text.contains(words), "{words:?} in:\n{text}");
    }
}

/// What `gatepost explain --id` prints of a refusal.
fn explain(gatepost: &Gatepost, id: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
    let control = gatepost.people().with_file_name("control.sock");
    command.args(["explain", "--id", id, "--control"]).arg(control);
    let done = command.output().expect("gatepost runs");
    // 1: it was refused.
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    String::from_utf8(done.stdout).expect("explain writes UTF-8")
}

/// Messages to a hundred people each, all new: held from the first, and suspended soon.
fn hundreds(lab: &Lab) {
    live_quietly(
        &lab.gatepost,
        lab.ports.mx,
        || lab.submission("alice"),
        &lab.local,
        &lab.external,
    );
    let mut thief = lab.submission("alice");
    let markers: Vec<String> = (0..6).map(|_| marker("hundred")).collect();
    let accepted: Vec<bool> =
        markers.iter().map(|marker| send_to(&mut thief, marker, 100).is_ok()).collect();
    assert!(accepted[0], "the first is held, not refused");
    assert!(!accepted[5], "the last is refused");
    // All that were taken lie in the queue.
    let taken = accepted.iter().filter(|accepted| **accepted).count();
    until("they lie in the queue", || (lab.postfix.held().len() == taken).then_some(()));
    for marker in &markers {
        assert!(lab.external.with(marker).is_empty(), "{marker} arrived");
    }
}

/// alice writes to all 300 of the company once, and goes on with her work.
fn announce(lab: &Lab) {
    live_quietly(
        &lab.gatepost,
        lab.ports.mx,
        || lab.submission("alice"),
        &lab.local,
        &lab.external,
    );
    let mut alice = lab.submission("alice");
    let [staff, after] = ["staff", "after"].map(marker);
    send_to(&mut alice, &staff, 300).assert_ok();
    // 300 are more than she ever wrote to at once.
    until("it lies in the queue", || (lab.postfix.held().len() == 1).then_some(()));
    let suspended = |decided: &Decision| {
        [decided.field("reason"), decided.field("observed")].contains(&"account-suspended")
    };
    alice.send("alice@local.test", "friend@far.test", &after).assert_ok();
    assert!(!lab.gatepost.decisions().iter().any(suspended));
}

/// One message to so many; the reply to its end, or the first refusal.
pub fn send_to(session: &mut Session, marker: &str, count: u32) -> Reply {
    let mut reply = session.mail("alice@local.test");
    for number in 0..count {
        if !reply.is_ok() {
            break;
        }
        reply = session.rcpt(&format!("{marker}-{number}@far.test"));
    }
    if reply.is_ok() {
        reply = session.data(marker);
    }
    session.rset().assert_ok();
    reply
}

/// A lab whose listeners all charge, and hold in the queue of Postfix.
pub fn lab(door: Door, detector: &str) -> Lab {
    lab_with(door, |_, _, configuration| configuration + detector)
}

/// With another end of its configuration, made from the folder and the ports.
pub fn lab_with(door: Door, more: impl FnOnce(&Path, &Ports, String) -> String) -> Lab {
    Lab::start_wired(door, |folder, ports, main_cf| {
        let mut wiring = Wiring::of(door, folder, ports, main_cf);
        let charged = charging(&wiring.gatepost, "end-of-message");
        wiring.gatepost = more(folder, ports, charged) + QUEUE;
        wiring
    })
}

fn charging(configuration: &str, at: &str) -> String {
    let keys = format!("mta = \"mx\"\nhold = \"queue\"\ncharge-at = \"{at}\"");
    configuration.replace("charge-at = \"never\"\n", "").replace("mta = \"mx\"", &keys)
}

/// Policy delegation, asked in no list but those of RCPT.
fn rcpt_lab() -> Lab {
    Lab::start_wired(Door::Policy, |folder: &Path, ports: &Ports, main_cf| {
        let mut wiring = Wiring::of(Door::Policy, folder, ports, main_cf);
        let is_final =
            |line: &&str| line.contains("smtpd_data_") || line.contains("smtpd_end_of_data_");
        let services: Vec<&str> = wiring.services.lines().filter(|line| !is_final(line)).collect();
        wiring.services = services.join("\n") + "\n";
        wiring.gatepost = charging(&wiring.gatepost, "rcpt") + ENFORCING + QUEUE;
        wiring
    })
}
