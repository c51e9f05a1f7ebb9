//! A transaction too large to be kept whole: part by part into one destination transaction.
//!
//! The statements of a part are made while the server is at those of the part before, so two parts are in memory.

use tokio::{sync::mpsc, task::JoinSet};

use crate::{
    failure::Failure,
    model::{
        change::{Change, TransactionHeader},
        gtid::Gtid,
        task::ConflictPolicy,
    },
};

use super::{
    batches::{Batches, TableCounts, add_counts, malformed},
    packet::{Lengths, Plan, Start},
    worker::{Attempt, Done, LargeJob, Part, Worker},
};

/// Set before a part.
const SAVEPOINT: &str = "SAVEPOINT part";

/// A part, and the statements that write it: of each run, one after the other.
struct Prepared {
    part: Part,
    runs: Vec<Run>,
}

struct Run {
    /// What writes it, unless some of its changes are to be taken one by one.
    plan: Option<Plan>,
    /// What it does, if nothing differs.
    counts: Vec<TableCounts>,
}

impl Prepared {
    fn new(header: &TransactionHeader, part: Part, lengths: Lengths) -> Result<Self, Failure> {
        let batches = Batches::runs(changes(&header.gtid, &part));
        let batches = batches.map_err(|error| malformed(&header.position, &error))?;
        let mut runs = Vec::with_capacity(batches.len());
        for batches in &batches {
            let in_sets = batches.slow.is_empty();
            let plan = in_sets.then(|| batches.plan(Start::Savepoint(SAVEPOINT), Vec::new(), false, lengths));
            runs.push(Run {
                plan: plan.transpose()?,
                counts: batches.counts().collect(),
            });
        }
        Ok(Self { part, runs })
    }
}

fn changes<'c>(gtid: &'c Gtid, part: &'c Part) -> impl Iterator<Item = (&'c Gtid, &'c Change)> {
    part.changes.iter().map(move |change| (gtid, change))
}

impl Worker {
    /// Streams a large transaction into one destination transaction.
    pub(super) async fn apply_large(&mut self, job: LargeJob) -> Result<Done, Failure> {
        let LargeJob {
            number,
            header,
            mut parts,
        } = job;
        let (send, mut prepared) = mpsc::channel(1);
        let (of, lengths) = (header.clone(), self.lengths());
        let mut preparing = JoinSet::new();
        preparing.spawn(async move {
            // There has to be room for it before a part is taken.
            while let Ok(room) = send.reserve().await {
                let Some(part) = parts.recv().await else { return };
                room.send(Prepared::new(&of, part, lengths));
            }
        });
        let applied = self.applied_with(header.gtids());
        let mut checkpoint = Some(self.checkpoint(&header, &applied));
        let policy = self.policy_for(&header);
        let mut tables: Vec<TableCounts> = Vec::new();
        let held_to_the_end = loop {
            let Some(part) = prepared.recv().await else {
                if let Some(Err(ended)) = preparing.join_next().await
                    && ended.is_panic()
                {
                    std::panic::resume_unwind(ended.into_panic());
                }
                self.rollback().await?;
                return Err(Failure::environment(
                    "the source's connection was lost within a transaction",
                ));
            };
            let Prepared { part, runs } = part?;
            if let Some(checkpoint) = checkpoint.take() {
                let batches = &mut Batches::default();
                self.write_part(Start::Checkpoint(&checkpoint), batches, policy).await?;
            }
            self.write_runs(&header, &part, runs, policy, &mut tables).await?;
            if part.last {
                break part.hold;
            }
        };
        self.commit().await?;
        drop(held_to_the_end);
        self.applied = applied;
        Ok(Done {
            applier: self.applier,
            transactions: vec![(number, Vec::new(), 0)],
            tables,
        })
    }

    /// Writes a part's runs, one after the other.
    async fn write_runs(
        &mut self,
        header: &TransactionHeader,
        part: &Part,
        runs: Vec<Run>,
        policy: ConflictPolicy,
        tables: &mut Vec<TableCounts>,
    ) -> Result<(), Failure> {
        let mut folded: Option<Vec<Batches<'_>>> = None;
        for (place, run) in runs.into_iter().enumerate() {
            let mut differ = vec![];
            if let Some(plan) = run.plan {
                match self.run(&plan).await? {
                    Attempt::Holds | Attempt::Committed => {
                        add_counts(tables, run.counts);
                        continue;
                    }
                    Attempt::Again(failure) => return Err(failure),
                    Attempt::Differs(tables) => differ = tables,
                }
                self.rollback_to(SAVEPOINT).await?;
            }
            // What does not go in sets needs the changes themselves.
            let folded = match &mut folded {
                Some(folded) => folded,
                None => {
                    let runs = Batches::runs(changes(&header.gtid, part));
                    folded.insert(runs.map_err(|error| malformed(&header.position, &error))?)
                }
            };
            let Some(batches) = folded.get_mut(place) else { continue };
            batches.differ(&differ);
            while !self.write_part(Start::Savepoint(SAVEPOINT), batches, policy).await? {
                self.rollback_to(SAVEPOINT).await?;
            }
            add_counts(tables, batches.counts());
        }
        Ok(())
    }

    /// As [`Worker::write`]; a deadlock has undone what came before, so it ends the transaction. Returns whether all held.
    async fn write_part(
        &mut self,
        start: Start<'_>,
        batches: &mut Batches<'_>,
        policy: ConflictPolicy,
    ) -> Result<bool, Failure> {
        match self.write(start, batches, policy, false).await? {
            Attempt::Holds | Attempt::Committed => Ok(true),
            Attempt::Differs(_) => Ok(false),
            Attempt::Again(failure) => Err(failure),
        }
    }
}
