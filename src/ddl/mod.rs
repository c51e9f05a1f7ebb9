//! What a statement in a QUERY event does, to which objects, and the same statement under other names.
//!
//! [`classify`] answers three questions about a statement as it stands in the binlog: what kind it is ([`Kind`]), where
//! the names of tables, databases and other objects stand in it ([`NameSpan`]), and which of them it changes
//! ([`Statement::targets`]). [`Statement::rewrite`] then puts other names into those places and leaves every other byte
//! as the author wrote it; [`Statement::rewrite_for`] also gives columns other names and leaves columns out.
//! [`Statement::limit_to`] takes objects out of lists (`DROP TABLE a, b`).
//!
//! Nothing is ever guessed. There is no tree that is printed again, since what a parser does not know it loses in
//! print; the statement's text is kept and only spans of it are replaced. Where names can stand is known for each kind of
//! statement, and a statement that does not have the expected shape is [`Unclassified`]: whoever asked must stop and
//! show it. The query or program of a view, routine, trigger or event is not understood ([`Body`]): what is certainly a
//! name in it is replaced, and where a word may be a name that changes and may be something else, the statement is
//! refused. [`Statement::received`] makes of it what the receiving side needs: another definer, a trigger that leaves
//! changes alone that Causeway applies, an event that does not run.
//!
//! How the server resolves a name without a database differs by place, and is followed here: usually the default
//! database, but for the parent of a foreign key the database of the child, and for the table of a trigger the database
//! of the trigger.

mod body;
mod classify;
mod columns;
mod condition;
mod cursor;
mod definition;
mod expression;
mod keys;
mod lexer;
mod receive;
mod rewrite;
mod statement;
mod stored;
mod table;

#[cfg(test)]
mod fixtures;

pub use body::Body;
pub use classify::{StatementContext, Unclassified, classify};
pub use condition::Condition;
pub use keys::{PlainKey, plain_keys};
pub use receive::{Definer, Reception};
pub use rewrite::{Mapping, RewriteError};
pub use statement::{AccountVerb, DmlVerb, Kind, NameSpan, Object, Role, RoutineKind, SqlMode, Statement, XaVerb, Xid};
