//! One direction of a task: takes over its checkpoint, does schema and full sync if they are still to be done, follows
//! changes; and tries again when a server is out of reach.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    apply::{
        checkpoint::{self, LINK_SLOT, LinkKey, Stage, Taken},
        copied,
    },
    connect,
    failure::{Failure, Kind},
    model::{
        change::Site,
        name::TableName,
        server::ServerDefinition,
        status::{EventRecord, Level, Phase, State},
        task::{Direction, TaskOptions},
    },
    plan::{self, copied::Copied, objects::Objects},
    source::stream::Identity,
    store::Store,
};

use super::{
    additions::{self, Former},
    copier,
    gates::Gates,
    initial,
    pace::Pace,
    pipeline,
    position::Counting,
    status::LinkStatus,
    stored,
};

/// First wait before a lost server is tried again; doubles up to [`BACKOFF_MAX`].
const BACKOFF: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// Times in a row that a link starts over because a definition has changed, without getting any further.
const STALE_ATTEMPTS: u32 = 5;
/// A link that has got further, or has run for this long, begins a new retry window when it fails.
const SETTLED: Duration = Duration::from_secs(30);

/// What both links of a task know.
#[derive(Debug)]
pub struct Shared {
    /// What the forward link has done.
    pub forward: Arc<LinkStatus>,
    /// Set when the forward link follows changes: the reverse link may begin.
    pub forward_runs: watch::Sender<bool>,
    /// What the forward link selects.
    pub forward_objects: Objects,
    /// The reverse link has objects of its own, some of which it may have to copy.
    pub reverse_copies: bool,
    /// Grows with every DDL that is met: definitions read before are out of date.
    pub definitions: std::sync::atomic::AtomicU64,
    /// Number of the last statement of the forward link that the reverse one has passed for good. What was known of
    /// earlier ones is of no use any more; without a reverse link that is everything.
    pub reverse_ddl: std::sync::atomic::AtomicU64,
    /// Tables that the forward link has dropped at its destination, as their copy begins anew.
    pub dropped: Mutex<HashSet<TableName>>,
    /// When the newest transaction that the forward link has passed was committed at its source, in microseconds since
    /// the Unix epoch by that server's clock.
    pub forward_done_us: std::sync::atomic::AtomicU64,
}

impl Shared {
    /// Of a task whose forward link shows itself here.
    pub fn new(forward: Arc<LinkStatus>, two_way: bool, forward_objects: Objects, reverse_copies: bool) -> Self {
        Self {
            forward,
            forward_objects,
            reverse_copies,
            forward_runs: watch::channel(false).0,
            definitions: std::sync::atomic::AtomicU64::new(0),
            dropped: Mutex::default(),
            forward_done_us: std::sync::atomic::AtomicU64::new(0),
            reverse_ddl: std::sync::atomic::AtomicU64::new(if two_way { 0 } else { u64::MAX }),
        }
    }

    /// The forward link is about to drop a table at its destination.
    pub fn drops(&self, table: &TableName) {
        let mut dropped = self.dropped.lock().unwrap_or_else(PoisonError::into_inner);
        dropped.insert(table.clone());
    }

    /// See [`Shared::dropped`].
    pub fn dropped(&self) -> HashSet<TableName> {
        self.dropped.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A link and all it works with.
#[derive(Debug)]
pub struct Link {
    /// Its identity in checkpoints.
    pub key: LinkKey,
    /// The task's name.
    pub task: String,
    /// The task has a reverse link.
    pub two_way: bool,
    /// The server it reads from.
    pub source: ServerDefinition,
    /// The server it writes to.
    pub destination: ServerDefinition,
    /// The sites of both.
    pub here: Site,
    /// See `here`.
    pub there: Site,
    /// What it synchronizes.
    pub objects: Objects,
    /// How.
    pub options: TaskOptions,
    /// How it counts the transactions of its source.
    pub counting: watch::Sender<Counting>,
    /// What it has copied, as far as changes may still meet it.
    pub copied: watch::Sender<Copied>,
    /// Keeps copying and applying apart.
    pub gates: Gates,
    /// Objects it had before, as long as it has not come to its own; the oldest first.
    pub former: Mutex<Vec<Former>>,
    /// How fast it may go.
    pub pace: Arc<Pace>,
    /// Who it is to the source.
    pub identity: Identity,
    /// What is shown of it.
    pub status: Arc<LinkStatus>,
    /// What it shares with the other link.
    pub shared: Arc<Shared>,
    /// Where events, conflicts and DDL are taken down.
    pub store: Arc<Store>,
}

impl Link {
    /// Where a table of the source goes that this link has to copy itself, see [`copied::own`](crate::plan::copied::own).
    pub fn copies(&self, table: &TableName) -> Option<TableName> {
        let forward = (self.key.direction == Direction::Reverse).then_some(&self.shared.forward_objects);
        plan::copied::own(&self.objects, forward, table)
    }

    /// See [`Link::former`].
    pub fn former(&self) -> Vec<Former> {
        self.former.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The link has come from the former objects up to this one to its own.
    pub fn forget_former(&self, number: u64) {
        let mut former = self.former.lock().unwrap_or_else(PoisonError::into_inner);
        former.retain(|former| former.number > number);
    }

    /// Takes down something worth telling.
    pub async fn tell(&self, level: Level, message: impl Into<String>) {
        let message = message.into();
        match level {
            Level::Info => tracing::info!(task = %self.task, direction = %self.key.direction, "{message}"),
            Level::Warning => tracing::warn!(task = %self.task, direction = %self.key.direction, "{message}"),
            Level::Error => tracing::error!(task = %self.task, direction = %self.key.direction, "{message}"),
        }
        let event = EventRecord {
            task: Some(self.task.clone()),
            direction: Some(self.key.direction),
            level,
            message,
        };
        let store = self.store.clone();
        let written = tokio::task::spawn_blocking(move || store.record_event(&event)).await;
        if let Ok(Err(error)) = written {
            tracing::error!("an event can't be taken down: {error}");
        }
    }

    /// Runs until it is stopped, or has nothing left to do.
    ///
    /// # Errors
    /// [`Failure`] that only the operator can mend, or a server that did not come back within the retry window.
    pub async fn run(self: &Arc<Self>, stop: &CancellationToken) -> Result<(), Failure> {
        let window = Duration::from_secs(u64::from(self.options.retry_window_minutes) * 60);
        let mut failing_since: Option<tokio::time::Instant> = None;
        let mut backoff = BACKOFF;
        let mut stale = 0;
        loop {
            let began = tokio::time::Instant::now();
            let before = self.status.watch_applied().borrow().clone();
            let result = self.attempt(stop).await;
            let failure = match result {
                Ok(()) => return Ok(()),
                Err(failure) if matches!(failure.kind, Kind::Data | Kind::Undecided) => return Err(failure),
                Err(failure) => failure,
            };
            if stop.is_cancelled() {
                return Ok(());
            }
            let progressed = *self.status.watch_applied().borrow() != before;
            if failure.kind == Kind::Definitions {
                stale = if progressed { 0 } else { stale + 1 };
                if stale >= STALE_ATTEMPTS {
                    return Err(Failure::data(format!(
                        "{}. The definition was read anew and it is still so; mend the table, or what its triggers refer \
                         to, then RESUME the task",
                        failure.message
                    )));
                }
                tracing::info!(task = %self.task, direction = %self.key.direction, "definitions are read anew: {failure}");
                continue;
            }
            if progressed || began.elapsed() >= SETTLED {
                (failing_since, backoff) = (None, BACKOFF);
            }
            let since = *failing_since.get_or_insert_with(tokio::time::Instant::now);
            if since.elapsed() >= window {
                return Err(Failure::data(format!(
                    "{failure}. This has gone on for the whole retry window of {} minutes; mend the cause, then RESUME \
                     the task",
                    self.options.retry_window_minutes
                )));
            }
            if backoff == BACKOFF {
                self.tell(Level::Warning, format!("{failure}; trying again")).await;
            }
            self.status.enter(State::Retrying, Some(&failure.message));
            tokio::select! {
                () = tokio::time::sleep(backoff) => {}
                () = stop.cancelled() => return Ok(()),
            }
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    async fn attempt(self: &Arc<Self>, stop: &CancellationToken) -> Result<(), Failure> {
        let prepared = tokio::select! {
            prepared = self.prepare() => prepared?,
            () = stop.cancelled() => return Ok(()),
        };
        match prepared {
            Some(taken) => pipeline::run(self, taken, stop).await,
            None => Ok(()),
        }
    }

    /// Comes to where changes are followed; `None` if there is nothing more to do. May be dropped at any point.
    async fn prepare(&self) -> Result<Option<Taken>, Failure> {
        if self.status.state() != State::Retrying {
            self.status.enter(State::Starting, None);
        }
        if self.key.direction == Direction::Reverse {
            // The reverse direction has nothing to do before the forward one follows changes.
            let mut forward_runs = self.shared.forward_runs.subscribe();
            if forward_runs.wait_for(|runs| *runs).await.is_err() {
                return Ok(None);
            }
        }
        let mut taken = self.take_over().await?;
        additions::adopt(self, &taken).await?;
        if matches!(taken.stage, Some(Stage::Full | Stage::Incremental)) {
            additions::make(self).await?;
        }
        if taken.stage != Some(Stage::Incremental) {
            taken = initial::run(self, taken).await?;
        }
        if self.status.state() != State::Retrying && self.options.incremental_sync {
            stored::tell_unguarded(self).await?;
        }
        if self.key.direction == Direction::Forward {
            self.shared.forward_runs.send_replace(true);
        }
        self.status.enter_phase(Phase::Incremental);
        self.status.copying(&self.copied.borrow().unfinished());
        if !self.options.incremental_sync {
            copier::once(self, taken.epoch).await?;
            self.tell(
                Level::Info,
                "full sync is complete; changes are not followed (incremental_sync = OFF)",
            )
            .await;
            return Ok(None);
        }
        Ok(Some(taken))
    }

    /// See the field.
    pub fn counting(&self) -> Counting {
        *self.counting.borrow()
    }

    /// The slots of this link's appliers.
    pub fn slots(&self) -> Vec<u16> {
        (1..=self.options.workers).collect()
    }

    async fn take_over(&self) -> Result<Taken, Failure> {
        let mut conn = connect::open(&self.destination).await?;
        checkpoint::ensure_schema(&mut conn).await?;
        let taken = checkpoint::take_over(&mut conn, &self.key, &self.slots()).await?;
        self.counting.send_replace(Counting::of(&taken.applied));
        let mut copied = Copied {
            all_until: taken.tolerant_until.clone(),
            tables: copied::load(&mut conn, &self.key).await?,
            ..Copied::default()
        };
        // A mark is needed until the store has heard of it.
        if self.former().is_empty() {
            copied::forget(&mut conn, &self.key, &copied.forget(&taken.applied)).await?;
        }
        self.copied.send_replace(copied);
        let unselected = additions::unselected(self);
        if !unselected.is_empty() {
            additions::forget(self, &mut conn, &unselected).await?;
        }
        self.status.retain(|table| self.objects.map(table).is_some());
        self.status
            .done(Arc::new(taken.applied.clone()), crate::model::gtid::GtidSet::new());
        conn.disconnect()
            .await
            .map_err(|error| Failure::mysql("closing a connection", &error))?;
        debug_assert_eq!(LINK_SLOT, 0);
        Ok(taken)
    }
}
