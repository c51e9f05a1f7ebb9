//! One direction of a task: takes over its checkpoint, does schema and full sync if they are still to be done, follows
//! changes; and tries again when a server is out of reach.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sha2::{Digest, Sha256};

use mysql_async::Conn;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    apply::{
        checkpoint::{self, LINK_SLOT, LinkKey, Stage, Taken},
        copied, lineage,
    },
    connect,
    failure::{Failure, Kind},
    model::{
        change::Site,
        gtid::{Gtid, GtidSet},
        lineage::newest,
        name::TableName,
        outage::{Backoff, Outage},
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
    ends::{self, Chosen, End, Ends, Seen},
    gates::Gates,
    health::{self, Retry},
    initial,
    pace::Pace,
    pipeline,
    position::Counting,
    status::LinkStatus,
    stored,
};

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
    /// Tables that the forward link has dropped at its destination, as their copy begins anew; with the transaction of
    /// the drop once the reverse link has met it: a later one is a client's.
    pub dropped: Mutex<HashMap<TableName, Option<Gtid>>>,
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
        dropped.insert(table.clone(), None);
    }

    /// Tables whose drop in this transaction would be the forward link's.
    pub fn dropped(&self, gtid: &Gtid) -> HashSet<TableName> {
        let dropped = self.dropped.lock().unwrap_or_else(PoisonError::into_inner);
        let own = dropped
            .iter()
            .filter(|(_, met)| met.as_ref().is_none_or(|met| met == gtid));
        own.map(|(table, _)| table.clone()).collect()
    }

    /// The reverse link has met the forward link's drop of these tables.
    pub fn met_drop(&self, tables: &[TableName], gtid: &Gtid) {
        let mut dropped = self.dropped.lock().unwrap_or_else(PoisonError::into_inner);
        for table in tables {
            dropped.insert(table.clone(), Some(gtid.clone()));
        }
    }
}

/// A link and all it works with. What it knows of its servers holds for one attempt.
#[derive(Debug, Clone)]
pub struct Link {
    /// Its identity in checkpoints.
    pub key: LinkKey,
    /// The task's name.
    pub task: String,
    /// The task has a reverse link.
    pub two_way: bool,
    /// The servers of the task.
    pub ends: Arc<Ends>,
    /// How long a minute of the retry window is.
    pub minute: Duration,
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
    pub gates: Arc<Gates>,
    /// Objects it had before, as long as it has not come to its own; the oldest first.
    pub former: Arc<Mutex<Vec<Former>>>,
    /// How fast it may go.
    pub pace: Arc<Pace>,
    /// Who it is to the source.
    pub identity: Identity,
    /// What was found at the source before the attempt.
    pub source_seen: Seen,
    /// Transactions of the source that carried nothing, see [`crate::model::lineage`].
    pub passed: Arc<Mutex<GtidSet>>,
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
        let origin = tokio::time::Instant::now();
        let window = self.minute * self.options.retry_window_minutes;
        // What goes wrong although both servers can be reached.
        let (mut trouble, mut backoff) = (Outage::default(), Backoff::default());
        let mut stale = 0;
        if self.key.direction == Direction::Reverse {
            // The reverse direction has nothing to do before the forward one follows changes.
            let mut forward_runs = self.shared.forward_runs.subscribe();
            tokio::select! {
                runs = forward_runs.wait_for(|runs| *runs) => if runs.is_err() { return Ok(()) },
                () = stop.cancelled() => return Ok(()),
            }
        }
        loop {
            let Some((chosen, waited)) = self.ends.reach(std::slice::from_ref(&self.status), stop).await? else {
                return Ok(());
            };
            if waited {
                (trouble, backoff) = Default::default();
            }
            let began = tokio::time::Instant::now();
            let before = self.status.watch_applied().borrow().clone();
            let link = Arc::new(self.at(&chosen));
            let result = tokio::select! {
                result = link.attempt(stop) => result,
                () = self.ends.moved(&chosen) => {
                    tracing::info!(task = %self.task, direction = %self.key.direction, "a server is at another host now");
                    continue;
                }
            };
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
                (trouble, backoff) = Default::default();
            }
            let (now, first) = (origin.elapsed(), backoff.is_fresh());
            trouble.failed(now);
            let since = trouble.since().unwrap_or(now);
            let verdict = trouble.verdict(now, window, &mut backoff, rand::random());
            let what = format!("the {} direction", self.key.direction);
            match health::retry(verdict, now, since, &what, self.options.retry_window_minutes, 1) {
                Retry::Never(why) => return Err(Failure::data(format!("{failure}. {why}"))),
                Retry::After { wait, told } => {
                    if first {
                        self.tell(Level::Warning, format!("{failure}; trying again")).await;
                    }
                    self.status.enter(State::Retrying, Some(&format!("{failure}; {told}")));
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = stop.cancelled() => return Ok(()),
                    }
                }
            }
        }
    }

    /// The same link, at the servers as they are now.
    fn at(&self, chosen: &Chosen) -> Self {
        let Placed {
            source,
            destination,
            here,
            there,
            identity,
            source_seen,
        } = Placed::new(&self.key, chosen);
        Self {
            source,
            destination,
            here,
            there,
            identity,
            source_seen,
            ..self.clone()
        }
    }

    /// A transaction of the source carries nothing to the destination.
    pub fn pass(&self, gtid: &Gtid) {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner).insert(gtid);
    }

    /// The statement that keeps what tells the source from another server, to be run with the watermark.
    pub fn lineage(&self) -> String {
        let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        *passed = newest(&passed);
        lineage::update(&self.key, &self.source_seen.server_uuid, &passed)
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
        let mut taken = checkpoint::take_over(&mut conn, &self.key, &self.slots()).await?;
        self.counting.send_replace(Counting::of(&taken.applied));
        lineage::ensure_site(&mut conn).await?;
        self.begin_lineage(&mut conn, &mut taken).await?;
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

    /// Looks again whether the source has all that was applied, now that nobody else applies any more, and forgets what it
    /// has lost that carried nothing.
    async fn begin_lineage(&self, conn: &mut Conn, taken: &mut Taken) -> Result<(), Failure> {
        let seen = &self.source_seen;
        let mut covered = lineage::covered(conn, &self.key).await?;
        if seen.gtids {
            if let Some(unfit) = covered.unfit(&seen.server_uuid, &seen.executed, seen.purged()) {
                // What is lacking may have been committed meanwhile: the next attempt looks closely.
                let message = ends::told(&unfit, &self.source, &seen.server_uuid, self.destination.name.as_str());
                return Err(Failure::environment(message));
            }
            let lost = covered.lost(&seen.executed);
            taken.applied.subtract(&lost);
            covered.passed.subtract(&lost);
        }
        *self.passed.lock().unwrap_or_else(PoisonError::into_inner) = covered.passed;
        checkpoint::set_watermark(conn, &self.key, taken.epoch, taken.ddl, &taken.applied, &self.lineage()).await
    }
}

/// What a link knows of its servers.
#[derive(Debug)]
pub struct Placed {
    /// See [`Link`].
    pub source: ServerDefinition,
    /// See [`Link`].
    pub destination: ServerDefinition,
    /// See [`Link`].
    pub here: Site,
    /// See [`Link`].
    pub there: Site,
    /// See [`Link`].
    pub identity: Identity,
    /// See [`Link`].
    pub source_seen: Seen,
}

impl Placed {
    /// Of this link, at these servers.
    pub fn new(key: &LinkKey, chosen: &Chosen) -> Self {
        let from = End::read_by(key.direction);
        let to = from.other();
        let seen = from.of(&chosen.seen);
        Self {
            source: from.of(&chosen.servers).clone(),
            destination: to.of(&chosen.servers).clone(),
            here: from.of(&chosen.sites).clone(),
            there: to.of(&chosen.sites).clone(),
            identity: identity(key, &seen.server_uuid),
            source_seen: seen.clone(),
        }
    }
}

/// A link's identity at its source: the same at every start, so that the source ends a dump thread that was left over.
fn identity(key: &LinkKey, source_uuid: &str) -> Identity {
    let digest = Sha256::digest(format!("{}\0{}\0{source_uuid}", key.task, key.direction));
    let mut bytes = [0u8; 16];
    bytes.iter_mut().zip(digest.iter()).for_each(|(to, from)| *to = *from);
    let number = digest
        .iter()
        .skip(16)
        .take(4)
        .fold(0u32, |number, byte| number << 8 | u32::from(*byte));
    Identity {
        // The upper half of the range is seldom used for servers.
        server_id: number | 0x8000_0000,
        uuid: uuid::Builder::from_random_bytes(bytes).into_uuid().to_string(),
    }
}
