//! Tests over the binlogs in `fixtures/binlog`, which a real server wrote: what is decoded here is what mysql_common
//! decodes, and what the statements in the `.sql` file beside each binlog say.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use mysql_async::Value as TheirValue;
use mysql_async::binlog::events::{
    Event as TheirEvent, EventData, FormatDescriptionEvent, RowsEventData, TableMapEvent,
};
use mysql_async::binlog::jsonb::Value as TheirJson;
use mysql_async::binlog::row::BinlogRow;
use mysql_async::binlog::value::BinlogValue;
use mysql_async::binlog::{BinlogChecksumAlg, BinlogVersion};

use super::event::{ChecksumAlgorithm, Event, Header, parse};
use super::jsonb::{self, Node};
use super::rows::{RowsEvent, RowsKind, split};
use super::{decimal, query::Query};
use crate::model::row::Row;
use crate::model::table_map::{ColumnKind, TableMap};
use crate::model::value::Value;

const ALL: [&str; 9] = [
    "anonymous",
    "columns",
    "compressed",
    "ddl",
    "gtids",
    "gtids-next",
    "other-events",
    "types-full",
    "types-minimal",
];

/// The events of a fixture, header and checksum included.
pub(crate) fn raw_events(name: &str) -> Vec<Bytes> {
    let path = format!("{}/fixtures/binlog/{name}.binlog", env!("CARGO_MANIFEST_DIR"));
    let file = Bytes::from(std::fs::read(path).unwrap());
    assert_eq!(&file[..4], b"\xfebin");
    let mut events = Vec::new();
    let mut position = 4;
    while position < file.len() {
        let header = Header::parse(&file[position..]).unwrap();
        let end = position + header.event_size as usize;
        assert_eq!(header.end_log_pos as usize, end);
        events.push(file.slice(position..end));
        position = end;
    }
    events
}

/// The events of a fixture, those inside compressed transactions in their place.
pub(crate) fn events(name: &str) -> Vec<(Header, Event)> {
    let mut checksum = false;
    let mut all = Vec::new();
    for raw in raw_events(name) {
        let event = parse(&raw, checksum).unwrap();
        match &event {
            Event::FormatDescription(description) => {
                checksum = description.checksum_algorithm == ChecksumAlgorithm::Crc32;
            }
            Event::TransactionPayload(payload) => {
                all.extend(payload.events().unwrap().map(Result::unwrap));
                continue;
            }
            _ => {}
        }
        all.push((Header::parse(&raw).unwrap(), event));
    }
    all
}

type Change = (Option<Row>, Option<Row>);

/// The row changes of a fixture, by table.
fn changes(name: &str) -> Vec<(RowsEvent, Arc<TableMap>, Vec<Change>)> {
    let mut tables = HashMap::new();
    let mut all = Vec::new();
    for (_, event) in events(name) {
        match event {
            Event::TableMap(table) => {
                tables.insert(table.table_id, table);
            }
            Event::Rows(rows) => {
                let table: &Arc<TableMap> = &tables[&rows.table_id];
                let changes = split(&rows, table).unwrap().map(Result::unwrap).collect();
                all.push((rows.clone(), Arc::clone(table), changes));
            }
            _ => {}
        }
    }
    all
}

/// The row changes of a fixture, as mysql_common reads them.
fn their_changes(name: &str) -> Vec<Vec<(Option<BinlogRow>, Option<BinlogRow>)>> {
    let mut description = FormatDescriptionEvent::new(BinlogVersion::Version4);
    let mut tables: HashMap<u64, TableMapEvent<'static>> = HashMap::new();
    let mut all = Vec::new();
    for raw in raw_events(name) {
        let event = TheirEvent::read(&description, &raw[..]).unwrap();
        match event.read_data().unwrap() {
            Some(EventData::FormatDescriptionEvent(found)) => description = found.into_owned(),
            Some(EventData::TransactionPayloadEvent(payload)) => {
                let mut inner = description.footer();
                inner.set_checksum_enabled(false);
                let description = description.clone().with_footer(inner);
                let unpacked = payload.danger_decompress();
                let mut rest = &unpacked[..];
                while !rest.is_empty() {
                    let event = TheirEvent::read(&description, &mut rest).unwrap();
                    their_rows(&event, &mut tables, &mut all);
                }
            }
            _ => their_rows(&event, &mut tables, &mut all),
        }
    }
    all
}

fn their_rows(
    event: &TheirEvent,
    tables: &mut HashMap<u64, TableMapEvent<'static>>,
    all: &mut Vec<Vec<(Option<BinlogRow>, Option<BinlogRow>)>>,
) {
    match event.read_data().unwrap() {
        Some(EventData::TableMapEvent(table)) => {
            tables.insert(table.table_id(), table.into_owned());
        }
        Some(EventData::RowsEvent(RowsEventData::PartialUpdateRowsEvent(_))) => {}
        // A known trap of mysql_common: TIME(1) and TIME(2) below zero, with a fraction, overflow.
        Some(EventData::RowsEvent(rows)) if tables[&rows.table_id()].table_name() == "negative_times" => {}
        Some(EventData::RowsEvent(rows)) => {
            all.push(rows.rows(&tables[&rows.table_id()]).map(Result::unwrap).collect());
        }
        _ => {}
    }
}

#[test]
fn every_value_is_the_one_that_mysql_common_reads() {
    for name in ALL {
        let (mut ours, theirs) = (changes(name), their_changes(name));
        ours.retain(|(_, table, _)| table.name.table != "negative_times");
        assert_eq!(ours.len(), theirs.len(), "{name}: number of rows events");
        for ((_, table, ours), theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours.len(), theirs.len(), "{name}, {}: number of rows", table.name);
            for (ours, theirs) in ours.iter().zip(theirs) {
                assert_same_row(name, ours.0.as_ref(), theirs.0.as_ref());
                assert_same_row(name, ours.1.as_ref(), theirs.1.as_ref());
            }
        }
    }
}

fn assert_same_row(name: &str, ours: Option<&Row>, theirs: Option<&BinlogRow>) {
    let (Some(ours), Some(theirs)) = (ours, theirs) else {
        assert!(
            ours.is_none() && theirs.is_none(),
            "{name}: one of the images is not there"
        );
        return;
    };
    let values: Vec<_> = ours.values().map(Result::unwrap).collect();
    assert_eq!(
        values.len(),
        theirs.len(),
        "{name}, {}: number of columns",
        ours.table.name
    );
    let mut decoded = Vec::new();
    ours.decode(&mut decoded).unwrap();
    assert_eq!(decoded.len(), ours.table.columns.len());
    assert_eq!(decoded.iter().flatten().count(), values.len());
    for (position, (index, value)) in values.iter().enumerate() {
        assert!(ours.has(*index));
        assert_eq!(ours.value(*index).unwrap().as_ref(), Some(value), "read one by one");
        assert_eq!(decoded[*index].as_ref(), Some(value), "read at once");
        let theirs = theirs.as_ref(position).unwrap();
        let kind = ours.table.columns[*index].kind;
        let place = format!("{name}, {} column {index}: {value:?} or {theirs:?}", ours.table.name);
        match (value, theirs) {
            (Value::Json(document), BinlogValue::Jsonb(theirs)) => assert_same_json(&place, document, theirs),
            (value, BinlogValue::Value(theirs)) => assert_same_value(&place, kind, value, theirs),
            _ => panic!("{place}"),
        }
    }
}

fn assert_same_value(place: &str, kind: ColumnKind, ours: &Value<'_>, theirs: &TheirValue) {
    let bytes = |bytes: &[u8]| TheirValue::Bytes(bytes.to_vec());
    let expected = match *ours {
        Value::Null => TheirValue::NULL,
        // A known trap of mysql_common: a MEDIUMINT below zero loses its sign.
        Value::Int(number) if kind == ColumnKind::Int24 && number < 0 => match theirs {
            TheirValue::Int(theirs) if *theirs >= 0 => TheirValue::Int(number & 0xff_ffff),
            _ => TheirValue::Int(number),
        },
        Value::Int(number) => TheirValue::Int(number),
        Value::UInt(number) => match theirs {
            TheirValue::Int(_) => TheirValue::Int(i64::try_from(number).unwrap()),
            _ => TheirValue::UInt(number),
        },
        Value::Float(number) => TheirValue::Float(number),
        Value::Double(number) => TheirValue::Double(number),
        Value::Decimal {
            bytes: packed,
            precision,
            scale,
        } => {
            let mut text = String::new();
            decimal::write(packed, precision, scale, &mut text).unwrap();
            bytes(text.as_bytes())
        }
        Value::Bytes(text) | Value::Geometry(text) | Value::Vector(text) => bytes(text),
        Value::Bit(bits) => {
            let TheirValue::Bytes(theirs) = theirs else {
                panic!("{place}")
            };
            bytes(&bits.to_be_bytes()[8 - theirs.len()..])
        }
        Value::Enum(index) => TheirValue::Int(index.into()),
        Value::Set(bits) => {
            let TheirValue::Bytes(theirs) = theirs else {
                panic!("{place}")
            };
            bytes(&bits.to_le_bytes()[..theirs.len()])
        }
        // A known trap of mysql_common: it knows no year 0000.
        Value::Year(0) => bytes(b"1900"),
        Value::Year(year) => bytes(year.to_string().as_bytes()),
        Value::Date { year, month, day } => TheirValue::Date(year, month, day, 0, 0, 0, 0),
        Value::Time {
            negative,
            hours,
            minutes,
            seconds,
            micros,
        } => {
            let hour = u8::try_from(hours % 24).unwrap();
            TheirValue::Time(negative, u32::from(hours / 24), hour, minutes, seconds, micros)
        }
        Value::DateTime {
            year,
            month,
            day,
            hour,
            minute,
            second,
            micros,
        } => TheirValue::Date(year, month, day, hour, minute, second, micros),
        Value::Timestamp { seconds, micros: 0 } => bytes(seconds.to_string().as_bytes()),
        Value::Timestamp { seconds, micros } => bytes(format!("{seconds}.{micros:06}").as_bytes()),
        Value::Json(_) => panic!("{place}"),
    };
    assert_eq!(&expected, theirs, "{place}");
    if let (Value::Double(ours), TheirValue::Double(theirs)) = (ours, theirs) {
        assert_eq!(ours.to_bits(), theirs.to_bits(), "{place}");
    }
}

fn assert_same_json(place: &str, document: &[u8], theirs: &TheirJson<'_>) {
    let ours: Vec<String> = jsonb::nodes(document)
        .map(|node| match node.unwrap() {
            Node::Opaque { field_type, .. } => format!("opaque {field_type}"),
            node => format!("{node:?}"),
        })
        .collect();
    let mut expected = Vec::new();
    flatten(theirs, &mut expected);
    assert_eq!(ours, expected, "{place}");
}

fn flatten(value: &TheirJson<'_>, out: &mut Vec<String>) {
    macro_rules! array {
        ($array:expr) => {{
            out.push(format!("Array {{ len: {} }}", $array.element_count()));
            $array.iter().for_each(|value| flatten(&value.unwrap(), out));
            out.push("End".into());
        }};
    }
    macro_rules! object {
        ($object:expr) => {{
            out.push(format!("Object {{ len: {} }}", $object.element_count()));
            for entry in $object.iter() {
                let (key, value) = entry.unwrap();
                out.push(format!("Key({:?})", key.value()));
                flatten(&value, out);
            }
            out.push("End".into());
        }};
    }
    match value {
        TheirJson::SmallArray(array) => array!(array),
        TheirJson::LargeArray(array) => array!(array),
        TheirJson::SmallObject(object) => object!(object),
        TheirJson::LargeObject(object) => object!(object),
        TheirJson::Null => out.push("Null".into()),
        TheirJson::Bool(value) => out.push(format!("Bool({value})")),
        TheirJson::I16(value) => out.push(format!("Int({value})")),
        TheirJson::I32(value) => out.push(format!("Int({value})")),
        TheirJson::I64(value) => out.push(format!("Int({value})")),
        TheirJson::U16(value) => out.push(format!("UInt({value})")),
        TheirJson::U32(value) => out.push(format!("UInt({value})")),
        TheirJson::U64(value) => out.push(format!("UInt({value})")),
        TheirJson::F64(value) => out.push(format!("Double({value:?})")),
        TheirJson::String(text) => out.push(format!("Str({:?})", text.str())),
        TheirJson::Opaque(opaque) => out.push(format!("opaque {}", opaque.value_type() as u8)),
    }
}

/// The after image of the row with this `id` when it was inserted.
fn inserted(fixture: &str, table: &str, id: i64) -> Row {
    changes(fixture)
        .into_iter()
        .filter(|(event, map, _)| event.kind == RowsKind::Write && map.name.table == table)
        .flat_map(|(_, _, changes)| changes)
        .filter_map(|(_, after)| after)
        .find(|row| row.value(0).unwrap() == Some(Value::Int(id)))
        .unwrap()
}

fn column(row: &Row, name: &str) -> usize {
    let named = |column: &crate::model::table_map::Column| column.name.as_deref() == Some(name);
    row.table.columns.iter().position(named).unwrap()
}

fn value<'a>(row: &'a Row, name: &str) -> Value<'a> {
    row.value(column(row, name)).unwrap().unwrap()
}

#[test]
fn edge_values_are_what_was_inserted() {
    let (low, high) = (
        inserted("types-full", "numbers", 1),
        inserted("types-full", "numbers", 2),
    );
    let check = |name, expected_low, expected_high| {
        assert_eq!(value(&low, name), expected_low, "{name}");
        assert_eq!(value(&high, name), expected_high, "{name}");
    };
    check("t", Value::Int(-128), Value::Int(127));
    check("tu", Value::UInt(0), Value::UInt(255));
    check("su", Value::UInt(0), Value::UInt(65_535));
    check("m", Value::Int(-8_388_608), Value::Int(8_388_607));
    check("mu", Value::UInt(0), Value::UInt(16_777_215));
    check("iu", Value::UInt(0), Value::UInt(u32::MAX.into()));
    check("b", Value::Int(i64::MIN), Value::Int(i64::MAX));
    check("bu", Value::UInt(0), Value::UInt(u64::MAX));
    check("y", Value::Year(0), Value::Year(2155));
    check("d", Value::Double(f64::MIN), Value::Double(f64::MAX));
    check("bit1", Value::Bit(0), Value::Bit(1));
    check("bit10", Value::Bit(0), Value::Bit(1023));
    check("bit64", Value::Bit(0), Value::Bit(u64::MAX));
    let other = inserted("types-full", "numbers", 4);
    assert!(matches!(value(&other, "d"), Value::Double(zero) if zero == 0.0 && zero.is_sign_negative()));

    let zero = inserted("types-full", "times", 1);
    assert_eq!(
        value(&zero, "d"),
        Value::Date {
            year: 0,
            month: 0,
            day: 0
        }
    );
    assert_eq!(value(&zero, "ts6"), Value::Timestamp { seconds: 0, micros: 0 });
    let time = Value::Time {
        negative: true,
        hours: 838,
        minutes: 59,
        seconds: 59,
        micros: 0,
    };
    assert_eq!(value(&zero, "t3"), time);
    let check = |id, name, hours, minutes, seconds, micros| {
        let row = inserted("types-full", "negative_times", id);
        let expected = Value::Time {
            negative: true,
            hours,
            minutes,
            seconds,
            micros,
        };
        assert_eq!(value(&row, name), expected);
    };
    check(1, "t1", 0, 0, 0, 100_000);
    check(1, "t2", 0, 0, 0, 10_000);
    check(2, "t1", 12, 34, 56, 900_000);
    check(2, "t2", 838, 59, 58, 990_000);
    check(3, "t1", 0, 0, 1, 0);
    check(3, "t2", 0, 0, 1, 500_000);
    let invalid = inserted("types-full", "times", 7);
    assert_eq!(
        value(&invalid, "d"),
        Value::Date {
            year: 2023,
            month: 2,
            day: 31
        }
    );

    let strings = inserted("types-full", "strings", 2);
    assert_eq!(
        value(&strings, "c"),
        Value::Bytes(b"ab"),
        "CHAR loses spaces at its end"
    );
    assert_eq!(
        value(&strings, "bi"),
        Value::Bytes(&[1, 2]),
        "BINARY loses zeros at its end"
    );
    assert_eq!(value(&strings, "vb"), Value::Bytes(&[0, 0xff, 0, 0]));
    assert_eq!(
        value(&strings, "cl"),
        Value::Bytes(&[0xc4, 0xf6, 0xfc]),
        "latin1 stays latin1"
    );
    assert_eq!(value(&strings, "c255"), Value::Bytes("😀".repeat(255).as_bytes()));
    assert_eq!(value(&strings, "en"), Value::Enum(3));
    assert_eq!(value(&strings, "st"), Value::Set(0b1001));
    assert_eq!(value(&strings, "st64"), Value::Set(1 | 1 << 63));
    let wrong = inserted("types-full", "strings", 4);
    assert_eq!(value(&wrong, "en"), Value::Enum(0), "the error value");

    let vector = inserted("types-full", "others", 1);
    let floats: Vec<u8> = [1.0_f32, -2.5, 0.0, 3e10]
        .iter()
        .flat_map(|f| f.to_le_bytes())
        .collect();
    assert_eq!(value(&vector, "vec"), Value::Vector(&floats));
}

#[test]
fn decimals_print_as_they_were_inserted() {
    let check = |id, name, expected: &str| {
        let row = inserted("types-full", "numbers", id);
        let Value::Decimal {
            bytes,
            precision,
            scale,
        } = value(&row, name)
        else {
            panic!()
        };
        let mut text = String::new();
        decimal::write(bytes, precision, scale, &mut text).unwrap();
        assert_eq!(text, expected);
    };
    check(
        1,
        "dec1",
        "-99999999999999999999999999999999999.999999999999999999999999999999",
    );
    check(
        2,
        "dec1",
        "99999999999999999999999999999999999.999999999999999999999999999999",
    );
    check(4, "dec1", "0.000000000000000000000000000001");
    check(5, "dec1", "1000000000.000000001000000000000000000000");
    check(1, "dec2", "-99999999.99");
    check(4, "dec2", "-0.01");
    check(5, "dec2", "0.00");
    check(1, "decu", "0");
    check(5, "decu", "100000000");
    check(1, "dec4", "-0.9999");
    check(5, "dec4", "0.0000");
}

#[test]
fn json_text_is_what_the_server_prints() {
    let check = |id, opaque, expected: &str| {
        let row = inserted("types-full", "others", id);
        let Value::Json(document) = value(&row, "j") else {
            panic!()
        };
        let mut text = String::new();
        jsonb::to_text(document, &mut text).unwrap();
        assert_eq!(text, expected);
        assert_eq!(jsonb::has_opaque(document), Ok(opaque), "{text}");
    };
    check(1, false, "{}");
    check(
        4,
        true,
        r#"{"dt": "2024-02-29 12:34:56.789000", "ts": "2024-01-01 00:00:00.000000", "big": 99999999999999999999999999999999999999999999999999999999999999999, "bin": "base64:type15:Ynl0ZXM=", "bit": "base64:type15:Cg==", "dec": 12.50, "neg": -0.0010000000, "blob": "base64:type15:AP8Q", "date": "2024-02-29", "time": "-838:59:59.000000", "year": 2024}"#,
    );
    check(5, false, r#""just a string""#);
    check(6, true, r#"["0000-00-00", "00:00:00.000000", 1, "x"]"#);
    check(7, false, &("[".repeat(100) + &"]".repeat(100)));
    let long = "long".repeat(18_000);
    check(
        8,
        false,
        &format!(r#"["{long}", 1, 2, 70000, {{"a": 1, "b": "small in large"}}]"#),
    );
    // The server prints some of these otherwise (9.007199254740992e15, 0.00000085); they are the same doubles.
    check(
        10,
        false,
        "[0.30000000000000004, 2.2250738585072014e-308, 1.7976931348623157e308, 5e-324, 9007199254740992.0, \
         1.2345678901234568e20, 1e22, 1e23, 8.5e-7]",
    );
}

#[test]
fn table_maps_tell_what_the_metadata_has() {
    let table = |fixture, name: &str| {
        let find = |(_, event)| match event {
            Event::TableMap(table) if table.name.table == name => Some(table),
            _ => None,
        };
        events(fixture).into_iter().find_map(find).unwrap()
    };
    let check = |name: &str, column: usize, unsigned, collation| {
        for fixture in ["types-full", "types-minimal"] {
            let column = &table(fixture, name).columns[column];
            assert_eq!(
                (column.unsigned, column.collation),
                (unsigned, collation),
                "{fixture}, {name}: {column:?}"
            );
        }
    };
    check("numbers", 1, false, None);
    check("numbers", 2, true, None);
    check("numbers", 8, true, None); // YEAR
    check("numbers", 9, true, None);
    check("numbers", 11, true, None);
    check("numbers", 12, false, None);
    check("numbers", 13, false, None);
    check("many", 15, false, None);
    check("many", 16, true, None);
    check("strings", 1, false, Some(255)); // utf8mb4_0900_ai_ci
    check("strings", 3, false, Some(8)); // latin1_swedish_ci
    check("strings", 7, false, Some(54)); // utf16_general_ci
    check("strings", 10, false, Some(65)); // ascii_bin
    check("strings", 11, false, Some(63)); // BINARY
    check("strings", 15, false, Some(8)); // TEXT
    check("strings", 18, false, Some(63)); // TINYBLOB

    let keyed = table("types-full", "keyed");
    assert_eq!(keyed.primary_key, Some(vec![1, 0]));
    assert_eq!(keyed.columns[3].collation, Some(8), "ENUM, told by FULL only");
    assert!(keyed.has_names());
    assert_eq!(keyed.columns[4].name.as_deref(), Some("e"));
    assert_eq!(table("types-full", "prefixed").primary_key, Some(vec![1, 0]));
    let minimal = table("types-minimal", "keyed");
    assert_eq!((minimal.primary_key.clone(), minimal.has_names()), (None, false));
    let nullable: Vec<_> = keyed.columns.iter().map(|column| column.nullable).collect();
    assert_eq!(nullable, [false, false, true, true, true]);
    assert_eq!(
        minimal.columns.iter().map(|column| column.kind).collect::<Vec<_>>(),
        keyed.columns.iter().map(|column| column.kind).collect::<Vec<_>>()
    );
}

#[test]
fn generated_and_invisible_columns_are_in_the_images() {
    let row = inserted("columns", "computed", 1);
    assert!(row.is_full());
    assert_eq!(value(&row, "v"), Value::Int(11), "virtual");
    assert_eq!(value(&row, "s"), Value::Int(20), "stored");
    assert_eq!(value(&row, "hidden"), Value::Bytes(b"h"));
    assert_eq!(value(&row, "tail"), Value::Bytes(b"xy"));
    let changes = changes("columns");
    let gipk = changes.iter().find(|(_, table, _)| table.name.table == "gipk").unwrap();
    assert_eq!(gipk.1.columns[0].name.as_deref(), Some("my_row_id"));
    let functional = changes
        .iter()
        .find(|(_, table, _)| table.name.table == "functional")
        .unwrap();
    assert_eq!(
        functional.1.columns.len(),
        3,
        "the hidden columns of functional indexes stay at home"
    );
}

#[test]
fn minimal_images_have_only_some_columns() {
    let update = changes("columns")
        .into_iter()
        .filter(|(event, table, _)| event.kind == RowsKind::Update && table.name.table == "computed")
        .flat_map(|(_, _, changes)| changes)
        .next_back()
        .unwrap();
    let (before, after) = (update.0.unwrap(), update.1.unwrap());
    assert!(!before.is_full() && !after.is_full());
    let columns = |row: &Row| row.values().map(|value| value.unwrap().0).collect::<Vec<_>>();
    assert_eq!(columns(&before), [0]);
    assert_eq!(columns(&after), [column(&after, "tail")]);
    assert_eq!(before.value(5).unwrap(), None);
    assert_eq!(value(&after, "tail"), Value::Bytes(b"minimal"));
}

#[test]
fn gtids_are_read_in_both_formats() {
    let uuid = "c0ffee00-0000-4000-8000-000000000001";
    let other = "aaaaaaaa-0000-4000-8000-00000000000a";
    let mut found = Vec::new();
    for (_, event) in events("gtids") {
        if let Event::Gtid(event) = event {
            assert!(!event.is_anonymous && event.sequence_number > event.last_committed);
            assert!(event.immediate_commit_us > 1_700_000_000_000_000);
            assert!(event.transaction_length.unwrap() > 100);
            found.push((event.gtid.to_string(), event.original_commit_us));
        }
    }
    let gtids: Vec<&str> = found.iter().map(|(gtid, _)| gtid.as_str()).collect();
    let expected = [
        format!("{uuid}:blue:1"),
        format!("{uuid}:blue:2"),
        format!("{uuid}:a_very_long_tag_of_32_characters:1"),
        format!("{other}:green:9223372036854775806"),
        format!("{other}:3000000000"),
        format!("{other}:7"),
        format!("{other}:green:1"),
    ];
    assert_eq!(gtids[1..], expected);
    assert_eq!(found[6].1, 1_700_000_000_123_456);
    assert_eq!(found[7].1, 1_700_000_000_123_457);
    assert!(
        found[1].1 > 1_700_000_000_123_457,
        "the same as the immediate one where it came from"
    );

    let previous = |name| {
        let find = |(_, event)| match event {
            Event::PreviousGtids(set) => Some(set),
            _ => None,
        };
        events(name).into_iter().find_map(find).unwrap().to_string()
    };
    assert!(previous("compressed").starts_with(&format!("{uuid}:1-")));
    // The fixtures are captured in the order of their names.
    let expected_start = format!("{other}:7:3000000000:green:1:9223372036854775806,{uuid}:1-");
    assert!(
        previous("other-events").starts_with(&expected_start),
        "{}",
        previous("other-events")
    );
    assert!(previous("other-events").ends_with(":a_very_long_tag_of_32_characters:1:blue:1-2"));
    let anonymous = |(_, event): &(Header, Event)| matches!(event, Event::Gtid(event) if event.is_anonymous);
    assert_eq!(events("anonymous").iter().filter(|event| anonymous(event)).count(), 2);
}

#[test]
fn ddl_comes_with_its_session() {
    let queries: Vec<Query> = events("ddl")
        .into_iter()
        .filter_map(|(_, event)| match event {
            Event::Query(query) => Some(query),
            _ => None,
        })
        .collect();
    let find = |part: &str| {
        let holds = |query: &&Query| String::from_utf8_lossy(&query.text).contains(part);
        queries.iter().find(holds).unwrap_or_else(|| panic!("{part}"))
    };
    let parent = find("\"parent\"");
    assert_eq!(parent.schema, "f");
    assert_eq!(parent.status.foreign_key_checks(), Some(false));
    assert_eq!(parent.status.unique_checks(), Some(false));
    assert_eq!(
        parent.status.sql_mode,
        Some(4 | 1 << 20),
        "ANSI_QUOTES and NO_BACKSLASH_ESCAPES"
    );
    assert_eq!(parent.error_code, 0);
    let child = find("CREATE TABLE child");
    assert_eq!(child.status.foreign_key_checks(), Some(true));
    assert_eq!(child.status.charset_client, Some(255));
    assert_eq!(child.status.collation_server, Some(255));
    assert_eq!(child.status.default_collation_for_utf8mb4, Some(255));
    assert_eq!(find("COMMENT '").status.charset_client, Some(8));
    let added = find("ADD COLUMN");
    assert_eq!(added.status.collation_connection, Some(46));
    assert_eq!(added.status.auto_increment, Some((2, 2)));
    assert_eq!(added.status.databases, Some(vec!["f".into()]));
    assert!(added.status.ddl_xid.is_some());
    let invoker = ("root".to_owned(), "localhost".to_owned());
    assert_eq!(find("TRIGGER").status.invoker, Some(invoker));
    assert_eq!(find("COMMENT 'x'").status.sql_require_primary_key, Some(true));
    for query in &queries {
        assert_eq!(query.status.unknown, None, "{}", String::from_utf8_lossy(&query.text));
    }
}

#[test]
fn events_of_every_other_kind_are_recognized() {
    let of = |name| events(name).into_iter().map(|(_, event)| event).collect::<Vec<_>>();
    let others = of("other-events");
    let has = |what: &str, found: fn(&Event) -> bool| assert!(others.iter().any(found), "{what}");
    has(
        "no checksums",
        |e| matches!(e, Event::FormatDescription(f) if f.checksum_algorithm == ChecksumAlgorithm::Off),
    );
    has(
        "XA PREPARE",
        |e| matches!(e, Event::XaPrepare(x) if !x.one_phase && x.format_id == 7 && x.gtrid == "global" && x.bqual == "branch"),
    );
    has(
        "XA COMMIT ONE PHASE",
        |e| matches!(e, Event::XaPrepare(x) if x.one_phase && x.gtrid == "one"),
    );
    has("partial JSON", |e| matches!(e, Event::PartialUpdateRows(_)));
    has("statement format", |e| matches!(e, Event::Statement(_)));
    has("COMMIT", |e| matches!(e, Event::Xid { .. }));
    has(
        "rotation",
        |e| matches!(e, Event::Rotate { position: 4, next_file } if next_file.starts_with("log.")),
    );
    let columns = of("columns");
    let statement = |e: &Event| matches!(e, Event::RowsQuery(text) if text.starts_with(b"DELETE FROM blobs"));
    assert!(columns.iter().any(statement));
    for name in ALL {
        for (header, event) in events(name) {
            assert!(!matches!(event, Event::Unknown(_)), "{name}: {header:?}");
        }
        let first = of(name).remove(0);
        assert!(
            matches!(first, Event::FormatDescription(f) if f.server_version.starts_with("9.")),
            "{name}"
        );
    }
}

#[test]
fn compressed_transactions_hold_their_events() {
    let compressed = raw_events("compressed");
    let payloads = compressed
        .iter()
        .filter(|raw| matches!(parse(raw, true), Ok(Event::TransactionPayload(_))));
    assert_eq!(payloads.count(), 4);
    let rows: Vec<usize> = changes("compressed")
        .iter()
        .map(|(_, _, changes)| changes.len())
        .collect();
    assert_eq!(rows.iter().sum::<usize>(), 1 + 3 + 4 + 1 + 81 + 60 + 1, "{rows:?}");
    let heads = events("compressed")
        .iter()
        .filter(|(_, event)| matches!(event, Event::Gtid(_)))
        .count();
    let ends = events("compressed")
        .iter()
        .filter(|(_, event)| matches!(event, Event::Xid { .. }))
        .count();
    assert_eq!(
        heads,
        ends + 1,
        "every transaction but the CREATE TABLE ends with a COMMIT"
    );
}

#[test]
fn a_changed_byte_is_noticed_by_the_checksum() {
    for raw in raw_events("gtids") {
        parse(&raw, true).unwrap();
        for position in [0, 17, 19, raw.len() - 6, raw.len() - 1] {
            let mut bytes = raw.to_vec();
            bytes[position] ^= 0x10;
            let error = parse(&bytes.into(), true).unwrap_err().to_string();
            assert!(error.contains("checksum"), "byte {position}: {error}");
        }
    }
}

#[test]
fn the_mark_of_an_open_file_does_not_spoil_the_checksum() {
    let mut first = raw_events("gtids").remove(0).to_vec();
    first[17] |= 1;
    assert!(matches!(parse(&first.into(), true), Ok(Event::FormatDescription(_))));
}

#[test]
fn errors_name_event_position_table_and_column() {
    let raw = raw_events("types-full");
    let of_type = |number: u8| raw.iter().find(|raw| raw[4] == number).unwrap().clone();
    let (table, rows) = (of_type(19), of_type(30));
    let cut = |raw: &Bytes, by: usize| {
        let mut bytes = raw[..raw.len() - by].to_vec();
        let length = u32::try_from(bytes.len()).unwrap();
        bytes[9..13].copy_from_slice(&length.to_le_bytes());
        Bytes::from(bytes)
    };
    let error = parse(&cut(&of_type(33), 50), false).unwrap_err();
    assert_eq!(
        error.end_log_pos(),
        Some(Header::parse(&of_type(33)).unwrap().end_log_pos)
    );
    let error = error.to_string();
    assert!(error.starts_with("binlog event GTID that ends at position "), "{error}");
    assert!(error.ends_with(": it ends too early"), "{error}");
    let Event::TableMap(table) = parse(&table, true).unwrap() else {
        panic!()
    };
    let Event::Rows(rows) = parse(&cut(&rows, 5), false).unwrap() else {
        panic!()
    };
    let error = split(&rows, &table).unwrap().find_map(Result::err).unwrap().to_string();
    assert!(
        error.starts_with("binlog event WRITE_ROWS that ends at position "),
        "{error}"
    );
    assert!(
        error.contains("table f.numbers, column 21 (bit64): it ends too early"),
        "{error}"
    );
}

/// What the other tests compare with must be there at all.
#[test]
fn mysql_common_finds_the_same_checksums() {
    let mut description = FormatDescriptionEvent::new(BinlogVersion::Version4);
    for raw in raw_events("ddl") {
        let event = TheirEvent::read(&description, &raw[..]).unwrap();
        let crc = event.calc_checksum(BinlogChecksumAlg::BINLOG_CHECKSUM_ALG_CRC32);
        assert_eq!(event.checksum(), Some(crc.to_le_bytes()));
        parse(&raw, true).unwrap();
        if let Some(EventData::FormatDescriptionEvent(found)) = event.read_data().unwrap() {
            description = found.into_owned();
        }
    }
}
