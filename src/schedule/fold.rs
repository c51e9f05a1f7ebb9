//! Consecutive transactions become one: changes to the same row are folded into their net effect.

use std::{collections::HashMap, sync::Arc};

use crate::{
    binlog::BinlogError,
    model::{
        change::{Change, Images, Mode, Target},
        row::Row,
    },
};

use super::keys::row_key;

/// What is left of a table's changes: at most one entry per row key.
#[derive(Debug)]
pub struct TableBatch {
    /// The table.
    pub target: Arc<Target>,
    /// The changes as they came, for the row-by-row path.
    pub changes: Vec<Change>,
    /// Rows that go, with their first before image.
    pub deletes: Vec<Row>,
    /// Rows that change: first before image, last after image.
    pub updates: Vec<(Row, Row)>,
    /// Rows that come.
    pub inserts: Vec<Row>,
    /// A row went and came again, under the same key or (by an update) under another one, and the destination has columns
    /// that the changes say nothing of: only the changes one by one, in their order, leave in them what belongs there.
    pub in_order: bool,
}

/// The net effect of a series of changes on one row key.
enum Net {
    Nothing,
    Insert(Row),
    Update(Row, Row),
    Delete(Row),
}

/// A table's batch, the place of each row key in `nets`, and the nets.
type Folding = (TableBatch, HashMap<Vec<u8>, usize>, Vec<Net>);

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
pub fn fold(changes: Vec<Change>) -> Result<Vec<TableBatch>, BinlogError> {
    let mut tables: Vec<Folding> = Vec::new();
    for change in changes {
        let place = match tables
            .iter()
            .position(|(batch, ..)| Arc::ptr_eq(&batch.target, &change.target))
        {
            Some(place) => place,
            None => {
                let target = change.target.clone();
                let batch = TableBatch {
                    target,
                    changes: vec![],
                    deletes: vec![],
                    updates: vec![],
                    inserts: vec![],
                    in_order: false,
                };
                tables.push((batch, HashMap::new(), Vec::new()));
                tables.len() - 1
            }
        };
        let Some((batch, index, nets)) = tables.get_mut(place) else {
            continue;
        };
        let (target, mode) = (batch.target.clone(), batch.target.mode);
        let partial = target.leaves_out();
        let mut entry = |row: &Row| -> Result<usize, BinlogError> {
            Ok(*index.entry(row_key(&target, row)?).or_insert_with(|| {
                nets.push(Net::Nothing);
                nets.len() - 1
            }))
        };
        match &change.images {
            Images::Insert(after) => {
                let slot = entry(after)?;
                batch.in_order |= partial && matches!(nets.get(slot), Some(Net::Delete(_)));
                put(nets, slot, after.clone());
            }
            Images::Delete(before) => {
                let slot = entry(before)?;
                take(nets, slot, before.clone(), mode);
            }
            Images::Update(before, after) => {
                let (from, to) = (entry(before)?, entry(after)?);
                if from == to {
                    change_in_place(nets, from, before.clone(), after.clone());
                } else {
                    // A row whose key changes goes under its old key and comes under its new one.
                    batch.in_order |= partial;
                    take(nets, from, before.clone(), mode);
                    put(nets, to, after.clone());
                }
            }
        }
        batch.changes.push(change);
    }
    Ok(tables
        .into_iter()
        .map(|(mut batch, _, nets)| {
            let mode = batch.target.mode;
            for net in nets {
                match (net, mode) {
                    (Net::Nothing, _) => {}
                    (Net::Insert(after), _) | (Net::Update(_, after), Mode::Tolerant) => batch.inserts.push(after),
                    (Net::Update(before, after), Mode::Strict) => batch.updates.push((before, after)),
                    (Net::Delete(before), _) => batch.deletes.push(before),
                }
            }
            batch
        })
        .collect())
}

fn replace(nets: &mut [Net], slot: usize, with: impl FnOnce(Net) -> Net) {
    if let Some(net) = nets.get_mut(slot) {
        *net = with(std::mem::replace(net, Net::Nothing));
    }
}

fn put(nets: &mut [Net], slot: usize, after: Row) {
    replace(nets, slot, |net| match net {
        Net::Delete(before) | Net::Update(before, _) => Net::Update(before, after),
        Net::Nothing | Net::Insert(_) => Net::Insert(after),
    });
}

fn change_in_place(nets: &mut [Net], slot: usize, before: Row, after: Row) {
    replace(nets, slot, |net| match net {
        Net::Insert(_) => Net::Insert(after),
        Net::Update(first, _) | Net::Delete(first) => Net::Update(first, after),
        Net::Nothing => Net::Update(before, after),
    });
}

fn take(nets: &mut [Net], slot: usize, before: Row, mode: Mode) {
    replace(nets, slot, |net| match net {
        Net::Insert(_) if mode == Mode::Strict => Net::Nothing,
        Net::Update(first, _) | Net::Delete(first) => Net::Delete(first),
        Net::Insert(_) | Net::Nothing => Net::Delete(before),
    });
}
