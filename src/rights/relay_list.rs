//! `[relay]`: the relay right of clients that need no login. Exchange 2003's "Only the list below",
//! on addresses, subnets and domains, and certificates beside them.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap;

use crate::mail::{Certificate, Client};
use crate::rights::{Finding, Names, Ruling, Source};

/// One entry of `networks`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkEntry {
    pub net: IpNet,
    /// `None` in an all-except list: excepted, which is no deny.
    pub ruling: Option<Ruling>,
    pub line: usize,
}

/// One entry of `hosts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostEntry {
    pub name: Box<str>,
    pub ruling: Ruling,
    pub line: usize,
}

/// One entry of `certificates`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateEntry {
    pub name: CertificateName,
    pub ruling: Ruling,
    pub line: usize,
}

/// What a certificate is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateName {
    /// SHA-256 of the certificate or of its public key; hex in lower case.
    Fingerprint(Box<str>),
    /// Common name, of a certificate that a CA trusted by the MTA signed.
    Subject(Box<str>),
}

/// The list of trusted clients.
#[derive(Clone, Debug, Default)]
pub struct RelayList {
    pub networks: Vec<NetworkEntry>,
    pub hosts: Vec<HostEntry>,
    pub certificates: Certificates,
    /// Whether clients that match no network may relay (Exchange's "All except the list below").
    pub all_except: bool,
    v4: PrefixMap<Ipv4Net, usize>,
    v6: PrefixMap<Ipv6Net, usize>,
    names: Names,
}

/// `certificates`
#[derive(Clone, Debug, Default)]
pub struct Certificates(pub Vec<CertificateEntry>);

impl RelayList {
    /// Fails with the line of the entry that already names this very network.
    pub fn insert_network(&mut self, entry: NetworkEntry) -> Result<(), usize> {
        let index = self.networks.len();
        let earlier = match entry.net {
            IpNet::V4(net) => insert_new(&mut self.v4, net, index),
            IpNet::V6(net) => insert_new(&mut self.v6, net, index),
        };
        if let Some(earlier) = earlier {
            return Err(self.networks[earlier].line);
        }
        self.networks.push(entry);
        Ok(())
    }

    /// Fails with the line of the entry that already has this name.
    pub fn insert_host(&mut self, entry: HostEntry) -> Result<(), usize> {
        self.names
            .insert(&entry.name, self.hosts.len())
            .map_err(|earlier| self.hosts[earlier].line)?;
        self.hosts.push(entry);
        Ok(())
    }

    /// What the lists say of this client. Of networks the longest prefix speaks, of names the most
    /// exact one; a deny of one kind outweighs an allow of another. `may_except`: whether an
    /// all-except list counts here at all, which it never does where the Internet comes in.
    pub fn client(&self, client: &Client, may_except: bool) -> Finding {
        let network = match client.address.and_then(|address| self.network_of(address)) {
            Some(index) => ruled(self.networks[index].ruling, Source::Network(index as u32)),
            None if self.all_except && may_except && client.address.is_some() => {
                Finding::Allowed(Source::EverybodyElse)
            }
            None => Finding::Silent,
        };
        let host = match client.name.as_deref().and_then(|name| self.names.find(name.as_bytes())) {
            Some(index) => ruled(Some(self.hosts[index].ruling), Source::Host(index as u32)),
            None => Finding::Silent,
        };
        let certificate = client
            .certificate
            .as_ref()
            .map_or(Finding::Silent, |certificate| self.certificates.find(certificate));
        network.or(host).or(certificate)
    }

    /// Whether any client may relay by it.
    pub fn allows_some(&self) -> bool {
        let allows = |ruling| ruling == Some(Ruling::Allow);
        self.all_except
            || self.networks.iter().any(|entry| allows(entry.ruling))
            || self.hosts.iter().any(|entry| allows(Some(entry.ruling)))
            || self.certificates.0.iter().any(|entry| allows(Some(entry.ruling)))
    }

    fn network_of(&self, address: IpAddr) -> Option<usize> {
        match address {
            IpAddr::V4(address) => {
                self.v4.get_lpm(&Ipv4Net::from(address)).map(|(_, index)| *index)
            }
            IpAddr::V6(address) => {
                self.v6.get_lpm(&Ipv6Net::from(address)).map(|(_, index)| *index)
            }
        }
    }
}

impl Certificates {
    fn find(&self, certificate: &Certificate) -> Finding {
        let mut settled = Finding::Silent;
        for (index, entry) in self.0.iter().enumerate() {
            let named = match &entry.name {
                CertificateName::Fingerprint(own) => {
                    certificate.fingerprints.iter().flatten().any(|given| given == own)
                }
                CertificateName::Subject(own) => certificate.subject.as_ref() == Some(own),
            };
            if named {
                settled = settled.or(ruled(Some(entry.ruling), Source::Certificate(index as u32)));
            }
        }
        settled
    }
}

fn ruled(ruling: Option<Ruling>, source: Source) -> Finding {
    match ruling {
        Some(Ruling::Allow) => Finding::Allowed(source),
        Some(Ruling::Deny) => Finding::Denied(source),
        None => Finding::Silent,
    }
}

fn insert_new<P: prefix_trie::Prefix>(
    map: &mut PrefixMap<P, usize>,
    net: P,
    index: usize,
) -> Option<usize> {
    match map.get(&net) {
        Some(earlier) => Some(*earlier),
        None => {
            map.insert(net, index);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(networks: &[(&str, Option<Ruling>)]) -> RelayList {
        let mut list = RelayList::default();
        for (line, (net, ruling)) in networks.iter().enumerate() {
            let net = net.parse().expect("a network");
            list.insert_network(NetworkEntry { net, ruling: *ruling, line }).expect("a new one");
        }
        list
    }

    fn client(address: &str) -> Client {
        Client { address: Client::parse_address(address.as_bytes()), ..Client::default() }
    }

    #[test]
    fn the_longest_prefix_speaks() {
        let list = list(&[
            ("192.0.2.0/28", Some(Ruling::Allow)),
            ("192.0.2.8/29", Some(Ruling::Deny)),
            ("192.0.2.9/32", Some(Ruling::Allow)),
            ("2001:db8::/32", Some(Ruling::Allow)),
        ]);
        let found = |address: &str| list.client(&client(address), true);
        assert_eq!(found("192.0.2.7"), Finding::Allowed(Source::Network(0)));
        assert_eq!(found("192.0.2.8"), Finding::Denied(Source::Network(1)));
        assert_eq!(found("192.0.2.9"), Finding::Allowed(Source::Network(2)));
        assert_eq!(found("192.0.2.16"), Finding::Silent);
        assert_eq!(found("::ffff:192.0.2.7"), Finding::Allowed(Source::Network(0)));
        assert_eq!(found("2001:db8::1"), Finding::Allowed(Source::Network(3)));
        assert_eq!(found("unknown"), Finding::Silent);
    }

    #[test]
    fn all_except_gives_nothing_where_it_may_not_count_nor_to_unknown_clients() {
        let mut list = list(&[("198.51.100.0/24", None)]);
        list.all_except = true;
        assert_eq!(
            list.client(&client("203.0.113.1"), true),
            Finding::Allowed(Source::EverybodyElse)
        );
        assert_eq!(list.client(&client("203.0.113.1"), false), Finding::Silent);
        assert_eq!(list.client(&client("198.51.100.1"), true), Finding::Silent);
        assert_eq!(list.client(&client("unknown"), true), Finding::Silent);
    }

    #[test]
    fn a_deny_of_one_kind_outweighs_an_allow_of_another() {
        let mut list = list(&[("192.0.2.0/24", Some(Ruling::Deny))]);
        list.insert_host(HostEntry {
            name: ".printers.example.org".into(),
            ruling: Ruling::Allow,
            line: 1,
        })
        .expect("a new one");
        let mut both = client("192.0.2.1");
        both.name = Some("p1.printers.example.org".into());
        assert_eq!(list.client(&both, true), Finding::Denied(Source::Network(0)));
        both.address = None;
        assert_eq!(list.client(&both, true), Finding::Allowed(Source::Host(0)));
    }

    #[test]
    fn certificates_match_by_either_fingerprint_or_by_subject() {
        let mut list = RelayList::default();
        for (name, ruling) in [
            (CertificateName::Fingerprint("ab01".into()), Ruling::Allow),
            (CertificateName::Subject("relay.example.org".into()), Ruling::Allow),
            (CertificateName::Fingerprint("ff".into()), Ruling::Deny),
        ] {
            list.certificates.0.push(CertificateEntry { name, ruling, line: 1 });
        }
        let found = |fingerprints: [Option<&str>; 2], subject: Option<&str>| {
            let fingerprints = fingerprints.map(|f| f.map(Into::into));
            let certificate = Certificate { fingerprints, subject: subject.map(Into::into) };
            list.client(
                &Client { certificate: Some(Box::new(certificate)), ..Client::default() },
                false,
            )
        };
        assert_eq!(found([None, Some("ab01")], None), Finding::Allowed(Source::Certificate(0)));
        assert_eq!(found([Some("ab01"), None], None), Finding::Allowed(Source::Certificate(0)));
        assert_eq!(
            found([Some("cc"), None], Some("relay.example.org")),
            Finding::Allowed(Source::Certificate(1))
        );
        assert_eq!(
            found([Some("ff"), None], Some("relay.example.org")),
            Finding::Denied(Source::Certificate(2))
        );
        assert_eq!(found([Some("cc"), None], None), Finding::Silent);
    }
}
