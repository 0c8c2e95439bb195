//! A policy delegation client (SMTPD_POLICY_README) that can also be broken, slow or half-done.

use crate::process::DEADLINE;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

pub trait Socket: Read + Write {
    fn set_patience(&self, patience: Duration);
    fn end_writing(&self);
}

impl Socket for TcpStream {
    fn set_patience(&self, patience: Duration) {
        self.set_read_timeout(Some(patience)).expect("a socket takes options");
    }

    fn end_writing(&self) {
        self.shutdown(Shutdown::Write).expect("a socket can be shut down");
    }
}

impl Socket for UnixStream {
    fn set_patience(&self, patience: Duration) {
        self.set_read_timeout(Some(patience)).expect("a socket takes options");
    }

    fn end_writing(&self) {
        self.shutdown(Shutdown::Write).expect("a socket can be shut down");
    }
}

/// One connection.
pub struct Client {
    socket: Box<dyn Socket>,
}

impl Client {
    #[track_caller]
    pub fn tcp(port: u16) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("gatepost listens");
        stream.set_nodelay(true).expect("a socket takes options");
        Client::over(stream)
    }

    /// From another address of this machine.
    #[track_caller]
    pub fn tcp_from(address: [u8; 4], port: u16) -> Client {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        let stream = runtime.expect("a runtime can be made").block_on(async {
            let socket = tokio::net::TcpSocket::new_v4()?;
            socket.bind(SocketAddr::from((address, 0)))?;
            socket.connect(SocketAddr::from(([127, 0, 0, 1], port))).await?.into_std()
        });
        let stream = stream.expect("gatepost listens");
        stream.set_nonblocking(false).expect("a socket takes options");
        Client::over(stream)
    }

    #[track_caller]
    pub fn unix(path: &Path) -> Client {
        Client::over(UnixStream::connect(path).expect("gatepost listens"))
    }

    fn over(socket: impl Socket + 'static) -> Client {
        socket.set_patience(DEADLINE);
        Client { socket: Box::new(socket) }
    }

    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.socket.write_all(bytes.as_ref()).expect("gatepost takes bytes");
    }

    /// As `send`, to a peer that may have closed in the midst of it.
    pub fn try_to_send(&mut self, bytes: impl AsRef<[u8]>) {
        self.socket.write_all(bytes.as_ref()).ok();
    }

    pub fn end_writing(&self) {
        self.socket.end_writing();
    }

    /// One read, which must bring the one answer whole; without `action=` and the empty line.
    #[track_caller]
    pub fn answer(&mut self) -> String {
        let bytes = self.read_once();
        let answer = std::str::from_utf8(&bytes).expect("answers are ASCII");
        let action = answer.strip_prefix("action=").and_then(|rest| rest.strip_suffix("\n\n"));
        let action = action.unwrap_or_else(|| panic!("no whole answer: {answer:?}"));
        assert!(!action.contains('\n') && !action.is_empty(), "{answer:?}");
        action.to_string()
    }

    /// What one read brings, at least one byte.
    #[track_caller]
    pub fn read_once(&mut self) -> Vec<u8> {
        let mut bytes = [0; 4096];
        // A read with a limit is interrupted by whatever signal comes, as when a child of the test ends (signal(7)).
        let length = loop {
            match self.socket.read(&mut bytes) {
                Err(fault) if fault.kind() == ErrorKind::Interrupted => {}
                length => break length.expect("gatepost answers"),
            }
        };
        assert!(length > 0, "closed without an answer");
        bytes[..length].into()
    }

    #[track_caller]
    pub fn ask(&mut self, request: &str) -> String {
        self.send(request);
        self.answer()
    }

    /// Exactly this many bytes, however they come.
    #[track_caller]
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.socket.read_exact(&mut bytes).expect("gatepost answers");
        bytes
    }

    /// Waits for the end of the connection, before which nothing may come.
    #[track_caller]
    pub fn assert_closed(&mut self) {
        let mut bytes = [0; 4096];
        match self.socket.read(&mut bytes) {
            Ok(0) => {}
            Ok(length) => panic!("{:?}", String::from_utf8_lossy(&bytes[..length])),
            // Closed with bytes of ours unread.
            Err(fault) => assert_eq!(fault.kind(), ErrorKind::ConnectionReset, "not closed"),
        }
    }

    /// Whether the connection stays open and silent for so long.
    #[track_caller]
    pub fn is_open_after(&mut self, patience: Duration) -> bool {
        self.socket.set_patience(patience);
        let read = self.socket.read(&mut [0; 64]);
        self.socket.set_patience(DEADLINE);
        match read {
            Ok(0) => false,
            // Closed before it was accepted, as the queue of a listener that ends is.
            Err(fault) if fault.kind() == ErrorKind::ConnectionReset => false,
            Err(fault) if fault.kind() == ErrorKind::WouldBlock => true,
            other => panic!("neither open nor closed: {other:?}"),
        }
    }
}

/// A request of these `name=value` lines.
pub fn request(state: &str, attributes: &[&str]) -> String {
    let mut request = format!("request=smtpd_access_policy\nprotocol_state={state}\n");
    for attribute in attributes {
        request += attribute;
        request.push('\n');
    }
    request + "\n"
}

/// The question of a login at RCPT, from its own address; empty: not logged in.
pub fn rcpt(login: &str, recipient: &str) -> String {
    let user = login.split('@').next().unwrap_or_default();
    request(
        "RCPT",
        &[
            "client_address=192.0.2.9",
            &format!("sender={user}@example.org"),
            &format!("recipient={recipient}"),
            &format!("sasl_username={login}"),
            "instance=1f2e.6561.3a.0",
        ],
    )
}

/// The id in a refusal.
#[track_caller]
pub fn id_of(action: &str) -> &str {
    let id = action.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map(|(id, _)| id);
    let id = id.unwrap_or_else(|| panic!("an id in {action:?}"));
    assert_eq!(id.len(), 12, "{action:?}");
    id
}

/// A refusal with its id left out; other answers as they are.
pub fn without_id(action: &str) -> String {
    match action.split_once(" [") {
        Some((code, rest)) => code.to_string() + &rest[13..],
        None => action.to_string(),
    }
}
