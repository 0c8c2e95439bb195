//! Where a server of the tests may listen.

use std::net::TcpListener;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Free loopback ports, none given twice in this run. They lie below what Linux gives to outgoing
/// connections (ip_local_port_range, from 32768), which could take one before its server does.
pub fn free_ports<const N: usize>() -> [u16; N] {
    const RANGE: Range<usize> = 16000..32000;
    static TRIED: AtomicUsize = AtomicUsize::new(0);
    // Runs at the same time have different pids and begin apart.
    let begin = std::process::id() as usize * 200;
    [(); N].map(|()| {
        loop {
            let number = begin + TRIED.fetch_add(1, Ordering::SeqCst);
            let port = (RANGE.start + number % RANGE.len()) as u16;
            if TcpListener::bind(("127.0.0.1", port)).is_ok() {
                break port;
            }
        }
    })
}
