//! Accounts of the admin endpoint. Kept is SHA256(SHA256(password)), what caching_sha2_password's fast path is checked
//! against; it does not allow to log in.

use rusqlite::{OptionalExtension, params};

use super::{Result, Store, StoreError, make_durable};

impl Store {
    /// Makes the account or gives it another password.
    ///
    /// # Errors
    /// When the store fails.
    pub fn set_account(&self, user: &str, password_hash: &[u8; 32]) -> Result<()> {
        let writer = self.writer();
        writer.execute(
            "INSERT INTO account (user, password_hash) VALUES (?1, ?2)
             ON CONFLICT (user) DO UPDATE SET password_hash = excluded.password_hash",
            params![user, password_hash.as_slice()],
        )?;
        make_durable(&writer)
    }

    /// SHA256(SHA256(password)) of the account; `None` if there is no such account.
    ///
    /// # Errors
    /// When the store fails.
    pub fn account(&self, user: &str) -> Result<Option<[u8; 32]>> {
        let hash: Option<Vec<u8>> = self
            .writer()
            .query_row("SELECT password_hash FROM account WHERE user = ?1", [user], |row| {
                row.get(0)
            })
            .optional()?;
        hash.map(|hash| {
            hash.try_into()
                .map_err(|_| StoreError::Damaged(format!("a password hash of '{user}'")))
        })
        .transpose()
    }
}
