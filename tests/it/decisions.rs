//! Statements that a task can't carry, and what the operator makes of them.

use crate::support::{
    ask::{cell, error_of, eventually, rows, sql},
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

/// Waits for the forward direction to be in a state, and returns its error.
async fn comes_to_be(proxy: &Proxy, state: &str) -> String {
    eventually(&format!("the task is {state}"), async || {
        let found = rows(
            proxy,
            "SELECT state, last_error FROM sync.status WHERE direction = 'forward'",
        )
        .await;
        (found[0][0] == state).then(|| found[0][1].clone())
    })
    .await
}

#[tokio::test]
async fn a_statement_that_cant_be_carried_pauses_the_task_until_the_operator_decides() {
    let (pair, mut proxy) = in_step().await;
    let update = "SET binlog_format = 'STATEMENT'; UPDATE d.t SET v = v + 10";
    sql(&pair.hq, update).await;
    let error = comes_to_be(&proxy, "paused").await;
    assert!(
        error.contains("binlog_format=ROW") && error.contains("RESUME SYNC TASK t SKIP"),
        "{error}"
    );
    let shown = "SELECT statement FROM sync.ddl WHERE outcome = 'failed'";
    assert_eq!(rows(&proxy, shown).await, [["UPDATE d.t SET v = v + 10"]]);
    // Trying again alone changes nothing, neither does a restart.
    sql(&proxy, "RESUME SYNC TASK t").await;
    comes_to_be(&proxy, "paused").await;
    proxy.kill9();
    proxy.restart().await.unwrap();
    comes_to_be(&proxy, "paused").await;
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
    comes_to_be(&proxy, "paused").await;
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
    comes_to_be(&proxy, "paused").await;
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
    let error = comes_to_be(&proxy, "failed").await;
    assert!(error.contains("1060") && error.contains("SKIP"), "{error}");
    let (_, message) = error_of(&proxy, "RESUME SYNC TASK t APPLY ''").await;
    assert!(message.contains("SKIP"), "{message}");
    assert!(error.contains("ADD COLUMN w INT"), "{error}");
    let (_, message) = error_of(&proxy, "WAIT FOR SYNC TASK t").await;
    assert!(message.contains("1060"), "{message}");
    // What is run in its place can fail, too.
    sql(&proxy, "RESUME SYNC TASK t APPLY 'ALTER TABLE d.t ADD COLUMN w BIGINT'").await;
    let error = comes_to_be(&proxy, "failed").await;
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
    comes_to_be(&proxy, "failed").await;
    sql(&proxy, "RESUME SYNC TASK t APPLY 'ALTER TABLE d.t MODIFY x BIGINT'").await;
    proxy.wait_state("t", "running").await;
    proxy.wait_synced("t").await;
    sql(&pair.branch, "UPDATE d.t SET x = 6000000000").await;
    proxy.wait_synced("t").await;
    assert_same(&pair.hq, &pair.branch, "d").await;

    // There is nothing to decide now.
    sql(&proxy, "PAUSE SYNC TASK t").await;
    let (code, message) = error_of(&proxy, "RESUME SYNC TASK t SKIP").await;
    assert_eq!(code, 3102, "{message}");
}
