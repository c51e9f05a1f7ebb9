//! Rows of the reverse direction that are older than a DDL of the forward one, and tables that lose their rows to one.

use causeway::demo::mysqld::ServerOptions;

use crate::support::{
    ask::{cell, connect, eventually, quiet, rows, sql},
    cluster::{Pair, Proxy},
    compare::assert_same,
    load::{Load, Side, make_tables},
};
use mysql_async::prelude::Queryable as _;

const NONE: Vec<Vec<String>> = Vec::new();

/// A pair in step, with tables made by `tables` in database `d`.
async fn in_step(metadata: &str, tables: &str) -> (Pair, Proxy) {
    let options = || ServerOptions::with(&[&format!("--binlog-row-metadata={metadata}")]);
    let pair = Pair::start_with(options(), options()).await;
    sql(&pair.hq, &format!("CREATE DATABASE d; USE d; {tables}")).await;
    let proxy = Proxy::in_step(&pair, "OBJECTS (d.*) WITH (heartbeat = OFF)").await;
    (pair, proxy)
}

/// What both sides do while the task is paused, the branch first; then both are equal.
async fn meanwhile(pair: &Pair, proxy: &Proxy, branch: &str, hq: &str) {
    sql(proxy, "PAUSE SYNC TASK t").await;
    sql(&pair.branch, &format!("USE d; {branch}")).await;
    sql(&pair.hq, &format!("USE d; {hq}")).await;
    sql(proxy, "RESUME SYNC TASK t").await;
    proxy.wait_state("t", "running").await;
    proxy.wait_synced("t").await;
    assert_same(&pair.hq, &pair.branch, "d").await;
}

const TABLES: &str = "
    CREATE TABLE a (id INT PRIMARY KEY, v INT, w INT, x INT);
    CREATE TABLE typed (id INT PRIMARY KEY, n INT, u INT UNSIGNED, e ENUM('b','a','c') NOT NULL, s SET('x','y','z'),
                        l VARCHAR(20) CHARACTER SET latin1, d DATE, f FLOAT, t VARCHAR(20), y TINYINT);
    CREATE TABLE k (id INT PRIMARY KEY, v INT);
    INSERT INTO a VALUES (1, 1, 1, 1), (2, 2, 2, 2), (3, 3, 3, 3);
    INSERT INTO typed VALUES (1, -1, 4000000000, 'a', 'x,z', 'äöü', '2020-02-29', 1.5, '12', 7), (2, 2, 2, 'b', 'y', 'b', NULL, 0, '13', 8);
    INSERT INTO k VALUES (1, 1), (2, 2)";

async fn rows_are_taken_through_every_change(metadata: &str) {
    let (pair, proxy) = in_step(metadata, TABLES).await;
    meanwhile(
        &pair,
        &proxy,
        "INSERT INTO a VALUES (10, 10, 11, 12); UPDATE a SET v = 20, w = 21, x = 22 WHERE id = 2; DELETE FROM a WHERE id = 1;
         INSERT INTO typed VALUES (10, -10, 10, 'c', 'x,y', 'äß', '2021-01-01', 0.25, '14', 9);
         UPDATE typed SET e = 'c', s = 'z', l = 'ü', n = -3 WHERE id = 1; UPDATE typed SET id = 20 WHERE id = 2;
         INSERT INTO k VALUES (10, 10); UPDATE k SET id = 11 WHERE id = 1",
        // Names that come back, names that are exchanged, and each type another one.
        "ALTER TABLE a RENAME COLUMN v TO old_v, ADD COLUMN v INT NOT NULL DEFAULT 5 AFTER id;
         ALTER TABLE a RENAME COLUMN w TO x, RENAME COLUMN x TO w; ALTER TABLE a DROP COLUMN w; ALTER TABLE a ADD COLUMN w INT DEFAULT 9;
         ALTER TABLE typed MODIFY n VARCHAR(20), MODIFY u BIGINT, MODIFY e ENUM('a','b','c','d'), MODIFY s SET('z','x','y'),
             MODIFY l VARCHAR(20) CHARACTER SET utf8mb4, MODIFY d DATETIME, MODIFY f DECIMAL(10,3), MODIFY t INT, MODIFY y TINYINT UNSIGNED;
         ALTER TABLE typed MODIFY e VARCHAR(10); ALTER TABLE k MODIFY id VARCHAR(20); ALTER TABLE k RENAME TO kk;
         UPDATE a SET v = 6 WHERE id = 3",
    )
    .await;
    assert_eq!(
        rows(&pair.hq, "SELECT id, v, old_v, x, w FROM d.a ORDER BY id").await,
        [
            ["2", "5", "20", "21", "9"],
            ["3", "6", "3", "3", "9"],
            ["10", "5", "10", "11", "9"]
        ]
    );
    assert_eq!(
        rows(
            &pair.hq,
            "SELECT id, n, u, e, s, l, d, f, t, y FROM d.typed ORDER BY id"
        )
        .await,
        [
            [
                "1",
                "-3",
                "4000000000",
                "c",
                "z",
                "ü",
                "2020-02-29 00:00:00",
                "1.500",
                "12",
                "7"
            ],
            [
                "10",
                "-10",
                "10",
                "c",
                "x,y",
                "äß",
                "2021-01-01 00:00:00",
                "0.250",
                "14",
                "9"
            ],
            ["20", "2", "2", "b", "y", "b", "NULL", "0.000", "13", "8"],
        ]
    );
    assert_eq!(
        rows(&pair.hq, "SELECT id, v FROM d.kk ORDER BY v").await,
        [["11", "1"], ["2", "2"], ["10", "10"]]
    );
    assert_eq!(rows(&proxy, "SELECT * FROM sync.conflicts").await, NONE);
    // And what comes next is of the new definitions.
    sql(
        &pair.branch,
        "INSERT INTO d.a VALUES (30, 1, 2, 3, 4); UPDATE d.typed SET e = 'd' WHERE id = 10",
    )
    .await;
    proxy.wait_synced("t").await;
    assert_same(&pair.hq, &pair.branch, "d").await;
}

#[tokio::test]
async fn rows_are_taken_through_every_change_of_their_columns() {
    rows_are_taken_through_every_change("FULL").await;
}

#[tokio::test]
async fn rows_are_taken_through_every_change_without_names_in_the_binlog() {
    rows_are_taken_through_every_change("MINIMAL").await;
}

#[tokio::test]
async fn a_table_that_is_emptied_or_made_anew_ends_the_same_whoever_wrote_to_it() {
    let (pair, proxy) = in_step("FULL", TABLES).await;
    meanwhile(
        &pair,
        &proxy,
        "INSERT INTO a VALUES (10, 10, 10, 10); UPDATE k SET v = 5; INSERT INTO typed (id, e) VALUES (50, 'a')",
        "TRUNCATE TABLE a; INSERT INTO a VALUES (1, 7, 7, 7); DROP TABLE k; CREATE TABLE k (id INT PRIMARY KEY, v INT);
         INSERT INTO k VALUES (1, 9); ALTER TABLE typed RENAME TO other; CREATE TABLE typed (id INT PRIMARY KEY)",
    )
    .await;
    // The source runs the statement and has a row of the branch only afterwards: the statement has removed it at the
    // branch, and it comes back. A lock keeps the TRUNCATE of the branch waiting until the row has travelled.
    let mut reader = connect(&pair.branch).await;
    reader
        .query_drop("BEGIN; INSERT INTO d.a VALUES (77, 1, 1, 1), (78, 1, 1, 1); UPDATE d.a SET v = 2 WHERE id = 78")
        .await
        .unwrap();
    sql(&pair.hq, "TRUNCATE TABLE d.a").await;
    eventually("the branch waits with the TRUNCATE", async || {
        let waiting =
            "SELECT COUNT(*) FROM performance_schema.processlist WHERE info LIKE 'TRUNCATE%' AND state LIKE 'Waiting%'";
        (cell(&pair.branch, waiting).await == "1").then_some(())
    })
    .await;
    reader.query_drop("COMMIT").await.unwrap();
    proxy.wait_synced("t").await;
    assert_same(&pair.hq, &pair.branch, "d").await;
    quiet(&[&pair.hq, &pair.branch]).await;
    assert_same(&pair.hq, &pair.branch, "d").await;
}

#[tokio::test]
async fn truncates_under_load_of_both_sides_leave_both_the_same() {
    let (pair, proxy) = in_step("FULL", "CREATE TABLE unused (id INT PRIMARY KEY)").await;
    make_tables(&pair.hq, "load_db").await;
    sql(&proxy, "CREATE SYNC TASK u BETWEEN hq AND branch OBJECTS (load_db.*) WITH (heartbeat = OFF, conflict_policy = 'ignore')").await;
    sql(&proxy, "START SYNC TASK u").await;
    proxy.wait_state("u", "running").await;
    let side = |number, server| Side {
        number,
        server,
        database: "load_db",
    };
    let load = Load::start(&[side(0, &pair.hq), side(1, &pair.branch)], 3);
    for _ in 0..5 {
        load.commits(60).await;
        sql(&pair.hq, "TRUNCATE TABLE load_db.plain").await;
    }
    load.commits(60).await;
    let tally = load.finish().await;
    proxy.wait_synced("u").await;
    proxy.wait_synced("u").await;
    assert_same(&pair.hq, &pair.branch, "load_db").await;
    tally.assert_at(&pair.hq, "load_db").await;
    tally.assert_at(&pair.branch, "load_db").await;
}
