//! A connection to the destination and what it does with several statements in one packet.

use std::time::{Duration, Instant};

use mysql_async::{Conn, prelude::Queryable};

use crate::failure::Failure;

/// A connection whose statements belong to one link.
#[derive(Debug)]
pub struct Session {
    conn: Conn,
    /// Longest packet the server takes, in bytes.
    max_allowed_packet: usize,
    /// The way to the server and back, as the quickest answer shows it.
    round_trip: Duration,
}

/// What the statements of one packet reported.
#[derive(Debug)]
pub struct Outcome {
    /// Matched or inserted rows, one number per statement that ran.
    pub rows: Vec<u64>,
    /// The error that stopped the statement after those.
    pub error: Option<mysql_async::Error>,
    /// From the last answer but one to the last: the server answers each statement at once.
    pub last: Duration,
}

/// The longest packet that a server takes, in bytes.
///
/// # Errors
/// [`Failure`] if the server does not answer.
pub async fn max_allowed_packet(conn: &mut Conn) -> Result<usize, Failure> {
    let max: Option<usize> = conn
        .query_first("SELECT @@max_allowed_packet")
        .await
        .map_err(|error| Failure::mysql("reading max_allowed_packet", &error))?;
    Ok(max.unwrap_or(1 << 22))
}

impl Session {
    /// Takes over a connection made by [`crate::connect::open`].
    ///
    /// # Errors
    /// If the server does not answer.
    pub async fn new(mut conn: Conn) -> Result<Self, Failure> {
        let began = Instant::now();
        let max_allowed_packet = max_allowed_packet(&mut conn).await?;
        Ok(Self {
            conn,
            max_allowed_packet,
            round_trip: began.elapsed(),
        })
    }

    /// As [`Session::new`], for transactions alone: autocommit is off, so the first statement begins one, and COMMIT or
    /// ROLLBACK ends it. For appliers; what runs DDL sets autocommit again.
    ///
    /// # Errors
    /// If the server does not answer.
    pub async fn transactional(conn: Conn) -> Result<Self, Failure> {
        let mut session = Self::new(conn).await?;
        session
            .run("SET SESSION autocommit = 0")
            .await
            .map_err(|error| Failure::mysql("setting up an applier's session", &error))?;
        Ok(session)
    }

    /// The connection itself.
    pub fn conn(&mut self) -> &mut Conn {
        &mut self.conn
    }

    /// Longest packet the server takes, in bytes.
    pub fn max_allowed_packet(&self) -> usize {
        self.max_allowed_packet
    }

    /// The way to the server and back.
    pub fn round_trip(&self) -> Duration {
        self.round_trip
    }

    /// Runs one statement without result rows.
    ///
    /// # Errors
    /// What the server answered, as it is: callers tell errors apart by code.
    pub async fn run(&mut self, statement: impl Into<Vec<u8>>) -> Result<u64, mysql_async::Error> {
        let result = self.conn.query_iter(statement.into()).await?;
        let rows = result.affected_rows();
        result.drop_result().await?;
        Ok(rows)
    }

    /// Runs several statements, joined by `;`, none of which returns rows. The first error ends it.
    pub async fn run_all(&mut self, statements: &[u8]) -> Outcome {
        let began = Instant::now();
        let mut outcome = Outcome {
            rows: Vec::new(),
            error: None,
            last: Duration::ZERO,
        };
        let mut result = match self.conn.query_iter(statements).await {
            Ok(result) => result,
            Err(error) => {
                outcome.error = Some(error);
                return outcome;
            }
        };
        let mut answered = Instant::now();
        self.round_trip = self.round_trip.min(answered - began);
        outcome.rows.push(result.affected_rows());
        while !result.is_empty() {
            // Statements without rows have one empty result set each: this goes on to the next.
            if let Err(error) = result.next().await {
                outcome.error = Some(error);
                return outcome;
            }
            outcome.last = answered.elapsed();
            answered = Instant::now();
            outcome.rows.push(result.affected_rows());
        }
        if let Err(error) = result.drop_result().await {
            // The error of any but the first statement is told only now; the last count was none of its.
            outcome.rows.pop();
            outcome.error = Some(error);
        }
        outcome
    }
}

/// A unique key is taken.
pub(super) fn is_duplicate(error: &mysql_async::Error) -> bool {
    matches!(error, mysql_async::Error::Server(error) if matches!(error.code, 1022 | 1062 | 1586 | 1859))
}

/// A deadlock or lock wait: the transaction may be tried again at once.
pub(super) fn is_lock_failure(error: &mysql_async::Error) -> bool {
    matches!(error, mysql_async::Error::Server(error) if matches!(error.code, 1205 | 1213 | 1614 | 3101))
}

/// Of a statement that speaks of a savepoint: the transaction in which that was set has ended. (The code says of routines, too,
/// that they are not there.)
pub(super) fn is_unknown_savepoint(error: &mysql_async::Error) -> bool {
    matches!(error, mysql_async::Error::Server(error) if error.code == 1305)
}
