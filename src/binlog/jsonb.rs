//! JSON in MySQL's binary format, as it stands in row images (`json_binary.h`).
//!
//! [`nodes`] walks over a document and yields it piece by piece, borrowed and without recursion; all else here is a
//! consumer of it: [`to_text`] for people and for values that JSON text can carry, [`has_opaque`] to find out whether
//! it can. JSON text has no DECIMAL, DATE, TIME, DATETIME or BLOB; a document that holds one (they come from SQL
//! values put into JSON) has to be rebuilt from its nodes to stay what it is.
//!
//! In a document, offsets point to where things are. A hostile one could point to the same bytes over and over and
//! grow without bound, so the walk has a budget: in an honest document each node and each string has its own bytes.

use std::fmt::Write;

use super::cursor::Cursor;
use super::decimal;
use super::error::Malformed;
use super::temporal;
use crate::model::value::Value;

/// How deep arrays and objects may stand in each other: MySQL's own limit (`JSON_DOCUMENT_MAX_DEPTH`).
pub const MAX_DEPTH: usize = 100;

/// Column types (`enum_field_types`) that [`Node::Opaque`] names.
pub mod field_type {
    /// TIMESTAMP.
    pub const TIMESTAMP: u8 = 7;
    /// DATE.
    pub const DATE: u8 = 10;
    /// TIME.
    pub const TIME: u8 = 11;
    /// DATETIME.
    pub const DATETIME: u8 = 12;
    /// BIT.
    pub const BIT: u8 = 16;
    /// DECIMAL.
    pub const NEWDECIMAL: u8 = 246;
    /// BLOB, BINARY and VARBINARY, unless they come as VARCHAR (15).
    pub const BLOB: u8 = 252;
}

/// One piece of a JSON document.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Node<'a> {
    /// An object begins: `len` times a [`Node::Key`] and a value, then [`Node::End`].
    Object {
        /// How many entries it has.
        len: usize,
    },
    /// An array begins: `len` values, then [`Node::End`].
    Array {
        /// How many elements it has.
        len: usize,
    },
    /// The name of an object's entry; its value is next.
    Key(&'a str),
    /// The innermost object or array ends.
    End,
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer, stored as signed.
    Int(i64),
    /// An integer, stored as unsigned.
    UInt(u64),
    /// A double.
    Double(f64),
    /// A string.
    Str(&'a str),
    /// An SQL value that JSON itself does not know.
    Opaque {
        /// Number of its column type: see [`field_type`].
        field_type: u8,
        /// [`Value::Decimal`], [`Value::Date`], [`Value::Time`] and [`Value::DateTime`] (also for a TIMESTAMP) where the
        /// type is one of these; for others [`Value::Bytes`]. A decimal's precision may be up to 81 here, as the server
        /// rounds it up; the digits that count are never more than 65.
        value: Value<'a>,
    },
}

/// Walks over a document. An empty byte string, which MySQL takes for an old NULL in a NOT NULL column, is `null`.
///
/// The iterator ends behind its first error.
pub fn nodes(document: &[u8]) -> Nodes<'_> {
    Nodes {
        start: Some(document),
        stack: Vec::new(),
        budget: document.len().saturating_mul(2).saturating_add(16),
    }
}

/// Whether a document holds a value that JSON text can't carry: see [`Node::Opaque`].
///
/// # Errors
/// If the document is malformed.
pub fn has_opaque(document: &[u8]) -> Result<bool, Malformed> {
    for node in nodes(document) {
        if matches!(node?, Node::Opaque { .. }) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Appends a document as JSON text, which MySQL reads back as the same document unless [`has_opaque`].
///
/// # Errors
/// If the document is malformed; `out` then holds the part before.
pub fn to_text(document: &[u8], out: &mut String) -> Result<(), Malformed> {
    // What closes the containers that are open, innermost last.
    let mut closers: Vec<char> = Vec::new();
    let mut first = true;
    let mut after_key = false;
    for node in nodes(document) {
        let node = node?;
        if let Node::End = node {
            out.extend(closers.pop());
            first = false;
            continue;
        }
        if !first && !after_key {
            out.push_str(", ");
        }
        first = false;
        after_key = false;
        match node {
            Node::Object { .. } => {
                out.push('{');
                closers.push('}');
                first = true;
            }
            Node::Array { .. } => {
                out.push('[');
                closers.push(']');
                first = true;
            }
            Node::Key(name) => {
                push_string(name, out);
                out.push_str(": ");
                after_key = true;
            }
            scalar => push_scalar(scalar, out)?,
        }
    }
    Ok(())
}

fn push_scalar(node: Node<'_>, out: &mut String) -> Result<(), Malformed> {
    let written = match node {
        Node::Null => out.write_str("null"),
        Node::Bool(value) => write!(out, "{value}"),
        Node::Int(value) => write!(out, "{value}"),
        Node::UInt(value) => write!(out, "{value}"),
        // `{:?}` prints the shortest text that parses back as the same double, and never looks like an integer.
        Node::Double(value) if value.is_finite() => write!(out, "{value:?}"),
        Node::Double(_) => return Err(Malformed("a JSON number is not finite")),
        Node::Str(text) => {
            push_string(text, out);
            Ok(())
        }
        Node::Opaque { field_type, value } => push_opaque(field_type, value, out)?,
        Node::Object { .. } | Node::Array { .. } | Node::Key(_) | Node::End => Ok(()),
    };
    written.map_err(|_| Malformed("the JSON text could not be written"))
}

fn push_opaque(field_type: u8, value: Value<'_>, out: &mut String) -> Result<std::fmt::Result, Malformed> {
    Ok(match value {
        Value::Decimal {
            bytes,
            precision,
            scale,
        } => {
            decimal::write(bytes, precision, scale, out)?;
            Ok(())
        }
        Value::Date { year, month, day } => write!(out, "\"{year:04}-{month:02}-{day:02}\""),
        Value::Time {
            negative,
            hours,
            minutes,
            seconds,
            micros,
        } => {
            let sign = if negative { "-" } else { "" };
            write!(out, "\"{sign}{hours:02}:{minutes:02}:{seconds:02}.{micros:06}\"")
        }
        Value::DateTime {
            year,
            month,
            day,
            hour,
            minute,
            second,
            micros,
        } => write!(
            out,
            "\"{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micros:06}\""
        ),
        Value::Bytes(bytes) => {
            let start = write!(out, "\"base64:type{field_type}:");
            push_base64(bytes, out);
            out.push('"');
            start
        }
        _ => Ok(()),
    })
}

/// Appends a JSON string with its quotes, escaped as MySQL escapes it.
pub fn push_string(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            control @ '\0'..='\u{1f}' => {
                let code = u32::from(control);
                out.push_str("\\u00");
                out.extend(
                    [code >> 4, code & 15]
                        .iter()
                        .filter_map(|digit| char::from_digit(*digit, 16)),
                );
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

fn push_base64(bytes: &[u8], out: &mut String) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let mut group = [0; 4];
        for (target, byte) in group.iter_mut().skip(1).zip(chunk) {
            *target = *byte;
        }
        let bits = u32::from_be_bytes(group);
        for position in 0..4 {
            let sextet = usize::try_from(bits >> (18 - 6 * position) & 63).unwrap_or(0);
            let letter = if position > chunk.len() {
                b'='
            } else {
                *ALPHABET.get(sextet).unwrap_or(&b'=')
            };
            out.push(char::from(letter));
        }
    }
}

/// The walk over a document: see [`nodes`].
#[derive(Debug, Clone)]
pub struct Nodes<'a> {
    /// The document, until it has been begun.
    start: Option<&'a [u8]>,
    /// Containers that are open, innermost last.
    stack: Vec<Container<'a>>,
    /// What may still be read; see the module's documentation.
    budget: usize,
}

/// An object or array that is being walked over.
#[derive(Debug, Clone)]
struct Container<'a> {
    /// Its bytes, from behind its type on; offsets count from here.
    bytes: &'a [u8],
    /// Numbers in it have 4 bytes instead of 2.
    large: bool,
    /// Keys that have not been read; for an array, none.
    keys: Cursor<'a>,
    /// Entries whose value has not been read.
    values: Cursor<'a>,
    /// A key has been given out whose value has not.
    value_is_due: bool,
}

/// Type numbers of the format.
mod types {
    pub(super) const SMALL_OBJECT: u8 = 0;
    pub(super) const LARGE_OBJECT: u8 = 1;
    pub(super) const SMALL_ARRAY: u8 = 2;
    pub(super) const LARGE_ARRAY: u8 = 3;
    pub(super) const LITERAL: u8 = 4;
    pub(super) const INT16: u8 = 5;
    pub(super) const UINT16: u8 = 6;
    pub(super) const INT32: u8 = 7;
    pub(super) const UINT32: u8 = 8;
    pub(super) const INT64: u8 = 9;
    pub(super) const UINT64: u8 = 10;
    pub(super) const DOUBLE: u8 = 11;
    pub(super) const STRING: u8 = 12;
    pub(super) const OPAQUE: u8 = 15;
}

impl<'a> Nodes<'a> {
    fn step(&mut self) -> Result<Option<Node<'a>>, Malformed> {
        if let Some(document) = self.start.take() {
            return match document.split_first() {
                Some((type_number, bytes)) => self.value(*type_number, bytes).map(Some),
                None => Ok(Some(Node::Null)),
            };
        }
        let Some(container) = self.stack.last_mut() else {
            return Ok(None);
        };
        if container.values.is_empty() {
            self.stack.pop();
            return Ok(Some(Node::End));
        }
        if !container.keys.is_empty() && !container.value_is_due {
            container.value_is_due = true;
            let offset = container.number()?;
            let length = usize::from(container.keys.u16()?);
            let name = container.at(offset)?.get(..length).ok_or(Malformed::TRUNCATED)?;
            self.spend(length)?;
            return Ok(Some(Node::Key(text(name)?)));
        }
        container.value_is_due = false;
        let (type_number, bytes) = container.entry()?;
        self.value(type_number, bytes).map(Some)
    }

    /// Reads a scalar, or begins a container. `bytes` start behind the type and may go on behind the value.
    fn value(&mut self, type_number: u8, bytes: &'a [u8]) -> Result<Node<'a>, Malformed> {
        self.spend(2)?;
        let mut cursor = Cursor::new(bytes);
        Ok(match type_number {
            types::SMALL_OBJECT => self.open(bytes, false, true)?,
            types::LARGE_OBJECT => self.open(bytes, true, true)?,
            types::SMALL_ARRAY => self.open(bytes, false, false)?,
            types::LARGE_ARRAY => self.open(bytes, true, false)?,
            types::LITERAL => match cursor.u8()? {
                0 => Node::Null,
                1 => Node::Bool(true),
                2 => Node::Bool(false),
                _ => return Err(Malformed("a JSON literal is none of null, true and false")),
            },
            types::INT16 => Node::Int(i16::from_le_bytes(cursor.array()?).into()),
            types::UINT16 => Node::UInt(cursor.u16()?.into()),
            types::INT32 => Node::Int(i32::from_le_bytes(cursor.array()?).into()),
            types::UINT32 => Node::UInt(cursor.u32()?.into()),
            types::INT64 => Node::Int(i64::from_le_bytes(cursor.array()?)),
            types::UINT64 => Node::UInt(cursor.u64()?),
            types::DOUBLE => Node::Double(f64::from_le_bytes(cursor.array()?)),
            types::STRING => Node::Str(text(self.sized(&mut cursor)?)?),
            types::OPAQUE => {
                let field_type = cursor.u8()?;
                let bytes = self.sized(&mut cursor)?;
                Node::Opaque {
                    field_type,
                    value: opaque(field_type, bytes)?,
                }
            }
            _ => return Err(Malformed("a JSON value is of unknown type")),
        })
    }

    fn open(&mut self, bytes: &'a [u8], large: bool, object: bool) -> Result<Node<'a>, Malformed> {
        if self.stack.len() >= MAX_DEPTH {
            return Err(Malformed("JSON is nested deeper than 100 levels"));
        }
        let width = if large { 4 } else { 2 };
        let mut head = Cursor::new(bytes);
        let len = read_number(&mut head, large)?;
        let size = read_number(&mut head, large)?;
        let bytes = bytes.get(..size).ok_or(Malformed::TRUNCATED)?;
        let mut head = Cursor::new(bytes.get(2 * width..).ok_or(Malformed::TRUNCATED)?);
        let part = |entry: usize| len.checked_mul(entry).ok_or(Malformed::TRUNCATED);
        let keys = if object { head.take(part(width + 2)?)? } else { &[] };
        let values = head.take(part(1 + width)?)?;
        self.stack.push(Container {
            bytes,
            large,
            keys: Cursor::new(keys),
            values: Cursor::new(values),
            value_is_due: false,
        });
        Ok(if object {
            Node::Object { len }
        } else {
            Node::Array { len }
        })
    }

    /// A byte string behind its length: 7 bits a byte, lowest first, the highest bit says that another byte follows.
    fn sized(&mut self, cursor: &mut Cursor<'a>) -> Result<&'a [u8], Malformed> {
        let mut length = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = cursor.u8()?;
            length |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let length = usize::try_from(length).map_err(|_| Malformed::TRUNCATED)?;
                let bytes = cursor.take(length)?;
                self.spend(length)?;
                return Ok(bytes);
            }
        }
        Err(Malformed("a length in JSON has more than 5 bytes"))
    }

    fn spend(&mut self, bytes: usize) -> Result<(), Malformed> {
        let left = self.budget.checked_sub(bytes);
        self.budget = left.ok_or(Malformed("parts of a JSON document overlap"))?;
        Ok(())
    }
}

impl<'a> Iterator for Nodes<'a> {
    type Item = Result<Node<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_err() {
            self.stack.clear();
        }
        step.transpose()
    }
}

impl<'a> Container<'a> {
    /// A number of the next key's entry.
    fn number(&mut self) -> Result<usize, Malformed> {
        read_number(&mut self.keys, self.large)
    }

    fn at(&self, offset: usize) -> Result<&'a [u8], Malformed> {
        self.bytes
            .get(offset..)
            .ok_or(Malformed("an offset in JSON points outside of its container"))
    }

    /// The next value: its type, and bytes that begin with it. Small ones stand in the entry itself.
    fn entry(&mut self) -> Result<(u8, &'a [u8]), Malformed> {
        let type_number = self.values.u8()?;
        let inlined = match type_number {
            types::LITERAL | types::INT16 | types::UINT16 => true,
            types::INT32 | types::UINT32 => self.large,
            _ => false,
        };
        if inlined {
            let width = if self.large { 4 } else { 2 };
            return Ok((type_number, self.values.take(width)?));
        }
        let offset = read_number(&mut self.values, self.large)?;
        Ok((type_number, self.at(offset)?))
    }
}

fn read_number(cursor: &mut Cursor<'_>, large: bool) -> Result<usize, Malformed> {
    match large {
        true => usize::try_from(cursor.u32()?).map_err(|_| Malformed::TRUNCATED),
        false => Ok(cursor.u16()?.into()),
    }
}

fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed("a string in JSON is not UTF-8"))
}

fn opaque(field_type: u8, bytes: &[u8]) -> Result<Value<'_>, Malformed> {
    let packed = || match bytes.first_chunk() {
        Some(number) if bytes.len() == 8 => Ok(i64::from_le_bytes(*number)),
        _ => Err(Malformed("a temporal value in JSON has not 8 bytes")),
    };
    Ok(match field_type {
        field_type::DATE => temporal::packed_date(packed()?)?,
        field_type::TIME => temporal::packed_time(packed()?)?,
        field_type::DATETIME | field_type::TIMESTAMP => temporal::packed_datetime(packed()?)?,
        field_type::NEWDECIMAL => match bytes {
            [precision, scale, digits @ ..] if decimal::packed_len(*precision, *scale)? == digits.len() => {
                Value::Decimal {
                    bytes: digits,
                    precision: *precision,
                    scale: *scale,
                }
            }
            _ => return Err(Malformed("a DECIMAL in JSON has the wrong length")),
        },
        _ => Value::Bytes(bytes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(document: &[u8]) -> Result<String, Malformed> {
        let mut out = String::new();
        to_text(document, &mut out)?;
        Ok(out)
    }

    #[test]
    fn scalars_print_as_json() {
        let check = |document: &[u8], expected: &str| {
            assert_eq!(text_of(document).as_deref(), Ok(expected), "{document:?}");
        };
        check(b"", "null");
        check(&[4, 0], "null");
        check(&[4, 1], "true");
        check(&[5, 0xff, 0xff], "-1");
        check(&[6, 0xff, 0xff], "65535");
        check(&[10, 255, 255, 255, 255, 255, 255, 255, 255], "18446744073709551615");
        check(b"\x0c\x05a\"\\\n\x01", r#""a\"\\\n\u0001""#);
        check(b"\x0f\xfc\x04abcd", r#""base64:type252:YWJjZA==""#);
        check(b"\x0f\xf6\x04\x04\x02\x81\x32", "1.50");
    }

    #[test]
    fn doubles_stay_the_doubles_they_are() {
        for value in [
            0.0,
            -0.0,
            1.0,
            0.1,
            1e16,
            1e300,
            5e-324,
            f64::MAX,
            -2.5,
            123_456_789.125,
        ] {
            let mut document = vec![11];
            document.extend(f64::to_le_bytes(value));
            let text = text_of(&document).unwrap();
            assert_eq!(text.parse::<f64>().unwrap().to_bits(), value.to_bits());
            assert!(text.contains(['.', 'e']), "{text} would be read as an integer");
        }
        let mut document = vec![11];
        document.extend(f64::NAN.to_le_bytes());
        assert!(text_of(&document).is_err());
    }

    #[test]
    fn containers_nest() {
        // {"a": [1, "x"]}
        let inner = [2, 0, 12, 0, 5, 1, 0, 12, 10, 0, 1, b'x'];
        let mut document = vec![0, 1, 0, 24, 0, 11, 0, 1, 0, 2, 12, 0, b'a'];
        document.extend(inner);
        assert_eq!(text_of(&document).as_deref(), Ok(r#"{"a": [1, "x"]}"#));
        assert!(!has_opaque(&document).unwrap());
        for length in 1..document.len() {
            assert!(text_of(&document[..length]).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn containers_that_hold_each_other_do_not_go_on_for_ever() {
        // An array whose two elements are the array itself.
        let document = [2, 2, 0, 10, 0, 2, 0, 0, 2, 0, 0];
        assert!(text_of(&document).is_err());
        assert!(has_opaque(&document).is_err());
    }

    #[test]
    fn what_points_outside_is_refused() {
        let check = |document: &[u8]| assert!(text_of(document).is_err(), "{document:?}");
        check(&[2, 1, 0, 7, 0, 12, 99, 0]);
        check(&[2, 1, 0, 99, 0, 12, 4, 0]);
        check(&[2, 255, 255, 7, 0, 4, 0, 0]);
        check(&[3, 255, 255, 255, 255, 8, 0, 0, 0]);
        check(&[4, 3]);
        check(&[13, 0]);
        check(&[12, 0xff, 0xff, 0xff, 0xff, 0xff, 0]);
        check(&[12, 1, 0xff]);
        check(&[15, 10, 1, 0]);
        check(&[15, 246, 2, 9, 9]);
    }
}
