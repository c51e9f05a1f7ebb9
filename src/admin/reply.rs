//! What a statement answers: rows, OK, or an error in MySQL's terms.

/// What kind of values a column of a result has; clients align and convert by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// Text.
    Text,
    /// Signed whole numbers.
    Integer,
    /// Unsigned whole numbers.
    Unsigned,
    /// Numbers with a fraction.
    Double,
}

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What its values are.
    pub kind: ColumnKind,
}

/// A value of a result.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// NULL.
    Null,
    /// A signed whole number.
    Int(i64),
    /// An unsigned whole number.
    UInt(u64),
    /// A number with a fraction.
    Double(f64),
    /// Text.
    Text(String),
}

/// The answer to a statement that worked.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// Done, with nothing to show.
    Ok {
        /// Rows affected.
        affected: u64,
        /// Warnings that `SHOW WARNINGS` would list.
        warnings: u16,
        /// A line that the mysql client prints; may be empty.
        info: String,
    },
    /// A result.
    Rows {
        /// Its columns.
        columns: Vec<Column>,
        /// Its rows; each has one cell per column.
        rows: Vec<Vec<Cell>>,
    },
}

/// The answer to a statement that did not work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("ERROR {code} ({}): {message}", String::from_utf8_lossy(.sqlstate))]
pub struct SqlError {
    /// MySQL's error number.
    pub code: u16,
    /// Its SQLSTATE.
    pub sqlstate: [u8; 5],
    /// What happened, where, and what to do.
    pub message: String,
}

impl SqlError {
    /// Puts the parts together. A `sqlstate` that has not five bytes becomes `HY000`, MySQL's general one.
    pub fn new(code: u16, sqlstate: &str, message: impl Into<String>) -> Self {
        Self {
            code,
            sqlstate: sqlstate.as_bytes().try_into().unwrap_or(*b"HY000"),
            message: message.into(),
        }
    }
}
