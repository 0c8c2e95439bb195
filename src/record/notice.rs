//! What an event tells, as its body holds it: one JSON object, of which actions make mails, calls and
//! memberships. docs/actions.md describes it.

use serde::{Deserialize, Serialize};

use crate::mail::{Mode, Timestamp, rfc_3339};
use crate::record::Event;

/// Names the form of the body; whoever reads it may rely on its fields.
pub const SCHEMA: &str = "gatepost.event/1";

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeKind {
    Watched,
    Held,
    Suspended,
    /// Lifted by a person.
    Released,
    /// Over by itself.
    Expired,
    /// Suspended again soon after, so for longer.
    Escalated,
    BreakerOpened,
    QuotaWarning,
    DirectoryDegraded,
    /// Nothing happened: somebody tries the actions out.
    Test,
}

impl NoticeKind {
    pub const ALL: [NoticeKind; 10] = [
        NoticeKind::Watched,
        NoticeKind::Held,
        NoticeKind::Suspended,
        NoticeKind::Released,
        NoticeKind::Expired,
        NoticeKind::Escalated,
        NoticeKind::BreakerOpened,
        NoticeKind::QuotaWarning,
        NoticeKind::DirectoryDegraded,
        NoticeKind::Test,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Watched => "watched",
            Self::Held => "held",
            Self::Suspended => "suspended",
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Escalated => "escalated",
            Self::BreakerOpened => "breaker-opened",
            Self::QuotaWarning => "quota-warning",
            Self::DirectoryDegraded => "directory-degraded",
            Self::Test => "test",
        }
    }
}

/// The body of an event. What is `None` is left out of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// [`SCHEMA`]
    pub schema: String,
    /// That of the event: named twice, acted on once.
    pub id: String,
    pub event: NoticeKind,
    #[serde(with = "rfc_3339")]
    pub at: Timestamp,
    /// Observe: nobody was stopped.
    #[serde(default, with = "mode", skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// The account's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// The name of the mail server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mta: Option<String>,
    /// The id of the suspension.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
    /// A sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The first message that counted.
    #[serde(default, with = "rfc_3339::if_any", skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// `None`: for good, or until a person says otherwise.
    #[serde(default, with = "rfc_3339::if_any", skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// `detector`, or the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What a suspension turned out to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// Where the account's owner reads mail elsewhere, so that no thief reads of his discovery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_address: Option<String>,
}

impl Notice {
    /// With nothing told of it yet.
    pub fn new(id: &str, event: NoticeKind, at: Timestamp) -> Self {
        Self {
            schema: SCHEMA.into(),
            id: id.into(),
            event,
            at,
            mode: None,
            account: None,
            login: None,
            mta: None,
            incident: None,
            reason: None,
            since: None,
            until: None,
            by: None,
            note: None,
            verdict: None,
            other_address: None,
        }
    }

    pub fn to_event(&self) -> Event {
        let body = serde_json::to_string(self).expect("text, numbers and words are JSON");
        Event { id: self.id.as_str().into(), body: body.into() }
    }

    /// What an event's body tells. Fields that a later release adds are passed over.
    pub fn read(body: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(body)
    }
}

mod mode {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::mail::Mode;

    pub fn serialize<S: Serializer>(mode: &Option<Mode>, out: S) -> Result<S::Ok, S::Error> {
        match mode {
            Some(mode) => out.serialize_str(mode.as_str()),
            None => out.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Mode>, D::Error> {
        let Some(word) = Option::<String>::deserialize(from)? else { return Ok(None) };
        let known = [Mode::Off, Mode::Observe, Mode::Enforce];
        let mode = known.into_iter().find(|mode| mode.as_str() == word);
        mode.map(Some).ok_or_else(|| D::Error::custom("expected off, observe or enforce"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_unix_ms(ms)
    }

    #[test]
    fn the_body_is_the_documented_object() {
        let mut notice = Notice::new("e1", NoticeKind::Suspended, at(1_790_000_000_123));
        notice.mode = Some(Mode::Enforce);
        notice.login = Some("alice".into());
        notice.since = Some(at(1_789_999_999_000));
        let event = notice.to_event();
        assert_eq!(&*event.id, "e1");
        assert_eq!(
            &*event.body,
            "{\"schema\":\"gatepost.event/1\",\"id\":\"e1\",\"event\":\"suspended\",\
             \"at\":\"2026-09-21T14:13:20.123Z\",\"mode\":\"enforce\",\"login\":\"alice\",\
             \"since\":\"2026-09-21T14:13:19.000Z\"}"
        );
        assert_eq!(Notice::read(&event.body).expect("read"), notice);
    }

    #[test]
    fn every_field_comes_back_and_null_is_none() {
        let text = || Some("text".to_string());
        let notice = Notice {
            mode: Some(Mode::Observe),
            account: text(),
            login: text(),
            mta: text(),
            incident: text(),
            reason: text(),
            since: Some(at(1)),
            until: Some(at(2)),
            by: text(),
            note: text(),
            verdict: text(),
            other_address: text(),
            ..Notice::new("e2", NoticeKind::BreakerOpened, at(3))
        };
        assert_eq!(Notice::read(&notice.to_event().body).expect("read"), notice);
        let body = "{\"schema\":\"gatepost.event/1\",\"id\":\"e3\",\"event\":\"test\",\
                    \"at\":\"1970-01-01T00:00:00.003Z\",\"account\":null,\"until\":null,\"later\":1}";
        assert_eq!(Notice::read(body).expect("read"), Notice::new("e3", NoticeKind::Test, at(3)));
    }

    #[test]
    fn the_words_are_those_of_the_body() {
        for kind in NoticeKind::ALL {
            let word = serde_json::to_string(&kind).expect("a word");
            assert_eq!(word, format!("\"{}\"", kind.as_str()));
        }
    }
}
