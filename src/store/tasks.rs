//! Tasks: their definitions, and what the operator wants of each.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::is_duplicate;
use super::{Result, Store, StoreError, integer, make_durable, status};
use crate::model::name::TaskName;
use crate::model::task::{Direction, ObjectRule, TaskDefinition, Wanted};

/// A task as it is kept.
#[derive(Debug, Clone)]
pub struct StoredTask {
    /// What `CREATE SYNC TASK` said, with later changes.
    pub definition: TaskDefinition,
    /// What the operator wants of it.
    pub wanted: Wanted,
    /// Why it is [`Wanted::Failed`]; empty otherwise.
    pub last_error: String,
    /// When it was made, UTC, `YYYY-MM-DD HH:MM:SS.mmm`.
    pub created_at: String,
}

const SELECT: &str =
    "SELECT task, definition, wanted, last_error, created_at FROM task_definition JOIN tasks USING (task)";

impl Store {
    /// Keeps a new task, wanted [`Wanted::Created`].
    ///
    /// # Errors
    /// [`StoreError::Exists`] if the name is taken, [`StoreError::Missing`] if one of its servers is not there.
    pub fn create_task(&self, task: &TaskDefinition) -> Result<()> {
        let mut writer = self.writer();
        let transaction = writer.transaction()?;
        let inserted = transaction.execute(
            "INSERT INTO tasks (task, source, destination, two_way, state, created_at, options)
             VALUES (?1, '', '', 0, 'created', strftime('%Y-%m-%d %H:%M:%f', 'now'), '')",
            [task.name.as_str()],
        );
        match inserted {
            Err(e) if is_duplicate(&e) => {
                return Err(StoreError::Exists {
                    kind: "task",
                    name: task.name.to_string(),
                });
            }
            other => other?,
        };
        transaction.execute(
            "INSERT INTO task_definition (task, definition, wanted, last_error) VALUES (?1, '', ?2, '')",
            params![task.name.as_str(), to_json(&Wanted::Created)?],
        )?;
        write(&transaction, task)?;
        transaction.commit()?;
        make_durable(&writer)
    }

    /// Replaces the definition of the task of that name; what is wanted of it stays.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such task, or one of its servers is not there.
    pub fn update_task(&self, task: &TaskDefinition) -> Result<()> {
        let mut writer = self.writer();
        let transaction = writer.transaction()?;
        write(&transaction, task)?;
        transaction.commit()?;
        make_durable(&writer)
    }

    /// As [`Store::update_task`], with the objects that the task had so far in some directions: its links have still to
    /// come from them to those it has now.
    ///
    /// # Errors
    /// As [`Store::update_task`].
    pub fn alter_objects(&self, task: &TaskDefinition, former: &[(Direction, Vec<ObjectRule>)]) -> Result<()> {
        let mut writer = self.writer();
        let transaction = writer.transaction()?;
        write(&transaction, task)?;
        for (direction, objects) in former {
            transaction.execute(
                "INSERT INTO former_objects (task, direction, objects) VALUES (?1, ?2, ?3)",
                params![task.name.as_str(), direction.as_str(), to_json(objects)?],
            )?;
        }
        transaction.commit()?;
        make_durable(&writer)
    }

    /// What [`Store::alter_objects`] has kept for a link, with a number that grows, the oldest first.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    pub fn former_objects(&self, name: &TaskName, direction: Direction) -> Result<Vec<(u64, Vec<ObjectRule>)>> {
        let writer = self.writer();
        let mut statement = writer
            .prepare_cached("SELECT id, objects FROM former_objects WHERE task = ?1 AND direction = ?2 ORDER BY id")?;
        let rows = statement.query_map([name.as_str(), direction.as_str()], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
        })?;
        rows.map(|row| {
            let (id, objects) = row?;
            Ok((u64::try_from(id).unwrap_or(0), from_json(&objects, name.as_str())?))
        })
        .collect()
    }

    /// A link has come from its former objects, up to this number, to those it has now.
    ///
    /// # Errors
    /// When the store fails.
    pub fn forget_former_objects(&self, task: &str, direction: Direction, number: u64) -> Result<()> {
        let writer = self.writer();
        writer.execute(
            "DELETE FROM former_objects WHERE task = ?1 AND direction = ?2 AND id <= ?3",
            params![task, direction.as_str(), integer(number)],
        )?;
        make_durable(&writer)
    }

    /// The task of that name.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    pub fn task(&self, name: &TaskName) -> Result<Option<StoredTask>> {
        let sql = format!("{SELECT} WHERE task = ?1");
        let found = self.writer().query_row(&sql, [name.as_str()], read).optional()?;
        found.map(parse).transpose()
    }

    /// All tasks, by name.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    pub fn tasks(&self) -> Result<Vec<StoredTask>> {
        let writer = self.writer();
        let mut statement = writer.prepare_cached(&format!("{SELECT} ORDER BY task"))?;
        let rows = statement.query_map([], read)?.collect::<rusqlite::Result<Vec<_>>>()?;
        rows.into_iter().map(parse).collect()
    }

    /// Keeps what is wanted of the task from now on, and why it failed if it did.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such task.
    pub fn set_wanted(&self, name: &TaskName, wanted: Wanted, last_error: &str) -> Result<()> {
        let mut writer = self.writer();
        let transaction = writer.transaction()?;
        let changed = transaction.execute(
            "UPDATE task_definition SET wanted = ?2, last_error = ?3 WHERE task = ?1",
            params![name.as_str(), to_json(&wanted)?, last_error],
        )?;
        if changed == 0 {
            return Err(StoreError::task_missing(name.as_str()));
        }
        status::refresh_task_states(&transaction)?;
        transaction.commit()?;
        make_durable(&writer)
    }

    /// Forgets the task, its status and its conflicts. Its DDL and events stay in the log.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such task.
    pub fn drop_task(&self, name: &TaskName) -> Result<()> {
        let mut writer = self.writer();
        let transaction = writer.transaction()?;
        if transaction.execute("DELETE FROM tasks WHERE task = ?1", [name.as_str()])? == 0 {
            return Err(StoreError::task_missing(name.as_str()));
        }
        for table in ["status", "objects", "prechecks", "conflicts", "differences"] {
            transaction.execute(&format!("DELETE FROM {table} WHERE task = ?1"), [name.as_str()])?;
        }
        self.forget_published();
        transaction.commit()?;
        make_durable(&writer)
    }
}

fn write(connection: &Connection, task: &TaskDefinition) -> Result<()> {
    for server in [&task.source, &task.destination] {
        let known = connection
            .query_row("SELECT 1 FROM servers WHERE name = ?1", [server.as_str()], |_| Ok(()))
            .optional()?;
        if known.is_none() {
            return Err(StoreError::server_missing(server.as_str()));
        }
    }
    let changed = connection.execute(
        "UPDATE tasks SET source = ?2, destination = ?3, two_way = ?4, options = ?5 WHERE task = ?1",
        params![
            task.name.as_str(),
            task.source.as_str(),
            task.destination.as_str(),
            task.two_way,
            to_json(&task.options)?
        ],
    )?;
    if changed == 0 {
        return Err(StoreError::task_missing(task.name.as_str()));
    }
    connection.execute(
        "UPDATE task_definition SET definition = ?2 WHERE task = ?1",
        params![task.name.as_str(), to_json(task)?],
    )?;
    Ok(())
}

type Parts = (String, String, String, String, String);

fn read(row: &Row<'_>) -> rusqlite::Result<Parts> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
}

fn parse((name, definition, wanted, last_error, created_at): Parts) -> Result<StoredTask> {
    Ok(StoredTask {
        definition: from_json(&definition, &name)?,
        wanted: from_json(&wanted, &name)?,
        last_error,
        created_at,
    })
}

fn to_json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|e| StoreError::Damaged(format!("something that can't be written ({e})")))
}

pub(super) fn from_json<T: DeserializeOwned>(text: &str, task: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| StoreError::Damaged(format!("a definition of task '{task}' ({e})")))
}
