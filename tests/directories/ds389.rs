//! 389 Directory Server (2.3 and newer), which is also FreeIPA's, with its MemberOf plugin, on free
//! ports of 127.0.0.1. It runs as the package's user, since its tools refuse root without systemd.

use crate::authority;
use crate::cache;
use crate::client::{Bind, Client};
use crate::folder::Folder;
use crate::inet::{self, BASE};
use crate::ldif::{self, Entry, add_values};
use crate::people::{GROUPS, Person, SERVICE_PASSWORD, State};
use crate::ports::free_ports;
use crate::process::{output, program, read};
use crate::schema;
use crate::server::Server;
use rustix::process::Signal;
use std::ffi::OsStr;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

const MANAGER_PASSWORD: &str = "directory-manager";
const USER: &str = "dirsrv";
/// Where dscreate(8) puts the instance, in its folder and in ours.
const CONFIGURATION: &str = "ds/root/etc/dirsrv/slapd-lab";
const DATABASE: &str = "ds/root/var/lib/dirsrv/slapd-lab/db";
const ACCESS_LOG: &str = "ds/root/var/log/dirsrv/slapd-lab/access";

pub struct Ds389 {
    pub server: Server,
    pub ldap: u16,
    pub ldaps: u16,
}

impl Ds389 {
    /// All are copies of one: same objects and ids.
    pub fn start() -> Ds389 {
        Ds389::start_on(|folder| {
            cache::copy("ds389", &recipe(), &folder.join("ds"), |unfinished| {
                let seeded = Ds389::start_on(provision);
                seeded.manager().modify(&seed());
                seeded.keep(unfinished);
            });
            // A target folder that was copied need not have kept the owner of what is in it.
            let own = folder.join("ds");
            output(Command::new("chown").args(["-R", &format!("{USER}:{USER}")]).arg(own));
        })
    }

    fn start_on(instance: impl FnOnce(&Path)) -> Ds389 {
        let folder = Folder::make();
        let path = &folder.path;
        // Whoever installs ldap-utils alone must read the right name.
        let program = program("ns-slapd", "389-ds-base");
        authority::make(path, "ds.example.org", Ipv4Addr::LOCALHOST);
        instance(path);
        let [ldap, ldaps] = free_ports();
        settle(path, ldap, ldaps);
        install_certificate(path);
        let stranger = Client {
            url: format!("ldaps://127.0.0.1:{ldaps}"),
            folder: path.clone(),
            bind: Bind::Anonymous,
            starttls: false,
        };
        let server = Server::start("ns-slapd", folder, stranger, move |folder| {
            let mut command = as_user(folder, &program);
            command.arg("-D").arg(folder.join(CONFIGURATION));
            // In the foreground.
            command.arg("-i").arg(folder.join("ds/pid")).args(["-d", "0"]);
            command
        });
        Ds389 { server, ldap, ldaps }
    }

    pub fn url(&self) -> String {
        format!("ldaps://127.0.0.1:{}", self.ldaps)
    }

    /// The account that gatepost binds as.
    pub fn reader(&self) -> Client {
        self.client(&inet::service(), SERVICE_PASSWORD)
    }

    pub fn manager(&self) -> Client {
        self.client("cn=Directory Manager", MANAGER_PASSWORD)
    }

    pub fn client(&self, dn: &str, password: &str) -> Client {
        Client::by_password(self.url(), self.server.folder(), dn, password)
    }

    /// How often this server was asked, but for the root DSE.
    pub fn searches(&self) -> usize {
        inet::searches(&read(&self.server.folder().join(ACCESS_LOG)))
    }

    /// Ends, and leaves the instance without what only this run had.
    fn keep(mut self, target: &Path) {
        self.server.stop(Signal::TERM);
        let folder = self.server.folder();
        for entry in fs::read_dir(folder.join(DATABASE)).expect("an own folder").flatten() {
            // The regions of Berkeley DB are its shared memory; they are made anew.
            if entry.file_name().to_string_lossy().starts_with("__db.") {
                fs::remove_file(entry.path()).expect("an own file can be removed");
            }
        }
        fs::remove_file(folder.join(ACCESS_LOG)).expect("an own file can be removed");
        // Its files name the folder they were made in.
        fs::write(folder.join("ds/origin"), folder.display().to_string())
            .expect("a file can be written");
        output(Command::new("cp").arg("--archive").arg(folder.join("ds")).arg(target));
    }
}

fn as_user(folder: &Path, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", USER, "--regid", USER, "--clear-groups"]).arg(program);
    let tools = folder.join("ds/bin");
    command.env_clear().env("HOME", folder.join("ds")).current_dir(folder);
    command.env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", tools.display()));
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// All that the instance hangs on.
fn recipe() -> String {
    // It exits with 1.
    let version = Command::new(program("ns-slapd", "389-ds-base")).arg("--version").output();
    let version = format!("{:?}", version.expect("ns-slapd runs"));
    [version, own_schema(), seed(), include_str!("ds389.rs").into()].concat()
}

/// An instance that has never run with our ports and certificate.
fn provision(folder: &Path) {
    let home = folder.join("ds");
    fs::create_dir(&home).expect("a folder can be made");
    output(Command::new("chown").arg(format!("{USER}:{USER}")).arg(&home));
    let mut tools = as_user(folder, program("dscreate", "389-ds-base"));
    output(tools.arg("ds-root").arg(home.join("root")).arg(home.join("bin")));
    let answers = folder.join("answers.inf");
    fs::write(&answers, ANSWERS).expect("a file can be written");
    output(as_user(folder, home.join("bin/dscreate")).arg("from-file").arg(answers));

    let configuration = folder.join(CONFIGURATION);
    let schema = configuration.join("schema");
    fs::copy("/usr/share/dirsrv/data/60kerberos.ldif", schema.join("60kerberos.ldif"))
        .expect("389-ds-base has a schema of Kerberos");
    fs::write(schema.join("98test.ldif"), own_schema()).expect("a file can be written");
    let file = configuration.join("dse.ldif");
    let mut text = read(&file);
    let plugin = "\ndn: cn=MemberOf Plugin,cn=plugins,cn=config\n";
    let (before, after) = text.split_once(plugin).expect("there is such a plugin");
    let after = after.replacen("nsslapd-pluginEnabled: off", "nsslapd-pluginEnabled: on", 1);
    text = [before, plugin, &after].concat();
    let root = "dn: cn=config\n";
    text = text.replacen(root, &format!("{root}{SETTINGS}"), 1);
    fs::write(&file, text).expect("a file can be written");
    fs::write(home.join("origin"), folder.display().to_string()).expect("a file can be written");
}

fn own_schema() -> String {
    let (types, class) = schema::definitions(&["mailAlternateAddress", "eduPersonPrincipalName"]);
    let types: String = types.iter().map(|each| format!("attributeTypes: {each}\n")).collect();
    format!("dn: cn=schema\n{types}objectClasses: {class}\n")
}

const ANSWERS: &str = "[general]
config_version = 2
full_machine_name = localhost
start = False
strict_host_checking = False
[slapd]
instance_name = lab
root_password = directory-manager
port = 1389
secure_port = 1636
self_sign_cert = False
[backend-userroot]
suffix = dc=example,dc=org
create_suffix_entry = True
";

const SETTINGS: &str = "nsslapd-listenhost: 127.0.0.1
nsslapd-securelistenhost: 127.0.0.1
nsslapd-security: on
nsslapd-require-secure-binds: on
nsslapd-accesslog-logbuffering: off
";

/// Gives it this folder and these ports.
fn settle(folder: &Path, ldap: u16, ldaps: u16) {
    let origin = read(&folder.join("ds/origin"));
    for name in ["dse.ldif", "pkcs11.txt"] {
        let file = folder.join(CONFIGURATION).join(name);
        let text = read(&file).replace(&format!("{origin}/"), &format!("{}/", folder.display()));
        let lines = text.lines().map(|line| match line.split_once(": ") {
            Some(("nsslapd-port", _)) => format!("nsslapd-port: {ldap}\n"),
            Some((name, _)) if name.eq_ignore_ascii_case("nsslapd-secureport") => {
                format!("{name}: {ldaps}\n")
            }
            _ => format!("{line}\n"),
        });
        fs::write(file, lines.collect::<String>()).expect("a file can be written");
    }
}

/// Into its NSS database, in which the previous certificate goes by the same name.
fn install_certificate(folder: &Path) {
    let configuration = folder.join(CONFIGURATION);
    let bundle = folder.join("ds/server.p12");
    let mut export = Command::new(program("openssl", "openssl"));
    export.current_dir(folder).args(["pkcs12", "-export", "-name", "Server-Cert"]);
    export.args(["-inkey", "server.key", "-in", "server.pem", "-passout", "pass:", "-out"]);
    output(export.arg(&bundle));
    output(Command::new("chown").arg(format!("{USER}:{USER}")).arg(&bundle));
    let tool = |name: &str| {
        let mut command = as_user(folder, program(name, "libnss3-tools"));
        command.arg("-d").arg(&configuration);
        command
    };
    let password = configuration.join("pwdfile.txt");
    // There is none the first time.
    tool("certutil").args(["-F", "-n", "Server-Cert", "-f"]).arg(&password).output().ok();
    output(tool("pk12util").arg("-i").arg(&bundle).args(["-W", "", "-k"]).arg(&password));
    let mut authority = tool("certutil");
    authority.args(["-A", "-n", "authority", "-t", "CT,,", "-a", "-i"]);
    output(authority.arg(folder.join("ca.pem")).arg("-f").arg(&password));
}

/// Groups get their members when all of them are there: the plugin looks at what is there.
fn seed() -> String {
    let mut entries = inet::surroundings();
    entries.extend(inet::people(state));
    entries.extend(inet::groups());
    let members = GROUPS
        .iter()
        .map(|group| add_values(&inet::group(group.name), "member", &inet::members(group)));
    let members: String = members.collect();
    let reader = inet::service();
    let rule = format!(
        "(targetattr=\"*\")(version 3.0; acl \"gatepost reads\"; allow (read, search, compare) \
         userdn=\"ldap:///{reader}\";)"
    );
    [ldif::entries(&entries), members, add_values(BASE, "aci", &[rule])].concat()
}

fn state(person: &Person, entry: Entry) -> Entry {
    match person.state {
        State::Enabled => entry,
        State::Disabled => entry.with("nsAccountLock", "true"),
        State::Expired => entry
            .with("objectClass", "krbPrincipalAux")
            .with("krbPrincipalExpiration", "20190101000000Z"),
        State::Locked => entry.with("accountUnlockTime", "20380101000000Z"),
    }
}
