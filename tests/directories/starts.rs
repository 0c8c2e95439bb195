//! What the servers are worth without gatepost: they start, hold the people, can be disturbed, and
//! say what is missing.

mod ds389;
mod openldap;
mod samba;

use crate::client::Client;
use crate::ldif;
use crate::process::program;
use crate::server::Server;
use rustix::process::Signal;
use std::thread;

/// The first address of alice, read by her DN.
const ALICE: [&str; 1] = ["alice@example.org"];

#[test]
#[should_panic(expected = "no-such-server is missing: install the Debian package its-package")]
fn a_missing_server_is_named_with_its_package() {
    program("no-such-server", "its-package");
}

/// Killed, it refuses; started again, it knows what it knew. Frozen, it answers when it is thawed.
#[track_caller]
fn assert_survives(server: &mut Server, reader: &Client, alice: &str) {
    let read = || ldif::texts(&reader.read(alice, &["mail"]), "mail");
    assert_eq!(read(), ALICE);

    server.stop(Signal::KILL);
    let refused = reader.search(alice, "base", "(objectClass=*)", &["mail"]);
    let complaint = refused.expect_err("nobody listens");
    assert!(complaint.contains("Can't contact LDAP server"), "{complaint}");
    server.run();
    assert_eq!(read(), ALICE);

    server.freeze();
    thread::scope(|scope| {
        let answer = scope.spawn(read);
        assert!(!answer.is_finished());
        server.thaw();
        assert_eq!(answer.join().expect("thawed in time"), ALICE);
    });

    server.restart();
    assert_eq!(read(), ALICE);
}

/// The first names in DNs that have no odd letter in them; in lower case, as dynlist prints them.
fn names(dns: &[String]) -> Vec<String> {
    let name = |dn: &String| {
        let name = dn.split(['=', ',']).nth(1).unwrap_or_else(|| panic!("{dn} is no DN"));
        name.to_lowercase()
    };
    let mut names: Vec<String> = dns.iter().map(name).collect();
    names.sort();
    names
}
