//! One pure function from facts to decision: what was asked and what is known, under the rules.

mod charge;
mod checks;
mod decide;
mod entries;
mod holders;
mod id;
mod portrait;
mod quota_check;
mod quota_words;
mod quotas;
mod reason;
mod replies;
mod rules;
mod story;
mod trail;
mod words;

pub use charge::{Breakers, Charge, judge};
pub use decide::{Case, Decision, QuotaTold, decide};
pub use holders::{Holders, HoldersEnd, HoldersEntry, HoldersHead, HoldersLine, RightHolder};
pub use id::{DecisionId, fingerprint};
pub use portrait::{
    Found, May, Portrait, ShownAccount, ShownEntry, ShownGroup, ShownRight, ShownSenders, Verdict,
};
pub use quotas::{
    Exceeded, Limit, Limits, OnExceed, Quota, QuotaFor, QuotaVerdict, Quotas, Rate, Remaining,
    Watched, judge_quotas, remaining,
};
pub use reason::Reason;
pub use replies::{Names as ReplyNames, Replies, Template, TemplateFault};
pub use rules::{
    AtEnd, ChargeAt, DetectorRules, Facing, Gateway, GatewayMatch, Hold, Identity, Known,
    KnownAuthor, Listener, OnFailure, OnGrant, RecipientRules, Retention, Rewrite, Rules,
    SenderRules, Standing,
};
pub use story::{Paths, Story, StoryStep};
pub use trail::{Because, Check, Outcome, Step, Trail};
