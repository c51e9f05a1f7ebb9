//! `ONLY (…)`: which operations on an object are carried, rows and DDL.

use crate::support::{
    ask::{cell, rows, sql},
    cluster::{Pair, Proxy},
};

#[tokio::test]
async fn only_the_operations_that_are_listed_travel() {
    let pair = Pair::start().await;
    sql(
        &pair.hq,
        "CREATE DATABASE shop; CREATE TABLE shop.log (id INT PRIMARY KEY, v VARCHAR(20)); \
         CREATE TABLE shop.orders (id INT PRIMARY KEY, v VARCHAR(20)); \
         INSERT INTO shop.log VALUES (1, 'full'), (2, 'full'); INSERT INTO shop.orders VALUES (1, 'full')",
    )
    .await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    sql(
        &proxy,
        "CREATE SYNC TASK t BETWEEN hq AND branch OBJECTS (shop.log ONLY (INSERT, ALTER TABLE), \
         shop.* ONLY (INSERT, UPDATE, DELETE, CREATE TABLE))",
    )
    .await;
    sql(&proxy, "START SYNC TASK t").await;
    proxy.wait_synced("t").await;
    let log = "SELECT GROUP_CONCAT(id, ' ', v ORDER BY id) FROM shop.log";
    let orders = "SELECT GROUP_CONCAT(id, ' ', v ORDER BY id) FROM shop.orders";

    // A transaction of which nothing is left, and one of which something is.
    sql(
        &pair.hq,
        "UPDATE shop.log SET v = 'hq' WHERE id = 1; BEGIN; DELETE FROM shop.log WHERE id = 2; \
         INSERT INTO shop.log VALUES (3, 'hq'); UPDATE shop.orders SET v = 'hq'; COMMIT",
    )
    .await;
    sql(
        &pair.branch,
        "UPDATE shop.log SET v = 'branch' WHERE id = 2; INSERT INTO shop.log VALUES (4, 'branch'); DELETE FROM shop.log WHERE id = 1; \
         INSERT INTO shop.orders VALUES (2, 'branch')",
    )
    .await;
    proxy.wait_synced("t").await;
    assert_eq!(cell(&pair.hq, log).await, "1 hq,3 hq,4 branch");
    assert_eq!(cell(&pair.branch, log).await, "2 branch,3 hq,4 branch");
    for server in [&pair.hq, &pair.branch] {
        assert_eq!(cell(server, orders).await, "1 hq,2 branch");
    }

    sql(
        &pair.hq,
        "ALTER TABLE shop.log ADD COLUMN more INT; INSERT INTO shop.log VALUES (5, 'new', 5); TRUNCATE TABLE shop.log; \
         CREATE TABLE shop.later (id INT PRIMARY KEY); INSERT INTO shop.later VALUES (1); \
         CREATE INDEX by_v ON shop.orders (v); DROP TABLE shop.orders, shop.later",
    )
    .await;
    proxy.wait_synced("t").await;
    assert_eq!(cell(&pair.branch, log).await, "2 branch,3 hq,4 branch,5 new");
    assert_eq!(cell(&pair.branch, orders).await, "1 hq,2 branch");
    assert_eq!(cell(&pair.branch, "SELECT COUNT(*) FROM shop.later").await, "1");
    let seen = rows(
        &proxy,
        "SELECT outcome, substr(statement, 1, 12) FROM sync.ddl WHERE direction = 'forward' ORDER BY rowid",
    )
    .await;
    let seen: Vec<String> = seen.into_iter().map(|row| row.join(" ")).collect();
    assert_eq!(
        seen,
        [
            "applied ALTER TABLE ",
            "excluded TRUNCATE TAB",
            "applied CREATE TABLE",
            "excluded CREATE INDEX",
            "excluded DROP TABLE `"
        ]
    );
}
