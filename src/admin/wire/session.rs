//! The command phase: one command, one answer, until the client leaves.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::command::{self, Command};
use super::handshake::Capabilities;
use super::packet::{self, ReadError, Stream};
use super::resultset::{self, Protocol};
use super::{Handler, Limits, Reply, Session, SqlError};

/// Packets number from 0 again with each command; the first one of an answer is 1.
const FIRST: u8 = 1;

/// A logged-in client.
pub(super) struct Client<'a> {
    pub(super) stream: Box<dyn Stream>,
    pub(super) capabilities: Capabilities,
    pub(super) session: Session,
    pub(super) handler: &'a dyn Handler,
    pub(super) limits: &'a Limits,
    pub(super) prepared: Prepared,
}

/// What comes of a command.
enum Answer {
    Packets(Vec<u8>),
    /// The protocol foresees no answer.
    Silence,
    Goodbye,
}

impl Client<'_> {
    /// Answers commands until the client leaves, is silent for too long or breaks the protocol, or `shutdown`.
    pub(super) async fn converse(mut self, shutdown: &CancellationToken) -> Result<(), ReadError> {
        loop {
            let packet = tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(()),
                packet = self.receive() => packet,
            };
            let packet = match packet {
                Ok(Some(packet)) => packet,
                Ok(None) => return Ok(()),
                Err(error) => {
                    if let Some(answer) = error.answer() {
                        packet::farewell(&mut self.stream, &answer, FIRST, self.limits.linger_time).await;
                    }
                    return Err(error);
                }
            };
            match self.perform(Command::parse(&packet)).await {
                Answer::Packets(packets) => {
                    drop(packet);
                    packet::write(&mut self.stream, &packets, self.limits.write_time).await?;
                }
                Answer::Silence => {}
                Answer::Goodbye => return Ok(()),
            }
        }
    }

    /// The next command's packet; `None` when the client closed the connection or was idle for too long.
    async fn receive(&mut self) -> Result<Option<Vec<u8>>, ReadError> {
        let header = packet::read_header(&mut self.stream, 0, self.limits.packet_bytes);
        let Ok(header) = timeout(self.limits.idle_time, header).await else {
            return Ok(None);
        };
        let Some(bytes) = header? else {
            return Ok(None);
        };
        let body = packet::read_body(&mut self.stream, bytes);
        match timeout(self.limits.packet_time, body).await {
            Ok(body) => body.map(Some),
            Err(_) => Err(ReadError::TooSlow),
        }
    }

    async fn perform(&mut self, command: Command<'_>) -> Answer {
        let result = match command {
            Command::Quit => return Answer::Goodbye,
            Command::SendLongData => return Answer::Silence,
            Command::CloseStatement(id) => {
                self.prepared.close(id);
                return Answer::Silence;
            }
            Command::Ping => Ok(done()),
            Command::ResetConnection => {
                self.prepared.clear();
                Ok(done())
            }
            Command::ListFields | Command::SetOption => Ok(packet::end_of_list(self.capabilities, FIRST)),
            Command::UseDatabase(name) => match command::text(name) {
                Ok(name) => self.use_database(name).await.map(|()| done()),
                Err(error) => Err(error),
            },
            Command::Query(sql) => match command::text(sql) {
                Ok(sql) => self.execute(sql, Protocol::Text).await,
                Err(error) => Err(error),
            },
            Command::Prepare(sql) => command::text(sql).and_then(|sql| self.prepared.add(sql, self.limits)),
            Command::Execute(id) => match self.prepared.get(id) {
                Ok(sql) => self.execute(&sql, Protocol::Binary).await,
                Err(error) => Err(error),
            },
            Command::ResetStatement(id) => self.prepared.get(id).map(|_| done()),
            Command::Unknown => Err(SqlError::new(1047, "08S01", "Unknown command")),
        };
        Answer::Packets(result.unwrap_or_else(|error| packet::err(&error, FIRST)))
    }

    async fn execute(&mut self, sql: &str, protocol: Protocol) -> Result<Vec<u8>, SqlError> {
        if let Some(database) = command::database_of_use(sql) {
            self.use_database(&database).await?;
            return Ok(done());
        }
        match surviving(self.handler.execute(&mut self.session, sql)).await? {
            Reply::Ok {
                affected,
                warnings,
                info,
            } => Ok(packet::ok(affected, warnings, &info, FIRST)),
            Reply::Rows { columns, rows } => {
                surviving(resultset::encode(columns, rows, protocol, self.capabilities)).await
            }
        }
    }

    /// Makes a database the current one.
    pub(super) async fn use_database(&mut self, name: &str) -> Result<(), SqlError> {
        surviving(self.handler.use_database(&mut self.session, name)).await
    }
}

/// The answer of something that may panic: then the statement fails, and the connection goes on.
async fn surviving<T>(work: impl Future<Output = Result<T, SqlError>>) -> Result<T, SqlError> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| {
        let message = "The statement met a defect in Causeway and was ended; the log of Causeway says where";
        Err(SqlError::new(1105, "HY000", message))
    })
}

fn done() -> Vec<u8> {
    packet::ok(0, 0, "", FIRST)
}

/// The prepared statements of a connection: their text, nothing more.
#[derive(Default)]
pub(super) struct Prepared {
    statements: BTreeMap<u32, String>,
    bytes: usize,
    last_id: u32,
}

impl Prepared {
    fn add(&mut self, sql: &str, limits: &Limits) -> Result<Vec<u8>, SqlError> {
        if command::has_parameters(sql) {
            let message = "This command is not supported in the prepared statement protocol yet: parameters (?); \
                           let the driver put the values into the statement (client-side preparation)";
            return Err(SqlError::new(1295, "HY000", message));
        }
        let bytes = self.bytes.saturating_add(sql.len());
        if self.statements.len() >= limits.prepared_statements || bytes > limits.prepared_bytes {
            let message = format!(
                "Can't create more than max_prepared_stmt_count statements (current value: {}, {} bytes); close some",
                limits.prepared_statements, limits.prepared_bytes
            );
            return Err(SqlError::new(1461, "42000", message));
        }
        self.bytes = bytes;
        self.last_id = self.last_id.wrapping_add(1);
        self.statements.insert(self.last_id, sql.to_owned());
        Ok(packet::prepared(self.last_id, FIRST))
    }

    fn get(&self, id: u32) -> Result<String, SqlError> {
        self.statements.get(&id).cloned().ok_or_else(|| {
            let message = format!("Unknown prepared statement handler ({id}) given to EXECUTE");
            SqlError::new(1243, "HY000", message)
        })
    }

    fn close(&mut self, id: u32) {
        if let Some(sql) = self.statements.remove(&id) {
            self.bytes -= sql.len();
        }
    }

    fn clear(&mut self) {
        self.statements.clear();
        self.bytes = 0;
    }
}
