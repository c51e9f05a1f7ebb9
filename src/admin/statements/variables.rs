//! System variables and status: what clients read on connecting to find out what they talk to.

use std::time::Duration;

use super::{Reply, Result, Session, text_rows};
use crate::admin::grammar::SessionValue;
use crate::admin::reply::{Cell, SqlError};
use crate::admin::statements::show::fits;

/// What `VERSION()` says. Drivers read the number before the first `-` to decide what the server can do.
pub const SERVER_VERSION: &str = concat!("9.7.0-causeway-", env!("CARGO_PKG_VERSION"));

enum Value {
    Number(i64),
    Text(&'static str),
}

/// Sorted by name, as SHOW VARIABLES lists them.
const VARIABLES: [(&str, Value); 40] = [
    ("auto_increment_increment", Value::Number(1)),
    ("autocommit", Value::Number(1)),
    ("character_set_client", Value::Text("utf8mb4")),
    ("character_set_connection", Value::Text("utf8mb4")),
    ("character_set_database", Value::Text("utf8mb4")),
    ("character_set_results", Value::Text("utf8mb4")),
    ("character_set_server", Value::Text("utf8mb4")),
    ("character_set_system", Value::Text("utf8mb3")),
    ("collation_connection", Value::Text("utf8mb4_0900_ai_ci")),
    ("collation_database", Value::Text("utf8mb4_0900_ai_ci")),
    ("collation_server", Value::Text("utf8mb4_0900_ai_ci")),
    ("default_storage_engine", Value::Text("SQLite")),
    ("have_ssl", Value::Text("YES")),
    ("init_connect", Value::Text("")),
    ("interactive_timeout", Value::Number(28_800)),
    ("license", Value::Text("Apache-2.0")),
    ("lower_case_table_names", Value::Number(0)),
    ("max_allowed_packet", Value::Number(16 << 20)),
    ("max_execution_time", Value::Number(30_000)),
    ("net_buffer_length", Value::Number(16_384)),
    ("net_read_timeout", Value::Number(30)),
    ("net_write_timeout", Value::Number(60)),
    ("performance_schema", Value::Number(0)),
    ("protocol_version", Value::Number(10)),
    ("read_only", Value::Number(0)),
    ("session_track_schema", Value::Number(0)),
    ("socket", Value::Text("")),
    ("sql_mode", Value::Text("STRICT_TRANS_TABLES")),
    ("sql_safe_updates", Value::Number(0)),
    ("sql_select_limit", Value::Number(i64::MAX)),
    ("super_read_only", Value::Number(0)),
    ("system_time_zone", Value::Text("UTC")),
    ("time_zone", Value::Text("+00:00")),
    ("transaction_isolation", Value::Text("READ-COMMITTED")),
    ("transaction_read_only", Value::Number(0)),
    ("tx_isolation", Value::Text("READ-COMMITTED")),
    ("version", Value::Text(SERVER_VERSION)),
    (
        "version_comment",
        Value::Text("Causeway, two-way MySQL synchronization"),
    ),
    ("version_compile_os", Value::Text(std::env::consts::OS)),
    ("wait_timeout", Value::Number(28_800)),
];

/// What a SELECT asks of its session.
pub(super) fn session_value(session: &Session, value: &SessionValue) -> Result<Cell> {
    Ok(match value {
        SessionValue::Database => session.database.clone().map_or(Cell::Null, Cell::Text),
        SessionValue::User => Cell::Text(format!("{}@{}", session.user, session.host)),
        SessionValue::Version => Cell::Text(SERVER_VERSION.to_owned()),
        SessionValue::ConnectionId => Cell::Int(i64::from(session.connection_id)),
        SessionValue::Variable(name) => {
            let (_, value) = VARIABLES
                .iter()
                .find(|(known, _)| known == name)
                .ok_or_else(|| SqlError::new(1193, "HY000", format!("Unknown system variable '{name}'")))?;
            match value {
                Value::Number(number) => Cell::Int(*number),
                Value::Text(text) => Cell::Text((*text).to_owned()),
            }
        }
    })
}

pub(super) fn show(like: Option<&str>) -> Reply {
    let rows = VARIABLES
        .iter()
        .filter(|(name, _)| fits(like, name))
        .map(|(name, value)| {
            let value = match value {
                // SHOW VARIABLES writes switches out, @@ gives numbers.
                Value::Number(number) if SWITCHES.contains(name) => if *number == 0 { "OFF" } else { "ON" }.to_owned(),
                Value::Number(number) => number.to_string(),
                Value::Text(text) => (*text).to_owned(),
            };
            vec![(*name).to_owned(), value]
        });
    text_rows(&["Variable_name", "Value"], rows.collect())
}

const SWITCHES: [&str; 7] = [
    "autocommit",
    "performance_schema",
    "read_only",
    "session_track_schema",
    "sql_safe_updates",
    "super_read_only",
    "transaction_read_only",
];

pub(super) fn show_status(uptime: Duration, like: Option<&str>) -> Reply {
    let rows = [("Uptime", uptime.as_secs().to_string())];
    let rows = rows
        .into_iter()
        .filter(|(name, _)| fits(like, name))
        .map(|(name, value)| vec![name.to_owned(), value]);
    text_rows(&["Variable_name", "Value"], rows.collect())
}
