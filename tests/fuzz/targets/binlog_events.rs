//! Events, one behind the other as in a file: each is read, or an error.
#![no_main]

use std::collections::HashMap;

use bytes::Bytes;
use causeway::binlog::{Event, Header, event::parse_body, parse, rows};

fn look(event: Event, tables: &mut HashMap<u64, std::sync::Arc<causeway::model::table_map::TableMap>>) {
    match event {
        Event::TableMap(table) => drop(tables.insert(table.table_id, table)),
        Event::Rows(event) => {
            let Some(table) = tables.get(&event.table_id) else {
                return;
            };
            let Ok(changes) = rows::split(&event, table) else {
                return;
            };
            for (before, after) in changes.take(1000).flatten() {
                for row in before.iter().chain(&after) {
                    let mut values = Vec::new();
                    let _ = row.decode(&mut values);
                }
            }
        }
        Event::TransactionPayload(payload) => {
            if let Ok(events) = payload.events() {
                for (_, event) in events.take(100).flatten() {
                    look(event, tables);
                }
            }
        }
        _ => {}
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut rest = Bytes::copy_from_slice(bytes);
    let mut tables = HashMap::new();
    let _ = parse(&rest, true);
    while let Ok(header) = Header::parse(&rest) {
        let size = (header.event_size as usize).clamp(Header::LEN, rest.len());
        let event = rest.split_to(size);
        let _ = parse(&event, false);
        if let Ok(event) = parse_body(&header, &event.slice(Header::LEN..)) {
            look(event, &mut tables);
        }
    }
});
