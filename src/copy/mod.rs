//! Full sync: the rows that are there, copied in key ranges, several tables and ranges at a time.
//!
//! The position P0 from which changes will be followed is taken before the first row is read. Each range is read by
//! one statement, which sees one consistent state; different ranges see different states, all of them later than P0.
//! That is enough: a row that differs between the states has changed since P0, so its change is still to come, and
//! until P1, the position when the last range has been read, changes are applied over whatever is there.
//!
//! A range is written in one transaction, together with its row in `causeway.copy` that says so. Rows that exist are
//! left alone. After a crash a table goes on behind its last contiguous range.

use std::sync::{Arc, atomic::Ordering};

use async_trait::async_trait;
use mysql_async::{Conn, prelude::Queryable};
use tokio::{
    sync::{Mutex, RwLock, mpsc, watch},
    task::JoinSet,
};

use crate::{
    failure::Failure,
    model::{columns::ColumnMap, name::TableName, table::Table},
    sql::literal,
};

mod batch;
mod cut;
pub mod json;
mod order;
pub mod range;
pub mod read;
mod write;

use batch::{Batch, Form};
use cut::{Cutter, Range};
use write::Writer;

/// A table to copy.
#[derive(Debug, Clone)]
pub struct CopyTable {
    /// Its definition at the source.
    pub source: Arc<Table>,
    /// Its definition at the destination.
    pub destination: Arc<Table>,
    /// Which of its columns travel.
    pub columns: ColumnMap,
    /// A condition over its columns at the source: the only rows that travel.
    pub filter: Option<String>,
    /// Where changes of the table are applied meanwhile: a range is copied with this held alone.
    pub gate: Option<Arc<RwLock<()>>>,
}

/// What the writers say in their transactions, see [`crate::apply::checkpoint`].
#[derive(Debug, Clone)]
pub struct Fence {
    /// `BEGIN` and the update of a slot's checkpoint row, for each writer.
    pub begin: Vec<String>,
    /// The error if that update matches no row.
    pub lost: Failure,
    /// `'task','link'`.
    pub link_values: String,
    /// `task = … AND link = …`.
    pub link_condition: String,
}

/// Asked before, and told when rows are copied.
#[async_trait]
pub trait Progress: Send + Sync {
    /// Returns when another range may be copied.
    async fn admit(&self);
    /// This many rows of this source table had been copied before.
    fn resumed(&self, table: &TableName, rows: u64);
    /// This many more rows of this source table have been copied, which were so many bytes of SQL.
    fn copied(&self, table: &TableName, rows: u64, bytes: u64);
    /// The table is complete.
    fn finished(&self, table: &TableName);
}

pub use cut::begun;

/// Copies `tables`. `connections` are pairs, one to the source and one to the destination: one to cut tables into ranges,
/// the others to copy these.
///
/// # Errors
/// [`Failure`]; what has been copied stays, and the next call goes on from there.
pub async fn copy(
    tables: Vec<CopyTable>,
    (cutting, mut planning): (Conn, Conn),
    connections: Vec<(Conn, Conn)>,
    fence: Fence,
    progress: Arc<dyn Progress>,
) -> Result<(), Failure> {
    let writers = connections.len().max(1);
    let loads = write::takes_load_data(&mut planning).await?;
    let mut cutter = Cutter::new(cutting, planning, fence.clone(), progress.clone(), writers).await?;
    let (send, receive) = mpsc::channel::<Range>(writers * 2);
    let receive = Arc::new(Mutex::new(receive));
    let (done, mut finished) = watch::channel(0_u64);
    let done = Arc::new(done);
    let mut workers = JoinSet::new();
    for ((reader, writer), begin) in connections.into_iter().zip(fence.begin.clone()) {
        let worker = Worker {
            reader,
            writer,
            begin,
            fence: fence.clone(),
            loads,
        };
        workers.spawn(worker.work(receive.clone(), progress.clone(), done.clone()));
    }
    drop((receive, done));
    workers.spawn(async move {
        let mut sent = 0;
        for group in order::parents_first(tables, |table| &table.source) {
            cutter.begin(group);
            while let Some(range) = cutter.next().await? {
                if send.send(range).await.is_err() {
                    return Ok(());
                }
                sent += 1;
            }
            if finished.wait_for(|finished| *finished >= sent).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    });
    while let Some(result) = workers.join_next().await {
        match result {
            Ok(result) => result?,
            Err(error) => {
                return Err(Failure::data(format!(
                    "full sync has come upon an internal error: {error}"
                )));
            }
        }
    }
    Ok(())
}

/// Copies ranges.
struct Worker {
    reader: Conn,
    writer: Conn,
    /// `BEGIN`, and the update of its checkpoint row.
    begin: String,
    fence: Fence,
    /// The destination takes LOAD DATA LOCAL.
    loads: bool,
}

impl Worker {
    async fn work(
        mut self,
        receive: Arc<Mutex<mpsc::Receiver<Range>>>,
        progress: Arc<dyn Progress>,
        done: Arc<watch::Sender<u64>>,
    ) -> Result<(), Failure> {
        loop {
            let range = receive.lock().await.recv().await;
            let Some(range) = range else { return Ok(()) };
            let name = &range.table.source.name;
            progress.admit().await;
            let gate = match &range.table.gate {
                Some(gate) => Some(gate.clone().write_owned().await),
                None => None,
            };
            let (rows, bytes) = self.copy(&range).await?;
            drop(gate);
            progress.copied(name, rows, bytes);
            if range.last {
                progress.finished(name);
            }
            done.send_modify(|done| *done += 1);
        }
    }

    /// Copies a range: rows, bytes.
    async fn copy(&mut self, range: &Range) -> Result<(u64, u64), Failure> {
        if self.loads && !range.insert_only.load(Ordering::Relaxed) {
            if let Some(copied) = self.copy_as(range, Form::Lines).await? {
                return Ok(copied);
            }
            let rolled_back = self.writer.query_drop("ROLLBACK").await;
            rolled_back.map_err(|error| written(range, &error))?;
            range.insert_only.store(true, Ordering::Relaxed);
        }
        let copied = self.copy_as(range, Form::Values).await?;
        Ok(copied.unwrap_or_default())
    }

    /// `None`: not in this form, and the transaction is open.
    async fn copy_as(&mut self, range: &Range, form: Form) -> Result<Option<(u64, u64)>, Failure> {
        let written = |error: mysql_async::Error| written(range, &error);
        let CopyTable {
            source,
            destination,
            columns,
            filter,
            ..
        } = &*range.table;
        self.begin().await.map_err(written)??;
        let columns = copied_columns(source, destination, columns);
        let mut writer = Writer::new(&mut self.writer, destination, &columns);
        let mut batch = Batch::new(form);
        let mut reading = read::open(&mut self.reader, source, &columns, &range.bounds, filter.as_deref()).await?;
        while reading.next(&mut batch).await? {
            if batch.is_full() && !writer.write(&mut batch).await.map_err(written)? {
                return Ok(None);
            }
        }
        let (read, held) = reading.into_held();
        let mut typed = Batch::new(Form::Values);
        for (values, expressions) in read::complete(&mut self.reader, source, held).await? {
            let batch = if expressions.is_empty() { &mut batch } else { &mut typed };
            batch.push(&values, &read, &expressions);
            if batch.is_full() && !writer.write(batch).await.map_err(written)? {
                return Ok(None);
            }
        }
        for batch in [&mut batch, &mut typed] {
            if !writer.write(batch).await.map_err(written)? {
                return Ok(None);
            }
        }
        let (rows, bytes) = writer.written();
        self.commit(range, rows).await.map_err(written)?;
        Ok(Some((rows, bytes)))
    }

    async fn begin(&mut self) -> Result<Result<(), Failure>, mysql_async::Error> {
        // Two statements; the second one's count is what matters.
        let mut result = self.writer.query_iter(&self.begin).await?;
        let mut matched = result.affected_rows();
        while !result.is_empty() {
            result.next().await?;
            matched = result.affected_rows();
        }
        result.drop_result().await?;
        Ok(match matched {
            1 => Ok(()),
            _ => Err(self.fence.lost.clone()),
        })
    }

    async fn commit(&mut self, range: &Range, rows: u64) -> Result<(), mysql_async::Error> {
        let name = &range.table.source.name;
        let upper = range.bounds.upper.as_ref();
        let upper = upper.map_or("NULL".to_owned(), |upper| literal::string(&upper.print()));
        self.writer
            .query_drop(format!(
                "INSERT INTO causeway.copy (task, link, source_database, source_table, part, copied_rows, upper_key,                  finished) VALUES ({}, {}, {}, {}, {rows}, {upper}, {}); COMMIT",
                self.fence.link_values,
                literal::string(&name.database),
                literal::string(&name.table),
                range.part,
                u8::from(range.last)
            ))
            .await
    }
}

fn written(range: &Range, error: &mysql_async::Error) -> Failure {
    let (source, destination) = (&range.table.source.name, &range.table.destination.name);
    let failure = Failure::mysql(format_args!("copying {source} to {destination}"), error);
    failure.with_remedy(format_args!(
        "make {destination} at the destination take the rows, then RESUME the task: full sync goes on where it was"
    ))
}

/// Columns that are copied: those that travel, that both sides have and neither computes. Positions at the source and at
/// the destination.
fn copied_columns(source: &Table, destination: &Table, columns: &ColumnMap) -> Vec<(usize, usize)> {
    let stored = source
        .columns
        .iter()
        .enumerate()
        .filter(|(_, column)| !column.generated);
    let copied = stored.filter_map(|(from, column)| {
        let to = destination.position(columns.to(&column.name)?)?;
        let column = destination.columns.get(to)?;
        (!column.generated).then_some((from, to))
    });
    copied.collect()
}
