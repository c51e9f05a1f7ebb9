//! Full sync of tables that are changed all the while, interrupted in every way.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use mysql_async::prelude::Queryable as _;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use crate::support::{
    ask::{self, Endpoint, cell, eventually, rows, sql},
    cluster::{Pair, Proxy},
    compare::assert_same,
};

/// Rows of each of three tables.
const ROWS: u64 = 100_000;

async fn fill(pair: &Pair) {
    sql(
        &pair.hq,
        &format!(
            "CREATE DATABASE shop;
             CREATE TABLE shop.numbers (id INT PRIMARY KEY, seat INT NOT NULL, n INT NOT NULL, UNIQUE (seat));
             CREATE TABLE shop.texts (k VARCHAR(60) COLLATE utf8mb4_0900_ai_ci PRIMARY KEY, n INT NOT NULL);
             CREATE TABLE shop.pairs (a INT, b VARCHAR(20) COLLATE utf8mb4_bin, n INT NOT NULL, PRIMARY KEY (b, a));
             SET SESSION cte_max_recursion_depth = 1000000;
             INSERT INTO shop.numbers WITH RECURSIVE c (id) AS
               (SELECT 1 UNION ALL SELECT id + 1 FROM c WHERE id < {ROWS}) SELECT id, id, 0 FROM c;
             INSERT INTO shop.texts
               SELECT CONCAT(ELT(1 + id % 4, 'Ä', 'b', 'z\\'', 'ß'), '-', LEFT(SHA2(id, 256), 40)), 0 FROM shop.numbers;
             INSERT INTO shop.pairs SELECT id % 1000, CONCAT('p', id DIV 1000), 0 FROM shop.numbers"
        ),
    )
    .await;
}

/// One transaction of each kind that full sync may be surprised by.
fn surprise(random: &mut StdRng) -> String {
    // Few enough rows that changes meet on them, all over the tables.
    let mut row = || random.random_range(1..ROWS / 100) * 100;
    let (id, other) = (row(), row());
    match random.random_range(0..9) {
        0 => format!("UPDATE shop.numbers SET n = n + 1 WHERE id BETWEEN {id} AND {id} + 20"),
        1 => format!("DELETE FROM shop.numbers WHERE id = {id}"),
        2 => format!("INSERT IGNORE INTO shop.numbers VALUES ({id}, {id}, 7)"),
        // The key changes, also past where the copy has been.
        3 => format!("UPDATE shop.numbers SET id = id + {ROWS} WHERE id = {id}"),
        4 => format!("UPDATE shop.numbers SET id = id - {ROWS} WHERE id = {id} + {ROWS}"),
        // Two rows exchange a unique value.
        5 => format!(
            "BEGIN; SELECT seat INTO @a FROM shop.numbers WHERE id = {id}; SELECT seat INTO @b FROM shop.numbers WHERE id = {other};
             UPDATE shop.numbers SET seat = -1 WHERE id = {id} AND @a <> @b;
             UPDATE shop.numbers SET seat = @a WHERE id = {other} AND @a <> @b;
             UPDATE shop.numbers SET seat = @b WHERE id = {id} AND seat = -1; COMMIT"
        ),
        6 => format!("UPDATE shop.texts SET k = CONCAT('{}', k), n = n + 1 WHERE k LIKE CONCAT('b-', LEFT(SHA2({id}, 256), 3), '%')", ["a", "zz", "é"][random.random_range(0..3)]),
        7 => format!("UPDATE shop.pairs SET b = CONCAT('q', {}), n = n + 1 WHERE a = {} AND b = 'p{}'", other % 50, id % 1000, id / 1000),
        _ => format!("DELETE FROM shop.pairs WHERE a = {} AND b = 'p{}'", id % 1000, id / 1000),
    }
}

/// Changes rows of its own at the destination.
fn own(random: &mut StdRng) -> String {
    let id = random.random_range(10_000_000..10_002_000);
    match random.random_range(0..3) {
        0 => format!("INSERT INTO shop.numbers VALUES ({id}, {id}, 0) ON DUPLICATE KEY UPDATE n = n + 1"),
        1 => format!("DELETE FROM shop.numbers WHERE id = {id}"),
        _ => format!("INSERT INTO shop.texts VALUES ('branch {id}', 0) ON DUPLICATE KEY UPDATE n = n + 1"),
    }
}

/// Writes until `stop`, then tells how many transactions it made.
fn writer(
    to: &impl Endpoint,
    stop: &Arc<AtomicBool>,
    statement: fn(&mut StdRng) -> String,
) -> tokio::task::JoinHandle<u64> {
    let (opts, stop) = (to.opts(), stop.clone());
    tokio::spawn(async move {
        let mut conn = mysql_async::Conn::new(opts).await.unwrap();
        let seed = rand::random();
        eprintln!("seed of a writer: {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        let mut made = 0;
        while !stop.load(Ordering::Acquire) {
            let text = statement(&mut random);
            match conn.query_drop(&text).await {
                Ok(()) => made += 1,
                // A key that is taken, or a deadlock with the reader of a range: another change then.
                Err(mysql_async::Error::Server(error)) if matches!(error.code, 1062 | 1213) => {
                    conn.query_drop("ROLLBACK").await.unwrap();
                }
                Err(error) => panic!("{error}\nin: {text}"),
            }
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        made
    })
}

const COPIED: &str = "SELECT COALESCE(SUM(rows_copied), 0) FROM sync.objects WHERE direction = 'forward'";

async fn copied_at_least(proxy: &Proxy, wanted: u64) -> u64 {
    eventually(&format!("{wanted} rows are copied"), async || {
        let copied = cell(proxy, COPIED).await.parse::<u64>().unwrap();
        (copied >= wanted).then_some(copied)
    })
    .await
}

#[tokio::test]
async fn tables_that_change_all_the_while_are_copied_through_a_pause_and_a_kill_without_starting_over() {
    let pair = Pair::start().await;
    fill(&pair).await;
    sql(&pair.branch, "SET GLOBAL local_infile = ON").await;
    let mut proxy = Proxy::start().await;
    proxy.register(&pair).await;
    sql(&proxy, "CREATE SYNC TASK t BETWEEN hq AND branch OBJECTS (shop.*)").await;
    let stop = Arc::new(AtomicBool::new(false));
    let at_source = writer(&pair.hq, &stop, surprise);
    sql(&proxy, "START SYNC TASK t").await;
    eventually("the copy is under way", async || {
        let state = cell(&proxy, "SELECT state FROM sync.status WHERE direction = 'forward'").await;
        assert_ne!(state, "failed");
        (state == "full").then_some(())
    })
    .await;
    let at_destination = writer(&pair.branch, &stop, own);

    let seen = copied_at_least(&proxy, ROWS / 10).await;
    let objects = rows(
        &proxy,
        "SELECT source_table, rows_estimated > 0 FROM sync.objects WHERE direction = 'forward' ORDER BY 1",
    )
    .await;
    assert_eq!(
        objects,
        [["shop.numbers", "1"], ["shop.pairs", "1"], ["shop.texts", "1"]]
    );
    sql(&proxy, "PAUSE SYNC TASK t").await;
    proxy.wait_state("t", "paused").await;
    let kept = "SELECT COALESCE(SUM(copied_rows), 0) FROM causeway.copy";
    let paused_at: u64 = cell(&pair.branch, kept).await.parse().unwrap();
    assert!(
        paused_at > 0 && paused_at < 3 * ROWS,
        "paused at {paused_at}, after {seen} were seen"
    );
    // By another statement from here on.
    sql(&pair.branch, "SET GLOBAL local_infile = OFF").await;
    sql(&proxy, "RESUME SYNC TASK t").await;

    copied_at_least(&proxy, (paused_at + ROWS / 2).min(2 * ROWS)).await;
    proxy.kill9();
    // What is done is marked: were it copied again, the mark would be gone.
    let mark = 1_000_000_000;
    let marked = cell(&pair.branch, "SELECT COUNT(*) FROM causeway.copy WHERE part = 0").await;
    assert_ne!(marked, "0");
    sql(
        &pair.branch,
        &format!("UPDATE causeway.copy SET copied_rows = copied_rows + {mark} WHERE part = 0"),
    )
    .await;
    sql(&pair.branch, "SET GLOBAL local_infile = ON").await;
    proxy.restart().await.unwrap();
    proxy.wait_state("t", "running").await;
    let copied: u64 = cell(&proxy, COPIED).await.parse().unwrap();
    assert_eq!(
        (copied / mark).to_string(),
        marked,
        "what was copied before the kill was copied again"
    );

    stop.store(true, Ordering::Release);
    let made = [at_source.await.unwrap(), at_destination.await.unwrap()];
    assert!(made.iter().all(|made| *made > 20), "{made:?}");
    proxy.wait_synced("t").await;
    assert_same(&pair.hq, &pair.branch, "shop").await;
    assert_eq!(cell(&proxy, "SELECT COUNT(*) FROM sync.conflicts").await, "0");
    assert_eq!(cell(&pair.branch, "SELECT COUNT(*) FROM causeway.copy").await, "0");
}

#[tokio::test]
async fn rows_that_exist_at_the_destination_stay_when_that_is_asked_for() {
    let pair = Pair::start().await;
    let table = "CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, n VARCHAR(10));";
    sql(
        &pair.hq,
        &format!("{table} INSERT INTO shop.t VALUES (1, 'hq'), (2, 'hq'), (3, 'hq')"),
    )
    .await;
    sql(
        &pair.branch,
        &format!("{table} INSERT INTO shop.t VALUES (1, 'branch'), (9, 'branch')"),
    )
    .await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;

    sql(&proxy, "CREATE SYNC TASK t FROM hq TO branch OBJECTS (shop.*)").await;
    // The refusal may come at once or a moment later.
    let error = match ask::try_sql(&proxy, "START SYNC TASK t").await {
        Err(error) => error.to_string(),
        Ok(()) => {
            let query = "SELECT last_error FROM sync.status WHERE state = 'failed'";
            eventually("the task fails", async || {
                rows(&proxy, query).await.first().map(|row| row[0].clone())
            })
            .await
        }
    };
    assert!(
        error.contains("shop.t") && error.contains("existing_tables = 'proceed'"),
        "{error}"
    );
    assert_eq!(cell(&pair.branch, "SELECT COUNT(*) FROM shop.t").await, "2");
    sql(&proxy, "DROP SYNC TASK t").await;

    sql(
        &proxy,
        "CREATE SYNC TASK t FROM hq TO branch OBJECTS (shop.*)
         WITH (existing_tables = 'proceed', conflict_policy = 'overwrite')",
    )
    .await;
    // The statement that is tried first would leave them alone with a warning, and others with them.
    sql(&pair.branch, "SET GLOBAL local_infile = ON").await;
    sql(&proxy, "START SYNC TASK t").await;
    proxy.wait_state("t", "running").await;
    proxy.wait_synced("t").await;
    let all = "SELECT id, n FROM shop.t ORDER BY id";
    assert_eq!(
        rows(&pair.branch, all).await,
        [["1", "branch"], ["2", "hq"], ["3", "hq"], ["9", "branch"]]
    );
    sql(&pair.hq, "UPDATE shop.t SET n = 'changed'").await;
    proxy.wait_synced("t").await;
    assert_eq!(
        rows(&pair.branch, all).await,
        [["1", "changed"], ["2", "changed"], ["3", "changed"], ["9", "branch"]]
    );
}

#[tokio::test]
async fn tables_that_are_altered_renamed_or_made_during_full_sync_arrive_whole() {
    let pair = Pair::start().await;
    let fill = |table: &str| {
        format!(
            "INSERT INTO s.{table} WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 60000)
             SELECT n, n * 2, REPEAT('x', 50) FROM n"
        )
    };
    sql(
        &pair.hq,
        &format!(
            "CREATE DATABASE s; SET SESSION cte_max_recursion_depth = 100000;
             CREATE TABLE s.altered (id INT PRIMARY KEY, v INT, f VARCHAR(100)); {};
             CREATE TABLE s.renamed LIKE s.altered; {}; CREATE TABLE s.plain LIKE s.altered; {}",
            fill("altered"),
            fill("renamed"),
            fill("plain")
        ),
    )
    .await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    sql(
        &proxy,
        "CREATE SYNC TASK s BETWEEN hq AND branch OBJECTS (s.*) WITH (heartbeat = OFF, workers = 1)",
    )
    .await;
    sql(&proxy, "START SYNC TASK s").await;
    eventually("some rows have been copied", async || {
        let rows = "SELECT COALESCE(SUM(rows_copied), 0) FROM sync.objects";
        (cell(&proxy, rows).await != "0").then_some(())
    })
    .await;
    sql(
        &pair.hq,
        "ALTER TABLE s.altered RENAME COLUMN v TO w; UPDATE s.altered SET w = w + 1 WHERE id % 3 = 0;
         RENAME TABLE s.renamed TO s.other; DELETE FROM s.other WHERE id % 5 = 0;
         CREATE TABLE s.new_one (id INT PRIMARY KEY); INSERT INTO s.new_one VALUES (1), (2);
         ALTER TABLE s.plain ADD COLUMN n INT DEFAULT 3; UPDATE s.plain SET n = 4 WHERE id < 100",
    )
    .await;
    eventually("full sync is over", async || {
        let state = rows(
            &proxy,
            "SELECT state, last_error FROM sync.status WHERE direction = 'forward'",
        )
        .await;
        assert_ne!(state[0][0], "failed", "{state:?}");
        (state[0][0] == "running").then_some(())
    })
    .await;
    proxy.wait_synced("s").await;
    assert_same(&pair.hq, &pair.branch, "s").await;
    sql(
        &pair.branch,
        "UPDATE s.altered SET w = 0 WHERE id < 10; INSERT INTO s.other VALUES (99999, 1, 'b')",
    )
    .await;
    proxy.wait_synced("s").await;
    assert_same(&pair.hq, &pair.branch, "s").await;
}

#[tokio::test]
async fn keys_of_large_tables_are_made_behind_the_rows_and_come_back_whatever_happens() {
    let pair = Pair::start().await;
    let rows_of = |table: &str| {
        format!(
            "INSERT INTO s.{table} (id, a, b, doc) WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 150000)
             SELECT n, n % 7, CONCAT('row ', n), JSON_OBJECT('x', n) FROM n; ANALYZE TABLE s.{table};"
        )
    };
    sql(
        &pair.hq,
        &format!(
            "CREATE DATABASE s; SET SESSION cte_max_recursion_depth = 1000000;
             CREATE TABLE s.parents (a INT PRIMARY KEY); INSERT INTO s.parents VALUES (0), (1), (2), (3), (4), (5), (6);
             CREATE TABLE s.large (id INT NOT NULL, a INT, b VARCHAR(40), doc JSON, serial INT AUTO_INCREMENT, PRIMARY KEY (id),
               UNIQUE KEY u (id, a), KEY needed (a, b), KEY counter (serial, a), KEY `b``1` (b(10) DESC, a) COMMENT 'b, a',
               KEY functional ((CAST(doc->'$.x' AS UNSIGNED))) INVISIBLE, FULLTEXT KEY words (b),
               CONSTRAINT of_parent FOREIGN KEY (a) REFERENCES s.parents (a));
             CREATE TABLE s.altered (id INT PRIMARY KEY, a INT, b VARCHAR(40), doc JSON, KEY a (a), KEY b (b));
             CREATE TABLE s.small (id INT PRIMARY KEY, a INT, KEY a (a)); INSERT INTO s.small VALUES (1, 1);
             {} {}",
            rows_of("large"),
            rows_of("altered"),
        ),
    )
    .await;
    let mut proxy = Proxy::start().await;
    proxy.register(&pair).await;
    sql(
        &proxy,
        "CREATE SYNC TASK t BETWEEN hq AND branch OBJECTS (s.*) WITH (workers = 1)",
    )
    .await;
    sql(&proxy, "START SYNC TASK t").await;
    copied_at_least(&proxy, 10_000).await;
    proxy.kill9();
    proxy.restart().await.unwrap();
    copied_at_least(&proxy, 40_000).await;
    sql(&proxy, "PAUSE SYNC TASK t").await;
    proxy.wait_state("t", "paused").await;
    let keys =
        "SELECT table_name, GROUP_CONCAT(DISTINCT index_name ORDER BY index_name) FROM information_schema.statistics
        WHERE table_schema = 's' GROUP BY table_name ORDER BY table_name";
    assert_eq!(
        rows(&pair.branch, keys).await,
        [
            ["altered", "PRIMARY"],
            ["large", "counter,functional,needed,PRIMARY,u,words"],
            ["parents", "PRIMARY"],
            ["small", "a,PRIMARY"],
        ]
    );
    let noted = "SELECT COUNT(*), COUNT(DISTINCT source_table) FROM causeway.late_keys";
    assert_eq!(rows(&pair.branch, noted).await, [["3", "2"]]);
    // One table starts over, and is made with its keys; of the other a key is there already when it would be made.
    sql(&pair.hq, "ALTER TABLE s.altered ADD COLUMN c INT DEFAULT 5").await;
    sql(
        &pair.branch,
        "SET SESSION sql_log_bin = 0; ALTER TABLE s.large ADD KEY `b``1` (b(10) DESC, a) COMMENT 'b, a'",
    )
    .await;
    sql(&proxy, "RESUME SYNC TASK t").await;
    proxy.wait_state("t", "running").await;
    sql(&pair.branch, "UPDATE s.large SET b = 'changed' WHERE id % 1000 = 0").await;
    proxy.wait_synced("t").await;
    assert_same(&pair.hq, &pair.branch, "s").await;
    assert_eq!(rows(&pair.branch, keys).await, rows(&pair.hq, keys).await);
    let parts = "SELECT table_name, index_name, seq_in_index, column_name, expression, sub_part, collation, index_type,
        index_comment, is_visible FROM information_schema.statistics WHERE table_schema = 's' ORDER BY 1, 2, 3";
    assert_eq!(rows(&pair.branch, parts).await, rows(&pair.hq, parts).await);
    assert_eq!(rows(&pair.branch, noted).await, [["0", "0"]]);
    // The other direction has met the statements in the log, and knows whose they are.
    let met = "SELECT statement, outcome FROM sync.ddl WHERE direction = 'reverse'";
    assert_eq!(rows(&proxy, met).await, Vec::<Vec<String>>::new());
    let told =
        "SELECT COUNT(*) FROM sync.events WHERE message LIKE 'the keys of s.altered, s.large that are not unique%'";
    assert_eq!(cell(&proxy, told).await, "1");
}
