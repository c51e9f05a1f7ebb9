//! What went wrong while a task was at work, and whether trying again can help.

use std::fmt;

use crate::model::name::TableName;

/// Whether trying again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The data, a definition or a setting is at fault: the task stops until the operator has mended it.
    Data,
    /// A server, the network or a lock is at fault: tried again until the retry window ends.
    Environment,
    /// A statement in the source's binlog can't be carried: the task is paused until the operator has decided on it
    /// (`RESUME … SKIP`, `RESUME … APPLY`).
    Undecided,
    /// A table is no longer as it was when its rows were planned, as somebody has altered it: tried again at once, with
    /// the definitions read anew.
    Definitions,
}

/// A failure with a sentence for the operator: what was being done, to what, the cause, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Whether trying again can help.
    pub kind: Kind,
    /// The sentence. Never a row's values or a secret.
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl Failure {
    /// The data, a definition or a setting is at fault.
    pub fn data(message: impl Into<String>) -> Self {
        Self {
            kind: Kind::Data,
            message: message.into(),
        }
    }

    /// A statement can't be carried.
    pub fn undecided(message: impl Into<String>) -> Self {
        Self {
            kind: Kind::Undecided,
            message: message.into(),
        }
    }

    /// A server, the network or a lock is at fault.
    pub fn environment(message: impl Into<String>) -> Self {
        Self {
            kind: Kind::Environment,
            message: message.into(),
        }
    }

    /// The same, with what to do about it if that is up to the operator.
    #[must_use]
    pub fn with_remedy(self, remedy: impl fmt::Display) -> Self {
        match self.kind {
            Kind::Data => Self::data(format!("{self}; {remedy}")),
            _ => self,
        }
    }

    /// The source refused to give rows of a table.
    pub fn reading(table: &TableName, error: &mysql_async::Error) -> Self {
        let failure = Self::mysql(format_args!("reading {table}"), error);
        match error {
            // Unknown column, no such table: it has been altered or renamed since its definition was read.
            mysql_async::Error::Server(error) if matches!(error.code, 1054 | 1146) => Self {
                kind: Kind::Definitions,
                ..failure
            },
            _ => failure,
        }
    }

    /// The destination refused a change of rows.
    pub fn writing(table: &TableName, error: &mysql_async::Error) -> Self {
        let failure = Self::mysql(format_args!("writing to {table} at the destination"), error);
        match error {
            // Unknown column, no such table, column count, no default value.
            mysql_async::Error::Server(error) if matches!(error.code, 1054 | 1136 | 1146 | 1364) => Self {
                kind: Kind::Definitions,
                ..failure
            },
            _ => failure,
        }
    }

    /// A server could not be reached or did not let us in. Trying again can always help, whatever the reason: passwords
    /// and certificates are exchanged on one side first, servers are started, accounts unlocked. START, which somebody
    /// waits for, refuses at once.
    pub fn connecting(doing: impl fmt::Display, error: &mysql_async::Error) -> Self {
        Self {
            kind: Kind::Environment,
            ..Self::mysql(doing, error)
        }
    }

    /// A server refused, or could not be reached, while `doing` something.
    pub fn mysql(doing: impl fmt::Display, error: &mysql_async::Error) -> Self {
        let kind = kind_of(error);
        let message = match error {
            mysql_async::Error::Server(error) => {
                let hint = hint(error.code, &error.message);
                format!(
                    "{doing}: the server answered error {}: {}{hint}",
                    error.code,
                    without_values(error)
                )
            }
            mysql_async::Error::Io(mysql_async::IoError::Io(error)) => format!("{doing}: {}", lost(error)),
            other => format!("{doing}: {other}"),
        };
        Self { kind, message }
    }
}

/// What the system says of a connection, in words that tell the operator something.
fn lost(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::UnexpectedEof
        | ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe => "the connection to the server was lost".to_owned(),
        ErrorKind::ConnectionRefused => "connection refused: no server listens there".to_owned(),
        _ => error.to_string(),
    }
}

/// The server quotes row values in some messages; they are cut out, for messages end up in logs.
fn without_values(error: &mysql_async::ServerError) -> String {
    match error.code {
        // Duplicate entry '…' for key '…'; Incorrect … value: '…' for column …; Truncated incorrect … value: '…'.
        1062 | 1292 | 1366 | 1411 | 1525 | 1690 => match (error.message.find('\''), error.message.rfind(" for ")) {
            (Some(from), Some(to)) if from < to => {
                let (head, tail) = (error.message.get(..from), error.message.get(to..));
                format!("{}'…'{}", head.unwrap_or_default(), tail.unwrap_or_default())
            }
            (Some(from), _) => format!("{}'…'", error.message.get(..from).unwrap_or_default()),
            _ => error.message.clone(),
        },
        // Syntax errors quote our statement.
        1064 => "You have an error in your SQL syntax".to_owned(),
        _ => error.message.clone(),
    }
}

fn hint(code: u16, message: &str) -> &'static str {
    match code {
        1040 | 1203 | 1226 => ". Close connections there, or raise max_connections (or the account's limit)",
        1045 => {
            ". Check USER and PASSWORD (ALTER SERVER), that the account may log in from this host, and, if it is made with \
             REQUIRE X509 or the like, SSL_CERT and SSL_KEY"
        }
        1114 | 1021 | 3 | 1026 | 1030 if is_disk_full(code, message) => ". Make room on that server's disk",
        1129 => ". TRUNCATE performance_schema.host_cache (or FLUSH HOSTS) there lets this host in again",
        1130 => ". Make an account there that may log in from this host",
        3118 | 3955 => ". ALTER USER … ACCOUNT UNLOCK there, then check USER and PASSWORD (ALTER SERVER)",
        1820 | 1862 => {
            ". The account's password has expired: ALTER USER … IDENTIFIED BY there, then ALTER SERVER … OPTIONS (PASSWORD '…')"
        }
        3159 => ". The server takes encrypted connections only: ALTER SERVER … OPTIONS (SSL_MODE 'REQUIRED')",
        1142 | 1143 | 1227 | 1044 | 1370 => ". Grant the account what docs/privileges.md lists",
        1418 | 1419 => {
            ". Switch log_bin_trust_function_creators on there, or grant the account SUPER (docs/privileges.md)"
        }
        1236 if message.contains("purged") => {
            ". The changes the task needs are gone from the source's binlog: drop the task and create it anew, with \
             full sync, and keep binlogs longer (binlog_expire_logs_seconds)"
        }
        1236 if message.contains("could not find next log") => {
            ". RESET BINARY LOGS has been run there, or the files of its binlog were replaced, so changes may be missing: drop \
             the task and create it anew, with full sync"
        }
        1236 if message.contains("anonymous transaction when @@GLOBAL.GTID_MODE = ON") => {
            ". Set gtid_mode = ON_PERMISSIVE there until the task has caught up, then ON, and RESUME the task"
        }
        1451 => {
            ". Rows at the destination refer to it by a foreign key that lets it neither go nor change, and the source has \
             no such rows: remove them at the destination (under SET sql_log_bin = 0, so that this does not travel), then \
             RESUME the task"
        }
        1290 | 1836 => ". Switch read_only and super_read_only off on that server",
        _ => "",
    }
}

/// Whether a storage error says that there is no room left (system error 28, or table full).
fn is_disk_full(code: u16, message: &str) -> bool {
    matches!(code, 1021 | 1114) || message.contains("28") || message.contains("No space left")
}

/// The one place that decides whether trying again can help.
pub fn kind_of(error: &mysql_async::Error) -> Kind {
    use mysql_async::{DriverError, Error};
    match error {
        Error::Io(_) => Kind::Environment,
        Error::Driver(
            DriverError::ConnectionClosed | DriverError::PoolDisconnected | DriverError::CantParseServerVersion { .. },
        ) => Kind::Environment,
        Error::Driver(_) | Error::Url(_) | Error::Other(_) => Kind::Data,
        Error::Server(error) => match error.code {
            // Too many connections, out of memory or disk, shutdown, network.
            1021 | 1037 | 1038 | 1040 | 1041 | 1053 | 1077 | 1079 | 1080 | 1081 | 1114 | 1152 | 1158..=1161 => {
                Kind::Environment
            }
            // The same as the storage engine and the binlog say it.
            3 | 1026 | 1030 if is_disk_full(error.code, &error.message) => Kind::Environment,
            // This host is blocked or not let in, the account is locked, its password has expired: only when connecting.
            1129 | 1130 | 1820 | 1862 | 3118 | 3955 => Kind::Environment,
            // Lock wait, deadlock, lock table full, limits of the account, interrupted or killed.
            1203 | 1205 | 1206 | 1213 | 1226 | 1317 | 1613 | 1614 | 3024 | 3058 | 3101 | 3169 | 3572 | 4031 => {
                Kind::Environment
            }
            // Read-only, offline, a group that has no majority or is in an error.
            1290 | 1792 | 1836 | 3032 | 1927 | 3100 | 3168 => Kind::Environment,
            // The dump thread: what is purged or corrupt stays so.
            1236 if error.message.contains("same server_uuid") || error.message.contains("same server_id") => {
                Kind::Environment
            }
            _ => Kind::Data,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(code: u16, message: &str) -> mysql_async::Error {
        mysql_async::Error::Server(mysql_async::ServerError {
            code,
            message: message.into(),
            state: "HY000".into(),
        })
    }

    #[test]
    fn what_passes_by_itself_is_tried_again_and_what_does_not_is_not() {
        for (code, message, expected) in [
            (1213, "Deadlock found", Kind::Environment),
            (1062, "Duplicate entry", Kind::Data),
            (1236, "… purged required binary logs", Kind::Data),
            (
                1236,
                "A replica with the same server_uuid has connected",
                Kind::Environment,
            ),
            (1040, "Too many connections", Kind::Environment),
            (1053, "Server shutdown in progress", Kind::Environment),
            (1114, "The table 't' is full", Kind::Environment),
            (
                1030,
                "Got error 28 - 'No space left on device' from storage engine",
                Kind::Environment,
            ),
            (
                1030,
                "Got error 168 - 'Unknown (generic) error from engine' from storage engine",
                Kind::Data,
            ),
            (1129, "Host is blocked", Kind::Environment),
            (
                1290,
                "The MySQL server is running with the --super-read-only option",
                Kind::Environment,
            ),
            (1045, "Access denied", Kind::Data),
            (1142, "INSERT command denied", Kind::Data),
        ] {
            assert_eq!(kind_of(&server(code, message)), expected, "{code}: {message}");
        }
        let lost = mysql_async::Error::Io(mysql_async::IoError::Io(std::io::ErrorKind::ConnectionReset.into()));
        assert_eq!(kind_of(&lost), Kind::Environment);
    }

    #[test]
    fn a_refused_login_is_tried_again() {
        let failure = Failure::connecting("connecting", &server(1045, "Access denied"));
        assert_eq!(failure.kind, Kind::Environment);
        assert!(failure.message.contains("USER and PASSWORD"), "{failure}");
    }

    #[test]
    fn messages_hold_no_values_of_rows() {
        let failure = Failure::mysql(
            "writing to d.t",
            &server(1062, "Duplicate entry 's3cret for x' for key 't.PRIMARY'"),
        );
        assert!(!failure.message.contains("s3cret"), "{failure}");
        assert!(failure.message.contains("for key 't.PRIMARY'"), "{failure}");
        let failure = Failure::mysql(
            "writing",
            &server(1366, "Incorrect integer value: 's3cret' for column 'a' at row 1"),
        );
        assert!(!failure.message.contains("s3cret"), "{failure}");
    }
}
