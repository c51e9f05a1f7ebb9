//! The binlog, byte for byte: what a MySQL server sends to a replica, turned into typed events and rows. Pure.
//!
//! ```text
//! bytes of one event ──event::parse──▶ Event ─┬─ TableMap   the plan for the rows events that follow
//!                                             ├─ Rows       ──rows::split──▶ (before, after) images ──▶ values
//!                                             ├─ TransactionPayload ──payload──▶ the events inside
//!                                             └─ Gtid, Query, Xid, …
//! ```
//!
//! What everything here holds to:
//! - **No input makes it panic.** Each length and offset is checked against the bytes that are there; what does not
//!   fit is a [`BinlogError`] that names event, position and reason, never a row's value.
//! - **Nothing is guessed or dropped.** An unknown event is `Event::Unknown` unless the server itself marked it as
//!   ignorable; a compressed transaction that can't be unpacked is an error.
//! - **Nothing is copied.** Events, images and values are slices of the bytes that came in.

mod cursor;
mod error;

pub mod column;
pub mod decimal;
pub mod event;
pub mod gtid_event;
pub mod jsonb;
pub mod payload;
pub mod query;
pub mod rows;
pub mod table_map;
pub mod temporal;

pub use error::{BinlogError, Malformed};
pub use event::{Event, EventType, Header, parse};

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod hostile;
