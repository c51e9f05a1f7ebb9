//! One column's value, as it stands in a row image. Borrowed from the binlog event, nothing is copied.

/// A value of any MySQL type, borrowed from the row image it was decoded from.
///
/// The column's [`Column`](super::table_map::Column) tells what a value's bytes mean; the value alone does not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// SQL NULL.
    Null,
    /// TINYINT to BIGINT, signed.
    Int(i64),
    /// TINYINT to BIGINT, unsigned.
    UInt(u64),
    /// FLOAT.
    Float(f32),
    /// DOUBLE.
    Double(f64),
    /// DECIMAL in MySQL's packed format (`decimal2bin`), `precision` digits of which `scale` after the point.
    Decimal {
        /// The packed bytes.
        bytes: &'a [u8],
        /// Digits in all, 1 to 65.
        precision: u8,
        /// Digits after the point, 0 to 30.
        scale: u8,
    },
    /// CHAR, VARCHAR, TEXT (in the column's character set), BINARY (trailing zeros stripped by the server),
    /// VARBINARY, BLOB.
    Bytes(&'a [u8]),
    /// BIT(1) to BIT(64).
    Bit(u64),
    /// ENUM by index, from 1; 0 is the error value `''`.
    Enum(u16),
    /// SET as a bit mask, the first member is bit 0.
    Set(u64),
    /// YEAR: 0, or 1901 to 2155.
    Year(u16),
    /// DATE; every part may be 0.
    Date {
        /// 0 to 9999.
        year: u16,
        /// 0 to 12.
        month: u8,
        /// 0 to 31.
        day: u8,
    },
    /// TIME, -838:59:59.000000 to 838:59:59.000000.
    Time {
        /// Below zero.
        negative: bool,
        /// 0 to 838.
        hours: u16,
        /// 0 to 59.
        minutes: u8,
        /// 0 to 59.
        seconds: u8,
        /// 0 to 999,999.
        micros: u32,
    },
    /// DATETIME; date parts may be 0.
    DateTime {
        /// 0 to 9999.
        year: u16,
        /// 0 to 12.
        month: u8,
        /// 0 to 31.
        day: u8,
        /// 0 to 23.
        hour: u8,
        /// 0 to 59.
        minute: u8,
        /// 0 to 59.
        second: u8,
        /// 0 to 999,999.
        micros: u32,
    },
    /// TIMESTAMP: seconds since 1970-01-01 UTC, and microseconds. 0 and 0 is the zero timestamp.
    Timestamp {
        /// Seconds since the epoch, UTC.
        seconds: u32,
        /// 0 to 999,999.
        micros: u32,
    },
    /// JSON in MySQL's binary format (`json_binary.h`).
    Json(&'a [u8]),
    /// GEOMETRY in MySQL's internal format: 4 bytes SRID, then WKB.
    Geometry(&'a [u8]),
    /// VECTOR: 4-byte floats.
    Vector(&'a [u8]),
}
