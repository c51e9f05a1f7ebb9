//! Packets: a 3-byte length, a sequence number, and that many bytes. Reading them within limits, and the small ones
//! that the server sends.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::SqlError;
use super::handshake::Capabilities;

/// The autocommit flag of the server status: there are no transactions here, so it is always on.
const SERVER_STATUS_AUTOCOMMIT: u16 = 2;
/// The flag that says that the answer to another statement of the same packet follows.
const SERVER_MORE_RESULTS_EXISTS: u16 = 8;

/// Where an answer stands among those to one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The number of its first packet.
    pub(super) sequence: u8,
    /// The answer to another statement follows.
    pub(super) more: bool,
}

impl Place {
    /// The only answer to a command: packets number from 0 again with each, and the command itself has 0.
    pub(super) const ONLY: Self = Self {
        sequence: 1,
        more: false,
    };

    /// The server status that ends the answer.
    pub(super) fn status(self) -> u16 {
        SERVER_STATUS_AUTOCOMMIT | if self.more { SERVER_MORE_RESULTS_EXISTS } else { 0 }
    }
}

/// A connection's byte stream, encrypted or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Why no packet could be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("a packet of {bytes} bytes came; the limit here is {limit}")]
    TooLarge { bytes: usize, limit: usize },
    #[error("packet number {found} came instead of {expected}")]
    OutOfOrder { found: u8, expected: u8 },
    #[error("the rest of a packet did not come in time")]
    TooSlow,
    #[error("reading from the client: {0}")]
    Io(#[from] io::Error),
}

impl ReadError {
    /// What the client is told before the connection closes; nothing if it is gone anyway.
    pub(super) fn answer(&self) -> Option<SqlError> {
        match self {
            Self::TooLarge { limit, .. } => Some(SqlError::new(
                1153,
                "08S01",
                format!("Got a packet bigger than 'max_allowed_packet' bytes ({limit})"),
            )),
            Self::OutOfOrder { .. } => Some(SqlError::new(1156, "08S01", "Got packets out of order")),
            Self::TooSlow => Some(SqlError::new(
                1159,
                "08S01",
                "Got timeout reading communication packets",
            )),
            Self::Io(_) => None,
        }
    }
}

/// Reads the header of a packet and says how long it is. `None` if the client closed the connection in between packets.
pub(super) async fn read_header(
    stream: &mut dyn Stream,
    expected: u8,
    limit: usize,
) -> Result<Option<usize>, ReadError> {
    let mut header = [0; 4];
    let mut filled = 0;
    while let Some(rest) = header.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match stream.read(rest).await? {
            0 if filled == 0 => return Ok(None),
            0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            read => filled += read,
        }
    }
    let [low, middle, high, found] = header;
    let bytes = u32::from_le_bytes([low, middle, high, 0]) as usize;
    if bytes > limit {
        return Err(ReadError::TooLarge { bytes, limit });
    }
    if found != expected {
        return Err(ReadError::OutOfOrder { found, expected });
    }
    Ok(Some(bytes))
}

/// Reads what follows a header. Memory grows with what arrives, not with what the header promises.
pub(super) async fn read_body(stream: &mut dyn Stream, bytes: usize) -> Result<Vec<u8>, ReadError> {
    let mut body = Vec::new();
    stream.take(bytes as u64).read_to_end(&mut body).await?;
    if body.len() < bytes {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    Ok(body)
}

/// Writes and flushes, as long as the client takes each 64 KiB within `write_time`.
pub(super) async fn write(stream: &mut dyn Stream, bytes: &[u8], write_time: Duration) -> io::Result<()> {
    let too_slow = |_| io::Error::new(io::ErrorKind::TimedOut, "the client does not take its answer");
    for chunk in bytes.chunks(64 << 10) {
        timeout(write_time, stream.write_all(chunk)).await.map_err(too_slow)??;
    }
    timeout(write_time, stream.flush()).await.map_err(too_slow)?
}

/// Says a last error and closes. What the client still sends is thrown away for at most `linger`: closing with unread
/// bytes resets a TCP connection, and the client would see the reset instead of the error.
pub(super) async fn farewell(stream: &mut dyn Stream, error: &SqlError, sequence: u8, linger: Duration) {
    let last_words = async {
        stream.write_all(&err(error, sequence)).await?;
        stream.shutdown().await?;
        let mut ignored = [0; 4096];
        while stream.read(&mut ignored).await? > 0 {}
        io::Result::Ok(())
    };
    match timeout(linger, last_words).await {
        Ok(Ok(())) | Err(_) => {}
        Ok(Err(error)) => tracing::trace!(%error, "the client did not wait for its error"),
    }
}

/// Puts a payload of less than 16 MiB into a packet.
pub(super) fn frame(payload: &[u8], sequence: u8) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes();
    let [low, middle, high, _] = length;
    let mut packet = Vec::with_capacity(payload.len() + 4);
    packet.extend([low, middle, high, sequence]);
    packet.extend(payload);
    packet
}

/// An OK packet.
pub(super) fn ok(affected: u64, warnings: u16, info: &str, sequence: u8) -> Vec<u8> {
    let place = Place { sequence, more: false };
    ok_at(affected, warnings, info, place)
}

/// An OK packet that others may follow.
pub(super) fn ok_at(affected: u64, warnings: u16, info: &str, place: Place) -> Vec<u8> {
    let mut payload = vec![0x00];
    put_length(&mut payload, affected);
    payload.push(0); // last insert id
    payload.extend(place.status().to_le_bytes());
    payload.extend(warnings.to_le_bytes());
    payload.extend(shortened(info).as_bytes());
    frame(&payload, place.sequence)
}

/// The packet that ends a list of rows or columns, also when the list is empty.
pub(super) fn end_of_list(capabilities: Capabilities, sequence: u8) -> Vec<u8> {
    let status = SERVER_STATUS_AUTOCOMMIT.to_le_bytes();
    let payload = if capabilities.contains(Capabilities::DEPRECATE_EOF) {
        [&[0xfe, 0, 0], &status[..], &[0, 0]].concat() // an OK packet under another first byte
    } else {
        [&[0xfe, 0, 0], &status[..]].concat()
    };
    frame(&payload, sequence)
}

/// An ERR packet.
pub(super) fn err(error: &SqlError, sequence: u8) -> Vec<u8> {
    let mut payload = vec![0xff];
    payload.extend(error.code.to_le_bytes());
    payload.push(b'#');
    payload.extend(error.sqlstate);
    payload.extend(shortened(&error.message).as_bytes());
    frame(&payload, sequence)
}

/// The answer to a prepared statement: its number, and what its parameters and columns are.
pub(super) fn prepared(id: u32, parameters: u16, columns: &[Vec<u8>], capabilities: Capabilities) -> Vec<u8> {
    let mut payload = vec![0x00];
    payload.extend(id.to_le_bytes());
    payload.extend(u16::try_from(columns.len()).unwrap_or_default().to_le_bytes());
    payload.extend(parameters.to_le_bytes());
    payload.extend([0, 0, 0]); // filler, warnings
    let mut packets = frame(&payload, 1);
    let mut sequence = 1_u8;
    let parameter = definition("?", 253, 0, 63);
    let parameters = vec![parameter; usize::from(parameters)];
    for list in [&parameters[..], columns] {
        for one in list {
            sequence = sequence.wrapping_add(1);
            packets.extend(frame(one, sequence));
        }
        if !list.is_empty() && !capabilities.contains(Capabilities::DEPRECATE_EOF) {
            sequence = sequence.wrapping_add(1);
            packets.extend(end_of_list(capabilities, sequence));
        }
    }
    packets
}

/// What a column is (ColumnDefinition41): the type by MySQL's number, its flags, the collation by its number.
pub(super) fn definition(name: &str, column_type: u8, flags: u16, collation: u16) -> Vec<u8> {
    let mut payload = b"\x03def\0\0\0".to_vec(); // the catalog; no database, no table
    put_length(&mut payload, name.len() as u64);
    payload.extend(name.as_bytes());
    payload.extend([0, 0x0c]); // no name of the column that it was made from; bytes that follow
    payload.extend(collation.to_le_bytes());
    payload.extend(1024_u32.to_le_bytes()); // the width, for clients that draw tables
    payload.push(column_type);
    payload.extend(flags.to_le_bytes());
    payload.extend([if column_type == 5 { 31 } else { 0 }, 0, 0]); // decimals, filler
    payload
}

/// A message cut so that it and its packet stay small whatever the handler says.
fn shortened(message: &str) -> &str {
    message.get(..message.floor_char_boundary(64 << 10)).unwrap_or(message)
}

/// A number in MySQL's variable-length form.
fn put_length(payload: &mut Vec<u8>, number: u64) {
    let bytes = number.to_le_bytes();
    let (prefix, used) = match number {
        0..=0xfa => (None, 1),
        0xfb..=0xffff => (Some(0xfc), 2),
        0x1_0000..=0xff_ffff => (Some(0xfd), 3),
        _ => (Some(0xfe), 8),
    };
    payload.extend(prefix);
    payload.extend(bytes.iter().take(used));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_packet_is_read_only_within_its_limit_and_in_order() {
        async fn check(bytes: &[u8], expected: &str) {
            let mut stream = tokio::io::join(bytes, tokio::io::sink());
            let result = async {
                match read_header(&mut stream, 1, 5).await? {
                    None => Ok(None),
                    Some(length) => read_body(&mut stream, length).await.map(Some),
                }
            };
            let told = match result.await {
                Ok(body) => format!("{body:?}"),
                Err(error) => error.to_string(),
            };
            assert_eq!(told, expected);
        }
        check(b"", "None").await;
        check(b"\x00\x00\x00\x01", "Some([])").await;
        check(b"\x02\x00\x00\x01ab", "Some([97, 98])").await;
        check(b"\x02\x00\x00\x01abcd", "Some([97, 98])").await;
        check(b"\x02\x00", "reading from the client: unexpected end of file").await;
        check(b"\x02\x00\x00\x01a", "reading from the client: unexpected end of file").await;
        check(b"\x02\x00\x00\x02ab", "packet number 2 came instead of 1").await;
        check(
            b"\x06\x00\x00\x01abcdef",
            "a packet of 6 bytes came; the limit here is 5",
        )
        .await;
        check(
            b"\xff\xff\xff\x01",
            "a packet of 16777215 bytes came; the limit here is 5",
        )
        .await;
    }

    #[test]
    fn numbers_take_the_shortest_form_that_holds_them() {
        let check = |number: u64, expected: &[u8]| {
            let mut payload = Vec::new();
            put_length(&mut payload, number);
            assert_eq!(payload, expected);
        };
        check(250, &[250]);
        check(251, &[0xfc, 251, 0]);
        check(65535, &[0xfc, 255, 255]);
        check(65536, &[0xfd, 0, 0, 1]);
        check(1 << 24, &[0xfe, 0, 0, 0, 1, 0, 0, 0, 0]);
    }

    #[test]
    fn an_endless_error_message_is_cut_at_a_character() {
        let packet = err(&SqlError::new(1105, "HY000", "é".repeat(100_000)), 1);
        assert_eq!(packet.len(), 4 + 9 + (64 << 10));
        assert!(std::str::from_utf8(&packet[13..]).is_ok());
    }
}
