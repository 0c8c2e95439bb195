//! The names a directory gives to what we ask of it, for Active Directory, FreeIPA and 389-ds, and
//! OpenLDAP with rfc2307bis or groupOfNames. Every name can be set in the configuration.

/// Which family of directories; what attributes cannot say hangs on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Windows AD and Samba AD.
    ActiveDirectory,
    /// FreeIPA and 389-ds: memberOf is transitive.
    Freeipa,
    /// OpenLDAP and others: groupOfNames, groupOfUniqueNames, posixGroup.
    Rfc2307bis,
    /// All from the configuration, on the ground of Rfc2307bis.
    Custom,
}

impl Kind {
    pub const ALL: [Self; 4] =
        [Self::ActiveDirectory, Self::Freeipa, Self::Rfc2307bis, Self::Custom];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ActiveDirectory => "active-directory",
            Self::Freeipa => "freeipa",
            Self::Rfc2307bis => "rfc2307bis",
            Self::Custom => "custom",
        }
    }
}

/// Filters (RFC 4515) and attribute names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    pub kind: Kind,
    /// What an account is.
    pub user_filter: String,
    pub group_filter: String,
    /// What may be a recipient.
    pub recipient_filter: String,
    /// The stable id of an object; empty: its DN.
    pub id: String,
    /// As people know an account; the first that it has.
    pub names: Vec<String>,
    /// Attributes that hold a login.
    pub login_forms: Vec<String>,
    /// Attributes that hold addresses of accounts and recipients.
    pub addresses: Vec<String>,
    /// Attributes that hold the name of a group.
    pub group_names: Vec<String>,
    /// Attributes of a group that hold the DNs of members.
    pub members: Vec<String>,
    /// Attributes of a group that hold a login of a member, as the first of `names` that it has tells
    /// (posixGroup `memberUid`).
    pub member_logins: Vec<String>,
    /// The attribute of an account or group that holds the DNs of its groups, where the server keeps
    /// it for all of them; empty: the groups are searched for the member.
    pub member_of: String,
    /// True-like: the account is disabled.
    pub disabled: Vec<String>,
    /// A date after which the account has expired.
    pub expires: Vec<String>,
    /// A date, or true-like: the account is locked.
    pub locked: Vec<String>,
    /// When the password was last set; shown only.
    pub password_set: Vec<String>,
    /// Where an account's owner reads mail elsewhere.
    pub other_address: Vec<String>,
    /// True-like: a recipient takes mail from logged-in senders only.
    pub authenticated_only: String,
    /// DNs of those a recipient takes mail from.
    pub accept_from: String,
    /// DNs of groups a recipient takes mail from.
    pub accept_from_groups: String,
    pub reject_from: String,
    pub reject_from_groups: String,
}

fn words(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).into()).collect()
}

impl Schema {
    /// The names of a family.
    pub fn of(kind: Kind) -> Self {
        match kind {
            Kind::ActiveDirectory => Self::active_directory(),
            Kind::Freeipa => Self::freeipa(),
            Kind::Rfc2307bis => Self::rfc2307bis(kind),
            Kind::Custom => Self::rfc2307bis(kind),
        }
    }

    fn active_directory() -> Self {
        Self {
            kind: Kind::ActiveDirectory,
            // SAM_NORMAL_USER_ACCOUNT; indexed, and neither a computer nor a contact (MS-ADTS 2.2.1.9).
            user_filter: "(sAMAccountType=805306368)".into(),
            group_filter: "(objectCategory=group)".into(),
            recipient_filter: "(objectClass=*)".into(),
            id: "objectGUID".into(),
            names: words(&["sAMAccountName"]),
            login_forms: words(&["sAMAccountName", "userPrincipalName", "mail", "proxyAddresses"]),
            addresses: words(&["mail", "proxyAddresses", "userPrincipalName"]),
            group_names: words(&["sAMAccountName", "cn"]),
            members: words(&["member"]),
            member_logins: Vec::new(),
            member_of: "memberOf".into(),
            disabled: words(&["userAccountControl"]),
            expires: words(&["accountExpires"]),
            // The lockout bit is computed (MS-ADTS 3.1.1.4.5.17); lockoutTime alone outlives the lock.
            locked: words(&["msDS-User-Account-Control-Computed"]),
            password_set: words(&["pwdLastSet"]),
            other_address: Vec::new(),
            authenticated_only: "msExchRequireAuthToSendTo".into(),
            accept_from: "authOrig".into(),
            accept_from_groups: "dLMemSubmitPerms".into(),
            reject_from: "unauthOrig".into(),
            reject_from_groups: "dLMemRejectPerms".into(),
        }
    }

    fn freeipa() -> Self {
        Self {
            kind: Kind::Freeipa,
            user_filter: "(|(objectClass=inetOrgPerson)(objectClass=posixAccount))".into(),
            group_filter: "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=posixGroup))".into(),
            // FreeIPA has ipaUniqueID beside it; nsUniqueId is there in every 389-ds.
            id: "nsUniqueId".into(),
            member_of: "memberOf".into(),
            disabled: words(&["nsAccountLock"]),
            expires: words(&["krbPrincipalExpiration"]),
            locked: words(&["accountUnlockTime"]),
            password_set: words(&["krbLastPwdChange"]),
            ..Self::rfc2307bis(Kind::Freeipa)
        }
    }

    fn rfc2307bis(kind: Kind) -> Self {
        Self {
            kind,
            user_filter: "(|(objectClass=inetOrgPerson)(objectClass=posixAccount))".into(),
            group_filter: "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=posixGroup))".into(),
            recipient_filter: "(objectClass=*)".into(),
            id: "entryUUID".into(),
            names: words(&["uid"]),
            login_forms: words(&["uid", "mail"]),
            addresses: words(&["mail"]),
            group_names: words(&["cn"]),
            members: words(&["member", "uniqueMember"]),
            member_logins: words(&["memberUid"]),
            member_of: String::new(),
            disabled: Vec::new(),
            expires: words(&["shadowExpire"]),
            locked: words(&["pwdAccountLockedTime"]),
            password_set: words(&["pwdChangedTime"]),
            other_address: Vec::new(),
            authenticated_only: String::new(),
            accept_from: String::new(),
            accept_from_groups: String::new(),
            reject_from: String::new(),
            reject_from_groups: String::new(),
        }
    }
}
