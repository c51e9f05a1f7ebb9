//! Views, routines, triggers and events of whole databases: made as they are, under other names, kept up with DDL, and
//! never at work for what Causeway applies.

use causeway::demo::mysqld::LocalServer;
use mysql_async::prelude::Queryable as _;

use crate::support::{
    ask::{cell, connect, error_of, eventually, rows, sql},
    cluster::{Pair, Proxy},
    compare::{assert_same, assert_same_as},
};

/// What SHOW CREATE says of everything in a database that is no table, as the counterpart `renamed` would say it if it were
/// made by Causeway.
async fn programs(server: &LocalServer, database: &str, renamed: Option<&str>) -> Vec<(String, Vec<String>)> {
    let list = format!(
        "SELECT 'VIEW', TABLE_NAME FROM information_schema.VIEWS WHERE TABLE_SCHEMA = '{database}'
         UNION ALL SELECT ROUTINE_TYPE, ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = '{database}'
         UNION ALL SELECT 'TRIGGER', TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = '{database}'
         UNION ALL SELECT 'EVENT', EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = '{database}' ORDER BY 1, 2"
    );
    let mut all = Vec::new();
    for object in rows(server, &list).await {
        let mut conn = connect(server).await;
        conn.query_drop("SET NAMES utf8mb4").await.unwrap();
        let show = format!("SHOW CREATE {} {database}.`{}`", object[0], object[1]);
        let row: mysql_async::Row = conn.query_first(show).await.unwrap().unwrap();
        let mut texts: Vec<String> = row
            .unwrap()
            .into_iter()
            .map(|value| mysql_async::from_value::<Option<String>>(value).unwrap_or_default())
            .collect();
        if object[0] == "TRIGGER" {
            texts.pop(); // when it was made
        }
        if let Some(renamed) = renamed {
            for text in &mut texts {
                // What keeps its name is left as it was written.
                if renamed != database {
                    *text = text
                        .replace(&format!("`{database}`"), &format!("`{renamed}`"))
                        .replace(&format!(" {database}."), &format!(" `{renamed}`."));
                }
                if object[0] == "EVENT" {
                    *text = text
                        .replace(" ENABLE", " DISABLE ON REPLICA")
                        .replace(" DISABLE DO", " DISABLE ON REPLICA DO");
                }
                if object[0] == "TRIGGER"
                    && let Some((head, body)) = text.split_once(" FOR EACH ROW ")
                {
                    *text =
                        format!("{head} FOR EACH ROW BEGIN IF @causeway_applying IS NULL THEN\n{body}\n; END IF; END");
                }
            }
        }
        all.push((format!("{} {}", object[0], object[1]), texts));
    }
    all
}

async fn assert_same_programs(source: &LocalServer, database: &str, destination: &LocalServer, renamed: &str) {
    let expected = programs(source, database, Some(renamed)).await;
    let found = programs(destination, renamed, None).await;
    let names = |all: &[(String, Vec<String>)]| all.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&found), names(&expected));
    for (found, expected) in found.into_iter().zip(expected) {
        assert_eq!(found, expected);
    }
}

const TABLES: &str = "CREATE DATABASE shop; CREATE DATABASE other; CREATE TABLE other.o (id INT PRIMARY KEY, v VARCHAR(20));
    CREATE TABLE shop.t (id INT PRIMARY KEY, n INT, v VARCHAR(20)); CREATE TABLE shop.log (id INT PRIMARY KEY AUTO_INCREMENT, what VARCHAR(40));
    INSERT INTO shop.t VALUES (1, 1, 'a'), (2, 2, 'b');";

/// Statements of every kind. `a_view` stands on `z_view`, so the order of names is not the one to make them in.
const PROGRAMS: [&str; 13] = [
    "CREATE FUNCTION f(a INT) RETURNS INT DETERMINISTIC COMMENT 'doubles' RETURN a * 2",
    "CREATE VIEW z_view AS SELECT t.id, x.n FROM t JOIN shop.t AS x USING (id) WHERE shop.t.v <> 'x'",
    "CREATE SQL SECURITY INVOKER VIEW a_view (i, f) AS SELECT id, shop.f(n) FROM z_view WITH CHECK OPTION",
    "CREATE PROCEDURE p(IN x INT) BEGIN -- says shop\n DECLARE y INT; SELECT COUNT(*) INTO y FROM shop.t; UPDATE t SET n = y WHERE id = x; \
     CALL shop.q(); END",
    "CREATE PROCEDURE q() SQL SECURITY INVOKER SELECT 'é', \"d\" FROM DUAL",
    "SET NAMES latin1 ;; CREATE VIEW latin AS SELECT 'x' AS y, id FROM t ;; SET NAMES utf8mb4",
    "SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES' ;; CREATE PROCEDURE \"ansi\"() SELECT \"id\", 'a\\' FROM \"t\" ;; SET sql_mode = DEFAULT",
    "SET sql_mode = '' ;; CREATE TRIGGER later AFTER INSERT ON t FOR EACH ROW INSERT INTO shop.log (what) VALUES (CONCAT('second ', NEW.id)) ;; SET sql_mode = DEFAULT",
    "CREATE TRIGGER first AFTER INSERT ON t FOR EACH ROW PRECEDES later INSERT INTO log (what) VALUES (CONCAT('first ', NEW.id))",
    "CREATE TRIGGER changes BEFORE UPDATE ON t FOR EACH ROW l: BEGIN IF NEW.n > 100 THEN LEAVE l; END IF; SET NEW.v = CONCAT('u', NEW.n); END l",
    "SET time_zone = '+03:00' ;; CREATE EVENT e ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' COMMENT 'cleans' DO DELETE FROM shop.t WHERE n < 0 ;; SET time_zone = DEFAULT",
    "CREATE EVENT off ON SCHEDULE AT '2036-01-01 00:00:00' ON COMPLETION PRESERVE DISABLE DO BEGIN DELETE FROM t WHERE n < -1; END",
    "CREATE FUNCTION counted() RETURNS INT READS SQL DATA RETURN (SELECT COUNT(*) FROM `shop`.`t` AS `x` WHERE x.id > 0)",
];

/// Makes the task `s` and lets it begin.
async fn start(proxy: &Proxy, create: &str) {
    sql(proxy, create).await;
    sql(proxy, "START SYNC TASK s").await;
}

async fn run_all(server: &LocalServer, statements: &[&str]) {
    let mut conn = connect(server).await;
    conn.query_drop("SET NAMES utf8mb4; USE shop").await.unwrap();
    // One at a time: what stands behind a `;` in the same packet would be taken for the end of a program.
    for statement in statements.iter().flat_map(|statements| statements.split(" ;; ")) {
        conn.query_drop(statement)
            .await
            .unwrap_or_else(|error| panic!("{error}\nin: {statement}"));
    }
}

#[tokio::test]
async fn a_renamed_database_carries_its_views_routines_triggers_and_events() {
    let pair = Pair::start().await;
    sql(&pair.hq, TABLES).await;
    run_all(&pair.hq, &PROGRAMS).await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    start(
        &proxy,
        "CREATE SYNC TASK s FROM hq TO branch OBJECTS (shop.* AS shop2.*) WITH (heartbeat = OFF)",
    )
    .await;
    proxy.wait_synced("s").await;
    assert_same_as(&pair.hq, "shop", &pair.branch, "shop2").await;
    assert_same_programs(&pair.hq, "shop", &pair.branch, "shop2").await;
    // They work there, and on what is there.
    assert_eq!(cell(&pair.branch, "SELECT SUM(f) FROM shop2.a_view").await, "6");
    assert_eq!(cell(&pair.branch, "SELECT shop2.counted()").await, "2");
    assert_eq!(
        rows(
            &pair.branch,
            "SELECT STATUS FROM information_schema.EVENTS WHERE EVENT_SCHEMA = 'shop2' GROUP BY 1"
        )
        .await,
        [["REPLICA_SIDE_DISABLED"]]
    );

    // The triggers worked at the source; what they did comes as rows, and is not done again.
    sql(
        &pair.hq,
        "INSERT INTO shop.t VALUES (3, 3, 'c'); UPDATE shop.t SET n = 7 WHERE id = 1; CALL shop.p(2)",
    )
    .await;
    proxy.wait_synced("s").await;
    assert_same_as(&pair.hq, "shop", &pair.branch, "shop2").await;
    assert_eq!(cell(&pair.branch, "SELECT COUNT(*) FROM shop2.log").await, "2");
    assert_eq!(cell(&pair.branch, "SELECT v FROM shop2.t WHERE id = 1").await, "u7");

    // Everything again, as DDL, with the changes between that need it to be in order.
    let names = [
        "VIEW a_view",
        "VIEW z_view",
        "VIEW latin",
        "FUNCTION f",
        "FUNCTION counted",
        "PROCEDURE p",
        "PROCEDURE q",
        "PROCEDURE ansi",
        "TRIGGER first",
        "TRIGGER later",
        "TRIGGER IF EXISTS changes",
        "EVENT e",
        "EVENT off",
    ];
    for name in names {
        run_all(&pair.hq, &[&format!("DROP {name}")]).await;
    }
    proxy.wait_synced("s").await;
    assert_eq!(programs(&pair.branch, "shop2", None).await, []);
    run_all(&pair.hq, &PROGRAMS).await;
    run_all(
        &pair.hq,
        &[
            "CREATE OR REPLACE VIEW a_view AS SELECT id AS i FROM z_view",
            "ALTER VIEW z_view AS SELECT id, n, 'ü' AS u FROM t",
            "ALTER PROCEDURE q COMMENT 'changed' SQL SECURITY DEFINER",
            "ALTER FUNCTION f COMMENT 'changed too'",
            "DROP TRIGGER changes",
            "ALTER EVENT e ENABLE COMMENT 'changed'",
            "ALTER EVENT off RENAME TO off2",
            "CREATE PROCEDURE IF NOT EXISTS q() SELECT 1",
            "DROP VIEW IF EXISTS latin, no_such_view",
            "CREATE OR REPLACE VIEW moved AS SELECT 1 AS one",
            "USE other ;; CREATE VIEW shop.elsewhere AS SELECT id, v FROM shop.t ;; USE shop",
            "SET NAMES latin1 ;; CREATE TABLE kept (id INT PRIMARY KEY COMMENT '\u{e9}') ;; SET NAMES utf8mb4",
        ],
    )
    .await;
    // A view without a default database.
    sql(&pair.hq, "CREATE VIEW shop.bare AS SELECT t.id FROM shop.t").await;
    sql(&pair.hq, "INSERT INTO shop.t VALUES (4, 4, 'd')").await;
    proxy.wait_synced("s").await;
    assert_same_as(&pair.hq, "shop", &pair.branch, "shop2").await;
    assert_same_programs(&pair.hq, "shop", &pair.branch, "shop2").await;
    assert_eq!(cell(&pair.branch, "SELECT COUNT(*) FROM shop2.a_view").await, "4");
    let outcomes = "SELECT DISTINCT outcome FROM sync.ddl";
    assert_eq!(rows(&proxy, outcomes).await, [["applied"]]);
    let shown = "SELECT COUNT(*) FROM sync.ddl WHERE applied_statement LIKE '%@causeway_applying IS NULL%'";
    assert_eq!(cell(&proxy, shown).await, "3");
    let told = "SELECT COUNT(*) FROM sync.events WHERE message LIKE 'event shop2.e does not run%'";
    assert_ne!(cell(&proxy, told).await, "0");
}

#[tokio::test]
async fn statements_are_read_in_the_character_set_of_their_client() {
    let pair = Pair::start().await;
    sql(&pair.hq, TABLES).await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    start(
        &proxy,
        "CREATE SYNC TASK s FROM hq TO branch OBJECTS (shop.*) WITH (heartbeat = OFF)",
    )
    .await;
    proxy.wait_synced("s").await;
    let mut conn = connect(&pair.hq).await;
    conn.query_drop("USE shop; SET NAMES latin1").await.unwrap();
    for text in [
        "CREATE VIEW v\u{e9} AS SELECT '\u{fc}' AS x",
        "CREATE PROCEDURE p() SELECT '\u{df}' AS `\u{e4}`",
        "CREATE TABLE k\u{f6} (id INT PRIMARY KEY COMMENT '\u{e9}')",
    ] {
        let latin1: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        conn.query_drop(latin1).await.unwrap();
    }
    // 表 ends with a backslash in this character set.
    conn.query_drop("SET NAMES sjis").await.unwrap();
    conn.query_drop(b"CREATE TABLE s (id INT PRIMARY KEY COMMENT '\x95\x5c')".to_vec())
        .await
        .unwrap();
    conn.disconnect().await.unwrap();
    proxy.wait_synced("s").await;
    assert_same(&pair.hq, &pair.branch, "shop").await;
    assert_same_programs(&pair.hq, "shop", &pair.branch, "shop").await;
    for (query, expected) in [
        ("SELECT HEX(CONVERT(x USING utf8mb4)) FROM shop.v\u{e9}", "C3BC"),
        (
            "SELECT COLUMN_COMMENT FROM information_schema.COLUMNS WHERE TABLE_NAME = 's'",
            "\u{8868}",
        ),
        (
            "SELECT COLUMN_COMMENT FROM information_schema.COLUMNS WHERE TABLE_NAME = 'k\u{f6}'",
            "\u{e9}",
        ),
    ] {
        assert_eq!(cell(&pair.branch, query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn triggers_of_both_sides_fire_once_for_each_change_of_a_client() {
    let pair = Pair::start().await;
    sql(
        &pair.hq,
        "CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, n INT);
         CREATE TABLE shop.log (id VARCHAR(40) PRIMARY KEY, times INT NOT NULL DEFAULT 1);
         CREATE TABLE shop.count (id INT PRIMARY KEY, n INT); INSERT INTO shop.count VALUES (1, 0), (2, 0);
         CREATE TRIGGER shop.logs AFTER INSERT ON shop.t FOR EACH ROW
            INSERT INTO shop.log (id) VALUES (CONCAT('made ', NEW.id)) ON DUPLICATE KEY UPDATE times = times + 1;
         CREATE TRIGGER shop.counts BEFORE UPDATE ON shop.t FOR EACH ROW SET NEW.n = NEW.n + 1000;",
    )
    .await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    sql(
        &proxy,
        "CREATE SYNC TASK s BETWEEN hq AND branch OBJECTS (shop.*) WITH (heartbeat = OFF)",
    )
    .await;
    sql(&proxy, "START SYNC TASK s").await;
    proxy.wait_synced("s").await;

    // The source's own triggers have no guard: that is told, with what mends it, for both of them and for none of the
    // destination's.
    let told = async || {
        let query = "SELECT message FROM sync.events WHERE level = 'warning' AND message LIKE '%has no guard%' ORDER BY message";
        rows(&proxy, query).await.into_iter().flatten().collect::<Vec<_>>()
    };
    let messages = eventually("both triggers are told of", async || {
        let messages = told().await;
        (messages.len() >= 2).then_some(messages)
    })
    .await;
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(messages[0].contains("shop.counts on server hq") && messages[1].contains("shop.logs on server hq"));
    for message in &messages {
        let (_, statements) = message.split_once("was made in: ").unwrap();
        let mut conn = connect(&pair.hq).await;
        let (drop, create) = statements
            .strip_prefix("DELIMITER //\n")
            .unwrap()
            .split_once(" //\n")
            .unwrap();
        conn.query_drop(drop).await.unwrap();
        conn.query_drop(create.strip_suffix(" //\nDELIMITER ;").unwrap())
            .await
            .unwrap();
        conn.disconnect().await.unwrap();
    }
    proxy.wait_synced("s").await;

    for (server, first) in [(&pair.hq, 1), (&pair.branch, 101)] {
        for id in first..first + 20 {
            sql(
                server,
                &format!("INSERT INTO shop.t VALUES ({id}, 1); UPDATE shop.t SET n = 2 WHERE id = {id}"),
            )
            .await;
        }
    }
    proxy.wait_synced("s").await;
    assert_same(&pair.hq, &pair.branch, "shop").await;
    for server in [&pair.hq, &pair.branch] {
        assert_eq!(
            cell(server, "SELECT CONCAT(COUNT(*), ' ', MAX(times)) FROM shop.log").await,
            "40 1"
        );
        let changed = "SELECT CONCAT(MIN(n), ' ', MAX(n)) FROM shop.t";
        assert_eq!(cell(server, changed).await, "1002 1002");
    }
    assert_eq!(cell(&proxy, "SELECT COUNT(*) FROM sync.conflicts").await, "0");

    // A new one is told of when it comes; the destination has it with a guard.
    sql(
        &pair.hq,
        "CREATE TRIGGER shop.third AFTER DELETE ON shop.t FOR EACH ROW INSERT INTO shop.log (id) VALUES (CONCAT('gone ', OLD.id))",
    )
    .await;
    proxy.wait_synced("s").await;
    let messages = told().await;
    assert!(
        messages.len() == 3 && messages[2].contains("trigger shop.third on server hq"),
        "{messages:?}"
    );
    sql(&pair.branch, "DELETE FROM shop.t WHERE id = 101").await;
    let warned = "SELECT COUNT(*) FROM shop.log WHERE id = 'gone 101'";
    assert_eq!(cell(&pair.branch, warned).await, "1");
    // DDL of the destination's own stays there.
    sql(&pair.branch, "CREATE VIEW shop.own AS SELECT 1 AS one").await;
    eventually("it is listed as refused", async || {
        let refused = "SELECT statement FROM sync.ddl WHERE outcome = 'refused'";
        rows(&proxy, refused)
            .await
            .iter()
            .any(|row| row[0].contains("own"))
            .then_some(())
    })
    .await;
    let echoes = "SELECT COUNT(*) FROM sync.ddl WHERE outcome = 'refused'";
    assert_eq!(cell(&proxy, echoes).await, "1");
}

#[tokio::test]
async fn tables_alone_carry_no_triggers_or_views() {
    let pair = Pair::start().await;
    sql(
        &pair.hq,
        "CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, n INT); CREATE VIEW shop.t_view AS SELECT 1 AS one;
         CREATE TRIGGER shop.tr BEFORE INSERT ON shop.t FOR EACH ROW SET NEW.n = 5; CREATE DATABASE whole;
         CREATE TABLE whole.left_out (id INT PRIMARY KEY); CREATE VIEW whole.left_view AS SELECT 1 AS one;
         CREATE TRIGGER whole.hidden BEFORE INSERT ON whole.left_out FOR EACH ROW SET @a = 1;",
    )
    .await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    start(
        &proxy,
        r"CREATE SYNC TASK s FROM hq TO branch OBJECTS (shop.t%, whole.*, NOT whole.left%) WITH (heartbeat = OFF)",
    )
    .await;
    proxy.wait_synced("s").await;
    sql(
        &pair.hq,
        "CREATE TRIGGER shop.tr2 BEFORE UPDATE ON shop.t FOR EACH ROW SET NEW.n = 6; DROP TRIGGER shop.tr2;
         CREATE TRIGGER whole.hidden2 BEFORE UPDATE ON whole.left_out FOR EACH ROW SET @a = 1; DROP TRIGGER whole.hidden2;
         CREATE VIEW shop.t_view2 AS SELECT 1 AS one; CREATE PROCEDURE shop.t_p() SELECT 1; DROP PROCEDURE shop.t_p;
         CREATE VIEW whole.left_view2 AS SELECT 1 AS one; CREATE PROCEDURE whole.left_p() SELECT 1;
         INSERT INTO shop.t VALUES (1, 1);",
    )
    .await;
    proxy.wait_synced("s").await;
    assert_eq!(programs(&pair.branch, "shop", None).await, []);
    let found: Vec<String> = programs(&pair.branch, "whole", None)
        .await
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(found, ["PROCEDURE left_p"]);
    assert_eq!(cell(&pair.branch, "SELECT n FROM shop.t").await, "5");
    let listed = rows(&proxy, "SELECT outcome, statement FROM sync.ddl ORDER BY at, statement").await;
    let ignored: Vec<_> = listed.iter().filter(|row| row[0] == "ignored").collect();
    assert_eq!(ignored.len(), 3, "{listed:?}");
}

#[tokio::test]
async fn what_exists_already_is_in_the_way_or_stays() {
    let pair = Pair::start().await;
    sql(&pair.hq, TABLES).await;
    run_all(&pair.hq, &PROGRAMS).await;
    sql(
        &pair.branch,
        "CREATE DATABASE shop; CREATE VIEW shop.z_view AS SELECT 'own' AS id; CREATE PROCEDURE shop.q() SELECT 'own'",
    )
    .await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    sql(
        &proxy,
        "CREATE SYNC TASK s FROM hq TO branch OBJECTS (shop.*, NOT shop.a_view) WITH (heartbeat = OFF)",
    )
    .await;
    let (_, message) = error_of(&proxy, "START SYNC TASK s").await;
    assert!(
        message.contains("procedure shop.q, view shop.z_view") && message.contains("existing_tables = 'proceed'"),
        "{message}"
    );
    sql(&proxy, "ALTER SYNC TASK s SET (existing_tables = 'proceed')").await;
    sql(&proxy, "START SYNC TASK s").await;
    proxy.wait_synced("s").await;
    assert_eq!(cell(&pair.branch, "SELECT id FROM shop.z_view").await, "own");
    assert_eq!(cell(&pair.branch, "SELECT shop.f(2)").await, "4");
    let kept = "SELECT COUNT(*) FROM sync.events WHERE message LIKE '%with another definition than at the source%'";
    assert_eq!(cell(&proxy, kept).await, "2");
}

#[tokio::test]
async fn what_can_not_be_carried_stops_the_task_and_says_why() {
    let pair = Pair::start().await;
    sql(&pair.hq, TABLES).await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    start(
        &proxy,
        "CREATE SYNC TASK s FROM hq TO branch OBJECTS (shop.* AS shop2.*) WITH (heartbeat = OFF)",
    )
    .await;
    proxy.wait_synced("s").await;
    sql(
        &pair.hq,
        "CREATE VIEW shop.v AS SELECT shop.id FROM shop.t AS shop; INSERT INTO shop.t VALUES (9, 9, 'after')",
    )
    .await;
    proxy.wait_state("s", "paused").await;
    let error = cell(&proxy, "SELECT last_error FROM sync.status").await;
    assert!(
        error.contains("shop.id may be a table or a column") && error.contains("CREATE ") && error.contains("alias"),
        "{error}"
    );
    assert_eq!(
        cell(&pair.branch, "SELECT COUNT(*) FROM shop2.t WHERE id = 9").await,
        "0"
    );
}

/// Ends the process while the destination is at work on a statement, which it goes on with.
#[tokio::test]
async fn a_statement_that_a_kill_cuts_off_is_run_once() {
    let pair = Pair::start().await;
    sql(&pair.hq, TABLES).await;
    sql(&pair.hq, "CREATE VIEW shop.v AS SELECT id FROM shop.t").await;
    let mut proxy = Proxy::start().await;
    proxy.register(&pair).await;
    start(
        &proxy,
        "CREATE SYNC TASK s BETWEEN hq AND branch OBJECTS (shop.*) WITH (heartbeat = OFF)",
    )
    .await;
    proxy.wait_synced("s").await;
    for statement in [
        "ALTER VIEW shop.v AS SELECT id, n FROM shop.t",
        "DROP VIEW shop.v",
        "CREATE TRIGGER shop.tr BEFORE INSERT ON shop.t FOR EACH ROW SET NEW.n = 1",
        "DROP TRIGGER shop.tr",
    ] {
        // Whoever uses the view or the table keeps it from being changed.
        let mut user = connect(&pair.branch).await;
        user.query_drop("BEGIN; SELECT * FROM shop.t LIMIT 1; SELECT * FROM shop.v LIMIT 1")
            .await
            .ok();
        sql(&pair.hq, statement).await;
        eventually("the destination is at work on it", async || {
            let waiting = "SELECT COUNT(*) FROM performance_schema.metadata_locks WHERE LOCK_STATUS = 'PENDING'";
            (cell(&pair.branch, waiting).await != "0").then_some(())
        })
        .await;
        proxy.kill9();
        user.query_drop("COMMIT").await.unwrap();
        user.disconnect().await.unwrap();
        proxy.restart().await.unwrap();
        proxy.wait_synced("s").await;
        assert_same_programs(&pair.hq, "shop", &pair.branch, "shop").await;
    }
    sql(&pair.hq, "INSERT INTO shop.t VALUES (9, 9, 'after')").await;
    proxy.wait_synced("s").await;
    assert_same(&pair.hq, &pair.branch, "shop").await;
    assert_eq!(
        cell(&proxy, "SELECT COUNT(*) FROM sync.ddl WHERE outcome NOT IN ('applied')").await,
        "0"
    );
}

#[tokio::test]
async fn create_table_select_arrives_once_with_its_rows() {
    let pair = Pair::start().await;
    sql(&pair.hq, TABLES).await;
    sql(
        &pair.hq,
        "INSERT INTO shop.t WITH RECURSIVE n AS (SELECT 10 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 900) SELECT i, i, REPEAT('x', 10) FROM n",
    )
    .await;
    let mut proxy = Proxy::start().await;
    proxy.register(&pair).await;
    start(
        &proxy,
        "CREATE SYNC TASK s BETWEEN hq AND branch OBJECTS (shop.*) WITH (heartbeat = OFF)",
    )
    .await;
    proxy.wait_synced("s").await;
    sql(
        &pair.hq,
        "CREATE TABLE shop.a (PRIMARY KEY (id)) SELECT * FROM shop.t; UPDATE shop.a SET n = n + 1; CREATE TEMPORARY TABLE shop.tmp SELECT * FROM shop.t;
         CREATE TABLE shop.b (PRIMARY KEY (id)) IGNORE SELECT id, v FROM shop.t WHERE FALSE; INSERT INTO shop.b VALUES (1, 'x');
         CREATE TABLE shop.large (id INT PRIMARY KEY, pad LONGTEXT) SELECT id, REPEAT('0123456789', 3000) AS pad FROM shop.t;
         DELETE FROM shop.large WHERE id < 100; CREATE TABLE other.unseen (PRIMARY KEY (id)) SELECT * FROM shop.t;",
    )
    .await;
    proxy.wait_synced("s").await;
    assert_same(&pair.hq, &pair.branch, "shop").await;
    assert_eq!(cell(&pair.branch, "SELECT COUNT(*) FROM shop.a").await, "893");
    assert_eq!(
        cell(&pair.branch, "SELECT COUNT(*) FROM causeway.ddl WHERE state <> 'done'").await,
        "0"
    );

    // A kill between the table and its rows, and one between the rows and the note that the statement is done.
    let seen = async |what: &str, query: &str, expected: &str| {
        eventually(what, async || {
            (rows(&pair.branch, query).await.first().map(|row| row[0].clone()) == Some(expected.to_owned()))
                .then_some(())
        })
        .await;
    };
    for rows_come in [false, true] {
        let table = if rows_come { "second" } else { "first" };
        let mut appliers = connect(&pair.branch).await;
        let task = cell(&pair.branch, "SELECT DISTINCT task FROM causeway.checkpoint").await;
        let slots = (1..=32).map(|slot| slot.to_string()).collect::<Vec<_>>().join(", ");
        // No other row is locked or waited for.
        let hold = format!(
            "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; BEGIN;
             SELECT slot FROM causeway.checkpoint WHERE task = '{task}' AND link = 'forward' AND slot"
        );
        appliers
            .query_drop(format!("{hold} IN ({slots}) FOR UPDATE"))
            .await
            .unwrap();
        sql(
            &pair.hq,
            &format!(
                "CREATE TABLE shop.{table} (PRIMARY KEY (id)) SELECT * FROM shop.t; UPDATE shop.{table} SET n = n + 1"
            ),
        )
        .await;
        let made = format!(
            "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'shop' AND TABLE_NAME = '{table}'"
        );
        seen("the table is made", &made, "1").await;
        let mut link = connect(&pair.branch).await;
        if rows_come {
            link.query_drop(format!("{hold} = 0 FOR UPDATE")).await.unwrap();
            appliers.query_drop("COMMIT").await.unwrap();
            seen(
                "the rows are in",
                &format!("SELECT COUNT(*) > 0 FROM shop.{table}"),
                "1",
            )
            .await;
        }
        proxy.kill9();
        appliers.query_drop("COMMIT").await.unwrap();
        link.query_drop("COMMIT").await.unwrap();
        for conn in [appliers, link] {
            conn.disconnect().await.unwrap();
        }
        proxy.restart().await.unwrap();
        proxy.wait_synced("s").await;
        assert_same(&pair.hq, &pair.branch, "shop").await;
        assert_eq!(
            cell(&pair.branch, "SELECT COUNT(*) FROM causeway.ddl WHERE state <> 'done'").await,
            "0"
        );
    }
    sql(&pair.branch, "UPDATE shop.second SET v = 'branch' WHERE id = 1").await;
    proxy.wait_synced("s").await;
    assert_same(&pair.hq, &pair.branch, "shop").await;
    assert_eq!(
        cell(&proxy, "SELECT COUNT(*) FROM sync.ddl WHERE outcome <> 'applied'").await,
        "0"
    );
}

#[tokio::test]
async fn databases_are_made_and_dropped_as_far_as_they_are_selected() {
    let pair = Pair::start().await;
    sql(
        &pair.branch,
        "CREATE DATABASE crm2; CREATE TABLE crm2.own (id INT PRIMARY KEY); CREATE DATABASE part; CREATE TABLE part.own_left (id INT PRIMARY KEY)",
    )
    .await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    sql(
        &proxy,
        "CREATE SYNC TASK s FROM hq TO branch OBJECTS (shop.* AS shop2.*, crm.clients AS crm2.customers, logs.l%, part.*, NOT part.%left)
         WITH (heartbeat = OFF, existing_tables = 'proceed')",
    )
    .await;
    sql(&proxy, "START SYNC TASK s").await;
    proxy.wait_synced("s").await;
    sql(
        &pair.hq,
        "CREATE DATABASE shop CHARACTER SET latin1; CREATE TABLE shop.t (id INT PRIMARY KEY, v VARCHAR(9)); ALTER DATABASE shop CHARACTER SET utf8mb3;
         CREATE VIEW shop.v AS SELECT id FROM shop.t;
         CREATE DATABASE crm; CREATE TABLE crm.clients (id INT PRIMARY KEY); CREATE TABLE crm.other (id INT PRIMARY KEY); ALTER DATABASE crm CHARACTER SET latin1;
         CREATE DATABASE logs; CREATE TABLE logs.l1 (id INT PRIMARY KEY); CREATE TABLE logs.x (id INT PRIMARY KEY);
         CREATE DATABASE IF NOT EXISTS part; CREATE TABLE part.a (id INT PRIMARY KEY); CREATE TABLE part.b_left (id INT PRIMARY KEY);
         INSERT INTO shop.t VALUES (1, 'a'); INSERT INTO crm.clients VALUES (1); INSERT INTO logs.l1 VALUES (1); INSERT INTO part.a VALUES (1);",
    )
    .await;
    proxy.wait_synced("s").await;
    let tables = async || {
        let query = "SELECT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME) FROM information_schema.TABLES
            WHERE TABLE_SCHEMA IN ('shop2', 'crm2', 'logs', 'part', 'shop', 'crm') ORDER BY 1";
        rows(&pair.branch, query)
            .await
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        tables().await,
        "crm2.customers crm2.own logs.l1 part.a part.own_left shop2.t shop2.v"
    );
    let charset = "SELECT DEFAULT_CHARACTER_SET_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = 'shop2'";
    assert_eq!(cell(&pair.branch, charset).await, "utf8mb3");
    sql(
        &pair.hq,
        "DROP DATABASE crm; DROP DATABASE part; DROP DATABASE shop; DROP DATABASE logs",
    )
    .await;
    proxy.wait_synced("s").await;
    assert_eq!(tables().await, "crm2.own part.own_left");
    let databases = "SELECT GROUP_CONCAT(SCHEMA_NAME ORDER BY 1) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME IN ('shop2', 'crm2', 'logs', 'part')";
    assert_eq!(cell(&pair.branch, databases).await, "crm2,logs,part");
}

#[tokio::test]
async fn definers_are_kept_where_the_account_may_and_replaced_where_not() {
    let pair = Pair::start().await;
    sql(&pair.hq, TABLES).await;
    sql(
        &pair.hq,
        "CREATE USER maker; CREATE VIEW shop.of_root AS SELECT id FROM shop.t; CREATE DEFINER = maker PROCEDURE shop.of_maker() SELECT 1;
         CREATE DEFINER = nobody@nowhere PROCEDURE shop.of_nobody() SELECT 1;
         CREATE DEFINER = maker EVENT shop.ev ON SCHEDULE EVERY 1 DAY DO DO 1",
    )
    .await;
    sql(
        &pair.branch,
        "CREATE USER maker; SET GLOBAL log_bin_trust_function_creators = ON; CREATE USER applies IDENTIFIED BY 'x';
         GRANT ALL ON shop.* TO applies; GRANT ALL ON causeway.* TO applies; GRANT SHOW_ROUTINE ON *.* TO applies;",
    )
    .await;
    let proxy = Proxy::start().await;
    proxy.register_as("hq", &pair.hq).await;
    let register = format!(
        "CREATE SERVER branch OPTIONS (HOST '127.0.0.1', PORT {}, USER 'applies', PASSWORD 'x')",
        pair.branch.port
    );
    sql(&proxy, &register).await;
    start(
        &proxy,
        "CREATE SYNC TASK s FROM hq TO branch OBJECTS (shop.*) WITH (heartbeat = OFF)",
    )
    .await;
    proxy.wait_synced("s").await;
    let definers = async || {
        let query = "SELECT CONCAT(TABLE_NAME, ' ', DEFINER) FROM information_schema.VIEWS WHERE TABLE_SCHEMA = 'shop'
            UNION ALL SELECT CONCAT(ROUTINE_NAME, ' ', DEFINER) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = 'shop'
            UNION ALL SELECT CONCAT(EVENT_NAME, ' ', DEFINER) FROM information_schema.EVENTS WHERE EVENT_SCHEMA = 'shop' ORDER BY 1";
        rows(&pair.branch, query)
            .await
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
    };
    let own = [
        "ev applies@%",
        "of_maker applies@%",
        "of_nobody applies@%",
        "of_root applies@%",
    ];
    assert_eq!(definers().await, own);
    let told = "SELECT COUNT(*) FROM sync.events WHERE level = 'warning' AND message LIKE '%belongs to `applies`@`%` at the destination%'";
    assert_eq!(cell(&proxy, told).await, "4");

    // With more privileges, from the next start on; what no privilege covers is still replaced.
    let again = async |grant: &str, expected: [&str; 4]| {
        sql(&proxy, "PAUSE SYNC TASK s").await;
        sql(&pair.branch, &format!("GRANT {grant} TO applies")).await;
        sql(&proxy, "RESUME SYNC TASK s").await;
        sql(
            &pair.hq,
            "DROP PROCEDURE shop.of_maker; DROP PROCEDURE shop.of_nobody; ALTER VIEW shop.of_root AS SELECT id, n FROM shop.t; DROP EVENT shop.ev;
             CREATE DEFINER = maker PROCEDURE shop.of_maker() SELECT 1; CREATE DEFINER = nobody@nowhere PROCEDURE shop.of_nobody() SELECT 1;
             CREATE DEFINER = maker EVENT shop.ev ON SCHEDULE EVERY 1 DAY DO DO 1; ALTER EVENT shop.ev COMMENT 'x'",
        )
        .await;
        proxy.wait_synced("s").await;
        assert_eq!(definers().await, expected, "with {grant}");
    };
    again(
        "SET_ANY_DEFINER, ALLOW_NONEXISTENT_DEFINER ON *.*",
        [
            "ev applies@%",
            "of_maker applies@%",
            "of_nobody applies@%",
            "of_root applies@%",
        ],
    )
    .await;
    again(
        "SELECT ON mysql.*",
        [
            "ev applies@%",
            "of_maker maker@%",
            "of_nobody nobody@nowhere",
            "of_root applies@%",
        ],
    )
    .await;
    // ALTER EVENT makes an event his who runs it.
    again(
        "SYSTEM_USER ON *.*",
        [
            "ev root@localhost",
            "of_maker maker@%",
            "of_nobody nobody@nowhere",
            "of_root root@localhost",
        ],
    )
    .await;
}

#[tokio::test]
async fn what_an_attempt_that_failed_has_made_is_made_anew() {
    let pair = Pair::start().await;
    sql(&pair.hq, TABLES).await;
    run_all(&pair.hq, &PROGRAMS).await;
    sql(
        &pair.hq,
        "CREATE DATABASE elsewhere; CREATE TABLE elsewhere.t (id INT PRIMARY KEY); CREATE VIEW shop.over_there AS SELECT id FROM elsewhere.t",
    )
    .await;
    sql(
        &pair.branch,
        "SET GLOBAL log_bin_trust_function_creators = ON; CREATE USER applies IDENTIFIED BY 'x'; GRANT ALL ON causeway.* TO applies;
         GRANT ALL ON shop.* TO applies;
         GRANT SHOW_ROUTINE, SYSTEM_USER, SET_ANY_DEFINER, ALLOW_NONEXISTENT_DEFINER ON *.* TO applies; GRANT SELECT ON mysql.* TO applies;",
    )
    .await;
    let proxy = Proxy::start().await;
    proxy.register_as("hq", &pair.hq).await;
    let register = format!(
        "CREATE SERVER branch OPTIONS (HOST '127.0.0.1', PORT {}, USER 'applies', PASSWORD 'x')",
        pair.branch.port
    );
    sql(&proxy, &register).await;
    start(
        &proxy,
        "CREATE SYNC TASK s FROM hq TO branch OBJECTS (shop.*) WITH (heartbeat = OFF)",
    )
    .await;
    // A view speaks of what is not there; and then the events can't be made.
    proxy.wait_state("s", "failed").await;
    sql(
        &pair.branch,
        "CREATE DATABASE elsewhere; CREATE TABLE elsewhere.t (id INT PRIMARY KEY); GRANT SELECT ON elsewhere.* TO applies;
         REVOKE EVENT ON shop.* FROM applies",
    )
    .await;
    sql(&proxy, "RESUME SYNC TASK s").await;
    let error = "SELECT COUNT(*) FROM sync.status WHERE state = 'failed' AND last_error LIKE '%making event%'";
    eventually("all but the events is made", async || {
        (cell(&proxy, error).await == "1").then_some(())
    })
    .await;
    assert_eq!(cell(&pair.branch, "SELECT shop.f(2)").await, "4");
    run_all(
        &pair.hq,
        &[
            "DROP FUNCTION f",
            "CREATE FUNCTION f(a INT) RETURNS INT DETERMINISTIC RETURN a * 3",
            "ALTER VIEW z_view AS SELECT id, n, 1 AS one FROM t",
            "DROP TRIGGER changes",
            "CREATE TRIGGER changes BEFORE UPDATE ON t FOR EACH ROW SET NEW.v = 'other'",
        ],
    )
    .await;
    sql(&pair.branch, "GRANT EVENT ON shop.* TO applies").await;
    sql(&proxy, "RESUME SYNC TASK s").await;
    proxy.wait_synced("s").await;
    assert_same(&pair.hq, &pair.branch, "shop").await;
    assert_same_programs(&pair.hq, "shop", &pair.branch, "shop").await;
    assert_eq!(cell(&pair.branch, "SELECT shop.f(2)").await, "6");
    assert_eq!(cell(&proxy, "SELECT COUNT(*) FROM sync.ddl").await, "0");
}
