//! Why a milter connection ends: what no mail server sends.

use std::fmt;

/// Why a packet cannot be lived with. The connection is closed without an answer.
#[derive(Debug)]
pub enum Fault {
    /// A length of 0: not even a command.
    NoCommand,
    /// The length that was announced.
    TooLong(u32),
    UnknownCommand(u8),
    /// What is wrong with the payload of this command.
    Malformed(u8, &'static str),
    /// Something other than the negotiation came first.
    NotNegotiated(u8),
    NegotiatedTwice,
    /// The version that was offered.
    Version(u32),
    /// The peer closed in the middle of a packet.
    Truncated,
    Io(std::io::Error),
}

impl Fault {
    /// Every value `kind` can have; a metric label.
    pub const KINDS: [&'static str; 6] =
        ["limit", "syntax", "unknown-command", "negotiation", "truncated", "io"];

    pub fn kind(&self) -> &'static str {
        match self {
            Self::NoCommand | Self::TooLong(_) => "limit",
            Self::Malformed(..) => "syntax",
            Self::UnknownCommand(_) => "unknown-command",
            Self::NotNegotiated(_) | Self::NegotiatedTwice | Self::Version(_) => "negotiation",
            Self::Truncated => "truncated",
            Self::Io(_) => "io",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |code: &u8| char::from(*code).escape_default();
        match self {
            Self::NoCommand => f.write_str("a packet of length 0; expected a command"),
            Self::TooLong(length) => write!(
                f,
                "a packet of {length} bytes; expected at most {}",
                super::PAYLOAD_LIMIT_BYTES + 1
            ),
            Self::UnknownCommand(code) => write!(f, "unknown milter command '{}'", name(code)),
            Self::Malformed(code, what) => write!(f, "milter command '{}': {what}", name(code)),
            Self::NotNegotiated(code) => {
                write!(f, "milter command '{}' before the negotiation ('O')", name(code))
            }
            Self::NegotiatedTwice => f.write_str("a second negotiation ('O') on one connection"),
            Self::Version(version) => {
                write!(f, "milter protocol version {version}; expected 2 or newer")
            }
            Self::Truncated => f.write_str("the peer closed in the middle of a packet"),
            Self::Io(fault) => write!(f, "{fault}"),
        }
    }
}

impl std::error::Error for Fault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(fault) => Some(fault),
            _ => None,
        }
    }
}

impl From<std::io::Error> for Fault {
    fn from(fault: std::io::Error) -> Self {
        Self::Io(fault)
    }
}
