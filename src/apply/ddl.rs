//! Statements that commit by themselves.
//!
//! Such a statement can't share a transaction with its checkpoint, so an intent is committed before it: which
//! statement, and a digest of the definitions it touches. After a crash the digest tells whether it took effect; if
//! not, it is run again. Nothing else of the link is at work from before the intent until after the checkpoint.
//!
//! A server goes on with a statement whose client is gone, and until it is done the digest says nothing. So the
//! session that runs it holds a lock of the server's (`GET_LOCK`), which ends with the session and not before.
//!
//! What has been run stays in `causeway.ddl` for a while, with a number: the other link finds there what rows mean that
//! are older than the statement ([`history`]), and sees by the row that the statement in its source's log is an echo.

use mysql_async::{Conn, Row, prelude::Queryable};
use sha2::{Digest, Sha256};

use crate::{
    binlog::query::QueryStatus,
    failure::{Failure, Kind, kind_of},
    model::{
        change::Site,
        gtid::{Gtid, GtidSet},
        history::{Details, HistoryEntry},
        name::{OWN_DATABASE, TableName},
        stored::StoredName,
    },
    plan::{assemble::INTENDED, path},
    sql::{
        ident,
        literal::{self, SESSION},
    },
};

use super::{
    checkpoint::{self, LINK_SLOT, LinkKey},
    session::Session,
};

/// How long a statement of a lost connection is waited for before the link starts over.
const LOCK_WAIT_S: u32 = 10;

/// Characters of a statement that a message shows.
const SHOWN_CHARACTERS: usize = 200;

/// `state` of a statement that has been run.
const DONE: &str = "done";
/// `state` of a statement on the shadow of a table, kept until the shadow takes the table's place.
const HIDDEN: &str = "hidden";
/// `state` of a statement that was passed by in the end.
const WITHDRAWN: &str = "passed";

/// A statement to apply.
#[derive(Debug)]
pub struct Job<'a> {
    /// The link.
    pub link: &'a LinkKey,
    /// The epoch this process owns.
    pub epoch: u64,
    /// Its GTID at the source.
    pub gtid: &'a Gtid,
    /// Its place among the statements that come of one of the source's, from 0.
    pub step: usize,
    /// The statement, with the destination's names.
    pub statement: &'a str,
    /// The session it ran in at the source.
    pub status: &'a QueryStatus,
    /// The destination's tables that it makes, changes or drops.
    pub tables: &'a [TableName],
    /// The destination's databases that it makes, changes or drops.
    pub databases: &'a [String],
    /// What it means for rows that are older.
    pub details: &'a Details,
    /// Statements with a lower number are of no use any more.
    pub keep_from: u64,
    /// The destination's views, routines, triggers and events that it makes, changes or drops.
    pub stored: &'a [StoredName],
    /// The database of the destination in which it looks up names without one.
    pub default_database: Option<&'a str>,
    /// The statement in the character set of the client that ran it at the source, and the collation that stands for that:
    /// views and the like are kept with the character set they were made in.
    pub encoded: Option<(u16, &'a [u8])>,
    /// Everything applied before it.
    pub applied: &'a GtidSet,
}

impl Job<'_> {
    /// Everything that has been applied once the statement has.
    fn applied_with_it(&self) -> GtidSet {
        let mut applied = self.applied.clone();
        applied.insert(self.gtid);
        applied
    }

    /// What the statement is called in `causeway.ddl`.
    fn origin(&self) -> String {
        match self.step {
            0 => self.gtid.to_string(),
            step => format!("{}#{step}", self.gtid),
        }
    }
}

/// Lets the statement take effect, unless it has already. Returns its number; [`finish`] comes next.
///
/// # Errors
/// [`Failure`]. If the destination has refused the statement the intent is taken back: what is tried next is tried on
/// whatever definition the operator has made meanwhile. Otherwise it stays, and the next try finds out how far this one came.
pub async fn apply(session: &mut Session, job: &Job<'_>) -> Result<u64, Failure> {
    lock(session, job).await?;
    let digest = digest(session, job).await?;
    let known: Option<(u64, String, String, String)> = session
        .conn()
        .query_first(format!(
            "SELECT number, digest, state, statement FROM causeway.ddl WHERE {} AND gtid = '{}' \
             ORDER BY number DESC LIMIT 1",
            job.link.condition(),
            job.origin()
        ))
        .await
        .map_err(|error| Failure::mysql("reading causeway.ddl", &error))?;
    let (number, took_effect) = match known {
        Some((number, _, state, _)) if state == DONE => (number, true),
        Some((_, _, state, begun)) if state == INTENDED && begun != job.statement => return Err(in_doubt(job, &begun)),
        Some((number, before, state, _)) if state == INTENDED => (number, before != digest),
        _ => (intend(session, job, &digest).await?, false),
    };
    if took_effect {
        return Ok(number);
    }
    match run(session, job).await {
        Ok(()) => Ok(number),
        Err(failure) => {
            if failure.kind == Kind::Data {
                withdraw(session.conn(), job.link, job.gtid).await?;
            }
            Err(failure)
        }
    }
}

/// The task was altered after a statement had been begun, and the definitions that its digest is of are not those that
/// the statement touches now.
fn in_doubt(job: &Job<'_>, begun: &str) -> Failure {
    Failure::data(format!(
        "the DDL statement of {} was begun at the destination as: {}, and the task was altered before it was known to be \
         done; now it would read: {}. See at the destination whether it took effect, then decide on it: RESUME SYNC TASK … \
         SKIP passes it by, APPLY '…' runs what is missing",
        job.gtid,
        excerpt(begun),
        excerpt(job.statement)
    ))
}

/// Runs a statement that changes rows, in one transaction with the checkpoint that passes it. `path` are the sites that
/// the change has been at. Returns what has been applied then.
///
/// # Errors
/// [`Failure`]; nothing has been changed then, except where the connection was lost during the commit.
pub async fn change_rows(session: &mut Session, job: &Job<'_>, path: &[Site]) -> Result<GtidSet, Failure> {
    let applied = job.applied_with_it();
    let update = checkpoint::update_slot(job.link, LINK_SLOT, job.epoch, &path::print(path), 0, &applied);
    let doing = || format!("running what stands for the statement {} at the destination", job.gtid);
    let failed = |error: mysql_async::Error| Failure::mysql(doing(), &error);
    session.run("BEGIN").await.map_err(failed)?;
    let result = match session.run(update).await {
        Ok(1) => session.run(job.statement).await.map(drop).map_err(failed),
        Ok(_) => Err(checkpoint::fenced(job.link)),
        Err(error) => Err(failed(error)),
    };
    match result {
        Ok(()) => session.run("COMMIT").await.map(|_| applied).map_err(failed),
        Err(failure) => {
            session.run("ROLLBACK").await.map_err(failed)?;
            Err(failure)
        }
    }
}

/// Keeps a statement on a shadow for the time when the shadow takes the table's place; nothing is run. Moves the
/// checkpoint past it. Returns what has been applied then.
///
/// # Errors
/// [`Failure`]; nothing is kept then.
pub async fn hide(session: &mut Session, job: &Job<'_>) -> Result<GtidSet, Failure> {
    let applied = job.applied_with_it();
    let number = next_number(session.conn(), job.link).await?;
    transaction(session, job.link, job.epoch, &applied, insert(job, number, HIDDEN, "")?).await?;
    Ok(applied)
}

/// The statements that were kept for `shadows` (the source's names), in their order.
///
/// # Errors
/// [`Failure`] if the server refuses.
pub async fn hidden(conn: &mut Conn, link: &LinkKey, shadows: &[TableName]) -> Result<Vec<HistoryEntry>, Failure> {
    let mut kept = entries(conn, link, &format!("state = '{HIDDEN}'")).await?;
    kept.retain(|entry| {
        entry
            .details
            .shadow
            .as_ref()
            .is_some_and(|shadow| shadows.contains(shadow))
    });
    Ok(kept)
}

/// Forgets statements that were kept by [`hide`].
///
/// # Errors
/// [`Failure`] if the server refuses.
pub async fn forget_hidden(conn: &mut Conn, link: &LinkKey, kept: &[HistoryEntry]) -> Result<(), Failure> {
    let list: Vec<String> = kept.iter().map(|entry| entry.number.to_string()).collect();
    if list.is_empty() {
        return Ok(());
    }
    conn.query_drop(format!(
        "DELETE FROM causeway.ddl WHERE {} AND state = '{HIDDEN}' AND number IN ({})",
        link.condition(),
        list.join(",")
    ))
    .await
    .map_err(|error| Failure::mysql("writing causeway.ddl", &error))
}

/// The statements that a link has run, or is about to, with numbers above `after`, in their order.
///
/// # Errors
/// [`Failure`] if the server refuses, or a row does not make sense.
pub async fn history(conn: &mut Conn, link: &LinkKey, after: u64) -> Result<Vec<HistoryEntry>, Failure> {
    entries(
        conn,
        link,
        &format!("state IN ('{INTENDED}', '{DONE}') AND number > {after}"),
    )
    .await
}

async fn entries(conn: &mut Conn, link: &LinkKey, condition: &str) -> Result<Vec<HistoryEntry>, Failure> {
    let rows: Vec<(u64, String, String, String)> = conn
        .query(format!(
            "SELECT number, gtid, statement, details FROM causeway.ddl WHERE {} AND {condition} ORDER BY number",
            link.condition()
        ))
        .await
        .map_err(|error| Failure::mysql("reading causeway.ddl", &error))?;
    rows.into_iter()
        .map(|(number, gtid, statement, details)| {
            let details = serde_json::from_str(&details).map_err(|error| {
                Failure::data(format!(
                    "row {number} of causeway.ddl for {} can't be read: {error}; was it changed by hand?",
                    link.task
                ))
            })?;
            Ok(HistoryEntry {
                number,
                gtid,
                statement,
                details,
            })
        })
        .collect()
}

/// Writes down what has been applied.
///
/// # Errors
/// [`Failure`] if the server refuses.
pub async fn checkpoint(session: &mut Session, link: &LinkKey, epoch: u64, applied: &GtidSet) -> Result<(), Failure> {
    transaction(session, link, epoch, applied, "DO 0".to_owned()).await
}

/// Passes a statement by: takes back its intent, and moves the checkpoint past it. Returns what has been applied then.
///
/// # Errors
/// [`Failure`]; the statement is still to be dealt with then.
pub async fn skip(session: &mut Session, job: &Job<'_>) -> Result<GtidSet, Failure> {
    let applied = job.applied_with_it();
    transaction(session, job.link, job.epoch, &applied, withdrawal(job.link, job.gtid)).await?;
    Ok(applied)
}

fn withdrawal(link: &LinkKey, gtid: &Gtid) -> String {
    format!(
        "UPDATE causeway.ddl SET state = '{WITHDRAWN}' WHERE {} AND state = '{INTENDED}' \
         AND (gtid = '{gtid}' OR gtid LIKE '{gtid}#%')",
        link.condition()
    )
}

/// Takes back the intent of a statement that is passed by after all.
///
/// # Errors
/// [`Failure`] if the server refuses.
pub async fn withdraw(conn: &mut Conn, link: &LinkKey, gtid: &Gtid) -> Result<(), Failure> {
    conn.query_drop(withdrawal(link, gtid))
        .await
        .map_err(|error| Failure::mysql("withdrawing a DDL statement", &error))
}

/// Waits until no earlier session of the link runs a statement any more, and keeps later ones waiting.
async fn lock(session: &mut Session, job: &Job<'_>) -> Result<(), Failure> {
    let failed = |error: mysql_async::Error| Failure::mysql("locking DDL at the destination", &error);
    let query = format!("SELECT GET_LOCK('{}', {LOCK_WAIT_S})", lock_name(job));
    let got: Option<Option<u8>> = session.conn().query_first(query).await.map_err(failed)?;
    if got.flatten() == Some(1) {
        return Ok(());
    }
    Err(Failure::environment(format!(
        "the destination is still at work on the DDL statement of {} for a connection that was lost; it is waited for",
        job.gtid
    )))
}

/// At most 64 characters.
fn lock_name(job: &Job<'_>) -> String {
    let digest = Sha256::digest(format!("{}\0{}", job.link.task, job.link.direction));
    format!("causeway ddl {}", hex::encode(digest.get(..16).unwrap_or_default()))
}

/// Writes down that statements have taken effect whose GTID has been applied: those of CREATE TABLE … SELECT are finished
/// after its rows, in a transaction of its own, and a crash may come in between; and a table may be taken out of the task
/// after a statement on it was begun. Returns whether others are open still.
///
/// # Errors
/// [`Failure`] if the server refuses.
pub async fn settle(session: &mut Session, link: &LinkKey, epoch: u64, applied: &GtidSet) -> Result<bool, Failure> {
    let open: Vec<(u64, String)> = session
        .conn()
        .query(format!(
            "SELECT number, gtid FROM causeway.ddl WHERE {} AND state = '{INTENDED}'",
            link.condition()
        ))
        .await
        .map_err(|error| Failure::mysql("reading causeway.ddl", &error))?;
    let mut others = false;
    for (number, origin) in open {
        let gtid = origin.split('#').next().and_then(|gtid| gtid.parse::<Gtid>().ok());
        if gtid.is_some_and(|gtid| applied.contains(&gtid)) {
            transaction(session, link, epoch, applied, done(link, number)).await?;
        } else {
            others = true;
        }
    }
    Ok(others)
}

fn done(link: &LinkKey, number: u64) -> String {
    format!(
        "UPDATE causeway.ddl SET state = '{DONE}' WHERE {} AND number = {number}",
        link.condition()
    )
}

/// In one transaction with the fence, so that a process that has lost the link never runs the statement.
async fn transaction(
    session: &mut Session,
    link: &LinkKey,
    epoch: u64,
    applied: &GtidSet,
    second: String,
) -> Result<(), Failure> {
    let update = checkpoint::update_slot(link, LINK_SLOT, epoch, "", 0, applied);
    let outcome = session.run_all(format!("BEGIN;{update};{second}").as_bytes()).await;
    if let Some(error) = outcome.error {
        return Err(Failure::mysql("writing the checkpoint of a DDL statement", &error));
    }
    if outcome.rows.get(1) != Some(&1) {
        session
            .run("ROLLBACK")
            .await
            .map_err(|error| Failure::mysql("rolling back", &error))?;
        return Err(checkpoint::fenced(link));
    }
    session
        .run("COMMIT")
        .await
        .map(drop)
        .map_err(|error| Failure::mysql("committing the checkpoint of a DDL statement", &error))
}

async fn next_number(conn: &mut Conn, link: &LinkKey) -> Result<u64, Failure> {
    let last: Option<Option<u64>> = conn
        .query_first(format!(
            "SELECT MAX(number) FROM causeway.ddl WHERE {}",
            link.condition()
        ))
        .await
        .map_err(|error| Failure::mysql("reading causeway.ddl", &error))?;
    Ok(last.flatten().unwrap_or(0) + 1)
}

fn insert(job: &Job<'_>, number: u64, state: &str, digest: &str) -> Result<String, Failure> {
    let details = serde_json::to_string(job.details)
        .map_err(|error| Failure::data(format!("what a DDL statement means can't be written down: {error}")))?;
    Ok(format!(
        "INSERT INTO causeway.ddl (task, link, number, gtid, statement, digest, state, details) \
         VALUES ({}, {number}, '{}', {}, '{digest}', '{state}', {})",
        job.link.values(),
        job.origin(),
        literal::string(job.statement),
        literal::string(&details),
    ))
}

async fn intend(session: &mut Session, job: &Job<'_>, digest: &str) -> Result<u64, Failure> {
    let number = next_number(session.conn(), job.link).await?;
    let intent = format!(
        "{}; DELETE FROM causeway.ddl WHERE {} AND state IN ('{DONE}', '{WITHDRAWN}') AND number < {}",
        insert(job, number, INTENDED, digest)?,
        job.link.condition(),
        job.keep_from
    );
    transaction(session, job.link, job.epoch, job.applied, intent).await?;
    Ok(number)
}

/// Writes down that a statement has taken effect; moves the checkpoint past it if it is the `last` that comes of one of
/// the source's. Returns what has been applied then.
///
/// # Errors
/// [`Failure`]; the next try finds the intent, and that the statement has taken effect.
pub async fn finish(session: &mut Session, job: &Job<'_>, number: u64, last: bool) -> Result<GtidSet, Failure> {
    let applied = match last {
        true => job.applied_with_it(),
        false => job.applied.clone(),
    };
    transaction(session, job.link, job.epoch, &applied, done(job.link, number)).await?;
    session
        .run(format!("DO RELEASE_LOCK('{}')", lock_name(job)))
        .await
        .map_err(|error| Failure::mysql("unlocking DDL at the destination", &error))?;
    Ok(applied)
}

async fn run(session: &mut Session, job: &Job<'_>) -> Result<(), Failure> {
    let settings = session_of(job);
    let prepare: Vec<String> = settings
        .iter()
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    let tables: Vec<String> = job.tables.iter().map(TableName::to_string).collect();
    let on = if tables.is_empty() {
        String::new()
    } else {
        format!(" on {}", tables.join(", "))
    };
    let doing = |what: &str| format!("{what} the DDL statement of {}{on} at the destination", job.gtid);
    session
        .run(format!("SET {}", prepare.join(", ")))
        .await
        .map_err(|error| Failure::mysql(doing("preparing"), &error))?;
    if let Some(database) = job.default_database {
        let mut chosen = session.run(format!("USE {}", ident::quoted(database))).await;
        // Its database is no concern of the task and is not here. If it names a table without a database it fails.
        if matches!(&chosen, Err(mysql_async::Error::Server(error)) if error.code == 1049) {
            chosen = session.run(format!("USE {OWN_DATABASE}")).await;
        }
        chosen.map_err(|error| Failure::mysql(doing("choosing the default database of"), &error))?;
    }
    let result = match job.encoded {
        Some((_, statement)) => session.run(statement).await,
        None => session.run(job.statement).await,
    };
    let defaults: Vec<String> = settings.iter().map(|(name, _)| format!("{name} = DEFAULT")).collect();
    let restored = session.run(format!("SET {}, {SESSION}", defaults.join(", "))).await;
    if job.default_database.is_some() {
        // The one that every session of ours has, see `connect`.
        let restored = session.run("USE information_schema").await;
        restored.map_err(|error| Failure::mysql(doing("finishing"), &error))?;
    }
    match result {
        Ok(_) => {}
        Err(error) if kind_of(&error) == Kind::Environment => return Err(Failure::mysql(doing("running"), &error)),
        Err(error) => {
            let failure = Failure::mysql(doing("running"), &error);
            let shown = excerpt(job.statement);
            return Err(Failure::data(format!(
                "{failure}. It reads: {shown}. Make the destination's definition fit, then RESUME the task, or decide on \
                 the statement with RESUME SYNC TASK … SKIP or APPLY '…'"
            )));
        }
    }
    restored
        .map(drop)
        .map_err(|error| Failure::mysql(doing("finishing"), &error))
}

/// As much of a statement as a message takes; `sync.ddl` has the whole.
fn excerpt(statement: &str) -> String {
    let mut shown: String = statement.chars().take(SHOWN_CHARACTERS).collect();
    if shown.len() < statement.len() {
        shown.push_str("… (the whole stands in sync.ddl)");
    }
    shown
}

/// The settings a DDL depends on, as the source had them. Collations go by number, as in the binlog.
fn session_of(job: &Job<'_>) -> Vec<(&'static str, String)> {
    let status = job.status;
    let (increment, offset) = status.auto_increment.unwrap_or((1, 1));
    let mut settings = vec![
        // ALTER TABLE gives numbers to the rows that are there.
        ("auto_increment_increment", increment.to_string()),
        ("auto_increment_offset", offset.to_string()),
    ];
    let mut set = |name, value: Option<String>| settings.extend(value.map(|value| (name, value)));
    let number = |collation: Option<u16>| collation.map(|number| number.to_string());
    let switch = |on: Option<bool>| on.map(|on| u8::from(on).to_string());
    set(
        "character_set_client",
        job.encoded.map(|(charset, _)| charset.to_string()),
    );
    // What the destination's parser sees is our text, which is escaped for no mode in particular: the modes that
    // change how text is read are the source's too.
    set("sql_mode", status.sql_mode.map(|mode| mode.to_string()));
    set("foreign_key_checks", switch(status.foreign_key_checks()));
    set("collation_connection", number(status.collation_connection));
    set("collation_server", number(status.collation_server));
    // That of the default database, if there was one, which is set with it.
    set(
        "collation_database",
        number(status.collation_database.or(status.collation_server)),
    );
    set(
        "default_collation_for_utf8mb4",
        number(status.default_collation_for_utf8mb4),
    );
    set(
        "explicit_defaults_for_timestamp",
        switch(status.explicit_defaults_for_timestamp),
    );
    set("default_table_encryption", switch(status.default_table_encryption));
    set("time_zone", status.time_zone.as_deref().map(literal::string));
    // What a new column with the current time gets, and when an event begins.
    let fraction = status.microseconds.unwrap_or(0);
    set(
        "timestamp",
        status.timestamp.map(|seconds| format!("{seconds}.{fraction:06}")),
    );
    settings
}

/// What the statement touches, as it is now. `AUTO_INCREMENT` moves with every insert and is left out; the time of
/// creation is in, for TRUNCATE changes nothing else.
async fn digest(session: &mut Session, job: &Job<'_>) -> Result<String, Failure> {
    let failed = |error: mysql_async::Error| Failure::mysql("reading the definitions that a DDL touches", &error);
    let mut hasher = Sha256::new();
    for table in job.tables {
        let created: Option<String> = session
            .conn()
            .query_first(format!(
                "SELECT CAST(CREATE_TIME AS CHAR) FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
                literal::string(&table.database),
                literal::string(&table.table)
            ))
            .await
            .map_err(failed)?
            .flatten();
        hasher.update(format!("{table}\0{created:?}\0"));
        let text = show_create(session, &format!("TABLE {}", ident::quoted_table(table))).await?;
        hasher.update(without_auto_increment(&text.unwrap_or_default()));
    }
    for database in job.databases {
        let text = show_create(session, &format!("DATABASE {}", ident::quoted(database))).await?;
        hasher.update(format!("{database}\0{text:?}\0"));
    }
    for stored in job.stored {
        let text = show_stored(session, stored).await?;
        hasher.update(format!("{stored}\0{text:?}\0"));
    }
    Ok(hex::encode(hasher.finalize()))
}

/// All that SHOW CREATE says of it: also the character set and `sql_mode` it was made under.
async fn show_stored(session: &mut Session, stored: &StoredName) -> Result<Option<Vec<Option<String>>>, Failure> {
    let (keyword, name) = (stored.kind.keyword(), ident::quoted_table(&stored.name));
    let row: Result<Option<Row>, _> = session
        .conn()
        .query_first(format!("SHOW CREATE {keyword} {name}"))
        .await;
    match row {
        Ok(row) => Ok(row.map(|row| {
            let texts =
                (0..row.len()).map(|place| row.get_opt::<Option<String>, _>(place).and_then(Result::ok).flatten());
            texts.collect()
        })),
        // Not there; a table in its place; a view that is broken.
        Err(mysql_async::Error::Server(error))
            if matches!(error.code, 1049 | 1146 | 1305 | 1347 | 1356 | 1360 | 1539) =>
        {
            Ok(None)
        }
        Err(error) => Err(Failure::mysql(
            format_args!("reading the definition of {stored}"),
            &error,
        )),
    }
}

async fn show_create(session: &mut Session, what: &str) -> Result<Option<String>, Failure> {
    let row: Result<Option<Row>, _> = session.conn().query_first(format!("SHOW CREATE {what}")).await;
    match row {
        Ok(row) => Ok(row.and_then(|row| row.get_opt::<String, _>(1).and_then(Result::ok))),
        // No such table, database; a view in its place that is broken.
        Err(mysql_async::Error::Server(error)) if matches!(error.code, 1146 | 1049 | 1356) => Ok(None),
        Err(error) => Err(Failure::mysql("reading the definitions that a DDL touches", &error)),
    }
}

fn without_auto_increment(create: &str) -> String {
    match create.rfind(" AUTO_INCREMENT=") {
        Some(from) => {
            let (head, tail) = create.split_at(from);
            let rest = tail
                .trim_start_matches(" AUTO_INCREMENT=")
                .trim_start_matches(|c: char| c.is_ascii_digit());
            format!("{head}{rest}")
        }
        None => create.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_does_not_see_the_auto_increment_counter() {
        assert_eq!(
            without_auto_increment("CREATE TABLE t (a int) ENGINE=InnoDB AUTO_INCREMENT=12 DEFAULT CHARSET=utf8mb4"),
            "CREATE TABLE t (a int) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"
        );
    }
}
