//! A file or the standard input, line by line: plain, or packed by gzip (RFC 1952), xz (the .xz file format
//! 1.2) or zstd (RFC 8878), which their first bytes tell.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;
use lzma_rust2::XzReader;

/// Longer lines are skipped: some 20,000 recipients fit in one.
const LONGEST_LINE: usize = 1 << 20;
/// What unpacking xz may take; `xz -9` needs 65 MiB, and a file can ask for 4 GiB.
const XZ_MEMORY_KIB: u32 = 256 << 10;
const BUFFER: usize = 64 << 10;

/// The lines of one file.
pub(super) struct Lines {
    reader: BufReader<Box<dyn Read + Send>>,
    line: Vec<u8>,
    number: u64,
    bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    Line,
    /// Longer than 1 MiB; what [`Lines::line`] has is its beginning.
    TooLong,
    End,
}

impl Lines {
    /// `read` counts the bytes taken from the file itself, packed or not.
    pub(super) fn open(path: &Path, read: Arc<AtomicU64>) -> io::Result<Self> {
        let raw: Box<dyn Read + Send> = match path.to_str() {
            Some("-") => Box::new(io::stdin()),
            _ => Box::new(File::open(path)?),
        };
        let reader = unpack(Counted { raw, read })?;
        Ok(Self {
            reader: BufReader::with_capacity(BUFFER, reader),
            line: Vec::new(),
            number: 0,
            bytes: 0,
        })
    }

    /// Goes to the next line.
    pub(super) fn cut(&mut self) -> io::Result<Cut> {
        self.line.clear();
        let (mut any, mut too_long) = (false, false);
        loop {
            let chunk = match self.reader.fill_buf() {
                Ok(chunk) => chunk,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            if chunk.is_empty() && !any {
                return Ok(Cut::End);
            }
            let end = memchr::memchr(b'\n', chunk);
            let part = &chunk[..end.unwrap_or(chunk.len())];
            let room = LONGEST_LINE - self.line.len();
            too_long |= part.len() > room;
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            let (is_last, taken) = (end.is_some() || chunk.is_empty(), chunk.len());
            let taken = end.map_or(taken, |end| end + 1);
            self.reader.consume(taken);
            self.bytes += taken as u64;
            any = true;
            if is_last {
                break;
            }
        }
        self.number += 1;
        Ok(if too_long { Cut::TooLong } else { Cut::Line })
    }

    /// Without its line end (LF or CRLF), and without the byte order mark of a first line.
    pub(super) fn line(&self) -> &[u8] {
        let line = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        match self.number {
            1 => line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line),
            _ => line,
        }
    }

    /// Of the line, from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Bytes so far, unpacked.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

fn unpack(mut raw: Counted) -> io::Result<Box<dyn Read + Send>> {
    let mut head = Vec::with_capacity(6);
    raw.by_ref().take(6).read_to_end(&mut head)?;
    let magic = head.clone();
    let whole = Cursor::new(head).chain(raw);
    Ok(match magic[..] {
        [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(whole)),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => {
            Box::new(XzReader::new_mem_limit(whole, true, XZ_MEMORY_KIB))
        }
        // A frame of zstd, or one that it skips, which parallel packers begin with.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
            Box::new(zstd::Decoder::new(whole)?)
        }
        _ => Box::new(whole),
    })
}

struct Counted {
    raw: Box<dyn Read + Send>,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.raw.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: Vec<u8>) -> Lines {
        let raw = Counted { raw: Box::new(Cursor::new(text)), read: Arc::default() };
        let reader = BufReader::with_capacity(7, unpack(raw).expect("plain text"));
        Lines { reader, line: Vec::new(), number: 0, bytes: 0 }
    }

    fn all(text: &[u8]) -> Vec<String> {
        let mut lines = lines(text.into());
        let mut all = Vec::new();
        while lines.cut().expect("memory") == Cut::Line {
            all.push(String::from_utf8_lossy(lines.line()).into_owned());
        }
        assert_eq!(lines.number(), all.len() as u64);
        all
    }

    #[test]
    fn lines_end_by_lf_by_crlf_or_by_the_end() {
        assert_eq!(all(b""), [""; 0]);
        assert_eq!(all(b"\n"), [""]);
        assert_eq!(
            all(b"\xef\xbb\xbfone\r\n\ntwo is longer\nthree"),
            ["one", "", "two is longer", "three"]
        );
    }

    #[test]
    fn a_line_of_a_mebibyte_is_read_and_a_longer_one_skipped() {
        for (length, cut) in [(LONGEST_LINE, Cut::Line), (LONGEST_LINE + 1, Cut::TooLong)] {
            let mut text = vec![b'x'; length];
            text.extend_from_slice(b"\nnext\n");
            let mut lines = lines(text);
            assert_eq!(lines.cut().expect("memory"), cut);
            assert_eq!(lines.line().len(), LONGEST_LINE);
            assert_eq!(lines.cut().expect("memory"), Cut::Line);
            assert_eq!((lines.line(), lines.number()), (&b"next"[..], 2));
        }
    }
}
