//! `SELECT`: MySQL's spelling becomes SQLite's, which the store understands.
//!
//! Nothing is parsed: tokens are handed on one by one, and only those are changed that SQLite reads otherwise. What
//! depends on the session (`@@version`, `DATABASE()`) becomes a gap that is filled when the statement is carried out.
//!
//! Texts are compared without case where a text or a parameter stands beside the comparison, as in MySQL's default
//! collation; columns are compared with each other exactly, as names of tables have to be.

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

/// From the first token of the SELECT on, or of the expression behind WHERE.
pub(super) fn select(cursor: &mut Cursor<'_>) -> Result<Select, SqlError> {
    let mut writer = Writer::default();
    // At the beginning of an item of the outermost select list: behind SELECT or a comma.
    let mut item_begins = false;
    let mut in_list = false;
    let mut select_at = 0;
    let mut is_grouped = false;
    // MySQL's HAVING also filters what is not grouped, by the names of the list.
    let mut having_at = None;
    let mut filter = None;
    while cursor.peek().is_some() && !cursor.at_symbol(";") {
        writer.gap(!cursor.touches());
        let outermost = writer.open.is_empty();
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
                        select_at = writer.pieces.len();
                    }
                    "FROM" if outermost => in_list = false,
                    "GROUP" if outermost => is_grouped = true,
                    "HAVING" if outermost && !is_grouped => having_at = Some(writer.pieces.len()),
                    "ORDER" | "LIMIT" if outermost => filter = filter.or(writer.take_having(&mut having_at)),
                    _ => {}
                }
                if upper == "LIMIT" && outermost {
                    writer.filter_by(select_at, filter.take());
                }
                if upper == "HAVING" && having_at.is_some() {
                    writer.before = Before::Other;
                    continue;
                }
                if upper == "FROM" && cursor.word("DUAL") {
                    continue;
                }
                word(&mut writer, cursor, &token, &upper);
                item_begins |= begins && HINTS.contains(&upper.as_str());
            }
            Kind::Symbol => {
                item_begins |= raw == "," && outermost && in_list;
                symbol(&mut writer, cursor, raw);
            }
        }
    }
    cursor.end()?;
    filter = filter.or(writer.take_having(&mut having_at));
    writer.filter_by(select_at, filter);
    Ok(Select {
        pieces: writer.pieces,
        parameters: writer.parameters,
    })
}

/// What was written so far, a piece per token, so that something can still be put in front of an operand.
#[derive(Default)]
struct Writer {
    pieces: Vec<Piece>,
    parameters: usize,
    before: Before,
    /// Where the operand began that was written last: a value, a name, a call or something in parentheses.
    operand_at: usize,
    /// Where the operator stands that was written last.
    operator_at: usize,
    /// Parentheses that are open.
    open: Vec<Parenthesis>,
    /// Intervals whose unit is still to come.
    intervals: Vec<Interval>,
}

/// What stands before the next token, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Before {
    #[default]
    Other,
    Operand,
    /// `.`: what follows belongs to the operand.
    Dot,
    /// `+` or `-`; true if it is `-`.
    Sum(bool),
    Comma,
    Comparison,
    Like,
    As,
}

struct Parenthesis {
    /// Where the call begins, or the parenthesis if it is none.
    begin: usize,
    /// The function, in upper case.
    function: String,
    /// Where ORDER stands in it.
    order_at: Option<usize>,
}

struct Interval {
    /// How many parentheses are open around it.
    depth: usize,
    /// Where the call begins that was made of `x + INTERVAL …`.
    call_at: Option<usize>,
}

impl Writer {
    /// Something that no other rule looks at.
    fn push(&mut self, sql: &str) {
        self.pieces.push(Piece::Text(sql.to_owned()));
    }

    fn gap(&mut self, gap: bool) {
        if gap && !self.pieces.is_empty() {
            self.push(" ");
        }
    }

    fn sql(&mut self, sql: &str) {
        self.before = Before::Other;
        self.push(sql);
    }

    fn operand_begins(&mut self) {
        if self.before != Before::Dot {
            self.operand_at = self.pieces.len();
        }
        self.before = Before::Operand;
    }

    fn operand(&mut self, sql: &str) {
        self.operand_begins();
        self.push(sql);
    }

    fn session(&mut self, value: SessionValue, name: Option<String>) {
        self.operand_begins();
        self.pieces.push(Piece::Session(value, name));
    }

    /// A string. MySQL's LIKE takes `\` as escape by itself, SQLite's only when told.
    fn text(&mut self, text: &str, cursor: &Cursor<'_>) {
        let before = self.before;
        self.operand(&string(text));
        if before == Before::Like && text.contains('\\') && !cursor.at_words(&["ESCAPE"]) {
            self.push(" ESCAPE '\\'");
        }
        self.without_case(before, cursor);
    }

    fn parameter(&mut self, cursor: &Cursor<'_>) {
        let before = self.before;
        self.parameters += 1;
        self.operand(&format!("?{}", self.parameters));
        self.without_case(before, cursor);
    }

    /// Behind a text or a parameter that is compared with something.
    fn without_case(&mut self, before: Before, cursor: &Cursor<'_>) {
        let is_compared = |symbol: &&str| cursor.at_symbol(symbol);
        if before == Before::Comparison || COMPARISONS.iter().any(|symbol| is_compared(&symbol)) {
            self.push(" COLLATE NOCASE");
        }
    }

    fn open(&mut self) {
        let function = match self.pieces.get(self.operand_at) {
            Some(Piece::Text(name)) if self.before == Before::Operand => name.to_ascii_uppercase(),
            _ => String::new(),
        };
        if self.before != Before::Operand {
            self.operand_at = self.pieces.len();
        }
        self.open.push(Parenthesis {
            begin: self.operand_at,
            function,
            order_at: None,
        });
        self.sql("(");
    }

    fn close(&mut self) {
        self.sql(")");
        if let Some(parenthesis) = self.open.pop() {
            self.operand_at = parenthesis.begin;
            self.before = Before::Operand;
        }
    }

    /// `x + INTERVAL 1 DAY` becomes a call, as it is in `DATE_ADD(x, INTERVAL 1 DAY)`; the amount follows.
    fn interval(&mut self) {
        let mut interval = Interval {
            depth: self.open.len(),
            call_at: None,
        };
        if let Before::Sum(minus) = self.before {
            if let Some(operator) = self.pieces.get_mut(self.operator_at) {
                *operator = Piece::Text(",".to_owned());
            }
            let call = if minus { "date_sub(" } else { "date_add(" };
            self.pieces.insert(self.operand_at, Piece::Text(call.to_owned()));
            interval.call_at = Some(self.operand_at);
        }
        self.intervals.push(interval);
        self.before = Before::Other;
    }

    /// Whether this word is the unit of an interval; then it is written.
    fn unit(&mut self, upper: &str) -> bool {
        let is_due = self
            .intervals
            .last()
            .is_some_and(|interval| interval.depth == self.open.len());
        if !is_due || !UNITS.contains(&upper) || self.before != Before::Operand {
            return false;
        }
        self.sql(&format!(", '{upper}'"));
        if let Some(call_at) = self.intervals.pop().and_then(|interval| interval.call_at) {
            self.push(")");
            self.operand_at = call_at;
            self.before = Before::Operand;
        }
        true
    }

    /// The condition that began there.
    fn take_having(&mut self, having_at: &mut Option<usize>) -> Option<Vec<Piece>> {
        having_at
            .take()
            .map(|at| self.pieces.split_off(at.min(self.pieces.len())))
    }

    /// Filters what the SELECT gives that begins there.
    fn filter_by(&mut self, select_at: usize, filter: Option<Vec<Piece>>) {
        if let Some(filter) = filter {
            self.pieces.insert(select_at, Piece::Text("SELECT * FROM (".to_owned()));
            self.push(") WHERE");
            self.pieces.extend(filter);
            self.push(" ");
        }
    }

    /// `CONVERT(x, CHAR)` is `CAST(x AS CHAR)`; the type follows.
    fn convert_to_cast(&mut self) {
        if let Some(Piece::Text(comma)) = self
            .pieces
            .iter_mut()
            .rfind(|piece| **piece == Piece::Text(",".to_owned()))
        {
            " AS".clone_into(comma);
        }
        if let Some(open) = self.open.last_mut() {
            "CAST".clone_into(&mut open.function);
            if let Some(Piece::Text(name)) = self.pieces.get_mut(open.begin) {
                "CAST".clone_into(name);
            }
        }
        self.before = Before::As;
    }

    fn in_call_of(&self, function: &str) -> bool {
        self.open
            .last()
            .is_some_and(|parenthesis| parenthesis.function == function)
    }
}

/// Units of an interval.
const UNITS: [&str; 9] = [
    "MICROSECOND",
    "SECOND",
    "MINUTE",
    "HOUR",
    "DAY",
    "WEEK",
    "MONTH",
    "QUARTER",
    "YEAR",
];

const COMPARISONS: [&str; 8] = ["=", "<>", "!=", "<", ">", "<=", ">=", "<=>"];

/// Words that begin or join something, so that what stands before them is no operand of what stands behind.
const JOINTS: [&str; 24] = [
    "SELECT", "DISTINCT", "FROM", "WHERE", "AND", "OR", "NOT", "IN", "BETWEEN", "CASE", "WHEN", "THEN", "ELSE", "ON",
    "USING", "BY", "HAVING", "LIMIT", "OFFSET", "UNION", "ALL", "EXISTS", "IS", "VALUES",
];

fn word(writer: &mut Writer, cursor: &mut Cursor<'_>, token: &Token, upper: &str) {
    let before_text = matches!(cursor.peek().map(|next| &next.kind), Some(Kind::Text(_)));
    let raw = cursor.raw(token);
    if cursor.touches() && before_text && (raw.starts_with('_') || upper == "N") {
        return; // a character set; all text is UTF-8 here
    }
    if writer.unit(upper) {
        return;
    }
    if writer.before == Before::Comma && writer.in_call_of("CONVERT") {
        writer.convert_to_cast();
    }
    let is_operand = writer.before == Before::Operand;
    let is_call = cursor.at_symbol("(");
    match upper {
        "DIV" if is_operand => writer.sql("/"),
        "MOD" if is_operand => writer.sql("%"),
        "RLIKE" | "REGEXP" if is_operand || writer.before == Before::Other => writer.sql("REGEXP"),
        "INTERVAL" if !is_operand && !is_call || matches!(writer.before, Before::Sum(_) | Before::Comma) => {
            writer.interval();
        }
        // A literal's type; it is text here.
        "DATE" | "TIMESTAMP" | "TIME" if !is_operand && before_text => {}
        // A postfix operator to SQLite.
        "ISNULL" if is_call && !is_operand => writer.operand("is_null"),
        "CURRENT_TIMESTAMP" | "LOCALTIME" | "LOCALTIMESTAMP" if is_call => writer.operand("now"),
        "CURRENT_DATE" if is_call => writer.operand("curdate"),
        "CURRENT_TIME" if is_call => writer.operand("curtime"),
        "SIGNED" | "UNSIGNED" if writer.before == Before::As && writer.in_call_of("CAST") => {
            cursor.word("INTEGER");
            writer.operand("INTEGER");
        }
        "BINARY" | "DATETIME" | "DATE" | "TIME" if writer.before == Before::As && writer.in_call_of("CAST") => {
            writer.operand("TEXT");
        }
        "USING" if writer.in_call_of("CONVERT") => {
            cursor.next(); // a character set
            if let Some(Piece::Text(name)) = writer.open.last().and_then(|open| writer.pieces.get_mut(open.begin)) {
                "any_value".clone_into(name);
            }
        }
        "SEPARATOR" if writer.in_call_of("GROUP_CONCAT") => separator(writer, cursor),
        "ORDER" => {
            let at = writer.pieces.len();
            if let Some(parenthesis) = writer.open.last_mut() {
                parenthesis.order_at = Some(at);
            }
            writer.sql(raw);
        }
        "NOT" | "IN" if is_operand && in_list_of_texts(cursor, upper) => {
            writer.push("COLLATE NOCASE ");
            writer.sql(raw);
        }
        "LIKE" => {
            writer.sql(raw);
            writer.before = Before::Like;
        }
        "AS" => {
            writer.sql(raw);
            writer.before = Before::As;
        }
        // A name to MySQL (its client asks for `$$` to see what the server makes of it), a parameter to SQLite.
        _ if raw.starts_with('$') => writer.operand(&quoted(raw)),
        _ if HINTS.contains(&upper) => {}
        _ if JOINTS.contains(&upper) => writer.sql(raw),
        _ => writer.operand(raw),
    }
    if writer.in_call_of("TIMESTAMPDIFF") && UNITS.contains(&upper) && cursor.at_symbol(",") {
        writer.pieces.pop();
        writer.operand(&string(upper));
    }
}

/// Whether `[NOT] IN ('…'` or `[NOT] IN (?` follows, with the word `upper` passed.
fn in_list_of_texts(cursor: &Cursor<'_>, upper: &str) -> bool {
    let (list_at, is_in) = match upper {
        "NOT" => (1, cursor.at_words(&["IN"])),
        _ => (0, true),
    };
    let is = |offset: usize, symbol: &str| {
        let token = cursor.peek_at(list_at + offset);
        token.is_some_and(|token| token.kind == Kind::Symbol && cursor.raw(token) == symbol)
    };
    let is_text = |token: &Token| matches!(token.kind, Kind::Text(_));
    is_in && is(0, "(") && (is(1, "?") || cursor.peek_at(list_at + 1).is_some_and(is_text))
}

/// `GROUP_CONCAT(x ORDER BY y SEPARATOR ',')` is `group_concat(x, ',' ORDER BY y)` to SQLite.
fn separator(writer: &mut Writer, cursor: &mut Cursor<'_>) {
    let Some(Kind::Text(text)) = cursor.peek().map(|token| token.kind.clone()) else {
        return writer.sql("SEPARATOR"); // an error to SQLite
    };
    cursor.next();
    let argument = format!(", {} ", string(&text));
    match writer.open.last().and_then(|open| open.order_at) {
        Some(order_at) => writer.pieces.insert(order_at, Piece::Text(argument)),
        None => writer.push(&argument),
    }
    writer.before = Before::Other;
}

fn symbol(writer: &mut Writer, cursor: &mut Cursor<'_>, raw: &str) {
    let sum = Before::Sum(raw == "-");
    let operator_at = writer.pieces.len();
    match raw {
        "(" => writer.open(),
        ")" => writer.close(),
        "?" => writer.parameter(cursor),
        "<=>" => writer.sql(" IS "),
        "&&" => writer.sql(" AND "),
        // Unless sql_mode has PIPES_AS_CONCAT, which it has not by default.
        "||" => writer.sql(" OR "),
        "!" => writer.sql(" NOT "),
        // MySQL's division of whole numbers has a fraction.
        "/" => writer.sql(" * 1.0 /"),
        // A user variable: there are none, so it is NULL, as one that was never set.
        "@" if cursor.touches() => {
            cursor.next();
            writer.operand("NULL");
        }
        _ => writer.sql(raw),
    }
    match raw {
        "." => writer.before = Before::Dot,
        "," => writer.before = Before::Comma,
        "+" | "-" => {
            writer.before = sum;
            writer.operator_at = operator_at;
        }
        _ if COMPARISONS.contains(&raw) => writer.before = Before::Comparison,
        _ => {}
    }
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
