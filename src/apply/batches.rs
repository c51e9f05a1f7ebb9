//! Changes of one destination transaction, folded table by table: which are written in sets, and by what statements.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    binlog::BinlogError,
    failure::Failure,
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

/// How a table is written that is not written in one set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Its changes act on other rows, or on columns that they say nothing of: one by one.
    OneByOne,
    /// Some of them do not fit what is there: in smaller and smaller sets, until those are found.
    ByHalves,
}

/// Folded changes.
#[derive(Debug, Default)]
pub(super) struct Batches<'c> {
    /// The tables, in the order in which they first appear.
    pub(super) tables: Vec<TableBatch<'c>>,
    /// The tables, by place, that are not written in one set.
    pub(super) slow: BTreeMap<usize, Way>,
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
                batch
                    .slow
                    .extend((0..batch.tables.len()).map(|place| (place, Way::OneByOne)));
            }
            batches.push(batch);
        }
        if batches.is_empty() {
            // What there is to write is the checkpoint.
            batches.push(Self::default());
        }
        Ok(batches)
    }

    /// One batch, of changes that do not act on other rows.
    pub(super) fn of(tables: Vec<TableBatch<'c>>) -> Self {
        let in_order = |table: &TableBatch<'_>| {
            // What one statement writes over whatever is there must have but one key to find it by.
            let several_keys = || table.target.table.unique_keys.len() > 1 && table.target.leaves_out();
            table.in_order || table.target.mode == Mode::Tolerant && several_keys()
        };
        let slow = tables.iter().enumerate().filter(|(_, table)| in_order(table));
        Self {
            slow: slow.map(|(place, _)| (place, Way::OneByOne)).collect(),
            conflicts: vec![0; tables.len()],
            tables,
        }
    }

    /// The statements that write the tables that are written in sets. `buffer` becomes the first packet.
    ///
    /// # Errors
    /// [`Failure`] if a row image is malformed.
    pub(super) fn plan(
        &self,
        start: Start<'_>,
        buffer: Vec<u8>,
        commits: bool,
        lengths: Lengths,
    ) -> Result<Plan, Failure> {
        let mut plan = Plan::new(start, buffer, commits, lengths);
        let tables = self.tables.iter().enumerate();
        for (place, table) in tables.filter(|(place, _)| !self.slow.contains_key(place)) {
            plan.add_table(place, table)
                .map_err(|error| malformed(&table.target.source, &error))?;
        }
        plan.finish();
        Ok(plan)
    }

    /// Before images of these tables did not hold.
    pub(super) fn differ(&mut self, tables: &[usize]) {
        for place in tables {
            if let Some(table) = self.tables.get(*place) {
                tracing::debug!(table = %table.target.table.name, "changes do not fit; those that do not are looked for");
            }
            self.slow.entry(*place).or_insert(Way::ByHalves);
        }
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

pub(super) fn malformed(place: &impl std::fmt::Display, error: &BinlogError) -> Failure {
    Failure::data(format!("a row image at {place} can't be read: {error}"))
}
