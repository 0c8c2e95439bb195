//! Postfix policy delegation (SMTPD_POLICY_README; smtpd_check.c, `check_policy_service`).
//!
//! A request is `name=value` lines ended by LF, and an empty line; the answer is
//! `action=...` and an empty line. In trouble the server must not answer but close: Postfix then
//! asks once more and takes `smtpd_policy_service_default_action`.

use std::fmt;

use bytes::{BufMut, BytesMut};
use compact_str::CompactString;
use tokio_util::codec::{Decoder, Encoder};

use crate::mail::{Address, Certificate, Client, Envelope, Facts, Login, Protocol, Reply, Stage};
use crate::wire::text::{decode_xtext, fold_fingerprint, lossy};

/// Longest `name=value` line. Postfix's own values end at 2 KiB (line_length_limit), certificate
/// names excepted.
pub const LINE_LIMIT_BYTES: usize = 16 * 1024;
/// Longest request; a real one has 550 to 620 bytes.
pub const REQUEST_LIMIT_BYTES: usize = 64 * 1024;
/// Postfix 3.10 sends 31 attributes.
pub const ATTRIBUTE_LIMIT: usize = 256;

/// Why a request cannot be read. The connection is closed without an answer.
#[derive(Debug)]
pub enum Fault {
    LineTooLong,
    RequestTooLong,
    TooManyAttributes,
    NoEqualsSign,
    CarriageReturn,
    Repeated(&'static str),
    NotAPolicyRequest(String),
    UnknownState(String),
    BadNumber(&'static str),
    /// The peer closed in mid-request.
    Truncated,
    Io(std::io::Error),
}

impl Fault {
    /// Every value `kind` can have; a metric label.
    pub const KINDS: [&'static str; 6] =
        ["limit", "syntax", "not-policy", "unknown-state", "truncated", "io"];

    pub fn kind(&self) -> &'static str {
        match self {
            Self::LineTooLong | Self::RequestTooLong | Self::TooManyAttributes => "limit",
            Self::NoEqualsSign | Self::CarriageReturn | Self::Repeated(_) | Self::BadNumber(_) => {
                "syntax"
            }
            Self::NotAPolicyRequest(_) => "not-policy",
            Self::UnknownState(_) => "unknown-state",
            Self::Truncated => "truncated",
            Self::Io(_) => "io",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LineTooLong => write!(f, "a line is longer than {LINE_LIMIT_BYTES} bytes"),
            Self::RequestTooLong => {
                write!(f, "the request is longer than {REQUEST_LIMIT_BYTES} bytes")
            }
            Self::TooManyAttributes => {
                write!(f, "the request has more than {ATTRIBUTE_LIMIT} attributes")
            }
            Self::NoEqualsSign => f.write_str("a line has no '='; expected name=value"),
            Self::CarriageReturn => f.write_str("lines end in CR LF; expected LF alone"),
            Self::Repeated(name) => write!(f, "the attribute {name} is given twice"),
            Self::NotAPolicyRequest(request) => {
                write!(f, "request={request}; expected request=smtpd_access_policy")
            }
            Self::UnknownState(state) => write!(f, "unknown protocol_state={state}"),
            Self::BadNumber(name) => write!(f, "the attribute {name} is no number"),
            Self::Truncated => f.write_str("the peer closed in the middle of a request"),
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

/// The stream codec: whole requests in, whole answers out.
#[derive(Debug, Default)]
pub struct Codec {
    /// Bytes of the pending request already searched for its end.
    searched: usize,
}

impl Decoder for Codec {
    type Item = Facts;
    type Error = Fault;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Facts>, Fault> {
        let end = end_of_request(buffer, self.searched);
        check_limits(&buffer[..end.unwrap_or(buffer.len())], self.searched)?;
        match end {
            Some(end) => {
                self.searched = 0;
                parse(&buffer.split_to(end)).map(Some)
            }
            None => {
                // The last two bytes may be the first of the three that end a request.
                self.searched = buffer.len().saturating_sub(2);
                Ok(None)
            }
        }
    }

    fn decode_eof(&mut self, buffer: &mut BytesMut) -> Result<Option<Facts>, Fault> {
        match self.decode(buffer)? {
            None if !buffer.is_empty() => Err(Fault::Truncated),
            decoded => Ok(decoded),
        }
    }
}

/// How long the first request is, its empty line included. One that is nothing but an empty line
/// ends at its first byte. A client that ends lines in CR LF means an empty line too, and waits: its
/// request ends there, to be told as the fault it is.
fn end_of_request(buffer: &[u8], searched: usize) -> Option<usize> {
    if buffer.starts_with(b"\n") {
        return Some(1);
    }
    if buffer.starts_with(b"\r\n") {
        return Some(2);
    }
    let rest = &buffer[searched..];
    let lf = memchr::memmem::find(rest, b"\n\n").map(|at| at + 2);
    // A single byte is found quicker than three, and no line of Postfix has it.
    let has_cr = memchr::memchr(b'\r', rest).is_some();
    let cr_lf = has_cr.then(|| memchr::memmem::find(rest, b"\n\r\n")).flatten();
    let cr_lf = cr_lf.map(|at| at + 3);
    lf.into_iter().chain(cr_lf).min().map(|end| searched + end)
}

/// Refuses a long line or request, before its end comes and before anything else is wrong with it:
/// the fault must not hang on how the bytes were cut. Lines that ended before `searched` are known.
fn check_limits(request: &[u8], searched: usize) -> Result<(), Fault> {
    if request.len() <= LINE_LIMIT_BYTES {
        return Ok(());
    }
    let line_start = memchr::memrchr(b'\n', &request[..searched]).map_or(0, |newline| newline + 1);
    let (unchecked, mut start) = (&request[line_start..], 0);
    for end in memchr::memchr_iter(b'\n', unchecked).chain([unchecked.len()]) {
        if end - start > LINE_LIMIT_BYTES {
            return Err(Fault::LineTooLong);
        }
        start = end + 1;
    }
    if request.len() > REQUEST_LIMIT_BYTES { Err(Fault::RequestTooLong) } else { Ok(()) }
}

impl Encoder<&Reply> for Codec {
    type Error = Fault;

    fn encode(&mut self, reply: &Reply, buffer: &mut BytesMut) -> Result<(), Fault> {
        serialise(reply, buffer);
        Ok(())
    }
}

/// Writes the one answer, `action=...` and an empty line.
pub fn serialise(reply: &Reply, buffer: &mut BytesMut) {
    match reply {
        Reply::NoObjection => buffer.put_slice(b"action=DUNNO\n\n"),
        Reply::Grant => buffer.put_slice(b"action=OK\n\n"),
        Reply::Refuse(refusal) => {
            buffer.put_slice(format!("action={refusal}\n\n").as_bytes());
        }
        Reply::Hold(refusal) => {
            buffer.put_slice(format!("action=HOLD {}\n\n", refusal.text()).as_bytes());
        }
    }
}

/// The attributes gatepost reads, as they stand in the request; absent ones are empty.
#[derive(Default)]
struct Attributes<'a> {
    values: [Option<&'a [u8]>; NAMES.len()],
}

/// All others are passed over: newer Postfix releases add some.
const NAMES: [&str; 15] = [
    "request",
    "protocol_state",
    "client_address",
    "client_name",
    "sender",
    "recipient",
    "recipient_count",
    "queue_id",
    "instance",
    "size",
    "sasl_method",
    "sasl_username",
    "ccert_subject",
    "ccert_fingerprint",
    "ccert_pubkey_fingerprint",
];

/// The place of the attribute a line gives, and its value: all that follows the first `=`.
fn place(line: &[u8]) -> Option<(usize, &[u8])> {
    // By the first letter, since every request has some thirty lines.
    let candidates: &[usize] = match line.first()? {
        b'c' => &[2, 3, 12, 13, 14],
        b'i' => &[8],
        b'p' => &[1],
        b'q' => &[7],
        b'r' => &[0, 5, 6],
        b's' => &[4, 9, 10, 11],
        _ => return None,
    };
    candidates.iter().find_map(|&place| {
        let rest = line.strip_prefix(NAMES[place].as_bytes())?;
        Some((place, rest.strip_prefix(b"=")?))
    })
}

impl<'a> Attributes<'a> {
    fn scan(request: &'a [u8]) -> Result<Self, Fault> {
        let mut attributes = Self::default();
        let (mut start, mut count) = (0, 0);
        for end in memchr::memchr_iter(b'\n', request) {
            let line = &request[start..end];
            start = end + 1;
            if line.is_empty() {
                break;
            }
            count += 1;
            if line.len() > LINE_LIMIT_BYTES {
                return Err(Fault::LineTooLong);
            }
            if count > ATTRIBUTE_LIMIT {
                return Err(Fault::TooManyAttributes);
            }
            if line.ends_with(b"\r") {
                return Err(Fault::CarriageReturn);
            }
            match place(line) {
                Some((place, value)) => {
                    if attributes.values[place].replace(value).is_some() {
                        return Err(Fault::Repeated(NAMES[place]));
                    }
                }
                None if line.contains(&b'=') => {}
                None => return Err(Fault::NoEqualsSign),
            }
        }
        Ok(attributes)
    }

    fn value(&self, place: usize) -> &'a [u8] {
        self.values[place].unwrap_or_default()
    }

    fn text(&self, place: usize) -> CompactString {
        lossy(self.value(place))
    }

    fn number(&self, place: usize) -> Result<u64, Fault> {
        match self.value(place) {
            b"" => Ok(0),
            digits => std::str::from_utf8(digits)
                .ok()
                .and_then(|digits| digits.parse().ok())
                .ok_or(Fault::BadNumber(NAMES[place])),
        }
    }
}

/// Reads one request, its closing empty line included or not.
pub fn parse(request: &[u8]) -> Result<Facts, Fault> {
    let attributes = Attributes::scan(request)?;
    if attributes.value(0) != b"smtpd_access_policy" {
        return Err(Fault::NotAPolicyRequest(attributes.text(0).into()));
    }
    let stage = parse_stage(attributes.value(1))?;
    let login = Login::parse(attributes.value(11));
    let recipient = attributes.value(5);
    Ok(Facts {
        protocol: Protocol::PolicyDelegation,
        stage,
        client: Client {
            address: Client::parse_address(attributes.value(2)),
            name: Client::parse_name(attributes.value(3)),
            certificate: parse_certificate(&attributes),
            is_local: false,
        },
        sasl_method: if login.is_some() { attributes.text(10) } else { CompactString::default() },
        login,
        envelope: Envelope {
            sender: Address::from_internal(attributes.value(4)),
            recipient: (!recipient.is_empty()).then(|| Address::from_internal(recipient)),
            recipient_count: u32::try_from(attributes.number(6)?)
                .map_err(|_| Fault::BadNumber(NAMES[6]))?,
            instance: attributes.text(8),
            queue_id: attributes.text(7),
            size: attributes.number(9)?,
        },
    })
}

fn parse_stage(state: &[u8]) -> Result<Stage, Fault> {
    Ok(match state {
        b"RCPT" => Stage::Rcpt,
        b"DATA" => Stage::Data,
        b"END-OF-MESSAGE" => Stage::EndOfMessage,
        b"MAIL" => Stage::Mail,
        b"CONNECT" => Stage::Connect,
        b"HELO" | b"EHLO" => Stage::Helo,
        b"VRFY" => Stage::Vrfy,
        b"ETRN" => Stage::Etrn,
        other => return Err(Fault::UnknownState(lossy(other).into())),
    })
}

fn parse_certificate(attributes: &Attributes) -> Option<Box<Certificate>> {
    let fingerprints = [13, 14].map(|place| fold_fingerprint(attributes.value(place)));
    if fingerprints.iter().all(Option::is_none) {
        return None;
    }
    // Postfix writes certificate names in xtext.
    let subject = decode_xtext(attributes.value(12));
    let subject = (!subject.is_empty()).then(|| String::from_utf8_lossy(&subject).into());
    Some(Box::new(Certificate { fingerprints, subject }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::{Enhanced, SmtpReply};
    use proptest::prelude::*;

    /// As Postfix 3.7 sends it, in its order, policy_context and two later attributes included.
    const RCPT: &str = "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\n\
        client_address=192.0.2.9\nclient_name=p1.printers.example.org\nclient_port=4567\n\
        reverse_client_name=p1.printers.example.org\nserver_address=127.0.0.1\nserver_port=2587\n\
        helo_name=h.example.org\nsender=a=b@example.org\nrecipient=quoted user@far.test\n\
        recipient_count=0\nqueue_id=\ninstance=1f2e.6561.3a.0\nsize=1234\netrn_domain=\nstress=\n\
        sasl_method=PLAIN\nsasl_username=EXAMPLE\\Alice\nsasl_sender=\n\
        ccert_subject=client+20seven\nccert_issuer=e2e+20CA\nccert_fingerprint=AB:CD:01\n\
        ccert_pubkey_fingerprint=EF:02\nencryption_protocol=TLSv1.3\nencryption_cipher=x\n\
        encryption_keysize=256\npolicy_context=rcpt\ncompatibility_level=3.6\nmail_version=3.10.13\n\n";

    fn decode_all(codec: &mut Codec, buffer: &mut BytesMut) -> Result<Vec<Facts>, Fault> {
        let mut decoded = Vec::new();
        while let Some(facts) = codec.decode(buffer)? {
            decoded.push(facts);
        }
        Ok(decoded)
    }

    #[test]
    fn a_request_of_postfix_becomes_facts() {
        let facts = parse(RCPT.as_bytes()).expect("a request");
        assert_eq!(facts.stage, Stage::Rcpt);
        assert_eq!(facts.client.to_string(), "192.0.2.9 (p1.printers.example.org)");
        assert_eq!(facts.login.as_ref().map(Login::raw), Some("EXAMPLE\\Alice"));
        assert_eq!(&*facts.sasl_method, "PLAIN");
        assert_eq!(facts.envelope.sender.to_string(), "a=b@example.org");
        assert_eq!(facts.envelope.recipient, Some(Address::from_internal(b"quoted user@far.test")));
        assert_eq!((&*facts.envelope.instance, facts.envelope.size), ("1f2e.6561.3a.0", 1234));
        let certificate = facts.client.certificate.expect("a certificate");
        assert_eq!(certificate.subject.as_deref(), Some("client seven"));
        assert_eq!(certificate.fingerprints[0].as_deref(), Some("abcd01"));
        assert_eq!(certificate.fingerprints[1].as_deref(), Some("ef02"));
    }

    #[test]
    fn every_protocol_state_is_known() {
        let states = [
            ("CONNECT", Stage::Connect),
            ("HELO", Stage::Helo),
            ("EHLO", Stage::Helo),
            ("MAIL", Stage::Mail),
            ("RCPT", Stage::Rcpt),
            ("DATA", Stage::Data),
            ("END-OF-MESSAGE", Stage::EndOfMessage),
            ("VRFY", Stage::Vrfy),
            ("ETRN", Stage::Etrn),
        ];
        for (state, stage) in states {
            let request = format!("request=smtpd_access_policy\nprotocol_state={state}\n\n");
            let facts = parse(request.as_bytes()).expect(state);
            assert_eq!(facts, Facts::at_stage(Protocol::PolicyDelegation, stage), "{state}");
        }
    }

    #[test]
    fn order_and_unknown_attributes_do_not_matter() {
        let plain = parse(RCPT.as_bytes()).expect("a request");
        let mut lines: Vec<&str> = RCPT.trim_end().split('\n').collect();
        lines.reverse();
        lines.insert(3, "tls_sni=mx.example.org");
        lines.insert(5, "future=");
        lines.insert(5, "future=again");
        lines.insert(5, "=no name");
        let shuffled = format!("{}\n\n", lines.join("\n"));
        assert_eq!(parse(shuffled.as_bytes()).expect("a request"), plain);
    }

    #[test]
    fn bytes_that_are_no_utf_8_are_read() {
        let mut request = b"request=smtpd_access_policy\nprotocol_state=RCPT\n".to_vec();
        request.extend(b"sender=j\xf6rg@x\nrecipient=\x01@y\nsasl_username=j\xf6rg\n\n");
        let facts = parse(&request).expect("a request");
        assert_eq!(facts.envelope.sender, Address::from_internal(b"j\xf6rg@x"));
        assert_eq!(facts.login.expect("a login").raw(), "j?rg");
    }

    #[test]
    fn broken_requests_say_what_is_wrong() {
        let head = "request=smtpd_access_policy\nprotocol_state=RCPT\n";
        let cases = [
            ("\n".to_string(), "request=; expected request=smtpd_access_policy"),
            (format!("{head}x\n\n"), "a line has no '='; expected name=value"),
            (format!("{head}sender=a\nsender=b\n\n"), "the attribute sender is given twice"),
            (format!("{head}size=12x\n\n"), "the attribute size is no number"),
            (format!("{head}recipient_count=-1\n\n"), "the attribute recipient_count is no number"),
            ("request=junk\n\n".into(), "request=junk; expected request=smtpd_access_policy"),
            (
                "request=smtpd_access_policy\nprotocol_state=XYZ\n\n".into(),
                "unknown protocol_state=XYZ",
            ),
            ("request=smtpd_access_policy\r\n\n".into(), "lines end in CR LF; expected LF alone"),
        ];
        for (request, expected) in cases {
            let fault = parse(request.as_bytes()).expect_err(&request);
            assert_eq!(fault.to_string(), expected);
            assert!(Fault::KINDS.contains(&fault.kind()));
        }
    }

    #[test]
    fn each_cap_holds_exactly() {
        let head = "request=smtpd_access_policy\nprotocol_state=RCPT\n";
        let decode = |request: String| {
            let mut buffer = BytesMut::from(request.as_bytes());
            decode_all(&mut Codec::default(), &mut buffer).map(|facts| facts.len())
        };
        let line = |length: usize| format!("{head}x={}\n\n", "y".repeat(length - 2));
        assert!(matches!(decode(line(LINE_LIMIT_BYTES)), Ok(1)));
        assert!(matches!(decode(line(LINE_LIMIT_BYTES + 1)), Err(Fault::LineTooLong)));

        let attributes = |count: usize| format!("{head}{}\n", "x=\n".repeat(count - 2));
        assert!(matches!(decode(attributes(ATTRIBUTE_LIMIT)), Ok(1)));
        assert!(matches!(decode(attributes(ATTRIBUTE_LIMIT + 1)), Err(Fault::TooManyAttributes)));

        let request = |length: usize| {
            let filler = length - head.len() - 1;
            let lines = format!("x={}\n", "y".repeat(8189)).repeat(filler / 8192);
            let rest = format!("x={}\n", "y".repeat(filler % 8192 - 3));
            format!("{head}{lines}{rest}\n")
        };
        assert_eq!(request(REQUEST_LIMIT_BYTES).len(), REQUEST_LIMIT_BYTES);
        assert!(matches!(decode(request(REQUEST_LIMIT_BYTES)), Ok(1)));
        assert!(matches!(decode(request(REQUEST_LIMIT_BYTES + 1)), Err(Fault::RequestTooLong)));
        // An endless line or request is refused before its end comes.
        assert!(matches!(decode("x".repeat(LINE_LIMIT_BYTES + 1)), Err(Fault::LineTooLong)));
    }

    #[test]
    fn a_long_line_is_the_fault_however_the_stream_is_cut() {
        let long = format!("x={}\n", "y".repeat(LINE_LIMIT_BYTES));
        for (stream, first) in [(format!("{long}x=\n"), 9), (format!("no name\n{long}\n"), 20_000)]
        {
            for cut in [stream.len().min(first), stream.len() - 1, stream.len()] {
                let (now, later) = stream.as_bytes().split_at(cut);
                let (mut codec, mut buffer) = (Codec::default(), BytesMut::from(now));
                let mut fault = codec.decode(&mut buffer).err();
                buffer.extend_from_slice(later);
                fault = fault.or_else(|| codec.decode_eof(&mut buffer).err());
                assert!(matches!(fault, Some(Fault::LineTooLong)), "{cut}: {fault:?}");
            }
        }
    }

    #[test]
    fn a_request_cut_off_by_the_peer_is_a_fault_and_silence_is_none() {
        let mut codec = Codec::default();
        assert!(matches!(codec.decode_eof(&mut BytesMut::new()), Ok(None)));
        let mut half = BytesMut::from(&RCPT.as_bytes()[..40]);
        assert!(matches!(codec.decode_eof(&mut half), Err(Fault::Truncated)));
    }

    #[test]
    fn answers_are_one_action_and_an_empty_line() {
        let enhanced = Enhanced { class: 5, subject: 7, detail: 1 };
        let refusal = SmtpReply::new(550, enhanced, "[ID] no").expect("a reply");
        for (reply, expected) in [
            (Reply::NoObjection, "action=DUNNO\n\n"),
            (Reply::Grant, "action=OK\n\n"),
            (Reply::Refuse(refusal), "action=550 5.7.1 [ID] no\n\n"),
        ] {
            let mut buffer = BytesMut::new();
            Codec::default().encode(&reply, &mut buffer).expect("encoded");
            assert_eq!(buffer, expected);
        }
    }

    #[test]
    fn the_names_stand_where_place_says() {
        for (index, name) in NAMES.iter().enumerate() {
            let line = format!("{name}=a=b");
            assert_eq!(place(line.as_bytes()), Some((index, &b"a=b"[..])));
        }
    }

    proptest! {
        #[test]
        fn any_cut_of_the_stream_gives_the_same_requests(cuts in prop::collection::vec(1_usize..700, 0..40)) {
            let stream = format!("{RCPT}{}{RCPT}", "request=smtpd_access_policy\nprotocol_state=MAIL\nsender=x@y\n\n");
            let mut whole = BytesMut::from(stream.as_bytes());
            let expected = decode_all(&mut Codec::default(), &mut whole).expect("requests");
            prop_assert_eq!(expected.len(), 3);

            let (mut codec, mut buffer, mut decoded) = (Codec::default(), BytesMut::new(), Vec::new());
            let mut rest = stream.as_bytes();
            for cut in cuts.into_iter().chain(std::iter::repeat(1)) {
                if rest.is_empty() { break; }
                let (now, later) = rest.split_at(cut.min(rest.len()));
                rest = later;
                buffer.extend_from_slice(now);
                decoded.extend(decode_all(&mut codec, &mut buffer).expect("requests"));
            }
            prop_assert_eq!(decoded, expected);
            prop_assert!(buffer.is_empty());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let mut buffer = BytesMut::from(&bytes[..]);
            let _ = decode_all(&mut Codec::default(), &mut buffer);
        }

        #[test]
        fn no_refusal_reads_as_permission_or_breaks_the_line(text: String, code in 400_u16..=559) {
            let enhanced = Enhanced { class: (code / 100) as u8, subject: 7, detail: 1 };
            if let Ok(refusal) = SmtpReply::new(code, enhanced, &text) {
                let mut buffer = BytesMut::new();
                serialise(&Reply::Refuse(refusal), &mut buffer);
                let line = buffer.strip_prefix(b"action=").and_then(|l| l.strip_suffix(b"\n\n")).expect("one line");
                prop_assert!(!line.contains(&b'\n') && !line.contains(&b'\r') && !line.contains(&0));
                prop_assert!(line.iter().any(|b| !b.is_ascii_digit()));
                prop_assert!(line.len() > "550 5.7.1 ".len());
            }
        }
    }
}
