//! What is shown of a link while it is at work. Written by the link, read by the admin endpoint.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use dashmap::DashMap;
use tokio::sync::watch;

use crate::{
    apply::worker::TableCounts,
    model::{
        gtid::GtidSet,
        name::TableName,
        status::{ObjectRow, Phase, State, StatusRow},
        task::Direction,
    },
};

/// Milliseconds since the Unix epoch.
pub fn now_ms() -> u64 {
    now_us() / 1000
}

/// Microseconds since the Unix epoch.
pub fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// The live state of a link.
#[derive(Debug)]
pub struct LinkStatus {
    task: String,
    direction: Direction,
    inner: Mutex<Inner>,
    tables: DashMap<TableName, TableStatus>,
    rows_applied: AtomicU64,
    transactions_applied: AtomicU64,
    conflicts: AtomicU64,
    /// Everything of the source that is done: applied, or found to need nothing.
    applied: watch::Sender<Arc<GtidSet>>,
    /// The state, for those who wait for it.
    state: watch::Sender<State>,
}

#[derive(Debug)]
struct Inner {
    phase: Phase,
    since_ms: u64,
    last_error: String,
    read: Arc<GtidSet>,
    prepared: GtidSet,
    lag_ms: Option<u64>,
    idle: bool,
}

#[derive(Debug, Clone)]
struct TableStatus {
    destination: TableName,
    phase: Phase,
    rows_copied: u64,
    rows_estimated: Option<u64>,
    counts: [u64; 4],
}

impl LinkStatus {
    /// A link that is in `state` and has not been at work in this process.
    pub fn new(task: &str, direction: Direction, state: State) -> Self {
        Self {
            task: task.to_owned(),
            direction,
            inner: Mutex::new(Inner {
                phase: Phase::Schema,
                since_ms: now_ms(),
                last_error: String::new(),
                read: Arc::default(),
                prepared: GtidSet::new(),
                lag_ms: None,
                idle: false,
            }),
            tables: DashMap::new(),
            rows_applied: AtomicU64::new(0),
            transactions_applied: AtomicU64::new(0),
            conflicts: AtomicU64::new(0),
            applied: watch::channel(Arc::default()).0,
            state: watch::channel(state).0,
        }
    }

    /// Goes on from what an earlier process has published.
    pub fn restore(&self, row: &StatusRow, objects: &[ObjectRow]) {
        self.rows_applied.store(row.rows_applied, Ordering::Relaxed);
        self.transactions_applied
            .store(row.transactions_applied, Ordering::Relaxed);
        self.conflicts.store(row.conflicts, Ordering::Relaxed);
        {
            let mut inner = self.lock();
            inner.phase = row.phase;
            inner.last_error.clone_from(&row.last_error);
            inner.since_ms = row.since_ms;
            inner.read = Arc::new(row.source_position.parse().unwrap_or_default());
        }
        self.applied
            .send_replace(Arc::new(row.applied_position.parse().unwrap_or_default()));
        let split = |name: &str| {
            let (database, table) = name.split_once('.').unwrap_or(("", name));
            TableName::new(database, table)
        };
        for object in objects
            .iter()
            .filter(|object| object.task == self.task && object.direction == self.direction)
        {
            let status = TableStatus {
                destination: split(&object.destination_table),
                phase: object.phase,
                rows_copied: object.rows_copied,
                rows_estimated: object.rows_estimated,
                counts: [object.inserts, object.updates, object.deletes, object.conflicts],
            };
            self.tables.insert(split(&object.source_table), status);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which link this is.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// The state now.
    pub fn state(&self) -> State {
        *self.state.borrow()
    }

    /// To wait for a state.
    pub fn watch_state(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// To wait for a position.
    pub fn watch_applied(&self) -> watch::Receiver<Arc<GtidSet>> {
        self.applied.subscribe()
    }

    /// Enters a state. `error` replaces the last one unless it is `None`.
    pub fn enter(&self, state: State, error: Option<&str>) {
        let mut inner = self.lock();
        if let Some(error) = error {
            error.clone_into(&mut inner.last_error);
        }
        if *self.state.borrow() != state {
            inner.since_ms = now_ms();
        }
        if !matches!(state, State::Running) {
            inner.lag_ms = None;
            inner.idle = false;
        }
        drop(inner);
        self.state.send_replace(state);
    }

    /// Enters a part of the work.
    pub fn enter_phase(&self, phase: Phase) {
        self.lock().phase = phase;
        for mut table in self.tables.iter_mut() {
            table.phase = phase;
        }
    }

    /// The source's transactions that have been read.
    pub fn read(&self, read: Arc<GtidSet>) {
        self.lock().read = read;
    }

    /// XA transactions that are prepared and not decided on: there is nothing to apply of them yet.
    pub fn prepared(&self) -> GtidSet {
        self.lock().prepared.clone()
    }

    /// Whether there is nothing left to do of what the source had `executed` where `applied` is: what is prepared and not
    /// decided on waits for the source's clients, not for this link.
    pub fn is_past(&self, executed: &GtidSet, applied: &GtidSet) -> bool {
        let mut settled = applied.clone();
        settled.union(&self.prepared());
        executed.is_subset_of(&settled)
    }

    /// Everything up to here is done; `prepared` as in [`LinkStatus::prepared`].
    pub fn done(&self, done: Arc<GtidSet>, prepared: GtidSet) {
        self.lock().prepared = prepared;
        self.applied.send_replace(done);
    }

    /// How far behind the link is.
    pub fn lag(&self, lag_ms: u64, idle: bool) {
        let mut inner = self.lock();
        inner.lag_ms = Some(lag_ms);
        inner.idle = idle;
    }

    /// The link's tables: source, destination, estimated rows.
    pub fn tables(&self, tables: impl Iterator<Item = (TableName, TableName, Option<u64>)>, phase: Phase) {
        for (source, destination, rows_estimated) in tables {
            let mut entry = self.tables.entry(source).or_insert_with(|| TableStatus {
                destination: destination.clone(),
                phase,
                rows_copied: 0,
                rows_estimated,
                counts: [0; 4],
            });
            entry.phase = phase;
            entry.destination = destination;
            entry.rows_estimated = rows_estimated.or(entry.rows_estimated);
        }
    }

    /// Full sync begins to count.
    pub fn reset_copied(&self) {
        for mut table in self.tables.iter_mut() {
            table.rows_copied = 0;
        }
    }

    /// Full sync has copied rows.
    pub fn copied(&self, table: &TableName, rows: u64) {
        if let Some(mut status) = self.tables.get_mut(table) {
            status.rows_copied += rows;
        }
        metrics::counter!("causeway_rows_copied_total", "task" => self.task.clone(), "direction" => self.direction.as_str())
            .increment(rows);
    }

    /// A table has been copied.
    pub fn copied_all(&self, table: &TableName) {
        if let Some(mut status) = self.tables.get_mut(table) {
            status.phase = Phase::Incremental;
        }
    }

    /// Transactions have been applied.
    pub fn applied(&self, transactions: u64, tables: Vec<TableCounts>) {
        let labels = [
            ("task", self.task.clone()),
            ("direction", self.direction.as_str().to_owned()),
        ];
        metrics::counter!("causeway_transactions_applied_total", &labels).increment(transactions);
        self.transactions_applied.fetch_add(transactions, Ordering::Relaxed);
        for table in tables {
            let [inserts, updates, deletes, conflicts] = table.counts;
            let rows = inserts + updates + deletes;
            metrics::counter!("causeway_rows_applied_total", &labels).increment(rows);
            metrics::counter!("causeway_conflicts_total", &labels).increment(conflicts);
            self.rows_applied.fetch_add(rows, Ordering::Relaxed);
            self.conflicts.fetch_add(conflicts, Ordering::Relaxed);
            let mut status = self.tables.entry(table.source).or_insert_with(|| TableStatus {
                destination: table.destination.clone(),
                phase: Phase::Incremental,
                rows_copied: 0,
                rows_estimated: None,
                counts: [0; 4],
            });
            status
                .counts
                .iter_mut()
                .zip(table.counts)
                .for_each(|(sum, count)| *sum += count);
        }
    }

    /// A conflict has stopped the link.
    pub fn conflict(&self) {
        self.conflicts.fetch_add(1, Ordering::Relaxed);
    }

    /// The row of `sync.status`.
    pub fn row(&self) -> StatusRow {
        let inner = self.lock();
        StatusRow {
            task: self.task.clone(),
            direction: self.direction,
            state: self.state(),
            phase: inner.phase,
            source_position: inner.read.to_string(),
            applied_position: self.applied.borrow().to_string(),
            lag_ms: inner.lag_ms,
            idle: inner.idle,
            rows_applied: self.rows_applied.load(Ordering::Relaxed),
            transactions_applied: self.transactions_applied.load(Ordering::Relaxed),
            conflicts: self.conflicts.load(Ordering::Relaxed),
            last_error: inner.last_error.clone(),
            since_ms: inner.since_ms,
        }
    }

    /// The rows of `sync.objects`.
    pub fn objects(&self) -> Vec<ObjectRow> {
        self.tables
            .iter()
            .map(|entry| {
                let [inserts, updates, deletes, conflicts] = entry.counts;
                ObjectRow {
                    task: self.task.clone(),
                    direction: self.direction,
                    source_table: entry.key().to_string(),
                    destination_table: entry.destination.to_string(),
                    phase: entry.phase,
                    rows_copied: entry.rows_copied,
                    rows_estimated: entry.rows_estimated,
                    inserts,
                    updates,
                    deletes,
                    conflicts,
                }
            })
            .collect()
    }
}
