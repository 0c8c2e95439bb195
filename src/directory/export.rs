//! Everybody a directory knows, as a directory file, for nodes that cannot ask it: each lookup and
//! each recipient gets the same answer there, for the groups the configuration names.

mod people;
mod recipients;

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::directory::export::people::People;
use crate::directory::export::recipients::Recipients;
use crate::directory::file::write::{self, Group};
use crate::directory::{Directory, ListedRecipient};
use crate::mail::Address;
use crate::rights::{Groups, Holder};

/// A directory file, not yet written.
#[derive(Debug)]
pub struct Export {
    pub accounts: usize,
    pub groups: usize,
    pub text: String,
    /// What was left out or is not quite alike, and why; each names others' text as it is.
    pub told: Vec<String>,
}

/// Reads everybody. A fault says why there is no export: half of one would take rights away, or
/// skip a deny.
pub async fn export(directory: &dyn Directory, groups: &Groups) -> Result<Export, String> {
    let recipients = directory.recipients().wait().await?;
    let mut groups = groups.clone();
    for recipient in &recipients {
        for name in recipient.accept_from_groups.iter().chain(&recipient.reject_from_groups) {
            groups.index(name);
        }
    }
    let people = directory.people(&groups).wait().await?;
    write(&people, &recipients, &groups)
}

/// `groups` has those of the recipients' lists, too.
fn write(
    people: &[Holder],
    recipients: &[ListedRecipient],
    groups: &Groups,
) -> Result<Export, String> {
    let mut told = Vec::new();
    let recipients = Recipients::of(recipients, &mut told);
    let people = People::of(people, &recipients, &mut told);
    let mut names = GroupNames::default();
    let mut written: Vec<Group> = Vec::new();
    for (index, name) in groups.names().enumerate() {
        let members = people.members(index, name)?;
        written.push(Group { name: names.unique(name), members, ..Group::default() });
    }
    let nobody = names.unique("(nobody)");
    let places = groups.folded().iter().enumerate();
    let places: HashMap<&str, usize> = places.map(|(index, name)| (&**name, index)).collect();
    let mut is_named = false;
    let mut lists = |recipient: &ListedRecipient| {
        let group = |name: &String| groups.name(places[&*name.to_lowercase()]);
        let delivery = people.delivery(recipient, group, &nobody);
        is_named |= delivery.accept_from_groups.contains(&nobody);
        delivery
    };
    let accounts: Vec<write::Account> = people.written(&recipients, &mut lists);
    let mut is_merged = vec![false; written.len()];
    for (recipient, addresses) in recipients.no_accounts(&people) {
        let delivery = write::Delivery { addresses, ..lists(recipient) };
        let same = places.get(&*recipient.name.to_lowercase()).copied();
        match same.filter(|index| !is_merged[*index]) {
            Some(index) => {
                is_merged[index] = true;
                written[index].delivery = delivery;
            }
            None => {
                let name = names.unique(&recipient.name);
                written.push(Group { name, delivery, ..Group::default() });
            }
        }
    }
    for address in people.contested(&mut told) {
        let name = names.unique(&address);
        let delivery = write::Delivery { addresses: vec![address], ..Default::default() };
        written.push(Group { name, delivery, ..Group::default() });
    }
    if is_named {
        written.push(Group { name: nobody, ..Group::default() });
    }
    let text = write::written(&accounts, &written).map_err(|fault| fault.to_string())?;
    write::check("the export", &text).map_err(|faults| {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        format!("what was written cannot be read again: {}", faults.join("; "))
    })?;
    Ok(Export { accounts: accounts.len(), groups: written.len(), text, told })
}

/// Names of groups, each given once, without regard to case.
#[derive(Default)]
struct GroupNames(HashMap<String, usize>);

impl GroupNames {
    /// The name itself where it is new, else with a number behind it.
    fn unique(&mut self, name: &str) -> String {
        let folded = name.to_lowercase();
        let mut number = match self.0.entry(folded.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(1);
                return name.into();
            }
            Entry::Occupied(entry) => *entry.get(),
        };
        loop {
            number += 1;
            let numbered = format!("{name} ({number})");
            if let Entry::Vacant(entry) = self.0.entry(numbered.to_lowercase()) {
                entry.insert(1);
                self.0.insert(folded, number);
                return numbered;
            }
        }
    }
}

/// An address as it is compared. `None`: a directory file takes no such address.
fn folded(address: &[u8]) -> Option<String> {
    let address = Address::from_internal(address);
    address.domain()?;
    String::from_utf8(address.folded().to_vec()).ok()
}
