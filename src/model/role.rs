//! What an account may do: roles, each of which includes those before it.

use std::collections::BTreeSet;

/// A role. Later ones may do all that earlier ones may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Looks at everything that can be shown.
    Reader,
    /// Also runs tasks: start, pause, resume, stop, precheck, decide.
    Operator,
    /// Everything: servers, tasks, accounts.
    Admin,
}

impl Role {
    /// All roles with their names, the least first.
    pub const ALL: [(Role, &'static str); 3] = [
        (Role::Reader, "reader"),
        (Role::Operator, "operator"),
        (Role::Admin, "admin"),
    ];

    /// As `GRANT` spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Reader => "reader",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }
    }

    /// The role of that name, in any case.
    pub fn parse(name: &str) -> Option<Role> {
        let found = Role::ALL.iter().find(|(_, known)| known.eq_ignore_ascii_case(name));
        found.map(|(role, _)| *role)
    }
}

/// The roles that were granted to an account; none at first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Roles(BTreeSet<Role>);

impl Roles {
    /// Whether one of them is this role or includes it.
    pub fn include(&self, role: Role) -> bool {
        self.0.last().is_some_and(|highest| *highest >= role)
    }

    /// Those granted, the least first.
    pub fn granted(&self) -> impl Iterator<Item = Role> + '_ {
        self.0.iter().copied()
    }

    /// With others granted too.
    #[must_use]
    pub fn with(&self, others: &Roles) -> Roles {
        Roles(self.0.union(&others.0).copied().collect())
    }

    /// With others taken away.
    #[must_use]
    pub fn without(&self, others: &Roles) -> Roles {
        Roles(self.0.difference(&others.0).copied().collect())
    }

    /// Reads what [`Roles::to_string`](ToString::to_string) wrote; `None` if it holds anything else.
    pub fn parse(text: &str) -> Option<Roles> {
        let names = text.split(',').filter(|name| !name.is_empty());
        names.map(Role::parse).collect::<Option<BTreeSet<_>>>().map(Roles)
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        Roles(roles.into_iter().collect())
    }
}

impl std::fmt::Display for Roles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.granted().map(Role::as_str).collect();
        f.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_includes_those_before_it() {
        fn check(granted: &str, included: &[Role]) {
            let roles = Roles::parse(granted).unwrap();
            for (role, name) in Role::ALL {
                assert_eq!(roles.include(role), included.contains(&role), "{granted}: {name}");
            }
            assert_eq!(roles.to_string(), granted);
        }
        check("", &[]);
        check("reader", &[Role::Reader]);
        check("operator", &[Role::Reader, Role::Operator]);
        check("reader,admin", &[Role::Reader, Role::Operator, Role::Admin]);
        assert_eq!(Roles::parse("reader,root"), None);
    }
}
