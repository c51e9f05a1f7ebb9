//! Servers, the replica of MySQL's own, and Causeway between them.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use causeway::demo::{
    mysqld::{Installation, LocalServer, ServerOptions},
    proxy::LocalProxy,
};
use mysql_async::{Conn, Row, prelude::Queryable};

/// What the servers are started from: MySQL with sysbench and mydumper.
pub(crate) fn installation() -> Arc<Installation> {
    Installation::find_or_fetch_with(&["sysbench", "mydumper"]).unwrap_or_else(|error| panic!("{error}"))
}

/// A server of a size that is usual for production, in miniature. What is written to reaches the disk with every commit.
pub(crate) async fn server(installation: &Arc<Installation>, durable: bool) -> LocalServer {
    let options = ServerOptions {
        durable,
        ..ServerOptions::with(&[
            "--innodb-buffer-pool-size=1G",
            "--innodb-redo-log-capacity=1G",
            "--innodb-flush-method=O_DIRECT",
            "--max-binlog-size=1G",
            "--relay-log=relay",
            "--relay-log-recovery=ON",
            "--skip-replica-start=ON",
            "--table-open-cache=9000",
            // Each connection has one of them, and a single one is to hold thousands of tables.
            "--table-open-cache-instances=1",
            "--table-definition-cache=12000",
            "--open-files-limit=30000",
            "--max-connections=300",
            // Appliers wait for as long as a backlog takes to be made.
            "--innodb-lock-wait-timeout=3600",
            "--local-infile=ON",
        ])
    };
    LocalServer::start(installation, options)
        .await
        .unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) async fn sql(conn: &mut Conn, statement: &str) {
    conn.query_drop(statement)
        .await
        .unwrap_or_else(|error| panic!("{error}\nin: {}", statement.chars().take(200).collect::<String>()));
}

pub(crate) async fn cell(conn: &mut Conn, query: &str) -> String {
    let row: Option<Row> = conn
        .query_first(query)
        .await
        .unwrap_or_else(|error| panic!("{error}\nin: {query}"));
    row.and_then(|mut row| row.take_opt::<Option<String>, _>(0))
        .and_then(Result::ok)
        .flatten()
        .unwrap_or_default()
}

/// Whoever is measured is not to spend its time on answering whether it is done.
const POLL: Duration = Duration::from_millis(50);

/// Waits until a query answers something, asking every [`POLL`].
pub(crate) async fn until(conn: &mut Conn, query: &str, answer: &str) {
    let began = Instant::now();
    while cell(conn, query).await != answer {
        assert!(began.elapsed() < Duration::from_secs(3600), "{query} is not {answer}");
        tokio::time::sleep(POLL).await;
    }
}

/// Waits until the servers have cleaned up behind what they did: that goes on when all is committed, and whoever is measured
/// next would share the processor with it. What is left of it after ten seconds is counted late, not worked on.
pub(crate) async fn settled(servers: &[&LocalServer]) {
    let began = Instant::now();
    for server in servers {
        let mut conn = server.connect().await.unwrap();
        let history = "SELECT count < 100 FROM information_schema.innodb_metrics WHERE name = 'trx_rseg_history_len'";
        while began.elapsed() < Duration::from_secs(10) && cell(&mut conn, history).await != "1" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

pub(crate) async fn executed(conn: &mut Conn) -> String {
    cell(conn, "SELECT @@GLOBAL.gtid_executed").await
}

/// Makes `replica` one of `source`, with so many appliers. Its SQL thread is started and stopped by [`Replica`].
pub(crate) struct Replica {
    pub(crate) server: LocalServer,
    pub(crate) conn: Conn,
}

impl Replica {
    pub(crate) async fn start(installation: &Arc<Installation>, source: &LocalServer, workers: u32) -> Self {
        let server = server(installation, true).await;
        let mut conn = server.connect().await.unwrap();
        let change = format!(
            "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = {}, SOURCE_USER = 'root',
             SOURCE_PASSWORD = '', SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1",
            source.port
        );
        sql(&mut conn, &format!("SET GLOBAL replica_parallel_workers = {workers}")).await;
        sql(&mut conn, &change).await;
        sql(&mut conn, "START REPLICA").await;
        Self { server, conn }
    }

    /// Waits until all of `executed` is applied.
    pub(crate) async fn applied(&mut self, executed: &str) {
        let query = format!("SELECT GTID_SUBSET('{executed}', @@GLOBAL.gtid_executed)");
        until(&mut self.conn, &query, "1").await;
    }

    /// Stops applying; the log goes on coming.
    pub(crate) async fn pause(&mut self) {
        sql(&mut self.conn, "STOP REPLICA SQL_THREAD").await;
    }

    /// Waits until the relay log holds all of `executed`.
    pub(crate) async fn received(&mut self, executed: &str) {
        let query = format!(
            "SELECT GTID_SUBSET('{executed}', CONCAT(RECEIVED_TRANSACTION_SET, ',', @@GLOBAL.gtid_executed))
             FROM performance_schema.replication_connection_status"
        );
        until(&mut self.conn, &query, "1").await;
    }

    pub(crate) async fn resume(&mut self) {
        sql(&mut self.conn, "START REPLICA SQL_THREAD").await;
    }
}

/// What a task over a whole database is made with; its heartbeat would be among what is measured.
pub(crate) fn task(database: &str, with: &str) -> String {
    let comma = if with.is_empty() { "" } else { ", " };
    format!("OBJECTS ({database}.*) WITH (heartbeat = OFF{comma}{with})")
}

/// Causeway with a two-way task `t` over two servers, `hq` and `branch`.
pub(crate) struct Task {
    pub(crate) proxy: LocalProxy,
    pub(crate) admin: Conn,
}

impl Task {
    pub(crate) async fn start(hq: u16, branch: u16, task: &str) -> Self {
        let proxy = LocalProxy::start(Path::new(env!("CARGO_BIN_EXE_causeway")), &[])
            .await
            .unwrap();
        let mut admin = proxy.connect().await.unwrap();
        for (name, port) in [("hq", hq), ("branch", branch)] {
            // Without encryption, as MySQL's replica connects by default: both are to do the same.
            let server = format!(
                "CREATE SERVER {name} OPTIONS (HOST '127.0.0.1', PORT {port}, USER 'root', PASSWORD '', SSL_MODE 'DISABLED')"
            );
            sql(&mut admin, &server).await;
        }
        sql(&mut admin, &format!("CREATE SYNC TASK t BETWEEN hq AND branch {task}")).await;
        sql(&mut admin, "START SYNC TASK t").await;
        Self { proxy, admin }
    }

    /// Waits until the forward direction follows changes.
    pub(crate) async fn runs(&mut self) {
        let query = "SELECT state FROM sync.status WHERE direction = 'forward'";
        until(&mut self.admin, query, "running").await;
    }

    /// Waits until all of `executed` at hq is applied at branch.
    pub(crate) async fn applied(&mut self, executed: &str, judge: &mut Conn) {
        let began = Instant::now();
        loop {
            let query = "SELECT CONCAT(applied_position, '|', state, ' ', last_error) FROM sync.status
                         WHERE direction = 'forward'";
            let answer = cell(&mut self.admin, query).await;
            let (applied, state) = answer.split_once('|').unwrap_or_default();
            assert!(
                !state.starts_with("failed") && !state.starts_with("paused"),
                "the task has stopped: {state}"
            );
            if cell(judge, &format!("SELECT GTID_SUBSET('{executed}', '{applied}')")).await == "1" {
                return;
            }
            assert!(
                began.elapsed() < Duration::from_secs(3600),
                "the task does not come to an end"
            );
            tokio::time::sleep(POLL).await;
        }
    }

    pub(crate) async fn pause(&mut self) {
        sql(&mut self.admin, "PAUSE SYNC TASK t").await;
    }

    pub(crate) async fn resume(&mut self) {
        sql(&mut self.admin, "RESUME SYNC TASK t").await;
    }

    pub(crate) async fn resume_if_paused(&mut self) {
        let query = "SELECT state FROM sync.status WHERE direction = 'forward'";
        if cell(&mut self.admin, query).await == "paused" {
            self.resume().await;
        }
    }
}
