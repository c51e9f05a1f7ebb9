//! Tables that come into the selection while the link follows changes: made at the destination and copied, before
//! anything behind the statement that brought them in is dealt with.
//!
//! The copy has a position of its own, later than the statement's: what the log has of the table up to there is in the copy
//! and is passed over, statements included ([`crate::plan::copied`]).

use mysql_async::{Conn, prelude::Queryable};

use crate::{
    apply::copied,
    connect,
    failure::Failure,
    model::{gtid::Gtid, name::TableName, status::Level},
    schema::{self, create::Definition},
    sql::{ident, literal},
};

use super::{initial, link::Link, position};

/// Brings in `tables`, as the statement `gtid` has moved them. Goes on where an earlier try has ended. `Err` with a reason
/// in it: the operator has to make room first.
///
/// # Errors
/// [`Failure`] if a server is out of reach or refuses.
pub async fn run(link: &Link, epoch: u64, gtid: &Gtid, tables: &[TableName]) -> Result<Result<(), String>, Failure> {
    let mut source = connect::open(&link.source).await?;
    let mut destination = connect::open(&link.destination).await?;
    let begun = copied::load(&mut destination, &link.key).await?;
    let is_done = |table: &&TableName| {
        begun
            .get(*table)
            .is_some_and(|it| it.from.contains(gtid) && !it.until.is_empty())
    };
    let pairs: Vec<(TableName, TableName)> = tables
        .iter()
        .filter(|table| !is_done(table))
        .filter_map(|table| Some((table.clone(), link.objects.map(table)?)))
        .collect();
    if pairs.is_empty() {
        return Ok(Ok(()));
    }
    let is_fresh = |table: &TableName| begun.get(table).is_none_or(|it| !it.until.is_empty());
    let fresh: Vec<TableName> = pairs
        .iter()
        .map(|(table, _)| table)
        .filter(|table| is_fresh(table))
        .cloned()
        .collect();
    for (table, to) in pairs.iter().filter(|(table, _)| is_fresh(table)) {
        if schema::read_table(&mut destination, to).await?.is_some() {
            return Ok(Err(format!(
                "{table} comes into the selection, but {to} is at the destination already: drop or rename it there (under SET \
                 sql_log_bin = 0), then RESUME the task"
            )));
        }
    }
    let definitions = begin(link, &mut source, &mut destination, &pairs, &fresh).await?;
    for (table, _) in &pairs {
        link.tell(
            Level::Info,
            format!("{table} has come into the selection by {gtid}, and is being copied"),
        )
        .await;
    }
    initial::make_tables(link, &mut source, &mut destination, &definitions).await?;
    if link.options.full_sync {
        let names: Vec<TableName> = pairs.iter().map(|(table, _)| table.clone()).collect();
        initial::copy_tables(link, &mut source, &mut destination, epoch, Some(&names)).await?;
    }
    let until = position::executed(&mut source, link.counting()).await?;
    write(&mut destination, copied::complete(&link.key, &until)).await?;
    write(
        &mut destination,
        format!("DELETE FROM causeway.copy WHERE {}", link.key.condition()),
    )
    .await?;
    let tables = copied::load(&mut destination, &link.key).await?;
    link.copied.send_modify(|copied| copied.tables = tables);
    for (table, to) in &pairs {
        link.tell(
            Level::Info,
            format!("{table} has been copied to {to} and is followed from here"),
        )
        .await;
    }
    for conn in [source, destination] {
        conn.disconnect()
            .await
            .map_err(|error| Failure::mysql("closing a connection", &error))?;
    }
    Ok(Ok(()))
}

/// Fixes the position of the copies of `fresh` tables. Returns the definitions of all.
async fn begin(
    link: &Link,
    source: &mut Conn,
    destination: &mut Conn,
    pairs: &[(TableName, TableName)],
    fresh: &[TableName],
) -> Result<Vec<Definition>, Failure> {
    let (position, definitions, _) = initial::definitions_at_a_position(source, link, Some(pairs)).await?;
    for statement in copied::begin(&link.key, fresh, &position) {
        write(destination, statement).await?;
    }
    Ok(definitions)
}

/// Tables that full sync meets and that the destination does not have as they are now, as they were made, renamed or
/// altered since it began: they get a position of their own, and their copy starts over.
///
/// # Errors
/// [`Failure`] if a server is out of reach or refuses.
pub(super) async fn start_over(
    link: &Link,
    source: &mut Conn,
    destination: &mut Conn,
    pairs: &[(TableName, TableName)],
) -> Result<(), Failure> {
    for (table, to) in pairs {
        let message = format!("{table} was made or altered during full sync: its copy starts over");
        link.tell(Level::Info, message).await;
        let drop = format!(
            "DROP TABLE IF EXISTS {}; DELETE FROM causeway.copy WHERE {} AND source_database = {} AND source_table = {}",
            ident::quoted_table(to),
            link.key.condition(),
            literal::string(&table.database),
            literal::string(&table.table)
        );
        write(destination, drop).await?;
    }
    let names: Vec<TableName> = pairs.iter().map(|(table, _)| table.clone()).collect();
    let definitions = begin(link, source, destination, pairs, &names).await?;
    initial::make_tables(link, source, destination, &definitions).await
}

async fn write(conn: &mut Conn, statement: String) -> Result<(), Failure> {
    conn.query_drop(statement)
        .await
        .map_err(|error| Failure::mysql("writing down which tables are copied", &error))
}
