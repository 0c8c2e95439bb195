//! `[directory.ldap.tls]`

use std::path::{Path, PathBuf};

use crate::config::ldap::warn_of_readers;
use crate::directory::ldap::settings::{Servers, Tls};
use crate::directory::ldap::{authorities, certificates, identity, private_key};
use crate::settings::{Item, Reader, Table};

pub(super) fn read_tls(reader: &mut Reader, table: &mut Table<'_, '_>, folder: &Path) -> Tls {
    let starttls = table.flag(reader, "starttls", false);
    let insecure_plaintext = table.flag(reader, "insecure-plaintext", false);
    let ca_file = table.text(reader, "ca-file").map(|item| {
        let path = folder.join(&item.value);
        looked_into(reader, &item, authorities(&path));
        path
    });
    let client = read_client(reader, table, folder);
    Tls { starttls, insecure_plaintext, ca_file, client }
}

/// The client certificate and its key; the paths also where they have faults.
fn read_client(
    reader: &mut Reader,
    table: &mut Table<'_, '_>,
    folder: &Path,
) -> Option<(PathBuf, PathBuf)> {
    let certificate = table.text(reader, "client-certificate");
    let key = table.text(reader, "client-key");
    let (certificate, key) = match (certificate, key) {
        (Some(certificate), Some(key)) => (certificate, key),
        (alone, other) => {
            let needed = if alone.is_some() { "client-key" } else { "client-certificate" };
            let alone = alone.or(other)?;
            reader.fault(alone.at, &alone.key, format!("needs {needed} beside it"));
            return None;
        }
    };
    let paths = (folder.join(&certificate.value), folder.join(&key.value));
    let chain = looked_into(reader, &certificate, certificates(&paths.0));
    let private = looked_into(reader, &key, private_key(&paths.1));
    if let Some((chain, private)) = chain.zip(private) {
        let named = |fault| format!("{}: {fault}", paths.1.display());
        looked_into(reader, &key, identity(chain, private).map_err(named));
        warn_of_readers(reader, &key, &paths.1);
    }
    Some(paths)
}

/// What a file that the configuration names holds.
fn looked_into<T>(reader: &mut Reader, item: &Item<String>, found: Result<T, String>) -> Option<T> {
    found.map_err(|what| reader.fault(item.at, &item.key, what)).ok()
}

/// Whether what is said of `ldap://` fits the servers; `None`: they have faults of their own.
pub(super) fn check_plaintext(
    reader: &mut Reader,
    table: &Table,
    tls: &Tls,
    servers: Option<&Servers>,
) {
    let is_plain = match servers {
        None => true,
        Some(Servers::Listed(servers)) => servers.iter().any(|server| !server.ldaps),
        Some(Servers::Discovered { .. }) => true,
    };
    let flags = [("starttls", tls.starttls), ("insecure-plaintext", tls.insecure_plaintext)];
    for (key, _) in flags.into_iter().filter(|(_, is_set)| *is_set && !is_plain) {
        let what = "true, but all servers are ldaps://: TLS is there from the first byte; take it out, or write ldap://";
        reader.fault(table.place(key), &table.key(key), what);
    }
    if !tls.insecure_plaintext || !is_plain {
        return;
    }
    if tls.starttls {
        let what = "true, and insecure-plaintext is true as well; give one of the two";
        reader.fault(table.place("starttls"), &table.key("starttls"), what);
    } else {
        let what = "true: everybody on the way to an ldap:// server can read what it says, and forge who may send";
        reader.warn(table.place("insecure-plaintext"), &table.key("insecure-plaintext"), what);
    }
}
