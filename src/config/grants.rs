//! `[[grant]]`, `[sender]` and `[[sender.grant]]`.

use crate::config::networks::parse_name;
use crate::config::rights::{GRANT_MODES, MODES};
use crate::decision::SenderRules;
use crate::mail::{Address, Login};
use crate::rights::{Grant, Groups, Mode, Ruling, SenderGrant, Who};
use crate::settings::{Reader, Table};

const RULINGS: [(&str, Ruling); 2] = [("allow", Ruling::Allow), ("deny", Ruling::Deny)];

/// `allow` or `deny`, where the key is present.
pub(super) fn read_ruling(
    reader: &mut Reader,
    table: &mut Table<'_, '_>,
    key: &'static str,
) -> Option<Ruling> {
    if table.is_absent(key) {
        // Asked for all the same, so that it counts as known.
        table.text(reader, key);
        return None;
    }
    Some(table.choice(reader, key, "allow", &RULINGS))
}

/// `group` or `user`, exactly one of them.
pub(super) fn read_who(
    reader: &mut Reader,
    table: &mut Table<'_, '_>,
    groups: &mut Groups,
) -> Option<Who> {
    let group = table.text(reader, "group");
    let user = table.text(reader, "user");
    match (group, user) {
        (Some(group), None) if group.value.is_empty() => {
            reader.fault(group.at, &group.key, "expected the name of a group");
            None
        }
        (Some(group), None) => Some(Who::Group(groups.index(&group.value))),
        (None, Some(user)) => match Login::parse(user.value.as_bytes()) {
            Some(login) => Some(Who::User(login)),
            None => {
                reader.fault(user.at, &user.key, "expected a login");
                None
            }
        },
        // One that is there and was not read has its fault already.
        (None, None) if !table.is_absent("group") || !table.is_absent("user") => None,
        (None, None) => {
            reader.fault(table.at(), table.path(), "expected either group or user, found neither");
            None
        }
        (Some(_), Some(user)) => {
            reader.fault(user.at, table.path(), "expected either group or user, found both");
            None
        }
    }
}

pub(super) fn read_grants(
    reader: &mut Reader,
    root: &mut Table<'_, '_>,
    groups: &mut Groups,
) -> Vec<Grant> {
    let mut grants = Vec::new();
    for mut table in root.tables(reader, "grant") {
        let who = read_who(reader, &mut table, groups);
        let submit = read_ruling(reader, &mut table, "submit");
        let relay = read_ruling(reader, &mut table, "relay");
        let mode = table.choice(reader, "mode", "enforce", &GRANT_MODES);
        if submit.is_none() && relay.is_none() {
            reader.fault(
                table.at(),
                table.path(),
                "grants nothing: expected submit or relay, each \"allow\" or \"deny\"",
            );
        }
        if let Some(who) = who {
            grants.push(Grant { who, submit, relay, mode, line: table.line(reader) });
        }
        table.finish(reader);
    }
    grants
}

/// A local part and a domain that could exist.
fn is_address(address: &Address) -> bool {
    let domain = address.domain().and_then(|domain| std::str::from_utf8(domain).ok());
    !address.local().is_empty() && domain.is_some_and(|domain| parse_name(domain).is_ok())
}

pub(super) fn read_sender(
    reader: &mut Reader,
    root: &mut Table<'_, '_>,
    groups: &mut Groups,
) -> SenderRules {
    let mut table = root.table(reader, "sender");
    let ownership = table.choice(reader, "ownership", "observe", &MODES);
    let mut grants = Vec::new();
    for mut grant in table.tables(reader, "grant") {
        let who = read_who(reader, &mut grant, groups);
        let line = grant.line(reader);
        let (mut addresses, mut domains) = (Vec::new(), Vec::new());
        for item in grant.texts(reader, "as") {
            let address = Address::from_internal(item.value.as_bytes());
            match item.value.strip_prefix('@').map(parse_name) {
                Some(Ok(domain)) => domains.push(domain.into_bytes()),
                None if is_address(&address) => addresses.push(address.folded()),
                _ => reader.fault(
                    item.at,
                    &item.key,
                    format!("\"{}\" is refused: expected an address such as \"press@example.org\", or \"@example.org\" for all of a domain", item.value),
                ),
            }
        }
        if grant.is_absent("as") {
            reader.fault(grant.at(), &grant.key("as"), "missing; expected a list of addresses");
        } else if grant.is_empty_array("as") {
            reader.fault(grant.place("as"), &grant.key("as"), "empty: grants nothing");
        }
        grant.finish(reader);
        if let Some(who) = who {
            grants.push(SenderGrant { who, addresses, domains, line });
        }
    }
    if ownership == Mode::Off && !grants.is_empty() {
        reader.warn(
            table.place("ownership"),
            &table.key("ownership"),
            "\"off\": no sender is judged, so the [[sender.grant]] entries do nothing",
        );
    }
    table.finish(reader);
    SenderRules { ownership, grants }
}
