//! JSON documents as SQL expressions that store the very same document.
//!
//! JSON text covers what JSON knows. SQL values that were put into a document (DECIMAL, DATE, TIME, DATETIME,
//! TIMESTAMP, binary strings, BIT) have no text form of their own: the document is made of its text first, and those
//! values are then put in their places with `JSON_REPLACE`, which keeps the types of its arguments. The same goes for
//! unsigned integers, as text makes a signed one of what fits it.
//!
//! A binary string has the type of the column it came from, and expressions make VARBINARY (15) or one of the larger
//! BLOBs, by length. A column of `JSON_TABLE` (MySQL 8.0.4) makes any of them; the conversion to JSON has to take place
//! beside it, as a value that leaves the subquery is a BLOB (252) whatever it was before. The bytes have to go in as a
//! literal, whatever their length: of a function's BLOB, `JSON_TABLE` takes the text `base64:…`. And the session needs a default database, or a
//! joined UPDATE is refused. Seen on MySQL 9.7.

use crate::{
    binlog::{
        Malformed, decimal,
        jsonb::{self, Node, field_type},
    },
    model::value::Value,
};

use super::{json_path::Path, literal};

/// A value of a document that its text leaves out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Typed {
    /// Where it stands.
    pub(crate) path: String,
    /// An expression that makes it.
    pub(crate) expression: Vec<u8>,
}

/// Appends an expression of type JSON.
///
/// # Errors
/// If the document is malformed, or holds an SQL value of a type that no expression makes.
pub fn push(out: &mut Vec<u8>, document: &[u8]) -> Result<(), Malformed> {
    let mut text = String::with_capacity(document.len());
    jsonb::to_text(document, &mut text)?;
    let typed = if has_typed(document)? {
        typed_values(document)?
    } else {
        Vec::new()
    };
    push_document(out, &text, &typed);
    Ok(())
}

/// Appends the document that `text` is, but for the values in `typed`.
pub(crate) fn push_document(out: &mut Vec<u8>, text: &str, typed: &[Typed]) {
    if !typed.is_empty() {
        out.extend_from_slice(b"JSON_REPLACE(");
    }
    out.extend_from_slice(b"CAST(");
    literal::push_string(out, text);
    out.extend_from_slice(b" AS JSON)");
    for value in typed {
        out.push(b',');
        literal::push_string(out, &value.path);
        out.push(b',');
        out.extend_from_slice(&value.expression);
    }
    if !typed.is_empty() {
        out.push(b')');
    }
}

/// Whether the document's text makes another document.
fn has_typed(document: &[u8]) -> Result<bool, Malformed> {
    for node in jsonb::nodes(document) {
        match node? {
            Node::Opaque { .. } => return Ok(true),
            Node::UInt(number) if reads_as_signed(number) => return Ok(true),
            _ => {}
        }
    }
    Ok(false)
}

/// What fits a signed integer is one, when it comes from text.
fn reads_as_signed(number: u64) -> bool {
    i64::try_from(number).is_ok()
}

fn typed_values(document: &[u8]) -> Result<Vec<Typed>, Malformed> {
    let mut typed = Vec::new();
    let mut path = Path::new();
    let mut quoted = String::new();
    for node in jsonb::nodes(document) {
        let node = node?;
        match node {
            Node::End => path.close(),
            Node::Key(name) => {
                quoted.clear();
                jsonb::push_string(name, &mut quoted);
                path.key(&quoted);
            }
            _ => path.value(),
        }
        match node {
            Node::Object { .. } => path.open(false),
            Node::Array { .. } => path.open(true),
            Node::Opaque { field_type, value } => {
                let mut expression = Vec::new();
                push_sql_value(&mut expression, field_type, &value)?;
                typed.push(Typed {
                    path: path.as_str().to_owned(),
                    expression,
                });
            }
            Node::UInt(number) if reads_as_signed(number) => {
                let expression = format!("CAST({number} AS UNSIGNED)").into_bytes();
                typed.push(Typed {
                    path: path.as_str().to_owned(),
                    expression,
                });
            }
            Node::Key(_)
            | Node::End
            | Node::Null
            | Node::Bool(_)
            | Node::Int(_)
            | Node::UInt(_)
            | Node::Double(_)
            | Node::Str(_) => {}
        }
    }
    Ok(typed)
}

fn push_sql_value(out: &mut Vec<u8>, kind: u8, value: &Value<'_>) -> Result<(), Malformed> {
    match *value {
        Value::Decimal {
            bytes,
            precision,
            scale,
        } => {
            let mut text = String::new();
            decimal::write(bytes, precision, scale, &mut text)?;
            push_decimal(out, &text, usize::from(precision.saturating_sub(scale)));
        }
        Value::Date { .. } | Value::Time { .. } | Value::DateTime { .. } => {
            let mut text = Vec::new();
            literal::push_temporal(&mut text, value, 6);
            push_temporal(out, kind, &String::from_utf8_lossy(&text));
        }
        Value::Bytes(bytes) => push_bytes(out, kind, bytes)?,
        _ => return Err(NO_EXPRESSION),
    }
    Ok(())
}

const NO_EXPRESSION: Malformed = Malformed(
    "it holds a JSON document with an SQL value of a type for which there is no expression; change the value at the \
     source to a plain JSON one",
);

/// Appends a DECIMAL. JSON keeps digits before the point of which there may be more than the number needs: zeros that
/// a literal begins with count, and CAST fills the first group of nine digits, as many columns do.
pub(crate) fn push_decimal(out: &mut Vec<u8>, text: &str, integer_digits: usize) {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
    let (integer, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let (integer, scale) = (integer.trim_start_matches('0'), fraction.len());
    // A DECIMAL has 65 digits at most.
    let width = integer_digits.min(65_usize.saturating_sub(scale));
    let expression = if integer_digits > integer.len() && integer_digits.is_multiple_of(9) {
        format!("CAST('{text}' AS DECIMAL({},{scale}))", width + scale)
    } else {
        let width = width.max(usize::from(scale == 0));
        format!("{sign}{integer:0>width$}.{fraction}")
    };
    out.extend_from_slice(expression.as_bytes());
}

/// Appends a DATE, TIME, DATETIME or TIMESTAMP, by its number in [`field_type`].
pub(crate) fn push_temporal(out: &mut Vec<u8>, kind: u8, text: &str) {
    let (before, after) = match kind {
        field_type::DATE => ("CAST('", "' AS DATE)"),
        field_type::TIME => ("CAST('", "' AS TIME(6))"),
        // There is no CAST to TIMESTAMP.
        field_type::TIMESTAMP => (
            "(SELECT CAST(x AS JSON) FROM JSON_TABLE('[\"",
            "\"]','$[*]' COLUMNS(x TIMESTAMP(6) PATH '$' ERROR ON ERROR)) AS j)",
        ),
        _ => ("CAST('", "' AS DATETIME(6))"),
    };
    out.extend_from_slice(before.as_bytes());
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(after.as_bytes());
}

/// Appends a binary string or BIT, of the type with the number `kind`.
///
/// # Errors
/// If no column type makes such values.
pub(crate) fn push_bytes(out: &mut Vec<u8>, kind: u8, bytes: &[u8]) -> Result<(), Malformed> {
    let length = bytes.len();
    let column = match kind {
        // VARCHAR; old servers wrote VAR_STRING.
        15 | 253 => format!("VARBINARY({length})"),
        // STRING.
        254 if length <= 255 => format!("BINARY({length})"),
        249 => "TINYBLOB".to_owned(),
        250 => "MEDIUMBLOB".to_owned(),
        251 => "LONGBLOB".to_owned(),
        field_type::BLOB => "BLOB".to_owned(),
        field_type::BIT if (1..=8).contains(&length) => format!("BIT({})", length * 8),
        _ => return Err(NO_EXPRESSION),
    };
    // A BIT column takes a number only.
    let (before, after) = if kind == field_type::BIT {
        ("CAST(CONV(HEX(", "),16,10) AS UNSIGNED)")
    } else {
        ("", "")
    };
    out.extend_from_slice(b"(SELECT CAST(x AS JSON) FROM JSON_TABLE(JSON_ARRAY(");
    out.extend_from_slice(before.as_bytes());
    literal::push_binary(out, bytes, 0);
    out.extend_from_slice(after.as_bytes());
    out.extend_from_slice(format!("),'$[*]' COLUMNS(x {column} PATH '$' ERROR ON ERROR)) AS j)").as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(document: &[u8], expected: &str) {
        let mut out = Vec::new();
        push(&mut out, document).unwrap();
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    #[test]
    fn plain_documents_travel_as_text() {
        check(b"", "CAST('null' AS JSON)");
        check(b"\x0c\x03it'", r#"CAST('"it\'"' AS JSON)"#);
    }

    #[test]
    fn sql_values_are_put_into_their_places() {
        check(
            b"\x0f\xf6\x04\x04\x02\x81\x32",
            "JSON_REPLACE(CAST('1.50' AS JSON),'$',01.50)",
        );
        check(
            b"\x0f\xf9\x02\x00a",
            "JSON_REPLACE(CAST('\"base64:type249:AGE=\"' AS JSON),'$',(SELECT CAST(x AS JSON) FROM \
             JSON_TABLE(JSON_ARRAY(_binary'\\0a'),'$[*]' COLUMNS(x TINYBLOB PATH '$' ERROR ON ERROR)) AS j))",
        );
        check(&[6, 5, 0], "JSON_REPLACE(CAST('5' AS JSON),'$',CAST(5 AS UNSIGNED))");
        assert_eq!(push(&mut Vec::new(), b"\x0f\xf2\x01a"), Err(NO_EXPRESSION));
    }

    #[test]
    fn decimals_keep_the_digits_they_are_stored_with() {
        let check = |text: &str, digits: usize, expected: &str| {
            let mut out = Vec::new();
            push_decimal(&mut out, text, digits);
            assert_eq!(String::from_utf8_lossy(&out), expected);
        };
        check("0.50", 0, ".50");
        check("0.50", 1, "0.50");
        check("-12.5", 4, "-0012.5");
        check("-1.5", 9, "CAST('-1.5' AS DECIMAL(10,1))");
        check("123456789.5", 9, "123456789.5");
        check("7", 1, "7.");
        check("0", 0, "0.");
        check("123", 0, "123.");
    }
}
