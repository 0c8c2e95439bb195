//! The closed-loop load: each connection sends a request, waits for its answer and sends the next.
//! One thread and edge-triggered epoll(7): two system calls a request, the least that there is to share with the server.

use std::error::Error;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

use crate::common::histogram::Histogram;
use crate::common::script::{Instance, Instances, Request, Script};

/// A tenth of what Postfix waits (smtpd_policy_service_timeout, 100 s). Blocking reads of a lone connection end as soon.
pub const PATIENCE: Duration = Duration::from_secs(10);

const NO_OBJECTION: &[u8] = b"action=DUNNO\n\n";
const NO_RELAY_RIGHT: &[u8] = b"action=550 5.7.1 [";

pub struct Load<'a> {
    connections: Vec<Connection>,
    script: &'a mut Script,
    instances: &'a mut Instances,
    /// Whether refusals are expected where the script says so.
    judged: bool,
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    ready: Vec<usize>,
}

struct Connection {
    socket: OwnedFd,
    /// Index of the request that waits for its answer.
    request: usize,
    instance: Instance,
    sent: Instant,
    reply: [u8; 1024],
    filled: usize,
}

pub struct Tally {
    pub latency: Histogram,
    pub elapsed: Duration,
}

impl<'a> Load<'a> {
    /// The sockets are blocking ones: an edge tells that a read will not wait.
    pub fn new(
        sockets: Vec<OwnedFd>,
        script: &'a mut Script,
        instances: &'a mut Instances,
        judged: bool,
    ) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let count = sockets.len();
        let mut connections = Vec::with_capacity(count);
        for (index, socket) in sockets.into_iter().enumerate() {
            let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
            epoll::add(&epoll, &socket, epoll::EventData::new_u64(index as u64), flags)?;
            connections.push(Connection {
                socket,
                request: script.transactions[index * script.transactions.len() / count],
                instance: instances.next(),
                sent: Instant::now(),
                reply: [0; 1024],
                filled: 0,
            });
        }
        Ok(Self {
            connections,
            script,
            instances,
            judged,
            epoll,
            events: Vec::with_capacity(count),
            ready: Vec::with_capacity(count),
        })
    }

    /// Keeps every connection busy as long as `goes_on` with that many requests sent and that much time
    /// gone, then collects the last answers. Each connection sends one request at least.
    pub fn run(
        &mut self,
        goes_on: impl Fn(u64, Duration) -> bool,
    ) -> Result<Tally, Box<dyn Error>> {
        let mut latency = Histogram::new();
        let start = Instant::now();
        for index in 0..self.connections.len() {
            self.send(index, Instant::now())?;
        }
        let mut busy = self.connections.len();
        let mut sent = busy as u64;
        while busy > 0 {
            self.wait()?;
            for turn in 0..self.ready.len() {
                let index = self.ready[turn];
                if !self.receive(index)? {
                    continue;
                }
                let now = Instant::now();
                latency.record(now - self.connections[index].sent);
                self.advance(index);
                if goes_on(sent, now - start) {
                    self.send(index, now)?;
                    sent += 1;
                } else {
                    busy -= 1;
                }
            }
        }
        Ok(Tally { latency, elapsed: start.elapsed() })
    }

    fn send(&mut self, index: usize, now: Instant) -> io::Result<()> {
        let connection = &mut self.connections[index];
        let bytes = self.script.requests[connection.request].bytes_with(connection.instance);
        connection.sent = now;
        match rustix::io::write(&connection.socket, bytes)? {
            count if count == bytes.len() => Ok(()),
            count => Err(io::Error::other(format!("only {count} bytes of a request were taken"))),
        }
    }

    /// Fills `ready`. A lone connection needs no epoll: its read waits.
    fn wait(&mut self) -> Result<(), Box<dyn Error>> {
        self.ready.clear();
        if self.connections.len() == 1 {
            self.ready.push(0);
            return Ok(());
        }
        self.events.clear();
        let patience = Timespec::try_from(PATIENCE)?;
        let spare = rustix::buffer::spare_capacity(&mut self.events);
        match epoll::wait(&self.epoll, spare, Some(&patience)) {
            Ok(0) => return Err(format!("no answer within {PATIENCE:?}").into()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let events = self.events.iter();
        self.ready.extend(events.map(|event| event.data.u64() as usize));
        Ok(())
    }

    /// Takes in what has come; true when that completed the answer, and the answer is right.
    fn receive(&mut self, index: usize) -> Result<bool, Box<dyn Error>> {
        let connection = &mut self.connections[index];
        let room = &mut connection.reply[connection.filled..];
        match rustix::io::read(&connection.socket, room) {
            Ok(0) => return Err("the server closed a connection, or its answer is too long".into()),
            Ok(count) => connection.filled += count,
            Err(Errno::AGAIN) => return Err(format!("no answer within {PATIENCE:?}").into()),
            Err(error) => return Err(error.into()),
        }
        let reply = &connection.reply[..connection.filled];
        if !reply.ends_with(b"\n\n") {
            return Ok(false);
        }
        let request = &self.script.requests[connection.request];
        let refused = self.judged && request.refused;
        if !is_right(reply, refused) {
            return Err(wrong_answer(request, refused, reply).into());
        }
        connection.filled = 0;
        Ok(true)
    }

    fn advance(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        connection.request = (connection.request + 1) % self.script.requests.len();
        if self.script.requests[connection.request].opens {
            connection.instance = self.instances.next();
        }
    }
}

/// Twelve characters in brackets identify a refusal; its wording belongs to the configuration.
fn is_right(reply: &[u8], refused: bool) -> bool {
    if !refused {
        return reply == NO_OBJECTION;
    }
    reply.starts_with(NO_RELAY_RIGHT) && reply[NO_RELAY_RIGHT.len()..].get(12) == Some(&b']')
}

fn wrong_answer(request: &Request, refused: bool, reply: &[u8]) -> String {
    let expected = if refused { NO_RELAY_RIGHT } else { NO_OBJECTION };
    format!(
        "wrong answer {:?}, expected {:?}, to the request\n{}",
        String::from_utf8_lossy(reply),
        String::from_utf8_lossy(expected),
        request.text()
    )
}
