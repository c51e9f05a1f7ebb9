//! The condition of a row filter: which names stand in it, and whether a row alone decides it.
//!
//! The server that evaluates a condition judges its syntax; here it is only cut into tokens. What a condition may call is
//! listed, not what it may not: a function that is not on the list may look at the clock, the session or other rows.

use super::{
    SqlMode,
    lexer::{Lexed, Token, TokenKind, lex, unquote},
};

/// A condition over the columns of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The text as it was written.
    pub text: String,
    /// Every name in it that may be a column. Keywords that MySQL does not reserve are among them.
    pub names: Vec<String>,
}

impl Condition {
    /// Reads a condition.
    ///
    /// # Errors
    /// Why a row alone does not decide it, or why it can't be read: a clause that goes on from "the condition …".
    pub fn parse(text: &str) -> Result<Self, String> {
        // By the rules of the session that evaluates it. The version only decides on `$tag$` texts, which older servers
        // take for names.
        let lexed = lex(text, SqlMode::default(), 0).map_err(|reason| format!("can't be read: {reason}"))?;
        if lexed.text != text {
            return Err("has a version comment (/*! … */) in it: write it without".to_owned());
        }
        let names = Walk { lexed: &lexed }.names()?;
        Ok(Self {
            text: text.to_owned(),
            names,
        })
    }
}

struct Walk<'a> {
    lexed: &'a Lexed,
}

impl Walk<'_> {
    fn names(&self) -> Result<Vec<String>, String> {
        let mut names: Vec<String> = Vec::new();
        let mut depth = 0_usize;
        for (place, token) in self.lexed.tokens.iter().enumerate() {
            let raw = self.raw(token);
            let called = self.is_symbol(place + 1, b'(');
            let name = match token.kind {
                TokenKind::Text | TokenKind::Number => continue,
                TokenKind::At => return Err(format!("names the variable {raw}, which is not part of the row")),
                TokenKind::Name => return Err(qualified()),
                TokenKind::Quoted if called => return Err(unknown_function(raw)),
                TokenKind::Quoted => unquote(raw).into_owned(),
                TokenKind::Word if called => {
                    self.may_call(place, raw)?;
                    continue;
                }
                TokenKind::Word => {
                    if let Some((_, reason)) = find(REFUSED_WORDS, raw) {
                        return Err(format!("uses {}: {reason}", raw.to_ascii_uppercase()));
                    }
                    raw.to_owned()
                }
                TokenKind::Symbol(symbol) => {
                    match symbol {
                        b'(' => depth += 1,
                        b')' => depth = depth.checked_sub(1).ok_or("has a ) without a (")?,
                        b'.' => return Err(qualified()),
                        b'?' => return Err("has a placeholder (?) in it".to_owned()),
                        b';' => return Err("has a ; in it".to_owned()),
                        b':' => return Err("assigns a variable (:=)".to_owned()),
                        b'{' => return Err("has a { in it: write dates as DATE '2026-01-31'".to_owned()),
                        _ => {}
                    }
                    continue;
                }
            };
            if !names.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
                names.push(name);
            }
        }
        match depth {
            0 => Ok(names),
            _ => Err("has a ( without a )".to_owned()),
        }
    }

    fn raw(&self, token: &Token) -> &str {
        self.lexed.text.get(token.span.clone()).unwrap_or_default()
    }

    fn is_symbol(&self, place: usize, symbol: u8) -> bool {
        self.lexed
            .tokens
            .get(place)
            .is_some_and(|token| token.kind == TokenKind::Symbol(symbol))
    }

    fn may_call(&self, place: usize, name: &str) -> Result<(), String> {
        let upper = name.to_ascii_uppercase();
        if let Some((_, reason)) = find(REFUSED_WORDS, name).or_else(|| find(REFUSED_FUNCTIONS, name)) {
            return Err(format!("calls {upper}: {reason}"));
        }
        if upper == "UNIX_TIMESTAMP" && self.is_symbol(place + 2, b')') {
            return Err(format!("calls {upper} without an argument: {CLOCK}"));
        }
        let listed = [OPERATORS, FUNCTIONS].iter().any(|list| {
            let mut words = list.split_ascii_whitespace();
            words.any(|word| word == upper)
        });
        match listed {
            true => Ok(()),
            false => Err(unknown_function(name)),
        }
    }
}

fn find(list: &'static [(&str, &'static str)], word: &str) -> Option<(&'static str, &'static str)> {
    list.iter()
        .find(|(words, _)| {
            words
                .split_ascii_whitespace()
                .any(|known| known.eq_ignore_ascii_case(word))
        })
        .copied()
}

fn qualified() -> String {
    "names a column together with its table: write the column's name alone (no other table's columns are there)"
        .to_owned()
}

fn unknown_function(name: &str) -> String {
    format!(
        "calls {name}, which is not among the functions known to depend on nothing but their arguments; stored and loadable \
         functions are not"
    )
}

const CLOCK: &str = "its value depends on the time at which it is asked, not on the row";
const SESSION: &str = "its value depends on the session, not on the row";
const CHANCE: &str = "its value is another one each time";
const ROWS: &str = "it looks at several rows";
const SUBQUERY: &str = "a subquery looks at other rows";

/// Words that MySQL reserves, so that none can be a column.
const REFUSED_WORDS: &[(&str, &str)] = &[
    (
        "CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP LOCALTIME LOCALTIMESTAMP UTC_DATE UTC_TIME UTC_TIMESTAMP",
        CLOCK,
    ),
    ("CURRENT_USER", SESSION),
    ("SELECT EXISTS TABLE WITH UNION INTERSECT EXCEPT", SUBQUERY),
    ("VALUES DEFAULT", "it is no value of the row"),
    ("MATCH", "it needs the table's FULLTEXT index; use LIKE or REGEXP_LIKE"),
    ("OVER", ROWS),
];

const REFUSED_FUNCTIONS: &[(&str, &str)] = &[
    ("NOW SYSDATE CURDATE CURTIME", CLOCK),
    ("RAND UUID UUID_SHORT RANDOM_BYTES", CHANCE),
    (
        "USER SESSION_USER SYSTEM_USER CURRENT_ROLE DATABASE SCHEMA CONNECTION_ID LAST_INSERT_ID FOUND_ROWS ROW_COUNT VERSION \
         CONVERT_TZ GET_LOCK RELEASE_LOCK RELEASE_ALL_LOCKS IS_FREE_LOCK IS_USED_LOCK SLEEP BENCHMARK LOAD_FILE",
        SESSION,
    ),
    (
        "AVG BIT_AND BIT_OR BIT_XOR COUNT GROUP_CONCAT JSON_ARRAYAGG JSON_OBJECTAGG MAX MIN STD STDDEV STDDEV_POP \
         STDDEV_SAMP SUM VAR_POP VAR_SAMP VARIANCE ANY_VALUE GROUPING ROW_NUMBER RANK DENSE_RANK PERCENT_RANK CUME_DIST \
         NTILE LAG LEAD FIRST_VALUE LAST_VALUE NTH_VALUE",
        ROWS,
    ),
];

/// What may stand before a parenthesis without being a function: operators, and types of CAST.
const OPERATORS: &str = "AND OR XOR NOT IN LIKE BETWEEN IS CASE WHEN THEN ELSE DIV MOD REGEXP RLIKE ESCAPE BINARY OF ROW \
    INTERVAL FROM FOR AS SOUNDS LEADING TRAILING BOTH DECIMAL DEC NUMERIC CHAR NCHAR DATETIME TIME FLOAT";

/// Functions whose value depends on their arguments alone, in a session with a fixed time zone, character set and
/// sql_mode.
const FUNCTIONS: &str = "COALESCE GREATEST LEAST IF IFNULL NULLIF ISNULL INTERVAL STRCMP
    ABS ACOS ASIN ATAN ATAN2 CEIL CEILING CONV COS COT CRC32 DEGREES EXP FLOOR FORMAT LN LOG LOG10 LOG2 MOD PI POW POWER
    RADIANS ROUND SIGN SIN SQRT TAN TRUNCATE BIT_COUNT
    ASCII BIN BIT_LENGTH CHAR CHARACTER_LENGTH CHAR_LENGTH CHARSET COLLATION CONCAT CONCAT_WS ELT EXPORT_SET FIELD FIND_IN_SET
    FROM_BASE64 HEX INSERT INSTR LCASE LEFT LENGTH LOCATE LOWER LPAD LTRIM MAKE_SET MID OCT OCTET_LENGTH ORD POSITION QUOTE
    REPEAT REPLACE REVERSE RIGHT RPAD RTRIM SOUNDEX SPACE SUBSTR SUBSTRING SUBSTRING_INDEX TO_BASE64 TRIM UCASE UNHEX UPPER
    WEIGHT_STRING REGEXP_INSTR REGEXP_LIKE REGEXP_REPLACE REGEXP_SUBSTR
    ADDDATE ADDTIME DATE DATEDIFF DATE_ADD DATE_FORMAT DATE_SUB DAY DAYNAME DAYOFMONTH DAYOFWEEK DAYOFYEAR EXTRACT FROM_DAYS
    FROM_UNIXTIME HOUR LAST_DAY MAKEDATE MAKETIME MICROSECOND MINUTE MONTH MONTHNAME PERIOD_ADD PERIOD_DIFF QUARTER SECOND
    SEC_TO_TIME STR_TO_DATE SUBDATE SUBTIME TIME TIMEDIFF TIMESTAMP TIMESTAMPADD TIMESTAMPDIFF TIME_FORMAT TIME_TO_SEC TO_DAYS
    TO_SECONDS UNIX_TIMESTAMP WEEK WEEKDAY WEEKOFYEAR YEAR YEARWEEK
    CAST CONVERT MD5 SHA SHA1 SHA2 INET_ATON INET_NTOA INET6_ATON INET6_NTOA IS_IPV4 IS_IPV4_COMPAT IS_IPV4_MAPPED IS_IPV6
    IS_UUID BIN_TO_UUID UUID_TO_BIN
    JSON_ARRAY JSON_CONTAINS JSON_CONTAINS_PATH JSON_DEPTH JSON_EXTRACT JSON_KEYS JSON_LENGTH JSON_OBJECT JSON_OVERLAPS
    JSON_QUOTE JSON_SEARCH JSON_TYPE JSON_UNQUOTE JSON_VALID JSON_VALUE
    POINT ST_ASTEXT ST_CONTAINS ST_DISTANCE ST_GEOMETRYTYPE ST_GEOMFROMTEXT ST_INTERSECTS ST_SRID ST_WITHIN ST_X ST_Y
    MBRCONTAINS MBRINTERSECTS MBRWITHIN";

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&[&str], &str>) {
        match (Condition::parse(text), expected) {
            (Ok(found), Ok(names)) => assert_eq!(found.names, names, "{text}"),
            (Err(found), Err(part)) => assert!(found.contains(part), "{text}: {found}"),
            (found, _) => panic!("{text}: {found:?}"),
        }
    }

    #[test]
    fn a_condition_names_its_columns() {
        check("region = 'EU'", Ok(&["region"]));
        check(
            "`a``b` > 1 AND (c IS NULL OR C < -1.5e3)",
            Ok(&["a`b", "c", "IS", "NULL", "OR"]),
        );
        check("total BETWEEN 1 AND 2 -- (", Ok(&["total", "BETWEEN", "AND"]));
        check("kind IN ('a(', \"b'\") /* NOW() */", Ok(&["kind"]));
        check(
            "doc->>'$.a' = _latin1'x' COLLATE latin1_bin",
            Ok(&["doc", "_latin1", "COLLATE", "latin1_bin"]),
        );
        check("LEFT(name, 2) = X'41' AND NOT (a)", Ok(&["name", "X", "AND", "a"]));
        check(
            "UNIX_TIMESTAMP(at) > 5 AND CAST(d AS DECIMAL(10,2)) > 1",
            Ok(&["at", "AND", "d", "AS"]),
        );
        check("value = 1 OR any = 2", Ok(&["value", "OR", "any"]));
    }

    #[test]
    fn what_a_row_does_not_decide_is_refused_with_the_reason() {
        check("at > NOW()", Err("calls NOW: its value depends on the time"));
        check("at > now ( )", Err("calls NOW"));
        check("at > CURRENT_TIMESTAMP", Err("uses CURRENT_TIMESTAMP"));
        check("at > current_timestamp(3)", Err("calls CURRENT_TIMESTAMP"));
        check("at > UNIX_TIMESTAMP()", Err("without an argument"));
        check("RAND() < 0.5", Err("another one each time"));
        check("id IN (SELECT 1)", Err("a subquery"));
        check("EXISTS (TABLE t)", Err("EXISTS: a subquery"));
        check("id = (TABLE t)", Err("uses TABLE"));
        check("owner = USER()", Err("session"));
        check("owner = @me", Err("the variable @me"));
        check("x = @@server_id", Err("the variable @@server_id"));
        check("(@a := 1)", Err("variable @a"));
        check("COUNT(*) > 1", Err("several rows"));
        check("ROW_NUMBER() OVER () = 1", Err("several rows"));
        check("MATCH (a) AGAINST ('x')", Err("FULLTEXT"));
        check("id = ?", Err("placeholder"));
        check("my_function(id)", Err("calls my_function"));
        check("`f`(id) = 1", Err("calls `f`"));
        check("t.id = 1", Err("name alone"));
        check("`t`.`id` = 1", Err("name alone"));
        check("db.f(1)", Err("name alone"));
        check("a = 1; DROP TABLE t", Err("a ; in it"));
        check("a = 1) OR (b = 2", Err("a ) without a ("));
        check("(a = 1", Err("a ( without a )"));
        check("a = 'x", Err("can't be read"));
        check("a = 1 /*!80000 OR b = 2 */", Err("version comment"));
        check("d > {d '2026-01-01'}", Err("DATE '2026-01-31'"));
    }
}
