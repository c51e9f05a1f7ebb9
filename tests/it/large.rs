//! Transactions larger than what Causeway may hold in memory.
//!
//! `CAUSEWAY_LARGE_ROWS` sets the number of narrow rows, for runs by hand (5000000 is the size to aim at).

use std::{env, time::Duration};

use crate::support::{
    ask::{cell, connect, eventually, rows, sql},
    cluster::{Pair, Proxy},
};
use causeway::demo::mysqld::{LocalServer, ServerOptions};
use mysql_async::prelude::Queryable;

/// What Causeway may ever have held, in MiB. A link keeps 48 MiB of changes at a time; twice that and its SQL text, for
/// each of two links, is the rest.
const MEMORY_MIB: u64 = 192;

/// Rows of the narrow table: each has few bytes of its own, so what is kept besides them counts most.
fn narrow_rows() -> u64 {
    env::var("CAUSEWAY_LARGE_ROWS").map_or(300_000, |rows| rows.parse().unwrap())
}

/// Rows of the wide table.
const WIDE_ROWS: u64 = 40_000;
/// Bytes of a wide row: 40,000 × 4 KiB × 2 images of an UPDATE are 320 MB in one transaction.
const WIDE_BYTES: u64 = 4096;

const TABLES: &str = "
    CREATE DATABASE big;
    CREATE TABLE big.narrow (id INT PRIMARY KEY, n INT NOT NULL);
    CREATE TABLE big.wide (id INT PRIMARY KEY, n INT NOT NULL, filling VARCHAR(5000) CHARACTER SET latin1 NOT NULL);
    CREATE TABLE big.counter (id INT PRIMARY KEY, n INT NOT NULL);
    INSERT INTO big.counter VALUES (1, 0)";

fn filled_narrow() -> String {
    filled_with(narrow_rows())
}

fn filled_with(rows: u64) -> String {
    format!(
        "SET SESSION cte_max_recursion_depth = 10000000;
         INSERT INTO big.narrow WITH RECURSIVE c (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM c WHERE id < {rows})
         SELECT id, id FROM c"
    )
}

fn filled_wide() -> String {
    format!(
        "SET SESSION cte_max_recursion_depth = 10000000;
         INSERT INTO big.wide WITH RECURSIVE c (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM c WHERE id < {WIDE_ROWS})
         SELECT id, id, REPEAT(CHAR(97 + id % 26), {WIDE_BYTES}) FROM c"
    )
}

/// Two servers and a running two-way task over `big`, with empty tables.
async fn start(source: &[&str]) -> (Pair, Proxy) {
    let roomy = ["--innodb-buffer-pool-size=512M", "--max-binlog-size=1G"];
    let source = [&roomy, source].concat();
    let pair = Pair::start_with(ServerOptions::with(&source), ServerOptions::with(&roomy)).await;
    sql(&pair.hq, TABLES).await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    sql(&proxy, "CREATE SYNC TASK big BETWEEN hq AND branch OBJECTS (big.*)").await;
    sql(&proxy, "START SYNC TASK big").await;
    proxy.wait_state("big", "running").await;
    (pair, proxy)
}

/// The most memory the proxy has ever held, in MiB, besides the pages of its own program file: those of a build without
/// optimization are many, grow with the code, and are the system's to drop.
fn peak_mib(proxy: &Proxy) -> u64 {
    (proxy.memory_kib("VmHWM:") - proxy.memory_kib("RssFile:")) / 1024
}

fn assert_bounded(proxy: &Proxy, after: &str) {
    let peak = peak_mib(proxy);
    assert!(peak < MEMORY_MIB, "Causeway has held {peak} MiB after {after}");
}

/// All of a table, in one line.
async fn digest(server: &LocalServer, table: &str) -> String {
    cell(
        server,
        &format!("SELECT CONCAT_WS(' ', COUNT(*), SUM(id), SUM(n)) FROM big.{table}"),
    )
    .await
}

async fn assert_equal(pair: &Pair, table: &str) {
    assert_eq!(
        digest(&pair.hq, table).await,
        digest(&pair.branch, table).await,
        "big.{table}"
    );
}

/// Waits until the destination is well inside a large transaction.
async fn in_the_middle(server: &LocalServer, rows: u64) {
    eventually("the large transaction is under way", async || {
        // The server makes this table anew only when nobody has read it for 0.1 s.
        tokio::time::sleep(Duration::from_millis(250)).await;
        let modified = cell(
            server,
            "SELECT COALESCE(MAX(trx_rows_modified), 0) FROM information_schema.innodb_trx",
        )
        .await;
        (modified.parse::<u64>().unwrap() > rows).then_some(())
    })
    .await;
}

async fn assert_no_conflict(proxy: &Proxy) {
    let conflicts = rows(proxy, "SELECT task, direction, type FROM sync.conflicts").await;
    assert!(conflicts.is_empty(), "{conflicts:?}");
}

#[tokio::test]
async fn transactions_larger_than_memory_go_through_in_bounded_memory() {
    let (pair, proxy) = start(&[]).await;
    let (hq, branch) = (&pair.hq, &pair.branch);

    sql(hq, &filled_narrow()).await;
    sql(
        hq,
        "INSERT INTO big.counter VALUES (2, 0); UPDATE big.narrow SET n = n + 1 WHERE id = 1",
    )
    .await;
    proxy.wait_synced("big").await;
    assert_equal(&pair, "narrow").await;
    assert_bounded(&proxy, "many narrow rows were inserted");

    sql(hq, &filled_wide()).await;
    proxy.wait_synced("big").await;
    assert_equal(&pair, "wide").await;
    assert_bounded(&proxy, "wide rows were inserted");

    // Others follow it at once, on the same rows and on others; and it is the other side's turn.
    sql(branch, "BEGIN; UPDATE big.wide SET n = n + 1, filling = REVERSE(filling); UPDATE big.counter SET n = n + 1 WHERE id = 1; COMMIT").await;
    sql(
        branch,
        "UPDATE big.wide SET n = n + 1 WHERE id <= 10; UPDATE big.counter SET n = n + 1 WHERE id = 2",
    )
    .await;
    proxy.wait_synced("big").await;
    assert_equal(&pair, "wide").await;
    assert_bounded(&proxy, "wide rows were updated");

    sql(hq, "DELETE FROM big.narrow").await;
    sql(hq, "INSERT INTO big.narrow VALUES (1, 1), (2, 2)").await;
    proxy.wait_synced("big").await;
    assert_eq!(digest(branch, "narrow").await, "2 3 3");
    assert_equal(&pair, "counter").await;
    assert_bounded(&proxy, "many narrow rows were deleted");
    assert_no_conflict(&proxy).await;
}

#[tokio::test]
async fn a_large_transaction_cut_off_by_a_kill_is_applied_once() {
    let (pair, mut proxy) = start(&[]).await;
    let (hq, branch) = (&pair.hq, &pair.branch);
    sql(hq, &filled_narrow()).await;
    proxy.wait_synced("big").await;

    let whole = narrow_rows();
    // Its last row is held at the destination, so that it can't get to its end before it is killed.
    let hold = "BEGIN; SELECT n FROM big.counter WHERE id = 1 FOR UPDATE";
    let mut holder = connect(branch).await;
    holder.query_drop(hold).await.unwrap();
    sql(
        hq,
        "BEGIN; UPDATE big.narrow SET n = n + 1; UPDATE big.counter SET n = n + 1 WHERE id = 1; COMMIT",
    )
    .await;
    sql(hq, "UPDATE big.narrow SET n = n + 1 WHERE id <= 100").await;
    for part in [10, 2] {
        in_the_middle(branch, whole / part).await;
        proxy.kill9();
        // The server notices that the client is gone only when its statement has got the row.
        holder.query_drop("COMMIT").await.unwrap();
        holder.query_drop(hold).await.unwrap();
        assert_eq!(cell(branch, "SELECT n FROM big.counter WHERE id = 1").await, "0");
        proxy.restart().await.unwrap();
    }
    holder.query_drop("COMMIT").await.unwrap();
    proxy.wait_synced("big").await;
    for table in ["narrow", "counter"] {
        assert_equal(&pair, table).await;
    }
    assert_eq!(cell(branch, "SELECT n FROM big.counter WHERE id = 1").await, "1");
    assert_no_conflict(&proxy).await;
    // What was applied is known: nothing is read again after another start.
    proxy.restart().await.unwrap();
    proxy.wait_synced("big").await;
    assert_equal(&pair, "narrow").await;
}

#[tokio::test]
async fn a_compressed_transaction_too_large_to_be_kept_whole_goes_through_in_bounded_memory() {
    let (pair, proxy) = start(&["--binlog-transaction-compression=ON"]).await;
    sql(&pair.hq, &filled_narrow()).await;
    sql(&pair.hq, "UPDATE big.narrow SET n = n + 1 WHERE id <= 10").await;
    proxy.wait_synced("big").await;
    assert_equal(&pair, "narrow").await;
    assert_bounded(&proxy, "a compressed transaction");
    assert_no_conflict(&proxy).await;
}

#[tokio::test]
async fn a_statement_among_the_rows_of_a_large_transaction_does_not_hold_it_up() {
    let (pair, proxy) = start(&[]).await;
    sql(&pair.hq, "CREATE DATABASE elsewhere; CREATE TABLE elsewhere.t (id INT)").await;
    // In a session like this UUID() makes the server log rows, and what comes after them as a statement.
    let fill =
        "INSERT INTO big.narrow WITH RECURSIVE c (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM c WHERE id < 50000)
                SELECT id, id FROM c WHERE UUID() <> ''";
    let statement = "INSERT INTO elsewhere.t VALUES (1)";
    sql(
        &pair.hq,
        &format!(
            "SET SESSION cte_max_recursion_depth = 100000, binlog_format = 'MIXED';
             BEGIN; {fill}; {statement}; UPDATE big.narrow SET n = 0 WHERE UUID() <> ''; COMMIT"
        ),
    )
    .await;
    let log = rows(&pair.hq, "SHOW BINARY LOGS").await.pop().unwrap();
    let events = rows(&pair.hq, &format!("SHOW BINLOG EVENTS IN '{}'", log[0])).await;
    assert!(
        events
            .iter()
            .any(|event| event[2] == "Query" && event[5].contains(statement)),
        "the server has logged rows only"
    );
    sql(&pair.hq, "UPDATE big.narrow SET n = 1 WHERE id = 1").await;
    proxy.wait_synced("big").await;
    assert_eq!(digest(&pair.branch, "narrow").await, "50000 1250025000 1");
    assert_no_conflict(&proxy).await;
}

#[tokio::test]
async fn conflicts_in_the_midst_of_a_large_transaction_are_settled_and_the_rest_of_it_is_applied() {
    let (pair, proxy) = start(&[]).await;
    let (hq, branch) = (&pair.hq, &pair.branch);
    sql(&proxy, "ALTER SYNC TASK big SET (conflict_policy = 'overwrite')").await;
    // Each change is taken to need 512 bytes at least, and 16 MiB are large.
    let count = 60_000;
    sql(hq, &filled_with(count)).await;
    proxy.wait_synced("big").await;
    let late = count - 10;
    sql(
        branch,
        &format!(
            "SET sql_log_bin = 0; UPDATE big.narrow SET n = -7 WHERE id IN (150, {late}); DELETE FROM big.narrow WHERE id = 151"
        ),
    )
    .await;
    sql(hq, "UPDATE big.narrow SET n = n + 1").await;
    sql(hq, "UPDATE big.narrow SET n = n + 1 WHERE id <= 100").await;
    proxy.wait_synced("big").await;
    assert_equal(&pair, "narrow").await;
    assert_eq!(
        rows(&proxy, "SELECT type, outcome, `key` FROM sync.conflicts ORDER BY id").await,
        [
            vec!["update_differs", "overwritten", r#"{"id": 150}"#],
            vec!["update_missing", "inserted", r#"{"id": 151}"#],
            vec!["update_differs", "overwritten", &format!(r#"{{"id": {late}}}"#)],
        ]
    );
    let conflicts = "SELECT conflicts, updates FROM sync.objects
        WHERE source_table = 'big.narrow' AND direction = 'forward'";
    let counted = rows(&proxy, conflicts).await;
    assert_eq!(counted, [["3".to_owned(), (count + 100).to_string()]]);
}
