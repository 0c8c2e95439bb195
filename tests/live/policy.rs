//! A policy delegation client without a Postfix (SMTPD_POLICY_README): one question, one answer.

use crate::process::DEADLINE;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// The whole answer, `action=` and all, up to the empty line. Attributes are `name=value`.
pub fn ask_inet(port: u16, attributes: &[&str]) -> String {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("gatepost listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("a socket takes options");
    converse(stream, attributes)
}

/// As `ask_inet`, at a unix socket.
pub fn ask_unix(socket: &Path, attributes: &[&str]) -> String {
    let stream = UnixStream::connect(socket).expect("gatepost listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("a socket takes options");
    converse(stream, attributes)
}

fn converse(mut stream: impl Read + Write, attributes: &[&str]) -> String {
    let mut request = String::from("request=smtpd_access_policy\n");
    for attribute in attributes {
        request += attribute;
        request.push('\n');
    }
    request.push('\n');
    stream.write_all(request.as_bytes()).expect("gatepost takes a request");
    let mut answer = String::new();
    let mut reader = BufReader::new(stream);
    while !answer.ends_with("\n\n") {
        let more = reader.read_line(&mut answer).expect("gatepost answers");
        assert_ne!(more, 0, "closed instead of an answer, after {answer:?}");
    }
    answer
}
