//! The last decisions, for `explain --id`.

use parking_lot::Mutex;

use crate::decision::DecisionId;
use crate::engine::Judged;

/// Refusals are what people ask about, so passes do not push them out. About 1 KiB each.
pub const OBJECTIONS: usize = 4096;

/// Few, so that remembering a pass stays within the processor's cache.
pub const PASSES: usize = 256;

/// Two bounded memories: of objections, and of the rest.
pub struct Recent {
    objections: Mutex<Ring>,
    passes: Mutex<Ring>,
}

impl Default for Recent {
    fn default() -> Self {
        Self { objections: Mutex::new(Ring::of(OBJECTIONS)), passes: Mutex::new(Ring::of(PASSES)) }
    }
}

/// The last so many decisions; a new one takes the place of the oldest.
struct Ring {
    kept: Vec<(DecisionId, Judged)>,
    limit: usize,
    next: usize,
}

impl Ring {
    fn of(limit: usize) -> Self {
        Self { kept: Vec::new(), limit, next: 0 }
    }

    fn keep(&mut self, id: DecisionId, judged: Judged) {
        if self.kept.len() < self.limit {
            self.kept.push((id, judged));
        } else {
            self.kept[self.next] = (id, judged);
        }
        self.next = (self.next + 1) % self.limit;
    }

    /// The latest first.
    fn find(&self, id: DecisionId) -> Option<&Judged> {
        let (newer, older) = self.kept.split_at(self.next.min(self.kept.len()));
        let mut latest_first = newer.iter().rev().chain(older.iter().rev());
        latest_first.find(|(known, _)| *known == id).map(|(_, judged)| judged)
    }
}

impl Recent {
    pub(super) fn keep(&self, judged: Judged, objects: bool) {
        let memory = if objects { &self.objections } else { &self.passes };
        let id = judged.case().id();
        memory.lock().keep(id, judged);
    }

    /// The latest decision with this id.
    pub fn find(&self, id: DecisionId) -> Option<Judged> {
        [&self.objections, &self.passes]
            .into_iter()
            .find_map(|memory| memory.lock().find(id).cloned())
    }
}
