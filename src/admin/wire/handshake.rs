//! The two packets that open a connection: the server's greeting and the client's response. Pure.

use super::input::Input;
use super::scramble::{PLUGIN, SALT_BYTES};

/// What client and server can do, as the flags of the protocol. In force is what both sides have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Capabilities(u32);

impl Capabilities {
    pub(super) const CONNECT_WITH_DB: Self = Self(1 << 3);
    pub(super) const PROTOCOL_41: Self = Self(1 << 9);
    pub(super) const SSL: Self = Self(1 << 11);
    pub(super) const SECURE_CONNECTION: Self = Self(1 << 15);
    pub(super) const MULTI_STATEMENTS: Self = Self(1 << 16);
    pub(super) const PLUGIN_AUTH: Self = Self(1 << 19);
    pub(super) const PLUGIN_AUTH_LENENC: Self = Self(1 << 21);
    pub(super) const DEPRECATE_EOF: Self = Self(1 << 24);

    /// Flags that only concern the client's own behaviour here, but that clients expect of a server: LONG_PASSWORD,
    /// FOUND_ROWS, LONG_FLAG, IGNORE_SPACE, INTERACTIVE, TRANSACTIONS, MULTI_RESULTS, PS_MULTI_RESULTS, CONNECT_ATTRS
    /// (the attributes stand last in the response and are not read).
    const HARMLESS: Self = Self(1 | 1 << 1 | 1 << 2 | 1 << 8 | 1 << 10 | 1 << 13 | 1 << 17 | 1 << 18 | 1 << 20);

    /// What this server offers. Not among it: compression, LOAD DATA LOCAL, session tracking, query attributes.
    pub(super) fn offered(tls: bool) -> Self {
        let mut all = Self::HARMLESS
            .and(Self::CONNECT_WITH_DB)
            .and(Self::PROTOCOL_41)
            .and(Self::SECURE_CONNECTION)
            .and(Self::MULTI_STATEMENTS)
            .and(Self::PLUGIN_AUTH)
            .and(Self::PLUGIN_AUTH_LENENC)
            .and(Self::DEPRECATE_EOF);
        if tls {
            all = all.and(Self::SSL);
        }
        all
    }

    pub(super) fn bits(self) -> u32 {
        self.0
    }

    pub(super) fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// utf8mb4_0900_ai_ci.
const COLLATION: u8 = 255;

/// The payload of the greeting (HandshakeV10).
pub(super) fn greeting(connection_id: u32, salt: &[u8; SALT_BYTES], offered: Capabilities) -> Vec<u8> {
    let [flags_0, flags_1, flags_2, flags_3] = offered.0.to_le_bytes();
    let (salt_head, salt_tail) = salt.split_at(8);
    let mut payload = vec![10];
    payload.extend(crate::admin::statements::SERVER_VERSION.as_bytes());
    payload.push(0);
    payload.extend(connection_id.to_le_bytes());
    payload.extend(salt_head);
    payload.push(0);
    payload.extend([flags_0, flags_1, COLLATION, 2, 0, flags_2, flags_3]); // 2, 0: status, autocommit
    payload.push(21); // bytes of the salt with its NUL
    payload.extend([0; 10]);
    payload.extend(salt_tail);
    payload.push(0);
    payload.extend(PLUGIN.as_bytes());
    payload.push(0);
    payload
}

/// The request to log in with another plugin than the one the client began with (AuthSwitchRequest).
pub(super) fn switch_plugin(salt: &[u8; SALT_BYTES]) -> Vec<u8> {
    [&[0xfe], PLUGIN.as_bytes(), &[0], salt, &[0]].concat()
}

/// What a client answers to the greeting.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Response {
    /// It wants TLS first, then answers in full.
    StartTls,
    /// It logs in.
    Login(Login),
}

/// A client's full answer (HandshakeResponse41).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) capabilities: Capabilities,
    pub(super) user: String,
    pub(super) proof: Vec<u8>,
    pub(super) database: Option<String>,
    pub(super) plugin: String,
}

/// Why a client's answer can't be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The protocol of MySQL before 4.1.
    TooOld,
    /// Anything else.
    Malformed,
}

/// Reads a client's answer. `encrypted` says whether TLS is already there.
pub(super) fn parse(payload: &[u8], offered: Capabilities, encrypted: bool) -> Result<Response, Refusal> {
    let mut input = Input(payload);
    let flags = u32::from_le_bytes(input.array().ok_or(Refusal::Malformed)?);
    let capabilities = Capabilities(flags).common(offered);
    if !capabilities.contains(Capabilities::PROTOCOL_41) {
        return Err(Refusal::TooOld);
    }
    input.take(4 + 1 + 23).ok_or(Refusal::Malformed)?; // max packet size, collation, filler
    let wants_tls = Capabilities(flags).contains(Capabilities::SSL);
    match (wants_tls, encrypted) {
        (true, false) if input.0.is_empty() && offered.contains(Capabilities::SSL) => Ok(Response::StartTls),
        (true, false) => Err(Refusal::Malformed),
        _ => login(input, capabilities)
            .map(Response::Login)
            .ok_or(Refusal::Malformed),
    }
}

fn login(mut input: Input<'_>, capabilities: Capabilities) -> Option<Login> {
    let user = text(input.until_nul()?);
    let proof = if capabilities.contains(Capabilities::PLUGIN_AUTH_LENENC) {
        let length = length(&mut input)?;
        input.take(length)?
    } else if capabilities.contains(Capabilities::SECURE_CONNECTION) {
        let [length] = input.array()?;
        input.take(usize::from(length))?
    } else {
        input.until_nul()?
    };
    // Some clients leave out what would be empty at the end, or its NUL.
    let mut optional = |flag| match capabilities.contains(flag) && !input.0.is_empty() {
        true => input.until_nul().or_else(|| input.take(input.0.len())),
        false => None,
    };
    let database = optional(Capabilities::CONNECT_WITH_DB);
    let plugin = optional(Capabilities::PLUGIN_AUTH);
    Some(Login {
        capabilities,
        user,
        proof: proof.to_vec(),
        database: database.filter(|name| !name.is_empty()).map(text),
        plugin: plugin.map(text).unwrap_or_default(),
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A number in MySQL's variable-length form; NULL (0xfb) counts as 0.
fn length(input: &mut Input<'_>) -> Option<usize> {
    let [first] = input.array()?;
    match first {
        0..=0xfa => Some(usize::from(first)),
        0xfb => Some(0),
        0xfc => input.number(2),
        0xfd => input.number(3),
        _ => input.number(8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn response(flags: u32, rest: &[u8]) -> Vec<u8> {
        [&flags.to_le_bytes()[..], &[0; 28], rest].concat()
    }

    const FULL: u32 = 1 << 3 | 1 << 9 | 1 << 15 | 1 << 19 | 1 << 20 | 1 << 21;

    #[test]
    fn a_client_is_understood_in_every_form_of_its_response() {
        let check = |flags: u32, rest: &[u8], expected: (&str, &[u8], Option<&str>, &str)| match parse(
            &response(flags, rest),
            Capabilities::offered(true),
            false,
        ) {
            Ok(Response::Login(login)) => assert_eq!(
                (
                    login.user.as_str(),
                    &login.proof[..],
                    login.database.as_deref(),
                    login.plugin.as_str()
                ),
                expected
            ),
            other => panic!("{other:?}"),
        };
        check(
            FULL,
            b"ann\0\x02xysync\0plug\0\x00",
            ("ann", b"xy", Some("sync"), "plug"),
        );
        check(FULL, b"ann\0\xfc\x02\x00xy\0plug", ("ann", b"xy", None, "plug"));
        check(FULL, b"ann\0\x00", ("ann", b"", None, ""));
        check(1 << 9 | 1 << 15, b"\0\x02xyleft out", ("", b"xy", None, ""));
        check(1 << 9, b"ann\0xy\0", ("ann", b"xy", None, ""));
        check(1 << 9 | 1 << 3, b"ann\0xy\0sync", ("ann", b"xy", Some("sync"), ""));
        check(1 << 9, b"\xffann\0\0", ("\u{fffd}ann", b"", None, ""));
    }

    #[test]
    fn what_is_no_response_is_refused() {
        let check = |payload: &[u8], tls: bool, expected: Refusal| {
            assert_eq!(parse(payload, Capabilities::offered(tls), false), Err(expected));
        };
        check(b"", true, Refusal::Malformed);
        check(b"\x00\x02\x00", true, Refusal::Malformed);
        check(&response(FULL, b"")[..31], true, Refusal::Malformed);
        check(&response(FULL, b"no end"), true, Refusal::Malformed);
        check(&response(FULL, b"ann\0\x05four"), true, Refusal::Malformed);
        check(
            &response(FULL, b"ann\0\xfe\xff\xff\xff\xff\xff\xff\xff\xff"),
            true,
            Refusal::Malformed,
        );
        check(&response(0, b"ann\0\0"), true, Refusal::TooOld);
        check(&response(FULL | 1 << 11, b""), false, Refusal::Malformed);
        check(&response(FULL | 1 << 11, b"ann\0\0"), true, Refusal::Malformed);
    }

    #[test]
    fn tls_is_started_when_offered_and_asked_for() {
        let request = response(FULL | 1 << 11, b"");
        let offered = Capabilities::offered(true);
        assert_eq!(parse(&request, offered, false), Ok(Response::StartTls));
        let full = response(FULL | 1 << 11, b"ann\0\0");
        assert!(matches!(parse(&full, offered, true), Ok(Response::Login(login)) if login.user == "ann"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(head in any::<u32>(), rest in proptest::collection::vec(any::<u8>(), 0..80)) {
            for encrypted in [false, true] {
                match parse(&[&head.to_le_bytes()[..], &rest].concat(), Capabilities::offered(true), encrypted) {
                    Ok(Response::Login(login)) => prop_assert!(login.proof.len() <= rest.len()),
                    Ok(Response::StartTls) => prop_assert!(!encrypted),
                    Err(_) => {}
                }
            }
        }
    }
}
