//! Every recipient of the file, for those who list them.

use std::collections::BTreeSet;

use crate::directory::ListedRecipient;
use crate::directory::file::{Content, Party};
use crate::mail::Login;

impl Content {
    pub(super) fn recipients(&self) -> Vec<ListedRecipient> {
        let accounts = self.accounts.iter().map(|entry| &entry.account.name);
        let names = accounts.chain(self.groups.iter().map(|group| &group.name));
        let listed = self.deliveries.iter().zip(names).filter(|(d, _)| !d.addresses.is_empty());
        let listed = listed.map(|(delivery, name)| {
            let (accept_from, accept_from_groups) = self.named(&delivery.accept_from);
            let (reject_from, reject_from_groups) = self.named(&delivery.reject_from);
            let address = |address: &[u8]| String::from_utf8_lossy(address).into();
            ListedRecipient {
                name: name.to_string(),
                addresses: delivery.addresses.iter().map(|own| address(own)).collect(),
                authenticated_only: delivery.authenticated_only,
                accept_from,
                accept_from_groups,
                reject_from,
                reject_from_groups,
            }
        });
        listed.collect()
    }

    /// Logins of accounts, and names of groups.
    fn named(&self, parties: &[Party]) -> (Vec<String>, Vec<String>) {
        let (mut accounts, mut groups) = (BTreeSet::new(), BTreeSet::new());
        for party in parties {
            match party {
                Party::Account(account) => accounts.insert(self.login_of(*account)),
                Party::Group(group) => groups.insert(self.groups[*group].name.to_string()),
            };
        }
        (accounts.into_iter().collect(), groups.into_iter().collect())
    }

    /// A login that is this account's alone. The file named it by one, if perhaps in a form that is
    /// none of its logins: then it is its key, which names nobody.
    fn login_of(&self, index: usize) -> String {
        let account = &self.accounts[index].account;
        let addresses = account.addresses.iter().map(|own| String::from_utf8_lossy(own));
        let mut logins = account.logins.iter().map(|login| (&**login).into()).chain(addresses);
        let is_alone = |login: &std::borrow::Cow<str>| {
            Login::parse(login.as_bytes()).is_some_and(|login| self.find(&login)[..] == [index])
        };
        logins.find(is_alone).map_or_else(|| account.key.to_string(), |login| login.into())
    }
}
