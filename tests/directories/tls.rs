//! TLS towards real servers: LDAPS and StartTLS by a private authority, what is wrong with a
//! certificate, and going without.

use crate::authority;
use crate::gatepost::{FAR, Gatepost, check_online};
use crate::openldap::{Groups, OpenLdap, Settings};
use crate::shared;
use crate::source::{Source, servers, trusts};

const SILENT: &str = "451 4.4.3";

#[test]
fn starttls_is_as_good_as_ldaps() {
    let (samba, openldap) = (shared::samba(), shared::openldap());
    for (url, source) in [
        (format!("ldap://{}", samba.address), Source::of_samba(samba)),
        (
            format!("ldap://127.0.0.1:{}", openldap.ldap),
            Source::of_openldap(openldap, Groups::Plain),
        ),
    ] {
        let tls = format!("starttls = true\n{}", source.tls);
        let gatepost = Gatepost::start(&Source { servers: servers(&[&url]), tls, ..source }, "");
        gatepost.answers("alice", FAR, "DUNNO");
        gatepost.answers("bob", FAR, "550 5.7.1 bob has no relay right");
        let (code, told) = check_online(&gatepost.configuration());
        assert_ne!(code, Some(1), "{told}");
        assert!(told.contains("days"), "{told}");
    }
}

#[test]
fn a_bad_certificate_is_silence_until_there_is_a_good_one() {
    let mut openldap = OpenLdap::start(&Settings::default());
    let folder = openldap.server.folder().to_owned();
    authority::of_stranger(&folder);
    let trusted = folder.join("stranger-ca.pem");
    let tls = format!("ca-file = \"{}\"", trusted.display());
    let source = Source { tls, ..Source::of_openldap(&openldap, Groups::Plain) };
    let gatepost = Gatepost::start(&source, "negative = \"1s\"");
    // The first is by an authority that is not the trusted one.
    let mut says = "UnknownIssuer";
    for (certificate, next) in
        [("expired", "certificate expired"), ("elsewhere", "not valid for name")]
    {
        gatepost.answers("alice", FAR, SILENT);
        gatepost.answers("carol", FAR, SILENT);
        let (code, told) = check_online(&gatepost.configuration());
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains(says), "{says} in\n{told}");
        openldap.certify(certificate);
        says = next;
    }
    gatepost.answers("alice", FAR, SILENT);
    let (_, told) = check_online(&gatepost.configuration());
    assert!(told.contains(says), "{says} in\n{told}");

    openldap.certify("good");
    gatepost.becomes("alice", FAR, "DUNNO");
    gatepost.answers("carol", FAR, "550 5.7.1 carol has no submit right");
    assert!(gatepost.log().contains("UnknownIssuer"), "{}", gatepost.log());

    // Known from now on, so that it is served.
    openldap.certify("expired");
    gatepost.answers("alice", FAR, "DUNNO");
    gatepost.answers("bob", FAR, SILENT);
}

#[test]
fn a_server_that_wants_tls_tells_nobody_without() {
    let (samba, openldap) = (shared::samba(), shared::openldap());
    for (url, source, says) in [
        (format!("ldap://{}", samba.address), Source::of_samba(samba), "strongerAuthRequired"),
        (
            format!("ldap://127.0.0.1:{}", openldap.ldap),
            Source::of_openldap(openldap, Groups::Plain),
            "confidentialityRequired",
        ),
    ] {
        let tls = "insecure-plaintext = true".into();
        let gatepost = Gatepost::start(&Source { servers: servers(&[&url]), tls, ..source }, "");
        gatepost.answers("alice", FAR, SILENT);
        gatepost.answers("carol", FAR, SILENT);
        let (code, told) = check_online(&gatepost.configuration());
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains(says), "{says} in\n{told}");
    }
}

#[test]
fn without_tls_it_works_where_the_server_lets_it_and_is_warned_of() {
    let openldap = OpenLdap::start(&Settings { insists_on_tls: false, ..Settings::default() });
    let source = Source {
        servers: servers(&[&format!("ldap://127.0.0.1:{}", openldap.ldap)]),
        tls: "insecure-plaintext = true".into(),
        ..Source::of_openldap(&openldap, Groups::Plain)
    };
    let mut gatepost = Gatepost::start(&source, "");
    gatepost.answers("alice", FAR, "DUNNO");
    gatepost.wait_for_log("everybody on the way to an ldap:// server can read what it says");
}

#[test]
fn a_client_certificate_binds_as_the_service_account() {
    let openldap = shared::openldap();
    let folder = openldap.server.folder();
    let file = |name: &str| folder.join(name).display().to_string();
    let (certificate, key) = (file("client.pem"), file("client.key"));
    let tls = format!(
        "{}\nclient-certificate = \"{certificate}\"\nclient-key = \"{key}\"",
        trusts(folder)
    );
    let source = Source::of_openldap(openldap, Groups::Plain);
    let external = Source { tls, bind: "method = \"external\"".into(), ..source.clone() };
    let gatepost = Gatepost::start(&external, "");
    gatepost.answers("alice", FAR, "DUNNO");
    let log = openldap.server.written().to_lowercase();
    assert!(log.contains("mech=external"), "{log}");

    // Without one the server shows nothing, not even that there is nothing.
    let bare = Source { bind: "method = \"anonymous\"".into(), ..source };
    Gatepost::start(&bare, "").answers("alice", FAR, SILENT);
}
