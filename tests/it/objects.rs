//! Which objects travel, and under which names: in schema sync, full sync, changes and DDL, forward and back.

use crate::support::{
    ask::{cell, rows, sql},
    cluster::{Pair, Proxy},
    compare::{assert_same, assert_same_as},
};

const OBJECTS: &str = r"shop.*, NOT shop.tmp\_%, crm.clients AS crm2.customers, old_app.* AS new_app.*, NOT old_app.hidden,
    logs.l_%, `odd db`.`a``b` AS `odder db`.`c.d`";

/// Tables of `database` on a server.
async fn tables(server: &causeway::demo::mysqld::LocalServer, database: &str) -> String {
    let query = format!(
        "SELECT GROUP_CONCAT(TABLE_NAME ORDER BY TABLE_NAME) FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{database}'"
    );
    cell(server, &query).await
}

async fn count(server: &causeway::demo::mysqld::LocalServer, table: &str) -> String {
    cell(server, &format!("SELECT COUNT(*) FROM {table}")).await
}

#[tokio::test]
async fn selected_objects_travel_under_their_names_and_no_others() {
    let pair = Pair::start().await;
    let mut make = String::from(
        "CREATE DATABASE shop CHARACTER SET latin1; CREATE DATABASE crm; CREATE DATABASE old_app; CREATE DATABASE logs;
         CREATE DATABASE other; CREATE DATABASE `odd db`;
         CREATE TABLE crm.clients (id INT PRIMARY KEY, v VARCHAR(20));
         CREATE TABLE old_app.parent (id INT PRIMARY KEY, v VARCHAR(20));
         CREATE TABLE old_app.child (id INT PRIMARY KEY, v VARCHAR(20), parent INT, client INT,
            FOREIGN KEY (parent) REFERENCES parent (id), CONSTRAINT to_client FOREIGN KEY (client) REFERENCES crm.clients (id));
         CREATE TABLE `odd db`.`a``b` (id INT PRIMARY KEY, v VARCHAR(20));",
    );
    let plain = [
        "shop.orders",
        "shop.tmpx1",
        "shop.tmp_1",
        "crm.secret",
        "old_app.hidden",
        "logs.l_1",
        "logs.lx1",
        "logs.x_1",
        "other.t",
    ];
    for table in plain {
        make += &format!("CREATE TABLE {table} (id INT PRIMARY KEY, v VARCHAR(20));");
    }
    let all = [&plain[..], &["crm.clients", "old_app.parent", "`odd db`.`a``b`"]].concat();
    for table in &all {
        make += &format!("INSERT INTO {table} VALUES (1, 'full'), (2, 'sync');");
    }
    make += "INSERT INTO old_app.child VALUES (1, 'full', 1, 2);";
    sql(&pair.hq, &make).await;
    // The destination has databases and tables of its own, some with names that mean something else at the source.
    sql(
        &pair.branch,
        "CREATE DATABASE crm2; CREATE TABLE crm2.clients (id INT PRIMARY KEY); CREATE TABLE crm2.own (id INT PRIMARY KEY);
         CREATE DATABASE new_app; CREATE TABLE new_app.hidden (id INT PRIMARY KEY); CREATE DATABASE old_app;
         CREATE TABLE old_app.parent (id INT PRIMARY KEY, v VARCHAR(20)); CREATE DATABASE crm;
         CREATE TABLE crm.clients (id INT PRIMARY KEY, v VARCHAR(20));",
    )
    .await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    sql(
        &proxy,
        &format!("CREATE SYNC TASK t BETWEEN hq AND branch OBJECTS ({OBJECTS}) WITH (heartbeat = OFF)"),
    )
    .await;
    let shown = rows(&proxy, "SHOW CREATE SYNC TASK t").await[0][1].clone();
    sql(&proxy, "DROP SYNC TASK t; ").await;
    sql(&proxy, &shown).await;
    sql(&proxy, "START SYNC TASK t").await;
    proxy.wait_synced("t").await;

    // Schema and full sync.
    let there = [
        "shop", "crm", "crm2", "old_app", "new_app", "logs", "other", "odd db", "odder db",
    ];
    let mut found = Vec::new();
    for database in there {
        found.push(tables(&pair.branch, database).await);
    }
    let expected = [
        "orders,tmpx1",
        "clients",
        "clients,customers,own",
        "parent",
        "child,hidden,parent",
        "l_1,lx1",
        "NULL",
        "NULL",
        "c.d",
    ];
    assert_eq!(found, expected);
    let charset = "SELECT DEFAULT_CHARACTER_SET_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = 'shop'";
    assert_eq!(cell(&pair.branch, charset).await, "latin1");
    let references = "SELECT GROUP_CONCAT(REFERENCED_TABLE_SCHEMA, '.', REFERENCED_TABLE_NAME ORDER BY 1) FROM
        information_schema.KEY_COLUMN_USAGE WHERE TABLE_NAME = 'child' AND REFERENCED_TABLE_NAME IS NOT NULL";
    let found = cell(&pair.branch, references).await;
    assert!(
        found == "crm2.customers,new_app.parent" || found == "new_app.parent,crm2.customers",
        "{found}"
    );
    let pairs = [
        ("shop.orders", "shop.orders"),
        ("shop.tmpx1", "shop.tmpx1"),
        ("crm.clients", "crm2.customers"),
        ("old_app.parent", "new_app.parent"),
        ("logs.l_1", "logs.l_1"),
        ("logs.lx1", "logs.lx1"),
        ("`odd db`.`a``b`", "`odder db`.`c.d`"),
    ];
    let check = async || {
        for (here, there) in pairs {
            let all = |table| format!("SELECT * FROM {table} ORDER BY id");
            assert_eq!(
                rows(&pair.hq, &all(here)).await,
                rows(&pair.branch, &all(there)).await,
                "{here} and {there}"
            );
        }
        let child = |database| format!("SELECT * FROM {database}.child ORDER BY id");
        assert_eq!(
            rows(&pair.hq, &child("old_app")).await,
            rows(&pair.branch, &child("new_app")).await
        );
    };
    check().await;

    // Changes, from each side to the other; those of other tables stay where they are.
    let mut forward = String::new();
    for table in &all {
        forward += &format!("INSERT INTO {table} VALUES (3, 'hq'); UPDATE {table} SET v = 'hq' WHERE id = 1;");
    }
    sql(
        &pair.hq,
        &format!("{forward} INSERT INTO old_app.child VALUES (2, 'hq', 3, 3);"),
    )
    .await;
    let mut back = String::new();
    for table in pairs
        .map(|(_, there)| there)
        .iter()
        .chain(&["old_app.parent", "crm.clients"])
    {
        back += &format!("INSERT INTO {table} VALUES (4, 'branch'); UPDATE {table} SET v = 'branch' WHERE id = 2;");
    }
    back +=
        "INSERT INTO crm2.clients VALUES (9); INSERT INTO crm2.own VALUES (9); INSERT INTO new_app.hidden VALUES (9);
             INSERT INTO new_app.child VALUES (3, 'branch', 4, 4); UPDATE new_app.child SET parent = 4 WHERE id = 1;";
    sql(&pair.branch, &back).await;
    proxy.wait_synced("t").await;
    check().await;
    assert_eq!(count(&pair.hq, "crm.clients").await, "4");
    assert_eq!(count(&pair.branch, "crm.clients").await, "1");
    assert_eq!(count(&pair.branch, "old_app.parent").await, "1");
    for unselected in ["old_app.hidden", "crm.secret", "shop.tmp_1", "logs.x_1", "other.t"] {
        assert_eq!(count(&pair.hq, unselected).await, "3", "{unselected}");
    }
    assert_eq!(count(&pair.branch, "new_app.hidden").await, "1");
    let mapped =
        "SELECT destination_table FROM sync.objects WHERE source_table = 'crm.clients' AND direction = 'forward'";
    assert_eq!(cell(&proxy, mapped).await, "crm2.customers");

    // Tables that come later: selected ones travel, and rows in them, in both directions.
    sql(
        &pair.hq,
        "CREATE TABLE shop.later (id INT PRIMARY KEY, v VARCHAR(20)); INSERT INTO shop.later VALUES (1, 'hq');
         CREATE TABLE shop.tmp_2 (id INT PRIMARY KEY); INSERT INTO shop.tmp_2 VALUES (1);
         CREATE TABLE crm.more (id INT PRIMARY KEY); INSERT INTO crm.more VALUES (1);
         CREATE TABLE logs.l_2 LIKE logs.l_1; INSERT INTO logs.l_2 VALUES (1, 'hq'); CREATE TABLE logs.x_2 (id INT PRIMARY KEY);
         CREATE TABLE old_app.grandchild (id INT PRIMARY KEY, child INT, FOREIGN KEY (child) REFERENCES old_app.child (id));
         INSERT INTO old_app.grandchild VALUES (1, 1);
         ALTER TABLE crm.clients ADD COLUMN note TEXT; UPDATE crm.clients SET note = 'new' WHERE id = 1;
         RENAME TABLE old_app.parent TO old_app.parents; INSERT INTO old_app.parents VALUES (7, 'hq');
         ALTER TABLE crm.secret ADD COLUMN note TEXT; TRUNCATE TABLE shop.tmpx1; DROP TABLE logs.lx1, logs.x_1;",
    )
    .await;
    proxy.wait_synced("t").await;
    sql(
        &pair.branch,
        "INSERT INTO shop.later VALUES (2, 'branch'); INSERT INTO new_app.parents VALUES (8, 'branch');
         INSERT INTO new_app.grandchild VALUES (2, 2); UPDATE crm2.customers SET note = 'branch' WHERE id = 2;",
    )
    .await;
    proxy.wait_synced("t").await;
    let mut found = Vec::new();
    for database in there {
        found.push(tables(&pair.branch, database).await);
    }
    let expected = [
        "later,orders,tmpx1",
        "clients",
        "clients,customers,own",
        "parent",
        "child,grandchild,hidden,parents",
        "l_1,l_2",
        "NULL",
        "NULL",
        "c.d",
    ];
    assert_eq!(found, expected);
    for (here, there) in [
        ("shop.later", "shop.later"),
        ("logs.l_2", "logs.l_2"),
        ("old_app.grandchild", "new_app.grandchild"),
        ("old_app.parents", "new_app.parents"),
        ("crm.clients", "crm2.customers"),
    ] {
        let all = |table| format!("SELECT * FROM {table} ORDER BY id");
        let found = rows(&pair.branch, &all(there)).await;
        assert_eq!(rows(&pair.hq, &all(here)).await, found, "{here} and {there}");
        assert!(!found.is_empty(), "{here}");
    }
    assert_eq!(count(&pair.branch, "shop.tmpx1").await, "0");
    let refused = "SELECT COUNT(*) FROM sync.ddl WHERE outcome <> 'applied'";
    assert_eq!(cell(&proxy, refused).await, "0");
}

#[tokio::test]
async fn patterns_select_databases_and_a_database_that_comes_later_travels() {
    let pair = Pair::start().await;
    let table = "t (id INT PRIMARY KEY)";
    sql(
        &pair.hq,
        &format!(
            "CREATE DATABASE app_1; CREATE DATABASE app_2; CREATE DATABASE web; CREATE TABLE app_1.{table}; CREATE TABLE app_2.{table};
             CREATE TABLE web.{table}; INSERT INTO app_1.t VALUES (1); INSERT INTO app_2.t VALUES (1); INSERT INTO web.t VALUES (1)"
        ),
    )
    .await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    sql(
        &proxy,
        r"CREATE SYNC TASK t BETWEEN hq AND branch OBJECTS (app\_%.*, NOT app_2.*)",
    )
    .await;
    sql(&proxy, "START SYNC TASK t").await;
    proxy.wait_synced("t").await;
    sql(
        &pair.hq,
        &format!(
            "CREATE DATABASE app_3 CHARACTER SET latin1; CREATE TABLE app_3.{table}; INSERT INTO app_3.t VALUES (1);
             CREATE DATABASE web_2; CREATE TABLE web_2.{table}; INSERT INTO app_1.t VALUES (2); INSERT INTO app_2.t VALUES (2)"
        ),
    )
    .await;
    proxy.wait_synced("t").await;
    sql(&pair.branch, "INSERT INTO app_3.t VALUES (3)").await;
    proxy.wait_synced("t").await;
    for database in ["app_1", "app_3"] {
        assert_same(&pair.hq, &pair.branch, database).await;
    }
    let databases = "SELECT GROUP_CONCAT(SCHEMA_NAME ORDER BY 1) FROM information_schema.SCHEMATA
        WHERE SCHEMA_NAME NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema', 'causeway')";
    assert_eq!(cell(&pair.branch, databases).await, "app_1,app_3");
    sql(&pair.hq, "DROP DATABASE app_3; DROP DATABASE web_2").await;
    proxy.wait_synced("t").await;
    assert_eq!(cell(&pair.branch, databases).await, "app_1");
    assert_same_as(&pair.hq, "app_1", &pair.branch, "app_1").await;
}
