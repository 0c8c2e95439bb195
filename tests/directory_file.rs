//! The directory file through its public face: every form of a login, nested groups, recipients,
//! reading it again, and the place of its faults.

mod common;

use std::path::PathBuf;

use common::{Folder, Rows};
use gatepost::directory::{Answer, Author, Directory, FileDirectory};
use gatepost::mail::{AccountKey, Address, Login};
use gatepost::rights::{AccountState, Groups, Lookup, Membership, RecipientLookup, Restriction};

/// A directory file and those who ask it.
struct File {
    directory: FileDirectory,
    path: PathBuf,
    folder: Folder,
}

impl File {
    fn new(text: &str) -> Self {
        let folder = Folder::new();
        let path = folder.write("people.toml", text);
        let directory = FileDirectory::open(&path).unwrap_or_else(|faults| panic!("{faults:?}"));
        Self { directory, path, folder }
    }

    /// Written to a file of its own and moved into place, as editors and deployments do.
    fn replace(&self, text: &str) {
        let new = self.folder.write("people.new", text);
        std::fs::rename(new, &self.path).expect("moved");
    }

    fn lookup(&self, login: &str, groups: &Groups) -> Lookup {
        let login = Login::parse(login.as_bytes()).expect("a login");
        now(self.directory.lookup(&login, groups))
    }

    /// The account's key, or what else came of the login.
    fn who(&self, login: &str) -> String {
        match self.lookup(login, &Groups::default()) {
            Lookup::Found(holder) => holder.account.key.to_string(),
            Lookup::NotFound => "not found".into(),
            Lookup::Ambiguous => "ambiguous".into(),
            Lookup::Unavailable => "unavailable".into(),
        }
    }

    fn is_member(&self, login: &str, group: &str) -> bool {
        let mut groups = Groups::default();
        let index = groups.index(group);
        match self.lookup(login, &groups) {
            Lookup::Found(holder) => match holder.memberships.of(index) {
                Membership::Yes => true,
                Membership::No => false,
                Membership::Unknown => panic!("a file knows all"),
            },
            _ => panic!("{login} is not found"),
        }
    }

    fn recipient(&self, recipient: &str, author: &str) -> String {
        let recipient = Address::from_internal(recipient.as_bytes());
        let key = AccountKey::object("file", author);
        let author = if author.is_empty() { Author::Nobody } else { Author::Account(&key) };
        match now(self.directory.recipient(&recipient, author)) {
            RecipientLookup::Found(Restriction::Open) => "open".into(),
            RecipientLookup::Found(restriction) => format!("{restriction:?}"),
            RecipientLookup::NotFound => "not found".into(),
            RecipientLookup::Unavailable => "unavailable".into(),
        }
    }

    fn path(&self, id: &str, group: &str) -> Vec<String> {
        now(self.directory.path(&AccountKey::object("file", id), group))
    }
}

fn now<T>(answer: Answer<'_, T>) -> T {
    match answer {
        Answer::Now(answer) => answer,
        Answer::Later(_) => panic!("a file answers from memory"),
    }
}

const PEOPLE: &str = "
realms = ['EXAMPLE.ORG', 'corp.example.org']
netbios = ['Example']

[[account]]
login = 'Alice'
aliases = ['asmith', 'a.smith@old.example']
addresses = ['Alice@Mail.example.org']
[[account]]
login = 'bob'
id = 'S-1-5-21-7'
addresses = ['bob@mail.example.org', 'office@mail.example.org']
[[account]]
login = 'jörg'
addresses = ['jörg@bücher.example']
[[account]]
login = 'carol'
aliases = ['office']
addresses = ['alice@corp.example.org']
[[account]]
login = 'dave'
aliases = ['office']
state = 'locked'
";

#[test]
fn every_form_of_a_login_is_the_same_account() {
    let file = File::new(PEOPLE);
    let mut rows = Rows::default();
    for (login, expected) in [
        ("alice", "file:alice"),
        ("ALICE", "file:alice"),
        ("alice@example.org", "file:alice"),
        ("Alice@EXAMPLE.ORG", "file:alice"),
        ("EXAMPLE\\alice", "file:alice"),
        ("example\\ASmith", "file:alice"),
        ("asmith", "file:alice"),
        ("asmith@corp.example.org", "file:alice"),
        ("a.smith@old.example", "file:alice"),
        ("alice@mail.example.org", "file:alice"),
        ("bob", "file:S-1-5-21-7"),
        ("bob@mail.example.org", "file:S-1-5-21-7"),
        ("office@mail.example.org", "file:S-1-5-21-7"),
        ("JÖRG", "file:jörg"),
        ("jörg@example.org", "file:jörg"),
        ("office", "ambiguous"),
        ("office@example.org", "ambiguous"),
        ("EXAMPLE\\office", "ambiguous"),
        // The realm's alice, and the address of carol.
        ("alice@corp.example.org", "ambiguous"),
        ("dave", "file:dave"),
        ("ghost", "not found"),
        ("alice@far.test", "not found"),
        ("alice@lab.example.org", "not found"),
        ("OTHER\\alice", "not found"),
        ("EXAMPLE\\", "not found"),
        ("asmith@mail.example.org", "not found"),
        ("alice ", "not found"),
    ] {
        rows.row(format!("'{login}'"), expected, file.who(login));
    }
    rows.end(27);
}

#[test]
fn an_account_has_its_name_state_and_addresses() {
    let file = File::new(PEOPLE);
    assert_eq!(file.directory.size(), (5, 0));
    let Lookup::Found(holder) = file.lookup("asmith", &Groups::default()) else {
        panic!("not found")
    };
    assert_eq!((&*holder.account.name, holder.account.state), ("Alice", AccountState::Enabled));
    assert_eq!(holder.age_ms, 0);
    let owns = |address: &str| holder.account.owns(&Address::from_internal(address.as_bytes()));
    assert!(owns("alice@mail.example.org") && owns("ALICE@MAIL.EXAMPLE.ORG"));
    assert!(!owns("alice@example.org") && !owns("a.smith@old.example"));
    let Lookup::Found(holder) = file.lookup("dave", &Groups::default()) else {
        panic!("not found")
    };
    assert_eq!(holder.account.state, AccountState::Locked);
}

/// Groups `G1` to `G20`, each within the next, and a ring of three.
fn nested() -> String {
    let mut text = "
        [[account]]
        login = 'alice'
        [[account]]
        login = 'bob'
        [[group]]
        name = 'G1'
        members = ['alice']
        [[group]]
        name = 'Ring A'
        groups = ['Ring C']
        [[group]]
        name = 'Ring B'
        groups = ['Ring A']
        members = ['bob']
        [[group]]
        name = 'Ring C'
        groups = ['ring b', 'Ring C']
        [[group]]
        name = 'Short cut'
        groups = ['G20', 'G2']
        [[group]]
        name = 'Empty'\n"
        .to_string();
    for level in 2..=20 {
        text += &format!("[[group]]\nname = 'G{level}'\ngroups = ['G{}']\n", level - 1);
    }
    text
}

#[test]
fn groups_count_through_twenty_levels_and_round_a_ring() {
    let file = File::new(&nested());
    let mut rows = Rows::default();
    for level in 1..=20 {
        let group = format!("G{level}");
        rows.row(format!("alice in {group}"), true, file.is_member("alice", &group));
        rows.row(format!("bob in {group}"), false, file.is_member("bob", &group));
    }
    for group in ["Ring A", "Ring B", "Ring C", "RING a"] {
        rows.row(format!("bob in {group}"), true, file.is_member("bob", group));
        rows.row(format!("alice in {group}"), false, file.is_member("alice", group));
    }
    for group in ["Empty", "nobody named this"] {
        rows.row(format!("alice in {group}"), false, file.is_member("alice", group));
    }
    rows.end(50);
    assert!(file.directory.has_group("ring A") && !file.directory.has_group("Ring D"));
}

#[test]
fn memberships_stand_in_the_order_of_the_groups_asked_for() {
    let file = File::new(&nested());
    let mut groups = Groups::default();
    for name in ["Empty", "g20", "Ring A", "G1"] {
        groups.index(name);
    }
    let Lookup::Found(holder) = file.lookup("alice", &groups) else { panic!("not found") };
    let found: Vec<Membership> = (0..4).map(|index| holder.memberships.of(index)).collect();
    assert_eq!(found, [Membership::No, Membership::Yes, Membership::No, Membership::Yes]);
}

#[test]
fn the_shortest_path_is_told() {
    let file = File::new(&nested());
    assert_eq!(file.path("alice", "g1"), ["alice", "G1"]);
    assert_eq!(file.path("alice", "G3"), ["alice", "G1", "G2", "G3"]);
    assert_eq!(file.path("alice", "Short cut"), ["alice", "G1", "G2", "Short cut"]);
    assert_eq!(file.path("alice", "G20").len(), 21);
    assert_eq!(file.path("bob", "Ring A"), ["bob", "Ring B", "Ring C", "Ring A"]);
    for (account, group) in [("bob", "G1"), ("ghost", "G1"), ("alice", "none"), ("alice", "Empty")]
    {
        assert!(file.path(account, group).is_empty(), "{account} to {group}");
    }
}

#[test]
fn recipients_and_whom_they_take_mail_from() {
    let file = File::new(
        "
        [[account]]
        login = 'alice'
        addresses = ['Alice@example.org', 'jörg@bücher.example']
        [[account]]
        login = 'bob'
        id = '7'
        [[account]]
        login = 'boss'
        addresses = ['boss@example.org']
        authenticated-only = true
        accept-from-groups = ['Above']
        reject-from = ['bob']
        [[group]]
        name = 'Above'
        groups = ['Below']
        [[group]]
        name = 'Below'
        members = ['alice', 'bob']
        [[group]]
        name = 'list'
        addresses = ['list@example.org']
        authenticated-only = true
        [[group]]
        name = 'picky'
        addresses = ['picky@example.org']
        accept-from = ['alice']",
    );
    let mut rows = Rows::default();
    for (recipient, author, expected) in [
        ("alice@example.org", "", "open"),
        ("ALICE@EXAMPLE.ORG", "", "open"),
        ("alice@example.org.", "bob", "open"),
        ("jörg@xn--bcher-kva.example", "", "open"),
        ("bob@example.org", "", "not found"),
        ("alice+x@example.org", "", "not found"),
        ("alice", "", "not found"),
        ("boss@example.org", "", "AuthenticatedOnly"),
        ("boss@example.org", "alice", "Allowed"),
        ("boss@example.org", "7", "Denied"),
        ("boss@example.org", "boss", "NotOnList"),
        ("list@example.org", "", "AuthenticatedOnly"),
        ("list@example.org", "7", "open"),
        ("picky@example.org", "", "NotOnList"),
        ("picky@example.org", "alice", "Allowed"),
        ("picky@example.org", "7", "NotOnList"),
        ("picky@example.org", "ghost", "NotOnList"),
    ] {
        rows.row(
            format!("{recipient} from '{author}'"),
            expected,
            file.recipient(recipient, author),
        );
    }
    rows.end(17);
}

#[test]
fn a_changed_file_is_read_again_and_an_unchanged_one_is_not() {
    let file = File::new("[[account]]\nlogin = 'alice'\n");
    assert_eq!(file.directory.refresh(&Groups::default(), false), Ok(false));
    file.replace("[[account]]\nlogin = 'alice'\n[[account]]\nlogin = 'bob'\n");
    assert_eq!(file.who("bob"), "not found", "nothing changes before it is read again");
    assert_eq!(file.directory.refresh(&Groups::default(), false), Ok(true));
    assert_eq!((file.who("bob"), file.directory.size()), ("file:bob".into(), (2, 0)));
    assert_eq!(file.directory.refresh(&Groups::default(), false), Ok(false));
    file.replace("");
    assert_eq!(file.directory.refresh(&Groups::default(), false), Ok(true));
    assert_eq!(file.who("alice"), "not found");
}

#[test]
fn a_faulty_file_keeps_the_old_content_and_names_the_place() {
    let file = File::new("[[account]]\nlogin = 'alice'\n");
    let name = file.path.display().to_string();
    let cases = [
        ("[[account]]\nlogin = 'alice'\nstate = 'gone'\n", "3:9: account[0].state: \"gone\""),
        ("[[group]]\nname = 'G'\nmembers = ['bob']\n", "3:12: group[0].members[0]: no [[account]]"),
        ("[[group]]\nname = 'G'\ngroups = ['H']\n", "3:11: group[0].groups[0]: no [[group]]"),
        (
            "[[account]]\nlogin = 'a'\naddresses = ['a']\n",
            "3:14: account[0].addresses[0]: \"a\" is no address",
        ),
        (
            "[[account]]\nlogin = 'a'\n[[account]]\nlogin = 'A'\n",
            "4:9: account[1].login: another account",
        ),
        ("[[account]]\nlogin = 'a'\ncolour = 'red'\n", "3:1: account[0].colour: unknown key"),
        ("[[account]\nlogin = 'a'\n", "1:"),
    ];
    for (text, fault) in cases {
        file.replace(text);
        let told = file.directory.refresh(&Groups::default(), false).expect_err(text);
        assert!(
            told.starts_with(&format!("{name}:{fault}")),
            "{told}\ndoes not start with\n{fault}"
        );
        assert_eq!(file.who("alice"), "file:alice", "{text}");
        let faults = FileDirectory::open(&file.path).err().expect("the same fault at start");
        assert!(told.starts_with(&faults[0].to_string()), "{told}");
    }
    file.replace("[[account]]\nlogin = 'bob'\n");
    assert_eq!(file.directory.refresh(&Groups::default(), false), Ok(true));
    assert_eq!((file.who("alice"), file.who("bob")), ("not found".into(), "file:bob".into()));
}

#[test]
fn all_faults_are_told_at_once() {
    let file = File::new("");
    file.replace("[[account]]\nstate = 'gone'\n[[group]]\nmembers = ['x']\n");
    let told = file.directory.refresh(&Groups::default(), false).expect_err("three faults");
    for place in ["account[0].login", "account[0].state", "group[0].name"] {
        assert!(told.contains(place), "{place} is missing in {told}");
    }
}

#[test]
fn a_file_that_vanishes_keeps_its_content_and_may_come_back() {
    let file = File::new("[[account]]\nlogin = 'alice'\n");
    std::fs::remove_file(&file.path).expect("removed");
    let told = file.directory.refresh(&Groups::default(), false).expect_err("no file");
    assert!(told.starts_with(&file.path.display().to_string()), "{told}");
    assert_eq!(file.who("alice"), "file:alice");
    file.replace("[[account]]\nlogin = 'bob'\n");
    assert_eq!(file.directory.refresh(&Groups::default(), false), Ok(true));
    assert_eq!(file.who("bob"), "file:bob");
}

#[test]
fn a_group_the_configuration_names_cannot_vanish_from_the_file() {
    let with = |group: &str| {
        format!("[[account]]\nlogin = 'carol'\n[[group]]\nname = '{group}'\nmembers = ['carol']\n")
    };
    let file = File::new(&with("No-Mail"));
    let mut groups = Groups::default();
    groups.index("no-mail");
    file.replace(&with("No-Mial"));
    let told = file.directory.refresh(&groups, false).expect_err("a lost group");
    assert!(
        told.ends_with(
            "the configuration names the group \"no-mail\", which is gone from the file"
        ),
        "{told}"
    );
    assert!(file.directory.has_group("No-Mail"), "the old content stays");
    // Once the configuration no longer names it, the file is read, although it has not changed.
    assert_eq!(file.directory.refresh(&Groups::default(), false), Ok(false));
    assert_eq!(file.directory.refresh(&Groups::default(), true), Ok(true));
    assert!(!file.directory.has_group("No-Mail"));
}
