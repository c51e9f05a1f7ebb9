//! CREATE, ALTER, DROP and SHOW USER, GRANT, REVOKE and SHOW GRANTS.

use secrecy::{ExposeSecret as _, SecretString};

use super::{Reply, Result, Statements, done, done_with, refused, text_rows};
use crate::admin::reply::SqlError;
use crate::admin::wire::hash_password;
use crate::model::role::Roles;
use crate::store::{Account, StoreError};

impl Statements {
    pub(super) async fn create_user(&self, if_not_exists: bool, user: String, password: SecretString) -> Result<Reply> {
        let name = user.clone();
        let hash = hash_password(password.expose_secret());
        let made = self.blocking(move |store| store.create_account(&user, &hash, &Roles::default()));
        match made.await? {
            Ok(_) => Ok(done_with(format!(
                "'{name}' may log in, and no more yet: GRANT reader, operator or admin TO '{name}'"
            ))),
            Err(StoreError::Exists { .. }) if if_not_exists => Ok(done_with(format!(
                "Account '{name}' exists already: nothing was changed"
            ))),
            Err(e) => Err(refused(&e)),
        }
    }

    pub(super) async fn set_password(&self, user: String, password: SecretString) -> Result<Reply> {
        let hash = hash_password(password.expose_secret());
        self.stored(move |store| store.set_account_password(&user, &hash))
            .await?;
        Ok(done())
    }

    pub(super) async fn drop_users(&self, if_exists: bool, users: Vec<String>) -> Result<Reply> {
        let dropped = self.stored(move |store| store.drop_accounts(&users, if_exists)).await?;
        Ok(match dropped {
            0 => done_with("There is no such account: nothing was changed"),
            _ => done(),
        })
    }

    pub(super) async fn grant(&self, roles: Roles, users: Vec<String>) -> Result<Reply> {
        let changed = self.stored(move |store| store.change_roles(&users, |before| before.with(&roles)));
        Ok(match changed.await? {
            0 => done_with("Granted already: nothing was changed"),
            _ => done(),
        })
    }

    pub(super) async fn revoke(&self, roles: Roles, users: Vec<String>) -> Result<Reply> {
        let changed = self.stored(move |store| store.change_roles(&users, |before| before.without(&roles)));
        Ok(match changed.await? {
            0 => done_with("It was not granted: nothing was changed"),
            _ => done(),
        })
    }

    pub(super) async fn show_users(&self) -> Result<Reply> {
        let accounts = self.stored(|store| store.accounts()).await?;
        let row = |account: Account| vec![account.user, account.roles.to_string(), account.created_at];
        let rows = accounts.into_iter().map(row).collect();
        Ok(text_rows(&["user", "roles", "created_at"], rows))
    }

    pub(super) async fn show_grants(&self, user: String) -> Result<Reply> {
        let accounts = self.stored(|store| store.accounts()).await?;
        let account = accounts.into_iter().find(|account| account.user == user).ok_or_else(|| {
            let message = format!(
                "There is no such grant defined for user '{user}' on host '%': there is no such account; SHOW USERS lists \
                 those there are"
            );
            SqlError::new(1141, "42000", message)
        })?;
        let name = format!("`{}`@`%`", user.replace('`', "``"));
        let mut rows = vec![vec![format!("GRANT USAGE ON *.* TO {name}")]];
        let granted: Vec<_> = { account.roles.granted() }
            .map(|role| format!("`{}`@`%`", role.as_str()))
            .collect();
        if !granted.is_empty() {
            rows.push(vec![format!("GRANT {} TO {name}", granted.join(","))]);
        }
        Ok(text_rows(&[&format!("Grants for {user}@%")], rows))
    }
}
