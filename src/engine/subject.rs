//! Whom a person means: a login in any of its forms, a client by `client:`, or the account of a suspension by its id.

use std::sync::Arc;

use crate::decision::{Case, DecisionId, Listener};
use crate::engine::Engine;
use crate::engine::charge::named_client;
use crate::engine::suspending::DeedFault;
use crate::engine::telling::About;
use crate::mail::{AccountKey, Facts, Login, Protocol, Stage, Timestamp};
use crate::record::{Deed, Incident, Table};
use crate::rights::{Account, Lookup};

/// An account, as a person named it.
pub(super) struct Subject {
    pub account: AccountKey,
    pub login: String,
    pub holder: Option<Arc<Account>>,
    /// The directory knows no such login.
    pub is_unknown: bool,
    /// The suspension by whose id it was named.
    pub incident: Option<String>,
    /// The directory does not say who holds it: nor, by that, when its password was set.
    pub is_unsaid: bool,
}

impl Subject {
    const fn of(account: AccountKey, login: String) -> Self {
        Self { account, login, holder: None, is_unknown: false, incident: None, is_unsaid: false }
    }

    pub fn about(&self, at: Timestamp) -> About<'_> {
        About {
            account: &self.account,
            login: &self.login,
            holder: self.holder.as_deref(),
            mta: "",
            at,
        }
    }

    pub fn deed(
        &self,
        what: &str,
        by: &str,
        note: &str,
        detail: Option<String>,
        at: Timestamp,
    ) -> Deed {
        Deed {
            account: Some(self.account.to_string()),
            login: Some(self.login.clone()),
            detail,
            note: Some(note.into()),
            ..Deed::new(by, what, at)
        }
    }
}

impl Engine {
    pub(super) async fn subject(&self, name: &str) -> Result<Subject, DeedFault> {
        if let Some(incident) = self.named_incident(name).await? {
            let account = AccountKey::stored(&incident.account);
            let mut subject = Subject::of(account, incident.login);
            subject.incident = Some(incident.id);
            // A thief may have a login by the name of what he was told.
            if let Ok(namesake) = self.subject_by_login(name).await
                && namesake.holder.is_some()
                && namesake.account != subject.account
            {
                return Err(DeedFault::Ambiguous);
            }
            match self.subject_by_login(&subject.login).await {
                Ok(found) if found.account == subject.account => subject.holder = found.holder,
                Err(DeedFault::DirectorySilent) => subject.is_unsaid = true,
                _ => {}
            }
            return Ok(subject);
        }
        if let Some(client) = name.strip_prefix("client:") {
            let account = named_client(client).ok_or(DeedFault::NoLogin)?;
            return Ok(Subject::of(account, name.into()));
        }
        self.subject_by_login(name).await
    }

    async fn subject_by_login(&self, name: &str) -> Result<Subject, DeedFault> {
        let login = Login::parse(name.as_bytes()).ok_or(DeedFault::NoLogin)?;
        let rules = self.rules();
        let mut facts = Facts::at_stage(Protocol::PolicyDelegation, Stage::Mail);
        if let Some(directory) = &self.directory {
            // Whoever acts on a login has perhaps just changed its password.
            directory.look_again(rules.rewrite(&login).as_ref().unwrap_or(&login));
        }
        facts.login = Some(login);
        let known = self.gather(&facts, &rules).await;
        let listener = Listener::of_no_socket();
        let case = Case { listener: &listener, facts: &facts, known: &known, rules: &rules };
        let holder = match &known.account {
            Some(Lookup::Ambiguous) => return Err(DeedFault::Ambiguous),
            Some(Lookup::Unavailable) => return Err(DeedFault::DirectorySilent),
            found => found.as_ref().and_then(Lookup::account).cloned(),
        };
        let account = case.account_key().ok_or(DeedFault::NoLogin)?;
        let is_unknown = matches!(known.account, Some(Lookup::NotFound));
        let login = case.login().map_or(name, Login::raw).into();
        Ok(Subject { holder, is_unknown, ..Subject::of(account, login) })
    }

    async fn named_incident(&self, name: &str) -> Result<Option<Incident>, DeedFault> {
        let Some(id) = DecisionId::parse(name) else { return Ok(None) };
        let row = self.store.row(Table::Incidents, id.as_str()).await?;
        Ok(row.as_deref().and_then(Incident::read))
    }
}
