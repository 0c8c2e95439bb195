//! The last decisions, for `explain --id`.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::decision::DecisionId;
use crate::engine::Judged;

/// About 1 KiB each. Refusals are what people ask about, so passes do not push them out.
const OBJECTIONS: usize = 4096;
const PASSES: usize = 1024;

/// Two bounded memories: of objections, and of the rest.
#[derive(Default)]
pub struct Recent {
    objections: Mutex<VecDeque<Arc<Judged>>>,
    passes: Mutex<VecDeque<Arc<Judged>>>,
}

impl Recent {
    pub(super) fn keep(&self, judged: Arc<Judged>, objects: bool) {
        let (memory, limit) = match objects {
            true => (&self.objections, OBJECTIONS),
            false => (&self.passes, PASSES),
        };
        let mut memory = memory.lock();
        let oldest = if memory.len() == limit { memory.pop_front() } else { None };
        memory.push_back(judged);
        drop(memory);
        drop(oldest);
    }

    /// The latest decision with this id.
    pub fn find(&self, id: DecisionId) -> Option<Arc<Judged>> {
        [&self.objections, &self.passes].into_iter().find_map(|memory| {
            memory.lock().iter().rev().find(|judged| judged.decision.id == id).cloned()
        })
    }
}
