//! HTTP: metrics and health for Prometheus, and the control socket for the command line.

mod control;
mod notify;
mod page;
mod release;
mod rights;

pub use control::{Asked, Control, ExplainFault, explain, router as control_router};
pub use notify::{AskedTest, Tried, Tryable};
pub use page::{Health, router as page_router};
pub use release::{AskedRelease, Released};
pub use rights::{AskedHolders, AskedRights, HoldersFault, holders, portray};
