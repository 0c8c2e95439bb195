//! The directory file's grammar: `[[account]]`, `[[group]]`, `realms`, `netbios`.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use crate::directory::file::{Content, Delivery, Entry, Group, Party};
use crate::mail::{AccountKey, Address, Login};
use crate::rights::{Account, AccountState};
use crate::settings::{Fault, Item, Reader, Table};

pub(super) const STATES: [(&str, AccountState); 4] = [
    ("enabled", AccountState::Enabled),
    ("disabled", AccountState::Disabled),
    ("expired", AccountState::Expired),
    ("locked", AccountState::Locked),
];

impl Content {
    /// Reads and checks the file; all faults are told.
    pub(super) fn load(path: &Path) -> Result<Self, Vec<Fault>> {
        let file = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&file, &text),
            Err(fault) => Err(vec![Fault::of_file(&file, fault.to_string())]),
        }
    }

    pub(super) fn parse(file: &str, text: &str) -> Result<Self, Vec<Fault>> {
        let (content, reader) = Reader::read(file, text, read);
        match content {
            Some(content) if reader.faults.is_empty() => Ok(content),
            _ => Err(reader.faults),
        }
    }
}

/// What names others, resolved once all names are known.
struct Pending {
    delivery: [Vec<Item<String>>; 4],
    authenticated_only: bool,
    /// Each with its place.
    addresses: Vec<(Box<[u8]>, Item<String>)>,
}

fn read(reader: &mut Reader, mut root: Table<'_, '_>) -> Content {
    let mut content = Content {
        realms: folded_names(reader, &mut root, "realms"),
        netbios: folded_names(reader, &mut root, "netbios"),
        ..Content::default()
    };
    let mut pending = Vec::new();
    for table in root.tables(reader, "account") {
        read_account(reader, table, &mut content, &mut pending);
    }
    let mut members = Vec::new();
    for table in root.tables(reader, "group") {
        read_group(reader, table, &mut content, &mut pending, &mut members);
    }
    root.finish(reader);
    for (group, (logins, groups)) in members.into_iter().enumerate() {
        content.groups[group].members = accounts_named(reader, &content, &logins);
        content.groups[group].groups = groups_named(reader, &content, &groups);
    }
    for recipient in pending {
        let delivery = resolve_delivery(reader, &content, &recipient);
        for (address, item) in recipient.addresses {
            if content.recipients.insert(address, content.deliveries.len()).is_some() {
                let what = format!("the address \"{}\" is given twice", item.value);
                reader.fault(item.at, &item.key, what);
            }
        }
        content.deliveries.push(delivery);
    }
    spread_memberships(&mut content);
    content
}

fn folded_names(
    reader: &mut Reader,
    root: &mut Table<'_, '_>,
    key: &'static str,
) -> HashSet<Box<str>> {
    root.texts(reader, key).into_iter().map(|item| item.value.to_lowercase().into()).collect()
}

fn read_account(
    reader: &mut Reader,
    mut table: Table<'_, '_>,
    content: &mut Content,
    pending: &mut Vec<Pending>,
) {
    let login = table.required(reader, "login", "the account's login, such as \"alice\"");
    let aliases = table.texts(reader, "aliases");
    let id = table.text(reader, "id");
    let state = table.choice(reader, "state", "enabled", &STATES);
    let other_address = table.text(reader, "other-address");
    let recipient = read_recipient(reader, &mut table);
    table.finish(reader);
    let Some(login) = login else { return };
    let index = content.accounts.len();
    let (at, named) = match &id {
        Some(id) => (id.at, id.key.clone()),
        None => (login.at, login.key.clone()),
    };
    let id = id.map_or_else(|| login.value.to_lowercase(), |id| id.value);
    let key = AccountKey::object("file", &id);
    if content.by_key.insert(key.clone(), index).is_some() {
        let what =
            format!("another account has the id \"{id}\" (without one its login); ids must differ");
        reader.fault(at, &named, what);
    }
    let mut logins: Vec<Box<str>> = Vec::new();
    for item in std::iter::once(&login).chain(&aliases) {
        match Login::parse(item.value.as_bytes()) {
            Some(login) => logins.push(login.folded().into()),
            None => reader.fault(item.at, &item.key, "expected a login, found an empty string"),
        }
    }
    let addresses: Vec<Box<[u8]>> =
        recipient.addresses.iter().map(|(address, _)| address.clone()).collect();
    let as_login = addresses.iter().map(|address| String::from_utf8_lossy(address).into());
    for form in logins.iter().cloned().chain(as_login) {
        let accounts = content.logins.entry(form).or_default();
        if !accounts.contains(&index) {
            accounts.push(index);
        }
    }
    let account = Account {
        key,
        name: login.value.into(),
        logins: spellings(logins, content).into(),
        addresses: addresses.into(),
        state,
        dn: None,
        password_set: None,
        other_address: other_address.map(|item| item.value.into()),
    };
    content.accounts.push(Entry { account: Arc::new(account), groups: HashSet::new() });
    pending.push(recipient);
}

/// The logins with every realm and NetBIOS name they may carry.
fn spellings(logins: Vec<Box<str>>, content: &Content) -> Vec<Box<str>> {
    let mut spellings = logins.clone();
    for login in &logins {
        // A backslash makes a domain of what stands before it, whatever realm follows.
        let realms = content.realms.iter().filter(|_| !login.contains('\\'));
        spellings.extend(realms.map(|realm| format!("{login}@{realm}").into()));
        spellings.extend(content.netbios.iter().map(|name| format!("{name}\\{login}").into()));
    }
    spellings
}

type Named = (Vec<Item<String>>, Vec<Item<String>>);

fn read_group(
    reader: &mut Reader,
    mut table: Table<'_, '_>,
    content: &mut Content,
    pending: &mut Vec<Pending>,
    members: &mut Vec<Named>,
) {
    let name = table.required(reader, "name", "the group's name");
    let named = (table.texts(reader, "members"), table.texts(reader, "groups"));
    let recipient = read_recipient(reader, &mut table);
    table.finish(reader);
    let Some(name) = name else { return };
    let folded = name.value.to_lowercase().into();
    if content.group_index.insert(folded, content.groups.len()).is_some() {
        reader.fault(name.at, &name.key, format!("the group \"{}\" is given twice", name.value));
    }
    content.groups.push(Group { name: name.value.into(), members: Vec::new(), groups: Vec::new() });
    members.push(named);
    pending.push(recipient);
}

fn read_recipient(reader: &mut Reader, table: &mut Table<'_, '_>) -> Pending {
    let mut addresses: Vec<(Box<[u8]>, Item<String>)> = Vec::new();
    for item in table.texts(reader, "addresses") {
        let address = Address::from_internal(item.value.as_bytes());
        if address.domain().is_none() {
            let what = format!("\"{}\" is no address; expected local@domain", item.value);
            reader.fault(item.at, &item.key, what);
            continue;
        }
        addresses.push((address.folded().as_slice().into(), item));
    }
    Pending {
        authenticated_only: table.flag(reader, "authenticated-only", false),
        delivery: [
            table.texts(reader, "accept-from"),
            table.texts(reader, "accept-from-groups"),
            table.texts(reader, "reject-from"),
            table.texts(reader, "reject-from-groups"),
        ],
        addresses,
    }
}

fn resolve_delivery(reader: &mut Reader, content: &Content, recipient: &Pending) -> Delivery {
    let mut parties = |accounts, groups| -> Vec<Party> {
        let accounts = accounts_named(reader, content, accounts).into_iter().map(Party::Account);
        let accounts: Vec<Party> = accounts.collect();
        let groups = groups_named(reader, content, groups).into_iter().map(Party::Group);
        accounts.into_iter().chain(groups).collect()
    };
    let [accept, accept_groups, reject, reject_groups] = &recipient.delivery;
    Delivery {
        addresses: recipient.addresses.iter().map(|(address, _)| address.clone()).collect(),
        authenticated_only: recipient.authenticated_only,
        accept_from: parties(accept, accept_groups),
        reject_from: parties(reject, reject_groups),
    }
}

fn accounts_named(reader: &mut Reader, content: &Content, names: &[Item<String>]) -> Vec<usize> {
    let mut accounts = Vec::new();
    for item in names {
        let found = Login::parse(item.value.as_bytes()).map(|login| content.find(&login));
        match found.as_deref() {
            Some([account]) => accounts.push(*account),
            Some([_, _, ..]) => {
                let what = format!("\"{}\" names more than one account", item.value);
                reader.fault(item.at, &item.key, what);
            }
            _ => {
                let what = format!("no [[account]] has the login \"{}\"", item.value);
                reader.fault(item.at, &item.key, what);
            }
        }
    }
    accounts
}

fn groups_named(reader: &mut Reader, content: &Content, names: &[Item<String>]) -> Vec<usize> {
    let mut groups = Vec::new();
    for item in names {
        match content.group_index.get(item.value.to_lowercase().as_str()) {
            Some(group) => groups.push(*group),
            None => {
                let what = format!("no [[group]] has the name \"{}\"", item.value);
                reader.fault(item.at, &item.key, what);
            }
        }
    }
    groups
}

/// Gives every account all groups it is in: from each group down through those nested in it. Cycles
/// end, since a group already seen is not entered again.
fn spread_memberships(content: &mut Content) {
    let mut memberships: HashMap<usize, HashSet<usize>> = HashMap::new();
    for top in 0..content.groups.len() {
        let mut seen = HashSet::from([top]);
        let mut stack = vec![top];
        while let Some(group) = stack.pop() {
            for &account in &content.groups[group].members {
                memberships.entry(account).or_default().insert(top);
            }
            stack.extend(content.groups[group].groups.iter().filter(|below| seen.insert(**below)));
        }
    }
    for (account, groups) in memberships {
        content.accounts[account].groups = groups;
    }
}
