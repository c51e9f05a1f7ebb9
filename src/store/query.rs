//! The operator's `SELECT`: SQLite answers it, over the `sync` schema and nothing else, reading and nothing else.
//!
//! The text comes from whoever may log in, so each question runs in a connection of its own that can do no harm:
//! - the file is opened read-only, twice: as `main`, so that `status` is found, and as `sync`, for `sync.status`;
//!   `information_schema` and `performance_schema` are made up in memory when they are asked for ([`system`]);
//! - the authorizer lets SELECT through and reads of the public tables, by name. It does not look at the view or
//!   common table expression that a read comes through: SQLite reports that name as the text chose it;
//! - limits on length, depth and size, a time limit, and limits on the result.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, Statement, ToSql, params_from_iter};
use tokio_util::sync::CancellationToken;

use super::schema::PUBLIC_TABLES;
use super::{Store, functions, system};

/// A question may run this long.
const TIME_MAX: Duration = Duration::from_secs(30);
/// A result may have this many rows …
const ROWS_MAX: usize = 1_000_000;
/// … and this many bytes.
const BYTES_MAX: usize = 64 << 20;
/// SQLite's virtual machine looks at the clock after this many instructions.
const INSTRUCTIONS_PER_LOOK: i32 = 10_000;

/// What a column of a result holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryKind {
    /// Text, also where values are of several kinds.
    Text,
    /// Whole numbers.
    Integer,
    /// Numbers with a fraction.
    Double,
}

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryColumn {
    /// Its name or alias.
    pub name: String,
    /// What its values are.
    pub kind: QueryKind,
}

/// A value of a result.
#[derive(Debug, Clone, PartialEq)]
pub enum QueryCell {
    /// NULL.
    Null,
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Double(f64),
    /// Text.
    Text(String),
}

/// What a `SELECT` found.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryResult {
    /// Its columns.
    pub columns: Vec<QueryColumn>,
    /// Its rows; each has one cell per column.
    pub rows: Vec<Vec<QueryCell>>,
}

/// Why a `SELECT` was not answered, in MySQL's terms.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    /// MySQL's error number.
    pub code: u16,
    /// Its SQLSTATE.
    pub sqlstate: &'static str,
    /// What to tell the operator.
    pub message: String,
}

impl QueryError {
    fn new(code: u16, sqlstate: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            sqlstate,
            message: message.into(),
        }
    }
}

/// A `SELECT`, and what its answer depends on.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// One `SELECT` in SQLite's dialect.
    pub sql: String,
    /// What `?1`, `?2`, … stand for.
    pub parameters: Vec<QueryCell>,
    /// The database that the session has chosen.
    pub database: Option<String>,
    /// What the store does not know and `information_schema` and `performance_schema` show: an object of arrays,
    /// `variables` and `status` of `[name, value]`, `processes` of `[id, user, host, db, command, seconds, state, text]`.
    pub facts: serde_json::Value,
    /// Ends the question when it is cancelled, with MySQL's 1317.
    pub interrupted: CancellationToken,
}

impl Store {
    /// Answers one `SELECT` in SQLite's dialect, with MySQL's functions added where they have another name.
    ///
    /// # Errors
    /// [`QueryError`] with the number that MySQL gives: 1064, 1146, 1054, 1142, …
    pub fn query(&self, sql: &str) -> Result<QueryResult, QueryError> {
        self.answer(&Question {
            sql: sql.to_owned(),
            ..Question::default()
        })
    }

    /// As [`Store::query`], of a session.
    ///
    /// # Errors
    /// As [`Store::query`].
    pub fn answer(&self, question: &Question) -> Result<QueryResult, QueryError> {
        run(&self.database, question, TIME_MAX).map_err(|error| told(error, question))
    }

    /// The columns that the answer will have. Nothing is run, so an expression's column is [`QueryKind::Text`].
    ///
    /// # Errors
    /// As [`Store::query`].
    pub fn columns_of(&self, question: &Question) -> Result<Vec<QueryColumn>, QueryError> {
        let columns = || {
            let connection = open(&self.database, question, TIME_MAX)?;
            let statement = prepare(&connection, &question.sql)?;
            let columns = declared(&statement).into_iter().map(|(name, kind)| QueryColumn {
                name,
                kind: kind.unwrap_or(QueryKind::Text),
            });
            Ok(columns.collect())
        };
        columns().map_err(|error| told(error, question))
    }

    /// `SHOW REPLICA STATUS`: a row per link, or the row of the link `task:direction`.
    ///
    /// # Errors
    /// As [`Store::query`].
    pub fn replica_status(&self, channel: Option<&str>) -> Result<QueryResult, QueryError> {
        let channel = channel.map(|name| QueryCell::Text(name.to_owned()));
        self.answer(&Question {
            sql: system::replica_status(channel.is_some()),
            parameters: channel.into_iter().collect(),
            ..Question::default()
        })
    }
}

fn told(error: Failure, question: &Question) -> QueryError {
    match error {
        Failure::Told(error) => error,
        Failure::Sqlite(error) if question.interrupted.is_cancelled() && is_interruption(&error) => {
            QueryError::new(1317, "70100", "Query execution was interrupted")
        }
        Failure::Sqlite(error) => in_mysql_terms(&error),
    }
}

fn is_interruption(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted)
}

impl ToSql for QueryCell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            QueryCell::Null => ValueRef::Null,
            QueryCell::Int(value) => ValueRef::Integer(*value),
            QueryCell::Double(value) => ValueRef::Real(*value),
            QueryCell::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

/// A column of a table of the `sync` schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicColumn {
    /// Its name.
    pub name: String,
    /// What its values are.
    pub kind: QueryKind,
    /// Whether it may be NULL.
    pub nullable: bool,
    /// Whether it is part of the primary key.
    pub in_key: bool,
}

impl Store {
    /// The columns of a table of the `sync` schema, in order; `None` if there is no such table.
    ///
    /// # Errors
    /// When the store fails.
    pub fn public_columns(&self, table: &str) -> super::Result<Option<Vec<PublicColumn>>> {
        if !PUBLIC_TABLES.contains(&table) {
            return Ok(None);
        }
        let writer = self.writer();
        let mut statement = writer.prepare_cached(
            "SELECT name, type, \"notnull\" OR pk > 0, pk > 0 FROM pragma_table_info(?1) ORDER BY cid",
        )?;
        let columns = statement.query_map([table], |row| {
            Ok(PublicColumn {
                name: row.get(0)?,
                kind: declared_kind(&row.get::<_, String>(1)?).unwrap_or(QueryKind::Text),
                nullable: !row.get::<_, bool>(2)?,
                in_key: row.get(3)?,
            })
        })?;
        Ok(Some(columns.collect::<rusqlite::Result<_>>()?))
    }
}

enum Failure {
    Told(QueryError),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Failure::Sqlite(error)
    }
}

fn run(database: &Path, question: &Question, time_max: Duration) -> Result<QueryResult, Failure> {
    let connection = open(database, question, time_max)?;
    let mut statement = prepare(&connection, &question.sql)?;
    let declared = declared(&statement);
    let mut found = Vec::new();
    let mut bytes = 0_usize;
    let mut rows = statement.query(params_from_iter(&question.parameters))?;
    while let Some(row) = rows.next()? {
        let mut cells = Vec::with_capacity(declared.len());
        for index in 0..declared.len() {
            let cell = cell(row.get_ref(index)?);
            bytes += std::mem::size_of::<QueryCell>() + cell.heap_bytes();
            cells.push(cell);
        }
        found.push(cells);
        if found.len() > ROWS_MAX || bytes > BYTES_MAX {
            return Err(Failure::Told(too_large()));
        }
    }
    let columns = declared
        .into_iter()
        .enumerate()
        .map(|(index, (name, kind))| QueryColumn {
            kind: kind.unwrap_or_else(|| kind_of_values(&found, index)),
            name,
        });
    Ok(QueryResult {
        columns: columns.collect(),
        rows: found,
    })
}

fn prepare<'a>(connection: &'a Connection, sql: &str) -> Result<Statement<'a>, Failure> {
    let statement = connection.prepare(sql)?;
    if statement.column_count() == 0 || !statement.readonly() {
        return Err(Failure::Told(denied()));
    }
    Ok(statement)
}

fn declared(statement: &Statement<'_>) -> Vec<(String, Option<QueryKind>)> {
    let columns = statement.columns();
    columns
        .map(|column| (column.name().to_owned(), column.decl_type().and_then(declared_kind)))
        .collect()
}

/// A connection for one question, with everything in it that the question may see, and nothing allowed but to read it.
fn open(database: &Path, question: &Question, time_max: Duration) -> rusqlite::Result<Connection> {
    // The path is absolute, so it is never read as a URI; only the databases in memory are named by one. ATTACH takes
    // over the flags.
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let mut connection = Connection::open_with_flags(database, flags)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.execute("ATTACH DATABASE ?1 AS sync", [database.to_string_lossy()])?;
    system::attach(
        &connection,
        &question.sql,
        question.database.as_deref(),
        &question.facts,
    )?;
    connection.execute_batch("PRAGMA query_only = ON")?;
    // Otherwise "misspelt" would be a string rather than an unknown column.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    let parameters = i32::try_from(question.parameters.len()).unwrap_or(i32::MAX);
    for (limit, value) in [
        (Limit::SQLITE_LIMIT_LENGTH, 64 << 20),
        (Limit::SQLITE_LIMIT_SQL_LENGTH, 1 << 20),
        (Limit::SQLITE_LIMIT_COLUMN, 500),
        (Limit::SQLITE_LIMIT_EXPR_DEPTH, 200),
        (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 50),
        (Limit::SQLITE_LIMIT_VDBE_OP, 250_000),
        (Limit::SQLITE_LIMIT_FUNCTION_ARG, 50),
        (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1_000),
        (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, parameters),
        (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 1),
        (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
    ] {
        connection.set_limit(limit, value)?;
    }
    functions::register(&connection)?;
    let deadline = Instant::now() + time_max;
    let interrupted = question.interrupted.clone();
    let is_over = move || interrupted.is_cancelled() || Instant::now() > deadline;
    connection.progress_handler(INSTRUCTIONS_PER_LOOK, Some(is_over))?;
    connection.authorizer(Some(authorize))?;
    Ok(connection)
}

/// What the text may do. SQLite asks while it prepares the statement, once per thing the statement would do.
fn authorize(context: AuthContext<'_>) -> Authorization {
    let allowed = match context.action {
        AuthAction::Select | AuthAction::Recursive => true,
        AuthAction::Read {
            table_name,
            column_name,
        } => may_read(context.database_name, table_name, column_name),
        AuthAction::Function { function_name } => !FORBIDDEN_FUNCTIONS.contains(&function_name.to_lowercase().as_str()),
        _ => false,
    };
    if allowed {
        Authorization::Allow
    } else {
        Authorization::Deny
    }
}

/// Functions that reach outside of the question or its tables. Some are compiled out; the list does not rely on that.
const FORBIDDEN_FUNCTIONS: [&str; 5] = ["edit", "fts3_tokenizer", "load_extension", "readfile", "writefile"];

/// Table-valued functions over JSON texts; they read nothing but their arguments.
const JSON_TABLES: [&str; 2] = ["json_each", "json_tree"];

fn may_read(database: Option<&str>, table: &str, column: &str) -> bool {
    let table = table.to_lowercase();
    if database.is_some_and(|name| system::SCHEMAS.contains(&name)) && !table.starts_with("sqlite_") {
        return true; // made up for this question
    }
    if PUBLIC_TABLES.contains(&table.as_str()) || JSON_TABLES.contains(&table.as_str()) {
        return true;
    }
    // A source of which no column is used, as in SELECT count(*): SQLite asks with an empty column, also for a common
    // table expression, under the name the text gave it. What that may not be is one of our other tables, or one
    // that SQLite makes up.
    const HIDDEN: [&str; 3] = ["account", "server_secret", "task_definition"];
    column.is_empty()
        && !HIDDEN.contains(&table.as_str())
        && ![
            "sqlite_",
            "pragma_",
            "dbstat",
            "fts",
            "rtree",
            "bytecode",
            "tables_used",
        ]
        .iter()
        .any(|prefix| table.starts_with(prefix))
}

fn cell(value: ValueRef<'_>) -> QueryCell {
    match value {
        ValueRef::Null => QueryCell::Null,
        ValueRef::Integer(value) => QueryCell::Int(value),
        ValueRef::Real(value) => QueryCell::Double(value),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => QueryCell::Text(String::from_utf8_lossy(bytes).into_owned()),
    }
}

impl QueryCell {
    fn heap_bytes(&self) -> usize {
        match self {
            QueryCell::Text(text) => text.len(),
            _ => 0,
        }
    }
}

fn declared_kind(declared: &str) -> Option<QueryKind> {
    match declared {
        "INTEGER" => Some(QueryKind::Integer),
        "TEXT" => Some(QueryKind::Text),
        _ => None,
    }
}

/// The kind of an expression, which SQLite leaves to each value: the narrowest that takes them all.
fn kind_of_values(rows: &[Vec<QueryCell>], index: usize) -> QueryKind {
    let mut kind = None;
    for cell in rows.iter().filter_map(|row| row.get(index)) {
        kind = match (kind, cell) {
            (kind, QueryCell::Null) => kind,
            (_, QueryCell::Text(_)) => return QueryKind::Text,
            (Some(QueryKind::Double), _) | (_, QueryCell::Double(_)) => Some(QueryKind::Double),
            (_, QueryCell::Int(_)) => Some(QueryKind::Integer),
        };
    }
    kind.unwrap_or(QueryKind::Text)
}

fn denied() -> QueryError {
    QueryError::new(
        1142,
        "42000",
        "Only SELECT on the tables of the sync schema is allowed here; SHOW TABLES FROM sync lists them",
    )
}

fn too_large() -> QueryError {
    QueryError::new(
        3170,
        "HY000",
        format!(
            "The result is larger than {ROWS_MAX} rows or {} MiB: narrow it down with WHERE or LIMIT",
            BYTES_MAX >> 20
        ),
    )
}

/// SQLite's error as MySQL would put it. SQLite has one code for most of them, so the texts are told apart.
fn in_mysql_terms(error: &rusqlite::Error) -> QueryError {
    let (code, text) = match error {
        rusqlite::Error::SqlInputError { error, msg, .. } => (error.code, msg.as_str()),
        rusqlite::Error::SqliteFailure(error, Some(msg)) => (error.code, msg.as_str()),
        rusqlite::Error::SqliteFailure(error, None) => (error.code, ""),
        rusqlite::Error::MultipleStatement => {
            return QueryError::new(1064, "42000", "Only one statement can be sent at a time");
        }
        _ => (ErrorCode::Unknown, ""),
    };
    let after = |prefix: &str| {
        text.strip_prefix(prefix)
            .map(|rest| rest.split(" - ").next().unwrap_or(rest))
    };
    if let Some(table) = after("no such table: ") {
        let qualified = if table.contains('.') {
            table.to_owned()
        } else {
            format!("sync.{table}")
        };
        let message = format!("Table '{qualified}' doesn't exist; SHOW TABLES FROM sync lists those there are");
        return QueryError::new(1146, "42S02", message);
    }
    if let Some(column) = after("no such column: ") {
        let column = column.trim_matches('"');
        return QueryError::new(1054, "42S22", format!("Unknown column '{column}' in the SELECT"));
    }
    if let Some(column) = after("ambiguous column name: ") {
        return QueryError::new(1052, "23000", format!("Column '{column}' in the SELECT is ambiguous"));
    }
    if let Some(function) = after("no such function: ") {
        return QueryError::new(1305, "42000", format!("FUNCTION sync.{function} does not exist"));
    }
    if let Some(function) = after("wrong number of arguments to function ") {
        let message = format!(
            "Incorrect parameter count in the call to function '{}'",
            function.trim_end_matches("()")
        );
        return QueryError::new(1582, "42000", message);
    }
    if code == ErrorCode::AuthorizationForStatementDenied
        || text.contains("not authorized")
        || text.contains("prohibited")
    {
        return denied();
    }
    match code {
        ErrorCode::OperationInterrupted => QueryError::new(
            3024,
            "HY000",
            format!(
                "The SELECT ran longer than {} s and was stopped: narrow it down",
                TIME_MAX.as_secs()
            ),
        ),
        ErrorCode::TooBig | ErrorCode::OutOfMemory => too_large(),
        // A text or a fraction where only a whole number can stand.
        ErrorCode::TypeMismatch => QueryError::new(
            1064,
            "42000",
            "You have an error in your Causeway SQL syntax; LIMIT and OFFSET take whole numbers",
        ),
        ErrorCode::Unknown if !text.is_empty() => QueryError::new(
            1064,
            "42000",
            format!("You have an error in your Causeway SQL syntax; the SELECT fails with: {text}"),
        ),
        _ => QueryError::new(1105, "HY000", format!("The store can't answer the SELECT: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_that_takes_too_long_is_stopped() {
        let dir = super::super::tests::TempDir::new();
        let store = Store::open(dir.path()).unwrap();
        let endless = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n";
        let question = Question {
            sql: endless.to_owned(),
            ..Question::default()
        };
        let ends_with = |time_max: Duration, code: u16| match run(&store.database, &question, time_max) {
            Err(error) => assert_eq!(told(error, &question).code, code),
            Ok(_) => panic!("it ended"),
        };
        ends_with(Duration::from_millis(50), 3024);
        question.interrupted.cancel();
        ends_with(Duration::from_secs(3600), 1317);
    }
}
