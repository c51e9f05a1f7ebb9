//! The events that carry GTIDs: the one at the head of each transaction, in its two formats, and the set at the head
//! of each file.

use super::cursor::{Cursor, identifier};
use super::error::Malformed;
use crate::model::gtid::{GNO_END, Gtid, GtidSet, Tag, Uuid};

/// Marks the logical clock's two numbers (since 5.7.5).
const LOGICAL_CLOCK: u8 = 2;
/// In the immediate commit time: the original one follows, as it differs.
const HAS_ORIGINAL_TIME: u64 = 1 << 55;
/// The only version of MySQL's serialization format so far.
const SERIALIZATION_VERSION: u8 = 2;

/// The head of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GtidEvent {
    /// The transaction's GTID. Zero UUID and number 0 if it is anonymous.
    pub gtid: Gtid,
    /// The source runs without GTIDs (`gtid_mode=OFF`).
    pub is_anonymous: bool,
    /// The logical clock when the transaction was prepared: it may run beside any that comes later in this file and
    /// has `last_committed` below this one's `sequence_number`.
    pub last_committed: u64,
    /// The transaction's own place on the logical clock; starts over with each file.
    pub sequence_number: u64,
    /// Commit time at the server that sends it: microseconds since the epoch; 0 before 8.0.
    pub immediate_commit_us: u64,
    /// Commit time at the server where it came from first: microseconds since the epoch; 0 before 8.0.
    pub original_commit_us: u64,
    /// Bytes of the whole transaction in the log, this event included (since 8.0).
    pub transaction_length: Option<u64>,
}

/// Checks a number that must be there unless the transaction is anonymous.
fn checked_gno(gno: u64, anonymous: bool) -> Result<u64, Malformed> {
    match anonymous {
        true => Ok(0),
        false if (1..GNO_END).contains(&gno) => Ok(gno),
        false => Err(Malformed("its transaction number is 0 or too large")),
    }
}

/// GTID and ANONYMOUS_GTID: fixed fields, of which older servers leave out the last ones.
pub(crate) fn untagged(body: &[u8], is_anonymous: bool) -> Result<GtidEvent, Malformed> {
    let mut cursor = Cursor::new(body);
    cursor.u8()?; // whether it may hold statements
    let uuid = Uuid(cursor.array()?);
    let gno = checked_gno(cursor.u64()?, is_anonymous)?;
    let mut event = GtidEvent {
        gtid: Gtid::new(uuid, Tag::default(), gno),
        is_anonymous,
        last_committed: 0,
        sequence_number: 0,
        immediate_commit_us: 0,
        original_commit_us: 0,
        transaction_length: None,
    };
    if cursor.rest().first() != Some(&LOGICAL_CLOCK) {
        return Ok(event); // 5.6, or a clock of another kind (5.7 before its release)
    }
    cursor.u8()?;
    event.last_committed = cursor.u64()?;
    event.sequence_number = cursor.u64()?;
    if cursor.is_empty() {
        return Ok(event); // 5.7
    }
    let immediate = cursor.uint(7)?;
    event.immediate_commit_us = immediate & !HAS_ORIGINAL_TIME;
    event.original_commit_us = match immediate & HAS_ORIGINAL_TIME {
        0 => event.immediate_commit_us,
        _ => cursor.uint(7)?,
    };
    if !cursor.is_empty() {
        event.transaction_length = Some(cursor.lenenc()?);
    }
    Ok(event) // what follows are server versions
}

/// GTID_TAGGED (since 8.3): a message in MySQL's serialization format. That is a version, the message's length, the
/// last field that a reader must know, and then fields, each behind its number, in rising order; a field that has its
/// default value is left out.
pub(crate) fn tagged(body: &[u8]) -> Result<GtidEvent, Malformed> {
    let mut cursor = Cursor::new(body);
    if cursor.u8()? != SERIALIZATION_VERSION {
        return Err(Malformed("its serialization version is not 2"));
    }
    let message_len = usize::try_from(varlen(&mut cursor)?).map_err(|_| Malformed::TRUNCATED)?;
    let last_needed = varlen(&mut cursor)?;
    // The length counts from the version on; what is behind it is not ours.
    let read = body.len() - cursor.len();
    let rest = message_len
        .checked_sub(read)
        .ok_or(Malformed("its length is too small"))?;
    let mut fields = Cursor::new(cursor.take(rest)?);

    let (mut uuid, mut gno, mut tag) = (None, None, Tag::default());
    let (mut last_committed, mut sequence_number) = (0, 0);
    let (mut immediate, mut original, mut transaction_length) = (0, None, None);
    while !fields.is_empty() {
        match varlen(&mut fields)? {
            0 | 9 | 10 | 11 => {
                varlen(&mut fields)?; // flags, server versions, commit group ticket
            }
            1 => {
                let mut bytes = [0; 16];
                for byte in &mut bytes {
                    *byte = u8::try_from(varlen(&mut fields)?).map_err(|_| Malformed("its UUID is malformed"))?;
                }
                uuid = Some(Uuid(bytes));
            }
            2 => gno = Some(signed(&mut fields)?),
            3 => tag = read_tag(&mut fields)?,
            4 => last_committed = signed(&mut fields)?,
            5 => sequence_number = signed(&mut fields)?,
            6 => immediate = varlen(&mut fields)?,
            7 => original = Some(varlen(&mut fields)?),
            8 => transaction_length = Some(varlen(&mut fields)?),
            number if number <= last_needed => {
                return Err(Malformed(
                    "it has a field that Causeway does not know and that must be known",
                ));
            }
            _ => break, // of unknown length, so all behind it is out of reach
        }
    }
    let (Some(uuid), Some(gno)) = (uuid, gno) else {
        return Err(Malformed("it has no UUID or no transaction number"));
    };
    Ok(GtidEvent {
        gtid: Gtid::new(uuid, tag, checked_gno(gno, false)?),
        is_anonymous: false,
        last_committed,
        sequence_number,
        immediate_commit_us: immediate,
        original_commit_us: original.unwrap_or(immediate),
        transaction_length,
    })
}

/// PREVIOUS_GTIDS: how many sources, then for each its UUID, its tag if the set has tags, and its intervals.
pub(crate) fn previous_gtids(body: &[u8]) -> Result<GtidSet, Malformed> {
    let mut cursor = Cursor::new(body);
    let head = cursor.u64()?;
    // Since 8.3 the highest byte is 1 if there are tags, and the count stands between two such bytes.
    let (tags, sources) = match head >> 56 {
        0 => (false, head),
        1 => (true, (head >> 8) & ((1 << 48) - 1)),
        _ => return Err(Malformed("its GTID set is in a format that Causeway does not know")),
    };
    let mut set = GtidSet::new();
    for _ in 0..sources {
        let uuid = Uuid(cursor.array()?);
        let tag = if tags { read_tag(&mut cursor)? } else { Tag::default() };
        for _ in 0..cursor.u64()? {
            let (start, end) = (cursor.u64()?, cursor.u64()?);
            if start == 0 || start >= end || end > GNO_END {
                return Err(Malformed("its GTID set has an impossible interval"));
            }
            set.insert_range(uuid, &tag, start..end);
        }
    }
    Ok(set)
}

fn read_tag(cursor: &mut Cursor<'_>) -> Result<Tag, Malformed> {
    let length = usize::try_from(varlen(cursor)?).map_err(|_| Malformed::TRUNCATED)?;
    let text = identifier(cursor.take(length)?)?;
    Tag::new(&text).map_err(|_| Malformed("its GTID tag has characters that tags can't have"))
}

/// The serialization format's integer: as many low one bits in the first byte as bytes follow, then a zero bit, then
/// the number, little-endian. 0xff: the number itself in the 8 bytes that follow.
fn varlen(cursor: &mut Cursor<'_>) -> Result<u64, Malformed> {
    let first = *cursor.rest().first().ok_or(Malformed::TRUNCATED)?;
    match first.trailing_ones() {
        8 => {
            cursor.u8()?;
            cursor.u64()
        }
        ones => {
            let bytes = ones + 1;
            let raw = cursor.uint(usize::try_from(bytes).map_err(|_| Malformed::TRUNCATED)?)?;
            Ok(raw >> bytes)
        }
    }
}

/// A signed integer whose sign is its lowest bit; none that is used here may be negative.
fn signed(cursor: &mut Cursor<'_>) -> Result<u64, Malformed> {
    let raw = varlen(cursor)?;
    match raw & 1 {
        0 => Ok(raw >> 1),
        _ => Err(Malformed("it has a negative number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serialized_integers_have_one_to_nine_bytes() {
        let check = |bytes: &[u8], expected| assert_eq!(varlen(&mut Cursor::new(bytes)).ok(), expected, "{bytes:?}");
        check(&[0b0000_0000], Some(0));
        check(&[0b1111_1110], Some(127));
        check(&[0b0000_0001, 0b10], Some(128));
        check(&[0x7f, 1, 0, 0, 0, 0, 0, 0], Some(1));
        check(&[0xff, 1, 0, 0, 0, 0, 0, 0, 0x80], Some(0x8000_0000_0000_0001));
        check(&[0b1], None);
        check(&[], None);
    }

    #[test]
    fn an_unknown_field_stops_only_if_it_must_be_known() {
        let message = |last_needed: u8| {
            let mut fields = vec![1 << 1];
            fields.extend([7 << 1; 16]);
            fields.extend([2 << 1, 5 << 2, 60 << 1, 1]);
            let length = u8::try_from(fields.len() + 3).unwrap();
            let mut body = vec![2, length << 1, last_needed << 1];
            body.extend(fields);
            tagged(&body)
        };
        let event = message(11).unwrap();
        assert_eq!(event.gtid, Gtid::new(Uuid([7; 16]), Tag::default(), 5));
        assert!(message(60).is_err());
    }

    #[test]
    fn headless_or_numberless_events_are_refused() {
        assert!(untagged(&[0; 24], false).is_err(), "too short");
        assert!(untagged(&[0; 25], false).is_err(), "number 0");
        assert!(untagged(&[0; 25], true).unwrap().is_anonymous);
        assert!(tagged(&[2, 6, 0]).is_err(), "no fields");
        assert!(tagged(&[3, 6, 0]).is_err(), "another version");
        assert!(tagged(&[2, 0, 0]).is_err(), "a length that does not count itself");
    }
}
