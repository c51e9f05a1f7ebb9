//! `SELECT`: MySQL's spelling becomes SQLite's, which the store understands.
//!
//! Nothing is parsed: tokens are handed on one by one, and only those are changed that SQLite reads otherwise. What
//! depends on the session (`@@version`, `DATABASE()`) becomes a gap that is filled when the statement is carried out.

use super::cursor::Cursor;
use super::lexer::{Kind, Token};
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

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// A value of the session, and the name of its column if it is one.
    Session(SessionValue, Option<String>),
}

/// A SELECT, ready but for the values of its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Select {
    pieces: Vec<Piece>,
    reads_tables: bool,
}

impl Select {
    /// Whether it asks anything but its session. In doubt it does.
    pub fn reads_tables(&self) -> bool {
        self.reads_tables
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

fn string(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Words behind SELECT that tell MySQL how to run it.
const HINTS: [&str; 6] = [
    "HIGH_PRIORITY",
    "STRAIGHT_JOIN",
    "SQL_NO_CACHE",
    "SQL_BIG_RESULT",
    "SQL_SMALL_RESULT",
    "SQL_CALC_FOUND_ROWS",
];

/// From the first token of the SELECT on.
pub(super) fn select(cursor: &mut Cursor<'_>) -> Result<Select, SqlError> {
    let mut writer = Writer::default();
    let mut depth = 0_usize;
    // At the beginning of an item of the outermost select list: behind SELECT or a comma.
    let mut item_begins = false;
    let mut in_list = false;
    let mut reads_tables = false;
    while cursor.peek().is_some() && !cursor.at_symbol(";") {
        writer.gap(!cursor.touches());
        let begins = std::mem::take(&mut item_begins);
        let start = cursor.peek().map(|token| token.span.start);
        if let Some(value) = session_value(cursor) {
            let end_of_item = depth == 0
                && (cursor.peek().is_none()
                    || [",", ";"].iter().any(|symbol| cursor.at_symbol(symbol))
                    || ["FROM", "LIMIT", "UNION"].iter().any(|word| cursor.at_words(&[word])));
            let name = start
                .filter(|_| begins && in_list && end_of_item)
                .map(|start| cursor.since(start).to_owned());
            writer.pieces.push(Piece::Session(value, name));
            writer.sql("");
            continue;
        }
        let Some(token) = cursor.next() else {
            break;
        };
        let raw = cursor.raw(&token);
        match &token.kind {
            Kind::Unfinished => return Err(cursor.error_at(&token)),
            Kind::Text(text) if text.contains('\0') => return Err(cursor.error_at(&token)),
            Kind::Text(text) => writer.text(text, cursor.at_words(&["ESCAPE"])),
            Kind::Quoted(name) => writer.sql(&quoted(name)),
            Kind::Number => writer.sql(raw),
            Kind::Word => {
                let upper = raw.to_ascii_uppercase();
                match upper.as_str() {
                    "SELECT" if depth == 0 => {
                        in_list = true;
                        item_begins = true;
                    }
                    "FROM" if depth == 0 => in_list = false,
                    _ => {}
                }
                if upper == "FROM" && cursor.word("DUAL") {
                    continue;
                }
                // SQLite has `x IN table` too.
                reads_tables |= upper == "FROM" || upper == "IN" && !cursor.at_symbol("(");
                word(&mut writer, cursor, &token, &upper);
                item_begins |= begins && HINTS.contains(&upper.as_str());
            }
            Kind::Symbol => {
                match raw {
                    "(" => depth += 1,
                    ")" => depth = depth.saturating_sub(1),
                    "," if depth == 0 && in_list => item_begins = true,
                    _ => {}
                }
                symbol(&mut writer, cursor, raw);
            }
        }
    }
    cursor.end()?;
    Ok(Select {
        pieces: writer.pieces,
        reads_tables,
    })
}

#[derive(Default)]
struct Writer {
    pieces: Vec<Piece>,
    /// The last word written was LIKE.
    behind_like: bool,
}

impl Writer {
    fn push(&mut self, sql: &str) {
        match self.pieces.last_mut() {
            Some(Piece::Text(text)) => text.push_str(sql),
            _ => self.pieces.push(Piece::Text(sql.to_owned())),
        }
    }

    fn gap(&mut self, gap: bool) {
        if gap && !self.pieces.is_empty() {
            self.push(" ");
        }
    }

    fn sql(&mut self, sql: &str) {
        self.behind_like = false;
        self.push(sql);
    }

    /// A string. MySQL's LIKE takes `\` as escape by itself, SQLite's only when told.
    fn text(&mut self, text: &str, has_escape: bool) {
        let escape = self.behind_like && text.contains('\\') && !has_escape;
        self.sql(&string(text));
        if escape {
            self.push(" ESCAPE '\\'");
        }
    }
}

fn word(writer: &mut Writer, cursor: &Cursor<'_>, token: &Token, upper: &str) {
    let introduces = cursor.touches() && matches!(cursor.peek().map(|next| &next.kind), Some(Kind::Text(_)));
    let raw = cursor.raw(token);
    if introduces && (raw.starts_with('_') || upper == "N") {
        return; // a character set; all text is UTF-8 here
    }
    match upper {
        "DIV" => writer.sql("/"),
        // A name to MySQL (its client asks for `$$` to see what the server makes of it), a parameter to SQLite.
        _ if raw.starts_with('$') => writer.sql(&quoted(raw)),
        "LIKE" => {
            writer.sql(raw);
            writer.behind_like = true;
        }
        _ if HINTS.contains(&upper) => {}
        _ => writer.sql(raw),
    }
}

fn symbol(writer: &mut Writer, cursor: &mut Cursor<'_>, raw: &str) {
    match raw {
        "<=>" => writer.sql(" IS "),
        "&&" => writer.sql(" AND "),
        // Unless sql_mode has PIPES_AS_CONCAT, which it has not by default.
        "||" => writer.sql(" OR "),
        "!" => writer.sql(" NOT "),
        // A user variable: there are none, so it is NULL, as one that was never set.
        "@" if cursor.touches() => {
            cursor.next();
            writer.sql("NULL");
        }
        _ => writer.sql(raw),
    }
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
