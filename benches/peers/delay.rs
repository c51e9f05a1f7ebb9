//! How long a commit at the source takes to be seen at the destination, at a steady rate: Causeway and MySQL's own
//! replica, one at a time and in turn, so that a machine whose speed changes from minute to minute is the same for both.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use causeway::demo::mysqld::LocalServer;
use mysql_async::prelude::Queryable;
use tokio::sync::Mutex;

use super::{
    Arguments,
    report::{Report, Table, percentile},
    site::{self, Replica, Task, sql},
};

const RATES: [u64; 3] = [200, 500, 1000];
/// A minute at full size.
const SECONDS_PER_THOUSAND: f64 = 60.0 / 200.0;
/// Turns each gets, at each rate.
const TURNS: u64 = 4;
const WRITERS: u64 = 8;

pub(crate) async fn run(arguments: &Arguments, report: &mut Report) {
    let installation = site::installation();
    let (source, branch) = tokio::join!(site::server(&installation, true), site::server(&installation, true));
    let mut conn = source.connect().await.unwrap();
    sql(
        &mut conn,
        "CREATE DATABASE delays; CREATE TABLE delays.d (id BIGINT PRIMARY KEY, pad VARCHAR(200))",
    )
    .await;
    let mut task = Task::start(source.port, branch.port, "OBJECTS (delays.*)").await;
    task.runs().await;
    let mut replica = Replica::start(&installation, &source, 4).await;
    let seconds = (arguments.thousands as f64 * SECONDS_PER_THOUSAND).max(5.0);
    let mut table = Table::new(
        format!(
            "Delay from commit to visible, milliseconds, {seconds:.0} s each in {TURNS} turns (all three servers flush every \
             commit)"
        ),
        &[
            "transactions/s",
            "Causeway p50",
            "p99",
            "max",
            "replica p50",
            "p99",
            "max",
            "p50 ratio",
            "p99 ratio",
        ],
    );
    let mut first = 0;
    for rate in RATES {
        let count = (rate as f64 * seconds) as u64 / TURNS;
        let mut found = [Vec::new(), Vec::new()];
        for turn in 0..2 * TURNS {
            let ours = turn % 2 == 0;
            let executed = site::executed(&mut conn).await;
            if ours {
                replica.applied(&executed).await;
                replica.pause().await;
                task.resume_if_paused().await;
                task.applied(&executed, &mut conn).await;
            } else {
                task.applied(&executed, &mut conn).await;
                task.pause().await;
                replica.resume().await;
                replica.applied(&executed).await;
            }
            site::settled(&[&source, &branch, &replica.server]).await;
            let destination = if ours { &branch } else { &replica.server };
            let delays = measure(&source, destination, first, count, rate).await;
            first += count;
            found[usize::from(!ours)].extend(delays);
        }
        let mut cells = vec![rate.to_string()];
        for delays in &mut found {
            delays.sort_by(f64::total_cmp);
            cells.extend([50.0, 99.0, 100.0].map(|percent| format!("{:.1}", percentile(delays, percent))));
        }
        for percent in [50.0, 99.0] {
            cells.push(format!(
                "{:.2}",
                percentile(&found[0], percent) / percentile(&found[1], percent)
            ));
        }
        table.rows.push(cells);
    }
    report.add(table);
}

/// Delays in milliseconds.
async fn measure(source: &LocalServer, destination: &LocalServer, first: u64, count: u64, rate: u64) -> Vec<f64> {
    let committed: Arc<Mutex<HashMap<u64, Instant>>> = Arc::default();
    let began = Instant::now();
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let (opts, committed) = (source.opts(), committed.clone());
        writers.spawn(async move {
            let mut conn = mysql_async::Conn::new(opts).await.unwrap();
            for number in (writer..count).step_by(WRITERS as usize) {
                let due = began + Duration::from_secs_f64(number as f64 / rate as f64);
                tokio::time::sleep_until(due.into()).await;
                let id = first + number;
                conn.query_drop(format!("INSERT INTO delays.d VALUES ({id}, REPEAT('x', 150))"))
                    .await
                    .unwrap();
                committed.lock().await.insert(id, Instant::now());
            }
        });
    }
    let mut seen: HashMap<u64, Instant> = HashMap::new();
    let mut conn = destination.connect().await.unwrap();
    let mut floor = first;
    while (seen.len() as u64) < count {
        let ids: Vec<u64> = conn
            .query(format!("SELECT id FROM delays.d WHERE id >= {floor}"))
            .await
            .unwrap();
        let now = Instant::now();
        for id in ids {
            seen.entry(id).or_insert(now);
        }
        while seen.contains_key(&floor) {
            floor += 1;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    writers.join_all().await;
    let committed = committed.lock().await;
    committed
        .iter()
        .map(|(id, at)| seen[id].saturating_duration_since(*at).as_secs_f64() * 1e3)
        .collect()
}
