//! Statements for one row, for the conflict path: look at the destination's row, then act on it.

use crate::{
    binlog::BinlogError,
    model::{
        change::Target,
        row::Row,
        table::{Family, Key, Table, TableColumn},
        value::Value,
    },
};

use super::{
    bound::{bound_values, is_retyped, push_literal, written},
    guard::{push_before_value, push_key_side, push_table_side},
    ident, literal,
    set::{any_error_value, push_optimizer_hint},
};

/// `SELECT as_before, as_after, row FROM t WHERE key FOR UPDATE`: the destination's row with the key of `row`. The first
/// two are 1 if it equals that image in every column that is written (0 where no image is given); `row` is the row as
/// JSON.
///
/// # Errors
/// If a row image is malformed or incomplete. The same holds for all functions here.
pub fn find_by_key(
    target: &Target,
    row: &Row,
    before: Option<&Row>,
    after: Option<&Row>,
) -> Result<Vec<u8>, BinlogError> {
    let mut out = b"SELECT ".to_vec();
    for image in [before, after] {
        match image {
            Some(image) => push_same(&mut out, target, image)?,
            None => out.push(b'0'),
        }
        out.push(b',');
    }
    push_table_json(&mut out, &target.table);
    push_from(&mut out, target);
    push_key_condition(&mut out, target, row)?;
    out.extend_from_slice(b" FOR UPDATE");
    Ok(out)
}

/// `SELECT row FROM t WHERE unique key AND NOT row key FOR UPDATE`: another row that holds the values `row` has in
/// `key`, other than the one with the row key of `own`. `None` if one of the values is NULL, or the key is not made
/// of whole columns that are written.
///
/// # Errors
/// See [`find_by_key`].
pub fn find_by_unique_key(target: &Target, key: &Key, row: &Row, own: &Row) -> Result<Option<Vec<u8>>, BinlogError> {
    let Some(condition) = unique_condition(target, key, row, own)? else {
        return Ok(None);
    };
    let mut out = b"SELECT ".to_vec();
    push_table_json(&mut out, &target.table);
    push_from(&mut out, target);
    out.extend_from_slice(&condition);
    out.extend_from_slice(b" FOR UPDATE");
    Ok(Some(out))
}

/// Removes other rows that hold the values `row` has in `key`; see [`find_by_unique_key`].
///
/// # Errors
/// See [`find_by_key`].
pub fn delete_by_unique_key(target: &Target, key: &Key, row: &Row, own: &Row) -> Result<Option<Vec<u8>>, BinlogError> {
    let Some(condition) = unique_condition(target, key, row, own)? else {
        return Ok(None);
    };
    let mut out = b"DELETE".to_vec();
    push_from(&mut out, target);
    out.extend_from_slice(&condition);
    Ok(Some(out))
}

/// Sets every written column of the row that has the key of `find` to what `row` says.
///
/// # Errors
/// See [`find_by_key`].
pub fn update_by_key(target: &Target, find: &Row, row: &Row) -> Result<Vec<u8>, BinlogError> {
    let values = bound_values(target, row)?;
    let mut out = Vec::new();
    push_optimizer_hint(&mut out, b"UPDATE ", target, || any_error_value(target, &[row]))?;
    ident::push_table(&mut out, &target.table.name);
    out.extend_from_slice(b" AS t SET ");
    for (place, (value, column)) in written(target, &values).enumerate() {
        if place > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"t.");
        ident::push(&mut out, &column.name);
        out.push(b'=');
        push_literal(&mut out, target, value, column)?;
    }
    out.extend_from_slice(b" WHERE ");
    push_key_condition(&mut out, target, find)?;
    Ok(out)
}

/// Removes the row that has the key of `row`.
///
/// # Errors
/// See [`find_by_key`].
pub fn delete_by_key(target: &Target, row: &Row) -> Result<Vec<u8>, BinlogError> {
    let mut out = b"DELETE".to_vec();
    push_from(&mut out, target);
    push_key_condition(&mut out, target, row)?;
    Ok(out)
}

/// `SELECT key, row` of a row image, both as JSON text, made by the server so that both sides of a conflict read alike.
///
/// # Errors
/// See [`find_by_key`].
pub fn show_image(target: &Target, row: &Row) -> Result<Vec<u8>, BinlogError> {
    let values = bound_values(target, row)?;
    let mut out = b"SELECT ".to_vec();
    let all: Vec<usize> = (0..target.columns.len()).collect();
    for (number, places) in [&target.key, &all].into_iter().enumerate() {
        out.extend_from_slice(if number == 0 {
            b"JSON_OBJECT("
        } else {
            b", JSON_OBJECT("
        });
        let mut first = true;
        for &place in places {
            let (Some(value), Some(column)) = (
                values.get(place),
                target
                    .columns
                    .get(place)
                    .and_then(|binding| target.table.columns.get(binding.destination)),
            ) else {
                continue;
            };
            if !first {
                out.push(b',');
            }
            first = false;
            literal::push_string(&mut out, &column.name);
            out.push(b',');
            push_shown_value(&mut out, target, value, column)?;
        }
        out.push(b')');
    }
    Ok(out)
}

fn push_from(out: &mut Vec<u8>, target: &Target) {
    out.extend_from_slice(b" FROM ");
    ident::push_table(out, &target.table.name);
    out.extend_from_slice(b" AS t WHERE ");
}

fn push_same(out: &mut Vec<u8>, target: &Target, image: &Row) -> Result<(), BinlogError> {
    out.push(b'(');
    out.push(b'1');
    for (value, column) in written(target, &bound_values(target, image)?) {
        if is_retyped(target, column) {
            continue;
        }
        out.extend_from_slice(b" AND ");
        push_table_side(out, "t", column, false);
        out.extend_from_slice(b"<=>");
        push_before_value(out, target, value, column, false)?;
    }
    out.push(b')');
    Ok(())
}

/// Also the condition by which rows of the row key are told from others.
fn push_key_condition(out: &mut Vec<u8>, target: &Target, row: &Row) -> Result<(), BinlogError> {
    let values = bound_values(target, row)?;
    for (number, &place) in target.key.iter().enumerate() {
        if number > 0 {
            out.extend_from_slice(b" AND ");
        }
        push_equals(out, target, place, &values)?;
    }
    Ok(())
}

fn push_equals(out: &mut Vec<u8>, target: &Target, place: usize, values: &[Value<'_>]) -> Result<(), BinlogError> {
    let (Some(value), Some(column)) = (
        values.get(place),
        target
            .columns
            .get(place)
            .and_then(|binding| target.table.columns.get(binding.destination)),
    ) else {
        return Err(BinlogError::incomplete_image(&target.source));
    };
    out.extend_from_slice(b"t.");
    ident::push(out, &column.name);
    out.push(b'=');
    let mut text = Vec::new();
    push_literal(&mut text, target, value, column)?;
    push_key_side(out, column, |out| out.extend_from_slice(&text));
    Ok(())
}

fn unique_condition(target: &Target, key: &Key, row: &Row, own: &Row) -> Result<Option<Vec<u8>>, BinlogError> {
    let Some(columns) = key.columns() else { return Ok(None) };
    let values = bound_values(target, row)?;
    let mut out = Vec::new();
    for (number, column) in columns.iter().enumerate() {
        let Some(place) = target.columns.iter().position(|binding| binding.destination == *column) else {
            return Ok(None);
        };
        if values.get(place) == Some(&Value::Null) {
            return Ok(None);
        }
        if number > 0 {
            out.extend_from_slice(b" AND ");
        }
        push_equals(&mut out, target, place, &values)?;
    }
    out.extend_from_slice(b" AND NOT (");
    push_key_condition(&mut out, target, own)?;
    out.push(b')');
    Ok(Some(out))
}

/// `JSON_OBJECT('column', value, …)` over all columns of the table `t`.
fn push_table_json(out: &mut Vec<u8>, table: &Table) {
    out.extend_from_slice(b"JSON_OBJECT(");
    for (place, column) in table.columns.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        literal::push_string(out, &column.name);
        let name = format!("t.{}", ident::quoted(&column.name));
        let shown = match column.family {
            Family::Integer | Family::Decimal | Family::Float | Family::Json => name,
            Family::Number if is_bit_or_year(column) => format!("CAST({name} AS UNSIGNED)"),
            Family::Number | Family::Text { .. } => format!("CONVERT({name} USING utf8mb4)"),
            Family::Binary { .. } | Family::Blob => format!("CONCAT('0x',HEX({name}))"),
            Family::Geometry | Family::Vector => format!("CONCAT('0x',HEX(CAST({name} AS BINARY)))"),
            Family::Date | Family::Time { .. } | Family::DateTime { .. } | Family::Timestamp { .. } => {
                format!("CAST({name} AS CHAR)")
            }
        };
        out.push(b',');
        out.extend_from_slice(shown.as_bytes());
    }
    out.push(b')');
}

fn is_bit_or_year(column: &TableColumn) -> bool {
    column.column_type.starts_with("bit") || column.column_type.starts_with("year")
}

fn push_shown_value(
    out: &mut Vec<u8>,
    target: &Target,
    value: &Value<'_>,
    column: &TableColumn,
) -> Result<(), BinlogError> {
    match (&column.family, value) {
        (_, Value::Null) => push_literal(out, target, value, column),
        (Family::Text { .. }, _) => {
            out.extend_from_slice(b"CONVERT(");
            push_typed(out, target, value, column)?;
            out.extend_from_slice(b" USING utf8mb4)");
            Ok(())
        }
        (Family::Binary { .. } | Family::Blob | Family::Geometry | Family::Vector, _) => {
            out.extend_from_slice(b"CONCAT('0x',HEX(");
            push_literal(out, target, value, column)?;
            out.extend_from_slice(b"))");
            Ok(())
        }
        _ => push_typed(out, target, value, column),
    }
}

fn push_typed(out: &mut Vec<u8>, target: &Target, value: &Value<'_>, column: &TableColumn) -> Result<(), BinlogError> {
    let column = target.retyped.get(&column.name).unwrap_or(column);
    literal::push_typed(out, value, column).map_err(|error| BinlogError::value(&target.source, &column.name, error))
}
