//! The keys a change touches, as hashes.

use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
};

use crate::{
    binlog::BinlogError,
    model::{
        change::{Change, Target},
        name::TableName,
        row::Row,
        value::Value,
    },
};

/// One key a change touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyUse {
    /// Hash of table, key columns and values.
    pub hash: u64,
    /// The change only refers to the row (a child row to its parent): changes that share a key in this way may run
    /// side by side.
    pub shared: bool,
}

/// Appends the keys that `change` touches: row key and unique keys, with the old and the new values, and the
/// parents it refers to.
///
/// # Errors
/// If a row image is malformed.
pub fn of_change(change: &Change, out: &mut Vec<KeyUse>) -> Result<(), BinlogError> {
    for row in [change.before(), change.after()].into_iter().flatten() {
        of_row(&change.target, row, out)?;
    }
    Ok(())
}

fn of_row(target: &Target, row: &Row, out: &mut Vec<KeyUse>) -> Result<(), BinlogError> {
    let mut values = Vec::new();
    row.decode(&mut values)?;
    for key in &target.table.unique_keys {
        // Where an expression or a prefix is part of the key its value is not in the row image: all rows of the
        // table then share one hash for it, and keep their order.
        match key.columns() {
            Some(columns) => {
                if let Some(hash) = hash(target, &target.table.name, &columns, None, &values) {
                    out.push(KeyUse { hash, shared: false });
                }
            }
            None => {
                let mut hasher = DefaultHasher::new();
                (&target.table.name, &key.name).hash(&mut hasher);
                out.push(KeyUse {
                    hash: hasher.finish(),
                    shared: false,
                });
            }
        }
    }
    // What children refer to need not be a unique key, nor all of one.
    let mut referred: Vec<&[usize]> = target.table.references.iter().map(|r| r.columns.as_slice()).collect();
    referred.sort_unstable();
    referred.dedup();
    for columns in referred {
        if let Some(hash) = hash(target, &target.table.name, columns, None, &values) {
            out.push(KeyUse { hash, shared: false });
        }
    }
    for foreign in &target.table.foreign_keys {
        if let Some(hash) = hash(
            target,
            &foreign.parent,
            &foreign.columns,
            Some(&foreign.parent_columns),
            &values,
        ) {
            out.push(KeyUse { hash, shared: true });
        }
    }
    Ok(())
}

/// Hash of `table` and the values of `columns`, under the names `names` (the columns' own if `None`). `None` if a
/// value is NULL: NULLs are equal to nothing.
fn hash(
    target: &Target,
    table: &TableName,
    columns: &[usize],
    names: Option<&[String]>,
    values: &[Option<Value<'_>>],
) -> Option<u64> {
    let mut parts = Vec::with_capacity(columns.len());
    for (place, &column) in columns.iter().enumerate() {
        let definition = target.table.columns.get(column)?;
        let name = match names {
            Some(names) => names.get(place)?.to_ascii_lowercase(),
            None => definition.name.to_ascii_lowercase(),
        };
        let bound = target.columns.iter().find(|binding| binding.destination == column);
        let value = bound.and_then(|binding| values.get(binding.source).copied().flatten());
        match value {
            Some(Value::Null) => return None,
            Some(value) if definition.family.equal_means_same_bytes() => parts.push((name, value_hash(&value))),
            // Not in the image, or equal under the collation without having the same bytes.
            _ => parts.push((name, 0)),
        }
    }
    // A foreign key may name its columns in another order than the parent's key does.
    parts.sort();
    let mut hasher = DefaultHasher::new();
    table.hash(&mut hasher);
    parts.hash(&mut hasher);
    Some(hasher.finish())
}

/// Numbers hash by value, whatever their width or sign: a child's INT refers to a parent's BIGINT.
fn value_hash(value: &Value<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    match *value {
        Value::Null => 0u8.hash(&mut hasher),
        Value::Int(number) => i128::from(number).hash(&mut hasher),
        Value::UInt(number) | Value::Bit(number) | Value::Set(number) => i128::from(number).hash(&mut hasher),
        Value::Enum(number) | Value::Year(number) => i128::from(number).hash(&mut hasher),
        Value::Float(number) => number.to_bits().hash(&mut hasher),
        Value::Double(number) => number.to_bits().hash(&mut hasher),
        Value::Decimal {
            bytes,
            precision,
            scale,
        } => (bytes, precision, scale).hash(&mut hasher),
        Value::Bytes(bytes) | Value::Json(bytes) | Value::Geometry(bytes) | Value::Vector(bytes) => {
            bytes.hash(&mut hasher);
        }
        Value::Date { year, month, day } => (year, month, day).hash(&mut hasher),
        Value::Time {
            negative,
            hours,
            minutes,
            seconds,
            micros,
        } => {
            (negative, hours, minutes, seconds, micros).hash(&mut hasher);
        }
        Value::DateTime {
            year,
            month,
            day,
            hour,
            minute,
            second,
            micros,
        } => {
            (year, month, day, hour, minute, second, micros).hash(&mut hasher);
        }
        Value::Timestamp { seconds, micros } => (seconds, micros).hash(&mut hasher),
    }
    hasher.finish()
}

/// The row key of a row image as bytes: equal bytes, same row. Used to fold changes; unlike the hashes above it
/// compares exactly.
///
/// # Errors
/// If the image is malformed or lacks a key column.
pub fn row_key(target: &Target, row: &Row) -> Result<Vec<u8>, BinlogError> {
    let mut key = Vec::with_capacity(target.key.len() * 9);
    for &place in &target.key {
        let value = match target.columns.get(place) {
            Some(binding) => row.value(binding.source)?,
            None => None,
        };
        let Some(value) = value else {
            return Err(BinlogError::incomplete_image(&target.source));
        };
        push_exact(&mut key, &value);
    }
    Ok(key)
}

fn push_exact(out: &mut Vec<u8>, value: &Value<'_>) {
    let mut with_length = |bytes: &[u8]| {
        out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        out.extend_from_slice(bytes);
    };
    match *value {
        Value::Int(number) => out.extend_from_slice(&number.to_le_bytes()),
        Value::UInt(number) => out.extend_from_slice(&number.to_le_bytes()),
        Value::Bytes(bytes) => with_length(bytes),
        // Every other type prints each of its values in its own way.
        ref other => with_length(format!("{other:?}").as_bytes()),
    }
}
