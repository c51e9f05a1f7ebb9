//! What a task does when something is in its way: a lock, a read-only server, a binlog that is gone, very many tables.

use std::{fs, path::Path};

use mysql_async::prelude::Queryable as _;

use crate::support::{
    ask::{self, cell, error_of, eventually, rows, sql},
    cluster::{Pair, Proxy},
    compare::assert_same,
};
use causeway::demo::mysqld::ServerOptions;

/// What Causeway may hold at any time, in MiB.
const MEMORY_MIB: u64 = 192;

fn peak_mib(proxy: &Proxy) -> u64 {
    proxy.memory_kib("VmHWM:") / 1024
}

async fn start(proxy: &Proxy, pair: &Pair, between: &str) {
    proxy.register(pair).await;
    sql(proxy, &format!("CREATE SYNC TASK t {between} OBJECTS (shop.*)")).await;
    sql(proxy, "START SYNC TASK t").await;
    proxy.wait_state("t", "running").await;
}

#[tokio::test]
async fn a_transaction_held_back_by_a_lock_lets_others_pass_within_bounds_and_each_is_applied_once() {
    let pair = Pair::start().await;
    sql(
        &pair.hq,
        "CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, n INT NOT NULL);
         INSERT INTO shop.t VALUES (1, 0), (2, 0);
         CREATE DATABASE elsewhere;
         CREATE PROCEDURE elsewhere.load_many(how_many INT)
         BEGIN
           DECLARE i INT DEFAULT 0;
           WHILE i < how_many DO
             INSERT INTO shop.t VALUES (10 + i, i);
             SET i = i + 1;
           END WHILE;
         END",
    )
    .await;
    let mut proxy = Proxy::start().await;
    start(&proxy, &pair, "BETWEEN hq AND branch").await;
    let mut locker = ask::connect(&pair.branch).await;
    locker
        .query_drop("SET SESSION innodb_lock_wait_timeout = 1; BEGIN; SELECT * FROM shop.t WHERE id = 1 FOR UPDATE")
        .await
        .unwrap();
    sql(&pair.hq, "UPDATE shop.t SET n = n + 1 WHERE id = 1").await;
    sql(&pair.hq, "CALL elsewhere.load_many(20000)").await;
    // Others pass, as far as the window goes.
    let arrived = "SELECT COUNT(*) FROM shop.t";
    eventually("others pass the one that waits", async || {
        (cell(&pair.branch, arrived).await.parse::<u64>().unwrap() > 4000).then_some(())
    })
    .await;
    let longest = cell(&pair.branch, "SELECT MAX(LENGTH(applied)) FROM causeway.checkpoint").await;
    assert!(
        longest.parse::<u64>().unwrap() < 200_000,
        "a checkpoint row has {longest} bytes"
    );
    assert_eq!(cell(&pair.branch, "SELECT n FROM shop.t WHERE id = 1").await, "0");
    // What has passed is known after a crash, though the watermark stands still.
    proxy.kill9();
    proxy.restart().await.unwrap();
    locker.query_drop("ROLLBACK").await.unwrap();
    proxy.wait_synced("t").await;
    assert_same(&pair.hq, &pair.branch, "shop").await;
    assert_eq!(cell(&pair.branch, "SELECT n FROM shop.t WHERE id = 1").await, "1");
    assert_eq!(cell(&proxy, "SELECT COUNT(*) FROM sync.conflicts").await, "0");
    let peak = peak_mib(&proxy);
    assert!(peak < MEMORY_MIB, "Causeway has held {peak} MiB");
    // At rest the rows are short again.
    sql(&pair.hq, "UPDATE shop.t SET n = n + 1 WHERE id = 2").await;
    proxy.wait_synced("t").await;
    eventually("checkpoint rows are short", async || {
        let longest = cell(
            &pair.branch,
            "SELECT LENGTH(applied) FROM causeway.checkpoint WHERE slot = 0 AND link = 'forward'",
        )
        .await;
        (longest.parse::<u64>().unwrap() < 300).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_read_only_server_is_waited_for_and_a_purged_binlog_is_told() {
    let pair = Pair::start().await;
    sql(
        &pair.hq,
        "CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, n INT); INSERT INTO shop.t VALUES (1, 0)",
    )
    .await;
    let proxy = Proxy::start().await;
    start(&proxy, &pair, "BETWEEN hq AND branch").await;

    // The destination takes no writes for a while; the other direction goes on.
    sql(&pair.branch, "UPDATE shop.t SET n = 5 WHERE id = 1").await;
    sql(&pair.branch, "SET GLOBAL super_read_only = ON").await;
    sql(&pair.hq, "INSERT INTO shop.t VALUES (2, 2)").await;
    let error = proxy.wait_link("t", "forward", "retrying").await;
    assert!(
        error.contains("read_only") && error.contains("branch") | error.contains("that server"),
        "{error}"
    );
    eventually("the other direction goes on", async || {
        (cell(&pair.hq, "SELECT n FROM shop.t WHERE id = 1").await == "5").then_some(())
    })
    .await;
    sql(
        &pair.branch,
        "SET GLOBAL super_read_only = OFF; SET GLOBAL read_only = OFF",
    )
    .await;
    proxy.wait_synced("t").await;
    assert_same(&pair.hq, &pair.branch, "shop").await;
    proxy.wait_link("t", "forward", "running").await;

    // What the task has not read is purged while it is paused.
    sql(&proxy, "PAUSE SYNC TASK t").await;
    sql(
        &pair.hq,
        "INSERT INTO shop.t VALUES (3, 3); FLUSH BINARY LOGS; INSERT INTO shop.t VALUES (4, 4)",
    )
    .await;
    let logs = rows(&pair.hq, "SHOW BINARY LOGS").await;
    sql(&pair.hq, &format!("PURGE BINARY LOGS TO '{}'", logs.last().unwrap()[0])).await;
    let (_, error) = error_of(&proxy, "RESUME SYNC TASK t").await;
    assert!(error.contains("purged") && error.contains("full sync"), "{error}");
    assert_eq!(
        cell(&pair.branch, "SELECT COUNT(*) FROM shop.t").await,
        "2",
        "nothing behind the gap is applied"
    );
}

#[tokio::test]
async fn a_read_only_source_is_followed_without_a_heartbeat() {
    let pair = Pair::start().await;
    sql(
        &pair.hq,
        "CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, n INT); INSERT INTO shop.t VALUES (1, 0)",
    )
    .await;
    let proxy = Proxy::start().await;
    start(&proxy, &pair, "FROM hq TO branch").await;
    eventually("there is a heartbeat", async || {
        ask::try_rows(&pair.hq, "SELECT at FROM causeway.heartbeat")
            .await
            .ok()
            .filter(|rows| !rows.is_empty())
            .map(|_| ())
    })
    .await;
    // Now the source is as a replica is: it takes no writes of clients. This change was made before.
    sql(
        &pair.hq,
        "INSERT INTO shop.t VALUES (2, 2); SET GLOBAL super_read_only = ON",
    )
    .await;
    eventually("it is told that there is no heartbeat", async || {
        let told = rows(
            &proxy,
            "SELECT message FROM sync.events WHERE message LIKE '%heartbeat%'",
        )
        .await;
        (!told.is_empty()).then_some(())
    })
    .await;
    sql(&proxy, "PAUSE SYNC TASK t").await;
    sql(&proxy, "RESUME SYNC TASK t").await;
    proxy.wait_link("t", "forward", "running").await;
    proxy.wait_synced("t").await;
    assert_same(&pair.hq, &pair.branch, "shop").await;
    sql(
        &pair.hq,
        "SET GLOBAL super_read_only = OFF; SET GLOBAL read_only = OFF; INSERT INTO shop.t VALUES (3, 3)",
    )
    .await;
    proxy.wait_synced("t").await;
    assert_same(&pair.hq, &pair.branch, "shop").await;
}

#[tokio::test]
async fn two_servers_with_one_server_uuid_are_refused() {
    let mut pair = Pair::start().await;
    let auto = |dir: &Path| dir.join("data/auto.cnf");
    pair.branch.stop().await.unwrap();
    fs::copy(auto(&pair.hq.dir), auto(&pair.branch.dir)).unwrap();
    pair.branch.restart().await.unwrap();
    sql(&pair.hq, "CREATE DATABASE shop").await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    sql(&proxy, "CREATE SYNC TASK t BETWEEN hq AND branch OBJECTS (shop.*)").await;
    let (_, message) = error_of(&proxy, "START SYNC TASK t").await;
    assert!(
        message.contains("server_uuid") && message.contains("auto.cnf"),
        "{message}"
    );
    assert_eq!(cell(&proxy, "SELECT DISTINCT state FROM sync.status").await, "created");
}

#[tokio::test]
async fn hundreds_of_tables_that_all_hold_rows_start_and_follow_in_bounded_memory() {
    let quick = ServerOptions::with(&["--table-open-cache=4000", "--table-definition-cache=4000"]);
    let pair = Pair::start_with(quick.clone(), quick).await;
    let tables = 300;
    let each = |statement: &str| {
        (0..tables)
            .map(|table| statement.replace('#', &table.to_string()))
            .collect::<Vec<_>>()
    };
    sql(&pair.hq, "CREATE DATABASE shop").await;
    let mut conn = ask::connect(&pair.hq).await;
    for some in each("CREATE TABLE shop.t# (id INT PRIMARY KEY, n INT); INSERT INTO shop.t# VALUES (1, #)").chunks(100)
    {
        conn.query_drop(some.join(";")).await.unwrap();
    }
    let proxy = Proxy::start().await;
    start(&proxy, &pair, "BETWEEN hq AND branch").await;
    assert_eq!(
        cell(
            &proxy,
            "SELECT COUNT(*) FROM sync.objects WHERE direction = 'forward' AND rows_copied = 1"
        )
        .await,
        "300"
    );
    for some in each("UPDATE shop.t# SET n = n + 1; INSERT INTO shop.t# VALUES (2, 2)").chunks(100) {
        conn.query_drop(some.join(";")).await.unwrap();
    }
    proxy.wait_synced("t").await;
    let sums = rows(
        &proxy,
        "SELECT SUM(inserts), SUM(updates) FROM sync.objects WHERE direction = 'forward'",
    )
    .await;
    assert_eq!(sums, [["300", "300"]]);
    let counts = each("SELECT SUM(n) s FROM shop.t#").join(" UNION ALL ");
    let sum = format!("SELECT SUM(s) FROM ({counts}) x");
    assert_eq!(cell(&pair.hq, &sum).await, cell(&pair.branch, &sum).await);
    let peak = peak_mib(&proxy);
    assert!(peak < MEMORY_MIB, "Causeway has held {peak} MiB");
}
