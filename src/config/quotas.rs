//! `[[quota]]`: limits on messages and recipients by user, group, network, or for every login.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::Startup;
use crate::config::networks::parse_network;
use crate::config::rights::MODES;
use crate::decision::{ChargeAt, Hold, OnExceed, Quota, QuotaFor, Quotas, Rate, Rules};
use crate::ledger::{Counted, WINDOWS};
use crate::mail::Login;
use crate::rights::{Groups, Mode, Who};
use crate::settings::{Item, Reader, Table, duration, duration_text, listed};

const ON_EXCEED: [(&str, OnExceed); 3] =
    [("defer", OnExceed::Defer), ("reject", OnExceed::Reject), ("hold", OnExceed::Hold)];

/// Below a second there is nothing to count; of what is longer than any month the detector takes care.
const WINDOW: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(31 * 86_400);

pub(super) fn read_quotas(
    reader: &mut Reader,
    root: &mut Table<'_, '_>,
    groups: &mut Groups,
) -> Quotas {
    let mut quotas: Vec<Quota> = Vec::new();
    let mut windows = Vec::new();
    for mut table in root.tables(reader, "quota") {
        let whose = read_whose(reader, &mut table, groups);
        let mut rates = Vec::new();
        for counted in Counted::ALL {
            rates.extend(read_rates(reader, &mut table, counted, &mut windows));
        }
        let has_rates = Counted::ALL.iter().any(|counted| !table.is_absent(counted.as_str()));
        if !has_rates {
            let what = "limits nothing: expected messages or recipients, such as [\"200/1h\"]";
            reader.fault(table.at(), table.path(), what);
        }
        let on_exceed = table.choice(reader, "on-exceed", "defer", &ON_EXCEED);
        let mode = table.choice(reader, "mode", "enforce", &MODES);
        let line = table.line(reader);
        table.finish(reader);
        let Some((whose, at, key)) = whose else { continue };
        match quotas.iter().find(|earlier| earlier.whose == whose) {
            Some(earlier) => {
                let what = format!("has a quota already, in line {}", earlier.line);
                reader.fault(at, &key, what);
            }
            None => quotas.push(Quota { whose, rates, on_exceed, mode, line }),
        }
    }
    Quotas::new(quotas)
}

/// `group`, `user`, `net` or `default`, exactly one of them, with the place and the key that name it.
fn read_whose(
    reader: &mut Reader,
    table: &mut Table<'_, '_>,
    groups: &mut Groups,
) -> Option<(QuotaFor, usize, String)> {
    const KEYS: [&str; 4] = ["group", "user", "net", "default"];
    let given: Vec<&'static str> = KEYS.into_iter().filter(|key| !table.is_absent(key)).collect();
    let texts = ["group", "user", "net"].map(|key| table.text(reader, key));
    let is_default = match table.is_absent("default") {
        // Asked for all the same, so that it counts as known.
        true => table.text(reader, "default").is_some(),
        false => table.flag(reader, "default", true),
    };
    if given.len() != 1 {
        let found = if given.is_empty() { "none".into() } else { given.join(" and ") };
        let what = format!("expected one of {}, found {found}", listed(KEYS));
        reader.fault(table.at(), table.path(), what);
        return None;
    }
    match texts {
        [Some(group), ..] if group.value.is_empty() => {
            reader.fault(group.at, &group.key, "expected the name of a group");
            None
        }
        [Some(group), ..] => {
            let index = groups.index(&group.value);
            Some((QuotaFor::Who(Who::Group(index)), group.at, group.key))
        }
        [_, Some(user), _] => match Login::parse(user.value.as_bytes()) {
            Some(login) => Some((QuotaFor::Who(Who::User(login)), user.at, user.key)),
            None => {
                reader.fault(user.at, &user.key, "expected a login");
                None
            }
        },
        [.., Some(net)] => match parse_network(&net.value) {
            Ok(parsed) => Some((QuotaFor::Net(parsed), net.at, net.key)),
            Err(what) => {
                reader.fault(net.at, &net.key, what);
                None
            }
        },
        // One that is there and was not read has its fault already.
        _ if given != ["default"] => None,
        _ if !is_default => {
            let what = "expected true, for every login; leave it out for anything else";
            reader.fault(table.place("default"), &table.key("default"), what);
            None
        }
        _ => Some((QuotaFor::Default, table.place("default"), table.key("default"))),
    }
}

fn read_rates(
    reader: &mut Reader,
    table: &mut Table<'_, '_>,
    counted: Counted,
    windows: &mut Vec<Duration>,
) -> Vec<Rate> {
    let key = counted.as_str();
    if table.is_absent(key) {
        // Asked for all the same, so that it counts as known.
        table.text(reader, key);
        return Vec::new();
    }
    if table.is_empty_array(key) {
        reader.fault(table.place(key), &table.key(key), "empty: limits nothing");
    }
    let mut rates: Vec<(Rate, Item<String>)> = Vec::new();
    for item in table.texts(reader, key) {
        let (most, window) = match parse_rate(&item.value) {
            Ok(rate) => rate,
            Err(what) => {
                reader.refuse(&item, &what);
                continue;
            }
        };
        if !windows.contains(&window) {
            if windows.len() == WINDOWS {
                let known = windows.iter().map(|known| duration_text(*known)).collect::<Vec<_>>();
                let known = listed(known.iter().map(String::as_str));
                let what = format!(
                    "one window too many: there are {known} already, and {WINDOWS} different ones at most"
                );
                reader.refuse(&item, &what);
                continue;
            }
            windows.push(window);
        }
        if let Some((_, earlier)) = rates.iter().find(|(rate, _)| rate.window == window) {
            let what = format!("\"{}\" has this window already", earlier.value);
            reader.refuse(&item, &what);
            continue;
        }
        rates.push((Rate { counted, most, window, line: item.line }, item));
    }
    for (rate, item) in &rates {
        let longer =
            rates.iter().find(|(other, _)| other.window > rate.window && other.most <= rate.most);
        if let Some((_, longer)) = longer {
            let what = format!("\"{}\" adds nothing to \"{}\"", item.value, longer.value);
            reader.warn(item.at, &item.key, what);
        }
    }
    rates.into_iter().map(|(rate, _)| rate).collect()
}

/// `500/1h`
fn parse_rate(text: &str) -> Result<(u32, Duration), String> {
    let (most, window) = text
        .split_once('/')
        .ok_or("expected a number and a window, such as \"200/1h\" or \"1000/1d\"")?;
    let is_number = most.bytes().all(|b| b.is_ascii_digit());
    let most = most
        .parse()
        .ok()
        .filter(|most| is_number && *most > 0)
        .ok_or_else(|| format!("expected a number from 1 to {} before the \"/\"", u32::MAX))?;
    let window = duration(window)?;
    if !WINDOW.contains(&window) {
        return Err(format!(
            "expected a window from {} to {}",
            duration_text(*WINDOW.start()),
            duration_text(*WINDOW.end())
        ));
    }
    Ok((most, window))
}

/// Legal, but perhaps not what was meant.
pub(super) fn warn_of_quotas(reader: &mut Reader, startup: &Startup, rules: &Rules) {
    let quotas = rules.quotas.entries().iter().enumerate();
    let in_force: Vec<_> = quotas.filter(|(_, quota)| quota.mode != Mode::Off).collect();
    let Some((first, _)) = in_force.first() else { return };
    // Where rights are judged this is told of all groups together.
    if startup.directory.is_none() && !rules.judges_rights {
        for (index, quota) in &in_force {
            if let QuotaFor::Who(Who::Group(group)) = quota.whose {
                let group = rules.groups.name(group);
                let what = format!("the group \"{group}\" has no members: there is no [directory]");
                reader.warn_all(&format!("quota[{index}].group"), what);
            }
        }
    }
    let listeners = || startup.listen.iter().map(|listen| &listen.listener);
    if listeners().all(|listener| listener.charge_at == ChargeAt::Never) {
        let what = "no [[listen]] charges a message (charge-at), so no quota is ever used";
        reader.warn_all(&format!("quota[{first}]"), what);
        return;
    }
    let holds = listeners().any(|listener| listener.hold != Hold::Pass);
    for (index, quota) in in_force {
        if quota.on_exceed == OnExceed::Hold && !holds {
            reader.warn_all(
                &format!("quota[{index}].on-exceed"),
                "\"hold\", but no [[listen]] can hold (hold = \"queue\" or \"defer\"): what exceeds it passes",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_a_number_and_a_window() {
        let seconds = Duration::from_secs;
        for (text, rate) in [
            ("1/1s", (1, seconds(1))),
            ("500/1h", (500, seconds(3600))),
            ("4294967295/31d", (u32::MAX, seconds(31 * 86_400))),
        ] {
            assert_eq!(parse_rate(text), Ok(rate));
        }
        for text in [
            "",
            "/",
            "500",
            "/1h",
            "500/",
            "500/h",
            "0/1h",
            "-1/1h",
            "+1/1h",
            "1.5/1h",
            "1 /1h",
            "1/ 1h",
            "4294967296/1h",
            "1/999ms",
            "1/0s",
            "1/32d",
            "1/1w",
            "1/1h/1d",
        ] {
            assert!(parse_rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_quota_is_read_with_the_lines_of_its_limits_and_its_group_is_known() {
        let text = "[[quota]]\ngroup = \"Staff\"\nrecipients = [\n\"200/1h\",\n\"1000/1d\",\n]\n\
                    [[quota]]\ndefault = true\nmessages = [\"9/60m\"]\non-exceed = \"hold\"\nmode = \"observe\"\n";
        let config = crate::config::parse("q.toml", text, std::path::Path::new("/"), "mx1");
        let rules = config.map(|config| config.rules).expect("no faults");
        assert_eq!(rules.groups.names().collect::<Vec<_>>(), ["Staff"]);
        let seconds = Duration::from_secs;
        let rate = |counted, most, window, line| Rate { counted, most, window, line };
        let expected = [
            Quota {
                whose: QuotaFor::Who(Who::Group(0)),
                rates: vec![
                    rate(Counted::Recipients, 200, seconds(3600), 4),
                    rate(Counted::Recipients, 1000, seconds(86_400), 5),
                ],
                on_exceed: OnExceed::Defer,
                mode: Mode::Enforce,
                line: 1,
            },
            Quota {
                whose: QuotaFor::Default,
                rates: vec![rate(Counted::Messages, 9, seconds(3600), 9)],
                on_exceed: OnExceed::Hold,
                mode: Mode::Observe,
                line: 7,
            },
        ];
        assert_eq!(rules.quotas.entries(), expected);
        assert_eq!(rules.quotas.windows(), [seconds(3600), seconds(86_400)]);
    }
}
