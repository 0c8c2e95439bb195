//! `gatepost directory export`: a file by which another node answers alike.

use crate::process::Done;
use crate::rights::silent_site;
use crate::site::{Site, gatepost};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::PermissionsExt;

fn export(site: &Site, arguments: &[&str]) -> Done {
    site.run(&[&["directory", "export", "-c", "gatepost.toml"], arguments].concat())
}

#[test]
fn another_node_answers_alike_by_the_exported_file() {
    let site = Site::new();
    let done = export(&site, &["--to", "exported.toml"]);
    assert_eq!((done.code, &*done.printed, &*done.complained), (Some(0), "", ""));
    let other = Site::new();
    other.write("people.toml", &fs::read_to_string(site.path("exported.toml")).expect("a file"));
    let (_here, _there) = (site.start(), other.start());
    for login in ["alice", "bob", "carol@example.org", "erin", "frank", "nobody"] {
        let question = ["rights", "-c", "gatepost.toml", "-o", "json", login];
        let [one, two] = [&site, &other].map(|site| {
            let done = site.run(&question);
            let told: serde_json::Value = serde_json::from_str(&done.printed).expect("JSON");
            let account = &told["account"];
            (
                done.code,
                told["rights"][0]["verdict"].clone(),
                told["rights"][1]["verdict"].clone(),
                account["key"].clone(),
                account["addresses"].clone(),
            )
        });
        assert_eq!(one, two, "{login}");
    }
}

#[test]
fn the_file_says_when_and_from_what() {
    let site = Site::new();
    let done = export(&site, &[]);
    assert_eq!((done.code, &*done.complained), (Some(0), ""));
    let mut lines = done.printed.lines();
    let first = lines.next().expect("a line");
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        first.starts_with(&format!("# A directory file, exported by gatepost {version} at 20")),
        "{first}"
    );
    let second =
        "# 5 accounts and 3 groups from the file people.toml, for the groups of gatepost.toml.";
    assert_eq!(lines.next(), Some(second));
    assert!(lines.next().is_some_and(|line| line.contains("what is changed here is lost")));
}

#[test]
fn it_is_replaced_whole_and_readable_by_its_group_only() {
    let site = Site::new();
    site.write("exported.toml", "old");
    let done = export(&site, &["--to", "exported.toml"]);
    assert_eq!(done.code, Some(0), "{}", done.complained);
    let mode = fs::metadata(site.path("exported.toml")).expect("a file").permissions().mode();
    assert_eq!(mode & 0o7777, 0o640);
    let text = fs::read_to_string(site.path("exported.toml")).expect("a file");
    assert!(text.starts_with("# A directory file"), "{text}");
    assert!(site.leftovers().is_empty(), "{:?}", site.leftovers());
}

#[test]
fn what_cannot_be_said_alike_is_told_without_control_characters() {
    let site = Site::new();
    site.change("people.toml", "login = \"bob\"", "login = \"bob\"\naliases = [\"\\u001bx\"]");
    site.change("people.toml", "login = \"carol\"", "login = \"carol\"\naliases = [\"\\u001bX\"]");
    let done = export(&site, &["--to", "exported.toml"]);
    assert_eq!(done.code, Some(0));
    let says = "\\u{1b}x names more than one account, bob (file:bob) and carol (file:carol): it stays ambiguous";
    assert_eq!(done.complained.lines().next(), Some(says));
    assert!(!done.complained.contains('\u{1b}'));
}

#[test]
fn where_there_is_nothing_to_export_the_file_stays() {
    let [empty, without] = [Site::new(), Site::new()];
    empty.write("people.toml", "");
    let table = "[directory]\ntype = \"file\"\n[directory.file]\npath = \"people.toml\"\n";
    without.change("gatepost.toml", table, "");
    let faulty = Site::with(&[("local = [", "lokal = [")]);
    let silent = silent_site();
    for (site, code, says) in [
        (&empty, 4, "people.toml has no account"),
        (&without, 4, "there is no [directory] to export"),
        (&faulty, 1, "lokal"),
        (&silent, 75, "nothing is exported: "),
    ] {
        site.write("exported.toml", "old");
        let done = export(site, &["--to", "exported.toml"]);
        assert_eq!((done.code, &*done.printed), (Some(code), ""), "{}", done.complained);
        assert!(done.complained.contains(says), "{}", done.complained);
        let kept = fs::read_to_string(site.path("exported.toml")).expect("a file");
        assert_eq!(kept, "old");
    }
}

#[test]
fn what_cannot_be_written_is_a_fault() {
    let site = Site::new();
    for (to, says) in [
        ("missing/people.toml", "missing/people.toml: No such file"),
        ("config", "config: Is a directory"),
        ("/", "/: it names no file"),
    ] {
        fs::create_dir_all(site.path("config")).expect("a folder can be made");
        let done = export(&site, &["--to", to]);
        assert_eq!(done.code, Some(1));
        assert!(done.complained.contains(says), "{}", done.complained);
        assert!(site.leftovers().is_empty(), "{:?}", site.leftovers());
    }
    let full = OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
    let mut command = gatepost();
    command.args(["directory", "export", "-c", "gatepost.toml"]).current_dir(&site.folder);
    let done = command.stdout(full).output().expect("gatepost runs");
    assert_eq!(done.status.code(), Some(1));
    assert!(done.stderr.starts_with(b"stdout: No space left"), "{done:?}");
}
