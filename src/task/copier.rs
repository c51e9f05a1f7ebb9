//! Copies tables that come to a link which follows changes already, while it goes on.
//!
//! Range by range as in full sync, and with the same argument for why it is right (see [`crate::copy`]): each range is
//! newer than the changes that have been applied, so those behind it are applied over whatever is there, up to the position
//! where the last range has been read. That a range and the table's changes are not at work at the same time, the table's
//! gate sees to ([`super::gates`]).

use std::{collections::HashMap, sync::Arc};

use mysql_async::Conn;

use crate::{
    apply::copied,
    connect,
    copy::CopyTable,
    failure::{Failure, Kind},
    model::{
        gtid::GtidSet,
        name::TableName,
        status::{Level, Phase},
    },
    plan::copied::{Copied, TableCopy},
    precheck, schema,
};

use super::{additions::run_all, initial, link::Link};

/// Copies what is to be copied, now and whenever something comes in. Ends with the link.
///
/// # Errors
/// [`Failure`] of a server; or a definition has changed, and the link begins anew.
pub async fn run(link: Arc<Link>, epoch: u64) -> Result<(), Failure> {
    let mut copied = link.copied.subscribe();
    loop {
        if copied.wait_for(|copied| !due(&link, copied).is_empty()).await.is_err() {
            return std::future::pending().await;
        }
        let tables = due(&link, &link.copied.borrow());
        copy(&link, epoch, tables).await?;
    }
}

/// Copies what is to be copied now, for a link that follows no changes.
///
/// # Errors
/// As [`run`].
pub async fn once(link: &Link, epoch: u64) -> Result<(), Failure> {
    let tables = due(link, &link.copied.borrow());
    match tables.is_empty() {
        true => Ok(()),
        false => copy(link, epoch, tables).await,
    }
}

/// Tables to copy: source, destination.
fn due(link: &Link, copied: &Copied) -> Vec<(TableName, TableName)> {
    let names = copied.unfinished().into_iter();
    let names = names.filter(|name| !name.table.is_empty() && !copied.gone.contains(name));
    names
        .filter_map(|name| link.objects.map(&name).map(|to| (name, to)))
        .collect()
}

async fn copy(link: &Link, epoch: u64, mut pairs: Vec<(TableName, TableName)>) -> Result<(), Failure> {
    let mut source = connect::open(&link.source).await?;
    let mut destination = connect::open(&link.destination).await?;
    let begun: HashMap<TableName, Arc<TableCopy>> = link.copied.borrow().tables.clone();
    let estimates: HashMap<TableName, Option<u64>> = schema::list_tables(&mut source).await?.into_iter().collect();
    let tables = fitting(link, &mut source, &mut destination, &mut pairs).await?;
    let shown = pairs.iter().map(|(from, to)| {
        let rows = estimates.get(from).copied().flatten();
        (from.clone(), to.clone(), rows)
    });
    link.status.tables(shown, Phase::Full);
    if pairs.is_empty() {
        return Ok(());
    }
    if link.options.full_sync {
        initial::copy_all(link, &mut destination, epoch, tables).await?;
    }
    let until = initial::executed(&mut source).await?;
    // A statement may have come between: rows that were read behind it are others than those of the copy.
    fitting(link, &mut source, &mut destination, &mut pairs.clone()).await?;
    // Most have come in together.
    let mut by_position: Vec<(GtidSet, Vec<TableName>)> = Vec::new();
    for (from, _) in &pairs {
        let position = begun.get(from).map(|copy| copy.from.clone()).unwrap_or_default();
        match by_position.iter_mut().find(|(known, _)| *known == position) {
            Some((_, tables)) => tables.push(from.clone()),
            None => by_position.push((position, vec![from.clone()])),
        }
    }
    let mut statements = Vec::new();
    for (position, tables) in &by_position {
        let until = if link.options.full_sync { &until } else { position };
        statements.push(copied::complete_some(&link.key, tables, position, until));
        statements.extend(copied::discard(&link.key, tables));
    }
    run_all(&mut destination, &statements).await?;
    // Others may come in meanwhile: these alone are changed.
    link.copied.send_modify(|copied| {
        for (position, tables) in by_position {
            let until = if link.options.full_sync { &until } else { &position };
            let copy = Arc::new(TableCopy {
                from: position.clone(),
                until: until.clone(),
            });
            let complete = tables.into_iter().map(|table| (table, copy.clone()));
            copied.tables.extend(complete);
        }
    });
    let names: Vec<TableName> = pairs.into_iter().map(|(from, _)| from).collect();
    names.iter().for_each(|name| link.status.copied_all(name));
    let (names, have) = (precheck::some_of(&names), if names.len() == 1 { "has" } else { "have" });
    let message = format!("{names} {have} been copied to the destination, and {have} come in step with the others");
    link.tell(Level::Info, message).await;
    for conn in [source, destination] {
        conn.disconnect()
            .await
            .map_err(|error| Failure::mysql("closing a connection", &error))?;
    }
    Ok(())
}

/// The tables as they can be copied. Those that the source has no more are taken out of `pairs`.
async fn fitting(
    link: &Link,
    source: &mut Conn,
    destination: &mut Conn,
    pairs: &mut Vec<(TableName, TableName)>,
) -> Result<Vec<CopyTable>, Failure> {
    let (froms, tos): (Vec<TableName>, Vec<TableName>) = pairs.iter().cloned().unzip();
    let mut here = schema::tables::read(source, &froms).await?;
    let mut there = schema::tables::read(destination, &tos).await?;
    let gone: Vec<TableName> = froms.iter().filter(|name| !here.contains_key(*name)).cloned().collect();
    if !gone.is_empty() {
        pairs.retain(|(from, _)| !gone.contains(from));
        link.status.forget(&gone);
        link.copied.send_modify(|copied| copied.gone.extend(gone));
    }
    let mut tables = Vec::with_capacity(pairs.len());
    for (from, to) in pairs.iter() {
        let (Some(source), Some(destination)) = (here.remove(from), there.remove(to)) else {
            return Err(altered(from));
        };
        let columns = link.objects.columns(from);
        if initial::lacks(&source, &destination, &columns).is_some() {
            return Err(altered(from));
        }
        tables.push(CopyTable {
            source: Arc::new(source),
            destination: Arc::new(destination),
            columns,
            filter: link.objects.filter(from).map(str::to_owned),
            gate: Some(link.gates.of(from)),
        });
    }
    Ok(tables)
}

/// The link begins anew, and with it the copy of this table.
fn altered(table: &TableName) -> Failure {
    Failure {
        kind: Kind::Definitions,
        message: format!("{table} was made or altered while it was being copied"),
    }
}
