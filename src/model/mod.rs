//! What everything else speaks of: names, GTID sets, rows, definitions, tasks. Pure: no IO, no async, no clock.

pub mod change;
pub mod columns;
pub mod dependency;
pub mod file_position;
pub mod filter;
pub mod fit;
pub mod grants;
pub mod gtid;
pub mod history;
pub mod lineage;
pub mod name;
pub mod outage;
pub mod pattern;
pub mod precheck;
pub mod role;
pub mod row;
pub mod server;
pub mod status;
pub mod stored;
pub mod table;
pub mod table_map;
pub mod task;
pub mod value;
