//! Passwords at rest: sealed with ChaCha20-Poly1305 under a key that lies beside the database, readable by its owner
//! alone. Whoever has the database without the key file has no passwords.
//!
//! The owner's name is authenticated along with the secret, so a row's sealed password can't be moved to another server
//! that an attacker listens on, nor an account's to another account.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use chacha20poly1305::aead::{Aead, AeadCore, KeyInit, OsRng, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::{Result, StoreError};

const KEY_FILE: &str = "secret.key";
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;

/// The key in `DIR/secret.key`.
pub(super) struct Key(ChaCha20Poly1305);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// A password as it stands in the database.
pub(super) struct Sealed {
    pub(super) nonce: Vec<u8>,
    pub(super) password: Vec<u8>,
}

impl Key {
    /// Reads the key file; makes one if there is none and `may_make` says that nothing is sealed yet.
    pub(super) fn load_or_make(dir: &Path, may_make: bool) -> Result<Key> {
        let path = dir.join(KEY_FILE);
        match File::open(&path) {
            Ok(file) => load(&path, file),
            Err(e) if e.kind() == ErrorKind::NotFound && may_make => make(&path),
            Err(e) if e.kind() == ErrorKind::NotFound => Err(StoreError::Key(format!(
                "{} is missing, but the store holds passwords sealed with it: put it back from a backup",
                path.display()
            ))),
            Err(e) => Err(StoreError::io("read the key file", &path, e)),
        }
    }

    pub(super) fn seal(&self, server: &str, password: &SecretString) -> Result<Sealed> {
        self.seal_bytes(server, password.expose_secret().as_bytes())
            .ok_or_else(|| StoreError::Key(format!("the password of '{server}' can't be sealed")))
    }

    /// Seals a secret of `owner`, so that it can be had again only as that owner's.
    pub(super) fn seal_bytes(&self, owner: &str, secret: &[u8]) -> Option<Sealed> {
        let nonce = ChaCha20Poly1305::generate_nonce(&mut OsRng);
        let payload = Payload {
            msg: secret,
            aad: owner.as_bytes(),
        };
        let password = self.0.encrypt(&nonce, payload).ok()?;
        Some(Sealed {
            nonce: nonce.to_vec(),
            password,
        })
    }

    pub(super) fn unseal(&self, server: &str, sealed: &Sealed) -> Result<SecretString> {
        let failed = || StoreError::Sealed(server.to_owned());
        let bytes = self.unseal_bytes(server, sealed).ok_or_else(failed)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| failed())?;
        Ok(SecretString::from(text))
    }

    /// What was sealed for `owner`; `None` if it was not, or under another key.
    pub(super) fn unseal_bytes(&self, owner: &str, sealed: &Sealed) -> Option<Zeroizing<Vec<u8>>> {
        if sealed.nonce.len() != NONCE_BYTES {
            return None;
        }
        let payload = Payload {
            msg: &sealed.password,
            aad: owner.as_bytes(),
        };
        let nonce = Nonce::from_slice(&sealed.nonce);
        self.0.decrypt(nonce, payload).ok().map(Zeroizing::new)
    }
}

fn load(path: &Path, file: File) -> Result<Key> {
    let metadata = file
        .metadata()
        .map_err(|e| StoreError::io("look at the key file", path, e))?;
    if metadata.mode() & 0o077 != 0 {
        return Err(StoreError::Key(format!(
            "{0} can be read by others than its owner: run chmod 600 {0}, and change the servers' passwords if anyone did",
            path.display()
        )));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_BYTES + 1));
    // One byte more than a key has, to notice a longer file without reading all of it.
    file.take(KEY_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| StoreError::io("read the key file", path, e))?;
    let cipher = ChaCha20Poly1305::new_from_slice(&bytes).map_err(|_| {
        StoreError::Key(format!(
            "{} is not a key of {KEY_BYTES} bytes: put it back from a backup",
            path.display()
        ))
    })?;
    Ok(Key(cipher))
}

fn make(path: &Path) -> Result<Key> {
    let key = ChaCha20Poly1305::generate_key(&mut OsRng);
    let write = || {
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
        file.write_all(&key)?;
        file.sync_all()
    };
    write().map_err(|e| StoreError::io("write the key file", path, e))?;
    Ok(Key(ChaCha20Poly1305::new(&key)))
}
