//! Tables that were copied for themselves, kept at the destination: from when, and up to when changes meet the copy
//! ([`crate::plan::copied`]).
//!
//! A table's row is written when its copy begins, in one transaction with the checkpoint that says so, is completed in the
//! one that says that it has ended, and goes once every change that could meet the copy has been applied.

use std::{collections::HashMap, sync::Arc};

use mysql_async::{Conn, prelude::Queryable};

use crate::{
    failure::Failure,
    model::{gtid::GtidSet, name::TableName},
    plan::copied::TableCopy,
    sql::literal,
};

use super::checkpoint::LinkKey;

/// Rows of a statement.
const STATEMENT_ROWS: usize = 500;

/// The copies of a link, by the tables' names at the source.
///
/// # Errors
/// [`Failure`] if the server refuses, or a row does not make sense.
pub async fn load(conn: &mut Conn, link: &LinkKey) -> Result<HashMap<TableName, Arc<TableCopy>>, Failure> {
    let rows: Vec<(String, String, String, String)> = conn
        .query(format!(
            "SELECT source_database, source_table, copied_from, copied_until FROM causeway.copied WHERE {}",
            link.condition()
        ))
        .await
        .map_err(|error| Failure::mysql("reading which tables were copied", &error))?;
    // Most have the same sets.
    let mut known: HashMap<(String, String), Arc<TableCopy>> = HashMap::new();
    let mut copies = HashMap::with_capacity(rows.len());
    for (database, table, from, until) in rows {
        let name = TableName::new(database, table);
        let parse = |text: &str| {
            text.parse::<GtidSet>().map_err(|error| {
                Failure::data(format!(
                    "the row of causeway.copied for {name} is not a GTID set: {error}"
                ))
            })
        };
        let copy = match known.get(&(from.clone(), until.clone())) {
            Some(copy) => copy.clone(),
            None => {
                let copy = Arc::new(TableCopy {
                    from: parse(&from)?,
                    until: parse(&until)?,
                });
                known.insert((from, until), copy.clone());
                copy
            }
        };
        copies.insert(name, copy);
    }
    Ok(copies)
}

/// The statements that say that copies of `tables` begin, all of whose rows have seen `from`.
pub fn begin(link: &LinkKey, tables: &[TableName], from: &GtidSet) -> Vec<String> {
    let statements = tables.chunks(STATEMENT_ROWS).map(|tables| {
        let rows: Vec<String> = tables
            .iter()
            .map(|table| {
                format!(
                    "({}, {}, {}, '{from}', '')",
                    link.values(),
                    literal::string(&table.database),
                    literal::string(&table.table)
                )
            })
            .collect();
        format!(
            "REPLACE INTO causeway.copied (task, link, source_database, source_table, copied_from, copied_until) VALUES {}",
            rows.join(", ")
        )
    });
    statements.collect()
}

/// The statement that says that copies of `tables` that began at `from` are complete, if they have not begun anew.
pub fn complete_some(link: &LinkKey, tables: &[TableName], from: &GtidSet, until: &GtidSet) -> String {
    format!(
        "UPDATE causeway.copied SET copied_until = '{until}' WHERE {} AND copied_from = '{from}' AND {}",
        link.condition(),
        among(tables)
    )
}

/// The statement that says that changes of `tables` are followed from `position` on, with nothing copied. A copy that is
/// under way stays.
pub fn follow(link: &LinkKey, tables: &[TableName], position: &GtidSet) -> Vec<String> {
    let statements = tables.chunks(STATEMENT_ROWS).map(|tables| {
        let rows: Vec<String> = tables
            .iter()
            .map(|table| {
                format!(
                    "({}, {}, {}, '{position}', '{position}')",
                    link.values(),
                    literal::string(&table.database),
                    literal::string(&table.table)
                )
            })
            .collect();
        // The first assignment sees what the second one changes.
        format!(
            "INSERT INTO causeway.copied (task, link, source_database, source_table, copied_from, copied_until) VALUES {} \
             ON DUPLICATE KEY UPDATE copied_from = IF(copied_until = '', copied_from, VALUES(copied_from)), \
             copied_until = IF(copied_until = '', '', VALUES(copied_until))",
            rows.join(", ")
        )
    });
    statements.collect()
}

/// The statements that forget how far the copies of `tables` have come.
pub fn discard(link: &LinkKey, tables: &[TableName]) -> Vec<String> {
    let statements = tables.chunks(STATEMENT_ROWS).map(|tables| {
        format!(
            "DELETE FROM causeway.copy WHERE {} AND {}",
            link.condition(),
            among(tables)
        )
    });
    statements.collect()
}

fn among(tables: &[TableName]) -> String {
    let names: Vec<String> = tables
        .iter()
        .map(|table| {
            format!(
                "({}, {})",
                literal::string(&table.database),
                literal::string(&table.table)
            )
        })
        .collect();
    format!("(source_database, source_table) IN ({})", names.join(", "))
}

/// The statement that says that every copy that has begun is complete; some of its rows may have seen `until`.
pub fn complete(link: &LinkKey, until: &GtidSet) -> String {
    format!(
        "UPDATE causeway.copied SET copied_until = '{until}' WHERE {} AND copied_until = ''",
        link.condition()
    )
}

/// Removes the rows of `tables`.
///
/// # Errors
/// [`Failure`] if the server refuses.
pub async fn forget(conn: &mut Conn, link: &LinkKey, tables: &[TableName]) -> Result<(), Failure> {
    for tables in tables.chunks(STATEMENT_ROWS) {
        conn.query_drop(format!(
            "DELETE FROM causeway.copied WHERE {} AND {}",
            link.condition(),
            among(tables)
        ))
        .await
        .map_err(|error| Failure::mysql("forgetting copies that no change meets any more", &error))?;
    }
    Ok(())
}
