//! The front of the pipeline: reads the source's binlog and makes transactions of it.

use std::{collections::HashMap, sync::Arc, sync::atomic::Ordering};

use mysql_async::Conn;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::{
    apply::{checkpoint::Taken, worker::Part},
    binlog::event::Event,
    connect,
    failure::Failure,
    model::{
        change::{Mode, Target, Transaction, TransactionHeader},
        gtid::Gtid,
        name::TableName,
        status::Level,
        table_map::TableMap,
        task::Direction,
    },
    plan::{
        assemble::{Assembler, Limits, Output, Statement},
        bind::{Renamed, UnknownColumn, bind, column_names},
        copied::Meets,
    },
    schema,
    source::stream::EventStream,
};

use super::{
    initial::{self, version_number},
    link::Link,
    renames::Renames,
    statements::{self, Verdict},
};

/// Changes a link keeps in memory at a time, in KiB ([`crate::model::change::Change::bytes`]).
const MEMORY_KIB: u32 = 64 << 10;

/// When a transaction is passed on in parts.
const LIMITS: Limits = Limits {
    whole_bytes: 16 << 20,
    part_bytes: 2 << 20,
};

/// What the reader hands on.
#[derive(Debug)]
pub enum Item {
    /// A whole transaction.
    Transaction(Transaction, OwnedSemaphorePermit),
    /// One that comes in parts.
    Large(TransactionHeader, mpsc::Receiver<Part>),
    /// A statement; the reader goes on when it has been dealt with.
    Statement(Box<Statement>, Option<String>, oneshot::Sender<()>),
    /// An XA transaction is prepared, and waits for what becomes of it.
    Prepared(Gtid),
    /// Nothing to apply.
    Skipped {
        /// Its GTID.
        gtid: Gtid,
        /// As in [`TransactionHeader::prepared`].
        prepared: Option<Gtid>,
        /// When it was committed at the source.
        commit_us: u64,
        /// It held nothing but Causeway's own rows.
        bookkeeping: bool,
    },
    /// Says that this task will run a statement next at the source, or that it has; nothing to apply.
    Intent {
        /// Its GTID.
        gtid: Gtid,
        /// When it was committed at the source.
        commit_us: u64,
        /// It will.
        begins: bool,
    },
    /// The source has begun another binlog file.
    Rotated,
}

/// Reads until the link ends.
///
/// # Errors
/// [`Failure`] of the source, or of a definition that does not fit.
pub async fn run(link: Arc<Link>, taken: Taken, items: mpsc::Sender<Item>) -> Result<(), Failure> {
    let conn = connect::open_bare(&link.source).await?;
    let version = version_number(&conn.server_version());
    let mut stream = EventStream::open(conn, &link.identity, &taken.applied)
        .await
        .map_err(|failure| Failure {
            message: format!("server {}: {}", link.source.name, failure.message),
            ..failure
        })?;
    let assembler = Assembler::new(
        link.objects.clone(),
        link.key.task.clone(),
        link.here.clone(),
        link.there.clone(),
        LIMITS,
    );
    let mut reader = Reader {
        destination: connect::open(&link.destination).await?,
        source: None,
        version,
        targets: HashMap::new(),
        definitions: link.shared.definitions.load(Ordering::Acquire),
        assembler,
        memory: Arc::new(Semaphore::new(MEMORY_KIB as usize)),
        large: None,
        items,
        link,
    };
    loop {
        let (event, end) = stream.next().await?;
        if !reader.take(event, end).await? {
            return Ok(());
        }
    }
}

struct Reader {
    link: Arc<Link>,
    destination: Conn,
    /// Opened when a definition at the source is needed: the binlog carries no column names.
    source: Option<Conn>,
    /// The source's version.
    version: u32,
    /// `None`: the reverse direction's destination has no such table.
    targets: HashMap<TableName, (Arc<TableMap>, Option<Arc<Target>>)>,
    /// State of [`super::link::Shared::definitions`] at which `targets` were made.
    definitions: u64,
    assembler: Assembler,
    memory: Arc<Semaphore>,
    large: Option<mpsc::Sender<Part>>,
    items: mpsc::Sender<Item>,
}

impl Reader {
    /// `false`: nobody takes what is read any more.
    async fn take(&mut self, event: Event, end: u64) -> Result<bool, Failure> {
        match event {
            Event::TableMap(map) => {
                match self.assembler.wants(&map) {
                    Some(destination) => match self.meets(&map.name) {
                        Meets::Copied => self.assembler.ignore(&map),
                        Meets::Rows(mode) => match self.target(&map, &destination, mode).await? {
                            Some(target) => self.assembler.bind(&map, target),
                            None => self.assembler.ignore(&map),
                        },
                    },
                    None => self.assembler.ignore(&map),
                }
                Ok(true)
            }
            Event::Rotate { next_file, position } => {
                self.assembler.rotate(&next_file, position);
                Ok(self.items.send(Item::Rotated).await.is_ok())
            }
            event => {
                let xa = self.assembler.in_xa();
                let output = self
                    .assembler
                    .push(event, end)
                    .map_err(|error| Failure::data(error.to_string()))?;
                match output {
                    Some(Output::Transaction(mut transaction)) => {
                        if xa || transaction.header.prepared.is_some() {
                            self.meet_at_commit(&mut transaction);
                        }
                        self.hand_on(Output::Transaction(transaction)).await
                    }
                    Some(output) => self.hand_on(output).await,
                    None => Ok(true),
                }
            }
        }
    }

    /// How rows that are being read meet what this link has copied.
    fn meets(&self, table: &TableName) -> Meets {
        match self.assembler.gtid() {
            Some(gtid) if !self.assembler.in_xa() => self.link.copied.borrow().meets(table, gtid),
            _ => Meets::Rows(Mode::default()),
        }
    }

    /// As [`Reader::meets`], for an XA transaction: a copy shows it if it was committed by then.
    fn meet_at_commit(&self, transaction: &mut Transaction) {
        let (copied, gtid) = (self.link.copied.borrow(), &transaction.header.gtid);
        let mut others: Vec<Arc<Target>> = Vec::new();
        transaction
            .changes
            .retain_mut(|change| match copied.meets(&change.target.source, gtid) {
                Meets::Copied => false,
                Meets::Rows(mode) => {
                    if mode != change.target.mode {
                        let mut other = (*change.target).clone();
                        other.mode = mode;
                        // One for all changes of a table, so that they are folded together.
                        let known = others.iter().find(|known| ***known == other).cloned();
                        change.target = known.unwrap_or_else(|| {
                            others.push(Arc::new(other));
                            others.last().cloned().unwrap_or_else(|| change.target.clone())
                        });
                    }
                    true
                }
            });
    }

    async fn hand_on(&mut self, output: Output) -> Result<bool, Failure> {
        let item = match output {
            Output::Transaction(transaction) if transaction.changes.is_empty() => Item::Skipped {
                gtid: transaction.header.gtid,
                prepared: transaction.header.prepared,
                commit_us: transaction.header.commit_us,
                bookkeeping: false,
            },
            Output::Transaction(transaction) => {
                let permit = self.permit(transaction.bytes).await?;
                Item::Transaction(transaction, permit)
            }
            Output::Open(header) => {
                let (send, receive) = mpsc::channel(2);
                self.large = Some(send);
                Item::Large(header, receive)
            }
            Output::Part(changes, bytes) => return self.part(changes, bytes, false).await,
            Output::Close(changes, bytes) => {
                let sent = self.part(changes, bytes, true).await;
                self.large = None;
                return sent;
            }
            // Within a transaction whose parts are being applied: nothing else can be dealt with before its end.
            Output::Statement(statement) if self.large.is_some() => return self.within_large(&statement),
            Output::Statement(statement) => {
                let (done, wait) = oneshot::channel();
                let echo = self.assembler.intended_statement().map(str::to_owned);
                if self.items.send(Item::Statement(statement, echo, done)).await.is_err() {
                    return Ok(false);
                }
                // Definitions may be others afterwards, so nothing behind it is planned before.
                let dealt_with = wait.await.is_ok();
                self.targets.clear();
                return Ok(dealt_with);
            }
            Output::Prepared(gtid) => Item::Prepared(gtid),
            Output::Skipped {
                gtid,
                commit_us,
                intent: Some(begins),
                ..
            } => Item::Intent {
                gtid,
                commit_us,
                begins,
            },
            Output::Skipped {
                gtid,
                prepared,
                commit_us,
                bookkeeping,
                intent: None,
            } => Item::Skipped {
                gtid,
                prepared,
                commit_us,
                bookkeeping,
            },
        };
        Ok(self.items.send(item).await.is_ok())
    }

    async fn part(
        &mut self,
        changes: Vec<crate::model::change::Change>,
        bytes: usize,
        last: bool,
    ) -> Result<bool, Failure> {
        let permit = Some(self.permit(bytes).await?);
        match &self.large {
            Some(send) => Ok(send.send(Part { changes, last, permit }).await.is_ok()),
            None => Ok(false),
        }
    }

    fn within_large(&self, statement: &Statement) -> Result<bool, Failure> {
        let link = &self.link;
        let direction = link.key.direction;
        match statements::judge(
            statement,
            direction,
            &link.objects,
            link.options.exclude_ddl,
            self.version,
            None,
        ) {
            Verdict::Nothing => Ok(true),
            Verdict::Stop(reason) => Err(Failure::data(reason)),
            _ => Err(Failure::data(format!(
                "a statement at {} stands inside of a large transaction, where it can't be run; take the objects it \
                 touches out of the task, or start the task again with a full sync",
                statement.header.position
            ))),
        }
    }

    /// Waits until the link may hold `bytes` more. What is larger than all it may hold gets all of it.
    async fn permit(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Failure> {
        let kib = u32::try_from(bytes / 1024 + 1).unwrap_or(MEMORY_KIB).min(MEMORY_KIB);
        self.memory
            .clone()
            .acquire_many_owned(kib)
            .await
            .map_err(|_| Failure::environment("the link is ending"))
    }

    /// Where the rows of a table go; `None`: nowhere.
    async fn target(
        &mut self,
        map: &Arc<TableMap>,
        destination: &TableName,
        mode: Mode,
    ) -> Result<Option<Arc<Target>>, Failure> {
        let definitions = self.link.shared.definitions.load(Ordering::Acquire);
        if definitions != self.definitions {
            self.targets.clear();
            self.definitions = definitions;
        }
        if let Some((known, target)) = self.targets.get(&map.name)
            && known.columns == map.columns
            && known.primary_key == map.primary_key
            && target.as_ref().is_none_or(|target| target.mode == mode)
        {
            return Ok(target.clone());
        }
        let target = match self.link.key.direction {
            Direction::Forward => Some(self.forward_target(map, destination).await?),
            Direction::Reverse => self.reverse_target(map, destination).await?,
        };
        let target = target.map(|target| Arc::new(Target { mode, ..target }));
        if let Some(target) = &target {
            self.link.status.tables(
                std::iter::once((map.name.clone(), target.table.name.clone(), None)),
                crate::model::status::Phase::Incremental,
            );
        }
        self.targets.insert(map.name.clone(), (map.clone(), target.clone()));
        Ok(target)
    }

    async fn forward_target(&mut self, map: &Arc<TableMap>, destination: &TableName) -> Result<Target, Failure> {
        let table = schema::read_table(&mut self.destination, destination).await?.ok_or_else(|| {
            Failure::data(format!(
                "{destination} is not there at the destination, but {} at the source has changes for it (at {}); make it \
                 there, or take the table out of the task",
                map.name,
                self.assembler.position()
            ))
        })?;
        let table = Arc::new(table);
        // The destination has seen exactly the DDL that precedes this position, so its definition serves where the
        // binlog has no names.
        let definition = (!map.has_names()).then(|| (*table).clone());
        bind(map, definition.as_ref(), &table, UnknownColumn::Refuse).map_err(|error| Failure::data(error.to_string()))
    }

    /// The task's source decides what tables and columns there are. A name that it does not have was renamed or dropped
    /// there by a DDL that these rows do not know of yet, or was made at the other side only; which of them, is known
    /// once the forward link has come to where the source was.
    async fn reverse_target(
        &mut self,
        map: &Arc<TableMap>,
        destination: &TableName,
    ) -> Result<Option<Target>, Failure> {
        let definition = match map.has_names() {
            true => None,
            false => self.source_definition(&map.name).await?,
        };
        let names = column_names(map, definition.as_ref()).map_err(|error| Failure::data(error.to_string()))?;
        let mut table = schema::read_table(&mut self.destination, destination).await?;
        let mut renamed = Renamed::new();
        if table
            .as_ref()
            .is_none_or(|table| names.iter().any(|name| table.position(name).is_none()))
        {
            self.forward_catches_up().await?;
            let renames = self.renames().await?;
            if let Some(last) = self.assembler.objects().map(&renames.table(&map.name)) {
                table = schema::read_table(&mut self.destination, &last).await?;
            }
            renamed = renames.columns(&map.name);
            // A column that the rows have under both names was made anew at the other side.
            renamed.retain(|_, new| !names.iter().any(|name| name.eq_ignore_ascii_case(new)));
        }
        let Some(table) = table else {
            let message = format!(
                "changes of {} are left out: {destination} is not there (any more); a table made at the destination of the \
                 task stays there, as DDL goes forward only",
                map.name
            );
            self.link.tell(Level::Warning, message).await;
            return Ok(None);
        };
        bind(
            map,
            definition.as_ref(),
            &Arc::new(table),
            UnknownColumn::LeaveOut(&renamed),
        )
        .map(Some)
        .map_err(|error| Failure::data(error.to_string()))
    }

    /// Waits until the forward link has done all that its source has executed by now. It depends on this link in
    /// nothing, so this ends.
    async fn forward_catches_up(&mut self) -> Result<(), Failure> {
        let executed = initial::executed(&mut self.destination).await?;
        let mut applied = self.link.shared.forward.watch_applied();
        let caught_up = applied.wait_for(|applied| executed.is_subset_of(applied)).await;
        caught_up
            .map(drop)
            .map_err(|_| Failure::environment("the forward link has ended"))
    }

    async fn renames(&self) -> Result<Renames, Failure> {
        let (store, task) = (self.link.store.clone(), self.link.task.clone());
        let version = version_number(&self.destination.server_version());
        let statements = tokio::task::spawn_blocking(move || store.applied_ddl(&task, Direction::Forward))
            .await
            .map_err(|error| Failure::data(format!("the list of DDL statements can't be read: {error}")))?
            .map_err(|error| Failure::data(format!("the list of DDL statements can't be read: {error}")))?;
        Ok(Renames::of(&statements, version))
    }

    async fn source_definition(&mut self, name: &TableName) -> Result<Option<crate::model::table::Table>, Failure> {
        let conn = match &mut self.source {
            Some(conn) => conn,
            slot => slot.insert(connect::open(&self.link.source).await?),
        };
        schema::read_table(conn, name).await
    }
}
