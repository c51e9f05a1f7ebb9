//! Reads the rows of a range, each as a list of literals ready to be written.

use std::borrow::Cow;

use mysql_async::{Conn, QueryResult, Row, TextProtocol, Value, prelude::Queryable};

use crate::{
    failure::Failure,
    model::table::{Family, Table, TableColumn},
    sql::{ident, literal, set},
};

use super::{
    copied_columns, json,
    range::{Bounds, key_columns},
};

/// A column in the SELECT list, such that its text says everything of its value.
pub(super) fn expression(column: &TableColumn) -> String {
    let name = ident::quoted(&column.name);
    match column.family {
        // A FLOAT prints with six digits; as a double it prints with all that it has.
        Family::Float => format!("CAST({name} AS DOUBLE)"),
        Family::Number => format!("CAST({name} AS UNSIGNED)"),
        // Strings come as their own bytes: the session converts no results (see `open`).
        Family::Integer
        | Family::Decimal
        | Family::Text { .. }
        | Family::Binary { .. }
        | Family::Blob
        | Family::Geometry
        | Family::Vector
        | Family::Json
        | Family::Date
        | Family::Time { .. }
        | Family::DateTime { .. }
        | Family::Timestamp { .. } => name,
    }
}

/// A key value in a comparison with its column.
pub(super) fn key_literal(value: &Value, column: &TableColumn) -> String {
    let mut out = Vec::new();
    set::push_key_side(&mut out, column, |out| match value {
        // In hexadecimal, so that the text is plain ASCII and has no newline.
        Value::Bytes(bytes) if !is_plain(&column.family) => {
            out.extend_from_slice(b"x'");
            out.extend_from_slice(hex::encode(bytes).as_bytes());
            out.push(b'\'');
        }
        value => push(out, value, column),
    });
    String::from_utf8_lossy(&out).into_owned()
}

fn is_plain(family: &Family) -> bool {
    matches!(family, Family::Integer | Family::Decimal | Family::Float | Family::Number)
        || matches!(family, Family::Date | Family::Time { .. } | Family::DateTime { .. } | Family::Timestamp { .. })
}

/// Appends a value that was read with [`expression`] as a literal.
fn push(out: &mut Vec<u8>, value: &Value, column: &TableColumn) {
    let bytes: Cow<'_, [u8]> = match value {
        Value::NULL => {
            out.extend_from_slice(b"NULL");
            return;
        }
        Value::Bytes(bytes) => Cow::Borrowed(bytes),
        // The text protocol has nothing else.
        other => Cow::Owned(other.as_sql(true).into_bytes()),
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

/// Rows of one range, as they come.
#[derive(Debug)]
pub(super) struct Reading<'c> {
    result: QueryResult<'c, 'static, TextProtocol>,
    columns: Vec<TableColumn>,
    table: String,
}

/// Asks for the rows of a range in key order.
pub(super) async fn open<'c>(
    conn: &'c mut Conn,
    source: &Table,
    destination: &Table,
    bounds: &Bounds,
) -> Result<Reading<'c>, Failure> {
    let failed = |error: mysql_async::Error| Failure::mysql(format_args!("reading {}", source.name), &error);
    let keys = key_columns(source)?;
    let columns: Vec<TableColumn> = copied_columns(source, destination)
        .into_iter()
        .filter_map(|(from, _)| source.columns.get(from).cloned())
        .collect();
    let mut list: Vec<String> = columns.iter().map(expression).collect();
    list.extend(columns.iter().filter(|column| column.family == Family::Json).map(json::typed_expression));
    let index = source.row_key().map(|key| ident::quoted(&key.name)).unwrap_or_default();
    conn.query_drop("SET character_set_results = NULL").await.map_err(failed)?;
    let result = conn
        .query_iter(format!(
            "SELECT {} FROM {} FORCE INDEX ({index}){}",
            list.join(", "),
            ident::quoted_table(&source.name),
            bounds.condition(&keys),
        ))
        .await
        .map_err(failed)?;
    Ok(Reading { result, columns, table: source.name.to_string() })
}

impl Reading<'_> {
    /// The next row as `(literal,…)`.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let row: Option<Row> = self
            .result
            .next()
            .await
            .map_err(|error| Failure::mysql(format_args!("reading {}", self.table), &error))?;
        let Some(row) = row else { return Ok(None) };
        let values = row.unwrap();
        let (plain, types) = values.split_at_checked(self.columns.len()).unwrap_or((&values, &[]));
        let mut types = types.iter();
        let mut out = Vec::with_capacity(256);
        out.push(b'(');
        for (place, (value, column)) in plain.iter().zip(&self.columns).enumerate() {
            if place > 0 {
                out.push(b',');
            }
            match (&column.family, value) {
                (Family::Json, Value::Bytes(text)) => {
                    let typed = types.next().unwrap_or(&Value::NULL);
                    json::push(&mut out, text, typed)
                        .map_err(|reason| Failure::data(format!("{}.{}: {reason}", self.table, column.name)))?;
                }
                (Family::Json, value) => {
                    types.next();
                    push(&mut out, value, column);
                }
                (_, value) => push(&mut out, value, column),
            }
        }
        out.push(b')');
        Ok(Some(out))
    }
}
