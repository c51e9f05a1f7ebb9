//! The precheck on real servers: each item is made to fail or warn, and its remedy is run as it is printed.

use std::{io::Write as _, process::Stdio, time::Instant};

use causeway::demo::mysqld::{LocalServer, ServerOptions};
use mysql_async::prelude::Queryable as _;

use crate::support::{
    ask::{cell, connect, error_of, rows, sql},
    clients,
    cluster::{Pair, Proxy},
};

type Rows = Vec<Vec<String>>;

/// Item, direction, result, found, remedy, acknowledged.
async fn precheck(proxy: &Proxy) -> Rows {
    rows(proxy, "PRECHECK SYNC TASK t").await
}

fn row<'a>(rows: &'a Rows, item: &str, direction: &str) -> &'a [String] {
    let found = rows.iter().find(|row| row[0] == item && row[1] == direction);
    found.unwrap_or_else(|| panic!("no {item} {direction}: {rows:#?}"))
}

/// What does not pass.
fn bad(rows: &Rows) -> Vec<&[String]> {
    rows.iter().filter(|row| row[2] != "pass").map(Vec::as_slice).collect()
}

/// Runs statements with MySQL's own client, as an operator would.
fn run(server: &LocalServer, text: &str) {
    let mut command = clients::mysql();
    command.args(["-h127.0.0.1", "-uroot", "--commands", &format!("-P{}", server.port)]);
    let mut client = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = client.stdin.take().unwrap();
    input.write_all(text.as_bytes()).unwrap();
    drop(input);
    let output = client.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}: {errors}");
}

/// Runs a remedy where its comments say.
async fn mend(pair: &Pair, proxy: &Proxy, remedy: &str) {
    assert!(remedy.starts_with("/* "), "no statement: {remedy}");
    for part in remedy.split("/* ").filter(|part| !part.is_empty()) {
        let (place, _) = part.split_once(" */").unwrap();
        let text = format!("/* {}", part.trim().trim_end_matches(';'));
        match place {
            "at hq" => run(&pair.hq, &format!("{text};")),
            "at branch" => run(&pair.branch, &format!("{text};")),
            "in Causeway" => sql(proxy, &text).await,
            other => panic!("where is {other}?"),
        }
    }
}

const TABLES: &str =
    "CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, v VARCHAR(20)); INSERT INTO shop.t VALUES (1, 'a')";

#[tokio::test]
async fn settings_are_mended_by_the_statements_that_are_printed() {
    let pair = Pair::start().await;
    let (hq, branch) = (&pair.hq, &pair.branch);
    sql(hq, TABLES).await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    sql(&proxy, "CREATE SYNC TASK t BETWEEN hq AND branch OBJECTS (shop.*)").await;
    let found = precheck(&proxy).await;
    assert_eq!(bad(&found), Vec::<&[String]>::new());
    assert!(
        found.iter().filter(|row| row[1] == "reverse").count() > 30,
        "{found:#?}"
    );

    let same_id = format!("SET GLOBAL server_id = {}", cell(hq, "SELECT @@server_id").await);
    let cases: Vec<(&LocalServer, &str, &str, &[&str], &str)> = vec![
        (
            hq,
            "SET GLOBAL binlog_format = 'STATEMENT'",
            "binlog_format",
            &["forward"],
            "fail",
        ),
        (
            branch,
            "SET GLOBAL binlog_format = 'MIXED'",
            "binlog_format",
            &["reverse"],
            "fail",
        ),
        (
            branch,
            "SET GLOBAL binlog_row_image = 'MINIMAL'",
            "binlog_row_image",
            &["reverse"],
            "fail",
        ),
        (
            hq,
            "SET GLOBAL binlog_row_value_options = 'PARTIAL_JSON'",
            "binlog_row_value_options",
            &["forward"],
            "fail",
        ),
        (
            hq,
            "SET GLOBAL binlog_row_metadata = 'MINIMAL'",
            "binlog_row_metadata",
            &["forward"],
            "warn",
        ),
        (
            branch,
            "SET GLOBAL gtid_mode = ON_PERMISSIVE",
            "gtid_mode",
            &["reverse"],
            "warn",
        ),
        (
            hq,
            "SET GLOBAL binlog_expire_logs_seconds = 86400",
            "binlog retention",
            &["forward"],
            "warn",
        ),
        (branch, &same_id, "server_id", &["forward", "reverse"], "warn"),
        (
            hq,
            "SET GLOBAL sql_mode = 'ANSI_QUOTES,STRICT_ALL_TABLES'",
            "sql_mode",
            &["forward", "reverse"],
            "warn",
        ),
        (
            hq,
            "SET GLOBAL time_zone = '+02:00'",
            "time_zone",
            &["forward", "reverse"],
            "warn",
        ),
        (
            branch,
            "SET GLOBAL character_set_server = latin1",
            "character_set_server",
            &["forward", "reverse"],
            "warn",
        ),
        (
            branch,
            "SET GLOBAL max_allowed_packet = 1048576",
            "max_allowed_packet",
            &["forward"],
            "warn",
        ),
        (
            hq,
            "SET GLOBAL max_connections = 10",
            "max_connections at the source",
            &["forward"],
            "warn",
        ),
        (
            branch,
            "SET GLOBAL max_connections = 6",
            "max_connections at the destination",
            &["forward"],
            "warn",
        ),
        (
            branch,
            "SET GLOBAL super_read_only = ON",
            "read-only destination",
            &["forward"],
            "fail",
        ),
        (
            hq,
            "SET GLOBAL super_read_only = ON",
            "read-only destination",
            &["reverse"],
            "fail",
        ),
    ];
    for (server, broken, item, directions, result) in cases {
        sql(server, broken).await;
        let found = precheck(&proxy).await;
        for direction in directions {
            assert_eq!(row(&found, item, direction)[2], result, "{broken}: {found:#?}");
        }
        // At another setting of one server nothing else changes but what the same setting is to the other role.
        for other in bad(&found) {
            let related = other[0] == item || other[0].starts_with("max_connections");
            assert!(related, "{broken}: {other:?}");
        }
        for _ in 0..2 {
            let found = precheck(&proxy).await;
            let Some(first) = bad(&found).first().map(|row| row[4].clone()) else {
                break;
            };
            mend(&pair, &proxy, &first).await;
        }
        let found = precheck(&proxy).await;
        assert_eq!(bad(&found), Vec::<&[String]>::new(), "{broken}");
    }

    // What concerns the task itself.
    sql(hq, "CREATE TABLE shop.numbers (id INT PRIMARY KEY AUTO_INCREMENT)").await;
    let found = precheck(&proxy).await;
    assert_eq!(bad(&found).len(), 2, "{found:#?}");
    for direction in ["forward", "reverse"] {
        let row = row(&found, "auto_increment", direction);
        assert_eq!(row[2], "warn");
        mend(&pair, &proxy, &row[4]).await;
    }
    let overwrite = "(conflict_policy = 'overwrite')";
    sql(
        &proxy,
        &format!("ALTER SYNC TASK t SET {overwrite} REVERSE SET {overwrite}"),
    )
    .await;
    let found = precheck(&proxy).await;
    let policy = row(&found, "conflict policy", "forward");
    assert_eq!(policy[2], "warn");
    mend(&pair, &proxy, &policy[4]).await;
    let found = precheck(&proxy).await;
    assert_eq!(bad(&found), Vec::<&[String]>::new());
    sql(&proxy, "START SYNC TASK t").await;
    proxy.wait_synced("t").await;
}

#[tokio::test]
async fn what_is_selected_is_mended_by_the_statements_that_are_printed() {
    let pair = Pair::start().await;
    let (hq, branch) = (&pair.hq, &pair.branch);
    sql(hq, TABLES).await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    sql(&proxy, "CREATE SYNC TASK t FROM hq TO branch OBJECTS (shop.*)").await;
    // What is done where, the item, its result, and a part of what is found. Its remedy makes all well again.
    for (server, broken, item, result, part) in [
        (
            hq,
            "CREATE TABLE shop.keyless (v INT)",
            "keys that tell rows apart",
            "fail",
            "shop.keyless has neither",
        ),
        (
            hq,
            "CREATE TABLE shop.isam (id INT PRIMARY KEY) ENGINE = MyISAM",
            "engines without transactions",
            "fail",
            "shop.isam (MyISAM)",
        ),
        (
            branch,
            "CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, v VARCHAR(20)); CREATE VIEW shop.own AS SELECT 1 AS a",
            "tables at the destination",
            "fail",
            "shop.t is as shop.t at the source",
        ),
        (
            branch,
            "CREATE TRIGGER shop.g BEFORE INSERT ON shop.t FOR EACH ROW SET NEW.v = 'twice'",
            "triggers at the receiving side",
            "warn",
            "shop.g",
        ),
        (
            branch,
            "CREATE EVENT shop.e ON SCHEDULE EVERY 1 DAY DO DELETE FROM shop.t WHERE id < 0",
            "events at the receiving side",
            "warn",
            "shop.e",
        ),
        (
            branch,
            "DROP TABLE shop.t; CREATE TABLE shop.t (id INT PRIMARY KEY, v VARCHAR(20)) ENGINE = MyISAM",
            "engines without transactions",
            "fail",
            "shop.t (MyISAM)",
        ),
    ] {
        sql(server, broken).await;
        let found = precheck(&proxy).await;
        let row = row(&found, item, "forward");
        assert!(row[2] == result && row[3].contains(part), "{broken}: {row:?}");
        assert_eq!(bad(&found).len(), 1, "{broken}: {found:#?}");
        mend(&pair, &proxy, &row[4]).await;
        let found = precheck(&proxy).await;
        assert_eq!(bad(&found), Vec::<&[String]>::new(), "{broken}");
    }
    // What no single statement mends.
    for (server, broken, item, result, part, mended) in [
        (
            branch,
            "ALTER TABLE shop.t MODIFY v VARCHAR(30), ADD COLUMN g INT AS (id + 1)",
            "table definitions",
            "warn",
            "column v is varchar(30), and varchar(20) at the source",
            "ALTER TABLE shop.t DROP COLUMN g, MODIFY v VARCHAR(20)",
        ),
        (
            branch,
            "ALTER TABLE shop.t DROP COLUMN v, ADD COLUMN v VARCHAR(20) AS ('x')",
            "generated columns",
            "fail",
            "column v is generated there",
            "ALTER TABLE shop.t DROP COLUMN v, ADD COLUMN v VARCHAR(20)",
        ),
        (
            branch,
            "ALTER TABLE shop.t DROP COLUMN v",
            "table definitions",
            "fail",
            "column v is missing",
            "ALTER TABLE shop.t ADD COLUMN v VARCHAR(20)",
        ),
        (
            hq,
            "CREATE DATABASE other; CREATE TABLE other.p (id INT PRIMARY KEY); \
             CREATE TABLE shop.c (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES other.p (id))",
            "foreign-key parents",
            "warn",
            "other.p (of shop.c)",
            "DROP TABLE shop.c",
        ),
        (
            hq,
            "CREATE TABLE shop._t_gho (id INT PRIMARY KEY)",
            "online schema change",
            "warn",
            "shop._t_gho",
            "DROP TABLE shop._t_gho",
        ),
        (
            hq,
            "XA START 'x', 'y', 7; INSERT INTO shop.t VALUES (100, 'x'); XA END 'x', 'y', 7; XA PREPARE 'x', 'y', 7",
            "prepared xa transactions",
            "fail",
            "1 prepared",
            "XA COMMIT X'78',X'79',7",
        ),
    ] {
        sql(server, broken).await;
        let found = precheck(&proxy).await;
        let row = row(&found, item, "forward");
        assert!(row[2] == result && row[3].contains(part), "{broken}: {row:?}");
        if mended.starts_with("XA") {
            assert!(row[4].contains(mended), "{row:?}");
        }
        sql(server, mended).await;
        let found = precheck(&proxy).await;
        assert_eq!(bad(&found), Vec::<&[String]>::new(), "{broken}");
    }
    sql(&proxy, "START SYNC TASK t").await;
    proxy.wait_synced("t").await;
    sql(&proxy, "STOP SYNC TASK t; ").await;
    sql(&proxy, "DROP SYNC TASK t").await;

    // Without schema sync, databases and tables have to be there.
    sql(branch, "DROP DATABASE shop").await;
    sql(
        &proxy,
        "CREATE SYNC TASK t FROM hq TO branch OBJECTS (shop.t) WITH (schema_sync = OFF)",
    )
    .await;
    let there = "databases and tables at the destination";
    for part in ["no database shop", "no table shop.t"] {
        let found = precheck(&proxy).await;
        let row = row(&found, there, "forward");
        assert!(row[2] == "fail" && row[3].contains(part), "{row:?}");
        mend(&pair, &proxy, &row[4]).await;
    }
    assert_eq!(bad(&precheck(&proxy).await), Vec::<&[String]>::new());
    sql(&proxy, "DROP SYNC TASK t").await;

    // What matches nothing.
    sql(
        &proxy,
        "CREATE SYNC TASK t FROM hq TO branch OBJECTS (shop.t, shop.misspelled, nodb.nota)",
    )
    .await;
    let found = precheck(&proxy).await;
    let row_of = row(&found, "selected objects", "forward");
    assert!(
        row_of[2] == "warn" && row_of[3].contains("shop.misspelled, nodb.nota"),
        "{row_of:?}"
    );
    sql(&proxy, "DROP SYNC TASK t").await;
    sql(&proxy, "CREATE SYNC TASK t FROM hq TO branch OBJECTS (nodb.nota)").await;
    let (code, message) = error_of(&proxy, "START SYNC TASK t").await;
    assert!(
        code == 3105 && message.contains("selected objects") && message.contains("nodb.nota"),
        "{message}"
    );
}

/// What only a restart can change.
#[tokio::test]
async fn settings_that_a_server_starts_with_are_told() {
    let hq = ServerOptions::with(&[
        "--binlog-ignore-db=causeway",
        "--binlog-ignore-db=shop",
        "--log-replica-updates=OFF",
        "--loose-innodb-native-foreign-keys=ON",
    ]);
    let branch = ServerOptions {
        init: vec!["--lower-case-table-names=1".into()],
        ..ServerOptions::with(&[
            "--skip-log-bin",
            "--gtid-mode=OFF",
            "--enforce-gtid-consistency=OFF",
            "--innodb-file-per-table=OFF",
            "--innodb-data-file-path=ibdata1:12M:autoextend:max:16M",
        ])
    };
    let pair = Pair::start_with(hq, branch).await;
    sql(&pair.hq, TABLES).await;
    sql(
        &pair.hq,
        "CREATE DATABASE other; CREATE TABLE other.p (id INT PRIMARY KEY); \
         CREATE TABLE shop.c (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES other.p (id) ON DELETE CASCADE); \
         CREATE TABLE shop.big (id INT PRIMARY KEY, v LONGTEXT); \
         INSERT INTO shop.big VALUES (1, REPEAT('x', 9000000)), (2, REPEAT('y', 9000000)); ANALYZE TABLE shop.big",
    )
    .await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    sql(&proxy, "CREATE SYNC TASK t BETWEEN hq AND branch OBJECTS (shop.*)").await;
    let found = precheck(&proxy).await;
    for (item, direction, result, part) in [
        ("binlog filters", "forward", "fail", "binlog_ignore_db: causeway,shop"),
        ("selected databases in the binlog", "forward", "fail", "keeps shop out"),
        ("log_replica_updates", "forward", "warn", "OFF"),
        (
            "cascades",
            "forward",
            "fail",
            "shop.c has a foreign key with CASCADE or SET NULL to other.p",
        ),
        (
            "lower_case_table_names",
            "forward",
            "warn",
            "keeps all names in lower case",
        ),
        ("free space", "forward", "fail", "which takes them, ends at 16 MiB"),
        ("log_bin", "reverse", "fail", "branch"),
        ("gtid_mode", "reverse", "warn", "branch"),
    ] {
        let row = row(&found, item, direction);
        assert!(row[2] == result && row[3].contains(part), "{row:?}");
    }
    // What is to be mended first stands first, and the error names it.
    let results: Vec<&str> = found.iter().map(|row| row[2].as_str()).collect();
    assert_eq!(results[0], "fail");
    assert_eq!(results.last(), Some(&"pass"));
    let (_, message) = error_of(&proxy, "START SYNC TASK t").await;
    let first = message.lines().next().unwrap();
    for part in ["log_bin", "binlog filters", "cascades", "PRECHECK SYNC TASK t"] {
        assert!(first.contains(part), "{first}");
    }
    let event = cell(
        &proxy,
        "SELECT message FROM sync.events WHERE level = 'error' AND task = 't'",
    )
    .await;
    assert_eq!(event, message);
    assert_eq!(cell(&proxy, "SELECT state FROM sync.tasks").await, "created");
}

#[tokio::test]
async fn a_running_task_can_be_prechecked_and_its_own_tables_are_not_in_the_way() {
    let mut pair = Pair::start().await;
    sql(&pair.hq, TABLES).await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    sql(&proxy, "CREATE SYNC TASK t BETWEEN hq AND branch OBJECTS (shop.*)").await;
    sql(&proxy, "START SYNC TASK t").await;
    proxy.wait_synced("t").await;
    assert_eq!(bad(&precheck(&proxy).await), Vec::<&[String]>::new());
    let kept = "SELECT COUNT(*) FROM sync.prechecks WHERE task = 't' AND checked_at > '2026'";
    assert!(cell(&proxy, kept).await.parse::<u32>().unwrap() > 60);
    // A backup holds up whatever would change a definition, and not the precheck.
    let mut backup = connect(&pair.branch).await;
    backup.query_drop("LOCK INSTANCE FOR BACKUP").await.unwrap();
    assert_eq!(bad(&precheck(&proxy).await), Vec::<&[String]>::new());
    backup.disconnect().await.unwrap();
    // A server out of reach: nothing that depends on it passes.
    sql(&proxy, "STOP SYNC TASK t").await;
    pair.branch.kill9();
    let found = precheck(&proxy).await;
    for (item, direction) in [
        ("connection to the destination", "forward"),
        ("connection to the source", "reverse"),
    ] {
        let row = row(&found, item, direction);
        assert!(
            row[2] == "fail" && row[3].contains("branch") && row[4].contains("CHECK SERVER branch"),
            "{row:?}"
        );
    }
    assert_eq!(row(&found, "binlog_format", "forward")[2], "pass");
    for (item, direction) in [
        ("binlog_format", "reverse"),
        ("read-only destination", "forward"),
        ("tables at the destination", "forward"),
        ("privileges to apply", "reverse"),
    ] {
        let row = row(&found, item, direction);
        assert!(row[2] == "skip" && row[3].contains("branch"), "{row:?}");
    }
    let (code, _) = error_of(&proxy, "START SYNC TASK t").await;
    assert_eq!(code, 3105);
    assert_eq!(cell(&proxy, "SELECT state FROM sync.tasks").await, "stopped");
    pair.branch.restart().await.unwrap();
    // The source removes what the task has not read.
    sql(
        &pair.hq,
        "INSERT INTO shop.t VALUES (2, 'b'); FLUSH BINARY LOGS; INSERT INTO shop.t VALUES (3, 'c'); FLUSH BINARY LOGS",
    )
    .await;
    let logs = rows(&pair.hq, "SHOW BINARY LOGS").await;
    let last = &logs.last().unwrap()[0];
    sql(&pair.hq, &format!("PURGE BINARY LOGS TO '{last}'")).await;
    let found = precheck(&proxy).await;
    let row = row(&found, "start position", "forward");
    assert!(row[2] == "fail" && row[3].contains("has not read"), "{row:?}");
}

#[tokio::test]
async fn a_warning_is_acknowledged_by_its_name_and_that_is_remembered() {
    let pair = Pair::start().await;
    sql(&pair.hq, TABLES).await;
    let mut proxy = Proxy::start().await;
    proxy.register(&pair).await;
    sql(&proxy, "CREATE SYNC TASK t FROM hq TO branch OBJECTS (shop.*)").await;
    sql(&pair.hq, "SET GLOBAL binlog_row_metadata = 'MINIMAL'").await;
    sql(&pair.branch, "SET GLOBAL super_read_only = ON").await;
    let found = precheck(&proxy).await;
    let shown = row(&found, "binlog_row_metadata", "forward");
    assert_eq!([shown[2].as_str(), shown[5].as_str()], ["warn", "0"]);
    sql(&proxy, "ALTER SYNC TASK t ACKNOWLEDGE 'Binlog_row_metadata'").await;
    let acknowledged = "SELECT item FROM sync.prechecks WHERE acknowledged = 1";
    assert_eq!(cell(&proxy, acknowledged).await, "binlog_row_metadata");
    proxy.restart().await.unwrap();
    let found = precheck(&proxy).await;
    assert_eq!(row(&found, "binlog_row_metadata", "forward")[5], "1");
    assert_eq!(cell(&proxy, acknowledged).await, "binlog_row_metadata");
    // What fails can't be, and what is no item is not.
    let (code, message) = error_of(&proxy, "ALTER SYNC TASK t ACKNOWLEDGE 'read-only destination'").await;
    assert!(code == 3111 && message.contains("only a warning"), "{message}");
    let (code, message) = error_of(&proxy, "ALTER SYNC TASK t ACKNOWLEDGE 'nonsense'").await;
    assert!(
        code == 3110 && message.contains("triggers at the receiving side"),
        "{message}"
    );
    let (code, _) = error_of(&proxy, "ALTER SYNC TASK nobody ACKNOWLEDGE 'log_bin'").await;
    assert_eq!(code, 3101);
    assert_eq!(error_of(&proxy, "PRECHECK SYNC TASK nobody").await.0, 3101);
    // A warning keeps nothing from starting.
    sql(
        &pair.branch,
        "SET GLOBAL super_read_only = OFF; SET GLOBAL read_only = OFF",
    )
    .await;
    sql(&proxy, "START SYNC TASK t").await;
    proxy.wait_synced("t").await;
    // A RESUME looks at the servers again.
    sql(&proxy, "PAUSE SYNC TASK t").await;
    sql(&pair.hq, "SET GLOBAL binlog_row_image = 'MINIMAL'").await;
    let (code, message) = error_of(&proxy, "RESUME SYNC TASK t").await;
    assert!(
        code == 3105 && message.contains("binlog_row_image is MINIMAL"),
        "{message}"
    );
    assert_eq!(cell(&proxy, "SELECT state FROM sync.tasks").await, "paused");
}

#[tokio::test]
async fn what_an_account_was_granted_table_by_table_or_by_a_role_counts() {
    let pair = Pair::start().await;
    let everything = "CREATE USER sync IDENTIFIED BY 'x'; \
        GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON causeway.* TO sync; GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO sync";
    for server in [&pair.hq, &pair.branch] {
        sql(server, TABLES).await;
        sql(server, everything).await;
    }
    sql(&pair.hq, "GRANT SELECT ON shop.t TO sync").await;
    sql(
        &pair.branch,
        "CREATE ROLE writer; GRANT SELECT, INSERT, UPDATE, DELETE ON shop.* TO writer; GRANT writer TO sync",
    )
    .await;
    let proxy = Proxy::start().await;
    for (name, server) in [("hq", &pair.hq), ("branch", &pair.branch)] {
        let port = server.port;
        let statement =
            format!("CREATE SERVER {name} OPTIONS (HOST '127.0.0.1', PORT {port}, USER 'sync', PASSWORD 'x')");
        sql(&proxy, &statement).await;
    }
    sql(
        &proxy,
        "CREATE SYNC TASK t FROM hq TO branch OBJECTS (shop.t) WITH (schema_sync = OFF, exclude_ddl = ON)",
    )
    .await;
    // A role that is not active gives nothing.
    let found = precheck(&proxy).await;
    let missing = row(&found, "privileges to apply", "forward");
    assert!(
        missing[2] == "fail" && missing[3].contains("SELECT, INSERT, UPDATE, DELETE on shop.*")
            || missing[3].contains("DELETE, INSERT"),
        "{missing:?}"
    );
    sql(&pair.branch, "SET DEFAULT ROLE ALL TO sync").await;
    let found = precheck(&proxy).await;
    let bad: Vec<_> = bad(&found).into_iter().filter(|row| row[2] != "skip").collect();
    assert_eq!(bad, Vec::<&[String]>::new());
    sql(&proxy, "START SYNC TASK t").await;
    proxy.wait_synced("t").await;
    // What a partial revoke takes away is missing, though the grants show it for the whole server.
    sql(&proxy, "STOP SYNC TASK t").await;
    sql(
        &pair.branch,
        "SET GLOBAL partial_revokes = ON; REVOKE writer FROM sync; GRANT SELECT, INSERT, UPDATE, DELETE ON *.* TO sync; \
         REVOKE DELETE ON shop.* FROM sync",
    )
    .await;
    let found = precheck(&proxy).await;
    let missing = row(&found, "privileges to apply", "forward");
    assert!(
        missing[2] == "fail" && missing[3].contains("lacks DELETE on shop.*"),
        "{missing:?}"
    );
    run(&pair.branch, &missing[4]);
    assert_eq!(
        row(&precheck(&proxy).await, "privileges to apply", "forward")[2],
        "pass"
    );
}

/// Lists, not one question per table.
#[tokio::test]
async fn thousands_of_tables_are_prechecked_with_few_questions() {
    let options = || ServerOptions::with(&["--innodb-file-per-table=OFF"]);
    let pair = Pair::start_with(options(), options()).await;
    for server in [&pair.hq, &pair.branch] {
        let mut text = String::from("CREATE DATABASE many; USE many;");
        for number in 1..=1500 {
            text += &format!("CREATE TABLE t{number} (id INT PRIMARY KEY, v VARCHAR(20), KEY (v));");
        }
        sql(server, &text).await;
    }
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    sql(
        &proxy,
        "CREATE SYNC TASK t BETWEEN hq AND branch OBJECTS (many.*) WITH (existing_tables = 'proceed')",
    )
    .await;
    let questions = async |server: &LocalServer| -> u64 {
        rows(server, "SHOW GLOBAL STATUS LIKE 'Questions'").await[0][1]
            .parse()
            .unwrap()
    };
    let before = [questions(&pair.hq).await, questions(&pair.branch).await];
    let begin = Instant::now();
    let found = precheck(&proxy).await;
    println!("a precheck of 1500 tables on both sides: {:?}", begin.elapsed());
    assert_eq!(bad(&found), Vec::<&[String]>::new());
    for (server, before) in [&pair.hq, &pair.branch].into_iter().zip(before) {
        let asked = questions(server).await - before;
        assert!(asked < 200, "{asked} questions");
    }
}
