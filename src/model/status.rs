//! What is told to the operator: one type per table of the `sync` schema.

use super::task::Direction;

/// Where a task, or one of its links, stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Made, never started.
    Created,
    /// Prechecks are under way.
    Prechecking,
    /// Connecting, taking over the checkpoint.
    Starting,
    /// Making databases and tables at the destination.
    Schema,
    /// Copying rows.
    Full,
    /// Following changes.
    Running,
    /// Stopped by `PAUSE`; keeps everything.
    Paused,
    /// A server is out of reach; tried again until the retry window ends.
    Retrying,
    /// Stopped by an error that the operator has to mend.
    Failed,
    /// Ended by `STOP`.
    Stopped,
}

impl State {
    /// All states, in the order a task usually meets them.
    pub const ALL: [State; 10] = [
        State::Created,
        State::Prechecking,
        State::Starting,
        State::Schema,
        State::Full,
        State::Running,
        State::Paused,
        State::Retrying,
        State::Failed,
        State::Stopped,
    ];

    /// The spelling in `sync.status`.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Created => "created",
            State::Prechecking => "prechecking",
            State::Starting => "starting",
            State::Schema => "schema",
            State::Full => "full",
            State::Running => "running",
            State::Paused => "paused",
            State::Retrying => "retrying",
            State::Failed => "failed",
            State::Stopped => "stopped",
        }
    }
}

/// What part of its work a link is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Databases and tables.
    Schema,
    /// Rows that are there.
    Full,
    /// Changes.
    Incremental,
}

impl Phase {
    /// The spelling in `sync.status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Schema => "schema",
            Phase::Full => "full",
            Phase::Incremental => "incremental",
        }
    }
}

/// A row of `sync.status`.
#[derive(Debug, Clone)]
pub struct StatusRow {
    /// The task.
    pub task: String,
    /// Which link.
    pub direction: Direction,
    /// Where the link stands.
    pub state: State,
    /// What it is at.
    pub phase: Phase,
    /// What has been read of the source's binlog, as a GTID set.
    pub source_position: String,
    /// What has been applied at the destination, as a GTID set.
    pub applied_position: String,
    /// Milliseconds that the destination is behind the source; while the link does not run, how long ago it was known to
    /// be in step. `None` while unknown.
    pub lag_ms: Option<u64>,
    /// Nothing is waiting to be applied.
    pub idle: bool,
    /// Row changes applied since the task was made.
    pub rows_applied: u64,
    /// Source transactions applied since the task was made.
    pub transactions_applied: u64,
    /// Conflicts met since the task was made.
    pub conflicts: u64,
    /// What went wrong last, where, and what to do; empty if nothing did.
    pub last_error: String,
    /// Since when the link is in this state: milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// What [`StatusRow::lag_ms`] is made of.
    pub lag: LagParts,
    /// What was applied lately.
    pub throughput: Throughput,
    /// How far the copy of all tables has come.
    pub copy: CopyProgress,
}

/// The lag in its parts, and the time that it is a lag from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LagParts {
    /// Milliseconds that reading is behind the source; `None` while the link does not run.
    pub fetch_ms: Option<u64>,
    /// Milliseconds that applying is behind reading; `None` while the link does not run.
    pub apply_ms: Option<u64>,
    /// The destination has what was committed at the source up to this time, by the source's clock: milliseconds since
    /// the Unix epoch.
    pub current_until_ms: Option<u64>,
}

/// Changes applied in the last seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Throughput {
    /// Row changes a second.
    pub rows_per_second: u64,
    /// Source transactions a second.
    pub transactions_per_second: u64,
}

/// How far copying has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CopyProgress {
    /// Rows copied.
    pub rows_copied: u64,
    /// Their bytes.
    pub bytes_copied: u64,
    /// How many rows there are, as the source's statistics estimate; `None` if there is nothing to copy.
    pub rows_estimated: Option<u64>,
    /// 100 if all is copied, and not before; `None` if there is nothing to copy.
    pub percent: Option<u64>,
    /// Rows a second, lately.
    pub rows_per_second: u64,
    /// Bytes a second, lately.
    pub bytes_per_second: u64,
    /// Seconds until all is copied, if it goes on like this; `None` while nothing is being copied.
    pub seconds_left: Option<u64>,
}

/// A row of `sync.objects`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectRow {
    /// The task.
    pub task: String,
    /// Which link.
    pub direction: Direction,
    /// `db.table` at the link's source.
    pub source_table: String,
    /// `db.table` at the link's destination.
    pub destination_table: String,
    /// What part of its work the table is at.
    pub phase: Phase,
    /// Rows copied by full sync.
    pub rows_copied: u64,
    /// How many rows the source has, as its statistics estimate; `None` while unknown.
    pub rows_estimated: Option<u64>,
    /// Bytes copied by full sync.
    pub bytes_copied: u64,
    /// See [`CopyProgress::percent`].
    pub copied_percent: Option<u64>,
    /// See [`CopyProgress::rows_per_second`].
    pub copy_rows_per_second: u64,
    /// See [`CopyProgress::seconds_left`].
    pub copy_seconds_left: Option<u64>,
    /// Inserts applied.
    pub inserts: u64,
    /// Updates applied.
    pub updates: u64,
    /// Deletes applied.
    pub deletes: u64,
    /// Conflicts met.
    pub conflicts: u64,
}

/// A row of `sync.conflicts`, without its number. `task`, `direction`, `source_position`, `table` and `key`
/// identify it: recording the same conflict again (after a crash before its commit) replaces it.
#[derive(Debug, Clone)]
pub struct ConflictRecord {
    /// The task.
    pub task: String,
    /// Which link.
    pub direction: Direction,
    /// `db.table` at the destination.
    pub table: String,
    /// `insert_exists`, `update_missing`, …
    pub kind: &'static str,
    /// The row's key, as JSON.
    pub key: String,
    /// The before image, as JSON.
    pub before_image: Option<String>,
    /// The incoming row, as JSON.
    pub incoming_row: Option<String>,
    /// The row found at the destination, as JSON.
    pub destination_row: Option<String>,
    /// The policy that decided.
    pub policy: String,
    /// What was done: `failed`, `ignored`, `overwritten`, `inserted`, …
    pub outcome: &'static str,
    /// GTID of the source's transaction, and the change's ordinal in it: `uuid:7#3`.
    pub source_position: String,
}

/// A row of `sync.ddl`.
#[derive(Debug, Clone)]
pub struct DdlRecord {
    /// The task.
    pub task: String,
    /// Which link.
    pub direction: Direction,
    /// GTID of the statement at the source.
    pub source_position: String,
    /// The statement as it stood in the binlog.
    pub statement: String,
    /// `applied`, `refused`, `excluded`, `ignored`, `failed`.
    pub outcome: &'static str,
    /// The statement as it ran at the destination.
    pub applied_statement: Option<String>,
}

/// How much an event matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Good to know.
    Info,
    /// Worth a look.
    Warning,
    /// Something stopped.
    Error,
}

impl Level {
    /// The spelling in `sync.events`.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Info => "info",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }
}

/// A row of `sync.events`, without its time.
#[derive(Debug, Clone)]
pub struct EventRecord {
    /// The task, if it is about one.
    pub task: Option<String>,
    /// The link, if it is about one.
    pub direction: Option<Direction>,
    /// How much it matters.
    pub level: Level,
    /// One sentence. Never a row's values or a secret.
    pub message: String,
}

/// One step of `CHECK SERVER`.
#[derive(Debug, Clone)]
pub struct CheckStep {
    /// `connect`, `login`, `version`, …
    pub step: &'static str,
    /// `pass`, `warn` or `fail`.
    pub result: &'static str,
    /// What was found.
    pub found: String,
    /// What to do about it; empty where nothing is to be done.
    pub remedy: String,
}
