//! Real clients: each logs in with and without TLS and is refused with a wrong password; each selects, fails, changes
//! the database, pings, and prepares where it can.

use std::process::Command;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, SslOpts};

use super::server::{PASSWORD, Server};
use crate::support::clients::{self, outcome};

/// MySQL's client logs in and selects.
pub(crate) fn mysql_selects_one(server: &Server) {
    let command = command_line(
        clients::mysql(),
        server,
        PASSWORD,
        &["--ssl-mode=DISABLED", "-e", "SELECT 1"],
    );
    assert_eq!(succeed(command), "1\n");
}

fn command_line(mut client: Command, server: &Server, password: &str, arguments: &[&str]) -> Command {
    client
        .args(["-h127.0.0.1", "-uroot", "-N", "-B", "--default-character-set=utf8mb4"])
        .arg(format!("-P{}", server.port))
        .args(arguments)
        .env("MYSQL_PWD", password);
    client
}

fn succeed(mut command: Command) -> String {
    let (success, output, complaint) = outcome(&mut command);
    assert!(success, "{command:?}: {output}{complaint}");
    output
}

fn check_command_line(client: fn() -> Command, encryption: &[&str]) {
    const STATEMENTS: &str = "SELECT 1; SELECT VALUES; USE sync; SELECT DATABASE(); CHANGE 3";
    const ANSWERS: &str = "1\n-5\t18446744073709551615\t0.5\tgröße 🦀\tNULL\nsync\n";
    let server = Server::start();
    for mode in encryption {
        let certificate = server.folder.join("admin-cert.pem");
        let mode = mode.replace("CERTIFICATE", certificate.to_str().unwrap());
        let run = |password: &str, arguments: &[&str]| {
            let mode: Vec<&str> = mode.split(' ').collect();
            command_line(client(), &server, password, &[&mode, arguments].concat())
        };
        assert_eq!(succeed(run(PASSWORD, &["-e", STATEMENTS])), ANSWERS);
        assert_eq!(succeed(run(PASSWORD, &["sync", "-e", "SELECT DATABASE()"])), "sync\n");
        let check_failure = |mut command: Command, expected: &str| {
            let (success, _, complaint) = outcome(&mut command);
            assert!(!success && complaint.contains(expected), "{command:?}: {complaint}");
        };
        let denied = |with| format!("(28000): Access denied for user 'root'@'127.0.0.1' (using password: {with})");
        check_failure(run("wrong", &["-e", "SELECT 1"]), &denied("YES"));
        check_failure(run("", &["-e", "SELECT 1"]), &denied("NO"));
        check_failure(
            run(PASSWORD, &["-e", "FAIL"]),
            "ERROR 1227 (42000) at line 1: Access denied; you need",
        );
        check_failure(
            run(PASSWORD, &["nowhere", "-e", "SELECT 1"]),
            "Unknown database 'nowhere'",
        );
    }
}

#[test]
fn mysqls_own_client_works() {
    check_command_line(
        clients::mysql,
        &[
            "--ssl-mode=DISABLED",
            "--ssl-mode=REQUIRED",
            "--ssl-mode=VERIFY_IDENTITY --ssl-ca=CERTIFICATE",
            "--ssl-mode=DISABLED --default-auth=sha256_password",
        ],
    );
}

#[test]
fn mariadbs_client_works() {
    check_command_line(
        clients::mariadb,
        &[
            "--skip-ssl",
            "--ssl",
            "--ssl-verify-server-cert --ssl-ca=CERTIFICATE",
            "--skip-ssl --default-auth=mysql_native_password",
        ],
    );
}

#[test]
fn pymysql_works() {
    let server = Server::start();
    let script = include_str!("pymysql_works.py");
    let mut python = clients::pymysql();
    python.args(["-c", script, &server.port.to_string(), PASSWORD]);
    assert_eq!(succeed(python), "done\n");
}

#[test]
fn node_mysql2_works() {
    let server = Server::start();
    let script = include_str!("node_mysql2_works.js");
    let mut node = clients::node_mysql2();
    node.args(["-e", script, &server.port.to_string(), PASSWORD]);
    assert_eq!(succeed(node), "done\n");
}

#[tokio::test]
async fn mysql_async_works() {
    let server = Server::start();
    let tls = SslOpts::default().with_danger_accept_invalid_certs(true);
    for tls in [None, Some(tls)] {
        let login = |user: &str, password: &str| {
            let options = OptsBuilder::default()
                .ip_or_hostname("127.0.0.1")
                .tcp_port(server.port)
                .user(Some(user))
                .pass(Some(password))
                .prefer_socket(false)
                .ssl_opts(tls.clone());
            Conn::new(options)
        };
        let mut conn = login("root", PASSWORD).await.unwrap();
        type Values = (i64, u64, f64, String, Option<String>);
        let expected: Values = (-5, u64::MAX, 0.5, "größe 🦀".into(), None);
        assert_eq!(
            conn.query_first::<Values, _>("SELECT VALUES").await.unwrap().unwrap(),
            expected
        );
        assert_eq!(
            conn.exec_first::<Values, _, _>("SELECT VALUES", ())
                .await
                .unwrap()
                .unwrap(),
            expected
        );
        conn.query_drop("USE sync").await.unwrap();
        let database: Option<String> = conn.query_first("SELECT DATABASE()").await.unwrap();
        assert_eq!(database.as_deref(), Some("sync"));
        conn.query_drop("CHANGE 70000").await.unwrap();
        assert_eq!(conn.affected_rows(), 70_000);
        conn.ping().await.unwrap();
        let large: Vec<String> = conn.query("SELECT MEBIBYTES 30").await.unwrap();
        assert_eq!(large.iter().map(String::len).sum::<usize>(), 30 << 20);
        let number = |error: mysql_async::Error| match error {
            mysql_async::Error::Server(error) => error.code,
            other => panic!("{other}"),
        };
        assert_eq!(number(conn.query_drop("FAIL").await.unwrap_err()), 1227);
        let echo: Option<(String, Option<String>)> =
            conn.exec_first("SELECT ?, ?", ("größe", None::<u8>)).await.unwrap();
        assert_eq!(echo, Some(("größe".into(), None)));
        conn.disconnect().await.unwrap();
        assert_eq!(number(login("root", "wrong").await.unwrap_err()), 1045);
        assert_eq!(number(login("nobody", PASSWORD).await.unwrap_err()), 1045);
    }
}
