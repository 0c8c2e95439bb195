//! Which LDAP servers there are: `servers`, or `discover` with `name-servers`.

use std::net::{Ipv6Addr, SocketAddr};

use crate::directory::ldap::settings::{ServerAddress, Servers, Tls};
use crate::settings::{Item, Reader, Table};

const SERVER_FORMS: &str =
    "expected a server such as \"ldaps://dc1.example.org\" or \"ldap://dc1.example.org:389\"";

const WITHOUT_TLS: &str = "without TLS: set tls.starttls = true, or use ldaps://; tls.insecure-plaintext = true goes without";

/// `is_wanted`: the directory is this one, so that what is missing is a fault.
pub(super) fn read_servers(
    reader: &mut Reader,
    table: &mut Table<'_, '_>,
    is_wanted: bool,
    tls: &Tls,
    is_sealed: bool,
) -> Option<Servers> {
    let listed = if table.is_absent("servers") {
        // There is no default; asked for all the same, so that it counts as known.
        table.text(reader, "servers");
        None
    } else {
        Some(read_listed(reader, table))
    };
    let discover = table.text(reader, "discover");
    let name_servers = read_name_servers(reader, table);
    if !is_wanted {
        return None;
    }
    // GSSAPI seals what it sends by itself.
    let is_plain_allowed = tls.starttls || tls.insecure_plaintext || is_sealed;
    match (listed, discover) {
        (None, None) if table.is_absent("discover") => {
            let what = "missing; expected servers = [\"ldaps://dc1.example.org\"], or discover = \"example.org\" to find them by DNS";
            reader.fault(table.at(), &table.key("servers"), what);
            None
        }
        (None, None) => None,
        (Some(_), Some(item)) => {
            reader.fault(item.at, &item.key, "servers are listed already; give one of the two");
            None
        }
        (None, Some(item)) => {
            if !is_host(&item.value) {
                reader.fault(item.at, &item.key, "expected a DNS domain such as \"example.org\"");
                return None;
            }
            if !is_plain_allowed {
                let what = "without TLS: DNS names the plain ports; set tls.starttls = true, or list ldaps:// servers; tls.insecure-plaintext = true goes without";
                reader.fault(item.at, &item.key, what);
            }
            Some(Servers::Discovered { domain: item.value, name_servers })
        }
        (Some(listed), None) => {
            if !name_servers.is_empty() {
                let what = "only discover needs them";
                reader.fault(table.place("name-servers"), &table.key("name-servers"), what);
            }
            for (item, _) in listed.iter().filter(|(_, server)| !server.ldaps && !is_plain_allowed)
            {
                reader.fault(item.at, &item.key, WITHOUT_TLS);
            }
            if tls.starttls && !listed.is_empty() && listed.iter().all(|(_, server)| server.ldaps) {
                let what = "servers has ldaps:// alone, which is TLS from the first byte; tls.starttls = true is for ldap://";
                reader.fault(table.place("servers"), &table.key("servers"), what);
            }
            Some(Servers::Listed(listed.into_iter().map(|(_, server)| server).collect()))
        }
    }
}

fn read_listed(
    reader: &mut Reader,
    table: &mut Table<'_, '_>,
) -> Vec<(Item<String>, ServerAddress)> {
    if table.is_empty_array("servers") {
        let what = "empty; expected servers such as [\"ldaps://dc1.example.org\"]";
        reader.fault(table.place("servers"), &table.key("servers"), what);
    }
    let mut servers = Vec::new();
    for item in table.texts(reader, "servers") {
        match parse_server(&item.value) {
            Some(server) => servers.push((item, server)),
            None => reader.fault(item.at, &item.key, SERVER_FORMS),
        }
    }
    servers
}

fn read_name_servers(reader: &mut Reader, table: &mut Table<'_, '_>) -> Vec<SocketAddr> {
    let mut name_servers = Vec::new();
    for item in table.texts(reader, "name-servers") {
        match item.value.parse::<SocketAddr>() {
            Ok(address) if address.port() != 0 => name_servers.push(address),
            _ => {
                let what = "expected an address and port such as \"192.0.2.53:53\"";
                reader.fault(item.at, &item.key, what);
            }
        }
    }
    name_servers
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
            host.parse::<Ipv6Addr>().ok()?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        }
        None => {
            let (host, port) = match rest.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            };
            if !is_host(host) {
                return None;
            }
            (host, port)
        }
    };
    let port = match port {
        None if ldaps => 636,
        None => 389,
        // u16 alone would take "+389".
        Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => {
            port.parse().ok().filter(|port| *port != 0)?
        }
        Some(_) => return None,
    };
    Some(ServerAddress { host: host.into(), port, ldaps })
}

/// A host name or domain in ASCII, or an IPv4 address. DNS has 253 characters at most, and labels of
/// 63 (RFC 1035, 2.3.4).
fn is_host(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_with_the_ports_of_their_schemes() {
        for (text, written) in [
            ("ldap://dc1.example.org", "ldap://dc1.example.org:389"),
            ("ldaps://dc1.example.org", "ldaps://dc1.example.org:636"),
            ("ldaps://dc1.example.org/", "ldaps://dc1.example.org:636"),
            ("ldaps://dc1.example.org.", "ldaps://dc1.example.org.:636"),
            ("ldap://dc1.example.org:1", "ldap://dc1.example.org:1"),
            ("ldaps://dc1.example.org:65535", "ldaps://dc1.example.org:65535"),
            ("ldap://192.0.2.1", "ldap://192.0.2.1:389"),
            ("ldap://[2001:db8::1]", "ldap://[2001:db8::1]:389"),
            ("ldaps://[::1]:1636", "ldaps://[::1]:1636"),
        ] {
            let server = parse_server(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(server.to_string(), written);
        }
    }

    #[test]
    fn what_is_no_server_is_refused() {
        for text in [
            "",
            "dc1.example.org",
            "ldapi:///run/ldapi",
            "ldap://",
            "ldap:///",
            "ldap://:389",
            "ldap://dc1:",
            "ldap://dc1:0",
            "ldap://dc1:65536",
            "ldap://dc1:+389",
            "ldap://dc1:389:389",
            "ldap://2001:db8::1",
            "ldap://[dc1]",
            "ldap://[::1",
            "ldap://[::1]389",
            "ldap://dc1/dc=example,dc=org",
            "ldap://dc1?uid",
            "ldap://gatepost@dc1",
            "ldap://dc1 ",
            "ldap://dc..org",
            "ldap://-dc1",
            "ldap://dc1-",
            "ldap://bücher.example",
        ] {
            assert_eq!(parse_server(text), None, "{text}");
        }
    }

    #[test]
    fn a_label_has_63_characters_at_most_and_a_name_253() {
        let label = "a".repeat(63);
        assert!(is_host(&label) && !is_host(&format!("{label}a")));
        let name = [&label[..], &label, &label, &label[..61]].join(".");
        assert_eq!(name.len(), 253);
        assert!(is_host(&name) && is_host(&format!("{name}.")) && !is_host(&format!("{name}a")));
    }
}
