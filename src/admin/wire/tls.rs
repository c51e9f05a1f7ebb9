//! The endpoint's certificate: the operator's own, or a self-signed one made at the first start.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
    #[error("serving with the certificate in {certificate} and the key in {key}: {source}",
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

/// The pair in `directory`; at the first start a self-signed one for this machine is made and kept there.
pub fn load_or_make(directory: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let certificate = directory.join(CERTIFICATE_FILE);
    let key = directory.join(KEY_FILE);
    match (certificate.exists(), key.exists()) {
        (true, true) => {}
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
    load(&certificate, &key)
}

/// The operator's own pair: a PEM file with the certificate and what leads to its CA, and one with its key.
pub fn load(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let unreadable = |what, path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::Read { what, path, source }
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(unreadable("a certificate", certificate))?;
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

fn make(certificate: &Path, key: &Path) -> Result<(), TlsError> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    names.extend(Some(host.trim().to_owned()).filter(|name| !name.is_empty() && name.chars().all(plain)));
    let pair = rcgen::generate_simple_self_signed(names)?;
    keep(key, 0o600, &pair.signing_key.serialize_pem())?;
    keep(certificate, 0o644, &pair.cert.pem()).inspect_err(|_| {
        // A key alone would stand in the way of the next start.
        if let Err(error) = fs::remove_file(key) {
            tracing::warn!(%error, path = %key.display(), "left a key without its certificate behind");
        }
    })
}

/// Writes a file that was not there, and never leaves a half-written one under its name.
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
        load_or_make(&directory).unwrap();
        let read = |file| fs::read(directory.join(file)).unwrap();
        let made = (read(CERTIFICATE_FILE), read(KEY_FILE));
        let mode = fs::metadata(directory.join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        load_or_make(&directory).unwrap();
        assert_eq!((read(CERTIFICATE_FILE), read(KEY_FILE)), made);
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_pair_that_does_not_serve_is_refused_with_its_files_named() {
        fn check(name: &str, spoil: impl Fn(&Path), expected: &[&str]) {
            let directory = directory(name);
            load_or_make(&directory).unwrap();
            spoil(&directory);
            let error = load_or_make(&directory).unwrap_err().to_string();
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
}
