//! Definitions of many tables at a time: one question for hundreds of them, where one each would take minutes.

use std::collections::{BTreeMap, HashMap};

use mysql_async::{
    Conn, Row,
    prelude::{FromRow, Queryable},
};

use crate::{
    failure::Failure,
    model::{
        name::TableName,
        table::{Family, ForeignKey, Index, IndexPart, Key, KeyPart, Reference, Table, TableColumn},
    },
    sql::literal,
};

/// Tables that one statement asks for.
const TOGETHER: usize = 500;

/// How often definitions are read that change meanwhile.
const ATTEMPTS: usize = 20;

/// Reads the definitions of those of `names` that are there.
///
/// # Errors
/// [`Failure`] if the server refuses, or a column's type is not known.
pub async fn read(conn: &mut Conn, names: &[TableName]) -> Result<HashMap<TableName, Table>, Failure> {
    let mut tables = HashMap::with_capacity(names.len());
    for (database, names) in by_database(names) {
        for names in names.chunks(TOGETHER) {
            read_some(conn, &Wanted::new(database, names), &mut tables).await?;
        }
    }
    Ok(tables)
}

/// All keys of those of `names` that are there, as they are compared.
///
/// # Errors
/// [`Failure`] if the server refuses.
pub async fn indexes(conn: &mut Conn, names: &[TableName]) -> Result<HashMap<TableName, Vec<Index>>, Failure> {
    let mut indexes = HashMap::with_capacity(names.len());
    for (database, names) in by_database(names) {
        for names in names.chunks(TOGETHER) {
            some_indexes(conn, &Wanted::new(database, names), &mut indexes).await?;
        }
    }
    Ok(indexes)
}

fn by_database(names: &[TableName]) -> BTreeMap<&str, Vec<&TableName>> {
    let mut by_database: BTreeMap<&str, Vec<&TableName>> = BTreeMap::new();
    for name in names {
        by_database.entry(&name.database).or_default().push(name);
    }
    by_database
}

async fn some_indexes(
    conn: &mut Conn,
    wanted: &Wanted<'_>,
    indexes: &mut HashMap<TableName, Vec<Index>>,
) -> Result<(), Failure> {
    let rows: Vec<Row> = conn
        .query(format!(
            "SELECT TABLE_NAME, INDEX_NAME, NON_UNIQUE, INDEX_TYPE, COLUMN_NAME, SUB_PART, COLLATION, EXPRESSION \
             FROM information_schema.STATISTICS WHERE {} \
             ORDER BY TABLE_NAME, INDEX_NAME <> 'PRIMARY', INDEX_NAME, SEQ_IN_INDEX",
            wanted.condition("")
        ))
        .await
        .map_err(|error| wanted.failure(&error))?;
    type Part = (
        String,
        String,
        u8,
        String,
        Option<String>,
        Option<u64>,
        Option<String>,
        Option<String>,
    );
    for row in rows {
        let Ok((found, key, non_unique, kind, column, prefix, order, expression)) =
            mysql_async::from_row_opt::<Part>(row)
        else {
            return Err(Failure::data(format!(
                "the keys of tables in {} can't be read",
                wanted.database
            )));
        };
        let Some(name) = wanted.name(&found) else { continue };
        let of_table = indexes.entry(name.clone()).or_default();
        let mut rest = match (&column, expression) {
            (None, Some(expression)) => format!("({expression})"),
            _ => prefix.map_or(String::new(), |length| format!("({length})")),
        };
        if order.as_deref() == Some("D") {
            rest.push_str(" DESC");
        }
        let part = IndexPart { column, rest };
        match of_table.last_mut().filter(|last| last.name == key) {
            Some(last) => last.parts.push(part),
            None => of_table.push(Index {
                name: key,
                unique: non_unique == 0,
                kind,
                parts: vec![part],
            }),
        }
    }
    Ok(())
}

/// Some tables of one database.
struct Wanted<'a> {
    database: &'a str,
    names: &'a [&'a TableName],
    /// A server that folds names answers with its own spelling.
    folded: HashMap<String, &'a TableName>,
}

impl<'a> Wanted<'a> {
    fn new(database: &'a str, names: &'a [&'a TableName]) -> Self {
        let mut folded: HashMap<String, &TableName> = HashMap::new();
        for name in names {
            folded.insert(name.table.to_lowercase(), name);
        }
        for name in names {
            // Where names differ in case alone, each is meant as it is.
            folded.insert(name.table.clone(), name);
        }
        Self {
            database,
            names,
            folded,
        }
    }

    /// `prefix` stands before the names of the two columns.
    fn condition(&self, prefix: &str) -> String {
        let names: Vec<String> = self.names.iter().map(|name| literal::string(&name.table)).collect();
        format!(
            "{prefix}TABLE_SCHEMA = {} AND {prefix}TABLE_NAME IN ({})",
            literal::string(self.database),
            names.join(",")
        )
    }

    /// The name that was asked for.
    fn name(&self, found: &str) -> Option<&'a TableName> {
        let exact = self.folded.get(found);
        exact.or_else(|| self.folded.get(&found.to_lowercase())).copied()
    }

    fn failure(&self, error: &mysql_async::Error) -> Failure {
        match self.names {
            [name] => Failure::mysql(format_args!("reading the definition of {name}"), error),
            _ => Failure::mysql(format_args!("reading definitions in {}", self.database), error),
        }
    }
}

/// Definitions take several questions, between which a table may be altered, renamed, or take another one's name: its
/// columns would come with the keys of none. So the columns are looked at before and after, until they are the same. All is
/// asked in one packet: far away each question would take a round trip.
async fn read_some(
    conn: &mut Conn,
    wanted: &Wanted<'_>,
    tables: &mut HashMap<TableName, Table>,
) -> Result<(), Failure> {
    let columns = columns_question(wanted);
    let questions = [
        columns.as_str(),
        &unique_keys_question(wanted),
        &foreign_keys_question(wanted),
        &references_question(wanted),
        &columns,
    ]
    .join(";");
    for _ in 0..ATTEMPTS {
        let [before, keys, foreign_keys, references, after] = ask(conn, wanted, &questions).await?;
        let before = found_columns(wanted, &before)?;
        if before != found_columns(wanted, &after)? {
            continue;
        }
        let mut found = with_columns(&before);
        add_unique_keys(wanted, keys, &mut found)?;
        add_foreign_keys(wanted, foreign_keys, &mut found)?;
        add_references(wanted, references, &mut found)?;
        found.values_mut().for_each(put_row_key_first);
        tables.extend(found);
        return Ok(());
    }
    Err(Failure::environment(format!(
        "tables in {} are altered faster than their definitions can be read",
        wanted.database
    )))
}

/// The answers to questions that are asked in one packet.
async fn ask<const N: usize>(conn: &mut Conn, wanted: &Wanted<'_>, questions: &str) -> Result<[Vec<Row>; N], Failure> {
    let failed = |error: mysql_async::Error| wanted.failure(&error);
    let mut answers = [const { Vec::new() }; N];
    let mut result = conn.query_iter(questions).await.map_err(failed)?;
    for answer in &mut answers {
        *answer = result.collect().await.map_err(failed)?;
    }
    result.drop_result().await.map_err(failed)?;
    Ok(answers)
}

/// A row of an answer as what it should be.
fn read_row<T: FromRow>(wanted: &Wanted<'_>, row: Row) -> Result<T, Failure> {
    mysql_async::from_row_opt(row).map_err(|_| {
        Failure::data(format!(
            "the definitions of tables in {} can't be read",
            wanted.database
        ))
    })
}

/// A column of a table, and what the server says of the keys it is in.
#[derive(Debug, PartialEq)]
struct FoundColumn<'a> {
    table: &'a TableName,
    column: TableColumn,
    keys: String,
}

/// The statistics cache is of no use here, and a stale one of harm.
fn columns_question(wanted: &Wanted<'_>) -> String {
    format!(
        "SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, IS_NULLABLE, CHARACTER_SET_NAME, COLLATION_NAME, EXTRA, \
         DATETIME_PRECISION, CHARACTER_OCTET_LENGTH, COLUMN_DEFAULT, GENERATION_EXPRESSION, TABLE_NAME, COLUMN_KEY \
         FROM information_schema.COLUMNS WHERE {} ORDER BY TABLE_NAME, ORDINAL_POSITION",
        wanted.condition("")
    )
}

fn found_columns<'a>(wanted: &Wanted<'a>, rows: &[Row]) -> Result<Vec<FoundColumn<'a>>, Failure> {
    let text = |row: &Row, place| row.get_opt::<String, _>(place).and_then(Result::ok).unwrap_or_default();
    let found = rows.iter().filter_map(|row| {
        let table = wanted.name(&text(row, 11))?;
        Some(column(table, row).map(|column| FoundColumn {
            table,
            column,
            keys: text(row, 12),
        }))
    });
    found.collect()
}

fn with_columns(columns: &[FoundColumn<'_>]) -> HashMap<TableName, Table> {
    let mut tables: HashMap<TableName, Table> = HashMap::new();
    for found in columns {
        let table = tables.entry(found.table.clone()).or_insert_with(|| Table {
            name: found.table.clone(),
            columns: Vec::new(),
            unique_keys: Vec::new(),
            foreign_keys: Vec::new(),
            references: Vec::new(),
        });
        table.columns.push(found.column.clone());
    }
    tables
}

fn unique_keys_question(wanted: &Wanted<'_>) -> String {
    format!(
        "SELECT TABLE_NAME, INDEX_NAME, COLUMN_NAME, SUB_PART FROM information_schema.STATISTICS \
         WHERE {} AND NON_UNIQUE = 0 ORDER BY TABLE_NAME, INDEX_NAME <> 'PRIMARY', INDEX_NAME, SEQ_IN_INDEX",
        wanted.condition("")
    )
}

fn add_unique_keys(wanted: &Wanted<'_>, rows: Vec<Row>, tables: &mut HashMap<TableName, Table>) -> Result<(), Failure> {
    for row in rows {
        let (found, key, column, prefix): (String, String, Option<String>, Option<u64>) = read_row(wanted, row)?;
        if let Some(table) = wanted.name(&found).and_then(|name| tables.get_mut(name)) {
            add_key_part(table, key, column.as_deref(), prefix.is_some());
        }
    }
    Ok(())
}

fn foreign_keys_question(wanted: &Wanted<'_>) -> String {
    format!(
        "SELECT TABLE_NAME, CONSTRAINT_NAME, COLUMN_NAME, REFERENCED_TABLE_SCHEMA, REFERENCED_TABLE_NAME, \
         REFERENCED_COLUMN_NAME FROM information_schema.KEY_COLUMN_USAGE WHERE {} AND \
         REFERENCED_TABLE_NAME IS NOT NULL ORDER BY TABLE_NAME, CONSTRAINT_NAME, ORDINAL_POSITION",
        wanted.condition("")
    )
}

fn add_foreign_keys(
    wanted: &Wanted<'_>,
    rows: Vec<Row>,
    tables: &mut HashMap<TableName, Table>,
) -> Result<(), Failure> {
    for row in rows {
        let (found, name, column, database, parent, parent_column): (String, String, String, String, String, String) =
            read_row(wanted, row)?;
        let Some(table) = wanted.name(&found).and_then(|name| tables.get_mut(name)) else {
            continue;
        };
        let Some(position) = table.position(&column) else {
            continue;
        };
        if table.foreign_keys.last().is_none_or(|last| last.name != name) {
            table.foreign_keys.push(ForeignKey {
                name,
                columns: Vec::new(),
                parent: TableName::new(database, parent),
                parent_columns: Vec::new(),
            });
        }
        if let Some(key) = table.foreign_keys.last_mut() {
            key.columns.push(position);
            key.parent_columns.push(parent_column);
        }
    }
    Ok(())
}

fn add_key_part(table: &mut Table, key: String, column: Option<&str>, prefix: bool) {
    let part = match column.and_then(|column| table.position(column)) {
        Some(position) => KeyPart::Column { position, prefix },
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

/// The key that identifies rows comes first.
fn put_row_key_first(table: &mut Table) {
    for place in 0..table.unique_keys.len() {
        table.unique_keys.swap(0, place);
        let identifies = table.row_key().is_some();
        table.unique_keys.swap(0, place);
        if identifies {
            let key = table.unique_keys.remove(place);
            return table.unique_keys.insert(0, key);
        }
    }
}

/// Foreign keys that refer to the tables.
fn references_question(wanted: &Wanted<'_>) -> String {
    format!(
        "SELECT k.REFERENCED_TABLE_NAME, k.CONSTRAINT_SCHEMA, k.CONSTRAINT_NAME, k.REFERENCED_COLUMN_NAME, \
         r.DELETE_RULE, r.UPDATE_RULE FROM information_schema.KEY_COLUMN_USAGE k \
         JOIN information_schema.REFERENTIAL_CONSTRAINTS r ON r.CONSTRAINT_SCHEMA = k.CONSTRAINT_SCHEMA AND \
         r.CONSTRAINT_NAME = k.CONSTRAINT_NAME AND r.TABLE_NAME = k.TABLE_NAME WHERE {} \
         ORDER BY k.REFERENCED_TABLE_NAME, k.CONSTRAINT_SCHEMA, k.CONSTRAINT_NAME, k.ORDINAL_POSITION",
        wanted.condition("k.REFERENCED_")
    )
}

fn add_references(wanted: &Wanted<'_>, rows: Vec<Row>, tables: &mut HashMap<TableName, Table>) -> Result<(), Failure> {
    let mut last = None;
    for row in rows {
        let (found, schema, name, column, on_delete, on_update): (String, String, String, String, String, String) =
            read_row(wanted, row)?;
        let Some(table) = wanted.name(&found).and_then(|name| tables.get_mut(name)) else {
            continue;
        };
        let this = Some((found, schema, name));
        if last != this {
            // RESTRICT and NO ACTION keep the parent as it is.
            let acts = |rule: &str| matches!(rule, "CASCADE" | "SET NULL" | "SET DEFAULT");
            table.references.push(Reference {
                columns: Vec::new(),
                on_delete: acts(&on_delete),
                on_update: acts(&on_update),
            });
            last = this;
        }
        let position = table.position(&column);
        if let Some(reference) = table.references.last_mut() {
            reference.columns.extend(position);
        }
    }
    Ok(())
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
