//! The admin endpoint: what a `mysql` client connected to Causeway talks to.
//!
//! A statement is read ([`wire`]), understood ([`grammar`]), carried out ([`statements`]), and answered with a
//! [`reply`].

pub mod endpoint;
pub mod grammar;
pub mod reply;
pub mod sessions;
pub mod statements;
pub mod wire;
