//! Makes whole transactions of binlog events.
//!
//! What does not go to the destination is dropped as early as the binlog allows: a whole transaction once its head
//! says that it has been there, a table's rows once their table map says that the table is not selected. Nothing of
//! either is decoded. A transaction larger than [`Limits::whole_bytes`] is passed on in parts as it is read.

use std::{collections::HashMap, sync::Arc};

use crate::{
    binlog::{
        BinlogError,
        event::{Event, XaPrepare},
        gtid_event::GtidEvent,
        query::{Query, QueryStatus},
        rows::{self, RowsEvent, RowsKind},
    },
    ddl::{self, Kind, StatementContext, XaVerb},
    model::{
        change::{Change, Images, Site, Target, Transaction, TransactionHeader},
        gtid::Gtid,
        name::{OWN_DATABASE, TableName},
        row::Row,
        table_map::TableMap,
        value::Value,
    },
};

use super::{
    objects::Objects,
    path::{self, Origin},
    voids::Voids,
    xa::{Held, Prepared},
};

/// The table that the loop filter reads, see [`super::path`].
pub const CHECKPOINT_TABLE: &str = "checkpoint";

/// The table that says which statement is about to be run.
pub const INTENT_TABLE: &str = "ddl";

/// Places of the columns `task`, `number`, `statement` and `state` in `causeway.ddl`.
pub const INTENT_COLUMNS: [usize; 4] = [0, 2, 4, 6];

/// What `state` in `causeway.ddl` says of a statement that has not been run yet.
pub const INTENDED: &str = "intended";

/// Places of the columns `task`, `path` and `ddl` in `causeway.checkpoint`.
pub const CHECKPOINT_COLUMNS: [usize; 3] = [0, 5, 6];

/// Sizes at which a transaction is no longer kept whole.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Up to this many bytes ([`Change::bytes`]) a transaction is passed on whole.
    pub whole_bytes: usize,
    /// The parts of a larger one have about this many.
    pub part_bytes: usize,
}

/// What a link does next.
#[derive(Debug)]
pub enum Output {
    /// A whole transaction, with at least one change.
    Transaction(Transaction),
    /// A transaction too large to be kept whole begins …
    Open(TransactionHeader),
    /// … has these changes …
    Part(Vec<Change>, usize),
    /// … and ends with these.
    Close(Vec<Change>, usize),
    /// A statement: a DDL, or something else that commits by itself.
    Statement(Box<Statement>),
    /// An XA transaction is prepared: it has done nothing yet.
    Prepared(Gtid),
    /// A transaction that does not go to the destination.
    Skipped {
        /// Its GTID.
        gtid: Gtid,
        /// As in [`TransactionHeader::prepared`].
        prepared: Option<Gtid>,
        /// When it was committed, as in [`TransactionHeader::commit_us`].
        commit_us: u64,
        /// It held nothing but Causeway's own rows.
        bookkeeping: bool,
        /// It says which statement this task will run next on this server (`true`), or that it has (`false`).
        intent: Option<bool>,
    },
}

/// A statement as it stands in the binlog.
#[derive(Debug, Clone)]
pub struct Statement {
    /// The transaction it is; the path says where it has been.
    pub header: TransactionHeader,
    /// The default database it ran in; empty if none.
    pub database: String,
    /// Its text.
    pub text: String,
    /// Its text in the character set of the client that sent it ([`QueryStatus::charset_client`]), if `text`, which was
    /// read as UTF-8, may not be it.
    pub raw: Option<bytes::Bytes>,
    /// It stands inside of a transaction, whose rows come behind it and under the same GTID.
    pub within: bool,
    /// The session it ran in.
    pub status: QueryStatus,
}

/// Why a transaction can't be made.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// Bytes that make no sense.
    #[error(transparent)]
    Binlog(#[from] BinlogError),
    /// Events in an order that makes no sense.
    #[error("unexpected {event} at {position}: {reason}")]
    Order {
        /// Which event.
        event: &'static str,
        /// Where.
        position: String,
        /// Why it is unexpected, and what to do.
        reason: String,
    },
    /// Something that is not carried yet, and must not be skipped.
    #[error("{what} at {position}: {remedy}")]
    Unsupported {
        /// What it is.
        what: String,
        /// Where.
        position: String,
        /// What the operator can do.
        remedy: String,
    },
}

#[derive(Debug, Clone)]
enum Table {
    /// With the table map that is in force: its number changes while its columns, and so the target, stay.
    Selected(Arc<Target>, Arc<TableMap>),
    Checkpoint(Arc<TableMap>),
    Intent(Arc<TableMap>),
    Own,
    NotSelected,
}

#[derive(Debug)]
struct Current {
    gtid: Gtid,
    commit_us: u64,
    origin: Origin,
    /// The path to write at the destination; `None`: does not go there.
    onward: Option<Vec<Site>>,
    /// It comes from the destination, where this was the last statement of this task that it had run.
    returning: Option<u64>,
    /// Rows of tables that are not Causeway's own were seen.
    foreign_rows: bool,
    first_rows: bool,
    began: bool,
    /// It is an XA transaction.
    xa: bool,
    /// As in [`TransactionHeader::prepared`].
    prepared: Option<Gtid>,
    open: bool,
    intent: Option<bool>,
    changes: Vec<Change>,
    bytes: usize,
    ordinal: u32,
}

/// Reads a source's events in order.
#[derive(Debug)]
pub struct Assembler {
    objects: Objects,
    task: String,
    here: Site,
    there: Site,
    limits: Limits,
    /// Whether changes that have been at the destination may have to go there again, see [`Voids`].
    brings_back: bool,
    tables: HashMap<u64, Table>,
    /// Destinations of the tables that were met so far: there may be thousands of rules to ask.
    mapped: HashMap<TableName, Option<TableName>>,
    /// Binlog file that is being read, for messages.
    file: String,
    position: u64,
    current: Option<Current>,
    prepared: Prepared,
    /// The statement that Causeway last said it would run here.
    intended: Option<Intended>,
    /// Number of the last statement of this task that has been run here, up to where the binlog is read.
    ddl: u64,
    voids: Voids,
}

impl Assembler {
    /// For a link of `task` (as checkpoints name it) from site `here` to site `there`.
    pub fn new(objects: Objects, task: String, here: Site, there: Site, brings_back: bool, limits: Limits) -> Self {
        Self {
            objects,
            task,
            here,
            there,
            limits,
            brings_back,
            tables: HashMap::new(),
            mapped: HashMap::new(),
            file: String::new(),
            position: 0,
            current: None,
            prepared: Prepared::default(),
            intended: None,
            ddl: 0,
            voids: Voids::default(),
        }
    }

    /// Number of the last statement of this task that the source has run as the other link's destination, up to where
    /// the binlog is read.
    pub fn ddl(&self) -> u64 {
        self.ddl
    }

    /// The source has run statement `number` of this task.
    pub fn passed(&mut self, number: u64) {
        self.ddl = self.ddl.max(number);
    }

    /// Statement `number` of this link replaces or removes the rows of these tables of the source at the destination:
    /// what the destination's clients changed in them before, and the source has not seen yet, comes back from there.
    pub fn void(&mut self, tables: &[TableName], number: u64) {
        self.voids.add(tables, number);
    }

    /// `file:position` of the last event, for messages.
    pub fn position(&self) -> String {
        format!("{}:{}", self.file, self.position)
    }

    /// The transaction that is being read.
    pub fn gtid(&self) -> Option<&Gtid> {
        self.current.as_ref().map(|current| &current.gtid)
    }

    /// Whether it is an XA transaction: its changes take effect with `XA COMMIT`, which may be another transaction.
    pub fn in_xa(&self) -> bool {
        self.current.as_ref().is_some_and(|current| current.xa)
    }

    /// Whether a transaction has begun and not ended.
    pub fn in_transaction(&self) -> bool {
        self.current.is_some()
    }

    /// The statement that Causeway last said it would run on this server (a row in `causeway.ddl`): when it comes, it
    /// is an echo.
    pub fn intended(&self) -> Option<&Intended> {
        self.intended.as_ref()
    }

    /// The objects of this link.
    pub fn objects(&self) -> &Objects {
        &self.objects
    }

    /// The source has opened another binlog file.
    pub fn rotate(&mut self, file: &str, position: u64) {
        file.clone_into(&mut self.file);
        self.position = position;
        // Table numbers hold until the next file.
        self.tables.clear();
    }

    /// The destination table that rows of `map` go to, if they do and it matters now: the caller then has to answer
    /// with [`Assembler::bind`]; otherwise it calls [`Assembler::ignore`].
    pub fn wants(&mut self, map: &TableMap) -> Option<TableName> {
        let current = self.current.as_ref()?;
        current.onward.as_ref()?;
        if let Some(ddl) = current.returning
            && !self.comes_back(&map.name, ddl)
        {
            return None;
        }
        if let Some(known) = self.mapped.get(&map.name) {
            return known.clone();
        }
        let mapped = self.objects.map(&map.name);
        self.mapped.insert(map.name.clone(), mapped.clone());
        mapped
    }

    /// Whether rows of this table go to the destination although their transaction has been there, where `ddl` was the
    /// last statement of this task that it had run.
    fn comes_back(&self, table: &TableName, ddl: u64) -> bool {
        self.objects.is_shadow(table) || self.voids.since(table, ddl)
    }

    /// Whether rows of the table go back to the destination, where their transaction has been, only because the table may
    /// be a shadow.
    pub fn returns_as_shadow(&self, table: &TableName) -> bool {
        let returning = self.current.as_ref().and_then(|current| current.returning);
        returning.is_some_and(|ddl| !self.voids.since(table, ddl))
    }

    /// Rows of this table go to `target`, which was made for a table map with the same columns.
    pub fn bind(&mut self, map: &Arc<TableMap>, target: Arc<Target>) {
        self.tables.insert(map.table_id, Table::Selected(target, map.clone()));
    }

    /// Rows of this table go nowhere, or are Causeway's own.
    pub fn ignore(&mut self, map: &Arc<TableMap>) {
        let table = if map.name.database != OWN_DATABASE {
            Table::NotSelected
        } else if map.name.table == CHECKPOINT_TABLE {
            Table::Checkpoint(map.clone())
        } else if map.name.table == INTENT_TABLE {
            Table::Intent(map.clone())
        } else {
            Table::Own
        };
        self.tables.insert(map.table_id, table);
    }

    /// Takes the next event. TABLE_MAP, ROTATE and TRANSACTION_PAYLOAD are the caller's: see [`Assembler::wants`].
    ///
    /// # Errors
    /// [`AssembleError`]; the link must stop then, nothing may be skipped.
    pub fn push(&mut self, event: Event, end_position: u64) -> Result<Option<Output>, AssembleError> {
        if end_position > 0 {
            self.position = end_position;
        }
        match event {
            Event::Gtid(event) => self.begin(&event).map(|()| None),
            Event::Query(query) => self.query(query),
            Event::Rows(event) => self.rows(&event),
            Event::Xid { .. } => self.commit("XID event").map(Some),
            Event::PartialUpdateRows(event) => match self.tables.get(&event.table_id) {
                Some(Table::Selected(target, _)) => Err(AssembleError::Unsupported {
                    what: format!("partial JSON update of {}", target.source),
                    position: self.position(),
                    remedy:
                        "not carried yet; SET GLOBAL binlog_row_value_options='' at the source, and take the table out of \
                             the task (ALTER SYNC TASK … REMOVE OBJECTS), RESUME, drop it at the destination, and ADD \
                             OBJECTS it again"
                            .into(),
                }),
                _ => Ok(None),
            },
            Event::XaPrepare(event) if event.one_phase => self.commit("XA_PREPARE event").map(Some),
            Event::XaPrepare(event) => self.prepare(&event).map(Some),
            // Companions of a statement-based change: what they mean stands in the QUERY event that follows.
            Event::Statement(_) => Ok(None),
            Event::Incident { .. } => Err(AssembleError::Unsupported {
                what: "INCIDENT event".into(),
                position: self.position(),
                remedy: "the source has lost changes from its binlog; drop the task and create it anew, with full sync"
                    .into(),
            }),
            Event::Unknown(kind) => Err(AssembleError::Unsupported {
                what: format!("binlog event of unknown type {kind:?}"),
                position: self.position(),
                remedy: "it may carry changes, so it can't be skipped; use a version of Causeway that knows it".into(),
            }),
            Event::FormatDescription(_)
            | Event::Rotate { .. }
            | Event::TableMap(_)
            | Event::TransactionPayload(_)
            | Event::Heartbeat { .. }
            | Event::PreviousGtids(_)
            | Event::RowsQuery(_)
            | Event::Stop
            | Event::Ignorable => Ok(None),
        }
    }

    fn order(&self, event: &'static str, reason: &str) -> AssembleError {
        AssembleError::Order {
            event,
            position: self.position(),
            reason: reason.to_owned(),
        }
    }

    fn begin(&mut self, event: &GtidEvent) -> Result<(), AssembleError> {
        if self.current.is_some() {
            return Err(self.order("GTID event", "the transaction before it has no end"));
        }
        if event.is_anonymous {
            return Err(AssembleError::Unsupported {
                what: "transaction without a GTID".into(),
                position: self.position(),
                remedy: "the task follows the source by GTID, as its gtid_mode was ON when the task was started. Set it to ON \
                         again, drop the task and create it anew, with full sync"
                    .into(),
            });
        }
        let gtid = event.gtid.clone();
        let onward = path::onward(&Origin::Local, &self.here, &self.there);
        self.current = Some(Current {
            gtid,
            commit_us: event.immediate_commit_us,
            origin: Origin::Local,
            onward,
            returning: None,
            foreign_rows: false,
            first_rows: true,
            began: false,
            xa: false,
            prepared: None,
            open: false,
            intent: None,
            changes: Vec::new(),
            bytes: 0,
            ordinal: 0,
        });
        Ok(())
    }

    fn query(&mut self, query: Query) -> Result<Option<Output>, AssembleError> {
        let text = String::from_utf8_lossy(&query.text).into_owned();
        let verb = text
            .trim_start()
            .split(|c: char| !c.is_ascii_alphabetic())
            .next()
            .unwrap_or("")
            .to_ascii_uppercase();
        let Some(current) = &mut self.current else {
            return Err(self.order(
                "QUERY event",
                "no GTID event precedes it; set gtid_mode=ON at the source",
            ));
        };
        match (verb.as_str(), current.began) {
            ("BEGIN", false) => {
                current.began = true;
                Ok(None)
            }
            ("COMMIT", true) => self.commit("COMMIT").map(Some),
            ("SAVEPOINT" | "RELEASE", true) => Ok(None),
            ("ROLLBACK", true) if current.onward.is_some() && (current.open || !current.changes.is_empty()) => {
                Err(AssembleError::Unsupported {
                    what: "transaction that was rolled back after it changed tables without transactions".into(),
                    position: self.position(),
                    remedy: "what of it stayed can't be told from the binlog; use InnoDB for synchronized tables, and \
                             drop the task and create it anew, with full sync"
                        .into(),
                })
            }
            ("ROLLBACK", true) if text.trim().len() == "ROLLBACK".len() => self.commit("ROLLBACK").map(Some),
            ("ROLLBACK", true) => Ok(None),
            ("XA", false) => self.xa(&text, &query),
            // XA END; what decides is the XA_PREPARE event behind it.
            ("XA", true) => Ok(None),
            (_, began) => {
                // A DDL, or a statement-based change inside BEGIN … COMMIT, which the caller refuses if it touches
                // a selected table.
                let statement = Statement {
                    header: TransactionHeader {
                        gtid: current.gtid.clone(),
                        prepared: None,
                        commit_us: current.commit_us,
                        position: format!("{}:{}", self.file, self.position),
                        path: current.onward.clone().unwrap_or_default(),
                        ddl: self.ddl,
                        returning: false,
                    },
                    database: query.schema,
                    raw: (!text.is_ascii()).then_some(query.text),
                    within: began,
                    text,
                    status: query.status,
                };
                if !began {
                    self.current = None;
                }
                Ok(Some(Output::Statement(Box::new(statement))))
            }
        }
    }

    /// An XA statement that is not inside of a transaction: one begins, or it is decided on a prepared one.
    fn xa(&mut self, text: &str, query: &Query) -> Result<Option<Output>, AssembleError> {
        let context = StatementContext {
            default_database: None,
            sql_mode: query.status.sql_mode.unwrap_or(0),
            server_version: u32::MAX,
        };
        let statement = ddl::classify(text, &context).ok();
        let statement = statement.as_ref().and_then(|found| Some((&found.kind, found.xid()?)));
        let Some(current) = &mut self.current else {
            return Ok(None);
        };
        let (verb, held) = match statement {
            Some((Kind::Xa(XaVerb::Start), _)) => {
                (current.began, current.xa) = (true, true);
                return Ok(None);
            }
            Some((Kind::Xa(verb), xid)) => (*verb, self.prepared.take(xid)),
            _ => return Err(self.order("XA statement", "it is none that a server writes to its binlog")),
        };
        match (verb, held) {
            (XaVerb::Rollback, held) => current.prepared = held.map(|held| held.gtid),
            (XaVerb::Commit { .. }, Some(held)) => {
                current.prepared = Some(held.gtid);
                current.foreign_rows = true;
                (current.changes, current.bytes) = (held.changes, held.bytes);
            }
            (XaVerb::Commit { .. }, None) => {
                return Err(AssembleError::Unsupported {
                    what: "XA COMMIT of a transaction that was prepared before the task began".into(),
                    position: self.position(),
                    remedy: "its rows are in an earlier part of the binlog; drop the task and \
                         create it anew, with full sync, while \
                             no XA transaction is prepared (XA RECOVER lists them)"
                        .into(),
                });
            }
            _ => return Err(self.order("XA statement", "it stands outside of a transaction")),
        }
        self.commit("XA statement").map(Some)
    }

    /// The rows wait for XA COMMIT.
    fn prepare(&mut self, event: &XaPrepare) -> Result<Output, AssembleError> {
        let Some(current) = self.current.take() else {
            return Err(self.order("XA_PREPARE event", "no transaction has begun"));
        };
        let gtid = current.gtid.clone();
        self.prepared.hold(
            event,
            Held {
                gtid: current.gtid,
                changes: current.changes,
                bytes: current.bytes,
            },
        );
        Ok(Output::Prepared(gtid))
    }

    fn rows(&mut self, event: &RowsEvent) -> Result<Option<Output>, AssembleError> {
        let Some(current) = &mut self.current else {
            return Err(self.order(
                "rows event",
                "no GTID event precedes it; set gtid_mode=ON at the source",
            ));
        };
        let first_rows = std::mem::replace(&mut current.first_rows, false);
        let Some(table) = self.tables.get(&event.table_id) else {
            // The number that closes a statement without rows.
            if event.body.is_empty() {
                return Ok(None);
            }
            return Err(self.order("rows event", "no TABLE_MAP event precedes it"));
        };
        match table {
            Table::Checkpoint(map) if first_rows => {
                let head = read_head(event, map)?;
                current.origin = head.origin;
                current.onward = path::onward(&current.origin, &self.here, &self.there);
                if current.onward.is_none() && head.task == self.task && self.brings_back {
                    current.onward = path::back(&current.origin, &self.here);
                    current.returning = Some(head.ddl);
                }
                return Ok(None);
            }
            Table::Intent(map) => {
                match read_intent(event, map, &self.task)? {
                    Some(Intent::Begins(intended)) => {
                        current.intent = Some(true);
                        self.intended = Some(intended);
                    }
                    Some(Intent::Done(number)) => {
                        current.intent = Some(false);
                        self.intended = None;
                        self.ddl = self.ddl.max(number);
                    }
                    None => {}
                }
                return Ok(None);
            }
            Table::Checkpoint(_) | Table::Own => return Ok(None),
            Table::NotSelected => {
                current.foreign_rows = true;
                return Ok(None);
            }
            Table::Selected(..) => current.foreign_rows = true,
        }
        let Some(onward) = &current.onward else { return Ok(None) };
        let Table::Selected(target, map) = table else {
            return Ok(None);
        };
        for change in rows::split(event, map)? {
            let images = match (event.kind, change?) {
                (RowsKind::Write, (_, Some(after))) => Images::Insert(after),
                (RowsKind::Update, (Some(before), Some(after))) => Images::Update(before, after),
                (RowsKind::Delete, (Some(before), _)) => Images::Delete(before),
                _ => continue,
            };
            let change = Change {
                target: target.clone(),
                images,
                ordinal: current.ordinal,
                cascades: event.leaves_cascades_out(),
            };
            current.ordinal = current.ordinal.saturating_add(1);
            current.bytes += change.bytes();
            current.changes.push(change);
        }
        let limit = if current.open {
            self.limits.part_bytes
        } else {
            self.limits.whole_bytes
        };
        if current.xa && current.bytes.saturating_add(self.prepared.bytes()) > self.limits.whole_bytes {
            return Err(AssembleError::Unsupported {
                what: format!(
                    "XA transactions that are prepared and not committed, with more than {} MB of rows,",
                    self.limits.whole_bytes >> 20
                ),
                position: self.position(),
                remedy:
                    "they are kept in memory until they are committed; leave smaller ones open at a time, drop the \
                         task, and create it anew, with full sync"
                        .into(),
            });
        }
        if current.bytes <= limit {
            return Ok(None);
        }
        if current.open {
            let bytes = std::mem::take(&mut current.bytes);
            return Ok(Some(Output::Part(std::mem::take(&mut current.changes), bytes)));
        }
        current.open = true;
        Ok(Some(Output::Open(TransactionHeader {
            gtid: current.gtid.clone(),
            prepared: None,
            commit_us: current.commit_us,
            position: format!("{}:{}", self.file, self.position),
            path: onward.clone(),
            ddl: self.ddl,
            returning: current.returning.is_some(),
        })))
    }

    fn commit(&mut self, event: &'static str) -> Result<Output, AssembleError> {
        let Some(current) = self.current.take() else {
            return Err(self.order(event, "no transaction has begun"));
        };
        if current.open {
            return Ok(Output::Close(current.changes, current.bytes));
        }
        match current.onward {
            Some(path) if !current.changes.is_empty() => Ok(Output::Transaction(Transaction {
                header: TransactionHeader {
                    gtid: current.gtid,
                    prepared: current.prepared,
                    commit_us: current.commit_us,
                    position: self.position(),
                    path,
                    ddl: self.ddl,
                    returning: current.returning.is_some(),
                },
                changes: current.changes,
                bytes: current.bytes,
            })),
            _ => Ok(Output::Skipped {
                gtid: current.gtid,
                prepared: current.prepared,
                commit_us: current.commit_us,
                bookkeeping: !current.foreign_rows,
                intent: current.intent,
            }),
        }
    }
}

/// What the checkpoint row at the head of a transaction says.
struct Head {
    task: String,
    origin: Origin,
    ddl: u64,
}

fn read_head(event: &RowsEvent, map: &Arc<TableMap>) -> Result<Head, AssembleError> {
    let [task, path, ddl] = CHECKPOINT_COLUMNS;
    for change in rows::split(event, map)? {
        let (_, after) = change?;
        let Some(after) = after else { continue };
        if let Some(Value::Bytes(path)) = after.value(path)? {
            return Ok(Head {
                task: text(&after, task)?,
                origin: path::parse(&String::from_utf8_lossy(path)),
                ddl: number(&after, ddl)?,
            });
        }
    }
    // A checkpoint row that is deleted: a task was dropped.
    Ok(Head {
        task: String::new(),
        origin: Origin::Bookkeeping,
        ddl: 0,
    })
}

/// A statement that Causeway has said it will run on the server whose binlog is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intended {
    /// See [`HistoryEntry::number`](crate::model::history::HistoryEntry::number).
    pub number: u64,
    /// The statement.
    pub statement: String,
}

enum Intent {
    Begins(Intended),
    Done(u64),
}

/// What a rows event says of the statements of `task`. Rows that go are old history.
fn read_intent(event: &RowsEvent, map: &Arc<TableMap>, task: &str) -> Result<Option<Intent>, AssembleError> {
    let [task_column, number_column, statement, state] = INTENT_COLUMNS;
    let mut intent = None;
    for change in rows::split(event, map)? {
        let (_, Some(row)) = change? else { continue };
        if text(&row, task_column)? != task {
            continue;
        }
        let number = number(&row, number_column)?;
        intent = Some(if text(&row, state)? == INTENDED {
            Intent::Begins(Intended {
                number,
                statement: text(&row, statement)?,
            })
        } else {
            Intent::Done(number)
        });
    }
    Ok(intent)
}

fn text(row: &Row, column: usize) -> Result<String, BinlogError> {
    Ok(match row.value(column)? {
        Some(Value::Bytes(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
        _ => String::new(),
    })
}

/// BIGINT UNSIGNED; without its sign in the binlog (`binlog_row_metadata` before 8.0.1) it reads as signed.
fn number(row: &Row, column: usize) -> Result<u64, BinlogError> {
    Ok(match row.value(column)? {
        Some(Value::UInt(number)) => number,
        Some(Value::Int(number)) => u64::try_from(number).unwrap_or(0),
        _ => 0,
    })
}
