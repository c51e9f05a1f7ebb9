//! Functions that MySQL has and SQLite has not, or has with another meaning.
//!
//! The connection lives as long as one question, so the time that `NOW()` gives is fixed when it is opened: within one
//! statement it never changes, as in MySQL.

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Result};

pub(super) fn register(connection: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    let now: String = connection.query_row("SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')", [], |row| row.get(0))?;
    for name in ["now", "sysdate", "utc_timestamp"] {
        let now = now.clone();
        connection.create_scalar_function(name, -1, flags, move |context| {
            // NOW() has whole seconds, NOW(3) milliseconds.
            let digits = if context.is_empty() { 0 } else { context.get::<i64>(0)? };
            Ok(now.chars().take(if digits == 0 { 19 } else { 23 }).collect::<String>())
        })?;
    }
    for (name, start, end) in [
        ("curdate", 0, 10),
        ("utc_date", 0, 10),
        ("curtime", 11, 19),
        ("utc_time", 11, 19),
    ] {
        let part: String = now.chars().skip(start).take(end - start).collect();
        connection.create_scalar_function(name, 0, flags, move |_| Ok(part.clone()))?;
    }
    connection.create_scalar_function("concat", -1, flags, concat)?;
    connection.create_scalar_function("left", 2, flags, |context| {
        let count = count(context, 1)?;
        Ok(text(context, 0).map(|text| text.chars().take(count).collect::<String>()))
    })?;
    connection.create_scalar_function("right", 2, flags, |context| {
        let count = count(context, 1)?;
        Ok(text(context, 0).map(|text| {
            let skipped = text.chars().count().saturating_sub(count);
            text.chars().skip(skipped).collect::<String>()
        }))
    })?;
    connection.create_scalar_function("locate", 2, flags, |context| {
        let (Some(sought), Some(text)) = (text(context, 0), text(context, 1)) else {
            return Ok(None);
        };
        let before = text.find(&sought).and_then(|at| text.get(..at));
        Ok(Some(before.map_or(0, |before| before.chars().count() + 1)).and_then(|place| i64::try_from(place).ok()))
    })?;
    for name in ["char_length", "character_length"] {
        connection.create_scalar_function(name, 1, flags, |context| {
            Ok(text(context, 0).and_then(|text| i64::try_from(text.chars().count()).ok()))
        })?;
    }
    for (name, upper) in [("ucase", true), ("lcase", false)] {
        connection.create_scalar_function(name, 1, flags, move |context| {
            Ok(text(context, 0).map(|text| {
                if upper {
                    text.to_uppercase()
                } else {
                    text.to_lowercase()
                }
            }))
        })?;
    }
    Ok(())
}

/// SQLite's own takes NULL for an empty string; MySQL's is NULL if one of its arguments is.
fn concat(context: &Context<'_>) -> Result<Option<String>> {
    Ok((0..context.len()).map(|index| text(context, index)).collect())
}

fn count(context: &Context<'_>, index: usize) -> Result<usize> {
    Ok(usize::try_from(context.get::<i64>(index)?).unwrap_or(0))
}

fn text(context: &Context<'_>, index: usize) -> Option<String> {
    match context.get_raw(index) {
        ValueRef::Null => None,
        ValueRef::Integer(value) => Some(value.to_string()),
        ValueRef::Real(value) => Some(value.to_string()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
    }
}
