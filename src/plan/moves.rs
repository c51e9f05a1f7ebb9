//! Tables that a RENAME takes into the selection, or out of it.
//!
//! `RENAME TABLE` may move a table through several names, and exchange tables. What counts is where each table was before
//! and where it is afterwards: one that is selected under both names is renamed at the destination, one that was not
//! selected *comes in* and has to be copied, one that is not selected any more *leaves* and stays at the destination as it
//! is.

use std::collections::HashSet;

use crate::{ddl, model::name::TableName};

use super::objects::Objects;

/// What a statement moves, if it moves a table over the border of the selection. Names are the source's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Moves {
    /// Tables that come in, by their new name.
    pub joins: Vec<TableName>,
    /// Tables that leave: old name, new name.
    pub leaves: Vec<(TableName, TableName)>,
    /// Tables that stay selected: old name, new name.
    pub stays: Vec<(TableName, TableName)>,
    /// Former names of tables that have been copied by their new name already: what is at the destination by the former
    /// one is of no use any more.
    pub superseded: Vec<TableName>,
}

impl Moves {
    /// Of a RENAME TABLE, or an ALTER TABLE … RENAME. `covered` are tables that were copied after it had been run,
    /// `half_copied` those whose copy had not ended by then. `None`: no table crosses the border.
    pub fn of(
        statement: &ddl::Statement,
        objects: &Objects,
        covered: &HashSet<TableName>,
        half_copied: &HashSet<TableName>,
    ) -> Option<Self> {
        // Where each table is now, and where it was at first.
        let mut places: Vec<(TableName, TableName)> = Vec::new();
        for (old, new) in statement.renamed_tables() {
            match places.iter_mut().find(|(now, _)| now == old) {
                Some((now, _)) => *now = new.clone(),
                None => places.push((new.clone(), old.clone())),
            }
        }
        let mut moves = Moves::default();
        for (now, first) in places.into_iter().filter(|(now, first)| now != first) {
            match (objects.map(&first).is_some(), objects.map(&now).is_some()) {
                (true, true) if covered.contains(&now) => moves.superseded.push(first),
                // What is at the destination is not all of it.
                (true, true) if half_copied.contains(&first) => {
                    moves.superseded.push(first);
                    moves.joins.push(now);
                }
                (true, true) => moves.stays.push((first, now)),
                (true, false) => moves.leaves.push((first, now)),
                (false, true) => moves.joins.push(now),
                (false, false) => {}
            }
        }
        let crossed = !moves.joins.is_empty() || !moves.leaves.is_empty() || !moves.superseded.is_empty();
        crossed.then_some(moves)
    }

    /// The renames that the destination needs, in order, with its names: what leaves makes way where its name is needed,
    /// and what stays goes by a name in between, as tables may exchange theirs. `mark` tells the names that are made up
    /// from others.
    pub fn renames(&self, objects: &Objects, mark: &str) -> Vec<(TableName, TableName)> {
        let aside = |table: &TableName, why: &str| {
            // 64 characters at most.
            let kept: String = table.table.chars().take(64 - why.len() - mark.len() - 2).collect();
            TableName::new(&table.database, format!("{kept}_{why}_{mark}"))
        };
        let taken: Vec<TableName> = self
            .joins
            .iter()
            .chain(self.stays.iter().map(|(_, new)| new))
            .filter_map(|name| objects.map(name))
            .collect();
        let leaving = self.leaves.iter().filter_map(|(old, _)| objects.map(old));
        let mut renames: Vec<(TableName, TableName)> = leaving
            .filter(|name| taken.contains(name))
            .map(|name| (name.clone(), aside(&name, "left")))
            .collect();
        let stays: Vec<(TableName, TableName)> = self
            .stays
            .iter()
            .filter_map(|(old, new)| Some((objects.map(old)?, objects.map(new)?)))
            .collect();
        renames.extend(stays.iter().map(|(old, _)| (old.clone(), aside(old, "moves"))));
        renames.extend(stays.iter().map(|(old, new)| (aside(old, "moves"), new.clone())));
        renames
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::task::{Direction, ObjectRule, Selection};

    fn check(text: &str, expected: Option<(&[&str], &[&str], &[&str])>) {
        let rule = |table: &str, to: &str| {
            ObjectRule::Include(Selection {
                database: "d".into(),
                table: Some(table.into()),
                to_database: Some("e".into()),
                to_table: Some(to.into()),
                ..Selection::default()
            })
        };
        let objects = Objects::new(Direction::Forward, &[rule("t", "t"), rule("u", "uu")], None);
        let context = ddl::StatementContext {
            default_database: Some("d"),
            sql_mode: 0,
            server_version: 90_704,
        };
        let moves = Moves::of(
            &ddl::classify(text, &context).unwrap(),
            &objects,
            &HashSet::new(),
            &HashSet::new(),
        );
        let found = moves.map(|moves| {
            let renames = moves.renames(&objects, "7").into_iter();
            (
                moves.joins.iter().map(ToString::to_string).collect::<Vec<_>>(),
                moves
                    .leaves
                    .iter()
                    .map(|(old, new)| format!("{old} {new}"))
                    .collect::<Vec<_>>(),
                renames.map(|(old, new)| format!("{old} {new}")).collect::<Vec<_>>(),
            )
        });
        let expected = expected.map(|(joins, leaves, renames)| {
            let owned = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
            (owned(joins), owned(leaves), owned(renames))
        });
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn what_counts_is_where_a_table_was_and_where_it_is() {
        check("RENAME TABLE t TO u", None);
        check("RENAME TABLE x TO y", None);
        check("ALTER TABLE t ADD c INT", None);
        check("RENAME TABLE x TO t", Some((&["d.t"], &[], &[])));
        check("ALTER TABLE x RENAME TO t", Some((&["d.t"], &[], &[])));
        check("RENAME TABLE t TO x", Some((&[], &["d.t d.x"], &[])));
        check(
            "RENAME TABLE t TO t_old, t_new TO t",
            Some((&["d.t"], &["d.t d.t_old"], &["e.t e.t_left_7"])),
        );
        // Through a name in between they only exchange theirs: nobody leaves.
        check("RENAME TABLE t TO x, u TO t, x TO u", None);
        check(
            "RENAME TABLE t TO x, u TO t, y TO u",
            Some((
                &["d.u"],
                &["d.t d.x"],
                &["e.t e.t_left_7", "e.uu e.uu_moves_7", "e.uu_moves_7 e.t"],
            )),
        );
    }

    #[test]
    fn a_table_that_is_renamed_in_the_middle_of_its_copy_is_copied_by_its_new_name() {
        let whole = ObjectRule::Include(Selection {
            database: "d".into(),
            ..Selection::default()
        });
        let objects = Objects::new(Direction::Forward, &[whole], None);
        let context = ddl::StatementContext {
            default_database: Some("d"),
            sql_mode: 0,
            server_version: 90_704,
        };
        let statement = ddl::classify("RENAME TABLE t TO u", &context).unwrap();
        let half = [TableName::new("d", "t")].into();
        let expected = Moves {
            joins: vec![TableName::new("d", "u")],
            superseded: vec![TableName::new("d", "t")],
            ..Moves::default()
        };
        assert_eq!(Moves::of(&statement, &objects, &HashSet::new(), &half), Some(expected));
    }
}
