//! The one place where SQL text is made: identifiers, literals, statements. Pure.
//!
//! Statements are byte strings, not `str`: values travel as `_binary'…'` literals that hold the column's own bytes,
//! so that no character set conversion ever touches them.

mod bound;
pub(crate) mod guard;
pub mod ident;
pub mod json;
pub(crate) mod json_path;
pub mod judge;
pub mod literal;
mod ranges;
pub mod set;
pub mod single;

/// Outside of the server's own databases and Causeway's.
pub const NOT_SYSTEM: &str = "NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema', 'causeway')";
