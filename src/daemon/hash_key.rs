//! The key under which records hold addresses: read from its file, made at the first start.

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustls::crypto::ring::default_provider;

use crate::ledger::HashKey;

/// 32 hexadecimal digits and a newline.
const DIGITS: usize = 32;

/// The key in `path`, which is made when there is none; without a path a key of this run alone. Another key makes
/// a stranger of every contact, so a file that cannot be read is a fault.
pub fn open(path: Option<&Path>) -> io::Result<HashKey> {
    let Some(path) = path else { return make() };
    let described = |fault: io::Error| {
        io::Error::new(fault.kind(), format!("the hash key {}: {fault}", path.display()))
    };
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&text).map_err(described),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => {
            let key = make()?;
            write(path, &key).map_err(described)?;
            Ok(key)
        }
        Err(fault) => Err(described(fault)),
    }
}

fn make() -> io::Result<HashKey> {
    let mut key = [0; 16];
    default_provider()
        .secure_random
        .fill(&mut key)
        .map_err(|_| io::Error::other("the system gives no random numbers"))?;
    Ok(HashKey::new(key))
}

fn parse(text: &str) -> io::Result<HashKey> {
    let digits = text.trim_end();
    let number = (digits.len() == DIGITS).then(|| u128::from_str_radix(digits, 16).ok()).flatten();
    let key = number.ok_or_else(|| io::Error::other("expected 32 hexadecimal digits"))?;
    Ok(HashKey::new(key.to_be_bytes()))
}

fn write(path: &Path, key: &HashKey) -> io::Result<()> {
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{:032x}", u128::from_be_bytes(key.to_bytes()))?;
    file.sync_all()
}
