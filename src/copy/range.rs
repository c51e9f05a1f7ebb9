//! Key ranges: where a table is cut.

use mysql_async::{Conn, Row, prelude::Queryable};

use crate::{
    failure::Failure,
    model::table::{Table, TableColumn},
    sql::ident,
};

use super::read;

/// The values of a table's row key, as SQL expressions typed like the columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyValues(Vec<String>);

impl KeyValues {
    /// As kept in `causeway.copy`: one expression a line (literals hold no raw newline).
    pub fn print(&self) -> String {
        self.0.join("\n")
    }

    /// Reads what [`KeyValues::print`] wrote.
    ///
    /// # Errors
    /// If it is empty.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("a row of causeway.copy has an empty upper_key; the table was altered".to_owned());
        }
        Ok(Self(text.lines().map(str::to_owned).collect()))
    }
}

/// A range of keys: above `lower`, up to and including `upper`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// `None`: from the beginning.
    pub lower: Option<KeyValues>,
    /// `None`: to the end.
    pub upper: Option<KeyValues>,
}

/// The columns of the row key.
pub(super) fn key_columns(table: &Table) -> Result<Vec<&TableColumn>, Failure> {
    table
        .row_key()
        .and_then(|key| key.columns())
        .map(|columns| {
            columns
                .into_iter()
                .filter_map(|place| table.columns.get(place))
                .collect()
        })
        .ok_or_else(|| {
            Failure::data(format!(
                "{} has neither a primary key nor a unique key over NOT NULL columns, so it can't be synchronized; add \
                 one, or take the table out of the task",
                table.name
            ))
        })
}

impl Bounds {
    /// As a condition; empty if there is no bound.
    pub fn condition(&self, keys: &[&TableColumn]) -> String {
        let lower = self.lower.as_ref().map(|lower| after(keys, &lower.0, false));
        let upper = self.upper.as_ref().map(|upper| after(keys, &upper.0, true));
        let conditions: Vec<String> = lower.into_iter().chain(upper).collect();
        if conditions.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", conditions.join(" AND "))
        }
    }
}

/// `key > values`, or its opposite. Written out column by column: a row comparison would not use the index.
fn after(keys: &[&TableColumn], values: &[String], not: bool) -> String {
    let mut alternatives = Vec::new();
    let pairs: Vec<(String, &String)> = keys.iter().map(|key| ident::quoted(&key.name)).zip(values).collect();
    for (place, (column, value)) in pairs.iter().enumerate() {
        let mut parts: Vec<String> = pairs
            .iter()
            .take(place)
            .map(|(column, value)| format!("{column} = {value}"))
            .collect();
        let sign = match (not, place + 1 == pairs.len()) {
            (false, _) => ">",
            (true, true) => "<=",
            (true, false) => "<",
        };
        parts.push(format!("{column} {sign} {value}"));
        alternatives.push(parts.join(" AND "));
    }
    // The first column alone bounds the index range; without it the optimizer may scan from the start.
    let bound = pairs
        .first()
        .map(|(column, value)| format!("{column} {} {value}", if not { "<=" } else { ">=" }));
    format!(
        "{} AND (({}))",
        bound.unwrap_or_else(|| "TRUE".into()),
        alternatives.join(") OR (")
    )
}

/// The key of the row `rows` behind `lower`, if there is one.
///
/// # Errors
/// [`Failure`] if the source refuses.
pub async fn boundary(
    source: &mut Conn,
    table: &Table,
    lower: Option<&KeyValues>,
    rows: u64,
) -> Result<Option<KeyValues>, Failure> {
    let keys = key_columns(table)?;
    let bounds = Bounds {
        lower: lower.cloned(),
        upper: None,
    };
    let columns: Vec<String> = keys.iter().map(|key| ident::quoted(&key.name)).collect();
    let selected: Vec<String> = keys.iter().map(|key| read::expression(key)).collect();
    let index = table.row_key().map(|key| ident::quoted(&key.name)).unwrap_or_default();
    let row: Option<Row> = source
        .query_first(format!(
            "SELECT {} FROM {} FORCE INDEX ({index}){} ORDER BY {} LIMIT {},1",
            selected.join(", "),
            ident::quoted_table(&table.name),
            bounds.condition(&keys),
            columns.join(", "),
            rows.saturating_sub(1)
        ))
        .await
        .map_err(|error| Failure::reading(&table.name, &error))?;
    let Some(row) = row else { return Ok(None) };
    let mut values = Vec::with_capacity(keys.len());
    for (value, key) in row.unwrap().into_iter().zip(&keys) {
        values.push(read::key_literal(&value, key));
    }
    Ok(Some(KeyValues(values)))
}

#[cfg(test)]
mod tests {
    use crate::model::table::Family;

    use super::*;

    #[test]
    fn a_composite_key_is_bounded_column_by_column() {
        let column = |name: &str| TableColumn {
            name: name.into(),
            family: Family::Integer,
            column_type: "int".into(),
            nullable: false,
            generated: false,
            on_update: false,
            default: None,
            auto_increment: false,
        };
        let (a, b) = (column("a"), column("b"));
        let bounds = Bounds {
            lower: Some(KeyValues(vec!["1".into(), "2".into()])),
            upper: Some(KeyValues(vec!["3".into(), "4".into()])),
        };
        assert_eq!(
            bounds.condition(&[&a, &b]),
            " WHERE `a` >= 1 AND ((`a` > 1) OR (`a` = 1 AND `b` > 2)) AND `a` <= 3 AND ((`a` < 3) OR (`a` = 3 AND `b` <= 4))"
        );
    }
}
