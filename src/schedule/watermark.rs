//! Up to where everything is done, while transactions finish out of order.

use std::collections::VecDeque;

use crate::model::{
    change::TransactionHeader,
    gtid::{Gtid, GtidSet},
};

/// The source's transactions in their order, and which of them are done.
///
/// Invariant: [`Watermark::done`] holds a transaction only if it and all before it are finished, so a link that
/// resumes from it misses nothing.
#[derive(Debug)]
pub struct Watermark {
    done: GtidSet,
    pending: VecDeque<Entry>,
    /// XA transactions that are prepared and not decided on: neither done nor waited for.
    prepared: GtidSet,
    /// When the newest transaction in `done` was committed.
    done_us: u64,
    /// Sequence number of the first entry of `pending`.
    first: u64,
}

#[derive(Debug)]
struct Entry {
    gtid: Gtid,
    prepared: Option<Gtid>,
    commit_us: u64,
    finished: bool,
}

impl Watermark {
    /// Everything in `done` was finished before.
    pub fn new(done: GtidSet) -> Self {
        Self {
            done,
            pending: VecDeque::new(),
            prepared: GtidSet::new(),
            done_us: 0,
            first: 0,
        }
    }

    /// An XA transaction is prepared. Its GTID is done with that of the transaction that decides on it.
    pub fn prepare(&mut self, gtid: &Gtid) {
        self.prepared.insert(gtid);
    }

    /// XA transactions that are prepared and not decided on.
    pub fn prepared(&self) -> &GtidSet {
        &self.prepared
    }

    /// As [`Watermark::begin`].
    pub fn begin_transaction(&mut self, header: &TransactionHeader) -> u64 {
        self.begin(header.gtid.clone(), header.prepared.clone(), header.commit_us)
    }

    /// The next transaction in the source's order, and what of `prepared` it decides on. The number is what
    /// [`Watermark::finish`] takes.
    pub fn begin(&mut self, gtid: Gtid, prepared: Option<Gtid>, commit_us: u64) -> u64 {
        if let Some(prepared) = &prepared {
            let mut decided = GtidSet::new();
            decided.insert(prepared);
            self.prepared.subtract(&decided);
        }
        self.pending.push_back(Entry {
            gtid,
            prepared,
            commit_us,
            finished: false,
        });
        self.first + self.pending.len() as u64 - 1
    }

    /// The transaction with this number is done. Returns the commit time of the newest transaction that the
    /// watermark passed, if it moved.
    pub fn finish(&mut self, number: u64) -> Option<u64> {
        let place = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.pending.get_mut(place)?.finished = true;
        let mut newest = None;
        while self.pending.front().is_some_and(|entry| entry.finished) {
            if let Some(entry) = self.pending.pop_front() {
                entry
                    .prepared
                    .iter()
                    .chain([&entry.gtid])
                    .for_each(|gtid| self.done.insert(gtid));
                self.first += 1;
                newest = Some(entry.commit_us);
                self.done_us = entry.commit_us;
            }
        }
        newest
    }

    /// When the newest transaction that the watermark has passed was committed, as in
    /// [`TransactionHeader::commit_us`]; 0 if it has passed none.
    pub fn done_us(&self) -> u64 {
        self.done_us
    }

    /// All transactions up to the first unfinished one.
    pub fn done(&self) -> &GtidSet {
        &self.done
    }

    /// All transactions that have begun, finished or not.
    pub fn read(&self) -> GtidSet {
        let mut read = self.done.clone();
        read.union(&self.prepared);
        for entry in &self.pending {
            entry
                .prepared
                .iter()
                .chain([&entry.gtid])
                .for_each(|gtid| read.insert(gtid));
        }
        read
    }

    /// Commit time of the oldest unfinished transaction.
    pub fn oldest_pending_us(&self) -> Option<u64> {
        self.pending.front().map(|entry| entry.commit_us)
    }

    /// Transactions that have begun and that the watermark has not passed.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Nothing is unfinished.
    pub fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gtid(gno: u64) -> Gtid {
        format!("00000000-0000-0000-0000-000000000001:{gno}").parse().unwrap()
    }

    #[test]
    fn the_watermark_passes_a_transaction_only_when_all_before_it_are_done() {
        let mut watermark = Watermark::new(GtidSet::new());
        let numbers: Vec<u64> = (1..=3).map(|gno| watermark.begin(gtid(gno), None, gno * 10)).collect();
        assert_eq!(watermark.finish(numbers[1]), None);
        assert_eq!(watermark.done().to_string(), "");
        assert_eq!(watermark.oldest_pending_us(), Some(10));
        assert_eq!(watermark.finish(numbers[0]), Some(20));
        assert_eq!(watermark.done().to_string(), "00000000-0000-0000-0000-000000000001:1-2");
        assert_eq!(watermark.finish(numbers[2]), Some(30));
        assert!(watermark.is_idle());
    }

    #[test]
    fn an_xa_transaction_is_done_when_it_is_decided_on_and_holds_nothing_up_before() {
        let mut watermark = Watermark::new(GtidSet::new());
        watermark.prepare(&gtid(1));
        let other = watermark.begin(gtid(2), None, 20);
        assert_eq!(watermark.finish(other), Some(20));
        assert_eq!(watermark.done().to_string(), "00000000-0000-0000-0000-000000000001:2");
        assert!(watermark.is_idle());
        let commit = watermark.begin(gtid(3), Some(gtid(1)), 30);
        assert_eq!(watermark.finish(commit), Some(30));
        assert_eq!(watermark.done().to_string(), "00000000-0000-0000-0000-000000000001:1-3");
        assert_eq!(watermark.prepared().to_string(), "");
    }
}
