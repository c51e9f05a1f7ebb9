//! Which tables are selected, their names at the other side, and what else is said of them.

use std::collections::BTreeSet;

use crate::model::{
    columns::ColumnMap,
    name::{TableName, is_system_database},
    pattern,
    task::{Direction, ObjectRule, Operation, Selection},
};

use super::{name_case::NameCase, online::Online};

/// The objects of one link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objects {
    rules: Vec<ObjectRule>,
    /// The rules were written for the other direction: names here are those at their destination.
    mapped_back: bool,
    /// How the rules' destination writes names.
    case: NameCase,
    /// The rules in that case, where names are known up to case only.
    folded: Vec<ObjectRule>,
    /// How the link's source keeps names.
    kept: NameCase,
    online: Online,
}

/// What is said of a table that is selected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected<'a> {
    /// Its name at the link's destination.
    pub name: TableName,
    /// Its columns, from the link's source to its destination.
    pub columns: ColumnMap,
    /// `WHERE`: over the columns of the server that the rule was written for, see [`Selected::mapped_back`].
    pub filter: Option<&'a str>,
    /// `ONLY`: what is carried; `None`: everything.
    pub operations: Option<&'a BTreeSet<Operation>>,
    /// The rule was written for the other direction: its source is the link's destination.
    pub mapped_back: bool,
}

impl Objects {
    /// The objects of a link. `own` are rules written for this very direction; without them the forward rules
    /// are mapped back.
    pub fn new(direction: Direction, forward: &[ObjectRule], own: Option<&[ObjectRule]>) -> Self {
        let (rules, mapped_back) = match (direction, own) {
            (Direction::Forward, _) => (forward, false),
            (Direction::Reverse, Some(rules)) => (rules, false),
            (Direction::Reverse, None) => (forward, true),
        };
        Self {
            rules: rules.to_vec(),
            mapped_back,
            case: NameCase::Kept,
            folded: Vec::new(),
            kept: NameCase::Kept,
            online: Online::default(),
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

    /// For servers that keep names in one case, in whatever case they are written: the link's source, and the one that the
    /// rules speak of.
    pub fn kept_in(mut self, source: NameCase, rules: NameCase) -> Self {
        self.kept = source;
        let fold = |rule: &ObjectRule| match (rule, folded(rule, rules)) {
            (ObjectRule::Include(written), ObjectRule::Include(folded)) => ObjectRule::Include(Selection {
                to_database: written.to_database.clone(),
                to_table: written.to_table.clone(),
                ..folded
            }),
            (_, folded) => folded,
        };
        self.rules = self.rules.iter().map(fold).collect();
        self
    }

    /// A name in a statement as the link's source keeps it.
    pub fn as_kept(&self, name: &str) -> String {
        self.kept.fold(name)
    }

    /// With names in a certain case at the destination of the rules: that of the link, or its source if they are
    /// [mapped back](Objects::is_mapped_back).
    pub fn in_case(mut self, case: NameCase) -> Self {
        self.case = case;
        self.folded = match case {
            NameCase::Kept => Vec::new(),
            _ => self.rules.iter().map(|rule| folded(rule, case)).collect(),
        };
        self
    }

    /// What was written, in the case in which the servers keep names.
    pub fn rules(&self) -> &[ObjectRule] {
        &self.rules
    }

    /// Whether these are the forward direction's objects.
    pub fn is_mapped_back(&self) -> bool {
        self.mapped_back
    }

    /// Whether names at the link's destination are known up to case only: [`Objects::back_to`] tells whether one that is
    /// there is meant.
    pub fn up_to_case(&self) -> bool {
        self.mapped_back && self.case != NameCase::Kept
    }

    /// The name at the link's destination of a table at its source; `None` if the table is not selected.
    pub fn map(&self, table: &TableName) -> Option<TableName> {
        self.find(table).map(|(_, name)| name)
    }

    /// What is said of a table at the link's source; `None` if it is not selected.
    pub fn select(&self, table: &TableName) -> Option<Selected<'_>> {
        self.find(table).map(|(selection, name)| self.selected(selection, name))
    }

    /// Which columns of a table at the link's source travel.
    pub fn columns(&self, table: &TableName) -> ColumnMap {
        self.select(table).map(|selected| selected.columns).unwrap_or_default()
    }

    /// As [`Objects::select`], if the table is `original` at the link's destination.
    pub fn back_to(&self, table: &TableName, original: &TableName) -> Option<Selected<'_>> {
        let (selection, name) = self.apply(original)?;
        (name == *table).then(|| self.selected(selection, original.clone()))
    }

    /// Whether an operation on a table (or a database, if the table is empty) is among those that are carried.
    pub fn carries(&self, name: &TableName, operation: Operation) -> bool {
        let of_database = matches!(
            operation,
            Operation::View | Operation::Routine | Operation::Trigger | Operation::Event | Operation::Database
        );
        let operations = if name.table.is_empty() || of_database {
            self.find_database(&name.database)
                .map(|(selection, _)| &selection.operations)
        } else {
            self.find(name).map(|(selection, _)| &selection.operations)
        };
        operations.is_some_and(|operations| operation.is_among(operations.as_ref()))
    }

    /// Whether all operations on all tables are carried.
    pub fn carries_everything(&self) -> bool {
        let limited =
            |rule: &ObjectRule| matches!(rule, ObjectRule::Include(selection) if selection.operations.is_some());
        !self.rules.iter().any(limited)
    }

    /// The condition that chooses the rows of a table at the link's source; `None`: all are synchronized.
    pub fn filter(&self, table: &TableName) -> Option<&str> {
        self.find(table)?.0.filter.as_deref()
    }

    /// Whether there are tables of which only some rows are synchronized.
    pub fn has_filters(&self) -> bool {
        let filtered = |rule: &ObjectRule| matches!(rule, ObjectRule::Include(selection) if selection.filter.is_some());
        self.rules.iter().any(filtered)
    }

    /// The tables whose columns are listed: names at the source and at the destination of the rules.
    pub fn with_listed_columns(&self) -> impl Iterator<Item = (TableName, TableName)> {
        self.rules.iter().filter_map(|rule| match rule {
            ObjectRule::Include(selection @ Selection { table: Some(table), .. }) if selection.columns.is_some() => {
                let source = TableName::new(&selection.database, table);
                let target = self.case.fold_table(&target(selection, &source));
                Some((source, target))
            }
            _ => None,
        })
    }

    /// The name at the link's destination of a database of which everything is selected; `None` otherwise.
    pub fn map_database(&self, database: &str) -> Option<String> {
        self.find_database(database).map(|(_, name)| name)
    }

    fn selected<'a>(&self, selection: &'a Selection, name: TableName) -> Selected<'a> {
        let columns = ColumnMap::of(selection.columns.as_deref());
        Selected {
            name,
            columns: if self.mapped_back { columns.inverted() } else { columns },
            filter: selection.filter.as_deref(),
            operations: selection.operations.as_ref(),
            mapped_back: self.mapped_back,
        }
    }

    fn find(&self, table: &TableName) -> Option<(&Selection, TableName)> {
        if is_system_database(&table.database) || self.online.hides(table) {
            return None;
        }
        match (self.mapped_back, self.case) {
            (false, _) => self.apply(table),
            (true, NameCase::Kept) => self.unmap(table),
            (true, _) => self.unmap_up_to_case(table),
        }
    }

    fn find_database(&self, database: &str) -> Option<(&Selection, String)> {
        if is_system_database(database) {
            return None;
        }
        let rules = if self.up_to_case() { &self.folded } else { &self.rules };
        let found = |rule: &ObjectRule| match rule {
            ObjectRule::Include(selection) if selection.table.is_none() => self.counterpart(selection, database),
            _ => None,
        };
        // `NOT db.*`
        let excluded = |source: &str| {
            let excludes = |rule: &ObjectRule| matches!(rule, ObjectRule::Exclude { database, table: None } if pattern::matches(database, source));
            rules.iter().any(excludes)
        };
        // Both lists have the same rules in the same places.
        rules.iter().zip(&self.rules).find_map(|(rule, written)| {
            let name = found(rule)?;
            if excluded(if self.mapped_back { &name } else { database }) {
                return None;
            }
            let ObjectRule::Include(selection) = written else {
                return None;
            };
            Some(match self.mapped_back {
                true => (selection, name),
                false => (selection, self.case.fold(&name)),
            })
        })
    }

    /// What a rule calls a database at the other side, if it is about this one.
    fn counterpart(&self, selection: &Selection, database: &str) -> Option<String> {
        let source = &selection.database;
        match (&selection.to_database, self.mapped_back) {
            // A renamed database is one database, not a pattern.
            (Some(to), false) => (source == database).then(|| to.clone()),
            (Some(to), true) => (to == database).then(|| source.clone()),
            (None, _) => pattern::matches(source, database).then(|| database.to_owned()),
        }
    }

    /// The name at the link's source of a table at its destination: the reverse of [`Self::map`].
    pub fn origin(&self, destination: &TableName) -> Option<TableName> {
        let found = match self.mapped_back {
            true => self.apply(destination),
            false => self.unmap(destination),
        };
        found.map(|(_, name)| name)
    }

    /// The databases at the link's destination that selected tables of a database go to, if it is not selected as a whole.
    pub fn databases_of_tables(&self, database: &str) -> BTreeSet<String> {
        if is_system_database(database) || self.map_database(database).is_some() {
            return BTreeSet::new();
        }
        let of_rule = |rule: &ObjectRule| match rule {
            ObjectRule::Include(selection) if selection.table.is_some() => self.counterpart(selection, database),
            _ => None,
        };
        let found = self.rules.iter().filter_map(of_rule);
        match self.mapped_back {
            true => found.collect(),
            false => found.map(|name| self.case.fold(&name)).collect(),
        }
    }

    /// Forward: the first rule that includes the table, unless any excludes it.
    fn apply(&self, table: &TableName) -> Option<(&Selection, TableName)> {
        let mut found = None;
        for rule in &self.rules {
            match rule {
                // There may be thousands: one is enough.
                ObjectRule::Include(_) if found.is_some() => {}
                _ if !rule.is_about(&table.database, &table.table) => {}
                ObjectRule::Include(selection) => found = Some(selection),
                ObjectRule::Exclude { .. } => return None,
            }
        }
        found.map(|selection| (selection, self.case.fold_table(&target(selection, table))))
    }

    /// Mapped back: the table that the forward rules would call `table`.
    fn unmap(&self, table: &TableName) -> Option<(&Selection, TableName)> {
        self.rules.iter().find_map(|rule| {
            let ObjectRule::Include(selection) = rule else {
                return None;
            };
            let original = source(selection, table);
            if target(selection, &original) != *table || !rule.is_about(&original.database, &original.table) {
                return None;
            }
            // An earlier rule may have another say in it, and a later one leave it out.
            let (found, name) = self.apply(&original)?;
            (name == *table).then_some((found, original))
        })
    }

    /// As [`Objects::unmap`] where case was lost on the way. What is left out is not known before the table's own name
    /// is: in another case it may be selected.
    fn unmap_up_to_case(&self, table: &TableName) -> Option<(&Selection, TableName)> {
        self.folded.iter().zip(&self.rules).find_map(|(rule, written)| {
            let (ObjectRule::Include(selection), ObjectRule::Include(written)) = (rule, written) else {
                return None;
            };
            let original = source(selection, table);
            let fits = rule.is_about(&original.database, &original.table) && target(selection, &original) == *table;
            fits.then(|| (written, source(written, table)))
        })
    }
}

/// What a rule calls a table at its destination.
fn target(selection: &Selection, table: &TableName) -> TableName {
    TableName::new(
        selection.to_database.as_ref().unwrap_or(&table.database),
        selection.to_table.as_ref().unwrap_or(&table.table),
    )
}

/// The table that a rule would call `table`, if it is one of the rule's.
fn source(selection: &Selection, table: &TableName) -> TableName {
    TableName::new(
        match selection.to_database {
            Some(_) => &selection.database,
            None => &table.database,
        },
        match (&selection.to_table, &selection.table) {
            (Some(_), Some(original)) => original,
            _ => &table.table,
        },
    )
}

/// A rule with its names in a certain case.
fn folded(rule: &ObjectRule, case: NameCase) -> ObjectRule {
    let fold = |name: &Option<String>| name.as_deref().map(|name| case.fold(name));
    match rule {
        ObjectRule::Include(selection) => ObjectRule::Include(Selection {
            database: case.fold(&selection.database),
            table: fold(&selection.table),
            to_database: fold(&selection.to_database),
            to_table: fold(&selection.to_table),
            ..selection.clone()
        }),
        ObjectRule::Exclude { database, table } => ObjectRule::Exclude {
            database: case.fold(database),
            table: fold(table),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::task::SelectedColumn;

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

    #[test]
    fn what_is_said_of_a_table_holds_in_both_directions() {
        let mut rules = [
            include("crm", Some("clients"), Some(("crm2", Some("customers")))),
            include("shop", None, None),
        ];
        let column = |name: &str, to: Option<&str>| SelectedColumn {
            name: name.into(),
            to: to.map(Into::into),
        };
        if let ObjectRule::Include(selection) = &mut rules[0] {
            selection.columns = Some(vec![column("id", None), column("name", Some("full_name"))]);
            selection.filter = Some("region = 'EU'".into());
            selection.operations = Some([Operation::Insert, Operation::AlterTable].into());
        }
        let forward = Objects::new(Direction::Forward, &rules, None);
        let back = Objects::new(Direction::Reverse, &rules, None);
        let selected = forward.select(&table("crm.clients")).unwrap();
        assert_eq!(selected.columns.to("name"), Some("full_name"));
        assert_eq!((selected.filter, selected.mapped_back), (Some("region = 'EU'"), false));
        let selected = back.select(&table("crm2.customers")).unwrap();
        assert_eq!(selected.name, table("crm.clients"));
        assert_eq!(selected.columns.to("full_name"), Some("name"));
        assert_eq!((selected.filter, selected.mapped_back), (Some("region = 'EU'"), true));
        for (objects, name) in [(&forward, "crm.clients"), (&back, "crm2.customers")] {
            let carried = |operation| objects.carries(&table(name), operation);
            assert!(carried(Operation::Insert) && carried(Operation::AlterTable), "{name}");
            assert!(!carried(Operation::Delete) && !carried(Operation::DropTable), "{name}");
            assert!(objects.carries(&TableName::new("shop", ""), Operation::View));
            assert!(!objects.carries(&table("other.t"), Operation::Insert));
            assert!(!objects.carries_everything());
        }
        let selected = forward.select(&table("shop.t")).unwrap();
        assert_eq!((selected.columns, selected.operations), (ColumnMap::All, None));
    }

    #[test]
    fn names_are_folded_and_mapped_back_up_to_case() {
        let rules = [
            include("Shop", None, None),
            include("Crm", Some("Clients"), Some(("Crm2", Some("Customers")))),
            include("Old%", Some("T%"), None),
            exclude("Shop", "Tmp%"),
        ];
        let check = |case, source: &str, destination: Option<&str>, back: Option<&str>| {
            let forward = Objects::new(Direction::Forward, &rules, None).in_case(case);
            let reverse = Objects::new(Direction::Reverse, &rules, None).in_case(case);
            assert_eq!(forward.map(&table(source)), destination.map(table), "{source} forward");
            assert!(reverse.up_to_case() && !forward.up_to_case());
            if let Some(destination) = destination {
                assert_eq!(reverse.map(&table(destination)), back.map(table), "{destination} back");
                let original = reverse.back_to(&table(destination), &table(source));
                assert_eq!(original.map(|found| found.name), Some(table(source)));
            }
        };
        use NameCase::{Lower, Upper};
        check(Lower, "Shop.Orders", Some("shop.orders"), Some("shop.orders"));
        check(Upper, "Shop.Orders", Some("SHOP.ORDERS"), Some("SHOP.ORDERS"));
        check(Lower, "Crm.Clients", Some("crm2.customers"), Some("Crm.Clients"));
        check(Lower, "OldOne.Tab", Some("oldone.tab"), Some("oldone.tab"));
        check(Lower, "shop.Orders", None, None);
        check(Lower, "Shop.Tmp1", None, None);
        check(Lower, "Shop.tmp1", Some("shop.tmp1"), Some("shop.tmp1"));
        let reverse = Objects::new(Direction::Reverse, &rules, None).in_case(Lower);
        for unselected in ["other.t", "crm.clients", "crm2.other", "mysql.user", "Shop.orders"] {
            assert_eq!(reverse.map(&table(unselected)), None, "{unselected}");
        }
        assert!(reverse.back_to(&table("shop.tmp1"), &table("Shop.Tmp1")).is_none());
        let forward = Objects::new(Direction::Forward, &rules, None).in_case(Upper);
        assert_eq!(forward.map_database("Shop").as_deref(), Some("SHOP"));
        assert_eq!(reverse.map_database("shop").as_deref(), Some("shop"));
    }
    #[test]
    fn a_database_that_is_left_out_is_not_selected_as_a_whole() {
        let rules = [
            include(r"app\_%", None, None),
            include("old", None, Some(("new", None))),
            ObjectRule::Exclude {
                database: r"app\_2".into(),
                table: None,
            },
        ];
        for (direction, database, expected) in [
            (Direction::Forward, "app_1", Some("app_1")),
            (Direction::Forward, "app_2", None),
            (Direction::Forward, "old", Some("new")),
            (Direction::Reverse, "app_1", Some("app_1")),
            (Direction::Reverse, "app_2", None),
            (Direction::Reverse, "new", Some("old")),
        ] {
            let found = Objects::new(direction, &rules, None).map_database(database);
            assert_eq!(found.as_deref(), expected, "{database} {direction:?}");
        }
    }
}
