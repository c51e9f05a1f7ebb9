//! Objects that a task gets, or loses, after it has been started.
//!
//! The definition in the store is changed first, and the objects that the task had until then are kept beside it; then the
//! links begin anew. Between two transactions of its source each of them comes from the former objects to the new ones:
//!
//! 1. [`adopt`]: the tables that come in are written down at the destination, as ones that are still to be copied, together
//!    with the number of the change. From here on the former objects are of no use, and are forgotten.
//! 2. [`make`]: what is written down and not there is made, with views and programs of databases that come in as a whole.
//!    The reverse link learns from where on it follows the tables; then the position of the copy is fixed.
//! 3. The link follows changes. Those of the new tables up to their position are passed over, the others are applied in the
//!    tolerant mode, and [`super::copier`] copies the rows beside them.
//!
//! Each step may be repeated after a crash: the first one knows by the number that it has been done, the second one looks
//! what is there, the third one goes on where it ended. What leaves is just not selected any more: it stays at the
//! destination as it is.

use mysql_async::{Conn, prelude::Queryable};

use crate::{
    apply::{
        checkpoint::{self, LinkKey, Stage, Taken},
        copied,
    },
    connect,
    failure::Failure,
    model::{
        gtid::GtidSet,
        name::TableName,
        server::ServerDefinition,
        status::{Level, Phase},
        task::{Direction, ObjectRule, TaskDefinition},
    },
    plan::{self, objects::Objects},
    precheck, schema,
    sql::ident,
};

use super::{
    check, existing,
    initial::{self, Wanted},
    link::Link,
    objects, stored,
};

/// Objects that a link had before.
#[derive(Debug, Clone)]
pub struct Former {
    /// Its number in the store.
    pub number: u64,
    /// What was selected.
    pub objects: Objects,
}

/// Where a table goes that comes in: one that the link has to copy itself, and that it did not have all the time.
fn incoming(objects: &Objects, forward: Option<&Objects>, former: &[Former], table: &TableName) -> Option<TableName> {
    let destination = plan::copied::own(objects, forward, table)?;
    let selected = objects.select(table);
    let has_come = former.iter().any(|former| former.objects.select(table) != selected);
    has_come.then_some(destination)
}

/// Whether a database comes in as a whole.
fn database_comes(objects: &Objects, former: &[Former], database: &str) -> bool {
    let mapped = objects.map_database(database);
    mapped.is_some()
        && former
            .iter()
            .any(|former| former.objects.map_database(database) != mapped)
}

/// Why a task that has been started before can't get these objects, if it can't, besides what the precheck finds. `added` are
/// rules that are to select something. Changes nothing.
///
/// # Errors
/// [`Failure`] if a server is out of reach or refuses.
pub async fn refusal(
    [source, destination]: [&ServerDefinition; 2],
    before: &TaskDefinition,
    after: &TaskDefinition,
    added: &[ObjectRule],
) -> Result<Option<String>, Failure> {
    let case = [
        check::facts(source).await?.lower_case_table_names,
        check::facts(destination).await?.lower_case_table_names,
    ];
    let of = |task: &TaskDefinition, direction| objects::of(task, direction, case).map_err(Failure::data);
    let forward = of(after, Direction::Forward)?;
    let mut reasons = Vec::new();
    for (direction, [from, to]) in [
        (Direction::Forward, [source, destination]),
        (Direction::Reverse, [destination, source]),
    ] {
        let is_changed = match direction {
            Direction::Forward => before.objects != after.objects,
            Direction::Reverse => before.reverse_objects != after.reverse_objects,
        };
        if !is_changed {
            continue;
        }
        let change = Change {
            task: after,
            direction,
            former: [Former {
                number: 0,
                objects: of(before, direction)?,
            }],
            objects: of(after, direction)?,
            forward: (direction == Direction::Reverse).then_some(&forward),
        };
        let mut from = connect::open(from).await?;
        let mut to = connect::open(to).await?;
        reasons.extend(change.refusals(&mut from, &mut to, added).await?);
        for conn in [from, to] {
            conn.disconnect()
                .await
                .map_err(|error| Failure::mysql("closing a connection", &error))?;
        }
    }
    Ok((!reasons.is_empty()).then(|| reasons.join("; ")))
}

/// The objects of one direction, before and after.
struct Change<'a> {
    task: &'a TaskDefinition,
    direction: Direction,
    former: [Former; 1],
    objects: Objects,
    /// Those of the forward direction, for the reverse one.
    forward: Option<&'a Objects>,
}

impl Change<'_> {
    async fn refusals(
        &self,
        source: &mut Conn,
        destination: &mut Conn,
        added: &[ObjectRule],
    ) -> Result<Vec<String>, Failure> {
        let [before] = &self.former;
        let mut reasons = Vec::new();
        let tables: Vec<TableName> = names(schema::list_tables(source).await?);
        let databases = databases_at(source).await?;
        for rule in added {
            let fits = |table: &TableName| rule.is_about(&table.database, &table.table);
            let whole = matches!(rule, ObjectRule::Include(selection) if selection.table.is_none());
            let is_there = tables.iter().any(fits) || whole && databases.iter().any(|name| rule.is_about(name, ""));
            if let (false, ObjectRule::Include(selection)) = (is_there, rule) {
                reasons.push(format!(
                    "there is nothing at the source that fits {}.{}, or the account may not see it (it needs SELECT)",
                    selection.database,
                    selection.table.as_deref().unwrap_or("*")
                ));
            }
        }
        let (mut pairs, mut changed, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        for table in &tables {
            match (before.objects.select(table), self.objects.select(table)) {
                (Some(was), Some(is)) if was != is => changed.push(table.clone()),
                (Some(_), None) => gone.push(table.clone()),
                _ => {}
            }
            if let Some(to) = incoming(&self.objects, self.forward, &self.former, table) {
                pairs.push((table.clone(), to));
            }
        }
        if !changed.is_empty() {
            reasons.push(format!(
                "{} would be synchronized in another way than so far; REMOVE what there is first",
                precheck::some_of(&changed)
            ));
        }
        if !added.is_empty() && !gone.is_empty() {
            reasons.push(format!(
                "NOT would take {} out, which is synchronized; use REMOVE OBJECTS for that",
                precheck::some_of(&gone)
            ));
        }
        let options = self.task.options_for(self.direction);
        let found = existing::look([source, destination], &self.objects, &options, &pairs).await?;
        reasons.extend(found.refusals);
        if self.direction == Direction::Forward {
            let comes = |database: &str| database_comes(&self.objects, &self.former, database);
            reasons.extend(stored::existing(source, destination, &self.objects, &options, &comes).await?);
        }
        Ok(reasons)
    }
}

async fn databases_at(conn: &mut Conn) -> Result<Vec<String>, Failure> {
    conn.query("SELECT SCHEMA_NAME FROM information_schema.SCHEMATA ORDER BY SCHEMA_NAME")
        .await
        .map_err(|error| Failure::mysql("listing databases", &error))
}

fn names(tables: Vec<(TableName, Option<u64>)>) -> Vec<TableName> {
    tables.into_iter().map(|(name, _)| name).collect()
}

/// The row of `causeway.copied` that says that a link has come to the objects of this number; its table has no database.
fn mark(number: u64) -> TableName {
    TableName::new("", format!("objects {number}"))
}

fn marked(table: &TableName) -> Option<u64> {
    let number = table
        .table
        .strip_prefix("objects ")
        .filter(|_| table.database.is_empty())?;
    number.parse().ok()
}

/// Comes from the former objects of the link to its own.
///
/// # Errors
/// [`Failure`] if a server is out of reach or refuses, or something is in the way at the destination.
pub async fn adopt(link: &Link, taken: &Taken) -> Result<(), Failure> {
    let mut former = link.former();
    let Some(last) = former.last().map(|former| former.number) else {
        return Ok(());
    };
    let known = link.copied.borrow().tables.keys().filter_map(marked).max();
    former.retain(|former| known.is_none_or(|known| former.number > known));
    // Before, everything is still to be looked for.
    let has_begun = matches!(taken.stage, Some(Stage::Full | Stage::Incremental));
    if let (true, false, Some(stage)) = (has_begun, former.is_empty(), taken.stage) {
        let mut source = connect::open(&link.source).await?;
        let mut destination = connect::open(&link.destination).await?;
        write_down(link, taken, stage, last, &former, &mut source, &mut destination).await?;
        for conn in [source, destination] {
            conn.disconnect()
                .await
                .map_err(|error| Failure::mysql("closing a connection", &error))?;
        }
    }
    let (store, task, direction) = (link.store.clone(), link.task.clone(), link.key.direction);
    let forgotten = tokio::task::spawn_blocking(move || store.forget_former_objects(&task, direction, last)).await;
    match forgotten {
        Ok(Ok(())) => link.forget_former(last),
        Ok(Err(error)) => return Err(Failure::data(error.to_string())),
        Err(error) => return Err(Failure::data(format!("the store can't be asked: {error}"))),
    }
    Ok(())
}

async fn write_down(
    link: &Link,
    taken: &Taken,
    stage: Stage,
    number: u64,
    former: &[Former],
    source: &mut Conn,
    destination: &mut Conn,
) -> Result<(), Failure> {
    let forward = (link.key.direction == Direction::Reverse).then_some(&link.shared.forward_objects);
    let tables = schema::list_tables(source).await?;
    let comes = |table: &TableName| incoming(&link.objects, forward, former, table);
    let pairs: Vec<(TableName, TableName, Option<u64>)> = tables
        .into_iter()
        .filter_map(|(table, rows)| comes(&table).map(|to| (table, to, rows)))
        .collect();
    let plain: Vec<(TableName, TableName)> = pairs.iter().map(|(from, to, _)| (from.clone(), to.clone())).collect();
    let databases: Vec<String> = match link.key.direction {
        Direction::Forward => stored::whole_databases(source, &link.objects).await?,
        Direction::Reverse => Vec::new(),
    };
    let comes = |database: &str| database_comes(&link.objects, former, database);
    let found = existing::look([source, destination], &link.objects, &link.options, &plain).await?;
    let mut refusals = found.refusals;
    if link.key.direction == Direction::Forward {
        refusals.extend(stored::existing(source, destination, &link.objects, &link.options, &comes).await?);
    }
    if !refusals.is_empty() {
        return Err(Failure::data(format!(
            "objects that were added can't come in: {}; or take them out again (ALTER SYNC TASK {} REMOVE OBJECTS), then \
             RESUME the task",
            refusals.join("; "),
            link.task
        )));
    }
    for warning in found.warnings {
        link.tell(Level::Warning, warning).await;
    }
    let mut rows: Vec<TableName> = plain.iter().map(|(from, _)| from.clone()).collect();
    let mut statements = copied::discard(&link.key, &rows);
    let whole = databases.iter().filter(|database| comes(database));
    rows.extend(whole.map(|database| TableName::new(database, "")));
    // The position is still to be fixed.
    statements.extend(copied::begin(&link.key, &rows, &GtidSet::new()));
    statements.extend(copied::follow(&link.key, &[mark(number)], &taken.applied));
    checkpoint::set_stage(
        destination,
        &link.key,
        taken.epoch,
        stage,
        &taken.applied,
        &taken.tolerant_until,
        &statements,
    )
    .await?;
    let tables = copied::load(destination, &link.key).await?;
    link.copied.send_modify(|copied| copied.tables = tables);
    link.status.tables(pairs.into_iter(), Phase::Schema);
    if !plain.is_empty() {
        let names: Vec<TableName> = plain.into_iter().map(|(from, _)| from).collect();
        let message = format!(
            "{} came to the objects of the task, and will be copied",
            precheck::some_of(&names)
        );
        link.tell(Level::Info, message).await;
    }
    Ok(())
}

/// Makes what is to be copied and is not there, and fixes the position of its copy. What a crash has left half made begins
/// anew.
///
/// # Errors
/// [`Failure`] if a server is out of reach or refuses.
pub async fn make(link: &Link) -> Result<(), Failure> {
    let unfinished = link.copied.borrow().unfinished();
    if unfinished.is_empty() {
        return Ok(());
    }
    let (wholes, tables): (Vec<TableName>, Vec<TableName>) =
        unfinished.into_iter().partition(|name| name.table.is_empty());
    let databases: Vec<String> = wholes.iter().map(|name| name.database.clone()).collect();
    let mut source = connect::open(&link.source).await?;
    let mut destination = connect::open(&link.destination).await?;
    let to_make = to_make(link, &mut source, &mut destination, tables).await?;
    if !to_make.is_empty() || !databases.is_empty() {
        let wanted = Wanted::Some(&to_make, &databases);
        let (position, definitions, programs) = initial::definitions_at_a_position(&mut source, link, wanted).await?;
        let there = databases_at(&mut destination).await?;
        if link.options.schema_sync {
            initial::make_tables(link, &mut source, &mut destination, &definitions).await?;
            if !databases.is_empty() {
                stored::make(link, &mut source, &mut destination, &programs, true).await?;
            }
        }
        if link.two_way && link.key.direction == Direction::Forward {
            let mapped = databases
                .iter()
                .filter_map(|database| link.objects.map_database(database));
            let made = to_make.iter().map(|(_, to)| to.database.clone());
            let mut made: Vec<String> = made
                .filter(|database| !there.contains(database))
                .chain(mapped)
                .collect();
            made.sort_unstable();
            made.dedup();
            follow_back(link, &mut source, &mut destination, &to_make, &made).await?;
        }
        let names: Vec<TableName> = to_make.into_iter().map(|(from, _)| from).collect();
        let mut statements = copied::discard(&link.key, &names);
        statements.extend(copied::begin(&link.key, &names, &position));
        if !wholes.is_empty() {
            statements.push(copied::complete_some(&link.key, &wholes, &GtidSet::new(), &position));
            statements.extend(copied::follow(&link.key, &wholes, &position));
        }
        run_all(&mut destination, &statements).await?;
        let tables = copied::load(&mut destination, &link.key).await?;
        link.copied.send_modify(|copied| copied.tables = tables);
    }
    for conn in [source, destination] {
        conn.disconnect()
            .await
            .map_err(|error| Failure::mysql("closing a connection", &error))?;
    }
    Ok(())
}

/// Of tables that are to be copied, those (source, destination) that have to be made, or whose copy has no position yet.
/// What does not fit any more is dropped.
async fn to_make(
    link: &Link,
    source: &mut Conn,
    destination: &mut Conn,
    tables: Vec<TableName>,
) -> Result<Vec<(TableName, TableName)>, Failure> {
    let pairs: Vec<(TableName, TableName)> = tables
        .into_iter()
        .filter_map(|table| link.objects.map(&table).map(|to| (table, to)))
        .collect();
    let (froms, tos): (Vec<TableName>, Vec<TableName>) = pairs.iter().cloned().unzip();
    let here = schema::tables::read(source, &froms).await?;
    let there = schema::tables::read(destination, &tos).await?;
    let mut to_make = Vec::new();
    let mut gone = Vec::new();
    for (from, to) in pairs {
        let has_begun = {
            let copied = link.copied.borrow();
            copied.tables.get(&from).is_some_and(|copy| !copy.from.is_empty())
        };
        match (here.get(&from), there.get(&to)) {
            (None, None) => gone.push(from),
            // A statement that is still to come says why.
            (None, Some(_)) => {}
            (Some(_), None) if link.options.schema_sync => to_make.push((from, to)),
            (Some(_), None) => {
                return Err(Failure::data(format!(
                    "{to} is not there at the destination; make it there, set schema_sync = ON, or take {from} out of the task"
                )));
            }
            (Some(source_table), Some(table)) => {
                match initial::lacks(source_table, table, &link.objects.columns(&from)) {
                    None if has_begun => {}
                    None => to_make.push((from, to)),
                    Some(_) if initial::may_start_over(link) => {
                        let message = format!("{from} was altered while it was copied: its copy starts over");
                        link.tell(Level::Info, message).await;
                        run_all(destination, &[format!("DROP TABLE {}", ident::quoted_table(&to))]).await?;
                        to_make.push((from, to));
                    }
                    Some(column) => {
                        return Err(Failure::data(format!(
                            "{to} has no column for {column} of {from}; make the definitions equal, then RESUME the task"
                        )));
                    }
                }
            }
        }
    }
    if !gone.is_empty() {
        forget(link, destination, &gone).await?;
    }
    Ok(to_make)
}

/// There is nothing to copy any more of these tables.
///
/// # Errors
/// [`Failure`] if the destination refuses.
pub async fn forget(link: &Link, destination: &mut Conn, tables: &[TableName]) -> Result<(), Failure> {
    copied::forget(destination, &link.key, tables).await?;
    run_all(destination, &copied::discard(&link.key, tables)).await?;
    link.copied.send_modify(|copied| {
        copied.tables.retain(|name, _| !tables.contains(name));
        copied.gone.retain(|name| !tables.contains(name));
    });
    link.status.forget(tables);
    Ok(())
}

/// The reverse link follows the tables that come in from here on: they are made, and no row has been copied. What was run
/// here to make them, and what is in the databases that came with them, is none of its business.
async fn follow_back(
    link: &Link,
    source: &mut Conn,
    destination: &mut Conn,
    tables: &[(TableName, TableName)],
    databases: &[String],
) -> Result<(), Failure> {
    let position = initial::executed(destination).await?;
    let key = LinkKey {
        task: link.key.task.clone(),
        direction: Direction::Reverse,
    };
    let names: Vec<TableName> = tables
        .iter()
        .map(|(_, to)| to.clone())
        .chain(databases.iter().map(|database| TableName::new(database, "")))
        .collect();
    checkpoint::ensure_schema(source).await?;
    run_all(source, &copied::follow(&key, &names, &position)).await
}

/// All in one transaction.
pub(super) async fn run_all(conn: &mut Conn, statements: &[String]) -> Result<(), Failure> {
    if statements.is_empty() {
        return Ok(());
    }
    let failed = |error: mysql_async::Error| Failure::mysql("writing down which tables are copied", &error);
    conn.query_drop("BEGIN").await.map_err(failed)?;
    for statement in statements {
        conn.query_drop(statement).await.map_err(failed)?;
    }
    conn.query_drop("COMMIT").await.map_err(failed)
}

/// Names of this link's copies whose tables are not among its objects any more.
pub fn unselected(link: &Link) -> Vec<TableName> {
    let copied = link.copied.borrow();
    let is_selected = |name: &TableName| match (name.database.is_empty(), name.table.is_empty()) {
        (true, _) => true,
        (false, true) => {
            let in_part = link.objects.databases_of_tables(&name.database);
            link.objects.map_database(&name.database).is_some() || !in_part.is_empty()
        }
        (false, false) => link.objects.map(name).is_some(),
    };
    copied
        .tables
        .keys()
        .filter(|name| !is_selected(name))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        assert_eq!(marked(&mark(12)), Some(12));
        assert_eq!(marked(&TableName::new("shop", "objects 12")), None);
        assert_eq!(marked(&TableName::new("", "objects")), None);
    }
}
