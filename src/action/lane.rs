//! Lanes: what waits for one action, or for one of its two audiences, is delivered by itself, so that none delays
//! another.

use std::time::Duration;

use crate::action::command::Command;
use crate::action::directory::Directory;
use crate::action::mail::{Audience, Mail};
use crate::action::webhook::Webhook;
use crate::action::{Action, Kind, Settings, Wants, What};
use crate::mail::{Mode, Timestamp};
use crate::record::{Notice, NoticeKind};

/// What an account's owner is told of.
const TO_THE_PERSON: [NoticeKind; 4] =
    [NoticeKind::Suspended, NoticeKind::Released, NoticeKind::Expired, NoticeKind::Escalated];

/// One action at work.
pub struct Lane {
    /// The first part of the keys of its deliveries.
    pub name: Box<str>,
    /// The name of its action.
    pub action_name: Box<str>,
    pub kind: Kind,
    /// Deliveries under way at once.
    pub at_once: usize,
    /// Many mails become one.
    pub digests: bool,
    pub give_up_after: Duration,
    pub action: Action,
    wants: Wants,
    is_personal: bool,
}

impl Lane {
    pub fn takes(&self, notice: &Notice) -> bool {
        let is_for_the_person = || {
            notice.other_address.is_some()
                && notice.mode != Some(Mode::Observe)
                && TO_THE_PERSON.contains(&notice.event)
        };
        self.wants.takes(notice) && (!self.is_personal || is_for_the_person())
    }

    /// Whether a test says anything about it: there is nobody to write to in one of persons.
    pub fn is_tested(&self) -> bool {
        !self.is_personal
    }
}

/// The lanes of an action.
pub fn lanes(settings: &Settings, clock: fn() -> Timestamp) -> Vec<Lane> {
    let lane = |name: Box<str>, at_once, digests, action, is_personal| Lane {
        name,
        action_name: settings.name.clone(),
        kind: settings.what.kind(),
        at_once,
        digests,
        give_up_after: settings.give_up_after,
        action,
        wants: settings.wants.clone(),
        is_personal,
    };
    let name = settings.name.clone();
    match &settings.what {
        What::Webhook(webhook) => {
            let action = Action::Webhook(Webhook::new(webhook.clone()));
            vec![lane(name, 1, false, action, false)]
        }
        What::Command(command) => {
            let action = Action::Command(Command::new(command.clone()));
            vec![lane(name, command.at_once, false, action, false)]
        }
        What::Directory(directory) => {
            let action = Action::Directory(Directory::new(directory.clone(), clock));
            vec![lane(name, 1, false, action, false)]
        }
        What::Mail(mail) => {
            let of = |audience| Action::Mail(Mail::new(mail.clone(), audience));
            let mut lanes = Vec::new();
            if !mail.to.is_empty() {
                lanes.push(lane(name.clone(), 1, true, of(Audience::Staff), false));
            }
            if mail.to_person {
                let name = format!("{name}@person").into();
                lanes.push(lane(name, 1, false, of(Audience::Person), true));
            }
            lanes
        }
    }
}
