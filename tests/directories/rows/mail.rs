//! Senders and their owners, recipients, and to whom lists are open.

use super::{Kind, Place, Rows};

const PASS: &str = "DUNNO";

pub fn hold(place: &Place, rows: &mut Rows) {
    senders(place, rows);
    recipients(place, rows);
    lists(place, rows);
}

fn senders(place: &Place, rows: &mut Rows) {
    let inside = "nina@example.org";
    let mut ask = |login: &str, sender: &str, is_own: bool| {
        let expected = match is_own {
            true => PASS.to_owned(),
            false => format!("553 5.7.1 {login} may not send as {sender}"),
        };
        let found = place.gatepost.ask(login, sender, inside);
        rows.row(format!("{login} as {sender}"), &expected, &found);
    };
    for (login, sender) in [
        ("alice", ""),
        ("alice", "alice@example.org"),
        ("alice", "ALICE.Liddell@Example.ORG"),
        ("alice", "press@example.org"),
        ("bob", "bob.builder@example.org"),
        ("bob", "press@example.org"),
        ("hmueller", "hans.müller@example.org"),
        ("hmueller", "odd@example.org"),
        ("dup1", "shared@example.org"),
        ("dup2", "shared@example.org"),
    ] {
        ask(login, sender, true);
    }
    for (login, sender) in [
        ("alice", "bob@example.org"),
        ("alice", "alice@sip.example.org"),
        ("alice", "odd@example.org"),
        ("alice", "*@example.org"),
        ("prim1", "press@example.org"),
        ("bob", "list-open@example.org"),
    ] {
        ask(login, sender, false);
    }
    // A user principal name is an address where AD has mail.
    ask("alice", "alice@ad.example.org", place.kind == Kind::ActiveDirectory);
}

fn recipients(place: &Place, rows: &mut Rows) {
    for recipient in [
        "alice@example.org",
        "Alice@EXAMPLE.org",
        "alice.liddell@example.org",
        "hans.müller@example.org",
        // A disabled mailbox takes mail, as shared ones are.
        "dave@example.org",
        "erin@example.org",
        "list-open@example.org",
    ] {
        rows.row(format!("to {recipient}"), PASS, &place.gatepost.of("alice", recipient));
        rows.row(format!("stranger to {recipient}"), PASS, &place.gatepost.of_stranger(recipient));
    }
    for recipient in [
        "unknown@example.org",
        "*@example.org",
        "alice)(mail=*@example.org",
        "alice @example.org",
        "all-staff@example.org",
    ] {
        let expected = format!("550 5.1.1 {recipient} is not known here");
        rows.row(format!("to {recipient}"), &expected, &place.gatepost.of("alice", recipient));
        let found = place.gatepost.of_stranger(recipient);
        rows.row(format!("stranger to {recipient}"), &expected, &found);
    }
    if place.kind == Kind::ActiveDirectory {
        rows.row("to a contact", PASS, &place.gatepost.of_stranger("partner@example.org"));
    }
}

fn lists(place: &Place, rows: &mut Rows) {
    let restricted = "550 5.7.2 {} takes mail from its list of senders only";
    let denied = "550 5.7.1 {} does not take mail from this sender";
    let inside = "550 5.7.1 {} takes mail from logged-in senders only";
    for (list, login, expected) in [
        ("list-open", "bob", PASS),
        ("list-alice", "alice", PASS),
        ("list-alice", "bob", restricted),
        ("list-alice", "", restricted),
        // Five deep, by the primary group, and by a distribution group.
        ("list-submit", "bob", PASS),
        ("list-submit", "prim1", PASS),
        ("list-submit", "dist1", PASS),
        ("list-submit", "dup1", PASS),
        ("list-submit", "alice", restricted),
        ("list-submit", "", restricted),
        ("list-without-bob", "alice", PASS),
        ("list-without-bob", "bob", denied),
        ("list-without-bob", "", PASS),
        ("list-without-relay", "bob", PASS),
        ("list-without-relay", "alice", denied),
        // By an odd group below it.
        ("list-without-relay", "hmueller", denied),
        ("list-without-relay", "", PASS),
        ("list-inside", "alice", PASS),
        ("list-inside", "", inside),
    ] {
        let recipient = format!("{list}@example.org");
        let found = match login {
            "" => place.gatepost.of_stranger(&recipient),
            login => place.gatepost.of(login, &recipient),
        };
        rows.row(format!("{login} to {list}"), &expected.replace("{}", &recipient), &found);
    }
}
