//! Cuts tables into ranges, behind what an earlier copy has done.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, atomic::AtomicBool},
    vec,
};

use mysql_async::{Conn, prelude::Queryable};

use crate::{
    failure::Failure,
    model::name::TableName,
    sql::{NOT_SYSTEM, literal},
};

use super::{
    CopyTable, Fence, Progress,
    range::{self, Bounds, KeyValues},
};

/// Rows of a range, unless they are long.
const RANGE_ROWS: u64 = 5000;
/// Bytes a range should have, by the source's estimate of a row's length.
const RANGE_BYTES: u64 = 4 << 20;

/// A part of a table that is copied in one transaction.
#[derive(Debug)]
pub(super) struct Range {
    pub(super) table: Arc<CopyTable>,
    /// Its rows have met something that only INSERT can tell of, see [`super::write`].
    pub(super) insert_only: Arc<AtomicBool>,
    pub(super) part: u32,
    pub(super) bounds: Bounds,
    pub(super) last: bool,
}

/// Cuts the tables of one group after the other.
pub(super) struct Cutter {
    source: Conn,
    destination: Conn,
    fence: Fence,
    progress: Arc<dyn Progress>,
    places: HashMap<TableName, Place>,
    row_lengths: HashMap<TableName, u64>,
    /// As many tables at a time as there are writers: those of one table would meet in its indexes.
    side_by_side: usize,
    waiting: vec::IntoIter<CopyTable>,
    open: VecDeque<Cut>,
}

impl Cutter {
    /// # Errors
    /// [`Failure`] if a server refuses.
    pub(super) async fn new(
        mut source: Conn,
        mut destination: Conn,
        fence: Fence,
        progress: Arc<dyn Progress>,
        side_by_side: usize,
    ) -> Result<Self, Failure> {
        Ok(Self {
            places: places(&mut destination, &fence).await?,
            row_lengths: row_lengths(&mut source).await?,
            source,
            destination,
            fence,
            progress,
            side_by_side,
            waiting: Vec::new().into_iter(),
            open: VecDeque::new(),
        })
    }

    /// From now on ranges are those of `tables`.
    pub(super) fn begin(&mut self, tables: Vec<CopyTable>) {
        self.waiting = tables.into_iter();
    }

    /// The next range; `None` behind the last one of these tables.
    ///
    /// # Errors
    /// [`Failure`] if a server refuses.
    pub(super) async fn next(&mut self) -> Result<Option<Range>, Failure> {
        while self.open.len() < self.side_by_side
            && let Some(table) = self.waiting.next()
        {
            self.open(table).await?;
        }
        let Some(mut cut) = self.open.pop_front() else {
            return Ok(None);
        };
        let range = cut.next(&mut self.source).await?;
        if !range.last {
            self.open.push_back(cut);
        }
        Ok(Some(range))
    }

    async fn open(&mut self, table: CopyTable) -> Result<(), Failure> {
        let name = &table.source.name;
        let place = self.places.remove(name).unwrap_or_default();
        if place.discarded {
            discard(&mut self.destination, &self.fence, name, place.part).await?;
        }
        self.progress.resumed(name, place.rows);
        if place.complete {
            self.progress.finished(name);
            return Ok(());
        }
        let row_length = self.row_lengths.get(name).copied().unwrap_or(0);
        self.open.push_back(Cut {
            table: Arc::new(table),
            insert_only: Arc::default(),
            part: place.part,
            lower: place.lower,
            rows_per_range: rows_per_range(row_length),
        });
        Ok(())
    }
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

/// The source tables that a link has copied some rows of.
///
/// # Errors
/// [`Failure`] if the destination refuses.
pub async fn begun(destination: &mut Conn, link_condition: &str) -> Result<Vec<TableName>, Failure> {
    let names: Vec<(String, String)> = destination
        .query(format!(
            "SELECT DISTINCT source_database, source_table FROM causeway.copy WHERE {link_condition}"
        ))
        .await
        .map_err(|error| Failure::mysql("reading how far full sync has come", &error))?;
    Ok(names
        .into_iter()
        .map(|(database, table)| TableName::new(database, table))
        .collect())
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
    insert_only: Arc<AtomicBool>,
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
            insert_only: self.insert_only.clone(),
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
        .query(format!(
            "SELECT TABLE_SCHEMA, TABLE_NAME, AVG_ROW_LENGTH FROM information_schema.TABLES \
             WHERE TABLE_TYPE = 'BASE TABLE' AND TABLE_SCHEMA {NOT_SYSTEM}"
        ))
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
