//! Sliding windows: the messages and recipients of one account within the last hour, the last day, or however
//! long a quota looks back. A window is counted in parts, so that its size does not grow with the mail.

use std::time::Duration;

use crate::ledger::{Reader, Torn, Writer};
use crate::mail::Timestamp;

/// Windows of one account at once; the configuration names no more lengths than this.
pub const WINDOWS: usize = 8;

/// A window is counted in 32 parts, and a part counts until all of it has left the window. So an
/// entry leaves between one window and one window and a 32nd after it came, never earlier; a window of
/// an hour is at most 1 min 53 s late, and takes 34 parts of 16 bytes at the most.
const PARTS: u32 = 32;

/// More than any release writes; a record that says more is torn.
const MOST_WRITTEN: usize = 64;

/// What a window counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Counted {
    Messages,
    Recipients,
}

impl Counted {
    pub const ALL: [Counted; 2] = [Counted::Messages, Counted::Recipients];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Recipients => "recipients",
        }
    }
}

/// What an account used of one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Used {
    pub messages: u64,
    pub recipients: u64,
}

impl Used {
    pub const fn of(self, counted: Counted) -> u64 {
        match counted {
            Counted::Messages => self.messages,
            Counted::Recipients => self.recipients,
        }
    }
}

/// The windows of one account, one for each length.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Windows(Vec<Window>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Window {
    length_ms: u32,
    /// When it was warned of, for each of [`Counted::ALL`].
    warned: [Option<Timestamp>; 2],
    /// The oldest first.
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    /// Counts from the Unix epoch, in lengths of a part.
    number: i64,
    messages: u32,
    recipients: u32,
}

impl Windows {
    /// What counts at `at` in the window of this length. What a clock that was set back has put into the
    /// future counts as well.
    pub fn used(&self, length: Duration, at: Timestamp) -> Used {
        let Some(window) = self.of(length) else { return Used::default() };
        let mut used = Used::default();
        for part in window.live(at) {
            used.messages += u64::from(part.messages);
            used.recipients += u64::from(part.recipients);
        }
        used
    }

    /// When no more than `most` will be used, if nothing is charged until then; `at` where that is so now.
    pub fn free_at(
        &self,
        length: Duration,
        counted: Counted,
        most: u64,
        at: Timestamp,
    ) -> Timestamp {
        let Some(window) = self.of(length) else { return at };
        let mut used = self.used(length, at).of(counted);
        let mut free = at;
        for part in window.live(at) {
            if used <= most {
                break;
            }
            used -= u64::from(part.of(counted));
            free = window.leaves(window.settled(part.number, at));
        }
        free
    }

    /// Adds what was taken to the windows of these lengths, and forgets all others.
    pub fn charge(&mut self, lengths: &[Duration], messages: u32, recipients: u32, at: Timestamp) {
        let lengths = &lengths[..lengths.len().min(WINDOWS)];
        self.0.retain(|window| lengths.iter().any(|length| in_ms(*length) == window.length_ms));
        for length in lengths {
            let window = self.of_or_new(in_ms(*length));
            window.settle(at);
            window.add(messages, recipients, at);
        }
    }

    /// Brings what a clock that was set back has left in the future to `at`, so that it leaves one window from
    /// now. `true`: something was, and the change must be kept even where nothing is charged, since an
    /// account that is only refused would stay at its limit until that future has come.
    pub fn settle(&mut self, at: Timestamp) -> bool {
        self.0.iter_mut().fold(false, |settled, window| window.settle(at) | settled)
    }

    /// Whether somebody was warned of this window within one length before `at`.
    pub fn is_warned(&self, length: Duration, counted: Counted, at: Timestamp) -> bool {
        self.of(length).is_some_and(|window| {
            let warned = window.warned[counted as usize];
            warned.is_some_and(|warned| at.ms_since(warned) < u64::from(window.length_ms))
        })
    }

    /// Remembers a warning; without effect on a window in which nothing was charged.
    pub fn warn(&mut self, length: Duration, counted: Counted, at: Timestamp) {
        let length_ms = in_ms(length);
        if let Some(window) = self.0.iter_mut().find(|window| window.length_ms == length_ms) {
            window.warned[counted as usize] = Some(at);
        }
    }

    /// Adds what was counted of the same account under another key.
    pub fn merge(&mut self, other: &Self, at: Timestamp) {
        for theirs in &other.0 {
            if self.0.len() == WINDOWS
                && !self.0.iter().any(|own| own.length_ms == theirs.length_ms)
            {
                continue;
            }
            let own = self.of_or_new(theirs.length_ms);
            for (own, theirs) in own.warned.iter_mut().zip(theirs.warned) {
                *own = (*own).max(theirs);
            }
            own.parts.extend(&theirs.parts);
            own.parts.sort_unstable_by_key(|part| part.number);
            own.join();
            own.settle(at);
        }
    }

    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In memory, beside the value itself.
    pub fn bytes(&self) -> usize {
        let parts = self.0.iter().map(|window| window.parts.capacity() * size_of::<Part>());
        self.0.capacity() * size_of::<Window>() + parts.sum::<usize>()
    }

    /// A window says how long its parts are, so that a release that cuts otherwise can read it.
    pub fn write(&self, out: &mut Writer) {
        for window in &self.0 {
            out.u32(window.length_ms);
            out.varint(u64::from(window.part_ms()));
            for warned in window.warned {
                out.i64(warned.map_or(i64::MIN, Timestamp::unix_ms));
            }
            out.varint(window.parts.len() as u64);
            let mut before = None;
            for part in &window.parts {
                match before {
                    None => out.i64(part.number),
                    Some(before) => out.varint(part.number.abs_diff(before)),
                }
                before = Some(part.number);
                out.varint(u64::from(part.messages));
                out.varint(u64::from(part.recipients));
            }
        }
    }

    /// Reads to the end.
    pub fn read(from: &mut Reader) -> Result<Self, Torn> {
        let mut read = Self::default();
        while !from.is_empty() {
            let window = Window::read(from)?;
            let is_new = read.0.iter().all(|other| other.length_ms != window.length_ms);
            if is_new && read.0.len() < WINDOWS {
                read.0.push(window);
            }
        }
        read.0.sort_unstable_by_key(|window| window.length_ms);
        Ok(read)
    }

    fn of(&self, length: Duration) -> Option<&Window> {
        let length_ms = in_ms(length);
        self.0.iter().find(|window| window.length_ms == length_ms)
    }

    fn of_or_new(&mut self, length_ms: u32) -> &mut Window {
        let place = self.0.partition_point(|window| window.length_ms < length_ms);
        if self.0.get(place).is_none_or(|window| window.length_ms != length_ms) {
            self.0.insert(place, Window { length_ms, warned: [None; 2], parts: Vec::new() });
        }
        &mut self.0[place]
    }
}

impl Window {
    fn part_ms(&self) -> u32 {
        self.length_ms.div_ceil(PARTS)
    }

    fn number(&self, at: Timestamp) -> i64 {
        at.unix_ms().div_euclid(i64::from(self.part_ms()))
    }

    /// When the end of a part is one window ago.
    fn leaves(&self, number: i64) -> Timestamp {
        let end = number.saturating_add(1).saturating_mul(i64::from(self.part_ms()));
        Timestamp::from_unix_ms(end.saturating_add(i64::from(self.length_ms)))
    }

    /// The part as which it counts. A part ahead is left alone, since the clocks of two nodes of one mail
    /// server differ a little; what is further in the future counts as of now.
    fn settled(&self, number: i64, at: Timestamp) -> i64 {
        let now = self.number(at);
        if number > now.saturating_add(1) { now } else { number }
    }

    fn live(&self, at: Timestamp) -> impl Iterator<Item = Part> {
        self.parts.iter().copied().filter(move |part| at < self.leaves(part.number))
    }

    fn settle(&mut self, at: Timestamp) -> bool {
        let gone = self.parts.partition_point(|part| self.leaves(part.number) <= at);
        self.parts.drain(..gone);
        let last = self.parts.last().map(|part| part.number);
        if last.is_none_or(|last| self.settled(last, at) == last) {
            return false;
        }
        let now = self.number(at);
        self.parts.iter_mut().for_each(|part| part.number = part.number.min(now));
        self.join();
        true
    }

    /// Makes one of parts of one number.
    fn join(&mut self) {
        self.parts.dedup_by(|later, kept| {
            let is_same = later.number == kept.number;
            if is_same {
                kept.add(later.messages, later.recipients);
            }
            is_same
        });
    }

    /// Onto settled parts, of which the last is at most one ahead: what comes now counts with that one.
    fn add(&mut self, messages: u32, recipients: u32, at: Timestamp) {
        let now = self.number(at);
        match self.parts.last_mut() {
            Some(last) if last.number >= now => last.add(messages, recipients),
            _ if messages == 0 && recipients == 0 => {}
            _ => self.parts.push(Part { number: now, messages, recipients }),
        }
    }

    fn read(from: &mut Reader) -> Result<Self, Torn> {
        let length_ms = from.u32()?.max(1);
        let part_ms = i64::try_from(from.varint()?).map_err(|_| Torn)?.max(1);
        let mut warned = [None; 2];
        for warned in &mut warned {
            let at = from.i64()?;
            *warned = (at != i64::MIN).then(|| Timestamp::from_unix_ms(at));
        }
        let mut window = Self { length_ms, warned, parts: Vec::new() };
        let count = usize::try_from(from.varint()?).map_err(|_| Torn)?;
        if count > MOST_WRITTEN {
            return Err(Torn);
        }
        let mut number = 0_i64;
        for place in 0..count {
            number = match place {
                0 => from.i64()?,
                _ => number.saturating_add_unsigned(from.varint()?),
            };
            let mut read =
                || from.varint().and_then(|value| u32::try_from(value).map_err(|_| Torn));
            let (messages, recipients) = (read()?, read()?);
            window.parts.push(Part { number, messages, recipients });
        }
        if part_ms != i64::from(window.part_ms()) {
            window.recut(part_ms);
        }
        window.join();
        Ok(window)
    }

    /// From parts of another length; by the last moment of each, so that nothing leaves too early.
    fn recut(&mut self, part_ms: i64) {
        let own_ms = i64::from(self.part_ms());
        for part in &mut self.parts {
            let last = part.number.saturating_add(1).saturating_mul(part_ms).saturating_sub(1);
            part.number = last.div_euclid(own_ms);
        }
    }
}

impl Part {
    fn of(self, counted: Counted) -> u32 {
        match counted {
            Counted::Messages => self.messages,
            Counted::Recipients => self.recipients,
        }
    }

    fn add(&mut self, messages: u32, recipients: u32) {
        self.messages = self.messages.saturating_add(messages);
        self.recipients = self.recipients.saturating_add(recipients);
    }
}

/// From 1 ms to 49 days, by which the configuration's windows are shorter.
fn in_ms(length: Duration) -> u32 {
    u32::try_from(length.as_millis()).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const DAY: Duration = Duration::from_secs(86_400);
    const HOUR_MS: i64 = 3_600_000;
    /// A part of an hour.
    const PART_MS: i64 = HOUR_MS / 32;
    /// The beginning of a part of an hour and of a day.
    const T0: i64 = 19_000 * 86_400_000;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_unix_ms(ms)
    }

    fn charged(charges: &[(i64, u32)]) -> Windows {
        let mut windows = Windows::default();
        for (ms, recipients) in charges {
            windows.charge(&[HOUR], 1, *recipients, at(*ms));
        }
        windows
    }

    fn recipients(windows: &Windows, ms: i64) -> u64 {
        windows.used(HOUR, at(ms)).recipients
    }

    fn bytes(windows: &Windows) -> Vec<u8> {
        let mut out = Writer::default();
        windows.write(&mut out);
        out.done()
    }

    fn read(bytes: &[u8]) -> Result<Windows, Torn> {
        Windows::read(&mut Reader::new(bytes))
    }

    #[test]
    fn an_entry_leaves_with_its_part_and_never_before_one_window() {
        // The first, one in the middle and the last moment of a part.
        for offset in [0, 1, PART_MS / 2, PART_MS - 1] {
            let windows = charged(&[(T0 + offset, 7)]);
            let leaves = T0 + PART_MS + HOUR_MS;
            assert!(leaves > T0 + offset + HOUR_MS && leaves <= T0 + offset + HOUR_MS + PART_MS);
            assert_eq!(recipients(&windows, leaves - 1), 7, "{offset}");
            assert_eq!(recipients(&windows, leaves), 0, "{offset}");
            assert_eq!(windows.free_at(HOUR, Counted::Recipients, 6, at(T0)), at(leaves));
        }
    }

    #[test]
    fn a_burst_at_a_boundary_of_the_clock_is_counted_whole() {
        let before = 20_000 * 86_400_000 - 1;
        let windows = charged(&[(before, 100), (before + 1, 100)]);
        assert_eq!(recipients(&windows, before + 1), 200);
        assert_eq!(recipients(&windows, before + HOUR_MS - 1), 200);
    }

    #[test]
    fn it_is_free_when_enough_parts_have_left() {
        let windows = charged(&[(T0, 5), (T0 + 10 * PART_MS, 3), (T0 + 20 * PART_MS, 2)]);
        let leaves = |part: i64| at(T0 + (part + 1) * PART_MS + HOUR_MS);
        let now = at(T0 + 21 * PART_MS);
        let free = |most| windows.free_at(HOUR, Counted::Recipients, most, now);
        assert_eq!((free(11), free(10)), (now, now));
        assert_eq!((free(9), free(5)), (leaves(0), leaves(0)));
        assert_eq!((free(4), free(2)), (leaves(10), leaves(10)));
        assert_eq!((free(1), free(0)), (leaves(20), leaves(20)));
        assert_eq!(windows.free_at(HOUR, Counted::Messages, 2, now), leaves(0));
        assert_eq!(windows.free_at(DAY, Counted::Messages, 0, now), now);
    }

    #[test]
    fn each_length_has_its_own_window_and_others_are_forgotten_at_the_next_charge() {
        let mut windows = Windows::default();
        windows.charge(&[DAY, HOUR], 1, 3, at(T0));
        let later = at(T0 + 2 * HOUR_MS);
        assert_eq!(windows.used(HOUR, later), Used::default());
        assert_eq!(windows.used(DAY, later), Used { messages: 1, recipients: 3 });
        windows.charge(&[HOUR], 1, 1, later);
        assert_eq!(windows.used(HOUR, later), Used { messages: 1, recipients: 1 });
        assert_eq!(windows.used(DAY, later), Used::default());
        assert_eq!(windows.0.len(), 1);
        windows.charge(&[], 1, 1, later);
        assert!(windows.is_empty());
    }

    #[test]
    fn no_more_windows_are_kept_than_the_bound() {
        let lengths: Vec<_> = (1..=WINDOWS as u64 + 1).map(Duration::from_secs).collect();
        let mut windows = Windows::default();
        windows.charge(&lengths, 1, 1, at(T0));
        assert_eq!(windows.0.len(), WINDOWS);
        let mut other = Windows::default();
        other.charge(&lengths[1..], 1, 1, at(T0));
        windows.merge(&other, at(T0));
        assert_eq!(windows.0.len(), WINDOWS);
        assert_eq!(windows.used(lengths[1], at(T0)).messages, 2);
    }

    #[test]
    fn a_million_messages_a_day_take_no_more_room() {
        let mut windows = Windows::default();
        let lengths = [Duration::from_secs(1), HOUR, DAY];
        for number in 0..1_000_000 {
            windows.charge(&lengths, 1, 50, at(T0 + number * 86));
        }
        let last = at(T0 + 999_999 * 86);
        assert_eq!(windows.used(DAY, last), Used { messages: 1_000_000, recipients: 50_000_000 });
        let parts = windows.0.iter().map(|window| window.parts.len());
        assert_eq!(parts.collect::<Vec<_>>(), [12, 33, 32], "of which 34 is the most");
        assert!(windows.bytes() <= 3 * (64 * size_of::<Part>() + 2 * size_of::<Window>()));
    }

    #[test]
    fn counts_stop_at_their_end() {
        let mut windows = charged(&[(T0, u32::MAX), (T0, u32::MAX)]);
        assert_eq!(recipients(&windows, T0), u64::from(u32::MAX));
        windows.charge(&[HOUR], u32::MAX, u32::MAX, at(T0 + PART_MS));
        assert_eq!(recipients(&windows, T0 + PART_MS), 2 * u64::from(u32::MAX));
        for ms in [i64::MIN, i64::MIN + 1, 0, i64::MAX - 1, i64::MAX] {
            windows.charge(&[HOUR, DAY], 1, 1, at(ms));
            let _ = windows.free_at(HOUR, Counted::Messages, 0, at(ms));
        }
    }

    #[test]
    fn a_clock_set_back_neither_loses_nor_freezes_a_count() {
        let year = 365 * 86_400_000;
        let mut windows = charged(&[(T0 + year, 200)]);
        assert_eq!(recipients(&windows, T0), 200, "what is ahead counts");
        let leaves = T0 + PART_MS + HOUR_MS;
        assert_eq!(windows.free_at(HOUR, Counted::Recipients, 0, at(T0)), at(leaves));
        assert!(windows.settle(at(T0)), "as of now");
        assert!(!windows.settle(at(T0)), "once");
        assert_eq!(recipients(&windows, leaves - 1), 200);
        assert_eq!(recipients(&windows, leaves), 0);
    }

    #[test]
    fn a_charge_after_a_step_back_settles_what_is_ahead() {
        let mut windows = charged(&[(T0 + 4 * HOUR_MS, 3), (T0 + 6 * HOUR_MS, 4), (T0, 1)]);
        assert_eq!(recipients(&windows, T0), 5, "3 were two hours old");
        assert_eq!(recipients(&windows, T0 + PART_MS + HOUR_MS), 0);
        windows.charge(&[HOUR], 1, 1, at(T0 + 7));
        assert_eq!(windows.0[0].parts.len(), 1);
    }

    #[test]
    fn two_clocks_that_differ_by_less_than_a_part_change_nothing() {
        let mut windows = charged(&[(T0 + PART_MS, 3)]);
        let ahead = windows.clone();
        assert!(!windows.settle(at(T0 + PART_MS - 1)));
        assert_eq!(windows, ahead);
        windows.charge(&[HOUR], 1, 4, at(T0 + PART_MS - 1));
        assert_eq!(
            windows.0[0].parts,
            [Part { number: T0 / PART_MS + 1, messages: 2, recipients: 7 }]
        );
    }

    #[test]
    fn a_step_forward_only_lets_pass() {
        let mut windows = charged(&[(T0, 3)]);
        assert!(!windows.settle(at(T0 + HOUR_MS)));
        assert_eq!(recipients(&windows, T0 + HOUR_MS), 3);
        assert!(!windows.settle(at(T0 + 10 * HOUR_MS)));
        assert_eq!(recipients(&windows, T0 + 10 * HOUR_MS), 0);
    }

    #[test]
    fn a_warning_stands_for_one_window() {
        let mut windows = charged(&[(T0, 3)]);
        let is_warned =
            |windows: &Windows, ms| windows.is_warned(HOUR, Counted::Recipients, at(ms));
        assert!(!is_warned(&windows, T0));
        windows.warn(HOUR, Counted::Recipients, at(T0));
        windows.warn(DAY, Counted::Recipients, at(T0));
        assert!(is_warned(&windows, T0));
        assert!(is_warned(&windows, T0 + HOUR_MS - 1));
        assert!(!is_warned(&windows, T0 + HOUR_MS));
        assert!(!windows.is_warned(HOUR, Counted::Messages, at(T0)));
        assert!(!windows.is_warned(DAY, Counted::Recipients, at(T0)));
        let again = read(&bytes(&windows)).expect("whole");
        assert!(is_warned(&again, T0 + HOUR_MS - 1) && !is_warned(&again, T0 + HOUR_MS));
    }

    #[test]
    fn merged_windows_count_both() {
        let mut windows = charged(&[(T0, 3), (T0 + 3 * PART_MS, 1)]);
        let mut other = charged(&[(T0 + PART_MS, 5), (T0 + 3 * PART_MS, 2)]);
        other.warn(HOUR, Counted::Messages, at(T0 + 9));
        windows.merge(&other, at(T0 + 4 * PART_MS));
        let now = at(T0 + 4 * PART_MS);
        assert_eq!(windows.used(HOUR, now), Used { messages: 4, recipients: 11 });
        assert_eq!(windows.0[0].parts.len(), 3);
        assert!(windows.is_warned(HOUR, Counted::Messages, now));
    }

    #[test]
    fn a_release_that_cuts_otherwise_reads_it_and_lets_nothing_leave_early() {
        let mut out = Writer::default();
        out.u32(3_600_000);
        out.varint(60_000);
        out.i64(i64::MIN);
        out.i64(i64::MIN);
        out.varint(2);
        for (number, recipients) in [(T0 / 60_000, 3), (1, 4)] {
            if recipients == 3 {
                out.i64(number)
            } else {
                out.varint(1)
            }
            out.varint(1);
            out.varint(recipients);
        }
        let windows = read(&out.done()).expect("whole");
        assert_eq!(recipients(&windows, T0 + 60_000 - 1 + HOUR_MS), 7);
        assert_eq!(recipients(&windows, T0 + 120_000 - 1 + HOUR_MS), 4);
        assert_eq!(recipients(&windows, T0 + 120_000 + HOUR_MS + PART_MS), 0);
    }

    #[test]
    fn a_usual_record_is_small() {
        let mut windows = Windows::default();
        for number in 0..10 {
            windows.charge(&[HOUR, DAY], 1, 3, at(T0 + number * HOUR_MS / 3));
        }
        assert!(bytes(&windows).len() < 120, "{}", bytes(&windows).len());
        assert!(windows.bytes() < 800, "{}", windows.bytes());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            charges in prop::collection::vec(
                (any::<i64>(), 0_i64..90_000_000, any::<u32>(), any::<u32>(), any::<bool>()), 0..60),
        ) {
            let mut windows = Windows::default();
            for (epoch, ms, messages, recipients, is_far) in charges {
                let now = at(if is_far { epoch } else { T0 + ms });
                windows.charge(&[HOUR, DAY, Duration::from_millis(1)], messages, recipients, now);
                windows.warn(DAY, Counted::Messages, now);
            }
            prop_assert_eq!(read(&bytes(&windows)), Ok(windows));
        }

        #[test]
        fn any_bytes_are_read_or_refused(junk in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(mut windows) = read(&junk) {
                windows.charge(&[HOUR, DAY], 1, 1, at(T0));
                prop_assert!(windows.0.iter().all(|window| window.parts.len() <= 34));
                prop_assert!(windows.used(HOUR, at(T0)).messages >= 1);
                let length = Duration::from_millis(u64::from(windows.0[0].length_ms));
                windows.free_at(length, Counted::Messages, 0, at(i64::MAX));
            }
        }

        /// Against a list of all entries: nothing is forgotten within its window, and all of it a 32nd later.
        #[test]
        fn a_window_counts_what_came_within_it(
            steps in prop::collection::vec((0_i64..2 * PART_MS, 0_u32..9), 1..200),
            length_ms in prop::sample::select(vec![1_u32, 2, 31, 33, 1000, 60_000, 3_600_000]),
        ) {
            let length = Duration::from_millis(u64::from(length_ms));
            let mut windows = Windows::default();
            let mut entries: Vec<(i64, u64)> = Vec::new();
            let mut now = T0;
            for (step, recipients) in steps {
                now += step * i64::from(length_ms) / HOUR_MS + step % 2;
                windows.charge(&[length], 1, recipients, at(now));
                entries.push((now, u64::from(recipients)));
                let within = |ms: i64| -> u64 {
                    let recent = entries.iter().filter(|(entry, _)| now - entry < ms);
                    recent.map(|(_, recipients)| recipients).sum()
                };
                let used = windows.used(length, at(now)).recipients;
                prop_assert!(used >= within(i64::from(length_ms)));
                prop_assert!(used <= within(i64::from(length_ms + length_ms.div_ceil(PARTS))));
                prop_assert!(windows.0[0].parts.len() <= 34);
            }
        }

        #[test]
        fn it_is_free_when_told_and_not_before(
            charges in prop::collection::vec((0..HOUR_MS / 8, 0_u32..9), 1..30),
            most in 0_u64..60, pause in 0..HOUR_MS,
        ) {
            let mut now = T0;
            let mut windows = Windows::default();
            for (step, recipients) in charges {
                now += step;
                windows.charge(&[HOUR], 1, recipients, at(now));
            }
            now += pause;
            let free = windows.free_at(HOUR, Counted::Recipients, most, at(now)).unix_ms();
            prop_assert!(free >= now && recipients(&windows, free) <= most);
            prop_assert!(free == now || recipients(&windows, free - 1) > most);
        }

        /// Whatever the clock does, what was taken counts for one window after that of the last look.
        #[test]
        fn no_clock_loses_or_freezes_a_count(
            start in any::<i32>(), jumps in prop::collection::vec(any::<i32>(), 0..20),
        ) {
            let mut now = T0 + i64::from(start) * 100;
            let mut windows = charged(&[(now, 5)]);
            for jump in jumps {
                let earlier = now;
                now += i64::from(jump) * 10;
                let counted = recipients(&windows, now);
                if now <= earlier {
                    prop_assert_eq!(counted, recipients(&windows, earlier), "a step back loses nothing");
                }
                windows.settle(at(now));
                prop_assert_eq!(counted, recipients(&windows, now));
                prop_assert_eq!(recipients(&windows, now + HOUR_MS + 2 * PART_MS), 0);
            }
        }
    }
}
