//! How fast whole tables are copied: Causeway's full sync, `mysqldump | mysql`, mydumper and myloader with 4 threads, and
//! the clone plugin, which copies files and is the limit.

use std::{
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use causeway::demo::mysqld::{Installation, LocalServer};
use tokio::process::Command;

use super::{
    Arguments, process,
    report::{Report, Table, median},
    site::{self, Task, sql},
};

const TABLES: u32 = 4;

const WHO: [&str; 5] = [
    "Causeway",
    "Causeway, local_infile = OFF",
    "mysqldump, mysql",
    "mydumper, myloader, 4 threads",
    "clone plugin",
];

pub(crate) async fn run(arguments: &Arguments, report: &mut Report) {
    let installation = site::installation();
    let source = site::server(&installation, false).await;
    let rows = arguments.thousands * 5000;
    fill(&source, rows, rows / 5).await;
    let total = (rows * u64::from(TABLES) + rows / 5) as f64;
    let asked = |who: &usize| WHO[*who].contains(&arguments.only);
    // Seconds, and processor time of the destination.
    let mut found: [(Vec<f64>, Vec<f64>); 5] = Default::default();
    for _ in 0..arguments.rounds {
        for who in (0..WHO.len()).filter(asked) {
            let destination = site::server(&installation, true).await;
            let used = || process::cpu(destination.pid().unwrap()).as_secs_f64();
            let before = used();
            let took = match who {
                0 => causeway(&source, &destination, true, &arguments.with).await,
                1 => causeway(&source, &destination, false, &arguments.with).await,
                2 => mysqldump(&installation, &source, &destination).await,
                3 => mydumper(&installation, &source, &destination).await,
                _ => clone(&source, &destination).await,
            };
            found[who].0.push(took.as_secs_f64());
            found[who].1.push(used() - before);
        }
    }
    let mut table = Table::new(
        format!(
            "Full copy of {TABLES} tables of {rows} rows and one of {} wide rows",
            rows / 5
        ),
        &[
            "who",
            "seconds",
            "rows/s",
            "destination CPU, µs/row",
            "Causeway is so many times as fast",
        ],
    );
    let found = found.map(|(seconds, used)| (median(seconds), median(used)));
    let ours = found[0].0;
    for who in (0..WHO.len()).filter(asked) {
        let (seconds, used) = found[who];
        table.rows.push(vec![
            WHO[who].to_owned(),
            format!("{seconds:.1}"),
            format!("{:.0}", total / seconds),
            format!("{:.1}", used * 1e6 / total),
            format!("{:.2}", seconds / ours),
        ]);
    }
    report.add(table);
}

/// sysbench's tables, made by the server itself, and one with wide rows.
async fn fill(source: &LocalServer, rows: u64, wide: u64) {
    let mut conn = source.connect().await.unwrap();
    sql(
        &mut conn,
        "CREATE DATABASE copied; SET SESSION cte_max_recursion_depth = 100000000",
    )
    .await;
    let numbers =
        |count: u64| format!("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})");
    for table in 1..=TABLES {
        sql(
            &mut conn,
            &format!(
                "CREATE TABLE copied.t{table} (id INT PRIMARY KEY AUTO_INCREMENT, k INT NOT NULL, c CHAR(120) NOT NULL,
                 pad CHAR(60) NOT NULL, KEY (k)); INSERT INTO copied.t{table} (k, c, pad) {}
                 SELECT MOD(i * 7919, {rows}), CONCAT(SHA2(i, 224), SHA2(i + 1, 224)), SHA2(i + 2, 224) FROM n",
                numbers(rows)
            ),
        )
        .await;
    }
    sql(
        &mut conn,
        &format!(
            "CREATE TABLE copied.wide (id INT PRIMARY KEY AUTO_INCREMENT, doc JSON, body TEXT, at DATETIME(6), amount DECIMAL(20, 4));
             INSERT INTO copied.wide (doc, body, at, amount) {}
             SELECT JSON_OBJECT('n', i, 'name', CONCAT('row ', i), 'tags', JSON_ARRAY('a', 'b', i / 7)), REPEAT(SHA2(i, 256), 30),
             '2026-01-01' + INTERVAL i SECOND, i / 3 FROM n",
            numbers(wide)
        ),
    )
    .await;
}

/// `loads`: the destination takes LOAD DATA LOCAL, which it does not by default.
async fn causeway(source: &LocalServer, destination: &LocalServer, loads: bool, with: &str) -> Duration {
    let mut conn = destination.connect().await.unwrap();
    sql(&mut conn, &format!("SET GLOBAL local_infile = {loads}")).await;
    let began = Instant::now();
    let task = site::task("copied", with);
    let mut task = Task::start(source.port, destination.port, &task).await;
    task.runs().await;
    began.elapsed()
}

/// MySQL's own clients encrypt by default; nobody else here does.
const PLAIN: &str = "--ssl-mode=DISABLED";

fn connection(server: &LocalServer) -> [String; 3] {
    [
        "--host=127.0.0.1".to_owned(),
        format!("--port={}", server.port),
        "--user=root".to_owned(),
    ]
}

async fn mysqldump(installation: &Arc<Installation>, source: &LocalServer, destination: &LocalServer) -> Duration {
    let began = Instant::now();
    let mut dump = Command::from(installation.program("mysqldump"))
        .args([
            "--no-defaults",
            "--single-transaction",
            "--set-gtid-purged=OFF",
            PLAIN,
            "--databases",
            "copied",
        ])
        .args(connection(source))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out: Stdio = dump.stdout.take().unwrap().try_into().unwrap();
    let mut load = Command::from(installation.program("mysql"));
    let loaded = load
        .args(["--no-defaults", PLAIN])
        .args(connection(destination))
        .stdin(out)
        .status();
    let (dumped, loaded) = tokio::join!(dump.wait(), loaded);
    assert!(dumped.unwrap().success() && loaded.unwrap().success());
    began.elapsed()
}

async fn mydumper(installation: &Arc<Installation>, source: &LocalServer, destination: &LocalServer) -> Duration {
    let folder = destination.dir.join("dump");
    let root = installation.root().expect("the installation was fetched");
    let plugins = root.join("usr/lib/x86_64-linux-gnu/libmariadb3/plugin");
    let began = Instant::now();
    for (program, server, how) in [
        (
            "mydumper",
            source,
            vec!["--threads=4", "--rows=100000", "--database=copied"],
        ),
        (
            "myloader",
            destination,
            vec!["--threads=4", "--queries-per-transaction=1000", "--enable-binlog"],
        ),
    ] {
        let mut command = Command::from(installation.program(program));
        let flag = if program == "mydumper" {
            "--outputdir"
        } else {
            "--directory"
        };
        command
            .args(how)
            .args(connection(server))
            .arg(flag)
            .arg(&folder)
            .env("MARIADB_PLUGIN_DIR", &plugins);
        let output = command.output().await.unwrap();
        assert!(
            output.status.success(),
            "{program}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    began.elapsed()
}

/// The destination is restarted by the plugin, which a server without a supervisor can't do itself: done is when it ends.
async fn clone(source: &LocalServer, destination: &LocalServer) -> Duration {
    for server in [source, destination] {
        let mut conn = server.connect().await.unwrap();
        let there = site::cell(
            &mut conn,
            "SELECT COUNT(*) FROM information_schema.plugins WHERE plugin_name = 'clone'",
        )
        .await;
        if there == "0" {
            sql(&mut conn, "INSTALL PLUGIN clone SONAME 'mysql_clone.so'").await;
        }
    }
    let mut conn = destination.connect().await.unwrap();
    let local = destination.dir.join("cloned");
    sql(
        &mut conn,
        &format!("SET GLOBAL clone_valid_donor_list = '127.0.0.1:{}'", source.port),
    )
    .await;
    let mut donor = source.connect().await.unwrap();
    sql(
        &mut donor,
        "CREATE USER IF NOT EXISTS donor@'%' IDENTIFIED BY 'donor'; GRANT BACKUP_ADMIN ON *.* TO donor@'%'",
    )
    .await;
    let began = Instant::now();
    sql(
        &mut conn,
        &format!(
            "CLONE INSTANCE FROM donor@'127.0.0.1':{} IDENTIFIED BY 'donor' DATA DIRECTORY = '{}' REQUIRE NO SSL",
            source.port,
            local.display()
        ),
    )
    .await;
    began.elapsed()
}
