//! Functions that MySQL has and SQLite has not, or has with another meaning.
//!
//! The connection lives as long as one question, so the time that `NOW()` gives is fixed when it is opened: within one
//! statement it never changes, as in MySQL.

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Error, Result};

use crate::model::gtid::GtidSet;

mod dates;

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
    dates::register(connection, &now)?;
    register_texts(connection)?;
    register_numbers(connection)?;
    for name in ["gtid_subset", "gtid_subtract"] {
        connection.create_scalar_function(name, 2, flags, move |context| {
            let (Some(first), Some(second)) = (text(context, 0), text(context, 1)) else {
                return Ok(Value::Null);
            };
            let (mut first, second) = (gtid_set(&first)?, gtid_set(&second)?);
            Ok(if name == "gtid_subset" {
                Value::Integer(first.is_subset_of(&second).into())
            } else {
                first.subtract(&second);
                Value::Text(first.to_string())
            })
        })?;
    }
    Ok(())
}

fn register_texts(connection: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("substring_index", 3, flags, |context| {
        let count = context.get::<i64>(2)?;
        Ok(match (text(context, 0), text(context, 1)) {
            (Some(text), Some(delimiter)) => Some(substring_index(&text, &delimiter, count)),
            _ => None,
        })
    })?;
    connection.create_scalar_function("field", -1, flags, |context| {
        let sought = text(context, 0);
        let place = (1..context.len()).find(|index| sought.is_some() && same(sought.as_deref(), text(context, *index)));
        Ok(place.and_then(|place| i64::try_from(place).ok()).unwrap_or(0))
    })?;
    connection.create_scalar_function("find_in_set", 2, flags, |context| {
        let (Some(sought), Some(list)) = (text(context, 0), text(context, 1)) else {
            return Ok(None);
        };
        let place = list
            .split(',')
            .position(|item| same(Some(&sought), Some(item.to_owned())));
        Ok(Some(place.and_then(|place| i64::try_from(place + 1).ok()).unwrap_or(0)))
    })?;
    connection.create_scalar_function("repeat", 2, flags, |context| {
        let count = count(context, 1)?;
        let Some(text) = text(context, 0) else {
            return Ok(None);
        };
        bounded(text.len().saturating_mul(count))?;
        Ok(Some(text.repeat(count)))
    })?;
    connection.create_scalar_function("reverse", 1, flags, |context| {
        Ok(text(context, 0).map(|text| text.chars().rev().collect::<String>()))
    })?;
    for (name, left) in [("lpad", true), ("rpad", false)] {
        connection.create_scalar_function(name, 3, flags, move |context| {
            let (Some(text), Some(padding)) = (text(context, 0), text(context, 2)) else {
                return Ok(None);
            };
            let length = count(context, 1)?;
            bounded(length)?;
            let missing = length.saturating_sub(text.chars().count());
            let padding: String = padding.chars().cycle().take(missing).collect();
            let kept: String = text.chars().take(length).collect();
            Ok(Some(if left { padding + &kept } else { kept + &padding }))
        })?;
    }
    for name in ["regexp", "regexp_like"] {
        connection.create_scalar_function(name, 2, flags, move |context| {
            // The operator gives the pattern first, the function second. Without case, as MySQL's default collation.
            let pattern_at = i32::from(name == "regexp_like");
            let pattern = context.get_or_create_aux(pattern_at, |value| -> std::result::Result<_, Failed> {
                let pattern = value.as_str().map_err(|error| error.to_string())?;
                let mut pattern = regex::RegexBuilder::new(pattern);
                let pattern = pattern.case_insensitive(true).size_limit(1 << 20).build();
                Ok(pattern.map_err(|error| error.to_string())?)
            });
            let text = text(context, usize::from(name == "regexp"));
            match (context.get_raw(usize::from(name == "regexp_like")), text) {
                (ValueRef::Null, _) | (_, None) => Ok(None),
                (_, Some(text)) => Ok(Some(pattern?.is_match(&text))),
            }
        })?;
    }
    connection.create_scalar_function("json_unquote", 1, flags, |context| {
        Ok(text(context, 0).map(|text| serde_json::from_str::<String>(&text).unwrap_or(text)))
    })?;
    Ok(())
}

fn register_numbers(connection: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("is_null", 1, flags, |context| {
        Ok(matches!(context.get_raw(0), ValueRef::Null))
    })?;
    for (name, greatest) in [("greatest", true), ("least", false)] {
        connection.create_scalar_function(name, -1, flags, move |context| {
            let values = (0..context.len()).map(|index| context.get::<Value>(index));
            let values = values.collect::<Result<Vec<_>>>()?;
            if values.iter().any(|value| matches!(value, Value::Null)) {
                return Ok(Value::Null);
            }
            let chosen = values.into_iter().reduce(|best, value| {
                let is_greater = match (number_of(&value), number_of(&best)) {
                    (Some(value), Some(best)) => value > best,
                    _ => text_of(&value) > text_of(&best),
                };
                if is_greater == greatest { value } else { best }
            });
            Ok(chosen.unwrap_or(Value::Null))
        })?;
    }
    connection.create_scalar_function("truncate", 2, flags, |context| {
        let Some(number) = context.get::<Option<f64>>(0)? else {
            return Ok(None);
        };
        let scale = 10_f64.powi(context.get::<i32>(1)?);
        Ok(Some((number * scale).trunc() / scale))
    })?;
    // What a session of a server would know of statements before this one.
    for (name, value) in [("found_rows", 0), ("row_count", -1), ("last_insert_id", 0)] {
        connection.create_scalar_function(name, 0, flags, move |_| Ok(value))?;
    }
    connection.create_scalar_function("current_role", 0, flags, |_| Ok("NONE"))?;
    connection.create_scalar_function("any_value", 1, flags, |context| context.get::<Value>(0))?;
    Ok(())
}

/// An error that a function ends the statement with.
type Failed = Box<dyn std::error::Error + Send + Sync>;

fn failed(message: impl Into<String>) -> Error {
    Error::UserFunctionError(message.into().into())
}

/// The longest text that a function makes.
const TEXT_MAX: usize = 1 << 20;

fn bounded(length: usize) -> Result<()> {
    if length > TEXT_MAX {
        return Err(failed(format!("a text of {length} characters is too long")));
    }
    Ok(())
}

fn gtid_set(text: &str) -> Result<GtidSet> {
    text.parse().map_err(|error| failed(format!("not a GTID set: {error}")))
}

fn same(one: Option<&str>, other: Option<String>) -> bool {
    one.zip(other)
        .is_some_and(|(one, other)| one.to_lowercase() == other.to_lowercase())
}

fn number_of(value: &Value) -> Option<f64> {
    match value {
        #[expect(clippy::cast_precision_loss, reason = "only compared")]
        Value::Integer(value) => Some(*value as f64),
        Value::Real(value) => Some(*value),
        _ => None,
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Integer(value) => value.to_string(),
        Value::Real(value) => value.to_string(),
        Value::Null | Value::Blob(_) => String::new(),
    }
}

/// Up to the `count`-th delimiter from the left, or if it is negative from the right.
fn substring_index(text: &str, delimiter: &str, count: i64) -> String {
    let parts: Vec<&str> = text.split(delimiter).collect();
    let kept = usize::try_from(count.unsigned_abs())
        .unwrap_or(usize::MAX)
        .min(parts.len());
    let (head, tail) = (parts.get(..kept), parts.get(parts.len() - kept..));
    let chosen = if delimiter.is_empty() {
        None
    } else if count < 0 {
        tail
    } else {
        head
    };
    chosen.unwrap_or_default().join(delimiter)
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
