//! Reads past mail once and replays it at each budget, each in a thread of its own.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use crate::backtest::{Known, Outcome, Replay, Tally};
use crate::detector::Budget;
use crate::history::{History, HistoryFault, Message};

/// Messages that go to the threads together.
const BATCH: usize = 512;

/// Batches that wait for a thread; reading waits when one lags so far behind.
const WAITING: usize = 8;

/// What one budget would have brought.
#[derive(Debug)]
pub struct Trial {
    pub budget: Budget,
    pub tally: Tally,
    pub known: Option<Known>,
}

/// What is done with each message that was judged; a fault ends the backtest.
pub type Each = Box<dyn FnMut(&Message, &Outcome) -> io::Result<()> + Send>;

/// One budget to try out.
pub struct Plan {
    pub budget: Budget,
    /// Makes the site, within the runtime of its thread.
    pub replay: Box<dyn FnOnce() -> Result<Replay, String> + Send>,
    pub known: Option<Known>,
    pub each: Option<Each>,
}

/// Why a backtest came to nothing.
#[derive(Debug)]
pub enum RunFault {
    History(HistoryFault),
    /// Of a thread: its site cannot be made, or what each message is written to is broken.
    Trial(String),
}

/// Runs all plans to the end of `history`; `progress` is called now and then.
pub fn run(
    history: &mut History,
    plans: Vec<Plan>,
    mut progress: impl FnMut(&History),
) -> Result<Vec<Trial>, RunFault> {
    let (mut senders, mut trials) = (Vec::new(), Vec::new());
    for plan in plans {
        let (sender, receiver) = sync_channel(WAITING);
        senders.push(sender);
        trials.push(thread::spawn(move || try_out(plan, &receiver)));
    }
    let read = feed(history, &senders, &mut progress);
    drop(senders);
    let trials: Result<Vec<Trial>, String> = trials.into_iter().map(joined).collect();
    let trials = trials.map_err(RunFault::Trial)?;
    read.map_err(RunFault::History)?;
    Ok(trials)
}

type Batch = Arc<[Message]>;

fn feed(
    history: &mut History,
    senders: &[SyncSender<Batch>],
    progress: &mut impl FnMut(&History),
) -> Result<(), HistoryFault> {
    loop {
        let mut batch = Vec::with_capacity(BATCH);
        while batch.len() < BATCH
            && let Some(message) = history.next_message()?
        {
            batch.push(message);
        }
        progress(history);
        if batch.is_empty() {
            return Ok(());
        }
        let batch: Batch = batch.into();
        for sender in senders {
            // A thread that ended early tells why when it is joined.
            if sender.send(Arc::clone(&batch)).is_err() {
                return Ok(());
            }
        }
    }
}

fn try_out(mut plan: Plan, batches: &Receiver<Batch>) -> Result<Trial, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|fault| fault.to_string())?;
    runtime.block_on(async {
        let mut replay = (plan.replay)()?;
        let (mut tally, mut known) = (Tally::default(), plan.known);
        for batch in batches {
            for message in &*batch {
                let outcome = replay.judge(message).await;
                tally.add(message, &outcome);
                if let Some(known) = &mut known {
                    known.add(message, &outcome);
                }
                if let Some(each) = &mut plan.each {
                    each(message, &outcome).map_err(|fault| fault.to_string())?;
                }
            }
        }
        if let Some(known) = &mut known {
            known.end();
        }
        Ok(Trial { budget: plan.budget, tally, known })
    })
}

fn joined(trial: JoinHandle<Result<Trial, String>>) -> Result<Trial, String> {
    trial.join().unwrap_or_else(|_| Err("a fault of gatepost's own".into()))
}
