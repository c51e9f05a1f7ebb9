//! What a server has to be like, found out over one connection.

use mysql_async::{Conn, Row, prelude::Queryable};

use crate::{
    connect,
    failure::Failure,
    model::{name::OWN_DATABASE, server::ServerDefinition, status::CheckStep},
};

/// The oldest version: `VALUES ROW(…)` came with 8.0.19.
const MIN_VERSION: (u16, u16, u16) = (8, 0, 19);

/// What matters of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// `@@server_uuid`.
    pub server_uuid: String,
    /// What tells two servers with one `server_uuid` apart: where they run and where their data are.
    instance: String,
    /// `@@version`.
    pub version: String,
    number: (u16, u16, u16),
    is_mariadb: bool,
    log_bin: bool,
    binlog_format: String,
    binlog_row_image: String,
    binlog_row_metadata: String,
    gtid_mode: String,
    /// How it keeps and compares names of databases and tables.
    pub lower_case_table_names: u8,
    row_value_options: String,
    /// The server's `binlog_do_db` and `binlog_ignore_db` lists; `None` if it does not show them to this account.
    binlog_filters: Option<(String, String)>,
}

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
    let number = conn.server_version();
    let row: Option<Row> = conn
        .query_first(
            "SELECT @@server_uuid, @@version, @@log_bin, @@binlog_format, @@binlog_row_image, @@binlog_row_metadata, \
             @@gtid_mode, @@binlog_row_value_options, CONCAT_WS(' ', @@hostname, @@port, @@datadir, @@server_id), \
             @@lower_case_table_names",
        )
        .await
        .map_err(|error| {
            let failure = Failure::mysql(format_args!("reading the settings of server {}", server.name), &error);
            // 1193, unknown system variable: not MySQL, or a very old one.
            if matches!(&error, mysql_async::Error::Server(error) if error.code == 1193) {
                Failure::data(format!(
                    "{failure}. Causeway synchronizes MySQL servers from version 8.0.19 on"
                ))
            } else {
                failure
            }
        })?;
    let text = |place: usize| {
        row.as_ref()
            .and_then(|row| row.get_opt::<Option<String>, _>(place))
            .and_then(Result::ok)
            .flatten()
            .unwrap_or_default()
    };
    let version = text(1);
    // Renamed in 8.2, the old name gone in 8.4.
    let statement = if number >= (8, 2, 0) {
        "SHOW BINARY LOG STATUS"
    } else {
        "SHOW MASTER STATUS"
    };
    let status: Result<Option<Row>, _> = conn.query_first(statement).await;
    let filter = |row: &Row, place: usize| {
        row.get_opt::<Option<String>, _>(place)
            .and_then(Result::ok)
            .flatten()
            .unwrap_or_default()
    };
    let binlog_filters = status.ok().flatten().map(|row| (filter(&row, 2), filter(&row, 3)));
    Ok(Facts {
        binlog_filters,
        server_uuid: text(0),
        is_mariadb: version.to_ascii_lowercase().contains("mariadb"),
        version,
        number,
        log_bin: text(2) == "1",
        binlog_format: text(3),
        binlog_row_image: text(4),
        binlog_row_metadata: text(5),
        gtid_mode: text(6),
        row_value_options: text(7),
        instance: text(8),
        lower_case_table_names: text(9).parse().unwrap_or(0),
    })
}

fn step(name: &'static str, good: bool, found: impl Into<String>, remedy: &str) -> CheckStep {
    CheckStep {
        step: name,
        result: if good { "pass" } else { "fail" },
        found: found.into(),
        remedy: if good { String::new() } else { remedy.to_owned() },
    }
}

impl Facts {
    /// What any server of a task needs.
    fn common(&self) -> Vec<CheckStep> {
        vec![step(
            "version",
            self.number >= MIN_VERSION && !self.is_mariadb,
            self.version.clone(),
            "Causeway synchronizes MySQL servers from version 8.0.19 on",
        )]
    }

    /// What a server needs whose changes are followed.
    fn followed(&self) -> Vec<CheckStep> {
        let mut metadata = step(
            "binlog_row_metadata",
            self.binlog_row_metadata == "FULL",
            self.binlog_row_metadata.clone(),
            "SET PERSIST binlog_row_metadata = 'FULL' makes the binlog say which columns it speaks of",
        );
        if metadata.result == "fail" {
            metadata.result = "warn";
        }
        vec![
            step(
                "log_bin",
                self.log_bin,
                if self.log_bin { "ON" } else { "OFF" },
                "start the server with log_bin",
            ),
            step(
                "binlog_format",
                self.binlog_format == "ROW",
                self.binlog_format.clone(),
                "SET PERSIST binlog_format = 'ROW'",
            ),
            step(
                "binlog_row_image",
                self.binlog_row_image == "FULL",
                self.binlog_row_image.clone(),
                "SET PERSIST binlog_row_image = 'FULL'",
            ),
            step(
                "binlog_row_value_options",
                self.row_value_options.is_empty(),
                self.row_value_options.clone(),
                "SET PERSIST binlog_row_value_options = ''",
            ),
            step(
                "gtid_mode",
                self.gtid_mode == "ON",
                self.gtid_mode.clone(),
                "SET PERSIST enforce_gtid_consistency = ON, then raise gtid_mode step by step to ON (OFF_PERMISSIVE, \
                 ON_PERMISSIVE, ON)",
            ),
            metadata,
            self.filters(),
        ]
    }

    /// The other link recognizes what Causeway applied by the rows of the `causeway` schema: where they are kept out of
    /// the binlog, changes would travel in a circle.
    fn filters(&self) -> CheckStep {
        let remedy = "grant REPLICATION CLIENT, so that the binlog's filters can be looked at (docs/privileges.md)";
        let Some((only, not)) = &self.binlog_filters else {
            return step("binlog filters", false, "not shown to this account", remedy);
        };
        let lists = |list: &str| list.split(',').any(|database| database.trim() == OWN_DATABASE);
        let found = if only.is_empty() && not.is_empty() {
            "none".to_owned()
        } else {
            format!("binlog_do_db: {only}; binlog_ignore_db: {not}")
        };
        step(
            "binlog filters",
            (only.is_empty() || lists(only)) && !lists(not),
            found,
            "start the server with the causeway database in its binlog: add binlog_do_db=causeway, or take \
             binlog_ignore_db=causeway out",
        )
    }

    /// Why a task can't have these two servers, if it can't. One server twice is fine; a copy of a data directory that
    /// goes by the uuid of its original is not: nothing could tell whose changes are whose.
    pub fn clash(&self, other: &Facts) -> Option<String> {
        (self.server_uuid == other.server_uuid && self.instance != other.instance).then(|| {
            format!(
                "both servers have the server_uuid {}, but they are not one server: one is a copy of the other. Stop one of \
                 them, remove auto.cnf from its data directory, and start it again",
                self.server_uuid
            )
        })
    }

    /// Why a task can't use the server in this role, if it can't.
    pub fn refusal(&self, server: &ServerDefinition, followed: bool) -> Option<String> {
        let mut steps = self.common();
        if followed {
            steps.extend(self.followed());
        }
        let failed: Vec<String> = steps
            .iter()
            .filter(|step| step.result == "fail")
            .map(|step| format!("{} is {} ({})", step.step, step.found, step.remedy))
            .collect();
        (!failed.is_empty()).then(|| format!("server {}: {}", server.name, failed.join("; ")))
    }
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
            .filter(|step| step.step == "connect" && step.result == "fail")
        {
            step.result = "warn";
        }
    }
    (steps, facts)
}

async fn check_host(server: &ServerDefinition) -> (Vec<CheckStep>, Option<Facts>) {
    let mut conn = match connect::open_bare(server).await {
        Ok(conn) => conn,
        Err(failure) => {
            let remedy = "check HOST, PORT, USER, PASSWORD and SSL_MODE, and that the server lets this host in";
            return (vec![step("connect", false, failure.message, remedy)], None);
        }
    };
    let mut steps = vec![step(
        "connect",
        true,
        format!("{} as {}", server.address, server.user),
        "",
    )];
    let tls: Result<Option<(String, String)>, _> = conn.query_first("SHOW SESSION STATUS LIKE 'Ssl_version'").await;
    let tls = tls.ok().flatten().map(|(_, version)| version).unwrap_or_default();
    steps.push(step(
        "encryption",
        true,
        if tls.is_empty() { "none".to_owned() } else { tls },
        "",
    ));
    match read(&mut conn, server).await {
        Ok(facts) => {
            steps.extend(facts.common());
            steps.extend(facts.followed());
            (steps, Some(facts))
        }
        Err(failure) => {
            steps.push(step("settings", false, failure.message, "see docs/privileges.md"));
            (steps, None)
        }
    }
}
