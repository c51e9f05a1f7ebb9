//! QUERY events: the statements in the log, which are BEGIN, DDL and, in statement format, changes; with the session
//! settings they ran under.

use bytes::Bytes;

use super::cursor::{Cursor, identifier};
use super::error::Malformed;

/// `OPTION_NO_FOREIGN_KEY_CHECKS` in [`QueryStatus::flags2`].
const NO_FOREIGN_KEY_CHECKS: u32 = 1 << 26;
/// `OPTION_RELAXED_UNIQUE_CHECKS` in [`QueryStatus::flags2`].
const RELAXED_UNIQUE_CHECKS: u32 = 1 << 27;
/// Instead of a count of databases: there were more than 16, their names are left out.
const TOO_MANY_DATABASES: u8 = 254;

/// A statement in the log.
#[derive(Debug, Clone)]
pub struct Query {
    /// The default database when it ran; may be empty.
    pub schema: String,
    /// The statement, in the character set of the client that sent it.
    pub text: Bytes,
    /// The connection that ran it.
    pub thread_id: u32,
    /// The error it ended with at the source; 0 if it succeeded.
    pub error_code: u16,
    /// The session settings it ran under.
    pub status: QueryStatus,
}

/// Session settings that a statement in the log depends on. `None`: the event does not tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueryStatus {
    /// Bits of `thd->options`: see [`Self::foreign_key_checks`] and [`Self::unique_checks`].
    pub flags2: Option<u32>,
    /// `sql_mode`, as a bit mask.
    pub sql_mode: Option<u64>,
    /// `auto_increment_increment` and `auto_increment_offset`, unless both are 1.
    pub auto_increment: Option<(u16, u16)>,
    /// Collation number that stands for `character_set_client`.
    pub charset_client: Option<u16>,
    /// Collation number of `collation_connection`.
    pub collation_connection: Option<u16>,
    /// Collation number of `collation_server`.
    pub collation_server: Option<u16>,
    /// Collation number of `collation_database`, where it differs from the server's.
    pub collation_database: Option<u16>,
    /// `time_zone`, if the statement used it.
    pub time_zone: Option<String>,
    /// Number of the locale of `lc_time_names`, unless it is en_US.
    pub lc_time_names: Option<u16>,
    /// User and host that an invoker-dependent DDL (a DEFINER) ran as.
    pub invoker: Option<(String, String)>,
    /// The databases it touches; `None` also if there are too many to be listed.
    pub databases: Option<Vec<String>>,
    /// When the statement began, for its clock: seconds since the epoch.
    pub timestamp: Option<u32>,
    /// The microseconds of the statement's start, if it used them.
    pub microseconds: Option<u32>,
    /// `explicit_defaults_for_timestamp` (since 8.0).
    pub explicit_defaults_for_timestamp: Option<bool>,
    /// The XID of a DDL that is atomic (since 8.0).
    pub ddl_xid: Option<u64>,
    /// Collation number of `default_collation_for_utf8mb4` (since 8.0).
    pub default_collation_for_utf8mb4: Option<u16>,
    /// `sql_require_primary_key` (since 8.0).
    pub sql_require_primary_key: Option<bool>,
    /// `default_table_encryption` (since 8.0).
    pub default_table_encryption: Option<bool>,
    /// The first setting that this version of Causeway does not know; it and all behind it could not be read.
    pub unknown: Option<u8>,
}

impl QueryStatus {
    /// The session's `foreign_key_checks`.
    pub fn foreign_key_checks(&self) -> Option<bool> {
        self.flags2.map(|flags| flags & NO_FOREIGN_KEY_CHECKS == 0)
    }

    /// The session's `unique_checks`.
    pub fn unique_checks(&self) -> Option<bool> {
        self.flags2.map(|flags| flags & RELAXED_UNIQUE_CHECKS == 0)
    }
}

impl Query {
    /// Reads the event without header and checksum. `timestamp` is the header's.
    pub(crate) fn parse(body: &Bytes, timestamp: u32) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(body);
        let thread_id = cursor.u32()?;
        cursor.u32()?; // how long it ran, in seconds
        let schema_len = usize::from(cursor.u8()?);
        let error_code = cursor.u16()?;
        let status_len = usize::from(cursor.u16()?);
        let mut status = status(cursor.take(status_len)?)?;
        status.timestamp = Some(timestamp);
        let schema = identifier(cursor.take(schema_len)?)?;
        if cursor.u8()? != 0 {
            return Err(Malformed(
                "the default database's name does not end where its length says",
            ));
        }
        Ok(Self {
            schema,
            text: body.slice_ref(cursor.rest()),
            thread_id,
            error_code,
            status,
        })
    }
}

/// Reads the status block: settings, each behind its number, in no fixed order. Newer servers append settings of
/// their own; as their length is unknown, reading ends there.
fn status(bytes: &[u8]) -> Result<QueryStatus, Malformed> {
    let mut status = QueryStatus::default();
    let mut cursor = Cursor::new(bytes);
    while !cursor.is_empty() {
        match cursor.u8()? {
            0 => status.flags2 = Some(cursor.u32()?),
            1 => status.sql_mode = Some(cursor.u64()?),
            2 => {
                // The catalog as it was before 5.0.4: with a NUL behind it.
                cursor.short_bytes()?;
                cursor.u8()?;
            }
            3 => status.auto_increment = Some((cursor.u16()?, cursor.u16()?)),
            4 => {
                status.charset_client = Some(cursor.u16()?);
                status.collation_connection = Some(cursor.u16()?);
                status.collation_server = Some(cursor.u16()?);
            }
            5 => status.time_zone = Some(identifier(cursor.short_bytes()?)?),
            6 => {
                cursor.short_bytes()?; // the catalog, always "std"
            }
            7 => status.lc_time_names = Some(cursor.u16()?),
            8 => status.collation_database = Some(cursor.u16()?),
            9 => {
                cursor.u64()?; // which tables a multi-table UPDATE changes
            }
            10 => {
                cursor.u32()?; // the event's length at its first server
            }
            11 => {
                let user = identifier(cursor.short_bytes()?)?;
                status.invoker = Some((user, identifier(cursor.short_bytes()?)?));
            }
            12 => status.databases = databases(&mut cursor)?,
            13 => status.microseconds = Some(u32::try_from(cursor.uint(3)?).unwrap_or(0)),
            16 => status.explicit_defaults_for_timestamp = Some(cursor.u8()? != 0),
            17 => status.ddl_xid = Some(cursor.u64()?),
            18 => status.default_collation_for_utf8mb4 = Some(cursor.u16()?),
            19 => status.sql_require_primary_key = Some(cursor.u8()? != 0),
            20 => status.default_table_encryption = Some(cursor.u8()? != 0),
            unknown => {
                status.unknown = Some(unknown);
                break;
            }
        }
    }
    Ok(status)
}

fn databases(cursor: &mut Cursor<'_>) -> Result<Option<Vec<String>>, Malformed> {
    let count = cursor.u8()?;
    if count == TOO_MANY_DATABASES {
        return Ok(None);
    }
    let mut names = Vec::new();
    for _ in 0..count {
        let end = cursor
            .rest()
            .iter()
            .position(|byte| *byte == 0)
            .ok_or(Malformed::TRUNCATED)?;
        names.push(identifier(cursor.take(end)?)?);
        cursor.u8()?;
    }
    Ok(Some(names))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_settings_end_the_block_without_an_error() {
        let read = status(&[0, 1, 0, 0, 4, 13, 1, 0, 0, 99, 1, 2, 3]).unwrap();
        assert_eq!(read.foreign_key_checks(), Some(false));
        assert_eq!(read.unique_checks(), Some(true));
        assert_eq!(read.microseconds, Some(1));
        assert_eq!(read.unknown, Some(99));
    }

    #[test]
    fn settings_are_read_in_any_order_and_skipped_by_their_length() {
        let block = b"\x06\x03std\x02\x03std\0\x0b\x02me\x04host\x05\x03UTC\x0c\x02a\0bc\0\x04\x08\0\x09\0\x0a\0\x0c\xfe\x12\xff\0";
        let read = status(block).unwrap();
        assert_eq!(read.invoker, Some(("me".into(), "host".into())));
        assert_eq!(read.time_zone.as_deref(), Some("UTC"));
        assert_eq!(read.databases, None, "the second list says that there are too many");
        assert_eq!(
            (read.charset_client, read.collation_connection, read.collation_server),
            (Some(8), Some(9), Some(10))
        );
        assert_eq!(read.default_collation_for_utf8mb4, Some(255));
        assert_eq!(read.unknown, None);
        assert_eq!(
            status(b"\x0c\x02a\0bc\0").unwrap().databases,
            Some(vec!["a".into(), "bc".into()])
        );
    }

    #[test]
    fn truncated_settings_are_refused() {
        for block in [&b"\0\x01"[..], b"\x05\x09UTC", b"\x0c\x02a\0b", b"\x04\x01"] {
            assert!(status(block).is_err(), "{block:?}");
        }
    }
}
