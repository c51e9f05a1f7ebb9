//! Writes a SELECT for SQLite, token by token, as `select` hands them on: what SQLite reads otherwise than MySQL is
//! respelled, with as little of what stands around it as that takes.

use super::cursor::Cursor;
use super::lexer::{Kind, Token};
use super::select::{HINTS, Piece, SessionValue, quoted, string};

/// What was written so far, a piece per token, so that something can still be put in front of an operand.
#[derive(Default)]
pub(super) struct Writer {
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
    having: Having,
}

/// HAVING of the outermost SELECT, where nothing is grouped.
#[derive(Default)]
struct Having {
    select_at: usize,
    is_grouped: bool,
    /// Where its condition begins.
    begin: Option<usize>,
    /// Its condition, taken out.
    condition: Option<Vec<Piece>>,
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
    When,
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

    pub(super) fn gap(&mut self, gap: bool) {
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

    pub(super) fn operand(&mut self, sql: &str) {
        self.operand_begins();
        self.push(sql);
    }

    pub(super) fn session(&mut self, value: SessionValue, name: Option<String>) {
        self.operand_begins();
        self.pieces.push(Piece::Session(value, name));
    }

    /// A string. MySQL's LIKE takes `\` as escape by itself, SQLite's only when told.
    pub(super) fn text(&mut self, text: &str, cursor: &Cursor<'_>) {
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
        let is_compared = |symbol: &str| cursor.at_symbol(symbol);
        let is_case = before == Before::When && cursor.at_words(&["THEN"]); // CASE x WHEN 'text' THEN
        if is_case || before == Before::Comparison || COMPARISONS.iter().any(|symbol| is_compared(symbol)) {
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

    /// A word of the outermost SELECT. MySQL's HAVING also filters what is not grouped, by the names of the list; such a
    /// HAVING is passed (true), and its condition put around the SELECT, before LIMIT and behind ORDER BY.
    pub(super) fn clause(&mut self, upper: &str) -> bool {
        match upper {
            "SELECT" => {
                self.having.select_at = self.pieces.len();
                self.having.is_grouped = false;
            }
            "GROUP" => self.having.is_grouped = true,
            "HAVING" if !self.having.is_grouped => {
                self.having.begin = Some(self.pieces.len());
                self.before = Before::Other;
                return true;
            }
            "ORDER" => self.having_ends(),
            "LIMIT" | "UNION" | "INTERSECT" | "EXCEPT" => self.filter(),
            _ => {}
        }
        false
    }

    fn having_ends(&mut self) {
        if let Some(begin) = self.having.begin.take() {
            self.having.condition = Some(self.pieces.split_off(begin.min(self.pieces.len())));
        }
    }

    fn filter(&mut self) {
        self.having_ends();
        if let Some(condition) = self.having.condition.take() {
            let select = Piece::Text("SELECT * FROM (".to_owned());
            self.pieces.insert(self.having.select_at.min(self.pieces.len()), select);
            self.push(") WHERE");
            self.pieces.extend(condition);
            self.push(" ");
        }
    }

    /// All of it, and how many parameters it has.
    pub(super) fn end(mut self) -> (Vec<Piece>, usize) {
        self.filter();
        (self.pieces, self.parameters)
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

    /// Whether no parenthesis is open.
    pub(super) fn is_outermost(&self) -> bool {
        self.open.is_empty()
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

impl Writer {
    /// A word that was passed.
    pub(super) fn word(&mut self, cursor: &mut Cursor<'_>, token: &Token, upper: &str) {
        let writer = self;
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
            "WHEN" => {
                writer.sql(raw);
                writer.before = Before::When;
            }
            // A name to MySQL (its client asks for `$$` to see what the server makes of it), a parameter to SQLite.
            _ if raw.starts_with('$') => writer.operand(&quoted(raw)),
            _ if HINTS.contains(&upper) => {}
            _ if JOINTS.contains(&upper) => writer.sql(raw),
            _ => writer.operand(raw),
        }
        let takes_unit = ["TIMESTAMPDIFF", "TIMESTAMPADD"]
            .iter()
            .any(|name| writer.in_call_of(name));
        if takes_unit && UNITS.contains(&upper) && cursor.at_symbol(",") {
            writer.pieces.pop();
            writer.operand(&string(upper));
        }
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

impl Writer {
    /// A symbol that was passed.
    pub(super) fn symbol(&mut self, cursor: &mut Cursor<'_>, raw: &str) {
        let writer = self;
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
}
