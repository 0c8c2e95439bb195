//! The class of a recipient's domain.

use crate::mail::Address;
use crate::rights::Names;

/// Who is responsible for a domain. Exchange 2003's recipient policies and connectors, in our words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DomainClass {
    /// Ours: we know all its recipients.
    Local,
    /// Shared with another system: unknown recipients pass on.
    Shared,
    /// We accept for it from anybody: a backup MX, a connector's address space.
    Relay,
    /// Everything else; needs the relay right.
    External,
}

impl DomainClass {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Shared => "shared",
            Self::Relay => "relay",
            Self::External => "external",
        }
    }
}

/// `[domains]`
#[derive(Clone, Debug, Default)]
pub struct Domains {
    names: Names,
    entries: Vec<(Box<str>, DomainClass)>,
    /// Postfix's `recipient_delimiter`; empty: addresses have no extensions.
    pub recipient_delimiter: Box<str>,
}

impl Domains {
    /// Fails with the class that the same name already has.
    pub fn insert(&mut self, name: &str, class: DomainClass) -> Result<(), DomainClass> {
        match self.names.insert(name, self.entries.len()) {
            Ok(()) => {
                self.entries.push((name.into(), class));
                Ok(())
            }
            Err(earlier) => Err(self.entries[earlier].1),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The names that are let through whoever sends.
    pub fn relayed(&self) -> impl Iterator<Item = &str> {
        let relayed = self.entries.iter().filter(|(_, class)| *class == DomainClass::Relay);
        relayed.map(|(name, _)| &**name)
    }

    /// The class, and the entry that gave it. An address without a domain is local, as the MTA
    /// completes it with its own. A local part that names a route (`user%far@ours`) is external
    /// whatever its domain: the MTA strips its own domain and follows the route.
    pub fn class_of(&self, recipient: &Address) -> (DomainClass, Option<&str>) {
        if recipient.is_routed() {
            return (DomainClass::External, None);
        }
        let Some(domain) = recipient.domain() else { return (DomainClass::Local, None) };
        match self.names.find(domain) {
            Some(index) => {
                let (name, class) = &self.entries[index];
                (*class, Some(name))
            }
            None => (DomainClass::External, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_and_no_back_door() {
        let mut domains = Domains::default();
        for (name, class) in [
            ("example.org", DomainClass::Local),
            (".example.org", DomainClass::Shared),
            ("partner.example", DomainClass::Relay),
        ] {
            domains.insert(name, class).expect("a new name");
        }
        assert_eq!(domains.insert("example.org", DomainClass::Relay), Err(DomainClass::Local));
        let cases = [
            ("a@example.org", DomainClass::Local),
            ("a@EXAMPLE.org.", DomainClass::Local),
            ("postmaster", DomainClass::Local),
            ("a@lab.example.org", DomainClass::Shared),
            ("a@partner.example", DomainClass::Relay),
            ("a@far.test", DomainClass::External),
            ("a@notexample.org", DomainClass::External),
            ("a@[127.0.0.1]", DomainClass::External),
            ("a%far.test@example.org", DomainClass::External),
            ("far.test!a@example.org", DomainClass::External),
            ("a@far.test@example.org", DomainClass::External),
            ("a%far.test", DomainClass::External),
            ("a%far.test@partner.example", DomainClass::External),
        ];
        for (address, class) in cases {
            let address = Address::from_internal(address.as_bytes());
            assert_eq!(domains.class_of(&address).0, class, "{address}");
        }
    }
}
