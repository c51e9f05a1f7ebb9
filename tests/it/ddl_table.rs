//! DDL of every kind (`fixtures/live_ddl`), run at the source: after each statement both sides' SHOW CREATE agree.

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use causeway::demo::mysqld::{LocalServer, ServerOptions};
use mysql_async::{Row, Value, prelude::Queryable as _};

use crate::support::{
    ask::{connect, eventually, rows, sql, try_rows},
    cluster::{Pair, Proxy},
    compare::assert_same_as,
};

const DATABASES: [&str; 5] = ["shop", "crm", "part", "fresh", "odd db"];

/// Columns of `part.people`: their names at the source and at the destination, where others are left out.
const CARRIED: [(&str, &str); 6] = [
    ("id", "id"),
    ("name", "full_name"),
    ("price", "the cost"),
    ("amount", "amount"),
    ("born", "birth``day"),
    ("total", "sum total"),
];
/// Columns left out, and keys and checks over them.
const GONE: [&str; 7] = ["x", "y", "z", "kxy", "ux", "kz", "people_chk_1"];

/// A statement, and the session it is run in.
struct Case {
    title: String,
    database: String,
    /// What SET gets.
    set: Option<String>,
    /// The client's character set.
    names: Option<String>,
    statement: String,
    /// What must stand in the error, for a statement that is not carried.
    expected: Vec<String>,
}

fn cases(file: &str) -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/live_ddl")
        .join(file);
    let content = std::fs::read_to_string(path).unwrap();
    let blocks = content.strip_prefix("=== ").unwrap().split("\n=== ");
    blocks.map(case).collect()
}

fn case(block: &str) -> Case {
    let (head, rest) = block.split_once('\n').unwrap();
    let (statement, expected) = rest.split_once("\n---\n").unwrap_or((rest, ""));
    let mut settings = head.split(" | ");
    let mut case = Case {
        title: settings.next().unwrap().to_owned(),
        database: "shop".to_owned(),
        set: None,
        names: None,
        statement: statement.trim_end().to_owned(),
        expected: expected
            .lines()
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect(),
    };
    for setting in settings {
        match setting.split_once(' ').unwrap_or((setting, "")) {
            ("in", database) => case.database = database.to_owned(),
            ("set", what) => case.set = Some(what.to_owned()),
            ("names", charset) => case.names = Some(charset.to_owned()),
            _ => panic!("unknown setting {setting} in '{head}'"),
        }
    }
    case
}

impl Case {
    async fn run(&self, server: &LocalServer) -> mysql_async::Result<()> {
        let mut conn = connect(server).await;
        if !self.database.is_empty() {
            conn.query_drop(format!("USE `{}`", self.database)).await?;
        }
        let mut statement = self.statement.clone().into_bytes();
        if let Some(charset) = &self.names {
            let encode = format!(
                "SELECT CAST(CONVERT(_utf8mb4 0x{} USING {charset}) AS BINARY)",
                hex(&statement)
            );
            statement = conn.query_first(encode).await?.unwrap();
            conn.query_drop(format!("SET NAMES {charset}")).await?;
        }
        if let Some(set) = &self.set {
            conn.query_drop(format!("SET {set}")).await?;
        }
        conn.query_drop(statement).await?;
        conn.disconnect().await
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// What a server has, by kind and name.
type Definitions = BTreeMap<String, String>;

/// Everything that SHOW CREATE has to say of the databases, whose names end in `suffix` at this server; without it in the answer.
async fn definitions(server: &LocalServer, suffix: &str) -> Definitions {
    let mut conn = connect(server).await;
    let list = DATABASES.map(|name| format!("'{name}{suffix}'")).join(", ");
    let objects: Vec<(String, String, String, i64)> = conn
        .query(format!(
            "SELECT 'DATABASE', SCHEMA_NAME, '', 0 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME IN ({list})
             UNION ALL SELECT IF(TABLE_TYPE = 'VIEW', 'VIEW', 'TABLE'), TABLE_SCHEMA, TABLE_NAME, 0
                FROM information_schema.TABLES WHERE TABLE_SCHEMA IN ({list})
             UNION ALL SELECT ROUTINE_TYPE, ROUTINE_SCHEMA, ROUTINE_NAME, 0 FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA IN ({list})
             UNION ALL SELECT 'TRIGGER', TRIGGER_SCHEMA, TRIGGER_NAME, ACTION_ORDER FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA IN ({list})
             UNION ALL SELECT 'EVENT', EVENT_SCHEMA, EVENT_NAME, 0 FROM information_schema.EVENTS WHERE EVENT_SCHEMA IN ({list})"
        ))
        .await
        .unwrap();
    let mut found = Definitions::new();
    for (kind, database, name, order) in objects {
        let quoted = |name: &str| format!("`{}`", name.replace('`', "``"));
        let object = match kind.as_str() {
            "DATABASE" => quoted(&database),
            _ => format!("{}.{}", quoted(&database), quoted(&name)),
        };
        let key = plain(&format!("{kind} {object}"), &kind, suffix);
        let row: Row = match conn.query_first(format!("SHOW CREATE {kind} {object}")).await {
            Ok(row) => row.unwrap(),
            // A view whose table is gone.
            Err(error) => {
                found.insert(key, error.to_string().replace(suffix, ""));
                continue;
            }
        };
        let mut cells: Vec<String> = row.unwrap().into_iter().map(cell).collect();
        match kind.as_str() {
            // When it was made.
            "TRIGGER" => {
                cells.pop();
                cells.push(format!("number {order}"));
            }
            // What it is called, in the form that the server chose.
            "TABLE" | "VIEW" | "DATABASE" => drop(cells.remove(0)),
            _ => {}
        }
        found.insert(key, plain(&cells.join("\n"), &kind, suffix));
    }
    conn.disconnect().await.unwrap();
    found
}

fn cell(value: Value) -> String {
    match value {
        Value::NULL => "NULL".to_owned(),
        Value::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        other => other.as_sql(false),
    }
}

/// Without what differs by design: the suffix of databases, quotes around names (a program has them where a name was
/// rewritten), the guard of triggers, and the state of events.
fn plain(text: &str, kind: &str, suffix: &str) -> String {
    let mut text = text.to_owned();
    if !suffix.is_empty() {
        text = text.replace(suffix, "");
        if !matches!(kind, "TABLE" | "VIEW" | "DATABASE") {
            text = text.replace(['`', '"'], "");
        }
    }
    text = text
        .replace("BEGIN IF @causeway_applying IS NULL THEN\n", "")
        .replace("\n; END IF; END", "");
    for state in [" DISABLE ON REPLICA", " DISABLE", " ENABLE"] {
        for preserve in ["ON COMPLETION PRESERVE", "ON COMPLETION NOT PRESERVE"] {
            text = text.replace(&format!("{preserve}{state}"), preserve);
        }
    }
    text
}

fn difference(source: &Definitions, destination: &Definitions) -> Option<String> {
    let names: std::collections::BTreeSet<&String> = source.keys().chain(destination.keys()).collect();
    let mut told = String::new();
    for name in names {
        let (here, there) = (source.get(name), destination.get(name));
        if here != there {
            let text = |found: Option<&String>| found.cloned().unwrap_or_else(|| "is not there".to_owned());
            writeln!(
                told,
                "{name}\nat the source: {}\nat the destination: {}",
                text(here),
                text(there)
            )
            .unwrap();
        }
    }
    (!told.is_empty()).then_some(told)
}

/// A pair in step, where the databases get `suffix` at the destination.
async fn in_step(suffix: &str, rules: &str) -> (Pair, Proxy) {
    let pair = Pair::start_with(ServerOptions::default(), ServerOptions::default()).await;
    sql(
        &pair.hq,
        "CREATE DATABASE shop; CREATE DATABASE crm; CREATE DATABASE part",
    )
    .await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    let objects = DATABASES
        .map(|name| format!("`{name}`.* AS `{name}{suffix}`.*"))
        .join(", ");
    sql(
        &proxy,
        &format!("CREATE SYNC TASK t BETWEEN hq AND branch OBJECTS ({rules}{objects}) WITH (heartbeat = OFF)"),
    )
    .await;
    sql(&proxy, "START SYNC TASK t").await;
    proxy.wait_state("t", "running").await;
    (pair, proxy)
}

/// Waits until all has arrived; what a task that stops says.
async fn arrives(proxy: &Proxy) -> Option<String> {
    eventually("the statement arrives", async || {
        let synced = try_rows(proxy, "WAIT FOR SYNC TASK t TIMEOUT 2").await;
        if synced.is_ok_and(|synced| synced[0].last().is_some_and(|synced| synced == "1")) {
            return Some(None);
        }
        let stopped = "SELECT last_error FROM sync.status WHERE state IN ('paused', 'failed')";
        rows(proxy, stopped).await.pop().map(|error| Some(error[0].clone()))
    })
    .await
}

/// Runs the cases that `of` picks; after each one the destination's definitions are what `expected` makes of the source's.
async fn both_sides_agree_after_every_statement(
    suffix: &str,
    rules: &str,
    of: impl Fn(&Case) -> bool,
    expected: impl Fn(Definitions) -> Definitions,
) {
    let (pair, proxy) = in_step(suffix, rules).await;
    let all = std::env::var("CAUSEWAY_ALL_DIFFERENCES").is_ok();
    let (mut differences, mut last) = (String::new(), None);
    for case in cases("carried.sql").into_iter().filter(of) {
        if let Err(error) = case.run(&pair.hq).await {
            let told = format!("'{}' at the source: {error}\n{}\n\n", case.title, case.statement);
            assert!(all, "{told}");
            eprintln!("{told}");
            differences += &told;
            continue;
        }
        if let Some(error) = arrives(&proxy).await {
            let told = format!("'{}' does not travel: {error}\n{}\n\n", case.title, case.statement);
            assert!(all, "{told}");
            eprintln!("{told}");
            differences += &told;
            sql(&proxy, "RESUME SYNC TASK t SKIP").await;
            proxy.wait_state("t", "running").await;
            proxy.wait_synced("t").await;
        }
        let (source, destination) = (definitions(&pair.hq, "").await, definitions(&pair.branch, suffix).await);
        let difference = difference(&expected(source), &sorted(destination));
        if let Some(difference) = difference.as_ref().filter(|_| difference != last) {
            let applied =
                "SELECT applied_statement FROM sync.ddl WHERE direction = 'forward' ORDER BY rowid DESC LIMIT 1";
            let applied = rows(&proxy, applied).await;
            let told = format!(
                "after '{}':\n{}\nwhich became {applied:?}\n{difference}\n",
                case.title, case.statement
            );
            assert!(all, "{told}");
            eprintln!("{told}");
            differences += &told;
        }
        last = difference;
    }
    assert!(differences.is_empty(), "{differences}");
    // What arrives is known for what it is on its way back.
    let refused = "SELECT outcome, statement FROM sync.ddl WHERE outcome NOT IN ('applied', 'ignored')";
    assert_eq!(rows(&proxy, refused).await, Vec::<Vec<String>>::new());
    assert_eq!(
        rows(&proxy, "SELECT * FROM sync.conflicts").await,
        Vec::<Vec<String>>::new()
    );
    if rules.is_empty() {
        for database in ["shop", "crm", "part", "fresh"] {
            assert_same_as(&pair.hq, database, &pair.branch, &format!("{database}{suffix}")).await;
        }
    }
}

/// The table `part.people` under other names, and without what stands on the columns that are left out.
fn some_columns(source: Definitions) -> Definitions {
    let mapped = source.into_iter().map(|(name, definition)| {
        if name == "TABLE `part`.`people`" {
            let lines = definition
                .lines()
                .filter(|line| !GONE.iter().any(|gone| line.contains(&format!("`{gone}`"))));
            let mut lines = lines.collect::<Vec<_>>().join("\n");
            for (from, to) in CARRIED {
                lines = lines.replace(&format!("`{from}`"), &format!("`{to}`"));
            }
            (
                "TABLE `part`.`persons`".to_owned(),
                lines.replace("`people`", "`persons`"),
            )
        } else {
            (name, definition.replace("REFERENCES `people`", "REFERENCES `persons`"))
        }
    });
    sorted(mapped.collect())
}

/// With the columns of that table in the order of their names: one that is added behind a column left out comes last.
fn sorted(mut definitions: Definitions) -> Definitions {
    if let Some(people) = definitions.get_mut("TABLE `part`.`persons`") {
        let mut lines: Vec<&str> = people.lines().map(|line| line.trim_end_matches(',')).collect();
        lines.sort_by_key(|line| if line.starts_with("  `") { *line } else { "" });
        *people = lines.join("\n");
    }
    definitions
}

#[tokio::test]
async fn both_sides_agree_after_every_statement_with_the_same_names() {
    both_sides_agree_after_every_statement("", "", |_| true, |source| source).await;
}

#[tokio::test]
async fn both_sides_agree_after_every_statement_with_other_names() {
    both_sides_agree_after_every_statement("_copy", "", |_| true, |source| source).await;
}

#[tokio::test]
async fn both_sides_agree_after_every_statement_on_a_table_with_a_list_of_columns() {
    let columns = CARRIED.map(|(from, to)| format!("`{from}` AS `{to}`")).join(", ");
    let rule = format!("part.people AS part_copy.persons ({columns}), NOT part.persons, ");
    both_sides_agree_after_every_statement("_copy", &rule, |case| case.database == "part", some_columns).await;
}

#[tokio::test]
async fn what_cant_be_carried_pauses_the_task_with_statement_reason_and_remedy() {
    let pair = Pair::start().await;
    sql(
        &pair.hq,
        "CREATE DATABASE shop; USE shop; CREATE TABLE orders (id INT PRIMARY KEY, amount INT); CREATE TABLE secret (id INT PRIMARY KEY);
         CREATE TABLE parts (id INT PRIMARY KEY) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10));
         CREATE TABLE people (id INT PRIMARY KEY, name VARCHAR(20), born DATE, extra DATE, total INT)",
    )
    .await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    let rules = "shop.people AS shop_copy.persons (id, name AS full_name, born, total), shop.* AS shop_copy.*, NOT shop.secret, NOT shop.persons";
    sql(
        &proxy,
        &format!("CREATE SYNC TASK t BETWEEN hq AND branch OBJECTS ({rules}) WITH (heartbeat = OFF)"),
    )
    .await;
    sql(&proxy, "START SYNC TASK t").await;
    proxy.wait_state("t", "running").await;
    let (mut wrong, before) = (String::new(), definitions(&pair.branch, "_copy").await);
    for case in cases("refused.sql") {
        case.run(&pair.hq)
            .await
            .unwrap_or_else(|error| panic!("'{}' at the source: {error}", case.title));
        match arrives(&proxy).await {
            Some(error) => {
                let remedy = ["RESUME SYNC TASK t SKIP".to_owned()];
                for part in case
                    .expected
                    .iter()
                    .chain(&remedy)
                    .filter(|part| !error.contains(*part))
                {
                    writeln!(wrong, "'{}': no '{part}' in: {error}", case.title).unwrap();
                }
                sql(&proxy, "RESUME SYNC TASK t SKIP").await;
                proxy.wait_state("t", "running").await;
            }
            None => writeln!(wrong, "'{}' was carried", case.title).unwrap(),
        }
        if let Some(difference) = difference(&before, &definitions(&pair.branch, "_copy").await) {
            writeln!(wrong, "'{}' changed: {difference}", case.title).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
