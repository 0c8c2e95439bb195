//! kill -9 under load: nothing that was answered for is lost, and nothing is there that nobody asked for.

use std::sync::Arc;
use std::thread;

use serde_json::json;

use crate::client::{Control, Policy};
use crate::compare;
use crate::deeds::act;
use crate::questions::{Load, ask, ask_as, now};
use crate::site::{Site, kill, stop};

/// Each site has so many kills, its own start among them: what it keeps is compared whole after each.
const SITES: u64 = 10;
const KILLS: usize = 20;

const CONNECTIONS: usize = 4;
const DOERS: usize = 2;

/// In one run of each site, long enough for usage to be old.
const LONG: usize = 15_000;

/// What redb says before it walks through the whole file.
const SCANS: &str = "the store was not closed and is being repaired";

#[tokio::test]
async fn what_was_answered_for_outlives_kills() {
    let mut all = compare::Figures::default();
    for seed in 0..SITES {
        let figures = one_site(seed).await;
        all.thieves += figures.thieves;
        all.suspended += figures.suspended;
        all.ended += figures.ended;
        all.exempted += figures.exempted;
        all.old += figures.old;
        all.unheard += figures.unheard;
    }
    println!("{all:?}");
    let enough = all.thieves > 20 && all.suspended > 200 && all.ended > 100 && all.exempted > 100;
    assert!(enough && all.old > 100, "{all:?}");
}

async fn one_site(seed: u64) -> compare::Figures {
    let (site, mut known) = (Site::new(), compare::Site::default());
    let mut random = fastrand::Rng::with_seed(seed);
    for run in 0..KILLS {
        if run % 10 == 9 {
            // While it starts: it names its sockets before it opens the store.
            let mut daemon = site.begin();
            daemon.wait_for_log("listening");
            kill(daemon);
            known.compare(&site.open(), &Default::default(), now()).await;
            continue;
        }
        let daemon = site.start();
        assert!(!daemon.written().contains(SCANS), "a start reads no record");
        answers_as_before(&site, &known, run);
        let load = Arc::new(Load::default());
        let released: Vec<_> = known.caught.drain(..known.caught.len() / 2).collect();
        let mut loads = Vec::new();
        for connection in 0..CONNECTIONS {
            let (load, policy, seed) = (Arc::clone(&load), Policy::connect(&site), random.u64(..));
            loads.push(thread::spawn(move || ask(&load, policy, connection, run, seed)));
        }
        for doer in 0..DOERS {
            let (load, control, seed) =
                (Arc::clone(&load), Control::connect(&site), random.u64(..));
            let released = if doer == 0 { released.clone() } else { Vec::new() };
            loads.push(thread::spawn(move || act(&load, control, doer, run, seed, &released)));
        }
        load.wait_for(if run == KILLS / 2 { LONG } else { random.usize(1..500) });
        let killed = now();
        kill(daemon);
        loads.into_iter().for_each(|load| load.join().expect("no fault"));
        let asked = std::mem::take(&mut *load.asked());
        known.compare(&site.open(), &asked, killed).await;
    }
    known.figures
}

/// The next run knows what the last one left.
fn answers_as_before(site: &Site, known: &compare::Site, run: usize) {
    let mut control = Control::connect(site);
    let mut kept = known.messages.iter().filter(|(_, messages)| **messages > 0);
    if let Some((login, messages)) = kept.nth(run) {
        let told = control.told("/account", &json!({ "login": login }));
        assert_eq!(told["messages"].as_u64(), Some(*messages), "{login}");
    }
    for (id, login) in &known.caught {
        let refused_by = ask_as(site, login, &format!("{run}.before.{login}"));
        assert_eq!(refused_by.as_ref(), Some(id), "{login}");
        let told = control.told("/incident", &json!({ "login": id }));
        assert_eq!(told["login"].as_str(), Some(login.as_str()));
    }
}

/// A stop in order loses nothing at all.
#[tokio::test]
async fn a_stop_flushes() {
    let site = Site::new();
    let daemon = site.start();
    let answer = Policy::connect(&site).ask("1", "alice", 1);
    assert_eq!(answer.as_deref(), Some("DUNNO"));
    assert!(stop(daemon).0.success());
    assert_eq!(compare::record(&site.open(), "alice").await.usage.messages, 1);
}
