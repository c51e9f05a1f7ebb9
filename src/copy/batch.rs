//! Rows on their way to the destination.

use std::borrow::Cow;

use mysql_async::Value;

use crate::{
    model::table::{Family, TableColumn},
    sql::literal,
};

/// A batch is sent when it has this many bytes.
const BATCH_BYTES: usize = 1 << 20;

/// How rows are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `(literal,…),(literal,…)`, for INSERT.
    Values,
    /// A row a line, with tabs between its values, as LOAD DATA reads them by default.
    Lines,
}

/// Rows in one form.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) form: Form,
    pub(super) bytes: Vec<u8>,
    pub(super) rows: u64,
    /// One of them holds an ENUM's error value, see [`crate::sql::set::LENIENT_HINT`].
    pub(super) error_value: bool,
}

impl Batch {
    pub(super) fn new(form: Form) -> Self {
        Self {
            form,
            bytes: Vec::new(),
            rows: 0,
            error_value: false,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= BATCH_BYTES
    }

    /// Appends a row that was read with [`super::read::expression`]. `expressions`, which only [`Form::Values`] can hold,
    /// stand for some of its values.
    pub(super) fn push(&mut self, values: &[Value], columns: &[TableColumn], expressions: &[(usize, Vec<u8>)]) {
        let out = &mut self.bytes;
        if out.is_empty() {
            out.reserve(BATCH_BYTES + BATCH_BYTES / 8);
        }
        let (before, between, behind): (&[u8], _, _) = match self.form {
            Form::Values if out.is_empty() => (b"(", b',', b')'),
            Form::Values => (b",(", b',', b')'),
            Form::Lines => (b"", b'\t', b'\n'),
        };
        out.extend_from_slice(before);
        for (place, (value, column)) in values.iter().zip(columns).enumerate() {
            if place > 0 {
                out.push(between);
            }
            match self.form {
                Form::Values => {
                    self.error_value |= is_error_value(value, column);
                    match expressions.iter().find(|(of, _)| *of == place) {
                        Some((_, expression)) => out.extend_from_slice(expression),
                        None => push_literal(out, value, column),
                    }
                }
                Form::Lines => push_field(out, value),
            }
        }
        out.push(behind);
        self.rows += 1;
    }
}

/// Whether a value is what an ENUM holds where none of its members was given.
fn is_error_value(value: &Value, column: &TableColumn) -> bool {
    column.column_type.starts_with("enum") && matches!(value, Value::Bytes(index) if index == b"0")
}

/// The text of a value; `None` for NULL.
fn text(value: &Value) -> Option<Cow<'_, [u8]>> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(Cow::Borrowed(bytes)),
        // The text protocol has nothing else.
        other => Some(Cow::Owned(other.as_sql(true).into_bytes())),
    }
}

/// Appends a value that was read with [`super::read::expression`] as a literal.
pub(super) fn push_literal(out: &mut Vec<u8>, value: &Value, column: &TableColumn) {
    let Some(bytes) = text(value) else {
        out.extend_from_slice(b"NULL");
        return;
    };
    match column.family {
        Family::Integer | Family::Decimal | Family::Number => out.extend_from_slice(&bytes),
        Family::Float => {
            out.extend_from_slice(&bytes);
            if !bytes.contains(&b'e') {
                out.extend_from_slice(b"e0");
            }
        }
        Family::Text { .. } | Family::Binary { .. } | Family::Blob | Family::Geometry | Family::Vector => {
            literal::push_binary(out, &bytes, 0);
        }
        Family::Date | Family::Time { .. } | Family::DateTime { .. } | Family::Timestamp { .. } | Family::Json => {
            literal::push_string(out, &String::from_utf8_lossy(&bytes));
        }
    }
}

/// Appends a value as a field of a line.
fn push_field(out: &mut Vec<u8>, value: &Value) {
    let Some(bytes) = text(value) else {
        out.extend_from_slice(br"\N");
        return;
    };
    // Any byte but a few letters and digits stands for itself behind a backslash.
    literal::push_escaping(
        out,
        &bytes,
        |byte| matches!(byte, b'\\' | b'\t' | b'\n'),
        |out, byte| {
            out.extend_from_slice(&[b'\\', byte]);
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(family: Family, column_type: &str) -> TableColumn {
        TableColumn {
            name: "c".into(),
            family,
            column_type: column_type.into(),
            nullable: true,
            generated: false,
            on_update: false,
            default: None,
            auto_increment: false,
        }
    }

    #[test]
    fn rows_are_written_down_in_both_forms() {
        let columns = [
            column(Family::Integer, "int"),
            column(Family::Blob, "blob"),
            column(Family::Number, "enum('a')"),
        ];
        let rows = [
            [
                Value::Bytes(b"-5".to_vec()),
                Value::Bytes(b"a\t\\\n'\0\xff".to_vec()),
                Value::NULL,
            ],
            [Value::NULL, Value::Bytes(b"".to_vec()), Value::Bytes(b"0".to_vec())],
        ];
        let check = |form: Form, expected: &[u8], error_value: bool| {
            let mut batch = Batch::new(form);
            rows.iter().for_each(|row| batch.push(row, &columns, &[]));
            assert_eq!(
                batch.bytes.escape_ascii().to_string(),
                expected.escape_ascii().to_string()
            );
            assert_eq!((batch.rows, batch.error_value), (2, error_value));
        };
        check(
            Form::Values,
            b"(-5,_binary'a\t\\\\\\n\\'\\0\xff',NULL),(NULL,_binary'',0)",
            true,
        );
        check(Form::Lines, b"-5\ta\\\t\\\\\\\n'\0\xff\t\\N\n\\N\t\t0\n", false);
    }
}
