//! Load on both sides at once, and all that may come between: kills, restarts, DDL. Nothing is lost, nothing is
//! applied twice.

use std::time::{Duration, Instant};

use causeway::demo::mysqld::{LocalServer, ServerOptions};
use mysql_async::prelude::Queryable as _;
use rand::Rng as _;

use crate::support::{
    ask::{cell, connect, eventually, quiet, rows, sql, try_sql},
    cluster::{Pair, Proxy, server},
    compare::{assert_same, assert_same_as},
    load::{Load, Side, Tally, make_tables},
};

const DATABASE: &str = "load_db";

/// What the two servers are started with; [`crate::file_position`] runs the same with servers without GTIDs.
pub(crate) type Options = [ServerOptions; 2];

/// A pair with the load's tables, and a task that is not started.
async fn prepared([hq, branch]: Options) -> (Pair, Proxy) {
    let pair = Pair::start_with(hq, branch).await;
    make_tables(&pair.hq, DATABASE).await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    sql(
        &proxy,
        "CREATE SYNC TASK t BETWEEN hq AND branch OBJECTS (load_db.*) WITH (heartbeat = OFF)",
    )
    .await;
    (pair, proxy)
}

/// As [`prepared`], and the task runs.
async fn in_step(options: Options) -> (Pair, Proxy) {
    let (pair, proxy) = prepared(options).await;
    sql(&proxy, "START SYNC TASK t").await;
    proxy.wait_state("t", "running").await;
    (pair, proxy)
}

fn at(number: u64, server: &LocalServer) -> Side<'_, LocalServer> {
    Side {
        number,
        server,
        database: DATABASE,
    }
}

fn both(pair: &Pair) -> [Side<'_, LocalServer>; 2] {
    [at(0, &pair.hq), at(1, &pair.branch)]
}

/// A wait that has no reason: for kills at moments that nobody has chosen.
async fn random_wait(up_to_ms: u64) {
    let wait = rand::rng().random_range(0..up_to_ms);
    tokio::time::sleep(Duration::from_millis(wait)).await;
}

/// Both sides have all of the load, each transaction once, and no change had to be settled.
async fn assert_exact(pair: &Pair, proxy: &Proxy, tally: &Tally) {
    proxy.wait_synced("t").await;
    assert_same(&pair.hq, &pair.branch, DATABASE).await;
    for server in [&pair.hq, &pair.branch] {
        tally.assert_at(server, DATABASE).await;
    }
    assert_eq!(rows(proxy, "SELECT * FROM sync.conflicts").await, NONE);
}

const NONE: Vec<Vec<String>> = Vec::new();

#[tokio::test]
async fn writers_on_both_sides_end_equal_and_then_the_binlogs_are_quiet() {
    let (pair, proxy) = in_step(Options::default()).await;
    let begin = Instant::now();
    let load = Load::start(&both(&pair), 3);
    load.commits(2500).await;
    // Gives every table another number in the binlog.
    sql(&pair.hq, "FLUSH NO_WRITE_TO_BINLOG TABLES; FLUSH BINARY LOGS").await;
    load.commits(2500).await;
    let tally = load.finish().await;
    let written = begin.elapsed();
    assert_exact(&pair, &proxy, &tally).await;
    eprintln!(
        "{} transactions written in {written:?}, equal after {:?}",
        tally.total(),
        begin.elapsed()
    );
    quiet(&[&pair.hq, &pair.branch]).await;
    assert_exact(&pair, &proxy, &tally).await;
}

#[tokio::test]
async fn twenty_kills_of_the_proxy_and_one_of_each_server_lose_nothing_and_apply_nothing_twice() {
    kills(Options::default()).await;
}

pub(crate) async fn kills(options: Options) {
    let durable = options.map(|options| ServerOptions {
        durable: true,
        ..options
    });
    let (mut pair, mut proxy) = in_step(durable).await;
    let load = Load::start(&both(&pair), 3);
    for kill in 0..20 {
        random_wait(1000).await;
        proxy.kill9();
        if kill == 6 {
            pair.hq.kill9();
            pair.hq.restart().await.unwrap();
        }
        proxy.restart().await.unwrap();
        if kill == 13 {
            random_wait(500).await;
            pair.branch.kill9();
            pair.branch.restart().await.unwrap();
        }
    }
    let tally = load.finish().await;
    eprintln!("{} transactions through twenty kills", tally.total());
    assert_exact(&pair, &proxy, &tally).await;
    quiet(&[&pair.hq, &pair.branch]).await;
}

/// Kills of the proxy alone.
pub(crate) async fn kills_of_the_proxy(options: Options, times: usize) {
    let (pair, mut proxy) = in_step(options).await;
    let load = Load::start(&both(&pair), 3);
    for _ in 0..times {
        load.commits(100).await;
        random_wait(300).await;
        proxy.kill9();
        proxy.restart().await.unwrap();
    }
    let tally = load.finish().await;
    assert_exact(&pair, &proxy, &tally).await;
    quiet(&[&pair.hq, &pair.branch]).await;
}

#[tokio::test]
async fn full_sync_under_load_goes_on_where_a_kill_ended_it() {
    killed_full_sync(Options::default()).await;
}

pub(crate) async fn killed_full_sync(options: Options) {
    let (pair, mut proxy) = prepared(options).await;
    sql(
        &pair.hq,
        "CREATE TABLE load_db.big (id INT PRIMARY KEY, name VARCHAR(60), body VARCHAR(200), n INT, KEY (n), UNIQUE (name));
         SET SESSION cte_max_recursion_depth = 1000000;
         INSERT INTO load_db.big
           WITH RECURSIVE s (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM s WHERE id < 200000)
           SELECT id, CONCAT('row ', id), REPEAT('b', id % 150), id * 7 % 1000 FROM s",
    )
    .await;
    let load = Load::start(&[at(0, &pair.hq)], 2);
    sql(&proxy, "START SYNC TASK t").await;
    // The tables are there: the destination may write from now on, long before the copy is complete.
    eventually("the tables are made at the destination", async || {
        let query = "SELECT id FROM load_db.counters UNION SELECT id FROM load_db.shared_counters";
        try_sql(&pair.branch, query).await.ok()
    })
    .await;
    let mut kills = 0;
    let state = "SELECT state FROM sync.status WHERE direction = 'forward'";
    while kills < 8 {
        let before = cell(&proxy, state).await;
        if before == "running" {
            break;
        }
        // Rows that are being copied change, go and come.
        let from = rand::rng().random_range(1..190_000);
        sql(
            &pair.hq,
            &format!(
                "UPDATE load_db.big SET n = n + 1 WHERE id BETWEEN {from} AND {from} + 50;
                 DELETE FROM load_db.big WHERE id BETWEEN {from} + 100 AND {from} + 150;
                 UPDATE load_db.big SET id = id + 1000000 WHERE id BETWEEN {from} + 200 AND {from} + 210"
            ),
        )
        .await;
        random_wait(500).await;
        proxy.kill9();
        proxy.restart().await.unwrap();
        kills += 1;
    }
    eprintln!("full sync was killed {kills} times");
    assert!(kills >= 3, "the copy was over after {kills} kills");
    proxy.wait_state("t", "running").await;
    let other = Load::start(&[at(1, &pair.branch)], 2);
    other.commits(300).await;
    let tally = load.finish().await.and(&other.finish().await);
    assert_exact(&pair, &proxy, &tally).await;
    quiet(&[&pair.hq, &pair.branch]).await;
}

#[tokio::test]
async fn two_databases_of_one_server_are_kept_in_step_under_other_names() {
    let one = server(ServerOptions::default()).await;
    make_tables(&one, "shop").await;
    let mut proxy = Proxy::start().await;
    proxy.register_as("here", &one).await;
    proxy.register_as("there", &one).await;
    sql(
        &proxy,
        "CREATE SYNC TASK t BETWEEN here AND there OBJECTS (shop.* AS shop_copy.*) WITH (heartbeat = OFF)",
    )
    .await;
    sql(&proxy, "START SYNC TASK t").await;
    proxy.wait_state("t", "running").await;
    let side = |number, database| Side {
        number,
        server: &one,
        database,
    };
    let load = Load::start(&[side(0, "shop"), side(1, "shop_copy")], 2);
    load.commits(1000).await;
    sql(&one, "ALTER TABLE shop.plain ADD COLUMN extra INT DEFAULT 5").await;
    for _ in 0..3 {
        random_wait(300).await;
        proxy.kill9();
        proxy.restart().await.unwrap();
        load.commits(200).await;
    }
    let tally = load.finish().await;
    proxy.wait_synced("t").await;
    assert_same_as(&one, "shop", &one, "shop_copy").await;
    for database in ["shop", "shop_copy"] {
        tally.assert_at(&one, database).await;
    }
    assert_eq!(rows(&proxy, "SELECT * FROM sync.conflicts").await, NONE);
    assert_eq!(
        rows(&proxy, "SELECT direction, outcome FROM sync.ddl").await,
        [["forward", "applied"]]
    );
    quiet(&[&one]).await;
}

#[tokio::test]
async fn ddl_in_the_middle_of_the_load_arrives_in_its_place_and_never_travels_back() {
    let (pair, proxy) = in_step(Options::default()).await;
    let load = Load::start(&both(&pair), 2);
    // Rows of hq have even numbers.
    let statements = [
        "ALTER TABLE plain ADD COLUMN extra INT NOT NULL DEFAULT 7",
        "UPDATE plain SET extra = a WHERE id % 2 = 0",
        "CREATE TABLE more (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(20))",
        "INSERT INTO more (v) VALUES ('a'), ('b'), ('c')",
        "CREATE INDEX what_number ON places (number, what(10))",
        "ALTER TABLE items ADD COLUMN colour VARCHAR(20) AFTER name, ADD KEY (colour), MODIFY note MEDIUMTEXT",
        "UPDATE items SET colour = 'red' WHERE id % 2 = 0",
        "RENAME TABLE more TO more_of_it",
        "INSERT INTO more_of_it (v) VALUES ('d')",
        "TRUNCATE TABLE more_of_it",
        "INSERT INTO more_of_it (v) VALUES ('e'), ('f')",
        "ALTER TABLE more_of_it RENAME COLUMN v TO w, ADD UNIQUE (w)",
        "UPDATE more_of_it SET w = CONCAT(w, w)",
        "CREATE TABLE like_it LIKE more_of_it",
        "INSERT INTO like_it SELECT * FROM more_of_it",
        "DROP INDEX what_number ON places",
        "DROP TABLE more_of_it",
        "ALTER TABLE plain ADD COLUMN no_default INT NOT NULL, ADD COLUMN word VARCHAR(10) NOT NULL",
        "ALTER TABLE plain MODIFY a BIGINT, RENAME COLUMN extra TO other",
        "ALTER TABLE plain DROP COLUMN other, DROP COLUMN no_default",
        "ALTER TABLE items DROP COLUMN colour",
        "CREATE TABLE child (id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES like_it (id))",
        "INSERT INTO child SELECT id, id FROM like_it",
    ];
    for statement in statements {
        sql(&pair.hq, &format!("USE {DATABASE}; {statement}")).await;
        load.commits(40).await;
    }
    proxy.wait_synced("t").await;
    sql(
        &pair.branch,
        "INSERT INTO load_db.like_it VALUES (100, 'of the branch')",
    )
    .await;

    // Made at the destination: stays there, and the rows go on in both directions.
    sql(
        &pair.branch,
        "ALTER TABLE load_db.plain ADD COLUMN only_here INT NOT NULL DEFAULT 3",
    )
    .await;
    sql(
        &pair.branch,
        "CREATE TABLE load_db.only_here (id INT PRIMARY KEY); DROP TABLE load_db.only_here",
    )
    .await;
    load.commits(300).await;
    proxy.wait_synced("t").await;
    let columns =
        "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = 'load_db' AND column_name = 'only_here'";
    assert_eq!(cell(&pair.hq, columns).await, "0");
    assert_eq!(cell(&pair.branch, columns).await, "1");
    sql(&pair.branch, "ALTER TABLE load_db.plain DROP COLUMN only_here").await;
    let tally = load.finish().await;
    assert_exact(&pair, &proxy, &tally).await;

    let listed = |direction: &str| {
        format!("SELECT outcome, COUNT(*) FROM sync.ddl WHERE direction = '{direction}' GROUP BY outcome")
    };
    assert_eq!(rows(&proxy, &listed("forward")).await, [["applied", "15"]]);
    assert_eq!(rows(&proxy, &listed("reverse")).await, [["refused", "4"]]);
    quiet(&[&pair.hq, &pair.branch]).await;
}

#[tokio::test]
async fn rows_that_are_older_than_a_ddl_find_its_names_in_the_reverse_direction() {
    older_rows(Options::default()).await;
}

pub(crate) async fn older_rows(options: Options) {
    let (pair, mut proxy) = in_step(options).await;
    sql(
        &pair.hq,
        "USE load_db; CREATE TABLE a (id INT PRIMARY KEY, v INT, w INT, x INT); INSERT INTO a VALUES (1, 1, 1, 1), (2, 2, 2, 2);
         CREATE TABLE b (id INT PRIMARY KEY, v INT); CREATE TABLE c (id INT PRIMARY KEY, v INT)",
    )
    .await;
    proxy.wait_synced("t").await;
    sql(&proxy, "PAUSE SYNC TASK t").await;
    sql(
        &pair.branch,
        "USE load_db; INSERT INTO a VALUES (10, 10, 10, 10); UPDATE a SET v = 20, w = 20 WHERE id = 2; DELETE FROM a WHERE id = 1;
         INSERT INTO b VALUES (10, 10); UPDATE b SET v = v + 1; INSERT INTO c VALUES (10, 10);
         CREATE TABLE of_the_branch (id INT PRIMARY KEY); INSERT INTO of_the_branch VALUES (1)",
    )
    .await;
    sql(
        &pair.hq,
        "USE load_db; ALTER TABLE a RENAME COLUMN v TO vv, CHANGE w ww BIGINT, DROP COLUMN x, ADD COLUMN y INT NOT NULL;
         RENAME TABLE b TO bb; ALTER TABLE bb RENAME COLUMN v TO vv; DROP TABLE c",
    )
    .await;
    sql(&proxy, "RESUME SYNC TASK t").await;
    proxy.wait_state("t", "running").await;
    proxy.wait_synced("t").await;
    sql(&pair.branch, "DROP TABLE load_db.of_the_branch").await;
    assert_same(&pair.hq, &pair.branch, DATABASE).await;
    assert_eq!(
        rows(&pair.hq, "SELECT * FROM load_db.a").await,
        [["2", "20", "20", "0"], ["10", "10", "10", "0"]]
    );
    assert_eq!(rows(&pair.hq, "SELECT * FROM load_db.bb").await, [["10", "11"]]);
    let left_out = "SELECT COUNT(*) FROM sync.events WHERE level = 'warning' AND message LIKE '%left out%'";
    assert_eq!(cell(&proxy, left_out).await, "2", "of c, and of of_the_branch");

    // A DDL that is at work when the proxy is killed: the server goes on with it.
    let mut reader = connect(&pair.branch).await;
    reader.query_drop("BEGIN; SELECT * FROM load_db.a").await.unwrap();
    sql(
        &pair.hq,
        "ALTER TABLE load_db.a ADD COLUMN n INT DEFAULT 5; INSERT INTO load_db.a VALUES (0, 0, 0, 0, 6)",
    )
    .await;
    let at_work = async |what: &str| {
        let query = format!("SELECT COUNT(*) FROM performance_schema.processlist WHERE info LIKE '{what}%'");
        (cell(&pair.branch, &query).await == "1").then_some(())
    };
    let alter = "ALTER TABLE `load_db`.`a`";
    eventually("the destination is at work on the ALTER", async || at_work(alter).await).await;
    // The reverse direction reads on meanwhile, and writes its checkpoint.
    let checkpoint = "SELECT sequence FROM causeway.checkpoint WHERE link = 'reverse' AND slot = 0";
    let before = cell(&pair.hq, checkpoint).await;
    sql(&pair.branch, "INSERT INTO load_db.bb VALUES (11, 11)").await;
    eventually("the reverse direction writes its checkpoint", async || {
        (cell(&pair.hq, checkpoint).await != before).then_some(())
    })
    .await;
    proxy.kill9();
    proxy.restart().await.unwrap();
    eventually("the new process waits for the ALTER", async || {
        at_work("SELECT GET_LOCK").await
    })
    .await;
    assert!(at_work(alter).await.is_some(), "the server goes on with it");
    reader.query_drop("COMMIT").await.unwrap();
    proxy.wait_state("t", "running").await;
    proxy.wait_synced("t").await;
    assert_same(&pair.hq, &pair.branch, DATABASE).await;
    let refused = "SELECT statement FROM sync.ddl WHERE outcome = 'refused' AND statement LIKE 'ALTER%'";
    assert_eq!(rows(&proxy, refused).await, NONE, "its echo is known after a restart");
}

#[tokio::test]
async fn each_ddl_takes_effect_once_through_kills() {
    ddl_through_kills(Options::default()).await;
}

pub(crate) async fn ddl_through_kills(options: Options) {
    let (pair, mut proxy) = in_step(options).await;
    let load = Load::start(&both(&pair), 2);
    for n in 0..20 {
        // Neither can be run twice, and the rows between them show the order.
        let alter = format!("ALTER TABLE load_db.plain ADD COLUMN c{n} INT DEFAULT {n}");
        sql(&pair.hq, &alter).await;
        // The appliers change rows of this table, too, in an order of their own.
        let update = format!("UPDATE load_db.plain SET c{n} = a WHERE id % 2 = 0 LIMIT 20");
        eventually("the rows between are updated", async || {
            match try_sql(&pair.hq, &update).await {
                Err(mysql_async::Error::Server(error)) if error.code == 1213 => None,
                Err(error) => panic!("{error}"),
                Ok(()) => Some(()),
            }
        })
        .await;
        let make = format!("USE load_db; CREATE TABLE made{n} (id INT PRIMARY KEY); INSERT INTO made{n} VALUES ({n})");
        sql(&pair.hq, &make).await;
        random_wait(400).await;
        proxy.kill9();
        proxy.restart().await.unwrap();
    }
    let tally = load.finish().await;
    assert_exact(&pair, &proxy, &tally).await;
    let listed = "SELECT direction, outcome, COUNT(*) FROM sync.ddl GROUP BY direction, outcome";
    assert_eq!(rows(&proxy, listed).await, [["forward", "applied", "40"]]);
}

#[tokio::test]
async fn stops_pauses_and_restarts_under_load_lose_nothing() {
    stops_and_pauses(Options::default()).await;
}

pub(crate) async fn stops_and_pauses(options: Options) {
    let (pair, mut proxy) = in_step(options).await;
    let load = Load::start(&both(&pair), 2);
    for (end, begin, state) in [("PAUSE", "RESUME", "paused"), ("STOP", "START", "stopped")] {
        load.commits(200).await;
        sql(&proxy, &format!("{end} SYNC TASK t")).await;
        proxy.wait_state("t", state).await;
        load.commits(100).await;
        // What is wanted of a task outlives the process.
        assert!(proxy.stop().await.unwrap().unwrap().success());
        proxy.restart().await.unwrap();
        proxy.wait_state("t", state).await;
        sql(&proxy, &format!("{begin} SYNC TASK t")).await;
        proxy.wait_state("t", "running").await;
        load.commits(100).await;
    }
    let begin = Instant::now();
    assert!(
        proxy.stop().await.unwrap().unwrap().success(),
        "SIGTERM must end in exit code 0"
    );
    eprintln!("a clean stop under load took {:?}", begin.elapsed());
    load.commits(300).await;
    proxy.restart().await.unwrap();
    proxy.wait_state("t", "running").await;
    let tally = load.finish().await;
    assert_exact(&pair, &proxy, &tally).await;

    let shown = [
        "SHOW SERVERS",
        "SELECT * FROM sync.tasks",
        "SELECT direction, source_table, rows_copied, inserts FROM sync.objects ORDER BY 1, 2",
    ];
    let mut before = Vec::new();
    for query in shown {
        before.push(rows(&proxy, query).await);
    }
    proxy.restart().await.unwrap();
    proxy.wait_state("t", "running").await;
    for (query, before) in shown.iter().zip(before) {
        assert_eq!(rows(&proxy, query).await, before, "{query}");
    }
    assert_exact(&pair, &proxy, &tally).await;
}

#[tokio::test]
async fn a_lost_connection_or_server_is_tried_again_until_it_is_back() {
    lost_connections(Options::default()).await;
}

pub(crate) async fn lost_connections(options: Options) {
    let (mut pair, proxy) = in_step(options).await;
    let replicas = rows(&pair.hq, "SHOW REPLICAS").await;
    assert_eq!(replicas.len(), 1, "{replicas:?}");
    let [id, host, uuid] = [0, 1, 4].map(|column| replicas[0][column].as_str());
    assert_eq!(host, "causeway");
    let own: u32 = id.parse().unwrap();
    assert!(own != pair.hq.server_id && own != pair.branch.server_id, "{replicas:?}");
    for server in [&pair.hq, &pair.branch] {
        assert_ne!(uuid, cell(server, "SELECT @@server_uuid").await);
    }

    let load = Load::start(&both(&pair), 2);
    for server in [&pair.hq, &pair.branch, &pair.hq] {
        load.commits(100).await;
        kill_causeways_connections(server).await;
    }
    load.commits(200).await;
    proxy.wait_state("t", "running").await;

    // A server that is away for a while, in an orderly way.
    pair.branch.stop().await.unwrap();
    eventually("both directions are being retried", async || {
        let states = rows(&proxy, "SELECT state, last_error FROM sync.status").await;
        states
            .iter()
            .all(|row| row[0] == "retrying" && row[1].contains("branch"))
            .then_some(())
    })
    .await;
    pair.branch.restart().await.unwrap();
    proxy.wait_state("t", "running").await;
    let errors = rows(&proxy, "SELECT last_error FROM sync.status").await;
    assert_eq!(errors, [[""], [""]], "what is over is no longer an error");
    let tally = load.finish().await;
    assert_exact(&pair, &proxy, &tally).await;
    let again = rows(&pair.hq, "SHOW REPLICAS").await;
    assert_eq!(
        (again.len(), &again[0][4]),
        (1, &replicas[0][4]),
        "it comes back under its own name"
    );
}

async fn kill_causeways_connections(server: &LocalServer) {
    let query = "SELECT id FROM performance_schema.processlist WHERE db = 'information_schema' AND user = 'root'";
    // It may still be coming back from the time before.
    let ids = eventually("Causeway is connected", async || {
        let ids = rows(server, query).await;
        (ids.len() > 2).then_some(ids)
    })
    .await;
    for id in ids {
        // It may be gone already: Causeway closes all of a link's connections when one is lost.
        try_sql(server, &format!("KILL {}", id[0])).await.ok();
    }
}
