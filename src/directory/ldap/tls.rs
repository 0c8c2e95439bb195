//! TLS towards the directory: by rustls, with the CA file of the configuration or the system's
//! certificates. The files are read for each connection, so that a renewed one counts at once.
//! All of it blocks on files, and the text of a fault names the file.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore};

use crate::directory::ldap::settings::Tls;

/// What a connection is made with.
pub(super) fn client_config(tls: &Tls) -> Result<Arc<ClientConfig>, String> {
    let roots = match &tls.ca_file {
        Some(path) => authorities(path)?,
        None => authorities_of_the_system()?,
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|fault| fault.to_string())?
        .with_root_certificates(roots);
    Ok(Arc::new(match &tls.client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let identity = identity(certificates(certificate)?, private_key(key)?)
                .map_err(|fault| format!("{}: {fault}", key.display()))?;
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity)))
        }
    }))
}

/// As [`client_config`], for whoever else is called: without a certificate of one's own.
pub(crate) fn client_config_for(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    client_config(&Tls { ca_file: ca_file.map(Into::into), ..Tls::default() })
}

/// Whom a CA file trusts.
pub(crate) fn authorities(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|fault| format!("{}: {fault}", path.display()))?;
    }
    Ok(roots)
}

fn authorities_of_the_system() -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err("this system knows no CA certificate: set ca-file".into());
    }
    Ok(roots)
}

/// All certificates of a PEM file; at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let told = |fault| told(path, fault, "certificate");
    let found = CertificateDer::pem_file_iter(path).map_err(told)?;
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(told)?;
    match found.is_empty() {
        true => Err(told(pem::Error::NoItemsFound)),
        false => Ok(found),
    }
}

/// The first private key of a PEM file.
pub(crate) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_file(path).map_err(|fault| told(path, fault, "private key"))
}

/// A certificate with its chain, and the key that belongs to it.
pub(crate) fn identity(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, String> {
    CertifiedKey::from_der(chain, key, &default_provider()).map_err(|fault| match fault {
        rustls::Error::InconsistentKeys(_) => "another key than that of the certificate".into(),
        fault => fault.to_string(),
    })
}

fn told(path: &Path, fault: pem::Error, wanted: &str) -> String {
    let path = path.display();
    match fault {
        pem::Error::Io(fault) => format!("{path}: {fault}"),
        pem::Error::NoItemsFound => format!("{path}: holds no {wanted} in PEM form"),
        fault => format!("{path}: {fault}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};

    #[test]
    fn a_certificate_needs_its_own_key_and_a_fault_names_the_file() {
        let folder = std::env::temp_dir().join(format!("gatepost-tls-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let written = |name: &str, text: String| {
            let path = folder.join(name);
            std::fs::write(&path, text).expect("written");
            path
        };
        let pair = |name: &str| {
            let key = KeyPair::generate().expect("a key");
            let params = CertificateParams::new(["gatepost.example.org".into()]).expect("a name");
            let certificate = params.self_signed(&key).expect("signed");
            let certificate = written(&format!("{name}.pem"), certificate.pem());
            (certificate, written(&format!("{name}.key"), key.serialize_pem()))
        };
        let (certificate, key) = pair("client");
        let (_, other) = pair("other");
        let torn = written("torn.pem", "-----BEGIN CERTIFICATE-----\nMII*\n".into());
        let missing = folder.join("missing");
        assert_eq!(authorities(&certificate).map(|roots| roots.len()), Ok(1));
        let with = |key: &Path| {
            let client = Some((certificate.clone(), key.to_path_buf()));
            client_config(&Tls { ca_file: Some(certificate.clone()), client, ..Tls::default() })
        };
        assert!(with(&key).is_ok());
        for (fault, what) in [
            (with(&other).err(), "other.key: another key than that of the certificate"),
            (with(&certificate).err(), "client.pem: holds no private key in PEM form"),
            (with(&missing).err(), "missing: No such file or directory (os error 2)"),
            (authorities(&missing).err(), "missing: No such file or directory (os error 2)"),
            (authorities(&key).err(), "client.key: holds no certificate in PEM form"),
            (authorities(&torn).err(), "torn.pem: missing section end marker"),
            (authorities(&folder).err(), ": Is a directory"),
        ] {
            let fault = fault.expect(what);
            assert!(fault.starts_with(&folder.display().to_string()), "{fault}");
            assert!(fault.contains(what), "{fault}");
        }
        std::fs::remove_dir_all(&folder).expect("removed");
    }
}
