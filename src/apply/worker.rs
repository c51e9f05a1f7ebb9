//! One applier: takes transactions in order, merges them, writes them set-based and guarded.
//!
//! Everything that waits in its queue and fits becomes one destination transaction, so a worker that is behind writes
//! large transactions and one that is caught up writes small ones. The checkpoint row comes first, then the statements
//! of each table, then COMMIT, in one packet if it fits: the server checks the count of each statement itself and stops
//! before COMMIT when a before image did not hold. Then all is rolled back and written again with that table's changes
//! taken one by one ([`super::conflict`]).

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{OwnedRwLockReadGuard, OwnedSemaphorePermit, mpsc, watch};

use crate::{
    binlog::BinlogError,
    failure::Failure,
    model::{
        change::{Change, ChangeKind, Mode, Target, Transaction, TransactionHeader},
        gtid::{Gtid, GtidSet},
        task::ConflictPolicy,
    },
    plan::path,
    schedule::{
        cascade,
        fold::{self, TableBatch},
        keys::KeyUse,
        merge::{CommitTime, Limits, Merged},
    },
};

use super::{
    checkpoint::{self, LinkKey},
    conflict::{self, Recorder},
    packet::{Lengths, Plan, Verdict},
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

/// Changes applied to a table.
#[derive(Debug)]
pub struct TableCounts {
    /// The table.
    pub target: Arc<Target>,
    /// Inserts, updates, deletes, conflicts.
    pub counts: [u64; 4],
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

enum Attempt {
    /// All is written as it should be, and not committed yet.
    Holds,
    Committed,
    /// Before images of some tables did not hold: their changes are to be taken one by one.
    Differs,
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
    fn applied_with<'g>(&self, gtids: impl Iterator<Item = &'g Gtid>) -> GtidSet {
        let mut applied = self.applied.clone();
        gtids.for_each(|gtid| applied.insert(gtid));
        applied.subtract(&self.watermark.borrow());
        applied
    }

    /// Where a change comes back to the destination and does not fit, the destination has gone on: it stays as it is.
    fn policy_for(&self, header: &TransactionHeader) -> ConflictPolicy {
        if header.returning {
            ConflictPolicy::Ignore
        } else {
            self.policy
        }
    }

    fn slot(&self) -> u16 {
        u16::try_from(self.applier + 1).unwrap_or(u16::MAX)
    }

    fn checkpoint(&self, header: &TransactionHeader, applied: &GtidSet) -> Vec<u8> {
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
                Attempt::Differs => self.rollback().await?,
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

    async fn rollback(&mut self) -> Result<(), Failure> {
        self.session
            .run("ROLLBACK")
            .await
            .map(drop)
            .map_err(|error| Failure::mysql("rolling back", &error))
    }

    async fn attempt(
        &mut self,
        checkpoint: &[u8],
        runs: &mut [Batches<'_>],
        policy: ConflictPolicy,
    ) -> Result<Attempt, Failure> {
        let mut checkpoint = Some(checkpoint);
        let last = runs.len().saturating_sub(1);
        for (place, batches) in runs.iter_mut().enumerate() {
            let commits = place == last && batches.slow.is_empty();
            match self.write(checkpoint.take(), batches, policy, commits).await? {
                Attempt::Holds => {}
                other => return Ok(other),
            }
        }
        self.commit().await.map(|()| Attempt::Committed)
    }

    /// Where it fails the outcome is open: the link starts over and reads its checkpoint.
    async fn commit(&mut self) -> Result<(), Failure> {
        let began = Instant::now();
        let committed = self.session.run("COMMIT").await;
        self.commits.took(began.elapsed());
        committed
            .map(drop)
            .map_err(|error| Failure::mysql("committing", &error))
    }

    /// Writes a batch, and commits with it where told so: no table of it is taken one by one then.
    async fn write(
        &mut self,
        checkpoint: Option<&[u8]>,
        batches: &mut Batches<'_>,
        policy: ConflictPolicy,
        commits: bool,
    ) -> Result<Attempt, Failure> {
        let mut plan = Plan::new(
            checkpoint,
            std::mem::take(&mut self.buffer),
            commits,
            Lengths::of(self.session.max_allowed_packet(), self.session.round_trip()),
        );
        let tables = batches.tables.iter().enumerate();
        for (place, table) in tables.filter(|(place, _)| !batches.slow.contains(place)) {
            plan.add_table(place, table)
                .map_err(|error| malformed(&table.target.source, &error))?;
        }
        let written = self.run(&mut plan, batches).await;
        self.buffer = plan.into_buffer();
        match written? {
            Attempt::Holds => self.write_one_by_one(batches, policy).await,
            other => Ok(other),
        }
    }

    /// Runs a plan's packets.
    async fn run(&mut self, plan: &mut Plan, batches: &mut Batches<'_>) -> Result<Attempt, Failure> {
        let max = self.session.max_allowed_packet();
        for packet in plan.finish() {
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
                Verdict::Differs(tables) => return Ok(batches.differ(tables)),
                Verdict::Locked(error) => return Ok(Attempt::Again(Failure::mysql("applying changes", &error))),
                Verdict::Fenced => return Err(checkpoint::fenced(&self.link)),
                Verdict::Refused(table, error) => {
                    return Err(match batches.tables.get(table) {
                        Some(batch) => Failure::writing(&batch.target.table.name, &error),
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

    /// The tables whose changes are not written in sets.
    async fn write_one_by_one(
        &mut self,
        batches: &mut Batches<'_>,
        policy: ConflictPolicy,
    ) -> Result<Attempt, Failure> {
        for place in batches.slow.clone() {
            let (Some(table), Some(count)) = (batches.tables.get(place), batches.conflicts.get_mut(place)) else {
                continue;
            };
            let path = conflict::Path {
                session: &mut self.session,
                link: &self.link,
                policy,
                recorder: &self.recorder,
            };
            let applied = match table.target.mode {
                Mode::Strict => path.apply(table).await,
                Mode::Tolerant => path.write_over(table).await.map(|()| 0),
            };
            match applied {
                Ok(found) => *count = found,
                Err(conflict::Stop::Lock(failure)) => return Ok(Attempt::Again(failure)),
                Err(conflict::Stop::Failure(failure)) => return Err(failure),
            }
        }
        Ok(Attempt::Holds)
    }

    /// Streams a large transaction into one destination transaction.
    async fn apply_large(&mut self, mut job: LargeJob) -> Result<Done, Failure> {
        let applied = self.applied_with(job.header.gtids());
        let mut checkpoint = Some(self.checkpoint(&job.header, &applied));
        let policy = self.policy_for(&job.header);
        let mut tables: Vec<TableCounts> = Vec::new();
        let held_to_the_end = loop {
            let Some(part) = job.parts.recv().await else {
                self.rollback().await?;
                return Err(Failure::environment(
                    "the source's connection was lost within a transaction",
                ));
            };
            if let Some(checkpoint) = checkpoint.take() {
                self.write_large(Some(&checkpoint), &mut Batches::default(), policy)
                    .await?;
            }
            let changes = part.changes.iter().map(|change| (&job.header.gtid, change));
            let runs = Batches::runs(changes).map_err(|error| malformed(&job.header.position, &error))?;
            for mut batches in runs {
                loop {
                    self.session
                        .run("SAVEPOINT part")
                        .await
                        .map_err(|error| Failure::mysql("setting a savepoint", &error))?;
                    if self.write_large(None, &mut batches, policy).await? {
                        break;
                    }
                    self.session
                        .run("ROLLBACK TO SAVEPOINT part")
                        .await
                        .map_err(|error| Failure::mysql("rolling back to a savepoint", &error))?;
                }
                add_counts(&mut tables, batches.counts());
            }
            if part.last {
                break part.hold;
            }
        };
        self.commit().await?;
        drop(held_to_the_end);
        self.applied = applied;
        Ok(Done {
            applier: self.applier,
            transactions: vec![(job.number, Vec::new(), 0)],
            tables,
        })
    }

    /// As [`Worker::write`]; a deadlock has undone what came before, so it ends the transaction. Returns whether all held.
    async fn write_large(
        &mut self,
        checkpoint: Option<&[u8]>,
        batches: &mut Batches<'_>,
        policy: ConflictPolicy,
    ) -> Result<bool, Failure> {
        match self.write(checkpoint, batches, policy, false).await? {
            Attempt::Holds | Attempt::Committed => Ok(true),
            Attempt::Differs => Ok(false),
            Attempt::Again(failure) => Err(failure),
        }
    }
}

/// Parts may be many, and speak of the same tables.
fn add_counts(sums: &mut Vec<TableCounts>, counts: impl Iterator<Item = TableCounts>) {
    for more in counts {
        match sums.iter_mut().find(|sum| Arc::ptr_eq(&sum.target, &more.target)) {
            Some(sum) => {
                let pairs = sum.counts.iter_mut().zip(more.counts);
                pairs.for_each(|(sum, count)| *sum += count);
            }
            None => sums.push(more),
        }
    }
}

fn malformed(place: &impl std::fmt::Display, error: &BinlogError) -> Failure {
    Failure::data(format!("a row image at {place} can't be read: {error}"))
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

/// Folded changes.
#[derive(Debug, Default)]
struct Batches<'c> {
    tables: Vec<TableBatch<'c>>,
    /// The tables (by place) whose changes are taken one by one.
    slow: BTreeSet<usize>,
    /// Per table the conflicts that were met.
    conflicts: Vec<u64>,
}

impl<'c> Batches<'c> {
    /// The batches that are to be written one after the other: but for changes that act on other rows, there is one.
    fn runs(changes: impl IntoIterator<Item = (&'c Gtid, &'c Change)>) -> Result<Vec<Self>, BinlogError> {
        let mut batches = Vec::new();
        for run in cascade::runs(changes)? {
            let mut batch = Self::of(fold::fold(run.changes)?);
            if run.acts {
                batch.slow.extend(0..batch.tables.len());
            }
            batches.push(batch);
        }
        if batches.is_empty() {
            // What there is to write is the checkpoint.
            batches.push(Self::default());
        }
        Ok(batches)
    }

    fn of(tables: Vec<TableBatch<'c>>) -> Self {
        let mut batches = Self {
            conflicts: vec![0; tables.len()],
            tables,
            slow: BTreeSet::new(),
        };
        batches.slow = batches.in_order();
        batches
    }

    /// The tables whose changes are taken one by one from the start.
    fn in_order(&self) -> BTreeSet<usize> {
        let in_order = |table: &TableBatch<'_>| {
            // What one statement writes over whatever is there must have but one key to find it by.
            let several_keys = || table.target.table.unique_keys.len() > 1 && table.target.leaves_out();
            table.in_order || table.target.mode == Mode::Tolerant && several_keys()
        };
        let tables = self.tables.iter().enumerate();
        tables
            .filter(|(_, table)| in_order(table))
            .map(|(place, _)| place)
            .collect()
    }

    /// Before images of these tables did not hold.
    fn differ(&mut self, tables: Vec<usize>) -> Attempt {
        for table in tables.iter().filter_map(|place| self.tables.get(*place)) {
            tracing::debug!(table = %table.target.table.name, "changes are taken one by one");
        }
        self.slow.extend(tables);
        Attempt::Differs
    }

    fn counts(&self) -> impl Iterator<Item = TableCounts> + use<'_, 'c> {
        self.tables.iter().zip(&self.conflicts).map(|(table, conflicts)| {
            let [mut inserts, mut updates, mut deletes] = [0; 3];
            for (_, change) in &table.changes {
                *match change.kind() {
                    ChangeKind::Insert => &mut inserts,
                    ChangeKind::Update => &mut updates,
                    ChangeKind::Delete => &mut deletes,
                } += 1;
            }
            TableCounts {
                target: table.target.clone(),
                counts: [inserts, updates, deletes, *conflicts],
            }
        })
    }
}
