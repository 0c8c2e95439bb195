//! Runs one program: by its absolute path, without a shell, in an empty environment, for so long and no longer.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::time::timeout;

/// Postfix takes milliseconds for a message, and a second for a thousand.
const LIMIT: Duration = Duration::from_secs(30);

/// Of each output; a listing of a queue of 100,000 messages has 30 MB.
const OUTPUT_BYTES: u64 = 64 << 20;

/// Of a line that is handed on as the reason of a failure.
const LINE_BYTES: usize = 300;

/// A program and the arguments that it always has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    pub path: PathBuf,
    pub always: Vec<PathBuf>,
}

/// What a program said and how it ended.
pub struct Said {
    pub out: Vec<u8>,
    pub err: String,
    /// `None`: by a signal.
    pub code: Option<i32>,
}

impl Said {
    /// The last line of its complaint, for the person who asked.
    pub fn complaint(&self) -> String {
        let last = self.err.lines().rev().find(|line| !line.trim().is_empty());
        let line = last.map_or_else(|| "said nothing".into(), |line| line.trim().to_string());
        let line: String = line.chars().filter(|c| !c.is_control()).collect();
        let end = line.floor_char_boundary(LINE_BYTES);
        match self.code {
            Some(0) => line[..end].into(),
            Some(code) => format!("{} (exit code {code})", &line[..end]),
            None => format!("{} (ended by a signal)", &line[..end]),
        }
    }
}

impl Program {
    pub fn new(path: &Path, option: &str, value: &Path) -> Self {
        Self { path: path.into(), always: vec![option.into(), value.into()] }
    }

    /// `input`: what it reads from its standard input.
    pub async fn run<A: AsRef<OsStr>>(&self, arguments: &[A], input: &str) -> Result<Said, String> {
        let name = self.path.display();
        let ran = timeout(LIMIT, self.run_on(arguments, input)).await;
        // Dropped with the timeout, it is killed.
        ran.unwrap_or_else(|_| Err(format!("not done within {} s", LIMIT.as_secs())))
            .map_err(|why| format!("{name}: {why}"))
    }

    async fn run_on<A: AsRef<OsStr>>(&self, arguments: &[A], input: &str) -> Result<Said, String> {
        let plain = |fault: std::io::Error| fault.to_string();
        let mut child = Command::new(&self.path)
            .args(&self.always)
            .args(arguments)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(plain)?;
        let mut stdin = child.stdin.take().expect("a pipe was asked for");
        let stdout = child.stdout.take().expect("a pipe was asked for");
        let stderr = child.stderr.take().expect("a pipe was asked for");
        let feed = async {
            // One that ends without reading says itself why.
            let _ = stdin.write_all(input.as_bytes()).await;
            drop(stdin);
        };
        let (out, err, ()) = tokio::join!(all(stdout), all(stderr), feed);
        let status = child.wait().await.map_err(plain)?;
        let err = String::from_utf8_lossy(&err.map_err(plain)?).into_owned();
        Ok(Said { out: out.map_err(plain)?, err, code: status.code() })
    }
}

async fn all(from: impl AsyncRead + Unpin) -> std::io::Result<Vec<u8>> {
    let mut read = Vec::new();
    from.take(OUTPUT_BYTES).read_to_end(&mut read).await?;
    Ok(read)
}
