//! Registers with the source as a replica and reads its binlog, event by event.
//!
//! mysql_async keeps the connection and the registration; what it leaves open is done here: the checksum of every
//! event is verified, a compressed transaction that can't be unpacked is an error, and a connection on which nothing
//! comes, not even a heartbeat, is given up.

use std::{collections::VecDeque, ops::Range, pin::Pin, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::StreamExt;
use mysql_async::{
    BinlogStream, BinlogStreamRequest, Conn, GnoInterval, Sid, binlog::BinlogChecksumAlg, prelude::Queryable,
};

use crate::{
    binlog::{
        event::{self, Event, EventType, Header},
        payload::PayloadEvents,
    },
    failure::Failure,
    model::gtid::{GtidSet, Tag, Uuid},
};

/// The source sends a heartbeat when it has had nothing to send for this long. Lag on an idle source is known by it.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Nothing for this long: the connection is lost.
const SILENCE: Duration = Duration::from_secs(30);

/// The source waits this long for us to take what it sends, in seconds; by default it gives up after 60. A link that
/// waits for a lock at the destination reads nothing meanwhile.
const PATIENCE_S: u32 = 24 * 3600;

/// How a link shows itself at the source (`SHOW REPLICAS`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Not the id of any server around.
    pub server_id: u32,
    /// Its own uuid: the source ends an older dump thread of the same uuid.
    pub uuid: String,
}

/// The source's events from a position on.
pub struct EventStream {
    stream: Pin<Box<BinlogStream>>,
    /// Events of the compressed transaction that is being read.
    payload: Option<PayloadEvents>,
    /// Type and size of inner events already given out: mysql_async gives each of them once more.
    repeated: VecDeque<(u8, u32)>,
}

impl std::fmt::Debug for EventStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventStream").finish_non_exhaustive()
    }
}

impl EventStream {
    /// Registers and asks for everything that is not in `executed`.
    ///
    /// # Errors
    /// [`Failure`] if the source refuses.
    pub async fn open(mut conn: Conn, identity: &Identity, executed: &GtidSet) -> Result<Self, Failure> {
        let failed = |error: mysql_async::Error| Failure::mysql("registering as a replica", &error);
        let period = HEARTBEAT.as_nanos();
        let uuid = &identity.uuid;
        conn.query_drop(format!(
            "SET @source_heartbeat_period = {period}, @master_heartbeat_period = {period}, \
             @replica_uuid = '{uuid}', @slave_uuid = '{uuid}', SESSION net_write_timeout = {PATIENCE_S}"
        ))
        .await
        .map_err(failed)?;
        let sids = executed
            .iter()
            .map(|(uuid, tag, intervals)| sid(uuid, tag, intervals))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| {
                Failure::data(format!(
                    "the checkpoint's GTID set can't be sent to the source: {error}"
                ))
            })?;
        let request = BinlogStreamRequest::new(identity.server_id)
            .with_gtid()
            .with_hostname(b"causeway")
            .with_gtid_set(sids);
        let stream = conn.get_binlog_stream(request).await.map_err(|error| match &error {
            // The login was accepted, so it is not the password: the server has no other words for a missing privilege.
            mysql_async::Error::Server(error) if error.code == 1045 => Failure::data(
                "registering as a replica: the account lacks REPLICATION SLAVE on *.*. Grant it what docs/privileges.md \
                 lists",
            ),
            _ => failed(error),
        })?;
        Ok(Self {
            stream: Box::pin(stream),
            payload: None,
            repeated: VecDeque::new(),
        })
    }

    /// The next event, and where it ends in its file (0 inside a compressed transaction).
    ///
    /// # Errors
    /// [`Failure`]: the connection is lost, or an event is corrupt; nothing is skipped.
    pub async fn next(&mut self) -> Result<(Event, u64), Failure> {
        loop {
            if let Some(payload) = &mut self.payload {
                match payload.next() {
                    Some(inner) => {
                        let (header, event) = inner.map_err(|error| Failure::data(error.to_string()))?;
                        self.repeated.push_back((header.event_type.0, header.event_size));
                        return Ok((event, 0));
                    }
                    None => self.payload = None,
                }
            }
            let raw = match tokio::time::timeout(SILENCE, self.stream.next()).await {
                Ok(Some(Ok(raw))) => raw,
                Ok(Some(Err(error))) => return Err(Failure::mysql("reading the source's binlog", &error)),
                Ok(None) => return Err(Failure::environment("the source has ended the binlog stream")),
                Err(_) => {
                    return Err(Failure::environment(format!(
                        "the source has sent nothing for {} s, not even a heartbeat",
                        SILENCE.as_secs()
                    )));
                }
            };
            let raw_header = raw.header();
            if let Some(expected) = self.repeated.pop_front() {
                // What the library unpacks on its own, a second time. Where it could not, another event stands here.
                if expected == (raw_header.event_type_raw(), raw_header.event_size()) {
                    continue;
                }
                return Err(Failure::data(format!(
                    "a compressed transaction in the source's binlog can't be unpacked reliably (before position {})",
                    raw_header.log_pos()
                )));
            }
            verify_checksum(&raw)?;
            if raw_header.event_type_raw() == EventType::FORMAT_DESCRIPTION.0 {
                // The library reads it, and cuts the checksum algorithm off that our parser would look for.
                continue;
            }
            let bytes = whole(&raw);
            let event = event::parse_body(
                &Header::parse(&bytes).map_err(|error| Failure::data(error.to_string()))?,
                &bytes.slice(Header::LEN..),
            )
            .map_err(|error| Failure::data(error.to_string()))?;
            if let Event::TransactionPayload(payload) = &event {
                self.payload = Some(payload.events().map_err(|error| Failure::data(error.to_string()))?);
                continue;
            }
            return Ok((event, u64::from(raw_header.log_pos())));
        }
    }
}

fn sid(uuid: Uuid, tag: &Tag, intervals: &[Range<u64>]) -> std::io::Result<Sid<'static>> {
    if tag.is_empty() {
        let intervals = intervals
            .iter()
            .map(|range| GnoInterval::new(range.start, range.end))
            .collect();
        return Ok(Sid::new(uuid.0).with_intervals(intervals));
    }
    // The library's tag type can be made from text only.
    let intervals: Vec<String> = intervals
        .iter()
        .map(|range| format!("{}-{}", range.start, range.end - 1))
        .collect();
    format!("{uuid}:{}:{}", tag.as_str(), intervals.join(":")).parse()
}

/// The event's bytes without its checksum, header included.
fn whole(raw: &mysql_async::binlog::events::Event) -> Bytes {
    let header = raw.header();
    let mut bytes = BytesMut::with_capacity(Header::LEN + raw.data().len());
    bytes.put_u32_le(header.timestamp());
    bytes.put_u8(header.event_type_raw());
    bytes.put_u32_le(header.server_id());
    bytes.put_u32_le(u32::try_from(Header::LEN + raw.data().len()).unwrap_or(u32::MAX));
    bytes.put_u32_le(header.log_pos());
    bytes.put_u16_le(header.flags_raw());
    bytes.extend_from_slice(raw.data());
    bytes.freeze()
}

fn verify_checksum(raw: &mysql_async::binlog::events::Event) -> Result<(), Failure> {
    let header = raw.header();
    let Ok(Some(algorithm)) = raw.footer().get_checksum_alg() else {
        return Ok(());
    };
    let is_format = header.event_type_raw() == EventType::FORMAT_DESCRIPTION.0;
    if algorithm == BinlogChecksumAlg::BINLOG_CHECKSUM_ALG_OFF && !is_format {
        return Ok(());
    }
    let Some(stored) = raw.checksum() else { return Ok(()) };
    if algorithm == BinlogChecksumAlg::BINLOG_CHECKSUM_ALG_OFF
        || raw.calc_checksum(algorithm) == u32::from_le_bytes(stored)
    {
        return Ok(());
    }
    Err(Failure::data(format!(
        "the checksum of a binlog event that ends at position {} does not fit: the source's binlog is damaged, or was \
         on the way; RESUME reads it again, and if it stays so start the task anew with full sync",
        header.log_pos()
    )))
}
