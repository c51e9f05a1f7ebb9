//! REVERSE OBJECTS: what the reverse direction alone selects is made and copied there, and then followed; what both
//! directions have is only followed.

use causeway::demo::mysqld::LocalServer;

use crate::support::{
    ask::{cell, error_of, eventually, rows, sql},
    cluster::{Pair, Proxy},
};

const ROWS: u64 = 30_000;

/// `shop` at hq, which goes forward; `lab` at the branch, which goes back.
async fn fill(pair: &Pair) {
    let numbers = format!(
        "SET SESSION cte_max_recursion_depth = 1000000; INSERT INTO # WITH RECURSIVE c (id) AS
           (SELECT 1 UNION ALL SELECT id + 1 FROM c WHERE id < {ROWS}) SELECT id, 'full', id FROM c"
    );
    let table = "(id INT PRIMARY KEY, v VARCHAR(20), seat INT, UNIQUE (seat))";
    let hq = numbers.replace('#', "shop.orders");
    sql(
        &pair.hq,
        &format!("CREATE DATABASE shop; CREATE TABLE shop.orders {table}; {hq}"),
    )
    .await;
    let [results, notes] = ["lab.results", "lab.notes"].map(|name| numbers.replace('#', name));
    sql(
        &pair.branch,
        &format!(
            "CREATE DATABASE lab CHARACTER SET latin1; CREATE TABLE lab.results {table}; CREATE TABLE lab.notes {table};
             CREATE TABLE lab.secret {table}; {results}; {notes}; INSERT INTO lab.secret VALUES (1, 'x', 1);
             CREATE VIEW lab.views_stay AS SELECT id FROM lab.notes"
        ),
    )
    .await;
}

const TASK: &str = "CREATE SYNC TASK t BETWEEN hq AND branch OBJECTS (shop.*)
    REVERSE OBJECTS (shop.*, lab.* AS lab_copy.*, NOT lab.secret) WITH (heartbeat = OFF)";

async fn assert_in_step(pair: &Pair) {
    for (here, there) in [
        ("shop.orders", "shop.orders"),
        ("lab_copy.results", "lab.results"),
        ("lab_copy.notes", "lab.notes"),
    ] {
        let all = |table| format!("SELECT * FROM {table} ORDER BY id");
        let (here, there) = (rows(&pair.hq, &all(here)).await, rows(&pair.branch, &all(there)).await);
        let first = here.iter().zip(&there).find(|(a, b)| a != b);
        assert!(
            first.is_none() && here.len() == there.len(),
            "{first:?}, {} and {} rows",
            here.len(),
            there.len()
        );
    }
}

async fn tables(server: &LocalServer, database: &str) -> String {
    let query = format!(
        "SELECT GROUP_CONCAT(TABLE_NAME ORDER BY TABLE_NAME) FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{database}'"
    );
    cell(server, &query).await
}

#[tokio::test]
async fn what_only_the_reverse_direction_selects_is_made_copied_and_followed() {
    let pair = Pair::start().await;
    fill(&pair).await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    sql(&proxy, TASK).await;
    let shown = rows(&proxy, "SHOW CREATE SYNC TASK t").await[0][1].clone();
    sql(&proxy, "DROP SYNC TASK t").await;
    sql(&proxy, &shown).await;
    sql(&proxy, "START SYNC TASK t").await;
    proxy.wait_synced("t").await;
    assert_eq!(tables(&pair.hq, "lab_copy").await, "notes,results");
    assert_eq!(tables(&pair.branch, "lab_copy").await, "NULL");
    assert_in_step(&pair).await;
    let charset = "SELECT DEFAULT_CHARACTER_SET_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = 'lab_copy'";
    assert_eq!(cell(&pair.hq, charset).await, "latin1");
    // The reverse direction has copied what is its own, and nothing else.
    let copied =
        "SELECT direction, source_table, destination_table, rows_copied, phase FROM sync.objects ORDER BY 1, 2";
    let copied_rows = ROWS.to_string();
    let expected = [
        ["forward", "shop.orders", "shop.orders", &copied_rows, "incremental"],
        ["reverse", "lab.notes", "lab_copy.notes", &copied_rows, "incremental"],
        [
            "reverse",
            "lab.results",
            "lab_copy.results",
            &copied_rows,
            "incremental",
        ],
    ];
    assert_eq!(rows(&proxy, copied).await, expected);
    sql(
        &pair.hq,
        "INSERT INTO shop.orders VALUES (-1, 'hq', -1); INSERT INTO lab_copy.notes VALUES (-9, 'mine', -9)",
    )
    .await;
    sql(
        &pair.branch,
        "INSERT INTO shop.orders VALUES (-2, 'branch', -2); UPDATE shop.orders SET v = 'branch' WHERE id = 2;
         INSERT INTO lab.notes VALUES (-1, 'branch', -1); UPDATE lab.results SET v = 'branch' WHERE id = 1;
         DELETE FROM lab.notes WHERE id = 3; INSERT INTO lab.secret VALUES (2, 'x', 2)",
    )
    .await;
    proxy.wait_synced("t").await;
    // Rows of those tables at hq are hq's own: nothing takes them to the branch.
    sql(&pair.hq, "DELETE FROM lab_copy.notes WHERE id = -9").await;
    assert_in_step(&pair).await;
    // DDL does not go this way, whatever it is about.
    sql(
        &pair.branch,
        "CREATE TABLE lab.later (id INT PRIMARY KEY); ALTER TABLE lab.notes ADD COLUMN more INT",
    )
    .await;
    proxy.wait_synced("t").await;
    assert_eq!(tables(&pair.hq, "lab_copy").await, "notes,results");
    let refused = "SELECT COUNT(*) FROM sync.ddl WHERE direction = 'reverse' AND outcome = 'refused'";
    assert_eq!(cell(&proxy, refused).await, "2");
    assert_eq!(cell(&proxy, "SELECT COUNT(*) FROM sync.conflicts").await, "0");
}

#[tokio::test]
async fn a_reverse_copy_that_is_killed_goes_on_and_meets_changes_rightly() {
    let pair = Pair::start().await;
    fill(&pair).await;
    let mut proxy = Proxy::start().await;
    proxy.register(&pair).await;
    sql(&proxy, TASK).await;
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writer = {
        let (opts, stop) = (pair.branch.opts(), stop.clone());
        tokio::spawn(async move {
            use mysql_async::prelude::Queryable as _;
            let mut conn = mysql_async::Conn::new(opts).await.unwrap();
            let mut made = 0_u64;
            while !stop.load(std::sync::atomic::Ordering::Acquire) {
                let (id, other) = (made * 7919 % ROWS + 1, made * 104_729 % ROWS + 1);
                let text = format!(
                    "BEGIN; UPDATE lab.results SET v = 'r{made}' WHERE id = {id};
                     DELETE FROM lab.notes WHERE id = {id}; UPDATE lab.notes SET id = id + {ROWS}, v = 'moved' WHERE id = {other};
                     INSERT IGNORE INTO lab.notes VALUES ({id}, 'again', {id});
                     UPDATE lab.results SET seat = -{id} WHERE id = {id}; UPDATE lab.results SET seat = {id} WHERE id = {id}; COMMIT"
                );
                conn.query_drop(text).await.unwrap();
                made += 1;
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
            made
        })
    };
    sql(&proxy, "START SYNC TASK t").await;
    let phase = "SELECT phase FROM sync.status WHERE direction = 'reverse'";
    let copied = "SELECT COALESCE(SUM(rows_copied), 0) FROM sync.objects WHERE direction = 'reverse'";
    eventually("the reverse copy is under way", async || {
        let done: u64 = cell(&proxy, copied).await.parse().unwrap();
        (cell(&proxy, phase).await == "full" && done > 0).then_some(())
    })
    .await;
    proxy.kill9();
    let begun = "SELECT COUNT(*) FROM causeway.copied WHERE copied_from <> '' AND copied_until = ''";
    assert_eq!(cell(&pair.hq, begun).await, "2");
    proxy.restart().await.unwrap();
    proxy.wait_state("t", "running").await;
    stop.store(true, std::sync::atomic::Ordering::Release);
    assert!(writer.await.unwrap() > 20);
    proxy.wait_synced("t").await;
    assert_in_step(&pair).await;
    assert_eq!(cell(&proxy, "SELECT COUNT(*) FROM sync.conflicts").await, "0");
    // Once all that could meet the copy is applied, the rows that say so are of no more use.
    sql(&proxy, "PAUSE SYNC TASK t").await;
    sql(&proxy, "RESUME SYNC TASK t").await;
    proxy.wait_state("t", "running").await;
    assert_eq!(cell(&pair.hq, "SELECT COUNT(*) FROM causeway.copied").await, "0");
}

#[tokio::test]
async fn what_is_in_the_way_of_a_reverse_copy_is_told_at_the_start() {
    let pair = Pair::start().await;
    fill(&pair).await;
    sql(
        &pair.hq,
        "CREATE DATABASE lab_copy; CREATE TABLE lab_copy.notes (id INT)",
    )
    .await;
    sql(&pair.branch, "CREATE TABLE lab.keyless (id INT)").await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    sql(&proxy, TASK).await;
    let (_, message) = error_of(&proxy, "START SYNC TASK t").await;
    for part in [
        "tables at the destination (reverse)",
        "keys that tell rows apart (reverse)",
        "lab_copy.notes exists",
        "lab.keyless has neither",
    ] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(tables(&pair.branch, "shop").await, "NULL");
}
