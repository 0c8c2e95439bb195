//! Bytes to words and back. No sockets and no tokio here: the codecs are pure.

pub mod milter;
pub mod policy_delegation;
mod text;
