//! Recipients: whether they exist in a local domain, and whose mail they take.

use crate::common::{Ask, INTERNET, Rows, SUBMISSION, Site, observed, rcpt, word};

const PEOPLE: &str = "
[[account]]
login = 'alice'
addresses = ['alice@example.org']
[[account]]
login = 'bob'
addresses = ['bob@example.org']
[[account]]
login = 'carol'
[[group]]
name = 'Staff'
groups = ['Night shift']
[[group]]
name = 'Night shift'
members = ['bob']

[[group]]
name = 'open'
addresses = ['open@example.org']
[[group]]
name = 'members'
addresses = ['members@example.org']
authenticated-only = true
[[group]]
name = 'boss'
addresses = ['boss@example.org', 'boss@shared.example']
accept-from = ['alice']
[[group]]
name = 'staff-list'
addresses = ['staff@example.org']
accept-from-groups = ['Staff']
[[group]]
name = 'either'
addresses = ['either@example.org']
accept-from = ['alice']
accept-from-groups = ['Staff']
[[group]]
name = 'not-alice'
addresses = ['not-alice@example.org']
reject-from = ['alice']
[[group]]
name = 'not-staff'
addresses = ['not-staff@example.org']
reject-from-groups = ['Staff']
[[group]]
name = 'both'
addresses = ['both@example.org']
accept-from = ['alice', 'bob']
reject-from-groups = ['Staff']
";

fn rules(existence: &str, restrictions: &str) -> String {
    format!(
        "[domains]
        local = ['example.org']
        shared = ['shared.example']
        relay = ['partner.example']
        recipient-delimiter = '+'
        [relay]
        authenticated = true
        [recipient]
        existence = '{existence}'
        delivery-restrictions = '{restrictions}'"
    )
}

/// Recipient, then what comes of mail from nobody, alice, bob and carol.
const LISTS: [(&str, [&str; 4]); 10] = [
    ("alice@example.org", ["pass"; 4]),
    ("open@example.org", ["pass"; 4]),
    ("members@example.org", ["recipient-authenticated-only", "pass", "pass", "pass"]),
    (
        "boss@example.org",
        ["recipient-restricted", "pass", "recipient-restricted", "recipient-restricted"],
    ),
    ("boss@shared.example", ["pass"; 4]),
    (
        "staff@example.org",
        ["recipient-restricted", "recipient-restricted", "pass", "recipient-restricted"],
    ),
    ("either@example.org", ["recipient-restricted", "pass", "pass", "recipient-restricted"]),
    ("not-alice@example.org", ["pass", "recipient-denied", "pass", "pass"]),
    ("not-staff@example.org", ["pass", "pass", "recipient-denied", "pass"]),
    (
        "both@example.org",
        ["recipient-restricted", "pass", "recipient-denied", "recipient-restricted"],
    ),
];

const AUTHORS: [&str; 4] = ["", "alice", "bob", "carol"];

#[test]
fn whose_mail_a_recipient_takes() {
    let mut rows = Rows::default();
    for mode in ["enforce", "observe", "off"] {
        let site = Site::new(INTERNET, &rules("off", mode), PEOPLE);
        for (to, expected) in LISTS {
            for (author, expected) in AUTHORS.into_iter().zip(expected) {
                // The envelope sender is no login: it gives nothing and takes nothing.
                let sender =
                    if author == "alice" { "bob@example.org" } else { "alice@example.org" };
                let judged = site.judge(rcpt(to).login(author).sender(sender));
                let name = format!("'{author}' to {to}, {mode}");
                let says = if mode == "enforce" { expected } else { "pass" };
                rows.row(&name, says, word(&judged));
                let tells = observed(&judged).contains(&expected);
                rows.row(format!("{name}, told"), mode == "observe" && expected != "pass", tells);
            }
        }
    }
    rows.end(3 * 10 * 4 * 2);
}

#[test]
fn restrictions_follow_an_address_with_an_extension() {
    let site = Site::new(INTERNET, &rules("enforce", "enforce"), PEOPLE);
    let mut rows = Rows::default();
    for (to, expected) in [
        ("boss+urgent@example.org", "recipient-restricted"),
        ("open+urgent@example.org", "pass"),
        ("nobody+urgent@example.org", "recipient-unknown"),
        ("Boss+Urgent@Example.org", "recipient-restricted"),
    ] {
        rows.row(to, expected, site.ask(rcpt(to)));
    }
    rows.end(4);
}

#[test]
fn whether_a_recipient_exists() {
    let recipients = [
        ("alice@example.org", true),
        ("ALICE@Example.Org", true),
        ("alice+x@example.org", true),
        ("open@example.org", true),
        ("alice-x@example.org", false),
        ("nobody@example.org", false),
        ("postmaster", true),
        ("nobody@shared.example", true),
        ("nobody@partner.example", true),
        ("nobody@far.test", true),
    ];
    let mut rows = Rows::default();
    for (mode, says) in [("enforce", "recipient-unknown"), ("observe", "pass"), ("off", "pass")] {
        let site = Site::new(SUBMISSION, &rules(mode, "off"), PEOPLE);
        for (to, exists) in recipients {
            let judged = site.judge(rcpt(to).login("alice"));
            let name = format!("{to}, {mode}");
            rows.row(&name, if exists { "pass" } else { says }, word(&judged));
            let tells = observed(&judged).contains(&"recipient-unknown");
            rows.row(format!("{name}, told"), mode == "observe" && !exists, tells);
        }
    }
    rows.end(3 * 10 * 2);
}

#[test]
fn neither_is_judged_without_a_directory() {
    let site = Site::without_directory(INTERNET, &rules("enforce", "enforce"));
    assert_eq!(site.ask(rcpt("nobody@example.org")), "pass");
}

#[test]
fn existence_and_restrictions_have_modes_of_their_own() {
    let mut rows = Rows::default();
    for (existence, restrictions, unknown, restricted) in [
        ("enforce", "observe", "recipient-unknown", "pass"),
        ("observe", "enforce", "pass", "recipient-restricted"),
        ("off", "enforce", "pass", "recipient-restricted"),
        ("enforce", "off", "recipient-unknown", "pass"),
    ] {
        let site = Site::new(INTERNET, &rules(existence, restrictions), PEOPLE);
        let name = format!("existence {existence}, restrictions {restrictions}");
        rows.row(format!("{name}, unknown"), unknown, site.ask(rcpt("nobody@example.org")));
        rows.row(format!("{name}, restricted"), restricted, site.ask(rcpt("boss@example.org")));
    }
    rows.end(8);
}
