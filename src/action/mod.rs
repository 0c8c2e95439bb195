//! What is done when something happened: a webhook called, a mail sent, a command run, a group of the
//! directory changed. An action does as it is told, once for each call; the outbox calls it until it works.

pub mod command;
pub mod directory;
mod lane;
pub mod mail;
mod queue;
pub mod webhook;

use std::fmt::Write;
use std::time::Duration;

use crate::mail::{Mode, Timestamp};
use crate::record::{Notice, NoticeKind};

pub use lane::{Lane, lanes};
pub use queue::{Limits, Next, Queue, arrived};

use command::Command;
use directory::Directory;
use mail::Mail;
use webhook::Webhook;

/// What an action is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Webhook,
    Mail,
    Command,
    Directory,
}

impl Kind {
    pub const ALL: [Kind; 4] = [Kind::Webhook, Kind::Mail, Kind::Command, Kind::Directory];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Mail => "mail",
            Self::Command => "command",
            Self::Directory => "directory",
        }
    }
}

/// One `[[action]]`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// No slash and no `@` is in it.
    pub name: Box<str>,
    pub wants: Wants,
    /// What could not be delivered for so long becomes a dead letter.
    pub give_up_after: Duration,
    pub what: What,
}

/// By its kind.
#[derive(Clone, Debug)]
pub enum What {
    Webhook(webhook::Settings),
    Mail(mail::Settings),
    Command(command::Settings),
    Directory(directory::Settings),
}

impl What {
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Webhook(_) => Kind::Webhook,
            Self::Mail(_) => Kind::Mail,
            Self::Command(_) => Kind::Command,
            Self::Directory(_) => Kind::Directory,
        }
    }
}

/// Of which events an action hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wants {
    pub events: Vec<NoticeKind>,
    /// Also of what only observes.
    pub observe: bool,
}

impl Wants {
    pub fn takes(&self, notice: &Notice) -> bool {
        self.events.contains(&notice.event)
            && (self.observe || notice.mode.is_none_or(|mode| mode == Mode::Enforce))
    }
}

/// An event, read and as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub notice: Notice,
    pub body: Box<str>,
}

impl Told {
    pub fn of(notice: Notice) -> Self {
        let body = notice.to_event().body;
        Self { notice, body }
    }

    /// Its id as headers and variables take it: an account's name may be part of it.
    pub fn id(&self) -> String {
        plain_id(&self.notice.id)
    }
}

/// Letters, digits and a few signs; any other byte as `%` and two hexadecimal digits.
fn plain_id(id: &str) -> String {
    let mut plain = String::with_capacity(id.len());
    for byte in id.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => plain.push(byte.into()),
            _ => {
                let _ = write!(plain, "%{byte:02X}");
            }
        }
    }
    plain
}

/// Ready to act.
pub enum Action {
    Webhook(Webhook),
    Mail(Mail),
    Command(Command),
    Directory(Directory),
}

impl Action {
    /// Acts on all of these events at once; only a mail takes more than one. `Err`: why not, in words; then nobody
    /// knows whether it was done, so it is to be done again.
    pub async fn act(&self, events: &[Told], at: Timestamp) -> Result<(), String> {
        match self {
            Self::Mail(mail) => mail.send(events, at).await,
            Self::Webhook(webhook) => {
                for told in events {
                    webhook.call(told, at).await?;
                }
                Ok(())
            }
            Self::Command(command) => {
                for told in events {
                    command.run(told).await?;
                }
                Ok(())
            }
            Self::Directory(directory) => {
                for told in events {
                    directory.apply(told).await?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_fit_for_headers_and_stays_another_than_any_other() {
        for (id, plain) in [
            ("0123456789AB.suspended", "0123456789AB.suspended"),
            ("login:jörg x-1.watched", "login%3Aj%C3%B6rg%20x-1.watched"),
            ("a\r\n\0>%", "a%0D%0A%00%3E%25"),
        ] {
            assert_eq!(plain_id(id), plain);
        }
    }
}
