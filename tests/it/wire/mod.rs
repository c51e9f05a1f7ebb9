//! The admin endpoint's protocol, against a handler that knows a few statements: what strangers can't do to it, and
//! what real clients can.

mod attempts;
mod hostile;
mod raw;
mod real_clients;
mod server;
mod shutdown;
