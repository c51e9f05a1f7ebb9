//! The layout of the database: first what operators see as the `sync` schema, then what they don't.
//!
//! The public tables and their columns are a contract (docs: the admin language). Times are UTC text,
//! `YYYY-MM-DD HH:MM:SS.mmm`, which sorts as it reads; yes and no are 1 and 0, as MySQL shows them.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use super::{Result, StoreError};

/// The layout's number (`PRAGMA user_version`). A change adds a step to [`STEPS`].
const LAYOUT: i64 = 7;

/// Tables that `SELECT` may read: the `sync` schema. Sorted.
pub const PUBLIC_TABLES: [&str; 9] = [
    "conflicts",
    "ddl",
    "differences",
    "events",
    "objects",
    "prechecks",
    "servers",
    "status",
    "tasks",
];

/// SQL that leads from layout `n` to `n + 1`, by `n`.
const STEPS: [&str; 7] = [LAYOUT_1, LAYOUT_2, LAYOUT_3, LAYOUT_4, LAYOUT_5, LAYOUT_6, LAYOUT_7];

const LAYOUT_1: &str = "
CREATE TABLE servers (
    name TEXT PRIMARY KEY NOT NULL,
    host TEXT, port INTEGER, socket TEXT, user TEXT NOT NULL,
    ssl_mode TEXT NOT NULL, ssl_ca TEXT, ssl_cert TEXT, ssl_key TEXT,
    version TEXT, server_uuid TEXT, state TEXT NOT NULL DEFAULT 'unknown', last_error TEXT NOT NULL DEFAULT ''
);
CREATE TABLE tasks (
    task TEXT PRIMARY KEY NOT NULL,
    source TEXT NOT NULL, destination TEXT NOT NULL, two_way INTEGER NOT NULL,
    state TEXT NOT NULL, created_at TEXT NOT NULL, options TEXT NOT NULL
);
CREATE TABLE status (
    task TEXT NOT NULL, direction TEXT NOT NULL,
    state TEXT NOT NULL, phase TEXT NOT NULL,
    source_position TEXT NOT NULL, applied_position TEXT NOT NULL,
    lag_ms INTEGER, idle INTEGER NOT NULL,
    rows_applied INTEGER NOT NULL, transactions_applied INTEGER NOT NULL, conflicts INTEGER NOT NULL,
    last_error TEXT NOT NULL, since TEXT NOT NULL,
    PRIMARY KEY (task, direction)
);
CREATE TABLE objects (
    task TEXT NOT NULL, direction TEXT NOT NULL,
    source_table TEXT NOT NULL, destination_table TEXT NOT NULL, phase TEXT NOT NULL,
    rows_copied INTEGER NOT NULL, rows_estimated INTEGER,
    inserts INTEGER NOT NULL, updates INTEGER NOT NULL, deletes INTEGER NOT NULL, conflicts INTEGER NOT NULL,
    PRIMARY KEY (task, direction, source_table, destination_table)
);
CREATE TABLE prechecks (
    task TEXT NOT NULL, direction TEXT NOT NULL, item TEXT NOT NULL,
    result TEXT NOT NULL, found TEXT NOT NULL, remedy TEXT NOT NULL,
    acknowledged INTEGER NOT NULL, checked_at TEXT NOT NULL,
    PRIMARY KEY (task, direction, item)
);
CREATE TABLE conflicts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    task TEXT NOT NULL, direction TEXT NOT NULL, \"table\" TEXT NOT NULL, type TEXT NOT NULL, \"key\" TEXT NOT NULL,
    before_image TEXT, incoming_row TEXT, destination_row TEXT,
    policy TEXT NOT NULL, outcome TEXT NOT NULL, source_position TEXT NOT NULL, at TEXT NOT NULL,
    UNIQUE (task, direction, source_position, \"table\", \"key\")
);
CREATE TABLE ddl (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    task TEXT NOT NULL, direction TEXT NOT NULL, source_position TEXT NOT NULL,
    statement TEXT NOT NULL, outcome TEXT NOT NULL, applied_statement TEXT, at TEXT NOT NULL,
    UNIQUE (task, direction, source_position, outcome)
);
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    task TEXT, direction TEXT, level TEXT NOT NULL, message TEXT NOT NULL, at TEXT NOT NULL
);
CREATE TABLE differences (
    task TEXT NOT NULL, \"table\" TEXT NOT NULL, \"key\" TEXT NOT NULL, kind TEXT NOT NULL,
    source_row TEXT, destination_row TEXT, at TEXT NOT NULL
);

CREATE TABLE server_secret (
    name TEXT PRIMARY KEY NOT NULL REFERENCES servers (name) ON DELETE CASCADE,
    nonce BLOB NOT NULL, password BLOB NOT NULL
);
CREATE TABLE task_definition (
    task TEXT PRIMARY KEY NOT NULL REFERENCES tasks (task) ON DELETE CASCADE,
    definition TEXT NOT NULL, wanted TEXT NOT NULL, last_error TEXT NOT NULL
);
CREATE TABLE account (
    user TEXT PRIMARY KEY NOT NULL, password_hash BLOB NOT NULL
);
";

/// Statements that a link can't carry, and what the operator says of them.
const LAYOUT_2: &str = "
CREATE TABLE undecided (
    task TEXT NOT NULL REFERENCES tasks (task) ON DELETE CASCADE, direction TEXT NOT NULL,
    gtid TEXT NOT NULL, decision TEXT, statement TEXT,
    PRIMARY KEY (task, direction)
);
";

/// Warnings of the precheck that the operator has acknowledged.
const LAYOUT_3: &str = "
CREATE TABLE acknowledged (
    task TEXT NOT NULL REFERENCES tasks (task) ON DELETE CASCADE, item TEXT NOT NULL,
    PRIMARY KEY (task, item)
);
";

/// Objects that a task had before it got others, as long as its links have not come to the others.
const LAYOUT_4: &str = "
CREATE TABLE former_objects (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    task TEXT NOT NULL REFERENCES tasks (task) ON DELETE CASCADE, direction TEXT NOT NULL, objects TEXT NOT NULL
);
";

/// Lag in its parts, progress of full sync, throughput.
const LAYOUT_5: &str = "
ALTER TABLE status ADD COLUMN lag_fetch_ms INTEGER;
ALTER TABLE status ADD COLUMN lag_apply_ms INTEGER;
ALTER TABLE status ADD COLUMN current_until TEXT;
ALTER TABLE status ADD COLUMN rows_per_second INTEGER NOT NULL DEFAULT 0;
ALTER TABLE status ADD COLUMN transactions_per_second INTEGER NOT NULL DEFAULT 0;
ALTER TABLE status ADD COLUMN rows_copied INTEGER NOT NULL DEFAULT 0;
ALTER TABLE status ADD COLUMN bytes_copied INTEGER NOT NULL DEFAULT 0;
ALTER TABLE status ADD COLUMN rows_estimated INTEGER;
ALTER TABLE status ADD COLUMN copied_percent INTEGER;
ALTER TABLE status ADD COLUMN copy_rows_per_second INTEGER NOT NULL DEFAULT 0;
ALTER TABLE status ADD COLUMN copy_bytes_per_second INTEGER NOT NULL DEFAULT 0;
ALTER TABLE status ADD COLUMN copy_seconds_left INTEGER;
ALTER TABLE objects ADD COLUMN bytes_copied INTEGER NOT NULL DEFAULT 0;
ALTER TABLE objects ADD COLUMN copied_percent INTEGER;
ALTER TABLE objects ADD COLUMN copy_rows_per_second INTEGER NOT NULL DEFAULT 0;
ALTER TABLE objects ADD COLUMN copy_seconds_left INTEGER;
";

/// Accounts with roles, numbered so that one made anew is another, what they prove themselves with sealed (by
/// [`super::accounts`], which has the key).
const LAYOUT_6: &str = "
CREATE TABLE account_4 (
    id INTEGER PRIMARY KEY AUTOINCREMENT, user TEXT NOT NULL UNIQUE, roles TEXT NOT NULL, created_at TEXT NOT NULL,
    nonce BLOB, password_hash BLOB NOT NULL
);
INSERT INTO account_4 (user, roles, created_at, password_hash)
    SELECT user, 'admin', strftime('%Y-%m-%d %H:%M:%f', 'now'), password_hash FROM account;
DROP TABLE account;
ALTER TABLE account_4 RENAME TO account;
";

/// Which host of its list a server is at.
const LAYOUT_7: &str = "ALTER TABLE servers ADD COLUMN in_use TEXT;";

/// Sets the connection up and brings the layout to the newest.
pub(super) fn prepare(connection: &mut Connection, path: &Path) -> Result<()> {
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    connection.execute_batch("PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON;")?;
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let known = usize::try_from(found).ok().filter(|_| found <= LAYOUT);
    let Some(done) = known else {
        return Err(StoreError::Newer {
            path: path.to_path_buf(),
            found,
            known: LAYOUT,
        });
    };
    let transaction = connection.transaction()?;
    for step in STEPS.iter().skip(done) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", LAYOUT)?;
    transaction.commit()?;
    Ok(())
}
