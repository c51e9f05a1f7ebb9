//! WHERE in OBJECTS: full sync and changes let through what the server itself says fulfils the condition.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use causeway::demo::mysqld::{LocalServer, ServerOptions};
use mysql_async::prelude::Queryable as _;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use crate::support::{
    ask::{cell, connect, error_of, eventually, rows, sql},
    cluster::{Pair, Proxy},
};

/// One table for each condition, all with the same rows.
const COLUMNS: &str = "id INT PRIMARY KEY, region VARCHAR(10) COLLATE utf8mb4_0900_ai_ci, code CHAR(6) COLLATE utf8mb4_bin,
    legacy VARCHAR(10) CHARACTER SET latin1 COLLATE latin1_german2_ci, note TEXT CHARACTER SET utf8mb3, raw VARBINARY(20),
    four BINARY(4), kind ENUM('eu','us','Über','') COLLATE utf8mb4_0900_ai_ci, tags SET('a','b','c') CHARACTER SET latin1,
    amount DECIMAL(12,4), ratio DOUBLE, single FLOAT, fixed FLOAT(7,2), filled INT(5) ZEROFILL, big BIGINT UNSIGNED,
    small TINYINT, at TIMESTAMP(3) NULL, moment DATETIME(6), day DATE, clock TIME(2), year YEAR, bits BIT(10), doc JSON,
    made INT GENERATED ALWAYS AS (small * 2) VIRTUAL, saved VARCHAR(20) GENERATED ALWAYS AS (CONCAT(region, '-', small)) STORED,
    `or``der` INT, hidden INT INVISIBLE, pad VARCHAR(8000) COLLATE utf8mb4_0900_as_cs";

const CONDITIONS: &[&str] = &[
    "region = 'EU'",
    "NOT (region = 'EU')",
    "region = 'eu' COLLATE utf8mb4_bin",
    "region IS NULL OR region LIKE 'u%'",
    "code = 'ab'",
    "code = 'ab '",
    "legacy = 'strasse'",
    "legacy IN ('ü', 'a')",
    "note LIKE '%ö%' OR note = ''",
    "raw = X'00FF27'",
    "LENGTH(raw) = 2",
    "four = 'ab' OR four = 'abcd'",
    "four = X'61620000'",
    "kind = 'EU'",
    "kind = 'uber'",
    "kind = ''",
    "kind + 0 = 0 OR kind + 0 = 4",
    "kind > 'f'",
    "FIND_IN_SET('b', tags)",
    "tags & 1",
    "tags = 'A,B'",
    "amount > 10.0050",
    "amount BETWEEN -1 AND '1.5'",
    "ratio < 0.1 + 0.2",
    "single = 1.1 OR single = 1.5",
    "single > 1.1",
    "fixed = 1.1 OR fixed > 20",
    "CONCAT(fixed) LIKE '%.10'",
    "filled LIKE '000%'",
    "big > 9223372036854775807",
    "small % 3",
    "small IS NOT TRUE",
    "small BETWEEN -5 AND 5 XOR region = 'us'",
    "at >= '2026-03-29 01:30:00'",
    "at = 0",
    "HOUR(at) = 1",
    "UNIX_TIMESTAMP(at) % 2 = 0",
    "moment = '0000-00-00 00:00:00'",
    "moment < TIMESTAMP '2026-01-01 00:00:00.000001'",
    "YEAR(day) = 2026 AND MONTH(day) > 0",
    "day = '2026-00-00'",
    "clock > '10:00:00.5'",
    "clock < '-01:00'",
    "year = 2026 OR year = 0",
    "bits & b'100'",
    "doc->>'$.a' = 'x'",
    "JSON_EXTRACT(doc, '$.n') > 5",
    "doc = CAST('{\"n\": 7.0}' AS JSON)",
    "5 MEMBER OF (doc->'$.l')",
    "made > 10",
    "saved IN ('eu-3', 'eu-1', 'us--128', '-0')",
    "`or``der` <=> NULL",
    "`or``der` > 1 /* or less */ -- than that",
    "hidden = 1",
    "CASE small WHEN 1 THEN region = 'eu' ELSE id % 2 END",
    "id % 3 = 0 AND region REGEXP '^[eu]'",
    "LEFT(pad, 2) = 'xx' AND IFNULL(small, 0) < 5",
    "GREATEST(small, 3) = 3 && (`tags` = '' || !(bits))",
];

/// Values of each column, as they are written.
const VALUES: &[(&str, &[&str])] = &[
    (
        "region",
        &[
            "'EU'",
            "'eu'",
            "'ÉU'",
            "'us'",
            "''",
            "NULL",
            "'eu '",
            "_utf8mb4 0xF09F9880",
        ],
    ),
    ("code", &["'ab'", "'AB'", "'ab  '", "NULL", "'é'"]),
    ("legacy", &["'straße'", "'strasse'", "'ü'", "'ue'", "'A'", "NULL"]),
    (
        "note",
        &["'Möbel'", "'MÖBEL'", "''", "NULL", "REPEAT('ab\\n', 3000)", "'o'"],
    ),
    ("raw", &["X'00FF27'", "X'5C27'", "''", "NULL", "'abc'"]),
    ("four", &["'ab'", "'abcd'", "''", "NULL", "X'00'"]),
    ("kind", &["'eu'", "'us'", "'Über'", "''", "NULL", "'none of these'"]),
    ("tags", &["'a'", "'b,c'", "'a,b'", "''", "NULL"]),
    (
        "amount",
        &["10.005", "10.0051", "-1", "1.5", "0", "NULL", "-99999999.9999"],
    ),
    ("ratio", &["0.3", "0.30000000000000004", "-1e300", "NULL", "0"]),
    ("single", &["1.1", "1.5", "NULL", "-3e38", "16777217"]),
    ("fixed", &["1.1", "1.101", "22.10", "NULL"]),
    ("filled", &["7", "70000", "NULL", "12"]),
    ("big", &["18446744073709551615", "9223372036854775807", "0", "NULL"]),
    ("small", &["-128", "1", "3", "5", "0", "NULL", "127"]),
    (
        "at",
        &[
            "'2026-03-29 01:30:00.000'",
            "'2026-03-29 01:29:59.999'",
            "'2001-02-03 04:05:06'",
            "0",
            "NULL",
        ],
    ),
    (
        "moment",
        &[
            "'0000-00-00 00:00:00'",
            "'2026-01-01'",
            "'2026-01-01 00:00:00.000001'",
            "NULL",
            "'2025-02-00 10:00:00'",
        ],
    ),
    (
        "day",
        &["'2026-01-05'", "'2026-00-00'", "'0000-00-00'", "NULL", "'1000-01-01'"],
    ),
    (
        "clock",
        &["'10:00:00.5'", "'10:00:00.51'", "'-838:59:59'", "'-00:30:00'", "NULL"],
    ),
    ("year", &["2026", "0", "1999", "NULL"]),
    ("bits", &["b'100'", "b'1111111111'", "0", "NULL"]),
    (
        "doc",
        &[
            "'{\"a\": \"x\"}'",
            "'{\"n\": 7.0}'",
            "'{\"n\": 5, \"l\": [4, 5]}'",
            "'null'",
            "NULL",
            "'{\"a\": \"X\", \"n\": 6}'",
        ],
    ),
    ("`or``der`", &["1", "2", "NULL", "-1"]),
    ("hidden", &["1", "2", "NULL"]),
    ("pad", &["'xx'", "'XX'", "REPEAT('x', 8000)", "NULL"]),
];

/// The session in which conditions mean what they mean to Causeway, and in which any value is taken.
const SESSION: &str = "SET NAMES utf8mb4, time_zone = '+00:00', sql_mode = 'ALLOW_INVALID_DATES'";

fn random_values(random: &mut StdRng) -> String {
    let values = VALUES
        .iter()
        .map(|(_, values)| values[random.random_range(0..values.len())]);
    values.collect::<Vec<_>>().join(", ")
}

/// One change, with `#` for the table.
fn change(random: &mut StdRng) -> String {
    let names = VALUES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let id = random.random_range(1..=80);
    match random.random_range(0..10) {
        0 => format!("DELETE FROM # WHERE id = {id}"),
        1 => format!("REPLACE INTO # (id, {names}) VALUES ({id}, {})", random_values(random)),
        // The key changes together with what the conditions look at, also into the place of another row.
        2 => {
            let to = random.random_range(1..=80);
            let (name, values) = VALUES[random.random_range(0..VALUES.len())];
            let value = values[random.random_range(0..values.len())];
            format!("DELETE FROM # WHERE id = {to}; UPDATE # SET id = {to}, {name} = {value} WHERE id = {id}")
        }
        3 => {
            let sets = VALUES
                .iter()
                .map(|(name, values)| format!("{name} = {}", values[random.random_range(0..values.len())]));
            format!(
                "UPDATE # SET {} WHERE id IN ({id}, {id} + 1, {id} + 2)",
                sets.collect::<Vec<_>>().join(", ")
            )
        }
        _ => {
            let (name, values) = VALUES[random.random_range(0..VALUES.len())];
            format!(
                "UPDATE # SET {name} = {} WHERE id BETWEEN {id} AND {id} + 5",
                values[random.random_range(0..values.len())]
            )
        }
    }
}

async fn write(server: &LocalServer, change: &str) {
    let mut conn = connect(server).await;
    conn.query_drop(SESSION).await.unwrap();
    let mut text = String::from("BEGIN");
    for number in 0..CONDITIONS.len() {
        text += ";";
        text += &change.replace('#', &format!("shop.t{number}"));
    }
    conn.query_drop(format!("{text};COMMIT"))
        .await
        .unwrap_or_else(|error| panic!("{error}\nin: {change}"));
    conn.disconnect().await.unwrap();
}

/// The branch has the rows of which the server at hq says that they fulfil the condition, and no others. Takes down which
/// conditions have told rows apart.
async fn assert_agree(pair: &Pair, when: &str, apart: &mut [bool]) {
    let names: Vec<&str> = VALUES.iter().map(|(name, _)| *name).collect();
    let shown = names
        .iter()
        .map(|name| format!("HEX({name})"))
        .collect::<Vec<_>>()
        .join(", ");
    let (mut hq, mut branch) = (connect(&pair.hq).await, connect(&pair.branch).await);
    for conn in [&mut hq, &mut branch] {
        conn.query_drop(SESSION).await.unwrap();
    }
    let all: u64 = hq.query_first("SELECT COUNT(*) FROM shop.t0").await.unwrap().unwrap();
    for (number, condition) in CONDITIONS.iter().enumerate() {
        let wanted: Vec<mysql_async::Row> = hq
            .query(format!(
                "SELECT id, {shown} FROM shop.t{number} WHERE ({condition}\n) ORDER BY id"
            ))
            .await
            .unwrap_or_else(|error| panic!("{error}\nin: {condition}"));
        let found: Vec<mysql_async::Row> = branch
            .query(format!("SELECT id, {shown} FROM shop.t{number} ORDER BY id"))
            .await
            .unwrap();
        let [wanted, found] = [wanted, found].map(|rows| rows.into_iter().map(|row| row.unwrap()).collect::<Vec<_>>());
        let ids =
            |rows: &[Vec<mysql_async::Value>]| rows.iter().map(|row| row[0].as_sql(true)).collect::<Vec<_>>().join(" ");
        assert_eq!(ids(&wanted), ids(&found), "{when}: rows with {condition}");
        assert_eq!(wanted, found, "{when}: {condition}");
        apart[number] |= !wanted.is_empty() && (wanted.len() as u64) < all;
    }
    for conn in [hq, branch] {
        conn.disconnect().await.unwrap();
    }
}

async fn full_sync_and_changes_agree_with_the_server(hq: ServerOptions) {
    let pair = Pair::start_with(hq, ServerOptions::default()).await;
    let seed = rand::random();
    eprintln!("seed: {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let tables = (0..CONDITIONS.len()).map(|number| format!("CREATE TABLE shop.t{number} ({COLUMNS})"));
    sql(
        &pair.hq,
        &format!(
            "SET sql_mode = ''; CREATE DATABASE shop; {}",
            tables.collect::<Vec<_>>().join(";")
        ),
    )
    .await;
    let names = VALUES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let rows = (1..=60)
        .map(|id| format!("({id}, {})", random_values(&mut random)))
        .collect::<Vec<_>>();
    write(
        &pair.hq,
        &format!("INSERT INTO # (id, {names}) VALUES {}", rows.join(",")),
    )
    .await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    let objects = CONDITIONS.iter().enumerate();
    let objects = objects.map(|(number, condition)| format!("shop.t{number} WHERE {condition}\n"));
    sql(
        &proxy,
        &format!(
            "CREATE SYNC TASK t FROM hq TO branch OBJECTS ({})",
            objects.collect::<Vec<_>>().join(", ")
        ),
    )
    .await;
    // As it is told, it can be made again.
    let shown = rows_of_create(&proxy).await;
    sql(&proxy, "DROP SYNC TASK t").await;
    sql(&proxy, &shown).await;
    sql(&proxy, "START SYNC TASK t").await;
    proxy.wait_synced("t").await;
    let mut apart = vec![false; CONDITIONS.len()];
    assert_agree(&pair, "after full sync", &mut apart).await;
    for round in 0..3 {
        for _ in 0..40 {
            write(&pair.hq, &change(&mut random)).await;
        }
        // Rows that have gone come back, so that there is always something to tell apart.
        write(
            &pair.hq,
            &format!("INSERT IGNORE INTO # (id, {names}) VALUES {}", rows.join(",")),
        )
        .await;
        proxy.wait_synced("t").await;
        assert_agree(&pair, &format!("after round {round} of changes"), &mut apart).await;
    }
    let idle: Vec<_> = CONDITIONS.iter().zip(&apart).filter(|(_, apart)| !**apart).collect();
    assert!(idle.is_empty(), "they tell no rows apart: {idle:?}");
    assert_eq!(cell(&proxy, "SELECT COUNT(*) FROM sync.conflicts").await, "0");
}

async fn rows_of_create(proxy: &Proxy) -> String {
    rows(proxy, "SHOW CREATE SYNC TASK t").await[0][1].clone()
}

#[tokio::test]
async fn full_sync_and_changes_let_through_what_the_server_says_fulfils_the_condition() {
    full_sync_and_changes_agree_with_the_server(ServerOptions::default()).await;
}

#[tokio::test]
async fn a_binlog_with_little_metadata_is_filtered_the_same() {
    full_sync_and_changes_agree_with_the_server(ServerOptions::with(&["--binlog-row-metadata=MINIMAL"])).await;
}

#[tokio::test]
async fn both_sides_agree_on_the_rows_in_the_filter() {
    let pair = Pair::start().await;
    sql(
        &pair.hq,
        "CREATE DATABASE shop; CREATE DATABASE crm;
         CREATE TABLE shop.people (id INT PRIMARY KEY, name VARCHAR(20), region VARCHAR(5));
         INSERT INTO shop.people VALUES (1, 'one', 'EU'), (2, 'two', 'eu'), (3, 'three', 'US'), (4, 'four', NULL);
         CREATE TABLE crm.clients (id INT PRIMARY KEY, name VARCHAR(20), region VARCHAR(5) DEFAULT 'none');
         INSERT INTO crm.clients VALUES (1, 'one', 'EU'), (2, 'two', 'US'), (3, 'three', 'EU');",
    )
    .await;
    sql(
        &pair.branch,
        "CREATE DATABASE shop2; CREATE DATABASE crm2;
         CREATE TABLE shop2.persons (id INT PRIMARY KEY, full_name VARCHAR(20), place VARCHAR(5));
         CREATE TABLE crm2.customers (id INT PRIMARY KEY, full_name VARCHAR(20))",
    )
    .await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    sql(
        &proxy,
        "CREATE SYNC TASK t BETWEEN hq AND branch OBJECTS (
            shop.people AS shop2.persons (id, name AS full_name, region AS place) WHERE region = 'EU',
            crm.clients AS crm2.customers (id, name AS full_name) WHERE region = 'EU') WITH (existing_tables = 'proceed')",
    )
    .await;
    sql(&proxy, "START SYNC TASK t").await;
    let check = async |people: &str, persons: &str, clients: &str, customers: &str| {
        proxy.wait_synced("t").await;
        let list = |columns: &str, table: &str| {
            format!(
                "SELECT COALESCE(GROUP_CONCAT(CONCAT_WS(' ', {columns}) ORDER BY id SEPARATOR ', '), '') FROM {table}"
            )
        };
        let found = [
            cell(&pair.hq, &list("id, name, region", "shop.people")).await,
            cell(&pair.branch, &list("id, full_name, place", "shop2.persons")).await,
            cell(&pair.hq, &list("id, name, region", "crm.clients")).await,
            cell(&pair.branch, &list("id, full_name", "crm2.customers")).await,
        ];
        assert_eq!(found, [people, persons, clients, customers]);
        assert_eq!(cell(&proxy, "SELECT COUNT(*) FROM sync.conflicts").await, "0");
    };
    check(
        "1 one EU, 2 two eu, 3 three US, 4 four",
        "1 one EU, 2 two eu",
        "1 one EU, 2 two US, 3 three EU",
        "1 one, 3 three",
    )
    .await;
    // Along: into the filter, out of it (under another key), and past it.
    sql(
        &pair.hq,
        "UPDATE shop.people SET region = 'EU', name = 'in' WHERE id = 3; UPDATE shop.people SET region = 'US', id = 20 WHERE id = 2;
         UPDATE shop.people SET name = 'past' WHERE id = 4; INSERT INTO shop.people VALUES (5, 'five', 'eU'), (6, 'six', 'US');
         UPDATE crm.clients SET region = 'US', name = 'out' WHERE id = 1; UPDATE crm.clients SET region = 'EU' WHERE id = 2",
    )
    .await;
    check(
        "1 one EU, 3 in EU, 4 past, 5 five eU, 6 six US, 20 two US",
        "1 one EU, 3 in EU, 5 five eU",
        "1 out US, 2 two EU, 3 three EU",
        "2 two, 3 three",
    )
    .await;
    // Back: rows in the filter travel; one that leaves it there does so here, and is lost at neither.
    sql(
        &pair.branch,
        "INSERT INTO shop2.persons VALUES (7, 'seven', 'EU'), (8, 'local', 'US'); UPDATE shop2.persons SET full_name = 'b' WHERE id = 1;
         DELETE FROM shop2.persons WHERE id = 5; UPDATE shop2.persons SET place = 'US' WHERE id = 3;
         UPDATE shop2.persons SET full_name = 'mine' WHERE id = 8;
         UPDATE crm2.customers SET full_name = 'b' WHERE id = 2; INSERT INTO crm2.customers VALUES (9, 'nine')",
    )
    .await;
    check(
        "1 b EU, 3 in US, 4 past, 6 six US, 7 seven EU, 20 two US",
        "1 b EU, 3 in US, 7 seven EU, 8 mine US",
        "1 out US, 2 b EU, 3 three EU, 9 nine none",
        "2 b, 3 three, 9 nine",
    )
    .await;
    // A row that is at both sides comes into the filter again, from either; and one that is at the branch alone.
    sql(&pair.branch, "UPDATE shop2.persons SET place = 'EU' WHERE id IN (3, 8)").await;
    proxy.wait_synced("t").await;
    sql(&pair.branch, "UPDATE shop2.persons SET place = 'AU' WHERE id = 3").await;
    proxy.wait_synced("t").await;
    sql(
        &pair.hq,
        "UPDATE shop.people SET region = 'EU', name = 'back' WHERE id = 3",
    )
    .await;
    check(
        "1 b EU, 3 back EU, 4 past, 6 six US, 7 seven EU, 8 mine EU, 20 two US",
        "1 b EU, 3 back EU, 7 seven EU, 8 mine EU",
        "1 out US, 2 b EU, 3 three EU, 9 nine none",
        "2 b, 3 three, 9 nine",
    )
    .await;
}

/// Writes to rows with even ids, as a server with rows of all kinds does.
fn at_hq(random: &mut StdRng, made: u64) -> String {
    let id = random.random_range(0..LOADED) / 2 * 2;
    let region = ["EU", "eu", "US", "AU"][random.random_range(0..4)];
    match random.random_range(0..6) {
        0 => format!("DELETE FROM shop.people WHERE id = {id}"),
        1 => format!("INSERT IGNORE INTO shop.people VALUES ({id}, '{region}', {made})"),
        2 => format!("UPDATE IGNORE shop.people SET id = id + {LOADED}, region = '{region}' WHERE id = {id}"),
        3 => {
            format!("UPDATE IGNORE shop.people SET id = id - {LOADED}, region = '{region}' WHERE id = {id} + {LOADED}")
        }
        _ => format!(
            "BEGIN; UPDATE shop.people SET region = '{region}', n = {made} WHERE id = {id};
             UPDATE shop.people SET n = n + 1 WHERE id IN ({id}, {id} + 2, {id} + 4); COMMIT"
        ),
    }
}

/// Writes to rows with odd ids that are in the filter, and to new ones outside of it: of those that left it here, and of
/// those that never were in it, each side has its own.
fn at_branch(random: &mut StdRng, made: u64) -> String {
    let id = random.random_range(0..LOADED) / 2 * 2 + 1;
    let region = ["EU", "eu", "US"][random.random_range(0..3)];
    let fresh = 100 * LOADED + made;
    match random.random_range(0..6) {
        0 => format!("DELETE FROM shop.people WHERE id = {id} AND region = 'EU'"),
        1 => format!("INSERT INTO shop.people VALUES ({fresh}, '{region}', 0)"),
        2 => format!("UPDATE shop.people SET id = {fresh}, region = '{region}' WHERE id = {id} AND region = 'EU'"),
        3 => format!(
            "UPDATE shop.people SET region = 'EU', n = n + 1 WHERE id = {fresh} - 10 AND region = 'US' AND n = 0"
        ),
        _ => format!("UPDATE shop.people SET region = '{region}', n = {made} WHERE id = {id} AND region = 'EU'"),
    }
}

/// Writes until `stop`, then tells how many transactions it made.
fn writer(
    server: &LocalServer,
    statement: fn(&mut StdRng, u64) -> String,
    stop: &Arc<AtomicBool>,
) -> tokio::task::JoinHandle<u64> {
    let (opts, stop) = (server.opts(), stop.clone());
    tokio::spawn(async move {
        let mut conn = mysql_async::Conn::new(opts).await.unwrap();
        let seed = rand::random();
        eprintln!("seed of a writer: {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        let mut made = 0;
        while !stop.load(Ordering::Acquire) {
            let text = statement(&mut random, made);
            conn.query_drop(&text)
                .await
                .unwrap_or_else(|error| panic!("{error}\nin: {text}"));
            made += 1;
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        made
    })
}

/// Rows at the start of the test below.
const LOADED: u64 = 20_000;

#[tokio::test]
async fn both_sides_agree_on_the_filter_after_load_on_both_and_kills() {
    let pair = Pair::start().await;
    sql(
        &pair.hq,
        &format!(
            "CREATE DATABASE shop; CREATE TABLE shop.people (id INT PRIMARY KEY, region VARCHAR(5), n INT);
             SET SESSION cte_max_recursion_depth = 1000000; INSERT INTO shop.people WITH RECURSIVE c (id) AS
               (SELECT 1 UNION ALL SELECT id + 1 FROM c WHERE id < {LOADED}) SELECT id, ELT(1 + id % 3, 'EU', 'US', 'eu'), 0 FROM c"
        ),
    )
    .await;
    let mut proxy = Proxy::start().await;
    proxy.register(&pair).await;
    sql(
        &proxy,
        "CREATE SYNC TASK t BETWEEN hq AND branch OBJECTS (shop.people WHERE region = 'EU')",
    )
    .await;
    let stop = Arc::new(AtomicBool::new(false));
    let at_hq = writer(&pair.hq, at_hq, &stop);
    sql(&proxy, "START SYNC TASK t").await;
    proxy.wait_state("t", "running").await;
    let at_branch = writer(&pair.branch, at_branch, &stop);
    for _ in 0..2 {
        let applied = "SELECT MIN(rows_applied) FROM sync.status";
        let failed = "SELECT last_error FROM sync.status WHERE state = 'failed'";
        let before: u64 = cell(&proxy, applied).await.parse().unwrap();
        eventually("both directions go on", async || {
            assert_eq!(rows(&proxy, failed).await, Vec::<Vec<String>>::new());
            (cell(&proxy, applied).await.parse::<u64>().unwrap() > before + 30).then_some(())
        })
        .await;
        proxy.kill9();
        proxy.restart().await.unwrap();
        proxy.wait_state("t", "running").await;
    }
    stop.store(true, Ordering::Release);
    let made = [at_hq.await.unwrap(), at_branch.await.unwrap()];
    assert!(made.iter().all(|made| *made > 50), "{made:?}");
    proxy.wait_synced("t").await;
    let filtered = "SELECT id, region, n FROM shop.people WHERE region = 'EU' ORDER BY id";
    let (here, there) = (rows(&pair.hq, filtered).await, rows(&pair.branch, filtered).await);
    let first = here.iter().zip(&there).find(|(here, there)| here != there);
    assert!(
        first.is_none() && here.len() == there.len(),
        "{first:?}, {} and {} rows",
        here.len(),
        there.len()
    );
    assert_eq!(cell(&proxy, "SELECT COUNT(*) FROM sync.conflicts").await, "0");
}

#[tokio::test]
async fn a_transaction_that_comes_in_parts_is_filtered_and_so_is_one_that_is_prepared_first() {
    let pair = Pair::start().await;
    sql(
        &pair.hq,
        "CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, n INT, pad VARCHAR(1000));
         CREATE TABLE shop.all_of_it (id INT PRIMARY KEY, n INT)",
    )
    .await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    sql(
        &proxy,
        "CREATE SYNC TASK t FROM hq TO branch OBJECTS (shop.t WHERE n % 10 = 3, shop.all_of_it)",
    )
    .await;
    sql(&proxy, "START SYNC TASK t").await;
    proxy.wait_synced("t").await;
    sql(
        &pair.hq,
        "SET SESSION cte_max_recursion_depth = 1000000; BEGIN; INSERT INTO shop.t WITH RECURSIVE c (id) AS
           (SELECT 1 UNION ALL SELECT id + 1 FROM c WHERE id < 40000) SELECT id, id, REPEAT('x', 900) FROM c;
         INSERT INTO shop.all_of_it SELECT id, n FROM shop.t WHERE id <= 100; UPDATE shop.t SET n = n + 1 WHERE id <= 1000; COMMIT;
         XA START 'x'; UPDATE shop.t SET n = 3 WHERE id <= 5; INSERT INTO shop.t VALUES (50000, 50003, ''), (50001, 1, '');
         XA END 'x'; XA PREPARE 'x'; XA COMMIT 'x'",
    )
    .await;
    proxy.wait_synced("t").await;
    let here = rows(&pair.hq, "SELECT id, n FROM shop.t WHERE n % 10 = 3 ORDER BY id").await;
    let there = rows(&pair.branch, "SELECT id, n FROM shop.t ORDER BY id").await;
    assert!(
        here == there && here.len() > 4000,
        "{} and {} rows",
        here.len(),
        there.len()
    );
    assert_eq!(cell(&pair.branch, "SELECT COUNT(*) FROM shop.all_of_it").await, "100");
}

#[tokio::test]
async fn a_source_that_is_read_only_is_filtered_too() {
    let pair = Pair::start().await;
    sql(
        &pair.hq,
        "CREATE DATABASE causeway; CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, n INT);
         INSERT INTO shop.t VALUES (1, 1), (2, 2); SET GLOBAL super_read_only = ON",
    )
    .await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    sql(
        &proxy,
        "CREATE SYNC TASK t FROM hq TO branch OBJECTS (shop.t WHERE n > 1) WITH (heartbeat = OFF)",
    )
    .await;
    sql(&proxy, "START SYNC TASK t").await;
    proxy.wait_synced("t").await;
    sql(&proxy, "PAUSE SYNC TASK t").await;
    let executed = "SELECT @@GLOBAL.gtid_executed";
    sql(
        &pair.hq,
        "SET GLOBAL super_read_only = OFF; UPDATE shop.t SET n = 3 - n; INSERT INTO shop.t VALUES (3, 0), (4, 4);
         SET GLOBAL super_read_only = ON",
    )
    .await;
    let before = cell(&pair.hq, executed).await;
    sql(&proxy, "RESUME SYNC TASK t").await;
    proxy.wait_synced("t").await;
    assert_eq!(
        rows(&pair.branch, "SELECT * FROM shop.t ORDER BY id").await,
        [["1", "2"], ["4", "4"]]
    );
    // Judging leaves no trace in the source's binlog.
    assert_eq!(cell(&pair.hq, executed).await, before);
}

#[tokio::test]
async fn a_filter_that_cannot_be_used_is_refused_with_the_reason() {
    let pair = Pair::start().await;
    sql(
        &pair.hq,
        "CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, at DATETIME)",
    )
    .await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    let create = |condition: &str| format!("CREATE SYNC TASK t FROM hq TO branch OBJECTS (shop.t WHERE {condition})");
    for (condition, part) in [
        ("at > NOW()", "calls NOW: its value depends on the time"),
        ("id IN (SELECT id FROM shop.u)", "subquery"),
        ("id = @x", "the variable @x"),
        ("vip(id)", "calls vip"),
        ("t.id = 1", "the column's name alone"),
    ] {
        let (code, message) = error_of(&proxy, &create(condition)).await;
        assert!(code == 1231 && message.contains(part), "{condition}: {code} {message}");
    }
    for (condition, part) in [
        ("region = 'EU'", "region"),
        ("id >", "error 1064"),
        ("id = 1 AND", "error 1064"),
    ] {
        sql(&proxy, &create(condition)).await;
        let (_, message) = error_of(&proxy, "START SYNC TASK t").await;
        assert!(
            message.contains(part) && message.contains("the filter of shop.t"),
            "{condition}: {message}"
        );
        sql(&proxy, "DROP SYNC TASK t").await;
    }
    // A column that goes while the task runs, and the way out that the error names.
    sql(&pair.hq, "CREATE TABLE shop.u (id INT PRIMARY KEY)").await;
    sql(&proxy, &create("at > '2026-01-01', shop.u")).await;
    sql(&proxy, "START SYNC TASK t").await;
    proxy.wait_synced("t").await;
    sql(
        &pair.hq,
        "ALTER TABLE shop.t RENAME COLUMN at TO since; INSERT INTO shop.t VALUES (1, '2026-02-02')",
    )
    .await;
    proxy.wait_state("t", "failed").await;
    let error = cell(&proxy, "SELECT last_error FROM sync.status").await;
    assert!(
        error.contains("REMOVE OBJECTS (`shop`.`t`)") && error.contains("renamed or dropped"),
        "{error}"
    );
    sql(&proxy, "ALTER SYNC TASK t REMOVE OBJECTS (shop.t)").await;
    sql(&pair.branch, "DROP TABLE shop.t").await;
    sql(
        &proxy,
        "ALTER SYNC TASK t ADD OBJECTS (shop.t WHERE since > '2026-01-01')",
    )
    .await;
    sql(&proxy, "RESUME SYNC TASK t").await;
    proxy.wait_state("t", "running").await;
    sql(
        &pair.hq,
        "INSERT INTO shop.t VALUES (2, '2026-02-02'), (3, '2025-02-02')",
    )
    .await;
    proxy.wait_synced("t").await;
    let there = "SELECT GROUP_CONCAT(id ORDER BY id) FROM shop.t";
    assert_eq!(cell(&pair.branch, there).await, "1,2");
}
