//! How the endpoint ends.

use std::sync::Arc;
use std::time::Duration;

use causeway::admin::wire::{Limits, serve};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::server::{FewStatements, HANGING, PASSWORD, PATIENCE};

#[tokio::test]
async fn a_stop_closes_idle_sessions_and_drops_statements_that_do_not_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let shutdown = CancellationToken::new();
    let limits = Limits {
        shutdown_time: Duration::from_millis(300),
        ..Limits::default()
    };
    let serving = tokio::spawn(serve(listener, None, Arc::new(FewStatements), limits, shutdown.clone()));
    let login = || {
        let options = OptsBuilder::default().ip_or_hostname("127.0.0.1").tcp_port(port);
        Conn::new(options.prefer_socket(false).user(Some("root")).pass(Some(PASSWORD)))
    };
    let mut idle = login().await.unwrap();
    let mut busy = login().await.unwrap();
    let hanging = tokio::spawn(async move { busy.query_drop("HANG").await });
    timeout(PATIENCE, HANGING.notified()).await.unwrap();
    idle.ping().await.unwrap();

    shutdown.cancel();
    timeout(PATIENCE, serving).await.unwrap().unwrap().unwrap();
    assert!(timeout(PATIENCE, hanging).await.unwrap().unwrap().is_err());
    assert!(idle.ping().await.is_err());
    assert!(login().await.is_err());
}
