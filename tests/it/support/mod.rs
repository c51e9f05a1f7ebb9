//! What the tests need from the world outside.

pub(crate) mod clients;
