//! Full sync: the rows that are there, copied in key ranges, several tables and ranges at a time.
//!
//! The position P0 from which changes will be followed is taken before the first row is read. Each range is read by
//! one statement, which sees one consistent state; different ranges see different states, all of them later than P0.
//! That is enough: a row that differs between the states has changed since P0, so its change is still to come, and
//! until P1, the position when the last range has been read, changes are applied over whatever is there.
//!
//! A range is written in one transaction, together with its row in `causeway.copy` that says so. Rows that exist are
//! left alone. After a crash a table goes on behind its last contiguous range.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use async_trait::async_trait;
use mysql_async::{Conn, prelude::Queryable};
use tokio::{
    sync::{Mutex, RwLock, mpsc, watch},
    task::JoinSet,
};

use crate::{
    failure::Failure,
    model::{columns::ColumnMap, name::TableName, table::Table},
    sql::{ident, literal, set::LENIENT_HINT},
};

pub mod json;
mod order;
pub mod range;
pub mod read;

use range::{Bounds, KeyValues};

/// Rows of a range, unless they are long.
const RANGE_ROWS: u64 = 5000;
/// Bytes a range should have, by the source's estimate of a row's length.
const RANGE_BYTES: u64 = 4 << 20;
/// A statement takes in rows up to this many bytes.
const STATEMENT_BYTES: usize = 1 << 20;

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

struct Range {
    table: Arc<CopyTable>,
    part: u32,
    bounds: Bounds,
    last: bool,
}

/// Copies `tables`. `readers` and `writers` are connections to the source and the destination, as many of each;
/// `boundaries` one more to the source.
///
/// # Errors
/// [`Failure`]; what has been copied stays, and the next call goes on from there.
pub async fn copy(
    tables: Vec<CopyTable>,
    mut boundaries: Conn,
    mut planner: Conn,
    connections: Vec<(Conn, Conn)>,
    fence: Fence,
    progress: Arc<dyn Progress>,
) -> Result<(), Failure> {
    let writers = connections.len().max(1);
    let (send, receive) = mpsc::channel::<Range>(writers * 2);
    let receive = Arc::new(Mutex::new(receive));
    let (done, mut finished) = watch::channel(0_u64);
    let done = Arc::new(done);
    let mut workers = JoinSet::new();
    for (slot, (reader, writer)) in connections.into_iter().enumerate() {
        let (receive, fence, progress, done) = (receive.clone(), fence.clone(), progress.clone(), done.clone());
        workers.spawn(async move { work(slot, reader, writer, receive, fence, progress, done).await });
    }
    drop((receive, done));
    workers.spawn(async move {
        let mut sent = 0;
        let mut places = places(&mut planner, &fence).await?;
        let lengths = row_lengths(&mut boundaries).await?;
        for group in order::parents_first(tables, |table| &table.source) {
            let mut waiting = group.into_iter();
            let mut cuts: VecDeque<Cut> = VecDeque::new();
            loop {
                // As many tables at a time as there are writers: those of one table would meet in its indexes.
                while cuts.len() < writers
                    && let Some(table) = waiting.next()
                {
                    let name = &table.source.name;
                    let place = places.remove(name).unwrap_or_default();
                    let rows_per_range = rows_per_range(lengths.get(name).copied().unwrap_or(0));
                    if place.discarded {
                        discard(&mut planner, &fence, name, place.part).await?;
                    }
                    progress.resumed(name, place.rows);
                    if place.complete {
                        progress.finished(name);
                    } else {
                        cuts.push_back(Cut {
                            table: Arc::new(table),
                            part: place.part,
                            lower: place.lower,
                            rows_per_range,
                        });
                    }
                }
                let Some(mut cut) = cuts.pop_front() else { break };
                let range = cut.next(&mut boundaries).await?;
                let last = range.last;
                if send.send(range).await.is_err() {
                    return Ok(());
                }
                sent += 1;
                if !last {
                    cuts.push_back(cut);
                }
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

/// Where the copy of a table goes on.
#[derive(Debug, Default)]
struct Place {
    /// Number of the next range.
    part: u32,
    lower: Option<KeyValues>,
    rows: u64,
    complete: bool,
    /// There are ranges behind a gap: they are cut anew.
    discarded: bool,
}

/// How far the copy of each table has come.
async fn places(destination: &mut Conn, fence: &Fence) -> Result<HashMap<TableName, Place>, Failure> {
    let parts: Vec<(String, String, u32, u64, Option<String>, bool)> = destination
        .query(format!(
            "SELECT source_database, source_table, part, copied_rows, upper_key, finished FROM causeway.copy WHERE {} \
             ORDER BY source_database, source_table, part",
            fence.link_condition
        ))
        .await
        .map_err(|error| Failure::mysql("reading how far full sync has come", &error))?;
    let mut places: HashMap<TableName, Place> = HashMap::new();
    for (database, table, number, copied, upper, finished) in parts {
        let place = places.entry(TableName::new(database, table)).or_default();
        if place.discarded || number != place.part {
            place.discarded = true;
            continue;
        }
        place.part += 1;
        place.rows += copied;
        place.complete = finished;
        place.lower = upper
            .map(|text| KeyValues::parse(&text))
            .transpose()
            .map_err(Failure::data)?;
    }
    Ok(places)
}

async fn discard(destination: &mut Conn, fence: &Fence, name: &TableName, from: u32) -> Result<(), Failure> {
    destination
        .query_drop(format!(
            "DELETE FROM causeway.copy WHERE {} AND source_database = {} AND source_table = {} AND part >= {from}",
            fence.link_condition,
            literal::string(&name.database),
            literal::string(&name.table)
        ))
        .await
        .map_err(|error| Failure::mysql(format_args!("copying {name}"), &error))
}

/// A table that is being cut into ranges.
struct Cut {
    table: Arc<CopyTable>,
    /// Number of the next range.
    part: u32,
    lower: Option<KeyValues>,
    rows_per_range: u64,
}

impl Cut {
    async fn next(&mut self, source: &mut Conn) -> Result<Range, Failure> {
        let upper = range::boundary(source, &self.table.source, self.lower.as_ref(), self.rows_per_range).await?;
        let range = Range {
            table: self.table.clone(),
            part: self.part,
            bounds: Bounds {
                lower: self.lower.take(),
                upper: upper.clone(),
            },
            last: upper.is_none(),
        };
        (self.lower, self.part) = (upper, self.part + 1);
        Ok(range)
    }
}

/// The source's estimates of how long a row is.
async fn row_lengths(source: &mut Conn) -> Result<HashMap<TableName, u64>, Failure> {
    let rows: Vec<(String, String, Option<u64>)> = source
        .query(
            "SELECT TABLE_SCHEMA, TABLE_NAME, AVG_ROW_LENGTH FROM information_schema.TABLES \
             WHERE TABLE_TYPE = 'BASE TABLE' AND TABLE_SCHEMA NOT IN \
             ('mysql', 'sys', 'information_schema', 'performance_schema', 'causeway')",
        )
        .await
        .map_err(|error| Failure::mysql("asking for the lengths of rows", &error))?;
    let named = |(database, table, length): (String, String, Option<u64>)| {
        (TableName::new(database, table), length.unwrap_or(0))
    };
    Ok(rows.into_iter().map(named).collect())
}

fn rows_per_range(row_length: u64) -> u64 {
    (RANGE_BYTES / row_length.max(1)).clamp(50, RANGE_ROWS)
}

async fn work(
    slot: usize,
    mut reader: Conn,
    mut writer: Conn,
    receive: Arc<Mutex<mpsc::Receiver<Range>>>,
    fence: Fence,
    progress: Arc<dyn Progress>,
    done: Arc<watch::Sender<u64>>,
) -> Result<(), Failure> {
    let Some(begin) = fence.begin.get(slot) else {
        return Ok(());
    };
    loop {
        let range = receive.lock().await.recv().await;
        let Some(range) = range else { return Ok(()) };
        let name = range.table.source.name.clone();
        progress.admit().await;
        let gate = match &range.table.gate {
            Some(gate) => Some(gate.clone().write_owned().await),
            None => None,
        };
        let (rows, bytes) = copy_range(&range, &mut reader, &mut writer, begin, &fence).await?;
        drop(gate);
        progress.copied(&name, rows, bytes);
        if range.last {
            progress.finished(&name);
        }
        done.send_modify(|done| *done += 1);
    }
}

async fn copy_range(
    range: &Range,
    reader: &mut Conn,
    writer: &mut Conn,
    begin: &str,
    fence: &Fence,
) -> Result<(u64, u64), Failure> {
    let CopyTable {
        source, destination, ..
    } = &*range.table;
    let written = |error: mysql_async::Error| {
        let failure = Failure::mysql(format_args!("copying {} to {}", source.name, destination.name), &error);
        failure.with_remedy(format_args!(
            "make {} at the destination take the rows, then RESUME the task: full sync goes on where it was",
            destination.name
        ))
    };
    // `begin` is two statements; the second one's count is what matters.
    let mut result = writer.query_iter(begin).await.map_err(written)?;
    let mut matched = result.affected_rows();
    while !result.is_empty() {
        result.next().await.map_err(written)?;
        matched = result.affected_rows();
    }
    result.drop_result().await.map_err(written)?;
    if matched != 1 {
        return Err(fence.lost.clone());
    }
    let columns = copied_columns(&range.table);
    let mut insert = Insert::new(destination, &columns);
    let mut reading = read::open(reader, source, &columns, &range.bounds, range.table.filter.as_deref()).await?;
    while let Some(row) = reading.next().await? {
        insert.add(writer, &row).await.map_err(written)?;
    }
    let held = reading.into_held();
    for row in read::complete(reader, source, held).await? {
        insert.add(writer, &row).await.map_err(written)?;
    }
    let (rows, bytes) = insert.finish(writer).await.map_err(written)?;
    let upper = range
        .bounds
        .upper
        .as_ref()
        .map_or("NULL".to_owned(), |upper| literal::string(&upper.print()));
    writer
        .query_drop(format!(
            "INSERT INTO causeway.copy (task, link, source_database, source_table, part, copied_rows, upper_key, finished) \
             VALUES ({}, {}, {}, {}, {rows}, {upper}, {}); COMMIT",
            fence.link_values,
            literal::string(&source.name.database),
            literal::string(&source.name.table),
            range.part,
            u8::from(range.last)
        ))
        .await
        .map_err(written)?;
    Ok((rows, bytes))
}

/// Writes the rows of a range, many in a statement.
struct Insert {
    /// What stands between the verb and the rows.
    head: Vec<u8>,
    tail: String,
    values: Vec<u8>,
    /// One of the rows holds an ENUM's error value.
    error_value: bool,
    rows: u64,
    bytes: u64,
}

impl Insert {
    fn new(destination: &Table, columns: &[(usize, usize)]) -> Self {
        Self {
            head: insert_head(destination, columns),
            tail: insert_tail(destination),
            values: Vec::new(),
            error_value: false,
            rows: 0,
            bytes: 0,
        }
    }

    async fn add(&mut self, writer: &mut Conn, row: &read::Literals) -> Result<(), mysql_async::Error> {
        self.rows += 1;
        self.bytes += row.text.len() as u64;
        if !self.values.is_empty() {
            self.values.push(b',');
        }
        self.values.extend_from_slice(&row.text);
        self.error_value |= row.error_value;
        if self.values.len() >= STATEMENT_BYTES {
            self.flush(writer).await
        } else {
            Ok(())
        }
    }

    /// The rows that were added, and their bytes.
    async fn finish(mut self, writer: &mut Conn) -> Result<(u64, u64), mysql_async::Error> {
        if !self.values.is_empty() {
            self.flush(writer).await?;
        }
        Ok((self.rows, self.bytes))
    }

    async fn flush(&mut self, writer: &mut Conn) -> Result<(), mysql_async::Error> {
        let hint = if std::mem::take(&mut self.error_value) {
            LENIENT_HINT
        } else {
            ""
        };
        let statement = [
            b"INSERT",
            hint.as_bytes(),
            &self.head,
            &self.values,
            self.tail.as_bytes(),
        ]
        .concat();
        self.values.clear();
        writer.query_drop(statement).await
    }
}

/// Columns that are copied: those that travel, that both sides have and neither computes. Positions at the source and at
/// the destination.
fn copied_columns(table: &CopyTable) -> Vec<(usize, usize)> {
    let CopyTable {
        source,
        destination,
        columns,
        ..
    } = table;
    source
        .columns
        .iter()
        .enumerate()
        .filter(|(_, column)| !column.generated)
        .filter_map(|(from, column)| {
            let to = destination.position(columns.to(&column.name)?)?;
            destination
                .columns
                .get(to)
                .filter(|column| !column.generated)
                .map(|_| (from, to))
        })
        .collect()
}

fn insert_head(destination: &Table, columns: &[(usize, usize)]) -> Vec<u8> {
    let mut out = b" INTO ".to_vec();
    ident::push_table(&mut out, &destination.name);
    out.extend_from_slice(b" (");
    for (place, (_, to)) in columns.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        if let Some(column) = destination.columns.get(*to) {
            ident::push(&mut out, &column.name);
        }
    }
    out.extend_from_slice(b") VALUES ");
    out
}

/// Existing rows stay. IGNORE would do that too, and swallow values that do not fit besides.
fn insert_tail(destination: &Table) -> String {
    let key = destination.row_key().and_then(|key| key.columns()).unwrap_or_default();
    let columns = key.into_iter().chain(0..destination.columns.len());
    let column = columns
        .filter_map(|place| destination.columns.get(place))
        .find(|column| !column.generated)
        .map_or_else(String::new, |column| ident::quoted(&column.name));
    format!(
        " ON DUPLICATE KEY UPDATE {column} = {}.{column}",
        ident::quoted_table(&destination.name)
    )
}
