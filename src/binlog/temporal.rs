//! Temporal values in the formats that came with MySQL 5.6 (`TIME2`, `DATETIME2`, `TIMESTAMP2`), and in the packed
//! integers that JSON keeps them in.
//!
//! Zero dates and dates like 2024-02-31 are values that MySQL stores under some SQL modes; they pass. What no server
//! can have written (minute 60, month 13) is an error.

use super::cursor::Cursor;
use super::error::Malformed;
use crate::model::value::Value;

const MICROS_PER_SECOND: u32 = 1_000_000;

/// Bytes of a fraction of `fsp` digits.
#[inline]
pub(crate) fn fraction_len(fsp: u8) -> usize {
    usize::from(fsp.div_ceil(2))
}

/// Microseconds from a stored fraction: hundredths, ten-thousandths or millionths.
#[inline]
fn micros(stored: u32, fsp: u8) -> Result<u32, Malformed> {
    let micros = match fsp {
        0 => 0,
        1 | 2 => stored.saturating_mul(10_000),
        3 | 4 => stored.saturating_mul(100),
        _ => stored,
    };
    if micros >= MICROS_PER_SECOND {
        return Err(Malformed("a fraction of a second is a second or more"));
    }
    Ok(micros)
}

/// DATE: a day in 5 bits, a month in 4, a year in 15.
#[inline]
pub(crate) fn date<'a>(cursor: &mut Cursor<'_>) -> Result<Value<'a>, Malformed> {
    let [a, b, c] = cursor.array()?;
    let packed = u32::from_le_bytes([a, b, c, 0]);
    let value = Value::Date {
        year: low16(packed >> 9),
        month: low8((packed >> 5) & 15),
        day: low8(packed & 31),
    };
    if packed >> 9 > 9999 || (packed >> 5) & 15 > 12 {
        return Err(Malformed("a DATE has a month above 12 or a year above 9999"));
    }
    Ok(value)
}

/// TIME2: hours in 10 bits, minutes in 6, seconds in 6, then the fraction, all big-endian; as one number it is moved
/// up by half its range, so that it sorts, and a negative one carries its fraction negative as well.
#[inline]
pub(crate) fn time<'a>(cursor: &mut Cursor<'_>, fsp: u8) -> Result<Value<'a>, Malformed> {
    let length = 3 + fraction_len(fsp);
    let fraction_bits = 8 * fraction_len(fsp);
    let half = 1_i64 << (fraction_bits + 23);
    let stored = i64::try_from(cursor.uint_be(length)?).map_err(|_| Malformed::TRUNCATED)? - half;
    let size = stored.unsigned_abs();
    let fraction = u32::try_from(size & ((1 << fraction_bits) - 1)).unwrap_or(u32::MAX);
    time_value(stored < 0, size >> fraction_bits, micros(fraction, fsp)?)
}

#[inline]
fn time_value<'a>(negative: bool, hms: u64, micros: u32) -> Result<Value<'a>, Malformed> {
    let hms = u32::try_from(hms).map_err(|_| Malformed("a TIME is out of its range"))?;
    let (hours, minutes, seconds) = (hms >> 12, (hms >> 6) & 63, hms & 63);
    if hours > 838 || minutes > 59 || seconds > 59 {
        return Err(Malformed("a TIME is out of its range"));
    }
    Ok(Value::Time {
        negative,
        hours: low16(hours),
        minutes: low8(minutes),
        seconds: low8(seconds),
        micros,
    })
}

/// DATETIME2: a sign bit that is always set, 17 bits of year * 13 + month, 5 of the day, 5 + 6 + 6 of the time.
#[inline]
pub(crate) fn datetime<'a>(cursor: &mut Cursor<'_>, fsp: u8) -> Result<Value<'a>, Malformed> {
    let stored = cursor.uint_be(5)?;
    if stored >> 39 == 0 {
        return Err(Malformed("a DATETIME is negative"));
    }
    let fraction = fraction(cursor, fsp)?;
    datetime_value(stored & ((1 << 39) - 1), micros(fraction, fsp)?)
}

#[inline]
fn datetime_value<'a>(ymdhms: u64, micros: u32) -> Result<Value<'a>, Malformed> {
    let (ymd, hms) = (ymdhms >> 17, ymdhms & 0x1_ffff);
    let ym = u32::try_from(ymd >> 5).unwrap_or(u32::MAX);
    let hms = u32::try_from(hms).unwrap_or(u32::MAX);
    let (hour, minute, second) = (hms >> 12, (hms >> 6) & 63, hms & 63);
    if ym / 13 > 9999 || hour > 23 || minute > 59 || second > 59 {
        return Err(Malformed("a DATETIME is out of its range"));
    }
    Ok(Value::DateTime {
        year: low16(ym / 13),
        month: low8(ym % 13),
        day: u8::try_from(ymd & 31).unwrap_or(0),
        hour: low8(hour),
        minute: low8(minute),
        second: low8(second),
        micros,
    })
}

/// TIMESTAMP2: seconds since the epoch, then the fraction, both big-endian.
#[inline]
pub(crate) fn timestamp<'a>(cursor: &mut Cursor<'_>, fsp: u8) -> Result<Value<'a>, Malformed> {
    let seconds = u32::from_be_bytes(cursor.array()?);
    let fraction = fraction(cursor, fsp)?;
    Ok(Value::Timestamp {
        seconds,
        micros: micros(fraction, fsp)?,
    })
}

#[inline]
fn fraction(cursor: &mut Cursor<'_>, fsp: u8) -> Result<u32, Malformed> {
    u32::try_from(cursor.uint_be(fraction_len(fsp))?).map_err(|_| Malformed::TRUNCATED)
}

/// A date and time packed into an integer (`TIME_to_longlong_datetime_packed`), as JSON keeps it: 24 bits of
/// microseconds, and above them what DATETIME2 has.
pub(crate) fn packed_datetime<'a>(packed: i64) -> Result<Value<'a>, Malformed> {
    let packed = u64::try_from(packed).map_err(|_| Malformed("a DATETIME is negative"))?;
    datetime_value(packed >> 24, packed_micros(packed)?)
}

/// As [`packed_datetime`], of which only the date counts.
pub(crate) fn packed_date<'a>(packed: i64) -> Result<Value<'a>, Malformed> {
    match packed_datetime(packed)? {
        Value::DateTime { year, month, day, .. } => Ok(Value::Date { year, month, day }),
        other => Ok(other),
    }
}

/// A time packed into an integer (`TIME_to_longlong_time_packed`), as JSON keeps it.
pub(crate) fn packed_time<'a>(packed: i64) -> Result<Value<'a>, Malformed> {
    let size = packed.unsigned_abs();
    time_value(packed < 0, size >> 24, packed_micros(size)?)
}

fn packed_micros(packed: u64) -> Result<u32, Malformed> {
    micros(u32::try_from(packed & 0xff_ffff).unwrap_or(u32::MAX), 6)
}

/// The low byte; callers have masked or checked the number.
#[inline]
fn low8(number: u32) -> u8 {
    let [byte, ..] = number.to_le_bytes();
    byte
}

/// The low two bytes; callers have masked or checked the number.
#[inline]
fn low16(number: u32) -> u16 {
    let [a, b, ..] = number.to_le_bytes();
    u16::from_le_bytes([a, b])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time_of(hex: &str, fsp: u8) -> Result<Value<'static>, Malformed> {
        time(&mut Cursor::new(&hex::decode(hex).unwrap()), fsp)
    }

    #[test]
    fn times_keep_their_sign_and_fraction() {
        let check = |hex, fsp, negative, hours, minutes, seconds, micros| {
            let expected = Value::Time {
                negative,
                hours,
                minutes,
                seconds,
                micros,
            };
            assert_eq!(time_of(hex, fsp), Ok(expected), "{hex}");
        };
        // The table in MySQL's my_time.cc, `my_time_packed_from_binary`.
        check("800001", 0, false, 0, 0, 1, 0);
        check("80000001", 2, false, 0, 0, 0, 10_000);
        check("80000000", 2, false, 0, 0, 0, 0);
        check("7fffffff", 2, true, 0, 0, 0, 10_000);
        check("7fffff9d", 2, true, 0, 0, 0, 990_000);
        check("7fffff00", 2, true, 0, 0, 1, 0);
        check("7ffffeff", 2, true, 0, 0, 1, 10_000);
        check("7ffffef6", 2, true, 0, 0, 1, 100_000);
        check("b46efb", 0, false, 838, 59, 59, 0);
        check("4b9105", 0, true, 838, 59, 59, 0);
        check("800000000001", 6, false, 0, 0, 0, 1);
        check("7fffffffffff", 6, true, 0, 0, 0, 1);
    }

    #[test]
    fn times_that_no_server_writes_are_refused() {
        assert!(time_of("80003c", 0).is_err(), "second 60");
        assert!(time_of("800f00", 0).is_err(), "minute 60");
        assert!(time_of("ffffff", 0).is_err(), "hour 1023");
        assert!(time_of("80000064", 2).is_err(), "100 hundredths");
        assert!(time_of("8000", 0).is_err(), "two bytes");
    }

    #[test]
    fn datetimes_are_checked() {
        let check = |hex: &str, fsp, expected| {
            let bytes = hex::decode(hex).unwrap();
            assert_eq!(datetime(&mut Cursor::new(&bytes), fsp).ok(), expected, "{hex}");
        };
        let zero = Value::DateTime {
            year: 0,
            month: 0,
            day: 0,
            hour: 0,
            minute: 0,
            second: 0,
            micros: 0,
        };
        check("8000000000", 0, Some(zero));
        check("80000000003c", 0, Some(zero)); // what follows is not looked at
        check("800000003c", 0, None);
        check("8000018000", 0, None);
        check("0000000000", 0, None);
        check("ffffffffff", 0, None);
    }
}
