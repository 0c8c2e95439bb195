//! Samba as a domain controller of Active Directory (4.17 and newer): LDAP and the global catalogue
//! alone, on a loopback address of its own, since its ports cannot be chosen.

use crate::authority;
use crate::cache;
use crate::client::{Bind, Client};
use crate::folder::Folder;
use crate::ldif::{self, Entry, add_values, replace_values};
use crate::people::{
    DISTRIBUTION_GROUP, GROUPS, LISTS, List, ODD_GROUP, PEOPLE, PRIMARY_GROUP, Person, SERVICE,
    SERVICE_PASSWORD, State,
};
use crate::ports::free_address;
use crate::process::{output, program};
use crate::schema::{Attribute, RESTRICTIONS, Syntax};
use crate::server::Server;
use rustix::process::Signal;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

pub const BASE: &str = "DC=ad,DC=example,DC=org";
pub const REALM: &str = "AD.EXAMPLE.ORG";
pub const NETBIOS: &str = "EXAMPLE";
/// u00000 and so on, all of them in the group `all-staff`.
pub const USERS: usize = 200;
/// Failed binds that lock an account, for good.
pub const LOCKOUT_THRESHOLD: usize = 3;

const ADMINISTRATOR: &str = "administrator@ad.example.org";
const ADMINISTRATOR_PASSWORD: &str = "Passw0rd-Admin!";
const USER_PASSWORD: &str = "User-Passw0rd!";
const PORTS: [u16; 4] = [389, 636, 3268, 3269];

pub struct SambaAd {
    pub server: Server,
    pub address: Ipv4Addr,
}

impl SambaAd {
    /// A controller of the one domain that all are copies of: same objects, SIDs and GUIDs. Nothing is
    /// replicated between them.
    pub fn start() -> SambaAd {
        SambaAd::start_on(|target| {
            cache::copy("samba", &recipe(), target, |unfinished| {
                let seeded = SambaAd::start_on(provision);
                seeded.seed();
                seeded.keep(unfinished);
            });
        })
    }

    fn start_on(database: impl FnOnce(&Path)) -> SambaAd {
        let folder = Folder::make();
        let address = free_address(&PORTS);
        authority::make(&folder.path, "dc.ad.example.org", address);
        database(&folder.path.join("dc"));
        fs::write(folder.path.join("smb.conf"), configuration(&folder.path, address))
            .expect("a file can be written");
        let url = format!("ldaps://{address}");
        let certificates = folder.path.clone();
        let stranger = Client { url, folder: certificates, bind: Bind::Anonymous, starttls: false };
        let server = Server::start("samba", folder, stranger, |folder| {
            // Otherwise it reads a configuration from the environment.
            let mut command = clean(program("samba", "samba-ad-dc"));
            command.args(["--interactive", "--no-process-group", "--model=single"]);
            command.arg("--debug-stdout").arg("-s").arg(folder.join("smb.conf"));
            command
        });
        SambaAd { server, address }
    }

    pub fn url(&self) -> String {
        format!("ldaps://{}", self.address)
    }

    /// The account that gatepost binds as.
    pub fn reader(&self) -> Client {
        self.client(&service(), SERVICE_PASSWORD)
    }

    pub fn administrator(&self) -> Client {
        self.client(ADMINISTRATOR, ADMINISTRATOR_PASSWORD)
    }

    pub fn client(&self, dn: &str, password: &str) -> Client {
        Client::by_password(self.url(), self.server.folder(), dn, password)
    }

    /// By samba-tool(8), as the help desk does.
    pub fn set_password(&self, login: &str, password: &str) {
        let mut command = clean(program("samba-tool", "samba-ad-dc"));
        command.env("HOME", self.server.folder());
        command.args(["user", "setpassword", login]).arg(format!("--newpassword={password}"));
        output(command.arg("-s").arg(self.server.folder().join("smb.conf")));
    }

    fn seed(&self) {
        let administrator = self.administrator();
        administrator.modify(&exchange_schema());
        administrator.modify(&seed());
        let sid = object_sid(&administrator, &group(PRIMARY_GROUP));
        let (_, rid) = sid.rsplit_once('-').expect("a SID ends with the RID");
        // It is no longer a value of `member` then.
        administrator.modify(&replace_values(&user("prim1"), "primaryGroupID", &[rid]));
        administrator.modify(&lockout());
        for locked in PEOPLE.iter().filter(|person| person.state == State::Locked) {
            for _ in 0..LOCKOUT_THRESHOLD {
                assert!(!self.client(&user(locked.login), "wrong").can_bind());
            }
        }
    }

    /// Ends, and leaves the database.
    fn keep(mut self, target: &Path) {
        self.server.stop(Signal::TERM);
        let database = self.server.folder().join("dc");
        output(Command::new("cp").arg("--archive").arg(database).arg(target));
    }
}

/// The DN of a person.
pub fn user(login: &str) -> String {
    let name = Person::by_login(login).common_name();
    format!("CN={},OU=People,{BASE}", ldif::escape(name))
}

pub fn group(name: &str) -> String {
    format!("CN={},OU=Groups,{BASE}", ldif::escape(name))
}

pub fn service() -> String {
    format!("CN={SERVICE},OU=Services,{BASE}")
}

/// In its string form.
pub fn object_sid(client: &Client, dn: &str) -> String {
    let found = ldif::values(&client.read(dn, &["objectSid"]), "objectSid");
    sid(found.first().unwrap_or_else(|| panic!("{dn} has no SID")))
}

/// MS-DTYP 2.4.2.2: revision, count, authority, and the count of little-endian numbers.
pub fn sid(bytes: &[u8]) -> String {
    let numbers = bytes[8..].chunks(4).map(|four| {
        let number = u32::from_le_bytes(four.try_into().expect("four bytes"));
        format!("-{number}")
    });
    format!("S-{}-{}{}", bytes[0], bytes[7], numbers.collect::<String>())
}

/// All that the database hangs on.
fn recipe() -> String {
    let version = output(clean(program("samba", "samba-ad-dc")).arg("--version"));
    [version, exchange_schema(), seed(), lockout(), include_str!("samba.rs").into()].concat()
}

fn provision(target: &Path) {
    let nothing = target.with_extension("conf");
    // Otherwise /etc/samba/smb.conf is merged into the new one.
    fs::write(&nothing, "[global]\n").expect("a file can be written");
    // The schema is in a package that none of the others depends on.
    let schema = Path::new("/usr/share/samba/setup/ad-schema");
    assert!(
        schema.is_dir(),
        "the schema of AD is missing: install the Debian package samba-ad-provision"
    );
    let mut command = clean(program("samba-tool", "samba-ad-dc"));
    command.env("HOME", target);
    command.args(["domain", "provision", "--server-role=dc", "--dns-backend=NONE"]);
    command.args(["--host-name=dc", "--host-ip=127.0.0.1", "--function-level=2008_R2"]);
    command.arg(format!("--realm={REALM}")).arg(format!("--domain={NETBIOS}"));
    command.arg(format!("--adminpass={ADMINISTRATOR_PASSWORD}"));
    command.arg(format!("--targetdir={}", target.display())).arg("-s").arg(nothing);
    command.args(["--option=interfaces=127.0.0.1/8", "--option=bind interfaces only=yes"]);
    output(&mut command);
}

/// Without the environment: another python would hide Debian's, which has Samba's modules.
fn clean(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command
}

fn configuration(folder: &Path, address: Ipv4Addr) -> String {
    let folder = folder.display();
    format!(
        "[global]
realm = {REALM}
workgroup = {NETBIOS}
netbios name = DC
server role = active directory domain controller
server services = ldap
dcerpc endpoint servers =
interfaces = {address}/8
bind interfaces only = yes
disable netbios = yes
tls enabled = yes
tls certfile = {folder}/server.pem
tls keyfile = {folder}/server.key
tls cafile = {folder}/ca.pem
ldap server require strong auth = yes
dsdb:schema update allowed = yes
log level = 1
private dir = {folder}/dc/private
state directory = {folder}/dc/state
cache directory = {folder}/dc/cache
lock directory = {folder}/dc/lock
binddns dir = {folder}/dc/dns
ncalrpc dir = {folder}/dc/ncalrpc
pid directory = {folder}/dc
"
    )
}

/// Samba's schema has no Exchange; here its restrictions are on every mail recipient.
fn exchange_schema() -> String {
    const NOW: &str = "dn:\nchangetype: modify\nadd: schemaUpdateNow\nschemaUpdateNow: 1\n\n";
    let schema = format!("CN=Schema,CN=Configuration,{BASE}");
    let attributes = RESTRICTIONS.map(|Attribute { name, common_name, oid, syntax }| {
        let entry = Entry::new(&format!("CN={common_name},{schema}"), &["attributeSchema"])
            .with("lDAPDisplayName", name)
            .with("attributeID", oid);
        // MS-ADTS 3.1.1.2.2.2
        match syntax {
            Syntax::DistinguishedName => entry
                .with("attributeSyntax", "2.5.5.1")
                .with("oMSyntax", "127")
                .with("oMObjectClass", b"\x2b\x0c\x02\x87\x73\x1c\x00\x85\x4a")
                .with("isSingleValued", "FALSE"),
            Syntax::Boolean => entry
                .with("attributeSyntax", "2.5.5.8")
                .with("oMSyntax", "1")
                .with("isSingleValued", "TRUE"),
        }
    });
    let names = RESTRICTIONS.map(|attribute| attribute.name);
    let recipient = add_values(&format!("CN=Mail-Recipient,{schema}"), "mayContain", &names);
    [ldif::entries(&attributes), NOW.into(), recipient, NOW.into()].concat()
}

fn lockout() -> String {
    // A duration of 0: until somebody unlocks it.
    replace_values(BASE, "lockoutDuration", &["0"])
        + &replace_values(BASE, "lockoutThreshold", &[LOCKOUT_THRESHOLD.to_string()])
}

fn seed() -> String {
    let units = ["People", "Groups", "Services", "Lists"]
        .map(|name| Entry::new(&format!("OU={name},{BASE}"), &["organizationalUnit"]));
    let service = account(Entry::new(&service(), &["user"]), SERVICE, PASSWORD_NEVER_EXPIRES)
        .with("unicodePwd", unicode_password(SERVICE_PASSWORD));
    let contact = Entry::new(&format!("CN=Partner,OU=People,{BASE}"), &["contact"])
        .with("mail", "partner@example.org");
    let mut entries: Vec<Entry> = units.into_iter().chain([service, contact]).collect();
    entries.extend(PEOPLE.iter().map(person));
    let staff = (0..USERS).map(|number| format!("u{number:05}"));
    let staff: Vec<Entry> = staff.map(|login| staff_member(&login)).collect();
    let everybody: Vec<&str> = staff.iter().map(|entry| entry.dn.as_str()).collect();

    entries.extend(GROUPS.iter().map(|each| {
        let kind = if each.name == DISTRIBUTION_GROUP { DISTRIBUTION } else { SECURITY };
        // What a sAMAccountName may not have (MS-ADTS 3.1.1.8.1.6) is in the odd one's name.
        let name = if each.name == ODD_GROUP { "grp-odd" } else { each.name };
        group_entry(&group(each.name), name, kind)
    }));
    entries.push(group_entry(&group("all-staff"), "all-staff", SECURITY));
    entries.extend(LISTS.iter().map(list));
    let members = GROUPS.iter().filter_map(|each| {
        let people = each.people.iter().map(|login| user(login));
        let members: Vec<String> =
            people.chain(each.groups.iter().map(|name| group(name))).collect();
        (!members.is_empty()).then(|| add_values(&group(each.name), "member", &members))
    });
    let members: String = members.collect();
    let staff_members = add_values(&group("all-staff"), "member", &everybody);
    [ldif::entries(&entries), ldif::entries(&staff), members, staff_members].concat()
}

/// userAccountControl (MS-ADTS 2.2.16)
const DISABLED: u32 = 0x2;
const PASSWORD_NOT_REQUIRED: u32 = 0x20;
const NORMAL: u32 = 0x200;
const PASSWORD_NEVER_EXPIRES: u32 = 0x10000;

/// groupType (MS-ADTS 2.2.12): universal, and whether it counts for security.
const DISTRIBUTION: &str = "8";
const SECURITY: &str = "-2147483640";

fn account(entry: Entry, login: &str, control: u32) -> Entry {
    entry.with("sAMAccountName", login).with("userAccountControl", (NORMAL | control).to_string())
}

fn person(person: &Person) -> Entry {
    let control = match person.state {
        State::Disabled => PASSWORD_NOT_REQUIRED | DISABLED,
        _ => PASSWORD_NOT_REQUIRED,
    };
    let entry = account(Entry::new(&user(person.login), &["user"]), person.login, control)
        .with("mail", person.mail())
        .with_all("proxyAddresses", person.proxy_addresses());
    let entry = match person.login {
        // Another suffix than the domain's.
        "bob" => entry.with("userPrincipalName", "bob.builder@login.example.org"),
        // Without one, Windows takes sAMAccountName@domain for it.
        "carol" => entry,
        login => entry.with("userPrincipalName", format!("{login}@ad.example.org")),
    };
    match (person.login, person.state) {
        // 2019.
        (_, State::Expired) => entry.with("accountExpires", "132000000000000000"),
        ("alice", _) | (_, State::Locked) => {
            entry.with("unicodePwd", unicode_password(USER_PASSWORD))
        }
        _ => entry,
    }
}

fn staff_member(login: &str) -> Entry {
    let entry = Entry::new(&format!("CN={login},OU=People,{BASE}"), &["user"]);
    account(entry, login, PASSWORD_NOT_REQUIRED)
        .with("mail", format!("{login}@example.org"))
        .with("userPrincipalName", format!("{login}@ad.example.org"))
}

fn group_entry(dn: &str, name: &str, kind: &str) -> Entry {
    Entry::new(dn, &["group"]).with("sAMAccountName", name).with("groupType", kind)
}

fn list(list: &List) -> Entry {
    let dn = format!("CN={},OU=Lists,{BASE}", list.name);
    let entry = group_entry(&dn, list.name, DISTRIBUTION)
        .with("mail", list.mail())
        .with("proxyAddresses", format!("SMTP:{}", list.mail()))
        .with_all("authOrig", list.accept_from.iter().map(|login| user(login)))
        .with_all("dLMemSubmitPerms", list.accept_from_groups.iter().map(|name| group(name)))
        .with_all("unauthOrig", list.reject_from.iter().map(|login| user(login)))
        .with_all("dLMemRejectPerms", list.reject_from_groups.iter().map(|name| group(name)));
    match list.authenticated_only {
        true => entry.with("msExchRequireAuthToSendTo", "TRUE"),
        false => entry,
    }
}

/// In quotation marks, UTF-16 (MS-ADTS 3.1.1.3.1.5.1).
pub fn unicode_password(password: &str) -> Vec<u8> {
    format!("\"{password}\"").encode_utf16().flat_map(u16::to_le_bytes).collect()
}
