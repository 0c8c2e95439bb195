//! A suspended account of Samba AD: one by whatever name, and released as stolen only with a new password.

use crate::gatepost::{FAR, Gatepost};
use crate::samba::SambaAd;
use crate::source::Source;
use serde_json::Value;

/// What the directory said is kept for long, and nobody watches it.
const KEEPING: &str = "fresh = \"5m\"";
const ENFORCING: &str = "[detector]\nmode = \"enforce\"\n";

/// By sAMAccountName, with and without the domain, by userPrincipalName, by the address and another one of
/// proxyAddresses.
const FORMS: [&str; 6] = [
    "alice",
    "EXAMPLE\\alice",
    "alice@ad.example.org",
    "alice@example.org",
    "Alice.Liddell@example.org",
    "ALICE",
];

const SUSPENDED: &str = "550 5.7.13 Sending is suspended for this account";

#[test]
fn a_thief_with_a_name_for_each_message_is_one_and_needs_a_new_password_to_be_released() {
    let controller = SambaAd::start();
    let mut gatepost = Gatepost::prepare(&Source::of_samba(&controller), KEEPING, ENFORCING);
    gatepost.run();
    for login in FORMS {
        gatepost.answers(login, FAR, "DUNNO");
    }
    let refused = steal(&gatepost);
    for login in FORMS {
        gatepost.answers(login, FAR, SUSPENDED);
        let account = gatepost.tell(&["accounts", "show", login]);
        assert_eq!(account["state"], "suspended", "{login}");
        let incident = gatepost.tell(&["suspensions", "show", login]);
        let id = incident["id"].as_str().expect("an id");
        assert!(refused.contains(&format!("[{id}]")), "{login}: {id} in {refused}");
    }
    gatepost.answers("bob", "nina@example.org", "DUNNO");

    let [by_login, by_principal] = ["EXAMPLE\\alice", "alice@ad.example.org"];
    for login in [by_login, by_principal, "alice"] {
        let (code, told) = release(&gatepost, login);
        assert_eq!(code, Some(6), "{told}");
        assert!(told.contains("its password was last changed at"), "{told}");
        gatepost.answers(login, FAR, SUSPENDED);
    }
    let before = password_set(&gatepost);
    controller.set_password("alice", "A-New-Passw0rd!");
    assert_eq!(password_set(&gatepost), before, "what was kept answers");
    let (code, told) = release(&gatepost, by_principal);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("  its password was last set at 20"), "{told}");
    for login in FORMS {
        gatepost.answers(login, FAR, "DUNNO");
    }
    assert_eq!(gatepost.tell(&["accounts", "show", by_login])["state"], "probation");

    // Under whichever name: it is one account's.
    for login in FORMS {
        let deeds = gatepost.tell(&["audit", "--login", login]);
        let deeds: Vec<&Value> =
            deeds.as_array().expect("a list").iter().map(|deed| &deed["what"]).collect();
        assert_eq!(deeds, ["suspended", "released"], "{login}");
    }
}

/// Each message under another name, to somebody else, until one is refused; the refusal.
fn steal(gatepost: &Gatepost) -> String {
    let mut answers = FORMS.iter().enumerate().map(|(number, login)| {
        gatepost.charge(login, "alice@example.org", &format!("stranger{number}@far.test"))
    });
    let refused = answers.find(|answer| answer != "DUNNO");
    refused.expect("the sixth is refused at the latest")
}

fn release(gatepost: &Gatepost, login: &str) -> (Option<i32>, String) {
    let why = ["--verdict", "true-positive", "--note", "ticket 4711"];
    let done = gatepost.command(&[&["release", login], &why[..]].concat());
    let told = [done.stdout, done.stderr].concat();
    (done.status.code(), String::from_utf8_lossy(&told).into_owned())
}

/// As it is kept.
fn password_set(gatepost: &Gatepost) -> Value {
    let set = gatepost.rights("alice")["account"]["password_set"].clone();
    assert!(set.is_string(), "{set}");
    set
}
