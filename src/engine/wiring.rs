//! Whether the mail server asks where it was told to: a charging stage that never comes leaves the detector
//! and the quotas blind, and recipients nobody asked about at RCPT count as strangers.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::decision::{ChargeAt, Listener};
use crate::mail::Stage;

/// So many messages asked about at RCPT alone are no accident: clients that give up after RCPT are few.
const MESSAGES: u32 = 100;

/// MTAs that are told apart; one gatepost serves a handful.
const MTAS: usize = 1_000;

/// What is wrong with the questions of an MTA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WiringFault {
    /// The last hundred messages were asked about at RCPT, and none of them at the charging stage.
    NeverCharged,
    /// So many recipients of this message were not asked about at RCPT.
    UnseenRecipients(u32),
}

impl WiringFault {
    /// Every value of [`as_str`](Self::as_str).
    pub const WORDS: [&'static str; 2] = ["never-charged", "unseen-recipients"];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NeverCharged => Self::WORDS[0],
            Self::UnseenRecipients(_) => Self::WORDS[1],
        }
    }
}

/// Messages of each MTA since its last question at the charging stage.
#[derive(Default)]
pub struct Wiring(Mutex<HashMap<Box<str>, u32>>);

impl Wiring {
    /// A message begins at RCPT.
    pub fn begins(&self, listener: &Listener) -> Option<WiringFault> {
        if listener.charge_at.is(Stage::Rcpt) {
            return None;
        }
        let mut waiting = self.0.lock();
        if waiting.len() >= MTAS && !waiting.contains_key(&listener.mta) {
            return None;
        }
        let messages = waiting.entry(listener.mta.clone()).or_default();
        *messages += 1;
        if *messages < MESSAGES {
            return None;
        }
        *messages = 0;
        Some(WiringFault::NeverCharged)
    }

    /// A message is charged; `unseen` of its recipients were not asked about.
    pub fn charged(&self, listener: &Listener, unseen: u32) -> Option<WiringFault> {
        if let Some(messages) = self.0.lock().get_mut(&listener.mta) {
            *messages = 0;
        }
        (unseen > 0 && listener.charge_at != ChargeAt::Rcpt)
            .then_some(WiringFault::UnseenRecipients(unseen))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(charge_at: ChargeAt) -> Listener {
        Listener { charge_at, ..Listener::of_no_socket() }
    }

    #[test]
    fn a_hundred_messages_that_were_never_charged_are_told_once() {
        let (wiring, asked) = (Wiring::default(), listener(ChargeAt::EndOfMessage));
        let told: Vec<_> = (0..200).map(|_| wiring.begins(&asked)).collect();
        let places: Vec<_> = (0..200).filter(|place| told[*place].is_some()).collect();
        assert_eq!(places, [99, 199]);
    }

    #[test]
    fn a_message_that_is_charged_begins_the_count_anew() {
        let (wiring, asked) = (Wiring::default(), listener(ChargeAt::Data));
        for _ in 0..99 {
            assert_eq!(wiring.begins(&asked), None);
        }
        assert_eq!(wiring.charged(&asked, 0), None);
        assert_eq!(wiring.begins(&asked), None);
        assert_eq!(wiring.charged(&asked, 3), Some(WiringFault::UnseenRecipients(3)));
    }

    #[test]
    fn who_charges_at_rcpt_asks_nowhere_else() {
        let (wiring, asked) = (Wiring::default(), listener(ChargeAt::Rcpt));
        assert!((0..1000).all(|_| wiring.begins(&asked).is_none()));
    }
}
