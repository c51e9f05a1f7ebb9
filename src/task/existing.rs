//! What is there before a link makes and copies tables: whether the columns that OBJECTS list can travel, which tables
//! exist at the destination, and in what they differ.

use std::collections::{BTreeMap, HashSet};

use mysql_async::{Conn, prelude::Queryable};

use crate::{
    failure::Failure,
    model::{
        name::TableName,
        task::{Direction, ExistingTables, TaskOptions},
    },
    plan::{
        compare::{self, Difference},
        fitness,
        objects::Objects,
    },
    schema,
    sql::literal,
};

use super::statements::Keys;

/// Tables and differences that a message names, at most.
const NAMED_TABLES: usize = 5;
const NAMED_DIFFERENCES: usize = 8;

/// What was found.
#[derive(Debug, Default)]
pub struct Findings {
    /// Why the link can't begin.
    pub refusals: Vec<String>,
    /// What is different and does no harm.
    pub warnings: Vec<String>,
}

/// Looks at the tables that a link is to make and copy (source, destination).
///
/// # Errors
/// [`Failure`] if a server refuses.
pub async fn look(
    [source, destination]: [&mut Conn; 2],
    objects: &Objects,
    options: &TaskOptions,
    pairs: &[(TableName, TableName)],
) -> Result<Findings, Failure> {
    let mut findings = Findings::default();
    findings.refusals.extend(two_in_one(pairs));
    let there: HashSet<TableName> = schema::list_tables(destination)
        .await?
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    let existing: Vec<&(TableName, TableName)> = pairs.iter().filter(|(_, to)| there.contains(to)).collect();
    let in_the_way = options.schema_sync && options.existing_tables == ExistingTables::Error;
    let mut described = Vec::new();
    for (from, to) in &existing {
        if in_the_way && described.len() >= NAMED_TABLES {
            break;
        }
        let found = differences([&mut *source, &mut *destination], objects, [from, to]).await?;
        if in_the_way {
            described.push(match found.is_empty() {
                true => format!("{to} is as {from} at the source"),
                false => format!("{to} differs from {from} at the source: {}", listed(&found)),
            });
            continue;
        }
        let (breaking, harmless): (Vec<_>, Vec<_>) = found.into_iter().partition(|difference| difference.breaking);
        if !breaking.is_empty() {
            findings.refusals.push(format!(
                "{to} exists at the destination and can't take the rows of {from}: {}; make its definition fit, drop it, or \
                 leave the table out (OBJECTS (…, NOT …))",
                listed(&breaking)
            ));
        }
        if !harmless.is_empty() {
            findings.warnings.push(format!(
                "{to} exists at the destination and differs from {from} at the source, and the task goes on with it: {}",
                listed(&harmless)
            ));
        }
    }
    if in_the_way && !existing.is_empty() {
        let names: Vec<TableName> = existing.iter().map(|(_, to)| to.clone()).collect();
        findings.refusals.push(format!(
            "{} {} at the destination already ({}); drop what is there, rename in OBJECTS (… AS …), or set existing_tables = \
             'proceed'",
            some_of(&names),
            if names.len() == 1 { "exists" } else { "exist" },
            described.join("; ")
        ));
    }
    Ok(findings)
}

/// Why the columns that OBJECTS list can't travel. `both_ways`: they also come back.
///
/// # Errors
/// [`Failure`] if the source refuses.
pub async fn unfit_columns(
    source: &mut Conn,
    direction: Direction,
    objects: &Objects,
    both_ways: bool,
    pairs: &[(TableName, TableName)],
) -> Result<Vec<String>, Failure> {
    let mut reasons = Vec::new();
    let mut lists = false;
    for (from, _) in pairs {
        let columns = objects.columns(from);
        if !columns.is_listed() {
            continue;
        }
        lists = true;
        if let Some(table) = schema::read_table(source, from).await? {
            reasons.extend(fitness::of_listed_columns(&table, &columns, both_ways));
        }
    }
    // The definition at the destination, which stands for the source's otherwise, has other columns.
    if lists && direction == Direction::Forward {
        let metadata: Option<String> = source
            .query_first("SELECT @@GLOBAL.binlog_row_metadata")
            .await
            .map_err(|error| Failure::mysql("reading binlog_row_metadata", &error))?;
        if metadata.as_deref() != Some("FULL") {
            reasons.push(
                "OBJECTS lists columns, and the source's binlog does not say which columns its rows have; SET PERSIST \
                 binlog_row_metadata = 'FULL' at the source"
                    .to_owned(),
            );
        }
    }
    Ok(reasons)
}

/// Tables of the source that would share a name at the destination, where names lose their case for instance.
fn two_in_one(pairs: &[(TableName, TableName)]) -> Vec<String> {
    let mut sources: BTreeMap<&TableName, Vec<&TableName>> = BTreeMap::new();
    for (from, to) in pairs {
        sources.entry(to).or_default().push(from);
    }
    let several = sources.into_iter().filter(|(_, sources)| sources.len() > 1);
    several
        .map(|(to, sources)| {
            let sources: Vec<String> = sources.into_iter().map(TableName::to_string).collect();
            format!(
                "{} would all become {to} at the destination; rename them in OBJECTS (… AS …), or leave all but one out \
                 (NOT …)",
                sources.join(" and ")
            )
        })
        .collect()
}

async fn differences(
    [source, destination]: [&mut Conn; 2],
    objects: &Objects,
    [from, to]: [&TableName; 2],
) -> Result<Vec<Difference>, Failure> {
    let (Some(here), Some(there)) = (
        schema::read_table(source, from).await?,
        schema::read_table(destination, to).await?,
    ) else {
        return Ok(Vec::new());
    };
    let (keys_here, keys_there) = (
        schema::read_indexes(source, from).await?,
        schema::read_indexes(destination, to).await?,
    );
    Ok(compare::differences(
        compare::Definition {
            table: &here,
            indexes: &keys_here,
        },
        compare::Definition {
            table: &there,
            indexes: &keys_there,
        },
        objects,
    ))
}

/// What OBJECTS say of columns concerns keys, too: which of them the destination has. See [`Keys`].
///
/// # Errors
/// [`Failure`] if the destination refuses.
pub async fn keys_of_listed(destination: &mut Conn, objects: &Objects) -> Result<Keys, Failure> {
    let mut keys = Keys::new();
    if objects.is_mapped_back() {
        return Ok(keys);
    }
    for (from, to) in objects.with_listed_columns() {
        let place = format!(
            "TABLE_SCHEMA = {} AND TABLE_NAME = {}",
            literal::string(&to.database),
            literal::string(&to.table)
        );
        let names: Vec<String> = destination
            .query(format!(
                "SELECT INDEX_NAME FROM information_schema.STATISTICS WHERE {place} UNION \
                 SELECT CONSTRAINT_NAME FROM information_schema.TABLE_CONSTRAINTS WHERE {place}"
            ))
            .await
            .map_err(|error| Failure::mysql(format_args!("reading the keys of {to}"), &error))?;
        keys.extend(names.into_iter().map(|name| (from.clone(), name.to_lowercase())));
    }
    Ok(keys)
}

/// The first few names, and that there are more.
pub fn some_of(names: &[TableName]) -> String {
    let shown: Vec<String> = names.iter().take(NAMED_TABLES).map(TableName::to_string).collect();
    and_more(shown.join(", "), names.len() - shown.len())
}

fn listed(differences: &[Difference]) -> String {
    let shown = differences.iter().take(NAMED_DIFFERENCES);
    let shown: Vec<&str> = shown.map(|difference| difference.text.as_str()).collect();
    and_more(shown.join(", "), differences.len() - shown.len())
}

fn and_more(shown: String, rest: usize) -> String {
    match rest {
        0 => shown,
        _ => format!("{shown} and {rest} more"),
    }
}
