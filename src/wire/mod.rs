//! Bytes to words and back. No sockets and no tokio here: the codecs are pure.

pub mod policy_delegation;
