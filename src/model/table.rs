//! A table's definition as a server reports it: what is needed to write to it and to compare its rows.

use serde::{Deserialize, Serialize};

use super::name::TableName;

/// A base table on one server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its name on that server.
    pub name: TableName,
    /// Its columns in order.
    pub columns: Vec<TableColumn>,
    /// Unique keys, the one that identifies rows first: the primary key, otherwise the first unique key whose
    /// columns are all NOT NULL. Empty, or first key nullable: rows can't be told apart.
    pub unique_keys: Vec<Key>,
    /// Foreign keys of this table.
    pub foreign_keys: Vec<ForeignKey>,
    /// Foreign keys, of any table, that refer to this one.
    #[serde(default)]
    pub references: Vec<Reference>,
}

impl Table {
    /// The key that identifies rows, if there is one.
    pub fn row_key(&self) -> Option<&Key> {
        self.unique_keys.first().filter(|key| key.identifies(self))
    }

    /// Whether the column at `position` is, as a whole, a part of a unique key.
    pub fn is_in_unique_key(&self, position: usize) -> bool {
        let part = KeyPart::Column {
            position,
            prefix: false,
        };
        self.unique_keys.iter().any(|key| key.parts.contains(&part))
    }

    /// Position of a column by name (column names are case-insensitive in MySQL).
    pub fn position(&self, column: &str) -> Option<usize> {
        self.columns
            .iter()
            .position(|candidate| candidate.name.eq_ignore_ascii_case(column))
    }
}

/// A column of a [`Table`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableColumn {
    /// Its name.
    pub name: String,
    /// What kind of values it holds, as far as SQL text and comparison depend on it.
    pub family: Family,
    /// The whole type as the server prints it (`varchar(20)`, `int unsigned`).
    pub column_type: String,
    /// Whether it may be NULL.
    pub nullable: bool,
    /// Computed by the server, never written.
    pub generated: bool,
    /// `ON UPDATE CURRENT_TIMESTAMP`: the server changes it unless it is set explicitly.
    pub on_update: bool,
    /// What it gets where nothing is said, an expression in parentheses; of a generated column its expression. `None` is
    /// NULL for a nullable column, and no default for any other.
    #[serde(default)]
    pub default: Option<String>,
    /// AUTO_INCREMENT.
    #[serde(default)]
    pub auto_increment: bool,
}

impl TableColumn {
    /// Whether a new row has to say what it holds.
    pub fn needs_value(&self) -> bool {
        !self.nullable && !self.generated && !self.auto_increment && self.default.is_none()
    }
}

/// Kinds of column types that are written and compared alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Family {
    /// TINYINT to BIGINT.
    Integer,
    /// DECIMAL.
    Decimal,
    /// FLOAT, DOUBLE.
    Float,
    /// BIT, ENUM, SET, YEAR: written and compared by number.
    Number,
    /// CHAR, VARCHAR, TEXT.
    Text {
        /// Character set (`utf8mb4`).
        charset: String,
        /// Collation (`utf8mb4_0900_ai_ci`).
        collation: String,
    },
    /// BINARY(n): the server pads values with zero bytes to `length`.
    Binary {
        /// Length in bytes.
        length: usize,
    },
    /// VARBINARY, BLOB.
    Blob,
    /// GEOMETRY and its subtypes.
    Geometry,
    /// VECTOR.
    Vector,
    /// JSON.
    Json,
    /// DATE.
    Date,
    /// TIME.
    Time {
        /// Digits of the fraction.
        fsp: u8,
    },
    /// DATETIME.
    DateTime {
        /// Digits of the fraction.
        fsp: u8,
    },
    /// TIMESTAMP.
    Timestamp {
        /// Digits of the fraction.
        fsp: u8,
    },
}

impl Family {
    /// Whether two values that differ in bytes can be equal to the server (so that key hashes can't tell).
    pub fn equal_means_same_bytes(&self) -> bool {
        match self {
            Family::Text { collation, .. } => collation == "utf8mb4_0900_bin",
            Family::Float | Family::Json | Family::Geometry | Family::Vector => false,
            Family::Integer
            | Family::Decimal
            | Family::Number
            | Family::Binary { .. }
            | Family::Blob
            | Family::Date
            | Family::Time { .. }
            | Family::DateTime { .. }
            | Family::Timestamp { .. } => true,
        }
    }
}

/// A unique key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Its name (`PRIMARY`).
    pub name: String,
    /// Its parts in order.
    pub parts: Vec<KeyPart>,
}

impl Key {
    fn identifies(&self, table: &Table) -> bool {
        self.parts.iter().all(|part| match part {
            KeyPart::Column {
                position,
                prefix: false,
            } => table.columns.get(*position).is_some_and(|column| !column.nullable),
            KeyPart::Column { prefix: true, .. } | KeyPart::Expression => false,
        })
    }

    /// Positions of the key's columns, if it is made of whole columns only.
    pub fn columns(&self) -> Option<Vec<usize>> {
        self.parts
            .iter()
            .map(|part| match part {
                KeyPart::Column {
                    position,
                    prefix: false,
                } => Some(*position),
                KeyPart::Column { prefix: true, .. } | KeyPart::Expression => None,
            })
            .collect()
    }
}

/// Any key of a table, as keys are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Its name.
    pub name: String,
    /// No two rows have the same values in it.
    pub unique: bool,
    /// BTREE, FULLTEXT, SPATIAL.
    pub kind: String,
    /// Its parts in order.
    pub parts: Vec<IndexPart>,
}

/// A part of an [`Index`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexPart {
    /// Its column; `None` for an expression.
    pub column: Option<String>,
    /// What else there is of it: a prefix length, DESC, the expression.
    pub rest: String,
}

/// A part of a unique key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyPart {
    /// A column.
    Column {
        /// Its position in the table.
        position: usize,
        /// Only its first characters count.
        prefix: bool,
    },
    /// An expression (functional key part, MySQL 8.0.13).
    Expression,
}

/// A foreign key of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKey {
    /// Its name.
    pub name: String,
    /// Positions of the referencing columns in this table.
    pub columns: Vec<usize>,
    /// The table referred to.
    pub parent: TableName,
    /// Names of the columns referred to.
    pub parent_columns: Vec<String>,
}

/// A foreign key seen from its parent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// Positions of the columns referred to.
    pub columns: Vec<usize>,
    /// When a row goes, the rows that refer to it go as well, or get NULL.
    pub on_delete: bool,
    /// When a value referred to changes, the rows that refer to it change as well, or get NULL.
    pub on_update: bool,
}
