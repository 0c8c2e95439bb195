//! A name server of a few records on a port of 127.0.0.1 (RFC 1035 by UDP), which can be silent.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Ends when it is dropped.
pub struct NameServer {
    records: Arc<Mutex<Option<Records>>>,
    pub port: u16,
}

#[derive(Clone, Default)]
pub struct Records {
    pub addresses: Vec<(&'static str, Ipv4Addr)>,
    pub services: Vec<Service>,
}

/// An SRV record (RFC 2782).
#[derive(Clone)]
pub struct Service {
    pub name: &'static str,
    pub priority: u16,
    pub port: u16,
    pub target: &'static str,
}

const A: u16 = 1;
const SRV: u16 = 33;
const INTERNET: u16 = 1;
const HEADER: usize = 12;

impl NameServer {
    /// Silent as yet.
    pub fn start() -> NameServer {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a loopback port is free");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a socket takes options");
        let port = socket.local_addr().expect("a socket has an address").port();
        let records = Arc::new(Mutex::new(None));
        let kept = Arc::downgrade(&records);
        thread::spawn(move || {
            let mut question = [0; 512];
            while let Some(records) = kept.upgrade() {
                let Ok((length, from)) = socket.recv_from(&mut question) else { continue };
                let records: Option<Records> = records.lock().expect("no panic").clone();
                if let Some(answer) = records.and_then(|all| all.answer(&question[..length])) {
                    socket.send_to(&answer, from).ok();
                }
            }
        });
        NameServer { records, port }
    }

    pub fn answer(&self, records: Records) {
        *self.records.lock().expect("no panic") = Some(records);
    }
}

impl Records {
    /// `None` for what is no question.
    fn answer(&self, question: &[u8]) -> Option<Vec<u8>> {
        let (mut name, mut at) = (Vec::new(), HEADER);
        while let length @ 1.. = usize::from(*question.get(at)?) {
            let label = question.get(at + 1..at + 1 + length)?;
            name.push(String::from_utf8_lossy(label).to_lowercase());
            at += 1 + length;
        }
        let end = at + 5;
        let kind = u16::from_be_bytes(question.get(at + 1..at + 3)?.try_into().ok()?);
        let found = self.find(&name.join("."), kind);
        let mut answer = question.get(..2)?.to_vec();
        // A response, authoritative, recursion as desired and available; one question.
        answer.extend([0x85, 0x80, 0, 1]);
        answer.extend((found.len() as u16).to_be_bytes());
        answer.extend([0, 0, 0, 0]);
        answer.extend(question.get(HEADER..end)?);
        for data in found {
            // The name is that of the question.
            answer.extend([0xc0, HEADER as u8]);
            answer.extend([kind, INTERNET].map(u16::to_be_bytes).concat());
            answer.extend(1u32.to_be_bytes());
            answer.extend((data.len() as u16).to_be_bytes());
            answer.extend(data);
        }
        Some(answer)
    }

    fn find(&self, name: &str, kind: u16) -> Vec<Vec<u8>> {
        match kind {
            A => {
                let found = self.addresses.iter().filter(|(known, _)| *known == name);
                found.map(|(_, address)| address.octets().to_vec()).collect()
            }
            SRV => {
                let found = self.services.iter().filter(|service| service.name == name);
                found.map(Service::data).collect()
            }
            _ => Vec::new(),
        }
    }
}

impl Service {
    fn data(&self) -> Vec<u8> {
        let mut data = [self.priority, 0, self.port].map(u16::to_be_bytes).concat();
        for label in self.target.split('.') {
            data.push(label.len() as u8);
            data.extend(label.bytes());
        }
        data.push(0);
        data
    }
}
