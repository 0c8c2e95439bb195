//! What the server does otherwise than a server should, and to which requests.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::message::{Answer, Operation, Outcome, Page, Search};

/// What becomes of a request instead of the answer it should get.
#[derive(Clone)]
pub enum Deviation {
    /// The answer goes out changed.
    Edit(Arc<dyn Fn(&mut Answer) + Send + Sync>),
    /// Each page is the first, and none is the last.
    EndlessPages,
    /// The first entry again and again, without an end.
    EndlessEntries,
    /// One message each time this has passed.
    Drip(Duration),
    /// The first half of the answer, cut within a message; then the connection is closed.
    HalfThenClose,
    /// The same, and nothing more on this connection, which stays open.
    HalfThenSilence,
    /// No answer; other requests on the connection get theirs.
    Silence,
    Close,
    /// Closed by a TCP reset.
    Reset,
    /// Notice of Disconnection (RFC 4511, 4.4.1) with this result code, then closed. `as_windows`:
    /// encoded as Windows AD does.
    Notice {
        code: i32,
        as_windows: bool,
    },
    /// These bytes instead of the answer.
    Bytes(Vec<u8>),
}

impl Deviation {
    pub fn edit(edit: impl Fn(&mut Answer) + Send + Sync + 'static) -> Self {
        Self::Edit(Arc::new(edit))
    }

    /// This result, and no entries.
    pub fn result(code: i32, text: &str) -> Self {
        let outcome = Outcome::new(code, text);
        Self::edit(move |answer| *answer = Answer::of(outcome.clone()))
    }

    /// rc 49 as AD words it; 52e: wrong password or no such user, 533: disabled, 775: locked.
    pub fn bind_refused(data: &str) -> Self {
        Self::result(49, &refusal(data))
    }

    /// rc 0 and no entries.
    pub fn nothing() -> Self {
        Self::result(0, "")
    }

    /// The first entries, then this result.
    pub fn partial(entries: usize, code: i32) -> Self {
        Self::edit(move |answer| {
            answer.entries.truncate(entries);
            answer.outcome = Outcome::new(code, "");
        })
    }

    /// rc 10.
    pub fn referral(url: &str) -> Self {
        let outcome = Outcome { referrals: vec![url.into()], ..Outcome::new(10, "") };
        Self::edit(move |answer| *answer = Answer::of(outcome.clone()))
    }

    /// The answer, with references among its entries.
    pub fn references(urls: &[&str]) -> Self {
        let references: Vec<Vec<String>> = urls.iter().map(|url| vec![(*url).into()]).collect();
        Self::edit(move |answer| answer.references.extend(references.iter().cloned()))
    }

    /// The entries lack an attribute.
    pub fn without(attribute: &str) -> Self {
        let attribute = attribute.to_owned();
        Self::edit(move |answer| {
            for entry in &mut answer.entries {
                entry.remove(&attribute);
            }
        })
    }

    /// The entries have these values of an attribute, whoever they are.
    pub fn with(attribute: &str, values: Vec<Vec<u8>>) -> Self {
        let attribute = attribute.to_owned();
        Self::edit(move |answer| {
            for entry in &mut answer.entries {
                entry.set(&attribute, values.iter().cloned());
            }
        })
    }
}

/// What AD writes beside rc 49.
pub fn refusal(data: &str) -> String {
    format!(
        "80090308: LdapErr: DSID-0C090447, comment: AcceptSecurityContext error, data {data}, v3839"
    )
}

/// Which requests: all that fit everything that is said.
#[derive(Clone, Debug, Default)]
pub struct When {
    kind: Option<Kind>,
    base: Option<String>,
    filter: Option<String>,
    attribute: Option<String>,
    is_paged: bool,
    /// Of those that fit, how many are let pass.
    skip: usize,
    /// How many there are to be after them; `None`: all.
    many: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Connect,
    Bind,
    Search,
    Extended,
    Abandon,
    Unbind,
}

impl When {
    fn of(kind: Kind) -> Self {
        Self { kind: Some(kind), ..Self::default() }
    }

    /// Whatever is asked, connecting included.
    pub fn anything() -> Self {
        Self::default()
    }

    /// Somebody connects; nothing is read yet.
    pub fn connect() -> Self {
        Self::of(Kind::Connect)
    }

    pub fn bind() -> Self {
        Self::of(Kind::Bind)
    }

    pub fn search() -> Self {
        Self::of(Kind::Search)
    }

    pub fn extended() -> Self {
        Self::of(Kind::Extended)
    }

    pub fn abandon() -> Self {
        Self::of(Kind::Abandon)
    }

    pub fn unbind() -> Self {
        Self::of(Kind::Unbind)
    }

    /// The base has this in it.
    pub fn base(self, part: &str) -> Self {
        Self { base: Some(part.to_lowercase()), ..self }
    }

    /// The filter's text (RFC 4515) has this in it.
    pub fn filter(self, part: &str) -> Self {
        Self { filter: Some(part.to_lowercase()), ..self }
    }

    /// The attribute is asked for; options do not count.
    pub fn asking(self, attribute: &str) -> Self {
        Self { attribute: Some(attribute.into()), ..self }
    }

    pub fn paged(self) -> Self {
        Self { is_paged: true, ..self }
    }

    /// Only the nth of them, counted from 1 and from when it was said.
    pub fn nth(self, nth: usize) -> Self {
        Self { skip: nth - 1, many: Some(1), ..self }
    }

    /// Only the first so many.
    pub fn first(self, many: usize) -> Self {
        Self { skip: 0, many: Some(many), ..self }
    }

    /// Only those after the first so many.
    pub fn after(self, skip: usize) -> Self {
        Self { skip, many: None, ..self }
    }

    /// Whether a request fits; the count aside.
    pub fn fits(&self, seen: &Seen) -> bool {
        let kind = match &seen.operation {
            Operation::Connect => Some(Kind::Connect),
            Operation::Bind { .. } => Some(Kind::Bind),
            Operation::Search(_) => Some(Kind::Search),
            Operation::Extended(_) => Some(Kind::Extended),
            Operation::Abandon(_) => Some(Kind::Abandon),
            Operation::Unbind => Some(Kind::Unbind),
            Operation::Other(_) => None,
        };
        let search = seen.search();
        let has = |part: &Option<String>, text: &dyn Fn(&Search) -> String| {
            part.as_ref().is_none_or(|part| {
                search.is_some_and(|search| text(search).to_lowercase().contains(part))
            })
        };
        (self.kind.is_none() || self.kind == kind)
            && (!self.is_paged || seen.page.is_some())
            && has(&self.base, &|search| search.base.clone())
            && has(&self.filter, &|search| search.filter.to_string())
            && self.attribute.as_ref().is_none_or(|attribute| {
                search
                    .is_some_and(|search| super::entry::is_asked_for(&search.attributes, attribute))
            })
    }

    fn counts(&self, nth: usize) -> bool {
        nth >= self.skip && self.many.is_none_or(|many| nth < self.skip + many)
    }
}

/// A request, as it is remembered.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Counted from 1.
    pub connection: u64,
    pub operation: Operation,
    pub page: Option<Page>,
}

impl Seen {
    pub fn search(&self) -> Option<&Search> {
        match &self.operation {
            Operation::Search(search) => Some(search),
            _ => None,
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.connection)?;
        match &self.operation {
            Operation::Bind { name, .. } => write!(f, "bind {name}"),
            Operation::Search(search) => write!(
                f,
                "search {:?} {:?} {} {}",
                search.base,
                search.scope,
                search.filter,
                search.attributes.join(" ")
            ),
            other => write!(f, "{other:?}"),
        }
    }
}

/// Deviations in the order in which they were said; the first that counts for a request is played.
#[derive(Default)]
pub struct Script(Vec<Rule>);

struct Rule {
    when: When,
    deviation: Deviation,
    fitted: usize,
}

impl Script {
    pub fn add(&mut self, when: When, deviation: Deviation) {
        self.0.push(Rule { when, deviation, fitted: 0 });
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn play(&mut self, seen: &Seen) -> Option<Deviation> {
        let mut played = None;
        for rule in self.0.iter_mut().filter(|rule| rule.when.fits(seen)) {
            let nth = rule.fitted;
            rule.fitted += 1;
            if played.is_none() && rule.when.counts(nth) {
                played = Some(rule.deviation.clone());
            }
        }
        played
    }
}
