//! A syslog of its own for a mail server that knows no log file: what comes to the datagram socket
//! (RFC 3164, as syslog(3) writes it) is appended to a file.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::thread;

pub struct Syslog {
    socket: PathBuf,
}

/// No program of the lab logs this.
const END: &[u8] = b"the end";
/// Longer than any line of Sendmail (conf.h, MAXLINE 2048).
const LINE_BYTES: usize = 8192;

impl Syslog {
    pub fn open(socket: &Path, log: &Path) -> Syslog {
        let receiver = UnixDatagram::bind(socket).expect("a socket can be made");
        // A mailer logs after it has dropped root.
        fs::set_permissions(socket, Permissions::from_mode(0o666)).expect("a socket takes a mode");
        let mut file = File::create(log).expect("the log can be made");
        thread::spawn(move || {
            let mut line = [0; LINE_BYTES];
            while let Ok(length) = receiver.recv(&mut line) {
                let line = line[..length].trim_ascii_end();
                if line == END {
                    return;
                }
                let written = file.write_all(line).and_then(|()| file.write_all(b"\n"));
                written.expect("the log can be written");
            }
        });
        Syslog { socket: socket.to_owned() }
    }
}

impl Drop for Syslog {
    fn drop(&mut self) {
        let sender = UnixDatagram::unbound();
        sender.and_then(|sender| sender.send_to(END, &self.socket)).ok();
    }
}
