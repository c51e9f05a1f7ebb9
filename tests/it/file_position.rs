//! Sources without GTIDs are followed by file and offset: that each transaction arrives exactly once through kills and DDL,
//! as `load` puts it to the test, holds there too, in every mix; and what cannot be followed is told.

use causeway::demo::mysqld::ServerOptions;
use mysql_async::prelude::Queryable as _;

use crate::{
    load::{self, Options},
    support::{
        ask::{cell, connect, eventually, quiet, rows, sql, try_sql},
        cluster::{Pair, Proxy},
        compare::assert_same,
        load::make_tables,
    },
};

fn without_gtids() -> ServerOptions {
    ServerOptions::with(&["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"])
}

/// Neither server has GTIDs.
fn neither() -> Options {
    [without_gtids(), without_gtids()]
}

#[tokio::test]
async fn twenty_kills_of_the_proxy_and_one_of_each_server_lose_nothing_and_apply_nothing_twice() {
    load::kills(neither()).await;
}

#[tokio::test]
async fn kills_lose_nothing_where_only_the_source_or_only_the_destination_has_gtids() {
    load::kills([without_gtids(), ServerOptions::default()]).await;
    load::kills([ServerOptions::default(), without_gtids()]).await;
}

#[tokio::test]
async fn full_sync_under_load_goes_on_where_a_kill_ended_it() {
    load::killed_full_sync(neither()).await;
}

#[tokio::test]
async fn rows_that_are_older_than_a_ddl_find_its_names_in_the_reverse_direction() {
    load::older_rows(neither()).await;
}

#[tokio::test]
async fn each_ddl_takes_effect_once_through_kills() {
    load::ddl_through_kills(neither()).await;
}

#[tokio::test]
async fn stops_pauses_and_restarts_under_load_lose_nothing() {
    load::stops_and_pauses(neither()).await;
}

#[tokio::test]
async fn a_lost_connection_or_server_is_tried_again_until_it_is_back() {
    load::lost_connections(neither()).await;
}

/// A two-way task over `d.t`, with a row, which runs.
async fn small(options: Options) -> (Pair, Proxy) {
    let [hq, branch] = options;
    let pair = Pair::start_with(hq, branch).await;
    sql(
        &pair.hq,
        "CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY, v INT); INSERT INTO d.t VALUES (1, 1)",
    )
    .await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    sql(
        &proxy,
        "CREATE SYNC TASK t BETWEEN hq AND branch OBJECTS (d.*) WITH (heartbeat = OFF)",
    )
    .await;
    sql(&proxy, "START SYNC TASK t").await;
    proxy.wait_state("t", "running").await;
    proxy.wait_synced("t").await;
    (pair, proxy)
}

/// What RESUME ends with; the task is paused before, while `change` is made.
async fn failure_after(proxy: &Proxy, change: impl AsyncFnOnce()) -> String {
    sql(proxy, "PAUSE SYNC TASK t").await;
    proxy.wait_state("t", "paused").await;
    change().await;
    // The task may fail before RESUME has answered.
    try_sql(proxy, "RESUME SYNC TASK t").await.ok();
    eventually("the task fails", async || {
        let query = "SELECT last_error FROM sync.status WHERE state = 'failed' AND last_error <> ''";
        rows(proxy, query).await.into_iter().next().map(|mut row| row.remove(0))
    })
    .await
}

#[tokio::test]
async fn new_files_and_restarts_of_the_servers_are_followed_and_old_files_can_be_purged() {
    let (mut pair, proxy) = small(neither()).await;
    for round in 0..3 {
        for (number, server) in [(0, &pair.hq), (1, &pair.branch)] {
            let id = 10 + round * 10 + number;
            sql(
                server,
                &format!(
                    "INSERT INTO d.t VALUES ({id}, 1); FLUSH BINARY LOGS; FLUSH BINARY LOGS; UPDATE d.t SET v = v + 1 WHERE id = {id}"
                ),
            )
            .await;
        }
        proxy.wait_synced("t").await;
        pair.hq.restart().await.unwrap();
        pair.branch.kill9();
        pair.branch.restart().await.unwrap();
        proxy.wait_state("t", "running").await;
    }
    proxy.wait_synced("t").await;
    assert_same(&pair.hq, &pair.branch, "d").await;

    // Nothing is in the last file, and the ones before it go: the checkpoint has left them by itself.
    let before = rows(&pair.hq, "SHOW BINARY LOGS").await.len();
    sql(&pair.hq, "FLUSH BINARY LOGS").await;
    proxy.wait_synced("t").await;
    let file = format!("{:06}", before + 1);
    let applied = "SELECT applied FROM causeway.checkpoint WHERE slot = 0 AND link = 'forward'";
    eventually("the checkpoint comes to the new file", async || {
        cell(&pair.branch, applied)
            .await
            .contains(&format!("-{file}."))
            .then_some(())
    })
    .await;
    sql(&proxy, "PAUSE SYNC TASK t").await;
    proxy.wait_state("t", "paused").await;
    sql(&pair.hq, &format!("PURGE BINARY LOGS TO 'binlog.{file}'")).await;
    sql(&proxy, "RESUME SYNC TASK t").await;
    sql(&pair.hq, "INSERT INTO d.t VALUES (100, 100)").await;
    proxy.wait_state("t", "running").await;
    proxy.wait_synced("t").await;
    assert_same(&pair.hq, &pair.branch, "d").await;
    let files = "SELECT COUNT(*) FROM causeway.source_files WHERE link = 'forward'";
    assert_eq!(
        cell(&pair.branch, files).await,
        "1",
        "files that are done are forgotten"
    );

    // Positions are shown as the source has them.
    let shown = "SELECT source_position, applied_position FROM sync.status WHERE direction = 'forward'";
    let end = eventually("the positions shown are the end of the log", async || {
        let log = rows(&pair.hq, "SHOW BINARY LOG STATUS").await;
        let end = format!("{}:{}", log[0][0], log[0][1]);
        (rows(&proxy, shown).await == [[end.as_str(), end.as_str()]]).then_some(end)
    })
    .await;
    assert!(end.starts_with(&format!("binlog.{file}:")), "{end}");
    quiet(&[&pair.hq, &pair.branch]).await;
}

#[tokio::test]
async fn a_purged_file_is_told_by_its_number() {
    let (pair, proxy) = small(neither()).await;
    let error = failure_after(&proxy, async || {
        sql(
            &pair.hq,
            "INSERT INTO d.t VALUES (2, 2); FLUSH BINARY LOGS; INSERT INTO d.t VALUES (3, 3)",
        )
        .await;
        let log = rows(&pair.hq, "SHOW BINARY LOG STATUS").await;
        sql(&pair.hq, &format!("PURGE BINARY LOGS TO '{}'", log[0][0])).await;
    })
    .await;
    assert!(error.contains("server hq") && error.contains("purged"), "{error}");
    assert!(
        error.contains("number 000001") || error.contains("number 000002"),
        "{error}"
    );
}

#[tokio::test]
async fn a_binlog_that_begins_anew_is_never_taken_for_the_one_before() {
    // It has fewer files than before.
    let (pair, proxy) = small(neither()).await;
    let error = failure_after(&proxy, async || {
        sql(&pair.hq, "FLUSH BINARY LOGS; INSERT INTO d.t VALUES (2, 2)").await;
        sql(&pair.hq, "RESET BINARY LOGS AND GTIDS; INSERT INTO d.t VALUES (3, 3)").await;
    })
    .await;
    assert!(
        error.contains("server hq") && error.contains("RESET BINARY LOGS"),
        "{error}"
    );

    // It has come to the same file again, and further.
    let (pair, proxy) = small(neither()).await;
    sql(&pair.hq, "FLUSH BINARY LOGS").await;
    proxy.wait_synced("t").await;
    let error = failure_after(&proxy, async || {
        let count = rows(&pair.hq, "SHOW BINARY LOGS").await.len();
        // Nothing tells it from a file without transactions that was made in the same second.
        let second = cell(&pair.hq, "SELECT UNIX_TIMESTAMP()").await;
        eventually("the next second", async || {
            (cell(&pair.hq, "SELECT UNIX_TIMESTAMP()").await != second).then_some(())
        })
        .await;
        sql(&pair.hq, "RESET BINARY LOGS AND GTIDS").await;
        let mut conn = connect(&pair.hq).await;
        while rows(&pair.hq, "SHOW BINARY LOGS").await.len() < count {
            conn.query_drop("FLUSH BINARY LOGS").await.unwrap();
        }
        for id in 10..200 {
            conn.query_drop(format!("INSERT INTO d.t VALUES ({id}, 1)"))
                .await
                .unwrap();
        }
    })
    .await;
    assert!(
        error.contains("not the one of that name") && error.contains("RESET BINARY LOGS"),
        "{error}"
    );

    // While it is being read: the server then says that there is no next file, or, in a file of the same name, nothing.
    for rotates in [true, false] {
        let (pair, proxy) = small(neither()).await;
        if rotates {
            sql(&pair.hq, "FLUSH BINARY LOGS").await;
        }
        sql(&pair.hq, "INSERT INTO d.t VALUES (2, 2)").await;
        proxy.wait_synced("t").await;
        sql(&pair.hq, "RESET BINARY LOGS AND GTIDS; INSERT INTO d.t VALUES (3, 3)").await;
        let error = proxy.wait_link("t", "forward", "failed").await;
        assert!(error.contains("RESET BINARY LOGS"), "{error}");
    }
}

#[tokio::test]
async fn compressed_large_and_unchecked_transactions_are_counted_as_others_are() {
    let options = || {
        ServerOptions::with(&[
            "--gtid-mode=OFF",
            "--enforce-gtid-consistency=OFF",
            "--binlog-transaction-compression=ON",
            "--binlog-checksum=NONE",
        ])
    };
    load::kills_of_the_proxy([options(), without_gtids()], 6).await;

    let (pair, mut proxy) = small(neither()).await;
    // It is read in parts, and the proxy is killed somewhere on the way.
    sql(
        &pair.hq,
        "CREATE TABLE d.large (id INT PRIMARY KEY, v VARCHAR(1000)); SET SESSION cte_max_recursion_depth = 1000000;
         INSERT INTO d.large WITH RECURSIVE s (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM s WHERE id < 40000)
           SELECT id, REPEAT('x', 900) FROM s;
         UPDATE d.t SET v = v + 1",
    )
    .await;
    proxy.kill9();
    proxy.restart().await.unwrap();
    proxy.wait_state("t", "running").await;
    proxy.wait_synced("t").await;
    assert_same(&pair.hq, &pair.branch, "d").await;
    assert_eq!(cell(&pair.branch, "SELECT COUNT(*) FROM d.large").await, "40000");
}

#[tokio::test]
async fn what_servers_without_gtid_consistency_let_through_arrives() {
    let (pair, proxy) = small(neither()).await;
    let statements = [
        "CREATE TABLE d.selected (PRIMARY KEY (id)) SELECT * FROM d.t",
        "BEGIN; INSERT INTO d.t VALUES (2, 2); CREATE TEMPORARY TABLE d.scratch SELECT * FROM d.t; \
         INSERT INTO d.t SELECT id + 10, v FROM d.scratch; DROP TEMPORARY TABLE d.scratch; UPDATE d.t SET v = v + 1; COMMIT",
        "CREATE TABLE d.plain (id INT PRIMARY KEY, v INT) ENGINE = MyISAM",
        "BEGIN; INSERT INTO d.t VALUES (3, 3); INSERT INTO d.plain VALUES (1, 1), (2, 2); UPDATE d.t SET v = 33 WHERE id = 3; COMMIT",
        "BEGIN; INSERT INTO d.plain VALUES (3, 3); INSERT INTO d.t VALUES (4, 4); SAVEPOINT s; INSERT INTO d.t VALUES (5, 5); \
         ROLLBACK TO s; COMMIT",
        "CREATE TABLE d.other (PRIMARY KEY (id)) SELECT 1 AS id; DROP TABLE d.other, d.selected",
    ];
    for statement in statements {
        sql(&pair.hq, statement).await;
    }
    proxy.wait_synced("t").await;
    assert_same(&pair.hq, &pair.branch, "d").await;
    assert_eq!(cell(&pair.branch, "SELECT COUNT(*) FROM d.t").await, "6");
    assert_eq!(cell(&pair.branch, "SELECT COUNT(*) FROM d.plain").await, "3");
}

#[tokio::test]
async fn an_xa_transaction_takes_effect_when_it_is_decided_on_however_often_its_rows_are_read() {
    let (pair, mut proxy) = small(neither()).await;
    sql(
        &pair.hq,
        "XA START 'a'; INSERT INTO d.t VALUES (10, 10); XA END 'a'; XA PREPARE 'a'",
    )
    .await;
    sql(
        &pair.hq,
        "XA START 'b'; INSERT INTO d.t VALUES (20, 20); XA END 'b'; XA PREPARE 'b'",
    )
    .await;
    sql(
        &pair.hq,
        "INSERT INTO d.t VALUES (30, 1); FLUSH BINARY LOGS; UPDATE d.t SET v = v + 1 WHERE id = 30",
    )
    .await;
    proxy.wait_synced("t").await;
    let seen = "SELECT GROUP_CONCAT(id, ':', v ORDER BY id) FROM d.t";
    assert_eq!(cell(&pair.branch, seen).await, "1:1,30:2");
    // What lies between is read again, and left out.
    for _ in 0..2 {
        proxy.kill9();
        proxy.restart().await.unwrap();
        proxy.wait_state("t", "running").await;
        sql(&pair.hq, "UPDATE d.t SET v = v + 1 WHERE id = 30").await;
        proxy.wait_synced("t").await;
    }
    sql(&pair.hq, "XA COMMIT 'a'").await;
    sql(&pair.hq, "XA ROLLBACK 'b'").await;
    proxy.wait_synced("t").await;
    assert_eq!(cell(&pair.branch, seen).await, "1:1,10:10,30:4");
    assert_same(&pair.hq, &pair.branch, "d").await;
    let applied = "SELECT applied FROM causeway.checkpoint WHERE slot = 0 AND link = 'forward'";
    eventually("the checkpoint has no gap any more", async || {
        let applied = cell(&pair.branch, applied).await;
        (applied.matches(":0").count() == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_source_that_gets_gtids_is_still_followed() {
    let (pair, mut proxy) = small(neither()).await;
    let load = "UPDATE d.t SET v = v + 1 WHERE id = 1";
    let applied = "SELECT applied FROM causeway.checkpoint WHERE slot = 0 AND link = ";
    for step in [
        "SET GLOBAL enforce_gtid_consistency = ON",
        "SET GLOBAL gtid_mode = OFF_PERMISSIVE",
        "SET GLOBAL gtid_mode = ON_PERMISSIVE",
        "FLUSH BINARY LOGS",
        "SET GLOBAL gtid_mode = ON",
    ] {
        for server in [&pair.hq, &pair.branch] {
            sql(server, step).await;
        }
        if step.starts_with("FLUSH") {
            for (server, from, link) in [
                (&pair.branch, &pair.hq, "'forward'"),
                (&pair.hq, &pair.branch, "'reverse'"),
            ] {
                let log = rows(from, "SHOW BINARY LOG STATUS").await;
                let (_, file) = log[0][0].rsplit_once('.').unwrap();
                eventually("the checkpoint comes to the new file", async || {
                    let applied = cell(server, &format!("{applied}{link}")).await;
                    applied.contains(&format!("-{file}.")).then_some(())
                })
                .await;
            }
        }
        sql(&pair.hq, load).await;
        sql(&pair.branch, "INSERT INTO d.t SELECT MAX(id) + 1, 1 FROM d.t").await;
        proxy.wait_synced("t").await;
    }
    proxy.kill9();
    sql(&pair.hq, load).await;
    proxy.restart().await.unwrap();
    proxy.wait_state("t", "running").await;
    proxy.wait_synced("t").await;
    assert_same(&pair.hq, &pair.branch, "d").await;
    assert_eq!(cell(&pair.branch, "SELECT v FROM d.t WHERE id = 1").await, "7");
    // A task that begins now follows by GTID.
    sql(&proxy, "STOP SYNC TASK t").await;
    proxy.wait_state("t", "stopped").await;
    sql(&proxy, "DROP SYNC TASK t").await;
    sql(
        &proxy,
        "CREATE SYNC TASK t BETWEEN hq AND branch OBJECTS (d.*) WITH (existing_tables = 'proceed', full_sync = OFF)",
    )
    .await;
    sql(&proxy, "START SYNC TASK t").await;
    proxy.wait_state("t", "running").await;
    proxy.wait_synced("t").await;
    let applied = cell(&pair.branch, &format!("{applied}'forward'")).await;
    assert!(!applied.contains('@'), "{applied}");

    // The way back is not open to it.
    let error = failure_after(&proxy, async || {
        for mode in ["ON_PERMISSIVE", "OFF_PERMISSIVE", "OFF"] {
            sql(&pair.hq, &format!("SET GLOBAL gtid_mode = {mode}")).await;
        }
        sql(&pair.hq, load).await;
    })
    .await;
    assert!(
        error.contains("server hq") && error.contains("gtid_mode is OFF"),
        "{error}"
    );
}

#[tokio::test]
async fn another_server_under_the_same_address_is_refused() {
    let (mut pair, proxy) = small(neither()).await;
    sql(&proxy, "PAUSE SYNC TASK t").await;
    proxy.wait_state("t", "paused").await;
    pair.hq.stop().await.unwrap();
    std::fs::remove_file(pair.hq.dir.join("data/auto.cnf")).unwrap();
    pair.hq.restart().await.unwrap();
    let result = try_sql(&proxy, "RESUME SYNC TASK t").await;
    let error = eventually("the task does not go on", async || {
        if let Err(error) = &result {
            return Some(error.to_string());
        }
        let query = "SELECT last_error FROM sync.status WHERE state = 'failed' AND last_error <> ''";
        rows(&proxy, query)
            .await
            .into_iter()
            .next()
            .map(|mut row| row.remove(0))
    })
    .await;
    assert!(error.contains("server_uuid") || error.contains("hq"), "{error}");
}

#[tokio::test]
async fn a_source_where_nothing_may_be_written_is_followed_with_one_privilege_more() {
    let [hq, branch] = neither();
    let pair = Pair::start_with(hq, branch).await;
    make_tables(&pair.hq, "d").await;
    sql(
        &pair.hq,
        "CREATE USER reader IDENTIFIED BY 'r'; GRANT REPLICATION SLAVE, REPLICATION CLIENT, SHOW_ROUTINE ON *.* TO reader;
         GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON d.* TO reader",
    )
    .await;
    let proxy = Proxy::start().await;
    sql(
        &proxy,
        &format!(
            "CREATE SERVER hq OPTIONS (HOST '127.0.0.1', PORT {}, USER 'reader', PASSWORD 'r')",
            pair.hq.port
        ),
    )
    .await;
    proxy.register_as("branch", &pair.branch).await;
    let steps = rows(&proxy, "CHECK SERVER hq").await;
    let mode = steps.iter().find(|step| step[0] == "gtid_mode").unwrap();
    assert!(mode[1] == "warn" && mode[2].contains("file and offset"), "{mode:?}");
    sql(
        &proxy,
        "CREATE SYNC TASK t FROM hq TO branch OBJECTS (d.*) WITH (heartbeat = OFF)",
    )
    .await;
    sql(&proxy, "START SYNC TASK t").await;
    let error = eventually("the task fails", async || {
        let query = "SELECT last_error FROM sync.status WHERE state = 'failed'";
        rows(&proxy, query)
            .await
            .into_iter()
            .next()
            .map(|mut row| row.remove(0))
    })
    .await;
    assert!(error.contains("server hq") && error.contains("FLUSH_TABLES"), "{error}");
    sql(&pair.hq, "GRANT FLUSH_TABLES ON *.* TO reader").await;
    sql(&proxy, "RESUME SYNC TASK t").await;
    proxy.wait_state("t", "running").await;
    sql(
        &pair.hq,
        "INSERT INTO d.plain VALUES (1, 1, 1, 'x'); UPDATE d.counters SET n = n + 1",
    )
    .await;
    proxy.wait_synced("t").await;
    assert_same(&pair.hq, &pair.branch, "d").await;
}
