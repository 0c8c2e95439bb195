//! Sendmail's files: sendmail.mc (cf/README) and the small ones beside it. No DNS is consulted: names
//! come from files, next hops are addresses.

use super::{Ports, unpacked};
use std::path::Path;

pub const REALM: &str = "local.test";

/// Besides sendmail.mc and sasldb: name and text, all below Sendmail's folder.
pub fn files(home: &Path) -> Vec<(&'static str, String)> {
    vec![
        ("local-host-names", "local.test\n".to_owned()),
        ("service.switch", "hosts files\naliases files\n".to_owned()),
        ("nsswitch.conf", NSSWITCH.to_owned()),
        ("hosts", HOSTS.to_owned()),
        ("access", ACCESS.to_owned()),
        ("statistics", String::new()),
        ("Sendmail.conf", sasl(home)),
    ]
}

/// The clients that Sendmail lets out by address, so that gatepost makes the difference. It lets
/// 127.0.0.1 and ::1 out by itself.
const ACCESS: &str = "Connect:127\tRELAY\n";

const HOSTS: &str = "\
127.0.0.1 localhost mx.local.test
::1 localhost6.test
127.8.0.7 p1.printers.example.org
127.8.0.8 evilprinters.example.org
";

const NSSWITCH: &str = "\
passwd: files
group: files
hosts: files
networks: files
protocols: files
services: files
";

fn sasl(home: &Path) -> String {
    format!(
        "pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: {}/sasldb
mech_list: PLAIN LOGIN CRAM-MD5
",
        home.display()
    )
}

/// The source of sendmail.cf, with these INPUT_MAIL_FILTER lines.
pub fn mc(folder: &Path, ports: &Ports, filters: &str) -> String {
    let Ports { mx, optional, submission, local, external } = ports;
    let cf = unpacked("usr/share/sendmail/cf");
    let (cf, home, folder) = (cf.display(), folder.join("sendmail"), folder.display());
    let home = home.display();
    let filter = |name: &str| {
        let is_there = filters.contains(&format!("(`{name}'"));
        if is_there { format!(", InputMailFilters={name}") } else { String::new() }
    };
    let (mx_filter, submission_filter) = (filter("mx"), filter("submission"));
    format!(
        "divert(-1)
define(`_CF_DIR_', `{cf}/')
include(`{cf}/m4/cf.m4')
OSTYPE(`linux')
undefine(`confSAFE_FILE_ENV')
define(`confDOMAIN_NAME', `mx.local.test')
define(`confPID_FILE', `{home}/sendmail.pid')
define(`QUEUE_DIR', `{home}/queue')
define(`STATUS_FILE', `{home}/statistics')
define(`HELP_FILE', `')
define(`ALIAS_FILE', `')
define(`confCW_FILE', `{home}/local-host-names')
define(`confCONTROL_SOCKET_NAME', `')
define(`confSERVICE_SWITCH_FILE', `{home}/service.switch')
define(`confDONT_BLAME_SENDMAIL', `AssumeSafeChown,ClassFileInUnsafeDirPath,MapInUnsafeDirPath,TrustStickyBit')
define(`confTO_IDENT', `0')
define(`confDONT_PROBE_INTERFACES', `true')
define(`confREFUSE_LA', `1000')
define(`confQUEUE_LA', `1000')
define(`confPRIVACY_FLAGS', `noetrn')
define(`confLOG_LEVEL', `10')
define(`confAUTH_OPTIONS', `')
define(`confAUTH_MECHANISMS', `PLAIN LOGIN CRAM-MD5')
define(`confAUTH_REALM', `{REALM}')
TRUST_AUTH_MECH(`PLAIN LOGIN CRAM-MD5')
define(`confCACERT_PATH', `{folder}')
define(`confCACERT', `{folder}/ca.pem')
define(`confSERVER_CERT', `{folder}/server.pem')
define(`confSERVER_KEY', `{folder}/server.key')
define(`confCERT_FINGERPRINT_ALGORITHM', `sha256')
define(`SMART_HOST', `esmtp:[127.0.0.1]')
define(`ESMTP_MAILER_ARGS', `TCP $h {external}')
FEATURE(`local_lmtp', `[IPC]', `TCP [127.0.0.1] {local}')
# Every local address is good: no aliases, no passwd, no files, no programs.
MODIFY_MAILER_FLAGS(`LOCAL', `-Aw5:/|@')
FEATURE(`use_cw_file')
FEATURE(`no_default_msa')
FEATURE(`nocanonify', `canonify_hosts')
FEATURE(`accept_unresolvable_domains')
FEATURE(`accept_unqualified_senders')
FEATURE(`access_db', `hash -T<TMPF> {home}/access')
DAEMON_OPTIONS(`Name=mx, Family=inet, Addr=127.0.0.1, Port={mx}, M=A, Listen=100{mx_filter}')
DAEMON_OPTIONS(`Name=mx6, Family=inet6, Addr=::1, Port={mx}, M=A{mx_filter}')
DAEMON_OPTIONS(`Name=optional, Family=inet, Addr=127.0.0.1, Port={optional}, M=E, Listen=100{submission_filter}')
DAEMON_OPTIONS(`Name=submission, Family=inet, Addr=127.0.0.1, Port={submission}, M=Ea, Listen=100{submission_filter}')
{filters}
MAILER(`local')
MAILER(`smtp')
LOCAL_CONFIG
# Sendmail sets its own environment by E lines, and libsasl2 looks for Sendmail.conf there.
ESASL_CONF_PATH={home}
"
    )
}
