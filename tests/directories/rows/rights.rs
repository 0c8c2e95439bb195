//! Standing and rights: groups named by name, DN and SID, and held in every way.

use super::{Kind, Place, Rows};
use crate::gatepost::FAR;
use crate::people::ODD_GROUP;

const PASS: &str = "DUNNO";
const INSIDE: &str = "nina@example.org";

pub fn hold(place: &Place, rows: &mut Rows) {
    let gatepost = &place.gatepost;
    for (login, recipient, expected) in [
        // In the relay group itself, which is named by its DN in capitals.
        ("alice", FAR, PASS),
        // By a group and a person with odd DNs.
        ("hmueller", FAR, PASS),
        // Five deep.
        ("bob", INSIDE, PASS),
        ("bob", FAR, "550 5.7.1 bob has no relay right: mail to far.test is not allowed"),
        // In a cycle below the deny group, which AD is told by its SID.
        ("carol", INSIDE, "550 5.7.1 carol has no submit right"),
        // By the primary group, and by a distribution group.
        ("prim1", INSIDE, PASS),
        ("dist1", INSIDE, PASS),
        ("dup1", INSIDE, PASS),
        ("nina", INSIDE, "550 5.7.1 nina has no submit right"),
        ("dave", INSIDE, "550 5.7.13 The account dave is disabled"),
        ("erin", INSIDE, "550 5.7.13 The account erin has expired"),
        ("frank", INSIDE, "450 4.7.13 The account frank is locked for now, try again later"),
        ("nobody", INSIDE, "550 5.7.1 nobody is not known to the directory"),
    ] {
        rows.row(format!("{login} to {recipient}"), expected, &gatepost.of(login, recipient));
    }
    paths(place, rows);
}

/// What `explain` and `rights` tell of the way into a group.
fn paths(place: &Place, rows: &mut Rows) {
    let gatepost = &place.gatepost;
    // AD forbids the letters of its name in a sAMAccountName.
    let odd = if place.kind == Kind::ActiveDirectory { "grp-odd" } else { ODD_GROUP };
    for (login, recipient, words) in [
        ("bob", INSIDE, "bob -> deep-5 -> deep-4 -> deep-3 -> deep-2 -> deep-1 -> Mail-Submit"),
        ("carol", INSIDE, "carol -> cyc-b -> cyc-a -> No-Mail"),
        ("alice", FAR, "alice -> Mail-Relay"),
        ("hmueller", FAR, &format!("hmueller -> {odd} -> Mail-Relay")),
        ("prim1", INSIDE, "prim1 -> prim-group -> Mail-Submit"),
        ("dist1", INSIDE, "dist1 -> Dist -> Mail-Submit"),
    ] {
        let told = gatepost.explain(login, recipient);
        let told = told["steps"].to_string();
        rows.row(
            format!("{words} in\n{told}"),
            "yes",
            yes(told.contains(&words.replace('\\', "\\\\"))),
        );
    }
}

fn yes(is_so: bool) -> &'static str {
    if is_so { "yes" } else { "no" }
}
