//! Rows beside the records. They are read from disk: whoever changes them waits for the commit.

use std::ops::Bound;

use redb::{ReadableDatabase, ReadableTableMetadata};

use crate::record::{Row, Table};
use crate::store::embedded::file::{RECORDS, ROWS};
use crate::store::embedded::{Inner, is_full, unavailable};
use crate::store::{Rows, StoreFault};

impl Inner {
    /// Gives them back where too much waits for the disk.
    pub(super) fn put_rows(&self, rows: Vec<Row>) -> Result<(), Vec<Row>> {
        // In one shard, so that they set out together.
        let Some(first) = rows.first() else { return Ok(()) };
        let mut shard = self.shard_of(&first.key).lock();
        if is_full(&shard) {
            return Err(rows);
        }
        shard.put(rows);
        Ok(())
    }

    pub(super) fn read_row(&self, table: Table, key: &str) -> Result<Option<Box<str>>, StoreFault> {
        let database = self.database.read();
        let Some(database) = &*database else { return Err(unavailable("its file failed")) };
        let packed = || -> Result<_, redb::Error> {
            Ok(database.begin_read()?.open_table(ROWS)?.get_owned((table as u8, key))?)
        };
        let Some(packed) = packed().map_err(unavailable)? else { return Ok(None) };
        match self.file.unpack_row(table as u8, key, packed.value()) {
            Some(value) => Ok(Some(value)),
            None => {
                tell_damaged(table, key);
                Err(unavailable(format_args!("a row of {} is damaged", table.as_str())))
            }
        }
    }

    /// A damaged row is told in the log and left out, so that the others can be read.
    pub(super) fn read_rows(
        &self,
        table: Table,
        after: &str,
        limit: usize,
    ) -> Result<Rows, StoreFault> {
        let database = self.database.read();
        let Some(database) = &*database else { return Err(unavailable("its file failed")) };
        let code = table as u8;
        let read = || -> Result<Rows, redb::Error> {
            let rows = database.begin_read()?.open_table(ROWS)?;
            let range = (Bound::Excluded((code, after)), Bound::Excluded((code + 1, "")));
            let mut read = Vec::new();
            for entry in rows.range::<(u8, &str)>(range)? {
                if read.len() == limit {
                    break;
                }
                let (place, packed) = entry?;
                let key = place.value().1;
                match self.file.unpack_row(code, key, packed.value()) {
                    Some(value) => read.push((key.into(), value)),
                    None => tell_damaged(table, key),
                }
            }
            Ok(read)
        };
        read().map_err(unavailable)
    }

    pub(super) fn count(&self) -> Result<u64, StoreFault> {
        let database = self.database.read();
        let Some(database) = &*database else { return Err(unavailable("its file failed")) };
        let count = || -> Result<u64, redb::Error> {
            Ok(database.begin_read()?.open_table(RECORDS)?.len()?)
        };
        count().map_err(unavailable)
    }
}

fn tell_damaged(table: Table, key: &str) {
    tracing::error!(table = table.as_str(), key, "a row of the store is damaged");
}
