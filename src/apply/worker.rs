//! One applier: takes transactions in order, merges them, writes them set-based and guarded.
//!
//! Everything that waits in its queue and fits becomes one destination transaction, so a worker that is behind writes
//! large transactions and one that is caught up writes small ones. The checkpoint row comes first, then the statements
//! of each table, then COMMIT, in one packet if it fits: the server checks the count of each statement itself and stops
//! before COMMIT when a before image did not hold. Then all is rolled back and written again, and of that table's changes
//! those that do not fit are looked for (`halves`) and settled one by one ([`super::conflict`]).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{OwnedRwLockReadGuard, OwnedSemaphorePermit, mpsc, watch};

use crate::{
    failure::Failure,
    model::{
        change::{Change, Mode, Transaction, TransactionHeader},
        gtid::{Gtid, GtidSet},
        task::ConflictPolicy,
    },
    plan::path,
    schedule::{
        keys::KeyUse,
        merge::{CommitTime, Limits, Merged},
    },
};

use super::{
    batches::{Batches, TableCounts, Way, malformed},
    checkpoint::{self, LinkKey},
    conflict::{self, Recorder, Stop},
    packet::{Lengths, Plan, Start, Verdict},
    session::Session,
};

/// Times a transaction is tried again after a deadlock or a lock wait before the link starts over.
const LOCK_ATTEMPTS: u32 = 10;

/// What a transaction holds until it is applied.
#[derive(Debug)]
pub struct Hold {
    /// Its share of the memory the link may use.
    pub memory: OwnedSemaphorePermit,
    /// Of its tables that are being copied: as long as this is held, no range of theirs is.
    pub gates: Vec<OwnedRwLockReadGuard<()>>,
}

/// A transaction on its way to a worker.
#[derive(Debug)]
pub struct Job {
    /// Its number in the watermark.
    pub number: u64,
    /// The keys it holds.
    pub keys: Vec<KeyUse>,
    /// The transaction.
    pub transaction: Transaction,
    /// Nothing else is at work while it is applied, as rows that none of its keys name may change with it.
    pub alone: bool,
    /// Given back when it is applied.
    pub hold: Option<Hold>,
}

/// A transaction too large to be kept whole. Nothing else is at work while it is applied.
#[derive(Debug)]
pub struct LargeJob {
    /// Its number in the watermark.
    pub number: u64,
    /// What it is.
    pub header: TransactionHeader,
    /// Its changes, part by part.
    pub parts: mpsc::Receiver<Part>,
}

/// A part of a [`LargeJob`].
#[derive(Debug)]
pub struct Part {
    /// The changes.
    pub changes: Vec<Change>,
    /// It is the last one: commit.
    pub last: bool,
    /// Given back when it is written; what the last part holds, when all is committed.
    pub hold: Option<Hold>,
}

/// What a worker is given.
#[derive(Debug)]
pub enum Work {
    /// A whole transaction.
    Transaction(Box<Job>),
    /// A large one.
    Large(Box<LargeJob>),
}

/// What a worker has committed.
#[derive(Debug)]
pub struct Done {
    /// Which worker.
    pub applier: usize,
    /// The transactions: number, keys, weight.
    pub transactions: Vec<(u64, Vec<KeyUse>, usize)>,
    /// Changes per table; one may be there several times.
    pub tables: Vec<TableCounts>,
}

/// An applier of a link.
#[derive(Debug)]
pub struct Worker {
    /// Its number, from 0; its slot is one more.
    pub applier: usize,
    /// The link.
    pub link: LinkKey,
    /// The epoch this process owns.
    pub epoch: u64,
    /// What happens on a conflict.
    pub policy: ConflictPolicy,
    /// Takes conflicts down before they are committed.
    pub recorder: Recorder,
    /// The connection to the destination ([`Session::transactional`]).
    pub session: Session,
    /// The watermark as it stands in slot 0: what it covers need not stand in this worker's slot.
    pub watermark: watch::Receiver<Arc<GtidSet>>,
    /// What this worker's slot says.
    pub applied: GtidSet,
    /// How long the destination takes to commit, with the way there and back.
    pub commits: CommitTime,
    /// Memory that statements are written to, used again and again: fresh pages cost more than what is written to them.
    pub buffer: Vec<u8>,
}

pub(super) enum Attempt {
    /// All is written as it should be, and not committed yet.
    Holds,
    Committed,
    /// Before images of the tables at these places did not hold.
    Differs(Vec<usize>),
    /// A deadlock or lock wait: nothing has been written.
    Again(Failure),
}

impl Worker {
    /// Applies what comes until the queue is closed.
    ///
    /// # Errors
    /// [`Failure`]: what was not reported as done is not applied, except where the connection was lost under a packet
    /// that commits; the checkpoint tells.
    pub async fn serve(
        mut self,
        mut queue: mpsc::Receiver<Work>,
        done: mpsc::UnboundedSender<Done>,
    ) -> Result<(), Failure> {
        let mut held = None;
        loop {
            let work = match held.take() {
                Some(work) => work,
                None => match queue.recv().await {
                    Some(work) => work,
                    None => return Ok(()),
                },
            };
            let finished = match work {
                Work::Large(job) => self.apply_large(*job).await?,
                Work::Transaction(job) => {
                    let mut jobs = vec![*job];
                    held = fill(&mut jobs, &mut queue, self.commits.limits());
                    self.apply(jobs).await?
                }
            };
            if done.send(finished).is_err() {
                return Ok(());
            }
        }
    }

    /// What the slot will say once `gtids` are applied.
    pub(super) fn applied_with<'g>(&self, gtids: impl Iterator<Item = &'g Gtid>) -> GtidSet {
        let mut applied = self.applied.clone();
        gtids.for_each(|gtid| applied.insert(gtid));
        applied.subtract(&self.watermark.borrow());
        applied
    }

    /// Where a change comes back to the destination and does not fit, the destination has gone on: it stays as it is.
    pub(super) fn policy_for(&self, header: &TransactionHeader) -> ConflictPolicy {
        if header.returning {
            ConflictPolicy::Ignore
        } else {
            self.policy
        }
    }

    fn slot(&self) -> u16 {
        u16::try_from(self.applier + 1).unwrap_or(u16::MAX)
    }

    pub(super) fn checkpoint(&self, header: &TransactionHeader, applied: &GtidSet) -> Vec<u8> {
        let path = path::print(&header.path);
        let update = checkpoint::update_slot(&self.link, self.slot(), self.epoch, &path, header.ddl, applied);
        update.into_bytes()
    }

    async fn apply(&mut self, mut jobs: Vec<Job>) -> Result<Done, Failure> {
        let Some(first) = jobs.first() else {
            return Ok(Done {
                applier: self.applier,
                transactions: vec![],
                tables: vec![],
            });
        };
        let position = first.transaction.header.gtid.to_string();
        let applied = self.applied_with(jobs.iter().flat_map(|job| job.transaction.header.gtids()));
        let checkpoint = self.checkpoint(&first.transaction.header, &applied);
        let policy = self.policy_for(&first.transaction.header);
        let transactions: Vec<_> = jobs
            .iter_mut()
            .map(|job| {
                let weight = if job.alone { 0 } else { job.transaction.changes.len() };
                (job.number, std::mem::take(&mut job.keys), weight)
            })
            .collect();
        let changes = jobs.iter().flat_map(|job| {
            let Transaction { header, changes, .. } = &job.transaction;
            changes.iter().map(|change| (&header.gtid, change))
        });
        let mut runs = Batches::runs(changes).map_err(|error| malformed(&position, &error))?;
        let mut attempts = 0;
        loop {
            match self.attempt(&checkpoint, &mut runs, policy).await? {
                Attempt::Holds | Attempt::Committed => break,
                Attempt::Differs(_) => self.rollback().await?,
                Attempt::Again(failure) => {
                    self.rollback().await?;
                    attempts += 1;
                    if attempts >= LOCK_ATTEMPTS {
                        return Err(failure);
                    }
                    tokio::time::sleep(Duration::from_millis(5 << attempts)).await;
                }
            }
        }
        self.applied = applied;
        let tables = runs.iter().flat_map(Batches::counts).collect();
        Ok(Done {
            applier: self.applier,
            transactions,
            tables,
        })
    }

    pub(super) async fn rollback(&mut self) -> Result<(), Failure> {
        self.session
            .run("ROLLBACK")
            .await
            .map(drop)
            .map_err(|error| Failure::mysql("rolling back", &error))
    }

    /// To a savepoint, of which this is the statement that set it.
    pub(super) async fn rollback_to(&mut self, savepoint: &str) -> Result<(), Failure> {
        let rolled_back = self.session.run(format!("ROLLBACK TO {savepoint}")).await;
        rolled_back
            .map(drop)
            .map_err(|error| Failure::mysql("rolling back to a savepoint", &error))
    }

    async fn attempt(
        &mut self,
        checkpoint: &[u8],
        runs: &mut [Batches<'_>],
        policy: ConflictPolicy,
    ) -> Result<Attempt, Failure> {
        let last = runs.len().saturating_sub(1);
        for (place, batches) in runs.iter_mut().enumerate() {
            let start = match place {
                0 => Start::Checkpoint(checkpoint),
                _ => Start::Nothing,
            };
            let commits = place == last && batches.slow.is_empty();
            match self.write(start, batches, policy, commits).await? {
                Attempt::Holds => {}
                other => return Ok(other),
            }
        }
        self.commit().await.map(|()| Attempt::Committed)
    }

    /// Where it fails the outcome is open: the link starts over and reads its checkpoint.
    pub(super) async fn commit(&mut self) -> Result<(), Failure> {
        let began = Instant::now();
        let committed = self.session.run("COMMIT").await;
        self.commits.took(began.elapsed());
        committed
            .map(drop)
            .map_err(|error| Failure::mysql("committing", &error))
    }

    pub(super) fn lengths(&self) -> Lengths {
        Lengths::of(self.session.max_allowed_packet(), self.session.round_trip())
    }

    /// Writes a batch, and commits with it where told so: no table of it is taken one by one then.
    pub(super) async fn write(
        &mut self,
        start: Start<'_>,
        batches: &mut Batches<'_>,
        policy: ConflictPolicy,
        commits: bool,
    ) -> Result<Attempt, Failure> {
        let plan = batches.plan(start, std::mem::take(&mut self.buffer), commits, self.lengths())?;
        let written = self.run(&plan).await;
        self.buffer = plan.into_buffer();
        match written? {
            Attempt::Holds => self.write_slowly(batches, policy).await,
            Attempt::Differs(tables) => {
                batches.differ(&tables);
                Ok(Attempt::Differs(tables))
            }
            other => Ok(other),
        }
    }

    /// Runs a plan's packets.
    pub(super) async fn run(&mut self, plan: &Plan) -> Result<Attempt, Failure> {
        let max = self.session.max_allowed_packet();
        for packet in plan.packets() {
            if packet.text.len() >= max {
                return Err(Failure::data(format!(
                    "a row change needs a packet of {} bytes, and the destination's max_allowed_packet is {max}; raise \
                     it there (SET GLOBAL max_allowed_packet) and RESUME the task",
                    packet.text.len()
                )));
            }
            let outcome = self.session.run_all(&packet.text).await;
            if packet.commits() && outcome.error.is_none() {
                self.commits.took(self.session.round_trip() + outcome.last);
            }
            match packet.judge(outcome) {
                Verdict::Holds => {}
                Verdict::Differs(tables) => return Ok(Attempt::Differs(tables)),
                Verdict::Locked(error) => return Ok(Attempt::Again(Failure::mysql("applying changes", &error))),
                Verdict::Fenced => return Err(checkpoint::fenced(&self.link)),
                Verdict::Refused(table, error) => {
                    return Err(match plan.table(table) {
                        Some(table) => Failure::writing(table, &error),
                        None => Failure::mysql("writing to the destination", &error),
                    });
                }
                // The outcome may be open: the link starts over and reads its checkpoint.
                Verdict::Failed(doing, error) => return Err(Failure::mysql(doing, &error)),
                Verdict::Unchecked => {
                    return Err(Failure::data(
                        "the destination committed changes whose before images did not hold, though told to stop before; \
                         compare the tables, and report it",
                    ));
                }
            }
        }
        Ok(if plan.commits() {
            Attempt::Committed
        } else {
            Attempt::Holds
        })
    }

    /// The tables that are not written in one set.
    async fn write_slowly(&mut self, batches: &mut Batches<'_>, policy: ConflictPolicy) -> Result<Attempt, Failure> {
        for (place, way) in batches.slow.clone() {
            let (Some(table), Some(count)) = (batches.tables.get(place), batches.conflicts.get_mut(place)) else {
                continue;
            };
            let applied = match (table.target.mode, way) {
                (Mode::Strict, Way::OneByOne) => self.path(policy).apply(&table.changes).await,
                (Mode::Strict, Way::ByHalves) => self.apply_by_halves(&table.changes, policy).await,
                (Mode::Tolerant, _) => self.path(policy).write_over(&table.changes).await.map(|()| 0),
            };
            match applied {
                Ok(found) => *count = found,
                Err(Stop::Lock(failure)) => return Ok(Attempt::Again(failure)),
                Err(Stop::Failure(failure)) => return Err(failure),
            }
        }
        Ok(Attempt::Holds)
    }

    pub(super) fn path(&mut self, policy: ConflictPolicy) -> conflict::Path<'_> {
        conflict::Path {
            session: &mut self.session,
            link: &self.link,
            policy,
            recorder: &self.recorder,
        }
    }
}

/// Takes more transactions from the queue, as long as they can be merged. Returns the first that can't.
fn fill(jobs: &mut Vec<Job>, queue: &mut mpsc::Receiver<Work>, limits: Limits) -> Option<Work> {
    let mut merged = Merged::of(&jobs.first()?.transaction);
    while merged.takes_more(limits) {
        match queue.try_recv() {
            Ok(Work::Transaction(job)) if merged.add(&job.transaction) => jobs.push(*job),
            Ok(work) => return Some(work),
            Err(_) => return None,
        }
    }
    None
}
