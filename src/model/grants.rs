//! What an account may do, as `SHOW GRANTS` says it.

use std::collections::BTreeSet;

use super::pattern;

/// The privileges of an account.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grants {
    global: BTreeSet<String>,
    /// Database pattern, privilege.
    databases: Vec<(String, BTreeSet<String>)>,
}

impl Grants {
    /// Reads the rows of `SHOW GRANTS`. Those on single tables and routines are left out, as those of roles.
    pub fn parse<'a>(rows: impl IntoIterator<Item = &'a str>) -> Self {
        let mut grants = Grants::default();
        for row in rows {
            let Some((privileges, rest)) = row.strip_prefix("GRANT ").and_then(|row| row.split_once(" ON ")) else {
                continue;
            };
            let privileges = privileges.split(',').map(|name| name.trim().to_ascii_uppercase());
            if rest.starts_with("*.* ") {
                grants.global.extend(privileges);
            } else if let Some((database, _)) = rest.strip_prefix('`').and_then(|rest| rest.split_once("`.* TO ")) {
                grants
                    .databases
                    .push((database.replace("``", "`"), privileges.collect()));
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
        self.has(privilege)
            || self.databases.iter().any(|(name, privileges)| {
                (name == database || pattern::matches(name, database))
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
        assert!(Grants::parse(["GRANT ALL PRIVILEGES ON *.* TO `root`@`%`"]).has("SUPER"));
    }
}
