//! Statements as an operator types them, over a real store and a supervisor that only takes notes.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;

use super::*;
use crate::model::name::ServerName;
use crate::model::server::ServerDefinition;
use crate::model::status::{CheckStep, ConflictRecord, Phase, State, StatusRow};
use crate::model::task::{Direction, Wanted};
use crate::store::TempDir;

/// Does what the supervisor does to the store, and refuses all when told to.
struct Supervisor {
    store: Arc<Store>,
    calls: Mutex<Vec<String>>,
    refuses: Mutex<bool>,
}

impl Supervisor {
    fn call(&self, what: &str, name: &str) -> std::result::Result<(), ControlError> {
        self.calls.lock().unwrap().push(format!("{what} {name}"));
        if *self.refuses.lock().unwrap() {
            return Err(ControlError {
                code: 3199,
                sqlstate: "HY000",
                message: "not today".into(),
            });
        }
        Ok(())
    }

    fn wants(&self, what: &str, task: &TaskName, wanted: Wanted) -> std::result::Result<(), ControlError> {
        self.call(what, task.as_str())?;
        self.store.set_wanted(task, wanted, "").unwrap();
        Ok(())
    }
}

#[async_trait]
impl Control for Supervisor {
    async fn check_server(&self, server: &ServerDefinition) -> Vec<CheckStep> {
        vec![CheckStep {
            step: "connect",
            result: "pass",
            found: server.address.to_string(),
            remedy: String::new(),
        }]
    }
    async fn start(&self, task: &TaskName) -> std::result::Result<(), ControlError> {
        self.wants("start", task, Wanted::Running)
    }
    async fn pause(&self, task: &TaskName) -> std::result::Result<(), ControlError> {
        self.wants("pause", task, Wanted::Paused)
    }
    async fn resume(&self, task: &TaskName) -> std::result::Result<(), ControlError> {
        self.wants("resume", task, Wanted::Running)
    }
    async fn stop(&self, task: &TaskName) -> std::result::Result<(), ControlError> {
        self.wants("stop", task, Wanted::Stopped)
    }
    async fn drop_task(&self, task: &TaskName) -> std::result::Result<(), ControlError> {
        self.call("drop", task.as_str())
    }
    async fn task_changed(&self, task: &TaskName) -> std::result::Result<(), ControlError> {
        self.call("changed", task.as_str())
    }
    async fn server_changed(&self, server: &ServerName) -> std::result::Result<(), ControlError> {
        self.call("changed", server.as_str())
    }
    async fn wait_synced(&self, task: &TaskName, timeout: Duration) -> std::result::Result<bool, ControlError> {
        self.call("wait", task.as_str())?;
        Ok(timeout > Duration::from_secs(1))
    }
    async fn publish(&self) {}
}

struct Operator {
    statements: Statements,
    supervisor: Arc<Supervisor>,
    session: Session,
    runtime: tokio::runtime::Runtime,
    _dir: TempDir,
}

impl Operator {
    fn new() -> Self {
        let dir = TempDir::new();
        let store = Arc::new(Store::open(dir.path()).unwrap());
        let supervisor = Arc::new(Supervisor {
            store: Arc::clone(&store),
            calls: Mutex::default(),
            refuses: Mutex::default(),
        });
        Self {
            statements: Statements::new(store, Arc::clone(&supervisor) as Arc<dyn Control>),
            supervisor,
            session: Session {
                user: "root".into(),
                host: "localhost".into(),
                connection_id: 7,
                database: None,
            },
            runtime: tokio::runtime::Builder::new_current_thread().build().unwrap(),
            _dir: dir,
        }
    }

    /// With two servers and the two-way task `orders`.
    fn with_task() -> Self {
        let mut operator = Self::new();
        for server in ["hq", "branch"] {
            operator.ok(&format!(
                "CREATE SERVER {server} OPTIONS (HOST '{server}.example', USER 'sync', PASSWORD 'hunter2')"
            ));
        }
        operator.ok("CREATE SYNC TASK orders BETWEEN hq AND branch OBJECTS (shop.*) WITH (workers = 2)");
        operator
    }

    fn execute(&mut self, sql: &str) -> Result<Reply> {
        self.runtime.block_on(self.statements.execute(&mut self.session, sql))
    }

    /// The rows as text, or `OK`, or `OK` and the info.
    fn shown(&mut self, sql: &str) -> String {
        match self.execute(sql) {
            Ok(Reply::Ok { info, .. }) => format!("OK {info}").trim_end().to_owned(),
            Ok(Reply::Rows { columns, rows }) => {
                let text = |cell: &Cell| match cell {
                    Cell::Null => "NULL".to_owned(),
                    Cell::Int(value) => value.to_string(),
                    Cell::UInt(value) => value.to_string(),
                    Cell::Double(value) => value.to_string(),
                    Cell::Text(text) => text.clone(),
                };
                assert!(
                    rows.iter().all(|row| row.len() == columns.len()),
                    "{sql}: as many cells as columns"
                );
                rows.iter()
                    .map(|row| row.iter().map(text).collect::<Vec<_>>().join(","))
                    .collect::<Vec<_>>()
                    .join("|")
            }
            Err(error) => panic!("{sql}: {error}"),
        }
    }

    fn check(&mut self, sql: &str, expected: &str) {
        assert_eq!(self.shown(sql), expected, "{sql}");
    }

    fn ok(&mut self, sql: &str) {
        self.check(sql, "OK");
    }

    /// The statement fails like that, and what can be seen of servers and tasks is as before.
    fn refused(&mut self, sql: &str, code: u16, expected: &str) {
        let before = self.everything();
        match self.execute(sql) {
            Ok(reply) => panic!("{sql}: {reply:?}"),
            Err(error) => {
                assert_eq!(error.code, code, "{sql}: {error}");
                assert!(error.message.contains(expected), "{sql}: {error}");
                assert!(!error.message.contains("hunter2"), "{sql}: {error}");
            }
        }
        assert_eq!(self.everything(), before, "{sql}");
    }

    fn everything(&mut self) -> String {
        let store = &self.supervisor.store;
        let tasks = store
            .tasks()
            .unwrap()
            .into_iter()
            .map(|task| format!("{:?} {:?}", task.definition, task.wanted));
        let mut all: Vec<String> = tasks.collect();
        all.push(self.shown("SELECT * FROM sync.servers"));
        all.join("\n")
    }

    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.supervisor.calls.lock().unwrap())
    }
}

fn columns(reply: Reply) -> Vec<String> {
    match reply {
        Reply::Rows { columns, .. } => columns.into_iter().map(|column| column.name).collect(),
        Reply::Ok { .. } => Vec::new(),
    }
}

#[test]
fn servers_are_made_changed_and_dropped() {
    let mut operator = Operator::new();
    operator.ok("CREATE SERVER hq OPTIONS (HOST 'h', USER 'u', PASSWORD 'hunter2')");
    operator.check(
        "CREATE SERVER IF NOT EXISTS hq OPTIONS (HOST 'i', USER 'u')",
        "OK Server 'hq' exists already: nothing was changed",
    );
    operator.refused(
        "CREATE SERVER hq OPTIONS (HOST 'i', USER 'u')",
        1476,
        "Server 'hq' exists already; ALTER SERVER",
    );
    operator.check("SHOW SERVERS", "hq,h:3306,u,PREFERRED,NULL,unknown,NULL,");
    operator.check("CHECK SERVER hq", "connect,pass,h:3306,");
    operator.ok("ALTER SERVER hq OPTIONS (SOCKET '/run/mysqld.sock')");
    operator.check("SHOW SERVERS", "hq,/run/mysqld.sock,u,PREFERRED,NULL,unknown,NULL,");
    let kept = operator
        .supervisor
        .store
        .server(&ServerName::new("hq").unwrap())
        .unwrap()
        .unwrap();
    assert_eq!(
        secrecy::ExposeSecret::expose_secret(&kept.password),
        "hunter2",
        "what is not named stays"
    );
    operator.refused(
        "ALTER SERVER x OPTIONS (HOST 'h')",
        1477,
        "There is no server 'x'; SHOW SERVERS",
    );
    operator.refused("ALTER SERVER hq OPTIONS (SSL_MODE 'VERIFY_CA')", 1231, "needs SSL_CA");
    operator.refused("CHECK SERVER x", 1477, "no server 'x'");
    operator.refused("DROP SERVER x", 1477, "no server 'x'");
    operator.check(
        "DROP SERVER IF EXISTS x",
        "OK There is no server 'x': nothing was changed",
    );
    operator.ok("DROP SERVER hq");
    operator.check("SHOW SERVERS", "");
}

#[test]
fn the_password_is_in_no_answer() {
    let mut operator = Operator::with_task();
    for sql in [
        "SHOW SERVERS",
        "SELECT * FROM sync.servers",
        "SHOW CREATE SYNC TASK orders",
        "CHECK SERVER hq",
    ] {
        let shown = operator.shown(sql);
        assert!(shown.contains("hq") && !shown.contains("hunter2"), "{sql}: {shown}");
    }
    operator.refused("SELECT * FROM server_secret", 1142, "Only SELECT on the tables");
    operator.refused(
        "ALTER SERVER hq OPTIONS (PASSWORD 'hunter2' hunter2)",
        1064,
        "not repeated",
    );
}

#[test]
fn a_task_goes_through_its_life() {
    let mut operator = Operator::with_task();
    let before = "NULL,NULL,NULL,NULL,NULL,NULL";
    operator.check(
        "SHOW SYNC TASK STATUS FOR orders",
        &format!("orders,forward,created,{before}|orders,reverse,created,{before}"),
    );
    operator.refused(
        "DROP SERVER hq",
        code::SERVER_IN_USE,
        "used by task 'orders': drop the task first",
    );
    operator.refused(
        "PAUSE SYNC TASK orders",
        code::TASK_STATE,
        "not started yet, so it can't be paused",
    );
    operator.refused(
        "RESUME SYNC TASK orders",
        code::TASK_STATE,
        "use START SYNC TASK orders",
    );
    operator.refused("STOP SYNC TASK orders", code::TASK_STATE, "can be dropped as it is");
    operator.refused("WAIT FOR SYNC TASK orders", code::TASK_STATE, "use START");
    operator.ok("START SYNC TASK orders");
    operator.refused("START SYNC TASK orders", code::TASK_STATE, "is running already");
    operator.refused("RESUME SYNC TASK orders", code::TASK_STATE, "is running already");
    operator.refused("DROP SYNC TASK orders", code::TASK_STATE, "use STOP SYNC TASK orders");
    operator.check("WAIT FOR SYNC TASK orders TIMEOUT 30", "1");
    operator.check("WAIT FOR SYNC TASK orders TIMEOUT 0", "0");
    operator.ok("PAUSE SYNC TASK orders");
    operator.refused("PAUSE SYNC TASK orders", code::TASK_STATE, "is paused already");
    operator.refused("START SYNC TASK orders", code::TASK_STATE, "use RESUME");
    operator.refused("WAIT FOR SYNC TASK orders", code::TASK_STATE, "use RESUME");
    operator.ok("RESUME SYNC TASK orders");
    operator.ok("STOP SYNC TASK orders");
    operator.refused("STOP SYNC TASK orders", code::TASK_STATE, "is stopped already");
    operator.ok("START SYNC TASK orders");
    operator.ok("STOP SYNC TASK orders");
    operator.ok("DROP SYNC TASK orders");
    operator.check("SHOW SYNC TASKS", "");
    let expected = [
        "start", "wait", "wait", "pause", "resume", "stop", "start", "stop", "drop",
    ];
    assert_eq!(operator.calls(), expected.map(|call| format!("{call} orders")));
    operator.check(
        "DROP SYNC TASK IF EXISTS orders",
        "OK There is no sync task 'orders': nothing was changed",
    );
    for sql in ["START", "PAUSE", "RESUME", "STOP", "DROP", "SHOW CREATE", "WAIT FOR"] {
        operator.refused(
            &format!("{sql} SYNC TASK orders"),
            code::NO_SUCH_TASK,
            "There is no task 'orders'; SHOW SYNC TASKS",
        );
    }
    operator.refused(
        "SHOW SYNC TASK STATUS FOR orders",
        code::NO_SUCH_TASK,
        "There is no task",
    );
    operator.refused(
        "ALTER SYNC TASK orders SET (workers = 1)",
        code::NO_SUCH_TASK,
        "There is no task",
    );
}

#[test]
fn what_the_supervisor_refuses_changes_nothing() {
    let mut operator = Operator::with_task();
    *operator.supervisor.refuses.lock().unwrap() = true;
    for sql in [
        "START SYNC TASK orders",
        "DROP SYNC TASK orders",
        "ALTER SYNC TASK orders SET (workers = 9)",
        "ALTER SERVER hq OPTIONS (HOST 'elsewhere', PASSWORD 'other')",
    ] {
        operator.refused(sql, 3199, "not today");
    }
    let kept = operator
        .supervisor
        .store
        .server(&ServerName::new("hq").unwrap())
        .unwrap()
        .unwrap();
    assert_eq!(secrecy::ExposeSecret::expose_secret(&kept.password), "hunter2");
}

#[test]
fn tasks_are_made_and_changed() {
    let mut operator = Operator::with_task();
    operator.refused(
        "CREATE SYNC TASK orders FROM hq TO branch OBJECTS (s.*)",
        code::TASK_EXISTS,
        "Task 'orders' exists already",
    );
    operator.check(
        "CREATE SYNC TASK IF NOT EXISTS orders FROM hq TO branch OBJECTS (s.*)",
        "OK Sync task 'orders' exists already: nothing was changed",
    );
    operator.refused(
        "CREATE SYNC TASK x FROM hq TO nowhere OBJECTS (s.*)",
        1477,
        "There is no server 'nowhere'",
    );
    operator.refused(
        "CREATE SYNC TASK IF NOT EXISTS x FROM nowhere TO hq OBJECTS (s.*)",
        1477,
        "no server 'nowhere'",
    );
    operator.check("CREATE SYNC TASK FROM hq TO branch OBJECTS (s.*)", "hq_to_branch");
    operator.check("CREATE SYNC TASK FROM hq TO branch OBJECTS (s.*)", "hq_to_branch_2");
    operator.refused(
        "CREATE SYNC TASK FROM hq TO nowhere OBJECTS (s.*)",
        1477,
        "no server 'nowhere'",
    );
    operator.check(
        "SELECT task, two_way FROM sync.tasks ORDER BY task",
        "hq_to_branch,0|hq_to_branch_2,0|orders,1",
    );
    operator.ok("ALTER SYNC TASK orders SET (workers = 5, retry_window = '1h') REVERSE SET (workers = 6)");
    operator.ok("ALTER SYNC TASK orders SET (heartbeat = OFF)");
    let created = operator.shown("SHOW CREATE SYNC TASK orders");
    for part in [
        "workers = 5",
        "retry_window = '60m'",
        "heartbeat = OFF",
        "REVERSE WITH (workers = 6)",
    ] {
        assert!(created.contains(part), "{part}: {created}");
    }
    operator.check(
        "SELECT json_extract(options, '$.workers') FROM tasks WHERE task = 'orders'",
        "5",
    );
    operator.refused(
        "ALTER SYNC TASK orders SET (incremental_sync = OFF)",
        1231,
        "two-way task needs",
    );
    operator.refused(
        "ALTER SYNC TASK hq_to_branch REVERSE SET (workers = 6)",
        1231,
        "REVERSE needs a two-way task",
    );
    operator.refused("ALTER SYNC TASK orders SET (workers = 500)", 1231, "1 to 64");
    assert_eq!(operator.calls(), ["changed orders", "changed orders"]);
}

#[test]
fn status_and_conflicts_can_be_asked_for() {
    let mut operator = Operator::with_task();
    operator.ok("START SYNC TASK orders");
    let status = StatusRow {
        task: "orders".into(),
        direction: Direction::Forward,
        state: State::Running,
        phase: Phase::Incremental,
        source_position: "a:1-9".into(),
        applied_position: "a:1-9".into(),
        lag_ms: Some(12),
        idle: true,
        rows_applied: 3,
        transactions_applied: 2,
        conflicts: 1,
        last_error: String::new(),
        since_ms: 1_795_356_000_123,
    };
    operator.supervisor.store.publish(&[status], &[]).unwrap();
    operator.check(
        "SHOW SYNC TASK STATUS",
        "orders,forward,running,incremental,12,3,1,2026-11-22 14:00:00,|orders,reverse,running,NULL,NULL,NULL,NULL,NULL,NULL",
    );
    operator.check(
        "SELECT task, direction, state, lag_ms FROM sync.status WHERE lag_ms > 10 ORDER BY lag_ms DESC",
        "orders,forward,running,12",
    );
    let conflict = ConflictRecord {
        task: "orders".into(),
        direction: Direction::Reverse,
        table: "shop.t".into(),
        kind: "update_missing",
        key: "{\"id\":1}".into(),
        before_image: None,
        incoming_row: None,
        destination_row: None,
        policy: "fail".into(),
        outcome: "failed",
        source_position: "a:9#1".into(),
    };
    operator.supervisor.store.record_conflict(&conflict).unwrap();
    operator.check(
        "select `table`, `key`->>'$.id', type from conflicts where direction = \"reverse\"",
        "shop.t,1,update_missing",
    );
}

#[test]
fn status_fits_a_terminal() {
    let mut operator = Operator::with_task();
    let names = columns(operator.execute("SHOW SYNC TASK STATUS").unwrap());
    // A table of the mysql client: a border and two blanks for each column. Values are as wide as their names, but for:
    let wider = [("task", 6), ("phase", 11), ("since", 19), ("state", 8)];
    let width = |name: &String| {
        wider
            .iter()
            .find(|(wide, _)| wide == name)
            .map_or(name.len(), |(_, width)| *width)
    };
    let total: usize = names.iter().map(|name| width(name) + 3).sum();
    assert!(total < 120, "{total}: {names:?}");
}

#[test]
fn clients_find_what_they_ask_for_on_connecting() {
    let mut operator = Operator::with_task();
    operator.check(
        "SELECT @@version_comment LIMIT 1",
        "Causeway, two-way MySQL synchronization",
    );
    operator.check("select DATABASE(), USER() limit 1", "NULL,root@localhost");
    operator.ok("USE sync");
    operator.check("SELECT DATABASE()", "sync");
    operator.refused("USE mysql", 1049, "Unknown database 'mysql'");
    operator.check("SELECT VERSION(), CONNECTION_ID()", &format!("{SERVER_VERSION},7"));
    operator.check(
        "SELECT @@max_allowed_packet, @@session.autocommit, @@tx_isolation",
        "16777216,1,READ-COMMITTED",
    );
    assert_eq!(
        columns(operator.execute("SELECT @@max_allowed_packet").unwrap()),
        ["@@max_allowed_packet"]
    );
    operator.refused(
        "SELECT @@no_such_thing",
        1193,
        "Unknown system variable 'no_such_thing'",
    );
    operator.refused("SELECT $$", 1054, "Unknown column '$$'");
    operator.ok("SET NAMES utf8mb4");
    operator.ok("SET autocommit=0");
    operator.ok("COMMIT");
    operator.check("SELECT 1", "1");
    operator.check("SHOW DATABASES", "sync");
    operator.check("SHOW DATABASES LIKE 'x%'", "");
    operator.check(
        "SHOW TABLES",
        "conflicts|ddl|differences|events|objects|prechecks|servers|status|tasks",
    );
    operator.check("SHOW FULL TABLES FROM sync LIKE 'ta%'", "tasks,BASE TABLE");
    operator.refused("SHOW TABLES FROM mysql", 1049, "Unknown database");
    operator.check("DESCRIBE sync.prechecks", "task,text,NO,PRI,NULL,|direction,text,NO,PRI,NULL,|item,text,NO,PRI,NULL,|result,text,NO,,NULL,|found,text,NO,,NULL,|remedy,text,NO,,NULL,|acknowledged,bigint,NO,,NULL,|checked_at,text,NO,,NULL,");
    operator.check("SHOW COLUMNS FROM status LIKE 'lag%'", "lag_ms,bigint,YES,,NULL,");
    operator.refused("DESCRIBE account", 1146, "doesn't exist");
    operator.check("SHOW VARIABLES LIKE 'lower_case%'", "lower_case_table_names,0");
    operator.check("SHOW VARIABLES LIKE 'AUTOCOMMIT'", "autocommit,ON");
    operator.check("SHOW WARNINGS", "");
    assert!(operator.shown("SHOW GLOBAL STATUS LIKE 'Upt%'").starts_with("Uptime,"));
    operator.refused("SELECT * FROM nowhere", 1146, "Table 'sync.nowhere' doesn't exist");
    operator.refused("SELECT x FROM status", 1054, "Unknown column 'x'");
    operator.refused("SELECT FROM status", 1064, "SQL syntax");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]

    #[test]
    fn no_select_does_harm(
        words in proptest::collection::vec(
            proptest::sample::select(vec![
                "*", "FROM", "status", "sync", ".", ",", "(", ")", "'x'", "\"y\"", "`z`", "@@version", "@a", "$1", "?", ":p", "LIKE", "UNION",
                "SELECT", "1", "-", "<=>", "account", "server_secret", "password", "DATABASE()", "AS", "left", "count", "NOW()", "||", "!", "\u{0}",
                "WITH", "RECURSIVE", "LIMIT", "0x", "1e5", "X'0'", "_utf8'a'", "\\", "[", "]", "ü",
            ]),
            0..12,
        ),
    ) {
        let dir = TempDir::new();
        let store = Store::open(dir.path()).unwrap();
        if let Ok(Statement::Select(select)) = grammar::parse(&format!("SELECT {}", words.join(" "))) {
            let sql = select.fill(|_| Ok(Cell::Null)).unwrap();
            match store.query(&sql) {
                Ok(_) => {}
                // 1105 is for what the store did not foresee.
                Err(error) => proptest::prop_assert_ne!(error.code, 1105, "{}: {}", sql, error),
            }
        }
    }
}
