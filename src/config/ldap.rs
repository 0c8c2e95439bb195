//! `[directory.ldap]` and the tables below it.

use std::io::Read;
use std::ops::RangeInclusive;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::directory::{Kind, existing, warn_of_other};
use crate::config::ldap_servers::read_servers;
use crate::directory::ldap::schema::{self, Schema};
use crate::directory::ldap::settings::{Bind, Servers, Settings, Tls, WAIT};
use crate::directory::ldap::{Dn, is_attribute, is_filter};
use crate::settings::{Item, Reader, Table, duration};

/// The engine waits 2 s for a lookup; in that time a second server must have its turn.
const TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_millis(1500);

pub(super) fn read_ldap(
    reader: &mut Reader,
    directory: &mut Table<'_, '_>,
    kind: Option<Kind>,
    folder: &Path,
) -> Option<Settings> {
    let mut table = directory.table(reader, "ldap");
    let is_wanted = kind == Some(Kind::Ldap);
    if !is_wanted && !table.is_present() {
        // Asked for all the same, so that the tables below it count as known.
        table.finish(reader);
        return None;
    }
    if !is_wanted {
        warn_of_other(reader, &table, "file");
    }
    let kinds = schema::Kind::ALL.map(|kind| (kind.as_str(), kind));
    let family = table.required_choice(reader, "schema", &kinds);
    let mut schema = Schema::of(family.unwrap_or(schema::Kind::Rfc2307bis));
    let base = table.required(
        reader,
        "base",
        "the DN below which accounts are, such as \"DC=example,DC=org\"",
    );
    let base = base.and_then(|item| dn(reader, item));
    let group_base = table.text_or(reader, "group-base", base.as_deref().unwrap_or(""));
    let group_base = group_base.map_or_else(|| base.clone(), |item| dn(reader, item));
    read_filters(reader, &mut table, &mut schema);
    read_names(reader, &mut table, "names", &mut schema.names);
    read_names(reader, &mut table, "login-forms", &mut schema.login_forms);
    if table.is_empty_array("login-forms") {
        let what = "empty: no login would find its account";
        reader.fault(table.place("login-forms"), &table.key("login-forms"), what);
    }
    let realm = match family {
        Some(schema::Kind::ActiveDirectory) => base.as_deref().and_then(domain_of),
        _ => None,
    };
    let realms =
        read_folded(reader, &mut table, "realms", "a realm such as \"example.org\"", realm);
    let netbios =
        read_folded(reader, &mut table, "netbios", "a NetBIOS domain such as \"EXAMPLE\"", None);
    let connections = table.number(reader, "connections", 4, 1..=32);
    let timeout = table.parsed(reader, "timeout", "800ms", |text| {
        let allowed = duration(text).ok().filter(|timeout| TIMEOUTS.contains(timeout));
        allowed.ok_or_else(|| {
            "expected 50ms to 1500ms: a lookup has 2s, in which a second server must have its turn"
                .into()
        })
    });
    read_attributes(reader, &mut table, &mut schema);
    let tls = read_tls(reader, &mut table, is_wanted, folder);
    let (bind, method) = read_bind(reader, &mut table, is_wanted, folder, &tls);
    let is_sealed = bind == Some(Bind::Gssapi);
    let servers = read_servers(reader, &mut table, is_wanted, &tls, is_sealed);
    if matches!(bind, Some(Bind::Simple { .. }))
        && servers.as_ref().is_some_and(|servers| goes_plain(servers, &tls))
    {
        let what =
            "\"simple\" with insecure-plaintext: the password goes over the wire in the clear";
        reader.warn(method.0, &method.1, what);
    }
    table.finish(reader);
    Some(Settings {
        servers: servers?,
        tls,
        bind: bind?,
        base: base?,
        group_base: group_base?,
        schema,
        realms,
        netbios,
        connections,
        timeout,
        wait: WAIT,
    })
}

/// A DN as it is written. The empty one would be the root, below which AD finds nothing.
fn dn(reader: &mut Reader, item: Item<String>) -> Option<String> {
    match Dn::parse(&item.value) {
        Some(dn) if !dn.as_str().is_empty() => Some(item.value),
        _ => {
            let what = "expected a DN such as \"DC=example,DC=org\" (RFC 4514)";
            reader.fault(item.at, &item.key, what);
            None
        }
    }
}

/// `OU=Staff,DC=example,DC=org` is in the domain example.org.
fn domain_of(base: &str) -> Option<String> {
    let dn = Dn::parse(base)?;
    // A comma inside a value is not written as one.
    let labels = dn.as_str().split(',').filter_map(|rdn| rdn.strip_prefix("dc="));
    let domain = labels.collect::<Vec<_>>().join(".");
    (!domain.is_empty()).then_some(domain)
}

fn read_filters(reader: &mut Reader, table: &mut Table<'_, '_>, schema: &mut Schema) {
    let filter = |text: &str| {
        if is_filter(text) {
            Ok(text.to_string())
        } else {
            Err("expected a filter of RFC 4515, such as \"(objectClass=person)\"".into())
        }
    };
    for (key, of) in [
        ("user-filter", &mut schema.user_filter),
        ("group-filter", &mut schema.group_filter),
        ("recipient-filter", &mut schema.recipient_filter),
    ] {
        *of = table.parsed(reader, key, &of.clone(), filter);
    }
}

const ATTRIBUTE: &str = "expected the name of an attribute such as \"mail\", or its OID";

/// An attribute, or an OID; empty means none.
fn attribute(text: &str) -> Result<String, String> {
    if text.is_empty() || is_attribute(text) {
        Ok(text.into())
    } else {
        Err(format!("{ATTRIBUTE}; \"\": none"))
    }
}

fn read_names(
    reader: &mut Reader,
    table: &mut Table<'_, '_>,
    key: &'static str,
    names: &mut Vec<String>,
) {
    let is_absent = table.is_absent(key);
    let default = format!("{names:?}");
    let items = table.texts_or(reader, key, &default);
    if is_absent {
        return;
    }
    names.clear();
    for item in items {
        if is_attribute(&item.value) {
            names.push(item.value);
        } else {
            reader.fault(item.at, &item.key, ATTRIBUTE);
        }
    }
}

fn read_folded(
    reader: &mut Reader,
    table: &mut Table<'_, '_>,
    key: &'static str,
    form: &str,
    default: Option<String>,
) -> Vec<Box<str>> {
    let is_absent = table.is_absent(key);
    let shown = default.as_ref().map_or("[]".into(), |name| format!("[\"{name}\"]"));
    let items = table.texts_or(reader, key, &shown);
    if is_absent {
        return default.into_iter().map(Into::into).collect();
    }
    for item in items.iter().filter(|item| item.value.trim().is_empty()) {
        reader.fault(item.at, &item.key, format!("expected {form}"));
    }
    items.into_iter().map(|item| item.value.to_lowercase().into()).collect()
}

fn read_attributes(reader: &mut Reader, table: &mut Table<'_, '_>, schema: &mut Schema) {
    let mut table = table.table(reader, "attributes");
    for (key, of) in [
        ("id", &mut schema.id),
        ("member-of", &mut schema.member_of),
        ("authenticated-only", &mut schema.authenticated_only),
        ("accept-from", &mut schema.accept_from),
        ("accept-from-groups", &mut schema.accept_from_groups),
        ("reject-from", &mut schema.reject_from),
        ("reject-from-groups", &mut schema.reject_from_groups),
    ] {
        *of = table.parsed(reader, key, &of.clone(), attribute);
    }
    for (key, of) in [
        ("addresses", &mut schema.addresses),
        ("group-names", &mut schema.group_names),
        ("members", &mut schema.members),
        ("member-logins", &mut schema.member_logins),
        ("disabled", &mut schema.disabled),
        ("expires", &mut schema.expires),
        ("locked", &mut schema.locked),
        ("password-set", &mut schema.password_set),
    ] {
        read_names(reader, &mut table, key, of);
    }
    table.finish(reader);
}

fn read_tls(reader: &mut Reader, table: &mut Table<'_, '_>, is_wanted: bool, folder: &Path) -> Tls {
    let mut table = table.table(reader, "tls");
    let starttls = table.flag(reader, "starttls", false);
    let insecure_plaintext = table.flag(reader, "insecure-plaintext", false);
    if insecure_plaintext {
        reader.warn(
            table.place("insecure-plaintext"),
            &table.key("insecure-plaintext"),
            "true: everybody on the way to an ldap:// server can read what it says, and forge who may send",
        );
    }
    if starttls && insecure_plaintext {
        let what = "true, and insecure-plaintext is true as well; give one of the two";
        reader.fault(table.place("starttls"), &table.key("starttls"), what);
    }
    let mut file = |reader: &mut Reader, key: &'static str| -> Option<PathBuf> {
        let item = table.text(reader, key)?;
        if is_wanted { existing(reader, &item, folder) } else { Some(folder.join(item.value)) }
    };
    let ca_file = file(reader, "ca-file");
    let certificate = file(reader, "client-certificate");
    let key = file(reader, "client-key");
    for (key, other) in [("client-certificate", "client-key"), ("client-key", "client-certificate")]
    {
        if !table.is_absent(key) && table.is_absent(other) {
            reader.fault(table.place(key), &table.key(key), format!("needs {other} beside it"));
        }
    }
    table.finish(reader);
    Tls { starttls, insecure_plaintext, ca_file, client: certificate.zip(key) }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    Simple,
    External,
    Gssapi,
    Anonymous,
}

/// Whether one server at least is asked without TLS.
fn goes_plain(servers: &Servers, tls: &Tls) -> bool {
    let has_plain = match servers {
        Servers::Listed(listed) => listed.iter().any(|server| !server.ldaps),
        Servers::Discovered { .. } => true,
    };
    has_plain && !tls.starttls
}

/// With where the method stands: offset and key.
fn read_bind(
    reader: &mut Reader,
    table: &mut Table<'_, '_>,
    is_wanted: bool,
    folder: &Path,
    tls: &Tls,
) -> (Option<Bind>, (usize, String)) {
    let mut table = table.table(reader, "bind");
    let method = table.choice(
        reader,
        "method",
        "simple",
        &[
            ("simple", Method::Simple),
            ("external", Method::External),
            ("gssapi", Method::Gssapi),
            ("anonymous", Method::Anonymous),
        ],
    );
    let at = (table.place("method"), table.key("method"));
    let bind = match method {
        Method::Simple => {
            let name = "the DN that gatepost binds as";
            let dn = table.required(reader, "dn", name);
            if let Some(dn) = dn.as_ref().filter(|dn| dn.value.trim().is_empty()) {
                reader.fault(dn.at, &dn.key, format!("empty; expected {name}"));
            }
            let file =
                table.required(reader, "password-file", "the path of a file with its password");
            let file = match (file, is_wanted) {
                (Some(item), true) => password_file(reader, &item, folder),
                (Some(item), false) => Some(folder.join(item.value)),
                (None, _) => None,
            };
            dn.zip(file).map(|(dn, password_file)| Bind::Simple { dn: dn.value, password_file })
        }
        Method::External => {
            if tls.client.is_none() && is_wanted {
                reader.fault(
                    at.0,
                    &at.1,
                    "\"external\" needs tls.client-certificate and tls.client-key",
                );
            }
            Some(Bind::External)
        }
        Method::Gssapi => {
            if !cfg!(feature = "gssapi") {
                reader.fault(
                    at.0,
                    &at.1,
                    "this gatepost was built without GSSAPI (cargo build --features gssapi)",
                );
            }
            Some(Bind::Gssapi)
        }
        Method::Anonymous => {
            let what = "\"anonymous\": most directories show little to whoever does not bind";
            reader.warn(at.0, &at.1, what);
            Some(Bind::Anonymous)
        }
    };
    if method != Method::Simple {
        for key in ["dn", "password-file"] {
            // Asked for, so that it counts as known.
            if table.text(reader, key).is_some() {
                reader.fault(table.place(key), &table.key(key), "only method = \"simple\" has it");
            }
        }
    }
    table.finish(reader);
    (bind, at)
}

/// The file of the password: there, with something in its first line, and nobody else's to read.
fn password_file(reader: &mut Reader, item: &Item<String>, folder: &Path) -> Option<PathBuf> {
    let path = existing(reader, item, folder)?;
    let Ok(metadata) = std::fs::metadata(&path) else { return Some(path) };
    if metadata.is_file() && begins_empty(&path) {
        let what = format!(
            "{}: its first line is empty; an empty password binds as nobody (RFC 4513, 5.1.2)",
            path.display()
        );
        reader.fault(item.at, &item.key, what);
        return None;
    }
    if metadata.permissions().mode() & 0o004 != 0 {
        let what = format!("{}: everybody on this machine may read it", path.display());
        reader.warn(item.at, &item.key, what);
    }
    Some(path)
}

/// Whether the first line is empty. One that cannot be read is not: whoever checks a configuration
/// need not be who runs gatepost.
fn begins_empty(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(2).read_to_end(&mut start));
    read.is_ok() && (start.is_empty() || start.starts_with(b"\n") || start == b"\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DirectorySource, parse};
    use crate::settings::Fault;

    /// Reads `[directory.ldap]` with these keys in it and in its `tls`, bound by certificate.
    fn read(keys: &str, tls: &str) -> Result<Settings, Vec<Fault>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad-configs/ldap");
        let client = "client-certificate = \"client.pem\"\nclient-key = \"client.key\"";
        let text = format!(
            "[directory]\ntype = \"ldap\"\n[directory.ldap]\n{keys}\n\
             [directory.ldap.bind]\nmethod = \"external\"\n[directory.ldap.tls]\n{tls}{client}\n"
        );
        match parse("gatepost.toml", &text, &folder, "mx1")?.startup.directory {
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
            ..Schema::of(schema::Kind::ActiveDirectory)
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
}
