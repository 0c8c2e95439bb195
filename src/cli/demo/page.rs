//! What a demo prints: at most 100 columns, and colours on a terminal alone.

use std::future::pending;
use std::io::{IsTerminal, stdout};
use std::path::Path;
use std::time::Duration;

use crate::cli::demo::daemon::program;
use crate::cli::demo::site::Site;
use crate::cli::{say, shown};
use crate::record::Notice;

const WIDTH: usize = 98;

/// Between two messages, and after what there is to read.
const BEAT: Duration = Duration::from_millis(350);
const READING: Duration = Duration::from_millis(1600);

// ECMA-48, Select Graphic Rendition.
const BOLD: &str = "1";
const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";

pub(super) struct Page {
    is_coloured: bool,
    is_slow: bool,
}

impl Page {
    pub fn new(is_slow: bool) -> Self {
        // https://no-color.org: set, and not empty.
        let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { is_coloured: stdout().is_terminal() && !is_plain, is_slow }
    }

    pub fn welcome(&self, site: &Site) {
        self.line(&self.coloured(BOLD, "A stolen login, from its first message to its release"));
        self.told(&format!(
            "A daemon of its own, by the rules and people of the quick start, with a store on disk, in\n{}. \
             Each command is run there as it is shown.",
            site.folder().display()
        ));
    }

    pub fn title(&self, title: &str) {
        self.line("");
        self.line(&self.coloured(BOLD, title));
    }

    /// Lines of the demo itself, or of a command.
    pub fn told(&self, text: &str) {
        for line in text.lines() {
            self.line(wrapped(&format!("  {line}")).trim_end());
        }
    }

    pub fn command(&self, arguments: &[&str]) {
        let words: Vec<String> = arguments.iter().map(|word| quoted(word)).collect();
        self.line(&wrapped(&format!("$ gatepost {}", words.join(" "))));
    }

    pub fn answer(&self, recipient: &str, answer: &str) {
        let colour = match answer.as_bytes().first() {
            Some(b'5') => RED,
            Some(b'4') => YELLOW,
            _ => GREEN,
        };
        self.line(&format!("  {recipient:<17} {}", self.coloured(colour, &shown(answer))));
    }

    pub fn notice(&self, notice: &Notice) {
        let since = notice.since.map(|since| since.to_string());
        let rows = [
            ("event", Some(notice.event.as_str())),
            ("id", Some(&*notice.id)),
            ("login", notice.login.as_deref()),
            ("reason", notice.reason.as_deref()),
            ("since", since.as_deref()),
            ("by", notice.by.as_deref()),
            ("verdict", notice.verdict.as_deref()),
            ("note", notice.note.as_deref()),
        ];
        for (name, value) in rows {
            if let Some(value) = value {
                self.told(&format!("{name:<8}  {}", shown(value)));
            }
        }
    }

    pub fn goes_on(&self, site: &Site) {
        let program = program().map_or("gatepost".into(), |path| path.display().to_string());
        let file = site.path("gatepost.toml");
        let (file, folder) = (file.display(), site.folder().display());
        self.title("The daemon goes on, and so do its notices; Ctrl-C ends both");
        self.line(&format!(
            "  look    {program} status -c {file}\n  \
               ask     {program} ask --login bob \\\n          \
                       --sender bob@example.org --rcpt x@far.test --socket {}\n  \
               log     {folder}/gatepost.log\n  \
               remove  rm -r {folder}",
            site.policy_socket(),
        ));
    }

    /// Where the folder is left, it is named.
    pub fn farewell(&self, left: Option<&Path>) {
        self.line("");
        self.told(&match left {
            Some(folder) => format!("The daemon is stopped; {} is left.", folder.display()),
            None => "The daemon is stopped, and the folder removed.".into(),
        });
        self.told("On your own mail: gatepost backtest --maillog /var/log/mail.log*");
    }

    /// Between two messages.
    pub async fn beat(&self) {
        self.pause(BEAT).await;
    }

    /// Until somebody has read what is there.
    pub async fn read(&self) {
        self.pause(READING).await;
    }

    async fn pause(&self, length: Duration) {
        if self.is_slow {
            // Nothing comes: the pace of a show is no deadline.
            let _ = tokio::time::timeout(length, pending::<()>()).await;
        }
    }

    pub fn line(&self, line: &str) {
        say(&format!("{line}\n"));
    }

    fn coloured(&self, colour: &str, text: &str) -> String {
        if self.is_coloured { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.into() }
    }
}

/// Further lines begin where the last column of the first one does.
fn wrapped(line: &str) -> String {
    let (mut text, mut rest) = (String::new(), line.to_string());
    while let Some(head) = rest.get(..WIDTH).filter(|_| rest.len() > WIDTH) {
        let column = head.rfind("  ").map_or(2, |at| at + 2);
        let Some(end) = head.rfind(' ').filter(|end| *end > column) else { break };
        text += &format!("{}\n", &head[..end]);
        rest = " ".repeat(column) + &rest[end + 1..];
    }
    text + &rest
}

/// As a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@=".contains(c);
    if word.chars().all(is_plain) { word.into() } else { format!("'{word}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_goes_on_below_its_last_column() {
        let long = format!("  because    {}", "word ".repeat(30).trim_end());
        let text = wrapped(&long);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| line.len() <= WIDTH));
        assert!(lines[1].starts_with("             word"), "{text}");
        let words = |text: &str| text.split_whitespace().map(str::to_string).collect::<Vec<_>>();
        assert_eq!(words(&text), words(&long));
    }

    #[test]
    fn a_line_that_fits_stays_and_so_does_one_without_a_gap() {
        assert_eq!(wrapped(&"x".repeat(WIDTH)), "x".repeat(WIDTH));
        assert_eq!(wrapped(&"x".repeat(WIDTH + 1)), "x".repeat(WIDTH + 1));
    }

    #[test]
    fn words_with_blanks_are_quoted() {
        assert_eq!(quoted("password changed, ticket 4711"), "'password changed, ticket 4711'");
        assert_eq!(quoted("gatepost.toml"), "gatepost.toml");
    }
}
