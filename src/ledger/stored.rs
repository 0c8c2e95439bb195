//! A usage as bytes. Sections a release does not know are skipped, those that are not there stay empty;
//! so older and newer releases read one another's records.

use crate::ledger::binary::{Reader, Torn, Writer};
use crate::ledger::charged::{Charged, Likenesses};
use crate::ledger::{Contacts, Counters, NETWORKS, Pairs, SENDERS, Scale, Usage};
use crate::mail::Timestamp;

// The tags of sections; never used again for anything else.
const TOTALS: u8 = 1;
const COUNTERS: u8 = 2;
const SCALE: u8 = 3;
const CONTACTS: u8 = 4;
const PAIRS: u8 = 5;
const CHARGED: u8 = 6;
const LIKENESSES: u8 = 7;
const NETWORKS_SEEN: u8 = 8;
const SENDERS_SEEN: u8 = 9;
const BEFORE: u8 = 10;

impl Usage {
    /// Messages under way that are charged recipient by recipient are not kept.
    pub fn write(&self, out: &mut Writer) {
        out.section(TOTALS, |out| {
            out.u64(self.messages);
            out.u64(self.recipients);
            out.u64(self.retries);
            out.i64(self.last.map_or(i64::MIN, Timestamp::unix_ms));
        });
        out.section(COUNTERS, |out| self.counters.write(out));
        out.section(SCALE, |out| self.scale.write(out));
        if !self.contacts.is_empty() {
            out.section(CONTACTS, |out| self.contacts.write(out));
        }
        if self.pairs != Pairs::default() {
            out.section(PAIRS, |out| self.pairs.write(out));
        }
        out.section(CHARGED, |out| self.charged.write(out));
        out.section(LIKENESSES, |out| self.likenesses.write(out));
        out.section(NETWORKS_SEEN, |out| {
            for (network, seen) in &self.networks {
                out.u32(*network);
                out.u32(*seen);
            }
        });
        out.section(SENDERS_SEEN, |out| self.senders.iter().for_each(|sender| out.u32(*sender)));
        if let Some(before) = &self.before {
            out.section(BEFORE, |out| before.write(out));
        }
    }

    pub fn read(from: &mut Reader) -> Result<Self, Torn> {
        let mut read = Self::default();
        while let Some((tag, mut section)) = from.section()? {
            let from = &mut section;
            match tag {
                TOTALS => {
                    read.messages = from.u64()?;
                    read.recipients = from.u64()?;
                    read.retries = from.u64()?;
                    let last = from.i64()?;
                    read.last = (last != i64::MIN).then(|| Timestamp::from_unix_ms(last));
                }
                COUNTERS => read.counters = Counters::read(from)?,
                SCALE => read.scale = Scale::read(from)?,
                CONTACTS => read.contacts = Contacts::read(from)?,
                PAIRS => read.pairs = Pairs::read(from)?,
                CHARGED => read.charged = Charged::read(from)?,
                LIKENESSES => read.likenesses = Likenesses::read(from)?,
                NETWORKS_SEEN => {
                    while !from.is_empty() && read.networks.len() < NETWORKS {
                        read.networks.push((from.u32()?, from.u32()?));
                    }
                }
                SENDERS_SEEN => {
                    while !from.is_empty() && read.senders.len() < SENDERS {
                        read.senders.push(from.u32()?);
                    }
                }
                BEFORE => read.before = Some(Box::new(Scale::read(from)?)),
                _ => {}
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Hashed, Message};
    use proptest::prelude::*;

    fn used(messages: &[(u64, Vec<u64>)]) -> Usage {
        let mut usage = Usage::default();
        for (place, (seconds, to)) in messages.iter().enumerate() {
            let at = Timestamp::from_unix_ms(1_700_000_000_000 + *seconds as i64 * 1000);
            let mut recipients: Vec<_> = to.iter().map(|bits| Hashed::of(*bits)).collect();
            recipients.sort_unstable();
            recipients.dedup();
            let message = Message {
                key: place as u64,
                part: None,
                recipients: &recipients,
                count: recipients.len() as u32,
                likeness: recipients.first().copied(),
                network: recipients.last().copied(),
            };
            usage.advance(at);
            let weight = usage.weigh(&message, at);
            usage.count(&weight);
            usage.take_in(&message, &weight, 3, at);
            usage.sent_as(Hashed::of(*seconds << 32));
            usage.written_by(Hashed::of(seconds.rotate_left(40)), at);
        }
        usage
    }

    fn bytes(usage: &Usage) -> Vec<u8> {
        let mut out = Writer::default();
        usage.write(&mut out);
        out.done()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            messages in prop::collection::vec(
                (0..5_000_000_u64, prop::collection::vec(any::<u64>(), 1..40)), 0..60),
        ) {
            let usage = used(&messages);
            let written = bytes(&usage);
            let read = Usage::read(&mut Reader::new(&written)).expect("whole");
            prop_assert_eq!(bytes(&read), written);
            prop_assert_eq!(read.counters, usage.counters);
            prop_assert_eq!(read.scale, usage.scale);
            prop_assert_eq!(read.contacts.len(), usage.contacts.len());
        }

        #[test]
        fn any_bytes_are_read_or_refused(junk in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = Usage::read(&mut Reader::new(&junk));
        }
    }

    #[test]
    fn a_section_of_a_newer_release_is_skipped() {
        let usage = used(&[(1, vec![1, 2, 3])]);
        let mut out = Writer::default();
        out.section(200, |out| out.text("from the future"));
        usage.write(&mut out);
        let written = out.done();
        assert_eq!(Usage::read(&mut Reader::new(&written)), Ok(usage));
    }

    #[test]
    fn a_record_cut_short_is_torn() {
        let written = bytes(&used(&[(1, vec![1, 2, 3])]));
        assert_eq!(Usage::read(&mut Reader::new(&written[..written.len() - 1])), Err(Torn));
        assert_eq!(Usage::read(&mut Reader::new(&[])), Ok(Usage::default()));
    }
}
