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
            loop {
                match conn.query_drop(statement).await {
                    Ok(()) => break,
                    // A deadlock with what is being applied: the server has chosen this client, which tries again.
                    Err(mysql_async::Error::Server(error)) if error.code == 1213 => {}
                    Err(error) => {
                        let start: String = statement.chars().take(300).collect();
                        panic!("{error}\nin: {start}")
                    }
                }
            }
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

/// Columns of a table, each with its values. Tables of a few columns each: tables take a server long to make.
struct Group {
    table: String,
    columns: &'static [(String, Vec<String>)],
}

fn groups() -> Vec<Group> {
    let groups = COLUMNS.chunks(10).enumerate();
    groups
        .map(|(number, columns)| Group {
            table: format!("d.t{number:02}"),
            columns,
        })
        .collect()
}

impl Group {
    fn create(&self) -> String {
        let columns = self.columns.iter().enumerate();
        let columns: String = columns
            .map(|(place, (column, _))| format!("v{place} {column}, "))
            .collect();
        format!(
            "CREATE TABLE {} (id INT PRIMARY KEY, {columns}n INT NOT NULL)",
            self.table
        )
    }

    /// As many as the column with the most values has; the others begin again.
    fn rows(&self) -> usize {
        self.columns.iter().map(|(_, values)| values.len()).max().unwrap_or(0)
    }

    fn values(&self, row: usize) -> impl Iterator<Item = &str> {
        self.columns
            .iter()
            .map(move |(_, values)| values[row % values.len()].as_str())
    }

    /// Rows with every value, with `id`s from `from`.
    fn insert(&self, from: usize) -> String {
        let row = |row| {
            format!(
                "({}, {}, 0)",
                from + row,
                self.values(row).collect::<Vec<_>>().join(", ")
            )
        };
        let rows: Vec<String> = (0..self.rows()).map(row).collect();
        format!("INSERT INTO {} VALUES {}", self.table, rows.join(", "))
    }

    /// Another column than the values changes.
    fn touch(&self, from: usize) -> String {
        format!(
            "UPDATE {} SET n = n + 1 WHERE id >= {from} AND id < {from} + 100",
            self.table
        )
    }

    /// Each value gives way to the next one.
    fn turn(&self, from: usize) -> Vec<String> {
        let turn = |row| {
            let values = self.values(row + 1).enumerate();
            let values: Vec<String> = values.map(|(place, value)| format!("v{place} = {value}")).collect();
            format!(
                "UPDATE {} SET {} WHERE id = {}",
                self.table,
                values.join(", "),
                from + row
            )
        };
        (0..self.rows()).map(turn).collect()
    }

    fn delete(&self, from: usize) -> String {
        format!("DELETE FROM {} WHERE id >= {from} AND id < {from} + 100", self.table)
    }
}

/// Both kinds of tables: columns of every type, and a key of every type.
async fn every_type_makes_the_round_trip(options: &[&str], session: &str) {
    let world = World::new(options, session).await;
    let groups = groups();
    let each = |statements: &dyn Fn(&Group) -> Vec<String>| groups.iter().flat_map(statements).collect::<Vec<_>>();
    // 0: changed at hq; 100: changed at branch; 200: made at hq later; 300: made at branch later.
    world
        .hq(&each(&|group| vec![group.create(), group.insert(0), group.insert(100)]))
        .await;
    for (number, (column, values)) in KEYS.iter().enumerate() {
        let table = format!("d.k{number:02}");
        world
            .hq(&[format!(
                "CREATE TABLE {table} (v {column} NOT NULL, i INT, n INT, PRIMARY KEY (v))"
            )])
            .await;
        let row = |(i, value)| format!("INSERT INTO {table} VALUES ({value}, {i}, 0)");
        world
            .hq(&values.iter().enumerate().skip(1).map(row).collect::<Vec<_>>())
            .await;
    }
    world
        .hq(&[
            "CREATE TABLE d.composite (a VARCHAR(20), b DATETIME(6), c BINARY(3), d BIGINT UNSIGNED, i INT, n INT,
             PRIMARY KEY (a, b, c, d), UNIQUE (d, i))",
            "INSERT INTO d.composite VALUES ('a', '2024-02-30', x'61', 1, 1, 0), ('a', '2024-02-30', x'6100', 2, 2, 0),
             ('ß', '0000-00-00', '', 18446744073709551615, 3, 0)",
        ])
        .await;
    world.start("d.*").await;

    // Rows come, and in others a column beside the value changes.
    world.hq(&each(&|group| vec![group.insert(200), group.touch(0)])).await;
    world
        .branch(&each(&|group| vec![group.insert(300), group.touch(100)]))
        .await;
    world
        .hq(&of_keys(|values| format!("SET v = {}, n = 7 WHERE i = 1", values[0])))
        .await;
    world.branch(&of_keys(|_| "SET n = n + 1 WHERE i = 2".to_owned())).await;
    world
        .hq(&["UPDATE d.composite SET a = 'A', d = d + 3 WHERE i = 1"])
        .await;
    world
        .branch(&["UPDATE d.composite SET n = 7, a = 'ä' WHERE i = 2"])
        .await;
    world.agreed("d").await;

    // Every value turns into another one, in rows that the other side has made.
    world.hq(&each(&|group| group.turn(300))).await;
    world.branch(&each(&|group| group.turn(200))).await;
    world
        .branch(&of_keys(|values| format!("SET v = {} WHERE i = 1", values[1])))
        .await;
    world.hq(&of_keys(|_| "SET n = 9 WHERE i = 3".to_owned())).await;
    world.hq(&["UPDATE d.composite SET n = 8 WHERE i > 1"]).await;
    world.agreed("d").await;

    world
        .hq(&each(&|group| vec![group.delete(100), group.delete(200)]))
        .await;
    world.branch(&each(&|group| vec![group.delete(0)])).await;
    let delete = |i: usize| {
        let tables = (0..KEYS.len())
            .map(|number| format!("d.k{number:02}"))
            .chain(["d.composite".to_owned()]);
        tables
            .map(|table| format!("DELETE FROM {table} WHERE i = {i}"))
            .collect::<Vec<_>>()
    };
    world.branch(&delete(3)).await;
    world.hq(&delete(2)).await;
    world.agreed("d").await;
    for group in &groups {
        let count = ask::cell(&world.pair.hq, &format!("SELECT COUNT(*) FROM {}", group.table)).await;
        assert_eq!(count, group.rows().to_string(), "{}", group.table);
    }
    for (number, (column, _)) in KEYS.iter().enumerate() {
        let count = ask::cell(&world.pair.hq, &format!("SELECT COUNT(*) FROM d.k{number:02}")).await;
        assert_eq!(count, "1", "{column}");
    }
}

/// An update of each table of [`KEYS`], by the key's values.
fn of_keys(update: impl Fn(&[&str]) -> String) -> Vec<String> {
    let tables = KEYS.iter().enumerate();
    tables
        .map(|(number, (_, values))| format!("UPDATE d.k{number:02} {}", update(values)))
        .collect()
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
