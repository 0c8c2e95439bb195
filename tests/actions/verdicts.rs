//! No question waits for an action.

use rustix::process::Signal;

use crate::daemon::Site;
use crate::hook::{Hook, Manner};
use crate::outbox::suspended;
use crate::process::{DEADLINE, until};
use crate::webhooks::webhook;

#[test]
fn questions_are_answered_while_every_action_hangs() {
    let (hook, relay) = (Hook::open(Manner::Hangs), Hook::open(Manner::Hangs));
    let actions = webhook("pager", &hook)
        + &format!(
            "[[action]]\nname = 'postmaster'\ntype = 'mail'\nserver = '127.0.0.1:{}'\ntls = 'none'\n\
             from = 'gatepost@example.org'\nto = ['postmaster@example.org']\n\
             [[action]]\nname = 'script'\ntype = 'command'\n\
             command = ['/bin/sh', '-c', 'echo $$ > \"$0\"; sleep 1000', '/dev/null']\n",
            // It takes connections and says nothing.
            relay.port
        );
    let site = Site::new(&actions);
    let events: Vec<_> = (0..100).map(|number| suspended(&format!("e{number}"))).collect();
    site.commit(&events);
    let mut daemon = site.start();
    hook.wait_for(1);
    for _ in 0..300 {
        assert!(site.ask().starts_with("action="), "answered");
    }
    daemon.signal(Signal::TERM);
    until("it stops", || daemon.ended());
    daemon.wait_for_end(DEADLINE);
}
