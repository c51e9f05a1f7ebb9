//! How each statement is written, for the one who wrote it otherwise: a syntax error ends with it.

use super::cursor::{Cursor, SYNTAX_ERROR};
use crate::admin::reply::SqlError;

/// Beginnings of statements, longer ones before shorter ones, and an example of each that would work.
const USAGES: [(&[&str], &str); 42] = [
    (
        &["CREATE", "SERVER"],
        "CREATE SERVER hq OPTIONS (HOST '10.0.0.1', PORT 3306, USER 'sync', PASSWORD '…')",
    ),
    (&["ALTER", "SERVER"], "ALTER SERVER hq OPTIONS (PASSWORD '…')"),
    (&["DROP", "SERVER"], "DROP SERVER [IF EXISTS] hq"),
    (&["CHECK"], "CHECK SERVER hq"),
    (
        &["CREATE", "SYNC"],
        "CREATE SYNC TASK orders BETWEEN hq AND branch OBJECTS (shop.*), or FROM hq TO branch for one direction",
    ),
    (
        &["ALTER", "SYNC"],
        "ALTER SYNC TASK orders SET (workers = 8), or ADD OBJECTS (crm.*), or ACKNOWLEDGE 'gtid_mode'",
    ),
    (&["DROP", "SYNC"], "DROP SYNC TASK [IF EXISTS] orders"),
    (&["PRECHECK"], "PRECHECK SYNC TASK orders"),
    (&["START", "SYNC"], "START SYNC TASK orders"),
    (&["PAUSE"], "PAUSE SYNC TASK orders"),
    (&["RESUME"], "RESUME SYNC TASK orders [SKIP | APPLY '…']"),
    (&["STOP"], "STOP SYNC TASK orders"),
    (&["WAIT"], "WAIT FOR SYNC TASK orders [TIMEOUT 30]"),
    (&["CREATE", "USER"], "CREATE USER 'ops' IDENTIFIED BY '…'"),
    (&["ALTER", "USER"], "ALTER USER 'ops' IDENTIFIED BY '…'"),
    (&["DROP", "USER"], "DROP USER [IF EXISTS] 'ops'"),
    (&["GRANT"], "GRANT operator TO 'ops'"),
    (&["REVOKE"], "REVOKE operator FROM 'ops'"),
    (&["SET", "PASSWORD"], "SET PASSWORD [FOR 'ops'] = '…'"),
    (&["SHOW", "CREATE"], "SHOW CREATE SYNC TASK orders"),
    (
        &["SHOW", "SYNC"],
        "SHOW SYNC TASKS, or SHOW SYNC TASK STATUS [FOR orders]",
    ),
    (&["SHOW", "GRANTS"], "SHOW GRANTS [FOR 'ops']"),
    (
        &["SHOW", "REPLICA"],
        "SHOW REPLICA STATUS [FOR CHANNEL 'orders:forward']",
    ),
    (&["SHOW", "SLAVE"], "SHOW REPLICA STATUS [FOR CHANNEL 'orders:forward']"),
    (&["SHOW", "TABLES"], "SHOW TABLES FROM sync"),
    (&["SHOW", "COLUMNS"], "SHOW COLUMNS FROM sync.status"),
    (&["DESCRIBE"], "DESCRIBE sync.status"),
    (&["DESC"], "DESCRIBE sync.status"),
    (&["EXPLAIN"], "DESCRIBE sync.status"),
    (&["USE"], "USE sync"),
    // What a beginner may try, and where it leads.
    (&["CREATE", "DATABASE"], SERVERS_FIRST),
    (&["CREATE", "TABLE"], SERVERS_FIRST),
    (
        &["CREATE", "TASK"],
        "CREATE SYNC TASK orders BETWEEN hq AND branch OBJECTS (shop.*)",
    ),
    (&["DROP", "TASK"], "DROP SYNC TASK [IF EXISTS] orders"),
    (&["ALTER", "TASK"], "ALTER SYNC TASK orders SET (workers = 8)"),
    (&["CREATE"], "CREATE SERVER …, CREATE SYNC TASK … or CREATE USER …"),
    (&["DROP"], "DROP SERVER …, DROP SYNC TASK … or DROP USER …"),
    (&["ALTER"], "ALTER SERVER …, ALTER SYNC TASK … or ALTER USER …"),
    (&["START"], "START SYNC TASK orders"),
    (
        &["SHOW"],
        "SHOW SYNC TASK STATUS; SHOW TABLES FROM sync lists what SELECT can read",
    ),
    (&["HELP"], SERVERS_FIRST),
    (&["CHANGE"], SERVERS_FIRST),
];

const SERVERS_FIRST: &str = "CREATE SERVER hq OPTIONS (HOST '…', USER '…', PASSWORD '…') for each of two servers, then CREATE \
                             SYNC TASK orders BETWEEN hq AND branch OBJECTS (shop.*), then START SYNC TASK orders";
/// The error, with how the statement it is about is written. Only of the statement's beginning is anything looked at, so
/// nothing of it is repeated.
pub(super) fn add(mut error: SqlError, text: &str) -> SqlError {
    if !error.message.starts_with(SYNTAX_ERROR) {
        return error;
    }
    let cursor = Cursor::new(text);
    if let Some((_, usage)) = USAGES.iter().find(|(words, _)| cursor.at_words(words)) {
        error.message.push_str("; for example: ");
        error.message.push_str(usage);
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first statement of a usage, without what is optional.
    fn example(usage: &str) -> String {
        let first = usage
            .split([';'])
            .next()
            .and_then(|first| first.split(", or ").next())
            .unwrap_or_default();
        let mut example = String::new();
        let mut depth = 0;
        for c in first.chars() {
            depth += i32::from(c == '[');
            if depth == 0 {
                example.push(c);
            }
            depth -= i32::from(c == ']');
        }
        example
    }

    #[test]
    fn examples_are_statements_of_the_language() {
        let mut read = 0;
        for (words, usage) in USAGES {
            let example = example(usage);
            if !example.starts_with(words.first().unwrap_or(&"")) || example.contains(" …") || usage == SERVERS_FIRST
            {
                continue;
            }
            match super::super::parse(&example) {
                Err(error) if error.code != 1235 => panic!("{example}: {error}"),
                _ => read += 1,
            }
        }
        assert!(read > 25, "{read}");
    }
}
