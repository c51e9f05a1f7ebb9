//! The keys a change touches, as hashes.

use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
};

use crate::{
    binlog::BinlogError,
    model::{
        change::{Change, Target},
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

/// Appends the keys that `change` touches ([`Target::dependencies`]), with the old and the new values.
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
    'keys: for key in &target.dependencies {
        let mut hasher = DefaultHasher::new();
        key.seed.hash(&mut hasher);
        for column in &key.columns {
            let value = match column.source {
                Some(source) => row.value(source)?,
                None => None,
            };
            match value {
                // NULLs are equal to nothing.
                Some(Value::Null) => continue 'keys,
                Some(value) if column.tells => hash_value(&mut hasher, &value),
                _ => {}
            }
        }
        out.push(KeyUse {
            hash: hasher.finish(),
            shared: key.shared,
        });
    }
    Ok(())
}

/// Numbers hash by value, whatever their width or sign: a child's INT refers to a parent's BIGINT.
fn hash_value(hasher: &mut DefaultHasher, value: &Value<'_>) {
    match *value {
        Value::Null => {}
        Value::Int(number) => i128::from(number).hash(hasher),
        Value::UInt(number) | Value::Bit(number) | Value::Set(number) => i128::from(number).hash(hasher),
        Value::Enum(number) | Value::Year(number) => i128::from(number).hash(hasher),
        Value::Float(number) => number.to_bits().hash(hasher),
        Value::Double(number) => number.to_bits().hash(hasher),
        Value::Decimal {
            bytes,
            precision,
            scale,
        } => (bytes, precision, scale).hash(hasher),
        Value::Bytes(bytes) | Value::Json(bytes) | Value::Geometry(bytes) | Value::Vector(bytes) => bytes.hash(hasher),
        Value::Date { year, month, day } => (year, month, day).hash(hasher),
        Value::Time {
            negative,
            hours,
            minutes,
            seconds,
            micros,
        } => (negative, hours, minutes, seconds, micros).hash(hasher),
        Value::DateTime {
            year,
            month,
            day,
            hour,
            minute,
            second,
            micros,
        } => (year, month, day, hour, minute, second, micros).hash(hasher),
        Value::Timestamp { seconds, micros } => (seconds, micros).hash(hasher),
    }
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
