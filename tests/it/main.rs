//! Tests against real servers.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test, to panic is to fail"
)]

mod servers;
mod support;
mod values;
