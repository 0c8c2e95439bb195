//! What gatepost is told of each server: `[directory.ldap]`, and grants that name the groups in
//! every way there is.

use crate::ds389::Ds389;
use crate::inet;
use crate::openldap::{Groups, OpenLdap};
use crate::people::{ODD_GROUP, SERVICE_PASSWORD};
use crate::samba::{self, SambaAd};
use std::path::Path;

#[derive(Clone)]
pub struct Source {
    /// The line that says where the servers are.
    pub servers: String,
    /// Keys of `[directory.ldap]`.
    pub keys: String,
    /// Keys of the tables below it.
    pub tls: String,
    pub bind: String,
    pub attributes: String,
    /// `[[grant]]` and `[[sender.grant]]`.
    pub grants: String,
    pub password: String,
}

impl Source {
    pub fn ldap(&self) -> String {
        let Source { servers, keys, tls, bind, attributes, .. } = self;
        format!(
            "[directory.ldap]\n{servers}\n{keys}\n[directory.ldap.tls]\n{tls}\n\
             [directory.ldap.bind]\n{bind}\n[directory.ldap.attributes]\n{attributes}\n"
        )
    }

    pub fn of_samba(controller: &SambaAd) -> Source {
        // With \ as it may stand in a DN, so in single quotation marks.
        let sid = samba::object_sid(&controller.reader(), &samba::group("No-Mail"));
        Source {
            servers: servers(&[&controller.url()]),
            keys: format!(
                r#"schema = "active-directory"
base = "{}"
netbios = ["{}"]
login-forms = ["sAMAccountName", "userPrincipalName", "mail", "proxyAddresses", "objectGUID", "objectSid"]"#,
                samba::BASE,
                samba::NETBIOS
            ),
            tls: trusts(controller.server.folder()),
            bind: simple(&samba::service()),
            attributes: String::new(),
            // AD compares DNs without case.
            grants: grants(
                &samba::group("Mail-Relay").to_uppercase(),
                &sid,
                &samba::group(ODD_GROUP),
            ),
            password: SERVICE_PASSWORD.into(),
        }
    }

    pub fn of_openldap(server: &OpenLdap, groups: Groups) -> Source {
        let member_of = match groups {
            Groups::Plain => "",
            Groups::MemberOf | Groups::Dynlist => "member-of = \"memberOf\"\n",
        };
        let forms = r#""uid", "mail", "proxyAddresses", "mailAlternateAddress", "eduPersonPrincipalName", "entryUUID""#;
        let keys = format!("schema = \"rfc2307bis\"\nlogin-forms = [{forms}]");
        let attributes = format!("{member_of}disabled = [\"nsAccountLock\"]\n");
        Source::of_inet(&server.url(), server.server.folder(), &keys, &attributes)
    }

    pub fn of_ds389(server: &Ds389) -> Source {
        let forms = r#""uid", "mail", "proxyAddresses", "mailAlternateAddress", "eduPersonPrincipalName", "nsUniqueId""#;
        let keys = format!("schema = \"freeipa\"\nlogin-forms = [{forms}]");
        Source::of_inet(&server.url(), server.server.folder(), &keys, "")
    }

    fn of_inet(url: &str, folder: &Path, keys: &str, attributes: &str) -> Source {
        Source {
            servers: servers(&[url]),
            keys: format!("{keys}\nbase = \"{}\"", inet::BASE),
            tls: trusts(folder),
            bind: simple(&inet::service()),
            attributes: format!("{attributes}{RESTRICTIONS}"),
            grants: grants(
                &inet::group("Mail-Relay").to_uppercase(),
                &inet::group("No-Mail"),
                &inet::group(ODD_GROUP),
            ),
            password: SERVICE_PASSWORD.into(),
        }
    }
}

pub fn servers(urls: &[&str]) -> String {
    format!("servers = {urls:?}")
}

/// The authority of the suite, as this server's folder has it.
pub fn trusts(folder: &Path) -> String {
    format!("ca-file = \"{}\"", folder.join("ca.pem").display())
}

pub fn simple(dn: &str) -> String {
    format!("dn = \"{dn}\"\npassword-file = \"bind.pw\"")
}

/// Mail-Submit by name, the others as it is told; and a group that is nowhere.
fn grants(relay: &str, deny: &str, odd: &str) -> String {
    format!(
        r#"[[grant]]
group = "Mail-Submit"
submit = "allow"
[[grant]]
group = '{relay}'
submit = "allow"
relay = "allow"
[[grant]]
group = '{deny}'
submit = "deny"
[[grant]]
group = "No-Such-Group"
submit = "deny"
[[sender.grant]]
group = "Press"
as = ["press@example.org"]
[[sender.grant]]
group = '{odd}'
as = ["odd@example.org"]
"#
    )
}

/// What Active Directory has by itself.
const RESTRICTIONS: &str = r#"addresses = ["mail", "proxyAddresses", "mailAlternateAddress"]
authenticated-only = "msExchRequireAuthToSendTo"
accept-from = "authOrig"
accept-from-groups = "dLMemSubmitPerms"
reject-from = "unauthOrig"
reject-from-groups = "dLMemRejectPerms"
"#;
