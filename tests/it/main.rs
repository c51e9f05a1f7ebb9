//! Tests against real servers and real clients.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test, to panic is to fail"
)]

mod full_sync;
mod large;
mod layering;
mod pressure;
mod servers;
mod support;
mod two_way;
mod wire;
