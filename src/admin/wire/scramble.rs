//! `caching_sha2_password`: how a client proves that it knows a password without sending it.
//!
//! The client answers the salt with `SHA256(password) XOR SHA256(SHA256(SHA256(password)) || salt)`. The server keeps
//! `SHA256(SHA256(password))`, takes the XOR off, hashes what is left once more, and compares. Whoever steals the kept
//! hash can't log in with it. In MySQL this is the fast path, taken when the hash is in its cache; here it always is.

use rand::Rng;
use sha2::{Digest, Sha256};

/// The plugin's name in the protocol.
pub(super) const PLUGIN: &str = "caching_sha2_password";

/// Bytes of a salt.
pub(super) const SALT_BYTES: usize = 20;

/// What an account keeps instead of its password: SHA256(SHA256(password)).
pub fn hash_password(password: &str) -> [u8; 32] {
    sha256(&[&sha256(&[password.as_bytes()])])
}

/// A salt for one connection: random, of bytes that survive being treated as a C string (no NUL, no `$`, 7 bits), as
/// MySQL's own.
pub(super) fn new_salt() -> [u8; SALT_BYTES] {
    let mut rng = rand::rng();
    std::array::from_fn(|_| match rng.random_range(1..=127u8) {
        b'$' => b'%',
        byte => byte,
    })
}

/// Whether `response` shows knowledge of the password behind `stored`.
pub(super) fn proves(stored: &[u8; 32], salt: &[u8; SALT_BYTES], response: &[u8]) -> bool {
    let Ok(response) = <[u8; 32]>::try_from(response) else {
        return false;
    };
    let pad = sha256(&[stored, salt]);
    let once: Vec<u8> = response.iter().zip(pad).map(|(a, b)| a ^ b).collect();
    equal_in_constant_time(&sha256(&[&once]), stored)
}

fn equal_in_constant_time(a: &[u8; 32], b: &[u8; 32]) -> bool {
    let difference = a
        .iter()
        .zip(b)
        .fold(0, |seen, (x, y)| std::hint::black_box(seen | (x ^ y)));
    difference == 0
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client_answer(password: &str, salt: &[u8; SALT_BYTES]) -> Vec<u8> {
        let once = sha256(&[password.as_bytes()]);
        let pad = sha256(&[&sha256(&[&once]), salt]);
        once.iter().zip(pad).map(|(a, b)| a ^ b).collect()
    }

    #[test]
    fn only_the_right_answer_to_this_salt_proves_the_password() {
        let stored = hash_password("s3cret");
        let salt = [7; SALT_BYTES];
        let right = client_answer("s3cret", &salt);
        let mut bit_off = right.clone();
        bit_off[31] ^= 1;
        let check = |response: &[u8], expected: bool| assert_eq!(proves(&stored, &salt, response), expected);
        check(&right, true);
        check(&bit_off, false);
        check(&client_answer("s3cret", &[8; SALT_BYTES]), false);
        check(&client_answer("S3cret", &salt), false);
        check(&stored, false);
        check(&right[..31], false);
        check(&[right.as_slice(), &[0]].concat(), false);
        check(&[], false);
    }

    #[test]
    fn salts_differ_and_hold_no_byte_that_a_client_would_stop_at() {
        let salts: Vec<_> = (0..200).map(|_| new_salt()).collect();
        for (at, salt) in salts.iter().enumerate() {
            assert!(salt.iter().all(|byte| (1..128).contains(byte) && *byte != b'$'));
            assert!(!salts[..at].contains(salt));
        }
    }
}
