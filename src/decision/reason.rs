//! Why a mail is refused: one word, one default reply, one thing that would change it.

use std::fmt;

/// Every cause of a refusal. The default replies follow RFC 3463, RFC 5248 and RFC 4954; each cause
/// has a sentence of its own, since the one text of Exchange's old 5.7.1 misled everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    LoginRequired,
    RelayWithoutLogin,
    RelayMissing,
    RelayDenied,
    SubmitMissing,
    SubmitDenied,
    SenderNotOwned,
    AccountDisabled,
    AccountExpired,
    AccountLocked,
    LoginNotFound,
    LoginAmbiguous,
    AccountSuspended,
    Suspected,
    QuotaExceeded,
    QuotaRejected,
    RecipientUnknown,
    RecipientAuthenticatedOnly,
    RecipientRestricted,
    RecipientDenied,
    DirectorySilent,
    OwnFault,
}

impl Reason {
    pub const ALL: [Reason; 22] = [
        Reason::LoginRequired,
        Reason::RelayWithoutLogin,
        Reason::RelayMissing,
        Reason::RelayDenied,
        Reason::SubmitMissing,
        Reason::SubmitDenied,
        Reason::SenderNotOwned,
        Reason::AccountDisabled,
        Reason::AccountExpired,
        Reason::AccountLocked,
        Reason::LoginNotFound,
        Reason::LoginAmbiguous,
        Reason::AccountSuspended,
        Reason::Suspected,
        Reason::QuotaExceeded,
        Reason::QuotaRejected,
        Reason::RecipientUnknown,
        Reason::RecipientAuthenticatedOnly,
        Reason::RecipientRestricted,
        Reason::RecipientDenied,
        Reason::DirectorySilent,
        Reason::OwnFault,
    ];

    /// The word used in metrics, logs and as a key of `[replies]`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LoginRequired => "login-required",
            Self::RelayWithoutLogin => "relay-without-login",
            Self::RelayMissing => "relay-missing",
            Self::RelayDenied => "relay-denied",
            Self::SubmitMissing => "submit-missing",
            Self::SubmitDenied => "submit-denied",
            Self::SenderNotOwned => "sender-not-owned",
            Self::AccountDisabled => "account-disabled",
            Self::AccountExpired => "account-expired",
            Self::AccountLocked => "account-locked",
            Self::LoginNotFound => "login-not-found",
            Self::LoginAmbiguous => "login-ambiguous",
            Self::AccountSuspended => "account-suspended",
            Self::Suspected => "suspected",
            Self::QuotaExceeded => "quota-exceeded",
            Self::QuotaRejected => "quota-rejected",
            Self::RecipientUnknown => "recipient-unknown",
            Self::RecipientAuthenticatedOnly => "recipient-authenticated-only",
            Self::RecipientRestricted => "recipient-restricted",
            Self::RecipientDenied => "recipient-denied",
            Self::DirectorySilent => "directory-silent",
            Self::OwnFault => "own-fault",
        }
    }

    /// Whether the cause passes without anybody's doing, or is a trouble of our own.
    pub const fn is_passing(self) -> bool {
        matches!(
            self,
            Self::AccountLocked
                | Self::LoginAmbiguous
                | Self::Suspected
                | Self::QuotaExceeded
                | Self::DirectorySilent
                | Self::OwnFault
        )
    }

    /// Code, enhanced status code and text; `{login}`, `{sender}`, `{recipient}` and `{domain}` are
    /// filled in.
    pub const fn default_reply(self) -> &'static str {
        match self {
            Self::LoginRequired => "530 5.7.0 Authentication required",
            Self::RelayWithoutLogin => {
                "550 5.7.1 Unable to relay for {recipient}: not logged in and not in a relay network"
            }
            Self::RelayMissing | Self::RelayDenied => {
                "550 5.7.1 {login} has no relay right: mail to {domain} is not allowed"
            }
            Self::SubmitMissing | Self::SubmitDenied => "550 5.7.1 {login} has no submit right",
            Self::SenderNotOwned => "553 5.7.1 {login} may not send as {sender}",
            Self::AccountDisabled => "550 5.7.13 The account {login} is disabled",
            Self::AccountExpired => "550 5.7.13 The account {login} has expired",
            Self::AccountLocked => {
                "450 4.7.13 The account {login} is locked for now, try again later"
            }
            Self::LoginNotFound => "550 5.7.1 {login} is not known to the directory",
            Self::LoginAmbiguous => {
                "451 4.3.5 {login} names more than one account; please tell the postmaster"
            }
            Self::AccountSuspended => "550 5.7.13 Sending is suspended for this account",
            Self::Suspected => "451 4.7.1 This message cannot be taken now, try again later",
            Self::QuotaExceeded => {
                "450 4.7.28 {login} has reached its sending quota, try again later"
            }
            Self::QuotaRejected => "550 5.7.28 {login} has reached its sending quota",
            Self::RecipientUnknown => "550 5.1.1 {recipient} is not known here",
            Self::RecipientAuthenticatedOnly => {
                "550 5.7.1 {recipient} takes mail from logged-in senders only"
            }
            Self::RecipientRestricted => {
                "550 5.7.2 {recipient} takes mail from its list of senders only"
            }
            Self::RecipientDenied => "550 5.7.1 {recipient} does not take mail from this sender",
            Self::DirectorySilent => "451 4.4.3 The directory does not answer, try again later",
            Self::OwnFault => "451 4.3.0 Temporary fault, try again later",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
