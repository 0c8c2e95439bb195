//! What the parts of the LDAP directory share: the pool, the settings, and reading of one object.

use std::collections::HashSet;
use std::sync::Arc;

use crate::directory::ldap::connection::Search;
use crate::directory::ldap::dn::Dn;
use crate::directory::ldap::entry::{Entry, Range};
use crate::directory::ldap::fault::{Fault, one_line};
use crate::directory::ldap::filter::Filter;
use crate::directory::ldap::names::Names;
use crate::directory::ldap::pool::Pool;
use crate::directory::ldap::schema::Kind;
use crate::directory::ldap::settings::Settings;
use crate::directory::ldap::sid::{guid_bytes, guid_text};
use crate::directory::ldap::tree::Lifetime;

/// Requests for the rest of one attribute; 1500 values each on Windows AD (MaxValRange).
const RANGES: usize = 2_000;

/// No attributes at all (RFC 4511, 4.5.1.8).
pub(super) const NO_ATTRIBUTES: &[&str] = &["1.1"];

/// Turns questions into searches.
pub(super) struct Resolver {
    pub pool: Pool,
    pub settings: Arc<Settings>,
    pub life: Lifetime,
}

impl Resolver {
    pub fn names(&self) -> Names<'_> {
        let Settings { schema, realms, netbios, .. } = &*self.settings;
        Names { schema, realms, netbios }
    }

    pub fn is_active_directory(&self) -> bool {
        self.settings.schema.kind == Kind::ActiveDirectory
    }

    /// One object; `None` when it is not there or does not fit the filter.
    pub async fn object(
        &self,
        dn: &str,
        filter: &Filter,
        attributes: &[&str],
    ) -> Result<Option<Entry>, Fault> {
        let mut search = Search::object(dn, attributes);
        search.filter = filter.to_string();
        match self.pool.lookup(&search).await {
            Ok(mut found) => Ok(found.pop()),
            Err(fault) if fault.is_no_such_object() => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// All values of an attribute of an entry: those it came with, and those that the server holds
    /// back for further requests (MS-ADTS 3.1.1.3.1.3.3, `;range=`).
    pub async fn all_values(&self, entry: &Entry, name: &str) -> Result<Vec<Vec<u8>>, Fault> {
        let mut values = entry.values(name).to_vec();
        let mut rest = entry.range(name).and_then(Range::next);
        for _ in 0..RANGES {
            let Some(from) = rest else { return Ok(values) };
            let ranged = format!("{name};range={from}-*");
            let Some(next) = self.object(&entry.dn, &Filter::And(Vec::new()), &[&*ranged]).await?
            else {
                return Err(Fault::answer(format!("{} went away half read", entry.dn)));
            };
            let (more, range) = (next.values(name), next.range(name));
            if more.is_empty() || range.is_none_or(|range| range.from != from) {
                return Err(Fault::answer(format!("{name} of {} came half", entry.dn)));
            }
            values.extend_from_slice(more);
            rest = range.and_then(Range::next);
        }
        Err(Fault::answer(format!("{name} of {} has no end", entry.dn)))
    }

    /// The DNs an attribute holds. One that cannot be read is a fault: it may be the one that counts.
    pub async fn dns(&self, entry: &Entry, name: &str) -> Result<HashSet<Dn>, Fault> {
        let values = self.all_values(entry, name).await?;
        values.iter().map(|value| read_dn(value, name)).collect()
    }

    /// The stable id of an object.
    pub fn id(&self, entry: &Entry) -> Result<String, Fault> {
        let name = &*self.settings.schema.id;
        if name.is_empty() {
            return Ok(read_dn(entry.dn.as_bytes(), "the DN")?.to_string());
        }
        let missing = || Fault::answer(format!("{} has no readable {name}", entry.dn));
        let value = entry.values(name).first().ok_or_else(missing)?;
        if name.eq_ignore_ascii_case("objectGUID") {
            return guid_text(value).ok_or_else(missing);
        }
        String::from_utf8(value.clone()).map_err(|_| missing())
    }

    /// Finds the object with this id below a base.
    pub async fn by_id(
        &self,
        id: &str,
        base: &str,
        filter: &str,
        attributes: &[&str],
    ) -> Result<Option<Entry>, Fault> {
        let name = &*self.settings.schema.id;
        if name.is_empty() {
            return self.object(id, &Filter::Raw(filter.into()), attributes).await;
        }
        let value = match guid_bytes(id) {
            Some(guid) if name.eq_ignore_ascii_case("objectGUID") => guid.to_vec(),
            _ => id.into(),
        };
        let filter = Filter::And(vec![Filter::Raw(filter.into()), Filter::equal(name, value)]);
        let search = Search::below(base, filter.to_string(), attributes).at_most(1);
        Ok(self.pool.lookup(&search).await?.pop())
    }
}

pub(super) fn read_dn(value: &[u8], what: &str) -> Result<Dn, Fault> {
    let text = String::from_utf8_lossy(value);
    Dn::parse(&text).ok_or_else(|| {
        let shown = one_line(&text);
        Fault::answer(format!("{what}: {shown:?} is no DN"))
    })
}
