//! What is written to the source: sysbench's workloads, and some that it does not have.

use std::{process::Stdio, sync::Arc};

use causeway::demo::mysqld::{Installation, LocalServer};
use mysql_async::prelude::Queryable;

use super::site::sql;

pub(crate) const TABLES: u32 = 8;
pub(crate) const TABLE_ROWS: u32 = 50_000;
const THREADS: u32 = 8;

/// A backlog of changes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    kind: Kind,
    /// Row changes of one transaction.
    rows: u64,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Sysbench,
    /// Every transaction changes one of ten rows.
    Hot,
    /// Every transaction changes so many rows of one table.
    Many,
    /// Rows with a JSON document and 8 KB of text.
    Large,
}

pub(crate) const WORKLOADS: [Workload; 7] = [
    Workload {
        name: "oltp_write_only",
        kind: Kind::Sysbench,
        rows: 4,
    },
    Workload {
        name: "oltp_update_index",
        kind: Kind::Sysbench,
        rows: 1,
    },
    Workload {
        name: "oltp_insert",
        kind: Kind::Sysbench,
        rows: 1,
    },
    Workload {
        name: "oltp_delete",
        kind: Kind::Sysbench,
        rows: 1,
    },
    Workload {
        name: "hot_rows",
        kind: Kind::Hot,
        rows: 1,
    },
    Workload {
        name: "200_rows",
        kind: Kind::Many,
        rows: 200,
    },
    Workload {
        name: "large_rows",
        kind: Kind::Large,
        rows: 1,
    },
];

/// sysbench over the tables of a server.
fn sysbench(installation: &Installation, server: &LocalServer, workload: &str) -> tokio::process::Command {
    let root = installation.root().expect("the installation was fetched");
    let mut command = tokio::process::Command::from(installation.program("sysbench"));
    command
        .env("LUA_PATH", root.join("usr/share/sysbench/?.lua"))
        .env(
            "MARIADB_PLUGIN_DIR",
            root.join("usr/lib/x86_64-linux-gnu/libmariadb3/plugin"),
        )
        .arg(root.join(format!("usr/share/sysbench/{workload}.lua")))
        .args([
            "--db-driver=mysql",
            "--mysql-user=root",
            "--mysql-db=sbtest",
            "--mysql-host=127.0.0.1",
        ])
        .arg(format!("--mysql-port={}", server.port))
        .arg(format!("--tables={TABLES}"))
        .arg(format!("--table-size={TABLE_ROWS}"))
        .stdin(Stdio::null());
    command
}

async fn run(mut command: tokio::process::Command) {
    let output = command
        .output()
        .await
        .unwrap_or_else(|error| panic!("sysbench can't be started: {error}"));
    assert!(
        output.status.success(),
        "sysbench failed: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The tables that the workloads need.
pub(crate) async fn prepare(installation: &Installation, server: &LocalServer) {
    let mut conn = server.connect().await.unwrap();
    sql(&mut conn, "CREATE DATABASE sbtest").await;
    sql(
        &mut conn,
        "CREATE TABLE sbtest.large (id BIGINT PRIMARY KEY AUTO_INCREMENT, k INT, doc JSON, body TEXT, KEY (k))",
    )
    .await;
    let mut command = sysbench(installation, server, "oltp_write_only");
    command.arg("--threads=2").arg("prepare");
    run(command).await;
}

impl Workload {
    /// Makes rows that the changes can be made to, where an earlier round has taken them away.
    pub(crate) async fn refill(&self, source: &LocalServer) {
        if self.name == "oltp_delete" {
            refill(source).await;
        }
    }

    /// Makes about so many row changes on the source. Returns how many there are.
    pub(crate) async fn generate(&self, installation: &Arc<Installation>, source: &LocalServer, rows: u64) -> u64 {
        let transactions = match self.kind {
            Kind::Large => rows / 10,
            // It picks rows at random, and what is gone already makes no change.
            Kind::Sysbench if self.name == "oltp_delete" => rows * 3 / 2,
            _ => rows / self.rows,
        };
        let before = changed(source).await;
        match self.kind {
            Kind::Sysbench => {
                let mut command = sysbench(installation, source, self.name);
                command
                    .arg(format!("--threads={THREADS}"))
                    .arg(format!("--events={transactions}"))
                    .args(["--time=0", "--rand-type=uniform", "run"]);
                run(command).await;
            }
            Kind::Hot => {
                write(source, transactions, |number| {
                    format!("UPDATE sbtest.sbtest1 SET k = k + 1 WHERE id = {}", 1 + number % 10)
                })
                .await;
            }
            Kind::Many => {
                write(source, transactions, |number| {
                    let (table, from) = (
                        1 + number % u64::from(TABLES),
                        1 + number * 200 % (u64::from(TABLE_ROWS) - 200),
                    );
                    format!(
                        "UPDATE sbtest.sbtest{table} SET k = k + 1 WHERE id BETWEEN {from} AND {}",
                        from + 199
                    )
                })
                .await;
            }
            Kind::Large => {
                write(source, transactions, |number| {
                    let doc = format!(
                        r#"{{"n": {number}, "tags": ["a", "b", {{"c": {number}.5}}], "name": "row {number}"}}"#
                    );
                    format!(
                        "INSERT INTO sbtest.large (k, doc, body) VALUES ({number}, '{doc}', REPEAT('{:08x}', 1024))",
                        number.wrapping_mul(2_654_435_761)
                    )
                })
                .await;
            }
        }
        changed(source).await - before
    }
}

/// Row changes that the server has made. InnoDB's own counters lose some when several sessions count at a time.
async fn changed(server: &LocalServer) -> u64 {
    let mut conn = server.connect().await.unwrap();
    let sum = "SELECT SUM(VARIABLE_VALUE) FROM performance_schema.global_status
        WHERE VARIABLE_NAME IN ('Handler_write', 'Handler_update', 'Handler_delete')";
    super::site::cell(&mut conn, sum).await.parse::<f64>().unwrap() as u64
}

/// oltp_delete takes rows away for good, and what is not there any more makes no change.
async fn refill(source: &LocalServer) {
    let mut conn = source.connect().await.unwrap();
    sql(&mut conn, "SET SESSION cte_max_recursion_depth = 10000000").await;
    for table in 1..=TABLES {
        sql(
            &mut conn,
            &format!(
                "INSERT IGNORE INTO sbtest.sbtest{table} (id, k, c, pad)
                 WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {TABLE_ROWS})
                 SELECT i, i, REPEAT('c', 119), REPEAT('p', 59) FROM n"
            ),
        )
        .await;
    }
}

/// Runs statements over several connections, each a transaction.
async fn write(source: &LocalServer, transactions: u64, statement: impl Fn(u64) -> String + Copy + Send + 'static) {
    let threads = u64::from(THREADS);
    let mut writers = tokio::task::JoinSet::new();
    for thread in 0..threads {
        let opts = source.opts();
        writers.spawn(async move {
            let mut conn = mysql_async::Conn::new(opts).await.unwrap();
            for number in (thread..transactions).step_by(threads as usize) {
                conn.query_drop(statement(number)).await.unwrap();
            }
        });
    }
    writers.join_all().await;
}
