//! The endpoint's certificate: the operator's own, or a self-signed one made at the first start.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The certificate's file in the data directory. Clients can use it as their `--ssl-ca`.
pub const CERTIFICATE_FILE: &str = "admin-cert.pem";

/// The key's file in the data directory, readable by its owner alone.
pub const KEY_FILE: &str = "admin-key.pem";

/// Why there is no certificate to serve with.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A PEM file can't be read or holds something else.
    #[error("reading {what} from {path}: {source}", path = path.display())]
    Read {
        /// What was expected in it.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: rustls::pki_types::pem::Error,
    },
    /// Only one of the two files is there, and making a new pair would destroy it.
    #[error("{present} is there but {missing} is not; put it back, or move {present} away to have both made anew",
        present = present.display(), missing = missing.display())]
    HalfAPair {
        /// The file that is there.
        present: PathBuf,
        /// The file that is not.
        missing: PathBuf,
    },
    /// A made certificate could not be kept.
    #[error("writing {path}: {source}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why it could not be written.
        source: io::Error,
    },
    /// No certificate could be made.
    #[error("making a self-signed certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// Certificate and key don't go together, or are of a kind that can't be served with.
    #[error("the certificate in {certificate} and the key in {key} can't be served with: {source}; they must belong together",
        certificate = certificate.display(), key = key.display())]
    Use {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong with them.
        source: rustls::Error,
    },
}

/// A certificate made here is made anew when it has so long to go.
const RENEWED_BEFORE: Duration = Duration::from_secs(30 * 24 * 3600);

/// The common name of certificates made here, and how they are known again.
const OWN_NAME: &str = "Causeway admin endpoint";

/// How long a certificate made here is good for, in years.
const OWN_YEARS: i32 = 10;

/// The certificate that is served with, and where it comes from. It can be read again while connections go on.
#[derive(Debug)]
pub struct Certificates {
    certificate: PathBuf,
    key: PathBuf,
    /// The pair lies in the data directory, so one made here is made anew in time.
    in_data_directory: bool,
    current: RwLock<Current>,
}

#[derive(Debug)]
struct Current {
    config: Arc<ServerConfig>,
    /// When the files were written.
    written: [Option<SystemTime>; 2],
}

impl Certificates {
    /// The pair in `directory`. At the first start a self-signed one for this machine is made and kept there.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn in_directory(directory: &Path) -> Result<Self, TlsError> {
        let certificate = directory.join(CERTIFICATE_FILE);
        let key = directory.join(KEY_FILE);
        match (certificate.exists(), key.exists()) {
            (true, true) => renew(&certificate, &key, SystemTime::now())?,
            (false, false) => make(&certificate, &key)?,
            (true, false) => {
                return Err(TlsError::HalfAPair {
                    present: certificate,
                    missing: key,
                });
            }
            (false, true) => {
                return Err(TlsError::HalfAPair {
                    present: key,
                    missing: certificate,
                });
            }
        }
        Self::read(certificate, key, true)
    }

    /// The operator's own pair: a PEM file with the certificate and what leads to its CA, and one with its key.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn given(certificate: PathBuf, key: PathBuf) -> Result<Self, TlsError> {
        Self::read(certificate, key, false)
    }

    fn read(certificate: PathBuf, key: PathBuf, in_data_directory: bool) -> Result<Self, TlsError> {
        let current = Current::read(&certificate, &key)?;
        Ok(Self {
            certificate,
            key,
            in_data_directory,
            current: RwLock::new(current),
        })
    }

    /// What new connections are encrypted with.
    pub fn config(&self) -> Arc<ServerConfig> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current.config)
    }

    /// Makes a certificate of our own anew if it ends soon, and reads files that were written since; `always`: reads
    /// them in any case. What is there stays in use if that fails.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn refresh(&self, always: bool) -> Result<(), TlsError> {
        let now = SystemTime::now();
        if self.in_data_directory {
            renew(&self.certificate, &self.key, now)?;
        }
        let known = self.current.read().unwrap_or_else(PoisonError::into_inner).written;
        if always || known != written(&self.certificate, &self.key) {
            let current = Current::read(&self.certificate, &self.key)?;
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = current;
            tracing::info!(
                "clients are now served with the certificate in {}",
                self.certificate.display()
            );
        }
        if let Some(ends) = ends(&self.certificate)
            && ends < now + RENEWED_BEFORE
        {
            let rest = ends.duration_since(now).unwrap_or_default().as_secs() / (24 * 3600);
            let path = self.certificate.display();
            tracing::warn!("the certificate in {path} ends in {rest} days: put a new one there, it is read by itself");
        }
        Ok(())
    }
}

impl Current {
    fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let written = written(certificate, key);
        let config = load(certificate, key)?;
        Ok(Self { config, written })
    }
}

fn written(certificate: &Path, key: &Path) -> [Option<SystemTime>; 2] {
    let of = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    [of(certificate), of(key)]
}

fn load(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let unreadable = |what, path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::Read { what, path, source }
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(unreadable("a certificate", certificate))?;
    if chain.is_empty() {
        let nothing = rustls::pki_types::pem::Error::NoItemsFound;
        return Err(unreadable("a certificate", certificate)(nothing));
    }
    let private_key = PrivateKeyDer::from_pem_file(key).map_err(unreadable("a private key", key))?;
    let unusable = |source| TlsError::Use {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        source,
    };
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, private_key)
        .map(Arc::new)
        .map_err(unusable)
}

/// Until when the first certificate of the file holds; `None` if that can't be read.
fn ends(certificate: &Path) -> Option<SystemTime> {
    let der = CertificateDer::from_pem_file(certificate).ok()?;
    let (_, parsed) = x509_parser::parse_x509_certificate(&der).ok()?;
    let seconds = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or(0);
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// Whether the certificate was made here.
fn is_own(certificate: &Path) -> bool {
    let Ok(der) = CertificateDer::from_pem_file(certificate) else {
        return false;
    };
    x509_parser::parse_x509_certificate(&der).is_ok_and(|(_, parsed)| {
        let mut names = parsed.subject().iter_common_name();
        names.any(|name| name.as_str().is_ok_and(|name| name == OWN_NAME))
    })
}

/// Makes a pair that was made here anew if it ends soon. The operator's own is theirs to renew.
fn renew(certificate: &Path, key: &Path, now: SystemTime) -> Result<(), TlsError> {
    if is_own(certificate) && ends(certificate).is_some_and(|ends| ends < now + RENEWED_BEFORE) {
        make(certificate, key)?;
        let path = certificate.display();
        tracing::warn!("made the certificate in {path} anew: clients that use it as --ssl-ca need the new one");
    }
    Ok(())
}

fn make(certificate: &Path, key: &Path) -> Result<(), TlsError> {
    // The year is near enough: it begins and ends with one.
    let seconds = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let year = 1970 + i32::try_from(seconds.as_secs() / 31_556_952).unwrap_or_default();
    make_for(certificate, key, year - 1, year + OWN_YEARS)
}

/// Makes a pair that is good from one New Year to another.
fn make_for(certificate: &Path, key: &Path, first_year: i32, last_year: i32) -> Result<(), TlsError> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    names.extend(Some(host.trim().to_owned()).filter(|name| !name.is_empty() && name.chars().all(plain)));
    let mut params = rcgen::CertificateParams::new(names)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, OWN_NAME);
    params.not_before = rcgen::date_time_ymd(first_year, 1, 1);
    params.not_after = rcgen::date_time_ymd(last_year, 1, 1);
    let signing_key = rcgen::KeyPair::generate()?;
    let made = params.self_signed(&signing_key)?;
    let had_key = key.exists();
    keep(key, 0o600, &signing_key.serialize_pem())?;
    keep(certificate, 0o644, &made.pem()).inspect_err(|_| {
        // A key alone would stand in the way of the next start.
        if !had_key && let Err(error) = fs::remove_file(key) {
            tracing::warn!(%error, path = %key.display(), "left a key without its certificate behind");
        }
    })
}

/// Writes a file, and never leaves a half-written one under its name.
fn keep(path: &Path, mode: u32, text: &str) -> Result<(), TlsError> {
    let unfinished = path.with_extension("pem.new");
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(&unfinished)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, path)
    };
    write().map_err(|source| TlsError::Write {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("causeway-tls-{name}-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&path).unwrap();
        path
    }

    #[test]
    fn the_pair_made_at_the_first_start_is_kept_and_its_key_private() {
        let directory = directory("made");
        Certificates::in_directory(&directory).map(drop).unwrap();
        let read = |file| fs::read(directory.join(file)).unwrap();
        let made = (read(CERTIFICATE_FILE), read(KEY_FILE));
        let mode = fs::metadata(directory.join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        Certificates::in_directory(&directory).map(drop).unwrap();
        assert_eq!((read(CERTIFICATE_FILE), read(KEY_FILE)), made);
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_pair_that_does_not_serve_is_refused_with_its_files_named() {
        fn check(name: &str, spoil: impl Fn(&Path), expected: &[&str]) {
            let directory = directory(name);
            Certificates::in_directory(&directory).map(drop).unwrap();
            spoil(&directory);
            let error = Certificates::in_directory(&directory).unwrap_err().to_string();
            for part in expected {
                assert!(error.contains(part), "{error}");
            }
            fs::remove_dir_all(directory).unwrap();
        }
        let remove = |file| move |dir: &Path| fs::remove_file(dir.join(file)).unwrap();
        check(
            "no-key",
            remove(KEY_FILE),
            &["admin-cert.pem is there but", "put it back"],
        );
        check("no-cert", remove(CERTIFICATE_FILE), &["admin-key.pem is there but"]);
        let empty = |file| move |dir: &Path| fs::write(dir.join(file), "").unwrap();
        check("empty-key", empty(KEY_FILE), &["a private key", "admin-key.pem"]);
        check("empty-cert", empty(CERTIFICATE_FILE), &["admin-cert.pem"]);
        let other_key = |dir: &Path| {
            let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
            fs::write(dir.join(KEY_FILE), other).unwrap();
        };
        check("other-key", other_key, &["admin-cert.pem", "admin-key.pem"]);
    }

    #[test]
    fn a_certificate_made_here_is_made_anew_in_time_and_the_operators_is_not() {
        let directory = directory("renewed");
        let (certificate, key) = (directory.join(CERTIFICATE_FILE), directory.join(KEY_FILE));
        let read = || fs::read(&certificate).unwrap();
        let far = |years: u64| SystemTime::now() + Duration::from_secs(years * 31_556_952);
        make(&certificate, &key).unwrap();
        let made = read();
        renew(&certificate, &key, far(8)).unwrap();
        assert_eq!(read(), made);
        renew(&certificate, &key, far(10)).unwrap();
        assert_ne!(read(), made);

        // One that has ended is made anew at the start, and the running endpoint takes what is new.
        make_for(&certificate, &key, 2020, 2021).unwrap();
        let ended = read();
        let certificates = Certificates::in_directory(&directory).unwrap();
        assert_ne!(read(), ended);
        assert!(ends(&certificate).unwrap() > far(8));
        let before = certificates.config();
        certificates.refresh(false).unwrap();
        assert!(Arc::ptr_eq(&before, &certificates.config()));
        certificates.refresh(true).unwrap();
        assert!(!Arc::ptr_eq(&before, &certificates.config()));

        let pair = rcgen::generate_simple_self_signed(vec!["db.example".to_owned()]).unwrap();
        fs::write(&certificate, pair.cert.pem()).unwrap();
        let in_use = certificates.config();
        assert!(certificates.refresh(true).is_err(), "the key is not its key yet");
        assert!(Arc::ptr_eq(&in_use, &certificates.config()));
        fs::write(&key, pair.signing_key.serialize_pem()).unwrap();
        certificates.refresh(true).unwrap();
        renew(&certificate, &key, far(3000)).unwrap();
        assert_eq!(read(), pair.cert.pem().into_bytes());
        fs::remove_dir_all(directory).unwrap();
    }
}
