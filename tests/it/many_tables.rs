//! A task over thousands of tables: what it takes to start, and what it holds in memory.

use std::{env, time::Instant};

use causeway::demo::mysqld::{LocalServer, ServerOptions};
use mysql_async::prelude::Queryable;

use crate::support::{
    ask::{cell, connect, rows, sql},
    cluster::{Pair, Proxy},
};

/// 2,000 tables, or as many as `CAUSEWAY_TABLES` says (what they take grows with their number alone).
fn tables() -> u64 {
    env::var("CAUSEWAY_TABLES").map_or(2000, |tables| tables.parse().unwrap())
}

/// Of these, every so-manieth holds rows; the others are empty, as most of so many tables are.
const FILLED_EVERY: u64 = 50;
/// Statements that a server may be asked per table, all in all, from START to where changes are followed.
const STATEMENTS: u64 = 8;
/// What Causeway may hold, in MiB: 48 MiB of changes for each link, and a few KiB for each table.
const MEMORY_MIB: u64 = 192;

async fn make_tables(server: &LocalServer) {
    let mut conn = connect(server).await;
    conn.query_drop("CREATE DATABASE many; USE many; CREATE TABLE parent (id INT PRIMARY KEY)")
        .await
        .unwrap();
    for first in (1..=tables()).step_by(100) {
        let mut text = String::new();
        for number in first..(first + 100).min(tables() + 1) {
            text += &format!(
                "CREATE TABLE t{number} (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(40) NOT NULL DEFAULT 'x', price DECIMAL(10,2),
                 at DATETIME, UNIQUE KEY (name), KEY (price){});",
                if number % FILLED_EVERY == 1 { ", p INT, FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE" } else { "" },
            );
            if number % FILLED_EVERY == 0 {
                text += &format!("INSERT INTO t{number} (name) VALUES ('a'), ('b'), ('c');");
            }
        }
        conn.query_drop(text).await.unwrap();
    }
}

/// Statements that a server has taken from its clients.
async fn questions(server: &LocalServer) -> u64 {
    rows(server, "SHOW GLOBAL STATUS LIKE 'Questions'").await[0][1]
        .parse()
        .unwrap()
}

/// The most memory the proxy has ever held, in MiB.
fn peak_mib(proxy: &Proxy) -> u64 {
    proxy.memory_kib("VmHWM:") / 1024
}

#[tokio::test]
async fn thousands_of_tables_start_with_few_statements_each_and_little_memory() {
    // One file for all of them: a file each would be a gigabyte.
    let options = || ServerOptions::with(&["--innodb-file-per-table=OFF", "--table-open-cache=400"]);
    let pair = Pair::start_with(options(), options()).await;
    let (hq, branch) = (&pair.hq, &pair.branch);
    make_tables(hq).await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    sql(&proxy, "CREATE SYNC TASK many BETWEEN hq AND branch OBJECTS (many.*)").await;
    let before = [questions(hq).await, questions(branch).await];
    let begin = Instant::now();
    sql(&proxy, "START SYNC TASK many").await;
    println!("START: {:?}", begin.elapsed());
    proxy.wait_state("many", "running").await;
    proxy.wait_synced("many").await;
    println!("in step: {:?}", begin.elapsed());
    println!("memory: {} MiB", peak_mib(&proxy));
    let asked = [questions(hq).await - before[0], questions(branch).await - before[1]];
    println!(
        "statements per table: {:?}",
        asked.map(|asked| asked as f64 / tables() as f64)
    );

    let there = "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'many'";
    assert_eq!(cell(branch, there).await, (tables() + 1).to_string());
    let phases = "SELECT phase, COUNT(*) FROM sync.objects WHERE direction = 'forward' GROUP BY phase";
    println!("{:?}", rows(&proxy, phases).await);
    for number in (FILLED_EVERY..=tables()).step_by(1000) {
        assert_eq!(cell(branch, &format!("SELECT COUNT(*) FROM many.t{number}")).await, "3");
    }
    // Changes of some hundreds of them, on both sides: each is looked at when its first change comes.
    let mut text = String::from("USE many;");
    for number in (1..=tables()).step_by(10) {
        text += &format!("INSERT INTO t{number} (id, name) VALUES (10, 'hq');");
    }
    let begin = Instant::now();
    sql(hq, &text).await;
    sql(branch, &text.replace("10, 'hq'", "11, 'branch'")).await;
    proxy.wait_synced("many").await;
    println!("changes of a tenth of the tables on both sides: {:?}", begin.elapsed());
    println!("memory: {} MiB", peak_mib(&proxy));
    for number in (1..=tables()).step_by(1000) {
        let names = format!("SELECT GROUP_CONCAT(name ORDER BY id) FROM many.t{number} WHERE id >= 10");
        assert_eq!(
            [cell(hq, &names).await, cell(branch, &names).await],
            ["hq,branch", "hq,branch"]
        );
    }
    for asked in asked {
        assert!(
            asked <= STATEMENTS * tables(),
            "{asked} statements for {} tables",
            tables()
        );
    }
    let peak = peak_mib(&proxy);
    assert!(peak < MEMORY_MIB, "Causeway has held {peak} MiB");
}
