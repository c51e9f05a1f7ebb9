//! What it costs as the work grows: more tables, larger rows, larger transactions.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use causeway::demo::mysqld::Installation;
use mysql_async::Conn;

use super::{
    Arguments, process,
    report::{Report, Table},
    site::{self, Task, sql},
};

pub(crate) async fn run(arguments: &Arguments, report: &mut Report) {
    let installation = site::installation();
    let rows = arguments.thousands * 500;
    let mut table = Table::new(
        "Cost as the work grows",
        &[
            "what",
            "rows",
            "seconds",
            "rows/s",
            "resident MiB before",
            "highest resident MiB",
        ],
    );
    for tables in [1, 10, 100, 1000, 5000] {
        // Each table at least twice over: its first change costs more, at both servers as well.
        let rows = rows.max(tables * 20);
        table.rows.push(
            measure(&installation, format!("{tables} tables"), rows, tables, |conn| {
                Box::pin(spread(conn, tables, rows))
            })
            .await,
        );
    }
    for bytes in [100, 1_000, 10_000, 100_000, 1_000_000] {
        let rows = (rows * 1000 / bytes).clamp(100, rows);
        table.rows.push(
            measure(&installation, format!("rows of {bytes} bytes"), rows, 1, |conn| {
                Box::pin(large(conn, rows, bytes))
            })
            .await,
        );
    }
    for size in [1, 100, 10_000, 1_000_000] {
        let rows = if size == 1_000_000 { size } else { rows };
        table.rows.push(
            measure(&installation, format!("transactions of {size} rows"), rows, 1, |conn| {
                Box::pin(batches(conn, rows, size))
            })
            .await,
        );
    }
    report.add(table);
}

type Work<'a> = std::pin::Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Makes tables, brings the sides into step, makes a backlog, and sees how it is worked off.
async fn measure(
    installation: &Arc<Installation>,
    what: String,
    rows: u64,
    tables: u64,
    work: impl for<'a> FnOnce(&'a mut Conn) -> Work<'a>,
) -> Vec<String> {
    let (source, branch) = tokio::join!(site::server(installation, false), site::server(installation, true));
    let mut conn = source.connect().await.unwrap();
    sql(&mut conn, "CREATE DATABASE grown").await;
    for table in 0..tables {
        let create =
            format!("CREATE TABLE grown.t{table} (id BIGINT PRIMARY KEY AUTO_INCREMENT, k INT, body LONGTEXT)");
        sql(&mut conn, &create).await;
    }
    let mut task = Task::start(source.port, branch.port, "OBJECTS (grown.*) WITH (heartbeat = OFF)").await;
    task.runs().await;
    task.pause().await;
    work(&mut conn).await;
    let executed = site::executed(&mut conn).await;
    let pid = task.proxy.pid().unwrap();
    let before = process::memory(pid).0;
    process::forget_highest(pid);
    let began = Instant::now();
    task.resume().await;
    task.applied(&executed, &mut conn).await;
    let took: Duration = began.elapsed();
    let highest = process::memory(pid).1;
    vec![
        what,
        rows.to_string(),
        format!("{:.1}", took.as_secs_f64()),
        format!("{:.0}", rows as f64 / took.as_secs_f64()),
        (before / 1024).to_string(),
        (highest / 1024).to_string(),
    ]
}

async fn spread(conn: &mut Conn, tables: u64, rows: u64) {
    // Transactions of ten rows: the source shall not take longer than what is measured.
    for number in 0..rows / 10 {
        let table = number * 7919 % tables;
        let values: Vec<String> = (0..10)
            .map(|row| format!("({row}, 'some text of an ordinary length')"))
            .collect();
        sql(
            conn,
            &format!("INSERT INTO grown.t{table} (k, body) VALUES {}", values.join(",")),
        )
        .await;
    }
}

async fn large(conn: &mut Conn, rows: u64, bytes: u64) {
    for row in 0..rows {
        sql(
            conn,
            &format!("INSERT INTO grown.t0 (k, body) VALUES ({row}, REPEAT('x', {bytes}))"),
        )
        .await;
    }
}

async fn batches(conn: &mut Conn, rows: u64, size: u64) {
    sql(conn, "SET SESSION cte_max_recursion_depth = 100000000").await;
    for _ in 0..rows / size {
        sql(
            conn,
            &format!(
                "INSERT INTO grown.t0 (k, body) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {size})
                 SELECT i, 'some text of an ordinary length' FROM n"
            ),
        )
        .await;
    }
}
