//! Accounts with just the privileges that docs/privileges.md lists: they suffice, and a missing one is named.

use causeway::demo::mysqld::LocalServer;

use crate::support::{
    ask::{cell, error_of, eventually, rows, sql, try_rows},
    cluster::{Pair, Proxy},
    compare::assert_same,
};

const PASSWORD: &str = "just-enough";

/// What the page says of each role, with its placeholders as they are used here.
fn grants(role: &str) -> Vec<String> {
    let page = include_str!("../../docs/privileges.md");
    let section = page.split("\n## ").find(|section| section.starts_with(role)).unwrap();
    let block = section
        .split("```sql\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .unwrap();
    let account = "'sync'@'causeway-host'";
    assert!(block.contains(account));
    block
        .split(';')
        .map(|grant| grant.trim().replace(account, "sync"))
        .filter(|grant| !grant.is_empty())
        .collect()
}

/// The account with the privileges of these roles.
async fn make_account(server: &LocalServer, roles: &[&str]) {
    let mut all = format!("CREATE USER sync IDENTIFIED BY '{PASSWORD}' REQUIRE SSL");
    for grant in roles.iter().flat_map(|role| grants(role)) {
        all += &format!("; {grant}");
    }
    sql(server, &all).await;
}

async fn register(proxy: &Proxy, pair: &Pair) {
    for (name, server, tls) in [
        ("hq", &pair.hq, "SSL_MODE 'REQUIRED'".to_owned()),
        (
            "branch",
            &pair.branch,
            format!(
                "SSL_MODE 'VERIFY_CA', SSL_CA '{}'",
                pair.branch.dir.join("data/ca.pem").display()
            ),
        ),
    ] {
        let statement = format!(
            "CREATE SERVER {name} OPTIONS (HOST '127.0.0.1', PORT {}, USER 'sync', PASSWORD '{PASSWORD}', {tls})",
            server.port
        );
        sql(proxy, &statement).await;
        let steps = rows(proxy, &format!("CHECK SERVER {name}")).await;
        assert!(steps.iter().all(|step| step[1] == "pass"), "{name}: {steps:?}");
    }
}

#[tokio::test]
async fn a_row_filter_needs_one_privilege_more() {
    let pair = Pair::start().await;
    sql(&pair.hq, TABLES).await;
    make_account(&pair.hq, &["Source", "Destination", "Causeway"]).await;
    make_account(&pair.branch, &["Source", "Destination", "Schema changes", "Causeway"]).await;
    let proxy = Proxy::start().await;
    register(&proxy, &pair).await;
    sql(
        &proxy,
        "CREATE SYNC TASK orders BETWEEN hq AND branch OBJECTS (shop.parent WHERE v < 'm')",
    )
    .await;
    let (_, message) = error_of(&proxy, "START SYNC TASK orders").await;
    assert!(
        message.contains("CREATE TEMPORARY TABLES on causeway.*") && message.contains("docs/privileges.md"),
        "{message}"
    );
    for server in [&pair.hq, &pair.branch] {
        sql(server, &grants("Row filters").join(";")).await;
    }
    sql(&proxy, "START SYNC TASK orders").await;
    proxy.wait_synced("orders").await;
    sql(&pair.hq, "INSERT INTO shop.parent VALUES (3, 'x'), (4, 'c')").await;
    sql(&pair.branch, "INSERT INTO shop.parent VALUES (5, 'y'), (6, 'd')").await;
    proxy.wait_synced("orders").await;
    let ids = "SELECT GROUP_CONCAT(id ORDER BY id) FROM shop.parent";
    assert_eq!(cell(&pair.hq, ids).await, "1,2,3,4,6");
    assert_eq!(cell(&pair.branch, ids).await, "1,2,4,5,6");
}

#[tokio::test]
async fn keys_of_large_tables_are_made_with_the_rows_where_the_account_may_not_alter_them() {
    let pair = Pair::start().await;
    let large = |name: &str| {
        format!(
            "CREATE TABLE shop.{name} (id INT PRIMARY KEY, a INT, KEY a (a));
             INSERT INTO shop.{name} WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 120000) SELECT n, n FROM n;
             ANALYZE TABLE shop.{name};"
        )
    };
    sql(
        &pair.hq,
        &format!(
            "CREATE DATABASE shop; SET SESSION cte_max_recursion_depth = 1000000; {} {}",
            large("one"),
            large("two")
        ),
    )
    .await;
    for server in [&pair.hq, &pair.branch] {
        make_account(server, &["Source", "Destination", "Causeway"]).await;
    }
    let more = "GRANT CREATE, REFERENCES ON shop.* TO sync; SET GLOBAL local_infile = ON";
    sql(&pair.branch, more).await;
    let proxy = Proxy::start().await;
    register(&proxy, &pair).await;
    let keys = "SELECT COUNT(*) FROM information_schema.statistics WHERE index_name = 'a'";
    let told =
        "SELECT COUNT(*) FROM sync.events WHERE message LIKE 'the keys of shop.% are made when the rows are there'";
    for (table, expected) in [("one", ["1", "0"]), ("two", ["2", "1"])] {
        let create =
            format!("CREATE SYNC TASK {table} FROM hq TO branch OBJECTS (shop.{table}) WITH (incremental_sync = OFF)");
        sql(&proxy, &create).await;
        sql(&proxy, &format!("START SYNC TASK {table}")).await;
        proxy.wait_state(table, "stopped").await;
        let rows = cell(&pair.branch, &format!("SELECT COUNT(*) FROM shop.{table}")).await;
        assert_eq!(rows, "120000");
        let found = [cell(&pair.branch, keys).await, cell(&proxy, told).await];
        assert_eq!(found, expected, "{table}");
        sql(&pair.branch, "GRANT ALTER, INDEX ON shop.* TO sync").await;
    }
}

const TABLES: &str = "CREATE DATABASE shop;
    CREATE TABLE shop.parent (id INT PRIMARY KEY, v VARCHAR(20));
    CREATE TABLE shop.child (id INT PRIMARY KEY, v VARCHAR(20), parent INT, FOREIGN KEY (parent) REFERENCES parent (id));
    INSERT INTO shop.parent VALUES (1, 'a'), (2, 'b'); INSERT INTO shop.child VALUES (1, 'a', 1), (2, 'b', 2);";

/// Statements that each need something of their own at the other side.
const DDL: &str = "CREATE TABLE shop.later (id INT PRIMARY KEY, child INT, FOREIGN KEY (child) REFERENCES shop.child (id));
    INSERT INTO shop.later VALUES (1, 1); ALTER TABLE shop.child ADD COLUMN more INT DEFAULT 7; CREATE INDEX v ON shop.child (v);
    DROP INDEX v ON shop.child; RENAME TABLE shop.later TO shop.last; TRUNCATE TABLE shop.last; DROP TABLE shop.last;
    ALTER DATABASE shop CHARACTER SET latin1; CREATE TABLE shop.copied LIKE shop.parent; CREATE TABLE shop.filled (PRIMARY KEY (id)) SELECT * FROM shop.parent;
    CREATE DEFINER = sync VIEW shop.v AS SELECT id FROM shop.parent; CREATE OR REPLACE DEFINER = sync VIEW shop.v AS SELECT v FROM shop.parent;
    CREATE DEFINER = sync PROCEDURE shop.p() DELETE FROM shop.last; ALTER PROCEDURE shop.p COMMENT 'x';
    CREATE DEFINER = sync FUNCTION shop.f() RETURNS INT READS SQL DATA RETURN 1; DROP FUNCTION shop.f;
    CREATE DEFINER = sync EVENT shop.e ON SCHEDULE EVERY 1 DAY DO DO 1; ALTER DEFINER = sync EVENT shop.e COMMENT 'x'; DROP EVENT shop.e;
    DROP PROCEDURE shop.p; DROP VIEW shop.v;";

/// What a whole database has besides tables.
const PROGRAMS: &str = "CREATE DEFINER = sync VIEW shop.early AS SELECT id FROM shop.parent;
    CREATE DEFINER = sync PROCEDURE shop.early() SELECT 1; CREATE DEFINER = sync FUNCTION shop.early() RETURNS INT NO SQL RETURN 1;
    CREATE DEFINER = sync EVENT shop.early ON SCHEDULE EVERY 1 DAY DO DO 1;
    CREATE DEFINER = sync TRIGGER shop.early BEFORE DELETE ON shop.child FOR EACH ROW
    BEGIN IF @causeway_applying IS NULL THEN SET @deleted = OLD.id ; END IF; END;";

#[tokio::test]
async fn the_documented_privileges_suffice() {
    let pair = Pair::start().await;
    sql(&pair.hq, TABLES).await;
    make_account(&pair.hq, &["Source", "Destination", "Causeway"]).await;
    make_account(&pair.branch, &["Source", "Destination", "Schema changes", "Causeway"]).await;
    sql(&pair.hq, PROGRAMS).await;
    let proxy = Proxy::start().await;
    register(&proxy, &pair).await;
    sql(&proxy, "CREATE SYNC TASK orders BETWEEN hq AND branch OBJECTS (shop.*) WITH (conflict_policy = 'overwrite') REVERSE WITH (conflict_policy = 'ignore')")
        .await;
    sql(&proxy, "START SYNC TASK orders").await;
    proxy.wait_synced("orders").await;
    assert_same(&pair.hq, &pair.branch, "shop").await;
    sql(&pair.hq, "INSERT INTO shop.parent VALUES (3, 'hq'); UPDATE shop.child SET v = 'hq' WHERE id = 1; DELETE FROM shop.child WHERE id = 2").await;
    sql(
        &pair.branch,
        "INSERT INTO shop.parent VALUES (4, 'branch'); UPDATE shop.parent SET v = 'branch' WHERE id = 2",
    )
    .await;
    sql(&pair.hq, DDL).await;
    proxy.wait_synced("orders").await;
    assert_same(&pair.hq, &pair.branch, "shop").await;
    sql(&proxy, "PAUSE SYNC TASK orders").await;
    let clash = |v| format!("UPDATE shop.parent SET v = '{v}' WHERE id = 1; INSERT INTO shop.parent VALUES (9, '{v}')");
    sql(&pair.hq, &clash("hq")).await;
    sql(&pair.branch, &clash("branch")).await;
    sql(&proxy, "RESUME SYNC TASK orders").await;
    proxy.wait_synced("orders").await;
    assert_same(&pair.hq, &pair.branch, "shop").await;
    assert_eq!(cell(&proxy, "SELECT COUNT(*) FROM sync.conflicts").await, "4");
    let warnings = "SELECT message FROM sync.events WHERE level <> 'info'";
    assert_eq!(rows(&proxy, warnings).await, Vec::<Vec<String>>::new());
    sql(&proxy, "STOP SYNC TASK orders").await;
    sql(&proxy, "DROP SYNC TASK orders").await;
    for server in [&pair.hq, &pair.branch] {
        assert_eq!(cell(server, "SELECT COUNT(*) FROM causeway.checkpoint").await, "0");
    }
}

#[tokio::test]
async fn a_missing_privilege_is_named() {
    let pair = Pair::start().await;
    sql(&pair.hq, TABLES).await;
    make_account(&pair.hq, &["Source", "Destination", "Causeway"]).await;
    make_account(&pair.branch, &["Source", "Destination", "Schema changes", "Causeway"]).await;
    let proxy = Proxy::start().await;
    register(&proxy, &pair).await;
    sql(&proxy, "CREATE SYNC TASK orders BETWEEN hq AND branch OBJECTS (shop.*)").await;
    let error = async || {
        let synced = try_rows(&proxy, "WAIT FOR SYNC TASK orders TIMEOUT 300").await;
        assert!(synced.is_err(), "nothing has failed: {synced:?}");
        let query =
            "SELECT last_error FROM sync.status WHERE last_error NOT LIKE 'stopped because%' AND last_error <> ''";
        eventually("an error", async || {
            rows(&proxy, query).await.first().map(|row| row[0].clone())
        })
        .await
    };
    let fits = |error: &str, parts: &[&str]| {
        assert!(
            parts.iter().all(|part| error.contains(part)) && error.contains("docs/privileges.md"),
            "{parts:?}: {error}"
        );
    };
    // At the start: each by its name, with the statement that gives it.
    let (hq, branch) = (&pair.hq, &pair.branch);
    let all = ["SELECT", "INSERT", "UPDATE", "DELETE"];
    let mut taken: Vec<(&LocalServer, String)> = vec![
        (hq, "REPLICATION CLIENT ON *.*".into()),
        (hq, "REPLICATION SLAVE ON *.*".into()),
        (hq, "SHOW_ROUTINE ON *.*".into()),
        (branch, "REPLICATION CLIENT ON *.*".into()),
        (branch, "REPLICATION SLAVE ON *.*".into()),
        (branch, "SHOW_ROUTINE ON *.*".into()),
    ];
    for server in [hq, branch] {
        taken.extend(all.iter().map(|privilege| (server, format!("{privilege} ON shop.*"))));
        taken.extend(
            all.iter()
                .chain(&["CREATE"])
                .map(|privilege| (server, format!("{privilege} ON causeway.*"))),
        );
    }
    for privilege in ["SHOW VIEW", "TRIGGER", "EVENT"] {
        taken.extend([hq, branch].map(|server| (server, format!("{privilege} ON shop.*"))));
    }
    for privilege in [
        "CREATE",
        "ALTER",
        "DROP",
        "INDEX",
        "REFERENCES",
        "CREATE VIEW",
        "CREATE ROUTINE",
        "ALTER ROUTINE",
    ] {
        taken.push((branch, format!("{privilege} ON shop.*")));
    }
    for (server, privilege) in taken {
        sql(server, &format!("REVOKE {privilege} FROM sync")).await;
        let (code, told) = error_of(&proxy, "START SYNC TASK orders").await;
        assert_eq!(code, 3105);
        let (name, on) = privilege.split_once(" ON ").unwrap();
        let at = if server.port == hq.port { "hq" } else { "branch" };
        fits(&told, &[name, on, &format!("at server {at}")]);
        let remedies = rows(
            &proxy,
            "SELECT DISTINCT remedy FROM sync.prechecks WHERE result = 'fail'",
        )
        .await;
        assert!(!remedies.is_empty() && remedies.len() < 3, "{privilege}: {remedies:?}");
        for remedy in remedies {
            assert!(
                remedy[0].starts_with(&format!("/* at {at} */ GRANT {name} ON ")),
                "{remedy:?}"
            );
            sql(server, &remedy[0]).await;
        }
        let left =
            "SELECT item, found FROM sync.prechecks WHERE result <> 'pass' AND item <> 'prepared xa transactions'";
        rows(&proxy, "PRECHECK SYNC TASK orders").await;
        assert_eq!(rows(&proxy, left).await, Vec::<Vec<String>>::new(), "{privilege}");
    }
    let state = cell(&proxy, "SELECT state FROM sync.tasks").await;
    sql(&proxy, "START SYNC TASK orders").await;
    proxy.wait_synced("orders").await;
    assert_ne!(state, "running");
    assert_same(&pair.hq, &pair.branch, "shop").await;

    // While it is at work: what is done at one side, which privilege is missing at the other.
    for (number, (privilege, at_hq, statement)) in (100..).zip([
        ("INSERT ON shop.*", true, "INSERT INTO shop.parent VALUES (#, 'x')"),
        ("UPDATE ON shop.*", true, "UPDATE shop.parent SET v = '#' WHERE id = 1"),
        ("DELETE ON shop.*", true, "DELETE FROM shop.parent WHERE id = 100"),
        ("INSERT ON shop.*", false, "INSERT INTO shop.parent VALUES (#, 'x')"),
        ("UPDATE ON shop.*", false, "UPDATE shop.parent SET v = '#' WHERE id = 1"),
        ("DELETE ON shop.*", false, "DELETE FROM shop.parent WHERE id = 103"),
        ("ALTER ON shop.*", true, "ALTER TABLE shop.child ADD COLUMN c# INT"),
        ("INDEX ON shop.*", true, "CREATE INDEX i# ON shop.child (v)"),
        ("CREATE ON shop.*", true, "CREATE TABLE shop.t# (id INT PRIMARY KEY)"),
        ("DROP ON shop.*", true, "DROP TABLE shop.t108"),
        (
            "CREATE VIEW ON shop.*",
            true,
            "CREATE DEFINER = sync VIEW shop.v# AS SELECT 1 AS one",
        ),
        (
            "TRIGGER ON shop.*",
            true,
            "CREATE DEFINER = sync TRIGGER shop.g# BEFORE INSERT ON shop.child FOR EACH ROW SET @a = 1",
        ),
    ]) {
        let (here, there) = if at_hq {
            (&pair.hq, &pair.branch)
        } else {
            (&pair.branch, &pair.hq)
        };
        sql(&proxy, "PAUSE SYNC TASK orders").await;
        sql(there, &format!("REVOKE {privilege} FROM sync")).await;
        sql(
            here,
            &statement
                .replace('#', &number.to_string())
                .replace(&format!("I{number}TO"), "INTO"),
        )
        .await;
        sql(&proxy, "RESUME SYNC TASK orders").await;
        let told = error().await;
        let word = privilege.split(' ').next().unwrap();
        fits(&told, &[word]);
        proxy.wait_state("orders", "failed").await;
        sql(there, &format!("GRANT {privilege} TO sync")).await;
        sql(&proxy, "RESUME SYNC TASK orders").await;
        proxy.wait_synced("orders").await;
        assert_same(&pair.hq, &pair.branch, "shop").await;
    }
    assert!(!proxy.log().contains(PASSWORD));
}

#[tokio::test]
async fn encryption_is_as_asked_for() {
    let pair = Pair::start().await;
    make_account(&pair.hq, &["Source"]).await;
    let proxy = Proxy::start().await;
    let own_ca = pair.hq.dir.join("data/ca.pem");
    let other_ca = pair.branch.dir.join("data/ca.pem");
    sql(&pair.branch, "ALTER INSTANCE RELOAD TLS").await;
    let check = async |options: &str, expected: Result<&str, &str>| {
        let statement = format!(
            "CREATE SERVER s OPTIONS (HOST '127.0.0.1', PORT {}, USER 'sync', PASSWORD '{PASSWORD}', {options})",
            pair.hq.port
        );
        sql(&proxy, &statement).await;
        let steps = rows(&proxy, "CHECK SERVER s").await;
        match expected {
            Ok(encryption) => {
                assert!(
                    steps[0][1] == "pass" && steps[1][2].starts_with(encryption),
                    "{options}: {steps:?}"
                );
            }
            Err(part) => assert!(
                steps[0][1] == "fail" && steps[0][2].contains(part),
                "{options}: {steps:?}"
            ),
        }
        sql(&proxy, "DROP SERVER s").await;
    };
    check("SSL_MODE 'DISABLED'", Err("1045")).await;
    check("SSL_MODE 'PREFERRED'", Ok("TLS")).await;
    check("SSL_MODE 'REQUIRED'", Ok("TLS")).await;
    check(
        &format!("SSL_MODE 'VERIFY_CA', SSL_CA '{}'", own_ca.display()),
        Ok("TLS"),
    )
    .await;
    check("SSL_MODE 'VERIFY_CA', SSL_CA '/no/such/file'", Err("/no/such/file")).await;
    // MySQL's own certificates name no host.
    check(
        &format!("SSL_MODE 'VERIFY_IDENTITY', SSL_CA '{}'", own_ca.display()),
        Err("connecting to server s"),
    )
    .await;
    if std::fs::read(&own_ca).unwrap() != std::fs::read(&other_ca).unwrap() {
        check(
            &format!("SSL_MODE 'VERIFY_CA', SSL_CA '{}'", other_ca.display()),
            Err("certificate"),
        )
        .await;
    }
    // An account that needs no encryption is free to do without.
    sql(&pair.hq, "ALTER USER sync REQUIRE NONE").await;
    sql(
        &proxy,
        &format!(
            "CREATE SERVER plain OPTIONS (HOST '127.0.0.1', PORT {}, USER 'root', PASSWORD '', SSL_MODE 'DISABLED')",
            pair.hq.port
        ),
    )
    .await;
    assert_eq!(rows(&proxy, "CHECK SERVER plain").await[1][2], "none");
    let (code, message) = error_of(
        &proxy,
        "CREATE SERVER s OPTIONS (HOST 'h', USER 'u', SSL_MODE 'VERIFY_CA')",
    )
    .await;
    assert!(code == 1231 && message.contains("SSL_CA"), "{message}");
}
