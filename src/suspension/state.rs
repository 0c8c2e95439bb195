//! How an account stands, in one word.

/// Of several that hold at once the first of this list that is not `Normal`, from the bottom up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    Normal,
    /// Near a limit that suspends.
    Watched,
    /// Mail of it was held.
    Held,
    /// Lately suspended.
    Probation,
    /// Spared tests for a time.
    Exempt,
    /// May not send.
    Suspended,
}

impl State {
    pub const ALL: [State; 6] = [
        State::Normal,
        State::Watched,
        State::Held,
        State::Probation,
        State::Exempt,
        State::Suspended,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Watched => "watched",
            Self::Held => "held",
            Self::Probation => "probation",
            Self::Exempt => "exempt",
            Self::Suspended => "suspended",
        }
    }

    /// The ways of the life cycle. A suspended account comes back by probation or an exemption alone, and a probation
    /// comes from a suspension alone, or from under an exemption that ends.
    pub const fn may_become(self, next: Self) -> bool {
        use State::{Exempt, Held, Normal, Probation, Suspended, Watched};
        match (self, next) {
            (_, Suspended | Exempt) => true,
            (Suspended | Exempt | Probation, Probation) => true,
            (Normal | Watched | Held, Probation) => false,
            (Suspended, Normal | Watched | Held) => false,
            // A held account is not told of as watched: it calms down, or it is held again.
            (Held, Watched) => false,
            (_, Normal | Watched | Held) => true,
        }
    }
}
