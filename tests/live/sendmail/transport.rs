//! TCP in the place of a unix socket: the same judgement. Sendmail writes macros and command apart and
//! leaves Nagle's algorithm on, so that the second waits until the first is acknowledged, which Linux
//! puts off for 40 ms unless told otherwise (tcp(7), TCP_QUICKACK); no test here measures that time.

use super::lab::{ENFORCING, Lab, Socket, Wiring};
use crate::lab::marker;

const RECIPIENTS: u32 = 100;

#[test]
fn over_tcp_a_hundred_recipients_are_judged_one_by_one() {
    let lab = Lab::start(&Wiring { socket: Socket::Inet, ..ENFORCING });
    let marker = marker("quick");
    let mut alice = lab.submission("alice");
    let mut bob = lab.submission("bob");
    alice.mail("alice@local.test").assert_ok();
    for number in 0..RECIPIENTS {
        alice.rcpt(&format!("friend{number}@far.test")).assert_ok();
    }
    alice.data(&marker).assert_ok();
    assert_eq!(lab.external.wait_for(&marker).recipients.len(), RECIPIENTS as usize);
    bob.send("bob@local.test", "friend@far.test", &marker).assert_refused(
        550,
        "5.7.1",
        "bob has no relay right: mail to far.test is not allowed",
    );
}
