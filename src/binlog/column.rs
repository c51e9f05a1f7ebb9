//! One column's bytes in a row image: where they end, and the value they stand for.

use super::cursor::Cursor;
use super::decimal;
use super::error::Malformed;
use super::temporal;
use crate::model::table_map::{Column, ColumnKind};
use crate::model::value::Value;

/// The largest length that fits the one-byte prefix of CHAR and VARCHAR.
const ONE_BYTE_LENGTH: u16 = 255;

/// Moves past one value that is not NULL.
#[inline]
pub(crate) fn skip(kind: ColumnKind, cursor: &mut Cursor<'_>) -> Result<(), Malformed> {
    let length = match kind {
        ColumnKind::Tiny | ColumnKind::Year => 1,
        ColumnKind::Short => 2,
        ColumnKind::Int24 | ColumnKind::Date => 3,
        ColumnKind::Long | ColumnKind::Float => 4,
        ColumnKind::LongLong | ColumnKind::Double => 8,
        ColumnKind::Decimal { precision, scale } => decimal::packed_len(precision, scale)?,
        ColumnKind::Bit { bits } => usize::from(bits.div_ceil(8)),
        ColumnKind::Time { fsp } => 3 + temporal::fraction_len(fsp),
        ColumnKind::DateTime { fsp } => 5 + temporal::fraction_len(fsp),
        ColumnKind::Timestamp { fsp } => 4 + temporal::fraction_len(fsp),
        ColumnKind::Enum { bytes } | ColumnKind::Set { bytes } => usize::from(bytes),
        ColumnKind::Char { max_bytes } | ColumnKind::VarChar { max_bytes } => text_len(max_bytes, cursor)?,
        ColumnKind::Blob { length_bytes }
        | ColumnKind::Json { length_bytes }
        | ColumnKind::Geometry { length_bytes }
        | ColumnKind::Vector { length_bytes } => blob_len(length_bytes, cursor)?,
    };
    cursor.take(length)?;
    Ok(())
}

/// Reads one value that is not NULL.
#[inline]
pub(crate) fn read<'a>(column: &Column, cursor: &mut Cursor<'a>) -> Result<Value<'a>, Malformed> {
    let unsigned = column.unsigned;
    Ok(match column.kind {
        ColumnKind::Tiny if unsigned => Value::UInt(cursor.u8()?.into()),
        ColumnKind::Tiny => Value::Int(i8::from_le_bytes(cursor.array()?).into()),
        ColumnKind::Short if unsigned => Value::UInt(cursor.u16()?.into()),
        ColumnKind::Short => Value::Int(i16::from_le_bytes(cursor.array()?).into()),
        ColumnKind::Int24 => {
            let [a, b, c] = cursor.array()?;
            match unsigned {
                true => Value::UInt(u32::from_le_bytes([a, b, c, 0]).into()),
                // Shifting down from the top brings the sign along.
                false => Value::Int((i32::from_le_bytes([0, a, b, c]) >> 8).into()),
            }
        }
        ColumnKind::Long if unsigned => Value::UInt(cursor.u32()?.into()),
        ColumnKind::Long => Value::Int(i32::from_le_bytes(cursor.array()?).into()),
        ColumnKind::LongLong if unsigned => Value::UInt(cursor.u64()?),
        ColumnKind::LongLong => Value::Int(i64::from_le_bytes(cursor.array()?)),
        ColumnKind::Float => Value::Float(f32::from_le_bytes(cursor.array()?)),
        ColumnKind::Double => Value::Double(f64::from_le_bytes(cursor.array()?)),
        ColumnKind::Decimal { precision, scale } => Value::Decimal {
            bytes: cursor.take(decimal::packed_len(precision, scale)?)?,
            precision,
            scale,
        },
        ColumnKind::Bit { bits } => {
            let number = cursor.uint_be(usize::from(bits.div_ceil(8)))?;
            if bits < 64 && number >> bits != 0 {
                return Err(Malformed("a BIT value has more bits than its column"));
            }
            Value::Bit(number)
        }
        // The server stores the years 1901 to 2155 as 1 to 255, and the year 0000 as 0.
        ColumnKind::Year => Value::Year(match cursor.u8()? {
            0 => 0,
            year => 1900 + u16::from(year),
        }),
        ColumnKind::Date => temporal::date(cursor)?,
        ColumnKind::Time { fsp } => temporal::time(cursor, fsp)?,
        ColumnKind::DateTime { fsp } => temporal::datetime(cursor, fsp)?,
        ColumnKind::Timestamp { fsp } => temporal::timestamp(cursor, fsp)?,
        ColumnKind::Enum { bytes: 1 } => Value::Enum(cursor.u8()?.into()),
        ColumnKind::Enum { bytes: 2 } => Value::Enum(cursor.u16()?),
        ColumnKind::Enum { .. } => return Err(Malformed("an ENUM has neither 1 nor 2 bytes")),
        ColumnKind::Set { bytes } => Value::Set(cursor.uint(usize::from(bytes))?),
        ColumnKind::Char { max_bytes } | ColumnKind::VarChar { max_bytes } => {
            let length = text_len(max_bytes, cursor)?;
            Value::Bytes(cursor.take(length)?)
        }
        ColumnKind::Blob { length_bytes } => Value::Bytes(blob(length_bytes, cursor)?),
        ColumnKind::Json { length_bytes } => Value::Json(blob(length_bytes, cursor)?),
        ColumnKind::Geometry { length_bytes } => Value::Geometry(blob(length_bytes, cursor)?),
        ColumnKind::Vector { length_bytes } => Value::Vector(blob(length_bytes, cursor)?),
    })
}

#[inline]
fn text_len(max_bytes: u16, cursor: &mut Cursor<'_>) -> Result<usize, Malformed> {
    Ok(if max_bytes > ONE_BYTE_LENGTH {
        usize::from(cursor.u16()?)
    } else {
        usize::from(cursor.u8()?)
    })
}

#[inline]
fn blob_len(length_bytes: u8, cursor: &mut Cursor<'_>) -> Result<usize, Malformed> {
    if !matches!(length_bytes, 1..=4) {
        return Err(Malformed("a BLOB's length has neither 1, 2, 3 nor 4 bytes"));
    }
    usize::try_from(cursor.uint(usize::from(length_bytes))?).map_err(|_| Malformed::TRUNCATED)
}

#[inline]
fn blob<'a>(length_bytes: u8, cursor: &mut Cursor<'a>) -> Result<&'a [u8], Malformed> {
    let length = blob_len(length_bytes, cursor)?;
    cursor.take(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(kind: ColumnKind, unsigned: bool) -> Column {
        Column {
            kind,
            nullable: true,
            unsigned,
            collation: None,
            name: None,
            members: None,
        }
    }

    #[test]
    fn values_are_read_and_skipped_alike() {
        let check = |kind, unsigned, bytes: &[u8], expected: Value<'_>| {
            let column = column(kind, unsigned);
            let (mut reader, mut skipper) = (Cursor::new(bytes), Cursor::new(bytes));
            assert_eq!(read(&column, &mut reader), Ok(expected), "{kind:?} {bytes:?}");
            skip(kind, &mut skipper).unwrap();
            assert!(reader.is_empty() && skipper.is_empty(), "{kind:?} {bytes:?}");
            for length in 0..bytes.len() {
                let short = bytes.get(..length).unwrap();
                assert!(read(&column, &mut Cursor::new(short)).is_err(), "{kind:?} {short:?}");
                assert!(skip(kind, &mut Cursor::new(short)).is_err(), "{kind:?} {short:?}");
            }
        };
        check(ColumnKind::Tiny, false, &[0x80], Value::Int(-128));
        check(ColumnKind::Tiny, true, &[0x80], Value::UInt(128));
        check(ColumnKind::Short, false, &[0xff, 0xff], Value::Int(-1));
        check(ColumnKind::Int24, false, &[0, 0, 0x80], Value::Int(-8_388_608));
        check(ColumnKind::Int24, false, &[0xff, 0xff, 0x7f], Value::Int(8_388_607));
        check(ColumnKind::Int24, true, &[0xff, 0xff, 0xff], Value::UInt(16_777_215));
        check(ColumnKind::Long, true, &[0xff; 4], Value::UInt(u32::MAX.into()));
        check(ColumnKind::LongLong, false, &[0xff; 8], Value::Int(-1));
        check(ColumnKind::LongLong, true, &[0xff; 8], Value::UInt(u64::MAX));
        check(ColumnKind::Year, false, &[0], Value::Year(0));
        check(ColumnKind::Year, false, &[255], Value::Year(2155));
        check(ColumnKind::Bit { bits: 10 }, false, &[3, 255], Value::Bit(1023));
        check(ColumnKind::Enum { bytes: 2 }, false, &[1, 2], Value::Enum(513));
        check(ColumnKind::Set { bytes: 3 }, false, &[1, 0, 1], Value::Set(65_537));
        check(
            ColumnKind::Char { max_bytes: 255 },
            false,
            &[2, b'a', b'b'],
            Value::Bytes(b"ab"),
        );
        check(
            ColumnKind::VarChar { max_bytes: 256 },
            false,
            &[1, 0, b'a'],
            Value::Bytes(b"a"),
        );
        check(
            ColumnKind::Blob { length_bytes: 3 },
            false,
            &[1, 0, 0, 9],
            Value::Bytes(&[9]),
        );
    }

    #[test]
    fn impossible_values_are_refused() {
        let check = |kind, bytes: &[u8]| {
            assert!(read(&column(kind, false), &mut Cursor::new(bytes)).is_err(), "{kind:?}");
        };
        check(ColumnKind::Bit { bits: 1 }, &[2]);
        check(ColumnKind::Enum { bytes: 3 }, &[1, 2, 3]);
        check(ColumnKind::Set { bytes: 9 }, &[0; 9]);
        check(ColumnKind::Blob { length_bytes: 0 }, &[0; 9]);
        check(ColumnKind::Blob { length_bytes: 5 }, &[0; 9]);
        check(ColumnKind::Decimal { precision: 0, scale: 0 }, &[0; 9]);
    }
}
