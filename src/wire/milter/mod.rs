//! The milter protocol, versions 2 to 6 (Sendmail's libmilter/docs and include/libmilter/mfdef.h;
//! Postfix MILTER_README): packets, commands, replies, negotiation, and the session that ties them.

mod command;
mod fault;
mod frame;
mod macros;
mod negotiation;
mod response;
mod session;

pub use command::{Command, Connection, Path, Peer};
pub use fault::Fault;
pub use frame::{Codec, Frame, PAYLOAD_LIMIT_BYTES};
pub use negotiation::{Agreement, Offer, Wants};
pub use response::{Response, reply_code};
pub use session::{Session, Step};
