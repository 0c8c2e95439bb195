//! `gatepost rights --who RIGHT`: everybody who holds a right, told as it comes.

use std::io::{self, BufWriter, StdoutLock, Write};
use std::time::Duration;

use clap::ValueEnum;
use hyper::StatusCode;
use hyper::body::Incoming;

use crate::admin::{self, AskedHolders, HoldersFault};
use crate::cli::asking::escaped;
use crate::cli::source::{Control, Failed, Source};
use crate::cli::{Exit, Output, counted, is_read, shown, small_runtime};
use crate::daemon::clock;
use crate::decision::{HoldersEnd, HoldersEntry, HoldersHead, HoldersLine, RightHolder};

/// Until the daemon has read all people, for which it takes 60 s at most.
const PATIENCE: Duration = Duration::from_secs(70);

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Right {
    Submit,
    Relay,
}

/// Prints everybody who holds the right.
pub(super) fn holders(right: Right, source: &Source, output: Output) -> Result<Exit, Failed> {
    let word = match right {
        Right::Submit => "submit",
        Right::Relay => "relay",
    };
    let asked = AskedHolders { right: word.into() };
    let runtime = small_runtime().map_err(|fault| Failed::unreachable(fault.to_string()))?;
    let mut printer = Printer::new(output);
    let told = runtime.block_on(async {
        if source.offline {
            offline(&asked, source, &mut printer).await
        } else {
            online(&asked, &source.control()?, &mut printer).await
        }
    });
    // What was told before a fault stays told.
    let flushed = printer.out.flush();
    told?;
    is_read(flushed).map(|_| Exit::Done)
}

async fn offline(asked: &AskedHolders, source: &Source, printer: &mut Printer) -> Told {
    let (engine, _) = source.engine()?;
    let holders = admin::holders(&engine, &asked.right, clock::now()).await.map_err(|fault| {
        let exit = match &fault {
            HoldersFault::Right(_) => Exit::No,
            HoldersFault::Directory(_) => Exit::Deferred,
        };
        Failed { exit, why: fault.to_string() }
    })?;
    for line in holders.lines() {
        if !is_read(printer.line(&line))? {
            break;
        }
    }
    Ok(())
}

type Told = Result<(), Failed>;

async fn online(asked: &AskedHolders, control: &Control, printer: &mut Printer) -> Told {
    let answer = control.begin("/holders", asked, PATIENCE).await?;
    let (status, mut body) = (answer.status(), answer.into_body());
    if status != StatusCode::OK {
        let why = control.next(&mut body).await?.unwrap_or_default();
        return Err(Failed::of_answer(status, &why));
    }
    tell(control, &mut body, printer).await
}

/// Prints line by line what comes in pieces.
async fn tell(control: &Control, body: &mut Incoming, printer: &mut Printer) -> Told {
    let mut rest: Vec<u8> = Vec::new();
    let mut is_over = false;
    while let Some(piece) = control.next(body).await? {
        rest.extend_from_slice(&piece);
        let whole = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let after = rest.split_off(whole);
        for line in rest.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let line: HoldersLine = serde_json::from_slice(line).map_err(|fault| {
                Failed::unreachable(format!("the daemon's answer cannot be read: {fault}"))
            })?;
            is_over = matches!(line, HoldersLine::End(_));
            if !is_read(printer.line(&line))? {
                return Ok(());
            }
        }
        rest = after;
    }
    match is_over {
        true => Ok(()),
        false => Err(Failed::unreachable("the daemon's answer ends too early".into())),
    }
}

struct Printer {
    out: BufWriter<StdoutLock<'static>>,
    output: Output,
    persons: usize,
    every_login: bool,
}

impl Printer {
    fn new(output: Output) -> Self {
        let out = BufWriter::new(io::stdout().lock());
        Self { out, output, persons: 0, every_login: false }
    }

    fn line(&mut self, line: &HoldersLine) -> io::Result<()> {
        match (self.output, line) {
            (Output::Json, HoldersLine::Head(head)) => self.json_head(head),
            (Output::Json, HoldersLine::Person(person)) => {
                let comma = if self.persons == 0 { "" } else { "," };
                self.persons += 1;
                write!(self.out, "{comma}\n    {}", escaped(&serde_json::to_string(person)?))
            }
            (Output::Json, HoldersLine::End(end)) => {
                let close = if self.persons == 0 { "]" } else { "\n  ]" };
                writeln!(self.out, "{close},\n  \"counts\": {}\n}}", serde_json::to_string(end)?)
            }
            (Output::Human, HoldersLine::Head(head)) => self.head(head),
            (Output::Human, HoldersLine::Person(person)) => self.person(person),
            (Output::Human, HoldersLine::End(end)) => self.end(*end),
        }
    }

    /// One document: the fields of the head, the people, the counts.
    fn json_head(&mut self, head: &HoldersHead) -> io::Result<()> {
        let head = escaped(&serde_json::to_string_pretty(head)?);
        let open = head.trim_end().trim_end_matches('}').trim_end();
        write!(self.out, "{open},\n  \"people\": [")
    }

    fn row(&mut self, row: &str) -> io::Result<()> {
        writeln!(self.out, "{}", shown(row.trim_end()))
    }

    fn head(&mut self, head: &HoldersHead) -> io::Result<()> {
        self.every_login = head.every_login;
        self.row(&format!("who holds the {} right", head.right))?;
        self.row(&format!("  at {}, by the rules of {}", head.at, head.rules))?;
        if head.mode == "observe" {
            let what = "mode = \"observe\": nobody is refused for it";
            self.row(&format!("  [{}] {what}", head.right))?;
        }
        self.row("")?;
        for entry in &head.entries {
            self.entry(&entry.ruling, entry)?;
        }
        for entry in &head.observed {
            self.entry(&format!("would {}", entry.ruling), entry)?;
        }
        if !head.entries.is_empty() || !head.observed.is_empty() {
            self.row("")?;
        }
        if head.every_login {
            self.row("  every login holds it, except these:")?;
        }
        Ok(())
    }

    fn entry(&mut self, ruling: &str, entry: &HoldersEntry) -> io::Result<()> {
        let HoldersEntry { kind, what, line, .. } = entry;
        self.row(&format!("  {kind:<14} {ruling:<11} {what} ({line})"))
    }

    fn person(&mut self, person: &RightHolder) -> io::Result<()> {
        let RightHolder { name, key, verdict, by, .. } = person;
        let line = person.line.as_ref().map(|line| format!(" ({line})")).unwrap_or_default();
        let hindered = person.hindered_by.as_ref().map(|reason| format!("; refused: {reason}"));
        let hindered = hindered.unwrap_or_default();
        let verdict = verdict.as_str();
        self.row(&format!("  {name:<24} {verdict:<13} {by}{line}{hindered} [{key}]"))
    }

    fn end(&mut self, end: HoldersEnd) -> io::Result<()> {
        let people = counted(end.people as usize, "account");
        self.row(&match self.every_login {
            true => format!("  of {people}, {} denied", end.denied),
            false => format!("  of {people}, {} allowed", end.allowed),
        })?;
        if end.not_known_now > 0 {
            self.row(&format!("  {} not known now", end.not_known_now))?;
        }
        Ok(())
    }
}
