//! A file of records: what `learn` writes and a store takes in. A header with the version and the id of the
//! hash key and how many there are, then key and record of each account, each with its length.

use std::fmt;

use crate::ledger::{Reader, Torn, Writer};
use crate::mail::AccountKey;
use crate::record::Record;

/// The first bytes of such a file.
const MAGIC: u64 = u64::from_le_bytes(*b"gatepost");

const VERSION: u8 = 1;

/// Why bytes are no such file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFault {
    Foreign,
    Newer(u8),
    /// Its addresses were hashed with another key.
    OtherKey,
    Torn,
}

impl fmt::Display for FileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => f.write_str("no file of records; expected one that gatepost learn wrote"),
            Self::Newer(version) => write!(
                f,
                "its format is version {version}, and this gatepost reads up to {VERSION}: a newer one wrote it"
            ),
            Self::OtherKey => f.write_str(
                "its addresses were hashed with another key than that of store.hash-key-file; learn again with this one",
            ),
            Self::Torn => f.write_str("it is cut short or damaged; learn again, or take out store.learnt-file"),
        }
    }
}

impl std::error::Error for FileFault {}

impl From<Torn> for FileFault {
    fn from(_: Torn) -> Self {
        Self::Torn
    }
}

/// The bytes of a file of these records; `key` is the id of their hash key.
pub fn to_file<'a>(
    key: u32,
    records: impl ExactSizeIterator<Item = (&'a AccountKey, &'a Record)>,
) -> Vec<u8> {
    let mut out = Writer::default();
    out.u64(MAGIC);
    out.u8(VERSION);
    out.u32(key);
    out.count(records.len());
    for (account, record) in records {
        out.text(account.as_str());
        out.bytes(&record.to_bytes());
    }
    out.done()
}

/// The records of a file; `key` is the id of the hash key in use.
pub fn from_file(bytes: &[u8], key: u32) -> Result<Vec<(AccountKey, Record)>, FileFault> {
    let mut from = Reader::new(bytes);
    if from.u64() != Ok(MAGIC) {
        return Err(FileFault::Foreign);
    }
    match from.u8()? {
        VERSION => {}
        version => return Err(FileFault::Newer(version)),
    }
    if from.u32()? != key {
        return Err(FileFault::OtherKey);
    }
    let count = from.u32()?;
    let mut records = Vec::new();
    for _ in 0..count {
        let account = AccountKey::stored(from.text()?);
        records.push((account, Record::from_bytes(from.counted()?)?));
    }
    if from.is_empty() { Ok(records) } else { Err(FileFault::Torn) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::HashKey;
    use crate::mail::{Login, Timestamp};

    fn records() -> Vec<(AccountKey, Record)> {
        let account = AccountKey::unresolved(&Login::parse(b"alice").expect("a login"));
        let mut record = Record::default();
        record.usage.written_by(HashKey::default().bytes(&[b"bob"]), Timestamp::from_unix_ms(7));
        vec![(account, record)]
    }

    fn file() -> Vec<u8> {
        to_file(7, records().iter().map(|(account, record)| (account, record)))
    }

    #[test]
    fn what_is_written_is_read_again() {
        assert_eq!(from_file(&file(), 7), Ok(records()));
    }

    #[test]
    fn what_is_none_is_refused_for_its_own_reason() {
        assert_eq!(from_file(b"", 7), Err(FileFault::Foreign));
        assert_eq!(from_file(b"From: alice\nTo: bob\n", 7), Err(FileFault::Foreign));
        assert_eq!(from_file(&file(), 8), Err(FileFault::OtherKey));
        let mut newer = file();
        newer[8] = 2;
        assert_eq!(from_file(&newer, 7), Err(FileFault::Newer(2)));
        for cut in 13..file().len() {
            assert_eq!(from_file(&file()[..cut], 7), Err(FileFault::Torn), "{cut}");
        }
    }
}
