//! `[[action]]`: who is told of what happens, and how.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::http::uri::Authority;
use rustls::pki_types::ServerName;

use crate::action::mail::Security;
use crate::action::webhook::{Url, read_secret};
use crate::action::{Settings, Wants, What, command, directory, mail, webhook};
use crate::config::DirectorySource;
use crate::config::ldap::warn_of_readers;
use crate::directory::ldap::{Dn, authorities, is_attribute, read_password};
use crate::record::NoticeKind;
use crate::settings::{Item, Reader, Table, duration};

/// Of which an action hears that does not say so.
const EVENTS: [NoticeKind; 5] = [
    NoticeKind::Suspended,
    NoticeKind::Released,
    NoticeKind::Expired,
    NoticeKind::Escalated,
    NoticeKind::BreakerOpened,
];

/// Standard Webhooks 1.0 wants 15 to 30 s at most; nobody whom an alert shall reach should need so long.
const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(5);

const LONGEST_COMMAND: Duration = Duration::from_secs(300);

const LONGEST_NAME: usize = 32;

/// After so long an event is no news, and after a shorter time than the first many servers are not up again.
const GIVE_UP: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(30 * 86_400));

#[derive(Clone, Copy)]
enum Type {
    Webhook,
    Mail,
    Command,
    Directory,
}

const TYPES: [(&str, Type); 4] = [
    ("webhook", Type::Webhook),
    ("mail", Type::Mail),
    ("command", Type::Command),
    ("directory", Type::Directory),
];

/// `node` is `server.name`, `source` what `[directory]` says.
pub(super) fn read_actions(
    reader: &mut Reader,
    root: &mut Table<'_, '_>,
    folder: &Path,
    node: &str,
    source: Option<&DirectorySource>,
) -> Vec<Settings> {
    let mut actions: Vec<Settings> = Vec::new();
    for mut table in root.tables(reader, "action") {
        let name = read_name(reader, &mut table, &actions);
        let kind = table.required_choice(reader, "type", &TYPES);
        let events = EVENTS.map(|kind| kind.as_str().to_string());
        let events = table.all_parsed(reader, "events", &events, parse_event);
        let observe = table.flag(reader, "observe", false);
        let give_up_after = table.parsed(reader, "give-up-after", "3d", parse_give_up);
        let Some(kind) = kind else { continue };
        let what = match kind {
            Type::Webhook => read_webhook(reader, &mut table, folder).map(What::Webhook),
            Type::Mail => read_mail(reader, &mut table, folder, node).map(What::Mail),
            Type::Command => read_command(reader, &mut table).map(What::Command),
            Type::Directory => read_group(reader, &mut table, folder, source).map(What::Directory),
        };
        table.finish(reader);
        if let Some((name, what)) = name.zip(what) {
            let wants = Wants { events, observe };
            actions.push(Settings { name, wants, give_up_after, what });
        }
    }
    actions
}

fn read_name(
    reader: &mut Reader,
    table: &mut Table<'_, '_>,
    earlier: &[Settings],
) -> Option<Box<str>> {
    let form = "a name of its own, such as \"postmaster\"";
    let item = table.required(reader, "name", form)?;
    let is_name = (1..=LONGEST_NAME).contains(&item.value.len())
        && item.value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !is_name {
        reader.refuse(
            &item,
            &format!("expected {form}: small letters, digits and -, {LONGEST_NAME} at most"),
        );
        return None;
    }
    if earlier.iter().any(|action| *action.name == *item.value) {
        reader.fault(item.at, &item.key, format!("another [[action]] is named \"{}\"", item.value));
        return None;
    }
    Some(item.value.into())
}

fn parse_event(word: &str) -> Result<NoticeKind, String> {
    let mut kinds = NoticeKind::ALL.into_iter().filter(|kind| *kind != NoticeKind::Test);
    kinds.clone().find(|kind| kind.as_str() == word).ok_or_else(|| {
        let first = kinds.next().map_or("", NoticeKind::as_str);
        let words = kinds.fold(first.to_string(), |words, kind| words + ", " + kind.as_str());
        format!("allowed: {words}")
    })
}

fn parse_give_up(text: &str) -> Result<Duration, String> {
    let (shortest, longest) = GIVE_UP;
    match duration(text)? {
        found if (shortest..=longest).contains(&found) => Ok(found),
        _ => Err("expected 1m to 30d".into()),
    }
}

fn read_webhook(
    reader: &mut Reader,
    table: &mut Table<'_, '_>,
    folder: &Path,
) -> Option<webhook::Settings> {
    let url = table.required(
        reader,
        "url",
        "where to POST, such as \"https://hooks.example.org/gatepost\"",
    );
    let secret_file =
        read_file(reader, table, "secret-file", folder, |path| read_secret(path).map(drop));
    let ca_file = read_ca_file(reader, table, folder);
    let is_plain_allowed = table.flag(reader, "insecure-plaintext", false);
    let item = url?;
    let url = match Url::parse(&item.value) {
        Ok(url) => url,
        // A password may be in it.
        Err(what) => {
            reader.fault(item.at, &item.key, what);
            return None;
        }
    };
    if !url.is_tls {
        let what = "http:// without TLS: everybody on the way reads who is suspended, and can keep it back";
        check_plain(reader, &item, url.is_loopback(), is_plain_allowed, what);
    }
    Some(webhook::Settings { url, secret_file: secret_file?, ca_file, timeout: WEBHOOK_TIMEOUT })
}

fn read_mail(
    reader: &mut Reader,
    table: &mut Table<'_, '_>,
    folder: &Path,
    node: &str,
) -> Option<mail::Settings> {
    let server = table.required(
        reader,
        "server",
        "the relay, such as \"127.0.0.1:25\" or \"mail.example.org\"",
    );
    let security = table.choice(
        reader,
        "tls",
        "starttls",
        &[("starttls", Security::StartTls), ("tls", Security::Tls), ("none", Security::Plain)],
    );
    let is_plain_allowed = table.flag(reader, "insecure-plaintext", false);
    let ca_file = read_ca_file(reader, table, folder);
    let login = read_login(reader, table, folder);
    let from =
        table.required(reader, "from", "the address in From, such as \"gatepost@example.org\"");
    let from = from.and_then(|item| {
        parse_address(&item.value).map_err(|what| reader.refuse(&item, &what)).ok()
    });
    let to = table.all_parsed(reader, "to", &[], parse_address);
    let to_person = table.flag(reader, "to-person", false);
    let help = table.parsed(reader, "help", "Please ask your help desk.", |text| {
        Ok::<_, String>(text.to_string())
    });
    if to.is_empty() && !to_person && (table.is_absent("to") || table.is_empty_array("to")) {
        let what = "missing; expected addresses, such as [\"postmaster@example.org\"], or to-person = true";
        reader.fault(table.place("to"), &table.key("to"), what);
    }
    let item = server?;
    let (host, port) =
        parse_server(&item.value, security).map_err(|what| reader.refuse(&item, &what)).ok()?;
    let settings = mail::Settings {
        host,
        port,
        security,
        ca_file,
        login,
        from: from?,
        to,
        to_person,
        help,
        node: node.into(),
    };
    if security == Security::Plain {
        let what = "tls = \"none\": everybody on the way reads who is suspended, and the password where there is one";
        check_plain(reader, &item, settings.is_loopback(), is_plain_allowed, what);
    }
    Some(settings)
}

/// `login` and `password-file`, both or none.
fn read_login(
    reader: &mut Reader,
    table: &mut Table<'_, '_>,
    folder: &Path,
) -> Option<(String, PathBuf)> {
    let login = table.text(reader, "login");
    if login.is_none() && table.is_absent("password-file") {
        table.text(reader, "password-file");
        return None;
    }
    let file =
        read_file(reader, table, "password-file", folder, |path| read_password(path).map(drop));
    if login.is_none() {
        reader.fault(
            table.place("password-file"),
            &table.key("password-file"),
            "needs login beside it",
        );
    }
    Some((login?.value, file?))
}

fn read_command(reader: &mut Reader, table: &mut Table<'_, '_>) -> Option<command::Settings> {
    if table.is_absent("command") {
        let what = "missing; expected a program and its arguments, such as [\"/usr/local/bin/page\", \"mail\"]";
        reader.fault(table.at(), &table.key("command"), what);
    }
    let mut words = table.texts(reader, "command").into_iter();
    let timeout = table.parsed(reader, "timeout", "30s", |text| match duration(text)? {
        found if (Duration::from_secs(1)..=LONGEST_COMMAND).contains(&found) => Ok(found),
        _ => Err("expected 1s to 5m".into()),
    });
    let at_once = table.number(reader, "at-once", 1, 1..=16);
    let program = words.next()?;
    let path = PathBuf::from(&program.value);
    if !path.is_absolute() {
        reader.refuse(
            &program,
            "expected the absolute path of a program; there is no shell and no search",
        );
        return None;
    }
    if !path.is_file() {
        reader.warn(program.at, &program.key, format!("{}: no such file", path.display()));
    }
    let arguments = words.map(|item| item.value).collect();
    Some(command::Settings { program: path, arguments, timeout, at_once })
}

/// Servers, TLS and names are those of the directory itself: an account is one of it.
fn read_group(
    reader: &mut Reader,
    table: &mut Table<'_, '_>,
    folder: &Path,
    source: Option<&DirectorySource>,
) -> Option<directory::Settings> {
    let such = "such as \"CN=Suspended,OU=Groups,DC=example,DC=org\"";
    let group = table.required(reader, "group", &format!("the DN of a group, {such}"));
    let attribute =
        table.parsed(reader, "member-attribute", "member", |text| match is_attribute(text) {
            true => Ok(text.to_string()),
            false => Err("expected the name of an attribute that holds DNs".to_string()),
        });
    let bind = table.required(reader, "bind-dn", "the DN that may change the group");
    let password_file =
        read_file(reader, table, "password-file", folder, |path| read_password(path).map(drop));
    let group = group?;
    if Dn::parse(&group.value).is_none_or(|dn| dn.as_str().is_empty()) {
        reader.refuse(&group, &format!("expected a DN, {such}"));
        return None;
    }
    let (bind_dn, password_file) = (bind?.value, password_file?);
    let Some(DirectorySource::Ldap { ldap, .. }) = source else {
        let what = "needs [directory] type = \"ldap\": without it nobody is in a group, and this action does nothing";
        reader.warn(table.place("type"), &table.key("type"), what);
        return None;
    };
    if bind_dn.trim().is_empty() {
        reader.fault(
            table.place("bind-dn"),
            &table.key("bind-dn"),
            "empty: nobody may change a group without a name",
        );
        return None;
    }
    let (group, ldap) = (group.value, ldap.clone());
    Some(directory::Settings { ldap, bind_dn, password_file, group, member_attribute: attribute })
}

/// A file that must be there, with something in it that others may not read.
fn read_file(
    reader: &mut Reader,
    table: &mut Table<'_, '_>,
    key: &'static str,
    folder: &Path,
    look: impl Fn(&Path) -> Result<(), String>,
) -> Option<PathBuf> {
    let item = table.required(reader, key, "the path of a file")?;
    let path = folder.join(&item.value);
    match look(&path) {
        Ok(()) => {
            warn_of_readers(reader, &item, &path);
            Some(path)
        }
        Err(what) => {
            reader.fault(item.at, &item.key, what);
            None
        }
    }
}

fn read_ca_file(reader: &mut Reader, table: &mut Table<'_, '_>, folder: &Path) -> Option<PathBuf> {
    let item = table.text(reader, "ca-file")?;
    let path = folder.join(&item.value);
    if let Err(what) = authorities(&path) {
        reader.fault(item.at, &item.key, what);
    }
    Some(path)
}

/// What goes out in the clear stays on this machine, unless somebody says it may not.
fn check_plain(
    reader: &mut Reader,
    item: &Item<String>,
    is_loopback: bool,
    is_allowed: bool,
    what: &str,
) {
    if is_loopback {
        return;
    }
    match is_allowed {
        true => reader.warn(item.at, &item.key, what),
        false => {
            reader.fault(item.at, &item.key, format!("{what}; insecure-plaintext = true allows it"))
        }
    }
}

fn parse_server(text: &str, security: Security) -> Result<(String, u16), String> {
    let form = "expected a host, or HOST:PORT, such as \"mail.example.org:587\"";
    let server: Authority = text.parse().map_err(|_| form.to_string())?;
    let host = server.host().trim_start_matches('[').trim_end_matches(']');
    if server.as_str().contains('@') || ServerName::try_from(host).is_err() {
        return Err(form.into());
    }
    let usual = if security == Security::Tls { 465 } else { 25 };
    match server.port_u16() {
        Some(0) => Err(form.into()),
        port => Ok((host.into(), port.unwrap_or(usual))),
    }
}

fn parse_address(text: &str) -> Result<lettre::Address, String> {
    text.parse().map_err(|_| "expected a mail address, such as \"postmaster@example.org\"".into())
}
