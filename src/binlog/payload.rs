//! Compressed transactions: TRANSACTION_PAYLOAD, unpacked event by event.
//!
//! With `binlog_transaction_compression=ON` a source logs a transaction's GTID event and then one event that holds all
//! the others, compressed. They are unpacked as a stream, so a transaction of any size needs little memory; only a
//! single event has to fit. What can't be unpacked is an error: silence here would be a lost transaction.

use std::io::{self, Read};

use bytes::Bytes;

use super::cursor::Cursor;
use super::error::{BinlogError, Malformed};
use super::event::{Event, EventType, Header, parse_body};

/// The largest event that a payload may hold: no server writes a larger one, as `max_allowed_packet` ends there.
const MAX_EVENT_LEN: u32 = 1 << 30;

/// How a payload is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// Zstandard.
    Zstd,
}

/// A TRANSACTION_PAYLOAD event.
#[derive(Debug, Clone)]
pub struct Payload {
    /// How it is compressed.
    pub compression: Compression,
    /// How many bytes its events have when they are unpacked.
    pub uncompressed_size: u64,
    /// The events, compressed.
    pub packed: Bytes,
    header: Header,
}

impl Payload {
    /// Reads the event without header and checksum: fields behind their number and length, until field 0, and then
    /// the packed events.
    pub(crate) fn parse(header: &Header, body: &Bytes) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(body);
        let (mut packed_len, mut compression, mut uncompressed_size) = (None, None, None);
        loop {
            let number = cursor.lenenc()?;
            if number == 0 {
                break;
            }
            let mut field = Cursor::new(cursor.lenenc_bytes()?);
            match number {
                1 => packed_len = Some(field.lenenc_usize()?),
                // One byte, which for "none" is 255 and so no length-encoded integer by itself.
                2 => compression = Some(algorithm(field.rest())?),
                3 => uncompressed_size = Some(field.lenenc()?),
                _ => {}
            }
        }
        let (Some(packed_len), Some(compression)) = (packed_len, compression) else {
            return Err(Malformed(
                "the compressed transaction tells no length or no compression",
            ));
        };
        if packed_len != cursor.len() {
            return Err(Malformed(
                "the compressed transaction is longer or shorter than it says",
            ));
        }
        let uncompressed_size = match (compression, uncompressed_size) {
            (_, Some(size)) => size,
            (Compression::None, None) => u64::try_from(packed_len).unwrap_or(u64::MAX),
            (Compression::Zstd, None) => return Err(Malformed("the compressed transaction does not tell its size")),
        };
        Ok(Self {
            compression,
            uncompressed_size,
            packed: body.slice_ref(cursor.rest()),
            header: *header,
        })
    }

    /// The events inside, in order.
    ///
    /// Their positions are those of the payload itself: inside it there are none that mean anything.
    ///
    /// # Errors
    /// If unpacking can't begin; later, from the iterator, if the payload or an event in it is malformed. The iterator
    /// ends behind its first error.
    pub fn events(&self) -> Result<PayloadEvents, BinlogError> {
        let packed = io::Cursor::new(self.packed.clone());
        let source = match self.compression {
            Compression::None => Source::Plain(packed),
            Compression::Zstd => Source::Zstd(Box::new(
                zstd::stream::read::Decoder::with_buffer(packed).map_err(|e| BinlogError::event(&self.header, e))?,
            )),
        };
        Ok(PayloadEvents {
            source,
            left: Some(self.uncompressed_size),
            header: self.header,
        })
    }
}

fn algorithm(field: &[u8]) -> Result<Compression, Malformed> {
    match field {
        [0] => Ok(Compression::Zstd),
        // 255 as a length-encoded integer takes three bytes.
        [255] | [0xfc, 255, 0] => Ok(Compression::None),
        _ => Err(Malformed(
            "the transaction's compression is not known to this version of Causeway",
        )),
    }
}

enum Source {
    Plain(io::Cursor<Bytes>),
    Zstd(Box<zstd::stream::read::Decoder<'static, io::Cursor<Bytes>>>),
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Source::Plain(source) => source.read(buffer),
            Source::Zstd(source) => source.read(buffer),
        }
    }
}

/// The events of a compressed transaction. See [`Payload::events`].
pub struct PayloadEvents {
    source: Source,
    /// Bytes that are still to be unpacked; `None` behind an error.
    left: Option<u64>,
    /// The payload's own.
    header: Header,
}

impl PayloadEvents {
    fn event(&mut self, left: u64) -> Result<(Header, Event), BinlogError> {
        let outer = self.header;
        let wrong = |reason: String| BinlogError::event(&outer, format!("compressed transaction: {reason}"));
        let bytes = self.read(Header::LEN).map_err(|e| wrong(e.to_string()))?;
        let mut header = Header::parse(&bytes)?;
        if header.event_size > MAX_EVENT_LEN || u64::from(header.event_size) > left {
            let size = header.event_size;
            return Err(wrong(format!(
                "it holds an event of {size} bytes, which is more than fits"
            )));
        }
        let body_len = usize::try_from(header.event_size)
            .ok()
            .and_then(|size| size.checked_sub(Header::LEN))
            .ok_or_else(|| wrong("it holds an event that is shorter than its own header".into()))?;
        if header.event_type == EventType::TRANSACTION_PAYLOAD {
            return Err(wrong("it holds another compressed transaction".into()));
        }
        let body = self.read(body_len).map_err(|e| wrong(e.to_string()))?;
        header.end_log_pos = outer.end_log_pos;
        self.left = left.checked_sub(header.event_size.into());
        Ok((header, parse_body(&header, &body)?))
    }

    /// Reads exactly `length` bytes. The memory grows with what is really there.
    fn read(&mut self, length: usize) -> io::Result<Bytes> {
        let mut bytes = Vec::with_capacity(length.min(64 << 10));
        let limit = u64::try_from(length).unwrap_or(u64::MAX);
        (&mut self.source).take(limit).read_to_end(&mut bytes)?;
        match bytes.len() == length {
            true => Ok(bytes.into()),
            false => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ends too early")),
        }
    }

    /// Whether the packed bytes end where the unpacked ones should.
    fn end(&mut self) -> Result<(), BinlogError> {
        let reason = match self.source.read(&mut [0]) {
            Ok(0) => return Ok(()),
            Ok(_) => "it is longer than it says".to_owned(),
            Err(error) => error.to_string(),
        };
        Err(BinlogError::event(
            &self.header,
            format!("compressed transaction: {reason}"),
        ))
    }
}

impl Iterator for PayloadEvents {
    type Item = Result<(Header, Event), BinlogError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.left.take()? {
            0 => self.end().err().map(Err),
            left => Some(self.event(left)),
        }
    }
}

impl std::fmt::Debug for PayloadEvents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PayloadEvents")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}
