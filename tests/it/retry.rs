//! A server goes away: tasks wait for it, as long as the retry window is open, and go on by themselves.

use causeway::demo::mysqld::free_port;

use crate::support::{
    ask::{cell, eventually, rows, sql},
    cluster::{Pair, Proxy},
    compare::assert_same,
};

async fn made(pair: &Pair, proxy: &Proxy, tasks: &[(&str, &str)]) {
    proxy.register(pair).await;
    for (task, options) in tasks {
        sql(
            &pair.hq,
            &format!("CREATE DATABASE {task}; CREATE TABLE {task}.t (id INT PRIMARY KEY)"),
        )
        .await;
        sql(
            proxy,
            &format!("CREATE SYNC TASK {task} FROM hq TO branch OBJECTS ({task}.*) WITH ({options})"),
        )
        .await;
        sql(proxy, &format!("START SYNC TASK {task}")).await;
        proxy.wait_synced(task).await;
    }
}

async fn status(proxy: &Proxy, task: &str) -> [String; 2] {
    let query = format!("SELECT state, last_error FROM sync.status WHERE task = '{task}'");
    let row = rows(proxy, &query).await.remove(0);
    [row[0].clone(), row[1].clone()]
}

async fn wait(proxy: &Proxy, task: &str, state: &str) -> String {
    eventually(&format!("{task} is {state}"), async || {
        let [found, error] = status(proxy, task).await;
        (found == state).then_some(error)
    })
    .await
}

/// Waits until a task that tries again has an error with this in it.
async fn wait_error(proxy: &Proxy, task: &str, part: &str) -> String {
    eventually(&format!("{task} has met {part:?}"), async || {
        let [state, error] = status(proxy, task).await;
        (state == "retrying" && error.contains(part)).then_some(error)
    })
    .await
}

/// State and error of a server.
async fn server(proxy: &Proxy, name: &str) -> [String; 2] {
    let query = format!("SELECT state, last_error FROM sync.servers WHERE name = '{name}'");
    let row = rows(proxy, &query).await.remove(0);
    [row[0].clone(), row[1].clone()]
}

#[tokio::test]
async fn the_shortest_window_of_the_tasks_that_share_a_server_counts() {
    let mut pair = Pair::start().await;
    // Ten minutes are a minute here.
    let proxy = Proxy::start_with_minute(6_000).await;
    let tasks = [("brief", "retry_window = '10m'"), ("patient", "retry_window = '1440m'")];
    made(&pair, &proxy, &tasks).await;
    assert_eq!(server(&proxy, "branch").await, ["reachable", ""]);
    pair.branch.kill9();
    for task in ["brief", "patient"] {
        let error = wait_error(&proxy, task, "connecting to").await;
        let parts = [
            "connecting to server branch",
            "fails since 20",
            "is tried until 20",
            "UTC",
        ];
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }
    let [state, error] = server(&proxy, "branch").await;
    assert!(
        state == "unreachable" && error.contains("connecting to server branch"),
        "{error}"
    );
    assert_eq!(server(&proxy, "hq").await, ["reachable", ""]);
    for task in ["brief", "patient"] {
        let error = wait(&proxy, task, "failed").await;
        let part = "for the whole retry window of 10 minutes";
        assert!(error.contains(part) && error.contains("RESUME"), "{error}");
    }
    pair.branch.restart().await.unwrap();
    for task in ["brief", "patient"] {
        sql(&pair.hq, &format!("INSERT INTO {task}.t VALUES (1)")).await;
        sql(&proxy, &format!("RESUME SYNC TASK {task}")).await;
        proxy.wait_synced(task).await;
        assert_same(&pair.hq, &pair.branch, task).await;
    }
    assert_eq!(server(&proxy, "branch").await, ["reachable", ""]);
}

#[tokio::test]
async fn tasks_go_on_by_themselves_when_the_server_is_back_and_at_once_when_it_is_named_anew() {
    let mut pair = Pair::start().await;
    let proxy = Proxy::start().await;
    made(&pair, &proxy, &[("t", "retry_window = '10m'")]).await;
    // Back where it was.
    pair.branch.kill9();
    wait(&proxy, "t", "retrying").await;
    sql(&pair.hq, "INSERT INTO t.t VALUES (1)").await;
    pair.branch.restart().await.unwrap();
    proxy.wait_synced("t").await;
    assert_eq!(wait(&proxy, "t", "running").await, "");
    // Back elsewhere.
    pair.branch.stop().await.unwrap();
    wait(&proxy, "t", "retrying").await;
    sql(&pair.hq, "INSERT INTO t.t VALUES (2)").await;
    pair.branch.port = free_port().unwrap();
    pair.branch.restart().await.unwrap();
    let alter = format!("ALTER SERVER branch OPTIONS (PORT {})", pair.branch.port);
    sql(&proxy, &alter).await;
    proxy.wait_synced("t").await;
    assert_same(&pair.hq, &pair.branch, "t").await;
    assert_eq!(server(&proxy, "branch").await, ["reachable", ""]);
}

#[tokio::test]
async fn a_password_that_changes_at_the_server_first_is_waited_for() {
    let pair = Pair::start().await;
    let proxy = Proxy::start().await;
    made(&pair, &proxy, &[("t", "retry_window = '10m'")]).await;
    sql(
        &pair.branch,
        "CREATE USER sync IDENTIFIED BY 'old'; GRANT ALL ON *.* TO sync",
    )
    .await;
    sql(&proxy, "ALTER SERVER branch OPTIONS (USER 'sync', PASSWORD 'old')").await;
    wait(&proxy, "t", "running").await;
    proxy.wait_synced("t").await;
    sql(&pair.branch, "ALTER USER sync IDENTIFIED BY 'new'").await;
    let ids = "SELECT ID FROM information_schema.PROCESSLIST WHERE USER = 'sync'";
    for id in rows(&pair.branch, ids).await.concat() {
        sql(&pair.branch, &format!("KILL {id}")).await;
    }
    let error = wait_error(&proxy, "t", "connecting to").await;
    assert!(error.contains("1045") && error.contains("PASSWORD"), "{error}");
    sql(&pair.hq, "INSERT INTO t.t VALUES (1)").await;
    sql(&proxy, "ALTER SERVER branch OPTIONS (PASSWORD 'new')").await;
    proxy.wait_synced("t").await;
    assert_eq!(cell(&pair.branch, "SELECT COUNT(*) FROM t.t").await, "1");
}
