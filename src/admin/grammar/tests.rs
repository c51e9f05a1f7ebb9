//! The language as tables: text in; the statement, or number and text of the error, out.

use std::collections::BTreeSet;

use proptest::prelude::*;
use secrecy::ExposeSecret;

use super::*;
use crate::model::server::Address;
use crate::model::task::{
    ConflictPolicy, ExistingTables, ObjectCase, ObjectRule, OnlineDdl, Operation, SelectedColumn, Selection,
    TaskOptions,
};

fn error(text: &str) -> SqlError {
    match parse(text) {
        Ok(statement) => panic!("{text}: {statement:?}"),
        Err(error) => error,
    }
}

fn task(text: &str) -> TaskDefinition {
    match parse(text) {
        Ok(Statement::CreateTask { task, .. }) => *task,
        other => panic!("{text}: {other:?}"),
    }
}

fn objects(text: &str) -> Result<String> {
    match parse(&format!("CREATE SYNC TASK t FROM a TO b OBJECTS {text}"))? {
        Statement::CreateTask { task, .. } => Ok(objects::print(&task.objects).replace('\n', "").replace("    ", " ")),
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn statements_are_told_apart() {
    let check = |text: &str, expected: &str| {
        let shown = format!("{:?}", parse(text).unwrap());
        assert!(shown.starts_with(expected), "{text}: {shown}");
    };
    check(
        "CREATE SERVER hq OPTIONS (HOST 'h', USER 'u')",
        "CreateServer { if_not_exists: false",
    );
    check(
        "create server if not exists `hq` foreign data wrapper mysql options (host 'h', user 'u');",
        "CreateServer { if_not_exists: true",
    );
    check(
        "ALTER SERVER hq OPTIONS (PASSWORD 'x')",
        r#"AlterServer { name: ServerName("hq")"#,
    );
    check(
        "DROP SERVER IF EXISTS hq",
        r#"DropServer { if_exists: true, name: ServerName("hq")"#,
    );
    check("SHOW SERVERS", "ShowServers");
    check("CHECK SERVER 'hq'", r#"CheckServer(ServerName("hq"))"#);
    check(
        "CREATE SYNC TASK o BETWEEN a AND b OBJECTS (s.*)",
        "CreateTask { if_not_exists: false, named: true",
    );
    check(
        "CREATE SYNC TASK IF NOT EXISTS o FROM a TO b OBJECTS (s.*)",
        "CreateTask { if_not_exists: true, named: true",
    );
    check(
        "CREATE SYNC TASK FROM a TO b OBJECTS (s.*)",
        "CreateTask { if_not_exists: false, named: false",
    );
    check("START SYNC TASK o", r#"Task { verb: Start, name: TaskName("o")"#);
    check("pause sync task o", "Task { verb: Pause");
    check("RESUME SYNC TASK o", "Task { verb: Resume");
    check("STOP SYNC TASK `o`;", "Task { verb: Stop");
    check("DROP SYNC TASK IF EXISTS o", "DropTask { if_exists: true");
    check("ALTER SYNC TASK o SET (workers = 8)", "AlterTask");
    check("ALTER SYNC TASK o REVERSE SET (workers = 8)", "AlterTask");
    check(
        "CREATE USER 'ops'@'%' IDENTIFIED WITH caching_sha2_password BY 'x'",
        r#"CreateUser { if_not_exists: false, user: "ops""#,
    );
    check(
        "CREATE USER IF NOT EXISTS ops IDENTIFIED BY 'x'",
        "CreateUser { if_not_exists: true",
    );
    check(
        "ALTER USER `ops`@% IDENTIFIED BY 'x'",
        r#"SetPassword { user: Some("ops")"#,
    );
    check("ALTER USER USER() IDENTIFIED BY 'x'", "SetPassword { user: None");
    check(
        "ALTER USER user IDENTIFIED BY 'x'",
        r#"SetPassword { user: Some("user")"#,
    );
    check(
        "ALTER USER CURRENT_USER() IDENTIFIED BY 'x'",
        "SetPassword { user: None",
    );
    check("SET PASSWORD FOR 'ops' = 'x'", r#"SetPassword { user: Some("ops")"#);
    check("SET PASSWORD = 'x'", "SetPassword { user: None");
    check(
        "DROP USER IF EXISTS a, 'b'@'%'",
        r#"DropUser { if_exists: true, users: ["a", "b"]"#,
    );
    check(
        "GRANT reader, 'Operator'@'%' TO a, b",
        r#"Grant { roles: Roles({Reader, Operator}), users: ["a", "b"]"#,
    );
    check(
        "REVOKE admin FROM ops",
        r#"Revoke { roles: Roles({Admin}), users: ["ops"]"#,
    );
    check("SHOW USERS", "ShowUsers");
    check("SHOW GRANTS", "ShowGrants(None)");
    check("SHOW GRANTS FOR CURRENT_USER", "ShowGrants(None)");
    check("SHOW GRANTS FOR 'ops'", r#"ShowGrants(Some("ops"))"#);
    check("SHOW SYNC TASKS", "ShowTasks");
    check("SHOW SYNC TASK STATUS", "ShowTaskStatus(None)");
    check("SHOW SYNC TASK STATUS FOR o", r#"ShowTaskStatus(Some(TaskName("o")))"#);
    check("SHOW CREATE SYNC TASK o", "ShowCreateTask");
    check(
        "WAIT FOR SYNC TASK o TIMEOUT 30",
        r#"WaitForTask { name: TaskName("o"), timeout: 30s"#,
    );
    check(
        "WAIT FOR SYNC TASK o TIMEOUT 0.5",
        r#"WaitForTask { name: TaskName("o"), timeout: 500ms"#,
    );
    check(
        "WAIT FOR SYNC TASK o",
        r#"WaitForTask { name: TaskName("o"), timeout: 31536000s"#,
    );
    check(
        "WAIT FOR SYNC TASK o TIMEOUT 99999999999999999999999",
        r#"WaitForTask { name: TaskName("o"), timeout: 31536000s"#,
    );
    check("SET NAMES utf8mb4 COLLATE utf8mb4_bin", "Accepted");
    check("/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='' */;", "Accepted");
    check("SET autocommit=1, @@session.sql_mode = 'ANSI'", "Accepted");
    check("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", "Accepted");
    check("START TRANSACTION READ ONLY", "Accepted");
    check("BEGIN", "Accepted");
    check("COMMIT AND NO CHAIN", "Accepted");
    check("ROLLBACK TO SAVEPOINT `a b`", "Accepted");
    check("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY;", "Accepted");
    check("USE `sync`", r#"Use("sync")"#);
    check("KILL 5", "Kill { query: false, id: 5 }");
    check("KILL CONNECTION 5", "Kill { query: false, id: 5 }");
    check("KILL QUERY 5;", "Kill { query: true, id: 5 }");
    check(
        "SHOW REPLICA STATUS",
        "ShowReplicaStatus { old_names: false, channel: None }",
    );
    check(
        "SHOW SLAVE STATUS FOR CHANNEL 'o:forward'",
        "ShowReplicaStatus { old_names: true, channel: Some(\"o:forward\") }",
    );
    check(
        "SHOW CREATE TABLE sync.status",
        "ShowCreateTable { database: Some(\"sync\"), table: \"status\" }",
    );
    check("SHOW CREATE SCHEMA IF NOT EXISTS sync", "ShowCreateDatabase(\"sync\")");
    check("PRECHECK SYNC TASK o", "Precheck(");
    check(
        "/* in Causeway */ ALTER SYNC TASK o ACKNOWLEDGE 'triggers at the receiving side'",
        "Acknowledge { name: TaskName(\"o\"), item: \"triggers at the receiving side\"",
    );
    check("-- a comment\nSELECT 1", "Select");
    check("WITH x AS (SELECT 1) SELECT * FROM x", "Select");
}

#[test]
fn lists_are_shown_whole_or_filtered() {
    let check = |text: &str, column: &str, scope: &str, filter: &str| {
        let Ok(Statement::Show(show)) = parse(text) else {
            panic!("{text}");
        };
        let select = if show.full { show.list.full } else { show.list.select };
        assert!(select.contains(column), "{text}: {select}");
        assert_eq!(format!("{:?} {:?}", show.database, show.table), scope, "{text}");
        let shown = format!("{:?}", show.filter);
        assert!(shown.starts_with(filter), "{text}: {shown}");
    };
    check("SHOW DATABASES LIKE 's%'", "Database", "None None", "Like(\"s%\")");
    check(
        "SHOW FULL TABLES FROM `sync` LIKE '%'",
        "Table_type",
        "Some(\"sync\") None",
        "Like",
    );
    check("DESC sync.status", "Field", "Some(\"sync\") Some(\"status\")", "All");
    check(
        "DESCRIBE status lag_ms",
        "Field",
        "None Some(\"status\")",
        "Like(\"lag_ms\")",
    );
    check(
        "SHOW FULL COLUMNS FROM status IN sync",
        "Privileges",
        "Some(\"sync\") Some(\"status\")",
        "All",
    );
    check(
        "SHOW KEYS IN sync.status",
        "Key_name",
        "Some(\"sync\") Some(\"status\")",
        "All",
    );
    check(
        "SHOW SESSION VARIABLES LIKE 'sql_mode'",
        "session_variables",
        "None None",
        "Like",
    );
    check("SHOW /*!50002 GLOBAL */ STATUS", "session_status", "None None", "All");
    check(
        "SHOW VARIABLES WHERE Variable_name = 'x' OR 1",
        "Value",
        "None None",
        "Where",
    );
    check("SHOW WARNINGS LIMIT 5, 6;", "Level", "None None", "All");
    check(
        "SHOW CHARACTER SET WHERE charset = 'utf8mb4'",
        "Charset",
        "None None",
        "Where",
    );
    check("SHOW FULL PROCESSLIST", "INFO AS Info", "None None", "All");
}

#[test]
fn what_is_not_supported_yet_says_so() {
    for text in [
        "VERIFY SYNC TASK o",
        "REPAIR SYNC TASK o",
        "RESOLVE CONFLICT 42 USING SOURCE",
        "DISMISS CONFLICT 42",
        "RENAME USER ops TO op",
        "SHOW ENGINE INNODB STATUS",
        "SET GLOBAL read_only = 1",
        "SET @@global.read_only = 1",
        "CREATE SYNC TASK t FROM a TO b OBJECTS (crm.clients CONFLICT 'ignore')",
        "CREATE SYNC TASK t FROM a TO b OBJECTS (s.*) WITH (conflict_policy = 'latest_wins')",
        "CREATE SYNC TASK t FROM a TO b OBJECTS (s.*) WITH (conflict_policy = 'delta(a, b)')",
        "CREATE SYNC TASK t FROM a TO b OBJECTS (s.*) WITH (alert_lag = '60s')",
    ] {
        let error = error(text);
        assert_eq!((error.code, &error.sqlstate), (1235, b"42000"), "{text}: {error}");
        assert!(
            error.message.contains(" is not supported yet; ") && error.message.len() > 50,
            "{text}: {error}"
        );
    }
}

#[test]
fn mistakes_are_pointed_at() {
    let check = |text: &str, code: u16, expected: &str| {
        let error = error(text);
        assert_eq!(error.code, code, "{text}: {error}");
        assert!(error.message.contains(expected), "{text}: {error}");
    };
    check("", 1065, "empty");
    check(" ; ", 1065, "empty");
    check("FOO BAR", 1064, "near 'FOO BAR'");
    check("CREATE TABLE t (a INT)", 1064, "near 'CREATE TABLE t");
    check("CREATE SYNC TASK", 1064, "at the end of the statement");
    check(
        "CREATE SYNC TASK o OBJECTS (s.*)",
        1064,
        "BETWEEN (two-way) or FROM (one-way) is expected near 'OBJECTS (s.*)'",
    );
    check(
        "CREATE SYNC TASK o BETWEEN a TO b OBJECTS (s.*)",
        1064,
        "AND is expected near 'TO b",
    );
    check("CREATE SYNC TASK o FROM a TO b", 1064, "OBJECTS is expected at the end");
    check(
        "CREATE SYNC TASK o FROM a TO b OBJECTS ()",
        1064,
        "a database name is expected near ')'",
    );
    check(
        "CREATE SYNC TASK o FROM a TO b OBJECTS (s)",
        1064,
        "'.' is expected near ')'",
    );
    check(
        "CREATE SYNC TASK o FROM a TO b OBJECTS (s.)",
        1064,
        "a table name or * is expected near ')'",
    );
    check("CREATE SYNC TASK o FROM a TO b OBJECTS (s.*,)", 1064, "near ')'");
    check(
        "CREATE SYNC TASK o FROM a TO b OBJECTS (s.*) WITH ()",
        1064,
        "an option name",
    );
    check(
        "CREATE SYNC TASK o FROM a TO b OBJECTS (s.*) WITH (workers 4)",
        1064,
        "'=' is expected near '4)'",
    );
    check("START SYNC TASK o; DROP SYNC TASK o", 1064, "Only one statement");
    check("SHOW WARNINGS; DROP SYNC TASK o", 1064, "Only one statement");
    check("COMMIT; DROP SYNC TASK o", 1064, "Only one statement");
    check("SET autocommit = 1; DROP SYNC TASK o", 1064, "Only one statement");
    check(
        "START SYNC TASK o o",
        1064,
        "the end of the statement is expected near 'o'",
    );
    check("SELECT 'abc", 1064, "a quote or comment does not end near ''abc'");
    check("SHOW VARIABLES LIKE x", 1064, "a pattern in quotes");
    check("SHOW FOO", 1064, "near 'FOO'");
    check("SHOW GLOBAL FOO", 1064, "near 'FOO'");
    check("SHOW GLOBAL TABLES", 1064, "VARIABLES or STATUS behind GLOBAL");
    check("SHOW FULL VARIABLES", 1064, "PROCESSLIST behind FULL");
    check("SHOW COLUMNS", 1064, "IN is expected");
    check("SHOW REPLICA STATUS FOR CHANNEL orders", 1064, "'task:forward'");
    check("KILL me", 1064, "SHOW PROCESSLIST");
    check("KILL 99999999999", 1094, "Unknown thread id: 99999999999");
    check(&format!("START SYNC TASK {}", "x".repeat(65)), 1059, "longer than 64");
    check("START SYNC TASK ``", 1102, "empty");
    check("START SYNC TASK `a\nb`", 1102, "control character");
    check("INSERT INTO sync.events VALUES (1)", 1142, "only be read");
    check("UPDATE status SET state = 1", 1142, "only be read");
    check(&format!("FOO {}", "ü".repeat(500)), 1064, "…'");
    check("SET", 1064, "a variable");
}

#[test]
fn server_options_are_read_and_checked() {
    let Ok(Statement::CreateServer { server, .. }) = parse(
        "CREATE SERVER hq OPTIONS (HOST '10.0.0.1', PORT 3307, USER \"sy'nc\", PASSWORD 'it''s \\'x\\'', \
         SSL_MODE 'verify_identity', SSL_CA '/ca.pem', SSL_CERT '/c.pem', SSL_KEY = '/k.pem')",
    ) else {
        panic!("it is a server");
    };
    assert_eq!(server.address.to_string(), "10.0.0.1:3307");
    assert_eq!(
        (server.user.as_str(), server.password.expose_secret()),
        ("sy'nc", "it's 'x'")
    );
    assert_eq!(server.ssl_mode.as_str(), "VERIFY_IDENTITY");
    assert_eq!(server.ssl_key, Some("/k.pem".into()));

    let check = |options: &str, code: u16, expected: &str| {
        let error = error(&format!("CREATE SERVER hq OPTIONS {options}"));
        assert_eq!(error.code, code, "{options}: {error}");
        assert!(error.message.contains(expected), "{options}: {error}");
    };
    check("(HOST 'h')", 1231, "needs USER");
    check("(USER 'u')", 1231, "needs HOST");
    check("(USER 'u', HOST 'h', SOCKET '/s')", 1231, "one or the other");
    check("(USER 'u', HOST '')", 1231, "HOST takes");
    check(
        "(USER 'u', HOST 'h', PORT 0)",
        1231,
        "PORT takes a number from 1 to 65535",
    );
    check("(USER 'u', HOST 'h', PORT 65536)", 1231, "PORT takes");
    check("(USER 'u', HOST 'h', HOST 'i')", 1231, "HOST is given twice");
    check(
        "(USER 'u', HOST 'h', SSL_MODE 'MAYBE')",
        1231,
        "SSL_MODE takes DISABLED",
    );
    check("(USER 'u', HOST 'h', SSL_MODE 'VERIFY_CA')", 1231, "needs SSL_CA");
    check("(USER 'u', HOST 'h', SSL_CERT '/c')", 1231, "belong together");
    check("(USER 'u', HOST 'a,,b')", 1231, "HOST takes a host name");
    check("(USER 'u', HOST 'a:b')", 1231, "HOST takes a host name");
    check("(USER 'u', DATABASE 'h')", 1193, "the options are HOST, PORT");
    check("HOST 'h'", 1064, "'(' is expected near 'HOST'");
    check("()", 1064, "an option name");
    assert_eq!(
        error("CREATE SERVER hq FOREIGN DATA WRAPPER oracle OPTIONS (USER 'u')").code,
        1231
    );
}

#[test]
fn altering_a_server_changes_what_is_named_and_checks_the_whole() {
    let parsed = |text: &str| match parse(text).unwrap() {
        Statement::CreateServer { server, .. } => *server,
        other => panic!("{other:?}"),
    };
    let before = parsed("CREATE SERVER hq OPTIONS (HOST 'h', PORT 3307, USER 'u', PASSWORD 'p', SSL_CA '/ca')");
    let alter = |options: &str| match parse(&format!("ALTER SERVER hq OPTIONS {options}")).unwrap() {
        Statement::AlterServer { changes, .. } => changes.apply(&before),
        other => panic!("{other:?}"),
    };
    assert_eq!(alter("(HOST 'i')").unwrap().address.to_string(), "i:3307");
    assert_eq!(alter("(HOST 'i:1')").unwrap().address.to_string(), "i:1");
    assert_eq!(alter("(HOST 'i:1,j')").unwrap().address.to_string(), "i:1,j:3307");
    assert_eq!(alter("(HOST 'i,j', PORT 5)").unwrap().address.to_string(), "i:5,j:5");
    assert_eq!(alter("(SOCKET '/s')").unwrap().address, Address::Socket("/s".into()));
    assert_eq!(alter("(PASSWORD 'q')").unwrap().password.expose_secret(), "q");
    assert_eq!(alter("(PASSWORD 'q')").unwrap().user, "u");
    assert_eq!(alter("(SSL_CA '')").unwrap().ssl_ca, None);
    assert_eq!(alter("(SSL_MODE VERIFY_CA)").unwrap().ssl_ca, Some("/ca".into()));
    assert_eq!(alter("(SSL_MODE VERIFY_CA, SSL_CA '')").unwrap_err().code, 1231);
}

#[test]
fn a_broken_statement_never_repeats_a_password() {
    for text in [
        "CREATE SERVER hq OPTIONS (USER 'u', PASSWORD 'hunter2' 'hunter2')",
        "CREATE SERVER hq OPTIONS (USER 'u', PASSWORD 'it's hunter2')",
        "CREATE SERVER hq OPTIONS (USER 'u', PASSWORD 'a,b' hunter2",
        "CREATE SERVER hq OPTIONS (USER 'u', PASSWORD 'a'b,hunter2')",
        "CREATE SERVER hq OPTIONS (USER 'u', PASSWORD 'hunter2",
        "CREATE SERVER hq OPTIONS (USER 'u', PASSWORD (hunter2))",
        "CREATE SERVER hq OPTIONS (USER 'u', PASSWORT 'hunter2')",
        "CREATE SERVER hq OPTIONS (USER 'u', SECRET 'hunter2')",
        "CREATE SERVER hq (PASSWORD 'hunter2')",
        "CREATE SERVER hq PASSWORD 'hunter2'",
        "CREATE SERVER hq OPTIONS (PASSWORD 'hunter2', HOST 'h')",
        "CREATE SERVER hq OPTIONS (PASSWORD `hunter2`)",
        "CREATE SERVERS hq OPTIONS (PASSWORD 'hunter2')",
        "CREAT SERVER hq OPTIONS (PASSWORD 'hunter2')",
        "CREATE SRVER hq OPTIONS (PASSWORD 'hunter2')",
        "ALTER SERVER hq OPTION (PASSWORD 'hunter2')",
        "ALTER SERVER hq OPTIONS (PASSWORD 'hunter2') x 'hunter2'",
        "ALTER SERVER hq OPTIONS (PASSWORD 'x'); hunter2",
        "CREATE USER ops IDENTIFIED BY hunter2",
        "CREATE USER ops IDENTIFIED BY 'it's hunter2'",
        "CREATE USER ops IDENTIFIED BY 'x' PASSWORD EXPIRE hunter2",
        "CREATE USER ops PASSWORD 'hunter2'",
        "CREATE USER ops IDENTIFIED WITH hunter2 BY 'x'",
        "ALTER USER ops IDENTIFIED BY 'hunter2' REPLACE 'hunter2'",
        "SET PASSWORD = PASSWORD('hunter2')",
        "SET PASSWORD TO 'hunter2'",
        "SET PASSWORD FOR ops 'hunter2'",
        "GRANT admin TO ops IDENTIFIED BY 'hunter2'",
        "CREATE ACCOUNT ops IDENTIFIED BY 'hunter2'",
        "CRATE USER ops IDENTIFIED BY 'hunter2'",
        "ALTER ACCOUNT ops PASSWORD='hunter2'",
    ] {
        let error = error(text);
        assert!(!error.message.contains("hunter2"), "{text}: {error}");
    }
    let statement = parse("CREATE SERVER hq OPTIONS (HOST 'h', USER 'u', PASSWORD 'hunter2')").unwrap();
    assert!(!format!("{statement:?}").contains("hunter2"));
    let statement = parse("CREATE USER ops IDENTIFIED BY 'hunter2'").unwrap();
    assert!(!format!("{statement:?}").contains("hunter2"));
    let statement = parse("ALTER SERVER hq OPTIONS (PASSWORD 'hunter2')").unwrap();
    assert!(!format!("{statement:?}").contains("hunter2"));
}

#[test]
fn object_lists_are_read() {
    let check = |text: &str, expected: &str| assert_eq!(objects(text).as_deref(), Ok(expected), "{text}");
    check("(shop.*)", "`shop`.*");
    check("(shop.orders, shop.items)", "`shop`.`orders`, `shop`.`items`");
    check("(shop.*, NOT shop.tmp_%)", "`shop`.*, NOT `shop`.`tmp_%`");
    check("(shop.* AS shop_copy.*)", "`shop`.* AS `shop_copy`.*");
    check(
        "(crm.clients AS crm2.customers)",
        "`crm`.`clients` AS `crm2`.`customers`",
    );
    check(
        "(crm.order_items AS crm2.order_lines)",
        "`crm`.`order_items` AS `crm2`.`order_lines`",
    );
    check(
        "(`my db`.`t``1`, sh%.%x%y, shop.log\\_1)",
        "`my db`.`t``1`, `sh%`.`%x%y`, `shop`.`log\\_1`",
    );
    check("(shop.log% AS s2.*)", "`shop`.`log%` AS `s2`.*");
    check("(10shop.2024)", "`10shop`.`2024`");
    check("( shop . * )", "`shop`.*");
    check("(a.x% AS c.*, b.y% AS c.*)", "`a`.`x%` AS `c`.*, `b`.`y%` AS `c`.*");
    check(
        "(shop.a% AS s.*, shop.b AS s.*)",
        "`shop`.`a%` AS `s`.*, `shop`.`b` AS `s`.*",
    );
    check(
        "(my\\_shop.a\\_b AS x.y_z, my_shop.axb AS x.yaz)",
        "`my_shop`.`a_b` AS `x`.`y_z`, `my_shop`.`axb` AS `x`.`yaz`",
    );
    check("(shop.t AS x.t, shop.*)", "`shop`.`t` AS `x`.`t`, `shop`.*");
    check(
        "(shop.t AS shop.u, shop.*, NOT shop.u)",
        "`shop`.`t` AS `shop`.`u`, `shop`.*, NOT `shop`.`u`",
    );
    check(
        "(b.t AS c.t, a.* AS c.*, NOT a.t)",
        "`b`.`t` AS `c`.`t`, `a`.* AS `c`.*, NOT `a`.`t`",
    );
    check("(not_a.t, NOT shop.t)", "`not_a`.`t`, NOT `shop`.`t`");
    check(
        "(crm.clients AS crm2.customers (id, name AS full_name) WHERE region = 'EU' ONLY (INSERT, UPDATE), NOT shop.t)",
        "`crm`.`clients` AS `crm2`.`customers` (`id`, `name` AS `full_name`) WHERE region = 'EU' ONLY (INSERT, UPDATE), \
         NOT `shop`.`t`",
    );
    check("(my_shop.a_b(`a b`))", "`my_shop`.`a_b` (`a b`)");
    check("(shop.a\\_b (id), shop.*)", "`shop`.`a_b` (`id`), `shop`.*");
    check("(shop.t (a AS b, b AS A))", "`shop`.`t` (`a` AS `b`, `b` AS `A`)");
    check(
        "(shop.* ONLY (ddl, create  table, Delete, view))",
        "`shop`.* ONLY (DELETE, DDL, CREATE TABLE, VIEW)",
    );
    check(
        "(shop.log% ONLY (TRUNCATE TABLE, DROP INDEX))",
        "`shop`.`log%` ONLY (TRUNCATE TABLE, DROP INDEX)",
    );
}

#[test]
fn a_condition_ends_where_what_is_next_begins() {
    let check = |condition: &str, behind: &str| {
        let text = format!("(shop.t WHERE {condition} {behind}, x.y)");
        let expected = format!(
            "`shop`.`t` WHERE {condition}{}{behind}, `x`.`y`",
            if behind.is_empty() { "" } else { " " }
        );
        assert_eq!(objects(&text).as_deref(), Ok(expected.as_str()), "{text}");
    };
    check("a = 1", "");
    check("a = 1", "ONLY (INSERT)");
    check("a IN (1, 2) AND (b = ')' OR c = \", ONLY (\")", "ONLY (INSERT)");
    check("IF(only, (1), `ONLY`)", "");
    check("only = 1 AND conflict > 2", "ONLY (INSERT)");
    check("a = /* , ) */ 1 - 2", "");
    check("a = 'it''s' AND b = 'x\\\\'", "");
    check("CASE WHEN a THEN b END", "ONLY (DDL)");
    for (text, code, expected) in [
        ("(shop.t WHERE)", 1064, "a condition is expected near ')'"),
        (
            "(shop.t WHERE ONLY (INSERT))",
            1064,
            "a condition is expected near 'ONLY",
        ),
        (
            "(shop.t WHERE (a = 1",
            1064,
            "the end of the condition is expected at the end",
        ),
        ("(shop.t WHERE a = 'x)", 1064, "does not end"),
        ("(shop.t WHERE a = 1 ONLY (INSERT", 1064, "')' is expected"),
        ("(shop.t WHERE a = 1 CONFLICT 'ignore')", 1235, "CONFLICT"),
        ("(shop.t WHERE a /*! = 1, x.y */)", 1231, "has /*! in it"),
        ("(shop.t WHERE /*! a */ = 1)", 1231, "within a comment"),
        ("(shop.t WHERE a = 5--)", 1231, "within a comment"),
    ] {
        let error = objects(text).unwrap_err();
        assert_eq!(error.code, code, "{text}: {error}");
        assert!(error.message.contains(expected), "{text}: {error}");
    }
}

#[test]
fn object_lists_that_make_no_sense_say_why() {
    let check = |text: &str, expected: &str| {
        let error = objects(text).unwrap_err();
        assert_eq!(error.code, 1231, "{text}: {error}");
        assert!(error.message.contains(expected), "{text}: {error}");
    };
    check("(NOT shop.*)", "only leaves objects out");
    check("(shop.*, shop.t AS x.t)", "comes first: swap the two");
    check("(shop.a_b, shop.a_b AS x.t)", "comes first: swap the two");
    check("(shop.*, shop.log% AS x.*)", "comes first: swap the two");
    check("(shop%.*, shop1.* AS x.*)", "comes first: swap the two");
    check("(shop.t AS shop.u, shop.*)", "or leave one out with NOT");
    check("(shop.t% AS s2.t)", "put all tables that fit the pattern into one");
    check("(shop.* AS s2.t)", "put all tables into one");
    check("(shop%.* AS s2.*)", "several databases into one");
    check("(shop.t AS s2.t%)", "can't be a pattern");
    check("(shop.t AS s%.t)", "can't be a pattern");
    check("(shop.`t\\%` AS s.t)", "put all tables");
    check("(shop.* AS `s\\x`.*)", "can't be a pattern");
    check("(shop.*, shop.*)", "select the same objects");
    check("(shop.t, shop.t AS s2.t)", "select the same objects");
    check("(a.t AS c.t, b.t AS c.t)", "two tables into one");
    check("(a.* AS c.*, b.* AS c.*)", "two tables into one");
    check("(a.* AS c.*, b.t AS c.t)", "two tables into one");
    check("(a.x AS a.z, a.y AS a.z)", "two tables into one");
    check("(c.*, a.* AS c.*)", "two tables into one");
    check("(c%.*, a.* AS c1.*)", "two tables into one");
    check("(shop.* (id))", "columns are listed for more than one table");
    check("(shop.log% (id))", "columns are listed for more than one table");
    check("(sh%.t (id))", "columns are listed for more than one table");
    check("(shop.log% AS s.* (id))", "columns are listed for more than one table");
    check("(shop.t (id, name, ID))", "column ID is listed twice");
    check(
        "(shop.t (id AS a, name AS A))",
        "two columns would be put into column A",
    );
    check("(shop.t (id, name AS id))", "two columns would be put into column id");
    check("(shop.*, shop.t (id))", "comes first: swap the two");
    check("(shop.*, shop.t WHERE a = 1)", "comes first: swap the two");
    check("(shop.*, shop.t ONLY (INSERT))", "comes first: swap the two");
    check(
        "(shop.t ONLY (INSERT, ROUTINE))",
        "ONLY names ROUTINE, which is carried with whole databases",
    );
    assert_eq!(objects("(shop.t 5)").unwrap_err().code, 1064);
    assert_eq!(objects("(shop.t ())").unwrap_err().code, 1064);
    assert_eq!(objects("(shop.t ONLY (SELECT))").unwrap_err().code, 1064);
    assert_eq!(objects("(shop.t ONLY (INSERT) WHERE a = 1)").unwrap_err().code, 1064);
    assert_eq!(
        objects(&format!("(shop.t ({}))", "x".repeat(65))).unwrap_err().code,
        1059
    );
    assert_eq!(objects("('shop'.t)").unwrap_err().code, 1064);
    assert_eq!(
        objects("(shop.tmp_ %)").unwrap_err().code,
        1064,
        "parts of a pattern must touch"
    );
    assert_eq!(objects(&format!("({}.t)", "x".repeat(65))).unwrap_err().code, 1059);
}

#[test]
fn task_options_are_read_and_checked() {
    let full = task(
        "CREATE SYNC TASK o BETWEEN a AND b OBJECTS (s.*) REVERSE OBJECTS (s.t) WITH (conflict_policy = IGNORE, \
         schema_sync = off, full_sync='OFF', existing_tables = 'proceed', exclude_ddl = ON, retry_window = '24h', \
         workers = 64, rows_per_second = 5000, bytes_per_second = '1000000', heartbeat = 0, online_ddl = 'gh-ost', shadow_table_patterns = '\\_%\\_new, x_y', object_case = lower) REVERSE WITH (conflict_policy = 'overwrite')",
    );
    let expected = TaskOptions {
        conflict_policy: ConflictPolicy::Ignore,
        schema_sync: false,
        full_sync: false,
        incremental_sync: true,
        existing_tables: ExistingTables::Proceed,
        exclude_ddl: true,
        retry_window_minutes: 1440,
        workers: 64,
        rows_per_second: 5000,
        bytes_per_second: 1_000_000,
        heartbeat: false,
        online_ddl: OnlineDdl::GhOst,
        shadow_table_patterns: r"\_%\_new,x_y".into(),
        trash_table_patterns: String::new(),
        object_case: ObjectCase::Lower,
    };
    assert_eq!(full.options, expected);
    assert_eq!(full.reverse_options.conflict_policy, Some(ConflictPolicy::Overwrite));
    assert_eq!(full.reverse_objects.as_ref().map(Vec::len), Some(1));
    assert_eq!(
        task("CREATE SYNC TASK o FROM a TO b OBJECTS (s.*)").options,
        TaskOptions::default()
    );

    let check = |rest: &str, code: u16, expected: &str| {
        let error = error(&format!("CREATE SYNC TASK o {rest}"));
        assert_eq!(error.code, code, "{rest}: {error}");
        assert!(error.message.contains(expected), "{rest}: {error}");
    };
    let two = "BETWEEN a AND b OBJECTS (s.*)";
    let one = "FROM a TO b OBJECTS (s.*)";
    check(
        &format!("{one} WITH (color = 'red')"),
        1193,
        "Unknown task option 'color'; the options are conflict_policy, ",
    );
    check(
        &format!("{one} WITH (conflict_policy = 'x')"),
        1231,
        "it takes 'fail', 'ignore' or 'overwrite'",
    );
    check(&format!("{one} WITH (workers = 0)"), 1231, "1 to 64");
    check(&format!("{one} WITH (workers = 65)"), 1231, "1 to 64");
    check(&format!("{one} WITH (workers = 2, WORKERS = 3)"), 1231, "given twice");
    check(&format!("{one} WITH (retry_window = '9m')"), 1231, "'10m' to '1440m'");
    check(&format!("{one} WITH (retry_window = '25h')"), 1231, "'10m' to '1440m'");
    check(
        &format!("{one} WITH (retry_window = '99999999999h')"),
        1231,
        "'10m' to '1440m'",
    );
    check(&format!("{one} WITH (full_sync = maybe)"), 1231, "ON or OFF");
    check(
        &format!("{one} REVERSE WITH (workers = 2)"),
        1231,
        "REVERSE needs a two-way task",
    );
    check(
        &format!("{one} REVERSE OBJECTS (s.*)"),
        1231,
        "REVERSE needs a two-way task",
    );
    check(
        &format!("{two} REVERSE WITH (exclude_ddl = ON)"),
        1231,
        "for the task as a whole",
    );
    check(
        &format!("{two} WITH (incremental_sync = OFF)"),
        1231,
        "two-way task needs incremental_sync",
    );
    check(
        &format!("{one} WITH (schema_sync=OFF, full_sync=OFF, incremental_sync=OFF)"),
        1231,
        "would do nothing",
    );
    check(
        "BETWEEN a AND a OBJECTS (s.*)",
        1231,
        "`s`.* would be synchronized with itself",
    );
    check("FROM a TO a OBJECTS (s.t AS s.t)", 1231, "with itself");
    assert_eq!(
        task("CREATE SYNC TASK o BETWEEN a AND a OBJECTS (s.* AS s2.*)")
            .objects
            .len(),
        1
    );
}

#[test]
fn a_task_without_a_name_is_given_one() {
    assert_eq!(
        task("CREATE SYNC TASK FROM a TO b OBJECTS (s.*)").name.as_str(),
        "a_to_b"
    );
    assert_eq!(
        task("CREATE SYNC TASK BETWEEN a AND b OBJECTS (s.*)").name.as_str(),
        "a_and_b"
    );
    let long = "x".repeat(64);
    let name = task(&format!(
        "CREATE SYNC TASK FROM {long} TO y{} OBJECTS (s.*)",
        &long[1..]
    ))
    .name;
    assert!(name.as_str().len() <= 60, "room for a number: {name}");
    assert_eq!(
        task("CREATE SYNC TASK `from` FROM a TO b OBJECTS (s.*)").name.as_str(),
        "from"
    );
}

#[test]
fn show_create_is_readable() {
    let text = print_create(&task(
        "CREATE SYNC TASK o BETWEEN hq AND branch OBJECTS (shop.*, NOT shop.tmp_%) WITH (workers = 2) REVERSE WITH (heartbeat = OFF)",
    ));
    let expected = "CREATE SYNC TASK `o`\n  BETWEEN `hq` AND `branch`\n  OBJECTS (\n    `shop`.*,\n    NOT `shop`.`tmp_%`\n  )\n  \
                    WITH (conflict_policy = 'fail', schema_sync = ON, full_sync = ON, incremental_sync = ON, \
                    existing_tables = 'error', exclude_ddl = OFF, online_ddl = 'carry', shadow_table_patterns = '', trash_table_patterns = '', object_case = 'source', retry_window = '720m', workers = 2, rows_per_second = 0, bytes_per_second = 0, heartbeat = ON)\n  \
                    REVERSE WITH (heartbeat = OFF)";
    assert_eq!(text, expected);
}

#[test]
fn selects_are_respelled_for_sqlite() {
    let check = |text: &str, expected: &str| {
        let Ok(Statement::Select(select)) = parse(text) else {
            panic!("{text}");
        };
        let filled = select.fill(|value| {
            Ok(match value {
                SessionValue::Variable(name) => crate::admin::reply::Cell::Text(format!("v_{name}")),
                SessionValue::Database => crate::admin::reply::Cell::Null,
                other => crate::admin::reply::Cell::Text(format!("{other:?}")),
            })
        });
        assert_eq!(filled.as_deref(), Ok(expected), "{text}");
    };
    check("SELECT 1;", "SELECT 1");
    check(
        "SELECT `table`, \"it's\", 'a\\'b' FROM sync.conflicts",
        "SELECT \"table\", 'it''s', 'a''b' FROM sync.conflicts",
    );
    check("SELECT @@version", "SELECT 'v_version' AS \"@@version\"");
    check(
        "select @@session.sql_mode, @@GLOBAL.x as y",
        "select 'v_sql_mode' AS \"@@session.sql_mode\", 'v_x' as y",
    );
    check(
        "SELECT @@version_comment LIMIT 1",
        "SELECT 'v_version_comment' AS \"@@version_comment\" LIMIT 1",
    );
    check(
        "SELECT DATABASE(), USER() LIMIT 1",
        "SELECT NULL AS \"DATABASE()\", 'User' AS \"USER()\" LIMIT 1",
    );
    check(
        "SELECT CURRENT_USER, CURRENT_USER ( )",
        "SELECT 'User' AS \"CURRENT_USER\", 'User' AS \"CURRENT_USER ( )\"",
    );
    check(
        "SELECT concat(version(), 'x') FROM DUAL",
        "SELECT concat('Version', 'x') ",
    );
    check(
        "SELECT @@a + 1, user FROM servers WHERE user = @@b",
        "SELECT 'v_a' + 1, user FROM servers WHERE user = 'v_b'",
    );
    check("SELECT SQL_NO_CACHE @@x", "SELECT  'v_x' AS \"@@x\"");
    check(
        "SELECT a<=>b, a&&b, a||b, !a, 7 DIV 2",
        "SELECT a IS b, a AND b, a OR b,  NOT a, 7 / 2",
    );
    check("SELECT @a", "SELECT NULL");
    check(
        r"SELECT 1 WHERE 'a' LIKE 'x\_%'",
        r"SELECT 1 WHERE 'a' LIKE 'x\_%' ESCAPE '\'",
    );
    check(
        r"SELECT 1 WHERE 'a' LIKE 'x\_%' ESCAPE '\\'",
        r"SELECT 1 WHERE 'a' LIKE 'x\_%' ESCAPE '\'",
    );
    check("SELECT _utf8mb4'x', N'y', X'00'", "SELECT 'x', 'y', X'00'");
    check("SELECT a -- b\n, c /* d */ FROM t # e", "SELECT a , c FROM t");
    check("SELECT data->>'$.a' FROM t", "SELECT data->>'$.a' FROM t");
    check(
        "SELECT a WHERE b = 'X' AND 'y' <> c",
        "SELECT a WHERE b = 'X' COLLATE NOCASE AND 'y' COLLATE NOCASE <> c",
    );
    check(
        "SELECT b NOT IN ('x', 'y'), b in (?), b IN (1)",
        "SELECT b COLLATE NOCASE NOT IN ('x', 'y'), b COLLATE NOCASE in (?1), b IN (1)",
    );
    check(
        "SELECT a FROM t WHERE b = ? LIMIT ?",
        "SELECT a FROM t WHERE b = ?1 COLLATE NOCASE LIMIT ?2",
    );
    check("SELECT now() - INTERVAL 1 HOUR", "SELECT date_sub(now() ,  1 , 'HOUR')");
    check(
        "SELECT DATE_SUB(a.b, INTERVAL '5' MINUTE)",
        "SELECT DATE_SUB(a.b,  '5' , 'MINUTE')",
    );
    check(
        "SELECT a.at > b - interval (1 + 2) day + INTERVAL -3 SECOND AND c",
        "SELECT a.at > date_add(date_sub(b ,  (1 + 2) , 'DAY') ,  -3 , 'SECOND') AND c",
    );
    check(
        "SELECT 5 / 2, 5 MOD 2, MOD(5, 2)",
        "SELECT 5  * 1.0 / 2, 5 % 2, MOD(5, 2)",
    );
    check("SELECT a NOT RLIKE 'x'", "SELECT a NOT REGEXP 'x'");
    check(
        "SELECT GROUP_CONCAT(a SEPARATOR '-'), group_concat(a ORDER BY b SEPARATOR '-')",
        "SELECT GROUP_CONCAT(a , '-' ), group_concat(a , '-' ORDER BY b )",
    );
    check(
        "SELECT CAST(a AS UNSIGNED), CAST(b AS CHAR), CAST(c AS DATETIME), CONVERT(d USING utf8mb4)",
        "SELECT CAST(a AS INTEGER), CAST(b AS CHAR), CAST(c AS TEXT), any_value(d )",
    );
    check(
        "SELECT TIMESTAMPDIFF(SECOND, a, b)",
        "SELECT TIMESTAMPDIFF('SECOND', a, b)",
    );
    check(
        "SELECT CURRENT_TIMESTAMP(), DATE '2026-01-01'",
        "SELECT now(),  '2026-01-01'",
    );
    check("SELECT 1 FROM t FOR UPDATE", "SELECT 1 FROM t ");
    check(
        "SELECT a AS x FROM t HAVING x = 1 ORDER BY b LIMIT 5",
        "SELECT * FROM (SELECT a AS x FROM t ORDER BY b ) WHERE x = 1  LIMIT 5",
    );
    check("SELECT a HAVING a = 1", "SELECT * FROM (SELECT a ) WHERE a = 1 ");
    check(
        "SELECT a HAVING a = 1 UNION SELECT b GROUP BY b HAVING b",
        "SELECT * FROM (SELECT a ) WHERE a = 1  UNION SELECT b GROUP BY b HAVING b",
    );
    check(
        "SELECT CONVERT(a, UNSIGNED INTEGER), CONVERT (b, char(3)), ISNULL(c), d ISNULL",
        "SELECT CAST(a AS INTEGER), CAST (b AS char(3)), is_null(c), d ISNULL",
    );
    check(
        "SELECT a FROM t GROUP BY a HAVING a = 1",
        "SELECT a FROM t GROUP BY a HAVING a = 1",
    );
    assert_eq!(error("SELECT 1; SELECT 2").code, 1064);
    assert_eq!(error("SELECT 'a\\0b'").code, 1064);
    assert_eq!(error("SELECT `a").code, 1064);
}

/// Words of the language, so that random texts get deep into the grammar.
fn fragment() -> impl Strategy<Value = String> {
    let words = [
        "CREATE",
        "ALTER",
        "DROP",
        "SERVER",
        "SYNC",
        "TASK",
        "SHOW",
        "OPTIONS",
        "(",
        ")",
        ",",
        ".",
        "*",
        "%",
        "\\",
        "AS",
        "NOT",
        "BETWEEN",
        "AND",
        "FROM",
        "TO",
        "OBJECTS",
        "REVERSE",
        "WITH",
        "SET",
        "=",
        "'",
        "\"",
        "`",
        ";",
        "@@",
        "SELECT",
        "LIKE",
        "PASSWORD",
        "HOST",
        "workers",
        "retry_window",
        "WAIT",
        "FOR",
        "TIMEOUT",
        "1",
        "99999999999999999999",
        "/*",
        "*/",
        "/*!",
        "--",
        "#",
        "\n",
        "DATABASE()",
        "shop",
        "AS",
        "WHERE",
        "ONLY",
        "INSERT",
        "ü",
        "\u{0}",
        "'x'",
        "USE",
        "STATUS",
    ];
    prop_oneof![
        9 => proptest::sample::select(words.to_vec()).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

fn name() -> impl Strategy<Value = String> {
    // Every character that a name can have, those that need quoting often.
    proptest::string::string_regex("[a-z`'\"\\\\. _üA-Z0-9$-]{0,19}[a-z`'\"\\\\._ü0-9]").unwrap()
}

/// Columns, filter and operations of a rule.
fn said() -> impl Strategy<Value = (Option<Vec<SelectedColumn>>, Option<String>, Option<BTreeSet<Operation>>)> {
    let columns = proptest::collection::vec((name(), proptest::option::of(name())), 1..4).prop_map(|columns| {
        columns
            .into_iter()
            .map(|(name, to)| SelectedColumn { name, to })
            .collect()
    });
    let conditions = [
        "a = 1",
        "only IN (1, ')') -- x\n AND b",
        "`a``b` <=> \"x\" /* , */ OR conflict",
    ];
    let operations = proptest::collection::btree_set(proptest::sample::select(Operation::ALL.to_vec()), 1..4);
    (
        proptest::option::of(columns),
        proptest::option::of(proptest::sample::select(conditions.to_vec()).prop_map(str::to_owned)),
        proptest::option::of(operations.prop_map(|all| all.into_iter().map(|(operation, _)| operation).collect())),
    )
}

prop_compose! {
    fn definition()(
        names in proptest::array::uniform3(name()),
        two_way in any::<bool>(),
        rules in proptest::collection::vec((name(), proptest::option::of(name()), proptest::option::of(name()), any::<bool>(), said()), 1..5),
        switches in proptest::array::uniform6(any::<bool>()),
        policy in 0..3_usize,
        minutes in 10..=1440_u32,
        workers in 1..=64_u16,
        reverse in proptest::option::of(1..=64_u16),
    ) -> TaskDefinition {
        let [task, source, destination] = names;
        let objects = rules.into_iter().map(|(database, table, to, exclude, (columns, filter, operations))| {
            if exclude {
                ObjectRule::Exclude { database, table }
            } else {
// The names of a rename are plain; the parser takes escapes out of them.
                let columns = columns.filter(|_| table.is_some());
                let plain = |name: String| if to.is_some() || columns.is_some() { name.replace('\\', "b") } else { name };
                ObjectRule::Include(Selection {
                    database: plain(database),
                    to_table: to.clone().filter(|_| table.is_some()).map(plain),
                    table: table.map(plain),
                    to_database: to.clone().map(plain),
                    columns: columns.clone(),
                    filter,
                    operations })
            }
        });
        TaskDefinition {
            name: TaskName::new(task).unwrap(),
            source: ServerName::new(source).unwrap(),
            destination: ServerName::new(destination).unwrap(),
            two_way,
            objects: objects.collect(),
            reverse_objects: None,
            options: TaskOptions {
                conflict_policy: ConflictPolicy::ALL[policy].0,
                schema_sync: switches[0],
                full_sync: switches[1],
                incremental_sync: switches[2],
                existing_tables: if switches[3] { ExistingTables::Proceed } else { ExistingTables::Error },
                exclude_ddl: switches[4],
                retry_window_minutes: minutes,
                workers,
                rows_per_second: u64::from(minutes),
                bytes_per_second: u64::from(minutes) << 20,
                heartbeat: switches[5],
                online_ddl: OnlineDdl::ALL[policy].0,
                shadow_table_patterns: if switches[4] { r"\_%\_ghost,it's".into() } else { String::new() },
                trash_table_patterns: String::new(),
                object_case: ObjectCase::ALL[policy].0,
            },
            reverse_options: OptionChanges { workers: reverse.filter(|_| two_way), ..OptionChanges::default() },
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_text_makes_the_parser_panic(fragments in proptest::collection::vec(fragment(), 0..30), glue in "[ \n]?") {
        let text = fragments.join(&glue);
        if let Ok(Statement::CreateTask { task, .. }) = parse(&text) {
            parse(&print_create(&task)).unwrap();
        }
    }

    #[test]
    fn any_text_behind_a_password_stays_secret(tail in ".{0,20}") {
        let text = format!("CREATE SERVER hq OPTIONS (PASSWORD hunter2{tail} hunter2");
        if let Err(error) = parse(&text) {
            prop_assert!(!error.message.contains("hunter2"), "{text}: {error}");
        }
    }

    #[test]
    fn what_show_create_prints_makes_the_same_task_again(definition in definition()) {
        let text = print_create(&definition);
        match parse(&text) {
            Ok(Statement::CreateTask { task, .. }) => prop_assert_eq!(*task, definition, "{}", text),
            // Some random lists make no sense, and `\` alone is no pattern; but it is never a matter of how it is written.
            Err(error) => prop_assert!(error.code == 1231 || error.code == 1102, "{text}: {error}"),
            Ok(other) => prop_assert!(false, "{text}: {other:?}"),
        }
    }
}

#[test]
fn statements_are_shown_without_what_may_be_secret() {
    let check = |text: &str, expected: &str| assert_eq!(text::without_secrets(text), expected);
    check("START SYNC TASK o;", "START SYNC TASK o;");
    check(
        "CREATE SERVER hq OPTIONS (HOST 'h', USER 'u', PASSWORD 'hunter2', SSL_CA 'f')",
        "CREATE SERVER hq OPTIONS (HOST 'h', USER 'u', PASSWORD '…', SSL_CA '…')",
    );
    check(
        "CREATE SERVER hq OPTIONS (PASSWORD 'hunter2', HOST 'h', USER 'u')",
        "CREATE SERVER hq OPTIONS (PASSWORD '…', HOST '…', USER '…')",
    );
    check("CREATE SERVER hq OPTIONS (PASSWORD 'it's hunter2')", "CREATE SERVER …");
    check(
        "ALTER SERVER hq OPTIONS (PASSWORD hunter2)",
        "ALTER SERVER hq OPTIONS (PASSWORD …)",
    );
    check(
        "ALTER SERVER hq OPTIONS (PASSWORD = hunter2)",
        "ALTER SERVER hq OPTIONS (PASSWORD = …)",
    );
    check(
        "CREATE USER 'ops'@'%' IDENTIFIED BY 'hunter2'",
        "CREATE USER 'ops'@'%' IDENTIFIED BY '…'",
    );
    check("CREATE USER ops IDENTIFIED BY hunter2", "CREATE USER …");
    check(
        "ALTER USER USER() IDENTIFIED BY 'hunter2'",
        "ALTER USER USER() IDENTIFIED BY '…'",
    );
    check("SET PASSWORD = 'hunter2'", "SET PASSWORD = '…'");
    check("SET PASSWORD FOR ops = 'hunter2'", "SET PASSWORD FOR ops = '…'");
    check("GRANT operator TO 'ops'", "GRANT operator TO 'ops'");
    check("GRANT operator TO ops IDENTIFIED BY 'hunter2'", "GRANT operator …");
    check("CREATE USER 'ops' IDENTIFIED BY 'hunter2", "CREATE USER …");
    check(
        "RESUME SYNC TASK o APPLY 'UPDATE t SET a = 1'",
        "RESUME SYNC TASK o APPLY '…'",
    );
}
