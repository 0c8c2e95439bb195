//! Commands, of which some never end.

use std::path::Path;

use crate::outbox::{Site, suspended};
use crate::process::{read, until};

const DONE: &str = "gatepost_actions_total{kind=\"command\",result=\"ok\"}";
const FAILED: &str = "gatepost_actions_total{kind=\"command\",result=\"error\"}";

/// The script is an argument, and is given the folder.
fn command(script: &str, folder: &Path, more: &str) -> String {
    let folder = folder.display();
    format!(
        "[[action]]\nname = \"script\"\ntype = \"command\"\n{more}\n\
         command = [\"/bin/sh\", \"-c\", '''{script}''', \"script\", \"{folder}\"]\n"
    )
}

#[test]
fn a_command_gets_the_event_and_nothing_of_our_environment() {
    let folder = crate::outbox::Folder::new();
    let script = "cat > $1/body; env | grep -v -e ^PWD= -e ^_= -e ^SHLVL= | sort > $1/env; echo \"$0 $#\" > $1/done";
    let site = Site::new(&command(script, &folder.0, ""));
    let event = suspended("e1");
    site.send(std::slice::from_ref(&event));
    site.wait_for_metric(DONE, 1);
    assert_eq!(read(&folder.0.join("body")), &*event.to_event().body);
    let path = std::env::var("PATH").expect("a path");
    let expected = format!("GATEPOST_EVENT=suspended\nGATEPOST_ID=e1\nPATH={path}\n");
    assert_eq!(read(&folder.0.join("env")), expected);
    assert_eq!(read(&folder.0.join("done")), "script 1\n");
}

#[test]
fn one_that_never_ends_is_killed_with_all_it_started() {
    let folder = crate::outbox::Folder::new();
    let script = "sleep 1000 & echo $! > $1/child; echo $$ > $1/self; sleep 1000";
    let site = Site::new(&command(script, &folder.0, "timeout = \"1s\""));
    site.send(&[suspended("e1")]);
    site.wait_for_metric(FAILED, 1);
    for name in ["self", "child"] {
        let pid = read(&folder.0.join(name));
        let stat = Path::new("/proc").join(pid.trim()).join("stat");
        until(&format!("{name} is gone"), || {
            let stat = read(&stat);
            (stat.is_empty() || stat.contains(") Z ")).then_some(())
        });
    }
    assert_eq!(site.kept(), ["script/e1"], "it is tried again");
}

#[test]
fn output_without_an_end_is_read_and_not_kept() {
    let folder = crate::outbox::Folder::new();
    let script = "head -c 10000000 /dev/zero; head -c 10000000 /dev/zero >&2";
    let site = Site::new(&command(script, &folder.0, ""));
    site.send(&[suspended("e1")]);
    site.wait_for_metric(DONE, 1);
}

#[test]
fn one_that_leaves_somebody_behind_has_ended() {
    let folder = crate::outbox::Folder::new();
    let script = "setsid sleep 1000 & echo $! > $1/child; exit 0";
    let site = Site::new(&command(script, &folder.0, ""));
    site.send(&[suspended("e1")]);
    site.wait_for_metric(DONE, 1);
    let pid: i32 = read(&folder.0.join("child")).trim().parse().expect("a pid");
    let pid = rustix::process::Pid::from_raw(pid).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it runs on");
}

#[test]
fn only_so_many_run_at_once_and_a_failure_is_tried_again() {
    let folder = crate::outbox::Folder::new();
    // Each waits for another one: alone none would end.
    let script = "mkdir -p $1/at; touch $1/at/$GATEPOST_ID; n=0; \
                  while [ $(ls $1/at | wc -l) -lt 2 ]; do n=$((n+1)); done; \
                  test -e $1/again-$GATEPOST_ID || { touch $1/again-$GATEPOST_ID; exit 7; }";
    let site = Site::new(&command(script, &folder.0, "at-once = 2"));
    site.send(&[suspended("e1"), suspended("e2")]);
    site.wait_for_metric(DONE, 2);
    assert_eq!(site.metric(FAILED), 2);
}
