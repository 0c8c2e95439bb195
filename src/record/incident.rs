//! What is told of a suspension: by what it was imposed, on what evidence, and how it ended. JSON under its id; its
//! end under the id and `/end`, so that neither is ever written over.

use serde::{Deserialize, Serialize};

use crate::mail::{Timestamp, rfc_3339};
use crate::record::{Row, Table};

/// One suspension, as it was imposed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    pub id: String,
    /// The account's key.
    pub account: String,
    pub login: String,
    /// All addresses the account sends with, where the directory tells.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// Empty where a person suspended.
    pub mta: String,
    /// observe: a shadow.
    pub mode: String,
    /// `detector`, or the person.
    pub by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The test; none where a person suspended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<String>,
    /// A sentence.
    pub reason: String,
    /// The first message that counted.
    #[serde(with = "rfc_3339")]
    pub since: Timestamp,
    #[serde(with = "rfc_3339")]
    pub imposed: Timestamp,
    /// None: until somebody releases it.
    #[serde(default, with = "rfc_3339::if_any", skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// How often the account had been suspended shortly before.
    #[serde(default)]
    pub step: u8,
    /// What each meter read, against the usual peak of a day.
    #[serde(default)]
    pub readings: Vec<Reading>,
    /// What went out within the last day, as far as it is remembered; the oldest first.
    #[serde(default)]
    pub envelopes: Vec<Envelope>,
    /// Where these came from: /24 or /48.
    #[serde(default)]
    pub networks: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    pub test: String,
    pub value: f32,
    pub usual: f32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// That of its decision.
    pub id: String,
    #[serde(with = "rfc_3339")]
    pub at: Timestamp,
    pub mta: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub queue_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    pub sender: String,
    /// Those in clear, as many as were kept.
    pub recipients: Vec<String>,
    pub recipient_count: u32,
}

/// The end of a suspension.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentEnd {
    #[serde(with = "rfc_3339")]
    pub at: Timestamp,
    /// A verdict, `expired` or `exempted`.
    pub ending: String,
    /// The person; `gatepost` where time was over.
    pub by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Incident {
    pub fn row(&self) -> Row {
        Row::put(Table::Incidents, &self.id, json(self))
    }

    /// `None`: a later release wrote it otherwise.
    pub fn read(value: &str) -> Option<Self> {
        serde_json::from_str(value).ok()
    }

    /// Messages that went out since the first that counted, as far as they are remembered.
    pub fn passed(&self) -> impl Iterator<Item = &Envelope> {
        self.envelopes.iter().filter(|envelope| envelope.at >= self.since)
    }
}

impl IncidentEnd {
    pub fn key(incident: &str) -> String {
        format!("{incident}/end")
    }

    pub fn row(&self, incident: &str) -> Row {
        Row::put(Table::Incidents, &Self::key(incident), json(self))
    }

    pub fn read(value: &str) -> Option<Self> {
        serde_json::from_str(value).ok()
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("text and numbers are JSON")
}
