//! Keys that are made when a table's rows are there: filling them row by row takes more, and more of the disk the larger they
//! are.

use std::collections::HashSet;

use mysql_async::{Conn, prelude::Queryable};

use crate::{
    ddl::{self, PlainKey, StatementContext},
    failure::Failure,
    model::{name::TableName, table::Table},
    sql::ident,
};

use super::{create::MARK, show_create_table, version_number};

/// ER_TABLEACCESS_DENIED_ERROR.
const COMMAND_DENIED: u16 = 1142;

/// The keys of a table that nothing but queries needs.
///
/// # Errors
/// [`Failure`] if the server refuses, or the definition can't be understood.
pub async fn spare(conn: &mut Conn, table: &Table) -> Result<Vec<PlainKey>, Failure> {
    let own = table.foreign_keys.iter().flat_map(|key| &key.columns);
    let referred_to = table.references.iter().flat_map(|reference| &reference.columns);
    let of_foreign_keys = own.chain(referred_to).filter_map(|place| table.columns.get(*place));
    let counters = table.columns.iter().filter(|column| column.auto_increment);
    // A key may serve a foreign key or a counter that begins like it.
    let needed: HashSet<String> = of_foreign_keys
        .chain(counters)
        .map(|column| column.name.to_lowercase())
        .collect();
    let is_spare = |key: &PlainKey| {
        let first = key.columns.first();
        first.is_some_and(|first| !needed.contains(&first.to_lowercase()))
    };
    let keys = plain(conn, &table.name).await?.unwrap_or_default();
    Ok(keys.into_iter().filter(is_spare).collect())
}

/// The plain keys of a table; `None` if it is not there.
async fn plain(conn: &mut Conn, table: &TableName) -> Result<Option<Vec<PlainKey>>, Failure> {
    let Some(create) = show_create_table(conn, table).await? else {
        return Ok(None);
    };
    let context = StatementContext {
        default_database: Some(&table.database),
        sql_mode: 0,
        server_version: version_number(&conn.server_version()),
    };
    let keys = ddl::plain_keys(&create, &context).map_err(|reason| {
        Failure::data(format!(
            "the definition of {table} at the destination can't be understood: {reason}"
        ))
    })?;
    Ok(Some(keys))
}

/// Takes keys off a table. `false`: the account may not, which it need not where no DDL is carried.
///
/// # Errors
/// [`Failure`] if the server refuses for another reason.
pub async fn drop(conn: &mut Conn, table: &TableName, keys: &[PlainKey]) -> Result<bool, Failure> {
    let clauses: Vec<String> = keys
        .iter()
        .map(|key| format!("DROP KEY {}", ident::quoted(&key.name)))
        .collect();
    match conn.query_drop(alter(table, &clauses)).await {
        Ok(()) => Ok(true),
        Err(mysql_async::Error::Server(error)) if error.code == COMMAND_DENIED => Ok(false),
        Err(error) => Err(Failure::mysql(
            format_args!("taking keys off {table} until its rows are there"),
            &error,
        )),
    }
}

/// The statement that makes those of `keys` (name, definition) that a table does not have; `None` if it has all, or is not
/// there.
///
/// # Errors
/// [`Failure`] if the server refuses, or the table's definition can't be understood.
pub async fn making(conn: &mut Conn, table: &TableName, keys: &[(String, String)]) -> Result<Option<String>, Failure> {
    let Some(there) = plain(conn, table).await? else {
        return Ok(None);
    };
    let is_missing = |name: &String| !there.iter().any(|key| key.name.eq_ignore_ascii_case(name));
    let clauses: Vec<String> = keys
        .iter()
        .filter(|(name, _)| is_missing(name))
        .map(|(_, definition)| format!("ADD {definition}"))
        .collect();
    Ok((!clauses.is_empty()).then(|| alter(table, &clauses)))
}

fn alter(table: &TableName, clauses: &[String]) -> String {
    format!(
        "ALTER TABLE {} {}{MARK}",
        ident::quoted_table(table),
        clauses.join(", ")
    )
}
