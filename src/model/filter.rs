//! The row filter of a table, bound to its columns as the binlog describes them.

use super::{name::TableName, table::TableColumn};

/// Which rows of a table are synchronized.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFilter {
    /// The table at the link's source.
    pub table: TableName,
    /// The condition as it was written.
    pub condition: String,
    /// The columns it looks at.
    pub columns: Vec<FilterColumn>,
    /// In which direction the condition was written.
    pub way: FilterWay,
}

/// A column that a filter looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterColumn {
    /// Its place in the source's row.
    pub place: usize,
    /// Under the name that it has in the condition.
    pub column: TableColumn,
    /// Its definition for a table that has just it: type, character set and collation.
    pub definition: String,
}

/// Where a filter's condition was written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterWay {
    /// For the rows of the link's source: the destination has those that fulfil it, and no others from here.
    Along,
    /// For the rows of the link's destination, which are all kinds of rows; those of the source came through it.
    Back,
}
