//! Online schema changes under load on both sides: pt-online-schema-change itself, gh-ost's tables, and MySQL's own ways.

use std::process::Stdio;

use causeway::demo::mysqld::LocalServer;
use mysql_async::prelude::Queryable as _;

use crate::support::{
    ask::{cell, connect, rows, sql},
    clients,
    cluster::{Pair, Proxy},
    compare::assert_same,
    load::{Load, Side, make_tables},
};

const DATABASE: &str = "load_db";

/// A pair in step, with the load's tables.
async fn in_step(options: &str) -> (Pair, Proxy) {
    let pair = Pair::start().await;
    make_tables(&pair.hq, DATABASE).await;
    let proxy = Proxy::in_step(&pair, &format!("OBJECTS (load_db.*) WITH (heartbeat = OFF{options})")).await;
    (pair, proxy)
}

fn load(pair: &Pair) -> Load {
    let side = |number, server| Side {
        number,
        server,
        database: DATABASE,
    };
    Load::start(&[side(0, &pair.hq), side(1, &pair.branch)], 3)
}

/// Runs the tool on a table of the load, small chunks at a time, so that both sides write while it is at work.
async fn pt_online_schema_change(server: &LocalServer, table: &str, alter: &str) {
    let mut command = clients::pt_online_schema_change();
    command
        .args(["--execute", "--no-check-replication-filters", "--no-version-check", "--recursion-method=none"])
        .args(["--chunk-size=20", "--chunk-time=0", "--sleep=0.02", "--set-vars=lock_wait_timeout=5", "--tries=swap_tables:50:0.2,create_triggers:50:0.2,drop_triggers:50:0.2,copy_rows:100:0.1,update_foreign_keys:50:0.2"])
        .arg("--max-load=Threads_running=1000")
        .arg("--critical-load=Threads_running=2000")
        .args(["--alter", alter])
        .arg(format!("h=127.0.0.1,P={},u=root,D={DATABASE},t={table}", server.port))
        .stdin(Stdio::null());
    let (success, said, complaint) = tokio::task::spawn_blocking(move || clients::outcome(&mut command))
        .await
        .unwrap();
    assert!(success, "{said}{complaint}");
}

/// Does to a table what gh-ost does: a ghost and a changelog table beside it, rows copied in chunks while the table is in
/// use, the last ones under a lock, and both exchanged in one statement.
async fn like_gh_ost(server: &LocalServer, table: &str, alter: &str, columns: &str) {
    let mut conn = connect(server).await;
    let (ghost, changelog, old) = (
        format!("_{table}_gho"),
        format!("_{table}_ghc"),
        format!("_{table}_del"),
    );
    for statement in [
        format!("USE {DATABASE}"),
        format!("CREATE /* gh-ost */ TABLE {DATABASE}.{ghost} LIKE {DATABASE}.{table}"),
        format!("ALTER /* gh-ost */ TABLE {DATABASE}.{ghost} {alter}"),
        format!(
            "CREATE /* gh-ost */ TABLE {DATABASE}.{changelog} (id BIGINT AUTO_INCREMENT PRIMARY KEY, hint VARCHAR(64))"
        ),
        format!("INSERT INTO {changelog} (hint) VALUES ('state')"),
        format!("INSERT IGNORE INTO {ghost} ({columns}) SELECT {columns} FROM {table} WHERE id % 3 = 0"),
        format!("INSERT IGNORE INTO {ghost} ({columns}) SELECT {columns} FROM {table} WHERE id % 3 = 1"),
        format!("REPLACE INTO {ghost} ({columns}) SELECT {columns} FROM {table} WHERE id % 2 = 1"),
        format!("UPDATE {changelog} SET hint = 'migrated'"),
    ] {
        loop {
            match conn.query_drop(&statement).await {
                Ok(()) => break,
                // It tries again after a deadlock, too.
                Err(mysql_async::Error::Server(error)) if [1205, 1213].contains(&error.code) => {}
                Err(error) => panic!("{error} in {statement}"),
            }
        }
    }
    // What gh-ost takes from the binlog is taken here at once, while nobody writes.
    let locked = format!(
        "LOCK TABLES {table} WRITE, {ghost} WRITE; DELETE FROM {ghost}; \
         INSERT INTO {ghost} ({columns}) SELECT {columns} FROM {table}; \
         RENAME /* gh-ost */ TABLE {DATABASE}.{table} TO {DATABASE}.{old}, {DATABASE}.{ghost} TO {DATABASE}.{table}; \
         UNLOCK TABLES; DROP /* gh-ost */ TABLE {DATABASE}.{old}; DROP TABLE {DATABASE}.{changelog}"
    );
    conn.query_drop(locked).await.unwrap();
}

/// The tool at work on a table of the load.
#[derive(Clone, Copy)]
enum Tool {
    PtOnlineSchemaChange,
    GhOst,
    /// ALTER TABLE with an ALGORITHM.
    MySql,
}

impl Tool {
    /// Adds a column, and what else the tool is good for. Returns the table and the new column.
    async fn change(self, server: &LocalServer) -> (&'static str, &'static str) {
        match self {
            Tool::PtOnlineSchemaChange => {
                let alter = "ADD COLUMN by_pt INT NOT NULL DEFAULT 5, MODIFY c VARCHAR(300)";
                pt_online_schema_change(server, "plain", alter).await;
                ("plain", "by_pt")
            }
            Tool::GhOst => {
                let alter = "ADD COLUMN by_gh_ost INT NOT NULL DEFAULT 7, ADD KEY (note(10))";
                like_gh_ost(server, "items", alter, "id, name, quantity, note").await;
                ("items", "by_gh_ost")
            }
            Tool::MySql => {
                sql(
                    server,
                    "USE load_db; ALTER TABLE places ADD COLUMN instant INT DEFAULT 1, ALGORITHM=INSTANT;
                     ALTER TABLE places ADD KEY in_place (what(10)), ALGORITHM=INPLACE, LOCK=NONE;
                     ALTER TABLE places MODIFY area VARCHAR(30), ALGORITHM=COPY",
                )
                .await;
                ("places", "instant")
            }
        }
    }
}

/// Tools change tables under load on both sides; `at_the_branch` is a condition on the statements that arrive there.
async fn tools_at_work(options: &str, tools: &[Tool], at_the_branch: &str) {
    let (pair, proxy) = in_step(options).await;
    let load = load(&pair);
    let mut changed = Vec::new();
    for tool in tools {
        load.commits(100).await;
        changed.push(tool.change(&pair.hq).await);
    }
    load.commits(100).await;
    let tally = load.finish().await;
    proxy.wait_synced("t").await;
    assert_same(&pair.hq, &pair.branch, DATABASE).await;
    for server in [&pair.hq, &pair.branch] {
        tally.assert_at(server, DATABASE).await;
        for (table, column) in &changed {
            let found = format!(
                "SELECT COUNT(*) FROM information_schema.columns
                 WHERE table_schema = '{DATABASE}' AND table_name = '{table}' AND column_name = '{column}'"
            );
            assert_eq!(cell(server, &found).await, "1", "{table}");
        }
        let left = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'load_db' AND table_name LIKE '\\_%'";
        assert_eq!(rows(server, left).await, NONE);
    }
    assert_eq!(rows(&proxy, "SELECT * FROM sync.conflicts").await, NONE);
    let arrived = format!("SELECT COUNT(*) FROM sync.ddl WHERE outcome = 'applied' AND ({at_the_branch})");
    let (arrived, all) = (
        cell(&proxy, &arrived).await,
        rows(&proxy, "SELECT outcome, applied_statement FROM sync.ddl").await,
    );
    assert_eq!(
        arrived.parse::<usize>().unwrap(),
        tools.len(),
        "{at_the_branch} in {all:#?}"
    );
    // Both sides go on writing to the tables as they are now.
    for (server, id) in [(&pair.hq, -1), (&pair.branch, -2)] {
        let insert = format!(
            "USE load_db; INSERT INTO plain (id, a) VALUES ({id}, 1); UPDATE plain SET a = 2 WHERE id = {id};
             INSERT INTO items (id, name, quantity) VALUES ({id}, '{id}', 1); INSERT INTO places (area, number) VALUES ('{id}', 1)"
        );
        sql(server, &insert).await;
    }
    proxy.wait_synced("t").await;
    assert_same(&pair.hq, &pair.branch, DATABASE).await;
}

const NONE: Vec<Vec<String>> = Vec::new();

#[tokio::test]
async fn the_tables_of_the_tools_are_carried_as_they_are() {
    let tools = [Tool::PtOnlineSchemaChange, Tool::GhOst];
    tools_at_work("", &tools, "applied_statement LIKE 'RENAME%'").await;
}

#[tokio::test]
async fn the_tables_of_pt_online_schema_change_are_hidden_and_its_last_word_is_carried() {
    let tools = [Tool::PtOnlineSchemaChange];
    let all = "applied_statement LIKE '%_new%' OR applied_statement LIKE 'ALTER TABLE `load_db`.`plain`%'";
    tools_at_work(", online_ddl = 'pt-osc'", &tools, all).await;
}

#[tokio::test]
async fn the_tables_of_gh_ost_are_hidden_and_its_last_word_is_carried() {
    let all = "applied_statement LIKE '%gho%' OR applied_statement LIKE 'ALTER%TABLE `load_db`.`items`%'";
    tools_at_work(", online_ddl = 'gh-ost'", &[Tool::GhOst], all).await;
}

#[tokio::test]
async fn what_mysql_itself_does_online_arrives_under_load() {
    tools_at_work("", &[Tool::MySql], "applied_statement LIKE '%INSTANT%'").await;
}
