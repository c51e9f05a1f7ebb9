//! Which columns an expression of a table's definition names.
//!
//! Such an expression (of a check, a generated column, a default, a key part, a partitioning) has no variables, subqueries or
//! stored functions, so whatever stands where an operand is due is a literal, a function, one of a few reserved words,
//! or a column. A word where an operator is due is never a column. That tells `date` the column from `DATE` the type
//! without a parser.

use super::cursor::{Cursor, Shape};
use super::definition::Mention;
use super::lexer::TokenKind;

/// Reserved words after which an operand is still due.
const BEFORE_OPERAND: [&str; 11] = [
    "BINARY", "BOTH", "CASE", "DISTINCT", "ELSE", "EXISTS", "FROM", "INTERVAL", "LEADING", "NOT", "TRAILING",
];
/// Reserved words that are operands.
const OPERANDS: [&str; 14] = [
    "CURRENT_DATE",
    "CURRENT_TIME",
    "CURRENT_TIMESTAMP",
    "CURRENT_USER",
    "DEFAULT",
    "FALSE",
    "LOCALTIME",
    "LOCALTIMESTAMP",
    "MAXVALUE",
    "NULL",
    "TRUE",
    "UTC_DATE",
    "UTC_TIME",
    "UTC_TIMESTAMP",
];
/// Operators that are words.
const OPERATORS: [&str; 16] = [
    "AND", "BETWEEN", "DIV", "ELSE", "ESCAPE", "FOR", "FROM", "IN", "LIKE", "MOD", "OR", "REGEXP", "RLIKE", "THEN",
    "WHEN", "XOR",
];
/// Words that end an operand and are followed by an operator.
const AFTER_OPERAND: [&str; 24] = [
    "AT",
    "DAY",
    "DAY_HOUR",
    "DAY_MICROSECOND",
    "DAY_MINUTE",
    "DAY_SECOND",
    "END",
    "HOUR",
    "HOUR_MICROSECOND",
    "HOUR_MINUTE",
    "HOUR_SECOND",
    "MICROSECOND",
    "MINUTE",
    "MINUTE_MICROSECOND",
    "MINUTE_SECOND",
    "MONTH",
    "QUARTER",
    "SECOND",
    "SECOND_MICROSECOND",
    "TIME",
    "WEEK",
    "YEAR",
    "YEAR_MONTH",
    "ZONE",
];
/// Functions whose first argument is a word.
const WORD_FIRST: [&str; 4] = ["EXTRACT", "GET_FORMAT", "TIMESTAMPADD", "TIMESTAMPDIFF"];

/// After `(`: consumes the expression and its `)`, and notes the columns in it.
pub(super) fn columns(cursor: &mut Cursor<'_>, mentions: &mut Vec<Mention>) -> Shape<()> {
    // Of each open parenthesis, whether a type follows its comma: CONVERT(x, CHAR).
    let mut open = vec![false];
    let mut operand_due = true;
    loop {
        if cursor.accept_symbol(b'(') {
            open.push(false);
            operand_due = true;
        } else if cursor.accept_symbol(b')') {
            open.pop();
            operand_due = false;
            if open.is_empty() {
                return Ok(());
            }
        } else if cursor.is_symbol(b',') && open.last() == Some(&true) {
            type_name(cursor)?;
        } else if cursor.is_symbol(b'.') || cursor.is_symbol(b';') || cursor.is_symbol(b'{') {
            return Err(format!("an expression can't be read{}", cursor.whereabouts()));
        } else if !cursor.is_identifier() {
            let Some((kind, _)) = cursor.take() else {
                return Err("an expression has no end".to_owned());
            };
            operand_due = matches!(kind, TokenKind::Symbol(_));
        } else if operand_due {
            operand_due = operand(cursor, mentions, &mut open)?;
        } else {
            operand_due = operator(cursor)?;
        }
    }
}

/// Where an operand is due. Returns whether one still is.
fn operand(cursor: &mut Cursor<'_>, mentions: &mut Vec<Mention>, open: &mut Vec<bool>) -> Shape<bool> {
    if let Some(chain) = cursor.chain() {
        for _ in 1..chain.len() * 2 {
            cursor.skip();
        }
        mentions.extend(chain.into_iter().next_back().map(Mention::own));
        return no_function(cursor);
    }
    if cursor.is_word_like() {
        if cursor.is_symbol_at(1, b'(') {
            let takes_word = cursor.is_any(&WORD_FIRST);
            let takes_type = cursor.is_word("CONVERT");
            if BEFORE_OPERAND.iter().any(|word| cursor.is_word(word)) {
                cursor.skip();
                return Ok(true);
            }
            cursor.skip();
            cursor.expect_symbol(b'(')?;
            open.push(takes_type);
            if takes_word {
                cursor.identifier()?;
            }
            // Nothing, an operand, or after the word a comma or FROM.
            return Ok(!takes_word);
        }
        if cursor.is_literal_prefix() {
            cursor.skip();
            return Ok(true);
        }
        if cursor.accept_any(&BEFORE_OPERAND) || cursor.accept("WHEN") {
            return Ok(true);
        }
        if cursor.accept_any(&OPERANDS) {
            return Ok(false);
        }
    }
    mentions.push(Mention::own(cursor.identifier()?));
    no_function(cursor)
}

/// What was taken for a column must not be called.
fn no_function(cursor: &Cursor<'_>) -> Shape<bool> {
    if cursor.is_symbol(b'(') {
        return Err(format!(
            "an expression calls what is no function{}",
            cursor.whereabouts()
        ));
    }
    Ok(false)
}

/// Where an operator is due. Returns whether an operand is due after it.
fn operator(cursor: &mut Cursor<'_>) -> Shape<bool> {
    if cursor.is_any(&["AS", "RETURNING"]) {
        // CAST(… AS type), JSON_VALUE(… RETURNING type NULL ON EMPTY): only types and literals up to the ')'.
        type_name(cursor)?;
        return Ok(false);
    }
    if cursor.accept_any(&["COLLATE", "USING"]) {
        if cursor.is_text() {
            cursor.skip();
        } else {
            cursor.identifier()?;
        }
        return Ok(false);
    }
    if cursor.accept("IS") {
        cursor.accept("NOT");
        if !cursor.accept_any(&["NULL", "TRUE", "FALSE", "UNKNOWN"]) {
            return Err(format!("an expression can't be read{}", cursor.whereabouts()));
        }
        return Ok(false);
    }
    if cursor.accept("MEMBER") {
        cursor.accept("OF");
        return Ok(true);
    }
    if cursor.accept_any(&["NULL", "ERROR", "DEFAULT", "ON", "EMPTY"]) {
        // JSON_VALUE(… NULL ON EMPTY ERROR ON ERROR)
        return Ok(false);
    }
    // NOT LIKE, NOT IN, SOUNDS LIKE: two words are one operator.
    cursor.accept_any(&["NOT", "SOUNDS"]);
    if cursor.accept_any(&OPERATORS) {
        return Ok(true);
    }
    if cursor.accept_any(&AFTER_OPERAND) {
        return Ok(false);
    }
    Err(format!("an expression can't be read{}", cursor.whereabouts()))
}

/// Skips what begins here up to the `)` that closes the parenthesis it stands in.
fn type_name(cursor: &mut Cursor<'_>) -> Shape<()> {
    let mut depth = 0_usize;
    while depth > 0 || !cursor.is_symbol(b')') {
        if cursor.is_symbol(b'(') {
            depth += 1;
        } else if cursor.is_symbol(b')') {
            depth -= 1;
        } else if cursor.is_end() {
            return Err("an expression has no end".to_owned());
        }
        cursor.skip();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::lexer::lex;
    use super::super::statement::SqlMode;
    use super::*;

    fn check(expression: &str, expected: &str) {
        let lexed = lex(&format!("{expression})"), SqlMode(0), 90_704).unwrap();
        let mut cursor = Cursor::new(&lexed, None);
        let mut mentions = Vec::new();
        let found = match columns(&mut cursor, &mut mentions) {
            Ok(()) if cursor.is_end() => mentions.iter().map(|m| m.column.as_str()).collect::<Vec<_>>().join(" "),
            Ok(()) => "not to the end".to_owned(),
            Err(reason) => format!("error: {reason}"),
        };
        assert_eq!(found, expected, "{expression}");
    }

    #[test]
    fn columns_are_told_from_everything_else() {
        check("a + 1", "a");
        check("`a` > 0 AND t.b <> 5 OR shop.t.`c` IS NOT NULL", "a b c");
        check("concat(first_name, ' ', last_name)", "first_name last_name");
        check("date > DATE '2020-01-01' AND date(d) < date", "date d date");
        check("year(d) = year AND d + INTERVAL day DAY > NOW()", "d year d day");
        check("extract(year FROM day) + timestampdiff(month, a, b)", "day a b");
        check(
            "cast(a AS DATE) + CAST(`b` AS CHAR(10) CHARACTER SET utf8mb4) + c",
            "a b c",
        );
        check("convert(a USING latin1) + convert(b, CHAR(5)) + c", "a b c");
        check("CAST(j->'$.x[*]' AS UNSIGNED ARRAY)", "j");
        check("json_value(j, '$.a' RETURNING DECIMAL(4,2) DEFAULT 1 ON EMPTY)", "j");
        check("json_value(j, _utf8mb4'$.a')", "j");
        check("json_unquote(json_extract(`j`,_utf8mb4'$.b'))", "j");
        check(
            "a NOT LIKE b AND c NOT IN (d) AND e NOT BETWEEN f AND g",
            "a b c d e f g",
        );
        check("a COLLATE utf8mb4_bin LIKE 'x' ESCAPE '|'", "a");
        check("CASE a WHEN b THEN c ELSE d END", "a b c d");
        check("CASE WHEN a > 1 THEN 'x' END <=> e", "a e");
        check("a IN (1, b, 'c') and not (d between e and 5)", "a b d e");
        check("NOT a", "a");
        check("interval(a, 1, b)", "a b");
        check("trim(LEADING 'x' FROM a) = substring(b FROM 1 FOR c)", "a b c");
        check("trim(both from a)", "a");
        check("17 MEMBER OF (j->'$.a')", "j");
        check("binary a = X'41' and b = b'1' and x = 0x41 and n = N'y'", "a b x n");
        check(
            "a is unknown or b sounds like c or current_timestamp(6) > d or d > current_date",
            "a b c d d",
        );
        check("a div b mod c % -d ^ ~e", "a b c d e");
        check("a REGEXP '^x' AND b RLIKE c", "a b c");
        check("((a))", "a");
        check("a FROBS b", "error: an expression can't be read after 'a'");
        check("db.f(a)", "error: an expression calls what is no function at byte 4");
        check("(a", "error: an expression has no end");
    }
}
