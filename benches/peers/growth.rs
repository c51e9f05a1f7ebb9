//! What it costs as the work grows: more tables, larger rows, larger transactions.

use std::{sync::Arc, time::Instant};

use causeway::demo::mysqld::Installation;
use mysql_async::Conn;

use super::{
    Arguments, process,
    report::{Report, Table},
    site::{self, Replica, Task, sql},
};

pub(crate) async fn run(arguments: &Arguments, report: &mut Report) {
    let installation = site::installation();
    let rows = arguments.thousands * 500;
    let mut table = Table::new(
        "Cost as the work grows",
        &[
            "what",
            "rows",
            "rows/s behind RESUME",
            "rows/s of as many more",
            "replica's rows/s of these",
            "resident MiB before",
            "highest resident MiB",
        ],
    );
    let tables = [1, 10, 100, 1000, 5000].map(|tables| Work::Tables { tables });
    let lengths = [100, 1_000, 10_000, 100_000, 1_000_000].map(|bytes| Work::Lengths { bytes });
    let sizes = [1, 100, 10_000, 1_000_000].map(|size| Work::Sizes { size });
    for work in tables.into_iter().chain(lengths).chain(sizes) {
        if work.name().contains(&arguments.only) {
            table.rows.push(measure(&installation, &work, work.rows(rows)).await);
        }
    }
    report.add(table);
}

/// What grows.
enum Work {
    /// Changes spread over so many tables.
    Tables { tables: u64 },
    /// Rows of so many bytes.
    Lengths { bytes: u64 },
    /// Transactions of so many rows.
    Sizes { size: u64 },
}

impl Work {
    fn name(&self) -> String {
        match self {
            Self::Tables { tables } => format!("{tables} tables"),
            Self::Lengths { bytes } => format!("rows of {bytes} bytes"),
            Self::Sizes { size } => format!("transactions of {size} rows"),
        }
    }

    /// How many rows are written where `rows` are usual.
    fn rows(&self, rows: u64) -> u64 {
        match self {
            // Each table at least twice over: its first change costs more, at both servers as well.
            Self::Tables { tables } => rows.max(tables * 20),
            Self::Lengths { bytes } => (rows * 1000 / bytes).clamp(100, rows),
            Self::Sizes { size: 1_000_000 } => 1_000_000,
            Self::Sizes { .. } => rows,
        }
    }

    async fn make(&self, conn: &mut Conn, rows: u64) {
        match *self {
            Self::Tables { tables } => spread(conn, tables, rows).await,
            Self::Lengths { bytes } => large(conn, rows, bytes).await,
            Self::Sizes { size } => batches(conn, rows, size).await,
        }
    }
}

/// Makes tables, brings the sides into step, makes a backlog, and sees how it is worked off: once behind RESUME, when the link
/// knows no table yet, and once more while it goes on, for which the appliers' checkpoint rows are locked until the backlog is
/// made. (A global read lock would close the destination's tables, and their opening would be measured.)
async fn measure(installation: &Arc<Installation>, work: &Work, rows: u64) -> Vec<String> {
    let tables = match work {
        Work::Tables { tables } => *tables,
        Work::Lengths { .. } | Work::Sizes { .. } => 1,
    };
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
    work.make(&mut conn, rows).await;
    let mut replica = Replica::start(installation, &source, 4).await;
    let pid = task.proxy.pid().unwrap();
    let before = process::memory(pid).0;
    process::forget_highest(pid);
    let mut speeds = Vec::new();
    let made = site::executed(&mut conn).await;
    replica.applied(&made).await;
    for again in [false, true] {
        let mut lock = None;
        if again {
            replica.pause().await;
            let mut locking = branch.connect().await.unwrap();
            // Of the rows it looks at only those that it selects stay locked.
            sql(&mut locking, "SET SESSION transaction_isolation = 'READ-COMMITTED'").await;
            sql(&mut locking, "BEGIN").await;
            sql(
                &mut locking,
                "SELECT slot FROM causeway.checkpoint WHERE slot > 0 FOR UPDATE",
            )
            .await;
            work.make(&mut conn, rows).await;
            task.runs().await;
            lock = Some(locking);
        }
        let executed = site::executed(&mut conn).await;
        let began = Instant::now();
        match &mut lock {
            Some(locking) => sql(locking, "COMMIT").await,
            None => task.resume().await,
        }
        task.applied(&executed, &mut conn).await;
        speeds.push(rows as f64 / began.elapsed().as_secs_f64());
        replica.received(&executed).await;
    }
    site::settled(&[&source, &branch, &replica.server]).await;
    let began = Instant::now();
    replica.resume().await;
    let executed = site::executed(&mut conn).await;
    replica.applied(&executed).await;
    speeds.push(rows as f64 / began.elapsed().as_secs_f64());
    let highest = process::memory(pid).1;
    vec![
        work.name(),
        rows.to_string(),
        format!("{:.0}", speeds[0]),
        format!("{:.0}", speeds[1]),
        format!("{:.0}", speeds[2]),
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
