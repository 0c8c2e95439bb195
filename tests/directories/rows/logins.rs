//! By what one may log in, and by what nobody can.

use super::{Kind, Place, Rows};
use crate::gatepost::FAR;
use crate::samba;

pub fn hold(place: &Place, rows: &mut Rows) {
    let gatepost = &place.gatepost;
    let key = |login: &str| {
        let told = gatepost.rights(login);
        told["account"]["key"].as_str().unwrap_or("none").to_owned()
    };
    let (alice, bob, carol) = (key("alice"), key("bob"), key("carol"));
    assert_ne!(alice, bob);
    rows.row("the key of alice", &format!("ldap:{}", id(place)), &alice);
    let mut forms = vec![
        ("ALICE".to_owned(), &alice),
        ("alice@example.org".into(), &alice),
        ("Alice.Liddell@EXAMPLE.ORG".into(), &alice),
        ("bob.builder@example.org".into(), &bob),
        (id(place), &alice),
        (id(place).to_uppercase(), &alice),
    ];
    match place.kind {
        Kind::ActiveDirectory => {
            let sid = samba::sid(&place.value("alice", "objectSid"));
            forms.extend([
                ("EXAMPLE\\alice".into(), &alice),
                ("example\\ALICE".into(), &alice),
                ("alice@ad.example.org".into(), &alice),
                ("Alice@AD.EXAMPLE.ORG".into(), &alice),
                // Another suffix than the domain's.
                ("bob.builder@login.example.org".into(), &bob),
                ("bob@ad.example.org".into(), &bob),
                // Without a userPrincipalName, by the implicit one.
                ("carol@ad.example.org".into(), &carol),
                (sid, &alice),
            ]);
        }
        Kind::OpenLdap | Kind::Ds389 => {
            forms.push(("a.liddell@idp.example.edu".into(), &alice));
            forms.push(("A.Liddell@IDP.example.edu".into(), &alice));
        }
    }
    for (login, whose) in forms {
        rows.row(&login, whose, &key(&login));
    }
    for login in [
        "*",
        "*)(uid=*",
        "alice)(|(uid=*",
        "alice*",
        "ali*e",
        "alice\\00",
        "alice\\",
        "\\61lice",
        "EXAMPLE\\\\alice",
        "OTHER\\alice",
        "alice@other.test",
        "alice@sip.example.org",
        "/o=Example/cn=alice",
        "X500:/o=Example/cn=alice",
        "smtp:alice@example.org",
        "uid=alice,ou=People,dc=example,dc=org",
        "partner@example.org",
        "list-open@example.org",
        "No-Mail",
    ] {
        let expected = format!("550 5.7.1 {login} is not known to the directory");
        rows.row(format!("{login:?}"), &expected, &gatepost.of(login, FAR));
    }
    // A reply shows neither the spaces around it nor what is not ASCII.
    for (login, shown) in [("alice ", "alice"), (" alice", "alice"), ("alice\u{a0}", "alice?")] {
        let expected = format!("550 5.7.1 {shown} is not known to the directory");
        rows.row(format!("{login:?}"), &expected, &gatepost.of(login, FAR));
    }
    for login in ["shared@example.org", "SHARED@example.org"] {
        let expected =
            format!("451 4.3.5 {login} names more than one account; please tell the postmaster");
        rows.row(login, &expected, &gatepost.of(login, FAR));
    }
    assert_eq!(key("dup1").len(), key("dup2").len());
    assert_ne!(key("dup1"), key("dup2"));
}

/// The stable id of alice, as the server's administrators know it.
fn id(place: &Place) -> String {
    match place.kind {
        Kind::ActiveDirectory => guid(&place.value("alice", "objectGUID")),
        Kind::OpenLdap => text(place.value("alice", "entryUUID")),
        Kind::Ds389 => text(place.value("alice", "nsUniqueId")),
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("text")
}

/// MS-DTYP 2.3.4: the first three parts are little-endian.
fn guid(bytes: &[u8]) -> String {
    let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let digits: Vec<String> = order.iter().map(|place| format!("{:02x}", bytes[*place])).collect();
    [&digits[..4], &digits[4..6], &digits[6..8], &digits[8..10], &digits[10..]]
        .map(|part| part.concat())
        .join("-")
}
