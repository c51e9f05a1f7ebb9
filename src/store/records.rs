//! What happened and is kept: conflicts, DDL, events. Each log is bounded; the oldest entries make room.

use rusqlite::{Connection, OptionalExtension, params};

use super::{Result, Store};
use crate::model::{
    gtid::{Gtid, GtidSet},
    name::TaskName,
    status::{ConflictRecord, DdlRecord, EventRecord},
    task::{Decision, Direction},
};

/// Conflicts kept, of all tasks together.
const CONFLICTS_MAX: i64 = 1_000_000;
/// Events kept, and as many DDL statements.
const LOG_MAX: i64 = 100_000;
/// A log is looked at each time its ids have grown by this much; so it may be longer than its bound by as much.
const PRUNE_EVERY: i64 = 256;

impl Store {
    /// Keeps a conflict and returns its id. The same conflict again (see [`ConflictRecord`]) replaces what was kept
    /// and has the same id.
    ///
    /// # Errors
    /// When the store fails.
    pub fn record_conflict(&self, conflict: &ConflictRecord) -> Result<i64> {
        let ids = self.record_conflicts(std::slice::from_ref(conflict))?;
        Ok(ids.into_iter().next().unwrap_or_default())
    }

    /// As [`Store::record_conflict`] for many in one transaction: all or none are kept. Ids come in the same order.
    ///
    /// # Errors
    /// When the store fails.
    pub fn record_conflicts(&self, conflicts: &[ConflictRecord]) -> Result<Vec<i64>> {
        let mut writer = self.writer();
        let transaction = writer.transaction()?;
        let mut ids = Vec::with_capacity(conflicts.len());
        for conflict in conflicts {
            let id = insert_conflict(&transaction, conflict)?;
            prune(&transaction, "conflicts", id, CONFLICTS_MAX)?;
            ids.push(id);
        }
        transaction.commit()?;
        Ok(ids)
    }

    /// Keeps a DDL statement. The same statement (task, direction, position) with the same outcome again replaces it.
    ///
    /// # Errors
    /// When the store fails.
    pub fn record_ddl(&self, ddl: &DdlRecord) -> Result<()> {
        let mut writer = self.writer();
        let transaction = writer.transaction()?;
        let id = transaction.query_row(
            "INSERT INTO ddl (task, direction, source_position, statement, outcome, applied_statement, at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, strftime('%Y-%m-%d %H:%M:%f', 'now'))
             ON CONFLICT (task, direction, source_position, outcome) DO UPDATE SET
                statement = excluded.statement, applied_statement = excluded.applied_statement, at = excluded.at
             RETURNING id",
            params![
                ddl.task,
                ddl.direction.as_str(),
                ddl.source_position,
                ddl.statement,
                ddl.outcome,
                ddl.applied_statement
            ],
            |row| row.get(0),
        )?;
        prune(&transaction, "ddl", id, LOG_MAX)?;
        transaction.commit()?;
        Ok(())
    }

    /// A link has come to a statement that it can't carry. A decision that was taken on this one stays.
    ///
    /// # Errors
    /// When the store fails.
    pub fn leave_undecided(&self, task: &str, direction: Direction, gtid: &str) -> Result<()> {
        self.writer().execute(
            "INSERT INTO undecided (task, direction, gtid) VALUES (?1, ?2, ?3)
             ON CONFLICT (task, direction) DO UPDATE SET gtid = excluded.gtid, decision = NULL, statement = NULL",
            params![task, direction.as_str(), gtid],
        )?;
        Ok(())
    }

    /// The operator has decided on the statement that a task can't carry; false if there is none.
    ///
    /// # Errors
    /// When the store fails.
    pub fn decide(&self, task: &TaskName, decision: &Decision) -> Result<bool> {
        let (decision, statement) = match decision {
            Decision::Skip => ("skip", None),
            Decision::Apply(statement) => ("apply", Some(statement)),
        };
        let writer = self.writer();
        forget_passed(&writer, task)?;
        let decided = writer.execute(
            "UPDATE undecided SET decision = ?2, statement = ?3 WHERE task = ?1",
            params![task.as_str(), decision, statement],
        )?;
        Ok(decided > 0)
    }

    /// What the operator has decided on a statement.
    ///
    /// # Errors
    /// When the store fails.
    pub fn decision(&self, task: &str, direction: Direction, gtid: &str) -> Result<Option<Decision>> {
        let writer = self.writer();
        let found: Option<(String, Option<String>)> = writer
            .query_row(
                "SELECT decision, statement FROM undecided
                 WHERE task = ?1 AND direction = ?2 AND gtid = ?3 AND decision IS NOT NULL",
                params![task, direction.as_str(), gtid],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        Ok(found.map(|(_, statement)| statement.map_or(Decision::Skip, Decision::Apply)))
    }

    /// A link is past the statement that it could not carry.
    ///
    /// # Errors
    /// When the store fails.
    pub fn decided(&self, task: &str, direction: Direction) -> Result<()> {
        self.writer().execute(
            "DELETE FROM undecided WHERE task = ?1 AND direction = ?2",
            params![task, direction.as_str()],
        )?;
        Ok(())
    }

    /// Keeps an event.
    ///
    /// # Errors
    /// When the store fails.
    pub fn record_event(&self, event: &EventRecord) -> Result<()> {
        let mut writer = self.writer();
        let transaction = writer.transaction()?;
        let id = transaction.query_row(
            "INSERT INTO events (task, direction, level, message, at)
             VALUES (?1, ?2, ?3, ?4, strftime('%Y-%m-%d %H:%M:%f', 'now')) RETURNING id",
            params![
                event.task,
                event.direction.map(|direction| direction.as_str()),
                event.level.as_str(),
                event.message
            ],
            |row| row.get(0),
        )?;
        prune(&transaction, "events", id, LOG_MAX)?;
        transaction.commit()?;
        Ok(())
    }
}

fn insert_conflict(connection: &Connection, conflict: &ConflictRecord) -> Result<i64> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO conflicts (task, direction, \"table\", type, \"key\", before_image, incoming_row, destination_row,
                                policy, outcome, source_position, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, strftime('%Y-%m-%d %H:%M:%f', 'now'))
         ON CONFLICT (task, direction, source_position, \"table\", \"key\") DO UPDATE SET
            type = excluded.type, before_image = excluded.before_image, incoming_row = excluded.incoming_row,
            destination_row = excluded.destination_row, policy = excluded.policy, outcome = excluded.outcome,
            at = excluded.at
         RETURNING id",
    )?;
    let id = insert.query_row(
        params![
            conflict.task,
            conflict.direction.as_str(),
            conflict.table,
            conflict.kind,
            conflict.key,
            conflict.before_image,
            conflict.incoming_row,
            conflict.destination_row,
            conflict.policy,
            conflict.outcome,
            conflict.source_position,
        ],
        |row| row.get(0),
    )?;
    Ok(id)
}

/// Ids only grow (AUTOINCREMENT), so what lies `max` ids behind the newest is beyond the bound.
/// Forgets the statements that a task's links have passed: a decision holds for all that comes under its GTID, and so stays
/// until the whole of that is applied.
fn forget_passed(writer: &Connection, task: &TaskName) -> Result<()> {
    let mut select = writer.prepare(
        "SELECT direction, gtid, applied_position FROM undecided JOIN status USING (task, direction) WHERE task = ?1",
    )?;
    let found = select.query_map(params![task.as_str()], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })?;
    for row in found {
        let (direction, gtid, applied): (String, String, String) = row?;
        let is_passed = match (gtid.parse::<Gtid>(), applied.parse::<GtidSet>()) {
            (Ok(gtid), Ok(applied)) => applied.contains(&gtid),
            _ => false,
        };
        if is_passed {
            writer.execute(
                "DELETE FROM undecided WHERE task = ?1 AND direction = ?2",
                params![task.as_str(), direction],
            )?;
        }
    }
    Ok(())
}

fn prune(connection: &Connection, table: &str, newest: i64, max: i64) -> Result<()> {
    if newest % PRUNE_EVERY == 0 && newest > max {
        connection.execute(&format!("DELETE FROM {table} WHERE id <= ?1"), [newest - max])?;
    }
    Ok(())
}
