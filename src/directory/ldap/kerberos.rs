//! SASL GSSAPI (RFC 4752) with the ticket of the environment (`KRB5_CLIENT_KTNAME`, `KRB5CCNAME`).
//! Its messages may be sealed, which the guard of `stream` could not look into, so ldap3 has the
//! connection for itself, TLS included: it binds the ticket to the server's certificate.

use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError, LdapResult, StdStream};
use tokio::net::TcpStream;

use crate::directory::ldap::settings::{ServerAddress, Tls};
use crate::directory::ldap::tls::client_config;

/// A connection, not yet bound.
pub(super) async fn open(
    server: &ServerAddress,
    stream: TcpStream,
    tls: &Tls,
) -> Result<(LdapConnAsync, Ldap), String> {
    let told = |fault: &dyn std::fmt::Display| fault.to_string();
    let stream = stream.into_std().map_err(|fault| told(&fault))?;
    let mut options = LdapConnSettings::new().set_std_stream(StdStream::Tcp(stream));
    if server.ldaps || tls.starttls {
        let settings = tls.clone();
        let config = tokio::task::spawn_blocking(move || client_config(&settings)).await;
        let config = config.map_err(|fault| told(&fault))??;
        options = options.set_config(config).set_starttls(!server.ldaps);
    }
    let opened = LdapConnAsync::with_settings(options, &server.to_string()).await;
    opened.map_err(|fault| told(&fault))
}

/// Binds. The library asks the KDC while it holds its thread, so it gets one of its own.
pub(super) async fn bind(mut ldap: Ldap, host: &str) -> Result<LdapResult, LdapError> {
    let host = host.to_string();
    let runtime = tokio::runtime::Handle::current();
    let bound = tokio::task::spawn_blocking(move || {
        runtime.block_on(async move { ldap.sasl_gssapi_bind(&host).await })
    });
    bound.await.unwrap_or_else(|fault| Err(LdapError::GssapiOperationError(fault.to_string())))
}
