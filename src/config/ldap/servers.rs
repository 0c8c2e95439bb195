//! Which LDAP servers there are: `servers`, or `discover` with `name-servers`.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use rustls::pki_types::ServerName;

use crate::config::networks::parse_name;
use crate::directory::ldap::settings::{ServerAddress, Servers};
use crate::settings::{Item, Reader, Table};

const LDAP_PORT: u16 = 389;
const LDAPS_PORT: u16 = 636;
const DNS_PORT: u16 = 53;

/// `is_plain_allowed`: `ldap://` without StartTLS is not a mistake.
pub(super) fn read_servers(
    reader: &mut Reader,
    table: &mut Table<'_, '_>,
    is_plain_allowed: bool,
) -> Option<Servers> {
    let listed = table.texts(reader, "servers");
    let discover = table.text(reader, "discover");
    let name_servers = table.all_parsed(reader, "name-servers", &[], parse_name_server);
    let asks = !table.is_absent("name-servers") && !table.is_empty_array("name-servers");
    if asks && discover.is_none() {
        let what = "only discover needs them";
        reader.fault(table.place("name-servers"), &table.key("name-servers"), what);
    }
    match discover {
        None if table.is_absent("servers") || table.is_empty_array("servers") => {
            let what = "missing; expected servers = [\"ldaps://dc1.example.org\"], or discover = \"example.org\" to find them by DNS";
            reader.fault(table.place("servers"), &table.key("servers"), what);
            None
        }
        None => listed_servers(reader, &listed, is_plain_allowed).map(Servers::Listed),
        Some(item) => {
            if !listed.is_empty() {
                let what = "servers are listed already; give one of the two";
                reader.fault(item.at, &item.key, what);
            } else if !is_plain_allowed {
                let what = "the servers that DNS names are asked by ldap://, here without TLS: set tls.starttls = true, or list them in servers as ldaps://";
                reader.fault(item.at, &item.key, what);
            }
            let domain = parse_domain(&item.value).map_err(|what| reader.refuse(&item, &what));
            Some(Servers::Discovered { domain: domain.ok()?, name_servers })
        }
    }
}

/// `None`: one of them has a fault.
fn listed_servers(
    reader: &mut Reader,
    listed: &[Item<String>],
    is_plain_allowed: bool,
) -> Option<Vec<ServerAddress>> {
    let mut servers: Vec<ServerAddress> = Vec::new();
    for item in listed {
        match parse_server(&item.value) {
            Ok(server) if servers.contains(&server) => {
                reader.fault(item.at, &item.key, format!("{server} is given twice"));
            }
            Ok(server) if !server.ldaps && !is_plain_allowed => {
                let what = "ldap:// without TLS: write ldaps://, or set tls.starttls = true";
                reader.fault(item.at, &item.key, what);
            }
            Ok(server) => servers.push(server),
            Err(what) => reader.refuse(item, &what),
        }
    }
    (servers.len() == listed.len()).then_some(servers)
}

/// A DNS domain.
pub(super) fn parse_domain(text: &str) -> Result<String, String> {
    match parse_name(text) {
        Ok(name) if !name.starts_with(['.', '[']) => Ok(name),
        _ => Err("expected a domain, such as \"example.org\"".into()),
    }
}

/// `192.0.2.53`, `192.0.2.53:5353`, `[2001:db8::53]:53`
fn parse_name_server(text: &str) -> Result<SocketAddr, String> {
    let address = text.parse::<IpAddr>().map(|address| SocketAddr::new(address, DNS_PORT));
    match address.or_else(|_| text.parse()) {
        Ok(address) if address.port() != 0 => Ok(address),
        _ => Err("expected an address such as \"192.0.2.53\", or \"192.0.2.53:5353\" with a port from 1 to 65535".into()),
    }
}

/// `ldaps://host`, `ldap://host:389`, `ldaps://[2001:db8::1]:636`
fn parse_server(text: &str) -> Result<ServerAddress, String> {
    let (ldaps, rest) = match (text.strip_prefix("ldaps://"), text.strip_prefix("ldap://")) {
        (Some(rest), _) => (true, rest),
        (_, Some(rest)) => (false, rest),
        _ => return Err("expected \"ldaps://HOST\" or \"ldap://HOST\", such as \"ldaps://dc1.example.org\"; \":PORT\" may follow".into()),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let bracketed = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (host, port) = match bracketed {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, Some(port.strip_prefix(':').unwrap_or(""))),
        None => match rest.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        },
    };
    // What a certificate can be held against (RFC 6125).
    let is_host = match bracketed {
        Some(_) => host.parse::<Ipv6Addr>().is_ok(),
        None => ServerName::try_from(host).is_ok(),
    };
    if !is_host {
        return Err("expected a host name or address, without a path or a base; an IPv6 address in brackets: \"ldaps://[2001:db8::1]\"".into());
    }
    let port = match port {
        None if ldaps => LDAPS_PORT,
        None => LDAP_PORT,
        Some(port) => parse_port(port).ok_or_else(|| match port.contains(':') {
            true => "expected a port from 1 to 65535; an IPv6 address stands in brackets: \"ldaps://[2001:db8::1]\"",
            false => "expected a port from 1 to 65535",
        })?,
    };
    Ok(ServerAddress { host: host.to_ascii_lowercase(), port, ldaps })
}

fn parse_port(text: &str) -> Option<u16> {
    let is_number = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|port| is_number && *port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_and_written_alike() {
        for (text, written) in [
            ("ldaps://dc1.example.org", "ldaps://dc1.example.org:636"),
            ("ldap://dc1.example.org", "ldap://dc1.example.org:389"),
            ("ldap://dc1:389/", "ldap://dc1:389"),
            ("ldaps://dc1.example.org:1", "ldaps://dc1.example.org:1"),
            ("ldaps://dc1.example.org:65535", "ldaps://dc1.example.org:65535"),
            ("ldaps://DC1.Example.ORG:636", "ldaps://dc1.example.org:636"),
            ("ldaps://192.0.2.1:3269", "ldaps://192.0.2.1:3269"),
            ("ldaps://[2001:db8::1]", "ldaps://[2001:db8::1]:636"),
            ("ldap://[2001:db8::1]:3268", "ldap://[2001:db8::1]:3268"),
            ("ldaps://dc_1.example.org", "ldaps://dc_1.example.org:636"),
        ] {
            let server = parse_server(text).expect(text);
            assert_eq!(server.to_string(), written);
            assert_eq!(parse_server(written), Ok(server));
        }
    }

    #[test]
    fn what_is_no_server_is_refused() {
        for (what, texts) in [
            (
                "\"ldaps://HOST\"",
                &["", "dc1.example.org", "LDAPS://dc1", "ldapi:///", "http://dc1", "ldaps:/dc1"][..],
            ),
            (
                "a host",
                &[
                    "ldaps://",
                    "ldaps://:636",
                    "ldaps://dc1.example.org/dc=example,dc=org",
                    "ldaps://dc1.example.org ldaps://dc2.example.org",
                    "ldaps://gatepost@dc1.example.org",
                    "ldaps://dc1..example.org",
                    "ldaps://192.0.2.300",
                    "ldaps://dc1.exämple.org",
                    "ldaps://[]",
                    "ldaps://[dc1]",
                    "ldaps://[192.0.2.1]",
                    "ldaps://2001:db8::1",
                    "ldaps://[2001:db8::1",
                    "ldaps://[fe80::1%eth0]",
                ],
            ),
            (
                "a port",
                &[
                    "ldaps://dc1:0",
                    "ldaps://dc1:65536",
                    "ldaps://dc1:",
                    "ldaps://dc1:+636",
                    "ldaps://dc1:636/dc=example",
                    "ldaps://[2001:db8::1]636",
                    // A port, to whoever reads from the left.
                    "ldaps://fe80::1",
                ],
            ),
        ] {
            for text in texts {
                let told = parse_server(text).expect_err(text);
                assert!(told.starts_with(&format!("expected {what}")), "{text}: {told}");
            }
        }
    }

    #[test]
    fn a_name_server_has_port_53_unless_it_names_one() {
        for (text, read) in [
            ("192.0.2.53", Some("192.0.2.53:53")),
            ("192.0.2.53:5353", Some("192.0.2.53:5353")),
            ("2001:db8::53", Some("[2001:db8::53]:53")),
            ("[2001:db8::53]:5353", Some("[2001:db8::53]:5353")),
            ("192.0.2.53:0", None),
            ("192.0.2.53:65536", None),
            ("ns1.example.org", None),
            ("", None),
        ] {
            let read = read.map(|address| address.parse().expect("an address"));
            assert_eq!(parse_name_server(text).ok(), read, "{text}");
        }
    }
}
