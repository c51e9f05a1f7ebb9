//! Changes of a table some of which do not fit what is there: written in smaller and smaller sets until those are found.
//!
//! One conflict among thousands of changes is found in a dozen steps, and only its neighbours are taken one by one with
//! it: each of these costs a round trip for every look and every statement.

use crate::{
    failure::Failure,
    model::{change::Change, gtid::Gtid, task::ConflictPolicy},
    schedule::fold,
};

use super::{
    batches::{Batches, malformed},
    conflict::Stop,
    packet::Start,
    worker::{Attempt, Worker},
};

/// So few are taken one by one.
const FEW: usize = 8;
/// Set before a set that may not hold.
const SAVEPOINT: &str = "SAVEPOINT half";

impl Worker {
    /// Applies these changes of a table, which do not all hold, in their order. Returns the number of conflicts.
    pub(super) async fn apply_by_halves(
        &mut self,
        changes: &[(&Gtid, &Change)],
        policy: ConflictPolicy,
    ) -> Result<u64, Stop> {
        let mut conflicts = 0;
        // What is due next stands last.
        let mut due = Vec::from(halves(changes));
        while let Some(set) = due.pop() {
            if set.len() <= FEW {
                conflicts += self.path(policy).apply(set).await?;
            } else if !self.holds(set).await? {
                due.extend(halves(set));
            }
        }
        Ok(conflicts)
    }

    /// Writes changes as one set, if they hold; else nothing is written.
    async fn holds(&mut self, changes: &[(&Gtid, &Change)]) -> Result<bool, Stop> {
        let malformed = |error| match changes.first() {
            Some((_, change)) => Stop::Failure(malformed(&change.target.source, &error)),
            None => Stop::Failure(Failure::data(error.to_string())),
        };
        let batches = Batches::of(fold::fold(changes.iter().copied()).map_err(malformed)?);
        if !batches.slow.is_empty() {
            return Ok(false);
        }
        let plan = batches.plan(Start::Savepoint(SAVEPOINT), Vec::new(), false, self.lengths());
        match self.run(&plan.map_err(Stop::Failure)?).await.map_err(Stop::Failure)? {
            Attempt::Holds | Attempt::Committed => Ok(true),
            Attempt::Again(failure) => Err(Stop::Lock(failure)),
            Attempt::Differs(_) => {
                self.rollback_to(SAVEPOINT).await.map_err(Stop::Failure)?;
                Ok(false)
            }
        }
    }
}

/// The second half and the first.
fn halves<T>(set: &[T]) -> [&[T]; 2] {
    let (first, second) = set.split_at(set.len() / 2);
    [second, first]
}
