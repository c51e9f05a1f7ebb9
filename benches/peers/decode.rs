//! The decoder alone, over one binlog file in memory: every event parsed, its checksum verified, every value of every row
//! image read. Beside it mysql_common's `rows()`, which does the same, and `mysqlbinlog -v`, which prints the rows besides.

use std::{collections::HashMap, hint::black_box, path::Path, process::Stdio, sync::Arc, time::Duration};

use bytes::Bytes;
use causeway::{
    binlog::{
        event::{self, Event},
        rows,
    },
    demo::mysqld::Installation,
    model::table_map::TableMap,
};
use criterion::{Criterion, SamplingMode};
use mysql_common::binlog::{BinlogFile, consts::BinlogVersion, events::EventData};

use super::{
    Arguments,
    report::{Report, Table},
    site::{self, sql},
};

/// A binlog file begins with these many bytes that are no event.
const MAGIC_BYTES: usize = 4;

pub(crate) async fn run(arguments: &Arguments, report: &mut Report) {
    let installation = site::installation();
    let rows = arguments.thousands * 1000;
    let (_server, path) = binlog(&installation, rows).await;
    let file = Bytes::from(std::fs::read(&path).unwrap());
    assert_eq!(ours(&file), rows);
    assert_eq!(theirs(&file), rows);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .unwrap()
        .join("criterion");
    let mut criterion = Criterion::default().without_plots().output_directory(&folder);
    let mut group = criterion.benchmark_group("decode");
    group
        .sample_size(10)
        .sampling_mode(SamplingMode::Flat)
        .measurement_time(Duration::from_secs(8));
    group.bench_function("causeway", |bencher| bencher.iter(|| ours(black_box(&file))));
    group.bench_function("mysql_common", |bencher| bencher.iter(|| theirs(black_box(&file))));
    group.bench_function("mysqlbinlog", |bencher| bencher.iter(|| printed(&installation, &path)));
    group.finish();
    let mut table = Table::new(
        format!(
            "Decode: {rows} rows of 11 columns, {:.0} MB of binlog, one core",
            file.len() as f64 / 1e6
        ),
        &["who", "MB/s", "rows/s", "Causeway is so many times as fast"],
    );
    let seconds = |who: &str| estimate(&folder, who);
    for (name, who) in [
        ("Causeway", "causeway"),
        ("mysql_common, rows()", "mysql_common"),
        ("mysqlbinlog --base64-output=decode-rows -v", "mysqlbinlog"),
    ] {
        let seconds_taken = seconds(who);
        table.rows.push(vec![
            name.to_owned(),
            format!("{:.0}", file.len() as f64 / 1e6 / seconds_taken),
            format!("{:.0}", rows as f64 / seconds_taken),
            format!("{:.2}", seconds_taken / seconds("causeway")),
        ]);
    }
    report.add(table);
}

/// A file with so many rows of eleven columns of the usual types, inserted a thousand at a time.
async fn binlog(
    installation: &Arc<Installation>,
    rows: u64,
) -> (causeway::demo::mysqld::LocalServer, std::path::PathBuf) {
    let server = site::server(installation, false).await;
    let mut conn = server.connect().await.unwrap();
    sql(
        &mut conn,
        "CREATE DATABASE read_back; CREATE TABLE read_back.t (id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, customer INT,
         status TINYINT, name VARCHAR(60), email VARCHAR(300), amount DECIMAL(12, 2), rate DOUBLE, made DATETIME(6),
         changed TIMESTAMP(3), born DATE, note TEXT); RESET BINARY LOGS AND GTIDS",
    )
    .await;
    for _ in 0..rows / 1000 {
        sql(
            &mut conn,
            "INSERT INTO read_back.t (customer, status, name, email, amount, rate, made, changed, born, note)
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
             SELECT i * 7, i % 100, CONCAT('Name of ', i), CONCAT('customer', i, '@example.com'), i / 3, i / 7,
             '2026-01-01 00:00:00.123456' + INTERVAL i SECOND, '2026-02-03 04:05:06.789', '1990-05-17' + INTERVAL i DAY,
             IF(i % 4, 'a short note about this customer', NULL) FROM n",
        )
        .await;
    }
    let name = site::cell(&mut conn, "SELECT SUBSTRING_INDEX(@@log_bin_basename, '/', -1)").await;
    let path = server.dir.join("data").join(format!("{name}.000001"));
    (server, path)
}

fn ours(file: &Bytes) -> u64 {
    let mut maps: HashMap<u64, Arc<TableMap>> = HashMap::new();
    let mut rest = file.slice(MAGIC_BYTES..);
    let mut count = 0;
    while !rest.is_empty() {
        let size = u32::from_le_bytes(rest[9..13].try_into().unwrap()) as usize;
        match event::parse(&rest.split_to(size), true).unwrap() {
            Event::TableMap(map) => {
                maps.insert(map.table_id, map);
            }
            Event::Rows(event) => {
                for change in rows::split(&event, &maps[&event.table_id]).unwrap() {
                    let (before, after) = change.unwrap();
                    for row in [before, after].iter().flatten() {
                        count += 1;
                        for value in row.values() {
                            black_box(value.unwrap());
                        }
                    }
                }
            }
            _ => {}
        }
    }
    count
}

fn theirs(file: &Bytes) -> u64 {
    let mut events = BinlogFile::new(BinlogVersion::Version4, &file[..]).unwrap();
    let mut count = 0;
    while let Some(event) = events.next() {
        let event = event.unwrap();
        let checksum = event.calc_checksum(mysql_common::binlog::consts::BinlogChecksumAlg::BINLOG_CHECKSUM_ALG_CRC32);
        black_box(checksum);
        if let Some(EventData::RowsEvent(data)) = event.read_data().unwrap() {
            let map = events.reader().get_tme(data.table_id()).unwrap();
            for row in data.rows(map) {
                let (before, after) = row.unwrap();
                count += u64::from(before.is_some()) + u64::from(after.is_some());
                black_box((before, after));
            }
        }
    }
    count
}

fn printed(installation: &Installation, path: &Path) {
    let done = installation
        .program("mysqlbinlog")
        .args(["--base64-output=decode-rows", "-v"])
        .arg(path)
        .stdout(Stdio::null())
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// Seconds for the whole file, as criterion has estimated them.
fn estimate(folder: &Path, who: &str) -> f64 {
    let path = folder.join("decode").join(who).join("new/estimates.json");
    let estimates: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    estimates["median"]["point_estimate"].as_f64().unwrap() / 1e9
}
