//! What a TABLE_MAP event says of a table: the plan by which its row images are decoded.

use super::name::TableName;

/// The character set number of binary strings (`my_charset_bin`).
pub const BINARY_COLLATION: u16 = 63;

/// A table as the binlog describes it, parsed once per TABLE_MAP event and shared by all its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableMap {
    /// The source's number for this table definition; valid until the next FORMAT_DESCRIPTION event.
    pub table_id: u64,
    /// The table's name at the source.
    pub name: TableName,
    /// Its columns in order.
    pub columns: Vec<Column>,
    /// Positions of the primary key's columns (`binlog_row_metadata=FULL` only).
    pub primary_key: Option<Vec<usize>>,
}

impl TableMap {
    /// Whether the table map carries column names (`binlog_row_metadata=FULL`).
    pub fn has_names(&self) -> bool {
        !self.columns.is_empty() && self.columns.iter().all(|column| column.name.is_some())
    }
}

/// One column of a [`TableMap`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// How its bytes are read.
    pub kind: ColumnKind,
    /// Whether it may be NULL.
    pub nullable: bool,
    /// For numbers: UNSIGNED. Known under MINIMAL metadata too.
    pub unsigned: bool,
    /// Collation number of character columns (63: binary), as far as the metadata tells.
    pub collation: Option<u16>,
    /// Its name (`binlog_row_metadata=FULL` only).
    pub name: Option<String>,
    /// The members of an ENUM or SET, in its character set (`binlog_row_metadata=FULL` only).
    pub members: Option<Vec<Vec<u8>>>,
}

/// A column's type with what is needed to find where its value ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// TINYINT, 1 byte.
    Tiny,
    /// SMALLINT, 2 bytes.
    Short,
    /// MEDIUMINT, 3 bytes.
    Int24,
    /// INT, 4 bytes.
    Long,
    /// BIGINT, 8 bytes.
    LongLong,
    /// FLOAT, 4 bytes.
    Float,
    /// DOUBLE, 8 bytes.
    Double,
    /// DECIMAL, packed.
    Decimal {
        /// Digits in all.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// BIT, big-endian.
    Bit {
        /// 1 to 64.
        bits: u8,
    },
    /// YEAR, 1 byte.
    Year,
    /// DATE, 3 bytes.
    Date,
    /// TIME2.
    Time {
        /// Digits of the fraction, 0 to 6.
        fsp: u8,
    },
    /// DATETIME2.
    DateTime {
        /// Digits of the fraction, 0 to 6.
        fsp: u8,
    },
    /// TIMESTAMP2.
    Timestamp {
        /// Digits of the fraction, 0 to 6.
        fsp: u8,
    },
    /// CHAR or BINARY; the length prefix has 1 byte up to 255 bytes, otherwise 2.
    Char {
        /// The longest value, in bytes.
        max_bytes: u16,
    },
    /// VARCHAR or VARBINARY; the length prefix has 1 byte up to 255 bytes, otherwise 2.
    VarChar {
        /// The longest value, in bytes.
        max_bytes: u16,
    },
    /// TINYTEXT to LONGTEXT, TINYBLOB to LONGBLOB.
    Blob {
        /// Bytes of the length prefix, 1 to 4.
        length_bytes: u8,
    },
    /// ENUM.
    Enum {
        /// 1 or 2 bytes.
        bytes: u8,
    },
    /// SET.
    Set {
        /// 1 to 8 bytes.
        bytes: u8,
    },
    /// JSON.
    Json {
        /// Bytes of the length prefix, 1 to 4.
        length_bytes: u8,
    },
    /// GEOMETRY and its subtypes.
    Geometry {
        /// Bytes of the length prefix, 1 to 4.
        length_bytes: u8,
    },
    /// VECTOR.
    Vector {
        /// Bytes of the length prefix, 1 to 4.
        length_bytes: u8,
    },
}
