//! `[privacy]`

use crate::decision::Retention;
use crate::settings::{Reader, Table, duration};

pub(super) fn read_privacy(reader: &mut Reader, root: &mut Table<'_, '_>) -> Retention {
    let mut table = root.table(reader, "privacy");
    let mut lasts = |reader: &mut Reader, key, default| {
        table.parsed(reader, key, default, |text| match duration(text)?.as_millis().try_into() {
            Ok(0) | Err(_) => Err("expected a duration such as \"90d\"".into()),
            Ok(ms) => Ok(ms),
        })
    };
    let retention = Retention {
        evidence_ms: lasts(reader, "evidence", "90d"),
        audit_ms: lasts(reader, "audit", "365d"),
        refusals_ms: lasts(reader, "refusals", "30d"),
    };
    if retention.evidence_ms > retention.audit_ms {
        reader.warn(
            table.place("evidence"),
            &table.key("evidence"),
            "longer than privacy.audit: a suspension goes with its deeds, and its evidence with it",
        );
    }
    table.finish(reader);
    retention
}
