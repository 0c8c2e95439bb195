//! Entries as LDIF (RFC 2849), and distinguished names (RFC 4514).

/// One entry to add.
pub struct Entry {
    pub dn: String,
    /// Values of one name must stand together (slapadd(8) takes the last ones otherwise).
    attributes: Vec<(String, Vec<Vec<u8>>)>,
}

impl Entry {
    pub fn new(dn: &str, classes: &[&str]) -> Entry {
        Entry { dn: dn.into(), attributes: Vec::new() }.with_all("objectClass", classes)
    }

    pub fn with(self, name: &str, value: impl AsRef<[u8]>) -> Entry {
        self.with_all(name, [value])
    }

    pub fn with_all<V: AsRef<[u8]>>(
        mut self,
        name: &str,
        values: impl IntoIterator<Item = V>,
    ) -> Entry {
        let values = values.into_iter().map(|value| value.as_ref().into());
        match self.attributes.iter_mut().find(|(found, _)| found == name) {
            Some((_, found)) => found.extend(values),
            None => self.attributes.push((name.into(), values.collect())),
        }
        self
    }
}

pub fn entries<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> String {
    let mut text = String::new();
    for entry in entries {
        text += &line("dn", entry.dn.as_bytes());
        for (name, values) in &entry.attributes {
            text.extend(values.iter().map(|value| line(name, value)));
        }
        text.push('\n');
    }
    text
}

/// A change that adds values to an entry.
pub fn add_values<V: AsRef<[u8]>>(dn: &str, name: &str, values: &[V]) -> String {
    change(dn, "add", name, values)
}

pub fn replace_values<V: AsRef<[u8]>>(dn: &str, name: &str, values: &[V]) -> String {
    change(dn, "replace", name, values)
}

/// Without values, all of them.
pub fn delete_values<V: AsRef<[u8]>>(dn: &str, name: &str, values: &[V]) -> String {
    change(dn, "delete", name, values)
}

fn change<V: AsRef<[u8]>>(dn: &str, what: &str, name: &str, values: &[V]) -> String {
    let values: String = values.iter().map(|value| line(name, value.as_ref())).collect();
    line("dn", dn.as_bytes()) + &format!("changetype: modify\n{what}: {name}\n{values}\n")
}

/// One attribute as ldapsearch(1) prints it too, without wrapping.
pub fn line(name: &str, value: &[u8]) -> String {
    let is_plain = |byte: &u8| matches!(byte, 0x20..=0x7e);
    let is_safe = value.iter().all(is_plain)
        && !value.starts_with(b" ")
        && !value.starts_with(b":")
        && !value.starts_with(b"<")
        && !value.ends_with(b" ");
    match is_safe {
        true => format!("{name}: {}\n", String::from_utf8_lossy(value)),
        false => format!("{name}:: {}\n", base64(value)),
    }
}

const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let whole = three.iter().fold(0, |whole, byte| whole << 8 | usize::from(*byte));
        let whole = whole << (8 * (3 - three.len()));
        for digit in 0..4 {
            match digit <= three.len() {
                true => text.push(ALPHABET[whole >> (18 - 6 * digit) & 63].into()),
                false => text.push('='),
            }
        }
    }
    text
}

/// The values of an attribute in what ldapsearch(1) printed, sorted.
pub fn values(printed: &str, name: &str) -> Vec<Vec<u8>> {
    let of_name = |line: &str| {
        let (found, value) = line.split_once(':')?;
        let value = match value.strip_prefix(": ") {
            Some(encoded) => decode(encoded),
            None => value.trim_start().into(),
        };
        found.eq_ignore_ascii_case(name).then_some(value)
    };
    let mut values: Vec<_> = printed.lines().filter_map(of_name).collect();
    values.sort();
    values
}

/// As `values`, of text.
pub fn texts(printed: &str, name: &str) -> Vec<String> {
    let values = values(printed, name).into_iter();
    values.map(|value| String::from_utf8(value).expect("text")).collect()
}

fn decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (mut whole, mut bits) = (0, 0);
    for letter in text.bytes().filter(|letter| *letter != b'=') {
        let digit = ALPHABET.iter().position(|known| *known == letter).expect("base64");
        (whole, bits) = ((whole << 6 | digit) & 0xffff, bits + 6);
        if bits >= 8 {
            bits -= 8;
            bytes.push((whole >> bits) as u8);
        }
    }
    bytes
}

/// A value in a distinguished name.
pub fn escape(value: &str) -> String {
    let mut text = String::new();
    for letter in value.chars() {
        if matches!(letter, ',' | '+' | '"' | '\\' | '<' | '>' | ';') {
            text.push('\\');
        }
        text.push(letter);
    }
    text
}
