//! What goes with the selected tables: keys, engines, collations, triggers, events, changes that are under way.

use std::collections::BTreeSet;

use crate::{
    model::{name::TableName, task::Direction},
    sql::ident::{quoted, quoted_table},
};

use super::{
    Finding, Item, Judged, Known, Rule, Severity, at,
    facts::{TableSeen, Way},
    fail, here,
    objects::{begins, seen},
    set, some_of, statements, warn,
};

pub(super) const ITEMS: &[Item] = &[
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
              is done twice, conflicts, or stays at that side alone: the sides part.",
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
];

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
