//! Real MySQL servers on this machine, for the demo, the tests and the benchmarks.
//!
//! Each has its own data directory (a copy of a template that is initialised once), port, `server_id` and
//! `server_uuid`, is set up to be a source of replication, and ends with the process that started it ([`Den`]).
//! `root` logs in without a password, from this machine only.

use std::{
    fs, io,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use mysql_async::prelude::Queryable as _;

use super::den::{Den, Resident};
pub use super::installation::{Installation, InstallationError, Version};

/// How long a server may take to start or to stop. Generous: machines that run tests are busy.
const LIMIT: Duration = Duration::from_secs(180);

/// Why a server does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// There is no MySQL to start, or no data directory to start it with.
    #[error(transparent)]
    Installation(#[from] InstallationError),
    /// A step failed.
    #[error("cannot {doing}: {cause}; TMPDIR names the folder that servers work in")]
    Io {
        /// What was being done.
        doing: String,
        /// The system's answer.
        cause: io::Error,
    },
    /// mysqld ended instead of starting.
    #[error("mysqld ended while starting on port {port} ({status}); the end of its log:\n{log}")]
    Ended {
        /// Its port.
        port: u16,
        /// How it ended.
        status: std::process::ExitStatus,
        /// The end of its error log.
        log: String,
    },
    /// mysqld runs but does not answer.
    #[error("mysqld runs on port {port}, but after {seconds} s still: {last}; the end of its log:\n{log}", seconds = LIMIT.as_secs())]
    Silent {
        /// Its port.
        port: u16,
        /// What the last try to connect ended with.
        last: String,
        /// The end of its error log.
        log: String,
    },
}

fn io_error(doing: impl Into<String>) -> impl FnOnce(io::Error) -> ServerError {
    let doing = doing.into();
    move |cause| ServerError::Io { doing, cause }
}

/// What is different from the usual in a server.
#[derive(Debug, Clone, Default)]
pub struct ServerOptions {
    /// More options for mysqld, such as `--binlog-row-metadata=MINIMAL`; a later one wins over an earlier one.
    pub extra: Vec<String>,
    /// Options that hold for `--initialize` as well, such as `--lower-case-table-names=1`.
    pub init: Vec<String>,
    /// Every commit reaches the disk before it is answered, so that even a power failure loses nothing. A killed
    /// mysqld loses nothing either way: what it has written is in the system's hands.
    pub durable: bool,
}

impl ServerOptions {
    /// With more options for mysqld.
    pub fn with(extra: &[&str]) -> Self {
        Self {
            extra: extra.iter().map(ToString::to_string).collect(),
            ..Self::default()
        }
    }
}

/// A running mysqld. Dropping it kills it and removes its folder.
#[derive(Debug)]
pub struct LocalServer {
    /// The port it listens on, at 127.0.0.1. It stays the same through restarts.
    pub port: u16,
    /// Its folder: `data/`, `error.log`, `mysql.sock`.
    pub dir: PathBuf,
    /// Its `server_id`.
    pub server_id: u32,
    installation: Arc<Installation>,
    options: ServerOptions,
    // Fields are dropped in this order: first the process, then its folder.
    mysqld: Option<Resident>,
    den: Den,
}

impl LocalServer {
    /// Starts a server with an empty data directory and waits until it answers.
    pub async fn start(installation: &Arc<Installation>, options: ServerOptions) -> Result<Self, ServerError> {
        let den = Den::new("mysqld").map_err(io_error("make a folder for a server"))?;
        let dir = den.dir().to_path_buf();
        let data = dir.join("data");
        let (source, init) = (Arc::clone(installation), options.init.clone());
        tokio::task::spawn_blocking(move || copy_folder(&source.template(&init)?, &data))
            .await
            .map_err(|error| io_error("copy the data directory")(io::Error::other(error)))??;
        let mut server = Self {
            port: 0,
            dir,
            server_id: rand::random_range(1..1 << 31),
            installation: Arc::clone(installation),
            options,
            mysqld: None,
            den,
        };
        let mut tries = 0;
        loop {
            tries += 1;
            server.port = free_port().map_err(io_error("find a free port"))?;
            match server.launch().await {
                Err(ServerError::Ended { log, .. }) if port_was_taken(&log) && tries < 20 => {}
                result => return result.map(|()| server),
            }
        }
    }

    /// Ends it at once, with SIGKILL.
    pub fn kill9(&mut self) {
        if let Some(mut mysqld) = self.mysqld.take() {
            mysqld.kill();
        }
    }

    /// Shuts it down in order.
    pub async fn stop(&mut self) -> Result<(), ServerError> {
        let doing = || io_error("stop mysqld");
        let Some(mut mysqld) = self.mysqld.take() else {
            return Ok(());
        };
        mysqld.terminate().map_err(doing())?;
        let begin = Instant::now();
        while mysqld.ended().map_err(doing())?.is_none() {
            if begin.elapsed() > LIMIT {
                return Err(doing()(io::ErrorKind::TimedOut.into()));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Starts it again with the same data and port; first stops it if it runs.
    pub async fn restart(&mut self) -> Result<(), ServerError> {
        self.stop().await?;
        let begin = Instant::now();
        loop {
            match self.launch().await {
                // Somebody else got the port meanwhile; they may let go of it.
                Err(ServerError::Ended { log, .. }) if port_was_taken(&log) && begin.elapsed() < LIMIT => {}
                result => return result,
            }
        }
    }

    /// Changes the options that the next [`restart`](Self::restart) starts it with.
    pub fn options_mut(&mut self) -> &mut ServerOptions {
        &mut self.options
    }

    /// How to connect: as `root`, without a password, over TCP.
    pub fn opts(&self) -> mysql_async::OptsBuilder {
        mysql_async::OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(self.port)
            .user(Some("root"))
            .prefer_socket(false)
            .max_allowed_packet(Some(1 << 30))
    }

    /// A connection as `root`.
    pub async fn connect(&self) -> Result<mysql_async::Conn, mysql_async::Error> {
        mysql_async::Conn::new(self.opts()).await
    }

    /// The process id of mysqld, if it runs.
    pub fn pid(&self) -> Option<u32> {
        self.mysqld.as_ref().map(Resident::pid)
    }

    /// The installation it was started from.
    pub fn installation(&self) -> &Arc<Installation> {
        &self.installation
    }

    /// Its error log up to now.
    pub fn error_log(&self) -> String {
        let bytes = fs::read(self.log_path()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn log_path(&self) -> PathBuf {
        self.dir.join("error.log")
    }

    async fn launch(&mut self) -> Result<(), ServerError> {
        let before = self.error_log().len();
        let command = self.command();
        let mut mysqld = self
            .den
            .spawn(&command, &self.log_path())
            .map_err(io_error("start mysqld"))?;
        let log = |server: &Self| super::installation::tail(server.error_log().get(before..).unwrap_or_default(), 20);
        let begin = Instant::now();
        loop {
            if let Some(status) = mysqld.ended().map_err(io_error("look after mysqld"))? {
                let (port, log) = (self.port, log(self));
                return Err(ServerError::Ended { port, status, log });
            }
            let last = match self.answers().await {
                Ok(()) => {
                    self.mysqld = Some(mysqld);
                    return Ok(());
                }
                Err(last) => last,
            };
            if begin.elapsed() > LIMIT {
                let (port, log) = (self.port, log(self));
                return Err(ServerError::Silent { port, last, log });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Whether this very server answers: another one may have got the port.
    async fn answers(&self) -> Result<(), String> {
        let ask = async {
            let mut conn = self.connect().await?;
            let id: Option<u32> = conn.query_first("SELECT @@server_id").await?;
            conn.disconnect().await?;
            Ok::<_, mysql_async::Error>(id)
        };
        match tokio::time::timeout(Duration::from_secs(20), ask).await {
            Ok(Ok(id)) if id == Some(self.server_id) => Ok(()),
            Ok(Ok(_)) => Err("another server answers there".into()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("no answer within 20 s".into()),
        }
    }

    fn command(&self) -> Command {
        let mut command = self.installation.server();
        let (sync_binlog, flush_log) = if self.options.durable { (1, 1) } else { (0, 2) };
        // No --skip-name-resolve: with it, 'root'@'localhost' can't log in over TCP. Nothing is resolved anyway, as mysqld
        // knows 127.0.0.1 as localhost by itself.
        // The socket's path is relative to the data directory: the system limits its length to 107 bytes.
        command
            .arg(format!("--datadir={}", self.dir.join("data").display()))
            .arg(format!("--port={}", self.port))
            .arg(format!("--server-id={}", self.server_id))
            .arg(format!("--sync-binlog={sync_binlog}"))
            .arg(format!("--innodb-flush-log-at-trx-commit={flush_log}"))
            .args([
                "--bind-address=127.0.0.1",
                "--socket=mysql.sock",
                "--pid-file=mysqld.pid",
                "--secure-file-priv=NULL",
                "--loose-mysqlx=OFF",
                "--log-bin=binlog",
                "--gtid-mode=ON",
                "--enforce-gtid-consistency=ON",
                "--loose-binlog-format=ROW",
                "--binlog-row-image=FULL",
                "--binlog-row-metadata=FULL",
                "--max-allowed-packet=1G",
                "--innodb-buffer-pool-size=64M",
                // Small, as several servers may run at once; this also sets what performance_schema takes.
                "--innodb-log-buffer-size=16M",
                "--table-definition-cache=400",
                "--table-open-cache=400",
                "--loose-innodb-redo-log-capacity=128M",
            ])
            .args(&self.options.init)
            .args(&self.options.extra);
        command
    }
}

/// A port that nobody listens on now. It lies below the range that the kernel takes for outgoing connections
/// (32768 and up on Linux): else a server that restarts may find its port taken by one of those.
pub fn free_port() -> io::Result<u16> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..200 {
        let port = rand::random_range(20_000..32_000);
        match TcpListener::bind(("127.0.0.1", port)) {
            Ok(_) => return Ok(port),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn port_was_taken(log: &str) -> bool {
    log.contains("Address already in use") || log.contains("Bind on TCP/IP port")
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), ServerError> {
    let doing = || io_error(format!("copy {} to {}", from.display(), to.display()));
    let output = Command::new("cp")
        .args(["-a", "--sparse=always", "--reflink=auto"])
        .args([from, to])
        .stdin(Stdio::null())
        .output()
        .map_err(doing())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(doing()(io::Error::other(
            String::from_utf8_lossy(&output.stderr).trim().to_string(),
        ))),
    }
}
