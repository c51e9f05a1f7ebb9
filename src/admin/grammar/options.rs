//! The options of a task: one definition each, from which `WITH (…)`, `SET (…)`, `SHOW CREATE` and the error texts
//! are made.

use super::cursor::{Cursor, not_yet, wrong};
use crate::admin::reply::SqlError;
use crate::model::task::{ConflictPolicy, ExistingTables, ObjectCase, OnlineDdl, OptionChanges, TaskOptions};

type Result<T> = std::result::Result<T, SqlError>;

/// One option of a task.
pub struct TaskOption {
    /// As written in the admin language.
    pub name: &'static str,
    /// What it takes, the default first.
    pub values: &'static str,
    /// What it does.
    pub doc: &'static str,
    /// Whether the reverse direction may have its own value.
    pub per_direction: bool,
    /// Keeps the value; false if it is none of the option's.
    set: fn(&mut OptionChanges, &str) -> bool,
    /// The value as it is written, if the changes have one.
    print: fn(&OptionChanges) -> Option<String>,
}

/// All options, in the order in which they are shown.
pub const OPTIONS: [TaskOption; 15] = [
    TaskOption {
        name: "conflict_policy",
        values: "'fail', 'ignore' or 'overwrite'",
        doc: "What happens when a change does not fit the destination's row.",
        per_direction: true,
        set: |changes, value| {
            let found = ConflictPolicy::ALL
                .iter()
                .find(|(_, name)| name.eq_ignore_ascii_case(value));
            changes.conflict_policy = found.map(|(policy, _)| *policy);
            found.is_some()
        },
        print: |changes| changes.conflict_policy.map(|policy| format!("'{}'", policy.as_str())),
    },
    TaskOption {
        name: "schema_sync",
        values: "ON or OFF",
        doc: "Make databases and tables at the destination.",
        per_direction: true,
        set: |changes, value| switch(&mut changes.schema_sync, value),
        print: |changes| changes.schema_sync.map(on_off),
    },
    TaskOption {
        name: "full_sync",
        values: "ON or OFF",
        doc: "Copy the rows that are there.",
        per_direction: true,
        set: |changes, value| switch(&mut changes.full_sync, value),
        print: |changes| changes.full_sync.map(on_off),
    },
    TaskOption {
        name: "incremental_sync",
        values: "ON or OFF",
        doc: "Follow the changes. A two-way task always does.",
        per_direction: false,
        set: |changes, value| switch(&mut changes.incremental_sync, value),
        print: |changes| changes.incremental_sync.map(on_off),
    },
    TaskOption {
        name: "existing_tables",
        values: "'error' or 'proceed'",
        doc: "What happens when a table to be copied exists at the destination.",
        per_direction: true,
        set: |changes, value| {
            changes.existing_tables = match value.to_ascii_lowercase().as_str() {
                "error" => Some(ExistingTables::Error),
                "proceed" => Some(ExistingTables::Proceed),
                _ => None,
            };
            changes.existing_tables.is_some()
        },
        print: |changes| {
            changes.existing_tables.map(|existing| match existing {
                ExistingTables::Error => "'error'".to_owned(),
                ExistingTables::Proceed => "'proceed'".to_owned(),
            })
        },
    },
    TaskOption {
        name: "exclude_ddl",
        values: "OFF or ON",
        doc: "Leave all DDL out. In the reverse direction no DDL is ever carried.",
        per_direction: false,
        set: |changes, value| switch(&mut changes.exclude_ddl, value),
        print: |changes| changes.exclude_ddl.map(on_off),
    },
    TaskOption {
        name: "online_ddl",
        values: "'carry', 'gh-ost' or 'pt-osc'",
        doc: "What becomes of the tables of an online schema change tool: carried, or hidden until its final DDL.",
        per_direction: false,
        set: |changes, value| {
            changes.online_ddl = named(&OnlineDdl::ALL, value);
            changes.online_ddl.is_some()
        },
        print: |changes| changes.online_ddl.map(|value| spelled(&OnlineDdl::ALL, value)),
    },
    TaskOption {
        name: "shadow_table_patterns",
        values: "LIKE patterns of table names, separated by commas, or '' for those of the tools",
        doc: "Which tables an online schema change tool fills.",
        per_direction: false,
        set: |changes, value| patterns(&mut changes.shadow_table_patterns, value),
        print: |changes| changes.shadow_table_patterns.as_deref().map(text),
    },
    TaskOption {
        name: "trash_table_patterns",
        values: "LIKE patterns of table names, separated by commas, or '' for those of the tools",
        doc: "Which tables an online schema change tool leaves behind.",
        per_direction: false,
        set: |changes, value| patterns(&mut changes.trash_table_patterns, value),
        print: |changes| changes.trash_table_patterns.as_deref().map(text),
    },
    TaskOption {
        name: "object_case",
        values: "'source', 'destination', 'lower' or 'upper'",
        doc: "Case of object names at the destination.",
        per_direction: false,
        set: |changes, value| {
            changes.object_case = named(&ObjectCase::ALL, value);
            changes.object_case.is_some()
        },
        print: |changes| changes.object_case.map(|value| spelled(&ObjectCase::ALL, value)),
    },
    TaskOption {
        name: "retry_window",
        values: "'720m', or another time from '10m' to '1440m'",
        doc: "How long a lost server is waited for before the task fails.",
        per_direction: false,
        set: |changes, value| {
            changes.retry_window_minutes = minutes(value).filter(|minutes| (10..=1440).contains(minutes));
            changes.retry_window_minutes.is_some()
        },
        print: |changes| changes.retry_window_minutes.map(|minutes| format!("'{minutes}m'")),
    },
    TaskOption {
        name: "workers",
        values: "a number from 1 to 64 (4)",
        doc: "Appliers per direction.",
        per_direction: true,
        set: |changes, value| {
            changes.workers = value.parse().ok().filter(|workers| (1..=64).contains(workers));
            changes.workers.is_some()
        },
        print: |changes| changes.workers.map(|workers| workers.to_string()),
    },
    TaskOption {
        name: "rows_per_second",
        values: "a number of rows, or 0 for no limit",
        doc: "At most this many rows a second, copied and applied together.",
        per_direction: true,
        set: |changes, value| {
            changes.rows_per_second = value.parse().ok();
            changes.rows_per_second.is_some()
        },
        print: |changes| changes.rows_per_second.map(|rows| rows.to_string()),
    },
    TaskOption {
        name: "bytes_per_second",
        values: "a number of bytes, or 0 for no limit",
        doc: "At most this many bytes of rows a second, copied and applied together.",
        per_direction: true,
        set: |changes, value| {
            changes.bytes_per_second = value.parse().ok();
            changes.bytes_per_second.is_some()
        },
        print: |changes| changes.bytes_per_second.map(|bytes| bytes.to_string()),
    },
    TaskOption {
        name: "heartbeat",
        values: "ON or OFF",
        doc: "Write one row a second into the source's causeway schema, so that the lag is right when the source is idle.",
        per_direction: true,
        set: |changes, value| switch(&mut changes.heartbeat, value),
        print: |changes| changes.heartbeat.map(on_off),
    },
];

/// Options of the admin language that later versions have.
const NOT_YET: [&str; 2] = ["alert_webhook", "alert_lag"];

/// Policies of the admin language that later versions have; some take columns in parentheses.
const POLICIES_NOT_YET: [&str; 6] = [
    "source_wins",
    "destination_wins",
    "latest_wins",
    "greatest",
    "least",
    "delta",
];

fn switch(place: &mut Option<bool>, value: &str) -> bool {
    *place = match value.to_ascii_lowercase().as_str() {
        "on" | "true" | "1" => Some(true),
        "off" | "false" | "0" => Some(false),
        _ => None,
    };
    place.is_some()
}

fn named<T: Copy>(all: &[(T, &str)], value: &str) -> Option<T> {
    let found = all.iter().find(|(_, name)| name.eq_ignore_ascii_case(value));
    found.map(|(value, _)| *value)
}

fn spelled<T: Copy + PartialEq>(all: &[(T, &str)], value: T) -> String {
    let found = all.iter().find(|(candidate, _)| *candidate == value);
    text(found.map_or("", |(_, name)| name))
}

fn text(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
}

/// Names of tables, or patterns of them, separated by commas.
fn patterns(place: &mut Option<String>, value: &str) -> bool {
    let listed: Vec<&str> = value.split(',').map(str::trim).collect();
    let good = value.trim().is_empty() || listed.iter().all(|pattern| !pattern.is_empty());
    *place = good.then(|| {
        if value.trim().is_empty() {
            String::new()
        } else {
            listed.join(",")
        }
    });
    good
}

fn on_off(value: bool) -> String {
    if value { "ON" } else { "OFF" }.to_owned()
}

fn minutes(value: &str) -> Option<u32> {
    let value = value.to_ascii_lowercase();
    let (digits, factor) = match value.strip_suffix('h') {
        Some(hours) => (hours, 60),
        None => (value.strip_suffix('m')?, 1),
    };
    digits.parse::<u32>().ok()?.checked_mul(factor)
}

/// `( name = value, … )`; `reverse`: of the reverse direction, which can't have all of them.
pub(super) fn list(cursor: &mut Cursor<'_>, reverse: bool) -> Result<OptionChanges> {
    cursor.expect_symbol("(")?;
    let mut changes = OptionChanges::default();
    loop {
        let name = cursor.name("an option name")?.to_ascii_lowercase();
        if NOT_YET.contains(&name.as_str()) {
            return Err(not_yet(&format!("Task option {name}")));
        }
        let Some(option) = OPTIONS.iter().find(|option| option.name == name) else {
            let known: Vec<_> = OPTIONS.iter().map(|option| option.name).collect();
            let message = format!("Unknown task option '{name}'; the options are {}", known.join(", "));
            return Err(SqlError::new(1193, "HY000", message));
        };
        if reverse && !option.per_direction {
            let message = format!("Task option {name} holds for the task as a whole: it can't stand in REVERSE");
            return Err(wrong(message));
        }
        if (option.print)(&changes).is_some() {
            return Err(wrong(format!("Task option {name} is given twice")));
        }
        cursor.expect_symbol("=")?;
        let value = cursor.value(&format!("a value for {name}"))?;
        if name == "conflict_policy" {
            let policy = value.split('(').next().unwrap_or_default().trim().to_ascii_lowercase();
            if POLICIES_NOT_YET.contains(&policy.as_str()) {
                return Err(not_yet(&format!("The conflict policy {policy}")));
            }
        }
        if !(option.set)(&mut changes, &value) {
            return Err(wrong(format!(
                "Task option {name} can't be '{value}': it takes {}",
                option.values
            )));
        }
        if !cursor.symbol(",") {
            break;
        }
    }
    cursor.expect_symbol(")")?;
    Ok(changes)
}

/// The list as it is written between parentheses; empty if nothing is changed.
pub(super) fn print(changes: &OptionChanges) -> String {
    let written = OPTIONS
        .iter()
        .filter_map(|option| Some(format!("{} = {}", option.name, (option.print)(changes)?)));
    written.collect::<Vec<_>>().join(", ")
}

/// Every option with its value, also where it is the default: so what is shown means the same in a later version.
pub(super) fn spelled_out(options: &TaskOptions) -> OptionChanges {
    OptionChanges {
        conflict_policy: Some(options.conflict_policy),
        schema_sync: Some(options.schema_sync),
        full_sync: Some(options.full_sync),
        incremental_sync: Some(options.incremental_sync),
        existing_tables: Some(options.existing_tables),
        exclude_ddl: Some(options.exclude_ddl),
        online_ddl: Some(options.online_ddl),
        shadow_table_patterns: Some(options.shadow_table_patterns.clone()),
        trash_table_patterns: Some(options.trash_table_patterns.clone()),
        object_case: Some(options.object_case),
        retry_window_minutes: Some(options.retry_window_minutes),
        workers: Some(options.workers),
        rows_per_second: Some(options.rows_per_second),
        bytes_per_second: Some(options.bytes_per_second),
        heartbeat: Some(options.heartbeat),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_reads_what_it_prints() {
        for changes in [
            spelled_out(&TaskOptions::default()),
            OptionChanges {
                conflict_policy: Some(ConflictPolicy::Overwrite),
                existing_tables: Some(ExistingTables::Proceed),
                retry_window_minutes: Some(1440),
                workers: Some(64),
                rows_per_second: Some(5000),
                bytes_per_second: Some(1 << 40),
                heartbeat: Some(false),
                online_ddl: Some(OnlineDdl::GhOst),
                shadow_table_patterns: Some(r"\_%\_gho,x'y".into()),
                object_case: Some(ObjectCase::Upper),
                ..OptionChanges::default()
            },
        ] {
            let text = format!("({})", print(&changes));
            assert_eq!(list(&mut Cursor::new(&text), false), Ok(changes), "{text}");
        }
        let all = print(&spelled_out(&TaskOptions::default()));
        assert!(
            OPTIONS
                .iter()
                .all(|option| all.contains(option.name) && !option.doc.is_empty()),
            "{all}"
        );
    }
}
