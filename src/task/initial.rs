//! Schema sync and full sync of a link that has not followed changes yet.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use futures_util::future;
use mysql_async::{Conn, prelude::Queryable};

use crate::{
    apply::{
        checkpoint::{self, COPY_SLOTS_FROM, LINK_SLOT, LinkKey, Stage, Taken},
        copied,
    },
    connect,
    copy::{self, CopyTable, Fence, Progress},
    failure::Failure,
    model::{
        columns::ColumnMap,
        gtid::GtidSet,
        name::TableName,
        status::{Level, Phase, State},
        table::Table,
        task::{Direction, ExistingTables},
    },
    plan::{copied::Copied, path},
    schema::{
        self,
        create::{self, Definition},
    },
};

use super::{
    existing, join, late_keys,
    link::Link,
    pace::{Pace, Work},
    position::{self, Counting},
    status::LinkStatus,
    stored,
};

/// Where a table of the source goes that a link has to copy itself; `None` if it has not.
type Copies<'a> = dyn Fn(&TableName) -> Option<TableName> + Sync + 'a;

/// Times the definitions are read again until no DDL comes between them and the position.
const STABLE_ATTEMPTS: usize = 20;
/// Tables that are made side by side.
const MAKERS: usize = 4;

/// Does what is left of schema and full sync. Returns the checkpoint from which changes are followed.
///
/// # Errors
/// [`Failure`]; the next attempt goes on where this one ended.
pub async fn run(link: &Link, mut taken: Taken) -> Result<Taken, Failure> {
    let mut source = connect::open(&link.source).await?;
    let mut destination = connect::open(&link.destination).await?;
    let forward = link.key.direction == Direction::Forward;
    if taken.stage != Some(Stage::Full) {
        // Where no changes are followed, no position matters, nor need there be a binlog.
        if forward && link.options.incremental_sync {
            link.counting.send_replace(Counting::at_start(&mut source).await?);
        }
        link.status.enter(State::Schema, None);
        link.status.enter_phase(Phase::Schema);
        let (position, definitions, programs) = definitions_at_a_position(&mut source, link, Wanted::All).await?;
        // The reverse link follows changes from a position that was fixed before the forward one copied its first row.
        let applied = match (forward, taken.stage) {
            (true, _) => position.clone(),
            (false, Some(_)) => taken.applied.clone(),
            (false, None) => {
                return Err(Failure::data(format!(
                    "the reverse link has lost its row in causeway.checkpoint at server {}; drop the task and create it \
                     anew",
                    link.destination.name
                )));
            }
        };
        if matches!(taken.stage, None | Some(Stage::Prepared)) {
            // Also looked at before the start; but one may have been made since.
            let pairs: Vec<(TableName, TableName)> = definitions
                .iter()
                .map(|definition| (definition.source.clone(), definition.destination.clone()))
                .collect();
            let found = existing::look([&mut source, &mut destination], &link.objects, &link.options, &pairs).await?;
            if !found.refusals.is_empty() {
                return Err(Failure::data(found.refusals.join("; ")));
            }
            for warning in found.warnings {
                link.tell(Level::Warning, warning).await;
            }
            if forward
                && let Some(reason) =
                    stored::existing(&mut source, &mut destination, &link.objects, &link.options, &|_| true).await?
            {
                return Err(Failure::data(reason));
            }
        }
        if forward {
            position::begin(&link.source, &mut destination, &link.key, &link.identity, &applied).await?;
        }
        checkpoint::set_stage(
            &mut destination,
            &link.key,
            taken.epoch,
            Stage::Schema,
            &applied,
            &GtidSet::new(),
            &[],
        )
        .await?;
        if link.options.schema_sync {
            make_tables(link, &mut source, &mut destination, &definitions).await?;
            if forward {
                stored::make(link, &mut source, &mut destination, &programs, taken.stage.is_some()).await?;
            }
        }
        if link.two_way && forward {
            prepare_reverse(link, &mut source, &mut destination).await?;
        }
        let copied: Vec<TableName> = definitions.into_iter().map(|definition| definition.source).collect();
        let begin = match !forward && link.options.full_sync {
            true => copied::begin(&link.key, &copied, &position),
            false => Vec::new(),
        };
        checkpoint::set_stage(
            &mut destination,
            &link.key,
            taken.epoch,
            Stage::Full,
            &applied,
            &GtidSet::new(),
            &begin,
        )
        .await?;
        taken.applied = applied;
    }
    let (mut tolerant_until, mut complete) = (GtidSet::new(), Vec::new());
    if link.options.full_sync {
        link.status.enter(State::Full, None);
        link.status.enter_phase(Phase::Full);
        copy_tables(link, &mut source, &mut destination, taken.epoch, None).await?;
        late_keys::make(link, &mut destination).await?;
        let until = position::executed(&mut source, link.counting()).await?;
        complete.push(copied::complete(&link.key, &until));
        if forward {
            tolerant_until = until;
        }
    }
    checkpoint::set_stage(
        &mut destination,
        &link.key,
        taken.epoch,
        Stage::Incremental,
        &taken.applied,
        &tolerant_until,
        &complete,
    )
    .await?;
    link.copied.send_replace(Copied {
        all_until: tolerant_until.clone(),
        tables: copied::load(&mut destination, &link.key).await?,
        ..Copied::default()
    });
    destination
        .query_drop(format!("DELETE FROM causeway.copy WHERE {}", link.key.condition()))
        .await
        .map_err(|error| Failure::mysql("finishing full sync", &error))?;
    link.tell(Level::Info, "schema and full sync are complete").await;
    for conn in [source, destination] {
        conn.disconnect()
            .await
            .map_err(|error| Failure::mysql("closing a connection", &error))?;
    }
    Ok(Taken {
        stage: Some(Stage::Incremental),
        tolerant_until,
        ..taken
    })
}

/// The tables there are for a link to copy: source, destination, estimated rows.
async fn selected_tables(
    source: &mut Conn,
    copies: &Copies<'_>,
) -> Result<Vec<(TableName, TableName, Option<u64>)>, Failure> {
    let tables = schema::list_tables(source).await?;
    Ok(tables
        .into_iter()
        .filter_map(|(name, rows)| copies(&name).map(|destination| (name, destination, rows)))
        .collect())
}

/// Whose definitions.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted<'a> {
    /// Of the selected tables, and of what else is carried with their databases.
    All,
    /// Of these tables (source, destination), and of what else is carried with these databases.
    Some(&'a [(TableName, TableName)], &'a [String]),
}

/// Definitions, and a position at which they hold: a DDL between the two would be lost, or run twice.
pub(super) async fn definitions_at_a_position(
    source: &mut Conn,
    link: &Link,
    wanted: Wanted<'_>,
) -> Result<(GtidSet, Vec<Definition>, Vec<schema::stored::Definition>), Failure> {
    let read = async |source: &mut Conn| -> Result<_, Failure> {
        let (tables, databases) = match wanted {
            Wanted::All => (definitions(source, link).await?, None),
            Wanted::Some(tables, databases) => (create::read(source, tables).await?, Some(databases)),
        };
        // DDL goes forward only, and so does what it would have to keep up with.
        let carries = link.options.schema_sync && link.key.direction == Direction::Forward;
        let programs = match (carries, databases) {
            (false, _) | (true, Some([])) => Vec::new(),
            (true, None) => stored::definitions(source, &link.objects, &|_| true).await?,
            (true, Some(some)) => {
                stored::definitions(source, &link.objects, &|database| some.iter().any(|it| it == database)).await?
            }
        };
        Ok((tables, programs))
    };
    let mut rested_since = position::visible(source, link).await?;
    let mut before = read(source).await?;
    for _ in 0..STABLE_ATTEMPTS {
        let position = position::visible(source, link).await?;
        if position == rested_since {
            return Ok((position, before.0, before.1));
        }
        rested_since.clone_from(&position);
        let after = read(source).await?;
        let counters_apart = |definitions: &[Definition]| -> Vec<(TableName, String)> {
            let apart = |one: &Definition| (one.source.clone(), without_counter(&one.create));
            definitions.iter().map(apart).collect()
        };
        if counters_apart(&before.0) == counters_apart(&after.0) && before.1 == after.1 {
            return Ok((position, after.0, after.1));
        }
        before = after;
    }
    Err(Failure::environment(
        "the definitions at the source keep changing; full sync waits until they rest",
    ))
}

async fn definitions(source: &mut Conn, link: &Link) -> Result<Vec<Definition>, Failure> {
    let tables: Vec<(TableName, TableName)> = selected_tables(source, &|table| link.copies(table))
        .await?
        .into_iter()
        .map(|(from, to, _)| (from, to))
        .collect();
    create::read(source, &tables).await
}

/// `AUTO_INCREMENT=` moves with every insert.
fn without_counter(create: &str) -> String {
    match create.split_once(" AUTO_INCREMENT=") {
        Some((head, tail)) => format!("{head}{}", tail.trim_start_matches(|c: char| c.is_ascii_digit())),
        None => create.to_owned(),
    }
}

pub(super) async fn make_tables(
    link: &Link,
    source: &mut Conn,
    destination: &mut Conn,
    definitions: &[Definition],
) -> Result<(), Failure> {
    create::databases(source, destination, definitions).await?;
    let version = schema::version_number(&source.server_version());
    let map = |name: &TableName| link.objects.map(name);
    let columns = |name: &TableName| link.objects.columns(name);
    let wanted: Vec<TableName> = definitions
        .iter()
        .map(|definition| definition.destination.clone())
        .collect();
    let there = schema::tables::read(destination, &wanted).await?;
    let mut statements = Vec::new();
    for definition in definitions {
        if !there.contains_key(&definition.destination) {
            let statement = create::statement(definition, version, &map, &columns)?;
            let doing = format!("making {} at the destination", definition.destination);
            statements.push((doing, statement));
        }
    }
    let connections = makers(link, statements.len()).await?;
    create::make(connections, statements).await
}

/// Connections to the destination that make so many tables, or the keys of as many.
pub(super) async fn makers(link: &Link, tables: usize) -> Result<Vec<Conn>, Failure> {
    let mut connections = Vec::new();
    for _ in 0..MAKERS.min(tables) {
        connections.push(connect::open(&link.destination).await?);
    }
    Ok(connections)
}

/// Changes at the destination are followed from here: the tables are made, no row has been copied.
async fn prepare_reverse(link: &Link, source: &mut Conn, destination: &mut Conn) -> Result<(), Failure> {
    let counting = Counting::at_start(destination).await?;
    let position = position::executed(destination, counting).await?;
    checkpoint::ensure_schema(source).await?;
    let reverse = LinkKey {
        task: link.key.task.clone(),
        direction: Direction::Reverse,
    };
    // An earlier try has fixed the position.
    if checkpoint::stage(source, &reverse).await?.is_none() {
        position::begin(&link.destination, source, &reverse, &link.identity, &position).await?;
    }
    // Objects of its own are still to be looked for, and copied.
    let stage = match link.shared.reverse_copies {
        true => Stage::Prepared,
        false => Stage::Incremental,
    };
    source
        .query_drop(format!(
            "INSERT INTO causeway.checkpoint (task, link, slot, epoch, sequence, path, applied, phase, tolerant_until) \
             VALUES ({}, {LINK_SLOT}, 0, 0, '', '{position}', '{}', '') \
             ON DUPLICATE KEY UPDATE sequence = sequence",
            reverse.values(),
            stage.as_str()
        ))
        .await
        .map_err(|error| Failure::mysql("preparing the reverse direction", &error))
}

/// Copies the rows of the tables of a link, or of `some` of them, as far as they have not been copied. A table that is
/// made, renamed or altered meanwhile starts over.
pub(super) async fn copy_tables(
    link: &Link,
    source: &mut Conn,
    destination: &mut Conn,
    epoch: u64,
    some: Option<&[TableName]>,
) -> Result<(), Failure> {
    let mut since = position::visible(source, link).await?;
    let mut next = tables_to_copy(link, source, destination, some).await?;
    if some.is_none() {
        late_keys::put_off(link, destination, &next.tables, &next.estimates).await?;
    }
    loop {
        copy_all(link, destination, epoch, next.tables).await?;
        let now = position::visible(source, link).await?;
        if now == since {
            return Ok(());
        }
        since = now;
        next = tables_to_copy(link, source, destination, some).await?;
        if !next.over {
            return Ok(());
        }
    }
}

/// The tables of the copy as they are now.
struct ToCopy {
    tables: Vec<CopyTable>,
    /// Rows at the source.
    estimates: HashMap<TableName, u64>,
    /// One of the tables had to start over.
    over: bool,
}

async fn tables_to_copy(
    link: &Link,
    source: &mut Conn,
    destination: &mut Conn,
    some: Option<&[TableName]>,
) -> Result<ToCopy, Failure> {
    let forward = link.key.direction == Direction::Forward;
    let mut pairs = selected_tables(source, &|table| link.copies(table)).await?;
    if let Some(some) = some {
        pairs.retain(|(from, ..)| some.contains(from));
    } else if !forward {
        // DDL does not go this way: what was not there when the copy began stays out.
        let copied = copied::load(destination, &link.key).await?;
        pairs.retain(|(from, ..)| copied.contains_key(from));
    } else if pairs.is_empty() {
        link.tell(
            Level::Warning,
            "no table at the source is selected yet, or the account may not see any (it needs SELECT on them)",
        )
        .await;
    }
    link.status.tables(pairs.iter().cloned(), Phase::Full);
    let estimates = pairs
        .iter()
        .filter_map(|(from, _, rows)| Some((from.clone(), (*rows)?)));
    let estimates = estimates.collect();
    let pairs: Vec<(TableName, TableName)> = pairs.into_iter().map(|(from, to, _)| (from, to)).collect();
    let (mut tables, over) = fitting(link, source, destination, &pairs).await?;
    if !over.is_empty() {
        join::start_over(link, source, destination, &over).await?;
        let (anew, _) = fitting(link, source, destination, &over).await?;
        tables.extend(anew);
    }
    Ok(ToCopy {
        tables,
        estimates,
        over: !over.is_empty(),
    })
}

/// The tables that the destination has as they are at the source, and those whose copy has to start over.
async fn fitting(
    link: &Link,
    source: &mut Conn,
    destination: &mut Conn,
    pairs: &[(TableName, TableName)],
) -> Result<(Vec<CopyTable>, Vec<(TableName, TableName)>), Failure> {
    let (froms, tos): (Vec<TableName>, Vec<TableName>) = pairs.iter().cloned().unzip();
    let mut sources = schema::tables::read(source, &froms).await?;
    let mut destinations = schema::tables::read(destination, &tos).await?;
    let may_start_over = may_start_over(link);
    let (mut copied, mut over) = (Vec::with_capacity(pairs.len()), Vec::new());
    for (from, to) in pairs {
        match (sources.remove(from), destinations.remove(to)) {
            (Some(here), Some(there)) => {
                let columns = link.objects.columns(from);
                match lacks(&here, &there, &columns) {
                    None => copied.push(CopyTable {
                        source: Arc::new(here),
                        destination: Arc::new(there),
                        columns,
                        filter: link.objects.filter(from).map(str::to_owned),
                        gate: None,
                    }),
                    Some(_) if may_start_over => over.push((from.clone(), to.clone())),
                    Some(column) => {
                        return Err(Failure::data(format!(
                            "{to} has no column for {column} of {from}; make the definitions equal, then RESUME the task"
                        )));
                    }
                }
            }
            // Dropped since the position was taken: the statement that did it is still to come.
            (None, _) => {}
            (Some(_), None) if may_start_over => over.push((from.clone(), to.clone())),
            (Some(_), None)
                if link.options.schema_sync
                    && link.options.incremental_sync
                    && link.key.direction == Direction::Forward => {}
            (Some(_), None) => {
                return Err(Failure::data(format!(
                    "{to} is not there at the destination; make it there, set schema_sync = ON, or take {from} out of \
                     the task"
                )));
            }
        }
    }
    Ok((copied, over))
}

/// Whether a table whose copy has begun may be dropped at the destination, and begun anew.
pub(super) fn may_start_over(link: &Link) -> bool {
    makes_tables(link) && link.options.incremental_sync
}

/// Whether all tables at the destination are made by schema sync.
pub(super) fn makes_tables(link: &Link) -> bool {
    link.options.schema_sync
        && link.options.existing_tables == ExistingTables::Error
        && link.key.direction == Direction::Forward
}

/// A column that the destination has not: its values would be left out of the rest of the copy.
pub(super) fn lacks<'t>(here: &'t Table, there: &Table, columns: &ColumnMap) -> Option<&'t str> {
    let written = here.columns.iter().filter(|column| !column.generated);
    let names = written.map(|column| column.name.as_str());
    names
        .into_iter()
        .find(|name| columns.to(name).is_some_and(|to| there.position(to).is_none()))
}

/// Copies the rows of these tables, as far as they have not been copied.
pub(super) async fn copy_all(
    link: &Link,
    destination: &mut Conn,
    epoch: u64,
    copied: Vec<CopyTable>,
) -> Result<(), Failure> {
    link.status.reset_copied(copied.iter().map(|table| &table.source.name));
    let writers = usize::from(link.options.workers);
    let slots: Vec<u16> = (0..link.options.workers)
        .map(|number| COPY_SLOTS_FROM + number)
        .collect();
    for slot in &slots {
        destination
            .query_drop(format!(
                "INSERT INTO causeway.checkpoint (task, link, slot, epoch, sequence, path, applied, phase, tolerant_until) \
                 VALUES ({}, {slot}, {epoch}, 0, '', '', '', '') ON DUPLICATE KEY UPDATE epoch = VALUES(epoch)",
                link.key.values()
            ))
            .await
            .map_err(|error| Failure::mysql("preparing full sync", &error))?;
    }
    let path = path::print(std::slice::from_ref(&link.here));
    let begin = slots
        .iter()
        .map(|slot| {
            let update = checkpoint::update_slot(&link.key, *slot, epoch, &path, 0, &GtidSet::new());
            format!("BEGIN;{update}")
        })
        .collect();
    let fence = Fence {
        begin,
        lost: checkpoint::fenced(&link.key),
        link_values: link.key.values(),
        link_condition: link.key.condition(),
    };
    let pair = || async { tokio::try_join!(connect::open(&link.source), connect::open(&link.destination)) };
    let connections = future::try_join_all((0..writers).map(|_| pair())).await?;
    let cutting = pair().await?;
    let progress = Arc::new(Shown {
        status: link.status.clone(),
        pace: link.pace.clone(),
    });
    copy::copy(copied, cutting, connections, fence, progress).await
}

#[derive(Debug)]
struct Shown {
    status: Arc<LinkStatus>,
    pace: Arc<Pace>,
}

#[async_trait]
impl Progress for Shown {
    async fn admit(&self) {
        self.pace.wait(Work::Copy).await;
    }

    fn resumed(&self, table: &TableName, rows: u64) {
        self.status.resumed(table, rows);
    }

    fn copied(&self, table: &TableName, rows: u64, bytes: u64) {
        let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        self.pace.spend(Work::Copy, count(rows), count(bytes));
        self.status.copied(table, rows, bytes);
    }

    fn finished(&self, table: &TableName) {
        self.status.copied_all(table);
    }
}
