//! Rows events: split into row images, and the images read value by value.
//!
//! An image is a bit per column that it has, telling which are NULL, and then the values one behind the other, each
//! as long as its type says. So an image's end is only found by walking over it: [`split`] does that, and checks
//! every length as it goes. What it yields are [`Row`]s, which share the event's bytes and the table map; a row's
//! values are read only when they are asked for ([`Row::values`], [`Row::value`]), without allocating.

use std::sync::Arc;

use bytes::Bytes;

use super::column;
use super::cursor::Cursor;
use super::error::{BinlogError, Malformed};
use super::event::{EventType, Header};
use crate::model::row::Row;
use crate::model::table_map::TableMap;
use crate::model::value::Value;

/// The last rows event of its statement; table maps are void after it.
const STMT_END: u16 = 1;

/// The session had `foreign_key_checks` off.
const NO_FOREIGN_KEY_CHECKS: u16 = 1 << 1;

/// Foreign keys are the server's own matter and not the storage engine's (since 9.6): what their actions do is logged.
const SQL_FOREIGN_KEYS: u16 = 1 << 4;

/// What a rows event does to its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RowsKind {
    /// INSERT: after images.
    Write,
    /// UPDATE: before and after images.
    Update,
    /// DELETE: before images.
    Delete,
}

/// A rows event whose rows have not been looked at yet.
#[derive(Debug, Clone)]
pub struct RowsEvent {
    /// What it does.
    pub kind: RowsKind,
    /// Which table map it belongs to.
    pub table_id: u64,
    /// The event's own flags.
    pub flags: u16,
    /// How many columns the table has.
    pub column_count: usize,
    /// A bit per column: whether the before images have it. Empty for [`RowsKind::Write`].
    pub columns_before: Bytes,
    /// A bit per column: whether the after images have it. Empty for [`RowsKind::Delete`].
    pub columns_after: Bytes,
    /// The images.
    pub body: Bytes,
    /// For messages: the event's type.
    pub event_type: EventType,
    /// For messages: where the event ends in its file.
    pub end_log_pos: u32,
}

impl RowsEvent {
    /// Whether this is the last rows event of its statement.
    pub fn ends_statement(&self) -> bool {
        self.flags & STMT_END != 0
    }

    /// Whether foreign keys acted on these changes (ON DELETE CASCADE and the like), and what they did is not in the log.
    pub fn leaves_cascades_out(&self) -> bool {
        self.flags & (NO_FOREIGN_KEY_CHECKS | SQL_FOREIGN_KEYS) == 0
    }

    /// Reads what stands before the images. `body` is the event without header and checksum.
    pub(crate) fn parse(header: &Header, body: &Bytes) -> Result<Self, Malformed> {
        let event_type = header.event_type;
        let kind = match event_type {
            EventType::WRITE_ROWS | EventType::WRITE_ROWS_V1 => RowsKind::Write,
            EventType::UPDATE_ROWS | EventType::UPDATE_ROWS_V1 | EventType::PARTIAL_UPDATE_ROWS => RowsKind::Update,
            _ => RowsKind::Delete,
        };
        let mut cursor = Cursor::new(body);
        let table_id = cursor.uint(6)?;
        let flags = cursor.u16()?;
        if event_type >= EventType::WRITE_ROWS {
            // Since v2 (5.6) extra data may follow, behind a length that counts itself.
            let length = usize::from(cursor.u16()?);
            cursor.take(
                length
                    .checked_sub(2)
                    .ok_or(Malformed("the extra data's length is below 2"))?,
            )?;
        }
        let column_count = cursor.lenenc_usize()?;
        let bitmap_len = column_count.div_ceil(8);
        let mut bitmap = |wanted| match wanted {
            true => cursor.take(bitmap_len).map(|bits| body.slice_ref(bits)),
            false => Ok(Bytes::new()),
        };
        let columns_before = bitmap(kind != RowsKind::Write)?;
        let columns_after = bitmap(kind != RowsKind::Delete)?;
        Ok(Self {
            kind,
            table_id,
            flags,
            column_count,
            columns_before,
            columns_after,
            body: body.slice_ref(cursor.rest()),
            event_type,
            end_log_pos: header.end_log_pos,
        })
    }
}

/// Splits a rows event into its changes, in order.
///
/// # Errors
/// At once if the event does not belong to the table map; later, from the iterator, if an image is malformed. The
/// iterator ends behind its first error.
pub fn split<'e>(event: &'e RowsEvent, table: &'e Arc<TableMap>) -> Result<RowChanges<'e>, BinlogError> {
    if event.table_id != table.table_id || event.column_count != table.columns.len() {
        let reason = format!(
            "it is for table number {} with {} columns, but its table map is for number {} with {} columns",
            event.table_id,
            event.column_count,
            table.table_id,
            table.columns.len()
        );
        return Err(BinlogError::at(event.event_type, event.end_log_pos, reason).in_table(&table.name));
    }
    Ok(RowChanges {
        event,
        table,
        position: 0,
    })
}

/// The changes of one rows event: for each row its before and after image, as far as the event has them.
#[derive(Debug, Clone)]
pub struct RowChanges<'e> {
    event: &'e RowsEvent,
    table: &'e Arc<TableMap>,
    /// How far into the event's body it is read.
    position: usize,
}

impl RowChanges<'_> {
    fn image(&mut self, present: &Bytes) -> Result<Option<Row>, BinlogError> {
        if present.is_empty() {
            return Ok(None);
        }
        let rest = self.event.body.get(self.position..).unwrap_or_default();
        let length = image_len(self.table, present, rest)
            .map_err(|error| error.in_event(self.event.event_type, self.event.end_log_pos))?;
        let end = self.position + length;
        let image = self.event.body.slice(self.position..end);
        self.position = end;
        Ok(Some(Row {
            table: Arc::clone(self.table),
            present: present.clone(),
            image,
        }))
    }
}

impl Iterator for RowChanges<'_> {
    type Item = Result<(Option<Row>, Option<Row>), BinlogError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.position >= self.event.body.len() {
            return None;
        }
        let event = self.event;
        let before = self.position;
        let images = self
            .image(&event.columns_before)
            .and_then(|before| Ok((before, self.image(&event.columns_after)?)));
        // A table always has columns, and an image at least a byte of null bits; without any this would never end.
        let images = match images {
            Ok(_) if self.position == before => {
                Err(BinlogError::row(&self.table.name, None, "an image has no columns")
                    .in_event(event.event_type, event.end_log_pos))
            }
            other => other,
        };
        if images.is_err() {
            self.position = event.body.len();
        }
        Some(images)
    }
}

/// Finds where an image ends.
fn image_len(table: &TableMap, present: &[u8], bytes: &[u8]) -> Result<usize, BinlogError> {
    let mut walk = Walk::new(table, present, bytes).map_err(|e| BinlogError::row(&table.name, None, e))?;
    while let Some((index, column, null)) = walk.step() {
        if !null && let Err(error) = column::skip(column.kind, &mut walk.values) {
            return Err(column_error(table, index, error));
        }
    }
    Ok(bytes.len() - walk.values.len())
}

fn column_error(table: &TableMap, index: usize, error: Malformed) -> BinlogError {
    let name = table.columns.get(index).and_then(|column| column.name.as_deref());
    BinlogError::row(&table.name, Some(column_label(index, name)), error)
}

/// How a message names a column: by its number, from 1, and its name if that is known.
pub(crate) fn column_label(index: usize, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("{} ({name})", index + 1),
        None => (index + 1).to_string(),
    }
}

/// The walk over an image, one column that it has after the other.
#[derive(Debug, Clone)]
struct Walk<'a> {
    columns: std::iter::Enumerate<std::slice::Iter<'a, crate::model::table_map::Column>>,
    present: Bits<'a>,
    nulls: Bits<'a>,
    values: Cursor<'a>,
}

impl<'a> Walk<'a> {
    #[inline]
    fn new(table: &'a TableMap, present: &'a [u8], image: &'a [u8]) -> Result<Self, Malformed> {
        if present.len() < table.columns.len().div_ceil(8) {
            return Err(Malformed("there are fewer bits than columns"));
        }
        let count = count_bits(present, table.columns.len());
        let mut values = Cursor::new(image);
        let nulls = values.take(count.div_ceil(8))?;
        Ok(Self {
            columns: table.columns.iter().enumerate(),
            present: Bits::new(present),
            nulls: Bits::new(nulls),
            values,
        })
    }

    /// The next column that the image has, and whether it is NULL.
    #[inline]
    fn step(&mut self) -> Option<(usize, &'a crate::model::table_map::Column, bool)> {
        loop {
            let (index, column) = self.columns.next()?;
            if self.present.next() {
                return Some((index, column, self.nulls.next()));
            }
        }
    }
}

/// Bits, least significant first.
#[derive(Debug, Clone)]
struct Bits<'a> {
    rest: std::slice::Iter<'a, u8>,
    byte: u8,
    left: u8,
}

impl<'a> Bits<'a> {
    #[inline]
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes.iter(),
            byte: 0,
            left: 0,
        }
    }

    /// The next bit; unset behind the end.
    #[inline]
    fn next(&mut self) -> bool {
        if self.left == 0 {
            self.byte = self.rest.next().copied().unwrap_or(0);
            self.left = 8;
        }
        let bit = self.byte & 1 != 0;
        self.byte >>= 1;
        self.left -= 1;
        bit
    }
}

/// How many of the first `count` bits are set.
#[inline]
fn count_bits(bits: &[u8], count: usize) -> usize {
    let whole = bits.get(..count / 8).unwrap_or_default();
    let last = bits.get(count / 8).copied().unwrap_or(0) & !(0xff << (count % 8));
    let ones = whole.iter().map(|byte| byte.count_ones()).sum::<u32>() + last.count_ones();
    usize::try_from(ones).unwrap_or(usize::MAX)
}

impl Row {
    /// The columns the image has, in order, with their position in the table.
    ///
    /// The iterator ends behind its first error.
    pub fn values(&self) -> Values<'_> {
        Values {
            table: &self.table,
            walk: Walk::new(&self.table, &self.present, &self.image),
        }
    }

    /// One column's value; `None` if the image does not have the column.
    ///
    /// Walks over the columns before it, so reading several is better done with [`Row::values`].
    ///
    /// # Errors
    /// If the image is malformed.
    pub fn value(&self, column: usize) -> Result<Option<Value<'_>>, BinlogError> {
        let mut walk = self.walk()?;
        while let Some((index, definition, null)) = walk.step() {
            if index > column {
                break;
            }
            let step = match (index == column, null) {
                (true, true) => return Ok(Some(Value::Null)),
                (true, false) => match column::read(definition, &mut walk.values) {
                    Ok(value) => return Ok(Some(value)),
                    Err(error) => Err(error),
                },
                (false, true) => Ok(()),
                (false, false) => column::skip(definition.kind, &mut walk.values),
            };
            step.map_err(|error| column_error(&self.table, index, error))?;
        }
        Ok(None)
    }

    /// Reads the whole image into `out`, which gets one entry per column of the table: `None` where the image does
    /// not have the column. What was in `out` is dropped; its memory is used again.
    ///
    /// # Errors
    /// If the image is malformed.
    pub fn decode<'a>(&'a self, out: &mut Vec<Option<Value<'a>>>) -> Result<(), BinlogError> {
        out.clear();
        out.reserve(self.table.columns.len());
        let mut walk = self.walk()?;
        while let Some((index, definition, null)) = walk.step() {
            let value = match null {
                true => Value::Null,
                false => column::read(definition, &mut walk.values)
                    .map_err(|error| column_error(&self.table, index, error))?,
            };
            while out.len() < index {
                out.push(None);
            }
            out.push(Some(value));
        }
        out.resize(self.table.columns.len(), None);
        Ok(())
    }

    /// Whether the image has a column.
    pub fn has(&self, column: usize) -> bool {
        let byte = self.present.get(column / 8).copied().unwrap_or(0);
        column < self.table.columns.len() && byte >> (column % 8) & 1 == 1
    }

    /// Whether the image has every column of the table (`binlog_row_image=FULL`).
    pub fn is_full(&self) -> bool {
        count_bits(&self.present, self.table.columns.len()) == self.table.columns.len()
    }

    fn walk(&self) -> Result<Walk<'_>, BinlogError> {
        Walk::new(&self.table, &self.present, &self.image).map_err(|e| BinlogError::row(&self.table.name, None, e))
    }
}

/// The values of a row image: position of the column in the table, and value. See [`Row::values`].
#[derive(Debug, Clone)]
pub struct Values<'a> {
    table: &'a TableMap,
    walk: Result<Walk<'a>, Malformed>,
}

impl<'a> Iterator for Values<'a> {
    type Item = Result<(usize, Value<'a>), BinlogError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let walk = match &mut self.walk {
            Ok(walk) => walk,
            Err(error) => {
                let error = BinlogError::row(&self.table.name, None, *error);
                self.walk = Ok(Walk::ended());
                return Some(Err(error));
            }
        };
        let (index, definition, null) = walk.step()?;
        if null {
            return Some(Ok((index, Value::Null)));
        }
        match column::read(definition, &mut walk.values) {
            Ok(value) => Some(Ok((index, value))),
            Err(error) => {
                *walk = Walk::ended();
                Some(Err(column_error(self.table, index, error)))
            }
        }
    }
}

impl Walk<'_> {
    /// A walk with nothing left of it.
    fn ended() -> Self {
        Self {
            columns: [].iter().enumerate(),
            present: Bits::new(&[]),
            nulls: Bits::new(&[]),
            values: Cursor::new(&[]),
        }
    }
}
