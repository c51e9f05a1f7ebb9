//! Decides which of the source's changes go to the destination, and where to. Pure.
//!
//! - [`objects`]: which tables are selected and what they are called at the other side, in both directions.
//! - [`name_case`]: how names are written at the destination.
//! - [`path`]: the loop filter: a transaction goes to a server only if that server is not on its path.
//! - [`bind`]: binds a table as the binlog describes it to the table at the destination, column by column.
//! - [`stored`]: which views, routines, triggers and events travel.
//! - [`filter`]: what becomes of a change whose row moves into or out of its table's filter.
//! - [`fitness`]: whether the columns that are listed for a table can travel.
//! - [`compare`]: in what a table that is there differs from what it should be.
//! - [`operations`]: which operation of an `ONLY` list a statement is.
//! - [`moves`]: tables that a RENAME takes into the selection, or out of it.
//! - [`copied`]: how changes meet the rows that full sync has copied.
//! - `xa`: what has been prepared and not committed.
//! - [`assemble`]: makes whole transactions of binlog events, dropping what does not go through as early as it can.

pub mod assemble;
pub mod bind;
pub mod compare;
pub mod copied;
pub mod filter;
pub mod fitness;
pub mod moves;
pub mod name_case;
pub mod objects;
pub mod online;
pub mod operations;
pub mod path;
pub mod stored;
mod voids;
mod xa;
