//! One binlog event: its header, and [`parse`], which turns its bytes into an [`Event`].

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::cursor::{Cursor, identifier};
use super::error::{BinlogError, Malformed};
use super::gtid_event::{self, GtidEvent};
use super::payload::Payload;
use super::query::Query;
use super::rows::RowsEvent;
use super::table_map;
use crate::model::gtid::GtidSet;
use crate::model::table_map::TableMap;

/// Bytes of the CRC32 behind an event.
const CHECKSUM_LEN: usize = 4;
/// [`Header::flags`]: the file is still being written. It is set and cleared without renewing the checksum.
const IN_USE: u16 = 0x1;
/// [`Header::flags`]: a replica that does not know the event may ignore it.
const IGNORABLE: u16 = 0x80;
/// [`Header::flags`]: made up by the server for this replica, not in any file.
const ARTIFICIAL: u16 = 0x20;
/// The one binlog format there has been since MySQL 5.0.
const BINLOG_VERSION: u16 = 4;

/// The number of an event's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventType(pub u8);

macro_rules! event_types {
    ($($(#[doc = $doc:literal])+ $name:ident = $number:literal;)*) => {
        impl EventType {
            $($(#[doc = $doc])+ pub const $name: EventType = EventType($number);)*

            /// MySQL's name for the type, if it is known here.
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

event_types! {
    /// A statement.
    QUERY = 2;
    /// The server was shut down.
    STOP = 3;
    /// The log goes on in another file.
    ROTATE = 4;
    /// Statement format: a value of `LAST_INSERT_ID()` or an auto-increment.
    INTVAR = 5;
    /// Statement format: LOAD DATA of MySQL 3.23.
    LOAD = 6;
    /// Statement format: LOAD DATA of MySQL 4.0.
    CREATE_FILE = 8;
    /// Statement format: more of a LOAD DATA file.
    APPEND_BLOCK = 9;
    /// Statement format: LOAD DATA of MySQL 4.0.
    EXEC_LOAD = 10;
    /// Statement format: a LOAD DATA that failed.
    DELETE_FILE = 11;
    /// Statement format: LOAD DATA of MySQL 4.0.
    NEW_LOAD = 12;
    /// Statement format: the seeds of `RAND()`.
    RAND = 13;
    /// Statement format: the value of a user variable.
    USER_VAR = 14;
    /// What the events that follow look like.
    FORMAT_DESCRIPTION = 15;
    /// COMMIT of a transaction in a transactional engine.
    XID = 16;
    /// Statement format: a LOAD DATA file.
    BEGIN_LOAD_QUERY = 17;
    /// Statement format: LOAD DATA.
    EXECUTE_LOAD_QUERY = 18;
    /// Which table the rows events that follow belong to.
    TABLE_MAP = 19;
    /// INSERT, as up to 5.5 and with `log_bin_use_v1_row_events`.
    WRITE_ROWS_V1 = 23;
    /// UPDATE, as up to 5.5 and with `log_bin_use_v1_row_events`.
    UPDATE_ROWS_V1 = 24;
    /// DELETE, as up to 5.5 and with `log_bin_use_v1_row_events`.
    DELETE_ROWS_V1 = 25;
    /// Something happened that may have cost changes.
    INCIDENT = 26;
    /// The source lives and has nothing to send.
    HEARTBEAT = 27;
    /// To be ignored.
    IGNORABLE = 28;
    /// The statement whose rows follow (`binlog_rows_query_log_events`).
    ROWS_QUERY = 29;
    /// INSERT.
    WRITE_ROWS = 30;
    /// UPDATE.
    UPDATE_ROWS = 31;
    /// DELETE.
    DELETE_ROWS = 32;
    /// A transaction begins; its GTID.
    GTID = 33;
    /// A transaction without GTID begins.
    ANONYMOUS_GTID = 34;
    /// All GTIDs in the files before this one.
    PREVIOUS_GTIDS = 35;
    /// Group replication's certification data.
    TRANSACTION_CONTEXT = 36;
    /// Group replication's membership changed.
    VIEW_CHANGE = 37;
    /// XA PREPARE.
    XA_PREPARE = 38;
    /// UPDATE with partial JSON values (`binlog_row_value_options=PARTIAL_JSON`).
    PARTIAL_UPDATE_ROWS = 39;
    /// A compressed transaction (`binlog_transaction_compression`).
    TRANSACTION_PAYLOAD = 40;
    /// As HEARTBEAT, for positions beyond 4 GiB.
    HEARTBEAT_V2 = 41;
    /// As GTID, of a GTID with a tag (since 8.3).
    GTID_TAGGED = 42;
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "of unknown type {}", self.0),
        }
    }
}

/// The 19 bytes that every event begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// When the statement began: seconds since the epoch. 0 in events made up for the replica.
    pub timestamp: u32,
    /// What the event is.
    pub event_type: EventType,
    /// The server that wrote it first.
    pub server_id: u32,
    /// Its length with header and checksum.
    pub event_size: u32,
    /// Where the next event starts in the file; wraps at 4 GiB, 0 in events made up for the replica.
    pub end_log_pos: u32,
    /// See [`Self::is_ignorable`], [`Self::is_artificial`].
    pub flags: u16,
}

impl Header {
    /// Its length in bytes.
    pub const LEN: usize = 19;

    /// Reads the header at the start of an event.
    ///
    /// # Errors
    /// If there are fewer than 19 bytes.
    pub fn parse(event: &[u8]) -> Result<Self, BinlogError> {
        let mut cursor = Cursor::new(event);
        let mut read = || {
            Ok::<_, Malformed>(Self {
                timestamp: cursor.u32()?,
                event_type: EventType(cursor.u8()?),
                server_id: cursor.u32()?,
                event_size: cursor.u32()?,
                end_log_pos: cursor.u32()?,
                flags: cursor.u16()?,
            })
        };
        read().map_err(|_| BinlogError::somewhere("it is shorter than an event header (19 bytes)"))
    }

    /// Whether a replica may ignore the event if it does not know its type.
    pub fn is_ignorable(&self) -> bool {
        self.flags & IGNORABLE != 0
    }

    /// Whether the server made the event up for this replica; it stands in no file.
    pub fn is_artificial(&self) -> bool {
        self.flags & ARTIFICIAL != 0
    }
}

/// A binlog event.
#[derive(Debug, Clone)]
pub enum Event {
    /// First event of each file: what the others look like.
    FormatDescription(FormatDescription),
    /// The log goes on in another file.
    Rotate {
        /// The file's name.
        next_file: String,
        /// Where in it; 4 is its start.
        position: u64,
    },
    /// A transaction begins.
    Gtid(GtidEvent),
    /// A statement: BEGIN, COMMIT, DDL; a change, if the source logs statements.
    Query(Query),
    /// COMMIT of a transaction in a transactional engine.
    Xid {
        /// The server's own number for it.
        xid: u64,
    },
    /// XA PREPARE: the transaction takes effect only with an `XA COMMIT` later in the log.
    XaPrepare(XaPrepare),
    /// Which table the rows events that follow belong to.
    TableMap(Arc<TableMap>),
    /// Row changes: see [`super::rows::split`].
    Rows(RowsEvent),
    /// Row changes with partial JSON values, which Causeway can't apply yet.
    PartialUpdateRows(RowsEvent),
    /// A compressed transaction: see [`Payload::events`].
    TransactionPayload(Payload),
    /// The source lives and has nothing to send.
    Heartbeat {
        /// The file it is at.
        file: String,
        /// Where in it.
        position: u64,
    },
    /// All GTIDs in the files before this one.
    PreviousGtids(GtidSet),
    /// The statement whose rows follow; for information.
    RowsQuery(Bytes),
    /// The server was shut down.
    Stop,
    /// Nothing a replica has to look at: marked so by the server, or group replication's own bookkeeping.
    Ignorable,
    /// Part of a change in statement format, which Causeway does not replicate.
    Statement(EventType),
    /// The server says that changes may be missing from its log.
    Incident {
        /// 1: events were lost.
        number: u16,
        /// The server's explanation.
        message: String,
    },
    /// An event whose type is not known here. To go on would be to lose what it says.
    Unknown(EventType),
}

/// What the events of a file look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatDescription {
    /// For instance `8.0.36`, `9.7.4-log`.
    pub server_version: String,
    /// Whether the events that follow end with a checksum.
    pub checksum_algorithm: ChecksumAlgorithm,
}

/// How events are protected against corruption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChecksumAlgorithm {
    /// Not at all.
    Off,
    /// A CRC32 behind each event.
    Crc32,
}

/// XA PREPARE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XaPrepare {
    /// It was an `XA COMMIT … ONE PHASE`: the transaction is committed at once.
    pub one_phase: bool,
    /// The XID's format number.
    pub format_id: u32,
    /// The XID's global part.
    pub gtrid: Bytes,
    /// The XID's branch part.
    pub bqual: Bytes,
}

/// Reads one whole event, header included.
///
/// `checksum`: the event ends with a CRC32, which is verified and cut off. That is so if the last FORMAT_DESCRIPTION
/// said so; FORMAT_DESCRIPTION itself carries its own answer, and the parameter does not matter. The artificial ROTATE
/// that comes before the first FORMAT_DESCRIPTION has no checksum.
///
/// # Errors
/// If the event is truncated, corrupt or contradicts itself.
pub fn parse(event: &Bytes, checksum: bool) -> Result<Event, BinlogError> {
    let header = Header::parse(event)?;
    let wrong = |reason: Malformed| BinlogError::event(&header, reason);
    if usize::try_from(header.event_size) != Ok(event.len()) {
        let reason = format!("it should have {} bytes, but has {}", header.event_size, event.len());
        return Err(BinlogError::event(&header, reason));
    }
    let describes_format = header.event_type == EventType::FORMAT_DESCRIPTION;
    if !checksum && !describes_format {
        return parse_body(&header, &event.slice(Header::LEN..));
    }
    let end = event.len() - CHECKSUM_LEN;
    if end < Header::LEN {
        return Err(wrong(Malformed("it has no room for its checksum")));
    }
    let (covered, stored) = event.split_last_chunk().ok_or_else(|| wrong(Malformed::TRUNCATED))?;
    let checked = !describes_format || format_checksum(covered).map_err(wrong)? == ChecksumAlgorithm::Crc32;
    if checked && checksum_of(&header, covered) != u32::from_le_bytes(*stored) {
        return Err(wrong(Malformed(
            "its checksum does not fit: the bytes were changed on disk or on the way. If reading it again gives the \
             same, the binlog file is damaged",
        )));
    }
    parse_body(&header, &event.slice(Header::LEN..end))
}

fn checksum_of(header: &Header, covered: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    let (before, flags_and_after) = covered.split_at_checked(Header::LEN - 2).unwrap_or((covered, &[]));
    let (_, after) = flags_and_after.split_at_checked(2).unwrap_or_default();
    crc.update(before);
    crc.update(&(header.flags & !IN_USE).to_le_bytes());
    crc.update(after);
    crc.finalize()
}

/// Reads an event whose checksum, if it had one, has been verified and cut off, as has the header.
///
/// # Errors
/// If the event is truncated or contradicts itself.
pub fn parse_body(header: &Header, body: &Bytes) -> Result<Event, BinlogError> {
    if header.event_type == EventType::TABLE_MAP {
        let table = table_map::parse(body).map_err(|e| e.in_event(header.event_type, header.end_log_pos))?;
        return Ok(Event::TableMap(Arc::new(table)));
    }
    read(header, body).map_err(|reason| BinlogError::event(header, reason))
}

fn read(header: &Header, body: &Bytes) -> Result<Event, Malformed> {
    let mut cursor = Cursor::new(body);
    Ok(match header.event_type {
        EventType::FORMAT_DESCRIPTION => Event::FormatDescription(format_description(body)?),
        EventType::ROTATE => Event::Rotate {
            position: cursor.u64()?,
            next_file: identifier(cursor.rest())?,
        },
        EventType::GTID => Event::Gtid(gtid_event::untagged(body, false)?),
        EventType::ANONYMOUS_GTID => Event::Gtid(gtid_event::untagged(body, true)?),
        EventType::GTID_TAGGED => Event::Gtid(gtid_event::tagged(body)?),
        EventType::PREVIOUS_GTIDS => Event::PreviousGtids(gtid_event::previous_gtids(body)?),
        EventType::QUERY => Event::Query(Query::parse(body, header.timestamp)?),
        EventType::XID => Event::Xid { xid: cursor.u64()? },
        EventType::XA_PREPARE => {
            let one_phase = cursor.u8()? != 0;
            let format_id = cursor.u32()?;
            let mut part_len = || usize::try_from(cursor.u32()?).map_err(|_| Malformed::TRUNCATED);
            let (gtrid_len, bqual_len) = (part_len()?, part_len()?);
            Event::XaPrepare(XaPrepare {
                one_phase,
                format_id,
                gtrid: body.slice_ref(cursor.take(gtrid_len)?),
                bqual: body.slice_ref(cursor.take(bqual_len)?),
            })
        }
        EventType::WRITE_ROWS
        | EventType::UPDATE_ROWS
        | EventType::DELETE_ROWS
        | EventType::WRITE_ROWS_V1
        | EventType::UPDATE_ROWS_V1
        | EventType::DELETE_ROWS_V1 => Event::Rows(RowsEvent::parse(header, body)?),
        EventType::PARTIAL_UPDATE_ROWS => Event::PartialUpdateRows(RowsEvent::parse(header, body)?),
        EventType::TRANSACTION_PAYLOAD => Event::TransactionPayload(Payload::parse(header, body)?),
        EventType::HEARTBEAT => Event::Heartbeat {
            file: identifier(body)?,
            position: header.end_log_pos.into(),
        },
        EventType::HEARTBEAT_V2 => heartbeat_v2(body)?,
        // One byte with the statement's length, which is wrong for long ones, and the statement.
        EventType::ROWS_QUERY => {
            cursor.u8()?;
            Event::RowsQuery(body.slice_ref(cursor.rest()))
        }
        EventType::STOP => Event::Stop,
        EventType::INCIDENT => Event::Incident {
            number: cursor.u16()?,
            message: String::from_utf8_lossy(cursor.short_bytes()?).into_owned(),
        },
        EventType::IGNORABLE | EventType::TRANSACTION_CONTEXT | EventType::VIEW_CHANGE => Event::Ignorable,
        EventType::INTVAR
        | EventType::RAND
        | EventType::USER_VAR
        | EventType::LOAD
        | EventType::CREATE_FILE
        | EventType::APPEND_BLOCK
        | EventType::EXEC_LOAD
        | EventType::DELETE_FILE
        | EventType::NEW_LOAD
        | EventType::BEGIN_LOAD_QUERY
        | EventType::EXECUTE_LOAD_QUERY => Event::Statement(header.event_type),
        _ if header.is_ignorable() => Event::Ignorable,
        unknown => Event::Unknown(unknown),
    })
}

/// The checksum algorithm stands at the end of FORMAT_DESCRIPTION, before the room for a checksum that this event has
/// in any case (since 5.6.1).
fn format_checksum(before_checksum: &[u8]) -> Result<ChecksumAlgorithm, Malformed> {
    match before_checksum.last() {
        Some(0) => Ok(ChecksumAlgorithm::Off),
        Some(1) => Ok(ChecksumAlgorithm::Crc32),
        _ => Err(Malformed(
            "it names no known checksum algorithm; sources older than MySQL 5.6 are not supported",
        )),
    }
}

fn format_description(body: &[u8]) -> Result<FormatDescription, Malformed> {
    let mut cursor = Cursor::new(body);
    if cursor.u16()? != BINLOG_VERSION {
        return Err(Malformed("the binlog is not of version 4 (MySQL 5.0 and later)"));
    }
    let version = cursor.take(50)?.split(|byte| *byte == 0).next().unwrap_or_default();
    let server_version = String::from_utf8_lossy(version).into_owned();
    cursor.u32()?; // when the file was made
    if usize::from(cursor.u8()?) != Header::LEN {
        return Err(Malformed("events have headers of another length than 19 bytes"));
    }
    // What follows: for each event type from 1 on, how many bytes its fixed part has.
    let fixed_len = |event_type: EventType| cursor.rest().get(usize::from(event_type.0) - 1).copied();
    if fixed_len(EventType::TABLE_MAP) != Some(8) || fixed_len(EventType::WRITE_ROWS) != Some(10) {
        return Err(Malformed("its events are not laid out as in MySQL 5.6 and later"));
    }
    Ok(FormatDescription {
        server_version,
        checksum_algorithm: format_checksum(body)?,
    })
}

/// Fields behind their number and length, until field 0.
fn heartbeat_v2(body: &[u8]) -> Result<Event, Malformed> {
    let mut cursor = Cursor::new(body);
    let (mut file, mut position) = (String::new(), 0);
    loop {
        match cursor.lenenc()? {
            0 => return Ok(Event::Heartbeat { file, position }),
            1 => file = identifier(cursor.lenenc_bytes()?)?,
            2 => position = Cursor::new(cursor.lenenc_bytes()?).lenenc()?,
            _ => {
                cursor.lenenc_bytes()?;
            }
        }
    }
}
