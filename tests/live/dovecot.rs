//! A private Dovecot that only checks passwords for Postfix (Dovecot 2.3 and 2.4 differ in their
//! words; the running one says which it is).

use crate::folder::note_pid;
use crate::process::{Process, output, program, until};
use std::fs;
use std::path::{Display, Path, PathBuf};
use std::process::Command;

/// Whoever may log in. What else they may is gatepost's to say; it does not know dave.
pub const LOGINS: [&str; 9] =
    ["alice", "alice@local.test", "bob", "carol", "dave", "erin", "frank", "grace", "mallory"];

/// The same for every spelling of a login: to sasldb `alice` and `alice@local.test` are one.
pub fn password(login: &str) -> String {
    let user = login.split('@').next().expect("a split has a first part");
    format!("secret of {user}")
}

pub struct Dovecot {
    _process: Process,
    pub log: PathBuf,
}

impl Dovecot {
    pub fn start(folder: &Path) -> Dovecot {
        let dovecot = program("dovecot", "dovecot-core");
        let home = folder.join("dovecot");
        fs::create_dir_all(&home).expect("a folder can be made");
        let users: String = LOGINS
            .iter()
            .map(|login| format!("{login}:{{PLAIN}}{}::::::\n", password(login)))
            .collect();
        fs::write(home.join("users"), users).expect("a file can be written");
        let version = output(Command::new(&dovecot).arg("--version"));
        let socket = folder.join("queue/private/auth");
        fs::write(home.join("dovecot.conf"), configuration(&home, &socket, version.trim()))
            .expect("a file can be written");
        let mut command = Command::new(dovecot);
        command.arg("-F").arg("-c").arg(home.join("dovecot.conf"));
        let process = Process::start("dovecot", &mut command, home.join("output.log"));
        note_pid(folder, "dovecot", process.pid());
        let log = home.join("dovecot.log");
        until("dovecot offers its socket", || socket.exists().then_some(()));
        Dovecot { _process: process, log }
    }
}

fn configuration(home: &Path, socket: &Path, version: &str) -> String {
    let (home, socket) = (home.display(), socket.display());
    let by_version =
        if version.starts_with("2.3") { words_of_2_3(&home) } else { words_of_2_4(&home) };
    // A failed AUTH costs 2 s, and later good ones from the same address up to 4 s, without the
    // delay of 0 and with the penalty's socket open.
    format!(
        "{by_version}
base_dir = {home}/run
state_dir = {home}/state
instance_name = gatepost-live
log_path = {home}/dovecot.log
ssl = no
auth_mechanisms = plain login
auth_verbose = yes
auth_failure_delay = 0
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service auth {{
  unix_listener {socket} {{
    mode = 0660
    user = postfix
    group = postfix
  }}
}}
"
    )
}

fn words_of_2_3(home: &Display) -> String {
    format!(
        "protocols =
disable_plaintext_auth = no
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {home}/users
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home=/nonexistent
}}"
    )
}

fn words_of_2_4(home: &Display) -> String {
    format!(
        "dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
protocols =
auth_allow_cleartext = yes
passdb passwd-file {{
  passwd_file_path = {home}/users
  default_password_scheme = PLAIN
}}
userdb static {{
  fields {{
    uid = nobody
    gid = nogroup
    home = /nonexistent
  }}
}}"
    )
}
