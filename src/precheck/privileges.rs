//! What the accounts need for a task, one privilege at a time: the lists of docs/privileges.md as they hold for it.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    model::{
        name::OWN_DATABASE,
        task::{Direction, TaskOptions},
    },
    sql::ident,
};

use super::{
    Item, Judged, Known, Rule, Severity, at,
    facts::{Facts, Way},
    fail, server, warn,
};

pub(super) const ITEMS: &[Item] = &[
    Item {
        name: "privileges to read",
        looks_at: "what the account needs at the source to read the binlog, rows and definitions",
        why: "MySQL leaves out of its lists, without a word, what an account may not see.",
        severity: Severity::Fails,
        rule: Rule::Scope(|way, known| Some(missing(way, known, Purpose::Read))),
    },
    Item {
        name: "privileges to apply",
        looks_at: "what the account needs at the destination to compare and write rows",
        why: "The first change that the server refuses would stop the task.",
        severity: Severity::Fails,
        rule: Rule::Scope(|way, known| Some(missing(way, known, Purpose::Apply))),
    },
    Item {
        name: "privileges for schema changes",
        looks_at: "what the account needs at the destination to make databases, tables, views and programs, and to run DDL",
        why: "The first statement that the server refuses would stop the task.",
        severity: Severity::Fails,
        rule: Rule::Scope(|way, known| Some(missing(way, known, Purpose::Schema))),
    },
    Item {
        name: "privileges on the causeway database",
        looks_at: "what the accounts need for Causeway's own tables: at the destination, and for the heartbeat at the source",
        why: "What has been applied is kept there, in the same transactions as the rows.",
        severity: Severity::Both,
        rule: Rule::Scope(|way, known| Some(missing(way, known, Purpose::Own))),
    },
    Item {
        name: "privileges for row filters",
        looks_at: "CREATE TEMPORARY TABLES on the causeway database of the source, for a task with WHERE in its objects",
        why: "The source judges in a temporary table which changes are selected.",
        severity: Severity::Fails,
        rule: Rule::Scope(|way, known| {
            known
                .scope
                .objects
                .has_filters()
                .then(|| missing(way, known, Purpose::Filter))
        }),
    },
];

/// What a privilege is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// Reading at the source.
    Read,
    /// Writing rows at the destination.
    Apply,
    /// Making things at the destination.
    Schema,
    /// Causeway's own database.
    Own,
    /// Judging rows at the source.
    Filter,
}

/// What a privilege is needed on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum On {
    /// `*.*`
    Server,
    /// A database.
    Database(String),
}

/// A privilege that an account needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// What for.
    pub purpose: Purpose,
    /// At the source, or else at the destination.
    pub at_source: bool,
    /// On what.
    pub on: On,
    /// Its name in GRANT.
    pub privilege: &'static str,
    /// Without it the task can't start.
    pub fails: bool,
}

/// What a direction does, as far as privileges go.
#[derive(Debug, Clone)]
pub struct Plan<'a> {
    /// Which link.
    pub direction: Direction,
    /// There is a link the other way.
    pub two_way: bool,
    /// Its options.
    pub options: &'a TaskOptions,
    /// There are row filters.
    pub has_filters: bool,
    /// The link makes and copies tables of its own.
    pub copies: bool,
    /// Databases of selected tables: at the source, at the destination.
    pub databases: BTreeSet<(String, String)>,
    /// Those of them that are selected as a whole.
    pub whole: BTreeSet<(String, String)>,
}

/// All that the accounts need, each privilege once.
pub fn needed(plan: &Plan<'_>) -> Vec<Need> {
    let mut needs = BTreeSet::new();
    let mut need = |purpose, at_source, on: &On, privileges: &[&'static str], fails| {
        for privilege in privileges {
            needs.insert(Need {
                purpose,
                at_source,
                on: on.clone(),
                privilege,
                fails,
            });
        }
    };
    let forward = plan.direction == Direction::Forward;
    let options = plan.options;
    let makes = options.schema_sync && plan.copies;
    let ddl = forward && options.incremental_sync && !options.exclude_ddl;
    if options.incremental_sync {
        need(
            Purpose::Read,
            true,
            &On::Server,
            &["REPLICATION SLAVE", "REPLICATION CLIENT"],
            true,
        );
    }
    for (from, to) in &plan.databases {
        let (from, to) = (On::Database(from.clone()), On::Database(to.clone()));
        need(Purpose::Read, true, &from, &["SELECT"], true);
        need(
            Purpose::Apply,
            false,
            &to,
            &["SELECT", "INSERT", "UPDATE", "DELETE"],
            true,
        );
        if makes {
            need(Purpose::Schema, false, &to, &["CREATE", "REFERENCES"], true);
        }
        if ddl {
            need(
                Purpose::Schema,
                false,
                &to,
                &["ALTER", "CREATE", "DROP", "INDEX", "REFERENCES"],
                true,
            );
        }
    }
    for (from, to) in plan.whole.iter().filter(|_| forward) {
        let (from, to) = (On::Database(from.clone()), On::Database(to.clone()));
        if options.schema_sync {
            need(Purpose::Read, true, &from, &["SHOW VIEW", "TRIGGER", "EVENT"], true);
            need(Purpose::Read, true, &On::Server, &["SHOW_ROUTINE"], true);
        }
        if makes || ddl {
            let all = [
                "CREATE VIEW",
                "SHOW VIEW",
                "CREATE ROUTINE",
                "ALTER ROUTINE",
                "TRIGGER",
                "EVENT",
            ];
            need(Purpose::Schema, false, &to, &all, true);
            need(Purpose::Schema, false, &On::Server, &["SHOW_ROUTINE"], true);
        }
    }
    let own = On::Database(OWN_DATABASE.to_owned());
    let all = ["SELECT", "INSERT", "UPDATE", "DELETE", "CREATE"];
    need(Purpose::Own, false, &own, &all, true);
    // In a two-way task the other direction has it. The heartbeat is not what a task depends on.
    if !plan.two_way && options.heartbeat && options.incremental_sync {
        need(Purpose::Own, true, &own, &all, false);
    }
    if plan.has_filters && options.incremental_sync {
        need(Purpose::Filter, true, &own, &["CREATE TEMPORARY TABLES"], true);
    }
    needs.into_iter().collect()
}

impl On {
    /// As it stands behind ON. `_` and `%` are patterns in the name of a database, unless partial revokes are on.
    pub fn granted(&self, facts: &Facts) -> String {
        match self {
            On::Server => "*.*".to_owned(),
            On::Database(name) if facts.is_on("partial_revokes") => format!("{}.*", ident::quoted(name)),
            On::Database(name) => {
                format!("{}.*", ident::quoted(&name.replace('_', "\\_").replace('%', "\\%")))
            }
        }
    }

    fn named(&self) -> String {
        match self {
            On::Server => "*.*".to_owned(),
            On::Database(name) => format!("{name}.*"),
        }
    }
}

fn missing(way: &Way, known: &Known<'_>, purpose: Purpose) -> Judged {
    // By server and what they are on, so that one GRANT gives all of them.
    let mut missing: BTreeMap<(bool, &On, bool), Vec<&str>> = BTreeMap::new();
    for need in known.scope.missing.iter().filter(|need| need.purpose == purpose) {
        missing
            .entry((need.at_source, &need.on, need.fails))
            .or_default()
            .push(need.privilege);
    }
    let findings = missing.into_iter().map(|((at_source, on, fails), privileges)| {
        let (server, facts) = match at_source {
            true => (&way.source.name, known.source),
            false => (&way.destination.name, known.destination),
        };
        let account = server::shown(&facts.account);
        let privileges = privileges.join(", ");
        let found = format!(
            "account {account} at server {server} lacks {privileges} on {} (docs/privileges.md says what for)",
            on.named()
        );
        let remedy = at(
            server,
            &format!("GRANT {privileges} ON {} TO {account}", on.granted(facts)),
        );
        if fails {
            fail(found, remedy)
        } else {
            warn(found, remedy)
        }
    });
    Judged::of(findings.collect(), "none is missing")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl Fn(&mut TaskOptions, &mut Plan<'static>), expected: &[&str], not: &[&str]) {
        let mut options = TaskOptions::default();
        let pair = || BTreeSet::from([("a".to_owned(), "b_c".to_owned())]);
        let mut plan = Plan {
            direction: Direction::Forward,
            two_way: false,
            options: Box::leak(Box::new(TaskOptions::default())),
            has_filters: false,
            copies: true,
            databases: pair(),
            whole: pair(),
        };
        change(&mut options, &mut plan);
        plan.options = Box::leak(Box::new(options));
        let end = |at_source| if at_source { "source" } else { "destination" };
        let found: Vec<String> = needed(&plan)
            .iter()
            .map(|need| format!("{} {} {}", need.privilege, need.on.named(), end(need.at_source)))
            .collect();
        for expected in expected {
            assert!(found.iter().any(|found| found == expected), "{expected}: {found:?}");
        }
        for not in not {
            assert!(!found.iter().any(|found| found.contains(not)), "{not}: {found:?}");
        }
    }

    #[test]
    fn a_task_needs_what_it_does() {
        check(
            |_, _| {},
            &[
                "REPLICATION SLAVE *.* source",
                "SELECT a.* source",
                "SHOW VIEW a.* source",
                "DELETE b_c.* destination",
                "INDEX b_c.* destination",
                "CREATE ROUTINE b_c.* destination",
                "CREATE causeway.* destination",
                "INSERT causeway.* source",
            ],
            &["TEMPORARY"],
        );
        check(|options, _| options.heartbeat = false, &[], &["causeway.* source"]);
        check(
            |_, plan| plan.whole = BTreeSet::new(),
            &["CREATE b_c.* destination"],
            &["ROUTINE", "SHOW VIEW", "EVENT"],
        );
        check(
            |options, plan| {
                options.schema_sync = false;
                options.exclude_ddl = true;
                plan.has_filters = true;
            },
            &["CREATE TEMPORARY TABLES causeway.* source"],
            &["ALTER", "CREATE b_c", "SHOW"],
        );
        check(
            |_, plan| {
                plan.direction = Direction::Reverse;
                plan.two_way = true;
                plan.copies = false;
            },
            &["REPLICATION SLAVE *.* source", "SELECT b_c.* destination"],
            &["ALTER", "ROUTINE", "EVENT", "CREATE b_c", "causeway.* source"],
        );
        check(
            |options, _| options.incremental_sync = false,
            &["CREATE b_c.* destination"],
            &["REPLICATION", "ALTER b_c", "causeway.* source"],
        );
    }

    #[test]
    fn a_grant_means_one_database_alone() {
        let facts = Facts::default();
        let on = On::Database("my_shop".to_owned());
        assert_eq!(on.granted(&facts), "`my\\_shop`.*");
        let mut literal = Facts::default();
        literal.variables.insert("partial_revokes".to_owned(), "ON".to_owned());
        assert_eq!(on.granted(&literal), "`my_shop`.*");
    }
}
