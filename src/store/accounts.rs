//! Accounts of the admin endpoint. Kept is SHA256(SHA256(password)), what caching_sha2_password's fast path is checked
//! against: it does not allow to log in, but passwords could be guessed from it at leisure. So it is sealed under the
//! key file, as the passwords of servers are: whoever has the database alone has nothing to guess from.

use rusqlite::{Connection, OptionalExtension, params};

use crate::model::role::{Role, Roles};

use super::error::is_duplicate;
use super::secret::{Key, Sealed};
use super::{Result, Store, StoreError, make_durable};

/// What a client needs to prove, and which account it is then.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Credentials {
    /// The account's number. An account that is made anew under the same name has another.
    pub account: i64,
    /// SHA256(SHA256(password)).
    pub password_hash: [u8; 32],
}

/// An account, without what it proves itself with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub user: String,
    /// What it may do.
    pub roles: Roles,
    /// When it was made, UTC.
    pub created_at: String,
}

impl Store {
    /// Makes an account without any role and returns its number.
    ///
    /// # Errors
    /// [`StoreError::Exists`], or when the store fails.
    pub fn create_account(&self, user: &str, password_hash: &[u8; 32], roles: &Roles) -> Result<i64> {
        let sealed = seal(&self.key, user, password_hash)?;
        let writer = self.writer();
        let inserted = writer.execute(
            "INSERT INTO account (user, roles, created_at, nonce, password_hash)
             VALUES (?1, ?2, strftime('%Y-%m-%d %H:%M:%f', 'now'), ?3, ?4)",
            params![user, roles.to_string(), sealed.nonce, sealed.password],
        );
        inserted.map_err(|error| match is_duplicate(&error) {
            true => StoreError::Exists {
                kind: "account",
                name: user.into(),
            },
            false => error.into(),
        })?;
        let number = writer.last_insert_rowid();
        make_durable(&writer)?;
        Ok(number)
    }

    /// Gives an account another password.
    ///
    /// # Errors
    /// [`StoreError::Missing`], or when the store fails.
    pub fn set_account_password(&self, user: &str, password_hash: &[u8; 32]) -> Result<()> {
        let sealed = seal(&self.key, user, password_hash)?;
        let writer = self.writer();
        let changed = writer.execute(
            "UPDATE account SET nonce = ?2, password_hash = ?3 WHERE user = ?1",
            params![user, sealed.nonce, sealed.password],
        )?;
        if changed == 0 {
            return Err(StoreError::account_missing(user));
        }
        make_durable(&writer)
    }

    /// Removes accounts, all or none. Those that are not there are an error unless `if_exists`; returns how many there
    /// were.
    ///
    /// # Errors
    /// [`StoreError::Missing`]; [`StoreError::LastAdmin`] if nobody could administer Causeway any more; or when the
    /// store fails.
    pub fn drop_accounts(&self, users: &[String], if_exists: bool) -> Result<usize> {
        self.change_accounts(|writer| {
            let mut dropped = 0;
            for user in users {
                match writer.execute("DELETE FROM account WHERE user = ?1", [user])? {
                    0 if !if_exists => return Err(StoreError::account_missing(user)),
                    count => dropped += count,
                }
            }
            Ok(dropped)
        })
    }

    /// Gives accounts what `change` makes of their roles, all or none; returns how many were changed by it.
    ///
    /// # Errors
    /// As [`Store::drop_accounts`].
    pub fn change_roles(&self, users: &[String], change: impl Fn(&Roles) -> Roles) -> Result<usize> {
        self.change_accounts(|writer| {
            let mut changed = 0;
            for user in users {
                let before = writer
                    .query_row("SELECT roles FROM account WHERE user = ?1", [user], |row| row.get(0))
                    .optional()?;
                let before: String = before.ok_or_else(|| StoreError::account_missing(user))?;
                let before = roles(user, &before)?;
                let after = change(&before);
                changed += usize::from(after != before);
                writer.execute(
                    "UPDATE account SET roles = ?2 WHERE user = ?1",
                    params![user, after.to_string()],
                )?;
            }
            Ok(changed)
        })
    }

    fn change_accounts(&self, work: impl FnOnce(&Connection) -> Result<usize>) -> Result<usize> {
        let mut writer = self.writer();
        let transaction = writer.transaction()?;
        let changed = work(&transaction)?;
        if !accounts(&transaction)?
            .iter()
            .any(|left| left.roles.include(Role::Admin))
        {
            return Err(StoreError::LastAdmin);
        }
        transaction.commit()?;
        make_durable(&writer)?;
        Ok(changed)
    }

    /// What a client that calls itself `user` has to prove; `None` if there is no such account.
    ///
    /// # Errors
    /// When the store fails, or the key file is another one.
    pub fn credentials(&self, user: &str) -> Result<Option<Credentials>> {
        let found = self
            .writer()
            .query_row(
                "SELECT id, nonce, password_hash FROM account WHERE user = ?1",
                [user],
                |row| {
                    let (id, nonce, password) = (row.get(0)?, row.get(1)?, row.get(2)?);
                    Ok((id, Sealed { nonce, password }))
                },
            )
            .optional()?;
        let Some((account, sealed)) = found else {
            return Ok(None);
        };
        let password_hash = unseal(&self.key, user, &sealed)?;
        Ok(Some(Credentials { account, password_hash }))
    }

    /// The account of that number; `None` if it was dropped.
    ///
    /// # Errors
    /// When the store fails.
    pub fn account(&self, number: i64) -> Result<Option<Account>> {
        let writer = self.writer();
        let mut statement = writer.prepare_cached("SELECT user, roles, created_at FROM account WHERE id = ?1")?;
        let found = statement.query_row([number], raw).optional()?;
        found.map(account).transpose()
    }

    /// All accounts, by name.
    ///
    /// # Errors
    /// When the store fails.
    pub fn accounts(&self) -> Result<Vec<Account>> {
        accounts(&self.writer())
    }
}

type Raw = (String, String, String);

fn raw(row: &rusqlite::Row<'_>) -> rusqlite::Result<Raw> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

fn account((user, granted, created_at): Raw) -> Result<Account> {
    let roles = roles(&user, &granted)?;
    Ok(Account {
        user,
        roles,
        created_at,
    })
}

fn roles(user: &str, text: &str) -> Result<Roles> {
    Roles::parse(text).ok_or_else(|| StoreError::Damaged(format!("the roles '{text}' of the account '{user}'")))
}

fn accounts(connection: &Connection) -> Result<Vec<Account>> {
    let mut statement = connection.prepare("SELECT user, roles, created_at FROM account ORDER BY user")?;
    let found = statement.query_map([], raw)?;
    found.map(|row| account(row?)).collect()
}

/// Seals what an earlier version kept as it is.
pub(super) fn seal_all(connection: &mut Connection, key: &Key) -> Result<()> {
    let transaction = connection.transaction()?;
    let mut statement = transaction.prepare("SELECT user, password_hash FROM account WHERE nonce IS NULL")?;
    let unsealed: Vec<(String, Vec<u8>)> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    drop(statement);
    if unsealed.is_empty() {
        return Ok(());
    }
    for (user, hash) in unsealed {
        let hash = hash.try_into().map_err(|_| damaged(&user))?;
        let sealed = seal(key, &user, &hash)?;
        transaction.execute(
            "UPDATE account SET nonce = ?2, password_hash = ?3 WHERE user = ?1",
            params![user, sealed.nonce, sealed.password],
        )?;
    }
    transaction.commit()?;
    // Nor may it stay in the log.
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(())
}

/// What is authenticated along with the hash. A server's name holds no control characters, so none looks like it.
fn owner(user: &str) -> String {
    format!("account\0{user}")
}

fn seal(key: &Key, user: &str, password_hash: &[u8; 32]) -> Result<Sealed> {
    key.seal_bytes(&owner(user), password_hash)
        .ok_or_else(|| StoreError::Key(format!("the password of the account '{user}' can't be sealed")))
}

fn unseal(key: &Key, user: &str, sealed: &Sealed) -> Result<[u8; 32]> {
    let bytes = key
        .unseal_bytes(&owner(user), sealed)
        .ok_or_else(|| StoreError::AccountSealed(user.to_owned()))?;
    <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| damaged(user))
}

fn damaged(user: &str) -> StoreError {
    StoreError::Damaged(format!("a password hash of '{user}'"))
}
