//! Tests against real servers and real clients.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test, to panic is to fail"
)]

mod admin;
mod conflicts;
mod demo;
mod large;
mod load;
mod objects;
mod privileges;
mod servers;
mod support;
mod two_way;
mod types;
mod values;
mod wire;
