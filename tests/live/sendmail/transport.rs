//! TCP in the place of a unix socket: the same judgement, and no command that waits for an
//! acknowledgement. Sendmail writes macros and command apart and leaves Nagle's algorithm on, so that
//! the second waits until the first is acknowledged, which Linux puts off for 40 ms (tcp(7),
//! TCP_QUICKACK).

use super::lab::{ENFORCING, Lab, Socket, Wiring};
use crate::lab::marker;
use crate::process::within;
use std::thread;
use std::time::Duration;

const RECIPIENTS: u32 = 100;
/// Half of what the recipients would cost; together they take 50 ms.
const LIMIT: Duration = Duration::from_millis(RECIPIENTS as u64 * 40 / 2);

#[test]
fn over_tcp_no_recipient_waits_for_an_acknowledgement() {
    let lab = Lab::start(&Wiring { socket: Socket::Inet, ..ENFORCING });
    let marker = marker("quick");
    let mut alice = lab.submission("alice");
    let mut bob = lab.submission("bob");
    alice.mail("alice@local.test").assert_ok();
    thread::scope(|scope| {
        let envelope = scope.spawn(|| {
            for number in 0..RECIPIENTS {
                alice.rcpt(&format!("friend{number}@far.test")).assert_ok();
            }
        });
        within(LIMIT, || envelope.is_finished().then_some(())).expect("no recipient waits");
    });
    alice.data(&marker).assert_ok();
    assert_eq!(lab.external.wait_for(&marker).recipients.len(), RECIPIENTS as usize);
    bob.send("bob@local.test", "friend@far.test", &marker).assert_refused(
        550,
        "5.7.1",
        "bob has no relay right: mail to far.test is not allowed",
    );
}
