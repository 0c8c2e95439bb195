//! Programs under test: started with pipes that are read all the time, signalled and ended by pid.
//! Waiting is for a line, an end of file or a probe, always with a deadline.

use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Long enough for a busy machine with two cores; a healthy step takes milliseconds.
pub const DEADLINE: Duration = Duration::from_secs(20);
const BETWEEN_PROBES: Duration = Duration::from_millis(10);

/// Probes until there is a value: for what tells nobody when it changes, such as a metric or a
/// port. The one clock and the one pause of the suite.
#[track_caller]
#[allow(clippy::disallowed_methods)]
pub fn until<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(Instant::now() < end, "{what}: not within {DEADLINE:?}");
        thread::sleep(BETWEEN_PROBES);
    }
}

/// What a program wrote to a pipe so far, by line.
#[derive(Clone, Default)]
pub struct Written(Arc<(Mutex<Content>, Condvar)>);

#[derive(Default)]
struct Content {
    lines: Vec<String>,
    has_ended: bool,
}

impl Written {
    fn of(pipe: impl Read + Send + 'static) -> Written {
        let written = Written::default();
        let kept = written.clone();
        thread::spawn(move || {
            let (content, changed) = &*kept.0;
            for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                content.lock().expect("no panic while it is held").lines.push(line);
                changed.notify_all();
            }
            content.lock().expect("no panic while it is held").has_ended = true;
            changed.notify_all();
        });
        written
    }

    pub fn lines(&self) -> Vec<String> {
        self.0.0.lock().expect("no panic while it is held").lines.clone()
    }

    /// All lines with `text`, as long as there are too few of them and more may come.
    fn wait_for(&self, text: &str, count: usize) -> Vec<String> {
        let with_text = |content: &Content| -> Vec<String> {
            content.lines.iter().filter(|line| line.contains(text)).cloned().collect()
        };
        let (content, changed) = &*self.0;
        let content = content.lock().expect("no panic while it is held");
        let (content, _) = changed
            .wait_timeout_while(content, DEADLINE, |content| {
                with_text(content).len() < count && !content.has_ended
            })
            .expect("no panic while it is held");
        with_text(&content)
    }

    /// Whether the writer closed the pipe within the limit.
    fn wait_for_end(&self, limit: Duration) -> bool {
        let (content, changed) = &*self.0;
        let content = content.lock().expect("no panic while it is held");
        let waited = changed.wait_timeout_while(content, limit, |content| !content.has_ended);
        waited.expect("no panic while it is held").0.has_ended
    }
}

/// A started program. Dropped, it is killed.
pub struct Program {
    child: Child,
    printed: Written,
    logged: Written,
}

impl Program {
    /// Standard output may be set before; it is read when it is not.
    #[track_caller]
    pub fn start(command: &mut Command) -> Program {
        let mut child =
            command.stderr(Stdio::piped()).spawn().expect("the program under test starts");
        let logged = Written::of(child.stderr.take().expect("standard error is a pipe"));
        let printed = child.stdout.take().map(Written::of).unwrap_or_default();
        Program { child, printed, logged }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the program takes a signal");
    }

    /// Waits for the first log line with this text, and returns it.
    #[track_caller]
    pub fn wait_for_log(&self, text: &str) -> String {
        self.wait_for_logs(text, 1).remove(0)
    }

    /// Waits for `count` log lines with this text, and returns all there are.
    #[track_caller]
    pub fn wait_for_logs(&self, text: &str, count: usize) -> Vec<String> {
        let found = self.logged.wait_for(text, count);
        assert!(found.len() >= count, "{count} lines with {text:?} in\n{}", self.log());
        found
    }

    /// The log lines with this text so far.
    pub fn logs(&self, text: &str) -> Vec<String> {
        self.logged.lines().into_iter().filter(|line| line.contains(text)).collect()
    }

    pub fn log(&self) -> String {
        self.logged.lines().join("\n")
    }

    #[track_caller]
    pub fn wait_for_print(&self, text: &str) {
        let found = self.printed.wait_for(text, 1);
        assert!(
            !found.is_empty(),
            "{text:?} in\n{}\n{}",
            self.printed.lines().join("\n"),
            self.log()
        );
    }

    /// Waits until the program ends by itself. Its log is complete then.
    #[track_caller]
    pub fn wait_for_end(&mut self, limit: Duration) -> ExitStatus {
        assert!(self.logged.wait_for_end(limit), "no end within {limit:?}:\n{}", self.log());
        self.child.wait().expect("an own child can be waited for")
    }

    /// Waits until the program, whose standard output is a pipe, ends by itself.
    #[track_caller]
    pub fn finish(mut self) -> Done {
        let code = self.wait_for_end(DEADLINE).code();
        assert!(self.printed.wait_for_end(DEADLINE), "standard output ends with the program");
        Done { code, printed: self.printed.lines().join("\n"), complained: self.log() }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if thread::panicking() {
            eprintln!("--- log of process {}\n{}", self.pid(), self.log());
        }
    }
}

/// A program that ran to its end.
pub struct Done {
    pub code: Option<i32>,
    pub printed: String,
    pub complained: String,
}

/// Runs a program that ends by itself.
#[track_caller]
pub fn run(command: &mut Command) -> Done {
    Program::start(command.stdout(Stdio::piped())).finish()
}
