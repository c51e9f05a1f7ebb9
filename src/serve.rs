//! `causeway serve`: opens the store, starts the tasks, answers on the admin port, until a signal comes.

use std::{
    fs::OpenOptions,
    io::Write,
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
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
        wire::{self, Encryption, Limits, hash_password, tls},
    },
    model::role::{Role, Roles},
    store::{Store, StoreError},
    task::supervisor::{Controller, Supervisor},
};

/// The account that the first start makes.
const ROOT: &str = "root";

/// Where a made-up admin password is left.
const PASSWORD_FILE: &str = "admin-password";

/// How often it is looked whether there is a new certificate. SIGHUP does at once.
const CERTIFICATE_LOOKED_AT_EVERY: Duration = Duration::from_secs(3600);

/// How `serve` is to run.
#[derive(Debug)]
pub struct ServeOptions {
    /// Store, keys and certificates.
    pub data_dir: PathBuf,
    /// Where the admin endpoint listens.
    pub listen: SocketAddr,
    /// Whether clients must encrypt; `None`: if the endpoint can be reached from other machines.
    pub require_secure_transport: Option<bool>,
    /// The files of certificate and key; `None`: those in the data directory.
    pub tls: Option<(PathBuf, PathBuf)>,
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
    let certificates = Arc::new(match &options.tls {
        Some((certificate, key)) => tls::Certificates::given(certificate.clone(), key.clone())?,
        None => tls::Certificates::in_directory(&options.data_dir)?,
    });
    let local = options.listen.ip().to_canonical().is_loopback();
    let encryption = Encryption {
        certificates: Arc::clone(&certificates),
        required: options.require_secure_transport.unwrap_or(!local),
    };
    let listener = TcpListener::bind(options.listen)
        .await
        .map_err(|cause| ServeError::Listen {
            listen: options.listen,
            cause,
        })?;
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Signal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Signal)?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(ServeError::Signal)?;
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
    match (local, encryption.required) {
        (false, true) => tracing::info!("clients must encrypt, as the endpoint can be reached from other machines"),
        (false, false) => tracing::warn!(
            "clients from other machines may log in without encryption, as require_secure_transport is OFF: whoever is on \
             the way sees all they ask and all they are told"
        ),
        (true, _) => {}
    }
    let mut serving = tokio::spawn(wire::serve(
        listener,
        Some(encryption),
        endpoint,
        Limits::default(),
        shutdown.clone(),
    ));
    let mut look_again = tokio::time::interval(CERTIFICATE_LOOKED_AT_EVERY);
    loop {
        let always = tokio::select! {
            ended = &mut serving => {
                supervisor.shutdown().await;
                let cause = match ended {
                    Ok(Ok(())) => std::io::Error::other("it was told to"),
                    Ok(Err(cause)) => cause,
                    Err(cause) => std::io::Error::other(cause),
                };
                return Err(ServeError::Endpoint(cause));
            }
            _ = terminate.recv() => {
                tracing::info!("SIGTERM: stopping");
                break;
            }
            _ = interrupt.recv() => {
                tracing::info!("SIGINT: stopping");
                break;
            }
            _ = hang_up.recv() => true,
            _ = look_again.tick() => false,
        };
        if let Err(error) = certificates.refresh(always) {
            tracing::error!("the certificate that is in use stays: {error}");
        }
    }
    shutdown.cancel();
    supervisor.shutdown().await;
    if let Ok(Err(cause)) = serving.await {
        tracing::warn!("the admin endpoint: {cause}");
    }
    tracing::info!("stopped; every task goes on from here at the next start");
    Ok(())
}

/// At the first start, makes the account `root`.
fn make_root(store: &Store, options: &ServeOptions) -> Result<(), ServeError> {
    for account in store.accounts()? {
        // A key file that does not fit is told now, not when somebody can't log in.
        store.credentials(&account.user)?;
    }
    if !store.accounts()?.is_empty() {
        return Ok(());
    }
    let password = match &options.admin_password {
        Some(password) => password.clone(),
        None => made_up(&options.data_dir)?,
    };
    store.create_account(ROOT, &hash_password(password.expose_secret()), &admin())?;
    Ok(())
}

fn admin() -> Roles {
    Roles::from_iter([Role::Admin])
}

/// Gives `root` a password and the role admin, whatever it had; returns what to tell the operator.
///
/// # Errors
/// [`ServeError`]; above all that Causeway runs on this data directory.
pub fn reset_password(data_dir: &Path, password: Option<SecretString>) -> Result<String, ServeError> {
    let store = Store::open(data_dir)?;
    let (password, told) = match password {
        Some(password) => (password, "the one in CAUSEWAY_ADMIN_PASSWORD".to_owned()),
        None => (
            made_up(data_dir)?,
            format!("in {}", data_dir.join(PASSWORD_FILE).display()),
        ),
    };
    let hash = hash_password(password.expose_secret());
    match store.create_account(ROOT, &hash, &admin()) {
        Err(StoreError::Exists { .. }) => {
            store.set_account_password(ROOT, &hash)?;
            store.change_roles(&[ROOT.to_owned()], |roles| roles.with(&admin()))?;
        }
        made => drop(made?),
    }
    Ok(format!("the password of {ROOT} is now {told}; it has the role admin"))
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
    tracing::info!("the password of the account {ROOT} is in {}", path.display());
    Ok(password.into())
}
