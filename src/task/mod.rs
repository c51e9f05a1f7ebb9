//! Runs the tasks: wires the modules that act, and decides what happens when one of them fails.
//!
//! - [`supervisor`]: what the operator wants of each task, and the tasks that are at work.
//! - [`link`]: one direction of a task, from taking over its checkpoint to following changes; retries.
//! - [`ends`]: which host each server of a task is at, and that it still is the server that it was.
//! - [`health`]: whether servers can be reached, as all tasks that use one know it together; the retry window.
//! - [`initial`]: schema sync and full sync; [`late_keys`]: which keys are made behind it.
//! - [`additions`]: objects that a task gets or loses later; [`join`]: tables that a statement brings in; [`copier`]: copies
//!   both while the link follows changes, and [`gates`] keeps the two apart.
//! - [`pace`]: no more than so many rows a second.
//! - [`check`], [`precheck`]: gather what is judged before a task starts.
//! - [`existing`]: which tables are there before that, and in what they differ.
//! - [`objects`]: what each direction has, as the servers write names.
//! - [`narrow`]: row changes that `ONLY` leaves out.
//! - [`pipeline`]: the changes: reads, plans, schedules and applies them; what becomes of a statement in its turn.
//! - [`definitions`]: those of the destination's tables, many at a time.
//! - [`position`]: how far a server's binlog reaches, by GTID or by file and offset.
//! - [`history`]: rows of the reverse direction that are older than a DDL of the forward one.
//! - [`row_filter`]: changes are judged by the filters of their tables.
//! - [`stored`], [`receiver`]: views, routines, triggers and events.
//! - [`statements`]: what becomes of a DDL in each direction.
//! - [`status`]: what is shown of a link while it is at work.

pub mod additions;
pub mod charset;
pub mod check;
pub mod copier;
pub mod databases;
pub mod definitions;
pub mod ends;
pub mod existing;
pub mod gates;
pub mod health;
pub mod history;
pub mod initial;
pub mod join;
pub mod late_keys;
pub mod link;
pub mod narrow;
pub mod objects;
pub mod pace;
pub mod pipeline;
pub mod position;
pub mod precheck;
pub mod reader;
pub mod receiver;
pub mod row_filter;
pub mod statements;
pub mod status;
pub mod stored;
pub mod supervisor;
