//! What is shown of a link while it is at work. Written by the link, read by the admin endpoint.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use dashmap::DashMap;
use tokio::sync::watch;

use crate::{
    apply::batches::TableCounts,
    model::{
        file_position,
        gtid::GtidSet,
        name::TableName,
        status::{CopyProgress, LagParts, ObjectRow, Phase, State, StatusRow, Throughput},
        task::Direction,
    },
    schedule::rate::Rate,
};

use super::position::LogEnd;

/// A source that is heard says something every second, if only that there is nothing.
const SILENCE_US: u64 = 3_000_000;

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
    /// See [`LinkStatus::listens`].
    listens: AtomicBool,
    tables: DashMap<TableName, TableStatus>,
    rows_applied: AtomicU64,
    transactions_applied: AtomicU64,
    conflicts: AtomicU64,
    rates: Mutex<Rates>,
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
    /// What stands before the number in the names of the source's binlog files, if it has no GTIDs.
    files: String,
    /// Positions as an earlier process has published them, until there is something newer.
    published: [String; 2],
    prepared: GtidSet,
    /// The newest that was heard of the source; `None` before anything was.
    heard: Option<Heard>,
    /// The source's clock minus ours.
    clock_offset_us: i64,
    /// See [`LagParts::current_until_ms`].
    current_until_us: Option<u64>,
    lag: LagParts,
    lag_ms: Option<u64>,
    idle: bool,
}

/// Something came from the source.
#[derive(Debug, Clone, Copy)]
struct Heard {
    /// When, by our clock.
    at_us: u64,
    /// How old it was.
    delay_us: u64,
}

/// What was done lately.
#[derive(Debug, Default)]
struct Rates {
    rows: Rate,
    transactions: Rate,
    rows_copied: Rate,
    bytes_copied: Rate,
}

#[derive(Debug, Clone)]
struct TableStatus {
    destination: TableName,
    phase: Phase,
    rows_copied: u64,
    bytes_copied: u64,
    rows_estimated: Option<u64>,
    copy_rate: Rate,
    counts: [u64; 4],
}

impl TableStatus {
    fn new(destination: TableName, phase: Phase, rows_estimated: Option<u64>) -> Self {
        Self {
            destination,
            phase,
            rows_copied: 0,
            bytes_copied: 0,
            rows_estimated,
            copy_rate: Rate::default(),
            counts: [0; 4],
        }
    }

    /// How far its copy has come; rates are left out.
    fn progress(&self) -> CopyProgress {
        let is_whole = self.phase == Phase::Incremental;
        // Statistics lag behind.
        let estimated = self.rows_estimated.map(|rows| match is_whole {
            true => self.rows_copied,
            false => rows.max(self.rows_copied),
        });
        CopyProgress {
            rows_copied: self.rows_copied,
            bytes_copied: self.bytes_copied,
            rows_estimated: estimated,
            percent: percent(self.rows_copied, estimated, is_whole),
            ..CopyProgress::default()
        }
    }
}

fn percent(copied: u64, estimated: Option<u64>, is_whole: bool) -> Option<u64> {
    let estimated = estimated?;
    Some(match is_whole {
        true => 100,
        false => (copied.saturating_mul(100) / estimated.max(1)).min(99),
    })
}

/// Seconds until `left` are done.
fn seconds_left(left: u64, per_second: u64) -> Option<u64> {
    (per_second > 0).then(|| left.div_ceil(per_second))
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
                files: String::new(),
                published: [String::new(), String::new()],
                prepared: GtidSet::new(),
                heard: None,
                clock_offset_us: 0,
                current_until_us: None,
                lag: LagParts::default(),
                lag_ms: None,
                idle: false,
            }),
            listens: AtomicBool::new(true),
            tables: DashMap::new(),
            rows_applied: AtomicU64::new(0),
            transactions_applied: AtomicU64::new(0),
            conflicts: AtomicU64::new(0),
            rates: Mutex::default(),
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
            inner.published = [row.source_position.clone(), row.applied_position.clone()];
            inner.current_until_us = row.lag.current_until_ms.map(|ms| ms.saturating_mul(1000));
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
                rows_copied: object.rows_copied,
                bytes_copied: object.bytes_copied,
                counts: [object.inserts, object.updates, object.deletes, object.conflicts],
                ..TableStatus::new(split(&object.destination_table), object.phase, object.rows_estimated)
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
            inner.lag = LagParts::default();
            inner.heard = None;
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

    /// The source has no GTIDs, and this binlog file of it is being read.
    pub fn reads_file(&self, name: &str) {
        if let Some((base, _)) = file_position::split_name(name) {
            base.clone_into(&mut self.lock().files);
        }
    }

    /// XA transactions that are prepared and not decided on: there is nothing to apply of them yet.
    pub fn prepared(&self) -> GtidSet {
        self.lock().prepared.clone()
    }

    /// Whether there is nothing left to do of what the source had `executed` where `applied` is: what is prepared and not
    /// decided on waits for the source's clients, not for this link.
    pub fn is_past(&self, executed: &LogEnd, applied: &GtidSet) -> bool {
        let mut settled = applied.clone();
        settled.union(&self.prepared());
        executed.is_in(&settled)
    }

    /// Everything up to here is done; `prepared` as in [`LinkStatus::prepared`].
    pub fn done(&self, done: Arc<GtidSet>, prepared: GtidSet) {
        self.lock().prepared = prepared;
        self.applied.send_replace(done);
    }

    /// The source's clock minus ours, in microseconds.
    pub fn clock(&self, offset_us: i64) {
        self.lock().clock_offset_us = offset_us;
    }

    /// Something came from the source that was committed there at this time; `None`: it says that there is nothing else.
    pub fn heard(&self, commit_us: Option<u64>) {
        let mut inner = self.lock();
        let at_us = now_us();
        let delay_us = commit_us.map_or(0, |commit_us| {
            shifted(at_us, inner.clock_offset_us).saturating_sub(commit_us)
        });
        inner.heard = Some(Heard { at_us, delay_us });
    }

    /// Whether the reader waits for the source, and not for those who take what it has read.
    pub fn listens(&self, listens: bool) {
        self.listens.store(listens, Ordering::Relaxed);
    }

    /// Says how far behind the link is, `oldest_us` being when the oldest transaction was committed that is not applied.
    pub fn lag(&self, oldest_us: Option<u64>) {
        let mut inner = self.lock();
        let now = now_us();
        let at_source = shifted(now, inner.clock_offset_us);
        let (delay_us, silence_us) = inner.heard.map_or((0, 0), |heard| {
            // The source is never silent for long, unless it can't be heard.
            let silent_us = now.saturating_sub(heard.at_us);
            (heard.delay_us, if silent_us > SILENCE_US { silent_us } else { 0 })
        });
        let behind_us = oldest_us.map_or(0, |oldest| at_source.saturating_sub(oldest));
        let lag_us = behind_us.max(delay_us.saturating_add(silence_us));
        // While nobody listens it is not the source that is silent: what was read waits for the destination.
        let listens = self.listens.load(Ordering::Relaxed);
        let fetch_us = delay_us.saturating_add(if listens { silence_us } else { 0 });
        inner.lag = LagParts {
            fetch_ms: Some(fetch_us / 1000),
            apply_ms: Some(lag_us / 1000 - fetch_us / 1000),
            current_until_ms: None,
        };
        inner.current_until_us = Some(at_source.saturating_sub(lag_us));
        inner.lag_ms = Some(lag_us / 1000);
        inner.idle = oldest_us.is_none();
    }

    /// The link's tables: source, destination, estimated rows.
    pub fn tables(&self, tables: impl Iterator<Item = (TableName, TableName, Option<u64>)>, phase: Phase) {
        for (source, destination, rows_estimated) in tables {
            let mut entry = self
                .tables
                .entry(source)
                .or_insert_with(|| TableStatus::new(destination.clone(), phase, rows_estimated));
            entry.phase = phase;
            entry.destination = destination;
            entry.rows_estimated = rows_estimated.or(entry.rows_estimated);
        }
    }

    /// Tables that are still to be copied while changes are followed.
    pub fn copying(&self, tables: &[TableName]) {
        for table in tables {
            if let Some(mut status) = self.tables.get_mut(table) {
                status.phase = Phase::Full;
            }
        }
    }

    /// Whether a table is still to be copied.
    pub fn is_copying(&self) -> bool {
        self.tables.iter().any(|table| table.phase != Phase::Incremental)
    }

    /// These tables are no more.
    pub fn forget(&self, tables: &[TableName]) {
        tables.iter().for_each(|table| drop(self.tables.remove(table)));
    }

    /// Only tables for which this holds are the link's.
    pub fn retain(&self, is_own: impl Fn(&TableName) -> bool) {
        self.tables.retain(|table, _| is_own(table));
    }

    /// The copy of these tables begins, or goes on.
    pub fn reset_copied<'t>(&self, tables: impl Iterator<Item = &'t TableName>) {
        for table in tables {
            if let Some(mut status) = self.tables.get_mut(table) {
                (status.rows_copied, status.bytes_copied) = (0, 0);
            }
        }
    }

    /// So many rows of a table had been copied before.
    pub fn resumed(&self, table: &TableName, rows: u64) {
        if let Some(mut status) = self.tables.get_mut(table) {
            status.rows_copied += rows;
        }
    }

    /// Full sync has copied rows.
    pub fn copied(&self, table: &TableName, rows: u64, bytes: u64) {
        let now_s = now_ms() / 1000;
        if let Some(mut status) = self.tables.get_mut(table) {
            status.rows_copied += rows;
            status.bytes_copied += bytes;
            status.copy_rate.add(now_s, rows);
        }
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        rates.rows_copied.add(now_s, rows);
        rates.bytes_copied.add(now_s, bytes);
        drop(rates);
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
        let (mut rows_applied, mut conflicts) = (0, 0);
        for TableCounts { target, counts } in tables {
            let [inserts, updates, deletes, found] = counts;
            rows_applied += inserts + updates + deletes;
            conflicts += found;
            let new = || TableStatus::new(target.table.name.clone(), Phase::Incremental, None);
            let known = self.tables.get_mut(&target.source);
            let mut status = match known {
                Some(status) => status,
                None => self.tables.entry(target.source.clone()).or_insert_with(new),
            };
            let sums = status.counts.iter_mut().zip(counts);
            sums.for_each(|(sum, count)| *sum += count);
        }
        self.rows_applied.fetch_add(rows_applied, Ordering::Relaxed);
        self.conflicts.fetch_add(conflicts, Ordering::Relaxed);
        metrics::counter!("causeway_rows_applied_total", &labels).increment(rows_applied);
        metrics::counter!("causeway_conflicts_total", &labels).increment(conflicts);
        let now_s = now_ms() / 1000;
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        rates.rows.add(now_s, rows_applied);
        rates.transactions.add(now_s, transactions);
    }

    /// A conflict has stopped the link.
    pub fn conflict(&self) {
        self.conflicts.fetch_add(1, Ordering::Relaxed);
    }

    /// The row of `sync.status`.
    pub fn row(&self) -> StatusRow {
        let (throughput, copy) = self.rates();
        let inner = self.lock();
        let [read, applied] = &inner.published;
        let shown = |set: &GtidSet, published: &String| match set.is_empty()
            || set.file_position().is_some() && inner.files.is_empty()
        {
            true => published.clone(),
            false => file_position::shown(set, &inner.files),
        };
        let state = self.state();
        let current_until_ms = inner.current_until_us.map(|us| us / 1000);
        // A link that is to run and does not falls behind; of one that has ended nobody expects anything.
        let falls_behind = matches!(state, State::Starting | State::Retrying | State::Paused | State::Failed);
        let since_then_ms = current_until_ms
            .filter(|_| falls_behind)
            .map(|until| (shifted(now_us(), inner.clock_offset_us) / 1000).saturating_sub(until));
        StatusRow {
            task: self.task.clone(),
            direction: self.direction,
            state,
            phase: inner.phase,
            source_position: shown(&inner.read, read),
            applied_position: shown(&self.applied.borrow(), applied),
            lag_ms: inner.lag_ms.or(since_then_ms),
            idle: inner.idle,
            rows_applied: self.rows_applied.load(Ordering::Relaxed),
            transactions_applied: self.transactions_applied.load(Ordering::Relaxed),
            conflicts: self.conflicts.load(Ordering::Relaxed),
            last_error: inner.last_error.clone(),
            since_ms: inner.since_ms,
            lag: LagParts {
                current_until_ms,
                ..inner.lag
            },
            throughput,
            copy,
        }
    }

    /// What was applied lately, and how far the copy of all tables has come.
    fn rates(&self) -> (Throughput, CopyProgress) {
        let now_s = now_ms() / 1000;
        let mut all = CopyProgress::default();
        let mut is_whole = true;
        for table in &self.tables {
            let one = table.progress();
            all.rows_copied += one.rows_copied;
            all.bytes_copied += one.bytes_copied;
            if let Some(rows) = one.rows_estimated {
                *all.rows_estimated.get_or_insert(0) += rows;
                is_whole &= one.percent == Some(100);
            }
        }
        all.percent = percent(all.rows_copied, all.rows_estimated, is_whole);
        let rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        all.rows_per_second = rates.rows_copied.per_second(now_s);
        all.bytes_per_second = rates.bytes_copied.per_second(now_s);
        if let (Some(rows), false) = (all.rows_estimated, is_whole) {
            all.seconds_left = seconds_left(rows.saturating_sub(all.rows_copied), all.rows_per_second);
        }
        let throughput = Throughput {
            rows_per_second: rates.rows.per_second(now_s),
            transactions_per_second: rates.transactions.per_second(now_s),
        };
        (throughput, all)
    }

    /// The rows of `sync.objects`.
    pub fn objects(&self) -> Vec<ObjectRow> {
        let now_s = now_ms() / 1000;
        self.tables
            .iter()
            .map(|entry| {
                let [inserts, updates, deletes, conflicts] = entry.counts;
                let progress = entry.progress();
                let copy_rows_per_second = entry.copy_rate.per_second(now_s);
                let left = progress.rows_estimated.unwrap_or(0).saturating_sub(entry.rows_copied);
                let is_copied = progress.percent.is_none_or(|percent| percent == 100);
                ObjectRow {
                    task: self.task.clone(),
                    direction: self.direction,
                    source_table: entry.key().to_string(),
                    destination_table: entry.destination.to_string(),
                    phase: entry.phase,
                    rows_copied: entry.rows_copied,
                    rows_estimated: entry.rows_estimated,
                    bytes_copied: entry.bytes_copied,
                    copied_percent: progress.percent,
                    copy_rows_per_second,
                    copy_seconds_left: if is_copied {
                        None
                    } else {
                        seconds_left(left, copy_rows_per_second)
                    },
                    inserts,
                    updates,
                    deletes,
                    conflicts,
                }
            })
            .collect()
    }
}

/// A time of ours by another clock.
fn shifted(us: u64, offset_us: i64) -> u64 {
    us.saturating_add_signed(offset_us)
}
