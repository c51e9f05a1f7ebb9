//! Accounts and their roles: CREATE, ALTER and DROP USER, GRANT, REVOKE, SET PASSWORD, and what shows them.

use secrecy::SecretString;

use super::Statement;
use super::cursor::{Cursor, not_yet};
use crate::admin::reply::SqlError;
use crate::model::role::{Role, Roles};

type Result<T> = std::result::Result<T, SqlError>;

/// The longest account name, in characters, as in MySQL.
const USER_MAX_CHARS: usize = 32;

/// Behind `CREATE USER`.
pub(super) fn create(cursor: &mut Cursor<'_>) -> Result<Statement> {
    let if_not_exists = cursor.words(&["IF", "NOT", "EXISTS"]);
    let user = user(cursor)?;
    let password = identified_by(cursor)?;
    cursor.end()?;
    Ok(Statement::CreateUser {
        if_not_exists,
        user,
        password,
    })
}

/// Behind `ALTER USER`.
pub(super) fn alter(cursor: &mut Cursor<'_>) -> Result<Statement> {
    let user = user_or_own(cursor)?;
    let password = identified_by(cursor)?;
    cursor.end()?;
    Ok(Statement::SetPassword { user, password })
}

/// Behind `SET PASSWORD`.
pub(super) fn set_password(cursor: &mut Cursor<'_>) -> Result<Statement> {
    let user = match cursor.word("FOR") {
        true => user_or_own(cursor)?,
        false => None,
    };
    cursor.expect_symbol("=")?;
    let password = password(cursor)?;
    cursor.end()?;
    Ok(Statement::SetPassword { user, password })
}

/// Behind `DROP USER`.
pub(super) fn drop(cursor: &mut Cursor<'_>) -> Result<Statement> {
    let if_exists = cursor.words(&["IF", "EXISTS"]);
    let users = users(cursor)?;
    cursor.end()?;
    Ok(Statement::DropUser { if_exists, users })
}

/// Behind `GRANT`.
pub(super) fn grant(cursor: &mut Cursor<'_>) -> Result<Statement> {
    let roles = roles(cursor)?;
    cursor.expect_word("TO")?;
    let users = users(cursor)?;
    cursor.end()?;
    Ok(Statement::Grant { roles, users })
}

/// Behind `REVOKE`.
pub(super) fn revoke(cursor: &mut Cursor<'_>) -> Result<Statement> {
    let roles = roles(cursor)?;
    cursor.expect_word("FROM")?;
    let users = users(cursor)?;
    cursor.end()?;
    Ok(Statement::Revoke { roles, users })
}

/// Behind `SHOW GRANTS`.
pub(super) fn show_grants(cursor: &mut Cursor<'_>) -> Result<Statement> {
    let user = match cursor.word("FOR") {
        true => user_or_own(cursor)?,
        false => None,
    };
    cursor.end()?;
    Ok(Statement::ShowGrants(user))
}

fn users(cursor: &mut Cursor<'_>) -> Result<Vec<String>> {
    let mut users = vec![user(cursor)?];
    while cursor.symbol(",") {
        users.push(user(cursor)?);
    }
    Ok(users)
}

/// `USER()` and `CURRENT_USER` are the session's own account.
fn user_or_own(cursor: &mut Cursor<'_>) -> Result<Option<String>> {
    for own in ["USER", "CURRENT_USER"] {
        let alone = own == "CURRENT_USER";
        if cursor.at_words(&[own]) && (cursor.call_without_arguments() || alone && cursor.word(own)) {
            return Ok(None);
        }
    }
    user(cursor).map(Some)
}

/// `'name'`, also with `@'%'` behind it, which is how MySQL's tools write an account that may come from anywhere.
fn user(cursor: &mut Cursor<'_>) -> Result<String> {
    let user = cursor.name("an account name")?;
    if cursor.symbol("@") {
        let host = cursor.name_or_symbol("a host")?;
        if host != "%" {
            return Err(not_yet("An account that may log in from one host alone"));
        }
    }
    if user.chars().count() > USER_MAX_CHARS {
        let start: String = user.chars().take(USER_MAX_CHARS).collect();
        let message =
            format!("String '{start}…' is too long for user name (should be no longer than {USER_MAX_CHARS})");
        return Err(SqlError::new(1470, "HY000", message));
    }
    if user.is_empty() || user.contains(char::is_control) {
        let message = "Incorrect account name: it can't be empty or hold control characters";
        return Err(SqlError::new(1102, "42000", message));
    }
    Ok(user)
}

fn roles(cursor: &mut Cursor<'_>) -> Result<Roles> {
    let mut roles = Vec::new();
    loop {
        let name = cursor.name("a role")?;
        let Some(role) = Role::parse(&name) else {
            let known: Vec<_> = Role::ALL.iter().map(|(_, name)| *name).collect();
            let message = format!(
                "Unknown role '{name}': accounts get no privileges but roles, which are {}; GRANT {} TO 'name'",
                known.join(", "),
                Role::Operator.as_str()
            );
            return Err(SqlError::new(3523, "HY000", message));
        };
        roles.push(role);
        if cursor.symbol("@") {
            cursor.name_or_symbol("a host")?;
        }
        if !cursor.symbol(",") {
            return Ok(roles.into_iter().collect());
        }
    }
}

/// `IDENTIFIED [WITH caching_sha2_password] BY '…'`.
fn identified_by(cursor: &mut Cursor<'_>) -> Result<SecretString> {
    cursor.expect_word("IDENTIFIED")?;
    if cursor.word("WITH") {
        let plugin = cursor.name("a plugin's name")?;
        if !plugin.eq_ignore_ascii_case("caching_sha2_password") {
            let message = "Plugin is not loaded: accounts are identified with caching_sha2_password";
            return Err(SqlError::new(1524, "HY000", message));
        }
    }
    cursor.expect_word("BY")?;
    password(cursor)
}

fn password(cursor: &mut Cursor<'_>) -> Result<SecretString> {
    let password = cursor.string("a password in quotes")?;
    if password.is_empty() {
        let message = "Your password does not satisfy the current policy requirements: it can't be empty";
        return Err(SqlError::new(1819, "HY000", message));
    }
    Ok(password.into())
}
