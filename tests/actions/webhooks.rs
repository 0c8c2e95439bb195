//! Webhooks before servers that do what servers do.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gatepost::action::Limits;
use gatepost::mail::Mode;
use gatepost::record::{Notice, NoticeKind};

use crate::hook::{FAILS, Hook, Manner, OK};
use crate::outbox::{SECRET, Site, notice, short, suspended};
use crate::tls::Authority;

pub fn webhook(name: &str, hook: &Hook) -> String {
    format!(
        "[[action]]\nname = \"{name}\"\ntype = \"webhook\"\nurl = \"{}\"\nsecret-file = \"hook.secret\"\n",
        hook.url()
    )
}

const DONE: &str = "gatepost_actions_total{kind=\"webhook\",result=\"ok\"}";
const FAILED: &str = "gatepost_actions_total{kind=\"webhook\",result=\"error\"}";

#[test]
fn an_event_is_told_once_and_signed() {
    let hook = Hook::open(OK);
    let site = Site::new(&webhook("pager", &hook));
    let event = suspended("e1");
    site.send(std::slice::from_ref(&event));
    let call = hook.wait_for(1).remove(0);
    assert_eq!((&*call.path, call.header("content-type")), ("/hook", "application/json"));
    assert_eq!(Notice::read(&call.body).expect("an event"), event);
    let signed = format!("{}.{}.{}", call.id(), call.header("webhook-timestamp"), call.body);
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = call.header("webhook-signature").strip_prefix("v1,").expect("version 1");
    let signature = STANDARD.decode(signature).expect("Base64");
    ring::hmac::verify(&key, signed.as_bytes(), &signature).expect("its own signature");
    site.wait_until_nothing_is_kept();
    site.wait_for_metric(DONE, 1);
    assert_eq!(hook.ids(), ["e1"]);
    assert!(site.metric("gatepost_action_last_success_timestamp_seconds{kind=\"webhook\"}") > 0);
}

#[test]
fn what_nobody_asked_for_is_not_told() {
    let hook = Hook::open(OK);
    let text = webhook("pager", &hook) + "events = [\"released\", \"watched\"]\n";
    let site = Site::new(&text);
    let mut shadow = notice("e2", NoticeKind::Released);
    shadow.mode = Some(Mode::Observe);
    site.send(&[suspended("e1"), shadow, notice("e3", NoticeKind::Released)]);
    hook.wait_for(1);
    site.wait_until_nothing_is_kept();
    assert_eq!(hook.ids(), ["e3"]);
}

#[test]
fn what_only_observes_is_told_to_whom_asks_for_it() {
    let hook = Hook::open(OK);
    let site = Site::new(&(webhook("pager", &hook) + "observe = true\n"));
    let mut shadow = suspended("e1");
    shadow.mode = Some(Mode::Observe);
    site.send(&[shadow]);
    assert!(hook.wait_for(1)[0].body.contains("\"mode\":\"observe\""));
}

#[test]
fn a_server_that_fails_or_refuses_is_called_until_it_works() {
    for manner in [FAILS, Manner::Refuses, Manner::Answers("307 Temporary Redirect")] {
        let hook = Hook::open(manner);
        let site = Site::new(&webhook("pager", &hook));
        site.send(&[suspended("e1"), suspended("e2")]);
        site.wait_for_metric(FAILED, 3);
        assert_eq!(site.kept(), ["pager/e1", "pager/e2"]);
        assert_eq!(site.metric("gatepost_deliveries_waiting{kind=\"webhook\"}"), 2);
        hook.set(OK);
        site.wait_until_nothing_is_kept();
        site.wait_for_metric(DONE, 2);
        assert_eq!(site.metric(DONE), 2);
        assert!(hook.calls().iter().all(|call| call.path == "/hook"), "no redirect is followed");
    }
}

#[test]
fn tls_is_verified_by_authority_and_name() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let well = Hook::open_tls(authority.server(&["localhost"]));
    let others = [
        Hook::open_tls(stranger.server(&["localhost"])),
        Hook::open_tls(authority.server(&["hooks.example.org"])),
        Hook::open_tls(authority.expired_server(&["localhost"])),
    ];
    let folder = crate::outbox::Folder::new();
    let ca = folder.write("ca.pem", &authority.pem);
    let action = |name: &str, hook: &Hook| {
        let url = format!("https://localhost:{}/hook", hook.port);
        let ca = format!("ca-file = \"{}\"\n", ca.display());
        webhook(name, hook).replace(&hook.url(), &url) + &ca
    };
    let names = ["stranger", "other-name", "expired"];
    let text: String = names.iter().zip(&others).map(|(name, hook)| action(name, hook)).collect();
    let site = Site::new(&(action("well", &well) + &text));
    site.send(&[suspended("e1")]);
    site.wait_for_metric(DONE, 1);
    site.wait_for_metric(FAILED, 6);
    assert_eq!(well.ids(), ["e1"]);
    assert!(others.iter().all(|hook| hook.calls().is_empty()), "nothing is told to others");
    assert_eq!(site.kept(), ["expired/e1", "other-name/e1", "stranger/e1"]);
}

#[test]
fn a_server_that_answers_twice_has_answered() {
    let hook = Hook::open(Manner::AnswersTwice);
    let site = Site::new(&webhook("pager", &hook));
    site.send(&[suspended("e1"), suspended("e2")]);
    site.wait_until_nothing_is_kept();
    assert_eq!(hook.ids(), ["e1", "e2"]);
}

#[test]
fn one_that_hangs_delays_no_other() {
    let (hanging, well) = (Hook::open(Manner::Hangs), Hook::open(OK));
    let site = Site::new(&(webhook("slow", &hanging) + &webhook("fast", &well)));
    let events: Vec<_> = (0..20).map(|number| suspended(&format!("e{number:02}"))).collect();
    site.send(&events);
    well.wait_for(20);
    assert!(hanging.ids().len() <= 1, "one at a time");
    hanging.wait_for(1);
    hanging.set(OK);
    site.wait_until_nothing_is_kept();
    let mut all = hanging.ids();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 20);
    assert_eq!(well.ids(), events.iter().map(|event| event.id.clone()).collect::<Vec<_>>());
}

#[test]
fn of_one_account_a_release_never_overtakes_its_suspension() {
    let hook = Hook::open(FAILS);
    let site = Site::new(&webhook("pager", &hook));
    let mut events = [suspended("e1"), notice("e2", NoticeKind::Released)];
    events.iter_mut().for_each(|event| event.account = Some("file:alice".into()));
    site.send(&events);
    site.wait_for_metric(FAILED, 4);
    assert!(hook.ids().iter().all(|id| id == "e1"), "{:?}", hook.ids());
    hook.set(OK);
    site.wait_until_nothing_is_kept();
    assert_eq!(hook.ids().last().map(String::as_str), Some("e2"));
}

#[test]
fn too_many_become_dead_letters_and_no_event_stays_in_the_outbox() {
    let hook = Hook::open(Manner::Hangs);
    let limits = Limits { waiting: 10, dead: 4, ..short() };
    let site = Site::with(&webhook("pager", &hook), limits);
    let events: Vec<_> = (0..30).map(|number| suspended(&format!("e{number:02}"))).collect();
    site.send(&events);
    site.wait_for_metric("gatepost_dead_letters{kind=\"webhook\"}", 4);
    site.wait_for_metric("gatepost_actions_total{kind=\"webhook\",result=\"dead\"}", 20);
    assert_eq!(site.metric("gatepost_outbox_events"), 0);
    assert_eq!(site.kept().len(), 14);
}

#[test]
fn without_an_action_events_are_forgotten() {
    let site = Site::new("");
    site.send(&[suspended("e1")]);
    site.wait_until_nothing_is_kept();
}

#[test]
fn a_stop_waits_for_what_is_under_way_and_keeps_the_rest() {
    let hook = Hook::open(Manner::Hangs);
    let mut site = Site::new(&webhook("pager", &hook));
    site.send(&[suspended("e1"), suspended("e2")]);
    hook.wait_for(1);
    let ended = std::thread::spawn({
        let hook = hook.clone();
        move || hook.set(OK)
    });
    site.stop();
    ended.join().expect("no panic");
    assert!(site.kept().contains(&"pager/e2".to_string()));
    assert_eq!(hook.ids(), ["e1"]);
}

/// The example of the document, run by Python on a call as it came.
#[test]
fn the_documented_example_verifies_a_call_and_refuses_a_changed_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/actions.md");
    let document = std::fs::read_to_string(path).expect("docs/actions.md");
    let block = |language: &str| {
        let (_, rest) = document.split_once(&format!("```{language}\n")).expect("an example");
        rest.split_once("```").expect("its end").0.to_string()
    };
    Notice::read(&block("json")).expect("the documented event is one");
    let hook = Hook::open(OK);
    let site = Site::new(&webhook("pager", &hook));
    site.send(&[suspended("e1")]);
    let call = hook.wait_for(1).remove(0);
    let headers: std::collections::HashMap<_, _> = call.headers.iter().cloned().collect();
    let headers = serde_json::to_string(&headers).expect("text");
    let script = block("python")
        + "import json, sys\nheaders, body, secret = sys.argv[1:]\n\
           print(is_gateposts(json.loads(headers), body.encode(), secret.encode()))\n";
    for (body, expected) in [(call.body.clone(), "True\n"), (call.body + " ", "False\n")] {
        let mut python = std::process::Command::new(crate::process::program("python3", "python3"));
        python.args(["-c", &script, &headers, &body, SECRET]);
        assert_eq!(crate::process::output(&mut python), expected);
    }
}
