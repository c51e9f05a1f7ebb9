//! Binds a table as the binlog describes it to the table at the destination.

use std::{collections::HashMap, sync::Arc};

use crate::model::{
    change::{Binding, Mode, Target},
    columns::ColumnMap,
    dependency, fit,
    table::{Family, Table, TableColumn},
    table_map::{BINARY_COLLATION, Column, ColumnKind, TableMap},
};

/// Why rows of a table can't be written to the destination.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// Names are neither in the binlog nor known otherwise, or do not fit.
    #[error(
        "the definition of {table} at the source does not fit its rows in the binlog ({reason}); it was probably \
         changed after these rows were written. Set binlog_row_metadata=FULL on the source; for these \
         rows take the table out of the task (ALTER SYNC TASK … REMOVE OBJECTS) and RESUME, drop it at the \
         destination, and ADD OBJECTS it again: it is copied anew"
    )]
    Definition {
        /// The table at the source.
        table: String,
        /// What does not fit.
        reason: String,
    },
    /// The destination lacks a column.
    #[error(
        "{destination} has no column {column}, which rows of {source_table} have; add it at the destination, or take \
         the table out of the task"
    )]
    MissingColumn {
        /// The table at the source.
        source_table: String,
        /// The table at the destination.
        destination: String,
        /// The column.
        column: String,
    },
    /// The types do not go together.
    #[error(
        "column {column} of {destination} has type {found}, which can't take the values of {source_table}; make the \
         definitions equal"
    )]
    Type {
        /// The table at the source.
        source_table: String,
        /// The table at the destination.
        destination: String,
        /// The column.
        column: String,
        /// The type at the destination.
        found: String,
    },
    /// Rows can't be told apart.
    #[error(
        "{destination} has neither a primary key nor a unique key over NOT NULL columns, and these rows were written \
         without one. Take the table out of the task (ALTER SYNC TASK … REMOVE OBJECTS) and RESUME; to have it \
         synchronized, give it a key at the source (for instance ADD COLUMN my_row_id BIGINT UNSIGNED NOT NULL \
         AUTO_INCREMENT INVISIBLE PRIMARY KEY), drop it at the destination, and ADD OBJECTS it again: it is copied"
    )]
    NoKey {
        /// The table at the destination.
        destination: String,
    },
    /// A key column is not in the source's rows.
    #[error(
        "{source_table} has no column {column}, which is part of the row key of {destination}. Give both the same \
         key; if these rows were written before, take the table out of the task (ALTER SYNC TASK … REMOVE OBJECTS) and \
         RESUME, drop it at the destination, and ADD OBJECTS it again: it is copied anew"
    )]
    KeyColumn {
        /// The table at the source.
        source_table: String,
        /// The table at the destination.
        destination: String,
        /// The column.
        column: String,
    },
}

/// What happens to a column of the source that the destination does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownColumn<'a> {
    /// The definitions do not fit.
    Refuse,
    /// Written under its new name if it was renamed, and otherwise left out. In the reverse direction the task's source
    /// decides what columns there are: one it lacks was either renamed or dropped there by a DDL that is still on its
    /// way, or added at the destination only.
    LeaveOut {
        /// Columns that were renamed.
        renamed: &'a Renamed,
        /// The definition of the rows' table when they were made, if a statement has changed it since.
        before: Option<&'a Table>,
    },
}

impl UnknownColumn<'_> {
    /// What a column of the rows is called now; `None`: it is none any more.
    fn now<'n>(&'n self, name: &'n str) -> Option<&'n str> {
        match self {
            UnknownColumn::Refuse => Some(name),
            UnknownColumn::LeaveOut { renamed, .. } => renamed.get(name).map_or(Some(name), Option::as_deref),
        }
    }

    /// The column's definition when the rows were made, if it is another one by now.
    fn before(&self, name: &str, now: &TableColumn) -> Option<&TableColumn> {
        let UnknownColumn::LeaveOut {
            before: Some(before), ..
        } = self
        else {
            return None;
        };
        let old = before.columns.get(before.position(name)?)?;
        (old.column_type != now.column_type || old.family != now.family).then_some(old)
    }
}

/// Columns of the rows that have another name by now (old name, new name), or are none any more.
pub type Renamed = HashMap<String, Option<String>>;

/// Binds the columns of `map` that travel to those of `table`. `definition` is the source's definition, for binlogs without
/// column names.
///
/// # Errors
/// [`BindError`] if the two do not go together.
pub fn bind(
    map: &Arc<TableMap>,
    definition: Option<&Table>,
    table: &Arc<Table>,
    carried: &ColumnMap,
    unknown: UnknownColumn<'_>,
) -> Result<Target, BindError> {
    let names = column_names(map, definition)?;
    let source_table = map.name.to_string();
    let destination = table.name.to_string();
    let mut columns = Vec::with_capacity(names.len());
    let mut retyped = HashMap::new();
    for (source, name) in names.iter().enumerate() {
        let to = unknown.now(name).and_then(|name| carried.to(name));
        let Some(position) = to.and_then(|name| table.position(name)) else {
            match unknown {
                _ if to.is_none() => continue,
                UnknownColumn::LeaveOut { .. } => continue,
                UnknownColumn::Refuse => {
                    return Err(BindError::MissingColumn {
                        source_table,
                        destination,
                        column: name.clone(),
                    });
                }
            }
        };
        let (Some(column), Some(found)) = (map.columns.get(source), table.columns.get(position)) else {
            continue;
        };
        // Computed there; its value is of use where it tells rows apart.
        if found.generated && !table.is_in_unique_key(position) {
            continue;
        }
        if let Some(old) = unknown.before(name, found).filter(|old| fits(column, old)) {
            retyped.insert(found.name.clone(), old.clone());
        } else if !fits(column, found) || !same_meaning(column, found) {
            return Err(BindError::Type {
                source_table,
                destination,
                column: name.clone(),
                found: found.column_type.clone(),
            });
        }
        columns.push(Binding {
            source,
            destination: position,
        });
    }
    let key = table.row_key().and_then(|key| key.columns());
    let Some(key_columns) = key else {
        return Err(BindError::NoKey { destination });
    };
    let key = key_columns
        .iter()
        .map(|position| {
            columns
                .iter()
                .position(|binding| binding.destination == *position)
                .ok_or_else(|| BindError::KeyColumn {
                    source_table: source_table.clone(),
                    destination: destination.clone(),
                    column: table
                        .columns
                        .get(*position)
                        .map(|column| column.name.clone())
                        .unwrap_or_default(),
                })
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Target {
        source: map.name.clone(),
        map: map.clone(),
        table: table.clone(),
        dependencies: dependency::keys(table, &columns),
        columns,
        key,
        mode: Mode::default(),
        filter: None,
        retyped,
    })
}

/// The names of the columns in the rows of `map`, see [`bind`].
///
/// # Errors
/// [`BindError::Definition`] if they are not known.
pub fn column_names(map: &TableMap, definition: Option<&Table>) -> Result<Vec<String>, BindError> {
    if map.has_names() {
        return Ok(map.columns.iter().filter_map(|column| column.name.clone()).collect());
    }
    let error = |reason: String| BindError::Definition {
        table: map.name.to_string(),
        reason,
    };
    let Some(definition) = definition else {
        return Err(error("the binlog carries no column names".to_owned()));
    };
    if definition.columns.len() != map.columns.len() {
        return Err(error(format!(
            "it has {} columns, the rows have {}",
            definition.columns.len(),
            map.columns.len()
        )));
    }
    for (column, defined) in map.columns.iter().zip(&definition.columns) {
        if !fits(column, defined) || column.nullable != defined.nullable {
            return Err(error(format!("column {} has another type", defined.name)));
        }
    }
    Ok(definition.columns.iter().map(|column| column.name.clone()).collect())
}

/// Whether texts and members in the rows stand for the same in a column of this definition, as far as the binlog says.
fn same_meaning(column: &Column, found: &TableColumn) -> bool {
    if let Family::Text { charset, .. } = &found.family {
        let from = column.collation.and_then(|collation| fit::charset_of(collation.into()));
        return from.is_none_or(|from| fit::holds_charset(&from, charset));
    }
    let Some(members) = &column.members else { return true };
    let there = fit::members(&found.column_type);
    let pairs = members.iter().zip(&there);
    // A member that is not UTF-8, or that the server shows with a '?' in place of what it can't show, can't be told.
    let differs = |(member, there): (&Vec<u8>, &String)| {
        !there.contains('?') && str::from_utf8(member).is_ok_and(|member| member != there)
    };
    !pairs.into_iter().any(differs)
}

/// Whether values of a binlog column can be written to a column of this definition without a change of meaning.
fn fits(column: &Column, found: &TableColumn) -> bool {
    use ColumnKind as K;
    let binary = column.collation == Some(BINARY_COLLATION);
    match (column.kind, &found.family) {
        (K::Tiny | K::Short | K::Int24 | K::Long | K::LongLong, Family::Integer) => {
            column.unsigned == found.column_type.contains("unsigned")
        }
        (K::Decimal { .. }, Family::Decimal) => true,
        (K::Float | K::Double, Family::Float) => true,
        (K::Bit { .. }, Family::Number) => found.column_type.starts_with("bit"),
        (K::Enum { .. }, Family::Number) => found.column_type.starts_with("enum"),
        (K::Set { .. }, Family::Number) => found.column_type.starts_with("set"),
        (K::Year, Family::Number) => found.column_type.starts_with("year"),
        (K::Char { .. } | K::VarChar { .. } | K::Blob { .. }, Family::Text { .. }) => !binary,
        (K::Char { .. } | K::VarChar { .. } | K::Blob { .. }, Family::Binary { .. } | Family::Blob) => {
            binary || column.collation.is_none()
        }
        (K::Json { .. }, Family::Json)
        | (K::Geometry { .. }, Family::Geometry)
        | (K::Vector { .. }, Family::Vector) => true,
        (K::Date, Family::Date) | (K::Time { .. }, Family::Time { .. }) => true,
        (K::DateTime { .. }, Family::DateTime { .. }) | (K::Timestamp { .. }, Family::Timestamp { .. }) => true,
        _ => false,
    }
}
