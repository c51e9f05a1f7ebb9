//! Changes of one destination transaction, folded table by table: which are written in sets, and by what statements.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    binlog::BinlogError,
    model::{
        change::{Change, ChangeKind, Mode, Target},
        gtid::Gtid,
    },
    schedule::{
        cascade,
        fold::{self, TableBatch},
    },
};

use super::packet::{Lengths, Plan, Start};

/// Changes applied to a table.
#[derive(Debug)]
pub struct TableCounts {
    /// The table.
    pub target: Arc<Target>,
    /// Inserts, updates, deletes, conflicts.
    pub counts: [u64; 4],
}

/// Adds counts to sums: parts of a transaction may be many, and speak of the same tables.
pub(super) fn add_counts(sums: &mut Vec<TableCounts>, counts: impl IntoIterator<Item = TableCounts>) {
    for more in counts {
        match sums.iter_mut().find(|sum| Arc::ptr_eq(&sum.target, &more.target)) {
            Some(sum) => {
                let pairs = sum.counts.iter_mut().zip(more.counts);
                pairs.for_each(|(sum, count)| *sum += count);
            }
            None => sums.push(more),
        }
    }
}

/// Folded changes.
#[derive(Debug, Default)]
pub(super) struct Batches<'c> {
    /// The tables, in the order in which they first appear.
    pub(super) tables: Vec<TableBatch<'c>>,
    /// The tables (by place) whose changes are taken one by one.
    pub(super) slow: BTreeSet<usize>,
    /// Per table the conflicts that were met.
    pub(super) conflicts: Vec<u64>,
}

impl<'c> Batches<'c> {
    /// The batches that are to be written one after the other: but for changes that act on other rows, there is one.
    ///
    /// # Errors
    /// If a row image is malformed.
    pub(super) fn runs(changes: impl IntoIterator<Item = (&'c Gtid, &'c Change)>) -> Result<Vec<Self>, BinlogError> {
        let mut batches = Vec::new();
        for run in cascade::runs(changes)? {
            let mut batch = Self::of(fold::fold(run.changes)?);
            if run.acts {
                batch.slow.extend(0..batch.tables.len());
            }
            batches.push(batch);
        }
        if batches.is_empty() {
            // What there is to write is the checkpoint.
            batches.push(Self::default());
        }
        Ok(batches)
    }

    fn of(tables: Vec<TableBatch<'c>>) -> Self {
        let mut batches = Self {
            conflicts: vec![0; tables.len()],
            tables,
            slow: BTreeSet::new(),
        };
        batches.slow = batches.in_order();
        batches
    }

    /// The tables whose changes are taken one by one from the start.
    fn in_order(&self) -> BTreeSet<usize> {
        let in_order = |table: &TableBatch<'_>| {
            // What one statement writes over whatever is there must have but one key to find it by.
            let several_keys = || table.target.table.unique_keys.len() > 1 && table.target.leaves_out();
            table.in_order || table.target.mode == Mode::Tolerant && several_keys()
        };
        let tables = self.tables.iter().enumerate();
        tables
            .filter(|(_, table)| in_order(table))
            .map(|(place, _)| place)
            .collect()
    }

    /// The statements that write the tables that are written in sets. `buffer` becomes the first packet.
    ///
    /// # Errors
    /// If a row image of the table that is named is malformed.
    pub(super) fn plan(
        &self,
        start: Start<'_>,
        buffer: Vec<u8>,
        commits: bool,
        lengths: Lengths,
    ) -> Result<Plan, (&'c Arc<Target>, BinlogError)> {
        let mut plan = Plan::new(start, buffer, commits, lengths);
        let tables = self.tables.iter().enumerate();
        for (place, table) in tables.filter(|(place, _)| !self.slow.contains(place)) {
            plan.add_table(place, table).map_err(|error| (table.target, error))?;
        }
        plan.finish();
        Ok(plan)
    }

    /// Before images of these tables did not hold.
    pub(super) fn differ(&mut self, tables: &[usize]) {
        for table in tables.iter().filter_map(|place| self.tables.get(*place)) {
            tracing::debug!(table = %table.target.table.name, "changes are taken one by one");
        }
        self.slow.extend(tables);
    }

    /// What was applied.
    pub(super) fn counts(&self) -> impl Iterator<Item = TableCounts> + use<'_, 'c> {
        self.tables.iter().zip(&self.conflicts).map(|(table, conflicts)| {
            let [mut inserts, mut updates, mut deletes] = [0; 3];
            for (_, change) in &table.changes {
                *match change.kind() {
                    ChangeKind::Insert => &mut inserts,
                    ChangeKind::Update => &mut updates,
                    ChangeKind::Delete => &mut deletes,
                } += 1;
            }
            TableCounts {
                target: table.target.clone(),
                counts: [inserts, updates, deletes, *conflicts],
            }
        })
    }
}
