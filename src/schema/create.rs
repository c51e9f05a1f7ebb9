//! Schema sync: databases and tables as they are at the source, under the names they have at the destination.

use std::{collections::BTreeSet, sync::Arc};

use mysql_async::{Conn, Row, prelude::Queryable};
use tokio::{sync::Mutex, task::JoinSet};

use crate::{
    ddl::{self, Mapping, Role, StatementContext},
    failure::Failure,
    model::{columns::ColumnMap, name::TableName},
    sql::{ident, literal},
};

use super::{show_create_table, show_create_tables};

/// Definitions that one packet asks for.
const TOGETHER: usize = 100;

/// Ends a CREATE TABLE or ALTER TABLE of ours, so that the other link, which meets it in the binlog (MySQL logs it as it was
/// sent), knows it for one that nobody else has made.
pub const MARK: &str = " /* causeway: schema sync */";

/// A table to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Its name at the source.
    pub source: TableName,
    /// Its name at the destination.
    pub destination: TableName,
    /// `SHOW CREATE TABLE` at the source.
    pub create: String,
}

/// Reads the definitions of `tables` (source name, destination name).
///
/// # Errors
/// [`Failure`] if the server refuses.
pub async fn read(conn: &mut Conn, tables: &[(TableName, TableName)]) -> Result<Vec<Definition>, Failure> {
    let mut definitions = Vec::with_capacity(tables.len());
    for some in tables.chunks(TOGETHER) {
        let names: Vec<&TableName> = some.iter().map(|(source, _)| source).collect();
        let creates = match show_create_tables(conn, &names).await? {
            Some(creates) => creates,
            // One that was dropped meanwhile is simply not there, and ends the packet.
            None => {
                let mut creates = Vec::with_capacity(some.len());
                for name in names {
                    creates.push(show_create_table(conn, name).await?);
                }
                creates
            }
        };
        for ((source, destination), create) in some.iter().zip(creates) {
            definitions.extend(create.map(|create| Definition {
                source: source.clone(),
                destination: destination.clone(),
                create,
            }));
        }
    }
    Ok(definitions)
}

/// The statement that makes the table at the destination.
///
/// # Errors
/// [`Failure`] if the definition can't be read, or refers to a table outside of the task.
pub fn statement(
    definition: &Definition,
    version: u32,
    map: &dyn Fn(&TableName) -> Option<TableName>,
    columns: &dyn Fn(&TableName) -> ColumnMap,
) -> Result<String, Failure> {
    let context = StatementContext {
        default_database: Some(&definition.source.database),
        sql_mode: 0,
        server_version: version,
    };
    let statement = ddl::classify(&definition.create, &context).map_err(|error| {
        Failure::data(format!(
            "the definition of {} can't be understood: {error}",
            definition.source
        ))
    })?;
    let names = |role: Role, name: &TableName| match role {
        Role::Table => Some(definition.destination.clone()),
        // A parent outside of the task: where it has the same name at the destination the key is good as it stands.
        Role::ForeignKeyParent => map(name).or_else(|| Some(name.clone())),
        _ => map(name),
    };
    let mapping = Mapping {
        names: &names,
        columns,
        has_key: &|_, _| true,
    };
    let failed = |reason: String| {
        Failure::data(format!(
            "the table {} can't be made at the destination: {reason}",
            definition.source
        ))
    };
    match statement.rewrite_for(&mapping) {
        Ok(Some(statement)) => Ok(statement + MARK),
        Ok(None) => Err(failed("none of its columns is carried".to_owned())),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// Makes tables, or keys of tables, side by side on these connections. `statements`: what each does, and its text.
///
/// # Errors
/// [`Failure`] if the server refuses; what was made stays.
pub async fn make(mut connections: Vec<Conn>, statements: Vec<(String, String)>) -> Result<(), Failure> {
    // Parents and children lock each other: those that refer to others are made one after the other, at the end.
    let (referring, apart): (Vec<_>, Vec<_>) = statements
        .into_iter()
        .partition(|(_, statement)| statement.contains("FOREIGN KEY"));
    let last = connections.pop();
    let waiting = Arc::new(Mutex::new(apart.into_iter()));
    let mut makers = JoinSet::new();
    for conn in connections {
        makers.spawn(make_all(conn, waiting.clone()));
    }
    if let Some(conn) = last {
        let conn = make_all(conn, waiting).await?;
        while let Some(made) = makers.join_next().await {
            made.map_err(|error| Failure::data(format!("making tables has come upon an internal error: {error}")))??;
        }
        make_all(conn, Arc::new(Mutex::new(referring.into_iter()))).await?;
    }
    Ok(())
}

type Waiting = Arc<Mutex<std::vec::IntoIter<(String, String)>>>;

async fn make_all(mut conn: Conn, waiting: Waiting) -> Result<Conn, Failure> {
    loop {
        let next = waiting.lock().await.next();
        let Some((doing, statement)) = next else {
            return Ok(conn);
        };
        conn.query_drop(statement)
            .await
            .map_err(|error| Failure::mysql(doing, &error))?;
    }
}

/// Makes the databases that `definitions` need and that are not there, with the character set they have at the source.
///
/// # Errors
/// [`Failure`] if a server refuses.
pub async fn databases(source: &mut Conn, destination: &mut Conn, definitions: &[Definition]) -> Result<(), Failure> {
    let pairs: BTreeSet<(&str, &str)> = definitions
        .iter()
        .map(|definition| {
            (
                definition.source.database.as_str(),
                definition.destination.database.as_str(),
            )
        })
        .collect();
    for (from, to) in pairs {
        database(source, destination, from, to).await?;
    }
    Ok(())
}

/// Makes a database like `from` at the source, unless it is there.
///
/// # Errors
/// [`Failure`] if a server refuses.
pub async fn database(source: &mut Conn, destination: &mut Conn, from: &str, to: &str) -> Result<(), Failure> {
    let found: Option<String> = destination
        .query_first(format!(
            "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = {}",
            literal::string(to)
        ))
        .await
        .map_err(|error| Failure::mysql(format_args!("looking for database {to}"), &error))?;
    if found.is_some() {
        return Ok(());
    }
    let row: Option<Row> = source
        .query_first(format!(
            "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA \
             WHERE SCHEMA_NAME = {}",
            literal::string(from)
        ))
        .await
        .map_err(|error| Failure::mysql(format_args!("reading the definition of database {from}"), &error))?;
    let Some((charset, collation)) = row.and_then(|row| mysql_async::from_row_opt::<(String, String)>(row).ok()) else {
        return Ok(());
    };
    destination
        .query_drop(format!(
            "CREATE DATABASE {} CHARACTER SET {charset} COLLATE {collation}",
            ident::quoted(to)
        ))
        .await
        .map_err(|error| Failure::mysql(format_args!("making database {to} (which needs CREATE on it)"), &error))
}
