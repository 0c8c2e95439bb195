//! A mail by SMTP to a relay: to those who look after the mail server, several events in one where there are many; or to
//! the account's owner at another address. From the null sender (RFC 5321, 4.5.5) and marked as RFC 3834 wants, so
//! that nothing answers it.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use lettre::address::Envelope;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MessageBuilder};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use ring::digest::{SHA256, digest};

use crate::action::webhook::is_loopback;
use crate::action::{Told, plain_id};
use crate::directory::ldap::read_password;
use crate::mail::{Mode, Timestamp};
use crate::record::{Notice, NoticeKind};

/// RFC 5321, 4.5.3.2 has 5 minutes for a command; a relay of one's own that takes so long is tried again later.
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Clone, Debug)]
pub struct Settings {
    pub host: String,
    pub port: u16,
    pub security: Security,
    /// PEM; `None`: the system's certificates.
    pub ca_file: Option<PathBuf>,
    /// Login, and the file whose first line is its password.
    pub login: Option<(String, PathBuf)>,
    pub from: Address,
    /// Empty: nobody but the person.
    pub to: Vec<Address>,
    /// Whether the account's owner is told, where another address is known.
    pub to_person: bool,
    /// What the owner is told to do.
    pub help: String,
    /// This node, of which names of messages are made.
    pub node: Box<str>,
}

/// The way to the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    Plain,
    StartTls,
    /// From the first byte.
    Tls,
}

impl Settings {
    /// Whether the relay is on this machine.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    Staff,
    /// The account's owner.
    Person,
}

pub struct Mail {
    settings: Settings,
    audience: Audience,
}

impl Mail {
    pub fn new(settings: Settings, audience: Audience) -> Self {
        Self { settings, audience }
    }

    /// One mail with all of these events. Taken by the relay for all recipients, or not sent.
    pub async fn send(&self, events: &[Told], at: Timestamp) -> Result<(), String> {
        let Some(message) = self.message(events, at)? else { return Ok(()) };
        match tokio::time::timeout(TIMEOUT, self.deliver(message)).await {
            Ok(sent) => sent,
            Err(_) => Err(format!("not taken within {} s", TIMEOUT.as_secs())),
        }
    }

    async fn deliver(&self, message: Message) -> Result<(), String> {
        let settings = self.settings.clone();
        let relay = tokio::task::spawn_blocking(move || relay(&settings)).await;
        let relay = relay.map_err(|fault| fault.to_string())??;
        relay.send(message).await.map(|_| ()).map_err(|fault| {
            let causes = std::iter::successors(Some(&fault as &dyn std::error::Error), |fault| {
                fault.source()
            });
            causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
        })
    }

    /// `None`: there is nobody to write to.
    fn message(&self, events: &[Told], at: Timestamp) -> Result<Option<Message>, String> {
        let Some(first) = events.first() else { return Ok(None) };
        let told = |fault: &dyn std::fmt::Display| format!("the mail cannot be made: {fault}");
        let to = match (self.audience, &first.notice.other_address) {
            (Audience::Staff, _) => self.settings.to.clone(),
            (Audience::Person, None) => return Ok(None),
            (Audience::Person, Some(address)) => {
                vec![address.parse().map_err(|fault| format!("{address}: {fault}"))?]
            }
        };
        let text = match (self.audience, events) {
            (Audience::Person, _) => for_the_person(&first.notice, &self.settings.help),
            (Audience::Staff, [one]) => of_one(&one.notice, &self.settings.node),
            (Audience::Staff, many) => of_many(many, &self.settings.node),
        };
        let envelope = Envelope::new(None, to.clone()).map_err(|fault| told(&fault))?;
        let mut builder = Message::builder()
            .from(Mailbox::new(Some("gatepost".into()), self.settings.from.clone()))
            .date(date(at))
            .subject(text.subject)
            .envelope(envelope);
        for address in to {
            builder = builder.to(Mailbox::new(None, address));
        }
        let message = self
            .named(builder, events)
            .header(ContentType::TEXT_PLAIN)
            .body(text.body)
            .map_err(|fault| told(&fault))?;
        Ok(Some(message))
    }

    /// Sent again, it has the same name, by which mailboxes and people know it; the mails of one incident are a thread.
    fn named(&self, builder: MessageBuilder, events: &[Told]) -> MessageBuilder {
        let node = &self.settings.node;
        let audience = if self.audience == Audience::Person { ".person" } else { "" };
        let name = match events {
            [one] => one.id(),
            many => {
                let ids: Vec<&str> = many.iter().map(|told| &*told.notice.id).collect();
                let sum = digest(&SHA256, ids.join(" ").as_bytes());
                let hex = sum.as_ref()[..8].iter().map(|byte| format!("{byte:02x}"));
                format!("digest-{}", hex.collect::<String>())
            }
        };
        let mut builder = builder
            .message_id(Some(format!("<event.{name}{audience}@{node}>")))
            .raw_header(header("Auto-Submitted", "auto-generated".into()))
            .raw_header(header("X-Auto-Response-Suppress", "All".into()))
            .raw_header(header("X-Gatepost-Event", name));
        if let [Told { notice: Notice { incident: Some(incident), .. }, .. }] = events {
            let thread = format!("<incident.{}{audience}@{node}>", plain_id(incident));
            builder = builder.in_reply_to(thread.clone()).references(thread);
        }
        builder
    }
}

fn header(name: &'static str, value: String) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value)
}

fn date(at: Timestamp) -> SystemTime {
    jiff::Timestamp::from_millisecond(at.unix_ms()).unwrap_or_default().into()
}

/// A connection's worth of settings; certificates and password are read anew, so that a renewed one counts.
fn relay(settings: &Settings) -> Result<AsyncSmtpTransport<Tokio1Executor>, String> {
    let node = ClientId::Domain(settings.node.to_string());
    let mut relay = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&settings.host)
        .port(settings.port)
        .timeout(Some(TIMEOUT))
        .hello_name(node);
    relay = match settings.security {
        Security::Plain => relay.tls(Tls::None),
        Security::StartTls => relay.tls(Tls::Required(tls(settings)?)),
        Security::Tls => relay.tls(Tls::Wrapper(tls(settings)?)),
    };
    if let Some((login, file)) = &settings.login {
        relay = relay.credentials(Credentials::new(login.clone(), read_password(file)?));
    }
    Ok(relay.build())
}

fn tls(settings: &Settings) -> Result<TlsParameters, String> {
    let mut tls = TlsParameters::builder(settings.host.clone());
    if let Some(file) = &settings.ca_file {
        let told = |why: String| format!("{}: {why}", file.display());
        let pem = std::fs::read(file).map_err(|fault| told(fault.to_string()))?;
        let certificate = Certificate::from_pem(&pem).map_err(|fault| told(fault.to_string()))?;
        tls = tls.certificate_store(CertificateStore::None).add_root_certificate(certificate);
    }
    tls.build_rustls().map_err(|fault| fault.to_string())
}

struct Text {
    subject: String,
    body: String,
}

/// All that is known of one event.
fn of_one(notice: &Notice, node: &str) -> Text {
    let sentence = sentence(notice);
    let mut body = format!("{sentence}.\n\n");
    let until = match (notice.event, notice.until) {
        (NoticeKind::Suspended | NoticeKind::Escalated, None) => Some("it is released".into()),
        (_, until) => until.map(|until| until.to_string()),
    };
    let rows = [
        ("When", Some(notice.at.to_string())),
        ("Why", notice.reason.clone()),
        ("Since", notice.since.map(|since| since.to_string())),
        ("Until", until),
        ("Login", notice.login.clone()),
        ("Account", notice.account.clone()),
        ("Server", notice.mta.clone()),
        ("By", notice.by.clone()),
        ("Verdict", notice.verdict.clone()),
        ("Note", notice.note.clone()),
        ("Incident", notice.incident.clone()),
    ];
    for (name, value) in rows {
        if let Some(value) = value {
            let _ = writeln!(body, "  {:<10}{}", format!("{name}:"), plain(&value));
        }
    }
    if notice.incident.is_some() {
        body += "\nWhat it was:  gatepost explain --id INCIDENT\n";
        if matches!(notice.event, NoticeKind::Suspended | NoticeKind::Escalated) {
            body += "To lift it:   gatepost release LOGIN --verdict VERDICT --note NOTE\n";
        }
    }
    let _ = write!(body, "\nEvent {} of gatepost on {node}.\n", plain(&notice.id));
    Text { subject: format!("[gatepost] {sentence}"), body }
}

/// A line for each.
fn of_many(events: &[Told], node: &str) -> Text {
    let mut body = format!("{} events, since there were many:\n\n", events.len());
    for Told { notice, .. } in events {
        let _ = write!(body, "{}  {}", notice.at, sentence(notice));
        if let Some(reason) = &notice.reason {
            let _ = write!(body, ": {}", plain(reason));
        }
        let incident = notice.incident.as_deref().unwrap_or(&notice.id);
        let _ = writeln!(body, " [{}]", plain(incident));
    }
    let _ =
        write!(body, "\nMore of each:  gatepost explain --id INCIDENT\n\nGatepost on {node}.\n");
    Text { subject: format!("[gatepost] {} events", events.len()), body }
}

/// What happened, when, for how long and what to do; nothing of limits, which a thief would read as well.
fn for_the_person(notice: &Notice, help: &str) -> Text {
    let account = plain(notice.login.as_deref().unwrap_or("your account"));
    let (subject, what) = match notice.event {
        NoticeKind::Released | NoticeKind::Expired => (
            "Your account may send mail again",
            format!("The suspension of {account} is over: it may send mail again."),
        ),
        _ => (
            "Your account may not send mail for now",
            format!(
                "Mail was sent from {account} that did not look like yours, so sending is suspended.\n\
                 You can still read your mail. Somebody else may know your password."
            ),
        ),
    };
    let mut body = format!("{what}\n\n  When:   {}\n", notice.at);
    match (notice.event, notice.until) {
        (NoticeKind::Released | NoticeKind::Expired, _) => {}
        (_, Some(until)) => drop(writeln!(body, "  Until:  {until}")),
        (_, None) => body += "  Until:  somebody has looked into it\n",
    }
    if let Some(incident) = &notice.incident {
        let _ = writeln!(body, "  Number: {}", plain(incident));
    }
    let _ = write!(body, "\n{help}\n");
    Text { subject: subject.into(), body }
}

/// `alice is suspended`, as the subject has it.
fn sentence(notice: &Notice) -> String {
    let who = notice.login.as_deref().or(notice.account.as_deref()).map(plain);
    let who = who.as_deref().unwrap_or("an account");
    let is_shadow = notice.mode == Some(Mode::Observe);
    let is = if is_shadow { "would be" } else { "is" };
    let what = match notice.event {
        NoticeKind::Watched => format!("{who} {is} watched"),
        NoticeKind::Held => format!("mail of {who} {is} held"),
        NoticeKind::Suspended => format!("{who} {is} suspended"),
        NoticeKind::Released => format!("{who} {is} released"),
        NoticeKind::Expired => format!("the suspension of {who} {is} over"),
        NoticeKind::Escalated => format!("{who} {is} suspended again, for longer"),
        NoticeKind::BreakerOpened => {
            format!("the breaker {is} open: too many suspensions, and no further one is imposed")
        }
        NoticeKind::QuotaWarning => format!("{who} has nearly used up a quota"),
        NoticeKind::DirectoryDegraded => "the directory does not answer as it should".into(),
        NoticeKind::Test => "this is a test, nothing happened".into(),
    };
    if is_shadow { format!("[observe] {what}") } else { what }
}

/// Others' text in one line: without what would end it, steer a terminal or turn the direction of writing.
fn plain(text: &str) -> String {
    let is_odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}')
    };
    text.chars().map(|c| if is_odd(c) { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(audience: Audience) -> Mail {
        let settings = Settings {
            host: "127.0.0.1".into(),
            port: 25,
            security: Security::Plain,
            ca_file: None,
            login: None,
            from: "gatepost@example.org".parse().expect("an address"),
            to: vec!["postmaster@example.org".parse().expect("an address")],
            to_person: true,
            help: "Please call 4711.".into(),
            node: "mx1.example.org".into(),
        };
        Mail::new(settings, audience)
    }

    fn suspended(id: &str) -> Told {
        let mut notice = Notice::new(id, NoticeKind::Suspended, at());
        notice.mode = Some(Mode::Enforce);
        notice.login = Some("ali\r\nBcc: eve@far.test\u{202e}ce".into());
        notice.incident = Some("0123456789AB".into());
        notice.reason = Some("wrote to 40 strangers".into());
        notice.other_address = Some("alice@home.test".into());
        Told::of(notice)
    }

    fn at() -> Timestamp {
        Timestamp::from_unix_ms(1_790_000_000_000)
    }

    fn written(audience: Audience, events: &[Told]) -> (Envelope, String) {
        let message = mail(audience).message(events, at()).expect("made").expect("a reader");
        let text = String::from_utf8(message.formatted()).expect("text");
        (message.envelope().clone(), text)
    }

    #[test]
    fn a_mail_tells_all_that_is_known_and_nothing_answers_it() {
        let (envelope, text) = written(Audience::Staff, &[suspended("e1")]);
        assert_eq!(envelope.from(), None);
        let expected = "\
From: gatepost <gatepost@example.org>\r
Date: Mon, 21 Sep 2026 14:13:20 +0000\r
Subject: [gatepost] ali  Bcc: eve@far.test ce is suspended\r
To: postmaster@example.org\r
Message-ID: <event.e1@mx1.example.org>\r
Auto-Submitted: auto-generated\r
X-Auto-Response-Suppress: All\r
X-Gatepost-Event: e1\r
In-Reply-To: <incident.0123456789AB@mx1.example.org>\r
References: <incident.0123456789AB@mx1.example.org>\r
Content-Type: text/plain; charset=utf-8\r
Content-Transfer-Encoding: 7bit\r
\r
ali  Bcc: eve@far.test ce is suspended.\r
\r
  When:     2026-09-21T14:13:20.000Z\r
  Why:      wrote to 40 strangers\r
  Until:    it is released\r
  Login:    ali  Bcc: eve@far.test ce\r
  Incident: 0123456789AB\r
\r
What it was:  gatepost explain --id INCIDENT\r
To lift it:   gatepost release LOGIN --verdict VERDICT --note NOTE\r
\r
Event e1 of gatepost on mx1.example.org.\r
";
        assert_eq!(text, expected);
    }

    #[test]
    fn many_events_are_one_mail_that_keeps_its_name() {
        let events = [suspended("e1"), suspended("e2")];
        let (_, text) = written(Audience::Staff, &events);
        assert!(text.contains("Subject: [gatepost] 2 events\r\n"), "{text}");
        // Quoted-printable, since its lines are long.
        let lines = text.replace("=\r\n", "");
        let line = "is suspended: wrote to 40 strangers [0123456789AB]";
        assert_eq!(lines.matches(line).count(), 2, "{text}");
        assert_eq!(written(Audience::Staff, &events).1, text);
        let name =
            |text: &str| text.split("Message-ID: ").nth(1).map(|rest| rest[..40].to_string());
        assert_ne!(
            name(&written(Audience::Staff, &[suspended("e1"), suspended("e3")]).1),
            name(&text)
        );
    }

    #[test]
    fn the_owner_hears_of_no_limit_and_at_another_address() {
        let (envelope, text) = written(Audience::Person, &[suspended("e1")]);
        assert_eq!(envelope.to(), ["alice@home.test".parse::<Address>().expect("an address")]);
        assert!(text.contains("Message-ID: <event.e1.person@mx1.example.org>"), "{text}");
        assert!(text.ends_with("\r\nPlease call 4711.\r\n"), "{text}");
        assert!(!text.contains("strangers"), "{text}");
    }

    #[test]
    fn what_only_observes_is_marked() {
        let mut told = suspended("e1");
        told.notice.mode = Some(Mode::Observe);
        let (_, text) = written(Audience::Staff, &[told]);
        let subject = "Subject: [gatepost] [observe] ali  Bcc: eve@far.test ce would be suspended";
        assert!(text.contains(subject), "{text}");
    }
}
