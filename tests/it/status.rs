//! What is shown of a task: lag in its parts, progress and pace of copying, throughput; and that it fits a terminal.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable as _;

use crate::support::{
    ask::{cell, connect, error_of, eventually, rows, sql},
    clients,
    cluster::{Pair, Proxy},
};

const TABLE: &str =
    "CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, v INT); INSERT INTO shop.t VALUES (1, 1)";

async fn running(setup: &str, task: &str) -> (Pair, Proxy) {
    let pair = Pair::start().await;
    sql(&pair.hq, setup).await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    sql(&proxy, task).await;
    sql(&proxy, "START SYNC TASK t").await;
    proxy.wait_state("t", "running").await;
    (pair, proxy)
}

/// A number of the only row of `sync.status`; `None` for NULL.
async fn number(proxy: &Proxy, column: &str) -> Option<u64> {
    let found = cell(
        proxy,
        &format!("SELECT {column} FROM sync.status WHERE direction = 'forward'"),
    )
    .await;
    (found != "NULL").then(|| found.parse().unwrap())
}

async fn is_in_step(proxy: &Proxy) {
    eventually("lag is small", async || {
        let lag = number(proxy, "lag_ms").await;
        lag.is_some_and(|lag| lag < 2500).then_some(())
    })
    .await;
}

#[tokio::test]
async fn lag_is_known_in_its_parts_whatever_the_link_does() {
    let (pair, proxy) = running(TABLE, "CREATE SYNC TASK t FROM hq TO branch OBJECTS (shop.*)").await;
    proxy.wait_synced("t").await;
    is_in_step(&proxy).await;
    // Nothing happens, and the destination is known to be in step all the same.
    let until = cell(&proxy, "SELECT current_until FROM sync.status").await;
    eventually("time goes by", async || {
        (cell(&proxy, "SELECT current_until FROM sync.status").await > until).then_some(())
    })
    .await;

    // The destination is held up: what was read waits, and behind a statement that waits nothing is read.
    let mut lock = connect(&pair.branch).await;
    lock.query_drop("BEGIN; SELECT * FROM shop.t FOR UPDATE").await.unwrap();
    sql(
        &pair.hq,
        "UPDATE shop.t SET v = 2; CREATE TABLE shop.u (id INT PRIMARY KEY)",
    )
    .await;
    eventually("applying is behind", async || {
        let parts = rows(&proxy, "SELECT lag_ms, lag_fetch_ms, lag_apply_ms FROM sync.status").await;
        let [lag, fetch, apply] = [0, 1, 2].map(|place| parts[0][place].parse::<u64>().unwrap_or(0));
        assert!(parts[0][0] == "NULL" || lag == fetch + apply, "{parts:?}");
        (apply > 3000 && apply > fetch).then_some(())
    })
    .await;
    lock.query_drop("ROLLBACK").await.unwrap();
    is_in_step(&proxy).await;

    // A link that rests falls behind.
    sql(&proxy, "PAUSE SYNC TASK t").await;
    eventually("a task that is paused falls behind", async || {
        let lag = number(&proxy, "lag_ms").await.unwrap();
        (lag > 3000).then_some(())
    })
    .await;
    assert_eq!(number(&proxy, "lag_fetch_ms").await, None);
    sql(&proxy, "RESUME SYNC TASK t").await;
    proxy.wait_state("t", "running").await;
    is_in_step(&proxy).await;
    sql(&proxy, "STOP SYNC TASK t").await;
    assert_eq!(number(&proxy, "lag_ms").await, None);
}

#[tokio::test]
async fn a_source_that_takes_no_heartbeat_and_a_server_that_is_away_have_a_lag_too() {
    let (mut pair, proxy) = running(
        &format!("{TABLE}; SET GLOBAL super_read_only = 1"),
        "CREATE SYNC TASK t FROM hq TO branch OBJECTS (shop.*)",
    )
    .await;
    let told = "SELECT COUNT(*) FROM sync.events WHERE message LIKE '%it is the binlog stream that tells the lag%'";
    eventually("it is told", async || (cell(&proxy, told).await == "1").then_some(())).await;
    is_in_step(&proxy).await;
    let until = cell(&proxy, "SELECT current_until FROM sync.status").await;
    eventually("time goes by", async || {
        (cell(&proxy, "SELECT current_until FROM sync.status").await > until).then_some(())
    })
    .await;
    pair.hq.kill9();
    eventually("the source is away, and the lag grows", async || {
        let found = rows(&proxy, "SELECT state, COALESCE(lag_ms, 0) FROM sync.status").await;
        let lag: u64 = found[0][1].parse().unwrap();
        (found[0][0] == "retrying" && lag > 4000).then_some(())
    })
    .await;
}

#[tokio::test]
async fn full_sync_keeps_to_the_pace_and_shows_how_far_it_is() {
    const ROWS: u64 = 40_000;
    const RATE: u64 = 4_000;
    let pair = Pair::start().await;
    sql(
        &pair.hq,
        &format!(
            "CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, v CHAR(100)); CREATE TABLE shop.u LIKE shop.t;
             SET SESSION cte_max_recursion_depth = 1000000;
             INSERT INTO shop.t WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {ROWS})
             SELECT n, REPEAT('x', 100) FROM n; ANALYZE TABLE shop.t"
        ),
    )
    .await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    sql(
        &proxy,
        &format!(
            "CREATE SYNC TASK t FROM hq TO branch OBJECTS (shop.*) WITH (rows_per_second = {RATE}, heartbeat = OFF)"
        ),
    )
    .await;
    let began = Instant::now();
    sql(&proxy, "START SYNC TASK t").await;
    let progress = "SELECT rows_copied, rows_estimated, copied_percent, copy_rows_per_second, copy_bytes_per_second,
        copy_seconds_left, bytes_copied, phase, lag_ms FROM sync.status";
    let shown = eventually("some of it is copied, and the rest is foreseen", async || {
        let found = rows(&proxy, progress).await[0].clone();
        let copied: u64 = found[0].parse().unwrap();
        let elapsed = began.elapsed().as_secs() + 1;
        // A range of each of the four writers may be ahead.
        assert!(copied <= RATE * elapsed + 4 * 5_000, "{copied} rows after {elapsed} s");
        (copied >= 15_000 && found[5] != "NULL").then_some(found)
    })
    .await;
    let of = |place: usize| shown[place].parse::<u64>().unwrap();
    assert!((1..100).contains(&of(2)), "{shown:?}");
    assert!(of(1) > ROWS / 2 && of(3) > 0 && of(4) > of(3) * 100, "{shown:?}");
    assert!(of(6) > of(0) * 100 && shown[7] == "full", "{shown:?}");
    let table =
        "SELECT copied_percent, copy_rows_per_second > 0, copy_seconds_left > 0, bytes_copied > 0 FROM sync.objects
        WHERE source_table = 'shop.t'";
    let table = rows(&proxy, table).await[0].clone();
    assert_eq!(table[1..], ["1", "1", "1"], "{table:?}");
    // Another pace, in the middle of it.
    sql(&proxy, "ALTER SYNC TASK t SET (rows_per_second = 0)").await;
    proxy.wait_state("t", "running").await;
    let end = "SELECT rows_copied, rows_estimated, copied_percent, copy_seconds_left FROM sync.status";
    let rows_text = ROWS.to_string();
    assert_eq!(rows(&proxy, end).await, [[&rows_text, &rows_text, "100", "NULL"]]);

    // Changes keep to it, too.
    sql(&proxy, "ALTER SYNC TASK t SET (rows_per_second = 2000)").await;
    proxy.wait_state("t", "running").await;
    let began = Instant::now();
    sql(
        &pair.hq,
        "UPDATE shop.t SET v = 1 WHERE id <= 5000; UPDATE shop.t SET v = 2 WHERE id <= 5000; INSERT INTO shop.u VALUES (1, '')",
    )
    .await;
    let throughput = "SELECT rows_per_second > 0 AND transactions_per_second > 0 FROM sync.status";
    eventually("throughput is shown", async || {
        (cell(&proxy, throughput).await == "1").then_some(())
    })
    .await;
    proxy.wait_synced("t").await;
    assert_eq!(cell(&pair.branch, "SELECT COUNT(*) FROM shop.u").await, "1");
    assert!(began.elapsed() > Duration::from_millis(4500), "{:?}", began.elapsed());
    for wrong in ["rows_per_second = 'many'", "bytes_per_second = 1.5"] {
        let (code, message) = error_of(&proxy, &format!("ALTER SYNC TASK t SET ({wrong})")).await;
        assert_eq!(code, 1231, "{message}");
    }
}

#[tokio::test]
async fn what_is_shown_fits_a_terminal() {
    let (pair, proxy) = running(TABLE, "CREATE SYNC TASK t BETWEEN hq AND branch OBJECTS (shop.*)").await;
    proxy.wait_synced("t").await;
    is_in_step(&proxy).await;
    // One with a long error.
    sql(&pair.branch, "SET sql_log_bin = 0; UPDATE shop.t SET v = 77").await;
    sql(&pair.hq, "UPDATE shop.t SET v = 5").await;
    eventually("the task has failed", async || {
        let found = rows(&proxy, "SELECT last_error FROM sync.status WHERE state = 'failed'").await;
        (found.len() == 2).then_some(())
    })
    .await;
    for statement in [
        "SHOW SYNC TASK STATUS",
        "SHOW SYNC TASKS",
        "SHOW SYNC TASK STATUS FOR t",
    ] {
        let mut client = clients::mysql();
        client
            .args([
                "-h127.0.0.1",
                "-uroot",
                "-t",
                "--default-character-set=utf8mb4",
                "--ssl-mode=DISABLED",
                "-e",
                statement,
            ])
            .arg(format!("-P{}", proxy.port))
            .env("MYSQL_PWD", &proxy.password);
        let (success, output, complaint) = clients::outcome(&mut client);
        assert!(success, "{output}{complaint}");
        println!("{output}");
        let width = output.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(output.lines().count() > 3 && width <= 120, "{width}\n{output}");
    }
}
