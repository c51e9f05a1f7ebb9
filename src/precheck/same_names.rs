//! What is at the destination already under the names of what the task would make there.

use std::collections::BTreeMap;

use crate::{
    model::{name::TableName, task::ExistingTables},
    plan::compare::Difference,
    sql::ident,
};

use super::{
    Finding, Item, Judged, Known, Rule, Severity,
    facts::{SameName, Way},
    fail, here,
    privileges::Purpose,
    some_of, warn,
};

/// Differences that a message names, at most.
const NAMED_DIFFERENCES: usize = 8;

pub(super) const ITEMS: &[Item] = &[
    Item {
        name: "one name for two tables",
        looks_at: "tables of the source that would get the same name at the destination",
        why: "One table can't take the rows of two. That happens where names lose their case, or are renamed to one.",
        severity: Severity::Fails,
        rule: Rule::Scope(|_, known| {
            let pairs = known.scope.tables.iter().filter(|table| table.copied);
            let pairs: Vec<(TableName, TableName)> =
                pairs.map(|table| (table.from.clone(), table.to.clone())).collect();
            let findings = two_in_one(&pairs).into_iter().map(|found| {
                fail(
                    found,
                    "rename them in OBJECTS (… AS …), or leave all but one out (NOT …)",
                )
            });
            Some(Judged::of(findings.collect(), "none"))
        }),
    },
    Item {
        name: "tables at the destination",
        looks_at: "tables that the task would make and that are there, with `existing_tables = 'error'`",
        why: "Rows that are there might be of something else. With `existing_tables = 'proceed'` full sync leaves the rows alone \
              that are there, and changes overwrite them.",
        severity: Severity::Fails,
        rule: Rule::Scope(|way, known| {
            let found = may_be_there(way)
                .then_some(None)
                .unwrap_or_else(|| in_the_way(&known.scope.same_names));
            let findings = found.map(|found| fail(found, proceed(way)));
            Some(Judged::of(
                findings.into_iter().collect(),
                count(&known.scope.same_names),
            ))
        }),
    },
    Item {
        name: "table definitions",
        looks_at: "the definitions of tables that are there, column by column and key by key, where they may be there",
        why: "What can't take the source's rows would stop the task, or let the two sides part.",
        severity: Severity::Both,
        rule: Rule::Scope(|way, known| {
            may_be_there(way).then(|| definitions(known, |difference| !difference.generated))
        }),
    },
    Item {
        name: "generated columns",
        looks_at: "columns that are generated at one side only, or by another expression",
        why: "A generated column can't be written: each server computes its own value, from its own expression.",
        severity: Severity::Both,
        rule: Rule::Scope(|way, known| {
            may_be_there(way).then(|| definitions(known, |difference| difference.generated))
        }),
    },
    Item {
        name: "views and programs at the destination",
        looks_at: "views, routines, triggers and events that the task would make and that are there",
        why: "They might be something else. With `existing_tables = 'proceed'` they stay as they are.",
        severity: Severity::Fails,
        rule: Rule::Scope(|way, known| {
            let findings = match &known.scope.stored_in_the_way {
                Ok(names) if names.is_empty() => Vec::new(),
                Ok(names) => vec![fail(stored_in_the_way(names), proceed(way))],
                // That is what is to be mended, and it says so itself.
                Err(_) if known.scope.missing.iter().any(|need| need.purpose == Purpose::Read) => {
                    return Some(Judged::skip("not looked at: see 'privileges to read'"));
                }
                Err(reason) => vec![fail(
                    reason.clone(),
                    "grant the account what docs/privileges.md lists, or select tables alone (OBJECTS (db.%))",
                )],
            };
            Some(Judged::of(findings, "none is in the way"))
        }),
    },
];

/// Whether tables may be there under the names of those that are to be copied.
fn may_be_there(way: &Way) -> bool {
    !way.options.schema_sync || way.options.existing_tables == ExistingTables::Proceed
}

fn proceed(way: &Way) -> String {
    here(&format!(
        "ALTER SYNC TASK {} SET (existing_tables = 'proceed')",
        ident::quoted(&way.task)
    ))
}

fn count(same: &[SameName]) -> String {
    match same.len() {
        0 => "none is in the way".to_owned(),
        count => format!("{count} are there, and may be"),
    }
}

/// Tables of the source that would share a name at the destination.
pub fn two_in_one(pairs: &[(TableName, TableName)]) -> Vec<String> {
    let mut sources: BTreeMap<&TableName, Vec<&TableName>> = BTreeMap::new();
    for (from, to) in pairs {
        sources.entry(to).or_default().push(from);
    }
    let several = sources.into_iter().filter(|(_, sources)| sources.len() > 1);
    several
        .map(|(to, sources)| {
            let sources: Vec<String> = sources.into_iter().map(TableName::to_string).collect();
            format!("{} would all become {to} at the destination", sources.join(" and "))
        })
        .collect()
}

/// Why none of these may be there.
pub fn in_the_way(same: &[SameName]) -> Option<String> {
    let described: Vec<String> = same
        .iter()
        .filter_map(|SameName { from, to, differences }| {
            Some(match differences.as_deref()? {
                [] => format!("{to} is as {from} at the source"),
                found => format!("{to} differs from {from} at the source: {}", listed(found)),
            })
        })
        .collect();
    (!same.is_empty()).then(|| {
        format!(
            "{} {} at the destination already ({}); drop what is there, rename in OBJECTS (… AS …), or set existing_tables = \
             'proceed'",
            some_of(same.iter().map(|same| &same.to)),
            if same.len() == 1 { "exists" } else { "exist" },
            described.join("; ")
        )
    })
}

/// Why some of the stored objects may not be there.
pub fn stored_in_the_way(names: &[String]) -> String {
    format!(
        "at the destination there {} {} already; drop what is there, rename the database in OBJECTS (… AS …), or set \
         existing_tables = 'proceed'",
        if names.len() == 1 { "is" } else { "are" },
        some_of(names),
    )
}

/// What tables that are there differ in: what can't work, and what does no harm.
pub fn different(same: &[SameName], about: impl Fn(&Difference) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for SameName { from, to, differences } in same {
        let differences = differences
            .iter()
            .flatten()
            .filter(|difference| about(difference))
            .cloned();
        let (breaking, harmless): (Vec<_>, Vec<_>) = differences.partition(|difference| difference.breaking);
        if !breaking.is_empty() {
            findings.push(fail(
                format!(
                    "{to} exists at the destination and can't take the rows of {from}: {}; make its definition fit, drop it, \
                     or leave the table out (OBJECTS (…, NOT …))",
                    listed(&breaking)
                ),
                "",
            ));
        }
        if !harmless.is_empty() {
            findings.push(warn(
                format!(
                    "{to} exists at the destination and differs from {from} at the source, and the task goes on with it: {}",
                    listed(&harmless)
                ),
                "",
            ));
        }
    }
    findings
}

/// Tables whose differences are told in full; the others are named.
const TOLD: usize = 20;

fn definitions(known: &Known<'_>, about: impl Fn(&Difference) -> bool) -> Judged {
    let mut findings = different(&known.scope.same_names, about);
    findings.sort_by_key(|finding| !finding.fails);
    let more = findings.len().saturating_sub(TOLD);
    findings.truncate(TOLD);
    if more > 0
        && let Some(last) = findings.last_mut()
    {
        last.found.push_str(&format!("; and {more} more tables"));
    }
    for finding in &mut findings {
        finding.remedy = "make the definitions alike with ALTER TABLE, at the server where they are wrong".to_owned();
    }
    Judged::of(findings, "no difference that matters")
}

fn listed(differences: &[Difference]) -> String {
    let shown: Vec<&str> = differences
        .iter()
        .take(NAMED_DIFFERENCES)
        .map(|difference| difference.text.as_str())
        .collect();
    match differences.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
