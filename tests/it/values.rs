//! Every value of every type, through the very statements that full sync and the appliers write.

use std::{collections::BTreeSet, sync::Arc};

use causeway::{
    apply::checkpoint,
    binlog::{
        BinlogError,
        event::Event,
        rows::{self, RowsKind},
    },
    copy::{self, CopyTable, Fence, Progress},
    demo::mysqld::{LocalServer, ServerOptions},
    failure::Failure,
    model::{columns::ColumnMap, gtid::GtidSet, name::TableName, row::Row, table_map::TableMap},
    plan::bind::{self, UnknownColumn},
    schema,
    source::stream::{EventStream, Identity},
    sql::{literal::SESSION, set},
};
use mysql_async::{Conn, OptsBuilder, prelude::Queryable as _};

use crate::support::{ask, cluster, compare};

/// Each table: its columns behind `id`, and rows of them. `/` stands between rows.
const TABLES: &[(&str, &str, &str)] = &[
    (
        "integers",
        "a TINYINT, b TINYINT UNSIGNED, c SMALLINT, d MEDIUMINT, e MEDIUMINT UNSIGNED, f INT, g INT UNSIGNED, h BIGINT,
         i BIGINT UNSIGNED",
        "-128, 0, -32768, -8388608, 0, -2147483648, 0, -9223372036854775808, 0
         / 127, 255, 32767, 8388607, 16777215, 2147483647, 4294967295, 9223372036854775807, 18446744073709551615
         / NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL",
    ),
    (
        "decimals",
        "a DECIMAL(65,30), b DECIMAL(5,0), c DECIMAL(9,9), d DECIMAL(65,0) UNSIGNED",
        "-99999999999999999999999999999999999.999999999999999999999999999999, -99999, -0.999999999, 0
         / 99999999999999999999999999999999999.999999999999999999999999999999, 99999, 0.000000001,
           99999999999999999999999999999999999999999999999999999999999999999
         / 0.000000000000000000000000000001, 0, 0, 1 / NULL, NULL, NULL, NULL",
    ),
    (
        "floats",
        "a FLOAT, b DOUBLE, c FLOAT(7,3), d DOUBLE(12,4)",
        "-0e0, -0e0, -0e0, -0e0 / 3.402823466E+38, 1.7976931348623157E+308, 1234.567, 12345678.1234
         / 1.17549435E-38, 2.2250738585072014E-308, 0.001, 0.0001 / 1.4E-45, 4.9E-324, 0, 0
         / -3.402823466E+38, -1.7976931348623157E+308, -1, -1 / 0.1, 0.1, 0.1, 0.1 / 16777217, 9007199254740993, 1, 1
         / 0e0, 0e0, 0e0, 0e0 / 1.00000012, 1e22, 3.3, 3.3 / NULL, NULL, NULL, NULL",
    ),
    (
        "bits",
        "a BIT(1), b BIT(9), c BIT(64), d YEAR",
        "0, 0, 0, 0 / 1, 511, 18446744073709551615, 1901 / b'1', 256, 9223372036854775808, 2155 / NULL, 3, 1, 2000",
    ),
    (
        "members",
        "a ENUM('x','y''z','','ü'), b SET('1','2','3','4','5','6','7','8','9','10','11','12','13','14','15','16','17','18',
         '19','20','21','22','23','24','25','26','27','28','29','30','31','32','33','34','35','36','37','38','39','40','41',
         '42','43','44','45','46','47','48','49','50','51','52','53','54','55','56','57','58','59','60','61','62','63','64'),
         c ENUM('b','a') NOT NULL",
        "1, 0, 1 / 2, 9223372036854775808, 2 / 3, 18446744073709551615, 1 / 4, 1, 2 / 0, 5, 1 / NULL, NULL, 0",
    ),
    (
        "temporals",
        "a DATE, b TIME, c TIME(6), d TIME(3), e DATETIME, f DATETIME(6), g TIMESTAMP NULL, h TIMESTAMP(6) NULL",
        "'0000-00-00', '-838:59:59', '-838:59:58.999999', '-00:00:00.001', '0000-00-00 00:00:00', '0000-00-00 00:00:00',
           '0000-00-00 00:00:00', '0000-00-00 00:00:00'
         / '9999-12-31', '838:59:59', '838:59:58.999999', '00:00:00.999', '9999-12-31 23:59:59',
           '9999-12-31 23:59:59.999999', '2038-01-19 03:14:07', '2038-01-19 03:14:07.999999'
         / '2024-02-31', '00:00:00', '-00:00:00.000001', '-01:00:00.5', '2024-02-31 01:02:03', '2024-00-00 01:02:03.5',
           '1970-01-01 00:00:01', '1970-01-01 00:00:01.000001'
         / '2024-02-00', '-12:34:56', '12:34:56.7', '0', '1000-01-01', '0001-01-01 00:00:00.000001',
           '2024-03-31 02:30:00', '2024-10-27 01:30:00.123456' / NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL",
    ),
    (
        "characters",
        "a VARCHAR(20) CHARACTER SET latin1, b VARCHAR(20), c VARCHAR(20) CHARACTER SET utf16,
         d VARCHAR(20) CHARACTER SET gbk, e CHAR(10) CHARACTER SET utf8mb4, f TEXT CHARACTER SET ucs2,
         g MEDIUMTEXT CHARACTER SET sjis, h CHAR(5) CHARACTER SET latin1 COLLATE latin1_bin, i TINYTEXT",
        "'é\\'\\\\€', '😀\\0\\n\\r\\Z\\\\', '😀x', '縗\\\\', 'a', 'é', 'ソ表', 'x', ''
         / 'a ', 'A', ' ', '', 'A ', '', 'a', '', 'a ' / 'A', 'a', 'x', 'x ', 'ä', 'x', 'A', 'X', 'é'
         / '', '', '', '誠\\'', '', '\\\\', '', 'é', '\\'' / NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL",
    ),
    (
        "binaries",
        "a BINARY(5), b VARBINARY(5), c BINARY(0), d TINYBLOB, e BLOB, f LONGBLOB",
        "'', '', '', '', '', '' / x'6100', x'6100', '', x'00', x'FF', x'5C27'
         / x'0000000000', x'0000000000', '', x'0A0D1A', x'C3', REPEAT(x'00FF', 400)
         / x'FFFFFFFFFF', x'FFFFFFFFFF', '', 'a', REPEAT('a', 513), REPEAT(x'C328', 40000) / NULL, NULL, NULL, NULL, NULL, NULL",
    ),
    (
        "long_texts",
        "a TEXT, b VARCHAR(2000) CHARACTER SET utf16, c BINARY(255), d VARBINARY(1000), e VARCHAR(1000) CHARACTER SET latin1",
        "REPEAT('é', 300), REPEAT('x', 300), 'a', REPEAT('b', 600), REPEAT('é', 600)
         / REPEAT('e', 600), REPEAT('😀', 300), REPEAT('a', 255), 'b', 'e' / 'e', NULL, NULL, NULL, NULL",
    ),
    (
        "places",
        "a GEOMETRY, b POINT SRID 4326, c POLYGON, d GEOMETRYCOLLECTION, e VECTOR(3), f VECTOR(200)",
        "POINT(1, -2), ST_GeomFromText('POINT(10 20)', 4326), ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))'),
           ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))'), TO_VECTOR('[1,-2.5,3e-20]'),
           TO_VECTOR(CONCAT('[0.1', REPEAT(',7', 199), ']'))
         / ST_GeomFromText(CONCAT('LINESTRING(', REPEAT('1 2,', 60), '3 4)')), NULL, NULL,
           ST_GeomFromText('GEOMETRYCOLLECTION EMPTY'), TO_VECTOR('[0,0,-0.0]'), NULL / NULL, NULL, NULL, NULL, NULL, NULL",
    ),
    ("documents", "j JSON, k JSON", JSON_ROWS),
];

/// Rows of two documents. Columns of the table `made` come in with the types they have.
const JSON_ROWS: &str = r#"'null', '{}' / NULL, '[]' / 'true', '"it''s \\"q\\" \\\\ \\n \\u0001 😀"'
    / '[-0.0, 0.1, 1e300, 5e-324, 1.0, 1e22, 123456789012345680000]', '[18446744073709551615, -9223372036854775808, 40000]'
    / '"2020-01-01"', '["2020-01-01 00:00:00.000000", "12:00:00.000000", "base64:type15:YQ==", "base64:type252:"]'
    / CAST(1.50 AS JSON), JSON_ARRAY(0.5, CAST(0.5 AS DECIMAL(20,2)), 1234567.89, 1e0, 5)
    / JSON_ARRAY(CAST(5 AS DECIMAL), CAST(-1234567 AS DECIMAL(9)), CAST(40000 AS UNSIGNED), CAST(0 AS DECIMAL(20))),
      JSON_OBJECT('a"b\\c', JSON_ARRAY(1.50, JSON_OBJECT('', 2.50, 'é 😀\n', 3.5)), '$[0]', 1.25)
    / JSON_ARRAY(CAST('99999999999999999999999999999999999' AS DECIMAL(65,30)), CAST(-0.5 AS DECIMAL(65,30))),
      JSON_ARRAY(CAST(REPEAT('9', 65) AS DECIMAL(65,0)), 0.000000000000000000000000000001)
    / JSON_OBJECT('d', DATE'2020-02-03', 't', TIME'-838:59:58.999999', 'dt', TIMESTAMP'9999-12-31 23:59:59.999999'),
      JSON_ARRAY(CAST('0000-00-00' AS DATE), CAST('2020-02-31' AS DATE), CAST('100:00:00' AS TIME(2)))
    / CAST(DATE'2020-02-03' AS JSON), JSON_ARRAY(_binary x'00ff27', CAST('' AS BINARY), REPEAT(x'ff', 70000))
    / (SELECT JSON_ARRAY(tiny, blb, medium, lng, bin, varbin, bits, bit64, ts) FROM made),
      (SELECT JSON_OBJECT('dec', dec1, 'dec2', dec2, 'y', y, 'e', e, 'f', f, 'g', g, 'u', u) FROM made)
    / (SELECT CAST(ts AS JSON) FROM made), (SELECT CAST(bits AS JSON) FROM made)
    / '{"id": 5, "at": "2020-01-01T00:00:00Z", "tags": ["a", "b"], "n": {"x": [[], [{}]]}}', '"0000-00-00"'
    / (SELECT CAST(CONCAT('[', REPEAT('{"k": 1.5},', 3000), '"2020-01-01"]') AS JSON)), '[2147483648, 3000000000]'
    / (SELECT JSON_ARRAYAGG(n * 1.5) FROM (WITH RECURSIVE c AS (SELECT 1 n UNION ALL SELECT n + 1 FROM c WHERE n < 999)
       SELECT n FROM c) AS x), JSON_ARRAY('base64:type15:YQ==', CAST('a' AS BINARY), 'a')"#;

const MADE: &str = "CREATE TABLE made (tiny TINYBLOB, blb BLOB, medium MEDIUMBLOB, lng LONGBLOB, bin BINARY(4),
    varbin VARBINARY(9), bits BIT(9), bit64 BIT(64), ts TIMESTAMP(3), dec1 DECIMAL(20,2), dec2 DECIMAL(65,30), y YEAR,
    e ENUM('a','b'), f FLOAT, g GEOMETRY, u SMALLINT UNSIGNED, id INT PRIMARY KEY);
    INSERT INTO made VALUES (x'00ff', x'00ff', '', 'abc', 'ab', 'x', 257, 18446744073709551615, '2020-01-01 00:00:00.123',
    0.5, -1.5, 2000, 'a', 1.1, POINT(1,2), 40000, 1)";

/// Tables whose key is of another type: the key's type, and values.
const KEYS: &[(&str, &str, &[&str])] = &[
    (
        "ci",
        "VARCHAR(20) COLLATE utf8mb4_0900_ai_ci",
        &["'a'", "'b '", "'É'", "''", "'😀\\''"],
    ),
    (
        "latin",
        "VARCHAR(20) CHARACTER SET latin1",
        &["'a'", "'€'", "'é x'", "''"],
    ),
    ("fixed", "CHAR(20) CHARACTER SET gbk", &["'a'", "'縗\\\\'", "''"]),
    (
        "wide",
        "VARCHAR(20) CHARACTER SET utf16 COLLATE utf16_bin",
        &["'a'", "'A'", "'😀'"],
    ),
    (
        "datetime",
        "DATETIME(3)",
        &[
            "'0000-00-00'",
            "'2020-01-01 00:00:00.001'",
            "'9999-12-31 23:59:59.999'",
            "'2024-02-31'",
        ],
    ),
    (
        "day",
        "DATE",
        &["'0000-00-00'", "'2020-00-00'", "'2024-02-31'", "'9999-12-31'"],
    ),
    (
        "moment",
        "TIMESTAMP(6)",
        &["'0000-00-00'", "'1970-01-01 00:00:01'", "'2038-01-19 03:14:07.999999'"],
    ),
    (
        "span",
        "TIME(2)",
        &["'-838:59:59'", "'-00:00:00.01'", "'00:00:00'", "'838:59:58.99'"],
    ),
    (
        "number",
        "DECIMAL(40,10)",
        &["-1.5", "0", "123456789012345678901234567890.0123456789"],
    ),
    ("real", "DOUBLE", &["-1e300", "0e0", "0.1", "5e-324"]),
    ("single", "FLOAT", &["-3.4e38", "0e0", "0.1", "1.17549435E-38"]),
    ("bytes", "BINARY(4)", &["''", "x'6100'", "x'ffffffff'", "x'61000001'"]),
    ("varbytes", "VARBINARY(4)", &["''", "x'6100'", "x'61'", "x'ffffffff'"]),
    ("member", "ENUM('b','a','c')", &["1", "2", "3"]),
    ("members", "SET('b','a','c')", &["0", "1", "2", "5"]),
    ("year", "YEAR", &["0", "1901", "2000", "2155"]),
    (
        "bits",
        "BIT(64)",
        &["0", "1", "9223372036854775808", "18446744073709551615"],
    ),
    (
        "big",
        "BIGINT UNSIGNED",
        &["0", "1", "9223372036854775808", "18446744073709551615"],
    ),
];

/// Makes all tables in `s` and, empty, in `d`.
async fn make_tables(server: &LocalServer) -> Vec<String> {
    let mut conn = session(server).await;
    conn.query_drop("CREATE DATABASE s; CREATE DATABASE d; USE s")
        .await
        .unwrap();
    conn.query_drop(MADE).await.unwrap();
    let mut tables = vec!["made".to_owned()];
    for (name, columns, _) in TABLES {
        conn.query_drop(format!("CREATE TABLE {name} (id INT PRIMARY KEY, {columns})"))
            .await
            .unwrap();
        tables.push((*name).to_owned());
    }
    for (name, kind, _) in KEYS {
        conn.query_drop(format!(
            "CREATE TABLE key_{name} (k {kind} NOT NULL, n INT, v INT, j JSON, PRIMARY KEY (k, n))"
        ))
        .await
        .unwrap();
        tables.push(format!("key_{name}"));
    }
    let many: Vec<String> = (0..1000).map(|number| format!("c{number} SMALLINT")).collect();
    conn.query_drop(format!("CREATE TABLE many (id INT PRIMARY KEY, {})", many.join(", ")))
        .await
        .unwrap();
    tables.push("many".to_owned());
    for table in &tables {
        conn.query_drop(format!("CREATE TABLE d.{table} LIKE s.{table}"))
            .await
            .unwrap();
    }
    tables
}

/// As the product connects.
fn options(server: &LocalServer) -> OptsBuilder {
    server
        .opts()
        .client_found_rows(true)
        .db_name(Some("information_schema"))
}

/// A session like the appliers', but that takes an ENUM's error value.
async fn session(server: &LocalServer) -> Conn {
    let mut conn = Conn::new(options(server)).await.unwrap();
    conn.query_drop(format!("SET {SESSION}")).await.unwrap();
    conn.query_drop("SET sql_mode = 'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO'")
        .await
        .unwrap();
    conn
}

/// Writes the rows of all tables, those with integers as keys again and again until there are so many.
async fn fill(server: &LocalServer, at_least: usize) {
    let mut conn = session(server).await;
    conn.query_drop("USE s").await.unwrap();
    for (name, _, rows) in TABLES {
        let rows: Vec<&str> = rows
            .split(" / ")
            .flat_map(|row| row.split("\n         / "))
            .flat_map(|row| row.split("\n    / "))
            .collect();
        let count = rows.len().max(at_least);
        for (number, row) in rows.into_iter().cycle().take(count).enumerate() {
            let statement = format!("INSERT INTO {name} VALUES ({}, {row})", number + 1);
            conn.query_drop(&statement)
                .await
                .unwrap_or_else(|error| panic!("{error}\nin: {statement}"));
        }
    }
    for (name, _, values) in KEYS {
        for value in *values {
            let statement =
                format!("INSERT INTO key_{name} VALUES ({value}, 1, 2, '[1.5]'), ({value}, 2, 2, JSON_ARRAY(1.5))");
            conn.query_drop(&statement)
                .await
                .unwrap_or_else(|error| panic!("{error}\nin: {statement}"));
        }
    }
    let many = vec!["7"; 1000].join(",");
    conn.query_drop(format!("INSERT INTO many VALUES (1,{many}),(2,{many})"))
        .await
        .unwrap();
}

/// Applies what the binlog has of `s` to `d`, up to a row in the database `m`.
struct Follower {
    stream: EventStream,
    map: Option<Arc<TableMap>>,
    conn: Conn,
    /// What updates or deletes the rows of an event is one statement, which sets whatever one of the updates changes.
    together: bool,
    failures: Vec<String>,
    /// Tables that were gone through by ranges of keys, by an update or delete.
    by_ranges: BTreeSet<(String, &'static str)>,
}

impl Follower {
    async fn start(server: &LocalServer, together: bool) -> Self {
        let mut conn = server.connect().await.unwrap();
        let uuid: String = conn.query_first("SELECT UUID()").await.unwrap().unwrap();
        let identity = Identity { server_id: 77, uuid };
        let stream = EventStream::open(conn, &identity, &GtidSet::default()).await.unwrap();
        let mut conn = Conn::new(options(server)).await.unwrap();
        conn.query_drop(format!("SET {SESSION}")).await.unwrap();
        Self {
            stream,
            map: None,
            conn,
            together,
            failures: Vec::new(),
            by_ranges: BTreeSet::new(),
        }
    }

    async fn until_mark(&mut self) {
        loop {
            match self.stream.next().await.unwrap().0 {
                Event::TableMap(map) => self.map = Some(map),
                Event::Rows(event) => {
                    let map = self.map.clone().unwrap();
                    if map.name.database == "m" {
                        return;
                    }
                    if map.name.database != "s" {
                        continue;
                    }
                    let name = TableName::new("d", map.name.table.clone());
                    let table = schema::read_table(&mut self.conn, &name).await.unwrap().unwrap();
                    let target =
                        bind::bind(&map, None, &Arc::new(table), &ColumnMap::All, UnknownColumn::Refuse).unwrap();
                    let images: Vec<_> = rows::split(&event, &map).unwrap().map(Result::unwrap).collect();
                    let before: Vec<&Row> = images.iter().filter_map(|(before, _)| before.as_ref()).collect();
                    let after: Vec<&Row> = images.iter().filter_map(|(_, after)| after.as_ref()).collect();
                    let statements = match event.kind {
                        RowsKind::Write => vec![written(|out| set::insert(out, &target, &after))],
                        RowsKind::Delete => {
                            let size = if self.together { before.len() } else { 1 };
                            let statements = before.chunks(size.max(1));
                            statements
                                .map(|rows| written(|out| set::delete(out, &target, rows)))
                                .collect()
                        }
                        RowsKind::Update => {
                            let mut updates: Vec<(Vec<usize>, Vec<set::Update<'_>>)> = Vec::new();
                            for (before, after) in before.into_iter().zip(after) {
                                let update = set::Update::read(&target, before, after).unwrap();
                                let changed = set::changed_columns(&target, &update);
                                match updates.last_mut().filter(|_| self.together) {
                                    Some((columns, updates)) => {
                                        columns.extend(changed);
                                        updates.push(update);
                                    }
                                    None => updates.push((changed, vec![update])),
                                }
                            }
                            updates
                                .into_iter()
                                .map(|(columns, updates)| {
                                    let columns: Vec<usize> = BTreeSet::from_iter(columns).into_iter().collect();
                                    written(|out| set::update(out, &target, &updates, &columns))
                                })
                                .collect()
                        }
                    };
                    for statement in statements {
                        self.run(&name, statement).await;
                    }
                }
                _ => {}
            }
        }
    }

    async fn run(&mut self, table: &TableName, (statement, expected): (Vec<u8>, set::Expected)) {
        let text = String::from_utf8_lossy(&statement);
        if text.contains(" WHERE (") && text.contains(" BETWEEN ") {
            let verb = if text.starts_with("DELETE") { "DELETE" } else { "UPDATE" };
            self.by_ranges.insert((table.table.clone(), verb));
        }
        let text: String = text.chars().take(600).collect();
        match self.conn.query_iter(statement).await {
            Ok(result) => {
                let found = result.affected_rows();
                result.drop_result().await.unwrap();
                if expected.is_some_and(|expected| expected != found) {
                    self.failures
                        .push(format!("{table}: {found} rows instead of {expected:?}: {text}"));
                }
            }
            Err(error) => self.failures.push(format!("{table}: {error}: {text}")),
        }
    }
}

fn written(set: impl FnOnce(&mut Vec<u8>) -> Result<set::Expected, BinlogError>) -> (Vec<u8>, set::Expected) {
    let mut out = Vec::new();
    let expected = set(&mut out).unwrap();
    (out, expected)
}

async fn mark(server: &LocalServer) {
    ask::sql(
        server,
        "CREATE DATABASE IF NOT EXISTS m; CREATE TABLE IF NOT EXISTS m.mark (id INT); INSERT INTO m.mark VALUES (1)",
    )
    .await;
}

fn assert_none(what: &str, failures: &[String]) {
    assert!(failures.is_empty(), "{what}:\n{}", failures.join("\n"));
}

#[tokio::test]
async fn changes_of_every_value_arrive_exactly_and_their_guards_hold() {
    let server = cluster::server(ServerOptions::default()).await;
    let follower = Follower::start(&server, false).await;
    follow_changes(&server, follower, 0).await;
}

#[tokio::test]
async fn changes_of_every_value_arrive_exactly_where_a_list_has_many() {
    let server = cluster::server(ServerOptions::with(&["--binlog-row-event-max-size=64M"])).await;
    let follower = Follower::start(&server, true).await;
    follow_changes(&server, follower, 0).await;
}

#[tokio::test]
async fn changes_of_every_value_arrive_exactly_where_the_table_is_gone_through_by_ranges_of_keys() {
    let server = cluster::server(ServerOptions::with(&["--binlog-row-event-max-size=64M"])).await;
    let follower = Follower::start(&server, true).await;
    let follower = follow_changes(&server, follower, 70).await;
    let each = TABLES
        .iter()
        .flat_map(|(name, _, _)| ["UPDATE", "DELETE"].map(|verb| ((*name).to_owned(), verb)));
    assert_eq!(follower.by_ranges, each.collect());
}

/// Inserts, updates and deletes of every value, of at least so many rows a table.
async fn follow_changes(server: &LocalServer, mut follower: Follower, rows: usize) -> Follower {
    let tables = make_tables(server).await;
    fill(server, rows).await;
    mark(server).await;
    follower.until_mark().await;
    assert_none("inserts", &follower.failures);
    compare::assert_same_as(server, "s", server, "d").await;

    let mut conn = session(server).await;
    conn.query_drop("USE s").await.unwrap();
    for (name, _, _) in TABLES {
        // Each row takes the values of the next one.
        conn.query_drop(format!("CREATE TEMPORARY TABLE other AS SELECT * FROM {name}"))
            .await
            .unwrap();
        let columns: Vec<String> = conn
            .query(format!(
                "SELECT column_name FROM information_schema.columns WHERE table_schema = 's' AND table_name = '{name}' AND column_name <> 'id'"
            ))
            .await
            .unwrap();
        let sets: Vec<String> = columns
            .iter()
            .map(|column| format!("t.{column} = o.{column}"))
            .collect();
        conn.query_drop(format!(
            "SET @n = (SELECT COUNT(*) FROM other); UPDATE {name} t JOIN other o ON o.id = t.id % @n + 1 SET {}; \
             DROP TEMPORARY TABLE other",
            sets.join(", ")
        ))
        .await
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    for (name, _, _) in KEYS {
        conn.query_drop(format!(
            "UPDATE key_{name} SET v = v + 1, n = n + 10, j = JSON_ARRAY(j) WHERE n = 1"
        ))
        .await
        .unwrap();
    }
    conn.query_drop("UPDATE many SET c7 = 8, c999 = NULL").await.unwrap();
    mark(server).await;
    follower.until_mark().await;
    assert_none("updates", &follower.failures);
    compare::assert_same_as(server, "s", server, "d").await;

    for table in &tables {
        conn.query_drop(format!("DELETE FROM {table}")).await.unwrap();
    }
    mark(server).await;
    follower.until_mark().await;
    assert_none("deletes", &follower.failures);
    compare::assert_same_as(server, "s", server, "d").await;
    follower
}

/// Where the server takes two keys for the same, the row is found, and is not what the before image says.
#[tokio::test]
async fn a_row_whose_key_only_looks_the_same_is_not_met() {
    let server = cluster::server(ServerOptions::default()).await;
    let mut conn = session(&server).await;
    let collations = [
        ("utf8mb4_bin", "a "),
        ("utf8mb4_general_ci", "A"),
        ("utf8mb4_0900_ai_ci", "A"),
        ("latin1_swedish_ci", "A "),
        ("latin1_bin", "a "),
    ];
    conn.query_drop("CREATE DATABASE s; CREATE DATABASE d").await.unwrap();
    for (collation, other) in collations {
        for (database, key) in [("s", "a"), ("d", other)] {
            let charset = collation.split('_').next().unwrap();
            conn.query_drop(format!(
                "CREATE TABLE {database}.{collation} (k VARCHAR(20) CHARACTER SET {charset} COLLATE {collation} PRIMARY KEY,
                 v INT); INSERT INTO {database}.{collation} VALUES ('{key}', 1)"
            ))
            .await
            .unwrap();
        }
    }
    for together in [false, true] {
        let mut follower = Follower::start(&server, together).await;
        // From here on.
        mark(&server).await;
        follower.until_mark().await;
        follower.failures.clear();
        for (collation, _) in collations {
            conn.query_drop(format!(
                "UPDATE s.{collation} SET v = v + 1; DELETE FROM s.{collation}; INSERT INTO s.{collation} VALUES ('a', 1)"
            ))
            .await
            .unwrap();
        }
        mark(&server).await;
        follower.until_mark().await;
        let refused = |start: &str| {
            let refused = follower.failures.iter().filter(|failure| failure.contains(start));
            refused.count()
        };
        let told = format!("{:#?}", follower.failures);
        assert_eq!(refused("0 rows instead of Some(1): UPDATE"), collations.len(), "{told}");
        assert_eq!(refused("0 rows instead of Some(1): DELETE"), collations.len(), "{told}");
    }
}

struct Silent;

#[async_trait::async_trait]
impl Progress for Silent {
    async fn admit(&self) {}
    fn resumed(&self, _: &TableName, _: u64) {}
    fn copied(&self, _: &TableName, _: u64, _: u64) {}
    fn finished(&self, _: &TableName) {}
}

#[tokio::test]
async fn full_sync_copies_every_value_exactly() {
    let server = cluster::server(ServerOptions::default()).await;
    let tables = make_tables(&server).await;
    fill(&server, 0).await;
    let mut conn = session(&server).await;
    checkpoint::ensure_schema(&mut conn).await.unwrap();
    conn.query_drop("CREATE TABLE causeway.slot (id INT PRIMARY KEY); INSERT INTO causeway.slot VALUES (1), (2)")
        .await
        .unwrap();

    copy_all(&server, &tables).await;
    compare::assert_same_as(&server, "s", &server, "d").await;
    assert_eq!(written_by(&mut conn, "LOAD DATA%").await, Vec::<String>::new());

    for table in &tables {
        conn.query_drop(format!("DELETE FROM d.{table}")).await.unwrap();
    }
    let again = "DELETE FROM causeway.copy; SET GLOBAL local_infile = ON;
        TRUNCATE performance_schema.events_statements_summary_by_digest";
    conn.query_drop(again).await.unwrap();
    copy_all(&server, &tables).await;
    compare::assert_same_as(&server, "s", &server, "d").await;
    // An ENUM's error value can't be loaded; documents with types of SQL are always written by INSERT.
    let loaded = written_by(&mut conn, "LOAD DATA%").await;
    let inserted = written_by(&mut conn, "INSERT%INTO `d`%").await;
    for table in tables {
        let by_insert = table.starts_with("key_") || ["documents", "members"].contains(&&*table);
        assert_eq!(inserted.contains(&table), by_insert, "{table}");
        assert!(loaded.contains(&table) || table.starts_with("key_"), "{table}");
    }
}

/// The tables of database `d` that statements like this have written to.
async fn written_by(conn: &mut Conn, like: &str) -> Vec<String> {
    let statements: Vec<String> = conn
        .query(format!(
            "SELECT DIGEST_TEXT FROM performance_schema.events_statements_summary_by_digest WHERE DIGEST_TEXT LIKE '{like}'"
        ))
        .await
        .unwrap();
    let table = |statement: String| {
        let (_, behind) = statement.split_once("`d` . `").unwrap();
        behind.split('`').next().unwrap().to_owned()
    };
    let tables: BTreeSet<String> = statements.into_iter().map(table).collect();
    tables.into_iter().collect()
}

/// Copies `tables` from database `s` to `d`.
async fn copy_all(server: &LocalServer, tables: &[String]) {
    let ready = async || {
        let mut conn = Conn::new(options(server)).await.unwrap();
        conn.query_drop(format!("SET {SESSION}")).await.unwrap();
        conn
    };
    let mut conn = ready().await;
    let mut copied = Vec::new();
    for table in tables {
        let read = async |conn: &mut Conn, database: &str| {
            Arc::new(
                schema::read_table(conn, &TableName::new(database, table.clone()))
                    .await
                    .unwrap()
                    .unwrap(),
            )
        };
        copied.push(CopyTable {
            source: read(&mut conn, "s").await,
            destination: read(&mut conn, "d").await,
            columns: ColumnMap::All,
            filter: None,
            gate: None,
        });
    }
    let fence = Fence {
        begin: (1..=2)
            .map(|slot| format!("BEGIN; UPDATE causeway.slot SET id = id WHERE id = {slot}"))
            .collect(),
        lost: Failure::data("the fence did not hold"),
        link_values: "'t','forward'".into(),
        link_condition: "task = 't' AND link = 'forward'".into(),
    };
    let pairs = vec![(ready().await, ready().await), (ready().await, ready().await)];
    let cutting = (ready().await, ready().await);
    copy::copy(copied, cutting, pairs, fence, Arc::new(Silent))
        .await
        .unwrap();
}
