//! What the tests of both protocols serve connections with.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::daemon::connection::Service;
use crate::decision::{AtEnd, ChargeAt, Facing, Hold, Listener, OnGrant, Rules};
use crate::directory::{Answer, Author, Directory};
use crate::engine::Engine;
use crate::ledger::HashKey;
use crate::mail::{AccountKey, Address, Login, Protocol};
use crate::observe::{LoggedDecisions, Observer};
use crate::rights::{Groups, Lookup, Mode, RecipientLookup};
use crate::store::Memory;

/// By rules that judge nothing; `answer_within` is as long as `idle_timeout`.
pub fn service(
    protocol: Protocol,
    mode: Mode,
    idle_timeout: Duration,
    directory: Option<Arc<dyn Directory>>,
) -> Service {
    let listener = Listener {
        name: "test".into(),
        mta: "mx".into(),
        protocol,
        facing: Facing::Internet,
        mode,
        on_grant: OnGrant::Dunno,
        charge_at: ChargeAt::Never,
        at_end: AtEnd::Refuse,
        hold: Hold::Pass,
    };
    let store = Arc::new(Memory::new(NonZeroUsize::MIN));
    Service {
        engine: Arc::new(Engine::new(directory, store, HashKey::default(), Rules::default())),
        observer: Arc::new(Observer::new(LoggedDecisions::None)),
        listener: Arc::new(listener),
        idle_timeout,
        answer_within: idle_timeout,
        id_header: false,
        stop: CancellationToken::new(),
    }
}

/// Panics at every question.
pub struct Broken;

impl Directory for Broken {
    fn lookup<'a>(&'a self, _: &'a Login, _: &'a Groups) -> Answer<'a, Lookup> {
        panic!("a fault of our own")
    }

    fn recipient<'a>(&'a self, _: &'a Address, _: Author<'a>) -> Answer<'a, RecipientLookup> {
        panic!("a fault of our own")
    }

    fn path<'a>(&'a self, _: &'a AccountKey, _: &'a str) -> Answer<'a, Vec<String>> {
        panic!("a fault of our own")
    }
}
