//! An authority that all servers of the suite share, a certificate for each, and one of a client,
//! by openssl(1).

use crate::cache;
use crate::process::{output, program};
use std::fs::{self, Permissions};
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// The name in the client certificate, for SASL EXTERNAL.
pub const CLIENT: &str = "svc-ext";

/// Leaves `ca.pem`, and `server.pem`, `server.key`, `client.pem` and `client.key`. The server's is
/// good for this name, for localhost and for this address.
pub fn make(folder: &Path, name: &str, address: Ipv4Addr) {
    authority(folder);
    let names = format!("subjectAltName=DNS:{name},DNS:localhost,IP:{address}");
    issue(folder, "server", name, &["-addext", &names]);
    issue(folder, "client", CLIENT, &[]);
}

fn authority(folder: &Path) {
    let target = folder.join("authority");
    cache::copy("authority", "1", &target, |unfinished| {
        fs::create_dir(unfinished).expect("a folder can be made");
        request(unfinished, "ca", "directory test authority", &["-days", "3650"]);
    });
    for file in ["ca.pem", "ca.key"] {
        fs::rename(target.join(file), folder.join(file)).expect("a file can be moved");
    }
    fs::remove_dir(target).expect("an empty folder can be removed");
}

fn issue(folder: &Path, file: &str, common_name: &str, more: &[&str]) {
    let signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-days", "3650"];
    let leaf = ["-addext", "basicConstraints=critical,CA:FALSE"];
    request(folder, file, common_name, &[&signed[..], &leaf, more].concat());
}

fn request(folder: &Path, file: &str, common_name: &str, more: &[&str]) {
    let mut command = Command::new(program("openssl", "openssl"));
    command.current_dir(folder).args(["req", "-x509", "-newkey", "ec", "-nodes"]);
    command.args(["-pkeyopt", "ec_paramgen_curve:prime256v1"]);
    command.args(["-subj", &format!("/CN={common_name}")]).args(more);
    command.args(["-keyout", &format!("{file}.key"), "-out", &format!("{file}.pem")]);
    output(&mut command);
    // Samba takes no key that others may read.
    fs::set_permissions(folder.join(format!("{file}.key")), Permissions::from_mode(0o600))
        .expect("an own file takes a mode");
}
