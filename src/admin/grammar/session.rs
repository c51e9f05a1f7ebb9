//! What clients send on their own: on connecting, before each statement, or to fill their menus.

use super::cursor::{Cursor, not_yet};
use super::lexer::{Kind, Token};
use super::{EmptyList, Statement};
use crate::admin::reply::SqlError;

type Result<T> = std::result::Result<T, SqlError>;

/// Statements that are neither of servers, nor of tasks, nor SHOW or SELECT.
pub(super) fn statement(cursor: &mut Cursor<'_>) -> Result<Statement> {
    if cursor.word("USE") {
        let database = cursor.name("a database name")?;
        cursor.end()?;
        return Ok(Statement::Use(database));
    }
    if cursor.word("DESCRIBE") || cursor.word("DESC") || cursor.word("EXPLAIN") {
        let (database, table) = table(cursor)?;
        cursor.end()?;
        return Ok(Statement::Describe {
            database,
            table,
            like: None,
        });
    }
    if cursor.word("SET") {
        return set(cursor);
    }
    let accepted: [&[&str]; 6] = [
        &["START", "TRANSACTION"],
        &["BEGIN"],
        &["COMMIT"],
        &["ROLLBACK"],
        &["SAVEPOINT"],
        &["RELEASE", "SAVEPOINT"],
    ];
    if accepted.iter().any(|words| cursor.words(words)) {
        return until_end(cursor).map(|()| Statement::Accepted);
    }
    Err(cursor.syntax_error("a statement of the admin language (CREATE SERVER, CREATE SYNC TASK, SHOW, SELECT, …)"))
}

/// Session variables have no effect here. Those of the whole server can't be set.
fn set(cursor: &mut Cursor<'_>) -> Result<Statement> {
    if cursor.peek().is_none() || cursor.at_symbol(";") {
        return Err(cursor.syntax_error("a variable"));
    }
    let mut before_is_at = false;
    while let Some(token) = cursor.peek().filter(|_| !cursor.at_symbol(";")) {
        let word = cursor.raw(token).to_ascii_lowercase();
        if before_is_at && ["global", "persist", "persist_only"].contains(&word.as_str()) {
            return Err(not_yet("Setting a global variable"));
        }
        if matches!(token.kind, Kind::Unfinished) {
            return Err(cursor.syntax_error("a value"));
        }
        before_is_at = word == "@@";
        cursor.next();
    }
    cursor.end()?;
    Ok(Statement::Accepted)
}

/// Passes the words of a statement that has no effect.
fn until_end(cursor: &mut Cursor<'_>) -> Result<()> {
    let is_word = |token: &Token| matches!(token.kind, Kind::Word | Kind::Quoted(_));
    while cursor.at_symbol(",") || cursor.peek().is_some_and(is_word) {
        cursor.next();
    }
    cursor.end()
}

/// Behind `SHOW`, what is not of servers or tasks.
pub(super) fn show(cursor: &mut Cursor<'_>) -> Result<Statement> {
    if cursor.word("DATABASES") || cursor.word("SCHEMAS") {
        let like = cursor.like()?;
        cursor.end()?;
        return Ok(Statement::ShowDatabases { like });
    }
    let scoped = ["GLOBAL", "SESSION", "LOCAL"]
        .into_iter()
        .any(|scope| cursor.word(scope));
    if cursor.word("VARIABLES") {
        let like = cursor.like()?;
        cursor.end()?;
        return Ok(Statement::ShowVariables { like });
    }
    if cursor.word("STATUS") {
        let like = cursor.like()?;
        cursor.end()?;
        return Ok(Statement::ShowStatus { like });
    }
    if scoped {
        return Err(cursor.syntax_error("VARIABLES or STATUS"));
    }
    let lists: [(&[&str], EmptyList); 8] = [
        (&["WARNINGS"], EmptyList::Warnings),
        (&["ERRORS"], EmptyList::Warnings),
        (&["ENGINES"], EmptyList::Engines),
        (&["STORAGE", "ENGINES"], EmptyList::Engines),
        (&["PLUGINS"], EmptyList::Plugins),
        (&["COLLATION"], EmptyList::Collations),
        (&["CHARACTER", "SET"], EmptyList::CharacterSets),
        (&["CHARSET"], EmptyList::CharacterSets),
    ];
    for (words, list) in lists {
        if cursor.words(words) {
            // LIKE, WHERE and LIMIT of an empty list change nothing.
            while cursor.peek().is_some() && !cursor.at_symbol(";") {
                cursor.next();
            }
            cursor.end()?;
            return Ok(Statement::ShowNothing(list));
        }
    }
    let full = cursor.word("FULL");
    if cursor.word("TABLES") {
        let database = from(cursor)?;
        let like = cursor.like()?;
        cursor.end()?;
        return Ok(Statement::ShowTables { database, full, like });
    }
    if cursor.word("COLUMNS") || cursor.word("FIELDS") {
        if !cursor.word("FROM") {
            cursor.expect_word("IN")?;
        }
        let (mut database, table) = table(cursor)?;
        if let Some(named) = from(cursor)? {
            database = Some(named);
        }
        let like = cursor.like()?;
        cursor.end()?;
        return Ok(Statement::Describe { database, table, like });
    }
    Err(cursor.syntax_error(
        "SERVERS, SYNC TASKS, SYNC TASK STATUS, CREATE SYNC TASK, DATABASES, TABLES, COLUMNS, VARIABLES or STATUS",
    ))
}

fn from(cursor: &mut Cursor<'_>) -> Result<Option<String>> {
    if cursor.word("FROM") || cursor.word("IN") {
        cursor.name("a database name").map(Some)
    } else {
        Ok(None)
    }
}

/// `table` or `database.table`.
fn table(cursor: &mut Cursor<'_>) -> Result<(Option<String>, String)> {
    let first = cursor.name("a table name")?;
    if cursor.symbol(".") {
        let table = cursor.name("a table name")?;
        return Ok((Some(first), table));
    }
    Ok((None, first))
}
