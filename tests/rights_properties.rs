//! Properties of rights, over random small configurations and questions.

mod common;

use std::path::Path;
use std::sync::{Arc, LazyLock};

use common::{Ask, Folder, Site, config, read, word};
use gatepost::decision::DecisionId;
use gatepost::directory::FileDirectory;
use gatepost::mail::{Facts, Reply, Stage};
use proptest::prelude::*;
use proptest::sample::{Index, select};

const PEOPLE: &str = "
realms = ['example.org']
[[account]]
login = 'alice'
aliases = ['asmith']
addresses = ['alice@mail.example']
[[account]]
login = 'bob'
addresses = ['bob@mail.example', 'list@mail.example']
reject-from = ['alice']
[[account]]
login = 'carol'
state = 'disabled'
addresses = ['carol@mail.example']
accept-from-groups = ['Outer']
[[group]]
name = 'Outer'
groups = ['Inner']
[[group]]
name = 'Inner'
members = ['alice']
[[group]]
name = 'Both'
members = ['bob']
groups = ['Inner']
";

/// Logins as they are typed, and the account each stands for.
const LOGINS: [(&str, &str); 7] = [
    ("", ""),
    ("alice", "alice"),
    ("ASMITH", "alice"),
    ("alice@example.org", "alice"),
    ("bob@mail.example", "bob"),
    ("carol", "carol"),
    ("ghost", "ghost"),
];

/// Whom a grant may name, and the accounts that are meant.
const SUBJECTS: [(&str, &[&str]); 7] = [
    ("user = 'alice'", &["alice"]),
    ("user = 'alice@mail.example'", &["alice"]),
    ("user = 'bob'", &["bob"]),
    ("user = 'carol'", &["carol"]),
    ("group = 'Outer'", &["alice"]),
    ("group = 'inner'", &["alice"]),
    ("group = 'Both'", &["alice", "bob"]),
];

const NETWORKS: [&str; 4] = ["192.0.2.0/24", "192.0.2.0/28", "192.0.2.8/29", "2001:db8::/32"];
/// Each with the places in [`NETWORKS`] it lies in, the narrowest first.
const ADDRESSES: [(&str, &[usize]); 5] = [
    ("192.0.2.9", &[2, 1, 0]),
    ("192.0.2.1", &[1, 0]),
    ("192.0.2.99", &[0]),
    ("2001:db8::1", &[3]),
    ("203.0.113.1", &[]),
];

const HOSTS: [&str; 2] = [".printers.example", "p1.printers.example"];
/// Each with the place in [`HOSTS`] that fits it best.
const NAMES: [(&str, &[usize]); 3] =
    [("unknown", &[]), ("p1.printers.example", &[1, 0]), ("p2.printers.example", &[0])];

const EXTERNAL: [&str; 3] = ["x@far.test", "x%far.test@mail.example", "x@mail.example.far.test"];
const OURS: [&str; 6] = [
    "alice@mail.example",
    "list@mail.example",
    "carol@mail.example",
    "nobody@mail.example",
    "x@shared.example",
    "x@partner.example",
];

#[derive(Clone, Debug)]
struct Grant {
    subject: usize,
    submit: Option<bool>,
    relay: Option<bool>,
    observes: bool,
}

/// A listed network or host, by its place in the list above.
type Entry = (usize, bool);

#[derive(Clone, Debug)]
struct Rules {
    grants: Vec<Grant>,
    networks: Vec<Entry>,
    hosts: Vec<Entry>,
    authenticated: bool,
    /// In the order of [`MODES`].
    modes: [&'static str; 7],
}

const MODES: [(&str, &str); 7] = [
    ("standing", "disabled"),
    ("standing", "expired"),
    ("standing", "locked"),
    ("standing", "not-found"),
    ("sender", "ownership"),
    ("recipient", "existence"),
    ("recipient", "delivery-restrictions"),
];

const fn ruling(allow: bool) -> &'static str {
    if allow { "allow" } else { "deny" }
}

impl Rules {
    fn text(&self) -> String {
        let list = |entries: &[Entry], kind: &str, names: &[&str]| {
            let entry = |&(place, allow): &Entry| {
                format!("{{ {kind} = '{}', relay = '{}' }}", names[place], ruling(allow))
            };
            entries.iter().map(entry).collect::<Vec<_>>().join(", ")
        };
        let mut text = format!(
            "[domains]\nlocal = ['mail.example']\nshared = ['shared.example']\nrelay = ['partner.example']\n[relay]\nauthenticated = {}\nnetworks = [{}]\nhosts = [{}]\n",
            self.authenticated,
            list(&self.networks, "net", &NETWORKS),
            list(&self.hosts, "host", &HOSTS),
        );
        for table in ["standing", "sender", "recipient"] {
            text += &format!("[{table}]\n");
            for ((_, key), mode) in MODES.iter().zip(self.modes).filter(|((of, _), _)| *of == table)
            {
                text += &format!("{key} = '{mode}'\n");
            }
        }
        for grant in &self.grants {
            text += &format!("[[grant]]\n{}\n", SUBJECTS[grant.subject].0);
            for (right, said) in [("submit", grant.submit), ("relay", grant.relay)] {
                if let Some(allow) = said {
                    text += &format!("{right} = '{}'\n", ruling(allow));
                }
            }
            if grant.observes {
                text += "mode = 'observe'\n";
            }
        }
        text
    }

    fn site(&self, facing: &str, mode: &str) -> Site {
        static PLACE: LazyLock<(Folder, Arc<FileDirectory>)> = LazyLock::new(|| {
            let folder = Folder::new();
            let path = folder.write("people.toml", PEOPLE);
            (folder, Arc::new(FileDirectory::open(&path).expect("no fault")))
        });
        let listen = format!("facing = '{facing}'\nmode = '{mode}'\non-grant = 'ok'\n");
        Site::of(read(&config(&listen, &self.text()), Path::new("/")), Some(PLACE.1.clone()))
    }

    /// Whether anything allows the relay right in so many words, and nothing denies it. For each
    /// grant and each list: what it says of the one who asks.
    fn allows_relay(&self, asked: &Asked) -> bool {
        let account = LOGINS[asked.login].1;
        let grants = self.grants.iter().filter(|grant| !grant.observes);
        let of_login = grants
            .filter(|grant| SUBJECTS[grant.subject].1.contains(&account))
            .filter_map(|grant| grant.relay);
        let best = |entries: &[Entry], fitting: &[usize]| {
            let listed = |place: &usize| entries.iter().find(|(listed, _)| listed == place);
            fitting.iter().find_map(listed).map(|(_, allow)| *allow)
        };
        let said: Vec<bool> = of_login
            .chain((self.authenticated && !account.is_empty()).then_some(true))
            .chain(best(&self.networks, ADDRESSES[asked.address].1))
            .chain(best(&self.hosts, NAMES[asked.name].1))
            .collect();
        said.contains(&true) && !said.contains(&false)
    }
}

#[derive(Clone, Debug)]
struct Asked {
    login: usize,
    address: usize,
    name: usize,
    sender: &'static str,
    recipient: &'static str,
    stage: Stage,
}

impl Asked {
    fn facts(&self) -> Facts {
        common::question(self.stage)
            .login(LOGINS[self.login].0)
            .client(ADDRESSES[self.address].0)
            .host(NAMES[self.name].0)
            .sender(self.sender)
            .recipient(self.recipient)
    }
}

fn a_grant() -> impl Strategy<Value = Grant> {
    let said = || prop_oneof![2 => Just(Some(true)), 1 => Just(Some(false)), 1 => Just(None)];
    let parts = (0..SUBJECTS.len(), said(), said(), prop::bool::weighted(0.2));
    let speaks = parts.prop_filter("grants something", |(_, submit, relay, _)| {
        submit.is_some() || relay.is_some()
    });
    speaks.prop_map(|(subject, submit, relay, observes)| Grant { subject, submit, relay, observes })
}

/// Entries for some of `count` names, each once, in any order.
fn entries(count: usize) -> impl Strategy<Value = Vec<Entry>> {
    let each = prop::collection::vec(prop::option::weighted(0.4, prop::bool::weighted(0.7)), count);
    let listed = each.prop_map(|each| {
        each.into_iter().enumerate().filter_map(|(place, said)| Some((place, said?))).collect()
    });
    listed.prop_shuffle()
}

fn rules() -> impl Strategy<Value = Rules> {
    let modes = prop::array::uniform7(select(&["off", "observe", "enforce"][..]));
    let grants = prop::collection::vec(a_grant(), 0..6);
    (grants, entries(NETWORKS.len()), entries(HOSTS.len()), any::<bool>(), modes).prop_map(
        |(grants, networks, hosts, authenticated, modes)| Rules {
            grants,
            networks,
            hosts,
            authenticated,
            modes,
        },
    )
}

fn asked() -> impl Strategy<Value = Asked> {
    let recipients = [&EXTERNAL[..], &EXTERNAL, &OURS].concat();
    let senders = ["", "alice@mail.example", "bob@mail.example", "x@far.test"];
    let stages = [Stage::Rcpt, Stage::Rcpt, Stage::Data, Stage::EndOfMessage, Stage::Vrfy];
    (
        (0..LOGINS.len(), 0..ADDRESSES.len(), 0..NAMES.len()),
        select(senders.to_vec()),
        select(recipients),
        select(stages.to_vec()),
    )
        .prop_map(|((login, address, name), sender, recipient, stage)| Asked {
            login,
            address,
            name,
            sender,
            recipient,
            stage,
        })
}

fn facing() -> impl Strategy<Value = &'static str> {
    select(&["submission", "internet", "internal"][..])
}

/// Several questions to each configuration, since reading one costs more than asking it.
fn questions() -> impl Strategy<Value = Vec<Asked>> {
    prop::collection::vec(asked(), 6)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn external_mail_passes_by_an_explicit_allow_alone(rules in rules(), facing in facing(), questions in questions()) {
        let site = rules.site(facing, "enforce");
        for asked in questions.iter().filter(|asked| EXTERNAL.contains(&asked.recipient)) {
            let found = site.ask(asked.facts());
            if !rules.allows_relay(asked) {
                prop_assert!(!["pass", "grant"].contains(&&*found), "{asked:?}: {found}");
            } else {
                let relay = ["relay-denied", "relay-missing", "relay-without-login"];
                prop_assert!(!relay.contains(&&*found), "{asked:?}: {found}");
            }
        }
    }

    #[test]
    fn ok_is_said_at_rcpt_to_external_mail_alone(rules in rules(), facing in facing(), questions in questions()) {
        let site = rules.site(facing, "enforce");
        for asked in &questions {
            let may = asked.stage == Stage::Rcpt && EXTERNAL.contains(&asked.recipient);
            let found = site.ask(asked.facts());
            prop_assert!(found != "grant" || may && rules.allows_relay(asked), "{asked:?}");
            // What every login may is no explicit allow, and may be all there is.
            let is_explicit = may && !rules.authenticated;
            prop_assert!(found != "pass" || !is_explicit, "{asked:?}: an explicit allow is OK");
        }
    }

    #[test]
    fn a_further_deny_never_lets_more_through(
        rules in rules(), facing in facing(), questions in questions(),
        deny in a_grant(), at in any::<Index>(), kind in 0..4_usize,
    ) {
        let mut denying = rules.clone();
        match kind {
            0 => {
                let deny = Grant { submit: deny.submit.map(|_| false), relay: deny.relay.map(|_| false), ..deny };
                denying.grants.insert(at.index(rules.grants.len() + 1), deny);
            }
            1 | 2 => {
                let (list, count) = if kind == 1 { (&mut denying.networks, NETWORKS.len()) } else { (&mut denying.hosts, HOSTS.len()) };
                let place = at.index(count);
                list.retain(|(listed, _)| *listed != place);
                list.push((place, false));
            }
            _ => denying.authenticated = false,
        }
        let (before, after) = (rules.site(facing, "enforce"), denying.site(facing, "enforce"));
        for asked in &questions {
            let (before, after) = (before.judge(asked.facts()), after.judge(asked.facts()));
            if matches!(before.decision.reply, Reply::Refuse(_)) {
                prop_assert!(matches!(after.decision.reply, Reply::Refuse(_)), "{asked:?}: {} to {}", word(&before), word(&after));
            }
            if before.decision.reply == Reply::NoObjection {
                prop_assert_ne!(after.decision.reply, Reply::Grant, "{:?}", asked);
            }
        }
    }

    #[test]
    fn the_order_of_entries_never_matters(
        (rules, shuffled) in rules().prop_flat_map(|rules| {
            let lists = (Just(rules.grants.clone()).prop_shuffle(), Just(rules.networks.clone()).prop_shuffle(), Just(rules.hosts.clone()).prop_shuffle());
            lists.prop_map(move |(grants, networks, hosts)| (rules.clone(), Rules { grants, networks, hosts, ..rules.clone() }))
        }),
        facing in facing(), questions in questions(),
    ) {
        let (one, other) = (rules.site(facing, "enforce"), shuffled.site(facing, "enforce"));
        for asked in &questions {
            let (one, other) = (one.judge(asked.facts()), other.judge(asked.facts()));
            prop_assert_eq!(&one.decision.reply, &other.decision.reply, "{:?}", asked);
            prop_assert_eq!(one.decision.reason, other.decision.reason, "{:?}", asked);
        }
    }

    #[test]
    fn an_observing_listener_never_objects_and_finds_what_an_enforcing_one_does(rules in rules(), facing in facing(), questions in questions()) {
        let (observing, enforcing) = (rules.site(facing, "observe"), rules.site(facing, "enforce"));
        for asked in &questions {
            let (observed, enforced) = (observing.judge(asked.facts()), enforcing.judge(asked.facts()));
            prop_assert_eq!(&observed.decision.reply, &Reply::NoObjection, "{:?}", asked);
            prop_assert_eq!(observed.decision.reason, enforced.decision.reason, "{:?}", asked);
        }
    }

    #[test]
    fn what_observes_changes_no_reply(rules in rules(), facing in facing(), questions in questions(), observes in a_grant(), at in any::<Index>(), check in 0..=MODES.len()) {
        let (mut with, mut without) = (rules.clone(), rules);
        match with.modes.get_mut(check) {
            Some(mode) => {
                *mode = "observe";
                without.modes[check] = "off";
            }
            None => with.grants.insert(at.index(without.grants.len() + 1), Grant { observes: true, ..observes }),
        }
        let (with, without) = (with.site(facing, "enforce"), without.site(facing, "enforce"));
        for asked in &questions {
            let (with, without) = (with.judge(asked.facts()), without.judge(asked.facts()));
            prop_assert_eq!(&with.decision.reply, &without.decision.reply, "{:?}", asked);
        }
    }

    #[test]
    fn a_refusal_has_codes_id_and_text(rules in rules(), facing in facing(), questions in questions()) {
        let site = rules.site(facing, "enforce");
        for asked in &questions {
            let judged = site.judge(asked.facts());
            let Reply::Refuse(reply) = &judged.decision.reply else { continue };
            let line = reply.to_string();
            let words: Vec<&str> = line.splitn(4, ' ').collect();
            let [code, enhanced, id, text] = words[..] else { panic!("four parts: {line}") };
            prop_assert!(code.len() == 3 && ["4", "5"].contains(&&code[..1]), "{line}");
            prop_assert!(code.bytes().all(|digit| digit.is_ascii_digit()), "{line}");
            prop_assert_eq!(enhanced.split('.').count(), 3, "{}", line);
            prop_assert!(enhanced.split('.').all(|number| number.parse::<u16>().is_ok()), "{line}");
            prop_assert_eq!(&enhanced[..1], &code[..1], "{}", line);
            prop_assert_eq!(id, format!("[{}]", judged.case().id()), "{}", line);
            prop_assert_eq!(DecisionId::find_all(&line)[0], judged.case().id(), "{}", line);
            prop_assert!(!text.trim().is_empty(), "{line}");
            prop_assert!(line.len() <= 400 && line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line}");
        }
    }
}
