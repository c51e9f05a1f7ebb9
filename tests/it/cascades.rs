//! What foreign keys do to the children of a changed row ends the same on both sides, whether a server logs it (since 9.6)
//! or leaves it to InnoDB (before, and with `innodb_native_foreign_keys=ON`), and nothing is done twice.

use std::sync::atomic::{AtomicBool, Ordering};

use causeway::demo::mysqld::{LocalServer, ServerOptions};

use crate::support::{
    ask::{cell, connect, eventually, rows, sql, try_sql},
    cluster::{Pair, Proxy},
    compare::assert_same,
};
use mysql_async::prelude::Queryable;

/// `c` follows `p` by two keys, `g` follows `c`, `n` is set to NULL, `tree` follows itself, `r` holds its parent fast.
/// `other.outside` is not selected: each server keeps its own, and its own foreign key on it.
const TABLES: &str = "
    CREATE DATABASE f; CREATE DATABASE other; USE f;
    CREATE TABLE p (id INT PRIMARY KEY, code VARCHAR(20) NOT NULL, v INT NOT NULL DEFAULT 0, UNIQUE KEY (code));
    CREATE TABLE c (id INT PRIMARY KEY, p INT, code VARCHAR(20), changed TIMESTAMP NOT NULL DEFAULT '2020-01-01 00:00:00'
        ON UPDATE CURRENT_TIMESTAMP, doubled INT AS (p * 2) STORED, KEY (doubled),
        CONSTRAINT c_code FOREIGN KEY (code) REFERENCES p (code) ON DELETE SET NULL ON UPDATE CASCADE);
    CREATE TABLE c2 (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE ON UPDATE CASCADE);
    CREATE TABLE g (id INT PRIMARY KEY, c2 INT, FOREIGN KEY (c2) REFERENCES c2 (id) ON DELETE CASCADE ON UPDATE CASCADE);
    CREATE TABLE n (id INT PRIMARY KEY, c2 INT, FOREIGN KEY (c2) REFERENCES c2 (id) ON DELETE SET NULL ON UPDATE CASCADE);
    CREATE TABLE tree (id INT PRIMARY KEY, up INT, FOREIGN KEY (up) REFERENCES tree (id) ON DELETE CASCADE);
    CREATE TABLE r (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id));
    CREATE TABLE other.outside (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES f.p (id) ON DELETE CASCADE);";

async fn start(hq_native: &str, branch_native: &str) -> (Pair, Proxy) {
    let options = |native: &str| ServerOptions::with(&[&format!("--innodb-native-foreign-keys={native}")]);
    let pair = Pair::start_with(options(hq_native), options(branch_native)).await;
    sql(&pair.hq, TABLES).await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    (pair, proxy)
}

async fn run_task(proxy: &Proxy) {
    sql(
        proxy,
        "CREATE SYNC TASK t BETWEEN hq AND branch OBJECTS (f.*) WITH (heartbeat = OFF)",
    )
    .await;
    sql(proxy, "START SYNC TASK t").await;
    proxy.wait_state("t", "running").await;
}

async fn assert_equal(pair: &Pair, proxy: &Proxy, after: &str) {
    proxy.wait_synced("t").await;
    let conflicts = rows(proxy, "SELECT * FROM sync.conflicts").await;
    assert!(conflicts.is_empty(), "after {after}: {conflicts:#?}");
    println!("after {after}");
    assert_same(&pair.hq, &pair.branch, "f").await;
}

/// Parents with two children each, and theirs. Ids from `from` on.
fn family(from: u32, parents: u32) -> String {
    let mut text = String::from("USE f;");
    for id in from..from + parents {
        let (first, second) = (id * 10, id * 10 + 1);
        text += &format!(
            "INSERT INTO p (id, code) VALUES ({id}, 'code {id}');
             INSERT INTO c (id, p, code) VALUES ({first}, {id}, 'code {id}'), ({second}, {id}, 'code {id}');
             INSERT INTO c2 VALUES ({first}, {id}), ({second}, {id});
             INSERT INTO g VALUES ({first}, {first}), ({second}, {first}); INSERT INTO n VALUES ({first}, {second});
             INSERT INTO tree VALUES ({id}, NULL), ({first}, {id}), ({second}, {first});"
        );
    }
    text
}

/// One statement of every kind, on a family that begins with `id`.
fn statements(id: u32) -> Vec<String> {
    let (next, first, second) = (id + 1, id * 10, id * 10 + 1);
    let free = id + 100_000;
    vec![
        format!("UPDATE f.p SET v = v + 1 WHERE id = {id}"),
        format!("UPDATE f.p SET id = {free} WHERE id = {id}"),
        format!("UPDATE f.p SET code = 'other {id}' WHERE id = {free}"),
        format!("UPDATE f.p SET id = {id}, code = 'both {id}' WHERE id = {free}"),
        format!("UPDATE f.c2 SET id = {} WHERE id = {second}", second + 100_000),
        format!("DELETE FROM f.c2 WHERE id = {first}"),
        format!("DELETE FROM f.tree WHERE id = {id}"),
        format!("DELETE FROM f.tree WHERE id BETWEEN {next} AND {next}1 ORDER BY id DESC"),
        format!(
            "BEGIN; INSERT INTO f.c2 VALUES ({first}, {id}); INSERT INTO f.n VALUES ({next}2, {first});
             DELETE FROM f.p WHERE id = {id}; INSERT INTO f.p (id, code) VALUES ({id}, 'again');
             INSERT INTO f.c2 VALUES ({first}, {id}); COMMIT"
        ),
        format!("REPLACE INTO f.p (id, code) VALUES ({id}, 'replaced {id}')"),
        format!("INSERT INTO f.p (id, code) VALUES ({id}, 'x') ON DUPLICATE KEY UPDATE id = {free}"),
        format!("SET foreign_key_checks = 0; DELETE FROM f.p WHERE id = {next}; SET foreign_key_checks = 1"),
        format!("INSERT INTO f.p (id, code) VALUES ({next}, 'code {next}')"),
        format!(
            "INSERT INTO f.r VALUES ({id}, {next}); UPDATE f.p SET code = 'held {next}' WHERE id = {next}; DELETE FROM f.r"
        ),
        format!("DELETE FROM f.p WHERE id IN ({next}, {}, {free})", id + 2),
        format!(
            "XA START 'x{id}'; DELETE FROM f.p WHERE id = {}; XA END 'x{id}'; XA PREPARE 'x{id}'; XA COMMIT 'x{id}'",
            id + 3
        ),
    ]
}

async fn follows(hq_native: &str, branch_native: &str) {
    let (pair, proxy) = start(hq_native, branch_native).await;
    sql(&pair.hq, &(family(1, 5) + &family(501, 5))).await;
    run_task(&proxy).await;
    proxy.wait_synced("t").await;
    for (server, id) in [(&pair.hq, 1), (&pair.branch, 501)] {
        for statement in statements(id) {
            sql(server, &statement).await;
            assert_equal(&pair, &proxy, &statement).await;
        }
    }
    sql(&pair.hq, &family(1001, 60)).await;
    sql(&pair.branch, &family(2001, 60)).await;
    assert_equal(&pair, &proxy, "new families").await;
    // Both sides at once, several sessions each, with changes that have nothing to do with it in between.
    let mut sessions = Vec::new();
    for (server, from) in [(&pair.hq, 1001), (&pair.branch, 2001)] {
        for session in 0..3 {
            sessions.push(load(server, from + session * 20));
        }
    }
    futures_util::future::join_all(sessions).await;
    assert_equal(&pair, &proxy, "load on both sides").await;
    let left = cell(&pair.hq, "SELECT COUNT(*) FROM f.c2").await;
    assert_ne!(left, "0", "the load has left nothing to compare");
    // A change is counted once, at the side where it was made.
    let counted = "SELECT COUNT(*) FROM sync.objects WHERE conflicts > 0";
    assert_eq!(cell(&proxy, counted).await, "0");
}

async fn load(server: &LocalServer, from: u32) {
    let mut conn = connect(server).await;
    for id in from..from + 20 {
        let (first, free) = (id * 10, id + 100_000);
        for statement in [
            format!("UPDATE f.c2 SET p = p WHERE id = {first}"),
            format!("UPDATE f.p SET v = v + 1 WHERE id = {id}"),
            format!("UPDATE f.p SET id = {free} WHERE id = {id}"),
            format!("INSERT INTO f.c2 VALUES ({}, {free})", first + 5),
            format!("INSERT INTO f.n VALUES ({}, {})", first + 5, first + 5),
            format!("UPDATE f.p SET code = 'moved {id}' WHERE id = {free}"),
            format!("INSERT INTO f.p (id, code) VALUES ({}, 'new {id}')", id + 200_000),
            format!("UPDATE f.c2 SET p = {} WHERE id = {}", id + 200_000, first + 5),
            format!("DELETE FROM f.p WHERE id = {free}"),
            format!("INSERT INTO f.c2 VALUES ({first}, {})", id + 200_000),
            format!("DELETE FROM f.tree WHERE id = {id}"),
        ] {
            // A deadlock that the server does not tell of (see below) takes the client's statement back, too: it does what
            // clients can do, and looks at the count.
            let changes_a_parent = statement.starts_with("UPDATE f.p ") || statement.starts_with("DELETE FROM f.p ");
            for attempt in 1.. {
                conn.query_drop(&statement)
                    .await
                    .unwrap_or_else(|error| panic!("{error} in {statement}"));
                if !changes_a_parent || conn.affected_rows() > 0 {
                    break;
                }
                assert!(attempt < 5, "{statement} finds no row");
            }
        }
    }
}

#[tokio::test]
async fn neither_side_logs_cascades() {
    follows("ON", "ON").await;
}

#[tokio::test]
async fn only_the_destination_logs_cascades() {
    follows("ON", "OFF").await;
}

#[tokio::test]
async fn only_the_source_logs_cascades() {
    follows("OFF", "ON").await;
}

#[tokio::test]
async fn both_sides_log_cascades() {
    follows("OFF", "OFF").await;
}

#[tokio::test]
async fn a_table_outside_of_the_task_follows_as_the_destinations_foreign_keys_say() {
    let (pair, proxy) = start("ON", "ON").await;
    sql(&pair.hq, &family(1, 3)).await;
    run_task(&proxy).await;
    proxy.wait_synced("t").await;
    sql(
        &pair.branch,
        "CREATE DATABASE other; CREATE TABLE other.outside (id INT PRIMARY KEY, p INT,
         FOREIGN KEY (p) REFERENCES f.p (id) ON DELETE CASCADE)",
    )
    .await;
    sql(&pair.branch, "INSERT INTO other.outside VALUES (1, 1), (2, 2), (3, 3)").await;
    sql(&pair.hq, "DELETE FROM f.p WHERE id = 1").await;
    assert_equal(&pair, &proxy, "a delete").await;
    // Made since the link has looked at the parent: known at the latest after it starts anew.
    sql(&proxy, "PAUSE SYNC TASK t").await;
    sql(&proxy, "RESUME SYNC TASK t").await;
    proxy.wait_state("t", "running").await;
    sql(&pair.hq, "DELETE FROM f.p WHERE id = 2").await;
    assert_equal(&pair, &proxy, "another delete").await;
    let left = rows(&pair.branch, "SELECT id FROM other.outside ORDER BY id").await;
    assert_eq!(
        left,
        [["1"], ["3"]].map(|row| row.map(str::to_owned).to_vec()).to_vec()[1..].to_vec()
    );
}

/// MySQL 9.7.4, where it carries out foreign keys by itself, answers OK to a statement that is a deadlock's victim while it
/// writes children, with 0 rows or with 1, and has rolled the whole transaction back: what stood before the statement is
/// gone, and what comes behind commits by itself.
#[tokio::test]
async fn a_deadlock_that_the_destination_does_not_tell_of_loses_nothing() {
    let (pair, proxy) = start("ON", "OFF").await;
    sql(&pair.hq, &family(1, 2)).await;
    run_task(&proxy).await;
    proxy.wait_synced("t").await;
    sql(
        &pair.branch,
        "CREATE DATABASE other; CREATE TABLE other.heavy (id INT PRIMARY KEY)",
    )
    .await;
    // Where the row would go that is set to NULL: the server answers with 0 rows, and with 1.
    for (id, place) in [(1, "f.c WHERE code IS NULL"), (2, "f.n WHERE c2 IS NULL")] {
        let mut client = connect(&pair.branch).await;
        // Of two transactions InnoDB rolls the one back that has changed less.
        let heavy = format!(
            "SET SESSION transaction_isolation = 'REPEATABLE-READ', cte_max_recursion_depth = 10000; BEGIN;
             INSERT INTO other.heavy WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) SELECT i FROM n;
             SELECT id FROM {place} FOR UPDATE"
        );
        client.query_drop(heavy).await.unwrap();
        sql(
            &pair.hq,
            &format!(
                "USE f; BEGIN; INSERT INTO p (id, code) VALUES (90{id}, 'before {id}'); DELETE FROM p WHERE id = {id};
                 INSERT INTO p (id, code) VALUES (91{id}, 'after {id}'); COMMIT"
            ),
        )
        .await;
        eventually("the applier waits for the child's place", async || {
            let waits = cell(&pair.branch, "SELECT COUNT(*) FROM performance_schema.data_lock_waits").await;
            (waits != "0").then_some(())
        })
        .await;
        client
            .query_drop(format!("SELECT id FROM f.p WHERE id = {id} FOR UPDATE; ROLLBACK"))
            .await
            .unwrap();
        let deadlocks = "SELECT count FROM information_schema.innodb_metrics WHERE name = 'lock_deadlocks'";
        assert_eq!(cell(&pair.branch, deadlocks).await, id.to_string());
        assert_equal(&pair, &proxy, &format!("a deadlock over {place}")).await;
    }
    let left = "SELECT GROUP_CONCAT(id ORDER BY id) FROM f.p";
    assert_eq!(cell(&pair.branch, left).await, "901,902,911,912");
}

/// A transaction that is streamed, as it is too large to be kept whole.
#[tokio::test]
async fn a_large_transaction_cascades_in_its_order() {
    let (pair, proxy) = start("ON", "OFF").await;
    sql(
        &pair.hq,
        "USE f; CREATE TABLE wide (id INT PRIMARY KEY, filling VARCHAR(9000) CHARACTER SET latin1 NOT NULL);
         CREATE TABLE leaf (id INT PRIMARY KEY, wide INT, FOREIGN KEY (wide) REFERENCES wide (id) ON DELETE CASCADE ON UPDATE CASCADE);
         SET SESSION cte_max_recursion_depth = 10000;
         INSERT INTO wide WITH RECURSIVE c (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM c WHERE id < 3000)
            SELECT id, REPEAT('x', 8000) FROM c;
         INSERT INTO leaf SELECT id, id FROM wide",
    )
    .await;
    run_task(&proxy).await;
    proxy.wait_synced("t").await;
    sql(
        &pair.hq,
        "USE f; BEGIN; UPDATE wide SET filling = REPEAT('y', 8000); UPDATE wide SET id = id + 10000 WHERE id <= 100;
         INSERT INTO leaf SELECT id, id FROM wide WHERE id > 10000; DELETE FROM wide WHERE id % 2 = 0;
         INSERT INTO wide VALUES (2, 'new'); INSERT INTO leaf VALUES (2, 2); COMMIT",
    )
    .await;
    assert_equal(&pair, &proxy, "a large transaction").await;
    assert_eq!(cell(&pair.branch, "SELECT COUNT(*) FROM f.leaf").await, "1551");
}

/// Rows that were copied before their parent went, with the parent or what is between them copied after.
#[tokio::test]
async fn cascades_during_full_sync_leave_no_orphans() {
    for native in ["ON", "OFF"] {
        let (pair, proxy) = start(native, "OFF").await;
        // Named so that in alphabetical order a leaf is copied before its parent, and that one before its own.
        sql(
            &pair.hq,
            "USE f; CREATE TABLE a_leaf (id INT PRIMARY KEY, c2 INT,
                FOREIGN KEY (c2) REFERENCES c2 (id) ON DELETE CASCADE ON UPDATE SET NULL);
             CREATE TABLE b_many (id INT PRIMARY KEY, filling CHAR(200) NOT NULL);
             CREATE TABLE d_many LIKE b_many;
             SET SESSION cte_max_recursion_depth = 100000;
             INSERT INTO b_many WITH RECURSIVE c (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM c WHERE id < 30000)
                SELECT id, 'x' FROM c;
             INSERT INTO d_many SELECT * FROM b_many",
        )
        .await;
        sql(&pair.hq, &family(1001, 900)).await;
        sql(&pair.hq, "INSERT INTO f.a_leaf SELECT id, id FROM f.c2").await;
        let (started, over) = (AtomicBool::new(false), AtomicBool::new(false));
        let writer = async {
            let mut conn = connect(&pair.hq).await;
            eventually("the task has started", async || {
                started.load(Ordering::Relaxed).then_some(())
            })
            .await;
            for id in (1001..1901).rev() {
                let text = match id % 3 {
                    0 => format!("DELETE FROM f.p WHERE id = {id}"),
                    1 => format!("UPDATE f.p SET id = {} WHERE id = {id}", id + 100_000),
                    _ => {
                        format!("UPDATE f.p SET code = 'late {id}' WHERE id = {id}; DELETE FROM f.c2 WHERE id = {id}1")
                    }
                };
                conn.query_drop(&text).await.unwrap();
                if over.load(Ordering::Relaxed) {
                    break;
                }
            }
        };
        let task = async {
            sql(
                &proxy,
                "CREATE SYNC TASK t BETWEEN hq AND branch OBJECTS (f.*) WITH (heartbeat = OFF)",
            )
            .await;
            started.store(true, Ordering::Relaxed);
            sql(&proxy, "START SYNC TASK t").await;
            proxy.wait_state("t", "running").await;
            over.store(true, Ordering::Relaxed);
        };
        tokio::join!(writer, task);
        assert_equal(&pair, &proxy, "full sync under load").await;
        let orphans = "SELECT COUNT(*) FROM f.a_leaf LEFT JOIN f.c2 ON c2.id = a_leaf.c2 WHERE a_leaf.c2 IS NOT NULL AND c2.id IS NULL";
        assert_eq!(cell(&pair.branch, orphans).await, "0");
    }
}

#[tokio::test]
async fn a_child_whose_parent_is_left_out_is_refused_where_nobody_would_hear_of_it() {
    for (native, refused) in [("ON", true), ("OFF", false)] {
        let (pair, proxy) = start(native, native).await;
        sql(
            &pair.hq,
            "CREATE DATABASE part; USE part; CREATE TABLE p (id INT PRIMARY KEY);
             CREATE TABLE c (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id) ON DELETE SET NULL)",
        )
        .await;
        sql(
            &pair.branch,
            "CREATE DATABASE part; CREATE TABLE part.p (id INT PRIMARY KEY)",
        )
        .await;
        sql(&proxy, "CREATE SYNC TASK part BETWEEN hq AND branch OBJECTS (part.c)").await;
        let started = try_sql(&proxy, "START SYNC TASK part").await;
        match (refused, started) {
            (true, Err(error)) => assert!(
                error.to_string().contains("part.c has a foreign key") && error.to_string().contains("add the parent"),
                "{error}"
            ),
            (false, Ok(())) => {}
            (_, other) => panic!("innodb_native_foreign_keys={native}: {other:?}"),
        }
    }
}
