//! A copy of the file, whole and of one moment, while the store goes on.

use std::path::Path;
use std::{fs, io};

use redb::{ReadableDatabase, ReadableTable};

use crate::store::StoreFault;
use crate::store::embedded::file::{self, EVENTS, OpenFault, RECORDS, ROWS};
use crate::store::embedded::{Inner, unavailable};

impl Inner {
    /// A copy at `path`, where nothing may be yet.
    pub(super) fn copy_to(&self, path: &Path) -> Result<(), StoreFault> {
        if path.exists() {
            return Err(unavailable(format_args!("{} exists", path.display())));
        }
        let aside = file::aside(path);
        let copied = self.copy(&aside).and_then(|()| Ok(file::put_in_place(&aside, path)?));
        copied.map_err(|fault| {
            let _ = fs::remove_file(&aside);
            unavailable(format_args!("{}: {fault}", path.display()))
        })
    }

    fn copy(&self, aside: &Path) -> Result<(), OpenFault> {
        let from = {
            let database = self.database.read();
            let database = database.as_ref().ok_or(io::Error::other("the store's file failed"))?;
            database.begin_read().map_err(redb::Error::from)?
        };
        let copy = self.file.begin(aside)?;
        let copied = || -> Result<(), redb::Error> {
            let write = copy.begin_write()?;
            {
                let mut records = write.open_table(RECORDS)?;
                for entry in from.open_table(RECORDS)?.iter()? {
                    let (account, packed) = entry?;
                    records.insert(account.value(), packed.value())?;
                }
                let mut events = write.open_table(EVENTS)?;
                for entry in from.open_table(EVENTS)?.iter()? {
                    let (place, event) = entry?;
                    events.insert(place.value(), event.value())?;
                }
                let mut rows = write.open_table(ROWS)?;
                for entry in from.open_table(ROWS)?.iter()? {
                    let (key, packed) = entry?;
                    rows.insert(key.value(), packed.value())?;
                }
            }
            Ok(write.commit()?)
        };
        Ok(copied()?)
    }
}
