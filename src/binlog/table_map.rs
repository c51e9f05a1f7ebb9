//! TABLE_MAP events: types of the columns, and what the optional metadata tells besides.
//!
//! `binlog_row_metadata=MINIMAL` (the default) gives signedness, character sets and geometry types; `FULL` adds names,
//! primary key, and the members and character sets of ENUM and SET. Metadata came with MySQL 8.0; without any, integers count as
//! signed and nothing is said of character sets.

use super::cursor::{Cursor, identifier};
use super::decimal;
use super::error::{BinlogError, Malformed};
use super::rows::column_label;
use crate::model::name::TableName;
use crate::model::table_map::{Column, ColumnKind, TableMap};

/// The longest fraction of a second, in digits.
const MAX_FSP: u8 = 6;

/// Type numbers, `enum_field_types` in MySQL's `field_types.h`.
mod types {
    pub(super) const DECIMAL: u8 = 0;
    pub(super) const TINY: u8 = 1;
    pub(super) const SHORT: u8 = 2;
    pub(super) const LONG: u8 = 3;
    pub(super) const FLOAT: u8 = 4;
    pub(super) const DOUBLE: u8 = 5;
    pub(super) const TIMESTAMP: u8 = 7;
    pub(super) const LONGLONG: u8 = 8;
    pub(super) const INT24: u8 = 9;
    pub(super) const DATE: u8 = 10;
    pub(super) const TIME: u8 = 11;
    pub(super) const DATETIME: u8 = 12;
    pub(super) const YEAR: u8 = 13;
    pub(super) const NEWDATE: u8 = 14;
    pub(super) const VARCHAR: u8 = 15;
    pub(super) const BIT: u8 = 16;
    pub(super) const TIMESTAMP2: u8 = 17;
    pub(super) const DATETIME2: u8 = 18;
    pub(super) const TIME2: u8 = 19;
    pub(super) const VECTOR: u8 = 242;
    pub(super) const JSON: u8 = 245;
    pub(super) const NEWDECIMAL: u8 = 246;
    pub(super) const ENUM: u8 = 247;
    pub(super) const SET: u8 = 248;
    pub(super) const TINY_BLOB: u8 = 249;
    pub(super) const MEDIUM_BLOB: u8 = 250;
    pub(super) const LONG_BLOB: u8 = 251;
    pub(super) const BLOB: u8 = 252;
    pub(super) const VAR_STRING: u8 = 253;
    pub(super) const STRING: u8 = 254;
    pub(super) const GEOMETRY: u8 = 255;
}

/// Reads a TABLE_MAP event without header and checksum.
///
/// # Errors
/// If it is malformed, or has a column of a type that can't be read; then the error names table and column.
pub(crate) fn parse(body: &[u8]) -> Result<TableMap, BinlogError> {
    let mut cursor = Cursor::new(body);
    let (table_id, name) = table(&mut cursor).map_err(BinlogError::somewhere)?;
    let in_table = |error: Malformed| BinlogError::row(&name, None, error);
    let (types, mut details, nullable) = column_parts(&mut cursor).map_err(in_table)?;
    let mut columns = Vec::with_capacity(types.len());
    for (index, type_number) in types.iter().enumerate() {
        let kind = kind(*type_number, &mut details)
            .map_err(|error| BinlogError::row(&name, Some(column_label(index, None)), error))?;
        columns.push(Column {
            kind,
            nullable: nullable.get(index / 8).is_some_and(|bits| bits >> (index % 8) & 1 == 1),
            unsigned: false,
            collation: None,
            name: None,
            members: None,
        });
    }
    let primary_key = metadata(&mut cursor, &mut columns).map_err(in_table)?;
    Ok(TableMap {
        table_id,
        name,
        columns,
        primary_key,
    })
}

fn table(cursor: &mut Cursor<'_>) -> Result<(u64, TableName), Malformed> {
    let table_id = cursor.uint(6)?;
    cursor.u16()?; // flags
    let database = identifier(cursor.short_bytes()?)?;
    cursor.u8()?; // NUL
    let table = identifier(cursor.short_bytes()?)?;
    cursor.u8()?;
    Ok((table_id, TableName::new(database, table)))
}

/// The types, their details, and which columns may be NULL.
fn column_parts<'a>(cursor: &mut Cursor<'a>) -> Result<(&'a [u8], Cursor<'a>, &'a [u8]), Malformed> {
    let count = cursor.lenenc_usize()?;
    let types = cursor.take(count)?;
    let details = Cursor::new(cursor.lenenc_bytes()?);
    let nullable = cursor.take(count.div_ceil(8))?;
    Ok((types, details, nullable))
}

/// One column's type, with the bytes of detail that its type has.
fn kind(type_number: u8, details: &mut Cursor<'_>) -> Result<ColumnKind, Malformed> {
    Ok(match type_number {
        types::TINY => ColumnKind::Tiny,
        types::SHORT => ColumnKind::Short,
        types::INT24 => ColumnKind::Int24,
        types::LONG => ColumnKind::Long,
        types::LONGLONG => ColumnKind::LongLong,
        types::FLOAT => match details.u8()? {
            4 => ColumnKind::Float,
            _ => return Err(Malformed("a FLOAT does not have 4 bytes")),
        },
        types::DOUBLE => match details.u8()? {
            8 => ColumnKind::Double,
            _ => return Err(Malformed("a DOUBLE does not have 8 bytes")),
        },
        types::NEWDECIMAL => {
            let (precision, scale) = (details.u8()?, details.u8()?);
            decimal::packed_len(precision, scale)?;
            if precision > decimal::MAX_PRECISION {
                return Err(Malformed("a DECIMAL has more than 65 digits"));
            }
            ColumnKind::Decimal { precision, scale }
        }
        types::BIT => {
            let (over, bytes) = (details.u8()?, details.u8()?);
            match bytes.checked_mul(8).and_then(|bits| bits.checked_add(over)) {
                Some(bits @ 1..=64) if over < 8 => ColumnKind::Bit { bits },
                _ => return Err(Malformed("a BIT has not 1 to 64 bits")),
            }
        }
        types::YEAR => ColumnKind::Year,
        types::DATE | types::NEWDATE => ColumnKind::Date,
        types::TIME2 => ColumnKind::Time { fsp: fsp(details)? },
        types::DATETIME2 => ColumnKind::DateTime { fsp: fsp(details)? },
        types::TIMESTAMP2 => ColumnKind::Timestamp { fsp: fsp(details)? },
        types::VARCHAR | types::VAR_STRING => ColumnKind::VarChar {
            max_bytes: details.u16()?,
        },
        types::STRING => string(details)?,
        types::ENUM | types::SET => real_enum_or_set(details.u8()?, details.u8()?)?,
        types::BLOB | types::TINY_BLOB | types::MEDIUM_BLOB | types::LONG_BLOB => ColumnKind::Blob {
            length_bytes: length_bytes(details)?,
        },
        types::JSON => ColumnKind::Json {
            length_bytes: length_bytes(details)?,
        },
        types::GEOMETRY => ColumnKind::Geometry {
            length_bytes: length_bytes(details)?,
        },
        types::VECTOR => ColumnKind::Vector {
            length_bytes: length_bytes(details)?,
        },
        types::TIME | types::DATETIME | types::TIMESTAMP => {
            return Err(Malformed(
                "it is a temporal column in the format of MySQL 5.5 and before. Run ALTER TABLE … FORCE at the source, \
                 which brings it up to date",
            ));
        }
        types::DECIMAL => {
            return Err(Malformed(
                "it is a DECIMAL in the format of MySQL 4.1 and before. Run ALTER TABLE … FORCE at the source, which \
                 brings it up to date",
            ));
        }
        _ => return Err(Malformed("its type is not known to this version of Causeway")),
    })
}

/// CHAR, BINARY, ENUM and SET share a type; the first byte of detail tells them apart. As it needs only part of its
/// bits for that, a CHAR longer than 255 bytes has two bits of its length there, inverted (MySQL bug 37426).
fn string(details: &mut Cursor<'_>) -> Result<ColumnKind, Malformed> {
    let (first, second) = (details.u8()?, details.u8()?);
    let (real_type, length_high) = match first & 0x30 {
        0x30 => (first, 0),
        high => (first | 0x30, u16::from(high ^ 0x30) << 4),
    };
    match real_type {
        types::STRING => Ok(ColumnKind::Char {
            max_bytes: length_high | u16::from(second),
        }),
        _ => real_enum_or_set(real_type, second),
    }
}

fn real_enum_or_set(real_type: u8, bytes: u8) -> Result<ColumnKind, Malformed> {
    match (real_type, bytes) {
        (types::ENUM, 1 | 2) => Ok(ColumnKind::Enum { bytes }),
        (types::SET, 1..=8) => Ok(ColumnKind::Set { bytes }),
        _ => Err(Malformed(
            "it is none of CHAR, BINARY, ENUM and SET, or of impossible length",
        )),
    }
}

fn fsp(details: &mut Cursor<'_>) -> Result<u8, Malformed> {
    match details.u8()? {
        fsp if fsp <= MAX_FSP => Ok(fsp),
        _ => Err(Malformed("a fraction of a second has more than 6 digits")),
    }
}

fn length_bytes(details: &mut Cursor<'_>) -> Result<u8, Malformed> {
    match details.u8()? {
        bytes @ 1..=4 => Ok(bytes),
        _ => Err(Malformed("its length has neither 1, 2, 3 nor 4 bytes")),
    }
}

/// Reads the optional metadata into the columns; gives the primary key. Each field has a number, a length and its
/// content; those that are not needed, or come with a newer server, are passed over.
fn metadata(cursor: &mut Cursor<'_>, columns: &mut [Column]) -> Result<Option<Vec<usize>>, Malformed> {
    let mut primary_key = None;
    while !cursor.is_empty() {
        let number = cursor.u8()?;
        let mut field = Cursor::new(cursor.lenenc_bytes()?);
        match number {
            1 => signedness(field, columns)?,
            2 => default_charset(field, columns, is_character)?,
            3 => each_charset(field, columns, is_character)?,
            4 => {
                for column in columns.iter_mut() {
                    column.name = Some(identifier(field.lenenc_bytes()?)?);
                }
            }
            5 => members(field, columns, |kind| matches!(kind, ColumnKind::Set { .. }))?,
            6 => members(field, columns, |kind| matches!(kind, ColumnKind::Enum { .. }))?,
            8 => primary_key = Some(key(field, columns.len(), false)?),
            9 => primary_key = Some(key(field, columns.len(), true)?),
            10 => default_charset(field, columns, is_enum_or_set)?,
            11 => each_charset(field, columns, is_enum_or_set)?,
            // 7: geometry type; 12: visibility; 13: vector dimension.
            _ => {}
        }
    }
    Ok(primary_key)
}

/// A bit for each numeric column, most significant first; YEAR counts as one.
fn signedness(field: Cursor<'_>, columns: &mut [Column]) -> Result<(), Malformed> {
    for (index, column) in columns.iter_mut().filter(|column| is_numeric(column.kind)).enumerate() {
        let bits = field
            .rest()
            .get(index / 8)
            .ok_or(Malformed("the signedness of a column is missing"))?;
        column.unsigned = bits << (index % 8) & 0x80 != 0;
    }
    Ok(())
}

/// One collation for all, and pairs for the exceptions; their positions count only columns of this sort.
fn default_charset(
    mut field: Cursor<'_>,
    columns: &mut [Column],
    concerned: fn(ColumnKind) -> bool,
) -> Result<(), Malformed> {
    let default = collation(&mut field)?;
    let mut concerned: Vec<&mut Column> = columns.iter_mut().filter(|column| concerned(column.kind)).collect();
    for column in &mut concerned {
        column.collation = Some(default);
    }
    while !field.is_empty() {
        let index = field.lenenc_usize()?;
        let column = concerned
            .get_mut(index)
            .ok_or(Malformed("a collation is for a column that is not there"))?;
        column.collation = Some(collation(&mut field)?);
    }
    Ok(())
}

/// A collation for each column of this sort.
fn each_charset(
    mut field: Cursor<'_>,
    columns: &mut [Column],
    concerned: fn(ColumnKind) -> bool,
) -> Result<(), Malformed> {
    for column in columns.iter_mut().filter(|column| concerned(column.kind)) {
        column.collation = Some(collation(&mut field)?);
    }
    Ok(())
}

fn collation(field: &mut Cursor<'_>) -> Result<u16, Malformed> {
    u16::try_from(field.lenenc()?).map_err(|_| Malformed("a collation number is too large"))
}

/// The members of each column of this sort.
fn members(mut field: Cursor<'_>, columns: &mut [Column], concerned: fn(ColumnKind) -> bool) -> Result<(), Malformed> {
    for column in columns.iter_mut().filter(|column| concerned(column.kind)) {
        let count = field.lenenc_usize()?;
        let members = (0..count).map(|_| Ok(field.lenenc_bytes()?.to_vec()));
        column.members = Some(members.collect::<Result<_, _>>()?);
    }
    Ok(())
}

/// Positions of the primary key's columns, each with the length of its prefix if any has one.
fn key(mut field: Cursor<'_>, column_count: usize, prefixes: bool) -> Result<Vec<usize>, Malformed> {
    let mut positions = Vec::new();
    while !field.is_empty() {
        let position = field.lenenc_usize()?;
        if position >= column_count {
            return Err(Malformed("the primary key has a column that is not there"));
        }
        positions.push(position);
        if prefixes {
            field.lenenc()?;
        }
    }
    Ok(positions)
}

fn is_numeric(kind: ColumnKind) -> bool {
    matches!(
        kind,
        ColumnKind::Tiny
            | ColumnKind::Short
            | ColumnKind::Int24
            | ColumnKind::Long
            | ColumnKind::LongLong
            | ColumnKind::Float
            | ColumnKind::Double
            | ColumnKind::Decimal { .. }
            | ColumnKind::Year
    )
}

fn is_character(kind: ColumnKind) -> bool {
    matches!(
        kind,
        ColumnKind::Char { .. } | ColumnKind::VarChar { .. } | ColumnKind::Blob { .. }
    )
}

fn is_enum_or_set(kind: ColumnKind) -> bool {
    matches!(kind, ColumnKind::Enum { .. } | ColumnKind::Set { .. })
}
