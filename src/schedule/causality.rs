//! Gives transactions to appliers so that changes which share a key keep their order.
//!
//! Where no key decides, a table's changes go to the applier that had those before: appliers then do not meet in the pages of
//! one index, changes of one table fall into larger statements, and a connection has fewer tables open.

use std::collections::{HashMap, hash_map::Entry};

use rustc_hash::FxHashMap;

use super::keys::KeyUse;
use crate::model::name::TableName;

/// Where a transaction may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assignment {
    /// To this applier, behind what it already has.
    To(usize),
    /// To none yet: its keys are held by several appliers. Ask again when one of them has finished something.
    Wait,
}

/// An applier, and how many of its unfinished transactions hold a key.
type Holder = (usize, u32);

/// Who holds a key. While one applier changes the row, no other holds the key at all.
#[derive(Debug, Default)]
struct Holders {
    /// The applier that changes the row.
    exclusive: Option<Holder>,
    /// Appliers that refer to the row.
    shared: Vec<Holder>,
}

impl Holders {
    fn add(&mut self, applier: usize, shared: bool) {
        let known = match shared {
            true => self.shared.iter_mut().find(|(holder, _)| *holder == applier),
            false => self.exclusive.as_mut(),
        };
        match known {
            Some((holder, count)) => {
                debug_assert_eq!(*holder, applier, "two appliers change one row");
                *count += 1;
            }
            None if shared => self.shared.push((applier, 1)),
            None => self.exclusive = Some((applier, 1)),
        }
    }

    fn remove(&mut self, applier: usize, shared: bool) {
        let still_holds = |(holder, count): &mut Holder| {
            if *holder == applier {
                *count = count.saturating_sub(1);
            }
            *count > 0
        };
        match shared {
            true => self.shared.retain_mut(still_holds),
            false => drop(self.exclusive.take_if(|holder| !still_holds(holder))),
        }
    }

    fn is_empty(&self) -> bool {
        self.exclusive.is_none() && self.shared.is_empty()
    }
}

/// An applier may have this many row changes more than twice those of the least busy one before a table that is at home
/// there goes elsewhere.
const HOME_SLACK: usize = 1000;

/// Which applier holds which keys.
///
/// Invariant: while a transaction is unfinished, every later one that shares a key with it (unless both only refer to
/// it) is given to the same applier, which works in order.
#[derive(Debug)]
pub struct Causality {
    keys: FxHashMap<u64, Holders>,
    /// Unfinished row changes per applier.
    load: Vec<usize>,
    /// The applier that the last changes of a table went to.
    homes: HashMap<TableName, usize>,
}

impl Causality {
    /// For this many appliers, at least one.
    pub fn new(appliers: usize) -> Self {
        Self {
            keys: FxHashMap::default(),
            load: vec![0; appliers.max(1)],
            homes: HashMap::new(),
        }
    }

    /// Gives a transaction that touches `keys` and has `weight` changes, of this table first, to an applier, or tells to
    /// wait.
    pub fn assign(&mut self, keys: &[KeyUse], table: Option<&TableName>, weight: usize) -> Assignment {
        let mut bound: Option<usize> = None;
        for key in keys {
            let Some(holders) = self.keys.get(&key.hash) else {
                continue;
            };
            let shared: &[Holder] = if key.shared { &[] } else { &holders.shared };
            for &(applier, _) in holders.exclusive.iter().chain(shared) {
                match bound {
                    None => bound = Some(applier),
                    Some(other) if other == applier => {}
                    Some(_) => return Assignment::Wait,
                }
            }
        }
        let applier = bound.unwrap_or_else(|| self.choose(table));
        if let Some(table) = table {
            match self.homes.get_mut(table) {
                Some(home) => *home = applier,
                None => drop(self.homes.insert(table.clone(), applier)),
            }
        }
        for key in keys {
            self.keys.entry(key.hash).or_default().add(applier, key.shared);
        }
        if let Some(load) = self.load.get_mut(applier) {
            *load += weight;
        }
        Assignment::To(applier)
    }

    /// An idle applier if there is one, the table's home above others.
    fn choose(&self, table: Option<&TableName>) -> usize {
        let loads = self.load.iter().copied().enumerate();
        let (least_busy, least) = loads.min_by_key(|(_, load)| *load).unwrap_or_default();
        let home = table.and_then(|table| self.homes.get(table)).copied();
        let takes = |home: usize| match (self.load.get(home), least) {
            (Some(load), 0) => *load == 0,
            (Some(load), least) => *load <= 2 * least + HOME_SLACK,
            (None, _) => false,
        };
        home.filter(|home| takes(*home)).unwrap_or(least_busy)
    }

    /// The applier has committed a transaction that was assigned to it with these keys and this weight.
    pub fn finished(&mut self, applier: usize, keys: &[KeyUse], weight: usize) {
        for key in keys {
            if let Entry::Occupied(mut holders) = self.keys.entry(key.hash) {
                holders.get_mut().remove(applier, key.shared);
                if holders.get().is_empty() {
                    holders.remove();
                }
            }
        }
        if let Some(load) = self.load.get_mut(applier) {
            *load = load.saturating_sub(weight);
        }
    }

    /// Nothing is unfinished.
    pub fn is_idle(&self) -> bool {
        self.keys.is_empty() && self.load.iter().all(|load| *load == 0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn exclusive(hash: u64) -> KeyUse {
        KeyUse { hash, shared: false }
    }

    fn shared(hash: u64) -> KeyUse {
        KeyUse { hash, shared: true }
    }

    #[test]
    fn independent_transactions_spread_over_the_appliers() {
        let mut causality = Causality::new(2);
        assert_eq!(causality.assign(&[exclusive(1)], None, 1), Assignment::To(0));
        assert_eq!(causality.assign(&[exclusive(2)], None, 1), Assignment::To(1));
    }

    #[test]
    fn a_shared_row_sends_the_later_transaction_to_the_same_applier_and_two_of_them_make_it_wait() {
        let mut causality = Causality::new(2);
        causality.assign(&[exclusive(1)], None, 1);
        causality.assign(&[exclusive(2)], None, 1);
        assert_eq!(
            causality.assign(&[exclusive(2), exclusive(3)], None, 1),
            Assignment::To(1)
        );
        assert_eq!(
            causality.assign(&[exclusive(1), exclusive(3)], None, 1),
            Assignment::Wait
        );
        causality.finished(0, &[exclusive(1)], 1);
        assert_eq!(
            causality.assign(&[exclusive(1), exclusive(3)], None, 1),
            Assignment::To(1)
        );
    }

    #[test]
    fn children_of_one_parent_run_side_by_side_but_not_beside_a_change_of_the_parent() {
        let mut causality = Causality::new(2);
        assert_eq!(
            causality.assign(&[exclusive(10), shared(1)], None, 1),
            Assignment::To(0)
        );
        assert_eq!(
            causality.assign(&[exclusive(11), shared(1)], None, 1),
            Assignment::To(1)
        );
        assert_eq!(causality.assign(&[exclusive(1)], None, 1), Assignment::Wait);
    }

    #[test]
    fn a_table_stays_with_its_applier_unless_another_one_is_idle_or_has_much_less_to_do() {
        let mut causality = Causality::new(2);
        let (one, other) = (TableName::new("d", "one"), TableName::new("d", "other"));
        let mut row = 0;
        let mut assign = |causality: &mut Causality, table: &TableName, weight| {
            row += 1;
            causality.assign(&[exclusive(row)], Some(table), weight)
        };
        assert_eq!(assign(&mut causality, &one, 10), Assignment::To(0));
        assert_eq!(assign(&mut causality, &other, 10), Assignment::To(1));
        for _ in 0..5 {
            assert_eq!(assign(&mut causality, &one, 10), Assignment::To(0));
        }
        assert_eq!(assign(&mut causality, &other, 10), Assignment::To(1));
        assert_eq!(assign(&mut causality, &one, 2000), Assignment::To(0));
        assert_eq!(
            assign(&mut causality, &one, 10),
            Assignment::To(1),
            "its home has too much to do"
        );
        causality.finished(0, &[], 2060);
        assert_eq!(
            assign(&mut causality, &one, 10),
            Assignment::To(0),
            "an applier is idle"
        );
    }

    proptest! {
        /// Whatever comes: of two unfinished transactions that share a key, both are with one applier.
        #[test]
        fn unfinished_transactions_that_share_a_key_are_with_one_applier(
            transactions in prop::collection::vec(prop::collection::vec((0u64..12, any::<bool>()), 1..4), 1..80),
            finish in prop::collection::vec(any::<prop::sample::Index>(), 200),
        ) {
            let mut causality = Causality::new(3);
            let mut unfinished: Vec<(usize, Vec<KeyUse>)> = Vec::new();
            let mut finish = finish.into_iter();
            for keys in transactions {
                let keys: Vec<KeyUse> = keys.into_iter().map(|(hash, shared)| KeyUse { hash, shared }).collect();
                let table = TableName::new("d", (keys.first().map_or(0, |key| key.hash) % 3).to_string());
                loop {
                    if let Assignment::To(applier) = causality.assign(&keys, Some(&table), 1) {
                        for (other, held) in &unfinished {
                            let share = keys.iter().any(|key| held.iter().any(|h| {
                                h.hash == key.hash && !(h.shared && key.shared)
                            }));
                            prop_assert!(!share || *other == applier);
                        }
                        unfinished.push((applier, keys.clone()));
                        break;
                    }
                    prop_assert!(!unfinished.is_empty(), "waits for nothing");
                    let index = finish.next().map_or(0, |index| index.index(unfinished.len()));
                    let (applier, held) = unfinished.remove(index);
                    causality.finished(applier, &held, 1);
                }
            }
            for (applier, held) in unfinished {
                causality.finished(applier, &held, 1);
            }
            prop_assert!(causality.is_idle());
        }
    }
}
