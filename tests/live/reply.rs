//! An SMTP reply taken apart (RFC 5321 section 4.2, RFC 2034), and what the suite says of one.

use crate::door::Door;
use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// At which Postfix asked.
    door: Door,
    /// The verb of the command.
    pub to: String,
    pub code: u16,
    /// RFC 3463 class.subject.detail, empty when the reply has none.
    pub enhanced: String,
    /// The last line without the codes.
    pub text: String,
    /// The texts of all lines, codes left out.
    pub lines: Vec<String>,
}

/// gatepost's id of a decision: 12 characters of base32.
const ID_LENGTH: usize = 12;

impl Reply {
    /// From the lines of one reply, the last of which has a space after its code.
    pub fn parse(door: Door, to: &str, raw: &[String]) -> Reply {
        let lines: Vec<String> =
            raw.iter().map(|line| line.get(4..).unwrap_or("").to_owned()).collect();
        let last = lines.last().expect("a reply has a line");
        let code = raw[0].get(..3).and_then(|code| code.parse().ok());
        let (enhanced, text) = match last.split_once(' ') {
            Some((first, rest)) if is_enhanced(first) => (first, rest),
            _ => ("", last.as_str()),
        };
        Reply {
            door,
            to: to.to_owned(),
            code: code.unwrap_or_else(|| panic!("no SMTP reply: {raw:?}")),
            enhanced: enhanced.to_owned(),
            text: text.to_owned(),
            lines,
        }
    }

    pub fn is_ok(&self) -> bool {
        self.code / 100 == 2
    }

    #[track_caller]
    pub fn assert_ok(&self) -> &Reply {
        assert_eq!(self.code, 250, "expected consent: {self}");
        self
    }

    /// A refusal by gatepost with exactly this text after the id.
    #[track_caller]
    pub fn assert_refused(&self, code: u16, enhanced: &str, text: &str) {
        assert_eq!(self.refusal(code, enhanced), text, "{self}");
    }

    /// `assert_refused`, for the standing, the submit right or the sender of a login.
    #[track_caller]
    pub fn assert_sender_refused(&self, code: u16, enhanced: &str, text: &str) {
        self.assert_refused(code, enhanced, text);
        assert_eq!(self.to, self.door.sender_refused_at(), "the command refused: {self}");
    }

    /// A refusal by gatepost: these codes, an id in brackets. What follows it.
    #[track_caller]
    pub fn refusal(&self, code: u16, enhanced: &str) -> &str {
        assert_eq!((self.code, self.enhanced.as_str()), (code, enhanced), "{self}");
        let told = match self.door {
            // Postfix's words stand before it: `<a@b>: Recipient address rejected: [ID] ...`
            Door::Policy => self.text.split_once(" rejected: ").map(|(_, told)| told),
            // Postfix adds nothing. Sendmail puts the argument of the command before it, as the client
            // wrote it: `<a@b>... [ID] ...`
            Door::Milter => match self.text.split_once("... [") {
                Some((argument, _)) => self.text.get(argument.len() + 4..),
                None => Some(self.text.as_str()),
            },
        };
        let (id, said) = told
            .and_then(|told| told.strip_prefix('['))
            .and_then(|told| told.split_once("] "))
            .unwrap_or_else(|| panic!("no id in brackets where {:?} has it: {self}", self.door));
        assert_eq!(id.len(), ID_LENGTH, "the id's length: {self}");
        assert!(
            id.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()),
            "the id's characters: {self}"
        );
        said
    }

    /// Postfix's own answer when nobody answers it (smtpd_policy_service_default_action,
    /// milter_default_action = tempfail).
    #[track_caller]
    pub fn assert_unanswered(&self) {
        let (enhanced, words) = match self.door {
            Door::Policy => ("4.3.5", "Server configuration problem"),
            Door::Milter => ("4.7.1", "Service unavailable - try again later"),
        };
        assert_eq!((self.code, self.enhanced.as_str()), (451, enhanced), "{self}");
        assert!(self.text.ends_with(words), "{self}");
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.code, self.enhanced, self.text)
    }
}

fn is_enhanced(word: &str) -> bool {
    let parts: Vec<&str> = word.split('.').collect();
    parts.len() == 3
        && parts.iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}
