//! The one thing gatepost writes into a directory: who is a member of one group. By a connection for each change,
//! bound as somebody who may do that and nothing else.

use std::sync::Arc;
use std::time::Duration;

use ldap3::Mod;

use crate::directory::ldap::account::DIRECTORY;
use crate::directory::ldap::connection::{Connection, Search};
use crate::directory::ldap::credential::Credential;
use crate::directory::ldap::discover::Dns;
use crate::directory::ldap::fault::Fault;
use crate::directory::ldap::filter::Filter;
use crate::directory::ldap::settings::Settings;
use crate::directory::ldap::sid::guid_bytes;
use crate::mail::{AccountKey, Timestamp};

/// A change with all that belongs to it: bind, search, modify, and a look at what came of it.
const WAIT: Duration = Duration::from_secs(15);

/// One group, and who may change it.
pub struct Membership {
    settings: Arc<Settings>,
    credential: Credential,
    group: String,
    /// Of the group; it holds the DNs of members.
    attribute: String,
    clock: fn() -> Timestamp,
}

/// What became of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Became {
    /// As it was asked for, whether it was so before or not.
    So,
    /// The directory has no such account, and so no group has it.
    Gone,
}

impl Membership {
    /// `settings` are those of the directory, but for the bind.
    pub fn new(settings: Settings, group: &str, attribute: &str, clock: fn() -> Timestamp) -> Self {
        let credential = Credential::of(&settings.bind);
        let (group, attribute) = (group.into(), attribute.into());
        Self { settings: Arc::new(settings), credential, group, attribute, clock }
    }

    /// Whether an account is one of this directory.
    pub fn knows(account: &AccountKey) -> bool {
        id(account).is_some()
    }

    /// Makes the account a member, or makes it none. Done twice, it is as done once.
    pub async fn set(&self, account: &AccountKey, is_member: bool) -> Result<Became, String> {
        self.within(async {
            let connection = self.connect().await?;
            self.set_by(&connection, account, is_member).await.map_err(|fault| fault.to_string())
        })
        .await
    }

    /// Sets all of these, one after the other; those that were set, up to the first that cannot be.
    pub async fn set_all(&self, wanted: &[(AccountKey, bool)]) -> (usize, Result<(), String>) {
        let connection = match self.within(self.connect()).await {
            Ok(connection) => connection,
            Err(why) => return (0, Err(why)),
        };
        for (number, (account, is_member)) in wanted.iter().enumerate() {
            let setting = async {
                let set = self.set_by(&connection, account, *is_member).await;
                set.map_err(|fault| fault.to_string())
            };
            if let Err(why) = self.within(setting).await {
                return (number, Err(why));
            }
        }
        (wanted.len(), Ok(()))
    }

    async fn set_by(
        &self,
        connection: &Connection,
        account: &AccountKey,
        is_member: bool,
    ) -> Result<Became, Fault> {
        let Some(dn) = self.dn_of(account, connection).await? else { return Ok(Became::Gone) };
        if self.has(&dn, connection).await? == is_member {
            return Ok(Became::So);
        }
        let (attribute, value) = (self.attribute.clone().into_bytes(), dn.clone().into_bytes());
        let change = match is_member {
            true => Mod::Add(attribute, [value].into()),
            false => Mod::Delete(attribute, [value].into()),
        };
        match connection.modify(&self.group, change).await {
            Ok(()) => Ok(Became::So),
            // Somebody else may have done it meanwhile; servers say that each in their own way.
            Err(fault) => match self.has(&dn, connection).await {
                Ok(has) if has == is_member => Ok(Became::So),
                _ => Err(fault),
            },
        }
    }

    /// Whether the group is there for whoever may change it.
    pub async fn look(&self) -> Result<(), String> {
        self.within(async {
            let connection = self.connect().await?;
            let group = Search::object(&self.group, &["1.1"]);
            match connection.search(&group, (self.clock)()).await {
                Ok(found) if found.is_empty() => Err(format!("no such group: {}", self.group)),
                Ok(_) => Ok(()),
                Err(fault) => Err(format!("{}: {fault}", self.group)),
            }
        })
        .await
    }

    async fn within<T>(&self, doing: impl Future<Output = Result<T, String>>) -> Result<T, String> {
        let done = tokio::time::timeout(WAIT, doing).await;
        done.unwrap_or_else(|_| Err(format!("not done within {} s", WAIT.as_secs())))
    }

    /// To the first server that takes it.
    async fn connect(&self) -> Result<Connection, String> {
        let Settings { servers, schema, .. } = &*self.settings;
        let dns = Dns::of(servers)?;
        let mut last = String::from("there is no server");
        for address in dns.servers(servers, schema.kind).await? {
            let opening =
                Connection::open(&address, &dns, &self.settings, &self.credential, self.clock);
            // Each has its turn before the time is over.
            match tokio::time::timeout(WAIT / 3, opening).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(fault)) => last = fault.to_string(),
                Err(_) => last = format!("{address}: no answer in time"),
            }
        }
        Err(last)
    }

    async fn dn_of(
        &self,
        account: &AccountKey,
        connection: &Connection,
    ) -> Result<Option<String>, Fault> {
        let Settings { base, schema, .. } = &*self.settings;
        let Some(id) = id(account) else { return Ok(None) };
        if schema.id.is_empty() {
            return Ok(Some(id.into()));
        }
        let value = match guid_bytes(id) {
            Some(guid) if schema.id.eq_ignore_ascii_case("objectGUID") => guid.to_vec(),
            _ => id.into(),
        };
        let filter = Filter::equal(&schema.id, value).to_string();
        let search = Search::below(base, filter, &["1.1"]).at_most(1);
        Ok(connection.search(&search, (self.clock)()).await?.pop().map(|entry| entry.dn))
    }

    /// Whether the group has this member, as the server compares DNs.
    async fn has(&self, dn: &str, connection: &Connection) -> Result<bool, Fault> {
        let filter = Filter::equal(&self.attribute, dn).to_string();
        let search = Search { filter, ..Search::object(&self.group, &["1.1"]) };
        Ok(!connection.search(&search, (self.clock)()).await?.is_empty())
    }
}

fn id(account: &AccountKey) -> Option<&str> {
    account.as_str().strip_prefix(DIRECTORY)?.strip_prefix(':')
}
