//! CREATE, ALTER, DROP, SHOW and CHECK SERVER, and the options a server has.

use std::path::PathBuf;

use secrecy::SecretString;

use super::Statement;
use super::cursor::{Cursor, wrong};
use crate::admin::reply::SqlError;
use crate::model::name::ServerName;
use crate::model::server::{Address, ServerDefinition, SslMode};

type Result<T> = std::result::Result<T, SqlError>;

/// What an OPTIONS list names. An empty text takes a file away.
#[derive(Debug, Clone, Default)]
pub struct ServerChanges {
    host: Option<String>,
    port: Option<u16>,
    socket: Option<String>,
    user: Option<String>,
    password: Option<SecretString>,
    ssl_mode: Option<SslMode>,
    ssl_ca: Option<String>,
    ssl_cert: Option<String>,
    ssl_key: Option<String>,
}

/// One option of a server: what it is called, what it takes, and where its value goes.
struct ServerOption {
    name: &'static str,
    takes: &'static str,
    /// Keeps the value; false if it is not acceptable.
    set: fn(&mut ServerChanges, String) -> bool,
}

const OPTIONS: [ServerOption; 9] = [
    ServerOption {
        name: "HOST",
        takes: "a host name or address, or several with commas between them, each with :port if it has one of its own",
        set: |changes, value| {
            let acceptable = Address::parse(&value, 1).is_some();
            keep(&mut changes.host, value) && acceptable
        },
    },
    ServerOption {
        name: "PORT",
        takes: "a number from 1 to 65535",
        set: |changes, value| {
            changes.port = value.parse().ok().filter(|port| *port != 0);
            changes.port.is_some()
        },
    },
    ServerOption {
        name: "SOCKET",
        takes: "the path of a Unix socket",
        set: |changes, value| keep(&mut changes.socket, value),
    },
    ServerOption {
        name: "USER",
        takes: "the account's name",
        set: |changes, value| keep(&mut changes.user, value),
    },
    ServerOption {
        name: "PASSWORD",
        takes: "the account's password",
        set: |changes, value| {
            changes.password = Some(SecretString::from(value));
            true
        },
    },
    ServerOption {
        name: "SSL_MODE",
        takes: "DISABLED, PREFERRED, REQUIRED, VERIFY_CA or VERIFY_IDENTITY",
        set: |changes, value| {
            changes.ssl_mode = SslMode::parse(&value);
            changes.ssl_mode.is_some()
        },
    },
    ServerOption {
        name: "SSL_CA",
        takes: "the path of a PEM file, or '' for none",
        set: |changes, value| keep_path(&mut changes.ssl_ca, value),
    },
    ServerOption {
        name: "SSL_CERT",
        takes: "the path of a PEM file, or '' for none",
        set: |changes, value| keep_path(&mut changes.ssl_cert, value),
    },
    ServerOption {
        name: "SSL_KEY",
        takes: "the path of a PEM file, or '' for none",
        set: |changes, value| keep_path(&mut changes.ssl_key, value),
    },
];

fn keep(place: &mut Option<String>, value: String) -> bool {
    let acceptable = !value.is_empty() && !value.contains(char::is_control);
    *place = Some(value);
    acceptable
}

fn keep_path(place: &mut Option<String>, value: String) -> bool {
    let acceptable = !value.contains(char::is_control);
    *place = Some(value);
    acceptable
}

/// Behind `CREATE SERVER`.
pub(super) fn create(cursor: &mut Cursor<'_>) -> Result<Statement> {
    let if_not_exists = cursor.words(&["IF", "NOT", "EXISTS"]);
    let name: ServerName = cursor.typed_name("a server name")?;
    if cursor.words(&["FOREIGN", "DATA", "WRAPPER"]) {
        let wrapper = cursor.name("a wrapper name")?;
        if !wrapper.eq_ignore_ascii_case("mysql") {
            return Err(wrong("FOREIGN DATA WRAPPER can only be mysql; it may be left out"));
        }
    }
    let changes = options(cursor)?;
    cursor.end()?;
    if changes.user.is_none() {
        return Err(wrong("OPTIONS needs USER: the account that Causeway logs in with"));
    }
    if changes.host.is_none() && changes.socket.is_none() {
        return Err(wrong("OPTIONS needs HOST (and PORT if it is not 3306), or SOCKET"));
    }
    let blank = ServerDefinition {
        name,
        address: Address::default(),
        in_use: None,
        user: String::new(),
        password: SecretString::default(),
        ssl_mode: SslMode::default(),
        ssl_ca: None,
        ssl_cert: None,
        ssl_key: None,
    };
    Ok(Statement::CreateServer {
        if_not_exists,
        server: Box::new(changes.apply(&blank)?),
    })
}

/// Behind `ALTER SERVER`.
pub(super) fn alter(cursor: &mut Cursor<'_>) -> Result<Statement> {
    let name = cursor.typed_name("a server name")?;
    let changes = options(cursor)?;
    cursor.end()?;
    Ok(Statement::AlterServer {
        name,
        changes: Box::new(changes),
    })
}

/// Behind `DROP SERVER`.
pub(super) fn drop(cursor: &mut Cursor<'_>) -> Result<Statement> {
    let if_exists = cursor.words(&["IF", "EXISTS"]);
    let name = cursor.typed_name("a server name")?;
    cursor.end()?;
    Ok(Statement::DropServer { if_exists, name })
}

/// Behind `CHECK SERVER`.
pub(super) fn check(cursor: &mut Cursor<'_>) -> Result<Statement> {
    let name = cursor.typed_name("a server name")?;
    cursor.end()?;
    Ok(Statement::CheckServer(name))
}

fn options(cursor: &mut Cursor<'_>) -> Result<ServerChanges> {
    cursor.expect_word("OPTIONS")?;
    cursor.expect_symbol("(")?;
    let mut changes = ServerChanges::default();
    let mut seen: Vec<&str> = Vec::new();
    loop {
        let name = cursor.name("an option name")?;
        let Some(option) = OPTIONS.iter().find(|option| option.name.eq_ignore_ascii_case(&name)) else {
            let known: Vec<_> = OPTIONS.iter().map(|option| option.name).collect();
            // The name is not repeated: it may be the rest of a password whose quote ended too early.
            return Err(SqlError::new(
                1193,
                "HY000",
                format!("Unknown server option; the options are {}", known.join(", ")),
            ));
        };
        if seen.contains(&option.name) {
            return Err(wrong(format!("Server option {} is given twice", option.name)));
        }
        seen.push(option.name);
        cursor.symbol("=");
        let value = cursor.value(&format!("{} for {}", option.takes, option.name))?;
        if !(option.set)(&mut changes, value) {
            return Err(wrong(format!("Server option {} takes {}", option.name, option.takes)));
        }
        if !cursor.symbol(",") {
            break;
        }
    }
    cursor.expect_symbol(")")?;
    if changes.socket.is_some() && (changes.host.is_some() || changes.port.is_some()) {
        return Err(wrong("SOCKET stands for HOST and PORT: give one or the other"));
    }
    Ok(changes)
}

impl ServerChanges {
    /// Whether a new password is among them.
    pub fn has_password(&self) -> bool {
        self.password.is_some()
    }

    /// The definition with these changes laid over it.
    ///
    /// # Errors
    /// If the whole makes no sense: a certificate without its key, verification without a CA.
    pub fn apply(&self, server: &ServerDefinition) -> Result<ServerDefinition> {
        let mut changed = server.clone();
        changed.address = self.address(&server.address)?;
        if changed.address != server.address {
            changed.in_use = None;
        }
        if let Some(user) = &self.user {
            changed.user.clone_from(user);
        }
        if let Some(password) = &self.password {
            changed.password = password.clone();
        }
        changed.ssl_mode = self.ssl_mode.unwrap_or(server.ssl_mode);
        for (change, place) in [
            (&self.ssl_ca, &mut changed.ssl_ca),
            (&self.ssl_cert, &mut changed.ssl_cert),
            (&self.ssl_key, &mut changed.ssl_key),
        ] {
            if let Some(path) = change {
                *place = (!path.is_empty()).then(|| PathBuf::from(path));
            }
        }
        if changed.ssl_cert.is_some() != changed.ssl_key.is_some() {
            return Err(wrong("SSL_CERT and SSL_KEY belong together: give both or none"));
        }
        if matches!(changed.ssl_mode, SslMode::VerifyCa | SslMode::VerifyIdentity) && changed.ssl_ca.is_none() {
            let mode = changed.ssl_mode.as_str();
            return Err(wrong(format!(
                "SSL_MODE {mode} needs SSL_CA: the file with the CA certificates to trust"
            )));
        }
        Ok(changed)
    }

    fn address(&self, before: &Address) -> Result<Address> {
        if let Some(path) = &self.socket {
            return Ok(Address::Socket(path.into()));
        }
        let (host, port) = match before {
            Address::Socket(_) if self.host.is_none() && self.port.is_none() => return Ok(before.clone()),
            Address::Socket(_) => ("127.0.0.1".to_owned(), 3306),
            Address::Tcp { .. } if before.is_list() && self.host.is_none() => {
                return match self.port {
                    None => Ok(before.clone()),
                    Some(_) => Err(wrong(
                        "each host of a list has its own port: give HOST anew, as 'host:port,host:port'",
                    )),
                };
            }
            // The ports of a list are those of its hosts.
            Address::Tcp { .. } if before.is_list() => (String::new(), 3306),
            Address::Tcp { host, port } => (host.clone(), *port),
        };
        match &self.host {
            None => Ok(Address::Tcp {
                host,
                port: self.port.unwrap_or(port),
            }),
            Some(hosts) => Address::parse(hosts, self.port.unwrap_or(port))
                .ok_or_else(|| wrong("HOST takes a host name or address, or several with commas between them")),
        }
    }
}
