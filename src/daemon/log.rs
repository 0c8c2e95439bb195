//! Where log lines go: stderr for people or programs, or journald with its fields.

use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Log, LogFormat};

/// Lines that wait for a slow reader of stderr; more are dropped rather than keep mail waiting.
const LINES: usize = 16_384;

/// Starts logging; lines are flushed when the guard is dropped.
pub fn start(log: Log) -> std::io::Result<Option<WorkerGuard>> {
    let level = LevelFilter::from_level(log.level);
    let registry = tracing_subscriber::registry().with(level);
    if log.format == LogFormat::Journald {
        registry.with(tracing_journald::layer()?).init();
        return Ok(None);
    }
    let (writer, guard): (NonBlocking, WorkerGuard) =
        NonBlockingBuilder::default().buffered_lines_limit(LINES).finish(std::io::stderr());
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    match log.format {
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).init(),
        _ => {
            let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
            registry.with(layer.with_ansi(is_terminal)).init();
        }
    }
    Ok(Some(guard))
}
