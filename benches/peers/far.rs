//! What is left of the speed when the destination is 50 ms away: a relay between Causeway and it holds everything back for
//! half of that in each direction.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
};

use super::{
    Arguments,
    report::{Report, Table, median},
    site::{self, Task},
    workload::{self, WORKLOADS},
};

const ROUND_TRIPS_MS: [u64; 2] = [0, 50];

pub(crate) async fn run(arguments: &Arguments, report: &mut Report) {
    let installation = site::installation();
    let mut table = Table::new(
        "Catch-up with the destination far away",
        &[
            "workload",
            "rows/s at 0 ms",
            "rows/s at 50 ms",
            "share",
            "seconds from RESUME to the first change at 0 ms",
            "at 50 ms",
        ],
    );
    let source = site::server(&installation, false).await;
    workload::prepare(&installation, &source).await;
    let mut stages = Vec::new();
    for round_trip in ROUND_TRIPS_MS {
        let branch = site::server(&installation, true).await;
        let port = relay(branch.port, Duration::from_millis(round_trip) / 2).await;
        let mut task = Task::start(source.port, port, "OBJECTS (sbtest.*) WITH (heartbeat = OFF)").await;
        task.runs().await;
        task.pause().await;
        stages.push((branch, task));
    }
    let mut judge = source.connect().await.unwrap();
    for workload in WORKLOADS
        .iter()
        .filter(|workload| ["oltp_update_index", "oltp_write_only", "200_rows"].contains(&workload.name))
    {
        let mut found: [Vec<f64>; 2] = Default::default();
        let mut starts: [Vec<f64>; 2] = Default::default();
        let mut rows = 0;
        for round in 0..arguments.rounds {
            rows = workload
                .generate(&installation, &source, arguments.thousands * 1000)
                .await;
            let executed = site::executed(&mut judge).await;
            for turn in 0..2 {
                let who = (turn + round) % 2;
                let task = &mut stages[who].1;
                let resumed = Instant::now();
                task.resume().await;
                task.runs().await;
                starts[who].push(resumed.elapsed().as_secs_f64());
                let began = Instant::now();
                task.applied(&executed, &mut judge).await;
                found[who].push(began.elapsed().as_secs_f64());
                task.pause().await;
            }
        }
        let starts = starts.map(median);
        let [near, far] = found.map(|seconds| rows as f64 / median(seconds));
        table.rows.push(vec![
            workload.name.to_owned(),
            format!("{near:.0}"),
            format!("{far:.0}"),
            format!("{:.0} %", far / near * 100.0),
            format!("{:.1}", starts[0]),
            format!("{:.1}", starts[1]),
        ]);
    }
    report.add(table);
}

/// Listens on a port of its own and passes everything on to `port`, so much later.
async fn relay(port: u16, delay: Duration) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let Ok(far) = TcpStream::connect(("127.0.0.1", port)).await else {
                continue;
            };
            for stream in [&near, &far] {
                stream.set_nodelay(true).unwrap();
            }
            let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
            pass(near_read, far_write, delay);
            pass(far_read, near_write, delay);
        }
    });
    own
}

fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration) {
    // A line holds what is under way: bytes, and when they arrive.
    let (line, mut end) = mpsc::channel::<(Instant, Vec<u8>)>(4096);
    tokio::spawn(async move {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            if line
                .send((Instant::now() + delay, buffer[..read].to_vec()))
                .await
                .is_err()
            {
                return;
            }
        }
    });
    tokio::spawn(async move {
        while let Some((due, bytes)) = end.recv().await {
            tokio::time::sleep_until(due.into()).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
}
