//! All rows of a table, page by page, so that nobody has more than one page of them in hand.

use crate::record::Table;
use crate::store::{Rows, Store, StoreFault};

/// Rows read at once.
pub const PAGE: usize = 500;

/// Where a reader of a table stands.
pub struct Pages<'a> {
    store: &'a dyn Store,
    table: Table,
    after: Box<str>,
}

impl<'a> Pages<'a> {
    pub fn of(store: &'a dyn Store, table: Table) -> Self {
        Self::after(store, table, "")
    }

    /// Of the rows whose keys come after `after`.
    pub fn after(store: &'a dyn Store, table: Table, after: &str) -> Self {
        Self { store, table, after: after.into() }
    }

    /// The next one; `None`: there are no more rows.
    pub async fn next(&mut self) -> Result<Option<Rows>, StoreFault> {
        let rows = self.store.rows(self.table, &self.after, PAGE).await?;
        let Some((last, _)) = rows.last() else { return Ok(None) };
        self.after = last.clone();
        Ok(Some(rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Row;
    use crate::store::Memory;

    #[tokio::test]
    async fn every_row_comes_once_and_then_none() {
        for count in [0, 1, PAGE, PAGE + 1, 2 * PAGE] {
            let store = Memory::unbounded();
            let row = |number| Row::put(Table::Audit, &format!("{number:05}"), "{}");
            store.put((0..count).map(row).collect()).await.expect("put");
            let mut pages = Pages::of(&store, Table::Audit);
            let mut seen = Vec::new();
            while let Some(page) = pages.next().await.expect("read") {
                assert!(page.len() <= PAGE);
                seen.extend(page.into_iter().map(|(key, _)| key));
            }
            assert_eq!(seen.len(), count);
            assert!(seen.is_sorted());
            assert_eq!(pages.next().await, Ok(None));
        }
    }
}
