pub mod mail;
pub mod wire;
pub mod rights;
pub mod ledger;
pub mod record;
pub mod decision;
