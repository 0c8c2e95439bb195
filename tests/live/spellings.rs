//! Whatever a client writes behind MAIL FROM: and RCPT TO:, Postfix makes some address of it or refuses
//! it (tok822_parse(3), strict_rfc821_envelopes = no), and so does gatepost: nothing gets out, and
//! nothing goes as somebody else, because the two read it differently.

use crate::door::{Door, at_both_doors};
use crate::lab::{Lab, marker};

at_both_doors! {
    no_way_of_writing_a_recipient_leads_out
    no_way_of_writing_a_sender_leads_to_somebody_else
}

/// Put together at random, the same way in every run.
#[rustfmt::skip]
const PARTS: [&str; 44] = [
    "victim", "carol", "bob", "far.test", "local.test", "@far.test", "@local.test", "@far.test:",
    "@local.test:", "@local.test,@far.test:", "@local.test,", "victim@far.test", "carol@local.test",
    "bob@local.test", "[127.0.0.1]", "@", "@", "<", ">", "(", ")", "(c)", "\"", "\"q\"", "\\", "\\@",
    "\\\"", " ", "\t", ",", ":", ";", "%", "!", ".", "+", "[", "]", "=", "'", "/", "-", "ü", "",
];
const TRIED: usize = 1500;

fn no_way_of_writing_a_recipient_leads_out(door: Door) {
    let lab = Lab::shared(door);
    let marker = marker("recipients");
    let mut bob = lab.submission("bob");
    let mut taken = 0;
    for path in paths(1).take(TRIED) {
        bob.mail("bob@local.test").assert_ok();
        if bob.command(&format!("RCPT TO:{path}")).is_ok() {
            taken += 1;
            bob.data(&format!("{marker} {path}"));
        }
        bob.rset().assert_ok();
    }
    assert!(taken > TRIED / 20, "{taken} of {TRIED} are taken");
    lab.settle();
    let out = lab.external.with(&marker);
    assert!(out.is_empty(), "{out:#?}");
}

fn no_way_of_writing_a_sender_leads_to_somebody_else(door: Door) {
    let lab = Lab::shared(door);
    let marker = marker("senders");
    let mut bob = lab.submission("bob");
    let mut taken = 0;
    for path in paths(2).take(TRIED) {
        if bob.command(&format!("MAIL FROM:{path}")).is_ok() && bob.rcpt("carol@local.test").is_ok()
        {
            taken += 1;
            bob.data(&format!("{marker} {path}")).assert_ok();
        }
        bob.rset().assert_ok();
    }
    assert!(taken > TRIED / 100, "{taken} of {TRIED} are taken");
    lab.settle();
    let arrived = lab.local.with(&marker);
    // Of `bob@local.test@` Postfix makes `"bob@local.test"@`.
    let own = |sender: &str| {
        let name = sender.replace('"', "").to_ascii_lowercase();
        ["", "bob@local.test"].contains(&name.trim_end_matches('@'))
    };
    let foreign: Vec<_> = arrived.iter().filter(|mail| !own(&mail.sender)).collect();
    assert!(foreign.is_empty() && !arrived.is_empty(), "{foreign:#?}");
}

/// Most of them in `<>`.
fn paths(seed: u64) -> impl Iterator<Item = String> {
    let mut state = seed;
    // Xorshift (Marsaglia 2003).
    let mut below = move |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % limit as u64) as usize
    };
    std::iter::from_fn(move || {
        let parts: String = (0..=below(6)).map(|_| PARTS[below(PARTS.len())]).collect();
        Some(if below(4) == 0 { parts } else { format!("<{parts}>") })
    })
}
