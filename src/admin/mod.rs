//! HTTP: metrics and health for Prometheus, and the control socket for the command line.

mod control;
mod holds;
mod deeds;
mod looking;
mod notify;
mod page;
mod peer;
mod rights;

pub use control::{Asked, Control, ExplainFault, explain, router as control_router};
pub use deeds::{
    AskedBackup, AskedExempt, AskedRelease, AskedReset, AskedSuspend, Deed, Exempted,
    ExemptionEnded, Forgotten, Released, Suspended,
};
pub use holds::{AskedHolds, AskedQueue, HoldAction, ToldHold};
pub use looking::{
    AskedAudit, AskedIncidents, AskedName, AskedNetwork, ByState, Kept, Status, TopSender,
};
pub use notify::{Actions, AskedTest, Tried, Waits};
pub use page::{Health, router as page_router};
pub use peer::Peer;
pub use rights::{AskedHolders, AskedRights, HoldersFault, holders, portray};
