//! A directory exported as a file: whoever asks the file gets the answers of the directory.

mod common;

use std::sync::Arc;

use common::{Folder, Rows};
use gatepost::directory::{
    Answer, Author, Directory, Export, FileDirectory, ListedRecipient, export,
};
use gatepost::mail::{AccountKey, Address, Login};
use gatepost::rights::{
    Account, AccountState, Groups, Holder, Lookup, Membership, Memberships, RecipientLookup,
    Restriction,
};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

fn now<T>(answer: Answer<'_, T>) -> T {
    match answer {
        Answer::Now(answer) => answer,
        Answer::Later(_) => panic!("it answers from memory"),
    }
}

fn groups(names: &[&str]) -> Groups {
    let mut groups = Groups::default();
    for name in names {
        groups.index(name);
    }
    groups
}

fn exported(directory: &dyn Directory, groups: &Groups) -> Result<Export, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(export(directory, groups))
}

fn open(text: &str) -> FileDirectory {
    let folder = Folder::new();
    let path = folder.write("people.toml", text);
    FileDirectory::open(&path).unwrap_or_else(|faults| panic!("{faults:?}\n{text}"))
}

/// What a directory makes of a login: who it is, in which state, with which addresses and groups.
fn found(directory: &dyn Directory, login: &str, groups: &Groups) -> String {
    let login = Login::parse(login.as_bytes()).expect("a login");
    match now(directory.lookup(&login, groups)) {
        Lookup::Found(holder) => {
            let account = &holder.account;
            let mut addresses = account.addresses.to_vec();
            addresses.sort();
            let addresses = addresses.iter().map(|own| String::from_utf8_lossy(own));
            let addresses: Vec<_> = addresses.collect();
            format!(
                "{} {} {:?} {addresses:?} {:?}",
                account.key, account.name, account.state, holder.memberships
            )
        }
        other => format!("{other:?}"),
    }
}

fn author<'a>(key: &'a Option<AccountKey>, has_login: bool) -> Author<'a> {
    match (key, has_login) {
        (Some(key), _) => Author::Account(key),
        (None, true) => Author::Stranger,
        (None, false) => Author::Nobody,
    }
}

/// Every question, put to both; the differences.
fn differences(
    directory: &dyn Directory,
    again: &dyn Directory,
    groups: &Groups,
    logins: &[String],
    addresses: &[&str],
) -> Vec<String> {
    let mut differences = Vec::new();
    let mut compare = |question: String, one: String, other: String| {
        if one != other {
            differences.push(format!("{question}: {one}, exported {other}"));
        }
    };
    for login in logins {
        let (one, other) = (found(directory, login, groups), found(again, login, groups));
        compare(login.clone(), one, other);
    }
    let people = now(directory.people(groups)).expect("people");
    let keys = people.iter().map(|holder| Some(holder.account.key.clone()));
    let authors: Vec<_> =
        keys.map(|key| (key, true)).chain([(None, true), (None, false)]).collect();
    for address in addresses {
        let recipient = Address::from_internal(address.as_bytes());
        for (key, has_login) in &authors {
            let asked = |directory: &dyn Directory| {
                format!("{:?}", now(directory.recipient(&recipient, author(key, *has_login))))
            };
            compare(format!("{address} from {key:?}"), asked(directory), asked(again));
        }
    }
    differences
}

const PEOPLE: &str = r#"
realms = ['Example.org', 'corp.example.org']
netbios = ['Example']

[[account]]
login = 'Alice'
aliases = ['asmith', 'a.smith@old.example']
addresses = ['Alice@Mail.example.org', 'jörg@bücher.example']
accept-from = ['bob@mail.example.org']
[[account]]
login = 'bob'
id = 'S-1-5-21-7'
state = 'locked'
addresses = ['bob@mail.example.org']
authenticated-only = true
reject-from-groups = ['unnamed']
[[account]]
login = 'carol'
aliases = ['office']
state = 'disabled'
[[account]]
login = 'office'
state = 'expired'
addresses = ['dave@mail.example.org']
[[account]]
login = "odd \" # ]] \u0007\n"

[[group]]
name = 'Mail-Relay'
groups = ['Staff']
addresses = ['relayers@mail.example.org']
accept-from-groups = ['UNNAMED']
[[group]]
name = 'Staff'
members = ['asmith', "odd \" # ]] \u0007\n"]
groups = ['Mail-Relay']
[[group]]
name = 'unnamed'
members = ['carol', 'dave@mail.example.org']
addresses = ['unnamed@mail.example.org', 'second@mail.example.org']
reject-from = ['asmith']
[[group]]
name = 'Empty'
"#;

#[test]
fn whoever_asks_the_exported_file_gets_the_same_answers() {
    let directory = open(PEOPLE);
    let groups = groups(&["mail-relay", "Empty", "Nobody-Named-This", "Staff"]);
    let export = exported(&directory, &groups).expect("an export");
    assert_eq!((export.accounts, export.groups), (5, 5));
    assert_eq!(export.told.len(), 4, "office in each form: {:?}", export.told);
    assert_eq!(
        export.told[3],
        "office@example.org names more than one account, carol (file:carol) and office (file:office): it stays ambiguous"
    );
    let again = open(&export.text);
    let logins = [
        "alice",
        "ALICE",
        "alice@example.org",
        "EXAMPLE\\alice",
        "asmith@corp.example.org",
        "a.smith@old.example",
        "alice@mail.example.org",
        "jörg@bücher.example",
        "jörg@xn--bcher-kva.example",
        "bob",
        "bob@mail.example.org",
        "example\\bob",
        "carol",
        "office",
        "office@example.org",
        "EXAMPLE\\office",
        "dave@mail.example.org",
        "odd \" # ]] \u{7}\n",
        "ghost",
        "carol@mail.example.org",
        "OTHER\\alice",
    ];
    let addresses = [
        "alice@mail.example.org",
        "jörg@bücher.example",
        "bob@mail.example.org",
        "dave@mail.example.org",
        "relayers@mail.example.org",
        "unnamed@mail.example.org",
        "second@mail.example.org",
        "ghost@mail.example.org",
        "alice@example.org",
    ];
    let found = differences(&directory, &again, &groups, &logins.map(String::from), &addresses);
    assert!(found.is_empty(), "{found:#?}\n{}", export.text);
}

#[test]
fn an_export_of_an_export_is_the_same() {
    let groups = groups(&["Mail-Relay", "Staff"]);
    let once = exported(&open(PEOPLE), &groups).expect("an export");
    let twice = exported(&open(&once.text), &groups).expect("an export");
    assert_eq!(once.text, twice.text);
}

#[test]
fn the_file_reads_well() {
    let directory = open(
        "realms = ['example.org']
        [[account]]
        login = 'Bob'
        id = '7'
        addresses = ['bob@example.org']
        [[account]]
        login = 'alice'
        state = 'disabled'
        [[group]]
        name = 'No-Mail'
        groups = ['Left']
        [[group]]
        name = 'Left'
        members = ['Bob']
        addresses = ['left@example.org']
        authenticated-only = true",
    );
    let export = exported(&directory, &groups(&["No-Mail"])).expect("an export");
    let expected = r#"
[[account]]
login = "alice"
aliases = ["alice@example.org"]
id = "alice"
state = "disabled"

[[account]]
login = "Bob"
id = "7"
addresses = ["bob@example.org"]

[[group]]
name = "No-Mail"
members = ["Bob"]

[[group]]
name = "Left"
addresses = ["left@example.org"]
authenticated-only = true
"#;
    assert_eq!((export.text.as_str(), export.told), (expected, Vec::new()));
}

/// A directory of these people and recipients.
struct Listed {
    people: Vec<Holder>,
    recipients: Vec<ListedRecipient>,
}

impl Directory for Listed {
    fn lookup<'a>(&'a self, _: &'a Login, _: &'a Groups) -> Answer<'a, Lookup> {
        Answer::Now(Lookup::Unavailable)
    }

    fn recipient<'a>(&'a self, _: &'a Address, _: Author<'a>) -> Answer<'a, RecipientLookup> {
        Answer::Now(RecipientLookup::Unavailable)
    }

    fn path<'a>(&'a self, _: &'a AccountKey, _: &'a str) -> Answer<'a, Vec<String>> {
        Answer::Now(Vec::new())
    }

    fn people<'a>(&'a self, _: &'a Groups) -> Answer<'a, Result<Vec<Holder>, String>> {
        Answer::Now(Ok(self.people.clone()))
    }

    fn recipients<'a>(&'a self) -> Answer<'a, Result<Vec<ListedRecipient>, String>> {
        Answer::Now(Ok(self.recipients.clone()))
    }
}

fn person(
    id: &str,
    name: &str,
    logins: &[&str],
    addresses: &[&str],
    groups: &[Membership],
) -> Holder {
    let account = Account {
        key: AccountKey::object("ldap", id),
        name: name.into(),
        logins: logins.iter().map(|login| (*login).into()).collect(),
        addresses: addresses.iter().map(|own| own.as_bytes().into()).collect(),
        state: AccountState::Enabled,
        dn: None,
        password_set: None,
        other_address: None,
    };
    let memberships = Memberships(groups.iter().copied().collect());
    Holder { account: Arc::new(account), age_ms: 0, memberships }
}

fn listed(name: &str, addresses: &[&str]) -> ListedRecipient {
    let addresses = addresses.iter().map(|own| (*own).into()).collect();
    ListedRecipient { name: name.into(), addresses, ..ListedRecipient::default() }
}

#[test]
fn what_two_claim_is_told_and_left_to_neither() {
    use Membership::{No, Yes};
    let directory = Listed {
        people: vec![
            person("1", "Alice Smith", &["alice"], &["a@x.test", "both@x.test"], &[Yes]),
            person("2", "bob", &["bob"], &["b@x.test", "both@x.test"], &[No]),
            person("3", "twin", &["twin"], &[], &[Yes]),
            person("4", "twin", &["twin"], &[], &[No]),
            person("2", "bob again", &["robert"], &[], &[No]),
            person("5", "nameless", &[], &[], &[Yes]),
            person("6", "Meeting room", &[], &["room@x.test", "no address"], &[Yes]),
        ],
        recipients: vec![
            listed("Alice Smith", &["a@x.test", "both@x.test"]),
            listed("bob", &["b@x.test", "both@x.test", "list@x.test"]),
            listed("List", &["list@x.test", "own@x.test"]),
            ListedRecipient {
                accept_from: vec!["CN=A contact,DC=x".into()],
                ..listed("closed", &["closed@x.test"])
            },
            ListedRecipient {
                accept_from: vec!["twin".into()],
                accept_from_groups: vec!["RIGHTS".into()],
                reject_from: vec!["twin".into()],
                ..listed("half", &["half@x.test"])
            },
        ],
    };
    let groups = groups(&["Rights"]);
    let export = exported(&directory, &groups).expect("an export");
    let again = open(&export.text);
    let mut rows = Rows::default();
    for (login, expected) in [
        ("alice", "file:1 alice Enabled [\"a@x.test\"] Memberships([Yes])"),
        ("bob", "file:2 bob Enabled [\"b@x.test\"] Memberships([No])"),
        ("both@x.test", "Ambiguous"),
        ("twin", "Ambiguous"),
        ("robert", "NotFound"),
        ("Alice Smith", "NotFound"),
        ("room@x.test", "file:6 room@x.test Enabled [\"room@x.test\"] Memberships([Yes])"),
    ] {
        rows.row(login, expected, found(&again, login, &groups));
    }
    let [alice, bob] = ["1", "2"].map(|id| AccountKey::object("file", id));
    for (address, author, expected) in [
        ("a@x.test", Author::Nobody, RecipientLookup::Found(Restriction::Open)),
        ("both@x.test", Author::Nobody, RecipientLookup::Found(Restriction::Open)),
        ("list@x.test", Author::Nobody, RecipientLookup::Found(Restriction::Open)),
        ("own@x.test", Author::Nobody, RecipientLookup::Found(Restriction::Open)),
        ("closed@x.test", Author::Account(&alice), RecipientLookup::Found(Restriction::NotOnList)),
        ("half@x.test", Author::Account(&alice), RecipientLookup::Found(Restriction::Allowed)),
        ("half@x.test", Author::Account(&bob), RecipientLookup::Found(Restriction::NotOnList)),
        ("no address", Author::Nobody, RecipientLookup::NotFound),
    ] {
        let recipient = Address::from_internal(address.as_bytes());
        let found = now(again.recipient(&recipient, author));
        rows.row(address, format!("{expected:?}"), format!("{found:?}"));
    }
    rows.end(15);
    let expected = [
        "bob again (ldap:2) is listed twice: left out",
        "no address of Meeting room is no address: left out",
        "nameless (ldap:5) is left out: it has neither a login nor an address",
        "both@x.test names more than one account, Alice Smith (ldap:1) and bob (ldap:2): it stays ambiguous",
        "twin names more than one account, twin (ldap:3) and twin (ldap:4): it stays ambiguous",
        "twin (ldap:3) has no login of its own: it is left out of every group",
        "twin (ldap:4) has no login of its own: it is left out of every group",
        "both@x.test is an address of more than one, Alice Smith (ldap:1) and bob (ldap:2): it stays a recipient, of nobody and open to all",
        "list@x.test is an address of more than one, bob and List: it stays a recipient, of nobody and open to all",
    ];
    assert_eq!(export.told, expected);
}

#[test]
fn what_is_not_known_now_is_not_exported_as_no() {
    let people = vec![person("1", "alice", &["alice"], &[], &[Membership::Unknown])];
    let directory = Listed { people, recipients: Vec::new() };
    let fault = exported(&directory, &groups(&["No-Mail"])).expect_err("no export");
    assert_eq!(fault, "whether alice (ldap:1) is in the group No-Mail is not known now");
}

#[test]
fn ten_thousand_of_the_same_name_are_told_apart() {
    let people = (0..10_000).map(|n| {
        let (login, address) = (format!("u{n}"), format!("u{n}@x.test"));
        person(&n.to_string(), "John Smith", &[&login], &[&address], &[Membership::Yes])
    });
    let recipients = (0..10_000).map(|n| listed("list", &[&format!("list{n}@x.test")]));
    let directory = Listed { people: people.collect(), recipients: recipients.collect() };
    let groups = groups(&["All"]);
    let export = exported(&directory, &groups).expect("an export");
    assert_eq!((export.accounts, export.groups, export.told.len()), (10_000, 10_001, 0));
    let again = open(&export.text);
    let expected = "file:9999 u9999 Enabled [\"u9999@x.test\"] Memberships([Yes])";
    assert_eq!(found(&again, "u9999", &groups), expected);
    let last = Address::from_internal(b"list9999@x.test");
    let found = now(again.recipient(&last, Author::Nobody));
    assert_eq!(found, RecipientLookup::Found(Restriction::Open));
}

/// Logins that clash with one another and with addresses, and those no program likes.
const LOGINS: [&str; 9] =
    ["alice", "Bob", "office", "x@old.example", "jörg", "b@x.test", "q\"'\\", "tab\t\u{7f}", "İ"];
const ADDRESSES: [&str; 8] = [
    "b@x.test",
    "a@x.test",
    "ÄÖ@x.test",
    "u@bücher.example",
    "o'x \"y@x.test",
    "d@x.test",
    "e@x.test",
    "f%g@x.test",
];
const GROUPS: [&str; 5] = ["Mail-Relay", "No-Mail", "staff", "(nobody)", "Ünï"];

#[derive(Clone, Debug)]
struct Spec {
    logins: Vec<&'static str>,
    state: &'static str,
    addresses: Vec<usize>,
    authenticated_only: bool,
    /// Accounts and groups: those who may, those who may not.
    lists: [Vec<usize>; 4],
    /// Of a group.
    members: [Vec<usize>; 2],
}

fn spec() -> impl Strategy<Value = Spec> {
    let places = || subsequence((0..5).collect::<Vec<usize>>(), 0..=3);
    let lists = [places(), places(), places(), places()];
    (
        subsequence(LOGINS.to_vec(), 1..=3).prop_shuffle(),
        select(&["enabled", "disabled", "expired", "locked"][..]),
        subsequence((0..ADDRESSES.len()).collect::<Vec<usize>>(), 0..=3),
        any::<bool>(),
        lists,
        [places(), places()],
    )
        .prop_map(|(logins, state, addresses, authenticated_only, lists, members)| Spec {
            logins,
            state,
            addresses,
            authenticated_only,
            lists,
            members,
        })
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.into()).to_string()
}

fn array(texts: impl Iterator<Item = String>) -> String {
    format!("[{}]", texts.map(|text| quoted(&text)).collect::<Vec<_>>().join(", "))
}

/// A directory file of these, in which every account has a login of its own, too.
fn file(accounts: &[Spec], lists: &[Spec]) -> String {
    let mut text = "realms = ['r.test', 'Two.test']\nnetbios = ['NB']\n".to_string();
    let mut taken = std::collections::HashSet::new();
    let names = |places: &[usize], count: usize, name: &dyn Fn(usize) -> String| {
        array(places.iter().filter(|place| **place < count).map(|place| name(*place)))
    };
    let own = |place: usize| format!("own{place}");
    let group = |place: usize| GROUPS[place].to_uppercase();
    let mut recipient = |spec: &Spec| {
        let addresses = spec.addresses.iter().filter(|place| taken.insert(**place));
        format!(
            "addresses = {}\nauthenticated-only = {}\naccept-from = {}\naccept-from-groups = {}\nreject-from = {}\nreject-from-groups = {}\n",
            array(addresses.map(|place| ADDRESSES[*place].into())),
            spec.authenticated_only,
            names(&spec.lists[0], accounts.len(), &own),
            names(&spec.lists[1], lists.len(), &group),
            names(&spec.lists[2], accounts.len(), &own),
            names(&spec.lists[3], lists.len(), &group),
        )
    };
    for (place, spec) in accounts.iter().enumerate() {
        let aliases = spec.logins[1..].iter().map(|alias| (*alias).into()).chain([own(place)]);
        text += &format!(
            "[[account]]\nlogin = {}\naliases = {}\nid = '{place}'\nstate = '{}'\n{}",
            quoted(spec.logins[0]),
            array(aliases),
            spec.state,
            recipient(spec)
        );
    }
    for (place, spec) in lists.iter().enumerate() {
        text += &format!(
            "[[group]]\nname = {}\nmembers = {}\ngroups = {}\n{}",
            quoted(GROUPS[place]),
            names(&spec.members[0], accounts.len(), &own),
            names(&spec.members[1], lists.len(), &group),
            recipient(spec)
        );
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_directory_answers_alike_when_exported(
        accounts in prop::collection::vec(spec(), 0..5),
        lists in prop::collection::vec(spec(), 0..5),
        named in subsequence(GROUPS.to_vec(), 0..=5),
    ) {
        let directory = open(&file(&accounts, &lists));
        let groups = groups(&named);
        let export = exported(&directory, &groups).expect("an export");
        let again = open(&export.text);
        let mut logins: Vec<String> = Vec::new();
        let plain = LOGINS.iter().map(ToString::to_string);
        for login in plain.chain((0..5).map(|place| format!("own{place}"))) {
            // In a realm, even an address counts as a name to this directory; nobody writes that.
            if !ADDRESSES.contains(&&*login) {
                logins.extend([
                    format!("{login}@R.test"),
                    format!("{login}@two.test"),
                    format!("nb\\{login}"),
                    format!("OTHER\\{login}"),
                ]);
            }
            logins.extend([login.to_uppercase(), login]);
        }
        logins.extend(ADDRESSES.iter().map(ToString::to_string));
        let found = differences(&directory, &again, &groups, &logins, &ADDRESSES);
        prop_assert!(found.is_empty(), "{found:#?}\n{}", export.text);
    }
}
