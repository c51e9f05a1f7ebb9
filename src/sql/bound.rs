//! A row's values beside the destination's columns they are bound to.

use crate::{
    binlog::BinlogError,
    model::{change::Target, row::Row, table::TableColumn, value::Value},
};

use super::literal;

/// The values of a row in the order of `target.columns`.
pub(crate) fn bound_values<'a>(target: &Target, row: &'a Row) -> Result<Vec<Value<'a>>, BinlogError> {
    let incomplete = || BinlogError::incomplete_image(&target.source);
    let mut bound = Vec::with_capacity(target.columns.len());
    // Both are in the order of the row.
    let mut bindings = target.columns.iter();
    let mut due = bindings.next();
    for value in row.values() {
        let Some(binding) = due else { break };
        let (position, value) = value?;
        if position == binding.source {
            bound.push(value);
            due = bindings.next();
        } else if position > binding.source {
            return Err(incomplete());
        }
    }
    match due {
        None => Ok(bound),
        Some(_) => Err(incomplete()),
    }
}

/// The destination columns in the order of `target.columns`.
pub(crate) fn bound_columns(target: &Target) -> impl Iterator<Item = &TableColumn> {
    target
        .columns
        .iter()
        .filter_map(|binding| target.table.columns.get(binding.destination))
}

/// The columns that are written (the server computes generated ones), each with its value in a row.
pub(crate) fn written<'a>(
    target: &'a Target,
    values: &'a [Value<'a>],
) -> impl Iterator<Item = (&'a Value<'a>, &'a TableColumn)> {
    values
        .iter()
        .zip(bound_columns(target))
        .filter(|(_, column)| !column.generated)
}

/// Whether values of the column are of another type in the rows, see [`Target::retyped`].
pub(crate) fn is_retyped(target: &Target, column: &TableColumn) -> bool {
    target.retyped.contains_key(&column.name)
}

/// [`literal::push`] with an error that names the column. What is of another type in the rows becomes an expression of
/// that type.
pub(crate) fn push_literal(
    out: &mut Vec<u8>,
    target: &Target,
    value: &Value<'_>,
    column: &TableColumn,
) -> Result<(), BinlogError> {
    let pushed = match target.retyped.get(&column.name) {
        Some(old) => literal::push_typed(out, value, old),
        None => literal::push(out, value, column),
    };
    pushed.map_err(|error| BinlogError::value(&target.source, &column.name, error))
}

/// Appends items with commas between them.
pub(super) fn push_list<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut push: impl FnMut(&mut Vec<u8>, T),
) {
    for (place, item) in items.into_iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        push(out, item);
    }
}
