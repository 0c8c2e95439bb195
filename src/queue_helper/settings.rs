//! The helper's own file, small and strict: who may ask, and which programs are run with which configuration.

use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User};

use crate::config::{Endpoint, Socket, parse_socket};
use crate::queue_helper::{Dovecot, Postfix, Queue, Sendmail, Work};
use crate::settings::{Fault, Reader, Table, octal_mode};

/// What the file says.
pub struct Settings {
    pub(super) endpoint: Endpoint,
    /// The only user whose requests are read.
    pub(super) allowed: Uid,
    pub(super) work: Work,
}

/// Reads the file; all faults are told, in its order.
pub fn load(path: &Path) -> Result<Settings, Vec<Fault>> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|fault| vec![Fault::of_file(&file, fault.to_string())])?;
    parse(&file, &text)
}

fn parse(file: &str, text: &str) -> Result<Settings, Vec<Fault>> {
    let (read, reader) = Reader::read(file, text, read_root);
    match read.flatten() {
        Some(settings) if reader.faults.is_empty() => Ok(settings),
        _ => Err(reader.faults),
    }
}

fn read_root(reader: &mut Reader, mut root: Table<'_, '_>) -> Option<Settings> {
    let mut helper = root.table(reader, "helper");
    let socket = helper.parsed(reader, "socket", "systemd:queue", |text| match parse_socket(text)? {
        Socket::Inet(_) => Err("expected \"unix:/path\" or \"systemd:NAME\": whoever asks is told by a unix socket".into()),
        Socket::Unix(path) if path.is_relative() => Err("expected an absolute path".into()),
        socket => Ok(socket),
    });
    let group = helper.text(reader, "socket-group").map(|item| item.value);
    let mode = helper.parsed(reader, "socket-mode", "0660", octal_mode);
    let allowed = read_user(reader, &mut helper);
    helper.finish(reader);
    let postfix = root.table(reader, "postfix");
    let sendmail = root.table(reader, "sendmail");
    let dovecot = root.table(reader, "dovecot");
    if postfix.is_present() && sendmail.is_present() {
        reader.fault(
            sendmail.at(),
            "sendmail",
            "a helper serves one mail server, and there is a [postfix]",
        );
    }
    if !postfix.is_present() && !sendmail.is_present() && !dovecot.is_present() {
        reader.fault(
            0,
            "",
            "expected [postfix] or [sendmail], [dovecot], or both: else there is nothing to do",
        );
    }
    let (has_postfix, has_sendmail) = (postfix.is_present(), sendmail.is_present());
    let (postfix, sendmail) = (read_postfix(reader, postfix), read_sendmail(reader, sendmail));
    let dovecot = read_dovecot(reader, dovecot);
    root.finish(reader);
    let queue = match (has_postfix, has_sendmail) {
        (true, _) => Some(Queue::Postfix(postfix)),
        (_, true) => Some(Queue::Sendmail(sendmail)),
        _ => None,
    };
    let endpoint = Endpoint { socket, owner: None, group, mode };
    Some(Settings { endpoint, allowed: allowed?, work: Work { queue, dovecot } })
}

/// By name, or by number where the name is of another machine.
fn read_user(reader: &mut Reader, table: &mut Table<'_, '_>) -> Option<Uid> {
    let item =
        table.required(reader, "allow-user", "the user gatepost runs as, such as \"gatepost\"")?;
    let known = match item.value.parse() {
        Ok(number) => Ok(Some(Uid::from_raw(number))),
        Err(_) => User::from_name(&item.value).map(|user| user.map(|user| user.uid)),
    };
    match known {
        Ok(Some(uid)) => Some(uid),
        Ok(None) => {
            reader.refuse(&item, "this machine has no such user");
            None
        }
        Err(errno) => {
            reader.refuse(&item, &errno.to_string());
            None
        }
    }
}

fn read_postfix(reader: &mut Reader, mut table: Table<'_, '_>) -> Postfix {
    let folder = path(reader, &mut table, "config-directory", "/etc/postfix");
    let postsuper = path(reader, &mut table, "postsuper", "/usr/sbin/postsuper");
    let postqueue = path(reader, &mut table, "postqueue", "/usr/sbin/postqueue");
    table.finish(reader);
    Postfix::new(&folder, &postsuper, &postqueue)
}

fn read_sendmail(reader: &mut Reader, mut table: Table<'_, '_>) -> Sendmail {
    let cf = path(reader, &mut table, "config-file", "/etc/mail/sendmail.cf");
    let sendmail = path(reader, &mut table, "sendmail", "/usr/sbin/sendmail");
    let default = ["/var/spool/mqueue".to_string()];
    let queues = table.all_parsed(reader, "queue-directories", &default, absolute);
    table.finish(reader);
    Sendmail::new(&cf, &sendmail, queues)
}

fn read_dovecot(reader: &mut Reader, mut table: Table<'_, '_>) -> Option<Dovecot> {
    let is_present = table.is_present();
    let file = path(reader, &mut table, "config-file", "/etc/dovecot/dovecot.conf");
    let doveadm = path(reader, &mut table, "doveadm", "/usr/bin/doveadm");
    table.finish(reader);
    is_present.then(|| Dovecot::new(&file, &doveadm))
}

fn path(
    reader: &mut Reader,
    table: &mut Table<'_, '_>,
    key: &'static str,
    default: &str,
) -> PathBuf {
    table.parsed(reader, key, default, absolute)
}

fn absolute(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_absolute() { Ok(path) } else { Err("expected an absolute path".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let read = parse("queue-helper.toml", text).err().unwrap_or_default();
        read.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_smallest_file_serves_one_postfix() {
        let settings = parse("x", "[helper]\nallow-user = \"root\"\n[postfix]\n").ok();
        let settings = settings.expect("no fault");
        assert_eq!(settings.allowed, Uid::from_raw(0));
        assert_eq!(settings.endpoint.socket, Socket::Systemd("queue".into()));
        assert!(matches!(settings.work.queue, Some(Queue::Postfix(_))));
        assert!(settings.work.dovecot.is_none());
    }

    #[test]
    fn each_fault_says_what_is_expected() {
        let text = "\
[helper]
socket = \"inet:127.0.0.1:25\"
allow-user = \"nobody-of-this-name\"
[postfix]
config-directory = \"etc/postfix\"
shell = \"/bin/sh\"
[sendmail]
";
        assert_eq!(
            faults(text),
            [
                "queue-helper.toml:2:10: helper.socket: \"inet:127.0.0.1:25\" is refused: expected \"unix:/path\" or \"systemd:NAME\": whoever asks is told by a unix socket",
                "queue-helper.toml:3:14: helper.allow-user: \"nobody-of-this-name\" is refused: this machine has no such user",
                "queue-helper.toml:5:20: postfix.config-directory: \"etc/postfix\" is refused: expected an absolute path",
                "queue-helper.toml:6:1: postfix.shell: unknown key (allowed: config-directory, postsuper, postqueue)",
                "queue-helper.toml:7:2: sendmail: a helper serves one mail server, and there is a [postfix]",
            ]
        );
        assert_eq!(
            faults("[helper]\nallow-user = \"0\"\n"),
            [
                "queue-helper.toml:1:1: expected [postfix] or [sendmail], [dovecot], or both: else there is nothing to do"
            ]
        );
    }
}
