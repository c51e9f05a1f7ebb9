//! Values as SQL literals that the server stores back as exactly the same value.
//!
//! The session they are used in has `sql_mode` with ALLOW_INVALID_DATES and NO_AUTO_VALUE_ON_ZERO, without
//! NO_ZERO_DATE and NO_BACKSLASH_ESCAPES, `time_zone = '+00:00'` and `NAMES utf8mb4` (see [`SESSION`]).

use crate::{
    binlog::{Malformed, decimal},
    model::{
        table::{Family, TableColumn},
        value::Value,
    },
};

use super::json;

/// What every session that runs our statements sets first. Strict, so that a value that does not fit is an error;
/// zero and invalid dates are values like any other here. READ COMMITTED keeps appliers out of each other's gaps. The
/// variable is what guarded triggers look at, see [`APPLYING_VARIABLE`](crate::model::stored::APPLYING_VARIABLE).
pub const SESSION: &str = "NAMES utf8mb4, @causeway_applying = 1, time_zone = '+00:00', \
     sql_mode = 'STRICT_ALL_TABLES,ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO', \
     SESSION transaction_isolation = 'READ-COMMITTED', autocommit = 1, foreign_key_checks = 0, \
     sql_safe_updates = 0, sql_select_limit = DEFAULT, max_execution_time = 0, group_concat_max_len = 1048576";

/// Appends `value` as it is written to `column`.
///
/// # Errors
/// If the value's bytes are malformed, or a JSON document holds something that SQL has no expression for.
pub fn push(out: &mut Vec<u8>, value: &Value<'_>, column: &TableColumn) -> Result<(), Malformed> {
    match *value {
        Value::Null => out.extend_from_slice(b"NULL"),
        Value::Int(number) => push_display(out, number),
        Value::UInt(number) | Value::Bit(number) | Value::Set(number) => push_display(out, number),
        Value::Enum(index) => push_display(out, index),
        Value::Year(year) => push_display(out, year),
        // Widened to a double the float's text is longer than it needs to be, but it stands for exactly this float.
        Value::Float(number) => push_double(out, f64::from(number)),
        Value::Double(number) => push_double(out, number),
        Value::Decimal {
            bytes,
            precision,
            scale,
        } => {
            let mut text = String::with_capacity(usize::from(precision) + 3);
            decimal::write(bytes, precision, scale, &mut text)?;
            out.extend_from_slice(text.as_bytes());
        }
        Value::Bytes(bytes) => {
            let padding = match column.family {
                Family::Binary { length } => length.saturating_sub(bytes.len()),
                _ => 0,
            };
            push_binary(out, bytes, padding);
        }
        Value::Geometry(bytes) | Value::Vector(bytes) => push_binary(out, bytes, 0),
        Value::Json(bytes) => json::push(out, bytes)?,
        Value::Date { .. } | Value::Time { .. } | Value::DateTime { .. } | Value::Timestamp { .. } => {
            out.push(b'\'');
            push_temporal(out, value, fraction_digits(&column.family));
            out.push(b'\'');
        }
    }
    Ok(())
}

/// Appends `value` as an expression that has the type of `column`, so that the server converts it to another one as it
/// converts columns: members of ENUM and SET by name, texts from their character set.
///
/// # Errors
/// See [`push`].
pub fn push_typed(out: &mut Vec<u8>, value: &Value<'_>, column: &TableColumn) -> Result<(), Malformed> {
    let (before, after) = match (&column.family, value) {
        (_, Value::Null) => (String::new(), String::new()),
        (Family::Text { charset, .. }, _) => ("CONVERT(".to_owned(), format!(" USING {charset})")),
        (Family::Number, Value::Enum(0)) => ("IF(".to_owned(), ",'','')".to_owned()),
        (Family::Number, Value::Enum(_)) => ("ELT(".to_owned(), format!(",{})", members(column))),
        (Family::Number, Value::Set(_)) => ("MAKE_SET(".to_owned(), format!(",{})", members(column))),
        _ => (String::new(), String::new()),
    };
    out.extend_from_slice(before.as_bytes());
    push(out, value, column)?;
    out.extend_from_slice(after.as_bytes());
    Ok(())
}

/// The member list stands in the type just as ELT and MAKE_SET take it: `enum('a','b')`.
fn members(column: &TableColumn) -> &str {
    column
        .column_type
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'))
        .unwrap_or("''")
}

/// Appends the text of a date or time, as the server prints it, with `fsp` digits of fraction; nothing for other types.
pub fn push_temporal(out: &mut Vec<u8>, value: &Value<'_>, fsp: u8) {
    match *value {
        Value::Date { year, month, day } => {
            out.extend_from_slice(format!("{year:04}-{month:02}-{day:02}").as_bytes());
        }
        Value::Time {
            negative,
            hours,
            minutes,
            seconds,
            micros,
        } => {
            if negative {
                out.push(b'-');
            }
            out.extend_from_slice(format!("{hours:02}:{minutes:02}:{seconds:02}").as_bytes());
            push_fraction(out, micros, fsp);
        }
        Value::DateTime {
            year,
            month,
            day,
            hour,
            minute,
            second,
            micros,
        } => {
            out.extend_from_slice(
                format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}").as_bytes(),
            );
            push_fraction(out, micros, fsp);
        }
        Value::Timestamp { seconds: 0, micros: 0 } => {
            out.extend_from_slice(b"0000-00-00 00:00:00");
            push_fraction(out, 0, fsp);
        }
        Value::Timestamp { seconds, micros } => {
            let (days, second_of_day) = (seconds / 86_400, seconds % 86_400);
            let (year, month, day) = civil_from_days(days);
            let (hour, minute, second) = (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
            out.extend_from_slice(
                format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}").as_bytes(),
            );
            push_fraction(out, micros, fsp);
        }
        _ => {}
    }
}

/// Digits of fraction a column of this family prints.
pub fn fraction_digits(family: &Family) -> u8 {
    match *family {
        Family::Time { fsp } | Family::DateTime { fsp } | Family::Timestamp { fsp } => fsp,
        _ => 0,
    }
}

fn push_fraction(out: &mut Vec<u8>, micros: u32, fsp: u8) {
    if fsp > 0 {
        let digits = format!("{micros:06}");
        out.push(b'.');
        out.extend_from_slice(digits.as_bytes().get(..usize::from(fsp)).unwrap_or(digits.as_bytes()));
    }
}

/// Days since 1970-01-01 as year, month, day of the Gregorian calendar.
fn civil_from_days(days: u32) -> (u32, u32, u32) {
    // Counted in years that begin in March, so that the leap day is a year's last.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 {
        month_index + 3
    } else {
        month_index - 9
    };
    (year_of_era + era * 400 + u32::from(month <= 2), month, day)
}

fn push_display(out: &mut Vec<u8>, number: impl std::fmt::Display) {
    out.extend_from_slice(number.to_string().as_bytes());
}

/// With an exponent always: without one the server would read a DECIMAL.
pub fn push_double(out: &mut Vec<u8>, number: f64) {
    out.extend_from_slice(format!("{number:e}").as_bytes());
}

/// Appends `_binary'…'` with `padding` zero bytes after `bytes`.
pub fn push_binary(out: &mut Vec<u8>, bytes: &[u8], padding: usize) {
    out.extend_from_slice(b"_binary");
    out.push(b'\'');
    push_escaped(out, bytes);
    for _ in 0..padding {
        out.extend_from_slice(b"\\0");
    }
    out.push(b'\'');
}

/// Appends a character string literal in the session's character set (utf8mb4).
pub fn push_string(out: &mut Vec<u8>, text: &str) {
    push_utf8(out, text.as_bytes());
}

/// As [`push_string`], for bytes that the server has stored as utf8mb4.
pub fn push_utf8(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'\'');
    push_escaped(out, bytes);
    out.push(b'\'');
}

/// A character string literal.
pub fn string(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    push_string(&mut out, text);
    String::from_utf8_lossy(&out).into_owned()
}

fn push_escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    let is_special = |byte| matches!(byte, 0 | b'\'' | b'\\' | b'\n' | b'\r' | 0x1a);
    push_escaping(out, bytes, is_special, |out, special| {
        out.extend_from_slice(match special {
            0 => b"\\0",
            b'\'' => b"\\'",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            _ => b"\\Z",
        });
    });
}

/// Appends `bytes`, and what `escape` appends in place of special ones. What is not special, and that is nearly all, is taken
/// as a whole.
pub(crate) fn push_escaping(
    out: &mut Vec<u8>,
    bytes: &[u8],
    is_special: impl Fn(u8) -> bool,
    escape: impl Fn(&mut Vec<u8>, u8),
) {
    out.reserve(bytes.len() + 16);
    let mut rest = bytes;
    while let Some((special, length)) = first(rest, &is_special) {
        let (plain, behind) = rest.split_at(length);
        out.extend_from_slice(plain);
        escape(out, special);
        rest = behind.get(1..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

/// The first special byte, and how many come before it.
fn first(bytes: &[u8], is_special: &impl Fn(u8) -> bool) -> Option<(u8, usize)> {
    let (blocks, _) = bytes.as_chunks::<32>();
    // Without a way out in its middle a block is looked at as a whole.
    let is_plain = |block: &&[u8; 32]| !block.iter().fold(false, |found, byte| found | is_special(*byte));
    let start = blocks.iter().take_while(is_plain).count() * 32;
    let rest = bytes.get(start..).unwrap_or_default();
    let found = rest.iter().copied().enumerate().find(|(_, byte)| is_special(*byte));
    found.map(|(place, byte)| (byte, start + place))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(family: Family) -> TableColumn {
        TableColumn {
            name: "c".into(),
            family,
            column_type: String::new(),
            nullable: true,
            generated: false,
            on_update: false,
            default: None,
            auto_increment: false,
        }
    }

    fn check(value: Value<'_>, family: Family, expected: &str) {
        let mut out = Vec::new();
        push(&mut out, &value, &column(family)).unwrap();
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    #[test]
    fn the_session_is_the_one_that_guarded_triggers_know() {
        let set = format!("{} = 1,", crate::model::stored::APPLYING_VARIABLE);
        assert!(SESSION.contains(&set), "{SESSION}");
    }

    #[test]
    fn special_bytes_are_escaped_wherever_they_stand() {
        for length in [1, 31, 32, 33, 64, 70, 97] {
            for special in 0..length {
                let mut bytes = vec![b'a'; length];
                bytes[special] = b'\'';
                bytes[length - 1] = b'\\';
                let mut out = Vec::new();
                push_utf8(&mut out, &bytes);
                let plain = String::from_utf8(bytes).unwrap();
                let escaped = plain.replace('\\', r"\\").replace('\'', r"\'");
                assert_eq!(String::from_utf8(out).unwrap(), format!("'{escaped}'"));
            }
        }
    }

    #[test]
    fn values_print_as_literals_that_keep_every_bit() {
        check(Value::Null, Family::Blob, "NULL");
        check(Value::Int(i64::MIN), Family::Integer, "-9223372036854775808");
        check(Value::UInt(u64::MAX), Family::Integer, "18446744073709551615");
        check(Value::Double(-0.0), Family::Float, "-0e0");
        check(Value::Float(0.1), Family::Float, "1.0000000149011612e-1");
        check(Value::Bytes(b"a'\\\0\n"), Family::Blob, r"_binary'a\'\\\0\n'");
        check(Value::Bytes(b"a"), Family::Binary { length: 3 }, r"_binary'a\0\0'");
        check(
            Value::Date {
                year: 0,
                month: 0,
                day: 0,
            },
            Family::Date,
            "'0000-00-00'",
        );
        check(
            Value::Time {
                negative: true,
                hours: 838,
                minutes: 59,
                seconds: 59,
                micros: 120_000,
            },
            Family::Time { fsp: 2 },
            "'-838:59:59.12'",
        );
        check(
            Value::Timestamp { seconds: 0, micros: 0 },
            Family::Timestamp { fsp: 3 },
            "'0000-00-00 00:00:00.000'",
        );
        check(
            Value::Timestamp {
                seconds: 951_782_400,
                micros: 5,
            },
            Family::Timestamp { fsp: 6 },
            "'2000-02-29 00:00:00.000005'",
        );
        check(
            Value::Timestamp {
                seconds: 2_147_483_647,
                micros: 0,
            },
            Family::Timestamp { fsp: 0 },
            "'2038-01-19 03:14:07'",
        );
        check(
            Value::Timestamp {
                seconds: 1_709_251_199,
                micros: 0,
            },
            Family::Timestamp { fsp: 0 },
            "'2024-02-29 23:59:59'",
        );
    }
}
