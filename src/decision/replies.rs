//! `[replies]`: the reply of each reason, with names filled in and the id behind the enhanced code.

use std::fmt;

use crate::decision::{DecisionId, Reason};
use crate::mail::{Enhanced, ReplyFault, SmtpReply, printable};

/// The words that may stand in braces in a reply.
pub const PLACEHOLDERS: [&str; 4] = ["login", "sender", "recipient", "domain"];

/// A reply with places for names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    code: u16,
    enhanced: Enhanced,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Name(usize),
}

/// Why a configured reply cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateFault {
    Reply(ReplyFault),
    Placeholder(String),
    OpenBrace,
}

impl fmt::Display for TemplateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reply(fault) => write!(f, "{fault}"),
            Self::Placeholder(name) => write!(
                f,
                "unknown placeholder {{{name}}}; allowed: {{{}}}",
                PLACEHOLDERS.join("}, {")
            ),
            Self::OpenBrace => f.write_str("'{' has no '}'"),
        }
    }
}

impl std::error::Error for TemplateFault {}

/// The names of one question.
#[derive(Clone, Copy, Debug, Default)]
pub struct Names<'a> {
    /// In the order of [`PLACEHOLDERS`].
    pub values: [&'a str; 4],
}

/// A login or address longer than this is cut in a reply: RFC 5321 4.5.3.1 allows 64 + 1 + 255, but
/// the line must stay under Postfix's 510 bytes.
const NAME_LIMIT_BYTES: usize = 100;

impl Template {
    /// Reads `550 5.7.1 {login} has no submit right`.
    pub fn parse(line: &str) -> Result<Self, TemplateFault> {
        let (code, enhanced, text) = SmtpReply::split(line).map_err(TemplateFault::Reply)?;
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, tail) = after.split_once('}').ok_or(TemplateFault::OpenBrace)?;
            let place = PLACEHOLDERS.iter().position(|known| *known == name);
            let place = place.ok_or_else(|| TemplateFault::Placeholder(name.into()))?;
            parts.push(Part::Text(before.into()));
            parts.push(Part::Name(place));
            rest = tail;
        }
        parts.push(Part::Text(rest.into()));
        Ok(Self { code, enhanced, parts })
    }

    /// 4xx
    pub fn is_temporary(&self) -> bool {
        self.code < 500
    }

    fn fill(&self, id: DecisionId, names: Names, help_url: Option<&str>) -> SmtpReply {
        self.reply(format!("[{id}] "), names, help_url)
    }

    fn without_id(&self, help_url: Option<&str>) -> SmtpReply {
        self.reply(String::new(), Names::default(), help_url)
    }

    fn reply(&self, mut text: String, names: Names, help_url: Option<&str>) -> SmtpReply {
        for part in &self.parts {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Name(place) => {
                    text.push_str(&printable(names.values[*place], NAME_LIMIT_BYTES));
                }
            }
        }
        if let Some(url) = help_url {
            text.push_str("; see ");
            text.push_str(url);
        }
        SmtpReply::new(self.code, self.enhanced, &text).expect("the template was checked")
    }
}

/// One reply for each reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replies {
    templates: Vec<Template>,
    /// Put behind every refusal; printable ASCII.
    pub help_url: Option<Box<str>>,
}

impl Default for Replies {
    fn default() -> Self {
        let templates = Reason::ALL
            .iter()
            .map(|reason| Template::parse(reason.default_reply()).expect("a tested default"))
            .collect();
        Self { templates, help_url: None }
    }
}

impl Replies {
    pub fn set(&mut self, reason: Reason, template: Template) {
        self.templates[reason as usize] = template;
    }

    /// The reply to a question that could not be judged; it has no id, since nothing is remembered.
    pub fn own_fault(&self) -> SmtpReply {
        self.templates[Reason::OwnFault as usize].without_id(self.help_url.as_deref())
    }

    pub fn fill(&self, reason: Reason, id: DecisionId, names: Names) -> SmtpReply {
        self.templates[reason as usize].fill(id, names, self.help_url.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> DecisionId {
        DecisionId::parse("0123456789AB").expect("an id")
    }

    #[test]
    fn the_table_of_default_replies() {
        let names = Names { values: ["bob", "b@example.org", "x@far.test", "far.test"] };
        let replies = Replies::default();
        let table = [
            (Reason::LoginRequired, "530 5.7.0 [0123456789AB] Authentication required"),
            (
                Reason::RelayWithoutLogin,
                "550 5.7.1 [0123456789AB] Unable to relay for x@far.test: not logged in and not in a relay network",
            ),
            (
                Reason::RelayMissing,
                "550 5.7.1 [0123456789AB] bob has no relay right: mail to far.test is not allowed",
            ),
            (
                Reason::RelayDenied,
                "550 5.7.1 [0123456789AB] bob has no relay right: mail to far.test is not allowed",
            ),
            (Reason::SubmitMissing, "550 5.7.1 [0123456789AB] bob has no submit right"),
            (Reason::SubmitDenied, "550 5.7.1 [0123456789AB] bob has no submit right"),
            (Reason::SenderNotOwned, "553 5.7.1 [0123456789AB] bob may not send as b@example.org"),
            (Reason::AccountDisabled, "550 5.7.13 [0123456789AB] The account bob is disabled"),
            (Reason::AccountExpired, "550 5.7.13 [0123456789AB] The account bob has expired"),
            (
                Reason::AccountLocked,
                "450 4.7.13 [0123456789AB] The account bob is locked for now, try again later",
            ),
            (Reason::LoginNotFound, "550 5.7.1 [0123456789AB] bob is not known to the directory"),
            (
                Reason::LoginAmbiguous,
                "451 4.3.5 [0123456789AB] bob names more than one account; please tell the postmaster",
            ),
            (
                Reason::AccountSuspended,
                "550 5.7.13 [0123456789AB] Sending is suspended for this account",
            ),
            (
                Reason::Suspected,
                "451 4.7.1 [0123456789AB] This message cannot be taken now, try again later",
            ),
            (
                Reason::QuotaExceeded,
                "450 4.7.28 [0123456789AB] bob has reached its sending quota, try again later",
            ),
            (Reason::QuotaRejected, "550 5.7.28 [0123456789AB] bob has reached its sending quota"),
            (Reason::RecipientUnknown, "550 5.1.1 [0123456789AB] x@far.test is not known here"),
            (
                Reason::RecipientAuthenticatedOnly,
                "550 5.7.1 [0123456789AB] x@far.test takes mail from logged-in senders only",
            ),
            (
                Reason::RecipientRestricted,
                "550 5.7.2 [0123456789AB] x@far.test takes mail from its list of senders only",
            ),
            (
                Reason::RecipientDenied,
                "550 5.7.1 [0123456789AB] x@far.test does not take mail from this sender",
            ),
            (
                Reason::DirectorySilent,
                "451 4.4.3 [0123456789AB] The directory does not answer, try again later",
            ),
            (Reason::OwnFault, "451 4.3.0 [0123456789AB] Temporary fault, try again later"),
        ];
        assert_eq!(table.map(|(reason, _)| reason), Reason::ALL);
        for (reason, expected) in table {
            assert_eq!(replies.fill(reason, id(), names).to_string(), expected);
        }
    }

    #[test]
    fn a_hostile_name_cannot_break_the_line_or_push_the_reason_out() {
        let login = format!("x\r\n250 OK\u{202e}{}", "y".repeat(400));
        let names = Names { values: [&login, "", "", ""] };
        let text = Replies::default().fill(Reason::SubmitMissing, id(), names).to_string();
        assert!(text.starts_with("550 5.7.1 [0123456789AB] x 250 OK?yyy"), "{text}");
        assert!(text.ends_with("y... has no submit right"), "{text}");
    }

    #[test]
    fn a_reply_may_be_reworded_with_its_own_codes_and_a_help_url() {
        let mut replies = Replies::default();
        let line = "554 5.7.99 {login}, no mail to {domain}";
        replies.set(Reason::RelayMissing, Template::parse(line).expect("a template"));
        replies.help_url = Some("https://help.example.org/".into());
        let names = Names { values: ["bob", "", "", "far.test"] };
        assert_eq!(
            replies.fill(Reason::RelayMissing, id(), names).to_string(),
            "554 5.7.99 [0123456789AB] bob, no mail to far.test; see https://help.example.org/"
        );
    }

    #[test]
    fn bad_templates_say_why() {
        for (line, fault) in [
            ("550 5.7.1 {logn}", TemplateFault::Placeholder("logn".into())),
            ("550 5.7.1 a { b", TemplateFault::OpenBrace),
            ("250 2.0.0 fine", TemplateFault::Reply(ReplyFault::Code)),
        ] {
            assert_eq!(Template::parse(line), Err(fault), "{line}");
        }
    }
}
