//! HTTP: metrics and health for Prometheus, and the control socket for the command line.

mod control;
mod holds;
mod page;
mod release;
mod rights;

pub use control::{Asked, Control, ExplainFault, explain, router as control_router};
pub use holds::{AskedHolds, HoldAction, ToldHold};
pub use page::{Health, router as page_router};
pub use release::{AskedRelease, Released};
pub use rights::{AskedHolders, AskedRights, HoldersFault, holders, portray};
