//! Rights that end between RCPT and the end of the message, where the whole is judged again: what is
//! refused for good then is refused, or held in the queue of Postfix until postsuper(1) lets it go.

use crate::door::Door;
use crate::gatepost::edited;
use crate::lab::{Lab, Wiring, marker};
use crate::process::{output, program, read};
use crate::smtp::{END_OF_MESSAGE, Session};
use std::fs;
use std::process::Command;

#[test]
fn a_right_that_ends_before_the_message_does_holds_or_refuses_it() {
    let mut lab = lab();
    let [held, refused, deferred] = ["held", "refused", "deferred"].map(marker);
    // One listener holds, the other refuses.
    let mut bob = begun(lab.submission("bob"), "bob", &held);
    let mut alice = begun(lab.submission("alice"), "alice", &deferred);
    let undelayed = Session::open(lab.ports.undelayed).login("bob");
    let mut bob_refused = begun(undelayed, "bob", &refused);

    let people = fs::read_to_string(lab.gatepost.people()).expect("a file can be read");
    let people = edited(&people, "\"alice\", \"bob\", \"carol\"", "\"alice\", \"carol\"");
    let people = edited(&people, "login = \"alice\"", "login = \"alice\"\nstate = \"locked\"");
    fs::write(lab.gatepost.people(), people).expect("a file can be written");
    lab.gatepost.wait_for_log("directory file reloaded");

    let reply = bob_refused.data(&refused);
    reply.assert_refused(550, "5.7.1", "bob has no submit right");
    assert_eq!(reply.to, END_OF_MESSAGE);
    // What is refused for now is held nowhere.
    let reply = alice.data(&deferred);
    let locked = "The account alice is locked for now, try again later";
    reply.assert_refused(450, "4.7.13", locked);
    assert_eq!(reply.to, END_OF_MESSAGE);

    bob.data(&held).assert_ok();
    let decided = lab.gatepost.end_of_message(&recipient(&held));
    assert_eq!((decided.field("action"), decided.field("reason")), ("hold", "submit-missing"));
    let in_hold = lab.postfix.held();
    let [mail] = &in_hold[..] else { panic!("one mail is held: {in_hold:?}") };
    assert!(read(mail).contains(&held), "{}", read(mail));
    assert!(lab.local.with(&held).is_empty());

    // The next one is refused at its beginning.
    bob.mail("bob@local.test").assert_sender_refused(550, "5.7.1", "bob has no submit right");
    let postfix = |name, arguments: [&str; 2]| {
        let mut command = Command::new(program(name, "postfix"));
        command.arg("-c").arg(lab.folder.path.join("conf")).args(arguments);
        output(&mut command)
    };
    let id = mail.file_name().expect("a file has a name").to_str().expect("an id is ASCII");
    postfix("postsuper", ["-H", id]);
    postfix("postqueue", ["-i", id]);
    lab.local.wait_for(&held);
    lab.assert_absent(&refused);
    lab.assert_absent(&deferred);
}

/// The envelope has passed.
fn begun(mut session: Session, login: &str, marker: &str) -> Session {
    session.mail(&format!("{login}@local.test")).assert_ok();
    session.rcpt(&recipient(marker)).assert_ok();
    session
}

fn recipient(marker: &str) -> String {
    format!("{marker}@local.test")
}

/// One that holds where it is asked by its unix socket.
fn lab() -> Lab {
    Lab::start_wired(Door::Milter, |folder, ports, main_cf| {
        let mut wiring = Wiring::of(Door::Milter, folder, ports, main_cf);
        let keys = "socket-mode = \"0660\"\nat-end-of-message = \"quarantine\"";
        wiring.gatepost = edited(&wiring.gatepost, "socket-mode = \"0660\"", keys);
        wiring
    })
}
