//! `[[listen]]` and the written form of sockets.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::config::networks::parse_network;
use crate::config::{Endpoint, Listen, Socket};
use crate::decision::{AtEnd, ChargeAt, Facing, Hold, Listener, OnGrant};
use crate::mail::Protocol;
use crate::rights::Mode;
use crate::settings::{Item, Reader, Table, duration, octal_mode};

const SOCKET_FORMS: &str =
    "\"inet:127.0.0.1:10031\", \"inet6:[::1]:10031\", \"unix:/path\" or \"systemd:NAME\"";

const PROTOCOLS: [(&str, Protocol); 2] =
    [("policy", Protocol::PolicyDelegation), ("milter", Protocol::Milter)];

const FACING: [(&str, Facing); 3] = [
    ("submission", Facing::Submission),
    ("internet", Facing::Internet),
    ("internal", Facing::Internal),
];

const CHARGE_AT: [(&str, ChargeAt); 4] = [
    ("end-of-message", ChargeAt::EndOfMessage),
    ("data", ChargeAt::Data),
    ("rcpt", ChargeAt::Rcpt),
    ("never", ChargeAt::Never),
];

const HOLD: [(&str, Hold); 3] =
    [("pass", Hold::Pass), ("queue", Hold::Queue), ("defer", Hold::Defer)];

const AT_END: [(&str, AtEnd); 2] = [("refuse", AtEnd::Refuse), ("quarantine", AtEnd::Quarantine)];

/// Postfix keeps an idle policy connection for 300 s (smtpd_policy_service_max_idle) and any for
/// 1000 s (max_ttl); closing earlier costs it a second per reconnect.
const POSTFIX_MAX_IDLE: Duration = Duration::from_secs(300);

/// A milter connection is as idle as its SMTP client, which Sendmail waits for this long
/// (Timeout.command), and Postfix 300 s (smtpd_timeout); closing earlier costs it its next mail.
const SENDMAIL_MAX_IDLE: Duration = Duration::from_secs(3600);

/// Sendmail waits this long for a reply (Timeout.milter R, in the filter's `T=`), and Postfix 30 s
/// (milter_command_timeout); then they act without us.
const SENDMAIL_MAX_WAIT: Duration = Duration::from_secs(10);

pub(super) fn read_listen(
    reader: &mut Reader,
    mut table: Table<'_, '_>,
    folder: &Path,
    server: &str,
) -> Option<Listen> {
    let protocol = table.required_choice(reader, "protocol", &PROTOCOLS);
    let socket = table.required(reader, "socket", SOCKET_FORMS);
    let endpoint = read_endpoint(reader, &mut table, socket, folder);
    let mta = table.parsed(reader, "mta", server, non_empty);
    let facing = table.required_choice(reader, "facing", &FACING);
    let charge_at = table.choice(reader, "charge-at", "end-of-message", &CHARGE_AT);
    let hold = table.choice(reader, "hold", "pass", &HOLD);
    let modes = [("observe", Mode::Observe), ("enforce", Mode::Enforce)];
    let mode = table.choice(reader, "mode", "observe", &modes);
    let on_grant = table.choice(
        reader,
        "on-grant",
        "dunno",
        &[("dunno", OnGrant::Dunno), ("ok", OnGrant::Ok)],
    );
    let at_end = table.choice(reader, "at-end-of-message", "refuse", &AT_END);
    let answer_within = table.parsed(reader, "answer-within", "8s", |text| match duration(text)? {
        Duration::ZERO => Err("nothing could be answered".into()),
        within if within < SENDMAIL_MAX_WAIT => Ok(within),
        _ => Err("expected less than the 10s Sendmail waits".into()),
    });
    let id_header = table.flag(reader, "id-header", false);
    let max_connections = table.number(reader, "max-connections", 1000, 1..=100_000);
    let idle_timeout = table.parsed(reader, "idle-timeout", "3h", |text| match duration(text)? {
        Duration::ZERO => Err("every connection would be closed at once".into()),
        timeout => Ok(timeout),
    });
    let allow_from = read_allow_from(reader, &mut table, endpoint.as_ref());
    refuse_keys_of_the_other(reader, &table, protocol);
    let too_soon = match protocol {
        Some(Protocol::Milter) if idle_timeout <= SENDMAIL_MAX_IDLE => Some(
            "an SMTP client may be silent for up to 1 h, and a connection closed meanwhile costs it its next mail; choose more than 1h",
        ),
        Some(Protocol::PolicyDelegation) if idle_timeout <= POSTFIX_MAX_IDLE => Some(
            "Postfix keeps a connection idle for up to 300 s and pays one second for each that was closed under it; choose more than 300s",
        ),
        _ => None,
    };
    if let Some(what) = too_soon {
        reader.warn(table.place("idle-timeout"), &table.key("idle-timeout"), what);
    }
    if on_grant == OnGrant::Ok {
        reader.warn(
            table.place("on-grant"),
            &table.key("on-grant"),
            "an allowed relay right is answered with OK: ask this listener in smtpd_relay_restrictions only, since OK ends the list it stands in",
        );
    }
    table.finish(reader);
    let (endpoint, facing, protocol) = (endpoint?, facing?, protocol?);
    let name = endpoint.socket.to_string().into();
    let mta = mta.into();
    let listener =
        Listener { name, mta, protocol, facing, mode, on_grant, charge_at, at_end, hold };
    Some(Listen {
        endpoint,
        listener: Arc::new(listener),
        allow_from,
        max_connections,
        idle_timeout,
        answer_within,
        id_header,
    })
}

/// A key that means nothing to this protocol would be believed to work.
fn refuse_keys_of_the_other(reader: &mut Reader, table: &Table, protocol: Option<Protocol>) {
    let (other, keys): (_, &[&str]) = match protocol {
        Some(Protocol::PolicyDelegation) => {
            ("milter", &["at-end-of-message", "answer-within", "id-header"])
        }
        Some(Protocol::Milter) => ("policy", &["on-grant"]),
        None => return,
    };
    for key in keys.iter().filter(|key| !table.is_absent(key)) {
        let what = format!("only protocol = \"{other}\" has it");
        reader.fault(table.place(key), &table.key(key), what);
    }
}

pub(super) fn non_empty(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("expected a name".into()) } else { Ok(text.into()) }
}

/// Owner, group and mode of a unix socket.
pub(super) struct Permissions {
    owner: Option<Item<String>>,
    group: Option<Item<String>>,
    mode: u32,
    /// Whether `socket-mode` is written.
    has_mode: bool,
}

pub(super) fn read_permissions(reader: &mut Reader, table: &mut Table<'_, '_>) -> Permissions {
    Permissions {
        owner: table.text(reader, "socket-owner"),
        group: table.text(reader, "socket-group"),
        has_mode: !table.is_absent("socket-mode"),
        mode: table.parsed(reader, "socket-mode", "0660", octal_mode),
    }
}

impl Permissions {
    pub(super) fn of(self, socket: Socket) -> Endpoint {
        let (owner, group) = (self.owner.map(|item| item.value), self.group.map(|item| item.value));
        Endpoint { socket, owner, group, mode: self.mode }
    }
}

/// The socket with the permissions of a unix one.
fn read_endpoint(
    reader: &mut Reader,
    table: &mut Table<'_, '_>,
    socket: Option<Item<String>>,
    folder: &Path,
) -> Option<Endpoint> {
    let permissions = read_permissions(reader, table);
    let item = socket?;
    let socket = match parse_socket(&item.value) {
        Ok(Socket::Unix(path)) => Socket::Unix(folder.join(path)),
        Ok(socket) => socket,
        Err(what) => {
            reader.fault(item.at, &item.key, what);
            return None;
        }
    };
    if !matches!(socket, Socket::Unix(_)) {
        for (name, is_written) in [
            ("socket-owner", permissions.owner.is_some()),
            ("socket-group", permissions.group.is_some()),
            ("socket-mode", permissions.has_mode),
        ] {
            if is_written {
                let what = format!("only a unix socket has one, and this is {socket}");
                reader.fault(table.place(name), &table.key(name), what);
            }
        }
    }
    Some(permissions.of(socket))
}

/// Reads `inet:ADDRESS:PORT`, `inet6:[ADDRESS]:PORT`, `unix:PATH` or `systemd:NAME`.
pub fn parse_socket(text: &str) -> Result<Socket, String> {
    let refused = |why: &str| Err(format!("\"{text}\" is refused: {why}; expected {SOCKET_FORMS}"));
    match text.split_once(':') {
        Some(("inet" | "inet6", address)) => match address.parse::<SocketAddr>() {
            Ok(address) if address.port() == 0 => refused("port 0 is none"),
            Ok(address) => Ok(Socket::Inet(address)),
            Err(_) => refused("no address and port (host names are not looked up)"),
        },
        Some(("unix", "")) => refused("no path"),
        Some(("unix", path)) => Ok(Socket::Unix(PathBuf::from(path))),
        Some(("systemd", "")) => refused("no name"),
        Some(("systemd", name)) => Ok(Socket::Systemd(name.into())),
        _ => refused("no kind of socket"),
    }
}

fn read_allow_from(
    reader: &mut Reader,
    table: &mut Table<'_, '_>,
    endpoint: Option<&Endpoint>,
) -> Vec<IpNet> {
    let is_absent = table.is_absent("allow-from");
    let key = table.key("allow-from");
    let mut allowed = Vec::new();
    let default = match endpoint.map(|endpoint| &endpoint.socket) {
        Some(Socket::Unix(_)) => "[]",
        _ => "[\"127.0.0.1\", \"::1\"]",
    };
    for item in table.texts_or(reader, "allow-from", default) {
        match parse_network(&item.value) {
            Ok(net) => allowed.push(net),
            Err(what) => reader.fault(item.at, &item.key, what),
        }
    }
    match endpoint.map(|endpoint| &endpoint.socket) {
        Some(Socket::Inet(address)) if is_absent => {
            if !address.ip().is_loopback() {
                reader.fault(
                    table.at(),
                    &key,
                    format!("missing; {address} can be reached from elsewhere, so name who may ask, such as [\"192.0.2.25\"]"),
                );
            }
            loopback()
        }
        Some(Socket::Unix(_)) if !is_absent => {
            reader.fault(table.place("allow-from"), &key, "a unix socket has no peer addresses; use socket-owner, socket-group and socket-mode");
            allowed
        }
        Some(Socket::Systemd(_)) if is_absent => loopback(),
        Some(_) if table.is_empty_array("allow-from") => {
            reader.fault(
                table.place("allow-from"),
                &key,
                "empty: nobody could ask; name who may, such as [\"127.0.0.1\"]",
            );
            allowed
        }
        _ => allowed,
    }
}

fn loopback() -> Vec<IpNet> {
    [IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])].map(IpNet::from).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_read_and_written_alike() {
        for text in
            ["inet:127.0.0.1:10031", "inet6:[::1]:10031", "unix:/run/x.sock", "systemd:policy"]
        {
            assert_eq!(parse_socket(text).expect(text).to_string(), text);
        }
        for text in
            ["", "inet:localhost:1", "inet:127.0.0.1", "unix:", "systemd:", "tcp:1", "/run/x"]
        {
            assert!(parse_socket(text).is_err(), "{text}");
        }
    }
}
