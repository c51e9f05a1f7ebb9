//! The commands of the protocol's command phase, and what is asked of a statement's text before the handler sees it. Pure.

use super::SqlError;

/// What a client asks for in one packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command<'a> {
    Quit,
    Ping,
    UseDatabase(&'a [u8]),
    Query(&'a [u8]),
    /// The columns of a table, for completion in old clients.
    ListFields(&'a [u8]),
    /// Several statements in one packet, from now on or no more.
    SetOption {
        multi_statements: bool,
    },
    /// A line of figures.
    Statistics,
    /// SHOW PROCESSLIST, of old clients.
    ProcessInfo,
    /// KILL, of old clients.
    ProcessKill(u32),
    /// Another account on the same connection.
    ChangeUser,
    /// Back to the state after login, as far as there is any.
    ResetConnection,
    Prepare(&'a [u8]),
    /// The statement's number, and the packet behind it.
    Execute(u32, &'a [u8]),
    CloseStatement(u32),
    ResetStatement(u32),
    /// A piece of a parameter: the statement's number, the parameter's, and the piece. The protocol has no answer to it.
    SendLongData(u32, u16, &'a [u8]),
    /// Everything else: binlog dumps, what future clients know.
    Unknown,
}

impl<'a> Command<'a> {
    /// Reads a packet's payload.
    pub(super) fn parse(payload: &'a [u8]) -> Self {
        let Some((code, rest)) = payload.split_first() else {
            return Self::Unknown;
        };
        let (id, behind) = match rest.split_first_chunk() {
            Some((id, behind)) => (Some(u32::from_le_bytes(*id)), behind),
            None => (None, rest),
        };
        match (code, id) {
            (0x01, _) => Self::Quit,
            (0x02, _) => Self::UseDatabase(rest),
            (0x03, _) => Self::Query(rest),
            (0x04, _) => Self::ListFields(rest),
            (0x09, _) => Self::Statistics,
            (0x0a, _) => Self::ProcessInfo,
            (0x0c, Some(id)) => Self::ProcessKill(id),
            (0x0e, _) => Self::Ping,
            (0x11, _) => Self::ChangeUser,
            (0x16, _) => Self::Prepare(rest),
            (0x17, Some(id)) => Self::Execute(id, behind),
            (0x18, id) => match behind.split_first_chunk() {
                Some((parameter, piece)) => {
                    Self::SendLongData(id.unwrap_or_default(), u16::from_le_bytes(*parameter), piece)
                }
                None => Self::SendLongData(id.unwrap_or_default(), 0, &[]),
            },
            (0x19, Some(id)) => Self::CloseStatement(id),
            (0x1a, Some(id)) => Self::ResetStatement(id),
            (0x1b, _) => Self::SetOption {
                multi_statements: rest.first() == Some(&0),
            },
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
        check(b"\x17\x05\0\0\0\0\x01\0\0\0", Command::Execute(5, b"\0\x01\0\0\0"));
        check(b"\x18\x05\0\0\0\x02\0abc", Command::SendLongData(5, 2, b"abc"));
        check(b"\x18\x05", Command::SendLongData(0, 0, b""));
        check(b"\x0c\x05\0\0\0", Command::ProcessKill(5));
        check(
            b"\x1b\x01\0",
            Command::SetOption {
                multi_statements: false,
            },
        );
        check(b"\x19\x05\0\0\0", Command::CloseStatement(5));
        check(b"\x17\x05\0\0", Command::Unknown);
        check(b"\x11root\0", Command::ChangeUser);
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

    proptest! {
        #[test]
        fn no_text_makes_the_questions_panic(sql in "[?'\"`#\\-/* \n\\\\aé;uUsSeE]{0,40}") {
            prop_assert!(database_of_use(&sql).is_none_or(|name| !name.is_empty()));
        }
    }
}
