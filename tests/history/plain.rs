//! Envelope files and tables.

use std::fs::File;

use gatepost::history::Source;

use crate::{Folder, all, fault, gzip, open, read, xz, zstd};

const ENVELOPES: &str = r#"{"at": 1790000000000, "login": "alice", "client": "192.0.2.1", "sender": "alice@example.org", "recipients": ["bob@example.org", "carol@example.org"], "message": "m1"}
{"at": 1790000005000, "sender": "bob@example.org", "recipients": ["alice@example.org"]}

{"at": 1790000004000, "login": "alice", "sender": "<>", "recipients": ["bob@example.org"], "message": "m3"}
"#;

const ENVELOPES_READ: [&str; 3] = [
    "1790000000000 m1 alice 192.0.2.1 alice@example.org bob@example.org,carol@example.org",
    "1790000005000 2 - - bob@example.org alice@example.org",
    "1790000004000 m3 alice - <> bob@example.org",
];

const TABLE: &str = "unix_time\tlogin\tmessage\trecipient
# made up
1790000000\talice\tm1\tbob
1790000000\talice\tm1\tcarol
1790000060.25\tbob\tm2\talice
1790000061\talice\tm1\tdave
";

const TABLE_READ: [&str; 3] = [
    "1790000000000 m1 alice - alice bob,carol",
    "1790000060250 m2 bob - bob alice",
    "1790000061000 m1 alice - alice dave",
];

#[test]
fn an_envelope_file_is_read_and_messages_that_go_back_are_counted() {
    let folder = Folder::new();
    let path = folder.file("envelopes", ENVELOPES.as_bytes());
    let mut history = open(Source::Envelopes(vec![path])).expect("the file");
    assert_eq!(all(&mut history).expect("a history"), ENVELOPES_READ);
    assert_eq!((history.out_of_order(), history.malformed().count), (1, 0));
    let progress = history.progress();
    assert_eq!((progress.read, progress.total), (ENVELOPES.len() as u64, Some(progress.read)));
}

#[test]
fn rows_of_a_table_are_joined_where_they_are_adjacent() {
    let folder = Folder::new();
    assert_eq!(read(Source::Tsv(vec![folder.file("table", TABLE.as_bytes())])), TABLE_READ);
}

#[test]
fn packed_files_are_told_by_their_first_bytes() {
    let folder = Folder::new();
    for (name, pack) in [("gz", gzip as fn(&[u8]) -> Vec<u8>), ("xz", xz), ("zst", zstd)] {
        let packed = pack(TABLE.as_bytes());
        let path = folder.file("table", &packed);
        let mut history = open(Source::Tsv(vec![path])).expect("the file");
        assert_eq!(all(&mut history).expect(name), TABLE_READ, "{name}");
        let progress = history.progress();
        assert_eq!((progress.read, progress.total), (packed.len() as u64, Some(progress.read)));
    }
}

#[test]
fn files_packed_piece_by_piece_are_one_file() {
    let folder = Folder::new();
    let (one, two) = TABLE.split_at(70);
    for pack in [gzip as fn(&[u8]) -> Vec<u8>, xz, zstd] {
        let packed = [pack(one.as_bytes()), pack(two.as_bytes())].concat();
        assert_eq!(read(Source::Tsv(vec![folder.file("table", &packed)])), TABLE_READ);
    }
}

#[test]
fn a_packed_file_that_ends_early_is_a_fault() {
    let folder = Folder::new();
    for pack in [gzip as fn(&[u8]) -> Vec<u8>, xz, zstd] {
        let packed = pack(TABLE.as_bytes());
        let path = folder.file("table", &packed[..packed.len() - 9]);
        let told = fault(Source::Tsv(vec![path.clone()]));
        assert!(told.starts_with(&format!("cannot read {}: ", path.display())), "{told}");
    }
}

#[test]
fn a_dash_is_the_standard_input() {
    let folder = Folder::new();
    let file = File::open(folder.file("table", &gzip(TABLE.as_bytes()))).expect("the file");
    nix::unistd::dup2_stdin(file).expect("another standard input");
    let mut history = open(Source::Tsv(vec!["-".into()])).expect("the standard input");
    assert_eq!(history.progress().total, None);
    assert_eq!(all(&mut history).expect("a history"), TABLE_READ);
}

#[test]
fn several_files_are_read_in_the_order_they_are_named_and_empty_ones_are_no_fault() {
    let folder = Folder::new();
    let files = [("b", TABLE), ("empty", ""), ("a", "1790000000\tdave\tm1\tbob\n")];
    let paths = files.map(|(name, text)| folder.file(name, text.as_bytes()));
    let read = read(Source::Tsv(paths.into()));
    assert_eq!(read[..3], TABLE_READ);
    assert_eq!(read[3..], ["1790000000000 m1 dave - dave bob"]);
}

#[test]
fn malformed_lines_are_counted_and_the_first_twenty_told_by_number() {
    let folder = Folder::new();
    let mut text = String::from(ENVELOPES);
    for _ in 0..150 {
        text.push_str("{}\n");
    }
    text.push_str(ENVELOPES);
    let path = folder.file("envelopes", text.as_bytes());
    let mut history = open(Source::Envelopes(vec![path.clone()])).expect("the file");
    assert_eq!(all(&mut history).expect("a history").len(), 6);
    assert_eq!((history.malformed().count, history.malformed().first.len()), (150, 20));
    assert_eq!(
        history.malformed().first[0].to_string(),
        format!("{}:5: missing field `at` at column 2", path.display())
    );
}

#[test]
fn a_line_beyond_a_mebibyte_is_malformed() {
    let folder = Folder::new();
    let long = "x".repeat((1 << 20) + 1);
    let path = folder.file("table", format!("{TABLE}{long}\nx\n1\ta\tm\tb\n").as_bytes());
    let mut history = open(Source::Tsv(vec![path.clone()])).expect("the file");
    assert_eq!(all(&mut history).expect("a history").len(), 4);
    let told: Vec<String> = history.malformed().first.iter().map(ToString::to_string).collect();
    let path = path.display();
    assert_eq!(
        told,
        [
            format!("{path}:7: the line is longer than 1 MiB"),
            format!("{path}:8: 1 columns instead of 4"),
        ]
    );
}

#[test]
fn a_file_of_something_else_is_a_fault_that_says_what_was_expected() {
    let folder = Folder::new();
    let rows = "one row a recipient: unix_time, login, message, recipient, by tabs, like \"1790000000\\talice\\tm1\\tbob\"";
    let cases: [(&[u8], &str); 4] = [
        (b"Dear all,\nhello\n", "1: 1 columns instead of 4"),
        (&[0x7f, b'E', b'L', b'F', 2, 1, b'\n', 0, 0], "1: 1 columns instead of 4"),
        (b"# made up\n\nx\n", "3: 1 columns instead of 4"),
        (ENVELOPES.as_bytes(), "1: 1 columns instead of 4"),
    ];
    for (bytes, why) in cases {
        let path = folder.file("table", bytes);
        let told = fault(Source::Tsv(vec![path.clone()]));
        assert_eq!(told, format!("{}:{why}; expected {rows}", path.display()));
    }
    for bytes in [&b""[..], b"\n\n", b"unix_time\tlogin\tmessage\trecipient\n"] {
        let told = fault(Source::Tsv(vec![folder.file("table", bytes)]));
        assert_eq!(told, format!("there is no message; expected {rows}"));
    }
    let path = folder.file("envelopes", TABLE.as_bytes());
    let told = fault(Source::Envelopes(vec![path.clone()]));
    let line = "one JSON object a line, like {\"at\": 1790000000123, \"login\": \"alice\", \"client\": \"192.0.2.1\", \"sender\": \"alice@example.org\", \"recipients\": [\"bob@example.org\"], \"message\": \"4XyZ\"}";
    assert_eq!(told, format!("{}:1: the line is no JSON object; expected {line}", path.display()));
}

#[test]
fn a_file_is_given_up_after_a_hundred_malformed_lines_and_not_after_ninety_nine() {
    let folder = Folder::new();
    for (malformed, is_read) in [(99, true), (100, false)] {
        let text = "x\n".repeat(malformed) + "1790000000\tdave\tm1\tbob\n";
        let path = folder.file("table", text.as_bytes());
        let outcome = all(&mut open(Source::Tsv(vec![path])).expect("the file"));
        assert_eq!(outcome.is_ok(), is_read, "{malformed} malformed lines");
    }
}

#[test]
fn a_file_that_is_not_there_is_a_fault_before_anything_is_read() {
    let told = fault(Source::Tsv(vec!["/nowhere/at/all".into()]));
    assert_eq!(told, "cannot read /nowhere/at/all: No such file or directory (os error 2)");
}
