//! A server dies, or is replaced, and a replica takes its place: the task goes on where it was, or says why it can't.

use std::{io::Write as _, process::Stdio};

use causeway::demo::mysqld::{LocalServer, ServerOptions};
use mysql_async::prelude::Queryable as _;

use crate::support::{
    ask::{cell, error_of, eventually, quiet, rows, sql, try_rows},
    clients,
    cluster::{Pair, Proxy, server},
    compare::assert_same,
    load::{Load, Side, make_tables},
};

const DATABASE: &str = "shop";
const NONE: Vec<Vec<String>> = Vec::new();
/// No test waits for a window to end: its minutes are ten.
const LONG_MINUTE_MS: u64 = 600_000;

/// A replica of a server: read-only, applying all that it gets.
async fn replica_of(source: &LocalServer) -> LocalServer {
    let replica = server(ServerOptions::default()).await;
    sql(
        &replica,
        &format!(
            "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = {}, SOURCE_USER = 'root',
                SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1, SOURCE_CONNECT_RETRY = 1;
             SET GLOBAL super_read_only = ON; START REPLICA",
            source.port
        ),
    )
    .await;
    replica
}

async fn executed(server: &LocalServer) -> String {
    cell(server, "SELECT REPLACE(@@gtid_executed, '\n', '')").await
}

/// Waits until the replica has executed what the other server has by now.
async fn catches_up(replica: &LocalServer, with: &LocalServer) {
    let goal = executed(with).await;
    eventually("the replica catches up", async || {
        let has = cell(replica, &format!("SELECT GTID_SUBSET('{goal}', @@gtid_executed)")).await;
        (has == "1").then_some(())
    })
    .await;
}

/// Waits until the replica has applied all that it has received.
async fn applies_all(replica: &LocalServer) {
    let query = "SELECT GTID_SUBSET(RECEIVED_TRANSACTION_SET, @@gtid_executed) FROM
        performance_schema.replication_connection_status";
    eventually("the replica applies what it has", async || {
        (cell(replica, query).await == "1").then_some(())
    })
    .await;
}

/// Makes a server of a replica.
async fn promote(replica: &LocalServer) {
    applies_all(replica).await;
    sql(
        replica,
        "STOP REPLICA; RESET REPLICA ALL; SET GLOBAL super_read_only = OFF; SET GLOBAL read_only = OFF",
    )
    .await;
}

/// What a replica has not got of a dead server is brought over from that one's binlogs.
async fn bring_over(dead: &LocalServer, to: &LocalServer) {
    let has = executed(to).await;
    let data = dead.dir.join("data");
    let mut logs: Vec<_> = std::fs::read_dir(&data)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end != "index" && end != "~rec~"))
        .filter(|path| path.file_stem().is_some_and(|stem| stem == "binlog"))
        .collect();
    logs.sort();
    let mut command = dead.installation().program("mysqlbinlog");
    let output = command
        .arg("--no-defaults")
        .arg(format!("--exclude-gtids={has}"))
        .args(&logs)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut client = clients::mysql()
        .args(["--commands", "--binary-mode", "--host=127.0.0.1", "--user=root"])
        .arg(format!("--port={}", to.port))
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = client.stdin.take().unwrap();
    input.write_all(&output.stdout).unwrap();
    drop(input);
    let ended = client.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

fn at(number: u64, server: &LocalServer) -> Side<'_, LocalServer> {
    Side {
        number,
        server,
        database: DATABASE,
    }
}

async fn alter(proxy: &Proxy, name: &str, to: &LocalServer) {
    let statement = format!("ALTER SERVER {name} OPTIONS (HOST '127.0.0.1', PORT {})", to.port);
    sql(proxy, &statement).await;
}

/// A pair with the load's tables, and a task between its servers that runs.
async fn in_step(pair: &Pair, proxy: &Proxy, task: &str) {
    make_tables(&pair.hq, DATABASE).await;
    proxy.register(pair).await;
    sql(
        proxy,
        &format!("CREATE SYNC TASK t {task} OBJECTS (shop.*) WITH (heartbeat = OFF)"),
    )
    .await;
    sql(proxy, "START SYNC TASK t").await;
    proxy.wait_state("t", "running").await;
    proxy.wait_synced("t").await;
}

async fn last_error(proxy: &Proxy) -> String {
    let errors = rows(proxy, "SELECT last_error FROM sync.status ORDER BY direction").await;
    errors.concat().join(" ")
}

async fn wait_error(proxy: &Proxy, part: &str) -> String {
    eventually(&format!("last_error has {part:?}"), async || {
        let error = last_error(proxy).await;
        error.contains(part).then_some(error)
    })
    .await
}

#[tokio::test]
async fn a_promoted_replica_takes_the_place_of_a_killed_source_under_load() {
    let mut pair = Pair::start().await;
    let replica = replica_of(&pair.hq).await;
    let proxy = Proxy::start_with_minute(LONG_MINUTE_MS).await;
    in_step(&pair, &proxy, "BETWEEN hq AND branch").await;
    let site = cell(&pair.hq, "SELECT site FROM causeway.site").await;
    assert_eq!(site, cell(&pair.hq, "SELECT @@server_uuid").await);

    let load = Load::start(&[at(0, &pair.hq), at(1, &pair.branch)], 3);
    load.commits(300).await;
    pair.hq.kill9();
    let servers = "SELECT state, last_error <> '' FROM sync.servers ORDER BY name";
    eventually("the server is seen to be away", async || {
        (rows(&proxy, servers).await == [["reachable", "0"], ["unreachable", "1"]]).then_some(())
    })
    .await;
    let states = rows(&proxy, "SELECT state FROM sync.status").await;
    assert_eq!(states, [["retrying"], ["retrying"]]);
    promote(&replica).await;
    bring_over(&pair.hq, &replica).await;
    alter(&proxy, "hq", &replica).await;
    load.move_to(&at(0, &replica));
    load.commits(300).await;
    let tally = load.finish().await;
    proxy.wait_synced("t").await;
    assert_same(&replica, &pair.branch, DATABASE).await;
    for server in [&replica, &pair.branch] {
        tally.assert_at(server, DATABASE).await;
    }
    assert_eq!(rows(&proxy, "SELECT * FROM sync.conflicts").await, NONE);
    quiet(&[&replica, &pair.branch]).await;
    tally.assert_at(&replica, DATABASE).await;
    // It is the same site as before, also in the paths of what has come from it since.
    let paths = "SELECT DISTINCT path FROM causeway.checkpoint WHERE link = 'forward' AND path <> ''";
    assert_eq!(rows(&pair.branch, paths).await, [[site.clone()]]);
    assert_eq!(cell(&replica, "SELECT site FROM causeway.site").await, site);
    let shown = rows(&proxy, "SELECT server_uuid FROM sync.servers WHERE name = 'hq'").await;
    assert_eq!(shown, rows(&replica, "SELECT @@server_uuid").await);
}

#[tokio::test]
async fn a_task_goes_to_the_other_host_by_itself_and_not_back_to_one_that_has_stayed_behind() {
    let mut pair = Pair::start().await;
    let mut replica = replica_of(&pair.hq).await;
    let proxy = Proxy::start_with_minute(LONG_MINUTE_MS).await;
    make_tables(&pair.hq, DATABASE).await;
    proxy.register_as("branch", &pair.branch).await;
    let (first, second) = (
        format!("127.0.0.1:{}", pair.hq.port),
        format!("127.0.0.1:{}", replica.port),
    );
    sql(
        &proxy,
        &format!("CREATE SERVER hq OPTIONS (HOST '{first}, {second}', USER 'root', PASSWORD '')"),
    )
    .await;
    sql(
        &proxy,
        "CREATE SYNC TASK t BETWEEN hq AND branch OBJECTS (shop.*) WITH (heartbeat = OFF)",
    )
    .await;
    sql(&proxy, "START SYNC TASK t").await;
    proxy.wait_state("t", "running").await;
    let in_use = async || {
        let shown = rows(&proxy, "SHOW SERVERS").await;
        assert_eq!(shown[1][1], format!("{first},{second}"));
        shown[1][6].clone()
    };
    assert_eq!(in_use().await, first);
    let checked = rows(&proxy, "CHECK SERVER hq").await;
    let connects = checked.iter().filter(|row| row[0] == "connect" && row[1] == "pass");
    assert_eq!(connects.count(), 2, "{checked:?}");

    let load = Load::start(&[at(0, &pair.hq), at(1, &pair.branch)], 2);
    load.commits(200).await;
    pair.hq.kill9();
    // Not promoted yet: it must not be written to.
    wait_error(&proxy, "read-only, so it is passed over").await;
    applies_all(&replica).await;
    sql(
        &replica,
        "STOP REPLICA IO_THREAD; SET GLOBAL super_read_only = OFF; SET GLOBAL read_only = OFF",
    )
    .await;
    wait_error(&proxy, "still applies as a replica").await;
    bring_over(&pair.hq, &replica).await;
    sql(&replica, "STOP REPLICA; RESET REPLICA ALL").await;
    load.move_to(&at(0, &replica));
    load.commits(200).await;
    proxy.wait_state("t", "running").await;
    let tally = load.finish().await;
    proxy.wait_synced("t").await;
    assert_same(&replica, &pair.branch, DATABASE).await;
    tally.assert_at(&replica, DATABASE).await;
    tally.assert_at(&pair.branch, DATABASE).await;
    assert_eq!(in_use().await, second);
    // Monitors see where it is read.
    let shown = rows(&proxy, "SHOW REPLICA STATUS").await;
    assert_eq!(format!("{}:{}", shown[0][1], shown[0][3]), second);

    // The old server comes back, as it was: it is left alone, also when the new one is away.
    sql(&replica, "INSERT INTO shop.plain VALUES (1, 1, 1, 'after')").await;
    pair.hq.restart().await.unwrap();
    proxy.wait_synced("t").await;
    let stale = executed(&pair.hq).await;
    replica.stop().await.unwrap();
    let error = wait_error(&proxy, "lacks transactions").await;
    assert!(error.contains(&second), "{error}");
    replica.restart().await.unwrap();
    proxy.wait_state("t", "running").await;
    sql(&pair.branch, "INSERT INTO shop.plain VALUES (2, 2, 2, 'back')").await;
    proxy.wait_synced("t").await;
    assert_same(&replica, &pair.branch, DATABASE).await;
    assert_eq!(in_use().await, second);
    assert_eq!(executed(&pair.hq).await, stale);
}

#[tokio::test]
async fn what_was_lost_with_a_server_that_was_written_to_is_applied_again() {
    let mut pair = Pair::start().await;
    let replica = replica_of(&pair.hq).await;
    let mut proxy = Proxy::start_with_minute(LONG_MINUTE_MS).await;
    in_step(&pair, &proxy, "BETWEEN hq AND branch").await;
    sql(&pair.hq, "INSERT INTO shop.plain VALUES (1, 1, 1, 'hq')").await;
    let load = Load::start(&[at(1, &pair.branch)], 3);
    load.commits(100).await;
    proxy.wait_synced("t").await;
    catches_up(&replica, &pair.hq).await;
    // From here on the replica gets nothing: only what Causeway itself applied there is lost.
    sql(&replica, "STOP REPLICA IO_THREAD").await;
    load.commits(200).await;
    proxy.wait_synced("t").await;
    let lost = executed(&pair.hq).await;
    pair.hq.kill9();
    wait_error(&proxy, "connecting to server hq").await;
    proxy.stop().await.unwrap();
    promote(&replica).await;
    let has = cell(&replica, &format!("SELECT GTID_SUBSET('{lost}', @@gtid_executed)")).await;
    assert_eq!(has, "0", "something must be lost for this test to tell anything");
    proxy.restart().await.unwrap();
    alter(&proxy, "hq", &replica).await;
    load.commits(100).await;
    let tally = load.finish().await;
    sql(&replica, "INSERT INTO shop.plain VALUES (2, 2, 2, 'new hq')").await;
    proxy.wait_synced("t").await;
    assert_same(&replica, &pair.branch, DATABASE).await;
    tally.assert_at(&replica, DATABASE).await;
    assert_eq!(rows(&proxy, "SELECT * FROM sync.conflicts").await, NONE);
    // Nothing of the old server that is gone counts as done any more.
    let applied = cell(
        &pair.branch,
        "SELECT REPLACE(applied, '\n', '') FROM causeway.checkpoint WHERE slot = 0 AND link = 'forward'",
    )
    .await;
    let fits = cell(&replica, &format!("SELECT GTID_SUBSET('{applied}', @@gtid_executed)")).await;
    assert_eq!(fits, "1");
}

#[tokio::test]
async fn a_promoted_replica_that_lacks_what_was_applied_stops_the_task_and_says_which() {
    let mut pair = Pair::start().await;
    let replica = replica_of(&pair.hq).await;
    let proxy = Proxy::start_with_minute(LONG_MINUTE_MS).await;
    in_step(&pair, &proxy, "BETWEEN hq AND branch").await;
    catches_up(&replica, &pair.hq).await;
    sql(&replica, "STOP REPLICA IO_THREAD").await;
    sql(&pair.hq, "INSERT INTO shop.plain VALUES (1, 1, 1, 'unseen')").await;
    let uuid = cell(&pair.hq, "SELECT @@server_uuid").await;
    proxy.wait_synced("t").await;
    pair.hq.kill9();
    promote(&replica).await;
    sql(&replica, "INSERT INTO shop.plain VALUES (2, 2, 2, 'new')").await;
    alter(&proxy, "hq", &replica).await;
    proxy.wait_state("t", "failed").await;
    let error = last_error(&proxy).await;
    let parts = [
        "server hq",
        "lacks transactions",
        "at server branch",
        &format!("{uuid}:"),
        "--include-gtids",
    ];
    assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    let (code, refused) = error_of(&proxy, "RESUME SYNC TASK t").await;
    assert!(code == 3105 && refused.contains("lacks transactions"), "{refused}");
    let count = async || cell(&pair.branch, "SELECT COUNT(*) FROM shop.plain").await;
    assert_eq!(count().await, "1", "nothing of the new server is applied");

    // As the message says.
    bring_over(&pair.hq, &replica).await;
    sql(&proxy, "RESUME SYNC TASK t").await;
    proxy.wait_synced("t").await;
    assert_same(&replica, &pair.branch, DATABASE).await;
    assert_eq!(count().await, "2");
}

#[tokio::test]
async fn another_server_under_the_name_is_refused() {
    let pair = Pair::start().await;
    let stranger = server(ServerOptions::default()).await;
    make_tables(&stranger, DATABASE).await;
    let proxy = Proxy::start_with_minute(LONG_MINUTE_MS).await;
    in_step(&pair, &proxy, "BETWEEN hq AND branch").await;
    sql(&pair.hq, "INSERT INTO shop.plain VALUES (1, 1, 1, 'hq')").await;
    proxy.wait_synced("t").await;
    // While the task runs, at a start, and as its destination.
    alter(&proxy, "hq", &stranger).await;
    proxy.wait_state("t", "failed").await;
    let error = last_error(&proxy).await;
    assert!(
        error.contains("server hq") && error.contains("none of the transactions"),
        "{error}"
    );
    let (code, error) = error_of(&proxy, "RESUME SYNC TASK t").await;
    assert!(code == 3105 && error.contains("none of the transactions"), "{error}");
    alter(&proxy, "hq", &pair.hq).await;
    alter(&proxy, "branch", &stranger).await;
    let (_, error) = error_of(&proxy, "RESUME SYNC TASK t").await;
    assert!(
        error.contains("server branch") && error.contains("none of the transactions"),
        "{error}"
    );
    assert_eq!(cell(&stranger, "SELECT COUNT(*) FROM shop.plain").await, "0");
    alter(&proxy, "branch", &pair.branch).await;
    sql(&proxy, "RESUME SYNC TASK t").await;
    proxy.wait_synced("t").await;
    assert_same(&pair.hq, &pair.branch, DATABASE).await;

    // A server made from a copy of another one, causeway schema included.
    sql(&proxy, "STOP SYNC TASK t").await;
    let site = cell(&pair.hq, "SELECT site FROM causeway.site").await;
    sql(
        &stranger,
        &format!(
            "DROP DATABASE shop; CREATE DATABASE causeway; CREATE TABLE causeway.site (id TINYINT UNSIGNED PRIMARY KEY, site
             VARCHAR(100) NOT NULL); INSERT INTO causeway.site VALUES (1, '{site}')"
        ),
    )
    .await;
    proxy.register_as("copy", &stranger).await;
    sql(&proxy, "CREATE SYNC TASK c FROM hq TO copy OBJECTS (shop.*)").await;
    let (_, error) = error_of(&proxy, "START SYNC TASK c").await;
    assert!(
        error.contains("causeway.site") && error.contains("DROP DATABASE causeway"),
        "{error}"
    );
    sql(&stranger, "DROP DATABASE causeway").await;
    sql(&proxy, "START SYNC TASK c").await;
    proxy.wait_synced("c").await;
    assert_same(&pair.hq, &stranger, DATABASE).await;
}

#[tokio::test]
async fn a_destination_fails_over_and_gets_again_what_was_lost_with_it() {
    let mut pair = Pair::start().await;
    let replica = replica_of(&pair.branch).await;
    let proxy = Proxy::start_with_minute(LONG_MINUTE_MS).await;
    make_tables(&pair.hq, DATABASE).await;
    proxy.register_as("hq", &pair.hq).await;
    sql(
        &proxy,
        &format!(
            "CREATE SERVER branch OPTIONS (HOST '127.0.0.1:{},127.0.0.1:{}', USER 'root', PASSWORD '')",
            pair.branch.port, replica.port
        ),
    )
    .await;
    sql(&proxy, "CREATE SYNC TASK t FROM hq TO branch OBJECTS (shop.*)").await;
    sql(&proxy, "START SYNC TASK t").await;
    proxy.wait_synced("t").await;
    let load = Load::start(&[at(0, &pair.hq)], 4);
    load.commits(200).await;
    catches_up(&replica, &pair.branch).await;
    sql(&replica, "STOP REPLICA IO_THREAD").await;
    load.commits(200).await;
    proxy.wait_synced("t").await;
    let lost = executed(&pair.branch).await;
    pair.branch.kill9();
    promote(&replica).await;
    let has = cell(&replica, &format!("SELECT GTID_SUBSET('{lost}', @@gtid_executed)")).await;
    assert_eq!(has, "0", "something must be lost for this test to tell anything");
    load.commits(200).await;
    let tally = load.finish().await;
    proxy.wait_synced("t").await;
    assert_same(&pair.hq, &replica, DATABASE).await;
    tally.assert_at(&replica, DATABASE).await;
    assert_eq!(rows(&proxy, "SELECT * FROM sync.conflicts").await, NONE);
}

#[tokio::test]
async fn a_source_that_is_only_read_may_be_a_replica_that_nobody_has_promoted() {
    let mut pair = Pair::start().await;
    let replica = replica_of(&pair.hq).await;
    let proxy = Proxy::start_with_minute(LONG_MINUTE_MS).await;
    make_tables(&pair.hq, DATABASE).await;
    proxy.register_as("branch", &pair.branch).await;
    let second = format!("127.0.0.1:{}", replica.port);
    sql(
        &proxy,
        &format!(
            "CREATE SERVER hq OPTIONS (HOST '127.0.0.1:{},{second}', USER 'root', PASSWORD '')",
            pair.hq.port
        ),
    )
    .await;
    sql(
        &proxy,
        "CREATE SYNC TASK t FROM hq TO branch OBJECTS (shop.*) WITH (heartbeat = OFF)",
    )
    .await;
    sql(&proxy, "START SYNC TASK t").await;
    proxy.wait_synced("t").await;
    sql(&pair.hq, "INSERT INTO shop.plain VALUES (1, 1, 1, 'hq')").await;
    proxy.wait_synced("t").await;
    catches_up(&replica, &pair.hq).await;
    pair.hq.kill9();
    eventually("the replica is in use", async || {
        let in_use = rows(&proxy, "SELECT in_use FROM sync.servers WHERE name = 'hq'").await;
        (in_use == [[second.clone()]]).then_some(())
    })
    .await;
    proxy.wait_state("t", "running").await;
    let own = cell(
        &replica,
        "SELECT GTID_SUBTRACT(@@gtid_executed, GTID_SUBTRACT(@@gtid_executed, CONCAT(@@server_uuid,
        ':1-1000000')))",
    )
    .await;
    assert_eq!(own, "", "nothing was written to the replica");
    promote(&replica).await;
    sql(&replica, "INSERT INTO shop.plain VALUES (2, 2, 2, 'new')").await;
    proxy.wait_synced("t").await;
    assert_same(&replica, &pair.branch, DATABASE).await;
}

#[tokio::test]
async fn a_source_is_not_replaced_while_its_tables_are_copied() {
    let mut pair = Pair::start().await;
    let replica = replica_of(&pair.hq).await;
    let proxy = Proxy::start_with_minute(LONG_MINUTE_MS).await;
    let table = "CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY)";
    sql(&pair.hq, &format!("{table}; INSERT INTO shop.t VALUES (1)")).await;
    sql(&pair.branch, table).await;
    // The copy waits for this row.
    let mut holder = pair.branch.connect().await.unwrap();
    holder.query_drop("BEGIN; INSERT INTO shop.t VALUES (1)").await.unwrap();
    proxy.register(&pair).await;
    sql(
        &proxy,
        "CREATE SYNC TASK t FROM hq TO branch OBJECTS (shop.*) WITH (heartbeat = OFF, existing_tables = 'proceed')",
    )
    .await;
    sql(&proxy, "START SYNC TASK t").await;
    eventually("the copy is under way", async || {
        let phase = try_rows(&pair.branch, "SELECT phase FROM causeway.checkpoint WHERE slot = 0").await;
        phase.is_ok_and(|phase| phase == [["full"]]).then_some(())
    })
    .await;
    catches_up(&replica, &pair.hq).await;
    pair.hq.kill9();
    promote(&replica).await;
    alter(&proxy, "hq", &replica).await;
    proxy.wait_state("t", "failed").await;
    let error = last_error(&proxy).await;
    assert!(error.contains("while tables were being copied"), "{error}");
    holder.query_drop("ROLLBACK").await.unwrap();
    // The old one is back.
    pair.hq.restart().await.unwrap();
    alter(&proxy, "hq", &pair.hq).await;
    sql(&proxy, "RESUME SYNC TASK t").await;
    proxy.wait_synced("t").await;
    assert_same(&pair.hq, &pair.branch, DATABASE).await;
}
