//! Tables that a link has copied, and how its changes meet their rows. Pure.
//!
//! A copy is taken while the table changes: its first range shows one state of the source, its last a later one. A change
//! that the first range shows is in all of them. One between the two may or may not be in the copy, so the last word on
//! its row counts, whatever is there. From the later state on every before image holds.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::model::{
    change::Mode,
    gtid::{Gtid, GtidSet},
    name::TableName,
};

use super::objects::Objects;

/// What a link has copied, by the names at its source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Copied {
    /// Every table of the link was copied by its full sync, which ended here. It began where the link's changes do.
    pub all_until: GtidSet,
    /// Tables that were copied for themselves, or are being copied. One without a name stands for all that its database
    /// has besides tables.
    pub tables: HashMap<TableName, Arc<TableCopy>>,
    /// Tables that are to be copied, and that the source has no more: a statement that is still to come says why.
    pub gone: HashSet<TableName>,
}

/// The copy of one table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableCopy {
    /// Transactions that every row of the copy has seen.
    pub from: GtidSet,
    /// Transactions that some row of the copy may have seen; empty as long as the copy is not complete.
    pub until: GtidSet,
}

/// What becomes of a table's changes in one transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meets {
    /// The copy has them: there is nothing to do.
    Copied,
    /// They are applied.
    Rows(Mode),
}

/// Where a table of the source goes that a link has to copy itself: one that is selected, and that the forward link,
/// whose objects a reverse link has here, does not keep in step already.
pub fn own(objects: &Objects, forward: Option<&Objects>, table: &TableName) -> Option<TableName> {
    let destination = objects.map(table)?;
    let shared = forward.is_some_and(|forward| forward.map(&destination).as_ref() == Some(table));
    (!shared).then_some(destination)
}

impl Copied {
    /// What becomes of the changes of `table` in the transaction `gtid`.
    pub fn meets(&self, table: &TableName, gtid: &Gtid) -> Meets {
        let copy = self.tables.get(table);
        if copy.is_some_and(|copy| copy.from.contains(gtid)) {
            return Meets::Copied;
        }
        let may_show = |copy: &Arc<TableCopy>| copy.until.is_empty() || copy.until.contains(gtid);
        let tolerant = self.all_until.contains(gtid) || copy.is_some_and(may_show);
        Meets::Rows(if tolerant { Mode::Tolerant } else { Mode::Strict })
    }

    /// The tables whose copy is not complete, or has not even begun.
    pub fn unfinished(&self) -> Vec<TableName> {
        let unfinished = self.tables.iter().filter(|(_, copy)| copy.until.is_empty());
        let mut names: Vec<TableName> = unfinished.map(|(name, _)| name.clone()).collect();
        names.retain(|name| !name.database.is_empty());
        names.sort_unstable();
        names
    }

    /// Whether the table is being copied, or is about to be.
    pub fn is_unfinished(&self, table: &TableName) -> bool {
        self.tables.get(table).is_some_and(|copy| copy.until.is_empty())
    }

    /// Tables whose copy has not seen the transaction `gtid`, and goes on: a statement there has to wait for its end.
    pub fn in_the_way(&self, gtid: &Gtid) -> HashSet<TableName> {
        let names = self.unfinished().into_iter();
        let waits = |name: &TableName| {
            !self.gone.contains(name) && !self.tables.get(name).is_some_and(|copy| copy.from.contains(gtid))
        };
        names.filter(waits).collect()
    }

    /// The tables whose copy has seen the transaction `gtid` in every row.
    pub fn covering(&self, gtid: &Gtid) -> HashSet<TableName> {
        let tables = self.tables.iter().filter(|(_, copy)| copy.from.contains(gtid));
        tables.map(|(name, _)| name.clone()).collect()
    }

    /// Forgets copies that no change from `applied` on can meet any more; gives their names.
    pub fn forget(&mut self, applied: &GtidSet) -> Vec<TableName> {
        let passed: Vec<TableName> = self
            .tables
            .iter()
            .filter(|(_, copy)| !copy.until.is_empty() && copy.until.is_subset_of(applied))
            .map(|(name, _)| name.clone())
            .collect();
        self.tables.retain(|name, _| !passed.contains(name));
        passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SITE: &str = "00000000-0000-0000-0000-000000000001";

    fn set(last: u64) -> GtidSet {
        format!("{SITE}:1-{last}").parse().unwrap()
    }

    fn check(copied: &Copied, table: &str, number: u64, expected: Meets) {
        let gtid = format!("{SITE}:{number}").parse().unwrap();
        assert_eq!(
            copied.meets(&TableName::new("d", table), &gtid),
            expected,
            "{table} {number}"
        );
    }

    #[test]
    fn a_change_meets_the_copy_by_its_place_before_in_or_behind_it() {
        let copy = TableCopy {
            from: set(5),
            until: set(9),
        };
        let mut copied = Copied {
            all_until: set(2),
            tables: [(TableName::new("d", "t"), Arc::new(copy))].into(),
            ..Copied::default()
        };
        check(&copied, "t", 1, Meets::Copied);
        check(&copied, "t", 5, Meets::Copied);
        check(&copied, "t", 6, Meets::Rows(Mode::Tolerant));
        check(&copied, "t", 9, Meets::Rows(Mode::Tolerant));
        check(&copied, "t", 10, Meets::Rows(Mode::Strict));
        check(&copied, "u", 2, Meets::Rows(Mode::Tolerant));
        check(&copied, "u", 3, Meets::Rows(Mode::Strict));
        assert_eq!(copied.forget(&set(8)), []);
        assert_eq!(copied.forget(&set(9)), [TableName::new("d", "t")]);
        check(&copied, "t", 10, Meets::Rows(Mode::Strict));
    }

    #[test]
    fn a_statement_waits_for_copies_that_have_not_seen_it() {
        let begun = Arc::new(TableCopy {
            from: set(5),
            until: GtidSet::new(),
        });
        let names = ["t", "gone", ""].map(|table| TableName::new("d", table));
        let mut copied = Copied {
            tables: names.iter().map(|name| (name.clone(), begun.clone())).collect(),
            gone: [names[1].clone()].into(),
            ..Copied::default()
        };
        copied.tables.insert(TableName::new("", "mark"), begun);
        check(&copied, "t", 5, Meets::Copied);
        check(&copied, "t", 6, Meets::Rows(Mode::Tolerant));
        let gtid = |number: u64| format!("{SITE}:{number}").parse().unwrap();
        assert_eq!(copied.in_the_way(&gtid(5)), HashSet::new());
        assert_eq!(copied.in_the_way(&gtid(6)), [names[0].clone(), names[2].clone()].into());
        assert_eq!(
            copied.unfinished(),
            [names[2].clone(), names[1].clone(), names[0].clone()]
        );
    }
}
