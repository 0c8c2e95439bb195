//! The people whose mail is simulated, and the directory file that tells gatepost about them.

use std::fmt::Write;

/// One in five logins may only submit: with one refused recipient a message, about 5 % of all requests are refused.
pub const SUBMIT_ONLY_EVERY: usize = 5;

pub struct Person {
    pub login: String,
    pub addresses: [String; 2],
    pub may_relay: bool,
}

/// One that may submit or relay, or one nested in it.
pub struct Group {
    pub name: String,
    /// Logins.
    pub members: Vec<String>,
    /// Names of groups.
    pub groups: Vec<String>,
}

pub fn people(count: usize) -> Vec<Person> {
    (0..count)
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

pub fn directory_file(people: &[Person], groups: &[Group]) -> String {
    let mut file = String::from("realms = [\"example.org\"]\nnetbios = [\"EXAMPLE\"]\n");
    for Person { login, addresses, .. } in people {
        let _ = write!(
            file,
            "\n[[account]]\nlogin = {login:?}\naddresses = {addresses:?}\nstate = \"enabled\"\n"
        );
    }
    for Group { name, members, groups } in groups {
        let _ = write!(
            file,
            "\n[[group]]\nname = {name:?}\nmembers = {members:?}\ngroups = {groups:?}\n"
        );
    }
    file
}
