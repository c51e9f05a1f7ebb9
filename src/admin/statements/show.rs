//! SHOW of lists, SHOW CREATE TABLE and DATABASE: over `sync`, `information_schema` and `performance_schema`.

use super::{Reply, Result, SYNC, Session, Statements, text_rows, variables};
use crate::admin::grammar::{Filter, Scope, Show};
use crate::admin::reply::{Cell, SqlError};
use crate::store::{Question, tables_of};

/// The databases there are.
const DATABASES: [&str; 3] = ["information_schema", "performance_schema", SYNC];

/// The database's own spelling of its name.
pub(super) fn known_database(database: &str) -> Result<String> {
    let known = DATABASES.iter().find(|known| known.eq_ignore_ascii_case(database));
    known.map(|known| (*known).to_owned()).ok_or_else(|| {
        let message = format!("Unknown database '{database}'; Causeway's tables are in sync");
        SqlError::new(1049, "42000", message)
    })
}

/// The database that is meant: the named one, the session's, or `sync`.
fn database(session: &Session, named: Option<&str>) -> Result<String> {
    known_database(named.or(session.database.as_deref()).unwrap_or(SYNC))
}

fn known_table(database: &str, table: &str) -> Result<String> {
    let tables = tables_of(database).unwrap_or_default();
    let known = tables.into_iter().find(|known| known.eq_ignore_ascii_case(table));
    known.map(str::to_owned).ok_or_else(|| {
        let message =
            format!("Table '{database}.{table}' doesn't exist; SHOW TABLES FROM {database} lists those there are");
        SqlError::new(1146, "42S02", message)
    })
}

impl Statements {
    pub(super) async fn show(&self, session: &Session, show: Show) -> Result<Reply> {
        let list = show.list;
        let mut select = if show.full { list.full } else { list.select }.to_owned();
        let mut column = list.like.to_owned();
        if list.scope != Scope::Server {
            let database = database(session, show.database.as_deref())?;
            if let Some(table) = &show.table {
                select = select.replace("{table}", &known_table(&database, table)?);
            }
            select = select.replace("{database}", &database);
            column = column.replace("{database}", &database);
        }
        let mut question = self.question_of(session);
        question.sql = match show.filter {
            Filter::All => select,
            Filter::Like(pattern) => {
                let pattern = pattern.replace('\'', "''");
                format!("SELECT * FROM ({select}) WHERE \"{column}\" LIKE '{pattern}' ESCAPE '\\'")
            }
            Filter::Where(condition) => {
                let condition = condition.fill(|value| variables::session_value(session, value))?;
                format!("SELECT * FROM ({select}) WHERE {condition}")
            }
        };
        self.answer(question).await
    }

    pub(super) async fn show_create_table(
        &self,
        session: &Session,
        named: Option<String>,
        table: String,
    ) -> Result<Reply> {
        let database = database(session, named.as_deref())?;
        let table = known_table(&database, &table)?;
        let columns = self
            .answer(Question {
                sql: format!(
                    "SELECT '  `' || COLUMN_NAME || '` ' || COLUMN_TYPE || iif(IS_NULLABLE = 'NO', ' NOT NULL', '')
                     FROM information_schema.columns WHERE TABLE_SCHEMA = '{database}' AND TABLE_NAME = '{table}'
                     UNION ALL SELECT '  PRIMARY KEY (' || group_concat('`' || COLUMN_NAME || '`', ',') || ')' FROM
                        (SELECT COLUMN_NAME FROM information_schema.statistics
                         WHERE TABLE_SCHEMA = '{database}' AND TABLE_NAME = '{table}' ORDER BY SEQ_IN_INDEX)
                     HAVING count(*) > 0"
                ),
                ..self.question_of(session)
            })
            .await?;
        let Reply::Rows { rows, .. } = columns else {
            return Ok(columns);
        };
        let lines = rows.into_iter().flatten().filter_map(|cell| match cell {
            Cell::Text(line) => Some(line),
            _ => None,
        });
        let lines: Vec<String> = lines.collect();
        let text = format!("CREATE TABLE `{table}` (\n{}\n)", lines.join(",\n"));
        Ok(text_rows(&["Table", "Create Table"], vec![vec![table, text]]))
    }
}

pub(super) fn create_database(database: &str) -> Result<Reply> {
    let database = known_database(database)?;
    let text = format!("CREATE DATABASE `{database}` /*!40100 DEFAULT CHARACTER SET utf8mb4 */");
    Ok(text_rows(&["Database", "Create Database"], vec![vec![database, text]]))
}
