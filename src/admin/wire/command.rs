//! The commands of the protocol's command phase, and the two questions that are asked of a statement's text before the
//! handler sees it. Pure.

use super::SqlError;

/// What a client asks for in one packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command<'a> {
    Quit,
    Ping,
    UseDatabase(&'a [u8]),
    Query(&'a [u8]),
    /// The columns of a table, for completion in old clients.
    ListFields,
    /// Multi-statements on or off. They are always on.
    SetOption,
    /// Back to the state after login, as far as there is any.
    ResetConnection,
    Prepare(&'a [u8]),
    Execute(u32),
    CloseStatement(u32),
    ResetStatement(u32),
    /// A piece of a parameter. There are no parameters, and the protocol has no answer to it.
    SendLongData,
    /// Everything else: a change of user, binlog dumps, KILL, statistics, what future clients know.
    Unknown,
}

impl<'a> Command<'a> {
    /// Reads a packet's payload.
    pub(super) fn parse(payload: &'a [u8]) -> Self {
        let Some((code, rest)) = payload.split_first() else {
            return Self::Unknown;
        };
        let id = rest.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
        match (code, id) {
            (0x01, _) => Self::Quit,
            (0x02, _) => Self::UseDatabase(rest),
            (0x03, _) => Self::Query(rest),
            (0x04, _) => Self::ListFields,
            (0x0e, _) => Self::Ping,
            (0x16, _) => Self::Prepare(rest),
            (0x17, Some(id)) => Self::Execute(id),
            (0x18, _) => Self::SendLongData,
            (0x19, Some(id)) => Self::CloseStatement(id),
            (0x1a, Some(id)) => Self::ResetStatement(id),
            (0x1b, _) => Self::SetOption,
            (0x1f, _) => Self::ResetConnection,
            _ => Self::Unknown,
        }
    }
}

/// A statement's bytes as text.
pub(super) fn text(bytes: &[u8]) -> Result<&str, SqlError> {
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        SqlError::new(
            1300,
            "HY000",
            format!("Invalid utf8mb4 character string: byte {at} of the statement is not UTF-8; connect with the character set utf8mb4"),
        )
    })
}

/// The database of a `USE database` statement that stands alone. Clients send it as a query too.
pub(super) fn database_of_use(sql: &str) -> Option<String> {
    let sql = sql.trim().trim_end_matches(';').trim_end();
    let (keyword, rest) = sql.split_at_checked(3)?;
    let name = rest.trim_start();
    if !keyword.eq_ignore_ascii_case("use") {
        return None;
    }
    if let Some(quoted) = name.strip_prefix('`') {
        let inner = quoted.strip_suffix('`')?;
        let name = inner.replace("``", "`");
        let lone_backticks = inner.len() - name.len() != name.matches('`').count();
        return (!name.is_empty() && !lone_backticks).then_some(name);
    }
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$') || !c.is_ascii();
    (rest.len() > name.len() && !name.is_empty() && name.chars().all(bare)).then(|| name.to_owned())
}

/// Whether a statement has a parameter: a `?` outside of strings, quoted names and comments.
pub(super) fn has_parameters(sql: &str) -> bool {
    let mut rest = sql;
    while let Some(at) = rest.find(['?', '\'', '"', '`', '#', '-', '/']) {
        let (_, tail) = rest.split_at(at);
        let skipped = match tail.as_bytes() {
            [b'?', ..] => return true,
            [quote @ (b'\'' | b'"' | b'`'), ..] => quoted_length(tail.as_bytes(), *quote),
            [b'#', ..] | [b'-', b'-', b' ' | b'\t' | b'\r' | b'\n', ..] => tail.find('\n'),
            [b'/', b'*', ..] => tail.get(2..).and_then(|inner| inner.find("*/")).map(|end| end + 4),
            _ => Some(1),
        };
        match skipped.and_then(|bytes| tail.get(bytes..)) {
            Some(next) => rest = next,
            None => return false,
        }
    }
    false
}

/// The bytes of a quoted piece that `text` begins with, both quotes included. A doubled quote reads as two pieces.
fn quoted_length(text: &[u8], quote: u8) -> Option<usize> {
    let mut bytes = text.iter().enumerate().skip(1);
    while let Some((at, byte)) = bytes.next() {
        if *byte == b'\\' && quote != b'`' {
            bytes.next();
        } else if *byte == quote {
            return Some(at + 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn commands_are_told_apart_by_their_first_byte() {
        let check = |payload: &[u8], expected: Command<'_>| assert_eq!(Command::parse(payload), expected);
        check(b"\x01", Command::Quit);
        check(b"\x02sync", Command::UseDatabase(b"sync"));
        check(b"\x03SELECT 1", Command::Query(b"SELECT 1"));
        check(b"\x17\x05\0\0\0\0\x01\0\0\0", Command::Execute(5));
        check(b"\x19\x05\0\0\0", Command::CloseStatement(5));
        check(b"\x17\x05\0\0", Command::Unknown);
        check(b"\x11root\0", Command::Unknown);
        check(b"\x12", Command::Unknown);
        check(b"\x1e", Command::Unknown);
        check(b"\xff", Command::Unknown);
        check(b"", Command::Unknown);
    }

    #[test]
    fn use_is_recognized_only_when_it_stands_alone() {
        let check = |sql: &str, expected: Option<&str>| assert_eq!(database_of_use(sql).as_deref(), expected);
        check("USE sync", Some("sync"));
        check(" use\tsync ; ", Some("sync"));
        check("Use `a b`;", Some("a b"));
        check("USE`a``b`", Some("a`b"));
        check("USE größe", Some("größe"));
        check("USE", None);
        check("USE ``", None);
        check("USE `a` `b`", None);
        check("USE a; DROP SERVER b", None);
        check("USE `a`; DROP SERVER `b`", None);
        check("USEsync", None);
        check("SELECT 1", None);
        check("ü", None);
    }

    #[test]
    fn only_question_marks_outside_of_quotes_and_comments_are_parameters() {
        let check = |sql: &str, expected: bool| assert_eq!(has_parameters(sql), expected, "{sql}");
        check("SELECT ?", true);
        check("SELECT 1", false);
        check("SELECT '?'", false);
        check("SELECT 'it''s ?', \"?\", `?`", false);
        check("SELECT 'it\\'s ?'", false);
        check("SELECT '\\\\', ?", true);
        check("SELECT `\\`, ?", true);
        check("SELECT 1 -- ?", false);
        check("SELECT 1 -- \n, ?", true);
        check("SELECT 1--?", true);
        check("SELECT 1 # ?", false);
        check("SELECT /* ? */ 1", false);
        check("SELECT /*/ ? */ 1", false);
        check("SELECT /* */ ?", true);
        check("SELECT 6/?", true);
        check("SELECT 'unfinished ?", false);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_questions_panic(sql in "[?'\"`#\\-/* \n\\\\aé;uUsSeE]{0,40}") {
            prop_assert!(!has_parameters(&sql) || sql.contains('?'));
            prop_assert!(database_of_use(&sql).is_none_or(|name| !name.is_empty()));
        }
    }
}
