//! Accounts and roles, over real connections.

use std::process::Command;

use mysql_async::{Conn, prelude::Queryable as _};

use crate::support::{
    ask::{error_of, rows, sql},
    clients::{self, outcome},
    cluster::Proxy,
};

async fn session(proxy: &Proxy, user: &str, password: &str) -> mysql_async::Result<Conn> {
    let opts = proxy.opts().user(Some(user)).pass(Some(password));
    Conn::new(opts).await
}

/// The number of the error that it ends with; 0 if it succeeds.
async fn code(conn: &mut Conn, statement: &str) -> u16 {
    match conn.query_drop(statement).await {
        Ok(()) => 0,
        Err(mysql_async::Error::Server(error)) => error.code,
        Err(error) => panic!("{statement}: {error}"),
    }
}

fn number(error: &mysql_async::Error) -> u16 {
    match error {
        mysql_async::Error::Server(error) => error.code,
        error => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_session_may_do_what_its_account_may_do_now() {
    let mut proxy = Proxy::start().await;
    sql(
        &proxy,
        "CREATE SERVER hq OPTIONS (HOST '127.0.0.1', PORT 1, USER 'u', PASSWORD 'p-hunter2')",
    )
    .await;
    sql(&proxy, "CREATE USER 'ops'@'%' IDENTIFIED BY 'o-hunter2'").await;
    assert_eq!(number(&session(&proxy, "ops", "wrong").await.unwrap_err()), 1045);
    let mut ops = session(&proxy, "ops", "o-hunter2").await.unwrap();
    assert_eq!(code(&mut ops, "SELECT 1").await, 0);
    assert_eq!(code(&mut ops, "SELECT * FROM sync.servers").await, 1227);
    assert_eq!(code(&mut ops, "GRANT admin TO ops").await, 1227);
    sql(&proxy, "GRANT operator TO ops").await;
    assert_eq!(code(&mut ops, "SELECT * FROM sync.servers").await, 0);
    assert_eq!(code(&mut ops, "CHECK SERVER hq").await, 0);
    assert_eq!(code(&mut ops, "DROP SERVER hq").await, 1227);
    assert_eq!(code(&mut ops, "ALTER USER root IDENTIFIED BY 'x'").await, 1227);
    assert_eq!(rows(&proxy, "SHOW SERVERS").await.len(), 1);
    // Also what was prepared before.
    let check = ops.prep("CHECK SERVER hq").await.unwrap();
    sql(&proxy, "REVOKE operator FROM ops").await;
    assert_eq!(code(&mut ops, "SELECT * FROM sync.servers").await, 1227);
    assert_eq!(number(&ops.exec_drop(check, ()).await.unwrap_err()), 1227);
    let refused = ops.prep("SELECT name FROM sync.servers").await;
    assert_eq!(number(&refused.unwrap_err()), 1227);
    // KILL ends one's own sessions; those of others take the role admin.
    let mut other = session(&proxy, "ops", "o-hunter2").await.unwrap();
    let roots = proxy.admin().await;
    assert_eq!(code(&mut ops, &format!("KILL {}", roots.id())).await, 1095);
    assert_eq!(code(&mut ops, &format!("KILL {}", other.id())).await, 0);
    assert!(other.query_drop("SELECT 1").await.is_err());

    // One's own password; the session goes on, the old password does not.
    assert_eq!(code(&mut ops, "SET PASSWORD = 'n-hunter2'").await, 0);
    assert_eq!(code(&mut ops, "SELECT 1").await, 0);
    assert_eq!(number(&session(&proxy, "ops", "o-hunter2").await.unwrap_err()), 1045);
    proxy.restart().await.unwrap();
    let mut ops = session(&proxy, "ops", "n-hunter2").await.unwrap();
    sql(&proxy, "DROP USER ops").await;
    assert_eq!(code(&mut ops, "SELECT 1").await, 1045);
    sql(&proxy, "CREATE USER ops IDENTIFIED BY 'o-hunter2'").await;
    assert_eq!(code(&mut ops, "SELECT 1").await, 1045, "another account of that name");
    assert_eq!(error_of(&proxy, "DROP USER root").await.0, 3120);

    let log = proxy.log();
    assert!(!log.contains("hunter2"), "the log has a password");
    assert!(
        log.contains("root@127.0.0.1: CREATE USER 'ops'@'%' IDENTIFIED BY '…'"),
        "{log}"
    );
    assert!(log.contains("ops@127.0.0.1: CHECK SERVER hq"), "{log}");
}

#[tokio::test]
async fn accounts_are_managed_with_mysqls_own_client() {
    let proxy = Proxy::start().await;
    let run = |user: &str, password: &str, statement: &str| {
        let mut client: Command = clients::mysql();
        client
            .args(["-h127.0.0.1", "-N", "-B", "-vvv"])
            .arg(format!("-P{}", proxy.port))
            .arg(format!("-u{user}"))
            .args(["-e", statement])
            .env("MYSQL_PWD", password);
        outcome(&mut client)
    };
    let (done, shown, complaint) = run("root", &proxy.password, "CREATE USER ops IDENTIFIED BY 'x'");
    assert!(
        done && shown.contains("GRANT reader, operator or admin TO 'ops'"),
        "{shown}{complaint}"
    );
    let (done, _, complaint) = run("ops", "x", "SHOW SYNC TASKS");
    assert!(
        !done && complaint.contains("ERROR 1227 (42000)") && complaint.contains("GRANT reader TO 'ops'"),
        "{complaint}"
    );
    let (done, _, complaint) = run("root", &proxy.password, "GRANT reader TO 'ops'");
    assert!(done, "{complaint}");
    let (done, shown, complaint) = run("ops", "x", "SHOW SYNC TASKS; SHOW GRANTS");
    assert!(
        done && shown.contains("GRANT `reader`@`%` TO `ops`@`%`"),
        "{shown}{complaint}"
    );
}
