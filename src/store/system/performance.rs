//! `performance_schema`: the tables that monitors read, and a link as a replication channel.

use super::SystemTable;

const SCHEMA: &str = "performance_schema";

/// A link as MySQL's monitoring sees it: one row per replication channel, `TASK:DIRECTION`. This is the one place that
/// says what of `sync.status` stands for what; `SHOW REPLICA STATUS` ([`REPLICA_STATUS`]) and the tables below read it.
///
/// A link has one process where a replica has a receiver and an applier. While it tries again, its receiver is shown as
/// `CONNECTING`; when it stopped by an error, both are off and the error is the applier's. The lag is known while it
/// follows changes, and NULL otherwise, so that an alert on NULL or on a high value misses nothing.
///
/// Of a server with several hosts the one that is in use is shown. A position with a dot is a place in a binlog file, `binlog.000007:1234`; others are GTID sets.
pub(super) const CHANNELS: &str = "
    SELECT s.task || ':' || s.direction AS channel, s.state, s.since, s.idle,
        iif(instr(o.host, ',') AND o.in_use <> '', trim(rtrim(rtrim(o.in_use, '0123456789'), ':'), '[]'),
            coalesce(o.host, o.socket, '')) AS host,
        iif(instr(o.host, ',') AND o.in_use <> '', CAST(substr(o.in_use, length(rtrim(o.in_use, '0123456789')) + 1) AS INTEGER),
            coalesce(o.port, 0)) AS port, o.user, coalesce(o.server_uuid, '') AS uuid,
        iif(o.ssl_mode = 'DISABLED', 'No', 'Yes') AS ssl_allowed,
        iif(o.ssl_mode IN ('VERIFY_CA', 'VERIFY_IDENTITY'), 'Yes', 'No') AS ssl_verify,
        coalesce(o.ssl_ca, '') AS ssl_ca, coalesce(o.ssl_cert, '') AS ssl_cert, coalesce(o.ssl_key, '') AS ssl_key,
        CASE WHEN s.state IN ('schema', 'full', 'running') THEN 'ON'
             WHEN s.state IN ('prechecking', 'starting', 'retrying') THEN 'CONNECTING' ELSE 'OFF' END AS receiver,
        iif(s.state IN ('created', 'paused', 'failed', 'stopped'), 'OFF', 'ON') AS applier,
        iif(s.state = 'running', s.lag_ms / 1000, NULL) AS lag_seconds,
        iif(s.state = 'retrying' AND s.last_error <> '', 2003, 0) AS receiver_errno,
        iif(s.state = 'retrying', s.last_error, '') AS receiver_error,
        iif(s.state = 'failed' AND s.last_error <> '', 13117, 0) AS applier_errno,
        iif(s.state = 'failed', s.last_error, '') AS applier_error,
        iif(instr(s.source_position, '.'), '', s.source_position) AS retrieved,
        iif(instr(s.applied_position, '.'), '', s.applied_position) AS executed,
        instr(s.source_position || s.applied_position, '.') = 0 AS auto_position,
        iif(instr(s.source_position, '.'), s.source_position, '') AS read_to,
        iif(instr(s.applied_position, '.'), s.applied_position, '') AS applied_to
    FROM sync.status s JOIN sync.tasks t ON t.task = s.task
        JOIN sync.servers o ON o.name = iif(s.direction = 'forward', t.source, t.destination)
    ORDER BY s.task, s.direction";

/// `SHOW REPLICA STATUS`: MySQL's columns in MySQL's order.
pub(super) const REPLICA_STATUS: &str = "
    SELECT CASE WHEN receiver = 'ON' THEN 'Waiting for source to send event'
            WHEN state = 'retrying' THEN 'Reconnecting after a failed source event read'
            WHEN receiver = 'CONNECTING' THEN 'Connecting to source' ELSE '' END AS Replica_IO_State,
        host AS Source_Host, user AS Source_User, port AS Source_Port, 60 AS Connect_Retry,
        substr(read_to, 1, instr(read_to, ':') - 1) AS Source_Log_File,
        CAST(substr(read_to, instr(read_to, ':') + 1) AS INTEGER) AS Read_Source_Log_Pos, '' AS Relay_Log_File,
        0 AS Relay_Log_Pos, substr(applied_to, 1, instr(applied_to, ':') - 1) AS Relay_Source_Log_File,
        CASE receiver WHEN 'ON' THEN 'Yes' WHEN 'OFF' THEN 'No' ELSE 'Connecting' END AS Replica_IO_Running,
        iif(applier = 'ON', 'Yes', 'No') AS Replica_SQL_Running, '' AS Replicate_Do_DB, '' AS Replicate_Ignore_DB,
        '' AS Replicate_Do_Table, '' AS Replicate_Ignore_Table, '' AS Replicate_Wild_Do_Table,
        '' AS Replicate_Wild_Ignore_Table, max(receiver_errno, applier_errno) AS Last_Errno,
        receiver_error || applier_error AS Last_Error, 0 AS Skip_Counter,
        CAST(substr(applied_to, instr(applied_to, ':') + 1) AS INTEGER) AS Exec_Source_Log_Pos,
        0 AS Relay_Log_Space, 'None' AS Until_Condition, '' AS Until_Log_File, 0 AS Until_Log_Pos,
        ssl_allowed AS Source_SSL_Allowed, ssl_ca AS Source_SSL_CA_File, '' AS Source_SSL_CA_Path,
        ssl_cert AS Source_SSL_Cert, '' AS Source_SSL_Cipher, ssl_key AS Source_SSL_Key,
        lag_seconds AS Seconds_Behind_Source, ssl_verify AS Source_SSL_Verify_Server_Cert,
        receiver_errno AS Last_IO_Errno, receiver_error AS Last_IO_Error, applier_errno AS Last_SQL_Errno,
        applier_error AS Last_SQL_Error, '' AS Replicate_Ignore_Server_Ids, 0 AS Source_Server_Id,
        uuid AS Source_UUID, '' AS Source_Info_File, 0 AS SQL_Delay, NULL AS SQL_Remaining_Delay,
        CASE WHEN applier = 'OFF' THEN ''
            WHEN idle THEN 'Replica has read all relay log; waiting for more updates'
            ELSE 'Applying batch of row changes' END AS Replica_SQL_Running_State,
        10 AS Source_Retry_Count, '' AS Source_Bind,
        iif(receiver_errno, substr(strftime('%Y%m%d %H:%M:%S', since), 3), '') AS Last_IO_Error_Timestamp,
        iif(applier_errno, substr(strftime('%Y%m%d %H:%M:%S', since), 3), '') AS Last_SQL_Error_Timestamp,
        '' AS Source_SSL_Crl, '' AS Source_SSL_Crlpath, retrieved AS Retrieved_Gtid_Set,
        executed AS Executed_Gtid_Set, auto_position AS Auto_Position, '' AS Replicate_Rewrite_DB,
        channel AS Channel_Name, '' AS Source_TLS_Version, '' AS Source_public_key_path,
        0 AS Get_Source_public_key, '' AS Network_Namespace
    FROM channels";

/// Causeway's own counters in `SHOW GLOBAL STATUS`, beside those of the endpoint.
const COUNTERS: &str = "
        SELECT * FROM (SELECT value ->> 0, value ->> 1 FROM json_each(:facts, '$.status')
            UNION ALL SELECT 'Causeway_tasks', count(*) FROM sync.tasks
            UNION ALL SELECT 'Causeway_tasks_failed', count(*) FROM sync.tasks WHERE state = 'failed'
            UNION ALL SELECT 'Causeway_links', count(*) FROM sync.status
            UNION ALL SELECT 'Causeway_links_running', count(*) FROM sync.status WHERE state = 'running'
            UNION ALL SELECT 'Causeway_rows_applied', coalesce(sum(rows_applied), 0) FROM sync.status
            UNION ALL SELECT 'Causeway_transactions_applied', coalesce(sum(transactions_applied), 0) FROM sync.status
            UNION ALL SELECT 'Causeway_conflicts', coalesce(sum(conflicts), 0) FROM sync.status
            UNION ALL SELECT 'Causeway_lag_max_ms', coalesce(max(lag_ms), 0) FROM sync.status)
        ORDER BY 1 COLLATE NOCASE";

pub(super) const TABLES: &[SystemTable] = &[
    SystemTable {
        schema: SCHEMA,
        name: "global_status",
        columns: "VARIABLE_NAME, VARIABLE_VALUE",
        rows: COUNTERS,
    },
    SystemTable {
        schema: SCHEMA,
        name: "global_variables",
        columns: "VARIABLE_NAME, VARIABLE_VALUE",
        rows: "SELECT value ->> 0, value ->> 1 FROM json_each(:facts, '$.variables')",
    },
    SystemTable {
        schema: SCHEMA,
        name: "processlist",
        columns: "ID INTEGER, USER, HOST, DB, COMMAND, TIME INTEGER, STATE, INFO, EXECUTION_ENGINE",
        rows: "(ID, USER, HOST, DB, COMMAND, TIME, STATE, INFO, EXECUTION_ENGINE) SELECT *, 'PRIMARY'
        FROM (SELECT value ->> 0 AS id, value ->> 1 AS user, value ->> 2 AS host, value ->> 3 AS db, value ->> 4 AS command,
                value ->> 5 AS time, value ->> 6 AS state, value ->> 7 AS info FROM json_each(:facts, '$.processes')
            UNION ALL SELECT 4294900000 + row_number() OVER (ORDER BY channel), 'system user', 'connecting host', NULL,
                'Connect', max(0, unixepoch('now') - unixepoch(since)), channel || ': ' || state, NULL FROM channels)",
    },
    SystemTable {
        schema: SCHEMA,
        name: "replication_applier_configuration",
        columns: "CHANNEL_NAME, DESIRED_DELAY INTEGER, PRIVILEGE_CHECKS_USER, REQUIRE_ROW_FORMAT, \
                  REQUIRE_TABLE_PRIMARY_KEY_CHECK, ASSIGN_GTIDS_TO_ANONYMOUS_TRANSACTIONS_TYPE, \
                  ASSIGN_GTIDS_TO_ANONYMOUS_TRANSACTIONS_VALUE",
        rows: "(CHANNEL_NAME, DESIRED_DELAY, PRIVILEGE_CHECKS_USER, REQUIRE_ROW_FORMAT, REQUIRE_TABLE_PRIMARY_KEY_CHECK,
            ASSIGN_GTIDS_TO_ANONYMOUS_TRANSACTIONS_TYPE, ASSIGN_GTIDS_TO_ANONYMOUS_TRANSACTIONS_VALUE)
        SELECT channel, 0, NULL, 'YES', 'STREAM', 'OFF', NULL FROM channels",
    },
    SystemTable {
        schema: SCHEMA,
        name: "replication_applier_filters",
        columns: "CHANNEL_NAME, FILTER_NAME, FILTER_RULE, CONFIGURED_BY, ACTIVE_SINCE, COUNTER INTEGER",
        rows: "",
    },
    SystemTable {
        schema: SCHEMA,
        name: "replication_applier_global_filters",
        columns: "FILTER_NAME, FILTER_RULE, CONFIGURED_BY, ACTIVE_SINCE",
        rows: "",
    },
    SystemTable {
        schema: SCHEMA,
        name: "replication_applier_status",
        columns: "CHANNEL_NAME, SERVICE_STATE, REMAINING_DELAY INTEGER, COUNT_TRANSACTIONS_RETRIES INTEGER",
        rows: "(CHANNEL_NAME, SERVICE_STATE, REMAINING_DELAY, COUNT_TRANSACTIONS_RETRIES)
        SELECT channel, applier, NULL, 0 FROM channels",
    },
    SystemTable {
        schema: SCHEMA,
        name: "replication_applier_status_by_coordinator",
        columns: "CHANNEL_NAME, THREAD_ID INTEGER, SERVICE_STATE, LAST_ERROR_NUMBER INTEGER, LAST_ERROR_MESSAGE, \
                  LAST_ERROR_TIMESTAMP, LAST_PROCESSED_TRANSACTION, \
                  LAST_PROCESSED_TRANSACTION_ORIGINAL_COMMIT_TIMESTAMP, \
                  LAST_PROCESSED_TRANSACTION_IMMEDIATE_COMMIT_TIMESTAMP, \
                  LAST_PROCESSED_TRANSACTION_START_BUFFER_TIMESTAMP, \
                  LAST_PROCESSED_TRANSACTION_END_BUFFER_TIMESTAMP, PROCESSING_TRANSACTION, \
                  PROCESSING_TRANSACTION_ORIGINAL_COMMIT_TIMESTAMP, \
                  PROCESSING_TRANSACTION_IMMEDIATE_COMMIT_TIMESTAMP, PROCESSING_TRANSACTION_START_BUFFER_TIMESTAMP",
        rows: "(CHANNEL_NAME, SERVICE_STATE, LAST_ERROR_NUMBER, LAST_ERROR_MESSAGE, LAST_ERROR_TIMESTAMP)
        SELECT channel, applier, applier_errno, applier_error,
            iif(applier_errno, since || '000', '0000-00-00 00:00:00.000000') FROM channels",
    },
    SystemTable {
        schema: SCHEMA,
        name: "replication_applier_status_by_worker",
        columns: "CHANNEL_NAME, WORKER_ID INTEGER, THREAD_ID INTEGER, SERVICE_STATE, LAST_ERROR_NUMBER INTEGER, \
                  LAST_ERROR_MESSAGE, LAST_ERROR_TIMESTAMP, LAST_APPLIED_TRANSACTION, \
                  LAST_APPLIED_TRANSACTION_ORIGINAL_COMMIT_TIMESTAMP, \
                  LAST_APPLIED_TRANSACTION_IMMEDIATE_COMMIT_TIMESTAMP, \
                  LAST_APPLIED_TRANSACTION_START_APPLY_TIMESTAMP, LAST_APPLIED_TRANSACTION_END_APPLY_TIMESTAMP, \
                  APPLYING_TRANSACTION, APPLYING_TRANSACTION_ORIGINAL_COMMIT_TIMESTAMP, \
                  APPLYING_TRANSACTION_IMMEDIATE_COMMIT_TIMESTAMP, APPLYING_TRANSACTION_START_APPLY_TIMESTAMP, \
                  LAST_APPLIED_TRANSACTION_RETRIES_COUNT INTEGER, \
                  LAST_APPLIED_TRANSACTION_LAST_TRANSIENT_ERROR_NUMBER INTEGER, \
                  LAST_APPLIED_TRANSACTION_LAST_TRANSIENT_ERROR_MESSAGE, \
                  LAST_APPLIED_TRANSACTION_LAST_TRANSIENT_ERROR_TIMESTAMP, \
                  APPLYING_TRANSACTION_RETRIES_COUNT INTEGER, \
                  APPLYING_TRANSACTION_LAST_TRANSIENT_ERROR_NUMBER INTEGER, \
                  APPLYING_TRANSACTION_LAST_TRANSIENT_ERROR_MESSAGE, \
                  APPLYING_TRANSACTION_LAST_TRANSIENT_ERROR_TIMESTAMP",
        rows: "(CHANNEL_NAME, WORKER_ID, SERVICE_STATE, LAST_ERROR_NUMBER, LAST_ERROR_MESSAGE, LAST_ERROR_TIMESTAMP,
            LAST_APPLIED_TRANSACTION_RETRIES_COUNT, LAST_APPLIED_TRANSACTION_LAST_TRANSIENT_ERROR_NUMBER,
            APPLYING_TRANSACTION_RETRIES_COUNT, APPLYING_TRANSACTION_LAST_TRANSIENT_ERROR_NUMBER)
        SELECT channel, 1, applier, applier_errno, applier_error,
            iif(applier_errno, since || '000', '0000-00-00 00:00:00.000000'), 0, 0, 0, 0 FROM channels",
    },
    SystemTable {
        schema: SCHEMA,
        name: "replication_connection_configuration",
        columns: "CHANNEL_NAME, HOST, PORT INTEGER, USER, NETWORK_INTERFACE, AUTO_POSITION, SSL_ALLOWED, \
                  SSL_CA_FILE, SSL_CA_PATH, SSL_CERTIFICATE, SSL_CIPHER, SSL_KEY, SSL_VERIFY_SERVER_CERTIFICATE, \
                  SSL_CRL_FILE, SSL_CRL_PATH, CONNECTION_RETRY_INTERVAL INTEGER, CONNECTION_RETRY_COUNT INTEGER, \
                  HEARTBEAT_INTERVAL, TLS_VERSION, PUBLIC_KEY_PATH, GET_PUBLIC_KEY, NETWORK_NAMESPACE, \
                  COMPRESSION_ALGORITHM, ZSTD_COMPRESSION_LEVEL INTEGER, TLS_CIPHERSUITES, \
                  SOURCE_CONNECTION_AUTO_FAILOVER, GTID_ONLY",
        rows: "(CHANNEL_NAME, HOST, PORT, USER, AUTO_POSITION, SSL_ALLOWED, SSL_CA_FILE, SSL_CERTIFICATE, SSL_KEY,
            SSL_VERIFY_SERVER_CERTIFICATE, CONNECTION_RETRY_INTERVAL, CONNECTION_RETRY_COUNT, HEARTBEAT_INTERVAL, GET_PUBLIC_KEY,
            COMPRESSION_ALGORITHM, ZSTD_COMPRESSION_LEVEL, SOURCE_CONNECTION_AUTO_FAILOVER, GTID_ONLY)
        SELECT channel, host, port, user, auto_position, upper(ssl_allowed), ssl_ca, ssl_cert, ssl_key, upper(ssl_verify),
            60, 10, '30.000', 'NO', 'uncompressed', 3, 0, 1 FROM channels",
    },
    SystemTable {
        schema: SCHEMA,
        name: "replication_connection_status",
        columns: "CHANNEL_NAME, GROUP_NAME, SOURCE_UUID, THREAD_ID INTEGER, SERVICE_STATE, \
                  COUNT_RECEIVED_HEARTBEATS INTEGER, LAST_HEARTBEAT_TIMESTAMP, RECEIVED_TRANSACTION_SET, \
                  LAST_ERROR_NUMBER INTEGER, LAST_ERROR_MESSAGE, LAST_ERROR_TIMESTAMP, LAST_QUEUED_TRANSACTION, \
                  LAST_QUEUED_TRANSACTION_ORIGINAL_COMMIT_TIMESTAMP, \
                  LAST_QUEUED_TRANSACTION_IMMEDIATE_COMMIT_TIMESTAMP, \
                  LAST_QUEUED_TRANSACTION_START_QUEUE_TIMESTAMP, LAST_QUEUED_TRANSACTION_END_QUEUE_TIMESTAMP, \
                  QUEUEING_TRANSACTION, QUEUEING_TRANSACTION_ORIGINAL_COMMIT_TIMESTAMP, \
                  QUEUEING_TRANSACTION_IMMEDIATE_COMMIT_TIMESTAMP, QUEUEING_TRANSACTION_START_QUEUE_TIMESTAMP",
        rows: "(CHANNEL_NAME, SOURCE_UUID, SERVICE_STATE, COUNT_RECEIVED_HEARTBEATS, RECEIVED_TRANSACTION_SET,
            LAST_ERROR_NUMBER, LAST_ERROR_MESSAGE, LAST_ERROR_TIMESTAMP)
        SELECT channel, uuid, receiver, 0, retrieved, receiver_errno, receiver_error,
            iif(receiver_errno, since || '000', '0000-00-00 00:00:00.000000') FROM channels",
    },
    SystemTable {
        schema: SCHEMA,
        name: "replication_group_member_stats",
        columns: "CHANNEL_NAME, VIEW_ID, MEMBER_ID, COUNT_TRANSACTIONS_IN_QUEUE INTEGER, \
                  COUNT_TRANSACTIONS_CHECKED INTEGER, COUNT_CONFLICTS_DETECTED INTEGER, \
                  COUNT_TRANSACTIONS_ROWS_VALIDATING INTEGER, TRANSACTIONS_COMMITTED_ALL_MEMBERS, \
                  LAST_CONFLICT_FREE_TRANSACTION, COUNT_TRANSACTIONS_REMOTE_IN_APPLIER_QUEUE INTEGER, \
                  COUNT_TRANSACTIONS_REMOTE_APPLIED INTEGER, COUNT_TRANSACTIONS_LOCAL_PROPOSED INTEGER, \
                  COUNT_TRANSACTIONS_LOCAL_ROLLBACK INTEGER",
        rows: "",
    },
    SystemTable {
        schema: SCHEMA,
        name: "replication_group_members",
        columns: "CHANNEL_NAME, MEMBER_ID, MEMBER_HOST, MEMBER_PORT INTEGER, MEMBER_STATE, MEMBER_ROLE, \
                  MEMBER_VERSION, MEMBER_COMMUNICATION_STACK",
        rows: "",
    },
    SystemTable {
        schema: SCHEMA,
        name: "session_status",
        columns: "VARIABLE_NAME, VARIABLE_VALUE",
        rows: COUNTERS,
    },
    SystemTable {
        schema: SCHEMA,
        name: "session_variables",
        columns: "VARIABLE_NAME, VARIABLE_VALUE",
        rows: "SELECT value ->> 0, value ->> 1 FROM json_each(:facts, '$.variables')",
    },
    SystemTable {
        schema: SCHEMA,
        name: "threads",
        columns: "THREAD_ID INTEGER, NAME, TYPE, PROCESSLIST_ID INTEGER, PROCESSLIST_USER, PROCESSLIST_HOST, \
                  PROCESSLIST_DB, PROCESSLIST_COMMAND, PROCESSLIST_TIME INTEGER, PROCESSLIST_STATE, \
                  PROCESSLIST_INFO, PARENT_THREAD_ID INTEGER, ROLE, INSTRUMENTED, HISTORY, CONNECTION_TYPE, \
                  THREAD_OS_ID INTEGER, RESOURCE_GROUP, EXECUTION_ENGINE, CONTROLLED_MEMORY INTEGER, \
                  MAX_CONTROLLED_MEMORY INTEGER, TOTAL_MEMORY INTEGER, MAX_TOTAL_MEMORY INTEGER, TELEMETRY_ACTIVE",
        rows: "(THREAD_ID, NAME, TYPE, PROCESSLIST_ID, PROCESSLIST_USER, PROCESSLIST_HOST, PROCESSLIST_DB, PROCESSLIST_COMMAND,
            PROCESSLIST_TIME, PROCESSLIST_STATE, PROCESSLIST_INFO, INSTRUMENTED, HISTORY)
        SELECT id, 'thread/sql/one_connection', 'FOREGROUND', id, user, host, db, command, time, state, info, 'YES', 'YES'
        FROM (SELECT value ->> 0 AS id, value ->> 1 AS user, value ->> 2 AS host, value ->> 3 AS db, value ->> 4 AS command,
                value ->> 5 AS time, value ->> 6 AS state, value ->> 7 AS info FROM json_each(:facts, '$.processes')
            UNION ALL SELECT 4294900000 + row_number() OVER (ORDER BY channel), 'system user', 'connecting host', NULL,
                'Connect', max(0, unixepoch('now') - unixepoch(since)), channel || ': ' || state, NULL FROM channels)",
    },
];
