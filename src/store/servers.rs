//! Servers: their definitions with sealed passwords, and what was last found there.

use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension, Row, params};
use secrecy::SecretString;

use super::error::is_duplicate;
use super::secret::Sealed;
use super::{Result, Store, StoreError, make_durable};
use crate::model::name::ServerName;
use crate::model::server::{Address, InUse, ServerDefinition, SslMode};

/// What was last found at a server; the rest of its row in `sync.servers`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerSeen {
    /// `@@version`, once known.
    pub version: Option<String>,
    /// `@@server_uuid`, once known.
    pub server_uuid: Option<String>,
    /// Which host of a list it is at, once known.
    pub in_use: Option<String>,
    /// `reachable`, `unreachable`; `unknown` until it was tried.
    pub state: String,
    /// What went wrong last; empty if nothing did.
    pub last_error: String,
}

const COLUMNS: &str = "name, host, port, socket, user, ssl_mode, ssl_ca, ssl_cert, ssl_key, nonce, password, \
                       in_use";

impl Store {
    /// Keeps a new server.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if the name is taken.
    pub fn create_server(&self, server: &ServerDefinition) -> Result<()> {
        let sealed = self.key.seal(server.name.as_str(), &server.password)?;
        let mut writer = self.writer();
        let transaction = writer.transaction()?;
        match transaction.execute(
            "INSERT INTO servers (name, user, ssl_mode) VALUES (?1, '', '')",
            [server.name.as_str()],
        ) {
            Err(e) if is_duplicate(&e) => {
                return Err(StoreError::Exists {
                    kind: "server",
                    name: server.name.to_string(),
                });
            }
            other => other?,
        };
        write(&transaction, server, &sealed)?;
        transaction.commit()?;
        make_durable(&writer)
    }

    /// Replaces the definition of the server of that name. What was found there stays until it is looked at again: a
    /// promoted replica is known by the server it replicated from.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is none.
    pub fn update_server(&self, server: &ServerDefinition) -> Result<()> {
        let sealed = self.key.seal(server.name.as_str(), &server.password)?;
        let mut writer = self.writer();
        let transaction = writer.transaction()?;
        write(&transaction, server, &sealed)?;
        transaction.commit()?;
        make_durable(&writer)
    }

    /// Forgets the server.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is none, [`StoreError::ServerInUse`] while a task names it.
    pub fn drop_server(&self, name: &ServerName) -> Result<()> {
        let mut writer = self.writer();
        let transaction = writer.transaction()?;
        let task: Option<String> = transaction
            .query_row(
                "SELECT task FROM tasks WHERE source = ?1 OR destination = ?1 ORDER BY task LIMIT 1",
                [name.as_str()],
                |row| row.get(0),
            )
            .optional()?;
        if let Some(task) = task {
            return Err(StoreError::ServerInUse {
                server: name.to_string(),
                task,
            });
        }
        if transaction.execute("DELETE FROM servers WHERE name = ?1", [name.as_str()])? == 0 {
            return Err(StoreError::server_missing(name.as_str()));
        }
        transaction.commit()?;
        make_durable(&writer)
    }

    /// The server of that name, with its password.
    ///
    /// # Errors
    /// [`StoreError::Sealed`] if its password can't be read with the key file.
    pub fn server(&self, name: &ServerName) -> Result<Option<ServerDefinition>> {
        let sql = format!("SELECT {COLUMNS} FROM servers JOIN server_secret USING (name) WHERE name = ?1");
        let found = self.writer().query_row(&sql, [name.as_str()], read).optional()?;
        found.map(|(parts, sealed)| self.unseal(parts, &sealed)).transpose()
    }

    /// The server of that name with an empty password: works also when the password can't be unsealed, so that it can
    /// be set again.
    ///
    /// # Errors
    /// When the store fails.
    pub fn server_without_password(&self, name: &ServerName) -> Result<Option<ServerDefinition>> {
        let sql = format!("SELECT {COLUMNS} FROM servers JOIN server_secret USING (name) WHERE name = ?1");
        let found = self.writer().query_row(&sql, [name.as_str()], read).optional()?;
        found
            .map(|(parts, _)| parts.into_definition(SecretString::default()))
            .transpose()
    }

    /// All servers, by name.
    ///
    /// # Errors
    /// As [`Store::server`].
    pub fn servers(&self) -> Result<Vec<ServerDefinition>> {
        let sql = format!("SELECT {COLUMNS} FROM servers JOIN server_secret USING (name) ORDER BY name");
        let writer = self.writer();
        let mut statement = writer.prepare_cached(&sql)?;
        let rows = statement.query_map([], read)?.collect::<rusqlite::Result<Vec<_>>>()?;
        rows.into_iter()
            .map(|(parts, sealed)| self.unseal(parts, &sealed))
            .collect()
    }

    /// Whether there is a server of that name; asks nothing of the key file.
    ///
    /// # Errors
    /// When the store fails.
    pub fn has_server(&self, name: &ServerName) -> Result<bool> {
        let found = self
            .writer()
            .query_row("SELECT 1 FROM servers WHERE name = ?1", [name.as_str()], |_| Ok(()))
            .optional()?;
        Ok(found.is_some())
    }

    /// Keeps what was found at the server. Nothing happens if it was dropped meanwhile.
    ///
    /// # Errors
    /// When the store fails.
    pub fn set_server_seen(&self, name: &ServerName, seen: &ServerSeen) -> Result<()> {
        // A server out of reach has not lost its version: what is not known now stays as it was.
        self.writer().execute(
            "UPDATE servers SET version = coalesce(?2, version), server_uuid = coalesce(?3, server_uuid),
                    state = ?4, last_error = ?5, in_use = coalesce(?6, in_use) WHERE name = ?1",
            params![
                name.as_str(),
                seen.version,
                seen.server_uuid,
                seen.state,
                seen.last_error,
                seen.in_use
            ],
        )?;
        Ok(())
    }

    /// The `server_uuid` that was last found at the server.
    ///
    /// # Errors
    /// When the store fails.
    pub fn last_server_uuid(&self, name: &ServerName) -> Result<Option<String>> {
        let found = self
            .writer()
            .query_row(
                "SELECT server_uuid FROM servers WHERE name = ?1",
                [name.as_str()],
                |row| row.get(0),
            )
            .optional()?;
        Ok(found.flatten())
    }

    fn unseal(&self, parts: Parts, sealed: &Sealed) -> Result<ServerDefinition> {
        let password = self.key.unseal(&parts.name, sealed)?;
        parts.into_definition(password)
    }
}

fn write(connection: &Connection, server: &ServerDefinition, sealed: &Sealed) -> Result<()> {
    let (host, port, socket) = match &server.address {
        Address::Tcp { host, port } => (Some(host.as_str()), Some(*port), None),
        Address::Socket(path) => (None, None, Some(path.to_string_lossy())),
    };
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.to_string_lossy().into_owned());
    let changed = connection.execute(
        "UPDATE servers SET host = ?2, port = ?3, socket = ?4, user = ?5, ssl_mode = ?6, ssl_ca = ?7, ssl_cert = ?8,
                ssl_key = ?9, state = 'unknown', last_error = '', in_use = ?10 WHERE name = ?1",
        params![
            server.name.as_str(),
            host,
            port,
            socket,
            server.user,
            server.ssl_mode.as_str(),
            path(&server.ssl_ca),
            path(&server.ssl_cert),
            path(&server.ssl_key),
            server.in_use.as_ref().map(|in_use| in_use.address.to_string())
        ],
    )?;
    if changed == 0 {
        return Err(StoreError::server_missing(server.name.as_str()));
    }
    connection.execute(
        "INSERT OR REPLACE INTO server_secret (name, nonce, password) VALUES (?1, ?2, ?3)",
        params![server.name.as_str(), sealed.nonce, sealed.password],
    )?;
    Ok(())
}

/// A server's row before its texts are understood.
struct Parts {
    name: String,
    host: Option<String>,
    port: Option<u16>,
    socket: Option<String>,
    user: String,
    ssl_mode: String,
    ssl_ca: Option<String>,
    ssl_cert: Option<String>,
    ssl_key: Option<String>,
    in_use: Option<String>,
}

fn read(row: &Row<'_>) -> rusqlite::Result<(Parts, Sealed)> {
    let parts = Parts {
        name: row.get(0)?,
        host: row.get(1)?,
        port: row.get(2)?,
        socket: row.get(3)?,
        user: row.get(4)?,
        ssl_mode: row.get(5)?,
        ssl_ca: row.get(6)?,
        ssl_cert: row.get(7)?,
        ssl_key: row.get(8)?,
        in_use: row.get(11)?,
    };
    let sealed = Sealed {
        nonce: row.get(9)?,
        password: row.get(10)?,
    };
    Ok((parts, sealed))
}

impl Parts {
    fn into_definition(self, password: SecretString) -> Result<ServerDefinition> {
        let damaged = || StoreError::Damaged(format!("a definition of server '{}'", self.name));
        let address = match (&self.socket, &self.host, self.port) {
            (Some(path), _, _) => Address::Socket(path.into()),
            (None, Some(host), Some(port)) => Address::Tcp {
                host: host.clone(),
                port,
            },
            _ => return Err(damaged()),
        };
        Ok(ServerDefinition {
            name: ServerName::new(self.name.clone()).map_err(|_| damaged())?,
            in_use: self
                .in_use
                .and_then(|host| address.each().into_iter().find(|one| one.to_string() == host))
                .map(|address| InUse {
                    address,
                    server_uuid: None,
                }),
            address,
            ssl_mode: SslMode::parse(&self.ssl_mode).ok_or_else(damaged)?,
            user: self.user,
            password,
            ssl_ca: self.ssl_ca.map(Into::into),
            ssl_cert: self.ssl_cert.map(Into::into),
            ssl_key: self.ssl_key.map(Into::into),
        })
    }
}
