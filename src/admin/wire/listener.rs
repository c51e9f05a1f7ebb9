//! Accepting connections, and how many of them.
//!
//! Connections that have not logged in cost a stranger nothing, so they are counted apart from sessions and are
//! expendable: when there are too many, the oldest of the address that holds most of them goes. A client that logs in
//! needs a few milliseconds and is not the oldest for long; one that only holds connections open always is.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::half_open::HalfOpen;
use super::handshake::Capabilities;
use super::login::{self, LoggedIn, LoginError};
use super::session::{Client, Prepared};
use super::{Handler, Limits, Session, SqlError, packet};
use crate::admin::sessions::{Sessions, count};

/// Serves the protocol until `shutdown`: then idle connections close at once, and running statements have
/// [`Limits::shutdown_time`] to end.
///
/// Without `tls` clients can't encrypt; with it they may. An error means that the listening socket itself is of no use
/// any more; what befalls single connections is logged.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    handler: Arc<dyn Handler>,
    limits: Limits,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let endpoint = Arc::new(Endpoint {
        tls: tls.map(TlsAcceptor::from),
        registry: handler.sessions(),
        handler,
        half_open: HalfOpen::new(limits.half_open, limits.half_open_per_address),
        sessions: Semaphore::new(limits.sessions),
        limits,
        shutdown: shutdown.clone(),
        last_connection_id: AtomicU32::new(0),
    });
    let mut connections = JoinSet::new();
    let outcome = loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break Ok(()),
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a connection of the admin endpoint ended by a defect");
                }
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, peer)) => {
                connections.spawn(Arc::clone(&endpoint).connection(socket, peer));
            }
            Err(error) if listener_is_broken(&error) => break Err(error),
            Err(error) => {
                // Most likely out of file descriptors, and half-open connections are what can be spared.
                tracing::warn!(%error, "the admin endpoint could not accept a connection; trying again");
                endpoint.half_open.drop_oldest();
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    };
    drop(listener);
    shutdown.cancel();
    let all_ended = async { while connections.join_next().await.is_some() {} };
    if timeout(endpoint.limits.shutdown_time, all_ended).await.is_err() {
        connections.shutdown().await;
    }
    outcome
}

/// EBADF, EINVAL, ENOTSOCK and EOPNOTSUPP speak of the listening socket; everything else of one connection, or of a
/// shortage that passes.
fn listener_is_broken(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(9 | 22 | 88 | 95))
}

struct Endpoint {
    tls: Option<TlsAcceptor>,
    handler: Arc<dyn Handler>,
    registry: Arc<Sessions>,
    half_open: Arc<HalfOpen>,
    sessions: Semaphore,
    limits: Limits,
    shutdown: CancellationToken,
    last_connection_id: AtomicU32,
}

impl Endpoint {
    /// The life of one connection.
    async fn connection(self: Arc<Self>, socket: TcpStream, peer: SocketAddr) {
        let connection_id = self.last_connection_id.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%peer, %error, "the connection was gone before it was greeted");
            return;
        }
        count(&self.registry.counters.connections, 1);
        let place = self.half_open.enter(peer.ip());
        let login = login::login(
            socket,
            peer,
            connection_id,
            self.tls.as_ref(),
            self.handler.as_ref(),
            &self.limits,
        );
        let logged_in = tokio::select! {
            () = self.shutdown.cancelled() => return,
            () = place.lost() => {
                tracing::debug!(%peer, connection_id, "dropped: too many connections that have not logged in");
                return;
            }
            outcome = timeout(self.limits.login_time, login) => outcome,
        };
        drop(place);
        if !matches!(logged_in, Ok(Ok(_))) {
            count(&self.registry.counters.aborted_connects, 1);
        }
        match logged_in {
            Ok(Ok(logged_in)) => self.session(logged_in, peer, connection_id).await,
            Ok(Err(LoginError::Refused(error))) => {
                tracing::warn!(%peer, connection_id, code = error.code, "refused: {}", error.message);
            }
            Ok(Err(error)) => tracing::debug!(%peer, connection_id, %error, "not logged in"),
            Err(_) => tracing::debug!(%peer, connection_id, "not logged in in time"),
        }
    }

    /// From a proven account to the end of the connection.
    async fn session(&self, logged_in: LoggedIn, peer: SocketAddr, connection_id: u32) {
        let LoggedIn {
            stream,
            capabilities,
            user,
            database,
            sequence,
        } = logged_in;
        let seat = self.registry.open(connection_id, &user, &peer.to_string());
        let mut client = Client {
            stream,
            capabilities,
            seat,
            multi_statements: capabilities.contains(Capabilities::MULTI_STATEMENTS),
            session: Session {
                user,
                database: None,
                connection_id,
                peer,
            },
            handler: self.handler.as_ref(),
            limits: &self.limits,
            prepared: Prepared::default(),
        };
        let opened = match (self.sessions.try_acquire(), database) {
            (Err(_), _) => Err(SqlError::new(1040, "08004", "Too many connections")),
            (Ok(permit), None) => Ok(permit),
            (Ok(permit), Some(database)) => client.use_database(&database).await.map(|()| permit),
        };
        let _permit = match opened {
            Ok(permit) => permit,
            Err(error) => {
                tracing::warn!(%peer, connection_id, code = error.code, "refused: {}", error.message);
                packet::farewell(&mut client.stream, &error, sequence, self.limits.linger_time).await;
                return;
            }
        };
        let welcome = packet::ok(0, 0, "", sequence);
        let outcome = match packet::write(&mut client.stream, &welcome, self.limits.write_time).await {
            Ok(()) => client.converse(&self.shutdown).await,
            Err(error) => Err(error.into()),
        };
        match outcome {
            Ok(()) => tracing::debug!(%peer, connection_id, "disconnected"),
            Err(error) => {
                count(&self.registry.counters.aborted_clients, 1);
                tracing::info!(%peer, connection_id, %error, "connection lost");
            }
        }
    }
}
