//! Questions to servers and to the proxy, and waiting.

use std::time::{Duration, Instant};

use causeway::demo::mysqld::LocalServer;
use mysql_async::{Conn, OptsBuilder, Row, Value, prelude::Queryable as _};

/// Longer than anything takes on a machine that is merely slow.
pub(crate) const LIMIT: Duration = Duration::from_secs(300);

/// Something to connect to: a server, or the proxy's admin endpoint.
pub(crate) trait Endpoint {
    /// How to connect.
    fn opts(&self) -> OptsBuilder;
}

impl Endpoint for LocalServer {
    fn opts(&self) -> OptsBuilder {
        LocalServer::opts(self)
    }
}

pub(crate) async fn connect(to: &impl Endpoint) -> Conn {
    Conn::new(to.opts())
        .await
        .unwrap_or_else(|error| panic!("cannot connect: {error}"))
}

/// Runs one statement, or several with `;` between them.
pub(crate) async fn sql(to: &impl Endpoint, text: &str) {
    try_sql(to, text)
        .await
        .unwrap_or_else(|error| panic!("{error}\nin: {}", shortened(text)));
}

/// Runs statements that may fail.
pub(crate) async fn try_sql(to: &impl Endpoint, text: &str) -> mysql_async::Result<()> {
    let mut conn = Conn::new(to.opts()).await?;
    conn.query_drop(text).await?;
    conn.disconnect().await
}

/// The number of the server error that a statement must end with, and its message.
pub(crate) async fn error_of(to: &impl Endpoint, text: &str) -> (u16, String) {
    match try_sql(to, text).await {
        Err(mysql_async::Error::Server(error)) => (error.code, error.message),
        other => panic!("a server error was due, not {other:?}\nin: {}", shortened(text)),
    }
}

/// The rows of a query as text; NULL is `NULL`.
pub(crate) async fn rows(to: &impl Endpoint, query: &str) -> Vec<Vec<String>> {
    try_rows(to, query)
        .await
        .unwrap_or_else(|error| panic!("{error}\nin: {}", shortened(query)))
}

/// The rows of a query that may fail.
pub(crate) async fn try_rows(to: &impl Endpoint, query: &str) -> mysql_async::Result<Vec<Vec<String>>> {
    let mut conn = Conn::new(to.opts()).await?;
    let rows: Vec<Row> = conn.query(query).await?;
    conn.disconnect().await?;
    let cell = |value| match value {
        Value::NULL => "NULL".to_string(),
        Value::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        other => other.as_sql(false).trim_matches('\'').to_string(),
    };
    Ok(rows
        .into_iter()
        .map(|row| row.unwrap().into_iter().map(cell).collect())
        .collect())
}

/// The only cell of a query's only row.
pub(crate) async fn cell(to: &impl Endpoint, query: &str) -> String {
    let rows = rows(to, query).await;
    match rows.as_slice() {
        [row] if row.len() == 1 => row[0].clone(),
        _ => panic!("one cell was due, not {rows:?}\nin: {query}"),
    }
}

/// Asks again and again until the answer is `Some`, and fails when that takes longer than [`LIMIT`].
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(begin.elapsed() < LIMIT, "not within {} s: {what}", LIMIT.as_secs());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until the binlogs of both servers stop growing, with nothing written to either for two seconds in a row.
/// Causeway's heartbeat must be off.
pub(crate) async fn quiet(servers: &[&LocalServer]) {
    let executed = async || {
        let mut all = Vec::new();
        for server in servers {
            all.push(rows(*server, "SHOW BINARY LOG STATUS").await);
        }
        all
    };
    let mut last = executed().await;
    eventually("the binlogs stop growing", async || {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let now = executed().await;
        let same = now == last;
        last = now;
        same.then_some(())
    })
    .await;
}

fn shortened(text: &str) -> String {
    text.chars().take(500).collect()
}
