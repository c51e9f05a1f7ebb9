//! What a precheck says: one row per item and direction.

use super::task::Direction;

/// How an item fares. In the order in which rows are shown: what is to be done first comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The task can't start.
    Fail,
    /// The task can start; the operator should know.
    Warn,
    /// It could not be looked at. It says why; this is never a pass.
    Skip,
    /// All is well.
    Pass,
}

impl Verdict {
    /// The spelling in `sync.prechecks`.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Fail => "fail",
            Verdict::Warn => "warn",
            Verdict::Skip => "skip",
            Verdict::Pass => "pass",
        }
    }
}

/// A row of `sync.prechecks`, without its task and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrecheckRow {
    /// Which item.
    pub item: &'static str,
    /// Of which link.
    pub direction: Direction,
    /// How it fares.
    pub result: Verdict,
    /// What was found, and on which server.
    pub found: String,
    /// What mends it; empty where nothing is to be mended.
    pub remedy: String,
    /// It is a warning that the operator has acknowledged.
    pub acknowledged: bool,
}
