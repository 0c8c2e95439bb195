//! Logins that mean harm, and logins that are one account's under many spellings.

use gatepost::directory::Directory;
use gatepost::directory::meter::LookupResult::Negative;
use gatepost::mail::Address;
use gatepost::rights::{Lookup, RecipientLookup};

use crate::ldap_server::people::{UTF8_GUID, people};
use crate::ldap_server::{Server, When};
use crate::site::Site;

/// Searches for accounts.
fn locates(server: &Server) -> usize {
    server.count(&When::search().filter("(&(sAMAccountType="))
}

#[tokio::test]
async fn what_no_account_can_be_called_is_not_found_and_not_asked() {
    let server = Server::start(people());
    let site = Site::new(&[&server]);
    let hostile: &[&[u8]] = &[
        b"\0",
        b"alice\0",
        b"alice\r\nINJECTED",
        b"\x1b[2Jalice",
        b"alice\x7f",
        b"alice ",
        b" alice",
        b"alice\t",
        "alice\u{a0}".as_bytes(),
        "\u{2028}alice".as_bytes(),
        "al\u{85}ice".as_bytes(),
        b"alice @example.org",
        b"EXAMPLE\\alice ",
        b"OTHER\\alice",
        b"EXAMPLE\\",
        b"\\alice",
        b" ",
        &[b'a'; 300],
        &[b'*'; 300],
        &[b'a'; 1 << 20],
    ];
    for login in hostile {
        let shown = String::from_utf8_lossy(&login[..login.len().min(40)]).into_owned();
        assert_eq!(site.lookup_bytes(login).await, Lookup::NotFound, "{shown:?}");
        assert_eq!(site.results(), [Negative], "{shown:?}");
    }
    assert_eq!(locates(&server), 0);
}

#[tokio::test]
async fn what_would_be_a_filter_is_compared_letter_by_letter() {
    let server = Server::start(people());
    let site = Site::new(&[&server]);
    let hostile: &[&[u8]] = &[
        b"*",
        b"a*",
        b"*)(uid=*",
        b"alice)(objectClass=*",
        b"*)(objectClass=*))(|(cn=*",
        b"alice)(|(cn=*)",
        b"(alice)",
        b"\\2a",
        b"\\61lice",
        b"alice\\00",
        b"*@example.org",
        b"alice*@example.org",
        b"&",
        b"!(cn=alice)",
        b"S-1-5-21-3623811015-3361044348-30300820-1105",
        b"CN=alice,OU=People,DC=example,DC=org",
        b"\xff\xfe",
        b"\xc0\xaa",
        b"al\xefce",
        "alicе".as_bytes(),
        &[b'*'; 256],
        &[b')'; 256],
        b"smtp:alice@example.org",
        b"x500:/o=example/cn=alice",
        b"alice@example.org\\",
        b"alice@other.org",
        b"alice@",
        b"@",
        b"@example.org",
    ];
    for login in hostile {
        let shown = String::from_utf8_lossy(login).into_owned();
        assert_eq!(site.lookup_bytes(login).await, Lookup::NotFound, "{shown:?}");
        assert_eq!(site.results(), [Negative], "{shown:?}");
    }
    // The server has escaped what is part of a value.
    for filter in server.seen().iter().filter_map(|seen| Some(seen.search()?.filter.to_string())) {
        for made in ["*", "(cn=", "(uid=", "(objectClass="] {
            assert!(!filter.contains("sAMAccountType") || !filter.contains(made), "{filter}");
        }
    }
}

#[tokio::test]
async fn every_spelling_of_a_login_is_one_account_with_one_key() {
    let mut directory = people();
    let bjorn = directory.person("björn");
    bjorn.set("userPrincipalName", ["bjorn@example.org"]).set("mail", ["b.jorn@example.org"]);
    let server = Server::start(directory);
    let site = Site::new(&[&server]);
    let key = site.key("björn").await;
    for login in [
        "BJÖRN",
        "bjorn",
        "Bjorn",
        "ｂｊｏｒｎ",
        "bjorn@example.org",
        "björn@EXAMPLE.ORG",
        "EXAMPLE\\bjorn",
        "example\\BJÖRN",
        "b.jorn@example.org",
        "B.JORN@Example.Org",
    ] {
        assert_eq!(site.key(login).await, key, "{login}");
    }
}

#[tokio::test]
async fn a_login_that_accents_alone_tell_apart_is_ambiguous_on_a_server_that_folds_them() {
    let mut directory = people();
    directory.person("björn");
    directory.person("bjorn");
    let server = Server::start(directory);
    let site = Site::new(&[&server]);
    assert_eq!(site.lookup("björn").await, Lookup::Ambiguous);
    assert_eq!(site.lookup("bjorn").await, Lookup::Ambiguous);
    server.behaviour(|behaviour| behaviour.accents_fold = false);
    let site = Site::new(&[&server]);
    assert_ne!(site.key("björn").await, site.key("bjorn").await);
}

#[tokio::test]
async fn one_persons_mail_does_not_shadow_anothers_login() {
    let mut directory = people();
    directory.person("mallory").add("proxyAddresses", "smtp:alice@example.org");
    let server = Server::start(directory);
    let site = Site::new(&[&server]);
    assert_eq!(site.lookup("alice@example.org").await, Lookup::Ambiguous);
    assert_eq!(site.memberships("alice").await, "ynn");
}

#[tokio::test]
async fn a_guid_that_reads_as_text_is_a_guid_like_others() {
    let mut directory = people();
    directory.change("alice").set("objectGUID", [UTF8_GUID]);
    let server = Server::start(directory);
    let site = Site::new(&[&server]);
    let key = site.key("alice").await;
    assert_eq!(key.as_str(), "ldap:74786973-6565-206e-6c65-747465727321");
    // And it is found by it.
    let path = site.directory.path(&key, "Mail-Relay");
    assert_eq!(site.settled(path).await, ["alice", "Mail-Relay"]);
}

#[tokio::test]
async fn a_guid_of_another_length_or_none_is_no_answer() {
    for guid in [vec![], vec![b"short".to_vec()], vec![vec![1; 17]], vec![vec![1; 1 << 20]]] {
        let mut directory = people();
        directory.change("alice").set("objectGUID", guid);
        let server = Server::start(directory);
        let site = Site::new(&[&server]);
        assert_eq!(site.lookup("alice").await, Lookup::Unavailable);
    }
}

#[tokio::test]
async fn junk_among_an_accounts_attributes_is_left_out_and_the_rest_counts() {
    let junk: Vec<u8> = (0..=255).collect();
    let mut directory = people();
    directory
        .change("alice")
        .add("mail", junk.clone())
        .add("mail", vec![])
        .add("mail", "no address")
        .add("proxyAddresses", [b"smtp:", &junk[..]].concat())
        .add("proxyAddresses", "smtp:")
        .add("proxyAddresses", "smtp:@")
        .add("proxyAddresses", "smtp:last@example.org")
        .add("userPrincipalName", junk.clone())
        .add("sAMAccountName", junk);
    let server = Server::start(directory);
    let site = Site::new(&[&server]);
    let account = site.holder("alice").await.account;
    let addresses: Vec<_> =
        account.addresses.iter().map(|address| String::from_utf8_lossy(address)).collect();
    assert_eq!(addresses, ["alice@example.org", "a.liddell@example.org", "last@example.org"]);
    assert_eq!(
        *account.logins,
        [
            "alice",
            "alice@example.org",
            "example\\alice",
            "a.liddell@example.org",
            "last@example.org"
        ]
        .map(Into::into)
    );
    assert!(account.owns(&Address::from_internal(b"LAST@example.org")));
}

#[tokio::test]
async fn junk_where_the_state_of_an_account_stands_is_no_answer() {
    for (attribute, value) in [
        ("userAccountControl", &b"junk"[..]),
        ("userAccountControl", b"\xff\xfe"),
        ("userAccountControl", b""),
        ("accountExpires", b"tomorrow"),
        ("accountExpires", b"-99999999999999999999999"),
        ("msDS-User-Account-Control-Computed", b"\0"),
        ("pwdLastSet", b"junk"),
    ] {
        let mut directory = people();
        directory.change("alice").set(attribute, [value]);
        let server = Server::start(directory);
        let site = Site::new(&[&server]);
        assert_eq!(site.lookup("alice").await, Lookup::Unavailable, "{attribute} {value:x?}");
    }
    let mut directory = people();
    directory.change("alice").remove("userAccountControl");
    let server = Server::start(directory);
    let site = Site::new(&[&server]);
    assert_eq!(site.lookup("alice").await, Lookup::Unavailable, "not even one of them");
}

#[tokio::test]
async fn hostile_recipients_are_not_found() {
    let server = Server::start(people());
    let site = Site::new(&[&server]);
    let long = format!("{}@example.org", "a".repeat(300));
    for address in [
        "*@example.org",
        "*)(mail=*@example.org",
        "alice\0@example.org",
        "alice @example.org",
        "alice",
        "@example.org",
        "",
        &long,
    ] {
        let found = site.recipient(address, gatepost::directory::Author::Nobody).await;
        assert_eq!(found, RecipientLookup::NotFound, "{address:?}");
    }
    let found = site.recipient("alice@example.org", gatepost::directory::Author::Nobody).await;
    assert!(matches!(found, RecipientLookup::Found(_)));
}

#[tokio::test]
async fn the_other_address_is_the_first_that_is_none_of_the_account_itself() {
    let mut directory = people();
    directory
        .person("judy")
        .add("otherMailbox", "JUDY@example.org")
        .add("otherMailbox", "judy@home.test")
        .add("otherMailbox", "judy@work.test");
    let server = Server::start(directory);
    let site = Site::with(&[&server], |plan| {
        plan.settings.schema.other_address = vec!["info".into(), "otherMailbox".into()];
    });
    for (login, expected) in [("judy", Some("judy@home.test")), ("bob", None)] {
        let Lookup::Found(holder) = site.lookup(login).await else { panic!("{login} is there") };
        assert_eq!(holder.account.other_address.as_deref(), expected, "{login}");
    }
}
