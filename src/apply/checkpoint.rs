//! What has been applied at the destination, kept at the destination.
//!
//! `causeway.checkpoint` has one row per applier slot of a link, and slot 0 for the link as a whole. Every applied
//! transaction updates its slot's row first. That one row does three jobs:
//!
//! - **Exactly once**: `applied` names the source's transactions the slot has applied beyond what slot 0 says. All
//!   slots together are what has been applied; a link resumes from that and from nothing else.
//! - **Loop prevention**: `path` names the sites the transaction has been at ([`crate::plan::path`]). It is empty for
//!   transactions that carry no data.
//! - **Fencing**: `epoch` grows with every start of the link; an update that names an older one matches no row.

use mysql_async::{Conn, Row, prelude::Queryable};

use crate::{
    failure::Failure,
    model::{gtid::GtidSet, task::Direction},
    plan::assemble::{CHECKPOINT_COLUMNS, INTENT_COLUMNS},
    sql::literal,
};

/// The slot that holds the link's watermark and phase.
pub const LINK_SLOT: u16 = 0;

/// Slots of full sync's writers begin here; those of appliers at 1.
pub const COPY_SLOTS_FROM: u16 = 1000;

/// The tables of the `causeway` schema. The order of columns is known to [`CHECKPOINT_COLUMNS`] and [`INTENT_COLUMNS`].
const TABLES: [(&str, &str); 8] = [
    (
        "checkpoint",
        "CREATE TABLE IF NOT EXISTS causeway.checkpoint (
            task VARCHAR(96) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
            link VARCHAR(7) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            slot SMALLINT UNSIGNED NOT NULL,
            epoch BIGINT UNSIGNED NOT NULL,
            sequence BIGINT UNSIGNED NOT NULL,
            path VARCHAR(4000) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            ddl BIGINT UNSIGNED NOT NULL DEFAULT 0,
            applied LONGTEXT CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            phase VARCHAR(11) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            tolerant_until LONGTEXT CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            updated_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
            PRIMARY KEY (task, link, slot)
        ) ENGINE=InnoDB COMMENT='Causeway: what has been applied here, and from where'",
    ),
    (
        "ddl",
        "CREATE TABLE IF NOT EXISTS causeway.ddl (
            task VARCHAR(96) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
            link VARCHAR(7) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            number BIGINT UNSIGNED NOT NULL,
            gtid VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            statement LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
            digest CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            state VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            details LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
            at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
            PRIMARY KEY (task, link, number)
        ) ENGINE=InnoDB COMMENT='Causeway: the statements that are being, and were lately, applied here'",
    ),
    (
        "copy",
        "CREATE TABLE IF NOT EXISTS causeway.copy (
            task VARCHAR(96) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
            link VARCHAR(7) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            source_database VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
            source_table VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
            part INT UNSIGNED NOT NULL,
            copied_rows BIGINT UNSIGNED NOT NULL,
            upper_key LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
            finished TINYINT UNSIGNED NOT NULL,
            PRIMARY KEY (task, link, source_database, source_table, part)
        ) ENGINE=InnoDB COMMENT='Causeway: how far full sync has come'",
    ),
    (
        "late_keys",
        "CREATE TABLE IF NOT EXISTS causeway.late_keys (
            task VARCHAR(96) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
            link VARCHAR(7) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            source_database VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
            source_table VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
            place INT UNSIGNED NOT NULL,
            destination_database VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
            destination_table VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
            name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
            definition LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
            PRIMARY KEY (task, link, source_database, source_table, place)
        ) ENGINE=InnoDB COMMENT='Causeway: keys that are made when full sync has copied the rows'",
    ),
    (
        "copied",
        "CREATE TABLE IF NOT EXISTS causeway.copied (
            task VARCHAR(96) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
            link VARCHAR(7) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            source_database VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
            source_table VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
            copied_from LONGTEXT CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            copied_until LONGTEXT CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            PRIMARY KEY (task, link, source_database, source_table)
        ) ENGINE=InnoDB COMMENT='Causeway: tables copied for themselves, and which changes may meet the copy'",
    ),
    (
        "source_files",
        "CREATE TABLE IF NOT EXISTS causeway.source_files (
            task VARCHAR(96) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
            link VARCHAR(7) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            file INT UNSIGNED NOT NULL,
            created INT UNSIGNED NOT NULL,
            first_us BIGINT UNSIGNED NOT NULL,
            PRIMARY KEY (task, link, file)
        ) ENGINE=InnoDB COMMENT='Causeway: binlog files of a source without GTIDs, and when they were made'",
    ),
    (
        "lineage",
        "CREATE TABLE IF NOT EXISTS causeway.lineage (
            task VARCHAR(96) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
            link VARCHAR(7) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            server_uuid CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            passed LONGTEXT CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            PRIMARY KEY (task, link)
        ) ENGINE=InnoDB COMMENT='Causeway: which server a link read last, and which of its transactions carried nothing'",
    ),
    (
        "heartbeat",
        "CREATE TABLE IF NOT EXISTS causeway.heartbeat (
            task VARCHAR(96) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
            link VARCHAR(7) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            at TIMESTAMP(6) NOT NULL,
            PRIMARY KEY (task, link)
        ) ENGINE=InnoDB COMMENT='Causeway: one row a second, so that lag is known when nothing changes'",
    ),
];

/// Which part of its work a link is at, as kept in slot 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The position that changes will be followed from is fixed, in `applied`; nothing else has been done.
    Prepared,
    /// Making tables.
    Schema,
    /// Copying rows; `applied` is the position that changes will be followed from.
    Full,
    /// Following changes.
    Incremental,
}

impl Stage {
    /// As in the `phase` column.
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Prepared => "prepared",
            Stage::Schema => "schema",
            Stage::Full => "full",
            Stage::Incremental => "incremental",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Stage::Prepared, Stage::Schema, Stage::Full, Stage::Incremental]
            .into_iter()
            .find(|stage| stage.as_str() == text)
    }
}

/// Which link a checkpoint belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LinkKey {
    /// The task, told apart from an earlier one of the same name.
    pub task: String,
    /// Its direction.
    pub direction: Direction,
}

impl LinkKey {
    /// `task = … AND link = …`.
    pub fn condition(&self) -> String {
        format!("task = {} AND link = '{}'", literal::string(&self.task), self.direction)
    }

    /// `'task','link'` for VALUES lists.
    pub fn values(&self) -> String {
        format!("{},'{}'", literal::string(&self.task), self.direction)
    }
}

/// What a link that starts finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The epoch this start owns.
    pub epoch: u64,
    /// What it is at; `None`: the link has never been started.
    pub stage: Option<Stage>,
    /// Everything of the source that has been applied.
    pub applied: GtidSet,
    /// Up to here changes may meet rows that full sync has copied in a later state.
    pub tolerant_until: GtidSet,
    /// Number of the last statement of the other link that is covered by `applied`.
    pub ddl: u64,
}

/// Makes the `causeway` schema where it is not there yet. Looks first: a `CREATE … IF NOT EXISTS` that does nothing is
/// written to the binlog all the same, and needs the privilege.
///
/// # Errors
/// [`Failure`] if the server refuses.
pub async fn ensure_schema(conn: &mut Conn) -> Result<(), Failure> {
    let failed = |error: mysql_async::Error| {
        Failure::mysql("making the causeway schema (which needs CREATE on causeway.*)", &error)
    };
    let found: Vec<String> = conn
        .query("SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'causeway'")
        .await
        .map_err(failed)?;
    let missing: Vec<&str> = TABLES
        .iter()
        .filter(|(name, _)| !found.iter().any(|table| table == name))
        .map(|(_, create)| *create)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let database: Option<String> = conn
        .query_first("SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = 'causeway'")
        .await
        .map_err(failed)?;
    if database.is_none() {
        conn.query_drop("CREATE DATABASE IF NOT EXISTS causeway CHARACTER SET utf8mb4")
            .await
            .map_err(failed)?;
    }
    for create in missing {
        conn.query_drop(create).await.map_err(failed)?;
    }
    debug_assert_eq!((CHECKPOINT_COLUMNS, INTENT_COLUMNS), ([0, 5, 6], [0, 2, 4, 6]));
    Ok(())
}

/// What the link is at; `None` if it has never been started. Changes nothing.
///
/// # Errors
/// [`Failure`] if the server refuses.
pub async fn stage(conn: &mut Conn, link: &LinkKey) -> Result<Option<Stage>, Failure> {
    let query = format!(
        "SELECT phase FROM causeway.checkpoint WHERE {} AND slot = {LINK_SLOT}",
        link.condition()
    );
    match conn.query_first::<String, _>(query).await {
        Ok(phase) => Ok(phase.and_then(|phase| Stage::parse(&phase))),
        // No such table, no such database; or no privilege, as long as it is not there.
        Err(mysql_async::Error::Server(error)) if matches!(error.code, 1049 | 1146) => Ok(None),
        Err(error) => Err(Failure::mysql("reading the checkpoint", &error)),
    }
}

/// All that the link has applied; `None` if it has never been started. Changes nothing.
///
/// # Errors
/// [`Failure`] if the server refuses, or a row does not make sense.
pub async fn applied(conn: &mut Conn, link: &LinkKey) -> Result<Option<GtidSet>, Failure> {
    if stage(conn, link).await?.is_none() {
        return Ok(None);
    }
    let rows: Vec<String> = conn
        .query(format!(
            "SELECT applied FROM causeway.checkpoint WHERE {}",
            link.condition()
        ))
        .await
        .map_err(|error| Failure::mysql("reading the checkpoint", &error))?;
    let mut applied = GtidSet::new();
    for row in rows {
        let set = row.parse::<GtidSet>();
        applied.union(&set.map_err(|error| {
            Failure::data(format!(
                "a row of causeway.checkpoint for {} is not a GTID set: {error}",
                link.task
            ))
        })?);
    }
    Ok(Some(applied))
}

/// Takes the link over: from here on whoever held it before can't write any more. Waits for a transaction of theirs
/// that is about to commit, then reads what has been applied.
///
/// # Errors
/// [`Failure`] if the server refuses, or a row does not make sense.
pub async fn take_over(conn: &mut Conn, link: &LinkKey, slots: &[u16]) -> Result<Taken, Failure> {
    let failed = |error: mysql_async::Error| Failure::mysql("taking over the checkpoint", &error);
    conn.query_drop("BEGIN").await.map_err(failed)?;
    let rows: Vec<Row> = conn
        .query(format!(
            "SELECT slot, epoch, applied, phase, tolerant_until, ddl FROM causeway.checkpoint WHERE {} FOR UPDATE",
            link.condition()
        ))
        .await
        .map_err(failed)?;
    let mut taken = Taken {
        epoch: 1,
        stage: None,
        applied: GtidSet::new(),
        tolerant_until: GtidSet::new(),
        ddl: 0,
    };
    let mut found = Vec::new();
    for row in &rows {
        let (slot, epoch, applied, phase, tolerant, ddl): (u16, u64, String, String, String, u64) =
            mysql_async::from_row_opt(row.clone()).map_err(|_| {
                Failure::data("a row of causeway.checkpoint has an unexpected type; the table was altered")
            })?;
        let parse = |text: &str| {
            text.parse::<GtidSet>().map_err(|error| {
                Failure::data(format!(
                    "slot {slot} of causeway.checkpoint for {} is no set of transactions: {error}",
                    link.task
                ))
            })
        };
        taken.epoch = taken.epoch.max(epoch + 1);
        taken.applied.union(&parse(&applied)?);
        if slot == LINK_SLOT {
            taken.stage = Stage::parse(&phase);
            taken.tolerant_until = parse(&tolerant)?;
            taken.ddl = ddl;
        }
        found.push(slot);
    }
    let epoch = taken.epoch;
    let mut text = format!(
        "UPDATE causeway.checkpoint SET epoch = {epoch}, sequence = sequence + 1, path = '', applied = '' WHERE {}",
        link.condition()
    );
    if found.contains(&LINK_SLOT) {
        text.push_str(&format!(
            "; UPDATE causeway.checkpoint SET applied = '{}' WHERE {} AND slot = {LINK_SLOT}",
            taken.applied,
            link.condition()
        ));
    }
    for slot in std::iter::once(&LINK_SLOT)
        .chain(slots)
        .filter(|slot| !found.contains(slot))
    {
        text.push_str(&format!(
            "; INSERT INTO causeway.checkpoint (task, link, slot, epoch, sequence, path, applied, phase, tolerant_until) \
             VALUES ({}, {slot}, {epoch}, 0, '', '', '', '')",
            link.values()
        ));
    }
    text.push_str("; COMMIT");
    conn.query_drop(text).await.map_err(failed)?;
    Ok(taken)
}

/// The statement by which a slot says what it has applied; must match one row. `ddl` is the number of the last statement
/// of the other link that precedes it.
pub fn update_slot(link: &LinkKey, slot: u16, epoch: u64, path: &str, ddl: u64, applied: &GtidSet) -> String {
    format!(
        "UPDATE causeway.checkpoint SET sequence = sequence + 1, path = {}, ddl = {ddl}, applied = '{applied}' \
         WHERE {} AND slot = {slot} AND epoch = {epoch}",
        literal::string(path),
        link.condition()
    )
}

/// Moves the link to another stage, with what has been applied so far; `also` in the same transaction.
///
/// # Errors
/// [`Failure`] if the server refuses or another process has taken over.
pub async fn set_stage(
    conn: &mut Conn,
    link: &LinkKey,
    epoch: u64,
    stage: Stage,
    applied: &GtidSet,
    tolerant_until: &GtidSet,
    also: &[String],
) -> Result<(), Failure> {
    let failed = |error: mysql_async::Error| Failure::mysql("moving the checkpoint to another phase", &error);
    conn.query_drop("BEGIN").await.map_err(failed)?;
    let result = conn
        .query_iter(format!(
            "UPDATE causeway.checkpoint SET sequence = sequence + 1, path = '', applied = '{applied}', phase = '{}', \
             tolerant_until = '{tolerant_until}' WHERE {} AND slot = {LINK_SLOT} AND epoch = {epoch}",
            stage.as_str(),
            link.condition()
        ))
        .await
        .map_err(failed)?;
    let rows = result.affected_rows();
    result.drop_result().await.map_err(failed)?;
    if rows != 1 {
        conn.query_drop("ROLLBACK").await.map_err(failed)?;
        return Err(fenced(link));
    }
    for statement in also {
        conn.query_drop(statement).await.map_err(failed)?;
    }
    conn.query_drop("COMMIT").await.map_err(failed)
}

/// Moves the watermark; `also` in the same transaction.
///
/// # Errors
/// [`Failure`] if the server refuses or another process has taken over.
pub async fn set_watermark(
    conn: &mut Conn,
    link: &LinkKey,
    epoch: u64,
    ddl: u64,
    applied: &GtidSet,
    also: &str,
) -> Result<(), Failure> {
    let failed = |error: mysql_async::Error| Failure::mysql("moving the watermark", &error);
    let update = update_slot(link, LINK_SLOT, epoch, "", ddl, applied);
    let mut result = conn
        .query_iter(format!("BEGIN; {update}; {also}"))
        .await
        .map_err(failed)?;
    // The packet's second statement.
    result.next().await.map_err(failed)?;
    let rows = result.affected_rows();
    result.drop_result().await.map_err(failed)?;
    if rows == 1 {
        conn.query_drop("COMMIT").await.map_err(failed)
    } else {
        conn.query_drop("ROLLBACK").await.map_err(failed)?;
        Err(fenced(link))
    }
}

/// Another process owns the link now.
pub fn fenced(link: &LinkKey) -> Failure {
    Failure::data(format!(
        "another Causeway process has taken over the {} link of task {}; this one has stopped writing. Make sure that \
         the task runs in one process only, then RESUME it there",
        link.direction, link.task
    ))
}

/// Removes what a task keeps on a server.
///
/// # Errors
/// [`Failure`] if the server refuses.
pub async fn remove(conn: &mut Conn, task: &str) -> Result<(), Failure> {
    let found: Vec<String> = conn
        .query("SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'causeway'")
        .await
        .map_err(|error| Failure::mysql("removing the checkpoint", &error))?;
    for (table, _) in TABLES
        .iter()
        .filter(|(name, _)| found.iter().any(|table| table == name))
    {
        conn.query_drop(format!(
            "DELETE FROM causeway.{table} WHERE task = {}",
            literal::string(task)
        ))
        .await
        .map_err(|error| Failure::mysql("removing the checkpoint", &error))?;
    }
    Ok(())
}
