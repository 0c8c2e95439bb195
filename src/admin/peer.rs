//! Who is at the other end of the control socket (SO_PEERCRED, unix(7)), and whether he may change anything.

use std::ffi::CString;

use axum::http::StatusCode;
use nix::unistd::{Gid, Group, Uid, User, geteuid, getgrouplist};

use crate::config::{Operator, Operators};

/// The process at the other end, as it was when it connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// `None`: the system does not tell.
    pub uid: Option<u32>,
    pub gid: Option<u32>,
}

impl Peer {
    /// The user's name, as it stands in the audit.
    pub fn name(self) -> String {
        let Some(uid) = self.uid else { return "unknown".into() };
        match User::from_uid(Uid::from_raw(uid)) {
            Ok(Some(user)) => user.name,
            _ => format!("uid {uid}"),
        }
    }

    fn groups(self) -> Vec<Gid> {
        let own = self.gid.map(Gid::from_raw);
        let user = self.uid.and_then(|uid| User::from_uid(Uid::from_raw(uid)).ok().flatten());
        let others = user.and_then(|user| {
            let name = CString::new(user.name).ok()?;
            getgrouplist(&name, user.gid).ok()
        });
        own.into_iter().chain(others.into_iter().flatten()).collect()
    }
}

impl Operators {
    /// The name of the peer, if it may change something.
    pub fn admit(&self, peer: Peer) -> Result<String, (StatusCode, String)> {
        let name = peer.name();
        if self.admits(peer, &name) {
            return Ok(name);
        }
        let why =
            format!("the user {name} may look and change nothing: it is none of control.operators");
        Err((StatusCode::FORBIDDEN, why))
    }

    fn admits(&self, peer: Peer, name: &str) -> bool {
        let Some(names) = &self.names else { return true };
        let Some(uid) = peer.uid else { return false };
        if uid == 0 || uid == geteuid().as_raw() {
            return true;
        }
        let groups = peer.groups();
        names.iter().any(|operator| match operator {
            Operator::User(user) => user == name,
            Operator::Group(group) => match Group::from_name(group) {
                Ok(Some(group)) => groups.contains(&group.gid),
                _ => false,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operators(names: &[Operator]) -> Operators {
        Operators { names: Some(names.to_vec()) }
    }

    fn peer(name: &str) -> Peer {
        let user = User::from_name(name).expect("read").expect("a user of every system");
        Peer { uid: Some(user.uid.as_raw()), gid: Some(user.gid.as_raw()) }
    }

    #[test]
    fn users_and_members_of_groups_are_admitted_and_nobody_else() {
        let by_user = operators(&[Operator::User("daemon".into())]);
        assert_eq!(by_user.admit(peer("daemon")), Ok("daemon".into()));
        let refused = by_user.admit(peer("bin")).expect_err("refused");
        assert_eq!(refused.0, StatusCode::FORBIDDEN);
        assert_eq!(
            refused.1,
            "the user bin may look and change nothing: it is none of control.operators"
        );
        let by_group = operators(&[Operator::Group("bin".into())]);
        assert!(by_group.admit(peer("bin")).is_ok());
        assert!(by_group.admit(peer("daemon")).is_err());
        let nobody = operators(&[]);
        assert!(nobody.admit(peer("daemon")).is_err());
        assert!(nobody.admit(peer("root")).is_ok(), "root can do it anyway");
        assert!(nobody.admit(Peer { uid: None, gid: None }).is_err());
        let everybody = Operators::default();
        assert!(everybody.admit(Peer { uid: None, gid: None }).is_ok());
    }

    #[test]
    fn a_group_that_is_not_there_admits_nobody() {
        let gone = operators(&[Operator::Group("no-such-group-here".into())]);
        assert!(gone.admit(peer("daemon")).is_err());
    }
}
