//! DECIMAL in MySQL's packed format, made readable.
//!
//! Nine digits take four bytes, big-endian; what is left over, at the outer ends of both parts, takes as few bytes as
//! can hold it. The first bit says whether the number is positive; in a negative one all bits are flipped. So packed
//! decimals of one type compare as byte strings.

use super::cursor::Cursor;
use super::error::Malformed;

/// The most digits a DECIMAL column has.
pub const MAX_PRECISION: u8 = 65;
/// The most digits a DECIMAL has after the point.
pub const MAX_SCALE: u8 = 30;
/// The most digits a packed decimal has room for. In JSON, the server counts the digits before the point in whole
/// groups, so that a number of 65 digits has a precision of 72 there.
const MAX_DIGITS: u8 = 81;

/// Bytes taken by 0 to 8 digits.
const BYTES_OF_DIGITS: [u8; 9] = [0, 1, 1, 2, 2, 3, 3, 4, 4];
const DIGITS_IN_GROUP: u8 = 9;
const POWERS_OF_TEN: [u32; 10] = [
    1,
    10,
    100,
    1_000,
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    100_000_000,
    1_000_000_000,
];

/// How many bytes a packed decimal of `precision` digits, `scale` of them after the point, takes.
///
/// # Errors
/// If there is no such decimal.
#[inline]
pub fn packed_len(precision: u8, scale: u8) -> Result<usize, Malformed> {
    if precision == 0 || precision > MAX_DIGITS || scale > MAX_SCALE || scale > precision {
        return Err(Malformed("DECIMAL has a precision or scale that MySQL does not know"));
    }
    Ok(part_len(precision - scale) + part_len(scale))
}

#[inline]
fn part_len(digits: u8) -> usize {
    let over = BYTES_OF_DIGITS.get(usize::from(digits % DIGITS_IN_GROUP));
    usize::from(digits / DIGITS_IN_GROUP * 4 + over.copied().unwrap_or(0))
}

/// Appends a packed decimal as MySQL prints it: exactly `scale` digits after the point, and no zeros before the first
/// digit but one if there is no other.
///
/// # Errors
/// If the bytes are not a DECIMAL(precision, scale).
pub fn write(bytes: &[u8], precision: u8, scale: u8, out: &mut String) -> Result<(), Malformed> {
    if bytes.len() != packed_len(precision, scale)? {
        return Err(Malformed("a DECIMAL has the wrong length"));
    }
    let negative = bytes.first().is_none_or(|byte| byte & 0x80 == 0);
    let mut plain = [0; 40]; // 81 digits take at most 38 bytes
    for (position, (target, byte)) in plain.iter_mut().zip(bytes).enumerate() {
        let sign = if position == 0 { 0x80 } else { 0 };
        let flip = if negative { 0xff } else { 0 };
        *target = byte ^ sign ^ flip;
    }
    let mut cursor = Cursor::new(plain.get(..bytes.len()).unwrap_or_default());
    let mut digits = [0; 96];
    let mut filled = 0;
    let integral = precision - scale;
    let start = integral % DIGITS_IN_GROUP;
    let groups = integral / DIGITS_IN_GROUP + scale / DIGITS_IN_GROUP;
    let end = scale % DIGITS_IN_GROUP;
    let sizes = std::iter::once(start)
        .chain(std::iter::repeat_n(DIGITS_IN_GROUP, usize::from(groups)))
        .chain(std::iter::once(end));
    for size in sizes {
        let mut number = cursor.uint_be(part_len(size))?;
        if POWERS_OF_TEN
            .get(usize::from(size))
            .is_none_or(|limit| number >= u64::from(*limit))
        {
            return Err(Malformed("a group of digits in a DECIMAL is too large"));
        }
        let group = digits.get_mut(filled..filled + usize::from(size)).unwrap_or_default();
        for digit in group.iter_mut().rev() {
            *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
            number /= 10;
        }
        filled += usize::from(size);
    }
    let (whole, fraction) = digits.get(..filled).unwrap_or_default().split_at(usize::from(integral));
    // MySQL has no negative zero.
    if negative && digits.iter().any(|digit| matches!(digit, b'1'..=b'9')) {
        out.push('-');
    }
    let leading = whole.iter().take_while(|digit| **digit == b'0').count();
    match whole.get(leading..) {
        Some(shown) if !shown.is_empty() => push_digits(shown, out),
        _ => out.push('0'),
    }
    if !fraction.is_empty() {
        out.push('.');
        push_digits(fraction, out);
    }
    Ok(())
}

fn push_digits(digits: &[u8], out: &mut String) {
    out.extend(digits.iter().map(|digit| char::from(*digit)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(hex: &str, precision: u8, scale: u8) -> Result<String, Malformed> {
        let mut out = String::new();
        write(&hex::decode(hex).unwrap(), precision, scale, &mut out)?;
        Ok(out)
    }

    #[test]
    fn decimals_print_as_mysql_prints_them() {
        let check = |hex: &str, precision, scale, expected: &str| {
            assert_eq!(text(hex, precision, scale).as_deref(), Ok(expected), "{hex}");
        };
        // The manual's example in strings/decimal.cc: 1234567890.1234 as DECIMAL(14,4).
        check("810dfb38d204d2", 14, 4, "1234567890.1234");
        check("7ef204c72dfb2d", 14, 4, "-1234567890.1234");
        check("8000", 4, 2, "0.00");
        check("80", 1, 0, "0");
        check("7e", 2, 2, "-0.01");
        check("8105", 4, 2, "1.05");
        check("7f", 2, 0, "0");
        check("89", 1, 0, "9");
        check("e3", 2, 0, "99");
        // As it stands in JSON: 36 and 30 digits.
        let (packed, text) = (
            format!("80000001{}", "00".repeat(26)),
            format!("1{}.{}", "0".repeat(27), "0".repeat(30)),
        );
        check(&packed, 66, 30, &text);
    }

    #[test]
    fn what_is_no_decimal_is_refused() {
        assert!(text("8a", 1, 0).is_err(), "the digit 10");
        assert!(text("8000", 1, 0).is_err(), "too long");
        assert!(text("", 1, 0).is_err(), "too short");
        assert!(text("80", 0, 0).is_err(), "no digits");
        assert!(text(&"80".repeat(37), 82, 0).is_err(), "too many digits");
        assert!(text("80", 1, 2).is_err(), "scale above precision");
        assert!(text("ffffffff", 9, 0).is_err(), "a group above 999,999,999");
    }
}
