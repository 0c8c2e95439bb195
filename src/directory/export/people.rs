//! Accounts with their logins and addresses, and a login by which each is named.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::directory::ListedRecipient;
use crate::directory::export::folded;
use crate::directory::export::recipients::Recipients;
use crate::directory::file::write::{self, Delivery};
use crate::mail::Login;
use crate::rights::{Holder, Membership};

pub(super) struct People<'a> {
    people: Vec<Person<'a>>,
    /// Folded logins and addresses to places in `people`.
    by_login: HashMap<String, Vec<usize>>,
    /// Addresses that more than one account or recipient has.
    contested: BTreeMap<String, Vec<String>>,
}

struct Person<'a> {
    holder: &'a Holder,
    /// As the directory writes it; one of `logins`, where it has any.
    login: String,
    /// Folded, with the addresses.
    logins: BTreeSet<String>,
    /// Folded.
    addresses: Vec<String>,
    /// A login that is nobody else's.
    handle: Option<String>,
}

impl<'a> People<'a> {
    pub fn of(people: &'a [Holder], recipients: &Recipients<'_>, told: &mut Vec<String>) -> Self {
        let mut people: Vec<&Holder> = people.iter().collect();
        let key =
            |holder: &&Holder| (holder.account.name.to_lowercase(), holder.account.key.clone());
        people.sort_by_cached_key(key);
        let mut ids = HashSet::new();
        let mut known = Vec::new();
        for holder in people {
            let account = &holder.account;
            if !ids.insert(id(holder)) {
                told.push(format!("{} ({}) is listed twice: left out", account.name, account.key));
            } else if let Some(person) = Person::of(holder, told) {
                known.push(person);
            } else {
                let why = "it has neither a login nor an address";
                told.push(format!("{} ({}) is left out: {why}", account.name, account.key));
            }
        }
        let mut by_login: HashMap<String, Vec<usize>> = HashMap::new();
        let mut owners: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, person) in known.iter().enumerate() {
            for login in &person.logins {
                by_login.entry(login.clone()).or_default().push(index);
            }
            for address in &person.addresses {
                owners.entry(address).or_default().push(index);
            }
        }
        let mut contested: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (address, names) in recipients.at_odds() {
            contested.insert(address.into(), names.into_iter().map(Into::into).collect());
        }
        for (address, owners) in owners.iter().filter(|(_, owners)| owners.len() > 1) {
            let names = owners.iter().map(|index| known[*index].told());
            contested.insert((*address).into(), names.collect());
        }
        let mut people = Self { people: known, by_login, contested };
        people.name_each(told);
        people
    }

    /// Finds a login for each by which others may name it.
    fn name_each(&mut self, told: &mut Vec<String>) {
        let handle = |(index, person): (usize, &Person<'_>)| {
            let first = std::iter::once(&person.login).chain(&person.logins);
            let mut alone = first.filter(|login| self.owners(login)[..] == [index]);
            alone.next().cloned()
        };
        let handles: Vec<_> = self.people.iter().enumerate().map(handle).collect();
        let shared: BTreeMap<&String, &Vec<usize>> =
            self.by_login.iter().filter(|(_, owners)| owners.len() > 1).collect();
        for (login, owners) in shared {
            let names: Vec<String> =
                owners.iter().map(|index| self.people[*index].told()).collect();
            told.push(format!(
                "{login} names more than one account, {}: it stays ambiguous",
                names.join(" and ")
            ));
        }
        for (person, handle) in self.people.iter_mut().zip(handles) {
            if handle.is_none() {
                told.push(format!(
                    "{} has no login of its own: it is left out of every group",
                    person.told()
                ));
            }
            person.handle = handle;
        }
    }

    /// Every account the login may mean, as the file is asked.
    fn owners(&self, login: &str) -> Vec<usize> {
        let Some(login) = Login::parse(login.as_bytes()) else { return Vec::new() };
        let address = login.as_idn_address().and_then(|address| folded(address.as_bytes()));
        let forms = [Some(login.folded().to_string()), address];
        let found = forms.iter().flatten().filter_map(|form| self.by_login.get(form)).flatten();
        found.copied().collect::<BTreeSet<usize>>().into_iter().collect()
    }

    /// Whether the address is that of an account.
    pub fn have(&self, address: &str) -> bool {
        let owners = self.by_login.get(address).map_or(&[][..], Vec::as_slice);
        owners.iter().any(|index| self.people[*index].addresses.iter().any(|own| own == address))
    }

    /// The logins of the members of a group.
    pub fn members(&self, group: usize, name: &str) -> Result<Vec<String>, String> {
        let mut members = Vec::new();
        for person in &self.people {
            match person.holder.memberships.of(group) {
                Membership::Yes => members.extend(person.handle.clone()),
                Membership::No => {}
                Membership::Unknown => {
                    let who = person.told();
                    return Err(format!("whether {who} is in the group {name} is not known now"));
                }
            }
        }
        Ok(members)
    }

    /// Who may write to a recipient; its addresses are left out. `group` gives a group's own name.
    pub fn delivery<'n>(
        &self,
        recipient: &ListedRecipient,
        group: impl Fn(&String) -> &'n str,
        nobody: &str,
    ) -> Delivery {
        let logins = |listed: &[String]| -> Vec<String> {
            let named = listed.iter().filter_map(|login| match self.owners(login)[..] {
                [index] => self.people[index].handle.clone(),
                // Whom it names cannot be told apart, or does not write at all.
                _ => None,
            });
            named.collect::<BTreeSet<String>>().into_iter().collect()
        };
        let groups = |listed: &[String]| -> Vec<String> {
            let named: BTreeSet<&str> = listed.iter().map(&group).collect();
            named.into_iter().map(Into::into).collect()
        };
        let mut delivery = Delivery {
            addresses: Vec::new(),
            authenticated_only: recipient.authenticated_only,
            accept_from: logins(&recipient.accept_from),
            accept_from_groups: groups(&recipient.accept_from_groups),
            reject_from: logins(&recipient.reject_from),
            reject_from_groups: groups(&recipient.reject_from_groups),
        };
        let accepts = delivery.accept_from.len() + delivery.accept_from_groups.len();
        if accepts == 0 && !recipient.accept_from.is_empty() {
            // An empty list would let everybody write.
            delivery.accept_from_groups.push(nobody.into());
        }
        delivery
    }

    pub fn written(
        &self,
        recipients: &Recipients<'_>,
        mut lists: impl FnMut(&ListedRecipient) -> Delivery,
    ) -> Vec<write::Account> {
        let written = self.people.iter().map(|person| {
            let own = person.addresses.iter().filter(|own| !self.contested.contains_key(*own));
            let addresses: Vec<String> = own.cloned().collect();
            let listed = addresses.iter().find_map(|own| recipients.with(own).first().copied());
            let mut delivery = listed.map(&mut lists).unwrap_or_default();
            let folded = person.login.to_lowercase();
            let is_alias = |login: &&String| **login != folded && !addresses.contains(login);
            let aliases = person.logins.iter().filter(is_alias).cloned().collect();
            delivery.addresses = addresses;
            write::Account {
                login: person.login.clone(),
                aliases,
                id: id(person.holder).into(),
                state: write::state_word(person.holder.account.state),
                delivery,
            }
        });
        written.collect()
    }

    /// Addresses that more than one has: recipients of their own, since nobody can say whose lists
    /// hold.
    pub fn contested(&self, told: &mut Vec<String>) -> Vec<String> {
        for (address, names) in &self.contested {
            told.push(format!(
                "{address} is an address of more than one, {}: it stays a recipient, of nobody and open to all",
                names.join(" and ")
            ));
        }
        self.contested.keys().cloned().collect()
    }
}

impl<'a> Person<'a> {
    /// `None`: it has neither a login nor an address.
    fn of(holder: &'a Holder, told: &mut Vec<String>) -> Option<Self> {
        let account = &holder.account;
        let mut addresses = Vec::new();
        for own in &account.addresses {
            match folded(own) {
                Some(address) => addresses.push(address),
                None => told.push(format!(
                    "{} of {} is no address: left out",
                    String::from_utf8_lossy(own),
                    account.name
                )),
            }
        }
        addresses.sort();
        addresses.dedup();
        let own = account.logins.iter().filter(|login| !login.is_empty()).map(|l| l.to_string());
        let own: Vec<String> = own.collect();
        let login = match own.contains(&account.name.to_lowercase()) {
            true => account.name.to_string(),
            false => own.first().or(addresses.first())?.clone(),
        };
        let logins = own.into_iter().chain(addresses.iter().cloned()).collect();
        Some(Self { holder, login, logins, addresses, handle: None })
    }

    fn told(&self) -> String {
        let account = &self.holder.account;
        format!("{} ({})", account.name, account.key)
    }
}

/// The directory's own id of an account, which stays its id.
fn id(holder: &Holder) -> &str {
    let key = holder.account.key.as_str();
    key.split_once(':').map_or(key, |(_, id)| id)
}
