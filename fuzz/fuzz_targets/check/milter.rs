//! A milter connection: the same questions and replies however the stream is cut, to each command
//! exactly the replies the protocol has, and to each refusal lines that both mail servers read as
//! such (libmilter mfdef.h; Sendmail milter.c; Postfix milter8.c).

use std::path::Path;
use std::sync::{Arc, OnceLock};

use bytes::BytesMut;
use gatepost::config;
use gatepost::decision::{Case, Known, Listener, Rules, decide};
use gatepost::mail::{Facts, Reply, Timestamp};
use gatepost::wire::milter::{Codec, Command, PAYLOAD_LIMIT_BYTES, Session, Step, Wants};
use tokio_util::codec::Decoder;

/// Checks one input, laid out as [`Input`] says.
pub fn check(input: &[u8]) {
    let input = Input::of(input);
    let whole = Dialogue::of(input.wants, std::iter::once(&input.stream[..]));
    let pieces =
        Dialogue::of(input.wants, Pieces { cuts: input.cuts.iter().cycle(), rest: &input.stream });
    assert_eq!(whole, pieces, "the cuts {:?} make a difference", input.cuts);
}

/// The first byte: in its low three bits the number of cuts, then a bit for each wish of a listener,
/// one for packets, one for a negotiation that goes before. The cuts follow, a byte each; then the
/// stream, as it is, or a packet after the other: its code, the length of its payload, the payload.
struct Input {
    wants: Wants,
    cuts: Vec<u8>,
    stream: Vec<u8>,
}

const OFFER: [u8; 17] = [0, 0, 0, 13, b'O', 0, 0, 0, 6, 0, 0, 1, 0xff, 0, 0x1f, 0xff, 0xff];

impl Input {
    fn of(input: &[u8]) -> Self {
        let (head, rest) = input.split_first().unwrap_or((&0, &[]));
        let is_set = |bit: u8| head & bit != 0;
        let (cuts, rest) = rest.split_at(usize::from(head % 8).min(rest.len()));
        let mut stream = if is_set(128) { OFFER.to_vec() } else { Vec::new() };
        if is_set(64) {
            put_packets(rest, &mut stream)
        } else {
            stream.extend(rest)
        }
        Self {
            wants: Wants { data: is_set(8), id_header: is_set(16), quarantine: is_set(32) },
            cuts: if cuts.is_empty() { vec![0] } else { cuts.into() },
            stream,
        }
    }
}

fn put_packets(mut folded: &[u8], stream: &mut Vec<u8>) {
    while let Some(([code, length], rest)) = folded.split_first_chunk::<2>() {
        let (payload, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        stream.extend((payload.len() as u32 + 1).to_be_bytes());
        stream.push(*code);
        stream.extend(payload);
        folded = rest;
    }
}

/// The stream cut again and again: a cut n is a piece of n * n + 1 bytes.
struct Pieces<'a, I> {
    cuts: I,
    rest: &'a [u8],
}

impl<'a, 'c, I: Iterator<Item = &'c u8>> Iterator for Pieces<'a, I> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let cut = usize::from(*self.cuts.next()?);
        let (piece, rest) = self.rest.split_at((cut * cut + 1).min(self.rest.len()));
        self.rest = rest;
        Some(piece)
    }
}

/// What a connection comes to.
#[derive(Debug, PartialEq)]
struct Dialogue {
    asked: Vec<Facts>,
    written: Vec<u8>,
    /// The kind of the fault that ends it; `None` where the peer says goodbye or closes at a border.
    fault: Option<&'static str>,
}

impl Dialogue {
    fn of<'a>(wants: Wants, pieces: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut connection = Connection {
            session: Session::new("c", wants),
            dialogue: Self { asked: Vec::new(), written: Vec::new(), fault: None },
        };
        let mut buffer = BytesMut::new();
        for piece in pieces {
            buffer.extend_from_slice(piece);
            loop {
                match Codec.decode(&mut buffer) {
                    Ok(Some(frame)) => {
                        if connection.is_over_after(frame.code, &frame.payload) {
                            return connection.dialogue;
                        }
                    }
                    Ok(None) => break,
                    Err(fault) => {
                        connection.dialogue.fault = Some(fault.kind());
                        return connection.dialogue;
                    }
                }
            }
            assert!(buffer.len() <= PAYLOAD_LIMIT_BYTES + 5, "more is held back than a packet");
        }
        let end = Codec.decode_eof(&mut buffer);
        connection.dialogue.fault = end.err().map(|fault| fault.kind());
        connection.dialogue
    }
}

struct Connection {
    session: Session,
    dialogue: Dialogue,
}

impl Connection {
    fn is_over_after(&mut self, code: u8, payload: &[u8]) -> bool {
        let mut out = BytesMut::new();
        let step =
            Command::parse(code, payload).and_then(|command| self.session.step(command, &mut out));
        let step = match step {
            Ok(step) => step,
            Err(fault) => {
                assert!(out.is_empty(), "a fault is not answered");
                self.dialogue.fault = Some(fault.kind());
                return true;
            }
        };
        let is_over = step == Step::Quit;
        if let Step::Judge(facts) = step {
            let reply = judge(&facts);
            self.session.answer(&reply, Some("0123456789AB"), &mut out);
            self.dialogue.asked.push(*facts);
        }
        check_replies(code, &mut out.clone());
        self.dialogue.written.extend_from_slice(&out);
        is_over
    }
}

/// Under rules that refuse most, with logins and addresses in their texts.
fn judge(facts: &Facts) -> Reply {
    let (listener, rules) = fixture();
    let known = Known::default();
    let decision =
        decide(Case { listener, facts, known: &known, rules }, None, Timestamp::default());
    let is_grant = matches!(decision.reply, Reply::Grant);
    assert!(!is_grant, "a milter grants nothing");
    decision.reply
}

fn fixture() -> &'static (Arc<Listener>, Rules) {
    static FIXTURE: OnceLock<(Arc<Listener>, Rules)> = OnceLock::new();
    FIXTURE.get_or_init(|| {
        let text = "
            [[listen]]
            protocol = 'milter'
            socket = 'inet:127.0.0.1:8891'
            facing = 'submission'
            mode = 'enforce'
            at-end-of-message = 'quarantine'
            [domains]
            local = ['example.org']
            [[grant]]
            user = 'a'
            submit = 'allow'
            [replies]
            relay-missing = '550 5.7.1 100% {login} {sender} {recipient} {domain}'
        ";
        let config =
            config::parse("milter.toml", text, Path::new("/"), "mx").unwrap_or_else(|faults| {
                panic!("{}", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
            });
        (Arc::clone(&config.startup.listen[0].listener), config.rules)
    })
}

fn check_replies(code: u8, out: &mut BytesMut) {
    let mut kinds = String::new();
    while let Some(reply) = Codec.decode(out).expect("packets of ours can be read") {
        kinds.push(char::from(reply.code));
        match reply.code {
            b'y' => check_reply_code(&reply.payload),
            b'h' => assert_eq!(&reply.payload[..], b"X-Gatepost\x000123456789AB\0"),
            b'q' => check_text(reply.payload.strip_suffix(b"\0").expect("an end")),
            b'O' => assert!(reply.payload.len() >= 12),
            _ => assert!(reply.payload.is_empty(), "Postfix takes no bytes behind it"),
        }
    }
    assert!(out.is_empty(), "whole packets go out");
    let legal: &[&str] = match code {
        b'D' | b'A' | b'Q' | b'K' => &[""],
        b'M' | b'R' | b'T' => &["c", "y"],
        b'E' => &["a", "y", "ha", "qa", "hqa"],
        b'O' => &["O"],
        _ => &["c"],
    };
    assert!(legal.contains(&kinds.as_str()), "{} was answered {kinds:?}", char::from(code));
}

/// `550-5.7.1 text CRLF 550 5.7.1 text NUL`: one code, one class, doubled `%`, printable ASCII.
fn check_reply_code(payload: &[u8]) {
    let payload = payload.strip_suffix(b"\0").expect("an end");
    assert!(payload.len() < 1000, "miltertest reads 1 KiB");
    let text = std::str::from_utf8(payload).expect("ASCII");
    let lines: Vec<&str> = text.split("\r\n").collect();
    let (code, class) = (&text[..3], &text[..1]);
    assert!(code.bytes().all(|b| b.is_ascii_digit()) && (class == "4" || class == "5"), "{text}");
    for (index, line) in lines.iter().enumerate() {
        check_text(line.as_bytes());
        let mark = if index + 1 < lines.len() { '-' } else { ' ' };
        let rest = line.strip_prefix(code).and_then(|rest| rest.strip_prefix(mark));
        let rest = rest.unwrap_or_else(|| panic!("{text}"));
        let (enhanced, said) = rest.split_once(' ').expect("an enhanced status code");
        assert!(enhanced.starts_with(class) && !said.is_empty(), "{text}");
        assert!(!said.replace("%%", "").contains('%'), "{text}");
    }
}

fn check_text(text: &[u8]) {
    assert!(text.iter().all(|b| (b' '..=b'~').contains(b)), "{text:?}");
}
