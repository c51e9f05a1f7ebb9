//! Status of links and tables: published by the supervisor when somebody asks, read back after a restart so that the counters
//! of `sync.status` go on where they were.

use std::{
    collections::HashMap,
    sync::PoisonError,
    time::{Duration, Instant},
};

use rusqlite::{Connection, Row, params};

use super::tasks::from_json;
use super::{Result, Store, StoreError, integer};
use crate::model::status::{CopyProgress, LagParts, ObjectRow, Phase, State, StatusRow, Throughput};
use crate::model::task::{Direction, Wanted};

/// While anything is asked for, `sync.objects` is this old at most: after a crash its counters go on from there.
const OBJECTS_EVERY: Duration = Duration::from_secs(10);

impl Store {
    /// Whether `sync.objects` should be published again though nobody asks for it.
    pub fn objects_are_due(&self) -> bool {
        let published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        published
            .as_ref()
            .is_none_or(|published| published.at.elapsed() >= OBJECTS_EVERY)
    }

    /// Replaces `sync.status`, and `sync.objects` where they are given, by these rows, and derives the states in `sync.tasks`
    /// from them.
    ///
    /// # Errors
    /// When the store fails.
    pub fn publish(&self, status: &[StatusRow], objects: Option<&[ObjectRow]>) -> Result<()> {
        let mut writer = self.writer();
        let transaction = writer.transaction()?;
        transaction.execute_batch("DELETE FROM status")?;
        write_status(&transaction, status)?;
        refresh_task_states(&transaction)?;
        let Some(objects) = objects else {
            transaction.commit()?;
            return Ok(());
        };
        let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        let rows = replace_objects(&transaction, published.take(), objects)?;
        transaction.commit()?;
        *published = Some(Published {
            rows,
            at: Instant::now(),
        });
        Ok(())
    }

    /// Something else has written to `sync.objects`.
    pub(super) fn forget_published(&self) {
        *self.published.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The rows of `sync.status` as last published, also by an earlier process.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    pub fn last_status(&self) -> Result<Vec<StatusRow>> {
        let writer = self.writer();
        let mut statement = writer.prepare_cached(
            "SELECT task, direction, state, phase, source_position, applied_position, lag_ms, idle, rows_applied,
                    transactions_applied, conflicts, last_error, CAST(round(unixepoch(since, 'subsec') * 1000) AS INTEGER),
                    CAST(round(unixepoch(current_until, 'subsec') * 1000) AS INTEGER)
             FROM status ORDER BY task, direction",
        )?;
        let rows = statement.query_map([], |row| Ok(read_status(row)))?;
        rows.map(|row| row?).collect()
    }

    /// The rows of `sync.objects` as last published, also by an earlier process.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    pub fn last_objects(&self) -> Result<Vec<ObjectRow>> {
        let writer = self.writer();
        let mut statement = writer.prepare_cached(
            "SELECT task, direction, source_table, destination_table, phase, rows_copied, rows_estimated, inserts,
                    updates, deletes, conflicts, bytes_copied
             FROM objects ORDER BY task, direction, source_table",
        )?;
        let rows = statement.query_map([], |row| Ok(read_object(row)))?;
        rows.map(|row| row?).collect()
    }
}

fn write_status(connection: &Connection, rows: &[StatusRow]) -> Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT OR REPLACE INTO status
         (task, direction, state, phase, source_position, applied_position, lag_ms, idle, rows_applied,
          transactions_applied, conflicts, last_error, since, current_until, lag_fetch_ms, lag_apply_ms, rows_per_second,
          transactions_per_second, rows_copied, bytes_copied, rows_estimated, copied_percent, copy_rows_per_second,
          copy_bytes_per_second, copy_seconds_left)
         VALUES
         (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, strftime('%Y-%m-%d %H:%M:%f', ?13 / 1000.0, 'unixepoch'),
          strftime('%Y-%m-%d %H:%M:%f', ?14 / 1000.0, 'unixepoch'), ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25)",
    )?;
    for row in rows {
        insert.execute(params![
            row.task,
            row.direction.as_str(),
            row.state.as_str(),
            row.phase.as_str(),
            row.source_position,
            row.applied_position,
            row.lag_ms.map(integer),
            row.idle,
            integer(row.rows_applied),
            integer(row.transactions_applied),
            integer(row.conflicts),
            row.last_error,
            integer(row.since_ms),
            row.lag.current_until_ms.map(integer),
            row.lag.fetch_ms.map(integer),
            row.lag.apply_ms.map(integer),
            integer(row.throughput.rows_per_second),
            integer(row.throughput.transactions_per_second),
            integer(row.copy.rows_copied),
            integer(row.copy.bytes_copied),
            row.copy.rows_estimated.map(integer),
            row.copy.percent.map(integer),
            integer(row.copy.rows_per_second),
            integer(row.copy.bytes_per_second),
            row.copy.seconds_left.map(integer),
        ])?;
    }
    Ok(())
}

/// What `sync.objects` holds, and since when.
#[derive(Debug)]
pub(super) struct Published {
    rows: ObjectRows,
    at: Instant,
}

/// Rows of `sync.objects` by their primary key.
type ObjectRows = HashMap<ObjectPlace, ObjectRow>;

type ObjectPlace = (String, Direction, String, String);

fn place(row: &ObjectRow) -> ObjectPlace {
    (
        row.task.clone(),
        row.direction,
        row.source_table.clone(),
        row.destination_table.clone(),
    )
}

/// Writes what is another than `before`: of thousands of tables most rest.
fn replace_objects(connection: &Connection, before: Option<Published>, objects: &[ObjectRow]) -> Result<ObjectRows> {
    if before.is_none() {
        connection.execute_batch("DELETE FROM objects")?;
    }
    let mut before = before.map(|before| before.rows).unwrap_or_default();
    let mut now = ObjectRows::with_capacity(objects.len());
    let mut changed = Vec::new();
    for object in objects {
        let key = place(object);
        if before.remove(&key).is_none_or(|known| known != *object) {
            changed.push(object);
        }
        now.insert(key, object.clone());
    }
    remove_objects(connection, before.keys())?;
    write_objects(connection, &changed)?;
    Ok(now)
}

fn remove_objects<'a>(connection: &Connection, places: impl Iterator<Item = &'a ObjectPlace>) -> Result<()> {
    let mut remove = connection.prepare_cached(
        "DELETE FROM objects WHERE task = ?1 AND direction = ?2 AND source_table = ?3 AND destination_table = ?4",
    )?;
    for (task, direction, source, destination) in places {
        remove.execute(params![task, direction.as_str(), source, destination])?;
    }
    Ok(())
}

fn write_objects(connection: &Connection, rows: &[&ObjectRow]) -> Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT OR REPLACE INTO objects
             (task, direction, source_table, destination_table, phase, rows_copied, rows_estimated, inserts, updates,
              deletes, conflicts, bytes_copied, copied_percent, copy_rows_per_second, copy_seconds_left)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    )?;
    for row in rows {
        insert.execute(params![
            row.task,
            row.direction.as_str(),
            row.source_table,
            row.destination_table,
            row.phase.as_str(),
            integer(row.rows_copied),
            row.rows_estimated.map(integer),
            integer(row.inserts),
            integer(row.updates),
            integer(row.deletes),
            integer(row.conflicts),
            integer(row.bytes_copied),
            row.copied_percent.map(integer),
            integer(row.copy_rows_per_second),
            row.copy_seconds_left.map(integer),
        ])?;
    }
    Ok(())
}

/// Brings `tasks.state` in line with the links' states and with what is wanted.
pub(super) fn refresh_task_states(connection: &Connection) -> Result<()> {
    let mut tasks = connection.prepare_cached("SELECT task, wanted FROM task_definition")?;
    let tasks: Vec<(String, String)> = tasks
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut links = connection.prepare_cached("SELECT state FROM status WHERE task = ?1")?;
    let mut update = connection.prepare_cached("UPDATE tasks SET state = ?2 WHERE task = ?1 AND state <> ?2")?;
    for (task, wanted) in tasks {
        let names: Vec<String> = links
            .query_map([&task], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        let states = names.iter().map(|name| state(name)).collect::<Result<Vec<_>>>()?;
        let state = task_state(from_json(&wanted, &task)?, &states);
        update.execute([&task, state.as_str()])?;
    }
    Ok(())
}

/// One state for a task of several links: what is wanted if it is not to run, otherwise the link that fares worst.
fn task_state(wanted: Wanted, links: &[State]) -> State {
    match wanted {
        Wanted::Created => State::Created,
        Wanted::Paused => State::Paused,
        Wanted::Stopped => State::Stopped,
        Wanted::Failed => State::Failed,
        Wanted::Running => links
            .iter()
            .copied()
            .max_by_key(|state| concern(*state))
            .unwrap_or(State::Starting),
    }
}

/// How much a link's state matters to who looks at the task: the highest is shown.
fn concern(state: State) -> u8 {
    match state {
        State::Running => 0,
        State::Created => 1,
        State::Stopped => 2,
        State::Paused => 3,
        State::Full => 4,
        State::Schema => 5,
        State::Starting => 6,
        State::Prechecking => 7,
        State::Retrying => 8,
        State::Failed => 9,
    }
}

fn read_status(row: &Row<'_>) -> Result<StatusRow> {
    Ok(StatusRow {
        task: row.get(0)?,
        direction: direction(&row.get::<_, String>(1)?)?,
        state: state(&row.get::<_, String>(2)?)?,
        phase: phase(&row.get::<_, String>(3)?)?,
        source_position: row.get(4)?,
        applied_position: row.get(5)?,
        lag_ms: row.get::<_, Option<i64>>(6)?.map(counter),
        idle: row.get(7)?,
        rows_applied: counter(row.get(8)?),
        transactions_applied: counter(row.get(9)?),
        conflicts: counter(row.get(10)?),
        last_error: row.get(11)?,
        since_ms: counter(row.get(12)?),
        // The rest is only shown; what counts on is kept with the tables.
        lag: LagParts {
            current_until_ms: row.get::<_, Option<i64>>(13)?.map(counter),
            ..LagParts::default()
        },
        throughput: Throughput::default(),
        copy: CopyProgress::default(),
    })
}

fn read_object(row: &Row<'_>) -> Result<ObjectRow> {
    Ok(ObjectRow {
        task: row.get(0)?,
        direction: direction(&row.get::<_, String>(1)?)?,
        source_table: row.get(2)?,
        destination_table: row.get(3)?,
        phase: phase(&row.get::<_, String>(4)?)?,
        rows_copied: counter(row.get(5)?),
        rows_estimated: row.get::<_, Option<i64>>(6)?.map(counter),
        inserts: counter(row.get(7)?),
        updates: counter(row.get(8)?),
        deletes: counter(row.get(9)?),
        conflicts: counter(row.get(10)?),
        bytes_copied: counter(row.get(11)?),
        copied_percent: None,
        copy_rows_per_second: 0,
        copy_seconds_left: None,
    })
}

fn counter(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

fn direction(text: &str) -> Result<Direction> {
    [Direction::Forward, Direction::Reverse]
        .into_iter()
        .find(|direction| direction.as_str() == text)
        .ok_or_else(|| StoreError::Damaged(format!("the direction '{text}'")))
}

fn state(text: &str) -> Result<State> {
    State::ALL
        .into_iter()
        .find(|state| state.as_str() == text)
        .ok_or_else(|| StoreError::Damaged(format!("the state '{text}'")))
}

fn phase(text: &str) -> Result<Phase> {
    [Phase::Schema, Phase::Full, Phase::Incremental]
        .into_iter()
        .find(|phase| phase.as_str() == text)
        .ok_or_else(|| StoreError::Damaged(format!("the phase '{text}'")))
}
