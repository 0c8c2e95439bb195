//! How much of the mail that was accepted a log tells.

use crate::mail::Timestamp;

/// Counted over messages the mail server accepted while the log went on; whoever reads them decides how few
/// whole ones are too few. A message that lacks several things is counted at each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Lines with a time, and those of them that Postfix or Sendmail wrote.
    pub lines: u64,
    pub mail_lines: u64,
    /// Hosts that mail lines came from.
    pub hosts: usize,
    /// The times of the first and the last line of a mail server.
    pub span: Option<(Timestamp, Timestamp)>,
    pub accepted: u64,
    /// Those of `accepted` of which the client, the login, the sender and a delivery for every recipient
    /// were seen.
    pub whole: u64,
    /// Nothing says who handed it in: lines are missing, or of other hosts.
    pub without_client: u64,
    /// There was a login, and its line is missing (of Sendmail; Postfix has it with the client).
    pub without_login: u64,
    pub without_sender: u64,
    /// Deliveries are missing, and the message has left the queue, or is five days old, or gave way
    /// to 200,000 later ones.
    pub without_recipients: u64,
    /// Deliveries are missing where the log ends.
    pub unfinished: u64,
    /// Not of `accepted`: what a content filter or another host of the log handed on, and forwarded mail.
    pub joined: u64,
    /// Not of `accepted`: bounces, other notices and probes of the mail server itself.
    pub internal: u64,
    /// Not of `accepted`: mail that was in the queue when the log began.
    pub earlier: u64,
    /// Not of `accepted`: the client went away, or all was refused.
    pub refused: u64,
}

impl Coverage {
    /// The share of whole messages, from 0 to 1; `None` without any.
    pub fn share(&self) -> Option<f64> {
        (self.accepted > 0).then(|| self.whole as f64 / self.accepted as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_of_accepted_messages() {
        assert_eq!(Coverage::default().share(), None);
        assert_eq!(Coverage { accepted: 20, whole: 19, ..Coverage::default() }.share(), Some(0.95));
    }
}
