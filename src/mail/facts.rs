//! What one question says, whichever protocol it came by. Short strings are kept in place: a
//! question is read, judged and remembered without an allocation for each of its names.

use std::fmt;

use compact_str::CompactString;

use crate::mail::{Address, Client, Login, Stage};

/// How the question came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    PolicyDelegation,
    Milter,
}

impl Protocol {
    pub const ALL: [Protocol; 2] = [Protocol::PolicyDelegation, Protocol::Milter];

    pub const fn as_str(self) -> &'static str {
        match self {
            Protocol::PolicyDelegation => "policy",
            Protocol::Milter => "milter",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The SMTP envelope, as far as it is known at this stage.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Envelope {
    pub sender: Address,
    /// At RCPT the one asked about; at DATA and end of message only when there is exactly one.
    pub recipient: Option<Address>,
    /// Accepted recipients; known at DATA and end of message, 0 before.
    pub recipient_count: u32,
    /// One MAIL transaction of one MTA: Postfix's `instance`, empty outside one; by milter a name of
    /// gatepost's own.
    pub instance: CompactString,
    /// The MTA's queue id; empty while there is none.
    pub queue_id: CompactString,
    /// Bytes: the client's claim, and by policy delegation the truth at end of message; 0 when
    /// unknown.
    pub size: u64,
}

impl Envelope {
    /// Whether the MTA names the transaction, so that no later one is taken for it.
    pub fn has_name(&self) -> bool {
        !self.instance.is_empty() || !self.queue_id.is_empty()
    }
}

/// One question of a mail server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    pub protocol: Protocol,
    pub stage: Stage,
    pub client: Client,
    /// `None`: did not log in.
    pub login: Option<Login>,
    /// The SASL mechanism, such as `PLAIN`; empty without a login.
    pub sasl_method: CompactString,
    pub envelope: Envelope,
}

impl Facts {
    /// A question with nothing known but its stage.
    pub fn at_stage(protocol: Protocol, stage: Stage) -> Self {
        Self {
            protocol,
            stage,
            client: Client::default(),
            login: None,
            sasl_method: CompactString::default(),
            envelope: Envelope::default(),
        }
    }
}
