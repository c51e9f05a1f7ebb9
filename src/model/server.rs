//! A MySQL server as the operator described it.

use std::path::PathBuf;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::name::ServerName;

/// How a connection is encrypted: the `--ssl-mode` values of the mysql client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum SslMode {
    /// Never encrypted.
    Disabled,
    /// Encrypted if the server can, otherwise not.
    #[default]
    Preferred,
    /// Encrypted, or no connection; the certificate is not looked at.
    Required,
    /// As `Required`, and the certificate must come from the given CA.
    VerifyCa,
    /// As `VerifyCa`, and the certificate must name the host.
    VerifyIdentity,
}

impl SslMode {
    /// All modes with their spelling in the admin language.
    pub const ALL: [(SslMode, &'static str); 5] = [
        (SslMode::Disabled, "DISABLED"),
        (SslMode::Preferred, "PREFERRED"),
        (SslMode::Required, "REQUIRED"),
        (SslMode::VerifyCa, "VERIFY_CA"),
        (SslMode::VerifyIdentity, "VERIFY_IDENTITY"),
    ];

    /// The spelling in the admin language.
    pub fn as_str(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(mode, _)| *mode == self)
            .map_or("PREFERRED", |(_, name)| name)
    }

    /// Reads the spelling, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(_, name)| name.eq_ignore_ascii_case(text))
            .map(|(mode, _)| *mode)
    }
}

/// Where the server listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Address {
    /// Over TCP.
    Tcp {
        /// Host name or IP address.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// Over a Unix socket on this machine.
    Socket(PathBuf),
}

impl Default for Address {
    fn default() -> Self {
        Address::Tcp {
            host: "127.0.0.1".into(),
            port: 3306,
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Address::Tcp { host, port } => write!(f, "{host}:{port}"),
            Address::Socket(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Everything needed to connect to a server. `Debug` does not show the password.
#[derive(Debug, Clone)]
pub struct ServerDefinition {
    /// The name in the admin language.
    pub name: ServerName,
    /// Where it listens.
    pub address: Address,
    /// The account Causeway logs in with.
    pub user: String,
    /// Its password.
    pub password: SecretString,
    /// How the connection is encrypted.
    pub ssl_mode: SslMode,
    /// PEM file with the CA certificates that are trusted.
    pub ssl_ca: Option<PathBuf>,
    /// PEM file with Causeway's own certificate (mutual TLS).
    pub ssl_cert: Option<PathBuf>,
    /// PEM file with the key of that certificate.
    pub ssl_key: Option<PathBuf>,
}
