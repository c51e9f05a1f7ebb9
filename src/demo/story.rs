//! What happens in the demo, from two empty servers to two that hold the same.

use std::{
    collections::BTreeMap,
    process::ExitCode,
    time::{Duration, Instant},
};

use mysql_async::{Conn, Row, Value, prelude::Queryable as _};

use super::{
    DemoError, DemoOptions, employees,
    mysqld::{Installation, LocalServer, ServerOptions},
    proxy::LocalProxy,
    screen::{Screen, bar, grouped},
};

const CREATE_TASK: &str = "\
CREATE SYNC TASK company
BETWEEN hq AND branch
OBJECTS (employees.*)
WITH (conflict_policy = 'overwrite')
REVERSE WITH (conflict_policy = 'ignore')";

/// How long the full copy may stand still, and how long changes may take to arrive. Generous, as machines are busy.
const PATIENCE: Duration = Duration::from_secs(300);

/// Small transactions that both servers commit at once.
const TRANSACTIONS: u32 = 200;

/// See [`super::run`].
pub(super) async fn tell(options: DemoOptions) -> Result<ExitCode, DemoError> {
    let mut screen = Screen::stdout();
    screen.line("Causeway demo: two MySQL servers, kept in step in both directions.")?;
    let mut stage = Stage::set(screen).await?;
    stage.introduce().await?;
    stage.copy().await?;
    stage.change_both_sides().await?;
    stage.conflict().await?;
    stage.ddl().await?;
    let same = stage.compare().await?;
    if options.once {
        return Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    stage.invite().await?;
    Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The servers, Causeway, and a connection to each.
struct Stage {
    screen: Screen,
    admin: Session,
    hq: Session,
    branch: Session,
    // Dropped in this order: first the proxy, then the servers.
    proxy: LocalProxy,
    servers: [LocalServer; 2],
}

/// A connection, and the prompt its statements are shown at.
struct Session {
    prompt: &'static str,
    conn: Conn,
}

/// A result set as text.
struct Answer {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Session {
    async fn run(&mut self, statement: &str) -> Result<Answer, DemoError> {
        let failed = |error: mysql_async::Error| DemoError::Sql {
            server: self.prompt,
            statement: statement.to_string(),
            cause: error.to_string(),
        };
        let mut result = self.conn.query_iter(statement).await.map_err(failed)?;
        let columns = result.columns_ref().iter().map(|column| column.name_str().into_owned());
        let columns = columns.collect();
        let rows: Vec<Row> = result.collect().await.map_err(failed)?;
        result.drop_result().await.map_err(failed)?;
        let cell = |value| match value {
            Value::NULL => "NULL".to_string(),
            Value::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            other => other.as_sql(false).trim_matches('\'').to_string(),
        };
        let rows = rows
            .into_iter()
            .map(|row| row.unwrap_raw().into_iter().flatten().map(cell).collect());
        Ok(Answer {
            columns,
            rows: rows.collect(),
        })
    }

    /// Runs a statement as if it were typed: shown at the prompt, with what comes back.
    async fn type_in(&mut self, screen: &mut Screen, statement: &str) -> Result<Answer, DemoError> {
        self.type_in_as(screen, statement, statement).await
    }

    /// Runs a statement of which something else is shown, on the screen and in errors: no password is printed.
    async fn type_in_as(&mut self, screen: &mut Screen, statement: &str, shown: &str) -> Result<Answer, DemoError> {
        screen.statement(self.prompt, shown)?;
        let answer = self.run(statement).await.map_err(|error| match error {
            DemoError::Sql { server, cause, .. } => DemoError::Sql {
                server,
                cause,
                statement: shown.to_owned(),
            },
            other => other,
        })?;
        if !answer.columns.is_empty() {
            screen.table(&answer.columns, &answer.rows)?;
        }
        Ok(answer)
    }

    /// Types several statements in.
    async fn type_all(&mut self, screen: &mut Screen, statements: &[&str]) -> Result<(), DemoError> {
        for statement in statements {
            self.type_in(screen, statement).await?;
        }
        Ok(())
    }

    async fn cell(&mut self, query: &str) -> Result<String, DemoError> {
        let answer = self.run(query).await?;
        Ok(answer.rows.into_iter().flatten().next().unwrap_or_default())
    }
}

impl Stage {
    /// Starts everything and fills the first server.
    async fn set(mut screen: Screen) -> Result<Self, DemoError> {
        let begin = Instant::now();
        let installation = tokio::task::spawn_blocking(Installation::find_or_fetch)
            .await
            .map_err(|error| DemoError::Io(std::io::Error::other(error)))??;
        screen.fleeting("starting two MySQL servers ...")?;
        let (hq, branch) = tokio::try_join!(
            LocalServer::start(&installation, ServerOptions::default()),
            LocalServer::start(&installation, ServerOptions::default()),
        )?;
        let (major, minor, patch) = installation.version();
        screen.line(&format!(
            "MySQL {major}.{minor}.{patch}: hq on port {}, branch on port {} ({})",
            hq.port,
            branch.port,
            seconds(begin)
        ))?;

        let begin = Instant::now();
        let mut session = Session::open("hq", hq.opts()).await?;
        let rows = fill(&mut session, &mut screen).await?;
        screen.line(&format!(
            "hq has a database `employees`: {} rows in 6 tables ({}); branch is empty",
            grouped(rows),
            seconds(begin)
        ))?;

        screen.fleeting("starting causeway ...")?;
        let proxy = LocalProxy::start(&std::env::current_exe()?, &[]).await?;
        screen.line(&format!("causeway serve: answers on port {}", proxy.port))?;
        let mut stage = Self {
            screen,
            admin: Session::open("causeway", proxy.opts()).await?,
            hq: session,
            branch: Session::open("branch", branch.opts()).await?,
            proxy,
            servers: [hq, branch],
        };
        for session in [&mut stage.hq, &mut stage.branch] {
            let account = format!("CREATE USER sync@localhost IDENTIFIED BY '{}'", stage.proxy.password);
            session.run(&account).await?;
            // docs/privileges.md tells how little is needed.
            session.run("GRANT ALL ON *.* TO sync@localhost").await?;
        }
        Ok(stage)
    }

    /// Names the servers and makes the task.
    async fn introduce(&mut self) -> Result<(), DemoError> {
        self.screen.heading("two servers and a task, in SQL")?;
        let [hq, branch] = &self.servers;
        for (name, port) in [("hq", hq.port), ("branch", branch.port)] {
            let statement = |password: &str| {
                format!(
                    "CREATE SERVER {name} OPTIONS (HOST '127.0.0.1', PORT {port}, USER 'sync', PASSWORD '{password}')"
                )
            };
            let shown = statement("…");
            self.admin
                .type_in_as(&mut self.screen, &statement(&self.proxy.password), &shown)
                .await?;
        }
        let statements = [CREATE_TASK, "START SYNC TASK company"];
        self.admin.type_all(&mut self.screen, &statements).await
    }

    /// Shows the full copy until both directions follow changes.
    async fn copy(&mut self) -> Result<(), DemoError> {
        self.screen.heading("the full copy")?;
        let begin = Instant::now();
        let (mut shown, mut moved) = (String::new(), Instant::now());
        loop {
            let status = self.status().await?;
            let all = self
                .number("SELECT SUM(rows_estimated) FROM sync.objects WHERE direction = 'forward'")
                .await?;
            let done = self
                .number("SELECT SUM(rows_copied) FROM sync.objects WHERE direction = 'forward'")
                .await?;
            let states: Vec<_> = status.iter().filter_map(|row| row.get(1)).map(String::as_str).collect();
            if states.len() == 2 && states.iter().all(|state| *state == "running") {
                self.screen.line(&format!(
                    "{} {} rows copied ({}); both directions are running",
                    bar(1, 1),
                    grouped(done),
                    seconds(begin)
                ))?;
                break;
            }
            // What the statistics estimate may be too low.
            let all = all.max(done);
            let percent = 100 * done / all.max(1);
            let now = format!(
                "{} {percent:>3}%  {} of about {} rows",
                bar(done, all),
                grouped(done),
                grouped(all)
            );
            if now != shown {
                self.screen.progress(&now)?;
                (shown, moved) = (now, Instant::now());
            }
            if states.contains(&"failed") || moved.elapsed() > PATIENCE {
                return Err(self.stuck("the full copy does not get on").await);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let query = "SELECT source_table, phase, rows_copied FROM sync.objects WHERE direction = 'forward' ORDER BY 1";
        self.admin.type_in(&mut self.screen, query).await.map(drop)
    }

    /// A transaction on each side, and then many on both at once.
    async fn change_both_sides(&mut self) -> Result<(), DemoError> {
        self.screen.heading("changes on both sides")?;
        let at_hq = [
            "BEGIN",
            "INSERT INTO employees.employees VALUES (30001, '1990-02-03', 'Ada', 'Brugge', 'F', '2026-01-01')",
            "INSERT INTO employees.salaries VALUES (30001, 61000, '2026-01-01', '9999-01-01')",
            "UPDATE employees.departments SET dept_name = 'Bridges and Locks' WHERE dept_no = 'd001'",
            "COMMIT",
        ];
        self.hq.type_all(&mut self.screen, &at_hq).await?;
        let at_branch = [
            "BEGIN",
            "UPDATE employees.salaries SET salary = salary + 500 WHERE emp_no BETWEEN 11000 AND 11999",
            "DELETE FROM employees.titles WHERE emp_no = 10007",
            "COMMIT",
        ];
        self.branch.type_all(&mut self.screen, &at_branch).await?;
        self.screen.line(&format!(
            "... and {TRANSACTIONS} small transactions on each side, at once"
        ))?;
        tokio::try_join!(write_a_lot(&mut self.hq, 0), write_a_lot(&mut self.branch, 1))?;
        self.wait().await?;
        let screen = &mut self.screen;
        let at_branch = "SELECT e.*, s.salary FROM employees.employees e JOIN employees.salaries s USING (emp_no) \
                         WHERE emp_no = 30001";
        self.branch.type_in(screen, at_branch).await?;
        let at_hq = "SELECT (SELECT COUNT(*) FROM employees.titles WHERE emp_no = 10007) AS titles_of_10007";
        self.hq.type_in(screen, at_hq).await.map(drop)
    }

    /// The same key, inserted on both sides while the task is paused.
    async fn conflict(&mut self) -> Result<(), DemoError> {
        self.screen
            .heading("a conflict: the same key on both sides, while the task is paused")?;
        self.admin.type_in(&mut self.screen, "PAUSE SYNC TASK company").await?;
        let at_hq = "INSERT INTO employees.employees VALUES (30002, '1985-05-05', 'Hedda', 'Hoek', 'F', '2026-02-01')";
        self.hq.type_in(&mut self.screen, at_hq).await?;
        let at_branch =
            "INSERT INTO employees.employees VALUES (30002, '1979-09-09', 'Bram', 'Berg', 'M', '2026-02-01')";
        self.branch.type_in(&mut self.screen, at_branch).await?;
        self.admin.type_in(&mut self.screen, "RESUME SYNC TASK company").await?;
        self.wait().await?;
        let screen = &mut self.screen;
        let query = "SELECT direction, `table`, type, `key`, policy, outcome FROM sync.conflicts ORDER BY id";
        self.admin.type_in(screen, query).await?;
        let query = "SELECT emp_no, first_name, last_name FROM employees.employees WHERE emp_no = 30002";
        self.hq.type_in(screen, query).await?;
        self.branch.type_in(screen, query).await.map(drop)
    }

    /// A column added at hq, used by rows of both sides.
    async fn ddl(&mut self) -> Result<(), DemoError> {
        self.screen.heading("a DDL in the middle of it")?;
        let at_hq = [
            "ALTER TABLE employees.employees ADD COLUMN email VARCHAR(60)",
            "UPDATE employees.employees SET email = 'ada@hq.example' WHERE emp_no = 30001",
        ];
        self.hq.type_all(&mut self.screen, &at_hq).await?;
        self.wait().await?;
        let at_branch = "UPDATE employees.employees SET email = 'hedda@branch.example' WHERE emp_no = 30002";
        self.branch.type_in(&mut self.screen, at_branch).await?;
        self.wait().await?;
        let screen = &mut self.screen;
        let query = "SELECT emp_no, first_name, email FROM employees.employees WHERE email IS NOT NULL";
        self.hq.type_in(screen, query).await?;
        self.branch.type_in(screen, query).await?;
        let query = "SELECT direction, outcome, statement FROM sync.ddl WHERE statement LIKE '%email%'";
        self.admin.type_in(screen, query).await.map(drop)
    }

    /// A checksum of each table on both sides; whether all are the same.
    async fn compare(&mut self) -> Result<bool, DemoError> {
        self.screen.heading("do both sides agree?")?;
        self.wait().await?;
        let query = "SELECT direction, state, rows_applied, transactions_applied, conflicts FROM sync.status";
        self.admin.type_in(&mut self.screen, query).await?;
        let hq = checksums(&mut self.hq).await?;
        let branch = checksums(&mut self.branch).await?;
        let columns = ["table", "rows", "hq", "branch", "same"].map(String::from);
        let mut same = hq.len() == branch.len() && !hq.is_empty();
        let mut rows = Vec::new();
        for table in hq.keys().chain(branch.keys().filter(|table| !hq.contains_key(*table))) {
            let sum =
                |side: &BTreeMap<String, Checksum>| side.get(table).map_or("missing".into(), |sum| sum.hash.clone());
            let count = hq.get(table).or(branch.get(table)).map_or(0, |sum| sum.rows);
            let equal = hq.get(table) == branch.get(table);
            same &= equal;
            let verdict = if equal { "yes" } else { "NO" };
            rows.push(vec![
                table.clone(),
                grouped(count),
                sum(&hq),
                sum(&branch),
                verdict.into(),
            ]);
        }
        self.screen.table(&columns, &rows)?;
        let verdict = if same {
            "Both sides agree."
        } else {
            "The two sides DIFFER."
        };
        self.screen.line(verdict)?;
        Ok(same)
    }

    /// Tells how to look around, and goes on until Ctrl-C.
    async fn invite(&mut self) -> Result<(), DemoError> {
        let [hq, branch] = &self.servers;
        let client = hq.installation().client_for_people()?;
        self.screen.heading("now you")?;
        self.screen.line(&format!(
            "causeway:  {client} -h127.0.0.1 -P{} -uroot -p{}\n\
             hq:        {client} -h127.0.0.1 -P{} -uroot employees\n\
             branch:    {client} -h127.0.0.1 -P{} -uroot employees\n\
             Everything goes on until Ctrl-C, and is gone after that.",
            self.proxy.port, self.proxy.password, hq.port, branch.port
        ))?;
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        loop {
            tokio::select! {
                interrupted = tokio::signal::ctrl_c() => {
                    interrupted?;
                    break;
                }
                _ = terminate.recv() => break,
                () = tokio::time::sleep(Duration::from_secs(1)) => {
                    if let Some(status) = self.proxy.ended() {
                        let log = super::installation::tail(&self.proxy.log(), 20);
                        return Err(DemoError::ProxyEnded { status, log });
                    }
                }
            }
        }
        self.screen.line("\nending the servers and causeway ...")?;
        self.proxy.stop().await?;
        Ok(())
    }

    /// Types `WAIT FOR SYNC TASK`, and fails unless it says that all has arrived.
    async fn wait(&mut self) -> Result<(), DemoError> {
        let statement = format!("WAIT FOR SYNC TASK company TIMEOUT {}", PATIENCE.as_secs());
        let begin = Instant::now();
        self.screen.statement(self.admin.prompt, &statement)?;
        let answer = self.admin.run(&statement).await?;
        match answer.rows.iter().flatten().any(|cell| cell == "1") {
            true => Ok(self.screen.line(&format!("synced: 1 ({})", seconds(begin)))?),
            false => Err(self.stuck("changes do not arrive").await),
        }
    }

    /// Direction, state and last error of each link.
    async fn status(&mut self) -> Result<Vec<Vec<String>>, DemoError> {
        let query = "SELECT direction, state, last_error FROM sync.status WHERE task = 'company' ORDER BY direction";
        Ok(self.admin.run(query).await?.rows)
    }

    async fn number(&mut self, query: &str) -> Result<u64, DemoError> {
        Ok(self.admin.cell(query).await?.parse().unwrap_or(0))
    }

    async fn stuck(&mut self, what: &'static str) -> DemoError {
        let links = self.status().await.unwrap_or_default();
        let links = links.into_iter().map(|row| row.join(": "));
        DemoError::Stuck {
            what,
            status: links.collect::<Vec<_>>().join("\n"),
            log: super::installation::tail(&self.proxy.log(), 20),
        }
    }
}

impl Session {
    async fn open(prompt: &'static str, opts: mysql_async::OptsBuilder) -> Result<Self, DemoError> {
        let conn = Conn::new(opts).await.map_err(|error| DemoError::Sql {
            server: prompt,
            statement: "(connecting)".into(),
            cause: error.to_string(),
        })?;
        Ok(Self { prompt, conn })
    }
}

/// Makes the data set; says how many rows it has.
async fn fill(hq: &mut Session, screen: &mut Screen) -> Result<u64, DemoError> {
    for statement in employees::SCHEMA {
        hq.run(statement).await?;
    }
    let inserts = employees::inserts();
    let all: u64 = inserts.iter().map(|insert| insert.rows).sum();
    let mut done = 0;
    for insert in inserts {
        hq.run(&insert.text).await?;
        done += insert.rows;
        screen.fleeting(&format!("{} {} rows loaded into hq", bar(done, all), grouped(done)))?;
    }
    // Fresh statistics, so that the estimates of the full copy are close.
    for table in employees::TABLES {
        hq.run(&format!("ANALYZE TABLE {}.{table}", employees::DATABASE))
            .await?;
    }
    Ok(done)
}

/// Small transactions: a raise for one employee, a row of their titles. Each side has its own employees: `side` 0 the
/// even ones, 1 the odd ones.
async fn write_a_lot(session: &mut Session, side: u32) -> Result<(), DemoError> {
    for number in 0..TRANSACTIONS {
        let employee = employees::FIRST_EMPLOYEE + 3_000 + 2 * number + side;
        for statement in [
            "BEGIN",
            &format!("UPDATE employees.salaries SET salary = salary + 100 WHERE emp_no = {employee}"),
            &format!("INSERT INTO employees.titles VALUES ({employee}, 'Causeway Keeper', '2026-03-01', NULL)"),
            "COMMIT",
        ] {
            session.run(statement).await?;
        }
    }
    Ok(())
}

#[derive(PartialEq)]
struct Checksum {
    rows: u64,
    hash: String,
}

/// Rows and checksum of each table: the hashes of all rows, each over all columns, put together by exclusive or, so
/// that the order of rows does not matter (SHA2, as MySQL 9.6 and later have no MD5 of their own). No row counts twice, as each has a primary key.
async fn checksums(session: &mut Session) -> Result<BTreeMap<String, Checksum>, DemoError> {
    session.run("SET SESSION group_concat_max_len = 1000000").await?;
    let tables = format!(
        "SELECT table_name, GROUP_CONCAT('COALESCE(HEX(`', column_name, '`), ''-'')' ORDER BY ordinal_position)
         FROM information_schema.columns WHERE table_schema = '{}' GROUP BY table_name",
        employees::DATABASE
    );
    let mut sums = BTreeMap::new();
    for row in session.run(&tables).await?.rows {
        let [table, columns] = row.as_slice() else { continue };
        let query = format!(
            "SELECT COUNT(*), LOWER(LPAD(HEX(BIT_XOR(CAST(CONV(LEFT(SHA2(CONCAT_WS('|', {columns}), 256), 16), 16, 10)
             AS UNSIGNED))), 16, '0')) FROM {}.`{table}`",
            employees::DATABASE
        );
        let answer = session.run(&query).await?;
        if let Some([rows, hash]) = answer.rows.first().map(Vec::as_slice) {
            let rows = rows.parse().unwrap_or(0);
            let hash = hash.clone();
            sums.insert(table.clone(), Checksum { rows, hash });
        }
    }
    Ok(sums)
}

fn seconds(since: Instant) -> String {
    format!("{:.1} s", since.elapsed().as_secs_f64())
}
