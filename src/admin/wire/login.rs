//! The connection phase: from the first byte to a proven account.
//!
//! The client learns nothing about which accounts exist: an unknown one is checked against a hash that nobody knows the
//! password of, fails after the same delay, and with the same words.

use std::net::SocketAddr;

use rand::Rng;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::handshake::{self, Capabilities, Login, Refusal, Response};
use super::packet::{self, ReadError, Stream};
use super::scramble::{self, PLUGIN, SALT_BYTES};
use super::{Handler, Limits, SqlError};

/// A client that has proven its account. It waits for its OK, or an error, with the number `sequence`.
pub(super) struct LoggedIn {
    pub(super) stream: Box<dyn Stream>,
    pub(super) capabilities: Capabilities,
    pub(super) user: String,
    pub(super) database: Option<String>,
    pub(super) sequence: u8,
}

/// Why a client did not get in.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoginError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("the client closed the connection")]
    Gone,
    #[error("{0}")]
    Refused(SqlError),
}

/// Greets a client, encrypts if it asks for it, and checks its password. A refusal has been told to the client when
/// this returns. There is no time-out in here; the caller has one for all of it.
pub(super) async fn login(
    mut socket: TcpStream,
    peer: SocketAddr,
    connection_id: u32,
    tls: Option<&TlsAcceptor>,
    handler: &dyn Handler,
    limits: &Limits,
) -> Result<LoggedIn, LoginError> {
    let salt = scramble::new_salt();
    let offered = Capabilities::offered(tls.is_some());
    let greeting = packet::frame(&handshake::greeting(connection_id, &salt, offered), 0);
    packet::write(&mut socket, &greeting, limits.login_time).await?;

    let mut dialog = Dialog {
        stream: Box::new(socket),
        sequence: 1,
        limits,
    };
    let login = match dialog.response(offered, false).await? {
        Response::Login(login) => login,
        Response::StartTls => {
            let Dialog { stream, sequence, .. } = dialog;
            let acceptor = tls.ok_or(LoginError::Gone)?;
            let stream = Box::new(acceptor.accept(stream).await?);
            dialog = Dialog {
                stream,
                sequence,
                limits,
            };
            match dialog.response(offered, true).await? {
                Response::Login(login) => login,
                Response::StartTls => return Err(dialog.refuse(bad_handshake()).await),
            }
        }
    };
    dialog.check_password(&login, &salt, peer, handler).await?;
    Ok(LoggedIn {
        stream: dialog.stream,
        capabilities: login.capabilities,
        user: login.user,
        database: login.database,
        sequence: dialog.sequence,
    })
}

/// Packets back and forth, numbered on.
struct Dialog<'a> {
    stream: Box<dyn Stream>,
    sequence: u8,
    limits: &'a Limits,
}

impl Dialog<'_> {
    async fn response(&mut self, offered: Capabilities, encrypted: bool) -> Result<Response, LoginError> {
        let payload = self.receive().await?;
        match handshake::parse(&payload, offered, encrypted) {
            Ok(response) => Ok(response),
            Err(Refusal::Malformed) => Err(self.refuse(bad_handshake()).await),
            Err(Refusal::TooOld) => Err(self.refuse(protocol_too_old()).await),
        }
    }

    async fn check_password(
        &mut self,
        login: &Login,
        salt: &[u8; SALT_BYTES],
        peer: SocketAddr,
        handler: &dyn Handler,
    ) -> Result<(), LoginError> {
        if !login.capabilities.contains(Capabilities::PLUGIN_AUTH) {
            return Err(self.refuse(protocol_too_old()).await); // it knows mysql_native_password alone
        }
        let mut proof = login.proof.clone();
        if login.plugin != PLUGIN {
            self.send(&handshake::switch_plugin(salt)).await?;
            proof = self.receive().await?;
        }
        let known = handler.password_hash(&login.user).await;
        let stored = known.unwrap_or_else(|| rand::rng().random());
        let proven = scramble::proves(&stored, salt, &proof);
        if known.is_some() && proven {
            return self.send(&[0x01, 0x03]).await; // the fast path succeeded; an OK follows
        }
        tokio::time::sleep(self.limits.failed_login_delay).await;
        // A client without a password sends nothing, or a single NUL.
        let with_password = !matches!(proof.as_slice(), [] | [0]);
        Err(self.refuse(access_denied(&login.user, peer, with_password)).await)
    }

    async fn receive(&mut self) -> Result<Vec<u8>, LoginError> {
        let result = async {
            match packet::read_header(&mut self.stream, self.sequence, self.limits.login_packet_bytes).await? {
                Some(bytes) => packet::read_body(&mut self.stream, bytes).await.map(Some),
                None => Ok(None),
            }
        };
        match result.await {
            Ok(Some(payload)) => {
                self.sequence = self.sequence.wrapping_add(1);
                Ok(payload)
            }
            Ok(None) => Err(LoginError::Gone),
            Err(error) => {
                if let Some(answer) = error.answer() {
                    self.refuse(answer).await;
                }
                Err(error.into())
            }
        }
    }

    async fn send(&mut self, payload: &[u8]) -> Result<(), LoginError> {
        let packet = packet::frame(payload, self.sequence);
        packet::write(&mut self.stream, &packet, self.limits.login_time).await?;
        self.sequence = self.sequence.wrapping_add(1);
        Ok(())
    }

    async fn refuse(&mut self, error: SqlError) -> LoginError {
        packet::farewell(&mut self.stream, &error, self.sequence, self.limits.linger_time).await;
        LoginError::Refused(error)
    }
}

fn access_denied(user: &str, peer: SocketAddr, with_password: bool) -> SqlError {
    let user: String = user.chars().filter(|c| !c.is_control()).take(80).collect();
    let host = peer.ip().to_canonical();
    let with_password = if with_password { "YES" } else { "NO" };
    let message = format!("Access denied for user '{user}'@'{host}' (using password: {with_password})");
    SqlError::new(1045, "28000", message)
}

fn bad_handshake() -> SqlError {
    SqlError::new(1043, "08S01", "Bad handshake")
}

fn protocol_too_old() -> SqlError {
    SqlError::new(
        1251,
        "08004",
        "Client does not support authentication protocol requested by server; consider upgrading MySQL client",
    )
}
