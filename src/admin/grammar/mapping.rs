//! Which object lists make no sense: what could not be told apart at the destination, or not be mapped back.

use std::collections::HashSet;

use super::cursor::wrong;
use super::objects::{plain, show};
use crate::admin::reply::SqlError;
use crate::model::name::is_system_database;
use crate::model::pattern::may_overlap;
use crate::model::task::{ObjectCase, ObjectRule, Operation, Selection};

type Result<T> = std::result::Result<T, SqlError>;

/// What a rule must fulfil by itself.
pub(super) fn check_rule(rule: &ObjectRule) -> Result<()> {
    check_system(rule)?;
    check_rename(rule)?;
    check_columns(rule)?;
    check_operations(rule)
}

/// Patterns pass such databases over; one that is named must not seem to be synchronized.
fn check_system(rule: &ObjectRule) -> Result<()> {
    let ObjectRule::Include(Selection {
        database, to_database, ..
    }) = rule
    else {
        return Ok(());
    };
    let mut named = [Some(database), to_database.as_ref()].into_iter().flatten();
    match named.find(|name| is_system_database(&plain(name))) {
        Some(name) => Err(wrong(format!(
            "In {}, `{name}` is a database of the server's or Causeway's own: it is never synchronized",
            show(rule)
        ))),
        None => Ok(()),
    }
}

/// Whether the name of a rename is more than a plain name.
fn is_pattern(name: &str) -> bool {
    name.contains(['%', '\\'])
}

/// A rename must have one source and one destination.
fn check_rename(rule: &ObjectRule) -> Result<()> {
    let ObjectRule::Include(Selection {
        database,
        table,
        to_database: Some(to_database),
        to_table,
        ..
    }) = rule
    else {
        return Ok(());
    };
    let shown = show(rule);
    if is_pattern(to_database) || to_table.as_ref().is_some_and(|table| is_pattern(table)) {
        return Err(wrong(format!(
            "In {shown}, the name behind AS can't be a pattern: give one name"
        )));
    }
    if is_pattern(database) {
        return Err(wrong(format!(
            "In {shown}, AS would put several databases into one: write a rule for each database"
        )));
    }
    match (table, to_table) {
        (None, Some(_)) => Err(wrong(format!(
            "In {shown}, AS would put all tables into one: write AS `{to_database}`.* or name the table"
        ))),
        (Some(table), Some(_)) if is_pattern(table) => Err(wrong(format!(
            "In {shown}, AS would put all tables that fit the pattern into one: write a rule for each table, or \
             AS `{to_database}`.* to rename only the database"
        ))),
        _ => Ok(()),
    }
}

/// A list of columns is that of one table, and what it leads to is as many columns again.
fn check_columns(rule: &ObjectRule) -> Result<()> {
    let ObjectRule::Include(selection) = rule else {
        return Ok(());
    };
    let Some(columns) = &selection.columns else {
        return Ok(());
    };
    let shown = show(rule);
    match &selection.table {
        Some(table) if !is_pattern(table) && !is_pattern(&selection.database) => {}
        _ => {
            return Err(wrong(format!(
                "In {shown}, columns are listed for more than one table: write a rule for each table"
            )));
        }
    }
    let (mut sources, mut targets) = (HashSet::new(), HashSet::new());
    for column in columns {
        // Names of columns are the same in any case.
        if !sources.insert(column.name.to_lowercase()) {
            return Err(wrong(format!("In {shown}, column {} is listed twice", column.name)));
        }
        let to = column.to.as_ref().unwrap_or(&column.name);
        if !targets.insert(to.to_lowercase()) {
            return Err(wrong(format!(
                "In {shown}, two columns would be put into column {to} of the destination: give them different names"
            )));
        }
    }
    Ok(())
}

/// What only a whole database carries can't be asked of tables.
fn check_operations(rule: &ObjectRule) -> Result<()> {
    const OF_DATABASES: [Operation; 5] = [
        Operation::View,
        Operation::Routine,
        Operation::Trigger,
        Operation::Event,
        Operation::Database,
    ];
    let ObjectRule::Include(Selection {
        table: Some(_),
        operations: Some(operations),
        ..
    }) = rule
    else {
        return Ok(());
    };
    let spelled = Operation::ALL.iter();
    let mut spelled =
        spelled.filter(|(operation, _)| OF_DATABASES.contains(operation) && operations.contains(operation));
    match spelled.next() {
        Some((_, spelling)) => Err(wrong(format!(
            "In {}, ONLY names {spelling}, which is carried with whole databases (`db`.*) only",
            show(rule)
        ))),
        None => Ok(()),
    }
}

/// What a list must fulfil as a whole.
pub(super) fn check(rules: &[ObjectRule]) -> Result<()> {
    if !rules
        .iter()
        .any(|rule| matches!(rule, ObjectRule::Include(Selection { .. })))
    {
        return Err(wrong(
            "OBJECTS only leaves objects out: name at least one that is synchronized",
        ));
    }
    let all: Vec<(&ObjectRule, Sides)> = rules
        .iter()
        .filter_map(|rule| Sides::of(rule).map(|sides| (rule, sides)))
        .collect();
    for (index, second) in all.iter().enumerate() {
        for first in all.iter().take(index) {
            check_pair(first, second, rules)?;
        }
    }
    Ok(())
}

/// Two rules must not name the same objects twice, nor put different ones into the same place. `a` stands before `b`.
fn check_pair(
    (a, first): &(&ObjectRule, Sides),
    (b, second): &(&ObjectRule, Sides),
    rules: &[ObjectRule],
) -> Result<()> {
    if first.source == second.source {
        return Err(wrong(format!(
            "{} and {} select the same objects: keep one of them",
            show(a),
            show(b)
        )));
    }
    if hides(a, b) {
        return Err(wrong(format!(
            "{} selects all that {} is about, and comes first: swap the two",
            show(a),
            show(b)
        )));
    }
    // Both keep their names, or both only move from one database to the same other: then what is different at the
    // source is different at the destination.
    let moved_alike = first.source.0 == second.source.0
        && first.target.0 == second.target.0
        && !first.table_renamed
        && !second.table_renamed;
    let kept = !first.renamed && !second.renamed;
    let meet = may_overlap(&first.target.0, &second.target.0) && may_overlap(&first.target.1, &second.target.1);
    let excluded = || left_out(a, b, rules) || left_out(b, a, rules);
    if meet && !moved_alike && !kept && !same_plain_source(first, second) && !excluded() {
        return Err(wrong(format!(
            "{} and {} would put two tables into one at the destination: give them different names there, or leave one \
             out with NOT",
            show(a),
            show(b)
        )));
    }
    Ok(())
}

/// Renames that are told apart by case only, where `object_case` writes all names alike. What patterns select is looked
/// at when the task starts.
pub(super) fn check_case(rules: &[ObjectRule], case: ObjectCase) -> Result<()> {
    if !matches!(case, ObjectCase::Lower | ObjectCase::Upper) {
        return Ok(());
    }
    let renamed = |rule: &ObjectRule| Sides::of(rule).filter(|sides| sides.renamed);
    for (index, rule) in rules.iter().enumerate() {
        for earlier in rules.iter().take(index) {
            let (Some(first), Some(second)) = (renamed(earlier), renamed(rule)) else {
                continue;
            };
            let meet = |spelled: fn(&str) -> String| {
                may_overlap(&spelled(&first.target.0), &spelled(&second.target.0))
                    && may_overlap(&spelled(&first.target.1), &spelled(&second.target.1))
            };
            // What meets as it is spelled has been judged before.
            if meet(str::to_lowercase) && !meet(str::to_owned) {
                return Err(wrong(format!(
                    "{} and {} would put two tables into one at the destination, as object_case writes their names alike: \
                     give them different names there",
                    show(earlier),
                    show(rule)
                )));
            }
        }
    }
    Ok(())
}

/// Whether `b` says more than that its tables are selected, and nothing is left for it: the first rule that includes a
/// table decides what becomes of it.
fn hides(a: &ObjectRule, b: &ObjectRule) -> bool {
    let ObjectRule::Include(selection) = b else {
        return false;
    };
    let Selection { database, table, .. } = selection;
    let says_more = selection.to_database.is_some()
        || selection.columns.is_some()
        || selection.filter.is_some()
        || selection.operations.is_some();
    match table {
        _ if !says_more => false,
        Some(table) if selection.names_one_table() => a.is_about(database, table),
        _ => matches!(a, ObjectRule::Include(Selection { table: None, .. })) && a.is_about(database, ""),
    }
}

/// Whether the one table that `renaming` would have in common with `keeping` is left out by another rule.
fn left_out(renaming: &ObjectRule, keeping: &ObjectRule, rules: &[ObjectRule]) -> bool {
    let (
        ObjectRule::Include(Selection {
            to_database: Some(to_database),
            to_table: Some(to_table),
            ..
        }),
        ObjectRule::Include(Selection {
            database,
            to_database: kept_as,
            to_table: None,
            ..
        }),
    ) = (renaming, keeping)
    else {
        return false;
    };
    let database = if kept_as.is_some() { database } else { to_database };
    let mut exclusions = rules.iter().filter(|rule| matches!(rule, ObjectRule::Exclude { .. }));
    exclusions.any(|rule| rule.is_about(database, to_table))
}

/// `shop.*` and `shop.t AS shop.t`: the second says again what the first does.
fn same_plain_source(a: &Sides, b: &Sides) -> bool {
    a.source.0 == b.source.0
        && a.source.0 == a.target.0
        && a.target.0 == b.target.0
        && a.source.1 == a.target.1
        && b.source.1 == b.target.1
}

/// A rule's database and table patterns at both ends; `%` for all tables.
struct Sides {
    source: (String, String),
    target: (String, String),
    renamed: bool,
    table_renamed: bool,
}

impl Sides {
    fn of(rule: &ObjectRule) -> Option<Self> {
        let ObjectRule::Include(selection) = rule else {
            return None;
        };
        let Selection {
            database,
            table,
            to_database,
            to_table,
            ..
        } = selection;
        // Plain names become patterns that fit themselves only, so that all can be held against each other.
        let exact = |name: &String| name.replace('_', "\\_");
        let pattern = |name: &String, plain: bool| if plain { exact(name) } else { name.clone() };
        let database = pattern(database, selection.names_one_database());
        let table = table
            .as_ref()
            .map_or("%".to_owned(), |table| pattern(table, selection.names_one_table()));
        Some(Self {
            target: (
                to_database.as_ref().map_or(database.clone(), exact),
                to_table.as_ref().map_or(table.clone(), exact),
            ),
            source: (database, table),
            renamed: to_database.is_some(),
            table_renamed: to_table.is_some(),
        })
    }
}

/// A rule that keeps its names, if there is one: impossible within one server.
pub(super) fn first_kept(rules: &[ObjectRule]) -> Option<&ObjectRule> {
    rules
        .iter()
        .find(|rule| Sides::of(rule).is_some_and(|sides| sides.source == sides.target))
}
