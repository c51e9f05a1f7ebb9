//! Brings [`wire`](super::wire) and [`statements`](super::statements) together.

use std::sync::Arc;

use async_trait::async_trait;

use crate::model::role::Roles;
use crate::store::Store;

use super::{
    reply::{Cell, Column, Reply, SqlError},
    sessions::Sessions,
    statements::{self, Statements},
    wire::{Credentials, Handler, Session},
};

/// The admin endpoint's meaning: accounts from the store, statements carried out.
pub struct Endpoint {
    store: Arc<Store>,
    statements: Statements,
}

impl Endpoint {
    /// An endpoint over the store and the statements that work on it.
    pub fn new(store: Arc<Store>, statements: Statements) -> Self {
        Self { store, statements }
    }
}

fn session_of(session: &Session) -> statements::Session {
    statements::Session {
        account: session.account,
        user: session.user.clone(),
        // Asked for with every statement, as they may change.
        roles: Roles::default(),
        host: session.peer.ip().to_string(),
        connection_id: session.connection_id,
        database: session.database.clone(),
    }
}

#[async_trait]
impl Handler for Endpoint {
    async fn credentials(&self, user: &str) -> Option<Credentials> {
        let (store, user) = (self.store.clone(), user.to_owned());
        let found = tokio::task::spawn_blocking(move || store.credentials(&user)).await;
        let found = found.map_err(|error| error.to_string());
        let found = found.and_then(|found| found.map_err(|error| error.to_string()));
        let found = found.unwrap_or_else(|error| {
            tracing::error!("accounts can't be read: {error}");
            None
        });
        found.map(|found| Credentials {
            account: found.account,
            password_hash: found.password_hash,
        })
    }

    async fn execute(&self, session: &mut Session, sql: &str) -> Result<Reply, SqlError> {
        let mut own = session_of(session);
        let result = self.statements.execute(&mut own, sql).await;
        session.database = own.database;
        result
    }

    async fn execute_prepared(&self, session: &mut Session, sql: &str, parameters: &[Cell]) -> Result<Reply, SqlError> {
        let mut own = session_of(session);
        let result = self.statements.execute_with(&mut own, sql, parameters).await;
        session.database = own.database;
        result
    }

    async fn describe(&self, session: &Session, sql: &str) -> Result<Vec<Column>, SqlError> {
        self.statements.describe(&session_of(session), sql).await
    }

    fn sessions(&self) -> Arc<Sessions> {
        Arc::clone(self.statements.sessions())
    }

    async fn use_database(&self, session: &mut Session, database: &str) -> Result<(), SqlError> {
        let mut own = session_of(session);
        let result = self.statements.use_database(&mut own, database);
        session.database = own.database;
        result
    }
}
