//! Follows changes: what the reader hands on is given to the appliers, and what they have done moves the watermark.
//!
//! ```text
//! reader ──items──▶ (filter) ──items──▶ scheduler ──work──▶ appliers
//!                                           ▲                  │
//!                                           └───────done───────┘
//! ```
//!
//! The scheduler alone knows what is in flight. A statement that commits by itself, a transaction too large to be kept
//! whole, and one whose changes take rows of other tables with them wait until nothing is.

use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use mysql_async::{Conn, prelude::Queryable};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, oneshot, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    apply::{
        checkpoint::{self, Taken},
        conflict::Recorder,
        ddl,
        session::Session,
        worker::{Done, Job, LargeJob, Part, Work, Worker},
    },
    binlog::BinlogError,
    connect,
    failure::{Failure, Kind},
    model::{
        change::{Transaction, TransactionHeader},
        gtid::{Gtid, GtidSet},
        history::{Details, HistoryEntry},
        name::TableName,
        status::{ConflictRecord, DdlRecord, Level, State},
        task::{Decision, Direction},
    },
    plan::{
        assemble::{Intended, Statement},
        moves::Moves,
    },
    schedule::{
        cascade,
        causality::{Assignment, Causality},
        keys,
        watermark::Watermark,
    },
    schema,
    store::StoreError,
};

use super::{
    databases, existing,
    initial::version_number,
    join,
    link::Link,
    reader::{self, Dealt, Item},
    receiver::{Adapted, Receiver},
    row_filter,
    statements::{self, Known, Rewritten, Verdict},
    status::now_us,
};

/// Transactions that may wait for one applier.
const QUEUE: usize = 4096;
/// Transactions that may wait to be scheduled; their bytes are bounded by the reader.
const ITEMS: usize = 4096;
/// Transactions that may be above the watermark. What is done of them stands in the appliers' checkpoint rows one by one,
/// so this bounds those rows when one transaction is held back (by a lock at the destination) and others are not.
const WINDOW: usize = 8192;
/// How often status is brought up to date and the watermark looked at.
const TICK: Duration = Duration::from_millis(100);
/// The watermark is written at most this often.
const WATERMARK_EVERY: Duration = Duration::from_secs(1);
/// A row of heartbeat at the source.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(1);
/// A source that refused the last one is asked again.
const HEARTBEAT_AGAIN: Duration = Duration::from_secs(10);
/// How long a clean stop waits for what is in flight.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// Follows changes until it is stopped.
///
/// # Errors
/// [`Failure`]; what has been applied stands in the checkpoint.
pub async fn run(link: &Arc<Link>, taken: Taken, stop: &CancellationToken) -> Result<(), Failure> {
    let mut tasks: JoinSet<Result<(), Failure>> = JoinSet::new();
    let (done_sender, done) = mpsc::unbounded_channel();
    let (watermark_sender, watermark) = watch::channel(Arc::new(taken.applied.clone()));
    let recorder = recorder(link, &mut tasks);
    let mut queues = Vec::new();
    for applier in 0..usize::from(link.options.workers) {
        let session = Session::new(connect::open(&link.destination).await?).await?;
        let (queue, work) = mpsc::channel(QUEUE);
        let worker = Worker {
            applier,
            link: link.key.clone(),
            epoch: taken.epoch,
            policy: link.options.conflict_policy,
            recorder: recorder.clone(),
            session,
            watermark: watermark.clone(),
            applied: GtidSet::new(),
        };
        tasks.spawn(worker.run(work, done_sender.clone()));
        queues.push(queue);
    }
    drop((done_sender, recorder));
    let (item_sender, items) = mpsc::channel(ITEMS);
    let reading = tasks.spawn(reader::run(link.clone(), taken.clone(), item_sender));
    let items = match link.objects.has_filters() {
        true => {
            let (judged_sender, judged) = mpsc::channel(ITEMS);
            tasks.spawn(row_filter::run(link.clone(), items, judged_sender));
            judged
        }
        false => items,
    };
    let mut session = Session::new(connect::open(&link.destination).await?).await?;
    let mut probe = connect::open(&link.source).await?;
    let clock_offset_us = clock_offset(&mut probe).await?;
    let version = version_number(&probe.server_version());
    if link.options.heartbeat {
        tasks.spawn(heartbeat(link.clone(), probe));
    }
    let receiver = Receiver::read(session.conn()).await?;
    ddl::settle(&mut session, &link.key, taken.epoch, &taken.applied).await?;
    link.status.enter(State::Running, Some(""));
    let mut scheduler = Scheduler {
        link: link.clone(),
        epoch: taken.epoch,
        ddl: taken.ddl,
        causality: Causality::new(queues.len()),
        watermark: Watermark::new(taken.applied),
        queues,
        held: None,
        intent: None,
        alone: None,
        filling: None,
        receiver,
        told: HashSet::new(),
        persisted: watermark_sender,
        unwritten: Unwritten::default(),
        version,
        clock_offset_us,
    };
    let result = scheduler.run(items, done, &mut tasks, &mut session, stop).await;
    reading.abort();
    tasks.abort_all();
    while tasks.join_next().await.is_some() {}
    result
}

/// The source's clock minus ours, in microseconds.
async fn clock_offset(conn: &mut Conn) -> Result<i64, Failure> {
    let before = now_us();
    let theirs: Option<u64> = conn
        .query_first("SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS UNSIGNED)")
        .await
        .map_err(|error| Failure::mysql("reading the source's clock", &error))?;
    let ours = before / 2 + now_us() / 2;
    Ok(i64::try_from(theirs.unwrap_or(ours)).unwrap_or(0) - i64::try_from(ours).unwrap_or(0))
}

/// One row a second at the source, so that its binlog is never silent and lag is known. A source that refuses (it is
/// read-only, or the account may not) is followed without; it is asked again and again, for that may change.
async fn heartbeat(link: Arc<Link>, mut conn: Conn) -> Result<(), Failure> {
    let row = format!(
        "INSERT INTO causeway.heartbeat (task, link, at) VALUES ({}, NOW(6)) ON DUPLICATE KEY UPDATE at = NOW(6)",
        link.key.values()
    );
    let mut has_schema = false;
    let mut told = false;
    loop {
        let beat = async {
            if !has_schema {
                checkpoint::ensure_schema(&mut conn).await?;
            }
            has_schema = true;
            conn.query_drop(row.as_str())
                .await
                .map_err(|error| Failure::mysql("writing the heartbeat at the source", &error))
        };
        let pause = match beat.await {
            Ok(()) => {
                told = false;
                HEARTBEAT_EVERY
            }
            // A lost connection ends the link, as the reader's does.
            Err(failure) if conn.is_disconnected() => return Err(failure),
            Err(failure) => {
                if !std::mem::replace(&mut told, true) {
                    link.tell(
                        Level::Warning,
                        format!(
                            "{failure}; until the heartbeat can be written, lag is not known while \
                         the source is idle"
                        ),
                    )
                    .await;
                }
                HEARTBEAT_AGAIN
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// Takes conflicts down in the store, one after the other.
fn recorder(link: &Arc<Link>, tasks: &mut JoinSet<Result<(), Failure>>) -> Recorder {
    let (sender, mut receiver) = mpsc::channel::<(ConflictRecord, oneshot::Sender<Result<(), Failure>>)>(64);
    let link = link.clone();
    tasks.spawn(async move {
        while let Some((record, answer)) = receiver.recv().await {
            let store = link.store.clone();
            // A conflict that is settled is counted with the changes of its transaction; this one has none yet.
            if record.outcome == "failed" {
                link.status.conflict();
            }
            let written = tokio::task::spawn_blocking(move || store.record_conflict(&record)).await;
            let result = match written {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(Failure::data(format!("a conflict can't be taken down: {error}"))),
                Err(error) => Err(Failure::data(format!("a conflict can't be taken down: {error}"))),
            };
            if answer.send(result).is_err() {
                tracing::debug!("nobody waits for the conflict that was taken down");
            }
        }
        // The appliers have ended, each with its own result.
        std::future::pending().await
    });
    sender
}

/// What the watermark has passed since it was last written.
#[derive(Debug, Default)]
struct Unwritten {
    /// Transactions other than Causeway's own bookkeeping.
    changes: bool,
    /// Anything.
    any: bool,
    /// The source has begun another file: older ones may be purged soon.
    rotated: bool,
    written_at: Option<Instant>,
}

struct Scheduler {
    link: Arc<Link>,
    epoch: u64,
    /// Number of the last statement of the other link that has been passed.
    ddl: u64,
    causality: Causality,
    watermark: Watermark,
    queues: Vec<mpsc::Sender<Work>>,
    /// An item that can't go on yet.
    held: Option<Held>,
    /// The last transaction that says which statement this task will run at the source. The checkpoint does not cover
    /// it until it is withdrawn: a link that resumed between the two could not tell the statement, when it comes, from
    /// one that was made there.
    intent: Option<(Gtid, u64)>,
    /// Number of the transaction that is at work and lets nothing else be.
    alone: Option<u64>,
    /// CREATE TABLE … SELECT that has made its table, and has no rows in it yet.
    filling: Option<Filling>,
    /// What the destination makes of views and the like.
    receiver: Receiver,
    /// Why statements were ignored: each reason is told once.
    told: HashSet<&'static str>,
    persisted: watch::Sender<Arc<GtidSet>>,
    unwritten: Unwritten,
    version: u32,
    clock_offset_us: i64,
}

struct Filling {
    statement: Statement,
    rewritten: Rewritten,
    /// In `causeway.ddl`.
    number: u64,
    /// Its rows have been read.
    has_come: bool,
}

enum Held {
    /// Its keys are with several appliers, or its applier's queue is full.
    Transaction(Box<Job>),
    Large(TransactionHeader, mpsc::Receiver<Part>),
    /// Rows that refer to those it changes follow them, whatever keys they have.
    Alone(Box<Transaction>, OwnedSemaphorePermit),
    Statement(Box<Statement>, Option<Intended>, oneshot::Sender<Dealt>),
}

impl Scheduler {
    async fn run(
        &mut self,
        mut items: mpsc::Receiver<Item>,
        mut done: mpsc::UnboundedReceiver<Done>,
        tasks: &mut JoinSet<Result<(), Failure>>,
        session: &mut Session,
        stop: &CancellationToken,
    ) -> Result<(), Failure> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut stopping: Option<Instant> = None;
        loop {
            if self.held.is_some() {
                self.retry_held(session).await?;
            }
            let takes_items = self.held.is_none()
                && self.alone.is_none()
                && !self.filling.as_ref().is_some_and(|filling| filling.has_come)
                && stopping.is_none()
                && self.watermark.pending() < WINDOW;
            tokio::select! {
                biased;
                finished = done.recv() => match finished {
                    Some(finished) => self.finished(finished),
                    None => return Err(self.ended(tasks).await),
                },
                ended = tasks.join_next() => return Err(why(ended)),
                () = stop.cancelled(), if stopping.is_none() => stopping = Some(Instant::now()),
                _ = tick.tick() => self.tick(session).await?,
                item = items.recv(), if takes_items => match item {
                    Some(item) => self.take(item)?,
                    None => return Err(self.ended(tasks).await),
                },
            }
            if self.filling.is_some() {
                self.filled(session).await?;
            }
            if let Some(since) = stopping
                && (self.is_idle() || self.held_can_wait() || since.elapsed() > STOP_LIMIT)
            {
                if self.unwritten.any {
                    self.write_watermark(session).await?;
                }
                return Ok(());
            }
        }
    }

    /// A channel has closed: the task at its other end knows why.
    async fn ended(&self, tasks: &mut JoinSet<Result<(), Failure>>) -> Failure {
        match tokio::time::timeout(Duration::from_secs(10), tasks.join_next()).await {
            Ok(ended) => why(ended),
            Err(_) => Failure::environment("a part of the link has ended"),
        }
    }

    fn is_idle(&self) -> bool {
        self.watermark.is_idle() && self.causality.is_idle()
    }

    /// While stopping: nothing is at work, and what is held has not begun.
    fn held_can_wait(&self) -> bool {
        self.held.is_some() && self.causality.is_idle() && self.alone.is_none()
    }

    fn take(&mut self, item: Item) -> Result<(), Failure> {
        if let Some(filling) = &mut self.filling {
            filling.has_come = !matches!(item, Item::Rotated);
        }
        match item {
            Item::Transaction(transaction, permit) => self.schedule(transaction, permit),
            Item::Large(header, parts) => {
                self.held = Some(Held::Large(header, parts));
                Ok(())
            }
            Item::Statement(statement, echo, dealt_with) => {
                self.held = Some(Held::Statement(statement, echo, dealt_with));
                Ok(())
            }
            Item::Prepared(gtid) => {
                self.watermark.prepare(&gtid);
                Ok(())
            }
            Item::Intent {
                gtid,
                commit_us,
                begins,
            } => {
                let due = std::mem::take(&mut self.intent);
                let intent = (gtid, commit_us);
                let passed = if begins {
                    self.intent.replace(intent)
                } else {
                    Some(intent)
                };
                for (gtid, commit_us) in due.into_iter().chain(passed) {
                    let number = self.watermark.begin(gtid, None, commit_us);
                    self.watermark.finish(number);
                }
                self.unwritten.any = true;
                Ok(())
            }
            Item::Skipped {
                gtid,
                prepared,
                commit_us,
                bookkeeping,
            } => {
                let number = self.watermark.begin(gtid, prepared, commit_us);
                self.watermark.finish(number);
                self.unwritten.any = true;
                self.unwritten.changes |= !bookkeeping;
                Ok(())
            }
            Item::Rotated => {
                self.unwritten.rotated = true;
                Ok(())
            }
        }
    }

    fn schedule(&mut self, transaction: Transaction, permit: OwnedSemaphorePermit) -> Result<(), Failure> {
        let malformed = |error: BinlogError| Failure::data(error.to_string());
        if cascade::any_acts(&transaction.changes).map_err(malformed)? {
            self.held = Some(Held::Alone(Box::new(transaction), permit));
            return Ok(());
        }
        let mut touched = Vec::new();
        for change in &transaction.changes {
            keys::of_change(change, &mut touched).map_err(malformed)?;
        }
        touched.sort_unstable_by_key(|key| (key.hash, key.shared));
        touched.dedup();
        let number = self.watermark.begin_transaction(&transaction.header);
        self.assign(Box::new(Job {
            number,
            keys: touched,
            transaction,
            alone: false,
            permit: Some(permit),
        }));
        Ok(())
    }

    /// Gives a transaction to an applier, or holds it.
    fn assign(&mut self, job: Box<Job>) {
        let weight = job.transaction.changes.len();
        match self.causality.assign(&job.keys, weight) {
            Assignment::Wait => self.held = Some(Held::Transaction(job)),
            Assignment::To(applier) => {
                let keys = job.keys.clone();
                let Some(queue) = self.queues.get(applier) else { return };
                match queue.try_send(Work::Transaction(job)) {
                    Ok(()) => {}
                    Err(mpsc::error::TrySendError::Full(work) | mpsc::error::TrySendError::Closed(work)) => {
                        // A closed queue: the applier's failure is about to be told.
                        self.causality.finished(applier, &keys, weight);
                        if let Work::Transaction(job) = work {
                            self.held = Some(Held::Transaction(job));
                        }
                    }
                }
            }
        }
    }

    async fn retry_held(&mut self, session: &mut Session) -> Result<(), Failure> {
        match self.held.take() {
            None => {}
            Some(Held::Transaction(job)) => self.assign(job),
            Some(held) if !self.is_idle() => self.held = Some(held),
            Some(Held::Large(header, parts)) => {
                let number = self.begin_alone(&header);
                let job = LargeJob { number, header, parts };
                self.apply_alone(Work::Large(Box::new(job))).await;
            }
            Some(Held::Alone(transaction, permit)) => {
                let job = Job {
                    number: self.begin_alone(&transaction.header),
                    keys: Vec::new(),
                    transaction: *transaction,
                    alone: true,
                    permit: Some(permit),
                };
                self.apply_alone(Work::Transaction(Box::new(job))).await;
            }
            Some(Held::Statement(statement, echo, dealt_with)) => {
                let dealt = self.statement(session, &statement, echo.as_ref()).await?;
                // The reader may be gone; then its failure ends the link.
                dealt_with.send(dealt).ok();
            }
        }
        Ok(())
    }

    fn begin_alone(&mut self, header: &TransactionHeader) -> u64 {
        let number = self.watermark.begin_transaction(header);
        self.alone = Some(number);
        number
    }

    async fn apply_alone(&self, work: Work) {
        if let Some(queue) = self.queues.first() {
            // An applier that is gone has told why.
            queue.send(work).await.ok();
        }
    }

    /// Deals with a statement; nothing else is at work.
    async fn statement(
        &mut self,
        session: &mut Session,
        statement: &Statement,
        intended: Option<&Intended>,
    ) -> Result<Dealt, Failure> {
        let link = self.link.clone();
        let known = Known {
            keys: existing::keys_of_listed(session.conn(), &link.objects).await?,
            covered: link.copied.borrow().covering(&statement.header.gtid),
        };
        let verdict = statements::judge(
            statement,
            link.key.direction,
            &link.objects,
            link.options.exclude_ddl,
            self.version,
            intended.map(|intended| intended.statement.as_str()),
            &known,
        );
        let gtid = &statement.header.gtid;
        let mut dealt = Dealt::default();
        if verdict != Verdict::Nothing {
            link.shared.definitions.fetch_add(1, Ordering::AcqRel);
        }
        if !matches!(verdict, Verdict::Nothing | Verdict::Echo)
            && let Some(decision) = self.decision(gtid).await?
        {
            dealt.voids = self.decided(session, statement, decision).await?;
            return Ok(self.pass(statement, dealt));
        }
        let record = |outcome, applied_statement: Option<String>| DdlRecord {
            task: link.task.clone(),
            direction: link.key.direction,
            source_position: gtid.to_string(),
            statement: statement.text.clone(),
            outcome,
            applied_statement,
        };
        match verdict {
            Verdict::Nothing => {}
            Verdict::Echo => {
                dealt.echo = intended.map(|intended| intended.number);
                self.ddl = self.ddl.max(dealt.echo.unwrap_or(0));
            }
            Verdict::Refused => {
                self.log(record("refused", None)).await?;
                link.tell(
                    Level::Warning,
                    format!(
                        "a DDL statement at the destination ({gtid}) stays there: DDL goes forward only; see sync.ddl"
                    ),
                )
                .await;
            }
            Verdict::Excluded => {
                ddl::withdraw(session.conn(), &link.key, gtid).await?;
                self.log(record("excluded", None)).await?;
            }
            Verdict::Ignored(why) => {
                ddl::withdraw(session.conn(), &link.key, gtid).await?;
                self.log(record("ignored", None)).await?;
                if self.told.insert(why) {
                    let message = format!(
                        "the DDL statement {gtid} is not run at the destination: {why}; it and others like it stand in \
                         sync.ddl"
                    );
                    link.tell(Level::Warning, message).await;
                }
            }
            Verdict::Stop(reason) => {
                self.log(record("failed", None)).await?;
                return Err(self.undecided(gtid, &reason).await);
            }
            Verdict::Apply(rewritten) if rewritten.has_rows => {
                let number = self.run_statement_with_rows(session, statement, *rewritten).await?;
                dealt.voids = Some((number, Vec::new()));
            }
            Verdict::Apply(rewritten) => {
                dealt.voids = self.run_statements(session, statement, vec![*rewritten], true).await?;
            }
            Verdict::DropDatabase { database, whole } => {
                let (rewritten, stays) =
                    databases::drop(session.conn(), &link.objects, &database, whole.as_deref()).await?;
                if stays {
                    let message = format!(
                        "database {database} was dropped at the source ({gtid}): at the destination only its tables that are \
                         among the task's objects are, and all else in the database stays"
                    );
                    link.tell(Level::Warning, message).await;
                }
                dealt.voids = self.run_statements(session, statement, vec![rewritten], true).await?;
            }
            Verdict::Move(moves) => dealt.voids = self.moved(session, statement, &moves).await?,
            Verdict::Hide(text, shadow) => {
                let details = Details {
                    shadow: Some(shadow),
                    ..Details::default()
                };
                let applied = ddl::hide(session, &self.job(statement, 0, &text, &details)).await?;
                self.log(record("ignored", None)).await?;
                self.persisted.send_replace(Arc::new(applied));
            }
            Verdict::Unhide(shadows) => {
                let kept = ddl::hidden(session.conn(), &link.key).await?;
                let is_of =
                    |entry: &&HistoryEntry| entry.details.shadow.as_ref().is_some_and(|it| shadows.contains(it));
                let numbers: Vec<u64> = kept.iter().filter(is_of).map(|entry| entry.number).collect();
                ddl::forget_hidden(session.conn(), &link.key, &numbers).await?;
            }
            Verdict::CutOver(cut_over) => {
                let kept: Vec<HistoryEntry> = ddl::hidden(session.conn(), &link.key)
                    .await?
                    .into_iter()
                    .filter(|entry| entry.details.shadow.as_ref() == Some(&cut_over.shadow))
                    .collect();
                let texts: Vec<String> = kept.iter().map(|entry| entry.statement.clone()).collect();
                let steps = match texts.is_empty() {
                    true => {
                        Err("the task has not seen what was done to the shadow, as it began before the task".to_owned())
                    }
                    false => {
                        statements::unhidden(statement, &texts, &cut_over, &link.objects, self.version, &known.keys)
                    }
                };
                match steps {
                    Ok(steps) => dealt.voids = self.run_statements(session, statement, steps, true).await?,
                    Err(reason) => {
                        self.log(record("failed", None)).await?;
                        let reason = format!(
                            "the online schema change of {} ends at {} and can't be carried: {reason}. It takes the table \
                             to another definition: an ALTER TABLE does that at the destination",
                            cut_over.table, statement.header.position
                        );
                        return Err(self.undecided(gtid, &reason).await);
                    }
                }
                let numbers: Vec<u64> = kept.iter().map(|entry| entry.number).collect();
                ddl::forget_hidden(session.conn(), &link.key, &numbers).await?;
            }
        }
        Ok(self.pass(statement, dealt))
    }

    /// Tables have come into the selection, or left it. Returns as [`Scheduler::run_statements`].
    async fn moved(
        &mut self,
        session: &mut Session,
        statement: &Statement,
        moves: &Moves,
    ) -> Result<Option<(u64, Vec<TableName>)>, Failure> {
        let (link, gtid) = (self.link.clone(), &statement.header.gtid);
        let mark = gtid.to_string();
        let renames = moves.renames(&link.objects, mark.rsplit(':').next().unwrap_or_default());
        let mut voids = None;
        let superseded = moves.superseded.iter().filter_map(|old| link.objects.map(old));
        let mut steps: Vec<Rewritten> = superseded.map(|there| statements::dropping(&there)).collect();
        if !renames.is_empty() {
            steps.push(statements::renaming(&renames, moves.joins.clone()));
        }
        if steps.is_empty() {
            self.log(self.record(statement, "ignored", None)).await?;
        } else {
            // The checkpoint passes the statement when what comes in has been copied.
            voids = self.run_statements(session, statement, steps, false).await?;
        }
        for (old, new) in &moves.leaves {
            let Some(there) = link.objects.map(old) else { continue };
            let aside = renames.iter().find(|(from, _)| *from == there);
            let name = aside.map_or(&there, |(_, to)| to);
            let message = format!(
                "{old} was renamed to {new} ({gtid}), which is not among the objects of this task: it is followed no more, and \
                 stays at the destination as {name}"
            );
            link.tell(Level::Warning, message).await;
        }
        if let Err(reason) = join::run(&link, self.epoch, gtid, &moves.joins).await? {
            self.log(self.record(statement, "failed", None)).await?;
            return Err(self.undecided(gtid, &reason).await);
        }
        Ok(voids)
    }

    /// The statement has been dealt with. Rows that come behind it under the same GTID are still to be applied.
    fn pass(&mut self, statement: &Statement, dealt: Dealt) -> Dealt {
        if !statement.within {
            let number = self.watermark.begin_transaction(&statement.header);
            self.watermark.finish(number);
            (self.unwritten.any, self.unwritten.changes) = (true, true);
        }
        dealt
    }

    /// What the operator has decided on a statement.
    async fn decision(&self, gtid: &Gtid) -> Result<Option<Decision>, Failure> {
        let (store, task) = (self.link.store.clone(), self.link.task.clone());
        let (direction, gtid) = (self.link.key.direction, gtid.to_string());
        in_store(move || store.decision(&task, direction, &gtid)).await
    }

    /// Does with a statement what the operator has decided.
    async fn decided(
        &mut self,
        session: &mut Session,
        statement: &Statement,
        decision: Decision,
    ) -> Result<Option<(u64, Vec<TableName>)>, Failure> {
        let gtid = &statement.header.gtid;
        let voids = match decision {
            Decision::Skip => {
                ddl::withdraw(session.conn(), &self.link.key, gtid).await?;
                self.log(DdlRecord {
                    task: self.link.task.clone(),
                    direction: self.link.key.direction,
                    source_position: gtid.to_string(),
                    statement: statement.text.clone(),
                    outcome: "ignored",
                    applied_statement: None,
                })
                .await?;
                self.link
                    .tell(
                        Level::Warning,
                        format!("the statement {gtid} was passed by, as the operator decided"),
                    )
                    .await;
                None
            }
            Decision::Apply(text) => {
                // What was intended before is another statement.
                ddl::withdraw(session.conn(), &self.link.key, gtid).await?;
                match statements::as_written(&text, self.version) {
                    Some(rewritten) => self.run_statements(session, statement, vec![rewritten], true).await?,
                    None => {
                        self.change_rows(session, statement, &text).await?;
                        None
                    }
                }
            }
        };
        let (store, task, direction) = (self.link.store.clone(), self.link.task.clone(), self.link.key.direction);
        in_store(move || store.decided(&task, direction)).await?;
        Ok(voids)
    }

    /// Runs a statement that changes rows in the place of another one.
    async fn change_rows(&mut self, session: &mut Session, statement: &Statement, text: &str) -> Result<(), Failure> {
        let details = Details::default();
        let job = self.job(statement, 0, text, &details);
        match ddl::change_rows(session, &job, &statement.header.path).await {
            Ok(applied) => {
                // Passed here even inside of a transaction: done twice would be worse than anything.
                let number = self.watermark.begin_transaction(&statement.header);
                self.watermark.finish(number);
                (self.unwritten.any, self.unwritten.changes) = (true, true);
                self.persisted.send_replace(Arc::new(applied));
                self.log(self.record(statement, "applied", Some(text))).await
            }
            Err(failure) => {
                if failure.kind == Kind::Data {
                    self.log(self.record(statement, "failed", Some(text))).await?;
                    self.leave_undecided(&statement.header.gtid).await?;
                }
                Err(failure)
            }
        }
    }

    /// A statement can't be carried: it waits for what the operator decides.
    async fn undecided(&self, gtid: &Gtid, reason: &str) -> Failure {
        match self.leave_undecided(gtid).await {
            Ok(()) => Failure::undecided(format!(
                "{reason}. Decide on it: RESUME SYNC TASK {0} SKIP passes it by, RESUME SYNC TASK {0} APPLY '…' runs another \
                 statement at the destination in its place, and RESUME alone tries it again",
                self.link.task
            )),
            Err(failure) => failure,
        }
    }

    async fn leave_undecided(&self, gtid: &Gtid) -> Result<(), Failure> {
        let (store, task) = (self.link.store.clone(), self.link.task.clone());
        let (direction, gtid) = (self.link.key.direction, gtid.to_string());
        in_store(move || store.leave_undecided(&task, direction, &gtid)).await
    }

    /// CREATE TABLE … SELECT: makes the table. Its intent stays until the rows are in, which come next: should they not
    /// get in before a crash, it says that the table is there.
    async fn run_statement_with_rows(
        &mut self,
        session: &mut Session,
        statement: &Statement,
        rewritten: Rewritten,
    ) -> Result<u64, Failure> {
        let number = self.run_step(session, statement, 0, &rewritten, None).await?;
        self.filling = Some(Filling {
            statement: statement.clone(),
            rewritten,
            number,
            has_come: false,
        });
        Ok(number)
    }

    /// The rows of CREATE TABLE … SELECT are in.
    async fn filled(&mut self, session: &mut Session) -> Result<(), Failure> {
        let is_in =
            |filling: &Filling| filling.has_come && self.watermark.done().contains(&filling.statement.header.gtid);
        if !self.filling.as_ref().is_some_and(is_in) {
            return Ok(());
        }
        if let Some(filling) = self.filling.take() {
            let Filling {
                statement, rewritten, ..
            } = &filling;
            let job = self.job(statement, 0, &rewritten.text, &rewritten.details);
            let applied = ddl::finish(session, &job, filling.number, true).await?;
            self.persisted.send_replace(Arc::new(applied));
        }
        Ok(())
    }

    fn job<'a>(&'a self, statement: &'a Statement, step: usize, text: &'a str, details: &'a Details) -> ddl::Job<'a> {
        ddl::Job {
            link: &self.link.key,
            epoch: self.epoch,
            gtid: &statement.header.gtid,
            step,
            statement: text,
            status: &statement.status,
            tables: &[],
            databases: &[],
            stored: &[],
            default_database: None,
            encoded: None,
            details,
            keep_from: self.link.shared.reverse_ddl.load(Ordering::Acquire),
            applied: self.watermark.done(),
        }
    }

    /// Runs what comes of a statement at the destination; the checkpoint `passes` it with the last. Returns the last number,
    /// and whose rows were replaced.
    async fn run_statements(
        &mut self,
        session: &mut Session,
        statement: &Statement,
        steps: Vec<Rewritten>,
        passes: bool,
    ) -> Result<Option<(u64, Vec<TableName>)>, Failure> {
        let count = steps.len();
        let mut voids = None;
        for (step, mut rewritten) in steps.into_iter().enumerate() {
            let mut adapted = Adapted::default();
            if !rewritten.stored.is_empty() {
                adapted = self
                    .receiver
                    .adapt(session.conn(), &self.link, statement, &mut rewritten, self.version)
                    .await?;
            }
            if let Some(why) = adapted.ignored {
                ddl::withdraw(session.conn(), &self.link.key, &statement.header.gtid).await?;
                self.log(self.record(statement, "ignored", None)).await?;
                self.link
                    .tell(
                        Level::Warning,
                        format!(
                            "the DDL statement {} is not run at the destination: {why}",
                            statement.header.gtid
                        ),
                    )
                    .await;
                continue;
            }
            if self.link.two_way {
                for table in &rewritten.tables {
                    rewritten
                        .details
                        .before
                        .extend(schema::read_table(session.conn(), table).await?);
                }
            }
            let number = self
                .run_step(session, statement, step, &rewritten, adapted.encoded.as_ref())
                .await?;
            for note in adapted.notes {
                self.link.tell(Level::Warning, note).await;
            }
            if let Some(told) = adapted.told {
                self.link.tell(Level::Info, told).await;
            }
            let job = self.job(statement, step, &rewritten.text, &rewritten.details);
            // What stands inside of a transaction is passed with the transaction.
            let passes = passes && step + 1 == count && !statement.within;
            let applied = ddl::finish(session, &job, number, passes).await?;
            self.persisted.send_replace(Arc::new(applied));
            voids = Some((number, rewritten.details.voids));
        }
        Ok(voids)
    }

    /// Lets one statement take effect and lists it; [`ddl::finish`] is still to come.
    async fn run_step(
        &mut self,
        session: &mut Session,
        statement: &Statement,
        step: usize,
        rewritten: &Rewritten,
        encoded: Option<&(u16, Vec<u8>)>,
    ) -> Result<u64, Failure> {
        let job = ddl::Job {
            tables: &rewritten.tables,
            databases: &rewritten.databases,
            stored: &rewritten.stored,
            default_database: rewritten.default_database.as_deref(),
            encoded: encoded.map(|(collation, bytes)| (*collation, bytes.as_slice())),
            ..self.job(statement, step, &rewritten.text, &rewritten.details)
        };
        let result = ddl::apply(session, &job).await;
        let outcome = match &result {
            Ok(_) => "applied",
            Err(failure) if failure.kind == Kind::Data => "failed",
            Err(_) => return result,
        };
        // Listed before the checkpoint passes it: what is done stands in the list, come what may.
        let record = DdlRecord {
            source_position: match step {
                0 => statement.header.gtid.to_string(),
                step => format!("{}#{step}", statement.header.gtid),
            },
            ..self.record(statement, outcome, Some(&rewritten.text))
        };
        self.log(record).await?;
        if result.is_err() {
            self.leave_undecided(&statement.header.gtid).await?;
        }
        result
    }

    fn record(&self, statement: &Statement, outcome: &'static str, applied: Option<&str>) -> DdlRecord {
        DdlRecord {
            task: self.link.task.clone(),
            direction: self.link.key.direction,
            source_position: statement.header.gtid.to_string(),
            statement: statement.text.clone(),
            outcome,
            applied_statement: applied.map(str::to_owned),
        }
    }

    async fn log(&self, record: DdlRecord) -> Result<(), Failure> {
        let store = self.link.store.clone();
        match tokio::task::spawn_blocking(move || store.record_ddl(&record)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Failure::data(format!("a DDL statement can't be taken down: {error}"))),
            Err(error) => Err(Failure::data(format!("a DDL statement can't be taken down: {error}"))),
        }
    }

    fn finished(&mut self, finished: Done) {
        let transactions = finished.transactions.len() as u64;
        for (number, keys, weight) in finished.transactions {
            self.causality.finished(finished.applier, &keys, weight);
            self.watermark.finish(number);
            if self.alone == Some(number) {
                self.alone = None;
            }
        }
        (self.unwritten.any, self.unwritten.changes) = (true, true);
        self.link.status.applied(transactions, finished.tables);
        if self.watermark.is_idle() {
            self.show();
        }
    }

    async fn tick(&mut self, session: &mut Session) -> Result<(), Failure> {
        self.show();
        let due = self
            .unwritten
            .written_at
            .is_none_or(|at| at.elapsed() >= WATERMARK_EVERY);
        // Causeway's own rows alone move nothing: the write would be a row of ours in the other link's log, and the
        // two links would answer each other for ever.
        if due && (self.unwritten.changes || (self.unwritten.rotated && self.unwritten.any)) {
            self.write_watermark(session).await?;
        }
        Ok(())
    }

    fn show(&self) {
        let status = &self.link.status;
        if self.link.key.direction == Direction::Forward {
            let done_us = self.watermark.done_us();
            self.link.shared.forward_done_us.store(done_us, Ordering::Release);
        }
        status.done(
            Arc::new(self.watermark.done().clone()),
            self.watermark.prepared().clone(),
        );
        status.read(Arc::new(self.watermark.read()));
        let now = i64::try_from(now_us())
            .unwrap_or(i64::MAX)
            .saturating_add(self.clock_offset_us);
        let lag_us = self.watermark.oldest_pending_us().map_or(0, |oldest| {
            now.saturating_sub(i64::try_from(oldest).unwrap_or(i64::MAX)).max(0)
        });
        status.lag(u64::try_from(lag_us / 1000).unwrap_or(0), self.watermark.is_idle());
    }

    async fn write_watermark(&mut self, session: &mut Session) -> Result<(), Failure> {
        let done = Arc::new(self.watermark.done().clone());
        checkpoint::set_watermark(session.conn(), &self.link.key, self.epoch, self.ddl, &done).await?;
        self.persisted.send_replace(done);
        if self.link.key.direction == Direction::Reverse {
            self.link.shared.reverse_ddl.store(self.ddl, Ordering::Release);
        }
        self.unwritten = Unwritten {
            written_at: Some(Instant::now()),
            ..Unwritten::default()
        };
        Ok(())
    }
}

/// Asks the store.
async fn in_store<T: Send + 'static>(
    ask: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Failure> {
    let answer = tokio::task::spawn_blocking(ask).await;
    let answer = answer.map_err(|error| Failure::data(format!("the store can't be asked: {error}")))?;
    answer.map_err(|error| Failure::data(error.to_string()))
}

/// Why a part of the link has ended, when none should have.
fn why(ended: Option<Result<Result<(), Failure>, tokio::task::JoinError>>) -> Failure {
    match ended {
        Some(Ok(Err(failure))) => failure,
        Some(Ok(Ok(()))) | None => Failure::environment("a part of the link has ended"),
        Some(Err(error)) => Failure::data(format!(
            "the link has come upon an internal error ({error}); nothing was lost, the checkpoint stands. Please report it"
        )),
    }
}
