//! Why a request to the directory has no good answer. None of these is ever an empty set.

use std::fmt;

use ldap3::{LdapError, LdapResult};

/// What went wrong, on which server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// As `ldaps://host:port`; empty where no server was asked.
    pub server: String,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// No server is left to be asked: all have failed of late. With what the last one said.
    NoServer(String),
    /// Resolving, connecting, TLS, or a connection that ended.
    Connection(String),
    /// No answer within the time of one request.
    Timeout,
    /// The bind was refused.
    Bind(String),
    /// A result that is no success (RFC 4511, 4.1.9).
    Result { code: u32, text: String },
    /// The server sends more than is asked for, or than can be meant.
    TooMuch(String),
    /// An answer that cannot be read, or does not fit the schema.
    Answer(String),
}

impl Fault {
    pub fn new(server: &str, what: What) -> Self {
        Self { server: server.into(), what }
    }

    pub fn answer(what: impl Into<String>) -> Self {
        Self::new("", What::Answer(what.into()))
    }

    /// The connection is of no more use.
    pub fn ends_connection(&self) -> bool {
        matches!(self.what, What::Connection(_) | What::Timeout | What::Bind(_) | What::TooMuch(_))
            || self.is_of_the_server()
    }

    /// Another server may do better: this one does not answer, is busy (51), unavailable (52), has a
    /// fault of its own (80), or has forgotten the bind (1, which AD calls operationsError).
    pub fn is_of_the_server(&self) -> bool {
        match &self.what {
            What::Connection(_) | What::Timeout | What::Bind(_) => true,
            What::Result { code, .. } => matches!(code, 1 | 51 | 52 | 80),
            What::NoServer(_) | What::TooMuch(_) | What::Answer(_) => false,
        }
    }

    /// It is of what was asked, and other questions may well be answered: a base of another domain, a
    /// name that is none, an entry that cannot be read.
    pub fn is_of_the_question(&self) -> bool {
        !self.is_of_the_server() && !matches!(self.what, What::NoServer(_))
    }

    pub fn is_timeout(&self) -> bool {
        self.what == What::Timeout
    }

    /// The object a base search names is not there (noSuchObject).
    pub fn is_no_such_object(&self) -> bool {
        matches!(self.what, What::Result { code: 32, .. })
    }

    /// What the ldap3 crate says of a connection or a request on it.
    pub fn of(server: &str, fault: LdapError) -> Self {
        let what = match fault {
            LdapError::Timeout { .. } => What::Timeout,
            LdapError::LdapResult { result } => return Self::of_result(server, &result),
            LdapError::FilterParsing => What::Answer("the filter cannot be read".into()),
            LdapError::EndOfStream | LdapError::OpSend { .. } | LdapError::ResultRecv { .. } => {
                What::Connection("the server closed the connection".into())
            }
            LdapError::Io { source } => What::Connection(source.to_string()),
            other => What::Connection(other.to_string()),
        };
        Self::new(server, what)
    }

    pub fn of_result(server: &str, result: &LdapResult) -> Self {
        let mut text = one_line(&result.text);
        if !result.refs.is_empty() {
            text = format!("{text} ({})", one_line(&result.refs.join(", ")));
        }
        Self::new(server, What::Result { code: result.rc, text: text.trim().into() })
    }
}

/// One line of what a server wrote, without control characters.
pub(super) fn one_line(text: &str) -> String {
    const LONGEST: usize = 200;
    let plain: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect();
    plain.trim().into()
}

/// Names of RFC 4511, 4.1.9, with what they mean here.
fn named(code: u32) -> &'static str {
    match code {
        1 => "operationsError",
        2 => "protocolError",
        3 => "timeLimitExceeded",
        4 => "sizeLimitExceeded",
        8 => "strongerAuthRequired: the server wants TLS",
        10 => "referral: the base is not of this server; referrals are not followed",
        11 => "adminLimitExceeded",
        12 => "unavailableCriticalExtension",
        13 => "confidentialityRequired: the server wants TLS",
        32 => "noSuchObject",
        34 => "invalidDNSyntax",
        48 => "inappropriateAuthentication",
        49 => "invalidCredentials",
        50 => "insufficientAccessRights",
        51 => "busy",
        52 => "unavailable",
        53 => "unwillingToPerform",
        80 => "other",
        _ => "no success",
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.server.is_empty() {
            write!(f, "{}: ", self.server)?;
        }
        match &self.what {
            What::NoServer(last) if last.is_empty() => f.write_str("no server answers"),
            What::NoServer(last) => write!(f, "no server answers; the last said: {last}"),
            What::Timeout => f.write_str("no answer in time"),
            What::Bind(why) => write!(f, "the bind was refused: {why}"),
            What::Result { code, text } if text.is_empty() => {
                write!(f, "result {code} ({})", named(*code))
            }
            What::Result { code, text } => write!(f, "result {code} ({}): {text}", named(*code)),
            What::Connection(why) | What::TooMuch(why) | What::Answer(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(code: u32) -> Fault {
        Fault::new("ldap://a:389", What::Result { code, text: String::new() })
    }

    #[test]
    fn another_server_is_asked_only_where_it_may_do_better() {
        for code in [1, 51, 52, 80] {
            assert!(result(code).is_of_the_server(), "{code}");
        }
        for code in [3, 4, 10, 11, 12, 32, 50, 53] {
            assert!(!result(code).is_of_the_server(), "{code}");
        }
        assert!(Fault::new("", What::Timeout).is_of_the_server());
        assert!(!Fault::answer("x").is_of_the_server());
        for code in [10, 34, 50] {
            assert!(result(code).is_of_the_question(), "{code}");
        }
        let nobody = Fault::new("", What::NoServer(String::new()));
        assert!(!nobody.is_of_the_server() && !nobody.is_of_the_question());
        assert!(!result(51).is_of_the_question());
    }

    #[test]
    fn a_server_cannot_forge_lines() {
        let result = LdapResult {
            rc: 53,
            matched: String::new(),
            text: format!("no\r\nERROR forged{}", "x".repeat(500)),
            refs: vec![],
            ctrls: vec![],
        };
        let told = Fault::of_result("ldap://a:389", &result).to_string();
        assert!(told.starts_with("ldap://a:389: result 53 (unwillingToPerform): no  ERROR forged"));
        assert!(told.len() < 300 && !told.contains('\n'));
    }
}
