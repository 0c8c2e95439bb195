//! `gatepost check --online`: each server, the base, the groups and what the schema promises, tried
//! out one by one.

use std::path::Path;
use std::time::Duration;

use nix::unistd::{AccessFlags, access};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::directory::Examined;
use crate::directory::ldap::Inner;
use crate::directory::ldap::connection::{Connection, Search};
use crate::directory::ldap::fault::Fault;
use crate::directory::ldap::filter::Filter;
use crate::directory::ldap::groups::{Found, GroupSet};
use crate::directory::ldap::resolver::NO_ATTRIBUTES;
use crate::directory::ldap::server::Server;
use crate::rights::Groups;

/// A person waits.
const PATIENCE: Duration = Duration::from_secs(5);

/// A certificate that ends within this is worth a warning.
const SOON_DAYS: i64 = 21;

impl Inner {
    /// Tries everything out; nothing is taken from the cache.
    pub(super) async fn examine(&self, groups: &Groups) -> Vec<Examined> {
        self.find_servers().await;
        let mut found = Vec::new();
        let servers = self.resolver.pool.servers();
        if servers.is_empty() {
            found.push(Examined::fault("directory", "DNS names no server"));
        }
        let mut answers = false;
        for server in servers.iter() {
            answers |= self.examine_server(server, &mut found).await;
        }
        found.extend(self.cache.snapshot.as_deref().map(examine_snapshot));
        if answers {
            self.examine_content(&mut found).await;
            self.examine_groups(groups, &mut found).await;
        }
        found
    }

    async fn examine_server(&self, server: &Server, found: &mut Vec<Examined>) -> bool {
        let begun = (self.clock)();
        let dial = self.resolver.pool.dial();
        let opening = Connection::open(
            &server.address,
            &dial.dns,
            &dial.settings,
            &dial.credential,
            dial.clock,
        );
        let opened = tokio::time::timeout(PATIENCE, opening).await;
        let took = |clock: fn() -> crate::mail::Timestamp| clock().ms_since(begun);
        let connection = match opened {
            Ok(Ok(connection)) => connection,
            Ok(Err(fault)) => {
                found.push(Examined::fault(&server.name, told(&fault, &server.name)));
                return false;
            }
            Err(_) => {
                found.push(Examined::fault(&server.name, "no answer within 5 s"));
                return false;
            }
        };
        let connected = format!("connected and bound in {} ms", took(self.clock));
        found.push(Examined::good(&server.name, connected));
        if let Some(certificate) = connection.certificate() {
            found.push(self.certificate(&server.name, certificate));
        } else if !self.settings.tls.starttls && !server.address.ldaps {
            let what = "no TLS: everybody on the way reads along and may forge answers";
            found.push(Examined::warning(&server.name, what));
        }
        let begun = (self.clock)();
        let base = Search::object(&self.settings.base, NO_ATTRIBUTES);
        let read = tokio::time::timeout(PATIENCE, connection.search(&base, begun)).await;
        let base = &self.settings.base;
        match read {
            Ok(Ok(entries)) if !entries.is_empty() => {
                let ms = (self.clock)().ms_since(begun);
                found.push(Examined::good(&server.name, format!("{base} read in {ms} ms")));
                true
            }
            Ok(Ok(_)) => {
                let what = format!("{base} is not there, or may not be read");
                found.push(Examined::fault(&server.name, what));
                true
            }
            Ok(Err(fault)) => {
                let what = format!("{base}: {}", told(&fault, &server.name));
                found.push(Examined::fault(&server.name, what));
                true
            }
            Err(_) => {
                found.push(Examined::fault(&server.name, format!("{base}: no answer within 5 s")));
                false
            }
        }
    }

    fn certificate(&self, server: &str, der: &[u8]) -> Examined {
        let Ok((_, certificate)) = X509Certificate::from_der(der) else {
            return Examined::warning(server, "the certificate cannot be read");
        };
        let ends = certificate.validity().not_after.timestamp();
        let days = (ends - (self.clock)().unix_ms() / 1000) / 86_400;
        let (subject, issuer) = (certificate.subject(), certificate.issuer());
        let what =
            format!("TLS: certificate of {subject}, by {issuer}, is trusted, {days} days left");
        if days < SOON_DAYS {
            Examined::warning(server, what)
        } else {
            Examined::good(server, what)
        }
    }

    /// Whether there are accounts, and whether their groups can be told.
    async fn examine_content(&self, found: &mut Vec<Examined>) {
        let (resolver, schema) = (&self.resolver, &self.settings.schema);
        let begun = (self.clock)();
        let search = Search::below(
            &self.settings.base,
            schema.user_filter.clone(),
            &resolver.account_attributes(),
        );
        let name = "accounts";
        let entry = match resolver.pool.lookup(&search.at_most(1)).await {
            Ok(mut entries) => entries.pop(),
            Err(fault) => {
                found.push(Examined::fault(name, fault.to_string()));
                return;
            }
        };
        let Some(entry) = entry else {
            let what = format!(
                "none below {} fits {}: every login would be unknown",
                self.settings.base, schema.user_filter
            );
            found.push(Examined::fault(name, what));
            return;
        };
        let ms = (self.clock)().ms_since(begun);
        match resolver.id(&entry) {
            Ok(_) => found.push(Examined::good(name, format!("one found in {ms} ms"))),
            Err(fault) => found.push(Examined::fault(name, fault.to_string())),
        }
        if resolver.is_active_directory() {
            let read = resolver.object(&entry.dn, &Filter::And(Vec::new()), &["tokenGroups"]).await;
            let has_tokens =
                matches!(&read, Ok(Some(entry)) if !entry.values("tokenGroups").is_empty());
            found.push(match has_tokens {
                true => Examined::good(name, "tokenGroups can be read"),
                false => Examined::warning(
                    name,
                    "tokenGroups cannot be read: put gatepost's account into \"Windows Authorization Access Group\"; until then memberships through other domains are missed",
                ),
            });
        }
    }

    async fn examine_groups(&self, groups: &Groups, found: &mut Vec<Examined>) {
        let begun = (self.clock)();
        let set = self.resolver.group_set(groups.folded(), &GroupSet::default(), begun).await;
        let set = match set {
            Ok(set) => set,
            Err(fault) => {
                found.push(Examined::fault("groups", fault.to_string()));
                return;
            }
        };
        for (name, group) in groups.names().zip(&set.found) {
            let name = format!("group \"{name}\"");
            found.push(match group {
                Found::Group(group) => match &group.tree {
                    Some(tree) if tree.is_blind() => {
                        let what = format!(
                            "its members do not show it in {}: may it be read, and does the server keep it for all groups? Until then whoever is not seen in it may be a member",
                            self.settings.schema.member_of
                        );
                        Examined::fault(&name, what)
                    }
                    Some(tree) => {
                        let nested = tree.dns.len() - 1;
                        let what = format!("{}, with {nested} nested in it", group.identity.dn);
                        Examined::good(&name, what)
                    }
                    None => {
                        Examined::fault(&name, "it cannot be read to its end; the log says why")
                    }
                },
                Found::Absent | Found::Vanished(_) => {
                    Examined::warning(&name, "the directory has no such group: it has no members")
                }
                Found::Unreadable(fault) => Examined::fault(&name, fault.to_string()),
                Found::Ambiguous(_) => {
                    Examined::fault(&name, "more than one group has this name; name it by its DN")
                }
            });
        }
        if !groups.is_empty() {
            let ms = (self.clock)().ms_since(begun);
            found.push(Examined::good("groups", format!("read in {ms} ms")));
        }
    }
}

/// Whether the snapshot can be written beside and moved into place, by whoever runs this.
fn examine_snapshot(path: &Path) -> Examined {
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    let shown = path.display();
    match access(folder, AccessFlags::W_OK | AccessFlags::X_OK) {
        Ok(()) => Examined::good("snapshot", format!("{shown} can be written")),
        Err(fault) => {
            let what = format!(
                "{shown} cannot be written ({}): a restart while the directory is silent knows nobody",
                fault.desc()
            );
            Examined::warning("snapshot", what)
        }
    }
}

/// The server stands before the line already.
fn told(fault: &Fault, server: &str) -> String {
    let text = fault.to_string();
    text.strip_prefix(&format!("{server}: ")).unwrap_or(&text).into()
}
