//! How fast a backlog is worked off: Causeway, two-way, against MySQL's own replica with 4 and with 8 appliers whose relay
//! log is full.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use causeway::demo::mysqld::{Installation, LocalServer};

use super::{
    Arguments, process,
    report::{Report, Table, median},
    site::{self, Replica, Task},
    workload::{self, WORKLOADS, Workload},
};

/// What one of them took for one backlog.
#[derive(Debug, Clone, Copy)]
struct Taken {
    time: Duration,
    destination: Duration,
    own: Duration,
}

pub(crate) async fn run(arguments: &Arguments, report: &mut Report) {
    let installation = site::installation();
    let mut table = Table::new(
        "Catch-up (a two-way task; both destinations flush every commit)",
        &[
            "workload",
            "row changes",
            "Causeway rows/s",
            "replica, 4 workers rows/s",
            "replica, 8 workers rows/s",
            "times as fast as 4",
            "times as fast as 8",
            "destination CPU µs/row",
            "replica CPU µs/row",
            "CPU ratio",
            "Causeway's own CPU µs/row",
            "highest resident MiB",
        ],
    );
    let mut stage = Stage::start(&installation, &arguments.with).await;
    for workload in WORKLOADS
        .iter()
        .filter(|workload| workload.name.contains(&arguments.only))
    {
        let mut found: [Vec<Taken>; 3] = Default::default();
        let mut changes = Vec::new();
        let mut memory = 0;
        for round in 0..arguments.rounds {
            let (rows, taken, highest) = stage
                .round(&installation, workload, arguments.thousands * 1000, round)
                .await;
            changes.push(rows as f64);
            memory = memory.max(highest);
            for (all, one) in found.iter_mut().zip(taken) {
                all.push(one);
            }
        }
        // Rounds differ by a few of them.
        let rows = median(changes) as u64;
        let middle = |who: usize, what: fn(&Taken) -> Duration| {
            median(found[who].iter().map(|taken| what(taken).as_secs_f64()).collect())
        };
        let speed = |who| rows as f64 / middle(who, |taken| taken.time);
        let per_row = |seconds: f64| seconds * 1e6 / rows as f64;
        let (ours, theirs) = (
            per_row(middle(0, |taken| taken.destination)),
            per_row(middle(1, |taken| taken.destination)),
        );
        table.rows.push(vec![
            workload.name.to_owned(),
            rows.to_string(),
            format!("{:.0}", speed(0)),
            format!("{:.0}", speed(1)),
            format!("{:.0}", speed(2)),
            format!("{:.2}", speed(0) / speed(1)),
            format!("{:.2}", speed(0) / speed(2)),
            format!("{ours:.0}"),
            format!("{theirs:.0}"),
            format!("{:.2}", ours / theirs),
            format!("{:.0}", per_row(middle(0, |taken| taken.own))),
            (memory / 1024).to_string(),
        ]);
        println!("{}", table.rows.last().unwrap().join("  "));
    }
    report.add(table);
}

struct Stage {
    source: LocalServer,
    branch: LocalServer,
    task: Task,
    replicas: [Replica; 2],
}

impl Stage {
    async fn start(installation: &Arc<Installation>, with: &str) -> Self {
        let (source, branch) = tokio::join!(site::server(installation, false), site::server(installation, true));
        workload::prepare(installation, &source).await;
        let mut task = Task::start(source.port, branch.port, &site::task("sbtest", with)).await;
        task.runs().await;
        let replicas = [
            Replica::start(installation, &source, 4).await,
            Replica::start(installation, &source, 8).await,
        ];
        Self {
            source,
            branch,
            task,
            replicas,
        }
    }

    /// Makes a backlog and lets each of the three work it off alone, in another order each time. Returns how many row
    /// changes it had, what each took, and Causeway's highest resident memory in KiB.
    async fn round(
        &mut self,
        installation: &Arc<Installation>,
        workload: &Workload,
        rows: u64,
        round: usize,
    ) -> (u64, [Taken; 3], u64) {
        let mut judge = self.source.connect().await.unwrap();
        workload.refill(&self.source).await;
        let before = site::executed(&mut judge).await;
        self.task.applied(&before, &mut judge).await;
        self.task.pause().await;
        for replica in &mut self.replicas {
            replica.applied(&before).await;
            replica.pause().await;
        }
        let rows = workload.generate(installation, &self.source, rows).await;
        let mut highest = 0;
        let executed = site::executed(&mut judge).await;
        for replica in &mut self.replicas {
            replica.received(&executed).await;
        }
        let mut taken = [Taken {
            time: Duration::ZERO,
            destination: Duration::ZERO,
            own: Duration::ZERO,
        }; 3];
        for turn in 0..3 {
            let who = (turn + round) % 3;
            let (destination, own) = match who {
                0 => (self.branch.pid().unwrap(), self.task.proxy.pid()),
                who => (self.replicas[who - 1].server.pid().unwrap(), None),
            };
            let servers: Vec<_> = self.replicas.iter().map(|replica| &replica.server).collect();
            site::settled(&[&[&self.source, &self.branch], servers.as_slice()].concat()).await;
            let used = |pid: Option<u32>| pid.map_or(Duration::ZERO, process::cpu);
            own.into_iter().for_each(process::forget_highest);
            let (destination_before, own_before) = (process::cpu(destination), used(own));
            let began = Instant::now();
            match who {
                0 => {
                    self.task.resume().await;
                    self.task.applied(&executed, &mut judge).await;
                }
                who => {
                    let replica = &mut self.replicas[who - 1];
                    replica.resume().await;
                    replica.applied(&executed).await;
                }
            }
            taken[who] = Taken {
                time: began.elapsed(),
                destination: process::cpu(destination) - destination_before,
                own: used(own) - own_before,
            };
            highest = highest.max(own.map_or(0, |pid| process::memory(pid).1));
        }
        (rows, taken, highest)
    }
}
