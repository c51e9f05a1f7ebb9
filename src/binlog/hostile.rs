//! Whatever bytes come in, an error comes out, or what they mean; never a panic, and never work without end.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::event::{Event, EventType, Header, parse, parse_body};
use super::fixtures::raw_events;
use super::rows::{RowsEvent, RowsKind, split};
use super::{decimal, jsonb};
use crate::model::name::TableName;
use crate::model::row::Row;
use crate::model::table_map::{Column, ColumnKind, TableMap};
use crate::model::value::Value;

/// Looks at everything an event has. `tables`: the table maps met so far.
fn exhaust(event: Event, tables: &mut Vec<Arc<TableMap>>) {
    match event {
        Event::TableMap(table) => tables.push(table),
        Event::Rows(rows) => {
            for table in tables.iter() {
                // Wrong table maps too: their number is all that tells.
                let rows = RowsEvent {
                    table_id: table.table_id,
                    ..rows.clone()
                };
                if let Ok(changes) = split(&rows, table) {
                    let most = rows.body.len() + 1;
                    let changes: Vec<_> = changes.take(most + 1).collect();
                    assert!(changes.len() <= most, "more changes than bytes");
                    for (before, after) in changes.into_iter().flatten() {
                        before.iter().chain(&after).for_each(exhaust_row);
                    }
                }
            }
        }
        Event::TransactionPayload(payload) => {
            if let Ok(events) = payload.events() {
                for (_, event) in events.take(10_000).flatten() {
                    exhaust(event, tables);
                }
            }
        }
        other => drop(format!("{other:?}")),
    }
}

fn exhaust_row(row: &Row) {
    let mut all = Vec::new();
    let decoded = row.decode(&mut all).is_ok();
    let values: Vec<_> = row.values().collect();
    assert_eq!(decoded, values.iter().all(Result::is_ok), "both ways of reading agree");
    for (index, value) in values.into_iter().flatten() {
        assert_eq!(row.value(index).ok().flatten().is_some(), row.has(index));
        match value {
            Value::Json(document) => exhaust_json(document),
            Value::Decimal {
                bytes,
                precision,
                scale,
            } => drop(decimal::write(bytes, precision, scale, &mut String::new())),
            _ => {}
        }
    }
}

fn exhaust_json(document: &[u8]) {
    let mut text = String::new();
    let written = jsonb::to_text(document, &mut text).is_ok();
    assert!(
        text.len() <= 400 + document.len() * 40,
        "{} bytes from {}",
        text.len(),
        document.len()
    );
    assert!(jsonb::nodes(document).count() <= 16 + document.len() * 3);
    if written {
        assert!(jsonb::has_opaque(document).is_ok());
    }
}

/// Changes some bytes of a real event, cuts some off, and mends its length.
fn damage(raw: &Bytes, changes: &[(usize, u8)], cut: usize) -> Bytes {
    let mut bytes = raw.to_vec();
    for (position, byte) in changes {
        let position = Header::LEN + position % (bytes.len() - Header::LEN);
        bytes[position] = *byte;
    }
    let shortest = Header::LEN.max(bytes.len().saturating_sub(cut));
    bytes.truncate(shortest);
    let length = u32::try_from(bytes.len()).unwrap();
    bytes[9..13].copy_from_slice(&length.to_le_bytes());
    bytes.into()
}

fn all_raw() -> Vec<Vec<Bytes>> {
    let small = |name| raw_events(name).into_iter().filter(|raw| raw.len() < 20_000).collect();
    ["columns", "compressed", "ddl", "gtids", "other-events", "types-full"]
        .map(small)
        .into()
}

/// A table of every kind of column.
fn every_kind() -> Arc<TableMap> {
    let kinds = [
        ColumnKind::Tiny,
        ColumnKind::Short,
        ColumnKind::Int24,
        ColumnKind::Long,
        ColumnKind::LongLong,
        ColumnKind::Float,
        ColumnKind::Double,
        ColumnKind::Decimal {
            precision: 65,
            scale: 30,
        },
        ColumnKind::Bit { bits: 33 },
        ColumnKind::Year,
        ColumnKind::Date,
        ColumnKind::Time { fsp: 0 },
        ColumnKind::Time { fsp: 2 },
        ColumnKind::Time { fsp: 6 },
        ColumnKind::DateTime { fsp: 3 },
        ColumnKind::Timestamp { fsp: 5 },
        ColumnKind::Char { max_bytes: 10 },
        ColumnKind::VarChar { max_bytes: 300 },
        ColumnKind::Blob { length_bytes: 1 },
        ColumnKind::Enum { bytes: 1 },
        ColumnKind::Set { bytes: 8 },
        ColumnKind::Json { length_bytes: 1 },
        ColumnKind::Geometry { length_bytes: 4 },
        ColumnKind::Vector { length_bytes: 3 },
    ];
    let column = |kind| Column {
        kind,
        nullable: true,
        unsigned: false,
        collation: None,
        name: None,
        members: None,
    };
    Arc::new(TableMap {
        table_id: 1,
        name: TableName::new("d", "t"),
        columns: kinds.map(column).into(),
        primary_key: None,
    })
}

proptest! {
    #[test]
    fn arbitrary_bodies_of_every_event_type(
        number in 0..=45_u8,
        flags in prop_oneof![Just(0_u16), Just(0x80)],
        body in proptest::collection::vec(any::<u8>(), 0..120),
    ) {
        let header = Header {
            timestamp: 0, event_type: EventType(number), server_id: 1, event_size: 0, end_log_pos: 4, flags,
        };
        if let Ok(event) = parse_body(&header, &body.into()) {
            exhaust(event, &mut Vec::new());
        }
    }

    #[test]
    fn arbitrary_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..60), checksum: bool) {
        let mut sized = bytes.clone();
        let length = sized.len().to_le_bytes();
        if let Some(size) = sized.get_mut(9..13) {
            size.copy_from_slice(&length[..4]);
        }
        for bytes in [bytes, sized] {
            if let Ok(event) = parse(&bytes.into(), checksum) {
                exhaust(event, &mut Vec::new());
            }
        }
    }

    #[test]
    fn arbitrary_row_images(
        body in proptest::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 0..200),
        before in proptest::collection::vec(any::<u8>(), 3),
        after in proptest::collection::vec(any::<u8>(), 3),
    ) {
        let table = every_kind();
        let rows = RowsEvent {
            kind: RowsKind::Update,
            table_id: 1,
            flags: 0,
            column_count: table.columns.len(),
            columns_before: before.into(),
            columns_after: after.into(),
            body: body.into(),
            event_type: EventType::UPDATE_ROWS,
            end_log_pos: 4,
        };
        exhaust(Event::Rows(rows), &mut vec![table]);
    }

    #[test]
    fn arbitrary_json(
        kind in 0..16_u8,
        body in proptest::collection::vec(prop_oneof![0..16_u8, any::<u8>()], 0..80),
    ) {
        let mut document = vec![kind];
        document.extend(body);
        exhaust_json(&document);
    }

    #[test]
    fn arbitrary_decimals(bytes in proptest::collection::vec(any::<u8>(), 0..40), precision: u8, scale in 0..40_u8) {
        let mut text = String::new();
        if decimal::write(&bytes, precision, scale, &mut text).is_ok() {
            let digits = text.bytes().filter(u8::is_ascii_digit).count();
            prop_assert!(digits <= usize::from(precision) + 1, "{}", text);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damaged_real_events(
        changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..6),
        cut in prop_oneof![Just(0_usize), 0..200_usize],
        damaged_share in 1..4_usize,
    ) {
        for file in all_raw() {
            let mut tables = Vec::new();
            for (number, raw) in file.iter().enumerate() {
                let bytes = match number % damaged_share {
                    0 => damage(raw, &changes, cut),
                    _ => damage(raw, &[], 4),
                };
                if let Ok(event) = parse(&bytes, false) {
                    exhaust(event, &mut tables);
                }
                tables.truncate(8);
            }
        }
    }
}

/// Cut anywhere, an event is an error or a shorter event; it is never read beyond its end.
#[test]
fn truncated_real_events() {
    for file in all_raw() {
        let mut tables = Vec::new();
        for raw in file {
            for cut in (0..raw.len().saturating_sub(Header::LEN)).step_by(raw.len() / 100 + 1) {
                if let Ok(event) = parse(&damage(&raw, &[], cut), false) {
                    exhaust(event, &mut tables);
                }
                tables.truncate(4);
            }
        }
    }
}
