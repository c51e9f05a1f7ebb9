//! The admin language against the real process and real servers.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use causeway::demo::mysqld::{LocalServer, ServerOptions};

use crate::support::{
    ask::{cell, error_of, eventually, rows, sql},
    clients::{self, outcome},
    cluster::{Pair, Proxy, server},
    compare::{assert_same, assert_same_as},
};

/// Everything an operator sees of what was asked for.
async fn definitions(proxy: &Proxy) -> Vec<Vec<String>> {
    let mut all = rows(proxy, "SELECT * FROM sync.servers ORDER BY name").await;
    all.extend(
        rows(
            proxy,
            "SELECT task, source, destination, two_way, created_at, options FROM sync.tasks ORDER BY 1",
        )
        .await,
    );
    for task in rows(proxy, "SELECT task FROM sync.tasks ORDER BY 1").await {
        all.extend(rows(proxy, &format!("SHOW CREATE SYNC TASK `{}`", task[0])).await);
    }
    all
}

/// A statement must end with this error and change nothing.
async fn refused(proxy: &Proxy, statement: &str, code: u16, part: &str) {
    let before = definitions(proxy).await;
    let (found, message) = error_of(proxy, statement).await;
    assert!(
        found == code && message.contains(part),
        "{statement}\n{found}: {message}"
    );
    assert_eq!(definitions(proxy).await, before, "{statement}");
}

fn address(server: &LocalServer) -> String {
    format!("HOST '127.0.0.1', PORT {}, USER 'root', PASSWORD ''", server.port)
}

#[tokio::test]
async fn servers_are_made_changed_checked_and_dropped_and_survive_a_restart() {
    const PASSWORD: &str = "s3cret-of-hq";
    let hq = server(ServerOptions::default()).await;
    sql(
        &hq,
        &format!("CREATE USER sync IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON *.* TO sync"),
    )
    .await;
    let mut proxy = Proxy::start().await;
    let create = format!(
        "CREATE SERVER hq FOREIGN DATA WRAPPER mysql OPTIONS (HOST '127.0.0.1', PORT {}, USER 'sync', PASSWORD '{PASSWORD}',
         SSL_MODE 'REQUIRED')",
        hq.port
    );
    sql(&proxy, &create).await;
    let shown = rows(&proxy, "SHOW SERVERS").await;
    assert_eq!(
        shown[0][..4],
        ["hq", &format!("127.0.0.1:{}", hq.port), "sync", "REQUIRED"]
    );
    let (code, _) = error_of(&proxy, &create).await;
    assert_eq!(code, 1476);
    sql(&proxy, &create.replace("SERVER hq", "SERVER IF NOT EXISTS hq")).await;

    let steps = rows(&proxy, "CHECK SERVER hq").await;
    assert!(
        steps.iter().all(|step| step[1] == "pass" && step[3].is_empty()),
        "{steps:?}"
    );
    assert!(
        steps
            .iter()
            .any(|step| step[0] == "encryption" && step[2].starts_with("TLS")),
        "{steps:?}"
    );
    let seen = rows(
        &proxy,
        "SELECT state, version, server_uuid, last_error FROM sync.servers",
    )
    .await;
    let uuid = cell(&hq, "SELECT @@server_uuid").await;
    assert_eq!(seen[0], ["reachable", &cell(&hq, "SELECT @@version").await, &uuid, ""]);

    // A wrong password, then nobody there: each says so, and never the password.
    sql(&proxy, "ALTER SERVER hq OPTIONS (PASSWORD 'wr0ng-password')").await;
    let steps = rows(&proxy, "CHECK SERVER hq").await;
    assert!(steps[0][1] == "fail" && steps[0][2].contains("1045"), "{steps:?}");
    let state = cell(&proxy, "SELECT state FROM sync.servers").await;
    assert_eq!(state, "unreachable");
    sql(&proxy, "ALTER SERVER hq OPTIONS (PORT 1)").await;
    let steps = rows(&proxy, "CHECK SERVER hq").await;
    assert!(
        steps[0][1] == "fail" && steps[0][2].contains("127.0.0.1:1"),
        "{steps:?}"
    );
    // What was given once stays unless it is named.
    sql(
        &proxy,
        &format!("ALTER SERVER hq OPTIONS (PORT {}, PASSWORD '{PASSWORD}')", hq.port),
    )
    .await;
    proxy.restart().await.unwrap();
    let steps = rows(&proxy, "CHECK SERVER hq").await;
    assert!(steps.iter().all(|step| step[1] == "pass"), "{steps:?}");

    let everything = [
        definitions(&proxy).await,
        rows(&proxy, "SELECT * FROM sync.events").await,
    ]
    .concat();
    for secret in [PASSWORD, "wr0ng-password"] {
        assert!(!format!("{everything:?}").contains(secret));
        assert!(!proxy.log().contains(secret), "the log has a password");
        for file in files(&proxy.dir.join("data")) {
            let bytes = fs::read(&file).unwrap();
            let found = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!found, "{} has a password", file.display());
        }
    }
    let mode = |name: &str| {
        fs::metadata(proxy.dir.join("data").join(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode("secret.key"), 0o600);

    sql(&proxy, "DROP SERVER hq").await;
    assert!(rows(&proxy, "SHOW SERVERS").await.is_empty());
    assert_eq!(error_of(&proxy, "DROP SERVER hq").await.0, 1477);
    sql(&proxy, "DROP SERVER IF EXISTS hq").await;
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_file()).collect()
}

#[tokio::test]
async fn a_task_lives_from_create_to_drop_and_survives_a_restart() {
    let pair = Pair::start().await;
    sql(
        &pair.hq,
        "CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY); INSERT INTO shop.t VALUES (1)",
    )
    .await;
    let mut proxy = Proxy::start().await;
    proxy.register(&pair).await;
    // A name is made up where none is given.
    let made_up = "CREATE SYNC TASK BETWEEN hq AND branch OBJECTS (shop.*)";
    assert_eq!(cell(&proxy, made_up).await, "hq_and_branch");
    assert_eq!(cell(&proxy, made_up).await, "hq_and_branch_2");
    sql(&proxy, "DROP SYNC TASK hq_and_branch_2; ").await;
    sql(&proxy, "DROP SYNC TASK hq_and_branch").await;

    let create = "CREATE SYNC TASK orders BETWEEN hq AND branch OBJECTS (shop.*) WITH (workers = 2)";
    sql(&proxy, create).await;
    assert_eq!(error_of(&proxy, create).await.0, 3100);
    sql(&proxy, &create.replace("TASK orders", "TASK IF NOT EXISTS orders")).await;
    let states = "SELECT state FROM sync.tasks UNION ALL SELECT state FROM sync.status ORDER BY 1";
    let all_are = async |proxy: &Proxy, state: &str| {
        let found = rows(proxy, states).await;
        assert!(
            found.len() == 3 && found.iter().all(|row| row[0] == state),
            "{state} is due, not {found:?}"
        );
        let shown = rows(proxy, "SHOW SYNC TASK STATUS FOR orders").await;
        assert!(shown.iter().all(|row| row[2] == state), "{shown:?}");
    };
    all_are(&proxy, "created").await;
    for (statement, part) in [
        ("PAUSE SYNC TASK orders", "START SYNC TASK orders"),
        ("RESUME SYNC TASK orders", "START SYNC TASK orders"),
        ("STOP SYNC TASK orders", "DROP SYNC TASK orders"),
        ("WAIT FOR SYNC TASK orders", "START SYNC TASK orders"),
    ] {
        refused(&proxy, statement, 3102, part).await;
    }
    assert_eq!(error_of(&proxy, "DROP SERVER hq").await.0, 3103);

    sql(&proxy, "START SYNC TASK orders").await;
    proxy.wait_state("orders", "running").await;
    all_are(&proxy, "running").await;
    for (statement, code) in [
        ("START SYNC TASK orders", 3102),
        ("RESUME SYNC TASK orders", 3102),
        ("DROP SYNC TASK orders", 3102),
    ] {
        refused(&proxy, statement, code, "running").await;
    }
    proxy.wait_synced("orders").await;
    // sync.* is one schema to ask: JOIN, WHERE, ORDER BY.
    let joined = rows(
        &proxy,
        "SELECT s.direction, o.source_table, o.rows_copied, v.name, s.phase FROM sync.status s JOIN sync.objects o USING (task, direction)
         JOIN sync.tasks t ON t.task = s.task JOIN sync.servers v ON v.name = t.source
         WHERE s.task = 'orders' AND lag_ms >= 0 AND s.idle = 1 ORDER BY s.direction DESC LIMIT 5",
    )
    .await;
    assert!(
        joined.contains(
            &["forward", "shop.t", "1", "hq", "incremental"]
                .map(String::from)
                .to_vec()
        ),
        "{joined:?}"
    );

    sql(&proxy, "PAUSE SYNC TASK orders").await;
    all_are(&proxy, "paused").await;
    refused(&proxy, "START SYNC TASK orders", 3102, "RESUME SYNC TASK orders").await;
    refused(&proxy, "PAUSE SYNC TASK orders", 3102, "already").await;
    sql(&pair.hq, "INSERT INTO shop.t VALUES (2)").await;
    proxy.restart().await.unwrap();
    all_are(&proxy, "paused").await;
    assert_eq!(cell(&pair.branch, "SELECT COUNT(*) FROM shop.t").await, "1");
    sql(&proxy, "RESUME SYNC TASK orders").await;
    proxy.wait_synced("orders").await;
    assert_same(&pair.hq, &pair.branch, "shop").await;
    let counted = "SELECT rows_applied FROM sync.status WHERE direction = 'forward'";
    let before = cell(&proxy, counted).await;
    proxy.restart().await.unwrap();
    proxy.wait_synced("orders").await;
    assert_eq!(cell(&proxy, counted).await, before, "counters go on after a restart");

    // STOP and START go on from the checkpoint; definitions can be made again from what SHOW CREATE says.
    sql(&proxy, "STOP SYNC TASK orders").await;
    all_are(&proxy, "stopped").await;
    sql(&pair.branch, "INSERT INTO shop.t VALUES (3)").await;
    sql(&proxy, "START SYNC TASK orders").await;
    proxy.wait_synced("orders").await;
    assert_same(&pair.hq, &pair.branch, "shop").await;
    sql(
        &proxy,
        "ALTER SYNC TASK orders SET (workers = 3, retry_window = '30m') REVERSE SET (heartbeat = OFF)",
    )
    .await;
    proxy.wait_synced("orders").await;
    let create = rows(&proxy, "SHOW CREATE SYNC TASK orders").await[0][1].clone();
    assert!(
        create.contains("workers = 3") && create.contains("REVERSE WITH (heartbeat = OFF)"),
        "{create}"
    );
    sql(&proxy, "STOP SYNC TASK orders").await;
    sql(&proxy, "DROP SYNC TASK orders").await;
    for server in [&pair.hq, &pair.branch] {
        for table in ["checkpoint", "ddl", "copy", "heartbeat"] {
            assert_eq!(
                cell(server, &format!("SELECT COUNT(*) FROM causeway.{table}")).await,
                "0",
                "{table}"
            );
        }
    }
    assert_eq!(error_of(&proxy, "DROP SYNC TASK orders").await.0, 3101);
    sql(&proxy, "DROP SYNC TASK IF EXISTS orders").await;
    sql(&proxy, &create).await;
    assert_eq!(rows(&proxy, "SHOW CREATE SYNC TASK orders").await[0][1], create);
    sql(&proxy, "DROP SYNC TASK orders; ").await;
    sql(&proxy, "DROP SERVER hq").await;
}

#[tokio::test]
async fn start_says_what_is_in_the_way() {
    let pair = Pair::start_with(
        ServerOptions::with(&["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"]),
        ServerOptions::default(),
    )
    .await;
    sql(&pair.hq, "SET GLOBAL binlog_row_image = 'MINIMAL'").await;
    sql(&pair.branch, "SET GLOBAL binlog_format = 'STATEMENT'").await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    sql(
        &proxy,
        "CREATE SERVER nobody OPTIONS (HOST '127.0.0.1', PORT 1, USER 'root', PASSWORD 'x')",
    )
    .await;
    sql(
        &proxy,
        &format!(
            "CREATE SERVER wrong OPTIONS ({})",
            address(&pair.hq).replace("PASSWORD ''", "PASSWORD 'wr0ng'")
        ),
    )
    .await;
    let check = async |ends: &str, parts: &[&str]| {
        sql(&proxy, &format!("CREATE SYNC TASK x {ends} OBJECTS (shop.*)")).await;
        let (code, message) = error_of(&proxy, "START SYNC TASK x").await;
        assert_eq!(code, 3105, "{message}");
        assert!(
            parts.iter().all(|part| message.contains(part)) && !message.contains("wr0ng"),
            "{ends}: {message}"
        );
        assert_eq!(cell(&proxy, "SELECT state FROM sync.tasks").await, "created");
        sql(&proxy, "DROP SYNC TASK x").await;
    };
    check("BETWEEN nobody AND branch", &["nobody", "127.0.0.1:1"]).await;
    check("BETWEEN branch AND nobody", &["branch", "binlog_format"]).await;
    check("BETWEEN wrong AND branch", &["wrong", "1045", "ALTER SERVER"]).await;
    check(
        "BETWEEN hq AND branch",
        &["hq", "gtid_mode is OFF", "binlog_row_image is MINIMAL", "SET PERSIST"],
    )
    .await;
    check(
        "FROM branch TO hq",
        &[
            "branch",
            "binlog_format is STATEMENT",
            "SET PERSIST binlog_format = 'ROW'",
        ],
    )
    .await;
    drop(pair);

    let pair = Pair::start().await;
    sql(&proxy, &format!("ALTER SERVER hq OPTIONS (PORT {})", pair.hq.port)).await;
    sql(
        &proxy,
        &format!("ALTER SERVER branch OPTIONS (PORT {})", pair.branch.port),
    )
    .await;
    sql(
        &pair.hq,
        "CREATE DATABASE shop; CREATE TABLE shop.good (id INT PRIMARY KEY, v INT); CREATE TABLE shop.u (id INT NOT NULL UNIQUE);
         CREATE TABLE shop.no_key (v INT); CREATE TABLE shop.nullable (v INT UNIQUE); INSERT INTO shop.good VALUES (1, 1), (2, 2)",
    )
    .await;
    check(
        "BETWEEN hq AND branch",
        &[
            "shop.no_key, shop.nullable have neither",
            "ALTER TABLE `shop`.`no_key` ADD",
            "NOT",
        ],
    )
    .await;
    sql(
        &pair.hq,
        "DROP TABLE shop.nullable; ALTER TABLE shop.no_key ADD PRIMARY KEY (v)",
    )
    .await;
    sql(&pair.branch, "CREATE DATABASE shop; CREATE TABLE shop.good (id INT PRIMARY KEY, v INT); INSERT INTO shop.good VALUES (1, 100)").await;
    check(
        "BETWEEN hq AND branch",
        &["shop.good exists at the destination", "existing_tables = 'proceed'"],
    )
    .await;

    // Full sync leaves rows alone that are there; changes overwrite them.
    sql(&proxy, "CREATE SYNC TASK x BETWEEN hq AND branch OBJECTS (shop.*) WITH (existing_tables = 'proceed', conflict_policy = 'overwrite')").await;
    sql(&proxy, "START SYNC TASK x").await;
    proxy.wait_synced("x").await;
    assert_eq!(
        cell(&pair.branch, "SELECT GROUP_CONCAT(v ORDER BY id) FROM shop.good").await,
        "100,2"
    );
    sql(&pair.hq, "UPDATE shop.good SET v = 7 WHERE id = 1").await;
    proxy.wait_synced("x").await;
    assert_same(&pair.hq, &pair.branch, "shop").await;
    // A table without a key that comes later stops the task when it has rows.
    sql(
        &pair.hq,
        "CREATE TABLE shop.later (v INT); INSERT INTO shop.later VALUES (77007)",
    )
    .await;
    proxy.wait_state("x", "failed").await;
    let error = cell(&proxy, "SELECT last_error FROM sync.status WHERE direction = 'forward'").await;
    assert!(
        error.contains("shop.later") && error.contains("primary key") && !error.contains("77007"),
        "{error}"
    );
}

#[tokio::test]
async fn one_way_tasks_do_the_steps_that_are_asked_for() {
    let pair = Pair::start().await;
    sql(&pair.hq, "CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, v INT); INSERT INTO shop.t VALUES (1, 1), (2, 2)").await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    let on = |on: bool| if on { "ON" } else { "OFF" };
    // Database at the destination; which steps.
    let tasks = [
        ("all_steps", [true, true, true]),
        ("only_schema", [true, false, false]),
        ("schema_and_copy", [true, true, false]),
        ("no_copy", [true, false, true]),
    ];
    for (name, [schema, full, incremental]) in tasks {
        let statement = format!(
            "CREATE SYNC TASK {name} FROM hq TO branch OBJECTS (shop.* AS {name}.*)
             WITH (schema_sync = {}, full_sync = {}, incremental_sync = {})",
            on(schema),
            on(full),
            on(incremental)
        );
        sql(&proxy, &statement).await;
        sql(&proxy, &format!("START SYNC TASK {name}")).await;
        proxy
            .wait_state(name, if incremental { "running" } else { "stopped" })
            .await;
        assert_eq!(
            rows(&proxy, &format!("SHOW SYNC TASK STATUS FOR {name}")).await.len(),
            1
        );
    }
    sql(
        &pair.hq,
        "UPDATE shop.t SET v = 20 WHERE id = 2; INSERT INTO shop.t VALUES (3, 3)",
    )
    .await;
    proxy.wait_synced("all_steps").await;
    proxy.wait_synced("no_copy").await;
    let found = async |name: &str| {
        cell(
            &pair.branch,
            &format!("SELECT GROUP_CONCAT(v ORDER BY id) FROM {name}.t"),
        )
        .await
    };
    assert_same_as(&pair.hq, "shop", &pair.branch, "all_steps").await;
    assert_eq!(found("only_schema").await, "NULL");
    assert_eq!(found("schema_and_copy").await, "1,2");
    // The update's row was never copied: it is inserted.
    assert_eq!(found("no_copy").await, "20,3");
    // Nothing comes back, and a one-way task needs nothing at its source.
    sql(&pair.branch, "INSERT INTO all_steps.t VALUES (9, 9)").await;
    proxy.wait_synced("all_steps").await;
    assert_eq!(cell(&pair.hq, "SELECT COUNT(*) FROM shop.t").await, "3");
    refused(
        &proxy,
        "ALTER SYNC TASK all_steps REVERSE SET (heartbeat = OFF)",
        1231,
        "two-way",
    )
    .await;

    // Into tables that were made by hand.
    sql(
        &pair.branch,
        "CREATE DATABASE by_hand; CREATE TABLE by_hand.t (id INT PRIMARY KEY, v BIGINT, more INT DEFAULT 5)",
    )
    .await;
    sql(
        &proxy,
        "CREATE SYNC TASK by_hand FROM hq TO branch OBJECTS (shop.* AS by_hand.*) WITH (schema_sync = OFF)",
    )
    .await;
    sql(&proxy, "START SYNC TASK by_hand").await;
    proxy.wait_synced("by_hand").await;
    assert_eq!(
        cell(
            &pair.branch,
            "SELECT GROUP_CONCAT(id, v, more ORDER BY id) FROM by_hand.t"
        )
        .await,
        "115,2205,335"
    );
}

#[tokio::test]
async fn wrong_statements_get_their_error_and_change_nothing() {
    let proxy = Proxy::start().await;
    for name in ["a", "b"] {
        sql(
            &proxy,
            &format!("CREATE SERVER {name} OPTIONS (HOST 'h', USER 'u', PASSWORD 'kept-secret')"),
        )
        .await;
    }
    sql(&proxy, "CREATE SYNC TASK o BETWEEN a AND b OBJECTS (shop.*)").await;
    sql(&proxy, "CREATE SYNC TASK one FROM a TO b OBJECTS (shop.*)").await;
    let task = |rest: &str| format!("CREATE SYNC TASK x {rest}");
    let between = |rest: &str| task(&format!("BETWEEN a AND b {rest}"));
    let cases = [
        ("GIBBERISH".to_owned(), 1064, "near 'GIBBERISH'"),
        ("CREATE SERVER".into(), 1064, ""),
        ("CREATE SERVER s OPTIONS (HOST 'h', USER 'u'".into(), 1064, ""),
        ("CREATE SERVER s OPTIONS (USER 'u')".into(), 1231, "HOST"),
        ("CREATE SERVER s OPTIONS (HOST 'h')".into(), 1231, "USER"),
        (
            "CREATE SERVER s OPTIONS (HOST 'h', USER 'u', PORT 0)".into(),
            1231,
            "PORT",
        ),
        (
            "CREATE SERVER s OPTIONS (HOST 'h', USER 'u', PORT 'x')".into(),
            1231,
            "PORT",
        ),
        (
            "CREATE SERVER s OPTIONS (HOST 'h', USER 'u', SSL_MODE 'ON')".into(),
            1231,
            "VERIFY_CA",
        ),
        (
            "CREATE SERVER s OPTIONS (HOST 'h', USER 'u', SSL_MODE 'VERIFY_CA')".into(),
            1231,
            "SSL_CA",
        ),
        (
            "CREATE SERVER s OPTIONS (HOST 'h', USER 'u', SSL_CERT 'c')".into(),
            1231,
            "SSL_KEY",
        ),
        (
            "CREATE SERVER s OPTIONS (HOST 'h', USER 'u', SOCKET '/s')".into(),
            1231,
            "SOCKET",
        ),
        (
            "CREATE SERVER s OPTIONS (HOST 'h', USER 'u', COLOUR 'c')".into(),
            1193,
            "the options are",
        ),
        (
            "CREATE SERVER s FOREIGN DATA WRAPPER oracle OPTIONS (HOST 'h', USER 'u')".into(),
            1231,
            "mysql",
        ),
        (
            format!("CREATE SERVER {} OPTIONS (HOST 'h', USER 'u')", "s".repeat(65)),
            1059,
            "64",
        ),
        ("CREATE SERVER a OPTIONS (HOST 'h', USER 'u')".into(), 1476, "'a'"),
        ("ALTER SERVER s OPTIONS (PORT 1)".into(), 1477, "SHOW SERVERS"),
        ("ALTER SERVER a OPTIONS (SSL_MODE 'VERIFY_CA')".into(), 1231, "SSL_CA"),
        ("DROP SERVER s".into(), 1477, "SHOW SERVERS"),
        ("DROP SERVER a".into(), 3103, "task"),
        ("CHECK SERVER s".into(), 1477, "SHOW SERVERS"),
        (task("BETWEEN a AND b"), 1064, "OBJECTS"),
        (task("BETWEEN a AND nobody OBJECTS (shop.*)"), 1477, "nobody"),
        (between("OBJECTS ()"), 1064, ""),
        (between("OBJECTS (shop)"), 1064, ""),
        (between("OBJECTS (NOT shop.*)"), 1231, "at least one"),
        (between("OBJECTS (shop.*, shop.*)"), 1231, "same objects"),
        (between("OBJECTS (a.t AS c.t, b.t AS c.t)"), 1231, "two tables into one"),
        (between("OBJECTS (a%.* AS b.*)"), 1231, "several databases"),
        (between("OBJECTS (mysql.*)"), 1231, "mysql"),
        (between("OBJECTS (shop.* AS causeway.*)"), 1231, "causeway"),
        (task("BETWEEN a AND a OBJECTS (shop.*)"), 1231, "itself"),
        (
            task("FROM a TO b OBJECTS (shop.*) REVERSE WITH (workers = 2)"),
            1231,
            "BETWEEN",
        ),
        (
            between("OBJECTS (shop.*) WITH (conflict_policy = 'mine')"),
            1231,
            "'fail', 'ignore'",
        ),
        (between("OBJECTS (shop.*) WITH (workers = 0)"), 1231, "1 to 64"),
        (
            between("OBJECTS (shop.*) WITH (workers = 1, workers = 2)"),
            1231,
            "twice",
        ),
        (
            between("OBJECTS (shop.*) WITH (retry_window = '5m')"),
            1231,
            "'10m' to '1440m'",
        ),
        (between("OBJECTS (shop.*) WITH (full_sync = maybe)"), 1231, "ON or OFF"),
        (
            between("OBJECTS (shop.*) WITH (speed = 'fast')"),
            1193,
            "the options are",
        ),
        (
            between("OBJECTS (shop.*) WITH (incremental_sync = OFF)"),
            1231,
            "incremental_sync",
        ),
        (
            between("OBJECTS (shop.*) REVERSE WITH (exclude_ddl = ON)"),
            1231,
            "as a whole",
        ),
        (
            task("FROM a TO b OBJECTS (shop.*) WITH (schema_sync = OFF, full_sync = OFF, incremental_sync = OFF)"),
            1231,
            "nothing",
        ),
        (
            "CREATE SYNC TASK o BETWEEN a AND b OBJECTS (shop.*)".into(),
            3100,
            "'o'",
        ),
        (
            "ALTER SYNC TASK o SET (incremental_sync = OFF)".into(),
            1231,
            "incremental_sync",
        ),
        ("ALTER SYNC TASK one REVERSE SET (workers = 2)".into(), 1231, ""),
        (
            "ALTER SYNC TASK nobody SET (workers = 2)".into(),
            3101,
            "SHOW SYNC TASKS",
        ),
        ("START SYNC TASK nobody".into(), 3101, "SHOW SYNC TASKS"),
        ("PAUSE SYNC TASK nobody".into(), 3101, ""),
        ("RESUME SYNC TASK nobody".into(), 3101, ""),
        ("STOP SYNC TASK nobody".into(), 3101, ""),
        ("DROP SYNC TASK nobody".into(), 3101, ""),
        ("WAIT FOR SYNC TASK nobody".into(), 3101, ""),
        ("WAIT FOR SYNC TASK o TIMEOUT soon".into(), 1064, ""),
        ("SHOW CREATE SYNC TASK nobody".into(), 3101, ""),
        ("SHOW SYNC TASK STATUS FOR nobody".into(), 3101, ""),
        ("SHOW SERVERS; START SYNC TASK".into(), 1064, "a task name"),
        ("SELECT * FROM sync.absent".into(), 1146, "absent"),
        ("SELECT absent FROM sync.tasks".into(), 1054, "absent"),
        ("SELECT * FROM sync.account".into(), 1142, ""),
        ("SELECT * FROM server_secret".into(), 1142, ""),
        ("SELECT * FROM mysql.user".into(), 1146, ""),
        ("SELECT FROM".into(), 1064, ""),
        ("INSERT INTO sync.tasks VALUES (1)".into(), 1142, "SELECT"),
        ("DELETE FROM sync.servers".into(), 1142, "SELECT"),
        ("UPDATE sync.tasks SET state = 'x'".into(), 1142, "SELECT"),
        ("DROP TABLE tasks".into(), 1064, ""),
        ("USE shop".into(), 1049, "sync"),
        ("SHOW TABLES FROM shop".into(), 1049, "sync"),
        ("DESCRIBE sync.absent".into(), 1146, ""),
        (
            between("OBJECTS (shop.% (id))"),
            1231,
            "columns are listed for more than one table",
        ),
        (
            between("OBJECTS (shop.t ONLY (SELECT))"),
            1064,
            "one of INSERT, UPDATE, DELETE, DDL",
        ),
        // Of the language, not supported yet.
        (between("OBJECTS (shop.t CONFLICT 'ignore')"), 1235, "not supported yet"),
        (
            between("OBJECTS (shop.*) WITH (conflict_policy = 'latest_wins(at)')"),
            1235,
            "not supported yet",
        ),
        ("ALTER SYNC TASK o ACKNOWLEDGE 'x'".into(), 3110, "no item 'x'"),
        ("ALTER SYNC TASK o ACKNOWLEDGE".into(), 1064, "in quotes"),
        (
            "ALTER SYNC TASK nobody ACKNOWLEDGE 'log_bin'".into(),
            3101,
            "SHOW SYNC TASKS",
        ),
        ("PRECHECK SYNC TASK nobody".into(), 3101, "SHOW SYNC TASKS"),
        ("PRECHECK SYNC TASK".into(), 1064, "a task name"),
        ("VERIFY SYNC TASK o".into(), 1235, "not supported yet"),
        ("REPAIR SYNC TASK o".into(), 1235, "not supported yet"),
        ("RESOLVE CONFLICT 1 USING SOURCE".into(), 1235, "not supported yet"),
        ("DISMISS CONFLICT 1".into(), 1235, "not supported yet"),
        ("SHOW REPLICA STATUS".into(), 1235, "not supported yet"),
        ("CREATE USER 'ops' IDENTIFIED BY 'x'".into(), 1235, "not supported yet"),
        ("GRANT operator TO 'ops'".into(), 1235, "not supported yet"),
    ];
    let before = definitions(&proxy).await;
    let mut wrong = Vec::new();
    for (statement, code, part) in &cases {
        let shown: String = statement.chars().take(100).collect();
        match crate::support::ask::try_sql(&proxy, statement).await {
            Err(mysql_async::Error::Server(error)) => {
                let fits = error.code == *code && error.message.contains(part) && error.state.len() == 5;
                if !fits || error.message.contains("kept-secret") {
                    wrong.push(format!("{shown}\n    {}: {}", error.code, error.message));
                }
            }
            other => wrong.push(format!("{shown}\n    {other:?}")),
        }
        if definitions(&proxy).await != before {
            panic!("{shown} has changed something");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The first session of an operator, in each client.
struct First {
    pair: Pair,
    proxy: Proxy,
}

impl First {
    async fn start() -> Self {
        let pair = Pair::start().await;
        sql(
            &pair.hq,
            "CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY); INSERT INTO shop.t VALUES (1)",
        )
        .await;
        Self {
            pair,
            proxy: Proxy::start().await,
        }
    }

    fn statements(&self) -> Vec<String> {
        vec![
            format!("CREATE SERVER hq OPTIONS ({})", address(&self.pair.hq)),
            format!("CREATE SERVER branch OPTIONS ({})", address(&self.pair.branch)),
            "CREATE SYNC TASK orders BETWEEN hq AND branch OBJECTS (shop.*)".into(),
            "START SYNC TASK orders".into(),
            "WAIT FOR SYNC TASK orders TIMEOUT 120".into(),
            "SHOW SYNC TASK STATUS".into(),
            "SELECT task, direction, state FROM sync.status WHERE state = 'running' ORDER BY direction".into(),
        ]
    }

    /// The client must have shown all this, and then been refused.
    async fn check(&self, shown: &str, complaint: &str) {
        for part in ["orders", "forward", "reverse", "running"] {
            assert!(shown.contains(part), "{part} is not in {shown}");
        }
        assert!(
            complaint.contains("3102") && complaint.contains("running already"),
            "{complaint}"
        );
        let state = eventually("running", async || {
            let state = cell(&self.proxy, "SELECT state FROM sync.tasks").await;
            (state == "running").then_some(state)
        });
        assert_eq!(state.await, "running");
        assert_same(&self.pair.hq, &self.pair.branch, "shop").await;
    }

    async fn command_line(mut client: Command, more: &[&str]) {
        let first = Self::start().await;
        let script = format!("{};\nSTART SYNC TASK orders;\n", first.statements().join(";\n"));
        client
            .args(["-h127.0.0.1", "-uroot", "--table"])
            .arg(format!("-P{}", first.proxy.port))
            .args(more)
            .arg("-e")
            .arg(script)
            .env("MYSQL_PWD", &first.proxy.password);
        let (success, shown, complaint) = outcome(&mut client);
        assert!(!success, "{shown}");
        first.check(&shown, &complaint).await;
    }

    async fn script(mut interpreter: Command, option: &str, script: &str) {
        let first = Self::start().await;
        let statements = serde_json::to_string(&first.statements()).unwrap();
        interpreter.args([
            option,
            script,
            &first.proxy.port.to_string(),
            &first.proxy.password,
            &statements,
        ]);
        let (success, shown, complaint) = outcome(&mut interpreter);
        assert!(success, "{shown}{complaint}");
        first.check(&shown, &shown).await;
    }
}

#[tokio::test]
async fn a_first_session_with_mysqls_client() {
    First::command_line(clients::mysql(), &["--ssl-mode=REQUIRED"]).await;
}

#[tokio::test]
async fn a_first_session_with_mariadbs_client() {
    First::command_line(clients::mariadb(), &["--skip-ssl"]).await;
}

#[tokio::test]
async fn a_first_session_with_pymysql() {
    const SCRIPT: &str = "
import json, sys, pymysql
connection = pymysql.connect(host='127.0.0.1', port=int(sys.argv[1]), user='root', password=sys.argv[2])
cursor = connection.cursor()
for statement in json.loads(sys.argv[3]):
    cursor.execute(statement)
    print(cursor.fetchall())
try:
    cursor.execute('START SYNC TASK orders')
except pymysql.err.MySQLError as error:
    print(error.args)
";
    First::script(clients::pymysql(), "-c", SCRIPT).await;
}

#[tokio::test]
async fn a_first_session_with_node_mysql2() {
    const SCRIPT: &str = "
const mysql = require('mysql2/promise');
(async () => {
  const [port, password, statements] = process.argv.slice(1);
  const connection = await mysql.createConnection({ host: '127.0.0.1', port, user: 'root', password });
  for (const statement of JSON.parse(statements)) console.log(JSON.stringify((await connection.query(statement))[0]));
  await connection.query('START SYNC TASK orders').catch((error) => console.log(error.errno, error.message));
  await connection.end();
})();
";
    First::script(clients::node_mysql2(), "-e", SCRIPT).await;
}
