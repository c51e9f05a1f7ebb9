//! RENAME over the border of the selection: a table that comes in is copied, one that leaves is followed no more.

use causeway::demo::mysqld::{LocalServer, ServerOptions};

use crate::support::{
    ask::{cell, eventually, rows, sql},
    cluster::{Pair, Proxy},
    compare::assert_same,
    load::{Load, Side, make_tables},
};

const NONE: Vec<Vec<String>> = Vec::new();

async fn in_step(tables: &str, objects: &str) -> (Pair, Proxy) {
    let pair = Pair::start().await;
    sql(&pair.hq, tables).await;
    let proxy = Proxy::in_step(&pair, &format!("OBJECTS ({objects}) WITH (heartbeat = OFF)")).await;
    (pair, proxy)
}

async fn tables(server: &LocalServer) -> Vec<String> {
    let query = "SELECT CONCAT(table_schema, '.', table_name) FROM information_schema.tables
                 WHERE table_schema IN ('d', 'other') AND table_type = 'BASE TABLE' ORDER BY 1";
    rows(server, query).await.into_iter().flatten().collect()
}

#[tokio::test]
async fn tables_come_in_and_leave() {
    let (pair, proxy) = in_step(
        "CREATE DATABASE d; CREATE DATABASE other; CREATE TABLE d.t (id INT PRIMARY KEY, v INT); INSERT INTO d.t VALUES (1, 1);
         CREATE TABLE other.x (id INT PRIMARY KEY, v VARCHAR(20), w INT); INSERT INTO other.x VALUES (1, 'x', 1), (2, 'y', 2);
         CREATE TABLE other.y LIKE other.x; INSERT INTO other.y VALUES (7, 'seven', 7)",
        "d.*",
    )
    .await;
    // Comes in, is changed right behind, and again, and gets another name.
    sql(
        &pair.hq,
        "RENAME TABLE other.x TO d.x; INSERT INTO d.x VALUES (3, 'z', 3); UPDATE d.x SET w = 20 WHERE id = 2;
         ALTER TABLE d.x ADD COLUMN n INT DEFAULT 4; DELETE FROM d.x WHERE id = 1; ALTER TABLE d.x RENAME COLUMN v TO vv;
         INSERT INTO d.x VALUES (4, 'four', 4, 40)",
    )
    .await;
    proxy.wait_synced("t").await;
    assert_same(&pair.hq, &pair.branch, "d").await;
    sql(
        &pair.branch,
        "UPDATE d.x SET w = w + 1; INSERT INTO d.x VALUES (5, 'five', 5, 50)",
    )
    .await;
    proxy.wait_synced("t").await;
    assert_same(&pair.hq, &pair.branch, "d").await;
    assert_eq!(tables(&pair.branch).await, ["d.t", "d.x"]);
    let told = async |words: &str| {
        let query = format!("SELECT COUNT(*) FROM sync.events WHERE message LIKE '%{words}%'");
        cell(&proxy, &query).await.parse::<u32>().unwrap()
    };
    assert_eq!(told("d.x has come into the selection").await, 1);
    let refused = "SELECT statement FROM sync.ddl WHERE direction = 'reverse'";
    assert_eq!(
        rows(&proxy, refused).await,
        NONE,
        "what the task makes itself is nobody's DDL"
    );

    // Leaves, by ALTER TABLE; what is written to it there stays there.
    sql(
        &pair.hq,
        "ALTER TABLE d.x RENAME TO other.x; INSERT INTO other.x VALUES (6, 'six', 6, 60)",
    )
    .await;
    proxy.wait_synced("t").await;
    assert_eq!(tables(&pair.branch).await, ["d.t", "d.x"]);
    assert_eq!(cell(&pair.branch, "SELECT COUNT(*) FROM d.x").await, "4");
    assert_eq!(told("is followed no more").await, 1);

    // One goes and another takes its place in one statement: the old one makes way.
    sql(
        &pair.hq,
        "RENAME TABLE d.t TO other.t, other.y TO d.t; INSERT INTO d.t VALUES (8, 'eight', 8)",
    )
    .await;
    proxy.wait_synced("t").await;
    let at_branch = tables(&pair.branch).await;
    assert_eq!(at_branch.len(), 3, "{at_branch:?}");
    let aside = at_branch.iter().find(|name| name.contains("t_left_")).unwrap();
    assert_eq!(
        rows(&pair.branch, &format!("SELECT * FROM {aside}")).await,
        [["1", "1"]]
    );
    assert_eq!(
        rows(&pair.branch, "SELECT * FROM d.t ORDER BY id").await,
        [["7", "seven", "7"], ["8", "eight", "8"]]
    );

    // What stands in the way is told, and the operator makes room.
    sql(&pair.hq, "RENAME TABLE other.x TO d.x").await;
    let error = eventually("the task is paused", async || {
        let found = rows(
            &proxy,
            "SELECT state, last_error FROM sync.status WHERE direction = 'forward'",
        )
        .await;
        (found[0][0] == "paused").then(|| found[0][1].clone())
    })
    .await;
    assert!(error.contains("d.x is at the destination already"), "{error}");
    sql(&pair.branch, "SET sql_log_bin = 0; DROP TABLE d.x").await;
    sql(&proxy, "RESUME SYNC TASK t").await;
    proxy.wait_state("t", "running").await;
    proxy.wait_synced("t").await;
    assert_eq!(cell(&pair.branch, "SELECT COUNT(*) FROM d.x").await, "5");
    sql(&pair.branch, &format!("SET sql_log_bin = 0; DROP TABLE {aside}")).await;
    assert_same(&pair.hq, &pair.branch, "d").await;
    assert_eq!(rows(&proxy, "SELECT * FROM sync.conflicts").await, NONE);
}

#[tokio::test]
async fn a_table_comes_in_under_load_and_through_kills() {
    let pair = Pair::start_with(ServerOptions::default(), ServerOptions::default()).await;
    make_tables(&pair.hq, "load_db").await;
    sql(
        &pair.hq,
        "CREATE DATABASE other; CREATE TABLE other.big (id INT PRIMARY KEY, v INT, f VARCHAR(200));
         SET SESSION cte_max_recursion_depth = 100000;
         INSERT INTO other.big WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 60000)
         SELECT n, n, REPEAT('x', 100) FROM n",
    )
    .await;
    let mut proxy = Proxy::start().await;
    proxy.register(&pair).await;
    sql(
        &proxy,
        "CREATE SYNC TASK t BETWEEN hq AND branch OBJECTS (load_db.*) WITH (heartbeat = OFF)",
    )
    .await;
    sql(&proxy, "START SYNC TASK t").await;
    proxy.wait_state("t", "running").await;
    let side = |number, server| Side {
        number,
        server,
        database: "load_db",
    };
    let load = Load::start(&[side(0, &pair.hq), side(1, &pair.branch)], 2);
    load.commits(30).await;
    sql(&pair.hq, "RENAME TABLE other.big TO load_db.big").await;
    for n in 0..3 {
        sql(&pair.hq, &format!("UPDATE load_db.big SET v = v + 1 WHERE id % 5 = {n}; DELETE FROM load_db.big WHERE id % 7 = {n} LIMIT 500")).await;
        let copied = "SELECT COALESCE(SUM(copied_rows), 0) FROM causeway.copy WHERE source_table = 'big'";
        eventually("the copy goes on, or is over", async || {
            let rows: u64 = cell(&pair.branch, copied).await.parse().unwrap();
            let over = cell(
                &proxy,
                "SELECT COUNT(*) FROM sync.events WHERE message LIKE '%big has been copied%'",
            )
            .await;
            (rows > 10_000 * n || over != "0").then_some(())
        })
        .await;
        proxy.kill9();
        proxy.restart().await.unwrap();
    }
    load.commits(30).await;
    let tally = load.finish().await;
    proxy.wait_state("t", "running").await;
    proxy.wait_synced("t").await;
    assert_same(&pair.hq, &pair.branch, "load_db").await;
    tally.assert_at(&pair.hq, "load_db").await;
    tally.assert_at(&pair.branch, "load_db").await;
    assert_eq!(rows(&proxy, "SELECT * FROM sync.conflicts").await, NONE);
}
