//! Which servers there are, by DNS SRV records (RFC 2782; MS-ADTS 6.3.6 for domain controllers), and
//! at which addresses they are.

use std::net::SocketAddr;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;

use crate::directory::ldap::schema::Kind;
use crate::directory::ldap::settings::{ServerAddress, Servers};

/// Servers beyond this are left alone: a forest may have hundreds of domain controllers, and a few
/// that are near will do.
const MOST: usize = 8;

/// Asks DNS.
pub(super) struct Dns {
    /// `None`: as the system resolves names (getaddrinfo(3), with /etc/hosts).
    resolver: Option<TokioResolver>,
}

impl Dns {
    /// Of a list nothing needs to be discovered.
    pub fn of(servers: &Servers) -> Result<Self, String> {
        let Servers::Discovered { name_servers, .. } = servers else {
            return Ok(Self { resolver: None });
        };
        let builder = if name_servers.is_empty() {
            TokioResolver::builder_tokio().map_err(|fault| format!("resolv.conf: {fault}"))?
        } else {
            let servers = name_servers.iter().map(name_server).collect();
            let config = ResolverConfig::from_name_servers(servers);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        Ok(Self { resolver: Some(builder.build().map_err(|fault| fault.to_string())?) })
    }

    /// The servers in the order in which they are to be asked: by priority, and among equals the
    /// heaviest first, so that all questions go to one and its answers agree.
    pub async fn servers(
        &self,
        servers: &Servers,
        kind: Kind,
    ) -> Result<Vec<ServerAddress>, String> {
        let domain = match servers {
            Servers::Listed(listed) => return Ok(listed.clone()),
            Servers::Discovered { domain, .. } => domain.trim_end_matches('.'),
        };
        let Some(resolver) = &self.resolver else { return Err("no resolver".into()) };
        let name = match kind {
            Kind::ActiveDirectory => format!("_ldap._tcp.dc._msdcs.{domain}."),
            _ => format!("_ldap._tcp.{domain}."),
        };
        let answer =
            resolver.srv_lookup(&*name).await.map_err(|fault| format!("{name}: {fault}"))?;
        let mut found: Vec<_> = answer
            .answers()
            .iter()
            .filter_map(|record| match &record.data {
                RData::SRV(srv) => Some(srv),
                _ => None,
            })
            .collect();
        found.sort_by_key(|srv| (srv.priority, u16::MAX - srv.weight, srv.target.to_string()));
        let servers: Vec<ServerAddress> = found
            .iter()
            .map(|srv| ServerAddress {
                host: srv.target.to_string().trim_end_matches('.').to_ascii_lowercase(),
                port: srv.port,
                ldaps: false,
            })
            // "." says that there is no such service (RFC 2782).
            .filter(|server| !server.host.is_empty())
            .take(MOST)
            .collect();
        if servers.is_empty() { Err(format!("{name}: no server")) } else { Ok(servers) }
    }

    /// The addresses of one server.
    pub async fn addresses(&self, server: &ServerAddress) -> Result<Vec<SocketAddr>, String> {
        let host = &*server.host;
        let Some(resolver) = &self.resolver else {
            let found = tokio::net::lookup_host((host, server.port)).await;
            return Ok(found.map_err(|fault| format!("{host}: {fault}"))?.collect());
        };
        let found = resolver.lookup_ip(host).await.map_err(|fault| format!("{host}: {fault}"))?;
        Ok(found.iter().map(|address| SocketAddr::new(address, server.port)).collect())
    }
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let on_port = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    let connections = vec![on_port(ConnectionConfig::udp()), on_port(ConnectionConfig::tcp())];
    NameServerConfig::new(address.ip(), true, connections)
}
