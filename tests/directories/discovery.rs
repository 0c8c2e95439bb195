//! Servers that DNS names.

use crate::dns::{NameServer, Records, Service};
use crate::gatepost::{FAR, Gatepost, check_online};
use crate::openldap::Groups;
use crate::ports::free_ports;
use crate::shared;
use crate::source::Source;
use std::net::Ipv4Addr;

/// `discover` with this name server, and StartTLS.
fn discovering(source: Source, domain: &str, dns: &NameServer) -> Source {
    Source {
        servers: format!("discover = \"{domain}\"\nname-servers = [\"127.0.0.1:{}\"]", dns.port),
        tls: format!("starttls = true\n{}", source.tls),
        ..source
    }
}

#[test]
fn domain_controllers_are_found_by_dns_and_the_first_that_answers_is_asked() {
    const NAME: &str = "_ldap._tcp.dc._msdcs.ad.example.org";
    let controller = shared::samba();
    let [nobody] = free_ports();
    let service = |priority, port, target| Service { name: NAME, priority, port, target };
    let dns = NameServer::start();
    dns.answer(Records {
        addresses: vec![
            ("dc.ad.example.org", controller.address),
            ("gone.ad.example.org", Ipv4Addr::LOCALHOST),
        ],
        services: vec![
            service(20, 389, "dc.ad.example.org"),
            service(10, nobody, "gone.ad.example.org"),
        ],
    });
    let source = discovering(Source::of_samba(controller), "ad.example.org", &dns);
    let gatepost = Gatepost::start(&source, "");
    gatepost.becomes("alice", FAR, "DUNNO");
    gatepost.answers("carol", FAR, "550 5.7.1 carol has no submit right");
    let up = |server: &str| gatepost.metric(&format!("directory_server_up{{server=\"{server}\"}}"));
    assert_eq!(up("ldap://dc.ad.example.org:389"), 1.0);
    assert_eq!(up(&format!("ldap://gone.ad.example.org:{nobody}")), 0.0);
    let (code, told) = check_online(&gatepost.configuration());
    assert_eq!(code, Some(1), "one of them is gone\n{told}");
    assert!(told.contains("connected and bound") && told.contains("is trusted"), "{told}");
}

#[test]
fn a_server_found_by_dns_must_bear_the_name_that_dns_gave() {
    let openldap = shared::openldap();
    let records = |target| Records {
        addresses: vec![(target, Ipv4Addr::LOCALHOST)],
        services: vec![Service {
            name: "_ldap._tcp.example.org",
            priority: 0,
            port: openldap.ldap,
            target,
        }],
    };
    let source = || Source::of_openldap(openldap, Groups::Plain);
    let dns = NameServer::start();
    dns.answer(records("ldap.example.net"));
    let gatepost = Gatepost::start(&discovering(source(), "example.org", &dns), "");
    gatepost.answers("alice", FAR, "451 4.4.3");
    let (_, told) = check_online(&gatepost.configuration());
    assert!(told.contains("not valid for name"), "{told}");

    dns.answer(records("ldap.example.org"));
    let gatepost = Gatepost::start(&discovering(source(), "example.org", &dns), "");
    gatepost.becomes("alice", FAR, "DUNNO");
}

#[test]
fn a_name_server_that_was_silent_at_the_start_is_asked_again() {
    let openldap = shared::openldap();
    let dns = NameServer::start();
    let source = discovering(Source::of_openldap(openldap, Groups::Plain), "example.org", &dns);
    let gatepost = Gatepost::start(&source, "");
    gatepost.answers("alice", FAR, "451 4.4.3");
    dns.answer(Records {
        addresses: vec![("ldap.example.org", Ipv4Addr::LOCALHOST)],
        services: vec![Service {
            name: "_ldap._tcp.example.org",
            priority: 0,
            port: openldap.ldap,
            target: "ldap.example.org",
        }],
    });
    gatepost.becomes("alice", FAR, "DUNNO");
}
