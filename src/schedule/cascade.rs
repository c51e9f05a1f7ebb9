//! Which changes take rows of other tables with them.
//!
//! InnoDB itself carries out ON DELETE and ON UPDATE actions before MySQL 9.6, and after it with
//! `innodb_native_foreign_keys=ON`: then the log has the parent's change and nothing of what became of its children. Such a
//! change is marked ([`Change::cascades`]), and the destination's own foreign keys have to act on it. Since they look at
//! the rows that are there at that moment, it takes its place among all others exactly.

use std::sync::Arc;

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

/// Cuts changes into runs that are to be applied one after the other.
///
/// # Errors
/// See [`acts`].
pub fn runs<'c>(changes: impl IntoIterator<Item = (&'c Gtid, &'c Change)>) -> Result<Vec<Run<'c>>, BinlogError> {
    let mut runs: Vec<Run<'c>> = Vec::new();
    for (gtid, change) in changes {
        let acts = acts(change)?;
        let goes_on = |run: &Run<'_>| {
            let same_table = || {
                run.changes
                    .last()
                    .is_some_and(|(_, last)| Arc::ptr_eq(&last.target, &change.target))
            };
            run.acts == acts && (!acts || same_table())
        };
        match runs.last_mut() {
            Some(run) if goes_on(run) => run.changes.push((gtid, change)),
            _ => runs.push(Run {
                acts,
                changes: vec![(gtid, change)],
            }),
        }
    }
    Ok(runs)
}
