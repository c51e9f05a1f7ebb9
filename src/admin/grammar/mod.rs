//! The admin language: a statement's text becomes a [`Statement`], or an error in MySQL's terms. Pure.
//!
//! Recursive descent over tokens, one file per family of statements. What the language has but this version has not
//! answers error 1235, so that an operator can tell it from a mistake. Errors repeat the text near the mistake, but never
//! a password, however the statement is broken ([`cursor`]).

use std::time::Duration;

use self::cursor::{Cursor, not_yet};
use super::reply::SqlError;
use crate::model::name::{ServerName, TaskName};
use crate::model::server::ServerDefinition;
use crate::model::task::{Decision, ObjectRule, OptionChanges, TaskDefinition};

mod altering;
mod cursor;
mod lexer;
mod mapping;
mod objects;
pub mod options;
mod precheck;
mod select;
mod server;
mod session;
mod show;
mod task;
pub mod text;

pub use select::{Select, SessionValue};
pub use server::ServerChanges;
pub use show::{Filter, List, Scope, Show};
pub use task::{altered, print_create, with_objects};

type Result<T> = std::result::Result<T, SqlError>;

/// One statement of the admin language.
#[derive(Debug, Clone)]
pub enum Statement {
    /// `CREATE SERVER`.
    CreateServer {
        /// An existing one of that name is no error.
        if_not_exists: bool,
        /// What it says.
        server: Box<ServerDefinition>,
    },
    /// `ALTER SERVER`.
    AlterServer {
        /// Which.
        name: ServerName,
        /// What its OPTIONS name.
        changes: Box<ServerChanges>,
    },
    /// `DROP SERVER`.
    DropServer {
        /// A missing one is no error.
        if_exists: bool,
        /// Which.
        name: ServerName,
    },
    /// `SHOW SERVERS`.
    ShowServers,
    /// `CHECK SERVER`.
    CheckServer(ServerName),
    /// `CREATE SYNC TASK`.
    CreateTask {
        /// An existing one of that name is no error.
        if_not_exists: bool,
        /// The statement gave the name; otherwise it was made up and may be changed.
        named: bool,
        /// What it says.
        task: Box<TaskDefinition>,
    },
    /// `ALTER SYNC TASK … SET (…)`.
    AlterTask {
        /// Which.
        name: TaskName,
        /// Options of the task and its forward direction.
        changes: Box<OptionChanges>,
        /// Options of the reverse direction.
        reverse: Box<OptionChanges>,
    },
    /// `ALTER SYNC TASK … [REVERSE] ADD | REMOVE OBJECTS (…)`.
    AlterObjects {
        /// Which.
        name: TaskName,
        /// Of the REVERSE OBJECTS.
        reverse: bool,
        /// REMOVE rather than ADD.
        remove: bool,
        /// The list.
        objects: Vec<ObjectRule>,
    },
    /// `DROP SYNC TASK`.
    DropTask {
        /// A missing one is no error.
        if_exists: bool,
        /// Which.
        name: TaskName,
    },
    /// `START`, `PAUSE`, `RESUME` or `STOP SYNC TASK`.
    Task {
        /// What to do.
        verb: TaskVerb,
        /// With which.
        name: TaskName,
    },
    /// `PRECHECK SYNC TASK`.
    Precheck(TaskName),
    /// `ALTER SYNC TASK … ACKNOWLEDGE '…'`.
    Acknowledge {
        /// The task.
        name: TaskName,
        /// The item.
        item: String,
    },
    /// `RESUME SYNC TASK … SKIP | APPLY '…'`: goes on past a statement that the task can't carry.
    Decide {
        /// The task.
        name: TaskName,
        /// What becomes of the statement.
        decision: Decision,
    },
    /// `WAIT FOR SYNC TASK`.
    WaitForTask {
        /// Which.
        name: TaskName,
        /// For how long at most.
        timeout: Duration,
    },
    /// `SHOW SYNC TASKS`.
    ShowTasks,
    /// `SHOW SYNC TASK STATUS`, of one task or all.
    ShowTaskStatus(Option<TaskName>),
    /// `SHOW CREATE SYNC TASK`.
    ShowCreateTask(TaskName),
    /// `SELECT` and `WITH`.
    Select(Select),
    /// `SET` of session variables, `BEGIN`, `COMMIT` and their like: accepted, without effect.
    Accepted,
    /// `USE`.
    Use(String),
    /// SHOW of a list that stands for a SELECT: `SHOW TABLES`, `SHOW VARIABLES`, …
    Show(Box<Show>),
    /// `SHOW REPLICA STATUS`, `SHOW SLAVE STATUS`.
    ShowReplicaStatus {
        /// With the column names of MySQL before 8.4.
        old_names: bool,
        /// FOR CHANNEL.
        channel: Option<String>,
    },
    /// `SHOW CREATE TABLE`.
    ShowCreateTable {
        /// Its database; otherwise the session's.
        database: Option<String>,
        /// The table.
        table: String,
    },
    /// `SHOW CREATE DATABASE`.
    ShowCreateDatabase(String),
    /// `KILL`.
    Kill {
        /// Only what the session is at.
        query: bool,
        /// The session.
        id: u32,
    },
}

/// What is done with a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskVerb {
    /// Begin, or go on from the checkpoint.
    Start,
    /// Stop cleanly for a while.
    Pause,
    /// Go on after a pause or failure.
    Resume,
    /// End.
    Stop,
}

/// Beginnings of statements that the language has and this version has not, with what to call them.
const NOT_YET: [(&[&str], &str); 16] = [
    (&["VERIFY", "SYNC", "TASK"], "VERIFY SYNC TASK"),
    (&["REPAIR", "SYNC", "TASK"], "REPAIR SYNC TASK"),
    (&["RESOLVE", "CONFLICT"], "RESOLVE CONFLICT"),
    (&["DISMISS", "CONFLICT"], "DISMISS CONFLICT"),
    (&["CREATE", "USER"], "CREATE USER"),
    (&["ALTER", "USER"], "ALTER USER"),
    (&["DROP", "USER"], "DROP USER"),
    (&["RENAME", "USER"], "RENAME USER"),
    (&["SET", "PASSWORD"], "SET PASSWORD"),
    (&["GRANT"], "GRANT"),
    (&["REVOKE"], "REVOKE"),
    (&["SHOW", "USERS"], "SHOW USERS"),
    (&["SHOW", "GRANTS"], "SHOW GRANTS"),
    (&["SET", "GLOBAL"], "SET GLOBAL"),
    (&["SET", "PERSIST"], "SET PERSIST"),
    (&["SET", "PERSIST_ONLY"], "SET PERSIST_ONLY"),
];

/// Beginnings of statements that would write to tables.
const WRITES: [&str; 8] = [
    "INSERT", "UPDATE", "DELETE", "REPLACE", "TRUNCATE", "LOAD", "RENAME", "OPTIMIZE",
];

/// Reads one statement.
///
/// # Errors
/// 1064 where the text is not of the language, 1235 where it is but not supported yet, and others where it makes no
/// sense; each says what to do.
pub fn parse(text: &str) -> Result<Statement> {
    let mut cursor = Cursor::new(text);
    if cursor.peek().is_none() || cursor.at_symbol(";") {
        return Err(SqlError::new(1065, "42000", "Query was empty"));
    }
    if let Some((_, what)) = NOT_YET.iter().find(|(words, _)| cursor.at_words(words)) {
        return Err(not_yet(what));
    }
    if WRITES.iter().any(|word| cursor.at_words(&[word])) {
        return Err(SqlError::new(
            1142,
            "42000",
            "The tables of the sync schema can only be read, with SELECT",
        ));
    }
    let cursor = &mut cursor;
    type Family = fn(&mut Cursor<'_>) -> Result<Statement>;
    let families: [(&[&str], Family); 18] = [
        (&["CREATE", "SERVER"], server::create),
        (&["ALTER", "SERVER"], server::alter),
        (&["DROP", "SERVER"], server::drop),
        (&["CHECK", "SERVER"], server::check),
        (&["SHOW", "SERVERS"], |cursor| {
            cursor.end().map(|()| Statement::ShowServers)
        }),
        (&["CREATE", "SYNC", "TASK"], task::create),
        (&["ALTER", "SYNC", "TASK"], task::alter),
        (&["DROP", "SYNC", "TASK"], task::drop),
        (&["PRECHECK", "SYNC", "TASK"], precheck::precheck),
        (&["START", "SYNC", "TASK"], |cursor| task::verb(cursor, TaskVerb::Start)),
        (&["PAUSE", "SYNC", "TASK"], |cursor| task::verb(cursor, TaskVerb::Pause)),
        (&["RESUME", "SYNC", "TASK"], task::resume),
        (&["STOP", "SYNC", "TASK"], |cursor| task::verb(cursor, TaskVerb::Stop)),
        (&["WAIT", "FOR", "SYNC", "TASK"], task::wait),
        (&["SHOW", "SYNC", "TASKS"], |cursor| {
            cursor.end().map(|()| Statement::ShowTasks)
        }),
        (&["SHOW", "SYNC", "TASK", "STATUS"], task::show_status),
        (&["SHOW", "CREATE", "SYNC", "TASK"], task::show_create),
        (&["SHOW"], show::show),
    ];
    for (words, family) in families {
        if cursor.words(words) {
            return family(cursor);
        }
    }
    if cursor.at_words(&["SELECT"]) || cursor.at_words(&["WITH"]) || cursor.at_symbol("(") {
        return select::select(cursor).map(Statement::Select);
    }
    session::statement(cursor)
}

#[cfg(test)]
mod tests;
