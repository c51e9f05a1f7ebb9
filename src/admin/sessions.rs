//! The clients that are logged in: what each is at, for `SHOW PROCESSLIST`; how to end it, for `KILL`; and what they have
//! asked for in all, for `SHOW STATUS`.
//!
//! The protocol reports, the statements read. What is kept of a statement's text holds no password.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::grammar::text::without_secrets;

/// How much of a statement's text is kept, in bytes.
const STATEMENT_MAX: usize = 64 << 10;

/// All sessions of the endpoint.
#[derive(Debug)]
pub struct Sessions {
    entries: Mutex<BTreeMap<u32, Entry>>,
    started: Instant,
    /// What has happened so far.
    pub counters: Counters,
}

/// Counters since the start, under MySQL's names.
#[derive(Debug, Default)]
pub struct Counters {
    /// Attempts to connect.
    pub connections: AtomicU64,
    /// Connections that did not get to be logged in.
    pub aborted_connects: AtomicU64,
    /// Sessions that were lost rather than closed.
    pub aborted_clients: AtomicU64,
    /// Statements.
    pub questions: AtomicU64,
    /// Statements that were prepared.
    pub prepared: AtomicU64,
    /// Bytes read from logged-in clients.
    pub bytes_received: AtomicU64,
    /// Bytes written to them.
    pub bytes_sent: AtomicU64,
    /// The most sessions that there were at once.
    pub max_used_connections: AtomicU64,
}

/// Adds to a counter.
pub fn count(counter: &AtomicU64, by: usize) {
    counter.fetch_add(by as u64, Ordering::Relaxed);
}

#[derive(Debug)]
struct Entry {
    process: Process,
    since: Instant,
    killed: CancellationToken,
    interrupted: CancellationToken,
}

/// A session as `SHOW PROCESSLIST` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its connection's number.
    pub id: u32,
    /// The account.
    pub user: String,
    /// Where the client is.
    pub host: String,
    /// The database it has chosen.
    pub database: Option<String>,
    /// `Query`, `Execute`, `Prepare` or `Sleep`.
    pub command: &'static str,
    /// For how long it has been at that.
    pub time: Duration,
    /// The statement, without what may be a password.
    pub statement: Option<String>,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            entries: Mutex::default(),
            started: Instant::now(),
            counters: Counters::default(),
        }
    }
}

impl Sessions {
    /// A client has logged in.
    pub fn open(self: &Arc<Self>, id: u32, user: &str, host: &str) -> Seat {
        let entry = Entry {
            process: Process {
                id,
                user: user.to_owned(),
                host: host.to_owned(),
                database: None,
                command: "Sleep",
                time: Duration::ZERO,
                statement: None,
            },
            since: Instant::now(),
            killed: CancellationToken::new(),
            interrupted: CancellationToken::new(),
        };
        let killed = entry.killed.clone();
        let mut entries = self.entries();
        entries.insert(id, entry);
        let most = &self.counters.max_used_connections;
        most.fetch_max(entries.len() as u64, Ordering::Relaxed);
        Seat {
            sessions: Arc::clone(self),
            id,
            killed,
        }
    }

    /// Everybody who is logged in.
    pub fn processes(&self) -> Vec<Process> {
        let processes = self.entries().values().map(Entry::shown).collect();
        processes
    }

    /// One who is logged in.
    pub fn process(&self, id: u32) -> Option<Process> {
        self.entries().get(&id).map(Entry::shown)
    }

    /// Cancelled when the statement that the session is at shall end.
    pub fn interrupted(&self, id: u32) -> CancellationToken {
        let found = self.entries().get(&id).map(|entry| entry.interrupted.clone());
        found.unwrap_or_default()
    }

    /// Ends what the session is at, and with `connection` the session too. False if there is no such session.
    pub fn kill(&self, id: u32, connection: bool) -> bool {
        let entries = self.entries();
        let Some(entry) = entries.get(&id) else {
            return false;
        };
        entry.interrupted.cancel();
        if connection {
            entry.killed.cancel();
        }
        true
    }

    /// How long the endpoint has been there.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<u32, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn shown(&self) -> Process {
        Process {
            time: self.since.elapsed(),
            ..self.process.clone()
        }
    }
}

/// A session's place among all; it is given up when this is dropped.
#[derive(Debug)]
pub struct Seat {
    sessions: Arc<Sessions>,
    id: u32,
    /// Cancelled when the session shall end.
    pub killed: CancellationToken,
}

impl Seat {
    /// The session begins with a command.
    pub fn begins(&self, command: &'static str, statement: &str, database: Option<&str>) {
        let kept = statement
            .get(..statement.floor_char_boundary(STATEMENT_MAX))
            .unwrap_or_default();
        self.update(command, Some(without_secrets(kept)), database);
    }

    /// The session waits for the next command.
    pub fn ends(&self, database: Option<&str>) {
        self.update("Sleep", None, database);
    }

    /// What all sessions have asked for.
    pub fn counters(&self) -> &Counters {
        &self.sessions.counters
    }

    /// The line that `mysqladmin status` prints.
    pub fn statistics(&self) -> String {
        let uptime = self.sessions.uptime().as_secs();
        let questions = self.counters().questions.load(Ordering::Relaxed);
        #[expect(clippy::cast_precision_loss, reason = "shown with three decimals")]
        let per_second = questions as f64 / uptime.max(1) as f64;
        format!(
            "Uptime: {uptime}  Threads: {}  Questions: {questions}  Slow queries: 0  Opens: 0  Flush tables: 0  \
             Open tables: 0  Queries per second avg: {per_second:.3}",
            self.sessions.entries().len()
        )
    }

    fn update(&self, command: &'static str, statement: Option<String>, database: Option<&str>) {
        if let Some(entry) = self.sessions.entries().get_mut(&self.id) {
            if statement.is_some() {
                entry.interrupted = CancellationToken::new();
            }
            entry.process.command = command;
            entry.process.statement = statement;
            entry.process.database = database.map(str::to_owned);
            entry.since = Instant::now();
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.sessions.entries().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_shown_while_it_lasts_and_a_kill_reaches_what_it_is_at() {
        let sessions = Arc::new(Sessions::default());
        let seat = sessions.open(7, "ann", "10.0.0.9:4000");
        seat.begins("Query", "CREATE SERVER s OPTIONS (PASSWORD 'hunter2')", Some("sync"));
        let shown = sessions.process(7).unwrap();
        assert_eq!(shown.statement.as_deref(), Some("CREATE SERVER …"));
        assert_eq!((shown.command, shown.database.as_deref()), ("Query", Some("sync")));

        let first = sessions.interrupted(7);
        assert!(sessions.kill(7, false) && first.is_cancelled() && !seat.killed.is_cancelled());
        seat.ends(None);
        seat.begins("Query", "SELECT 1", None);
        assert!(!sessions.interrupted(7).is_cancelled(), "a kill is for one statement");
        assert!(sessions.kill(7, true) && seat.killed.is_cancelled());

        drop(seat);
        assert_eq!(sessions.processes(), []);
        assert!(!sessions.kill(7, true));
        assert_eq!(sessions.counters.max_used_connections.load(Ordering::Relaxed), 1);
    }
}
