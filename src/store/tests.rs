//! The store as its callers see it: what is put in comes back, also after a restart, and what is secret does not.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use secrecy::{ExposeSecret, SecretString};

use super::*;
use crate::model::name::{ServerName, TaskName};
use crate::model::role::{Role, Roles};
use crate::model::server::{Address, ServerDefinition, SslMode};
use crate::model::status::{
    ConflictRecord, CopyProgress, DdlRecord, EventRecord, LagParts, Level, ObjectRow, Phase, State, StatusRow,
    Throughput,
};
use crate::model::task::{Direction, ObjectRule, OptionChanges, Selection, TaskDefinition, TaskOptions, Wanted};

/// A directory of its own under the system's temporary one, removed at the end.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("causeway-store-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

fn server(name: &str) -> ServerDefinition {
    ServerDefinition {
        name: ServerName::new(name).unwrap(),
        address: Address::Tcp {
            host: "10.0.0.1".into(),
            port: 3307,
        },
        in_use: None,
        user: "sync".into(),
        password: SecretString::from("pass word ü"),
        ssl_mode: SslMode::VerifyCa,
        ssl_ca: Some("/etc/ca.pem".into()),
        ssl_cert: None,
        ssl_key: None,
    }
}

fn task(name: &str) -> TaskDefinition {
    TaskDefinition {
        name: TaskName::new(name).unwrap(),
        source: ServerName::new("hq").unwrap(),
        destination: ServerName::new("branch").unwrap(),
        two_way: true,
        objects: vec![
            ObjectRule::Include(Selection {
                database: "shop".into(),
                table: None,
                to_database: Some("shop2".into()),
                to_table: None,
                ..Selection::default()
            }),
            ObjectRule::Exclude {
                database: "shop".into(),
                table: Some("tmp%".into()),
            },
        ],
        reverse_objects: None,
        options: TaskOptions {
            workers: 7,
            ..TaskOptions::default()
        },
        reverse_options: OptionChanges {
            heartbeat: Some(false),
            ..OptionChanges::default()
        },
    }
}

fn status(direction: Direction, state: State) -> StatusRow {
    StatusRow {
        task: "orders".into(),
        direction,
        state,
        phase: Phase::Incremental,
        source_position: "a:1-9".into(),
        applied_position: "a:1-8".into(),
        lag_ms: Some(1500),
        idle: false,
        rows_applied: 12,
        transactions_applied: 3,
        conflicts: 1,
        last_error: String::new(),
        since_ms: 1_795_356_000_123,
        lag: LagParts::default(),
        throughput: Throughput::default(),
        copy: CopyProgress::default(),
    }
}

fn conflict(key: &str, outcome: &'static str) -> ConflictRecord {
    ConflictRecord {
        task: "orders".into(),
        direction: Direction::Forward,
        table: "shop.t".into(),
        kind: "insert_exists",
        key: key.into(),
        before_image: None,
        incoming_row: Some("{\"id\":1}".into()),
        destination_row: None,
        policy: "ignore".into(),
        outcome,
        source_position: "a:7#3".into(),
    }
}

fn filled(dir: &TempDir) -> Store {
    let store = Store::open(dir.path()).unwrap();
    store.create_server(&server("hq")).unwrap();
    store.create_server(&server("branch")).unwrap();
    store.create_task(&task("orders")).unwrap();
    store
}

/// All cells of the answer as text, rows apart by `|`, cells by `,`.
fn ask(store: &Store, sql: &str) -> std::result::Result<String, QueryError> {
    let result = store.query(sql)?;
    let text = |cell: &QueryCell| match cell {
        QueryCell::Null => "NULL".to_owned(),
        QueryCell::Int(value) => value.to_string(),
        QueryCell::Double(value) => value.to_string(),
        QueryCell::Text(text) => text.clone(),
    };
    let row = |row: &Vec<QueryCell>| row.iter().map(text).collect::<Vec<_>>().join(",");
    Ok(result.rows.iter().map(row).collect::<Vec<_>>().join("|"))
}

#[test]
fn what_was_kept_is_there_after_a_restart() {
    let dir = TempDir::new();
    let name = TaskName::new("orders").unwrap();
    let store = filled(&dir);
    store.set_wanted(&name, Wanted::Failed, "no such thing").unwrap();
    store.create_account("root", &[7; 32], &admin()).unwrap();
    store
        .publish(&[status(Direction::Forward, State::Retrying)], Some(&[]))
        .unwrap();
    drop(store);

    let store = Store::open(dir.path()).unwrap();
    let hq = store.server(&ServerName::new("hq").unwrap()).unwrap().unwrap();
    assert_eq!(hq.password.expose_secret(), "pass word ü");
    assert_eq!(hq.address, server("hq").address);
    assert_eq!(hq.ssl_mode, SslMode::VerifyCa);
    assert_eq!(hq.ssl_ca, server("hq").ssl_ca);
    assert_eq!(store.servers().unwrap().len(), 2);
    let kept = store.task(&name).unwrap().unwrap();
    assert_eq!(kept.definition, task("orders"));
    assert_eq!(
        (kept.wanted, kept.last_error.as_str()),
        (Wanted::Failed, "no such thing")
    );
    assert_eq!(kept.created_at.len(), "2026-11-22 13:55:57.123".len());
    let root = store.credentials("root").unwrap().unwrap();
    assert_eq!(root.password_hash, [7; 32]);
    assert_eq!(store.account(root.account).unwrap().unwrap().roles, admin());
    assert!(store.credentials("nobody").unwrap().is_none());
    let last = store.last_status().unwrap();
    assert_eq!(last[0].since_ms, 1_795_356_000_123);
    assert_eq!(
        (last[0].state, last[0].rows_applied, last[0].lag_ms),
        (State::Retrying, 12, Some(1500))
    );
}

fn admin() -> Roles {
    Roles::from_iter([Role::Admin])
}

#[test]
fn there_is_always_an_admin_and_all_of_a_statement_or_nothing_is_done() {
    let dir = TempDir::new();
    let store = Store::open(dir.path()).unwrap();
    let operator = Roles::from_iter([Role::Operator]);
    store.create_account("root", &[7; 32], &admin()).unwrap();
    let first = store.create_account("ops", &[8; 32], &Roles::default()).unwrap();
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let all = || {
        let accounts = store.accounts().unwrap().into_iter();
        let told = accounts.map(|account| format!("{}:{}", account.user, account.roles));
        told.collect::<Vec<_>>().join(" ")
    };
    let check = |done: Result<usize>, expected: &str, left: &str| {
        let told = match done {
            Ok(count) => count.to_string(),
            Err(StoreError::LastAdmin) => "last admin".into(),
            Err(error) => error.to_string(),
        };
        assert_eq!((told.as_str(), all().as_str()), (expected, left));
    };
    let before = "ops: root:admin";
    check(
        store.drop_accounts(&names(&["ops", "root"]), false),
        "last admin",
        before,
    );
    check(
        store.drop_accounts(&names(&["ops", "x"]), false),
        "there is no account 'x'",
        before,
    );
    check(
        store.change_roles(&names(&["root"]), |roles| roles.without(&admin())),
        "last admin",
        before,
    );
    check(
        store.change_roles(&names(&["ops", "x"]), |roles| roles.with(&operator)),
        "there is no account 'x'",
        before,
    );
    let grant = |roles: &Roles| roles.with(&operator);
    check(
        store.change_roles(&names(&["ops"]), grant),
        "1",
        "ops:operator root:admin",
    );
    check(
        store.change_roles(&names(&["ops"]), grant),
        "0",
        "ops:operator root:admin",
    );
    check(store.drop_accounts(&names(&["ops", "x"]), true), "1", "root:admin");
    assert!(store.account(first).unwrap().is_none());
    assert_ne!(store.create_account("ops", &[8; 32], &operator).unwrap(), first);
    assert!(matches!(
        store.create_account("ops", &[8; 32], &operator),
        Err(StoreError::Exists { kind: "account", .. })
    ));
    assert!(matches!(
        store.set_account_password("x", &[9; 32]),
        Err(StoreError::Missing { kind: "account", .. })
    ));
    store.set_account_password("ops", &[9; 32]).unwrap();
    assert_eq!(store.credentials("ops").unwrap().unwrap().password_hash, [9; 32]);
    // A hash is of no use in another account's row.
    store
        .writer()
        .execute_batch(
            "UPDATE account SET (nonce, password_hash) =
             (SELECT nonce, password_hash FROM account WHERE user = 'ops') WHERE user = 'root'",
        )
        .unwrap();
    assert!(matches!(store.credentials("root"), Err(StoreError::AccountSealed(_))));
}

#[test]
fn accounts_of_an_earlier_version_are_admins_and_get_sealed() {
    let dir = TempDir::new();
    drop(Store::open(dir.path()).unwrap());
    let path = dir.path().join("causeway.db");
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "INSERT INTO account (user, roles, created_at, password_hash)
             VALUES ('root', 'admin', '', x'0707070707070707070707070707070707070707070707070707070707070707')",
        )
        .unwrap();
    drop(connection);
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.credentials("root").unwrap().unwrap().password_hash, [7; 32]);
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(32).any(|window| window == [7; 32]));
    }
}

#[test]
fn a_second_process_is_kept_out_of_the_data_directory() {
    let dir = TempDir::new();
    let first = Store::open(dir.path()).unwrap();
    assert!(matches!(Store::open(dir.path()), Err(StoreError::InUse(_))));
    drop(first);
    assert!(Store::open(dir.path()).is_ok());
}

#[test]
fn passwords_are_nowhere_in_the_files_and_all_files_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let dir = TempDir::new();
    let data = dir.path().join("data");
    let store = Store::open(&data).unwrap();
    store.create_server(&server("hq")).unwrap();
    store.create_account("root", &[7; 32], &admin()).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    let mut files = 0;
    for entry in std::fs::read_dir(&data).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        let bytes = std::fs::read(&path).unwrap();
        assert!(
            !bytes.windows(9).any(|window| window == b"pass word")
                && !bytes.windows(32).any(|window| window == [7; 32]),
            "{}",
            path.display()
        );
        files += 1;
    }
    assert!(files >= 4, "database, WAL, key and lock file");
    assert!(!format!("{store:?}").contains("pass word"));
}

#[test]
fn a_missing_or_foreign_key_file_is_told_and_the_password_can_be_set_again() {
    let dir = TempDir::new();
    drop(filled(&dir));
    let key = dir.path().join("secret.key");
    std::fs::remove_file(&key).unwrap();
    assert!(matches!(Store::open(dir.path()), Err(StoreError::Key(message)) if message.contains("put it back")));

    use std::os::unix::fs::PermissionsExt;
    std::fs::write(&key, [9; 32]).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(Store::open(dir.path()), Err(StoreError::Key(message)) if message.contains("chmod 600")));

    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let store = Store::open(dir.path()).unwrap();
    let hq = ServerName::new("hq").unwrap();
    assert!(matches!(store.server(&hq), Err(StoreError::Sealed(_))));
    let mut definition = store.server_without_password(&hq).unwrap().unwrap();
    definition.password = SecretString::from("new");
    store.update_server(&definition).unwrap();
    assert_eq!(store.server(&hq).unwrap().unwrap().password.expose_secret(), "new");
}

#[test]
fn a_sealed_password_is_of_no_use_in_another_servers_row() {
    let dir = TempDir::new();
    let store = filled(&dir);
    store
        .writer()
        .execute_batch(
            "UPDATE server_secret SET (nonce, password) =
             (SELECT nonce, password FROM server_secret WHERE name = 'hq') WHERE name = 'branch'",
        )
        .unwrap();
    assert!(store.server(&ServerName::new("hq").unwrap()).is_ok());
    assert!(matches!(
        store.server(&ServerName::new("branch").unwrap()),
        Err(StoreError::Sealed(_))
    ));
}

#[test]
fn names_are_taken_once_and_servers_in_use_stay() {
    let dir = TempDir::new();
    let store = filled(&dir);
    let (hq, orders) = (ServerName::new("hq").unwrap(), TaskName::new("orders").unwrap());
    assert!(matches!(
        store.create_server(&server("hq")),
        Err(StoreError::Exists { kind: "server", .. })
    ));
    assert!(matches!(
        store.update_server(&server("x")),
        Err(StoreError::Missing { kind: "server", .. })
    ));
    assert!(matches!(
        store.create_task(&task("orders")),
        Err(StoreError::Exists { kind: "task", .. })
    ));
    assert!(matches!(
        store.update_task(&task("x")),
        Err(StoreError::Missing { kind: "task", .. })
    ));
    assert!(matches!(store.drop_server(&hq), Err(StoreError::ServerInUse { task, .. }) if task == "orders"));
    let mut lost = task("lost");
    lost.destination = ServerName::new("nowhere").unwrap();
    assert!(matches!(
        store.create_task(&lost),
        Err(StoreError::Missing { kind: "server", .. })
    ));
    assert!(store.task(&lost.name).unwrap().is_none(), "nothing of it was kept");
    store.drop_task(&orders).unwrap();
    assert!(matches!(
        store.drop_task(&orders),
        Err(StoreError::Missing { kind: "task", .. })
    ));
    assert!(matches!(
        store.set_wanted(&orders, Wanted::Running, ""),
        Err(StoreError::Missing { .. })
    ));
    store.drop_server(&hq).unwrap();
    assert!(store.server(&hq).unwrap().is_none());
    let secrets: i64 = store
        .writer()
        .query_row("SELECT count(*) FROM server_secret", [], |row| row.get(0))
        .unwrap();
    assert_eq!(secrets, 1, "the dropped server's password is gone");
}

#[test]
fn a_tasks_state_is_that_of_the_link_that_fares_worst() {
    let dir = TempDir::new();
    let store = filled(&dir);
    let orders = TaskName::new("orders").unwrap();
    let state = |store: &Store| ask(store, "SELECT state FROM sync.tasks").unwrap();
    assert_eq!(state(&store), "created");
    store.set_wanted(&orders, Wanted::Running, "").unwrap();
    assert_eq!(state(&store), "starting");
    let both = |reverse| {
        [
            status(Direction::Forward, State::Running),
            status(Direction::Reverse, reverse),
        ]
    };
    store.publish(&both(State::Retrying), Some(&[])).unwrap();
    assert_eq!(state(&store), "retrying");
    store.publish(&both(State::Running), Some(&[])).unwrap();
    assert_eq!(state(&store), "running");
    store.set_wanted(&orders, Wanted::Paused, "").unwrap();
    assert_eq!(state(&store), "paused");
}

#[test]
fn the_same_conflict_again_replaces_the_first_and_keeps_its_number() {
    let dir = TempDir::new();
    let store = filled(&dir);
    let first = store.record_conflict(&conflict("{\"id\":1}", "failed")).unwrap();
    let other = store.record_conflict(&conflict("{\"id\":2}", "failed")).unwrap();
    assert_ne!(first, other);
    assert_eq!(
        store.record_conflict(&conflict("{\"id\":1}", "overwritten")).unwrap(),
        first
    );
    let found = ask(
        &store,
        "SELECT id, `key`, outcome, `table`, type FROM sync.conflicts ORDER BY id",
    )
    .unwrap();
    let expected = format!(
        "{first},{{\"id\":1}},overwritten,shop.t,insert_exists|{other},{{\"id\":2}},failed,shop.t,insert_exists"
    );
    assert_eq!(found, expected);
}

#[test]
fn ddl_and_events_are_listed_and_the_logs_are_bounded() {
    let dir = TempDir::new();
    let store = filled(&dir);
    let ddl = |outcome| DdlRecord {
        task: "orders".into(),
        direction: Direction::Reverse,
        source_position: "a:5".into(),
        statement: "ALTER TABLE t ADD c INT".into(),
        outcome,
        applied_statement: None,
    };
    for outcome in ["failed", "refused", "refused"] {
        store.record_ddl(&ddl(outcome)).unwrap();
    }
    assert_eq!(
        ask(&store, "SELECT outcome FROM ddl ORDER BY id").unwrap(),
        "failed|refused"
    );
    let event = EventRecord {
        task: None,
        direction: None,
        level: Level::Info,
        message: "hello".into(),
    };
    store.record_event(&event).unwrap();
    assert_eq!(
        ask(&store, "SELECT task, level, message FROM events").unwrap(),
        "NULL,info,hello"
    );
    // As if 100,255 events had come before: the next one finds its number due, and the old ones go.
    store
        .writer()
        .execute_batch("UPDATE sqlite_sequence SET seq = 100351 WHERE name = 'events'")
        .unwrap();
    store.record_event(&event).unwrap();
    assert_eq!(ask(&store, "SELECT id FROM events").unwrap(), "100352");
}

#[test]
fn objects_come_back_as_published() {
    let dir = TempDir::new();
    let store = filled(&dir);
    let object = ObjectRow {
        task: "orders".into(),
        direction: Direction::Forward,
        source_table: "shop.t".into(),
        destination_table: "shop2.t".into(),
        phase: Phase::Full,
        rows_copied: 5,
        rows_estimated: None,
        inserts: 1,
        updates: 2,
        deletes: u64::MAX,
        conflicts: 4,
        bytes_copied: 500,
        copied_percent: None,
        copy_rows_per_second: 0,
        copy_seconds_left: None,
    };
    store.publish(&[], Some(std::slice::from_ref(&object))).unwrap();
    let last = store.last_objects().unwrap();
    assert_eq!(
        (last[0].rows_copied, last[0].phase, last[0].updates),
        (5, Phase::Full, 2)
    );
    assert_eq!(last[0].deletes, i64::MAX as u64, "the largest number the store has");
    store.publish(&[], None).unwrap();
    assert_eq!(store.last_objects().unwrap().len(), 1, "they stay as they are");
    let more = ObjectRow {
        inserts: 2,
        ..object.clone()
    };
    store.publish(&[], Some(&[more])).unwrap();
    let last = store.last_objects().unwrap();
    assert_eq!((last.len(), last[0].inserts), (1, 2));
    store.publish(&[], Some(&[])).unwrap();
    assert!(store.last_objects().unwrap().is_empty());
}

#[test]
fn selects_are_answered_with_mysqls_functions() {
    let dir = TempDir::new();
    let store = filled(&dir);
    store
        .publish(&[status(Direction::Forward, State::Running)], Some(&[]))
        .unwrap();
    let check = |sql: &str, expected: &str| assert_eq!(ask(&store, sql).as_deref(), Ok(expected), "{sql}");
    check(
        "SELECT name, host, port, user, ssl_mode, version, server_uuid, state, last_error FROM sync.servers WHERE name = 'hq'",
        "hq,10.0.0.1,3307,sync,VERIFY_CA,NULL,NULL,unknown,",
    );
    check(
        "SELECT task, source, destination, two_way, state FROM tasks",
        "orders,hq,branch,1,created",
    );
    check("SELECT json_extract(options, '$.workers') FROM tasks", "7");
    check(
        "SELECT since, lag_ms, idle FROM status",
        "2026-11-22 14:00:00.123,1500,0",
    );
    check(
        "SELECT s.task FROM sync.status s JOIN sync.tasks t USING (task) WHERE lag_ms > 1000 ORDER BY lag_ms DESC LIMIT 0, 5",
        "orders",
    );
    check("SELECT count(*) FROM sync.prechecks", "0");
    check("SELECT count(*) FROM sync.differences", "0");
    check("WITH status AS (SELECT 1 AS a) SELECT a FROM status", "1");
    check("WITH x AS (SELECT 1) SELECT count(*) FROM x", "1");
    check(
        "SELECT concat('a', 1, 'b'), concat('a', NULL), IF(1, 'y', 'n'), IFNULL(NULL, 2)",
        "a1b,NULL,y,2",
    );
    check(
        "SELECT LEFT('häuser', 2), RIGHT('häuser', 2), LOCATE('u', 'häuser'), LOCATE('x', 'h')",
        "hä,er,3,0",
    );
    check(
        "SELECT char_length('hä'), ucase('a'), lcase('B'), left(NULL, 1)",
        "2,A,b,NULL",
    );
    check(
        "SELECT length(NOW()), length(NOW(3)), length(curdate()), NOW(3) = NOW(3), now() > '2020-01-01'",
        "19,23,10,1,1",
    );
    check("SELECT 1.5 + 1, 'x', NULL", "2.5,x,NULL");
    check("SELECT value FROM json_each('[1,2]')", "1|2");
}

#[test]
fn columns_have_the_kind_of_their_values() {
    let dir = TempDir::new();
    let store = filled(&dir);
    let kinds = |sql: &str| {
        store
            .query(sql)
            .unwrap()
            .columns
            .into_iter()
            .map(|column| column.kind)
            .collect::<Vec<_>>()
    };
    use QueryKind::*;
    assert_eq!(
        kinds("SELECT task, lag_ms, lag_ms + 1 FROM status"),
        [Text, Integer, Text],
        "no rows, no kind"
    );
    assert_eq!(
        kinds("SELECT count(*), 1.5, 'x', NULL FROM tasks"),
        [Integer, Double, Text, Text]
    );
    assert_eq!(kinds("SELECT 1 UNION ALL SELECT 1.5 UNION ALL SELECT NULL"), [Double]);
    assert_eq!(kinds("SELECT 1 UNION ALL SELECT 'x'"), [Text]);
}

#[test]
fn nothing_but_reading_the_sync_schema_is_possible() {
    let dir = TempDir::new();
    let store = filled(&dir);
    let path = dir.path().join("other.db");
    let check = |sql: &str, code: u16| match store.query(sql) {
        Ok(result) => panic!("{sql}: {result:?}"),
        Err(error) => assert_eq!(error.code, code, "{sql}: {error}"),
    };
    for sql in [
        "SELECT * FROM server_secret",
        "SELECT * FROM sync.server_secret",
        "SELECT * FROM main.SERVER_SECRET",
        "SELECT count(*) FROM account",
        "SELECT 1 FROM sync.\"Account\"",
        "SELECT s.state FROM sync.status s, account",
        "WITH status AS (SELECT password FROM server_secret) SELECT * FROM status",
        "WITH tasks AS (SELECT definition FROM task_definition) SELECT count(*) FROM tasks",
        "SELECT (SELECT password_hash FROM account)",
        "SELECT * FROM (SELECT password_hash AS state FROM account) AS status",
        "SELECT name FROM servers ORDER BY (SELECT password FROM server_secret LIMIT 1)",
        "SELECT * FROM sqlite_master",
        "SELECT count(*) FROM sync.sqlite_schema",
        "SELECT * FROM sqlite_temp_master",
        "SELECT * FROM pragma_table_info('account')",
        "SELECT 1 FROM pragma_database_list",
        "SELECT * FROM dbstat",
        "SELECT load_extension('x')",
        "SELECT fts3_tokenizer('x')",
        "PRAGMA journal_mode",
        "PRAGMA query_only = OFF",
        "INSERT INTO events (level, message, at) VALUES ('', '', '')",
        "UPDATE servers SET host = 'evil'",
        "DELETE FROM tasks",
        "DROP TABLE tasks",
        "CREATE TABLE x (a)",
        "CREATE TEMP TABLE x (a)",
        "CREATE TEMP VIEW status AS SELECT 1",
        "BEGIN",
        "VACUUM",
        "REINDEX",
        "ANALYZE",
        "DETACH sync",
    ] {
        check(sql, 1142);
    }
    check(&format!("ATTACH '{}' AS other", path.display()), 1142);
    check(&format!("VACUUM INTO '{}'", path.display()), 1142);
    assert!(!path.exists());
    check("SELECT 1; SELECT 2", 1064);
    check("SELEC 1", 1064);
    check("SELECT FROM", 1064);
    check("SELECT 'a", 1064);
    check("", 1142);
    check("SELECT * FROM nowhere", 1146);
    check("SELECT * FROM mysql.user", 1146);
    check("SELECT wrong FROM tasks", 1054);
    check("SELECT \"x\"", 1054);
    check("SELECT task FROM tasks, status", 1052);
    check("SELECT sleep(1)", 1305);
    check("SELECT concat_ws()", 1582);
    check("SELECT ?", 1064);
    check("SELECT zeroblob(100000000)", 3170);
    check(
        "SELECT printf('%.60000000c', 'x') UNION ALL SELECT printf('%.60000000c', 'y')",
        3170,
    );
}

#[test]
fn dates_texts_and_gtid_sets_are_worked_with_as_in_mysql() {
    let dir = TempDir::new();
    let store = Store::open(dir.path()).unwrap();
    let check = |expression: &str, expected: &str| {
        let found = ask(&store, &format!("SELECT {expression}"));
        assert_eq!(found.as_deref(), Ok(expected), "{expression}");
    };
    check("unix_timestamp('1970-01-01 00:01:00')", "60");
    check("unix_timestamp('1970-01-01 00:00:00.5')", "0.5");
    check("unix_timestamp() = unix_timestamp(now())", "1");
    check("from_unixtime(951827445)", "2000-02-29 12:30:45");
    check("from_unixtime(0, '%W %Y')", "Thursday 1970");
    check("from_unixtime(1e300)", "NULL");
    check(
        "date_format('2026-11-22 20:05:09', '%d.%m.%y %H:%i:%s %p %b')",
        "22.11.26 20:05:09 PM Nov",
    );
    check("date_format('never', '%Y')", "NULL");
    check("date_add('2026-01-31', 1, 'MONTH')", "2026-02-28 00:00:00");
    check("date_sub('2026-01-01', '1', 'second')", "2025-12-31 23:59:59");
    check("timestampdiff('MINUTE', '2026-01-01', '2026-01-01 01:00:59')", "60");
    check("datediff('2026-01-02 01:00:00', '2025-12-31 23:00:00')", "2");
    check("time_to_sec('01:00:01'), sec_to_time(-3661)", "3601,-01:01:01");
    check(
        "year('2026-11-22'), month('2026-11-22'), dayofweek('2026-11-22'), weekday('2026-11-22')",
        "2026,11,1,6",
    );
    check(
        "hour('2026-11-22 20:41:38'), minute('2026-11-22 20:41:38'), second('x')",
        "20,41,NULL",
    );
    check(
        "substring_index('a.b.c', '.', 2), substring_index('a.b.c', '.', -1), substring_index('a', '.', 9)",
        "a.b,c,a",
    );
    check(
        "field('B', 'a', 'b'), find_in_set('b', 'a,B,c'), find_in_set('x', '')",
        "2,2,0",
    );
    check(
        "lpad('5', 3, '0'), rpad('abc', 2, 'x'), repeat('ab', 2), reverse('aü')",
        "005,ab,abab,üa",
    );
    check("greatest(1, 2.5, 2), least('b', 'a'), greatest(1, NULL)", "2.5,a,NULL");
    check("truncate(-1.999, 1), is_null(NULL), is_null(0)", "-1.9,1,0");
    check(
        "'Orders' REGEXP '^ord', 'x' REGEXP 'y', NULL REGEXP 'y', regexp_like('abc', 'B')",
        "1,0,NULL,1",
    );
    check("json_unquote('\"a\"'), json_unquote('a')", "a,a");
    let (one, two) = (
        "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-9",
        "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-8",
    );
    check(
        &format!("gtid_subset('{two}', '{one}'), gtid_subset('{one}', '{two}')"),
        "1,0",
    );
    check(
        &format!("gtid_subtract('{one}', '{two}')"),
        "3e11fa47-71ca-11e1-9e33-c80aa9429562:9",
    );
    for wrong in ["'a' REGEXP '('", "gtid_subset('x', 'y')", "repeat('x', 999999999)"] {
        assert!(ask(&store, &format!("SELECT {wrong}")).is_err(), "{wrong}");
    }
}
