//! One connection to the policy socket, and one to the control socket.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;

use serde_json::Value;

use crate::site::Site;

pub struct Policy(BufReader<UnixStream>);

impl Policy {
    pub fn connect(site: &Site) -> Self {
        Self(BufReader::new(UnixStream::connect(site.path("policy.sock")).expect("it listens")))
    }

    /// The answer to a message; `None`: the daemon is gone.
    pub fn ask(&mut self, instance: &str, login: &str, recipients: u32) -> Option<String> {
        // That of one who writes to one is named, else it would count as a stranger.
        let named = if recipients == 1 { "recipient=b@example.net\n" } else { "" };
        let question = format!(
            "request=smtpd_access_policy\nprotocol_state=END-OF-MESSAGE\nprotocol_name=ESMTP\n\
             instance={instance}\nsender=a@example.org\n{named}recipient_count={recipients}\n\
             sasl_method=PLAIN\nsasl_username={login}\nclient_address=192.0.2.1\nsize=0\n\n"
        );
        self.0.get_ref().write_all(question.as_bytes()).ok()?;
        let (mut answer, mut end) = (String::new(), String::new());
        if self.0.read_line(&mut answer).ok()? == 0 || self.0.read_line(&mut end).ok()? == 0 {
            return None;
        }
        Some(answer.trim_end().strip_prefix("action=").expect("an action").into())
    }
}

/// The id of the suspension that a refusal names.
pub fn suspension(answer: &str) -> Option<&str> {
    let (id, rest) = answer.strip_prefix("550 5.7.13 [")?.split_once(']')?;
    rest.contains("suspended").then_some(id)
}

pub struct Control(BufReader<UnixStream>);

impl Control {
    pub fn connect(site: &Site) -> Self {
        Self(BufReader::new(UnixStream::connect(site.path("control.sock")).expect("it listens")))
    }

    /// Status and body; `None`: the daemon is gone.
    pub fn post(&mut self, path: &str, asked: &Value) -> Option<(u16, String)> {
        let asked = asked.to_string();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: gatepost\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{asked}",
            asked.len()
        );
        self.0.get_ref().write_all(request.as_bytes()).ok()?;
        let status = self.line()?.split(' ').nth(1)?.parse().ok()?;
        let mut length = 0;
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(": ") else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).ok()?;
        Some((status, String::from_utf8(body).ok()?))
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        (self.0.read_line(&mut line).ok()? > 0).then(|| line.trim_end().into())
    }

    /// What a daemon that runs answers.
    pub fn told(&mut self, path: &str, asked: &Value) -> Value {
        let (status, body) = self.post(path, asked).expect("it runs");
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).expect("JSON")
    }
}
