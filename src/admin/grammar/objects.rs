//! `OBJECTS (…)`: what is synchronized, under which names, and which lists make no sense.
//!
//! Names are LIKE patterns, in backticks too (as in MySQL's GRANT): `%` and `_` are wildcards, `\_` is a plain `_`.
//! A name that `AS` renames is a plain name, as one destination can't take several sources: there `_` stands for itself
//! and `%` is refused.
//!
//! The first rule that includes a table decides its name at the destination; one that excludes it always wins.

use super::cursor::{Cursor, bad_name, not_yet, wrong};
use super::lexer::Kind;
use crate::admin::reply::SqlError;
use crate::model::name::{self, is_system_database};
use crate::model::pattern::may_overlap;
use crate::model::task::{ObjectRule, Selection};

type Result<T> = std::result::Result<T, SqlError>;

/// `( db.*, db.t AS db2.t2, NOT db.tmp_% )`.
pub(super) fn list(cursor: &mut Cursor<'_>) -> Result<Vec<ObjectRule>> {
    cursor.expect_symbol("(")?;
    let mut rules = Vec::new();
    loop {
        rules.push(rule(cursor)?);
        if !cursor.symbol(",") {
            break;
        }
    }
    cursor.expect_symbol(")")?;
    check(&rules)?;
    Ok(rules)
}

fn rule(cursor: &mut Cursor<'_>) -> Result<ObjectRule> {
    if cursor.word("NOT") {
        let (database, table) = pattern_pair(cursor)?;
        return Ok(ObjectRule::Exclude { database, table });
    }
    let (mut database, mut table) = pattern_pair(cursor)?;
    let (mut to_database, mut to_table) = (None, None);
    if cursor.word("AS") {
        let (to, renamed) = pattern_pair(cursor)?;
        to_database = Some(plain(&to));
        to_table = renamed.as_deref().map(plain);
        database = plain(&database);
        if to_table.is_some() {
            table = table.as_deref().map(plain);
        }
    }
    if cursor.at_symbol("(") {
        return Err(not_yet("Selecting columns"));
    }
    for (word, what) in [
        ("WHERE", "A row filter (WHERE)"),
        ("ONLY", "An operation filter (ONLY)"),
        ("CONFLICT", "A conflict policy per table (CONFLICT)"),
    ] {
        if cursor.at_words(&[word]) {
            return Err(not_yet(what));
        }
    }
    let rule = ObjectRule::Include(Selection {
        database,
        table,
        to_database,
        to_table,
        ..Selection::default()
    });
    check_system(&rule)?;
    check_rename(&rule)?;
    Ok(rule)
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

/// `db.*` or `db.table`, each part a pattern.
fn pattern_pair(cursor: &mut Cursor<'_>) -> Result<(String, Option<String>)> {
    let database = pattern(cursor, "a database name")?;
    cursor.expect_symbol(".")?;
    if cursor.symbol("*") {
        return Ok((database, None));
    }
    Ok((database, Some(pattern(cursor, "a table name or *")?)))
}

/// A name in backticks, or words, numbers, `%` and `\` that touch.
fn pattern(cursor: &mut Cursor<'_>, what: &str) -> Result<String> {
    let mut text = String::new();
    while let Some(token) = cursor.peek().filter(|_| text.is_empty() || cursor.touches()) {
        match &token.kind {
            Kind::Quoted(name) if text.is_empty() => {
                text.clone_from(name);
                cursor.next();
                break;
            }
            Kind::Word | Kind::Number => text.push_str(cursor.raw(token)),
            Kind::Symbol if matches!(cursor.raw(token), "%" | "\\") => text.push_str(cursor.raw(token)),
            _ => break,
        }
        cursor.next();
    }
    if text.is_empty() {
        return Err(cursor.syntax_error(what));
    }
    // Escapes make a pattern longer than the names it stands for.
    name::check(&text.replace('\\', "")).map_err(|e| bad_name(what, &e))?;
    Ok(text)
}

/// A name of a rename, where `_` stands for itself with and without `\`.
fn plain(name: &str) -> String {
    name.replace("\\_", "_")
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

fn check(rules: &[ObjectRule]) -> Result<()> {
    if !rules
        .iter()
        .any(|rule| matches!(rule, ObjectRule::Include(Selection { .. })))
    {
        return Err(wrong(
            "OBJECTS only leaves objects out: name at least one that is synchronized",
        ));
    }
    for (index, rule) in rules.iter().enumerate() {
        for earlier in rules.iter().take(index) {
            check_pair(earlier, rule, rules)?;
        }
    }
    Ok(())
}

/// Two rules must not name the same objects twice, nor put different ones into the same place. `a` stands before `b`.
fn check_pair(a: &ObjectRule, b: &ObjectRule, rules: &[ObjectRule]) -> Result<()> {
    let (Some(first), Some(second)) = (Sides::of(a), Sides::of(b)) else {
        return Ok(());
    };
    if first.source == second.source {
        return Err(wrong(format!(
            "{} and {} select the same objects: keep one of them",
            show(a),
            show(b)
        )));
    }
    if hides(a, b) {
        return Err(wrong(format!(
            "{} selects all that {} would rename, and comes first: swap the two",
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
    let excluded = left_out(a, b, rules) || left_out(b, a, rules);
    if meet && !moved_alike && !kept && !same_plain_source(&first, &second) && !excluded {
        return Err(wrong(format!(
            "{} and {} would put two tables into one at the destination: give them different names there, or leave one \
             out with NOT",
            show(a),
            show(b)
        )));
    }
    Ok(())
}

/// Whether `b` renames, and nothing is left for it: the first rule that includes a table decides its name.
fn hides(a: &ObjectRule, b: &ObjectRule) -> bool {
    let ObjectRule::Include(Selection {
        database,
        table,
        to_database: Some(_),
        to_table,
        ..
    }) = b
    else {
        return false;
    };
    match (table, to_table) {
        (Some(table), Some(_)) => a.is_about(database, table),
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
        let ObjectRule::Include(Selection {
            database,
            table,
            to_database,
            to_table,
            ..
        }) = rule
        else {
            return None;
        };
        // Plain names become patterns that fit themselves only, so that all can be held against each other.
        let exact = |name: &String| name.replace('_', "\\_");
        let pattern = |name: &String, plain: bool| if plain { exact(name) } else { name.clone() };
        let database = pattern(database, to_database.is_some());
        let table = table
            .as_ref()
            .map_or("%".to_owned(), |table| pattern(table, to_table.is_some()));
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

/// The list as it is written between parentheses.
pub(super) fn print(rules: &[ObjectRule]) -> String {
    rules.iter().map(show).collect::<Vec<_>>().join(",\n    ")
}

pub(super) fn show(rule: &ObjectRule) -> String {
    match rule {
        ObjectRule::Include(Selection {
            database,
            table,
            to_database: None,
            ..
        }) => pair(database, table.as_deref()),
        ObjectRule::Include(Selection {
            database,
            table,
            to_database: Some(to_database),
            to_table,
            ..
        }) => format!(
            "{} AS {}",
            pair(database, table.as_deref()),
            pair(to_database, to_table.as_deref())
        ),
        ObjectRule::Exclude { database, table } => format!("NOT {}", pair(database, table.as_deref())),
    }
}

fn pair(database: &str, table: Option<&str>) -> String {
    format!("{}.{}", quoted(database), table.map_or("*".to_owned(), quoted))
}

/// In backticks, so that no name is taken for a keyword.
pub(super) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}
