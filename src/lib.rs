pub mod mail;
pub mod wire;
pub mod rights;
