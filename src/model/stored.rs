//! Views, routines, triggers and events: what a database holds besides tables.

use std::fmt;

use super::name::TableName;

/// The user variable that every session of Causeway sets and no other session has. A trigger that is guarded does its work
/// only where the variable is NULL: changes that Causeway applies have been through the triggers of the side they come
/// from. MySQL has no way to switch triggers off for a session.
pub const APPLYING_VARIABLE: &str = "@causeway_applying";

/// A kind of object with a query or a program in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StoredKind {
    /// LIBRARY, since 9.2.
    Library,
    /// FUNCTION.
    Function,
    /// PROCEDURE.
    Procedure,
    /// VIEW.
    View,
    /// TRIGGER.
    Trigger,
    /// EVENT.
    Event,
}

impl StoredKind {
    /// As it stands in statements.
    pub fn keyword(self) -> &'static str {
        match self {
            StoredKind::Library => "LIBRARY",
            StoredKind::Function => "FUNCTION",
            StoredKind::Procedure => "PROCEDURE",
            StoredKind::View => "VIEW",
            StoredKind::Trigger => "TRIGGER",
            StoredKind::Event => "EVENT",
        }
    }
}

/// A view, routine, trigger or event by its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoredName {
    /// What it is; each kind has names of its own, but views and tables share theirs.
    pub kind: StoredKind,
    /// Its database and name.
    pub name: TableName,
}

impl fmt::Display for StoredName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.keyword().to_ascii_lowercase(), self.name)
    }
}

/// An account of a server, as in DEFINER.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Account {
    /// The user's name.
    pub user: String,
    /// The host or pattern.
    pub host: String,
}

impl Account {
    /// `user@host`, as `CURRENT_USER()` prints it: the last `@` parts the two.
    pub fn parse(text: &str) -> Self {
        let (user, host) = text.rsplit_once('@').unwrap_or((text, "%"));
        Self {
            user: user.to_owned(),
            host: host.to_owned(),
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |part: &str| part.replace('`', "``");
        write!(f, "`{}`@`{}`", quoted(&self.user), quoted(&self.host))
    }
}
