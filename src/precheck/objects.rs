//! What is selected: whether it can travel, and what goes with it.

use std::collections::BTreeSet;

use crate::{
    model::{
        name::{TableName, is_system_database},
        task::{Direction, ObjectRule},
    },
    plan::fitness,
    sql::ident::{quoted, quoted_table},
};

use super::{
    Item, Judged, Known, Rule, Severity, at, binlog,
    facts::{Scope, Selected, TableSeen, Way},
    fail, here, set, some_of, statements, warn,
};

pub(super) const ITEMS: &[Item] = &[
    Item {
        name: "selected objects",
        looks_at: "whether every entry of OBJECTS matches something at the source",
        why: "A name that is misspelled selects nothing, and nothing is what happens then.",
        severity: Severity::Both,
        rule: Rule::Scope(selected_objects),
    },
    Item {
        name: "keys that tell rows apart",
        looks_at: "whether each table has a primary key, or a unique key over NOT NULL columns",
        why: "Without one rows can't be told apart, so changes can't be applied to the right one.",
        severity: Severity::Both,
        rule: Rule::Scope(|way, known| Some(keys(way, known))),
    },
    Item {
        name: "databases and tables at the destination",
        looks_at: "with `schema_sync = OFF`, whether databases and tables are there",
        why: "Then Causeway does not make them.",
        severity: Severity::Fails,
        rule: Rule::Scope(|way, known| (!way.options.schema_sync).then(|| are_there(way, known))),
    },
    Item {
        name: "listed columns",
        looks_at: "the lists of columns in OBJECTS against the tables at the source",
        why: "Columns of the key have to travel, and a row that comes back must find a default for what it does not bring. \
              Without `binlog_row_metadata = FULL` the binlog does not say which columns its rows have.",
        severity: Severity::Fails,
        rule: Rule::Scope(listed_columns),
    },
    Item {
        name: "row filters",
        looks_at: "the conditions (WHERE) in OBJECTS, tried at the source",
        why: "A condition that the server does not take can't be judged.",
        severity: Severity::Fails,
        rule: Rule::Scope(|_, known| {
            let findings = known.scope.wrong_filters.iter().map(|found| {
                fail(
                    found,
                    "correct the condition: REMOVE the table from the task's objects, and ADD it with another one",
                )
            });
            known
                .scope
                .objects
                .has_filters()
                .then(|| Judged::of(findings.collect(), "all are understood"))
        }),
    },
    Item {
        name: "selected databases in the binlog",
        looks_at: "`binlog_do_db` and `binlog_ignore_db` of the source against the selected tables",
        why: "Changes that are not in the binlog can't be followed.",
        severity: Severity::Fails,
        rule: Rule::Scope(|way, known| way.options.incremental_sync.then(|| in_the_binlog(way, known))),
    },
];

/// The link still has its schema and full sync before it.
pub(super) fn begins(scope: &Scope) -> bool {
    scope.applied.is_none()
}

pub(super) fn seen<'a>(known: &'a Known<'_>, table: &Selected) -> Option<&'a TableSeen> {
    known.scope.source.tables.get(&table.from)
}

fn selected_objects(way: &Way, known: &Known<'_>) -> Option<Judged> {
    let scope = known.scope;
    if scope.objects.is_mapped_back() {
        return None;
    }
    let mut unmatched = Vec::new();
    let mut includes = 0;
    for rule in scope.objects.rules() {
        let ObjectRule::Include(selection) = rule else { continue };
        includes += 1;
        let in_databases = || {
            scope
                .source
                .databases
                .iter()
                .filter(|database| !is_system_database(database))
                .any(|database| rule.is_about(database, ""))
        };
        let in_tables = || {
            scope
                .source
                .tables
                .keys()
                .any(|table| rule.is_about(&table.database, &table.table))
        };
        let there = if selection.table.is_none() {
            in_databases()
        } else {
            in_tables()
        };
        if !there {
            unmatched.push(format!(
                "{}.{}",
                selection.database,
                selection.table.as_deref().unwrap_or("*")
            ));
        }
    }
    let nothing = unmatched.len() == includes;
    // A whole database may come with the statement that makes it.
    let may_come = way.options.incremental_sync
        && !way.options.exclude_ddl
        && scope
            .objects
            .rules()
            .iter()
            .any(|rule| matches!(rule, ObjectRule::Include(selection) if selection.table.is_none()));
    let name = &way.source.name;
    let findings = (!unmatched.is_empty()).then(|| {
        let found = format!(
            "server {name} has nothing that fits {}, or the account may not see it (it needs SELECT on it)",
            some_of(&unmatched)
        );
        let remedy = "correct the name in OBJECTS (create the task anew), make what is missing, or grant SELECT on it";
        // What a running task has lost meanwhile may come again.
        if nothing && !may_come && begins(scope) {
            fail(found, remedy)
        } else {
            warn(found, remedy)
        }
    });
    Some(Judged::of(
        findings.into_iter().collect(),
        format!("{} tables are selected", scope.tables.len()),
    ))
}

fn keys(way: &Way, known: &Known<'_>) -> Judged {
    let keyless: Vec<&TableName> = known
        .scope
        .tables
        .iter()
        .filter(|table| table.copied && seen(known, table).is_some_and(|seen| !seen.primary_key))
        .map(|table| &table.from)
        .filter(|name| {
            known
                .scope
                .definitions
                .get(*name)
                .is_some_and(|table| table.row_key().is_none())
        })
        .collect();
    if keyless.is_empty() {
        return Judged::pass("each table has one");
    }
    let found = format!(
        "{} {} neither a primary key nor a unique key over NOT NULL columns, so rows can't be told apart; add one, or leave the \
         table out (OBJECTS (…, NOT …))",
        some_of(&keyless),
        if keyless.len() == 1 { "has" } else { "have" },
    );
    let add = |name: &&TableName| {
        format!(
            "ALTER TABLE {} ADD COLUMN my_row_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT INVISIBLE PRIMARY KEY",
            quoted_table(name)
        )
    };
    let remedy = at(&way.source.name, &statements(&keyless, add));
    // One that came later stops the task when it has rows, and not before.
    let finding = if begins(known.scope) {
        fail(found, remedy)
    } else {
        warn(found, remedy)
    };
    Judged::of(vec![finding], "")
}

fn are_there(way: &Way, known: &Known<'_>) -> Judged {
    let scope = known.scope;
    let copied: Vec<&Selected> = scope
        .tables
        .iter()
        .filter(|table| table.copied && begins(scope))
        .collect();
    let databases: BTreeSet<&str> = copied.iter().map(|table| table.to.database.as_str()).collect();
    let missing: Vec<&str> = databases
        .into_iter()
        .filter(|database| !scope.destination.databases.contains(*database))
        .collect();
    let name = &way.destination.name;
    let mut findings = Vec::new();
    if !missing.is_empty() {
        findings.push(fail(
            format!(
                "server {name} has no database {}, and schema_sync is OFF",
                some_of(&missing)
            ),
            at(
                name,
                &statements(&missing, |database| format!("CREATE DATABASE {}", quoted(database))),
            ),
        ));
    }
    let tables: Vec<&TableName> = copied
        .iter()
        .map(|table| &table.to)
        .filter(|table| {
            scope.destination.databases.contains(&table.database) && !scope.destination.tables.contains_key(*table)
        })
        .collect();
    if !tables.is_empty() {
        findings.push(fail(
            format!(
                "server {name} has no table {}, and schema_sync is OFF",
                some_of(&tables)
            ),
            here(&format!(
                "ALTER SYNC TASK {} SET (schema_sync = ON, existing_tables = 'proceed')",
                quoted(&way.task)
            )),
        ));
    }
    Judged::of(findings, "they are there")
}

fn listed_columns(way: &Way, known: &Known<'_>) -> Option<Judged> {
    let scope = known.scope;
    let mut findings = Vec::new();
    let mut lists = false;
    for table in scope.tables.iter().filter(|table| table.copied) {
        let columns = scope.objects.columns(&table.from);
        if !columns.is_listed() {
            continue;
        }
        lists = true;
        if let (Some(definition), true) = (scope.definitions.get(&table.from), begins(scope)) {
            let reasons = fitness::of_listed_columns(definition, &columns, scope.both_ways);
            findings.extend(reasons.into_iter().map(|reason| fail(reason, "")));
        }
    }
    // The definition at the destination, which stands for the source's otherwise, has other columns.
    if lists && way.direction == Direction::Forward && known.source.variable("binlog_row_metadata") != "FULL" {
        findings.push(fail(
            "OBJECTS lists columns, and the source's binlog does not say which columns its rows have; that \
             takes binlog_row_metadata = 'FULL' at the source",
            set(&way.source.name, "binlog_row_metadata", "'FULL'"),
        ));
    }
    lists.then(|| Judged::of(findings, "all can travel"))
}

fn in_the_binlog(way: &Way, known: &Known<'_>) -> Judged {
    let databases: BTreeSet<&str> = known
        .scope
        .tables
        .iter()
        .map(|table| table.from.database.as_str())
        .collect();
    let left_out: Vec<&str> = databases
        .into_iter()
        .filter(|database| binlog::filtered_out(known.source, database))
        .collect();
    let findings = (!left_out.is_empty()).then(|| {
        fail(
            format!("server {} keeps {} out of its binlog", way.source.name, some_of(&left_out)),
            "start the server with these databases in its binlog: add them to binlog_do_db, or take them out of binlog_ignore_db",
        )
    });
    Judged::of(findings.into_iter().collect(), "they are there")
}
