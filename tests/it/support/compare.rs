//! Whether two servers hold the same, to the byte.
//!
//! Every column is asked for in a form that shows all of it: `FLOAT` as `DOUBLE` (as itself it is rounded to six
//! digits), JSON with the size of its binary form beside its text (a decimal and a double of the same text differ in
//! it), ENUM with its number (the error value 0 and an empty member look the same), times in UTC.

use causeway::demo::mysqld::LocalServer;
use mysql_async::{Row, Value, prelude::Queryable as _};

use super::ask;

type Cell = Option<Vec<u8>>;

/// One table: its columns (name, type, character set, nullability and so on), and all its rows in order.
#[derive(PartialEq)]
struct Contents {
    columns: Vec<[String; 2]>,
    rows: Vec<Vec<Cell>>,
}

/// Fails, with the first difference, unless a database is the same on both servers.
pub(crate) async fn assert_same(a: &LocalServer, b: &LocalServer, database: &str) {
    assert_same_as(a, database, b, database).await;
}

/// As [`assert_same`], where the databases have different names; also for two databases of one server.
pub(crate) async fn assert_same_as(a: &LocalServer, database_a: &str, b: &LocalServer, database_b: &str) {
    if let Some(difference) = difference(a, database_a, b, database_b).await {
        panic!("{difference}");
    }
}

/// The first difference, told at some length.
pub(crate) async fn difference(a: &LocalServer, database_a: &str, b: &LocalServer, database_b: &str) -> Option<String> {
    let (tables_a, tables_b) = (tables(a, database_a).await, tables(b, database_b).await);
    if tables_a != tables_b {
        return Some(format!(
            "tables of {database_a}: {tables_a:?}\ntables of {database_b}: {tables_b:?}"
        ));
    }
    for table in tables_a {
        let one = contents(a, database_a, &table).await;
        let other = contents(b, database_b, &table).await;
        if one != other {
            return Some(format!(
                "{database_a}.{table} and {database_b}.{table}: {}",
                told(&one, &other)
            ));
        }
    }
    None
}

async fn tables(server: &LocalServer, database: &str) -> Vec<String> {
    let query = format!(
        "SELECT table_name FROM information_schema.tables
         WHERE table_schema = {} AND table_type = 'BASE TABLE' ORDER BY table_name",
        literal(database)
    );
    ask::rows(server, &query).await.into_iter().flatten().collect()
}

async fn contents(server: &LocalServer, database: &str, table: &str) -> Contents {
    let mut conn = ask::connect(server).await;
    conn.query_drop("SET NAMES utf8mb4, time_zone = '+00:00', sql_mode = ''")
        .await
        .unwrap();
    let columns: Vec<(String, String, String)> = conn
        .query(format!(
            "SELECT column_name, CONCAT_WS(' ', column_type, character_set_name, collation_name,
                    IF(is_nullable = 'NO', 'not null', ''), CONCAT('default ', column_default), extra,
                    generation_expression, srs_id, column_comment), data_type
             FROM information_schema.columns
             WHERE table_schema = {} AND table_name = {} ORDER BY ordinal_position",
            literal(database),
            literal(table)
        ))
        .await
        .unwrap();
    let wanted: Vec<_> = columns
        .iter()
        .map(|(name, _, kind)| shown(&quoted(name), kind))
        .collect();
    let query = format!(
        "SELECT {} FROM {}.{}",
        wanted.join(", "),
        quoted(database),
        quoted(table)
    );
    let rows: Vec<Row> = conn
        .query(&query)
        .await
        .unwrap_or_else(|error| panic!("{error}\nin: {query}"));
    let mut rows: Vec<Vec<Cell>> = rows
        .into_iter()
        .map(|row| {
            let cells = row.unwrap().into_iter();
            cells
                .map(|value| match value {
                    Value::NULL => None,
                    Value::Bytes(bytes) => Some(bytes),
                    other => panic!("{other:?} is not text"),
                })
                .collect()
        })
        .collect();
    rows.sort();
    conn.disconnect().await.unwrap();
    Contents {
        columns: columns
            .into_iter()
            .map(|(name, definition, _)| [name, definition])
            .collect(),
        rows,
    }
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// The expression that shows all of a column, NULL for NULL.
fn shown(column: &str, data_type: &str) -> String {
    let bytes = |expression: &str| format!("HEX(CAST({expression} AS BINARY))");
    match data_type {
        "float" | "double" => bytes(&format!("CAST({column} AS DOUBLE)")),
        "json" => format!(
            "CONCAT({}, ' ', JSON_STORAGE_SIZE(JSON_ARRAY({column})))",
            bytes(column)
        ),
        "enum" | "set" => format!("CONCAT({}, ' ', {column} + 0)", bytes(column)),
        "bit" => format!("BIN({column} + 0)"),
        "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring" | "multipolygon"
        | "geomcollection" | "geometrycollection" | "vector" => format!("HEX({column})"),
        _ => bytes(column),
    }
}

fn told(one: &Contents, other: &Contents) -> String {
    if one.columns != other.columns {
        return format!("columns\n  {:?}\n  {:?}", one.columns, other.columns);
    }
    let at = one.rows.iter().zip(&other.rows).take_while(|(a, b)| a == b).count();
    let row = |contents: &Contents| match contents.rows.get(at) {
        None => "(no more rows)".to_string(),
        Some(cells) => {
            let told = contents.columns.iter().zip(cells).map(|([name, _], cell)| match cell {
                None => format!("{name}=NULL"),
                Some(bytes) => {
                    let text = String::from_utf8_lossy(bytes);
                    let start: String = text.chars().take(120).collect();
                    let rest = if text.len() > 120 {
                        format!("… ({} in all)", text.len())
                    } else {
                        String::new()
                    };
                    format!("{name}={start}{rest}")
                }
            });
            told.collect::<Vec<_>>().join(" ")
        }
    };
    format!(
        "{} and {} rows; the first difference, in order of all columns, is\n  {}\n  {}",
        one.rows.len(),
        other.rows.len(),
        row(one),
        row(other)
    )
}
