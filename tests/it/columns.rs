//! Lists of columns: which ones travel, under which names, and that the others keep what they hold; in schema sync, full
//! sync and changes, both ways.

use causeway::demo::mysqld::ServerOptions;
use mysql_async::prelude::Queryable as _;

use crate::support::{
    ask::{cell, connect, error_of, eventually, rows, sql},
    cluster::{Pair, Proxy},
};

const CLIENTS: &str = "SELECT id, name, region, secret FROM crm.clients ORDER BY id";
const CUSTOMERS: &str = "SELECT id, full_name, note FROM crm2.customers ORDER BY id";

/// `a|b` for each row.
async fn lines(server: &impl crate::support::ask::Endpoint, query: &str) -> Vec<String> {
    rows(server, query).await.into_iter().map(|row| row.join("|")).collect()
}

#[tokio::test]
async fn listed_columns_travel_and_the_others_keep_what_they_hold() {
    let pair = Pair::start().await;
    sql(
        &pair.hq,
        "CREATE DATABASE crm; CREATE TABLE crm.clients (id INT PRIMARY KEY, secret VARCHAR(20) DEFAULT 's', name VARCHAR(20), \
         region VARCHAR(2) NOT NULL DEFAULT 'EU', UNIQUE KEY by_name (name), KEY by_region (region)); \
         INSERT INTO crm.clients VALUES (1, 'x1', 'anna', 'EU'), (2, 'x2', 'bert', 'US'), (3, 'x3', 'carl', 'EU'); \
         CREATE TABLE crm.other (id INT PRIMARY KEY)",
    )
    .await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    sql(
        &proxy,
        "CREATE SYNC TASK t BETWEEN hq AND branch OBJECTS (crm.clients AS crm2.customers (id, name AS full_name), \
         crm.other)",
    )
    .await;
    let shown = rows(&proxy, "SHOW CREATE SYNC TASK t").await[0][1].clone();
    sql(&proxy, "DROP SYNC TASK t").await;
    sql(&proxy, &shown).await;
    sql(&proxy, "START SYNC TASK t").await;
    proxy.wait_synced("t").await;
    let columns = "SELECT GROUP_CONCAT(COLUMN_NAME, ' ', COLUMN_TYPE, ' ', COLUMN_KEY ORDER BY ORDINAL_POSITION) FROM
        information_schema.COLUMNS WHERE TABLE_SCHEMA = 'crm2'";
    assert_eq!(
        cell(&pair.branch, columns).await,
        "id int PRI,full_name varchar(20) UNI"
    );

    // The destination has a column of its own.
    sql(
        &pair.branch,
        "ALTER TABLE crm2.customers ADD COLUMN note VARCHAR(20) DEFAULT 'none'; \
         UPDATE crm2.customers SET note = CONCAT('note ', id)",
    )
    .await;
    proxy.wait_synced("t").await;
    assert_eq!(
        lines(&pair.hq, CLIENTS).await,
        ["1|anna|EU|x1", "2|bert|US|x2", "3|carl|EU|x3"]
    );

    // Forward: columns that are left out do not travel; keys that change, and values that are exchanged, take no note
    // along; a row that goes and comes again is a new one.
    sql(
        &pair.hq,
        "UPDATE crm.clients SET secret = 'new' WHERE id = 1; UPDATE crm.clients SET id = 10 WHERE id = 1; \
         BEGIN; UPDATE crm.clients SET name = 'tmp' WHERE id = 2; UPDATE crm.clients SET name = 'bert' WHERE id = 3; \
         UPDATE crm.clients SET name = 'carl' WHERE id = 2; COMMIT; INSERT INTO crm.clients (id, name) VALUES (4, 'dora'); \
         BEGIN; DELETE FROM crm.clients WHERE id = 3; INSERT INTO crm.clients (id, name) VALUES (3, 'bert'); COMMIT",
    )
    .await;
    proxy.wait_synced("t").await;
    let forward = ["2|carl|note 2", "3|bert|none", "4|dora|none", "10|anna|note 1"];
    assert_eq!(lines(&pair.branch, CUSTOMERS).await, forward);

    // Back: the same the other way round.
    sql(
        &pair.branch,
        "UPDATE crm2.customers SET full_name = 'emil', note = 'x' WHERE id = 2; UPDATE crm2.customers SET id = 20 WHERE id = 2; \
         INSERT INTO crm2.customers VALUES (5, 'fritz', 'own'); UPDATE crm2.customers SET note = 'y' WHERE id = 4; \
         BEGIN; DELETE FROM crm2.customers WHERE id = 10; INSERT INTO crm2.customers VALUES (10, 'anna', 'again'); COMMIT",
    )
    .await;
    proxy.wait_synced("t").await;
    let back = [
        "3|bert|EU|s",
        "4|dora|EU|s",
        "5|fritz|EU|s",
        "10|anna|EU|s",
        "20|emil|US|x2",
    ];
    assert_eq!(lines(&pair.hq, CLIENTS).await, back);
    let there = ["3|bert|none", "4|dora|y", "5|fritz|own", "10|anna|again", "20|emil|x"];
    assert_eq!(lines(&pair.branch, CUSTOMERS).await, there);
    assert_eq!(cell(&proxy, "SELECT COUNT(*) FROM sync.conflicts").await, "0");

    // DDL is carried as far as it concerns what is listed.
    sql(
        &pair.hq,
        "ALTER TABLE crm.clients ADD COLUMN more INT DEFAULT 1, MODIFY name VARCHAR(40); DROP INDEX by_region ON crm.clients; \
         ALTER TABLE crm.clients DROP COLUMN secret; INSERT INTO crm.clients (id, name) VALUES (6, 'gustav'); \
         CREATE INDEX by_both ON crm.clients (name, id)",
    )
    .await;
    proxy.wait_synced("t").await;
    assert_eq!(
        cell(&pair.branch, columns).await,
        "id int PRI,full_name varchar(40) UNI,note varchar(20) "
    );
    let keys = "SELECT GROUP_CONCAT(DISTINCT INDEX_NAME ORDER BY 1) FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = 'crm2'";
    assert_eq!(cell(&pair.branch, keys).await, "by_both,by_name,PRIMARY");
    assert_eq!(
        cell(&pair.branch, "SELECT full_name FROM crm2.customers WHERE id = 6").await,
        "gustav"
    );
    let ignored = "SELECT COUNT(*) FROM sync.ddl WHERE outcome = 'ignored' AND direction = 'forward'";
    assert_eq!(cell(&proxy, ignored).await, "2");

    // What a list names is renamed: another list takes the place of that one, and the task goes on.
    sql(
        &pair.hq,
        "ALTER TABLE crm.clients RENAME COLUMN name TO called; INSERT INTO crm.clients (id, called) VALUES (7, 'heinz')",
    )
    .await;
    let error = proxy.wait_link("t", "forward", "paused").await;
    assert!(
        error.contains("renames column name of crm.clients") && error.contains("REMOVE the table"),
        "{error}"
    );
    sql(&proxy, "ALTER SYNC TASK t REMOVE OBJECTS (crm.clients)").await;
    sql(&pair.branch, "DROP TABLE crm2.customers").await;
    sql(
        &proxy,
        "ALTER SYNC TASK t ADD OBJECTS (crm.clients AS crm2.customers (id, called AS full_name))",
    )
    .await;
    sql(&proxy, "RESUME SYNC TASK t").await;
    proxy.wait_state("t", "running").await;
    proxy.wait_synced("t").await;
    sql(
        &pair.branch,
        "UPDATE crm2.customers SET full_name = 'HEINZ' WHERE id = 7",
    )
    .await;
    proxy.wait_synced("t").await;
    let called = "SELECT GROUP_CONCAT(id, called ORDER BY id) FROM crm.clients";
    let full_name = "SELECT GROUP_CONCAT(id, full_name ORDER BY id) FROM crm2.customers";
    assert_eq!(cell(&pair.hq, called).await, cell(&pair.branch, full_name).await);
    assert_eq!(
        cell(&pair.hq, "SELECT called FROM crm.clients WHERE id = 7").await,
        "HEINZ"
    );
}

/// While rows are copied, changes are written over whatever is there; what the destination has in columns of its own
/// outlives that, too.
#[tokio::test]
async fn columns_of_the_destinations_own_outlive_a_full_sync() {
    let pair = Pair::start().await;
    let mut make = "CREATE DATABASE d;".to_owned();
    for (table, key) in [("one", ""), ("two", ", UNIQUE KEY by_v (v)")] {
        make += &format!(
            "CREATE TABLE d.{table} (id INT PRIMARY KEY, v VARCHAR(20), own VARCHAR(20) DEFAULT 'default'{key}); \
             INSERT INTO d.{table} VALUES (1, 'a', 'own 1'), (2, 'b', 'own 2'), (3, 'c', 'own 3'), (4, 'd', 'own 4');"
        );
    }
    sql(&pair.branch, &make).await;
    sql(&pair.hq, &make).await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    sql(
        &proxy,
        "CREATE SYNC TASK t FROM hq TO branch OBJECTS (d.one (id, v), d.two (id, v)) WITH (existing_tables = proceed)",
    )
    .await;
    // The copy waits for these rows.
    let mut holding = connect(&pair.branch).await;
    holding
        .query_drop("BEGIN; UPDATE d.one SET own = 'held' WHERE id = 4; UPDATE d.two SET own = 'held' WHERE id = 4")
        .await
        .unwrap();
    sql(&proxy, "START SYNC TASK t").await;
    let waiting = "SELECT COUNT(*) FROM performance_schema.data_lock_waits";
    eventually("the copy has begun", async || {
        (cell(&pair.branch, waiting).await == "2").then_some(())
    })
    .await;
    for table in ["one", "two"] {
        sql(
            &pair.hq,
            &format!(
                "UPDATE d.{table} SET v = 'changed' WHERE id = 1; UPDATE d.{table} SET id = 20 WHERE id = 2; \
                 BEGIN; DELETE FROM d.{table} WHERE id = 3; INSERT INTO d.{table} (id, v) VALUES (3, 'c'); COMMIT; \
                 INSERT INTO d.{table} (id, v) VALUES (5, 'e'); \
                 BEGIN; UPDATE d.{table} SET v = 'tmp' WHERE id = 4; UPDATE d.{table} SET v = 'd' WHERE id = 5; \
                 UPDATE d.{table} SET v = 'e' WHERE id = 4; COMMIT"
            ),
        )
        .await;
    }
    holding.query_drop("COMMIT").await.unwrap();
    proxy.wait_synced("t").await;
    for table in ["one", "two"] {
        let found = lines(&pair.branch, &format!("SELECT id, v, own FROM d.{table} ORDER BY id")).await;
        let expected = [
            "1|changed|own 1",
            "3|c|default",
            "4|e|held",
            "5|d|default",
            "20|b|own 2",
        ];
        assert_eq!(found, expected, "{table}");
    }
}

#[tokio::test]
async fn lists_that_can_not_travel_are_refused() {
    let minimal = ServerOptions::with(&["--binlog-row-metadata=MINIMAL"]);
    let pair = Pair::start_with(minimal, ServerOptions::default()).await;
    sql(
        &pair.hq,
        "CREATE DATABASE d; CREATE TABLE d.t (id INT, site INT, v INT NOT NULL, w INT, PRIMARY KEY (id, site))",
    )
    .await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    let refused = async |task: &str, expected: &[&str]| {
        sql(&proxy, &format!("CREATE SYNC TASK t {task}")).await;
        let (_, message) = error_of(&proxy, "START SYNC TASK t").await;
        for expected in expected {
            assert!(message.contains(expected), "{message}");
        }
        sql(&proxy, "DROP SYNC TASK t").await;
    };
    refused(
        "BETWEEN hq AND branch OBJECTS (d.t (id, x))",
        &[
            "d.t has no column x",
            "leaves out site of d.t, which is part of the key",
            "leaves out site, v of d.t, which is NOT NULL",
            "binlog_row_metadata = 'FULL' at the source",
        ],
    )
    .await;
    sql(&pair.hq, "SET PERSIST binlog_row_metadata = FULL").await;
    refused("FROM hq TO branch OBJECTS (d.t (id, w))", &["leaves out site of d.t"]).await;
    refused(
        "BETWEEN hq AND branch OBJECTS (d.t (id, site, w))",
        &["leaves out v of d.t"],
    )
    .await;
    sql(
        &proxy,
        "CREATE SYNC TASK t FROM hq TO branch OBJECTS (d.t (id, site, w))",
    )
    .await;
    sql(&proxy, "START SYNC TASK t").await;
    sql(&pair.hq, "INSERT INTO d.t VALUES (1, 2, 3, 4)").await;
    proxy.wait_synced("t").await;
    assert_eq!(lines(&pair.branch, "SELECT * FROM d.t").await, ["1|2|4"]);
}
