//! Mail that Postfix's sendmail(1) hands in, by non_smtpd_milters: it comes from the machine itself and
//! is not judged, since a refusal there would leave it in the queue for good.

use crate::door::Door;
use crate::gatepost::edited;
use crate::lab::{Lab, Wiring, marker};
use crate::process::{DEADLINE, Process, program};
use crate::smtp::Session;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::process::Command;

const RECIPIENTS: [&str; 3] = ["friend@far.test", "carol@local.test", "nobody@local.test"];

#[test]
fn a_message_on_standard_input_goes_everywhere() {
    let lab = lab();
    let marker = marker("input");
    let [external, local, unknown] = RECIPIENTS;
    let message = format!(
        "From: root@local.test\nTo: {external}, {unknown}\nBcc: {local}\nSubject: {marker}\n\nx\n"
    );
    let input = lab.folder.path.join("message");
    fs::write(&input, message).expect("a file can be written");
    let input = File::open(input).expect("a file can be read");
    let log = lab.folder.path.join("sendmail.log");
    let mut sendmail = Process::start_fed("sendmail", sendmail(&lab).arg("-t"), input.into(), log);
    let ended = sendmail.wait_for_end(DEADLINE);
    assert!(ended.success(), "{ended}: {}", sendmail.written());
    assert_everywhere(&lab, &marker);
}

#[test]
fn smtp_on_standard_input_goes_everywhere() {
    let lab = lab();
    let marker = marker("smtp");
    let mut session = Session::over(sendmail(&lab).arg("-bs"), Door::Milter);
    session.banner();
    session.ehlo();
    session.mail("root@local.test").assert_ok();
    for recipient in RECIPIENTS {
        session.rcpt(recipient).assert_ok();
    }
    session.data(&marker).assert_ok();
    session.quit();
    assert_everywhere(&lab, &marker);
}

#[track_caller]
fn assert_everywhere(lab: &Lab, marker: &str) {
    lab.external.wait_for(marker);
    lab.settle();
    let arrived = [lab.external.with(marker), lab.local.with(marker)].concat();
    let recipients: BTreeSet<_> = arrived.iter().flat_map(|mail| &mail.recipients).collect();
    assert_eq!(recipients, RECIPIENTS.map(Into::into).iter().collect());
    // gatepost was asked, about each.
    let decisions = lab.gatepost.decisions();
    let asked = decisions.iter().filter(|decided| decided.field("stage") == "rcpt");
    let asked: BTreeSet<_> = asked.map(|decided| decided.field("recipient")).collect();
    assert_eq!(asked, RECIPIENTS.into());
    // By SMTP one of them is refused.
    Session::open(lab.ports.mx)
        .send("friend@far.test", "nobody@local.test", marker)
        .assert_refused(550, "5.1.1", "nobody@local.test is not known here");
}

fn sendmail(lab: &Lab) -> Command {
    let configuration = lab.folder.path.join("conf");
    let mut command = Command::new(program("sendmail", "postfix"));
    command.arg("-C").arg(&configuration).env("MAIL_CONFIG", &configuration);
    command
}

/// One whose gatepost knows every recipient of ours.
fn lab() -> Lab {
    Lab::start_wired(Door::Milter, |folder, ports, main_cf| {
        let mut wiring = Wiring::of(Door::Milter, folder, ports, main_cf);
        let existence = "[recipient]\nexistence = \"enforce\"\n[submit]";
        wiring.gatepost = edited(&wiring.gatepost, "[submit]", existence);
        wiring
    })
}
