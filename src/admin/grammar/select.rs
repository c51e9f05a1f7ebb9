//! `SELECT`: MySQL's spelling becomes SQLite's, which the store understands.
//!
//! Nothing is parsed: tokens are handed on one by one, and only those are changed that SQLite reads otherwise. What
//! depends on the session (`@@version`, `DATABASE()`) becomes a gap that is filled when the statement is carried out.
//!
//! Texts are compared without case where a text or a parameter stands beside the comparison, as in MySQL's default
//! collation; columns are compared with each other exactly, as names of tables have to be.

use super::cursor::Cursor;
use super::lexer::Kind;
use super::respell::Writer;
use crate::admin::reply::{Cell, SqlError};

/// What a SELECT may ask of its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionValue {
    /// `@@name`, without its scope, in lower case.
    Variable(String),
    /// `DATABASE()` or `SCHEMA()`.
    Database,
    /// `USER()`, `CURRENT_USER` or `SESSION_USER()`.
    User,
    /// `VERSION()`.
    Version,
    /// `CONNECTION_ID()`.
    ConnectionId,
}

/// A part of a SELECT's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    /// A value of the session, and the name of its column if it is one.
    Session(SessionValue, Option<String>),
}

/// A SELECT, ready but for the values of its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Select {
    pieces: Vec<Piece>,
    parameters: usize,
}

impl Select {
    /// How many `?` it has.
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// The text for the store; `lookup` gives the session's values.
    ///
    /// # Errors
    /// What `lookup` fails with.
    pub fn fill(&self, lookup: impl Fn(&SessionValue) -> Result<Cell, SqlError>) -> Result<String, SqlError> {
        let mut sql = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => sql.push_str(text),
                Piece::Session(value, name) => {
                    sql.push_str(&literal(&lookup(value)?));
                    if let Some(name) = name {
                        sql.push_str(" AS ");
                        sql.push_str(&quoted(name));
                    }
                }
            }
        }
        Ok(sql)
    }
}

fn literal(cell: &Cell) -> String {
    match cell {
        Cell::Null => "NULL".to_owned(),
        Cell::Int(value) => value.to_string(),
        Cell::UInt(value) => value.to_string(),
        Cell::Double(value) => value.to_string(),
        Cell::Text(text) => string(text),
    }
}

pub(super) fn string(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Words behind SELECT that tell MySQL how to run it.
pub(super) const HINTS: [&str; 6] = [
    "HIGH_PRIORITY",
    "STRAIGHT_JOIN",
    "SQL_NO_CACHE",
    "SQL_BIG_RESULT",
    "SQL_SMALL_RESULT",
    "SQL_CALC_FOUND_ROWS",
];

/// From the first token of the SELECT on, or of the expression behind WHERE.
pub(super) fn select(cursor: &mut Cursor<'_>) -> Result<Select, SqlError> {
    let mut writer = Writer::default();
    // At the beginning of an item of the outermost select list: behind SELECT or a comma.
    let mut item_begins = false;
    let mut in_list = false;
    while cursor.peek().is_some() && !cursor.at_symbol(";") {
        writer.gap(!cursor.touches());
        let outermost = writer.is_outermost();
        let begins = std::mem::take(&mut item_begins);
        let start = cursor.peek().map(|token| token.span.start);
        if let Some(value) = session_value(cursor) {
            let end_of_item = outermost
                && (cursor.peek().is_none()
                    || [",", ";"].iter().any(|symbol| cursor.at_symbol(symbol))
                    || ["FROM", "LIMIT", "UNION"].iter().any(|word| cursor.at_words(&[word])));
            let name = start
                .filter(|_| begins && in_list && end_of_item)
                .map(|start| cursor.since(start).to_owned());
            writer.session(value, name);
            continue;
        }
        if outermost && locking_clause(cursor) {
            continue;
        }
        let Some(token) = cursor.next() else {
            break;
        };
        let raw = cursor.raw(&token);
        match &token.kind {
            Kind::Unfinished => return Err(cursor.error_at(&token)),
            Kind::Text(text) if text.contains('\0') => return Err(cursor.error_at(&token)),
            Kind::Text(text) => writer.text(text, cursor),
            Kind::Quoted(name) => writer.operand(&quoted(name)),
            Kind::Number => writer.operand(raw),
            Kind::Word => {
                let upper = raw.to_ascii_uppercase();
                match upper.as_str() {
                    "SELECT" if outermost => {
                        in_list = true;
                        item_begins = true;
                    }
                    "FROM" if outermost => in_list = false,
                    _ => {}
                }
                if outermost && writer.clause(&upper) {
                    continue;
                }
                if upper == "FROM" && cursor.word("DUAL") {
                    continue;
                }
                writer.word(cursor, &token, &upper);
                item_begins |= begins && HINTS.contains(&upper.as_str());
            }
            Kind::Symbol => {
                item_begins |= raw == "," && outermost && in_list;
                writer.symbol(cursor, raw);
            }
        }
    }
    cursor.end()?;
    let (pieces, parameters) = writer.end();
    Ok(Select { pieces, parameters })
}

/// Passes `FOR UPDATE` and its like: nothing is locked here.
fn locking_clause(cursor: &mut Cursor<'_>) -> bool {
    [
        &["FOR", "UPDATE"][..],
        &["FOR", "SHARE"],
        &["LOCK", "IN", "SHARE", "MODE"],
    ]
    .iter()
    .any(|words| cursor.words(words))
}

/// Passes what asks the session, if that comes next.
fn session_value(cursor: &mut Cursor<'_>) -> Option<SessionValue> {
    if cursor.symbol("@@") {
        let mut name = cursor.name("").unwrap_or_default();
        if ["global", "session", "local", "persist"].contains(&name.to_ascii_lowercase().as_str()) && cursor.symbol(".")
        {
            name = cursor.name("").unwrap_or_default();
        }
        return Some(SessionValue::Variable(name.to_ascii_lowercase()));
    }
    let functions: [(&str, SessionValue); 7] = [
        ("DATABASE", SessionValue::Database),
        ("SCHEMA", SessionValue::Database),
        ("USER", SessionValue::User),
        ("CURRENT_USER", SessionValue::User),
        ("SESSION_USER", SessionValue::User),
        ("VERSION", SessionValue::Version),
        ("CONNECTION_ID", SessionValue::ConnectionId),
    ];
    let (name, value) = functions.into_iter().find(|(name, _)| cursor.at_words(&[name]))?;
    if cursor.call_without_arguments() || name == "CURRENT_USER" && cursor.word(name) {
        Some(value)
    } else {
        None
    }
}
