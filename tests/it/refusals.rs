//! Statements that must be refused: fixtures/admin/refused.sql has each with its whole error. None of them may change
//! anything. `UPDATE_DOCS=1` writes the errors anew, for whoever changes one to read them through.

use std::{env, fs, path::Path};

use mysql_async::{Conn, Row, Value, prelude::Queryable as _};

use crate::support::{ask::sql, cluster::Proxy};

/// A statement and its error, as the mysql client shows it.
struct Refused {
    statement: String,
    error: String,
}

/// A piece of the file: a comment, or a statement with its error.
enum Piece {
    Comment(String),
    Refused(Refused),
}

fn read(text: &str) -> Vec<Piece> {
    let paragraphs = text
        .split("\n\n")
        .map(str::trim)
        .filter(|paragraph| !paragraph.is_empty());
    let piece = |paragraph: &str| {
        if paragraph.starts_with('#') {
            return Piece::Comment(paragraph.to_owned());
        }
        let (statement, error) = match paragraph.find("\nERROR ") {
            Some(at) => (&paragraph[..at], paragraph[at..].trim()),
            None => (paragraph, ""),
        };
        Piece::Refused(Refused {
            statement: statement.to_owned(),
            error: error.to_owned(),
        })
    };
    paragraphs.map(piece).collect()
}

async fn shown(conn: &mut Conn, query: &str) -> Vec<Vec<Value>> {
    let rows: Vec<Row> = conn
        .query(query)
        .await
        .unwrap_or_else(|error| panic!("{query}: {error}"));
    rows.into_iter().map(Row::unwrap).collect()
}

/// All that statements can change, as the operator sees it.
async fn everything(conn: &mut Conn) -> Vec<Vec<Value>> {
    let mut all = Vec::new();
    for query in [
        "SELECT * FROM sync.servers ORDER BY name",
        "SELECT * FROM sync.tasks ORDER BY task",
        "SHOW CREATE SYNC TASK o",
        "SHOW CREATE SYNC TASK one",
        "SHOW USERS",
    ] {
        all.extend(shown(conn, query).await);
    }
    all
}

#[tokio::test]
async fn each_wrong_statement_gets_its_error_and_changes_nothing() {
    let proxy = Proxy::start().await;
    for statement in [
        "CREATE SERVER a OPTIONS (HOST 'h', USER 'u', PASSWORD 'kept-secret')",
        "CREATE SERVER b OPTIONS (HOST 'h', USER 'u', PASSWORD 'kept-secret')",
        "CREATE SYNC TASK o BETWEEN a AND b OBJECTS (shop.*)",
        "CREATE SYNC TASK one FROM a TO b OBJECTS (shop.*)",
        "CREATE USER ops IDENTIFIED BY 'kept-secret'",
        "GRANT operator TO ops",
    ] {
        sql(&proxy, statement).await;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/admin/refused.sql");
    let pieces = read(&fs::read_to_string(&path).unwrap());
    let mut root = proxy.admin().await;
    let mut ops = Conn::new(proxy.opts().user(Some("ops")).pass(Some("kept-secret")))
        .await
        .unwrap();
    let before = everything(&mut root).await;
    let mut as_found = String::new();
    let mut wrong = String::new();
    let mut by_ops = false;
    for piece in pieces {
        let refused = match piece {
            Piece::Comment(text) => {
                by_ops = text.contains("an operator");
                as_found += &format!("{text}\n\n");
                continue;
            }
            Piece::Refused(refused) => refused,
        };
        let conn = if by_ops { &mut ops } else { &mut root };
        let found = match conn.query_drop(&refused.statement).await {
            Err(mysql_async::Error::Server(error)) => {
                format!("ERROR {} ({}): {}", error.code, error.state, error.message)
            }
            other => panic!("{}: {other:?}", refused.statement),
        };
        assert!(!found.contains("kept-secret"), "{}: {found}", refused.statement);
        if found != refused.error {
            wrong += &format!("{}\n{found}\nis due to be\n{}\n\n", refused.statement, refused.error);
        }
        assert_eq!(
            everything(&mut root).await,
            before,
            "{} has changed something",
            refused.statement
        );
        as_found += &format!("{}\n{found}\n\n", refused.statement);
    }
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path, format!("{}\n", as_found.trim_end())).unwrap();
        return;
    }
    assert!(wrong.is_empty(), "{wrong}UPDATE_DOCS=1 takes all of these over");
}
