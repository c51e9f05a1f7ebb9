//! The server side of the MySQL protocol, hardened.
//!
//! ```text
//! TCP ─▶ listener ─▶ login ─▶ session ─▶ Handler (the admin language)
//!        half-open   greeting,  one command      │ Reply
//!        limits,     TLS,       at a time   ◀────┘
//!        blocked     password   result sets by opensrv-mysql
//!        addresses
//! ```
//!
//! Bytes from the network meet only code of this module. `login` owns the connection phase: nothing before a correct
//! password reaches any parser but the small one in `handshake`, in packets of a few KiB, within seconds. `session`
//! reads one size-limited packet at a time and answers everything but result sets itself.
//!
//! `opensrv-mysql` 0.7.0 makes the result sets (`resultset`). It is not given the socket, for these reasons: two
//! packets that arrive together are a use-after-free in it, a packet may be of any size, a wrong sequence number is an
//! assertion, it answers OK to commands that it does not know (a change of user among them), and it can only report
//! errors of its own list. So it runs over memory, on a request made up here, with rows from the handler.
//!
//! What is deliberately absent: compression, server-side cursors, LOAD DATA LOCAL, a change of user, authentication other than the fast path of `caching_sha2_password` (which needs no secret but the hash).

mod attempts;
mod command;
mod half_open;
mod handshake;
mod input;
mod listener;
mod login;
mod network;
mod packet;
mod parameters;
mod resultset;
mod scramble;
mod session;
pub mod tls;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use super::reply::{Cell, Column, ColumnKind, Reply, SqlError};
use super::sessions::Sessions;
pub use listener::{Encryption, serve};
pub use scramble::hash_password;

/// What the admin language needs to know about the connection a statement came by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The number of the account that logged in ([`Credentials::account`]).
    pub account: i64,
    /// Its name.
    pub user: String,
    /// The database chosen at login or with `USE`.
    pub database: Option<String>,
    /// The number that the client knows this connection by (`CONNECTION_ID()`).
    pub connection_id: u32,
    /// Where the client is.
    pub peer: SocketAddr,
}

/// What an account proves itself with.
#[derive(Clone, Copy)]
pub struct Credentials {
    /// The account's number; sessions carry it.
    pub account: i64,
    /// SHA256(SHA256(password)), as [`hash_password`] makes it.
    pub password_hash: [u8; 32],
}

/// Gives the protocol its meaning: who may log in, and what a statement does.
///
/// A panic in here ends the statement with error 1105, not the connection, and never the process. A statement whose
/// client goes away is carried to its end; it is dropped only when the endpoint shuts down and
/// [`Limits::shutdown_time`] is over.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// What an account proves itself with, or `None` if there is no such account. The client can't tell an unknown
    /// account from a wrong password, provided that this takes the same time for both.
    async fn credentials(&self, user: &str) -> Option<Credentials>;

    /// Carries out one statement.
    async fn execute(&self, session: &mut Session, sql: &str) -> Result<Reply, SqlError>;

    /// Carries out a prepared statement, with what its `?` stand for.
    async fn execute_prepared(&self, session: &mut Session, sql: &str, parameters: &[Cell]) -> Result<Reply, SqlError>;

    /// The columns of the answer to a statement that is being prepared, or what is wrong with it; empty if they are not
    /// known before it is carried out.
    async fn describe(&self, session: &Session, sql: &str) -> Result<Vec<Column>, SqlError>;

    /// Where the protocol enters who is logged in. Asked once.
    fn sessions(&self) -> Arc<Sessions>;

    /// Makes `database` the current one (`session.database`), or says why not. `USE` statements end up here too.
    async fn use_database(&self, session: &mut Session, database: &str) -> Result<(), SqlError>;
}

/// How much one client, or all of them, may ask of the endpoint.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The whole time from connecting to being logged in.
    pub login_time: Duration,
    /// The largest packet before login, in bytes. MySQL's clients send some 300, connection attributes included.
    pub login_packet_bytes: usize,
    /// How long a wrong password waits for its answer.
    pub failed_login_delay: Duration,
    /// Connections that have not logged in yet, in all. One more, and the oldest of the address that holds most of
    /// them is dropped, so that a flood leaves room for others.
    pub half_open: usize,
    /// The same per address (per /64 network with IPv6), where the oldest of that address is dropped.
    pub half_open_per_address: usize,
    /// Connections that are logged in; one more is told 1040 "Too many connections".
    pub sessions: usize,
    /// The largest packet after login, in bytes; 16 MiB less 2 bytes is the most that one packet can hold.
    pub packet_bytes: usize,
    /// The time that the rest of a packet may take once its first byte is there.
    pub packet_time: Duration,
    /// A logged-in connection is closed when no command comes for so long (MySQL's `wait_timeout`).
    pub idle_time: Duration,
    /// The time in which a client must take each 64 KiB of an answer.
    pub write_time: Duration,
    /// Prepared statements per connection.
    pub prepared_statements: usize,
    /// Their text per connection, in bytes.
    pub prepared_bytes: usize,
    /// How long a connection that is closed for an error waits until the client has read the error.
    pub linger_time: Duration,
    /// How long running statements may go on after the endpoint was told to stop.
    pub shutdown_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            login_time: Duration::from_secs(10),
            login_packet_bytes: 16 << 10,
            failed_login_delay: Duration::from_millis(500),
            half_open: 256,
            half_open_per_address: 64,
            sessions: 128,
            packet_bytes: (16 << 20) - 2,
            packet_time: Duration::from_secs(60),
            idle_time: Duration::from_secs(8 * 60 * 60),
            write_time: Duration::from_secs(60),
            prepared_statements: 256,
            prepared_bytes: 16 << 20,
            linger_time: Duration::from_secs(1),
            shutdown_time: Duration::from_secs(5),
        }
    }
}

/// Reads bytes as whatever a stranger may send: an answer to the greeting, in clear and behind TLS, and a command with its
/// text. For fuzzing: none of it may panic.
pub fn read_untrusted(bytes: &[u8]) {
    for (tls, encrypted) in [(false, false), (true, false), (true, true)] {
        // What comes of it does not matter here, nor what is wrong with it.
        drop(handshake::parse(
            bytes,
            handshake::Capabilities::offered(tls),
            encrypted,
        ));
    }
    use command::Command;
    match Command::parse(bytes) {
        Command::Query(text) | Command::Prepare(text) | Command::UseDatabase(text) => {
            drop(command::text(text).map(command::database_of_use));
        }
        Command::Execute(_, values) => {
            for count in [0, 1, 9] {
                drop(parameters::read(values, count, &mut Vec::new(), &BTreeMap::new()));
            }
        }
        _ => {}
    }
}
