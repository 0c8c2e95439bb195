//! Macros: what a mail server tells beside a command (libmilter/engine.c, `getmacro`). Each packet
//! replaces the whole set of its command; a name is looked up from the latest command back.

use crate::wire::milter::command::split_string;

/// The commands that have macros, in the order of an SMTP session. Postfix also sends some for
/// header lines and pieces of the body (`L`, `B`, `U`), which nobody reads.
const STAGES: &[u8; 7] = b"CHMRTNE";

/// The macros gatepost reads; without braces, since `i` and `{i}` are one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// `i`
    QueueId,
    /// `_`: the client's name and address; Sendmail adds `(may be forged)`.
    Client,
    ClientResolve,
    /// Postfix: the common name of a certificate that a trusted CA signed. Sendmail: the whole name.
    CertSubject,
    /// Sendmail: the common name.
    CnSubject,
    /// Sendmail, where CertFingerprintAlgorithm is set.
    CertFp,
    /// Sendmail: what became of the client's certificate.
    Verify,
    AuthAuthen,
    AuthType,
    /// Sendmail alone, with every login.
    AuthSsf,
}

const NAMES: [(&[u8], Name); 10] = [
    (b"i", Name::QueueId),
    (b"_", Name::Client),
    (b"client_resolve", Name::ClientResolve),
    (b"cert_subject", Name::CertSubject),
    (b"cn_subject", Name::CnSubject),
    (b"cert_fp", Name::CertFp),
    (b"verify", Name::Verify),
    (b"auth_authen", Name::AuthAuthen),
    (b"auth_type", Name::AuthType),
    (b"auth_ssf", Name::AuthSsf),
];

/// The sets of one session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Macros {
    sets: [Set; STAGES.len()],
}

type Set = [Option<Box<[u8]>>; NAMES.len()];

impl Macros {
    /// Replaces the set of the command with this code. Names nobody reads, a name without a value
    /// and commands without macros are passed over.
    pub fn replace(&mut self, stage: u8, mut pairs: &[u8]) {
        let Some(place) = place_of(stage) else { return };
        let set = &mut self.sets[place];
        *set = Set::default();
        while let Some((name, rest)) = split_string(pairs) {
            let Some((value, rest)) = split_string(rest) else { return };
            pairs = rest;
            let name = name.strip_prefix(b"{").and_then(|n| n.strip_suffix(b"}")).unwrap_or(name);
            if let Some((_, known)) = NAMES.iter().find(|(known, _)| *known == name) {
                set[*known as usize] = Some(value.into());
            }
        }
    }

    /// The value at the command `stage` or the nearest one before it; never empty.
    pub fn value(&self, stage: u8, name: Name) -> Option<&[u8]> {
        let place = place_of(stage)?;
        let values = self.sets[..=place].iter().rev();
        let value = values.filter_map(|set| set[name as usize].as_deref()).next()?;
        (!value.is_empty()).then_some(value)
    }

    /// Forgets the sets of all commands behind `stage`.
    pub fn forget_after(&mut self, stage: u8) {
        if let Some(place) = place_of(stage) {
            self.sets[place + 1..].fill_with(Set::default);
        }
    }
}

fn place_of(stage: u8) -> Option<usize> {
    STAGES.iter().position(|known| *known == stage)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn macros(packets: &[(u8, &[u8])]) -> Macros {
        let mut macros = Macros::default();
        for (stage, pairs) in packets {
            macros.replace(*stage, pairs);
        }
        macros
    }

    #[test]
    fn names_are_the_same_with_braces_and_without() {
        for pairs in [&b"i\0Q1\0"[..], b"{i}\0Q1\0"] {
            assert_eq!(macros(&[(b'M', pairs)]).value(b'M', Name::QueueId), Some(&b"Q1"[..]));
        }
        let braced = macros(&[(b'M', b"{auth_authen}\0alice\0{auth_author}\0mallory\0")]);
        assert_eq!(braced.value(b'M', Name::AuthAuthen), Some(&b"alice"[..]));
    }

    /// Field bug 14: none of these may end the connection.
    #[test]
    fn empty_packets_empty_values_and_odd_lists_are_lived_with() {
        assert_eq!(macros(&[(b'H', b"")]), Macros::default());
        assert_eq!(macros(&[(b'M', b"{auth_authen}\0\0")]).value(b'M', Name::AuthAuthen), None);
        let odd = macros(&[(b'M', b"i\0Q1\0{auth_authen}\0")]);
        assert_eq!(odd.value(b'M', Name::QueueId), Some(&b"Q1"[..]));
        assert_eq!(macros(&[(b'M', b"i\0unended")]).value(b'M', Name::QueueId), None);
        for stage in *b"LBU?" {
            assert_eq!(macros(&[(stage, b"i\0Q1\0")]), Macros::default());
        }
    }

    /// Sendmail sends the set of a recipient it rejected, and then that of the next one.
    #[test]
    fn a_packet_replaces_its_whole_set() {
        let twice = macros(&[(b'R', b"i\0Q1\0"), (b'R', b"{rcpt_addr}\0bob\0")]);
        assert_eq!(twice.value(b'R', Name::QueueId), None);
    }

    #[test]
    fn a_name_is_looked_up_from_the_command_back_and_never_ahead() {
        let mut known = macros(&[(b'M', b"i\0Q1\0"), (b'E', b"i\0Q2\0")]);
        assert_eq!(known.value(b'R', Name::QueueId), Some(&b"Q1"[..]));
        assert_eq!(known.value(b'E', Name::QueueId), Some(&b"Q2"[..]));
        assert_eq!(known.value(b'H', Name::QueueId), None);
        known.forget_after(b'M');
        assert_eq!(known.value(b'E', Name::QueueId), Some(&b"Q1"[..]));
    }
}
