//! Tests against real servers and real clients.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "in a test, to panic is to fail, and what is printed is shown when it does"
)]

mod accounts;
mod admin;
mod alter_objects;
mod cascades;
mod column_ddl;
mod columns;
mod conflicts;
mod ddl_table;
mod decisions;
mod demo;
mod documents;
mod dropin;
mod existing_tables;
mod failover;
mod file_position;
mod first_session;
mod full_sync;
mod large;
mod layering;
mod load;
mod many_tables;
mod object_case;
mod objects;
mod older_rows;
mod online;
mod only;
mod precheck;
mod pressure;
mod privileges;
mod refusals;
mod renames;
mod retry;
mod reverse_objects;
mod row_filter;
mod server_tls;
mod servers;
mod starting;
mod status;
mod stored;
mod support;
mod two_way;
mod types;
mod values;
mod wire;
