//! Which binlog files of a source without GTIDs a link has come to, and when the source made each.
//!
//! A position in a file says nothing of which file it was: after `RESET BINARY LOGS`, or with other data under the same
//! address, names come again. When the file was made stands at its head. It is written down before anything of the file is
//! applied, so there is a row for every file that a checkpoint may lead back to.

use mysql_async::{Conn, prelude::Queryable};

use crate::failure::Failure;

use super::checkpoint::LinkKey;

fn failed(error: &mysql_async::Error) -> Failure {
    Failure::mysql("writing down which binlog file of the source is read", error)
}

/// Changes will be followed from this file on. Whatever is there is of an earlier try.
///
/// # Errors
/// [`Failure`] if the server refuses.
pub async fn begin(conn: &mut Conn, link: &LinkKey, file: u32, created: u32) -> Result<(), Failure> {
    conn.query_drop(format!("DELETE FROM causeway.source_files WHERE {}", link.condition()))
        .await
        .map_err(|error| failed(&error))?;
    insert(conn, link, file, created).await
}

async fn insert(conn: &mut Conn, link: &LinkKey, file: u32, created: u32) -> Result<(), Failure> {
    conn.query_drop(format!(
        "INSERT INTO causeway.source_files (task, link, file, created) VALUES ({}, {file}, {created})",
        link.values()
    ))
    .await
    .map_err(|error| failed(&error))
}

/// Whether this is the file that the link has read before, if it has read one of this number; `must_be_known`: it has.
/// Files before `oldest` are forgotten.
///
/// # Errors
/// [`Failure`] if the server refuses.
pub async fn meet(
    conn: &mut Conn,
    link: &LinkKey,
    file: u32,
    created: u32,
    oldest: u32,
    must_be_known: bool,
) -> Result<bool, Failure> {
    let known: Option<u32> = conn
        .query_first(format!(
            "SELECT created FROM causeway.source_files WHERE {} AND file = {file}",
            link.condition()
        ))
        .await
        .map_err(|error| failed(&error))?;
    if let Some(known) = known {
        return Ok(known == created);
    }
    if must_be_known {
        return Ok(false);
    }
    conn.query_drop(format!(
        "DELETE FROM causeway.source_files WHERE {} AND file < {oldest}",
        link.condition()
    ))
    .await
    .map_err(|error| failed(&error))?;
    insert(conn, link, file, created).await?;
    Ok(true)
}
