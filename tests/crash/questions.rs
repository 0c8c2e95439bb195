//! Mail by several connections: quiet logins, each of one connection, and thieves whom all of them share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Instant;

use crate::client::{Policy, suspension};
use crate::deeds::Deed;
use crate::site::Site;

/// Two of one run leave the breaker closed.
const THIEVES: usize = 2;
const QUIET: usize = 8;

/// What one run was asked for, and what it answered.
#[derive(Default)]
pub struct Asked {
    pub answers: usize,
    pub quiet: BTreeMap<String, Quiet>,
    pub thieves: BTreeMap<String, Thief>,
    pub deeds: Vec<Deed>,
}

#[derive(Default)]
pub struct Quiet {
    pub asked: u64,
    pub answered: Vec<Instant>,
}

#[derive(Default)]
pub struct Thief {
    /// Messages to hundreds.
    pub giants: u32,
    /// Those that refusals named.
    pub suspensions: BTreeSet<String>,
}

#[derive(Default)]
pub struct Load {
    asked: Mutex<Asked>,
    answered: Condvar,
}

impl Load {
    pub fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().expect("whole")
    }

    pub fn answered(&self, note: impl FnOnce(&mut Asked)) {
        let mut asked = self.asked();
        asked.answers += 1;
        note(&mut asked);
        self.answered.notify_all();
    }

    pub fn wait_for(&self, answers: usize) {
        let asked = self.asked();
        drop(self.answered.wait_while(asked, |asked| asked.answers < answers).expect("whole"));
    }
}

#[allow(clippy::disallowed_methods)] // what may be lost is a matter of time
pub fn now() -> Instant {
    Instant::now()
}

/// Asks until the daemon is gone.
pub fn ask(load: &Load, mut policy: Policy, connection: usize, run: usize, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    for message in 0_u64.. {
        let instance = format!("{run}.{connection}.{message}");
        let is_gone = match random.u8(..8) {
            0 => {
                let login = format!("thief-{run}-{}", random.usize(..THIEVES));
                as_thief(load, &mut policy, &instance, &login, random.u8(..5) == 0)
            }
            _ => {
                let login = format!("quiet-{connection}-{}", random.usize(..QUIET));
                quietly(load, &mut policy, &instance, &login)
            }
        };
        if is_gone.is_none() {
            return;
        }
    }
}

fn quietly(load: &Load, policy: &mut Policy, instance: &str, login: &str) -> Option<()> {
    load.asked().quiet.entry(login.into()).or_default().asked += 1;
    let answer = policy.ask(instance, login, 1)?;
    assert_eq!(answer, "DUNNO", "{login}");
    load.answered(|asked| asked.quiet.get_mut(login).expect("asked").answered.push(now()));
    Some(())
}

fn as_thief(
    load: &Load,
    policy: &mut Policy,
    instance: &str,
    login: &str,
    is_giant: bool,
) -> Option<()> {
    load.asked().thieves.entry(login.into()).or_default().giants += u32::from(is_giant);
    let answer = policy.ask(instance, login, if is_giant { 300 } else { 1 })?;
    load.answered(|asked| match suspension(&answer) {
        Some(id) => {
            let thief = asked.thieves.get_mut(login).expect("asked");
            thief.suspensions.insert(id.into());
        }
        None => assert_eq!(answer, "DUNNO", "{login}"),
    });
    Some(())
}

/// A thief of former runs is refused by the suspension that stands.
pub fn ask_as(site: &Site, login: &str, instance: &str) -> Option<String> {
    let answer = Policy::connect(site).ask(instance, login, 1).expect("it runs");
    suspension(&answer).map(Into::into)
}
