//! The thread that writes: one commit for all that has changed since the last, at least twice a second, and at
//! once when somebody waits for it. Who asks meanwhile shares the next one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use redb::{Database, ReadableTable};

use crate::store::StoreFault;
use crate::store::embedded::file::{self, EVENTS, Place, RECORDS, ROWS};
use crate::store::embedded::shard::Batch;
use crate::store::embedded::{Inner, unavailable};

/// Usage may be a second behind on disk; a commit takes the other half of it at most.
const EVERY: Duration = Duration::from_millis(500);

/// After a failed commit, so long until the next.
const AGAIN: Duration = Duration::from_secs(1);

/// Records looked at for their age with each commit. Far more than one adds.
const AGED: usize = 256;

#[derive(Default)]
pub struct Asked {
    /// The last round that has begun.
    begun: u64,
    is_urgent: bool,
    is_over: bool,
}

/// How the rounds ended.
#[derive(Default)]
pub struct Rounds {
    /// The last one that came to disk; all before it did with it.
    landed: u64,
    /// The last one that failed, while none has come to disk since.
    failed: Option<(u64, String)>,
}

impl Rounds {
    #[cfg(test)]
    pub fn is_failing(&self) -> bool {
        self.failed.is_some()
    }

    /// `None`: not over yet.
    fn outcome(&self, round: u64) -> Option<Result<(), StoreFault>> {
        match &self.failed {
            _ if self.landed >= round => Some(Ok(())),
            Some((failed, why)) if *failed >= round => Some(Err(unavailable(why))),
            _ => None,
        }
    }
}

impl Inner {
    /// Until all that has changed so far is on disk. While commits fail nobody waits for the next.
    pub(super) async fn commit(&self) -> Result<(), StoreFault> {
        if let Some((_, why)) = &self.rounds.borrow().failed {
            return Err(unavailable(why));
        }
        let mut rounds = self.rounds.subscribe();
        let round = {
            let mut asked = self.asked.lock();
            asked.is_urgent = true;
            asked.begun + 1
        };
        self.wake.notify_one();
        let over = rounds.wait_for(|rounds| rounds.outcome(round).is_some()).await;
        let outcome = over.ok().and_then(|rounds| rounds.outcome(round));
        outcome.unwrap_or_else(|| Err(unavailable("it is closed")))
    }

    pub(super) fn stop(&self) {
        self.asked.lock().is_over = true;
        self.wake.notify_one();
    }

    /// Until the store is dropped.
    pub(super) fn write(&self, mut place: Place) {
        let mut oldest = String::new();
        loop {
            let (round, is_last) = self.next_round();
            let outcome = self.run(&mut place, &mut oldest);
            let is_failed = outcome.is_err();
            self.rounds.send_modify(|rounds| match outcome {
                Ok(()) => {
                    if rounds.failed.take().is_some() {
                        tracing::info!("the store is written again");
                    }
                    rounds.landed = round;
                }
                Err(why) => {
                    if rounds.failed.is_none() {
                        tracing::error!(why, path = %self.file.path.display(),
                            "the store cannot be written; what changes waits in memory");
                    }
                    rounds.failed = Some((round, why));
                }
            });
            (self.on_commit)(!is_failed);
            if is_last {
                return;
            }
            if is_failed {
                let mut asked = self.asked.lock();
                self.wake.wait_while_for(&mut asked, |asked| !asked.is_over, AGAIN);
            }
        }
    }

    fn next_round(&self) -> (u64, bool) {
        let mut asked = self.asked.lock();
        let is_idle = |asked: &mut Asked| !asked.is_urgent && !asked.is_over;
        self.wake.wait_while_for(&mut asked, is_idle, EVERY);
        asked.is_urgent = false;
        asked.begun += 1;
        (asked.begun, asked.is_over)
    }

    fn run(&self, place: &mut Place, oldest: &mut String) -> Result<(), String> {
        let batches: Vec<Arc<Batch>> =
            self.shards.iter().map(|shard| shard.lock().set_out()).collect();
        // After the batches: what was changed because an event is settled never reaches the disk before that does.
        let settled = std::mem::take(&mut self.outbox.lock().settled);
        let is_open = self.database.read().is_some();
        let there = place.check(&self.file.path, is_open);
        let is_there = there.is_ok();
        let is_idle = settled.is_empty() && batches.iter().all(|batch| batch.is_empty());
        if is_idle && is_open && is_there {
            return Ok(());
        }
        // redb may panic on a damaged page.
        let written = catch_unwind(AssertUnwindSafe(|| {
            there
                .and_then(|()| self.put(&batches, &settled, oldest))
                .and_then(|()| place.grown(&self.file.path))
        }));
        match written.unwrap_or_else(|_| Err("its pages make no sense".into())) {
            Ok(()) => {
                let events = batches.iter().flat_map(|batch| batch.events.iter().cloned());
                self.outbox.lock().land(events);
                drop(batches);
                self.shards.iter().for_each(|shard| shard.lock().land());
                Ok(())
            }
            Err(why) => {
                // redb takes nothing more after a fault of the disk.
                *self.database.write() = None;
                drop(batches);
                self.shards.iter().for_each(|shard| shard.lock().turn_back());
                self.outbox.lock().settled.extend(settled);
                if is_there && let Ok(opened) = self.file.open_existing() {
                    // A disk that is full can be read: what stands on it goes on to count.
                    *self.database.write() = Some(opened);
                    place.grown(&self.file.path)?;
                }
                Err(why)
            }
        }
    }

    fn put(
        &self,
        batches: &[Arc<Batch>],
        settled: &[u64],
        oldest: &mut String,
    ) -> Result<(), String> {
        if self.database.read().is_none() {
            let opened = self.file.open_existing().map_err(|fault| fault.to_string())?;
            *self.database.write() = Some(opened);
        }
        let database = self.database.read();
        let database = database.as_ref().ok_or("its file failed")?;
        self.put_into(database, batches, settled, oldest).map_err(|fault| fault.to_string())
    }

    fn put_into(
        &self,
        database: &Database,
        batches: &[Arc<Batch>],
        settled: &[u64],
        oldest: &mut String,
    ) -> Result<(), redb::Error> {
        let mut write = database.begin_write()?;
        // A start after a crash must not read the whole file.
        write.set_quick_repair(true);
        let today = file::day((self.clock)());
        {
            let mut records = write.open_table(RECORDS)?;
            for account in self.expired(&records, today, oldest)? {
                records.remove(account.as_str())?;
            }
            for (account, record) in batches.iter().flat_map(|batch| &batch.records) {
                let packed = self.file.pack(account.as_str(), today, record);
                records.insert(account.as_str(), packed.as_slice())?;
            }
            let mut events = write.open_table(EVENTS)?;
            for (place, event) in batches.iter().flat_map(|batch| &batch.events) {
                events.insert(place, self.file.pack_event(*place, event).as_slice())?;
            }
            for place in settled {
                events.remove(place)?;
            }
            let mut rows = write.open_table(ROWS)?;
            for ((table, key), value) in batches.iter().flat_map(|batch| &batch.rows) {
                let place = (*table as u8, &**key);
                match value {
                    Some(value) => {
                        let packed = self.file.pack_row(place.0, key, value);
                        rows.insert(place, packed.as_slice())?;
                    }
                    None => {
                        rows.remove(place)?;
                    }
                }
            }
        }
        Ok(write.commit()?)
    }

    /// Of the next few records from `oldest` on, those that nobody has touched for too long.
    fn expired(
        &self,
        records: &impl ReadableTable<&'static str, &'static [u8]>,
        today: u32,
        oldest: &mut String,
    ) -> Result<Vec<String>, redb::Error> {
        let (mut expired, mut seen) = (Vec::new(), 0);
        let mut last = String::new();
        for entry in records.range(oldest.as_str()..)?.take(AGED) {
            let (account, packed) = entry?;
            seen += 1;
            account.value().clone_into(&mut last);
            let Some((written, record)) = self.file.unpack(&last, packed.value()) else { continue };
            let is_old = today.saturating_sub(written) > self.keep_days;
            if is_old && !record.is_of_note() {
                expired.push(last.clone());
            }
        }
        *oldest = if seen < AGED { String::new() } else { last };
        Ok(expired)
    }
}
