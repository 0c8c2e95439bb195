//! Recipients by their addresses, and addresses that more than one has.

use std::collections::{BTreeMap, HashMap};

use crate::directory::ListedRecipient;
use crate::directory::export::folded;
use crate::directory::export::people::People;

pub(super) struct Recipients<'a> {
    listed: Vec<&'a ListedRecipient>,
    /// Folded addresses, in their order, of each of `listed`.
    addresses: Vec<Vec<String>>,
    /// Folded addresses to places in `listed`.
    by_address: HashMap<String, Vec<usize>>,
}

impl<'a> Recipients<'a> {
    pub fn of(listed: &'a [ListedRecipient], told: &mut Vec<String>) -> Self {
        let mut listed: Vec<&ListedRecipient> = listed.iter().collect();
        listed.sort_by_cached_key(|one| (one.name.to_lowercase(), one.addresses.clone()));
        let mut by_address: HashMap<String, Vec<usize>> = HashMap::new();
        let mut addresses = Vec::new();
        for (index, recipient) in listed.iter().enumerate() {
            let mut own: Vec<String> = Vec::new();
            for address in &recipient.addresses {
                match folded(address.as_bytes()) {
                    Some(address) => own.push(address),
                    None => told
                        .push(format!("{address} of {} is no address: left out", recipient.name)),
                }
            }
            own.sort();
            own.dedup();
            for address in &own {
                by_address.entry(address.clone()).or_default().push(index);
            }
            addresses.push(own);
        }
        Self { listed, addresses, by_address }
    }

    /// Whoever has the address; several where the directory is at odds with itself.
    pub fn with(&self, address: &str) -> Vec<&'a ListedRecipient> {
        let found = self.by_address.get(address).map_or(&[][..], Vec::as_slice);
        found.iter().map(|index| self.listed[*index]).collect()
    }

    /// Addresses that more than one recipient has, and the names of those.
    pub fn at_odds(&self) -> BTreeMap<&str, Vec<&str>> {
        let several = self.by_address.iter().filter(|(_, found)| found.len() > 1);
        let named = several.map(|(address, found)| {
            let names = found.iter().map(|index| &*self.listed[*index].name);
            (&**address, names.collect())
        });
        named.collect()
    }

    /// Those with an address that is no account's, and those addresses.
    pub fn no_accounts(
        &self,
        people: &People<'_>,
    ) -> impl Iterator<Item = (&'a ListedRecipient, Vec<String>)> {
        let pairs = self.listed.iter().zip(&self.addresses);
        pairs.filter_map(|(recipient, addresses)| {
            let is_left =
                |address: &&String| self.by_address[*address].len() == 1 && !people.have(address);
            let left: Vec<String> = addresses.iter().filter(is_left).cloned().collect();
            (!left.is_empty()).then_some((*recipient, left))
        })
    }
}
