//! System variables and status: what clients read on connecting to find out what they talk to.

use super::{Result, Session};
use crate::admin::grammar::SessionValue;
use crate::admin::reply::{Cell, SqlError};

/// What `VERSION()` says. Drivers read the number before the first `-` to decide what the server can do.
pub const SERVER_VERSION: &str = concat!("9.7.0-causeway-", env!("CARGO_PKG_VERSION"));

enum Value {
    Number(i64),
    Text(&'static str),
}

/// Sorted by name, as SHOW VARIABLES lists them.
const VARIABLES: &[(&str, Value)] = &[
    ("auto_increment_increment", Value::Number(1)),
    ("auto_increment_offset", Value::Number(1)),
    ("autocommit", Value::Number(1)),
    ("big_tables", Value::Number(0)),
    ("binlog_format", Value::Text("ROW")),
    ("character_set_client", Value::Text("utf8mb4")),
    ("character_set_connection", Value::Text("utf8mb4")),
    ("character_set_database", Value::Text("utf8mb4")),
    ("character_set_filesystem", Value::Text("binary")),
    ("character_set_results", Value::Text("utf8mb4")),
    ("character_set_server", Value::Text("utf8mb4")),
    ("character_set_system", Value::Text("utf8mb3")),
    ("collation_connection", Value::Text("utf8mb4_0900_ai_ci")),
    ("collation_database", Value::Text("utf8mb4_0900_ai_ci")),
    ("collation_server", Value::Text("utf8mb4_0900_ai_ci")),
    ("completion_type", Value::Text("NO_CHAIN")),
    ("connect_timeout", Value::Number(10)),
    ("default_authentication_plugin", Value::Text("caching_sha2_password")),
    ("default_storage_engine", Value::Text("SQLite")),
    ("error_count", Value::Number(0)),
    ("event_scheduler", Value::Text("OFF")),
    ("foreign_key_checks", Value::Number(1)),
    ("general_log", Value::Number(0)),
    ("group_concat_max_len", Value::Number(1 << 20)),
    ("gtid_mode", Value::Text("ON")),
    ("have_openssl", Value::Text("YES")),
    ("have_profiling", Value::Text("NO")),
    ("have_query_cache", Value::Text("NO")),
    ("have_ssl", Value::Text("YES")),
    ("hostname", Value::Text("causeway")),
    ("init_connect", Value::Text("")),
    ("innodb_read_only", Value::Number(0)),
    ("innodb_version", Value::Text("")),
    ("interactive_timeout", Value::Number(28_800)),
    ("last_insert_id", Value::Number(0)),
    ("lc_messages", Value::Text("en_US")),
    ("license", Value::Text("Apache-2.0")),
    ("lock_wait_timeout", Value::Number(31_536_000)),
    ("log_bin", Value::Number(0)),
    ("log_error", Value::Text("stderr")),
    ("long_query_time", Value::Number(10)),
    ("lower_case_file_system", Value::Number(0)),
    ("lower_case_table_names", Value::Number(0)),
    ("max_allowed_packet", Value::Number(16 << 20)),
    ("max_connections", Value::Number(128)),
    ("max_execution_time", Value::Number(30_000)),
    ("max_prepared_stmt_count", Value::Number(256)),
    ("max_user_connections", Value::Number(0)),
    ("net_buffer_length", Value::Number(16_384)),
    ("net_read_timeout", Value::Number(30)),
    ("net_write_timeout", Value::Number(60)),
    ("offline_mode", Value::Number(0)),
    ("performance_schema", Value::Number(1)),
    ("profiling", Value::Number(0)),
    ("protocol_version", Value::Number(10)),
    ("query_cache_size", Value::Number(0)),
    ("query_cache_type", Value::Text("OFF")),
    ("read_only", Value::Number(0)),
    ("server_id", Value::Number(0)),
    ("session_track_schema", Value::Number(0)),
    ("slow_query_log", Value::Number(0)),
    ("socket", Value::Text("")),
    ("sql_auto_is_null", Value::Number(0)),
    ("sql_log_bin", Value::Number(0)),
    ("sql_mode", Value::Text("STRICT_TRANS_TABLES")),
    ("sql_notes", Value::Number(1)),
    ("sql_quote_show_create", Value::Number(1)),
    ("sql_safe_updates", Value::Number(0)),
    ("sql_select_limit", Value::Number(i64::MAX)),
    ("sql_warnings", Value::Number(0)),
    ("super_read_only", Value::Number(0)),
    ("system_time_zone", Value::Text("UTC")),
    ("table_definition_cache", Value::Number(400)),
    ("table_open_cache", Value::Number(400)),
    ("thread_cache_size", Value::Number(0)),
    ("time_zone", Value::Text("+00:00")),
    ("tls_version", Value::Text("TLSv1.2,TLSv1.3")),
    ("transaction_isolation", Value::Text("READ-COMMITTED")),
    ("transaction_read_only", Value::Number(0)),
    ("tx_isolation", Value::Text("READ-COMMITTED")),
    ("tx_read_only", Value::Number(0)),
    ("unique_checks", Value::Number(1)),
    ("version", Value::Text(SERVER_VERSION)),
    (
        "version_comment",
        Value::Text("Causeway, two-way MySQL synchronization"),
    ),
    ("version_compile_machine", Value::Text(std::env::consts::ARCH)),
    ("version_compile_os", Value::Text(std::env::consts::OS)),
    ("wait_timeout", Value::Number(28_800)),
    ("warning_count", Value::Number(0)),
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

/// All of them, as SHOW VARIABLES has them.
pub(super) fn all() -> Vec<(&'static str, String)> {
    let rows = VARIABLES.iter().map(|(name, value)| {
        let value = match value {
            // SHOW VARIABLES writes switches out, @@ gives numbers.
            Value::Number(number) if SWITCHES.contains(name) => if *number == 0 { "OFF" } else { "ON" }.to_owned(),
            Value::Number(number) => number.to_string(),
            Value::Text(text) => (*text).to_owned(),
        };
        (*name, value)
    });
    rows.collect()
}

const SWITCHES: &[&str] = &[
    "autocommit",
    "big_tables",
    "foreign_key_checks",
    "general_log",
    "innodb_read_only",
    "log_bin",
    "lower_case_file_system",
    "offline_mode",
    "performance_schema",
    "profiling",
    "read_only",
    "session_track_schema",
    "slow_query_log",
    "sql_auto_is_null",
    "sql_log_bin",
    "sql_notes",
    "sql_quote_show_create",
    "sql_safe_updates",
    "sql_warnings",
    "super_read_only",
    "transaction_read_only",
    "tx_read_only",
    "unique_checks",
];
