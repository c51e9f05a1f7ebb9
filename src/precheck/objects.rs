//! What is selected: whether it can travel, and what goes with it.

use std::collections::BTreeSet;

use crate::{
    model::{
        name::{TableName, is_system_database},
        task::{ConflictPolicy, Direction, ObjectRule},
    },
    plan::fitness,
    sql::ident::{quoted, quoted_table},
};

use super::{
    Finding, Item, Judged, Known, Rule, Severity, at, binlog,
    facts::{Facts, Scope, Selected, TableSeen, Way},
    fail, here, set, some_of, statements, warn,
};

pub(super) const ITEMS: &[Item] = &[
    Item {
        name: "selected objects",
        looks_at: "whether every entry of OBJECTS matches something at the source",
        why: "A name that is misspelled selects nothing, and nothing is what happens then.",
        severity: Severity::Both,
        rule: Rule::Scope(|way, known| selected_objects(way, known)),
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
        rule: Rule::Scope(|way, known| listed_columns(way, known)),
    },
    Item {
        name: "row filters",
        looks_at: "the conditions (WHERE) in OBJECTS, tried at the source",
        why: "A condition that the server does not take can't be judged.",
        severity: Severity::Fails,
        rule: Rule::Scope(|_, known| {
            let findings = known
                .scope
                .wrong_filters
                .iter()
                .map(|found| fail(found, "correct the condition: drop the task and create it anew"));
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
    Item {
        name: "foreign-key parents",
        looks_at: "foreign keys of selected tables to tables that are not selected",
        why: "Rows arrive whose parents do not, so the key does not hold at the destination.",
        severity: Severity::Warns,
        rule: Rule::Scope(|way, known| Some(parents(way, known))),
    },
    Item {
        name: "cascades",
        looks_at: "foreign keys with CASCADE or SET NULL whose parent is not selected, on a server that does not log what they do \
                   (MySQL before 9.6)",
        why: "What such a key does to the selected child stands nowhere in the binlog, so the other side never hears of it.",
        severity: Severity::Fails,
        rule: Rule::Scope(|way, known| way.options.incremental_sync.then(|| cascades(way, known))),
    },
    Item {
        name: "engines without transactions",
        looks_at: "the storage engines of the selected tables, on both servers",
        why: "Rows are applied in one transaction with the record that they are. In a table of another engine they would stay \
              when that transaction does not, and be applied twice.",
        severity: Severity::Both,
        rule: Rule::Scope(|way, known| Some(engines(way, known))),
    },
    Item {
        name: "character sets and collations",
        looks_at: "whether the destination knows the collations of the selected tables",
        why: "A table with another can't be made there.",
        severity: Severity::Both,
        rule: Rule::Scope(|way, known| Some(collations(way, known))),
    },
    Item {
        name: "triggers at the receiving side",
        looks_at: "triggers of the destination on tables that the task writes to, without Causeway's guard",
        why: "The changes that are applied have had the effect of triggers at the side they come from; what a trigger does then \
              is done twice, or conflicts.",
        severity: Severity::Warns,
        rule: Rule::Scope(|way, known| Some(triggers(way, known))),
    },
    Item {
        name: "events at the receiving side",
        looks_at: "events of the destination that run there, and at the source as well; in a one-way task, any that run in the \
                   databases that it writes to",
        why: "What an event does at the source arrives as changes. If it runs at the destination too, it is done twice.",
        severity: Severity::Warns,
        rule: Rule::Scope(|way, known| Some(events(way, known))),
    },
    Item {
        name: "log_bin_trust_function_creators",
        looks_at: "that setting of the destination, where triggers or functions are to be made there",
        why: "With its binlog on, MySQL lets nobody without SUPER make triggers, or functions that are not said to be \
              deterministic, unless it is on.",
        severity: Severity::Both,
        rule: Rule::Scope(trusted),
    },
    Item {
        name: "online schema change",
        looks_at: "tables of gh-ost and pt-online-schema-change at the source, beside selected ones",
        why: "A change that is under way while tables are made and copied makes their copy start over, and has to be carried or \
              hidden from its start.",
        severity: Severity::Warns,
        rule: Rule::Scope(|way, known| Some(online(way, known))),
    },
    Item {
        name: "auto_increment",
        looks_at: "`auto_increment_increment` and `auto_increment_offset` of both servers of a two-way task",
        why: "Where both make the same numbers, two clients insert different rows under one key, which is a conflict.",
        severity: Severity::Warns,
        rule: Rule::Scope(|way, known| way.two_way.then(|| auto_increment(way, known))),
    },
    Item {
        name: "conflict policy",
        looks_at: "`overwrite` in both directions",
        why: "When both sides change a row at once, each takes the other's value: the two exchange them instead of agreeing.",
        severity: Severity::Warns,
        rule: Rule::Any(|way| (way.two_way && way.direction == Direction::Forward).then(|| policy(way))),
    },
];

/// The link still has its schema and full sync before it.
fn begins(scope: &Scope) -> bool {
    scope.applied.is_none()
}

fn seen<'a>(known: &'a Known<'_>, table: &Selected) -> Option<&'a TableSeen> {
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

fn parents(way: &Way, known: &Known<'_>) -> Judged {
    let scope = known.scope;
    let keys: Vec<_> = scope
        .source
        .foreign_keys
        .iter()
        .filter(|key| scope.objects.map(&key.child).is_some() && scope.objects.map(&key.parent).is_none())
        .collect();
    let parents: BTreeSet<&TableName> = keys.iter().map(|key| &key.parent).collect();
    let parents: Vec<&TableName> = parents.into_iter().collect();
    let findings = (!keys.is_empty()).then(|| {
        let shown = keys.iter().map(|key| format!("{} (of {})", key.parent, key.child));
        let objects: Vec<String> = parents.iter().map(|parent| quoted_table(parent)).collect();
        warn(
            format!("parents that are not selected: {}", some_of(shown)),
            here(&format!(
                "ALTER SYNC TASK {} ADD OBJECTS ({})",
                quoted(&way.task),
                objects.join(", ")
            )),
        )
    });
    Judged::of(findings.into_iter().collect(), "all are selected")
}

fn cascades(way: &Way, known: &Known<'_>) -> Judged {
    if known.source.logs_cascades() {
        return Judged::pass(format!("server {} logs what foreign keys do", way.source.name));
    }
    let scope = known.scope;
    // The task's source has the keys before the destination has got its tables.
    let (keys, selected): (_, &dyn Fn(&TableName) -> bool) = match way.direction {
        Direction::Forward => (&scope.source.foreign_keys, &|table| scope.objects.map(table).is_some()),
        Direction::Reverse => (&scope.destination.foreign_keys, &|table| {
            scope.objects.origin(table).is_some()
        }),
    };
    let over: Vec<_> = keys
        .iter()
        .filter(|key| key.acts && selected(&key.child) && !selected(&key.parent))
        .collect();
    let findings = over.first().map(|key| {
        fail(
            format!(
                "{} has a foreign key with CASCADE or SET NULL to {}, which is not among the objects{}, and server {} does not \
                 write to its binlog what such a key does",
                key.child,
                key.parent,
                match over.len() - 1 {
                    0 => String::new(),
                    more => format!(" (and {more} more such keys)"),
                },
                way.source.name
            ),
            "add the parent to OBJECTS, leave the child out, or take the action off the key (ON DELETE RESTRICT ON UPDATE \
             RESTRICT)",
        )
    });
    Judged::of(
        findings.into_iter().collect(),
        "none goes over the border of the selection",
    )
}

fn engines(way: &Way, known: &Known<'_>) -> Judged {
    let scope = known.scope;
    let (source, destination) = (&way.source.name, &way.destination.name);
    let (mut read, mut made, mut written) = (Vec::new(), Vec::new(), Vec::new());
    for table in &scope.tables {
        let without =
            |seen: Option<&TableSeen>| seen.filter(|seen| !seen.transactional).map(|seen| seen.engine.clone());
        let there = scope.destination.tables.get(&table.to);
        if let Some(engine) = without(there) {
            written.push((&table.to, engine));
        }
        if let Some(engine) = without(seen(known, table)) {
            match there {
                None if table.copied && way.options.schema_sync => made.push((&table.from, engine)),
                _ => read.push((&table.from, engine)),
            }
        }
    }
    let mut findings = Vec::new();
    let mut add = |server: &str, tables: Vec<(&TableName, String)>, fails: bool, what: &str| {
        if tables.is_empty() {
            return;
        }
        let shown = some_of(tables.iter().map(|(table, engine)| format!("{table} ({engine})")));
        let remedy = at(
            server,
            &statements(&tables, |(table, _)| {
                format!("ALTER TABLE {} ENGINE = InnoDB", quoted_table(table))
            }),
        );
        findings.push(Finding {
            fails,
            found: format!("server {server}: {shown} {what}"),
            remedy,
        });
    };
    add(
        destination,
        written,
        true,
        "can't be written in one transaction with the checkpoint",
    );
    add(
        source,
        made,
        true,
        "would be made with the same engine at the destination, and can't be written there in one transaction with the checkpoint",
    );
    add(
        source,
        read,
        false,
        "keeps rows of statements that are rolled back, which the binlog does not have",
    );
    Judged::of(findings, "all have transactions")
}

fn collations(way: &Way, known: &Known<'_>) -> Judged {
    let scope = known.scope;
    let unknown: Vec<(&TableName, &String)> = scope
        .tables
        .iter()
        .filter_map(|table| {
            let collations = &seen(known, table)?.collations;
            let unknown = collations
                .iter()
                .find(|collation| !scope.destination.collations.contains(*collation))?;
            Some((&table.from, unknown))
        })
        .collect();
    let findings = (!unknown.is_empty()).then(|| {
        let shown = some_of(
            unknown
                .iter()
                .map(|(table, collation)| format!("{collation} of {table}")),
        );
        let convert = |(table, _): &(&TableName, &String)| {
            format!(
                "ALTER TABLE {} CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci",
                quoted_table(table)
            )
        };
        Finding {
            fails: begins(scope) && way.options.schema_sync,
            found: format!("server {} does not know {shown}", way.destination.name),
            remedy: at(&way.source.name, &statements(&unknown, convert)),
        }
    });
    Judged::of(findings.into_iter().collect(), "all are known")
}

fn triggers(way: &Way, known: &Known<'_>) -> Judged {
    let triggers = &known.scope.unguarded_triggers;
    let name = &way.destination.name;
    let findings = (!triggers.is_empty()).then(|| {
        let shown = some_of(triggers.iter().map(|(trigger, _)| trigger));
        let all: Vec<&str> = triggers.iter().map(|(_, guarding)| guarding.as_str()).collect();
        warn(
            format!(
                "server {name}: {shown} fire for the changes that Causeway applies; a trigger leaves them alone if it does its work \
                 only where @causeway_applying is NULL"
            ),
            // DELIMITER has to stand at the beginning of a line.
            at(name, &format!("\n{}", all.join("\n"))),
        )
    });
    Judged::of(findings.into_iter().collect(), "none fires for what is applied")
}

fn events(way: &Way, known: &Known<'_>) -> Judged {
    let scope = known.scope;
    let written: BTreeSet<&str> = scope.tables.iter().map(|table| table.to.database.as_str()).collect();
    let mut twice: Vec<&TableName> = Vec::new();
    for (event, _) in scope.destination.events.iter().filter(|(_, runs)| **runs) {
        let runs_at_source = scope.source.events.iter().any(|(name, runs)| {
            *runs
                && name.table.eq_ignore_ascii_case(&event.table)
                && scope.objects.map_database(&name.database).as_ref() == Some(&event.database)
        });
        if runs_at_source || (!way.two_way && written.contains(event.database.as_str())) {
            twice.push(event);
        }
    }
    let name = &way.destination.name;
    // DISABLE ON SLAVE before 8.0.22; that is understood by all.
    let word = if known.destination.number >= (8, 0, 22) {
        "REPLICA"
    } else {
        "SLAVE"
    };
    let findings = (!twice.is_empty()).then(|| {
        warn(
            format!("server {name}: {} run there", some_of(&twice)),
            at(
                name,
                &statements(&twice, |event| {
                    format!("ALTER EVENT {} DISABLE ON {word}", quoted_table(event))
                }),
            ),
        )
    });
    Judged::of(findings.into_iter().collect(), "none is done twice")
}

fn trusted(way: &Way, known: &Known<'_>) -> Option<Judged> {
    let (scope, there) = (known.scope, known.destination);
    let made: Vec<&String> = scope
        .source
        .programs
        .iter()
        .filter(|database| scope.objects.map_database(database).is_some())
        .collect();
    if way.direction == Direction::Reverse || !way.options.schema_sync {
        return None;
    }
    let barred =
        there.is_on("log_bin") && !there.is_on("log_bin_trust_function_creators") && !there.grants.has("SUPER");
    let name = &way.destination.name;
    let findings = (barred && !made.is_empty()).then(|| Finding {
        fails: begins(scope),
        found: format!(
            "server {name} lets this account make no triggers and functions, of which there are some in {}",
            some_of(made)
        ),
        remedy: set(name, "log_bin_trust_function_creators", "ON"),
    });
    Some(Judged::of(
        findings.into_iter().collect(),
        "they can be made, as far as there are any",
    ))
}

fn online(way: &Way, known: &Known<'_>) -> Judged {
    let scope = known.scope;
    let online = scope.objects.online();
    let shadows: Vec<&TableName> = scope
        .source
        .tables
        .keys()
        .filter(|name| {
            online.is_shadow(name)
                && online
                    .tables_of(name)
                    .iter()
                    .any(|table| scope.source.tables.contains_key(table) && scope.objects.map(table).is_some())
        })
        .collect();
    let findings = (!shadows.is_empty()).then(|| {
        warn(
            format!(
                "server {}: {} look like tables of a change that is under way",
                way.source.name,
                some_of(&shadows)
            ),
            format!(
                "let the tool finish first; if none is at work, they are left over: {}",
                statements(&shadows, |table| format!("DROP TABLE {}", quoted_table(table)))
            ),
        )
    });
    Judged::of(findings.into_iter().collect(), "none is under way")
}

/// The numbers that a server makes: step and first.
fn numbers(facts: &Facts) -> (u64, u64) {
    let step = facts.number_of("auto_increment_increment").unwrap_or(1).max(1);
    let first = facts.number_of("auto_increment_offset").unwrap_or(1);
    // An offset above the increment is ignored (manual, "auto_increment_offset").
    (step, if first > step { 1 } else { first })
}

fn overlap(one: (u64, u64), other: (u64, u64)) -> bool {
    let (mut a, mut b) = (one.0, other.0);
    while b > 0 {
        (a, b) = (b, a % b);
    }
    one.1.abs_diff(other.1) % a.max(1) == 0
}

fn auto_increment(way: &Way, known: &Known<'_>) -> Judged {
    let scope = known.scope;
    let tables: Vec<&TableName> = scope
        .tables
        .iter()
        .filter(|table| seen(known, table).is_some_and(|seen| seen.auto_increment))
        .map(|table| &table.from)
        .collect();
    let (here, there) = (numbers(known.source), numbers(known.destination));
    let found = format!(
        "server {} makes numbers from {} by {}, server {} from {} by {}",
        way.source.name, here.1, here.0, way.destination.name, there.1, there.0
    );
    let one_server = known.source.server_uuid == known.destination.server_uuid;
    let findings = (!tables.is_empty() && overlap(here, there) && !one_server).then(|| {
        let first = if way.direction == Direction::Forward { 1 } else { 2 };
        warn(
            format!("both servers make the same numbers for {} ({found})", some_of(&tables)),
            at(
                &way.source.name,
                &format!("SET PERSIST auto_increment_increment = 2; SET PERSIST auto_increment_offset = {first}"),
            ),
        )
    });
    Judged::of(findings.into_iter().collect(), found)
}

fn policy(way: &Way) -> Judged {
    let [forward, reverse] = [&way.options, &way.other_options].map(|options| options.conflict_policy);
    let findings = (forward == ConflictPolicy::Overwrite && reverse == ConflictPolicy::Overwrite).then(|| {
        warn(
            "conflict_policy is overwrite in both directions: when both sides change a row at once, the two values change places",
            here(&format!("ALTER SYNC TASK {} REVERSE SET (conflict_policy = 'ignore')", quoted(&way.task))),
        )
    });
    let found = format!("{} forward, {} in reverse", forward.as_str(), reverse.as_str());
    Judged::of(findings.into_iter().collect(), found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_overlap_unless_steps_keep_them_apart() {
        for (one, other, expected) in [
            ((1, 1), (1, 1), true),
            ((2, 1), (2, 2), false),
            ((2, 1), (1, 1), true),
            ((2, 1), (4, 2), false),
            ((2, 1), (4, 3), true),
            ((2, 1), (3, 2), true),
        ] {
            assert_eq!(overlap(one, other), expected, "{one:?} {other:?}");
            assert_eq!(overlap(other, one), expected);
        }
    }
}
