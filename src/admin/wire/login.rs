//! The connection phase: from the first byte to a proven account.
//!
//! The client learns nothing about which accounts exist: an unknown one is checked against a hash that nobody knows the
//! password of, fails after the same delay, and with the same words.

use std::net::SocketAddr;
use std::time::Instant;

use rand::Rng;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::attempts::Attempts;
use super::handshake::{self, Capabilities, Login, Refusal, Response};
use super::packet::{self, ReadError, Stream};
use super::scramble::{self, PLUGIN, SALT_BYTES};
use super::{Handler, Limits, SqlError};

/// A client that has proven its account. It waits for its OK, or an error, with the number `sequence`.
pub(super) struct LoggedIn {
    pub(super) stream: Box<dyn Stream>,
    pub(super) capabilities: Capabilities,
    pub(super) account: i64,
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
    #[error("turned away: its address has sent too many wrong passwords")]
    Blocked,
    #[error("{0}")]
    Refused(SqlError),
}

/// What a client is met with.
pub(super) struct Offer<'a> {
    pub(super) peer: SocketAddr,
    /// Without it clients can't encrypt.
    pub(super) tls: Option<TlsAcceptor>,
    /// Clients that don't encrypt are refused.
    pub(super) tls_required: bool,
    pub(super) attempts: &'a Attempts,
    pub(super) handler: &'a dyn Handler,
    pub(super) limits: &'a Limits,
}

impl Offer<'_> {
    /// Greets a client, encrypts if it asks for it, and checks its password. A refusal has been told to the client when
    /// this returns. There is no time-out in here; the caller has one for all of it.
    pub(super) async fn login(&self, mut socket: TcpStream, connection_id: u32) -> Result<LoggedIn, LoginError> {
        let salt = scramble::new_salt();
        let offered = Capabilities::offered(self.tls.is_some());
        let greeting = packet::frame(&handshake::greeting(connection_id, &salt, offered), 0);
        packet::write(&mut socket, &greeting, self.limits.login_time).await?;

        let mut dialog = Dialog {
            stream: Box::new(socket),
            sequence: 1,
            offer: self,
        };
        let login = match dialog.response(offered, false).await? {
            Response::Login(_) if self.tls_required => return Err(dialog.refuse(insecure_transport()).await),
            Response::Login(login) => login,
            Response::StartTls => {
                let Dialog { stream, sequence, .. } = dialog;
                let acceptor = self.tls.as_ref().ok_or(LoginError::Gone)?;
                let stream = Box::new(acceptor.accept(stream).await?);
                dialog = Dialog {
                    stream,
                    sequence,
                    offer: self,
                };
                match dialog.response(offered, true).await? {
                    Response::Login(login) => login,
                    Response::StartTls => return Err(dialog.refuse(bad_handshake()).await),
                }
            }
        };
        let account = dialog.check_password(&login, &salt).await?;
        Ok(LoggedIn {
            stream: dialog.stream,
            capabilities: login.capabilities,
            account,
            user: login.user,
            database: login.database,
            sequence: dialog.sequence,
        })
    }
}

/// Packets back and forth, numbered on.
struct Dialog<'a> {
    stream: Box<dyn Stream>,
    sequence: u8,
    offer: &'a Offer<'a>,
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

    /// Returns the number of the account that has been proven.
    async fn check_password(&mut self, login: &Login, salt: &[u8; SALT_BYTES]) -> Result<i64, LoginError> {
        if !login.capabilities.contains(Capabilities::PLUGIN_AUTH) {
            return Err(self.refuse(protocol_too_old()).await); // it knows mysql_native_password alone
        }
        let mut proof = login.proof.clone();
        if login.plugin != PLUGIN {
            self.send(&handshake::switch_plugin(salt)).await?;
            proof = self.receive().await?;
        }
        let known = self.offer.handler.credentials(&login.user).await;
        let stored = known.map_or_else(|| rand::rng().random(), |known| known.password_hash);
        let proven = known.filter(|_| scramble::proves(&stored, salt, &proof));
        let address = self.offer.peer.ip();
        if let Err(blocked) = self.offer.attempts.judge(address, proven.is_some(), Instant::now()) {
            return Err(self.refuse(blocked.answer(address)).await);
        }
        if let Some(known) = proven {
            self.send(&[0x01, 0x03]).await?; // the fast path succeeded; an OK follows
            return Ok(known.account);
        }
        tokio::time::sleep(self.offer.limits.failed_login_delay).await;
        // A client without a password sends nothing, or a single NUL.
        let with_password = !matches!(proof.as_slice(), [] | [0]);
        Err(self
            .refuse(access_denied(&login.user, self.offer.peer, with_password))
            .await)
    }

    async fn receive(&mut self) -> Result<Vec<u8>, LoginError> {
        let result = async {
            match packet::read_header(&mut self.stream, self.sequence, self.offer.limits.login_packet_bytes).await? {
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
        packet::write(&mut self.stream, &packet, self.offer.limits.login_time).await?;
        self.sequence = self.sequence.wrapping_add(1);
        Ok(())
    }

    async fn refuse(&mut self, error: SqlError) -> LoginError {
        packet::farewell(&mut self.stream, &error, self.sequence, self.offer.limits.linger_time).await;
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

fn insecure_transport() -> SqlError {
    SqlError::new(
        3159,
        "HY000",
        "Connections using insecure transport are prohibited while --require_secure_transport=ON; connect with TLS \
         (--ssl-mode=REQUIRED in the mysql client), or start Causeway with --require-secure-transport=OFF",
    )
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
