//! The last answers in a file, so that a restart while the directory is down still serves them. One
//! JSON document a line (jsonlines.org): what it is, the accounts, the recipients, a checksum. A file
//! that is torn, changed or somebody else's is a fault as a whole. Blocks; for a thread that may.

use std::fs::{File, OpenOptions, Permissions};
use std::hash::Hasher;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{error, fmt};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use siphasher::sip128::{Hasher128, SipHasher13};

use crate::directory::cache::Remembered;
use crate::mail::Timestamp;

/// Another layout has another number.
const VERSION: u32 = 1;

const KIND: &str = "gatepost directory snapshot";

/// Every version begins like this.
const BEGIN: &[u8] = br#"{"gatepost":""#;

/// A directory must not fill the memory by one entry; resolved accounts have some KiB.
const LONGEST_LINE: u64 = 4 << 20;

/// The clocks of one machine, before and after a restart, differ by less.
const FUTURE_MS: u64 = 60_000;

/// What outlives a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot<G, A, R> {
    pub written: Timestamp,
    /// What the groups of the rules stand for.
    pub groups: G,
    pub accounts: Vec<Remembered<A>>,
    pub recipients: Vec<Remembered<R>>,
}

/// Why a snapshot could not be written or is not believed.
#[derive(Debug)]
pub struct SnapshotFault {
    pub path: PathBuf,
    pub cause: Cause,
}

#[derive(Debug)]
pub enum Cause {
    /// What was tried, and what came of it.
    Io(&'static str, io::Error),
    /// Others than the owner may write it: whoever writes it gives rights.
    Writable(u32),
    NoFile,
    Foreign,
    Version(u64),
    OtherDirectory,
    /// By line, from 1.
    Malformed(u64, serde_json::Error),
    LongLine(u64),
    /// It ends in this line.
    Torn(u64),
    Checksum,
    /// Bytes after the checksum.
    Trailing,
    /// Values that JSON has no form for.
    Unwritable(serde_json::Error),
}

impl fmt::Display for SnapshotFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path.display())?;
        match &self.cause {
            Cause::Io(tried, _) => write!(f, "cannot {tried} the snapshot"),
            Cause::Writable(mode) => {
                write!(f, "the snapshot has mode {mode:04o}: only its owner may write it (0600)")
            }
            Cause::NoFile => f.write_str("the snapshot is no regular file"),
            Cause::Foreign => f.write_str("it is no snapshot of a directory by gatepost"),
            Cause::Version(version) => {
                write!(f, "the snapshot has version {version}, expected {VERSION}")
            }
            Cause::OtherDirectory => {
                f.write_str("the snapshot was written for another directory (servers, base)")
            }
            Cause::Malformed(line, _) => write!(f, "the snapshot is malformed in line {line}"),
            Cause::LongLine(line) => {
                write!(f, "line {line} of the snapshot is longer than {LONGEST_LINE} bytes")
            }
            Cause::Torn(line) => write!(f, "the snapshot is torn: it ends in line {line}"),
            Cause::Checksum => f.write_str("the snapshot was changed: its checksum does not fit"),
            Cause::Trailing => f.write_str("the snapshot goes on after its checksum"),
            Cause::Unwritable(_) => f.write_str("a value of the snapshot cannot be written"),
        }
    }
}

impl error::Error for SnapshotFault {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &self.cause {
            Cause::Io(_, fault) => Some(fault),
            Cause::Malformed(_, fault) | Cause::Unwritable(fault) => Some(fault),
            _ => None,
        }
    }
}

/// Writes it beside and moves it into place, so that a file there is old or new and never half.
/// `directory` tells one directory from another; a digest of it is kept.
pub fn write<G: Serialize, A: Serialize, R: Serialize>(
    path: &Path,
    directory: &str,
    snapshot: &Snapshot<G, A, R>,
) -> Result<(), SnapshotFault> {
    let mut young = path.as_os_str().to_owned();
    young.push(".new");
    let young = PathBuf::from(young);
    let written = write_young(&young, directory, snapshot).and_then(|()| {
        std::fs::rename(&young, path).map_err(|fault| Cause::Io("move into place", fault))?;
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        let folder = File::open(folder.unwrap_or(Path::new(".")));
        folder.and_then(|folder| folder.sync_all()).map_err(|fault| Cause::Io("keep", fault))
    });
    written.map_err(|cause| {
        // Whatever is left of it is in nobody's way: the next one takes its place.
        let _ = std::fs::remove_file(&young);
        SnapshotFault { path: path.into(), cause }
    })
}

/// What was written for this directory, without entries older than `serve_stale` or from a future
/// that no clock explains. `None`: there is no file.
pub fn read<G: DeserializeOwned, A: DeserializeOwned, R: DeserializeOwned>(
    path: &Path,
    directory: &str,
    serve_stale: Duration,
    at: Timestamp,
) -> Result<Option<Snapshot<G, A, R>>, SnapshotFault> {
    let named = |cause| SnapshotFault { path: path.into(), cause };
    let Some(file) = open(path).map_err(named)? else { return Ok(None) };
    let serve_stale_ms = u64::try_from(serve_stale.as_millis()).unwrap_or(u64::MAX);
    let is_servable = |fetched: Timestamp| {
        at.ms_since(fetched) <= serve_stale_ms && fetched.ms_since(at) <= FUTURE_MS
    };
    read_lines(Lines::new(BufReader::new(file)), directory, is_servable).map(Some).map_err(named)
}

/// The first line, as much of it as every version has.
#[derive(Deserialize)]
struct Kind {
    gatepost: String,
    version: u64,
    directory: String,
}

/// The first line.
#[derive(Serialize, Deserialize)]
struct Header<G> {
    gatepost: String,
    version: u32,
    /// A digest.
    directory: String,
    written_ms: i64,
    accounts: usize,
    recipients: usize,
    groups: G,
}

/// The last line.
#[derive(Serialize, Deserialize)]
struct Footer {
    checksum: String,
}

fn write_young<G: Serialize, A: Serialize, R: Serialize>(
    young: &Path,
    directory: &str,
    snapshot: &Snapshot<G, A, R>,
) -> Result<(), Cause> {
    match std::fs::remove_file(young) {
        Err(fault) if fault.kind() != io::ErrorKind::NotFound => {
            return Err(Cause::Io("replace what is left of", fault));
        }
        _ => {}
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(young);
    let mut file = BufWriter::new(file.map_err(|fault| Cause::Io("create", fault))?);
    write_lines(&mut file, directory, snapshot)?;
    let file = file.into_inner().map_err(|fault| Cause::Io("write", fault.into_error()))?;
    file.sync_all().map_err(|fault| Cause::Io("keep", fault))
}

fn write_lines<G: Serialize, A: Serialize, R: Serialize>(
    file: impl Write,
    directory: &str,
    snapshot: &Snapshot<G, A, R>,
) -> Result<(), Cause> {
    let mut lines = Written { file, sum: SipHasher13::new(), number: 0 };
    lines.push(&Header {
        gatepost: KIND.into(),
        version: VERSION,
        directory: digest(directory),
        written_ms: snapshot.written.unix_ms(),
        accounts: snapshot.accounts.len(),
        recipients: snapshot.recipients.len(),
        groups: &snapshot.groups,
    })?;
    for Remembered { key, fetched, value } in &snapshot.accounts {
        lines.push(&(&**key, fetched.unix_ms(), &**value))?;
    }
    for Remembered { key, fetched, value } in &snapshot.recipients {
        lines.push(&(&**key, fetched.unix_ms(), &**value))?;
    }
    let checksum = hexadecimal(&lines.sum);
    lines.push(&Footer { checksum })
}

/// Lines that go into a file, and the sum of them.
struct Written<F> {
    file: F,
    sum: SipHasher13,
    number: u64,
}

impl<F: Write> Written<F> {
    fn push(&mut self, value: &impl Serialize) -> Result<(), Cause> {
        self.number += 1;
        let mut line = serde_json::to_vec(value).map_err(Cause::Unwritable)?;
        line.push(b'\n');
        if line.len() as u64 > LONGEST_LINE {
            return Err(Cause::LongLine(self.number));
        }
        self.sum.write(&line);
        self.file.write_all(&line).map_err(|fault| Cause::Io("write", fault))
    }
}

fn open(path: &Path) -> Result<Option<File>, Cause> {
    // Looked at first: opening a pipe would wait for somebody who writes.
    let metadata = match std::fs::metadata(path) {
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(None),
        metadata => metadata.map_err(|fault| Cause::Io("find", fault))?,
    };
    if !metadata.is_file() {
        return Err(Cause::NoFile);
    }
    let mode = Permissions::mode(&metadata.permissions()) & 0o7777;
    if mode & 0o022 != 0 {
        return Err(Cause::Writable(mode));
    }
    File::open(path).map(Some).map_err(|fault| Cause::Io("open", fault))
}

fn read_lines<G: DeserializeOwned, A: DeserializeOwned, R: DeserializeOwned>(
    mut lines: Lines<impl BufRead>,
    directory: &str,
    is_servable: impl Fn(Timestamp) -> bool,
) -> Result<Snapshot<G, A, R>, Cause> {
    let begins = lines.step();
    let begin = &lines.line[..lines.line.len().min(BEGIN.len())];
    if !BEGIN.starts_with(begin) {
        return Err(Cause::Foreign);
    }
    begins?;
    let kind: Kind = lines.parsed().map_err(|_| Cause::Foreign)?;
    if kind.gatepost != KIND {
        return Err(Cause::Foreign);
    }
    if kind.version != u64::from(VERSION) {
        return Err(Cause::Version(kind.version));
    }
    if kind.directory != digest(directory) {
        return Err(Cause::OtherDirectory);
    }
    let header: Header<G> = lines.parsed()?;
    let accounts = entries(&mut lines, header.accounts, &is_servable)?;
    let recipients = entries(&mut lines, header.recipients, &is_servable)?;
    let checksum = hexadecimal(&lines.sum);
    lines.step()?;
    let footer: Footer = lines.parsed()?;
    if footer.checksum != checksum {
        return Err(Cause::Checksum);
    }
    lines.end()?;
    let written = Timestamp::from_unix_ms(header.written_ms);
    Ok(Snapshot { written, groups: header.groups, accounts, recipients })
}

fn entries<V: DeserializeOwned>(
    lines: &mut Lines<impl BufRead>,
    count: usize,
    is_servable: impl Fn(Timestamp) -> bool,
) -> Result<Vec<Remembered<V>>, Cause> {
    let mut entries = Vec::new();
    for _ in 0..count {
        lines.step()?;
        let (key, fetched_ms, value): (String, i64, V) = lines.parsed()?;
        let fetched = Timestamp::from_unix_ms(fetched_ms);
        if is_servable(fetched) {
            entries.push(Remembered { key: key.into(), fetched, value: Arc::new(value) });
        }
    }
    Ok(entries)
}

/// The lines of a file, one at a time, and the sum of those read.
struct Lines<F> {
    file: F,
    line: Vec<u8>,
    number: u64,
    sum: SipHasher13,
}

impl<F: BufRead> Lines<F> {
    fn new(file: F) -> Self {
        Self { file, line: Vec::new(), number: 0, sum: SipHasher13::new() }
    }

    fn step(&mut self) -> Result<(), Cause> {
        self.line.clear();
        self.number += 1;
        let mut bounded = self.file.by_ref().take(LONGEST_LINE);
        bounded.read_until(b'\n', &mut self.line).map_err(|fault| Cause::Io("read", fault))?;
        if !self.line.ends_with(b"\n") {
            return Err(match self.line.len() as u64 {
                LONGEST_LINE => Cause::LongLine(self.number),
                _ => Cause::Torn(self.number),
            });
        }
        self.sum.write(&self.line);
        Ok(())
    }

    fn parsed<T: DeserializeOwned>(&self) -> Result<T, Cause> {
        serde_json::from_slice(&self.line).map_err(|fault| Cause::Malformed(self.number, fault))
    }

    fn end(&mut self) -> Result<(), Cause> {
        match self.file.fill_buf() {
            Ok([]) => Ok(()),
            Ok(_) => Err(Cause::Trailing),
            Err(fault) => Err(Cause::Io("read", fault)),
        }
    }
}

/// Tells one directory from another; no secret, so the key is fixed.
fn digest(directory: &str) -> String {
    let mut sum = SipHasher13::new();
    sum.write(directory.as_bytes());
    hexadecimal(&sum)
}

fn hexadecimal(sum: &SipHasher13) -> String {
    format!("{:032x}", sum.finish128().as_u128())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Small = Snapshot<Vec<String>, String, u32>;

    const AT: i64 = 1_790_000_000_000;

    fn entry<V>(key: &str, ms: i64, value: V) -> Remembered<V> {
        let fetched = Timestamp::from_unix_ms(ms);
        Remembered { key: key.into(), fetched, value: Arc::new(value) }
    }

    fn small() -> Small {
        Snapshot {
            written: Timestamp::from_unix_ms(AT),
            groups: vec!["staff".into()],
            accounts: vec![
                entry("alice", AT - 5, "Alice \u{e9} \"A\"\n".into()),
                entry("b\u{f6}b@example.org", AT, String::new()),
            ],
            recipients: vec![entry("sales@example.org", AT - 7, 3)],
        }
    }

    fn bytes(snapshot: &Small) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_lines(&mut bytes, "ldap dc=example", snapshot).expect("a vector takes all");
        bytes
    }

    fn read_bytes(bytes: &[u8]) -> Result<Small, Cause> {
        read_lines(Lines::new(bytes), "ldap dc=example", |_| true)
    }

    /// In the words of the log.
    fn fault(bytes: &[u8]) -> String {
        let cause = read_bytes(bytes).expect_err("a fault");
        SnapshotFault { path: "/snapshot".into(), cause }.to_string()
    }

    #[test]
    fn written_in_full() {
        let text = String::from_utf8(bytes(&small())).expect("JSON is UTF-8");
        assert_eq!(
            text,
            "{\"gatepost\":\"gatepost directory snapshot\",\"version\":1,\
             \"directory\":\"19b54e01a6d8225886f6b05f7e4d3006\",\
             \"written_ms\":1790000000000,\"accounts\":2,\"recipients\":1,\"groups\":[\"staff\"]}\n\
             [\"alice\",1789999999995,\"Alice \u{e9} \\\"A\\\"\\n\"]\n\
             [\"b\u{f6}b@example.org\",1790000000000,\"\"]\n\
             [\"sales@example.org\",1789999999993,3]\n\
             {\"checksum\":\"4a2d9e0574a10d114b64f12446711349\"}\n"
        );
    }

    #[test]
    fn read_as_it_was_written() {
        assert_eq!(read_bytes(&bytes(&small())).expect("it is whole"), small());
        let empty = Small { accounts: vec![], recipients: vec![], ..small() };
        assert_eq!(read_bytes(&bytes(&empty)).expect("it is whole"), empty);
    }

    #[test]
    fn torn_anywhere_it_is_a_fault() {
        let whole = bytes(&small());
        for end in 0..whole.len() {
            let line = whole[..end].iter().filter(|byte| **byte == b'\n').count() + 1;
            let expected = format!("/snapshot: the snapshot is torn: it ends in line {line}");
            assert_eq!(fault(&whole[..end]), expected, "after {end} bytes");
        }
    }

    #[test]
    fn changed_in_any_bit_it_is_a_fault() {
        let whole = bytes(&small());
        for at in 0..whole.len() * 8 {
            let mut changed = whole.clone();
            changed[at / 8] ^= 1 << (at % 8);
            fault(&changed);
        }
    }

    #[test]
    fn a_changed_value_is_told_by_the_checksum() {
        let whole = String::from_utf8(bytes(&small())).expect("JSON is UTF-8");
        let changed =
            whole.replace("example.org\",1789999999993,3", "example.org\",1789999999993,4");
        assert_ne!(whole, changed);
        let told = "/snapshot: the snapshot was changed: its checksum does not fit";
        assert_eq!(fault(changed.as_bytes()), told);
    }

    #[test]
    fn a_line_too_few_or_too_many_is_a_fault() {
        let whole = String::from_utf8(bytes(&small())).expect("JSON is UTF-8");
        let lines: Vec<&str> = whole.lines().collect();
        let without = |left: usize| {
            let kept = lines.iter().enumerate().filter(|(number, _)| *number != left);
            kept.map(|(_, line)| format!("{line}\n")).collect::<String>()
        };
        let malformed = |line| format!("/snapshot: the snapshot is malformed in line {line}");
        assert_eq!(fault(without(1).as_bytes()), malformed(2 + 1));
        assert_eq!(fault(without(3).as_bytes()), malformed(4));
        let more = format!("{whole}\n");
        let told = "/snapshot: the snapshot goes on after its checksum";
        assert_eq!(fault(more.as_bytes()), told);
    }

    #[test]
    fn something_else_is_told_apart() {
        let foreign = "/snapshot: it is no snapshot of a directory by gatepost";
        let others = ["\n", "[directory]\n", "{}\n", "\0\0\0", "{\"gatepost\":\"people\"}\n"];
        for other in others {
            assert_eq!(fault(other.as_bytes()), foreign, "{other:?}");
        }
        assert_eq!(fault(b""), "/snapshot: the snapshot is torn: it ends in line 1");
    }

    #[test]
    fn another_version_is_told() {
        let whole = String::from_utf8(bytes(&small())).expect("JSON is UTF-8");
        for version in [0, 2] {
            let other = whole.replace("\"version\":1", &format!("\"version\":{version}"));
            let told = format!("/snapshot: the snapshot has version {version}, expected 1");
            assert_eq!(fault(other.as_bytes()), told);
        }
    }

    #[test]
    fn another_directory_is_told() {
        let whole = bytes(&small());
        let read: Result<Small, Cause> = read_lines(Lines::new(&*whole), "ldap dc=other", |_| true);
        assert!(matches!(read, Err(Cause::OtherDirectory)));
    }

    #[test]
    fn a_value_of_another_shape_is_a_fault() {
        let whole = bytes(&small());
        let read: Result<Snapshot<Vec<String>, u32, u32>, Cause> =
            read_lines(Lines::new(&*whole), "ldap dc=example", |_| true);
        assert!(matches!(read, Err(Cause::Malformed(2, _))));
    }

    #[test]
    fn a_line_is_bounded() {
        let longest = usize::try_from(LONGEST_LINE).expect("4 MiB");
        let around = "[\"alice\",1790000000000,\"\"]\n".len();
        for (length, fits) in [(longest - 1, true), (longest, true), (longest + 1, false)] {
            let accounts = vec![entry("alice", AT, "x".repeat(length - around))];
            let snapshot = Small { accounts, ..small() };
            let mut bytes = Vec::new();
            let written = write_lines(&mut bytes, "ldap dc=example", &snapshot);
            assert_eq!(written.is_ok(), fits, "{length} bytes");
            if fits {
                assert!(read_bytes(&bytes).expect("it is whole") == snapshot);
            } else {
                assert!(matches!(written, Err(Cause::LongLine(2))));
            }
        }
        let endless = [&bytes(&small())[..], &vec![b'x'; longest]].concat();
        assert_eq!(fault(&endless), "/snapshot: the snapshot goes on after its checksum");
        let mut endless = b"{\"gatepost\":\"".to_vec();
        endless.resize(longest + 1, b'x');
        let told = "/snapshot: line 1 of the snapshot is longer than 4194304 bytes";
        assert_eq!(fault(&endless), told);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_fault(bytes: Vec<u8>) {
            fault(&bytes);
        }

        #[test]
        fn any_line_in_the_place_of_another_is_a_fault(line in 0_usize..5, text in ".{0,80}") {
            let whole = String::from_utf8(bytes(&small())).expect("JSON is UTF-8");
            let mut lines: Vec<&str> = whole.lines().collect();
            lines[line] = &text;
            fault(format!("{}\n", lines.join("\n")).as_bytes());
        }
    }
}
