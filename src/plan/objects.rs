//! Which tables are selected, and their names at the other side.

use crate::model::{
    name::{TableName, is_system_database},
    pattern,
    task::{Direction, ObjectRule, Selection},
};

use super::online::Online;

/// The objects of one link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objects {
    rules: Vec<ObjectRule>,
    /// The rules were written for the other direction: names here are those at their destination.
    mapped_back: bool,
    online: Online,
}

impl Objects {
    /// The objects of a link. `own` are rules written for this very direction; without them the forward rules
    /// are mapped back.
    pub fn new(direction: Direction, forward: &[ObjectRule], own: Option<&[ObjectRule]>) -> Self {
        match (direction, own) {
            (Direction::Forward, _) => Self {
                rules: forward.to_vec(),
                mapped_back: false,
                online: Online::default(),
            },
            (Direction::Reverse, Some(rules)) => Self {
                rules: rules.to_vec(),
                mapped_back: false,
                online: Online::default(),
            },
            (Direction::Reverse, None) => Self {
                rules: forward.to_vec(),
                mapped_back: true,
                online: Online::default(),
            },
        }
    }

    /// With the tables of online schema change tools told apart.
    pub fn with_online(mut self, online: Online) -> Self {
        self.online = online;
        self
    }

    /// How online schema change tools are dealt with.
    pub fn online(&self) -> &Online {
        &self.online
    }

    /// Whether the table may be the shadow of another one, made by a tool that changes it while it is in use.
    pub fn is_shadow(&self, table: &TableName) -> bool {
        self.online.is_shadow(table)
    }

    /// The name at the link's destination of a table at its source; `None` if the table is not selected.
    pub fn map(&self, table: &TableName) -> Option<TableName> {
        if is_system_database(&table.database) || self.online.hides(table) {
            return None;
        }
        if self.mapped_back {
            self.unmap(table)
        } else {
            self.apply(table)
        }
    }

    /// The name at the link's destination of a database of which everything is selected; `None` otherwise.
    pub fn map_database(&self, database: &str) -> Option<String> {
        if is_system_database(database) {
            return None;
        }
        self.rules.iter().find_map(|rule| {
            let ObjectRule::Include(Selection {
                database: source,
                table: None,
                to_database,
                ..
            }) = rule
            else {
                return None;
            };
            match (to_database, self.mapped_back) {
                // A renamed database is one database, not a pattern.
                (Some(to), false) => (source == database).then(|| to.clone()),
                (Some(to), true) => (to == database).then(|| source.clone()),
                (None, _) => pattern::matches(source, database).then(|| database.to_owned()),
            }
        })
    }

    /// Forward: the first rule that includes the table, unless any excludes it.
    fn apply(&self, table: &TableName) -> Option<TableName> {
        let about = || {
            self.rules
                .iter()
                .filter(|rule| rule.is_about(&table.database, &table.table))
        };
        if about().any(|rule| matches!(rule, ObjectRule::Exclude { .. })) {
            return None;
        }
        about().find_map(|rule| match rule {
            ObjectRule::Include(Selection {
                to_database, to_table, ..
            }) => Some(TableName::new(
                to_database.as_ref().unwrap_or(&table.database),
                to_table.as_ref().unwrap_or(&table.table),
            )),
            ObjectRule::Exclude { .. } => None,
        })
    }

    /// Mapped back: the table that the forward rules would call `table`.
    fn unmap(&self, table: &TableName) -> Option<TableName> {
        self.rules.iter().find_map(|rule| {
            let ObjectRule::Include(Selection {
                database,
                table: pattern,
                to_database,
                to_table,
                ..
            }) = rule
            else {
                return None;
            };
            let original = TableName::new(
                if to_database.is_some() {
                    database.clone()
                } else {
                    table.database.clone()
                },
                match (to_table, pattern) {
                    (Some(_), Some(pattern)) => pattern.clone(),
                    _ => table.table.clone(),
                },
            );
            (self.apply(&original).as_ref() == Some(table)).then_some(original)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn include(database: &str, table: Option<&str>, to: Option<(&str, Option<&str>)>) -> ObjectRule {
        ObjectRule::Include(Selection {
            database: database.into(),
            table: table.map(Into::into),
            to_database: to.map(|(database, _)| database.into()),
            to_table: to.and_then(|(_, table)| table.map(Into::into)),
            ..Selection::default()
        })
    }

    fn exclude(database: &str, table: &str) -> ObjectRule {
        ObjectRule::Exclude {
            database: database.into(),
            table: Some(table.into()),
        }
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
        for unselected in [
            "crm2.clients",
            "new.secret",
            "old.t",
            "crm.clients",
            "shop.tmp_9",
            "causeway.checkpoint",
        ] {
            assert_eq!(back.map(&table(unselected)), None, "{unselected}");
        }
    }
}
