//! The source's binlog, as a replica gets it.

pub mod places;
pub mod stream;
