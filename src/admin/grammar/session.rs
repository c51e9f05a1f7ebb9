//! What clients send on their own: on connecting, before each statement, or to fill their menus.

use super::cursor::{Cursor, not_yet};
use super::lexer::{Kind, Token};
use super::{Show, Statement, show};
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
        // DESCRIBE status 'lag%', or one column.
        let like = match cursor.peek().map(|token| &token.kind) {
            Some(Kind::Text(_) | Kind::Word | Kind::Quoted(_)) => Some(cursor.name("a column")?),
            _ => None,
        };
        cursor.end()?;
        return Ok(Statement::Show(Box::new(Show::columns(database, table, like))));
    }
    if cursor.word("SET") {
        return set(cursor);
    }
    if cursor.word("KILL") {
        let query = cursor.word("QUERY");
        if !query {
            cursor.word("CONNECTION");
        }
        let id = cursor.number("the number of a connection, as SHOW PROCESSLIST has it")?;
        cursor.end()?;
        let id = id.parse().map_err(|_| show::unknown_thread(&id))?;
        return Ok(Statement::Kill { query, id });
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

/// `table` or `database.table`.
pub(super) fn table(cursor: &mut Cursor<'_>) -> Result<(Option<String>, String)> {
    let first = cursor.name("a table name")?;
    if cursor.symbol(".") {
        let table = cursor.name("a table name")?;
        return Ok((Some(first), table));
    }
    Ok((None, first))
}
