//! The daemon with the embedded store when things go wrong: killed at 200 moments, its disk full (a tmpfs: mounting one
//! needs root), its file damaged, taken away or of another release. Each of the 200 is a whole daemon under load, since it
//! starts in milliseconds: ten sites with twenty kills, two of them while it starts, one after thousands of answers, so
//! that usage is old. Together a minute on two cores. Figures with a million logins are those of `benches/store_start`.

mod client;
mod compare;
mod deeds;
mod failing;
mod kills;
#[path = "../common/process.rs"]
#[allow(dead_code)]
mod process;
mod questions;
mod refused;
mod site;
