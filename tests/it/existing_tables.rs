//! Tables that exist at the destination: in what they differ is told, and what can't work is refused.

use crate::support::{
    ask::{cell, error_of, eventually, sql},
    cluster::{Pair, Proxy},
};

#[tokio::test]
async fn a_table_that_is_there_is_compared_column_by_column_and_key_by_key() {
    let pair = Pair::start().await;
    sql(
        &pair.hq,
        "CREATE DATABASE d; CREATE TABLE d.same (id INT PRIMARY KEY, v VARCHAR(20)); \
         CREATE TABLE d.p (id INT PRIMARY KEY); \
         CREATE TABLE d.t (id INT PRIMARY KEY, a INT, b VARCHAR(20) NOT NULL DEFAULT 'x', p INT, \
            UNIQUE KEY by_a (a), KEY by_b (b(5)), FOREIGN KEY (p) REFERENCES p (id)); \
         INSERT INTO d.t VALUES (1, 1, 'one', NULL), (2, 2, 'two', NULL)",
    )
    .await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    let make = async |definition: &str| {
        sql(
            &pair.branch,
            &format!("DROP DATABASE IF EXISTS d; CREATE DATABASE d; CREATE TABLE d.same (id INT PRIMARY KEY, v VARCHAR(20)); {definition}"),
        )
        .await;
    };
    let refused = async |expected: &[&str]| {
        let (_, message) = error_of(&proxy, "START SYNC TASK t").await;
        for expected in expected {
            assert!(message.contains(expected), "{expected} is missing: {message}");
        }
    };
    let harmless =
        "CREATE TABLE d.t (id INT PRIMARY KEY, a BIGINT, b VARCHAR(20), p INT, own INT DEFAULT 3, KEY by_b (b))";
    make(harmless).await;
    sql(&proxy, "CREATE SYNC TASK t BETWEEN hq AND branch OBJECTS (d.*)").await;
    let differences = [
        "column a is bigint, and int at the source",
        "column b is nullable, and NOT NULL at the source",
        "column b has no default, and the default x at the source",
        "column own is not carried",
        "key by_a UNIQUE (a) is missing",
        "key by_b is (b), and (b(5)) at the source",
        "key p (p) is missing",
        "the foreign key (p) to d.p (id) is missing",
    ];
    let mut expected = vec![
        "d.same, d.t exist at the destination already",
        "d.same is as d.same at the source",
        "d.t differs from d.t at the source",
    ];
    expected.extend(differences);
    refused(&expected).await;

    sql(&proxy, "ALTER SYNC TASK t SET (existing_tables = proceed)").await;
    for (definition, expected) in [
        ("id INT PRIMARY KEY, a INT, p INT", "column b is missing"),
        (
            "id INT PRIMARY KEY, a VARCHAR(9), b VARCHAR(20), p INT",
            "column a is varchar(9), which can't take values of int",
        ),
        (
            "id INT, a INT, b VARCHAR(20) PRIMARY KEY, p INT",
            "its rows are told apart by PRIMARY (b), which is no unique key over NOT NULL columns at the source",
        ),
        (
            "id INT, a INT, b VARCHAR(20), p INT",
            "it has neither a primary key nor a unique key over NOT NULL columns",
        ),
        (
            "id INT PRIMARY KEY, a INT, b VARCHAR(20), p INT, own INT NOT NULL",
            "column own is not carried, is NOT NULL and has no default",
        ),
    ] {
        make(&format!("CREATE TABLE d.t ({definition})")).await;
        refused(&["d.t exists at the destination and can't take the rows of d.t", expected]).await;
    }

    make(harmless).await;
    sql(&pair.branch, "INSERT INTO d.t (id, a, b) VALUES (2, 20, 'kept')").await;
    sql(&proxy, "START SYNC TASK t").await;
    proxy.wait_synced("t").await;
    let rows = "SELECT GROUP_CONCAT(id, ' ', a, ' ', b, ' ', own ORDER BY id) FROM d.t";
    assert_eq!(cell(&pair.branch, rows).await, "1 1 one 3,2 20 kept 3");
    let told = eventually("the differences are told", async || {
        let message = cell(
            &proxy,
            "SELECT GROUP_CONCAT(message) FROM sync.events WHERE level = 'warning' AND message LIKE 'd.t exists%'",
        )
        .await;
        (message != "NULL").then_some(message)
    })
    .await;
    for expected in differences {
        assert!(told.contains(expected), "{expected} is missing: {told}");
    }
    sql(&pair.hq, "INSERT INTO d.t VALUES (3, 3, 'three', NULL)").await;
    sql(
        &pair.branch,
        "UPDATE d.t SET own = 5 WHERE id < 3; INSERT INTO d.t (id, a, b) VALUES (4, 4, 'four')",
    )
    .await;
    proxy.wait_synced("t").await;
    assert_eq!(
        cell(&pair.branch, rows).await,
        "1 1 one 5,2 20 kept 5,3 3 three 3,4 4 four 3"
    );
    assert_eq!(cell(&pair.hq, "SELECT COUNT(*) FROM d.t").await, "4");
}
