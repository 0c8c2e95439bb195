//! A throw-away authority with a server certificate and two client certificates, by openssl(1).

use crate::process::{output, program};
use std::path::Path;
use std::process::Command;

/// The client certificate that `[relay] certificates` names.
pub const LISTED: &str = "printer";
/// Signed by the same authority and permitted by the MTA just as well.
pub const UNLISTED: &str = "stranger";

/// Says it is the listed one, and signed itself.
pub const FORGED: &str = "forged";

/// Leaves `ca.pem`, and `<name>.pem` with `<name>.key` for the server and each client.
pub fn make(folder: &Path) {
    issue(folder, "ca", "/CN=lab authority", false);
    issue(folder, "server", "/CN=mx.local.test", true);
    issue(folder, FORGED, &format!("/O=Lab/CN={}", common_name(LISTED)), false);
    for name in [LISTED, UNLISTED] {
        issue(folder, name, &format!("/O=Lab/CN={}", common_name(name)), true);
    }
}

/// Of the client certificate.
pub fn common_name(name: &str) -> String {
    format!("{name}.partner.test")
}

/// The sha256 fingerprint as openssl and Postfix write it: upper-case hex with colons.
pub fn fingerprint(folder: &Path, name: &str) -> String {
    let mut command = openssl(folder);
    command.args(["x509", "-noout", "-fingerprint", "-sha256", "-in"]).arg(format!("{name}.pem"));
    let line = output(&mut command);
    let (_, hex) = line.trim().split_once('=').expect("openssl prints name=fingerprint");
    hex.to_owned()
}

fn issue(folder: &Path, name: &str, subject: &str, signed: bool) {
    let mut command = openssl(folder);
    command.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]);
    command.args(["-days", "2", "-subj", subject]);
    command.arg("-keyout").arg(format!("{name}.key")).arg("-out").arg(format!("{name}.pem"));
    if signed {
        command.args([
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ]);
    }
    output(&mut command);
}

fn openssl(folder: &Path) -> Command {
    let mut command = Command::new(program("openssl", "openssl"));
    command.current_dir(folder);
    command
}
