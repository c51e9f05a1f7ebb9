//! The tables of online schema change tools.
//!
//! gh-ost and pt-online-schema-change make a *shadow* of the table, alter it, fill it while the table is in use, and then
//! exchange the two in one RENAME; the old table, *trash* now, is dropped. A task either carries these tables as they are, or
//! hides them and carries the statements that were run on the shadow as statements on the table itself.

use crate::{
    ddl::{self, Role},
    model::{
        name::TableName,
        pattern,
        task::{OnlineDdl, TaskOptions},
    },
};

/// `_t_gho` and the changelog `_t_ghc`, `_t_del`.
const GH_OST: (&str, &str) = (r"\_%\_gho,\_%\_ghc", r"\_%\_del");
/// `_t_new`, `_t_old`.
const PT_OSC: (&str, &str) = (r"\_%\_new", r"\_%\_old");

/// How a task deals with such tools.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Online {
    hidden: bool,
    shadows: Vec<String>,
    trash: Vec<String>,
}

/// The RENAME by which a tool puts its shadow into the place of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutOver {
    /// The table.
    pub table: TableName,
    /// What was its shadow.
    pub shadow: TableName,
    /// What the old table is called now.
    pub trash: TableName,
}

impl Online {
    /// As the task's options have it.
    pub fn new(options: &TaskOptions) -> Self {
        let (shadows, trash) = match options.online_ddl {
            OnlineDdl::Carry => (
                format!("{},{}", GH_OST.0, PT_OSC.0),
                format!("{},{}", GH_OST.1, PT_OSC.1),
            ),
            OnlineDdl::GhOst => (GH_OST.0.to_owned(), GH_OST.1.to_owned()),
            OnlineDdl::PtOsc => (PT_OSC.0.to_owned(), PT_OSC.1.to_owned()),
        };
        let list = |own: &str, tools: String| {
            let listed = if own.is_empty() { tools } else { own.to_owned() };
            listed.split(',').map(str::to_owned).collect()
        };
        Self {
            hidden: options.online_ddl != OnlineDdl::Carry,
            shadows: list(&options.shadow_table_patterns, shadows),
            trash: list(&options.trash_table_patterns, trash),
        }
    }

    /// Whether the tools' tables are hidden.
    pub fn is_hidden(&self) -> bool {
        self.hidden
    }

    /// Whether a table of this name is a tool's and is to be hidden.
    pub fn hides(&self, table: &TableName) -> bool {
        self.hidden && (self.is_shadow(table) || fits(&self.trash, &table.table))
    }

    /// Whether a table of this name may be a shadow.
    pub fn is_shadow(&self, table: &TableName) -> bool {
        fits(&self.shadows, &table.table)
    }

    /// The tables whose shadow this may be: a tool that finds a name taken puts more underscores in front of it.
    pub fn tables_of(&self, shadow: &TableName) -> Vec<TableName> {
        let mut found = Vec::new();
        for pattern in &self.shadows {
            let Some(mut name) = pattern::captured(pattern, &shadow.table) else {
                continue;
            };
            loop {
                let table = TableName::new(&shadow.database, name);
                if !name.is_empty() && !found.contains(&table) {
                    found.push(table);
                }
                match name.strip_prefix('_') {
                    Some(shorter) => name = shorter,
                    None => break,
                }
            }
        }
        found
    }

    /// The exchange that a statement makes, if it is a tool's.
    pub fn cut_over(&self, statement: &ddl::Statement) -> Option<CutOver> {
        let pairs: Vec<(&TableName, &TableName)> = statement.renamed_tables().collect();
        pairs.iter().find_map(|(shadow, table)| {
            let (_, trash) = pairs.iter().find(|(old, _)| old == table)?;
            (self.is_shadow(shadow) && shadow.database == table.database).then(|| CutOver {
                table: (*table).clone(),
                shadow: (*shadow).clone(),
                trash: (*trash).clone(),
            })
        })
    }

    /// Whether a trigger fills a shadow: it speaks of one. pt-online-schema-change makes three of them; what they write
    /// arrives as rows.
    pub fn fills_a_shadow(&self, trigger: &ddl::Statement) -> bool {
        let table = trigger.names.iter().find(|name| name.role == Role::TriggerTable);
        trigger.body.as_ref().is_some_and(|body| {
            body.mentions().any(|name| {
                self.is_shadow(&name) && table.is_some_and(|table| self.tables_of(&name).contains(&table.name))
            })
        })
    }
}

fn fits(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|pattern| pattern::matches(pattern, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ddl::StatementContext;

    fn online(online_ddl: OnlineDdl) -> Online {
        Online::new(&TaskOptions {
            online_ddl,
            ..TaskOptions::default()
        })
    }

    fn statement(text: &str) -> ddl::Statement {
        let context = StatementContext {
            default_database: Some("d"),
            sql_mode: 0,
            server_version: 90_704,
        };
        ddl::classify(text, &context).unwrap()
    }

    #[test]
    fn shadows_lead_to_their_tables() {
        let online = online(OnlineDdl::Carry);
        let tables = |name: &str| -> Vec<String> {
            let tables = online.tables_of(&TableName::new("d", name));
            tables.into_iter().map(|table| table.table).collect()
        };
        assert_eq!(tables("_t_new"), ["t"]);
        assert_eq!(tables("_t_gho"), ["t"]);
        assert_eq!(tables("__t_x_new"), ["_t_x", "t_x"]);
        assert!(tables("t_new").is_empty() && tables("_new").is_empty());
        assert!(!online.hides(&TableName::new("d", "_t_new")));
    }

    #[test]
    fn own_patterns_take_the_place_of_the_tools() {
        let online = Online::new(&TaskOptions {
            online_ddl: OnlineDdl::GhOst,
            shadow_table_patterns: "%_ghost".into(),
            ..TaskOptions::default()
        });
        let hides = |name: &str| online.hides(&TableName::new("d", name));
        assert!(hides("t_ghost") && hides("_t_del") && !hides("_t_gho") && !hides("_t_new"));
    }

    #[test]
    fn a_cut_over_is_told_from_other_renames() {
        let check = |text: &str, expected: Option<(&str, &str, &str)>| {
            let found = online(OnlineDdl::Carry).cut_over(&statement(text));
            let names = found.as_ref().map(|found| {
                (
                    found.table.table.as_str(),
                    found.shadow.table.as_str(),
                    found.trash.table.as_str(),
                )
            });
            assert_eq!(names, expected, "{text}");
        };
        check("RENAME TABLE t TO _t_old, _t_new TO t", Some(("t", "_t_new", "_t_old")));
        check(
            "RENAME TABLE d.t TO d._t_del, d._t_gho TO d.t",
            Some(("t", "_t_gho", "_t_del")),
        );
        check("RENAME TABLE t TO t_old, t_new TO t", None);
        check("RENAME TABLE _t_new TO t", None);
        check("ALTER TABLE t RENAME TO u", None);
    }

    #[test]
    fn triggers_that_fill_a_shadow_are_known() {
        let check = |text: &str, expected: bool| {
            assert_eq!(
                online(OnlineDdl::Carry).fills_a_shadow(&statement(text)),
                expected,
                "{text}"
            );
        };
        check(
            "CREATE TRIGGER pt_osc_d_t_ins AFTER INSERT ON d.t FOR EACH ROW REPLACE INTO `d`.`_t_new` (`id`) VALUES (NEW.`id`)",
            true,
        );
        check(
            "CREATE TRIGGER x AFTER INSERT ON d.t FOR EACH ROW INSERT INTO _u_new VALUES (1)",
            false,
        );
        check(
            "CREATE TRIGGER x AFTER INSERT ON d.t FOR EACH ROW INSERT INTO log VALUES (1)",
            false,
        );
    }
}
