//! `causeway serve`: opens the store, starts the tasks, answers on the admin port, until a signal comes.

use std::{
    fs::OpenOptions,
    io::Write,
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use secrecy::{ExposeSecret, SecretString};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use crate::{
    admin::{
        endpoint::Endpoint,
        statements::Statements,
        wire::{self, Limits, hash_password, tls},
    },
    store::{Store, StoreError},
    task::supervisor::{Controller, Supervisor},
};

/// The account that the first start makes.
const ROOT: &str = "root";

/// Where a made-up admin password is left.
const PASSWORD_FILE: &str = "admin-password";

/// How `serve` is to run.
#[derive(Debug)]
pub struct ServeOptions {
    /// Store, keys and certificates.
    pub data_dir: PathBuf,
    /// Where the admin endpoint listens.
    pub listen: SocketAddr,
    /// Password of `root`, for the first start.
    pub admin_password: Option<SecretString>,
}

/// Why `serve` can't start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The certificate of the admin endpoint.
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    /// The admin port.
    #[error("can't listen on {listen}: {cause}; choose another address with --listen")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// The cause.
        cause: std::io::Error,
    },
    /// The made-up password can't be left for the operator.
    #[error("can't write {path}: {cause}; set CAUSEWAY_ADMIN_PASSWORD instead")]
    Password {
        /// The file.
        path: PathBuf,
        /// The cause.
        cause: std::io::Error,
    },
    /// Signals.
    #[error("can't wait for signals: {0}")]
    Signal(std::io::Error),
    /// The endpoint.
    #[error("the admin endpoint has ended: {0}")]
    Endpoint(std::io::Error),
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// [`ServeError`].
pub async fn run(options: ServeOptions) -> Result<(), ServeError> {
    let store = Arc::new(Store::open(&options.data_dir)?);
    make_root(&store, &options)?;
    let tls = tls::load_or_make(&options.data_dir)?;
    let listener = TcpListener::bind(options.listen)
        .await
        .map_err(|cause| ServeError::Listen {
            listen: options.listen,
            cause,
        })?;
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Signal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Signal)?;
    let supervisor = Supervisor::open(store.clone())?;
    let statements = Statements::new(store.clone(), Arc::new(Controller(supervisor.clone())));
    let endpoint = Arc::new(Endpoint::new(store, statements));
    let shutdown = CancellationToken::new();
    tracing::info!(
        "listening on {}; connect with: mysql -h {} -P {} -u {ROOT} -p",
        options.listen,
        options.listen.ip(),
        options.listen.port()
    );
    let mut serving = tokio::spawn(wire::serve(
        listener,
        Some(tls),
        endpoint,
        Limits::default(),
        shutdown.clone(),
    ));
    tokio::select! {
        ended = &mut serving => {
            supervisor.shutdown().await;
            let cause = match ended {
                Ok(Ok(())) => std::io::Error::other("it was told to"),
                Ok(Err(cause)) => cause,
                Err(cause) => std::io::Error::other(cause),
            };
            return Err(ServeError::Endpoint(cause));
        }
        _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
        _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
    }
    shutdown.cancel();
    supervisor.shutdown().await;
    if let Ok(Err(cause)) = serving.await {
        tracing::warn!("the admin endpoint: {cause}");
    }
    tracing::info!("stopped; every task goes on from here at the next start");
    Ok(())
}

/// Makes the account `root` if it is not there.
fn make_root(store: &Store, options: &ServeOptions) -> Result<(), ServeError> {
    if store.account(ROOT)?.is_some() {
        return Ok(());
    }
    let password = match &options.admin_password {
        Some(password) => password.clone(),
        None => made_up(&options.data_dir)?,
    };
    store.set_account(ROOT, &hash_password(password.expose_secret()))?;
    Ok(())
}

fn made_up(dir: &Path) -> Result<SecretString, ServeError> {
    use rand::Rng;
    const ALPHABET: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    let mut random = rand::rng();
    let password: String = (0..24)
        .filter_map(|_| {
            ALPHABET
                .get(random.random_range(0..ALPHABET.len()))
                .map(|byte| char::from(*byte))
        })
        .collect();
    let path = dir.join(PASSWORD_FILE);
    let write = || {
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&path)?;
        writeln!(file, "{password}")?;
        file.sync_all()
    };
    write().map_err(|cause| ServeError::Password {
        path: path.clone(),
        cause,
    })?;
    tracing::info!("made the account {ROOT}; its password is in {}", path.display());
    Ok(password.into())
}
