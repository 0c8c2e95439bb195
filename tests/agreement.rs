//! Policy delegation and milter agree: the same transaction, told by Postfix in the one protocol, by
//! Postfix and by Sendmail in the other, is judged alike at every stage. One fact only policy
//! delegation has, the fingerprint of a certificate at Postfix; so no site here lists one.

mod common;

use std::sync::{Arc, LazyLock};

use bytes::BytesMut;
use common::{Folder, Site, config, read};
use gatepost::decision::{Reason, Trail};
use gatepost::directory::FileDirectory;
use gatepost::engine::Judged;
use gatepost::mail::{Reply, Stage};
use gatepost::wire::milter::{Command, Session, Step, Wants};
use gatepost::wire::policy_delegation;
use proptest::prelude::*;
use proptest::sample::select;

const PEOPLE: &str = "
realms = ['example.org']
[[account]]
login = 'alice'
aliases = ['asmith', 'alice+app', 'jürgen']
addresses = ['alice@mail.example', 'quoted user@mail.example', 'alice@xn--bcher-kva.example']
[[account]]
login = 'bob'
addresses = ['bob@mail.example']
reject-from = ['alice']
[[account]]
login = 'carol'
addresses = ['carol@mail.example']
state = 'disabled'
[[group]]
name = 'Staff'
members = ['alice', 'bob', 'carol']
[[group]]
name = 'Senders'
members = ['alice']
[[group]]
name = 'Closed'
members = ['bob']
";

/// What a listener adds, and rules; each must refuse something and let something through.
const SITES: [(&str, &str); 5] = [
    (
        "facing = 'submission'",
        "[standing]\ndisabled = 'enforce'\nnot-found = 'enforce'\n[sender]\nownership = 'enforce'\n\
        [recipient]\nexistence = 'enforce'\ndelivery-restrictions = 'enforce'\n[relay]\nnetworks = ['192.0.2.0/28']\n\
        [[grant]]\ngroup = 'Staff'\nsubmit = 'allow'\n[[grant]]\ngroup = 'Senders'\nrelay = 'allow'",
    ),
    (
        "facing = 'submission'",
        "[relay]\nauthenticated = true\nhosts = ['.printers.example']\n\
        certificates = [{subject = 'printer 1'}]\n[[grant]]\ngroup = 'Closed'\nsubmit = 'deny'",
    ),
    (
        "facing = 'internet'",
        "[recipient]\nexistence = 'enforce'\n[relay]\nnetworks = ['2001:db8::/32', {net = '192.0.2.9', relay = 'deny'}]\n\
        hosts = ['p1.printers.example']\ncertificates = [{subject = 'printer 1'}]",
    ),
    (
        "facing = 'internal'",
        "[[gateway]]\nnet = '192.0.2.0/24'\nidentity = 'sender'\n[[gateway]]\nlogin = 'carol'\nidentity = 'sender'\n\
        [relay]\nnetworks = ['192.0.2.1']\n[[grant]]\ngroup = 'Staff'\nrelay = 'allow'\nsubmit = 'allow'",
    ),
    (
        "facing = 'submission'\nmode = 'observe'",
        "[[grant]]\ngroup = 'Senders'\nsubmit = 'allow'\nrelay = 'allow'\nmode = 'observe'\n\
        [[login.rewrite]]\nmatch = '^(?<who>[^+]+)\\+.*$'\nto = '$who'",
    ),
];

const LOGINS: [&str; 11] = [
    "",
    "alice",
    "ASMITH",
    "alice@example.org",
    "alice+app",
    "alice+2Bapp",
    "jürgen",
    "EXAMPLE\\bob",
    "bob",
    "carol",
    "ghost",
];

/// As an SMTP client writes a path, and as Postfix tells it in policy delegation.
const PATHS: [(&str, &str); 19] = [
    ("<>", ""),
    ("<alice@mail.example>", "alice@mail.example"),
    ("alice@mail.example", "alice@mail.example"),
    ("<Alice@MAIL.example.>", "Alice@MAIL.example."),
    ("<\"quoted user\"@mail.example>", "quoted user@mail.example"),
    ("<\"tab\tuser\"@mail.example>", "tab user@mail.example"),
    ("<@r1.test,@r2.test:bob@mail.example>", "bob@mail.example"),
    ("<bob@mail.example>", "bob@mail.example"),
    ("<bob+lists@mail.example>", "bob+lists@mail.example"),
    ("<carol@mail.example>", "carol@mail.example"),
    ("<nobody@mail.example>", "nobody@mail.example"),
    ("<x@far.test>", "x@far.test"),
    ("<x%far.test@mail.example>", "x%far.test@mail.example"),
    ("<\"x@far.test\"@mail.example>", "x@far.test@mail.example"),
    ("<far.test!x@mail.example>", "far.test!x@mail.example"),
    ("<postmaster>", "postmaster"),
    ("<alice@bücher.example>", "alice@bücher.example"),
    ("<alice@xn--bcher-kva.example>", "alice@xn--bcher-kva.example"),
    ("<x@[192.0.2.1]>", "x@[192.0.2.1]"),
];

const ADDRESSES: [&str; 5] = ["192.0.2.1", "192.0.2.9", "203.0.113.9", "2001:db8::9", "unknown"];
const NAMES: [&str; 4] = ["unknown", "p1.printers.example", "p2.printers.example", "mx.far.test"];

/// One SMTP transaction.
#[derive(Clone, Debug)]
struct Transaction {
    login: &'static str,
    address: &'static str,
    name: &'static str,
    has_certificate: bool,
    sender: (&'static str, &'static str),
    recipients: Vec<(&'static str, &'static str)>,
}

fn transactions() -> impl Strategy<Value = Transaction> {
    let path = || select(&PATHS[..]);
    let recipients = proptest::collection::vec(select(&PATHS[1..]), 1..4);
    let client = (select(&ADDRESSES[..]), select(&NAMES[..]), any::<bool>());
    (select(&LOGINS[..]), client, path(), recipients).prop_map(
        |(login, (address, name, has_certificate), sender, recipients)| Transaction {
            login,
            address,
            name,
            has_certificate,
            sender,
            recipients,
        },
    )
}

/// A site asked by policy delegation, and the same asked by milter.
struct Pair {
    policy: Site,
    milter: Site,
}

thread_local! {
    static PAIRS: Vec<Pair> = SITES.iter().map(|(listen, rules)| {
        let mode = if listen.contains("mode") { "" } else { "\nmode = 'enforce'" };
        let domains = "[domains]\nlocal = ['mail.example', 'bücher.example']\nrecipient-delimiter = '+'\n";
        let directory = "[directory]\ntype = 'file'\nfile.path = 'people.toml'\n";
        // What a finding does depends on all questions before.
        let detector = "[detector]\nmode = 'off'\n";
        let rules = format!("{domains}{directory}{detector}{rules}");
        let text = config(&format!("{listen}{mode}"), &rules);
        let site = |text: &str| Site::of(read(text, FOLDER.path()), Some(DIRECTORY.clone()));
        Pair { policy: site(&text), milter: site(&text.replace("'policy'", "'milter'")) }
    }).collect();
}

static FOLDER: LazyLock<Folder> = LazyLock::new(|| {
    let folder = Folder::new();
    folder.write("people.toml", PEOPLE);
    folder
});

static DIRECTORY: LazyLock<Arc<FileDirectory>> = LazyLock::new(|| {
    let path = FOLDER.path().join("people.toml");
    Arc::new(FileDirectory::open(&path).unwrap_or_else(|faults| panic!("{faults:?}")))
});

/// What was judged at one stage, the id left out: it names the question, and these are two.
#[derive(Debug, PartialEq)]
struct Verdict {
    stage: Stage,
    reason: Option<Reason>,
    trail: Trail,
    reply: String,
}

impl Verdict {
    fn of(judged: &Judged) -> Self {
        let decision = &judged.decision;
        let reply = match &decision.reply {
            Reply::Refuse(refusal) => {
                refusal.to_string().replace(judged.case().id().as_str(), "ID")
            }
            other => format!("{other:?}"),
        };
        let (reason, trail) = (decision.reason, decision.trail.clone());
        Self { stage: judged.facts.stage, reason, trail, reply }
    }

    fn passes(&self) -> bool {
        self.reply == "NoObjection"
    }
}

/// Asks as Postfix does with smtpd_delay_reject = no, and goes on as its client would.
fn by_policy(site: &Site, transaction: &Transaction) -> Vec<Verdict> {
    let Transaction { login, address, name, has_certificate, sender, recipients } = transaction;
    let ask = |state: &str, recipient: &str, count: usize| {
        let certificate = match has_certificate {
            true => "ccert_subject=printer+201\nccert_fingerprint=AB:CD\n",
            false => "ccert_subject=\nccert_fingerprint=\n",
        };
        let request = format!(
            "request=smtpd_access_policy\nprotocol_state={state}\nclient_address={address}\n\
            client_name={name}\nsender={}\nrecipient={recipient}\nrecipient_count={count}\n\
            instance=i1\nsasl_username={login}\nsasl_method=PLAIN\n{certificate}\n",
            sender.1
        );
        let facts = policy_delegation::parse(request.as_bytes()).expect("a request");
        Verdict::of(&site.judge(facts))
    };
    let mut verdicts = vec![ask("MAIL", "", 0)];
    if verdicts[0].passes() {
        let (mut passed, mut has_stray) = (Vec::new(), false);
        for (path, recipient) in recipients {
            let verdict = ask("RCPT", recipient, 0);
            if verdict.passes() {
                passed.push(*recipient);
            } else {
                has_stray |= path.contains(',');
            }
            verdicts.push(verdict);
        }
        // By milter such a message is refused at its end without a question (wire::milter::Session).
        if !passed.is_empty() && !has_stray {
            let only = if passed.len() == 1 { passed[0] } else { "" };
            verdicts.push(ask("END-OF-MESSAGE", only, passed.len()));
        }
    }
    verdicts
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mta {
    Postfix,
    Sendmail,
}

/// Says the same by milter, in the words of this mail server.
fn by_milter(site: &Site, mta: Mta, transaction: &Transaction) -> Vec<Verdict> {
    let Transaction { login, address, name, has_certificate, sender, recipients } = transaction;
    let mut milter = Milter { site, session: Session::new("c", Wants::default()), judged: vec![] };
    milter.say(b'O', b"\0\0\0\x06\0\0\x01\xff\0\x1f\xff\xff");
    let (family, prefix) = match (address.contains(':'), mta) {
        (true, Mta::Sendmail) => ('6', "IPv6:"),
        (true, Mta::Postfix) => ('6', ""),
        _ => ('4', ""),
    };
    let host = match (*name, *address) {
        ("unknown", "unknown") => "unknown".into(),
        ("unknown", address) => format!("[{prefix}{address}]"),
        (name, _) => name.into(),
    };
    milter.text('C', &format!("{host}\0{family}\x12\x34{prefix}{address}\0"));
    milter.text('D', match (mta, has_certificate) {
        (_, false) => "H",
        (Mta::Postfix, true) => "H{cert_subject}\0printer 1\0",
        (Mta::Sendmail, true) => {
            "H{verify}\0OK\0{cert_subject}\0/CN=printer+201\0{cn_subject}\0printer+201\0{cert_fp}\0AB:CD\0"
        }
    });
    milter.text('H', "client.example\0");
    let macros = match (mta, *login) {
        (_, "") => "M".into(),
        (Mta::Postfix, login) => format!("M{{auth_type}}\0PLAIN\0{{auth_authen}}\0{login}\0"),
        (Mta::Sendmail, login) => format!(
            "Mi\0Q1\0{{auth_type}}\0PLAIN\0{{auth_ssf}}\x000\0{{auth_authen}}\0{}\0",
            xtext(login)
        ),
    };
    milter.text('D', &macros);
    if milter.text('M', &format!("{}\0SIZE=100\0", sender.0)) {
        let mut passed = 0;
        for (recipient, _) in recipients {
            passed += usize::from(milter.text('R', &format!("{recipient}\0")));
        }
        if passed > 0 {
            milter.text('T', "");
            milter.text('D', if mta == Mta::Postfix { "Ei\0Q1\0" } else { "E{msg_id}\0<1@x>\0" });
            milter.text('E', "");
        }
    }
    milter.judged
}

struct Milter<'a> {
    site: &'a Site,
    session: Session,
    judged: Vec<Verdict>,
}

impl Milter<'_> {
    /// Whether the command was not refused.
    fn text(&mut self, code: char, payload: &str) -> bool {
        self.say(code as u8, payload.as_bytes())
    }

    fn say(&mut self, code: u8, payload: &[u8]) -> bool {
        let mut out = BytesMut::new();
        let command = Command::parse(code, payload).expect("a command");
        if let Step::Judge(facts) = self.session.step(command, &mut out).expect("no fault") {
            let judged = self.site.judge(*facts);
            self.session.answer(&judged.decision.reply, None, &mut out);
            self.judged.push(Verdict::of(&judged));
        }
        out.get(4) != Some(&b'y')
    }
}

/// As Sendmail's xtextify(login, "<>\")") with its own additions writes it.
fn xtext(login: &str) -> String {
    let plain = |byte: u8| byte > b' ' && byte < 0x7f && !b"+=<>\"()\\".contains(&byte);
    let written = login.bytes().map(|byte| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("+{byte:02X}"),
    });
    written.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn both_protocols_come_to_the_same(site in 0..SITES.len(), transaction in transactions()) {
        PAIRS.with(|pairs| {
            let Pair { policy, milter } = &pairs[site];
            let expected = by_policy(policy, &transaction);
            for mta in [Mta::Postfix, Mta::Sendmail] {
                prop_assert_eq!(&by_milter(milter, mta, &transaction), &expected, "{:?}", mta);
            }
            Ok(())
        })?;
    }
}

/// The property would hold of sites that refuse everything, or nothing.
#[test]
fn the_sites_refuse_and_let_through() {
    PAIRS.with(|pairs| {
        let mut reasons: Vec<Reason> = Vec::new();
        for (index, Pair { policy, .. }) in pairs.iter().enumerate() {
            let mut passed = 0;
            for login in LOGINS {
                for sender in PATHS {
                    for address in ADDRESSES {
                        let transaction = Transaction {
                            login,
                            address,
                            name: "p1.printers.example",
                            has_certificate: false,
                            sender,
                            recipients: vec![PATHS[7], PATHS[10], PATHS[11]],
                        };
                        let verdicts = by_policy(policy, &transaction);
                        passed += usize::from(verdicts.len() == 5);
                        reasons.extend(verdicts.iter().filter_map(|verdict| verdict.reason));
                    }
                }
            }
            assert!(passed > 0, "site {index} lets nothing through");
        }
        reasons.sort();
        reasons.dedup();
        let told: Vec<&str> = reasons.iter().map(|reason| reason.as_str()).collect();
        let expected = [
            "login-required",
            "relay-without-login",
            "relay-missing",
            "submit-missing",
            "submit-denied",
            "sender-not-owned",
            "account-disabled",
            "login-not-found",
            "recipient-unknown",
            "recipient-denied",
        ];
        assert_eq!(told, expected);
    });
}
