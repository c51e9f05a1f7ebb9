//! `object_case`: names at the destination in another case, and rows that find their way back.

use causeway::demo::mysqld::{LocalServer, ServerOptions};

use crate::support::{
    ask::{cell, error_of, sql},
    cluster::{Pair, Proxy},
};

const MAKE: &str = "CREATE DATABASE Shop; CREATE TABLE Shop.Orders (Id INT PRIMARY KEY, v VARCHAR(20)); \
    CREATE TABLE Shop.Lines (Id INT PRIMARY KEY, o INT, FOREIGN KEY (o) REFERENCES Orders (Id)); \
    CREATE TABLE Shop.TmpX (Id INT PRIMARY KEY, v VARCHAR(20)); \
    CREATE DATABASE Crm; CREATE TABLE Crm.Clients (Id INT PRIMARY KEY, v VARCHAR(20)); \
    INSERT INTO Shop.Orders VALUES (1, 'full'); INSERT INTO Shop.Lines VALUES (1, 1); INSERT INTO Shop.TmpX VALUES (1, 'full'); \
    INSERT INTO Crm.Clients VALUES (1, 'full')";

const OBJECTS: &str = "Shop.*, NOT Shop.Tmp%, Crm.Clients AS Crm2.Customers";

async fn tables(server: &LocalServer) -> String {
    let query = "SELECT GROUP_CONCAT(TABLE_SCHEMA, '.', TABLE_NAME ORDER BY TABLE_SCHEMA, TABLE_NAME) FROM \
        information_schema.TABLES WHERE TABLE_SCHEMA NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema', \
        'causeway')";
    cell(server, query).await
}

/// Runs a two-way task under `object_case`; names at the destination are `fold`ed.
async fn check(pair: &Pair, object_case: &str, fold: fn(&str) -> String) {
    sql(&pair.hq, MAKE).await;
    let proxy = Proxy::start().await;
    proxy.register(pair).await;
    sql(
        &proxy,
        &format!("CREATE SYNC TASK t BETWEEN hq AND branch OBJECTS ({OBJECTS}) WITH (object_case = {object_case}, heartbeat = OFF)"),
    )
    .await;
    sql(&proxy, "START SYNC TASK t").await;
    proxy.wait_synced("t").await;
    assert_eq!(
        tables(&pair.branch).await,
        fold("Crm2.Customers,Shop.Lines,Shop.Orders")
    );

    let there = |name: &str| fold(name);
    sql(
        &pair.hq,
        "UPDATE Shop.Orders SET v = 'hq' WHERE Id = 1; INSERT INTO Crm.Clients VALUES (2, 'hq'); \
         ALTER TABLE Shop.Orders ADD COLUMN More INT; CREATE TABLE Shop.Later (Id INT PRIMARY KEY); \
         INSERT INTO Shop.Later VALUES (1)",
    )
    .await;
    proxy.wait_synced("t").await;
    sql(
        &pair.branch,
        &format!(
            "INSERT INTO {orders} VALUES (2, 'branch', 5); UPDATE {customers} SET v = 'branch' WHERE Id = 1; \
             INSERT INTO {later} VALUES (2); CREATE TABLE {tmp} (Id INT PRIMARY KEY, v VARCHAR(20)); \
             INSERT INTO {tmp} VALUES (9, 'own'); CREATE TABLE {own} (Id INT PRIMARY KEY); INSERT INTO {own} VALUES (1)",
            orders = there("Shop.Orders"),
            customers = there("Crm2.Customers"),
            later = there("Shop.Later"),
            tmp = there("Shop.TmpX"),
            own = there("Shop.Own"),
        ),
    )
    .await;
    proxy.wait_synced("t").await;
    for (here, rows) in [
        ("Shop.Orders", "1 hq,2 branch"),
        ("Crm.Clients", "1 branch,2 hq"),
        ("Shop.TmpX", "1 full"),
    ] {
        let query = |table: &str| format!("SELECT GROUP_CONCAT(Id, ' ', v ORDER BY Id) FROM {table}");
        assert_eq!(cell(&pair.hq, &query(here)).await, rows, "{here}");
        if here != "Shop.TmpX" {
            let name = there(here).replace(&there("Crm.Clients"), &there("Crm2.Customers"));
            assert_eq!(cell(&pair.branch, &query(&name)).await, rows, "{name}");
        }
    }
    assert_eq!(cell(&pair.hq, "SELECT COUNT(*) FROM Shop.Later").await, "2");
    assert_eq!(cell(&pair.hq, "SELECT More FROM Shop.Orders WHERE Id = 2").await, "5");
    let told = "SELECT COUNT(*) FROM sync.events WHERE level = 'warning' AND message LIKE 'changes of %'";
    assert_eq!(
        cell(&proxy, told).await,
        "1",
        "only the destination's own table is told of"
    );

    sql(&proxy, "STOP SYNC TASK t").await;
    let other = if object_case == "lower" { "upper" } else { "lower" };
    let (code, message) = error_of(&proxy, &format!("ALTER SYNC TASK t SET (object_case = {other})")).await;
    assert!(
        code == 1231 && message.contains("object_case can't be changed"),
        "{message}"
    );
    sql(&proxy, "DROP SYNC TASK t").await;
    for (server, databases) in [(&pair.hq, ["Shop", "Crm"]), (&pair.branch, ["Shop", "Crm2"])] {
        for database in databases {
            let name = if std::ptr::eq(server, &pair.hq) {
                database.to_owned()
            } else {
                fold(database)
            };
            sql(server, &format!("DROP DATABASE {name}")).await;
        }
    }
}

#[tokio::test]
async fn names_are_written_in_the_case_that_is_wanted() {
    let pair = Pair::start().await;
    check(&pair, "lower", |name| name.to_lowercase()).await;
    check(&pair, "upper", |name| name.to_uppercase()).await;
    check(&pair, "destination", |name| name.to_owned()).await;

    // Two tables that only case tells apart.
    sql(
        &pair.hq,
        "CREATE DATABASE d; CREATE TABLE d.a (id INT PRIMARY KEY); CREATE TABLE d.A (id INT PRIMARY KEY)",
    )
    .await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    sql(
        &proxy,
        "CREATE SYNC TASK t FROM hq TO branch OBJECTS (d.*) WITH (object_case = lower)",
    )
    .await;
    let (_, message) = error_of(&proxy, "START SYNC TASK t").await;
    assert!(
        message.contains("d.A and d.a would all become d.a at the destination"),
        "{message}"
    );
    sql(&proxy, "DROP SYNC TASK t").await;
    let (code, message) = error_of(
        &proxy,
        "CREATE SYNC TASK t FROM hq TO branch OBJECTS (d.a AS x.t, d.b AS X.T) WITH (object_case = upper)",
    )
    .await;
    assert!(code == 1231 && message.contains("two tables into one"), "{message}");
}

#[tokio::test]
async fn a_server_that_keeps_names_in_lower_case_has_the_last_word() {
    let lower = ServerOptions {
        init: vec!["--lower-case-table-names=1".into()],
        ..ServerOptions::default()
    };
    let pair = Pair::start_with(ServerOptions::default(), lower).await;
    check(&pair, "source", |name| name.to_lowercase()).await;
    check(&pair, "destination", |name| name.to_lowercase()).await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    sql(
        &proxy,
        "CREATE SYNC TASK t FROM hq TO branch OBJECTS (d.*) WITH (object_case = upper)",
    )
    .await;
    let (_, message) = error_of(&proxy, "START SYNC TASK t").await;
    assert!(message.contains("lower_case_table_names = 1"), "{message}");
}

/// Such a server takes names in any case, and its binlog has statements as they were written.
#[tokio::test]
async fn a_source_that_keeps_names_in_lower_case_is_understood_in_any_case() {
    let lower = ServerOptions {
        init: vec!["--lower-case-table-names=1".into()],
        ..ServerOptions::default()
    };
    let pair = Pair::start_with(lower, ServerOptions::default()).await;
    sql(&pair.hq, MAKE).await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    sql(
        &proxy,
        &format!("CREATE SYNC TASK t BETWEEN hq AND branch OBJECTS ({OBJECTS})"),
    )
    .await;
    sql(&proxy, "START SYNC TASK t").await;
    sql(
        &pair.hq,
        "ALTER TABLE SHOP.orders ADD COLUMN More INT; INSERT INTO shop.ORDERS VALUES (2, 'hq', 2); \
         CREATE TABLE Shop.Later (Id INT PRIMARY KEY); RENAME TABLE SHOP.Later TO shop.LATEST; \
         INSERT INTO Shop.Latest VALUES (1); DROP TABLE Shop.LINES",
    )
    .await;
    proxy.wait_synced("t").await;
    assert_eq!(tables(&pair.branch).await, "Crm2.Customers,shop.latest,shop.orders");
    assert_eq!(
        cell(&pair.branch, "SELECT More FROM shop.orders WHERE Id = 2").await,
        "2"
    );
    sql(
        &pair.branch,
        "INSERT INTO Crm2.Customers VALUES (7, 'branch'); INSERT INTO shop.latest VALUES (2)",
    )
    .await;
    proxy.wait_synced("t").await;
    assert_eq!(cell(&pair.hq, "SELECT v FROM crm.clients WHERE Id = 7").await, "branch");
    assert_eq!(cell(&pair.hq, "SELECT COUNT(*) FROM shop.latest").await, "2");
}
