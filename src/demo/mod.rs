//! `causeway demo`: two real servers, a two-way task, changes on both sides, a conflict, a DDL, and a comparison.
//!
//! [`run`] tells the story through the admin port alone, as an operator would. The servers ([`mysqld`]), Causeway as a
//! process ([`proxy`]) and what makes both end with their owner ([`den`]) serve the tests and benchmarks too.

pub mod den;
mod employees;
pub mod installation;
pub mod mysqld;
pub mod proxy;
mod screen;
mod story;

use std::process::{ExitCode, ExitStatus};

/// How the demo is to run.
#[derive(Debug, Clone, Copy, Default)]
pub struct DemoOptions {
    /// End after the comparison instead of going on until Ctrl-C.
    pub once: bool,
}

/// Why the demo did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// There is no MySQL.
    #[error(transparent)]
    Installation(#[from] installation::InstallationError),
    /// A MySQL server does not start.
    #[error(transparent)]
    Server(#[from] mysqld::ServerError),
    /// Causeway does not start.
    #[error(transparent)]
    Proxy(#[from] proxy::ProxyError),
    /// A statement failed.
    #[error("{server}: {cause}\nin: {}", shortened(.statement))]
    Sql {
        /// Where: `hq`, `branch` or `causeway`.
        server: &'static str,
        /// The statement.
        statement: String,
        /// What the server said.
        cause: String,
    },
    /// The task does not get on.
    #[error("{what}\n{status}\nthe end of causeway's log:\n{log}")]
    Stuck {
        /// What does not happen.
        what: &'static str,
        /// State and last error of each link.
        status: String,
        /// The end of Causeway's log.
        log: String,
    },
    /// Causeway ended by itself.
    #[error("causeway serve ended ({status}); the end of its log:\n{log}")]
    ProxyEnded {
        /// How it ended.
        status: ExitStatus,
        /// The end of its log.
        log: String,
    },
    /// The output can't be written, or a signal not be waited for.
    #[error("the demo cannot go on: {0}")]
    Io(#[from] std::io::Error),
}

/// The start of a statement; it may be long.
fn shortened(statement: &str) -> String {
    statement.chars().take(200).collect()
}

/// Runs the demo. The exit code is 0 only if both servers hold the same at the end.
pub async fn run(options: DemoOptions) -> Result<ExitCode, DemoError> {
    story::tell(options).await
}
