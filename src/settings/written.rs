//! Words picked from a few, and values as TOML writes them.

use toml::de::DeValue;

use crate::settings::{listed, suggest};

/// The value of a word, or what is allowed in its place.
pub(super) fn pick<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, String> {
    let words = || choices.iter().map(|(word, _)| *word);
    match choices.iter().find(|(word, _)| *word == text) {
        Some((_, value)) => Ok(*value),
        None => {
            let near = suggest(text, words()).map(|near| format!("did you mean \"{near}\"? "));
            Err(format!("{}allowed: {}", near.unwrap_or_default(), listed(words())))
        }
    }
}

/// A string as TOML writes it.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.into()).to_string()
}

pub(super) fn written(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => quoted(text),
        DeValue::Integer(number) => number.as_str().into(),
        DeValue::Float(number) => number.as_str().into(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(date) => date.to_string(),
        DeValue::Array(array) => {
            let entries = array.iter().map(|value| written(value.get_ref())).collect::<Vec<_>>();
            format!("[{}]", entries.join(", "))
        }
        DeValue::Table(table) => {
            let entries = table
                .iter()
                .map(|(name, value)| format!("{} = {}", name.get_ref(), written(value.get_ref())))
                .collect::<Vec<_>>();
            format!("{{ {} }}", entries.join(", "))
        }
    }
}
