//! What gatepost answers of each person, login, address and list, the same for every server.

mod logins;
mod mail;
mod rights;

use crate::client::Client;
use crate::gatepost::Gatepost;
use crate::openldap::{Groups, OpenLdap, Settings};
use crate::samba::SambaAd;
use crate::source::Source;
use crate::{ds389::Ds389, samba};
use crate::{inet, ldif};
use std::fmt::Display;

/// A gatepost before one server.
struct Place {
    gatepost: Gatepost,
    kind: Kind,
    reader: Client,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    ActiveDirectory,
    OpenLdap,
    Ds389,
}

#[test]
fn samba() {
    let controller = SambaAd::start();
    let gatepost = Gatepost::start(&Source::of_samba(&controller), "");
    Place { gatepost, kind: Kind::ActiveDirectory, reader: controller.reader() }.hold();
}

#[test]
fn openldap_without_member_of() {
    openldap(Groups::Plain);
}

#[test]
fn openldap_with_direct_member_of() {
    openldap(Groups::MemberOf);
}

#[test]
fn openldap_with_nested_member_of() {
    openldap(Groups::Dynlist);
}

fn openldap(groups: Groups) {
    let server = OpenLdap::start(&Settings { groups, ..Settings::default() });
    let gatepost = Gatepost::start(&Source::of_openldap(&server, groups), "");
    Place { gatepost, kind: Kind::OpenLdap, reader: server.reader() }.hold();
}

#[test]
fn ds389() {
    let server = Ds389::start();
    let gatepost = Gatepost::start(&Source::of_ds389(&server), "");
    Place { gatepost, kind: Kind::Ds389, reader: server.reader() }.hold();
}

impl Place {
    fn hold(mut self) {
        let mut rows = Rows::default();
        rights::hold(&self, &mut rows);
        logins::hold(&self, &mut rows);
        mail::hold(&self, &mut rows);
        rows.end(&self.gatepost);
        self.gatepost.wait_for_log(
            "the configuration names a group that the directory does not have: it has no members \
             group=\"no-such-group\"",
        );
    }

    fn user(&self, login: &str) -> String {
        match self.kind {
            Kind::ActiveDirectory => samba::user(login),
            Kind::OpenLdap | Kind::Ds389 => inet::user(login),
        }
    }

    /// A value of the server itself.
    fn value(&self, login: &str, attribute: &str) -> Vec<u8> {
        let printed = self.reader.read(&self.user(login), &[attribute]);
        let mut values = ldif::values(&printed, attribute);
        values.pop().unwrap_or_else(|| panic!("{login} has no {attribute}"))
    }
}

/// Told together: which were wrong, what was expected and what was found.
#[derive(Default)]
struct Rows {
    wrong: Vec<String>,
}

impl Rows {
    fn row(&mut self, name: impl Display, expected: &str, found: &str) {
        if expected != found {
            self.wrong.push(format!("{name}: expected {expected}, found {found}"));
        }
    }

    #[track_caller]
    fn end(self, gatepost: &Gatepost) {
        assert!(self.wrong.is_empty(), "\n{}\n{}", self.wrong.join("\n"), gatepost.log());
    }
}
