//! `gatepost learn`

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::backtest::{Replay, Terms};
use crate::cli::input::{Input, bar};
use crate::cli::source::{Failed, load};
use crate::cli::{DEFAULT_FILE, Exit, say, small_runtime};
use crate::config::Config;
use crate::daemon::{hash_key, open_directory};
use crate::directory::meter::NoMeter;
use crate::record::to_file;

#[derive(clap::Args)]
#[command(
    after_help = "Fills what a fresh gatepost does not know: whom each login writes to, who writes to it, and its usual
peaks. Nothing is judged. The configuration names the hash key ([store] hash-key-file, made if it is not there)
and the directory. Then name the file in [store] learnt-file and restart.

Exit codes: 0 the file was written; 1 nothing could be read or written.

Examples:
  gatepost learn --maillog /var/log/mail.log* --out /var/lib/gatepost/learnt"
)]
pub(super) struct Arguments {
    /// Configuration file
    #[arg(short, long, default_value = DEFAULT_FILE)]
    config: PathBuf,
    #[command(flatten)]
    input: Input,
    /// Where the records go
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(super) fn learn(arguments: &Arguments) -> Exit {
    match try_learn(arguments) {
        Ok(told) => {
            say(&told);
            Exit::Done
        }
        Err(Failed { exit, why }) => {
            eprintln!("gatepost learn: {why}");
            exit
        }
    }
}

fn try_learn(arguments: &Arguments) -> Result<String, Failed> {
    let Config { startup, rules, .. } = load(&arguments.config)?;
    let no = |why: String| Failed { exit: Exit::No, why };
    let Some(key_file) = &startup.store.hash_key_file else {
        return Err(no(format!(
            "{}: store.hash-key-file is missing: the daemon makes a new key at each start, and would know nobody of \
             what is learnt",
            arguments.config.display()
        )));
    };
    let key = hash_key::open(Some(key_file)).map_err(|fault| no(fault.to_string()))?;
    let mut history = arguments.input.open()?;
    let runtime = small_runtime().map_err(|fault| no(fault.to_string()))?;
    let bar = bar(&history);
    let (store, messages) = runtime.block_on(async {
        let directory = open_directory(&startup, Arc::new(NoMeter));
        let directory = directory.map_err(|fault| no(fault.to_string()))?;
        let terms = Terms { rules: Some(rules), directory, budget: None, lift_after_ms: None };
        let (mut replay, store) = Replay::learning(terms, key);
        let mut messages: u64 = 0;
        while let Some(message) = history.next_message().map_err(|fault| Failed::of(&fault))? {
            replay.judge(&message).await;
            messages += 1;
            if messages.is_multiple_of(1000) {
                bar.set_position(history.progress().read);
            }
        }
        Ok::<_, Failed>((store, messages))
    })?;
    bar.finish_and_clear();
    let records = store.records();
    let bytes = to_file(key.id(), records.iter().map(|(account, record)| (account, record)));
    write(&arguments.out, &bytes)
        .map_err(|fault| no(format!("{}: {fault}", arguments.out.display())))?;
    let malformed = history.malformed();
    let mut told = format!(
        "{}: {} accounts of {messages} messages, hash key {:08x}\n",
        arguments.out.display(),
        records.len(),
        key.id()
    );
    if let Some(share) = history.coverage().and_then(|coverage| coverage.share()) {
        told.push_str(&format!(
            "{:.1} % of the accepted messages were told whole\n",
            share * 100.0
        ));
    }
    if malformed.count > 0 {
        told.push_str(&format!("{} malformed lines were skipped:\n", malformed.count));
        for line in &malformed.first {
            told.push_str(&format!("  {}:{}: {}\n", line.file.display(), line.line, line.why));
        }
    }
    Ok(told)
}

/// Whole or not at all, and for nobody else to read.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let new = path.with_file_name(name);
    // One left behind may be a link, or readable by others.
    let _ = std::fs::remove_file(&new);
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)
}
