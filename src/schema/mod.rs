//! Definitions as a server reports them.

use mysql_async::{Conn, Row, prelude::Queryable};

use crate::{
    failure::Failure,
    model::{name::TableName, table::Table},
    sql::{NOT_SYSTEM, ident, literal},
};

pub mod create;
pub mod keys;
pub mod stored;
pub mod tables;

/// A server's version as MySQL's own comments have it: `9.7.4` as 90704.
pub fn version_number((major, minor, patch): &(u16, u16, u16)) -> u32 {
    u32::from(*major) * 10_000 + u32::from(*minor) * 100 + u32::from(*patch)
}

/// Reads the definition of one table; `None` if there is no such base table.
///
/// # Errors
/// [`Failure`] if the server refuses, or a column's type is not known.
pub async fn read_table(conn: &mut Conn, name: &TableName) -> Result<Option<Table>, Failure> {
    Ok(tables::read(conn, std::slice::from_ref(name)).await?.remove(name))
}

/// Base tables whose names differ from this one in case at most.
///
/// # Errors
/// [`Failure`] if the server refuses.
pub async fn tables_in_any_case(conn: &mut Conn, name: &TableName) -> Result<Vec<TableName>, Failure> {
    let rows: Vec<(String, String)> = conn
        .query(format!(
            "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE' AND \
             LOWER(TABLE_SCHEMA) = LOWER({}) AND LOWER(TABLE_NAME) = LOWER({})",
            literal::string(&name.database),
            literal::string(&name.table)
        ))
        .await
        .map_err(|error| Failure::mysql(format_args!("looking for {name}"), &error))?;
    Ok(rows
        .into_iter()
        .map(|(database, table)| TableName::new(database, table))
        .collect())
}

const BASE_TABLES: &str = "FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE'";

/// All base tables outside of the system databases, in order.
///
/// # Errors
/// [`Failure`] if the server refuses.
pub async fn list_tables(conn: &mut Conn) -> Result<Vec<(TableName, Option<u64>)>, Failure> {
    let rows: Vec<(String, String, Option<u64>)> = conn
        .query(format!(
            "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_ROWS {BASE_TABLES} AND TABLE_SCHEMA {NOT_SYSTEM} \
             ORDER BY TABLE_SCHEMA, TABLE_NAME"
        ))
        .await
        .map_err(|error| Failure::mysql("listing tables", &error))?;
    Ok(rows
        .into_iter()
        .map(|(database, table, rows)| (TableName::new(database, table), rows))
        .collect())
}

/// The names alone of [`list_tables`]: the estimates of thousands of tables are read from each of them.
///
/// # Errors
/// [`Failure`] if the server refuses.
pub async fn table_names(conn: &mut Conn) -> Result<Vec<TableName>, Failure> {
    let rows: Vec<(String, String)> = conn
        .query(format!(
            "SELECT TABLE_SCHEMA, TABLE_NAME {BASE_TABLES} AND TABLE_SCHEMA {NOT_SYSTEM}"
        ))
        .await
        .map_err(|error| Failure::mysql("listing tables", &error))?;
    Ok(rows
        .into_iter()
        .map(|(database, table)| TableName::new(database, table))
        .collect())
}

/// Those of [`list_tables`] that have no primary key.
///
/// # Errors
/// [`Failure`] if the server refuses.
pub async fn list_tables_without_primary_key(conn: &mut Conn) -> Result<Vec<TableName>, Failure> {
    let rows: Vec<(String, String)> = conn
        .query(format!(
            "SELECT t.TABLE_SCHEMA, t.TABLE_NAME FROM information_schema.TABLES t \
             LEFT JOIN information_schema.TABLE_CONSTRAINTS c ON c.TABLE_SCHEMA = t.TABLE_SCHEMA \
             AND c.TABLE_NAME = t.TABLE_NAME AND c.CONSTRAINT_TYPE = 'PRIMARY KEY' \
             WHERE t.TABLE_TYPE = 'BASE TABLE' AND c.TABLE_NAME IS NULL AND t.TABLE_SCHEMA {NOT_SYSTEM} \
             ORDER BY t.TABLE_SCHEMA, t.TABLE_NAME"
        ))
        .await
        .map_err(|error| Failure::mysql("listing tables without a primary key", &error))?;
    Ok(rows
        .into_iter()
        .map(|(database, table)| TableName::new(database, table))
        .collect())
}

/// When the table was made, or last rebuilt or emptied, in seconds since the Unix epoch by the server's clock. ALTER TABLE
/// does not change it where it works INSTANT.
///
/// # Errors
/// [`Failure`] if the server refuses.
pub async fn made_at(conn: &mut Conn, name: &TableName) -> Result<Option<u64>, Failure> {
    let query = format!(
        "SELECT UNIX_TIMESTAMP(CREATE_TIME) FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
        literal::string(&name.database),
        literal::string(&name.table)
    );
    let found: Option<Option<u64>> = conn
        .query_first(query)
        .await
        .map_err(|error| Failure::mysql(format_args!("reading the definition of {name}"), &error))?;
    Ok(found.flatten())
}

/// `SHOW CREATE TABLE`; `None` if there is no such table.
///
/// # Errors
/// [`Failure`] if the server refuses.
pub async fn show_create_table(conn: &mut Conn, name: &TableName) -> Result<Option<String>, Failure> {
    let row: Result<Option<Row>, _> = conn
        .query_first(format!("SHOW CREATE TABLE {}", ident::quoted_table(name)))
        .await;
    match row {
        Ok(row) => Ok(row.and_then(|row| row.get_opt::<String, _>(1).and_then(Result::ok))),
        // No such table, no such database.
        Err(mysql_async::Error::Server(error)) if error.code == 1146 || error.code == 1049 => Ok(None),
        Err(error) => Err(Failure::mysql(format_args!("reading the definition of {name}"), &error)),
    }
}

/// `SHOW CREATE TABLE` of several tables in one round trip; `None` if one of them is not there.
///
/// # Errors
/// [`Failure`] if the server refuses.
pub async fn show_create_tables(conn: &mut Conn, names: &[&TableName]) -> Result<Option<Vec<Option<String>>>, Failure> {
    let statements: Vec<String> = names
        .iter()
        .map(|name| format!("SHOW CREATE TABLE {}", ident::quoted_table(name)))
        .collect();
    let answer = async {
        let mut result = conn.query_iter(statements.join(";")).await?;
        let mut creates = Vec::with_capacity(names.len());
        while !result.is_empty() {
            let rows: Vec<Row> = result.collect().await?;
            let row = rows.into_iter().next();
            creates.push(row.and_then(|row| row.get_opt::<String, _>(1).and_then(Result::ok)));
        }
        result.drop_result().await?;
        Ok(creates)
    };
    match answer.await {
        Ok(creates) => Ok((creates.len() == names.len()).then_some(creates)),
        Err(mysql_async::Error::Server(error)) if error.code == 1146 || error.code == 1049 => Ok(None),
        Err(error) => Err(Failure::mysql("reading definitions", &error)),
    }
}
