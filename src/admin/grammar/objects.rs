//! `OBJECTS (…)`: what is synchronized, and under which names.
//!
//! Names are LIKE patterns, in backticks too (as in MySQL's GRANT): `%` and `_` are wildcards, `\_` is a plain `_`.
//! A name that `AS` renames is a plain name, as one destination can't take several sources: there `_` stands for itself
//! and `%` is refused. So is that of a table whose columns are listed.
//!
//! The first rule that includes a table decides what becomes of it; one that excludes it always wins.

use std::collections::BTreeSet;

use super::cursor::{Cursor, bad_name, not_yet, wrong};
use super::lexer::{Kind, tokens};
use super::mapping;
use crate::admin::reply::SqlError;
use crate::model::name;
use crate::model::task::{ObjectRule, Operation, SelectedColumn, Selection};

type Result<T> = std::result::Result<T, SqlError>;

/// `( db.*, db.t AS db2.t2 (a, b AS c) WHERE a > 1 ONLY (INSERT), NOT db.tmp_% )`.
pub(super) fn list(cursor: &mut Cursor<'_>) -> Result<Vec<ObjectRule>> {
    let rules = rules(cursor)?;
    mapping::check(&rules)?;
    Ok(rules)
}

/// As [`list`], for a part of a list.
pub(super) fn rules(cursor: &mut Cursor<'_>) -> Result<Vec<ObjectRule>> {
    parenthesized(cursor, rule)
}

/// `( item, item, … )`.
fn parenthesized<T>(cursor: &mut Cursor<'_>, item: impl Fn(&mut Cursor<'_>) -> Result<T>) -> Result<Vec<T>> {
    cursor.expect_symbol("(")?;
    let mut items = vec![item(cursor)?];
    while cursor.symbol(",") {
        items.push(item(cursor)?);
    }
    cursor.expect_symbol(")")?;
    Ok(items)
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
    let mut columns = None;
    if cursor.at_symbol("(") {
        columns = Some(parenthesized(cursor, column)?);
        database = plain(&database);
        table = table.as_deref().map(plain);
    }
    let rule = ObjectRule::Include(Selection {
        database,
        table,
        to_database,
        to_table,
        columns,
        filter: filter(cursor)?,
        operations: operations(cursor)?,
    });
    if cursor.at_words(&["CONFLICT"]) {
        return Err(not_yet("A conflict policy per table (CONFLICT)"));
    }
    mapping::check_rule(&rule)?;
    Ok(rule)
}

/// `id` or `name AS full_name`.
fn column(cursor: &mut Cursor<'_>) -> Result<SelectedColumn> {
    let name = column_name(cursor)?;
    let to = if cursor.word("AS") {
        Some(column_name(cursor)?)
    } else {
        None
    };
    Ok(SelectedColumn { name, to })
}

fn column_name(cursor: &mut Cursor<'_>) -> Result<String> {
    const WHAT: &str = "a column name";
    let name = cursor.name(WHAT)?;
    name::check(&name).map_err(|e| bad_name(WHAT, &e))?;
    Ok(name)
}

/// `WHERE …`: the expression as it was written.
fn filter(cursor: &mut Cursor<'_>) -> Result<Option<String>> {
    if !cursor.word("WHERE") {
        return Ok(None);
    }
    let (Some(first), false) = (cursor.peek().cloned(), at_end_of_filter(cursor, 0)) else {
        return Err(cursor.syntax_error("a condition"));
    };
    let mut depth: usize = 0;
    let mut passed = Vec::new();
    while !at_end_of_filter(cursor, depth) {
        let Some(token) = cursor.peek().filter(|token| token.kind != Kind::Unfinished).cloned() else {
            return Err(cursor.syntax_error("the end of the condition"));
        };
        match cursor.raw(&token) {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        cursor.next();
        passed.push(token.kind);
    }
    let text = cursor.since(first.span.start).to_owned();
    // A version comment may begin or end outside of the condition, and `--` at its end becomes a comment when it is
    // printed: then the text alone means something else.
    let stands_alone = tokens(&text).into_iter().map(|token| token.kind).eq(passed);
    if text.contains("/*!") || !stands_alone {
        return Err(wrong(format!(
            "The condition WHERE {text} has /*! in it, or ends within a comment: write it without"
        )));
    }
    if let Err(reason) = crate::plan::filter::parse(&text) {
        return Err(wrong(format!(
            "The condition WHERE {text} {reason}. A filter is decided by the columns of each row alone"
        )));
    }
    Ok(Some(text))
}

/// Whether what comes next is no part of a condition: `ONLY` and `CONFLICT` can also be columns of it.
fn at_end_of_filter(cursor: &Cursor<'_>, depth: usize) -> bool {
    depth == 0
        && (cursor.at_symbol(",")
            || cursor.at_symbol(")")
            || cursor.at_word_before("ONLY", |kind, raw| *kind == Kind::Symbol && raw == "(")
            || cursor.at_word_before("CONFLICT", |kind, _| matches!(kind, Kind::Text(_))))
}

/// `ONLY (INSERT, ALTER TABLE)`.
fn operations(cursor: &mut Cursor<'_>) -> Result<Option<BTreeSet<Operation>>> {
    if !cursor.word("ONLY") {
        return Ok(None);
    }
    let operations = parenthesized(cursor, |cursor| {
        let spelled = Operation::ALL.iter().find(|(_, spelling)| {
            let words: Vec<&str> = spelling.split(' ').collect();
            cursor.words(&words)
        });
        spelled.map(|(operation, _)| *operation).ok_or_else(|| {
            let all: Vec<&str> = Operation::ALL.iter().map(|(_, spelling)| *spelling).collect();
            cursor.syntax_error(&format!("one of {}", all.join(", ")))
        })
    })?;
    Ok(Some(operations.into_iter().collect()))
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
pub(super) fn plain(name: &str) -> String {
    name.replace("\\_", "_")
}

/// The list as it is written between parentheses.
pub(super) fn print(rules: &[ObjectRule]) -> String {
    rules.iter().map(show).collect::<Vec<_>>().join(",\n    ")
}

pub(super) fn show(rule: &ObjectRule) -> String {
    let selection = match rule {
        ObjectRule::Include(selection) => selection,
        ObjectRule::Exclude { database, table } => return format!("NOT {}", pair(database, table.as_deref())),
    };
    let mut text = pair(&selection.database, selection.table.as_deref());
    if let Some(to_database) = &selection.to_database {
        text.push_str(&format!(" AS {}", pair(to_database, selection.to_table.as_deref())));
    }
    if let Some(columns) = &selection.columns {
        let columns: Vec<String> = columns.iter().map(show_column).collect();
        text.push_str(&format!(" ({})", columns.join(", ")));
    }
    if let Some(filter) = &selection.filter {
        text.push_str(&format!(" WHERE {filter}"));
    }
    if let Some(operations) = &selection.operations {
        let all = Operation::ALL.iter();
        let listed: Vec<&str> = all
            .filter(|(operation, _)| operations.contains(operation))
            .map(|(_, spelling)| *spelling)
            .collect();
        text.push_str(&format!(" ONLY ({})", listed.join(", ")));
    }
    text
}

fn show_column(column: &SelectedColumn) -> String {
    match &column.to {
        Some(to) => format!("{} AS {}", quoted(&column.name), quoted(to)),
        None => quoted(&column.name),
    }
}

fn pair(database: &str, table: Option<&str>) -> String {
    format!("{}.{}", quoted(database), table.map_or("*".to_owned(), quoted))
}

/// In backticks, so that no name is taken for a keyword.
pub(super) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}
