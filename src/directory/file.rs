//! A directory in one TOML file: accounts, addresses, states and nested groups. The embedded
//! default, for small sites, quick starts and machines without LDAP.

use std::collections::{HashMap, HashSet, VecDeque};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use smallvec::SmallVec;

mod list;
mod read;
pub(super) mod write;

use crate::directory::{Answer, Author, Directory, ListedRecipient};
use crate::mail::{AccountKey, Address, Login, LoginForm};
use crate::rights::{
    Account, Groups, Holder, Lookup, Membership, Memberships, RecipientLookup, Restriction,
};
use crate::settings::Fault;

/// The directory of a file, as it was last read without a fault.
pub struct FileDirectory {
    path: PathBuf,
    content: ArcSwap<Content>,
    seen: Mutex<Seen>,
}

/// Modification time, inode and length: what tells one content of the file from another.
type Stamp = (SystemTime, u64, u64);

/// The file as it was last looked at.
struct Seen {
    stamp: Option<Stamp>,
    was_refused: bool,
}

impl FileDirectory {
    /// Reads the file.
    pub fn open(path: &Path) -> Result<Self, Vec<Fault>> {
        let stamp = stamp(path);
        let content = Content::load(path)?;
        Ok(Self {
            path: path.into(),
            content: ArcSwap::from_pointee(content),
            seen: Mutex::new(Seen { stamp, was_refused: false }),
        })
    }

    /// Refuses a content without a group that the rules name and the old content has.
    fn refuse_loss(&self, content: &Content, groups: &Groups) -> Result<(), String> {
        let old = self.content.load();
        let is_lost = |group: &&str| {
            old.group_index.contains_key(*group) && !content.group_index.contains_key(*group)
        };
        let named = groups.folded().iter().map(|group| &**group);
        let lost: Vec<&str> = named.filter(is_lost).collect();
        if lost.is_empty() {
            return Ok(());
        }
        Err(format!(
            "{}: the configuration names the group \"{}\", which is gone from the file",
            self.path.display(),
            lost.join("\", \"")
        ))
    }

    /// Whether the file names this group.
    pub fn has_group(&self, name: &str) -> bool {
        self.content.load().group_index.contains_key(name.to_lowercase().as_str())
    }

    /// Accounts and groups, in this order.
    pub fn size(&self) -> (usize, usize) {
        let content = self.content.load();
        (content.accounts.len(), content.groups.len())
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.ino(), metadata.len()))
}

impl Directory for FileDirectory {
    fn lookup<'a>(&'a self, login: &'a Login, groups: &'a Groups) -> Answer<'a, Lookup> {
        Answer::Now(self.content.load().lookup(login, groups))
    }

    fn recipient<'a>(
        &'a self,
        recipient: &'a Address,
        author: Author<'a>,
    ) -> Answer<'a, RecipientLookup> {
        Answer::Now(self.content.load().recipient(recipient, author))
    }

    fn path<'a>(&'a self, account: &'a AccountKey, group: &'a str) -> Answer<'a, Vec<String>> {
        Answer::Now(self.content.load().path(account, group))
    }

    fn people<'a>(&'a self, groups: &'a Groups) -> Answer<'a, Result<Vec<Holder>, String>> {
        let content = self.content.load();
        let people = content.accounts.iter().map(|entry| content.holder(entry, groups));
        Answer::Now(Ok(people.collect()))
    }

    fn recipients<'a>(&'a self) -> Answer<'a, Result<Vec<ListedRecipient>, String>> {
        Answer::Now(Ok(self.content.load().recipients()))
    }

    fn refresh(&self, groups: &Groups, again: bool) -> Result<bool, String> {
        let now = stamp(&self.path);
        let mut seen = self.seen.lock();
        if now == seen.stamp && !(again && seen.was_refused) {
            return Ok(false);
        }
        *seen = Seen { stamp: now, was_refused: true };
        let content = Content::load(&self.path).map_err(|faults| {
            faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        })?;
        self.refuse_loss(&content, groups)?;
        seen.was_refused = false;
        self.content.store(Arc::new(content));
        Ok(true)
    }
}

/// Only the file's own names are put in, so nobody can choose them to collide.
type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// What one reading of the file gave, indexed for lookups.
#[derive(Default)]
struct Content {
    accounts: Vec<Entry>,
    groups: Vec<Group>,
    /// Folded logins and addresses to accounts; more than one makes a login ambiguous.
    logins: Map<Box<str>, SmallVec<[usize; 1]>>,
    /// Folded addresses of accounts and groups, to `deliveries`.
    recipients: Map<Box<[u8]>, usize>,
    /// Of the accounts, then of the groups.
    deliveries: Vec<Delivery>,
    by_key: Map<AccountKey, usize>,
    group_index: Map<Box<str>, usize>,
    realms: HashSet<Box<str>>,
    netbios: HashSet<Box<str>>,
}

struct Entry {
    account: Arc<Account>,
    /// All groups, nested ones included.
    groups: HashSet<usize>,
}

/// The addresses of a recipient, folded, and who may write to it.
struct Delivery {
    addresses: Vec<Box<[u8]>>,
    authenticated_only: bool,
    accept_from: Vec<Party>,
    reject_from: Vec<Party>,
}

#[derive(Clone, Copy)]
enum Party {
    Account(usize),
    Group(usize),
}

struct Group {
    name: Box<str>,
    members: Vec<usize>,
    /// Groups whose members are members of this one.
    groups: Vec<usize>,
}

impl Content {
    fn lookup(&self, login: &Login, groups: &Groups) -> Lookup {
        let found = self.find(login);
        let entry = match found[..] {
            [] => return Lookup::NotFound,
            [index] => &self.accounts[index],
            _ => return Lookup::Ambiguous,
        };
        Lookup::Found(self.holder(entry, groups))
    }

    fn holder(&self, entry: &Entry, groups: &Groups) -> Holder {
        let membership = |name: &str| match self.group_index.get(name) {
            Some(group) if entry.groups.contains(group) => Membership::Yes,
            // A group the file does not name has no members.
            _ => Membership::No,
        };
        Holder {
            account: Arc::clone(&entry.account),
            age_ms: 0,
            memberships: Memberships(groups.folded().iter().map(|name| membership(name)).collect()),
        }
    }

    /// Every account a login may mean.
    fn find(&self, login: &Login) -> SmallVec<[usize; 1]> {
        let mut found: SmallVec<[usize; 1]> =
            self.logins.get(login.folded()).cloned().unwrap_or_default();
        let user = match login.form() {
            LoginForm::Qualified { user, realm } if self.realms.contains(realm) => Some(user),
            LoginForm::Domain { domain, user } if self.netbios.contains(domain) => Some(user),
            _ => None,
        };
        let by_user = user.and_then(|user| self.logins.get(user));
        let address = login.as_idn_address().map(|address| address.folded());
        let address = address.as_deref().and_then(|address| std::str::from_utf8(address).ok());
        let by_address = address.and_then(|address| self.logins.get(address));
        for &index in by_user.into_iter().chain(by_address).flatten() {
            if !found.contains(&index) {
                found.push(index);
            }
        }
        found
    }

    fn recipient(&self, recipient: &Address, author: Author<'_>) -> RecipientLookup {
        let Some(&delivery) = self.recipients.get(&*recipient.folded()) else {
            return RecipientLookup::NotFound;
        };
        let delivery = &self.deliveries[delivery];
        let has_login = author != Author::Nobody;
        let author = match author {
            Author::Account(key) => self.by_key.get(key).copied(),
            Author::Nobody | Author::Stranger => None,
        };
        let named = |parties: &[Party]| {
            parties.iter().any(|party| match (party, author) {
                (Party::Account(account), Some(author)) => *account == author,
                (Party::Group(group), Some(author)) => self.accounts[author].groups.contains(group),
                (_, None) => false,
            })
        };
        RecipientLookup::Found(if named(&delivery.reject_from) {
            Restriction::Denied
        } else if delivery.authenticated_only && !has_login {
            Restriction::AuthenticatedOnly
        } else if delivery.accept_from.is_empty() {
            Restriction::Open
        } else if named(&delivery.accept_from) {
            Restriction::Allowed
        } else {
            Restriction::NotOnList
        })
    }

    /// The shortest way from the account to the group, found from the group downwards.
    fn path(&self, account: &AccountKey, group: &str) -> Vec<String> {
        let (Some(&account), Some(&group)) =
            (self.by_key.get(account), self.group_index.get(group.to_lowercase().as_str()))
        else {
            return Vec::new();
        };
        let mut came_from = HashMap::from([(group, None)]);
        let mut queue = VecDeque::from([group]);
        while let Some(here) = queue.pop_front() {
            if self.groups[here].members.contains(&account) {
                let mut path = vec![self.accounts[account].account.name.to_string()];
                let mut next = Some(here);
                while let Some(group) = next {
                    path.push(self.groups[group].name.to_string());
                    next = came_from[&group];
                }
                return path;
            }
            for &below in &self.groups[here].groups {
                came_from.entry(below).or_insert_with(|| {
                    queue.push_back(below);
                    Some(here)
                });
            }
        }
        Vec::new()
    }
}
