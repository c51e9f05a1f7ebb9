//! Two servers, one two-way task, seen from outside: what is written on either side is on both.

use crate::support::{
    ask::{cell, quiet, rows, sql},
    cluster::{Pair, Proxy},
    compare::assert_same,
};

#[tokio::test]
async fn rows_that_are_there_and_changes_of_both_sides_arrive_at_the_other() {
    let pair = Pair::start().await;
    sql(&pair.hq, "CREATE DATABASE shop").await;
    sql(
        &pair.hq,
        "CREATE TABLE shop.orders (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(50), price DECIMAL(10,2), UNIQUE (name))",
    )
    .await;
    sql(
        &pair.hq,
        "INSERT INTO shop.orders (name, price) VALUES ('a', 1.50), ('b', NULL), ('c', 3)",
    )
    .await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    let admin = &proxy;
    sql(admin, "CREATE SYNC TASK orders BETWEEN hq AND branch OBJECTS (shop.*)").await;
    sql(admin, "START SYNC TASK orders").await;
    proxy.wait_state("orders", "running").await;
    proxy.wait_synced("orders").await;
    assert_same(&pair.hq, &pair.branch, "shop").await;

    sql(
        &pair.hq,
        "UPDATE shop.orders SET price = price + 1 WHERE id = 1; INSERT INTO shop.orders VALUES (10, 'hq', 10)",
    )
    .await;
    sql(
        &pair.branch,
        "DELETE FROM shop.orders WHERE id = 2; INSERT INTO shop.orders VALUES (11, 'branch', 11)",
    )
    .await;
    proxy.wait_synced("orders").await;
    assert_same(&pair.hq, &pair.branch, "shop").await;
    assert_eq!(cell(&pair.branch, "SELECT COUNT(*) FROM shop.orders").await, "4");

    sql(
        &pair.hq,
        "ALTER TABLE shop.orders ADD COLUMN note TEXT; UPDATE shop.orders SET note = 'x'",
    )
    .await;
    proxy.wait_synced("orders").await;
    assert_same(&pair.hq, &pair.branch, "shop").await;
    assert_eq!(cell(admin, "SELECT outcome FROM sync.ddl").await, "applied");
    assert!(rows(&pair.hq, "SHOW REPLICAS").await.len() == 1);
    let _ = quiet;
}
