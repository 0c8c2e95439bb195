//! Random streams of commands: exactly the replies the protocol has, at every cut of the bytes.

use crate::dialogue::{ALL, Dialogue, no};
use gatepost::mail::{Facts, Reply};
use proptest::prelude::*;

/// Different for each question, but the same for the same one.
fn mixed(facts: &Facts) -> Reply {
    let recipient = facts.envelope.recipient.as_ref();
    match recipient.map_or(0, |recipient| recipient.as_bytes().len()) % 3 {
        1 => Reply::Refuse(no()),
        2 => Reply::Hold(no()),
        _ => Reply::NoObjection,
    }
}

/// A command as a server may send it, in any order; never the negotiation.
fn command() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let path = prop_oneof![
        Just(b"<>\0".to_vec()),
        Just(b"\0".to_vec()),
        "<[a-c]{1,3}@[x-z]{1,3}>".prop_map(|path| format!("{path}\0SIZE=9\0").into_bytes()),
        proptest::collection::vec(1_u8.., 0..9).prop_map(|mut path| {
            path.push(0);
            path
        }),
    ];
    let stage = proptest::sample::select(b"CHMRTNELBU?".to_vec());
    let text = proptest::collection::vec(any::<u8>(), 0..9);
    prop_oneof![
        (stage, text.clone()).prop_map(|(stage, text)| (b'D', [vec![stage], text].concat())),
        proptest::sample::select(vec![
            b"h\x006\0\0::1\0".to_vec(),
            b"h\x004\0\0unknown\0".to_vec(),
            b"h\0U".to_vec(),
            b"h\0L\0\0/x\0".to_vec(),
        ])
        .prop_map(|payload| (b'C', payload)),
        path.clone().prop_map(|path| (b'M', path)),
        path.prop_map(|path| (b'R', path)),
        (proptest::sample::select(b"HTLNBEUAK".to_vec()), text),
    ]
}

fn offer() -> impl Strategy<Value = (u32, u32, u32)> {
    (2_u32..9, any::<u32>(), any::<u32>())
}

/// The replies that may follow a command, as they begin.
fn is_legal(code: u8, replies: &[String]) -> bool {
    let kinds: Vec<&str> = replies.iter().map(|reply| &reply[..1]).collect();
    match code {
        b'D' | b'A' | b'K' => kinds.is_empty(),
        b'M' | b'R' | b'T' => kinds == ["c"] || kinds == ["y"],
        b'E' => {
            let (changes, verdict) = kinds.split_at(kinds.len().saturating_sub(1));
            let is_changed = matches!(changes, [] | ["h"] | ["q"] | ["h", "q"]);
            is_changed && (verdict == ["a"] || verdict == ["y"] && changes.is_empty())
        }
        _ => kinds == ["c"],
    }
}

proptest! {
    #[test]
    fn every_command_gets_exactly_its_replies(
        offer in offer(),
        commands in proptest::collection::vec(command(), 0..60),
    ) {
        let mut mta = Dialogue::wanting(ALL, mixed);
        mta.negotiate(offer);
        for (code, payload) in commands {
            let replies = mta.packet(code, &payload).expect("a command to live with");
            prop_assert!(is_legal(code, &replies), "{}: {replies:?}", char::from(code));
            let (_, actions, _) = offer;
            let unasked = |kind, bit| actions & bit == 0 && replies.iter().any(|r| r.starts_with(kind));
            prop_assert!(!unasked("h", 0x1) && !unasked("q", 0x20), "{replies:?}");
        }
        prop_assert_eq!(mta.play(&["Q"]).len(), 0);
        prop_assert!(mta.has_quit);
    }

    #[test]
    fn cuts_make_no_difference(
        commands in proptest::collection::vec(command(), 0..20),
        piece in 1_usize..30,
    ) {
        let mut stream = Vec::new();
        for (code, payload) in commands {
            stream.extend((payload.len() as u32 + 1).to_be_bytes());
            stream.push(code);
            stream.extend(payload);
        }
        let play = |piece: usize| {
            let mut mta = Dialogue::wanting(ALL, mixed);
            mta.negotiate((6, 0x1ff, 0));
            let replies: Vec<String> =
                stream.chunks(piece).flat_map(|part| mta.bytes(part).expect("no fault")).collect();
            (replies, mta.asked)
        };
        prop_assert_eq!(play(piece), play(stream.len().max(1)));
    }

    /// What is known of a client never changes within its session, and no message has another's
    /// instance.
    #[test]
    fn a_client_stays_and_a_transaction_has_one_name(
        commands in proptest::collection::vec(command(), 0..60),
    ) {
        let mut mta = Dialogue::judged(|_| Reply::NoObjection);
        mta.negotiate((6, 0x1ff, 0));
        let (mut asked, mut ended) = (0, Vec::new());
        for (code, payload) in commands {
            mta.packet(code, &payload).expect("a command to live with");
            for facts in &mta.asked[asked..] {
                let instance = facts.envelope.instance.clone();
                prop_assert!(!ended.contains(&instance), "{instance} comes again");
            }
            asked = mta.asked.len();
            if code == b'E' {
                let last = mta.asked.last().expect("the end is asked about");
                ended.push(last.envelope.instance.clone());
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        let mut mta = Dialogue::judged(mixed);
        mta.negotiate((6, 0x1ff, 0x1f_ffff));
        let _ = mta.bytes(&bytes);
    }
}
