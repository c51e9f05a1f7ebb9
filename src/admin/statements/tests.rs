//! Statements as an operator types them, over a real store and a supervisor that only takes notes.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;

use super::*;
use crate::model::name::ServerName;
use crate::model::precheck::{PrecheckRow, Verdict};
use crate::model::role::Role;
use crate::model::server::ServerDefinition;
use crate::model::status::{CheckStep, ConflictRecord, CopyProgress, LagParts, Phase, State, StatusRow, Throughput};
use crate::model::task::{Direction, ObjectRule, TaskDefinition, Wanted};
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
    async fn precheck(&self, task: &TaskName) -> std::result::Result<Vec<PrecheckRow>, ControlError> {
        self.call("precheck", task.as_str())?;
        Ok(vec![PrecheckRow {
            item: "log_bin",
            direction: Direction::Reverse,
            result: Verdict::Warn,
            found: "found".into(),
            remedy: "remedy".into(),
            acknowledged: true,
        }])
    }
    async fn acknowledge(&self, task: &TaskName, item: &str) -> std::result::Result<(), ControlError> {
        self.call(&format!("acknowledge {item} of"), task.as_str())
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
    async fn alter_objects(
        &self,
        before: &TaskDefinition,
        after: &TaskDefinition,
        _added: &[ObjectRule],
    ) -> std::result::Result<(), ControlError> {
        self.call("objects of", before.name.as_str())?;
        self.store.update_task(after).unwrap();
        Ok(())
    }
    async fn server_changed(&self, server: &ServerName) -> std::result::Result<(), ControlError> {
        self.call("changed", server.as_str())
    }
    async fn wait_synced(&self, task: &TaskName, timeout: Duration) -> std::result::Result<bool, ControlError> {
        self.call("wait", task.as_str())?;
        Ok(timeout > Duration::from_secs(1))
    }
    async fn publish(&self, _: bool) {}
}

pub(super) struct Operator {
    statements: Statements,
    supervisor: Arc<Supervisor>,
    session: Session,
    runtime: tokio::runtime::Runtime,
    _dir: TempDir,
}

impl Operator {
    pub(super) fn new() -> Self {
        let dir = TempDir::new();
        let store = Arc::new(Store::open(dir.path()).unwrap());
        let admin = [Role::Admin].into_iter().collect();
        let account = store.create_account("root", &[7; 32], &admin).unwrap();
        let supervisor = Arc::new(Supervisor {
            store: Arc::clone(&store),
            calls: Mutex::default(),
            refuses: Mutex::default(),
        });
        Self {
            statements: Statements::new(store, Arc::clone(&supervisor) as Arc<dyn Control>),
            supervisor,
            session: Session {
                account,
                user: "root".into(),
                roles: Roles::default(),
                host: "localhost".into(),
                connection_id: 7,
                database: None,
            },
            runtime: tokio::runtime::Builder::new_current_thread().build().unwrap(),
            _dir: dir,
        }
    }

    /// With two servers and the two-way task `orders`.
    pub(super) fn with_task() -> Self {
        let mut operator = Self::new();
        for server in ["hq", "branch"] {
            operator.ok(&format!(
                "CREATE SERVER {server} OPTIONS (HOST '{server}.example', USER 'sync', PASSWORD 'hunter2')"
            ));
        }
        operator.ok("CREATE SYNC TASK orders BETWEEN hq AND branch OBJECTS (shop.*) WITH (workers = 2)");
        operator
    }

    /// As another account, from its next session on.
    pub(super) fn log_in(&mut self, user: &str) {
        let credentials = self.supervisor.store.credentials(user).unwrap().unwrap();
        self.be(credentials.account, user);
    }

    pub(super) fn session_account(&self) -> i64 {
        self.session.account
    }

    pub(super) fn be(&mut self, account: i64, user: &str) {
        self.session.account = account;
        self.session.user = user.to_owned();
    }

    pub(super) fn execute(&mut self, sql: &str) -> Result<Reply> {
        self.runtime.block_on(self.statements.execute(&mut self.session, sql))
    }

    /// The rows as text, or `OK`, or `OK` and the info.
    pub(super) fn shown(&mut self, sql: &str) -> String {
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

    pub(super) fn check(&mut self, sql: &str, expected: &str) {
        assert_eq!(self.shown(sql), expected, "{sql}");
    }

    pub(super) fn ok(&mut self, sql: &str) {
        self.check(sql, "OK");
    }

    /// The statement fails like that, and what can be seen of servers and tasks is as before.
    pub(super) fn refused(&mut self, sql: &str, code: u16, expected: &str) {
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
        all.push(format!("{:?}", store.query("SELECT * FROM sync.servers").unwrap()));
        let accounts = store.accounts().unwrap().into_iter();
        all.extend(accounts.map(|account| {
            let hash = store.credentials(&account.user).unwrap().unwrap().password_hash;
            format!("{account:?} {hash:?}")
        }));
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
    operator.check("PRECHECK SYNC TASK orders", "log_bin,reverse,warn,found,remedy,1");
    operator.ok("ALTER SYNC TASK orders ACKNOWLEDGE 'log_bin'");
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
    assert_eq!(
        operator.calls(),
        [
            "changed orders",
            "changed orders",
            "precheck orders",
            "acknowledge log_bin of orders"
        ]
    );
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
        lag: LagParts::default(),
        throughput: Throughput::default(),
        copy: CopyProgress::default(),
    };
    operator.supervisor.store.publish(&[status], Some(&[])).unwrap();
    operator.check(
        "SHOW SYNC TASK STATUS",
        "orders,forward,running,12,NULL,0,1,11-22 14:00:00,|orders,reverse,running,NULL,NULL,NULL,NULL,NULL,NULL",
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
    let wider = [("task", 10), ("since", 14), ("state", 8), ("last_error", 24)];
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
    operator.check("SHOW DATABASES", "information_schema|performance_schema|sync");
    operator.check("SHOW SCHEMAS LIKE 's%'", "sync");
    operator.check("SHOW DATABASES LIKE 'x%'", "");
    operator.check(
        "SHOW TABLES",
        "conflicts|ddl|differences|events|objects|prechecks|servers|status|tasks",
    );
    operator.check("SHOW FULL TABLES FROM sync LIKE 'ta%'", "tasks,BASE TABLE");
    operator.refused("SHOW TABLES FROM mysql", 1049, "Unknown database");
    operator.check("DESCRIBE sync.prechecks", "task,text,NO,PRI,NULL,|direction,text,NO,PRI,NULL,|item,text,NO,PRI,NULL,|result,text,NO,,NULL,|found,text,NO,,NULL,|remedy,text,NO,,NULL,|acknowledged,bigint,NO,,NULL,|checked_at,text,NO,,NULL,");
    operator.check(
        "SHOW COLUMNS FROM status LIKE 'lag_f%'",
        "lag_fetch_ms,bigint,YES,,NULL,",
    );
    operator.refused("DESCRIBE account", 1146, "doesn't exist");
    operator.check("SHOW VARIABLES LIKE 'lower_case_t%'", "lower_case_table_names,0");
    operator.check("SHOW VARIABLES LIKE 'AUTOCOMMIT'", "autocommit,ON");
    operator.check(
        "SHOW VARIABLES WHERE Variable_name IN ('AUTOCOMMIT', 'sql_log_bin')",
        "autocommit,ON|sql_log_bin,OFF",
    );
    operator.check("SHOW WARNINGS", "");
    assert!(operator.shown("SHOW GLOBAL STATUS LIKE 'Upt%'").starts_with("Uptime,"));
    operator.refused("SELECT * FROM nowhere", 1146, "Table 'sync.nowhere' doesn't exist");
    operator.refused("SELECT x FROM status", 1054, "Unknown column 'x'");
    operator.refused("SELECT FROM status", 1064, "SQL syntax");
    operator.refused("SELECT task FROM status LIMIT 'x'", 1064, "whole numbers");
}

/// With a link that runs, one that tries again and one that failed.
fn with_links() -> Operator {
    let mut operator = Operator::with_task();
    operator.ok("CREATE SYNC TASK Archive FROM hq TO branch OBJECTS (old.*)");
    let row = |task: &str, direction, state, last_error: &str| StatusRow {
        task: task.into(),
        direction,
        state,
        phase: Phase::Incremental,
        source_position: "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-9".into(),
        applied_position: "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-8".into(),
        lag_ms: Some(2_500),
        idle: false,
        rows_applied: 100,
        transactions_applied: 10,
        conflicts: 1,
        last_error: last_error.into(),
        since_ms: 1_795_380_098_000,
        lag: LagParts::default(),
        throughput: Throughput::default(),
        copy: CopyProgress::default(),
    };
    let by_file = StatusRow {
        source_position: "my-bin.000012:15800".into(),
        applied_position: "my-bin.000009:4".into(),
        ..row("orders", Direction::Reverse, State::Retrying, "branch is out of reach")
    };
    let rows = [
        row("orders", Direction::Forward, State::Running, "long mended"),
        by_file,
        row("Archive", Direction::Forward, State::Failed, "a conflict"),
    ];
    operator.supervisor.store.publish(&rows, Some(&[])).unwrap();
    operator
}

impl Operator {
    /// Some columns of the rows, by their names.
    fn picked(&mut self, sql: &str, names: &[&str]) -> Vec<String> {
        let reply = self.execute(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        let Reply::Rows { columns, rows } = reply else {
            panic!("{sql}");
        };
        let at = |name: &&str| {
            columns
                .iter()
                .position(|column| column.name == *name)
                .unwrap_or_else(|| panic!("{name}"))
        };
        let shown = |cell: &Cell| match cell {
            Cell::Null => "NULL".to_owned(),
            Cell::Text(text) => text.clone(),
            Cell::Int(value) => value.to_string(),
            other => format!("{other:?}"),
        };
        rows.iter()
            .map(|row| {
                names
                    .iter()
                    .map(|name| shown(&row[at(name)]))
                    .collect::<Vec<_>>()
                    .join(",")
            })
            .collect()
    }
}

#[test]
fn links_are_shown_as_replication_channels() {
    let mut operator = with_links();
    let names = [
        "Channel_Name",
        "Source_Host",
        "Replica_IO_Running",
        "Replica_SQL_Running",
        "Seconds_Behind_Source",
    ];
    let running = "orders:forward,hq.example,Yes,Yes,2";
    let retrying = "orders:reverse,branch.example,Connecting,Yes,NULL";
    let failed = "Archive:forward,hq.example,No,No,NULL";
    assert_eq!(
        operator.picked("SHOW REPLICA STATUS", &names),
        [failed, running, retrying]
    );
    assert_eq!(
        operator.picked("SHOW REPLICA STATUS FOR CHANNEL 'ORDERS:forward'", &names),
        [running]
    );
    let errors = [
        "Last_IO_Errno",
        "Last_IO_Error",
        "Last_SQL_Errno",
        "Last_SQL_Error",
        "Last_Error",
    ];
    assert_eq!(
        operator.picked("SHOW REPLICA STATUS", &errors),
        [
            "0,,13117,a conflict,a conflict",
            "0,,0,,",
            "2003,branch is out of reach,0,,branch is out of reach"
        ]
    );
    let stamps = [
        "Last_IO_Error_Timestamp",
        "Last_SQL_Error_Timestamp",
        "Retrieved_Gtid_Set",
        "Auto_Position",
    ];
    assert_eq!(
        operator.picked("SHOW REPLICA STATUS", &stamps)[0],
        ",261122 20:41:38,3e11fa47-71ca-11e1-9e33-c80aa9429562:1-9,1"
    );
    let old = [
        "Channel_Name",
        "Master_Host",
        "Slave_IO_Running",
        "Slave_SQL_Running",
        "Seconds_Behind_Master",
    ];
    assert_eq!(operator.picked("SHOW SLAVE STATUS", &old), [failed, running, retrying]);
    operator.refused("SHOW REPLICA STATUS FOR CHANNEL 'x'", 3074, "'orders:forward'");

    operator.check(
        "SELECT channel_name, service_state, last_error_number FROM performance_schema.replication_connection_status",
        "Archive:forward,OFF,0|orders:forward,ON,0|orders:reverse,CONNECTING,2003",
    );
    operator.check(
        "SELECT s.CHANNEL_NAME, s.SERVICE_STATE, w.LAST_ERROR_MESSAGE, w.LAST_ERROR_TIMESTAMP
         FROM performance_schema.replication_applier_status s
         JOIN performance_schema.replication_applier_status_by_worker w USING (CHANNEL_NAME) WHERE s.service_state <> 'on'",
        "Archive:forward,OFF,a conflict,2026-11-22 20:41:38.000000",
    );
    operator.check(
        "SELECT HOST, PORT, USER, AUTO_POSITION FROM performance_schema.replication_connection_configuration
         WHERE CHANNEL_NAME = 'orders:reverse'",
        "branch.example,3306,sync,0",
    );
    operator.check("SELECT count(*) FROM performance_schema.replication_group_members", "0");
    operator.check(
        "SHOW GLOBAL STATUS WHERE Variable_name LIKE 'Causeway_%' AND Variable_name NOT LIKE '%lag%'",
        "Causeway_conflicts,3|Causeway_links,3|Causeway_links_running,1|Causeway_rows_applied,300|Causeway_tasks,2|\
         Causeway_tasks_failed,0|Causeway_transactions_applied,30",
    );
}

#[test]
fn what_drivers_and_tools_look_up_is_answered() {
    let mut operator = with_links();
    for statement in grammar::text::statements(include_str!("../../../fixtures/lookups.sql")) {
        if let Err(error) = operator.execute(statement) {
            panic!("{statement}\n{error}");
        }
    }
}

#[test]
fn the_system_schemas_describe_themselves_and_sync() {
    let mut operator = with_links();
    operator.check(
        "SELECT TABLE_SCHEMA, count(*) > 5 FROM information_schema.tables GROUP BY 1",
        "information_schema,1|performance_schema,1|sync,1",
    );
    operator.check(
        "SELECT DATA_TYPE, COLUMN_KEY, ORDINAL_POSITION FROM INFORMATION_SCHEMA.COLUMNS
         WHERE TABLE_SCHEMA = 'SYNC' AND TABLE_NAME = 'status' AND COLUMN_NAME IN ('task', 'lag_ms')",
        "text,PRI,1|bigint,,7",
    );
    operator.check(
        "SHOW KEYS FROM sync.status WHERE Column_name = 'direction'",
        "status,0,PRIMARY,2,direction,A,NULL,NULL,NULL,,BTREE,,,YES,NULL",
    );
    operator.ok("USE INFORMATION_SCHEMA");
    operator.check("SELECT DATABASE()", "information_schema");
    operator.check("SELECT SCHEMA_NAME FROM schemata WHERE schema_name = 'sync'", "sync");
    assert!(
        operator
            .shown("SHOW TABLES LIKE 'COLUMNS'")
            .eq_ignore_ascii_case("columns")
    );
    assert!(
        operator
            .shown("SHOW CREATE TABLE sync.status")
            .contains("PRIMARY KEY (`task`,`direction`)")
    );
    // Nothing else can be reached by way of them, and nothing written.
    for (sql, code) in [
        ("SELECT * FROM information_schema.account", 1146),
        ("SELECT * FROM information_schema.sqlite_schema", 1142),
        ("SELECT * FROM information_schema.sqlite_master", 1142),
        (
            "SELECT account.*, t.TABLE_NAME FROM account, information_schema.tables t",
            1142,
        ),
        (
            "WITH schemata AS (SELECT * FROM server_secret) SELECT * FROM schemata, information_schema.schemata",
            1142,
        ),
        (
            "SELECT * FROM pragma_table_info('account', 'sync'), information_schema.schemata",
            1142,
        ),
        ("DELETE FROM performance_schema.global_status", 1142),
        (
            "WITH x AS (SELECT 1) DELETE FROM performance_schema.global_status",
            1142,
        ),
    ] {
        operator.refused(sql, code, "");
    }
}

#[test]
fn prepared_statements_bind_their_values() {
    let mut operator = with_links();
    let mut check = |sql: &str, values: &[Cell], expected: std::result::Result<&str, u16>| {
        let execution = operator.statements.execute_with(&mut operator.session, sql, values);
        let found = match operator.runtime.block_on(execution) {
            Ok(Reply::Rows { rows, .. }) => Ok(rows
                .into_iter()
                .flatten()
                .map(|cell| format!("{cell:?}"))
                .collect::<Vec<_>>()
                .join(",")),
            Ok(Reply::Ok { .. }) => Ok("OK".to_owned()),
            Err(error) => Err(error.code),
        };
        assert_eq!(found.as_deref().map_err(|code| *code), expected, "{sql}");
    };
    let text = |text: &str| Cell::Text(text.into());
    check(
        "SELECT ?, ?, ?, ?",
        &[Cell::Int(-1), Cell::Double(0.5), Cell::Null, text("it's")],
        Ok("Int(-1),Double(0.5),Null,Text(\"it's\")"),
    );
    check(
        "SELECT state FROM sync.status WHERE task = ? AND lag_ms > ? LIMIT ?",
        &[text("ORDERS"), Cell::UInt(1), Cell::Int(1)],
        Ok("Text(\"running\")"),
    );
    check(
        "SELECT count(*) FROM sync.status WHERE task IN (?, ?)",
        &[text("archive"), text("x' OR 1 = 1")],
        Ok("Int(1)"),
    );
    check(
        "SHOW VARIABLES LIKE ?",
        &[text("lower\\_case_table%")],
        Ok("Text(\"lower_case_table_names\"),Text(\"0\")"),
    );
    check(
        "SHOW CREATE SYNC TASK ?",
        &[text("o'; DROP SYNC TASK orders; --")],
        Err(3101),
    );
    check("WAIT FOR SYNC TASK orders TIMEOUT ?", &[Cell::Int(30)], Err(3102));
    check("SELECT ?", &[], Err(1064));
    check("SELECT 1", &[Cell::Int(1)], Err(1064));
    check("SELECT ? +", &[Cell::Int(1)], Err(1064));

    let describe = |sql: &str| {
        let columns = operator
            .runtime
            .block_on(operator.statements.describe(&operator.session, sql));
        columns.map(|columns| {
            columns
                .into_iter()
                .map(|column| (column.name, column.kind))
                .collect::<Vec<_>>()
        })
    };
    let kinds = [
        ("task".to_owned(), ColumnKind::Text),
        ("lag_ms".to_owned(), ColumnKind::Integer),
    ];
    assert_eq!(
        describe("SELECT task, lag_ms FROM sync.status WHERE task = ? LIMIT ?").unwrap(),
        kinds
    );
    assert_eq!(describe("SHOW REPLICA STATUS").unwrap().len(), 60);
    assert_eq!(describe("DROP SYNC TASK orders").unwrap(), []);
    assert_eq!(describe("WAIT FOR SYNC TASK orders TIMEOUT ?").unwrap(), []);
    assert_eq!(describe("WAIT FOR SYNC TASK").unwrap_err().code, 1064);
    assert_eq!(describe("SELECT x FROM sync.status").unwrap_err().code, 1054);
}

#[test]
fn sessions_are_listed_and_ended() {
    let mut operator = with_links();
    let sessions = Arc::clone(operator.statements.sessions());
    let own = sessions.open(7, "root", "127.0.0.1:5");
    own.begins("Query", "SHOW PROCESSLIST", Some("sync"));
    let other = sessions.open(9, "ann", "127.0.0.1:6");
    other.begins("Query", "ALTER SERVER hq OPTIONS (PASSWORD 'hunter2')", None);
    let names = ["Id", "User", "Host", "db", "Command", "Info"];
    assert_eq!(
        operator.picked("SHOW PROCESSLIST", &names),
        [
            "7,root,127.0.0.1:5,sync,Query,SHOW PROCESSLIST",
            "9,ann,127.0.0.1:6,NULL,Query,ALTER SERVER hq OPTIONS (PASSWORD '…')",
            "4294900001,system user,connecting host,NULL,Connect,NULL",
            "4294900002,system user,connecting host,NULL,Connect,NULL",
            "4294900003,system user,connecting host,NULL,Connect,NULL",
        ]
    );
    operator.check(
        "SELECT count(*) FROM information_schema.PROCESSLIST WHERE user = 'ANN'",
        "1",
    );
    operator.check(
        "SELECT VARIABLE_VALUE FROM performance_schema.global_status WHERE VARIABLE_NAME = 'Threads_connected'",
        "2",
    );

    let statement = sessions.interrupted(9);
    operator.ok("KILL QUERY 9");
    assert!(statement.is_cancelled() && !other.killed.is_cancelled());
    operator.ok("KILL 9");
    assert!(other.killed.is_cancelled());
    operator.refused("KILL QUERY 7", 1317, "interrupted");
    operator.refused("KILL 8", 1094, "SHOW PROCESSLIST");
    operator.refused("KILL 4294900001", 1094, "SHOW PROCESSLIST");
    operator.shown("CREATE USER ann IDENTIFIED BY 'x'");
    operator.shown("GRANT reader TO ann");
    operator.log_in("ann");
    operator.check(
        "SELECT GROUP_CONCAT(ID) FROM performance_schema.processlist WHERE USER <> 'system user'",
        "9",
    );
    operator.refused("KILL 7", 1095, "not owner");
    operator.session.connection_id = 9;
    operator.ok("KILL 9");
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
