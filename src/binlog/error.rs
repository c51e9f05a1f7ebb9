//! What is wrong with a binlog, and where.

use std::fmt;

use super::event::{EventType, Header};
use crate::model::name::TableName;

/// What is wrong with some bytes. Small, as it is the error of the decoder's inner loops; [`BinlogError`] adds the
/// place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

impl Malformed {
    /// Bytes are missing at the end.
    pub const TRUNCATED: Malformed = Malformed("it ends too early");
}

/// A binlog event that can't be read: which one, where, and why. Never shows a row's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BinlogError(Box<Place>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    event: Option<(EventType, u32)>,
    table: Option<TableName>,
    column: Option<String>,
    reason: String,
}

impl BinlogError {
    /// An event is wrong as a whole.
    pub fn event(header: &Header, reason: impl fmt::Display) -> Self {
        Self::at(header.event_type, header.end_log_pos, reason)
    }

    /// As [`Self::event`], where there is no header at hand.
    pub(crate) fn at(event_type: EventType, end_log_pos: u32, reason: impl fmt::Display) -> Self {
        Self(Box::new(Place {
            event: Some((event_type, end_log_pos)),
            table: None,
            column: None,
            reason: reason.to_string(),
        }))
    }

    /// Something is wrong whose place is not known (yet).
    pub(crate) fn somewhere(reason: impl fmt::Display) -> Self {
        Self(Box::new(Place {
            event: None,
            table: None,
            column: None,
            reason: reason.to_string(),
        }))
    }

    /// A row image, or one column of it, is wrong.
    pub(crate) fn row(table: &TableName, column: Option<String>, reason: impl fmt::Display) -> Self {
        Self(Box::new(Place {
            event: None,
            table: Some(table.clone()),
            column,
            reason: reason.to_string(),
        }))
    }

    /// A row image lacks a column that is needed.
    pub fn incomplete_image(table: &TableName) -> Self {
        Self::row(
            table,
            None,
            "its row image lacks a column; set binlog_row_image=FULL at the source. For these rows take the table, and \
             others written so, out of the task (ALTER SYNC TASK … REMOVE OBJECTS) and RESUME, drop them at the \
             destination, and ADD OBJECTS them again: they are copied anew",
        )
    }

    /// A value is wrong.
    pub fn value(table: &TableName, column: &str, reason: impl fmt::Display) -> Self {
        Self::row(table, Some(column.to_owned()), reason)
    }

    /// Adds the event in which a row or column was found to be wrong.
    pub(crate) fn in_event(mut self, event_type: EventType, end_log_pos: u32) -> Self {
        self.0.event = Some((event_type, end_log_pos));
        self
    }

    /// Adds the table.
    pub(crate) fn in_table(mut self, table: &TableName) -> Self {
        self.0.table = Some(table.clone());
        self
    }

    /// The position where the event ends in its binlog file, if it is known.
    pub fn end_log_pos(&self) -> Option<u32> {
        self.0.event.map(|(_, position)| position)
    }
}

impl fmt::Display for BinlogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = &self.0;
        match place.event {
            Some((event_type, position)) => write!(f, "binlog event {event_type} that ends at position {position}")?,
            None if place.table.is_some() => f.write_str("row image")?,
            None => f.write_str("binlog event")?,
        }
        if let Some(table) = &place.table {
            write!(f, ", table {table}")?;
        }
        if let Some(column) = &place.column {
            write!(f, ", column {column}")?;
        }
        write!(f, ": {}", place.reason)
    }
}

impl std::error::Error for BinlogError {}
