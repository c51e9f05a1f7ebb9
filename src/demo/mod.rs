//! A demonstration with real servers, and the servers themselves, which the tests and benchmarks use too.

pub mod den;
pub mod installation;
pub mod mysqld;
pub mod proxy;
