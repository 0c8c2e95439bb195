//! The milter session held against what mail servers send and what filters of others got wrong:
//! transcripts of Postfix and Sendmail, bugs from the field, random streams of commands.

mod dialogue;

mod field_bugs;
mod postfix;
mod sendmail;
mod streams;
