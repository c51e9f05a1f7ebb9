//! Which changes may run side by side, which may be merged, and what is done so far. Pure.
//!
//! - [`keys`]: what a change touches, as hashes. Equal rows give equal hashes; where equality can't be told from
//!   bytes (collations), the hash leaves the value out, which only makes more changes wait for each other.
//! - [`cascade`]: changes that take rows of other tables with them.
//! - [`causality`]: gives each transaction to an applier so that changes that share a key keep their order.
//! - [`definitions`]: which definitions of tables changes are bound to.
//! - [`fold`]: consecutive transactions of one applier become one: changes to one row are folded.
//! - [`merge`]: what becomes one destination transaction, and how much.
//! - [`pace`]: how long to wait so that no more than so many rows a second go.
//! - [`rate`]: how many things a second were done lately.
//! - [`watermark`]: up to where everything is done, while things finish out of order.

pub mod cascade;
pub mod causality;
pub mod definitions;
pub mod fold;
pub mod keys;
pub mod merge;
pub mod pace;
pub mod rate;
pub mod watermark;

#[cfg(test)]
mod fixtures;
