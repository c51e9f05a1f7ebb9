//! ALTER SYNC TASK … ADD and REMOVE OBJECTS: what comes in is made and copied while the others go on, what leaves stays as
//! it is; exactly once, whatever happens meanwhile.

use causeway::demo::mysqld::LocalServer;

use crate::support::{
    ask::{cell, error_of, eventually, rows, sql},
    cluster::{Pair, Proxy},
    compare::assert_same,
    load::{Load, Side, make_tables},
};

const NONE: Vec<Vec<String>> = Vec::new();

/// A pair with `shop`, and a task over `objects` that runs.
async fn in_step(tables: &str, objects: &str) -> (Pair, Proxy) {
    let pair = Pair::start().await;
    sql(&pair.hq, tables).await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    sql(
        &proxy,
        &format!("CREATE SYNC TASK t BETWEEN hq AND branch OBJECTS ({objects}) WITH (heartbeat = OFF)"),
    )
    .await;
    sql(&proxy, "START SYNC TASK t").await;
    proxy.wait_state("t", "running").await;
    (pair, proxy)
}

async fn objects(proxy: &Proxy) -> String {
    let create = rows(proxy, "SHOW CREATE SYNC TASK t").await[0][1].clone();
    let (_, rest) = create.split_once("OBJECTS (").unwrap();
    let (list, _) = rest.split_once("\n  )").unwrap();
    list.split_whitespace().collect::<Vec<_>>().join(" ").replace('`', "")
}

async fn all(server: &LocalServer, table: &str) -> Vec<Vec<String>> {
    rows(server, &format!("SELECT * FROM {table} ORDER BY 1")).await
}

async fn is_there(server: &LocalServer, table: &str) -> bool {
    let (database, table) = table.split_once('.').unwrap();
    let query = format!(
        "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{database}' AND TABLE_NAME = '{table}'"
    );
    cell(server, &query).await != "0"
}

const SHOP: &str = "CREATE DATABASE shop; CREATE DATABASE crm;
    CREATE TABLE shop.orders (id INT PRIMARY KEY, v INT); INSERT INTO shop.orders VALUES (1, 1);
    CREATE TABLE shop.lines (id INT PRIMARY KEY, v INT); INSERT INTO shop.lines VALUES (1, 1), (2, 2);
    CREATE TABLE crm.clients (id INT PRIMARY KEY, name VARCHAR(20), region CHAR(2), secret INT);
    INSERT INTO crm.clients VALUES (1, 'one', 'EU', 7), (2, 'two', 'US', 8);
    CREATE TABLE crm.notes (id INT PRIMARY KEY, v INT); INSERT INTO crm.notes VALUES (1, 1);
    CREATE VIEW crm.names AS SELECT id, name FROM crm.clients;
    CREATE TABLE crm.keyless (v INT)";

#[tokio::test]
async fn objects_come_and_go_while_the_task_runs() {
    let (pair, proxy) = in_step(SHOP, "shop.orders").await;
    // A renamed table with a list of columns and a filter.
    sql(
        &proxy,
        "ALTER SYNC TASK t ADD OBJECTS (crm.clients AS crm2.customers (id, name, region) WHERE region = 'EU')",
    )
    .await;
    proxy.wait_synced("t").await;
    assert_eq!(all(&pair.branch, "crm2.customers").await, [["1", "one", "EU"]]);
    // What both directions do with it.
    sql(
        &pair.hq,
        "UPDATE crm.clients SET region = 'EU' WHERE id = 2; INSERT INTO crm.clients VALUES (3, 'three', 'EU', 1);
         INSERT INTO shop.orders VALUES (2, 2)",
    )
    .await;
    sql(&pair.branch, "UPDATE crm2.customers SET name = 'ONE' WHERE id = 1").await;
    proxy.wait_synced("t").await;
    assert_eq!(
        all(&pair.branch, "crm2.customers").await,
        [["1", "ONE", "EU"], ["2", "two", "EU"], ["3", "three", "EU"]]
    );
    assert_eq!(cell(&pair.hq, "SELECT name FROM crm.clients WHERE id = 1").await, "ONE");

    // REMOVE: from here on both sides go their own ways.
    sql(&proxy, "ALTER SYNC TASK t REMOVE OBJECTS (crm.clients)").await;
    assert_eq!(objects(&proxy).await, "shop.orders");
    sql(
        &pair.hq,
        "DELETE FROM crm.clients WHERE id = 1; INSERT INTO shop.orders VALUES (3, 3)",
    )
    .await;
    sql(&pair.branch, "DELETE FROM crm2.customers WHERE id = 2").await;
    proxy.wait_synced("t").await;
    assert_eq!(cell(&pair.branch, "SELECT COUNT(*) FROM crm2.customers").await, "2");
    assert_eq!(cell(&pair.hq, "SELECT COUNT(*) FROM crm.clients").await, "2");
    let listed = "SELECT source_table FROM sync.objects WHERE direction = 'forward'";
    assert_eq!(rows(&proxy, listed).await, [["shop.orders"]]);

    // ADD anew: what is there decides; and a whole database brings its views.
    let add = "ALTER SYNC TASK t ADD OBJECTS (crm.clients AS crm2.customers)";
    let (code, message) = error_of(&proxy, add).await;
    assert_eq!(code, 3160);
    assert!(
        message.contains("crm2.customers exists at the destination"),
        "{message}"
    );
    assert_eq!(objects(&proxy).await, "shop.orders");
    sql(&pair.branch, "DROP DATABASE crm2").await;
    proxy.wait_synced("t").await;
    sql(&proxy, "ALTER SYNC TASK t ADD OBJECTS (crm.*, NOT crm.keyless)").await;
    proxy.wait_synced("t").await;
    assert_same_rows(&pair, &["crm.clients", "crm.notes", "crm.names", "shop.orders"]).await;
    assert!(!is_there(&pair.branch, "crm.keyless").await);
    // DDL and programs of that database go on from here.
    sql(
        &pair.hq,
        "ALTER TABLE crm.notes ADD COLUMN more INT DEFAULT 5; CREATE VIEW crm.more AS SELECT * FROM crm.notes;
         DROP VIEW crm.names; CREATE TABLE crm.later (id INT PRIMARY KEY); INSERT INTO crm.later VALUES (1)",
    )
    .await;
    sql(&pair.branch, "UPDATE crm.notes SET v = 10").await;
    proxy.wait_synced("t").await;
    assert_same_rows(&pair, &["crm.notes", "crm.more", "crm.later"]).await;
    assert!(!is_there(&pair.branch, "crm.names").await);
    // One table of it leaves, and comes back.
    sql(&proxy, "ALTER SYNC TASK t REMOVE OBJECTS (crm.later)").await;
    assert_eq!(
        objects(&proxy).await,
        "shop.orders, crm.*, NOT crm.keyless, NOT crm.later"
    );
    sql(&pair.hq, "INSERT INTO crm.later VALUES (2)").await;
    proxy.wait_synced("t").await;
    assert_eq!(all(&pair.branch, "crm.later").await, [["1"]]);
    sql(&proxy, "ALTER SYNC TASK t SET (existing_tables = 'proceed')").await;
    sql(&proxy, "ALTER SYNC TASK t ADD OBJECTS (crm.later)").await;
    assert_eq!(objects(&proxy).await, "shop.orders, crm.*, NOT crm.keyless");
    proxy.wait_synced("t").await;
    assert_same_rows(&pair, &["crm.later"]).await;
    assert_eq!(rows(&proxy, "SELECT * FROM sync.conflicts").await, NONE);
    // What was done here by the task itself is not listed as the destination's DDL.
    let refused = "SELECT statement FROM sync.ddl WHERE outcome = 'refused'";
    assert_eq!(rows(&proxy, refused).await, NONE);
}

async fn assert_same_rows(pair: &Pair, tables: &[&str]) {
    for table in tables {
        assert_eq!(all(&pair.hq, table).await, all(&pair.branch, table).await, "{table}");
    }
}

#[tokio::test]
async fn what_can_t_come_in_is_told_and_nothing_is_changed() {
    let (pair, proxy) = in_step(SHOP, "shop.orders, shop.lines AS lab.lines").await;
    let before = objects(&proxy).await;
    let refused = async |statement: &str, code: u16, part: &str| {
        let (found, message) = error_of(&proxy, statement).await;
        assert_eq!(found, code, "{statement}: {message}");
        assert!(message.contains(part), "{statement}: {message}");
        assert_eq!(objects(&proxy).await, before, "{statement}");
    };
    let add = |list: &str| format!("ALTER SYNC TASK t ADD OBJECTS ({list})");
    let remove = |list: &str| format!("ALTER SYNC TASK t REMOVE OBJECTS ({list})");
    refused(&add("crm.nothing"), 3160, "nothing at the source that fits crm.nothing").await;
    refused(&add("nowhere.*"), 3160, "nothing at the source that fits nowhere.*").await;
    refused(&add("crm.keyless"), 3160, "neither a primary key").await;
    refused(&add("crm.clients (id, nonsense)"), 3160, "nonsense").await;
    refused(&add("shop.orders"), 1231, "is among the objects already").await;
    refused(&add("crm.notes AS lab.lines"), 1231, "two tables into one").await;
    refused(&add("crm.clients, NOT shop.orders"), 3160, "use REMOVE OBJECTS").await;
    refused(&remove("crm.clients"), 1231, "is not among the objects").await;
    refused(&remove("shop.%"), 1231, "No objects would be left").await;
    refused(
        "ALTER SYNC TASK t REVERSE ADD OBJECTS (crm.notes)",
        1231,
        "no REVERSE OBJECTS",
    )
    .await;
    refused("ALTER SYNC TASK nobody ADD OBJECTS (a.b)", 3101, "nobody").await;
    sql(&pair.branch, "CREATE DATABASE crm; CREATE TABLE crm.notes (id INT)").await;
    refused(&add("crm.notes"), 3160, "crm.notes exists at the destination").await;
    // The task has not even been interrupted.
    assert_eq!(
        cell(
            &proxy,
            "SELECT COUNT(DISTINCT since) FROM sync.status WHERE state = 'running'"
        )
        .await,
        cell(&proxy, "SELECT COUNT(DISTINCT since) FROM sync.status").await
    );
}

#[tokio::test]
async fn a_task_that_rests_takes_objects_too() {
    let (pair, proxy) = in_step(SHOP, "shop.orders, crm.notes").await;
    sql(&proxy, "PAUSE SYNC TASK t").await;
    sql(
        &pair.hq,
        "INSERT INTO shop.lines VALUES (3, 3); INSERT INTO shop.orders VALUES (5, 5)",
    )
    .await;
    sql(&proxy, "ALTER SYNC TASK t ADD OBJECTS (shop.lines, crm.clients)").await;
    sql(&proxy, "ALTER SYNC TASK t REMOVE OBJECTS (crm.clients)").await;
    sql(&proxy, "ALTER SYNC TASK t REMOVE OBJECTS (crm.notes)").await;
    sql(
        &pair.hq,
        "INSERT INTO shop.lines VALUES (4, 4); UPDATE shop.lines SET v = 9 WHERE id = 1; INSERT INTO crm.notes VALUES (2, 2)",
    )
    .await;
    sql(&proxy, "RESUME SYNC TASK t").await;
    proxy.wait_state("t", "running").await;
    proxy.wait_synced("t").await;
    assert_same_rows(&pair, &["shop.orders", "shop.lines"]).await;
    assert_eq!(all(&pair.branch, "crm.notes").await, [["1", "1"]]);
    assert!(!is_there(&pair.branch, "crm.clients").await);
    sql(&proxy, "STOP SYNC TASK t").await;
    sql(&proxy, "ALTER SYNC TASK t ADD OBJECTS (crm.clients)").await;
    sql(&proxy, "START SYNC TASK t").await;
    proxy.wait_state("t", "running").await;
    proxy.wait_synced("t").await;
    assert_same_rows(&pair, &["shop.orders", "shop.lines", "crm.clients"]).await;
    // One that was never started only has other rules.
    sql(&proxy, "CREATE SYNC TASK new FROM hq TO branch OBJECTS (a.*)").await;
    sql(&proxy, "ALTER SYNC TASK new ADD OBJECTS (b.*)").await;
    sql(&proxy, "ALTER SYNC TASK new REMOVE OBJECTS (a.*)").await;
    let create = rows(&proxy, "SHOW CREATE SYNC TASK new").await[0][1].clone();
    assert!(create.contains("`b`.*") && !create.contains("`a`"), "{create}");
}

#[tokio::test]
async fn a_database_comes_in_under_load_and_through_kills() {
    let pair = Pair::start().await;
    make_tables(&pair.hq, "load_db").await;
    make_tables(&pair.hq, "late_db").await;
    sql(
        &pair.hq,
        "CREATE TABLE late_db.big (id INT PRIMARY KEY, v INT, f VARCHAR(200)); SET SESSION cte_max_recursion_depth = 100000;
         INSERT INTO late_db.big WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 60000)
         SELECT n, n, REPEAT('x', 100) FROM n; CREATE VIEW late_db.seen AS SELECT id FROM late_db.big",
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
    let side = |number, server, database| Side {
        number,
        server,
        database,
    };
    let old = Load::start(&[side(0, &pair.hq, "load_db"), side(1, &pair.branch, "load_db")], 2);
    let late = Load::start(&[side(0, &pair.hq, "late_db")], 2);
    old.commits(30).await;
    late.commits(30).await;
    // So slow that much happens while rows are copied.
    sql(&proxy, "ALTER SYNC TASK t SET (rows_per_second = 3000)").await;
    sql(&proxy, "ALTER SYNC TASK t ADD OBJECTS (late_db.*)").await;
    let copied = "SELECT COALESCE(SUM(copied_rows), 0) FROM causeway.copy WHERE source_table = 'big'";
    let is_over = "SELECT COUNT(*) FROM sync.objects WHERE source_table = 'late_db.big' AND phase = 'incremental'";
    // The others go on while it is copied.
    eventually("rows are being copied", async || {
        (cell(&pair.branch, copied).await != "0").then_some(())
    })
    .await;
    let arrived = async || -> u64 {
        let count = cell(&pair.branch, "SELECT SUM(n) FROM load_db.counters WHERE id % 2 = 0").await;
        count.parse().unwrap()
    };
    let before = arrived().await;
    eventually("changes of other tables arrive", async || {
        (arrived().await > before).then_some(())
    })
    .await;
    assert_eq!(
        cell(&proxy, is_over).await,
        "0",
        "the copy was over too soon for this to say anything"
    );
    for n in 0..3 {
        sql(
            &pair.hq,
            &format!(
                "UPDATE late_db.big SET v = v + 1 WHERE id % 5 = {n}; DELETE FROM late_db.big WHERE id % 7 = {n} LIMIT 500;
                 INSERT INTO late_db.big VALUES (-{n} - 1, 0, 'new')"
            ),
        )
        .await;
        eventually("the copy goes on, or is over", async || {
            let found: u64 = cell(&pair.branch, copied).await.parse().unwrap();
            (found > 8_000 * n || cell(&proxy, is_over).await != "0").then_some(())
        })
        .await;
        proxy.kill9();
        proxy.restart().await.unwrap();
    }
    sql(&proxy, "ALTER SYNC TASK t SET (rows_per_second = 0)").await;
    eventually("the copy is over", async || {
        (cell(&proxy, is_over).await != "0").then_some(())
    })
    .await;
    let back = Load::start(&[side(1, &pair.branch, "late_db")], 2);
    old.commits(30).await;
    late.commits(30).await;
    back.commits(30).await;
    let late = late.finish().await;
    let (old, late) = (old.finish().await, back.finish().await.and(&late));
    proxy.wait_state("t", "running").await;
    proxy.wait_synced("t").await;
    for (database, tally) in [("load_db", old), ("late_db", late)] {
        assert_same(&pair.hq, &pair.branch, database).await;
        tally.assert_at(&pair.hq, database).await;
        tally.assert_at(&pair.branch, database).await;
    }
    assert_eq!(rows(&proxy, "SELECT * FROM sync.conflicts").await, NONE);
    // Nothing of it is left, once all that could meet the copy has passed.
    sql(&proxy, "PAUSE SYNC TASK t").await;
    sql(&proxy, "RESUME SYNC TASK t").await;
    proxy.wait_state("t", "running").await;
    for server in [&pair.hq, &pair.branch] {
        for table in ["copy", "copied"] {
            let count = format!("SELECT COUNT(*) FROM causeway.{table}");
            assert_eq!(cell(server, &count).await, "0", "{table}");
        }
    }
}

#[tokio::test]
async fn ddl_on_a_table_that_is_being_copied_finds_its_place() {
    let fill = "SET SESSION cte_max_recursion_depth = 100000; INSERT INTO # (id, v)
        WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 30000) SELECT n, n FROM n";
    let (pair, proxy) = in_step(SHOP, "shop.orders").await;
    for table in ["a", "b", "c", "d"] {
        let table = format!("late.{table}");
        sql(&pair.hq, "CREATE DATABASE IF NOT EXISTS late").await;
        sql(&pair.hq, &format!("CREATE TABLE {table} (id INT PRIMARY KEY, v INT)")).await;
        sql(&pair.hq, &fill.replace('#', &table)).await;
    }
    sql(&proxy, "ALTER SYNC TASK t SET (rows_per_second = 8000)").await;
    sql(&proxy, "ALTER SYNC TASK t ADD OBJECTS (late.*)").await;
    let copied = "SELECT COALESCE(SUM(rows_copied), 0) FROM sync.objects WHERE source_table LIKE 'late.%'";
    eventually("rows are being copied", async || {
        (cell(&proxy, copied).await != "0").then_some(())
    })
    .await;
    sql(
        &pair.hq,
        "ALTER TABLE late.a ADD COLUMN more INT NOT NULL DEFAULT 3; UPDATE late.a SET more = id WHERE id % 3 = 0;
         RENAME TABLE late.b TO late.bb; DELETE FROM late.bb WHERE id % 3 = 0; DROP TABLE late.c;
         ALTER TABLE late.d DROP COLUMN v; INSERT INTO late.d VALUES (-1); INSERT INTO shop.orders VALUES (7, 7)",
    )
    .await;
    sql(&proxy, "ALTER SYNC TASK t SET (rows_per_second = 0)").await;
    proxy.wait_state("t", "running").await;
    proxy.wait_synced("t").await;
    assert_same(&pair.hq, &pair.branch, "late").await;
    assert_same_rows(&pair, &["shop.orders"]).await;
    assert_eq!(rows(&proxy, "SELECT * FROM sync.conflicts").await, NONE);
    let phases = "SELECT source_table FROM sync.objects WHERE direction = 'forward' AND phase <> 'incremental'";
    assert_eq!(rows(&proxy, phases).await, NONE);
}
