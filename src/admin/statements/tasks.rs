//! The SYNC TASK statements.

use std::time::Duration;

use super::{
    Cell, Column, ColumnKind, Reply, Result, Statements, code, done, done_with, no_such_task, refused, text_rows,
};
use crate::admin::grammar::{TaskVerb, altered, print_create, with_objects};
use crate::admin::reply::SqlError;
use crate::model::name::TaskName;
use crate::model::task::{Decision, ObjectRule, OptionChanges, TaskDefinition, Wanted};
use crate::store::{StoreError, StoredTask};

/// `SHOW SYNC TASKS`.
pub(super) const SHOW: &str = "SELECT task, source, destination, two_way, state, substr(created_at, 1, 19) AS created_at FROM sync.tasks ORDER BY task";

/// `SHOW SYNC TASK STATUS`: a row per direction, also of tasks that never ran, as wide as a terminal. All of it is in
/// `sync.status`.
const SHOW_STATUS: &str = "
    SELECT t.task, d.direction, coalesce(s.state, t.state) AS state, s.lag_ms,
           s.copied_percent || ' %' AS copied,
           CASE s.phase WHEN 'full' THEN s.copy_rows_per_second ELSE s.rows_per_second END AS rows_s,
           s.conflicts, substr(s.since, 6, 14) AS since,
           CASE WHEN length(s.last_error) > 24 THEN substr(s.last_error, 1, 23) || '…' ELSE s.last_error END AS last_error
    FROM sync.tasks t
    JOIN (SELECT 'forward' AS direction UNION ALL SELECT 'reverse') d ON d.direction = 'forward' OR t.two_way
    LEFT JOIN sync.status s ON s.task = t.task AND s.direction = d.direction";

/// How many numbers are tried behind a made-up name.
const NAMES_MAX: u32 = 10_000;

impl Statements {
    pub(super) async fn create_task(&self, if_not_exists: bool, named: bool, task: TaskDefinition) -> Result<Reply> {
        if !named {
            return self.create_unnamed_task(task).await;
        }
        let name = task.name.clone();
        match self.blocking(move |store| store.create_task(&task)).await? {
            Ok(()) => Ok(done()),
            Err(StoreError::Exists { .. }) if if_not_exists => Ok(done_with(format!(
                "Sync task '{name}' exists already: nothing was changed"
            ))),
            Err(e) => Err(refused(&e)),
        }
    }

    /// Tells the name it made up, as a row: the client needs it to go on.
    async fn create_unnamed_task(&self, mut task: TaskDefinition) -> Result<Reply> {
        let name = self
            .stored(move |store| {
                let base = task.name.to_string();
                let mut number = 1;
                loop {
                    match store.create_task(&task) {
                        Ok(()) => return Ok(task.name.to_string()),
                        Err(StoreError::Exists { .. }) if number < NAMES_MAX => {
                            number += 1;
                            let damaged = |_| StoreError::Damaged(format!("the task name '{base}'"));
                            task.name = TaskName::new(format!("{base}_{number}")).map_err(damaged)?;
                        }
                        Err(e) => return Err(e),
                    }
                }
            })
            .await?;
        Ok(text_rows(&["task"], vec![vec![name]]))
    }

    pub(super) async fn alter_task(
        &self,
        name: TaskName,
        changes: OptionChanges,
        reverse: OptionChanges,
    ) -> Result<Reply> {
        let StoredTask {
            definition: before,
            wanted,
            ..
        } = self.task(&name).await?;
        let after = altered(&before, &changes, &reverse)?;
        if wanted != Wanted::Created && after.options.object_case != before.options.object_case {
            return Err(SqlError::new(
                1231,
                "42000",
                format!(
                    "Sync task '{name}' has been started, so tables at the destination have their names: object_case can't \
                     be changed any more; drop the task and create it anew"
                ),
            ));
        }
        if !after.two_way && reverse != OptionChanges::default() {
            return Err(SqlError::new(
                1231,
                "42000",
                format!("Sync task '{name}' is one-way: it has no REVERSE"),
            ));
        }
        self.stored(move |store| store.update_task(&after)).await?;
        if let Err(e) = self.control.task_changed(&name).await {
            self.stored(move |store| store.update_task(&before)).await?;
            return Err(e.into());
        }
        Ok(done())
    }

    /// A task that was never started only has its rules changed. Of any other the supervisor looks at what comes in, and
    /// brings it in.
    pub(super) async fn alter_objects(
        &self,
        name: TaskName,
        reverse: bool,
        remove: bool,
        listed: Vec<ObjectRule>,
    ) -> Result<Reply> {
        let StoredTask {
            definition: before,
            wanted,
            ..
        } = self.task(&name).await?;
        let after = with_objects(&before, reverse, remove, &listed)?;
        if wanted == Wanted::Created {
            self.stored(move |store| store.update_task(&after)).await?;
        } else {
            let added = if remove { &[][..] } else { &listed };
            self.control.alter_objects(&before, &after, added).await?;
        }
        Ok(done())
    }

    pub(super) async fn drop_task(&self, if_exists: bool, name: TaskName) -> Result<Reply> {
        let asked = name.clone();
        let Some(task) = self.stored(move |store| store.task(&asked)).await? else {
            if if_exists {
                return Ok(done_with(format!(
                    "There is no sync task '{name}': nothing was changed"
                )));
            }
            return Err(no_such_task(&name));
        };
        if matches!(task.wanted, Wanted::Running | Wanted::Paused) {
            return Err(wrong_state(&name, task.wanted, "be dropped", "STOP"));
        }
        self.control.drop_task(&name).await?;
        self.stored(move |store| store.drop_task(&name)).await?;
        Ok(done())
    }

    pub(super) async fn task_verb(&self, verb: TaskVerb, name: TaskName) -> Result<Reply> {
        let wanted = self.task(&name).await?.wanted;
        allowed(verb, &name, wanted)?;
        match verb {
            TaskVerb::Start => self.control.start(&name).await?,
            TaskVerb::Pause => self.control.pause(&name).await?,
            TaskVerb::Resume => self.control.resume(&name).await?,
            TaskVerb::Stop => self.control.stop(&name).await?,
        }
        Ok(done())
    }

    pub(super) async fn decide(&self, name: TaskName, decision: Decision) -> Result<Reply> {
        let wanted = self.task(&name).await?.wanted;
        allowed(TaskVerb::Resume, &name, wanted)?;
        let asked = name.clone();
        self.control.publish(false).await;
        if !self.stored(move |store| store.decide(&asked, &decision)).await? {
            return Err(SqlError::new(
                code::TASK_STATE,
                "HY000",
                format!("No statement waits for a decision in task {name}; RESUME it without SKIP and APPLY"),
            ));
        }
        self.control.resume(&name).await?;
        Ok(done())
    }

    pub(super) async fn wait_for_task(&self, name: TaskName, timeout: Duration) -> Result<Reply> {
        let task = self.task(&name).await?;
        match task.wanted {
            Wanted::Running => {}
            Wanted::Failed => {
                let message = format!("Sync task '{name}' has failed: {}", task.last_error);
                return Err(SqlError::new(code::TASK_STATE, "HY000", message));
            }
            Wanted::Paused => return Err(wrong_state(&name, task.wanted, "be waited for", "RESUME")),
            _ => return Err(wrong_state(&name, task.wanted, "be waited for", "START")),
        }
        let synced = self.control.wait_synced(&name, timeout).await?;
        Ok(Reply::Rows {
            columns: vec![Column {
                name: "synced".to_owned(),
                kind: ColumnKind::Integer,
            }],
            rows: vec![vec![Cell::Int(i64::from(synced))]],
        })
    }

    pub(super) async fn show_task_status(&self, name: Option<TaskName>) -> Result<Reply> {
        let condition = match name {
            Some(name) => {
                self.task(&name).await?;
                format!("WHERE t.task = '{}'", name.as_str().replace('\'', "''"))
            }
            None => String::new(),
        };
        self.select(format!("{SHOW_STATUS} {condition} ORDER BY t.task, d.direction"))
            .await
    }

    pub(super) async fn show_create_task(&self, name: TaskName) -> Result<Reply> {
        let task = self.task(&name).await?;
        let text = print_create(&task.definition);
        Ok(text_rows(
            &["Task", "Create Sync Task"],
            vec![vec![name.to_string(), text]],
        ))
    }

    async fn task(&self, name: &TaskName) -> Result<StoredTask> {
        let asked = name.clone();
        let task = self.stored(move |store| store.task(&asked)).await?;
        task.ok_or_else(|| no_such_task(name))
    }
}

/// Whether the task is in a state in which the verb makes sense.
fn allowed(verb: TaskVerb, name: &TaskName, wanted: Wanted) -> Result<()> {
    use Wanted::{Created, Failed, Paused, Running, Stopped};
    match (verb, wanted) {
        (TaskVerb::Start, Created | Stopped | Failed)
        | (TaskVerb::Pause, Running)
        | (TaskVerb::Resume, Paused | Failed)
        | (TaskVerb::Stop, Running | Paused | Failed) => Ok(()),
        (TaskVerb::Start, Paused) => Err(wrong_state(name, wanted, "be started", "RESUME")),
        (TaskVerb::Resume, Created | Stopped) => Err(wrong_state(name, wanted, "be resumed", "START")),
        (TaskVerb::Start | TaskVerb::Resume, Running) => Err(is_already(name, wanted)),
        (TaskVerb::Pause, Paused) | (TaskVerb::Stop, Stopped) => Err(is_already(name, wanted)),
        (TaskVerb::Pause, Created | Stopped | Failed) => {
            Err(wrong_state(name, wanted, "be paused; only a running task can", "START"))
        }
        (TaskVerb::Stop, Created) => Err(wrong_state(
            name,
            wanted,
            "be stopped; it can be dropped as it is",
            "DROP",
        )),
    }
}

fn is_already(name: &TaskName, wanted: Wanted) -> SqlError {
    SqlError::new(
        code::TASK_STATE,
        "HY000",
        format!(
            "Sync task '{name}' is {} already; SHOW SYNC TASK STATUS FOR {name} shows how it fares",
            spelled(wanted)
        ),
    )
}

fn wrong_state(name: &TaskName, wanted: Wanted, what: &str, remedy: &str) -> SqlError {
    SqlError::new(
        code::TASK_STATE,
        "HY000",
        format!(
            "Sync task '{name}' is {}, so it can't {what}: use {remedy} SYNC TASK {name}",
            spelled(wanted)
        ),
    )
}

fn spelled(wanted: Wanted) -> &'static str {
    match wanted {
        Wanted::Created => "not started yet",
        Wanted::Running => "running",
        Wanted::Paused => "paused",
        Wanted::Stopped => "stopped",
        Wanted::Failed => "failed",
    }
}
