//! By what changes depend on each other, planned once per table: reading a row's keys then takes no look at names.

use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
};

use super::{
    change::Binding,
    name::TableName,
    table::{Key, Table},
};

/// A key by whose value changes depend on each other: those that share it keep their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DependencyKey {
    /// Hash of the table whose rows it identifies, and of its columns' names there.
    pub seed: u64,
    /// Its columns in the order of their names: a foreign key may name them in another order than the parent's key does.
    pub columns: Vec<DependencyColumn>,
    /// The row only refers to another one (a child to its parent): changes that share the key in this way alone may run
    /// side by side.
    pub shared: bool,
}

/// A column of a [`DependencyKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DependencyColumn {
    /// Position in the source's row; `None`: it is not there.
    pub source: Option<usize>,
    /// Equal values have the same bytes. Otherwise the value does not tell, and more waits, never less.
    pub tells: bool,
}

/// The keys of a table's rows: its unique keys, what children refer to, and the parents that it refers to.
pub fn keys(table: &Table, columns: &[Binding]) -> Vec<DependencyKey> {
    let mut keys: Vec<DependencyKey> = Vec::new();
    let mut add = |key: Option<DependencyKey>| {
        if let Some(key) = key.filter(|key| !keys.contains(key)) {
            keys.push(key);
        }
    };
    for key in &table.unique_keys {
        add(match key.columns() {
            Some(positions) => over(table, columns, &table.name, &positions, None),
            None => Some(out_of_sight(table, key)),
        });
    }
    // What children refer to need not be a unique key, nor all of one.
    for reference in &table.references {
        add(over(table, columns, &table.name, &reference.columns, None));
    }
    for foreign in &table.foreign_keys {
        let names = Some(foreign.parent_columns.as_slice());
        let key = over(table, columns, &foreign.parent, &foreign.columns, names);
        add(key.map(|key| DependencyKey { shared: true, ..key }));
    }
    keys
}

/// Where an expression or a prefix is part of the key its value is not in the row image: all rows of the table share it,
/// and keep their order.
fn out_of_sight(table: &Table, key: &Key) -> DependencyKey {
    DependencyKey {
        seed: hash_of(&(&table.name, &key.name)),
        columns: Vec::new(),
        shared: false,
    }
}

/// The key over these columns of `table` that identifies rows of `of`, where they are called `names` (as in `table` if
/// `None`).
fn over(
    table: &Table,
    bindings: &[Binding],
    of: &TableName,
    positions: &[usize],
    names: Option<&[String]>,
) -> Option<DependencyKey> {
    let mut columns = Vec::with_capacity(positions.len());
    for (place, &position) in positions.iter().enumerate() {
        let definition = table.columns.get(position)?;
        let name = match names {
            Some(names) => names.get(place)?,
            None => &definition.name,
        };
        let bound = bindings.iter().find(|binding| binding.destination == position);
        let column = DependencyColumn {
            source: bound.map(|binding| binding.source),
            tells: definition.family.equal_means_same_bytes(),
        };
        columns.push((name.to_ascii_lowercase(), column));
    }
    columns.sort_by(|(one, _), (other, _)| one.cmp(other));
    let names: Vec<&String> = columns.iter().map(|(name, _)| name).collect();
    Some(DependencyKey {
        seed: hash_of(&(of, names)),
        columns: columns.iter().map(|(_, column)| *column).collect(),
        shared: false,
    })
}

fn hash_of(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}
