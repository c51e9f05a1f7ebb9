//! What the columns of the `sync` schema say, a sentence each: docs/sync-schema.md is made from this, and a test holds it
//! against the tables.

/// A table of the `sync` schema.
pub struct PublicTable {
    /// Its name.
    pub name: &'static str,
    /// What it has a row for.
    pub one_row_per: &'static str,
    /// Its columns in order, each with what it says.
    pub columns: &'static [(&'static str, &'static str)],
}

const TASK: (&str, &str) = ("task", "The task.");
const DIRECTION: (&str, &str) = (
    "direction",
    "`forward` (from the task's source to its destination) or `reverse`.",
);
const AT: (&str, &str) = ("at", "When, UTC.");

/// The tables, sorted by name.
pub const PUBLIC: &[PublicTable] = &[
    PublicTable {
        name: "conflicts",
        one_row_per: "change that did not fit the destination's row",
        columns: &[
            ("id", "Its number."),
            TASK,
            DIRECTION,
            ("table", "The table at the destination, `database.table`."),
            (
                "type",
                "What did not fit: `insert_exists`, `update_missing`, `update_differs`, `update_exists`, `delete_missing` or \
                 `delete_differs`.",
            ),
            ("key", "The row's key, JSON."),
            (
                "before_image",
                "The row as the source had it before the change, JSON; NULL for an insert.",
            ),
            (
                "incoming_row",
                "The row as the source has it after the change, JSON; NULL for a delete.",
            ),
            (
                "destination_row",
                "The row as the destination had it, JSON; NULL if there was none.",
            ),
            ("policy", "The conflict policy that decided."),
            ("outcome", "What became of the change."),
            (
                "source_position",
                "The source's transaction, and the number of the change in it.",
            ),
            AT,
        ],
    },
    PublicTable {
        name: "ddl",
        one_row_per: "DDL statement that was met",
        columns: &[
            ("id", "Its number."),
            TASK,
            DIRECTION,
            ("source_position", "The source's transaction."),
            ("statement", "The statement as the source ran it."),
            (
                "outcome",
                "`applied`; `refused` (the reverse direction carries none); `excluded` (by an option or the objects); `ignored` (it \
                 concerns nothing that is synchronized); `failed`.",
            ),
            (
                "applied_statement",
                "The statement as it was run at the destination; NULL if none was.",
            ),
            AT,
        ],
    },
    PublicTable {
        name: "differences",
        one_row_per: "difference that a verification found",
        columns: &[
            TASK,
            ("table", "The table."),
            ("key", "The row's key, JSON."),
            ("kind", "What differs."),
            ("source_row", "The row at the source, JSON; NULL if there is none."),
            (
                "destination_row",
                "The row at the destination, JSON; NULL if there is none.",
            ),
            AT,
        ],
    },
    PublicTable {
        name: "events",
        one_row_per: "thing worth telling",
        columns: &[
            ("id", "Its number."),
            ("task", "The task; NULL if it concerns none."),
            (
                "direction",
                "`forward` or `reverse`; NULL if it concerns neither or both.",
            ),
            ("level", "`info`, `warning` or `error`."),
            ("message", "What happened."),
            AT,
        ],
    },
    PublicTable {
        name: "objects",
        one_row_per: "task, direction and table",
        columns: &[
            TASK,
            DIRECTION,
            ("source_table", "The table, `database.table`."),
            ("destination_table", "What it is called where it is written."),
            ("phase", "`schema`, `full` or `incremental`."),
            ("rows_copied", "Rows that full sync has copied."),
            (
                "rows_estimated",
                "Rows that the source is thought to have; NULL if it is not asked.",
            ),
            ("inserts", "Inserts applied since the task was made."),
            ("updates", "Updates applied since the task was made."),
            ("deletes", "Deletes applied since the task was made."),
            ("conflicts", "Conflicts since the task was made."),
            ("bytes_copied", "Bytes of rows that full sync has copied."),
            (
                "copied_percent",
                "How much of it is copied, by the estimate; NULL without one.",
            ),
            ("copy_rows_per_second", "Rows copied per second lately."),
            (
                "copy_seconds_left",
                "Seconds until it is copied, at this rate; NULL if that can't be said.",
            ),
        ],
    },
    PublicTable {
        name: "prechecks",
        one_row_per: "task, direction and item of the precheck",
        columns: &[
            TASK,
            DIRECTION,
            ("item", "What was looked at."),
            (
                "result",
                "`pass`, `warn`, `fail` or `skip`; a fail keeps the task from starting, a skip could not be judged.",
            ),
            ("found", "What was found."),
            (
                "remedy",
                "The statement that mends it; empty if nothing is to be mended.",
            ),
            ("acknowledged", "Whether a warning was acknowledged."),
            ("checked_at", "When it was last looked at, UTC."),
        ],
    },
    PublicTable {
        name: "servers",
        one_row_per: "server",
        columns: &[
            ("name", "What `CREATE SERVER` called it."),
            ("host", "Its host; NULL if it is reached through a socket."),
            ("port", "Its port; NULL if it is reached through a socket."),
            (
                "socket",
                "Its Unix socket; NULL if it is reached through host and port.",
            ),
            ("user", "The account that Causeway logs in with."),
            (
                "ssl_mode",
                "How the connection is encrypted: `DISABLED`, `PREFERRED`, `REQUIRED`, `VERIFY_CA` or `VERIFY_IDENTITY`.",
            ),
            ("ssl_ca", "The file with the CA that its certificate must come from."),
            ("ssl_cert", "The file with the certificate that Causeway shows it."),
            ("ssl_key", "The file with that certificate's key."),
            ("version", "Its version when it was last reached."),
            ("server_uuid", "Its `server_uuid` when it was last reached."),
            (
                "state",
                "`unknown`, `reachable` or `unreachable`, when it was last tried.",
            ),
            ("last_error", "Why it was unreachable; empty if it was not."),
            (
                "in_use",
                "Which host of its list it is at; NULL if it has not been reached.",
            ),
        ],
    },
    PublicTable {
        name: "status",
        one_row_per: "task and direction",
        columns: &[
            TASK,
            DIRECTION,
            (
                "state",
                "`created`, `prechecking`, `starting`, `schema`, `full`, `running`, `paused`, `retrying`, `failed` or `stopped`.",
            ),
            ("phase", "`schema`, `full` or `incremental`."),
            ("source_position", "What has been read of the source's binlog."),
            ("applied_position", "What has been applied at the destination."),
            (
                "lag_ms",
                "Milliseconds that the destination is behind the source; while the direction does not run, how long ago it was known to be in step; NULL while unknown.",
            ),
            ("idle", "1 if nothing waits to be applied."),
            ("rows_applied", "Row changes applied since the task was made."),
            (
                "transactions_applied",
                "Transactions of the source applied since the task was made.",
            ),
            ("conflicts", "Conflicts met since the task was made."),
            (
                "last_error",
                "What went wrong last, where, and what to do; empty if nothing did.",
            ),
            ("since", "Since when the direction is in this state, UTC."),
            (
                "lag_fetch_ms",
                "Milliseconds that reading is behind the source; NULL while the direction does not run.",
            ),
            (
                "lag_apply_ms",
                "Milliseconds that applying is behind reading; NULL while the direction does not run.",
            ),
            (
                "current_until",
                "The destination has all that was committed at the source up to then, by the source's clock, UTC.",
            ),
            ("rows_per_second", "Row changes applied per second lately."),
            (
                "transactions_per_second",
                "Source transactions applied per second lately.",
            ),
            ("rows_copied", "Rows that full sync has copied, of all tables."),
            (
                "bytes_copied",
                "Bytes of rows that full sync has copied, of all tables.",
            ),
            (
                "rows_estimated",
                "Rows that the source's tables are thought to have; NULL if it is not asked.",
            ),
            (
                "copied_percent",
                "How much of them is copied, by the estimate; NULL without one.",
            ),
            ("copy_rows_per_second", "Rows copied per second lately, of all tables."),
            (
                "copy_bytes_per_second",
                "Bytes copied per second lately, of all tables.",
            ),
            (
                "copy_seconds_left",
                "Seconds until all are copied, at this rate; NULL if that can't be said.",
            ),
        ],
    },
    PublicTable {
        name: "tasks",
        one_row_per: "task",
        columns: &[
            ("task", "Its name."),
            ("source", "The server named first."),
            ("destination", "The server named second."),
            ("two_way", "1 if changes go both ways."),
            ("state", "The state of the direction that fares worst."),
            ("created_at", "When it was made, UTC."),
            ("options", "Its options, as `WITH (…)` has them."),
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{PUBLIC_TABLES, Store, TempDir};

    #[test]
    fn every_column_has_its_sentence() {
        let dir = TempDir::new();
        let store = Store::open(dir.path()).unwrap();
        let told: Vec<_> = PUBLIC.iter().map(|table| table.name).collect();
        assert_eq!(told, PUBLIC_TABLES);
        for table in PUBLIC {
            let columns = store.public_columns(table.name).unwrap().unwrap();
            let found: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
            let told: Vec<_> = table.columns.iter().map(|(name, _)| *name).collect();
            assert_eq!(
                told, found,
                "the columns of sync.{} and src/store/columns.rs",
                table.name
            );
            for (name, sentence) in table.columns {
                assert!(sentence.ends_with('.'), "sync.{}.{name}", table.name);
            }
        }
    }
}
