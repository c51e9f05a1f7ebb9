//! Each type of conflict under each policy: what becomes of the rows, and what is kept of it in `sync.conflicts`.

use std::collections::HashMap;

use causeway::demo::mysqld::LocalServer;

use crate::support::{
    ask::{cell, connect, eventually, rows, sql, try_sql},
    cluster::{Pair, Proxy},
    compare::assert_same,
};

use mysql_async::prelude::Queryable as _;

/// A table of its own in which one conflict comes about.
struct Scenario {
    /// The table's name.
    name: &'static str,
    /// Its definition.
    columns: &'static str,
    /// What is written at hq, and synchronized.
    hq: &'static str,
    /// What is written at branch before, unnoticed.
    branch: &'static str,
    /// Type in `sync.conflicts`; empty: there is no conflict.
    kind: &'static str,
    /// Outcome under `fail`, `ignore` and `overwrite`.
    outcomes: [&'static str; 3],
    /// Rows at branch afterwards, under `ignore` and `overwrite`.
    after: [&'static str; 2],
    /// Before image, incoming row and destination row in `sync.conflicts`.
    images: [&'static str; 3],
}

/// On both sides, before.
const ROWS: &str = "(1, 'a', 10), (2, 'b', 20), (3, 'c', 30)";
const PLAIN: &str = "id INT PRIMARY KEY, u VARCHAR(20), v INT, UNIQUE (u)";
const BY_POLICY: [&str; 3] = ["failed", "ignored", "overwritten"];

/// In the statements `t` stands for the table; in rows, those with id 2 and 3 are left out.
const SCENARIOS: [Scenario; 20] = [
    Scenario {
        name: "insert_pk",
        columns: PLAIN,
        hq: "INSERT INTO t VALUES (5, 'e', 50)",
        branch: "INSERT INTO t VALUES (5, 'x', 55)",
        kind: "insert_exists",
        outcomes: BY_POLICY,
        after: ["1 a 10, 5 x 55", "1 a 10, 5 e 50"],
        images: ["NULL", "5 e 50", "5 x 55"],
    },
    Scenario {
        name: "insert_unique",
        columns: PLAIN,
        hq: "INSERT INTO t VALUES (5, 'e', 50)",
        branch: "INSERT INTO t VALUES (6, 'e', 66)",
        kind: "insert_exists",
        outcomes: BY_POLICY,
        after: ["1 a 10, 6 e 66", "1 a 10, 5 e 50"],
        images: ["NULL", "5 e 50", "6 e 66"],
    },
    Scenario {
        name: "insert_several",
        columns: PLAIN,
        hq: "INSERT INTO t VALUES (5, 'e', 50)",
        branch: "INSERT INTO t VALUES (5, 'x', 55), (6, 'e', 66)",
        kind: "multiple_unique_conflicts",
        outcomes: BY_POLICY,
        after: ["1 a 10, 5 x 55, 6 e 66", "1 a 10, 5 e 50"],
        images: ["NULL", "5 e 50", "5 x 55, 6 e 66"],
    },
    Scenario {
        name: "insert_nulls",
        columns: PLAIN,
        hq: "INSERT INTO t VALUES (5, NULL, 50)",
        branch: "INSERT INTO t VALUES (6, NULL, 66)",
        kind: "",
        outcomes: BY_POLICY,
        after: ["1 a 10, 5 NULL 50, 6 NULL 66"; 2],
        images: [""; 3],
    },
    Scenario {
        name: "insert_same",
        columns: PLAIN,
        hq: "INSERT INTO t VALUES (5, 'e', 50)",
        branch: "INSERT INTO t VALUES (5, 'e', 50)",
        kind: "insert_exists",
        outcomes: ["same"; 3],
        after: ["1 a 10, 5 e 50"; 2],
        images: ["NULL", "5 e 50", "5 e 50"],
    },
    Scenario {
        name: "update_gone",
        columns: PLAIN,
        hq: "UPDATE t SET v = 11 WHERE id = 1",
        branch: "DELETE FROM t WHERE id = 1",
        kind: "update_missing",
        outcomes: ["inserted"; 3],
        after: ["1 a 11"; 2],
        images: ["1 a 10", "1 a 11", "NULL"],
    },
    Scenario {
        name: "update_gone_and_taken",
        columns: PLAIN,
        hq: "UPDATE t SET v = 11 WHERE id = 1",
        branch: "UPDATE t SET id = 7, v = 77 WHERE id = 1",
        kind: "update_missing",
        outcomes: ["failed", "ignored", "inserted"],
        after: ["7 a 77", "1 a 11"],
        images: ["1 a 10", "1 a 11", "7 a 77"],
    },
    Scenario {
        name: "update_other",
        columns: PLAIN,
        hq: "UPDATE t SET v = 11 WHERE id = 1",
        branch: "UPDATE t SET v = 12 WHERE id = 1",
        kind: "update_differs",
        outcomes: BY_POLICY,
        after: ["1 a 12", "1 a 11"],
        images: ["1 a 10", "1 a 11", "1 a 12"],
    },
    Scenario {
        name: "update_other_column",
        columns: PLAIN,
        hq: "UPDATE t SET v = 11 WHERE id = 1",
        branch: "UPDATE t SET u = 'A' WHERE id = 1",
        kind: "update_differs",
        outcomes: BY_POLICY,
        after: ["1 A 10", "1 a 11"],
        images: ["1 a 10", "1 a 11", "1 A 10"],
    },
    Scenario {
        name: "update_same",
        columns: PLAIN,
        hq: "UPDATE t SET v = 11 WHERE id = 1",
        branch: "UPDATE t SET v = 11 WHERE id = 1",
        kind: "update_differs",
        outcomes: ["same"; 3],
        after: ["1 a 11"; 2],
        images: ["1 a 10", "1 a 11", "1 a 11"],
    },
    Scenario {
        name: "update_to_taken_unique",
        columns: PLAIN,
        hq: "UPDATE t SET u = 'n' WHERE id = 1",
        branch: "INSERT INTO t VALUES (7, 'n', 77)",
        kind: "update_exists",
        outcomes: BY_POLICY,
        after: ["1 a 10, 7 n 77", "1 n 10"],
        images: ["1 a 10", "1 n 10", "1 a 10, 7 n 77"],
    },
    Scenario {
        name: "update_to_taken_pk",
        columns: PLAIN,
        hq: "UPDATE t SET id = 9 WHERE id = 1",
        branch: "INSERT INTO t VALUES (9, 'z', 99)",
        kind: "update_exists",
        outcomes: BY_POLICY,
        after: ["1 a 10, 9 z 99", "9 a 10"],
        images: ["1 a 10", "9 a 10", "1 a 10, 9 z 99"],
    },
    Scenario {
        name: "update_to_several",
        columns: PLAIN,
        hq: "UPDATE t SET id = 9, u = 'n' WHERE id = 1",
        branch: "INSERT INTO t VALUES (8, 'n', 88), (9, 'z', 99)",
        kind: "multiple_unique_conflicts",
        outcomes: BY_POLICY,
        after: ["1 a 10, 8 n 88, 9 z 99", "9 n 10"],
        images: ["1 a 10", "9 n 10", "1 a 10, 9 z 99, 8 n 88"],
    },
    Scenario {
        name: "delete_gone",
        columns: PLAIN,
        hq: "DELETE FROM t WHERE id = 1",
        branch: "DELETE FROM t WHERE id = 1",
        kind: "delete_missing",
        outcomes: ["ignored"; 3],
        after: [""; 2],
        images: ["1 a 10", "NULL", "NULL"],
    },
    Scenario {
        name: "delete_other",
        columns: PLAIN,
        hq: "DELETE FROM t WHERE id = 1",
        branch: "UPDATE t SET v = 12 WHERE id = 1",
        kind: "delete_differs",
        outcomes: ["failed", "ignored", "deleted"],
        after: ["1 a 12", ""],
        images: ["1 a 10", "NULL", "1 a 12"],
    },
    Scenario {
        name: "expression_insert",
        columns: "id INT PRIMARY KEY, u VARCHAR(20) COLLATE utf8mb4_bin, v INT, UNIQUE ((LOWER(u)))",
        hq: "INSERT INTO t VALUES (5, 'E', 50)",
        branch: "INSERT INTO t VALUES (6, 'e', 66)",
        kind: "insert_exists",
        outcomes: BY_POLICY,
        after: ["1 a 10, 6 e 66", "1 a 10, 5 E 50"],
        images: ["NULL", "5 E 50", "NULL"],
    },
    Scenario {
        name: "expression_update_gone",
        columns: "id INT PRIMARY KEY, u VARCHAR(20) COLLATE utf8mb4_bin, v INT, UNIQUE ((LOWER(u)))",
        hq: "UPDATE t SET v = 11 WHERE id = 1",
        branch: "UPDATE t SET id = 7, u = 'A' WHERE id = 1",
        kind: "update_missing",
        outcomes: ["failed", "ignored", "inserted"],
        after: ["7 A 10", "1 a 11"],
        images: ["1 a 10", "1 a 11", "NULL"],
    },
    Scenario {
        name: "prefix_update",
        columns: "id INT PRIMARY KEY, u VARCHAR(20), v INT, UNIQUE (u(3))",
        hq: "UPDATE t SET u = 'xyz1' WHERE id = 1",
        branch: "INSERT INTO t VALUES (7, 'XYZ2', 77)",
        kind: "update_exists",
        outcomes: BY_POLICY,
        after: ["1 a 10, 7 XYZ2 77", "1 xyz1 10"],
        images: ["1 a 10", "1 xyz1 10", "1 a 10"],
    },
    Scenario {
        name: "case_of_a_key",
        columns: "id VARCHAR(20) PRIMARY KEY, u VARCHAR(20), v INT",
        hq: "INSERT INTO t VALUES ('K', 'e', 50)",
        branch: "INSERT INTO t VALUES ('k', 'x', 55)",
        kind: "insert_exists",
        outcomes: BY_POLICY,
        after: ["1 a 10, k x 55", "1 a 10, K e 50"],
        images: ["NULL", "K e 50", "k x 55"],
    },
    Scenario {
        name: "key_changes_case",
        columns: "u VARCHAR(20), id VARCHAR(20), v INT, PRIMARY KEY (id), UNIQUE (u)",
        hq: "UPDATE t SET id = 'B' WHERE id = 'b'",
        branch: "UPDATE t SET v = 22 WHERE id = 'b'",
        kind: "update_differs",
        outcomes: BY_POLICY,
        after: ["1 a 10, 2 b 22", "1 a 10, 2 B 20"],
        images: ["2 b 20", "2 B 20", "2 b 22"],
    },
];

impl Scenario {
    fn create(&self) -> String {
        let (name, columns) = (self.name, self.columns);
        format!("CREATE TABLE shop.{name} ({columns}); INSERT INTO shop.{name} VALUES {ROWS};")
    }

    fn at(&self, statement: &str) -> String {
        statement.replace(" t ", &format!(" shop.{} ", self.name))
    }

    async fn rows(&self, server: &LocalServer) -> String {
        let all = rows(server, &format!("SELECT * FROM shop.{} ORDER BY id, v", self.name)).await;
        let all: Vec<String> = all.iter().map(|row| row.join(" ")).collect();
        all.into_iter()
            .filter(|row| !matches!(row.as_str(), "2 b 20" | "3 c 30"))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// `{"u": "a", "v": 10, "id": 1}` as `1 a 10`; several in an array with a comma between them.
fn told(images: &str) -> String {
    if images == "NULL" {
        return images.into();
    }
    let value: serde_json::Value = serde_json::from_str(images).unwrap_or_else(|error| panic!("{error}: {images}"));
    let row = |row: &serde_json::Value| {
        let cell = |name: &str| match &row[name] {
            serde_json::Value::Null => "NULL".into(),
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let order = if row["u"].as_str().is_some_and(|u| u.chars().all(|c| c.is_ascii_digit())) {
            ["u", "id", "v"]
        } else {
            ["id", "u", "v"]
        };
        order.map(cell).join(" ")
    };
    match &value {
        serde_json::Value::Array(rows) => rows.iter().map(row).collect::<Vec<_>>().join(", "),
        one => row(one),
    }
}

/// As the only statements of a session whose changes do not reach the binlog.
async fn unnoticed(server: &LocalServer, statements: &str) {
    sql(server, &format!("SET sql_log_bin = 0; {statements}")).await;
}

async fn start(pair: &Pair, tables: &str, options: &str) -> Proxy {
    sql(&pair.hq, &format!("CREATE DATABASE shop; {tables}")).await;
    let proxy = Proxy::start().await;
    proxy.register(pair).await;
    sql(
        &proxy,
        &format!("CREATE SYNC TASK orders BETWEEN hq AND branch OBJECTS (shop.*) {options}"),
    )
    .await;
    sql(&proxy, "START SYNC TASK orders").await;
    proxy.wait_state("orders", "running").await;
    proxy.wait_synced("orders").await;
    proxy
}

fn all_tables() -> String {
    SCENARIOS.iter().map(Scenario::create).collect()
}

/// What `sync.conflicts` has of a table: type, policy, outcome, images, key, position.
async fn kept(proxy: &Proxy, table: &str) -> Vec<Vec<String>> {
    let query = format!(
        "SELECT type, policy, outcome, before_image, incoming_row, destination_row, `key`, source_position, direction
         FROM sync.conflicts WHERE `table` = 'shop.{table}' ORDER BY id"
    );
    rows(proxy, &query).await
}

/// Holds what was kept against what is due, and gives the number of conflicts.
async fn check_kept(proxy: &Proxy, scenario: &Scenario, policy: &str, outcome: &str) -> usize {
    let found = kept(proxy, scenario.name).await;
    if scenario.kind.is_empty() {
        assert!(found.is_empty(), "{}: {found:?}", scenario.name);
        return 0;
    }
    let [row] = found.as_slice() else {
        panic!("{}: {found:?}", scenario.name)
    };
    let images = [&row[3], &row[4], &row[5]].map(|images| told(images));
    let found = (row[0].as_str(), row[1].as_str(), row[2].as_str());
    assert_eq!(
        found,
        (scenario.kind, policy, outcome),
        "{} under {policy}",
        scenario.name
    );
    assert_eq!(images, scenario.images, "{} under {policy}", scenario.name);
    assert!(row[6].starts_with("{\"id\": "), "{}: key {}", scenario.name, row[6]);
    let (gtid, ordinal) = row[7].split_once('#').unwrap();
    assert!(
        gtid.split_once(':').is_some_and(|(uuid, _)| uuid.len() == 36) && ordinal == "0",
        "{}",
        row[7]
    );
    assert_eq!(row[8], "forward");
    1
}

async fn check_policy(place: usize, policy: &str) {
    let pair = Pair::start().await;
    let proxy = start(&pair, &all_tables(), &format!("WITH (conflict_policy = '{policy}')")).await;
    sql(&proxy, "PAUSE SYNC TASK orders").await;
    for scenario in &SCENARIOS {
        unnoticed(&pair.branch, &scenario.at(scenario.branch)).await;
        sql(&pair.hq, &scenario.at(scenario.hq)).await;
    }
    let mut at_hq = HashMap::new();
    for scenario in &SCENARIOS {
        at_hq.insert(scenario.name, scenario.rows(&pair.hq).await);
    }
    sql(&proxy, "RESUME SYNC TASK orders").await;
    proxy.wait_synced("orders").await;
    let mut conflicts = 0;
    for scenario in &SCENARIOS {
        let (name, after) = (scenario.name, scenario.after[place]);
        assert_eq!(scenario.rows(&pair.branch).await, after, "{name} under {policy}");
        assert_eq!(
            scenario.rows(&pair.hq).await,
            at_hq[name],
            "{name} at the source, under {policy}"
        );
        conflicts += check_kept(&proxy, scenario, policy, scenario.outcomes[place + 1]).await;
    }
    let counted = cell(&proxy, "SELECT SUM(conflicts) FROM sync.status").await;
    assert_eq!(counted, conflicts.to_string());
    let counted = cell(&proxy, "SELECT SUM(conflicts) FROM sync.objects").await;
    assert_eq!(counted, conflicts.to_string());
    assert!(!proxy.log().contains("XYZ2"), "a row's value in the log");
}

#[tokio::test]
async fn under_ignore_the_destinations_row_stays() {
    check_policy(0, "ignore").await;
}

#[tokio::test]
async fn under_overwrite_the_incoming_row_wins_also_against_others_that_hold_its_keys() {
    check_policy(1, "overwrite").await;
}

#[tokio::test]
async fn under_fail_the_task_stops_and_goes_on_when_the_rows_agree() {
    let pair = Pair::start().await;
    let proxy = start(&pair, &all_tables(), "").await;
    let mut failures = 0;
    for scenario in &SCENARIOS {
        let (name, outcome) = (scenario.name, scenario.outcomes[0]);
        unnoticed(&pair.branch, &scenario.at(scenario.branch)).await;
        let before = scenario.rows(&pair.branch).await;
        sql(&pair.hq, &scenario.at(scenario.hq)).await;
        if outcome != "failed" || scenario.kind.is_empty() {
            proxy.wait_synced("orders").await;
            assert_eq!(scenario.rows(&pair.branch).await, scenario.after[0], "{name}");
            check_kept(&proxy, scenario, "fail", outcome).await;
            continue;
        }
        failures += 1;
        proxy.wait_state("orders", "failed").await;
        check_kept(&proxy, scenario, "fail", "failed").await;
        assert_eq!(scenario.rows(&pair.branch).await, before, "{name}: nothing was changed");
        let error = cell(&proxy, "SELECT last_error FROM sync.status WHERE direction = 'forward'").await;
        let expected = format!("conflict {} in shop.{name} at ", scenario.kind);
        assert!(
            error.starts_with(&expected) && error.contains("RESUME"),
            "{name}: {error}"
        );
        for value in ["XYZ", "xyz", "77", "55"] {
            let place = error.split(" at ").next().unwrap();
            assert!(!place.contains(value), "{name}: a row's value in {error}");
        }
        assert_eq!(cell(&proxy, "SELECT state FROM sync.tasks").await, "failed");
        if name == "update_other" {
            // Without anything mended it fails again, with the same conflict; also after a restart of the process.
            sql(&proxy, "RESUME SYNC TASK orders").await;
            eventually("the task fails again", async || {
                let state = cell(&proxy, "SELECT state FROM sync.tasks").await;
                (state == "failed").then_some(())
            })
            .await;
            check_kept(&proxy, scenario, "fail", "failed").await;
        }
        if failures % 2 == 0 {
            // The operator lets the incoming row win, once.
            sql(&proxy, "ALTER SYNC TASK orders SET (conflict_policy = 'overwrite')").await;
            sql(&proxy, "RESUME SYNC TASK orders").await;
            proxy.wait_synced("orders").await;
            sql(&proxy, "ALTER SYNC TASK orders SET (conflict_policy = 'fail')").await;
            proxy.wait_state("orders", "running").await;
            check_kept(&proxy, scenario, "overwrite", scenario.outcomes[2]).await;
        } else {
            // The operator makes the rows agree.
            let all = rows(&pair.hq, &format!("SELECT * FROM shop.{name}")).await;
            let values: Vec<String> = all.iter().map(|row| format!("('{}')", row.join("','"))).collect();
            unnoticed(
                &pair.branch,
                &format!(
                    "TRUNCATE shop.{name}; INSERT INTO shop.{name} VALUES {}",
                    values.join(",")
                ),
            )
            .await;
            sql(&proxy, "RESUME SYNC TASK orders").await;
            proxy.wait_synced("orders").await;
        }
        assert_eq!(
            scenario.rows(&pair.branch).await,
            scenario.rows(&pair.hq).await,
            "{name}"
        );
    }
    assert_eq!(failures, 15);
    let counted: usize = cell(&proxy, "SELECT SUM(conflicts) FROM sync.status")
        .await
        .parse()
        .unwrap();
    assert!(counted >= failures, "{counted}");
}

#[tokio::test]
async fn a_conflict_takes_its_whole_transaction_with_it_and_nothing_else() {
    let pair = Pair::start().await;
    let tables = "CREATE TABLE shop.a (id INT PRIMARY KEY, v INT); CREATE TABLE shop.b (id INT PRIMARY KEY, v INT);
                  INSERT INTO shop.a VALUES (1, 10), (2, 20); INSERT INTO shop.b VALUES (1, 10), (2, 20);";
    let proxy = start(&pair, tables, "WITH (workers = 1)").await;
    sql(&proxy, "PAUSE SYNC TASK orders").await;
    unnoticed(&pair.branch, "UPDATE shop.b SET v = 99 WHERE id = 1").await;
    sql(
        &pair.hq,
        "UPDATE shop.a SET v = 21 WHERE id = 2;
         BEGIN; UPDATE shop.a SET v = 11 WHERE id = 1; UPDATE shop.b SET v = 11 WHERE id = 1; INSERT INTO shop.b VALUES (3, 30); COMMIT;
         UPDATE shop.b SET v = 21 WHERE id = 2",
    )
    .await;
    sql(&proxy, "RESUME SYNC TASK orders").await;
    proxy.wait_state("orders", "failed").await;
    let branch = async || {
        let query = "SELECT GROUP_CONCAT(v ORDER BY t, id) FROM
                     (SELECT 'a' AS t, id, v FROM shop.a UNION ALL SELECT 'b', id, v FROM shop.b) x";
        cell(&pair.branch, query).await
    };
    let half_way = branch().await;
    assert!(
        ["10,20,99,20", "10,21,99,20"].contains(&half_way.as_str()),
        "{half_way}"
    );
    sql(&proxy, "ALTER SYNC TASK orders SET (conflict_policy = 'ignore')").await;
    sql(&proxy, "RESUME SYNC TASK orders").await;
    proxy.wait_synced("orders").await;
    assert_eq!(branch().await, "11,21,99,21,30");
    // One conflict, whose fate was decided later.
    assert_eq!(kept(&proxy, "b").await.len(), 1);
    assert_eq!(kept(&proxy, "b").await[0][2], "ignored");
    assert!(kept(&proxy, "a").await.is_empty());
}

#[tokio::test]
async fn directions_may_have_policies_of_their_own() {
    let pair = Pair::start().await;
    let tables = "CREATE TABLE shop.t (id INT PRIMARY KEY, v INT, u INT, UNIQUE (u));
                  INSERT INTO shop.t VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3), (4, 4, 4);";
    let options = "WITH (conflict_policy = 'overwrite') REVERSE WITH (conflict_policy = 'ignore')";
    let mut proxy = start(&pair, tables, options).await;
    for round in 1..=2 {
        sql(&proxy, "PAUSE SYNC TASK orders").await;
        let clash = |side: u32| {
            format!(
                "UPDATE shop.t SET v = {side}{round} WHERE id = 1; INSERT INTO shop.t VALUES (1{round}, {side}{round}, 500{round});
                 UPDATE shop.t SET u = {side}00{round} WHERE id = 2; DELETE FROM shop.t WHERE id = 2 + {round}"
            )
        };
        sql(&pair.hq, &clash(1)).await;
        sql(&pair.branch, &clash(2)).await;
        // What was asked for holds after a restart of the process too.
        if round == 2 {
            proxy.restart().await.unwrap();
        }
        sql(&proxy, "RESUME SYNC TASK orders").await;
        proxy.wait_synced("orders").await;
        assert_eq!(
            cell(&pair.hq, "SELECT v FROM shop.t WHERE id = 1").await,
            format!("1{round}")
        );
        assert_same(&pair.hq, &pair.branch, "shop").await;
    }
    let policies = rows(
        &proxy,
        "SELECT direction, policy, outcome, COUNT(*) FROM sync.conflicts GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
    )
    .await;
    let told: Vec<String> = policies.iter().map(|row| row[..3].join(" ")).collect();
    assert!(told.contains(&"forward overwrite overwritten".into()), "{told:?}");
    assert!(told.contains(&"reverse ignore ignored".into()), "{told:?}");
    assert!(
        !told
            .iter()
            .any(|row| row.contains("forward ignore") || row.contains("reverse overwrite")),
        "{told:?}"
    );
}

#[tokio::test]
async fn conflicts_are_kept_once_though_causeway_is_killed_and_the_policy_holds() {
    const ROWS: usize = 300;
    let pair = Pair::start().await;
    let tables = "CREATE TABLE shop.t (id INT PRIMARY KEY, v INT);
                  INSERT INTO shop.t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
                  SELECT i, 0 FROM n;";
    let mut proxy = start(&pair, tables, "WITH (conflict_policy = 'ignore')").await;
    sql(&proxy, "PAUSE SYNC TASK orders").await;
    unnoticed(&pair.branch, "UPDATE shop.t SET v = -1").await;
    let mut hq = connect(&pair.hq).await;
    for id in 1..=ROWS {
        hq.query_drop(format!("UPDATE shop.t SET v = {id} WHERE id = {id}"))
            .await
            .unwrap();
    }
    hq.disconnect().await.unwrap();
    sql(&proxy, "RESUME SYNC TASK orders").await;
    let count = "SELECT COUNT(*) FROM sync.conflicts";
    for part in 1..=3 {
        eventually("conflicts come", async || {
            let found: usize = cell(&proxy, count).await.parse().unwrap();
            (found >= part * ROWS / 5).then_some(())
        })
        .await;
        proxy.kill9();
        proxy.restart().await.unwrap();
    }
    proxy.wait_synced("orders").await;
    assert_eq!(
        cell(&pair.branch, "SELECT COUNT(*) FROM shop.t WHERE v = -1").await,
        ROWS.to_string()
    );
    assert_eq!(cell(&proxy, count).await, ROWS.to_string());
    let distinct = "SELECT COUNT(DISTINCT `key`) FROM sync.conflicts WHERE outcome = 'ignored' AND policy = 'ignore'";
    assert_eq!(cell(&proxy, distinct).await, ROWS.to_string());
}

#[tokio::test]
async fn under_fail_a_row_that_both_sides_have_changed_is_settled_by_letting_one_side_win() {
    let pair = Pair::start().await;
    sql(
        &pair.hq,
        "CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY, v INT); INSERT INTO d.t VALUES (1, 0)",
    )
    .await;
    let proxy = Proxy::in_step(&pair, "OBJECTS (d.*)").await;
    for (forward, reverse, expected) in [("overwrite", "ignore", "10"), ("ignore", "overwrite", "20")] {
        sql(&proxy, "PAUSE SYNC TASK t").await;
        proxy.wait_state("t", "paused").await;
        sql(&pair.hq, "UPDATE d.t SET v = 10").await;
        sql(&pair.branch, "UPDATE d.t SET v = 20").await;
        try_sql(&proxy, "RESUME SYNC TASK t").await.ok();
        let error = eventually("the task fails", async || {
            let failed = rows(&proxy, "SELECT last_error FROM sync.status WHERE state = 'failed'").await;
            failed.into_iter().next().map(|mut row| row.remove(0))
        })
        .await;
        assert!(
            error.contains("If both sides have changed the row") && error.contains("REVERSE SET"),
            "{error}"
        );
        let policies = |forward: &str, reverse: &str| {
            format!("ALTER SYNC TASK t SET (conflict_policy = '{forward}') REVERSE SET (conflict_policy = '{reverse}')")
        };
        sql(&proxy, &policies(forward, reverse)).await;
        sql(&proxy, "RESUME SYNC TASK t").await;
        proxy.wait_state("t", "running").await;
        proxy.wait_synced("t").await;
        for server in [&pair.hq, &pair.branch] {
            assert_eq!(cell(server, "SELECT v FROM d.t").await, expected);
        }
        sql(&proxy, &policies("fail", "fail")).await;
        proxy.wait_state("t", "running").await;
        sql(&pair.branch, "UPDATE d.t SET v = 0").await;
        proxy.wait_synced("t").await;
        assert_eq!(cell(&pair.hq, "SELECT v FROM d.t").await, "0");
    }
}

#[tokio::test]
async fn a_few_conflicts_among_many_changes_are_found_and_the_others_go_their_way() {
    // Updates, inserts, deletes, values of a unique key that change places, and keys that change, in one transaction.
    const CHANGES: &str = "UPDATE shop.t SET v = v + 1 WHERE id <= 100;
        UPDATE shop.t SET u = u + 100000 WHERE id BETWEEN 101 AND 140;
        UPDATE shop.t SET u = 241 - (u - 100000) WHERE id BETWEEN 101 AND 140;
        INSERT INTO shop.t SELECT id + 1000, v, u + 1000 FROM shop.t WHERE id <= 100;
        DELETE FROM shop.t WHERE id BETWEEN 141 AND 240;
        UPDATE shop.t SET id = id + 5000 WHERE id BETWEEN 241 AND 280;
        UPDATE shop.t SET v = v + 10 WHERE id <= 50";
    // Rows of the branch that are not as these changes expect.
    const DIFFERENT: &str =
        "UPDATE shop.t SET v = -1 WHERE id IN (33, 150, 260); INSERT INTO shop.t VALUES (1077, -1, 1077)";
    let tables = "CREATE TABLE shop.t (id INT PRIMARY KEY, v INT, u INT, UNIQUE (u));
                  INSERT INTO shop.t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
                  SELECT i, 0, i FROM n;";
    let changed = "SELECT COUNT(*), SUM(id), SUM(v), SUM(CAST(id AS SIGNED) * u) FROM shop.t WHERE";
    for policy in ["overwrite", "ignore"] {
        let pair = Pair::start().await;
        let proxy = start(&pair, tables, &format!("WITH (conflict_policy = '{policy}')")).await;
        unnoticed(&pair.branch, DIFFERENT).await;
        sql(&pair.hq, &format!("BEGIN; {CHANGES}; COMMIT")).await;
        proxy.wait_synced("orders").await;
        let found = rows(
            &proxy,
            "SELECT DISTINCT type, `key` FROM sync.conflicts ORDER BY type, `key`",
        )
        .await;
        let due = [
            ["delete_differs", r#"{"id": 150}"#],
            ["insert_exists", r#"{"id": 1077}"#],
            ["update_differs", r#"{"id": 260}"#],
            ["update_differs", r#"{"id": 33}"#],
        ];
        assert_eq!(found, due, "{policy}");
        if policy == "overwrite" {
            assert_same(&pair.hq, &pair.branch, "shop").await;
        } else {
            let kept = "SELECT GROUP_CONCAT(CONCAT(id, ':', v) ORDER BY id) FROM shop.t WHERE v = -1";
            assert_eq!(cell(&pair.branch, kept).await, "33:-1,150:-1,260:-1,1077:-1");
        }
        let others = format!("{changed} id NOT IN (33, 150, 260, 5260, 1077)");
        assert_eq!(
            rows(&pair.hq, &others).await,
            rows(&pair.branch, &others).await,
            "{policy}"
        );
    }
}
