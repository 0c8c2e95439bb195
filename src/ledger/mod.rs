//! Counts what an account sent. It counts, it never judges.

use crate::mail::Timestamp;

/// One accepted message, named so that a repeated question charges it once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Hash of MTA, instance and queue id; never of the node, so that two nodes agree.
    pub message: u64,
    pub recipients: u32,
}

/// What one account sent.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Usage {
    pub messages: u64,
    pub recipients: u64,
    /// `None`: nothing was charged yet.
    pub last: Option<Timestamp>,
    charged: [Option<u64>; REMEMBERED],
    next: usize,
}

/// Postfix repeats a request after a broken connection (smtpd_policy_service_try_limit 2), and one
/// smtpd has one message under way; 16 leave room for as many parallel sessions of one account.
const REMEMBERED: usize = 16;

impl Usage {
    /// Adds the charge; `false` when this message was charged before, and nothing changed.
    pub fn charge(&mut self, charge: Charge, at: Timestamp) -> bool {
        if self.charged.contains(&Some(charge.message)) {
            return false;
        }
        self.charged[self.next] = Some(charge.message);
        self.next = (self.next + 1) % REMEMBERED;
        self.messages += 1;
        self.recipients += u64::from(charge.recipients);
        self.last = self.last.max(Some(at));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charged(messages: impl IntoIterator<Item = u64>) -> Usage {
        let mut usage = Usage::default();
        for message in messages {
            usage.charge(Charge { message, recipients: 2 }, Timestamp::from_unix_ms(7));
        }
        usage
    }

    #[test]
    fn a_message_is_charged_once() {
        let usage = charged([1, 2, 1, 2, 2]);
        assert_eq!((usage.messages, usage.recipients), (2, 4));
    }

    #[test]
    fn the_last_sixteen_messages_are_remembered() {
        let sixteen = REMEMBERED as u64;
        assert_eq!(charged((0..sixteen).chain([0])).messages, sixteen);
        assert_eq!(charged((0..=sixteen).chain([0])).messages, sixteen + 2);
    }
}
