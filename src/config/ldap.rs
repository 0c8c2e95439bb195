//! `[directory.ldap]` and the tables below it.

mod bind;
mod schema;
mod servers;
mod tls;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use crate::config::ldap::bind::read_bind;
use crate::config::ldap::schema::read_schema;
use crate::config::ldap::servers::{parse_domain, read_servers};
use crate::config::ldap::tls::{check_plaintext, read_tls};
use crate::directory::ldap::Dn;
use crate::directory::ldap::schema::Kind;
use crate::directory::ldap::settings::{Bind, Settings, WAIT};
use crate::settings::{Item, Reader, Table, duration};

const SHORTEST_TIMEOUT: Duration = Duration::from_millis(50);

/// The engine waits 2 s for a lookup; in that time a second server must have its turn.
const LONGEST_TIMEOUT: Duration = Duration::from_millis(1500);

pub(super) fn read_ldap(
    reader: &mut Reader,
    mut table: Table<'_, '_>,
    folder: &Path,
) -> Option<Settings> {
    let mut tls_table = table.table(reader, "tls");
    let tls = read_tls(reader, &mut tls_table, folder);
    let schema = read_schema(reader, &mut table);
    let bind = read_bind(reader, &mut table, folder, schema.kind, (&tls, &tls_table));
    // GSSAPI seals what it sends by itself.
    let is_sealed = bind == Some(Bind::Gssapi);
    let is_plain_allowed = tls.starttls || tls.insecure_plaintext || is_sealed;
    let servers = read_servers(reader, &mut table, is_plain_allowed);
    check_plaintext(reader, &tls_table, &tls, servers.as_ref());
    tls_table.finish(reader);
    let bases = read_bases(reader, &mut table);
    let realm = match (&bases, schema.kind) {
        (Some((base, _)), Kind::ActiveDirectory) => domain_of(base),
        _ => None,
    };
    let realms = table.all_parsed(reader, "realms", realm.as_slice(), realm_name);
    let netbios = table.all_parsed(reader, "netbios", &[], netbios_name);
    let connections = table.number(reader, "connections", 4, 1..=32);
    let timeout = table.parsed(reader, "timeout", "800ms", timeout);
    table.finish(reader);
    let (base, group_base) = bases?;
    Some(Settings {
        servers: servers?,
        tls,
        bind: bind?,
        base,
        group_base,
        schema,
        realms,
        netbios,
        connections,
        timeout,
        wait: WAIT,
    })
}

/// `base` and `group-base`.
fn read_bases(reader: &mut Reader, table: &mut Table<'_, '_>) -> Option<(String, String)> {
    let form = format!("the DN below which accounts are, {SUCH_AS}");
    let base = table.required(reader, "base", &form);
    let default = base.as_ref().map_or("", |item| &item.value);
    let group_base = table.text_or(reader, "group-base", default);
    let base = base.and_then(|item| checked_dn(reader, &item));
    let group_base = match group_base {
        Some(item) => checked_dn(reader, &item),
        None => base.clone(),
    };
    base.zip(group_base)
}

const SUCH_AS: &str = "such as \"DC=example,DC=org\"";

/// As it is written; not the root, which few servers let anybody search.
fn checked_dn(reader: &mut Reader, item: &Item<String>) -> Option<String> {
    let is_dn = Dn::parse(&item.value).is_some_and(|dn| !dn.as_str().is_empty());
    if !is_dn {
        reader.refuse(item, &format!("expected a DN, {SUCH_AS}"));
    }
    is_dn.then(|| item.value.clone())
}

/// `OU=Staff,DC=example,DC=org` is in the domain example.org (RFC 2247).
fn domain_of(base: &str) -> Option<String> {
    let dn = Dn::parse(base)?;
    let label = |rdn| -> Option<&str> { str::strip_prefix(rdn, "dc=") };
    let mut labels: Vec<&str> = dn.as_str().rsplit(',').map_while(label).collect();
    labels.reverse();
    let domain = labels.join(".");
    parse_domain(&domain).is_ok().then_some(domain)
}

/// Folded, as logins are compared.
fn realm_name(text: &str) -> Result<Box<str>, String> {
    parse_domain(text).map(|_| text.to_lowercase().into())
}

/// Folded, as logins are compared.
fn netbios_name(text: &str) -> Result<Box<str>, String> {
    if text.trim().is_empty() || text.contains(['\\', '@', '.']) {
        return Err("expected the NetBIOS name of a domain, such as \"EXAMPLE\"".into());
    }
    Ok(text.to_lowercase().into())
}

fn timeout(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        found if (SHORTEST_TIMEOUT..=LONGEST_TIMEOUT).contains(&found) => Ok(found),
        _ => Err(
            "expected 50ms to 1500ms: a lookup has 2s, in which a second server must have its turn"
                .into(),
        ),
    }
}

/// Tells of a secret that everybody on this machine can read.
pub(super) fn warn_of_readers(reader: &mut Reader, item: &Item<String>, path: &Path) {
    if std::fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o004 != 0) {
        let path = path.display();
        let what = format!(
            "{path}: everybody on this machine may read it; better chown root:gatepost and chmod 0640"
        );
        reader.warn(item.at, &item.key, what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DirectorySource, parse};
    use crate::directory::ldap::schema::Schema;
    use crate::directory::ldap::settings::Servers;
    use crate::settings::Fault;

    /// Reads `[directory.ldap]` with these keys in it and in its `tls`.
    fn read(keys: &str, tls: &str) -> Result<Settings, Vec<Fault>> {
        let text = format!(
            "[directory]\ntype = \"ldap\"\n[directory.ldap]\n{keys}\n\
             [directory.ldap.bind]\nmethod = \"anonymous\"\n[directory.ldap.tls]\n{tls}\n"
        );
        match parse("gatepost.toml", &text, Path::new(""), "mx1")?.startup.directory {
            Some(DirectorySource::Ldap { ldap, .. }) => Ok(*ldap),
            _ => panic!("not by LDAP"),
        }
    }

    fn with(keys: &str) -> Settings {
        let needed = "servers = [\"ldaps://dc1\"]\nschema = \"active-directory\"\n";
        let base = if keys.starts_with("base") { "" } else { "base = \"DC=example,DC=org\"\n" };
        read(&format!("{needed}{base}{keys}"), "").unwrap_or_else(|faults| panic!("{faults:?}"))
    }

    #[test]
    fn the_edges_of_the_ranges_are_allowed() {
        for (keys, connections, ms) in [
            ("", 4, 800),
            ("connections = 1\ntimeout = \"50ms\"", 1, 50),
            ("connections = 32\ntimeout = \"1500ms\"", 32, 1500),
            ("timeout = \"1s\"", 4, 1000),
        ] {
            let read = with(keys);
            let expected = (connections, Duration::from_millis(ms));
            assert_eq!((read.connections, read.timeout), expected, "{keys}");
        }
    }

    #[test]
    fn the_domain_of_the_base_is_a_realm_of_active_directory_alone() {
        for (base, realms) in [
            ("DC=Example,DC=org", &["example.org"][..]),
            ("OU=Staff, dc=example , dc=org", &["example.org"]),
            (r"OU=Foo\\, DC=far,DC=example,DC=org", &["example.org"]),
            ("O=Example", &[]),
        ] {
            let read = with(&format!("base = \"{base}\""));
            assert_eq!(read.realms.iter().map(|realm| &**realm).collect::<Vec<_>>(), realms);
            assert_eq!(read.group_base, read.base);
        }
        let unix =
            "servers = [\"ldaps://dc1\"]\nschema = \"freeipa\"\nbase = \"dc=example,dc=org\"";
        assert!(read(unix, "").expect("no fault").realms.is_empty());
    }

    #[test]
    fn what_is_given_takes_the_place_of_the_defaults() {
        let read = with(
            "realms = [\"FAR.test\", \"EXAMPLE.ORG\"]\nnetbios = [\"FAR\"]\n\
             group-base = \"OU=Groups,DC=example,DC=org\"\nlogin-forms = [\"1.2.3\"]\n\
             user-filter = \"(objectClass=person)\"\n\
             [directory.ldap.attributes]\nid = \"\"\naddresses = []\nmember-of = \"isMemberOf\"",
        );
        assert_eq!(read.realms, ["far.test".into(), "example.org".into()]);
        assert_eq!(read.netbios, ["far".into()]);
        assert_eq!(read.group_base, "OU=Groups,DC=example,DC=org");
        let expected = Schema {
            login_forms: vec!["1.2.3".into()],
            user_filter: "(objectClass=person)".into(),
            id: String::new(),
            addresses: Vec::new(),
            member_of: "isMemberOf".into(),
            ..Schema::of(Kind::ActiveDirectory)
        };
        assert_eq!(read.schema, expected);
    }

    #[test]
    fn discovered_servers_come_by_starttls_from_the_name_servers_given() {
        let base = "schema = \"active-directory\"\nbase = \"DC=example,DC=org\"\n";
        let discover =
            "discover = \"example.org\"\nname-servers = [\"127.0.0.1:53\", \"[::1]:1053\"]\n";
        let read = read(&format!("{base}{discover}"), "starttls = true\n").expect("no fault");
        let name_servers = ["127.0.0.1:53", "[::1]:1053"].map(|text| text.parse().expect(text));
        let expected =
            Servers::Discovered { domain: "example.org".into(), name_servers: name_servers.into() };
        assert_eq!(read.servers, expected);
        assert!(read.tls.starttls && !read.tls.insecure_plaintext);
    }

    #[test]
    fn one_server_without_tls_is_enough_for_starttls() {
        let keys =
            "servers = [\"ldaps://dc1\", \"ldap://dc2\"]\nschema = \"custom\"\nbase = \"o=x\"\n";
        let read = read(keys, "starttls = true\n").expect("no fault");
        let Servers::Listed(servers) = read.servers else { panic!("not listed") };
        let servers: Vec<String> = servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["ldaps://dc1:636", "ldap://dc2:389"]);
    }

    #[test]
    fn the_domain_of_a_base_is_that_of_its_last_parts() {
        for (base, domain) in [
            ("DC=example,DC=org", Some("example.org")),
            ("dc=Example , dc=ORG", Some("example.org")),
            ("OU=Staff,DC=ad,DC=example,DC=org", Some("ad.example.org")),
            ("DC=lab,OU=Staff,DC=example,DC=org", Some("example.org")),
            (r"OU=a\,DC=b,DC=example,DC=org", Some("example.org")),
            ("O=example", None),
            ("DC=example,DC=org,O=example", None),
            ("DC=a+OU=b", None),
            ("DC=two words,DC=org", None),
            ("DC=,DC=org", None),
            ("DC", None),
            ("", None),
        ] {
            assert_eq!(domain_of(base).as_deref(), domain, "{base}");
        }
    }
}
