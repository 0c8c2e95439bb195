//! `[[queue]]`: by which helper the queue of a mail server is reached, and what needs one.

use std::path::{Path, PathBuf};

use crate::config::{Listen, QueueSource};
use crate::decision::{ChargeAt, Hold};
use crate::queue::MailServer;
use crate::settings::{Reader, Table};

const TYPES: [(&str, MailServer); 2] =
    [("postfix", MailServer::Postfix), ("sendmail", MailServer::Sendmail)];

pub(super) fn read_queues(
    reader: &mut Reader,
    root: &mut Table<'_, '_>,
    folder: &Path,
) -> Vec<QueueSource> {
    let mut queues: Vec<QueueSource> = Vec::new();
    for mut table in root.tables(reader, "queue") {
        let mta = table.required(reader, "mta", "the mta of the listeners of this mail server");
        let server = table.required_choice(reader, "type", &TYPES);
        let helper =
            table.parsed(reader, "helper", "/run/gatepost-queue.sock", |text| match text {
                "" => Err("expected the path of a unix socket".into()),
                _ => Ok(folder.join(text)),
            });
        let config_directory = read_config_directory(reader, &mut table, server);
        if let Some(mta) = &mta {
            if mta.value.is_empty() {
                reader.refuse(mta, "expected a name");
            }
            if queues.iter().any(|known| *known.mta == *mta.value) {
                reader.refuse(mta, "it has a [[queue]] already");
            }
        }
        table.finish(reader);
        if let (Some(mta), Some(server)) = (mta, server) {
            queues.push(QueueSource { mta: mta.value.into(), server, helper, config_directory });
        }
    }
    queues
}

/// Of Postfix alone: `check --online` asks it there.
fn read_config_directory(
    reader: &mut Reader,
    table: &mut Table<'_, '_>,
    server: Option<MailServer>,
) -> Option<PathBuf> {
    if server != Some(MailServer::Sendmail) {
        return Some(table.parsed(reader, "config-directory", "/etc/postfix", path));
    }
    let item = table.text(reader, "config-directory")?;
    reader.fault(item.at, &item.key, "only type = \"postfix\" has it");
    None
}

fn path(text: &str) -> Result<PathBuf, String> {
    match PathBuf::from(text) {
        path if path.is_absolute() => Ok(path),
        _ => Err("expected an absolute path".into()),
    }
}

/// `holds`: offset and key of each listener's `hold`. A message held where nobody can let it go would stay for good.
pub(super) fn check_queues(
    reader: &mut Reader,
    listen: &[Listen],
    queues: &[QueueSource],
    is_forgetful: bool,
    holds: &[(usize, String)],
) {
    let holding = |listen: &Listen| {
        let listener = &listen.listener;
        listener.hold == Hold::Queue && listener.charge_at != ChargeAt::Never
    };
    for (listen, (at, key)) in listen.iter().zip(holds).filter(|(listen, _)| holding(listen)) {
        let mta = &listen.listener.mta;
        if !queues.iter().any(|queue| queue.mta == *mta) {
            let what = format!(
                "\"queue\", but there is no [[queue]] with mta = \"{mta}\", so nobody could let go what is held: set up its queue helper (docs/hold.md), or choose \"defer\" or \"pass\""
            );
            reader.fault(*at, key, what);
        }
    }
    for (index, queue) in queues.iter().enumerate() {
        if !listen.iter().any(|listen| listen.listener.mta == queue.mta) {
            let what = format!("\"{}\", but no [[listen]] is of that mail server", queue.mta);
            reader.warn_all(&format!("queue[{index}].mta"), what);
        }
    }
    if is_forgetful && listen.iter().any(holding) {
        reader.warn_all(
            "store.type",
            "\"memory\": a restart forgets which messages are on hold, and they stay in the queue until a person lets them go there",
        );
    }
}
