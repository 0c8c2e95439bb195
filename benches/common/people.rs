//! The people whose mail is simulated, and the directory file that tells gatepost about them.

use std::fmt::Write;

/// A large organisation's mail relay.
const PEOPLE: usize = 1000;
/// One in five logins may only submit: with one refused recipient a message, about 5 % of all requests are refused.
const SUBMIT_ONLY_EVERY: usize = 5;
const TEAM: usize = 50;

pub struct Person {
    pub login: String,
    pub addresses: [String; 2],
    pub may_relay: bool,
}

pub fn directory() -> Vec<Person> {
    (0..PEOPLE)
        .map(|number| Person {
            login: format!("user{number:04}"),
            addresses: [
                format!("user{number:04}@example.org"),
                format!("given{}.family{number}@example.org", number % 37),
            ],
            may_relay: number % SUBMIT_ONLY_EVERY != 0,
        })
        .collect()
}

/// Everybody is in a team, and all teams may submit; the relay right has a flat group.
pub fn directory_file(people: &[Person]) -> String {
    let mut file = String::from("realms = [\"example.org\"]\nnetbios = [\"EXAMPLE\"]\n");
    for Person { login, addresses, .. } in people {
        let _ = write!(
            file,
            "\n[[account]]\nlogin = {login:?}\naddresses = {addresses:?}\nstate = \"enabled\"\n"
        );
    }
    let mut teams = Vec::new();
    for (number, team) in people.chunks(TEAM).enumerate() {
        let name = format!("Team-{number:02}");
        group(&mut file, &name, &logins(team.iter()), &[]);
        teams.push(name);
    }
    group(&mut file, "Staff-All", &[], &teams);
    group(&mut file, "Mail-Submit", &[], &["Staff-All".to_owned()]);
    let relay = logins(people.iter().filter(|person| person.may_relay));
    group(&mut file, "Mail-Relay", &relay, &[]);
    file
}

fn logins<'a>(people: impl Iterator<Item = &'a Person>) -> Vec<String> {
    people.map(|person| person.login.clone()).collect()
}

fn group(file: &mut String, name: &str, members: &[String], groups: &[String]) {
    let _ =
        write!(file, "\n[[group]]\nname = {name:?}\nmembers = {members:?}\ngroups = {groups:?}\n");
}
