//! Tests against real servers and real clients.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test, to panic is to fail"
)]

mod large;
mod servers;
mod support;
mod two_way;
mod wire;
