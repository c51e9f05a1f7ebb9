//! Load on both sides at once, and all that may come between: kills, restarts, DDL. Nothing is lost, nothing is
//! applied twice.

use std::time::{Duration, Instant};

use causeway::demo::mysqld::ServerOptions;
use rand::Rng as _;

use crate::support::{
    ask::{quiet, rows, sql},
    cluster::{Pair, Proxy},
    compare::assert_same,
    load::{Load, Side, make_tables},
};

/// A pair with the load's tables, in step.
async fn in_step(options: impl Fn() -> ServerOptions) -> (Pair, Proxy) {
    let pair = Pair::start_with(options(), options()).await;
    make_tables(&pair.hq, "load_db").await;
    let proxy = Proxy::start().await;
    proxy.register(&pair).await;
    sql(
        &proxy,
        "CREATE SYNC TASK t BETWEEN hq AND branch OBJECTS (load_db.*) WITH (heartbeat = OFF)",
    )
    .await;
    sql(&proxy, "START SYNC TASK t").await;
    proxy.wait_state("t", "running").await;
    (pair, proxy)
}

fn both(pair: &Pair) -> [Side<'_, causeway::demo::mysqld::LocalServer>; 2] {
    [
        Side {
            server: &pair.hq,
            database: "load_db",
        },
        Side {
            server: &pair.branch,
            database: "load_db",
        },
    ]
}

#[tokio::test]
async fn writers_on_both_sides_end_equal_and_then_the_binlogs_are_quiet() {
    let (pair, proxy) = in_step(ServerOptions::default).await;
    let begin = Instant::now();
    let load = Load::start(&both(&pair), 3);
    load.commits(5000).await;
    let tally = load.finish().await;
    let written = begin.elapsed();
    proxy.wait_synced("t").await;
    eprintln!(
        "{} transactions written in {written:?}, in step after {:?}",
        tally.total(),
        begin.elapsed()
    );
    assert_same(&pair.hq, &pair.branch, "load_db").await;
    for server in [&pair.hq, &pair.branch] {
        tally.assert_at(server, "load_db").await;
    }
    quiet(&[&pair.hq, &pair.branch]).await;
    assert_same(&pair.hq, &pair.branch, "load_db").await;
    assert_eq!(
        rows(&proxy, "SELECT * FROM sync.conflicts").await,
        Vec::<Vec<String>>::new()
    );
}

#[tokio::test]
async fn twenty_kills_of_the_proxy_and_one_of_each_server_lose_nothing_and_apply_nothing_twice() {
    let durable = || ServerOptions {
        durable: true,
        ..ServerOptions::default()
    };
    let (mut pair, mut proxy) = in_step(durable).await;
    let load = Load::start(&both(&pair), 3);
    for kill in 0..20 {
        // At random moments: whatever the proxy does then, it must stand it.
        tokio::time::sleep(Duration::from_millis(rand::rng().random_range(0..1200))).await;
        proxy.kill9();
        if kill == 6 {
            pair.hq.kill9();
            pair.hq.restart().await.unwrap();
        }
        proxy.restart().await.unwrap();
        if kill == 13 {
            tokio::time::sleep(Duration::from_millis(300)).await;
            pair.branch.kill9();
            pair.branch.restart().await.unwrap();
        }
    }
    let tally = load.finish().await;
    eprintln!("{} transactions through twenty kills", tally.total());
    proxy.wait_synced("t").await;
    assert_same(&pair.hq, &pair.branch, "load_db").await;
    for server in [&pair.hq, &pair.branch] {
        tally.assert_at(server, "load_db").await;
    }
    quiet(&[&pair.hq, &pair.branch]).await;
    assert_eq!(
        rows(&proxy, "SELECT * FROM sync.conflicts").await,
        Vec::<Vec<String>>::new()
    );
}
