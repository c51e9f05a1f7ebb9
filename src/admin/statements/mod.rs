//! Carries statements out: reads them with [`super::grammar`], asks the store and the task supervisor, answers rows, OK,
//! or an error in MySQL's terms.
//!
//! All of a statement is looked at before anything is changed: after an error everything is as it was. What the
//! supervisor has to do is behind [`Control`], so that the statements can be tested without any server.
//!
//! Error numbers are MySQL's where it has one for the case; otherwise the language's own, from 3100 on ([`code`]).

use std::sync::Arc;
use std::time::Instant;

use super::grammar::{self, Statement};
use super::reply::{Cell, Column, ColumnKind, Reply, SqlError};
use crate::model::name::TaskName;
use crate::store::{QueryCell, QueryKind, QueryResult, Store, StoreError};

mod control;
mod prechecks;
mod servers;
mod show;
mod tasks;
mod variables;

pub use control::{Control, ControlError};
pub use variables::SERVER_VERSION;

type Result<T> = std::result::Result<T, SqlError>;

/// The one database there is.
const SYNC: &str = "sync";

/// Error numbers of the admin language, where MySQL has none that fits.
pub mod code {
    /// The task exists.
    pub const TASK_EXISTS: u16 = 3100;
    /// There is no such task.
    pub const NO_SUCH_TASK: u16 = 3101;
    /// The task is not in a state in which that can be done.
    pub const TASK_STATE: u16 = 3102;
    /// The server is used by a task.
    pub const SERVER_IN_USE: u16 = 3103;
    /// The store failed.
    pub const STORE: u16 = 3104;
}

/// A session of a logged-in client, as far as statements look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Who logged in.
    pub user: String,
    /// From where.
    pub host: String,
    /// Its number.
    pub connection_id: u32,
    /// What `USE` chose.
    pub database: Option<String>,
}

/// Carries statements out. One for all sessions.
pub struct Statements {
    store: Arc<Store>,
    control: Arc<dyn Control>,
    started: Instant,
}

impl Statements {
    /// Statements over this store and supervisor.
    pub fn new(store: Arc<Store>, control: Arc<dyn Control>) -> Self {
        Self {
            store,
            control,
            started: Instant::now(),
        }
    }

    /// Carries out one statement.
    ///
    /// # Errors
    /// What MySQL would answer; nothing is changed then.
    pub async fn execute(&self, session: &mut Session, sql: &str) -> Result<Reply> {
        match grammar::parse(sql)? {
            Statement::CreateServer { if_not_exists, server } => self.create_server(if_not_exists, *server).await,
            Statement::AlterServer { name, changes } => self.alter_server(name, *changes).await,
            Statement::DropServer { if_exists, name } => self.drop_server(if_exists, name).await,
            Statement::ShowServers => self.select(servers::SHOW).await,
            Statement::CheckServer(name) => self.check_server(name).await,
            Statement::CreateTask {
                if_not_exists,
                named,
                task,
            } => self.create_task(if_not_exists, named, *task).await,
            Statement::AlterTask { name, changes, reverse } => self.alter_task(name, *changes, *reverse).await,
            Statement::DropTask { if_exists, name } => self.drop_task(if_exists, name).await,
            Statement::Task { verb, name } => self.task_verb(verb, name).await,
            Statement::Precheck(name) => self.precheck(name).await,
            Statement::Acknowledge { name, item } => self.acknowledge(name, &item).await,
            Statement::Decide { name, decision } => self.decide(name, decision).await,
            Statement::WaitForTask { name, timeout } => self.wait_for_task(name, timeout).await,
            Statement::ShowTasks => self.select(tasks::SHOW).await,
            Statement::ShowTaskStatus(name) => self.show_task_status(name).await,
            Statement::ShowCreateTask(name) => self.show_create_task(name).await,
            Statement::Select(select) => {
                let sql = select.fill(|value| variables::session_value(session, value))?;
                self.select(sql).await
            }
            Statement::Accepted => Ok(done()),
            Statement::Use(database) => self.use_database(session, &database).map(|()| done()),
            Statement::ShowDatabases { like } => Ok(show::databases(like.as_deref())),
            Statement::ShowTables { database, full, like } => show::tables(session, database, full, like.as_deref()),
            Statement::Describe { database, table, like } => self.describe(session, database, table, like).await,
            Statement::ShowVariables { like } => Ok(variables::show(like.as_deref())),
            Statement::ShowStatus { like } => Ok(variables::show_status(self.started.elapsed(), like.as_deref())),
            Statement::ShowNothing(list) => Ok(show::empty(list)),
        }
    }

    /// `USE`, also as a command of its own (COM_INIT_DB).
    ///
    /// # Errors
    /// 1049 if it is not `sync`.
    pub fn use_database(&self, session: &mut Session, database: &str) -> Result<()> {
        show::known_database(database)?;
        session.database = Some(SYNC.to_owned());
        Ok(())
    }

    /// Runs it where it may block.
    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&Store) -> T + Send + 'static) -> Result<T> {
        let store = Arc::clone(&self.store);
        let done = tokio::task::spawn_blocking(move || work(&store)).await;
        done.map_err(|_| {
            SqlError::new(
                1105,
                "HY000",
                "The statement failed inside of Causeway; the log says where",
            )
        })
    }

    /// As [`Statements::blocking`], for what the store may refuse.
    async fn stored<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> std::result::Result<T, StoreError> + Send + 'static,
    ) -> Result<T> {
        self.blocking(work).await?.map_err(|e| refused(&e))
    }

    async fn select(&self, sql: impl Into<String>) -> Result<Reply> {
        let sql = sql.into();
        // A SELECT without FROM asks nothing of the tables: no need to bring them up to date.
        if sql.to_ascii_lowercase().contains("from") {
            self.control.publish().await;
        }
        let result = self.blocking(move |store| store.query(&sql)).await?;
        result
            .map(rows)
            .map_err(|e| SqlError::new(e.code, e.sqlstate, e.message))
    }
}

fn done() -> Reply {
    done_with("")
}

fn done_with(info: impl Into<String>) -> Reply {
    Reply::Ok {
        affected: 0,
        warnings: 0,
        info: info.into(),
    }
}

fn rows(result: QueryResult) -> Reply {
    let kind = |kind| match kind {
        QueryKind::Text => ColumnKind::Text,
        QueryKind::Integer => ColumnKind::Integer,
        QueryKind::Double => ColumnKind::Double,
    };
    let cell = |cell| match cell {
        QueryCell::Null => Cell::Null,
        QueryCell::Int(value) => Cell::Int(value),
        QueryCell::Double(value) => Cell::Double(value),
        QueryCell::Text(text) => Cell::Text(text),
    };
    Reply::Rows {
        columns: result
            .columns
            .into_iter()
            .map(|column| Column {
                name: column.name,
                kind: kind(column.kind),
            })
            .collect(),
        rows: result
            .rows
            .into_iter()
            .map(|row| row.into_iter().map(cell).collect())
            .collect(),
    }
}

/// A result whose columns are all text.
fn text_rows(columns: &[&str], rows: Vec<Vec<String>>) -> Reply {
    Reply::Rows {
        columns: columns
            .iter()
            .map(|name| Column {
                name: (*name).to_owned(),
                kind: ColumnKind::Text,
            })
            .collect(),
        rows: rows
            .into_iter()
            .map(|row| row.into_iter().map(Cell::Text).collect())
            .collect(),
    }
}

/// The store's refusal in MySQL's terms.
fn refused(error: &StoreError) -> SqlError {
    let (number, sqlstate) = match error {
        StoreError::Exists { kind: "server", .. } => (1476, "HY000"),
        StoreError::Missing { kind: "server", .. } => (1477, "HY000"),
        StoreError::Exists { .. } => (code::TASK_EXISTS, "HY000"),
        StoreError::Missing { .. } => (code::NO_SUCH_TASK, "HY000"),
        StoreError::ServerInUse { .. } => (code::SERVER_IN_USE, "HY000"),
        _ => (code::STORE, "HY000"),
    };
    let text = error.to_string();
    let hint = match error {
        StoreError::Missing { kind: "server", .. } => "; SHOW SERVERS lists those there are",
        StoreError::Missing { .. } => "; SHOW SYNC TASKS lists those there are",
        StoreError::Exists { kind: "server", .. } => "; ALTER SERVER changes it",
        StoreError::Exists { .. } => "; ALTER SYNC TASK changes it, or choose another name",
        _ => "",
    };
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    SqlError::new(number, sqlstate, format!("{first}{}{hint}", letters.as_str()))
}

fn no_such_task(name: &TaskName) -> SqlError {
    refused(&StoreError::Missing {
        kind: "task",
        name: name.to_string(),
    })
}

#[cfg(test)]
mod tests;
