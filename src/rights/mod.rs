//! Directory groups, networks, hosts and certificates to submit right, relay right and the right
//! to a sender address. What a directory cannot say now is Unknown, never No.

mod account;
mod domains;
mod finding;
mod grants;
mod names;
mod relay_list;

/// Said with rights, and with all else that is judged.
pub use crate::mail::Mode;
pub use account::{
    Account, AccountState, Groups, Holder, Lookup, Membership, Memberships, RecipientLookup,
    Restriction,
};
pub use domains::{DomainClass, Domains};
pub use finding::{Finding, Source};
pub use grants::{Grant, Right, Ruling, SenderGrant, Subject, Who, own_sender, resolve, said};
pub use names::Names;
pub use relay_list::{
    CertificateEntry, CertificateName, Certificates, HostEntry, NetworkEntry, RelayList,
};
