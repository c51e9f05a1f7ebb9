//! Statements that a task can't carry, and what the operator makes of them.

use crate::support::{
    ask::{cell, error_of, rows, sql},
    cluster::{Pair, Proxy},
    compare::assert_same,
};

async fn in_step() -> (Pair, Proxy) {
    let pair = Pair::start().await;
    sql(
        &pair.hq,
        "CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY, v INT); INSERT INTO d.t VALUES (1, 1), (2, 2)",
    )
    .await;
    let proxy = Proxy::in_step(&pair, "OBJECTS (d.*)").await;
    (pair, proxy)
}

#[tokio::test]
async fn a_statement_that_cant_be_carried_pauses_the_task_until_the_operator_decides() {
    let (pair, mut proxy) = in_step().await;
    let update = "SET binlog_format = 'STATEMENT'; UPDATE d.t SET v = v + 10";
    sql(&pair.hq, update).await;
    let error = proxy.wait_link("t", "forward", "paused").await;
    assert!(
        error.contains("binlog_format=ROW") && error.contains("RESUME SYNC TASK t SKIP"),
        "{error}"
    );
    let shown = "SELECT statement FROM sync.ddl WHERE outcome = 'failed'";
    assert_eq!(rows(&proxy, shown).await, [["UPDATE d.t SET v = v + 10"]]);
    // Trying again alone changes nothing, neither does a restart.
    sql(&proxy, "RESUME SYNC TASK t").await;
    proxy.wait_link("t", "forward", "paused").await;
    proxy.kill9();
    proxy.restart().await.unwrap();
    proxy.wait_link("t", "forward", "paused").await;
    assert_eq!(cell(&pair.branch, "SELECT SUM(v) FROM d.t").await, "3");

    sql(&proxy, "RESUME SYNC TASK t APPLY 'UPDATE d.t SET v = v + 10'").await;
    proxy.wait_state("t", "running").await;
    proxy.wait_synced("t").await;
    assert_same(&pair.hq, &pair.branch, "d").await;
    assert_eq!(
        rows(
            &proxy,
            "SELECT applied_statement FROM sync.ddl WHERE outcome = 'applied'"
        )
        .await,
        [["UPDATE d.t SET v = v + 10"]]
    );

    sql(&pair.hq, "SET binlog_format = 'STATEMENT'; UPDATE d.t SET v = 7").await;
    proxy.wait_link("t", "forward", "paused").await;
    sql(&proxy, "RESUME SYNC TASK t SKIP").await;
    proxy.wait_state("t", "running").await;
    proxy.wait_synced("t").await;
    assert_eq!(
        cell(&pair.branch, "SELECT GROUP_CONCAT(v ORDER BY id) FROM d.t").await,
        "11,12"
    );
    assert_eq!(
        rows(&proxy, "SELECT statement FROM sync.ddl WHERE outcome = 'ignored'").await,
        [["UPDATE d.t SET v = 7"]]
    );

    // Two in one transaction are one decision, which ends with it.
    let both = "SET binlog_format = 'STATEMENT'; BEGIN; UPDATE d.t SET v = 8; UPDATE d.t SET v = 9; COMMIT";
    sql(&pair.hq, both).await;
    proxy.wait_link("t", "forward", "paused").await;
    sql(&proxy, "RESUME SYNC TASK t SKIP").await;
    proxy.wait_state("t", "running").await;
    proxy.wait_synced("t").await;
    sql(&proxy, "PAUSE SYNC TASK t").await;
    let (code, message) = error_of(&proxy, "RESUME SYNC TASK t SKIP").await;
    assert!(code == 3102 && message.contains("No statement waits"), "{message}");
}

#[tokio::test]
async fn a_ddl_that_the_destination_refuses_can_be_passed_by_or_replaced() {
    let (pair, proxy) = in_step().await;
    // Somebody was faster at the branch.
    sql(&pair.branch, "SET sql_log_bin = 0; ALTER TABLE d.t ADD COLUMN w INT").await;
    sql(
        &pair.hq,
        "ALTER TABLE d.t ADD COLUMN w INT; INSERT INTO d.t VALUES (3, 3, 3)",
    )
    .await;
    let error = proxy.wait_link("t", "forward", "failed").await;
    assert!(error.contains("1060") && error.contains("SKIP"), "{error}");
    let (_, message) = error_of(&proxy, "RESUME SYNC TASK t APPLY ''").await;
    assert!(message.contains("SKIP"), "{message}");
    assert!(error.contains("ADD COLUMN w INT"), "{error}");
    let (_, message) = error_of(&proxy, "WAIT FOR SYNC TASK t").await;
    assert!(message.contains("1060"), "{message}");
    // What is run in its place can fail, too.
    sql(&proxy, "RESUME SYNC TASK t APPLY 'ALTER TABLE d.t ADD COLUMN w BIGINT'").await;
    let error = proxy.wait_link("t", "forward", "failed").await;
    assert!(error.contains("1060"), "{error}");
    sql(&proxy, "RESUME SYNC TASK t SKIP").await;
    proxy.wait_state("t", "running").await;
    proxy.wait_synced("t").await;
    assert_same(&pair.hq, &pair.branch, "d").await;

    sql(&pair.branch, "SET sql_log_bin = 0; ALTER TABLE d.t ADD COLUMN x INT").await;
    sql(
        &pair.hq,
        "ALTER TABLE d.t ADD COLUMN x BIGINT; INSERT INTO d.t VALUES (4, 4, 4, 5000000000)",
    )
    .await;
    proxy.wait_link("t", "forward", "failed").await;
    sql(&proxy, "RESUME SYNC TASK t APPLY 'ALTER TABLE d.t MODIFY x BIGINT'").await;
    proxy.wait_state("t", "running").await;
    proxy.wait_synced("t").await;
    sql(&pair.branch, "UPDATE d.t SET x = 6000000000").await;
    proxy.wait_synced("t").await;
    assert_same(&pair.hq, &pair.branch, "d").await;

    // Or the operator makes the definition fit, and lets it be tried again.
    sql(&pair.branch, "SET sql_log_bin = 0; ALTER TABLE d.t ADD COLUMN y INT").await;
    sql(
        &pair.hq,
        "ALTER TABLE d.t ADD COLUMN y BIGINT; INSERT INTO d.t VALUES (5, 5, 5, 5, 5000000000)",
    )
    .await;
    proxy.wait_link("t", "forward", "failed").await;
    sql(&pair.branch, "SET sql_log_bin = 0; ALTER TABLE d.t DROP COLUMN y").await;
    sql(&proxy, "RESUME SYNC TASK t").await;
    proxy.wait_state("t", "running").await;
    sql(&pair.branch, "UPDATE d.t SET y = 6000000000 WHERE id = 1").await;
    proxy.wait_synced("t").await;
    assert_same(&pair.hq, &pair.branch, "d").await;

    // There is nothing to decide now.
    sql(&proxy, "PAUSE SYNC TASK t").await;
    let (code, message) = error_of(&proxy, "RESUME SYNC TASK t SKIP").await;
    assert_eq!(code, 3102, "{message}");
}

#[tokio::test]
async fn a_table_without_a_key_is_taken_out_and_comes_back_with_one() {
    let (pair, proxy) = in_step().await;
    sql(
        &pair.hq,
        "CREATE TABLE d.k SELECT 1 AS a; INSERT INTO d.k VALUES (2); INSERT INTO d.t VALUES (3, 3)",
    )
    .await;
    let error = proxy.wait_link("t", "forward", "failed").await;
    assert!(
        error.contains("d.k has neither") && error.contains("REMOVE OBJECTS"),
        "{error}"
    );
    sql(&proxy, "ALTER SYNC TASK t REMOVE OBJECTS (d.k)").await;
    sql(&proxy, "RESUME SYNC TASK t").await;
    proxy.wait_state("t", "running").await;
    proxy.wait_synced("t").await;
    assert_eq!(cell(&pair.branch, "SELECT COUNT(*) FROM d.t").await, "3");

    sql(&pair.hq, "ALTER TABLE d.k ADD PRIMARY KEY (a)").await;
    sql(&pair.branch, "SET sql_log_bin = 0; DROP TABLE d.k").await;
    sql(&proxy, "ALTER SYNC TASK t ADD OBJECTS (d.k)").await;
    sql(&pair.hq, "INSERT INTO d.k VALUES (3)").await;
    proxy.wait_synced("t").await;
    assert_same(&pair.hq, &pair.branch, "d").await;
    assert_eq!(cell(&pair.branch, "SELECT SUM(a) FROM d.k").await, "6");
}

#[tokio::test]
async fn a_statement_that_may_have_been_run_before_the_task_was_altered_is_left_to_the_operator() {
    let (pair, proxy) = in_step().await;
    sql(
        &pair.hq,
        "CREATE TABLE d.a (id INT PRIMARY KEY); CREATE TABLE d.b (id INT PRIMARY KEY)",
    )
    .await;
    proxy.wait_synced("t").await;
    // A table of the branch's own refers to one of them.
    sql(
        &pair.branch,
        "SET sql_log_bin = 0; CREATE DATABASE own; CREATE TABLE own.c (id INT PRIMARY KEY, FOREIGN KEY (id) REFERENCES d.b (id))",
    )
    .await;
    sql(&pair.hq, "DROP TABLE d.a, d.b").await;
    let error = proxy.wait_link("t", "forward", "failed").await;
    assert!(error.contains("3730"), "{error}");
    // As after a crash between the statement and the note that it is done.
    let marked = "SET sql_log_bin = 0; UPDATE causeway.ddl SET state = 'intended' WHERE state = 'passed'";
    sql(&pair.branch, marked).await;
    sql(&proxy, "ALTER SYNC TASK t REMOVE OBJECTS (d.b)").await;
    sql(&proxy, "RESUME SYNC TASK t").await;
    let error = proxy.wait_link("t", "forward", "failed").await;
    assert!(
        error.contains("was begun at the destination as: DROP TABLE") && error.contains("APPLY"),
        "{error}"
    );
    sql(&proxy, "RESUME SYNC TASK t APPLY 'DROP TABLE d.a'").await;
    proxy.wait_state("t", "running").await;
    proxy.wait_synced("t").await;
    let left = "SELECT GROUP_CONCAT(TABLE_NAME ORDER BY 1) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'd'";
    assert_eq!(cell(&pair.branch, left).await, "b,t");
}
