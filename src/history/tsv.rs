//! Tables of one row a recipient: unix_time in seconds, login, message, recipient, by tabs. Logins and
//! recipients are one namespace, so a login is its own sender address as well.

use compact_str::CompactString;
use compact_str::ToCompactString;

use crate::history::HistoryFault;
use crate::history::Malformed;
use crate::history::Message;
use crate::history::Outcome;
use crate::history::files::{Files, Meter};
use crate::history::moment;
use crate::mail::Address;
use crate::mail::Login;
use crate::mail::Timestamp;

pub(super) const EXPECTED: &str = "one row a recipient: unix_time, login, message, recipient, by tabs, like \"1790000000\\talice\\tm1\\tbob\"";

/// Rows of one message beyond these begin another one.
const MOST_RECIPIENTS: usize = 100_000;

/// Joins the adjacent rows of a message.
#[derive(Default)]
pub(super) struct Rows {
    message: Option<Message>,
    /// Its login and id as the rows have them.
    login: Vec<u8>,
    id: Vec<u8>,
}

impl Rows {
    pub(super) fn next(
        &mut self,
        files: &mut Files,
        meter: &Meter,
        malformed: &mut Malformed,
    ) -> Result<Option<Message>, HistoryFault> {
        while let Some(file) = files.next_line(meter, malformed)? {
            let (line, number) = (file.line(), file.number());
            if line.is_empty() || line.starts_with(b"#") || number == 1 && is_header(line) {
                continue;
            }
            match read(line).map(|row| self.join(&row, number)) {
                Ok(whole) => {
                    file.good();
                    if whole.is_some() {
                        return Ok(whole);
                    }
                }
                Err(why) => file.malformed(&why, malformed)?,
            }
        }
        Ok(self.message.take())
    }

    /// Takes a row, and gives the message before where the row begins another one.
    fn join(&mut self, row: &Row<'_>, number: u64) -> Option<Message> {
        if let Some(message) = &mut self.message
            && !row.message.is_empty()
            && self.id == row.message
            && self.login == row.login
            && message.recipients.len() < MOST_RECIPIENTS
        {
            message.recipients.push(Address::from_internal(row.recipient));
            return None;
        }
        row.login.clone_into(&mut self.login);
        row.message.clone_into(&mut self.id);
        self.message.replace(Message {
            at: row.at,
            login: Login::parse(row.login),
            client: None,
            sender: Address::from_internal(row.login),
            recipients: vec![Address::from_internal(row.recipient)],
            id: match row.message {
                b"" => number.to_compact_string(),
                id => CompactString::from_utf8_lossy(id),
            },
            size: 0,
            outcome: Outcome::Accepted,
            unknown_recipients: 0,
            bounced_recipients: 0,
        })
    }
}

struct Row<'a> {
    at: Timestamp,
    login: &'a [u8],
    message: &'a [u8],
    recipient: &'a [u8],
}

fn read(line: &[u8]) -> Result<Row<'_>, String> {
    let mut columns = line.split(|&b| b == b'\t');
    let mut column = || columns.next();
    let (Some(time), Some(login), Some(message), Some(recipient), None) =
        (column(), column(), column(), column(), column())
    else {
        return Err(format!("{} columns instead of 4", line.split(|&b| b == b'\t').count()));
    };
    if recipient.is_empty() {
        return Err("the recipient is empty".into());
    }
    Ok(Row { at: seconds(time)?, login, message, recipient })
}

/// Unix seconds, whole or with a fraction, of which milliseconds count.
fn seconds(text: &[u8]) -> Result<Timestamp, String> {
    let no_time = || format!("\"{}\" is no unix time in seconds", text.escape_ascii());
    let (whole, fraction) = match memchr::memchr(b'.', text) {
        Some(point) => (&text[..point], &text[point + 1..]),
        None => (text, &b""[..]),
    };
    let digits = |text: &[u8]| text.iter().all(u8::is_ascii_digit);
    if whole.is_empty() || whole.len() > 15 || !digits(whole) || !digits(fraction) {
        return Err(no_time());
    }
    let number = |sum: i64, &digit: &u8| sum * 10 + i64::from(digit - b'0');
    let thousandths = fraction.iter().chain(b"000").take(3).fold(0, number);
    moment(whole.iter().fold(0, number) * 1000 + thousandths)
}

/// Whether a first line names the columns.
fn is_header(line: &[u8]) -> bool {
    line[0].is_ascii_alphabetic() && line.split(|&b| b == b'\t').count() == 4
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Result<i64, String> {
        seconds(text.as_bytes()).map(Timestamp::unix_ms)
    }

    #[test]
    fn seconds_have_a_fraction_or_none() {
        assert_eq!(at("1790000000"), Ok(1_790_000_000_000));
        assert_eq!(at("1790000000.5"), Ok(1_790_000_000_500));
        assert_eq!(at("1.0019999"), Ok(1_001));
        assert_eq!(at("0."), Ok(0));
        for text in ["", ".5", "-1", "1e9", "1.x", "1234567890123456"] {
            assert_eq!(at(text), Err(format!("\"{text}\" is no unix time in seconds")));
        }
    }

    #[test]
    fn a_row_has_four_columns() {
        let why = |line: &[u8]| read(line).err();
        assert_eq!(why(b"1\ta\tm\tb"), None);
        assert_eq!(why(b"1\ta\tm"), Some("3 columns instead of 4".into()));
        assert_eq!(why(b"1\ta\tm\tb\t"), Some("5 columns instead of 4".into()));
        assert_eq!(why(b"1\ta\tm\t"), Some("the recipient is empty".into()));
    }

    #[test]
    fn adjacent_rows_of_one_login_and_message_are_joined() {
        let mut rows = Rows::default();
        let mut join = |line: &str| {
            let message = rows.join(&read(line.as_bytes()).expect("a row"), 9);
            message.map(|message| (message.id.to_string(), message.recipients.len()))
        };
        assert_eq!(join("1\ta\tm1\tb"), None);
        assert_eq!(join("1\ta\tm1\tc"), None);
        assert_eq!(join("1\tb\tm1\tc"), Some(("m1".into(), 2)));
        assert_eq!(join("1\tb\t\tc"), Some(("m1".into(), 1)));
        assert_eq!(join("1\tb\t\tc"), Some(("9".into(), 1)));
    }

    #[test]
    fn rows_are_joined_by_what_they_say_not_by_what_is_made_of_it() {
        let mut rows = Rows::default();
        let row = read(b"1\ta@X\xff\tm\xff\tb").expect("a row");
        assert_eq!((rows.join(&row, 1), rows.join(&row, 2)), (None, None));
    }

    #[test]
    fn a_message_has_at_most_a_hundred_thousand_recipients() {
        let mut rows = Rows::default();
        let row = read(b"1\ta\tm\tb").expect("a row");
        for _ in 0..MOST_RECIPIENTS {
            assert_eq!(rows.join(&row, 1), None);
        }
        let whole = rows.join(&row, 1).expect("the message before");
        assert_eq!(whole.recipients.len(), MOST_RECIPIENTS);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, text in "[0-9.\t-]{0,40}") {
            let _ = read(&bytes);
            let _ = read(text.as_bytes());
        }
    }
}
