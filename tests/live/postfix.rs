//! A private Postfix (3.7 and newer) that permits the superset of what gatepost may grant: its
//! main.cf and master.cf, its start and its end.

use crate::certificates::{self, LISTED, UNLISTED};
use crate::door::Port;
use crate::folder::{make_folder, note_pid};
use crate::lab::Ports;
use crate::process::{output, program, read};
use rustix::process::{Pid, Signal, kill_process_group};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// gatepost's unix socket, relative to the queue folder, which is the chroot of smtpd.
pub const SOCKET: &str = "private/gatepost";

/// The clients that the MTA lets out by address: the relay network of gatepost's configuration
/// and others that gatepost does not list, so that gatepost makes the difference.
const PERMITTED: &str = "192.0.2.0/24 permit\n198.51.100.0/24 permit\n2001:db8::/32 permit\n";

pub struct Postfix {
    master: Pid,
    queue: PathBuf,
    pub log: PathBuf,
}

impl Postfix {
    /// With this main.cf, and these SMTP services before the other parts in master.cf.
    pub fn start(folder: &Path, main_cf: &str, services: &str) -> Postfix {
        let (configuration, queue, state) =
            (folder.join("conf"), folder.join("queue"), folder.join("state"));
        let command = program("postfix", "postfix");
        for part in [&configuration, &queue, &state] {
            make_folder(part);
        }
        output(Command::new("chown").arg("postfix:root").arg(&state));
        let write = |name: &str, text: &str| {
            fs::write(configuration.join(name), text).expect("a file can be written")
        };
        write("main.cf", main_cf);
        write("master.cf", &format!("{services}{PARTS}"));
        write("permitted", PERMITTED);
        let certificates = [LISTED, UNLISTED]
            .map(|name| format!("{} {name}\n", certificates::fingerprint(folder, name)));
        write("certificates", &certificates.concat());
        age(&configuration.join("main.cf"));
        let log = folder.join("mail.log");
        let started = Command::new(command).arg("-c").arg(&configuration).arg("start").output();
        let started = started.unwrap_or_else(|error| panic!("postfix does not run: {error}"));
        assert!(started.status.success(), "postfix does not start: {started:?}\n{}", read(&log));
        let pid =
            read(&queue.join("pid/master.pid")).trim().parse().expect("master writes its pid");
        note_pid(folder, "postfix", pid);
        let master = Pid::from_raw(pid as i32).expect("a pid is not 0");
        Postfix { master, queue, log }
    }

    pub fn master(&self) -> i32 {
        self.master.as_raw_nonzero().get()
    }

    /// The files of the mails on hold.
    pub fn held(&self) -> Vec<PathBuf> {
        let hold = fs::read_dir(self.queue.join("hold")).expect("Postfix has a queue");
        hold.flatten().map(|file| file.path()).collect()
    }

    /// The folders in the order in which a mail moves, so that none slips through.
    pub fn queue_is_empty(&self) -> bool {
        let folders = ["maildrop", "incoming", "active", "deferred", "hold", "corrupt"];
        folders.iter().all(|name| files(&self.queue.join(name)) == 0)
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        // master leads the group of its daemons. It is a child of init, which reaps it when it likes.
        kill_process_group(self.master, Signal::KILL).ok();
    }
}

/// Postfix waits until main.cf is older than two seconds, lest it read one half written.
fn age(file: &Path) {
    let file = fs::File::options().write(true).open(file).expect("an own file can be opened");
    file.set_modified(SystemTime::UNIX_EPOCH).expect("an own file takes a time");
}

/// deferred has folders of its own, by the first digit of the queue id.
fn files(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 }).sum()
}

pub fn main_cf(folder: &Path, local: u16, external: u16) -> String {
    let folder = folder.display();
    format!(
        "compatibility_level = 3.6
config_directory = {folder}/conf
queue_directory = {folder}/queue
data_directory = {folder}/state
# Without syslog; the file must lie below one of the prefixes.
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
myhostname = mx.local.test
mydomain = local.test
myorigin = local.test
mydestination = local.test, bücher.test, xn--bcher-kva.test
local_recipient_maps =
local_transport = lmtp:inet:127.0.0.1:{local}
relayhost = [127.0.0.1]:{external}
alias_maps =
alias_database =
# The clients of the tests are at 127.0.0.1, which must not be trusted.
mynetworks = 127.0.0.77/32
inet_interfaces = 127.0.0.1
inet_protocols = all
biff = no
# Otherwise each error of a policy server mails a transcript to postmaster.
notify_classes =
smtp_dns_support_level = disabled
lmtp_dns_support_level = disabled
smtp_host_lookup = native
lmtp_host_lookup = native
fast_flush_domains = partner.test
smtpd_authorized_xclient_hosts = 127.0.0.0/8, 192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24, [2001:db8::]/32
smtpd_sasl_type = dovecot
smtpd_sasl_path = private/auth
smtpd_sasl_security_options = noanonymous
smtpd_tls_cert_file = {folder}/server.pem
smtpd_tls_key_file = {folder}/server.key
smtpd_tls_CAfile = {folder}/ca.pem
smtpd_tls_security_level = may
smtpd_tls_auth_only = no
smtpd_tls_ask_ccert = yes
smtpd_tls_fingerprint_digest = sha256
relay_clientcerts = texthash:{folder}/conf/certificates
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_error_sleep_time = 0
smtpd_soft_error_limit = 500
smtpd_hard_error_limit = 1000
in_flow_delay = 0
smtpd_policy_service_timeout = 20s
"
    )
}

/// What asks by policy delegation.
pub fn policy_services(folder: &Path, ports: &Ports) -> String {
    let clients = format!(
        "check_client_access cidr:{}/conf/permitted, permit_tls_clientcerts",
        folder.display()
    );
    let trusted = format!("permit_mynetworks, {clients}, permit_sasl_authenticated, reject");
    let inet = |port| format!("check_policy_service inet:127.0.0.1:{port}");
    let mut text = String::new();

    let ask = inet(ports.ask_internet);
    text += &service(ports.mx, "n", "smtpd_sasl_auth_enable=no");
    text += &restriction(
        "relay",
        &format!("{ask}, permit_mynetworks, {clients}, reject_unauth_destination"),
    );
    text += &restrictions(&["recipient", "data", "end_of_data"], &ask);

    let ask = format!("check_policy_service unix:{SOCKET}");
    text += &service(ports.submission, "y", "smtpd_sasl_auth_enable=yes");
    text += &restriction("relay", &format!("{ask}, {trusted}"));
    text += &restrictions(&["recipient", "data", "end_of_data"], &ask);

    text += &service(ports.granting, "n", "smtpd_sasl_auth_enable=yes");
    text +=
        &restriction("relay", &format!("{}, reject_unauth_destination", inet(ports.ask_granting)));

    let port = ports.ask_observing;
    let ask = format!(
        "check_policy_service {{ inet:127.0.0.1:{port}, timeout=2s, default_action=DUNNO }}"
    );
    text += &service(ports.observing, "n", "smtpd_sasl_auth_enable=yes");
    text += &restriction("relay", &format!("{ask}, {trusted}"));

    let ask = inet(ports.ask_submission);
    text += &service(ports.undelayed, "n", "smtpd_sasl_auth_enable=yes");
    text += "  -o smtpd_delay_reject=no\n";
    text += &restriction("relay", &format!("{ask}, {trusted}"));
    text += &restrictions(
        &["client", "helo", "sender", "recipient", "data", "end_of_data", "etrn"],
        &ask,
    );
    text
}

/// What asks by milter, and nobody else: Postfix itself lets everybody out.
pub fn milter_services(ports: &Ports) -> String {
    let inet = |port| format!("inet:127.0.0.1:{port}");
    let observing = inet(ports.ask_observing);
    let observing = format!("{{ {observing}, default_action=accept, command_timeout=2s }}");
    let mut text = String::new();
    for (port, chroot, sasl, milter) in [
        (ports.mx, "n", "no", inet(ports.ask_internet)),
        (ports.submission, "y", "yes", format!("unix:{SOCKET}")),
        (ports.observing, "n", "yes", observing),
        (ports.undelayed, "n", "yes", inet(ports.ask_submission)),
    ] {
        text += &service(port, chroot, &format!("smtpd_sasl_auth_enable={sasl}"));
        text += &milters(&milter);
    }
    text += "  -o smtpd_delay_reject=no\n";
    text
}

/// The milters of the service above it.
pub fn milters(list: &str) -> String {
    format!("  -o {{ smtpd_milters = {list} }}\n")
}

/// For the lines of `milter_services`, and for mail that sendmail(1) hands in.
pub fn milter_main_cf() -> String {
    format!(
        "milter_default_action = tempfail
non_smtpd_milters = unix:{SOCKET}
# Postfix wants to see that somebody might be refused; nobody comes that far.
smtpd_relay_restrictions = check_client_access static:OK, reject
"
    )
}

pub fn service(port: Port, chroot: &str, option: &str) -> String {
    format!("127.0.0.1:{} inet n - {chroot} - - smtpd\n  -o {option}\n", port.number)
}

fn restrictions(lists: &[&str], ask: &str) -> String {
    lists.iter().map(|list| restriction(list, ask)).collect()
}

pub fn restriction(list: &str, entries: &str) -> String {
    format!("  -o {{ smtpd_{list}_restrictions = {entries} }}\n")
}

/// master.cf below the SMTP services, all without chroot.
const PARTS: &str = "\
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
";
