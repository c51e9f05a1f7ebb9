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

use futures_util::future;
use mysql_async::{Conn, prelude::Queryable};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    apply::{
        checkpoint::{self, Taken},
        conflict::Recorder,
        ddl,
        session::Session,
        worker::{Done, Hold, Job, LargeJob, Part, Work, Worker},
    },
    binlog::BinlogError,
    connect,
    failure::Failure,
    model::{
        change::{Transaction, TransactionHeader},
        gtid::{Gtid, GtidSet},
        status::{ConflictRecord, Level, State},
        task::Direction,
    },
    plan::assemble::{Intended, Statement},
    schedule::{
        cascade,
        causality::{Assignment, Causality},
        keys,
        merge::CommitTime,
        watermark::Watermark,
    },
    schema,
    store::StoreError,
};

use super::{
    copier,
    link::Link,
    reader::{self, Dealt, Item},
    receiver::Receiver,
    row_filter,
    statements::{self, Rewritten},
    status::now_us,
};

mod carry;
mod decide;

/// Transactions that may wait for one applier.
const QUEUE: usize = 8192;
/// Transactions that may wait to be scheduled; their bytes are bounded by the reader.
const ITEMS: usize = 4096;
/// Transactions that may be above the watermark. What is done of them stands in the appliers' checkpoint rows one by one,
/// so this bounds those rows when one transaction is held back (by a lock at the destination) and others are not.
const WINDOW: usize = 16384;
/// How often status is brought up to date and the watermark looked at.
const TICK: Duration = Duration::from_millis(100);
/// The watermark is written at most this often.
const WATERMARK_EVERY: Duration = Duration::from_secs(1);
/// A row of heartbeat at the source.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(1);
/// A source that refused the last one is asked again.
const HEARTBEAT_AGAIN: Duration = Duration::from_secs(10);
/// Clocks drift apart.
const CLOCK_EVERY: Duration = Duration::from_secs(60);
/// How often the destination is asked whether it is there, while nothing is written to it: an idle task shows at once that
/// its destination is gone, and not with the next change.
const DESTINATION_ASKED_EVERY: Duration = Duration::from_secs(2);
/// How long it may take to answer.
const DESTINATION_ANSWERS_IN: Duration = Duration::from_secs(20);
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
    let open = || connect::open(&link.destination);
    // Far away a connection takes many round trips: they are opened side by side.
    let (sessions, mut session, mut probe) = tokio::try_join!(
        future::try_join_all((0..link.options.workers).map(|_| async { Session::transactional(open().await?).await })),
        async { Session::new(open().await?).await },
        connect::open(&link.source)
    )?;
    for (applier, session) in sessions.into_iter().enumerate() {
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
            commits: CommitTime::default(),
            buffer: Vec::new(),
        };
        tasks.spawn(worker.serve(work, done_sender.clone()));
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
    link.status.clock(clock_offset(&mut probe).await?);
    let version = schema::version_number(&probe.server_version());
    tasks.spawn(heartbeat(link.clone(), probe));
    tasks.spawn(copier::run(link.clone(), taken.epoch));
    let receiver = Receiver::read(session.conn()).await?;
    let begun = ddl::settle(&mut session, &link.key, taken.epoch, &taken.applied).await?;
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
        begun,
        receiver,
        told: HashSet::new(),
        persisted: watermark_sender,
        unwritten: Unwritten::default(),
        asked_at: Instant::now(),
        version,
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

async fn is_there(session: &mut Session) -> Result<(), Failure> {
    let doing = "asking whether the destination is there";
    match tokio::time::timeout(DESTINATION_ANSWERS_IN, session.conn().ping()).await {
        Ok(answer) => answer.map_err(|error| Failure::mysql(doing, &error)),
        Err(_) => Err(Failure::environment(format!(
            "{doing}: no answer within {} s",
            DESTINATION_ANSWERS_IN.as_secs()
        ))),
    }
}

/// One row a second at the source, so that its binlog is never silent and lag is known. A source that refuses (it is
/// read-only, or the account may not) is followed without; it is asked again and again, for that may change. Then, and with
/// `heartbeat = OFF`, it is the stream's own heartbeat that tells. Now and then the source's clock is looked at, too.
async fn heartbeat(link: Arc<Link>, mut conn: Conn) -> Result<(), Failure> {
    let mut clock_at = Instant::now();
    let row = format!(
        "INSERT INTO causeway.heartbeat (task, link, at) VALUES ({}, NOW(6)) ON DUPLICATE KEY UPDATE at = NOW(6)",
        link.key.values()
    );
    let mut has_schema = false;
    let mut told = false;
    loop {
        if clock_at.elapsed() >= CLOCK_EVERY {
            link.status.clock(clock_offset(&mut conn).await?);
            clock_at = Instant::now();
        }
        if !link.options.heartbeat {
            tokio::time::sleep(CLOCK_EVERY).await;
            continue;
        }
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
                            "{failure}; until the heartbeat can be written, it is the binlog stream that tells the lag \
                             while the source is idle"
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
    /// There are intents of an earlier run that have not been settled.
    begun: bool,
    /// What the destination makes of views and the like.
    receiver: Receiver,
    /// Why statements were ignored: each reason is told once.
    told: HashSet<&'static str>,
    persisted: watch::Sender<Arc<GtidSet>>,
    unwritten: Unwritten,
    /// When the destination was last asked whether it is there.
    asked_at: Instant,
    version: u32,
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
    Alone(Box<Transaction>, Hold),
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
            Item::Transaction(transaction, hold) => self.schedule(transaction, hold),
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
                if prepared.is_none() {
                    self.link.pass(&gtid);
                }
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

    fn schedule(&mut self, transaction: Transaction, hold: Hold) -> Result<(), Failure> {
        let malformed = |error: BinlogError| Failure::data(error.to_string());
        if cascade::any_acts(&transaction.changes).map_err(malformed)? {
            self.held = Some(Held::Alone(Box::new(transaction), hold));
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
            hold: Some(hold),
        }));
        Ok(())
    }

    /// Gives a transaction to an applier, or holds it.
    fn assign(&mut self, job: Box<Job>) {
        let changes = &job.transaction.changes;
        let (table, weight) = (changes.first().map(|change| &change.target.table.name), changes.len());
        match self.causality.assign(&job.keys, table, weight) {
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
            Some(held) if !self.is_idle() || self.waits_for_a_copy(&held) => self.held = Some(held),
            Some(Held::Large(header, parts)) => {
                let number = self.begin_alone(&header);
                let job = LargeJob { number, header, parts };
                self.apply_alone(Work::Large(Box::new(job))).await;
            }
            Some(Held::Alone(transaction, hold)) => {
                let job = Job {
                    number: self.begin_alone(&transaction.header),
                    keys: Vec::new(),
                    transaction: *transaction,
                    alone: true,
                    hold: Some(hold),
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

    /// A statement on a table that is being copied comes behind the copy's last range.
    fn waits_for_a_copy(&self, held: &Held) -> bool {
        let Held::Statement(statement, ..) = held else {
            return false;
        };
        let tables = self.link.copied.borrow().in_the_way(&statement.header.gtid);
        !tables.is_empty() && statements::speaks_of(statement, &self.link.objects, self.version, &tables)
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
        if self.is_idle() && self.asked_at.elapsed() >= DESTINATION_ASKED_EVERY {
            is_there(session).await?;
            self.asked_at = Instant::now();
        }
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
        status.lag(self.watermark.oldest_pending_us());
    }

    async fn write_watermark(&mut self, session: &mut Session) -> Result<(), Failure> {
        let done = Arc::new(self.watermark.done().clone());
        let lineage = self.link.lineage();
        checkpoint::set_watermark(session.conn(), &self.link.key, self.epoch, self.ddl, &done, &lineage).await?;
        if self.begun && self.filling.is_none() {
            self.begun = ddl::settle(session, &self.link.key, self.epoch, &done).await?;
        }
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
