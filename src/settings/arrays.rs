//! Arrays of strings, and of tables that say more of one.

use toml::Spanned;
use toml::de::DeValue;

use crate::settings::table::{Item, Table};
use crate::settings::written::{quoted, written};
use crate::settings::{Reader, kind};

impl<'a, 't> Table<'a, 't> {
    /// An array of strings; each with its place.
    pub fn texts(&mut self, reader: &mut Reader, key: &'static str) -> Vec<Item<String>> {
        self.texts_or(reader, key, "[]")
    }

    /// As [`texts`](Self::texts); `default` is what is shown of an absent key, as TOML writes it.
    pub fn texts_or(
        &mut self,
        reader: &mut Reader,
        key: &'static str,
        default: &str,
    ) -> Vec<Item<String>> {
        if self.is_absent(key) {
            self.show(reader, key, default.into(), None);
        }
        self.entries(reader, key, "a string", |table, reader, value, at, name| {
            match value.get_ref() {
                DeValue::String(text) => {
                    let mut item = table.item(reader, key, text.to_string(), at);
                    item.key = name.into();
                    Some(item)
                }
                _ => None,
            }
        })
    }

    /// An array of strings, each read by `parse`; those of `default` are read by it too.
    pub fn all_parsed<T>(
        &mut self,
        reader: &mut Reader,
        key: &'static str,
        default: &[String],
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        let is_absent = self.is_absent(key);
        let shown = default.iter().map(|text| quoted(text)).collect::<Vec<_>>();
        let items = self.texts_or(reader, key, &format!("[{}]", shown.join(", ")));
        if is_absent {
            let parsed = default.iter().map(|text| parse(text));
            let parsed: Result<_, _> = parsed.collect();
            return parsed.unwrap_or_else(|what| panic!("the default of {key}: {what}"));
        }
        let parsed = items
            .into_iter()
            .filter_map(|item| parse(&item.value).map_err(|what| reader.refuse(&item, &what)).ok());
        parsed.collect()
    }

    /// An array whose entries are strings, or tables that hold the string under `name` and say more.
    pub fn texts_or_tables(
        &mut self,
        reader: &mut Reader,
        key: &'static str,
        mut read: impl FnMut(&mut Reader, Option<Item<String>>, Option<Table<'a, 't>>),
    ) {
        if self.is_absent(key) {
            self.show(reader, key, "[]".into(), None);
        }
        let entries =
            self.entries(reader, key, "a string or a table", |table, reader, value, at, name| {
                match value.get_ref() {
                    DeValue::String(text) => {
                        let mut item = table.item(reader, key, text.to_string(), at);
                        item.key = name.into();
                        Some((Some(item), None))
                    }
                    DeValue::Table(below) => {
                        let below = Table {
                            table: Some(below),
                            header: String::new(),
                            path: name.into(),
                            number: 0,
                            at,
                            known: Vec::new(),
                        };
                        Some((None, Some(below)))
                    }
                    _ => None,
                }
            });
        for (item, table) in entries {
            read(reader, item, table);
        }
    }

    fn entries<T>(
        &mut self,
        reader: &mut Reader,
        key: &'static str,
        expected: &str,
        read: impl Fn(&Self, &mut Reader, &'a Spanned<DeValue<'t>>, usize, &str) -> Option<T>,
    ) -> Vec<T> {
        let Some((value, at)) = self.take(key) else { return Vec::new() };
        let path = self.key(key);
        let DeValue::Array(array) = value.get_ref() else {
            reader.fault(at, &path, format!("expected an array, found {}", kind(value)));
            return Vec::new();
        };
        let mut entries = Vec::new();
        for (index, value) in array.iter().enumerate() {
            let (at, name) = (value.span().start, format!("{path}[{index}]"));
            match read(self, reader, value, at, &name) {
                Some(entry) => entries.push(entry),
                None => {
                    reader.fault(at, &name, format!("expected {expected}, found {}", kind(value)));
                }
            }
        }
        let shown = array.iter().map(|value| written(value.get_ref())).collect::<Vec<_>>();
        self.show(reader, key, format!("[{}]", shown.join(", ")), Some(at));
        entries
    }
}
