//! Questions of people about rights: who a login is and what it holds, and who holds a right. They
//! leave no trace.

use std::time::Duration;

use crate::decision::{Case, Holders, Known, Listener, Paths, Portrait, Rules};
use crate::engine::Engine;
use crate::mail::{Facts, Login, Protocol, Stage, Timestamp};
use crate::rights::{Lookup, Membership, Right};

/// The ways into all groups together; `gatepost rights` waits 10 s for the whole answer.
const PATHS_BUDGET: Duration = Duration::from_secs(5);

/// Reading all people; somebody waits for them.
const LISTING_BUDGET: Duration = Duration::from_secs(60);

impl Engine {
    /// Who the login is, and what it holds by the rules of the moment.
    pub async fn portray(&self, login: &Login, at: Timestamp) -> Option<Portrait> {
        let rules = self.rules();
        let mut facts = Facts::at_stage(Protocol::PolicyDelegation, Stage::Mail);
        facts.login = Some(login.clone());
        let known = self.gather(&facts, &rules).await;
        let paths = self.paths(&known, &rules).await;
        let listener = Listener::of_no_socket();
        let case = Case { listener: &listener, facts: &facts, known: &known, rules: &rules };
        let mut kept = None;
        if let Some(account) = case.account_key() {
            // What a store that fails knows is not told.
            let _ = self.look(&account, |record| kept = Some(record.clone())).await;
        }
        Portrait::tell(case, &paths, kept.as_ref(), at)
    }

    /// A way into each group the account is in; those that take too long are left out.
    async fn paths(&self, known: &Known, rules: &Rules) -> Paths {
        let mut paths = Paths::new();
        let (Some(Lookup::Found(holder)), Some(directory)) =
            (&known.account, self.directory.as_deref())
        else {
            return paths;
        };
        let walks = async {
            for (group, name) in rules.groups.names().enumerate() {
                if holder.memberships.of(group) == Membership::Yes {
                    let path = directory.path(&holder.account.key, name).wait().await;
                    paths.insert(group, path);
                }
            }
        };
        let _ = tokio::time::timeout(PATHS_BUDGET, walks).await;
        paths
    }

    /// Everybody who holds the right by the rules of the moment; a fault says why the directory
    /// lists nobody.
    pub async fn holders(&self, right: Right, at: Timestamp) -> Result<Holders, String> {
        let rules = self.rules();
        let people = match self.directory.as_deref() {
            None => None,
            Some(directory) => {
                let listing = directory.people(&rules.groups).wait();
                let listed = tokio::time::timeout(LISTING_BUDGET, listing).await;
                Some(listed.unwrap_or_else(|_| {
                    Err("the directory did not list its people within 60 s".into())
                })?)
            }
        };
        Ok(Holders::new(rules, right, people, at))
    }
}
