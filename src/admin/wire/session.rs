//! The command phase: one command, one answer, until the client leaves.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::command::{self, Command};
use super::handshake::Capabilities;
use super::packet::{self, Place, ReadError, Stream};
use super::parameters::{self, Type};
use super::resultset::{self, Protocol};
use super::{Cell, Handler, Limits, Reply, Session, SqlError};
use crate::admin::grammar::text;
use crate::admin::sessions::{Seat, count};

/// Packets number from 0 again with each command; the first one of an answer is 1.
const FIRST: u8 = Place::ONLY.sequence;

/// A logged-in client.
pub(super) struct Client<'a> {
    pub(super) stream: Box<dyn Stream>,
    pub(super) capabilities: Capabilities,
    pub(super) session: Session,
    pub(super) handler: &'a dyn Handler,
    pub(super) limits: &'a Limits,
    pub(super) prepared: Prepared,
    pub(super) seat: Seat,
    /// Whether a packet may hold several statements.
    pub(super) multi_statements: bool,
}

/// What comes of a command.
enum Answer {
    Packets(Vec<u8>),
    /// The protocol foresees no answer.
    Silence,
    Goodbye,
}

impl Client<'_> {
    /// Answers commands until the client leaves, is killed, is silent for too long or breaks the protocol, or `shutdown`.
    pub(super) async fn converse(mut self, shutdown: &CancellationToken) -> Result<(), ReadError> {
        let killed = self.seat.killed.clone();
        loop {
            let packet = tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(()),
                () = killed.cancelled() => return Ok(()),
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
            count(&self.seat.counters().bytes_received, packet.len() + 4);
            match self.perform(Command::parse(&packet)).await? {
                Answer::Packets(packets) => {
                    drop(packet);
                    self.send(&packets).await?;
                }
                Answer::Silence => {}
                Answer::Goodbye => return Ok(()),
            }
            self.seat.ends(self.session.database.as_deref());
        }
    }

    async fn send(&mut self, packets: &[u8]) -> Result<(), ReadError> {
        count(&self.seat.counters().bytes_sent, packets.len());
        Ok(packet::write(&mut self.stream, packets, self.limits.write_time).await?)
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

    async fn perform(&mut self, command: Command<'_>) -> Result<Answer, ReadError> {
        let result = match command {
            Command::Quit => return Ok(Answer::Goodbye),
            Command::SendLongData(id, parameter, piece) => {
                self.prepared.add_piece(id, parameter, piece, self.limits);
                return Ok(Answer::Silence);
            }
            Command::CloseStatement(id) => {
                self.prepared.close(id);
                return Ok(Answer::Silence);
            }
            Command::Ping => Ok(done()),
            Command::ResetConnection => {
                self.prepared.clear();
                Ok(done())
            }
            Command::ListFields(table) => self.list_fields(table).await,
            Command::SetOption { multi_statements } => {
                self.multi_statements = multi_statements;
                Ok(packet::end_of_list(self.capabilities, FIRST))
            }
            Command::UseDatabase(name) => match command::text(name) {
                Ok(name) => self.use_database(name).await.map(|()| done()),
                Err(error) => Err(error),
            },
            Command::Query(sql) => match command::text(sql) {
                Ok(sql) => return self.query(sql).await.map(Answer::Packets),
                Err(error) => Err(error),
            },
            Command::Prepare(sql) => match command::text(sql) {
                Ok(sql) => self.prepare(sql).await,
                Err(error) => Err(error),
            },
            Command::Execute(id, packet) => match self.prepared.bind(id, packet) {
                Ok((sql, values)) => {
                    self.begins("Execute", &sql);
                    let answer = self.execute(&sql, Some(&values), Place::ONLY).await;
                    answer.map(|(packets, _)| packets)
                }
                Err(error) => Err(error),
            },
            Command::ResetStatement(id) => self.prepared.reset(id).map(|()| done()),
            Command::Statistics => Ok(packet::frame(self.seat.statistics().as_bytes(), FIRST)),
            Command::ProcessInfo => return self.query("SHOW PROCESSLIST").await.map(Answer::Packets),
            Command::ProcessKill(id) => return self.query(&format!("KILL {id}")).await.map(Answer::Packets),
            Command::ChangeUser => Err(SqlError::new(
                1047,
                "08S01",
                "Unknown command: a connection keeps its account; open another connection for another account",
            )),
            Command::Unknown => Err(SqlError::new(1047, "08S01", "Unknown command")),
        };
        Ok(Answer::Packets(
            result.unwrap_or_else(|error| packet::err(&error, FIRST)),
        ))
    }

    fn begins(&self, command: &'static str, sql: &str) {
        count(&self.seat.counters().questions, 1);
        self.seat.begins(command, sql, self.session.database.as_deref());
    }

    /// Carries out the statements of a packet up to the first that fails; each has an answer of its own.
    async fn query(&mut self, sql: &str) -> Result<Vec<u8>, ReadError> {
        let statements = match self.multi_statements {
            true => text::statements(sql),
            false => vec![sql],
        };
        let mut sequence = FIRST;
        for (number, statement) in statements.iter().enumerate() {
            // One statement is read as it came, so that errors say where in it they are.
            let statement = if statements.len() == 1 { sql } else { statement };
            let more = number + 1 < statements.len();
            if self.seat.killed.is_cancelled() {
                let error = SqlError::new(1317, "70100", "Query execution was interrupted");
                return Ok(packet::err(&error, sequence));
            }
            self.begins("Query", statement);
            match self.execute(statement, None, Place { sequence, more }).await {
                Ok((packets, _)) if !more => return Ok(packets),
                Ok((packets, next)) => {
                    self.send(&packets).await?;
                    sequence = next;
                }
                Err(error) => return Ok(packet::err(&error, sequence)),
            }
        }
        Ok(Vec::new())
    }

    /// One statement's answer, and the number of the packet behind it. With values it is a prepared one.
    async fn execute(&mut self, sql: &str, values: Option<&[Cell]>, place: Place) -> Result<(Vec<u8>, u8), SqlError> {
        let next = place.sequence.wrapping_add(1);
        if let Some(database) = command::database_of_use(sql) {
            self.use_database(&database).await?;
            return Ok((packet::ok_at(0, 0, "", place), next));
        }
        let (reply, protocol) = match values {
            None => (
                surviving(self.handler.execute(&mut self.session, sql)).await?,
                Protocol::Text,
            ),
            Some(values) => {
                let reply = self.handler.execute_prepared(&mut self.session, sql, values);
                (surviving(reply).await?, Protocol::Binary)
            }
        };
        match reply {
            Reply::Ok {
                affected,
                warnings,
                info,
            } => Ok((packet::ok_at(affected, warnings, &info, place), next)),
            Reply::Rows { columns, rows } => {
                surviving(resultset::encode(columns, rows, protocol, self.capabilities, place)).await
            }
        }
    }

    async fn prepare(&mut self, sql: &str) -> Result<Vec<u8>, SqlError> {
        self.begins("Prepare", sql);
        count(&self.seat.counters().prepared, 1);
        let columns = match command::database_of_use(sql) {
            Some(_) => Vec::new(),
            None => surviving(self.handler.describe(&self.session, sql)).await?,
        };
        let (id, parameters) = self.prepared.add(sql, self.limits)?;
        let columns = resultset::definitions(&columns);
        Ok(packet::prepared(id, parameters, &columns, self.capabilities))
    }

    /// The columns of a table, each with its default value, which is NULL.
    async fn list_fields(&mut self, packet: &[u8]) -> Result<Vec<u8>, SqlError> {
        let table = packet.split(|byte| *byte == 0).next().unwrap_or_default();
        let quoted = command::text(table)?.replace('`', "``");
        let sql = format!("SELECT * FROM `{quoted}`");
        let columns = surviving(self.handler.describe(&self.session, &sql)).await?;
        let mut packets = Vec::new();
        let mut sequence = FIRST;
        for mut definition in resultset::definitions(&columns) {
            definition.push(0xfb);
            packets.extend(packet::frame(&definition, sequence));
            sequence = sequence.wrapping_add(1);
        }
        packets.extend(packet::end_of_list(self.capabilities, sequence));
        Ok(packets)
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

/// The prepared statements of a connection.
#[derive(Default)]
pub(super) struct Prepared {
    statements: BTreeMap<u32, Statement>,
    /// Of their texts and of pieces of parameters.
    bytes: usize,
    last_id: u32,
}

struct Statement {
    sql: String,
    parameters: u16,
    /// The types that came with the last execution.
    types: Vec<Type>,
    /// What was sent of parameters ahead of the execution.
    long: BTreeMap<u16, Vec<u8>>,
    /// More was sent than is taken.
    too_long: bool,
}

impl Statement {
    fn bytes(&self) -> usize {
        self.sql.len() + self.long.values().map(Vec::len).sum::<usize>()
    }
}

impl Prepared {
    /// Its number, and how many parameters it has.
    fn add(&mut self, sql: &str, limits: &Limits) -> Result<(u32, u16), SqlError> {
        let parameters = u16::try_from(text::parameters(sql))
            .map_err(|_| SqlError::new(1390, "HY000", "Prepared statement contains too many placeholders"))?;
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
        let statement = Statement {
            sql: sql.to_owned(),
            parameters,
            types: Vec::new(),
            long: BTreeMap::new(),
            too_long: false,
        };
        self.statements.insert(self.last_id, statement);
        Ok((self.last_id, parameters))
    }

    fn statement(&mut self, id: u32) -> Result<&mut Statement, SqlError> {
        self.statements.get_mut(&id).ok_or_else(|| {
            let message = format!("Unknown prepared statement handler ({id}) given to EXECUTE");
            SqlError::new(1243, "HY000", message)
        })
    }

    /// The statement and its values, from an execution's packet behind the number.
    fn bind(&mut self, id: u32, packet: &[u8]) -> Result<(String, Vec<Cell>), SqlError> {
        let statement = self.statement(id)?;
        if statement.too_long {
            let message = "A parameter that was sent in pieces is longer than Causeway takes";
            return Err(SqlError::new(1105, "HY000", message));
        }
        let count = usize::from(statement.parameters);
        let values = parameters::read(packet, count, &mut statement.types, &statement.long);
        let sql = statement.sql.clone();
        self.reset(id)?;
        Ok((sql, values?))
    }

    /// Keeps a piece of a parameter; there is no answer that could refuse it.
    fn add_piece(&mut self, id: u32, parameter: u16, piece: &[u8], limits: &Limits) {
        let fits = self.bytes.saturating_add(piece.len()) <= limits.prepared_bytes;
        if let Some(statement) = self.statements.get_mut(&id) {
            if !fits || parameter >= statement.parameters {
                statement.too_long = true;
                return;
            }
            statement.long.entry(parameter).or_default().extend(piece);
            self.bytes += piece.len();
        }
    }

    /// Forgets pieces of parameters.
    fn reset(&mut self, id: u32) -> Result<(), SqlError> {
        let statement = self.statement(id)?;
        let before = statement.bytes();
        statement.long.clear();
        statement.too_long = false;
        let after = statement.bytes();
        self.bytes -= before - after;
        Ok(())
    }

    fn close(&mut self, id: u32) {
        if let Some(statement) = self.statements.remove(&id) {
            self.bytes -= statement.bytes();
        }
    }

    fn clear(&mut self) {
        self.statements.clear();
        self.bytes = 0;
    }
}
