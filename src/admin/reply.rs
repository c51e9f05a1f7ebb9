//! What a statement of the admin language answers: a result set, an OK, or an error in MySQL's terms.

/// How the values of a column are typed on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// Character data, utf8mb4.
    Text,
    /// BIGINT.
    Integer,
    /// BIGINT UNSIGNED.
    Unsigned,
    /// DOUBLE.
    Double,
}

/// A column of a result set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The heading.
    pub name: String,
    /// The type of its values. A cell of another type makes the whole column travel as text.
    pub kind: ColumnKind,
}

/// A value in a result set.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// SQL NULL.
    Null,
    /// A signed integer.
    Int(i64),
    /// An unsigned integer.
    UInt(u64),
    /// A floating-point number.
    Double(f64),
    /// Character data.
    Text(String),
}

/// The answer to a statement that succeeded.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// Done, without rows.
    Ok {
        /// How many things the statement changed.
        affected: u64,
        /// How many warnings it left.
        warnings: u16,
        /// A line for the operator; may be empty.
        info: String,
    },
    /// A result set. Every row has one cell per column.
    Rows {
        /// The columns, at least one.
        columns: Vec<Column>,
        /// The rows.
        rows: Vec<Vec<Cell>>,
    },
}

/// The answer to a statement that failed: MySQL's code and SQLSTATE, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlError {
    /// MySQL's error number, for example 1064.
    pub code: u16,
    /// Five ASCII letters or digits, for example `42000`.
    pub sqlstate: [u8; 5],
    /// What happened, where, and what to do. Never a password or a row's value.
    pub message: String,
}

impl SqlError {
    /// An error; a `sqlstate` that is not five bytes long becomes `HY000`, MySQL's "general error".
    pub fn new(code: u16, sqlstate: &str, message: impl Into<String>) -> Self {
        Self {
            code,
            sqlstate: sqlstate.as_bytes().try_into().unwrap_or(*b"HY000"),
            message: message.into(),
        }
    }
}

impl std::fmt::Display for SqlError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = String::from_utf8_lossy(&self.sqlstate);
        write!(f, "ERROR {} ({state}): {}", self.code, self.message)
    }
}

impl std::error::Error for SqlError {}
