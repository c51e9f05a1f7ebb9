//! Causeway keeps two MySQL servers in step, in both directions.
//!
//! Pure modules decide: [`model`], [`binlog`], [`sql`], [`ddl`], [`plan`], [`conflict`], [`schedule`]. They do no IO,
//! no async, no clock. The others act: [`source`], [`schema`], [`copy`], [`apply`], [`store`], [`admin`]; they do not
//! import each other, [`task`] wires them. ARCHITECTURE.md has the whole picture.

pub mod binlog;
pub mod ddl;
pub mod demo;
pub mod model;
pub mod sql;
