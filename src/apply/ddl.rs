//! Statements that commit by themselves.
//!
//! Such a statement can't share a transaction with its checkpoint, so an intent is committed before it: which
//! statement, and a digest of the definitions it touches. After a crash the digest tells whether it took effect; if
//! not, it is run again. Nothing else of the link is at work from before the intent until after the checkpoint.
//!
//! A server goes on with a statement whose client is gone, and until it is done the digest says nothing. So the
//! session that runs it holds a lock of the server's (`GET_LOCK`), which ends with the session and not before.

use mysql_async::{Row, prelude::Queryable};
use sha2::{Digest, Sha256};

use crate::{
    binlog::query::QueryStatus,
    failure::{Failure, Kind, kind_of},
    model::{
        gtid::{Gtid, GtidSet},
        name::TableName,
    },
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

/// A statement to apply.
#[derive(Debug)]
pub struct Job<'a> {
    /// The link.
    pub link: &'a LinkKey,
    /// The epoch this process owns.
    pub epoch: u64,
    /// Its GTID at the source.
    pub gtid: &'a Gtid,
    /// The statement, with the destination's names.
    pub statement: &'a str,
    /// The session it ran in at the source.
    pub status: &'a QueryStatus,
    /// The destination's tables that it makes, changes or drops.
    pub tables: &'a [TableName],
    /// The destination's databases that it makes, changes or drops.
    pub databases: &'a [String],
    /// Everything applied before it.
    pub applied: &'a GtidSet,
}

/// Lets the statement take effect, unless it has already. [`finish`] comes next.
///
/// # Errors
/// [`Failure`]; the intent stays, and the next try finds out how far this one came.
pub async fn apply(session: &mut Session, job: &Job<'_>) -> Result<(), Failure> {
    lock(session, job).await?;
    let digest = digest(session, job).await?;
    let intended: Option<(String, String)> = session
        .conn()
        .query_first(format!(
            "SELECT gtid, digest FROM causeway.ddl WHERE task = {} AND link = '{}'",
            literal::string(&job.link.task),
            job.link.direction
        ))
        .await
        .map_err(|error| Failure::mysql("reading causeway.ddl", &error))?;
    let took_effect = match intended {
        Some((gtid, before)) if gtid == job.gtid.to_string() => before != digest,
        _ => {
            intend(session, job, &digest).await?;
            false
        }
    };
    if !took_effect {
        run(session, job).await?;
    }
    Ok(())
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

/// In one transaction with the fence, so that a process that has lost the link never runs the statement.
async fn transaction(session: &mut Session, job: &Job<'_>, applied: &GtidSet, second: String) -> Result<(), Failure> {
    let update = checkpoint::update_slot(job.link, LINK_SLOT, job.epoch, "", applied);
    let outcome = session.run_all(format!("BEGIN;{update};{second}").into_bytes()).await;
    if let Some(error) = outcome.error {
        return Err(Failure::mysql("writing the checkpoint of a DDL statement", &error));
    }
    if outcome.rows.get(1) != Some(&1) {
        session
            .run("ROLLBACK")
            .await
            .map_err(|error| Failure::mysql("rolling back", &error))?;
        return Err(checkpoint::fenced(job.link));
    }
    session
        .run("COMMIT")
        .await
        .map(drop)
        .map_err(|error| Failure::mysql("committing the checkpoint of a DDL statement", &error))
}

async fn intend(session: &mut Session, job: &Job<'_>, digest: &str) -> Result<(), Failure> {
    let intent = format!(
        "REPLACE INTO causeway.ddl (task, link, gtid, statement, digest) VALUES ({}, '{}', {}, '{digest}')",
        job.link.values(),
        job.gtid,
        literal::string(job.statement)
    );
    transaction(session, job, job.applied, intent).await
}

/// Moves the checkpoint past a statement that has taken effect. Returns what has been applied then.
///
/// # Errors
/// [`Failure`]; the next try finds the intent, and that the statement has taken effect.
pub async fn finish(session: &mut Session, job: &Job<'_>) -> Result<GtidSet, Failure> {
    let mut applied = job.applied.clone();
    applied.insert(job.gtid);
    let done = format!(
        "DELETE FROM causeway.ddl WHERE task = {} AND link = '{}'",
        literal::string(&job.link.task),
        job.link.direction
    );
    transaction(session, job, &applied, done).await?;
    session
        .run(format!("DO RELEASE_LOCK('{}')", lock_name(job)))
        .await
        .map_err(|error| Failure::mysql("unlocking DDL at the destination", &error))?;
    Ok(applied)
}

async fn run(session: &mut Session, job: &Job<'_>) -> Result<(), Failure> {
    let prepare = session_of(job.status);
    let doing = |what: &str| format!("{what} the DDL statement of {} at the destination", job.gtid);
    if !prepare.is_empty() {
        session
            .run(format!("SET {prepare}"))
            .await
            .map_err(|error| Failure::mysql(doing("preparing"), &error))?;
    }
    let result = session.run(job.statement).await;
    let restored = session.run(format!("SET {SESSION}")).await;
    match result {
        Ok(_) => {}
        Err(error) if kind_of(&error) == Kind::Environment => return Err(Failure::mysql(doing("running"), &error)),
        Err(error) => {
            let failure = Failure::mysql(doing("running"), &error);
            return Err(Failure::data(format!(
                "{failure}. It stands in sync.ddl; make the destination's definition fit, then RESUME the task"
            )));
        }
    }
    restored
        .map(drop)
        .map_err(|error| Failure::mysql(doing("finishing"), &error))
}

/// The settings a DDL depends on, as the source had them. Collations go by number, as in the binlog.
fn session_of(status: &QueryStatus) -> String {
    let mut settings = Vec::new();
    if let Some(mode) = status.sql_mode {
        // What the destination's parser sees is our text, which is escaped for no mode in particular: the modes that
        // change how text is read are the source's too.
        settings.push(format!("sql_mode = {mode}"));
    }
    if let Some(checks) = status.foreign_key_checks() {
        settings.push(format!("foreign_key_checks = {}", u8::from(checks)));
    }
    if let Some(collation) = status.collation_connection {
        settings.push(format!("collation_connection = {collation}"));
    }
    if let Some(collation) = status.collation_server {
        settings.push(format!("collation_server = {collation}"));
    }
    if let Some(zone) = &status.time_zone {
        settings.push(format!("time_zone = {}", literal::string(zone)));
    }
    settings.join(", ")
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
    Ok(hex::encode(hasher.finalize()))
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
