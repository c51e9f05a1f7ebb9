//! Causeway keeps two MySQL servers in step, in both directions.
//!
//! Pure modules decide: [`model`], [`binlog`], [`sql`], [`ddl`], [`plan`], [`conflict`], [`schedule`],
//! [`precheck`]. They do no IO,
//! no async, no clock. The others act: [`source`], [`schema`], [`copy`], [`apply`], [`store`], [`admin`]; they do not
//! import each other, [`task`] wires them. ARCHITECTURE.md has the whole picture.

pub mod admin;
pub mod apply;
pub mod binlog;
pub mod conflict;
pub mod connect;
pub mod copy;
pub mod ddl;
pub mod demo;
pub mod failure;
pub mod model;
pub mod plan;
pub mod precheck;
pub mod schedule;
pub mod schema;
pub mod serve;
pub mod source;
pub mod sql;
pub mod store;
pub mod task;
