//! TLS towards the directory: by rustls, with the CA file of the configuration or the system's
//! certificates. The files are read for each connection, so that a renewed one counts at once.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::directory::ldap::settings::Tls;

/// What a connection is made with. Blocks on files. The text of a fault names the file.
pub(crate) fn client_config(tls: &Tls) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    match &tls.ca_file {
        Some(path) => {
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|fault| format!("{}: {fault}", path.display()))?;
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
        }
    }
    if roots.is_empty() {
        return Err("no CA certificate is known: set directory.ldap.tls.ca-file".into());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|fault| fault.to_string())?
        .with_root_certificates(roots);
    let config = match &tls.client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates(certificate)?;
            let private = PrivateKeyDer::from_pem_file(key)
                .map_err(|fault| format!("{}: {fault}", key.display()))?;
            builder
                .with_client_auth_cert(chain, private)
                .map_err(|fault| format!("{}: {fault}", certificate.display()))?
        }
    };
    Ok(Arc::new(config))
}

/// All certificates of a PEM file; at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let named = |fault: &dyn std::fmt::Display| format!("{}: {fault}", path.display());
    let found: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).map_err(|fault| named(&fault))?.collect();
    let found = found.map_err(|fault| named(&fault))?;
    if found.is_empty() {
        return Err(named(&"holds no certificate in PEM form"));
    }
    Ok(found)
}
