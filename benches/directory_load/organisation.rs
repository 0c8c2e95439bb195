//! The groups: everybody is in five of many teams, teams are in divisions, divisions in the staff, and
//! the staff may submit or relay. Whoever may relay is in teams that may, four levels below the right.

use crate::common::people::{Group, Person, SUBMIT_ONLY_EVERY};

/// Ten people for each team; each is in five, so a team has fifty.
const PEOPLE_A_TEAM: usize = 10;
const TEAMS_A_PERSON: usize = 5;
const DIVISIONS: usize = 20;

pub fn groups(people: &[Person]) -> Vec<Group> {
    let teams = people.len() / PEOPLE_A_TEAM;
    let mut all: Vec<Group> = (0..teams).map(|team| group(team_name(team), Vec::new())).collect();
    for (number, person) in people.iter().enumerate() {
        for turn in 0..TEAMS_A_PERSON {
            // The teams of one person differ by multiples of SUBMIT_ONLY_EVERY, which divides their number:
            // all of them may relay, or none.
            let team = (number + turn * 7 * SUBMIT_ONLY_EVERY) % teams;
            if all[team].members.last() != Some(&person.login) {
                all[team].members.push(person.login.clone());
            }
        }
    }
    for division in 0..DIVISIONS {
        let below = (division..teams).step_by(DIVISIONS).map(team_name).collect();
        all.push(group(division_name(division), below));
    }
    let may_relay = |division: &usize| !division.is_multiple_of(SUBMIT_ONLY_EVERY);
    let relaying = (0..DIVISIONS).filter(may_relay).map(division_name).collect();
    all.push(group("Staff-All".to_owned(), (0..DIVISIONS).map(division_name).collect()));
    all.push(group("Staff-Relay".to_owned(), relaying));
    all.push(group("Mail-Submit".to_owned(), vec!["Staff-All".to_owned()]));
    all.push(group("Mail-Relay".to_owned(), vec!["Staff-Relay".to_owned()]));
    all
}

fn team_name(team: usize) -> String {
    format!("Team-{team:04}")
}

fn division_name(division: usize) -> String {
    format!("Division-{division:02}")
}

fn group(name: String, groups: Vec<String>) -> Group {
    Group { name, members: Vec::new(), groups }
}
