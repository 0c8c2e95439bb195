//! Deeds over the control socket: suspend, release, exempt, each account in a life of its own.

use serde_json::{Value, json};

use crate::client::Control;
use crate::questions::Load;

/// So many of one run: those that came to disk are compared after each later kill.
const MOST: usize = 24;

/// The end of the year 2099.
const UNTIL_MS: i64 = 4_102_444_800_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Suspend,
    Release,
    Exempt,
}

/// What was asked for, and what came of it.
#[derive(Clone, Debug)]
pub struct Deed {
    pub what: What,
    /// A thief is released by the id of its suspension.
    pub login: String,
    /// The suspension: that is to be released, or was imposed or ended.
    pub id: Option<String>,
    pub is_answered: bool,
}

/// Does what it can until the daemon is gone. `caught`: suspensions of former runs with their logins.
pub fn act(
    load: &Load,
    mut control: Control,
    connection: usize,
    run: usize,
    seed: u64,
    caught: &[(String, String)],
) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut doer = Doer { load, control: &mut control };
    for (id, login) in caught {
        if doer.release(login, Some(id), &mut random).is_none() {
            return;
        }
    }
    for number in 0..MOST {
        let login = format!("deed-{run}-{connection}-{number}");
        let lived = match random.u8(..4) {
            0 => doer.suspend(&login),
            1 => doer.suspend(&login).and_then(|()| doer.release(&login, None, &mut random)),
            2 => doer.suspend(&login).and_then(|()| doer.exempt(&login)),
            _ => doer.exempt(&login),
        };
        if lived.is_none() {
            return;
        }
    }
}

struct Doer<'a> {
    load: &'a Load,
    control: &'a mut Control,
}

impl Doer<'_> {
    fn suspend(&mut self, login: &str) -> Option<()> {
        self.run(What::Suspend, login, None, "/suspend", deed(login))
    }

    fn release(&mut self, login: &str, id: Option<&str>, random: &mut fastrand::Rng) -> Option<()> {
        let mut asked = deed(id.unwrap_or(login));
        asked["verdict"] = if random.bool() { "false-positive" } else { "true-positive" }.into();
        self.run(What::Release, login, id, "/release", asked)
    }

    fn exempt(&mut self, login: &str) -> Option<()> {
        let mut asked = deed(login);
        asked["until"] = UNTIL_MS.into();
        self.run(What::Exempt, login, None, "/exempt", asked)
    }

    fn run(
        &mut self,
        what: What,
        login: &str,
        id: Option<&str>,
        path: &str,
        asked: Value,
    ) -> Option<()> {
        let place = {
            let mut all = self.load.asked();
            let id = id.map(Into::into);
            all.deeds.push(Deed { what, login: login.into(), id, is_answered: false });
            all.deeds.len() - 1
        };
        let (status, body) = self.control.post(path, &asked)?;
        assert_eq!(status, 200, "{path} {asked}: {body}");
        let told: Value = serde_json::from_str(&body).expect("JSON");
        let id = told["id"].as_str().or(told["lifted"].as_str()).map(Into::into);
        self.load.answered(|all| {
            all.deeds[place].is_answered = true;
            all.deeds[place].id = id;
        });
        Some(())
    }
}

fn deed(login: &str) -> Value {
    json!({ "login": login, "note": format!("because of {login}"), "dry_run": false })
}
