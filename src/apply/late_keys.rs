//! Keys that full sync has taken off a table until its rows are there, kept at the destination: written before they go,
//! removed when all of them are back.

use mysql_async::{Conn, prelude::Queryable};

use crate::{failure::Failure, model::name::TableName, sql::literal};

use super::checkpoint::LinkKey;

/// A key that is off its table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateKey {
    /// The table's name at the source.
    pub source: TableName,
    /// The table's name at the destination.
    pub destination: TableName,
    /// Its name.
    pub name: String,
    /// What follows ADD.
    pub definition: String,
}

/// The keys that a link has taken off.
///
/// # Errors
/// [`Failure`] if the server refuses.
pub async fn load(conn: &mut Conn, link: &LinkKey) -> Result<Vec<LateKey>, Failure> {
    let rows: Vec<(String, String, String, String, String, String)> = conn
        .query(format!(
            "SELECT source_database, source_table, destination_database, destination_table, name, definition \
             FROM causeway.late_keys WHERE {} \
             ORDER BY source_database, source_table, place",
            link.condition()
        ))
        .await
        .map_err(|error| Failure::mysql("reading which keys are still to be made", &error))?;
    let keys = rows
        .into_iter()
        .map(|(from_database, from, to_database, to, name, definition)| LateKey {
            source: TableName::new(from_database, from),
            destination: TableName::new(to_database, to),
            name,
            definition,
        });
    Ok(keys.collect())
}

/// Writes down the keys that are about to be taken off a table.
///
/// # Errors
/// [`Failure`] if the server refuses.
pub async fn note(conn: &mut Conn, link: &LinkKey, keys: &[LateKey]) -> Result<(), Failure> {
    let rows: Vec<String> = keys
        .iter()
        .enumerate()
        .map(|(place, key)| {
            format!(
                "({}, {}, {}, {place}, {}, {}, {}, {})",
                link.values(),
                literal::string(&key.source.database),
                literal::string(&key.source.table),
                literal::string(&key.destination.database),
                literal::string(&key.destination.table),
                literal::string(&key.name),
                literal::string(&key.definition)
            )
        })
        .collect();
    conn.query_drop(format!(
        "INSERT INTO causeway.late_keys (task, link, source_database, source_table, place, destination_database, \
         destination_table, name, definition) VALUES {}",
        rows.join(", ")
    ))
    .await
    .map_err(|error| Failure::mysql("writing down which keys are made later", &error))
}

/// Forgets the keys of all tables of a link, or of the one with this name at the source.
///
/// # Errors
/// [`Failure`] if the server refuses.
pub async fn forget(conn: &mut Conn, link: &LinkKey, table: Option<&TableName>) -> Result<(), Failure> {
    let of_table = table.map_or_else(String::new, |table| {
        format!(
            " AND source_database = {} AND source_table = {}",
            literal::string(&table.database),
            literal::string(&table.table)
        )
    });
    conn.query_drop(format!(
        "DELETE FROM causeway.late_keys WHERE {}{of_table}",
        link.condition()
    ))
    .await
    .map_err(|error| Failure::mysql("forgetting which keys were made later", &error))
}
