//! `[detector]` and `[suspension]`.

use crate::config::grants::read_who;
use crate::config::rights::MODES;
use crate::decision::DetectorRules;
use crate::detector::{Budget, Settings, Test};
use crate::rights::{Groups, Mode, Who};
use crate::settings::{Reader, Table, duration};
use crate::suspension;

const BUDGETS: [(&str, Budget); 3] =
    [("0.3", Budget::Third), ("1", Budget::One), ("3", Budget::Three)];

pub(super) fn read_detector(
    reader: &mut Reader,
    root: &mut Table<'_, '_>,
    groups: &mut Groups,
) -> DetectorRules {
    let mut table = root.table(reader, "detector");
    let mode = table.choice(reader, "mode", "observe", &MODES);
    let budget = table.choice(reader, "false-suspensions-per-1000-user-months", "1", &BUDGETS);
    let hold = table.choice(reader, "hold", "observe", &MODES);
    let networks = table.choice(reader, "networks", "observe", &MODES);
    let mut whom = |key| -> Vec<Who> {
        let entries = table.tables(reader, key);
        let each = entries.into_iter().filter_map(|mut entry| {
            let who = read_who(reader, &mut entry, groups);
            entry.finish(reader);
            who
        });
        each.collect()
    };
    let (bulk, never_suspend) = (whom("bulk"), whom("never-suspend"));
    let mut single = table.table(reader, "tests");
    let mut tests = Vec::new();
    for test in Test::ALL {
        let default = if test.is_unmeasured() { "observe" } else { "enforce" };
        let is_set = !single.is_absent(test.as_str());
        let mode = single.choice(reader, test.as_str(), default, &MODES);
        if is_set {
            tests.push((test, mode));
        }
    }
    single.finish(reader);
    if mode == Mode::Off && hold == Mode::Enforce {
        reader.warn(
            table.place("hold"),
            &table.key("hold"),
            "\"enforce\", but detector.mode = \"off\": nothing is tested, so nothing is held",
        );
    }
    table.finish(reader);
    let mut table = root.table(reader, "suspension");
    let lasts_ms = table.parsed(reader, "lasts", "until-released", |text| match text {
        "until-released" => Ok(None),
        _ => match duration(text)?.as_millis().try_into() {
            Ok(0) => Err("expected more than nothing, or \"until-released\"".into()),
            Ok(lasts) => Ok(Some(lasts)),
            Err(_) => Err("expected a duration such as \"7d\", or \"until-released\"".into()),
        },
    });
    let escalates = table.flag(reader, "escalate", true);
    table.finish(reader);
    let suspension =
        suspension::Settings { lasts_ms, escalates, ..suspension::Settings::default() };
    let settings = Settings { mode, hold, networks, budget, tests };
    DetectorRules { settings, bulk, never_suspend, suspension }
}
