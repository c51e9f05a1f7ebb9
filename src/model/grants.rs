//! What an account may do, as `SHOW GRANTS` says it.

use std::collections::BTreeSet;

use super::pattern;

/// The privileges of an account.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grants {
    global: BTreeSet<String>,
    /// Database pattern, privilege.
    databases: Vec<(String, BTreeSet<String>)>,
    /// Partial revokes: database, privilege that does not hold there though it holds globally.
    revoked: Vec<(String, BTreeSet<String>)>,
    /// Database, table, privilege.
    tables: Vec<(String, String, BTreeSet<String>)>,
}

impl Grants {
    /// Reads the rows of `SHOW GRANTS`. Those on single columns and routines are left out, as those of roles.
    pub fn parse<'a>(rows: impl IntoIterator<Item = &'a str>) -> Self {
        let mut grants = Grants::default();
        for row in rows {
            let revoked = row.strip_prefix("REVOKE ");
            let given = revoked.or_else(|| row.strip_prefix("GRANT "));
            let Some((privileges, rest)) = given.and_then(|row| row.split_once(" ON ")) else {
                continue;
            };
            let privileges = privileges.split(',').map(|name| name.trim().to_ascii_uppercase());
            if revoked.is_some() {
                // Only on databases, whose names are no patterns then.
                if let Some((database, _)) = rest.strip_prefix('`').and_then(|rest| rest.split_once("`.* FROM ")) {
                    grants.revoked.push((database.replace("``", "`"), privileges.collect()));
                }
            } else if rest.starts_with("*.* ") {
                grants.global.extend(privileges);
            } else if let Some((database, _)) = rest.strip_prefix('`').and_then(|rest| rest.split_once("`.* TO ")) {
                grants
                    .databases
                    .push((database.replace("``", "`"), privileges.collect()));
            } else if let Some((database, rest)) = rest.strip_prefix('`').and_then(|rest| rest.split_once("`.`"))
                && let Some((table, _)) = rest.split_once("` TO ")
            {
                let name = |name: &str| name.replace("``", "`");
                grants.tables.push((name(database), name(table), privileges.collect()));
            }
        }
        grants
    }

    /// Whether a privilege on the whole server is among them: a static one (`SUPER`) or a dynamic one (`SHOW_ROUTINE`).
    pub fn has(&self, privilege: &str) -> bool {
        self.global.contains(privilege) || self.global.contains("ALL PRIVILEGES")
    }

    /// Whether the privilege holds in all of a database.
    pub fn has_in(&self, privilege: &str, database: &str) -> bool {
        let revoked = self.revoked.iter().any(|(name, privileges)| {
            name == database && (privileges.contains(privilege) || privileges.contains("ALL PRIVILEGES"))
        });
        (self.has(privilege) && !revoked)
            || self.databases.iter().any(|(name, privileges)| {
                (name == database || pattern::matches(name, database))
                    && (privileges.contains(privilege) || privileges.contains("ALL PRIVILEGES"))
            })
    }

    /// Whether the privilege holds on one table.
    pub fn has_on(&self, privilege: &str, database: &str, table: &str) -> bool {
        self.has_in(privilege, database)
            || self.tables.iter().any(|(in_database, name, privileges)| {
                (in_database.as_str(), name.as_str()) == (database, table)
                    && (privileges.contains(privilege) || privileges.contains("ALL PRIVILEGES"))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn privileges_are_found_where_they_hold() {
        let grants = Grants::parse([
            "GRANT REPLICATION SLAVE, CREATE USER ON *.* TO `sync`@`%` WITH GRANT OPTION",
            "GRANT SET_ANY_DEFINER,SHOW_ROUTINE ON *.* TO `sync`@`%`",
            "GRANT SELECT, CREATE VIEW ON `my\\_shop`.* TO `sync`@`%`",
            "GRANT ALL PRIVILEGES ON `a``b`.* TO `sync`@`%`",
            "GRANT SELECT (`id`), TRIGGER ON `other`.`t` TO `sync`@`%`",
            "GRANT `role`@`%` TO `sync`@`%`",
        ]);
        for (privilege, database, expected) in [
            ("SHOW_ROUTINE", "x", true),
            ("REPLICATION SLAVE", "x", true),
            ("CREATE VIEW", "my_shop", true),
            ("CREATE VIEW", "myxshop", false),
            ("TRIGGER", "a`b", true),
            ("TRIGGER", "other", false),
            ("SUPER", "x", false),
        ] {
            assert_eq!(
                grants.has_in(privilege, database),
                expected,
                "{privilege} in {database}"
            );
        }
        assert!(grants.has_on("TRIGGER", "other", "t") && !grants.has_on("TRIGGER", "other", "u"));
        let partial = Grants::parse([
            "GRANT SELECT, INSERT ON *.* TO `sync`@`%`",
            "REVOKE INSERT ON `own`.* FROM `sync`@`%`",
        ]);
        assert!(partial.has_in("INSERT", "x") && partial.has_in("SELECT", "own") && !partial.has_in("INSERT", "own"));
        assert!(Grants::parse(["GRANT ALL PRIVILEGES ON *.* TO `root`@`%`"]).has("SUPER"));
    }
}
