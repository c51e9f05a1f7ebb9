//! Consecutive transactions become one: changes to the same row are folded into their net effect.

use std::{collections::HashMap, sync::Arc};

use crate::{
    binlog::BinlogError,
    model::{
        change::{Change, Images, Mode, Target},
        gtid::Gtid,
        row::Row,
    },
};

use super::keys::row_key;

/// What is left of a table's changes: at most one entry per row key.
#[derive(Debug)]
pub struct TableBatch<'c> {
    /// The table.
    pub target: &'c Arc<Target>,
    /// The changes as they came, each with its transaction, for the row-by-row path.
    pub changes: Vec<(&'c Gtid, &'c Change)>,
    /// Rows that go, with their first before image.
    pub deletes: Vec<&'c Row>,
    /// Rows that change: first before image, last after image.
    pub updates: Vec<(&'c Row, &'c Row)>,
    /// Rows that come.
    pub inserts: Vec<&'c Row>,
    /// A row went and came again, under the same key or (by an update) under another one, and the destination has columns
    /// that the changes say nothing of: only the changes one by one, in their order, leave in them what belongs there.
    pub in_order: bool,
}

/// The net effect of a series of changes on one row key.
#[derive(Clone, Copy)]
enum Net<'c> {
    Nothing,
    Insert(&'c Row),
    Update(&'c Row, &'c Row),
    Delete(&'c Row),
}

/// Folds `changes`, table by table, in the order in which tables first appear.
///
/// Executed as deletes, then updates, then inserts of each table the result equals the changes one by one: what
/// frees a unique value comes before what takes it, except among updates, where the server refuses a passing
/// duplicate and the caller takes the changes one by one.
///
/// Where every before image holds, an insert and a delete of the same row leave nothing. In [`Mode::Tolerant`] `updates`
/// stays empty, and `inserts` are to replace.
///
/// # Errors
/// If a row image is malformed.
pub fn fold<'c>(changes: impl IntoIterator<Item = (&'c Gtid, &'c Change)>) -> Result<Vec<TableBatch<'c>>, BinlogError> {
    let mut tables: Vec<Folding<'c>> = Vec::new();
    let mut places: HashMap<*const Target, usize> = HashMap::new();
    for (gtid, change) in changes {
        let place = places.entry(Arc::as_ptr(&change.target)).or_insert_with(|| {
            tables.push(Folding::of(&change.target));
            tables.len() - 1
        });
        if let Some(table) = tables.get_mut(*place) {
            table.add(gtid, change)?;
        }
    }
    Ok(tables.into_iter().map(Folding::finish).collect())
}

/// A table's changes, while they are folded.
struct Folding<'c> {
    target: &'c Arc<Target>,
    changes: Vec<(&'c Gtid, &'c Change)>,
    in_order: bool,
    /// [`Target::leaves_out`].
    partial: bool,
    /// Where in `nets` the effect on a row key is.
    index: HashMap<Vec<u8>, usize>,
    nets: Vec<Net<'c>>,
}

impl<'c> Folding<'c> {
    fn of(target: &'c Arc<Target>) -> Self {
        Self {
            target,
            changes: Vec::new(),
            in_order: false,
            partial: target.leaves_out(),
            index: HashMap::new(),
            nets: Vec::new(),
        }
    }

    fn add(&mut self, gtid: &'c Gtid, change: &'c Change) -> Result<(), BinlogError> {
        match &change.images {
            Images::Insert(after) | Images::Enter(_, after) => {
                let slot = self.slot(after)?;
                self.in_order |= self.partial && matches!(self.nets.get(slot), Some(Net::Delete(_)));
                self.put(slot, after);
            }
            Images::Delete(before) => {
                let slot = self.slot(before)?;
                self.take(slot, before);
            }
            Images::Update(before, after) => {
                let (from, to) = (self.slot(before)?, self.slot(after)?);
                if from == to {
                    self.change_in_place(from, before, after);
                } else {
                    // A row whose key changes goes under its old key and comes under its new one.
                    self.in_order |= self.partial;
                    self.take(from, before);
                    self.put(to, after);
                }
            }
        }
        self.changes.push((gtid, change));
        Ok(())
    }

    /// Where the effect on the key of `row` stands.
    fn slot(&mut self, row: &Row) -> Result<usize, BinlogError> {
        let nets = &mut self.nets;
        Ok(*self.index.entry(row_key(self.target, row)?).or_insert_with(|| {
            nets.push(Net::Nothing);
            nets.len() - 1
        }))
    }

    fn replace(&mut self, slot: usize, with: impl FnOnce(Net<'c>) -> Net<'c>) {
        if let Some(net) = self.nets.get_mut(slot) {
            *net = with(*net);
        }
    }

    fn put(&mut self, slot: usize, after: &'c Row) {
        self.replace(slot, |net| match net {
            Net::Delete(before) | Net::Update(before, _) => Net::Update(before, after),
            Net::Nothing | Net::Insert(_) => Net::Insert(after),
        });
    }

    fn change_in_place(&mut self, slot: usize, before: &'c Row, after: &'c Row) {
        self.replace(slot, |net| match net {
            Net::Insert(_) => Net::Insert(after),
            Net::Update(first, _) | Net::Delete(first) => Net::Update(first, after),
            Net::Nothing => Net::Update(before, after),
        });
    }

    fn take(&mut self, slot: usize, before: &'c Row) {
        let mode = self.target.mode;
        self.replace(slot, |net| match net {
            Net::Insert(_) if mode == Mode::Strict => Net::Nothing,
            Net::Update(first, _) | Net::Delete(first) => Net::Delete(first),
            Net::Insert(_) | Net::Nothing => Net::Delete(before),
        });
    }

    fn finish(self) -> TableBatch<'c> {
        let mode = self.target.mode;
        let mut batch = TableBatch {
            target: self.target,
            changes: self.changes,
            deletes: vec![],
            updates: vec![],
            inserts: vec![],
            in_order: self.in_order,
        };
        for net in self.nets {
            match (net, mode) {
                (Net::Nothing, _) => {}
                (Net::Insert(after), _) | (Net::Update(_, after), Mode::Tolerant) => batch.inserts.push(after),
                (Net::Update(before, after), Mode::Strict) => batch.updates.push((before, after)),
                (Net::Delete(before), _) => batch.deletes.push(before),
            }
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::LazyLock};

    use proptest::prelude::*;

    use super::{
        super::fixtures::{changes, row, target},
        *,
    };
    use crate::model::value::Value;

    type Values = (i32, i32);

    fn values(row: &Row) -> Values {
        let value = |place| match row.value(place) {
            Ok(Some(Value::Int(number))) => i32::try_from(number).unwrap(),
            other => panic!("{other:?}"),
        };
        (value(0), value(1))
    }

    fn fold_all(changes: &[Change]) -> Vec<TableBatch<'_>> {
        static GTID: LazyLock<Gtid> = LazyLock::new(|| "3e11fa47-71ca-11e1-9e33-c80aa9429562:7".parse().unwrap());
        fold(changes.iter().map(|change| (&*GTID, change))).unwrap()
    }

    /// Runs a folded batch as a server does: deletes, updates, inserts, each with its guard.
    fn execute(batch: &TableBatch<'_>, rows: &mut BTreeMap<i32, i32>) {
        let tolerant = batch.target.mode == Mode::Tolerant;
        for (id, v) in batch.deletes.iter().map(|row| values(row)) {
            let held = rows.remove(&id);
            assert!(tolerant || held == Some(v), "{id} was {held:?}, not {v}");
        }
        for (before, after) in batch
            .updates
            .iter()
            .map(|(before, after)| (values(before), values(after)))
        {
            assert_eq!(before.0, after.0, "an update keeps its key");
            assert_eq!(rows.insert(after.0, after.1), Some(before.1));
        }
        for (id, v) in batch.inserts.iter().map(|row| values(row)) {
            let held = rows.insert(id, v);
            assert!(tolerant || held.is_none(), "{id} was there: {held:?}");
        }
    }

    #[test]
    fn tables_come_in_the_order_in_which_they_first_appear_each_with_all_its_changes() {
        let (one, other) = (target("one", Mode::Strict, false), target("other", Mode::Strict, false));
        let insert = |target: &Arc<Target>, id| changes(target, vec![Images::Insert(row(target, (id, 0)))]);
        let mixed = [(&other, 1), (&one, 1), (&other, 2)].map(|(target, id)| insert(target, id));
        let mixed = mixed.concat();
        let batches = fold_all(&mixed);
        let found: Vec<_> = batches
            .iter()
            .map(|batch| {
                (
                    batch.target.source.table.as_str(),
                    batch.changes.len(),
                    batch.inserts.len(),
                )
            })
            .collect();
        assert_eq!(found, [("other", 2, 2), ("one", 1, 1)]);
    }

    #[test]
    fn where_the_destination_has_more_columns_a_row_that_comes_again_keeps_the_order_of_its_changes() {
        for partial in [false, true] {
            let target = target("t", Mode::Strict, partial);
            let row = |values| row(&target, values);
            let again = vec![Images::Delete(row((1, 1))), Images::Insert(row((1, 2)))];
            let moved = vec![Images::Update(row((1, 1)), row((2, 1)))];
            let changed = vec![Images::Update(row((1, 1)), row((1, 2)))];
            let in_order = |images| fold_all(&changes(&target, images))[0].in_order;
            assert_eq!([again, moved].map(in_order), [partial; 2]);
            assert!(!in_order(changed));
        }
    }

    proptest! {
        /// Whatever a source does to its rows, what is left of it does the same to the destination's, guards included.
        #[test]
        fn the_net_effect_is_that_of_the_changes_one_by_one(
            there in prop::collection::btree_map(0..6, 0..4, 0..6),
            acts in prop::collection::vec((0..6, 0..6, 0..4), 0..30),
            tolerant in any::<bool>(),
        ) {
            let mode = if tolerant { Mode::Tolerant } else { Mode::Strict };
            let target = target("t", mode, false);
            let mut source = there.clone();
            let mut images = Vec::new();
            for (id, to, v) in acts {
                match source.get(&id).copied() {
                    None => {
                        source.insert(id, v);
                        images.push(Images::Insert(row(&target, (id, v))));
                    }
                    Some(old) if to == id && v == 0 => {
                        source.remove(&id);
                        images.push(Images::Delete(row(&target, (id, old))));
                    }
                    Some(old) if to == id || !source.contains_key(&to) => {
                        source.remove(&id);
                        source.insert(to, v);
                        images.push(Images::Update(row(&target, (id, old)), row(&target, (to, v))));
                    }
                    Some(_) => {}
                }
            }
            let count = images.len();
            let changes = changes(&target, images);
            let batches = fold_all(&changes);
            prop_assert_eq!(batches.len(), usize::from(count > 0));
            let mut destination = there;
            for batch in &batches {
                prop_assert_eq!(batch.changes.len(), count);
                execute(batch, &mut destination);
            }
            prop_assert_eq!(destination, source);
        }
    }
}
