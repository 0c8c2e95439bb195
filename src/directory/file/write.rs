//! The directory file's grammar, written.

use std::fmt::Write;

use serde::Serialize;

use crate::directory::file::Content;
use crate::directory::file::read::STATES;
use crate::rights::AccountState;
use crate::settings::Fault;

/// One `[[account]]`.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Account {
    pub login: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<&'static str>,
    #[serde(flatten)]
    pub delivery: Delivery,
}

/// One `[[group]]`.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Group {
    pub name: String,
    /// Logins.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
    #[serde(flatten)]
    pub delivery: Delivery,
}

/// What either has as a recipient.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Delivery {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub authenticated_only: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub accept_from: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub accept_from_groups: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reject_from: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reject_from_groups: Vec<String>,
}

/// The word of a state, which an enabled account needs not.
pub fn state_word(state: AccountState) -> Option<&'static str> {
    let word = STATES.iter().find(|(_, known)| *known == state).map(|(word, _)| *word);
    word.filter(|_| state != AccountState::Enabled)
}

/// The whole file.
pub fn written(accounts: &[Account], groups: &[Group]) -> Result<String, toml::ser::Error> {
    #[derive(Serialize)]
    struct One<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        account: Option<[&'a Account; 1]>,
        #[serde(skip_serializing_if = "Option::is_none")]
        group: Option<[&'a Group; 1]>,
    }
    let accounts = accounts.iter().map(|account| One { account: Some([account]), group: None });
    let groups = groups.iter().map(|group| One { account: None, group: Some([group]) });
    let mut text = String::new();
    for one in accounts.chain(groups) {
        let _ = write!(text, "\n{}", toml::to_string(&one)?);
    }
    Ok(text)
}

/// Whether the text can be read again.
pub fn check(file: &str, text: &str) -> Result<(), Vec<Fault>> {
    Content::parse(file, text).map(|_| ())
}
