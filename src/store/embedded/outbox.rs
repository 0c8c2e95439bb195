//! The events that nobody has acted on yet, as they stand on disk.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use redb::{Database, ReadableDatabase, ReadableTable};

use crate::record::Event;
use crate::store::embedded::file::{EVENTS, File, OpenFault};

#[derive(Default)]
pub struct Outbox {
    /// On disk, in the order they were made.
    pub committed: BTreeMap<u64, Event>,
    /// To be forgotten by the next commit.
    pub settled: Vec<u64>,
    /// Made, and on their way to disk.
    under_way: usize,
    next: u64,
}

impl Outbox {
    pub fn len(&self) -> usize {
        self.committed.len() + self.under_way
    }

    /// Gives events their places.
    pub fn number(&mut self, events: Vec<Event>) -> Vec<(u64, Event)> {
        let first = self.next;
        self.next += events.len() as u64;
        self.under_way += events.len();
        (first..).zip(events).collect()
    }

    pub fn land(&mut self, events: impl IntoIterator<Item = (u64, Event)>) {
        for (place, event) in events {
            self.under_way -= 1;
            self.committed.insert(place, event);
        }
    }

    pub fn settle(&mut self, id: &str) {
        let place = self.committed.iter().find(|(_, event)| *event.id == *id);
        if let Some(place) = place.map(|(place, _)| *place) {
            self.committed.remove(&place);
            self.settled.push(place);
        }
    }
}

impl File {
    /// As it was left. A damaged event is told in the log and left out, so that the others are acted on.
    pub fn outbox(&self, database: &Database) -> Result<Outbox, OpenFault> {
        let read = || -> Result<Outbox, redb::Error> {
            let mut outbox = Outbox::default();
            for entry in database.begin_read()?.open_table(EVENTS)?.iter()? {
                let (place, packed) = entry?;
                let place = place.value();
                outbox.next = place + 1;
                match self.unpack_event(place, packed.value()) {
                    Some(event) => _ = outbox.committed.insert(place, event),
                    None => tracing::error!(place, "an event of the store's outbox is damaged"),
                }
            }
            Ok(outbox)
        };
        // redb may panic on a damaged page.
        let read = catch_unwind(AssertUnwindSafe(read));
        Ok(read.map_err(|_| OpenFault::Broken("its pages make no sense".into()))??)
    }
}
