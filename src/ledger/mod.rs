//! Counts what an account sent. It counts, it never judges.

use crate::mail::Timestamp;

/// One accepted message, named so that a repeated question charges it once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Hash of MTA, instance and queue id; never of the node, so that two nodes agree.
    pub message: u64,
    /// Where a message is charged recipient by recipient: hash of this one with its message.
    pub recipient: Option<u64>,
    pub recipients: u32,
}

/// What one account sent.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Usage {
    pub messages: u64,
    pub recipients: u64,
    /// `None`: nothing was charged yet.
    pub last: Option<Timestamp>,
    charged: Remembered<MESSAGES>,
    /// Only where messages are charged recipient by recipient.
    charged_recipients: Option<Box<Remembered<RECIPIENTS>>>,
}

/// Postfix repeats a request after a broken connection (smtpd_policy_service_try_limit 2), and one
/// smtpd has one message under way; 16 leave room for as many parallel sessions of one account.
const MESSAGES: usize = 16;

/// A repeated RCPT follows its first within seconds.
const RECIPIENTS: usize = 64;

/// The last `N` keys.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Remembered<const N: usize> {
    keys: [u64; N],
    /// How many were ever written; the oldest are overwritten.
    written: usize,
}

impl<const N: usize> Default for Remembered<N> {
    fn default() -> Self {
        Self { keys: [0; N], written: 0 }
    }
}

impl<const N: usize> Remembered<N> {
    /// `false` when the key was there already.
    fn insert(&mut self, key: u64) -> bool {
        if self.keys[..self.written.min(N)].contains(&key) {
            return false;
        }
        self.keys[self.written % N] = key;
        self.written += 1;
        true
    }
}

impl Usage {
    /// Adds the charge; `false` when it was made before, and nothing changed.
    pub fn charge(&mut self, charge: Charge, at: Timestamp) -> bool {
        if let Some(recipient) = charge.recipient
            && !self.charged_recipients.get_or_insert_default().insert(recipient)
        {
            return false;
        }
        let is_new = self.charged.insert(charge.message);
        if !is_new && charge.recipient.is_none() {
            return false;
        }
        self.messages += u64::from(is_new);
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
            usage.charge(
                Charge { message, recipient: None, recipients: 2 },
                Timestamp::from_unix_ms(7),
            );
        }
        usage
    }

    #[test]
    fn a_message_is_charged_once() {
        let usage = charged([1, 2, 1, 2, 2]);
        assert_eq!((usage.messages, usage.recipients), (2, 4));
    }

    #[test]
    fn a_message_charged_by_recipient_is_one_message() {
        let mut usage = Usage::default();
        for recipient in [1, 2, 2, 3] {
            let charge = Charge { message: 9, recipient: Some(recipient), recipients: 1 };
            usage.charge(charge, Timestamp::from_unix_ms(7));
        }
        assert_eq!((usage.messages, usage.recipients), (1, 3));
    }

    #[test]
    fn the_last_sixteen_messages_are_remembered() {
        let sixteen = MESSAGES as u64;
        assert_eq!(charged((0..sixteen).chain([0])).messages, sixteen);
        assert_eq!(charged((0..=sixteen).chain([0])).messages, sixteen + 2);
    }
}
