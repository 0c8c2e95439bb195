//! What a suspension turned out to be, and how it ended.

/// What a person who releases an account says of its suspension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// The login was stolen: what the thief taught is forgotten.
    TruePositive,
    /// It was its owner, and may do so again.
    FalsePositive,
    /// It was its owner, who writes to many by trade.
    AuthorisedBulk,
}

impl Verdict {
    pub const ALL: [Verdict; 3] =
        [Verdict::TruePositive, Verdict::FalsePositive, Verdict::AuthorisedBulk];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TruePositive => "true-positive",
            Self::FalsePositive => "false-positive",
            Self::AuthorisedBulk => "authorised-bulk",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.as_str() == word)
    }
}

/// How a suspension came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ending {
    Released(Verdict),
    /// Its time was over.
    Expired,
    /// An exemption took effect on it.
    Exempted,
}

impl Ending {
    pub const ALL: [Self; 5] = [
        Self::Released(Verdict::TruePositive),
        Self::Released(Verdict::FalsePositive),
        Self::Released(Verdict::AuthorisedBulk),
        Self::Expired,
        Self::Exempted,
    ];

    /// The word in metrics, incidents and the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Released(verdict) => verdict.as_str(),
            Self::Expired => "expired",
            Self::Exempted => "exempted",
        }
    }

    /// A person said that its owner sent that mail.
    pub const fn is_false_alarm(self) -> bool {
        matches!(
            self,
            Self::Exempted | Self::Released(Verdict::FalsePositive | Verdict::AuthorisedBulk)
        )
    }
}
