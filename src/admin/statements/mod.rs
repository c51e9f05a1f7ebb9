//! Carries statements out: reads them with [`super::grammar`], asks the store and the task supervisor, answers rows, OK,
//! or an error in MySQL's terms.
//!
//! All of a statement is looked at before anything is changed: after an error everything is as it was. What the
//! supervisor has to do is behind [`Control`], so that the statements can be tested without any server.
//!
//! Error numbers are MySQL's where it has one for the case; otherwise the language's own, from 3100 on ([`code`]).

use std::sync::Arc;

use super::grammar::{self, Select, Statement};
use super::reply::{Cell, Column, ColumnKind, Reply, SqlError};
use super::sessions::Sessions;
use crate::model::name::TaskName;
use crate::model::role::Roles;
use crate::store::{QueryCell, QueryColumn, QueryError, QueryKind, QueryResult, Question, Store, StoreError};

mod accounts;
mod authority;
mod control;
mod prechecks;
mod processes;
mod replica;
mod servers;
mod show;
mod tasks;
mod variables;

pub use control::{Control, ControlError};
pub use variables::SERVER_VERSION;

type Result<T> = std::result::Result<T, SqlError>;

/// The database of the admin language's own tables.
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
    /// Nobody could administer Causeway any more.
    pub const LAST_ADMIN: u16 = 3120;
}

/// A session of a logged-in client, as far as statements look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The number of the account that logged in.
    pub account: i64,
    /// Its name.
    pub user: String,
    /// What it may do, as of its last statement.
    pub roles: Roles,
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
    sessions: Arc<Sessions>,
}

impl Statements {
    /// Statements over this store and supervisor.
    pub fn new(store: Arc<Store>, control: Arc<dyn Control>) -> Self {
        Self {
            store,
            control,
            sessions: Arc::default(),
        }
    }

    /// Who is logged in.
    pub fn sessions(&self) -> &Arc<Sessions> {
        &self.sessions
    }

    /// Carries out one statement.
    ///
    /// # Errors
    /// What MySQL would answer; nothing is changed then.
    pub async fn execute(&self, session: &mut Session, sql: &str) -> Result<Reply> {
        self.execute_with(session, sql, &[]).await
    }

    /// As [`Statements::execute`], with what its `?` stand for.
    ///
    /// # Errors
    /// As [`Statements::execute`].
    pub async fn execute_with(&self, session: &mut Session, sql: &str, parameters: &[Cell]) -> Result<Reply> {
        session.roles = self.roles(session).await?;
        let statement = self.understood(session, sql, parameters)?;
        authority::check(&statement, session, &session.roles)?;
        authority::log(&statement, session, sql);
        match statement {
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
            Statement::AlterObjects {
                name,
                reverse,
                remove,
                objects,
            } => self.alter_objects(name, reverse, remove, objects).await,
            Statement::DropTask { if_exists, name } => self.drop_task(if_exists, name).await,
            Statement::Task { verb, name } => self.task_verb(verb, name).await,
            Statement::Precheck(name) => self.precheck(name).await,
            Statement::Acknowledge { name, item } => self.acknowledge(name, &item).await,
            Statement::Decide { name, decision } => self.decide(name, decision).await,
            Statement::WaitForTask { name, timeout } => {
                let interrupted = self.sessions.interrupted(session.connection_id);
                tokio::select! {
                    synced = self.wait_for_task(name, timeout) => synced,
                    () = interrupted.cancelled() => Err(processes::interrupted()),
                }
            }
            Statement::ShowTasks => self.select(tasks::SHOW).await,
            Statement::ShowTaskStatus(name) => self.show_task_status(name).await,
            Statement::ShowCreateTask(name) => self.show_create_task(name).await,
            Statement::CreateUser {
                if_not_exists,
                user,
                password,
            } => self.create_user(if_not_exists, user, password).await,
            Statement::SetPassword { user, password } => {
                let user = user.unwrap_or_else(|| session.user.clone());
                self.set_password(user, password).await
            }
            Statement::DropUser { if_exists, users } => self.drop_users(if_exists, users).await,
            Statement::Grant { roles, users } => self.grant(roles, users).await,
            Statement::Revoke { roles, users } => self.revoke(roles, users).await,
            Statement::ShowUsers => self.show_users().await,
            Statement::ShowGrants(user) => self.show_grants(user.unwrap_or_else(|| session.user.clone())).await,
            Statement::Select(select) => self.ask(session, &select, parameters).await,
            Statement::Accepted => Ok(done()),
            Statement::Use(database) => self.use_database(session, &database).map(|()| done()),
            Statement::Show(show) => self.show(session, *show).await,
            Statement::ShowReplicaStatus { old_names, channel } => self.show_replica_status(old_names, channel).await,
            Statement::ShowCreateTable { database, table } => self.show_create_table(session, database, table).await,
            Statement::ShowCreateDatabase(database) => show::create_database(&database),
            Statement::Kill { query, id } => self.kill(session, query, id),
        }
    }

    /// The columns of a statement's answer, as far as they are known before it is carried out; empty if they are not, or
    /// if it has none. What its `?` will be is not known yet.
    ///
    /// # Errors
    /// What is wrong with the statement.
    pub async fn describe(&self, session: &Session, sql: &str) -> Result<Vec<Column>> {
        let count = grammar::text::parameters(sql);
        let values = vec![Cell::Null; count];
        let statement = match self.understood(session, sql, &values) {
            Ok(statement) => statement,
            // Whether it is right depends on the values.
            Err(error) if count > 0 && !grammar::text::is_select(sql) && error.code == 1064 => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        authority::check(&statement, session, &self.roles(session).await?)?;
        if let Statement::Select(select) = statement {
            let question = self.question(session, &select, &values)?;
            let columns = self.blocking(move |store| store.columns_of(&question)).await?;
            return Ok(columns.map_err(told)?.into_iter().map(column).collect());
        }
        let only_shows = matches!(
            statement,
            Statement::Show(_)
                | Statement::ShowReplicaStatus { .. }
                | Statement::ShowCreateTable { .. }
                | Statement::ShowServers
                | Statement::ShowTasks
                | Statement::ShowTaskStatus(_)
                | Statement::ShowCreateTask(_)
        );
        if !only_shows || count > 0 {
            return Ok(Vec::new());
        }
        match self.execute(&mut session.clone(), sql).await? {
            Reply::Rows { columns, .. } => Ok(columns),
            Reply::Ok { .. } => Ok(Vec::new()),
        }
    }

    /// Reads a statement. A SELECT keeps its `?`; elsewhere they are written out.
    fn understood(&self, _session: &Session, sql: &str, parameters: &[Cell]) -> Result<Statement> {
        let statement = if grammar::text::is_select(sql) || parameters.is_empty() {
            grammar::parse(sql)
        } else {
            grammar::parse(&grammar::text::with_values(sql, parameters))
        }?;
        match &statement {
            Statement::Select(select) if select.parameters() != parameters.len() => Err(SqlError::new(
                1064,
                "42000",
                "You have an error in your Causeway SQL syntax; ? stands for a value only in prepared statements",
            )),
            _ => Ok(statement),
        }
    }

    /// `USE`, also as a command of its own (COM_INIT_DB).
    ///
    /// # Errors
    /// 1049 if there is none of that name.
    pub fn use_database(&self, session: &mut Session, database: &str) -> Result<()> {
        session.database = Some(show::known_database(database)?);
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
        self.answer(Question {
            sql: sql.into(),
            ..Question::default()
        })
        .await
    }

    /// A session's SELECT.
    async fn ask(&self, session: &Session, select: &Select, parameters: &[Cell]) -> Result<Reply> {
        self.answer(self.question(session, select, parameters)?).await
    }

    fn question(&self, session: &Session, select: &Select, parameters: &[Cell]) -> Result<Question> {
        Ok(Question {
            sql: select.fill(|value| variables::session_value(session, value))?,
            parameters: parameters.iter().map(query_cell).collect(),
            ..self.question_of(session)
        })
    }

    /// What the answers to a session's questions depend on.
    fn question_of(&self, session: &Session) -> Question {
        Question {
            database: session.database.clone(),
            facts: self.facts(session),
            interrupted: self.sessions.interrupted(session.connection_id),
            ..Question::default()
        }
    }

    async fn answer(&self, question: Question) -> Result<Reply> {
        // A SELECT without FROM asks nothing of the tables: no need to bring them up to date. Nor can sync.objects be read
        // without its name.
        let text = question.sql.to_ascii_lowercase();
        if text.contains("from") {
            self.control.publish(text.contains("objects")).await;
        }
        let result = self.blocking(move |store| store.answer(&question)).await?;
        result.map(rows).map_err(told)
    }
}

fn told(error: QueryError) -> SqlError {
    SqlError::new(error.code, error.sqlstate, error.message)
}

fn query_cell(cell: &Cell) -> QueryCell {
    match cell {
        Cell::Null => QueryCell::Null,
        Cell::Int(value) => QueryCell::Int(*value),
        // Beyond the largest whole number of the store it compares as the text it is.
        Cell::UInt(value) => i64::try_from(*value).map_or_else(|_| QueryCell::Text(value.to_string()), QueryCell::Int),
        Cell::Double(value) => QueryCell::Double(*value),
        Cell::Text(text) => QueryCell::Text(text.clone()),
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

fn column(column: QueryColumn) -> Column {
    Column {
        name: column.name,
        kind: match column.kind {
            QueryKind::Text => ColumnKind::Text,
            QueryKind::Integer => ColumnKind::Integer,
            QueryKind::Double => ColumnKind::Double,
        },
    }
}

fn rows(result: QueryResult) -> Reply {
    let cell = |cell| match cell {
        QueryCell::Null => Cell::Null,
        QueryCell::Int(value) => Cell::Int(value),
        QueryCell::Double(value) => Cell::Double(value),
        QueryCell::Text(text) => Cell::Text(text),
    };
    Reply::Rows {
        columns: result.columns.into_iter().map(column).collect(),
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
        StoreError::Exists { kind: "account", .. } | StoreError::Missing { kind: "account", .. } => (1396, "HY000"),
        StoreError::LastAdmin => (code::LAST_ADMIN, "HY000"),
        StoreError::Exists { .. } => (code::TASK_EXISTS, "HY000"),
        StoreError::Missing { .. } => (code::NO_SUCH_TASK, "HY000"),
        StoreError::ServerInUse { .. } => (code::SERVER_IN_USE, "HY000"),
        _ => (code::STORE, "HY000"),
    };
    let text = error.to_string();
    let hint = match error {
        StoreError::Missing { kind: "server", .. } => "; SHOW SERVERS lists those there are",
        StoreError::Missing { kind: "account", .. } => "; SHOW USERS lists those there are",
        StoreError::Exists { kind: "account", .. } => "; ALTER USER gives it another password",
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
