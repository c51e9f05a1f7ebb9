//! Which role a statement needs: all of the language in one place.

use super::{Result, Session, Statements};
use crate::admin::grammar::Statement;
use crate::admin::grammar::text::without_secrets;
use crate::admin::reply::SqlError;
use crate::model::role::{Role, Roles};
use crate::model::task::Decision;

/// How much of a statement the log repeats, in characters.
const LOGGED_MAX: usize = 300;

/// The least role that may use a statement; `None`: every account, as soon as it has logged in.
fn least(statement: &Statement, user: &str) -> Option<Role> {
    match statement {
        // What clients send by themselves, and what concerns the session alone.
        Statement::Accepted
        | Statement::Use(_)
        // Its own, that is: `kill` looks whose session it is.
        | Statement::Kill { .. } => None,
        Statement::Show(show) => (!show.list.is_asked_by_every_client()).then_some(Role::Reader),
        Statement::Select(select) => select.reads_tables().then_some(Role::Reader),
        // One's own account.
        Statement::SetPassword { user: whose, .. } => is_other(whose.as_deref(), user).then_some(Role::Admin),
        Statement::ShowGrants(whose) => is_other(whose.as_deref(), user).then_some(Role::Admin),
        // Looking on.
        Statement::ShowServers
        | Statement::ShowTasks
        | Statement::ShowTaskStatus(_)
        | Statement::ShowCreateTask(_)
        | Statement::ShowReplicaStatus { .. }
        | Statement::ShowCreateTable { .. }
        | Statement::ShowCreateDatabase(_)
        | Statement::WaitForTask { .. } => Some(Role::Reader),
        // Running what is there.
        Statement::CheckServer(_)
        | Statement::Precheck(_)
        | Statement::Acknowledge { .. }
        | Statement::Task { .. } => Some(Role::Operator),
        Statement::Decide { decision, .. } => Some(match decision {
            Decision::Skip => Role::Operator,
            // It runs any statement at all at the destination, as Causeway's account there.
            Decision::Apply(_) => Role::Admin,
        }),
        // Saying what there is.
        Statement::CreateServer { .. }
        | Statement::AlterServer { .. }
        | Statement::DropServer { .. }
        | Statement::CreateTask { .. }
        | Statement::AlterTask { .. }
        | Statement::AlterObjects { .. }
        | Statement::DropTask { .. }
        | Statement::CreateUser { .. }
        | Statement::DropUser { .. }
        | Statement::Grant { .. }
        | Statement::Revoke { .. }
        | Statement::ShowUsers => Some(Role::Admin),
    }
}

fn is_other(whose: Option<&str>, user: &str) -> bool {
    whose.is_some_and(|whose| whose != user)
}

/// Whether the session may do it.
///
/// # Errors
/// 1227 with the role that it takes.
pub(super) fn check(statement: &Statement, session: &Session, roles: &Roles) -> Result<()> {
    let Some(needed) = least(statement, &session.user).filter(|needed| !roles.include(*needed)) else {
        return Ok(());
    };
    let has = match roles.to_string() {
        none if none.is_empty() => "none".to_owned(),
        some => some,
    };
    let (user, needed) = (&session.user, needed.as_str());
    Err(SqlError::new(
        1227,
        "42000",
        format!(
            "Access denied; you need the {needed} role for this operation, and '{user}' has {has}: an admin can GRANT \
             {needed} TO '{user}'"
        ),
    ))
}

/// Whatever is more than looking on is logged, with who did it from where.
pub(super) fn log(statement: &Statement, session: &Session, sql: &str) {
    let looks_on = matches!(statement, Statement::ShowUsers | Statement::ShowGrants(_));
    if !looks_on && least(statement, &session.user) > Some(Role::Reader) {
        let told: Vec<&str> = sql.split_whitespace().collect();
        let told: String = without_secrets(&told.join(" ")).chars().take(LOGGED_MAX).collect();
        tracing::info!("{}@{}: {told}", session.user, session.host);
    }
}

impl Statements {
    /// The roles of the session's account as they are now: a REVOKE holds from the next statement on.
    pub(super) async fn roles(&self, session: &Session) -> Result<Roles> {
        let number = session.account;
        let account = self.stored(move |store| store.account(number)).await?;
        account.map(|account| account.roles).ok_or_else(|| {
            let message = format!(
                "Access denied: the account '{}' was dropped; log in with another",
                session.user
            );
            SqlError::new(1045, "28000", message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Operator;

    /// A statement of each kind, and the least that may use it: `-` is an account without any role.
    const STATEMENTS: [(&str, &str); 42] = [
        ("-", "SELECT 1"),
        ("-", "SELECT @@version, USER(), DATABASE()"),
        ("-", "SET NAMES utf8mb4"),
        ("-", "SHOW VARIABLES"),
        ("-", "SHOW WARNINGS"),
        ("-", "SHOW DATABASES"),
        ("-", "USE sync"),
        ("-", "SHOW GRANTS"),
        ("-", "SET PASSWORD = 'new'"),
        ("-", "ALTER USER USER() IDENTIFIED BY 'new'"),
        ("reader", "SELECT * FROM sync.tasks"),
        ("reader", "SELECT 1 IN tasks"),
        ("reader", "SELECT (SELECT count(*) FROM tasks)"),
        ("reader", "SHOW TABLES"),
        ("reader", "DESCRIBE sync.status"),
        ("reader", "SHOW GLOBAL STATUS"),
        ("reader", "SHOW PROCESSLIST"),
        ("reader", "SHOW REPLICA STATUS"),
        ("reader", "SHOW CREATE TABLE sync.status"),
        ("reader", "SELECT * FROM information_schema.tables"),
        ("reader", "SHOW SERVERS"),
        ("reader", "SHOW SYNC TASKS"),
        ("reader", "SHOW SYNC TASK STATUS"),
        ("reader", "SHOW CREATE SYNC TASK orders"),
        ("reader", "WAIT FOR SYNC TASK orders"),
        ("operator", "CHECK SERVER hq"),
        ("operator", "PRECHECK SYNC TASK orders"),
        ("operator", "ALTER SYNC TASK orders ACKNOWLEDGE 'x'"),
        ("operator", "START SYNC TASK orders"),
        ("operator", "RESUME SYNC TASK orders SKIP"),
        ("admin", "RESUME SYNC TASK orders APPLY 'x'"),
        ("admin", "CREATE SERVER s OPTIONS (HOST 'h', USER 'u')"),
        ("admin", "ALTER SERVER hq OPTIONS (PORT 1)"),
        ("admin", "DROP SERVER IF EXISTS s"),
        ("admin", "CREATE SYNC TASK t FROM hq TO branch OBJECTS (s.*)"),
        ("admin", "ALTER SYNC TASK orders SET (workers = 3)"),
        ("admin", "DROP SYNC TASK IF EXISTS t"),
        ("admin", "CREATE USER x IDENTIFIED BY 'x'"),
        ("admin", "ALTER USER root IDENTIFIED BY 'x'"),
        ("admin", "DROP USER IF EXISTS x"),
        ("admin", "GRANT admin TO root"),
        ("admin", "SHOW GRANTS FOR root"),
    ];

    /// What an account that has been granted `role` is answered, in one session through all of it.
    #[test]
    fn each_statement_takes_its_role_and_a_grant_and_a_revoke_hold_at_once() {
        let mut operator = Operator::with_task();
        operator.shown("CREATE USER ops IDENTIFIED BY 'x'");
        let ranks = ["-", "reader", "operator", "admin"];
        for (rank, role) in ranks.iter().enumerate() {
            for (least, sql) in STATEMENTS {
                operator.log_in("ops");
                let needed = ranks.iter().position(|known| *known == least).unwrap();
                match operator.execute(sql) {
                    Err(error) if error.code == 1227 => {
                        assert!(needed > rank, "{role}: {sql}: {error}");
                        let expected = format!("GRANT {least} TO 'ops'");
                        assert!(error.message.contains(&expected), "{role}: {sql}: {error}");
                    }
                    // What it comes to is tested elsewhere.
                    _ => assert!(needed <= rank, "{role}: {sql}"),
                }
            }
            operator.log_in("root");
            if let Some(next) = ranks.get(rank + 1) {
                operator.ok(&format!("GRANT {next} TO ops"));
            }
        }
        operator.log_in("ops");
        let ops = operator.session_account();
        operator.ok("REVOKE admin, operator FROM ops");
        operator.check("SELECT count(*) FROM tasks WHERE task = 'orders'", "1");
        operator.refused("GRANT admin TO ops", 1227, "'ops' has reader");
        operator.log_in("root");
        operator.ok("DROP USER ops");
        operator.shown("CREATE USER ops IDENTIFIED BY 'x'");
        operator.ok("GRANT admin TO ops");
        assert_ne!(operator.session_account(), ops);
        operator.be(ops, "ops");
        operator.refused("SELECT 1", 1045, "was dropped");
    }

    #[test]
    fn accounts_are_made_changed_shown_and_dropped() {
        let mut operator = Operator::new();
        let made = "OK 'ops' may log in, and no more yet: GRANT reader, operator or admin TO 'ops'";
        operator.check("CREATE USER 'ops'@'%' IDENTIFIED BY 'x'", made);
        operator.refused(
            "CREATE USER 'ops' IDENTIFIED BY 'y'",
            1396,
            "Account 'ops' exists already; ALTER USER",
        );
        operator.check(
            "CREATE USER IF NOT EXISTS 'ops' IDENTIFIED BY 'y'",
            "OK Account 'ops' exists already: nothing was changed",
        );
        operator.refused(
            "ALTER USER nobody IDENTIFIED BY 'y'",
            1396,
            "There is no account 'nobody'; SHOW USERS",
        );
        operator.refused("SET PASSWORD FOR nobody = 'y'", 1396, "'nobody'");
        operator.ok("GRANT operator, reader TO ops");
        operator.check("GRANT operator TO ops", "OK Granted already: nothing was changed");
        operator.check("REVOKE admin FROM ops", "OK It was not granted: nothing was changed");
        operator.refused("GRANT operator TO ops, nobody", 1396, "'nobody'");
        operator.refused("GRANT super TO ops", 3523, "reader, operator, admin");
        operator.refused("GRANT ALL PRIVILEGES ON *.* TO ops", 3523, "Unknown role 'ALL'");
        operator.check("SELECT count(*) FROM tasks", "0");
        let users = operator.shown("SHOW USERS");
        assert!(
            users.starts_with("ops,reader,operator,20") && users.contains("|root,admin,20"),
            "{users}"
        );
        operator.check(
            "SHOW GRANTS FOR ops",
            "GRANT USAGE ON *.* TO `ops`@`%`|GRANT `reader`@`%`,`operator`@`%` TO `ops`@`%`",
        );
        operator.check(
            "SHOW GRANTS",
            "GRANT USAGE ON *.* TO `root`@`%`|GRANT `admin`@`%` TO `root`@`%`",
        );
        operator.refused("SHOW GRANTS FOR nobody", 1141, "'nobody'");
        operator.refused("REVOKE admin FROM root", 3120, "GRANT admin TO another one first");
        operator.refused("DROP USER root", 3120, "admin");
        operator.refused("DROP USER ops, nobody", 1396, "'nobody'");
        operator.refused("CREATE USER 'x' IDENTIFIED BY ''", 1819, "can't be empty");
        operator.refused("CREATE USER '' IDENTIFIED BY 'x'", 1102, "account name");
        operator.refused(
            "CREATE USER 'x'@'10.0.0.1' IDENTIFIED BY 'x'",
            1235,
            "leave @'host' away",
        );
        operator.refused(
            &format!("CREATE USER '{}' IDENTIFIED BY 'x'", "u".repeat(33)),
            1470,
            "32",
        );
        operator.ok("DROP USER ops");
        operator.refused("DROP USER ops", 1396, "There is no account 'ops'");
        operator.check(
            "DROP USER IF EXISTS ops",
            "OK There is no such account: nothing was changed",
        );
    }
}
