//! How far a server's binlog reaches, in the terms in which a link counts transactions: by GTID, or by file and offset
//! where the server has none.

use std::time::{Duration, Instant};

use mysql_async::{Conn, Row, prelude::Queryable};

use crate::{
    apply::{
        checkpoint::{self, LinkKey},
        source_files::{self, SourceFile},
    },
    connect,
    failure::Failure,
    model::{
        file_position::{self, FilePosition},
        gtid::{GtidSet, Uuid},
        server::ServerDefinition,
    },
    source::{
        places::OpenedFile,
        stream::{EventStream, Identity},
    },
};

use super::link::Link;

/// How long commits at the source may be held up, in seconds, see [`settle`].
const LOCK_WAIT_S: u32 = 10;

/// A stream that says it has nothing to send, when it had something this long ago, is not of the source's present log.
const STANDSTILL: Duration = Duration::from_secs(4);

/// How a link counts the transactions of its source. Fixed when it starts: a source that gets GTIDs later is still
/// followed by file and offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Counting {
    /// By GTID.
    #[default]
    Gtids,
    /// By file and offset, in the binlog of the server with this uuid.
    Files(Uuid),
}

impl Counting {
    /// As in a checkpoint that has been begun.
    pub fn of(applied: &GtidSet) -> Self {
        applied
            .file_position()
            .map_or(Counting::Gtids, |(uuid, _)| Counting::Files(uuid))
    }

    /// Of a link that begins. Only with `gtid_mode = ON` every transaction has a GTID.
    ///
    /// # Errors
    /// [`Failure`] if the server refuses.
    pub async fn at_start(conn: &mut Conn) -> Result<Self, Failure> {
        let (mode, uuid) = modes(conn).await?;
        Ok(match mode.as_str() {
            "ON" => Counting::Gtids,
            _ => Counting::Files(uuid),
        })
    }
}

async fn modes(conn: &mut Conn) -> Result<(String, Uuid), Failure> {
    let found: Option<(String, String)> = conn
        .query_first("SELECT @@GLOBAL.gtid_mode, @@server_uuid")
        .await
        .map_err(|error| Failure::mysql("reading gtid_mode", &error))?;
    let (mode, uuid) = found.unwrap_or_default();
    let uuid = uuid
        .parse()
        .map_err(|error| Failure::data(format!("the server's server_uuid can't be read: {error}")))?;
    Ok((mode, uuid))
}

/// All that is in a server's binlog now. What is at the end of it may not be visible yet, see [`visible`].
///
/// # Errors
/// [`Failure`] if the server refuses.
pub async fn executed(conn: &mut Conn, counting: Counting) -> Result<GtidSet, Failure> {
    let Counting::Files(uuid) = counting else {
        let text: Option<String> = conn
            .query_first("SELECT @@GLOBAL.gtid_executed")
            .await
            .map_err(|error| Failure::mysql("reading gtid_executed", &error))?;
        return text
            .unwrap_or_default()
            .parse()
            .map_err(|error| Failure::data(format!("the server's gtid_executed can't be read: {error}")));
    };
    let (name, offset) = log_end(conn).await?;
    file_position::split_name(&name)
        .and_then(|(_, file)| file_position::up_to(uuid, FilePosition { file, offset }))
        .ok_or_else(|| {
            Failure::data(format!(
                "the position {name}:{offset} can't be counted without GTIDs (files up to number 16777215 and 512 GiB); set \
                 gtid_mode = ON at the server"
            ))
        })
}

/// File and offset where the next transaction will begin.
async fn log_end(conn: &mut Conn) -> Result<(String, u64), Failure> {
    // Renamed in 8.2, the old name gone in 8.4.
    let statement = if conn.server_version() >= (8, 2, 0) {
        "SHOW BINARY LOG STATUS"
    } else {
        "SHOW MASTER STATUS"
    };
    let row: Option<Row> = conn
        .query_first(statement)
        .await
        .map_err(|error| Failure::mysql("reading the position of the binlog", &error))?;
    let cell = |row: &Row| Some((row.get_opt(0)?.ok()?, row.get_opt(1)?.ok()?));
    row.as_ref()
        .and_then(cell)
        .ok_or_else(|| Failure::data("the server says no position of its binlog; start it with log_bin"))
}

/// How far a server's binlog reaches, for a link that may not have said yet how it counts.
#[derive(Debug)]
pub struct LogEnd {
    gtids: GtidSet,
    /// `None`: the server does not say; no link follows it by file and offset then.
    files: Option<GtidSet>,
}

impl LogEnd {
    /// Reads it.
    ///
    /// # Errors
    /// [`Failure`] if the server refuses.
    pub async fn read(conn: &mut Conn) -> Result<Self, Failure> {
        let (_, uuid) = modes(conn).await?;
        Ok(Self {
            gtids: executed(conn, Counting::Gtids).await?,
            files: executed(conn, Counting::Files(uuid)).await.ok(),
        })
    }

    /// Whether a link that has done this much has done all of it.
    pub fn is_in(&self, done: &GtidSet) -> bool {
        match Counting::of(done) {
            Counting::Gtids => self.gtids.is_subset_of(done),
            Counting::Files(_) => self.files.as_ref().is_some_and(|files| files.is_subset_of(done)),
        }
    }
}

/// A position of the link's source such that whoever reads tables from now on sees all changes up to there.
///
/// # Errors
/// [`Failure`] if the source refuses.
pub async fn visible(source: &mut Conn, link: &Link) -> Result<GtidSet, Failure> {
    let counting = link.counting();
    let executed = executed(source, counting).await?;
    if counting != Counting::Gtids {
        settle(source, link).await?;
    }
    Ok(executed)
}

/// Waits until all that is in the binlog is visible. A transaction is written there first and becomes visible a moment
/// later (with semi-synchronous replication after seconds), while a GTID counts as executed only behind that. Both happen in
/// one order (`binlog_order_commits`): when a transaction of ours is through, so are all before it. Where we may not
/// write, or there is no order, all commits are held up for an instant.
async fn settle(source: &mut Conn, link: &Link) -> Result<(), Failure> {
    let ordered: Option<bool> = source
        .query_first("SELECT @@GLOBAL.binlog_order_commits")
        .await
        .map_err(|error| Failure::mysql("reading binlog_order_commits", &error))?;
    if ordered == Some(true) && (link.two_way || link.options.heartbeat) && own_transaction(source, link).await.is_ok()
    {
        return Ok(());
    }
    let held_up = async {
        source
            .query_drop(format!("SET SESSION lock_wait_timeout = {LOCK_WAIT_S}"))
            .await?;
        source.query_drop("FLUSH TABLES WITH READ LOCK").await?;
        source.query_drop("UNLOCK TABLES").await
    };
    match held_up.await {
        Ok(()) => Ok(()),
        Err(mysql_async::Error::Server(error)) if error.code == 1227 => Err(Failure::data(format!(
            "server {} has no GTIDs, so it can't be told which of its latest changes full sync will see. Let the account \
             write there (CREATE, SELECT, INSERT, UPDATE on causeway.*, with heartbeat = ON and binlog_order_commits = ON), \
             or grant it FLUSH_TABLES on *.* (docs/file-and-offset.md)",
            link.source.name
        ))),
        Err(error) => Err(Failure::mysql(
            "holding up commits at the source for an instant (FLUSH TABLES WITH READ LOCK)",
            &error,
        )),
    }
}

async fn own_transaction(source: &mut Conn, link: &Link) -> Result<(), Failure> {
    checkpoint::ensure_schema(source).await?;
    // It must change something: what changes nothing is not written to the binlog, and waits for nobody.
    source
        .query_drop(format!(
            "INSERT INTO causeway.heartbeat (task, link, at) VALUES ({}, 'settled', NOW(6)) \
             ON DUPLICATE KEY UPDATE at = at + INTERVAL 1 MICROSECOND",
            crate::sql::literal::string(&link.key.task)
        ))
        .await
        .map_err(|error| Failure::mysql("writing to causeway.heartbeat at the source", &error))
}

/// Takes down in which file of `source` a link is to begin, at the server that holds its checkpoint.
///
/// # Errors
/// [`Failure`] if a server refuses.
pub async fn begin(
    source: &ServerDefinition,
    checkpoint: &mut Conn,
    key: &LinkKey,
    identity: &Identity,
    position: &GtidSet,
) -> Result<(), Failure> {
    let Some((uuid, end)) = position.file_position() else {
        return Ok(());
    };
    let mut conn = connect::open_bare(source).await?;
    let name = existing(source, &mut conn, end).await?;
    let opened = identify(source, conn, identity, uuid, &name, end).await?;
    source_files::begin(checkpoint, key, &file_of(&opened)).await
}

/// Which file this is. What is sent behind that is not read.
async fn identify(
    source: &ServerDefinition,
    conn: Conn,
    identity: &Identity,
    uuid: Uuid,
    name: &str,
    end: FilePosition,
) -> Result<OpenedFile, Failure> {
    let identified = async {
        let stream = EventStream::open_file(conn, identity, uuid, GtidSet::new(), name, 4).await?;
        stream.identify(end.offset).await
    };
    identified.await.map_err(|failure| of(source, failure))
}

fn file_of(opened: &OpenedFile) -> SourceFile {
    SourceFile {
        file: opened.file,
        created: opened.created,
        first_us: opened.first_us,
    }
}

/// The source's events from behind what has been applied without a gap.
///
/// # Errors
/// [`Failure`] if it is out of reach, refuses, or is not the one that was followed before.
pub async fn open(link: &Link, destination: &mut Conn, uuid: Uuid, applied: &GtidSet) -> Result<EventStream, Failure> {
    let source = &link.source;
    let mut conn = connect::open_bare(source).await?;
    let (_, found) = modes(&mut conn).await?;
    if found != uuid {
        return Err(of(
            source,
            Failure::data(format!(
                "its server_uuid is {found}, and the task follows the binlog of {uuid} by file and offset, which no other \
                 server has. Bring that one back under this address (ALTER SERVER), or drop the task and create it anew, with \
                 full sync"
            )),
        ));
    }
    let end = applied
        .file_position()
        .map_or(FilePosition { file: 0, offset: 0 }, |(_, end)| end);
    let name = existing(source, &mut conn, end).await?;
    let other = connect::open_bare(source).await?;
    let opened = identify(source, other, &link.identity, uuid, &name, end).await?;
    meet(link, destination, &opened, true).await?;
    EventStream::open_file(conn, &link.identity, uuid, applied.clone(), &name, end.offset)
        .await
        .map_err(|failure| of(source, failure))
}

/// The name of the file that a position is in, which must be there and reach up to it.
async fn existing(source: &ServerDefinition, conn: &mut Conn, end: FilePosition) -> Result<String, Failure> {
    let rows: Vec<Row> = conn
        .query("SHOW BINARY LOGS")
        .await
        .map_err(|error| of(source, Failure::mysql("listing the binlog files", &error)))?;
    let read = |row: &Row| {
        let (name, size): (String, u64) = (row.get_opt(0)?.ok()?, row.get_opt(1)?.ok()?);
        let (_, file) = file_position::split_name(&name)?;
        Some((file, name, size))
    };
    let files: Vec<(u32, String, u64)> = rows.iter().filter_map(read).collect();
    let what = match files.iter().find(|(file, ..)| *file == end.file) {
        Some((_, name, size)) if *size >= end.offset => return Ok(name.clone()),
        Some((_, name, size)) => format!(
            "file {name} ends at {size}: the source has lost the end of its binlog in a crash (sync_binlog = 1 prevents \
             that), or RESET BINARY LOGS has been run, or it has other data"
        ),
        None if files.iter().all(|(file, ..)| *file < end.file) => {
            "its binlog has not come to that file: RESET BINARY LOGS has been run, or it has other data".to_owned()
        }
        None => "that file has been purged; keep binlogs longer (binlog_expire_logs_seconds)".to_owned(),
    };
    Err(of(
        source,
        Failure::data(format!(
            "the changes from binlog file number {:06}, offset {} on are not there any more: {what}. Drop the task and create \
             it anew, with full sync",
            end.file, end.offset
        )),
    ))
}

/// It is known which file of the source is being read: it must be the one that was read before under its number;
/// `must_be_known`: there was one.
///
/// # Errors
/// [`Failure`] if it is another one, or the destination refuses.
pub async fn meet(
    link: &Link,
    destination: &mut Conn,
    opened: &OpenedFile,
    must_be_known: bool,
) -> Result<(), Failure> {
    match source_files::meet(destination, &link.key, &file_of(opened), must_be_known).await? {
        true => Ok(()),
        false => Err(begun_anew(
            &link.source,
            &format!("{} is not the one of that name that the task has read", opened.name),
        )),
    }
}

fn begun_anew(server: &ServerDefinition, what: &str) -> Failure {
    of(
        server,
        Failure::data(format!(
            "its binlog file {what}: RESET BINARY LOGS has been run, or it has other data. Changes may be missing: drop the \
             task and create it anew, with full sync"
        )),
    )
}

/// Watches over a stream that says it has nothing to send: a server whose binlog has begun anew may go on saying so of a
/// file that is no more.
#[derive(Debug, Default)]
pub struct Idle {
    last: Option<Look>,
}

#[derive(Debug)]
struct Look {
    /// Where the stream was.
    at: FilePosition,
    /// Where the source's log ended.
    end: FilePosition,
    when: Instant,
}

impl Idle {
    /// Looks, while the stream is at `offset` of the file `name`.
    ///
    /// # Errors
    /// [`Failure`] if the source refuses, or its log is not the one that is being read.
    pub async fn look(&mut self, link: &Link, source: &mut Conn, name: &str, offset: u64) -> Result<(), Failure> {
        // Heartbeats may have waited with us, and come one after the other.
        if self.last.as_ref().is_some_and(|last| last.when.elapsed() < STANDSTILL) {
            return Ok(());
        }
        let Some((_, file)) = file_position::split_name(name) else {
            return Ok(());
        };
        let at = FilePosition { file, offset };
        let (end_name, end_offset) = log_end(source).await?;
        let end = file_position::split_name(&end_name).map(|(_, file)| FilePosition {
            file,
            offset: end_offset,
        });
        let Some(end) = end.filter(|end| *end >= at) else {
            return Err(begun_anew(
                &link.source,
                &format!("{name} was read up to {offset}, and its log ends in {end_name} at {end_offset}"),
            ));
        };
        if self.last.as_ref().is_some_and(|last| last.at == at && last.end > at) {
            return Err(Failure::environment(format!(
                "server {}: its log has gone on, and the binlog stream has not",
                link.source.name
            )));
        }
        let when = Instant::now();
        self.last = Some(Look { at, end, when });
        Ok(())
    }
}

fn of(server: &ServerDefinition, failure: Failure) -> Failure {
    Failure {
        message: format!("server {}: {}", server.name, failure.message),
        ..failure
    }
}

/// Why a source that was followed by GTID when the task started can't be followed so now, if it can't.
///
/// # Errors
/// [`Failure`] if the source refuses; one that says what to do if it has no GTIDs any more.
pub async fn still_has_gtids(source: &ServerDefinition, conn: &mut Conn) -> Result<(), Failure> {
    let (mode, _) = modes(conn).await?;
    match mode.starts_with("ON") {
        true => Ok(()),
        false => Err(of(
            source,
            Failure::data(format!(
                "its gtid_mode is {mode}, and the task follows it by GTID. Set gtid_mode = ON again; if there were changes \
                 meanwhile, drop the task and create it anew, with full sync: it then follows by file and offset"
            )),
        )),
    }
}
