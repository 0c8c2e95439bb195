//! Past mail read from whole files: packed or not, by the standard input, malformed, or something else.

mod maillog;
mod plain;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use gatepost::history::{History, HistoryFault, Message, Source};
use gatepost::mail::Timestamp;

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("history-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).expect("a file");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn shown(message: &Message) -> String {
    let recipients: Vec<String> = message.recipients.iter().map(ToString::to_string).collect();
    format!(
        "{} {} {} {} {} {}",
        message.at.unix_ms(),
        message.id,
        message.login.as_ref().map_or("-".into(), ToString::to_string),
        message.client.map_or("-".into(), |client| client.to_string()),
        message.sender,
        recipients.join(","),
    )
}

fn open(source: Source) -> Result<History, HistoryFault> {
    // 2026-11-27T00:00:00Z
    History::open(source, Timestamp::from_unix_ms(1_795_737_600_000))
}

fn all(history: &mut History) -> Result<Vec<String>, HistoryFault> {
    let mut all = Vec::new();
    while let Some(message) = history.next_message()? {
        all.push(shown(&message));
    }
    assert!(history.next_message()?.is_none(), "the end stays the end");
    Ok(all)
}

fn read(source: Source) -> Vec<String> {
    all(&mut open(source).expect("the files")).expect("a history")
}

/// The fault of a source, with its cause.
fn fault(source: Source) -> String {
    let fault = match open(source) {
        Ok(mut history) => all(&mut history).expect_err("a fault"),
        Err(fault) => fault,
    };
    match std::error::Error::source(&fault) {
        Some(cause) => format!("{fault}: {cause}"),
        None => fault.to_string(),
    }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(text).expect("memory");
    packer.finish().expect("memory")
}

fn zstd(text: &[u8]) -> Vec<u8> {
    zstd::encode_all(text, 3).expect("memory")
}

fn xz(text: &[u8]) -> Vec<u8> {
    let mut packer = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(1))
        .expect("memory");
    packer.write_all(text).expect("memory");
    packer.finish().expect("memory")
}
