//! Ways a binlog may be written.

use crate::support::ask::{cell, error_of, eventually, rows, sql};

use super::World;

#[tokio::test]
async fn large_rows_and_transactions_travel_compressed() {
    let options = ["--binlog-transaction-compression=ON", "--binlog-row-metadata=MINIMAL"];
    let world = World::new(&options, "gtid_next = 'AUTOMATIC:compressed'").await;
    world
        .hq(&[
            "CREATE TABLE d.t (id INT PRIMARY KEY, a VARCHAR(100), b LONGBLOB)",
            "INSERT INTO d.t VALUES (1, 'first', REPEAT('compressible', 25000))",
        ])
        .await;
    world.start("d.*").await;
    let many = |from: u32| {
        format!(
            "INSERT INTO d.t SELECT /*+ SET_VAR(cte_max_recursion_depth = 30000) */ n, CONCAT('row ', n), NULL FROM
             (WITH RECURSIVE n (n) AS (SELECT {from} UNION ALL SELECT n + 1 FROM n WHERE n < {from} + 19999)
              SELECT n FROM n) AS numbers"
        )
    };
    world
        .hq(&[
            "SET SESSION cte_max_recursion_depth = 30000",
            "INSERT INTO d.t VALUES (2, 'second', REPEAT('compressible', 25000))",
            &many(100_000),
            "UPDATE d.t SET b = REPEAT(x'00ff', 150000) WHERE id = 1",
        ])
        .await;
    world
        .branch(&["SET SESSION cte_max_recursion_depth = 30000", &many(200_000)])
        .await;
    world.agreed("d").await;
    world
        .branch(&[
            "UPDATE d.t SET a = CONCAT(a, '!')",
            "UPDATE d.t SET b = NULL WHERE id = 2",
        ])
        .await;
    world.agreed("d").await;
    world.hq(&["DELETE FROM d.t WHERE id > 10"]).await;
    world.agreed("d").await;
    let compressed = rows(
        &world.pair.hq,
        "SELECT COUNT(*) > 0 FROM performance_schema.binary_log_transaction_compression_stats
         WHERE LOG_TYPE = 'BINARY' AND COMPRESSION_TYPE = 'ZSTD' AND TRANSACTION_COUNTER > 0",
    )
    .await;
    assert_eq!(compressed, [["1"]], "the source has not compressed anything");
    assert_eq!(
        cell(&world.pair.branch, "SELECT @@gtid_executed LIKE '%compressed%'").await,
        "1"
    );
}

#[tokio::test]
async fn values_inside_json_documents_keep_their_types() {
    let world = World::new(&[], "").await;
    let document = "JSON_OBJECT('decimal', 1.50, 'double', 1.5e0, 'integer', 1, 'unsigned', CAST(1 AS UNSIGNED),
        'date', DATE'2024-02-29', 'time', TIME'-01:02:03.000004', 'datetime', TIMESTAMP'2024-02-29 01:02:03',
        'blob', CAST(x'00ff' AS BINARY), 'nested', JSON_ARRAY(JSON_OBJECT('decimal', 2.50, 'date', DATE'1000-01-01'), NULL,
        TRUE, 'text'))";
    let insert = |id: u32| format!("INSERT INTO d.j VALUES ({id}, {document}, 0)");
    world
        .hq(&["CREATE TABLE d.j (id INT PRIMARY KEY, j JSON, n INT)", &insert(1)])
        .await;
    world.start("d.*").await;
    world.hq(&[&insert(2)]).await;
    world.branch(&[&insert(3), "UPDATE d.j SET n = 1 WHERE id = 1"]).await;
    world.agreed("d").await;
    world
        .hq(&["UPDATE d.j SET j = JSON_SET(j, '$.more', 3.50) WHERE id = 3"])
        .await;
    world
        .branch(&["UPDATE d.j SET j = JSON_SET(j, '$.more', 3.50) WHERE id = 2"])
        .await;
    world.agreed("d").await;
    let paths = [
        "decimal",
        "double",
        "integer",
        "unsigned",
        "date",
        "time",
        "datetime",
        "blob",
        "nested[0].decimal",
        "nested[0].date",
        "nested[1]",
        "nested[2]",
        "nested[3]",
        "more",
    ];
    let types: Vec<String> = paths.iter().map(|path| format!("JSON_TYPE(j->'$.{path}')")).collect();
    let query = format!("SELECT {} FROM d.j ORDER BY id", types.join(", "));
    let mut expected = [
        "DECIMAL",
        "DOUBLE",
        "INTEGER",
        "UNSIGNED INTEGER",
        "DATE",
        "TIME",
        "DATETIME",
        "BLOB",
        "DECIMAL",
        "DATE",
        "NULL",
        "BOOLEAN",
        "STRING",
        "DECIMAL",
    ];
    for server in [&world.pair.hq, &world.pair.branch] {
        let found = rows(server, &query).await;
        assert_eq!(found[1], expected);
        assert_eq!(found[2], expected);
    }
    expected[13] = "NULL";
    assert_eq!(rows(&world.pair.branch, &query).await[0], expected);
}

#[tokio::test]
async fn what_can_not_be_carried_stops_the_task_and_says_what_to_do() {
    let world = World::new(&[], "").await;
    world
        .hq(&[
            "CREATE TABLE d.j (id INT PRIMARY KEY, j JSON)",
            "INSERT INTO d.j VALUES (1, JSON_OBJECT('a', REPEAT('x', 1000), 'b', 1))",
            "CREATE DATABASE e",
            "CREATE TABLE e.t (id INT PRIMARY KEY)",
        ])
        .await;
    world.start("d.*").await;
    world
        .hq(&[
            "SET SESSION binlog_row_value_options = 'PARTIAL_JSON'",
            "UPDATE d.j SET j = JSON_SET(j, '$.b', 2)",
        ])
        .await;
    let error = failure_of(&world, "t").await;
    assert!(
        error.contains("d.j") && error.contains("SET GLOBAL binlog_row_value_options=''"),
        "{error}"
    );
    assert_eq!(cell(&world.pair.branch, "SELECT j->'$.b' FROM d.j").await, "1");

    // Prepared before the task begins: the rows are in a part of the binlog that it does not read.
    world
        .hq(&[
            "XA START 'early'",
            "INSERT INTO e.t VALUES (1)",
            "XA END 'early'",
            "XA PREPARE 'early'",
        ])
        .await;
    sql(&world.proxy, "CREATE SYNC TASK u BETWEEN hq AND branch OBJECTS (e.*)").await;
    let (code, message) = error_of(&world.proxy, "START SYNC TASK u").await;
    assert!(
        code == 3105 && message.contains("prepared xa transactions"),
        "{message}"
    );
    sql(&world.proxy, "DROP SYNC TASK u").await;
    // An account that is not shown them.
    world
        .hq(&[
            "CREATE USER blind@localhost IDENTIFIED BY 'x'",
            "GRANT ALL ON *.* TO blind@localhost",
            "REVOKE XA_RECOVER_ADMIN ON *.* FROM blind@localhost",
        ])
        .await;
    let server = format!(
        "CREATE SERVER blind OPTIONS (HOST '127.0.0.1', PORT {}, USER 'blind', PASSWORD 'x')",
        world.pair.hq.port
    );
    sql(&world.proxy, &server).await;
    sql(
        &world.proxy,
        "CREATE SYNC TASK u BETWEEN blind AND branch OBJECTS (e.*)",
    )
    .await;
    sql(&world.proxy, "START SYNC TASK u").await;
    world.proxy.wait_state("u", "running").await;
    world.hq(&["XA COMMIT 'early'"]).await;
    let error = failure_of(&world, "u").await;
    assert!(error.contains("XA COMMIT") && error.contains("full sync"), "{error}");
}

/// What the forward direction fails with.
async fn failure_of(world: &World, task: &str) -> String {
    let query = format!(
        "SELECT last_error FROM sync.status WHERE task = '{task}' AND direction = 'forward' AND state = 'failed'"
    );
    let what = format!("task {task} fails");
    eventually(&what, async || rows(&world.proxy, &query).await.pop())
        .await
        .remove(0)
}

#[tokio::test]
async fn xa_transactions_take_effect_when_they_commit() {
    let mut world = World::new(&[], "").await;
    world
        .hq(&[
            "CREATE TABLE d.t (id INT PRIMARY KEY, a INT)",
            "INSERT INTO d.t VALUES (1, 0), (2, 0), (3, 0)",
            "CREATE DATABASE elsewhere",
            "CREATE TABLE elsewhere.t (id INT PRIMARY KEY)",
        ])
        .await;
    world.start("d.*").await;
    world
        .hq(&[
            "XA START 'commits', 'here', 7",
            "UPDATE d.t SET a = 1 WHERE id = 1",
            "INSERT INTO d.t VALUES (10, 1)",
            "XA END 'commits', 'here', 7",
            "XA PREPARE 'commits', 'here', 7",
        ])
        .await;
    world
        .hq(&[
            "XA START x'00ff27'",
            "UPDATE d.t SET a = 2 WHERE id = 2",
            "XA END x'00ff27'",
            "XA PREPARE x'00ff27'",
        ])
        .await;
    world
        .hq(&[
            "XA START 'other'",
            "INSERT INTO elsewhere.t VALUES (1)",
            "XA END 'other'",
            "XA PREPARE 'other'",
        ])
        .await;
    world
        .hq(&[
            "XA START 'one'",
            "UPDATE d.t SET a = 3 WHERE id = 3",
            "XA END 'one'",
            "XA COMMIT 'one' ONE PHASE",
        ])
        .await;
    world
        .branch(&[
            "XA START 'back'",
            "INSERT INTO d.t VALUES (20, 20)",
            "XA END 'back'",
            "XA PREPARE 'back'",
        ])
        .await;
    // Everything else goes on meanwhile, DDL too.
    world
        .hq(&[
            "INSERT INTO d.t VALUES (30, 30)",
            "CREATE TABLE d.u (id INT PRIMARY KEY)",
            "INSERT INTO d.u VALUES (1)",
        ])
        .await;
    world.agreed("d").await;
    let seen = rows(&world.pair.branch, "SELECT id, a FROM d.t ORDER BY id").await;
    assert_eq!(seen, [["1", "0"], ["2", "0"], ["3", "3"], ["30", "30"]]);
    // Rows of a table that is so new that the reverse direction waits for the forward one: not for what is prepared.
    world.branch(&["INSERT INTO d.u VALUES (2)"]).await;
    world.agreed("d").await;

    // What was prepared survives a restart of the proxy.
    world.proxy.kill9();
    world.proxy.restart().await.unwrap_or_else(|error| panic!("{error}"));
    world
        .hq(&[
            "XA COMMIT 'commits', 'here', 7",
            "XA ROLLBACK x'00ff27'",
            "XA COMMIT 'other'",
        ])
        .await;
    world.branch(&["XA COMMIT 'back'"]).await;
    world.proxy.wait_state("t", "running").await;
    world.agreed("d").await;
    let seen = rows(&world.pair.branch, "SELECT id, a FROM d.t ORDER BY id").await;
    assert_eq!(
        seen,
        [
            ["1", "1"],
            ["2", "0"],
            ["3", "3"],
            ["10", "1"],
            ["20", "20"],
            ["30", "30"]
        ]
    );
    // Both GTIDs of each are done: everything that the source has executed.
    let executed = cell(&world.pair.hq, "SELECT @@gtid_executed").await;
    eventually("the checkpoint has both GTIDs", async || {
        let applied = cell(
            &world.proxy,
            "SELECT applied_position FROM sync.status WHERE direction = 'forward'",
        )
        .await;
        let query = format!("SELECT GTID_SUBTRACT('{executed}', '{applied}')");
        cell(&world.pair.hq, &query).await.is_empty().then_some(())
    })
    .await;
}
