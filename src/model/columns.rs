//! Which columns of a table travel, and what they are called at the other side.

use super::task::SelectedColumn;

/// The columns that a link carries of one table, from its source to its destination.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ColumnMap {
    /// All of them, under their own names.
    #[default]
    All,
    /// These alone: name at the link's source, name at its destination.
    Listed(Vec<(String, String)>),
}

impl ColumnMap {
    /// What an OBJECTS list says of a table, in the direction it was written for.
    pub fn of(columns: Option<&[SelectedColumn]>) -> Self {
        columns.map_or(ColumnMap::All, |columns| {
            let pair = |column: &SelectedColumn| {
                let to = column.to.as_ref().unwrap_or(&column.name);
                (column.name.clone(), to.clone())
            };
            ColumnMap::Listed(columns.iter().map(pair).collect())
        })
    }

    /// The same columns, the other way.
    pub fn inverted(self) -> Self {
        match self {
            ColumnMap::All => ColumnMap::All,
            ColumnMap::Listed(columns) => ColumnMap::Listed(columns.into_iter().map(|(from, to)| (to, from)).collect()),
        }
    }

    /// Whether columns may be left out or renamed.
    pub fn is_listed(&self) -> bool {
        matches!(self, ColumnMap::Listed(_))
    }

    /// The name at the destination of a column of the source; `None`: it is left out.
    pub fn to<'a>(&'a self, column: &'a str) -> Option<&'a str> {
        match self {
            ColumnMap::All => Some(column),
            // Names of columns are the same in any case.
            ColumnMap::Listed(columns) => columns
                .iter()
                .find(|(from, _)| from.eq_ignore_ascii_case(column))
                .map(|(_, to)| to.as_str()),
        }
    }

    /// The name at the source of a column of the destination; `None`: it is none of those that travel.
    pub fn from<'a>(&'a self, column: &'a str) -> Option<&'a str> {
        match self {
            ColumnMap::All => Some(column),
            ColumnMap::Listed(columns) => columns
                .iter()
                .find(|(_, to)| to.eq_ignore_ascii_case(column))
                .map(|(from, _)| from.as_str()),
        }
    }

    /// The names at the source of the columns that were listed; none if all travel.
    pub fn listed(&self) -> impl Iterator<Item = &str> {
        let listed = match self {
            ColumnMap::All => &[][..],
            ColumnMap::Listed(columns) => columns,
        };
        listed.iter().map(|(from, _)| from.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_from_both_sides() {
        let check = |map: &ColumnMap, column: &str, to: Option<&str>, from: Option<&str>| {
            assert_eq!((map.to(column), map.from(column)), (to, from), "{map:?} {column}");
        };
        let selected = |name: &str, to: Option<&str>| SelectedColumn {
            name: name.into(),
            to: to.map(Into::into),
        };
        let all = ColumnMap::of(None);
        check(&all, "a", Some("a"), Some("a"));
        check(&all.inverted(), "a", Some("a"), Some("a"));
        let some = ColumnMap::of(Some(&[
            selected("id", None),
            selected("a", Some("b")),
            selected("b", Some("a")),
            selected("Name", Some("full")),
        ]));
        check(&some, "ID", Some("id"), Some("id"));
        check(&some, "a", Some("b"), Some("b"));
        check(&some, "name", Some("full"), None);
        check(&some, "full", None, Some("Name"));
        check(&some, "other", None, None);
        check(&some.clone().inverted(), "full", Some("Name"), None);
        assert_eq!(some.listed().collect::<Vec<_>>(), ["id", "a", "b", "Name"]);
    }
}
