//! The daemon with the embedded store when things go wrong: killed at 200 moments, its disk full, its file damaged,
//! taken away or of another release. Each point is a whole daemon under load: it starts in milliseconds, so that all
//! of them stay below a minute and a half on two cores. Figures with a million logins are of `benches/store_start`.

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
