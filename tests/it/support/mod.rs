//! What the tests share: [`cluster`] starts servers and the proxy, [`clients`] finds or fetches other MySQL clients,
//! [`ask`] runs SQL and waits, [`load`] writes on both sides at once, [`compare`] tells whether two servers hold the same.
#![allow(dead_code, reason = "not every helper is in use at all times")]

pub(crate) mod ask;
pub(crate) mod clients;
pub(crate) mod cluster;
pub(crate) mod compare;
pub(crate) mod load;
