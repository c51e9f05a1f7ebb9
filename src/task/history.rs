//! Rows of the reverse direction that are older than a DDL of the forward one. Pure.
//!
//! DDL goes forward only, so the task's source is the first to have a new definition. A row that the destination's clients
//! wrote before the statement came to them arrives at the source as it was, and is taken through the statement: written
//! under the new names, without the columns that were dropped, as the type that its column has now; and not at all if the
//! statement removed all rows.

use crate::{
    ddl::{self, Kind, Role, StatementContext},
    model::{
        history::{Details, HistoryEntry},
        name::TableName,
        table::Table,
    },
    plan::bind::Renamed,
};

/// The statements that rows are older than, in their order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct History(Vec<Step>);

#[derive(Debug, PartialEq, Eq)]
struct Step {
    statement: Option<ddl::Statement>,
    details: Details,
}

/// What became of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is there, by this name, with other columns perhaps.
    There {
        /// Its name now, at the task's destination.
        name: TableName,
        /// What became of its columns: those that were renamed or dropped.
        columns: Renamed,
        /// Its definition when the rows were made, if a statement has changed it.
        before: Option<Box<Table>>,
    },
    /// Its rows are gone.
    Gone,
}

impl History {
    /// Of statements as they were run at the task's destination, a server of `version` (`90704`).
    pub fn new(entries: Vec<HistoryEntry>, version: u32) -> Self {
        let context = StatementContext {
            default_database: None,
            sql_mode: 0,
            server_version: version,
        };
        let step = |entry: HistoryEntry| Step {
            statement: ddl::classify(&entry.statement, &context).ok(),
            details: entry.details,
        };
        Self(entries.into_iter().map(step).collect())
    }

    /// What the statements have made of a table that rows name so.
    pub fn follow(&self, table: &TableName) -> Fate {
        let (mut name, mut columns, mut before) = (table.clone(), Renamed::new(), None::<Box<Table>>);
        for step in &self.0 {
            if let Some(definition) = step.details.before.iter().find(|table| table.name == name) {
                let first = before.get_or_insert_with(|| Box::new(definition.clone()));
                // What is not there before this statement was dropped by an earlier one; if the name comes back it is
                // another column's.
                for column in &first.columns {
                    let now = columns.get(&column.name).map_or(Some(&column.name), Option::as_ref);
                    if now.is_some_and(|now| definition.position(now).is_none()) {
                        columns.insert(column.name.clone(), None);
                    }
                }
            }
            let Some(statement) = &step.statement else { continue };
            if removes_rows(statement, &name) {
                return Fate::Gone;
            }
            if step.details.replaced.iter().any(|(table, _)| *table == name) {
                continue;
            }
            let altered = statement
                .names
                .iter()
                .any(|found| found.role == Role::Table && found.name == name);
            if altered {
                rename_columns(&mut columns, statement.renamed_columns());
            }
            name = renamed_table(statement, name);
        }
        Fate::There { name, columns, before }
    }
}

/// The pairs of one ALTER TABLE take effect at once: two columns may exchange their names.
fn rename_columns(columns: &mut Renamed, pairs: &[(String, String)]) {
    let former = columns.clone();
    for (old, new) in pairs {
        let is_it = |now: &Option<String>| now.as_ref().is_some_and(|now| now.eq_ignore_ascii_case(old));
        match former.iter().find(|(_, now)| is_it(now)) {
            Some((first, _)) => columns.insert(first.clone(), Some(new.clone())),
            // A column that was dropped leaves its name to another one, which rows as old as this do not have.
            None if former.contains_key(old) => None,
            None => columns.insert(old.clone(), Some(new.clone())),
        };
    }
}

fn removes_rows(statement: &ddl::Statement, table: &TableName) -> bool {
    match statement.kind {
        Kind::TruncateTable | Kind::DropTable { .. } => statement.targets().any(|target| target.name == *table),
        Kind::DropDatabase => statement.targets().any(|target| target.name.database == table.database),
        _ => false,
    }
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

    fn history(statements: &[&str], replaced: Option<(&str, &str)>) -> History {
        let entry = |(number, statement): (usize, &&str)| HistoryEntry {
            number: number as u64,
            gtid: String::new(),
            statement: (*statement).to_owned(),
            details: Details {
                replaced: replaced
                    .map(|(table, trash)| (TableName::new("d", table), TableName::new("d", trash)))
                    .into_iter()
                    .collect(),
                ..Details::default()
            },
        };
        History::new(statements.iter().enumerate().map(entry).collect(), 90_704)
    }

    fn check(statements: &[&str], table: &str, column: &str, expected: Option<(&str, Option<&str>)>) {
        let fate = history(statements, None).follow(&TableName::new("d", table));
        let found = match &fate {
            Fate::There { name, columns, .. } => {
                Some((name.table.as_str(), columns.get(column).and_then(Option::as_deref)))
            }
            Fate::Gone => None,
        };
        assert_eq!(found, expected, "{statements:?}");
    }

    #[test]
    fn a_name_is_followed_through_all_statements() {
        check(&[], "t", "a", Some(("t", None)));
        check(
            &["ALTER TABLE d.t RENAME COLUMN a TO b"],
            "t",
            "a",
            Some(("t", Some("b"))),
        );
        check(&["ALTER TABLE d.u RENAME COLUMN a TO b"], "t", "a", Some(("t", None)));
        check(
            &["ALTER TABLE d.t CHANGE COLUMN `a` b INT, CHANGE c c INT"],
            "t",
            "a",
            Some(("t", Some("b"))),
        );
        check(
            &["ALTER TABLE d.t CHANGE a b INT", "ALTER TABLE d.t CHANGE b c INT"],
            "t",
            "a",
            Some(("t", Some("c"))),
        );
        check(
            &["RENAME TABLE d.t TO d.u", "ALTER TABLE d.u CHANGE a b INT"],
            "t",
            "a",
            Some(("u", Some("b"))),
        );
        check(
            &["ALTER TABLE d.t CHANGE a b INT, RENAME TO d.u"],
            "t",
            "a",
            Some(("u", Some("b"))),
        );
        check(&["RENAME TABLE d.x TO d.y, d.t TO d.u"], "t", "a", Some(("u", None)));
        check(&["ALTER TABLE d.t RENAME INDEX a TO b"], "t", "a", Some(("t", None)));
        check(
            &["ALTER TABLE d.t RENAME COLUMN a TO b, RENAME COLUMN b TO a"],
            "t",
            "a",
            Some(("t", Some("b"))),
        );
    }

    #[test]
    fn rows_of_a_table_that_was_emptied_or_dropped_are_gone() {
        check(&["TRUNCATE TABLE d.t"], "t", "a", None);
        check(&["DROP TABLE d.x, d.t", "CREATE TABLE d.t (a INT)"], "t", "a", None);
        check(&["RENAME TABLE d.t TO d.u", "DROP TABLE d.u"], "t", "a", None);
        check(
            &["RENAME TABLE d.t TO d.u", "DROP TABLE d.t"],
            "t",
            "a",
            Some(("u", None)),
        );
        check(&["DROP DATABASE d"], "t", "a", None);
        check(&["DROP DATABASE e"], "t", "a", Some(("t", None)));
    }

    #[test]
    fn a_table_whose_shadow_took_its_place_keeps_its_name() {
        let history = history(
            &["RENAME TABLE d.t TO d._t_old, d._t_new TO d.t"],
            Some(("t", "_t_old")),
        );
        let Fate::There { name, .. } = history.follow(&TableName::new("d", "t")) else {
            panic!("its rows are there")
        };
        assert_eq!(name.table, "t");
    }
}
