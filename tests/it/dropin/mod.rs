//! Existing tools of MySQL, pointed at Causeway: monitors, drivers, the command line.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use causeway::demo::mysqld::ServerOptions;
use mysql_async::{Row, prelude::Queryable as _};

use crate::support::{
    ask::{LIMIT, cell, eventually, rows, sql},
    clients::{self, outcome},
    cluster::{Pair, Proxy, server},
};

/// A two-way task `orders` at work between two servers.
async fn orders() -> (Pair, Proxy) {
    let (pair, proxy) = tokio::join!(Pair::start(), Proxy::start());
    sql(
        &pair.hq,
        "CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY); INSERT INTO shop.t VALUES (1)",
    )
    .await;
    proxy.register(&pair).await;
    // Several statements in one packet.
    sql(
        &proxy,
        "CREATE SYNC TASK orders BETWEEN hq AND branch OBJECTS (shop.*); START SYNC TASK orders;",
    )
    .await;
    proxy.wait_synced("orders").await;
    proxy.wait_state("orders", "running").await;
    (pair, proxy)
}

async fn columns(conn: &mut mysql_async::Conn, query: &str) -> Vec<String> {
    let result = conn.query_iter(query).await.unwrap();
    let columns = result.columns().unwrap();
    let names = columns.iter().map(|column| column.name_str().into_owned()).collect();
    result.drop_result().await.unwrap();
    names
}

/// MySQL's own columns, in its own order.
#[tokio::test]
async fn what_is_shown_has_the_columns_that_a_real_server_gives_it() {
    let (real, proxy) = tokio::join!(server(ServerOptions::default()), Proxy::start());
    sql(
        &real,
        "CHANGE REPLICATION SOURCE TO SOURCE_HOST = 'h', SOURCE_USER = 'u'",
    )
    .await;
    let mut real = crate::support::ask::connect(&real).await;
    let mut ours = proxy.admin().await;
    let mut asked: Vec<String> = [
        "SHOW REPLICA STATUS",
        "SHOW PROCESSLIST",
        "SHOW FULL PROCESSLIST",
        "SHOW GLOBAL STATUS",
        "SHOW VARIABLES",
        "SHOW TABLE STATUS FROM performance_schema",
        "SHOW COLUMNS FROM performance_schema.global_status",
        "SHOW FULL COLUMNS FROM performance_schema.global_status",
        "SHOW INDEX FROM performance_schema.global_status",
        "SHOW ENGINES",
        "SHOW PLUGINS",
        "SHOW COLLATION",
        "SHOW CHARACTER SET",
        "SHOW WARNINGS",
        "SHOW OPEN TABLES",
        "SHOW TRIGGERS FROM performance_schema",
        "SHOW EVENTS FROM performance_schema",
        "SHOW PROCEDURE STATUS",
        "SHOW BINARY LOGS",
        "SHOW BINARY LOG STATUS",
        "SHOW REPLICAS",
        "SHOW PRIVILEGES",
        "SHOW DATABASES",
        "SHOW FULL TABLES FROM performance_schema",
        "SHOW CREATE TABLE performance_schema.global_status",
        "SHOW CREATE DATABASE information_schema",
    ]
    .map(str::to_owned)
    .to_vec();
    let tables = rows(
        &proxy,
        "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.tables WHERE TABLE_SCHEMA <> 'sync'",
    )
    .await;
    assert!(tables.len() > 40, "{}", tables.len());
    asked.extend(
        tables
            .iter()
            .map(|table| format!("SELECT * FROM {}.{} LIMIT 0", table[0], table[1])),
    );
    for query in &asked {
        assert_eq!(
            columns(&mut ours, query).await,
            columns(&mut real, query).await,
            "{query}"
        );
    }
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn scrape(port: u16) -> std::io::Result<String> {
    let mut socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.set_read_timeout(Some(LIMIT))?;
    socket.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    Ok(answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_exporter_yields_the_lag_of_every_link() {
    let (pair, proxy) = orders().await;
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let exporter = clients::mysqld_exporter()
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .args(["--collect.info_schema.processlist", "--collect.info_schema.tables"])
        .args(["--collect.slave_status", "--collect.slave_hosts"])
        .env(
            "DATA_SOURCE_NAME",
            format!("root:{}@(127.0.0.1:{})/", proxy.password, proxy.port),
        )
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _exporter = Running(exporter);
    let begin = Instant::now();
    let metrics = loop {
        match scrape(port) {
            Ok(answer) => break answer,
            Err(error) => assert!(begin.elapsed() < LIMIT, "the exporter does not answer: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let value = |name: &str, labels: &[&str]| {
        let of_name = metrics
            .lines()
            .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
        let mut of_labels = of_name.filter(|line| labels.iter().all(|label| line.contains(label)));
        let line = of_labels
            .next()
            .unwrap_or_else(|| panic!("{name} {labels:?} is not in:\n{metrics}"));
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    assert_eq!(value("mysql_up", &[]), 1.0);
    let uuids = [&pair.hq, &pair.branch];
    for (direction, source) in [("forward", uuids[0]), ("reverse", uuids[1])] {
        let uuid = cell(source, "SELECT @@server_uuid").await;
        let labels = [
            &format!("channel_name=\"orders:{direction}\"")[..],
            &format!("master_uuid=\"{uuid}\""),
        ];
        assert!(value("mysql_slave_status_seconds_behind_master", &labels) < 3600.0);
        assert_eq!(value("mysql_slave_status_slave_io_running", &labels), 1.0);
        assert_eq!(value("mysql_slave_status_slave_sql_running", &labels), 1.0);
        assert_eq!(value("mysql_slave_status_last_errno", &labels), 0.0);
    }
    assert_eq!(value("mysql_global_status_causeway_links_running", &[]), 2.0);
    assert!(value("mysql_global_status_questions", &[]) > 0.0);
    assert_eq!(value("mysql_global_variables_read_only", &[]), 0.0);
    // A collector that failed is counted.
    assert_eq!(value("mysql_exporter_last_scrape_error", &[]), 0.0);
    assert!(!metrics.contains("mysql_exporter_scrape_errors_total{"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jdbc_driver_reads_the_status_and_looks_through_the_tables() {
    let (_pair, proxy) = orders().await;
    let mut java = clients::jdbc();
    java.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/dropin/Jdbc.java"))
        .args([&proxy.port.to_string(), &proxy.password]);
    let (success, shown, complaint) = outcome(&mut java);
    assert!(success && shown == "done\n", "{shown}{complaint}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_prepares_statements_with_parameters() {
    const SCRIPT: &str = "
const assert = require('assert');
const mysql = require('mysql2/promise');
(async () => {
  const [port, password] = process.argv.slice(1);
  const connection = await mysql.createConnection({ host: '127.0.0.1', port, user: 'root', password, multipleStatements: true });
  const query = 'SELECT direction, lag_ms IS NULL AS n FROM sync.status WHERE task = ? AND rows_applied >= ? ORDER BY direction';
  for (const task of ['orders', 'ORDERS', 'o']) {
    const [rows] = await connection.execute(query, [task, 0]);
    assert.deepStrictEqual(rows.map((row) => row.direction), task === 'o' ? [] : ['forward', 'reverse']);
  }
  const [both] = await connection.query('SELECT 1 AS a; SHOW REPLICA STATUS; USE sync; SELECT DATABASE() AS d');
  assert.deepStrictEqual([both[0][0].a, both[1].length, both[3][0].d], [1, 2, 'sync']);
  await assert.rejects(connection.query('SELECT 1; SELECT absent FROM sync.tasks; DROP SYNC TASK orders'), { errno: 1054 });
  const [tasks] = await connection.execute('SHOW SYNC TASKS');
  assert.strictEqual(tasks.length, 1);
  await connection.end();
  console.log('done');
})().catch((error) => { console.error(error); process.exit(1); });
";
    let (_pair, proxy) = orders().await;
    let mut node = clients::node_mysql2();
    node.args(["-e", SCRIPT, &proxy.port.to_string(), &proxy.password]);
    let (success, shown, complaint) = outcome(&mut node);
    assert!(success && shown == "done\n", "{shown}{complaint}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mysqladmin_shows_and_ends_sessions() {
    let proxy = Proxy::start().await;
    let mysqladmin = |arguments: &[&str]| {
        let mut command = clients::mysqladmin();
        command
            .args(["-h127.0.0.1", "-uroot"])
            .arg(format!("-P{}", proxy.port))
            .args(arguments)
            .env("MYSQL_PWD", &proxy.password);
        let (success, shown, complaint) = outcome(&mut command);
        assert!(success, "{arguments:?}: {shown}{complaint}");
        shown
    };
    assert!(mysqladmin(&["ping"]).contains("alive"));
    assert!(mysqladmin(&["status"]).starts_with("Uptime: "));
    assert!(mysqladmin(&["extended-status"]).contains("Causeway_links"));
    assert!(mysqladmin(&["variables"]).contains("max_allowed_packet"));
    assert!(mysqladmin(&["processlist"]).contains("| root |"));

    // A statement that would go on for half a minute is ended; its session goes on, until it is ended too.
    const ENDLESS: &str = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n";
    let mut conn = proxy.admin().await;
    let id = conn.id();
    let busy = tokio::spawn(async move {
        let error = conn.query_drop(ENDLESS).await.unwrap_err();
        let alive: Option<Row> = conn.query_first("SELECT 1").await.unwrap();
        (error.to_string(), alive.is_some(), conn)
    });
    eventually("the statement is at work", async || {
        let found = rows(
            &proxy,
            &format!("SELECT INFO FROM information_schema.processlist WHERE ID = {id}"),
        )
        .await;
        found.first().is_some_and(|row| row[0] == ENDLESS).then_some(())
    })
    .await;
    sql(&proxy, &format!("KILL QUERY {id}")).await;
    let (error, alive, mut conn) = busy.await.unwrap();
    assert!(error.contains("1317") && alive, "{error}");
    mysqladmin(&["kill", &id.to_string()]);
    eventually("the session is gone", async || {
        let found = rows(&proxy, "SELECT ID FROM performance_schema.processlist").await;
        found.iter().all(|row| row[0] != id.to_string()).then_some(())
    })
    .await;
    assert!(conn.query_drop("SELECT 1").await.is_err());
}
