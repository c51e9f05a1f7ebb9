//! Keeps copying a range of a table apart from applying changes of that table.
//!
//! A range shows the table as it is at the source by now, so changes that have been read before and are applied later
//! meet rows that are newer than they are: the last word on each row counts, and it comes. One that is applied *while*
//! the range is under way may be overtaken by it: a row that it deletes would come back for good. So a range waits for the
//! table's changes that are at work, and those behind it wait for the range. All other tables go on.

use std::sync::Arc;

use dashmap::DashMap;
use tokio::sync::RwLock;

use crate::model::name::TableName;

/// The gates of a link's tables: transactions share one, a range has it alone. Whoever waits longest comes first.
#[derive(Debug, Default)]
pub struct Gates(DashMap<TableName, Arc<RwLock<()>>>);

impl Gates {
    /// The gate of a table.
    pub fn of(&self, table: &TableName) -> Arc<RwLock<()>> {
        self.0.entry(table.clone()).or_default().clone()
    }
}
