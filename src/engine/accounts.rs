//! Accounts as people look at them: how one stands and what it counts, all of note, those that send most, and those
//! of some network.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::detector::{Spares, Test};
use crate::engine::Engine;
use crate::engine::suspending::DeedFault;
use crate::ledger::Meter;
use crate::mail::{AccountKey, Timestamp, rfc_3339};
use crate::record::{Envelope, Reading, Record, Table};
use crate::store::{Pages, StoreFault};
use crate::suspension::{Exemption, State};

/// How an account stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    pub account: String,
    pub login: String,
    /// normal, watched, held, probation, exempt, suspended
    pub state: String,
    /// The id of the suspension, or of a shadow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspension: Option<String>,
    /// Of whatever the state is; none: without an end.
    #[serde(default, with = "rfc_3339::if_any", skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exemption: Option<ShownExemption>,
    /// How often it was suspended within the last 30 days, and it was no false alarm.
    pub repeats: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownExemption {
    /// all, or those of the recipients only
    pub tests: String,
    #[serde(with = "rfc_3339")]
    pub until: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipients: Option<u32>,
    /// Recipients so far.
    pub used: u32,
}

/// An account with what it counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShownAccount {
    #[serde(flatten)]
    pub standing: Standing,
    pub messages: u64,
    pub recipients: u64,
    #[serde(default, with = "rfc_3339::if_any", skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// Days with mail, older ones counting less.
    pub active_days: f32,
    pub contacts: usize,
    pub readings: Vec<Reading>,
    pub envelopes: Vec<Envelope>,
    pub networks: Vec<String>,
}

/// An account that sent from some network within the last day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FromNetwork {
    pub account: String,
    pub login: String,
    pub messages: u32,
    pub recipients: u32,
    #[serde(with = "rfc_3339")]
    pub first: Timestamp,
    #[serde(with = "rfc_3339")]
    pub last: Timestamp,
    pub clients: Vec<String>,
}

impl From<&Exemption> for ShownExemption {
    fn from(exemption: &Exemption) -> Self {
        let tests = match exemption.spares {
            Spares::Everything => "all",
            _ => "recipients",
        };
        let Exemption { until, recipients, used, .. } = *exemption;
        Self { tests: tests.into(), until, recipients, used }
    }
}

impl Engine {
    pub async fn account(&self, name: &str, at: Timestamp) -> Result<ShownAccount, DeedFault> {
        let subject = self.subject(name).await?;
        let mut shown = None;
        self.look(&subject.account, |record| {
            if *record != Record::default() {
                shown = Some(self.shown(&subject.account, &subject.login, record, at));
            }
        })
        .await?;
        shown.ok_or(DeedFault::NothingKept)
    }

    fn shown(
        &self,
        account: &AccountKey,
        login: &str,
        record: &Record,
        at: Timestamp,
    ) -> ShownAccount {
        let mut now = record.clone();
        now.advance(at);
        let (counters, scale) = (now.usage.counters(), now.usage.scale());
        let reading = |meter: &Meter| Reading {
            test: Test::Usual(*meter).as_str().into(),
            value: meter.read(counters),
            usual: scale.usual(*meter),
        };
        let samples = self.samples.of(account, at);
        ShownAccount {
            standing: standing(account, login, record, at),
            messages: now.usage.messages,
            recipients: now.usage.recipients,
            last: now.usage.last,
            active_days: scale.active_days(),
            contacts: now.usage.contacts().len(),
            readings: Meter::ALL.iter().map(reading).collect(),
            networks: self.samples.networks(account, at),
            envelopes: samples.iter().map(Envelope::from).collect(),
        }
    }

    /// All accounts that something stands for or against.
    pub async fn standings(&self, at: Timestamp) -> Result<Vec<Standing>, StoreFault> {
        let mut all = Vec::new();
        let mut pages = Pages::of(&*self.store, Table::Accounts);
        while let Some(page) = pages.next().await? {
            for (account, login) in &page {
                let account = AccountKey::stored(account);
                let login: String = serde_json::from_str(login).unwrap_or_default();
                self.look(&account, |record| all.push(standing(&account, &login, record, at)))
                    .await?;
            }
        }
        Ok(all)
    }

    /// Who sent from this network within the last day, the latest first; of those that sent last.
    pub fn senders_in(&self, network: &IpNet, at: Timestamp) -> Vec<FromNetwork> {
        self.samples.senders_in(network, at)
    }

    /// The login an account sent with last; else its key.
    pub fn login_of(&self, account: &AccountKey) -> String {
        self.samples.login(account).unwrap_or_else(|| account.to_string())
    }
}

fn standing(account: &AccountKey, login: &str, record: &Record, at: Timestamp) -> Standing {
    let state = record.state(at);
    let life = record.life.as_deref();
    let until = match state {
        State::Normal => None,
        State::Suspended => record.suspended(at).and_then(|suspension| suspension.until),
        State::Exempt => life.and_then(|life| life.exemption(at)).map(|known| known.until),
        State::Probation => life.and_then(|life| life.on_probation(at)).map(|known| known.until),
        State::Watched | State::Held => {
            life.and_then(|life| life.watch(at)).map(|known| known.until)
        }
    };
    Standing {
        account: account.to_string(),
        login: login.into(),
        state: state.as_str().into(),
        suspension: record.in_force(at).map(|suspension| suspension.id.to_string()),
        until,
        exemption: life.and_then(|life| life.exemption(at)).map(ShownExemption::from),
        repeats: record.step(at),
    }
}
