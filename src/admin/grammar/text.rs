//! What is done with a statement's text before it is read: several are split, `?` are counted and replaced, and what
//! may be shown to others is picked out. Pure.

use super::cursor::Cursor;
use super::lexer::{Kind, Token, tokens};
use crate::admin::reply::Cell;

/// The statements that a client sent in one packet: what stands between `;` outside of strings, names and comments.
/// Blank ones at the end are left out.
pub fn statements(text: &str) -> Vec<&str> {
    let mut all = Vec::new();
    let mut begin = 0;
    let mut is_blank = true;
    for token in tokens(text) {
        if is_symbol(text, &token, ";") {
            all.push(text.get(begin..token.span.start).unwrap_or_default().trim());
            begin = token.span.end;
            is_blank = true;
        } else {
            is_blank = false;
        }
    }
    if !is_blank || all.is_empty() {
        all.push(text.get(begin..).unwrap_or_default().trim());
    }
    all
}

/// How many parameters (`?`) a statement has.
pub fn parameters(text: &str) -> usize {
    tokens(text).iter().filter(|token| is_symbol(text, token, "?")).count()
}

/// The statement with its parameters written out as literals.
pub fn with_values(text: &str, values: &[Cell]) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut values = values.iter();
    let mut begin = 0;
    for token in tokens(text).iter().filter(|token| is_symbol(text, token, "?")) {
        let Some(value) = values.next() else {
            break;
        };
        filled.push_str(text.get(begin..token.span.start).unwrap_or_default());
        filled.push_str(&literal(value));
        begin = token.span.end;
    }
    filled.push_str(text.get(begin..).unwrap_or_default());
    filled
}

/// As this language's lexer reads it back.
fn literal(value: &Cell) -> String {
    match value {
        Cell::Null => "NULL".to_owned(),
        Cell::Int(value) => value.to_string(),
        Cell::UInt(value) => value.to_string(),
        Cell::Double(value) => value.to_string(),
        Cell::Text(text) => {
            let text = text.replace('\\', "\\\\").replace('\'', "''").replace('\0', "\\0");
            format!("'{text}'")
        }
    }
}

/// The statement as others may see it, in SHOW PROCESSLIST for example: whole, or if it may hold a password only the words
/// that it begins with.
pub fn without_secrets(text: &str) -> String {
    let cursor = Cursor::new(text);
    if !cursor.may_hold_secret() {
        return text.to_owned();
    }
    let head = tokens(text).into_iter().take(2);
    let words = head.take_while(|token| token.kind == Kind::Word);
    let words: Vec<&str> = words.map(|token| cursor.raw(&token)).collect();
    format!("{} …", words.join(" "))
}

fn is_symbol(text: &str, token: &Token, symbol: &str) -> bool {
    token.kind == Kind::Symbol && text.get(token.span.clone()) == Some(symbol)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn statements_end_where_a_semicolon_stands_alone() {
        let check = |text: &str, expected: &[&str]| assert_eq!(statements(text), expected, "{text}");
        check("", &[""]);
        check(" ; ", &[""]);
        check("SELECT 1", &["SELECT 1"]);
        check("SELECT 1;", &["SELECT 1"]);
        check("SELECT 1 ; -- over\n", &["SELECT 1"]);
        check(
            "SELECT ';'; SHOW `;`;SELECT \"\\\";\"",
            &["SELECT ';'", "SHOW `;`", "SELECT \"\\\";\""],
        );
        check(
            "SELECT 1 /* ; */ -- ;\n; SELECT 2",
            &["SELECT 1 /* ; */ -- ;", "SELECT 2"],
        );
        check("SELECT 1;; SELECT 2", &["SELECT 1", "", "SELECT 2"]);
        check("SELECT 'open; SELECT 2", &["SELECT 'open; SELECT 2"]);
    }

    #[test]
    fn only_question_marks_outside_of_quotes_and_comments_are_parameters() {
        let check = |sql: &str, expected: usize| assert_eq!(parameters(sql), expected, "{sql}");
        check("SELECT ?, ?", 2);
        check("SELECT 1", 0);
        check("SELECT '?', 'it''s ?', \"?\", `?`", 0);
        check("SELECT 'it\\'s ?'", 0);
        check("SELECT '\\\\', ?", 1);
        check("SELECT `\\`, ?", 1);
        check("SELECT 1 -- ?", 0);
        check("SELECT 1 -- \n, ?", 1);
        check("SELECT 1--?", 1);
        check("SELECT 1 # ?", 0);
        check("SELECT /* ? */ 1 /*/ ? */ /* */", 0);
        check("SELECT 6/?", 1);
        check("SELECT 'unfinished ?", 0);
    }

    #[test]
    fn a_value_written_out_is_read_back_as_it_was() {
        for text in ["", "it's", "a\\b\\%\\_\\", "'; DROP SYNC TASK o; --", "nul \0 ü \" ` ?"] {
            let sql = with_values("SHOW TABLES LIKE ? -- ?", &[Cell::Text(text.into())]);
            let found: Vec<Kind> = tokens(&sql).into_iter().map(|token| token.kind).collect();
            // LIKE itself resolves \% and \_, so the lexer leaves them.
            assert_eq!(found[3..], [Kind::Text(text.to_owned())], "{sql}");
        }
        let numbers = [Cell::Null, Cell::Int(-5), Cell::UInt(u64::MAX), Cell::Double(0.5)];
        assert_eq!(with_values("?,?,?,?", &numbers), "NULL,-5,18446744073709551615,0.5");
        assert_eq!(with_values("?, ?", &[Cell::Int(1)]), "1, ?");
    }

    #[test]
    fn a_password_is_never_shown() {
        let check = |text: &str, expected: &str| assert_eq!(without_secrets(text), expected);
        check("SELECT 'x' FROM sync.status", "SELECT 'x' FROM sync.status");
        check("CREATE SERVER s OPTIONS (PASSWORD 'hunter2')", "CREATE SERVER …");
        check("/* x */ ALTER USER 'u' IDENTIFIED BY 'hunter2'", "ALTER USER …");
        check("SET PASSWORD = hunter2", "SET PASSWORD …");
        check("SET 'hunter2'", "SET …");
        check("'hunter2' IDENTIFIED", " …");
    }

    proptest! {
        #[test]
        fn no_text_makes_these_panic(text in "[?;'\"`#\\-/* \n\\\\aé!]{0,40}") {
            prop_assert!(!statements(&text).is_empty());
            let count = parameters(&text);
            let filled = with_values(&text, &vec![Cell::Int(7); count]);
            prop_assert_eq!(parameters(&filled), 0);
            without_secrets(&text);
        }
    }
}
