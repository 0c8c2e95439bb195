//! What happens in a demo, scene by scene, and what must come of it.

use std::cell::Cell;

use crate::cli::ask;
use crate::cli::counted;
use crate::cli::demo::daemon::{Readiness, output};
use crate::cli::demo::hook::Hook;
use crate::cli::demo::page::Page;
use crate::cli::demo::site::Site;
use crate::decision::DecisionId;
use crate::record::NoticeKind;

const OWNER: &str = "192.0.2.10";
const THIEF: &str = "198.51.100.23";

/// More than a thief gets at before he is stopped; docs/detection.md has the limits.
const VICTIMS: [&str; 12] = [
    "olga@shop.test",
    "paul@bank.test",
    "quin@mill.test",
    "rosa@farm.test",
    "sven@port.test",
    "tara@yard.test",
    "umar@kiln.test",
    "vera@dock.test",
    "walt@barn.test",
    "xena@well.test",
    "yuri@lock.test",
    "zora@ford.test",
];

const FILE: &str = "gatepost.toml";

/// Exit code of `explain`.
const REFUSED: i32 = 1;

/// He does not give up at once.
const AFTER_SUSPENSION: usize = 2;

pub(super) struct Stage<'a> {
    site: &'a Site,
    page: &'a Page,
    /// Messages so far.
    sent: Cell<usize>,
}

impl<'a> Stage<'a> {
    pub fn new(site: &'a Site, page: &'a Page) -> Self {
        Self { site, page, sent: Cell::new(0) }
    }

    /// Shows a command and what it prints.
    async fn run(&self, arguments: &[&str], code: i32) -> Result<String, String> {
        self.page.command(arguments);
        let printed = output(self.site, arguments, code).await?;
        self.page.told(&printed);
        Ok(printed)
    }

    /// Asks as Postfix does at the end of a message of alice, and shows the answer.
    async fn send(&self, client: &str, recipient: &str) -> Result<String, String> {
        self.page.beat().await;
        let number = self.sent.get() + 1;
        self.sent.set(number);
        let question = ask::Arguments {
            socket: self.site.policy_socket(),
            login: Some("alice".into()),
            client: client.into(),
            client_name: "unknown".into(),
            sender: "alice@example.org".into(),
            rcpt: recipient.into(),
            state: "END-OF-MESSAGE".into(),
            attributes: vec![format!("instance=demo.{number}"), format!("queue_id=DEMO{number}")],
        };
        let asked = tokio::task::spawn_blocking(move || ask::exchange(&question)).await;
        let answer = asked.map_err(|fault| fault.to_string())??;
        self.page.answer(recipient, &answer);
        Ok(answer)
    }

    /// Mail of alice herself, to which there is no objection.
    async fn pass(&self, recipient: &str) -> Result<(), String> {
        match &*self.send(OWNER, recipient).await? {
            "DUNNO" => Ok(()),
            answer => Err(format!("alice writes to {recipient}, and the answer is {answer}")),
        }
    }
}

/// Before the daemon starts.
pub(super) async fn learn(stage: &Stage<'_>) -> Result<(), String> {
    stage.page.title("1. What is usual for alice: 40 days of her mail");
    let learn = ["learn", "-c", FILE, "--envelopes", "past.ndjson", "--out", "learnt"];
    stage.run(&learn, 0).await?;
    stage.page.read().await;
    Ok(())
}

/// From the start of the daemon.
pub(super) async fn story(
    stage: &Stage<'_>,
    readiness: &Readiness,
    hook: &mut Hook,
) -> Result<(), String> {
    start(stage, readiness).await?;
    work(stage).await?;
    let id = steal(stage).await?;
    notify(stage, hook, &id).await?;
    look(stage, &id).await?;
    release(stage, hook, &id).await?;
    go_on(stage).await
}

async fn start(stage: &Stage<'_>, readiness: &Readiness) -> Result<(), String> {
    stage.page.title("2. The daemon");
    stage.page.command(&["run", "-c", FILE]);
    readiness.wait().await?;
    stage.page.told("ready, and asked below as Postfix asks it at the end of each message");
    stage.page.read().await;
    Ok(())
}

async fn work(stage: &Stage<'_>) -> Result<(), String> {
    stage.page.title(&format!("3. alice at work, from {OWNER}"));
    for recipient in ["bob@example.org", "ann@far.test", "eva@uni.test"] {
        stage.pass(recipient).await?;
    }
    stage.page.told("DUNNO: gatepost has no objection, and the mail server goes on.");
    stage.page.read().await;
    Ok(())
}

/// Until the thief has seen that it is over: the id of the suspension.
async fn steal(stage: &Stage<'_>) -> Result<String, String> {
    stage.page.title(&format!(
        "4. A thief has her password: a message to one after the other, from {THIEF}"
    ));
    let mut answers: Vec<String> = Vec::new();
    let is_refusal = |answer: &&String| answer.starts_with("550 5.7.13 [");
    for victim in VICTIMS {
        answers.push(stage.send(THIEF, victim).await?);
        if answers.iter().filter(is_refusal).count() > AFTER_SUSPENSION {
            break;
        }
    }
    let count = |begin: &str| answers.iter().filter(|answer| answer.starts_with(begin)).count();
    let (passed, deferred, refused) = (count("DUNNO"), count("451 4.7.1 ["), count("550 5.7.13 ["));
    let in_order = answers.iter().skip(passed + deferred).all(|answer| is_refusal(&answer));
    if refused <= AFTER_SUSPENSION || passed + deferred + refused < answers.len() || !in_order {
        return Err(format!("the thief was not suspended as he should be: {answers:?}"));
    }
    let refusal = &answers[passed + deferred];
    let ids = DecisionId::find_all(refusal);
    let id = ids.first().ok_or_else(|| format!("no id in {refusal}"))?;
    stage.page.told(&format!(
        "{} went out, {deferred} had to wait; then the account was suspended, and all is refused.",
        counted(passed, "message")
    ));
    stage.page.read().await;
    Ok(id.to_string())
}

async fn notify(stage: &Stage<'_>, hook: &mut Hook, id: &str) -> Result<(), String> {
    stage.page.title("5. Who should know is told, here by a webhook");
    let notice = hook.next(NoticeKind::Suspended).await?;
    stage.page.notice(&notice);
    if notice.incident.as_deref() != Some(id) {
        return Err(format!("the notice is not of the suspension {id}"));
    }
    stage.page.read().await;
    Ok(())
}

async fn look(stage: &Stage<'_>, id: &str) -> Result<(), String> {
    stage.page.title("6. The help desk looks up the id of the refusal");
    let told = stage.run(&["explain", "-c", FILE, "--id", id], REFUSED).await?;
    expect(&told, &format!("alice is suspended by {id}"))?;
    expect(&told, "to change")?;
    stage.page.read().await;
    Ok(())
}

async fn release(stage: &Stage<'_>, hook: &mut Hook, id: &str) -> Result<(), String> {
    stage.page.title("7. Her password is changed, and the help desk releases her");
    let verdict = ["--verdict", "true-positive", "--note", "password changed"];
    let release = [&["release", "alice", "-c", FILE][..], &verdict].concat();
    let told = stage.run(&release, 0).await?;
    expect(&told, &format!("alice is released: suspended by {id}"))?;
    expect(&told, "on probation until")?;
    stage.page.line("");
    stage.page.told("and the webhook is told:");
    let notice = hook.next(NoticeKind::Released).await?;
    stage.page.notice(&notice);
    stage.page.read().await;
    Ok(())
}

async fn go_on(stage: &Stage<'_>) -> Result<(), String> {
    stage.page.title(&format!("8. alice goes on, from {OWNER}"));
    for recipient in ["ann@far.test", "gina@far.test"] {
        stage.pass(recipient).await?;
    }
    stage.page.told("To gina she never wrote before. For two days less than usual suspends her again: probation.");
    Ok(())
}

fn expect(told: &str, words: &str) -> Result<(), String> {
    if told.contains(words) { Ok(()) } else { Err(format!("it should say: {words}")) }
}
