//! Negotiation: within what the mail server offers, what gatepost wants (mfapi.h SMFIF_*, mfdef.h
//! SMFIP_*). An answer beyond the offer ends the session at Sendmail, and confuses Postfix.

use bytes::{BufMut, BytesMut};

use crate::wire::milter::{Fault, frame};

const ADDHDRS: u32 = 0x1;
const QUARANTINE: u32 = 0x20;
const SETSYMLIST: u32 = 0x100;

const NOBODY: u32 = 0x10;
const NOHDRS: u32 = 0x20;
const NOEOH: u32 = 0x40;
const NOUNKNOWN: u32 = 0x100;
/// Packets of up to 256 KiB and 1 MiB, which Sendmail offers where it is built for them.
const MAXIMUM_DATA_SIZES: u32 = 0x1000_0000 | 0x2000_0000;

/// libmilter 8.13 and every Postfix offer 2 or more.
const OLDEST: u32 = 2;
const NEWEST: u32 = 6;

/// The macros asked for, by the stage's number in mfapi.h. Postfix repeats list 6 for each header
/// line and list 5 for each piece of the body, so they are short; Sendmail before 8.18.2 reads list
/// 5 only when list 6 is there too.
const MACROS: [(u32, &str); 7] = [
    (0, "_ {client_resolve}"),
    (1, "{cert_subject} {cn_subject} {cert_fp} {verify}"),
    (2, "i {auth_type} {auth_authen} {auth_ssf}"),
    (3, "i"),
    (4, "i"),
    (5, "i"),
    (6, "i"),
];

/// What a mail server offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    pub version: u32,
    /// SMFIF_*: what the filter may do to a message.
    pub actions: u32,
    /// SMFIP_*: what need not be sent or answered.
    pub protocol: u32,
}

/// What a listener wants beside the verdicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Wants {
    /// Judge at DATA too, where messages are charged there.
    pub data: bool,
    /// `X-Gatepost: ID` in what passes.
    pub id_header: bool,
    /// Hold what is refused at end of message.
    pub quarantine: bool,
}

/// What both sides keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreement {
    version: u32,
    actions: u32,
    protocol: u32,
}

impl Offer {
    pub(super) fn parse(payload: &[u8]) -> Result<Self, Fault> {
        let number = |at: usize| {
            let bytes = payload.get(at..)?.first_chunk::<4>()?;
            Some(u32::from_be_bytes(*bytes))
        };
        match (number(0), number(4), number(8)) {
            (Some(version), Some(actions), Some(protocol)) => {
                Ok(Self { version, actions, protocol })
            }
            _ => Err(Fault::Malformed(b'O', "expected three numbers of four bytes")),
        }
    }

    /// Chooses within the offer. Every command stays answered: no reply is ever left out.
    pub fn answer(self, wants: Wants) -> Result<Agreement, Fault> {
        if self.version < OLDEST {
            return Err(Fault::Version(self.version));
        }
        let mut actions = SETSYMLIST;
        if wants.id_header {
            actions |= ADDHDRS;
        }
        if wants.quarantine {
            actions |= QUARANTINE;
        }
        let protocol = NOBODY | NOHDRS | NOEOH | NOUNKNOWN | MAXIMUM_DATA_SIZES;
        Ok(Agreement {
            version: self.version.min(NEWEST),
            actions: actions & self.actions,
            protocol: protocol & self.protocol,
        })
    }
}

impl Agreement {
    pub(super) fn may_add_header(self) -> bool {
        self.actions & ADDHDRS != 0
    }

    pub(super) fn may_quarantine(self) -> bool {
        self.actions & QUARANTINE != 0
    }

    /// Writes the answer to the offer, with the macros wanted where they may be asked for.
    pub(super) fn write(self, out: &mut BytesMut) {
        let mut payload = BytesMut::with_capacity(160);
        payload.put_u32(self.version);
        payload.put_u32(self.actions);
        payload.put_u32(self.protocol);
        if self.actions & SETSYMLIST != 0 {
            for (stage, names) in MACROS {
                payload.put_u32(stage);
                payload.put_slice(names.as_bytes());
                payload.put_u8(0);
            }
        }
        frame::put(out, b'O', &[&payload]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: Wants = Wants { data: true, id_header: true, quarantine: true };

    fn agreed(version: u32, actions: u32, protocol: u32, wants: Wants) -> (u32, u32, u32) {
        let agreement =
            Offer { version, actions, protocol }.answer(wants).expect("a version we speak");
        (agreement.version, agreement.actions, agreement.protocol)
    }

    #[test]
    fn the_offers_of_real_servers() {
        // Postfix and Sendmail, as they come: version 6, everything.
        assert_eq!(agreed(6, 0x1ff, 0x1f_ffff, Wants::default()), (6, 0x100, 0x170));
        assert_eq!(agreed(6, 0x1ff, 0x1f_ffff, ALL), (6, 0x121, 0x170));
        // Sendmail built for large packets.
        assert_eq!(agreed(6, 0x1ff, 0x101f_ffff, ALL).2, 0x1000_0170);
        assert_eq!(agreed(6, 0x1ff, 0x301f_ffff, ALL).2, 0x3000_0170);
        // Postfix with milter_protocol = 2.
        assert_eq!(agreed(2, 0x3f, 0x7f, ALL), (2, 0x21, 0x70));
        // A minimal client, and one from the future.
        assert_eq!(agreed(6, 0xff, 0, ALL), (6, 0x21, 0));
        assert_eq!(agreed(2, 0, 0, ALL), (2, 0, 0));
        assert_eq!(agreed(7, 0x1ff, 0x1f_ffff, ALL).0, 6);
    }

    #[test]
    fn versions_nobody_speaks_are_refused() {
        for version in [0, 1] {
            let offer = Offer { version, actions: 0x1ff, protocol: 0 };
            assert!(matches!(offer.answer(ALL), Err(Fault::Version(v)) if v == version));
        }
        assert!(matches!(Offer::parse(&[0; 11]), Err(Fault::Malformed(b'O', _))));
    }

    #[test]
    fn macros_are_asked_for_only_where_they_may_be() {
        let written = |actions| {
            let mut out = BytesMut::new();
            let offer = Offer { version: 6, actions, protocol: 0x1f_ffff };
            offer.answer(ALL).expect("a version we speak").write(&mut out);
            out
        };
        assert_eq!(written(0xff).len(), 4 + 1 + 12);
        let asked = written(0x1ff);
        let lists = &asked[4 + 1 + 12..];
        assert!(lists.starts_with(b"\0\0\0\0_ {client_resolve}\0\0\0\0\x01{cert_subject} "));
        // Both or neither (Sendmail looks for one and reads the other).
        assert!(lists.ends_with(b"\0\0\0\x05i\0\0\0\0\x06i\0"));
    }

    proptest! {
        #[test]
        fn no_answer_goes_beyond_its_offer(version in 2_u32.., actions: u32, protocol: u32) {
            let answer = agreed(version, actions, protocol, ALL);
            prop_assert!(answer.0 <= version && answer.0 <= 6);
            prop_assert_eq!(answer.1 & !actions, 0);
            prop_assert_eq!(answer.2 & !protocol, 0);
            // Neither a suppressed command gatepost needs nor one without a reply.
            prop_assert_eq!(answer.2 & !0x3000_0170, 0);
        }
    }
}
