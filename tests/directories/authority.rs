//! An authority that all servers of the suite share, a certificate for each, and one of a client,
//! by openssl(1), which makes none that has expired; those are by rcgen.

use crate::cache;
use crate::process::{output, program};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
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

/// Leaves `stranger-ca.pem`, another authority, and what it issued for 127.0.0.1: `good`, `expired`,
/// and `elsewhere`, which is for another name.
pub fn of_stranger(folder: &Path) {
    let write = |name: &str, text: &str| {
        fs::write(folder.join(name), text).expect("a file can be written");
    };
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "another authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let authority = params.self_signed(&key).expect("a certificate");
    write("stranger-ca.pem", &authority.pem());
    let issuer = Issuer::new(params, key);
    for (file, name) in
        [("good", "127.0.0.1"), ("expired", "127.0.0.1"), ("elsewhere", "ldap.example.net")]
    {
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        if file == "expired" {
            params.not_after = date_time_ymd(2020, 1, 1);
        }
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &issuer).expect("a certificate");
        write(&format!("{file}.pem"), &certificate.pem());
        write(&format!("{file}.key"), &key.serialize_pem());
    }
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
