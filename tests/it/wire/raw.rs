//! A client that is made of bytes, for what no driver would send.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use sha2::{Digest, Sha256};

use super::server::{PASSWORD, PATIENCE, Server};

/// A connection to the endpoint.
pub(crate) struct Raw {
    pub(crate) socket: TcpStream,
}

impl Raw {
    /// Connects, and reads nothing.
    pub(crate) fn connect(server: &Server) -> Self {
        let socket = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { socket }
    }

    /// Connects and logs in; the error's number if that is refused.
    pub(crate) fn log_in(server: &Server) -> Result<Self, u16> {
        let mut raw = Self::connect(server);
        let greeting = raw.packet().unwrap();
        if greeting[0] == 0xff {
            return Err(error_number(&greeting));
        }
        let answer = response("caching_sha2_password", &proof(PASSWORD, &salt_of(&greeting)));
        raw.send(1, &answer).unwrap();
        loop {
            let packet = raw.packet().unwrap();
            match packet[0] {
                0x00 => return Ok(raw),
                0xff => return Err(error_number(&packet)),
                _ => assert_eq!(packet, [1, 3]),
            }
        }
    }

    pub(crate) fn send(&mut self, sequence: u8, payload: &[u8]) -> io::Result<()> {
        self.socket.write_all(&framed(sequence, payload))
    }

    /// The payload of the next packet. An end of the connection is an `UnexpectedEof`.
    pub(crate) fn packet(&mut self) -> io::Result<Vec<u8>> {
        let mut header = [0; 4];
        self.socket.read_exact(&mut header)?;
        let length = u32::from_le_bytes([header[0], header[1], header[2], 0]);
        let mut payload = vec![0; length as usize];
        self.socket.read_exact(&mut payload)?;
        Ok(payload)
    }

    /// Sends a command and reads the first packet of its answer.
    pub(crate) fn command(&mut self, payload: &[u8]) -> Vec<u8> {
        self.send(0, payload).unwrap();
        self.packet().unwrap()
    }

    /// `SELECT 1`, checked to the last byte of the answer.
    pub(crate) fn select_one(&mut self) {
        assert_eq!(self.command(b"\x03SELECT 1"), [1]);
        let rest: Vec<_> = (0..4).map(|_| self.packet().unwrap()).collect();
        assert_eq!(rest[2], *b"\x011");
        assert_eq!(rest[3][0], 0xfe);
    }

    /// Reads to the end and says how many bytes came. A reset by the server counts as an end.
    pub(crate) fn drain(&mut self) -> usize {
        let mut buffer = vec![0; 1 << 16];
        let mut total = 0;
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => return total,
                Ok(read) => total += read,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return total,
                Err(error) => panic!("the server left the connection open: {error}"),
            }
        }
    }
}

pub(crate) fn framed(sequence: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
    [&length[..3], &[sequence], payload].concat()
}

/// A login of `root` with PROTOCOL_41, SECURE_CONNECTION and PLUGIN_AUTH, old-style ends of lists.
pub(crate) fn response(plugin: &str, proof: &[u8]) -> Vec<u8> {
    let flags: u32 = 1 << 9 | 1 << 15 | 1 << 19;
    let length = [u8::try_from(proof.len()).unwrap()];
    [
        &flags.to_le_bytes()[..],
        &[0; 28],
        b"root\0",
        &length,
        proof,
        plugin.as_bytes(),
        &[0],
    ]
    .concat()
}

pub(crate) fn error_number(packet: &[u8]) -> u16 {
    assert_eq!(packet[0], 0xff, "{packet:?}");
    u16::from_le_bytes([packet[1], packet[2]])
}

fn salt_of(greeting: &[u8]) -> Vec<u8> {
    let version = greeting.iter().position(|byte| *byte == 0).unwrap();
    let salt = &greeting[version + 5..];
    [&salt[..8], &salt[8 + 19..8 + 19 + 12]].concat()
}

fn proof(password: &str, salt: &[u8]) -> Vec<u8> {
    let once = Sha256::digest(password);
    let pad = Sha256::new()
        .chain_update(Sha256::digest(once))
        .chain_update(salt)
        .finalize();
    once.iter().zip(pad).map(|(a, b)| a ^ b).collect()
}
