//! Tables whose rows a statement has replaced or removed at the destination.
//!
//! `TRUNCATE` and `DROP` take rows away, and the last step of an online schema change puts another table into the place
//! of the first. What the destination's clients changed in such a table before the statement came to them is lost there;
//! but the source, which had not seen it yet when it ran the statement, applies it *after* the statement. So that both
//! sides end with what the source has, these changes go back to where they came from, once.

use std::collections::HashMap;

use crate::model::name::TableName;

/// The last statement that has replaced the rows of each table. Tables are the source's; all of a database if the
/// table's name is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Voids(HashMap<TableName, u64>);

impl Voids {
    /// Statement `number` has replaced the rows of these tables.
    pub(super) fn add(&mut self, tables: &[TableName], number: u64) {
        for table in tables {
            let last = self.0.entry(table.clone()).or_default();
            *last = number.max(*last);
        }
    }

    /// Whether the rows of `table` were replaced after statement `ddl`.
    pub(super) fn since(&self, table: &TableName, ddl: u64) -> bool {
        let whole = TableName::new(&table.database, "");
        [table, &whole]
            .into_iter()
            .any(|name| self.0.get(name).is_some_and(|number| *number > ddl))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_void_for_what_was_made_before_its_last_statement() {
        let (t, u) = (TableName::new("d", "t"), TableName::new("d", "u"));
        let mut voids = Voids::default();
        assert!(!voids.since(&t, 0));
        voids.add(std::slice::from_ref(&t), 3);
        voids.add(std::slice::from_ref(&t), 2);
        assert_eq!([0, 2, 3, 4].map(|ddl| voids.since(&t, ddl)), [true, true, false, false]);
        assert!(!voids.since(&u, 0));
        voids.add(&[TableName::new("d", "")], 5);
        assert!(voids.since(&u, 4) && voids.since(&t, 4) && !voids.since(&u, 5));
    }
}
