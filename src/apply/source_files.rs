//! Which binlog files of a source without GTIDs a link has come to, and when the source made each.
//!
//! A position in a file says nothing of which file it was: after `RESET BINARY LOGS`, or with other data under the same
//! address, names come again. When the file was made stands at its head, in seconds, and when its first transaction was
//! committed at the head of that. Both are written down before anything of it is applied, so there is a row for every file
//! that a checkpoint may lead back to.

use mysql_async::{Conn, prelude::Queryable};

use crate::{failure::Failure, model::gtid::GtidSet};

use super::checkpoint::{LINK_SLOT, LinkKey};

fn failed(error: &mysql_async::Error) -> Failure {
    Failure::mysql("writing down which binlog file of the source is read", error)
}

/// A binlog file of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Its number.
    pub file: u32,
    /// When it was made, in seconds since the Unix epoch.
    pub created: u32,
    /// When its first transaction was committed, in microseconds since the Unix epoch; `None`: not known (yet).
    pub first_us: Option<u64>,
}

/// Changes will be followed from this file on. Whatever is there is of an earlier try.
///
/// # Errors
/// [`Failure`] if the server refuses.
pub async fn begin(conn: &mut Conn, link: &LinkKey, file: &SourceFile) -> Result<(), Failure> {
    conn.query_drop(format!("DELETE FROM causeway.source_files WHERE {}", link.condition()))
        .await
        .map_err(|error| failed(&error))?;
    write(conn, link, file).await
}

async fn write(conn: &mut Conn, link: &LinkKey, file: &SourceFile) -> Result<(), Failure> {
    conn.query_drop(format!(
        "REPLACE INTO causeway.source_files (task, link, file, created, first_us) VALUES ({}, {}, {}, {})",
        link.values(),
        file.file,
        file.created,
        file.first_us.unwrap_or(0)
    ))
    .await
    .map_err(|error| failed(&error))
}

/// Whether this is the file that the link has read before, if it has read one of this number; `must_be_known`: it has.
/// Files that the checkpoint has left are forgotten.
///
/// # Errors
/// [`Failure`] if the server refuses.
pub async fn meet(conn: &mut Conn, link: &LinkKey, file: &SourceFile, must_be_known: bool) -> Result<bool, Failure> {
    let known: Option<(u32, u64)> = conn
        .query_first(format!(
            "SELECT created, first_us FROM causeway.source_files WHERE {} AND file = {}",
            link.condition(),
            file.file
        ))
        .await
        .map_err(|error| failed(&error))?;
    match (known, file.first_us) {
        (None, _) if must_be_known => return Ok(false),
        (None, _) => write(conn, link, file).await?,
        (Some((created, _)), _) if created != file.created => return Ok(false),
        (Some((_, 0)), Some(_)) => return write(conn, link, file).await.map(|()| true),
        (Some((_, known)), Some(first_us)) if known != first_us => return Ok(false),
        _ => {}
    }
    // What is done may be ahead of what has been written down of it.
    let written: Option<String> = conn
        .query_first(format!(
            "SELECT applied FROM causeway.checkpoint WHERE {} AND slot = {LINK_SLOT}",
            link.condition()
        ))
        .await
        .map_err(|error| failed(&error))?;
    let written = written.and_then(|text| text.parse::<GtidSet>().ok());
    if let Some((_, end)) = written.and_then(|set| set.file_position()) {
        conn.query_drop(format!(
            "DELETE FROM causeway.source_files WHERE {} AND file < {}",
            link.condition(),
            end.file
        ))
        .await
        .map_err(|error| failed(&error))?;
    }
    Ok(true)
}
