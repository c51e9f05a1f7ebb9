//! What DDL has done to the tables of a task: needed for rows that are older than a statement and come after it.

use serde::{Deserialize, Serialize};

use super::{name::TableName, table::Table};

/// A statement that Causeway has run at a task's destination, or is about to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// Counts the statements of a link, from 1.
    pub number: u64,
    /// Its GTID at the source.
    pub gtid: String,
    /// The statement as it was run, with the destination's names.
    pub statement: String,
    /// What it meant for the tables.
    pub details: Details,
}

/// What a statement means for rows that were made before it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Details {
    /// The definitions, at the destination and before the statement, of the tables that it changes.
    #[serde(default)]
    pub before: Vec<Table>,
    /// Tables of the source (all of a database if `table` is empty) whose rows the statement replaces or removes:
    /// changes that the destination's clients made before it, and that the source had not seen, are lost by it.
    #[serde(default)]
    pub voids: Vec<TableName>,
    /// An online schema change put another table into the place of this one, with the same rows: pairs of the
    /// destination's names (the table, what the old one is called now).
    #[serde(default)]
    pub replaced: Vec<(TableName, TableName)>,
    /// For a statement that was kept for later: the shadow (the source's name) that it was run on.
    #[serde(default)]
    pub shadow: Option<TableName>,
}
