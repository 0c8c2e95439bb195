//! One table under the reader's eye: each key asked for is known, all others are faults.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::settings::written::{pick, quoted};
use crate::settings::{Reader, Setting, kind, listed, one_of, suggest};

/// A table of the document, or one that is absent and has only defaults.
pub struct Table<'a, 't> {
    pub(super) table: Option<&'a DeTable<'t>>,
    /// Dotted path, empty for the root; `listen[0]` in an array.
    pub(super) path: String,
    pub(super) header: String,
    pub(super) number: usize,
    /// Byte offset of the table, for faults that concern all of it.
    pub(super) at: usize,
    pub(super) known: Vec<&'static str>,
}

/// A value with its place.
#[derive(Clone, Debug)]
pub struct Item<T> {
    pub value: T,
    /// Byte offset in the document.
    pub at: usize,
    /// From 1.
    pub line: usize,
    /// Dotted path, for faults.
    pub key: String,
}

impl<'a, 't> Table<'a, 't> {
    pub(super) fn root(table: &'a DeTable<'t>) -> Self {
        let (path, header) = (String::new(), String::new());
        Self { table: Some(table), path, header, number: 0, at: 0, known: Vec::new() }
    }

    /// Whether the document has this table.
    pub fn is_present(&self) -> bool {
        self.table.is_some()
    }

    pub fn at(&self) -> usize {
        self.at
    }

    pub fn line(&self, reader: &Reader) -> usize {
        reader.line(self.at)
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    pub fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.into() } else { format!("{}.{key}", self.path) }
    }

    pub(super) fn take(&mut self, key: &'static str) -> Option<(&'a Spanned<DeValue<'t>>, usize)> {
        self.known.push(key);
        let value = self.value(key)?;
        Some((value, value.span().start))
    }

    /// A table below this one.
    pub fn table(&mut self, reader: &mut Reader, key: &'static str) -> Table<'a, 't> {
        let path = self.key(key);
        reader.tables += 1;
        let mut below = Table {
            table: None,
            header: format!("[{path}]"),
            path,
            number: reader.tables,
            at: self.at,
            known: Vec::new(),
        };
        if let Some((value, at)) = self.take(key) {
            below.at = self.key_at(key).unwrap_or(at);
            match value.get_ref() {
                DeValue::Table(table) => below.table = Some(table),
                _ => reader.fault(
                    at,
                    &below.path,
                    format!("expected a table, found {}", kind(value)),
                ),
            }
        }
        below
    }

    fn value(&self, key: &str) -> Option<&'a Spanned<DeValue<'t>>> {
        let (_, value) = self.table?.iter().find(|(name, _)| name.get_ref() == key)?;
        Some(value)
    }

    /// Where the key's value stands, or the table where it does not; for what concerns more than the
    /// value itself.
    pub fn place(&self, key: &str) -> usize {
        self.value(key).map_or(self.at, |value| value.span().start)
    }

    /// Whether `[]` is written here.
    pub fn is_empty_array(&self, key: &str) -> bool {
        self.value(key).is_some_and(
            |value| matches!(value.get_ref(), DeValue::Array(array) if array.is_empty()),
        )
    }

    fn key_at(&self, key: &str) -> Option<usize> {
        let (name, _) = self.table?.iter().find(|(name, _)| name.get_ref() == key)?;
        Some(name.span().start)
    }

    /// The tables of an array of tables, such as `[[grant]]`.
    pub fn tables(&mut self, reader: &mut Reader, key: &'static str) -> Vec<Table<'a, 't>> {
        let path = self.key(key);
        let Some((value, at)) = self.take(key) else { return Vec::new() };
        let DeValue::Array(array) = value.get_ref() else {
            let what = format!("expected an array of tables ([[{path}]]), found {}", kind(value));
            reader.fault(at, &path, what);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (index, value) in array.iter().enumerate() {
            let path = format!("{path}[{index}]");
            match value.get_ref() {
                DeValue::Table(table) => {
                    reader.tables += 1;
                    tables.push(Table {
                        table: Some(table),
                        header: format!("[[{}]]", self.key(key)),
                        path,
                        number: reader.tables,
                        at: value.span().start,
                        known: Vec::new(),
                    });
                }
                _ => reader.fault(
                    value.span().start,
                    &path,
                    format!("expected a table, found {}", kind(value)),
                ),
            }
        }
        tables
    }

    /// A string, where the key is present.
    pub fn text(&mut self, reader: &mut Reader, key: &'static str) -> Option<Item<String>> {
        let (value, at) = self.take(key)?;
        match value.get_ref() {
            DeValue::String(text) => {
                self.show(reader, key, quoted(text), Some(at));
                Some(self.item(reader, key, text.to_string(), at))
            }
            _ => {
                reader.fault(
                    at,
                    &self.key(key),
                    format!("expected a string, found {}", kind(value)),
                );
                None
            }
        }
    }

    /// A string where the key is present; else the default is shown, and `None` returned.
    pub fn text_or(
        &mut self,
        reader: &mut Reader,
        key: &'static str,
        default: &str,
    ) -> Option<Item<String>> {
        if self.is_absent(key) {
            self.show(reader, key, quoted(default), None);
        }
        self.text(reader, key)
    }

    /// A string that must be there.
    pub fn required(
        &mut self,
        reader: &mut Reader,
        key: &'static str,
        expected: &str,
    ) -> Option<Item<String>> {
        let missing =
            self.table.is_none_or(|table| !table.iter().any(|(name, _)| name.get_ref() == key));
        if missing {
            reader.fault(self.at, &self.key(key), format!("missing; expected {expected}"));
        }
        self.text(reader, key)
    }

    /// A string read by `parse`; the default is read by it too, so that both are shown alike.
    pub fn parsed<T>(
        &mut self,
        reader: &mut Reader,
        key: &'static str,
        default: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> T {
        let fallback = |parse: &dyn Fn(&str) -> Result<T, String>| {
            parse(default).unwrap_or_else(|what| panic!("the default of {key}: {what}"))
        };
        if self.is_absent(key) {
            self.take(key);
            self.show(reader, key, quoted(default), None);
            return fallback(&parse);
        }
        let Some(item) = self.text(reader, key) else { return fallback(&parse) };
        parse(&item.value).unwrap_or_else(|what| {
            reader.refuse(&item, &what);
            fallback(&parse)
        })
    }

    /// One of a few words.
    pub fn choice<T: Copy>(
        &mut self,
        reader: &mut Reader,
        key: &'static str,
        default: &str,
        choices: &[(&str, T)],
    ) -> T {
        self.parsed(reader, key, default, |text| pick(text, choices))
    }

    /// One of a few words that must be given.
    pub fn required_choice<T: Copy>(
        &mut self,
        reader: &mut Reader,
        key: &'static str,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let item = self.required(reader, key, &one_of(choices))?;
        pick(&item.value, choices).map_err(|what| reader.refuse(&item, &what)).ok()
    }

    pub fn flag(&mut self, reader: &mut Reader, key: &'static str, default: bool) -> bool {
        let found = self.take(key);
        match found.map(|(value, at)| (value.get_ref(), at)) {
            None => {
                self.show(reader, key, default.to_string(), None);
                default
            }
            Some((DeValue::Boolean(flag), at)) => {
                self.show(reader, key, flag.to_string(), Some(at));
                *flag
            }
            Some((_, at)) => {
                let what = found.map_or("nothing", |(value, _)| kind(value));
                reader.fault(at, &self.key(key), format!("expected true or false, found {what}"));
                default
            }
        }
    }

    pub fn number(
        &mut self,
        reader: &mut Reader,
        key: &'static str,
        default: usize,
        allowed: std::ops::RangeInclusive<usize>,
    ) -> usize {
        let Some((value, at)) = self.take(key) else {
            self.show(reader, key, default.to_string(), None);
            return default;
        };
        let number = match value.get_ref() {
            DeValue::Integer(digits) => usize::from_str_radix(digits.as_str(), digits.radix()).ok(),
            _ => None,
        };
        match number {
            Some(number) if allowed.contains(&number) => {
                self.show(reader, key, number.to_string(), Some(at));
                number
            }
            _ => {
                let (low, high) = (allowed.start(), allowed.end());
                let found = match value.get_ref() {
                    DeValue::Integer(digits) => digits.as_str(),
                    _ => kind(value),
                };
                let what = format!("expected a number from {low} to {high}, found {found}");
                reader.fault(at, &self.key(key), what);
                default
            }
        }
    }

    /// Whether the key is missing here.
    pub fn is_absent(&self, key: &str) -> bool {
        self.table.is_none_or(|table| !table.iter().any(|(name, _)| name.get_ref() == key))
    }

    /// Tells of every key that nobody asked for.
    pub fn finish(self, reader: &mut Reader) {
        let Some(table) = self.table else { return };
        for (name, _) in table {
            let word: &str = name.get_ref();
            if self.known.contains(&word) {
                continue;
            }
            let mut what = String::from("unknown key");
            if let Some(near) = suggest(word, self.known.iter().copied()) {
                what.push_str(&format!("; did you mean \"{near}\"?"));
            }
            what.push_str(&format!(" (allowed: {})", listed(self.known.iter().copied())));
            reader.fault(name.span().start, &self.key(word), what);
        }
    }

    pub(super) fn item<T>(&self, reader: &Reader, key: &str, value: T, at: usize) -> Item<T> {
        Item { value, at, line: reader.line(at), key: self.key(key) }
    }

    pub(super) fn show(&self, reader: &mut Reader, key: &str, value: String, at: Option<usize>) {
        if self.number == 0 && !self.path.is_empty() {
            return;
        }
        let line = at.map(|at| reader.line(at));
        let (header, table) = (self.header.clone(), self.number);
        reader.settings.push(Setting { header, table, key: key.into(), value, line });
    }
}
