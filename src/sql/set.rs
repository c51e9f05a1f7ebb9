//! Set-based statements: one statement for many rows of a table.
//!
//! Updates and deletes join the table with a `VALUES` list (but for those of a single row) and are guarded by the before
//! image: a row that is not exactly as the source saw it is not matched, and the count of matched rows tells.
//! `VALUES ROW(…)` needs MySQL 8.0.19.

use crate::{
    binlog::BinlogError,
    model::{change::Target, row::Row, value::Value},
};

use super::{
    bound::{bound_columns, bound_values, push_list, push_literal, written},
    guard::{Guards, Images, list_name},
    ident,
};

/// Lets one statement store an ENUM's error value (index 0), or leave out a column without a default. It stands right
/// after the verb.
pub(crate) const LENIENT_HINT: &str = " /*+ SET_VAR(sql_mode='ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO') */";

/// Rows that the server must report for a statement (with CLIENT_FOUND_ROWS) if every before image held; `None`: any number.
pub type Expected = Option<u64>;

/// Appends a statement that fails (error 1690) unless the one before it reported so many rows, so that the server itself does
/// not go on to a COMMIT in the same packet. `ROW_COUNT()` is what the client is told, with CLIENT_FOUND_ROWS the rows that
/// matched. A subquery of two rows fails as well, and costs the server three times as much to plan (27 µs instead of 8).
pub fn check(out: &mut Vec<u8>, rows: u64) {
    out.extend_from_slice(format!("DO IF(ROW_COUNT()={rows},0,EXP(1000))").as_bytes());
}

/// An update with its images decoded: each is read once, for what has changed, for the guard and for the new values.
#[derive(Debug)]
pub struct Update<'r> {
    before: Vec<Value<'r>>,
    after: Vec<Value<'r>>,
    /// Bytes of both images.
    pub bytes: usize,
}

impl<'r> Update<'r> {
    /// Decodes the images.
    ///
    /// # Errors
    /// If an image is malformed or incomplete.
    pub fn read(target: &Target, before: &'r Row, after: &'r Row) -> Result<Self, BinlogError> {
        Ok(Self {
            bytes: before.image.len() + after.image.len(),
            before: bound_values(target, before)?,
            after: bound_values(target, after)?,
        })
    }
}

/// Appends `INSERT INTO t (…) VALUES (…),(…)`: an existing row is an error.
///
/// # Errors
/// If a row image is malformed or incomplete; what has been appended is of no use then. The same holds for all functions
/// here.
pub fn insert(out: &mut Vec<u8>, target: &Target, rows: &[&Row]) -> Result<Expected, BinlogError> {
    push_insert(out, b"INSERT INTO ", target, rows)?;
    Ok(Some(rows.len() as u64))
}

/// Appends `REPLACE INTO t (…) VALUES (…),(…)`: whatever holds one of the rows' unique keys gives way.
///
/// # Errors
/// See [`insert`].
pub fn replace(out: &mut Vec<u8>, target: &Target, rows: &[&Row]) -> Result<Expected, BinlogError> {
    push_insert(out, b"REPLACE INTO ", target, rows)?;
    Ok(None)
}

/// Appends `INSERT … ON DUPLICATE KEY UPDATE` of all columns that are written: unlike [`replace`] it keeps the others of a
/// row that is there. For tables whose only unique key is the row key: with another one it might change another row.
///
/// # Errors
/// See [`insert`].
pub fn upsert(out: &mut Vec<u8>, target: &Target, rows: &[&Row]) -> Result<Expected, BinlogError> {
    push_insert(out, b"INSERT INTO ", target, rows)?;
    let list = list_name(target);
    out.extend_from_slice(format!(" AS {list} ON DUPLICATE KEY UPDATE ").as_bytes());
    let columns = bound_columns(target).filter(|column| !column.generated);
    push_list(out, columns, |out, column| {
        ident::push_table(out, &target.table.name);
        out.push(b'.');
        ident::push(out, &column.name);
        out.extend_from_slice(format!("={list}.").as_bytes());
        ident::push(out, &column.name);
    });
    Ok(None)
}

fn push_insert(out: &mut Vec<u8>, verb: &[u8], target: &Target, rows: &[&Row]) -> Result<(), BinlogError> {
    out.reserve(256 + rows.iter().map(|row| row.image.len() * 2).sum::<usize>());
    push_optimizer_hint(out, verb, target, || any_error_value(target, rows))?;
    ident::push_table(out, &target.table.name);
    out.extend_from_slice(b" (");
    let columns = bound_columns(target).filter(|column| !column.generated);
    push_list(out, columns, |out, column| ident::push(out, &column.name));
    out.extend_from_slice(b") VALUES ");
    for (place, row) in rows.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        out.push(b'(');
        push_values(out, target, row)?;
        out.push(b')');
    }
    Ok(())
}

/// Whether one of these rows holds the error value of an ENUM.
pub(crate) fn any_error_value(target: &Target, rows: &[&Row]) -> Result<bool, BinlogError> {
    for row in rows {
        if bound_values(target, row)?.contains(&Value::Enum(0)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The verb, and where it is needed a hint that makes this one statement less strict: for rows that hold an ENUM's error
/// value (index 0), and for new rows without a value for a column that has no default: they get what ALTER TABLE gives
/// the rows that are there when it adds the column.
pub(crate) fn push_optimizer_hint(
    out: &mut Vec<u8>,
    verb: &[u8],
    target: &Target,
    any_error_value: impl FnOnce() -> Result<bool, BinlogError>,
) -> Result<(), BinlogError> {
    let has_enum = bound_columns(target).any(|column| column.column_type.starts_with("enum"));
    let lacks_value = || {
        target.table.columns.iter().enumerate().any(|(position, column)| {
            column.needs_value() && target.columns.iter().all(|bound| bound.destination != position)
        })
    };
    let lenient = (verb != b"UPDATE " && lacks_value()) || (has_enum && any_error_value()?);
    // The hint stands right after the verb: INSERT /*+ … */ INTO.
    let space = verb.iter().position(|byte| *byte == b' ').unwrap_or(verb.len());
    let (verb, rest) = verb.split_at(space);
    out.extend_from_slice(verb);
    if lenient {
        out.extend_from_slice(LENIENT_HINT.as_bytes());
    }
    out.extend_from_slice(rest);
    Ok(())
}

fn push_values(out: &mut Vec<u8>, target: &Target, row: &Row) -> Result<(), BinlogError> {
    let values = bound_values(target, row)?;
    for (place, (value, column)) in written(target, &values).enumerate() {
        if place > 0 {
            out.push(b',');
        }
        push_literal(out, target, value, column)?;
    }
    Ok(())
}

/// Appends `DELETE`, guarded by the before images.
///
/// # Errors
/// See [`insert`].
pub fn delete(out: &mut Vec<u8>, target: &Target, rows: &[&Row]) -> Result<Expected, BinlogError> {
    out.reserve(256 + rows.iter().map(|row| row.image.len() * 2).sum::<usize>());
    let values = all_values(target, rows)?;
    push_delete(out, &Guards::full(target, going(&values)))?;
    Ok(Some(rows.len() as u64))
}

/// Appends `DELETE` by row key alone: what is not there is as it should be.
///
/// # Errors
/// See [`insert`].
pub fn delete_by_key(out: &mut Vec<u8>, target: &Target, rows: &[&Row]) -> Result<Expected, BinlogError> {
    let values = all_values(target, rows)?;
    push_delete(out, &Guards::key_only(target, going(&values)))?;
    Ok(None)
}

/// `DELETE t FROM …`; without an alias, which the server would look for in the default database.
/// With a single row there is no list; it stays the form for several tables, as the other takes no FORCE INDEX.
fn push_delete(out: &mut Vec<u8>, guards: &Guards<'_>) -> Result<(), BinlogError> {
    out.extend_from_slice(format!("DELETE {} FROM ", guards.name).as_bytes());
    guards.push_tables(out, &[])?;
    out.extend_from_slice(b" WHERE ");
    guards.push_condition(out)
}

fn all_values<'a>(target: &Target, rows: &[&'a Row]) -> Result<Vec<Vec<Value<'a>>>, BinlogError> {
    rows.iter().map(|row| bound_values(target, row)).collect()
}

fn going<'a>(values: &'a [Vec<Value<'a>>]) -> Vec<Images<'a>> {
    values.iter().map(|before| (before.as_slice(), [].as_slice())).collect()
}

/// Appends `UPDATE` of the columns at `changed` (places in `target.columns`), guarded by the before images.
///
/// # Errors
/// See [`insert`].
pub fn update(
    out: &mut Vec<u8>,
    target: &Target,
    rows: &[Update<'_>],
    changed: &[usize],
) -> Result<Expected, BinlogError> {
    let images = rows.iter().map(|row| (row.before.as_slice(), row.after.as_slice()));
    let guards = Guards::full(target, images.collect());
    out.reserve(256 + rows.iter().map(|row| row.bytes).sum::<usize>());
    push_optimizer_hint(out, b"UPDATE ", target, || {
        Ok(rows.iter().any(|row| row.after.contains(&Value::Enum(0))))
    })?;
    guards.push_tables(out, changed)?;
    for (number, &place) in changed.iter().enumerate() {
        out.extend_from_slice(if number == 0 { b" SET " } else { b"," });
        guards.push_column(out, place);
        out.push(b'=');
        guards.push_new(out, place)?;
    }
    out.extend_from_slice(b" WHERE ");
    guards.push_condition(out)?;
    Ok(Some(rows.len() as u64))
}

/// The columns (places in `target.columns`) that an update has to set: those that differ, and those the server would
/// otherwise set by itself (`ON UPDATE CURRENT_TIMESTAMP`).
pub fn changed_columns(target: &Target, update: &Update<'_>) -> Vec<usize> {
    let (old, new) = (&update.before, &update.after);
    // -0.0 equals 0.0 and NaN does not exist: only the bits of doubles need a second look.
    let same = |a: &Value<'_>, b: &Value<'_>| match (a, b) {
        (Value::Double(a), Value::Double(b)) => a.to_bits() == b.to_bits(),
        (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
        (a, b) => a == b,
    };
    let mut changed: Vec<usize> = Vec::new();
    let mut automatic: Vec<usize> = Vec::new();
    for (place, column) in bound_columns(target)
        .enumerate()
        .filter(|(_, column)| !column.generated)
    {
        match (old.get(place), new.get(place)) {
            (Some(a), Some(b)) if same(a, b) => {
                if column.on_update {
                    automatic.push(place);
                }
            }
            _ => changed.push(place),
        }
    }
    if !changed.is_empty() {
        changed.extend(automatic);
        changed.sort_unstable();
    }
    changed
}
