//! What gatepost tells of a peer whose bytes it cannot read.

use crate::page::metric;
use crate::process::Program;
use crate::site::Site;

pub const CLOSED: &str = "connection closed without an answer";

#[track_caller]
pub fn assert_told(gatepost: &Program, times: usize, says: &str) {
    let told = gatepost.wait_for_logs(CLOSED, times);
    assert_eq!(told.len(), times, "{told:#?}");
    let last = &told[times - 1];
    assert!(last.contains(" WARN ") && last.contains(says), "{says:?} in {last:?}");
    assert!(last.contains("socket=\"") && last.contains("peer=\""), "{last:?}");
}

/// Counted before it is told, so no wait is needed after the log line.
pub fn counted(site: &Site, protocol: &str, kind: &str) -> i64 {
    let labels = format!("kind=\"{kind}\",protocol=\"{protocol}\"");
    metric(site.http, &format!("gatepost_protocol_errors_total{{{labels}}}"))
}
