//! Recipients, and whether an author may write to them, from memory or asked for: two steps within the
//! wait of one question.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;

use crate::directory::cache::{Fetch, Known, Outcome};
use crate::directory::ldap::recipient::Recipient;
use crate::directory::ldap::{Inner, trouble};
use crate::directory::{Answer, Author};
use crate::mail::{AccountKey, Address};
use crate::rights::{RecipientLookup, Restriction};

/// Who may write to whom, as it was asked for.
pub(super) struct Restricted {
    /// With the lists of then.
    recipient: Arc<Recipient>,
    restriction: Restriction,
}

/// A recipient with lists, and an account that writes to it.
type Pair = (Arc<Recipient>, AccountKey);

impl Inner {
    pub(super) fn recipient<'a>(
        self: &'a Arc<Self>,
        recipient: &'a Address,
        author: Author<'a>,
    ) -> Answer<'a, RecipientLookup> {
        let folded = recipient.folded();
        let Ok(key) = std::str::from_utf8(&folded) else {
            return Answer::Now(RecipientLookup::NotFound);
        };
        let fetch = || self.fetch_recipient(recipient);
        let at_hand = self.recipients.at_hand(key, |_| true, fetch);
        match at_hand.map(|known| settled(known, author)) {
            Some(Ok(lookup)) => return Answer::Now(lookup),
            Some(Err(pair)) => {
                let pair_key = pair_key(key, &pair.1);
                let is_usable = |known: &Restricted| known.recipient == pair.0;
                let fetch = || self.fetch_restriction(&pair);
                if let Some(known) = self.restrictions.at_hand(&pair_key, is_usable, fetch) {
                    return Answer::Now(told(known));
                }
            }
            None => {}
        }
        Answer::Later(Box::pin(self.ask_recipient(recipient, key.into(), author)))
    }

    async fn ask_recipient(
        self: &Arc<Self>,
        recipient: &Address,
        key: String,
        author: Author<'_>,
    ) -> RecipientLookup {
        let wait = self.settings.wait;
        let asking = self.known_recipient(recipient, &key, author, wait);
        match tokio::time::timeout(wait, asking).await {
            Ok(lookup) => lookup,
            // The lookups go on, and what was known before is served.
            Err(_) => self.known_recipient(recipient, &key, author, Duration::ZERO).await,
        }
    }

    async fn known_recipient(
        self: &Arc<Self>,
        recipient: &Address,
        key: &str,
        author: Author<'_>,
        wait: Duration,
    ) -> RecipientLookup {
        let fetch = || self.fetch_recipient(recipient);
        // Not asked for where it is at hand: the author alone may be what is not.
        let known = match self.recipients.at_hand(key, |_| true, fetch) {
            Some(known) => known,
            None => self.recipients.ask(key, wait, |_| true, fetch).await,
        };
        let pair = match settled(known, author) {
            Ok(lookup) => return lookup,
            Err(pair) => pair,
        };
        let is_usable = |known: &Restricted| known.recipient == pair.0;
        let fetch = || self.fetch_restriction(&pair);
        told(self.restrictions.ask(&pair_key(key, &pair.1), wait, is_usable, fetch).await)
    }

    fn fetch_recipient(self: &Arc<Self>, recipient: &Address) -> Fetch<Recipient> {
        let (inner, recipient) = (Arc::clone(self), recipient.clone());
        async move {
            let found = inner.resolver.recipient(&recipient).await;
            found.map_err(|fault| trouble(&fault, "recipient", &recipient.to_string()))
        }
        .boxed()
    }

    fn fetch_restriction(self: &Arc<Self>, (recipient, author): &Pair) -> Fetch<Restricted> {
        let (inner, recipient, author) = (Arc::clone(self), Arc::clone(recipient), author.clone());
        async move {
            let asked = inner.resolver.restriction(&recipient, &author, (inner.clock)()).await;
            let restriction = asked.map_err(|fault| {
                tracing::warn!(%fault, "the lists of a recipient cannot be read");
                trouble(&fault, "author", author.as_str())
            })?;
            Ok(Outcome::Found(Restricted { recipient, restriction }))
        }
        .boxed()
    }
}

/// An address has no NUL: it would not have got here by SMTP.
fn pair_key(recipient: &str, author: &AccountKey) -> String {
    format!("{recipient}\0{}", author.as_str())
}

fn told(known: Known<Restricted>) -> RecipientLookup {
    RecipientLookup::Found(match known {
        Known::Found(found) => found.value.restriction,
        Known::Absent(_) | Known::Unknown(_) => Restriction::Unknown,
    })
}

/// What is known of a recipient answers at once, or hangs on who the author is.
fn settled(known: Known<Recipient>, author: Author<'_>) -> Result<RecipientLookup, Pair> {
    let recipient = match known {
        Known::Found(found) => found.value,
        Known::Absent(_) => return Ok(RecipientLookup::NotFound),
        Known::Unknown(_) => return Ok(RecipientLookup::Unavailable),
    };
    match author {
        Author::Account(key) if !recipient.is_open_to_accounts() => Err((recipient, key.clone())),
        Author::Nobody => Ok(RecipientLookup::Found(recipient.for_stranger(false))),
        Author::Stranger | Author::Account(_) => {
            Ok(RecipientLookup::Found(recipient.for_stranger(true)))
        }
    }
}
