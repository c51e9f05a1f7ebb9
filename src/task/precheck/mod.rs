//! Gathers what a precheck judges: both servers, then what each direction selects, in questions about all tables at once.

use std::collections::{BTreeSet, HashMap};

use mysql_async::Conn;

use crate::{
    apply::checkpoint::{self, LinkKey},
    connect,
    failure::{Failure, Kind},
    model::{
        name::{TableName, is_system_database},
        precheck::{PrecheckRow, Verdict},
        server::ServerDefinition,
        task::{Direction, TaskDefinition},
    },
    plan::{copied, objects::Objects},
    precheck::{
        self, Depth,
        facts::{Contents, Facts, Scope, Selected, Server, Way},
        privileges::Plan,
    },
    schema,
};

use super::{check, existing, objects, row_filter, stored};

mod contents;
mod privileges;

/// A server of a task, or why its definition can't be used.
pub type Defined = Result<ServerDefinition, Failure>;

/// Looks at a task's servers (source, destination) and judges. Changes nothing there. `key`: the task as checkpoints name it.
/// Gives the facts of the servers that could be asked as well.
pub async fn run(
    task: &TaskDefinition,
    key: &str,
    servers: &[Defined; 2],
    depth: Depth,
) -> (Vec<PrecheckRow>, [Option<Facts>; 2]) {
    let [source, destination] = servers;
    let (source_facts, destination_facts) = tokio::join!(asked(source), asked(destination));
    let both = [
        described(task.source.as_str(), source, source_facts),
        described(task.destination.as_str(), destination, destination_facts),
    ];
    let directions = match task.two_way {
        true => vec![Direction::Forward, Direction::Reverse],
        false => vec![Direction::Forward],
    };
    let unknown = || Err("not looked at".to_owned());
    let mut scopes: Vec<Result<Scope, String>> = directions.iter().map(|_| unknown()).collect();
    if let ([Ok(source), Ok(destination)], [Ok(here), Ok(there)], Depth::Whole) =
        (servers, &both.each_ref().map(|server| server.facts.as_ref()), depth)
    {
        let gathered = gather(task, key, [source, destination], [here, there], &directions).await;
        match gathered {
            Ok(found) => scopes = found.into_iter().map(Ok).collect(),
            Err(failure) => scopes
                .iter_mut()
                .for_each(|scope| *scope = Err(failure.message.clone())),
        }
    }
    let mut rows = Vec::new();
    for (direction, scope) in directions.into_iter().zip(scopes) {
        let [first, second] = both.clone();
        let (source, destination) = match direction {
            Direction::Forward => (first, second),
            Direction::Reverse => (second, first),
        };
        let other = match direction {
            Direction::Forward => Direction::Reverse,
            Direction::Reverse => Direction::Forward,
        };
        let way = Way {
            task: task.name.to_string(),
            direction,
            two_way: task.two_way,
            options: task.options_for(direction),
            other_options: task.options_for(other),
            source,
            destination,
            scope,
        };
        rows.extend(precheck::judge(&way, depth));
    }
    // What is to be done first comes first.
    rows.sort_by_key(|row| row.result);
    (rows, both.map(|server| server.facts.ok()))
}

/// Why a task can't start, if it can't: the names of the items first, as clients show the beginning of an error only.
pub fn refusal(task: &str, rows: &[PrecheckRow]) -> Option<String> {
    let fails: Vec<&PrecheckRow> = rows.iter().filter(|row| row.result == Verdict::Fail).collect();
    if fails.is_empty() {
        return None;
    }
    let mut names: Vec<&str> = Vec::new();
    for row in &fails {
        if !names.contains(&row.item) {
            names.push(row.item);
        }
    }
    let mut text = format!(
        "task {task} can't start, its precheck fails: {}. PRECHECK SYNC TASK {task} shows all items.",
        names.join(", ")
    );
    for row in fails {
        text.push_str(&format!("\n- {}", described_fail(row)));
    }
    Some(text)
}

/// What fails of a task that did not before it was altered, if anything does.
pub fn new_fails(before: &[PrecheckRow], after: &[PrecheckRow]) -> Option<String> {
    let is_new = |row: &&PrecheckRow| {
        let same = |old: &PrecheckRow| (old.item, old.direction, &old.found) == (row.item, row.direction, &row.found);
        row.result == Verdict::Fail && !before.iter().any(same)
    };
    let fails: Vec<String> = after.iter().filter(is_new).map(described_fail).collect();
    (!fails.is_empty()).then(|| fails.join("\n- "))
}

fn described_fail(row: &PrecheckRow) -> String {
    let remedy = match row.remedy.is_empty() {
        true => String::new(),
        false => format!(". Remedy: {}", row.remedy),
    };
    format!("{} ({}): {}{remedy}", row.item, row.direction, row.found)
}

async fn asked(server: &Defined) -> Result<Facts, Failure> {
    match server {
        Ok(server) => check::facts(server).await,
        Err(failure) => Err(failure.clone()),
    }
}

fn described(name: &str, server: &Defined, facts: Result<Facts, Failure>) -> Server {
    let facts = facts.map_err(|failure| failure.message);
    match server {
        Ok(server) => check::described(server, facts),
        Err(_) => Server {
            name: name.to_owned(),
            address: Default::default(),
            ssl_mode: Default::default(),
            facts,
        },
    }
}

/// What each direction selects.
async fn gather(
    task: &TaskDefinition,
    key: &str,
    [source, destination]: [&ServerDefinition; 2],
    facts: [&Facts; 2],
    directions: &[Direction],
) -> Result<Vec<Scope>, Failure> {
    let lower_case_table_names = facts.map(|facts| facts.lower_case_table_names);
    let of = |direction| objects::of(task, direction, lower_case_table_names).map_err(Failure::data);
    let (forward, reverse) = (of(Direction::Forward)?, of(Direction::Reverse)?);
    let both_ways = task.two_way && reverse.is_mapped_back();
    let (mut here, mut there) = (connect::open(source).await?, connect::open(destination).await?);
    let (here_has, there_has) = tokio::join!(contents::read(&mut here), contents::read(&mut there));
    let (here_has, there_has) = (here_has?, there_has?);
    let forward_pairs = selected(&forward, None, &here_has);
    let mut scopes = Vec::new();
    for direction in directions {
        let ends = match direction {
            Direction::Forward => Ends {
                conns: [&mut here, &mut there],
                facts,
                contents: [&here_has, &there_has],
                objects: &forward,
                tables: forward_pairs.clone(),
            },
            Direction::Reverse => {
                let mut tables = selected(&reverse, Some(&forward), &there_has);
                if reverse.is_mapped_back() {
                    // They are not there before the task has made them.
                    let back = forward_pairs.iter().map(|table| Selected {
                        from: table.to.clone(),
                        to: table.from.clone(),
                        copied: false,
                    });
                    let new: Vec<Selected> = back
                        .filter(|table| !there_has.tables.contains_key(&table.from))
                        .collect();
                    tables.extend(new);
                }
                Ends {
                    conns: [&mut there, &mut here],
                    facts: [facts[1], facts[0]],
                    contents: [&there_has, &here_has],
                    objects: &reverse,
                    tables,
                }
            }
        };
        let link = LinkKey {
            task: key.to_owned(),
            direction: *direction,
        };
        scopes.push(ends.look(task, &link, both_ways).await?);
    }
    for conn in [here, there] {
        conn.disconnect()
            .await
            .map_err(|error| Failure::mysql("closing a connection", &error))?;
    }
    Ok(scopes)
}

fn selected(objects: &Objects, forward: Option<&Objects>, contents: &Contents) -> Vec<Selected> {
    let tables = contents.tables.keys().filter_map(|from| {
        Some(Selected {
            to: objects.map(from)?,
            copied: copied::own(objects, forward, from).is_some(),
            from: from.clone(),
        })
    });
    tables.collect()
}

/// Both ends of a direction (source, destination).
struct Ends<'a> {
    conns: [&'a mut Conn; 2],
    facts: [&'a Facts; 2],
    contents: [&'a Contents; 2],
    objects: &'a Objects,
    tables: Vec<Selected>,
}

impl Ends<'_> {
    async fn look(self, task: &TaskDefinition, link: &LinkKey, both_ways: bool) -> Result<Scope, Failure> {
        let Ends {
            conns: [source, destination],
            facts,
            contents: [here, there],
            objects,
            tables,
        } = self;
        let direction = link.direction;
        let options = task.options_for(direction);
        let applied = match checkpoint::applied(destination, link).await {
            // The account may not read it; that is told of as a privilege.
            Err(failure) if failure.kind == Kind::Data => None,
            other => other?,
        };
        let begins = applied.is_none();
        let copied: Vec<&Selected> = tables.iter().filter(|table| table.copied).collect();
        let keyless = |table: &Selected| here.tables.get(&table.from).is_some_and(|seen| !seen.primary_key);
        let closely: Vec<TableName> = copied
            .iter()
            .filter(|table| keyless(table) || objects.columns(&table.from).is_listed())
            .map(|table| table.from.clone())
            .collect();
        let definitions = match closely.is_empty() {
            true => HashMap::new(),
            false => schema::tables::read(source, &closely).await?,
        };
        let existing: Vec<(TableName, TableName)> = copied
            .iter()
            .filter(|table| begins && there.tables.contains_key(&table.to))
            .map(|table| (table.from.clone(), table.to.clone()))
            .collect();
        let same_names = existing::compared([&mut *source, &mut *destination], objects, &options, existing).await?;
        let stored_in_the_way = match begins && direction == Direction::Forward {
            true => match stored::in_the_way(source, destination, objects, &options, &|_| true).await {
                Ok(names) => Ok(names),
                Err(failure) if failure.kind == Kind::Data => Err(failure.message),
                Err(failure) => return Err(failure),
            },
            false => Ok(Vec::new()),
        };
        let wrong_filters = row_filter::wrong_filters(source, objects).await?;
        let unguarded_triggers = stored::unguarded_triggers(destination, objects).await?;
        let whole: BTreeSet<(String, String)> = match direction {
            Direction::Forward => here
                .databases
                .iter()
                .filter(|database| !is_system_database(database))
                .filter_map(|database| Some((database.clone(), objects.map_database(database)?)))
                .collect(),
            Direction::Reverse => BTreeSet::new(),
        };
        let mut databases: BTreeSet<(String, String)> = tables
            .iter()
            .map(|table| (table.from.database.clone(), table.to.database.clone()))
            .collect();
        databases.extend(whole.iter().cloned());
        let plan = Plan {
            direction,
            two_way: task.two_way,
            options: &options,
            has_filters: objects.has_filters(),
            copies: !copied.is_empty() || direction == Direction::Forward,
            databases,
            whole,
        };
        let missing = privileges::missing([source, destination], facts, &plan, &tables).await?;
        Ok(Scope {
            objects: objects.clone(),
            both_ways,
            applied,
            source: here.clone(),
            destination: there.clone(),
            tables,
            definitions,
            same_names,
            stored_in_the_way,
            wrong_filters,
            unguarded_triggers,
            missing,
        })
    }
}
