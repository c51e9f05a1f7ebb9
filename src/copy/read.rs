//! Reads the rows of a range.

use mysql_async::{Conn, QueryResult, Row, TextProtocol, Value, prelude::Queryable};

use crate::{
    failure::Failure,
    model::{
        name::TableName,
        table::{Family, Table, TableColumn},
    },
    sql::{guard, ident},
};

use super::{
    batch::{Batch, push_literal},
    json::{self, Document},
    range::{Bounds, key_columns},
};

/// A column in the SELECT list, such that its text says everything of its value.
pub(super) fn expression(column: &TableColumn) -> String {
    let name = ident::quoted(&column.name);
    match column.family {
        // A FLOAT prints with six digits; as a double it prints with all that it has.
        Family::Float => format!("CAST({name} AS DOUBLE)"),
        Family::Number => format!("CAST({name} AS UNSIGNED)"),
        // Strings come as their own bytes: the session converts no results (see `open`).
        Family::Integer
        | Family::Decimal
        | Family::Text { .. }
        | Family::Binary { .. }
        | Family::Blob
        | Family::Geometry
        | Family::Vector
        | Family::Json
        | Family::Date
        | Family::Time { .. }
        | Family::DateTime { .. }
        | Family::Timestamp { .. } => name,
    }
}

/// A key value in a comparison with its column.
pub(super) fn key_literal(value: &Value, column: &TableColumn) -> String {
    let mut out = Vec::new();
    guard::push_key_side(&mut out, column, |out| match value {
        // In hexadecimal, so that the text is plain ASCII and has no newline.
        Value::Bytes(bytes) if !is_plain(&column.family) => {
            out.extend_from_slice(b"x'");
            out.extend_from_slice(hex::encode(bytes).as_bytes());
            out.push(b'\'');
        }
        value => push_literal(out, value, column),
    });
    String::from_utf8_lossy(&out).into_owned()
}

fn is_plain(family: &Family) -> bool {
    matches!(
        family,
        Family::Integer | Family::Decimal | Family::Float | Family::Number
    ) || matches!(
        family,
        Family::Date | Family::Time { .. } | Family::DateTime { .. } | Family::Timestamp { .. }
    )
}

/// Rows of one range, as they come.
#[derive(Debug)]
pub(super) struct Reading<'c> {
    result: QueryResult<'c, 'static, TextProtocol>,
    columns: Vec<TableColumn>,
    keys: Vec<TableColumn>,
    table: TableName,
    held: Vec<Held>,
}

/// A row with JSON documents of which the text does not say all, see [`json`].
#[derive(Debug)]
pub(super) struct Held {
    values: Vec<Value>,
    /// The documents, and which of the row's columns they are.
    documents: Vec<(usize, Document)>,
}

/// A row that was held back, and what stands for those of its values whose text does not say all.
pub(super) type Completed = (Vec<Value>, Vec<(usize, Vec<u8>)>);

/// Asks for the rows of a range in key order.
pub(super) async fn open<'c>(
    conn: &'c mut Conn,
    source: &Table,
    copied: &[(usize, usize)],
    bounds: &Bounds,
    filter: Option<&str>,
) -> Result<Reading<'c>, Failure> {
    let failed = |error: mysql_async::Error| Failure::reading(&source.name, &error);
    let keys = key_columns(source)?;
    let columns: Vec<TableColumn> = copied
        .iter()
        .filter_map(|(from, _)| source.columns.get(*from).cloned())
        .collect();
    let mut list: Vec<String> = columns.iter().map(expression).collect();
    if columns.iter().any(|column| column.family == Family::Json) {
        list.extend(
            columns
                .iter()
                .filter(|column| column.family == Family::Json)
                .map(json::differs_expression),
        );
        list.extend(keys.iter().map(|key| expression(key)));
    }
    let index = source.row_key().map(|key| ident::quoted(&key.name)).unwrap_or_default();
    conn.query_drop("SET character_set_results = NULL")
        .await
        .map_err(failed)?;
    let condition = bounds.condition(&keys);
    // A filter may end with a comment that the end of the line ends.
    let filter = filter.map_or_else(String::new, |filter| {
        let verb = if condition.is_empty() { "WHERE" } else { "AND" };
        format!(" {verb} (\n{filter}\n)")
    });
    let result = conn
        .query_iter(format!(
            "SELECT {} FROM {} FORCE INDEX ({index}){condition}{filter}",
            list.join(", "),
            ident::quoted_table(&source.name),
        ))
        .await
        .map_err(failed)?;
    let keys = keys.into_iter().cloned().collect();
    Ok(Reading {
        result,
        columns,
        keys,
        table: source.name.clone(),
        held: Vec::new(),
    })
}

impl Reading<'_> {
    /// Appends the next row to `batch`, but for those that are held back. `false`: there is none.
    pub(super) async fn next(&mut self, batch: &mut Batch) -> Result<bool, Failure> {
        loop {
            let row: Option<Row> = self
                .result
                .next()
                .await
                .map_err(|error| Failure::reading(&self.table, &error))?;
            let Some(row) = row else { return Ok(false) };
            let mut values = row.unwrap();
            let (copied, rest) = values.split_at_checked(self.columns.len()).unwrap_or((&values, &[]));
            let documents = self.documents(copied, rest)?;
            if documents.is_empty() {
                batch.push(copied, &self.columns, &[]);
                return Ok(true);
            }
            values.truncate(self.columns.len());
            self.held.push(Held { values, documents });
        }
    }

    /// The columns, and the rows that were held back, for [`complete`]. Call it behind the last row.
    pub(super) fn into_held(self) -> (Vec<TableColumn>, Vec<Held>) {
        (self.columns, self.held)
    }

    /// The documents of a row that hold something to be asked for, and their places. `rest` is what was selected behind the
    /// columns.
    fn documents(&self, copied: &[Value], rest: &[Value]) -> Result<Vec<(usize, Document)>, Failure> {
        if rest.is_empty() {
            return Ok(Vec::new());
        }
        let json = self.columns.iter().enumerate();
        let json: Vec<(usize, &TableColumn)> = json.filter(|(_, column)| column.family == Family::Json).collect();
        let (differs, keys) = rest.split_at_checked(json.len()).unwrap_or_default();
        let mut documents = Vec::new();
        for (number, (place, column)) in json.into_iter().enumerate() {
            let Some(Value::Bytes(text)) = copied.get(place) else {
                continue;
            };
            let failed =
                |reason: String| Failure::data(format!("reading column {} of {}: {reason}", column.name, self.table));
            let text = str::from_utf8(text).map_err(|_| failed("a JSON document is not UTF-8".to_owned()))?;
            let same = matches!(differs.get(number), Some(Value::Bytes(differs)) if differs == b"0");
            let candidates = json::candidates(text, !same).map_err(failed)?;
            if !candidates.is_empty() {
                documents.push((
                    place,
                    Document {
                        column: column.name.clone(),
                        key: self.key(keys),
                        text: text.to_owned(),
                        candidates,
                    },
                ));
            }
        }
        Ok(documents)
    }

    fn key(&self, values: &[Value]) -> Vec<String> {
        let keys = self.keys.iter().zip(values);
        keys.map(|(key, value)| key_literal(value, key)).collect()
    }
}

/// Completes rows that were held back.
pub(super) async fn complete(conn: &mut Conn, source: &Table, held: Vec<Held>) -> Result<Vec<Completed>, Failure> {
    let mut documents = Vec::new();
    let mut rows: Vec<(Vec<Value>, Vec<usize>)> = Vec::with_capacity(held.len());
    for row in held {
        let (places, of_row): (Vec<usize>, Vec<Document>) = row.documents.into_iter().unzip();
        documents.extend(of_row);
        rows.push((row.values, places));
    }
    let mut expressions = json::resolve(conn, source, &documents).await?.into_iter();
    let complete = |(values, places): (Vec<Value>, Vec<usize>)| {
        let of_row = places.into_iter().zip(expressions.by_ref());
        let typed = of_row.filter_map(|(place, expression)| Some((place, expression?)));
        (values, typed.collect())
    };
    Ok(rows.into_iter().map(complete).collect())
}
