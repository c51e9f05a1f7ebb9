//! CREATE, ALTER, DROP and CHECK SERVER.

use super::{Reply, Result, Statements, done, done_with, refused, text_rows};
use crate::admin::grammar::ServerChanges;
use crate::admin::reply::SqlError;
use crate::model::name::ServerName;
use crate::model::server::ServerDefinition;
use crate::store::StoreError;

/// `SHOW SERVERS`. The password is in no table that a SELECT can read.
pub(super) const SHOW: &str = "SELECT name, CASE WHEN socket IS NOT NULL THEN socket WHEN instr(host, ',') THEN host \
                               WHEN instr(host, ':') THEN '[' || host || ']:' || port ELSE host || ':' || port END AS address, \
                               user, ssl_mode, version, state, in_use, last_error FROM sync.servers ORDER BY name";

impl Statements {
    pub(super) async fn create_server(&self, if_not_exists: bool, server: ServerDefinition) -> Result<Reply> {
        let name = server.name.clone();
        match self.blocking(move |store| store.create_server(&server)).await? {
            Ok(()) => Ok(done()),
            Err(StoreError::Exists { .. }) if if_not_exists => Ok(done_with(format!(
                "Server '{name}' exists already: nothing was changed"
            ))),
            Err(e) => Err(refused(&e)),
        }
    }

    pub(super) async fn alter_server(&self, name: ServerName, changes: ServerChanges) -> Result<Reply> {
        let (asked, new_password) = (name.clone(), changes.has_password());
        let before = self
            .stored(move |store| match store.server(&asked) {
                // A password that can't be read any more is just what a new one is for.
                Err(StoreError::Sealed(_)) if new_password => store.server_without_password(&asked),
                other => other,
            })
            .await?;
        let before = before.ok_or_else(|| no_such_server(&name))?;
        let after = changes.apply(&before)?;
        self.stored(move |store| store.update_server(&after)).await?;
        if let Err(e) = self.control.server_changed(&name).await {
            self.stored(move |store| store.update_server(&before)).await?;
            return Err(e.into());
        }
        Ok(done())
    }

    pub(super) async fn drop_server(&self, if_exists: bool, name: ServerName) -> Result<Reply> {
        let asked = name.clone();
        match self.blocking(move |store| store.drop_server(&asked)).await? {
            Ok(()) => Ok(done()),
            Err(StoreError::Missing { .. }) if if_exists => {
                Ok(done_with(format!("There is no server '{name}': nothing was changed")))
            }
            Err(e) => Err(refused(&e)),
        }
    }

    pub(super) async fn check_server(&self, name: ServerName) -> Result<Reply> {
        let asked = name.clone();
        let server = self.stored(move |store| store.server(&asked)).await?;
        let server = server.ok_or_else(|| no_such_server(&name))?;
        let steps = self.control.check_server(&server).await;
        let row = |step: crate::model::status::CheckStep| {
            vec![step.step.to_owned(), step.result.to_owned(), step.found, step.remedy]
        };
        Ok(text_rows(
            &["step", "result", "found", "remedy"],
            steps.into_iter().map(row).collect(),
        ))
    }
}

fn no_such_server(name: &ServerName) -> SqlError {
    refused(&StoreError::Missing {
        kind: "server",
        name: name.to_string(),
    })
}
