//! JSON documents as SQL expressions that store the very same document.
//!
//! JSON text covers what JSON knows. SQL values that were put into a document (DECIMAL, DATE, TIME, DATETIME, binary
//! strings) have no text form: the part of the document around them is built with `JSON_OBJECT` and `JSON_ARRAY`,
//! which keep the types of their arguments.

use crate::{
    binlog::{
        Malformed, decimal,
        jsonb::{self, Node, field_type},
    },
    model::value::Value,
};

use super::literal;

/// Appends an expression of type JSON.
///
/// # Errors
/// If the document is malformed, or holds an SQL value of a type that no expression makes.
pub fn push(out: &mut Vec<u8>, document: &[u8]) -> Result<(), Malformed> {
    if !jsonb::has_opaque(document)? {
        let mut text = String::with_capacity(document.len());
        jsonb::to_text(document, &mut text)?;
        push_text(out, &text);
        return Ok(());
    }
    // CAST makes a bare SQL value a JSON one; on JSON it changes nothing.
    out.extend_from_slice(b"CAST(");
    push_expression(out, document)?;
    out.extend_from_slice(b" AS JSON)");
    Ok(())
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(b"CAST(");
    literal::push_string(out, text);
    out.extend_from_slice(b" AS JSON)");
}

fn push_expression(out: &mut Vec<u8>, document: &[u8]) -> Result<(), Malformed> {
    let mut first = true;
    let mut after_key = false;
    for node in jsonb::nodes(document) {
        let node = node?;
        if let Node::End = node {
            out.push(b')');
            first = false;
            continue;
        }
        if !first && !after_key {
            out.push(b',');
        }
        (first, after_key) = (false, false);
        match node {
            Node::Object { .. } => {
                out.extend_from_slice(b"JSON_OBJECT(");
                first = true;
            }
            Node::Array { .. } => {
                out.extend_from_slice(b"JSON_ARRAY(");
                first = true;
            }
            Node::Key(key) => {
                literal::push_string(out, key);
                out.push(b',');
                after_key = true;
            }
            Node::End => {}
            Node::Null => push_text(out, "null"),
            Node::Bool(value) => push_text(out, if value { "true" } else { "false" }),
            Node::Int(number) => push_text(out, &number.to_string()),
            Node::UInt(number) => push_text(out, &number.to_string()),
            Node::Double(number) => literal::push_double(out, number),
            Node::Str(text) => literal::push_string(out, text),
            Node::Opaque { field_type, value } => push_sql_value(out, field_type, &value)?,
        }
    }
    Ok(())
}

fn push_sql_value(out: &mut Vec<u8>, kind: u8, value: &Value<'_>) -> Result<(), Malformed> {
    match *value {
        Value::Decimal { bytes, precision, scale } => {
            let mut text = String::new();
            decimal::write(bytes, precision, scale, &mut text)?;
            out.extend_from_slice(format!("CAST('{text}' AS DECIMAL({precision},{scale}))").as_bytes());
        }
        Value::Date { .. } | Value::Time { .. } | Value::DateTime { .. } => {
            out.extend_from_slice(b"CAST('");
            literal::push_temporal(out, value, 6);
            out.extend_from_slice(match value {
                Value::Date { .. } => b"' AS DATE)",
                Value::Time { .. } => b"' AS TIME(6))",
                _ => b"' AS DATETIME(6))",
            });
        }
        // A binary string keeps the type it had where it came from; expressions make VARBINARY (VAR_STRING, 253) and
        // BLOB only.
        Value::Bytes(bytes) if matches!(kind, 15 | 253 | 254) => literal::push_binary(out, bytes, 0),
        Value::Bytes(bytes) if (249..=field_type::BLOB).contains(&kind) => {
            // The one expression of type BLOB: a binary string too long to be a VARBINARY has it by itself.
            out.extend_from_slice(b"FROM_BASE64(TO_BASE64(");
            literal::push_binary(out, bytes, 0);
            out.extend_from_slice(b"))");
        }
        _ => {
            return Err(Malformed(
                "it holds a JSON document with an SQL value (BIT, GEOMETRY, …) for which there is no expression; \
                 change the value at the source to a plain JSON one",
            ));
        }
    }
    Ok(())
}
