//! Which LDAP servers there are: `servers`, or `discover` with `name-servers`.

use std::net::SocketAddr;

use crate::directory::ldap::settings::{ServerAddress, Servers, Tls};
use crate::settings::{Reader, Table};

const SERVER_FORMS: &str =
    "expected a server such as \"ldaps://dc1.example.org\" or \"ldap://dc1.example.org:389\"";

/// `is_wanted`: the directory is this one, so that what is missing is a fault.
pub(super) fn read_servers(
    reader: &mut Reader,
    table: &mut Table<'_, '_>,
    is_wanted: bool,
    tls: &Tls,
    is_sealed: bool,
) -> Option<Servers> {
    let places = (table.place("servers"), table.place("discover"));
    let listed = if table.is_absent("servers") {
        // There is no default; asked for all the same, so that it counts as known.
        table.text(reader, "servers");
        Vec::new()
    } else {
        table.texts(reader, "servers")
    };
    let discover = table.text(reader, "discover");
    let name_servers = table.texts(reader, "name-servers");
    let key = |key: &str| format!("directory.ldap.{key}");
    let mut resolvers: Vec<SocketAddr> = Vec::new();
    for item in name_servers {
        match item.value.parse() {
            Ok(address) => resolvers.push(address),
            Err(_) => {
                let what = "expected an address and port such as \"192.0.2.53:53\"";
                reader.fault(item.at, &item.key, what);
            }
        }
    }
    if !is_wanted {
        return None;
    }
    // GSSAPI seals what it sends by itself.
    let is_plain_allowed = tls.starttls || tls.insecure_plaintext || is_sealed;
    let no_tls = "without TLS: set tls.starttls = true, or use ldaps://; tls.insecure-plaintext = true goes without";
    match (listed.is_empty(), discover) {
        (true, None) => {
            let what = "missing; expected servers = [\"ldaps://dc1.example.org\"], or discover = \"example.org\" to find them by DNS";
            reader.fault(table.at(), &key("servers"), what);
            None
        }
        (false, Some(item)) => {
            reader.fault(item.at, &item.key, "servers are listed already; give one of the two");
            None
        }
        (true, Some(item)) => {
            if item.value.trim_matches('.').is_empty() {
                reader.fault(item.at, &item.key, "expected a DNS domain, such as \"example.org\"");
                return None;
            }
            if !is_plain_allowed {
                reader.fault(places.1, &item.key, format!("DNS names ports {no_tls}"));
            }
            Some(Servers::Discovered { domain: item.value, name_servers: resolvers })
        }
        (false, None) => {
            if !resolvers.is_empty() {
                let what = "only discover needs it";
                reader.fault(table.place("name-servers"), &key("name-servers"), what);
            }
            let mut servers = Vec::new();
            for item in listed {
                match parse_server(&item.value) {
                    Some(server) => {
                        if !server.ldaps && !is_plain_allowed {
                            reader.fault(item.at, &item.key, no_tls);
                        }
                        servers.push(server);
                    }
                    None => reader.fault(item.at, &item.key, SERVER_FORMS),
                }
            }
            Some(Servers::Listed(servers))
        }
    }
}

/// `ldaps://host`, `ldap://host:389`, `ldaps://[2001:db8::1]:636`
fn parse_server(text: &str) -> Option<ServerAddress> {
    let (ldaps, rest) = match (text.strip_prefix("ldaps://"), text.strip_prefix("ldap://")) {
        (Some(rest), _) => (true, rest),
        (_, Some(rest)) => (false, rest),
        _ => return None,
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match rest.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        }
        None => match rest.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        },
    };
    let is_host = |b: u8| b.is_ascii_alphanumeric() || b"-._:".contains(&b);
    if host.is_empty() || !host.bytes().all(is_host) {
        return None;
    }
    let port = match port {
        None => {
            if ldaps {
                636
            } else {
                389
            }
        }
        Some(port) => port.parse().ok().filter(|port| *port != 0)?,
    };
    Some(ServerAddress { host: host.into(), port, ldaps })
}
