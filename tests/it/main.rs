//! Tests against real servers.

mod servers;
mod support;
