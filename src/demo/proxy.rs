//! `causeway serve` as a child process, for the demo and the tests. It ends with the process that started it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use super::{
    den::{Den, Resident},
    installation::tail,
    mysqld::free_port,
};

/// How long it may take to start or to stop. Generous: machines that run tests are busy.
const LIMIT: Duration = Duration::from_secs(180);

/// Why Causeway does not run.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// A step failed.
    #[error("cannot {doing}: {cause}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The system's answer.
        cause: io::Error,
    },
    /// It ended instead of starting.
    #[error("causeway serve ended while starting on port {port} ({status}); the end of its log:\n{log}")]
    Ended {
        /// Its port.
        port: u16,
        /// How it ended.
        status: std::process::ExitStatus,
        /// The end of its log.
        log: String,
    },
    /// It runs but does not answer.
    #[error("causeway serve runs on port {port}, but after {seconds} s still: {last}; the end of its log:\n{log}", seconds = LIMIT.as_secs())]
    Silent {
        /// Its port.
        port: u16,
        /// What the last try to connect ended with.
        last: String,
        /// The end of its log.
        log: String,
    },
}

fn io_error(doing: &'static str) -> impl FnOnce(io::Error) -> ProxyError {
    move |cause| ProxyError::Io { doing, cause }
}

/// A running `causeway serve`. Dropping it kills it and removes its folder.
#[derive(Debug)]
pub struct LocalProxy {
    /// The port of the admin endpoint, at 127.0.0.1. It stays the same through restarts.
    pub port: u16,
    /// The password of `root`, made up.
    pub password: String,
    /// Its folder: `data/`, `log`.
    pub dir: PathBuf,
    executable: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    process: Option<Resident>,
    den: Den,
}

impl LocalProxy {
    /// Starts it with an empty data directory and waits until its admin endpoint answers. `arguments` follow
    /// those that name data directory and port.
    pub async fn start(executable: &Path, arguments: &[&str]) -> Result<Self, ProxyError> {
        Self::start_in(executable, arguments, &[]).await
    }

    /// As [`LocalProxy::start`], with environment variables of its own.
    pub async fn start_in(
        executable: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Self, ProxyError> {
        let den = Den::new("proxy").map_err(io_error("make a folder for Causeway"))?;
        let mut proxy = Self {
            port: 0,
            password: format!("{:016x}", rand::random::<u64>()),
            dir: den.dir().to_path_buf(),
            // It is started from another working directory.
            executable: std::path::absolute(executable).map_err(io_error("find the causeway program"))?,
            arguments: arguments.iter().map(ToString::to_string).collect(),
            environment: environment
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
            process: None,
            den,
        };
        let mut tries = 0;
        loop {
            tries += 1;
            proxy.port = free_port().map_err(io_error("find a free port"))?;
            match proxy.launch().await {
                // Somebody else was faster and got the port.
                Err(ProxyError::Ended { log, .. }) if log.contains("in use") && tries < 20 => {}
                result => return result.map(|()| proxy),
            }
        }
    }

    /// Ends it at once, with SIGKILL.
    pub fn kill9(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// Stops it cleanly, with SIGTERM, and tells how it ended; `None` if it did not run.
    pub async fn stop(&mut self) -> Result<Option<std::process::ExitStatus>, ProxyError> {
        let Some(mut process) = self.process.take() else {
            return Ok(None);
        };
        process.terminate().map_err(io_error("stop Causeway"))?;
        let begin = Instant::now();
        loop {
            if let Some(status) = process.ended().map_err(io_error("stop Causeway"))? {
                return Ok(Some(status));
            }
            if begin.elapsed() > LIMIT {
                return Err(io_error("stop Causeway")(io::ErrorKind::TimedOut.into()));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Starts it again with the same data directory and port; first stops it if it runs.
    pub async fn restart(&mut self) -> Result<(), ProxyError> {
        self.stop().await?;
        self.launch().await
    }

    /// How to connect to the admin endpoint, as `root`.
    pub fn opts(&self) -> mysql_async::OptsBuilder {
        // The two limits are given so that the driver has no need to ask for them.
        mysql_async::OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(self.port)
            .user(Some("root"))
            .pass(Some(&self.password))
            .prefer_socket(false)
            .max_allowed_packet(Some(16 << 20))
            .wait_timeout(Some(28_800))
    }

    /// A connection to the admin endpoint, as `root`.
    pub async fn connect(&self) -> Result<mysql_async::Conn, mysql_async::Error> {
        mysql_async::Conn::new(self.opts()).await
    }

    /// Its process id, if it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Resident::pid)
    }

    /// Whether it has ended by itself, and how.
    pub fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.process.as_mut()?.ended().ok()?
    }

    /// Its log up to now.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.log_path()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn log_path(&self) -> PathBuf {
        self.dir.join("log")
    }

    async fn launch(&mut self) -> Result<(), ProxyError> {
        let before = self.log().len();
        let mut command = Command::new(&self.executable);
        command
            .arg("serve")
            .arg("--data-dir")
            .arg(self.dir.join("data"))
            .arg("--listen")
            .arg(format!("127.0.0.1:{}", self.port))
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("CAUSEWAY_ADMIN_PASSWORD", &self.password);
        let mut process = self
            .den
            .spawn(&command, &self.log_path())
            .map_err(io_error("start Causeway"))?;
        let begin = Instant::now();
        loop {
            let status = process.ended().map_err(io_error("look after Causeway"))?;
            let log = || tail(self.log().get(before..).unwrap_or_default(), 20);
            if let Some(status) = status {
                let (port, log) = (self.port, log());
                return Err(ProxyError::Ended { port, status, log });
            }
            // A wrong password tells another process that got the port.
            let last = match tokio::time::timeout(Duration::from_secs(20), self.connect()).await {
                Ok(Ok(conn)) => {
                    conn.disconnect().await.ok();
                    self.process = Some(process);
                    return Ok(());
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer within 20 s".into(),
            };
            if begin.elapsed() > LIMIT {
                let (port, log) = (self.port, log());
                return Err(ProxyError::Silent { port, last, log });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn a_proxy_that_ends_while_starting_shows_its_log() {
        let den = Den::new("unit").unwrap();
        let script = den.dir().join("causeway");
        fs::write(&script, "#!/bin/sh\necho \"cannot $1: no luck\"\nexit 3\n").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let error = LocalProxy::start(&script, &[]).await.unwrap_err().to_string();
        assert!(
            error.contains("cannot serve: no luck") && error.contains("exit status: 3"),
            "{error}"
        );
    }
}
