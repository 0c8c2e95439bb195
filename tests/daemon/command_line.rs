//! `gatepost ask`, `gatepost check` and the quick start as processes.

use crate::client::id_of;
use crate::process::{Done, Program, run};
use crate::site::{Site, free_port, gatepost};
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

fn ask(site: &Site, socket: &str, arguments: &[&str]) -> Done {
    site.run(&[&["ask", "--socket", socket], arguments].concat())
}

#[test]
fn ask_says_by_its_exit_code_what_was_answered() {
    let site = Site::new();
    let _gatepost = site.start();
    let (tcp, unix) =
        (format!("inet:127.0.0.1:{}", site.port), format!("unix:{}", site.unix().display()));
    for socket in [tcp, unix] {
        for (login, code, answer) in [
            ("alice", 0, "DUNNO"),
            ("bob", 1, "550 5.7.1 ["),
            ("frank", 75, "450 4.7.13 ["),
            ("nobody", 1, "550 5.7.1 ["),
        ] {
            let done = ask(&site, &socket, &["--login", login, "--rcpt", "x@far.test"]);
            assert_eq!((done.code, &*done.complained), (Some(code), ""), "{login}");
            assert!(done.printed.starts_with(answer), "{login}: {}", done.printed);
        }
        let refused = ask(&site, &socket, &["--rcpt", "x@far.test"]);
        assert_eq!(refused.code, Some(1));
        assert!(refused.printed.starts_with("530 5.7.0 ["), "{}", refused.printed);
        id_of(&refused.printed);
        let at_mail = ["--login", "bob", "--state", "MAIL", "--attribute", "size=17"];
        assert_eq!(ask(&site, &socket, &at_mail).code, Some(0));
    }
}

#[test]
fn ask_says_what_went_wrong() {
    let site = Site::new();
    let nobody = format!("inet:127.0.0.1:{}", site.port);
    let done = ask(&site, &nobody, &["--login", "bob"]);
    assert_eq!((done.code, &*done.printed), (Some(3), ""));
    assert!(done.complained.contains(&nobody), "{}", done.complained);
    assert!(done.complained.contains("is gatepost running?"), "{}", done.complained);
    let done = ask(&site, &format!("unix:{}", site.unix().display()), &[]);
    assert_eq!(done.code, Some(3));
    assert!(done.complained.contains("is gatepost running?"), "{}", done.complained);
    let done = ask(&site, "localhost:1", &[]);
    assert_eq!(done.code, Some(3));
    assert!(done.complained.contains("expected \"inet:127.0.0.1:10031\""), "{}", done.complained);

    let _gatepost = site.start();
    let done = ask(&site, &nobody, &["--state", "lunch"]);
    assert_eq!((done.code, &*done.printed), (Some(3), ""));
    assert!(done.complained.contains("closed without an answer"), "{}", done.complained);
    let done = ask(&site, &nobody, &["--login", "two\nlines"]);
    assert_eq!(done.code, Some(3));
    assert!(done.complained.contains("no request can carry"), "{}", done.complained);
}

#[test]
fn asking_a_milter_socket_by_policy_delegation_says_what_to_do() {
    let site = Site::of_milter(&[]);
    let gatepost = site.start();
    for socket in
        [format!("inet:127.0.0.1:{}", site.port), format!("unix:{}", site.unix().display())]
    {
        let done = site.run(&["ask", "--socket", &socket, "--login", "bob", "--rcpt", "x@y"]);
        assert_eq!((done.code, &*done.printed), (Some(3), ""));
        assert_eq!(
            done.complained,
            format!(
                "{socket}: closed without an answer: gatepost could not read the request; its log says why. ask speaks policy delegation alone: of a listener with protocol = \"milter\", ask gatepost explain --listener {socket}"
            )
        );
        let told = site.run(&[
            "explain",
            "-c",
            "gatepost.toml",
            "--listener",
            &socket,
            "--rcpt",
            "x@far.test",
        ]);
        assert_eq!(told.code, Some(1), "as advised: {}{}", told.printed, told.complained);
    }
    assert_eq!(gatepost.wait_for_logs("connection closed without an answer", 2).len(), 2);
}

#[test]
fn a_faulty_file_is_told_before_anything_is_bound() {
    let site = Site::with(&[("local = [", "lokal = [")]);
    for arguments in [&["run", "-c", "gatepost.toml"][..], &["check", "gatepost.toml"]] {
        let done = site.run(arguments);
        assert_eq!((done.code, &*done.printed), (Some(1), ""));
        assert!(done.complained.contains("gatepost.toml:"), "{}", done.complained);
        assert!(done.complained.contains("lokal"), "{}", done.complained);
    }
    assert!(!site.unix().exists() && !site.path("control.sock").exists());
    let done = site.run(&["run", "-c", "missing.toml"]);
    assert_eq!(done.code, Some(1));
    assert!(done.complained.contains("missing.toml: No such file"), "{}", done.complained);
}

#[test]
fn check_takes_the_file_that_runs() {
    let site = Site::new();
    let done = site.run(&["check", "gatepost.toml"]);
    assert_eq!(done.code, Some(0));
    let lines: Vec<&str> = done.printed.lines().collect();
    assert_eq!(lines[0], "gatepost.toml: no faults");
    // And what the detector will cost the innocent.
    assert!(lines[1].starts_with("false alarms to expect of "), "{}", done.printed);
    assert_eq!(lines.len(), 5, "{}", done.printed);
}

#[test]
fn without_arguments_in_an_empty_folder_it_says_what_to_do() {
    let site = Site::new();
    let done = site.run(&[]);
    assert_eq!((done.code, &*done.printed), (Some(4), ""));
    for words in ["config/quickstart.toml", "gatepost run --config FILE", "gatepost --help"] {
        assert!(done.complained.contains(words), "{words} in {}", done.complained);
    }
}

/// The files of the checkout, on ports of this test.
fn quickstart(site: &Site) -> (u16, u16) {
    let (port, http) = (free_port(), free_port());
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    fs::create_dir(site.path("config")).expect("a folder can be made");
    for name in ["quickstart.toml", "quickstart-people.toml"] {
        let text = fs::read_to_string(checkout.join(name)).expect("the checkout has it");
        site.write(&format!("config/{name}"), &text);
    }
    site.change("config/quickstart.toml", "10031", &port.to_string());
    let pages = format!("[http]\nlisten = \"127.0.0.1:{http}\"\n[control]");
    site.change("config/quickstart.toml", "[control]", &pages);
    (port, http)
}

#[test]
fn the_quick_start_runs_and_what_it_advises_works() {
    let site = Site::new();
    let (port, http) = quickstart(&site);
    let mut command = gatepost();
    command.current_dir(&site.folder).stdin(Stdio::null()).stdout(Stdio::piped());
    let gatepost = Program::start(&mut command);
    gatepost.wait_for_log(" ready ");
    gatepost
        .wait_for_print(&format!("on 127.0.0.1:{port}, by the rules of config/quickstart.toml"));
    gatepost.wait_for_print(&format!("http://127.0.0.1:{http}/metrics"));
    assert!(gatepost.logs(" WARN ").is_empty(), "{}", gatepost.log());

    let question = ["--login", "bob", "--sender", "bob@example.org", "--rcpt", "x@far.test"];
    let asked = ask(&site, &format!("inet:127.0.0.1:{port}"), &question);
    assert_eq!(asked.code, Some(1));
    let said = "bob has no relay right: mail to far.test is not allowed";
    assert!(asked.printed.ends_with(said), "{}", asked.printed);
    let file = ["explain", "-c", "config/quickstart.toml"];
    assert_eq!(site.run(&[&file[..], &question].concat()).code, Some(1));
    assert_eq!(crate::page::read(http, "/metrics").status, 200);
}

#[test]
fn the_quick_start_says_so_when_its_port_is_taken() {
    let site = Site::new();
    let (port, _) = quickstart(&site);
    let _other = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
    let done = run(gatepost().current_dir(&site.folder).stdin(Stdio::null()));
    assert_eq!((done.code, &*done.printed), (Some(3), ""));
    let expected = format!("not started: cannot listen on inet:127.0.0.1:{port}: ");
    assert!(done.complained.contains(&expected), "{}", done.complained);
}
