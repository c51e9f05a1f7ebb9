//! The admin endpoint: what a `mysql` client talks to.

pub mod reply;
pub mod wire;
