//! `[directory.ldap]` and the tables below it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::directory::{Kind, existing, warn_of_other};
use crate::config::ldap_servers::read_servers;
use crate::directory::ldap::schema::{self, Schema};
use crate::directory::ldap::settings::{Bind, Settings, Tls, WAIT};
use crate::settings::{Item, Reader, Table, duration};

/// The engine waits 2 s for a lookup; in that time a second server must have its turn.
const LONGEST_TIMEOUT: Duration = Duration::from_millis(1500);

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
    let base = read_base(reader, &mut table);
    let group_base = table.text_or(reader, "group-base", base.as_deref().unwrap_or(""));
    let group_base = group_base.map(|item| item.value).or_else(|| base.clone());
    read_filters(reader, &mut table, &mut schema);
    read_names(reader, &mut table, "names", &mut schema.names);
    read_names(reader, &mut table, "login-forms", &mut schema.login_forms);
    let realm = match family {
        Some(schema::Kind::ActiveDirectory) => base.as_deref().and_then(domain_of),
        _ => None,
    };
    let realms = read_folded(reader, &mut table, "realms", realm);
    let netbios = read_folded(reader, &mut table, "netbios", None);
    let connections = table.number(reader, "connections", 4, 1..=32);
    let timeout = table.parsed(reader, "timeout", "800ms", |text| match duration(text)? {
        found if (Duration::from_millis(50)..=LONGEST_TIMEOUT).contains(&found) => Ok(found),
        _ => Err(
            "expected 50ms to 1500ms: a lookup has 2s, in which a second server must have its turn"
                .into(),
        ),
    });
    read_attributes(reader, &mut table, &mut schema);
    let tls = read_tls(reader, &mut table, is_wanted, folder);
    let bind = read_bind(reader, &mut table, is_wanted, folder, &tls);
    let is_sealed = bind == Some(Bind::Gssapi);
    let servers = read_servers(reader, &mut table, is_wanted, &tls, is_sealed);
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

fn read_base(reader: &mut Reader, table: &mut Table<'_, '_>) -> Option<String> {
    let form = "the DN below which accounts are, such as \"DC=example,DC=org\"";
    let item = table.required(reader, "base", form)?;
    if !item.value.contains('=') {
        reader.fault(item.at, &item.key, format!("expected {form}"));
        return None;
    }
    Some(item.value)
}

/// `DC=example,DC=org` is the domain example.org.
fn domain_of(base: &str) -> Option<String> {
    let parts = base.split(',').map(|part| part.trim().split_once('='));
    let names: Option<Vec<&str>> = parts
        .map(|part| part.and_then(|(kind, name)| kind.eq_ignore_ascii_case("dc").then_some(name)))
        .collect();
    names.map(|names| names.join(".").to_lowercase())
}

fn read_filters(reader: &mut Reader, table: &mut Table<'_, '_>, schema: &mut Schema) {
    let filter = |text: &str| {
        if text.starts_with('(') && ldap3::parse_filter(text).is_ok() {
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

/// An attribute, or an OID; empty means none.
fn attribute(text: &str) -> Result<String, String> {
    let is_name = text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
    if is_name || text.is_empty() {
        Ok(text.into())
    } else {
        Err("expected the name of an attribute, such as \"mail\"".into())
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
        match attribute(&item.value) {
            Ok(name) if !name.is_empty() => names.push(name),
            _ => {
                let what = "expected the name of an attribute, such as \"mail\"";
                reader.fault(item.at, &item.key, what);
            }
        }
    }
}

fn read_folded(
    reader: &mut Reader,
    table: &mut Table<'_, '_>,
    key: &'static str,
    default: Option<String>,
) -> Vec<Box<str>> {
    let is_absent = table.is_absent(key);
    let shown = default.as_ref().map_or("[]".into(), |name| format!("[\"{name}\"]"));
    let items = table.texts_or(reader, key, &shown);
    if is_absent {
        return default.into_iter().map(Into::into).collect();
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
            "true: everybody on the way can read what the directory says, and forge who may send",
        );
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

fn read_bind(
    reader: &mut Reader,
    table: &mut Table<'_, '_>,
    is_wanted: bool,
    folder: &Path,
    tls: &Tls,
) -> Option<Bind> {
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
            let dn = table.required(reader, "dn", "the DN that gatepost binds as");
            let file =
                table.required(reader, "password-file", "the path of a file with its password");
            let file = match (file, is_wanted) {
                (Some(item), true) => password_file(reader, &item, folder),
                (Some(item), false) => Some(folder.join(item.value)),
                (None, _) => None,
            };
            if tls.insecure_plaintext {
                reader.warn(at.0, &at.1, "\"simple\" with insecure-plaintext: the password goes over the wire in the clear");
            }
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
    bind
}

/// The file of the password: there, not empty, and nobody else's to read.
fn password_file(reader: &mut Reader, item: &Item<String>, folder: &Path) -> Option<PathBuf> {
    let path = existing(reader, item, folder)?;
    match std::fs::metadata(&path) {
        Ok(metadata) if metadata.len() == 0 => {
            let what = format!(
                "{}: empty; an empty password binds as nobody (RFC 4513, 5.1.2)",
                path.display()
            );
            reader.fault(item.at, &item.key, what);
            return None;
        }
        Ok(metadata) if metadata.permissions().mode() & 0o004 != 0 => {
            let what = format!("{}: everybody on this machine may read it", path.display());
            reader.warn(item.at, &item.key, what);
        }
        _ => {}
    }
    Some(path)
}
