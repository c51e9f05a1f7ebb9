//! The front of the pipeline: reads the source's binlog and makes transactions of it.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use mysql_async::{Conn, prelude::Queryable};
use tokio::sync::{OwnedRwLockReadGuard, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::{
    apply::{
        checkpoint::{LinkKey, Taken},
        ddl,
        worker::{Hold, Part},
    },
    binlog::event::Event,
    connect,
    failure::Failure,
    model::{
        change::{Mode, Target, Transaction, TransactionHeader},
        columns::ColumnMap,
        filter::RowFilter,
        gtid::Gtid,
        name::TableName,
        status::Level,
        table::{Table, TableColumn},
        table_map::TableMap,
        task::Direction,
    },
    plan::{
        assemble::{Assembler, Intended, Limits, Output, Statement},
        bind::{UnknownColumn, bind, column_names},
        copied::Meets,
        objects::Selected,
    },
    schema,
    source::stream::EventStream,
};

use super::{
    charset,
    definitions::Definitions,
    history::{Fate, History},
    link::Link,
    narrow::narrowed,
    pace::Work,
    position::{self, Counting, Idle, LogEnd},
    row_filter::Filters,
    statements::{self, Known, Verdict},
};

/// Changes a link keeps in memory at a time, in KiB ([`crate::model::change::Change::bytes`]).
const MEMORY_KIB: u32 = 48 << 10;

/// How often the source is asked whether it is there, while its stream is not read.
const SOURCE_ASKED_EVERY: Duration = Duration::from_secs(2);

/// When a transaction is passed on in parts.
const LIMITS: Limits = Limits {
    whole_bytes: 16 << 20,
    part_bytes: 2 << 20,
};

/// What the reader hands on.
#[derive(Debug)]
pub enum Item {
    /// A whole transaction.
    Transaction(Transaction, Hold),
    /// One that comes in parts.
    Large(TransactionHeader, mpsc::Receiver<Part>),
    /// A statement, with what Causeway last said it would run at the source; the reader goes on when it has been dealt
    /// with.
    Statement(Box<Statement>, Option<Intended>, oneshot::Sender<Dealt>),
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

/// What has become of a statement.
#[derive(Debug, Default)]
pub struct Dealt {
    /// Causeway had run it at the source: its number.
    pub echo: Option<u64>,
    /// It has been run at the destination: its number, and the tables of the source whose rows it has replaced there.
    pub voids: Option<(u64, Vec<TableName>)>,
}

/// Reads until the link ends.
///
/// # Errors
/// [`Failure`] of the source, or of a definition that does not fit.
pub async fn run(link: Arc<Link>, taken: Taken, items: mpsc::Sender<Item>) -> Result<(), Failure> {
    let mut destination = connect::open(&link.destination).await?;
    let mut conn = connect::open_bare(&link.source).await?;
    let version = schema::version_number(&conn.server_version());
    let mut stream = match link.counting() {
        Counting::Files(uuid) => position::open(&link, &mut destination, uuid, &taken.applied).await?,
        Counting::Gtids => {
            position::still_has_gtids(&link.source, &mut conn).await?;
            let stream = EventStream::open(conn, &link.identity, &taken.applied).await;
            stream.map_err(|failure| Failure {
                message: format!("server {}: {}", link.source.name, failure.message),
                ..failure
            })?
        }
    };
    let brings_back = link.two_way && link.key.direction == Direction::Forward;
    let mut assembler = Assembler::new(
        link.objects.clone(),
        link.key.task.clone(),
        link.here.clone(),
        link.there.clone(),
        brings_back,
        LIMITS,
    );
    assembler.passed(taken.ddl);
    if brings_back {
        for entry in ddl::history(&mut destination, &link.key, 0).await? {
            assembler.void(&entry.details.voids, entry.number);
        }
    }
    let mut reader = Reader {
        destination,
        source: None,
        version,
        targets: HashMap::new(),
        definitions: link.shared.definitions.load(Ordering::Acquire),
        ahead: Definitions::default(),
        filters: Filters::default(),
        assembler,
        memory: Arc::new(Semaphore::new(MEMORY_KIB as usize)),
        large: None,
        large_gates: Vec::new(),
        items,
        link,
    };
    let mut idle = Idle::default();
    loop {
        reader.link.status.listens(true);
        let (event, end) = stream.next().await?;
        reader.link.status.listens(false);
        if let Some(opened) = stream.opened() {
            position::meet(&reader.link, &mut reader.destination, &opened, false).await?;
            reader.link.status.reads_file(&opened.name);
        }
        if matches!(event, Event::Heartbeat { .. })
            && let Some((name, offset)) = stream.position()
        {
            let link = reader.link.clone();
            idle.look(&link, reader.source().await?, &name, offset).await?;
        }
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
    /// Given up with `targets`.
    ahead: Definitions,
    filters: Filters,
    assembler: Assembler,
    memory: Arc<Semaphore>,
    large: Option<mpsc::Sender<Part>>,
    /// What the large transaction holds to its end.
    large_gates: Vec<(TableName, OwnedRwLockReadGuard<()>)>,
    items: mpsc::Sender<Item>,
}

/// A table of the reverse direction at the task's source.
enum Original {
    /// It is there; columns from the task's destination to its source.
    Table(Box<Table>, ColumnMap),
    NotThere,
    /// Its name fits in another case only.
    NotSelected,
}

impl Reader {
    /// `false`: nobody takes what is read any more.
    async fn take(&mut self, event: Event, end: u64) -> Result<bool, Failure> {
        if matches!(event, Event::Heartbeat { .. }) {
            // It has sent all there is.
            self.link.status.heard(None);
        }
        match event {
            Event::TableMap(map) => {
                match self.assembler.wants(&map) {
                    // It only looked like one by its name.
                    Some(_) if self.assembler.returns_as_shadow(&map.name) && !self.is_shadow(&map.name).await? => {
                        self.assembler.ignore(&map);
                    }
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
        let commit_us = match &output {
            Output::Transaction(transaction) => transaction.header.commit_us,
            Output::Open(header) => header.commit_us,
            Output::Statement(statement) => statement.header.commit_us,
            Output::Skipped { commit_us, .. } => *commit_us,
            Output::Part(..) | Output::Close(..) | Output::Prepared(_) => 0,
        };
        if commit_us > 0 {
            self.link.status.heard(Some(commit_us));
        }
        let item = match narrowed(output, self.assembler.objects()) {
            Output::Transaction(transaction) if transaction.changes.is_empty() => Item::Skipped {
                gtid: transaction.header.gtid,
                prepared: transaction.header.prepared,
                commit_us: transaction.header.commit_us,
                bookkeeping: false,
            },
            Output::Transaction(transaction) => {
                self.link.pace.wait(Work::Changes).await;
                let memory = self.permit(transaction.bytes).await?;
                let gates = self.gates(&transaction.changes).await.into_iter();
                self.link
                    .pace
                    .spend(Work::Changes, transaction.changes.len(), transaction.bytes);
                let gates = gates.map(|(_, gate)| gate).collect();
                Item::Transaction(transaction, Hold { memory, gates })
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
            Output::Statement(mut statement) => {
                if let (Some(raw), Some(collation)) = (statement.raw.take(), statement.status.charset_client)
                    && let Some(charset) = charset::of_collation(&mut self.destination, collation).await?
                {
                    statement.text = charset::decode_logged(&mut self.destination, &raw, &charset).await?;
                }
                let (done, wait) = oneshot::channel();
                let intended = self.assembler.intended().cloned();
                if self
                    .items
                    .send(Item::Statement(statement, intended, done))
                    .await
                    .is_err()
                {
                    return Ok(false);
                }
                // Definitions may be others afterwards, so nothing behind it is planned before.
                let Ok(dealt) = wait.await else { return Ok(false) };
                self.forget_definitions();
                if let Some(number) = dealt.echo {
                    self.assembler.passed(number);
                }
                if let Some((number, tables)) = dealt.voids {
                    self.assembler.void(&tables, number);
                }
                return Ok(true);
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
        self.link.pace.wait(Work::Changes).await;
        let memory = self.permit(bytes).await?;
        let gates = self.gates(&changes).await;
        self.large_gates.extend(gates);
        self.link.pace.spend(Work::Changes, changes.len(), bytes);
        let gates = match last {
            true => self.large_gates.drain(..).map(|(_, gate)| gate).collect(),
            false => Vec::new(),
        };
        let hold = Some(Hold { memory, gates });
        match &self.large {
            Some(send) => Ok(send.send(Part { changes, last, hold }).await.is_ok()),
            None => Ok(false),
        }
    }

    /// Waits until of the tables of these changes no range is being copied, and keeps it so.
    async fn gates(&self, changes: &[crate::model::change::Change]) -> Vec<(TableName, OwnedRwLockReadGuard<()>)> {
        let mut tables: Vec<TableName> = Vec::new();
        {
            let copied = self.link.copied.borrow();
            for change in changes {
                let table = &change.target.source;
                let is_held = tables.contains(table) || self.large_gates.iter().any(|(held, _)| held == table);
                if copied.is_unfinished(table) && !is_held {
                    tables.push(table.clone());
                }
            }
        }
        let mut gates = Vec::with_capacity(tables.len());
        for table in tables {
            let gate = self.link.gates.of(&table).read_owned().await;
            gates.push((table, gate));
        }
        gates
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
            &Known::default(),
        ) {
            Verdict::Nothing => Ok(true),
            Verdict::Stop(reason) => Err(Failure::data(reason)),
            _ => Err(Failure::data(format!(
                "a statement at {} stands inside of a large transaction, where it can't be run; take the objects it \
                 touches out of the task, or drop the task and create it anew, with full sync",
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

    fn forget_definitions(&mut self) {
        self.targets.clear();
        self.ahead = Definitions::default();
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
            self.forget_definitions();
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
        let target = match target {
            Some(target) => {
                let filter = self.filter(map, &target).await?;
                Some(Arc::new(Target { mode, filter, ..target }))
            }
            None => None,
        };
        if let Some(target) = &target
            && !self.link.copied.borrow().is_unfinished(&map.name)
        {
            self.link.status.tables(
                std::iter::once((map.name.clone(), target.table.name.clone(), None)),
                crate::model::status::Phase::Incremental,
            );
        }
        self.targets.insert(map.name.clone(), (map.clone(), target.clone()));
        Ok(target)
    }

    /// Which rows of a table are synchronized.
    async fn filter(&mut self, map: &TableMap, target: &Target) -> Result<Option<Arc<RowFilter>>, Failure> {
        let link = self.link.clone();
        let selected = match link.objects.is_mapped_back() {
            // By the name that the table has now at the server that the condition was written for.
            true => link
                .shared
                .forward_objects
                .select(&target.table.name)
                .map(|forward| Selected {
                    columns: forward.columns.inverted(),
                    mapped_back: true,
                    ..forward
                }),
            false => link.objects.select(&map.name),
        };
        let Some(selected) = selected.filter(|selected| selected.filter.is_some()) else {
            return Ok(None);
        };
        let mut filters = std::mem::take(&mut self.filters);
        let filter = filters.bind(self.source().await?, &selected, map, target).await;
        self.filters = filters;
        filter
    }

    /// Whether the table is the shadow of another one: its name says that it may be, and the other one is there.
    async fn is_shadow(&mut self, name: &TableName) -> Result<bool, Failure> {
        let objects = self.assembler.objects();
        let tables: Vec<TableName> = match objects.is_shadow(name) {
            true => objects.online().tables_of(name),
            false => return Ok(false),
        };
        for table in tables {
            if let Original::Table(..) = self.original(&table).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn forward_target(&mut self, map: &Arc<TableMap>, destination: &TableName) -> Result<Target, Failure> {
        let objects = self.assembler.objects();
        let table = self.ahead.take(&mut self.destination, objects, destination).await?;
        let table = table.ok_or_else(|| {
            Failure::data(format!(
                "{destination} is not there at the destination, but {} at the source has changes for it (at {}); make it \
                 there, or take the table out of the task",
                map.name,
                self.assembler.position()
            ))
        })?;
        let table = Arc::new(table);
        let columns = self.assembler.objects().columns(&map.name);
        // The destination has seen exactly the DDL that precedes this position, so its definition serves where the
        // binlog has no names; unless it has other columns than the source.
        let definition = (!map.has_names() && !columns.is_listed()).then(|| (*table).clone());
        bind(map, definition.as_ref(), &table, &columns, UnknownColumn::Refuse)
            .map_err(|error| Failure::data(error.to_string()))
    }

    /// The task's source decides what tables and columns there are. What the rows have and it does not was changed there
    /// by a DDL that these rows do not know of yet, or was made at the other side only; which of them, is known once the
    /// forward link has come to where the source was.
    async fn reverse_target(
        &mut self,
        map: &Arc<TableMap>,
        destination: &TableName,
    ) -> Result<Option<Target>, Failure> {
        if self.is_shadow(&map.name).await? {
            // What the tool does at the source fills it there, from the rows that this link brings.
            return Ok(None);
        }
        // The table as it was before the forward link caught up: if it is still so then, no statement explains what does
        // not fit.
        let mut seen: Option<Option<Box<Table>>> = None;
        loop {
            let history = self.history().await?;
            let (name, renamed, before) = match history.follow(&map.name) {
                Fate::Gone => {
                    let message = format!(
                        "changes of {} are left out: they were made before a TRUNCATE or DROP came there, which has removed \
                         their rows",
                        map.name
                    );
                    self.link.tell(Level::Warning, message).await;
                    return Ok(None);
                }
                Fate::There { name, columns, before } => (name, columns, before),
            };
            let definition = match (map.has_names(), &before) {
                (true, _) => None,
                (false, Some(before)) => Some((**before).clone()),
                (false, None) => {
                    let definition = self.source_definition(&map.name).await?;
                    if self.history().await? != history {
                        // A statement came between; the definition is too new.
                        continue;
                    }
                    definition
                }
            };
            let names = column_names(map, definition.as_ref());
            let (table, columns) = match self.original(&name).await? {
                Original::Table(table, columns) => (Some(table), columns),
                Original::NotThere => (None, ColumnMap::All),
                Original::NotSelected => return Ok(None),
            };
            let settled = seen.as_ref() == Some(&table);
            let known = |table: &Table, name: &str| {
                let last = renamed.get(name).map_or(Some(name), Option::as_deref);
                let carried = last.and_then(|name| columns.to(name));
                carried.is_none_or(|name| table.position(name).is_some())
            };
            let complete = match (&names, &table) {
                (Ok(names), Some(table)) => {
                    names.iter().all(|name| known(table, name)) && self.is_level(&name, table, &columns).await?
                }
                _ => false,
            };
            let unknown = UnknownColumn::LeaveOut {
                renamed: &renamed,
                before: before.as_deref(),
            };
            let bound = table
                .as_deref()
                .map(|table| bind(map, definition.as_ref(), &Arc::new(table.clone()), &columns, unknown));
            match bound {
                Some(Ok(target)) if complete || settled => return Ok(Some(target)),
                Some(Err(error)) if settled => return Err(Failure::data(error.to_string())),
                None if settled => {
                    let message = format!(
                        "changes of {} are left out: {} is not there (any more); a table made at the destination of the task \
                         stays there, as DDL goes forward only",
                        map.name,
                        self.assembler
                            .objects()
                            .map(&name)
                            .unwrap_or_else(|| destination.clone())
                    );
                    self.link.tell(Level::Warning, message).await;
                    return Ok(None);
                }
                _ => {
                    self.forward_catches_up().await?;
                    seen = Some(table);
                }
            }
        }
    }

    /// Whether the task's source has run no statement on the table yet that has not come to the destination: both have
    /// the same columns, and the table was made or emptied before what the forward link has done.
    async fn is_level(&mut self, name: &TableName, table: &Table, columns: &ColumnMap) -> Result<bool, Failure> {
        let made_at = schema::made_at(&mut self.destination, &table.name)
            .await?
            .unwrap_or(u64::MAX);
        let done_us = self.link.shared.forward_done_us.load(Ordering::Acquire);
        // It counts whole seconds.
        if made_at.saturating_add(1).saturating_mul(1_000_000) > done_us {
            return Ok(false);
        }
        let Some(here) = self.source_definition(name).await? else {
            return Ok(false);
        };
        let same = |column: &TableColumn| {
            let Some(to) = columns.to(&column.name) else {
                return true;
            };
            let found = table.position(to).and_then(|position| table.columns.get(position));
            found.is_some_and(|found| (&found.column_type, &found.family) == (&column.column_type, &column.family))
        };
        Ok((columns.is_listed() || here.columns.len() == table.columns.len()) && here.columns.iter().all(same))
    }

    /// Where rows of this table come from in the forward direction. Where case was lost on the way, the tables that are
    /// there tell.
    async fn original(&mut self, name: &TableName) -> Result<Original, Failure> {
        let objects = self.assembler.objects();
        let Some(mut selected) = objects.select(name) else {
            return Ok(Original::NotThere);
        };
        if objects.up_to_case() {
            let there = schema::tables_in_any_case(&mut self.destination, &selected.name).await?;
            selected = match there.iter().find_map(|there| objects.back_to(name, there)) {
                Some(selected) => selected,
                None if there.is_empty() => return Ok(Original::NotThere),
                None => return Ok(Original::NotSelected),
            };
        }
        let table = schema::read_table(&mut self.destination, &selected.name).await?;
        Ok(match table {
            Some(table) => Original::Table(Box::new(table), selected.columns),
            None => Original::NotThere,
        })
    }

    /// Waits until the forward link has done all that its source has executed by now. It depends on this link in
    /// nothing, so this ends. Meanwhile nobody reads the stream, so it is asked whether the source is still there.
    async fn forward_catches_up(&mut self) -> Result<(), Failure> {
        let executed = LogEnd::read(&mut self.destination).await?;
        let forward = self.link.shared.forward.clone();
        let mut applied = forward.watch_applied();
        loop {
            let caught_up = async {
                applied
                    .wait_for(|applied| forward.is_past(&executed, applied))
                    .await
                    .is_ok()
            };
            match tokio::time::timeout(SOURCE_ASKED_EVERY, caught_up).await {
                Ok(true) => return Ok(()),
                Ok(false) => return Err(Failure::environment("the forward link has ended")),
                Err(_) => {
                    let asked = self.source().await?.ping().await;
                    asked.map_err(|error| Failure::mysql("asking whether the source is there", &error))?;
                }
            }
        }
    }

    /// The statements of the forward link that the rows read now are older than.
    async fn history(&mut self) -> Result<History, Failure> {
        let forward = LinkKey {
            task: self.link.key.task.clone(),
            direction: Direction::Forward,
        };
        let after = self.assembler.ddl();
        let version = self.version;
        let entries = ddl::history(self.source().await?, &forward, after).await?;
        Ok(History::new(entries, version))
    }

    async fn source(&mut self) -> Result<&mut Conn, Failure> {
        Ok(match &mut self.source {
            Some(conn) => conn,
            slot => slot.insert(connect::open(&self.link.source).await?),
        })
    }

    async fn source_definition(&mut self, name: &TableName) -> Result<Option<Table>, Failure> {
        schema::read_table(self.source().await?, name).await
    }
}
