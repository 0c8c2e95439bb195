//! Gatepost answers mail servers: may this login send this mail, and is
//! it still its owner?
//!
//! The modules are the rooms of ARCHITECTURE.md, in its order: each imports only those before it.

pub mod mail;
pub mod settings;
pub mod wire;
pub mod rights;
pub mod ledger;
pub mod detector;
pub mod suspension;

pub mod record;
pub mod decision;
pub mod directory;
pub mod store;
pub mod queue;
pub mod history;
pub mod action;
pub mod engine;
pub mod backtest;
pub mod observe;
pub mod config;
pub mod admin;
pub mod daemon;
pub mod queue_helper;
pub mod cli;
