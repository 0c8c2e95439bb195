//! A thief in the daemon's own mail: who is told of his end, and of the release.

use std::collections::BTreeSet;

use gatepost::record::{Notice, NoticeKind};

use crate::daemon::Site;
use crate::hook::{Hook, OK};
use crate::process::{output, read, until};
use crate::sink::{Protocol, Sink};
use crate::webhooks::webhook;

const MESSAGES: usize = 60;

#[test]
fn a_suspension_and_its_release_are_told_once_to_everybody() {
    let (hook, sink) = (Hook::open(OK), Sink::open(Protocol::Smtp));
    let lines = crate::outbox::Folder::new();
    let file = lines.0.join("lines");
    let actions = webhook("pager", &hook)
        + &format!(
            "[[action]]\nname = 'postmaster'\ntype = 'mail'\nserver = '127.0.0.1:{}'\ntls = 'none'\n\
             from = 'gatepost@example.org'\nto = ['postmaster@example.org']\nto-person = true\n\
             [[action]]\nname = 'script'\ntype = 'command'\n\
             command = ['/bin/sh', '-c', 'echo \"$GATEPOST_EVENT $GATEPOST_ID\" >> \"$0\"', '{}']\n\
             [directory]\ntype = 'file'\nfile.path = 'people.toml'\n\
             [relay]\nauthenticated = true\n[detector]\nmode = 'enforce'\n",
            sink.port(),
            file.display()
        );
    let site = Site::new(&actions);
    site.folder.write(
        "people.toml",
        "[[account]]\nlogin = 'alice'\naddresses = ['alice@example.org']\nother-address = 'alice@home.test'\n",
    );
    let _daemon = site.start();
    let refused =
        (0..MESSAGES).map(|number| site.send(number)).find(|answer| answer.contains("5.7.13"));
    let refused = refused.expect("a thief is found out");
    assert_eq!(site.send(MESSAGES), refused, "his next one as well");

    let call = hook.wait_for(1).remove(0);
    let told = Notice::read(&call.body).expect("an event");
    assert_eq!((told.event, told.login.as_deref()), (NoticeKind::Suspended, Some("alice")));
    let incident = told.incident.clone().expect("an incident");
    assert!(refused.contains(&format!("[{incident}]")), "{refused} is by {incident}");
    assert!(told.reason.is_some() && told.since.is_some());
    assert!(sink.wait_for("alice is suspended").data.contains(&incident));

    output(&mut site.gatepost(&[
        "release",
        "alice",
        "--verdict",
        "true-positive",
        "--note",
        "password changed",
        "--force",
    ]));
    let released = Notice::read(&hook.wait_for(2)[1].body).expect("an event");
    assert_eq!((released.event, &released.incident), (NoticeKind::Released, &told.incident));
    assert_eq!(released.verdict.as_deref(), Some("true-positive"));
    sink.wait_for("alice is released");
    let expected = [format!("suspended {}", told.id), format!("released {}", released.id)];
    until("the command has run twice", || (read(&file).lines().count() == 2).then_some(()));
    assert_eq!(read(&file).lines().collect::<Vec<_>>(), expected);
    assert_eq!(hook.ids().into_iter().collect::<BTreeSet<_>>().len(), hook.ids().len());
    until("the owner is told as well", || (sink.count() == 4).then_some(()));
    assert_eq!(sink.with("alice@home.test").len(), 2);
    assert_eq!(hook.ids().len(), 2);
    let status = output(&mut site.gatepost(&["status"]));
    assert!(status.contains("action      pager: 0 events waiting, 0 dead letters\n"), "{status}");
}
