//! Brings [`wire`](super::wire) and [`statements`](super::statements) together.

use std::sync::Arc;

use async_trait::async_trait;

use crate::store::Store;

use super::{
    reply::{Cell, Column, Reply, SqlError},
    sessions::Sessions,
    statements::{self, Statements},
    wire::{Handler, Session},
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
        user: session.user.clone(),
        host: session.peer.ip().to_string(),
        connection_id: session.connection_id,
        database: session.database.clone(),
    }
}

#[async_trait]
impl Handler for Endpoint {
    async fn password_hash(&self, user: &str) -> Option<[u8; 32]> {
        let (store, user) = (self.store.clone(), user.to_owned());
        let account = tokio::task::spawn_blocking(move || store.account(&user)).await;
        match account {
            Ok(Ok(hash)) => hash,
            Ok(Err(error)) => {
                tracing::error!("accounts can't be read: {error}");
                None
            }
            Err(error) => {
                tracing::error!("accounts can't be read: {error}");
                None
            }
        }
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
