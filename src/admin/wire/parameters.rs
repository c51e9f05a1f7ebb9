//! Parameters of prepared statements, as COM_STMT_EXECUTE carries them. Pure.
//!
//! Behind the statement's number: flags, a count of iterations, then if there are parameters a bit per parameter that is
//! NULL, whether their types follow (else those of the time before hold), the types, and the values. What came by
//! COM_STMT_SEND_LONG_DATA has no value there.

use std::collections::BTreeMap;

use super::input::Input;
use super::{Cell, SqlError};

/// A parameter's type: MySQL's number of it, and whether it is unsigned.
pub(super) type Type = (u8, bool);

/// Reads the values of `count` parameters from a packet behind the statement's number. `types` are those of the last
/// execution, and afterwards those of this one.
pub(super) fn read(
    bytes: &[u8],
    count: usize,
    types: &mut Vec<Type>,
    long: &BTreeMap<u16, Vec<u8>>,
) -> Result<Vec<Cell>, SqlError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let mut input = Input(bytes);
    let values = values(&mut input, count, types, long);
    values.unwrap_or_else(|| Err(malformed()))
}

fn malformed() -> SqlError {
    SqlError::new(
        1210,
        "HY000",
        "Incorrect arguments to EXECUTE: the parameters can't be read",
    )
}

/// `None` where the packet ends too early or makes no sense.
fn values(
    input: &mut Input<'_>,
    count: usize,
    types: &mut Vec<Type>,
    long: &BTreeMap<u16, Vec<u8>>,
) -> Option<Result<Vec<Cell>, SqlError>> {
    input.take(1 + 4)?; // no cursors here; always one iteration
    let nulls = input.take(count.div_ceil(8))?;
    let [types_follow] = input.array()?;
    if types_follow == 1 {
        let pairs = input.take(count.checked_mul(2)?)?.chunks_exact(2);
        *types = pairs
            .filter_map(|pair| Some((*pair.first()?, pair.get(1)? & 0x80 != 0)))
            .collect();
    }
    if types.len() != count {
        return None;
    }
    let mut all = Vec::with_capacity(count);
    for (at, (number, unsigned)) in types.iter().enumerate() {
        let is_null = nulls.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1);
        let sent = u16::try_from(at).ok().and_then(|at| long.get(&at));
        let value = match (is_null, sent) {
            (true, _) => Ok(Cell::Null),
            (false, Some(bytes)) => text(bytes),
            (false, None) => value(input, *number, *unsigned)?,
        };
        match value {
            Ok(value) => all.push(value),
            Err(error) => return Some(Err(error)),
        }
    }
    Some(Ok(all))
}

fn value(input: &mut Input<'_>, number: u8, unsigned: bool) -> Option<Result<Cell, SqlError>> {
    let cell = match (number, unsigned) {
        (6, _) => Cell::Null,
        (1, false) => Cell::Int(i8::from_le_bytes(input.array()?).into()),
        (1 | 244, _) => Cell::Int(u8::from_le_bytes(input.array()?).into()),
        (2, false) => Cell::Int(i16::from_le_bytes(input.array()?).into()),
        (2 | 13, _) => Cell::Int(u16::from_le_bytes(input.array()?).into()),
        (3 | 9, false) => Cell::Int(i32::from_le_bytes(input.array()?).into()),
        (3 | 9, true) => Cell::Int(u32::from_le_bytes(input.array()?).into()),
        (8, false) => Cell::Int(i64::from_le_bytes(input.array()?)),
        (8, true) => Cell::UInt(u64::from_le_bytes(input.array()?)),
        // By way of its decimal digits: 0.1 as FLOAT is 0.1, not 0.10000000149011612.
        (4, _) => Cell::Double(f32::from_le_bytes(input.array()?).to_string().parse().ok()?),
        (5, _) => Cell::Double(f64::from_le_bytes(input.array()?)),
        (7 | 10 | 12, _) => Cell::Text(date(input)?),
        (11, _) => Cell::Text(time(input)?),
        // DECIMAL, VARCHAR, BIT, JSON, NEWDECIMAL, ENUM, SET, the BLOBs, VAR_STRING, STRING.
        (0 | 15 | 16 | 245..=254, _) => {
            let length = length(input)?;
            return Some(text(input.take(length)?));
        }
        _ => return None,
    };
    Some(Ok(cell))
}

fn text(bytes: &[u8]) -> Result<Cell, SqlError> {
    let text = std::str::from_utf8(bytes).map_err(|_| {
        SqlError::new(
            1300,
            "HY000",
            "Invalid utf8mb4 character string: a parameter is not UTF-8",
        )
    })?;
    Ok(Cell::Text(text.to_owned()))
}

/// DATE, DATETIME and TIMESTAMP: 0, 4, 7 or 11 bytes.
fn date(input: &mut Input<'_>) -> Option<String> {
    let [length] = input.array()?;
    if length == 0 {
        return Some("0000-00-00 00:00:00".to_owned());
    }
    let year = u16::from_le_bytes(input.array()?);
    let [month, day] = input.array()?;
    let mut text = format!("{year:04}-{month:02}-{day:02}");
    if length >= 7 {
        let [hour, minute, second] = input.array()?;
        text += &format!(" {hour:02}:{minute:02}:{second:02}");
    }
    if length >= 11 {
        text += &format!(".{:06}", u32::from_le_bytes(input.array()?));
    }
    matches!(length, 4 | 7 | 11).then_some(text)
}

/// TIME: 0, 8 or 12 bytes.
fn time(input: &mut Input<'_>) -> Option<String> {
    let [length] = input.array()?;
    if length == 0 {
        return Some("00:00:00".to_owned());
    }
    let [negative] = input.array()?;
    let days = u32::from_le_bytes(input.array()?);
    let [hour, minute, second] = input.array()?;
    let sign = if negative == 0 { "" } else { "-" };
    let hours = u64::from(days) * 24 + u64::from(hour);
    let mut text = format!("{sign}{hours:02}:{minute:02}:{second:02}");
    if length >= 12 {
        text += &format!(".{:06}", u32::from_le_bytes(input.array()?));
    }
    matches!(length, 8 | 12).then_some(text)
}

/// A number in MySQL's variable-length form.
fn length(input: &mut Input<'_>) -> Option<usize> {
    let [first] = input.array()?;
    match first {
        0..=0xfa => Some(usize::from(first)),
        0xfc => input.number(2),
        0xfd => input.number(3),
        0xfe => input.number(8),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packet(nulls: u8, types: &[(u8, u8)], values: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 1, 0, 0, 0, nulls, 1];
        bytes.extend(types.iter().flat_map(|(number, flags)| [*number, *flags]));
        bytes.extend(values);
        bytes
    }

    #[test]
    fn every_type_of_parameter_is_read() {
        let check = |number: u8, unsigned: bool, value: &[u8], expected: Cell| {
            let bytes = packet(0, &[(number, if unsigned { 0x80 } else { 0 })], value);
            let found = read(&bytes, 1, &mut Vec::new(), &BTreeMap::new());
            assert_eq!(found, Ok(vec![expected]), "type {number}");
        };
        let text = |text: &str| Cell::Text(text.into());
        check(1, false, &[0xff], Cell::Int(-1));
        check(1, true, &[0xff], Cell::Int(255));
        check(244, false, &[1], Cell::Int(1));
        check(2, false, &[0xfe, 0xff], Cell::Int(-2));
        check(13, false, &[0xea, 0x07], Cell::Int(2026));
        check(3, false, &[0xff; 4], Cell::Int(-1));
        check(9, true, &[0xff; 4], Cell::Int(u32::MAX.into()));
        check(8, false, &[0xff; 8], Cell::Int(-1));
        check(8, true, &[0xff; 8], Cell::UInt(u64::MAX));
        check(4, false, &0.1_f32.to_le_bytes(), Cell::Double(0.1));
        check(5, false, &0.1_f64.to_le_bytes(), Cell::Double(0.1));
        check(6, false, &[], Cell::Null);
        check(253, false, "\x03ü?".as_bytes(), text("ü?"));
        check(246, false, b"\x0412.5", text("12.5"));
        check(252, false, b"\xfc\x01\x00x", text("x"));
        check(10, false, &[4, 0xea, 7, 11, 22], text("2026-11-22"));
        check(12, false, &[7, 0xea, 7, 11, 22, 20, 5, 9], text("2026-11-22 20:05:09"));
        check(
            7,
            false,
            &[11, 0xea, 7, 1, 2, 3, 4, 5, 6, 0, 0, 0],
            text("2026-01-02 03:04:05.000006"),
        );
        check(12, false, &[0], text("0000-00-00 00:00:00"));
        check(11, false, &[8, 1, 1, 0, 0, 0, 2, 3, 4], text("-26:03:04"));
    }

    #[test]
    fn types_hold_until_others_come_and_long_data_stands_for_a_value() {
        let mut types = Vec::new();
        let long = BTreeMap::from([(1, b"long".to_vec())]);
        let first = packet(0b100, &[(1, 0), (252, 0), (1, 0)], &[5]);
        let expected = vec![Cell::Int(5), Cell::Text("long".into()), Cell::Null];
        assert_eq!(read(&first, 3, &mut types, &long), Ok(expected.clone()));
        let again = [0, 1, 0, 0, 0, 0b100, 0, 5];
        assert_eq!(read(&again, 3, &mut types, &long), Ok(expected));
        assert_eq!(
            read(&again, 3, &mut Vec::new(), &long).unwrap_err().code,
            1210,
            "no types ever came"
        );
    }

    #[test]
    fn what_can_not_be_read_is_an_error() {
        let check = |bytes: &[u8], code: u16| {
            let found = read(bytes, 1, &mut Vec::new(), &BTreeMap::new());
            assert_eq!(found.unwrap_err().code, code, "{bytes:?}");
        };
        check(b"", 1210);
        check(&packet(0, &[(8, 0)], &[1]), 1210);
        check(&packet(0, &[(255, 0)], &[1]), 1210);
        check(&packet(0, &[(253, 0)], b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff"), 1210);
        check(&packet(0, &[(12, 0)], &[5, 0, 0, 1, 1, 1]), 1210);
        check(&packet(0, &[(253, 0)], b"\x01\xff"), 1300);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60), count in 0_usize..20) {
            if let Ok(values) = read(&bytes, count, &mut Vec::new(), &BTreeMap::new()) {
                prop_assert_eq!(values.len(), count);
            }
        }
    }
}
