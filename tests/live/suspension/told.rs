//! Who is told of a suspension: a webhook, postmaster by the lab's own Postfix, a command.

use crate::gatepost::edited;
use crate::hook::Hook;
use crate::lab::Ports;
use crate::process::{read, until};
use crate::sink::Sink;
use crate::stolen::Told;
use serde_json::Value;
use std::fs;
use std::path::Path;

/// The configuration with a store on disk and an action of each kind.
pub fn acting(folder: &Path, ports: &Ports, configuration: &str, hook: &Hook) -> String {
    fs::write(folder.join("hook.secret"), "a secret of more than 24 bytes")
        .expect("a file can be written");
    let store = "type = \"embedded\"\npath = \"store.redb\"\nhash-key-file = \"hash.key\"\n";
    let actions = ACTIONS
        .replace("HOOK", &hook.url())
        .replace("MX", &ports.mx.number.to_string())
        .replace("FILE", &folder.join(FILE).display().to_string());
    edited(configuration, "type = \"memory\"\n", store) + &actions
}

/// What the command writes: a line for each event.
const FILE: &str = "events";

const ACTIONS: &str = r#"[[action]]
name = "pager"
type = "webhook"
url = "HOOK"
secret-file = "hook.secret"
[[action]]
name = "postmaster"
type = "mail"
server = "127.0.0.1:MX"
tls = "none"
from = "gatepost@local.test"
to = ["postmaster@local.test"]
[[action]]
name = "script"
type = "command"
command = ["/bin/sh", "-c", 'cat >> "$0"; echo >> "$0"', "FILE"]
"#;

pub struct Everybody<'a> {
    pub hook: &'a Hook,
    /// Where the mail for postmaster comes to.
    pub mail: &'a Sink,
    pub folder: &'a Path,
}

impl Everybody<'_> {
    /// Until each has heard of this event of the suspension; the ids of all events so far.
    #[track_caller]
    pub fn hears(&self, event: &str, told: &Told) -> Vec<String> {
        let is_it = |one: &Value| {
            assert_eq!((&one["login"], &one["incident"]), (&"alice".into(), &told.id[..].into()));
            one["event"] == event
        };
        let called = until(&format!("the webhook hears of {event}"), || {
            self.called().into_iter().find(is_it)
        });
        let written = until(&format!("the command hears of {event}"), || {
            self.written().into_iter().find(is_it)
        });
        assert_eq!(called, written);
        let mail = self.mail.wait_for(&format!("[gatepost] alice is {event}"));
        assert_eq!(
            (&*mail.sender, &mail.recipients[..]),
            ("", &["postmaster@local.test".into()][..])
        );
        assert!(mail.data.contains(&told.id), "{}", mail.data);
        self.hook.ids()
    }

    /// Each heard of each event once, and of nothing else.
    #[track_caller]
    pub fn heard_nothing_else(&self, ids: &[String]) {
        let events = ["suspended", "released"];
        assert_eq!(self.called().iter().map(|one| &one["event"]).collect::<Vec<_>>(), events);
        assert_eq!(self.written().iter().map(|one| &one["event"]).collect::<Vec<_>>(), events);
        assert_eq!(self.mail.with("[gatepost] ").len(), events.len());
        assert_ne!(ids[0], ids[1]);
    }

    fn called(&self) -> Vec<Value> {
        let calls = self.hook.calls();
        calls.iter().map(|call| serde_json::from_str(&call.body).expect("JSON")).collect()
    }

    /// The last line may be half written.
    fn written(&self) -> Vec<Value> {
        let text = read(&self.folder.join(FILE));
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}
