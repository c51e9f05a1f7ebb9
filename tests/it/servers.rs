//! The servers that every other test stands on.

use std::process::{Command, Stdio};

use causeway::demo::mysqld::{Installation, LocalServer, ServerOptions};
use mysql_async::prelude::Queryable;

use crate::support::{ask, cluster, compare};

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

#[tokio::test]
async fn comparing_sees_what_looks_the_same_but_is_not() {
    let server = cluster::server(ServerOptions::default()).await;
    // Type, then two values that a careless comparison takes for equal.
    let cases = [
        ("FLOAT", "1.0000001", "1.0000002"),
        ("DOUBLE", "0.1", "0.10000000000000002"),
        ("DOUBLE", "0e0", "-0e0"),
        ("JSON", "'[1.5]'", "JSON_ARRAY(CAST(1.5 AS DECIMAL(10,1)))"),
        ("JSON", "'\"2020-01-01\"'", "CAST(CAST('2020-01-01' AS DATE) AS JSON)"),
        ("JSON", "'null'", "NULL"),
        ("VARCHAR(9)", "''", "NULL"),
        ("VARCHAR(9)", "'a'", "'a '"),
        ("VARCHAR(9)", "'a'", "'A'"),
        ("VARBINARY(9)", "'a'", "'a\\0'"),
        ("CHAR(9) CHARACTER SET latin1", "'é'", "'è'"),
        ("ENUM('', 'x')", "''", "0"),
        ("BIT(64)", "18446744073709551615", "18446744073709551614"),
        ("BIGINT UNSIGNED", "18446744073709551615", "18446744073709551614"),
        (
            "DECIMAL(65, 30)",
            "0.000000000000000000000000000001",
            "0.000000000000000000000000000002",
        ),
        ("DATETIME(6)", "'2020-01-01 00:00:00.000001'", "'2020-01-01 00:00:00'"),
        ("YEAR", "0", "1900 + 1"),
        (
            "GEOMETRY",
            "ST_GeomFromText('POINT(1 2)', 0)",
            "ST_GeomFromText('POINT(1 2)', 4326)",
        ),
    ];
    for (number, (kind, one, other)) in cases.into_iter().enumerate() {
        let make = |database: &str, value: &str| {
            format!(
                "CREATE DATABASE {database}; CREATE TABLE {database}.t (c {kind});
                 SET sql_mode = ''; INSERT INTO {database}.t VALUES ({value});"
            )
        };
        let [a, b, c] = ["a", "b", "c"].map(|name| format!("{name}{number}"));
        let all = [make(&a, one), make(&b, one), make(&c, other)].concat();
        ask::sql(&server, &all).await;
        compare::assert_same_as(&server, &a, &server, &b).await;
        let difference = compare::difference(&server, &a, &server, &c).await;
        assert!(difference.is_some(), "{kind}: {one} and {other}");
    }
    let vector = "CREATE DATABASE v; CREATE TABLE v.t (c VECTOR(3)); INSERT INTO v.t VALUES (TO_VECTOR('[1,2,3]'));";
    if server.installation().version() >= (9, 0, 0) {
        ask::sql(&server, vector).await;
        compare::assert_same(&server, &server, "v").await;
    }
}
