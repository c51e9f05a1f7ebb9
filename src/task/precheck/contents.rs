//! What is at a server: lists of everything, each with one question.

use mysql_async::{Conn, prelude::Queryable};

use crate::{
    failure::Failure,
    model::name::TableName,
    precheck::facts::{Contents, ForeignKeySeen},
    schema,
    sql::NOT_SYSTEM,
};

/// Reads all there is, as far as the account may see it. `sizes`: also how large tables are, for which a server has to open
/// each of them; that takes milliseconds for every one.
pub(super) async fn read(conn: &mut Conn, sizes: bool) -> Result<Contents, Failure> {
    let mut contents = Contents::default();
    let databases: Vec<String> = ask(conn, "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA".to_owned()).await?;
    contents.databases.extend(databases);
    let collations: Vec<String> = ask(
        conn,
        "SELECT COLLATION_NAME FROM information_schema.COLLATIONS".to_owned(),
    )
    .await?;
    contents.collations.extend(collations);

    let size = if sizes { "t.DATA_LENGTH + t.INDEX_LENGTH" } else { "0" };
    // The engine is NULL for a table that can't be opened.
    type Listed = (String, String, Option<String>, Option<u64>, Option<bool>);
    let tables: Vec<Listed> = ask(
        conn,
        format!(
            "SELECT t.TABLE_SCHEMA, t.TABLE_NAME, t.ENGINE, {size}, e.TRANSACTIONS = 'YES' \
             FROM information_schema.TABLES t LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE \
             WHERE t.TABLE_TYPE = 'BASE TABLE' AND t.TABLE_SCHEMA {NOT_SYSTEM}"
        ),
    )
    .await?;
    for (database, table, engine, bytes, transactional) in tables {
        let seen = contents.tables.entry(TableName::new(database, table)).or_default();
        seen.transactional = transactional.unwrap_or(engine.is_none());
        seen.engine = engine.unwrap_or_default();
        seen.bytes = bytes.unwrap_or(0);
        seen.primary_key = true;
    }
    for name in schema::list_tables_without_primary_key(conn).await? {
        contents.tables.entry(name).and_modify(|seen| seen.primary_key = false);
    }
    let numbered: Vec<(String, String)> = ask(
        conn,
        format!(
            "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.COLUMNS \
             WHERE EXTRA LIKE '%auto_increment%' AND TABLE_SCHEMA {NOT_SYSTEM}"
        ),
    )
    .await?;
    for (database, table) in numbered {
        let name = TableName::new(database, table);
        contents
            .tables
            .entry(name)
            .and_modify(|seen| seen.auto_increment = true);
    }
    let texts: Vec<(String, String, String)> = ask(
        conn,
        format!(
            "SELECT DISTINCT TABLE_SCHEMA, TABLE_NAME, COLLATION_NAME FROM information_schema.COLUMNS \
             WHERE COLLATION_NAME IS NOT NULL AND TABLE_SCHEMA {NOT_SYSTEM}"
        ),
    )
    .await?;
    for (database, table, collation) in texts {
        let name = TableName::new(database, table);
        contents.tables.entry(name).and_modify(|seen| {
            seen.collations.insert(collation);
        });
    }
    let keys: Vec<(String, String, String, String, String, bool)> = ask(
        conn,
        format!(
            "SELECT CONSTRAINT_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, UNIQUE_CONSTRAINT_SCHEMA, REFERENCED_TABLE_NAME, \
             DELETE_RULE IN ('CASCADE', 'SET NULL') OR UPDATE_RULE IN ('CASCADE', 'SET NULL') \
             FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA {NOT_SYSTEM} ORDER BY 1, 2, 3"
        ),
    )
    .await?;
    let key =
        |(database, table, name, of, parent, acts): (String, String, String, String, String, bool)| ForeignKeySeen {
            child: TableName::new(database, table),
            name,
            parent: TableName::new(of, parent),
            acts,
        };
    contents.foreign_keys = keys.into_iter().map(key).collect();
    let events: Vec<(String, String, bool)> = ask(
        conn,
        format!(
            "SELECT EVENT_SCHEMA, EVENT_NAME, STATUS = 'ENABLED' FROM information_schema.EVENTS WHERE EVENT_SCHEMA {NOT_SYSTEM}"
        ),
    )
    .await?;
    let event = |(database, name, runs): (String, String, bool)| (TableName::new(database, name), runs);
    contents.events = events.into_iter().map(event).collect();
    // What a server with a binlog does not let everybody make.
    let programs: Vec<String> = ask(
        conn,
        format!(
            "SELECT TRIGGER_SCHEMA FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA {NOT_SYSTEM} UNION \
             SELECT ROUTINE_SCHEMA FROM information_schema.ROUTINES WHERE ROUTINE_TYPE = 'FUNCTION' AND \
             IS_DETERMINISTIC = 'NO' AND SQL_DATA_ACCESS NOT IN ('NO SQL', 'READS SQL DATA') AND ROUTINE_SCHEMA {NOT_SYSTEM}"
        ),
    )
    .await?;
    contents.programs.extend(programs);
    Ok(contents)
}

async fn ask<T: mysql_async::prelude::FromRow + Send + 'static>(
    conn: &mut Conn,
    query: String,
) -> Result<Vec<T>, Failure> {
    conn.query(query)
        .await
        .map_err(|error| Failure::mysql("listing what is there", &error))
}
