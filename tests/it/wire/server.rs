//! An endpoint in a process of its own, so that its life and its memory can be watched.
//!
//! The process is this test binary again, told to run [`serves_as_a_child_of_other_tests`] alone. It ends when its
//! standard input does, so also when the test run is killed.

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use causeway::admin::sessions::Sessions;
use causeway::admin::wire::{
    Cell, Column, ColumnKind, Handler, Limits, Reply, Session, SqlError, hash_password, serve, tls,
};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The one account is `root`, with this password.
pub(crate) const PASSWORD: &str = "correct horse";

/// How long a test waits for something that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

const FOLDER: &str = "CAUSEWAY_TEST_WIRE_FOLDER";
const SESSIONS: &str = "CAUSEWAY_TEST_WIRE_SESSIONS";
const WRITE_MS: &str = "CAUSEWAY_TEST_WIRE_WRITE_MS";
const IDLE_MS: &str = "CAUSEWAY_TEST_WIRE_IDLE_MS";

/// A running endpoint.
pub(crate) struct Server {
    process: Child,
    pub(crate) folder: PathBuf,
    pub(crate) port: u16,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// With room for so many sessions.
    pub(crate) fn with_sessions(sessions: usize, write_time: Duration) -> Self {
        let write_ms = write_time.as_millis().to_string();
        Self::start_with(&[(SESSIONS, sessions.to_string()), (WRITE_MS, write_ms)])
    }

    /// With little patience for silent sessions.
    pub(crate) fn with_idle_time(idle_time: Duration) -> Self {
        Self::start_with(&[(IDLE_MS, idle_time.as_millis().to_string())])
    }

    fn start_with(settings: &[(&str, String)]) -> Self {
        let folder = std::env::temp_dir().join(format!("causeway-wire-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&folder).unwrap();
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "wire::server::serves_as_a_child_of_other_tests", "--ignored"])
            .env(FOLDER, &folder)
            .envs(settings.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let started = Instant::now();
        let port = loop {
            if let Ok(port) = fs::read_to_string(folder.join("port")) {
                break port.parse().unwrap();
            }
            assert_eq!(process.try_wait().unwrap(), None, "the endpoint ended at its start");
            assert!(started.elapsed() < PATIENCE, "the endpoint did not start");
            std::thread::sleep(Duration::from_millis(10));
        };
        Self { process, folder, port }
    }

    /// Whether it is still the process that was started.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    /// The most memory that the process ever had in use, in KiB.
    pub(crate) fn peak_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
        fs::remove_dir_all(&self.folder).ok();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started as a process by other tests"]
async fn serves_as_a_child_of_other_tests() {
    let Ok(folder) = std::env::var(FOLDER).map(PathBuf::from) else {
        return;
    };
    let setting = |name| std::env::var(name).ok().map(|value| value.parse::<u64>().unwrap());
    let defaults = Limits::default();
    let limits = Limits {
        login_time: Duration::from_secs(5),
        failed_login_delay: Duration::from_millis(50),
        sessions: setting(SESSIONS).map_or(defaults.sessions, |sessions| usize::try_from(sessions).unwrap()),
        write_time: setting(WRITE_MS).map_or(defaults.write_time, Duration::from_millis),
        idle_time: setting(IDLE_MS).map_or(defaults.idle_time, Duration::from_millis),
        ..defaults
    };
    let tls = tls::load_or_make(&folder).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    fs::write(folder.join("port.new"), port.to_string()).unwrap();
    fs::rename(folder.join("port.new"), folder.join("port")).unwrap();
    std::thread::spawn(|| {
        std::io::stdin().read_to_end(&mut Vec::new()).ok();
        std::process::exit(0);
    });
    let handler = Arc::new(FewStatements);
    serve(listener, Some(tls), handler, limits, CancellationToken::new())
        .await
        .unwrap();
}

/// Told when the statement `HANG` has begun.
pub(crate) static HANGING: Notify = Notify::const_new();

/// A handler that knows the statements that these tests send, and those that clients send by themselves.
pub(crate) struct FewStatements;

#[async_trait]
impl Handler for FewStatements {
    async fn password_hash(&self, user: &str) -> Option<[u8; 32]> {
        (user == "root").then(|| hash_password(PASSWORD))
    }

    async fn execute(&self, session: &mut Session, sql: &str) -> Result<Reply, SqlError> {
        let sql = sql.trim().trim_end_matches(';');
        let upper = sql.to_ascii_uppercase();
        let words: Vec<&str> = upper.split_whitespace().collect();
        match words.as_slice() {
            ["SET", ..] | ["ROLLBACK"] | ["COMMIT"] => Ok(done(0)),
            ["CHANGE", number] => Ok(done(number.parse().unwrap())),
            ["SELECT", "1"] => Ok(one("1", ColumnKind::Integer, Cell::Int(1))),
            ["SELECT", "DATABASE()"] => {
                let database = session.database.clone().map_or(Cell::Null, Cell::Text);
                Ok(one("DATABASE()", ColumnKind::Text, database))
            }
            ["SELECT", "USER()"] => Ok(one("USER()", ColumnKind::Text, Cell::Text(session.user.clone()))),
            ["SELECT", "VALUES"] => Ok(one_of_each_kind()),
            ["SELECT", "MEBIBYTES", count] => Ok(Reply::Rows {
                columns: vec![column("filler", ColumnKind::Text)],
                rows: vec![vec![Cell::Text("x".repeat(1 << 20))]; count.parse().unwrap()],
            }),
            ["SELECT", variables, ..] if variables.starts_with("@@") => Ok(Reply::Rows {
                columns: upper[7..]
                    .split(',')
                    .map(|name| column(name.trim(), ColumnKind::Text))
                    .collect(),
                rows: vec![upper[7..].split(',').map(|_| Cell::Text("16777214".into())).collect()],
            }),
            ["SHOW", "WARNINGS"] => Ok(Reply::Rows {
                columns: ["Level", "Code", "Message"]
                    .map(|name| column(name, ColumnKind::Text))
                    .to_vec(),
                rows: vec![],
            }),
            ["FAIL"] => Err(SqlError::new(1227, "42000", "Access denied; you need the admin role")),
            ["HANG"] => {
                HANGING.notify_one();
                std::future::pending().await
            }
            ["SHOW", "TABLES"] => Ok(one("Tables_in_sync", ColumnKind::Text, Cell::Text("status".into()))),
            ["SHOW", "DATABASES"] => Ok(one("Database", ColumnKind::Text, Cell::Text("sync".into()))),
            ["PANIC"] => panic!("as asked for"),
            _ => Err(SqlError::new(1064, "42000", format!("near '{:.20}'", sql))),
        }
    }

    async fn execute_prepared(&self, session: &mut Session, sql: &str, parameters: &[Cell]) -> Result<Reply, SqlError> {
        if parameters.is_empty() {
            return self.execute(session, sql).await;
        }
        let columns = parameters.iter().map(|_| column("?", ColumnKind::Text)).collect();
        let rows = vec![parameters.to_vec()];
        Ok(Reply::Rows { columns, rows })
    }

    async fn describe(&self, _: &Session, _: &str) -> Result<Vec<Column>, SqlError> {
        Ok(Vec::new())
    }

    fn sessions(&self) -> Arc<Sessions> {
        Arc::default()
    }

    async fn use_database(&self, session: &mut Session, database: &str) -> Result<(), SqlError> {
        if database != "sync" {
            return Err(SqlError::new(1049, "42000", format!("Unknown database '{database}'")));
        }
        session.database = Some(database.to_owned());
        Ok(())
    }
}

fn done(affected: u64) -> Reply {
    Reply::Ok {
        affected,
        warnings: 0,
        info: String::new(),
    }
}

fn column(name: &str, kind: ColumnKind) -> Column {
    let name = name.to_owned();
    Column { name, kind }
}

fn one(name: &str, kind: ColumnKind, cell: Cell) -> Reply {
    Reply::Rows {
        columns: vec![column(name, kind)],
        rows: vec![vec![cell]],
    }
}

fn one_of_each_kind() -> Reply {
    Reply::Rows {
        columns: vec![
            column("i", ColumnKind::Integer),
            column("u", ColumnKind::Unsigned),
            column("d", ColumnKind::Double),
            column("t", ColumnKind::Text),
            column("n", ColumnKind::Text),
        ],
        rows: vec![vec![
            Cell::Int(-5),
            Cell::UInt(u64::MAX),
            Cell::Double(0.5),
            Cell::Text("größe 🦀".into()),
            Cell::Null,
        ]],
    }
}
