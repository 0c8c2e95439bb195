//! Sessions of the thief's login that were open before him.

use crate::lab::marker;
use crate::sink::Sink;
use crate::smtp::{END_OF_MESSAGE, Session};
use crate::stolen::{Told, assert_is_suspended};

/// One has said nothing yet, one is before RCPT, one before DATA, one before the end of its message.
pub struct Open {
    sessions: [Session; 4],
}

impl Open {
    #[track_caller]
    pub fn at_each_question(login: impl Fn() -> Session) -> Open {
        let mut sessions = [(); 4].map(|()| login());
        for session in &mut sessions[1..] {
            session.mail("alice@local.test").assert_ok();
        }
        for session in &mut sessions[2..] {
            session.rcpt("friend@far.test").assert_ok();
        }
        assert_eq!(sessions[3].command("DATA").code, 354);
        Open { sessions }
    }

    #[track_caller]
    pub fn are_stopped_at_their_next_question(&mut self, told: &Told) {
        let [idle, begun, addressed, written] = &mut self.sessions;
        let refused = idle.send("alice@local.test", "friend@far.test", "none");
        assert_is_suspended(&refused, told);
        assert_is_suspended(&begun.rcpt("friend@far.test"), told);
        assert_is_suspended(&addressed.data("none"), told);
        written.write("Subject: none\r\n\r\nNone.\r\n.\r\n");
        assert_is_suspended(&written.reply_to(END_OF_MESSAGE), told);
    }

    /// Now that their owner may, they send at once: two messages, since on probation a fourth one would be held.
    #[track_caller]
    pub fn go_on(&mut self, external: &Sink) {
        for session in &mut self.sessions {
            session.rset().assert_ok();
        }
        let [idle, .., written] = &mut self.sessions;
        for session in [idle, written] {
            let marker = marker("owner");
            session.send("alice@local.test", "friend@far.test", &marker).assert_ok();
            external.wait_for(&marker);
        }
    }
}
