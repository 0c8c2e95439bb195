//! OpenLDAP's slapd (2.5 and newer) on free ports of 127.0.0.1, its database loaded by slapadd(8).

use crate::authority;
use crate::client::{Bind, Client};
use crate::folder::Folder;
use crate::inet::{self, BASE};
use crate::ldif::{self, Entry};
use crate::people::{GROUPS, Person, SERVICE_PASSWORD, State};
use crate::ports::free_ports;
use crate::process::{output, program};
use crate::schema;
use crate::server::Server;
use rustix::process::Signal;
use std::fmt::Write;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

const MANAGER_PASSWORD: &str = "manager";
/// An account that gets no more than the default of 500 entries.
const LIMITED: &str = "limited";

pub struct OpenLdap {
    pub server: Server,
    pub ldap: u16,
    pub ldaps: u16,
}

/// What a server is started with.
#[derive(Clone)]
pub struct Settings {
    pub groups: Groups,
    pub seed: Seed,
    /// In seconds; 0: connections are never closed for being idle.
    pub idle_timeout_s: u32,
    /// Whether a simple bind needs TLS.
    pub insists_on_tls: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            groups: Groups::Plain,
            seed: Seed::Small,
            idle_timeout_s: 0,
            insists_on_tls: true,
        }
    }
}

/// How memberOf comes about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Groups {
    /// It does not.
    Plain,
    /// By the overlay memberof: of groups that are one's own, not of those above them.
    MemberOf,
    /// By the overlay dynlist, computed when it is asked for, of all groups above.
    Dynlist,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Seed {
    Small,
    /// Beside the small one u00000 to u09999, g0000 to g0999 with 50 of them each, and `all-staff`
    /// with the first 5,000.
    Big,
}

pub const USERS: usize = 10_000;
pub const GROUPS_OF_USERS: usize = 1_000;
pub const STAFF: usize = 5_000;

impl OpenLdap {
    pub fn start(settings: &Settings) -> OpenLdap {
        let folder = Folder::make();
        let path = &folder.path;
        authority::make(path, "ldap.example.org", Ipv4Addr::LOCALHOST);
        fs::create_dir(path.join("database")).expect("a folder can be made");
        fs::write(path.join("slapd.conf"), configuration(path, settings))
            .expect("a file can be written");
        fs::write(path.join("seed.ldif"), seed(settings)).expect("a file can be written");
        let mut load = Command::new(program("slapadd", "slapd"));
        load.arg("-q").arg("-f").arg(path.join("slapd.conf")).arg("-l").arg(path.join("seed.ldif"));
        output(&mut load);

        let [ldap, ldaps] = free_ports();
        let stranger = Client {
            // Without TLS, since some tests give it a certificate that nobody takes.
            url: format!("ldap://127.0.0.1:{ldap}"),
            folder: path.clone(),
            bind: Bind::Anonymous,
            starttls: false,
        };
        let server = Server::start("slapd", folder, stranger, move |folder| {
            let mut command = Command::new(program("slapd", "slapd"));
            command.arg("-f").arg(folder.join("slapd.conf"));
            command.args(["-h", &format!("ldap://127.0.0.1:{ldap} ldaps://127.0.0.1:{ldaps}")]);
            // In the foreground, with a line for each operation (`stats`).
            command.args(["-d", "256"]);
            command
        });
        OpenLdap { server, ldap, ldaps }
    }

    pub fn url(&self) -> String {
        format!("ldaps://127.0.0.1:{}", self.ldaps)
    }

    /// Starts again with one of the certificates of [`authority::of_stranger`].
    pub fn certify(&mut self, name: &str) {
        self.server.stop(Signal::TERM);
        let folder = self.server.folder();
        for kind in ["pem", "key"] {
            let (from, to) = (format!("{name}.{kind}"), format!("server.{kind}"));
            fs::copy(folder.join(from), folder.join(to)).expect("a file can be copied");
        }
        self.server.run();
    }

    /// The account that gatepost binds as.
    pub fn reader(&self) -> Client {
        self.client(&inet::service(), SERVICE_PASSWORD)
    }

    pub fn manager(&self) -> Client {
        self.client(&format!("cn=manager,{BASE}"), MANAGER_PASSWORD)
    }

    /// As an account that the server gives 500 entries, and then says that there are more.
    pub fn limited(&self) -> Client {
        self.client(&limited(), SERVICE_PASSWORD)
    }

    pub fn client(&self, dn: &str, password: &str) -> Client {
        Client::by_password(self.url(), self.server.folder(), dn, password)
    }

    /// How often the present run was asked, but for the root DSE.
    pub fn searches(&self) -> usize {
        inet::searches(&self.server.written())
    }
}

/// The account of [`OpenLdap::limited`], which may also change who is in the group Empty.
pub fn limited() -> String {
    format!("cn={LIMITED},ou=Services,{BASE}")
}

fn configuration(folder: &Path, settings: &Settings) -> String {
    let folder = folder.display();
    let service = inet::service();
    let (types, class) =
        schema::definitions(&["mailAlternateAddress", "eduPersonPrincipalName", "nsAccountLock"]);
    let types: String = types.iter().map(|each| format!("attributetype {each}\n")).collect();
    let overlay = match settings.groups {
        Groups::Plain => "",
        Groups::MemberOf => {
            "overlay memberof\nmemberof-group-oc groupOfNames\nmemberof-dangling ignore\n"
        }
        // The star: nested groups too (slapo-dynlist(5)).
        Groups::Dynlist => {
            "overlay dynlist\n\
             dynlist-attrset groupOfURLs memberURL member+memberOf@groupOfNames*\n"
        }
    };
    let strength = if settings.insists_on_tls { "simple_bind=128" } else { "simple_bind=0" };
    let idle_timeout = settings.idle_timeout_s;
    format!(
        "include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/dyngroup.schema
attributetype ( 2.16.840.1.113730.3.1.13 NAME 'mailAlternateAddress' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.5923.1.1.1.6 NAME 'eduPersonPrincipalName' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 2.16.840.1.113730.3.1.610 NAME 'nsAccountLock' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
{types}objectclass {class}
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
moduleload dynlist
moduleload syncprov
moduleload ppolicy
TLSCACertificateFile {folder}/ca.pem
TLSCertificateFile {folder}/server.pem
TLSCertificateKeyFile {folder}/server.key
TLSVerifyClient try
authz-regexp \"^cn={client}$\" \"{service}\"
security {strength}
sizelimit 500
idletimeout {idle_timeout}
threads 4
database mdb
suffix \"{BASE}\"
rootdn \"cn=manager,{BASE}\"
rootpw {MANAGER_PASSWORD}
directory {folder}/database
maxsize 1073741824
dbnosync
limits dn.exact=\"{service}\" size=unlimited
index objectClass,uid,cn,mail,mailAlternateAddress,proxyAddresses,member,memberUid eq
index entryUUID,entryCSN eq
access to attrs=userPassword by anonymous auth by * none
access to dn.exact=\"{empty}\" attrs=member by dn.exact=\"{limited}\" write by users read
access to * by users read by * none
overlay syncprov
syncprov-sessionlog 10000
overlay ppolicy
{overlay}",
        client = authority::CLIENT,
        empty = inet::group("Empty"),
        limited = limited(),
    )
}

/// All entries, with ids that are the same in each server.
fn seed(settings: &Settings) -> String {
    let suffix = Entry::new(BASE, &["dcObject", "organization"]).with("dc", "example");
    let mut entries = vec![suffix.with("o", "Example")];
    entries.extend(inet::surroundings());
    entries.push(inet::account(LIMITED));
    entries.extend(inet::people(|person, entry| {
        let entry = state(person, entry);
        match settings.groups {
            // As the overlay itself would have left it; slapadd does not run it.
            Groups::MemberOf => {
                entry.with_all("memberOf", direct_groups(&inet::user(person.login)))
            }
            _ => entry,
        }
    }));
    let groups = GROUPS.iter().zip(inet::groups()).map(|(group, entry)| {
        let entry = entry.with_all("member", inet::members(group));
        match settings.groups {
            Groups::MemberOf => entry.with_all("memberOf", direct_groups(&inet::group(group.name))),
            _ => entry,
        }
    });
    entries.extend(groups);
    if settings.seed == Seed::Big {
        entries.extend(big());
    }
    let mut text = String::new();
    for (number, entry) in entries.into_iter().enumerate() {
        let id = format!("00000000-0000-4000-8000-{number:012x}");
        write!(text, "{}", ldif::entries(&[entry.with("entryUUID", id)])).expect("a string grows");
    }
    text
}

fn state(person: &Person, entry: Entry) -> Entry {
    match person.state {
        State::Enabled => entry,
        State::Disabled => entry.with("nsAccountLock", "TRUE"),
        // A day of 2019.
        State::Expired => entry.with("objectClass", "shadowAccount").with("shadowExpire", "18000"),
        // Since then (slapo-ppolicy(5)); 000001010000Z would be for good.
        State::Locked => entry.with("pwdAccountLockedTime", "20190101000000Z"),
    }
}

fn direct_groups(member: &str) -> Vec<String> {
    let groups = GROUPS.iter().filter(|group| inet::members(group).iter().any(|dn| dn == member));
    groups.map(|group| inet::group(group.name)).collect()
}

fn big() -> impl Iterator<Item = Entry> {
    let dn = |number: usize| format!("uid=u{number:05},ou=People,{BASE}");
    let users = (0..USERS).map(move |number| {
        let login = format!("u{number:05}");
        Entry::new(&dn(number), &["inetOrgPerson"])
            .with("uid", &login)
            .with("cn", &login)
            .with("sn", &login)
            .with("mail", format!("{login}@example.org"))
    });
    // Each user is in five.
    let groups = (0..GROUPS_OF_USERS).map(move |group| {
        let members = (0..5 * USERS / GROUPS_OF_USERS).map(|each| group * 10 + each);
        Entry::new(&inet::group(&format!("g{group:04}")), &["groupOfNames"])
            .with("cn", format!("g{group:04}"))
            .with_all("member", members.map(|number| dn(number % USERS)))
    });
    let staff = Entry::new(&inet::group("all-staff"), &["groupOfNames"])
        .with("cn", "all-staff")
        .with_all("member", (0..STAFF).map(dn));
    users.chain(groups).chain([staff])
}
