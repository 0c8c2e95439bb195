//! The next hop of a mail server: takes every mail by SMTP (RFC 5321) or LMTP (RFC 2033) and remembers
//! envelope and content, so that a test can say what arrived.

use crate::process::until;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

#[derive(Clone, Debug)]
pub struct Delivered {
    pub sender: String,
    pub recipients: Vec<String>,
    pub data: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Smtp,
    Lmtp,
}

pub struct Sink {
    address: SocketAddr,
    delivered: Arc<Mutex<Vec<Delivered>>>,
    closed: Arc<AtomicBool>,
}

impl Sink {
    pub fn open(protocol: Protocol) -> Sink {
        Sink::open_at(protocol, 0)
    }

    /// On this port, where one was before.
    pub fn open_at(protocol: Protocol, port: u16) -> Sink {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("a loopback port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let (delivered, closed) =
            (Arc::<Mutex<Vec<Delivered>>>::default(), Arc::<AtomicBool>::default());
        let (into, ended) = (delivered.clone(), closed.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let into = into.clone();
                thread::spawn(move || serve(stream, protocol, &into));
            }
        });
        Sink { address, delivered, closed }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// How many mails have arrived.
    pub fn count(&self) -> usize {
        self.delivered.lock().expect("no sink thread panics").len()
    }

    /// Waits for the mail with the marker.
    #[track_caller]
    pub fn wait_for(&self, marker: &str) -> Delivered {
        until(&format!("{marker} arrives"), || self.with(marker).pop())
    }

    /// Every mail so far that has the text in its content or envelope.
    pub fn with(&self, text: &str) -> Vec<Delivered> {
        let all = self.delivered.lock().expect("no sink thread panics");
        let has = |mail: &&Delivered| {
            mail.data.contains(text) || mail.recipients.iter().any(|to| to.contains(text))
        };
        all.iter().filter(has).cloned().collect()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which then sees the flag.
        TcpStream::connect(self.address).ok();
    }
}

/// One connection, until the mail server closes it.
fn serve(stream: TcpStream, protocol: Protocol, into: &Mutex<Vec<Delivered>>) -> Option<()> {
    let mut out = stream.try_clone().ok()?;
    let mut lines = BufReader::new(stream).split(b'\n').map_while(Result::ok).map(text);
    let (mut sender, mut recipients) = (String::new(), Vec::new());
    writeln!(out, "220 sink.test ready\r").ok()?;
    while let Some(line) = lines.next() {
        let verb = line.split([' ', ':']).next().unwrap_or("").to_ascii_uppercase();
        match verb.as_str() {
            "MAIL" => sender = path(&line),
            "RCPT" => recipients.push(path(&line)),
            "RSET" => recipients.clear(),
            "DATA" => {
                writeln!(out, "354 go on\r").ok()?;
                let data = content(&mut lines);
                let recipients = std::mem::take(&mut recipients);
                let replies = if protocol == Protocol::Lmtp { recipients.len() } else { 1 };
                let mail = Delivered { sender: sender.clone(), recipients, data };
                into.lock().expect("no sink thread panics").push(mail);
                write!(out, "{}", "250 2.0.0 taken\r\n".repeat(replies)).ok()?;
                continue;
            }
            "EHLO" | "LHLO" => {
                write!(out, "250-sink.test\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n").ok()?;
                continue;
            }
            "QUIT" => {
                writeln!(out, "221 2.0.0 bye\r").ok()?;
                return Some(());
            }
            _ => {}
        }
        writeln!(out, "250 2.0.0 ok\r").ok()?;
    }
    Some(())
}

fn text(line: Vec<u8>) -> String {
    String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned()
}

/// What stands between the angle brackets of MAIL and RCPT.
fn path(line: &str) -> String {
    let inside = line.split_once('<').and_then(|(_, rest)| rest.rsplit_once('>'));
    inside.map(|(path, _)| path.to_owned()).unwrap_or_default()
}

fn content(lines: &mut impl Iterator<Item = String>) -> String {
    let mut data = String::new();
    for line in lines.take_while(|line| line != ".") {
        data += line.strip_prefix('.').unwrap_or(&line);
        data.push('\n');
    }
    data
}
