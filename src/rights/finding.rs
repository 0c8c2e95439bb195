//! What the configuration says of one right of one subject, and by which entry.

/// The entry that settled a right. Indexes count from 0 in the order of the configuration; they are
/// small, since every decision carries some on its trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    Grant(u32),
    SenderGrant(u32),
    OwnAddress,
    NullSender,
    Network(u32),
    Host(u32),
    Certificate(u32),
    /// `[relay] authenticated = true`
    Authenticated,
    /// `[relay] networks-are = "all-except"`, and the client is not on the list.
    EverybodyElse,
}

impl Source {
    /// Whether the entry speaks of this very subject, and not of everybody at once.
    pub const fn names_subject(self) -> bool {
        !matches!(self, Self::Authenticated | Self::EverybodyElse)
    }
}

/// The state of one right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Nothing speaks of it, so it is denied: silence is no.
    Silent,
    /// It may be allowed, but the directory cannot say now.
    MaybeAllowed(Source),
    Allowed(Source),
    /// It may be denied, but the directory cannot say now. It outweighs an allow: a deny is never
    /// skipped because the directory is slow.
    MaybeDenied(Source),
    Denied(Source),
}

impl Finding {
    /// Of two findings the one that settles: deny, perhaps deny, allow, perhaps allow, silence. Of
    /// equals the first.
    pub fn or(self, other: Self) -> Self {
        if other.rank() > self.rank() { other } else { self }
    }

    const fn rank(self) -> u8 {
        match self {
            Self::Silent => 0,
            Self::MaybeAllowed(_) => 1,
            // What lets everybody through says less than an entry that names the subject.
            Self::Allowed(source) if !source.names_subject() => 2,
            Self::Allowed(_) => 3,
            Self::MaybeDenied(_) => 4,
            Self::Denied(_) => 5,
        }
    }

    pub const fn source(self) -> Option<Source> {
        match self {
            Self::Silent => None,
            Self::MaybeAllowed(source)
            | Self::Allowed(source)
            | Self::MaybeDenied(source)
            | Self::Denied(source) => Some(source),
        }
    }

    /// Only what takes away: for evidence too weak to give a right.
    pub fn denials_only(self) -> Self {
        match self {
            Self::Denied(_) | Self::MaybeDenied(_) => self,
            _ => Self::Silent,
        }
    }
}
