//! How many messages a second past mail is read at, each form by one thread, from made-up files.
//! `cargo bench --bench history_load -- [MESSAGES]`

#![allow(clippy::disallowed_methods)] // a benchmark reads the clock

use std::env;
use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use gatepost::history::{History, Source};
use gatepost::mail::Timestamp;
use jiff::tz::TimeZone;

/// The best of these is told: the others had company.
const ROUNDS: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let messages = env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(1_000_000);
    let folder = env::temp_dir().join(format!("history-load-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let outcome = measure(&folder, messages);
    fs::remove_dir_all(&folder)?;
    outcome
}

fn measure(folder: &Path, messages: u64) -> Result<(), Box<dyn Error>> {
    let table = folder.join("table");
    fs::write(&table, rows(messages)?)?;
    tell("tsv", Source::Tsv(vec![table]))?;
    let envelopes = folder.join("envelopes");
    fs::write(&envelopes, lines(messages)?)?;
    tell("envelopes", Source::Envelopes(vec![envelopes]))?;
    let log = folder.join("mail.log");
    fs::write(&log, log_lines(messages)?)?;
    tell("maillog", Source::Maillog { files: vec![log], zone: TimeZone::UTC })
}

fn tell(name: &str, source: Source) -> Result<(), Box<dyn Error>> {
    let mut best = 0.0_f64;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let mut history =
            History::open(source.clone(), Timestamp::from_unix_ms(1_790_000_000_000))?;
        let mut count = 0_u32;
        while let Some(message) = history.next_message()? {
            black_box(message);
            count += 1;
        }
        best = best.max(f64::from(count) / begun.elapsed().as_secs_f64());
    }
    println!("{name:10} {best:>10.0} messages/s");
    Ok(())
}

/// Recipients of a message: one to three.
fn recipients(message: u64) -> impl Iterator<Item = u64> {
    (0..=message % 3).map(move |index| (message * 7919 + index * 104_729) % 5000)
}

fn rows(messages: u64) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for message in 0..messages {
        for recipient in recipients(message) {
            let (at, login) = (1_790_000_000 + message, message * 31 % 1000);
            writeln!(text, "{at}\tuser{login}\t{message}\tuser{recipient}")?;
        }
    }
    Ok(text)
}

fn lines(messages: u64) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for message in 0..messages {
        let to: Vec<String> =
            recipients(message).map(|user| format!("\"user{user}@example.org\"")).collect();
        let (at, user) = (1_790_000_000_000 + message, message * 31 % 1000);
        writeln!(
            text,
            r#"{{"at": {at}, "login": "user{user}", "client": "192.0.2.{}", "sender": "user{user}@example.org", "recipients": [{}], "message": "{message:X}"}}"#,
            user % 250,
            to.join(", ")
        )?;
    }
    Ok(text)
}

/// As Postfix writes them: some seven lines a message, ten messages a second.
fn log_lines(messages: u64) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for message in 0..messages {
        let (second, user) = (message / 10, message * 31 % 1000);
        let at = jiff::Timestamp::from_second(1_700_000_000 + i64::try_from(second).unwrap_or(0));
        let at = at.unwrap_or_default().strftime("%b %e %H:%M:%S").to_string();
        let id = format!("{:X}", 0x61_FBC9_8000 + message % 0x1_0000);
        let to: Vec<u64> = recipients(message).collect();
        writeln!(text, "{at} mx postfix/smtpd[9]: connect from unknown[192.0.2.1]")?;
        writeln!(
            text,
            "{at} mx postfix/smtpd[9]: {id}: client=unknown[192.0.2.1], sasl_method=PLAIN, sasl_username=user{user}"
        )?;
        writeln!(text, "{at} mx postfix/cleanup[8]: {id}: message-id=<{message}@example.org>")?;
        writeln!(
            text,
            "{at} mx postfix/qmgr[7]: {id}: from=<user{user}@example.org>, size=300, nrcpt={} (queue active)",
            to.len()
        )?;
        for user in to {
            writeln!(
                text,
                "{at} mx postfix/smtp[6]: {id}: to=<user{user}@example.org>, relay=a.test[192.0.2.9]:25, delay=0.1, delays=0/0/0/0, dsn=2.0.0, status=sent (250 2.0.0 Ok)"
            )?;
        }
        writeln!(text, "{at} mx postfix/qmgr[7]: {id}: removed")?;
        writeln!(text, "{at} mx postfix/smtpd[9]: disconnect from unknown[192.0.2.1] ehlo=1")?;
    }
    Ok(text)
}
