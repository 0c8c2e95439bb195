//! What the milter protocol has that policy delegation has not.

mod beside_policy;
mod draining;
mod failure;
mod id_header;
mod local_submission;
mod quarantine;
mod restart;
mod sessions;
mod snippets;
mod versions;
