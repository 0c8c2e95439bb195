//! `gatepost ask`: one policy delegation request, as Postfix would send it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use crate::cli::{Exit, TIMEOUT, say};
use crate::config::{Socket, parse_socket};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Where to ask: inet:ADDRESS:PORT, inet6:[ADDRESS]:PORT or unix:PATH
    #[arg(long, default_value = "inet:127.0.0.1:10031")]
    pub socket: String,
    /// SASL login
    #[arg(long)]
    pub login: Option<String>,
    /// The client's network address
    #[arg(long, default_value = "192.0.2.9")]
    pub client: String,
    /// The client's forward-confirmed host name
    #[arg(long, default_value = "unknown")]
    pub client_name: String,
    /// Envelope sender; empty is the null sender
    #[arg(long, default_value = "")]
    pub sender: String,
    /// Recipient
    #[arg(long, default_value = "")]
    pub rcpt: String,
    /// protocol_state: CONNECT, EHLO, MAIL, RCPT, DATA, END-OF-MESSAGE, VRFY or ETRN
    #[arg(long, default_value = "RCPT")]
    pub state: String,
    /// Further attributes, each as name=value
    #[arg(long = "attribute", value_name = "NAME=VALUE")]
    pub attributes: Vec<String>,
}

/// Sends the request and prints the answer. Exit code 1 for a refusal, 75 for a deferral.
pub(super) fn ask(arguments: &Arguments) -> Exit {
    match exchange(arguments) {
        Ok(answer) => {
            say(&format!("{answer}\n"));
            match answer.as_bytes().first() {
                Some(b'5') => Exit::No,
                Some(b'4') => Exit::Deferred,
                _ => Exit::Done,
            }
        }
        Err(fault) => {
            eprintln!("{}: {fault}", arguments.socket);
            Exit::Unreachable
        }
    }
}

fn request(arguments: &Arguments) -> Result<String, String> {
    let count =
        if matches!(arguments.state.as_str(), "DATA" | "END-OF-MESSAGE") { "1" } else { "0" };
    let mut request = String::new();
    let mut put = |name: &str, value: &str| -> Result<(), String> {
        if value.contains(['\n', '\0']) || name.contains(['\n', '\0', '=']) {
            return Err(format!("{name} contains a line break or NUL, which no request can carry"));
        }
        request.push_str(&format!("{name}={value}\n"));
        Ok(())
    };
    put("request", "smtpd_access_policy")?;
    put("protocol_state", &arguments.state)?;
    put("client_address", &arguments.client)?;
    put("client_name", &arguments.client_name)?;
    put("sender", &arguments.sender)?;
    put("recipient", &arguments.rcpt)?;
    put("recipient_count", count)?;
    if let Some(login) = &arguments.login {
        put("sasl_method", "PLAIN")?;
        put("sasl_username", login)?;
    }
    for attribute in &arguments.attributes {
        match attribute.split_once('=') {
            Some((name, value)) => put(name, value)?,
            None => return Err(format!("{attribute} has no '='; expected name=value")),
        }
    }
    request.push('\n');
    Ok(request)
}

/// The action that is answered.
pub(super) fn exchange(arguments: &Arguments) -> Result<String, String> {
    let request = request(arguments)?;
    let answer = match parse_socket(&arguments.socket)? {
        Socket::Inet(address) => {
            let stream = TcpStream::connect_timeout(&address, TIMEOUT).map_err(plain)?;
            stream.set_read_timeout(Some(TIMEOUT)).map_err(plain)?;
            converse(stream, &request)
        }
        Socket::Unix(path) => {
            let stream = UnixStream::connect(&path).map_err(plain)?;
            stream.set_read_timeout(Some(TIMEOUT)).map_err(plain)?;
            converse(stream, &request)
        }
        Socket::Systemd(_) => return Err("a systemd socket is asked by its address or path".into()),
    }?;
    match answer.strip_prefix("action=").and_then(|rest| rest.split_once("\n\n")) {
        Some((action, _)) => Ok(action.into()),
        None if answer.is_empty() => Err(format!(
            "closed without an answer: gatepost could not read the request; its log says why. ask speaks policy delegation alone: of a listener with protocol = \"milter\", ask gatepost explain --listener {}",
            arguments.socket
        )),
        None => Err(format!("not an answer of policy delegation: {answer:?}")),
    }
}

fn converse(mut stream: impl Read + Write, request: &str) -> Result<String, String> {
    stream.write_all(request.as_bytes()).map_err(plain)?;
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    while !answer.ends_with(b"\n\n") {
        match stream.read(&mut chunk).map_err(plain)? {
            0 => break,
            length => answer.extend_from_slice(&chunk[..length]),
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn plain(fault: std::io::Error) -> String {
    match fault.kind() {
        std::io::ErrorKind::ConnectionRefused | std::io::ErrorKind::NotFound => {
            format!("nobody listens there ({fault}); is gatepost running?")
        }
        std::io::ErrorKind::WouldBlock => "no answer within 10 s".into(),
        _ => fault.to_string(),
    }
}
