//! `gatepost demo` as a process: the story it tells, what README.md shows of it, and what it leaves behind.

#[path = "common/process.rs"]
#[allow(dead_code, reason = "each test takes what it needs")]
mod process;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};

use process::{DEADLINE, Process, until};
use rustix::process::Signal;

/// Where a demo makes its folder. A short path: that of a socket has at most 107 bytes (unix(7)).
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = format!("/tmp/gatepost-test-demo-{}-{number}", std::process::id());
        fs::create_dir(&path).expect("a folder");
        Self(path.into())
    }

    fn demo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
        command.arg("demo").args(arguments).env("TMPDIR", &self.0);
        command
    }

    fn start(&self, arguments: &[&str]) -> Process {
        Process::start("gatepost demo", &mut self.demo(arguments), self.0.join("log"))
    }

    /// What demos have made.
    fn made(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.0).expect("a folder").flatten();
        let paths = entries.map(|entry| entry.path());
        paths.filter(|path| path.file_name().is_some_and(|name| name != "log")).collect()
    }

    /// Processes that work in a folder of a demo.
    fn is_deserted(&self) -> bool {
        let processes = fs::read_dir("/proc").expect("proc(5)").flatten();
        let mut folders = processes.filter_map(|one| fs::read_link(one.path().join("cwd")).ok());
        !folders.any(|folder| folder.starts_with(&self.0))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

fn printed(output: &Output) -> String {
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// What differs from run to run: the key's name, moments, folders, who runs it.
fn masked(line: &str) -> String {
    let mask = |pattern: &str, with: &str, line: &str| {
        regex::Regex::new(pattern).expect("a pattern").replace_all(line, with).into_owned()
    };
    let line = mask(r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "AT", line);
    let line = mask(r"hash key [0-9a-f]{8}", "hash key", &line);
    let line = mask(r"/\S*gatepost-demo-\w{6}", "FOLDER", &line);
    mask(r"^  by        \w+$", "  by", &line)
}

#[test]
fn the_thief_is_suspended_the_owner_released_and_nothing_left() {
    let folder = Folder::new();
    let text = printed(&folder.demo(&["--fast"]).output().expect("run"));
    let count = |words: &str| text.matches(words).count();
    let (_, told) = text.split_once("550 5.7.13 [").expect("the thief is refused");
    let id = &told[..12];
    assert_eq!(count(&format!(".test    550 5.7.13 [{id}] Sending is suspended")), 3);
    // On a slow machine counters fade between his messages.
    let (passed, deferred) = (count(".test    DUNNO\n"), count(".test    451 4.7.1 ["));
    assert!(passed > 0 && deferred > 0, "{text}");
    let story = [
        "1. What is usual",
        "2. The daemon",
        "3. alice at work",
        "4. A thief",
        &format!(" went out, {deferred} had to wait; "),
        "5. Who should know",
        &format!("  event     suspended\n  id        {id}.suspended\n"),
        "6. The help desk",
        &format!("  alice is suspended by {id}\n"),
        "to change  have its password changed",
        "7. Her password",
        &format!("  alice is released: suspended by {id} since "),
        "    on probation until ",
        &format!("  event     released\n  id        {id}.released\n"),
        "8. alice goes on",
        "The daemon is stopped, and the folder removed.\n",
    ];
    let places: Vec<_> = story.iter().map(|words| text.find(words)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}\n{text}");
    assert_eq!((count("  event  "), count(".suspended\n"), count(".released\n")), (2, 1, 1));
    assert!(text.lines().all(|line| line.len() <= 100), "{text}");
    assert!(!text.contains('\u{1b}'), "no terminal, no colours");
    assert_eq!(folder.made(), [] as [&Path; 0]);
    assert!(folder.is_deserted());
}

#[test]
fn the_readme_shows_what_is_printed() {
    let folder = Folder::new();
    let text = printed(&folder.demo(&["--fast"]).output().expect("run"));
    let printed: Vec<String> = text.lines().map(masked).collect();
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(readme).expect("README.md");
    let (_, shown) = readme.split_once("cargo run --release -- demo\n\n").expect("the demo");
    let (shown, _) = shown.split_once("\n```").expect("its end");
    let mut rest = printed.iter();
    for line in shown.lines().filter(|line| !line.is_empty() && line.trim() != "[...]") {
        let line = masked(line);
        assert!(rest.any(|printed| *printed == line), "not there or not in order: {line}\n{text}");
    }
}

#[test]
fn kept_it_answers_until_ctrl_c_and_tells_of_each_notice() {
    let folder = Folder::new();
    let mut demo = folder.start(&["--keep", "--fast"]);
    demo.wait_for_log("Ctrl-C ends both");
    let made = folder.made();
    let [site] = made.as_slice() else { panic!("one folder: {made:?}") };
    let gatepost = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
        let output = command.args(arguments).output().expect("run");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let socket = format!("unix:{}/policy.sock", site.display());
    let (code, answer) =
        gatepost(&["ask", "--socket", &socket, "--login", "bob", "--rcpt", "x@far.test"]);
    assert_eq!((code, answer.split(' ').next()), (Some(1), Some("550")), "{answer}");
    let file = site.join("gatepost.toml").display().to_string();
    let (code, _) = gatepost(&["suspend", "bob", "-c", &file, "--note", "a try"]);
    assert_eq!(code, Some(0));
    demo.wait_for_log("login     bob\n");
    demo.signal(Signal::INT);
    assert!(demo.wait_for_end(DEADLINE).success(), "{}", demo.written());
    assert!(site.join("gatepost.log").exists() && site.join("store.redb").exists());
    assert!(folder.is_deserted());
}

#[test]
fn interrupted_it_leaves_nothing() {
    let folder = Folder::new();
    let mut demo = folder.start(&[]);
    demo.wait_for_log("3. alice at work");
    assert!(!folder.is_deserted());
    demo.signal(Signal::TERM);
    assert_eq!(demo.wait_for_end(DEADLINE).code(), Some(1));
    assert!(demo.written().ends_with("gatepost demo: interrupted\n"), "{}", demo.written());
    assert_eq!(folder.made(), [] as [&Path; 0]);
    assert!(folder.is_deserted());
}

#[test]
fn a_daemon_that_is_gone_is_told() {
    let folder = Folder::new();
    let mut demo = folder.start(&["--keep", "--fast"]);
    demo.wait_for_log("Ctrl-C ends both");
    let daemon = until("the daemon works there", || {
        let processes = fs::read_dir("/proc").expect("proc(5)").flatten();
        let here = |path: &Path| {
            fs::read_link(path.join("cwd")).is_ok_and(|cwd| cwd.starts_with(&folder.0))
        };
        let path = processes.map(|one| one.path()).find(|path| here(path))?;
        path.file_name()?.to_str()?.parse().ok().and_then(rustix::process::Pid::from_raw)
    });
    rustix::process::kill_process(daemon, Signal::KILL).expect("killed");
    assert_eq!(demo.wait_for_end(DEADLINE).code(), Some(1));
    let told = demo.written();
    assert!(
        told.contains("gatepost demo: the daemon ended by itself: signal: 9 (SIGKILL)"),
        "{told}"
    );
}

/// The path of a unix socket has at most 107 bytes (unix(7)).
#[test]
fn where_paths_are_too_long_for_sockets_it_says_so() {
    let folder = Folder::new();
    let deep = folder.0.join("x".repeat(80));
    fs::create_dir(&deep).expect("a folder");
    let output = folder.demo(&["--fast"]).env("TMPDIR", &deep).output().expect("run");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(told.ends_with("TMPDIR may name another place\n"), "{told}");
    assert!(fs::read_dir(&deep).expect("a folder").next().is_none());
    assert!(folder.is_deserted());
}

#[test]
fn without_a_place_for_its_folder_it_says_so() {
    let folder = Folder::new();
    let output = folder.demo(&[]).env("TMPDIR", "/no/such").output().expect("run");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "gatepost demo: /no/such: ENOENT: No such file or directory\n"
    );
}
