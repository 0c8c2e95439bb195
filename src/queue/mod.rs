//! The port to the queues of mail servers: what their helper is asked, in its fixed words, and what it answers. One
//! line of JSON goes each way, and the connection ends.

mod helper;
mod words;

use serde::{Deserialize, Serialize};

pub use helper::{Helper, HelperFault};
pub use words::{Kickable, MailServer, QueueId, WordFault};

/// Queue ids in one request.
pub const IDS: usize = 1_000;

/// How a helper begins to refuse a request without any.
pub const NO_IDS: &str = "0 queue ids";

/// Bytes of a request: so many ids at their longest, each with quotes and a comma, and the words around them.
pub const REQUEST_BYTES: usize = IDS * (words::ID_BYTES + 3) + 256;

/// Messages that a listing tells of.
pub const LISTED: usize = 10_000;

/// What the helper is asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "lowercase", deny_unknown_fields)]
pub enum Request {
    /// No delivery is tried.
    Hold { ids: Vec<QueueId> },
    /// Delivery is tried again.
    Release { ids: Vec<QueueId> },
    /// Through the mail server's own rules again, from the beginning. Postfix alone.
    Requeue { ids: Vec<QueueId> },
    /// Removed, and nobody is told.
    Drop { ids: Vec<QueueId> },
    /// The queue ids of an envelope sender. Postfix alone.
    List { sender: String },
    /// Ends the login's IMAP and POP sessions, and forgets its password.
    Kick { login: Kickable },
}

impl Request {
    /// The word for logs.
    pub const fn verb(&self) -> &'static str {
        match self {
            Self::Hold { .. } => "hold",
            Self::Release { .. } => "release",
            Self::Requeue { .. } => "requeue",
            Self::Drop { .. } => "drop",
            Self::List { .. } => "list",
            Self::Kick { .. } => "kick",
        }
    }

    pub fn ids(&self) -> &[QueueId] {
        match self {
            Self::Hold { ids }
            | Self::Release { ids }
            | Self::Requeue { ids }
            | Self::Drop { ids } => ids,
            Self::List { .. } | Self::Kick { .. } => &[],
        }
    }
}

/// What became of the whole request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// One for each id, in the order asked; of a kick, the only one.
    Done(Vec<Handled>),
    Listed(Vec<QueueId>),
    /// Nothing was done, and why.
    Refused(String),
}

/// What became of one message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "outcome", content = "why")]
pub enum Handled {
    Done,
    /// It is in the queue no longer: delivered, or dropped.
    Gone,
    /// What the mail server's program said.
    Failed(String),
}

impl Handled {
    /// What is gone needs nothing done to it any more.
    pub const fn is_settled(&self) -> bool {
        !matches!(self, Self::Failed(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Request, String> {
        serde_json::from_str(line).map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_request_is_one_line_of_fixed_words() {
        let ids = vec![QueueId::parse("BFD5198E1F2").expect("an id")];
        let line = r#"{"verb":"drop","ids":["BFD5198E1F2"]}"#;
        assert_eq!(read(line), Ok(Request::Drop { ids: ids.clone() }));
        assert_eq!(serde_json::to_string(&Request::Drop { ids }).expect("JSON"), line);
        let login = Kickable::parse("alice").expect("a login");
        assert_eq!(read(r#"{"verb":"kick","login":"alice"}"#), Ok(Request::Kick { login }));
        for hostile in [
            r#"{"verb":"delete","ids":["BFD5198E1F2"]}"#,
            r#"{"verb":"drop","ids":["ALL"]}"#,
            r#"{"verb":"drop","ids":["-"]}"#,
            r#"{"verb":"drop","ids":["../BFD5198E1F2"]}"#,
            r#"{"verb":"drop","ids":["BFD5198E1F2\n"]}"#,
            r#"{"verb":"drop","ids":["BFD5198E1F2"],"queue":"/"}"#,
            r#"{"verb":"drop","login":"alice"}"#,
            r#"{"verb":"kick","login":"*"}"#,
            r#"{"verb":"kick","login":"-a"}"#,
        ] {
            assert!(read(hostile).is_err(), "{hostile}");
        }
    }

    #[test]
    fn what_became_of_each_stands_in_the_order_asked() {
        let answer = Answer::Done(vec![Handled::Done, Handled::Gone, Handled::Failed("x".into())]);
        let line =
            r#"{"done":[{"outcome":"done"},{"outcome":"gone"},{"outcome":"failed","why":"x"}]}"#;
        assert_eq!(serde_json::to_string(&answer).expect("JSON"), line);
        assert_eq!(serde_json::from_str::<Answer>(line).expect("an answer"), answer);
    }
}
