//! Which tables are copied before which.
//!
//! A parent's row that goes takes its children with it, on many servers without a word in the log. At the destination it can
//! do the same only while what is between it and its grandchildren is there. So parents are read before their children:
//! a child that was read before that moment has all its ancestors at the destination.

use std::collections::{HashMap, HashSet};

use crate::model::{name::TableName, table::Table};

/// Groups `tables` so that parents stand in an earlier group than their children. Tables that refer to each other in a
/// circle come together at the end.
pub(super) fn parents_first<T>(tables: Vec<T>, definition: impl Fn(&T) -> &Table) -> Vec<Vec<T>> {
    let selected: HashSet<TableName> = tables.iter().map(|table| definition(table).name.clone()).collect();
    let mut level: HashMap<TableName, usize> = HashMap::new();
    let mut waiting: Vec<&Table> = tables.iter().map(&definition).collect();
    let mut round = 0;
    while !waiting.is_empty() {
        let placed = level.len();
        let is_free = |table: &Table| {
            let mut parents = table.foreign_keys.iter().map(|key| &key.parent);
            parents.all(|parent| {
                *parent == table.name || !selected.contains(parent) || level.get(parent).is_some_and(|l| *l < round)
            })
        };
        let (free, rest): (Vec<&Table>, Vec<&Table>) = waiting.into_iter().partition(|table| is_free(table));
        level.extend(free.iter().map(|table| (table.name.clone(), round)));
        waiting = rest;
        round += 1;
        if level.len() == placed {
            break;
        }
    }
    let mut groups: Vec<Vec<T>> = (0..round).map(|_| Vec::new()).collect();
    let last = round.saturating_sub(1);
    for table in tables {
        let place = level.get(&definition(&table).name).copied().unwrap_or(last);
        if let Some(group) = groups.get_mut(place) {
            group.push(table);
        }
    }
    groups.retain(|group| !group.is_empty());
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::table::ForeignKey;

    fn check(tables: &str, expected: &str) {
        let tables: Vec<Table> = tables
            .split_whitespace()
            .map(|text| {
                let (name, parents) = text.split_once(':').unwrap_or((text, ""));
                let key = |parent: &str| ForeignKey {
                    name: String::new(),
                    columns: vec![],
                    parent: TableName::new("d", parent),
                    parent_columns: vec![],
                };
                Table {
                    name: TableName::new("d", name),
                    columns: vec![],
                    unique_keys: vec![],
                    foreign_keys: parents.split(',').filter(|p| !p.is_empty()).map(key).collect(),
                    references: vec![],
                }
            })
            .collect();
        let groups = parents_first(tables, |table| table);
        let shown: Vec<String> = groups
            .iter()
            .map(|group| {
                group
                    .iter()
                    .map(|t| t.name.table.as_str())
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect();
        assert_eq!(shown.join(" | "), expected);
    }

    #[test]
    fn parents_stand_before_their_children() {
        check("a b c", "a b c");
        check("a:b b:c c", "c | b | a");
        check("tree:tree a:tree,elsewhere", "tree | a");
        check("d:b,c b:a c:a a x:d", "a | b c | d | x");
        check("p a:b b:a c:a q:p", "p | q | a b c");
        check("", "");
    }
}
