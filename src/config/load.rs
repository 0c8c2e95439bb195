//! Reads and checks the whole file.

use std::net::IpAddr;
use std::path::Path;

use crate::config::action::read_actions;
use crate::config::charging::warn_of_charging;
use crate::config::directory::read_directory;
use crate::config::listen::{non_empty, read_listen, read_permissions};
use crate::config::queue::{check_queues, read_queues};
use crate::config::quotas::warn_of_quotas;
use crate::config::rights::read_rules;
use crate::config::store::read_store;
use crate::config::{
    Config, DirectorySource, Endpoint, Listen, Log, LogFormat, Operator, Operators, Socket, Startup,
};
use crate::decision::{Facing, OnGrant, Quota, QuotaFor, Rules};
use crate::directory::FileDirectory;
use crate::observe::LoggedDecisions;
use crate::rights::{Grant, Mode, Ruling, Who};
use crate::settings::{Fault, Reader, Table, duration};

/// Reads `path`. `host` is this machine's name, the default of `server.name`. All faults are told,
/// in the order of the file.
pub fn load(path: &Path, host: &str) -> Result<Config, Vec<Fault>> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|fault| vec![Fault::of_file(&file, fault.to_string())])?;
    let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
    let folder = std::path::absolute(&folder).unwrap_or(folder);
    parse(&file, &text, &folder, host)
}

/// Reads a configuration from text. Relative paths in it start at `folder`.
pub fn parse(file: &str, text: &str, folder: &Path, host: &str) -> Result<Config, Vec<Fault>> {
    let (read, reader) =
        Reader::read(file, text, |reader, root| read_root(reader, root, file, folder, host));
    match read {
        Some((startup, rules)) if reader.faults.is_empty() => {
            Ok(Config { startup, rules, warnings: reader.warnings, settings: reader.settings })
        }
        _ => Err(reader.faults),
    }
}

fn read_root(
    reader: &mut Reader,
    mut root: Table<'_, '_>,
    file: &str,
    folder: &Path,
    host: &str,
) -> (Startup, Rules) {
    let mut server = root.table(reader, "server");
    let name = server.parsed(reader, "name", host, non_empty);
    let drain = server.parsed(reader, "drain", "10s", duration);
    server.finish(reader);
    let log = read_log(reader, &mut root);
    let (mut listen, mut places, mut holds) = (Vec::new(), Vec::new(), Vec::new());
    for table in root.tables(reader, "listen") {
        let place = (table.place("socket"), table.key("socket"));
        let hold = (table.place("hold"), table.key("hold"));
        if let Some(read) = read_listen(reader, table, folder, &name) {
            listen.push(read);
            places.push(place);
            holds.push(hold);
        }
    }
    let http = read_http(reader, &mut root);
    let (control, operators) = read_control(reader, &mut root, folder);
    let (directory, on_failure) = read_directory(reader, &mut root, folder);
    let (store, store_on_failure) = read_store(reader, &mut root, folder);
    let actions = read_actions(reader, &mut root, folder, &name, directory.as_ref());
    let queues = read_queues(reader, &mut root, folder);
    check_queues(reader, &listen, &queues, store.keep.is_none(), &holds);
    let mut rules = read_rules(reader, &mut root, file);
    rules.on_failure = on_failure;
    rules.store_on_failure = store_on_failure;
    rules.judges_rights |= directory.is_some();
    root.finish(reader);
    let startup = Startup {
        name: name.into(),
        drain,
        log,
        listen,
        http,
        control,
        operators,
        directory,
        store,
        actions,
        queues,
    };
    check_sockets(reader, &startup, &places);
    warn_of_rules(reader, &startup, &rules);
    (startup, rules)
}

fn read_log(reader: &mut Reader, root: &mut Table<'_, '_>) -> Log {
    use tracing::Level;
    let mut table = root.table(reader, "log");
    let log = Log {
        format: table.choice(
            reader,
            "format",
            "human",
            &[
                ("human", LogFormat::Human),
                ("json", LogFormat::Json),
                ("journald", LogFormat::Journald),
            ],
        ),
        level: table.choice(
            reader,
            "level",
            "info",
            &[
                ("error", Level::ERROR),
                ("warn", Level::WARN),
                ("info", Level::INFO),
                ("debug", Level::DEBUG),
                ("trace", Level::TRACE),
            ],
        ),
        decisions: table.choice(
            reader,
            "decisions",
            "all",
            &[
                ("none", LoggedDecisions::None),
                ("refusals", LoggedDecisions::Refusals),
                ("all", LoggedDecisions::All),
            ],
        ),
    };
    table.finish(reader);
    log
}

fn read_http(reader: &mut Reader, root: &mut Table<'_, '_>) -> Option<std::net::SocketAddr> {
    let mut table = root.table(reader, "http");
    let http = table.parsed(reader, "listen", "127.0.0.1:9825", |text| match text {
        "off" => Ok(None),
        _ => text.parse().map(Some).map_err(|_| {
            "expected an address and port such as \"127.0.0.1:9825\", or \"off\"".into()
        }),
    });
    table.finish(reader);
    http
}

fn read_control(
    reader: &mut Reader,
    root: &mut Table<'_, '_>,
    folder: &Path,
) -> (Endpoint, Operators) {
    let mut table = root.table(reader, "control");
    let path = table.parsed(reader, "socket", "/run/gatepost/control.sock", |text| match text {
        "" => Err("expected the path of a unix socket".into()),
        _ => Ok(folder.join(text)),
    });
    let permissions = read_permissions(reader, &mut table);
    let everybody = ["*".to_string()];
    let names = table.all_parsed(reader, "operators", &everybody, operator);
    let names = names.into_iter().collect();
    table.finish(reader);
    (permissions.of(Socket::Unix(path)), Operators { names })
}

/// `@group`, or a user; `*`: everybody.
fn operator(name: &str) -> Result<Option<Operator>, String> {
    match name.strip_prefix('@') {
        _ if name == "*" => Ok(None),
        Some("") => Err("expected the name of a group after @".into()),
        None if name.is_empty() => Err("expected a user, or a group such as \"@helpdesk\"".into()),
        Some(group) => Ok(Some(Operator::Group(group.into()))),
        None => Ok(Some(Operator::User(name.into()))),
    }
}

/// `places`: offset and key of each listener's socket.
fn check_sockets(reader: &mut Reader, startup: &Startup, places: &[(usize, String)]) {
    let mut taken = vec![(startup.control.socket.clone(), "control.socket".to_string())];
    taken.extend(startup.http.map(|address| (Socket::Inet(address), "http.listen".into())));
    for (listen, (at, key)) in startup.listen.iter().zip(places) {
        let socket = &listen.endpoint.socket;
        if let Some((earlier, of)) = taken.iter().find(|(earlier, _)| clash(earlier, socket)) {
            let what = format!("{socket} is taken by {of}, {earlier}");
            reader.fault(*at, key, what);
        }
        taken.push((socket.clone(), key.clone()));
    }
}

/// Whether both cannot be bound: the same one, or one port of all addresses and of one of them.
fn clash(one: &Socket, other: &Socket) -> bool {
    match (one, other) {
        (Socket::Inet(one), Socket::Inet(other)) => {
            one.port() != 0
                && one.port() == other.port()
                && (one.ip() == other.ip()
                    || one.is_ipv4() == other.is_ipv4()
                        && (one.ip().is_unspecified() || other.ip().is_unspecified()))
        }
        _ => one == other,
    }
}

/// Legal, but perhaps not what was meant; and what will happen.
fn warn_of_rules(reader: &mut Reader, startup: &Startup, rules: &Rules) {
    if startup.listen.is_empty() {
        reader.warn_all("listen", "no [[listen]]: no mail server can ask");
    }
    for (index, listen) in startup.listen.iter().enumerate() {
        let listener = &listen.listener;
        let key = format!("listen[{index}]");
        if listener.mode == Mode::Observe {
            reader.warn_all(
                &format!("{key}.mode"),
                "\"observe\": everything is judged and logged, and nothing is refused",
            );
        }
        if rules.relay.all_except && listener.facing == Facing::Internet {
            reader.warn_all(
                &format!("{key}.facing"),
                "\"internet\": relay.networks-are = \"all-except\" does not count here",
            );
        }
        if listener.on_grant == OnGrant::Ok && listener.mode == Mode::Observe {
            reader.warn_all(
                &format!("{key}.on-grant"),
                "\"ok\" is never said by a listener that observes",
            );
        }
    }
    warn_of_quotas(reader, startup, rules);
    warn_of_charging(reader, startup, rules);
    if !rules.judges_rights {
        reader.warn_all(
            "directory",
            "no [directory], no [[grant]] and no [relay]: no right is judged",
        );
        return;
    }
    let submits = |listen: &Listen| listen.listener.facing == Facing::Submission;
    let covers_loopback = rules.relay.networks.iter().any(|entry| {
        entry.ruling == Some(Ruling::Allow) && entry.net.contains(&IpAddr::from([127, 0, 0, 1]))
    });
    if covers_loopback && startup.listen.iter().any(submits) {
        reader.warn_all(
            "relay.networks",
            "holds 127.0.0.1: whoever sends through this machine, such as by its webmail, may relay, whatever the login",
        );
    }
    if rules.domains.is_empty() {
        reader.warn_all(
            "domains.local",
            "empty: every recipient counts as external and needs the relay right",
        );
    }
    warn_of_grants(reader, startup, rules);
}

fn warn_of_grants(reader: &mut Reader, startup: &Startup, rules: &Rules) {
    let allows = |ruling: Option<Ruling>| ruling == Some(Ruling::Allow);
    let submits =
        rules.authenticated.is_some() || rules.grants.iter().any(|grant| allows(grant.submit));
    if !submits {
        reader.warn_all("grant", "nothing gives the submit right (no grant with submit = \"allow\", and relay.authenticated is false): every login is refused");
    }
    let is_user_deny = |grant: &Grant| {
        matches!(grant.who, Who::User(_))
            && [grant.submit, grant.relay].contains(&Some(Ruling::Deny))
    };
    if startup.directory.is_none() && rules.grants.iter().any(is_user_deny) {
        reader.warn_all(
            "grant",
            "a deny for a user without a [directory] holds for that spelling of the login only",
        );
    }
    let Some(directory) = &startup.directory else {
        for (mode, key) in [
            (rules.standing.strictest(), "standing"),
            (rules.recipient.existence, "recipient.existence"),
        ] {
            if mode == Mode::Enforce {
                reader.warn_all(key, "\"enforce\" without a [directory]: nobody is known to it");
            }
        }
        for (index, group) in rules.groups.names().enumerate() {
            let what = format!("the group \"{group}\" has no members: there is no [directory]");
            reader.warn_all(key_of_group(rules, index), what);
        }
        return;
    };
    if rules.authenticated.is_some() && rules.standing.not_found != Mode::Enforce {
        reader.warn_all("relay.authenticated", "true, and standing.not-found is not \"enforce\": a login that the directory does not know may relay too");
    }
    // What an LDAP directory has, only `check --online` can say.
    let DirectorySource::File(path) = directory else { return };
    match FileDirectory::open(path) {
        Ok(directory) => {
            let groups = rules.groups.names().enumerate();
            for (index, group) in groups.filter(|(_, group)| !directory.has_group(group)) {
                reader.warn_all(
                    key_of_group(rules, index),
                    format!(
                        "the group \"{group}\" is not in {}: it has no members",
                        path.display()
                    ),
                );
            }
        }
        Err(faults) => reader.faults.extend(faults),
    }
}

/// Where the configuration names a group.
fn key_of_group(rules: &Rules, index: usize) -> &'static str {
    let is_granted = rules.grants.iter().any(|grant| grant.who == Who::Group(index));
    let has_quota = |quota: &Quota| quota.whose == QuotaFor::Who(Who::Group(index));
    let is_limited = rules.quotas.entries().iter().any(has_quota);
    if is_limited && !is_granted { "quota" } else { "grant" }
}
