//! The trail of a decision: every step, what it found and which entry settled it. Steps are small
//! values; `story` turns them into sentences when somebody asks.

use smallvec::SmallVec;

use crate::decision::Reason;
use crate::rights::{AccountState, DomainClass, Finding, Restriction, Source};

/// The checks, in the order in which they are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Check {
    Standing,
    Submit,
    Sender,
    Recipient,
    Relay,
    Quota,
    Detector,
}

impl Check {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standing => "standing",
            Self::Submit => "submit",
            Self::Sender => "sender",
            Self::Recipient => "recipient",
            Self::Relay => "relay",
            Self::Quota => "quota",
            Self::Detector => "detector",
        }
    }
}

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Pass,
    /// Passed since the directory gave no answer and `on-failure = "pass"`.
    PassByFailure,
    /// There was nothing to ask.
    NotAsked,
    /// Settles the question.
    Objects(Reason),
    /// Would have objected, but is only observing.
    WouldObject(Reason),
    /// Grants that only observe would have changed a refusal to a pass.
    WouldPass,
}

/// What an outcome rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// The quota has room, or nearly none; how much is left.
    QuotaLeft,
    /// The quota has no room.
    QuotaExceeded,
    /// The quota that only observes has no room.
    QuotaObserved,
    /// The suspension that stands.
    Suspended,
    /// The finding of this decision.
    Found,
    /// The finding of this decision that only observes.
    ObservedFound,
    /// Held, which this listener cannot do.
    CannotHold,
    /// The finding of this decision, which suspends nobody while the breaker is open.
    BreakerOpen,
    /// Asked again: as it was answered before.
    AnsweredBefore,
    /// The counters are as they use to be, or nearly at a limit.
    Usual {
        watched: bool,
    },
    /// There is no directory, no grant and no relay list.
    RightsNotJudged,
    NoDirectory,
    ModeOff,
    /// Handed in on the mail server itself.
    LocalSubmission,
    NoLogin,
    /// This stage has no recipient to judge; the number that was accepted.
    NoRecipient(u32),
    /// The login is a gateway's own.
    GatewayLogin,
    State(AccountState),
    NotInDirectory,
    AmbiguousInDirectory,
    DirectorySilent,
    /// The owner of the envelope sender, not the login.
    AuthorState(AccountState),
    /// A login is needed here, and the client is not trusted either.
    LoginNeeded,
    /// No login, but a trusted client.
    TrustedClient(Source),
    TrustedGateway,
    Right(Finding),
    Sender(Finding),
    /// The recipient's domain needs no relay right, or is not ours to look up.
    Class(DomainClass),
    RecipientFound(Restriction),
    RecipientNotFound,
    Relay {
        client: Finding,
        login: Finding,
        routed: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub check: Check,
    pub outcome: Outcome,
    pub because: Because,
}

/// Up to two steps for each of the six checks.
pub type Trail = SmallVec<[Step; 8]>;
