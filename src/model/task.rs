//! A task as the operator described it: which servers, which objects, which options.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};

use super::name::{ServerName, TaskName};

/// One of the two links of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the task's source to its destination.
    Forward,
    /// From the task's destination back to its source; only in two-way tasks.
    Reverse,
}

impl Direction {
    /// `forward` or `reverse`, as in `sync.status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::Forward => "forward",
            Direction::Reverse => "reverse",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A whole task definition: what `CREATE SYNC TASK` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskDefinition {
    /// The task's name.
    pub name: TaskName,
    /// The server named first.
    pub source: ServerName,
    /// The server named second.
    pub destination: ServerName,
    /// `BETWEEN … AND …` rather than `FROM … TO …`.
    pub two_way: bool,
    /// What is synchronized, in the order written.
    pub objects: Vec<ObjectRule>,
    /// Objects of the reverse direction, where they differ from the forward ones mapped back.
    pub reverse_objects: Option<Vec<ObjectRule>>,
    /// Options of the forward direction and of the task as a whole.
    pub options: TaskOptions,
    /// What differs in the reverse direction.
    pub reverse_options: OptionChanges,
}

impl TaskDefinition {
    /// The options that hold in one direction.
    pub fn options_for(&self, direction: Direction) -> TaskOptions {
        match direction {
            Direction::Forward => self.options.clone(),
            Direction::Reverse => self.options.with(&self.reverse_options),
        }
    }
}

/// One entry of an OBJECTS list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ObjectRule {
    /// What is synchronized, and how.
    Include(Selection),
    /// `NOT db.table`: left out; the same patterns.
    Exclude {
        /// The database, or a LIKE pattern over database names.
        database: String,
        /// `None` for `.*`; otherwise a table name or a LIKE pattern.
        table: Option<String>,
    },
}

/// `db.*`, `db.table` or `db.pattern%`, with what is said of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Selection {
    /// The database, or a LIKE pattern over database names.
    pub database: String,
    /// `None` for `.*`; otherwise a table name or a LIKE pattern (`%` and `_`).
    pub table: Option<String>,
    /// `AS`: name of the database at the destination; `None`: the same.
    pub to_database: Option<String>,
    /// Name of the table at the destination; `None`: the same.
    pub to_table: Option<String>,
    /// `(id, name AS full_name)`: the only columns that are synchronized; `None`: all.
    #[serde(default)]
    pub columns: Option<Vec<SelectedColumn>>,
    /// `WHERE …`: the only rows that are synchronized, an expression over the source's columns as it was written.
    #[serde(default)]
    pub filter: Option<String>,
    /// `ONLY (…)`: the only operations that are carried; `None`: all.
    #[serde(default)]
    pub operations: Option<BTreeSet<Operation>>,
}

/// A column of a [`Selection`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelectedColumn {
    /// Its name at the source.
    pub name: String,
    /// `AS`: its name at the destination; `None`: the same.
    pub to: Option<String>,
}

/// What an `ONLY (…)` list can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Rows that come.
    Insert,
    /// Rows that change.
    Update,
    /// Rows that go.
    Delete,
    /// Every kind of DDL.
    Ddl,
    /// CREATE TABLE.
    CreateTable,
    /// ALTER TABLE.
    AlterTable,
    /// DROP TABLE.
    DropTable,
    /// RENAME TABLE.
    RenameTable,
    /// TRUNCATE TABLE.
    TruncateTable,
    /// CREATE INDEX.
    CreateIndex,
    /// DROP INDEX.
    DropIndex,
    /// CREATE, ALTER and DROP VIEW.
    View,
    /// CREATE, ALTER and DROP PROCEDURE and FUNCTION.
    Routine,
    /// CREATE and DROP TRIGGER.
    Trigger,
    /// CREATE, ALTER and DROP EVENT.
    Event,
    /// CREATE, ALTER and DROP DATABASE.
    Database,
}

impl Selection {
    /// Whether the database is a plain name, in which `_` stands for itself: it is renamed, or columns are listed.
    pub fn names_one_database(&self) -> bool {
        self.to_database.is_some() || self.columns.is_some()
    }

    /// Whether the table is a plain name.
    pub fn names_one_table(&self) -> bool {
        self.to_table.is_some() || self.columns.is_some()
    }
}

impl Operation {
    /// All operations with their spelling in the admin language.
    pub const ALL: [(Operation, &'static str); 16] = [
        (Operation::Insert, "INSERT"),
        (Operation::Update, "UPDATE"),
        (Operation::Delete, "DELETE"),
        (Operation::Ddl, "DDL"),
        (Operation::CreateTable, "CREATE TABLE"),
        (Operation::AlterTable, "ALTER TABLE"),
        (Operation::DropTable, "DROP TABLE"),
        (Operation::RenameTable, "RENAME TABLE"),
        (Operation::TruncateTable, "TRUNCATE TABLE"),
        (Operation::CreateIndex, "CREATE INDEX"),
        (Operation::DropIndex, "DROP INDEX"),
        (Operation::View, "VIEW"),
        (Operation::Routine, "ROUTINE"),
        (Operation::Trigger, "TRIGGER"),
        (Operation::Event, "EVENT"),
        (Operation::Database, "DATABASE"),
    ];

    /// Whether an `ONLY` list has it, `DDL` standing for every kind of it; without a list, everything.
    pub fn is_among(self, listed: Option<&BTreeSet<Operation>>) -> bool {
        let is_ddl = !matches!(self, Operation::Insert | Operation::Update | Operation::Delete);
        listed.is_none_or(|listed| listed.contains(&self) || is_ddl && listed.contains(&Operation::Ddl))
    }
}

impl ObjectRule {
    /// Whether the rule is about this table of the source, be it to include or to exclude it.
    ///
    /// Names are LIKE patterns ([`pattern`](super::pattern)), except those that the rule renames, or whose columns it
    /// lists: there `_` is `_`, as one destination can't take several sources.
    pub fn is_about(&self, source_database: &str, source_table: &str) -> bool {
        let fits = |pattern: &str, plain: bool, name: &str| {
            if plain {
                pattern == name
            } else {
                super::pattern::matches(pattern, name)
            }
        };
        let (database, table, database_plain, table_plain) = match self {
            ObjectRule::Include(selection) => (
                &selection.database,
                &selection.table,
                selection.names_one_database(),
                selection.names_one_table(),
            ),
            ObjectRule::Exclude { database, table } => (database, table, false, false),
        };
        fits(database, database_plain, source_database)
            && table
                .as_ref()
                .is_none_or(|table| fits(table, table_plain, source_table))
    }
}

/// What happens when a change does not fit the destination's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConflictPolicy {
    /// The task stops with the conflict shown.
    #[default]
    Fail,
    /// The destination's row stays.
    Ignore,
    /// The incoming row wins, also against other rows that hold its unique keys.
    Overwrite,
}

impl ConflictPolicy {
    /// All policies with their spelling in the admin language.
    pub const ALL: [(ConflictPolicy, &'static str); 3] = [
        (ConflictPolicy::Fail, "fail"),
        (ConflictPolicy::Ignore, "ignore"),
        (ConflictPolicy::Overwrite, "overwrite"),
    ];

    /// The spelling in the admin language.
    pub fn as_str(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(policy, _)| *policy == self)
            .map_or("fail", |(_, name)| name)
    }
}

/// What happens when a table to be copied exists at the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExistingTables {
    /// The task does not start.
    #[default]
    Error,
    /// Full sync keeps existing rows; incremental sync overwrites them.
    Proceed,
}

/// How objects are written at the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectCase {
    /// As at the source.
    #[default]
    Source,
    /// As the destination keeps names (`lower_case_table_names`).
    Destination,
    /// In lower case.
    Lower,
    /// In upper case.
    Upper,
}

impl ObjectCase {
    /// All values with their spelling in the admin language.
    pub const ALL: [(ObjectCase, &'static str); 4] = [
        (ObjectCase::Source, "source"),
        (ObjectCase::Destination, "destination"),
        (ObjectCase::Lower, "lower"),
        (ObjectCase::Upper, "upper"),
    ];
}

/// What becomes of the tables of an online schema change tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnlineDdl {
    /// They are carried like any other table.
    #[default]
    Carry,
    /// gh-ost's are hidden, and its final DDL is carried.
    GhOst,
    /// pt-online-schema-change's are hidden, and its final DDL is carried.
    PtOsc,
}

impl OnlineDdl {
    /// All values with their spelling in the admin language.
    pub const ALL: [(OnlineDdl, &'static str); 3] = [
        (OnlineDdl::Carry, "carry"),
        (OnlineDdl::GhOst, "gh-ost"),
        (OnlineDdl::PtOsc, "pt-osc"),
    ];
}

/// The options of a task, with every default filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskOptions {
    /// What happens on a conflict.
    pub conflict_policy: ConflictPolicy,
    /// Create databases and tables at the destination.
    pub schema_sync: bool,
    /// Copy the rows that are there.
    pub full_sync: bool,
    /// Follow the changes.
    pub incremental_sync: bool,
    /// What happens when a table exists at the destination.
    pub existing_tables: ExistingTables,
    /// Leave all DDL out.
    pub exclude_ddl: bool,
    /// What becomes of the tables of an online schema change tool.
    #[serde(default)]
    pub online_ddl: OnlineDdl,
    /// LIKE patterns of a tool's shadow tables, separated by commas; empty: those of the tool.
    #[serde(default)]
    pub shadow_table_patterns: String,
    /// LIKE patterns of the tables a tool leaves behind, separated by commas; empty: those of the tool.
    #[serde(default)]
    pub trash_table_patterns: String,
    /// Case of object names at the destination.
    #[serde(default)]
    pub object_case: ObjectCase,
    /// How long a lost server is waited for, in minutes, 10 to 1440.
    pub retry_window_minutes: u32,
    /// Appliers per direction, 1 to 64.
    pub workers: u16,
    /// Rows a second that a link copies and applies at most; 0: no limit.
    #[serde(default)]
    pub rows_per_second: u64,
    /// Bytes of rows a second that a link copies and applies at most; 0: no limit.
    #[serde(default)]
    pub bytes_per_second: u64,
    /// Write one row a second into the source's causeway schema, so that lag is known when the source is idle.
    pub heartbeat: bool,
}

impl Default for TaskOptions {
    fn default() -> Self {
        Self {
            conflict_policy: ConflictPolicy::default(),
            schema_sync: true,
            full_sync: true,
            incremental_sync: true,
            existing_tables: ExistingTables::default(),
            exclude_ddl: false,
            online_ddl: OnlineDdl::default(),
            shadow_table_patterns: String::new(),
            trash_table_patterns: String::new(),
            object_case: ObjectCase::default(),
            retry_window_minutes: 720,
            workers: 4,
            rows_per_second: 0,
            bytes_per_second: 0,
            heartbeat: true,
        }
    }
}

/// A partial set of options: what a `WITH (…)` or `SET (…)` list names.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OptionChanges {
    /// See [`TaskOptions::conflict_policy`].
    pub conflict_policy: Option<ConflictPolicy>,
    /// See [`TaskOptions::schema_sync`].
    pub schema_sync: Option<bool>,
    /// See [`TaskOptions::full_sync`].
    pub full_sync: Option<bool>,
    /// See [`TaskOptions::incremental_sync`].
    pub incremental_sync: Option<bool>,
    /// See [`TaskOptions::existing_tables`].
    pub existing_tables: Option<ExistingTables>,
    /// See [`TaskOptions::exclude_ddl`].
    pub exclude_ddl: Option<bool>,
    /// See [`TaskOptions::online_ddl`].
    #[serde(default)]
    pub online_ddl: Option<OnlineDdl>,
    /// See [`TaskOptions::shadow_table_patterns`].
    #[serde(default)]
    pub shadow_table_patterns: Option<String>,
    /// See [`TaskOptions::trash_table_patterns`].
    #[serde(default)]
    pub trash_table_patterns: Option<String>,
    /// See [`TaskOptions::object_case`].
    #[serde(default)]
    pub object_case: Option<ObjectCase>,
    /// See [`TaskOptions::retry_window_minutes`].
    pub retry_window_minutes: Option<u32>,
    /// See [`TaskOptions::workers`].
    pub workers: Option<u16>,
    /// See [`TaskOptions::rows_per_second`].
    #[serde(default)]
    pub rows_per_second: Option<u64>,
    /// See [`TaskOptions::bytes_per_second`].
    #[serde(default)]
    pub bytes_per_second: Option<u64>,
    /// See [`TaskOptions::heartbeat`].
    pub heartbeat: Option<bool>,
}

impl TaskOptions {
    /// These options with `changes` laid over them.
    pub fn with(&self, changes: &OptionChanges) -> TaskOptions {
        let text = |changed: &Option<String>, own: &String| changed.as_ref().unwrap_or(own).clone();
        TaskOptions {
            conflict_policy: changes.conflict_policy.unwrap_or(self.conflict_policy),
            schema_sync: changes.schema_sync.unwrap_or(self.schema_sync),
            full_sync: changes.full_sync.unwrap_or(self.full_sync),
            incremental_sync: changes.incremental_sync.unwrap_or(self.incremental_sync),
            existing_tables: changes.existing_tables.unwrap_or(self.existing_tables),
            exclude_ddl: changes.exclude_ddl.unwrap_or(self.exclude_ddl),
            online_ddl: changes.online_ddl.unwrap_or(self.online_ddl),
            shadow_table_patterns: text(&changes.shadow_table_patterns, &self.shadow_table_patterns),
            trash_table_patterns: text(&changes.trash_table_patterns, &self.trash_table_patterns),
            object_case: changes.object_case.unwrap_or(self.object_case),
            retry_window_minutes: changes.retry_window_minutes.unwrap_or(self.retry_window_minutes),
            workers: changes.workers.unwrap_or(self.workers),
            rows_per_second: changes.rows_per_second.unwrap_or(self.rows_per_second),
            bytes_per_second: changes.bytes_per_second.unwrap_or(self.bytes_per_second),
            heartbeat: changes.heartbeat.unwrap_or(self.heartbeat),
        }
    }
}

/// What the operator says of a statement that a task can't carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Pass it by.
    Skip,
    /// Run this one at the destination in its place.
    Apply(String),
}

/// What the operator wants of a task; kept across restarts. The state shown is derived from this and from how
/// the links fare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    /// Made, never started.
    Created,
    /// To be running.
    Running,
    /// Paused by `PAUSE`.
    Paused,
    /// Ended by `STOP`.
    Stopped,
    /// Stopped by an error that only the operator can mend; `RESUME` or `START` tries again.
    Failed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_about_what_its_patterns_fit() {
        let check = |rule: &ObjectRule, database: &str, table: &str, expected: bool| {
            assert_eq!(rule.is_about(database, table), expected, "{rule:?} {database}.{table}");
        };
        let include = |table: Option<&str>, to_table: Option<&str>| {
            ObjectRule::Include(Selection {
                database: "my_shop".into(),
                table: table.map(Into::into),
                to_database: to_table.map(|_| "copy".into()),
                to_table: to_table.map(Into::into),
                ..Selection::default()
            })
        };
        check(&include(None, None), "my_shop", "t", true);
        check(&include(None, None), "my-shop", "t", true);
        check(&include(None, None), "other", "t", false);
        check(&include(Some("a_b"), None), "my_shop", "axb", true);
        check(&include(Some("a_b"), Some("c")), "my_shop", "a_b", true);
        check(&include(Some("a_b"), Some("c")), "my_shop", "axb", false);
        check(&include(Some("a_b"), Some("c")), "my-shop", "a_b", false);
        let exclude = ObjectRule::Exclude {
            database: "%".into(),
            table: Some("tmp%".into()),
        };
        check(&exclude, "any", "tmp1", true);
        check(&exclude, "any", "t", false);
    }
}
