//! `ONLY`: row changes of kinds that are not carried are dropped before they are handed on. Pure.

use std::sync::Arc;

use crate::{
    model::{
        change::{Change, ChangeKind, Target},
        task::Operation,
    },
    plan::{assemble::Output, objects::Objects},
};

/// What is left of an output.
pub fn narrowed(output: Output, objects: &Objects) -> Output {
    if objects.carries_everything() {
        return output;
    }
    match output {
        Output::Transaction(mut transaction) => {
            transaction.changes = narrow(transaction.changes, objects);
            if !transaction.changes.is_empty() {
                return Output::Transaction(transaction);
            }
            let header = transaction.header;
            Output::Skipped {
                gtid: header.gtid,
                prepared: header.prepared,
                commit_us: header.commit_us,
                bookkeeping: false,
                intent: None,
            }
        }
        Output::Part(changes, bytes) => Output::Part(narrow(changes, objects), bytes),
        Output::Close(changes, bytes) => Output::Close(narrow(changes, objects), bytes),
        other => other,
    }
}

fn narrow(mut changes: Vec<Change>, objects: &Objects) -> Vec<Change> {
    /// What is carried of a table.
    struct Carried {
        table: Arc<Target>,
        inserts: bool,
        updates: bool,
        deletes: bool,
    }
    let mut last: Option<Carried> = None;
    changes.retain(|change| {
        let known = last.take().filter(|known| Arc::ptr_eq(&known.table, &change.target));
        let carries = |operation| objects.carries(&change.target.source, operation);
        let carried = last.insert(known.unwrap_or_else(|| Carried {
            table: change.target.clone(),
            inserts: carries(Operation::Insert),
            updates: carries(Operation::Update),
            deletes: carries(Operation::Delete),
        }));
        match change.kind() {
            ChangeKind::Insert => carried.inserts,
            ChangeKind::Update => carried.updates,
            ChangeKind::Delete => carried.deletes,
        }
    });
    changes
}
