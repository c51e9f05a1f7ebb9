//! Every type of value, and every shape of table, goes the round trip: by full sync, and as changes of either side.
//!
//! All runs once with each way a server may write its binlog: with full or minimal metadata, compressed, with tagged
//! GTIDs, without checksums.

mod binlogs;
mod columns;
mod shapes;

use causeway::demo::mysqld::{LocalServer, ServerOptions};
use mysql_async::prelude::Queryable as _;

use crate::support::{
    ask::{self, rows},
    cluster::{Pair, Proxy},
    compare::assert_same,
};

use columns::{COLUMNS, KEYS};

/// Two servers, kept in step by a task, with one database.
struct World {
    pair: Pair,
    proxy: Proxy,
    /// Set in every session that writes.
    session: String,
}

impl World {
    /// `session`: what sessions that write set besides the usual.
    async fn new(options: &[&str], session: &str) -> Self {
        let pair = Pair::start_with(ServerOptions::with(options), ServerOptions::with(options)).await;
        let mut writing = "SET NAMES utf8mb4, time_zone = '+00:00', \
                           sql_mode = 'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO'"
            .to_owned();
        if !session.is_empty() {
            writing.push_str(", ");
            writing.push_str(session);
        }
        let world = Self {
            pair,
            proxy: Proxy::start().await,
            session: writing,
        };
        world.hq(&["CREATE DATABASE d"]).await;
        world
    }

    async fn start(&self, objects: &str) {
        self.proxy.register(&self.pair).await;
        ask::sql(
            &self.proxy,
            &format!("CREATE SYNC TASK t BETWEEN hq AND branch OBJECTS ({objects})"),
        )
        .await;
        ask::sql(&self.proxy, "START SYNC TASK t").await;
        self.proxy.wait_state("t", "running").await;
        self.agreed("d").await;
    }

    async fn hq(&self, statements: &[impl AsRef<str>]) {
        self.write(&self.pair.hq, statements).await;
    }

    async fn branch(&self, statements: &[impl AsRef<str>]) {
        self.write(&self.pair.branch, statements).await;
    }

    async fn write(&self, server: &LocalServer, statements: &[impl AsRef<str>]) {
        let mut conn = ask::connect(server).await;
        for statement in std::iter::once(self.session.as_str()).chain(statements.iter().map(AsRef::as_ref)) {
            conn.query_drop(statement).await.unwrap_or_else(|error| {
                let start: String = statement.chars().take(300).collect();
                panic!("{error}\nin: {start}")
            });
        }
        conn.disconnect().await.unwrap();
    }

    /// Waits until both sides have all, and holds them against each other. Nothing here is a conflict.
    async fn agreed(&self, database: &str) {
        self.proxy.wait_synced("t").await;
        assert_same(&self.pair.hq, &self.pair.branch, database).await;
        let conflicts = rows(&self.proxy, "SELECT * FROM sync.conflicts").await;
        assert!(conflicts.is_empty(), "{conflicts:#?}");
    }
}

/// One statement per table, for all columns in [`COLUMNS`].
fn of_columns(statement: impl Fn(&str, &[String]) -> Vec<String>) -> Vec<String> {
    let tables = COLUMNS.iter().enumerate();
    tables
        .flat_map(|(number, (_, values))| statement(&format!("d.t{number:03}"), values))
        .collect()
}

/// Inserts each value of a type, with `id`s from `from`.
fn inserts(table: &str, values: &[String], from: usize) -> String {
    let rows: Vec<String> = values
        .iter()
        .enumerate()
        .map(|(place, value)| format!("({}, {value}, 0)", from + place))
        .collect();
    format!("INSERT INTO {table} VALUES {}", rows.join(", "))
}

/// Each value gives way to the next one.
fn turns(table: &str, values: &[String], from: usize) -> Vec<String> {
    let turn = |place: usize| {
        let next = &values[(place + 1) % values.len()];
        format!("UPDATE {table} SET v = {next} WHERE id = {}", from + place)
    };
    (0..values.len()).map(turn).collect()
}

/// Both kinds of tables: one per column type, one per key type.
async fn every_type_makes_the_round_trip(options: &[&str], session: &str) {
    let world = World::new(options, session).await;
    let mut create: Vec<String> = Vec::new();
    for (number, (column, values)) in COLUMNS.iter().enumerate() {
        let table = format!("d.t{number:03}");
        create.push(format!(
            "CREATE TABLE {table} (id INT PRIMARY KEY, v {column}, n INT NOT NULL)"
        ));
        // 0: changed at hq; 100: changed at branch; 200: made at hq later; 300: made at branch later.
        create.push(inserts(&table, values, 0));
        create.push(inserts(&table, values, 100));
    }
    for (number, (column, values)) in KEYS.iter().enumerate() {
        let table = format!("d.k{number:02}");
        create.push(format!(
            "CREATE TABLE {table} (v {column} NOT NULL, i INT, n INT, PRIMARY KEY (v))"
        ));
        create.push(format!(
            "CREATE TABLE {table}c (s INT, v {column} NOT NULL, i INT, n INT, PRIMARY KEY (s, v))"
        ));
        for (i, value) in values.iter().enumerate().skip(1) {
            create.push(format!("INSERT INTO {table} VALUES ({value}, {i}, 0)"));
            create.push(format!(
                "INSERT INTO {table}c VALUES (1, {value}, {i}, 0), (2, {value}, {i}, 0)"
            ));
        }
    }
    world.hq(&create).await;
    world.start("d.*").await;

    // Rows come, and in others a column beside the value changes.
    let come = |made: usize, touched: usize| {
        of_columns(|table, values| {
            vec![
                inserts(table, values, made),
                format!("UPDATE {table} SET n = n + 1 WHERE id >= {touched} AND id < {touched} + 100"),
            ]
        })
    };
    world.hq(&come(200, 0)).await;
    world.branch(&come(300, 100)).await;
    world.hq(&of_keys(|table, values| one_key(table, 1, &values[0]))).await;
    world
        .branch(&of_keys(|table, _| {
            vec![format!("UPDATE {table} SET n = n + 1 WHERE i = 2")]
        }))
        .await;
    world.agreed("d").await;

    // Every value turns into every other one, in rows that the other side has made.
    world.hq(&of_columns(|table, values| turns(table, values, 300))).await;
    world
        .branch(&of_columns(|table, values| turns(table, values, 200)))
        .await;
    world
        .branch(&of_keys(|table, values| one_key(table, 1, values[1])))
        .await;
    world
        .hq(&of_keys(|table, _| vec![format!("DELETE FROM {table} WHERE i = 2")]))
        .await;
    world.agreed("d").await;

    let go = |from: usize| {
        of_columns(|table, _| vec![format!("DELETE FROM {table} WHERE id >= {from} AND id < {from} + 100")])
    };
    world.hq(&[go(100), go(200)].concat()).await;
    world.branch(&go(0)).await;
    world
        .branch(&of_keys(|table, _| vec![format!("DELETE FROM {table} WHERE i = 3")]))
        .await;
    world.agreed("d").await;
    for (number, (column, values)) in COLUMNS.iter().enumerate() {
        let count = ask::cell(&world.pair.hq, &format!("SELECT COUNT(*) FROM d.t{number:03}")).await;
        assert_eq!(count, values.len().to_string(), "{column}");
    }
}

/// Statements for all tables of [`KEYS`].
fn of_keys(statements: impl Fn(&str, &[&str]) -> Vec<String>) -> Vec<String> {
    let tables = KEYS.iter().enumerate();
    let both = |number: usize| [format!("d.k{number:02}"), format!("d.k{number:02}c")];
    tables
        .flat_map(|(number, (_, values))| {
            both(number)
                .into_iter()
                .flat_map(|t| statements(&t, values))
                .collect::<Vec<_>>()
        })
        .collect()
}

/// A row gets another key, in passing.
fn one_key(table: &str, i: usize, value: &str) -> Vec<String> {
    vec![format!("UPDATE {table} SET v = {value}, n = 7 WHERE i = {i}")]
}

#[tokio::test]
async fn every_type_makes_the_round_trip_with_full_metadata() {
    every_type_makes_the_round_trip(&[], "").await;
}

#[tokio::test]
async fn every_type_makes_the_round_trip_with_minimal_metadata_and_no_checksums() {
    every_type_makes_the_round_trip(&["--binlog-row-metadata=MINIMAL", "--binlog-checksum=NONE"], "").await;
}

#[tokio::test]
async fn every_type_makes_the_round_trip_compressed_and_with_tagged_gtids() {
    let options = ["--binlog-row-metadata=MINIMAL", "--binlog-transaction-compression=ON"];
    every_type_makes_the_round_trip(&options, "gtid_next = 'AUTOMATIC:causeway_test'").await;
}
