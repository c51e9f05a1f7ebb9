//! What the endpoint knows of itself: sessions for `SHOW PROCESSLIST`, counters for `SHOW STATUS`; and `KILL`.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use super::{Reply, Result, Session, Statements, done, variables};
use crate::admin::reply::SqlError;

/// Who may end the sessions of others.
const ADMIN: &str = "root";

impl Statements {
    pub(super) fn kill(&self, session: &Session, query: bool, id: u32) -> Result<Reply> {
        let Some(process) = self.sessions.process(id) else {
            let message = format!("Unknown thread id: {id}; SHOW PROCESSLIST lists those there are");
            return Err(SqlError::new(1094, "HY000", message));
        };
        if process.user != session.user && session.user != ADMIN {
            let message = format!("You are not owner of thread {id}; only an admin may end the sessions of others");
            return Err(SqlError::new(1095, "HY000", message));
        }
        self.sessions.kill(id, !query);
        if query && id == session.connection_id {
            return Err(interrupted());
        }
        Ok(done())
    }

    /// What `information_schema` and `performance_schema` show that the store does not know
    /// ([`crate::store::Question::facts`]).
    pub(super) fn facts(&self) -> Value {
        let processes = self.sessions.processes().into_iter().map(|process| {
            let state = if process.command == "Sleep" { "" } else { "executing" };
            json!([
                process.id,
                process.user,
                process.host,
                process.database,
                process.command,
                process.time.as_secs(),
                state,
                process.statement
            ])
        });
        json!({
            "processes": processes.collect::<Vec<_>>(),
            "status": self.status(),
            "variables": variables::all(),
        })
    }

    /// MySQL's names for what is counted here, and what monitors insist on.
    fn status(&self) -> Vec<(&'static str, u64)> {
        let processes = self.sessions.processes();
        let running = processes.iter().filter(|process| process.command != "Sleep").count();
        let counters = &self.sessions.counters;
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let uptime = self.sessions.uptime().as_secs();
        vec![
            ("Aborted_clients", of(&counters.aborted_clients)),
            ("Aborted_connects", of(&counters.aborted_connects)),
            ("Bytes_received", of(&counters.bytes_received)),
            ("Bytes_sent", of(&counters.bytes_sent)),
            ("Com_stmt_prepare", of(&counters.prepared)),
            ("Connections", of(&counters.connections)),
            ("Flush_commands", 0),
            ("Max_used_connections", of(&counters.max_used_connections)),
            ("Open_tables", 0),
            ("Opened_tables", 0),
            ("Queries", of(&counters.questions)),
            ("Questions", of(&counters.questions)),
            ("Slow_queries", 0),
            ("Threads_cached", 0),
            ("Threads_connected", processes.len() as u64),
            ("Threads_created", of(&counters.connections)),
            ("Threads_running", running as u64),
            ("Uptime", uptime),
            ("Uptime_since_flush_status", uptime),
        ]
    }
}

pub(super) fn interrupted() -> SqlError {
    SqlError::new(1317, "70100", "Query execution was interrupted")
}
