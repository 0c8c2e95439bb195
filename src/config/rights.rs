//! The rules: domains, relay list, grants, standing, senders, recipients, gateways, replies.

use regex::Regex;

use crate::config::detector::read_detector;
use crate::config::grants::{read_grants, read_ruling, read_sender};
use crate::config::networks::{parse_fingerprint, parse_name, parse_network};
use crate::config::privacy::read_privacy;
use crate::config::quotas::read_quotas;
use crate::config::replies::read_replies;
use crate::decision::{
    Gateway, GatewayMatch, Identity, OnFailure, RecipientRules, Rewrite, Rules, Standing,
};
use crate::mail::Login;
use crate::rights::{
    CertificateEntry, CertificateName, DomainClass, Domains, Groups, HostEntry, Mode, NetworkEntry,
    RelayList, Ruling,
};
use crate::settings::{Item, Reader, Table};

pub(super) const MODES: [(&str, Mode); 3] =
    [("off", Mode::Off), ("observe", Mode::Observe), ("enforce", Mode::Enforce)];
pub(super) const GRANT_MODES: [(&str, Mode); 2] =
    [("observe", Mode::Observe), ("enforce", Mode::Enforce)];

/// Reads every live table of the root.
pub(super) fn read_rules(reader: &mut Reader, root: &mut Table<'_, '_>, file: &str) -> Rules {
    let mut groups = Groups::default();
    let domains = read_domains(reader, root);
    let (relay, relay_mode, authenticated, has_relay) = read_relay(reader, root);
    let grants = read_grants(reader, root, &mut groups);
    let detector = read_detector(reader, root, &mut groups);
    let sender = read_sender(reader, root, &mut groups);
    let quotas = read_quotas(reader, root, &mut groups);
    let privacy = read_privacy(reader, root);
    let mut submit_table = root.table(reader, "submit");
    let submit_mode = submit_table.choice(reader, "mode", "enforce", &GRANT_MODES);
    submit_table.finish(reader);
    // Grants that only observe make nobody's rights judged: their absence would not.
    let has_directory = !root.is_absent("directory");
    let only_observed =
        !has_relay && !has_directory && grants.iter().all(|grant| grant.mode == Mode::Observe);
    let (submit, relay_mode) = match only_observed {
        true => (submit_mode.min(Mode::Observe), relay_mode.min(Mode::Observe)),
        false => (submit_mode, relay_mode),
    };
    Rules {
        file: file.into(),
        judges_rights: has_relay || !grants.is_empty(),
        submit,
        standing: read_standing(reader, root),
        recipient: read_recipient(reader, root),
        gateways: read_gateways(reader, root),
        rewrites: read_rewrites(reader, root),
        replies: read_replies(reader, root),
        on_failure: OnFailure::Defer,
        store_on_failure: OnFailure::Pass,
        detector,
        quotas,
        privacy,
        groups,
        grants,
        sender,
        domains,
        relay_mode,
        relay,
        authenticated,
    }
}

fn read_domains(reader: &mut Reader, root: &mut Table<'_, '_>) -> Domains {
    let mut table = root.table(reader, "domains");
    let mut domains = Domains::default();
    for (key, class) in [
        ("local", DomainClass::Local),
        ("shared", DomainClass::Shared),
        ("relay", DomainClass::Relay),
    ] {
        for item in table.texts(reader, key) {
            let fault = match parse_name(&item.value) {
                Ok(name) => domains.insert(&name, class).err().map(|earlier| {
                    format!(
                        "\"{name}\" is already listed as {}; a domain has one class",
                        earlier.as_str()
                    )
                }),
                Err(what) => Some(what),
            };
            if let Some(what) = fault {
                reader.fault(item.at, &item.key, what);
            }
        }
    }
    domains.recipient_delimiter =
        table.parsed(reader, "recipient-delimiter", "", |text| match text {
            _ if text.bytes().all(|b| b.is_ascii_punctuation() && !b"@%!.".contains(&b)) => {
                Ok(Box::from(text))
            }
            _ => Err(
                "expected characters such as \"+\" or \"+-\", as in Postfix's recipient_delimiter"
                    .into(),
            ),
        });
    table.finish(reader);
    domains
}

fn read_relay(
    reader: &mut Reader,
    root: &mut Table<'_, '_>,
) -> (RelayList, Mode, Option<usize>, bool) {
    let mut table = root.table(reader, "relay");
    let mode = table.choice(reader, "mode", "enforce", &GRANT_MODES);
    let authenticated = table
        .flag(reader, "authenticated", false)
        .then(|| reader.line(table.place("authenticated")));
    let all_except = table.choice(
        reader,
        "networks-are",
        "allowed",
        &[("allowed", false), ("all-except", true)],
    );
    let mut list = RelayList::default();
    list.all_except = all_except;
    read_entries(
        reader,
        &mut table,
        "networks",
        "net",
        "an address or a network such as \"192.0.2.0/24\"",
        |reader, item, ruling| match parse_network(&item.value) {
            Err(what) => reader.fault(item.at, &item.key, what),
            Ok(net) => {
                let ruling = if all_except && ruling.is_none() {
                    None
                } else {
                    Some(ruling.unwrap_or(Ruling::Allow))
                };
                if ruling == Some(Ruling::Allow) {
                    warn_wide(reader, &item, net);
                }
                let entry = NetworkEntry { net, ruling, line: item.line };
                if let Err(line) = list.insert_network(entry) {
                    reader.fault(
                        item.at,
                        &item.key,
                        format!("\"{net}\" stands already in line {line}"),
                    );
                }
            }
        },
    );
    let expected = "a host name, or \".example.org\" for all below it";
    read_entries(reader, &mut table, "hosts", "host", expected, |reader, item, ruling| {
        match parse_name(&item.value) {
            Err(what) => reader.fault(item.at, &item.key, what),
            Ok(name) => {
                let ruling = ruling.unwrap_or(Ruling::Allow);
                let entry = HostEntry { name: name.clone().into(), ruling, line: item.line };
                if let Err(line) = list.insert_host(entry) {
                    reader.fault(
                        item.at,
                        &item.key,
                        format!("\"{name}\" stands already in line {line}"),
                    );
                }
            }
        }
    });
    read_certificates(reader, &mut table, &mut list);
    if all_except {
        reader.warn(
            table.place("networks-are"),
            &table.key("networks-are"),
            "\"all-except\": EVERY client outside the list may relay without a login; it never counts on a listener that faces the Internet, but think twice",
        );
    }
    let is_present = table.is_present();
    table.finish(reader);
    (list, mode, authenticated, is_present)
}

/// An array of strings, or of tables that name the same under `name` and a ruling under `relay`.
fn read_entries(
    reader: &mut Reader,
    table: &mut Table<'_, '_>,
    key: &'static str,
    name: &'static str,
    expected: &str,
    mut take: impl FnMut(&mut Reader, Item<String>, Option<Ruling>),
) {
    table.texts_or_tables(reader, key, |reader, item, below| match (item, below) {
        (Some(item), _) => take(reader, item, None),
        (None, Some(mut below)) => {
            let item = below.required(reader, name, expected);
            let ruling = read_ruling(reader, &mut below, "relay");
            below.finish(reader);
            if let Some(item) = item {
                take(reader, item, ruling);
            }
        }
        (None, None) => {}
    });
}

fn read_certificates(reader: &mut Reader, table: &mut Table<'_, '_>, list: &mut RelayList) {
    table.texts_or_tables(reader, "certificates", |reader, item, below| {
        let mut ruling = None;
        let (name, item) = match (item, below) {
            (Some(item), _) => (parse_fingerprint(&item.value).map(fingerprint), item),
            (None, Some(mut below)) => {
                let subject = below.text(reader, "subject");
                let print = below.text(reader, "fingerprint");
                ruling = read_ruling(reader, &mut below, "relay");
                let (at, key) = (below.at(), below.path().to_string());
                below.finish(reader);
                match (subject, print) {
                    (Some(item), None) => {
                        (Ok(CertificateName::Subject(item.value.as_str().into())), item)
                    }
                    (None, Some(item)) => (parse_fingerprint(&item.value).map(fingerprint), item),
                    _ => {
                        reader.fault(at, &key, "expected either fingerprint or subject");
                        return;
                    }
                }
            }
            (None, None) => return,
        };
        match name {
            Ok(name) => list.certificates.0.push(CertificateEntry {
                name,
                ruling: ruling.unwrap_or(Ruling::Allow),
                line: item.line,
            }),
            Err(what) => reader.fault(item.at, &item.key, what),
        }
    });
}

fn fingerprint(digits: String) -> CertificateName {
    CertificateName::Fingerprint(digits.into())
}

fn warn_wide(reader: &mut Reader, item: &Item<String>, net: ipnet::IpNet) {
    let limit = if net.addr().is_ipv4() { 8 } else { 16 };
    if net.prefix_len() < limit {
        reader.warn(
            item.at,
            &item.key,
            format!(
                "{net} is a large part of the Internet, and all of it may relay without a login"
            ),
        );
    }
}

fn read_standing(reader: &mut Reader, root: &mut Table<'_, '_>) -> Standing {
    let mut table = root.table(reader, "standing");
    let standing = Standing {
        disabled: table.choice(reader, "disabled", "observe", &MODES),
        expired: table.choice(reader, "expired", "observe", &MODES),
        locked: table.choice(reader, "locked", "observe", &MODES),
        not_found: table.choice(reader, "not-found", "observe", &MODES),
    };
    table.finish(reader);
    standing
}

fn read_recipient(reader: &mut Reader, root: &mut Table<'_, '_>) -> RecipientRules {
    let mut table = root.table(reader, "recipient");
    let recipient = RecipientRules {
        existence: table.choice(reader, "existence", "observe", &MODES),
        delivery_restrictions: table.choice(reader, "delivery-restrictions", "off", &MODES),
    };
    table.finish(reader);
    recipient
}

fn read_gateways(reader: &mut Reader, root: &mut Table<'_, '_>) -> Vec<Gateway> {
    let mut gateways = Vec::new();
    for mut table in root.tables(reader, "gateway") {
        let (net, login) = (table.text(reader, "net"), table.text(reader, "login"));
        let identity = table.required_choice(
            reader,
            "identity",
            &[
                ("sender", Identity::Sender),
                ("xclient", Identity::Xclient),
                ("none", Identity::None),
            ],
        );
        let line = table.line(reader);
        let who = match (net, login) {
            (Some(net), None) => match parse_network(&net.value) {
                Ok(net) => Some(GatewayMatch::Net(net)),
                Err(what) => {
                    reader.fault(net.at, &net.key, what);
                    None
                }
            },
            (None, Some(login)) => {
                let parsed = Login::parse(login.value.as_bytes());
                if parsed.is_none() {
                    reader.fault(login.at, &login.key, "expected a login");
                }
                parsed.map(GatewayMatch::Login)
            }
            (None, None) if !table.is_absent("net") || !table.is_absent("login") => None,
            (None, None) => {
                reader.fault(
                    table.at(),
                    table.path(),
                    "expected either net or login, found neither",
                );
                None
            }
            (Some(_), Some(login)) => {
                reader.fault(login.at, table.path(), "expected either net or login, found both");
                None
            }
        };
        table.finish(reader);
        if let (Some(who), Some(identity)) = (who, identity) {
            gateways.push(Gateway { who, identity, line });
        }
    }
    gateways
}

fn read_rewrites(reader: &mut Reader, root: &mut Table<'_, '_>) -> Vec<Rewrite> {
    let mut login = root.table(reader, "login");
    let mut rewrites = Vec::new();
    for mut table in login.tables(reader, "rewrite") {
        let pattern = table.required(reader, "match", "a regular expression");
        let to = table.required(reader, "to", "the login, such as \"$login\"");
        let line = table.line(reader);
        table.finish(reader);
        let (Some(pattern), Some(to)) = (pattern, to) else { continue };
        match Regex::new(&pattern.value) {
            Ok(regex) => {
                if let Some(name) = unknown_capture(&regex, &to.value) {
                    reader.fault(
                        to.at,
                        &to.key,
                        format!(
                            "${name} is no group of the match; expected one of {}",
                            captures(&regex)
                        ),
                    );
                    continue;
                }
                rewrites.push(Rewrite { pattern: regex, to: to.value.into(), line });
            }
            Err(fault) => {
                let why =
                    fault.to_string().lines().last().unwrap_or_default().replace("error: ", "");
                reader.fault(pattern.at, &pattern.key, format!("no regular expression: {why}"));
            }
        }
    }
    login.finish(reader);
    rewrites
}

/// The first `$name` or `${name}` of the replacement that the pattern does not capture; the regex
/// crate would put nothing in its place (regex, `Captures::expand`).
fn unknown_capture(regex: &Regex, to: &str) -> Option<String> {
    let is_known = |name: &str| match name.parse::<usize>() {
        Ok(number) => number < regex.captures_len(),
        Err(_) => regex.capture_names().flatten().any(|known| known == name),
    };
    // Two are one that stands for itself.
    let to = to.replace("$$", "");
    let mut rest = to.as_str();
    while let Some((_, after)) = rest.split_once('$') {
        rest = after;
        let name = match after.strip_prefix('{') {
            Some(braced) => braced.split_once('}').map(|(name, _)| name),
            None => {
                let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
                let end = after.find(|c| !is_word(c)).unwrap_or(after.len());
                (end > 0).then_some(&after[..end])
            }
        };
        if let Some(name) = name.filter(|name| !is_known(name)) {
            return Some(name.into());
        }
    }
    None
}

fn captures(regex: &Regex) -> String {
    let named: Vec<String> =
        regex.capture_names().flatten().map(|name| format!("${name}")).collect();
    if named.is_empty() { format!("$0 to ${}", regex.captures_len() - 1) } else { named.join(", ") }
}
