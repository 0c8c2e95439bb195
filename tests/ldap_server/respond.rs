//! What each request gets by the rules of the protocol and by how the server is.

use super::behaviour::{Behaviour, InChain};
use super::directory::Directory;
use super::dn::Dn;
use super::entry::is_asked_for;
use super::message::{Answer, Operation, Outcome, Page, Request, START_TLS, Scope, Search};
use super::script::{Script, Seen, refusal};

/// All that can change while the server runs.
pub struct State {
    pub directory: Directory,
    pub behaviour: Behaviour,
    /// Who may bind, in any of the spellings given, and by what password.
    pub credentials: Vec<(String, String)>,
    pub script: Script,
    pub seen: Vec<Seen>,
}

/// What the server knows of one connection.
pub struct Session {
    pub connection: u64,
    pub is_bound: bool,
    pub has_tls: bool,
    /// The server has a certificate, so StartTLS is possible.
    pub offers_tls: bool,
}

impl State {
    pub fn answer(&self, request: &Request, session: &mut Session) -> Answer {
        if let Some(control) = &request.unknown_control {
            return Answer::of(Outcome::new(12, format!("no control {control}")));
        }
        match &request.operation {
            Operation::Bind { name, password } => {
                let outcome = self.bind(name, password.as_deref());
                // A bind that fails leaves nobody bound (RFC 4511, 4.2.1).
                session.is_bound = outcome.code == 0 && !name.is_empty();
                Answer::of(outcome)
            }
            Operation::Search(search) => self.search(search, request.page.as_ref(), session),
            Operation::Extended(name) if name == START_TLS => Answer::of(match session {
                Session { has_tls: true, .. } => Outcome::new(1, "TLS is there already"),
                Session { offers_tls: false, .. } => Outcome::new(52, "no certificate"),
                _ => Outcome::default(),
            }),
            Operation::Extended(_) => Answer::of(Outcome::new(2, "no such extended operation")),
            _ => Answer::of(Outcome::new(53, "read only")),
        }
    }

    fn bind(&self, name: &str, password: Option<&str>) -> Outcome {
        match password {
            None => Outcome::new(7, "simple bind only"),
            Some("") if name.is_empty() => Outcome::default(),
            Some("") => Outcome::new(53, "unauthenticated bind"),
            Some(password) if self.is_known(name, password) => Outcome::default(),
            Some(_) => Outcome::new(49, refusal("52e")),
        }
    }

    fn is_known(&self, name: &str, password: &str) -> bool {
        let is_same = |known: &str| match (Dn::parse(known), Dn::parse(name)) {
            (Some(known), Some(name)) => known == name,
            _ => known.eq_ignore_ascii_case(name),
        };
        self.credentials.iter().any(|(known, right)| is_same(known) && right == password)
    }

    fn search(&self, search: &Search, page: Option<&Page>, session: &Session) -> Answer {
        let behaviour = &self.behaviour;
        let is_root = search.base.is_empty() && search.scope == Scope::Base;
        if behaviour.needs_bind && !session.is_bound && !is_root {
            let text = "000004DC: LdapErr: DSID-0C090A71, comment: In order to perform this \
                        operation a successful bind must be completed on the connection., data 0";
            return Answer::of(Outcome::new(1, text));
        }
        let Some(base) = self.directory.base(&search.base) else {
            return Answer::of(self.outside(&search.base));
        };
        if behaviour.in_chain == InChain::Refused
            && search.filter.to_string().contains("1.2.840.113556.1.4.1941")
        {
            return Answer::of(Outcome::new(12, ""));
        }
        if search.scope != Scope::Base && is_asked_for(&search.attributes, "tokenGroups") {
            // MS-ADTS 3.1.1.4.5.19: for a base search only.
            return Answer::of(Outcome::new(1, "00002120: SvcErr: tokenGroups needs base scope"));
        }
        let found = self.directory.search(search, base, behaviour);
        let select = |entry: super::entry::Entry| {
            entry.selected(&search.attributes, search.types_only, behaviour.max_val_range)
        };
        let mut answer =
            Answer { entries: found.into_iter().map(select).collect(), ..Answer::default() };
        answer.references = self.partitions(search);
        self.limit(&mut answer, search.size_limit, page, session.connection);
        answer
    }

    /// A base that is not there.
    fn outside(&self, base: &str) -> Outcome {
        let Some(dn) = Dn::parse(base) else { return Outcome::new(34, "no DN") };
        let contexts = self.directory.contexts();
        if !self.behaviour.refers || contexts.iter().any(|context| dn.is_within(context)) {
            return Outcome::new(32, "0000208D: NameErr: DSID-0310021C, problem 2001 (NO_OBJECT)");
        }
        Outcome {
            referrals: vec![format!("ldap://{}/{base}", dn.domain())],
            ..Outcome::new(10, "0000202B: RefErr: DSID-0310082F, data 0, 1 access points")
        }
    }

    /// The other partitions a search below the whole domain would have to look into.
    fn partitions(&self, search: &Search) -> Vec<Vec<String>> {
        let base = Dn::parse(&search.base);
        let is_whole = base.as_ref().is_some_and(|base| self.directory.contexts().contains(base));
        if !self.behaviour.partitions || search.scope != Scope::Subtree || !is_whole {
            return Vec::new();
        }
        let domain = base.unwrap_or_default().domain();
        ["DC=ForestDnsZones", "DC=DomainDnsZones", "CN=Configuration"]
            .iter()
            .map(|part| vec![format!("ldap://{domain}/{part},{}", search.base)])
            .collect()
    }

    /// Cuts an answer down to what the client wants, to the page, and to what the server gives.
    fn limit(&self, answer: &mut Answer, wanted: usize, page: Option<&Page>, connection: u64) {
        let most = self.behaviour.max_page_size;
        let wanted = if wanted == 0 { usize::MAX } else { wanted };
        let is_cut = answer.entries.len() > wanted;
        answer.entries.truncate(wanted);
        let Some(page) = page else {
            if is_cut || answer.entries.len() > most {
                answer.outcome = Outcome::new(4, "");
            }
            answer.entries.truncate(most);
            return;
        };
        let Some(from) = read_cookie(&page.cookie, connection) else {
            *answer = Answer::of(Outcome::new(53, "a cookie of another search"));
            return;
        };
        // A page of size 0 ends the search (RFC 2696, 3).
        let size = if page.size == 0 { 0 } else { page.size.min(most) };
        let end = from.saturating_add(size).min(answer.entries.len());
        let is_last = end == answer.entries.len() || page.size == 0;
        answer.cookie = Some(match is_last {
            true => Vec::new(),
            false => format!("{connection}:{end}").into_bytes(),
        });
        answer.entries = answer.entries.drain(from.min(end)..end).collect();
        if is_last && is_cut {
            answer.outcome = Outcome::new(4, "");
        }
    }
}

/// How far the search is; cookies hold for the connection they were given on.
fn read_cookie(cookie: &[u8], connection: u64) -> Option<usize> {
    if cookie.is_empty() {
        return Some(0);
    }
    let (of, from) = std::str::from_utf8(cookie).ok()?.split_once(':')?;
    (of.parse() == Ok(connection)).then(|| from.parse().ok())?
}
