//! Connections to a MySQL server, made the way the operator described it.

use std::time::Duration;

use mysql_async::{Conn, DriverError, Error, Opts, OptsBuilder, SslOpts, prelude::Queryable};
use secrecy::ExposeSecret;

use crate::{
    failure::Failure,
    model::server::{Address, ServerDefinition, SslMode},
    sql::literal::SESSION,
};

mod tls;

/// How long connecting and logging in may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// The longest packet we send or take: MySQL's own limit.
pub const MAX_PACKET_BYTES: usize = 1 << 30;

/// A connection that is ready for our statements.
///
/// # Errors
/// [`Failure`] that names the server and says what was being done.
pub async fn open(server: &ServerDefinition) -> Result<Conn, Failure> {
    let mut conn = open_bare(server).await?;
    conn.query_drop(format!("SET {SESSION}"))
        .await
        .map_err(|error| Failure::mysql(format_args!("setting up the session on server {}", server.name), &error))?;
    Ok(conn)
}

/// A connection with the session as the server gives it. Of several hosts it is the first that lets us in; of a server
/// that is pinned to one of them, that one, and only if it is still the same server.
///
/// # Errors
/// See [`open`].
pub async fn open_bare(server: &ServerDefinition) -> Result<Conn, Failure> {
    let mut failures = Vec::new();
    for address in server.hosts() {
        match open_at(server, &address).await {
            Ok(conn) => return Ok(conn),
            Err(failure) => failures.push(failure.message),
        }
    }
    Err(Failure::environment(failures.join("; ")))
}

/// A connection to one of the server's hosts.
async fn open_at(server: &ServerDefinition, address: &Address) -> Result<Conn, Failure> {
    let doing = || format!("connecting to server {} ({address}) as {}", server.name, server.user);
    if server.ssl_mode != SslMode::Disabled {
        tls::check_files(server)
            .await
            .map_err(|reason| Failure::environment(format!("{}: {reason}", doing())))?;
    }
    let attempt = async {
        match Conn::new(options(server, address, server.ssl_mode != SslMode::Disabled)).await {
            // PREFERRED: a server without TLS is talked to without.
            Err(Error::Driver(DriverError::NoClientSslFlagFromServer)) if server.ssl_mode == SslMode::Preferred => {
                Conn::new(options(server, address, false)).await
            }
            result => result,
        }
    };
    let mut conn = match tokio::time::timeout(CONNECT_TIMEOUT, attempt).await {
        Ok(Ok(conn)) => conn,
        Ok(Err(error)) => {
            return Err(match tls::explain(server, address, &error) {
                Some(reason) => Failure::environment(format!("{}: {reason}", doing())),
                None => Failure::connecting(doing(), &error),
            });
        }
        Err(_) => {
            return Err(Failure::environment(format!(
                "{}: no answer within {} s",
                doing(),
                CONNECT_TIMEOUT.as_secs()
            )));
        }
    };
    if let Some(expected) = server.in_use.as_ref().and_then(|in_use| in_use.server_uuid.as_ref()) {
        let found: Option<String> = conn
            .query_first("SELECT @@server_uuid")
            .await
            .map_err(|error| Failure::connecting(doing(), &error))?;
        if found.as_ref() != Some(expected) {
            return Err(Failure::environment(format!(
                "{}: another server answers there now (server_uuid {}, before it was {expected})",
                doing(),
                found.unwrap_or_default()
            )));
        }
    }
    Ok(conn)
}

fn options(server: &ServerDefinition, address: &Address, encrypted: bool) -> Opts {
    let mut builder = OptsBuilder::default()
        .user(Some(server.user.clone()))
        .pass(Some(server.password.expose_secret().to_owned()))
        // Without a default database a joined UPDATE is refused (1046) if JSON_TABLE stands in it, see `sql::json`.
        // This one is there for every account, and no statement of ours leaves a name to it.
        .db_name(Some("information_schema"))
        // Matched rows, not changed ones: that is what guards count.
        .client_found_rows(true)
        .prefer_socket(false)
        .max_allowed_packet(Some(MAX_PACKET_BYTES))
        // The library asks for it with each new connection, and needs it in pools alone, which we have none of.
        .wait_timeout(Some(0))
        .stmt_cache_size(0)
        .tcp_nodelay(true)
        .tcp_keepalive(Some(Duration::from_secs(30)))
        .connect_attribute("program_name", "causeway");
    match address {
        Address::Tcp { host, port } => builder = builder.ip_or_hostname(host.clone()).tcp_port(*port),
        Address::Socket(path) => builder = builder.socket(Some(path.to_string_lossy().into_owned())),
    }
    if encrypted && matches!(address, Address::Tcp { .. }) {
        builder = builder.ssl_opts(Some(ssl_options(server)));
    }
    builder.into()
}

fn ssl_options(server: &ServerDefinition) -> SslOpts {
    let mut options = SslOpts::default();
    if let Some(ca) = &server.ssl_ca {
        options = options
            .with_root_certs(vec![ca.clone().into()])
            .with_disable_built_in_roots(true);
    }
    if let (Some(cert), Some(key)) = (&server.ssl_cert, &server.ssl_key) {
        options = options.with_client_identity(Some(mysql_async::ClientIdentity::new(
            cert.clone().into(),
            key.clone().into(),
        )));
    }
    match server.ssl_mode {
        SslMode::Disabled | SslMode::Preferred | SslMode::Required => options
            .with_danger_accept_invalid_certs(true)
            .with_danger_skip_domain_validation(true),
        // The library (mysql_async 0.37) forgives a certificate for another name only if the error's text has the word
        // below, which rustls no longer writes, but for the name that was expected. The certificate's issuer is verified
        // before its name, so nothing else is forgiven. MySQL's own certificates name no host at all.
        SslMode::VerifyCa => options
            .with_danger_skip_domain_validation(true)
            .with_danger_tls_hostname_override(Some("NotValidForName.invalid")),
        SslMode::VerifyIdentity => options,
    }
}
