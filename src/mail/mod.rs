//! The words of the trade as value types. Nothing here knows of a protocol, a rule or a socket.

mod address;
mod client;
mod facts;
mod login;
mod mode;
mod reply;
pub mod rfc_3339;
mod stage;
mod time;

pub use address::{Address, AddressFault, FoldedAddress, fold_domain};
pub use client::{Certificate, Client};
pub use facts::{Envelope, Facts, Protocol};
pub use login::{AccountKey, Login, LoginForm};
pub use mode::Mode;
pub use reply::{Enhanced, Reply, ReplyFault, SmtpReply, printable, visible};
pub use stage::Stage;
pub use time::Timestamp;
