//! Where a server of the tests may listen.

use std::net::{Ipv4Addr, TcpListener};
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

/// A free loopback address, none given twice in this run, for a server whose ports are fixed.
pub fn free_address(ports: &[u16]) -> Ipv4Addr {
    static TRIED: AtomicUsize = AtomicUsize::new(0);
    let begin = std::process::id() as usize * 20;
    loop {
        let number = begin + TRIED.fetch_add(1, Ordering::SeqCst);
        let address = Ipv4Addr::new(127, 80, (number / 250 % 250) as u8, (number % 250 + 1) as u8);
        if ports.iter().all(|port| TcpListener::bind((address, *port)).is_ok()) {
            break address;
        }
    }
}
