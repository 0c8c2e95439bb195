//! Reads a TOML document with the place of every value: all faults are collected, each with file,
//! line, column, key and what is allowed; every effective value is remembered with its origin.

mod arrays;
mod table;
mod values;
mod written;

use std::fmt;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub use table::{Item, Table};
pub use values::{duration, duration_text, octal_mode};

use crate::settings::written::quoted;

/// Something wrong, or legal but foolish, at one place of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    pub file: String,
    /// From 1; 0 when it concerns the whole file.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// Dotted path of the key, empty for syntax.
    pub key: String,
    pub what: String,
}

impl Fault {
    /// A fault of the file as a whole.
    pub fn of_file(file: &str, what: String) -> Self {
        Self { file: file.into(), line: 0, column: 0, key: String::new(), what }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.what)
    }
}

/// One effective value, for `gatepost check --print`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The table it stands in, as TOML writes its header: `[relay]`, `[[grant]]`.
    pub header: String,
    /// Tells two tables of one array apart.
    pub table: usize,
    pub key: String,
    /// As TOML writes it.
    pub value: String,
    /// The line it was read from; `None` for a default.
    pub line: Option<usize>,
}

/// What reading a document gathers.
#[derive(Debug)]
pub struct Reader {
    file: String,
    line_starts: Vec<usize>,
    text: String,
    pub faults: Vec<Fault>,
    pub warnings: Vec<Fault>,
    pub settings: Vec<Setting>,
    tables: usize,
}

impl Reader {
    /// Hands the document's root table to `read`. With a syntax fault nothing is read, since what
    /// follows a broken line cannot be trusted.
    pub fn read<T>(
        file: &str,
        text: &str,
        read: impl FnOnce(&mut Self, Table<'_, '_>) -> T,
    ) -> (Option<T>, Self) {
        let (root, syntax) = DeTable::parse_recoverable(text);
        let mut line_starts = vec![0];
        line_starts.extend(memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1));
        let mut reader = Self {
            file: file.into(),
            line_starts,
            text: text.into(),
            faults: Vec::new(),
            warnings: Vec::new(),
            settings: Vec::new(),
            tables: 0,
        };
        for fault in &syntax {
            let span = fault.span().unwrap_or_default();
            reader.fault(span.start, "", syntax_fault(fault.message().trim(), text.get(span)));
        }
        if !reader.faults.is_empty() {
            reader.faults.sort();
            return (None, reader);
        }
        let table = Table::root(root.get_ref());
        let value = read(&mut reader, table);
        reader.faults.sort();
        reader.warnings.sort();
        (Some(value), reader)
    }

    pub fn fault(&mut self, at: usize, key: &str, what: impl Into<String>) {
        let fault = self.place(at, key, what.into());
        self.faults.push(fault);
    }

    pub fn warn(&mut self, at: usize, key: &str, what: impl Into<String>) {
        let warning = self.place(at, key, what.into());
        self.warnings.push(warning);
    }

    /// A string that is not what was expected.
    pub fn refuse(&mut self, item: &Item<String>, what: &str) {
        let what = format!("{} is refused: {what}", quoted(&item.value));
        self.fault(item.at, &item.key, what);
    }

    /// A warning about the file as a whole.
    pub fn warn_all(&mut self, key: &str, what: impl Into<String>) {
        let (file, key) = (self.file.clone(), key.into());
        self.warnings.push(Fault { file, line: 0, column: 0, key, what: what.into() });
    }

    pub fn file(&self) -> &str {
        &self.file
    }

    /// The line of a byte offset, from 1.
    pub fn line(&self, at: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= at)
    }

    fn place(&self, at: usize, key: &str, what: String) -> Fault {
        let at = at.min(self.text.len());
        let line = self.line(at);
        let before = self.text.get(self.line_starts[line - 1]..at).unwrap_or_default();
        let column = before.chars().count() + 1;
        Fault { file: self.file.clone(), line, column, key: key.into(), what }
    }
}

/// The parser's message, with what it leaves out or guesses wrong.
fn syntax_fault(message: &str, found: Option<&str>) -> String {
    match (message, found) {
        ("duplicate key", Some(key)) => format!("\"{key}\" is given twice"),
        // An unquoted `inet:127.0.0.1:10031` or `name` looks like the float inf or nan to it.
        (message, _) if message.starts_with("invalid float, expected `") => {
            "string values must be quoted".into()
        }
        (message, _) => message.into(),
    }
}

/// A suggestion for a misspelt word.
pub(crate) fn suggest<'a>(
    word: &str,
    allowed: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    allowed
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(word, known), known))
        .filter(|(distance, known)| *distance <= 1 + known.len() / 5)
        .min()
        .map(|(_, known)| known)
}

/// `a, b, c`
pub(crate) fn listed<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().collect::<Vec<_>>().join(", ")
}

/// `one of a, b`, or the only word there is.
pub(crate) fn one_of<T>(choices: &[(&str, T)]) -> String {
    match choices {
        [(only, _)] => format!("\"{only}\""),
        _ => format!("one of {}", listed(choices.iter().map(|(word, _)| *word))),
    }
}

/// What kind of value stands here, for faults.
pub(crate) fn kind(value: &Spanned<DeValue<'_>>) -> &'static str {
    match value.get_ref() {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
