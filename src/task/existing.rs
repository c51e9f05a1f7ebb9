//! What is there before a link makes and copies tables: which tables exist at the destination, and in what they differ.

use std::collections::{HashMap, HashSet};

use mysql_async::{Conn, prelude::Queryable};

use crate::{
    failure::Failure,
    model::{
        name::TableName,
        table::Index,
        task::{ExistingTables, TaskOptions},
    },
    plan::{compare, objects::Objects},
    precheck::{facts::SameName, same_names},
    schema,
    sql::literal,
};

use super::statements::Keys;

/// Tables that are compared where none may be there.
const COMPARED: usize = 5;

/// What was found.
#[derive(Debug, Default)]
pub struct Findings {
    /// Why the link can't begin.
    pub refusals: Vec<String>,
    /// What is different and does no harm.
    pub warnings: Vec<String>,
}

/// Looks at the tables that a link is to make and copy (source, destination). The precheck has done so, too; but one may
/// have been made since.
///
/// # Errors
/// [`Failure`] if a server refuses.
pub async fn look(
    [source, destination]: [&mut Conn; 2],
    objects: &Objects,
    options: &TaskOptions,
    pairs: &[(TableName, TableName)],
) -> Result<Findings, Failure> {
    let there: HashSet<TableName> = schema::list_tables(destination)
        .await?
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    let existing: Vec<(TableName, TableName)> = pairs.iter().filter(|(_, to)| there.contains(to)).cloned().collect();
    let same = compared([source, destination], objects, options, existing).await?;
    let mut findings = Findings {
        refusals: same_names::two_in_one(pairs),
        warnings: Vec::new(),
    };
    if may_not_be_there(options) {
        findings.refusals.extend(same_names::in_the_way(&same));
        return Ok(findings);
    }
    for finding in same_names::different(&same, |_| true) {
        match finding.fails {
            true => findings.refusals.push(finding.found),
            false => findings.warnings.push(finding.found),
        }
    }
    Ok(findings)
}

fn may_not_be_there(options: &TaskOptions) -> bool {
    options.schema_sync && options.existing_tables == ExistingTables::Error
}

/// Tables that are at both servers (source, destination), with what is different. Where none may be there, only the first
/// few are compared.
///
/// # Errors
/// [`Failure`] if a server refuses.
pub async fn compared(
    [source, destination]: [&mut Conn; 2],
    objects: &Objects,
    options: &TaskOptions,
    existing: Vec<(TableName, TableName)>,
) -> Result<Vec<SameName>, Failure> {
    let some = match may_not_be_there(options) {
        true => existing.len().min(COMPARED),
        false => existing.len(),
    };
    let (froms, tos): (Vec<TableName>, Vec<TableName>) = existing.iter().take(some).cloned().unzip();
    let (here, there) = (
        schema::tables::read(source, &froms).await?,
        schema::tables::read(destination, &tos).await?,
    );
    let (keys_here, keys_there) = (
        schema::tables::indexes(source, &froms).await?,
        schema::tables::indexes(destination, &tos).await?,
    );
    let of = |from: &TableName, to: &TableName| {
        let keys = |all: &HashMap<TableName, Vec<Index>>, name| all.get(name).cloned().unwrap_or_default();
        Some(compare::differences(
            compare::Definition {
                table: here.get(from)?,
                indexes: &keys(&keys_here, from),
            },
            compare::Definition {
                table: there.get(to)?,
                indexes: &keys(&keys_there, to),
            },
            objects,
        ))
    };
    let named = existing.into_iter().map(|(from, to)| SameName {
        differences: of(&from, &to),
        from,
        to,
    });
    Ok(named.collect())
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
