//! What the statements need of the task supervisor, which implements it.

use std::time::Duration;

use async_trait::async_trait;

use crate::admin::reply::SqlError;
use crate::model::name::{ServerName, TaskName};
use crate::model::precheck::PrecheckRow;
use crate::model::server::ServerDefinition;
use crate::model::status::CheckStep;
use crate::model::task::{ObjectRule, TaskDefinition};

/// Why the supervisor did not do it, in MySQL's terms.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ControlError {
    /// MySQL's error number, or one of the admin language's own from 3100 on.
    pub code: u16,
    /// Its SQLSTATE.
    pub sqlstate: &'static str,
    /// What happened, where, and what to do.
    pub message: String,
}

impl From<ControlError> for SqlError {
    fn from(error: ControlError) -> Self {
        SqlError::new(error.code, error.sqlstate, error.message)
    }
}

/// The task supervisor as the statements see it. The store already holds what a call is about, and the statements have
/// looked that the task is in a state in which the call makes sense; the supervisor looks again where a race matters.
#[async_trait]
pub trait Control: Send + Sync {
    /// Connects, logs in, reads the version; one entry per step. Keeps nothing but what was seen.
    async fn check_server(&self, server: &ServerDefinition) -> Vec<CheckStep>;
    /// Looks whether the task could start; one row per item and direction, the worst first. Keeps the result in the store.
    async fn precheck(&self, task: &TaskName) -> Result<Vec<PrecheckRow>, ControlError>;
    /// Remembers that the operator knows of a warning of the precheck.
    async fn acknowledge(&self, task: &TaskName, item: &str) -> Result<(), ControlError>;
    /// Begins, or goes on from the checkpoint. Sets what is wanted of the task in the store, unless it fails.
    async fn start(&self, task: &TaskName) -> Result<(), ControlError>;
    /// Stops cleanly for a while. Sets what is wanted of the task in the store.
    async fn pause(&self, task: &TaskName) -> Result<(), ControlError>;
    /// Goes on after a pause or failure. Sets what is wanted of the task in the store, unless it fails.
    async fn resume(&self, task: &TaskName) -> Result<(), ControlError>;
    /// Ends it. Sets what is wanted of the task in the store.
    async fn stop(&self, task: &TaskName) -> Result<(), ControlError>;
    /// Removes the task's rows in the servers' causeway schema. The statement removes it from the store afterwards.
    async fn drop_task(&self, task: &TaskName) -> Result<(), ControlError>;
    /// The task's definition in the store is another now. After an error the statement puts the old one back.
    async fn task_changed(&self, task: &TaskName) -> Result<(), ControlError>;
    /// The task, which has been started before, gets other objects: looks whether it can take them, and if so keeps the
    /// definition in the store and brings them in. `added` are rules that have to select something. Nothing is changed after
    /// an error.
    async fn alter_objects(
        &self,
        before: &TaskDefinition,
        after: &TaskDefinition,
        added: &[ObjectRule],
    ) -> Result<(), ControlError>;
    /// The server's definition in the store is another now. After an error the statement puts the old one back.
    async fn server_changed(&self, server: &ServerName) -> Result<(), ControlError>;
    /// Waits until all that was committed on the task's sources before the call is applied; false after `timeout`.
    async fn wait_synced(&self, task: &TaskName, timeout: Duration) -> Result<bool, ControlError>;
    /// Brings the live status into the store ([`crate::store::Store::publish`]), that of each table only where told so:
    /// there may be thousands.
    async fn publish(&self, tables: bool);
}
