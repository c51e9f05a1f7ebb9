//! What Causeway keeps in its own data directory: servers, tasks, accounts, and what the `sync` schema shows.
//!
//! One SQLite file, `DIR/causeway.db`, in WAL mode. There is one writer connection behind a mutex; each `SELECT` of an
//! operator gets a read-only connection of its own ([`query`]), so a slow question never holds up the pipeline. Calls
//! block: async code runs them with `spawn_blocking`.
//!
//! The tables that operators see are real tables with exactly the columns of the `sync` schema. What must not be seen
//! (sealed passwords, accounts, the tasks' serialized definitions) stands in tables of its own, which the reader's
//! authorizer refuses as a whole. No view mixes the two, so no trick with names or subqueries can reach across.
//!
//! The store is not where replication resumes from: that is the checkpoint at each destination. What is lost here after
//! a power cut is what nobody has asked for: status is written down when it is.

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

mod accounts;
pub mod columns;
mod error;
mod functions;
mod prechecks;
mod query;
mod records;
mod schema;
mod secret;
mod servers;
mod status;
mod system;
mod tasks;

pub use accounts::{Account, Credentials};
pub use error::StoreError;
pub use query::{PublicColumn, QueryCell, QueryColumn, QueryError, QueryKind, QueryResult, Question};
pub use schema::PUBLIC_TABLES;
pub use servers::ServerSeen;
pub use system::tables_of;
pub use tasks::StoredTask;

type Result<T> = std::result::Result<T, StoreError>;

/// The SQLite file in the data directory.
const DATABASE_FILE: &str = "causeway.db";
/// Locked as long as a process works in the data directory.
const LOCK_FILE: &str = "causeway.lock";

/// The open store. Shared by reference; see the module's text for what blocks what.
#[derive(Debug)]
pub struct Store {
    writer: Mutex<Connection>,
    /// What `sync.objects` holds, so that only what has changed is written; `None`: not known. Locked after the writer.
    published: Mutex<Option<status::Published>>,
    database: PathBuf,
    key: secret::Key,
    /// Holds the lock on the data directory until the store is dropped.
    _lock: File,
}

impl Store {
    /// Opens the store in `dir`, which is made (mode 0700) with everything in it if it is not there.
    ///
    /// # Errors
    /// [`StoreError::InUse`] if another process works in `dir`; otherwise what could not be made, read or understood.
    pub fn open(dir: &Path) -> Result<Store> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|e| StoreError::io("make the data directory", dir, e))?;
        // SQLite would read a relative path that begins with `file:` as a URI; an absolute one never does.
        let dir = dir
            .canonicalize()
            .map_err(|e| StoreError::io("find the data directory", dir, e))?;
        let lock = lock(&dir)?;
        let database = dir.join(DATABASE_FILE);
        create_private(&database)?;
        let mut connection = Connection::open(&database)?;
        schema::prepare(&mut connection, &database)?;
        let sealed: i64 = connection.query_row(
            "SELECT (SELECT count(*) FROM server_secret) + (SELECT count(nonce) FROM account)",
            [],
            |row| row.get(0),
        )?;
        let key = secret::Key::load_or_make(&dir, sealed == 0)?;
        accounts::seal_all(&mut connection, &key)?;
        Ok(Store {
            writer: Mutex::new(connection),
            published: Mutex::new(None),
            database,
            key,
            _lock: lock,
        })
    }

    /// The writer. A panic while it was held leaves no harm: SQLite rolls an unfinished transaction back.
    fn writer(&self) -> MutexGuard<'_, Connection> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lock(dir: &Path) -> Result<File> {
    let path = dir.join(LOCK_FILE);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(|e| StoreError::io("open the lock file", &path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::InUse(dir.to_path_buf())),
        Err(std::fs::TryLockError::Error(e)) => Err(StoreError::io("lock", &path, e)),
    }
}

/// Makes the file with mode 0600 before SQLite would with the process's umask; its WAL takes over the mode.
fn create_private(path: &Path) -> Result<()> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(|e| StoreError::io("open", path, e))?;
    Ok(())
}

/// Commits of definitions must survive a power cut, others need not: with `synchronous=NORMAL` a commit is in the WAL
/// but not on the disk yet, and a checkpoint brings it there.
fn make_durable(connection: &Connection) -> Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
    Ok(())
}

/// SQLite's integers are signed; a counter beyond 2^63 would take centuries.
fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::TempDir;
