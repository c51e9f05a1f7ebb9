//! Whether the columns that OBJECTS list for a table can travel: one rule, one function. Each says what is wrong and what
//! to do, or nothing.

use crate::model::{
    columns::ColumnMap,
    table::{Table, TableColumn},
};

/// All rules about the task's source, for a table with a list of columns. `both_ways`: rows come back, too.
pub fn of_listed_columns(source: &Table, columns: &ColumnMap, both_ways: bool) -> Vec<String> {
    let mut reasons: Vec<String> = unknown_columns(source, columns).into_iter().collect();
    reasons.extend(left_out_key(source, columns));
    if both_ways {
        reasons.extend(left_out_without_default(source, columns));
    }
    reasons
}

/// Columns that are listed and not there.
fn unknown_columns(source: &Table, columns: &ColumnMap) -> Option<String> {
    let unknown: Vec<&str> = columns
        .listed()
        .filter(|name| source.position(name).is_none())
        .collect();
    (!unknown.is_empty()).then(|| {
        format!(
            "{} has no column {}, which OBJECTS lists; correct the list",
            source.name,
            unknown.join(", ")
        )
    })
}

/// Rows can't be told apart at the destination without the columns of the row key.
fn left_out_key(source: &Table, columns: &ColumnMap) -> Option<String> {
    let key = source.row_key()?.columns()?;
    let left_out: Vec<&TableColumn> = key
        .iter()
        .filter_map(|position| source.columns.get(*position))
        .filter(|column| columns.to(&column.name).is_none())
        .collect();
    (!left_out.is_empty()).then(|| {
        format!(
            "OBJECTS leaves out {} of {}, which is part of the key that tells rows apart; add it to the list",
            names(&left_out),
            source.name
        )
    })
}

/// A row that comes back must find a default for every column that it does not bring.
fn left_out_without_default(source: &Table, columns: &ColumnMap) -> Option<String> {
    let left_out: Vec<&TableColumn> = source
        .columns
        .iter()
        .filter(|column| column.needs_value() && columns.to(&column.name).is_none())
        .collect();
    (!left_out.is_empty()).then(|| {
        format!(
            "OBJECTS leaves out {} of {}, which is NOT NULL and has no default, so rows that are inserted at the \
             destination can't come to the source; give it a default, make it nullable, add it to the list, or make the \
             task one-way (FROM … TO …)",
            names(&left_out),
            source.name
        )
    })
}

fn names(columns: &[&TableColumn]) -> String {
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        name::TableName,
        table::{Family, Key, KeyPart},
    };

    #[test]
    fn each_rule_names_what_is_wrong() {
        let column = |name: &str, nullable: bool, default: Option<&str>| TableColumn {
            name: name.into(),
            family: Family::Integer,
            column_type: "int".into(),
            nullable,
            generated: false,
            on_update: false,
            default: default.map(Into::into),
            auto_increment: false,
        };
        let part = |position| KeyPart::Column {
            position,
            prefix: false,
        };
        let table = Table {
            name: TableName::new("d", "t"),
            columns: vec![
                column("id", false, None),
                column("site", false, None),
                column("needed", false, None),
                column("kind", false, Some("1")),
                column("note", true, None),
            ],
            unique_keys: vec![Key {
                name: "PRIMARY".into(),
                parts: vec![part(0), part(1)],
            }],
            foreign_keys: vec![],
            references: vec![],
        };
        let check = |listed: &[&str], both_ways: bool, expected: &[&str]| {
            let columns = listed
                .iter()
                .map(|name| ((*name).to_owned(), (*name).to_owned()))
                .collect();
            let found = of_listed_columns(&table, &ColumnMap::Listed(columns), both_ways);
            assert_eq!(found.len(), expected.len(), "{found:?}");
            for (found, expected) in found.iter().zip(expected) {
                assert!(found.contains(expected), "{found}");
            }
        };
        check(&["ID", "site", "needed"], true, &[]);
        check(&["id", "site"], false, &[]);
        check(&["id", "site"], true, &["leaves out needed of d.t, which is NOT NULL"]);
        check(
            &["id", "needed"],
            false,
            &["leaves out site of d.t, which is part of the key"],
        );
        check(&["id", "site", "needed", "x", "y"], true, &["no column x, y"]);
        check(
            &["x"],
            true,
            &["no column x", "leaves out id, site", "leaves out id, site, needed"],
        );
        assert!(of_listed_columns(&table, &ColumnMap::All, true).is_empty());
    }
}
