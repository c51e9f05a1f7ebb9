//! Row filters at work: a filter is bound to the columns of a table's rows, and changes are judged by the server that they
//! come from.
//!
//! Judging stands between the reader and the scheduler, and takes whatever waits there at once: one round trip serves many
//! transactions. A verdict depends on the values of the filter's columns alone, so it is kept for as long as there is room.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use mysql_async::{Conn, prelude::Queryable};
use tokio::sync::mpsc;

use crate::{
    apply::session::max_allowed_packet,
    connect,
    ddl::Condition,
    failure::{Failure, Kind},
    model::{
        change::{Change, Images, Target},
        filter::{FilterWay, RowFilter},
        name::{OWN_DATABASE, TableName},
        server::ServerDefinition,
        table_map::TableMap,
    },
    plan::{
        filter::turn,
        objects::{Objects, Selected},
    },
    schema,
    sql::{
        ident,
        judge::{self, Collation, Collations, ColumnNow},
        literal,
    },
};

use super::{link::Link, reader::Item};

/// Items that are judged at a time.
const BATCH: usize = 512;
/// Values of rows that go to the server in one packet, in bytes …
const PACKET_BYTES: usize = 1 << 20;
/// … and in rows.
const PACKET_ROWS: usize = 5000;
/// Values whose verdict is kept, in bytes; more than this, and all are forgotten.
const KNOWN_BYTES: usize = 16 << 20;
/// What a verdict takes besides its values.
const VERDICT_BYTES: usize = 64;

/// Binds the filters of a link's tables.
#[derive(Debug, Default)]
pub struct Filters {
    collations: Option<Arc<Collations>>,
}

impl Filters {
    /// The filter of the rows of `map`, which go to `target`; `None`: all are synchronized.
    ///
    /// # Errors
    /// [`Failure`] if it can't be bound to the rows.
    pub async fn bind(
        &mut self,
        source: &mut Conn,
        selected: &Selected<'_>,
        map: &TableMap,
        target: &Target,
    ) -> Result<Option<Arc<RowFilter>>, Failure> {
        let Some(text) = selected.filter else { return Ok(None) };
        let wrong = |reason: String| {
            Failure::data(format!(
                "the filter of {} (WHERE {text}) can't be applied to its rows: {reason}",
                map.name
            ))
        };
        let condition = Condition::parse(text).map_err(|reason| wrong(format!("it {reason}")))?;
        let now = columns_now(source, &map.name).await?;
        let names = names(map, selected, target, &now);
        let Some(places) = places(&condition, &names, selected, target) else {
            return Ok(None);
        };
        let collations = match &self.collations {
            Some(collations) => collations.clone(),
            None => self.collations.insert(Arc::new(collations(source).await?)).clone(),
        };
        let columns = places
            .into_iter()
            .filter_map(|(name, place)| Some((name, place, map.columns.get(place)?)))
            .map(|(name, place, column)| {
                let name_there = names.get(place).and_then(Option::as_ref);
                let now = name_there.and_then(|name| now.iter().find(|now| now.name.eq_ignore_ascii_case(name)));
                judge::column(name, place, column, now, &collations).map_err(|reason| {
                    wrong(format!(
                        "of column {name}, {reason}; set binlog_row_metadata=FULL on the server that the rows come from, \
                         and drop the task and create it anew, with full sync"
                    ))
                })
            });
        Ok(Some(Arc::new(RowFilter {
            table: map.name.clone(),
            condition: condition.text.clone(),
            columns: columns.collect::<Result<_, _>>()?,
            way: match selected.mapped_back {
                true => FilterWay::Back,
                false => FilterWay::Along,
            },
        })))
    }
}

/// The names of the rows' columns, as far as they are known: from the binlog, or else from the columns that are bound,
/// and the table as it is now if the rows look like it.
fn names(map: &TableMap, selected: &Selected<'_>, target: &Target, now: &[ColumnNow]) -> Vec<Option<String>> {
    let bound = |place: usize| {
        let binding = target.columns.iter().find(|binding| binding.source == place)?;
        let column = target.table.columns.get(binding.destination)?;
        selected.columns.from(&column.name).map(str::to_owned)
    };
    let as_now = now.len() == map.columns.len();
    let columns = map.columns.iter().enumerate();
    columns
        .map(|(place, column)| {
            let later = || as_now.then(|| now.get(place).map(|now| now.name.clone())).flatten();
            column.name.clone().or_else(|| bound(place)).or_else(later)
        })
        .collect()
}

/// The columns that a condition names, and their places in the rows. `None`: on the way back, the rows lack one of them,
/// so that it can't be asked; but whatever is there came through the filter.
fn places<'c>(
    condition: &'c Condition,
    names: &[Option<String>],
    selected: &Selected<'_>,
    target: &Target,
) -> Option<Vec<(&'c str, usize)>> {
    let mut places = Vec::new();
    for name in &condition.names {
        // Under the name that it has in the rows.
        let there = match selected.mapped_back {
            true => selected.columns.from(name),
            false => Some(name.as_str()),
        };
        let is_it = |candidate: &Option<String>| {
            let (Some(candidate), Some(there)) = (candidate, there) else {
                return false;
            };
            candidate.eq_ignore_ascii_case(there)
        };
        match names.iter().position(is_it) {
            Some(place) => places.push((name.as_str(), place)),
            None if selected.mapped_back && target.table.position(name).is_some() => return None,
            // A keyword, or a mistake that the server will tell of.
            None => {}
        }
    }
    Some(places)
}

async fn columns_now(conn: &mut Conn, table: &TableName) -> Result<Vec<ColumnNow>, Failure> {
    let rows: Vec<(String, String, Option<String>, Option<String>)> = conn
        .query(format!(
            "SELECT COLUMN_NAME, COLUMN_TYPE, CHARACTER_SET_NAME, COLLATION_NAME FROM information_schema.COLUMNS \
             WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {} ORDER BY ORDINAL_POSITION",
            literal::string(&table.database),
            literal::string(&table.table)
        ))
        .await
        .map_err(|error| Failure::mysql(format_args!("reading the definition of {table}"), &error))?;
    let column = |(name, column_type, charset, collation): (_, _, Option<String>, Option<String>)| ColumnNow {
        name,
        column_type,
        collation: charset.zip(collation),
    };
    Ok(rows.into_iter().map(column).collect())
}

async fn collations(conn: &mut Conn) -> Result<Collations, Failure> {
    let rows: Vec<(u16, String, String, u16)> = conn
        .query(
            "SELECT c.ID, c.COLLATION_NAME, c.CHARACTER_SET_NAME, s.MAXLEN FROM information_schema.COLLATIONS c \
             JOIN information_schema.CHARACTER_SETS s ON s.CHARACTER_SET_NAME = c.CHARACTER_SET_NAME",
        )
        .await
        .map_err(|error| Failure::mysql("reading the server's collations", &error))?;
    let collation = |(number, name, charset, max_bytes)| {
        let collation = Collation {
            name,
            charset,
            max_bytes,
        };
        (number, collation)
    };
    Ok(rows.into_iter().map(collation).collect())
}

/// What is wrong with the filters of the tables there are. Changes nothing.
///
/// # Errors
/// [`Failure`] if the server is out of reach.
pub async fn wrong_filters(source: &mut Conn, objects: &Objects) -> Result<Vec<String>, Failure> {
    let mut wrong = Vec::new();
    // Mapped back, a condition stands for the tables of the other server.
    if !objects.has_filters() || objects.is_mapped_back() {
        return Ok(wrong);
    }
    for (table, _) in schema::list_tables(source).await? {
        let Some(filter) = objects.select(&table).and_then(|selected| selected.filter) else {
            continue;
        };
        let asked = format!(
            "SELECT 1 FROM {} WHERE (\n{filter}\n) LIMIT 0",
            ident::quoted_table(&table)
        );
        if let Err(error) = source.query_drop(asked).await {
            let failure = Failure::mysql(format_args!("the filter of {table} (WHERE {filter})"), &error);
            match failure.kind {
                Kind::Data => wrong.push(failure.message),
                _ => return Err(failure),
            }
        }
    }
    Ok(wrong)
}

fn cant_make(source: &ServerDefinition, error: &mysql_async::Error) -> Failure {
    Failure::mysql(
        format_args!(
            "making a temporary table in the database causeway of server {}, by which rows are filtered (which needs CREATE \
             TEMPORARY TABLES on causeway.*)",
            source.name
        ),
        error,
    )
}

/// Judges what comes, and hands it on in the same order.
///
/// # Errors
/// [`Failure`] of the source, or of a condition that can't be evaluated.
pub async fn run(link: Arc<Link>, mut items: mpsc::Receiver<Item>, out: mpsc::Sender<Item>) -> Result<(), Failure> {
    let mut judge = Judge {
        link,
        conn: None,
        filters: Vec::new(),
        by_table: HashMap::new(),
    };
    let mut batch = Vec::new();
    loop {
        if items.recv_many(&mut batch, BATCH).await == 0 {
            // The reader has ended, with its own result.
            return std::future::pending().await;
        }
        let changes = batch.iter_mut().filter_map(|item| match item {
            Item::Transaction(transaction, _) => Some(&mut transaction.changes),
            _ => None,
        });
        judge.judge(changes.collect()).await?;
        for item in batch.drain(..) {
            let sent = match item {
                Item::Transaction(transaction, _) if transaction.changes.is_empty() => {
                    let header = transaction.header;
                    let skipped = Item::Skipped {
                        gtid: header.gtid,
                        prepared: header.prepared,
                        commit_us: header.commit_us,
                        bookkeeping: false,
                    };
                    out.send(skipped).await.is_ok()
                }
                Item::Large(header, mut parts) => {
                    let (send, receive) = mpsc::channel(1);
                    let mut sent = out.send(Item::Large(header, receive)).await.is_ok();
                    while sent && let Some(mut part) = parts.recv().await {
                        judge.judge(vec![&mut part.changes]).await?;
                        let last = part.last;
                        sent = send.send(part).await.is_ok() && !last;
                    }
                    // The applier may be gone; then its failure ends the link.
                    !out.is_closed()
                }
                item => out.send(item).await.is_ok(),
            };
            if !sent {
                return Ok(());
            }
        }
    }
}

struct Judge {
    link: Arc<Link>,
    conn: Option<Source>,
    filters: Vec<Judging>,
    by_table: HashMap<TableName, Vec<usize>>,
}

/// The session that judges.
struct Source {
    conn: Conn,
    max_packet: usize,
}

/// A filter and what is known of it.
struct Judging {
    filter: Arc<RowFilter>,
    /// Its table at the source, once it is made.
    table: Option<String>,
    /// Verdicts by [`judge::values`].
    known: HashMap<Vec<u8>, bool>,
    known_bytes: usize,
}

impl Judge {
    /// Turns changes into what they are to the rows that their filters let through.
    async fn judge(&mut self, mut lists: Vec<&mut Vec<Change>>) -> Result<(), Failure> {
        if self.filters.iter().map(|judging| judging.known_bytes).sum::<usize>() > KNOWN_BYTES {
            for judging in &mut self.filters {
                (judging.known, judging.known_bytes) = (HashMap::new(), 0);
            }
        }
        // The values of each filtered change's images, in the order of the changes.
        let mut values: VecDeque<(usize, [Option<Vec<u8>>; 2])> = VecDeque::new();
        let mut asked: HashMap<usize, HashSet<Vec<u8>>> = HashMap::new();
        for change in lists.iter().flat_map(|list| list.iter()) {
            let Some(filter) = &change.target.filter else { continue };
            let number = self.number(filter);
            let mut both = [None, None];
            for (row, slot) in [change.before(), change.after()].into_iter().zip(&mut both) {
                let Some(row) = row else { continue };
                let text = judge::values(filter, row).map_err(|error| Failure::data(error.to_string()))?;
                if self.verdict(number, &text).is_none() {
                    asked.entry(number).or_default().insert(text.clone());
                }
                *slot = Some(text);
            }
            values.push_back((number, both));
        }
        for (number, rows) in asked {
            self.ask(number, rows.into_iter().collect()).await?;
        }
        for list in &mut lists {
            let changes = std::mem::take(*list);
            list.reserve(changes.len());
            for mut change in changes {
                let Some(filter) = change.target.filter.clone() else {
                    list.push(change);
                    continue;
                };
                let Some((number, [before, after])) = values.pop_front() else {
                    continue;
                };
                let verdict = |text: Option<Vec<u8>>| match text {
                    Some(text) => self.verdict(number, &text).ok_or_else(|| unanswered(&filter)),
                    None => Ok(false),
                };
                let (before, after) = (verdict(before)?, verdict(after)?);
                let images: Images = change.images;
                if let Some(images) = turn(images, before, after, filter.way) {
                    change.images = images;
                    list.push(change);
                }
            }
        }
        Ok(())
    }

    fn verdict(&self, number: usize, text: &[u8]) -> Option<bool> {
        self.filters.get(number)?.known.get(text).copied()
    }

    /// The number of a filter.
    fn number(&mut self, filter: &Arc<RowFilter>) -> usize {
        let of_table = self.by_table.entry(filter.table.clone()).or_default();
        let known = of_table.iter().copied().find(|number| {
            let known = self.filters.get(*number).map(|judging| &judging.filter);
            known.is_some_and(|known| Arc::ptr_eq(known, filter) || known == filter)
        });
        known.unwrap_or_else(|| {
            self.filters.push(Judging {
                filter: filter.clone(),
                table: None,
                known: HashMap::new(),
                known_bytes: 0,
            });
            of_table.push(self.filters.len() - 1);
            self.filters.len() - 1
        })
    }

    /// Has the source judge rows.
    async fn ask(&mut self, number: usize, rows: Vec<Vec<u8>>) -> Result<(), Failure> {
        let source = match &mut self.conn {
            Some(source) => source,
            slot => slot.insert(Source::open(&self.link.source).await?),
        };
        let Some(judging) = self.filters.get_mut(number) else {
            return Ok(());
        };
        let table = match &judging.table {
            Some(table) => table.clone(),
            None => {
                let table = format!("{OWN_DATABASE}.row_filter_{number}");
                source
                    .make(&self.link.source, &judge::create(&table, &judging.filter))
                    .await?;
                judging.table.insert(table).clone()
            }
        };
        let mut rest = rows.as_slice();
        while let Some(first) = rest.first() {
            let (mut count, mut bytes) = (1, first.len());
            while let Some(row) = rest.get(count).filter(|row| bytes + row.len() <= PACKET_BYTES)
                && count < PACKET_ROWS
            {
                (count, bytes) = (count + 1, bytes + row.len());
            }
            let (now, later) = rest.split_at(count);
            let texts: Vec<&[u8]> = now.iter().map(Vec::as_slice).collect();
            let question = judge::question(&table, &judging.filter, &texts);
            let fulfil = source.ask(&judging.filter, question).await?;
            for (place, row) in now.iter().enumerate() {
                judging.known_bytes += row.len() + VERDICT_BYTES;
                judging.known.insert(row.clone(), fulfil.contains(&place));
            }
            rest = later;
        }
        Ok(())
    }
}

impl Source {
    async fn open(server: &ServerDefinition) -> Result<Self, Failure> {
        let mut conn = connect::open(server).await?;
        let max_packet = max_allowed_packet(&mut conn).await?;
        Ok(Self { conn, max_packet })
    }

    /// Makes a session table; and the database it is in, at a source that Causeway has written nothing to.
    async fn make(&mut self, server: &ServerDefinition, create: &str) -> Result<(), Failure> {
        match self.conn.query_drop(create).await {
            Ok(()) => return Ok(()),
            Err(mysql_async::Error::Server(error)) if error.code == 1049 => {}
            Err(error) => return Err(cant_make(server, &error)),
        }
        let database = format!("CREATE DATABASE IF NOT EXISTS {OWN_DATABASE} CHARACTER SET utf8mb4");
        self.conn.query_drop(database).await.map_err(|error| {
            Failure::mysql(
                format_args!(
                    "making the database causeway at server {}, in whose temporary tables rows are filtered (make it there \
                     by hand, or at the server that it replicates, if it is read-only)",
                    server.name
                ),
                &error,
            )
        })?;
        self.conn
            .query_drop(create)
            .await
            .map_err(|error| cant_make(server, &error))
    }

    /// The numbers of the rows that fulfil the condition.
    async fn ask(&mut self, filter: &RowFilter, question: Vec<u8>) -> Result<HashSet<usize>, Failure> {
        let failed = |error: mysql_async::Error| {
            let failure = Failure::mysql(
                format_args!("filtering changes of {} (WHERE {})", filter.table, filter.condition),
                &error,
            );
            match &error {
                // Unknown column.
                mysql_async::Error::Server(server) if server.code == 1054 => Failure::data(format!(
                    "{failure}. The column was renamed or dropped, or was added after these rows were written: ALTER SYNC \
                     TASK … REMOVE OBJECTS ({table}), drop the table at the destination, ADD OBJECTS it again with a filter \
                     over the columns there are, and RESUME the task",
                    table = ident::quoted_table(&filter.table)
                )),
                _ => failure,
            }
        };
        if question.len() >= self.max_packet {
            return Err(Failure::data(format!(
                "filtering a row of {} needs a packet of {} bytes, and max_allowed_packet is {} at the server it comes from; \
                 raise it there (SET GLOBAL max_allowed_packet) and RESUME the task",
                filter.table,
                question.len(),
                self.max_packet
            )));
        }
        let mut result = self.conn.query_iter(question).await.map_err(failed)?;
        let _: Vec<usize> = result.collect().await.map_err(failed)?;
        let fulfil: Vec<usize> = result.collect().await.map_err(failed)?;
        result.drop_result().await.map_err(failed)?;
        Ok(fulfil.into_iter().collect())
    }
}

fn unanswered(filter: &RowFilter) -> Failure {
    Failure::data(format!(
        "the server has not judged a row of {} by its filter; please report it",
        filter.table
    ))
}
