//! `[directory.ldap.bind]`

use std::path::{Path, PathBuf};

use crate::config::ldap::warn_of_readers;
use crate::directory::ldap::schema::Kind;
use crate::directory::ldap::settings::{Bind, Tls};
use crate::directory::ldap::{Dn, read_password};
use crate::settings::{Reader, Table};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    Simple,
    External,
    Gssapi,
    Anonymous,
}

/// `tls`: as it was read, and its table.
pub(super) fn read_bind(
    reader: &mut Reader,
    table: &mut Table<'_, '_>,
    folder: &Path,
    kind: Kind,
    (tls, tls_table): (&Tls, &Table),
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
    let (at, key) = (table.place("method"), table.key("method"));
    let bind = match method {
        Method::Simple => {
            let dn = read_dn(reader, &mut table, kind);
            let password_file = read_password_file(reader, &mut table, folder);
            if tls.insecure_plaintext {
                let what = "\"simple\" with insecure-plaintext: the password goes over the wire in the clear";
                reader.warn(at, &key, what);
            }
            dn.zip(password_file).map(|(dn, password_file)| Bind::Simple { dn, password_file })
        }
        Method::External => {
            if tls_table.is_absent("client-certificate") {
                let what = "\"external\" needs tls.client-certificate and tls.client-key";
                reader.fault(at, &key, what);
            }
            Some(Bind::External)
        }
        Method::Gssapi => {
            if !cfg!(feature = "gssapi") {
                let what = "this gatepost was built without GSSAPI (cargo build --features gssapi)";
                reader.fault(at, &key, what);
            }
            Some(Bind::Gssapi)
        }
        Method::Anonymous => {
            let what = "\"anonymous\": most directories show little to whoever does not bind";
            reader.warn(at, &key, what);
            Some(Bind::Anonymous)
        }
    };
    if method != Method::Simple {
        for key in ["dn", "password-file"] {
            if let Some(item) = table.text(reader, key) {
                reader.fault(item.at, &item.key, "only method = \"simple\" has it");
            }
        }
    }
    table.finish(reader);
    bind
}

/// Active Directory takes a user principal name and `DOMAIN\user` as well (MS-ADTS 5.1.1.1.1).
fn read_dn(reader: &mut Reader, table: &mut Table<'_, '_>, kind: Kind) -> Option<String> {
    let form =
        "the DN that gatepost binds as, such as \"CN=gatepost,OU=Services,DC=example,DC=org\"";
    let item = table.required(reader, "dn", form)?;
    let is_expected = match kind {
        Kind::ActiveDirectory | Kind::Custom => !item.value.trim().is_empty(),
        Kind::Freeipa | Kind::Rfc2307bis => {
            Dn::parse(&item.value).is_some_and(|dn| !dn.as_str().is_empty())
        }
    };
    if !is_expected {
        reader.refuse(&item, &format!("expected {form}"));
    }
    is_expected.then_some(item.value)
}

/// What has no password now would fail at every bind.
fn read_password_file(
    reader: &mut Reader,
    table: &mut Table<'_, '_>,
    folder: &Path,
) -> Option<PathBuf> {
    let item = table.required(reader, "password-file", "the path of a file with its password")?;
    let path = folder.join(&item.value);
    match read_password(&path) {
        Ok(_) => {
            warn_of_readers(reader, &item, &path);
            Some(path)
        }
        Err(what) => {
            reader.fault(item.at, &item.key, what);
            None
        }
    }
}
