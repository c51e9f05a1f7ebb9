//! Writes changes to the destination: exactly once, in order for each row, never half a transaction.
//!
//! - [`checkpoint`]: the rows in the destination's `causeway` schema that say what has been applied; written first in
//!   every transaction, so that data and checkpoint are one.
//! - [`copied`]: which tables were copied for themselves, and up to when changes meet the copy.
//! - [`late_keys`]: keys that are made when full sync is over.
//! - [`lineage`]: what tells a server from another one, so that a promoted replica can take its place.
//! - [`source_files`]: which binlog files a link has come to, where the source has no GTIDs.
//! - [`worker`]: one applier: takes transactions, merges them, writes them set-based and guarded.
//! - `large`: what a worker does with a transaction too large to be kept whole.
//! - [`batches`]: the changes of a destination transaction, folded table by table.
//! - `packet`: the statements of a batch, and what the answers to them say.
//! - `halves`: what a worker does with a table whose before images did not hold: it looks for the changes that do not fit.
//! - [`conflict`]: what it does with these: row by row, by the policy.
//! - [`ddl`]: statements that commit by themselves, around which an intent row is kept.

pub mod batches;
pub mod checkpoint;
pub mod conflict;
pub mod copied;
pub mod ddl;
mod halves;
mod large;
pub mod late_keys;
pub mod lineage;
mod packet;
pub mod session;
pub mod source_files;
pub mod worker;
