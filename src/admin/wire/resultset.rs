//! Result sets, made by `opensrv-mysql` over memory.
//!
//! For each result set it is run once from its beginning: it reads, one packet at a time, a login and a request that are
//! made up here, and asks `Rows` for the answer. All that it writes before the last request is thrown away; what
//! remains is the result set. It sees no byte from the network and needs no state between two answers.
//!
//! What it can't be told is put right afterwards, in `correct`.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use async_trait::async_trait;
use opensrv_mysql::{
    AsyncMysqlIntermediary, AsyncMysqlShim, ColumnFlags, ColumnType, ParamParser, QueryResultWriter,
    StatementMetaWriter,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::handshake::Capabilities;
use super::packet::{self, Place, frame};
use super::{Cell, Column, ColumnKind, SqlError};

/// How values travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// As text: the answer to a query.
    Text,
    /// Typed: the answer to a prepared statement.
    Binary,
}

/// The definitions of columns whose values are not known yet, as a prepared statement or a table tells them.
pub(super) fn definitions(columns: &[Column]) -> Vec<Vec<u8>> {
    let define = |column: &Column| {
        let (column_type, flags, collation) = match column.kind {
            ColumnKind::Text => (253, 0, UTF8MB4),
            ColumnKind::Integer => (8, 0, BINARY),
            ColumnKind::Unsigned => (8, 32, BINARY),
            ColumnKind::Double => (5, 0, BINARY),
        };
        packet::definition(&column.name, column_type, flags, collation)
    };
    columns.iter().map(define).collect()
}

/// The packets of a result set, and the number that the next packet has.
pub(super) async fn encode(
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
    protocol: Protocol,
    capabilities: Capabilities,
    place: Place,
) -> Result<(Vec<u8>, u8), SqlError> {
    let broken = |what: String| SqlError::new(1105, "HY000", format!("Causeway made a wrong result set: {what}"));
    if columns.is_empty() || rows.iter().any(|row| row.len() != columns.len()) {
        return Err(broken("a row does not have one value per column".into()));
    }
    let requests = match protocol {
        Protocol::Text => vec![synthetic_login(capabilities), frame(b"\x03", 0)],
        Protocol::Binary => vec![
            synthetic_login(capabilities),
            frame(b"\x16", 0),
            frame(b"\x17\0\0\0\0\0\x01\0\0\0", 0),
        ],
    };
    let written = Written::default();
    let requests = Requests {
        packets: requests.into(),
        written: written.clone(),
    };
    let columns: Vec<_> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| on_wire(at, column, &rows))
        .collect();
    let types: Vec<ColumnType> = columns.iter().map(|column| column.coltype).collect();
    let rows = Rows { columns, rows };
    AsyncMysqlIntermediary::run_on(rows, requests, written.clone())
        .await
        .map_err(|error: io::Error| broken(error.to_string()))?;
    let mut packets = std::mem::take(&mut *written.bytes());
    let next = correct(&mut packets, &types, place).ok_or_else(|| broken("its packets can't be read".into()))?;
    Ok((packets, next))
}

/// utf8mb4_general_ci, the collation of 4-byte UTF-8 that every client knows.
const UTF8MB4: u16 = 45;
/// The collation of what is no text.
const BINARY: u16 = 63;
/// "As many decimals as there are", for floating-point numbers.
const NOT_FIXED: u8 = 31;
/// Puts right what opensrv writes the same for all: columns are 3-byte UTF-8 (Node's mysql2 then garbles everything
/// beyond), numbers too, DOUBLE has no decimals (libmysqlclient then rounds), autocommit is off, and the packets number
/// from 1. Gives the number of the packet behind them.
fn correct(mut packets: &mut [u8], types: &[ColumnType], place: Place) -> Option<u8> {
    let [status, _] = place.status().to_le_bytes();
    let mut sequence = place.sequence;
    let mut types = types.iter();
    let mut is_column = false; // the first packet is the number of columns
    let mut continues = false; // a row of 16 MiB or more takes several packets
    while let Some((header, rest)) = packets.split_first_chunk_mut::<4>() {
        let [low, middle, high, number] = header;
        *number = sequence;
        sequence = sequence.wrapping_add(1);
        let (low, middle, high) = (*low, *middle, *high);
        let length = u32::from_le_bytes([low, middle, high, 0]) as usize;
        let (payload, after) = rest.split_at_mut_checked(length)?;
        match (payload, types.as_slice()) {
            (payload, [column_type, ..]) if is_column => {
                let [.., low, high, _, _, _, _, _, _, _, decimals, _, _] = payload else {
                    return None;
                };
                let collation;
                (collation, *decimals) = match column_type {
                    ColumnType::MYSQL_TYPE_VAR_STRING => (UTF8MB4, 0),
                    ColumnType::MYSQL_TYPE_DOUBLE => (BINARY, NOT_FIXED),
                    _ => (BINARY, 0),
                };
                [*low, *high] = collation.to_le_bytes();
                types.next();
            }
            ([0xfe, _, _, flags, _] | [0xfe, _, _, flags, _, _, _], []) if !continues => *flags = status,
            _ => {}
        }
        is_column = true;
        continues = length == opensrv_mysql::U24_MAX;
        packets = after;
    }
    Some(sequence)
}

/// A login as opensrv expects it. It checks nothing unless told to; the real login was before.
fn synthetic_login(capabilities: Capabilities) -> Vec<u8> {
    let known = Capabilities::PROTOCOL_41.bits() | Capabilities::SECURE_CONNECTION.bits();
    let flags = known | (capabilities.bits() & Capabilities::DEPRECATE_EOF.bits());
    let mut payload = flags.to_le_bytes().to_vec();
    payload.extend([0; 4 + 1 + 23]);
    payload.extend(b"\0\x01-"); // no user; something as password, or it would ask for another plugin
    frame(&payload, 1)
}

/// A column in opensrv's terms. The store is loosely typed: a column with a value that its type can't hold is sent as
/// text, for opensrv would panic over it.
fn on_wire(at: usize, column: &Column, rows: &[Vec<Cell>]) -> opensrv_mysql::Column {
    let fits = |cell: &Cell| {
        matches!(
            (column.kind, cell),
            (_, Cell::Null)
                | (ColumnKind::Text, _)
                | (ColumnKind::Integer, Cell::Int(_))
                | (ColumnKind::Unsigned, Cell::UInt(_))
                | (ColumnKind::Double, Cell::Double(_))
        )
    };
    let fits = rows.iter().filter_map(|row| row.get(at)).all(fits);
    let (coltype, colflags) = match column.kind {
        ColumnKind::Integer if fits => (ColumnType::MYSQL_TYPE_LONGLONG, ColumnFlags::empty()),
        ColumnKind::Unsigned if fits => (ColumnType::MYSQL_TYPE_LONGLONG, ColumnFlags::UNSIGNED_FLAG),
        ColumnKind::Double if fits => (ColumnType::MYSQL_TYPE_DOUBLE, ColumnFlags::empty()),
        _ => (ColumnType::MYSQL_TYPE_VAR_STRING, ColumnFlags::empty()),
    };
    opensrv_mysql::Column {
        table: String::new(),
        column: column.name.clone(),
        coltype,
        colflags,
    }
}

/// What opensrv asks for the answer.
struct Rows {
    columns: Vec<opensrv_mysql::Column>,
    rows: Vec<Vec<Cell>>,
}

impl Rows {
    async fn write_to(&mut self, results: QueryResultWriter<'_, Written>) -> io::Result<()> {
        let columns = std::mem::take(&mut self.columns);
        let mut writer = results.start(&columns).await?;
        for row in std::mem::take(&mut self.rows) {
            for (cell, column) in row.into_iter().zip(&columns) {
                let as_text = column.coltype == ColumnType::MYSQL_TYPE_VAR_STRING;
                match cell {
                    Cell::Null => writer.write_col(None::<u8>)?,
                    Cell::Int(value) if as_text => writer.write_col(value.to_string())?,
                    Cell::UInt(value) if as_text => writer.write_col(value.to_string())?,
                    Cell::Double(value) if as_text => writer.write_col(value.to_string())?,
                    Cell::Int(value) => writer.write_col(value)?,
                    Cell::UInt(value) => writer.write_col(value)?,
                    Cell::Double(value) => writer.write_col(value)?,
                    Cell::Text(value) => writer.write_col(value)?,
                }
            }
            writer.end_row().await?;
        }
        writer.finish().await
    }
}

#[async_trait]
impl AsyncMysqlShim<Written> for Rows {
    type Error = io::Error;

    async fn on_prepare<'a>(&'a mut self, _: &'a str, info: StatementMetaWriter<'a, Written>) -> io::Result<()> {
        info.reply(0, [], []).await
    }

    async fn on_execute<'a>(
        &'a mut self,
        _: u32,
        _: ParamParser<'a>,
        results: QueryResultWriter<'a, Written>,
    ) -> io::Result<()> {
        self.write_to(results).await
    }

    async fn on_close<'a>(&'a mut self, _: u32) {}

    async fn on_query<'a>(&'a mut self, _: &'a str, results: QueryResultWriter<'a, Written>) -> io::Result<()> {
        self.write_to(results).await
    }
}

/// opensrv's input: one packet for each time that it asks for more, for it is unsafe to give it two at once. Asking for
/// the next means that the answer to the one before is complete, and that one nobody wants.
struct Requests {
    packets: VecDeque<Vec<u8>>,
    written: Written,
}

impl AsyncRead for Requests {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(packet) = self.packets.pop_front() {
            self.written.bytes().clear();
            buffer.put_slice(&packet); // opensrv reads into 4 KiB or more
        }
        Poll::Ready(Ok(()))
    }
}

/// opensrv's output.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsyncWrite for Written {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.bytes().extend(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut all = self.bytes();
        pieces.iter().for_each(|piece| all.extend(&**piece));
        Poll::Ready(Ok(pieces.iter().map(|piece| piece.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, kind: ColumnKind) -> Column {
        Column {
            name: name.into(),
            kind,
        }
    }

    /// The payloads, after a check that their packets are numbered from 1.
    fn payloads(mut packets: &[u8]) -> Vec<Vec<u8>> {
        let mut found: Vec<Vec<u8>> = Vec::new();
        while let [low, middle, high, sequence, rest @ ..] = packets {
            assert_eq!(usize::from(*sequence), (found.len() + 1) % 256);
            let (payload, next) = rest.split_at(u32::from_le_bytes([*low, *middle, *high, 0]) as usize);
            found.push(payload.to_vec());
            packets = next;
        }
        assert!(packets.is_empty());
        found
    }

    async fn rows_of(kind: ColumnKind, cells: &[Cell], protocol: Protocol, eof: bool) -> Vec<Vec<u8>> {
        let capabilities = match eof {
            true => Capabilities::PROTOCOL_41,
            false => Capabilities::offered(false),
        };
        let rows = cells.iter().map(|cell| vec![cell.clone()]).collect();
        let (packets, _) = encode(vec![column("c", kind)], rows, protocol, capabilities, Place::ONLY)
            .await
            .unwrap();
        let all = payloads(&packets);
        assert_eq!(all[0], [1], "one column");
        let head = if eof { 3 } else { 2 };
        all[head..].to_vec()
    }

    #[tokio::test]
    async fn values_travel_as_text_or_typed_as_their_column_says() {
        async fn check(kind: ColumnKind, cell: Cell, protocol: Protocol, expected: &[u8]) {
            let rows = rows_of(kind, &[cell], protocol, false).await;
            assert_eq!(rows[0], expected, "{kind:?}");
        }
        use {
            Cell::{Double, Int, Null, UInt},
            ColumnKind as Kind,
            Protocol::*,
        };
        check(Kind::Integer, Int(-5), Text, b"\x02-5").await;
        check(Kind::Unsigned, UInt(u64::MAX), Text, b"\x1418446744073709551615").await;
        check(Kind::Double, Double(0.5), Text, b"\x030.5").await;
        check(Kind::Text, Cell::Text("ü".into()), Text, "\x02ü".as_bytes()).await;
        check(Kind::Text, Int(7), Text, b"\x017").await;
        check(Kind::Integer, Null, Text, b"\xfb").await;
        check(Kind::Integer, Int(-2), Binary, b"\0\0\xfe\xff\xff\xff\xff\xff\xff\xff").await;
        check(Kind::Unsigned, UInt(3), Binary, b"\0\0\x03\0\0\0\0\0\0\0").await;
        check(Kind::Double, Double(0.5), Binary, b"\0\0\0\0\0\0\0\0\xe0\x3f").await;
        check(Kind::Text, Cell::Text("a".into()), Binary, b"\0\0\x01a").await;
        check(Kind::Text, Null, Binary, b"\0\x04").await;
        // Values that the column's type can't hold.
        check(Kind::Integer, Cell::Text("many".into()), Binary, b"\0\0\x04many").await;
        check(Kind::Unsigned, Int(-1), Binary, b"\0\0\x02-1").await;
        check(Kind::Integer, UInt(1 << 63), Text, b"\x139223372036854775808").await;
    }

    #[tokio::test]
    async fn a_result_ends_as_the_client_expects() {
        for protocol in [Protocol::Text, Protocol::Binary] {
            let with_eof = rows_of(ColumnKind::Integer, &[], protocol, true).await;
            assert_eq!(with_eof, [b"\xfe\0\0\x02\0".to_vec()]);
            let with_ok = rows_of(ColumnKind::Integer, &[], protocol, false).await;
            assert_eq!(with_ok, [b"\xfe\0\0\x02\0\0\0".to_vec()]);
        }
    }

    #[tokio::test]
    async fn columns_tell_their_type_collation_and_decimals() {
        async fn check(kind: ColumnKind, column_type: u8, collation: u8, flags: u8, decimals: u8) {
            let capabilities = Capabilities::offered(false);
            let columns = vec![column("a name", kind)];
            let answer = encode(columns.clone(), vec![], Protocol::Text, capabilities, Place::ONLY).await;
            let definition = &payloads(&answer.unwrap().0)[1];
            assert_eq!(
                definitions(&columns)[0],
                *definition,
                "a prepared statement tells the same"
            );
            assert!(
                definition.starts_with(b"\x03def\0\0\0\x06a name\0\x0c"),
                "{definition:?}"
            );
            let fixed = &definition[definition.len() - 12..];
            assert_eq!(fixed[..2], [collation, 0]);
            assert_eq!(fixed[6..], [column_type, flags, 0, decimals, 0, 0]);
        }
        check(ColumnKind::Integer, 8, 63, 0, 0).await;
        check(ColumnKind::Unsigned, 8, 63, 32, 0).await;
        check(ColumnKind::Double, 5, 63, 0, 31).await;
        check(ColumnKind::Text, 253, 45, 0, 0).await;
    }

    #[tokio::test]
    async fn many_large_rows_keep_their_order_and_numbers() {
        let cells: Vec<_> = (0..600).map(|n| Cell::Text(format!("{n:0>9000}"))).collect();
        let capabilities = Capabilities::offered(false);
        let rows = cells.iter().map(|cell| vec![cell.clone()]).collect();
        let columns = vec![column("c", ColumnKind::Text)];
        let answer = encode(columns, rows, Protocol::Text, capabilities, Place::ONLY).await;
        let (packets, next) = answer.unwrap();
        assert_eq!(usize::from(next), (1 + 2 + 600 + 1) % 256);
        let all = payloads(&packets);
        let rows = &all[2..all.len() - 1];
        assert_eq!(rows.len(), 600);
        for (number, row) in rows.iter().enumerate() {
            assert_eq!(row[3..], *format!("{number:0>9000}").as_bytes());
        }
    }

    #[tokio::test]
    async fn an_answer_among_several_says_that_more_follow() {
        for (capabilities, end) in [
            (Capabilities::PROTOCOL_41, &b"\xfe\0\0\x0a\0"[..]),
            (Capabilities::offered(false), b"\xfe\0\0\x0a\0\0\0"),
        ] {
            let place = Place {
                sequence: 250,
                more: true,
            };
            let columns = vec![column("c", ColumnKind::Integer)];
            let rows = vec![vec![Cell::Int(1)]; 9];
            let (packets, next) = encode(columns, rows, Protocol::Text, capabilities, place)
                .await
                .unwrap();
            assert!(packets.ends_with(end));
            assert_eq!(packets[3], 250);
            assert_eq!(packets[packets.len() - end.len() - 1], next.wrapping_sub(1));
        }
    }

    #[tokio::test]
    async fn rows_that_do_not_match_their_columns_are_an_error() {
        async fn check(columns: Vec<Column>, row: Vec<Cell>) {
            let capabilities = Capabilities::offered(false);
            let result = encode(columns, vec![row], Protocol::Text, capabilities, Place::ONLY).await;
            assert_eq!(result.unwrap_err().code, 1105);
        }
        check(vec![], vec![]).await;
        check(vec![column("a", ColumnKind::Text)], vec![]).await;
        check(vec![column("a", ColumnKind::Text)], vec![Cell::Null, Cell::Null]).await;
    }
}
