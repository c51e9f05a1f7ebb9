//! Two servers and the proxy between them.

use std::{
    fs,
    ops::{Deref, DerefMut},
    path::Path,
    sync::Arc,
};

use causeway::demo::{
    mysqld::{Installation, LocalServer, ServerOptions},
    proxy::LocalProxy,
};

use super::ask::{self, Endpoint, rows};

/// The installation that all tests use.
pub(crate) fn installation() -> Arc<Installation> {
    Installation::find_or_fetch().unwrap_or_else(|error| panic!("{error}"))
}

/// One server.
pub(crate) async fn server(options: ServerOptions) -> LocalServer {
    LocalServer::start(&installation(), options)
        .await
        .unwrap_or_else(|error| panic!("{error}"))
}

/// Two servers, to be kept in step.
pub(crate) struct Pair {
    pub(crate) hq: LocalServer,
    pub(crate) branch: LocalServer,
}

impl Pair {
    pub(crate) async fn start() -> Self {
        Self::start_with(ServerOptions::default(), ServerOptions::default()).await
    }

    pub(crate) async fn start_with(hq: ServerOptions, branch: ServerOptions) -> Self {
        let (hq, branch) = tokio::join!(server(hq), server(branch));
        Self { hq, branch }
    }
}

/// The real binary, serving. When a test fails it shows the end of the log.
pub(crate) struct Proxy(LocalProxy);

impl Proxy {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With more arguments to `causeway serve`.
    pub(crate) async fn start_with(arguments: &[&str]) -> Self {
        let executable = Path::new(env!("CARGO_BIN_EXE_causeway"));
        let proxy = LocalProxy::start(executable, arguments).await;
        Self(proxy.unwrap_or_else(|error| panic!("{error}")))
    }

    /// With a retry window whose minutes are this long.
    pub(crate) async fn start_with_minute(minute_ms: u64) -> Self {
        let executable = Path::new(env!("CARGO_BIN_EXE_causeway"));
        let minute = minute_ms.to_string();
        let proxy = LocalProxy::start_in(executable, &[], &[("CAUSEWAY_RETRY_MINUTE_MS", &minute)]).await;
        Self(proxy.unwrap_or_else(|error| panic!("{error}")))
    }

    /// A proxy with a two-way task `t` over a pair that runs; `task` is what follows `BETWEEN hq AND branch`.
    pub(crate) async fn in_step(pair: &Pair, task: &str) -> Self {
        let proxy = Self::start().await;
        proxy.register(pair).await;
        ask::sql(&proxy, &format!("CREATE SYNC TASK t BETWEEN hq AND branch {task}")).await;
        ask::sql(&proxy, "START SYNC TASK t").await;
        proxy.wait_state("t", "running").await;
        proxy
    }

    /// A connection to the admin endpoint.
    pub(crate) async fn admin(&self) -> mysql_async::Conn {
        self.connect().await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Makes the two servers of a pair known as `hq` and `branch`.
    pub(crate) async fn register(&self, pair: &Pair) {
        self.register_as("hq", &pair.hq).await;
        self.register_as("branch", &pair.branch).await;
    }

    /// Makes a server known under a name.
    pub(crate) async fn register_as(&self, name: &str, server: &LocalServer) {
        let statement = format!(
            "CREATE SERVER {name} OPTIONS (HOST '127.0.0.1', PORT {}, USER 'root', PASSWORD '')",
            server.port
        );
        ask::sql(self, &statement).await;
    }

    /// Waits until all that was committed on the sources before is applied; fails with the task's status.
    pub(crate) async fn wait_synced(&self, task: &str) {
        let statement = format!("WAIT FOR SYNC TASK {task} TIMEOUT 300");
        let answer = ask::try_rows(self, &statement).await;
        if answer
            .as_ref()
            .is_ok_and(|rows| rows.iter().any(|row| row.last().is_some_and(|cell| cell == "1")))
        {
            return;
        }
        let status = rows(self, "SELECT * FROM sync.status").await;
        let events = rows(self, "SELECT * FROM sync.events").await;
        panic!("{task} is not in step: {answer:?}\nstatus: {status:#?}\nevents: {events:#?}");
    }

    /// Waits until one direction of a task is in a state, and gives its last error.
    pub(crate) async fn wait_link(&self, task: &str, direction: &str, state: &str) -> String {
        let query =
            format!("SELECT state, last_error FROM sync.status WHERE task = '{task}' AND direction = '{direction}'");
        ask::eventually(&format!("{direction} of {task} is {state}"), async || {
            let found = rows(self, &query).await;
            (found[0][0] == state).then(|| found[0][1].clone())
        })
        .await
    }

    /// What the system says of the process's memory (`VmHWM:`, `RssFile:`, …), in KiB.
    pub(crate) fn memory_kib(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid().unwrap())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Waits until every link of a task is in a state (`running`, `paused`, …).
    pub(crate) async fn wait_state(&self, task: &str, state: &str) {
        let query = format!("SELECT state, last_error FROM sync.status WHERE task = '{task}'");
        ask::eventually(&format!("{task} is {state}"), async || {
            let found = rows(self, &query).await;
            let all = !found.is_empty() && found.iter().all(|row| row[0] == state);
            let stuck = found.iter().any(|row| row[0] == "failed" && state != "failed");
            assert!(!stuck, "{task} failed: {found:?}");
            all.then_some(())
        })
        .await;
    }
}

impl Deref for Proxy {
    type Target = LocalProxy;

    fn deref(&self) -> &LocalProxy {
        &self.0
    }
}

impl DerefMut for Proxy {
    fn deref_mut(&mut self) -> &mut LocalProxy {
        &mut self.0
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            let end = lines[lines.len().saturating_sub(100)..].join("\n");
            eprintln!("---- the end of causeway's log:\n{end}\n----");
        }
    }
}

impl Endpoint for Proxy {
    fn opts(&self) -> mysql_async::OptsBuilder {
        self.0.opts()
    }
}
