//! Requests as they are read and answers as they are written (RFC 4511, 4).

use super::ber::{
    BOOLEAN, ENUMERATED, INTEGER, OCTETS, Reader, SEQUENCE, SET, element, integer, list, octets,
};
use super::entry::Entry;
use super::filter::Filter;

/// Simple Paged Results (RFC 2696).
pub const PAGED_RESULTS: &str = "1.2.840.113556.1.4.319";
pub const START_TLS: &str = "1.3.6.1.4.1.1466.20037";
/// Notice of Disconnection (RFC 4511, 4.4.1).
const DISCONNECTION: &str = "1.3.6.1.4.1.1466.20036";

#[derive(Clone, Debug)]
pub struct Request {
    pub id: i32,
    pub operation: Operation,
    pub page: Option<Page>,
    /// A critical control the server does not have.
    pub unknown_control: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// No request: somebody connects.
    Connect,
    Bind {
        name: String,
        /// `None`: by SASL.
        password: Option<String>,
    },
    Unbind,
    Search(Search),
    /// The id of what is given up.
    Abandon(i32),
    Extended(String),
    /// By its tag.
    Other(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Base,
    One,
    Subtree,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    pub base: String,
    pub scope: Scope,
    /// 0: none.
    pub size_limit: usize,
    pub types_only: bool,
    pub filter: Filter,
    pub attributes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub size: usize,
    pub cookie: Vec<u8>,
}

/// LDAPResult (4.1.9).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub code: i32,
    pub matched: String,
    pub text: String,
    pub referrals: Vec<String>,
}

/// What a request gets; only a search gets entries and references.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub entries: Vec<Entry>,
    /// SearchResultReference: each a list of URLs (4.5.3).
    pub references: Vec<Vec<String>>,
    pub outcome: Outcome,
    /// The paged results control: its cookie, empty after the last page.
    pub cookie: Option<Vec<u8>>,
}

impl Outcome {
    pub fn new(code: i32, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), ..Self::default() }
    }

    fn written(&self) -> Vec<u8> {
        let mut written = integer(ENUMERATED, self.code);
        written.extend(octets(self.matched.as_bytes()));
        written.extend(octets(self.text.as_bytes()));
        if !self.referrals.is_empty() {
            written.extend(list(0xa3, &self.referrals));
        }
        written
    }
}

impl Answer {
    pub fn of(outcome: Outcome) -> Self {
        Self { outcome, ..Self::default() }
    }

    /// Message by message: references among the entries, the outcome last. None for what gets no
    /// answer.
    pub fn messages(&self, request: &Request) -> Vec<Vec<u8>> {
        let id = request.id;
        let (tag, more) = match &request.operation {
            Operation::Bind { .. } => (0x61, Vec::new()),
            Operation::Search(_) => (0x65, Vec::new()),
            Operation::Extended(name) => (0x78, element(0x8a, &[name.as_bytes()])),
            // delRequest alone is primitive, and no response is.
            Operation::Other(tag) => ((tag | 0x20) + 1, Vec::new()),
            Operation::Connect | Operation::Unbind | Operation::Abandon(_) => return Vec::new(),
        };
        let mut entries = self.entries.iter().map(|entry| message(id, &entry.written(), &[]));
        let references = self.references.iter().map(|urls| message(id, &list(0x73, urls), &[]));
        // One entry goes first, so that what ends at the first reference is found out.
        let mut messages: Vec<Vec<u8>> = entries.by_ref().take(1).chain(references).collect();
        messages.extend(entries);
        let controls = self.cookie.as_deref().map(page_control).unwrap_or_default();
        messages.push(message(id, &element(tag, &[&self.outcome.written(), &more]), &controls));
        messages
    }
}

/// The unsolicited notice that the server is about to close. `as_windows`: with the name outside of
/// the response, where Windows AD puts it.
pub fn notice_of_disconnection(outcome: &Outcome, as_windows: bool) -> Vec<u8> {
    let name = element(0x8a, &[DISCONNECTION.as_bytes()]);
    if as_windows {
        message(0, &element(0x78, &[&outcome.written()]), &name)
    } else {
        message(0, &element(0x78, &[&outcome.written(), &name]), &[])
    }
}

fn message(id: i32, operation: &[u8], controls: &[u8]) -> Vec<u8> {
    element(SEQUENCE, &[&integer(INTEGER, id), operation, controls])
}

fn page_control(cookie: &[u8]) -> Vec<u8> {
    let value = element(SEQUENCE, &[&integer(INTEGER, 0), &octets(cookie)]);
    let control =
        element(SEQUENCE, &[&octets(PAGED_RESULTS.as_bytes()), &element(OCTETS, &[&value])]);
    element(0xa0, &[&control])
}

impl Entry {
    /// SearchResultEntry (4.5.2).
    pub fn written(&self) -> Vec<u8> {
        let attribute = |(name, values): &(String, Vec<Vec<u8>>)| {
            element(SEQUENCE, &[&octets(name.as_bytes()), &list(SET, values)])
        };
        let attributes: Vec<Vec<u8>> = self.attributes.iter().map(attribute).collect();
        element(0x64, &[&octets(self.dn.as_bytes()), &element(SEQUENCE, &[&attributes.concat()])])
    }
}

impl Request {
    /// `None`: it cannot be read.
    pub fn read(message: &[u8]) -> Option<Self> {
        let mut reader = Reader(Reader(message).take(SEQUENCE)?);
        let id = reader.number(INTEGER)?;
        let (tag, content) = reader.next()?;
        let operation = operation(tag, content)?;
        let mut request = Self { id, operation, page: None, unknown_control: None };
        let mut controls = Reader(reader.take(0xa0).unwrap_or_default());
        while let Some(control) = controls.take(SEQUENCE) {
            request.control(Reader(control))?;
        }
        Some(request)
    }

    fn control(&mut self, mut reader: Reader<'_>) -> Option<()> {
        let name = reader.text()?;
        let is_critical = reader.boolean().unwrap_or(false);
        let value = reader.bytes().unwrap_or_default();
        if name == PAGED_RESULTS {
            let mut inner = Reader(Reader(&value).take(SEQUENCE)?);
            let size = usize::try_from(inner.number(INTEGER)?).ok()?;
            self.page = Some(Page { size, cookie: inner.bytes()? });
        } else if is_critical {
            self.unknown_control = Some(name);
        }
        Some(())
    }
}

fn operation(tag: u8, content: &[u8]) -> Option<Operation> {
    let mut reader = Reader(content);
    Some(match tag {
        0x60 => {
            reader.number(INTEGER)?;
            let name = reader.text()?;
            let password = reader.take(0x80);
            let password = password.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            Operation::Bind { name, password }
        }
        0x42 => Operation::Unbind,
        0x63 => Operation::Search(search(reader)?),
        0x50 => {
            // The content is the number itself: [APPLICATION 16] takes the place of INTEGER's tag.
            Operation::Abandon(Reader(&element(INTEGER, &[content])).number(INTEGER)?)
        }
        0x77 => Operation::Extended(String::from_utf8(reader.take(0x80)?.into()).ok()?),
        tag => Operation::Other(tag),
    })
}

fn search(mut reader: Reader<'_>) -> Option<Search> {
    let base = reader.text()?;
    let scope = match reader.number(ENUMERATED)? {
        0 => Scope::Base,
        1 => Scope::One,
        2 => Scope::Subtree,
        _ => return None,
    };
    reader.number(ENUMERATED)?;
    let size_limit = usize::try_from(reader.number(INTEGER)?).ok()?;
    reader.number(INTEGER)?;
    let types_only = reader.take(BOOLEAN)? != [0];
    let filter = Filter::read(&mut reader)?;
    let mut names = Reader(reader.take(SEQUENCE)?);
    let attributes = std::iter::from_fn(|| names.text()).collect();
    Some(Search { base, scope, size_limit, types_only, filter, attributes })
}
