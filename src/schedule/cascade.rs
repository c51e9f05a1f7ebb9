//! Which changes take rows of other tables with them.
//!
//! InnoDB itself carries out ON DELETE and ON UPDATE actions before MySQL 9.6, and after it with
//! `innodb_native_foreign_keys=ON`: then the log has the parent's change and nothing of what became of its children. Such a
//! change is marked ([`Change::cascades`]), and the destination's own foreign keys have to act on it. Since they look at
//! the rows that are there at that moment, it takes its place among all others exactly.

use std::sync::Arc;

use super::definitions::Definitions;
use crate::{
    binlog::BinlogError,
    model::{
        change::{Change, Images, Target},
        gtid::Gtid,
        row::Row,
    },
};

/// Whether rows that refer to the changed one follow it at the destination, by an action that is not in the log.
///
/// # Errors
/// If a row image is malformed.
pub fn acts(change: &Change) -> Result<bool, BinlogError> {
    let references = &change.target.table.references;
    if !change.cascades || references.is_empty() {
        return Ok(false);
    }
    match &change.images {
        Images::Insert(_) => Ok(false),
        Images::Delete(_) => Ok(references.iter().any(|reference| reference.on_delete)),
        Images::Update(before, after) | Images::Enter(before, after) => {
            for reference in references.iter().filter(|reference| reference.on_update) {
                for &column in &reference.columns {
                    if differs(&change.target, column, before, after)? {
                        return Ok(true);
                    }
                }
            }
            Ok(false)
        }
    }
}

/// Whether one of these changes acts.
///
/// # Errors
/// See [`acts`].
pub fn any_acts(changes: &[Change]) -> Result<bool, BinlogError> {
    for change in changes {
        if acts(change)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn differs(target: &Target, column: usize, before: &Row, after: &Row) -> Result<bool, BinlogError> {
    let Some(binding) = target.columns.iter().find(|binding| binding.destination == column) else {
        return Ok(false);
    };
    Ok(before.value(binding.source)? != after.value(binding.source)?)
}

/// Changes that are applied together, each with its transaction.
#[derive(Debug)]
pub struct Run<'c> {
    /// They act, all on one table: one by one, in their order. Otherwise they may be folded.
    pub acts: bool,
    /// The changes.
    pub changes: Vec<(&'c Gtid, &'c Change)>,
}

/// Cuts changes into runs that are to be applied one after the other: where they begin or cease to act, and where one is
/// bound to another definition of a table than those before it.
///
/// # Errors
/// See [`acts`].
pub fn runs<'c>(changes: impl IntoIterator<Item = (&'c Gtid, &'c Change)>) -> Result<Vec<Run<'c>>, BinlogError> {
    let mut runs: Vec<Run<'c>> = Vec::new();
    let mut definitions = Definitions::default();
    for (gtid, change) in changes {
        let acts = acts(change)?;
        let last = runs.last_mut().filter(|run| run.acts == acts);
        let fits = |run: &&mut Run<'c>| {
            let before = run.changes.last().map(|(_, change)| &change.target);
            let same_table = before.is_some_and(|before| Arc::ptr_eq(before, &change.target));
            same_table || (!acts && definitions.add(&change.target))
        };
        match last.filter(fits) {
            Some(run) => run.changes.push((gtid, change)),
            None => {
                definitions = Definitions::default();
                definitions.add(&change.target);
                runs.push(Run {
                    acts,
                    changes: vec![(gtid, change)],
                });
            }
        }
    }
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use super::{
        super::fixtures::{changes, row, target},
        *,
    };
    use crate::model::change::Mode;

    #[test]
    fn another_definition_of_a_table_begins_another_run() {
        let (one, other) = (target("one", Mode::Strict, false), target("other", Mode::Strict, false));
        let altered = target("one", Mode::Strict, true);
        let lengths = |targets: &[&Arc<Target>]| {
            let insert = |target: &&Arc<Target>| changes(target, vec![Images::Insert(row(target, (1, 1)))]);
            let changes: Vec<_> = targets.iter().flat_map(insert).collect();
            let gtid = "3e11fa47-71ca-11e1-9e33-c80aa9429562:7".parse().unwrap();
            let runs = runs(changes.iter().map(|change| (&gtid, change))).unwrap();
            runs.iter().map(|run| run.changes.len()).collect::<Vec<_>>()
        };
        assert_eq!(lengths(&[&one, &other, &one, &one]), [4]);
        assert_eq!(lengths(&[&one, &other, &altered, &altered, &other, &one]), [2, 3, 1]);
        assert_eq!(lengths(&[]), [0; 0]);
    }
}
