//! Whether an account may do what it has to: tried, wherever that does no harm, and read from its grants where it would.
//!
//! MySQL looks at privileges before it looks whether a table is there. So a statement on a table of a name that nobody has
//! tells the one from the other; statements that would change something are prepared, and not run.

use mysql_async::{Conn, prelude::Queryable};

use crate::{
    failure::Failure,
    model::name::TableName,
    precheck::{
        facts::{Facts, Selected},
        privileges::{Need, On, Plan, needed},
    },
    sql::{ident, literal},
};

/// Privileges that are tried even where the grants show them. Of a task over very many databases the others are read.
const TRIED: usize = 400;

/// What of the needs of a direction (source, destination) is missing.
pub(super) async fn missing(
    [source, destination]: [&mut Conn; 2],
    [here, there]: [&Facts; 2],
    plan: &Plan<'_>,
    tables: &[Selected],
) -> Result<Vec<Need>, Failure> {
    let nobody_has = format!("causeway_probe_{}", uuid::Uuid::new_v4().simple());
    for conn in [&mut *source, &mut *destination] {
        // A backup, or FLUSH TABLES WITH READ LOCK, may hold up statements that change definitions.
        conn.query_drop("SET SESSION lock_wait_timeout = 1")
            .await
            .map_err(|error| Failure::mysql("trying what the account may do", &error))?;
    }
    let mut missing = Vec::new();
    for (number, need) in needed(plan).into_iter().enumerate() {
        let (conn, facts) = match need.at_source {
            true => (&mut *source, here),
            false => (&mut *destination, there),
        };
        let names = tables
            .iter()
            .map(|table| if need.at_source { &table.from } else { &table.to });
        let granted = granted(facts, &need, names);
        let held = match (&need.on, granted && number >= TRIED) {
            (On::Database(database), false) => tried(conn, &need, database, &nobody_has).await?,
            _ => None,
        };
        // Tables that an account has been granted one by one can't be tried by another name.
        if !held.unwrap_or(granted) && !(held == Some(false) && granted_one_by_one(facts, &need, tables)) {
            missing.push(need);
        }
    }
    Ok(missing)
}

/// What the grants say.
fn granted<'a>(facts: &Facts, need: &Need, mut tables: impl Iterator<Item = &'a TableName>) -> bool {
    let grants = &facts.grants;
    match (&need.on, need.privilege) {
        // These are asked for with the facts.
        (On::Server, "REPLICATION SLAVE") => facts.may_replicate,
        (On::Server, "REPLICATION CLIENT") => facts.binlog_filters.is_some(),
        // Whoever may read everything sees every routine (manual, "SHOW_ROUTINE").
        (On::Server, "SHOW_ROUTINE") => grants.has("SHOW_ROUTINE") || grants.has("SELECT"),
        (On::Server, privilege) => grants.has(privilege),
        (On::Database(database), privilege) => {
            grants.has_in(privilege, database) || one_by_one(facts, privilege, database, &mut tables)
        }
    }
}

fn granted_one_by_one(facts: &Facts, need: &Need, tables: &[Selected]) -> bool {
    let mut names = tables
        .iter()
        .map(|table| if need.at_source { &table.from } else { &table.to });
    match &need.on {
        On::Database(database) => {
            !facts.grants.has_in(need.privilege, database) && one_by_one(facts, need.privilege, database, &mut names)
        }
        On::Server => false,
    }
}

/// Whether all selected tables of a database were granted by themselves.
fn one_by_one<'a>(
    facts: &Facts,
    privilege: &str,
    database: &str,
    tables: &mut dyn Iterator<Item = &'a TableName>,
) -> bool {
    let mut any = false;
    let all = tables.filter(|table| table.database == database).all(|table| {
        any = true;
        facts.grants.has_on(privilege, database, &table.table)
    });
    any && all
}

/// Whether a statement that needs the privilege is let through; `None`: there is none that does no harm.
async fn tried(conn: &mut Conn, need: &Need, database: &str, name: &str) -> Result<Option<bool>, Failure> {
    let table = ident::quoted_table(&TableName::new(database, name));
    let prepared = |statement: String| format!("PREPARE causeway_probe FROM {}", literal::string(&statement));
    let statement = match need.privilege {
        "SELECT" => format!("SELECT 1 FROM {table} LIMIT 0"),
        "INSERT" => prepared(format!("INSERT INTO {table} VALUES ()")),
        "UPDATE" => prepared(format!("UPDATE {table} SET a = 1")),
        "DELETE" => prepared(format!("DELETE FROM {table}")),
        "CREATE" => prepared(format!("CREATE TABLE {table} (id INT PRIMARY KEY)")),
        "CREATE TEMPORARY TABLES" => prepared(format!("CREATE TEMPORARY TABLE {table} (id INT PRIMARY KEY)")),
        // These fail in any case, as nothing has that name.
        "ALTER" => format!("ALTER TABLE {table} COMMENT ''"),
        "INDEX" => format!("CREATE INDEX a ON {table} (a)"),
        "EVENT" => format!("SHOW EVENTS FROM {}", ident::quoted(database)),
        "ALTER ROUTINE" => format!("ALTER PROCEDURE {table} COMMENT ''"),
        _ => return Ok(None),
    };
    match conn.query_drop(statement).await {
        // It was held up.
        Err(mysql_async::Error::Server(error)) if error.code == 1205 => Ok(None),
        // Access denied to a database, a table, a column, for lack of a global privilege, to a routine.
        Err(mysql_async::Error::Server(error)) => Ok(Some(!matches!(error.code, 1044 | 1142 | 1143 | 1227 | 1370))),
        Ok(()) => Ok(Some(true)),
        Err(error) => Err(Failure::mysql("trying what the account may do", &error)),
    }
}
