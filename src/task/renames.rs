//! Tables and columns that DDL has given other names while rows of the reverse direction were on their way. Pure.
//!
//! DDL goes forward only, so the task's source is the first to have a new name. A row that the destination's clients
//! wrote before the DDL came to them arrives with the old one, and is written under the new.

use crate::{
    ddl::{self, Role, StatementContext},
    model::name::TableName,
    plan::bind::Renamed,
};

/// What the statements that went forward have renamed, in their order.
#[derive(Debug, Default)]
pub struct Renames(Vec<ddl::Statement>);

impl Renames {
    /// Of statements with qualified names, as they were run at the task's destination.
    pub fn of(statements: &[String], version: u32) -> Self {
        let context = StatementContext {
            default_database: None,
            sql_mode: 0,
            server_version: version,
        };
        let parsed = statements
            .iter()
            .filter_map(|statement| ddl::classify(statement, &context).ok());
        Self(parsed.filter(renames).collect())
    }

    /// What a table with this name is called after all of them; its own name if it was never renamed.
    pub fn table(&self, name: &TableName) -> TableName {
        self.0
            .iter()
            .fold(name.clone(), |name, statement| renamed_table(statement, name))
    }

    /// What the columns of a table were renamed to: each of their former names, and the last one.
    pub fn columns(&self, name: &TableName) -> Renamed {
        let (mut name, mut columns) = (name.clone(), Renamed::new());
        for statement in &self.0 {
            let altered = statement
                .names
                .iter()
                .any(|found| found.role == Role::Table && found.name == name);
            for (old, new) in statement.renamed_columns().iter().filter(|_| altered) {
                for last in columns.values_mut().filter(|last| last.eq_ignore_ascii_case(old)) {
                    last.clone_from(new);
                }
                columns.insert(old.clone(), new.clone());
            }
            name = renamed_table(statement, name);
        }
        columns
    }
}

fn renames(statement: &ddl::Statement) -> bool {
    !statement.renamed_columns().is_empty() || statement.renamed_tables().next().is_some()
}

fn renamed_table(statement: &ddl::Statement, name: TableName) -> TableName {
    // One RENAME TABLE may exchange names: its pairs take effect one after the other.
    statement
        .renamed_tables()
        .fold(name, |name, (old, new)| if *old == name { new.clone() } else { name })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(statements: &[&str], table: &str, column: &str, expected: (&str, Option<&str>)) {
        let statements: Vec<String> = statements.iter().map(ToString::to_string).collect();
        let renames = Renames::of(&statements, 90_704);
        let table = TableName::new("d", table);
        let columns = renames.columns(&table);
        let found = (renames.table(&table).table, columns.get(column).map(String::as_str));
        assert_eq!((found.0.as_str(), found.1), expected, "{statements:?}");
    }

    #[test]
    fn a_name_is_followed_through_all_renames() {
        check(&[], "t", "a", ("t", None));
        check(&["ALTER TABLE d.t RENAME COLUMN a TO b"], "t", "a", ("t", Some("b")));
        check(&["ALTER TABLE d.u RENAME COLUMN a TO b"], "t", "a", ("t", None));
        check(
            &["ALTER TABLE d.t CHANGE COLUMN `a` b INT, CHANGE c c INT"],
            "t",
            "a",
            ("t", Some("b")),
        );
        check(
            &["ALTER TABLE d.t CHANGE a b INT", "ALTER TABLE d.t CHANGE b c INT"],
            "t",
            "a",
            ("t", Some("c")),
        );
        check(
            &["RENAME TABLE d.t TO d.u", "ALTER TABLE d.u CHANGE a b INT"],
            "t",
            "a",
            ("u", Some("b")),
        );
        check(
            &["ALTER TABLE d.t CHANGE a b INT, RENAME TO d.u"],
            "t",
            "a",
            ("u", Some("b")),
        );
        check(&["RENAME TABLE d.x TO d.y, d.t TO d.u"], "t", "a", ("u", None));
        check(&["ALTER TABLE d.t RENAME INDEX a TO b"], "t", "a", ("t", None));
    }
}
