//! Names as types, so that a server's name can never stand where a table's is meant.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest identifier MySQL takes, in characters (manual, "Identifier Length Limits").
pub const IDENTIFIER_MAX_CHARS: usize = 64;

/// Why a name is not acceptable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The name has no characters.
    #[error("a name can't be empty")]
    Empty,
    /// The name has more than [`IDENTIFIER_MAX_CHARS`] characters.
    #[error("the name '{0}…' is longer than {IDENTIFIER_MAX_CHARS} characters")]
    TooLong(String),
    /// The name holds a character that MySQL does not allow in identifiers, or that would break a message.
    #[error("the name '{0}' holds a control character or ends with a space")]
    BadCharacter(String),
}

/// Checks that the text can be the name of something in MySQL.
///
/// # Errors
/// [`NameError`] if it is empty, too long or holds a control character.
pub fn check(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.chars().count() > IDENTIFIER_MAX_CHARS {
        return Err(NameError::TooLong(name.chars().take(20).collect()));
    }
    if name.chars().any(char::is_control) || name.ends_with(' ') {
        return Err(NameError::BadCharacter(name.escape_default().to_string()));
    }
    Ok(())
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks length and characters.
            ///
            /// # Errors
            /// [`NameError`] if the name is empty, too long or holds a control character.
            pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
                let name = name.into();
                check(&name)?;
                Ok(Self(name))
            }

            /// The bare name, unquoted.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(name: String) -> Result<Self, NameError> {
                Self::new(name)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
    };
}

name_type!(
    /// A server as Causeway knows it: the name given in `CREATE SERVER`.
    ServerName
);
name_type!(
    /// A synchronization task: the name given in `CREATE SYNC TASK`.
    TaskName
);

/// A table by its database and name, unquoted, in the case the server reports.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableName {
    /// The database (schema) it stands in.
    pub database: String,
    /// The table's own name.
    pub table: String,
}

impl TableName {
    /// Puts the two parts together.
    pub fn new(database: impl Into<String>, table: impl Into<String>) -> Self {
        Self {
            database: database.into(),
            table: table.into(),
        }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.database, self.table)
    }
}

/// The database on each server where Causeway keeps its own tables.
pub const OWN_DATABASE: &str = "causeway";

/// Databases that are a server's own and never synchronized.
const SYSTEM_DATABASES: [&str; 5] = ["mysql", "sys", "information_schema", "performance_schema", OWN_DATABASE];

/// Whether the database belongs to a server or to Causeway itself.
pub fn is_system_database(database: &str) -> bool {
    SYSTEM_DATABASES.iter().any(|name| name.eq_ignore_ascii_case(database))
}
