//! What is looked up for one question: the account, the author behind a gateway, the recipient; each within its
//! budget, whatever the directory does meanwhile.

use std::time::Duration;

use crate::decision::{Identity, Known, KnownAuthor, Rules};
use crate::directory::{Answer, Author, Directory};
use crate::engine::Engine;
use crate::mail::{Address, Facts, Login, Stage};
use crate::rights::{DomainClass, Lookup, Mode, RecipientLookup, Restriction};

/// One lookup, whatever the directory does meanwhile. A question makes one for its login and one for
/// its recipient, and up to four more behind a gateway or with extensions; Sendmail waits 10 s
/// for a milter, Postfix 100 s for a policy service.
const LOOKUP_BUDGET: Duration = Duration::from_secs(2);

impl Engine {
    /// Looks up what the rules need to judge this question, and nothing else.
    pub(super) async fn gather(&self, facts: &Facts, rules: &Rules) -> Known {
        let mut known = Known::default();
        let is_judged = !matches!(facts.stage, Stage::Connect | Stage::Helo | Stage::Etrn);
        if !is_judged || facts.client.is_local {
            return known;
        }
        if let Some(login) = &facts.login {
            known.rewritten = rules.rewrite(login);
        }
        let login = known.rewritten.as_ref().or(facts.login.as_ref());
        let directory = self.directory.as_deref();
        if let (Some(login), Some(directory)) = (login, directory) {
            known.account = Some(account(directory, login, rules).await);
        }
        known.gateway = rules.gateway(facts, login, known.account.as_ref());
        let Some(directory) = directory else { return known };
        known.author = author(directory, facts, rules, known.gateway).await;
        known.recipient = recipient(directory, facts, rules, &known).await;
        known
    }
}

async fn account(directory: &dyn Directory, login: &Login, rules: &Rules) -> Lookup {
    within_budget(directory.lookup(login, &rules.groups), Lookup::Unavailable).await
}

/// The owner of the envelope sender, where a gateway names nobody better.
async fn author(
    directory: &dyn Directory,
    facts: &Facts,
    rules: &Rules,
    gateway: Option<usize>,
) -> Option<KnownAuthor> {
    if rules.gateways[gateway?].identity != Identity::Sender {
        return None;
    }
    let sender = &facts.envelope.sender;
    let login = Login::parse(sender.as_bytes())?;
    let found = account(directory, &login, rules).await;
    let plain = sender.without_extension(&rules.domains.recipient_delimiter);
    if let (Lookup::NotFound, Some(plain)) = (&found, plain)
        && let Some(login) = Login::parse(plain.as_bytes())
    {
        let account = account(directory, &login, rules).await;
        return Some(KnownAuthor { login, account });
    }
    Some(KnownAuthor { login, account: found })
}

async fn recipient(
    directory: &dyn Directory,
    facts: &Facts,
    rules: &Rules,
    known: &Known,
) -> Option<RecipientLookup> {
    let wanted = rules.recipient.existence.max(rules.recipient.delivery_restrictions);
    let recipient = facts.envelope.recipient.as_ref()?;
    let is_ours =
        rules.domains.class_of(recipient).0 == DomainClass::Local && recipient.domain().is_some();
    if wanted == Mode::Off || !is_ours {
        return None;
    }
    let wanted = Wanted { directory, recipient, delimiters: &rules.domains.recipient_delimiter };
    let found = match &known.account {
        None => {
            wanted.by(if facts.login.is_some() { Author::Stranger } else { Author::Nobody }).await
        }
        Some(Lookup::Found(holder)) => wanted.by(Author::Account(&holder.account.key)).await,
        Some(Lookup::NotFound) => wanted.by(Author::Stranger).await,
        Some(Lookup::Ambiguous | Lookup::Unavailable) => blurred(wanted.by(Author::Stranger).await),
    };
    // Behind a gateway the sender's owner may be on a list of those who may not write; that it is
    // on a list of those who may proves nothing.
    Some(match known.author.as_ref().map(|author| &author.account) {
        None | Some(Lookup::NotFound) => found,
        Some(Lookup::Ambiguous | Lookup::Unavailable) => blurred(found),
        Some(Lookup::Found(holder)) => {
            match wanted.by(Author::Account(&holder.account.key)).await {
                denied @ RecipientLookup::Found(Restriction::Denied) => denied,
                _ => found,
            }
        }
    })
}

/// A recipient to be asked about, with its extension and without.
struct Wanted<'a> {
    directory: &'a dyn Directory,
    recipient: &'a Address,
    delimiters: &'a str,
}

impl Wanted<'_> {
    async fn by(&self, author: Author<'_>) -> RecipientLookup {
        let silent = RecipientLookup::Unavailable;
        let asked = self.directory.recipient(self.recipient, author);
        let found = within_budget(asked, silent.clone()).await;
        if found == RecipientLookup::NotFound
            && let Some(plain) = self.recipient.without_extension(self.delimiters)
        {
            return within_budget(self.directory.recipient(&plain, author), silent).await;
        }
        found
    }
}

/// The recipient exists, but nobody can say whether this author may write to it.
fn blurred(found: RecipientLookup) -> RecipientLookup {
    match found {
        RecipientLookup::Found(_) => RecipientLookup::Found(Restriction::Unknown),
        other => other,
    }
}

pub(super) async fn within_budget<T>(answer: Answer<'_, T>, silent: T) -> T {
    match answer {
        Answer::Now(answer) => answer,
        Answer::Later(answer) => {
            tokio::time::timeout(LOOKUP_BUDGET, answer).await.unwrap_or(silent)
        }
    }
}
