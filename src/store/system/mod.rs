//! `information_schema` and `performance_schema`: what drivers, GUI tools and monitors look up in every MySQL server.
//!
//! Each table is defined once, with MySQL's own columns in MySQL's own order. A question that names one of the two
//! schemas gets both as databases in memory beside the store, with the rows of the tables that it names; nothing of it
//! outlives the question. The rows come from the `sync` schema, from the definitions themselves, and from what the
//! caller knows of its sessions and settings ([`Facts`](super::query::Question::facts)).

use rusqlite::{Connection, Result, named_params};
use serde_json::{Value, json};

use super::schema::PUBLIC_TABLES;

mod information;
mod performance;

/// The schemas that are made up for a question.
pub(super) const SCHEMAS: [&str; 2] = ["information_schema", "performance_schema"];

/// A table of these schemas.
struct SystemTable {
    schema: &'static str,
    name: &'static str,
    /// Its columns, apart by commas: a name alone is text, `NAME INTEGER` a whole number.
    columns: &'static str,
    /// `(COLUMNS) SELECT …` that fills it; the columns left out have their default. Empty: it never has rows.
    ///
    /// It may read `channels` ([`performance::CHANNELS`]) and the caller's facts, `:facts`.
    rows: &'static str,
}

fn tables() -> impl Iterator<Item = &'static SystemTable> {
    information::TABLES.iter().chain(performance::TABLES)
}

/// The names of the tables of a schema: of these two, or of `sync`. `None` if there is no such schema.
pub fn tables_of(schema: &str) -> Option<Vec<&'static str>> {
    if schema == "sync" {
        return Some(PUBLIC_TABLES.to_vec());
    }
    SCHEMAS.contains(&schema).then(|| {
        let of_schema = tables().filter(|table| table.schema == schema);
        of_schema.map(|table| table.name).collect()
    })
}

/// Attaches both schemas if the text names one of them, or `database` is one.
pub(super) fn attach(connection: &Connection, sql: &str, database: Option<&str>, facts: &Value) -> Result<()> {
    let sql = sql.to_lowercase();
    let is_named = |schema: &&str| sql.contains(*schema) || database == Some(*schema);
    if !SCHEMAS.iter().any(|schema| is_named(&schema)) {
        return Ok(());
    }
    for schema in SCHEMAS {
        // The connection is read-only, and what it attaches would be too, were it not for the mode.
        connection.execute(&format!("ATTACH DATABASE 'file:{schema}?mode=memory' AS {schema}"), [])?;
    }
    let sync = PUBLIC_TABLES.iter().map(|name| ("sync", *name));
    let all = sync.chain(tables().map(|table| (table.schema, table.name)));
    let mut facts = facts.clone();
    if let Some(facts) = facts.as_object_mut() {
        facts.insert(
            "tables".to_owned(),
            all.map(|(schema, name)| json!([schema, name])).collect(),
        );
    }
    let facts = facts.to_string();
    for table in tables() {
        connection.execute_batch(&table.create())?;
    }
    // A table can't be read without its name.
    for table in tables().filter(|table| !table.rows.is_empty() && sql.contains(table.name)) {
        let mut fill = connection.prepare(&format!(
            "WITH channels AS ({}) INSERT INTO {}.{} {}",
            performance::CHANNELS,
            table.schema,
            table.name,
            table.rows
        ))?;
        if table.rows.contains(":facts") {
            fill.execute(named_params! { ":facts": facts })?;
        } else {
            fill.execute([])?;
        }
    }
    Ok(())
}

/// The question behind `SHOW REPLICA STATUS`; with a channel, that is `?1`.
pub(super) fn replica_status(of_channel: bool) -> String {
    let filter = if of_channel {
        " WHERE channel = ?1 COLLATE NOCASE"
    } else {
        ""
    };
    format!(
        "WITH channels AS ({}) {}{filter}",
        performance::CHANNELS,
        performance::REPLICA_STATUS
    )
}

impl SystemTable {
    fn create(&self) -> String {
        let columns = self.columns.split(", ").map(|column| match column.split_once(' ') {
            Some((name, kind)) => format!("\"{name}\" {kind}"),
            None => format!("\"{column}\" TEXT{}", default_of(self.schema, column)),
        });
        let columns: Vec<String> = columns.collect();
        format!("CREATE TABLE {}.{} ({});", self.schema, self.name, columns.join(", "))
    }
}

/// What MySQL shows in `performance_schema` of a transaction or a moment that there has not been.
fn default_of(schema: &str, column: &str) -> &'static str {
    match schema {
        "performance_schema" if column.ends_with("_TIMESTAMP") => " DEFAULT '0000-00-00 00:00:00.000000'",
        "performance_schema" => " DEFAULT ''",
        _ => "",
    }
}
