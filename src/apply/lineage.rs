//! What tells a server from another one, kept in the `causeway` schema, so that it comes along wherever the data go: to a
//! replica that takes the server's place.
//!
//! `causeway.site` has one row: the site that paths of transactions name ([`crate::plan::path`]). It is the `server_uuid`
//! of the server on which it was made, by whoever first wrote there; a promoted replica has it from its source, so what
//! has been at the old server has been at the new one. `causeway.lineage` has a row per link, at the link's destination:
//! which server it read last, and which of the transactions in its checkpoint carried nothing
//! ([`crate::model::lineage`]).

use mysql_async::{Conn, Row, prelude::Queryable};

use crate::{
    failure::Failure,
    model::{change::Site, gtid::GtidSet, lineage::Covered},
    sql::literal,
};

use super::checkpoint::{LINK_SLOT, LinkKey, Stage};

/// Makes the row of `causeway.site` if it is not there. Looks first, as [`super::checkpoint::ensure_schema`] does.
///
/// # Errors
/// [`Failure`] if the server refuses.
pub async fn ensure_site(conn: &mut Conn) -> Result<(), Failure> {
    if site(conn).await?.is_some() {
        return Ok(());
    }
    for statement in [
        "CREATE TABLE IF NOT EXISTS causeway.site (
            id TINYINT UNSIGNED NOT NULL PRIMARY KEY,
            site VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL
        ) ENGINE=InnoDB COMMENT='Causeway: what this server is called in paths, also as a promoted replica'",
        "INSERT IGNORE INTO causeway.site (id, site) VALUES (1, @@server_uuid)",
    ] {
        conn.query_drop(statement).await.map_err(|error| {
            Failure::mysql(
                "making causeway.site (which needs CREATE and INSERT on causeway.*)",
                &error,
            )
        })?;
    }
    Ok(())
}

/// The server's site, if anybody has written to it yet.
///
/// # Errors
/// [`Failure`] if the server refuses.
pub async fn site(conn: &mut Conn) -> Result<Option<Site>, Failure> {
    let found = conn.query_first("SELECT site FROM causeway.site WHERE id = 1").await;
    or_nothing(found, "reading causeway.site")
}

/// What the link's checkpoint, at this server, says of its source; nothing if the link has never been started.
///
/// # Errors
/// [`Failure`] if the server refuses, or a row does not make sense.
pub async fn covered(conn: &mut Conn, link: &LinkKey) -> Result<Covered, Failure> {
    let doing = "reading the checkpoint";
    let mut covered = Covered::default();
    let condition = link.condition();
    let checkpoint = format!("SELECT slot, applied, tolerant_until, phase FROM causeway.checkpoint WHERE {condition}");
    let rows: Vec<(u16, String, String, String)> = or_nothing(conn.query(checkpoint).await, doing)?;
    for (slot, applied, tolerant_until, phase) in rows {
        covered.applied.union(&parse(&applied, "checkpoint")?);
        if slot == LINK_SLOT {
            covered.copied.union(&parse(&tolerant_until, "checkpoint")?);
            covered.copying = [Stage::Schema, Stage::Full].iter().any(|stage| stage.as_str() == phase);
        }
    }
    let copied = format!("SELECT DISTINCT copied_from, copied_until FROM causeway.copied WHERE {condition}");
    let rows: Vec<(String, String)> = or_nothing(conn.query(copied).await, doing)?;
    for (from, until) in rows {
        covered.copied.union(&parse(&from, "copied")?);
        covered.copied.union(&parse(&until, "copied")?);
        covered.copying |= until.is_empty();
    }
    let lineage = format!("SELECT server_uuid, passed FROM causeway.lineage WHERE {condition}");
    let row: Option<Row> = or_nothing(conn.query_first(lineage).await, doing)?;
    if let Some(row) = row {
        let (server_uuid, passed): (String, String) = mysql_async::from_row_opt(row)
            .map_err(|_| Failure::data("a row of causeway.lineage has an unexpected type; the table was altered"))?;
        (covered.server_uuid, covered.passed) = (server_uuid, parse(&passed, "lineage")?);
    }
    Ok(covered)
}

/// The statement that says which server the link reads, and which transactions carried nothing.
pub fn update(link: &LinkKey, server_uuid: &str, passed: &GtidSet) -> String {
    format!(
        "REPLACE INTO causeway.lineage (task, link, server_uuid, passed) VALUES ({}, {}, '{passed}')",
        link.values(),
        literal::string(server_uuid)
    )
}

fn parse(text: &str, table: &str) -> Result<GtidSet, Failure> {
    text.parse()
        .map_err(|error| Failure::data(format!("a row of causeway.{table} is not a GTID set: {error}")))
}

/// Nothing, where the table or the schema is not there yet; or is not shown to the account, as long as it is not there.
fn or_nothing<T: Default>(found: mysql_async::Result<T>, doing: &str) -> Result<T, Failure> {
    match found {
        Ok(found) => Ok(found),
        Err(mysql_async::Error::Server(error)) if matches!(error.code, 1044 | 1049 | 1142 | 1146) => Ok(T::default()),
        Err(error) => Err(Failure::mysql(doing, &error)),
    }
}
