//! Whether the servers can be talked to.

use crate::model::server::{Address, SslMode};

use super::{
    Finding, Item, Judged, Rule, Severity,
    facts::{Scope, Server},
    fail, here, warn,
};

pub(super) const ITEMS: &[Item] = &[
    Item {
        name: "connection to the source",
        looks_at: "connecting and logging in to the server that is read from",
        why: "All else is found out over this connection.",
        severity: Severity::Fails,
        rule: Rule::Any(|way| Some(connection(&way.source))),
    },
    Item {
        name: "connection to the destination",
        looks_at: "connecting and logging in to the server that is written to",
        why: "All else is found out over this connection.",
        severity: Severity::Fails,
        rule: Rule::Any(|way| Some(connection(&way.destination))),
    },
    Item {
        name: "encryption",
        looks_at: "how the connections to both servers are encrypted, and how SSL_MODE wants it",
        why: "With `PREFERRED`, the default, a server without TLS is talked to in clear text: passwords are safe, rows are not.",
        severity: Severity::Both,
        rule: Rule::Servers(|way, from, to| {
            let (mut findings, mut found) = (Vec::new(), Vec::new());
            for (server, facts) in [(&way.source, from), (&way.destination, to)] {
                let shown = if facts.encryption.is_empty() {
                    "none"
                } else {
                    &facts.encryption
                };
                found.push(format!("server {}: {shown}", server.name));
                findings.extend(encryption(server, &facts.encryption));
            }
            Some(Judged::of(findings, found.join("; ")))
        }),
    },
    Item {
        name: "what is selected can be read",
        looks_at: "the lists and definitions of the tables that the objects select, on both servers",
        why: "The other items about tables are judged by them.",
        severity: Severity::Fails,
        rule: Rule::Found(selected),
    },
];

fn connection(server: &Server) -> Judged {
    let findings = server.facts.as_ref().err().map(|reason| {
        let name = &server.name;
        fail(
            reason.clone(),
            format!(
                "look whether the server runs and lets this host and account in (CHECK SERVER {name}); what is wrong in its \
                 definition is set right with ALTER SERVER {name} OPTIONS (…)"
            ),
        )
    });
    let found = format!("server {}: {}", server.name, server.address);
    Judged::of(findings.into_iter().collect(), found)
}

/// Whether a connection is encrypted as it is to be. `protocol`: as the server says; empty: not at all.
pub(super) fn encryption(server: &Server, protocol: &str) -> Option<Finding> {
    let local = match &server.address {
        Address::Socket(_) => true,
        Address::Tcp { host, .. } => matches!(host.as_str(), "localhost" | "127.0.0.1" | "::1"),
    };
    let name = &server.name;
    let required = here(&format!("ALTER SERVER {name} OPTIONS (SSL_MODE 'REQUIRED')"));
    match server.ssl_mode {
        _ if !protocol.is_empty() || matches!(server.address, Address::Socket(_)) => None,
        SslMode::Disabled => None,
        SslMode::Preferred if local => None,
        SslMode::Preferred => Some(warn(
            format!("server {name}: the connection is not encrypted, because the server offers no TLS"),
            format!("switch TLS on at the server, then {required}"),
        )),
        SslMode::Required | SslMode::VerifyCa | SslMode::VerifyIdentity => Some(fail(
            format!(
                "server {name}: the connection is not encrypted, and SSL_MODE is {}",
                server.ssl_mode.as_str()
            ),
            "switch TLS on at the server",
        )),
    }
}

fn selected(scope: &Result<Scope, String>) -> Judged {
    let findings = scope.as_ref().err().map(|reason| {
        fail(
            reason,
            "mend what the message says; docs/privileges.md lists what the accounts need",
        )
    });
    let tables = scope.as_ref().map_or(0, |scope| scope.tables.len());
    Judged::of(findings.into_iter().collect(), format!("{tables} tables are selected"))
}
