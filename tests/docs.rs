//! The documents against the program: metrics, replies, commands, shown output, the example configuration,
//! and every relative link.

use gatepost::decision::{DecisionId, Reason};
use gatepost::directory::meter::Meter;
use gatepost::observe::Metrics;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const SERVER: &str = "ldaps://dc1.example.org:636";

#[test]
fn metrics_md_has_every_metric_with_its_type_and_labels() {
    let exposed = exposed();
    let text = document("docs/metrics.md");
    let documented: BTreeMap<String, Metric> = rows(&text)
        .filter(|cells| cells[0].starts_with("`gatepost_"))
        .map(|cells| {
            let metric = Metric { kind: cells[1].into(), labels: words(cells[2]).collect() };
            (words(cells[0]).collect(), metric)
        })
        .collect();
    for (name, metric) in &exposed {
        assert_eq!(documented.get(name), Some(metric), "{name} in docs/metrics.md");
    }
    for name in documented.keys() {
        assert!(exposed.contains_key(name), "docs/metrics.md has {name}, the program has not");
    }
    let mut named = exposed.keys().map(String::as_str).collect::<Vec<_>>();
    named.extend(["gatepost_decision_duration_seconds_bucket"]);
    for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
        assert!(!word.starts_with("gatepost_") || named.contains(&word), "no metric {word}");
    }
}

#[test]
fn metrics_md_has_every_value_of_every_label() {
    let known = document("docs/metrics.md") + &document("docs/replies.md");
    let known: BTreeSet<String> = words(&known).collect();
    let text = exposition();
    for sample in text.lines().filter(|line| !line.starts_with('#')) {
        for (label, value) in labels(sample) {
            let is_open = matches!(label, "version" | "le" | "server");
            assert!(is_open || known.contains(value), "{label}=\"{value}\" in docs/metrics.md");
        }
    }
}

#[test]
fn replies_md_has_every_reason_with_its_default_reply() {
    let text = document("docs/replies.md");
    let documented: Vec<(String, String)> = rows(&text)
        .filter(|cells| cells.len() == 4 && cells[0].starts_with('`'))
        .map(|cells| (words(cells[0]).collect(), words(cells[1]).collect()))
        .collect();
    let expected = Reason::ALL.map(|reason| (reason.to_string(), reason.default_reply().into()));
    assert_eq!(documented, expected);
}

#[test]
fn every_relative_link_points_to_something() {
    let mut faults = Vec::new();
    for file in markdown(&root()) {
        let text = fs::read_to_string(&file).expect("a document can be read");
        for target in links(&text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let folder = file.parent().expect("a file lies in a folder");
            let pointed = if path.is_empty() { file.clone() } else { folder.join(path) };
            let is_there = pointed.exists() && (anchor.is_empty() || has_heading(&pointed, anchor));
            if !is_there {
                faults.push(format!("{}: {target}", file.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn shown_stories_are_what_explain_prints() {
    assert_shown("README.md", &bob());
    assert_shown("docs/command-line.md", &carol());
}

#[test]
fn shown_rights_are_what_rights_prints() {
    let document = document("docs/command-line.md");
    for question in [&["carol"][..], &["--who", "submit"]] {
        let offline = ["rights", "--offline", "-c", "config/quickstart.toml"];
        let told = gatepost(&[&offline[..], question].concat());
        let told = String::from_utf8(told.stdout).expect("text");
        assert!(told.lines().count() > 5, "rights were told: {told}");
        assert_lines(&document, "docs/command-line.md", &told);
    }
}

/// An id names a question, so it can be asked again; two ids stand for any.
#[test]
fn shown_ids_are_those_of_the_questions_shown() {
    let client = ["--client", "192.0.2.9"];
    let not_hers =
        ["--login", "alice", "--sender", "bob@example.org", "--rcpt", "alice@example.org"];
    let anonymous = ["--sender", "erin@example.org", "--rcpt", "x@far.test"];
    let mut known = vec!["3F9K2M7QW1ZT".to_owned(), "0123456789AB".to_owned()];
    // Those of `gatepost demo`, which tests/demo.rs holds against it.
    known.extend(["MG32H9S8DF6R", "B7HJ6PCS6Q42", "742VXXVTTSC9"].map(Into::into));
    for question in
        [bob(), carol(), [&client[..], &not_hers].concat(), [&client[..], &anonymous].concat()]
    {
        let told = story(&question);
        known.extend(ids(&told));
    }
    for file in ["README.md", "docs/command-line.md", "docs/install.md", "docs/replies.md"] {
        for id in ids(&document(file)) {
            assert!(known.contains(&id), "{file}: {id} is none of {known:?}");
        }
    }
}

#[test]
fn every_command_in_the_documents_is_one_with_these_options() {
    let mut helps = BTreeMap::new();
    let mut faults = Vec::new();
    let mut seen = 0;
    let others = ["config/gatepost.toml", "deploy/gatepost.toml", "deploy/queue-helper.toml"];
    let rules = root().join("deploy/prometheus/gatepost.rules.yml");
    let others = others.map(|file| root().join(file));
    for file in markdown(&root()).into_iter().chain(others).chain([rules]) {
        let text = fs::read_to_string(&file).expect("a document can be read");
        for command in commands(&text) {
            seen += 1;
            if let Err(why) = check_command(&command, &mut helps) {
                faults.push(format!("{}: gatepost {}: {why}", file.display(), command.join(" ")));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(seen > 100, "only {seen} commands were found");
}

/// Against `--help`, word by word, then its options.
fn check_command(words: &[String], helps: &mut BTreeMap<String, String>) -> Result<(), String> {
    let mut path = Vec::new();
    let mut help = help_of(&path, helps);
    let mut rest = words.iter().peekable();
    while let Some(known) = subcommands(&help) {
        let Some(word) = rest.next_if(|word| !word.starts_with('-')) else { break };
        // `gatepost COMMAND --help`
        if *word == word.to_uppercase() {
            return Ok(());
        }
        if !known.contains(&word.as_str()) {
            return Err(format!("{word} is none of {known:?}"));
        }
        path.push(word.as_str());
        help = help_of(&path, helps);
    }
    let options = rest.filter(|word| word.starts_with("--"));
    let options = options.map(|word| word.split('=').next().unwrap_or(word));
    for option in options {
        let is_option = |word: &str| word.trim_matches(['[', ']', ',', '<', '>', '|']) == option;
        if !help.split_whitespace().any(is_option) {
            return Err(format!("it has no {option}"));
        }
    }
    Ok(())
}

fn help_of(path: &[&str], helps: &mut BTreeMap<String, String>) -> String {
    let told = || {
        let told = gatepost(&[path, &["--help"]].concat());
        assert!(told.status.success(), "{path:?}: {told:?}");
        String::from_utf8(told.stdout).expect("text")
    };
    helps.entry(path.join(" ")).or_insert_with(told).clone()
}

/// `None`: it has none, and its next word is an argument.
fn subcommands(help: &str) -> Option<Vec<&str>> {
    let (_, list) = help.split_once("\nCommands:\n")?;
    let lines = list.lines().take_while(|line| line.starts_with("  "));
    Some(lines.filter_map(|line| line.split_whitespace().next()).collect())
}

/// The words after `gatepost` in code, whether in a sentence or in lines of its own.
fn commands(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (number, block) in text.split("```").enumerate() {
        let is_fence = number % 2 == 1;
        let pieces: Vec<String> = match is_fence {
            true => block.replace("\\\n", " ").lines().map(str::to_owned).collect(),
            false => words(block).map(|span| span.replace("\n#", " ").replace('\n', " ")).collect(),
        };
        // What follows in quotes, or behind a pipe, is not of the command.
        let pieces = pieces.iter().flat_map(|piece| piece.split([';', '|']).map(str::trim));
        for piece in pieces {
            let piece = piece.strip_prefix("$ ").unwrap_or(piece);
            let rest = piece.strip_prefix("target/release/").unwrap_or(piece);
            let Some(rest) = rest.strip_prefix("gatepost ") else { continue };
            let unquoted: String = rest.split(['\'', '"']).step_by(2).collect();
            let words = unquoted.split_whitespace().take_while(|word| *word != "#");
            let words = words.map(|word| word.trim_start_matches('[').trim_end_matches([',', ']']));
            found.push(words.map(str::to_owned).collect());
        }
    }
    found
}

#[test]
fn the_shipped_configuration_has_no_faults() {
    let checked = gatepost(&["check", "deploy/gatepost.toml"]);
    assert!(checked.status.success(), "{checked:?}");
}

#[test]
fn the_shipped_configuration_for_active_directory_has_no_faults() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("active-directory");
    fs::create_dir_all(&folder).expect("a folder can be made");
    for (from, to) in [
        ("deploy/active-directory.toml", "gatepost.toml"),
        ("tests/bad-configs/ldap/ca.pem", "ca.pem"),
        ("tests/bad-configs/ldap/bind.pw", "bind.pw"),
    ] {
        fs::copy(root().join(from), folder.join(to)).expect("a file can be copied");
    }
    let checked = gatepost(&["check", &folder.join("gatepost.toml").to_string_lossy()]);
    assert!(checked.status.success(), "{checked:?}");
}

fn bob() -> Vec<&'static str> {
    let words = "--client 192.0.2.9 --login bob --sender bob@example.org --rcpt x@far.test";
    words.split(' ').collect()
}

fn carol() -> Vec<&'static str> {
    "--login carol --sender carol@example.org --rcpt bob@example.org".split(' ').collect()
}

/// Every line but that with the time stands in the document.
#[track_caller]
fn assert_shown(file: &str, question: &[&str]) {
    assert_lines(&document(file), file, &story(question));
}

#[track_caller]
fn assert_lines(document: &str, file: &str, told: &str) {
    for line in told.lines().filter(|line| !line.contains(" at 20")) {
        assert!(document.lines().any(|shown| shown == line), "not in {file}: {line}");
    }
}

/// What `explain` tells of the quick start.
fn story(question: &[&str]) -> String {
    let quickstart = ["explain", "--offline", "-c", "config/quickstart.toml"];
    let told = gatepost(&[&quickstart, question].concat());
    let told = String::from_utf8(told.stdout).expect("text");
    assert!(told.lines().count() > 5, "a story was told: {told}");
    told
}

/// In brackets, or after `id=`.
fn ids(text: &str) -> Vec<String> {
    let after = |mark: &'static str| text.split(mark).skip(1);
    let words = after("[").chain(after("id="));
    let words = words.filter_map(|rest| rest.get(..12));
    words.filter_map(DecisionId::parse).map(|id| id.as_str().to_owned()).collect()
}

fn gatepost(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
    command.args(arguments).current_dir(root()).output().expect("gatepost runs")
}

#[derive(Debug, PartialEq, Eq)]
struct Metric {
    kind: String,
    labels: BTreeSet<String>,
}

/// By name; a histogram's `le` is no label of ours.
fn exposed() -> BTreeMap<String, Metric> {
    let text = exposition();
    let mut metrics = BTreeMap::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').expect("a name and a type");
        let samples = text.lines().filter(|line| {
            let suffix = line.strip_prefix(name);
            suffix.is_some_and(|rest| rest.starts_with(['{', ' ']) || rest.starts_with("_bucket"))
        });
        let labels = samples.flat_map(labels).map(|(label, _)| label.to_owned());
        let labels = labels.filter(|label| label != "le").collect();
        metrics.insert(name.to_owned(), Metric { kind: kind.into(), labels });
    }
    metrics
}

fn exposition() -> String {
    let metrics = Metrics::new();
    // The one label that comes from the configuration.
    metrics.directory.server_up(SERVER, true);
    String::from_utf8(metrics.expose().expect("metrics are exposed")).expect("text")
}

fn labels(sample: &str) -> Vec<(&str, &str)> {
    let inside = sample.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
    let pairs = inside.map_or("", |(inside, _)| inside).split(',').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (label, value) = pair.split_once('=').expect("label=value");
            (label, value.trim_matches('"'))
        })
        .collect()
}

/// The cells of every row of every table.
fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().filter_map(|line| {
        let row = line.trim().strip_prefix('|')?.strip_suffix('|')?;
        Some(row.split('|').map(str::trim).collect())
    })
}

/// What stands in backticks.
fn words(text: &str) -> impl Iterator<Item = String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned)
}

fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1);
    targets.filter_map(|rest| rest.split_once(')').map(|(target, _)| target))
}

/// As GitHub makes an anchor of a heading.
fn has_heading(file: &Path, anchor: &str) -> bool {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().filter(|line| line.starts_with('#')).any(|line| {
        let heading = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).eq(anchor.chars())
    })
}

fn markdown(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder can be read").flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() && name != "target" && name != ".git" {
            found.extend(markdown(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found
}

fn document(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}
