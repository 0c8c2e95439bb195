//! The logs of Postfix and Sendmail. Those in `logs/` were written by real ones (Postfix 3.7.11, Sendmail
//! 8.17.1.9) on loopback; smaller ones are cut from such lines.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use gatepost::history::{Coverage, Message, Outcome, Source};
use jiff::tz::TimeZone;
use proptest::prelude::*;

use crate::{Folder, all, fault, gzip, open, shown, xz, zstd};

fn maillog(files: Vec<PathBuf>) -> Source {
    Source::Maillog { files, zone: TimeZone::UTC }
}

fn log(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/history/logs").join(name)
}

/// A file that was last written at this time.
fn written(folder: &Folder, name: &str, bytes: &[u8], at: &str) -> PathBuf {
    let path = folder.file(name, bytes);
    let moment: jiff::Timestamp = at.parse().expect("a moment");
    let seconds = u64::try_from(moment.as_second()).expect("after 1970");
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let file = File::options().write(true).open(&path).expect("the file");
    file.set_modified(time).expect("a time can be set");
    path
}

/// A log of these lines, last written on 2026-11-27.
fn lines(folder: &Folder, lines: &[&str]) -> PathBuf {
    written(folder, "mail.log", (lines.join("\n") + "\n").as_bytes(), "2026-11-27T00:00:00Z")
}

/// The messages with the time of day and what became of them, and the coverage.
fn told(files: Vec<PathBuf>) -> (Vec<String>, Coverage) {
    let mut history = open(maillog(files)).expect("the files");
    let mut messages = Vec::new();
    while let Some(message) = history.next_message().expect("a log") {
        messages.push(line_of(&message));
    }
    assert_eq!((history.malformed().count, history.out_of_order()), (0, 0));
    (messages, history.coverage().expect("that of a log"))
}

fn line_of(message: &Message) -> String {
    let (_, rest) =
        shown(message).split_once(' ').map(|(a, b)| (a.len(), b.to_owned())).expect("words");
    let time = message.at.to_string();
    let mut line = format!("{} {rest}", &time[5..19]);
    if message.outcome == Outcome::Refused {
        line += " refused";
    }
    if message.unknown_recipients > 0 {
        line += &format!(" unknown={}", message.unknown_recipients);
    }
    if message.bounced_recipients > 0 {
        line += &format!(" bounced={}", message.bounced_recipients);
    }
    line
}

/// Of messages, and of those whole.
fn counts(coverage: &Coverage) -> (u64, u64) {
    (coverage.accepted, coverage.whole)
}

const POSTFIX_READ: [&str; 11] = [
    "11-26T23:35:23 0049A98E039 alice 192.0.2.1 alice@example.org x@example.net,bob@example.org",
    // One recipient was refused before the message had an id, and one after it.
    "11-26T23:35:24 0343098E03A alice 192.0.2.1 alice@example.org bob@example.org unknown=2",
    "11-26T23:35:24 NOQUEUE - 192.0.2.1 alice@example.org nobody2@example.org refused unknown=1",
    "11-26T23:35:24 057FC98E039 alice 192.0.2.1 alice@example.org later@example.net,nobody@example.net bounced=1",
    // A list of three and an alias of three.
    "11-26T23:35:24 0678398E03A alice 192.0.2.1 alice@example.org all@lists.example.org,team@example.org",
    // Mail to away was forwarded under another id.
    "11-26T23:35:24 0734B98E04E alice 192.0.2.1 alice@example.org away@example.org,odd one@example.net",
    // Through a content filter after the queue, and through one before it.
    "11-26T23:35:24 0D32A98E06A alice 192.0.2.2 alice@example.org all@lists.example.org,y@example.net",
    "11-26T23:35:24 1291598E04E alice 192.0.2.3 alice@example.org z@example.net",
    "11-26T23:35:24 151A598E03A - 192.0.2.4 friend@example.net alice@example.org",
    // By sendmail(1).
    "11-26T23:35:24 1BB7998E04E - - alice@example.org x2@example.net",
    "11-26T23:35:28 4jbCb44xfPz1SVwb carol 192.0.2.9 carol@example.org x@example.net",
];

#[test]
fn a_log_of_postfix_is_read() {
    let folder = Folder::new();
    let bytes = std::fs::read(log("postfix.log")).expect("the log");
    let path = written(&folder, "mail.log", &bytes, "2026-11-27T00:00:00Z");
    let (messages, coverage) = told(vec![path]);
    assert_eq!(messages, POSTFIX_READ);
    assert_eq!(counts(&coverage), (10, 10));
    assert_eq!((coverage.joined, coverage.internal, coverage.refused), (3, 1, 3));
    assert_eq!((coverage.lines, coverage.mail_lines, coverage.share()), (118, 118, Some(1.0)));
}

#[test]
fn a_packed_log_is_the_same() {
    let folder = Folder::new();
    let bytes = std::fs::read(log("postfix.log")).expect("the log");
    for pack in [gzip as fn(&[u8]) -> Vec<u8>, xz, zstd] {
        let path = written(&folder, "mail.log", &pack(&bytes), "2026-11-27T00:00:00Z");
        assert_eq!(told(vec![path]).0, POSTFIX_READ);
    }
}

#[test]
fn a_log_of_sendmail_is_read() {
    let folder = Folder::new();
    let bytes = std::fs::read(log("sendmail.log")).expect("the log");
    let path = written(&folder, "mail.log", &bytes, "2026-11-27T00:00:00Z");
    let (messages, coverage) = told(vec![path]);
    assert_eq!(
        messages,
        [
            "11-26T23:21:47 6AQNLl06000013 alice@example.org 127.0.0.1 alice@example.org friend@example.net",
            "11-26T23:21:47 6AQNLlhU000018 alice 127.0.0.1 alice@example.org friend@example.net",
            "11-26T23:21:47 6AQNLl6k000021 bob 127.0.0.1 bob@example.org alice@example.org",
            "11-26T23:21:47 6AQNLl6m000021 bob 127.0.0.1 bob@example.org friend@example.net refused",
            "11-26T23:21:47 6AQNLlUY000028 bob 127.0.0.1 bob@example.org alice@example.org",
            "11-26T23:21:47 6AQNLlUa000028 bob 127.0.0.1 bob@example.org friend@example.net refused",
            "11-26T23:53:26 6AQNrQPw000011 bob 127.0.0.1 bob@example.org daemon@example.org,root@example.org unknown=2",
        ]
    );
    assert_eq!((counts(&coverage), coverage.refused), ((5, 5), 13));
}

/// A message as Postfix logs it, all in one second; `Nov 26 10:00:00` is a stamp.
fn message(stamp: &str, host: &str, id: &str, login: &str, to: &str) -> String {
    format!(
        "{stamp} {host} postfix/submission/smtpd[9]: {id}: client=unknown[192.0.2.1], sasl_method=PLAIN, sasl_username={login}
{stamp} {host} postfix/cleanup[8]: {id}: message-id=<{id}.{to}>
{stamp} {host} postfix/qmgr[7]: {id}: from=<{login}@example.org>, size=300, nrcpt=1 (queue active)
{stamp} {host} postfix/smtp[6]: {id}: to=<{to}>, relay=a.test[192.0.2.9]:25, delay=0.1, delays=0/0/0/0, dsn=2.0.0, status=sent (250 2.0.0 Ok)
{stamp} {host} postfix/qmgr[7]: {id}: removed
"
    )
}

#[test]
fn rotated_files_are_read_in_the_order_of_their_lines_across_a_new_year() {
    let folder = Folder::new();
    let first = message("Dec 31 23:59:58", "mx", "61FBC98E06A", "alice", "a@x.test");
    let second = message("Dec 31 23:59:59", "mx", "61FBC98E06B", "bob", "b@x.test")
        + &message("Jan  1 00:00:00", "mx", "61FBC98E06C", "carol", "c@x.test");
    let third = message("Jan  1 00:00:01", "mx", "61FBC98E06D", "dave", "d@x.test");
    // The last but one message is cut in two by the rotation.
    let (second, rest) = second.split_at(second.len() - 40);
    let files = vec![
        written(&folder, "mail.log", (rest.to_owned() + &third).as_bytes(), "2026-01-01T00:00:01Z"),
        written(&folder, "mail.log.1", second.as_bytes(), "2026-01-01T00:00:00Z"),
        written(&folder, "mail.log.2.gz", &gzip(first.as_bytes()), "2025-12-31T23:59:58Z"),
        written(&folder, "mail.log.3", b"", "2025-12-24T00:00:00Z"),
    ];
    let mut history = open(maillog(files.clone())).expect("the files");
    let mut years = Vec::new();
    while let Some(message) = history.next_message().expect("a log") {
        let login = message.login.map(|login| login.to_string());
        years.push(format!("{} {}", message.at, login.unwrap_or_default()));
    }
    assert_eq!(
        years,
        [
            "2025-12-31T23:59:58.000Z alice",
            "2025-12-31T23:59:59.000Z bob",
            "2026-01-01T00:00:00.000Z carol",
            "2026-01-01T00:00:01.000Z dave",
        ]
    );
    assert_eq!(history.coverage().map(|coverage| counts(&coverage)), Some((4, 4)));
}

#[test]
fn a_line_cut_by_rotation_is_told_and_the_rest_read() {
    let folder = Folder::new();
    let text = message("Nov 26 10:00:00", "mx", "61FBC98E06A", "alice", "a@x.test");
    let path = lines(&folder, &["half a line", text.trim_end()]);
    let mut history = open(maillog(vec![path.clone()])).expect("the file");
    assert_eq!(all(&mut history).expect("a log").len(), 1);
    let told: Vec<String> = history.malformed().first.iter().map(ToString::to_string).collect();
    assert_eq!(told, [format!("{}:1: the line begins with no time", path.display())]);
}

#[test]
fn a_queue_id_that_is_used_again_is_another_message() {
    let folder = Folder::new();
    let text = message("Nov 26 10:00:00", "mx", "61FBC98E06A", "alice", "a@x.test")
        + &message("Nov 26 10:00:01", "mx", "61FBC98E06A", "bob", "b@x.test");
    // Also where the line that says it was removed is missing.
    let text = text.replacen("Nov 26 10:00:00 mx postfix/qmgr[7]: 61FBC98E06A: removed\n", "", 1)
        + &message("Nov 26 10:00:01", "mx2", "61FBC98E06A", "carol", "c@x.test");
    let (messages, coverage) = told(vec![lines(&folder, &[text.trim_end()])]);
    assert_eq!(
        messages,
        [
            "11-26T10:00:00 61FBC98E06A alice 192.0.2.1 alice@example.org a@x.test",
            "11-26T10:00:01 61FBC98E06A bob 192.0.2.1 bob@example.org b@x.test",
            "11-26T10:00:01 61FBC98E06A carol 192.0.2.1 carol@example.org c@x.test",
        ]
    );
    assert_eq!((counts(&coverage), coverage.hosts), ((3, 3), 2));
}

#[test]
fn what_a_content_filter_hands_back_is_no_second_message() {
    let folder = Folder::new();
    let first = message("Nov 26 10:00:00", "mx", "61FBC98E06A", "alice", "a@x.test");
    let amavis = first.replace(
        "250 2.0.0 Ok",
        "250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as 61FBC98E06B",
    );
    let pipe = first.replace("250 2.0.0 Ok", "delivered via spamfilter service");
    let handed_back = |client: &str| {
        message("Nov 26 10:00:00", "mx", "61FBC98E06B", "alice", "a@x.test")
            .replace("unknown[192.0.2.1], sasl_method=PLAIN, sasl_username=alice", client)
            .replace("message-id=<61FBC98E06B", "message-id=<61FBC98E06A")
    };
    // The copy comes in before the filter answers, or by a clock that is late.
    let by_smtp = handed_back("localhost[127.0.0.1]");
    let by_pickup = by_smtp.replace(
        "submission/smtpd[9]: 61FBC98E06B: client=localhost[127.0.0.1]",
        "pickup[5]: 61FBC98E06B: uid=1001 from=<alice@example.org>",
    );
    let by_xforward = handed_back(
        "unknown[192.0.2.1], orig_queue_id=61FBC98E06A, orig_client=unknown[192.0.2.1]",
    );
    for (first, copy) in
        [(&amavis, &by_smtp), (&pipe, &by_smtp), (&pipe, &by_pickup), (&first, &by_xforward)]
    {
        let (before, after) =
            first.split_at(first.find("Nov 26 10:00:00 mx postfix/smtp[6]").expect("a line"));
        for order in [[before, copy, after], [before, after, copy]] {
            let (messages, coverage) = told(vec![lines(&folder, &order)]);
            assert_eq!(
                messages,
                ["11-26T10:00:00 61FBC98E06A alice 192.0.2.1 alice@example.org a@x.test"],
                "{order:?}"
            );
            assert_eq!((counts(&coverage), coverage.joined), ((1, 1), 1));
        }
    }
}

#[test]
fn what_another_host_of_the_log_takes_over_is_no_second_message() {
    let folder = Folder::new();
    let first = message("Nov 26 10:00:00", "in", "61FBC98E06A", "alice", "a@x.test")
        .replace("250 2.0.0 Ok", "250 2.0.0 Ok: queued as 72ABC98E06B");
    let second = message("Nov 26 10:00:02", "out", "72ABC98E06B", "alice", "a@x.test")
        .replace(", sasl_method=PLAIN, sasl_username=alice", "");
    let other = message("Nov 26 10:00:03", "out", "72ABC98E06C", "alice", "b@x.test")
        .replace(", sasl_method=PLAIN, sasl_username=alice", "");
    let files = vec![
        written(&folder, "in", first.as_bytes(), "2026-11-27T00:00:00Z"),
        written(&folder, "out", (second + &other).as_bytes(), "2026-11-27T00:00:00Z"),
    ];
    let (messages, coverage) = told(files);
    assert_eq!(
        messages,
        [
            "11-26T10:00:00 61FBC98E06A alice 192.0.2.1 alice@example.org a@x.test",
            "11-26T10:00:03 72ABC98E06C - 192.0.2.1 alice@example.org b@x.test",
        ]
    );
    assert_eq!((counts(&coverage), coverage.joined), ((2, 2), 1));
}

#[test]
fn a_message_of_the_same_id_by_a_login_is_no_copy() {
    let folder = Folder::new();
    let text = message("Nov 26 10:00:00", "mx", "61FBC98E06A", "alice", "a@x.test")
        + &message("Nov 26 10:00:01", "mx", "61FBC98E06B", "alice", "a@x.test");
    let text = text.replace("<61FBC98E06B.", "<61FBC98E06A.");
    assert_eq!(told(vec![lines(&folder, &[&text])]).0.len(), 2);
    let text = text.replace("192.0.2.1", "127.0.0.1");
    assert_eq!(told(vec![lines(&folder, &[&text])]).0.len(), 2);
}

#[test]
fn a_bounce_that_is_told_after_it_was_delivered_is_no_message() {
    let folder = Folder::new();
    let text = message("Nov 26 10:00:00", "mx", "61FBC98E06A", "alice", "a@x.test");
    let bounce: Vec<String> = message("Nov 26 10:00:00", "mx", "61FBC98E06B", "alice", "a@x.test")
        .lines()
        .filter(|line| !line.contains("client="))
        .map(Into::into)
        .collect();
    let notice = "Nov 26 10:00:00 mx postfix/bounce[4]: 61FBC98E06A: sender non-delivery notification: 61FBC98E06B";
    let (messages, coverage) =
        told(vec![lines(&folder, &[&bounce.join("\n"), notice, text.trim_end()])]);
    assert_eq!((messages.len(), counts(&coverage), coverage.internal), (1, (1, 1), 1));
}

#[test]
fn a_message_that_was_refused_at_its_end_does_not_come_out() {
    let folder = Folder::new();
    let text = message("Nov 26 10:00:00", "mx", "61FBC98E06A", "alice", "a@x.test");
    let client = text.lines().next().expect("a line");
    let rejected = "Nov 26 10:00:00 mx postfix/cleanup[8]: 61FBC98E06A: milter-reject: END-OF-MESSAGE from unknown[192.0.2.1]: 5.7.1 no; from=<alice@example.org> to=<a@x.test> proto=ESMTP helo=<h>";
    let other = message("Nov 26 12:00:00", "mx", "72FBC98E06A", "bob", "b@x.test");
    // The client goes away in the middle, or the message is refused.
    for ends in [
        rejected,
        "Nov 26 10:00:00 mx postfix/submission/smtpd[9]: disconnect from unknown[192.0.2.1]",
    ] {
        let (messages, coverage) = told(vec![lines(&folder, &[client, ends, other.trim_end()])]);
        assert_eq!((messages.len(), counts(&coverage), coverage.refused), (1, (1, 1), 1));
    }
}

#[test]
fn messages_come_in_the_order_they_were_accepted_in() {
    let folder = Folder::new();
    let slow = message("Nov 26 10:00:00", "mx", "61FBC98E06A", "alice", "a@x.test");
    let (before, after) =
        slow.split_at(slow.find("Nov 26 10:00:00 mx postfix/smtp[6]").expect("a line"));
    let mut text = before.to_owned();
    for minute in 1..60 {
        let stamp = format!("Nov 26 10:{minute:02}:00");
        text += &message(&stamp, "mx", &format!("72FBC98E0{minute:02}"), "bob", "b@x.test");
    }
    text += &after.replace("Nov 26 10:00:00", "Nov 26 11:00:00");
    let (messages, coverage) = told(vec![lines(&folder, &[&text])]);
    assert_eq!((messages.len(), counts(&coverage)), (60, (60, 60)));
    assert!(messages[0].contains(" alice ") && messages.is_sorted());
}

#[test]
fn a_message_that_is_tried_for_days_comes_once_and_holds_up_nobody() {
    let folder = Folder::new();
    let text = message("Nov 20 10:00:00", "mx", "61FBC98E06A", "alice", "a@x.test");
    let deferred =
        text.replace("dsn=2.0.0, status=sent (250 2.0.0 Ok)", "dsn=4.4.1, status=deferred (no)");
    let deferred =
        deferred.replace("Nov 20 10:00:00 mx postfix/qmgr[7]: 61FBC98E06A: removed\n", "");
    let mut log = deferred.clone();
    let again = &deferred[deferred.find("Nov 20 10:00:00 mx postfix/qmgr").expect("a line")..];
    for day in 21..25 {
        let stamp = format!("Nov {day} 10:00:00");
        log += &message(&stamp, "mx", &format!("72FBC98E0{day}"), "bob", "b@x.test");
        log += &again.replace("Nov 20 10:00:00", &stamp).replace("delay=0.1", "delay=86400");
    }
    log += "Nov 25 10:00:00 mx postfix/qmgr[7]: 61FBC98E06A: removed\n";
    let (messages, coverage) = told(vec![lines(&folder, &[log.trim_end()])]);
    assert_eq!(messages.len(), 5, "{messages:?}");
    assert_eq!((counts(&coverage), coverage.earlier), ((5, 5), 0));
}

#[test]
fn coverage_tells_what_is_missing() {
    let folder = Folder::new();
    let whole = message("Nov 26 10:00:00", "mx", "61FBC98E06A", "alice", "a@x.test");
    let without = |program: &str| -> String {
        let kept = whole.lines().filter(|line| !line.contains(program));
        kept.map(|line| format!("{line}\n")).collect()
    };
    let missing = |text: &str| {
        // The log goes on.
        let later = message("Nov 26 12:00:00", "mx", "72FBC98E06A", "bob", "b@x.test");
        let coverage = told(vec![lines(&folder, &[text, later.trim_end()])]).1;
        assert_eq!(coverage.accepted - coverage.whole, u64::from(text != whole));
        [
            coverage.without_client,
            coverage.without_sender,
            coverage.without_recipients,
            coverage.unfinished,
        ]
    };
    assert_eq!(missing(&whole), [0, 0, 0, 0]);
    assert_eq!(missing(&without("/smtpd")), [1, 0, 0, 0]);
    assert_eq!(missing(&without("/smtp[")), [0, 0, 1, 0]);
    // Its line tells how many recipients there are, too.
    let without_from: String = whole
        .lines()
        .filter(|line| !line.contains("from="))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(missing(&without_from), [0, 1, 1, 0]);
    let unfinished: String = whole.lines().take(3).map(|line| format!("{line}\n")).collect();
    assert_eq!(missing(&unfinished), [0, 0, 0, 1]);
}

#[test]
fn mail_from_before_the_log_is_not_missed() {
    let folder = Folder::new();
    let text = message("Nov 26 10:00:00", "mx", "61FBC98E06A", "alice", "a@x.test");
    let queued = &text[text.find("Nov 26 10:00:00 mx postfix/qmgr").expect("a line")..];
    let old = queued.replace("delay=0.1", "delay=4000");
    let new = message("Nov 26 10:30:00", "mx", "72FBC98E06A", "bob", "b@x.test");
    let (messages, coverage) = told(vec![lines(&folder, &[old.trim_end(), new.trim_end()])]);
    assert_eq!(messages.len(), 1);
    assert_eq!((counts(&coverage), coverage.earlier), ((1, 1), 1));
}

#[test]
fn a_login_of_sendmail_that_was_not_logged_is_missed() {
    let folder = Folder::new();
    let text = std::fs::read_to_string(log("sendmail.log")).expect("the log");
    let kept: Vec<&str> = text.lines().filter(|line| !line.contains("AUTH=server")).collect();
    let coverage = told(vec![lines(&folder, &kept)]).1;
    assert_eq!((counts(&coverage), coverage.without_login), ((5, 0), 5));
}

#[test]
fn mail_handed_in_by_sendmails_submission_program_is_one_message() {
    let folder = Folder::new();
    let (messages, coverage) = told(vec![lines(
        &folder,
        &[
            "Nov 26 10:00:00 mail sendmail[20]: 6AQA00aa000020: from=root, size=300, class=0, nrcpts=2, msgid=<1@x>, relay=root@localhost",
            "Nov 26 10:00:00 mail sm-mta[21]: 6AQA00bb000021: from=<root@example.org>, size=500, class=0, nrcpts=2, msgid=<1@x>, proto=ESMTP, daemon=MTA-v4, relay=localhost [127.0.0.1]",
            "Nov 26 10:00:00 mail sendmail[20]: 6AQA00aa000020: to=a@x.test,<b@x.test>, ctladdr=root (0/0), delay=00:00:00, xdelay=00:00:00, mailer=relay, pri=30300, relay=[127.0.0.1] [127.0.0.1], dsn=2.0.0, stat=Sent (6AQA00bb000021 Message accepted for delivery)",
            "Nov 26 10:00:01 mail sm-mta[23]: 6AQA00bb000021: to=<a@x.test>, delay=00:00:01, xdelay=00:00:01, mailer=esmtp, pri=120500, relay=x.test. [192.0.2.9], dsn=2.0.0, stat=Sent (Ok)",
            "Nov 26 10:00:01 mail sm-mta[23]: 6AQA00bb000021: to=<b@x.test>, delay=00:00:01, xdelay=00:00:00, mailer=esmtp, pri=120500, relay=x.test. [192.0.2.9], dsn=5.1.1, stat=User unknown",
            "Nov 26 10:00:01 mail sm-mta[23]: 6AQA00bb000021: 6AQA01bb000023: DSN: User unknown",
            "Nov 26 10:00:01 mail sm-mta[23]: 6AQA01bb000023: to=<root@example.org>, delay=00:00:00, xdelay=00:00:00, mailer=local, pri=31500, dsn=2.0.0, stat=Sent",
        ],
    )]);
    assert_eq!(messages, ["11-26T10:00:00 6AQA00aa000020 - - root a@x.test,b@x.test"]);
    assert_eq!((counts(&coverage), coverage.joined, coverage.internal), ((1, 1), 1, 1));
}

#[test]
fn the_journal_is_read_like_a_file() {
    let folder = Folder::new();
    let text = message("Nov 26 10:00:00", "mx", "61FBC98E06A", "alice", "a@x.test");
    let entries: Vec<String> = text
        .lines()
        .map(|line| {
            let (_, line) = line.split_at(19);
            let (program, message) = line.split_once(": ").expect("a program");
            let (program, pid) = program.split_once('[').expect("a process");
            let pid = pid.trim_end_matches(']');
            format!(
                r#"{{"__REALTIME_TIMESTAMP":"1795687200250000","_HOSTNAME":"mx","SYSLOG_IDENTIFIER":"{program}","_PID":"{pid}","MESSAGE":"{message}"}}"#
            )
        })
        .collect();
    let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
    let (messages, coverage) = told(vec![lines(&folder, &entries)]);
    assert_eq!(messages, ["11-26T10:00:00 61FBC98E06A alice 192.0.2.1 alice@example.org a@x.test"]);
    assert_eq!(counts(&coverage), (1, 1));
}

#[test]
fn a_file_that_is_no_log_or_of_no_mail_server_is_a_fault() {
    let folder = Folder::new();
    let expected = "lines of a mail server's log, like \"Nov 26 23:19:57 mx postfix/qmgr[781]: 4XyZ: removed\" or journalctl -o json";
    let good = written(
        &folder,
        "good",
        &std::fs::read(log("postfix.log")).expect("the log"),
        "2026-11-27T00:00:00Z",
    );
    let bad = folder.file("bad", &[0x7f, b'E', b'L', b'F', 0, b'\n', 1]);
    let told = fault(maillog(vec![good, bad.clone()]));
    assert_eq!(
        told,
        format!("{}:1: the line begins with no time; expected {expected}", bad.display())
    );
    let sshd = lines(&folder, &["Nov 26 10:00:00 mx sshd[1]: Accepted password for alice"]);
    for path in [sshd, folder.file("empty", b"")] {
        let told = fault(maillog(vec![path]));
        assert_eq!(told, format!("there is no message; expected {expected}"));
    }
}

/// A line of a real log, whole or with one byte changed.
fn damaged(log: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let lines: Vec<&'static str> = log.lines().collect();
    let change = proptest::option::of((any::<proptest::sample::Index>(), any::<u8>()));
    (proptest::sample::select(lines), change).prop_map(|(line, change)| {
        let mut line = line.as_bytes().to_owned();
        if let Some((at, byte)) = change {
            let at = at.index(line.len());
            line[at] = byte;
        }
        line.push(b'\n');
        line
    })
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(
        bytes: Vec<u8>,
        postfix in proptest::collection::vec(damaged(include_str!("logs/postfix.log")), 0..200),
        sendmail in proptest::collection::vec(damaged(include_str!("logs/sendmail.log")), 0..200),
    ) {
        let folder = Folder::new();
        for bytes in [bytes, postfix.concat(), sendmail.concat()] {
            let path = written(&folder, "any", &bytes, "2026-11-27T00:00:00Z");
            for source in [
                maillog(vec![path.clone()]),
                Source::Envelopes(vec![path.clone()]),
                Source::Tsv(vec![path]),
            ] {
                let Ok(mut history) = open(source) else { continue };
                while let Ok(Some(message)) = history.next_message() {
                    prop_assert!(message.outcome == Outcome::Refused || !message.recipients.is_empty());
                }
                let coverage = history.coverage().unwrap_or_default();
                prop_assert!(coverage.whole <= coverage.accepted);
            }
        }
    }
}
