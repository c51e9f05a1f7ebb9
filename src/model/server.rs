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
        /// Host name or IP address; or several, `a:3306,b:3307,[::1]:3308`: one server that may be at any of them.
        host: String,
        /// TCP port; of a list, that of the first.
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
            Address::Tcp { host, .. } if host.contains(',') => f.write_str(host),
            Address::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Tcp { host, port } => write!(f, "{host}:{port}"),
            Address::Socket(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Address {
    /// Reads what stands behind HOST: one host, or several with commas between them, each with a port of its own behind
    /// a colon if it is not `port`. An IPv6 address that has one stands in brackets. `None`: it makes no sense.
    pub fn parse(hosts: &str, port: u16) -> Option<Self> {
        let single = |text: &str| match text.trim() {
            text if text.contains(char::is_whitespace) => None,
            text if text.starts_with('[') => {
                let (host, rest) = text.strip_prefix('[')?.split_once(']')?;
                let port = match rest {
                    "" => port,
                    rest => parse_port(rest.strip_prefix(':')?)?,
                };
                Some((host.to_owned(), port))
            }
            text => match text.split_once(':') {
                Some((host, own)) if !own.contains(':') => Some((host.to_owned(), parse_port(own)?)),
                _ => Some((text.to_owned(), port)),
            },
        };
        let all = hosts.split(',').map(single).collect::<Option<Vec<_>>>()?;
        if all.iter().any(|(host, _)| host.is_empty()) {
            return None;
        }
        let list: Vec<String> = all
            .iter()
            .map(|(host, port)| {
                let address = Address::Tcp {
                    host: host.clone(),
                    port: *port,
                };
                address.to_string()
            })
            .collect();
        let several = all.len() > 1;
        let (host, port) = all.into_iter().next()?;
        Some(Address::Tcp {
            host: if several { list.join(",") } else { host },
            port,
        })
    }

    /// Whether these are several hosts.
    pub fn is_list(&self) -> bool {
        matches!(self, Address::Tcp { host, .. } if host.contains(','))
    }

    /// Each host of a list by itself.
    pub fn each(&self) -> Vec<Address> {
        match self {
            Address::Tcp { host, port } if self.is_list() => {
                host.split(',').filter_map(|one| Address::parse(one, *port)).collect()
            }
            one => vec![one.clone()],
        }
    }
}

fn parse_port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port != 0)
}

/// Which of its hosts a server is at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InUse {
    /// The host.
    pub address: Address,
    /// Its `server_uuid`: no other host will do, and nothing but this very server there. `None`: the host to be tried
    /// first.
    pub server_uuid: Option<String>,
}

/// Everything needed to connect to a server. `Debug` does not show the password.
#[derive(Debug, Clone)]
pub struct ServerDefinition {
    /// The name in the admin language.
    pub name: ServerName,
    /// Where it listens.
    pub address: Address,
    /// Which of its hosts it is at, if it is known.
    pub in_use: Option<InUse>,
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

impl ServerDefinition {
    /// The hosts that it may be at, in the order in which they are tried.
    pub fn hosts(&self) -> Vec<Address> {
        let mut hosts = self.address.each();
        if let Some(in_use) = &self.in_use {
            hosts.retain(|host| in_use.server_uuid.is_none() && *host != in_use.address);
            hosts.insert(0, in_use.address.clone());
        }
        hosts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(hosts: &str, shown: Option<&str>, each: &[&str]) {
        let address = Address::parse(hosts, 3306);
        assert_eq!(address.as_ref().map(Address::to_string).as_deref(), shown, "{hosts}");
        let found: Vec<String> = address
            .iter()
            .flat_map(Address::each)
            .map(|one| one.to_string())
            .collect();
        assert_eq!(found, each, "{hosts}");
    }

    #[test]
    fn hosts_are_read_with_and_without_ports() {
        check("a", Some("a:3306"), &["a:3306"]);
        check("a:7", Some("a:7"), &["a:7"]);
        check("::1", Some("[::1]:3306"), &["[::1]:3306"]);
        check("[::1]:7", Some("[::1]:7"), &["[::1]:7"]);
        check(
            "a, b:7,[fe80::1]:8 , fe80::2",
            Some("a:3306,b:7,[fe80::1]:8,[fe80::2]:3306"),
            &["a:3306", "b:7", "[fe80::1]:8", "[fe80::2]:3306"],
        );
        for wrong in [
            "", "a,", ",a", "a:", "a:0", "a:x", "a:65536", "[::1", "[::1]7", "a b", ":7",
        ] {
            check(wrong, None, &[]);
        }
    }

    #[test]
    fn the_host_in_use_comes_first_and_a_pinned_one_alone() {
        let mut server = ServerDefinition {
            name: ServerName::new("hq").unwrap(),
            address: Address::parse("a,b,c", 1).unwrap(),
            in_use: None,
            user: String::new(),
            password: SecretString::default(),
            ssl_mode: SslMode::default(),
            ssl_ca: None,
            ssl_cert: None,
            ssl_key: None,
        };
        let hosts =
            |server: &ServerDefinition| -> Vec<String> { server.hosts().iter().map(ToString::to_string).collect() };
        assert_eq!(hosts(&server), ["a:1", "b:1", "c:1"]);
        let b = Address::parse("b", 1).unwrap();
        server.in_use = Some(InUse {
            address: b.clone(),
            server_uuid: None,
        });
        assert_eq!(hosts(&server), ["b:1", "a:1", "c:1"]);
        server.in_use = Some(InUse {
            address: b,
            server_uuid: Some("uuid".into()),
        });
        assert_eq!(hosts(&server), ["b:1"]);
    }
}
