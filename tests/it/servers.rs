//! The servers that every other test stands on.

use std::process::{Command, Stdio};

use causeway::demo::mysqld::{Installation, LocalServer, ServerOptions};
use mysql_async::prelude::Queryable;

#[tokio::test]
async fn servers_start_apart_and_keep_their_data_through_restarts() {
    let installation = Installation::find_or_fetch().unwrap();
    let (a, b) = tokio::join!(
        LocalServer::start(&installation, ServerOptions::default()),
        LocalServer::start(&installation, ServerOptions::default()),
    );
    let (mut a, b) = (a.unwrap(), b.unwrap());
    let identity = async |server: &LocalServer| -> (String, u32) {
        let mut conn = server.connect().await.unwrap();
        conn.query_first("SELECT @@server_uuid, @@server_id")
            .await
            .unwrap()
            .unwrap()
    };
    let first = identity(&a).await;
    let other = identity(&b).await;
    assert!(first.0 != other.0 && first.1 != other.1);

    let mut conn = a.connect().await.unwrap();
    conn.query_drop("CREATE DATABASE d").await.unwrap();
    conn.query_drop("CREATE TABLE d.t (id INT PRIMARY KEY)").await.unwrap();
    conn.query_drop("INSERT INTO d.t VALUES (1)").await.unwrap();
    drop(conn);
    a.restart().await.unwrap();
    let mut conn = a.connect().await.unwrap();
    conn.query_drop("INSERT INTO d.t VALUES (2)").await.unwrap();
    a.kill9();
    a.restart().await.unwrap();
    let mut conn = a.connect().await.unwrap();
    let ids: Vec<u32> = conn.query("SELECT id FROM d.t ORDER BY id").await.unwrap();
    assert_eq!(ids, [1, 2]);
    assert_eq!(identity(&a).await, first);
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    let installation = Installation::find_or_fetch().unwrap();
    let options = ServerOptions::with(&["--no-such-option=1"]);
    let error = LocalServer::start(&installation, options)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("no-such-option"), "{error}");
}

/// Not a test by itself: the one below starts it in a process of its own, to be killed.
#[tokio::test]
async fn owner_that_is_killed() {
    let Some(report) = std::env::var_os("CAUSEWAY_TEST_OWNER") else {
        return;
    };
    let installation = Installation::find_or_fetch().unwrap();
    let server = LocalServer::start(&installation, ServerOptions::default())
        .await
        .unwrap();
    let text = format!("{}\n{}\n", server.pid().unwrap(), server.dir.display());
    std::fs::write(report, text).unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_server_ends_with_its_owner_even_if_that_is_killed() {
    let report = std::env::temp_dir().join(format!("causeway-owner-{}", std::process::id()));
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "servers::owner_that_is_killed", "--nocapture"])
        .env("CAUSEWAY_TEST_OWNER", &report)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let text = loop {
        match std::fs::read_to_string(&report) {
            Ok(text) if text.lines().count() == 2 => break text,
            _ => assert!(owner.try_wait().unwrap().is_none(), "the owner ended by itself"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    std::fs::remove_file(&report).unwrap();
    let (pid, dir) = text.trim().split_once('\n').unwrap();
    let process = format!("/proc/{pid}");
    assert!(std::path::Path::new(&process).exists());
    owner.kill().unwrap();
    owner.wait().unwrap();
    let begin = std::time::Instant::now();
    while std::path::Path::new(&process).exists() || std::path::Path::new(dir).exists() {
        assert!(begin.elapsed().as_secs() < 180, "process {pid} or {dir} is still there");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
