//! Definitions as a server reports them.

use std::collections::BTreeMap;

use mysql_async::{Conn, Row, prelude::Queryable};

use crate::{
    failure::Failure,
    model::{
        name::TableName,
        table::{Family, ForeignKey, Index, IndexPart, Key, KeyPart, Reference, Table, TableColumn},
    },
    sql::{ident, literal},
};

pub mod create;
pub mod stored;

/// Reads the definition of one table; `None` if there is no such base table.
///
/// # Errors
/// [`Failure`] if the server refuses, or a column's type is not known.
pub async fn read_table(conn: &mut Conn, name: &TableName) -> Result<Option<Table>, Failure> {
    let failed = |error: mysql_async::Error| Failure::mysql(format_args!("reading the definition of {name}"), &error);
    let place = format!(
        "TABLE_SCHEMA = {} AND TABLE_NAME = {}",
        literal::string(&name.database),
        literal::string(&name.table)
    );
    // The statistics cache is of no use here, and a stale one of harm.
    let rows: Vec<Row> = conn
        .query(format!(
            "SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, IS_NULLABLE, CHARACTER_SET_NAME, COLLATION_NAME, EXTRA, \
             DATETIME_PRECISION, CHARACTER_OCTET_LENGTH, COLUMN_DEFAULT, GENERATION_EXPRESSION FROM information_schema.COLUMNS WHERE {place} \
             ORDER BY ORDINAL_POSITION"
        ))
        .await
        .map_err(failed)?;
    if rows.is_empty() {
        return Ok(None);
    }
    let columns = rows
        .iter()
        .map(|row| column(name, row))
        .collect::<Result<Vec<_>, _>>()?;
    let mut table = Table {
        name: name.clone(),
        columns,
        unique_keys: Vec::new(),
        foreign_keys: Vec::new(),
        references: Vec::new(),
    };

    let parts: Vec<(String, Option<String>, Option<u64>)> = conn
        .query(format!(
            "SELECT INDEX_NAME, COLUMN_NAME, SUB_PART FROM information_schema.STATISTICS \
             WHERE {place} AND NON_UNIQUE = 0 ORDER BY INDEX_NAME <> 'PRIMARY', INDEX_NAME, SEQ_IN_INDEX"
        ))
        .await
        .map_err(failed)?;
    for (key, column, prefix) in parts {
        let part = match column.and_then(|column| table.position(&column)) {
            Some(position) => KeyPart::Column {
                position,
                prefix: prefix.is_some(),
            },
            None => KeyPart::Expression,
        };
        match table.unique_keys.iter_mut().find(|candidate| candidate.name == key) {
            Some(known) => known.parts.push(part),
            None => table.unique_keys.push(Key {
                name: key,
                parts: vec![part],
            }),
        }
    }
    // The key that identifies rows comes first.
    if let Some(place) = (0..table.unique_keys.len()).find(|place| {
        let mut candidate = table.clone();
        candidate.unique_keys.swap(0, *place);
        candidate.row_key().is_some()
    }) {
        let key = table.unique_keys.remove(place);
        table.unique_keys.insert(0, key);
    }

    let references: Vec<(String, String, String, String, String)> = conn
        .query(format!(
            "SELECT CONSTRAINT_NAME, COLUMN_NAME, REFERENCED_TABLE_SCHEMA, REFERENCED_TABLE_NAME, \
             REFERENCED_COLUMN_NAME FROM information_schema.KEY_COLUMN_USAGE \
             WHERE {place} AND REFERENCED_TABLE_NAME IS NOT NULL ORDER BY CONSTRAINT_NAME, ORDINAL_POSITION"
        ))
        .await
        .map_err(failed)?;
    let mut foreign: BTreeMap<String, ForeignKey> = BTreeMap::new();
    for (name, column, database, parent, parent_column) in references {
        let Some(position) = table.position(&column) else {
            continue;
        };
        let key = foreign.entry(name.clone()).or_insert_with(|| ForeignKey {
            name,
            columns: Vec::new(),
            parent: TableName::new(database, parent),
            parent_columns: Vec::new(),
        });
        key.columns.push(position);
        key.parent_columns.push(parent_column);
    }
    table.foreign_keys = foreign.into_values().collect();
    table.references = referring(conn, &table).await?;
    Ok(Some(table))
}

/// Foreign keys that refer to `table`.
async fn referring(conn: &mut Conn, table: &Table) -> Result<Vec<Reference>, Failure> {
    let rows: Vec<(String, String, String, String, String)> = conn
        .query(format!(
            "SELECT k.CONSTRAINT_SCHEMA, k.CONSTRAINT_NAME, k.REFERENCED_COLUMN_NAME, r.DELETE_RULE, r.UPDATE_RULE \
             FROM information_schema.KEY_COLUMN_USAGE k JOIN information_schema.REFERENTIAL_CONSTRAINTS r \
             ON r.CONSTRAINT_SCHEMA = k.CONSTRAINT_SCHEMA AND r.CONSTRAINT_NAME = k.CONSTRAINT_NAME \
             AND r.TABLE_NAME = k.TABLE_NAME \
             WHERE k.REFERENCED_TABLE_SCHEMA = {} AND k.REFERENCED_TABLE_NAME = {} \
             ORDER BY k.CONSTRAINT_SCHEMA, k.CONSTRAINT_NAME, k.ORDINAL_POSITION",
            literal::string(&table.name.database),
            literal::string(&table.name.table)
        ))
        .await
        .map_err(|error| Failure::mysql(format_args!("reading what refers to {}", table.name), &error))?;
    let mut found: BTreeMap<(String, String), Reference> = BTreeMap::new();
    for (schema, name, column, on_delete, on_update) in rows {
        // RESTRICT and NO ACTION keep the parent as it is.
        let acts = |rule: &str| matches!(rule, "CASCADE" | "SET NULL" | "SET DEFAULT");
        let reference = found.entry((schema, name)).or_insert_with(|| Reference {
            columns: Vec::new(),
            on_delete: acts(&on_delete),
            on_update: acts(&on_update),
        });
        reference.columns.extend(table.position(&column));
    }
    Ok(found.into_values().collect())
}

/// All keys of a table, as they are compared.
///
/// # Errors
/// [`Failure`] if the server refuses.
pub async fn read_indexes(conn: &mut Conn, name: &TableName) -> Result<Vec<Index>, Failure> {
    type Part = (
        String,
        u8,
        String,
        Option<String>,
        Option<u64>,
        Option<String>,
        Option<String>,
    );
    let parts: Vec<Part> = conn
        .query(format!(
            "SELECT INDEX_NAME, NON_UNIQUE, INDEX_TYPE, COLUMN_NAME, SUB_PART, COLLATION, EXPRESSION \
             FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {} \
             ORDER BY INDEX_NAME <> 'PRIMARY', INDEX_NAME, SEQ_IN_INDEX",
            literal::string(&name.database),
            literal::string(&name.table)
        ))
        .await
        .map_err(|error| Failure::mysql(format_args!("reading the keys of {name}"), &error))?;
    let mut indexes: Vec<Index> = Vec::new();
    for (key, non_unique, kind, column, prefix, order, expression) in parts {
        let mut rest = match (&column, expression) {
            (None, Some(expression)) => format!("({expression})"),
            _ => prefix.map_or(String::new(), |length| format!("({length})")),
        };
        if order.as_deref() == Some("D") {
            rest.push_str(" DESC");
        }
        let part = IndexPart { column, rest };
        match indexes.last_mut().filter(|last| last.name == key) {
            Some(last) => last.parts.push(part),
            None => indexes.push(Index {
                name: key,
                unique: non_unique == 0,
                kind,
                parts: vec![part],
            }),
        }
    }
    Ok(indexes)
}

fn column(table: &TableName, row: &Row) -> Result<TableColumn, Failure> {
    let text = |place: usize| {
        row.get_opt::<Option<String>, _>(place)
            .and_then(Result::ok)
            .flatten()
            .unwrap_or_default()
    };
    let number = |place: usize| {
        row.get_opt::<Option<u64>, _>(place)
            .and_then(Result::ok)
            .flatten()
            .unwrap_or(0)
    };
    let (name, data_type, extra) = (text(0), text(1), text(6).to_ascii_uppercase());
    let fsp = u8::try_from(number(7)).unwrap_or(6);
    let family = match data_type.to_ascii_lowercase().as_str() {
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" => Family::Integer,
        "decimal" => Family::Decimal,
        "float" | "double" => Family::Float,
        "bit" | "enum" | "set" | "year" => Family::Number,
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => Family::Text {
            charset: text(4),
            collation: text(5),
        },
        "binary" => Family::Binary {
            length: usize::try_from(number(8)).unwrap_or(0),
        },
        "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => Family::Blob,
        "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring" | "multipolygon"
        | "geomcollection" | "geometrycollection" => Family::Geometry,
        "vector" => Family::Vector,
        "json" => Family::Json,
        "date" => Family::Date,
        "time" => Family::Time { fsp },
        "datetime" => Family::DateTime { fsp },
        "timestamp" => Family::Timestamp { fsp },
        other => {
            return Err(Failure::data(format!(
                "column {name} of {table} has type {other}, which Causeway does not know; take the table out of the task"
            )));
        }
    };
    let generated = extra.contains("VIRTUAL GENERATED") || extra.contains("STORED GENERATED");
    let default = row
        .get_opt::<Option<String>, _>(9)
        .and_then(Result::ok)
        .flatten()
        // Expressions are told from texts by this alone.
        .map(|default| match extra.contains("DEFAULT_GENERATED") {
            true => format!("({default})"),
            false => default,
        });
    Ok(TableColumn {
        name,
        family,
        column_type: text(2),
        nullable: text(3) == "YES",
        generated,
        on_update: extra.contains("ON UPDATE"),
        default: if generated { Some(text(10)) } else { default },
        auto_increment: extra.contains("AUTO_INCREMENT"),
    })
}

/// Base tables whose names differ from this one in case at most.
///
/// # Errors
/// [`Failure`] if the server refuses.
pub async fn tables_in_any_case(conn: &mut Conn, name: &TableName) -> Result<Vec<TableName>, Failure> {
    let rows: Vec<(String, String)> = conn
        .query(format!(
            "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE' AND \
             LOWER(TABLE_SCHEMA) = LOWER({}) AND LOWER(TABLE_NAME) = LOWER({})",
            literal::string(&name.database),
            literal::string(&name.table)
        ))
        .await
        .map_err(|error| Failure::mysql(format_args!("looking for {name}"), &error))?;
    Ok(rows
        .into_iter()
        .map(|(database, table)| TableName::new(database, table))
        .collect())
}

/// All base tables outside of the system databases, in order.
///
/// # Errors
/// [`Failure`] if the server refuses.
pub async fn list_tables(conn: &mut Conn) -> Result<Vec<(TableName, Option<u64>)>, Failure> {
    let rows: Vec<(String, String, Option<u64>)> = conn
        .query(
            "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_ROWS FROM information_schema.TABLES \
             WHERE TABLE_TYPE = 'BASE TABLE' AND TABLE_SCHEMA NOT IN \
             ('mysql', 'sys', 'information_schema', 'performance_schema', 'causeway') \
             ORDER BY TABLE_SCHEMA, TABLE_NAME",
        )
        .await
        .map_err(|error| Failure::mysql("listing tables", &error))?;
    Ok(rows
        .into_iter()
        .map(|(database, table, rows)| (TableName::new(database, table), rows))
        .collect())
}

/// Those of [`list_tables`] that have no primary key.
///
/// # Errors
/// [`Failure`] if the server refuses.
pub async fn list_tables_without_primary_key(conn: &mut Conn) -> Result<Vec<TableName>, Failure> {
    let rows: Vec<(String, String)> = conn
        .query(
            "SELECT t.TABLE_SCHEMA, t.TABLE_NAME FROM information_schema.TABLES t \
             LEFT JOIN information_schema.TABLE_CONSTRAINTS c ON c.TABLE_SCHEMA = t.TABLE_SCHEMA \
             AND c.TABLE_NAME = t.TABLE_NAME AND c.CONSTRAINT_TYPE = 'PRIMARY KEY' \
             WHERE t.TABLE_TYPE = 'BASE TABLE' AND c.TABLE_NAME IS NULL AND t.TABLE_SCHEMA NOT IN \
             ('mysql', 'sys', 'information_schema', 'performance_schema', 'causeway') \
             ORDER BY t.TABLE_SCHEMA, t.TABLE_NAME",
        )
        .await
        .map_err(|error| Failure::mysql("listing tables without a primary key", &error))?;
    Ok(rows
        .into_iter()
        .map(|(database, table)| TableName::new(database, table))
        .collect())
}

/// When the table was made, or last rebuilt or emptied, in seconds since the Unix epoch by the server's clock. ALTER TABLE
/// does not change it where it works INSTANT.
///
/// # Errors
/// [`Failure`] if the server refuses.
pub async fn made_at(conn: &mut Conn, name: &TableName) -> Result<Option<u64>, Failure> {
    let query = format!(
        "SELECT UNIX_TIMESTAMP(CREATE_TIME) FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
        literal::string(&name.database),
        literal::string(&name.table)
    );
    let found: Option<Option<u64>> = conn
        .query_first(query)
        .await
        .map_err(|error| Failure::mysql(format_args!("reading the definition of {name}"), &error))?;
    Ok(found.flatten())
}

/// `SHOW CREATE TABLE`; `None` if there is no such table.
///
/// # Errors
/// [`Failure`] if the server refuses.
pub async fn show_create_table(conn: &mut Conn, name: &TableName) -> Result<Option<String>, Failure> {
    let row: Result<Option<Row>, _> = conn
        .query_first(format!("SHOW CREATE TABLE {}", ident::quoted_table(name)))
        .await;
    match row {
        Ok(row) => Ok(row.and_then(|row| row.get_opt::<String, _>(1).and_then(Result::ok))),
        // No such table, no such database.
        Err(mysql_async::Error::Server(error)) if error.code == 1146 || error.code == 1049 => Ok(None),
        Err(error) => Err(Failure::mysql(format_args!("reading the definition of {name}"), &error)),
    }
}
