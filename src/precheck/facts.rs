//! What a precheck looks at: facts about two servers and about what a task selects there. Pure data; `task` gathers it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::{
    model::{
        grants::Grants,
        gtid::GtidSet,
        name::TableName,
        server::{Address, SslMode},
        stored::Account,
        table::Table,
        task::{Direction, TaskOptions},
    },
    plan::{compare::Difference, objects::Objects},
};

use super::privileges::Need;

/// What matters of a server.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Facts {
    /// `@@server_uuid`.
    pub server_uuid: String,
    /// `@@version`.
    pub version: String,
    /// How it keeps and compares names of databases and tables.
    pub lower_case_table_names: u8,
    /// The version's number.
    pub number: (u16, u16, u16),
    /// Global variables by name, those of [`VARIABLES`] that the server has.
    pub variables: BTreeMap<String, String>,
    /// The account that Causeway is, and what it may do.
    pub account: Account,
    /// See `account`.
    pub grants: Grants,
    /// The protocol that encrypts the connection; empty: none.
    pub encryption: String,
    /// The server's `binlog_do_db` and `binlog_ignore_db` lists; `None` if it does not show them to this account.
    pub binlog_filters: Option<(String, String)>,
    /// Whether the account may receive the binlog.
    pub may_replicate: bool,
    /// Whether it is a replica of a server; `None` if it does not say so to this account.
    pub is_replica: Option<bool>,
    /// How far its clock is ahead of ours, in milliseconds, and by how much that may be wrong.
    pub clock_ms: (i64, u64),
    /// Connections there are.
    pub connections: u64,
    /// XA transactions that are prepared, as they stand in XA COMMIT; `None` if it does not show them to this account.
    pub prepared: Option<Vec<String>>,
}

/// The variables that rules look at.
pub const VARIABLES: &[&str] = &[
    "auto_increment_increment",
    "auto_increment_offset",
    "binlog_expire_logs_auto_purge",
    "binlog_expire_logs_seconds",
    "binlog_format",
    "binlog_row_image",
    "binlog_row_metadata",
    "binlog_row_value_options",
    "character_set_server",
    "collation_server",
    "datadir",
    "gtid_mode",
    "gtid_purged",
    "hostname",
    "innodb_data_file_path",
    "innodb_file_per_table",
    "innodb_native_foreign_keys",
    "log_bin",
    "log_bin_trust_function_creators",
    "log_replica_updates",
    "log_slave_updates",
    "lower_case_table_names",
    "max_allowed_packet",
    "max_connections",
    "partial_revokes",
    "port",
    "read_only",
    "server_id",
    "server_uuid",
    "sql_mode",
    "super_read_only",
    "system_time_zone",
    "time_zone",
    "version",
];

impl Facts {
    /// A global variable; empty if the server has none of that name.
    pub fn variable(&self, name: &str) -> &str {
        self.variables.get(name).map_or("", String::as_str)
    }

    /// A variable that is a number.
    pub fn number_of(&self, name: &str) -> Option<u64> {
        self.variable(name).parse().ok()
    }

    /// Whether a variable is on.
    pub fn is_on(&self, name: &str) -> bool {
        matches!(self.variable(name), "ON" | "1" | "YES")
    }

    /// What tells two servers with one `server_uuid` apart: where they run and where their data are.
    pub fn instance(&self) -> [&str; 4] {
        ["hostname", "port", "datadir", "server_id"].map(|name| self.variable(name))
    }

    /// MySQL does since 9.6, unless `innodb_native_foreign_keys` is ON.
    pub fn logs_cascades(&self) -> bool {
        self.variable("innodb_native_foreign_keys") == "OFF"
    }
}

/// A server of a task.
#[derive(Debug, Clone)]
pub struct Server {
    /// The name in the admin language.
    pub name: String,
    /// Where it listens.
    pub address: Address,
    /// How the connection is to be encrypted.
    pub ssl_mode: SslMode,
    /// What was found there, or why nothing was.
    pub facts: Result<Facts, String>,
}

/// One direction of a task, as rules look at it.
#[derive(Debug, Clone)]
pub struct Way {
    /// The task.
    pub task: String,
    /// Which link.
    pub direction: Direction,
    /// There is a link the other way.
    pub two_way: bool,
    /// The options of this direction, and of the other one.
    pub options: TaskOptions,
    /// See `options`.
    pub other_options: TaskOptions,
    /// The server that is read from.
    pub source: Server,
    /// The server that is written to.
    pub destination: Server,
    /// What is selected there, or why that could not be found out.
    pub scope: Result<Scope, String>,
}

/// What a direction selects, and what is at the two servers.
#[derive(Debug, Clone)]
pub struct Scope {
    /// What is selected.
    pub objects: Objects,
    /// Rows that are applied at the destination come back by the same objects.
    pub both_ways: bool,
    /// What the link has applied; `None`: it has never been started.
    pub applied: Option<GtidSet>,
    /// What is at the source.
    pub source: Contents,
    /// What is at the destination.
    pub destination: Contents,
    /// The selected tables.
    pub tables: Vec<Selected>,
    /// Definitions at the source, of tables that rules have to look into.
    pub definitions: HashMap<TableName, Table>,
    /// Tables that the link would make and that are there, with what is different. Not all are compared where none may be
    /// there.
    pub same_names: Vec<SameName>,
    /// Views, routines, triggers and events that the link would make and that are there; or why that is not known.
    pub stored_in_the_way: Result<Vec<String>, String>,
    /// Conditions of row filters that the source does not take.
    pub wrong_filters: Vec<String>,
    /// Triggers of the destination that fire for what is applied, with the statements that guard them.
    pub unguarded_triggers: Vec<(TableName, String)>,
    /// Privileges that are missing.
    pub missing: Vec<Need>,
}

/// A table at the source that is selected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// Its name there.
    pub from: TableName,
    /// Its name at the destination.
    pub to: TableName,
    /// This link has to make and copy it; otherwise the other one has.
    pub copied: bool,
}

/// A table that exists at both servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SameName {
    /// At the source.
    pub from: TableName,
    /// At the destination.
    pub to: TableName,
    /// What is different there; `None`: not looked at.
    pub differences: Option<Vec<Difference>>,
}

/// What is at a server, as far as its account may see it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contents {
    /// Databases, those of the system among them.
    pub databases: BTreeSet<String>,
    /// Tables outside of the system databases.
    pub tables: BTreeMap<TableName, TableSeen>,
    /// Foreign keys.
    pub foreign_keys: Vec<ForeignKeySeen>,
    /// Events, and whether they run there.
    pub events: BTreeMap<TableName, bool>,
    /// The collations that the server knows.
    pub collations: BTreeSet<String>,
    /// Functions and triggers there are in a database.
    pub programs: BTreeSet<String>,
}

/// A table as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableSeen {
    /// Its storage engine.
    pub engine: String,
    /// The engine has transactions.
    pub transactional: bool,
    /// Rows and indexes, in bytes, as the server estimates them.
    pub bytes: u64,
    /// It has a primary key.
    pub primary_key: bool,
    /// It has an AUTO_INCREMENT column.
    pub auto_increment: bool,
    /// The collations of its columns.
    pub collations: BTreeSet<String>,
}

/// A foreign key as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKeySeen {
    /// The table that has it.
    pub child: TableName,
    /// Its name.
    pub name: String,
    /// The table it refers to.
    pub parent: TableName,
    /// It changes the child when the parent changes.
    pub acts: bool,
}
