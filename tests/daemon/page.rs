//! A client for the HTTP pages, and one metric out of them.

use crate::process::{DEADLINE, until};
use std::io::{Read, Write};
use std::net::TcpStream;

pub struct Page {
    pub status: u16,
    /// Status line and headers, in lower case.
    pub head: String,
    pub body: String,
}

/// `None` when nobody listens there or the connection breaks.
pub fn try_to_read(port: u16, path: &str) -> Option<Page> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(DEADLINE)).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut response = String::new();
    stream.read_to_string(&mut response).ok()?;
    let (head, body) = response.split_once("\r\n\r\n")?;
    let head = head.to_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Page { status, head, body: body.into() })
}

#[track_caller]
pub fn read(port: u16, path: &str) -> Page {
    try_to_read(port, path).unwrap_or_else(|| panic!("no page {path}"))
}

/// The value of a sample such as `gatepost_x{kind="y"}`.
#[track_caller]
pub fn metric(port: u16, sample: &str) -> i64 {
    let text = read(port, "/metrics").body;
    let value = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    let value = value.unwrap_or_else(|| panic!("no {sample} in\n{text}"));
    value.parse().unwrap_or_else(|_| panic!("{sample} {value} is no whole number"))
}

/// An answer is written before it is counted, so a count may have to be waited for.
#[track_caller]
pub fn wait_for_metric(port: u16, sample: &str, expected: i64) {
    until(&format!("{sample} is {expected}"), || (metric(port, sample) == expected).then_some(()));
}
