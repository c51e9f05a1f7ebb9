//! What a server has to be like, found out over one connection.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use mysql_async::{Conn, Row, prelude::Queryable};

use crate::{
    connect,
    failure::Failure,
    model::{precheck::Verdict, server::ServerDefinition, status::CheckStep, stored::Account},
    precheck::{self, facts::VARIABLES},
    sql::literal,
};

pub use crate::precheck::facts::Facts;

use super::receiver;

/// Reads the facts.
///
/// # Errors
/// [`Failure`] if the server is out of reach or refuses.
pub async fn facts(server: &ServerDefinition) -> Result<Facts, Failure> {
    let mut conn = connect::open_bare(server).await?;
    let facts = read(&mut conn, server).await?;
    conn.disconnect()
        .await
        .map_err(|error| Failure::mysql(format_args!("closing the connection to server {}", server.name), &error))?;
    Ok(facts)
}

async fn read(conn: &mut Conn, server: &ServerDefinition) -> Result<Facts, Failure> {
    let failed = |error: mysql_async::Error| {
        Failure::mysql(format_args!("reading the settings of server {}", server.name), &error)
    };
    let number = conn.server_version();
    let names: Vec<String> = VARIABLES.iter().map(|name| literal::string(name)).collect();
    let variables: Vec<(String, String)> = conn
        .query(format!(
            "SHOW GLOBAL VARIABLES WHERE Variable_name IN ({})",
            names.join(",")
        ))
        .await
        .map_err(failed)?;
    let mut variables: BTreeMap<String, String> = variables.into_iter().collect();
    if variables.contains_key("gtid_purged") {
        // SHOW cuts long values.
        let purged: Option<String> = conn.query_first("SELECT @@GLOBAL.gtid_purged").await.map_err(failed)?;
        variables.insert("gtid_purged".to_owned(), purged.unwrap_or_default());
    }
    let before = now_ms();
    let account: Option<(String, u64)> = conn
        .query_first("SELECT CURRENT_USER(), CAST(UNIX_TIMESTAMP(NOW(6)) * 1000 AS UNSIGNED)")
        .await
        .map_err(failed)?;
    let after = now_ms();
    let (account, clock) = account.unwrap_or_default();
    let grants = receiver::grants(conn).await?;
    let status: Vec<(String, String)> = conn
        .query("SHOW SESSION STATUS WHERE Variable_name IN ('Ssl_version', 'Threads_connected')")
        .await
        .map_err(failed)?;
    let status = |name: &str| {
        let found = status.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    // Renamed in 8.2, the old name gone in 8.4.
    let binlog = if number >= (8, 2, 0) {
        "SHOW BINARY LOG STATUS"
    } else {
        "SHOW MASTER STATUS"
    };
    // Renamed in 8.0.22, the old names gone in 8.4.
    let [replicas, replica] = match number >= (8, 0, 22) {
        true => ["SHOW REPLICAS", "SHOW REPLICA STATUS"],
        false => ["SHOW SLAVE HOSTS", "SHOW SLAVE STATUS"],
    };
    let text = |row: &Row, place: usize| {
        row.get_opt::<Option<String>, _>(place)
            .and_then(Result::ok)
            .flatten()
            .unwrap_or_default()
    };
    let binlog_filters = asked(conn, binlog).await.map_err(failed)?;
    let binlog_filters = binlog_filters.map(|rows| {
        let row = rows.first();
        let filter = |place| row.map(|row| text(row, place)).unwrap_or_default();
        (filter(2), filter(3))
    });
    let may_replicate = asked(conn, replicas).await.map_err(failed)?.is_some();
    let is_replica = asked(conn, replica).await.map_err(failed)?.map(|rows| !rows.is_empty());
    let prepared = asked(conn, "XA RECOVER CONVERT XID").await.map_err(failed)?;
    let prepared = prepared.map(|rows| {
        rows.iter()
            .map(|row| xid(&[0, 1, 2, 3].map(|place| text(row, place))))
            .collect()
    });
    let half = (after - before) / 2;
    let variable = |name: &str| variables.get(name).cloned().unwrap_or_default();
    Ok(Facts {
        server_uuid: variable("server_uuid"),
        version: variable("version"),
        lower_case_table_names: variable("lower_case_table_names").parse().unwrap_or(0),
        number,
        account: Account::parse(&account),
        grants,
        encryption: status("Ssl_version"),
        binlog_filters,
        may_replicate,
        is_replica,
        clock_ms: (
            i64::try_from(clock).unwrap_or(0) - (before + half),
            half.unsigned_abs() + 1,
        ),
        connections: status("Threads_connected").parse().unwrap_or(0),
        prepared,
        variables,
    })
}

/// The rows of a statement; `None` if the server refuses it.
async fn asked(conn: &mut Conn, statement: &str) -> mysql_async::Result<Option<Vec<Row>>> {
    match conn.query(statement).await {
        Ok(rows) => Ok(Some(rows)),
        Err(mysql_async::Error::Server(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// `X'gtrid',X'bqual',format` of a row of XA RECOVER CONVERT XID: format, two lengths in bytes, both parts as 0x….
fn xid([format, first, second, data]: &[String; 4]) -> String {
    let digits = data.trim_start_matches("0x");
    let length = |text: &str| text.parse::<usize>().unwrap_or(0) * 2;
    let (first, second) = (length(first), length(second));
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    format!("X'{}',X'{}',{format}", part(0, first), part(first, first + second))
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The rows of `CHECK SERVER`, and the facts if it could be reached. Of a server with several hosts, each is connected to;
/// the first that answers is looked at.
pub async fn check_server(server: &ServerDefinition) -> (Vec<CheckStep>, Option<Facts>) {
    let (mut steps, mut facts) = (Vec::new(), None);
    for address in server.address.each() {
        let one = ServerDefinition {
            address,
            in_use: None,
            ..server.clone()
        };
        let (mut host, found) = check_host(&one).await;
        if facts.is_some() {
            host.retain(|step| matches!(step.step, "connect" | "encryption"));
        }
        steps.extend(host);
        facts = facts.or(found);
    }
    if facts.is_some() && server.address.is_list() {
        for step in steps
            .iter_mut()
            .filter(|step| step.step == "connect" && step.result == Verdict::Fail.as_str())
        {
            step.result = Verdict::Warn.as_str();
        }
    }
    (steps, facts)
}

async fn check_host(server: &ServerDefinition) -> (Vec<CheckStep>, Option<Facts>) {
    let step = |step, result: Verdict, found: String, remedy: String| CheckStep {
        step,
        result: result.as_str(),
        found,
        remedy,
    };
    let mut conn = match connect::open_bare(server).await {
        Ok(conn) => conn,
        Err(failure) => {
            let remedy = "check HOST, PORT, USER, PASSWORD and SSL_MODE, and that the server lets this host in";
            return (
                vec![step("connect", Verdict::Fail, failure.message, remedy.to_owned())],
                None,
            );
        }
    };
    let found = format!("{} as {}", server.address, server.user);
    let mut steps = vec![step("connect", Verdict::Pass, found, String::new())];
    match read(&mut conn, server).await {
        Ok(facts) => {
            for (name, judged) in precheck::of_server(&described(server, Ok(facts.clone())), &facts) {
                steps.push(step(name, judged.result, judged.found, judged.remedy));
            }
            (steps, Some(facts))
        }
        Err(failure) => {
            let remedy = "see docs/privileges.md".to_owned();
            steps.push(step("settings", Verdict::Fail, failure.message, remedy));
            (steps, None)
        }
    }
}

/// A server as rules look at it.
pub fn described(server: &ServerDefinition, facts: Result<Facts, String>) -> precheck::facts::Server {
    precheck::facts::Server {
        name: server.name.to_string(),
        address: server.address.clone(),
        ssl_mode: server.ssl_mode,
        facts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prepared_transaction_is_named_as_xa_commit_names_it() {
        let row = ["1", "2", "1", "0x61620a"].map(str::to_owned);
        assert_eq!(xid(&row), "X'6162',X'0a',1");
    }
}
