//! What one charge costs with all logins of a large site kept, and how many bytes a login takes.
//! `cargo bench --bench ledger_load -- [LOGINS [TSV]]`

#![allow(clippy::disallowed_methods)] // a benchmark reads the clock

#[path = "../common/folder.rs"]
#[allow(dead_code)]
mod folder;
#[path = "../common/histogram.rs"]
#[allow(dead_code)]
mod histogram;
mod logins;

use std::env;
use std::error::Error;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use gatepost::ledger::HashKey;
use gatepost::mail::Timestamp;
use gatepost::record::{Change, Record};
use gatepost::store::embedded::Settings;
use gatepost::store::{Embedded, Memory, Store};

use folder::Folder;
use histogram::Histogram;
use logins::{Logins, Person, account};

/// Charges that are measured.
const CHARGES: usize = 100_000;

/// So many charges wait for the disk at most.
const WRITTEN_EACH: usize = 2_000;

/// Distinct logins; the others are copies of them.
const PEOPLE: usize = 2_000;

/// Records the embedded store keeps in memory.
const HOT: usize = 200_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = env::args().skip(1).filter(|word| word != "--bench").collect();
    let logins: usize = words.first().map_or(Ok(1_000_000), |word| word.parse())?;
    let site = Logins::new();
    let mut random = fastrand::Rng::with_seed(7);
    let people = match words.get(1) {
        Some(file) => site.remember(file.into())?,
        None => (0..PEOPLE).map(|number| site.live(number, &mut random)).collect(),
    };
    tell_bytes(&people);
    let bench = Bench { site, people, logins };
    let memory = Memory::new(NonZeroUsize::new(2 * logins).ok_or("no logins")?);
    bench.fill(&memory).await?;
    bench.measure("memory", &memory, logins, &mut random).await?;
    drop(memory);
    let folder = Folder::create(&env::temp_dir(), "ledger-load")?;
    let path = folder.child("store")?.join("store.redb");
    let settings = || Settings {
        path: path.clone(),
        key: HashKey::default(),
        accounts: NonZeroUsize::new(HOT).expect("not zero"),
        keep_days: 400,
        clock: || Timestamp::from_unix_ms(logins::END_MS),
        on_commit: Box::new(|_| ()),
    };
    let embedded = Embedded::open(settings())?;
    let begun = Instant::now();
    bench.fill(&embedded).await?;
    embedded.flush().await?;
    println!("embedded     {:>6.1} s to fill", begun.elapsed().as_secs_f64());
    drop(embedded);
    let begun = Instant::now();
    let embedded = Embedded::open(settings())?;
    let size = std::fs::metadata(&path)?.len() / 1_000_000;
    println!("embedded     {:>6.1} ms to open {size} MB", begun.elapsed().as_secs_f64() * 1e3);
    bench.measure("one in ten", &embedded, logins / 10, &mut random).await?;
    bench.measure("... warm", &embedded, logins / 10, &mut random).await?;
    bench.measure("all, cold", &embedded, logins, &mut random).await?;
    embedded.flush().await?;
    // Nothing is written now, and nothing was closed.
    let crashed = path.with_file_name("crashed.redb");
    std::fs::copy(&path, &crashed)?;
    let begun = Instant::now();
    Embedded::open(Settings { path: crashed, ..settings() })?;
    println!("embedded     {:>6.1} ms to open after a crash", begun.elapsed().as_secs_f64() * 1e3);
    Ok(())
}

struct Bench {
    site: Logins,
    people: Vec<Person>,
    logins: usize,
}

fn tell_bytes(people: &[Person]) {
    let of = |name: &str, bytes: fn(&Record) -> usize| {
        // A copy is what a store holds: it has no spare room.
        let mut all: Vec<usize> = people.iter().map(|one| bytes(&one.record.clone())).collect();
        all.sort_unstable();
        let at = |share: usize| all[(all.len() - 1) * share / 1000];
        println!(
            "{name:12} {:>6} B usual  {:>6} B at the 99th percentile  {:>6} B at most",
            at(500),
            at(990),
            at(1000)
        );
    };
    of("in memory", Record::bytes);
    of("on disk", |record| record.to_bytes().len());
}

impl Bench {
    fn person(&self, number: usize) -> &Person {
        &self.people[number % self.people.len()]
    }

    /// Each login gets the record of one of the people.
    async fn fill(&self, store: &dyn Store) -> Result<(), Box<dyn Error>> {
        for number in 0..self.logins {
            let record = Some(self.person(number).record.clone());
            let mut put = |_: &Record| Change { record: record.clone(), ..Change::default() };
            store.update(&account(number), &mut put).await?;
        }
        Ok(())
    }

    /// Charges the first so many logins.
    async fn measure(
        &self,
        name: &str,
        store: &dyn Store,
        logins: usize,
        random: &mut fastrand::Rng,
    ) -> Result<(), Box<dyn Error>> {
        let mut took = Histogram::new();
        for charge in 0..CHARGES {
            if charge % WRITTEN_EACH == 0 {
                // A benchmark asks faster than any mail server, and would measure the disk.
                store.flush().await?;
            }
            let number = random.usize(..logins);
            let sent = self.site.next(self.person(number), charge as u64, random);
            let account = account(number);
            let start = Instant::now();
            let mut judge = |record: &Record| self.site.judge(record, &sent);
            store.update(&account, &mut judge).await?;
            took.record(start.elapsed());
        }
        let us = |time: Duration| time.as_nanos() as f64 / 1000.0;
        println!(
            "{name:12} {:>6.1} us usual {:>6.1} us at the 99th percentile, {logins} of {} logins",
            us(took.quantile(0.5)),
            us(took.quantile(0.99)),
            self.logins,
        );
        Ok(())
    }
}
