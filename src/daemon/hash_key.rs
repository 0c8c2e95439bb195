//! The key under which records hold addresses: read from its file, made at the first start.

use std::fs;
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
    match fs::read_to_string(path) {
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

/// Written aside and moved into place whole: half a key would stop every later start.
fn write(path: &Path, key: &HashKey) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = || {
        let mut file = options.open(&aside)?;
        writeln!(file, "{:032x}", u128::from_be_bytes(key.to_bytes()))?;
        file.sync_all()?;
        fs::rename(&aside, path)
    };
    written().inspect_err(|_| _ = fs::remove_file(&aside))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
