//! What can go wrong with the store, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process holds the data directory.
    #[error("the data directory {0} is in use by another causeway process: stop that one, or give another --data-dir")]
    InUse(PathBuf),
    /// A file of the data directory can't be read or made.
    #[error("can't {doing} {path}: {source}")]
    Io {
        /// What was being done, as a verb.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The key file does not belong to the database, or is not usable.
    #[error("{0}")]
    Key(String),
    /// A server's password can't be unsealed.
    #[error(
        "the password of server '{0}' can't be read with the key file secret.key: put back the key file that belongs \
         to this data directory, or set it again with ALTER SERVER {0} OPTIONS (PASSWORD '...')"
    )]
    Sealed(String),
    /// What an account proves itself with can't be unsealed.
    #[error(
        "the password of the account '{0}' can't be checked with the key file secret.key: put back the key file that \
         belongs to this data directory, or run causeway reset-password"
    )]
    AccountSealed(String),
    /// Nobody could administer Causeway any more.
    #[error("no account would have the role admin any more: GRANT admin TO another one first")]
    LastAdmin,
    /// The database was written by a newer Causeway.
    #[error("{path} has layout {found}, this causeway knows up to {known}: use the newer causeway again")]
    Newer {
        /// The database file.
        path: PathBuf,
        /// Its layout number.
        found: i64,
        /// The newest one known here.
        known: i64,
    },
    /// There is one of that name already.
    #[error("{kind} '{name}' exists already")]
    Exists {
        /// `server`, `task` or `account`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// There is none of that name.
    #[error("there is no {kind} '{name}'")]
    Missing {
        /// `server`, `task` or `account`.
        kind: &'static str,
        /// The name asked for.
        name: String,
    },
    /// A server can't be dropped while a task uses it.
    #[error("server '{server}' is used by task '{task}': drop the task first")]
    ServerInUse {
        /// The server.
        server: String,
        /// One of the tasks that name it.
        task: String,
    },
    /// Something in the database is not what this program wrote.
    #[error("the store holds {0}, which can't be understood: restore the data directory from a backup")]
    Damaged(String),
    /// SQLite itself failed.
    #[error("the store failed: {0}; check the free space and the health of the data directory's disk")]
    Sqlite(#[from] rusqlite::Error),
}

impl StoreError {
    pub(super) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        StoreError::Io {
            doing,
            path: path.to_path_buf(),
            source,
        }
    }

    pub(super) fn server_missing(name: &str) -> Self {
        StoreError::Missing {
            kind: "server",
            name: name.into(),
        }
    }

    pub(super) fn account_missing(name: &str) -> Self {
        StoreError::Missing {
            kind: "account",
            name: name.into(),
        }
    }

    pub(super) fn task_missing(name: &str) -> Self {
        StoreError::Missing {
            kind: "task",
            name: name.into(),
        }
    }
}

/// Whether an INSERT met a row that was there already.
pub(super) fn is_duplicate(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation)
}
