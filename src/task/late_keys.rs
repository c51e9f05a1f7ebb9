//! Keys of large tables that full sync makes when the rows are there.
//!
//! Only of tables that schema sync has made: nobody queries them yet. What is taken off is written down before, at the
//! destination, so that it comes back whatever happens in between.

use std::collections::{BTreeMap, HashMap, HashSet};

use mysql_async::{Conn, prelude::Queryable};

use crate::{
    apply::late_keys::{self, LateKey},
    copy::{self, CopyTable},
    failure::Failure,
    model::{name::TableName, status::Level},
    precheck, schema,
};

use super::{initial, link::Link};

/// Rows from which on it pays: each ALTER TABLE takes some 50 ms.
const ROWS: u64 = 100_000;
/// Room to sort in, of each connection that makes keys: of the 1 MiB that is the default the server takes a quarter longer.
/// Older servers know no such variable.
const SORTING: &str = "SET @causeway_applying = 1 /*!80027 , SESSION innodb_ddl_buffer_size = 33554432 */";

/// Takes the keys off large tables whose copy has not begun. `estimates`: how many rows there are at the source.
///
/// # Errors
/// [`Failure`] if the destination refuses.
pub async fn put_off(
    link: &Link,
    destination: &mut Conn,
    tables: &[CopyTable],
    estimates: &HashMap<TableName, u64>,
) -> Result<(), Failure> {
    let is_large = |table: &&CopyTable| estimates.get(&table.source.name).is_some_and(|rows| *rows >= ROWS);
    let large: Vec<&CopyTable> = tables.iter().filter(is_large).collect();
    if large.is_empty() || !initial::makes_tables(link) {
        return Ok(());
    }
    let noted = late_keys::load(destination, &link.key).await?;
    let mut begun: HashSet<TableName> = noted.into_iter().map(|key| key.source).collect();
    begun.extend(copy::begun(destination, &link.key.condition()).await?);
    let mut names = Vec::new();
    for table in large.into_iter().filter(|table| !begun.contains(&table.source.name)) {
        let keys = schema::keys::spare(destination, &table.destination).await?;
        if keys.is_empty() {
            continue;
        }
        let late: Vec<LateKey> = keys
            .iter()
            .map(|key| LateKey {
                source: table.source.name.clone(),
                destination: table.destination.name.clone(),
                name: key.name.clone(),
                definition: key.definition.clone(),
            })
            .collect();
        late_keys::note(destination, &link.key, &late).await?;
        if schema::keys::drop(destination, &table.destination.name, &keys).await? {
            names.push(table.destination.name.clone());
        } else {
            late_keys::forget(destination, &link.key, Some(&table.source.name)).await?;
        }
    }
    if !names.is_empty() {
        let message = format!(
            "the keys of {} that are not unique are made when the rows are there",
            precheck::some_of(&names)
        );
        link.tell(Level::Info, message).await;
    }
    Ok(())
}

/// Makes the keys that are off.
///
/// # Errors
/// [`Failure`] if the destination refuses; the next call goes on.
pub async fn make(link: &Link, destination: &mut Conn) -> Result<(), Failure> {
    let noted = late_keys::load(destination, &link.key).await?;
    if noted.is_empty() {
        return Ok(());
    }
    let mut by_table: BTreeMap<TableName, Vec<(String, String)>> = BTreeMap::new();
    for key in noted {
        by_table
            .entry(key.destination)
            .or_default()
            .push((key.name, key.definition));
    }
    let mut statements = Vec::new();
    for (table, keys) in by_table {
        if let Some(statement) = schema::keys::making(destination, &table, &keys).await? {
            statements.push((format!("making the keys of {table} at the destination"), statement));
        }
    }
    let mut connections = initial::makers(link, statements.len()).await?;
    for conn in &mut connections {
        conn.query_drop(SORTING)
            .await
            .map_err(|error| Failure::mysql("preparing to make keys at the destination", &error))?;
    }
    schema::create::make(connections, statements).await?;
    late_keys::forget(destination, &link.key, None).await
}
