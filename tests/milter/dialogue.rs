//! A mail server's side of a milter connection: packets in, the replies shown as text.

use bytes::BytesMut;
use gatepost::mail::{Enhanced, Facts, Reply, SmtpReply};
use gatepost::wire::milter::{Codec, Command, Fault, Session, Step, Wants};
use tokio_util::codec::Decoder;

pub const ALL: Wants = Wants { data: true, id_header: true, quarantine: true };

/// What real mail servers offer: version 6, all actions, all of the protocol.
pub const FULL: (u32, u32, u32) = (6, 0x1ff, 0x1f_ffff);

/// Judges a question; the replies of a test are made here.
pub type Judge = fn(&Facts) -> Reply;

pub struct Dialogue {
    session: Session,
    incoming: BytesMut,
    judge: Judge,
    /// Every question so far.
    pub asked: Vec<Facts>,
    /// The server has said goodbye.
    pub has_quit: bool,
}

impl Dialogue {
    /// Nothing is objected to.
    pub fn new() -> Self {
        Self::judged(|_| Reply::NoObjection)
    }

    pub fn judged(judge: Judge) -> Self {
        Self::wanting(Wants::default(), judge)
    }

    pub fn wanting(wants: Wants, judge: Judge) -> Self {
        let session = Session::new("c", wants);
        Self { session, incoming: BytesMut::new(), judge, asked: Vec::new(), has_quit: false }
    }

    /// Negotiated and connected from 192.0.2.9, as Postfix does it.
    pub fn connected(judge: Judge) -> Self {
        let mut dialogue = Self::judged(judge);
        dialogue.negotiate(FULL);
        dialogue.say("D", "Cj|mx.example.org|{daemon_name}|mx|v|Postfix 3.7.11|");
        assert_eq!(dialogue.say("C", "a.example|4\u{1}\u{2}192.0.2.9|"), ["c"]);
        dialogue.say("D", "H");
        assert_eq!(dialogue.say("H", "a.example|"), ["c"]);
        dialogue
    }

    pub fn negotiate(&mut self, (version, actions, protocol): (u32, u32, u32)) {
        let offer = [version, actions, protocol].map(u32::to_be_bytes).concat();
        let replies = self.packet(b'O', &offer).expect("an offer within the protocol");
        assert_eq!(replies.len(), 1);
        assert!(replies[0].starts_with('O'));
    }

    /// A command as text, in which `|` is NUL. The replies: code and payload, NUL as `|`.
    #[track_caller]
    pub fn say(&mut self, command: &str, payload: &str) -> Vec<String> {
        let payload = payload.replace('|', "\0");
        self.packet(command.as_bytes()[0], payload.as_bytes()).expect("a command to live with")
    }

    /// Several commands, each `code payload`; all their replies.
    #[track_caller]
    pub fn play(&mut self, script: &[&str]) -> Vec<String> {
        script.iter().flat_map(|line| self.say(&line[..1], &line[1..])).collect()
    }

    pub fn packet(&mut self, code: u8, payload: &[u8]) -> Result<Vec<String>, Fault> {
        let length = u32::try_from(payload.len() + 1).expect("short");
        self.bytes(&[&length.to_be_bytes()[..], &[code], payload].concat())
    }

    /// Any bytes.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<Vec<String>, Fault> {
        self.incoming.extend_from_slice(bytes);
        let mut out = BytesMut::new();
        while let Some(frame) = Codec.decode(&mut self.incoming)? {
            match self.session.step(Command::parse(frame.code, &frame.payload)?, &mut out)? {
                Step::Silent | Step::Replied => {}
                Step::Judge(facts) => {
                    let reply = (self.judge)(&facts);
                    self.session.answer(&reply, Some("ID"), &mut out);
                    self.asked.push(*facts);
                }
                Step::Quit => self.has_quit = true,
            }
        }
        Ok(shown(out))
    }

    pub fn is_at_rest(&self) -> bool {
        self.session.is_at_rest()
    }

    /// The last question in one line: `stage login sender recipient #count queue-id`.
    pub fn last(&self) -> String {
        told(self.asked.last().expect("a question"))
    }
}

pub fn told(facts: &Facts) -> String {
    let envelope = &facts.envelope;
    let login = facts.login.as_ref().map_or("-", |login| login.raw());
    let recipient = envelope.recipient.as_ref().map_or("-".into(), ToString::to_string);
    let queue_id = if envelope.queue_id.is_empty() { "-" } else { &envelope.queue_id };
    format!(
        "{} {login} {} {recipient} #{} {queue_id}",
        facts.stage, envelope.sender, envelope.recipient_count
    )
}

fn shown(mut out: BytesMut) -> Vec<String> {
    let mut replies = Vec::new();
    while let Some(frame) = Codec.decode(&mut out).expect("packets of ours can be read") {
        let payload = String::from_utf8_lossy(&frame.payload).replace('\0', "|");
        replies.push(format!("{}{payload}", char::from(frame.code)));
    }
    assert!(out.is_empty(), "whole packets go out");
    replies
}

/// 550 5.7.1 no
pub fn no() -> SmtpReply {
    SmtpReply::new(550, Enhanced { class: 5, subject: 7, detail: 1 }, "no").expect("a reply")
}

pub const NO: &str = "y550 5.7.1 no|";

/// Refuses whatever names `nobody` as its recipient.
pub fn not_nobody(facts: &Facts) -> Reply {
    let recipient = facts.envelope.recipient.as_ref();
    match recipient.is_some_and(|recipient| recipient.local() == b"nobody") {
        true => Reply::Refuse(no()),
        false => Reply::NoObjection,
    }
}
