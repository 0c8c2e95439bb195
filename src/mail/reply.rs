//! What the mail server is told. A refusal always carries an SMTP code, an enhanced status code
//! (RFC 3463) and text, so that nothing Postfix would take for permission (an empty or all-digit
//! action, access(5)) can be written.

use std::fmt;

/// An enhanced status code, such as 5.7.1 (RFC 3463, RFC 5248).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enhanced {
    pub class: u8,
    pub subject: u16,
    pub detail: u16,
}

impl fmt::Display for Enhanced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Nothing against it: the mail server's own restrictions follow (`DUNNO`, continue).
    NoObjection,
    /// The relay right was given in so many words, and the listener says `on-grant = "ok"`.
    Grant,
    Refuse(SmtpReply),
    /// The message is taken and kept back, for a person to look at (HOLD, quarantine); at end of
    /// message only. The refusal it would have been says why.
    Hold(SmtpReply),
}

/// A refusal: 4xx or 5xx, enhanced code of the same class, one line of printable ASCII.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpReply {
    code: u16,
    enhanced: Enhanced,
    text: Box<str>,
}

/// Why something is no refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyFault {
    Code,
    Enhanced,
    ClassMismatch { code: u16, class: u8 },
    NoText,
}

impl fmt::Display for ReplyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code => f.write_str("expected an SMTP code from 400 to 599 first"),
            Self::Enhanced => {
                f.write_str("expected an enhanced status code such as 5.7.1 after the SMTP code")
            }
            Self::ClassMismatch { code, class } => write!(
                f,
                "the enhanced status code must begin with {}, the class of {code}, not {class}",
                code / 100
            ),
            Self::NoText => f.write_str("expected text after the enhanced status code"),
        }
    }
}

impl std::error::Error for ReplyFault {}

/// Postfix cuts a reply line at 510 bytes after putting `<recipient>: Recipient address rejected: `
/// before our text (smtpd_check.c); 300 leave room for an address of ordinary length.
const TEXT_LIMIT_BYTES: usize = 300;

impl SmtpReply {
    pub fn new(code: u16, enhanced: Enhanced, text: &str) -> Result<Self, ReplyFault> {
        if !(400..=599).contains(&code) || code / 10 % 10 > 5 {
            return Err(ReplyFault::Code);
        }
        if u16::from(enhanced.class) != code / 100 {
            return Err(ReplyFault::ClassMismatch { code, class: enhanced.class });
        }
        let text = printable(text, TEXT_LIMIT_BYTES);
        if text.is_empty() {
            return Err(ReplyFault::NoText);
        }
        Ok(Self { code, enhanced, text: text.into() })
    }

    /// Splits `550 5.7.1 text` into its parts; the text may be anything that is not empty.
    pub fn split(line: &str) -> Result<(u16, Enhanced, &str), ReplyFault> {
        let line = line.trim();
        let (code, rest) = line.split_once(' ').unwrap_or((line, ""));
        let code: u16 =
            (code.len() == 3).then(|| code.parse().ok()).flatten().ok_or(ReplyFault::Code)?;
        let rest = rest.trim_start();
        let (enhanced, text) = rest.split_once(' ').unwrap_or((rest, ""));
        let mut numbers = enhanced.split('.').map(str::parse::<u16>);
        let (
            Some(Ok(class @ 2..=5)),
            Some(Ok(subject @ 0..=999)),
            Some(Ok(detail @ 0..=999)),
            None,
        ) = (numbers.next(), numbers.next(), numbers.next(), numbers.next())
        else {
            return Err(ReplyFault::Enhanced);
        };
        let class = u8::try_from(class).map_err(|_| ReplyFault::Enhanced)?;
        let enhanced = Enhanced { class, subject, detail };
        Self::new(code, enhanced, text).map(|_| (code, enhanced, text.trim()))
    }

    pub fn code(&self) -> u16 {
        self.code
    }

    pub fn enhanced(&self) -> Enhanced {
        self.enhanced
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// 4xx: the client may try again.
    pub fn is_temporary(&self) -> bool {
        self.code < 500
    }
}

impl fmt::Display for SmtpReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.code, self.enhanced, self.text)
    }
}

/// One line of printable ASCII of at most `limit` bytes, blanks folded: what an SMTP reply may carry
/// to a client that did not ask for SMTPUTF8 (RFC 6531 3.7.4.1). Everything else becomes `?`.
pub fn printable(text: &str, limit: usize) -> String {
    let mut line = String::with_capacity(text.len().min(limit));
    for c in text.chars() {
        let c = match c {
            ' '..='~' => c,
            '\t' | '\r' | '\n' => ' ',
            _ => '?',
        };
        if c == ' ' && (line.is_empty() || line.ends_with(' ')) {
            continue;
        }
        if line.len() == limit {
            line.truncate(limit.saturating_sub(3));
            line.push_str("...");
            break;
        }
        line.push(c);
    }
    line.truncate(line.trim_end().len());
    line
}

/// The text with its control characters escaped, so that it can break no line and drive no terminal.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_reply_postfix_would_take_for_permission_cannot_be_written() {
        let five = Enhanced { class: 5, subject: 7, detail: 1 };
        assert_eq!(SmtpReply::new(550, five, ""), Err(ReplyFault::NoText));
        assert_eq!(SmtpReply::new(550, five, " \r\n\t "), Err(ReplyFault::NoText));
        for code in [0, 200, 250, 299, 354, 399, 600, 999, 465, 567] {
            assert_eq!(SmtpReply::new(code, five, "x"), Err(ReplyFault::Code), "{code}");
        }
        assert_eq!(
            SmtpReply::new(450, five, "x"),
            Err(ReplyFault::ClassMismatch { code: 450, class: 5 })
        );
    }

    #[test]
    fn a_configured_line_is_split_and_checked() {
        let ok = SmtpReply::split("550 5.7.1  {login} has no right").expect("a reply");
        assert_eq!((ok.0, ok.1.to_string(), ok.2), (550, "5.7.1".into(), "{login} has no right"));
        let faults = [
            ("", ReplyFault::Code),
            ("550", ReplyFault::Enhanced),
            ("OK 5.7.1 x", ReplyFault::Code),
            ("+55 5.7.1 x", ReplyFault::Code),
            ("250 2.0.0 fine", ReplyFault::Code),
            ("550 no code", ReplyFault::Enhanced),
            ("550 5.7 x", ReplyFault::Enhanced),
            ("550 5.7.1.2 x", ReplyFault::Enhanced),
            ("550 5.7.1000 x", ReplyFault::Enhanced),
            ("550 5.7.1", ReplyFault::NoText),
            ("450 5.7.1 x", ReplyFault::ClassMismatch { code: 450, class: 5 }),
        ];
        for (line, fault) in faults {
            assert_eq!(SmtpReply::split(line), Err(fault), "{line}");
        }
    }

    #[test]
    fn text_at_the_limit_is_kept_and_one_more_is_cut() {
        assert_eq!(printable("abcdef", 6), "abcdef");
        assert_eq!(printable("abcdefg", 6), "abc...");
    }

    proptest! {
        #[test]
        fn any_text_becomes_one_printable_line(text: String, limit in 4_usize..400) {
            let line = printable(&text, limit);
            prop_assert!(line.len() <= limit);
            prop_assert!(line.bytes().all(|b| (b' '..=b'~').contains(&b)));
        }
    }
}
