//! The events that nobody has acted on yet, as they stand on disk.

use std::collections::BTreeMap;

use crate::record::Event;

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
    pub fn new(committed: BTreeMap<u64, Event>) -> Self {
        let next = committed.last_key_value().map_or(0, |(place, _)| place + 1);
        Self { committed, next, ..Self::default() }
    }

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
