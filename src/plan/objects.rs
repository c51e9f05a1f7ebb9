//! Which tables are selected, and their names at the other side.

use crate::model::{
    name::TableName,
    task::{Direction, ObjectRule},
};

/// The database on each server where Causeway keeps its own tables.
pub const OWN_DATABASE: &str = "causeway";

/// Databases that are a server's own and never synchronized.
const SYSTEM_DATABASES: [&str; 5] = ["mysql", "sys", "information_schema", "performance_schema", OWN_DATABASE];

/// Whether the database belongs to a server or to Causeway itself.
pub fn is_system_database(database: &str) -> bool {
    SYSTEM_DATABASES.iter().any(|name| name.eq_ignore_ascii_case(database))
}

/// The objects of one link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objects {
    rules: Vec<ObjectRule>,
    /// The rules were written for the other direction: names here are those at their destination.
    mapped_back: bool,
}

impl Objects {
    /// The objects of a link. `own` are rules written for this very direction; without them the forward rules
    /// are mapped back.
    pub fn new(direction: Direction, forward: &[ObjectRule], own: Option<&[ObjectRule]>) -> Self {
        match (direction, own) {
            (Direction::Forward, _) => Self { rules: forward.to_vec(), mapped_back: false },
            (Direction::Reverse, Some(rules)) => Self { rules: rules.to_vec(), mapped_back: false },
            (Direction::Reverse, None) => Self { rules: forward.to_vec(), mapped_back: true },
        }
    }

    /// The name at the link's destination of a table at its source; `None` if the table is not selected.
    pub fn map(&self, table: &TableName) -> Option<TableName> {
        if is_system_database(&table.database) {
            return None;
        }
        if self.mapped_back { self.unmap(table) } else { self.apply(table) }
    }

    /// The name at the link's destination of a database of which everything is selected; `None` otherwise.
    pub fn map_database(&self, database: &str) -> Option<String> {
        if is_system_database(database) {
            return None;
        }
        self.rules.iter().find_map(|rule| match rule {
            ObjectRule::Include { database: pattern, table: None, to_database, .. } => {
                let to = to_database.as_deref();
                if self.mapped_back {
                    match to {
                        Some(to) => (to == database).then(|| pattern.clone()),
                        None => like(pattern, database).then(|| database.to_owned()),
                    }
                } else {
                    like(pattern, database).then(|| to.unwrap_or(database).to_owned())
                }
            }
            ObjectRule::Include { .. } | ObjectRule::Exclude { .. } => None,
        })
    }

    /// Forward: the first rule that includes the table, unless any excludes it.
    fn apply(&self, table: &TableName) -> Option<TableName> {
        let mut mapped = None;
        for rule in &self.rules {
            match rule {
                ObjectRule::Include { database, table: pattern, to_database, to_table } => {
                    if mapped.is_none() && matches(database, pattern.as_deref(), table) {
                        mapped = Some(TableName::new(
                            to_database.clone().unwrap_or_else(|| table.database.clone()),
                            to_table.clone().unwrap_or_else(|| table.table.clone()),
                        ));
                    }
                }
                ObjectRule::Exclude { database, table: pattern } => {
                    if matches(database, pattern.as_deref(), table) {
                        return None;
                    }
                }
            }
        }
        mapped
    }

    /// Mapped back: the table that the forward rules would call `table`.
    fn unmap(&self, table: &TableName) -> Option<TableName> {
        self.rules.iter().find_map(|rule| {
            let ObjectRule::Include { database, table: pattern, to_database, to_table } = rule else { return None };
            let original = TableName::new(
                if to_database.is_some() { database.clone() } else { table.database.clone() },
                match (to_table, pattern) {
                    (Some(_), Some(pattern)) => pattern.clone(),
                    _ => table.table.clone(),
                },
            );
            (self.apply(&original).as_ref() == Some(table)).then_some(original)
        })
    }
}

fn matches(database: &str, pattern: Option<&str>, table: &TableName) -> bool {
    like(database, &table.database) && pattern.is_none_or(|pattern| like(pattern, &table.table))
}

/// MySQL's LIKE over whole names: `%` any characters, `_` one character, `\` takes the next one as it is. Compared
/// with case, as MySQL does for names where `lower_case_table_names` is 0.
pub fn like(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    like_from(&pattern, &name)
}

fn like_from(pattern: &[char], name: &[char]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some(('%', rest)) => (0..=name.len()).any(|from| name.get(from..).is_some_and(|tail| like_from(rest, tail))),
        Some(('_', rest)) => name.split_first().is_some_and(|(_, tail)| like_from(rest, tail)),
        Some(('\\', rest)) if !rest.is_empty() => match (rest.split_first(), name.split_first()) {
            (Some((wanted, rest)), Some((found, tail))) => wanted == found && like_from(rest, tail),
            _ => false,
        },
        Some((wanted, rest)) => name.split_first().is_some_and(|(found, tail)| wanted == found && like_from(rest, tail)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn include(database: &str, table: Option<&str>, to: Option<(&str, Option<&str>)>) -> ObjectRule {
        ObjectRule::Include {
            database: database.into(),
            table: table.map(Into::into),
            to_database: to.map(|(database, _)| database.into()),
            to_table: to.and_then(|(_, table)| table.map(Into::into)),
        }
    }

    fn exclude(database: &str, table: &str) -> ObjectRule {
        ObjectRule::Exclude { database: database.into(), table: Some(table.into()) }
    }

    fn table(name: &str) -> TableName {
        let (database, table) = name.split_once('.').unwrap();
        TableName::new(database, table)
    }

    fn check(rules: &[ObjectRule], source: &str, destination: Option<&str>) {
        let forward = Objects::new(Direction::Forward, rules, None);
        let back = Objects::new(Direction::Reverse, rules, None);
        assert_eq!(forward.map(&table(source)), destination.map(table), "{source} forward");
        if let Some(destination) = destination {
            assert_eq!(back.map(&table(destination)), Some(table(source)), "{destination} back");
        }
    }

    #[test]
    fn tables_map_forward_and_back() {
        let rules = [
            include("shop", None, None),
            include("crm", Some("clients"), Some(("crm2", Some("customers")))),
            include("old", None, Some(("new", None))),
            exclude("shop", r"tmp\_%"),
            exclude("old", "secret"),
        ];
        check(&rules, "shop.orders", Some("shop.orders"));
        check(&rules, "shop.tmp_1", None);
        check(&rules, "shop.tmpx1", Some("shop.tmpx1"));
        check(&rules, "crm.clients", Some("crm2.customers"));
        check(&rules, "crm.other", None);
        check(&rules, "old.t", Some("new.t"));
        check(&rules, "old.secret", None);
        check(&rules, "mysql.user", None);
        let back = Objects::new(Direction::Reverse, &rules, None);
        for unselected in ["crm2.clients", "new.secret", "old.t", "crm.clients", "shop.tmp_9", "causeway.checkpoint"] {
            assert_eq!(back.map(&table(unselected)), None, "{unselected}");
        }
    }

    #[test]
    fn like_follows_mysql() {
        for (pattern, name, expected) in
            [("a%", "a", true), ("a_", "a", false), ("%b%", "abc", true), (r"a\_", "ab", false), (r"a\_", "a_", true), ("", "", true)]
        {
            assert_eq!(like(pattern, name), expected, "{pattern} {name}");
        }
    }
}
