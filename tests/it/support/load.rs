//! Writers on both sides at once, each on rows of its own, and a count of what they have committed.
//!
//! A writer is a *lane*: it alone writes the rows whose number is its own, so nothing conflicts, neither between sides
//! nor between lanes; the server sees many sessions at work all the same. Every transaction changes one to twenty rows
//! of several tables and adds one to its lane's counter: a transaction that is lost or applied twice shows in the
//! counter, whatever else happens to the rows. Lanes of one side share a further counter, so the order of
//! transactions that meet in one row is put to the test too.
//!
//! What the lanes do follows from a seed, which is printed; when they do it does not.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use mysql_async::{Conn, OptsBuilder, prelude::Queryable as _};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IteratorRandom as _};
use tokio::task::JoinHandle;

use super::ask::{Endpoint, LIMIT, rows, sql};

/// Rows of different lanes have numbers that differ in this remainder.
const LANES: u64 = 64;

/// The tables of the load.
const TABLES: &str = "
    CREATE TABLE items (
        id BIGINT PRIMARY KEY, name VARCHAR(60) NOT NULL, quantity INT NOT NULL, note TEXT, UNIQUE (name), KEY (quantity));
    CREATE TABLE orders (id BIGINT PRIMARY KEY, customer VARCHAR(60) NOT NULL, at TIMESTAMP(6) NULL, KEY (customer));
    CREATE TABLE order_lines (
        id BIGINT PRIMARY KEY, order_id BIGINT NOT NULL, item VARCHAR(60), price DECIMAL(12,2),
        FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE);
    CREATE TABLE places (area VARCHAR(20), number BIGINT, what VARBINARY(300), PRIMARY KEY (area, number));
    CREATE TABLE plain (id BIGINT PRIMARY KEY, a INT, b DOUBLE, c VARCHAR(200));
    CREATE TABLE counters (id BIGINT PRIMARY KEY, n BIGINT NOT NULL);
    CREATE TABLE shared_counters (id BIGINT PRIMARY KEY, n BIGINT NOT NULL);";

/// Makes the tables, with a counter for each lane and each side.
pub(crate) async fn make_tables(server: &impl Endpoint, database: &str) {
    let counters: Vec<String> = (0..LANES).map(|lane| format!("({lane}, 0)")).collect();
    let counters = counters.join(", ");
    sql(
        server,
        &format!(
            "CREATE DATABASE {database}; USE {database}; {TABLES}
             INSERT INTO counters VALUES {counters}; INSERT INTO shared_counters VALUES (0, 0), (1, 0)"
        ),
    )
    .await;
}

/// Where a side of the load writes.
pub(crate) struct Side<'a, E> {
    /// 0 or 1: its lanes' numbers are even or odd.
    pub(crate) number: u64,
    pub(crate) server: &'a E,
    pub(crate) database: &'a str,
}

/// Writers at work.
pub(crate) struct Load {
    lanes: Vec<JoinHandle<Lane>>,
    stop: Arc<AtomicBool>,
    committed: Arc<AtomicU64>,
    /// How the lanes of each side connect.
    opts: BTreeMap<u64, Arc<Mutex<OptsBuilder>>>,
}

/// What the writers committed, as the counters must show it.
#[derive(Debug, PartialEq)]
pub(crate) struct Tally {
    counters: BTreeMap<u64, u64>,
    shared: BTreeMap<u64, u64>,
}

impl Load {
    /// Starts `lanes` writers on each side.
    pub(crate) fn start<E: Endpoint>(sides: &[Side<'_, E>], lanes: u64) -> Self {
        let seed: u64 = std::env::var("CAUSEWAY_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
        eprintln!("the load's seed: CAUSEWAY_SEED={seed}");
        let (stop, committed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (mut handles, mut opts) = (Vec::new(), BTreeMap::new());
        for side in sides {
            let shared = Arc::new(Mutex::new(opts_of(side)));
            opts.insert(side.number, shared.clone());
            for lane in 0..lanes {
                let lane = lane * 2 + side.number;
                let lane = Lane {
                    opts: shared.clone(),
                    lane,
                    side: side.number,
                    random: StdRng::seed_from_u64(seed ^ (lane << 32)),
                    conn: None,
                    next: 1,
                    rows: Rows::default(),
                    committed: 0,
                    shared: 0,
                };
                handles.push(tokio::spawn(lane.run(stop.clone(), committed.clone())));
            }
        }
        Self {
            lanes: handles,
            stop,
            committed,
            opts,
        }
    }

    /// The writers of a side go on at another server, which has all that was committed at the one that is gone.
    pub(crate) fn move_to<E: Endpoint>(&self, side: &Side<'_, E>) {
        *self.opts[&side.number].lock().unwrap() = opts_of(side);
    }

    /// Transactions committed so far.
    pub(crate) fn committed(&self) -> u64 {
        self.committed.load(Relaxed)
    }

    /// Waits until this many more have been committed.
    pub(crate) async fn commits(&self, more: u64) {
        let (goal, begin) = (self.committed() + more, Instant::now());
        while self.committed() < goal {
            assert!(
                begin.elapsed() < LIMIT,
                "the load stands still at {} transactions",
                self.committed()
            );
            assert!(!self.lanes.iter().any(JoinHandle::is_finished), "a writer has ended");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Ends the load.
    pub(crate) async fn finish(self) -> Tally {
        self.stop.store(true, Relaxed);
        let mut tally = Tally {
            counters: (0..LANES).map(|lane| (lane, 0)).collect(),
            shared: BTreeMap::from([(0, 0), (1, 0)]),
        };
        for lane in self.lanes {
            let lane = lane.await.unwrap();
            tally.counters.insert(lane.lane, lane.committed);
            *tally.shared.entry(lane.side).or_default() += lane.shared;
        }
        tally
    }
}

fn opts_of<E: Endpoint>(side: &Side<'_, E>) -> OptsBuilder {
    // Not strict, so that a column may be added that has no default. The server doesn't see a deadlock of which one edge
    // is a row lock and another a metadata lock (a RENAME waits, everyone else behind it): the lanes give up soon.
    let opts = side.server.opts().db_name(Some(side.database));
    opts.init(vec![
        "SET sql_mode = '', innodb_lock_wait_timeout = 5, lock_wait_timeout = 5",
    ])
}

impl Tally {
    /// With what other lanes have committed.
    pub(crate) fn and(mut self, other: &Self) -> Self {
        for (lane, n) in &other.counters {
            *self.counters.entry(*lane).or_default() += n;
        }
        for (side, n) in &other.shared {
            *self.shared.entry(*side).or_default() += n;
        }
        self
    }

    /// The number of transactions.
    pub(crate) fn total(&self) -> u64 {
        self.counters.values().sum()
    }

    /// Fails unless the counters at a server are those of the load: each transaction there once.
    pub(crate) async fn assert_at(&self, server: &impl Endpoint, database: &str) {
        let read = async |table: &str| -> BTreeMap<u64, u64> {
            let found = rows(server, &format!("SELECT id, n FROM {database}.{table}")).await;
            found
                .iter()
                .map(|row| (row[0].parse().unwrap(), row[1].parse().unwrap()))
                .collect()
        };
        let found = Tally {
            counters: read("counters").await,
            shared: read("shared_counters").await,
        };
        assert_eq!(
            &found, self,
            "each committed transaction must be in {database} exactly once"
        );
    }
}

/// The rows of a lane that are there.
#[derive(Clone, Default)]
struct Rows {
    items: BTreeMap<u64, String>,
    orders: BTreeMap<u64, Vec<u64>>,
    places: Vec<u64>,
    plain: Vec<u64>,
}

struct Lane {
    opts: Arc<Mutex<OptsBuilder>>,
    lane: u64,
    side: u64,
    random: StdRng,
    conn: Option<Conn>,
    next: u64,
    rows: Rows,
    committed: u64,
    shared: u64,
}

impl Lane {
    async fn run(mut self, stop: Arc<AtomicBool>, committed: Arc<AtomicU64>) -> Self {
        while !stop.load(Relaxed) {
            let before = self.committed;
            self.transaction().await;
            committed.fetch_add(self.committed - before, Relaxed);
        }
        self
    }

    /// A row number that no other lane has, and this one not yet.
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next * LANES + self.lane
    }

    /// One transaction; counts if it was committed.
    async fn transaction(&mut self) {
        let mut rows = self.rows.clone();
        let mut statements = vec!["BEGIN".to_string()];
        for _ in 0..self.random.random_range(1..=5) {
            self.change(&mut rows, &mut statements);
        }
        statements.push(format!("UPDATE counters SET n = n + 1 WHERE id = {}", self.lane));
        let shared = self.random.random_bool(0.3);
        if shared {
            // Last, as all lanes of this side wait for each other from here on.
            statements.push(format!("UPDATE shared_counters SET n = n + 1 WHERE id = {}", self.side));
        }
        statements.push("COMMIT".into());
        let done = match self.conn().await.query_drop(statements.join("; ")).await {
            Ok(()) => true,
            Err(mysql_async::Error::Server(error)) if [1205, 1213].contains(&error.code) => {
                self.conn().await.query_drop("ROLLBACK").await.ok();
                false
            }
            Err(mysql_async::Error::Server(error)) if ![1053, 1317].contains(&error.code) => {
                panic!("{error}\nin: {statements:#?}")
            }
            // The connection is lost; whether the transaction was committed, only the counter knows.
            Err(_) => {
                self.conn = None;
                let counter = format!("SELECT n FROM counters WHERE id = {} FOR UPDATE", self.lane);
                loop {
                    let counted: mysql_async::Result<Option<u64>> = self.conn().await.query_first(&counter).await;
                    match counted {
                        Ok(counted) => break counted == Some(self.committed + 1),
                        Err(_) => self.conn = None,
                    }
                }
            }
        };
        if done {
            self.rows = rows;
            self.committed += 1;
            self.shared += u64::from(shared);
        }
    }

    /// The connection; waits for a server that is down.
    async fn conn(&mut self) -> &mut Conn {
        let begin = Instant::now();
        while self.conn.is_none() {
            let opts = self.opts.lock().unwrap().clone();
            match Conn::new(opts).await {
                Ok(conn) => self.conn = Some(conn),
                Err(error) => {
                    assert!(begin.elapsed() < LIMIT, "a writer can't connect: {error}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        self.conn.as_mut().unwrap()
    }

    /// One to four row changes or so.
    fn change(&mut self, rows: &mut Rows, to: &mut Vec<String>) {
        let value: u32 = self.random.random_range(0..1000);
        let item = rows
            .items
            .iter()
            .choose(&mut self.random)
            .map(|(id, name)| (*id, name.clone()));
        let order = rows.orders.keys().copied().choose(&mut self.random);
        let place = (0..rows.places.len()).choose(&mut self.random);
        let plain = (0..rows.plain.len()).choose(&mut self.random);
        match (self.random.random_range(0..16), item, order, place, plain) {
            (0, Some((id, name)), ..) => {
                to.push(format!("DELETE FROM items WHERE id = {id}"));
                rows.items.remove(&id);
                // The name is free for another row at once.
                let id = self.number();
                to.push(format!(
                    "INSERT INTO items (id, name, quantity, note) VALUES ({id}, '{name}', {value}, NULL)"
                ));
                rows.items.insert(id, name);
            }
            (1, Some((id, _)), ..) => {
                to.push(format!("DELETE FROM items WHERE id = {id}"));
                rows.items.remove(&id);
            }
            (2 | 3, Some((id, _)), ..) => {
                to.push(format!(
                    "UPDATE items SET quantity = quantity + {value}, note = 'ä{value}' WHERE id = {id}"
                ));
            }
            (4, Some((id, name)), ..) => {
                let new = self.number();
                to.push(format!("UPDATE items SET id = {new} WHERE id = {id}"));
                rows.items.remove(&id);
                rows.items.insert(new, name);
            }
            (5, Some((one, first)), ..) if rows.items.len() > 1 => {
                // Two rows exchange what is unique.
                let (other, second) = rows
                    .items
                    .iter()
                    .filter(|(id, _)| **id != one)
                    .choose(&mut self.random)
                    .map(|(id, name)| (*id, name.clone()))
                    .unwrap();
                to.push(format!("UPDATE items SET name = CONCAT('~', name) WHERE id = {one}"));
                to.push(format!("UPDATE items SET name = '{first}' WHERE id = {other}"));
                to.push(format!("UPDATE items SET name = '{second}' WHERE id = {one}"));
                rows.items.insert(one, second);
                rows.items.insert(other, first);
            }
            (6, _, Some(order), ..) => {
                // Takes its lines along.
                to.push(format!("DELETE FROM orders WHERE id = {order}"));
                rows.orders.remove(&order);
            }
            (7, _, Some(order), ..) => {
                to.push(format!(
                    "UPDATE orders SET customer = 'c{value}', at = NOW(6) WHERE id = {order}"
                ));
                to.push(format!(
                    "UPDATE order_lines SET price = price + 0.01 WHERE order_id = {order}"
                ));
            }
            (8, _, Some(order), ..) => {
                let line = self.number();
                to.push(format!("INSERT INTO order_lines (id, order_id, item, price) VALUES ({line}, {order}, 'i{value}', {value}.5)"));
                rows.orders.entry(order).or_default().push(line);
            }
            (9, .., Some(place), _) => {
                to.push(format!(
                    "UPDATE places SET what = REPEAT(CHAR({value} % 256), 30) WHERE area = 'lane {}' AND number = {}",
                    self.lane, rows.places[place]
                ));
            }
            (10, .., Some(place), _) => {
                let (old, new) = (rows.places[place], self.number());
                to.push(format!(
                    "UPDATE places SET number = {new} WHERE area = 'lane {}' AND number = {old}",
                    self.lane
                ));
                rows.places[place] = new;
            }
            (11, .., Some(plain)) => {
                to.push(format!(
                    "UPDATE plain SET a = a + 1, b = b / 3 WHERE id = {}",
                    rows.plain[plain]
                ));
            }
            (12, .., Some(plain)) => {
                let id = rows.plain.swap_remove(plain);
                to.push(format!("DELETE FROM plain WHERE id = {id}"));
            }
            (0..=5, ..) => {
                let id = self.number();
                let name = format!("item {id}");
                to.push(format!(
                    "INSERT INTO items (id, name, quantity, note) VALUES ({id}, '{name}', {value}, 'new')"
                ));
                rows.items.insert(id, name);
            }
            (6..=8, ..) => {
                let id = self.number();
                let lines: Vec<u64> = (0..self.random.random_range(1..4)).map(|_| self.number()).collect();
                let values: Vec<String> = lines
                    .iter()
                    .map(|line| format!("({line}, {id}, 'i', {value})"))
                    .collect();
                to.push(format!(
                    "INSERT INTO orders (id, customer, at) VALUES ({id}, 'c', NOW(6))"
                ));
                to.push(format!(
                    "INSERT INTO order_lines (id, order_id, item, price) VALUES {}",
                    values.join(", ")
                ));
                rows.orders.insert(id, lines);
            }
            (9 | 10, ..) => {
                let number = self.number();
                to.push(format!(
                    "INSERT INTO places (area, number, what) VALUES ('lane {}', {number}, X'00FF0000')",
                    self.lane
                ));
                rows.places.push(number);
            }
            _ => {
                let ids: Vec<u64> = (0..self.random.random_range(1..5)).map(|_| self.number()).collect();
                let values: Vec<String> = ids
                    .iter()
                    .map(|id| format!("({id}, {value}, 1e10, REPEAT('x', {value} % 200))"))
                    .collect();
                to.push(format!("INSERT INTO plain (id, a, b, c) VALUES {}", values.join(", ")));
                rows.plain.extend(ids);
            }
        }
    }
}
