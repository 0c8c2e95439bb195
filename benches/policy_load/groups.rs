//! The groups: everybody is in a team, and all teams may submit; the relay right has a flat group.

use crate::common::people::{Group, Person};

const TEAM: usize = 50;

pub fn of(people: &[Person]) -> Vec<Group> {
    let mut all = Vec::new();
    for (number, team) in people.chunks(TEAM).enumerate() {
        all.push(group(&format!("Team-{number:02}"), logins(team.iter()), &[]));
    }
    let teams: Vec<String> = all.iter().map(|team| team.name.clone()).collect();
    all.push(group("Staff-All", Vec::new(), &teams));
    all.push(group("Mail-Submit", Vec::new(), &["Staff-All".to_owned()]));
    let relay = logins(people.iter().filter(|person| person.may_relay));
    all.push(group("Mail-Relay", relay, &[]));
    all
}

fn logins<'a>(people: impl Iterator<Item = &'a Person>) -> Vec<String> {
    people.map(|person| person.login.clone()).collect()
}

fn group(name: &str, members: Vec<String>, groups: &[String]) -> Group {
    Group { name: name.to_owned(), members, groups: groups.to_vec() }
}
