//! A policy delegation connection: the same requests however the stream is cut, and to each an
//! answer that Postfix cannot take for another one (SMTPD_POLICY_README; access(5)).

use std::path::Path;
use std::sync::{Arc, OnceLock};

use bytes::BytesMut;
use gatepost::config;
use gatepost::decision::{
    Case, DecisionId, Identity, Known, KnownAuthor, Listener, OnFailure, OnGrant, Paths, Rules,
    Story, decide,
};
use gatepost::mail::{AccountKey, Address, Facts, Login, Reply, Stage, Timestamp};
use gatepost::rights::{
    Account, AccountState, DomainClass, Holder, Lookup, Membership, Memberships, Mode,
    RecipientLookup, Restriction,
};
use gatepost::wire::policy_delegation::{Codec, REQUEST_LIMIT_BYTES, parse, serialise};
use tokio_util::codec::Decoder;

/// Checks one input, laid out as [`Input`] says.
pub fn check(input: &[u8]) {
    let input = Input::of(input);
    let whole = Dialogue::of(std::iter::once(&input.stream[..]));
    let pieces = Dialogue::of(Pieces { cuts: input.cuts.iter().cycle(), rest: &input.stream });
    assert_eq!(whole, pieces, "the cuts {:?} make a difference", input.cuts);
    check_requests_alone(&input.stream, &whole.requests);
    for facts in &whole.requests {
        check_folding(&facts.envelope.sender);
        facts.envelope.recipient.iter().for_each(check_folding);
        check_answers(&input, facts);
    }
}

/// The first byte: in its low half the number of cuts, then two bits for the listener and one for
/// what is done while the directory is silent. The cuts follow, one byte each, then the stream.
struct Input {
    listener: &'static Listener,
    rules: &'static Rules,
    cuts: Vec<u8>,
    stream: Vec<u8>,
}

/// Two requests of the longest kind and a bit.
const STREAM_LIMIT_BYTES: usize = 3 * REQUEST_LIMIT_BYTES;

impl Input {
    fn of(input: &[u8]) -> Self {
        let (head, rest) = input.split_first().unwrap_or((&0, &[]));
        let head = usize::from(*head);
        let (cuts, stream) = rest.split_at((head % 16).min(rest.len()));
        let fixture = Fixture::once();
        Self {
            listener: &fixture.listeners[head / 16 % 4],
            rules: &fixture.rules[head / 64 % 2],
            cuts: if cuts.is_empty() { vec![0] } else { cuts.into() },
            stream: unfold(stream),
        }
    }
}

/// Puts in runs, so that small inputs reach the caps: NUL and a byte n are n times 257 `y`, and NUL
/// itself where n is 0.
fn unfold(folded: &[u8]) -> Vec<u8> {
    let mut stream = Vec::with_capacity(folded.len());
    let mut bytes = folded.iter();
    while let Some(&byte) = bytes.next() {
        match (byte, bytes.as_slice().first()) {
            (0, Some(&times)) if times > 0 => {
                stream.resize(stream.len() + usize::from(times) * 257, b'y');
                bytes.next();
            }
            (0, Some(_)) => {
                stream.push(0);
                bytes.next();
            }
            _ => stream.push(byte),
        }
        if stream.len() > STREAM_LIMIT_BYTES {
            stream.truncate(STREAM_LIMIT_BYTES);
            break;
        }
    }
    stream
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
    requests: Vec<Facts>,
    /// The kind of the fault that ends it; `None` where it ends between two requests.
    fault: Option<&'static str>,
}

impl Dialogue {
    fn of<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Self {
        let (mut codec, mut buffer, mut requests) = (Codec::default(), BytesMut::new(), Vec::new());
        for piece in pieces {
            buffer.extend_from_slice(piece);
            loop {
                match codec.decode(&mut buffer) {
                    Ok(Some(facts)) => requests.push(facts),
                    Ok(None) => break,
                    Err(fault) => {
                        assert!(!fault.to_string().is_empty());
                        return Self { requests, fault: Some(fault.kind()) };
                    }
                }
            }
            assert!(buffer.len() <= REQUEST_LIMIT_BYTES, "{} bytes wait", buffer.len());
        }
        let fault = match codec.decode_eof(&mut buffer) {
            Ok(None) => None,
            Ok(Some(facts)) => panic!("a whole request was left behind: {facts:?}"),
            Err(fault) => Some(fault.kind()),
        };
        assert_eq!(fault.is_none(), buffer.is_empty());
        Self { requests, fault }
    }
}

/// Each request ends at the first empty line and says the same when it stands alone, with that line
/// or without it.
fn check_requests_alone(stream: &[u8], requests: &[Facts]) {
    let mut rest = stream;
    for facts in requests {
        let end = rest.windows(2).position(|two| two == b"\n\n").expect("an empty line");
        let request = &rest[..end + 2];
        assert_eq!(&parse(request).expect("a request"), facts);
        assert_eq!(&parse(&request[..end + 1]).expect("a request"), facts);
        rest = &rest[end + 2..];
    }
}

/// What is folded is folded once and for all.
fn check_folding(address: &Address) {
    assert_ne!(address.domain(), Some(&b""[..]));
    if address.domain().is_some() {
        let folded = address.folded();
        assert_eq!(Address::from_internal(&folded).folded(), folded, "{address}");
    }
}

/// Whatever is known of login and recipient, the answer to `facts` is one of those there can be.
fn check_answers(input: &Input, facts: &Facts) {
    let Input { listener, rules, .. } = input;
    for directory in &Fixture::once().directories {
        let known = directory.tells(facts, rules);
        check_answer(Case { listener, facts, known: &known, rules });
    }
}

fn check_answer(case: Case) {
    let decision = decide(case, None, Timestamp::default());
    let mut answer = BytesMut::new();
    serialise(&decision.reply, &mut answer);
    let answer = std::str::from_utf8(&answer).expect("an answer in UTF-8");
    let action = answer
        .strip_prefix("action=")
        .and_then(|rest| rest.strip_suffix("\n\n"))
        .unwrap_or_else(|| panic!("no action and empty line: {answer:?}"));
    assert!(!action.is_empty() && !action.bytes().all(|b| b.is_ascii_digit()), "{action:?}");
    assert!(!action.contains(['\r', '\n', '\0']), "{action:?}");
    match &decision.reply {
        Reply::NoObjection => assert_eq!(action, "DUNNO"),
        Reply::Grant => {
            assert_eq!(action, "OK");
            assert_eq!(case.facts.stage, Stage::Rcpt);
            assert_eq!(case.listener.on_grant, OnGrant::Ok);
            assert_eq!(case.listener.mode, Mode::Enforce);
            assert_eq!(decision.reason, None);
        }
        Reply::Refuse(_) => check_refusal(action, case.id()),
        Reply::Hold(_) => panic!("policy delegation holds nothing: {action}"),
    }
    assert_eq!(
        decide(case, None, Timestamp::default()),
        decision,
        "the same case is decided in two ways"
    );
    let story = Story::tell(case, &decision, &Paths::new(), Timestamp::default());
    assert_eq!(story.id, case.id().as_str());
    let asked = story.question.iter().map(|(_, value)| value);
    let found = story.steps.iter().map(|step| &step.found);
    for line in asked.chain(found).chain(&story.would_change_it).chain([&story.summary]) {
        assert!(!line.contains(char::is_control), "{line:?} drives the terminal");
    }
}

/// `550 5.7.1 [ID] text` in printable ASCII, and short enough for Postfix to add the recipient and
/// stay within 510 bytes.
fn check_refusal(action: &str, id: DecisionId) {
    assert!(action.bytes().all(|b| (b' '..=b'~').contains(&b)), "{action:?}");
    assert!(action.len() <= 330, "{} bytes: {action:?}", action.len());
    let mut words = action.split(' ');
    let (code, enhanced) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    assert!(code.len() == 3 && code.bytes().all(|b| b.is_ascii_digit()), "{action:?}");
    assert!(code.starts_with(['4', '5']), "{action:?}");
    assert!(enhanced.starts_with(&format!("{}.", &code[..1])), "{action:?}");
    assert_eq!(words.next(), Some(&*format!("[{id}]")), "{action:?}");
    assert_eq!(DecisionId::find_all(action).first(), Some(&id), "{action:?}");
}

/// What every input is judged by.
struct Fixture {
    listeners: Vec<Arc<Listener>>,
    /// While the directory is silent: deferred, passed.
    rules: [Rules; 2],
    directories: Vec<Directory>,
}

impl Fixture {
    fn once() -> &'static Self {
        static FIXTURE: OnceLock<Fixture> = OnceLock::new();
        FIXTURE.get_or_init(|| {
            let text = include_str!("policy_delegation.toml");
            let Ok(config) = config::parse("gatepost.toml", text, Path::new("/"), "mx1") else {
                panic!("the rules have a fault");
            };
            let mut passing = config.rules.clone();
            passing.on_failure = OnFailure::Pass;
            Self {
                listeners: config
                    .startup
                    .listen
                    .into_iter()
                    .map(|listen| listen.listener)
                    .collect(),
                rules: [config.rules, passing],
                directories: Directory::all(),
            }
        })
    }
}

/// A directory that says the same of everybody. `None`: there is none.
struct Directory(Option<(Lookup, RecipientLookup)>);

impl Directory {
    fn all() -> Vec<Self> {
        use RecipientLookup::Found;
        let holder = |state, membership: Membership| {
            let account = Account {
                key: AccountKey::object("file", "alice"),
                name: "alice".into(),
                logins: ["alice".into()].into(),
                addresses: [b"alice@example.org"[..].into()].into(),
                state,
                dn: None,
                password_set: None,
                other_address: None,
            };
            let memberships = Memberships([membership; 3].into_iter().collect());
            Lookup::Found(Holder { account: account.into(), age_ms: 0, memberships })
        };
        let (yes, no, unknown) = (Membership::Yes, Membership::No, Membership::Unknown);
        [
            None,
            Some((holder(AccountState::Enabled, yes), Found(Restriction::Open))),
            Some((holder(AccountState::Enabled, no), Found(Restriction::Denied))),
            Some((holder(AccountState::Enabled, unknown), Found(Restriction::Unknown))),
            Some((holder(AccountState::Expired, yes), Found(Restriction::AuthenticatedOnly))),
            Some((holder(AccountState::Locked, yes), Found(Restriction::NotOnList))),
            Some((Lookup::NotFound, RecipientLookup::NotFound)),
            Some((Lookup::Ambiguous, Found(Restriction::Allowed))),
            Some((Lookup::Unavailable, RecipientLookup::Unavailable)),
        ]
        .map(Self)
        .into()
    }

    /// What the engine would gather for this question.
    fn tells(&self, facts: &Facts, rules: &Rules) -> Known {
        let mut known =
            Known { gateway: rules.gateway(facts, facts.login.as_ref(), None), ..Known::default() };
        known.rewritten = facts.login.as_ref().and_then(|login| rules.rewrite(login));
        let Some((lookup, recipient)) = &self.0 else { return known };
        known.account = facts.login.as_ref().map(|_| lookup.clone());
        let by_sender = |index: usize| rules.gateways[index].identity == Identity::Sender;
        if known.gateway.is_some_and(by_sender) {
            let login = Login::parse(facts.envelope.sender.as_bytes());
            known.author = login.map(|login| KnownAuthor { login, account: lookup.clone() });
        }
        let is_ours = facts.envelope.recipient.as_ref().is_some_and(|recipient| {
            recipient.domain().is_some()
                && rules.domains.class_of(recipient).0 == DomainClass::Local
        });
        known.recipient = is_ours.then(|| recipient.clone());
        known
    }
}
