//! Tables that a statement brings into the selection while the link follows changes: made at the destination, and copied.
//!
//! The copy has a position of its own, later than the statement's: what the log has of the table up to there is in the copy
//! and is passed over, statements included ([`crate::plan::copied`]).

use mysql_async::{Conn, prelude::Queryable};

use crate::{
    apply::{copied, late_keys},
    connect,
    failure::Failure,
    model::{
        gtid::Gtid,
        name::TableName,
        status::{Level, Phase},
    },
    schema::{self, create::Definition},
    sql::{ident, literal},
};

use super::{
    additions::run_all,
    initial::{self, Wanted},
    link::Link,
};

/// Brings in `tables`, as the statement `gtid` has moved them; [`super::copier`] copies their rows while the link goes on.
/// `Err` with a reason in it: the operator has to make room first.
///
/// # Errors
/// [`Failure`] if a server is out of reach or refuses.
pub async fn run(link: &Link, gtid: &Gtid, tables: &[TableName]) -> Result<Result<(), String>, Failure> {
    let mut destination = connect::open(&link.destination).await?;
    let begun = copied::load(&mut destination, &link.key).await?;
    // What an earlier try has begun is made, and copied, with the start of the link.
    let is_begun = |table: &&TableName| begun.get(*table).is_some_and(|it| it.from.contains(gtid));
    let pairs: Vec<(TableName, TableName)> = tables
        .iter()
        .filter(|table| !is_begun(table))
        .filter_map(|table| Some((table.clone(), link.objects.map(table)?)))
        .collect();
    if pairs.is_empty() {
        return Ok(Ok(()));
    }
    for (table, to) in &pairs {
        if schema::read_table(&mut destination, to).await?.is_some() {
            return Ok(Err(format!(
                "{table} comes into the selection, but {to} is at the destination already: drop or rename it there (under SET \
                 sql_log_bin = 0), then RESUME the task"
            )));
        }
    }
    let mut source = connect::open(&link.source).await?;
    let definitions = begin(link, &mut source, &mut destination, &pairs).await?;
    for (table, to) in &pairs {
        let message = format!("{table} has come into the selection by {gtid}, and is being copied to {to}");
        link.tell(Level::Info, message).await;
    }
    initial::make_tables(link, &mut source, &mut destination, &definitions).await?;
    let mut begun = copied::load(&mut destination, &link.key).await?;
    begun.retain(|name, _| pairs.iter().any(|(from, _)| from == name));
    link.status
        .tables(pairs.into_iter().map(|(from, to)| (from, to, None)), Phase::Full);
    // The copy of others may end meanwhile: these alone are changed.
    link.copied.send_modify(|copied| {
        copied.gone.retain(|name| !begun.contains_key(name));
        copied.tables.extend(begun);
    });
    for conn in [source, destination] {
        conn.disconnect()
            .await
            .map_err(|error| Failure::mysql("closing a connection", &error))?;
    }
    Ok(Ok(()))
}

/// Fixes the position of the copies of tables. Returns their definitions.
async fn begin(
    link: &Link,
    source: &mut Conn,
    destination: &mut Conn,
    pairs: &[(TableName, TableName)],
) -> Result<Vec<Definition>, Failure> {
    let wanted = Wanted::Some(pairs, &[]);
    let (position, definitions, _) = initial::definitions_at_a_position(source, link, wanted).await?;
    let names: Vec<TableName> = pairs.iter().map(|(table, _)| table.clone()).collect();
    let mut statements = copied::discard(&link.key, &names);
    statements.extend(copied::begin(&link.key, &names, &position));
    run_all(destination, &statements).await?;
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
        link.shared.drops(to);
        destination
            .query_drop(drop)
            .await
            .map_err(|error| Failure::mysql(format_args!("beginning the copy of {table} anew"), &error))?;
        // Not before: a table that stays is to get its keys back.
        late_keys::forget(destination, &link.key, Some(table)).await?;
    }
    let definitions = begin(link, source, destination, pairs).await?;
    initial::make_tables(link, source, destination, &definitions).await
}
