//! The SYNC TASK statements: making and changing tasks, what is to be done with them, and `SHOW CREATE`.

use std::time::Duration;

use super::cursor::{Cursor, wrong};
use super::mapping;
use super::objects::{self, quoted};
use super::{Statement, TaskVerb, altering, options, precheck};
use crate::admin::reply::SqlError;
use crate::model::name::{IDENTIFIER_MAX_CHARS, ServerName, TaskName};
use crate::model::task::{Decision, ObjectRule, OptionChanges, TaskDefinition, TaskOptions};

type Result<T> = std::result::Result<T, SqlError>;

/// The longest `WAIT`, also without TIMEOUT: a year.
const WAIT_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// Behind `CREATE SYNC TASK`.
pub(super) fn create(cursor: &mut Cursor<'_>) -> Result<Statement> {
    let if_not_exists = cursor.words(&["IF", "NOT", "EXISTS"]);
    // The name may be left out; a task that is called `from` needs backticks.
    let name = if cursor.at_words(&["BETWEEN"]) || cursor.at_words(&["FROM"]) {
        None
    } else {
        Some(cursor.typed_name::<TaskName>("a task name, BETWEEN or FROM")?)
    };
    let two_way = cursor.word("BETWEEN");
    if !two_way && !cursor.word("FROM") {
        return Err(cursor.syntax_error("BETWEEN (two-way) or FROM (one-way)"));
    }
    let source: ServerName = cursor.typed_name("a server name")?;
    cursor.expect_word(if two_way { "AND" } else { "TO" })?;
    let destination: ServerName = cursor.typed_name("a server name")?;
    cursor.expect_word("OBJECTS")?;
    let listed = objects::list(cursor)?;
    let reverse_objects = if cursor.words(&["REVERSE", "OBJECTS"]) {
        Some(objects::list(cursor)?)
    } else {
        None
    };
    let changes = if cursor.word("WITH") {
        options::list(cursor, false)?
    } else {
        OptionChanges::default()
    };
    let reverse_options = if cursor.words(&["REVERSE", "WITH"]) {
        options::list(cursor, true)?
    } else {
        OptionChanges::default()
    };
    cursor.end()?;
    let named = name.is_some();
    let task = TaskDefinition {
        name: match name {
            Some(name) => name,
            None => made_up_name(&source, &destination, two_way)?,
        },
        source,
        destination,
        two_way,
        objects: listed,
        reverse_objects,
        options: TaskOptions::default().with(&changes),
        reverse_options,
    };
    check(&task)?;
    Ok(Statement::CreateTask {
        if_not_exists,
        named,
        task: Box::new(task),
    })
}

/// The name of a task that was given none. Whoever keeps it adds a number if it is taken.
fn made_up_name(source: &ServerName, destination: &ServerName, two_way: bool) -> Result<TaskName> {
    let name = format!("{source}_{}_{destination}", if two_way { "and" } else { "to" });
    // Room for a number behind it.
    let name: String = name.chars().take(IDENTIFIER_MAX_CHARS - 8).collect();
    TaskName::new(name.trim_end()).map_err(|e| wrong(format!("No task name can be made of these servers: {e}")))
}

/// What a definition must fulfil as a whole; also after `ALTER`.
pub(super) fn check(task: &TaskDefinition) -> Result<()> {
    if !task.two_way && (task.reverse_objects.is_some() || task.reverse_options != OptionChanges::default()) {
        return Err(wrong(
            "REVERSE needs a two-way task: write BETWEEN … AND … instead of FROM … TO …",
        ));
    }
    let options = &task.options;
    for rules in [Some(&task.objects), task.reverse_objects.as_ref()]
        .into_iter()
        .flatten()
    {
        mapping::check_case(rules, options.object_case)?;
    }
    if task.two_way && !options.incremental_sync {
        return Err(wrong("A two-way task needs incremental_sync = ON"));
    }
    if !options.schema_sync && !options.full_sync && !options.incremental_sync {
        return Err(wrong(
            "The task would do nothing: set schema_sync, full_sync or incremental_sync to ON",
        ));
    }
    if task.source == task.destination {
        let kept = mapping::first_kept(&task.objects)
            .or_else(|| task.reverse_objects.as_deref().and_then(mapping::first_kept));
        if let Some(kept) = kept {
            return Err(wrong(format!(
                "{} would be synchronized with itself: within one server, give it another name with AS",
                objects::show(kept)
            )));
        }
    }
    Ok(())
}

/// Behind `ALTER SYNC TASK`.
pub(super) fn alter(cursor: &mut Cursor<'_>) -> Result<Statement> {
    let name = cursor.typed_name("a task name")?;
    for (words, reverse, remove) in [
        (&["ADD", "OBJECTS"][..], false, false),
        (&["REMOVE", "OBJECTS"], false, true),
        (&["REVERSE", "ADD", "OBJECTS"], true, false),
        (&["REVERSE", "REMOVE", "OBJECTS"], true, true),
    ] {
        if cursor.words(words) {
            let objects = objects::rules(cursor)?;
            cursor.end()?;
            return Ok(Statement::AlterObjects {
                name,
                reverse,
                remove,
                objects,
            });
        }
    }
    if cursor.word("ACKNOWLEDGE") {
        return precheck::acknowledge(cursor, name);
    }
    let mut changes = OptionChanges::default();
    let mut reverse = OptionChanges::default();
    if cursor.word("SET") {
        changes = options::list(cursor, false)?;
        if cursor.words(&["REVERSE", "SET"]) {
            reverse = options::list(cursor, true)?;
        }
    } else if cursor.words(&["REVERSE", "SET"]) {
        reverse = options::list(cursor, true)?;
    } else {
        return Err(cursor.syntax_error("SET, ADD OBJECTS, REMOVE OBJECTS or ACKNOWLEDGE"));
    }
    cursor.end()?;
    Ok(Statement::AlterTask {
        name,
        changes: Box::new(changes),
        reverse: Box::new(reverse),
    })
}

/// The task with the changes of an `ALTER` laid over it.
///
/// # Errors
/// If the whole makes no sense.
pub fn altered(task: &TaskDefinition, changes: &OptionChanges, reverse: &OptionChanges) -> Result<TaskDefinition> {
    let mut task = task.clone();
    task.options = task.options.with(changes);
    task.reverse_options = laid_over(&task.reverse_options, reverse);
    check(&task)?;
    Ok(task)
}

/// The task with objects added, or removed; `reverse`: of its REVERSE OBJECTS.
///
/// # Errors
/// If that can't be said of its rules, or the whole makes no sense.
pub fn with_objects(
    task: &TaskDefinition,
    reverse: bool,
    remove: bool,
    listed: &[ObjectRule],
) -> Result<TaskDefinition> {
    let mut task = task.clone();
    let rules = match (reverse, &mut task.reverse_objects) {
        (false, _) => &mut task.objects,
        (true, Some(rules)) => rules,
        (true, None) => {
            return Err(wrong(format!(
                "Sync task '{}' has no REVERSE OBJECTS: its reverse direction has the same objects, so leave REVERSE out",
                task.name
            )));
        }
    };
    *rules = match remove {
        false => altering::add(rules, listed)?,
        true => altering::remove(rules, listed)?,
    };
    check(&task)?;
    Ok(task)
}

fn laid_over(under: &OptionChanges, over: &OptionChanges) -> OptionChanges {
    OptionChanges {
        conflict_policy: over.conflict_policy.or(under.conflict_policy),
        schema_sync: over.schema_sync.or(under.schema_sync),
        full_sync: over.full_sync.or(under.full_sync),
        incremental_sync: over.incremental_sync.or(under.incremental_sync),
        existing_tables: over.existing_tables.or(under.existing_tables),
        exclude_ddl: over.exclude_ddl.or(under.exclude_ddl),
        online_ddl: over.online_ddl.or(under.online_ddl),
        shadow_table_patterns: over
            .shadow_table_patterns
            .clone()
            .or(under.shadow_table_patterns.clone()),
        trash_table_patterns: over.trash_table_patterns.clone().or(under.trash_table_patterns.clone()),
        object_case: over.object_case.or(under.object_case),
        retry_window_minutes: over.retry_window_minutes.or(under.retry_window_minutes),
        workers: over.workers.or(under.workers),
        rows_per_second: over.rows_per_second.or(under.rows_per_second),
        bytes_per_second: over.bytes_per_second.or(under.bytes_per_second),
        heartbeat: over.heartbeat.or(under.heartbeat),
    }
}

/// Behind `DROP SYNC TASK`.
pub(super) fn drop(cursor: &mut Cursor<'_>) -> Result<Statement> {
    let if_exists = cursor.words(&["IF", "EXISTS"]);
    let name = cursor.typed_name("a task name")?;
    cursor.end()?;
    Ok(Statement::DropTask { if_exists, name })
}

/// Behind `START SYNC TASK` and its like.
pub(super) fn verb(cursor: &mut Cursor<'_>, verb: TaskVerb) -> Result<Statement> {
    let name = cursor.typed_name("a task name")?;
    cursor.end()?;
    Ok(Statement::Task { verb, name })
}

/// Behind `RESUME SYNC TASK`.
pub(super) fn resume(cursor: &mut Cursor<'_>) -> Result<Statement> {
    let name = cursor.typed_name("a task name")?;
    let decision = if cursor.word("SKIP") {
        Decision::Skip
    } else if cursor.word("APPLY") {
        let statement = cursor.string("a statement in quotes")?;
        if statement.trim().is_empty() {
            return Err(wrong(
                "APPLY needs the statement to run at the destination; SKIP passes by without one",
            ));
        }
        Decision::Apply(statement)
    } else {
        cursor.end()?;
        return Ok(Statement::Task {
            verb: TaskVerb::Resume,
            name,
        });
    };
    cursor.end()?;
    Ok(Statement::Decide { name, decision })
}

/// Behind `WAIT FOR SYNC TASK`.
pub(super) fn wait(cursor: &mut Cursor<'_>) -> Result<Statement> {
    let name = cursor.typed_name("a task name")?;
    let mut timeout = WAIT_MAX;
    if cursor.word("TIMEOUT") {
        let seconds = cursor.number("a number of seconds")?;
        let parsed = seconds
            .parse()
            .ok()
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        timeout = parsed.unwrap_or(WAIT_MAX).min(WAIT_MAX);
    }
    cursor.end()?;
    Ok(Statement::WaitForTask { name, timeout })
}

/// Behind `SHOW SYNC TASK STATUS`.
pub(super) fn show_status(cursor: &mut Cursor<'_>) -> Result<Statement> {
    let name = if cursor.word("FOR") {
        Some(cursor.typed_name("a task name")?)
    } else {
        None
    };
    cursor.end()?;
    Ok(Statement::ShowTaskStatus(name))
}

/// Behind `SHOW CREATE SYNC TASK`.
pub(super) fn show_create(cursor: &mut Cursor<'_>) -> Result<Statement> {
    let name = cursor.typed_name("a task name")?;
    cursor.end()?;
    Ok(Statement::ShowCreateTask(name))
}

/// The statement that makes the same task again.
pub fn print_create(task: &TaskDefinition) -> String {
    let (from, to) = if task.two_way {
        ("BETWEEN", "AND")
    } else {
        ("FROM", "TO")
    };
    let mut text = format!(
        "CREATE SYNC TASK {}\n  {from} {} {to} {}\n  OBJECTS (\n    {}\n  )",
        quoted(task.name.as_str()),
        quoted(task.source.as_str()),
        quoted(task.destination.as_str()),
        objects::print(&task.objects)
    );
    if let Some(reverse) = &task.reverse_objects {
        text.push_str(&format!("\n  REVERSE OBJECTS (\n    {}\n  )", objects::print(reverse)));
    }
    let spelled_out = options::spelled_out(&task.options);
    text.push_str(&format!("\n  WITH ({})", options::print(&spelled_out)));
    let reverse = options::print(&task.reverse_options);
    if !reverse.is_empty() {
        text.push_str(&format!("\n  REVERSE WITH ({reverse})"));
    }
    text
}
