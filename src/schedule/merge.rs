//! What becomes one destination transaction, and how much.
//!
//! An applier takes whatever waits for it, so what it writes is small while the link is in step and grows with the
//! backlog, up to a limit. A transaction costs a round trip and a flush whatever it holds: where that takes long, more is
//! taken at a time, so that the destination works most of the time and does not wait.

use std::time::Duration;

use super::definitions::Definitions;
use crate::model::change::{Site, Transaction};

/// A round trip and a commit that take as long as this are taken to be a near server's.
const NEAR: Duration = Duration::from_millis(10);
/// Times as much is taken of a far one, at most. Bytes are memory, and grow less.
const FAR: u32 = 8;
const FAR_BYTES: u32 = 2;

/// A destination transaction takes in no more source transactions once it has as much as this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of row images and what is kept with them.
    pub bytes: usize,
    /// Row changes.
    pub changes: usize,
    /// Source transactions.
    pub transactions: usize,
}

const BASE: Limits = Limits {
    bytes: 2 << 20,
    changes: 4000,
    transactions: 500,
};

impl Limits {
    /// For a destination whose commits take this long.
    pub fn for_commits_of(commit: Duration) -> Self {
        let times = u32::try_from(commit.as_millis() / NEAR.as_millis()).unwrap_or(u32::MAX);
        let scaled = |base: usize, most: u32| base.saturating_mul(times.clamp(1, most) as usize);
        Self {
            bytes: scaled(BASE.bytes, FAR_BYTES),
            changes: scaled(BASE.changes, FAR),
            transactions: scaled(BASE.transactions, FAR),
        }
    }
}

/// Source transactions that become one destination transaction, with one checkpoint row.
#[derive(Debug)]
pub struct Merged {
    path: Vec<Site>,
    ddl: u64,
    returning: bool,
    bytes: usize,
    changes: usize,
    transactions: usize,
    /// What the changes are bound to.
    definitions: Definitions,
    /// Nothing has been refused yet. What comes behind a refused one comes behind it at the destination, too.
    open: bool,
}

impl Merged {
    /// Of one transaction.
    pub fn of(first: &Transaction) -> Self {
        let mut merged = Self {
            path: first.header.path.clone(),
            ddl: first.header.ddl,
            returning: first.header.returning,
            bytes: 0,
            changes: 0,
            transactions: 0,
            definitions: Definitions::default(),
            open: true,
        };
        // With two definitions of one table it stays by itself.
        merged.open = merged.bind(first);
        merged.count(first);
        merged
    }

    /// Whether there may be more.
    pub fn takes_more(&self, limits: Limits) -> bool {
        self.open
            && self.bytes < limits.bytes
            && self.changes < limits.changes
            && self.transactions < limits.transactions
    }

    /// Adds a transaction, if it can be folded with what is there. One that can't begins another destination transaction:
    /// none is added behind it.
    pub fn add(&mut self, transaction: &Transaction) -> bool {
        let header = &transaction.header;
        self.open &= (&self.path, self.ddl, self.returning) == (&header.path, header.ddl, header.returning)
            && self.bind(transaction);
        if self.open {
            self.count(transaction);
        }
        self.open
    }

    fn bind(&mut self, transaction: &Transaction) -> bool {
        let mut targets = transaction.changes.iter().map(|change| &change.target);
        targets.all(|target| self.definitions.add(target))
    }

    fn count(&mut self, transaction: &Transaction) {
        self.bytes += transaction.bytes;
        self.changes += transaction.changes.len();
        self.transactions += 1;
    }
}

/// How long commits take, with the way there and back: the shortest of late, so that one that waited for a lock or a busy
/// disk does not count.
#[derive(Debug, Clone, Copy, Default)]
pub struct CommitTime(Option<Duration>);

impl CommitTime {
    /// One took this long.
    pub fn took(&mut self, time: Duration) {
        // It comes down at once, and goes up by and by: the way may have become longer.
        self.0 = Some(match self.0 {
            Some(known) if time > known => known + (time - known) / 16,
            _ => time,
        });
    }

    /// The limits that follow.
    pub fn limits(&self) -> Limits {
        Limits::for_commits_of(self.0.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{
        super::fixtures::{changes, row, target},
        *,
    };
    use crate::model::change::{Images, Mode, Target, TransactionHeader};

    /// A transaction that inserts a row into each of these.
    fn inserts(targets: &[&Arc<Target>]) -> Transaction {
        let insert = |target: &&Arc<Target>| changes(target, vec![Images::Insert(row(target, (1, 1)))]);
        Transaction {
            header: TransactionHeader {
                gtid: "3e11fa47-71ca-11e1-9e33-c80aa9429562:7".parse().unwrap(),
                prepared: None,
                commit_us: 0,
                position: String::new(),
                path: vec!["3e11fa47-71ca-11e1-9e33-c80aa9429562".to_owned()],
                ddl: 0,
                returning: false,
            },
            changes: targets.iter().flat_map(insert).collect(),
            bytes: 1000,
        }
    }

    #[test]
    fn transactions_are_merged_up_to_a_limit() {
        let one = target("one", Mode::Strict, false);
        let transaction = inserts(&[&one, &one]);
        let mut merged = Merged::of(&transaction);
        let limits = |bytes, changes, transactions| Limits {
            bytes,
            changes,
            transactions,
        };
        assert!(merged.add(&transaction));
        assert!(merged.takes_more(limits(2001, 5, 3)));
        for full in [limits(2000, 5, 3), limits(2001, 4, 3), limits(2001, 5, 2)] {
            assert!(!merged.takes_more(full));
        }
    }

    #[test]
    fn two_definitions_of_one_table_are_not_merged_nor_what_came_another_way() {
        let (one, other) = (target("one", Mode::Strict, false), target("other", Mode::Strict, false));
        let altered = target("one", Mode::Strict, true);
        let merges = |transactions: &[Transaction]| {
            let mut merged = Merged::of(&inserts(&[&one]));
            let taken = transactions.iter().map(|transaction| merged.add(transaction));
            taken.collect::<Vec<_>>()
        };
        let (same, changed) = (inserts(&[&other, &one]), inserts(&[&other, &altered]));
        assert_eq!(merges(&[same.clone(), inserts(&[])]), [true, true]);
        assert_eq!(merges(&[changed.clone(), changed, same]), [false; 3], "none overtakes");
        let with = |change: fn(&mut TransactionHeader)| {
            let mut transaction = inserts(&[&one]);
            change(&mut transaction.header);
            merges(&[transaction])
        };
        assert_eq!(with(|header| header.path.clear()), [false]);
        assert_eq!(with(|header| header.ddl = 1), [false]);
        assert_eq!(with(|header| header.returning = true), [false]);
        assert_eq!(with(|header| header.commit_us = 1), [true]);
    }

    #[test]
    fn a_transaction_with_two_definitions_of_a_table_stays_by_itself() {
        let (one, other) = (target("one", Mode::Strict, false), target("other", Mode::Strict, false));
        let altered = target("one", Mode::Strict, true);
        let mut merged = Merged::of(&inserts(&[&one, &altered, &other]));
        assert!(!merged.add(&inserts(&[&altered])) && !merged.add(&inserts(&[&other])));
    }

    #[test]
    fn more_is_taken_where_commits_take_long() {
        let of = |millis| Limits::for_commits_of(Duration::from_millis(millis));
        assert_eq!((of(0), of(15)), (BASE, BASE));
        assert_eq!(of(50).transactions, 2500);
        assert_eq!((of(50).bytes, of(50).changes), (4 << 20, 20_000));
        assert_eq!((of(10_000).transactions, of(10_000).changes), (4000, 32_000));
    }

    #[test]
    fn a_commit_that_had_to_wait_counts_little_and_a_longer_way_in_the_end() {
        let mut commits = CommitTime::default();
        assert_eq!(commits.limits(), BASE);
        commits.took(Duration::from_millis(2));
        commits.took(Duration::from_millis(100));
        assert_eq!(commits.limits(), BASE);
        for _ in 0..50 {
            commits.took(Duration::from_millis(100));
        }
        assert_eq!(commits.limits().transactions, 4000);
        commits.took(Duration::from_millis(2));
        assert_eq!(commits.limits(), BASE);
    }
}
