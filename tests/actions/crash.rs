//! The daemon is killed between an event and its delivery: nothing is lost, and what was delivered is not again.

use std::collections::BTreeSet;

use rustix::process::Signal;

use crate::daemon::Site;
use crate::hook::{Hook, Manner, OK};
use crate::outbox::suspended;
use crate::process::{DEADLINE, until};
use crate::webhooks::webhook;

fn ids(range: std::ops::Range<usize>) -> BTreeSet<String> {
    range.map(|number| format!("e{number:03}")).collect()
}

fn commit(site: &Site, range: std::ops::Range<usize>) {
    let events: Vec<_> = ids(range).iter().map(|id| suspended(id)).collect();
    site.commit(&events);
}

#[test]
fn what_was_on_its_way_is_delivered_by_the_next_run() {
    let (hanging, well) = (Hook::open(Manner::Hangs), Hook::open(OK));
    let site = Site::new(&(webhook("slow", &hanging) + &webhook("fast", &well)));
    commit(&site, 0..150);
    let mut daemon = site.start();
    hanging.wait_for(1);
    well.wait_for(150);
    until("the last one is kept as done", || {
        (daemon.written().matches("an action is done").count() >= 150).then_some(())
    });
    daemon.signal(Signal::KILL);
    daemon.wait_for_end(DEADLINE);
    let before = hanging.ids().len();
    hanging.set(OK);
    let mut daemon = site.start();
    hanging.wait_for(before + 150);
    until("the last one is kept as done", || {
        (daemon.written().matches("an action is done").count() >= 150).then_some(())
    });
    daemon.signal(Signal::TERM);
    assert!(daemon.wait_for_end(DEADLINE).success());
    assert_eq!(hanging.ids().into_iter().collect::<BTreeSet<_>>(), ids(0..150));
    assert_eq!(well.ids().len(), 150, "delivered once");
    assert_eq!(well.ids().into_iter().collect::<BTreeSet<_>>(), ids(0..150));
}

#[test]
fn at_whatever_moment_it_dies_nothing_is_lost_and_at_most_the_one_under_way_is_said_again() {
    const KILLS: usize = 12;
    const EACH: usize = 25;
    let hook = Hook::open(OK);
    let site = Site::new(&webhook("pager", &hook));
    for kill in 0..KILLS {
        commit(&site, kill * EACH..(kill + 1) * EACH);
        let called = hook.calls().len();
        let mut daemon = site.start();
        hook.wait_for(called + fastrand::usize(1..EACH));
        daemon.signal(Signal::KILL);
        daemon.wait_for_end(DEADLINE);
    }
    let all = ids(0..KILLS * EACH);
    let mut daemon = site.start();
    until("all are told", || {
        (hook.ids().into_iter().collect::<BTreeSet<_>>() == all).then_some(())
    });
    daemon.signal(Signal::TERM);
    assert!(daemon.wait_for_end(DEADLINE).success());
    let again = hook.ids().len() - all.len();
    assert!(again <= KILLS, "{again} were said again by {KILLS} kills");
}
